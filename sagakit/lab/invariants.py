"""What must hold of every execution, whatever fails: functions ``f(world, execution) -> bool``.

The names are those of the published TLA+ specification of sagas (Grace Commons), and of what
follows from them for services. Those that look at effects ask the world for them: its ``effects()``
gives, by step, how often the step's effect stands in the world now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sagakit.execution import Execution
from sagakit.plan import Plan


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
    plan = execution.saga.plan
    if execution.status == "completed":
        return set(execution.states.values()) <= {"succeeded", "skipped"}
    if execution.status == "compensated":
        undone = {"compensated", "failed", "pending", "skipped", "ready", "succeeded"}
        states = {
            state
            for number, state in enumerate(execution.states.values())
            # that it waited, chose or read need not be undone
            if not (state == "kept" and (_calls_nothing(plan, number) or plan.reads[number]))
        }
        left = {
            name
            for name, state in execution.states.items()
            if state == "succeeded" and execution.saga[name].compensation is not None
        }
        return states <= undone and not left
    return True


def _calls_nothing(plan: Plan, number: int) -> bool:
    return plan.actions[number] is None and number not in plan.nests


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


def name_of(invariant: Invariant) -> str:
    """What reports call it."""
    return getattr(invariant, "__name__", repr(invariant))


def asked(world: Any, invariants: Sequence[Invariant]) -> dict[str, Invariant]:
    """By name: those that hold of everything, of a world with ``effects()`` three more, and the
    caller's own."""
    effects = OF_EFFECTS if hasattr(world, "effects") else ()
    return {name_of(one): one for one in (*PLAIN, *effects, *invariants)}


def broken(invariants: Mapping[str, Invariant], world: Any, execution: Execution) -> dict[str, str]:
    """Those that do not hold: by name, what each raised (empty, if it said no)."""
    found = {}
    for name, invariant in invariants.items():
        try:
            if not invariant(world, execution):
                found[name] = ""
        except Exception as error:  # noqa: BLE001  an invariant may be anything
            found[name] = f"{type(error).__name__}: {error}"
    return found
