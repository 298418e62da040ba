"""What must hold of every execution, whatever fails: functions ``f(world, execution) -> bool``.

The names are those of the published TLA+ specification of sagas (Grace Commons), and of what
follows from them for services. Those that look at effects ask the world for them: its ``effects()``
gives, by step, how often the step's effect stands in the world now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from sagakit.events import ErrorInfo
from sagakit.execution import Execution
from sagakit.scenario.injection import INJECTED


class HasEffects(Protocol):
    """A world that can say what stands in it."""

    def effects(self) -> Mapping[str, int]:
        """By step: how often its effect was applied and not undone."""


class HasCharges(Protocol):
    """A world in which orders are charged."""

    def charges(self) -> Mapping[Any, int]:
        """By order: how often it was charged and not refunded."""


class HasBooks(Protocol):
    """A world whose services keep books."""

    def books(self) -> Any:
        """Something with ``balanced``: whether they agree."""


Invariant = Callable[[Any, Execution], bool]

ENDED = ("completed", "compensated", "stuck")


def single_terminal_state(world: Any, execution: Execution) -> bool:  # noqa: ARG001
    """The execution has ended in one of the three ways there are."""
    return execution.status in ENDED


def all_or_compensated(world: Any, execution: Execution) -> bool:  # noqa: ARG001
    """All steps succeeded or were skipped, or all that may have happened were undone."""
    states = set(execution.states.values())
    if execution.status == "completed":
        return states <= {"succeeded", "skipped"}
    if execution.status == "compensated":
        undone = {"compensated", "failed", "kept", "pending", "skipped", "ready", "succeeded"}
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


def nothing_charged_twice(world: HasCharges, execution: Execution) -> bool:  # noqa: ARG001
    """No order was charged more than once, refunds taken off."""
    return all(count <= 1 for count in world.charges().values())


def books_balance(world: HasBooks, execution: Execution) -> bool:
    """The services agree with each other, once the execution has ended.

    While it is stuck, things are half done: that is what an operator is called for.
    """
    return execution.status == "stuck" or bool(world.books().balanced)


def nothing_stuck_without_cause(world: Any, execution: Execution) -> bool:
    """An execution is stuck only where it was made so.

    A compensation, or a step that cannot be undone, was made to fail: by an injected fault, or
    because nobody answered in time.
    """
    if execution.status != "stuck":
        return True
    last: dict[str, ErrorInfo] = {}
    for event in execution.events:
        error, step = getattr(event, "error", None), getattr(event, "step", None)
        if error is not None and step is not None:
            last[step] = error
    states = execution.states
    halted = [name for name, state in states.items() if state in _HALTED]
    return all(
        nothing_stuck_without_cause(world, execution.children[name])
        if name in execution.children
        else name in last and was_injected(last[name])
        for name in halted
    )


_HALTED = ("stuck", "compensation failed")


def was_injected(error: ErrorInfo) -> bool:
    """Whether a scenario put the error in, or nobody answered in time."""
    return INJECTED in error.message or error.type == TimeoutError.__name__


PLAIN: tuple[Invariant, ...] = (
    single_terminal_state,
    all_or_compensated,
    nothing_stuck_without_cause,
)
OF_WORLDS: dict[str, tuple[Invariant, ...]] = {
    "effects": (
        each_effect_at_most_once,
        no_effect_survives_compensation,
        no_effect_is_missing,
    ),
    "charges": (nothing_charged_twice,),
    "books": (books_balance,),
}
"""Which invariants can be asked of a world that has this method."""


class Judge:
    """Asks the invariants that hold for a kind of world, and some more.

    Parameters:
        world: of the kind.
        more: invariants of one's own.
    """

    def __init__(self, world: Any, more: Sequence[Invariant]) -> None:
        if callable(more):
            raise TypeError(f"invariants is {_name(more)}; give a list: invariants=[{_name(more)}]")
        self._has = [what for what in OF_WORLDS if callable(getattr(world, what, None))]
        self._built_in = [*PLAIN, *(f for what in self._has for f in OF_WORLDS[what])]
        self.asks_more = bool(more)
        self._more = [(_name(f), f) for f in more if f not in self._built_in]
        self._told: dict[bytes, dict[str, Any]] = {}  # by worlds, by the question

    def violated(self, world: Any, execution: Execution) -> Iterator[tuple[str, str]]:
        """The names of those that do not hold, and what they raised, if they raised."""
        for name in self.rules_broken(world, execution):
            yield name, ""
        yield from self.more_violated(world, execution)

    def rules_broken(self, world: Any, execution: Execution, end: bytes = b"") -> list[str]:
        """The names of the built-in ones that do not hold. They look at the events, at which of
        their errors were injected, and at what the world says of itself: two executions that are
        alike in that break the same.

        Parameters:
            end: the world as bytes, if it can be had: one that is alike says the same.
        """
        seen: Any = _Seen(world, self._told.setdefault(end, {}) if end else {})
        return [
            invariant.__name__ for invariant in self._built_in if not invariant(seen, execution)
        ]

    def more_violated(self, world: Any, execution: Execution) -> Iterator[tuple[str, str]]:
        """The names of those of one's own that do not hold, and what they raised."""
        for name, invariant in self._more:
            try:
                if invariant(world, execution):
                    continue
            except Exception as error:  # noqa: BLE001  an invariant may be anything
                yield name, f"{type(error).__name__}: {error}"
            else:
                yield name, ""


def told_by(world: Any) -> tuple[dict[str, int], tuple[str, ...]]:
    """What stands in a world, and where its books contradict each other, so far as it says so."""
    effects = getattr(world, "effects", None)
    books = getattr(world, "books", None)
    standing = dict(effects()) if callable(effects) else {}
    return standing, tuple(books().problems) if callable(books) else ()


class _Seen:
    """A world that is asked each thing once, however many invariants want to know.

    Parameters:
        known: what it, or one like it, has answered.
    """

    def __init__(self, world: Any, known: dict[str, Any]) -> None:
        self._world = world
        self._known = known

    def effects(self) -> Any:
        return self._asked("effects")

    def charges(self) -> Any:
        return self._asked("charges")

    def books(self) -> Any:
        return self._asked("books")

    def _asked(self, what: str) -> Any:
        if what not in self._known:
            self._known[what] = getattr(self._world, what)()
        return self._known[what]


def _name(function: Invariant) -> str:
    return getattr(function, "__name__", repr(function))
