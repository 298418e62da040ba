"""What if? A recorded execution goes on from one of its events, under other faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sagakit.comparison import Comparison
from sagakit.coordinator import State, evolve, replay
from sagakit.drivers.attempt import Attempt
from sagakit.drivers.inputs import must_be_scenario
from sagakit.drivers.run import Run
from sagakit.drivers.simulated import check_pinned, resume
from sagakit.errors import SagaError, ScenarioError
from sagakit.events import (
    Command,
    CompensationAttemptFailed,
    CompensationFailed,
    CompensationSucceeded,
    ErrorInfo,
    Event,
    ExecutionStarted,
    RunAction,
    RunCompensation,
    StepAttemptFailed,
    StepFailed,
    StepInDoubt,
    StepSucceeded,
)
from sagakit.execution import Execution, typed
from sagakit.lab.calls import make_calls
from sagakit.redaction import Redaction
from sagakit.saga import Saga
from sagakit.scenario import Scenario, Side
from sagakit.scenario.injection import INJECTED
from sagakit.transitions import ACTIVE, StepState

_History = list[tuple[str, Event]]


class Fork(Comparison):
    """A recorded execution and what became of it otherwise, side by side: a ``Comparison`` whose
    ``first`` is the recorded execution and whose ``second`` went on from an event of it.

    ``at`` is that event's number, ``scenario`` what it went on under, and ``world`` what the
    ``world=`` of ``fork`` made, None without one.
    """

    __slots__ = ("at", "scenario", "world")

    def __init__(
        self, first: Execution, second: Execution, at: int, scenario: Scenario, world: Any
    ) -> None:
        super().__init__(first, second)
        self.at = at
        self.scenario = scenario
        self.world = world
        one, two = self._courses
        self._courses = one, msgspec.structs.replace(two, title=f"fork at {at} of {two.title}")

    def __repr__(self) -> str:
        what = _named(self.first.events[self.at])
        name = self.first.saga.name
        return f"<Fork of '{name}' at event {self.at} ({what}): {self.words}>"


def fork(
    execution: Execution,
    at: int | Event,
    *,
    scenario: Scenario | None = None,
    world: Callable[[], Any] | None = None,
    saga: Saga | None = None,
    seed: int = 0,
) -> Fork:
    """Let a recorded execution go on from one of its events, under other faults, in virtual time.

    Everything up to that event has happened, and keeps its times, results and keys; what comes
    behind it is made anew, by calling the actions. It is a recovery: a call that was under way is
    in doubt and is made again, with the same key and the next attempt's number. What the scenario
    says of attempts and times counts from the execution's own beginning.

    **The world.** The actions act on whatever world they reach. That must be one in which the
    events up to ``at`` have happened, and nothing else of this execution has. A copy of one's own
    will do; else give ``world``: it makes a world as the execution found it, and in that world
    every call of the past is made once more, in its order and with its own key, input and results
    (what it returns or is told now is not looked at: the recorded results count). Why call, and
    not copy? A journal keeps what actions returned, not what they did; only they can do it again.
    Made are the calls that succeeded and those in doubt (they may have happened), unless the
    injected fault or a reconcile tells that they did not. What no event tells of is not in that
    world: a request delivered twice, or late.

    Parameters:
        execution: simulated, or read from a journal.
        at: the number of an event in ``execution.events``, or one of these events: the last one
            that has happened.
        scenario: faults, and what comes from outside, from now on; without one nothing fails.
        world: called once; makes a fresh world, which the actions reach in whatever way they do.
        saga: the definition; needed where the journal remembers only its shape.
        seed: decides the jitter.

    Raises:
        SagaError: there is no such event, or nothing is left to do behind it; the execution does
            a step of another one; or ``world`` made a world that refuses what has happened.
        DefinitionChangedError: the execution is pinned to another version at that event.
        ScenarioError: a fault names a step that the saga lacks, or a crash lies in the past.
    """
    saga = execution.saga if saga is None else saga
    scenario = Scenario() if scenario is None else scenario
    must_be_scenario(scenario)
    number = _number(execution, at)
    _check(execution, saga, number, scenario)
    past = _past(execution, number)
    made = None if world is None else world()
    if world is not None:
        _Past(execution, saga).live_through(past)
    children = _children(execution, past)
    events = execution.events[: number + 1]
    resumed = resume(saga, events, scenario=scenario, seed=seed, children=children)
    return Fork(execution, resumed, number, scenario, made)


# -- what can be forked ---------------------------------------------------------------------


def _number(execution: Execution, at: int | Event) -> int:
    events = execution.events
    if isinstance(at, Event):
        found = [number for number, event in enumerate(events) if event is at]
        found = found or [number for number, event in enumerate(events) if event == at]
        if found:
            return found[0]
        cure = "give one of execution.events, or its number"
        raise SagaError(f"execution '{execution.id}' has no such event: {_named(at)}; {cure}")
    if isinstance(at, bool) or not isinstance(at, int):
        raise SagaError(f"cannot fork at {at!r}: give the number of an event, or one of the events")
    if not 0 <= at < len(events):
        raise SagaError(
            f"execution '{execution.id}' has no event {at}: its {len(events)} events are counted "
            f"from 0 to {len(events) - 1}"
        )
    return at


def _check(execution: Execution, saga: Saga, number: int, scenario: Scenario) -> None:
    if execution.parent is not None:
        above, step = execution.parent
        raise SagaError(
            f"execution '{execution.id}' does step '{step}' of execution '{above}' and cannot go "
            f"on without it; fork '{above}', with faults that name '{step}/…'"
        )
    events = execution.events[: number + 1]
    check_pinned(saga, events)
    state = replay(saga.given(execution.input).plan, events)
    if state.phase not in ACTIVE:
        raise SagaError(
            f"execution '{execution.id}' is {state.status} at event {number} "
            f"({_named(events[-1])}): nothing is left to go on with; fork at an earlier event"
        )
    scenario.check(saga, crashes=True)
    past = Counter(path for path, _ in _past(execution, number))
    for crash in scenario.crashes:
        if crash.event < past[crash.to]:
            raise ScenarioError(
                f"{crash}: that lies in the past of a fork at event {number}; "
                "name a later event, or fork earlier"
            )


def _named(event: Event) -> str:
    step = getattr(event, "step", None)
    return type(event).__name__ + (f" of '{step}'" if step is not None else "")


# -- what has happened ----------------------------------------------------------------------


def _past(execution: Execution, number: int) -> _History:
    """Everything up to the execution's event of this number, in those that do steps of it too."""
    history = execution.history()
    own = -1
    for place, (path, _) in enumerate(history):
        own += not path
        if own == number:
            return history[: place + 1]
    raise AssertionError("a history holds all events of its execution")


def _children(execution: Execution, past: _History) -> dict[str, Sequence[Event]]:
    """The events of those that do steps, by the ids of their executions."""
    by_path: dict[str, list[Event]] = {}
    for path, event in past:
        if path:
            by_path.setdefault(path, []).append(event)
    return {_inside(execution, path).id: events for path, events in by_path.items()}


def _inside(execution: Execution, path: str) -> Execution:
    for name in path.split("/"):
        execution = execution.children[name]
    return execution


class _Past:
    """Lets a fresh world live through what has happened.

    Parameters:
        execution: the whole of it: what a reconcile answered later says what happened before.
    """

    def __init__(self, execution: Execution, saga: Saga) -> None:
        self.execution = execution
        self.saga = saga
        self.runs: dict[str, Run] = {}
        self.denied = {
            (path, event.step)
            for path, event in execution.history()
            if isinstance(event, StepFailed) and event.error.type == "NotHappened"
        }

    def live_through(self, past: _History) -> None:
        for path, event in past:
            if isinstance(event, ExecutionStarted):
                self.runs[path] = self._begun(path, event)
            run = self.runs[path]
            (event,) = typed(run.saga, [event])
            attempt = self._call_behind(path, run, event)
            if attempt is not None:
                (error,) = make_calls([attempt])
                if error is not None and isinstance(event, StepSucceeded | CompensationSucceeded):
                    raise self._impossible(attempt, error)
            evolve(run.state, event)

    def _begun(self, path: str, event: ExecutionStarted) -> Run:
        above, _, name = path.rpartition("/")
        saga = self.runs[above].saga.child(name) if path else self.saga
        saga = saga.given(event.input)
        run = Run(saga, State(saga.plan), 0, None, event.at, nested=bool(path))
        names = saga.sensitive.union(event.redact)
        run.redaction = Redaction(names) if names else None
        return run

    def _call_behind(self, path: str, run: Run, event: Event) -> Attempt | None:
        """The call that had its effect before this event was written; None if none had."""
        match event:
            case StepSucceeded(step=name):
                if run.state.state_of(name) is StepState.RECONCILING:
                    return None  # it was in doubt, and made then
                return _attempt(run, "action", name, event.attempt)
            case StepAttemptFailed(step=name) | StepInDoubt(step=name):
                doubt = isinstance(event, StepInDoubt) or event.in_doubt
                if _acted(event.error, doubt and (path, name) not in self.denied):
                    return _attempt(run, "action", name, event.attempt)
            case CompensationSucceeded(step=name):
                return _attempt(run, "compensation", name, event.attempt)
            case CompensationAttemptFailed(step=name) | CompensationFailed(step=name):
                if _acted(event.error, doubt=False):
                    return _attempt(run, "compensation", name, event.attempt)
        return None

    def _impossible(self, attempt: Attempt, error: ErrorInfo) -> SagaError:
        redaction = self.execution.redaction
        message = error.message if redaction is None else redaction.scrub(error.message)
        said = f": {message}" if message else ""
        return SagaError(
            f"saga '{self.saga.name}': in the world that world() made, what execution "
            f"'{self.execution.id}' has done cannot happen: the {attempt.side} of "
            f"'{attempt.command.step}' succeeded then, and raised {error.name}{said} now; let "
            "world() make what the execution found when it began"
        )


def _acted(error: ErrorInfo, doubt: bool) -> bool:
    """Whether a call that failed had its effect, as far as anybody can know."""
    _, injected, fault = error.message.partition(INJECTED)
    return fault.startswith("lose reply") if injected else doubt


def _attempt(run: Run, side: Side, name: str, attempt: int) -> Attempt | None:
    number = run.plan.index[name]
    calls = run.plan.actions if side == "action" else run.plan.compensations
    call = calls[number]
    if call is None:
        return None  # a saga does it, or it waits or chooses
    command: Command = (RunAction if side == "action" else RunCompensation)(name, attempt)
    return Attempt(run, command, call, call.latency, side, attempt, None)
