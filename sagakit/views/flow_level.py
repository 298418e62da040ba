"""One level of a flow: its steps laid out, each a box or a frame around a level of its own.

Sizes are found from the inside out, places from the outside in; each step is handled once.
"""

from __future__ import annotations

import msgspec

from sagakit.views.flow_boxes import (
    Block,
    Head,
    draw_block,
    draw_head,
    frame_head,
    look_of,
    step_block,
    twin_block,
    twin_look,
)
from sagakit.views.flow_lines import draw_edges, draw_pivot_line, line_x
from sagakit.views.layered import Item, Layout, layered
from sagakit.views.nodes import Flow, FlowNode, indexed
from sagakit.views.style import CARD, EDGE, KINDS, MUTED
from sagakit.views.svg import box, esc, label, num, oneline, outline, sheet

TWIN_GAP = 15.0
LINE_ROOM = 20.0  # above a level with a pivot, for the words at its line
_MORE_ROOM = 22.0
_EMPTY = (110.0, 24.0)
_RIM = 7.0  # the frame's own colour around the panel that holds its steps
_PAD = 16.0  # from the panel's edge to the steps
_POINT = 8.0  # what a pointed frame needs more at its right


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A step: a box or a frame, `width` by `height` px, its port line `port` px below its top."""

    node: FlowNode
    width: float
    height: float
    port: float
    twin: Block | None
    block: Block | None = None
    frame: Frame | None = None

    @property
    def left(self) -> float:
        """How far a second border reaches beyond the box."""
        return 4.0 if self.node.kind == "pivot" else 0.0

    @property
    def right(self) -> float:
        """How far that border, or the sheet behind a closed step, reaches at the other side."""
        return self.left + (4.0 if self.block and self.node.holds else 0.0)

    @property
    def item(self) -> Item:
        """The step with its twin, to be placed."""
        below = self.height - self.port + (TWIN_GAP + self.twin.height if self.twin else 0)
        width = max(self.width, self.twin.width if self.twin else 0)
        return Item(width=width, above=self.port, below=below)


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What an open step is drawn with: its words, and the panel, `room` px wide, for its steps."""

    head: Head
    level: Level
    room: float


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """Steps laid out: `plan` has places with the first layer at 0; `pairs` are the edges."""

    flow: Flow
    parts: list[Part]
    pairs: list[tuple[int, int]]
    plan: Layout

    @property
    def pivots(self) -> list[int]:
        return [i for i, part in enumerate(self.parts) if part.node.kind == "pivot"]

    @property
    def width(self) -> float:
        """Of the steps, without the words of a pivot's line (`reach` has them)."""
        return self.plan.columns[-1][1] if self.plan.columns else _EMPTY[0]

    @property
    def height(self) -> float:
        steps = self.plan.bottom - self.plan.top if self.parts else 0.0
        more = _MORE_ROOM if self.flow.more_words else 0.0
        return steps + more or _EMPTY[1]

    @property
    def reach(self) -> float:
        """How far right anything of the level reaches."""
        return max([self.width, *(line_x(self.plan, i, 0) + 62 for i in self.pivots)])

    @property
    def port(self) -> float:
        """Where an edge that enters a frame around the level stands, px below the level's top."""
        first = [
            y
            for layer, (_, y) in zip(self.plan.layer_of, self.plan.places, strict=True)
            if layer == 0
        ]
        return sum(first) / len(first) - self.plan.top if first else self.height / 2


def lay_out(flow: Flow) -> Level:
    """The flow's steps on their places, and those inside them. Raises ValueError as `indexed`."""
    pairs = indexed(flow.nodes, flow.edges)
    parts = [_part(node) for node in flow.nodes]
    items = [part.item for part in parts]
    plan = layered(items, pairs)
    pivots = [i for i, node in enumerate(flow.nodes) if node.kind == "pivot"]
    if pivots:  # room after the pivot's layer for the line and its words
        plan = layered(items, pairs, wider={plan.layer_of[i]: 42 for i in pivots})
    return Level(flow=flow, parts=parts, pairs=pairs, plan=plan)


def _part(node: FlowNode) -> Part:
    if node.inner is None:
        block = step_block(node)
        return Part(
            node=node,
            block=block,
            twin=twin_block(node),
            width=block.width,
            height=block.height,
            port=block.height / 2,
        )
    level = lay_out(node.inner)
    head = frame_head(node, level.reach + 2 * _PAD)
    room = max(level.reach + 2 * _PAD, head.least)
    above = head.height + _PAD + _line_room(level)
    return Part(
        node=node,
        frame=Frame(head=head, level=level, room=room),
        twin=twin_block(node),
        width=room + 2 * _RIM + _point(node),
        height=above + level.height + _PAD + _RIM,
        port=above + level.port,
    )


def _line_room(level: Level) -> float:
    return LINE_ROOM if level.pivots else 0.0


def _point(node: FlowNode) -> float:
    return _POINT if node.kind == "retriable" else 0.0


def draw_level(level: Level, dx: float, top: float, path: str = "") -> list[str]:
    """The level with its first layer at `dx` and its top at `top`; `path` names what is around."""
    flow, plan = level.flow, level.plan
    dy = top - plan.top
    steps = plan.bottom - plan.top if level.parts else 0.0
    drawn = [draw_pivot_line(line_x(plan, i, dx), top, top + level.height) for i in level.pivots]
    if not level.parts and not flow.more:
        drawn.append(label(dx, top + 12, "no steps yet", size=12, fill=MUTED))
    if flow.more_words:
        drawn.append(
            label(
                dx + level.width / 2,
                top + steps + 18,
                flow.more_words,
                size=10,
                fill=MUTED,
                anchor="middle",
            )
        )
    borders = [
        (x + part.item.width / 2 + dx, part.width / 2 + part.left, part.width / 2 + part.right)
        for part, (x, _) in zip(level.parts, plan.places, strict=True)
    ]
    drawn.append(draw_edges(plan, level.pairs, borders, dx, dy))
    for part, (x, y) in zip(level.parts, plan.places, strict=True):
        drawn += _draw_part(part, x + dx + part.item.width / 2, y + dy, path)
    return drawn


def _draw_part(part: Part, cx: float, y: float, above: str) -> list[str]:
    """The step with its port line at `y`, centred on `cx`, its twin below it, its steps in it."""
    node, look, top = part.node, look_of(part.node), y - part.port
    path = oneline(above + node.name)
    drawn = [f"<g><title>{esc(path[:200])}</title>"]
    if part.twin:
        foot = top + part.height
        drawn.append(
            f'<path d="M{num(cx)} {num(foot + part.right)}V{num(foot + TWIN_GAP)}" fill="none" '
            f'stroke="{EDGE}" stroke-width="1.2" stroke-dasharray="3 2"/>'
        )
        drawn.append(draw_block(part.twin, twin_look(node), "round", cx, foot + TWIN_GAP, 1.2))
    if part.block:
        shape = KINDS[node.kind].shape
        if node.holds:
            drawn.append(sheet(look, shape, cx - part.width / 2, top, part.width, part.height))
        drawn.append(draw_block(part.block, look, shape, cx, top, 1.5))
    if part.frame:
        drawn += _draw_frame(part, part.frame, cx - part.width / 2, top)
    inside = _draw_inside(part, part.frame, cx, top, f"{path}/") if part.frame else []
    return ["".join([*drawn, "</g>"]), *inside]


def _draw_frame(part: Part, frame: Frame, x: float, top: float) -> list[str]:
    look, head = look_of(part.node), frame.head
    panel = outline(
        "panel", x + _RIM, top + head.height, frame.room, part.height - head.height - _RIM
    )
    return [
        box(look, KINDS[part.node.kind].shape, x, top, part.width, part.height, 1.5, part.port),
        draw_head(head, look, frame.level.flow.status, x + _RIM + 3, top, frame.room - 6),
        f'<path d="{panel}" fill="{CARD}"/>',
    ]


def _draw_inside(part: Part, frame: Frame, cx: float, top: float, path: str) -> list[str]:
    level = frame.level
    x = cx - part.width / 2 + _RIM + (frame.room - level.reach) / 2
    return draw_level(level, x, top + frame.head.height + _PAD + _line_room(level), path)
