"""Python expressions as text, laid out as formatters do: what fits stands in one line, anything
else has a line for each of its parts, a comma behind each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

WIDTH = 88  # of black and ruff; what is laid out for it stays as it is in wider lines too
_INDENT = "    "


class Atom(NamedTuple):
    """What is never broken: a name, a number, a text."""

    text: str


class Items(NamedTuple):
    """``[…]``, ``(…)`` or a call: what is between its brackets.

    Parameters:
        begin: ``"["``, ``"("`` or ``"step("``.
        items: each with what stands in front of it, ``"after="`` or ``"*"``.
        end: the closing bracket.
    """

    begin: str
    items: Sequence[tuple[str, Node]]
    end: str


Node = Atom | Items


def call(head: str, *given: Node, **options: Node) -> Items:
    """``head(given, …, option=…)``."""
    items = [("", node) for node in given]
    return Items(f"{head}(", [*items, *((f"{k}=", node) for k, node in options.items())], ")")


def assignment(name: str, node: Node) -> str:
    """``name = …``, with a line break at its end."""
    return "\n".join(lines(f"{name} = ", node)) + "\n"


def text_of(value: str) -> str:
    """A text as Python writes it, in double quotes unless single ones need fewer escapes."""
    shown = repr(value)
    inner = shown[1:-1].replace("\\'", "'") if shown[0] == "'" else shown[1:-1]
    if value.count('"') > value.count("'"):
        return "'" + inner.replace("'", "\\'") + "'"
    return '"' + inner.replace('"', '\\"') + '"'


def flat(node: Node) -> str:
    """The node in one line."""
    if isinstance(node, Atom):
        return node.text
    inner = ", ".join(f"{front}{flat(item)}" for front, item in node.items)
    alone = "," if node.begin == "(" and len(node.items) == 1 else ""  # a tuple of one
    return f"{node.begin}{inner}{alone}{node.end}"


def lines(front: str, node: Node, behind: str = "", indent: str = "") -> Iterator[str]:
    """The lines of a node between what stands in front of it and behind it."""
    line = f"{indent}{front}{flat(node)}{behind}"
    if isinstance(node, Atom) or not node.items or len(line) <= WIDTH:
        yield line
        return
    yield f"{indent}{front}{node.begin}"
    for before, item in node.items:
        yield from lines(before, item, ",", indent + _INDENT)
    yield f"{indent}{node.end}{behind}"
