"""One execution in progress: what every driver needs between ``decide`` and ``evolve``.

A driver asks ``take_up_all`` for the work behind commands (which records that it began), makes the
call in its own way, and reports ``returned``, ``raised`` or ``timed_out``.
"""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

import msgspec

from sagakit import telemetry
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
from sagakit.drivers.attempt import Attempt, StepContext
from sagakit.drivers.kin import Kin
from sagakit.errors import (
    CancellationError,
    CodecError,
    InDoubtError,
    MigrationError,
    NotDoneError,
    ServiceRefusedError,
    SignalError,
    TerminalError,
)
from sagakit.events import (
    AskReconcile,
    AttemptLost,
    CancellationRequested,
    Command,
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
    learn,
    seal,
)
from sagakit.execution import Execution, first_event, typed
from sagakit.journal import codec
from sagakit.plan import Call, ChooseCall, Chosen, WaitCall
from sagakit.redaction import Redaction
from sagakit.resilience import Part
from sagakit.saga import Saga
from sagakit.scenario import Cancellation, Scenario, Signal
from sagakit.scenario.faults import correlation_text
from sagakit.scenario.injection import followed, inject
from sagakit.spec import Retry
from sagakit.steps import Happened
from sagakit.telemetry import Watch
from sagakit.transitions import ACTIVE, Phase

if TYPE_CHECKING:
    from sagakit.difference import Difference

# A request may have been sent before these were raised; a refused connection sent nothing.
IN_DOUBT_ERRORS = (
    InDoubtError,
    TimeoutError,
    ConnectionResetError,
    ConnectionAbortedError,
    BrokenPipeError,
)

# Module constants: an attribute of an enum costs a lookup, and `in` a comparison of texts.
_FORWARD, _BACKWARD, _STUCK = Phase.FORWARD, Phase.BACKWARD, Phase.STUCK


class Run:
    """An execution in progress."""

    mortal: ClassVar[bool] = False  # whether it can die where its scenario says so
    real: ClassVar[bool] = False  # whether it calls connectors; if not, their examples stand in

    __slots__ = (
        "alarm",
        "events",
        "held",
        "kin",
        "late",
        "meanwhile",
        "plan",
        "redaction",
        "saga",
        "scenario",
        "seed",
        "state",
        "watch",
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
        self.plan = saga.plan if self.real else saga.plan.rehearsal or saga.plan
        self.state = state
        self.seed = seed
        self.scenario: Scenario | None = None
        self.events: list[Event] = []
        self.written = 0  # how many events the journal has
        self.redaction: Redaction | None = None  # most sagas have no sensitive fields
        self.watch: Watch | None = None  # the driver asks for it
        self.alarm: float | None = None  # of the driver, when it will ask again
        self.held: dict[Any, None] | None = None  # tickets of actions that a gate holds
        self.kin = Kin(self, began, scenario) if nested or saga.plan.nests else None
        self.late: dict[str, Attempt] = {}  # requests that arrive behind the compensation
        self.meanwhile: list[tuple[float, int, Signal | Cancellation]] | None = None
        if scenario is not None:
            self.scenario = scenario if scenario.faults else None
        if scenario is not None and scenario.interventions:
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
        trace: str | None = None,
        around: Redaction | None = None,
    ) -> Self:
        """Start an execution. ``input`` has been through ``accept_input``.

        Parameters:
            parent: the execution and the step that it does.
            began: when the outermost execution did; now, unless there is a parent.
            trace: the W3C traceparent of the span within which it begins; that of the current
                one when left out, where executions are traced.
            around: what is sensitive in the execution whose step this one does.
        """
        if scenario is not None and parent is None:
            scenario.check(saga, crashes=cls.mortal)
        saga = saga.given(input)
        began = now if began is None else began
        observer = telemetry.observer
        if trace is None and observer is not None:
            trace = observer.parent()
        run = cls(saga, State(saga.plan), seed, scenario, began, parent is not None)
        version, fingerprint = saga.version, saga.fingerprint
        redact: tuple[str, ...] = ()
        if saga.sensitive or around is not None:
            run.redaction = Redaction(saga.sensitive, around)
            redact = tuple(sorted(run.redaction.names))
        run.emit(
            ExecutionStarted(
                saga.name,
                version,
                fingerprint,
                execution_id,
                input,
                now,
                parent,
                trace,
                redact,
            )
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
    ) -> Self:
        """Continue from the journal: what was in flight is in doubt and will be issued again."""
        first = first_event(events)
        if scenario is not None and first.parent is None:
            scenario.check(saga, crashes=cls.mortal)
        saga = saga.given(first.input)
        events = typed(saga, events)
        state = replay(saga.plan, events)
        began = first.at if began is None else began
        run = cls(saga, state, seed, scenario, began, first.parent is not None)
        run.events = events
        run.written = len(events)
        if first.redact or saga.sensitive:
            run.redaction = Redaction(saga.sensitive.union(first.redact))
            for event in events:
                learn(event, run.redaction)
        for name in state.in_flight():
            run.emit(AttemptLost(name, now))
        if run.kin is not None:
            run.kin.sought = dict.fromkeys(
                run.plan.names[number] for number in state.children or ()
            )
        return run

    def emit(self, event: Event) -> None:
        """Apply a fact and keep it."""
        if self.redaction is not None:
            event = seal(event, self.redaction)
        APPLY[type(event)](self.state, event)  # `evolve`, one call shorter
        self.events.append(event)

    def confide(self, around: Redaction) -> None:
        """Let it know what is sensitive in the execution whose step it does."""
        if self.redaction is not None and self.redaction.names >= around.names:
            self.redaction.within(around)
            return
        self.redaction = Redaction(self.saga.sensitive, around)
        for event in self.events:
            learn(event, self.redaction)

    def execution(self) -> Execution:
        """What has happened, once nothing more will."""
        children = None if self.kin is None else self.kin.executions(Run.execution)
        return Execution(self.saga, self.events, self.state, children)

    def snapshot(self) -> Execution:
        """What has happened so far."""
        children = None if self.kin is None else self.kin.executions(Run.snapshot)
        return Execution(self.saga, self.events, self.state.copy(), children)

    @property
    def kinship(self) -> Kin:
        """Its kin, for what only concerns executions that have some."""
        assert self.kin is not None, "it is no part of another execution, and has no parts"
        return self.kin

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
            phase, before = state.phase, len(attempts)
            for command in commands:
                attempt = _TAKE_UP[type(command)](self, command, now)
                if attempt is not None:
                    attempts.append(attempt)
                if state.phase is not phase:
                    break  # a condition raised: what was decided before it no longer holds
            if len(attempts) - before == len(commands):
                break  # all of them are calls to make: that they began enables nothing
        if self.kin is not None:
            self.kin.tell(now)
        return attempts

    def _take_up_compensation(self, command: RunCompensation, now: float) -> Attempt | None:
        plan, name, attempt = self.plan, command.step, command.attempt
        number = plan.index[name]
        self.emit(CompensationStarted(name, attempt, now))
        undo = plan.compensations[number]
        if undo is None:
            self.kinship.undo_child(name, now)
            return None
        timeout = plan.compensation_timeout[number]
        made = Attempt(self, command, undo, undo.latency, "compensation", attempt, timeout)
        return made if self.scenario is None else self.under_fault(made)

    def _take_up_reconcile(self, command: AskReconcile, now: float) -> Attempt:
        number = self.plan.index[command.step]
        self.emit(ReconcileStarted(command.step, now))
        ask = self.plan.reconciles[number]
        assert ask is not None
        return Attempt(self, command, ask, ask.latency, "action", 1, self.plan.timeout[number])

    def _end(self, command: EndExecution, now: float) -> None:
        if command.status == "stuck":
            self.emit(ExecutionStuck(now, command.steps))
        else:
            self.emit(_END[command.status](now))

    def _pass_deadline(self, command: PassDeadline, now: float) -> None:  # noqa: ARG002
        self.emit(DeadlinePassed(now))

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
                self.kinship.begin(name, attempt, now)
            else:
                self._begin_wait(name, plan.waits[number], now)
            return None
        self.emit(StepStarted(name, attempt, now))
        timeout = plan.timeout[number]
        made = Attempt(self, command, call, call.latency, "action", attempt, timeout)
        return made if self.scenario is None else self.under_fault(made)

    def under_fault(self, attempt: Attempt) -> Attempt:
        assert self.scenario is not None
        step = attempt.command.step
        fault = self.scenario.find(step, attempt.side, attempt.attempt)
        if fault is not None:
            if fault.kind in ("late", "reorder"):
                self._put_off(attempt, overtaken=fault.kind == "reorder")
            attempt.trips = fault.kind == "trip"
            attempt.call, attempt.delay = inject(attempt.call, fault, attempt.timeout)
            return attempt
        late = self.late.get(step)
        if late is not None and (late.overtaken or attempt.side == "compensation"):
            del self.late[step]
            attempt.call = followed(attempt.call, late)
        return attempt

    def _put_off(self, attempt: Attempt, *, overtaken: bool) -> None:
        """Keep a request that arrives behind a later one."""
        step = attempt.command.step
        late = msgspec.structs.replace(attempt, overtaken=overtaken)
        earlier = self.late.get(step)
        if overtaken and earlier is not None:
            late.call = followed(late.call, earlier)
        self.late[step] = late

    def twin(self, attempt: Attempt) -> Attempt:
        """The call of an attempt once more. A fault of that one attempt has hit its first call; one
        for good hits each."""
        command = attempt.command
        call = self.plan.actions[self.plan.index[command.step]]
        assert call is not None
        twin = Attempt(self, command, call, call.latency, attempt.side, attempt.attempt, None)
        if self.scenario is not None:
            fault = self.scenario.find(command.step, attempt.side, attempt.attempt)
            if fault is not None and fault.for_good:
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
                when = bool(self.ask(when, name))
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
            branch = self.ask(choose.by, name)
            if branch not in choose.branches:
                known = ", ".join(map(repr, choose.branches))
                chosen = self.withheld(branch)
                raise ValueError(f"step '{name}' chose {chosen!r}; its branches are {known}")
        except (Exception, SystemExit) as error:  # noqa: BLE001  user code may raise anything
            self.emit(StepFailed(name, attempt, now, ErrorInfo.of(error)))
        else:
            self.emit(StepSucceeded(name, attempt, now, branch))

    def ask(self, call: Call, name: str) -> Any:
        """What a plain function of the definition says; it has no effect."""
        return (
            call.function(StepContext(self, name, "action", 1))
            if call.takes_context
            else (call.function())
        )

    @property
    def open(self) -> bool:
        """It has not ended: one that is stuck takes signals, too, for when it goes on."""
        return self.state.phase in ACTIVE or self.state.phase is Phase.STUCK

    @property
    def goes_on(self) -> bool:
        """Something will happen without an operator; to one that is stuck, or to those that do
        steps of it, what the scenario still has for them."""
        phase = self.state.phase
        if phase is _FORWARD or phase is _BACKWARD:
            return True
        if phase is not _STUCK:
            return False
        children = () if self.kin is None else self.kin.children.values()
        return bool(self.meanwhile) or any(child.run.goes_on for child in children)

    @property
    def waits(self) -> bool:
        """Its status is ``waiting``."""
        if self.kin is not None and (self.kin.under_way or self.kin.asleep):
            return self.kin.idle
        return bool(self.state.waiting) and self.state.status == "waiting"

    @property
    def resting(self) -> bool:
        """It waits for the world, and so do all that do steps of it: nothing is under way."""
        return self.state.resting if self.kin is None else self.kin.resting

    # -- waiting for the world --------------------------------------------------------------

    def _begin_wait(self, name: str, wait: WaitCall, now: float) -> None:
        correlation = None
        seconds = wait.timeout
        try:
            if wait.correlate is not None:
                correlation = self._correlation(wait.correlate, name)
            if isinstance(seconds, Call):
                seconds = float(self.ask(seconds, name))
                if not math.isfinite(seconds):
                    raise ValueError(f"step '{name}' would wait {seconds} seconds")
        except (Exception, SystemExit) as error:  # noqa: BLE001  user code may raise anything
            self.emit(StepFailed(name, 0, now, ErrorInfo.of(error)))
            return
        expires_at = None if seconds is None else now + max(0.0, seconds)
        self.emit(WaitStarted(name, now, wait.event, correlation, expires_at))

    def _correlation(self, call: Call, name: str) -> str | None:
        """What a wait is found by; None: only by its execution's id."""
        found = correlation_text(self.ask(call, name))
        place = f"saga '{self.saga.name}': step '{name}': its correlate"
        if found is None or (isinstance(found, str) and found.strip()):
            return codec.plain(found, place)  # type: ignore[no-any-return]
        what = "empty text" if isinstance(found, str) else f"a {type(found).__name__}"
        raise TypeError(
            f"{place} gave {what}; give text, an int or a UUID, as the signal's correlation= will "
            "be, or None"
        )

    def _end_wait(self, command: EndWait, now: float) -> None:
        state, name = self.state, command.step
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

    def signal(
        self, signal: Signal, id: str, now: float, *, by: str = "", chosen: bool = False
    ) -> None:
        """Record a signal; which step takes it, if any, follows: where the execution is stuck, once
        that is resolved. One that came before is not recorded again.

        Parameters:
            by: who sent it.
            chosen: its sender gave the id.

        Raises:
            SignalError: the execution has ended.
        """
        if self.scenario is not None and self.scenario.drops(self.saga, signal.event):
            return  # lost on its way: nobody is told
        if not self.open:
            raise SignalError(
                f"execution '{self.state.execution_id}' has ended: it is {self.state.status}"
            )
        if id not in (self.state.signals or ()):
            event, payload = signal.event, signal.payload
            self.emit(
                SignalReceived(now, event, id, payload, signal.correlation, by=by, chosen=chosen)
            )

    def cancel(self, by: str, why: str, now: float) -> None:
        """Record that an operator calls the execution off.

        Raises:
            CancellationError: it is too late; says why.
        """
        reason = why_not_cancel(self.state) or (self.kin and self.kin.why_not_cancel())
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
        if self.kin is None and saga.plan.nests:
            self.kin = Kin(self, first_event(self.events).at, None)
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
            if not self.open:
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
        place = f"saga '{self.saga.name}': step '{name}'"
        if self.redaction is None:
            return codec.through(value, call, place)
        self.redaction.learn(value)  # an error may show it
        return codec.through(value, call, place, self.redaction.clean)

    def withheld(self, value: Any) -> Any:
        """A value that is to stand in an error's text, without what is sensitive in it."""
        if self.redaction is None:
            return value
        self.redaction.learn(value)
        return self.redaction.clean(value)

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
            chance = self.chance(name, retry.jitter)
            state = self.state
            self.emit(
                compensation_failed(
                    state,
                    name,
                    info,
                    terminal=terminal,
                    at=now,
                    chance=chance,
                    not_before=_not_before(error, now),
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
                chance=self.chance(name, retry.jitter),
                not_before=_not_before(error, now),
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
                raise TypeError(
                    f"{place} returned {self.withheld(answer)!r}; return True, False or Happened(…)"
                )
            value = answer.result if isinstance(answer, Happened) else None
            call = self.plan.actions[number]
            assert call is not None  # a wait cannot be reconciled
            value = self._keep(call, value, name)
        except (TypeError, CodecError) as error:
            self.emit(ReconcileFailed(name, now, ErrorInfo.of(error)))
        else:
            self.emit(StepSucceeded(name, tries, now, value))

    def chance(self, name: str, jitter: float) -> float:
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


def _not_before(error: BaseException, now: float) -> float:
    """The time before which another attempt is useless (seconds)."""
    if isinstance(error, NotDoneError):
        return now + error.wait if error.wait else 0.0
    retry_at = error.retry_at if isinstance(error, ServiceRefusedError) else None
    return 0.0 if retry_at is None else retry_at


class RealRun(Run):
    """An execution in real time, which calls its connectors."""

    real = True
    __slots__ = ()


_END = {"completed": ExecutionCompleted, "compensated": ExecutionCompensated}

# How a command is taken up: what is recorded of it; the call to make, if there is one.
_TAKE_UP: dict[type[Command], Callable[[Run, Any, float], Attempt | None]] = {
    RunAction: Run._take_up_action,
    RunCompensation: Run._take_up_compensation,
    AskReconcile: Run._take_up_reconcile,
    EndWait: Run._end_wait,
    EndExecution: Run._end,
    PassDeadline: Run._pass_deadline,
}
