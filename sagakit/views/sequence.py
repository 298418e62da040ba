"""Who said what to whom, as Mermaid sequence diagrams."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

import msgspec

from sagakit.views.few import few
from sagakit.views.style import NESTED_GLYPH
from sagakit.views.svg import clean

MOST_TEXT = 50_000  # characters: `maxTextSize` in Mermaid's configuration, which is seldom raised
_LEAST = 8  # messages that stay whatever they say: there is one of every kind among them
_LONGEST = 200  # characters of one text


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message; `kind` is "request", "reply", "error", "lost" or "note".

    `within` is the path of the step whose own conversation it belongs to: "pay", "pay/bank".
    """

    sender: str
    receiver: str
    text: str
    kind: str
    within: str = ""


# The arrow, and a glyph before the text where the arrow alone would not say it.
_ARROWS = {
    "request": ("->>", ""),
    "reply": ("-->>", ""),
    "error": ("-->>", "✗ "),
    "lost": ("-x", "⊘ lost: "),
}

# Faint enough for words on it, on light and on dark pages; a ground within a ground is darker.
_GROUND = "rgba(86, 180, 233, 0.15)"

# What is left as it stands: letters and digits of any script, and punctuation without a meaning.
_SPECIAL = re.compile(r"[^\w .,()/=|*!?…✗⊘↻↶✓◆▣-]")
_RESERVED = re.compile(r"\bend\b", re.IGNORECASE)


def mermaid_text(text: str) -> str:
    """`text` escaped for Mermaid: codes for what has a meaning there, `<br/>` for newlines.

    Of more than 200 characters the rest is left out.
    """
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    lines = [" ".join(line.split()) for line in clean(text).splitlines()]
    return "<br/>".join(map(_escape, lines)).strip() or "#160;"


def _escape(line: str) -> str:
    safe = _SPECIAL.sub(lambda found: f"#{ord(found[0])};", line)
    # "end" closes a block wherever it stands as a word, so its first letter is written as a code.
    return _RESERVED.sub(lambda found: f"#{ord(found[0][0])};{found[0][1:]}", safe)


def sequence_mermaid(
    participants: Sequence[str],
    messages: Sequence[Message],
    holds: Mapping[str, str] | None = None,
) -> str:
    """A Mermaid `sequenceDiagram`: participants from left to right, messages downwards.

    A sender or receiver that is not among `participants` is added at the right. Messages `within`
    a step stand on a tinted ground that says where they begin and end; where the conversations of
    two steps alternate, each goes on in a ground of its own. `holds` says by path what a step is:
    {"pay": "saga payment"}. Raises ValueError for an unknown kind of message.

    A diagram longer than Mermaid draws (50,000 characters) has only the rare kinds of messages and
    the first of the others; notes say how many are left out, and who says nothing any more goes.
    """
    text, most = _mermaid(participants, messages, holds or {}), len(messages)
    while len(text) > MOST_TEXT and most > _LEAST:
        most = max(most // 2, _LEAST)
        said = shortened(messages, most)
        heard = {name for message in said for name in (message.sender, message.receiver)}
        text = _mermaid([name for name in participants if name in heard], said, holds or {})
    return text


def shortened(messages: Sequence[Message], most: int) -> list[Message]:
    """`most` of the messages, and a note wherever some between them are left out."""
    kept = few([message.kind for message in messages], most)
    said: list[Message] = []
    for i, after in zip(kept, [*kept[1:], len(messages)], strict=True):
        one = messages[i]
        said.append(one)
        if after - i > 1:
            words = f"… {after - i - 1:,} more messages"
            said.append(msgspec.structs.replace(one, receiver=one.sender, text=words, kind="note"))
    return said


def _mermaid(
    participants: Sequence[str], messages: Sequence[Message], holds: Mapping[str, str]
) -> str:
    spoken = (name for m in messages for name in (m.sender, m.receiver))
    alias = {name: f"p{i}" for i, name in enumerate(dict.fromkeys((*participants, *spoken)))}
    lines = [f"    participant {short} as {mermaid_text(name)}" for name, short in alias.items()]
    grounds = _Grounds(messages, list(alias), holds)
    for i, message in enumerate(messages):
        lines += grounds.before(message)
        indent = "    " * (len(grounds.open) + 1)
        lines.append(f"{indent}{_line(message, alias[message.sender], alias[message.receiver])}")
        lines += grounds.after(i)
    return "\n".join(["sequenceDiagram", *lines, *grounds.close()]) + "\n"


class _Grounds:
    """The grounds of nested conversations: which are open, and what begins, goes on and ends."""

    def __init__(
        self, messages: Sequence[Message], names: list[str], holds: Mapping[str, str]
    ) -> None:
        self.open: list[str] = []
        self.holds = holds
        self.begun: set[str] = set()
        self.last: dict[str, int] = {}
        self.span: dict[str, tuple[int, int]] = {}
        column = {name: i for i, name in enumerate(names)}
        for i, message in enumerate(messages):
            ends = sorted((column[message.sender], column[message.receiver]))
            for path in _paths(message.within):
                first, last = self.span.get(path, (ends[0], ends[1]))
                self.span[path] = (min(first, ends[0]), max(last, ends[1]))
                self.last[path] = i

    def before(self, message: Message) -> list[str]:
        """What closes and opens before a message."""
        paths = _paths(message.within)
        kept = 0
        while kept < min(len(paths), len(self.open)) and paths[kept] == self.open[kept]:
            kept += 1
        lines = self.close(kept)
        for path in paths[kept:]:
            lines.append(f"{self._indent()}rect {_GROUND}")
            self.open.append(path)
            what = f": {self.holds[path]}" if self.holds.get(path) else ""
            lines.append(self._note(path, "goes on" if path in self.begun else f"begins{what}"))
            self.begun.add(path)
        return lines

    def after(self, i: int) -> list[str]:
        """What ends for good with the message of number `i`, innermost first."""
        lines: list[str] = []
        while self.open and self.last[self.open[-1]] == i:
            lines.append(self._note(self.open[-1], "is over"))
            lines += self.close(len(self.open) - 1)
        return lines

    def close(self, kept: int = 0) -> list[str]:
        """The ends of all grounds but the outer `kept`."""
        lines = []
        while len(self.open) > kept:
            self.open.pop()
            lines.append(f"{self._indent()}end")
        return lines

    def _note(self, path: str, words: str) -> str:
        first, last = self.span[path]
        over = f"p{first}" if first == last else f"p{first},p{last}"
        return f"{self._indent()}Note over {over}: {mermaid_text(f'{NESTED_GLYPH} {path} {words}')}"

    def _indent(self) -> str:
        return "    " * (len(self.open) + 1)


def _paths(within: str) -> list[str]:
    """The path and every path around it, outermost first."""
    return list(itertools.accumulate(within.split("/"), "{}/{}".format)) if within else []


def _line(message: Message, sender: str, receiver: str) -> str:
    text = mermaid_text(message.text)
    if message.kind == "note":
        over = sender if sender == receiver else f"{sender},{receiver}"
        return f"Note over {over}: {text}"
    arrow, before = arrow_of(message.kind)
    return f"{sender}{arrow}{receiver}: {_escape(before)}{text}"


def arrow_of(kind: str) -> tuple[str, str]:
    """Mermaid's arrow for a kind of message, and what stands before its text; ValueError names the
    kinds there are."""
    if kind not in _ARROWS:
        kinds = ", ".join([*_ARROWS, "note"])
        raise ValueError(f"no kind of message {kind!r}; there are {kinds}")
    return _ARROWS[kind]
