from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagakit.views import Mermaid, Message, sequence_mermaid
from sagakit.views.sequence import MOST_TEXT, mermaid_text

any_text = st.text(st.characters(codec=None), max_size=40)
LINE = re.compile(
    r"sequenceDiagram|    participant p\d+ as .+|    p\d+(->>|-->>|-x)p\d+: .+"
    r"|    Note over p\d+(,p\d+)?: .+"
)
NESTED = re.compile(rf"(?:    )*(?:{LINE.pattern}|    rect rgba\([\d., ]+\)|    end)")


def message(kind: str, text: str = "hello", sender: str = "a", receiver: str = "b") -> Message:
    return Message(sender=sender, receiver=receiver, text=text, kind=kind)


def test_a_conversation_reads_as_mermaid() -> None:
    text = sequence_mermaid(
        ["coordinator", "payments"],
        [
            message("request", "charge 42 EUR", "coordinator", "payments"),
            message("error", "ConnectionError", "payments", "coordinator"),
            message("note", "waits 0.5 s", "coordinator", "coordinator"),
            message("lost", "reply", "payments", "coordinator"),
            message("reply", "ok", "payments", "coordinator"),
        ],
    )
    assert text == (
        "sequenceDiagram\n"
        "    participant p0 as coordinator\n"
        "    participant p1 as payments\n"
        "    p0->>p1: charge 42 EUR\n"
        "    p1-->>p0: ✗ ConnectionError\n"
        "    Note over p0: waits 0.5 s\n"
        "    p1-xp0: ⊘ lost#58; reply\n"
        "    p1-->>p0: ok\n"
    )


@given(
    st.lists(any_text, max_size=4),
    st.lists(
        st.builds(
            Message,
            sender=any_text,
            receiver=any_text,
            text=any_text,
            kind=st.sampled_from(["request", "reply", "error", "lost", "note"]),
        ),
        max_size=5,
    ),
)
def test_every_line_is_grammatical_whatever_the_words(
    participants: list[str], messages: list[Message]
) -> None:
    lines = sequence_mermaid(participants, messages).removesuffix("\n").split("\n")
    assert all(LINE.fullmatch(line) for line in lines)
    assert len(lines) == 1 + len(
        {*participants, *(n for m in messages for n in (m.sender, m.receiver))}
    ) + len(messages)


def within(path: str, text: str = "hello", receiver: str = "b") -> Message:
    return Message(sender="a", receiver=receiver, text=text, kind="request", within=path)


def test_a_nested_conversation_stands_on_a_ground_that_says_where_it_begins_and_ends() -> None:
    text = sequence_mermaid(
        [],
        [message("request"), within("pay"), within("pay/bank", receiver="c"), within("pay")],
        {"pay": "saga payment"},
    )
    assert text.split("\n")[4:-1] == [
        "    p0->>p1: hello",
        "    rect rgba(86, 180, 233, 0.15)",
        "        Note over p0,p2: ▣ pay begins#58; saga payment",
        "        p0->>p1: hello",
        "        rect rgba(86, 180, 233, 0.15)",
        "            Note over p0,p2: ▣ pay/bank begins",
        "            p0->>p2: hello",
        "            Note over p0,p2: ▣ pay/bank is over",
        "        end",
        "        p0->>p1: hello",
        "        Note over p0,p2: ▣ pay is over",
        "    end",
    ]


def test_conversations_that_alternate_stay_in_order_and_go_on_in_a_new_ground() -> None:
    text = sequence_mermaid([], [within("x", "1"), within("y", "2"), within("x", "3")])
    said = [line.strip() for line in text.split("\n") if ": " in line]
    assert [line.split(": ")[1] for line in said] == [
        "▣ x begins",
        "1",
        "▣ y begins",
        "2",
        "▣ y is over",
        "▣ x goes on",
        "3",
        "▣ x is over",
    ]


@given(
    st.lists(
        st.builds(
            within,
            st.sampled_from(["", "pay", "pay/bank", "ship", "end", "/", "a//b"]) | any_text,
            any_text,
            any_text,
        ),
        max_size=6,
    )
)
def test_every_ground_is_closed_and_every_line_grammatical_whatever_the_paths(
    messages: list[Message],
) -> None:
    lines = sequence_mermaid([], messages).removesuffix("\n").split("\n")
    assert all(NESTED.fullmatch(line) for line in lines)
    depth = 0
    for line in lines[1:]:
        depth -= line.strip() == "end"
        assert line.startswith("    " * (depth + 1))
        depth += line.strip().startswith("rect ")
    assert depth == 0
    assert sum("->>" in line for line in lines) == len(messages)


@given(any_text)
def test_escaped_text_holds_no_mermaid_syntax_and_reads_as_before(text: str) -> None:
    escaped = mermaid_text(text)
    bare = re.sub(r"#\d+;|<br/>", " ", escaped)
    assert not re.search(r"[;#<>%{}:\"\\\n\r]", bare)
    assert not re.search(r"\bend\b", escaped.replace(";", ""), re.IGNORECASE)


@pytest.mark.parametrize("text", ["a;b", "50% #1", "<b>", "the end", "END", "x: y", "%%{init}%%"])
def test_special_words_come_back_when_decoded(text: str) -> None:
    decoded = html.unescape(re.sub(r"#(\d+);", r"&#\1;", mermaid_text(text)))
    assert decoded == text


def test_newlines_become_breaks_and_nothing_becomes_a_space() -> None:
    assert mermaid_text("a\nb") == "a<br/>b"
    assert mermaid_text("") == "#160;"


def test_a_conversation_too_long_for_mermaid_keeps_what_is_rare_and_counts_the_rest() -> None:
    names = [f"service {i}" for i in range(3_000)]
    messages = [message("request", "please", "coordinator", name) for name in names]
    messages[2_000] = message("error", "the only one", "service 2000", "coordinator")
    text = sequence_mermaid(["coordinator", *names], messages)
    assert MOST_TEXT / 4 < len(text) <= MOST_TEXT
    assert "✗ the only one" in text
    told = text.count(": please\n")
    left = [int(n.replace(",", "")) for n in re.findall(r"… ([\d,]+) more messages", text)]
    assert told + 1 + sum(left) == 3_000
    assert text.count("participant ") == told + 2, "who says nothing any more is not there"


@given(st.integers(0, 600), st.text(min_size=200, max_size=300), st.sampled_from(["", "a/b/c"]))
def test_no_conversation_is_too_long_for_mermaid(count: int, words: str, path: str) -> None:
    messages = [within(path, words, f"{words}{i}") for i in range(count)]
    text = sequence_mermaid([words], messages)
    assert len(text) <= MOST_TEXT
    lines = text.removesuffix("\n").split("\n")
    assert all(NESTED.fullmatch(line) for line in lines)


def test_an_unknown_kind_of_message_is_refused() -> None:
    with pytest.raises(ValueError, match="no kind of message 'shout'"):
        sequence_mermaid([], [message("shout")])


def test_mermaid_is_text_with_a_mime_type() -> None:
    diagram = Mermaid("sequenceDiagram\n    p0->>p1: x\n")
    assert str(diagram) == diagram.text
    assert repr(diagram) == "<Mermaid: sequenceDiagram, 2 lines>"
    assert diagram._repr_mimebundle_() == {
        "text/vnd.mermaid": diagram.text,
        "text/plain": diagram.text,
    }
    assert list(diagram._repr_mimebundle_(include={"text/plain"})) == ["text/plain"]
    assert list(diagram._repr_mimebundle_(exclude={"text/plain"})) == ["text/vnd.mermaid"]
    assert repr(Mermaid("")) == "<Mermaid: , 1 lines>"
