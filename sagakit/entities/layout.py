"""Lays Python code out as ``ruff format`` does where nothing is configured."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import msgspec

WIDTH = 88  # columns


class Call(msgspec.Struct, frozen=True):
    """Brackets with parts between them: a call, a list, a tuple of one."""

    head: str
    parts: tuple[Code, ...]
    tail: str = ")"

    def __str__(self) -> str:
        comma = "," if self.head == "(" and len(self.parts) == 1 else ""
        return f"{self.head}{', '.join(map(str, self.parts))}{comma}{self.tail}"


Code = str | Call


def laid_out(before: str, code: Code, indent: str, after: str = "") -> list[str]:
    """Lines for code that stands after ``before`` on a line so indented, and before ``after``."""
    flat = f"{indent}{before}{code}{after}"
    if isinstance(code, str) or len(flat) <= WIDTH:
        return [flat]
    inner = indent + "    "
    body = f"{inner}{', '.join(map(str, code.parts))}"
    is_tuple = code.head == "("
    if len(body) <= WIDTH and not is_tuple:
        lines = [body]
    else:
        lines = [line for part in code.parts for line in laid_out("", part, inner, ",")]
    return [f"{indent}{before}{code.head}", *lines, f"{indent}{code.tail}{after}"]


def assigned(name: str, kind: str, code: Call, indent: str) -> list[str]:
    """Lines for a call whose value is a column or relationship: ``name: Mapped[kind] = code``."""
    before, inner = f"{name}: Mapped[{kind}] = ", indent + "    "
    begins = len(f"{indent}{before}{code.head}") <= WIDTH and code.parts
    if begins or len(f"{indent}{before}{code}") <= WIDTH:
        return laid_out(before, code, indent)
    if len(f"{indent}{before}(") <= WIDTH:
        return [f"{indent}{before}(", *laid_out("", code, inner), f"{indent})"]
    return [f"{indent}{name}: Mapped[", f"{inner}{kind}", *laid_out("] = ", code, indent)]


def declared(name: str, kind: str, indent: str) -> list[str]:
    """Lines for a column without a value: ``name: Mapped[kind]``."""
    return laid_out(f"{name}: ", Call("Mapped[", (kind,), "]"), indent)


def comment(text: str, indent: str) -> list[str]:
    """The text as lines of comment; none for no text."""
    return textwrap.wrap(
        " ".join(text.split()),
        WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# ",
        break_on_hyphens=False,
    )


def docstring(paragraphs: Sequence[str], indent: str) -> list[str]:
    """The paragraphs as a docstring."""
    said = [" ".join(words.split()) for words in paragraphs]
    # a backslash means something, and quotes would end it
    safe = [words.replace("\\", "\\\\").replace('"', '\\"') for words in said]
    # three columns for the quotes at the end, as many as at the beginning
    wrapped = [
        textwrap.wrap(words, WIDTH - len(indent) - 6, break_on_hyphens=False) for words in safe
    ]
    lines = [line for words in wrapped for line in ("", *words)][1:]
    text = [f"{indent}{line}".rstrip() for line in lines]
    text[0] = f'{indent}"""{lines[0]}'
    text[-1] += '"""'
    return text
