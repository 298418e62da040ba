"""One run of a saga: its events, and every question asked of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from sagakit.coordinator import State, evolve, replay
from sagakit.errors import CodecError, IllegalEventError
from sagakit.events import (
    AttemptAdmitted,
    AttemptHeld,
    AttemptLost,
    BreakerChanged,
    CancellationRequested,
    CompensationAttemptFailed,
    CompensationFailed,
    CompensationStarted,
    CompensationSucceeded,
    DeadlinePassed,
    ErrorInfo,
    Event,
    ExecutionMigrated,
    ExecutionResolved,
    ExecutionStarted,
    ExecutionStuck,
    HedgeStarted,
    ReconcileFailed,
    SignalReceived,
    StepAttemptFailed,
    StepFailed,
    StepInDoubt,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)
from sagakit.journal import codec
from sagakit.saga import Saga
from sagakit.scenario import INJECTED, FaultKind
from sagakit.steps import callable_name
from sagakit.transitions import StepState

if TYPE_CHECKING:
    from sagakit.views import Bar, Mark, Mermaid, Message, Picture


_NOT_BEGUN = (StepState.PENDING, StepState.READY)


class Execution:
    """One run of a saga, as its events tell it. A value: it does not change when time goes on.

    Parameters:
        saga: the definition it ran.
        events: what happened, in order.
    """

    __slots__ = ("_state", "events", "saga")

    def __init__(self, saga: Saga, events: Sequence[Event], state: State | None = None) -> None:
        self.saga = saga
        self.events = tuple(events)
        self._state = replay(saga.plan, self.events) if state is None else state

    # -- questions --------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self._state.execution_id

    @property
    def status(self) -> str:
        """``completed``, ``compensated``, ``stuck``; ``running``, ``waiting`` or ``abandoned``."""
        return self._state.status

    @property
    def input(self) -> Any:
        return self._state.input

    @property
    def results(self) -> Mapping[str, Any]:
        """What each step's action returned, by the step's name."""
        return dict(self._state.results)

    @property
    def states(self) -> Mapping[str, str]:
        """Where each step stands, in the words of ``StepState``."""
        names = self.saga.plan.names
        return {name: str(state) for name, state in zip(names, self._state.steps, strict=True)}

    @property
    def begun(self) -> tuple[str, ...]:
        """The steps that something has happened to, a skipping included."""
        state = self._state
        return tuple(
            name
            for number, name in enumerate(self.saga.plan.names)
            if state.attempts[number] or state.steps[number] not in _NOT_BEGUN
        )

    def unlike(self, saga: Saga) -> list[str]:
        """What would have come differently had this been the definition from the beginning; empty
        if each event could have happened and every step that has begun would stand where it does.

        ``Saga.diff(…).allows(execution)`` asks this and more: it answers whether the execution
        may go on under the other definition.
        """
        state = State(saga.plan)
        for event in self.events:
            try:
                evolve(state, event)
            except IllegalEventError as error:
                if not isinstance(event, ExecutionStuck):
                    return [f"its events do not fit the new definition: {error}"]
                numbers = {**state.ready, **state.due, **state.waiting}
                return [
                    f"step '{saga.plan.names[number]}' would still have been to do when the "
                    "execution got stuck"
                    for number in numbers
                ]
        found = []
        if state.phase is not self._state.phase:
            found.append(f"the execution would go {state.phase}, not {self._state.phase}")
        for name in self.begun:
            stands, would = self._state.state_of(name), state.state_of(name)
            if stands is not would:
                found.append(f"step '{name}' is {stands} and would be {would}")
        return found or _untyped(saga, self.events)

    @property
    def _failure(self) -> StepFailed | StepInDoubt | CompensationFailed | None:
        """The event that turned the execution back, or left it stuck, before any other did."""
        state = State(self.saga.plan)
        doubts: dict[str, StepInDoubt] = {}
        for event in self.events:
            evolve(state, event)
            if isinstance(event, StepInDoubt):
                doubts[event.step] = event
            if state.turned_back or state.stuck:
                if isinstance(event, ReconcileFailed):  # it could not clear the doubt
                    return doubts[event.step]
                kinds = (StepFailed, StepInDoubt, CompensationFailed)
                return event if isinstance(event, kinds) else None
        return None

    @property
    def error(self) -> ErrorInfo | None:
        """The failure that turned the execution back or left it stuck; None without one."""
        failure = self._failure
        return None if failure is None else failure.error

    @property
    def failed_step(self) -> str | None:
        """The step whose failure (or doubt) is ``error``."""
        failure = self._failure
        return None if failure is None else failure.step

    @property
    def errors(self) -> tuple[tuple[str, ErrorInfo], ...]:
        """Every (step, error) on the way, those that a retry cured included."""
        return tuple(
            (event.step, event.error)  # type: ignore[attr-defined]
            for event in self.events
            if hasattr(event, "error")
        )

    @property
    def stuck_steps(self) -> tuple[str, ...]:
        """The steps that wait for an operator."""
        return tuple(self.saga.plan.names[number] for number in self._state.stuck)

    @property
    def compensated_steps(self) -> tuple[str, ...]:
        """The steps whose compensation succeeded, in the order in which it did."""
        return tuple(e.step for e in self.events if isinstance(e, CompensationSucceeded))

    @property
    def resolutions(self) -> tuple[ExecutionResolved, ...]:
        """What operators decided: ``resolution``, ``by``, ``why``, ``steps`` and ``at`` of each."""
        return tuple(event for event in self.events if isinstance(event, ExecutionResolved))

    @property
    def migrations(self) -> tuple[ExecutionMigrated, ...]:
        """To which definitions operators moved it: ``version``, ``by``, ``why`` and ``at``."""
        return tuple(event for event in self.events if isinstance(event, ExecutionMigrated))

    @property
    def cancellation(self) -> CancellationRequested | None:
        """Who called the execution off, and why; None if nobody did."""
        found = (event for event in self.events if isinstance(event, CancellationRequested))
        return next(found, None)

    @property
    def waiting_for(self) -> Mapping[str, WaitStarted]:
        """What each waiting step waits for: ``event``, ``correlation`` and ``expires_at``."""
        names = self.saga.plan.names
        return {names[number]: wait for number, wait in self._state.waiting.items()}

    @property
    def started_at(self) -> float:
        """Seconds since the epoch (in virtual time: since its beginning)."""
        return _at(self.events[0])

    @property
    def duration(self) -> float:
        """Seconds from the first event to the last."""
        return _at(self.events[-1]) - _at(self.events[0])

    def log(self, *, clock: bool = True) -> str:
        """The events as text, one a line: what happened, to which step, and why.

        Parameters:
            clock: begin each line with the seconds since the start; leave it out where real
                time must not show, in a notebook's output for instance.
        """
        lines = []
        for event in self.events:
            what, step, detail = tell(event)
            time = f"{_at(event) - self.started_at:10.3f} s  " if clock else ""
            lines.append(f"{time}{what:<28}{step:<20}{detail}".rstrip())
        return "\n".join(lines)

    # -- pictures ---------------------------------------------------------------------------

    def flow(self) -> Picture:
        """The saga's flow graph, coloured by what happened."""
        from sagakit.views import flow_picture

        doubted = {event.step for event in self.events if isinstance(event, StepInDoubt)}
        nodes = [
            msgspec.structs.replace(node, notes=(*node.notes, "was in doubt"))
            if node.name in doubted and node.state != "in doubt"
            else node
            for node in self.saga.flow_nodes(self.states)
        ]
        return flow_picture(self.saga.name, nodes, self.saga.edges, status=self.status)

    def timeline(self) -> Picture:
        """When each attempt ran: actions above, compensations mirrored below."""
        from sagakit.views import timeline_picture

        bars, marks = _Bars(self).read()
        return timeline_picture(
            self.saga.name, bars, marks, status=self.status, steps=self.saga.plan.names
        )

    def sequence(self) -> Mermaid:
        """Who said what to whom, as a Mermaid sequence diagram."""
        from sagakit.views import Mermaid, sequence_mermaid

        participants, messages = _messages(self)
        return Mermaid(sequence_mermaid(participants, messages))

    def __repr__(self) -> str:
        count = len(self.saga.steps)
        parts = [f"{count} step{'' if count == 1 else 's'}"]
        failure = self._failure
        if any(isinstance(event, DeadlinePassed) for event in self.events):
            parts.append("its deadline passed")
        if self.cancellation is not None:
            parts.append(f"cancelled by {self.cancellation.by}")
        if failure is not None:
            word = "was in doubt" if isinstance(failure, StepInDoubt) else "failed"
            parts.append(f"'{failure.step}' {word} ({failure.error.name})")
        if self.compensated_steps:
            parts.append(f"{len(self.compensated_steps)} compensated")
        if self.stuck_steps:
            parts.append("waits at " + ", ".join(f"'{name}'" for name in self.stuck_steps))
        return f"<Execution of '{self.saga.name}': {self.status}, {', '.join(parts)}>"

    def _repr_html_(self) -> str | None:
        return self.flow()._repr_html_()


def typed(saga: Saga, events: Iterable[Event], *, strict: bool = True) -> list[Event]:
    """Give the results in a journal's events the types that the actions declare.

    Raises:
        CodecError: a stored result does not fit the type declared now; if not ``strict``, it
            stays plain data instead.
    """
    plan = saga.plan
    kept: list[Event] = []
    for event in events:
        if type(event) is StepSucceeded and event.result is not None:
            number = plan.index.get(event.step)
            call = None if number is None else plan.actions[number]
            if call is not None:
                try:
                    # as plain data first: in memory it may have the type of an older definition
                    raw = msgspec.to_builtins(event.result, str_keys=True)
                    result = codec.restore(raw, call)
                except msgspec.ValidationError as error:
                    if strict:
                        raise CodecError(
                            f"saga '{saga.name}': step '{event.step}' stored a result that is not "
                            f"what its action declares now: {error}; declare the old type as well"
                        ) from None
                    result = event.result
                event = msgspec.structs.replace(event, result=result)
        kept.append(event)
    return kept


def _untyped(saga: Saga, events: Iterable[Event]) -> list[str]:
    """Why the stored results are not what the actions of this definition declare."""
    try:
        typed(saga, events)
    except CodecError as error:
        return [str(error)]
    return []


def tell(event: Event) -> tuple[str, str, str]:
    """An event in words: what happened, the step, the details."""
    what = re.sub(r"(?<!^)(?=[A-Z])", " ", type(event).__name__).lower()
    details = []
    if getattr(event, "attempt", 1) > 1:
        details.append(f"attempt {event.attempt}")  # type: ignore[attr-defined]
    if getattr(event, "in_doubt", False):
        details.append("in doubt")
    if isinstance(event, WaitStarted):
        details.append(_wait_words(event))
    if getattr(event, "side", "action") != "action":
        details.append(event.side)  # type: ignore[attr-defined]
    if isinstance(event, AttemptHeld):
        least = "" if event.until is None else f" for at least {event.until - event.at:.3g} s"
        details.append(f"by the {event.by}{least}")
    if isinstance(event, BreakerChanged):
        details.append(f"'{event.service}' from {event.before} to {event.after}: {event.why}")
    if isinstance(event, SignalReceived):
        whom = "" if event.correlation is None else f" for {event.correlation}"
        details.append(f"'{event.event}'{whom}")
    if isinstance(event, CancellationRequested):
        details.append(f"by {event.by}: {event.why}")
    if isinstance(event, ExecutionMigrated):
        details.append(f"to {_version(event)} by {event.by}: {event.why}")
    if isinstance(event, ExecutionResolved):
        details.append(f"{event.resolution} {', '.join(event.steps)} by {event.by}: {event.why}")
    error = getattr(event, "error", None)
    if error is not None:
        details.append(f"{error.name}: {error.message}" if error.message else error.name)
    return what, getattr(event, "step", ""), ", ".join(details)


def _version(event: ExecutionMigrated) -> str:
    name = "" if event.version is None else f"{event.version} "
    return f"version {name}({event.fingerprint})"


def _wait_words(event: WaitStarted) -> str:
    words = []
    if event.event is not None:
        words.append(f"for '{event.event}'")
    if event.correlation is not None:
        words.append(f"of {event.correlation}")
    if event.expires_at is not None:
        most = "" if event.event is None else " at most"
        words.append(f"for {event.expires_at - event.at:g} s{most}")
    return " ".join(words)


def _at(event: Event) -> float:
    at: float = event.at  # type: ignore[attr-defined]
    return at


class _Bars:
    """Reads the events into the bars and marks of a timeline (seconds from the start)."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.start = execution.started_at
        self.open: dict[tuple[str, str], tuple[int, float]] = {}
        self.held: dict[tuple[str, str], str] = {}  # by what
        self.bars: list[Bar] = []
        self.marks: list[Mark] = []

    def read(self) -> tuple[list[Bar], list[Mark]]:
        from sagakit.views import Mark

        saga = self.execution.saga
        pivot = saga.plan.names[saga.plan.pivot] if saga.plan.pivot is not None else None
        for event in self.execution.events:
            at = _at(event) - self.start
            match event:
                case StepStarted(step=step, attempt=attempt):
                    self.open[step, "action"] = (attempt, at)
                case CompensationStarted(step=step, attempt=attempt):
                    self.open[step, "compensation"] = (attempt, at)
                case StepSucceeded(step=step):
                    self._close(step, "action", at, "succeeded", "")
                    if step == pivot:
                        self.marks.append(Mark(at=at, text="point of no return", kind="pivot"))
                case StepAttemptFailed(step=step, error=error, in_doubt=in_doubt):
                    outcome = "in doubt" if in_doubt else "failed"
                    self._close(step, "action", at, outcome, _error_label(error))
                case StepFailed(step=step, error=error):
                    self._close(step, "action", at, "failed", _error_label(error))
                case StepInDoubt(step=step, error=error):
                    self._close(step, "action", at, "in doubt", _error_label(error))
                case AttemptLost(step=step):
                    side = "action" if (step, "action") in self.open else "compensation"
                    self._close(step, side, at, "in doubt", "crash")
                    self.marks.append(Mark(at=at, text="crash, recovered", kind="crash"))
                case CompensationSucceeded(step=step):
                    self._close(step, "compensation", at, "compensated", "")
                case CompensationAttemptFailed(step=step, error=error):
                    label = _error_label(error)
                    self._close(step, "compensation", at, "compensation failed", label)
                case CompensationFailed(step=step, error=error):
                    label = _error_label(error)
                    self._close(step, "compensation", at, "compensation failed", label)
                case AttemptHeld(step=step, side=side, by=by) if (step, side) in self.open:
                    self.held[step, side] = by
                case AttemptAdmitted(step=step, side=side):
                    self._let_in(step, side, at)
                case BreakerChanged(service=service, after=after):
                    self.marks.append(Mark(at=at, text=f"{service}: {after}", kind="breaker"))
                case HedgeStarted(step=step):
                    self.marks.append(Mark(at=at, text=f"{step} again", kind="hedge"))
                case StepSkipped(step=step):
                    self.open[step, "action"] = (1, at)
                    self._close(step, "action", at, "skipped", "")
                case WaitStarted(step=step):
                    self.open[step, "action"] = (1, at)
                case SignalReceived(event=name):
                    self.marks.append(Mark(at=at, text=f"signal {name}", kind="signal"))
                case CancellationRequested(by=by):
                    self.marks.append(Mark(at=at, text=f"cancelled by {by}", kind="cancelled"))
                case ExecutionMigrated(by=by):
                    self.marks.append(Mark(at=at, text=f"migrated by {by}", kind="migrated"))
                case ExecutionResolved(resolution=resolution, by=by):
                    self.marks.append(Mark(at=at, text=f"{resolution} by {by}", kind="resolved"))
        states = self.execution.states
        for step, side in list(self.open):
            state = states[step]
            if state == "pending":  # a wait that backward recovery cut short
                self._close(step, side, at, "skipped", "called off")
            else:
                self._close(step, side, None, "waiting" if state == "waiting" else "running", "")
        return self.bars, self.marks

    def _let_in(self, step: str, side: str, at: float) -> None:
        """The attempt's wait for its service ends: a bar of its own; what follows is the call's."""
        by = self.held.pop((step, side), None)
        if by is not None:
            attempt, _ = self.open[step, side]
            self._close(step, side, at, "held", by)
            self.open[step, side] = (attempt, at)

    def _close(self, step: str, side: str, end: float | None, outcome: str, label: str) -> None:
        from sagakit.views import Bar

        if (step, side) in self.held:
            if end is None:  # it waits still
                outcome, label = "held", self.held[step, side]
            else:  # it was never let in
                self._let_in(step, side, end)
        attempt, start = self.open.pop((step, side), (0, end or 0.0))
        if attempt:  # a reconcile settles a step whose last attempt is closed already
            self.bars.append(
                Bar(
                    step=step,
                    side=side,
                    attempt=attempt,
                    start=start,
                    end=end,
                    outcome=outcome,
                    label=label,
                )
            )


def _error_label(error: ErrorInfo) -> str:
    """A few words for a picture, where the step is plain from the place."""
    if error.message.startswith(INJECTED):
        fault = error.message.removeprefix(INJECTED)
        return f"injected {next(kind for kind in get_args(FaultKind) if fault.startswith(kind))}"
    refused = _REFUSED.search(error.message) if error.type == "ServiceRefusedError" else None
    return f"refused by {refused[1]}" if refused else error.name


_REFUSED = re.compile("refused by its ([^:]+)")


def _messages(execution: Execution) -> tuple[list[str], list[Message]]:
    """The conversation between the coordinator and each service (or step, without one)."""
    from sagakit.views import Message

    saga = execution.saga
    who = {item.name: item.service or item.name for item in saga.steps}
    undo = {
        item.name: callable_name(item.compensation) or f"undo {item.name}"
        for item in saga.steps
        if item.compensation is not None
    }
    messages: list[Message] = []
    asked: dict[str, Message] = {}  # what each step's service was asked last

    def ask(step: str, text: str) -> None:
        asked[step] = Message(sender="coordinator", receiver=who[step], text=text, kind="request")
        messages.append(asked[step])

    def unask(step: str) -> None:
        messages[:] = [message for message in messages if message is not asked[step]]

    def answer(step: str, text: str, kind: str) -> None:
        if text.startswith("refused by "):  # by the guard: the service was never asked
            unask(step)
            note(f"{step}: {text}")
            return
        messages.append(Message(sender=who[step], receiver="coordinator", text=text, kind=kind))

    def note(text: str) -> None:
        messages.append(
            Message(sender="coordinator", receiver="coordinator", text=text, kind="note")
        )

    calls = {
        name
        for name, call in zip(saga.plan.names, saga.plan.actions, strict=True)
        if call is not None
    }
    for event in execution.events:
        match event:
            case StepStarted(step=step) if step not in calls:
                pass  # a choice: what it chose follows
            case StepSucceeded(step=step, result=result) if step not in calls:
                if saga.plan.index[step] in saga.plan.choices:
                    note(f"{step}: {result}")
            case StepFailed(step=step, error=error) if step not in calls:
                note(f"{step}: {_error_label(error)}")
            case StepSkipped(step=step):
                note(f"{step} is skipped")
            case WaitStarted(step=step):
                note(f"{step} waits {_wait_words(event)}")
            case AttemptHeld(step=step, side=side, by=by):
                note(f"{step} is held by the {by}")
                if side != "reconcile":
                    unask(step)
            case AttemptAdmitted(step=step, side=side) if side != "reconcile":
                messages.append(asked[step])
            case BreakerChanged(service=name, before=before, after=after):
                note(f"circuit breaker of {name}: {before}, now {after}")
            case HedgeStarted(step=step):
                messages.append(
                    msgspec.structs.replace(asked[step], text=f"{asked[step].text} (once more)")
                )
            case SignalReceived(event=name):
                messages.append(
                    Message(sender="world", receiver="coordinator", text=name, kind="request")
                )
            case CancellationRequested(by=by, why=why):
                note(f"{by} calls it off: {why}")
            case StepStarted(step=step, attempt=attempt):
                ask(step, step if attempt == 1 else f"{step} (attempt {attempt})")
            case StepSucceeded(step=step):
                answer(step, "done", "reply")
            case StepAttemptFailed(step=step, error=error, in_doubt=in_doubt):
                answer(step, _error_label(error), "lost" if in_doubt else "error")
            case StepFailed(step=step, error=error):
                answer(step, _error_label(error), "error")
            case StepInDoubt(step=step, error=error):
                answer(step, _error_label(error), "lost")
            case ReconcileFailed(step=step):
                answer(step, "cannot tell", "lost")
            case AttemptLost(step=step):
                answer(step, "lost in a crash", "lost")
            case CompensationStarted(step=step, attempt=attempt):
                ask(step, undo[step] if attempt == 1 else f"{undo[step]} (attempt {attempt})")
            case CompensationSucceeded(step=step):
                answer(step, "undone", "reply")
            case CompensationAttemptFailed(step=step, error=error):
                answer(step, _error_label(error), "error")
            case CompensationFailed(step=step, error=error):
                answer(step, f"gave up, {_error_label(error)}", "error")
            case ExecutionResolved(resolution=resolution, by=by, steps=steps):
                note(f"{by}: {resolution} {', '.join(steps)}")
    named = {message.sender for message in messages} | {m.receiver for m in messages}
    services = [name for name in dict.fromkeys(who.values()) if name in named]
    return ["coordinator", *services], messages


def pinned_to(events: Sequence[Event]) -> ExecutionStarted | ExecutionMigrated:
    """The event that holds the version and fingerprint of the definition that counts now."""
    migrated = (event for event in reversed(events) if type(event) is ExecutionMigrated)
    return next(migrated, None) or first_event(events)


def first_event(events: Sequence[Event]) -> ExecutionStarted:
    """The beginning of an execution's events."""
    first = events[0]
    assert isinstance(first, ExecutionStarted)
    return first
