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

from sagakit.coordinator import State
from sagakit.drivers.attempt import Attempt
from sagakit.drivers.run import Run
from sagakit.drivers.simulated import Simulation
from sagakit.events import Event
from sagakit.execution import Execution
from sagakit.lab.courses import Course, token_digest
from sagakit.saga import Saga
from sagakit.scenario import Fault, Scenario
from sagakit.transitions import StepState

MOST = 200_000  # endings that are kept (some 1 kB each); then all are forgotten


class NotPlainError(Exception):
    """An action needs a loop: it cannot be gone on from the middle."""


class Plain(Simulation):
    """A simulation without a loop."""

    def _wait_for_loop(self, attempt: Attempt) -> None:
        if attempt.value is not None and hasattr(attempt.value, "close"):
            attempt.value.close()  # a coroutine that nobody will await
        raise NotPlainError(attempt.command.step)


class Ending(NamedTuple):
    """How a run went on from some point of its way."""

    events: Sequence[Event]
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
    """

    def __init__(self, scenario: Scenario, met: Met, world: Any) -> None:
        self.scenario, self._met, self._world = scenario, met, world
        ending = met.ending
        self.events = (*met.run.events, *ending.events)
        self.status, self.end = ending.status, ending.end
        self.worlds = self.checkpoints = ()

    @cached_property
    def execution(self) -> Execution:  # type: ignore[override]
        self._world.restore(self._met.ending.world)
        run = self._met.run
        for event in self._met.ending.events:
            run.emit(event)
        return run.execution()


class Endings:
    """What is known of the ways that runs of one saga in one world have gone.

    Parameters:
        world: has ``snapshot()``.
    """

    def __init__(self, saga: Saga, world: Any) -> None:
        self.world = world
        plan = saga.plan
        self.counts = any(retry.jitter for retry in (*plan.retry, *plan.compensation_retry))
        self.known: dict[Hashable, Ending] = {}

    @staticmethod
    def can(saga: Saga) -> bool:
        """Whether the rest of a run follows from where it stands: what is hidden in its errors
        depends on every sensitive value that there was before."""
        return not saga.sensitive

    def key(self, run: Run, now: float, forever: tuple[Fault, ...]) -> Hashable | None:
        """What the rest of a run follows from; None if that cannot be said."""
        try:
            known = prospect(run.state)
            late = tuple(_late(run, request) for request in run.late.values()) if run.late else ()
        except OverflowError:  # an int beyond 64 bits
            return None
        world = token_digest(self.world.snapshot())
        if not world or None in late:
            return None
        count = len(run.events) if self.counts else 0  # jitter depends on it
        return known, world, now, forever, late, count


def _late(run: Run, late: Attempt) -> Hashable | None:
    """What a request does that is still on its way, by what its coordinator knew if that one has
    died meanwhile; None if another request follows it."""
    step = late.command.step
    if late.call is not run.plan.actions[run.plan.index[step]]:
        return None
    knew = b"" if late.run is run else prospect(late.run.state)
    return step, late.attempt, late.overtaken, knew


class Lookout(Plain):
    """A simulation that stops where another one was.

    Parameters:
        place: the number of the event at which its last fault strikes.
    """

    __slots__ = ("endings", "forever", "passed", "place")

    def look_for(self, endings: Endings, scenario: Scenario, place: int) -> None:
        self.endings, self.place = endings, place
        self.forever = tuple(fault for fault in scenario.faults if fault.attempt is None)
        self.passed: dict[Hashable, int] = {}

    def after_crash(self, run: Run) -> Self:
        then = super().after_crash(run)
        then.endings, then.place = self.endings, self.place
        then.forever, then.passed = self.forever, self.passed
        return then

    def tell(self, course: Course, world: Any) -> None:
        """Let it be known how the run went on from where it looked, and found nobody.

        Parameters:
            world: a snapshot of it in the end.
        """
        known = self.endings.known
        if len(known) > MOST:
            known.clear()
        for key, place in self.passed.items():
            known[key] = Ending(course.events[place:], course.status, world, course.end)

    def _advance(self, run: Run) -> None:
        """As any simulation does, of one execution that nobody watches and no gate keeps."""
        while True:
            if len(run.events) > self.place:  # else nothing has happened since it looked
                self.place = len(run.events)
                self._look(run)
            attempts = run.take_up_all(self.now)
            if not attempts:
                break
            for attempt in attempts:
                self._make(attempt)
        due = run.next_due() if run.goes_on else None
        if due is not None and (run.alarm is None or due < run.alarm):
            self._set_alarm(run, due)

    def _look(self, run: Run) -> None:
        """
        Raises:
            Met: another one was here.
        """
        if self.delayed:
            return
        key = self.endings.key(run, self.now, self.forever)
        if key is None:
            return
        ending = self.endings.known.get(key)
        if ending is not None:
            raise Met(run, ending)
        self.passed[key] = len(run.events)


# The states of a step in which its action may be called again, and those in which nothing of it
# is called again.
_OPEN = frozenset(
    {
        *(StepState.READY, StepState.RUNNING, StepState.RETRYING, StepState.WAITING),
        *(StepState.RECONCILE_DUE, StepState.RECONCILING),
    }
)
_OVER = frozenset(
    {
        *(StepState.SUCCEEDED, StepState.SKIPPED, StepState.COMPENSATED, StepState.KEPT),
        *(StepState.FAILED, StepState.IN_DOUBT),
    }
)
_COUNTS = ("attempts", "undo_attempts", "failures", "doubtful")
_SAME = ("plan", "input", "execution_id")  # in all runs of an exploration
_others_of = operator.attrgetter(*(s for s in State.__slots__ if s not in (*_SAME, *_COUNTS)))
_encode = msgspec.msgpack.Encoder().encode


def prospect(state: State) -> bytes:
    """What a coordinator knows and may use yet, as bytes: equal only where it will decide alike.

    Of a step whose action is not called again it is of no matter how often it was, and whether
    one of those calls is in doubt; of one that has come to rest, how often it failed. A
    compensation counts its own attempts and failures, from none.

    Raises:
        OverflowError: a result has an int beyond 64 bits.
    """
    steps = state.steps
    undo, failures = state.undo_attempts, state.failures
    parts = (
        [state.attempts[number] for number, step in enumerate(steps) if step in _OPEN],
        {number: undo[number] for number in undo if steps[number] not in _OVER},
        {number: failures[number] for number in failures if steps[number] not in _OVER},
        sorted(number for number in state.doubtful if steps[number] in _OPEN),
        _others_of(state),
    )
    return _encode(parts)
