"""A saga as the rules look at it: its steps, what is before and after them, and their code."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from sagakit.connectors.base import Connector
from sagakit.connectors.cel import Cel
from sagakit.lab.check.code import Code
from sagakit.lab.check.finding import Severity
from sagakit.plan import Kind, Plan, reach
from sagakit.saga import FanOut, Saga
from sagakit.spec import Simulated
from sagakit.steps import Choose, ForEach, Nested, Special, Step, Wait, callable_name

_DATA = (Simulated, Connector, Cel)  # what has no code of the user's


class Found(NamedTuple):
    """What a rule says of a step, or of the saga (``step`` None).

    Parameters:
        key: the option that is at fault, whose line is shown; none: the step's.
        severity: None: the rule's.
        file, line: where the code is that shows it.
    """

    step: str | None
    message: str
    cure: str
    key: str = ""
    severity: Severity | None = None
    file: str | None = None
    line: int | None = None

    def at(self, code: Code, node: ast.AST) -> Found:
        """The same, where the code shows it."""
        return self._replace(file=code.file, line=getattr(node, "lineno", None))


_NO_CODE = Code(None)


class View:
    """One saga; those that do steps of it have views of their own.

    Parameters:
        path: the steps that it does, from the outside in; (): none.
        outer: the view of the saga around it.
    """

    def __init__(self, saga: Saga, path: tuple[str, ...] = (), outer: View | None = None) -> None:
        self.saga = saga
        self.path = path
        self.outer = outer
        self.steps = saga.steps
        self.plan: Plan = saga.plan
        self.each = isinstance(saga, FanOut)  # it is one step, done for each item
        self._codes: dict[int, Code] = {}
        self._before: dict[str, frozenset[str]] = {}
        self._after: dict[str, frozenset[str]] = {}

    def family(self) -> Iterator[View]:
        """This view and those of the sagas inside, however deep."""
        yield self
        for name, inner in self.saga.children.items():
            yield from View(inner, (*self.path, name), self).family()

    def deadline(self, step: Step) -> float | None:
        """The deadline that a step must obey, of this saga or one around it; from the moment when
        the pivot is tried there is none."""
        if self.kind(step) != "compensatable":
            return None
        if self.saga.deadline is not None or self.outer is None:
            return self.saga.deadline
        return self.outer.deadline(self.outer.saga[self.path[-1]])

    def number(self, step: Step) -> int:
        return self.plan.index[step.name]

    def kind(self, step: Step) -> Kind:
        return self.plan.kinds[self.number(step)]

    def working(self) -> list[Step]:
        """The steps that call an action, those that never run left out."""
        never = self.never
        return [s for s in self.steps if not _idle(s) and s.name not in never]

    def compensatable(self) -> list[Step]:
        """The working steps that may have to be undone."""
        return [step for step in self.working() if self.kind(step) == "compensatable"]

    def before(self, step: Step) -> frozenset[str]:
        """The steps that have ended for sure when this one begins."""
        return self._reached(step, self.plan.after, self._before)

    def after(self, step: Step) -> frozenset[str]:
        """The steps that begin only when this one has ended."""
        return self._reached(step, self.plan.dependents, self._after)

    def _reached(
        self,
        step: Step,
        neighbours: Sequence[Sequence[int]],
        known: dict[str, frozenset[str]],
    ) -> frozenset[str]:
        """The steps that can be reached from this one; many rules ask, so it is kept."""
        if step.name not in known:
            names, found = self.plan.names, reach(self.number(step), neighbours)
            known[step.name] = frozenset(names[number] for number in found)
        return known[step.name]

    def beside(self, step: Step) -> list[Step]:
        """The steps that may run while this one does."""
        ordered = {step.name} | self.before(step) | self.after(step)
        return [other for other in self.steps if other.name not in ordered]

    def is_last(self, step: Step) -> bool:
        """Whether nothing can fail any more once it has succeeded, in this saga and around it."""
        if self.each or self.plan.pivot is not None or self.after(step) or self.beside(step):
            return False
        if self.outer is None:
            return True
        around = self.outer.saga[self.path[-1]]
        return self.outer.kind(around) != "compensatable" or self.outer.is_last(around)

    @functools.cached_property
    def never(self) -> dict[str, str]:
        """The steps that are skipped whatever happens, and why."""
        found: dict[str, str] = {}
        for step in self.steps:
            if step.when is False:
                found[step.name] = "its when is False"
            elif (code := self.code(step.when)).constants and not any(code.constants or ()):
                found[step.name] = f"its when, {callable_name(step.when) or 'a lambda'}, is false"
            elif step.branch is not None:
                chooser, key = step.branch
                taken = self.choices(self.saga[chooser])
                if chooser in found:
                    found[step.name] = f"'{chooser}', which chooses, never runs"
                elif taken is not None and key not in taken:
                    found[step.name] = f"'{chooser}' never chooses '{key}'"
        return found

    def choices(self, chooser: Step) -> tuple[Any, ...] | None:
        """What a step may choose, where its code shows all of it."""
        assert isinstance(chooser.action, Choose)
        return self.code(chooser.action.by).constants

    def code(self, function: Any) -> Code:
        """The code of a callable; empty for what is none, is simulated, or is data itself."""
        if not callable(function) or isinstance(function, _DATA):
            return _NO_CODE
        if id(function) not in self._codes:
            self._codes[id(function)] = Code(function)
        return self._codes[id(function)]

    def questions(self, step: Step) -> Iterator[tuple[str, Callable[..., Any]]]:
        """The callables of a step that are only asked something, with what each is for."""
        found: dict[str, Any] = {"when": step.when, "reconcile": step.reconcile}
        match step.action:
            case Choose(by=by):
                found["choice"] = by
            case Nested(input=input):
                found["input"] = input
            case ForEach(items=items):
                found["items"] = items
            case Wait(correlate=correlate, timeout=timeout):
                found |= {"correlate": correlate, "timeout": timeout}
        return ((role, function) for role, function in found.items() if callable(function))

    def words(self, step: Step) -> list[list[str]]:
        """What the step and its action are called, word by word."""
        names = step.name, callable_name(step.action) or ""
        return [name.lower().split("_") for name in names]

    def callables(self, step: Step) -> Iterator[tuple[str, Callable[..., Any]]]:
        """The callables of a step that have an effect, with what each is for."""
        if not isinstance(step.action, Special):
            yield "action", step.action
        if step.compensation is not None:
            yield "compensation", step.compensation


def _idle(step: Step) -> bool:
    """Whether a step calls nothing: an expression has no effect, and ends by itself."""
    expression = isinstance(step.action, Cel) and step.compensation is None
    return expression or isinstance(step.action, Special)
