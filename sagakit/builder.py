"""Build a saga step by step, a notebook cell at a time."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from sagakit.errors import DefinitionError
from sagakit.execution import Execution
from sagakit.saga import Saga
from sagakit.scenario import Scenario
from sagakit.steps import Action, Choose, Step, callable_name, step

F = TypeVar("F", bound=Callable[..., Any])


class SagaBuilder:
    """Collects steps and builds a ``Saga`` of them.

    Adding a step under a name that is taken replaces it in its place, so a notebook cell can be
    run again; a choice is replaced with all that stands in its branches. (A lambda has no name:
    give ``name=``, or each run of its cell adds a step.) What clearly is another callable of the
    same name, a closure over other data or a method of another class, is numbered: ``create``,
    ``create_2``. In a script, where no cell is run again, the very same function is refused the
    second time without a name of its own.

    Parameters:
        name: the saga's name.
        options: ``version``, ``input``, ``deadline``, ``description``, ``services``, ``redact``, as
            for ``Saga``.
    """

    def __init__(self, name: str = "saga", **options: Any) -> None:
        self.name = name
        self.options = options
        self._steps: dict[str, Step] = {}

    def add_step(
        self,
        action: Action | Step | tuple[Step, ...],
        compensation: Action | None = None,
        **options: Any,
    ) -> SagaBuilder:
        """Add a step: an action with options as for ``sagakit.step``, or what is declared already:
        ``await_event(…)``, ``timer(…)``, ``sub_saga(…)``, ``for_each(…)``, or ``choice(…)`` with
        the steps of its branches. Returns the builder, to go on from.

        Raises:
            DefinitionError: options for what is declared already, or several steps that are not
                one choice.
        """
        if not isinstance(action, Step | tuple | list):
            self._add(action, compensation, options)
            return self
        steps = (action,) if isinstance(action, Step) else self._of_choice(action)
        if compensation is not None or options:
            cure = f"step '{steps[0].name}' is declared already; give its options there"
            raise DefinitionError(f"saga '{self.name}'", [cure])
        if isinstance(action, Step):
            self._steps[action.name] = action
        else:
            self._put_choice(steps)
        return self

    def _of_choice(self, given: Sequence[Any]) -> tuple[Step, ...]:
        """Refuse several steps that no ``choice`` made: which of them to replace would be a
        guess."""
        steps = tuple(item for item in given if isinstance(item, Step))
        chooses = len(steps) == len(given) > 0 and isinstance(steps[0].action, Choose)
        if not chooses or len(_inside(steps[0], steps)) != len(steps) - 1:
            cure = "add_step takes one step, or what choice(…) gives; add the others one by one"
            raise DefinitionError(f"saga '{self.name}'", [cure])
        names = [item.name for item in steps]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            cure = f"choice '{names[0]}' has two steps named '{twice}'; tell them apart with name="
            raise DefinitionError(f"saga '{self.name}'", [cure])
        return steps

    def _put_choice(self, steps: tuple[Step, ...]) -> None:
        """In the place of the choice of this name, whose branches may have had other steps."""
        first = steps[0].name
        old = self._steps.get(first)
        gone = {item.name for item in (*steps, *self._branches(old))} - {first}
        kept = [item for item in self._steps.values() if item.name not in gone]
        if old is None:
            kept.append(steps[0])
        found = [other for item in kept for other in (steps if item.name == first else (item,))]
        self._steps = {item.name: item for item in found}

    def _branches(self, chooser: Step | None) -> list[Step]:
        return [] if chooser is None else _inside(chooser, self._steps.values())

    def _add(self, action: Action, compensation: Action | None, options: dict[str, Any]) -> Step:
        given = options.get("name") or self._free_name(action)
        number = len(self._steps) + 1
        while given is None and f"step_{number}" in self._steps:
            number += 1
        added = step(action, compensation, **{**options, "name": given or f"step_{number}"})
        self._steps[added.name] = added
        return added

    def _free_name(self, action: Action) -> str | None:
        """The callable's name, with a number if another one has it already."""
        own = name = callable_name(action)
        count = 1
        while name is not None and name in self._steps:
            there = self._steps[name].action
            if there == action and not _interactive():
                cure = f"step '{name}' is there already; give the second one another name="
                raise DefinitionError(f"saga '{self.name}'", [cure])
            if there == action or not _are_two(there, action):
                return name
            if _are_alike(there, action):
                cure = f"two callables are named '{name}'; tell them apart with name="
                raise DefinitionError(f"saga '{self.name}'", [cure])
            count += 1
            name = f"{own}_{count}"
        return name

    def step(self, action: F | None = None, **options: Any) -> Any:
        """Decorate an action to make it a step: ``@saga.step`` or ``@saga.step(after=…)``.

        The function stays what it was and gains ``.compensation``, a decorator for its undo.
        """
        if action is None:
            return lambda function: self.step(function, **options)
        undo = options.pop("compensation", None)

        def compensation(function: F) -> F:
            if name not in self._steps:
                raise DefinitionError(
                    f"saga '{self.name}'", [f"step '{name}' is gone; run its cell again"]
                )
            self._steps[name] = msgspec.structs.replace(self._steps[name], compensation=function)
            return function

        try:
            action.compensation = compensation  # type: ignore[attr-defined]
        except AttributeError:
            raise DefinitionError(
                f"saga '{self.name}'", [f"{action!r} cannot be decorated; use add_step"]
            ) from None
        name = self._add(action, undo, options).name
        return action

    def remove(self, name: str) -> SagaBuilder:
        """Take a step out again, a choice with its branches; KeyError if there is none of this
        name."""
        for item in [self._steps[name], *self._branches(self._steps[name])]:
            del self._steps[item.name]
        return self

    def build(self) -> Saga:
        """The frozen Saga; DefinitionError lists what is wrong with it."""
        return Saga(self.name, *self._steps.values(), **self.options)

    def execute(self, input: Any = None, *, scenario: Scenario | None = None) -> Execution:
        """Build the saga and run it now, in real time. A failing step is rolled back, not raised:
        read the Execution's ``status``."""
        from sagakit.drivers.local import run

        return run(self.build(), input, scenario=scenario)

    def __repr__(self) -> str:
        count = len(self._steps)
        text = f"SagaBuilder '{self.name}': {count} step{'' if count == 1 else 's'}"
        try:
            if self._steps:
                self.build()
        except DefinitionError as error:
            text += f"; cannot be built: {'; '.join(error.problems)}"
        return f"<{text}>"

    def _repr_html_(self) -> str | None:
        try:
            return self.build()._repr_html_()
        except DefinitionError:
            return None  # the text says why


def _inside(chooser: Step, steps: Iterable[Step]) -> list[Step]:
    """The steps in the branches of a choice, and in those of the choices within them."""
    choosers = {chooser.name} if isinstance(chooser.action, Choose) else set()
    found = []
    for item in steps:
        if item.branch is not None and item.branch[0] in choosers:
            found.append(item)
            if isinstance(item.action, Choose):
                choosers.add(item.name)
    return found


def _are_two(old: Any, new: Any) -> bool:
    """Whether two callables of one name are meant to stand side by side.

    A cell run again makes its function anew. But one function bound to other data (closures,
    partials), or methods of two objects, are no second run: to replace the step would silently
    lose one.
    """
    if old == new:
        return False
    if inspect.ismethod(old) and inspect.ismethod(new):
        return True
    (old, old_data), (new, new_data) = _unbound(old), _unbound(new)
    same = old is new or getattr(old, "__code__", None) is getattr(new, "__code__", 0)
    return same and bool(old_data != new_data)


def _are_alike(old: Any, new: Any) -> bool:
    """Whether two methods may be of one object, made anew by a cell run again, or of two."""
    if not (inspect.ismethod(old) and inspect.ismethod(new)):
        return False
    if old.__func__.__qualname__ != new.__func__.__qualname__:
        return False
    state = getattr(old.__self__, "__dict__", None)
    return bool(state == getattr(new.__self__, "__dict__", None))


def _interactive() -> bool:
    """Whether somebody runs cells or lines one by one, perhaps again."""
    shell = sys.modules.get("IPython")
    return hasattr(sys, "ps1") or (shell is not None and shell.get_ipython() is not None)


def _unbound(item: Any) -> tuple[Any, list[Any]]:
    """A function, and the data that partials and its closure bind to it."""
    data = []
    while isinstance(item, functools.partial):
        data.append((item.args, item.keywords))
        item = item.func
    with contextlib.suppress(ValueError):  # a variable that is not assigned yet
        data += [cell.cell_contents for cell in getattr(item, "__closure__", None) or ()]
    return item, data
