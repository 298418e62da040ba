"""Where the boxes of an ER diagram stand and how its lines run. Pure geometry over numbers.

Boxes stand in columns; between two columns, and after the last one, is a gutter with a track for
each line that runs up or down there. A line that has to pass a column runs below all boxes. So no
line runs behind a box.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from sagakit.views.er_data import ErBox, ErEnd, ErLine
from sagakit.views.svg import text_width

HEAD, ROW, SIZE = 26.0, 18.0, 11.0
FRAME = 28.0  # from a box to the frame around it: what is at a line's end stands in between
TITLE = 24.0  # above the boxes of a frame
_LEAST, _MOST = 120.0, 320.0  # a box's width
_TRACK = 12.0
_PORT = 12.0  # between two lines that reach a box
_MARGIN = 12.0  # between a frame and a track
_MOST_SORTED = 40  # boxes; with more, nobody sees which order is better


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a box stands, px."""

    x: float
    y: float
    w: float
    h: float
    head: float


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What stands around the boxes of a group, px."""

    name: str
    x: float
    y: float
    w: float
    h: float


class Route(msgspec.Struct, frozen=True):
    """The corners of a line, px, from its first end to its second."""

    points: tuple[tuple[float, float], ...]


class ErLayout(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything stands, from (0, 0) on."""

    boxes: list[Place]
    frames: list[Frame]
    routes: list[Route]
    width: float
    height: float


def er_layout(boxes: Sequence[ErBox], lines: Sequence[ErLine]) -> ErLayout:
    """Place the boxes in columns, those of one group together, and lead the lines around them."""
    return _Layout(boxes, lines).placed()


class _Span(msgspec.Struct):
    """A line's way up or down in a gutter: from a height on its left to one on its right."""

    line: int
    start: float
    end: float
    loop: bool = False  # both ends are on the left


class _Layout:
    def __init__(self, boxes: Sequence[ErBox], lines: Sequence[ErLine]) -> None:
        self.boxes, self.lines = boxes, lines
        self.heads = [_head(index, box, lines) for index, box in enumerate(boxes)]
        self.heights = [
            head + ROW * len(box.rows) + 5 for head, box in zip(self.heads, boxes, strict=True)
        ]
        groups = dict.fromkeys(box.group for box in boxes)
        self.order = [[i for i, box in enumerate(boxes) if box.group == name] for name in groups]
        self.framed = groups.keys() != {""}
        self.limit = self._height_limit()

    def _height_limit(self) -> float:
        """How high a column may be for the picture to be about half as wide again as it is high."""
        whole = sum(self.heights) + 30 * len(self.boxes) + 50 * len(self.order)
        columns = max(1, round(math.sqrt(1.5 * whole / 260)))
        return max(whole / columns * 1.1, *self.heights, 1.0)

    # -- columns -------------------------------------------------------------------------------

    def _columns(self, order: list[list[int]]) -> list[list[list[int]]]:
        """Columns of stacks; a stack has boxes of one group. A group that fits into no column is
        spread over several of its own."""
        columns: list[list[list[int]]] = []
        left = 0.0
        for group in order:
            need = self._stack_height(group)
            if need > self.limit:
                columns += [[part] for part in self._split(group)]
                left = 0.0
            elif columns and need <= left:
                columns[-1].append(group)
                left -= need
            else:
                columns.append([group])
                left = self.limit - need
        return columns

    def _stack_height(self, stack: list[int]) -> float:
        return TITLE + FRAME + sum(self.heights[i] + 22 for i in stack)

    def _split(self, group: list[int]) -> Iterator[list[int]]:
        count = math.ceil(self._stack_height(group) / self.limit)
        share = sum(self.heights[i] + 22 for i in group) / count
        part: list[int] = []
        used = 0.0
        for i in group:
            if part and used + self.heights[i] / 2 > share:
                yield part
                part, used = [], 0.0
            part.append(i)
            used += self.heights[i] + 22
        yield part

    def _tops(self, columns: list[list[list[int]]]) -> tuple[list[int], list[float]]:
        """Each box's column and top."""
        column_of, top = [0] * len(self.boxes), [0.0] * len(self.boxes)
        for number, column in enumerate(columns):
            y = 0.0
            for stack in column:
                y += TITLE if self.framed else 0
                for i in stack:
                    column_of[i], top[i] = number, y
                    y += self.heights[i] + 22
                y += 16 if self.framed else 0
        return column_of, top

    def _cost(self, order: list[list[int]]) -> float:
        """How far the lines run; beside a column they run short, past one they run long."""
        column_of, top = self._tops(self._columns(order))
        total = 0.0
        for line in self.lines:
            a, b = line.first.box, line.second.box
            apart = abs(column_of[a] - column_of[b])
            total += abs(top[a] - top[b]) + (60 if apart == 0 else 400 * (apart - 1))
        return total

    def _sort(self) -> None:
        """Swap groups, and boxes within a group, as long as that makes the lines shorter."""
        if len(self.boxes) > _MOST_SORTED:
            return
        self.order = _improved(self.order, self._cost)
        for number, group in enumerate(self.order):

            def cost(other: list[int], number: int = number) -> float:
                return self._cost([*self.order[:number], other, *self.order[number + 1 :]])

            self.order[number] = _improved(group, cost)

    # -- geometry ------------------------------------------------------------------------------

    def placed(self) -> ErLayout:
        self._sort()
        columns = self._columns(self.order)
        self.column_of, self.top = self._tops(columns)
        self.widths = [
            max(_width(self.boxes[i]) for stack in column for i in stack) for column in columns
        ]
        self.bottom = max(
            (self.top[i] + self.heights[i] for i in range(len(self.boxes))), default=0
        )
        self.bottom += FRAME
        self.ports = self._ports()
        spans = self._spans(len(columns))
        tracks = [_tracked(gutter) for gutter in spans]
        xs = self._lefts(tracks)
        places = [
            Place(
                x=xs[self.column_of[i]], y=self.top[i], w=self.widths[self.column_of[i]],
                h=self.heights[i], head=self.heads[i],
            )
            for i in range(len(self.boxes))
        ]  # fmt: skip
        frames = list(self._frames(places)) if self.framed else []
        routes = [self._route(number, places, tracks, xs) for number in range(len(self.lines))]
        return self._moved(places, frames, routes)

    def _sides(self, line: ErLine) -> tuple[int, int]:
        """At which sides of their boxes a line's ends are: 1 the right one, -1 the left one."""
        a, b = self.column_of[line.first.box], self.column_of[line.second.box]
        return (1, 1) if a == b else (1, -1) if a < b else (-1, 1)

    def _ports(self) -> list[tuple[float, float]]:
        """The heights at which the lines reach their boxes."""
        found: dict[tuple[int, int], float] = {}
        heads: dict[tuple[int, int], list[tuple[float, int, int]]] = {}
        for number, line in enumerate(self.lines):
            sides = self._sides(line)
            ends = (line.first, line.second)
            for at, end in enumerate(ends):
                if end.row is not None:
                    y = self.top[end.box] + self.heads[end.box] + ROW * (end.row + 0.5)
                    found[number, at] = y
                else:
                    other = self.top[ends[1 - at].box]
                    heads.setdefault((end.box, sides[at]), []).append((other, number, at))
        for (box, _), ends_here in heads.items():
            room = self.heads[box] + ROW * _leading_keys(self.boxes[box])
            for place, (_, number, at) in enumerate(sorted(ends_here), 1):
                found[number, at] = self.top[box] + room * place / (len(ends_here) + 1)
        return [(found[number, 0], found[number, 1]) for number in range(len(self.lines))]

    def _spans(self, columns: int) -> list[list[_Span]]:
        """By gutter, the lines that run up or down in it."""
        gutters: list[list[_Span]] = [[] for _ in range(columns)]
        lanes = itertools.count(1)
        self.lane: dict[int, float] = {}
        for number, line in enumerate(self.lines):
            ends = sorted(
                zip((self.column_of[line.first.box], self.column_of[line.second.box]),
                    self.ports[number], strict=True)
            )  # fmt: skip
            (left, start), (right, end) = ends
            if right - left > 1:
                lane = self.bottom + _TRACK * next(lanes)
                self.lane[number] = lane
                gutters[left].append(_Span(number, start, lane))
                gutters[right - 1].append(_Span(number, lane, end))
            elif start != end or left == right:
                gutters[left].append(_Span(number, start, end, loop=left == right))
        return gutters

    def _lefts(self, tracks: list[list[int]]) -> list[float]:
        xs, x = [], 0.0
        for width, gutter in zip(self.widths, tracks, strict=True):
            xs.append(x)
            x += width + 2 * FRAME + 2 * _MARGIN + _TRACK * len(gutter)
        return xs

    def _frames(self, places: list[Place]) -> Iterator[Frame]:
        for group in self.order:
            mine = [places[i] for i in group]
            x, y = min(p.x for p in mine) - FRAME, min(p.y for p in mine) - TITLE
            right, low = max(p.x + p.w for p in mine) + FRAME, max(p.y + p.h for p in mine) + 12
            yield Frame(name=self.boxes[group[0]].group, x=x, y=y, w=right - x, h=low - y)

    def _route(
        self, number: int, places: list[Place], tracks: list[list[int]], xs: list[float]
    ) -> Route:
        line = self.lines[number]
        sides = self._sides(line)
        ends = (line.first, line.second)
        points = [
            (places[end.box].x + (places[end.box].w if side > 0 else 0), y)
            for end, side, y in zip(ends, sides, self.ports[number], strict=True)
        ]
        swapped = self.column_of[line.first.box] > self.column_of[line.second.box]
        (x1, y1), (x2, y2) = points[::-1] if swapped else points
        turns = [
            xs[gutter] + self.widths[gutter] + FRAME + _MARGIN + _TRACK * track.index(number)
            for gutter, track in enumerate(tracks)
            if number in track
        ]
        way = [(x1, y1)]
        level = y1
        levels = [self.lane[number], y2] if number in self.lane else [y2]
        for turn, to in zip(turns, levels[-len(turns) :] if turns else (), strict=True):
            way += [(turn, level), (turn, to)]
            level = to
        way.append((x2, y2))
        return Route(tuple(way[::-1] if swapped else way))

    def _moved(self, places: list[Place], frames: list[Frame], routes: list[Route]) -> ErLayout:
        """The same, its left upper corner at (0, 0)."""
        points = [point for route in routes for point in route.points]
        around = [(p.x, p.y, p.x + p.w, p.y + p.h) for p in places]
        around += [(f.x, f.y, f.x + f.w, f.y + f.h) for f in frames]
        left = min((a[0] for a in around), default=0)
        top = min((a[1] for a in around), default=0)
        right = max([a[2] for a in around] + [x for x, _ in points], default=0)
        low = max([a[3] for a in around] + [y for _, y in points], default=0)
        move = msgspec.structs.replace
        return ErLayout(
            boxes=[move(p, x=p.x - left, y=p.y - top) for p in places],
            frames=[move(f, x=f.x - left, y=f.y - top) for f in frames],
            routes=[Route(tuple((x - left, y - top) for x, y in r.points)) for r in routes],
            width=right - left,
            height=low - top,
        )


def _head(index: int, box: ErBox, lines: Sequence[ErLine]) -> float:
    """How high a box's head is: high enough for the lines that reach it and lead to no row."""
    ends: list[ErEnd] = [end for line in lines for end in (line.first, line.second)]
    count = sum(end.box == index and end.row is None for end in ends)
    return max(HEAD, _PORT * (count + 1) - ROW * _leading_keys(box))


def _leading_keys(box: ErBox) -> int:
    return sum(1 for _ in itertools.takewhile(lambda row: row.key, box.rows))


def _width(box: ErBox) -> float:
    rows = [text_width(row.name, SIZE) + text_width(row.words, SIZE) + 60 for row in box.rows]
    head = text_width(box.name, 12) * 1.1 + text_width(box.note, 10) + 34
    return min(max(head, *rows, _LEAST), _MOST)


_T = TypeVar("_T")


def _improved(items: list[_T], cost: Callable[[list[_T]], float]) -> list[_T]:
    """The items after swaps, each of which made the cost less."""
    best = cost(items)
    better = True
    while better:
        better = False
        for i, j in itertools.combinations(range(len(items)), 2):
            other = items.copy()
            other[i], other[j] = other[j], other[i]
            now = cost(other)
            if now < best - 1e-6:
                items, best, better = other, now, True
    return items


def _tracked(gutter: list[_Span]) -> list[int]:
    """The lines of a gutter from left to right, so that few cross and none runs along another."""
    return [span.line for span in _improved(gutter, _crossings)]


def _crossings(spans: list[_Span]) -> float:
    total = 0.0
    for at, left in enumerate(spans):
        low, high = sorted((left.start, left.end))
        for right in spans[at + 1 :]:
            other_low, other_high = sorted((right.start, right.end))
            # what begins on the left passes the tracks left of its own; what ends on the right,
            # those right of its own
            begins = [right.start, right.end] if right.loop else [right.start]
            total += sum(low < y < high for y in begins)
            ends = [] if left.loop else [left.end]
            total += sum(other_low < y < other_high for y in ends)
            total += 10 * sum(abs(y - z) < 5 for y in begins for z in ends)
    return total
