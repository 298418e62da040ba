"""Runs that share their beginnings: each goes on from a point of another, not from the start.

A fault that strikes at some event leaves everything before it as it was. So a run that others may
go on from keeps, before every batch of calls, what is needed for that: the coordinator's state,
which is copied, and the world, which is set back. That can be done where the saga's calls are
plain functions of one execution, and the world can be set back (``snapshot()`` and
``restore(token)``); elsewhere every run begins at its start.

Those that nobody goes on from share their endings too: see ``endings.py``.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, NamedTuple, Self

import msgspec

from sagakit import telemetry
from sagakit.coordinator import State
from sagakit.drivers.attempt import Attempt
from sagakit.drivers.run import Run
from sagakit.drivers.simulated import MortalRun, Simulation, through_crashes
from sagakit.lab.courses import Course, digest, token_digest
from sagakit.lab.endings import Endings, Joined, Lookout, Met, Plain
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
        self._endings = Endings(saga, world) if Endings.can(saga) else None

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
        return self._noted(Scenario(), run, Plain(run, 0.0, {}), [])

    def go_on(self, course: Course, place: int, scenario: Scenario, *, last: bool) -> Course:
        """Run again from before event number ``place`` on, under another scenario.

        Parameters:
            last: nobody will go on from this run.

        Raises:
            NotPlainError: an action turned out to be a coroutine.
        """
        at = bisect_right(course.checkpoints, place, key=_place)
        point = course.checkpoints[at - 1]
        self.world.restore(point.world)
        dies = any(crash.event >= point.place for crash in scenario.crashes)
        kind = _Noting if not last else MortalRun if dies else Run
        run: Run = kind(course.execution.saga, point.state.copy(), 0, scenario, 0.0, False)
        run.events = list(course.events[: point.place])
        run.redaction = course.execution.redaction if self.saga.sensitive else None
        simulation = (Lookout if last and self._endings else Plain)(run, point.now, {})
        for name, attempt in point.late.items():
            run.late[name] = msgspec.structs.replace(attempt, run=run)
        for due, number, attempt in point.delayed:
            mine = msgspec.structs.replace(attempt, run=run)
            simulation.delayed.append((due, number, mine))
        if isinstance(run, MortalRun):
            run.armed = True
        if isinstance(run, _Noting):
            return self._noted(scenario, run, simulation, course.checkpoints[: at - 1])
        if isinstance(simulation, Lookout):
            simulation.look_for(self._endings, scenario, place)
        try:
            execution = through_crashes(simulation, scenario)
        except Met as met:
            token = met.ending.world
            found: Course = Joined(scenario, met, self.world)
        else:
            token = self.world.snapshot()
            found = Course(scenario, execution, token_digest(token))
        if isinstance(simulation, Lookout):
            simulation.tell(found, token)
        return found

    def _noted(
        self, scenario: Scenario, run: _Noting, simulation: Plain, checkpoints: list[Checkpoint]
    ) -> Course:
        run.note_in(simulation, self.world, checkpoints)
        execution = through_crashes(simulation, scenario)
        worlds = [token_digest(point.world) for point in checkpoints]
        return Course(scenario, execution, digest(self.world), worlds, checkpoints)


def _place(point: Checkpoint) -> int:
    return point.place
