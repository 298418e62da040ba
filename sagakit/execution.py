"""One run of a saga: its events, and every question asked of them."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from sagakit.coordinator import State, evolve, replay
from sagakit.errors import CodecError, IllegalEventError
from sagakit.events import (
    CancellationRequested,
    ChildResumed,
    CompensationFailed,
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
    ReconcileFailed,
    StepFailed,
    StepInDoubt,
    StepStarted,
    StepSucceeded,
    WaitStarted,
    learn,
)
from sagakit.journal import codec
from sagakit.redaction import Redaction, Shown
from sagakit.saga import Saga
from sagakit.transitions import ACTIVE, StepState

if TYPE_CHECKING:
    import pandas as pd

    from sagakit.spans import Span
    from sagakit.story import Part
    from sagakit.views import Flow, FlowNode, Mermaid, Picture, Stretch


_BEGINNINGS = (StepStarted, CompensationStarted)
_ENDS = (ExecutionCompleted, ExecutionCompensated, ExecutionStuck)
_Queue = list[tuple[float, int]]  # a heap: the time of an event, and whose it is
_NOT_BEGUN = (StepState.PENDING, StepState.READY)


class Execution:
    """One run of a saga, as its events tell it. A value: it does not change when time goes on.

    Parameters:
        saga: the definition it ran.
        events: what happened, in order.
        children: the executions that do steps of it, by the steps' names.
    """

    __slots__ = ("_state", "children", "events", "saga")

    def __init__(
        self,
        saga: Saga,
        events: Sequence[Event],
        state: State | None = None,
        children: Mapping[str, Execution] | None = None,
    ) -> None:
        self.saga = saga
        self.events = tuple(events)
        self.children = {} if children is None else dict(children)
        if state is None:
            self.saga = saga = saga.given(first_event(self.events).input)
            state = replay(saga.plan, self.events)
        self._state = state

    def __await__(self) -> Generator[Any, None, Execution]:
        """``await saga.execute()``, as many write it: it is there already."""
        yield from ()
        return self

    # -- questions --------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self._state.execution_id

    @property
    def status(self) -> str:
        """``completed``, ``compensated``, ``stuck``; ``running``, ``waiting`` or ``abandoned``."""
        state = self._state
        if self.children and state.phase in ACTIVE:
            under_way = [child for child in self.children.values() if child._under_way]
            if state.rests(len(under_way)) and all(c.status == "waiting" for c in under_way):
                return "waiting"
        return state.status

    @property
    def _under_way(self) -> bool:
        return self._state.phase in ACTIVE

    @property
    def parent(self) -> tuple[str, str] | None:
        """The id of the execution that this one is part of, and the step that it does there."""
        return first_event(self.events).parent

    @property
    def redaction(self) -> Redaction | None:
        """What must not be shown of it and of those that do steps of it: ``clean(value)`` and
        ``scrub(text)`` take it out; None if its saga declares nothing sensitive.

        Whoever shows data of an execution asks this. ``input``, ``results`` and ``events`` hold
        the values themselves; only their reprs do not show them.
        """
        names = self.saga.sensitive.union(first_event(self.events).redact)
        inside = [child.redaction for child in self.children.values()]
        if not names and not any(inside):
            return None
        redaction = Redaction(names)
        for event in self.events:
            learn(event, redaction)
        for inner in inside:
            if inner is not None:
                redaction.names |= inner.names
                inner.within(redaction)
        return redaction

    def _shown(self, value: Any) -> Any:
        """The value; of a dict, one whose repr shows nothing sensitive."""
        redaction = self.redaction if isinstance(value, dict) else None
        return value if redaction is None else Shown(value, redaction)

    @property
    def input(self) -> Any:
        return self._shown(self._state.input)

    @property
    def results(self) -> Mapping[str, Any]:
        """What each step's action returned, by the step's name."""
        results: Mapping[str, Any] = self._shown(dict(self._state.results))
        return results

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
        state = State(saga.given(self.input).plan)
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

    def history(self, *, inside: bool = True) -> list[tuple[str, Event]]:
        """What happened, in order: (path, event). The path is that of the step which the
        execution of the event does, ``outer/inner``; empty for this execution's own.

        Parameters:
            inside: with the events of those that do steps of it, and of those that do theirs.
        """
        if not inside or not self.children:
            return [("", event) for event in self.events]
        inside_of = {
            name: _Told(name, child, number)
            for number, (name, child) in enumerate(self.children.items())
        }
        order = list(inside_of.values())
        # Since when who has something to tell: nobody else need be asked.
        queue: _Queue = []
        for told in order:
            told.wait(queue)
        found: list[tuple[str, Event]] = []
        for event in self.events:
            due: set[int] = set()
            while queue and queue[0][0] < _at(event):
                due.add(heapq.heappop(queue)[1])
            for number in sorted(due):
                found += order[number].before(_at(event), queue)
            step = getattr(event, "step", None)
            if step in inside_of and not isinstance(event, (*_BEGINNINGS, ChildResumed)):
                found += inside_of[step].to_its_end(queue)
            found.append(("", event))
        for told in order:
            found += reversed(told.left)
        return found

    def log(self, *, clock: bool = True, inside: bool = False) -> str:
        """The events as text, one a line: what happened, to which step, and why.

        Parameters:
            clock: begin each line with the seconds since the start; leave it out where real
                time must not show, in a notebook's output for instance.
            inside: with those of the executions that do steps of it, as ``outer/inner``.
        """
        from sagakit.story import tell

        lines = []
        for path, event in self.history(inside=inside):
            what, step, detail = tell(event, path)
            time = f"{_at(event) - self.started_at:10.3f} s  " if clock else ""
            lines.append(f"{time}{what:<28}{step:<20}{detail}".rstrip())
        return "\n".join(lines)

    # -- where the time went ----------------------------------------------------------------

    @property
    def spans(self) -> pd.DataFrame:
        """One row for each span: of the execution, of each step, of each attempt and compensation,
        those of the executions that do steps of it included (see ``tables.spans_frame``)."""
        from sagakit.tables import spans_frame

        return spans_frame(self.read_spans())

    def read_spans(self) -> list[Span]:
        """The spans as plain data, those of one execution in the order in which they began."""
        from sagakit.event_spans import read_spans

        inside = (span for child in self.children.values() for span in child.read_spans())
        return [*read_spans(self.saga, self.events), *inside]

    @property
    def timings(self) -> pd.DataFrame:
        """One row for each step that has begun: how long it was queued, ran, waited to be retried
        and was compensated, in seconds, and its share of the critical path."""
        from sagakit.tables import timings_frame
        from sagakit.timings import read_timings

        return timings_frame(read_timings(self.saga, self.events))

    @property
    def critical_path(self) -> tuple[Stretch, ...]:
        """The steps that decided when the execution ended, in the order of time."""
        from sagakit.timings import critical_path

        return critical_path(self.saga, self.events)

    # -- pictures ---------------------------------------------------------------------------

    def flow(self, *, opened: int | None = 0) -> Picture:
        """The saga's flow graph, coloured by what happened.

        Parameters:
            opened: how many levels of the sagas that do steps are drawn within it; None: all.
                The others can be opened below the picture.
        """
        from sagakit.views import flow_picture

        status, edges = self.status, self.saga.edges
        return flow_picture(
            self.saga.name,
            self._flow_nodes(),
            edges,
            status,
            opened=opened,
            note=self.saga.flow_note,
        )

    def _flow_nodes(self) -> list[FlowNode]:
        doubted = {event.step for event in self.events if isinstance(event, StepInDoubt)}
        inside = {name: child._flow() for name, child in self.children.items()}
        return [
            msgspec.structs.replace(node, notes=(*node.notes, "was in doubt"))
            if node.name in doubted and node.state != "in doubt"
            else node
            for node in self.saga.flow_nodes(self.states, inside)
        ]

    def _flow(self) -> Flow:
        from sagakit.views import Flow, fan_out

        nodes = self._flow_nodes()
        if self.saga.plan.each:
            return fan_out(self.saga.name, nodes, self.status)
        edges = tuple(self.saga.edges)
        return Flow(
            title=self.saga.name,
            nodes=tuple(nodes),
            edges=edges,
            status=self.status,
            note=self.saga.flow_note,
        )

    def timeline(self, *, inside: bool = True) -> Picture:
        """When each attempt ran: actions above, compensations mirrored below, along the critical
        path.

        Parameters:
            inside: with the steps of the sagas that do steps of it, below these.
        """
        from sagakit.story import read_bars, rows
        from sagakit.views import timeline_picture

        parts = self._parts(inside)
        bars, marks = read_bars(self.history(inside=inside), parts)
        drawn = {(bar.step, bar.side) for bar in bars}
        path = [piece for piece in self.critical_path if (piece.step, piece.side) in drawn]
        return timeline_picture(
            self.saga.name,
            bars,
            marks,
            status=self.status,
            steps=list(rows(parts)),
            critical=path,
        )

    def sequence(self, *, inside: bool = True) -> Mermaid:
        """Who said what to whom, as a Mermaid sequence diagram.

        Never more than Mermaid draws by default: of very many items a few are told, the rare
        outcomes first, and the rest is counted.

        Parameters:
            inside: with what is said in the executions that do steps of it.
        """
        from sagakit.story import read_messages
        from sagakit.views import Mermaid, sequence_mermaid

        parts = self._parts(inside)
        participants, messages = read_messages(self.history(inside=inside), parts)
        holds = {
            path: f"for each of {len(saga.steps)}" if saga.plan.each else f"saga {saga.name}"
            for path, (saga, _) in parts.items()
            if path
        }
        return Mermaid(sequence_mermaid(participants, messages, holds))

    def _parts(self, inside: bool, path: str = "") -> dict[str, Part]:
        """This execution and those inside, by their paths, for the story to be told."""
        from sagakit.story import Part, join

        found = {path: Part(self.saga, self.states)}
        for name, child in self.children.items() if inside else ():
            found |= child._parts(inside, join(path, name))
        return found

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


class _Told:
    """The events of an execution that does a step, told piece by piece.

    Parameters:
        number: of those beside it; at the same time, the first one is told first.
    """

    def __init__(self, name: str, execution: Execution, number: int) -> None:
        from sagakit.story import join

        self.left = [(join(name, path), event) for path, event in execution.history()]
        self.left.reverse()  # the next one is popped from the end
        self._name = name
        self._number = number

    def before(self, at: float, queue: _Queue) -> list[tuple[str, Event]]:
        """Those before a time, in seconds."""
        told = []
        while self.left and _at(self.left[-1][1]) < at:
            told.append(self.left.pop())
        self.wait(queue)
        return told

    def to_its_end(self, queue: _Queue) -> list[tuple[str, Event]]:
        """Those up to the next one with which the execution itself ends or gets stuck."""
        told = []
        while self.left:
            told.append(self.left.pop())
            path, event = told[-1]
            if path == self._name and isinstance(event, _ENDS):
                break
        self.wait(queue)
        return told

    def wait(self, queue: _Queue) -> None:
        """Stand in the queue of those who have something left, with the time of the next event."""
        if self.left:
            heapq.heappush(queue, (_at(self.left[-1][1]), self._number))


def typed(saga: Saga, events: Iterable[Event], *, strict: bool = True) -> list[Event]:
    """Give the results in a journal's events the types that the actions declare.

    Also the input the type that the saga declares.

    Raises:
        CodecError: a stored result or input does not fit the type declared now; if not
            ``strict``, it stays plain data instead.
    """
    plan = saga.plan
    kept: list[Event] = []
    for event in events:
        if type(event) is ExecutionStarted and saga.input_type is not Any:
            raw = msgspec.to_builtins(event.input, str_keys=True)
            try:
                input = codec.given(raw, saga.input_type, f"saga '{saga.name}': its stored input")
            except CodecError:
                if strict:
                    raise
                input = event.input
            event = msgspec.structs.replace(event, input=input)
        if type(event) is StepSucceeded and event.result is not None:
            number = plan.index.get(event.step)
            call = None if number is None else plan.actions[number]
            if call is not None:
                try:
                    result = codec.restore(event.result, call)
                except msgspec.ValidationError as error:
                    if strict:
                        known = Redaction(saga.sensitive)
                        learn(event, known)
                        why = known.scrub(str(error))
                        raise CodecError(
                            f"saga '{saga.name}': step '{event.step}' stored a result that is not "
                            f"what its action declares now: {why}; declare the old type as well"
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


def _at(event: Event) -> float:
    at: float = event.at  # type: ignore[attr-defined]
    return at


def pinned_to(events: Sequence[Event]) -> ExecutionStarted | ExecutionMigrated:
    """The event that holds the version and fingerprint of the definition that counts now."""
    migrated = (event for event in reversed(events) if type(event) is ExecutionMigrated)
    return next(migrated, None) or first_event(events)


def children_of(events: Iterable[Event]) -> dict[str, str]:
    """The ids of the executions that do steps, by the steps' names; of several the last one."""
    begun = (event for event in events if type(event) is StepStarted)
    return {event.step: event.child for event in begun if event.child is not None}


def first_event(events: Sequence[Event]) -> ExecutionStarted:
    """The beginning of an execution's events."""
    first = events[0]
    assert isinstance(first, ExecutionStarted)
    return first
