from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagakit.views import Message, sequence_picture

from .conftest import SVG, parsed

Texts = Callable[[str], list[str]]


def say(sender: str, receiver: str, text: str, kind: str = "request") -> Message:
    return Message(sender=sender, receiver=receiver, text=text, kind=kind)


TALK = [
    say("a", "stock", "take\n◆ reads 'tea' = 5"),
    say("stock", "a", "done", "reply"),
    say("b", "stock", "take\nwrites 'tea' = 4", "lost"),
    say("b", "b", "✗ take: Refused", "note"),
    say("a", "b", "◆ lost update of stock['tea']", "note"),
]


def test_what_is_said_stands_in_the_picture_in_its_words_and_in_its_table(texts: Texts) -> None:
    picture = sequence_picture("a and b", ["a", "stock", "b"], TALK, stores=["stock"])
    assert texts(picture.svg)[:4] == ["a and b", "a", "stock", "b"]
    assert texts(picture.svg)[4:] == [
        "take", "◆ reads 'tea' = 5", "done", "⊘ lost: take", "writes 'tea' = 4", "✗ take: Refused",
        "◆ lost update of stock['tea']",
    ]  # fmt: skip
    assert picture.alt.startswith("a and b: a to stock: take, ◆ reads 'tea' = 5; stock to a: done")
    assert picture.table[1] == ("a", "stock", "take ◆ reads 'tea' = 5")
    assert repr(picture) == "<Picture: a and b>"


def test_a_line_that_is_marked_stands_out() -> None:
    svg = sequence_picture("t", ["a", "stock", "b"], TALK).svg
    bold = [text.text for text in parsed(svg).iter(f"{SVG}text") if text.get("font-weight")]
    assert [text for text in bold if text and "◆" in text] == [
        "◆ reads 'tea' = 5",
        "◆ lost update of stock['tea']",
    ]


def test_an_arrow_points_at_the_receiver() -> None:
    def tip(*message: str) -> tuple[float, str]:
        svg = sequence_picture("t", ["a", "b"], [say(*message)]).svg
        [head] = [
            p.get("d", "") for p in parsed(svg).iter(f"{SVG}path") if "-4v8z" in p.get("d", "")
        ]
        return float(head[1:].split()[0]), head.split("l")[1]

    (left, to_left), (right, to_right) = tip("b", "a", "hi"), tip("a", "b", "hi")
    assert left < right
    assert (to_left, to_right) == ("8 -4v8z", "-8 -4v8z")


def test_an_unknown_kind_of_message_is_refused() -> None:
    with pytest.raises(ValueError, match="no kind of message 'shout'; there are request"):
        sequence_picture("t", ["a", "b"], [say("a", "b", "hi", "shout")])


def test_of_very_many_messages_some_are_drawn_and_all_are_in_the_table(texts: Texts) -> None:
    picture = sequence_picture("t", ["a", "b"], [say("a", "b", str(n)) for n in range(1000)])
    assert len(texts(picture.svg)) < 400
    assert any("more messages" in text for text in texts(picture.svg))
    assert len(picture.table) == 1001


@given(
    st.text(),
    st.lists(st.builds(say, st.sampled_from("ab"), st.sampled_from("ab"), st.text(max_size=300))),
)
def test_any_text_makes_a_picture_within_its_card(title: str, messages: list[Message]) -> None:
    root = parsed(sequence_picture(title, ["a", "b"], messages).svg)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x", -1)) <= width
        assert 0 <= float(text.get("y", -1)) <= height
