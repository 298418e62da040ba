"""In which columns the boxes of an ER diagram stand, and in which order.

The order is the one in which the lines between them run shortest, as far as swapping two at a time
finds it. It starts from the reading order, and is the same on every machine.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sagakit.views.er_data import ErBox, ErEnd, ErLine

HEAD, ROW = 26.0, 18.0  # the heights of a box's head and of its rows, px
FRAME = 28.0  # from a box to the frame around it: what is at a line's end stands in between
TITLE = 24.0  # above the boxes of a frame
PORT = 12.0  # between two lines that reach a box
_GAP = 22.0  # between two boxes
_MOST_SORTED = 40  # boxes; with more, nobody sees which order is better

_T = TypeVar("_T")


class Columns:
    """Columns of stacks; a stack has boxes of one group.

    Parameters:
        boxes: what stands there.
        lines: what is between them.

    ``heights`` and ``heads`` are those of the boxes, ``order`` has the groups with the numbers of
    their boxes, ``stacks`` is by column, and ``column_of`` and ``top`` say where each box stands.
    """

    def __init__(self, boxes: Sequence[ErBox], lines: Sequence[ErLine]) -> None:
        self.boxes, self.lines = boxes, lines
        self.heads = [_head(index, box, lines) for index, box in enumerate(boxes)]
        self.heights = [
            head + ROW * len(box.rows) + 5 for head, box in zip(self.heads, boxes, strict=True)
        ]
        groups = dict.fromkeys(box.group for box in boxes)
        self.order = [[i for i, box in enumerate(boxes) if box.group == name] for name in groups]
        self.framed = groups.keys() != {""}
        self._limit = self._height_limit()
        self._sort()
        self.stacks = self._columns(self.order)
        self.column_of, self.top = self._tops(self.stacks)

    @property
    def bottom(self) -> float:
        """Where the lowest box ends."""
        lows = [top + height for top, height in zip(self.top, self.heights, strict=True)]
        return max(lows, default=0.0)

    def _height_limit(self) -> float:
        """How high a column may be for the picture to be about half as wide again as it is high."""
        whole = sum(self.heights) + 30 * len(self.boxes) + 50 * len(self.order)
        columns = max(1, round(math.sqrt(1.5 * whole / 260)))
        return max(whole / columns * 1.1, *self.heights, 1.0)

    def _columns(self, order: list[list[int]]) -> list[list[list[int]]]:
        """Columns of stacks; a stack has boxes of one group. A group that fits into no column is
        spread over several of its own."""
        columns: list[list[list[int]]] = []
        left = 0.0
        for group in order:
            need = self._stack_height(group)
            if need > self._limit:
                columns += [[part] for part in self._split(group)]
                left = 0.0
            elif columns and need <= left:
                columns[-1].append(group)
                left -= need
            else:
                columns.append([group])
                left = self._limit - need
        return columns

    def _stack_height(self, stack: list[int]) -> float:
        return TITLE + FRAME + sum(self.heights[i] + _GAP for i in stack)

    def _split(self, group: list[int]) -> Iterator[list[int]]:
        count = math.ceil(self._stack_height(group) / self._limit)
        share = sum(self.heights[i] + _GAP for i in group) / count
        part: list[int] = []
        used = 0.0
        for i in group:
            if part and used + self.heights[i] / 2 > share:
                yield part
                part, used = [], 0.0
            part.append(i)
            used += self.heights[i] + _GAP
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
                    y += self.heights[i] + _GAP
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
        self.order = improved(self.order, self._cost)
        for number, group in enumerate(self.order):

            def cost(other: list[int], number: int = number) -> float:
                return self._cost([*self.order[:number], other, *self.order[number + 1 :]])

            self.order[number] = improved(group, cost)


def _head(index: int, box: ErBox, lines: Sequence[ErLine]) -> float:
    """How high a box's head is: high enough for the lines that reach it and lead to no row."""
    ends: list[ErEnd] = [end for line in lines for end in (line.first, line.second)]
    count = sum(end.box == index and end.row is None for end in ends)
    return max(HEAD, PORT * (count + 1) - ROW * leading_keys(box))


def leading_keys(box: ErBox) -> int:
    return sum(1 for _ in itertools.takewhile(lambda row: row.key, box.rows))


def improved(items: list[_T], cost: Callable[[list[_T]], float]) -> list[_T]:
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
