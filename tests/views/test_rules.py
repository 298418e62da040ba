from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from sagakit.views import RuleCall, RuleRow, calls_text, rules_picture

from .conftest import SVG, parsed

Texts = Callable[[str], list[str]]
OUTCOMES = ("succeeded", "failed", "in doubt", "running", "compensated", "compensation failed")
ENDS = ("completed", "compensated", "stuck", "waiting", "compensation failed", "running")


def row(*calls: RuleCall, ended: str = "compensated", **more: tuple[str, ...]) -> RuleRow:
    return RuleRow(rule="reverse order", ended=ended, calls=calls, **more)


def did(step: str, outcome: str = "succeeded", **more: bool) -> RuleCall:
    return RuleCall(step, "action", 1, outcome, **more)


def undid(step: str, outcome: str = "compensated", attempt: int = 1, **more: bool) -> RuleCall:
    return RuleCall(step, "compensation", attempt, outcome, **more)


def test_calls_at_once_and_retries_are_told_apart() -> None:
    calls = [did("a"), undid("a"), undid("b", "compensation failed", beside=True)]
    again = undid("b", attempt=2)
    assert calls_text([*calls, again]) == "✓ a → ↶ undo a ∥ ⊗ undo b → ↶ undo b (2)"
    assert calls_text([]) == ""


def test_what_is_left_is_said_in_the_words_of_the_end(texts: Texts) -> None:
    def said(ended: str, **more: tuple[str, ...]) -> str:
        return " | ".join(texts(rules_picture("s", "no faults", [row(ended=ended, **more)]).svg))

    assert "nothing is left behind" in said("compensated")
    assert "■ left behind: a, b ×2" in said("compensated", left=("a", "b ×2"))
    assert "left until a person decides: a" in said("stuck", left=("a",))
    assert "all is done, once" in said("completed")
    assert "nobody hears that it failed to undo a" in said("compensated", unseen=("undo a",))


def test_the_table_and_the_words_say_what_the_picture_does() -> None:
    picture = rules_picture("s", "fail b", [row(did("a"), undid("a"), left=("c",))])
    assert picture.table[0] == ("rule", "ended", "calls", "failed unseen", "left behind")
    assert picture.table[1] == ("reverse order", "compensated", "✓ a → ↶ undo a", "", "c")
    assert "reverse order: compensated, c left behind" in picture.alt
    assert repr(picture) == "<Picture: 's' under one rule of undoing>"


def test_of_very_many_calls_the_first_and_the_last_are_drawn(texts: Texts) -> None:
    many = [*(did(str(n)) for n in range(900)), *(undid(str(n)) for n in range(100))]
    found = texts(rules_picture("s", "no faults", [row(*many)]).svg)
    assert "… 936 more calls …" in found
    assert "✓ 0" in found
    assert "↶ undo 99" in found
    assert "✓ 500" not in found
    few = texts(rules_picture("s", "no faults", [row(*many[:64])]).svg)
    assert not any("more calls" in text for text in few)


calls = st.builds(
    RuleCall,
    st.text(st.characters(codec=None), max_size=40),
    st.sampled_from(["action", "compensation"]),
    st.integers(1, 5),
    st.sampled_from(OUTCOMES),
    st.booleans(),
)
rows = st.builds(
    RuleRow,
    rule=st.text(max_size=60),
    ended=st.sampled_from(ENDS),
    calls=st.lists(calls, max_size=30).map(tuple),
    unseen=st.lists(st.text(max_size=30), max_size=3).map(tuple),
    left=st.lists(st.text(max_size=30), max_size=9).map(tuple),
)


@given(st.text(max_size=200), st.text(max_size=200), st.lists(rows, max_size=4))
def test_whatever_it_is_given_the_picture_is_sound_and_nothing_leaves_the_card(
    title: str, scenario: str, some: list[RuleRow]
) -> None:
    svg = rules_picture(title, scenario, some).svg
    root = parsed(svg)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x", 0)) <= width
        assert 0 <= float(text.get("y", 0)) <= height
    for path in root.iter(f"{SVG}path"):
        start = re.match(r"M([\d.]+) ([\d.]+)", path.get("d", ""))
        assert start is None or float(start[1]) <= width
    assert svg == rules_picture(title, scenario, some).svg
