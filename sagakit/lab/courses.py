"""Runs that share their beginnings: each goes on from a point of another, not from the start.

A fault that strikes at some event leaves everything before it as it was. So a run that is watched
by a ``Course`` keeps, before every batch of calls, what is needed to go on from there: the
coordinator's state, which is copied, and the world, which is set back. That can be done where the
saga's calls are plain functions of one execution, and the world can be set back (``snapshot()``
and ``restore(token)``); elsewhere every run begins at its start.
"""

from __future__ import annotations

import marshal
import pickle
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import msgspec

from sagakit import telemetry
from sagakit.coordinator import State
from sagakit.drivers.attempt import Attempt
from sagakit.drivers.inputs import accept_input
from sagakit.drivers.run import Run
from sagakit.drivers.simulated import MortalRun, Simulation, through_crashes, watched
from sagakit.execution import Execution
from sagakit.lab.calls import Unseen
from sagakit.saga import Saga
from sagakit.scenario import Scenario


class Checkpoint(NamedTuple):
    """A run between two batches of calls."""

    place: int  # how many events there are
    state: State
    now: float
    late: dict[str, Attempt]
    delayed: tuple[tuple[float, int, Attempt], ...]
    world: Any


class Course(NamedTuple):
    """A run under a scenario, and where one can go on from."""

    scenario: Scenario
    execution: Execution
    checkpoints: list[Checkpoint]
    seen: list[bytes]

    def worlds(self) -> list[bytes]:
        """The world before each batch of calls, or before each call."""
        return self.seen or [token_digest(point.world) for point in self.checkpoints]


class _Noting(MortalRun):
    """A run that notes where one can go on from."""

    __slots__ = ("checkpoints", "simulation", "world")

    def note_in(self, simulation: Simulation, world: Any, checkpoints: list[Checkpoint]) -> None:
        self.simulation, self.world, self.checkpoints = simulation, world, checkpoints

    def take_over(self, dead: Self, simulation: Simulation) -> None:
        super().take_over(dead, simulation)
        self.note_in(simulation, dead.world, dead.checkpoints)

    def take_up_all(self, now: float) -> list[Attempt]:
        place, found = len(self.events), self.checkpoints
        if not found or found[-1].place < place:
            delayed = tuple(self.simulation.delayed)
            late, token = dict(self.late), self.world.snapshot()
            found.append(Checkpoint(place, self.state.copy(), now, late, delayed, token))
        return super().take_up_all(now)


class NotPlainError(Exception):
    """An action needs a loop: it cannot be gone on from the middle."""


class _Plain(Simulation):
    """A simulation without a loop."""

    def _wait_for_loop(self, attempt: Attempt) -> None:
        if attempt.value is not None and hasattr(attempt.value, "close"):
            attempt.value.close()  # a coroutine that nobody will await
        raise NotPlainError(attempt.command.step)


class Beginnings:
    """Runs one saga under many scenarios, sharing what they have in common.

    Parameters:
        world: has ``snapshot()`` and ``restore(token)``; the same in all runs.
    """

    shares = True

    def __init__(self, saga: Saga, kept: Any, id: str, world: Any) -> None:
        self.saga, self.kept, self.id = saga, kept, id
        self.world = world
        self._first = world.snapshot()

    @staticmethod
    def can(saga: Saga, world: Any) -> bool:
        """Whether this saga's runs over this world can share their beginnings."""
        back = callable(getattr(world, "snapshot", None)) and callable(
            getattr(world, "restore", None)
        )
        plan = saga.plan
        calls = (*plan.actions, *plan.compensations, *plan.reconciles)
        plain = not any(call is not None and call.is_async for call in calls)
        alone = not plan.nests and plan.guards is None and "for_each" not in saga.shape
        return back and plain and alone and telemetry.observer is None

    def begin(self) -> Course:
        """The run in which nothing fails.

        Raises:
            NotPlainError: an action turned out to be a coroutine.
        """
        self.world.restore(self._first)
        run = _Noting.begin(self.saga, self.kept, self.id, 0.0, 0, None)
        checkpoints: list[Checkpoint] = []
        simulation = _Plain(run, 0.0, {})
        run.note_in(simulation, self.world, checkpoints)
        return Course(Scenario(), through_crashes(simulation, Scenario()), checkpoints, [])

    def go_on(self, course: Course, place: int, scenario: Scenario, *, last: bool) -> Course:
        """Run again from before event number ``place`` on, under another scenario. The world is
        left as the run leaves it.

        Parameters:
            last: nobody will go on from this run.

        Raises:
            NotPlainError: an action turned out to be a coroutine.
        """
        at = bisect_right(course.checkpoints, place, key=_place)
        point = course.checkpoints[at - 1]
        self.world.restore(point.world)
        kind = _Noting if not last else MortalRun if scenario.crashes else Run
        run: Run = kind(course.execution.saga, point.state.copy(), 0, scenario, 0.0, False)
        run.events = list(course.execution.events[: point.place])
        run.redaction = course.execution.redaction if self.saga.sensitive else None
        simulation = _Plain(run, point.now, {})
        for name, attempt in point.late.items():
            run.late[name] = msgspec.structs.replace(attempt, run=run)
        for due, number, attempt in point.delayed:
            mine = msgspec.structs.replace(attempt, run=run)
            simulation.delayed.append((due, number, mine))
        checkpoints: list[Checkpoint] = []
        if isinstance(run, MortalRun):
            run.armed = True
        if isinstance(run, _Noting):
            checkpoints = course.checkpoints[: at - 1]
            run.note_in(simulation, self.world, checkpoints)
        return Course(scenario, through_crashes(simulation, scenario), checkpoints, [])


class FromTheStart:
    """Runs one saga under many scenarios, each from its start in a world of its own.

    Parameters:
        saga: the definition, or what makes it for a world.
        fresh: makes the worlds.

    Raises:
        InputError: the saga refuses the input.
    """

    shares = False

    def __init__(
        self, saga: Saga | Callable[[Any], Saga], input: Any, id: str, fresh: Callable[[], Any]
    ) -> None:
        self._saga_of, self._fresh, self.id = saga, fresh, id
        self._renew()
        self.kept = accept_input(self.saga, input)

    def _renew(self) -> None:
        self.world = world = self._fresh()
        made = self._saga_of
        self.saga = made if isinstance(made, Saga) else made(world)

    def begin(self) -> Course:
        """The run in which nothing fails."""
        return self.run(Scenario())

    def go_on(self, course: Course, place: int, scenario: Scenario, *, last: bool) -> Course:  # noqa: ARG002
        """Run under another scenario."""
        return self.run(scenario, probe=not last)

    def run(self, scenario: Scenario, *, probe: bool = True) -> Course:
        self._renew()
        watch = _Probe(self.world) if probe else None
        execution = watched(self.saga, self.kept, self.id, 0, scenario, watch)
        return Course(scenario, execution, [], [] if watch is None else watch.seen)


class _Probe(Unseen):
    """Looks at the world before every call."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.seen: list[bytes] = []

    def call(self, calling: Any, side: str, attempt: int, function: Callable[[], Any]) -> Any:  # noqa: ARG002
        self.seen.append(digest(self.world))
        return function()


def _place(point: Checkpoint) -> int:
    return point.place


def digest(world: Any) -> bytes:
    """The world as bytes, by its snapshot if it makes any; empty if it cannot be had."""
    snapshot = getattr(world, "snapshot", None)
    return token_digest(snapshot() if callable(snapshot) else world)


def token_digest(value: Any) -> bytes:
    """A value as bytes, equal ones for equal values as a rule; empty if it cannot be had."""
    try:
        return marshal.dumps(value, 2)  # version 2 does not tell which parts are the same object
    except ValueError:
        pass
    try:
        return pickle.dumps(value)
    except Exception:  # noqa: BLE001  a world may be anything
        return b""
