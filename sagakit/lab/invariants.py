"""What must hold of every execution, whatever fails: functions ``f(world, execution) -> bool``.

The names are those of the published TLA+ specification of sagas (Grace Commons), and of what
follows from them for services. Those that look at effects ask the world for them: its ``effects()``
gives, by step, how often the step's effect stands in the world now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sagakit.execution import Execution


class HasEffects(Protocol):
    """A world that can say what stands in it."""

    def effects(self) -> Mapping[str, int]:
        """By step: how often its effect was applied and not undone."""


Invariant = Callable[[Any, Execution], bool]

ENDED = ("completed", "compensated", "stuck")


def single_terminal_state(world: Any, execution: Execution) -> bool:  # noqa: ARG001
    """The execution has ended in one of the three ways there are."""
    return execution.status in ENDED


def all_or_compensated(world: Any, execution: Execution) -> bool:  # noqa: ARG001
    """Every step has succeeded or was skipped, or every step that may have happened was undone."""
    states = set(execution.states.values())
    if execution.status == "completed":
        return states <= {"succeeded", "skipped"}
    if execution.status == "compensated":
        undone = {"compensated", "failed", "pending", "skipped", "ready", "succeeded"}
        left = {
            name
            for name, state in execution.states.items()
            if state == "succeeded" and execution.saga[name].compensation is not None
        }
        return states <= undone and not left
    return True


def each_effect_at_most_once(world: HasEffects, execution: Execution) -> bool:  # noqa: ARG001
    """However often a request is delivered, its effect stands once."""
    return all(count <= 1 for count in world.effects().values())


def no_effect_survives_compensation(world: HasEffects, execution: Execution) -> bool:
    """Nothing of a compensated execution is left in the world."""
    return execution.status != "compensated" or not any(world.effects().values())


def no_effect_is_missing(world: HasEffects, execution: Execution) -> bool:
    """Everything that a completed execution says was done stands in the world."""
    if execution.status != "completed":
        return True
    effects = world.effects()
    done = [name for name, state in execution.states.items() if state == "succeeded"]
    return all(effects.get(name, 1) >= 1 for name in done)


PLAIN: tuple[Invariant, ...] = (single_terminal_state, all_or_compensated)
OF_EFFECTS: tuple[Invariant, ...] = (
    each_effect_at_most_once,
    no_effect_survives_compensation,
    no_effect_is_missing,
)
