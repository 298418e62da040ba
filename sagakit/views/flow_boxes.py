"""The boxes of a flow: a step, its compensation twin, the sheet behind a closed step, a frame's
head; how large each is for its words, and its SVG."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sagakit.views.nodes import FlowNode
from sagakit.views.style import (
    COMPENSATION_GLYPH,
    INK,
    KINDS,
    MUTED,
    NESTED_GLYPH,
    NEUTRAL,
    NO_STATE,
    STATES,
    STATUSES,
    Look,
)
from sagakit.views.svg import box, fit, label, num, oneline, text_width

MAX_TEXT = 190.0
_BOLD = 'font-weight="bold"'
_ITALIC = 'font-style="italic"'
_MOST_LINES = 6  # of notes: enough for a read whose service has all five policies
_BESIDE = 12.0  # px between a frame's name, its state and its badge

# A line of text: its words, size, colour and further attributes.
Line = tuple[str, float, str, str]


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A box and its lines of text."""

    lines: list[Line]
    width: float
    height: float


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The words at the top of a frame: those of its first row, and the small lines below it.

    `least` is the width in px that the first row needs.
    """

    name: str
    state: str
    status: str
    small: list[str]
    least: float
    height: float


def step_block(node: FlowNode) -> Block:
    """A step that is drawn as a box."""
    lines: list[Line] = [(_name(node), 13.0, INK, _BOLD)]
    if node.own_state:
        lines.append((_state(node), 11.0, INK, ""))
    if node.holds:
        lines.append((fit(f"{NESTED_GLYPH} {node.holds}", 10, MAX_TEXT), 10.0, INK, ""))
    if node.service:
        lines.append((fit(node.service, 10, MAX_TEXT), 10.0, MUTED, _ITALIC))
    lines += [(line, 10.0, MUTED, "") for line in _wrapped(node.notes)]
    return _block(lines, 15 if node.kind == "retriable" else 12, 84)


def twin_block(node: FlowNode) -> Block | None:
    """A step's compensation, if it has one."""
    if not node.compensation:
        return None
    lines: list[Line] = [
        (fit(f"{COMPENSATION_GLYPH} {node.compensation}", 11, MAX_TEXT), 11.0, INK, "")
    ]
    if node.twin_state:
        lines.append((f"{STATES[node.twin_state].glyph} {node.twin_state}", 10.0, INK, ""))
    return _block(lines, 9, 64)


def frame_head(node: FlowNode, room: float) -> Head:
    """The head of a step that is drawn open; its small words are wrapped at `room` px or more."""
    name, state = _name(node), _state(node) if node.own_state else ""
    status = node.inside_status
    status = f"{STATUSES[status].glyph} {status}" if status else ""
    least = text_width(name, 13)
    least += text_width(state, 11) + _BESIDE if state else 0
    least += text_width(status, 10) + 14 + _BESIDE if status else 0
    words = [f"{NESTED_GLYPH} {node.holds}"] + ([node.service] if node.service else [])
    small = _wrapped([*words, *node.notes], max(room, least, 150), max(room, least, MAX_TEXT))
    wide = [text_width(line, 10) for line in small]
    return Head(
        name=name,
        state=state,
        status=status,
        small=small,
        least=max(least, *wide),
        height=24 + 14.0 * len(small) + 6,
    )


def look_of(node: FlowNode) -> Look:
    """How the step itself is drawn."""
    return STATES[node.own_state] if node.own_state else NEUTRAL if node.state else NO_STATE


def twin_look(node: FlowNode) -> Look:
    """How the step's compensation is drawn."""
    return STATES[node.twin_state] if node.twin_state else as_twin(look_of(node))


def as_twin(look: Look) -> Look:
    """A compensation that has no state of its own is only a possibility: dashed and pale."""
    return msgspec.structs.replace(NEUTRAL, fill="#ffffff", dash="4 3", stroke=look.stroke)


def draw_block(block: Block, look: Look, shape: str, cx: float, top: float, line: float) -> str:
    """The box and its words, centred on `cx`."""
    parts = [box(look, shape, cx - block.width / 2, top, block.width, block.height, line)]
    if look.hatch:
        wide = max(text_width(text, size) for text, size, _, _ in block.lines)
        parts.append(_ground(look, cx - wide / 2, top + 4, wide, block.height - 8))
    y = top + (block.height - sum(size + 4 for _, size, _, _ in block.lines)) / 2
    for text, size, colour, extra in block.lines:
        y += size + 4
        parts.append(
            label(cx, y - 4 + 0.5, text, size=size, fill=colour, anchor="middle", extra=extra)
        )
    return "".join(parts)


def draw_head(head: Head, look: Look, status: str, x: float, top: float, width: float) -> str:
    """A frame's head from (`x`, `top`) down, its badge ending `width` px further right."""
    parts = []
    if look.hatch:
        parts.append(_ground(look, x - 3, top + 4, head.least + 6, head.height - 6))
    parts.append(label(x, top + 19, head.name, size=13, extra=_BOLD))
    if head.state:
        after = x + text_width(head.name, 13) + _BESIDE
        parts.append(label(after, top + 19, head.state, size=11))
    if head.status:
        badge, wide = STATUSES[status], text_width(head.status, 10) + 14
        parts.append(
            f'<rect x="{num(x + width - wide)}" y="{num(top + 7)}" width="{num(wide)}" height="16" '
            f'rx="8" fill="{badge.fill}" stroke="{badge.stroke}"/>'
        )
        middle = x + width - wide / 2
        parts.append(label(middle, top + 18.5, head.status, size=10, anchor="middle"))
    for i, line in enumerate(head.small):
        parts.append(label(x, top + 34 + 14 * i, line, size=10, fill=INK if i == 0 else MUTED))
    return "".join(parts)


def _ground(look: Look, x: float, y: float, w: float, h: float) -> str:
    """A quiet ground under words, or a hatch line strikes them through."""
    return (
        f'<rect x="{num(x)}" y="{num(y)}" width="{num(w)}" '
        f'height="{num(h)}" rx="4" fill="{look.fill}" fill-opacity="0.7"/>'
    )


def _name(node: FlowNode) -> str:
    return fit(f"{KINDS[node.kind].glyph} {node.name}", 13, MAX_TEXT)


def _state(node: FlowNode) -> str:
    return f"{look_of(node).glyph} {node.own_state}"


def _block(lines: list[Line], pad: float, least: float) -> Block:
    width = max(text_width(text, size) for text, size, _, _ in lines) + 2 * pad
    height = sum(size + 4 for _, size, _, _ in lines) + pad
    return Block(lines=lines, width=max(width, least), height=height)


def _wrapped(notes: Sequence[str], width: float = 150, most: float = MAX_TEXT) -> list[str]:
    """At most six lines, joined up to `width` px; a note longer than `most` px is cut."""
    lines: list[str] = []
    for note in map(oneline, notes):
        joined = f"{lines[-1]} · {note}" if lines else note
        if lines and text_width(joined, 10) <= width:
            lines[-1] = joined
        elif len(lines) == _MOST_LINES:
            lines[-1] = fit(f"{lines[-1]} …", 10, most)
            break
        else:
            lines.append(fit(note, 10, most))
    return lines
