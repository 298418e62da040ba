"""The legend: the one place that says how a kind, a state, a status or a mark looks.

Colours are Okabe-Ito's, tinted for fills and darkened for lines. Colour never stands alone: every
look has a glyph of its own, and looks that share a hue differ in border or hatch. Glyphs are
characters without an emoji form, so that no font turns them into coloured pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

_T = TypeVar("_T")

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#888888"
BLACK, WHITE = "#000000", "#ffffff"

INK = "#1a1a1a"
MUTED = "#4a4a4a"
CARD = "#fcfcfd"
CARD_LINE = "#c9ccd1"
GRID = "#e3e5e8"
EDGE = "#5b6067"
FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"

HATCH_OPACITY = 0.28
COMPENSATION_GLYPH = "⇠"
NESTED_GLYPH = "▣"  # a step that has steps inside


def mix(first: str, second: str, share: float) -> str:
    """The colour `share` (0 to 1) of the way from `first` to `second`, both "#rrggbb"."""
    pairs = zip(bytes.fromhex(first[1:]), bytes.fromhex(second[1:]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How a thing is drawn: colours "#rrggbb", a glyph, an SVG dash array, a hatch's name."""

    glyph: str
    fill: str
    stroke: str
    dash: str = ""
    hatch: str = ""


class KindLook(msgspec.Struct, frozen=True, kw_only=True):
    """How a kind of step is drawn: the shape carries the kind, the colour carries the state."""

    glyph: str
    shape: str
    dot_shape: str
    meaning: str


def _look(glyph: str, colour: str, tint: float, dash: str = "", hatch: str = "") -> Look:
    # Darkened, because Okabe-Ito's yellow, sky and orange are too faint for a thin line on white.
    return Look(
        glyph=glyph,
        fill=mix(WHITE, colour, tint),
        stroke=mix(colour, BLACK, 0.35),
        dash=dash,
        hatch=hatch,
    )


KINDS: dict[str, KindLook] = {
    "compensatable": KindLook(
        glyph="⇆", shape="round", dot_shape="box", meaning="has a compensation"
    ),
    "pivot": KindLook(glyph="◆", shape="double", dot_shape="box", meaning="the point of no return"),
    "retriable": KindLook(
        glyph="»", shape="pointed", dot_shape="cds", meaning="retried until it succeeds"
    ),
    "plain": KindLook(glyph="•", shape="square", dot_shape="box", meaning="has no compensation"),
}

NO_STATE = Look(glyph="", fill="#eef3f8", stroke="#44546a")
NEUTRAL = Look(glyph="", fill="#f4f4f5", stroke="#6b7078")

STATES: dict[str, Look] = {
    "pending": _look("○", GREY, 0.02, dash="2 3"),
    "ready": _look("◔", BLUE, 0.06),
    "running": _look("►", SKY, 0.45),
    "waiting": _look("◷", YELLOW, 0.20, dash="2 2"),
    "retrying": _look("↻", ORANGE, 0.40, dash="7 3"),
    "succeeded": _look("✓", GREEN, 0.30),
    "skipped": _look("⊘", GREY, 0.18, dash="1 3"),
    "failed": _look("✗", VERMILLION, 0.38, hatch="cross"),
    "reconcile due": _look("⋯", BLUE, 0.10, dash="2 3"),
    "reconciling": _look("≟", BLUE, 0.25, dash="7 3"),
    "in doubt": _look("?", YELLOW, 0.55, dash="4 3", hatch="dots"),
    "stuck": Look(glyph="■", fill=mix(WHITE, VERMILLION, 0.5), stroke=BLACK, hatch="grid"),
    "compensation due": _look("◁", PURPLE, 0.08, dash="2 3"),
    "compensating": _look("◄", PURPLE, 0.45),
    "compensation retrying": _look("↺", ORANGE, 0.28, dash="7 3", hatch="back"),
    "compensated": _look("↶", PURPLE, 0.28, hatch="back"),
    "compensation failed": _look("⊗", VERMILLION, 0.38, dash="4 3", hatch="cross"),
    "compensation skipped": _look("⊖", GREY, 0.18, dash="1 3", hatch="back"),
    "kept": _look("⊙", GREEN, 0.10, dash="9 2"),
}

# What a timeline shows of an attempt besides how it ended; no state of a step.
SEGMENTS: dict[str, Look] = {"held": _look("‖", BLUE, 0.12, dash="1 2")}

# What differs between two executions.
DIFFERS = _look("≠", YELLOW, 0.30)

COMPENSATION_STATES = frozenset(
    {
        "compensation due",
        "compensating",
        "compensation retrying",
        "compensated",
        "compensation failed",
        "compensation skipped",
    }
)

STATUSES: dict[str, Look] = {
    "running": STATES["running"],
    "waiting": STATES["waiting"],
    "completed": STATES["succeeded"],
    "compensated": STATES["compensated"],
    "stuck": STATES["stuck"],
    "abandoned": _look("∅", GREY, 0.30, dash="4 3"),
}

MARKS: dict[str, Look] = {
    "pivot": _look("◆", BLUE, 0.10),
    "fault": _look("✶", VERMILLION, 0.20, dash="3 2"),
    "resolved": _look("✎", GREEN, 0.20, dash="6 2"),
    "migrated": _look("⇒", BLUE, 0.20, dash="5 2"),
    "signal": _look("▽", ORANGE, 0.20),
    "cancelled": _look("⊟", GREY, 0.30, dash="4 2"),
    "deadline": _look("⊠", VERMILLION, 0.30, dash="2 2"),
    "breaker": _look("⌁", VERMILLION, 0.20, dash="1 3"),
    "hedge": _look("⇉", PURPLE, 0.20, dash="3 3"),
    "crash": _look("╳", BLACK, 0.30, dash="1 2"),
    "end": _look("◉", GREY, 0.30, dash="2 4"),
}


def kind_look(kind: str) -> KindLook:
    """The look of a kind of step; ValueError names the kinds there are."""
    return _find(KINDS, kind, "kind")


def state_look(state: str) -> Look:
    """The look of a step's state; ValueError names the states there are."""
    return _find(STATES, state, "state")


def segment_look(outcome: str) -> Look:
    """The look of a timeline's bar; ValueError names the outcomes there are."""
    return _find({**STATES, **SEGMENTS}, outcome, "outcome")


def status_look(status: str) -> Look:
    """The look of an execution's status; ValueError names the statuses there are."""
    return _find(STATUSES, status, "status")


def mark_look(kind: str) -> Look:
    """The look of a timeline mark; ValueError names the kinds of mark there are."""
    return _find(MARKS, kind, "mark")


def legend() -> dict[str, dict[str, dict[str, str]]]:
    """The whole legend as JSON-ready data, so that a front end need not keep a copy of it.

    ``states`` say by ``on`` who shows them, the step or, if it has one, its ``compensation``;
    ``parts`` are what is neither a kind nor a state.
    """
    looks: dict[str, Mapping[str, msgspec.Struct]] = {
        "kinds": KINDS,
        "states": STATES,
        "segments": SEGMENTS,
        "statuses": STATUSES,
        "marks": MARKS,
        "contrasts": {"differs": DIFFERS},
    }
    found = {
        group: {name: msgspec.to_builtins(look) for name, look in named.items()}
        for group, named in looks.items()
    }
    for name, look in found["states"].items():
        look["on"] = "compensation" if name in COMPENSATION_STATES else "step"
    found["parts"] = {
        "step": {**msgspec.to_builtins(NO_STATE), "meaning": "a step without a state"},
        "compensation": {"glyph": COMPENSATION_GLYPH, "meaning": "its compensation"},
        "nested": {"glyph": NESTED_GLYPH, "meaning": "has steps inside"},
    }
    return found


def _find(looks: dict[str, _T], name: str, word: str) -> _T:
    try:
        return looks[name]
    except KeyError:
        raise ValueError(f"no {word} {name!r}; there are {', '.join(looks)}") from None
