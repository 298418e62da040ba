"""The question that a learner answers before the film rolls: which compensations run, and in which
order?

What the saga's graph leaves open may come in any order: two compensations of which neither waits
for the other count as right either way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sagakit.errors import SagaError
from sagakit.events import CompensationStarted
from sagakit.execution import Execution
from sagakit.saga import Saga
from sagakit.spec import nearest
from sagakit.steps import callable_name
from sagakit.story import join


class Score(msgspec.Struct, frozen=True):
    """How good a guess was.

    Parameters:
        right: whether it names exactly the compensations that run, in an order that can be.
        expected: the steps that are compensated, by their paths, in the order of this run.
        guess: what was guessed, as paths too.
        any_order: groups of those that may come in any order among themselves, where there are
            several in a group.
        words: what is right or wrong, and how it goes.
    """

    right: bool
    expected: tuple[str, ...]
    guess: tuple[str, ...]
    any_order: tuple[tuple[str, ...], ...]
    words: str

    def __str__(self) -> str:
        return self.words


class Question:
    """What an execution compensates, and what of it must come before what.

    Parameters:
        expected: the paths of the steps whose compensations were called, in that order.
        names: of those compensations, by the steps' paths.
        choices: all compensations that there are, likewise: what can be guessed.
    """

    def __init__(self, execution: Execution) -> None:
        self.choices = dict(_choices(execution.saga, "", execution))
        begun = [
            join(path, event.step)
            for path, event in execution.history()
            if isinstance(event, CompensationStarted)
        ]
        self.expected = tuple(path for path in dict.fromkeys(begun) if path in self.choices)
        self._sagas = dict(_sagas(execution, ""))

    def must_follow(self, first: str, second: str) -> bool:
        """Whether the compensation of ``second`` waits for that of ``first``.

        Parameters:
            first, second: the paths of steps.
        """
        one, two = first.split("/"), second.split("/")
        # Neither is within the other: a step that a saga does has no compensation of its own.
        depth = next(n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)
        path = "/".join(one[:depth])
        return _stands_behind(self._sagas[path], one[depth], two[depth])

    def groups(self) -> list[tuple[str, ...]]:
        """What is expected, in rounds: none of a round waits for another one of it."""
        left, found = list(self.expected), []
        while left:
            free = [
                path
                for path in left
                if not any(self.must_follow(other, path) for other in left if other != path)
            ]
            found.append(tuple(free))
            left = [path for path in left if path not in free]
        return found

    def score(self, guess: Sequence[str]) -> Score:
        """Say whether a guess is right.

        Parameters:
            guess: steps by their paths, or compensations by their names, the first to run first.

        Raises:
            SagaError: it names what is no compensation of this saga.
        """
        paths = tuple(map(self._path, guess))
        groups = self.groups()
        wrong = self._wrong(paths)
        told = self.told(groups)
        return Score(
            not wrong,
            self.expected,
            paths,
            tuple(group for group in groups if len(group) > 1),
            f"{wrong}; {told}" if wrong else f"right: {told}",
        )

    def told(self, groups: Sequence[tuple[str, ...]]) -> str:
        """How it goes, in words."""
        if not groups:
            return "nothing is compensated"
        parts = []
        for group in groups:
            names = [self.choices[path] for path in group]
            joined = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
            parts.append(joined + (" in any order" if len(names) > 1 else ""))
        return f"{', then '.join(parts)}"

    def _wrong(self, paths: Sequence[str]) -> str:
        """What is wrong with a guess; empty if nothing is."""
        twice = [path for path in dict.fromkeys(paths) if paths.count(path) > 1]
        missing = [path for path in self.expected if path not in paths]
        extra = [path for path in dict.fromkeys(paths) if path not in self.expected]
        found = [f"'{self.choices[path]}' is guessed twice" for path in twice]
        found += [f"'{self.choices[path]}' does not run" for path in extra]
        found += [f"'{self.choices[path]}' runs too" for path in missing]
        if not found:
            found += self._disorder(paths)
        return ", ".join(found)

    def _disorder(self, paths: Sequence[str]) -> list[str]:
        for place, path in enumerate(paths):
            for later in paths[place + 1 :]:
                if self.must_follow(later, path):
                    return [f"'{self.choices[later]}' comes before '{self.choices[path]}'"]
        return []

    def _path(self, name: str) -> str:
        """The step that a guess names."""
        if name in self.choices:
            return name
        found = [path for path, undo in self.choices.items() if undo == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise SagaError(
                f"'{name}' undoes several steps: {', '.join(found)}; name the step instead"
            )
        known = [*self.choices, *self.choices.values()]
        raise SagaError(f"'{name}' is no compensation of this saga{nearest(name, known)}")


def _stands_behind(saga: Saga, later: str, step: str) -> bool:
    """Whether one step runs only once another one has, directly or not."""
    plan = saga.plan
    goal, front, seen = plan.index[later], [plan.index[step]], set[int]()
    while front:
        for number in plan.dependents[front.pop()]:
            if number == goal:
                return True
            if number not in seen:
                seen.add(number)
                front.append(number)
    return False


def _choices(saga: Saga, path: str, execution: Execution | None) -> Iterator[tuple[str, str]]:
    """(path, name) of every compensation that can be called, those inside a step below it."""
    children: Mapping[str, Any] = {} if execution is None else execution.children
    for number, item in enumerate(saga.steps):
        inner = join(path, item.name)
        if saga.plan.compensations[number] is not None:
            yield inner, callable_name(item.compensation) or f"undo {item.name}"
        child = children.get(item.name)
        if child is not None:
            yield from _choices(child.saga, inner, child)
        elif item.name in saga.children:
            yield from _choices(saga.children[item.name], inner, None)


def _sagas(execution: Execution, path: str) -> Iterator[tuple[str, Saga]]:
    yield path, execution.saga
    for name, child in execution.children.items():
        yield from _sagas(child, join(path, name))
