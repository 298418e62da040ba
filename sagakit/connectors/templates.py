"""Texts with expressions in them: ``https://shop.example/orders/${results.create_order.id}``.

``${…}`` holds an expression in CEL; ``$${`` stands for ``${`` itself. A text that is nothing but
one expression gives that expression's value, a number or a list for instance, where data may
stand; anywhere else the value becomes text.
"""

from __future__ import annotations

import copy
import functools
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from sagakit.connectors import cel
from sagakit.connectors.secret import Secret, Vault, is_reference
from sagakit.errors import ExpressionError, Problem, TerminalError

_NESTED = 32  # data deeper than that is refused


class _Expression(NamedTuple):
    text: str


@functools.lru_cache(maxsize=2_000)
def _parts(text: str) -> tuple[str | _Expression, ...]:
    """The pieces of a text; ValueError for what is no template."""
    from sagakit.connectors.cel_engine import scan

    parts: list[str | _Expression] = []
    plain, at = "", 0
    while at < len(text):
        if text.startswith("$${", at):
            plain, at = plain + "${", at + 3
        elif text.startswith("${", at):
            end = scan(text, at + 2, closing=True)
            parts += [plain] if plain else []
            parts.append(_Expression(text[at + 2 : end]))
            plain, at = "", end + 1
        else:
            plain, at = plain + text[at], at + 1
    return (*parts, plain) if plain or not parts else tuple(parts)


def _pieces(text: str) -> tuple[str | _Expression, ...]:
    return _parts(text) if "${" in text else (text,)


def faults(value: Any, *path: str | int, names: tuple[str, ...] = cel.VARIABLES) -> list[Problem]:
    """What is wrong with the templates and references within plain data, with the cure.

    Parameters:
        path: where the data stands.
        names: the variables that expressions may use.
    """
    return list(_faults(value, path, names, 0))


def _faults(
    value: Any, path: tuple[str | int, ...], names: tuple[str, ...], depth: int
) -> Iterator[Problem]:
    if depth > _NESTED:
        yield Problem("is nested too deeply; write it flatter", *path)
    elif isinstance(value, Secret):
        yield from (Problem(text, *path, *text.path) for text in value.problems())
    elif is_reference(value):
        found = msgspec.convert(value, Secret).problems()
        yield from (Problem(text, *path, *text.path) for text in found)
    elif isinstance(value, str):
        for text in _text_faults(value, names):
            yield Problem(text, *path)
    elif isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str):
                yield Problem(f"has the key {key!r}; write it as text, in quotes", *path)
            yield from _faults(part, (*path, key), names, depth + 1)
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _faults(part, (*path, number), names, depth + 1)


def _text_faults(text: str, names: tuple[str, ...]) -> list[str]:
    if "${" not in text:
        return []
    try:
        parts = _parts(text)
    except ValueError as error:
        return [f"the template '{text[:80]}' {error}"]
    except ModuleNotFoundError as error:
        return [f"an expression needs {error.name}: pip install 'sagakit[connectors]'"]
    return [
        problem
        for part in parts
        if isinstance(part, _Expression)
        for problem in cel.faults(part.text, names)
    ]


class Filling:
    """Fills templates in for one call.

    Parameters:
        ctx: the step's context.
        vault: where secrets are looked up.
    """

    def __init__(self, ctx: Any, vault: Vault) -> None:
        self.place = vault.place
        self._vault = vault
        self.given: cel.Variables = cel.variables(ctx)

    def knowing(self, **values: Any) -> Filling:
        """One for which these variables have other values."""
        twin = copy.copy(self)
        twin.given = {
            **self.given,
            **{name: functools.partial(values.get, name) for name in values},
        }
        return twin

    def data(self, value: Any) -> Any:
        """Plain data with every template and reference in it replaced by its value."""
        if isinstance(value, str):
            parts = _pieces(value)
            if len(parts) == 1 and isinstance(parts[0], _Expression):
                return self._value(parts[0])
            return self.text(value)
        if isinstance(value, Secret):
            return self._vault.value(value)
        if is_reference(value):
            return self._vault.value(msgspec.convert(value, Secret))
        if isinstance(value, dict):
            return {key: self.data(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(part) for part in value]
        return value

    def text(self, value: str | Secret) -> str:
        """A text with every expression in it replaced."""
        return self._joined(value, str)

    def url(self, value: str | Secret) -> str:
        """A URL. What an expression gives cannot change the rest of it: it is percent-encoded,
        unless the URL begins with it; and it must be a segment, not none and no way upwards."""

        def escape(text: str) -> str:
            if text in ("", ".", ".."):
                raise TerminalError(
                    f"{self.place}: an expression in its url gives '{text}', which would make "
                    "another address of it; let it give an id"
                )
            return urllib.parse.quote(text, safe="")

        return self._joined(value, escape)

    def _joined(self, value: str | Secret, escape: Callable[[str], str]) -> str:
        if isinstance(value, Secret):
            return self._vault.value(value)
        texts = []
        for number, part in enumerate(_pieces(value)):
            if isinstance(part, str):
                texts.append(part)
            else:
                found = self._as_text(part)
                texts.append(escape(found) if number else found)
        return "".join(texts)

    def _value(self, part: _Expression) -> Any:
        return cel.evaluate(part.text, self.given, self.place)

    def _as_text(self, part: _Expression) -> str:
        value = self._value(part)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return str(value)
        if value is None or isinstance(value, list | dict):
            why = "gives nothing, a list or a mapping, where text is wanted"
            raise ExpressionError(self.place, part.text, why)
        return str(msgspec.to_builtins(value))


def refuse_line_breaks(text: str, place: str, what: str) -> str:
    """The text, if it cannot begin another header.

    Raises:
        TerminalError: it has a line break.
    """
    if any(character in text for character in "\r\n\0"):
        raise TerminalError(f"{place}: {what} has a line break; give one line")
    return text
