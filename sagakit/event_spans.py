"""What the events of an execution tell as spans: one of the execution, of each step, of each
attempt, of each compensation.

Every identity is a digest of what the span is about, so a process that recovers an execution
continues its trace, an action is told the identity of its span before that span is built, and two
runs of one simulation give the same ids. The attributes are listed in ``ATTRIBUTES``; what happened
to user code is told by the semantic conventions for exceptions
(https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans/).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from sagakit.events import (
    AttemptAdmitted,
    AttemptHeld,
    AttemptLost,
    BreakerChanged,
    CancellationRequested,
    ChildResumed,
    ChildStuck,
    CompensationAttemptFailed,
    CompensationFailed,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    DeadlinePassed,
    ErrorInfo,
    Event,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionMigrated,
    ExecutionResolved,
    ExecutionStarted,
    ExecutionStuck,
    HedgeStarted,
    ReconcileFailed,
    ReconcileStarted,
    SignalReceived,
    StepAttemptFailed,
    StepFailed,
    StepInDoubt,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)
from sagakit.saga import Saga
from sagakit.scenario.injection import INJECTED
from sagakit.spans import Link, Span, SpanEvent, Value

# The attributes of our spans, and what they say.
ATTRIBUTES = {
    "saga.name": "the saga's name",
    "saga.version": "its version, where it has one",
    "saga.execution.id": "the execution; also its correlation id in the baggage",
    "saga.outcome": "how the execution, the step or the attempt ended",
    "saga.step": "the step's name",
    "saga.step.kind": "compensatable, pivot or retriable",
    "saga.step.service": "who owns the step, where that is declared",
    "saga.side": "action or compensation",
    "saga.attempt": "the number of the attempt, from 1",
    "saga.idempotency_key": "the same on every attempt",
    "saga.in_doubt": "true: nobody knows whether the effect happened",
    "saga.wait.event": "the event from outside that the step waited for",
    "saga.child.execution.id": "the execution that does the step",
    "saga.journal.commits": "how many there were, where there were more than span events tell",
    "saga.events.dropped": "how many further events a span had beyond the 128 it tells",
}

# The events of our spans, and when they are.
EVENTS = {
    "exception": "user code raised; what it raised, by the semantic conventions",
    "saga.fault.injected": "a scenario made it fail; saga.fault says how",
    "saga.timeout": "no answer came in time",
    "saga.retry": "another attempt follows after saga.retry.wait seconds",
    "saga.crash": "the process died meanwhile; recovery found it in doubt",
    "saga.reconcile": "the service is asked whether the effect happened",
    "saga.held": "the call waits for its service; saga.held.by names the policy",
    "saga.admitted": "the call that waited is made",
    "saga.hedge": "the answer is slow, and the same is asked once more",
    "saga.breaker": "a circuit breaker changed: saga.service, saga.breaker.before, .after",
    "saga.signal": "an event from outside arrived: saga.signal, saga.signal.id",
    "saga.deadline": "the saga's deadline passed",
    "saga.cancelled": "it was called off: saga.by, saga.why",
    "saga.resolved": "an operator decided: saga.resolution, saga.by, saga.why",
    "saga.resumed": "the execution that does saga.step goes on",
    "saga.migrated": "it was moved to another definition: saga.fingerprint, saga.by, saga.why",
    "saga.journal.commit": "the journal has made saga.journal.events events durable",
}


def trace_id(started: ExecutionStarted) -> str:
    """The trace of an execution: the one it was begun in, else one of its own (32 digits)."""
    if started.trace is not None:
        return started.trace[3:35]
    return _digest(f"{started.execution_id}@{started.at!r}", 16)


def attempt_id(trace: str, key: str, attempt: int) -> str:
    """The span of an attempt (16 digits); ``key`` is its idempotency key."""
    return _digest(f"{trace}/{key}/{attempt}", 8)


def is_sampled(started: ExecutionStarted) -> bool:
    """Whether the trace that it was begun in is kept; one of its own is."""
    return started.trace is None or bool(trace_flags(started.trace) & 1)


def trace_flags(parent: str) -> int:
    """The flags of a W3C ``traceparent``."""
    return int(parent[53:55], 16)


def trace_parent(trace: str, span: str, sampled: bool = True) -> str:
    """The W3C ``traceparent`` of a span (https://www.w3.org/TR/trace-context/)."""
    return f"00-{trace}-{span}-{'01' if sampled else '00'}"


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


_MOST = 128  # events in a span, commits not counted; and commits. More are only counted.


class _Open(msgspec.Struct):
    """A span under way."""

    id: str
    parent: str | None
    name: str
    start: float
    attributes: dict[str, Value]
    events: list[SpanEvent] = []
    links: tuple[Link, ...] = ()
    commits: int = 0
    dropped: int = 0


class SpanBuilder:
    """Follows the events of one execution; ``take`` returns the spans that an event ends.

    Parameters:
        saga: the definition it runs.
        started: its first event; it is taken at once.
    """

    def __init__(self, saga: Saga, started: ExecutionStarted) -> None:
        self.saga = saga
        self.trace = trace_id(started)
        self.execution_id = started.execution_id
        self._parent = None if started.trace is None else started.trace[36:52]
        self._above = started.parent
        self._rounds: dict[object, int] = {}  # how often a span of this kind has begun
        self.order: dict[str, int] = {}  # the spans in the order of their beginnings
        self._execution: _Open | None = None
        self._steps: dict[tuple[str, str], _Open] = {}  # step, side
        self._attempts: dict[tuple[str, str], _Open] = {}
        self._actions: dict[str, str] = {}  # the last span of each step's action
        self._turned_back = False
        self._ended: list[Span] = []
        self._begin_execution(started.at)

    def take(self, event: Event) -> list[Span]:
        """The spans that this event ends, those within others first."""
        take = _TAKE.get(type(event))
        if take is not None:
            take(self, event)
        ended, self._ended = self._ended, []
        return ended

    def committed(self, at: float, count: int) -> None:
        """The journal has committed so many events of the execution (at: seconds)."""
        span = self._execution
        if span is None:
            return
        span.commits += 1
        if span.commits <= _MOST:
            self._note(span, "saga.journal.commit", at, {"saga.journal.events": count})
        else:
            span.attributes["saga.journal.commits"] = span.commits

    def under_way(self) -> Iterator[Span]:
        """The spans that have begun and not ended."""
        for span in (*list(self._attempts.values()), *list(self._steps.values())):
            yield self._made(span, None)
        execution = self._execution
        if execution is not None:
            yield self._made(execution, None)

    @property
    def ended(self) -> bool:
        """Whether the execution has ended, or is stuck."""
        return self._execution is None

    def current(self, step: str, side: str, attempt: int) -> str:
        """The innermost span under way for a step: of the attempt, the step or the execution."""
        if (step, side) in self._attempts:
            key = f"{self.execution_id}/{step}/{side}"
            return attempt_id(self.trace, key, attempt)
        span = self._steps.get((step, side)) or self._execution
        return self._execution_span(self._rounds["execution"]) if span is None else span.id

    # -- the execution ----------------------------------------------------------------------

    def _begin_execution(self, at: float) -> None:
        """It begins, or goes on after it had ended or was stuck: then in another span."""
        number = self._round("execution")
        id = self._begun(self._execution_span(number))
        attributes: dict[str, Value] = {"saga.name": self.saga.name}
        if self.saga.version is not None:
            attributes["saga.version"] = self.saga.version
        attributes["saga.execution.id"] = self.execution_id
        links: tuple[Link, ...] = ()
        if number > 1:
            before = self._execution_span(number - 1)
            links = (Link(self.trace, before, {"saga.link": "continues"}),)
        name = f"saga {self.saga.name}"
        self._execution = _Open(id, self._parent, name, at, attributes, [], links)

    def _execution_span(self, number: int) -> str:
        return _digest(f"{self.trace}/{self.execution_id}/{number}", 8)

    def _begun(self, id: str) -> str:
        self.order[id] = len(self.order)
        return id

    def _round(self, what: object) -> int:
        number = self._rounds[what] = self._rounds.get(what, 0) + 1
        return number

    def _end_execution(self, at: float, outcome: str, problem: str = "") -> None:
        for step, side in list(self._steps):
            self._end_step(step, side, at, "called off")
        if self._execution is None:  # it was stuck and is abandoned
            self._begin_execution(at)
        assert self._execution is not None
        self._execution.attributes["saga.outcome"] = outcome
        self._end(self._execution, at, problem)
        self._execution = None

    def _go_on(self, at: float) -> None:
        if self._execution is None:
            self._begin_execution(at)

    def _say(self, name: str, at: float, attributes: Mapping[str, Value]) -> None:
        """Something happened to the execution as a whole."""
        self._go_on(at)
        assert self._execution is not None
        self._note(self._execution, name, at, attributes)

    # -- steps and attempts -----------------------------------------------------------------

    def _step(self, step: str, side: str, at: float) -> _Open:
        """The span of a step's action or compensation; it begins now if it has not."""
        found = self._steps.get((step, side))
        if found is not None:
            return found
        self._go_on(at)
        assert self._execution is not None
        number = self._round((step, side))
        id = self._begun(self._step_span(self.execution_id, step, side, number))
        attributes = self._step_attributes(step, side)
        links: tuple[Link, ...] = ()
        if side == "action":
            self._actions[step] = id
        elif step in self._actions:
            links = (Link(self.trace, self._actions[step], {"saga.link": "compensates"}),)
        name = step if side == "action" else f"compensate {step}"
        span = _Open(id, self._execution.id, name, at, attributes, [], links)
        self._steps[step, side] = span
        return span

    def _step_span(self, execution_id: str, step: str, side: str, number: int) -> str:
        return _digest(f"{self.trace}/{execution_id}/{step}/{side}#{number}", 8)

    def _step_attributes(self, step: str, side: str) -> dict[str, Value]:
        item = self.saga[step]
        attributes: dict[str, Value] = {
            "saga.name": self.saga.name,
            "saga.execution.id": self.execution_id,
            "saga.step": step,
            "saga.step.kind": self.saga.kind(step),
            "saga.side": side,
            "saga.idempotency_key": f"{self.execution_id}/{step}/{side}",
        }
        if item.service is not None:
            attributes["saga.step.service"] = item.service
        return attributes

    def _begin_attempt(self, step: str, side: str, attempt: int, at: float) -> _Open:
        above = self._step(step, side, at)
        key = f"{self.execution_id}/{step}/{side}"
        id = self._begun(attempt_id(self.trace, key, attempt))
        attributes = {**above.attributes, "saga.attempt": attempt}
        span = _Open(id, above.id, f"{above.name} #{attempt}", at, attributes)
        self._attempts[step, side] = span
        return span

    def _end_attempt(
        self,
        step: str,
        side: str,
        at: float,
        outcome: str,
        error: ErrorInfo | None = None,
        in_doubt: bool = False,
    ) -> None:
        span = self._attempts.pop((step, side), None)
        if span is None:  # a wait, or what a reconcile settled
            if error is not None and (step, side) in self._steps:
                self._note_error(self._steps[step, side], at, error)
            return
        span.attributes["saga.outcome"] = outcome
        if in_doubt:
            span.attributes["saga.in_doubt"] = True
        if error is not None:
            self._note_error(span, at, error)
        self._end(span, at, _problem(error) if error is not None else "")

    def _end_step(
        self, step: str, side: str, at: float, outcome: str, error: ErrorInfo | None = None
    ) -> None:
        if (step, side) in self._attempts:
            self._end_attempt(step, side, at, outcome)
        span = self._steps.pop((step, side), None)
        if span is None:
            return
        span.attributes["saga.outcome"] = outcome
        if outcome == "in doubt":
            span.attributes["saga.in_doubt"] = True
        self._end(span, at, "" if error is None else _problem(error))

    def _note_error(self, span: _Open, at: float, error: ErrorInfo) -> None:
        if INJECTED in error.message:
            fault = error.message.rpartition(INJECTED)[2].strip()
            self._note(span, "saga.fault.injected", at, {"saga.fault": fault})
        if error.name == "TimeoutError":
            self._note(span, "saga.timeout", at, {})
        said: dict[str, Value] = {"exception.type": error.type, "exception.message": error.message}
        self._note(span, "exception", at, {**said, "exception.stacktrace": error.traceback})

    def _turn_back(self, at: float) -> None:
        """Nothing new starts: what waits, for a retry or for the world, is called off."""
        self._turned_back = True
        for step, side in list(self._steps):
            if (step, side) not in self._attempts:
                self._end_step(step, side, at, "called off")

    # -- spans ------------------------------------------------------------------------------

    @staticmethod
    def _note(span: _Open, name: str, at: float, attributes: Mapping[str, Value]) -> None:
        if len(span.events) < _MOST + min(span.commits, _MOST):
            span.events.append(SpanEvent(name, at, attributes))
        else:
            span.dropped += 1
            span.attributes["saga.events.dropped"] = span.dropped

    def _end(self, span: _Open, at: float, problem: str = "") -> None:
        self._ended.append(self._made(span, at, problem))

    def _made(self, span: _Open, end: float | None, problem: str = "") -> Span:
        return Span(
            trace_id=self.trace,
            span_id=span.id,
            parent_id=span.parent,
            name=span.name,
            start=span.start,
            end=end,
            status="error" if problem else "unset",
            message=problem,
            attributes=span.attributes if end is not None else span.attributes.copy(),
            events=tuple(span.events),
            links=span.links,
        )

    # -- events -----------------------------------------------------------------------------

    def _step_started(self, event: StepStarted) -> None:
        span = self._begin_attempt(event.step, "action", event.attempt, event.at)
        if event.child is not None:
            span.attributes["saga.child.execution.id"] = event.child

    def _wait_started(self, event: WaitStarted) -> None:
        span = self._step(event.step, "action", event.at)
        if event.event is not None:
            span.attributes["saga.wait.event"] = event.event

    def _step_skipped(self, event: StepSkipped) -> None:
        self._step(event.step, "action", event.at)
        self._end_step(event.step, "action", event.at, "skipped")

    def _step_succeeded(self, event: StepSucceeded) -> None:
        self._end_attempt(event.step, "action", event.at, "succeeded")
        self._end_step(event.step, "action", event.at, "succeeded")

    def _step_attempt_failed(self, event: StepAttemptFailed) -> None:
        outcome = "in doubt" if event.in_doubt else "failed"
        self._end_attempt(
            event.step, "action", event.at, outcome, event.error, in_doubt=event.in_doubt
        )
        self._retry(event.step, "action", event.at, event.retry_at)

    def _retry(self, step: str, side: str, at: float, retry_at: float) -> None:
        wait = round(retry_at - at, 9)
        self._note(self._steps[step, side], "saga.retry", at, {"saga.retry.wait": wait})

    def _step_failed(self, event: StepFailed) -> None:
        self._step(event.step, "action", event.at)  # a condition that raised has begun nothing
        self._end_attempt(event.step, "action", event.at, "failed", event.error)
        self._end_step(event.step, "action", event.at, "failed", event.error)
        if self.saga.kind(event.step) != "retriable":
            self._turn_back(event.at)

    def _step_in_doubt(self, event: StepInDoubt) -> None:
        step, at = event.step, event.at
        self._end_attempt(step, "action", at, "in doubt", event.error, in_doubt=True)
        if self.saga[step].reconcile is None:
            self._stays_in_doubt(step, at, event.error)

    def _stays_in_doubt(self, step: str, at: float, error: ErrorInfo) -> None:
        self._end_step(step, "action", at, "in doubt", error)
        if self.saga.kind(step) != "pivot":
            self._turn_back(at)

    def _reconcile_started(self, event: ReconcileStarted) -> None:
        span = self._step(event.step, "action", event.at)
        self._note(span, "saga.reconcile", event.at, {})

    def _reconcile_failed(self, event: ReconcileFailed) -> None:
        span = self._step(event.step, "action", event.at)
        self._note_error(span, event.at, event.error)
        self._stays_in_doubt(event.step, event.at, event.error)

    def _attempt_lost(self, event: AttemptLost) -> None:
        step, at = event.step, event.at
        side = "compensation" if (step, "compensation") in self._attempts else "action"
        if (step, side) in self._attempts:
            self._note(self._attempts[step, side], "saga.crash", at, {})
            self._end_attempt(step, side, at, "in doubt", in_doubt=True)
            if self._turned_back and side == "action":
                self._end_step(step, side, at, "in doubt")
        else:  # a reconcile: it is asked again
            self._note(self._step(step, "action", at), "saga.crash", at, {})

    def _child_stuck(self, event: ChildStuck) -> None:
        side = "action" if (event.step, "action") in self._attempts else "compensation"
        self._end_step(event.step, side, event.at, "stuck")

    def _child_resumed(self, event: ChildResumed) -> None:
        self._say("saga.resumed", event.at, {"saga.step": event.step})

    def _compensation_started(self, event: CompensationStarted) -> None:
        if not self._turned_back:
            self._turn_back(event.at)
        self._begin_attempt(event.step, "compensation", event.attempt, event.at)

    def _compensation_succeeded(self, event: CompensationSucceeded) -> None:
        self._end_attempt(event.step, "compensation", event.at, "compensated")
        self._end_step(event.step, "compensation", event.at, "compensated")

    def _compensation_attempt_failed(self, event: CompensationAttemptFailed) -> None:
        self._end_attempt(event.step, "compensation", event.at, "failed", event.error)
        self._retry(event.step, "compensation", event.at, event.retry_at)

    def _compensation_failed(self, event: CompensationFailed) -> None:
        self._end_attempt(event.step, "compensation", event.at, "failed", event.error)
        self._end_step(event.step, "compensation", event.at, "compensation failed", event.error)

    def _held(self, event: AttemptHeld) -> None:
        span = self._asked(event.step, event.side)
        if span is not None:
            self._note(span, "saga.held", event.at, {"saga.held.by": event.by})

    def _admitted(self, event: AttemptAdmitted) -> None:
        span = self._asked(event.step, event.side)
        if span is not None:
            self._note(span, "saga.admitted", event.at, {})

    def _asked(self, step: str, calling: str) -> _Open | None:
        side = "action" if calling == "reconcile" else calling
        return self._attempts.get((step, side)) or self._steps.get((step, side))

    def _hedge_started(self, event: HedgeStarted) -> None:
        span = self._asked(event.step, "action")
        if span is not None:
            self._note(span, "saga.hedge", event.at, {})

    def _breaker_changed(self, event: BreakerChanged) -> None:
        said: dict[str, Value] = {
            "saga.service": event.service,
            "saga.breaker.before": event.before,
            "saga.breaker.after": event.after,
        }
        self._say("saga.breaker", event.at, said)

    def _signal_received(self, event: SignalReceived) -> None:
        said: dict[str, Value] = {"saga.signal": event.event, "saga.signal.id": event.id}
        self._say("saga.signal", event.at, said)

    def _cancelled(self, event: CancellationRequested) -> None:
        self._say("saga.cancelled", event.at, {"saga.by": event.by, "saga.why": event.why})
        self._turn_back(event.at)

    def _deadline_passed(self, event: DeadlinePassed) -> None:
        self._say("saga.deadline", event.at, {})
        self._turn_back(event.at)

    def _compensation_requested(self, event: CompensationRequested) -> None:
        """The execution above undoes a step that this one had completed."""
        if self._above is not None:
            id, step = self._above
            self._parent = self._step_span(id, step, "compensation", 1)
        self._begin_execution(event.at)
        self._turned_back = True

    def _resolved(self, event: ExecutionResolved) -> None:
        said: dict[str, Value] = {"saga.resolution": event.resolution, "saga.by": event.by}
        self._say("saga.resolved", event.at, {**said, "saga.why": event.why})
        if event.resolution == "abandon":
            self._end_execution(event.at, "abandoned", f"abandoned by {event.by}: {event.why}")

    def _migrated(self, event: ExecutionMigrated) -> None:
        said: dict[str, Value] = {"saga.fingerprint": event.fingerprint, "saga.by": event.by}
        self._say("saga.migrated", event.at, {**said, "saga.why": event.why})

    def _completed(self, event: ExecutionCompleted) -> None:
        self._end_execution(event.at, "completed")

    def _compensated(self, event: ExecutionCompensated) -> None:
        self._end_execution(event.at, "compensated")

    def _stuck(self, event: ExecutionStuck) -> None:
        self._end_execution(event.at, "stuck", f"stuck at {', '.join(event.steps)}")


def _problem(error: ErrorInfo) -> str:
    return f"{error.name}: {error.message}" if error.message else error.name


_TAKE: dict[type[Event], Any] = {
    StepStarted: SpanBuilder._step_started,
    WaitStarted: SpanBuilder._wait_started,
    StepSkipped: SpanBuilder._step_skipped,
    StepSucceeded: SpanBuilder._step_succeeded,
    StepAttemptFailed: SpanBuilder._step_attempt_failed,
    StepFailed: SpanBuilder._step_failed,
    StepInDoubt: SpanBuilder._step_in_doubt,
    ReconcileStarted: SpanBuilder._reconcile_started,
    ReconcileFailed: SpanBuilder._reconcile_failed,
    AttemptLost: SpanBuilder._attempt_lost,
    ChildStuck: SpanBuilder._child_stuck,
    ChildResumed: SpanBuilder._child_resumed,
    CompensationStarted: SpanBuilder._compensation_started,
    CompensationSucceeded: SpanBuilder._compensation_succeeded,
    CompensationAttemptFailed: SpanBuilder._compensation_attempt_failed,
    CompensationFailed: SpanBuilder._compensation_failed,
    AttemptHeld: SpanBuilder._held,
    AttemptAdmitted: SpanBuilder._admitted,
    HedgeStarted: SpanBuilder._hedge_started,
    BreakerChanged: SpanBuilder._breaker_changed,
    SignalReceived: SpanBuilder._signal_received,
    CancellationRequested: SpanBuilder._cancelled,
    DeadlinePassed: SpanBuilder._deadline_passed,
    CompensationRequested: SpanBuilder._compensation_requested,
    ExecutionResolved: SpanBuilder._resolved,
    ExecutionMigrated: SpanBuilder._migrated,
    ExecutionCompleted: SpanBuilder._completed,
    ExecutionCompensated: SpanBuilder._compensated,
    ExecutionStuck: SpanBuilder._stuck,
}


def read_spans(saga: Saga, events: Iterable[Event]) -> list[Span]:
    """The spans of one execution, in the order in which they began; those under way have no end."""
    later = iter(events)
    first = next(later)
    assert isinstance(first, ExecutionStarted)
    builder = SpanBuilder(saga, first)
    found = [span for event in later for span in builder.take(event)]
    found += builder.under_way()
    return sorted(found, key=lambda span: builder.order[span.span_id])
