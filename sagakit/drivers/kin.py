"""An execution among others: those that do steps of it, and the one whose step it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sagakit.coordinator import NOTHING, action_failed, put, why_not_cancel
from sagakit.drivers.inputs import accept_input
from sagakit.events import (
    CancellationRequested,
    ChildResumed,
    ChildStuck,
    CompensationRequested,
    CompensationSucceeded,
    ErrorInfo,
    Event,
    StepFailed,
    StepStarted,
    StepSucceeded,
)
from sagakit.execution import Execution, first_event
from sagakit.journal import codec
from sagakit.scenario import Scenario
from sagakit.transitions import ACTIVE, Phase, StepState

if TYPE_CHECKING:
    from sagakit.drivers.run import Run


# The executions that do these steps, as a journal has them; without those that it lacks.
Archive = Callable[["Kin", Sequence[str]], dict[str, Execution]]


class Kin:
    """Whom an execution is part of, and who is part of it. Most executions have no kin.

    What one of them does may let others go on: a driver advances those in ``stirred`` as well, and
    finds those in ``sought`` (by the steps that they do) in its journal and attaches them.
    ``under_way`` are the children that have not ended, ``awake`` those of them that are not idle,
    ``unsafe`` those of which the journal does not have all: ``weigh`` keeps them after each change,
    so that nobody has to ask ten thousand children. ``asleep`` are the steps, by the ids of what
    does them, whose executions wait and are only in the journal.
    """

    __slots__ = (
        "archive",
        "asleep",
        "awake",
        "began",
        "children",
        "over",
        "parent",
        "run",
        "scenario",
        "sought",
        "step",
        "stirred",
        "turned",
        "under_way",
        "unsafe",
        "unsaved",
    )

    def __init__(self, run: Run, began: float, scenario: Scenario | None) -> None:
        self.run = run
        self.began = began  # when the outermost execution did: a scenario counts from then
        self.scenario = scenario
        self.parent: Kin | None = None
        self.step = ""  # that it does in its parent
        self.children: dict[str, Kin] = NOTHING
        self.under_way: dict[str, Kin] = NOTHING
        self.awake: dict[str, Kin] = NOTHING
        self.unsafe: dict[str, Kin] = NOTHING
        self.asleep: dict[str, str] = NOTHING
        self.archive: Archive | None = None  # of a driver that does not keep all in memory
        self.stirred: list[Run] | None = None
        self.sought: dict[str, None] = NOTHING
        self.turned = False  # the children have been told that it turned back
        self.unsaved = False  # the driver's journal does not have all of it yet
        self.over = False  # the parent has been told that it ended

    @property
    def active(self) -> bool:
        return self.run.state.phase in ACTIVE

    @property
    def outermost(self) -> Kin:
        """Of the execution that all of them are part of."""
        kin = self
        while kin.parent is not None:
            kin = kin.parent
        return kin

    @property
    def idle(self) -> bool:
        """It waits for the world, and so do all that do steps of it: nothing is under way."""
        state = self.run.state
        if self.awake or not (self.under_way or self.asleep or state.waiting):
            return False
        return state.rests(len(self.under_way) + len(self.asleep))

    @property
    def resting(self) -> bool:
        """It is idle, and the journal has all of it and of those that do steps of it."""
        return self.idle and not self.unsaved and not self.unsafe

    def save(self, saved: bool) -> None:
        """The journal has all of it, or not yet: before that nobody is told that it rests."""
        if self.unsaved is saved:
            self.unsaved = not saved
            self.weigh()

    def weigh(self) -> None:
        """Something has happened here: note with the parent whether this one is under way, idle
        and safe, and with those above whether that changes what they do."""
        kin, parent = self, self.parent
        while parent is not None and parent.children.get(kin.step) is kin:
            step, active = kin.step, kin.active
            awake = active and not kin.idle
            unsafe = active and (kin.unsaved or bool(kin.unsafe))
            was_active, was_awake = step in parent.under_way, step in parent.awake
            was_unsafe = step in parent.unsafe
            if active is was_active and awake is was_awake and unsafe is was_unsafe:
                return
            if active is not was_active:
                parent.under_way = _noted(parent.under_way, kin, active)
            if awake is not was_awake:
                parent.awake = _noted(parent.awake, kin, awake)
            if unsafe is not was_unsafe:
                parent.unsafe = _noted(parent.unsafe, kin, unsafe)
            kin, parent = parent, parent.parent

    def let_go(self) -> None:
        """It rests, and only the journal has it from now on."""
        parent = self.parent
        if parent is not None and parent.children.get(self.step) is self:
            parent.forget(self.step)
            parent.asleep = put(parent.asleep, self.run.state.execution_id, self.step)

    def forget(self, step: str) -> None:
        """What does this step is not in memory any more."""
        for known in (self.children, self.under_way, self.awake, self.unsafe):
            known.pop(step, None)

    def stir(self, run: Run) -> None:
        """This one may go on because of what has happened here."""
        if self.stirred is None:
            self.stirred = [run]
        else:
            self.stirred.append(run)

    def take_stirred(self) -> Sequence[Run]:
        """Those that may go on, for the driver to advance."""
        stirred, self.stirred = self.stirred, None
        return stirred or ()

    def take_sought(self) -> Iterable[str]:
        """The steps whose executions the driver is to find in its journal and to attach."""
        sought, self.sought = self.sought, NOTHING
        return sought

    def call(self, id: str) -> bool:
        """Seek a child that is asleep; whether it is one."""
        step = self.asleep.pop(id, None)
        if step is not None:
            self.sought = put(self.sought, step, None)
        return step is not None

    def executions(self, as_execution: Callable[[Run], Execution]) -> dict[str, Execution]:
        """What does (or did) its steps, in the order in which they began."""
        begun = self.run.state.children
        if not begun:
            return {}
        steps = [self.run.plan.names[number] for number in begun]
        found = {step: as_execution(child.run) for step, child in self.children.items()}
        if len(found) < len(steps) and self.archive is not None:
            found |= self.archive(self, [step for step in steps if step not in found])
        return {step: found[step] for step in steps if step in found}

    def child_id(self, step: str) -> str:
        """The id of the execution that does this step, the last one if there were several."""
        children = self.run.state.children
        assert children is not None, "no saga has begun a step"
        return children[self.run.plan.index[step]]

    def is_child(self, step: str, events: Sequence[Event]) -> bool:
        """Whether these events are of an execution that does this step: somebody may have chosen
        its id for another one."""
        return first_event(events).parent == (self.run.state.execution_id, step)

    def scenario_of(self, step: str) -> tuple[Scenario | None, float]:
        """What of the scenario concerns the saga that does this step, and since when it runs."""
        return None if self.scenario is None else self.scenario.inside(step), self.began

    # -- downward ---------------------------------------------------------------------------

    def begin(self, step: str, attempt: int, now: float) -> None:
        """Begin the execution that does this step, and record that."""
        run = self.run
        try:
            input = self._input_for(step)
        except (Exception, SystemExit) as error:  # noqa: BLE001  user code may raise anything
            run.emit(StepStarted(step, attempt, now))
            run.emit(StepFailed(step, attempt, now, ErrorInfo.of(error)))
            return
        # No name is empty or has a '/': what follows '//' is no step, here or further inside.
        id = f"{run.state.execution_id}/{step}" + (f"//{attempt}" if attempt > 1 else "")
        run.emit(StepStarted(step, attempt, now, id))
        self._begin(step, input, now)

    def _input_for(self, step: str) -> Any:
        """What the saga that does this step is given."""
        run = self.run
        nest = run.plan.nests[run.plan.index[step]]
        given = run.input_of(step) if nest.input is None else run.ask(nest.input, step)
        if nest.each:
            if not isinstance(given, list | tuple):
                shown = run.withheld(given)
                raise TypeError(f"step '{step}' is done for each of {shown!r}; give a list")
            return codec.given(given, Any, f"saga '{run.saga.name}': step '{step}': its items")
        sensitive = run.redaction.names if run.redaction is not None else frozenset[str]()
        return accept_input(run.saga.child(step), given, sensitive)

    def _begin(self, step: str, input: Any, now: float) -> None:
        from sagakit.event_spans import attempt_id, is_sampled, trace_id, trace_parent

        run = self.run
        above = (run.state.execution_id, step)
        scenario, began = self.scenario_of(step)
        saga, id = run.saga.child(step), self.child_id(step)
        attempt = run.state.attempts[run.plan.index[step]]
        started = first_event(run.events)
        trace = trace_id(started)
        span = attempt_id(trace, f"{run.state.execution_id}/{step}/action", attempt)
        sampled = is_sampled(started) if run.watch is None else run.watch.sampled
        within = trace_parent(trace, span, sampled)
        around = run.redaction
        child = run.begin(
            saga, input, id, now, run.seed, scenario, above, began, within, around=around
        )
        self.adopt(step, child)

    def adopt(self, step: str, run: Run) -> Kin:
        """Take an execution for the one that does this step."""
        child = run.kinship
        child.parent, child.step, child.archive = self, step, self.archive
        self.asleep.pop(run.state.execution_id, None)
        self.children = put(self.children, step, child)
        if self.run.redaction is not None:
            run.confide(self.run.redaction)
        self.stir(run)
        child.weigh()
        return child

    def disown(self, other: Sequence[Event], now: float) -> None:
        """Its id belongs to another execution, which has these events: it never began, and the
        step that it was to do fails."""
        parent, first = self.parent, first_event(other)
        assert parent is not None
        above, step = parent.run.state.execution_id, self.step
        parent.forget(step)
        whose = "that somebody started"
        if first.parent is not None:
            whose = f"that does step '{first.parent[1]}' of execution '{first.parent[0]}'"
        text = (
            f"execution '{above}' cannot begin '{first.execution_id}' for its step '{step}': the "
            f"id belongs to an execution of saga '{first.saga}' {whose}; choose another id for "
            f"one of '{above}' and '{first.execution_id}'"
        )
        attempt = parent.run.state.attempts[parent.run.plan.index[step]]
        error = ErrorInfo("ConflictError", text)
        parent.run.emit(StepFailed(step, attempt, now, error, terminal=True))

    def attach(self, step: str, run: Run | None, now: float) -> None:
        """After a crash: go on with the execution that does this step, as the journal has it.

        Parameters:
            run: None if the journal has none; it is begun then, but cannot be undone.
        """
        state = self.run.state
        number = self.run.plan.index[step]
        if step in self.children:
            return  # another attempt has begun since it was sought
        if run is None:
            if state.steps[number] is StepState.RUNNING:
                self._begin_late(step, now)
            elif state.steps[number] is StepState.COMPENSATING:
                self.run.emit(ChildStuck(step, now))  # nobody can undo what is not there
            return
        child = self.adopt(step, run)
        stuck = state.steps[number] in (StepState.STUCK, StepState.COMPENSATION_FAILED)
        if stuck and self.active and self.went_on(step, run):
            self.run.emit(ChildResumed(step, now))
        if state.steps[number] is StepState.COMPENSATING:
            child.undo(now)
        elif state.steps[number] is StepState.RUNNING and state.turned_back:
            child.call_off(now)
        child.over = not child.active
        if child.over:
            self.child_over(child, now)

    def _begin_late(self, step: str, now: float) -> None:
        """A crash came between the record of the step's start and that of its execution."""
        try:
            input = self._input_for(step)
        except (Exception, SystemExit) as error:  # noqa: BLE001  user code may raise anything
            attempt = self.run.state.attempts[self.run.plan.index[step]]
            self.run.emit(StepFailed(step, attempt, now, ErrorInfo.of(error)))
        else:
            self._begin(step, input, now)

    def went_on(self, step: str, run: Run) -> bool:
        """Whether what does a stuck step is itself stuck no more, nor was abandoned."""
        status = run.state.status
        failed = status == "compensated" and self.run.saga.kind(step) == "retriable"
        return status not in ("stuck", "abandoned") and not failed

    def resume_child(self, step: str, run: Run, now: float) -> bool:
        """What does a stuck step goes on, and so does this execution; whether that is so. Of one
        that has only waited, nothing need be recorded."""
        if self.run.state.phase is Phase.ABANDONED:
            return False
        self.sought.pop(step, None)
        waited = run.state.execution_id in self.asleep
        self.adopt(step, run)
        if not waited:
            self.run.emit(ChildResumed(step, now))
        return True

    def undo_child(self, step: str, now: float) -> None:
        """Undo what did this step."""
        child = self.children.get(step)
        if child is None:
            self.sought = put(self.sought, step, None)
        else:
            child.undo(now)
            self.stir(child.run)

    def undo(self, now: float) -> None:
        """Undo this execution though it was completed, because its parent undoes the step."""
        if self.run.state.phase is Phase.COMPLETED:
            self.over = False
            self.run.emit(CompensationRequested(now))
            self.weigh()

    def why_not_cancel(self) -> str:
        """Why an operator cannot call this execution off, as far as those above decide that: what
        a step at or after their pivot does is done until it succeeds. Empty if they do not."""
        kin = self
        while kin.parent is not None:
            above, step = kin.parent.run, kin.step
            pivot = above.plan.pivot
            if pivot is not None and above.saga.kind(step) != "compensatable":
                name = above.plan.names[pivot]
                place = "is" if step == name else f"stands after '{name}',"
                return (
                    f"step '{step}' of execution '{above.state.execution_id}', which it is part "
                    f"of, {place} the pivot there: there is no way back"
                )
            kin = kin.parent
        return ""

    def call_off(self, now: float) -> None:
        """The parent has turned back: so does this execution, unless it is too late."""
        if self.parent is not None and not why_not_cancel(self.run.state):
            by = f"execution '{self.parent.run.state.execution_id}'"
            self.run.emit(CancellationRequested(now, by, "it turned back"))
            self.weigh()

    # -- upward -----------------------------------------------------------------------------

    def tell(self, now: float) -> None:
        """Let the children know that it turned back, and the parent that it rests or ended."""
        self.weigh()
        if self.run.state.turned_back and not self.turned:
            self.turned = True
            for child in list(self.under_way.values()):
                child.call_off(now)
                self.stir(child.run)
            for id in list(self.asleep):
                self.call(id)
        if self.parent is not None and not self.over and not self.active:
            self.over = True
            self.parent.child_over(self, now)
            self.stir(self.parent.run)

    def child_over(self, child: Kin, now: float) -> None:
        """An execution that does (or undoes) a step has ended or is stuck: record what it means."""
        run = self.run
        step = child.step
        number = run.plan.index[step]
        current, ended = run.state.steps[number], child.run.state.phase
        if current is StepState.RUNNING and ended is Phase.COMPLETED:
            attempt = run.state.attempts[number]
            run.emit(StepSucceeded(step, attempt, now, child.outcome()))
        elif current is StepState.RUNNING and ended is Phase.COMPENSATED:
            self._child_failed(step, child.run, now)
        elif current is StepState.COMPENSATING and ended is Phase.COMPENSATED:
            run.emit(CompensationSucceeded(step, run.state.undo_attempts[number], now))
        elif current in (StepState.RUNNING, StepState.COMPENSATING):
            run.emit(ChildStuck(step, now))
        self.weigh()

    def _child_failed(self, step: str, child: Run, now: float) -> None:
        execution = child.execution()
        cause = execution.error
        place = f"execution '{execution.id}' was compensated"
        if cause is None:
            info = ErrorInfo("Compensated", place)
        else:
            said = f": {cause.message}" if cause.message else ""
            text = f"{place}: step '{execution.failed_step}': {cause.name}{said}"
            info = ErrorInfo(cause.type, text, cause.traceback)
        run = self.run
        terminal = any(type(event) is StepFailed and event.terminal for event in child.events)
        chance = run.chance(step, run.plan.retry[run.plan.index[step]].jitter)
        run.emit(
            action_failed(
                run.state, step, info, terminal=terminal, in_doubt=False, at=now, chance=chance
            )
        )

    def outcome(self) -> Any:
        """What a completed execution is to the step that it does: its results, as plain data."""
        plan, results = self.run.plan, self.run.state.results
        value = [results.get(name) for name in plan.names] if plan.each else results
        return codec.as_plain(value)


def _noted(among: dict[str, Kin], kin: Kin, holds: bool) -> dict[str, Kin]:
    if holds:
        return put(among, kin.step, kin)
    among.pop(kin.step, None)
    return among
