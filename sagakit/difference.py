"""How two definitions of one saga differ, and what that means for a running execution.

A step that has begun is history: what the definition says of it must stay as it was, and so must
the order among such steps. What has not begun may be changed, added and removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from sagakit.execution import Execution
    from sagakit.saga import Saga

_ENDED = ("completed", "compensated", "abandoned")


class Difference(msgspec.Struct, frozen=True):
    """What ``Saga.diff`` found. ``changes`` tells each change in a sentence."""

    changes: tuple[str, ...]
    old: Mapping[str, Any]  # its shape; the journal keeps no more of it
    new: Saga

    @property
    def compatible(self) -> bool:
        """Whether the steps are the same, so that every execution that has not ended may go on
        under the new definition. If not, ``allows`` tells for each one."""
        return bool(self.old == self.new.shape)

    def allows(self, execution: Execution) -> list[str]:
        """Why this execution of the old definition may not go on under the new one; an empty
        list: it may.

        It may if nothing changes for the steps that have begun, and if all its events could have
        happened under the new definition as well and would have led to the same state.
        """
        if execution.status in _ENDED:
            return [f"it has ended: it is {execution.status}"]
        strangers = [name for name in execution.begun if name not in self.old["steps"]]
        if strangers:
            return [f"step '{name}' is not part of the old definition" for name in strangers]
        found = [why for name in execution.begun for why in self._of_begun(name, execution)]
        found += self._not_done_for_real(execution)
        return found or execution.unlike(self.new)

    def _of_begun(self, name: str, execution: Execution) -> Iterator[str]:
        """What changes for a step that has begun."""
        place = f"step '{name}' has begun ({execution.states[name]}), and "
        was, now = self.old["steps"], self.new.shape["steps"]
        if name not in now:
            yield f"{place}is gone"
            return
        for key, change in changed(was[name], now[name]):
            if key != "after":
                yield f"{place}its {change}"
        before, above = _above(was, name), _above(now, name)
        for other in sorted(above - before):
            yield f"{place}now comes after '{other}'"
        for other in sorted(before - above):
            yield f"{place}no longer comes after '{other}'"
        chooser = self.new.plan.choices.get(self.new.plan.index[name])
        chosen = execution.results.get(name)
        if chooser is not None and chosen is not None and chosen not in chooser.branches:
            yield f"{place}its choice {chosen!r} is no branch any more"

    def _not_done_for_real(self, execution: Execution) -> list[str]:
        """Real steps that would be recorded as done though nobody did them."""
        was, now = self.old["steps"], self.new.shape["steps"]
        return [
            f"step '{name}' is a real one and would only be simulated"
            for name in was
            if name in now
            and name not in execution.begun
            and now[name]["simulated"]
            and not was[name]["simulated"]
        ]

    def __repr__(self) -> str:
        if not self.changes:
            return f"<Difference of '{self.new.name}': none>"
        word = "compatible"
        if not self.compatible:
            word = "changes the steps, so each execution is judged by allows(execution)"
        return f"<Difference of '{self.new.name}': {word}: {'; '.join(self.changes)}>"


def changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What differs in two shapes of a step: (key, words)."""
    for key in sorted(was.keys() | now.keys()):
        old, new = was.get(key), now.get(key)
        if old != new:
            inside = _INSIDE.get(key)
            if inside is None:
                words = f"was {old!r} and is {new!r}"
            elif old is None or new is None:
                words = f"was {_named(key, old)} and is {_named(key, new)}"
            else:
                words = f"has changed: {'; '.join(inside(old, new))}"
            yield key, f"{key} {words}"


def between(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs in two shapes of a saga, in words."""
    old, new = was["steps"], now["steps"]
    found = []
    if was.get("for_each") != now.get("for_each"):
        found.append("what it does for each item is done otherwise")
    found += [f"step '{name}' is gone" for name in old if name not in new]
    found += [f"step '{name}' is new" for name in new if name not in old]
    for name in new:
        if name in old:
            found += [f"step '{name}': {change}" for _, change in changed(old[name], new[name])]
    return sorted(found)


def version_words(version: str | None) -> str:
    """A version as messages name it."""
    return "none" if version is None else f"'{version}'"


def _of_inner(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs in the saga that does a step."""
    found = []
    if was["name"] != now["name"]:
        found.append(f"its name was '{was['name']}' and is '{now['name']}'")
    if was["version"] != now["version"]:
        old, new = version_words(was["version"]), version_words(now["version"])
        found.append(f"its version was {old} and is {new}")
    return [*found, *between(was["shape"], now["shape"])]


def _of_items(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs in what is done for each item."""
    found = []
    if was["limit"] != now["limit"]:
        found.append(f"its limit was {was['limit']} and is {now['limit']}")
    (old, before), (new, after) = was["body"], now["body"]
    if old != new:
        found.append(f"its step was '{old}' and is '{new}'")
    return [*found, *(f"step '{new}': {change}" for _, change in changed(before, after))]


# The keys of a step's shape that hold shapes of other steps.
_INSIDE: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]]] = {
    "saga": _of_inner,
    "for_each": _of_items,
}


def _named(key: str, inside: Mapping[str, Any] | None) -> str:
    if inside is None:
        return "None"
    return repr(inside["name"] if key == "saga" else inside["body"][0])


def _above(steps: Mapping[str, Any], name: str) -> set[str]:
    """Every step that comes before this one."""
    found: set[str] = set()
    front = [name]
    while front:
        for other in steps[front.pop()]["after"]:
            if other not in found:
                found.add(other)
                front.append(other)
    return found
