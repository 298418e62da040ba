"""Which rows a timeline has: inner steps under the step they are in, the rest of many as one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from sagakit.views.few import few

MOST_INSIDE = 12
MOST_OUTSIDE = 200


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A row to be: the step's name, what the gutter says of it and how deep it stands.

    A summary row has no step of its own (`name` is "") and stands for the steps in `hidden`.
    """

    name: str
    words: str
    depth: int = 0
    hidden: tuple[str, ...] = ()


class Tree:
    """Steps by the steps they are in: `pay/charge` is in `pay`, where there is a step `pay`.

    Of more than `MOST_INSIDE` in one step, or `MOST_OUTSIDE` in none, those with rare `outcomes`
    and the first are shown.
    """

    def __init__(self, names: Sequence[str], outcomes: Mapping[str, str]) -> None:
        known = set(names)
        self.above = {name: _above(name, known) for name in names}
        self.inside: dict[str | None, list[str]] = {}
        for name in names:
            self.inside.setdefault(self.above[name], []).append(name)
        self.nested = any(above is not None for above in self.above.values())
        self._hidden: set[str] = set()
        for above, inner in self.inside.items():
            most = MOST_OUTSIDE if above is None else MOST_INSIDE
            if len(inner) > most:
                kept = few([outcomes.get(name) for name in inner], most - 1)
                self._hidden.update(set(inner) - {inner[i] for i in kept})

    def left_out(self, name: str) -> str | None:
        """The outermost hidden step that `name` is or is in; None where its row is shown."""
        found, at = None, name if self._hidden else None
        while at is not None:
            found = at if at in self._hidden else found
            at = self.above[at]
        return found

    def with_those_around(self, names: Collection[str]) -> set[str]:
        """The names and every step that one of them is in."""
        found: set[str] = set()
        for name in names:
            at: str | None = name
            while at is not None and at not in found:
                found.add(at)
                at = self.above[at]
        return found

    def lines(self, names: Collection[str], *, backward: bool = False) -> list[Line]:
        """The rows for `names`, a step above those inside it; `backward` turns siblings round."""
        return list(self._lines(None, 0, frozenset(names), backward))

    def _lines(
        self, above: str | None, depth: int, names: frozenset[str], backward: bool
    ) -> Iterator[Line]:
        inner = [name for name in self.inside.get(above, ()) if name in names]
        for name in reversed(inner) if backward else inner:
            if name in self._hidden:
                continue
            words = name if above is None else name[len(above) + 1 :]
            yield Line(name=name, words=words, depth=depth)
            yield from self._lines(name, depth + 1, names, backward)
        hidden = tuple(name for name in inner if name in self._hidden)
        if hidden:
            yield Line(name="", words=f"… {len(hidden):,} more", depth=depth, hidden=hidden)


def _above(name: str, known: set[str]) -> str | None:
    """The longest part of the path before a slash that is a step."""
    end = name.rfind("/")
    while end > 0:
        if name[:end] in known:
            return name[:end]
        end = name.rfind("/", 0, end)
    return None
