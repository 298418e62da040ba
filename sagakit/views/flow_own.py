"""The flow drawn by ourselves: byte-stable SVG, with no Graphviz to differ by version."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec

from sagakit.views.flow_words import flow_alt
from sagakit.views.layered import Item, Layout, layered
from sagakit.views.legend_svg import Entry, legend_rows, status_badge
from sagakit.views.nodes import FlowNode, indexed
from sagakit.views.style import (
    COMPENSATION_GLYPH,
    EDGE,
    INK,
    KINDS,
    MUTED,
    NEUTRAL,
    NO_STATE,
    STATES,
    Look,
)
from sagakit.views.svg import arrow, box, card, esc, fit, hatches, label, num, oneline, text_width

MARGIN = 22.0
MAX_TEXT = 190.0
TWIN_GAP = 15.0
LEGEND_WIDTH = 560.0
_BOLD = 'font-weight="bold"'
_ITALIC = 'font-style="italic"'


class _Block(msgspec.Struct, frozen=True, kw_only=True):
    """A box and its lines of text: (text, size, colour, further attributes)."""

    lines: list[tuple[str, float, str, str]]
    width: float
    height: float


def _block(lines: list[tuple[str, float, str, str]], pad: float, least: float) -> _Block:
    width = max(text_width(text, size) for text, size, _, _ in lines) + 2 * pad
    height = sum(size + 4 for _, size, _, _ in lines) + pad
    return _Block(lines=lines, width=max(width, least), height=height)


def _step_block(node: FlowNode) -> _Block:
    glyph = KINDS[node.kind].glyph
    lines = [(fit(f"{glyph} {node.name}", 13, MAX_TEXT), 13.0, INK, _BOLD)]
    if node.own_state:
        lines.append((f"{STATES[node.own_state].glyph} {node.own_state}", 11.0, INK, ""))
    if node.service:
        lines.append((fit(node.service, 10, MAX_TEXT), 10.0, MUTED, _ITALIC))
    lines += [(line, 10.0, MUTED, "") for line in _wrapped(node.notes)]
    return _block(lines, 15 if node.kind == "retriable" else 12, 84)


def _twin_block(node: FlowNode) -> _Block | None:
    if not node.compensation:
        return None
    lines = [(fit(f"{COMPENSATION_GLYPH} {node.compensation}", 11, MAX_TEXT), 11.0, INK, "")]
    if node.twin_state:
        lines.append((f"{STATES[node.twin_state].glyph} {node.twin_state}", 10.0, INK, ""))
    return _block(lines, 9, 64)


def _wrapped(notes: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for note in map(oneline, notes):
        joined = f"{lines[-1]} · {note}" if lines else note
        if lines and text_width(joined, 10) <= 150:
            lines[-1] = joined
        elif len(lines) == 3:
            lines[-1] = fit(f"{lines[-1]} …", 10, MAX_TEXT)
            break
        else:
            lines.append(fit(note, 10, MAX_TEXT))
    return lines


def _item(step: _Block, twin: _Block | None) -> Item:
    half = step.height / 2
    below = half + (TWIN_GAP + twin.height if twin else 0)
    return Item(width=max(step.width, twin.width if twin else 0), above=half, below=below)


def draw_flow(
    title: str, nodes: Sequence[FlowNode], edges: Sequence[tuple[str, str]], status: str = ""
) -> str:
    """The flow as an SVG document, the same bytes for the same input on every machine."""
    pairs = indexed(nodes, edges)
    blocks = [(_step_block(node), _twin_block(node)) for node in nodes]
    items = [_item(*block) for block in blocks]
    pivots = [i for i, node in enumerate(nodes) if node.kind == "pivot"]
    plan = layered(items, pairs)
    if pivots:  # room after the pivot's layer for the line and its words
        plan = layered(items, pairs, wider={plan.layer_of[i]: 42 for i in pivots})
    legend, legend_width, legend_height = _legend(nodes, plan)
    head = 40.0 + (20 if pivots else 0)
    flow_width = plan.columns[-1][1] if plan.columns else 110.0
    flow_height = plan.bottom - plan.top if nodes else 24.0
    title = oneline(title)
    shown = fit(title, 15, max(flow_width, 320))
    beside = 150 if status else 0  # the badge's room
    wide = max(flow_width, text_width(shown, 15) + beside, legend_width)
    dx, dy = MARGIN + (wide - flow_width) / 2, head + 6 - plan.top
    body = [hatches(_looks(nodes)), label(MARGIN, 27, shown, size=15, extra=_BOLD)]
    if status:
        body.append(status_badge(status, MARGIN + wide))
    if not nodes:
        body.append(label(MARGIN, head + 18, "no steps yet", size=12, fill=MUTED))
    base = head + 6 + flow_height
    body += [_pivot_line(plan, i, dx, head, base) for i in pivots]
    ends = [
        _ends(block[0], item, x, 4 if node.kind == "pivot" else 0)
        for node, block, item, (x, _) in zip(nodes, blocks, items, plan.places, strict=True)
    ]
    body.append(_edges(plan, ends, pairs, dx, dy))
    for node, block, (x, y), item in zip(nodes, blocks, plan.places, items, strict=True):
        body.append(_node(node, *block, x + dx + item.width / 2, y + dy))
    body.append(f'<g transform="translate({num(MARGIN)} {num(base + 18)})">{legend}</g>')
    height = base + 18 + legend_height + 8
    width = max([wide + 2 * MARGIN, *(_line_x(plan, i, dx) + 62 for i in pivots)])
    return card(width, height, title, flow_alt(title, nodes, status), filter(None, body))


def _node(node: FlowNode, step: _Block, twin: _Block | None, cx: float, y: float) -> str:
    """The step with its port line at `y`, centred on `cx`, and its twin below it."""
    look = STATES[node.own_state] if node.own_state else NEUTRAL if node.state else NO_STATE
    top = y - step.height / 2
    parts = [f"<g><title>{esc(oneline(node.name)[:200])}</title>"]
    if twin:
        foot = y + step.height / 2
        edge = 4 if node.kind == "pivot" else 0
        parts.append(
            f'<path d="M{num(cx)} {num(foot + edge)}V{num(foot + TWIN_GAP)}" fill="none" '
            f'stroke="{EDGE}" stroke-width="1.2" stroke-dasharray="3 2"/>'
        )
        twin_look = STATES[node.twin_state] if node.twin_state else _as_twin(look)
        parts.append(_boxed(twin, twin_look, "round", cx, foot + TWIN_GAP, 1.2))
    parts.append(_boxed(step, look, KINDS[node.kind].shape, cx, top, 1.5))
    return "".join([*parts, "</g>"])


def _as_twin(look: Look) -> Look:
    # A compensation that has no state of its own is only a possibility: dashed and pale.
    return msgspec.structs.replace(NEUTRAL, fill="#ffffff", dash="4 3", stroke=look.stroke)


def _boxed(block: _Block, look: Look, shape: str, cx: float, top: float, line: float) -> str:
    parts = [box(look, shape, cx - block.width / 2, top, block.width, block.height, line)]
    if look.hatch:  # a quiet ground under the words, or a hatch line strikes them through
        wide = max(text_width(text, size) for text, size, _, _ in block.lines)
        parts.append(
            f'<rect x="{num(cx - wide / 2)}" y="{num(top + 4)}" width="{num(wide)}" '
            f'height="{num(block.height - 8)}" rx="4" fill="{look.fill}" fill-opacity="0.7"/>'
        )
    y = top + (block.height - sum(size + 4 for _, size, _, _ in block.lines)) / 2
    for text, size, colour, extra in block.lines:
        y += size + 4
        parts.append(
            label(cx, y - 4 + 0.5, text, size=size, fill=colour, anchor="middle", extra=extra)
        )
    return "".join(parts)


def _ends(step: _Block, item: Item, x: float, border: float) -> tuple[float, float]:
    """Where edges enter and leave a step: its own box, which may be narrower than its twin."""
    centre = x + item.width / 2
    half = step.width / 2 + border
    return centre - half, centre + half


def _edges(
    plan: Layout,
    ends: Sequence[tuple[float, float]],
    pairs: Sequence[tuple[int, int]],
    dx: float,
    dy: float,
) -> str:
    lines, heads = [], []
    for (a, b), route in zip(pairs, plan.routes, strict=True):
        if a == b:
            continue
        end_x = ends[b][0] + dx
        lines.append(_curve(plan, route, ends[a][1] + dx, end_x, dx, dy))
        heads.append(arrow(end_x, route[-1][1] + dy, EDGE))
    return (
        f'<path d="{"".join(lines)}" fill="none" stroke="{EDGE}" stroke-width="1.4"/>'
        + "".join(heads)
        if lines
        else ""
    )


def _curve(
    plan: Layout, route: list[tuple[int, float]], x: float, end: float, dx: float, dy: float
) -> str:
    """A smooth path that bends only between layers: within one it has a place of its own."""
    path = [f"M{num(x)} {num(route[0][1] + dy)}"]
    for (layer, y), (to, y2) in itertools.pairwise(route):
        start, stop = plan.columns[layer][1] + dx, plan.columns[to][0] + dx
        if to == route[-1][0]:
            stop = min(stop, end) - 6
        bend = (stop - start) / 2
        path.append(
            f"H{num(start)}C{num(start + bend)} {num(y + dy)} {num(stop - bend)} "
            f"{num(y2 + dy)} {num(stop)} {num(y2 + dy)}"
        )
    path.append(f"H{num(end - 6)}")
    return "".join(path)


def _pivot_line(plan: Layout, pivot: int, dx: float, head: float, base: float) -> str:
    x = _line_x(plan, pivot, dx)
    colour = NO_STATE.stroke
    return (
        f'<path d="M{num(x)} {num(head)}V{num(base + 4)}" stroke="{colour}" stroke-width="1.5" '
        f'stroke-dasharray="6 4" fill="none"/>'
        + label(x, head - 6, "point of no return", size=11, fill=colour, anchor="middle")
    )


def _line_x(plan: Layout, pivot: int, dx: float) -> float:
    return plan.columns[plan.layer_of[pivot]][1] + dx + 34


def _looks(nodes: Sequence[FlowNode]) -> list[Look]:
    used = {node.state for node in nodes}
    return [look for state, look in STATES.items() if state in used]


def _legend(nodes: Sequence[FlowNode], plan: Layout) -> tuple[str, float, float]:
    kinds, states = {node.kind for node in nodes}, {node.state for node in nodes}
    entries: list[Entry] = [
        (look.shape, look.glyph, kind) for kind, look in KINDS.items() if kind in kinds
    ]
    if any(node.compensation for node in nodes):
        entries.append((_as_twin(NO_STATE), COMPENSATION_GLYPH, "compensation"))
    entries += [(look, look.glyph, state) for state, look in STATES.items() if state in states]
    width = plan.columns[-1][1] if plan.columns else 0.0
    return legend_rows(entries, max(LEGEND_WIDTH, min(width, 900)))
