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
from collections.abc import Hashable
from typing import Any, NamedTuple, Self, TypeVar

import msgspec

from sagakit import telemetry
from sagakit.coordinator import State
from sagakit.drivers.attempt import Attempt
from sagakit.drivers.run import Run
from sagakit.drivers.simulated import MortalRun, through_crashes
from sagakit.lab.courses import Course, Told, digest, text_of, token_digest, told_of
from sagakit.lab.endings import Ending, Endings, Joined, Lookout, Met, Plain, foreseen
from sagakit.saga import Saga
from sagakit.scenario import Scenario

_Simulation = TypeVar("_Simulation", bound=Plain)


class Checkpoint(NamedTuple):
    """A run between two batches of calls."""

    place: int  # how many events there are
    told: Told  # of those events, see `told_of`
    state: State
    now: float
    late: dict[str, Attempt]
    delayed: tuple[tuple[float, int, Attempt], ...]
    world: Any
    digest: bytes  # of the world
    point: Hashable | None  # see `Endings.point`


class _Noting(Plain):
    """A simulation that notes where one can go on from."""

    __slots__ = ("checkpoints", "endings", "world")

    def note_in(self, checkpoints: list[Checkpoint], endings: Endings, world: Any) -> None:
        self.checkpoints, self.endings, self.world = checkpoints, endings, world

    def after_crash(self, run: Run) -> Self:
        then = super().after_crash(run)
        then.note_in(self.checkpoints, self.endings, self.world)
        return then

    def look(self, run: Run) -> None:
        found = self.checkpoints
        if not found or found[-1].place < len(run.events):
            found.append(self._checkpoint(run))

    def _checkpoint(self, run: Run) -> Checkpoint:
        events = run.events
        if self.checkpoints:
            before = self.checkpoints[-1]
            told = before.told.copy()
            told.update(text_of(events[before.place :]))
        else:
            told = told_of(events)
        late, delayed = dict(run.late), tuple(self.delayed)
        token = self.world.snapshot()
        world = token_digest(token)
        point = None if delayed else self.endings.point(run, self.now, world)
        state = run.state.copy()
        return Checkpoint(len(events), told, state, self.now, late, delayed, token, world, point)


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
        self._endings = Endings(saga)

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
        run = Run.begin(self.saga, self.kept, self.id, 0.0, 0, None)
        return self._noted(Scenario(), 0, _Noting(run, 0.0, {}), [])

    def go_on(self, course: Course, place: int, scenario: Scenario, *, last: bool) -> Course:
        """Run again from before event number ``place`` on, under another scenario.

        Parameters:
            last: nobody will go on from this run.

        Raises:
            NotPlainError: an action turned out to be a coroutine.
        """
        at = bisect_right(course.checkpoints, place, key=_place)
        point: Checkpoint = course.checkpoints[at - 1]
        if not last:
            run = self._resumed(course, point, scenario)
            simulation = _simulation(run, point, _Noting)
            return self._noted(scenario, place, simulation, [*course.checkpoints[: at - 1]])
        key = None
        if point.point is not None and point.place > course.place:
            key = foreseen(point.point, point.place, course.scenario, scenario)
            ending = self._endings.known.get(key)
            if ending is not None:  # it is known already how it ends
                before = course.execution.events[: point.place]
                whose = self.saga, self.world, scenario, place
                return Joined(*whose, point.state, before, point.told.copy(), ending)
        return self._to_its_end(course, point, place, scenario, key)

    def _to_its_end(
        self, course: Course, point: Checkpoint, place: int, scenario: Scenario, key: Hashable
    ) -> Course:
        run = self._resumed(course, point, scenario)
        simulation = _simulation(run, point, Lookout)
        simulation.look_for(self._endings, self.world, scenario, place)
        if key is not None:
            simulation.passed[key] = point.place
        told = point.told.copy()
        try:
            execution = through_crashes(simulation, scenario)
        except Met as met:
            events, ending = met.run.events, met.ending
            told.update(text_of(events[point.place :]))
            whose = self.saga, self.world, scenario, place
            found: Course = Joined(*whose, met.run.state, events, told, ending)
            simulation.tell(events, ending)
        else:
            token = self.world.snapshot()
            end = token_digest(token)
            told.update(text_of(execution.events[point.place :]))
            found = Course(scenario, place, execution, told, end)
            simulation.tell(execution.events, Ending((), b"", execution.status, token, end))
        _forget_late(simulation)
        return found

    def _resumed(self, course: Course, point: Checkpoint, scenario: Scenario) -> Run:
        """The run at a checkpoint, in the world as it was there, to go on under a scenario."""
        self.world.restore(point.world)
        dies = any(crash.event >= point.place for crash in scenario.crashes)
        kind = MortalRun if dies else Run
        run = kind(self.saga, point.state.copy(), 0, scenario, 0.0, False)
        if isinstance(run, MortalRun):
            run.armed = True
        run.events = list(course.execution.events[: point.place])
        run.redaction = course.execution.redaction if self.saga.sensitive else None
        for name, attempt in point.late.items():
            run.late[name] = msgspec.structs.replace(attempt, run=run)
        return run

    def _noted(
        self,
        scenario: Scenario,
        place: int,
        simulation: _Noting,
        checkpoints: list[Checkpoint],
    ) -> Course:
        simulation.note_in(checkpoints, self._endings, self.world)
        execution = through_crashes(simulation, scenario)
        _forget_late(simulation)
        last = checkpoints[-1]
        told = last.told.copy()
        told.update(text_of(execution.events[last.place :]))
        worlds = [point.digest for point in checkpoints]
        return Course(scenario, place, execution, told, digest(self.world), worlds, checkpoints)


def _forget_late(simulation: Plain) -> None:
    """Nothing arrives any more: requests that are kept would keep their run, in a cycle."""
    simulation.run.late.clear()  # after a crash, too: whoever goes on has the same ones


def _simulation(run: Run, point: Checkpoint, kind: type[_Simulation]) -> _Simulation:
    """In which a run goes on that was resumed at a checkpoint."""
    simulation = kind(run, point.now, {})
    if point.delayed:
        simulation.delay(
            (due, number, msgspec.structs.replace(attempt, run=run))
            for due, number, attempt in point.delayed
        )
    return simulation


def _place(point: Checkpoint) -> int:
    return point.place
