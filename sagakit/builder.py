"""Build a saga step by step, a notebook cell at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from sagakit.errors import DefinitionError
from sagakit.execution import Execution
from sagakit.saga import Action, Saga, Step, callable_name, step
from sagakit.scenario import Scenario

F = TypeVar("F", bound=Callable[..., Any])


class SagaBuilder:
    """Collects steps and builds a ``Saga`` of them.

    Adding a step under a name that is taken replaces it in its place, so a notebook cell can be
    run again.

    Parameters:
        name: the saga's name.
        options: ``version``, ``input_schema``, ``deadline``, ``description``, as for ``Saga``.
    """

    def __init__(self, name: str = "saga", **options: Any) -> None:
        self.name = name
        self.options = options
        self._steps: dict[str, Step] = {}

    def add_step(
        self, action: Action, compensation: Action | None = None, **options: Any
    ) -> SagaBuilder:
        """Add a step; options as for ``sagakit.step``. Returns the builder, to go on from."""
        if options.get("name") is None and callable_name(action) is None:
            options["name"] = f"step_{len(self._steps) + 1}"
        added = step(action, compensation, **options)
        self._steps[added.name] = added
        return self

    def step(self, action: F | None = None, **options: Any) -> Any:
        """Decorate an action to make it a step: ``@saga.step`` or ``@saga.step(after=…)``.

        The function stays what it was and gains ``.compensation``, a decorator for its undo.
        """
        if action is None:
            return lambda function: self.step(function, **options)
        self.add_step(action, **options)
        name = options.get("name") or callable_name(action) or f"step_{len(self._steps)}"

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
                f"saga '{self.name}'",
                [f"step '{name}': {action!r} cannot be decorated; use add_step"],
            ) from None
        return action

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
        return f"<SagaBuilder '{self.name}': {count} step{'' if count == 1 else 's'}>"

    def _repr_html_(self) -> str | None:
        try:
            return self.build()._repr_html_()
        except DefinitionError:
            return None
