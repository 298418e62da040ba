"""What the events of executions tell: in words, as the bars of a timeline, as messages."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, get_args

from sagakit.events import (
    AttemptAdmitted,
    AttemptHeld,
    AttemptLost,
    BreakerChanged,
    CancellationRequested,
    ChildStuck,
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
    shown,
)
from sagakit.saga import Saga
from sagakit.scenario import FaultKind
from sagakit.scenario.injection import INJECTED
from sagakit.steps import callable_name

if TYPE_CHECKING:
    from sagakit.views import Bar, Mark, Message

# (path, event): the path is that of the step which the event's execution does, ``outer/inner``.
History = Sequence[tuple[str, Event]]


class Part(NamedTuple):
    """An execution within the story: its saga, and where each of its steps stands in the end."""

    saga: Saga
    states: Mapping[str, str]


Parts = Mapping[str, Part]  # by their paths; that of the outermost one is empty


def join(path: str, step: str) -> str:
    """The path of a step of the execution at ``path``."""
    return f"{path}/{step}" if path and step else path or step


# -- in words -------------------------------------------------------------------------------


def tell(event: Event, path: str = "") -> tuple[str, str, str]:
    """An event in words: what happened, the step, the details.

    Parameters:
        path: of the step that the event's execution does; it stands before the step's name.
    """
    event = shown(event)
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
        sender = f" by {event.by}" if event.by else ""
        details.append(f"'{event.event}'{whom}{sender}")
    if isinstance(event, CancellationRequested):
        details.append(f"by {event.by}: {event.why}")
    if isinstance(event, StepStarted) and event.child is not None:
        details.append(f"by execution '{event.child}'")
    if isinstance(event, ExecutionStarted) and event.parent is not None:
        details.append(f"for step '{event.parent[1]}' of execution '{event.parent[0]}'")
    if isinstance(event, ExecutionMigrated):
        details.append(f"to {_version(event)} by {event.by}: {event.why}")
    if isinstance(event, ExecutionResolved):
        details.append(f"{event.resolution} {', '.join(event.steps)} by {event.by}: {event.why}")
    error = getattr(event, "error", None)
    if error is not None:
        details.append(f"{error.name}: {error.message}" if error.message else error.name)
    step = getattr(event, "step", "")
    return what, f"{path}/{step}".strip("/"), ", ".join(details)


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


# -- as bars --------------------------------------------------------------------------------


def rows(parts: Parts, path: str = "") -> Iterator[str]:
    """The paths of all steps in reading order, those inside a step below it."""
    for name in parts[path].saga.plan.names:
        inner = join(path, name)
        yield inner
        if inner in parts:
            yield from rows(parts, inner)


def read_bars(history: History, parts: Parts) -> tuple[list[Bar], list[Mark]]:
    """When each attempt ran (seconds from the start), and what happened at one instant."""
    bars = _Bars(parts, _at(history[0][1]))
    for path, event in history:
        bars.take(path, event)
    bars.end()
    return bars.bars, bars.marks


def _at(event: Event) -> float:
    at: float = event.at  # type: ignore[attr-defined]
    return at


class _Bars:
    """Collects the bars and marks of a timeline."""

    def __init__(self, parts: Parts, start: float) -> None:
        self.parts = parts
        self.start = start
        self.now = 0.0
        self.open: dict[tuple[str, str, str], tuple[int, float]] = {}  # path, step, side
        self.held: dict[tuple[str, str, str], str] = {}  # by what
        self.bars: list[Bar] = []
        self.marks: list[Mark] = []

    def take(self, path: str, event: Event) -> None:
        at = self.now = _at(event) - self.start
        match event:
            case StepStarted(step=step, attempt=attempt):
                self.open[path, step, "action"] = (attempt, at)
            case CompensationStarted(step=step, attempt=attempt):
                self.open[path, step, "compensation"] = (attempt, at)
            case StepSucceeded(step=step):
                self._close(path, step, "action", at, "succeeded", "")
                plan = self.parts[path].saga.plan
                if plan.index[step] == plan.pivot:
                    self._mark(path, "point of no return", "pivot")
            case StepAttemptFailed(step=step, error=error, in_doubt=in_doubt):
                outcome = "in doubt" if in_doubt else "failed"
                self._close(path, step, "action", at, outcome, error_label(error))
            case StepFailed(step=step, error=error):
                self._close(path, step, "action", at, "failed", error_label(error))
            case StepInDoubt(step=step, error=error):
                self._close(path, step, "action", at, "in doubt", error_label(error))
            case AttemptLost(step=step):
                side = "action" if (path, step, "action") in self.open else "compensation"
                self._close(path, step, side, at, "in doubt", "crash")
                self._mark(path, "crash, recovered", "crash")
            case ChildStuck(step=step) if (path, step, "action") in self.open:
                self._close(path, step, "action", at, "failed", "stuck inside")
            case ChildStuck(step=step):
                self._close(path, step, "compensation", at, "compensation failed", "stuck inside")
            case CompensationSucceeded(step=step):
                self._close(path, step, "compensation", at, "compensated", "")
            case CompensationAttemptFailed(step=step, error=error):
                label = error_label(error)
                self._close(path, step, "compensation", at, "compensation failed", label)
            case CompensationFailed(step=step, error=error):
                label = error_label(error)
                self._close(path, step, "compensation", at, "compensation failed", label)
            case StepSkipped(step=step):
                self.open[path, step, "action"] = (1, at)
                self._close(path, step, "action", at, "skipped", "")
            case WaitStarted(step=step):
                self.open[path, step, "action"] = (1, at)
            case AttemptHeld(step=step, side=side, by=by) if (path, step, side) in self.open:
                self.held[path, step, side] = by
            case AttemptAdmitted(step=step, side=side):
                self._let_in(path, step, side, at)
            case BreakerChanged(service=service, after=after):
                self._mark("", f"{service}: {after}", "breaker")
            case HedgeStarted(step=step):
                self._mark(path, f"{step} again", "hedge")
            case SignalReceived(event=name):
                self._mark(path, f"signal {name}", "signal")
            case CancellationRequested(by=by) if not path:
                self._mark(path, f"cancelled by {by}", "cancelled")
            case DeadlinePassed():
                self._mark(path, "deadline passed", "deadline")
            case ExecutionMigrated(by=by):
                self._mark(path, f"migrated by {by}", "migrated")
            case ExecutionResolved(resolution=resolution, by=by):
                self._mark(path, f"{resolution} by {by}", "resolved")

    def end(self) -> None:
        """Close what is open at the end of the story."""
        for path, step, side in list(self.open):
            state = self.parts[path].states[step]
            if state == "pending":  # a wait that backward recovery cut short
                self._close(path, step, side, self.now, "skipped", "called off")
            else:
                outcome = "waiting" if state == "waiting" else "running"
                self._close(path, step, side, None, outcome, "")

    def _let_in(self, path: str, step: str, side: str, at: float) -> None:
        """The attempt's wait for its service ends: a bar of its own; what follows is the call's."""
        by = self.held.pop((path, step, side), None)
        if by is not None:
            attempt, _ = self.open[path, step, side]
            self._close(path, step, side, at, "held", by)
            self.open[path, step, side] = (attempt, at)

    def _mark(self, path: str, text: str, kind: str) -> None:
        from sagakit.views import Mark

        where = f"{path}: " if path else ""
        self.marks.append(Mark(at=self.now, text=f"{where}{text}", kind=kind))

    def _close(
        self, path: str, step: str, side: str, end: float | None, outcome: str, label: str
    ) -> None:
        from sagakit.views import Bar

        if (path, step, side) in self.held:
            if end is None:  # it waits still
                outcome, label = "held", self.held[path, step, side]
            else:  # it was never let in
                self._let_in(path, step, side, end)
        attempt, start = self.open.pop((path, step, side), (0, end or 0.0))
        if attempt:  # a reconcile settles a step whose last attempt is closed already
            name = join(path, step)
            self.bars.append(
                Bar(
                    step=name,
                    side=side,
                    attempt=attempt,
                    start=start,
                    end=end,
                    outcome=outcome,
                    label=label,
                )
            )


def error_label(error: ErrorInfo) -> str:
    """A few words for a picture, where the step is plain from the place."""
    if INJECTED in error.message:
        fault = error.message.rpartition(INJECTED)[2]
        return f"injected {next(kind for kind in get_args(FaultKind) if fault.startswith(kind))}"
    refused = _REFUSED.search(error.message) if error.type == "ServiceRefusedError" else None
    return f"refused by {refused[1]}" if refused else error.name


_REFUSED = re.compile("refused by its ([^:]+)")


# -- as messages ----------------------------------------------------------------------------


def read_messages(history: History, parts: Parts) -> tuple[list[str], list[Message]]:
    """The conversation between the coordinator and each service (or step, without one).

    Of what is done for very many items only a few are told, as in the other pictures, and a note
    says how many are left out.
    """
    talk = _Talk(parts)
    for path, event in history:
        talk.take(path, event)
    named = {message.sender for message in talk.messages} | {m.receiver for m in talk.messages}
    services = [name for name in dict.fromkeys(talk.who.values()) if name in named]
    return ["coordinator", *services], talk.messages


_MOST_COPIES = 12  # of what is done for many items, as many as a timeline has rows for


class _Talk:
    """Collects the messages of a sequence diagram."""

    def __init__(self, parts: Parts) -> None:
        self.messages: list[Message] = []
        self.who: dict[tuple[str, str], str] = {}  # path and step: who is asked
        self.what: dict[tuple[str, str], str] = {}  # and for what
        self.undo: dict[tuple[str, str], str] = {}
        self.calls: set[tuple[str, str]] = set()
        self.choices: set[tuple[str, str]] = set()
        self.waits: dict[tuple[str, str], WaitStarted] = {}
        self.letters: dict[str, list[SignalReceived]] = defaultdict(list)  # not taken yet, by path
        self.within: dict[str, str] = {}  # by path
        self.asked: dict[tuple[str, str], Message] = {}  # what each step's service was asked last
        self.untold: dict[str, str] = {}  # by path: the fan-out that it is left out of
        self.more: dict[str, int] = {}  # by the fan-out's path; until it is said
        for path, part in parts.items():
            self._introduce(path, part.saga)
            self._leave_out(path, part)

    def _introduce(self, path: str, saga: Saga) -> None:
        above, _, last = path.rpartition("/")
        # what is done for many items is one conversation
        self.within[path] = self.within[above] if last.isdecimal() and above else path
        names = saga.plan.names
        for number, item in enumerate(saga.steps):
            key = path, item.name
            label = saga.body.name if saga.plan.each else item.name  # type: ignore[attr-defined]
            self.who[key] = item.service or label
            self.what[key] = f"{label} {item.name}" if saga.plan.each else label
            if item.compensation is not None:
                undo = callable_name(item.compensation) or f"undo {label}"
                self.undo[key] = f"{undo} {item.name}" if saga.plan.each else undo
            if saga.plan.actions[number] is not None:
                self.calls.add(key)
        self.choices |= {(path, names[number]) for number in saga.plan.choices}

    def _leave_out(self, path: str, part: Part) -> None:
        """Of an item's copies, and of what is inside them, most are not told."""
        from sagakit.views.few import few

        above = self.untold.get(path)
        names = part.saga.plan.names
        if above is not None:
            self.untold |= {join(path, name): above for name in names}
        elif part.saga.plan.each:
            begun = [name for name in names if part.states[name] != "pending"]
            most = _MOST_COPIES if len(begun) <= _MOST_COPIES else _MOST_COPIES - 1
            told = {begun[i] for i in few([part.states[name] for name in begun], most)}
            self.untold |= {join(path, name): path for name in begun if name not in told}
            self.more[path] = len(begun) - len(told)

    def _say(self, path: str, sender: str, receiver: str, text: str, kind: str) -> Message:
        from sagakit.views import Message

        within = self.within[path]
        said = Message(sender=sender, receiver=receiver, text=text, kind=kind, within=within)
        self.messages.append(said)
        return said

    def _ask(self, path: str, step: str, what: str, attempt: int) -> None:
        text = what if attempt == 1 else f"{what} (attempt {attempt})"
        who = self.who[path, step]
        self.asked[path, step] = self._say(path, "coordinator", who, text, "request")

    def _unask(self, path: str, step: str) -> None:
        asked = self.asked[path, step]
        self.messages = [message for message in self.messages if message is not asked]

    def _answer(self, path: str, step: str, text: str, kind: str) -> None:
        if text.startswith("refused by "):  # by the guard: the service was never asked
            self._unask(path, step)
            self._note(path, f"{step}: {text}")
            return
        self._say(path, self.who[path, step], "coordinator", text, kind)

    def _note(self, path: str, text: str) -> None:
        self._say(path, "coordinator", "coordinator", text, "note")

    def take(self, path: str, event: Event) -> None:
        event = shown(event)
        step = getattr(event, "step", None)
        fan_out = self.untold.get(join(path, step or ""))
        if fan_out is not None:
            if fan_out in self.more:
                self._note(fan_out, f"… {self.more.pop(fan_out):,} more")
            return
        if step is not None and (path, step) not in self.calls:
            self._take_special(path, step, event)
            return
        match event:
            case SignalReceived(event=name):
                self.letters[path].append(event)
                self._say(path, "world", "coordinator", name, "request")
            case CancellationRequested(by=by, why=why) if not path:
                self._note(path, f"{by} calls it off: {why}")
            case DeadlinePassed():
                self._note(path, "the deadline has passed: back")
            case ExecutionMigrated(by=by, why=why):
                self._note(path, f"{by} moves it to {_version(event)}: {why}")
            case ExecutionResolved(resolution=resolution, by=by, steps=steps):
                self._note(path, f"{by}: {resolution} {', '.join(steps)}")
            case StepSkipped():
                self._note(path, f"{step} is skipped")
            case StepStarted(attempt=attempt):
                self._ask(path, str(step), self.what[path, str(step)], attempt)
            case StepSucceeded():
                self._answer(path, str(step), "done", "reply")
            case StepAttemptFailed(error=error, in_doubt=in_doubt):
                self._answer(path, str(step), error_label(error), "lost" if in_doubt else "error")
            case StepFailed(error=error):
                self._answer(path, str(step), error_label(error), "error")
            case StepInDoubt(error=error):
                self._answer(path, str(step), error_label(error), "lost")
            case ReconcileFailed():
                self._answer(path, str(step), "cannot tell", "lost")
            case AttemptLost():
                self._answer(path, str(step), "lost in a crash", "lost")
            case AttemptHeld(by=by, side=side):
                self._note(path, f"{step} is held by the {by}")
                if side != "reconcile":
                    self._unask(path, str(step))
            case AttemptAdmitted(side=side) if side != "reconcile":
                self.messages.append(self.asked[path, str(step)])
            case BreakerChanged(service=name, before=before, after=after):
                self._note(path, f"circuit breaker of {name}: {before}, now {after}")
            case HedgeStarted():
                asked = self.asked[path, str(step)]
                again = f"{asked.text} (once more)"
                self._say(path, asked.sender, asked.receiver, again, asked.kind)
            case _:
                self._take_undo(path, event)

    def _take_undo(self, path: str, event: Event) -> None:
        match event:
            case CompensationStarted(step=step, attempt=attempt):
                self._ask(path, step, self.undo[path, step], attempt)
            case CompensationSucceeded(step=step):
                self._answer(path, step, "undone", "reply")
            case CompensationAttemptFailed(step=step, error=error):
                self._answer(path, step, error_label(error), "error")
            case CompensationFailed(step=step, error=error):
                self._answer(path, step, f"gave up, {error_label(error)}", "error")

    def _end_wait(self, path: str, step: str, at: float) -> None:
        """Say that a time is over; a signal that ended the wait has been told already."""
        wait = self.waits.pop((path, step))
        letters = self.letters[path]
        taken = next((one for one in letters if _answers(one, wait)), None)
        if taken is not None:
            letters.remove(taken)
        elif wait.expires_at is not None and at >= wait.expires_at:
            nothing = "is over" if wait.event is None else f"goes on without '{wait.event}'"
            self._note(path, f"{step} {nothing}")

    def _take_special(self, path: str, step: str, event: Event) -> None:
        """Of a step that calls nobody itself: it waits, chooses, or a saga does it."""
        match event:
            case StepSucceeded(result=result) if (path, step) in self.choices:
                self._note(path, f"{step}: {result}")
            case StepFailed(error=error):
                self._note(path, f"{step}: {error_label(error)}")
            case StepSkipped():
                self._note(path, f"{step} is skipped")
            case StepSucceeded(at=at) if (path, step) in self.waits:
                self._end_wait(path, step, at)
            case WaitStarted():
                self.waits[path, step] = event
                self._note(path, f"{step} waits {_wait_words(event)}")
            case ChildStuck():
                self._note(path, f"{step} is stuck inside")
            case CompensationStarted() if (path, step) in self.undo:
                self._take_undo(path, event)
            case CompensationSucceeded() if (path, step) in self.undo:
                self._take_undo(path, event)
            case CompensationAttemptFailed() | CompensationFailed():
                self._take_undo(path, event)


def _answers(letter: SignalReceived, wait: WaitStarted) -> bool:
    return letter.event == wait.event and letter.correlation in (None, wait.correlation)
