"""Runs that share their endings: one that comes where another was has no need to go on.

What becomes of an execution follows from what its coordinator knows, the world, the time, and the
faults that are still to strike. So a run that nobody goes on from looks, before every batch of
calls behind its last fault, whether all of that is as it was on the way of an earlier one. If it
is, the events of that one's way from there are those that it would have, and the world is left
alike. Its own events are the ones up to there and those.

What the coordinator knows and will never use again is left out (of a step that has succeeded: at
which attempt).
"""

from __future__ import annotations

import operator
from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Self

import msgspec

from sagakit.coordinator import State, evolve
from sagakit.drivers.attempt import Attempt
from sagakit.drivers.run import Run
from sagakit.drivers.simulated import Simulation
from sagakit.events import Event
from sagakit.execution import Execution
from sagakit.lab.courses import Course, Told, outcome_of, text_of, token_digest
from sagakit.saga import Saga
from sagakit.scenario import Fault, Scenario
from sagakit.transitions import StepState

MOST = 200_000  # endings that are kept (some 1 kB each); then all are forgotten


class NotPlainError(Exception):
    """An action needs a loop: it cannot be gone on from the middle."""


class Plain(Simulation):
    """A simulation without a loop, of one execution that nobody watches and no gate keeps."""

    __slots__ = ()

    def look(self, run: Run) -> None:
        """See how things are before the next batch of calls."""

    def _advance(self, run: Run) -> None:
        while True:
            self.look(run)
            attempts = run.take_up_all(self.now)
            if not attempts:
                break
            for attempt in attempts:
                self._make(attempt)
        due = run.next_due() if run.goes_on else None
        if due is not None and (run.alarm is None or due < run.alarm):
            self._set_alarm(run, due)

    def hand_over(self, attempt: Attempt) -> None:
        if attempt.value is not None and hasattr(attempt.value, "close"):
            attempt.value.close()  # a coroutine that nobody will await
        raise NotPlainError(attempt.command.step)


class Ending(NamedTuple):
    """How a run went on from some point of its way."""

    events: Sequence[Event]
    text: bytes  # those events
    status: str
    world: Any  # a snapshot of it in the end
    end: bytes  # the same as bytes


class Met(BaseException):
    """The run need not go on: another one was here."""

    def __init__(self, run: Run, ending: Ending) -> None:
        self.run, self.ending = run, ending


class Joined(Course):
    """A run up to where it met another one's way, and that one's ending.

    Parameters:
        world: is set to what the run would have left it in when its execution is asked for.
        state: of the coordinator there.
        before: the events up to there.
        told: of those events, see ``Checkpoint``; consumed.
    """

    shared = True

    def __init__(
        self,
        saga: Saga,
        world: Any,
        scenario: Scenario,
        place: int,
        state: State,
        before: Sequence[Event],
        told: Told,
        ending: Ending,
    ) -> None:
        self._saga, self._world = saga, world
        self._state, self._before, self._ending = state, before, ending
        self.scenario, self.place = scenario, place
        self.status, self.end = ending.status, ending.end
        told.update(ending.text)
        self.outcome = outcome_of(told, ending.end)
        self.worlds = self.checkpoints = ()

    @cached_property
    def execution(self) -> Execution:  # type: ignore[override]
        self._world.restore(self._ending.world)
        state = self._state.copy()
        for event in self._ending.events:
            evolve(state, event)
        return Execution(self._saga, [*self._before, *self._ending.events], state)


class Endings:
    """What is known of the ways that runs of one saga in one world have gone."""

    def __init__(self, saga: Saga) -> None:
        plan = saga.plan
        # what is hidden in an error depends on every sensitive value that there was before
        self.hides = bool(saga.sensitive)
        self.counts = any(retry.jitter for retry in (*plan.retry, *plan.compensation_retry))
        self.known: dict[Hashable, Ending] = {}

    def point(self, run: Run, now: float, world: bytes) -> Hashable | None:
        """What the rest of a run follows from, besides the faults that are still to strike; None
        if that cannot be said.

        Parameters:
            world: how it is now.
        """
        if self.hides or not world or run.state.running:
            return None
        try:
            known = prospect(run.state)
            late = tuple(_late(run, request) for request in run.late.values()) if run.late else ()
        except OverflowError:  # an int beyond 64 bits
            return None
        if None in late:
            return None
        count = len(run.events) if self.counts else 0  # jitter depends on it
        return known, world, now, late, count


def _late(run: Run, late: Attempt) -> Hashable | None:
    """What a request does that is still on its way, by what its coordinator knew if that one has
    died meanwhile; None if another request follows it."""
    step = late.command.step
    if late.call is not run.plan.actions[run.plan.index[step]]:
        return None
    knew = b"" if late.run is run else prospect(late.run.state)
    return step, late.attempt, late.overtaken, knew


def foreseen(point: Hashable, place: int, struck: Scenario, scenario: Scenario) -> Hashable:
    """What the rest of a run follows from before the last fault of its scenario strikes.

    Parameters:
        place: how many events there are.
        struck: the scenario without that fault; all of it has struck.
    """
    if len(scenario.faults) > len(struck.faults):
        return point, _lasting(struck), scenario.faults[-1]
    crash = scenario.crashes[-1]
    return point, _lasting(struck), (crash.event - place, crash.written)


def _lasting(scenario: Scenario) -> tuple[Fault, ...]:
    """The faults that strike again and again."""
    return tuple([fault for fault in scenario.faults if fault.attempt is None])


class Lookout(Plain):
    """A simulation that stops where another one was."""

    __slots__ = ("endings", "lasting", "passed", "place", "world")

    def look_for(self, endings: Endings, world: Any, scenario: Scenario, place: int) -> None:
        """
        Parameters:
            place: the number of the event at which its last fault strikes.
        """
        self.endings, self.world, self.place = endings, world, place
        self.lasting = _lasting(scenario)
        self.passed: dict[Hashable, int] = {}

    def after_crash(self, run: Run) -> Self:
        then = super().after_crash(run)
        then.endings, then.world, then.place = self.endings, self.world, self.place
        then.lasting, then.passed = self.lasting, self.passed
        return then

    def tell(self, events: Sequence[Event], ending: Ending) -> None:
        """Let it be known how the run went on from where it looked, and found nobody.

        Parameters:
            events: of the run, up to where it met another one's way, or to its end.
            ending: the one that it came to from there.
        """
        known = self.endings.known
        if len(known) > MOST:
            known.clear()
        for key, place in self.passed.items():
            own = events[place:]
            rest, text = [*own, *ending.events], text_of(own) + ending.text
            known[key] = Ending(rest, text, ending.status, ending.world, ending.end)

    def look(self, run: Run) -> None:
        """
        Raises:
            Met: another one was here.
        """
        if len(run.events) <= self.place:  # nothing has happened since it looked
            return
        self.place = len(run.events)
        if self.delayed:
            return
        point = self.endings.point(run, self.now, token_digest(self.world.snapshot()))
        if point is None:
            return
        key = point, self.lasting, None
        ending = self.endings.known.get(key)
        if ending is not None:
            raise Met(run, ending)
        self.passed[key] = len(run.events)


# The states in which a step's action may be called again.
_OPEN = frozenset(
    {
        *(StepState.READY, StepState.RETRYING, StepState.WAITING),
        *(StepState.RECONCILE_DUE, StepState.RECONCILING),
    }
)
_COUNTS = ("attempts", "undo_attempts", "failures", "doubtful")
_SAME = ("plan", "input", "execution_id")  # in all runs of an exploration
_others_of = operator.attrgetter(*(s for s in State.__slots__ if s not in (*_SAME, *_COUNTS)))
_encode = msgspec.msgpack.Encoder().encode


def prospect(state: State) -> bytes:
    """What a coordinator with nothing under way knows and may use yet, as bytes: equal only where
    it will decide alike.

    How often a step was tried, how often that failed, and whether one of those attempts is in
    doubt, is of matter only while its action may be called again, or its compensation, which
    counts from none: while the step is due, or waits.

    Raises:
        OverflowError: a result has an int beyond 64 bits.
    """
    steps, failures = state.steps, state.failures
    tried = [
        (state.attempts[number], failures.get(number), number in state.doubtful)
        if steps[number] in _OPEN
        else (state.undo_attempts.get(number), failures.get(number))
        for number in (*state.ready, *state.due, *state.waiting)
    ]
    return _encode((tried, _others_of(state)))
