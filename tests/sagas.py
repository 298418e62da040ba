"""Hypothesis strategies for sagas, and a pure driver that chooses every outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from sagakit import Retry, Saga, Simulated, Step, sub_saga
from sagakit.coordinator import (
    State,
    action_failed,
    compensation_failed,
    decide,
    evolve,
    letters,
    why_not_cancel,
)
from sagakit.events import (
    AskReconcile,
    AttemptLost,
    CancellationRequested,
    ChildResumed,
    ChildStuck,
    CompensationStarted,
    CompensationSucceeded,
    DeadlinePassed,
    EndExecution,
    EndWait,
    ErrorInfo,
    Event,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionResolved,
    ExecutionStarted,
    ExecutionStuck,
    PassDeadline,
    ReconcileFailed,
    ReconcileStarted,
    RunAction,
    RunCompensation,
    SignalReceived,
    StepFailed,
    StepInDoubt,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)
from sagakit.steps import Wait
from sagakit.transitions import ACTIVE

ERROR = ErrorInfo("Boom", "boom")
INNER = Saga("inner", Step(name="only", action=Simulated("act")))


@st.composite
def sagas(draw: st.DrawFn, most: int = 7) -> Saga:
    """A saga of up to ``most`` steps in any shape, with or without a pivot, of any options."""
    before = draw(st.integers(0, most - 1))
    has_pivot = draw(st.booleans()) if before else True
    behind = draw(st.integers(0, most - before - 1)) if has_pivot else 0
    steps = []
    for number in range(before):
        above = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        steps.append(
            _step(draw, number, tuple(f"s{other}" for other in above), draw(st.booleans()))
        )
    if has_pivot:
        sinks = {s.name for s in steps} - {name for s in steps for name in s.after or ()}
        steps.append(_step(draw, before, tuple(sinks), False, pivot=True))
    for number in range(before + 1, before + 1 + behind):
        above = draw(st.sets(st.integers(before, number - 1), min_size=1, max_size=3))
        above_names = tuple(f"s{other}" for other in above)
        steps.append(_step(draw, number, above_names, False, late=True))
    deadline = draw(st.sampled_from([None, None, 0.5, 5.0]))
    return Saga("generated", *steps, deadline=deadline)


def _step(
    draw: Any,
    number: int,
    after: tuple[str, ...],
    undo: bool,
    pivot: bool = False,
    late: bool = False,
) -> Step:
    kind = draw(st.integers(0, 9))
    if kind in (0, 1):
        return _wait(draw, number, after, undo, pivot, late)
    if kind == 2:
        retry = draw(st.sampled_from([None, Retry(2, wait=0.5)]))
        return sub_saga(INNER, name=f"s{number}", after=after, pivot=pivot, retry=retry)
    return Step(
        name=f"s{number}",
        action=Simulated("act"),
        compensation=Simulated("undo") if undo else None,
        after=after,
        pivot=pivot,
        reconcile=Simulated("ask") if draw(st.booleans()) else None,
        retry=draw(st.sampled_from([None, Retry(2), Retry(3, wait=0.5, jitter=0.5)])),
        compensation_retry=Retry(2, wait=0.1) if undo else None,
    )


def _wait(
    draw: Any, number: int, after: tuple[str, ...], undo: bool, pivot: bool, late: bool
) -> Step:
    event = draw(st.sampled_from([None, "e", "e", "f"]))
    may_fail = event is not None and not late
    return Step(
        name=f"s{number}",
        action=Wait(
            event=event,
            timeout=2.0 if event is None else draw(st.sampled_from([None, 1.0, 3.0])),
            on_timeout=draw(st.sampled_from(["fail", "continue"])) if may_fail else "continue",
        ),
        compensation=Simulated("undo") if undo else None,
        after=after,
        pivot=pivot,
    )


class PureDriver:
    """Drives the coordinator alone; ``choose(label, options)`` decides everything uncertain."""

    def __init__(self, saga: Saga, choose: Callable[[str, list[Any]], Any]) -> None:
        self.saga = saga
        self.choose = choose
        self.now = 0.0
        self.events: list[Event] = []
        self.state = State(saga.plan)
        self.in_flight: list[Any] = []
        self.stuck_inside: dict[str, Any] = {}  # steps whose saga is stuck, and their commands
        self.commands: list[Any] = []
        self.emit(ExecutionStarted(saga.name, None, saga.fingerprint, "x", None, 0.0))

    def emit(self, event: Event) -> None:
        self.state = evolve(self.state, event)
        self.events.append(event)

    def turn(self) -> bool:
        """One step of the world; False when the execution has ended."""
        if self.state.phase not in ACTIVE:
            return False
        self._meddle()
        commands = decide(self.state, self.now)
        if commands:
            phase = self.state.phase
            for command in commands:
                self._take_up(command)
                if self.state.phase is not phase:
                    break  # what was decided before no longer holds
        elif self.in_flight:
            if self.choose("crash", [False, False, False, False, True]):
                self.crash()
            else:
                index = self.choose("which", list(range(len(self.in_flight))))
                self._settle(self.in_flight.pop(index))
        else:
            due = self.state.next_due()
            if due is None:
                assert self.state.resting, "nothing to do, nothing to wait for, and not ended"
                self._send("e" if self.choose("event", [True, False]) else "f")
                return True
            self.now = max(self.now, due)
        return True

    def _meddle(self) -> None:
        """Now and then a signal comes, or an operator calls the execution off, or decides about
        what does a step."""
        for name in list(self.stuck_inside):
            if self.choose("resume", [False, False, True]):
                self._resume(name)
        match self.choose("meddle", [None] * 12 + ["e", "f", "cancel"]):
            case None:
                pass
            case "cancel":
                if not why_not_cancel(self.state):
                    self.emit(CancellationRequested(self.now, "operator", "test"))
            case event:
                self._send(event)

    def _send(self, event: str) -> None:
        number = len(self.state.signals or ())
        self.emit(SignalReceived(self.now, event, f"signal-{number}", number))

    def _resume(self, name: str) -> None:
        self.emit(ChildResumed(name, self.now))
        self.in_flight.append(self.stuck_inside.pop(name))

    def nested(self, step: str) -> bool:
        return self.saga.plan.index[step] in self.saga.plan.nests

    def crash(self) -> None:
        # what does a step has a journal of its own: nothing of it is lost
        self.in_flight = [command for command in self.in_flight if self.nested(command.step)]
        for name in self.state.in_flight():
            self.emit(AttemptLost(name, self.now))

    def resolve(self, resolution: Any, steps: tuple[str, ...]) -> None:
        inside = [step for step in steps if step in self.stuck_inside]
        own = steps
        if resolution == "retry":
            own = tuple(step for step in steps if step not in inside)
        if own:
            self.emit(ExecutionResolved(self.now, resolution, "operator", "test", own))
        for step in inside:
            if resolution == "retry":
                self._resume(step)
            else:
                del self.stuck_inside[step]

    def _take_up(self, command: Any) -> None:
        self.commands.append(command)
        match command:
            case RunAction(step=step, attempt=attempt):
                if attempt == 1 and self.choose("skip", [False, False, False, True]):
                    self.emit(StepSkipped(step, self.now))
                    return
                wait = self.saga[step].action
                if isinstance(wait, Wait):
                    expires = None if wait.timeout is None else self.now + wait.timeout
                    self.emit(WaitStarted(step, self.now, wait.event, None, expires))
                    return
                child = f"x/{step}/{attempt}" if self.nested(step) else None
                self.emit(StepStarted(step, attempt, self.now, child))
            case EndWait(step=step):
                number = self.state.plan.index[step]
                tries = self.state.attempts[number]
                letter = letters(self.state).get(number)
                if letter is not None:
                    self.emit(StepSucceeded(step, tries, self.now, letter.payload))
                elif self.saga[step].action.on_timeout == "continue":
                    self.emit(StepSucceeded(step, tries, self.now))
                else:
                    self.emit(StepFailed(step, tries, self.now, ERROR))
                return
            case RunCompensation(step=step, attempt=attempt):
                self.emit(CompensationStarted(step, attempt, self.now))
            case AskReconcile(step=step):
                self.emit(ReconcileStarted(step, self.now))
            case PassDeadline():
                self.emit(DeadlinePassed(self.now))
                return
            case EndExecution(status="completed"):
                self.emit(ExecutionCompleted(self.now))
                return
            case EndExecution(status="compensated"):
                self.emit(ExecutionCompensated(self.now))
                return
            case EndExecution(status="stuck", steps=steps):
                self.emit(ExecutionStuck(self.now, steps))
                return
        self.in_flight.append(command)

    def _settle(self, command: Any) -> None:
        match command:
            case RunAction(step=step, attempt=attempt):
                nested = self.nested(step)
                worst = "stuck" if nested else "doubt"
                outcome = self.choose("outcome", ["ok", "ok", "fail", "terminal", worst])
                if outcome == "stuck":
                    self.emit(ChildStuck(step, self.now))
                    self.stuck_inside[step] = command
                    return
                if outcome == "ok":
                    self.emit(StepSucceeded(step, attempt, self.now, attempt))
                    return
                self.emit(
                    action_failed(
                        self.state,
                        step,
                        ERROR,
                        terminal=outcome == "terminal",
                        in_doubt=outcome == "doubt",
                        at=self.now,
                        chance=0.25,
                    )
                )
            case RunCompensation(step=step, attempt=attempt):
                if self.nested(step):
                    if self.choose("undo", ["ok", "ok", "stuck"]) == "stuck":
                        self.emit(ChildStuck(step, self.now))
                        self.stuck_inside[step] = command
                    else:
                        self.emit(CompensationSucceeded(step, attempt, self.now))
                    return
                outcome = self.choose("undo", ["ok", "ok", "ok", "fail", "terminal"])
                if outcome == "ok":
                    self.emit(CompensationSucceeded(step, attempt, self.now))
                    return
                terminal = outcome == "terminal"
                self.emit(
                    compensation_failed(
                        self.state, step, ERROR, terminal=terminal, at=self.now, chance=0.25
                    )
                )
            case AskReconcile(step=step):
                tries = self.state.attempts[self.state.plan.index[step]]
                match self.choose("answer", ["yes", "no", "nothing"]):
                    case "yes":
                        self.emit(StepSucceeded(step, tries, self.now, tries))
                    case "no":
                        self.emit(StepFailed(step, tries, self.now, ERROR))
                    case "nothing":
                        self.emit(ReconcileFailed(step, self.now, ERROR))


def snapshot(state: State) -> dict[str, Any]:
    """Everything in a state, to compare (timers without what `due` has overtaken)."""
    parts = {slot: getattr(state, slot) for slot in State.__slots__}
    parts["timers"] = sorted(t for t in state.timers if state.due.get(t[1]) == t[0])
    parts = {key: value.copy() if hasattr(value, "copy") else value for key, value in parts.items()}
    parts.pop("plan")
    return parts


def possibly_done(events: list[Event]) -> set[str]:
    """The steps whose action may have had its effect, by the events alone."""
    done: set[str] = set()
    for event in events:
        match event:
            case StepSucceeded(step=step) | StepInDoubt(step=step):
                done.add(step)
            case AttemptLost(step=step):
                done.add(step)
            case StepFailed(step=step):
                pass
            case _ if getattr(event, "in_doubt", False):
                done.add(event.step)  # type: ignore[attr-defined]
    return done
