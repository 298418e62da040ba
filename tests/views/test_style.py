from __future__ import annotations

import itertools

import msgspec
import pytest

from sagakit.transitions import StepState
from sagakit.views import style
from sagakit.views.style import (
    CARD,
    COMPENSATION_STATES,
    HATCH_OPACITY,
    INK,
    KINDS,
    MARKS,
    MUTED,
    NEUTRAL,
    NO_STATE,
    SEGMENTS,
    STATES,
    STATUSES,
    Look,
    legend,
    mix,
)

GROUPS = (KINDS, STATES, SEGMENTS, STATUSES, MARKS)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


ALL = {**STATES, **{f"mark {k}": v for k, v in MARKS.items()}, "none": NO_STATE, "neutral": NEUTRAL}
ALL |= SEGMENTS
ALL |= {f"status {k}": v for k, v in STATUSES.items()}


def test_every_state_has_a_glyph_of_its_own() -> None:
    glyphs = [look.glyph for look in STATES.values()]
    assert all(glyphs)
    assert len(set(glyphs)) == len(glyphs)


def test_every_state_that_the_coordinator_knows_has_a_look() -> None:
    assert set(STATES) == {str(state) for state in StepState}


def test_every_kind_has_a_glyph_and_a_shape_of_its_own() -> None:
    assert len({look.glyph for look in KINDS.values()}) == len(KINDS) == 4
    assert len({look.shape for look in KINDS.values()}) == 4


def test_kinds_states_and_marks_never_share_a_glyph() -> None:
    groups = [[look.glyph for look in group.values()] for group in (KINDS, STATES, SEGMENTS)]
    glyphs = [*itertools.chain(*groups), style.COMPENSATION_GLYPH, style.NESTED_GLYPH]
    assert len(set(glyphs)) == len(glyphs)
    marks = {look.glyph for kind, look in MARKS.items() if kind != "pivot"}
    assert not marks & set(glyphs)
    assert MARKS["pivot"].glyph == KINDS["pivot"].glyph


def test_no_two_states_look_alike_without_their_glyph() -> None:
    every = [*STATES.values(), *SEGMENTS.values()]
    looks = [msgspec.structs.replace(look, glyph="") for look in every]
    assert len(set(map(repr, looks))) == len(looks)


def test_no_two_states_differ_by_colour_alone_when_both_are_filled_alike() -> None:
    # In grey, or to a colour-blind eye, the glyph, the dash or the hatch still tells them apart.
    marks = [(look.glyph, look.dash, look.hatch) for look in STATES.values()]
    assert len(set(marks)) == len(marks)


@pytest.mark.parametrize("look", ALL.values(), ids=ALL)
def test_words_keep_their_contrast_on_every_fill(look: Look) -> None:
    assert contrast(INK, look.fill) >= 4.5
    if look.hatch:
        assert contrast(INK, mix(look.fill, look.stroke, HATCH_OPACITY)) >= 4.5


@pytest.mark.parametrize("look", [*STATES.values(), NO_STATE, NEUTRAL])
def test_small_words_keep_their_contrast_inside_boxes(look: Look) -> None:
    assert contrast(MUTED, look.fill) >= 4.5


@pytest.mark.parametrize("look", ALL.values(), ids=ALL)
def test_borders_stand_out_from_the_card(look: Look) -> None:
    assert contrast(look.stroke, CARD) >= 3.0


def test_words_keep_their_contrast_on_the_card() -> None:
    assert contrast(INK, CARD) >= 4.5
    assert contrast(MUTED, CARD) >= 4.5
    for look in MARKS.values():  # a mark's words have its line's colour
        assert contrast(look.stroke, CARD) >= 4.5


def test_glyphs_have_no_emoji_form() -> None:
    # Of the characters that do, these are the tempting ones.
    tempting = set("▶◀↩↪✔✖⚠⚡⏭⏸⏹☠‼↔✏▪")
    used = {look.glyph for group in GROUPS for look in group.values()}
    assert not used & tempting


def test_compensation_states_are_states() -> None:
    assert set(STATES) > COMPENSATION_STATES


def test_the_legend_is_json_ready() -> None:
    data = msgspec.json.decode(msgspec.json.encode(legend()))
    assert data["states"]["in doubt"]["glyph"] == "?"
    assert set(data) == {
        "kinds", "states", "segments", "statuses", "marks", "contrasts", "parts",
    }  # fmt: skip


def test_the_legend_says_who_shows_a_state() -> None:
    states = legend()["states"]
    shown = {name for name, look in states.items() if look["on"] == "compensation"}
    assert shown == COMPENSATION_STATES


def test_an_unknown_state_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no state 'done'; there are pending, ready"):
        style.state_look("done")
    with pytest.raises(ValueError, match="no status 'failed'"):
        style.status_look("failed")
