"""The flow drawn by ourselves: byte-stable SVG, with no Graphviz to differ by version."""

from __future__ import annotations

from collections.abc import Sequence

from sagakit.views.flow_boxes import as_twin
from sagakit.views.flow_level import LINE_ROOM, draw_level, lay_out
from sagakit.views.flow_lines import line_x
from sagakit.views.flow_words import flow_alt
from sagakit.views.legend_svg import Entry, legend_rows, status_badge
from sagakit.views.nodes import Flow, FlowNode, walk
from sagakit.views.style import (
    COMPENSATION_GLYPH,
    KINDS,
    MUTED,
    NESTED_GLYPH,
    NO_STATE,
    STATES,
    Look,
)
from sagakit.views.svg import card, fit, hatches, label, num, oneline, text_width

MARGIN = 22.0
LEGEND_WIDTH = 560.0


def draw_flow(flow: Flow) -> str:
    """The flow as an SVG document, the same bytes for the same input on every machine."""
    level = lay_out(flow)
    every = [node for _, node in walk(flow.nodes)]
    steps_width = level.width if level.parts else 0.0
    legend, legend_width, legend_height = _legend(every, steps_width)
    head = 40.0 + (LINE_ROOM if level.pivots else 0)
    title = oneline(flow.title)
    shown = fit(title, 15, max(level.width, 320))
    beside = 150 if flow.status else 0  # the badge's room
    note = fit(flow.note, 11, 200)
    after = text_width(shown, 15) + (10 if note else 0)
    wide = max(level.width, after + text_width(note, 11) + beside, legend_width)
    dx = MARGIN + ((wide - level.width) / 2 if level.parts else 0)
    base = head + 6 + level.height
    width = max([wide + 2 * MARGIN, *(line_x(level.plan, i, dx) + 62 for i in level.pivots)])
    body = [
        hatches(_looks(every)),
        label(MARGIN, 27, shown, size=15, extra='font-weight="bold"'),
        label(MARGIN + after, 27, note, size=11, fill=MUTED) if note else "",
        status_badge(flow.status, width - MARGIN) if flow.status else "",
        *draw_level(level, dx, head + 6),
        f'<g transform="translate({num(MARGIN)} {num(base + 18)})">{legend}</g>',
    ]
    height = base + 18 + legend_height + 8
    desc = flow_alt(title, flow.nodes, flow.status, flow.note)
    return card(width, height, title, desc, filter(None, body))


def _looks(nodes: Sequence[FlowNode]) -> list[Look]:
    used = {node.state for node in nodes}
    return [look for state, look in STATES.items() if state in used]


def _legend(nodes: Sequence[FlowNode], width: float) -> tuple[str, float, float]:
    kinds, states = {node.kind for node in nodes}, {node.state for node in nodes}
    entries: list[Entry] = [
        (look.shape, look.glyph, kind) for kind, look in KINDS.items() if kind in kinds
    ]
    if any(node.compensation for node in nodes):
        entries.append((as_twin(NO_STATE), COMPENSATION_GLYPH, "compensation"))
    if any(node.holds and node.inner is None for node in nodes):
        entries.append(("stacked", NESTED_GLYPH, "has steps inside, closed"))
    if any(node.inner is not None for node in nodes):
        entries.append(("framed", NESTED_GLYPH, "has steps inside, open"))
    entries += [(look, look.glyph, state) for state, look in STATES.items() if state in states]
    return legend_rows(entries, max(LEGEND_WIDTH, min(width, 900)))
