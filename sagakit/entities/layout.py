"""What the models are written of: columns, comments and docstrings, as formatters lay them out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from sagakit.pretty import WIDTH, Atom, Items, flat, lines


def bracketed(begin: str, parts: Iterable[str | Items], end: str = ")") -> Items:
    """``begin``, the parts, of which text is never broken, and ``end``."""
    return Items(begin, [("", Atom(p) if isinstance(p, str) else p) for p in parts], end)


def assigned(name: str, kind: str, value: Items, indent: str) -> list[str]:
    """Lines for ``name: Mapped[kind] = value``."""
    before, inner = f"{name}: Mapped[{kind}] = ", indent + "    "
    begins = len(f"{indent}{before}{value.begin}") <= WIDTH and value.items
    if begins or len(f"{indent}{before}{flat(value)}") <= WIDTH:
        return [*lines(before, value, "", indent)]
    if len(f"{indent}{before}(") <= WIDTH:
        return [f"{indent}{before}(", *lines("", value, "", inner), f"{indent})"]
    return [f"{indent}{name}: Mapped[", f"{inner}{kind}", *lines("] = ", value, "", indent)]


def declared(name: str, kind: str, indent: str) -> list[str]:
    """Lines for ``name: Mapped[kind]``."""
    line = f"{indent}{name}: Mapped[{kind}]"
    broken = [f"{indent}{name}: Mapped[", f"{indent}    {kind}", f"{indent}]"]
    return [line] if len(line) <= WIDTH else broken


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
