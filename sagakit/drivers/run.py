"""One execution in progress: what every driver needs between ``decide`` and ``evolve``.

A driver asks ``take_up`` for the work behind a command (which records that it began), makes the
call in its own way, and reports ``returned``, ``raised`` or ``timed_out``.
"""

from __future__ import annotations

import contextlib
import copy
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from sagakit.coordinator import (
    APPLY,
    State,
    action_failed,
    compensation_failed,
    decide,
    letters,
    replay,
    why_not_cancel,
)
from sagakit.errors import (
    CancellationError,
    CodecError,
    DefinitionError,
    InDoubtError,
    InputError,
    MigrationError,
    ServiceRefusedError,
    SignalError,
    TerminalError,
)
from sagakit.events import (
    AskReconcile,
    AttemptLost,
    CancellationRequested,
    ChildResumed,
    ChildStuck,
    Command,
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
    ExecutionStarted,
    ExecutionStuck,
    PassDeadline,
    ReconcileFailed,
    ReconcileStarted,
    RunAction,
    RunCompensation,
    SignalReceived,
    StepFailed,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)
from sagakit.execution import Execution, first_event, typed
from sagakit.journal import codec
from sagakit.plan import Call, ChooseCall, Chosen, NestCall, WaitCall
from sagakit.resilience import Part
from sagakit.saga import Saga
from sagakit.scenario import Cancellation, Scenario, Side, Signal, inject
from sagakit.spec import Retry
from sagakit.steps import Happened
from sagakit.transitions import ACTIVE, Phase, StepState

if TYPE_CHECKING:
    import structlog.typing

    from sagakit.difference import Difference

# A request may have been sent before these were raised; a refused connection sent nothing.
IN_DOUBT_ERRORS = (
    InDoubtError,
    TimeoutError,
    ConnectionResetError,
    ConnectionAbortedError,
    BrokenPipeError,
)


class StepContext:
    """What an action or compensation is told about its execution."""

    __slots__ = ("_input", "_results", "_run", "attempt", "side", "step")

    def __init__(self, run: Run, step: str, side: Side, attempt: int) -> None:
        self._run = run
        self._input: Any = None
        self._results: _Copies | None = None
        self.step = step
        self.side = side
        self.attempt = attempt

    @property
    def input(self) -> Any:
        """The execution's input, or this step's item where it is done for each: a copy, so that
        what an action does to it stays its own."""
        if self._input is None:
            self._input = copy.deepcopy(self._run.input_of(self.step))
        return self._input

    @property
    def results(self) -> Mapping[str, Any]:
        """What each succeeded step returned, by its name: read-only, and copies."""
        if self._results is None:
            self._results = _Copies(self._run.state.results)
        return self._results

    @property
    def result(self) -> Any:
        """What this step's own action returned; None when it is in doubt."""
        return self.results.get(self.step)

    @property
    def execution_id(self) -> str:
        return self._run.state.execution_id

    @property
    def idempotency_key(self) -> str:
        """``execution id / step / action or compensation``: the same on every attempt."""
        return f"{self._run.state.execution_id}/{self.step}/{self.side}"

    @property
    def action_key(self) -> str:
        """The idempotency key of the step's action: under it a compensation finds what to undo."""
        return f"{self._run.state.execution_id}/{self.step}/action"

    @property
    def logger(self) -> structlog.typing.FilteringBoundLogger:
        """A structlog logger with saga, execution, step and attempt bound."""
        import structlog

        logger: structlog.typing.FilteringBoundLogger = structlog.get_logger().bind(
            saga=self._run.saga.name,
            execution=self.execution_id,
            step=self.step,
            side=self.side,
            attempt=self.attempt,
        )
        return logger

    def __repr__(self) -> str:
        return f"<StepContext {self.idempotency_key} attempt {self.attempt}>"


class _Copies(Mapping[str, Any]):
    """A read-only view that copies a value when it is first looked at: what an action does to it
    must not reach other steps, which would see it in a run and not after a crash."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._copies: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._copies:
            self._copies[name] = copy.deepcopy(self._values[name])
        return self._copies[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(dict(self))


class Attempt(msgspec.Struct, eq=False):
    """A call to make: which command it serves, and what the driver must know to make it."""

    run: Run
    command: Any
    call: Call
    delay: float  # seconds that pass before the call
    side: Side
    attempt: int
    timeout: float | None
    closed: bool = False  # its outcome is recorded; whatever comes later is ignored
    task: Any = None  # what a driver with a loop makes of it
    timer: Any = None
    value: Any = None  # an awaitable that a plain function returned
    ticket: Any = None  # of a guarded service's gate

    def invoke(self) -> Any:
        """Make the call; the value may be an awaitable."""
        call = self.call
        if call.takes_context:
            return call.function(StepContext(self.run, self.command.step, self.side, self.attempt))
        return call.function()


class Kin:
    """Whom an execution is part of, and who is part of it. Most have no kin.

    What one execution does may let others go on; a driver advances those in ``stirred`` as well,
    and finds those in ``sought`` (by the steps that they do) in its journal and attaches them.
    """

    __slots__ = ("began", "children", "over", "parent", "scenario", "sought", "stirred", "turned")

    def __init__(self, began: float, scenario: Scenario | None) -> None:
        self.began = began  # when the outermost execution did: a scenario counts from then
        self.scenario = scenario
        self.parent: Run | None = None
        self.children: dict[str, Run] = {}
        self.stirred: list[Run] = []
        self.sought: list[str] = []
        self.turned = False  # the children have been told that it turned back
        self.over = False  # the parent has been told that it ended

    @property
    def under_way(self) -> list[Run]:
        """The children that have not ended."""
        return [child for child in self.children.values() if child.state.phase in ACTIVE]


class Run:
    """An execution in progress."""

    __slots__ = (
        "alarm",
        "events",
        "held",
        "kin",
        "meanwhile",
        "plan",
        "saga",
        "scenario",
        "seed",
        "state",
        "written",
    )

    def __init__(
        self,
        saga: Saga,
        state: State,
        seed: int,
        scenario: Scenario | None,
        began: float,
        nested: bool,
    ) -> None:
        self.saga = saga
        self.plan = saga.plan
        self.state = state
        self.seed = seed
        self.scenario: Scenario | None = None
        self.events: list[Event] = []
        self.written = 0  # how many events the journal has
        self.alarm: float | None = None  # of the driver, when it will ask again
        self.held: dict[Any, None] | None = None  # tickets of actions that a gate holds
        self.kin = Kin(began, scenario) if nested or saga.plan.nests else None
        self.meanwhile: list[tuple[float, int, Signal | Cancellation]] | None = None
        if scenario is not None:
            self.scenario = scenario if scenario.faults else None
            # The latest first, so that the next one is popped from the end.
            self.meanwhile = sorted(
                (
                    (began + what.at, number, what)
                    for number, what in enumerate(scenario.interventions)
                    if not (isinstance(what, Signal) and what.to)
                ),
                key=lambda entry: entry[:2],
                reverse=True,
            )

    @classmethod
    def begin(
        cls,
        saga: Saga,
        input: Any,
        execution_id: str,
        now: float,
        seed: int,
        scenario: Scenario | None,
        parent: tuple[str, str] | None = None,
        began: float | None = None,
    ) -> Run:
        """Start an execution. ``input`` has been through ``accept_input``.

        Parameters:
            parent: the execution and the step that it does.
            began: when the outermost execution did; now, unless there is a parent.
        """
        if scenario is not None and parent is None:
            scenario.check(saga)
        saga = saga.given(input)
        began = now if began is None else began
        run = cls(saga, State(saga.plan), seed, scenario, began, parent is not None)
        version, fingerprint = saga.version, saga.fingerprint
        run.emit(
            ExecutionStarted(saga.name, version, fingerprint, execution_id, input, now, parent)
        )
        return run

    @classmethod
    def resume(
        cls,
        saga: Saga,
        events: list[Event],
        now: float,
        seed: int = 0,
        scenario: Scenario | None = None,
        began: float | None = None,
    ) -> Run:
        """Continue from the journal: what was in flight is in doubt and will be issued again."""
        first = first_event(events)
        if scenario is not None and first.parent is None:
            scenario.check(saga)
        saga = saga.given(first.input)
        events = typed(saga, events)
        state = replay(saga.plan, events)
        began = first.at if began is None else began
        run = cls(saga, state, seed, scenario, began, first.parent is not None)
        run.events = events
        run.written = len(events)
        for name in state.in_flight():
            run.emit(AttemptLost(name, now))
        if run.kin is not None:
            run.kin.sought = [run.plan.names[number] for number in state.children or ()]
        return run

    def emit(self, event: Event) -> None:
        """Apply a fact and keep it."""
        APPLY[type(event)](self.state, event)  # `evolve`, one call shorter
        self.events.append(event)

    def execution(self) -> Execution:
        """What has happened, once nothing more will."""
        return Execution(self.saga, self.events, self.state, self._children(Run.execution))

    def snapshot(self) -> Execution:
        """What has happened so far."""
        return Execution(self.saga, self.events, self.state.copy(), self._children(Run.snapshot))

    def _children(self, as_execution: Callable[[Run], Execution]) -> dict[str, Execution] | None:
        kin = self.kin
        if kin is None or not kin.children:
            return None
        return {name: as_execution(child) for name, child in kin.children.items()}

    def input_of(self, step: str) -> Any:
        """The execution's input, or the item that this step is done for."""
        whole = self.state.input
        return whole[self.plan.index[step]] if self.plan.each else whole

    # -- commands ---------------------------------------------------------------------------

    def take_up_all(self, now: float) -> list[Attempt]:
        """Take up everything that can be done now; the calls to make, concurrent ones together."""
        if self.meanwhile:
            self.intervene(now)
        state = self.state
        attempts: list[Attempt] = []
        while True:
            if self.held and state.turned_back:
                for ticket in list(self.held):
                    ticket.withdraw(now)
            commands = decide(state, now)
            if not commands:
                break
            phase = state.phase
            for command in commands:
                if type(command) is RunAction:  # the usual case
                    attempt = self._take_up_action(command, now)
                else:
                    attempt = self.take_up(command, now)
                if attempt is not None:
                    attempts.append(attempt)
                if state.phase is not phase:
                    break  # a condition raised: what was decided before it no longer holds
        if self.kin is not None:
            self._tell_kin(self.kin, now)
        return attempts

    def take_up(self, command: Command, now: float) -> Attempt | None:
        """Record that a command is being carried out; the call to make, if there is one."""
        plan = self.plan
        match command:
            case RunAction():
                return self._take_up_action(command, now)
            case RunCompensation(step=name, attempt=attempt):
                number = plan.index[name]
                self.emit(CompensationStarted(name, attempt, now))
                undo = plan.compensations[number]
                if undo is None:
                    self._undo_child(name, now)
                    return None
                timeout = plan.compensation_timeout[number]
                delay = undo.latency
                made = Attempt(self, command, undo, delay, "compensation", attempt, timeout)
                return made if self.scenario is None else self._under_fault(made)
            case AskReconcile(step=name):
                number = plan.index[name]
                self.emit(ReconcileStarted(name, now))
                ask = plan.reconciles[number]
                assert ask is not None
                timeout = plan.timeout[number]
                return Attempt(self, command, ask, ask.latency, "action", 1, timeout)
            case EndWait(step=name):
                self._end_wait(name, now)
            case EndExecution(status="stuck", steps=steps):
                self.emit(ExecutionStuck(now, steps))
            case EndExecution(status=status):
                self.emit(_END[status](now))
            case PassDeadline():
                self.emit(DeadlinePassed(now))
            case _:
                raise NotImplementedError(f"no driver knows the command {command!r}")
        return None

    def _take_up_action(self, command: RunAction, now: float) -> Attempt | None:
        plan, name, attempt = self.plan, command.step, command.attempt
        number = plan.index[name]
        when = plan.whens[number]
        if when is not None and attempt == 1 and not self._wanted(when, name, now):
            return None
        call = plan.actions[number]
        if call is None:
            if number in plan.choices:
                self._choose(name, plan.choices[number], attempt, now)
            elif number in plan.nests:
                self._begin_child(name, plan.nests[number], attempt, now)
            else:
                self._begin_wait(name, plan.waits[number], now)
            return None
        self.emit(StepStarted(name, attempt, now))
        timeout = plan.timeout[number]
        made = Attempt(self, command, call, call.latency, "action", attempt, timeout)
        return made if self.scenario is None else self._under_fault(made)

    def _under_fault(self, attempt: Attempt) -> Attempt:
        assert self.scenario is not None
        fault = self.scenario.find(attempt.command.step, attempt.side, attempt.attempt)
        if fault is not None:
            attempt.call, attempt.delay = inject(attempt.call, fault, attempt.timeout)
        return attempt

    def twin(self, attempt: Attempt) -> Attempt:
        """The call of an attempt once more. A fault of that one attempt has hit its first call; one
        for good hits each."""
        command = attempt.command
        call = self.plan.actions[self.plan.index[command.step]]
        assert call is not None
        twin = Attempt(self, command, call, call.latency, attempt.side, attempt.attempt, None)
        if self.scenario is not None:
            fault = self.scenario.find(command.step, attempt.side, attempt.attempt)
            if fault is not None and fault.attempt is None:
                twin.call, twin.delay = inject(call, fault, attempt.timeout)
        return twin

    def _wanted(self, when: Call | bool | Chosen | None, name: str, now: float) -> bool:
        """Whether the step is in the chosen branch and its ``when`` holds; if not, that is
        recorded."""
        if isinstance(when, Chosen):
            chosen = self.state.results.get(when.chooser) == when.branch
            when = chosen and (True if when.when is None else when.when)
        if isinstance(when, Call):
            try:
                when = bool(self._ask(when, name))
            except (Exception, SystemExit) as error:  # noqa: BLE001  user code may raise anything
                self.emit(StepFailed(name, 0, now, ErrorInfo.of(error)))
                return False
        if not when:
            self.emit(StepSkipped(name, now))
        return bool(when)

    def _choose(self, name: str, choose: ChooseCall, attempt: int, now: float) -> None:
        """Record which branch is taken."""
        self.emit(StepStarted(name, attempt, now))
        try:
            branch = self._ask(choose.by, name)
            if branch not in choose.branches:
                known = ", ".join(map(repr, choose.branches))
                raise ValueError(f"step '{name}' chose {branch!r}; its branches are {known}")
        except (Exception, SystemExit) as error:  # noqa: BLE001  user code may raise anything
            self.emit(StepFailed(name, attempt, now, ErrorInfo.of(error)))
        else:
            self.emit(StepSucceeded(name, attempt, now, branch))

    def _ask(self, call: Call, name: str) -> Any:
        """What a plain function of the definition says; it has no effect."""
        return (
            call.function(StepContext(self, name, "action", 1))
            if call.takes_context
            else (call.function())
        )

    # -- steps that sagas do ----------------------------------------------------------------

    def _begin_child(self, name: str, nest: NestCall, attempt: int, now: float) -> None:
        try:
            input = self._input_for(name, nest)
        except (Exception, SystemExit) as error:  # noqa: BLE001  user code may raise anything
            self.emit(StepStarted(name, attempt, now))
            self.emit(StepFailed(name, attempt, now, ErrorInfo.of(error)))
            return
        id = f"{self.state.execution_id}/{name}" + (f"/{attempt}" if attempt > 1 else "")
        self.emit(StepStarted(name, attempt, now, id))
        self.begin_child(name, input, now)

    def _input_for(self, name: str, nest: NestCall) -> Any:
        """What the saga that does this step is given."""
        given = self.input_of(name) if nest.input is None else self._ask(nest.input, name)
        if nest.each:
            if not isinstance(given, list | tuple):
                raise TypeError(f"step '{name}' is done for each of {given!r}; give a list")
            return codec.plain(given, f"saga '{self.saga.name}': step '{name}': its items")
        return accept_input(self.saga.child(name), given)

    def begin_child(self, name: str, input: Any, now: float) -> None:
        """Begin the execution that does this step, whose start is recorded already."""
        id = self.child_id(name)
        above = (self.state.execution_id, name)
        scenario, began = self.scenario_of(name)
        saga, seed = self.saga.child(name), self.seed
        self.adopt(name, Run.begin(saga, input, id, now, seed, scenario, above, began))

    def scenario_of(self, name: str) -> tuple[Scenario | None, float]:
        """What of the scenario concerns the saga that does this step, and since when it runs."""
        kin = self._kin
        return None if kin.scenario is None else kin.scenario.inside(name), kin.began

    def child_id(self, name: str) -> str:
        """The id of the execution that does this step, the last one if there were several."""
        children = self.state.children
        assert children is not None, "no saga has begun a step"
        return children[self.plan.index[name]]

    def adopt(self, name: str, child: Run) -> None:
        """Take an execution for the one that does this step."""
        child._kin.parent = self
        kin = self._kin
        kin.children[name] = child
        kin.stirred.append(child)

    @property
    def _kin(self) -> Kin:
        assert self.kin is not None, "this execution has neither parent nor children"
        return self.kin

    def _tell_kin(self, kin: Kin, now: float) -> None:
        """Let the children know that it turned back, and the parent that it ended."""
        state = self.state
        if state.turned_back and not kin.turned:
            kin.turned = True
            for child in kin.under_way:
                child.call_off(now)
                kin.stirred.append(child)
        if kin.parent is not None and not kin.over and state.phase not in ACTIVE:
            kin.over = True
            kin.parent.child_over(self, now)
            kin.stirred.append(kin.parent)

    def attach(self, name: str, child: Run | None, now: float) -> None:
        """After a crash: go on with the execution that does this step, as the journal has it.

        Parameters:
            child: None if the journal has none; it is begun then.
        """
        number = self.plan.index[name]
        current = self.state.steps[number]
        if child is None:
            if current is StepState.RUNNING:
                self._begin_child_late(name, now)
            return
        self.adopt(name, child)
        stuck = current is StepState.STUCK or current is StepState.COMPENSATION_FAILED
        if stuck and self.state.phase in ACTIVE and self.went_on(name, child):
            self.emit(ChildResumed(name, now))
            current = self.state.steps[number]
        if current is StepState.COMPENSATING:
            child.undo(now)
        elif current is StepState.RUNNING and self.state.turned_back:
            child.call_off(now)
        kin = child._kin
        kin.over = child.state.phase not in ACTIVE
        if kin.over:
            self.child_over(child, now)

    def _begin_child_late(self, name: str, now: float) -> None:
        """A crash came between the record of the step's start and that of its execution."""
        number = self.plan.index[name]
        try:
            input = self._input_for(name, self.plan.nests[number])
        except (Exception, SystemExit) as error:  # noqa: BLE001  user code may raise anything
            attempt = self.state.attempts[number]
            self.emit(StepFailed(name, attempt, now, ErrorInfo.of(error)))
        else:
            self.begin_child(name, input, now)

    def went_on(self, name: str, child: Run) -> bool:
        """Whether what does a stuck step is itself stuck no more, nor was abandoned."""
        status = child.state.status
        failed = status == "compensated" and self.saga.kind(name) == "retriable"
        return status not in ("stuck", "abandoned") and not failed

    def resume_child(self, name: str, child: Run, now: float) -> bool:
        """What does a stuck step goes on, and so does this execution; whether that is so."""
        if self.state.phase is Phase.ABANDONED:
            return False
        kin = self._kin
        kin.sought = [other for other in kin.sought if other != name]
        self.adopt(name, child)
        self.emit(ChildResumed(name, now))
        return True

    def _undo_child(self, name: str, now: float) -> None:
        kin = self._kin
        child = kin.children.get(name)
        if child is None:
            kin.sought.append(name)
        else:
            child.undo(now)
            kin.stirred.append(child)

    def undo(self, now: float) -> None:
        """Undo this execution though it was completed, because its parent undoes the step."""
        if self.state.phase is Phase.COMPLETED:
            self._kin.over = False
            self.emit(CompensationRequested(now))

    def call_off(self, now: float) -> None:
        """The parent has turned back: so does this execution, unless it is too late."""
        parent = self._kin.parent
        if parent is not None and not why_not_cancel(self.state):
            by = f"execution '{parent.state.execution_id}'"
            self.emit(CancellationRequested(now, by, "it turned back"))

    def child_over(self, child: Run, now: float) -> None:
        """An execution that does (or undoes) a step has ended or is stuck: record what it means."""
        step = first_event(child.events).parent
        assert step is not None
        name = step[1]
        number = self.plan.index[name]
        current, ended = self.state.steps[number], child.state.phase
        if current is StepState.RUNNING and ended is Phase.COMPLETED:
            attempt = self.state.attempts[number]
            self.emit(StepSucceeded(name, attempt, now, child.outcome()))
        elif current is StepState.RUNNING and ended is Phase.COMPENSATED:
            self._child_failed(name, child, now)
        elif current is StepState.COMPENSATING and ended is Phase.COMPENSATED:
            self.emit(CompensationSucceeded(name, self.state.undo_attempts[number], now))
        elif current in (StepState.RUNNING, StepState.COMPENSATING):
            self.emit(ChildStuck(name, now))

    def _child_failed(self, name: str, child: Run, now: float) -> None:
        execution = child.execution()
        cause = execution.error
        place = f"execution '{execution.id}' was compensated"
        if cause is None:
            info = ErrorInfo("Compensated", place)
        else:
            said = f": {cause.message}" if cause.message else ""
            text = f"{place}: step '{execution.failed_step}': {cause.name}{said}"
            info = ErrorInfo(cause.type, text, cause.traceback)
        terminal = any(type(event) is StepFailed and event.terminal for event in child.events)
        chance = self._chance(name, self.plan.retry[self.plan.index[name]].jitter)
        self.emit(
            action_failed(
                self.state, name, info, terminal=terminal, in_doubt=False, at=now, chance=chance
            )
        )

    def outcome(self) -> Any:
        """What a completed execution is to the step that it does: its results, as plain data."""
        results = self.state.results
        value = [results.get(name) for name in self.plan.names] if self.plan.each else results
        return codec.as_plain(value)

    @property
    def resting(self) -> bool:
        """It waits for the world, and so do all that do steps of it: nothing is under way."""
        state = self.state
        if self.kin is None:
            return state.resting
        under_way = self.kin.under_way
        return (
            state.rests(len(under_way))
            and bool(under_way or state.waiting)
            and all(child.resting for child in under_way)
        )

    # -- waiting for the world --------------------------------------------------------------

    def _begin_wait(self, name: str, wait: WaitCall, now: float) -> None:
        correlation = None
        seconds = wait.timeout
        try:
            if wait.correlate is not None:
                found = self._ask(wait.correlate, name)
                correlation = None if found is None else str(found)
            if isinstance(seconds, Call):
                seconds = float(self._ask(seconds, name))
                if not math.isfinite(seconds):
                    raise ValueError(f"step '{name}' would wait {seconds} seconds")
        except (Exception, SystemExit) as error:  # noqa: BLE001  user code may raise anything
            self.emit(StepFailed(name, 0, now, ErrorInfo.of(error)))
            return
        expires_at = None if seconds is None else now + max(0.0, seconds)
        self.emit(WaitStarted(name, now, wait.event, correlation, expires_at))

    def _end_wait(self, name: str, now: float) -> None:
        state = self.state
        number = self.plan.index[name]
        wait = state.waiting[number]
        letter = letters(state).get(number)
        if letter is not None:
            self.emit(StepSucceeded(name, state.attempts[number], now, letter.payload))
        elif self.plan.waits[number].on_timeout == "continue":
            self.emit(StepSucceeded(name, state.attempts[number], now))
        else:
            assert wait.expires_at is not None
            begun = self.plan.waits[number].event
            info = ErrorInfo("TimeoutError", f"no event '{begun}' came in time")
            self.emit(StepFailed(name, state.attempts[number], now, info))

    def signal(self, signal: Signal, id: str, now: float) -> None:
        """Record a signal; which step takes it, if any, follows. One that came before is not
        recorded again.

        Raises:
            SignalError: the execution has ended, or is stuck.
        """
        if self.state.phase not in ACTIVE:
            raise SignalError(
                f"execution '{self.state.execution_id}' has ended: it is {self.state.status}"
            )
        if id not in (self.state.signals or ()):
            self.emit(SignalReceived(now, signal.event, id, signal.payload, signal.correlation))

    def cancel(self, by: str, why: str, now: float) -> None:
        """Record that an operator calls the execution off.

        Raises:
            CancellationError: it is too late; says why.
        """
        reason = why_not_cancel(self.state)
        if reason:
            raise CancellationError(
                f"execution '{self.state.execution_id}' cannot be cancelled: {reason}"
            )
        self.emit(CancellationRequested(now, by, why))

    def migrate(self, saga: Saga, difference: Difference, by: str, why: str, now: float) -> None:
        """Record that an operator moves the execution to another definition, and go on under it.

        Parameters:
            difference: of the definition that it has had and of this one.

        Raises:
            MigrationError: it cannot go on under that one, or not now; says why.
        """
        id = self.state.execution_id
        under_way = ", ".join(f"'{name}'" for name in self.state.in_flight())
        if under_way:
            raise MigrationError(
                f"execution '{id}' has {under_way} under way; migrate it when it waits, or close "
                "the engine and migrate it before it is recovered"
            )
        reasons = difference.allows(self.snapshot())
        if reasons:
            raise MigrationError(
                f"execution '{id}' of saga '{saga.name}' stays with the version it is pinned to "
                f"and cannot migrate to version {saga.version or '(none)'} ({saga.fingerprint}): "
                f"{'; '.join(reasons)}"
            )
        self.events = typed(saga, self.events)
        self.state = replay(saga.plan, self.events)
        self.saga, self.plan = saga, saga.plan
        self.emit(ExecutionMigrated(now, saga.version, saga.fingerprint, by, why))

    def next_due(self) -> float | None:
        """When there will be something to do though no attempt ends (seconds)."""
        due = self.state.next_due()
        if not self.meanwhile:
            return due
        at = self.meanwhile[-1][0]
        return at if due is None else min(due, at)

    def intervene(self, now: float) -> None:
        """Do what the scenario has from outside by now. What comes too late changes nothing."""
        while self.meanwhile and self.meanwhile[-1][0] <= now:
            _, number, what = self.meanwhile.pop()
            if self.state.phase not in ACTIVE:
                continue
            if isinstance(what, Signal):
                self.signal(what, f"scenario-{number}", now)
            else:
                with contextlib.suppress(CancellationError):
                    self.cancel(what.by, what.why, now)

    # -- outcomes ---------------------------------------------------------------------------

    def returned(self, attempt: Attempt, value: Any, now: float) -> None:
        """The call gave a value: record what that means."""
        command = attempt.command
        name = command.step
        kind = type(command)
        attempt.closed = True
        if kind is RunAction:
            if value is not None:
                try:
                    value = self._keep(attempt.call, value, name)
                except CodecError as error:
                    # The effect happened and nobody can rely on its result: in doubt.
                    self._action_failed(name, error, now, terminal=True, in_doubt=True)
                    if attempt.ticket is not None:
                        attempt.ticket.returned(attempt, now)
                    return
            self.emit(StepSucceeded(name, command.attempt, now, value))
        elif kind is AskReconcile:
            self._reconciled(attempt, value, now)
        else:
            self.emit(CompensationSucceeded(name, command.attempt, now))
        if attempt.ticket is not None:
            attempt.ticket.returned(attempt, now)

    def _keep(self, call: Call, value: Any, name: str) -> Any:
        return codec.through(value, call, f"saga '{self.saga.name}': step '{name}'")

    def raised(self, attempt: Attempt, error: BaseException, now: float) -> None:
        """The call raised: record whether another attempt follows, and whether it is in doubt."""
        name = attempt.command.step
        attempt.closed = True
        kind = type(attempt.command)
        if kind is AskReconcile:
            self.emit(ReconcileFailed(name, now, ErrorInfo.of(error)))
        elif kind is RunAction:
            retry = self.plan.retry[self.plan.index[name]]
            terminal = _is_terminal(error, retry)
            in_doubt = isinstance(error, IN_DOUBT_ERRORS)
            self._action_failed(name, error, now, terminal=terminal, in_doubt=in_doubt)
        else:
            retry = self.plan.compensation_retry[self.plan.index[name]]
            terminal = _is_terminal(error, retry)
            info = ErrorInfo.of(error)
            chance = self._chance(name, retry.jitter)
            state = self.state
            self.emit(
                compensation_failed(
                    state,
                    name,
                    info,
                    terminal=terminal,
                    at=now,
                    chance=chance,
                    not_before=_not_before(error),
                    refused=_was_spared(error),
                )
            )
        if attempt.ticket is not None:
            attempt.ticket.raised(attempt, error, now)

    def timed_out(self, attempt: Attempt, now: float) -> None:
        """No answer within the timeout."""
        self.raised(attempt, TimeoutError(f"no answer within {attempt.timeout:g} s"), now)

    def _action_failed(
        self, name: str, error: BaseException, now: float, *, terminal: bool, in_doubt: bool
    ) -> None:
        retry = self.plan.retry[self.plan.index[name]]
        self.emit(
            action_failed(
                self.state,
                name,
                ErrorInfo.of(error),
                terminal=terminal,
                in_doubt=in_doubt,
                at=now,
                chance=self._chance(name, retry.jitter),
                not_before=_not_before(error),
            )
        )

    def _reconciled(self, attempt: Attempt, answer: Any, now: float) -> None:
        name = attempt.command.step
        number = self.plan.index[name]
        tries = self.state.attempts[number]
        place = f"saga '{self.saga.name}': the reconcile of step '{name}'"
        if answer is False:
            info = ErrorInfo("NotHappened", f"{place} says that its effect did not happen")
            self.emit(StepFailed(name, tries, now, info))
            return
        try:
            if answer is not True and not isinstance(answer, Happened):
                raise TypeError(f"{place} returned {answer!r}; return True, False or Happened(…)")
            value = answer.result if isinstance(answer, Happened) else None
            call = self.plan.actions[number]
            assert call is not None  # a wait cannot be reconciled
            value = self._keep(call, value, name)
        except (TypeError, CodecError) as error:
            self.emit(ReconcileFailed(name, now, ErrorInfo.of(error)))
        else:
            self.emit(StepSucceeded(name, tries, now, value))

    def _chance(self, name: str, jitter: float) -> float:
        """A number in [0, 1) from the seed: the same on every run with this seed."""
        if not jitter:
            return 0.0
        text = f"{self.seed}/{self.state.execution_id}/{name}/{len(self.events)}"
        return zlib.crc32(text.encode()) / 2**32


def _is_terminal(error: BaseException, retry: Retry) -> bool:
    """Whether retrying cannot help. That a guard did not let the call be made is no failure of
    the action's that a policy could leave out."""
    if isinstance(error, ServiceRefusedError):
        return False
    return isinstance(error, TerminalError) or not retry.covers(error)


def _was_spared(error: BaseException) -> bool:
    """Whether the service was not asked for a while; its retry budget, though, may never let a
    call through again."""
    return isinstance(error, ServiceRefusedError) and error.part != Part.RETRY_BUDGET


def _not_before(error: BaseException) -> float:
    """The time before which another attempt is useless (seconds)."""
    retry_at = error.retry_at if isinstance(error, ServiceRefusedError) else None
    return 0.0 if retry_at is None else retry_at


_END = {"completed": ExecutionCompleted, "compensated": ExecutionCompensated}


def accept_input(saga: Saga, input: Any) -> Any:
    """The input as the journal keeps it, after the schema agreed.

    Raises:
        InputError: it cannot be kept, or the schema refuses it. Nothing was started.
        DefinitionError: what was given is no saga.
    """
    if not isinstance(saga, Saga):
        raise DefinitionError(repr(saga), ["is not a Saga; of a SagaBuilder give .build()"])
    if input is None and saga.input_schema is None:
        return None
    try:
        kept = codec.plain(input, f"saga '{saga.name}': its input")
    except CodecError as error:
        raise InputError(f"{error}; an input is plain data") from None
    saga.check_input(kept)
    return kept
