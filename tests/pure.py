"""A driver without anything but the coordinator, for which somebody chooses every outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sagakit import Saga
from sagakit.coordinator import (
    State,
    action_failed,
    compensation_failed,
    decide,
    evolve,
    letters,
    replay,
    why_not_cancel,
)
from sagakit.errors import IllegalEventError
from sagakit.events import (
    AskReconcile,
    AttemptAdmitted,
    AttemptHeld,
    AttemptLost,
    BreakerChanged,
    CancellationRequested,
    ChildResumed,
    ChildStuck,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    DeadlinePassed,
    EndExecution,
    EndWait,
    ErrorInfo,
    Event,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionMigrated,
    ExecutionResolved,
    ExecutionStarted,
    ExecutionStuck,
    HedgeStarted,
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
from sagakit.plan import Chosen
from sagakit.steps import Wait
from sagakit.transitions import ACTIVE, Phase, StepState

ERROR = ErrorInfo("Boom", "boom")


class PureDriver:
    """Drives the coordinator alone; ``choose(label, options)`` decides everything uncertain. The
    first option is the one with which an execution ends soonest."""

    patience = 4  # how often an operator decides about an execution

    def __init__(self, saga: Saga, choose: Callable[[str, list[Any]], Any]) -> None:
        self.saga = saga
        self.choose = choose
        self.now = 0.0
        self.events: list[Event] = []
        self.state = State(saga.plan)
        self.in_flight: list[Any] = []
        self.held: set[str] = set()  # steps whose call waits for its service
        self.stuck_inside: dict[str, Any] = {}  # steps whose saga is stuck, and their commands
        self.commands: list[Any] = []
        self.decisions = 0
        self.begin()

    def begin(self) -> None:
        input = list(range(len(self.saga.steps))) if self.saga.plan.each else None
        self.emit(ExecutionStarted(self.saga.name, None, self.saga.fingerprint, "x", input, 0.0))

    def emit(self, event: Event) -> None:
        self.state = evolve(self.state, event)
        self.events.append(event)

    def turn(self) -> bool:
        """One step of the world; False when the execution has ended."""
        if self.state.phase not in ACTIVE:
            return False
        self.meddle()
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
            self.rest()
        return True

    def rest(self) -> None:
        """Nothing is under way: a time comes, or something from outside."""
        due = self.state.next_due()
        if due is None:
            assert self.state.resting, "nothing to do, nothing to wait for, and not ended"
            self.send("e" if self.choose("event", [True, False]) else "f")
        else:
            self.now = max(self.now, due)

    def meddle(self) -> None:
        """Now and then a signal comes, or an operator calls the execution off, moves it to another
        version, or decides about what does a step."""
        for name in list(self.stuck_inside):
            if self.choose("resume", [False, False, True]):
                self._resume(name)
        match self.choose("meddle", [None] * 12 + ["e", "f", "cancel", "migrate"]):
            case None:
                pass
            case "cancel":
                self.cancel()
            case "migrate":
                if not self.state.in_flight():
                    self.emit(ExecutionMigrated(self.now, "2", "another", "operator", "test"))
            case event:
                self.send(event)

    def cancel(self) -> None:
        plan = self.saga.plan
        beyond = plan.pivot is None and "retriable" in plan.kinds  # of the saga around it
        if not beyond and not why_not_cancel(self.state):
            self.emit(CancellationRequested(self.now, "operator", "test"))

    def send(self, event: str) -> None:
        number = len(self.state.signals or ())
        self.emit(SignalReceived(self.now, event, f"signal-{number}", number))

    def _resume(self, name: str) -> None:
        self.emit(ChildResumed(name, self.now))
        self.in_flight.append(self.stuck_inside.pop(name))

    def nested(self, step: str) -> bool:
        return self.saga.plan.index[step] in self.saga.plan.nests

    # -- crashes, and operators -------------------------------------------------------------

    def crash(self) -> None:
        # what does a step has a journal of its own: nothing of it is lost
        self.in_flight = [command for command in self.in_flight if self.nested(command.step)]
        self.held.clear()
        for name in self.state.in_flight():
            self.emit(AttemptLost(name, self.now))

    def recover(self, events: list[Event]) -> None:
        """Go on from a journal's events as another process would, which knows nothing else."""
        self.state = replay(self.saga.plan, events)
        self.events = list(events)
        self.now = events[-1].at  # type: ignore[attr-defined]
        self.in_flight, self.stuck_inside = [], {}
        for name in self.saga.plan.names:
            command = self._inside(name)
            if command is None:
                continue
            if self.state.state_of(name) in (StepState.RUNNING, StepState.COMPENSATING):
                self.in_flight.append(command)
            else:
                self.stuck_inside[name] = command
        self.crash()

    def _inside(self, name: str) -> Any:
        """The command that a saga carries out, or is stuck at."""
        number = self.saga.plan.index[name]
        if number not in self.saga.plan.nests:
            return None
        match self.state.steps[number]:
            case StepState.RUNNING:
                return RunAction(name, self.state.attempts[number])
            case StepState.STUCK:
                own = (e for e in reversed(self.events) if getattr(e, "step", None) == name)
                stuck_inside = isinstance(next(own), ChildStuck)  # or it has failed for good
                return RunAction(name, self.state.attempts[number]) if stuck_inside else None
            case StepState.COMPENSATING | StepState.COMPENSATION_FAILED:
                return RunCompensation(name, self.state.undo_attempts[number])
        return None

    def go_on(self) -> bool:
        """Perhaps an operator decides about a stuck execution, or the one whose step a completed
        one has done undoes it; whether it goes on."""
        plan = self.saga.plan
        if self.state.phase is Phase.STUCK and self.decisions < self.patience:
            how = self.choose("decision", [None, None, "retry", "skip", "abandon"])
            if how is None:
                return False
            self.decisions += 1
            names = [plan.names[number] for number in self.state.stuck]
            some = [name for name in names if self.choose(f"decided at {name}", [True, False])]
            try:
                self.resolve(how, tuple(some or names))
            except IllegalEventError:
                assert how == "retry"
                assert self.state.turned_back, "only then nothing can be tried again"
                return False
            return self.state.phase in ACTIVE
        if self.state.phase is not Phase.COMPLETED or set(plan.kinds) - {"compensatable"}:
            return False
        undone = self.choose("undone", [False, False, False, True])
        if undone:
            self.emit(CompensationRequested(self.now))
        return bool(undone)

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

    # -- commands ---------------------------------------------------------------------------

    def _take_up(self, command: Any) -> None:
        self.commands.append(command)
        match command:
            case RunAction():
                if not self._begin(command):
                    return
            case EndWait(step=step):
                self._end_wait(step)
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

    def _begin(self, command: RunAction) -> bool:
        """Begin a step; whether something is under way by that."""
        step, attempt = command.step, command.attempt
        number = self.saga.plan.index[step]
        if attempt == 1 and not self._wanted(step, self.saga.plan.whens[number]):
            return False
        wait = self.saga[step].action
        if isinstance(wait, Wait):
            expires = None if wait.timeout is None else self.now + wait.timeout
            self.emit(WaitStarted(step, self.now, wait.event, None, expires))
            return False
        self.emit(StepStarted(step, attempt, self.now, f"x/{step}" if self.nested(step) else None))
        if number not in self.saga.plan.choices:
            return True
        branches = self.saga.plan.choices[number].branches
        branch = self.choose(f"branch of {step}", [*branches, *branches, "raises"])
        if branch == "raises":
            self.emit(StepFailed(step, attempt, self.now, ERROR))
        else:
            self.emit(StepSucceeded(step, attempt, self.now, branch))
        return False

    def _wanted(self, step: str, when: Any) -> bool:
        if isinstance(when, Chosen):
            if self.state.results.get(when.chooser) != when.branch:
                self.emit(StepSkipped(step, self.now))
                return False
            when = when.when
        if when is None or when is True:
            return True
        said = when is not False and self.choose(f"when of {step}", [True, True, False, "raises"])
        if said == "raises":
            self.emit(StepFailed(step, 0, self.now, ERROR))
            return False
        if not said:
            self.emit(StepSkipped(step, self.now))
        return bool(said)

    def _end_wait(self, step: str) -> None:
        number = self.state.plan.index[step]
        tries = self.state.attempts[number]
        letter = letters(self.state).get(number)
        if letter is not None:
            self.emit(StepSucceeded(step, tries, self.now, letter.payload))
        elif self.saga[step].action.on_timeout == "continue":
            self.emit(StepSucceeded(step, tries, self.now))
        else:
            self.emit(StepFailed(step, tries, self.now, ERROR))

    # -- outcomes ---------------------------------------------------------------------------

    def _settle(self, command: Any) -> None:
        match command:
            case RunAction() if self.nested(command.step):
                self._settle_inside(command)
            case RunAction():
                if not self._kept_waiting(command, "action"):
                    self._settle_action(command)
            case RunCompensation() if self.nested(command.step):
                self._settle_undo_inside(command)
            case RunCompensation():
                if not self._kept_waiting(command, "compensation"):
                    self._settle_undo(command)
            case AskReconcile(step=step):
                tries = self.state.attempts[self.state.plan.index[step]]
                match self.choose(f"answer of {step}", ["yes", "no", "nothing"]):
                    case "yes":
                        self.emit(StepSucceeded(step, tries, self.now, tries))
                    case "no":
                        self.emit(StepFailed(step, tries, self.now, ERROR))
                    case "nothing":
                        self.emit(ReconcileFailed(step, self.now, ERROR))

    def _kept_waiting(self, command: Any, side: Any) -> bool:
        """Whether the guard of the step's service has kept the call waiting."""
        step = command.step
        if step in self.held:
            self.held.remove(step)
            if side == "compensation" or not self.state.turned_back:
                self.emit(AttemptAdmitted(step, self.now, side))
            return False
        said = self.choose(f"guard of {step}", [None] * 8 + ["held", "hedge", "breaker"])
        match said:
            case "held":
                self.emit(AttemptHeld(step, self.now, side, "bulkhead"))
                self.held.add(step)
                self.in_flight.append(command)
            case "hedge":
                self.emit(HedgeStarted(step, self.now))
            case "breaker":
                self.emit(BreakerChanged(self.now, "bank", "closed", "open", "test"))
        return said == "held"

    def _settle_inside(self, command: RunAction) -> None:
        step, attempt = command.step, command.attempt
        match self.choose(f"outcome of {step}", ["ok", "ok", "fail", "terminal", "stuck"]):
            case "ok":
                self.emit(StepSucceeded(step, attempt, self.now, attempt))
            case "stuck":
                self.emit(ChildStuck(step, self.now))
                self.stuck_inside[step] = command
            case outcome:
                self._failed(step, outcome)

    def _settle_action(self, command: RunAction) -> None:
        step, attempt = command.step, command.attempt
        options = ["ok", "ok", "ok", "fail", "terminal", "doubt", "refused"]
        outcome = self.choose(f"outcome of {step}", options)
        if outcome == "ok":
            self.emit(StepSucceeded(step, attempt, self.now, attempt))
        else:
            self._failed(step, outcome)

    def _failed(self, step: str, outcome: str) -> None:
        self.emit(
            action_failed(
                self.state,
                step,
                ERROR,
                terminal=outcome == "terminal",
                in_doubt=outcome == "doubt",
                at=self.now,
                chance=0.25,
                not_before=self.now + 1.0 if outcome == "refused" else 0.0,
            )
        )

    def _settle_undo_inside(self, command: RunCompensation) -> None:
        step, attempt = command.step, command.attempt
        if self.choose(f"undo of {step}", ["ok", "ok", "stuck"]) == "stuck":
            self.emit(ChildStuck(step, self.now))
            self.stuck_inside[step] = command
        else:
            self.emit(CompensationSucceeded(step, attempt, self.now))

    def _settle_undo(self, command: RunCompensation) -> None:
        step, attempt = command.step, command.attempt
        outcome = self.choose(f"undo of {step}", ["ok", "ok", "ok", "fail", "terminal", "refused"])
        if outcome == "ok":
            self.emit(CompensationSucceeded(step, attempt, self.now))
            return
        refused = outcome == "refused"
        self.emit(
            compensation_failed(
                self.state,
                step,
                ERROR,
                terminal=outcome == "terminal",
                at=self.now,
                chance=0.25,
                not_before=self.now + 1.0 if refused else 0.0,
                refused=refused,
            )
        )


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


def skipped_by_hand(events: list[Event]) -> set[str]:
    """The steps about which an operator said that somebody had settled them."""
    return {
        step
        for event in events
        if isinstance(event, ExecutionResolved) and event.resolution == "skip"
        for step in event.steps
    }
