"""Who said what to whom, as Mermaid sequence diagrams."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from sagakit.views.svg import clean


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message; `kind` is "request", "reply", "error", "lost" or "note"."""

    sender: str
    receiver: str
    text: str
    kind: str


# The arrow, and a glyph before the text where the arrow alone would not say it.
_ARROWS = {
    "request": ("->>", ""),
    "reply": ("-->>", ""),
    "error": ("-->>", "✗ "),
    "lost": ("-x", "⊘ lost: "),
}

# What is left as it stands: letters and digits of any script, and punctuation without a meaning.
_SPECIAL = re.compile(r"[^\w .,()/=|*!?…✗⊘↻↶✓◆-]")
_RESERVED = re.compile(r"\bend\b", re.IGNORECASE)


def mermaid_text(text: str) -> str:
    """`text` escaped for Mermaid: codes for what has a meaning there, `<br/>` for newlines."""
    lines = [" ".join(line.split()) for line in clean(text).splitlines()]
    return "<br/>".join(map(_escape, lines)).strip() or "#160;"


def _escape(line: str) -> str:
    safe = _SPECIAL.sub(lambda found: f"#{ord(found[0])};", line)
    # "end" closes a block wherever it stands as a word, so its first letter is written as a code.
    return _RESERVED.sub(lambda found: f"#{ord(found[0][0])};{found[0][1:]}", safe)


def sequence_mermaid(participants: Sequence[str], messages: Sequence[Message]) -> str:
    """A Mermaid `sequenceDiagram`: participants from left to right, messages downwards.

    A sender or receiver that is not among `participants` is added at the right. Raises ValueError
    for an unknown kind of message.
    """
    spoken = (name for m in messages for name in (m.sender, m.receiver))
    alias = {name: f"p{i}" for i, name in enumerate(dict.fromkeys((*participants, *spoken)))}
    lines = [f"    participant {short} as {mermaid_text(name)}" for name, short in alias.items()]
    lines += [f"    {_line(m, alias[m.sender], alias[m.receiver])}" for m in messages]
    return "\n".join(["sequenceDiagram", *lines]) + "\n"


def _line(message: Message, sender: str, receiver: str) -> str:
    text = mermaid_text(message.text)
    if message.kind == "note":
        over = sender if sender == receiver else f"{sender},{receiver}"
        return f"Note over {over}: {text}"
    if message.kind not in _ARROWS:
        kinds = ", ".join([*_ARROWS, "note"])
        raise ValueError(f"no kind of message {message.kind!r}; there are {kinds}")
    arrow, before = _ARROWS[message.kind]
    return f"{sender}{arrow}{receiver}: {_escape(before)}{text}"
