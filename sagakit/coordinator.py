"""The saga execution coordinator: the pure core of every driver. No IO, no clock, no chance.

Two questions, asked of the same state: ``evolve(state, event)`` says what a fact changes, and
``decide(state, now)`` says what should happen next. Progress and crash recovery are the same
thing: recovery replays the events, then asks ``decide``.

``evolve`` *consumes* the state it is given and returns it changed, so that an event costs O(its
neighbours) and not O(steps); keep a ``state.copy()`` to go back to. ``decide`` changes nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

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
    Command,
    CompensationAttemptFailed,
    CompensationFailed,
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
    StepAttemptFailed,
    StepFailed,
    StepInDoubt,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)
from sagakit.plan import Plan
from sagakit.transitions import (
    ACTIVE,
    PHASE_TRANSITIONS,
    STATUS,
    STEP_TRANSITIONS,
    Cause,
    Key,
    Phase,
    StepState,
)

# Module constants: an attribute of an enum costs a lookup in a loop that counts nanoseconds.
_PENDING = StepState.PENDING
_READY = StepState.READY
_RUNNING = StepState.RUNNING
_RETRYING = StepState.RETRYING
_RECONCILE_DUE = StepState.RECONCILE_DUE
_RECONCILING = StepState.RECONCILING
_WAITING = StepState.WAITING
_SUCCEEDED = StepState.SUCCEEDED
_IN_DOUBT = StepState.IN_DOUBT
_FORWARD = Phase.FORWARD
_BACKWARD = Phase.BACKWARD
_TURN_BACK = Cause.TURN_BACK
_UNDO = Cause.UNDO
_NOT_ENDED = (*ACTIVE, Phase.STUCK)
_UNDER_WAY = frozenset({_RUNNING, _RECONCILING, StepState.COMPENSATING})


_K = TypeVar("_K")
_V = TypeVar("_V")


class _Nothing(dict[Any, Any]):
    """An empty dict that stays empty, so that all may share it."""

    __slots__ = ()

    def __setitem__(self, *given: Any, **named: Any) -> Any:
        raise TypeError("this dict is shared: put() makes one of your own")

    setdefault = update = __ior__ = __setitem__


# Of ten thousand executions few ever fail, wait or turn back. A dict for each of that would be made
# for every one, and visited each time that Python's collector comes by.
NOTHING: dict[Any, Any] = _Nothing()


def put(known: dict[_K, _V], key: _K, value: _V) -> dict[_K, _V]:
    """The dict with this in it: a new one, if it was ``NOTHING``."""
    if known is NOTHING:
        return {key: value}
    known[key] = value
    return known


class State:
    """Everything the coordinator knows of one execution; lists are indexed by the step's number.

    ``ready`` is the frontier: steps whose next command waits to be carried out. ``due`` and
    ``timers`` hold the steps that wait for a retry (seconds since the epoch).
    """

    __slots__ = (
        "attempts",
        "children",
        "deadline_at",
        "doubtful",
        "due",
        "enabled",
        "execution_id",
        "failures",
        "input",
        "line",
        "mail",
        "missing",
        "phase",
        "plan",
        "ready",
        "remaining",
        "results",
        "running",
        "signals",
        "slots",
        "steps",
        "stuck",
        "timed",
        "timers",
        "turned_back",
        "undo_attempts",
        "waiting",
        "waits",
    )

    def __init__(self, plan: Plan) -> None:
        size = len(plan.names)
        self.plan = plan
        self.phase = Phase.NEW
        self.execution_id = ""
        self.input: Any = None
        self.results: dict[str, Any] = {}
        self.deadline_at: float | None = None
        self.steps = [_PENDING] * size
        self.attempts = [0] * size
        self.undo_attempts: dict[int, int] = NOTHING
        self.failures: dict[int, int] = NOTHING  # those that count against the retry policy
        self.doubtful: dict[int, None] = NOTHING  # some attempt may have had its effect
        self.missing = plan.missing.copy()  # steps before it that have not settled
        self.ready: dict[int, None] = {}
        self.due: dict[int, float] = NOTHING
        # a heap; an entry counts while `due` agrees
        self.timers: list[tuple[float, int]] | tuple[()] = ()
        self.enabled: list[int] = []  # in the order in which they became ready
        self.running = 0
        self.waiting: dict[int, WaitStarted] = NOTHING
        self.timed = 0  # how many of those are in `due`
        self.mail: tuple[SignalReceived, ...] = ()  # what nobody has taken yet, in order
        self.signals: set[str] | None = None  # the ids of all that came
        self.remaining = size
        self.stuck: dict[int, None] = NOTHING
        self.turned_back = False
        # once compensation has begun: steps behind each, not yet undone
        self.waits: dict[int, int] = NOTHING
        self.children: dict[int, str] | None = None  # the executions that do (or did) a step
        self.line: list[int] | None = None  # with a limit: who waits for a slot, the next one last
        self.slots = plan.limit

    @property
    def status(self) -> str:
        """``running``, ``waiting``, ``completed``, ``compensated``, ``stuck`` or ``abandoned``."""
        resting = self.phase is _FORWARD and self.resting and not self.stuck
        return "waiting" if resting else STATUS[self.phase]

    @property
    def resting(self) -> bool:
        """Nothing is done and nothing will be before the world says so, or a time has come."""
        return bool(self.waiting) and self.rests(0)

    def rests(self, children: int) -> bool:
        """Nothing is under way or due, but for waits and so many steps that sagas do."""
        return self.running == children and not self.ready and len(self.due) == self.timed

    def copy(self) -> State:
        """An independent copy: O(steps). Written out, as an exploration makes one for each run."""
        twin = State.__new__(State)
        twin.plan = self.plan
        twin.phase = self.phase
        twin.execution_id = self.execution_id
        twin.input = self.input
        twin.deadline_at = self.deadline_at
        twin.running = self.running
        twin.timed = self.timed
        twin.mail = self.mail
        twin.remaining = self.remaining
        twin.turned_back = self.turned_back
        twin.slots = self.slots
        twin.results = self.results.copy()
        twin.steps = self.steps.copy()
        twin.attempts = self.attempts.copy()
        twin.undo_attempts = self.undo_attempts.copy()
        twin.failures = self.failures.copy()
        twin.doubtful = self.doubtful.copy()
        twin.missing = self.missing.copy()
        twin.ready = self.ready.copy()
        twin.due = self.due.copy()
        twin.timers = self.timers[:]
        twin.enabled = self.enabled.copy()
        twin.waiting = self.waiting.copy()
        twin.stuck = self.stuck.copy()
        twin.waits = self.waits.copy()
        twin.signals = None if self.signals is None else self.signals.copy()
        twin.children = None if self.children is None else self.children.copy()
        twin.line = None if self.line is None else self.line.copy()
        return twin

    def state_of(self, name: str) -> StepState:
        return self.steps[self.plan.index[name]]

    def next_due(self) -> float | None:
        """When ``decide`` will have something new to say though nothing happens (seconds)."""
        if not self.timers and self.deadline_at is None:
            return None
        times = []
        if self.timers and self.phase in (_FORWARD, _BACKWARD):
            times.append(self.timers[0][0])
        if self.deadline_at is not None and self.phase is _FORWARD:
            times.append(self.deadline_at)
        return min(times, default=None)

    def in_flight(self) -> list[str]:
        """The steps with an attempt, a compensation or a reconcile under way; those that sagas do
        are not among them: what is under way is theirs."""
        names, nests = self.plan.names, self.plan.nests
        return [
            names[number]
            for number, state in enumerate(self.steps)
            if state in _UNDER_WAY and number not in nests
        ]


# -- decide ---------------------------------------------------------------------------------


def decide(state: State, now: float) -> list[Command]:
    """What should be done next; an empty list: wait for an outcome, or for ``next_due``.

    A command is repeated by every call until an event says that it was taken up.

    Parameters:
        now: seconds since the epoch.
    """
    phase = state.phase
    if phase is not _FORWARD and phase is not _BACKWARD:
        return []
    deadline = state.deadline_at
    if deadline is not None and deadline <= now and phase is _FORWARD and state.remaining:
        return [PassDeadline()]
    if not state.ready and not state.timers:
        if state.running or (state.waiting and not state.stuck):
            return []
        return _end(state)
    commands: list[Command] = []
    for number in state.ready:
        if state.steps[number] is _READY:  # the usual case, in line
            commands.append(RunAction(state.plan.names[number], state.attempts[number] + 1))
        else:
            commands.append(_command(state, number))
    if state.timers and state.timers[0][0] <= now:
        ripe = (number for number in _ripe(state, now) if number not in state.ready)
        commands += [_command(state, number) for number in ripe]
    if not commands and state.stuck and state.resting:
        return _end(state)  # an operator is needed already, whatever the others wait for
    return commands


def _command(state: State, number: int) -> Command:
    current = state.steps[number]
    name = state.plan.names[number]
    if current is _RETRYING:
        return RunAction(name, state.attempts[number] + 1)
    if current is _RECONCILE_DUE:
        return AskReconcile(name)
    if current is _WAITING:
        return EndWait(name)
    return RunCompensation(name, state.undo_attempts.get(number, 0) + 1)


def _ripe(state: State, now: float) -> list[int]:
    """The steps whose wait is over, by walking only that part of the heap."""
    timers, due = state.timers, state.due
    found: set[tuple[float, int]] = set()  # what is due again at the same time is there twice
    front = [0]
    while front:
        place = front.pop()
        if place < len(timers) and timers[place][0] <= now:
            at, number = timers[place]
            if due.get(number) == at:
                found.add((at, number))
            front += (2 * place + 1, 2 * place + 2)
    return [number for _, number in sorted(found)]


def _end(state: State) -> list[Command]:
    """Nothing is ready, waiting or under way: how has it ended?"""
    if state.stuck:
        return [EndExecution("stuck", tuple(state.plan.names[number] for number in state.stuck))]
    return [EndExecution("compensated" if state.turned_back else "completed")]


# -- what an outcome is called --------------------------------------------------------------


def action_failed(
    state: State,
    name: str,
    error: ErrorInfo,
    *,
    terminal: bool,
    in_doubt: bool,
    at: float,
    chance: float = 0.0,
    not_before: float = 0.0,
) -> Event:
    """The event for an attempt that raised or timed out: is there another, is it in doubt?

    Parameters:
        terminal: retrying cannot help.
        in_doubt: this attempt may have had its effect.
        at: now, in seconds.
        chance: a number in [0, 1) for the jitter.
        not_before: the time before which another attempt is useless.
    """
    plan = state.plan
    number = plan.index[name]
    attempt = state.attempts[number]
    retry = plan.retry[number]
    failures = state.failures.get(number, 0) + 1
    retriable = plan.kinds[number] == "retriable"
    if state.phase is _FORWARD and not terminal and (retriable or failures < retry.attempts):
        retry_at = max(at + retry.delay(failures, chance), not_before)
        return StepAttemptFailed(name, attempt, at, error, retry_at, in_doubt)
    if not retriable and (in_doubt or number in state.doubtful):
        return StepInDoubt(name, attempt, at, error)
    return StepFailed(name, attempt, at, error, terminal)


def compensation_failed(
    state: State,
    name: str,
    error: ErrorInfo,
    *,
    terminal: bool,
    at: float,
    chance: float = 0.0,
    not_before: float = 0.0,
    refused: bool = False,
) -> Event:
    """The event for a compensation's attempt that raised or timed out.

    Parameters:
        refused: the service was not asked, to spare it; however often that happens, it is no
            reason to give up and to leave the execution stuck.
    """
    number = state.plan.index[name]
    attempt = state.undo_attempts[number]
    retry = state.plan.compensation_retry[number]
    failures = state.failures.get(number, 0) + 1
    if refused or (not terminal and failures < retry.attempts):
        retry_at = max(at + retry.delay(failures, chance), not_before)
        return CompensationAttemptFailed(name, attempt, at, error, retry_at, refused)
    return CompensationFailed(name, attempt, at, error)


# -- evolve ---------------------------------------------------------------------------------


def evolve(state: State, event: Event) -> State:
    """Apply one fact. The state given is consumed; the state returned is the one to go on with.

    Raises:
        IllegalEventError: the event cannot happen here. The state is unchanged.
    """
    apply = APPLY.get(type(event))
    if apply is None:
        raise _refuse(state, event, "knows no such event")
    apply(state, event)
    return state


def replay(plan: Plan, events: Iterable[Event]) -> State:
    """The state after these events, from the beginning."""
    state = State(plan)
    for event in events:
        evolve(state, event)
    return state


def _refuse(state: State, event: Event, why: str) -> IllegalEventError:
    step = getattr(event, "step", None)
    where = f"step '{step}'" if step is not None else "execution"
    return IllegalEventError(
        f"execution '{state.execution_id}': {type(event).__name__} is illegal: the {where} {why}"
    )


def _find(state: State, event: Any) -> int:
    try:
        number: int = state.plan.index[event.step]
    except KeyError:
        raise _refuse(state, event, "is not part of the saga") from None
    return number


def _target(state: State, event: Event, number: int) -> StepState:
    current = state.steps[number]
    target = STEP_TRANSITIONS[current].get(type(event))
    if target is None:
        raise _refuse(state, event, f"is {current}")
    return target


def _cause(state: State, number: int, cause: Cause) -> None:
    state.steps[number] = STEP_TRANSITIONS[state.steps[number]][cause]


def _phase(state: State, event: Event, key: Key) -> Phase:
    target = PHASE_TRANSITIONS[state.phase].get(key)
    if target is None:
        raise _refuse(state, event, f"is {state.phase}")
    return target


def _during(state: State, event: Event, phases: tuple[Phase, ...]) -> None:
    if state.phase not in phases:
        whose = "belongs to an execution that " if hasattr(event, "step") else ""
        raise _refuse(state, event, f"{whose}is {state.phase}")


def _enter(state: State, event: Any, number: int, attempt: int | None) -> None:
    """Move a step as the table says, if the event is about this attempt of it."""
    _during(state, event, ACTIVE)
    target = _target(state, event, number)
    if event.attempt != attempt:
        raise _refuse(state, event, f"is at attempt {attempt}, not {event.attempt}")
    state.steps[number] = target


def _execution_started(state: State, event: ExecutionStarted) -> None:
    state.phase = _phase(state, event, ExecutionStarted)
    state.execution_id = event.execution_id
    state.input = event.input
    if state.plan.deadline is not None:
        state.deadline_at = event.at + state.plan.deadline
    if state.plan.limit:
        state.line = state.plan.roots[::-1]
        _call_next(state)
        return
    for number in state.plan.roots:
        _enable(state, number)


def _enable(state: State, number: int) -> None:
    state.steps[number] = _READY
    state.ready[number] = None
    state.enabled.append(number)


def _call_next(state: State) -> None:
    """With a limit: as many as there are slots leave the line and begin, or are undone."""
    line = state.line
    while line and state.slots > 0:
        number = line.pop()
        if state.phase is _FORWARD:
            state.slots -= 1
            _enable(state, number)
        else:
            _undo(state, [number])


def _leave(state: State) -> None:
    """With a limit: a step that began needs its slot no more."""
    state.slots += 1
    _call_next(state)


# The two events of every step come first in speed: what `_find` and `_enter` do for
# the others stands here in line.


def _step_started(state: State, event: StepStarted) -> None:
    number = state.plan.index.get(event.step, -1)
    current = state.steps[number]
    attempt = event.attempt
    if (
        number < 0
        or (current is not _READY and current is not _RETRYING)
        or attempt != state.attempts[number] + 1
        or state.phase is not _FORWARD
    ):
        raise _illegal_start(state, event)
    state.steps[number] = _RUNNING
    state.attempts[number] = attempt
    state.running += 1
    if state.deadline_at is not None and number == state.plan.pivot:
        state.deadline_at = None  # it binds only until the point of no return is tried
    if current is _READY:
        del state.ready[number]
    else:
        _stop_timer(state, number)
    if event.child is not None:
        if state.children is None:
            state.children = {}
        state.children[number] = event.child


def _illegal_start(state: State, event: StepStarted) -> IllegalEventError:
    number = _find(state, event)
    _during(state, event, (_FORWARD,))
    _target(state, event, number)
    return _refuse(state, event, f"is at attempt {state.attempts[number]}, not {event.attempt - 1}")


def _step_succeeded(state: State, event: StepSucceeded) -> None:
    number = state.plan.index.get(event.step, -1)
    current = state.steps[number]
    if (
        number < 0
        or (current is not _RUNNING and current is not _RECONCILING)
        or event.attempt != state.attempts[number]
    ):
        number = _find(state, event)
        _enter(state, event, number, state.attempts[number])  # only a wait comes past this
        letter = letters(state).get(number)
        state.mail = tuple(other for other in state.mail if other is not letter)
        _stop_waiting(state, number)
    state.steps[number] = _SUCCEEDED
    state.running -= 1
    state.results[event.step] = event.result
    _passed(state, number)


def _step_skipped(state: State, event: StepSkipped) -> None:
    number = _find(state, event)
    _during(state, event, (_FORWARD,))
    state.steps[number] = _target(state, event, number)
    del state.ready[number]
    _passed(state, number)


def _passed(state: State, number: int) -> None:
    """The step succeeded or was skipped: what waited only for it becomes ready."""
    state.remaining -= 1
    if state.phase is not _FORWARD:
        _settled_while_turning(state)
        return
    if state.line is not None:
        _leave(state)
    if state.deadline_at is not None and number == state.plan.pivot:
        state.deadline_at = None
    missing = state.missing
    for below in state.plan.dependents[number]:
        left = missing[below] = missing[below] - 1
        if not left:
            state.steps[below] = _READY
            state.ready[below] = None
            state.enabled.append(below)


def _step_attempt_failed(state: State, event: StepAttemptFailed) -> None:
    number = _find(state, event)
    _during(state, event, (_FORWARD,))
    _enter(state, event, number, state.attempts[number])
    state.running -= 1
    state.failures = put(state.failures, number, state.failures.get(number, 0) + 1)
    if event.in_doubt:
        state.doubtful = put(state.doubtful, number, None)
    _start_timer(state, number, event.retry_at)


def _step_failed(state: State, event: StepFailed) -> None:
    number = _find(state, event)
    _enter(state, event, number, state.attempts[number])
    if number in state.waiting:
        _stop_waiting(state, number)
    if state.ready.pop(number, False) is False:
        state.running -= 1
    if state.plan.kinds[number] == "retriable":
        _cause(state, number, Cause.NO_WAY_BACK)
        _get_stuck(state, number)
    else:
        _fail(state)


def _step_in_doubt(state: State, event: StepInDoubt) -> None:
    number = _find(state, event)
    _enter(state, event, number, state.attempts[number])
    state.running -= 1
    state.doubtful = put(state.doubtful, number, None)
    if state.plan.reconciles[number] is not None:
        _cause(state, number, Cause.ASK)
        state.ready[number] = None
    else:
        _stay_in_doubt(state, number)


def _stay_in_doubt(state: State, number: int) -> None:
    """Nobody can say whether it happened: the pivot waits for an operator, others are undone."""
    if number == state.plan.pivot:
        _cause(state, number, Cause.NO_WAY_BACK)
        _get_stuck(state, number)
    else:
        _fail(state)


def _reconcile_started(state: State, event: ReconcileStarted) -> None:
    number = _find(state, event)
    _during(state, event, ACTIVE)
    state.steps[number] = _target(state, event, number)
    del state.ready[number]
    state.running += 1


def _reconcile_failed(state: State, event: ReconcileFailed) -> None:
    number = _find(state, event)
    _during(state, event, ACTIVE)
    state.steps[number] = _target(state, event, number)
    state.running -= 1
    _stay_in_doubt(state, number)


def _attempt_lost(state: State, event: AttemptLost) -> None:
    number = _find(state, event)
    _during(state, event, ACTIVE)
    was = state.steps[number]
    state.steps[number] = _target(state, event, number)
    state.running -= 1
    if was is not _RUNNING:
        state.ready[number] = None
        return
    state.doubtful = put(state.doubtful, number, None)
    if state.phase is _FORWARD:
        state.ready[number] = None
    else:
        _cause(state, number, Cause.HALTED_IN_DOUBT)
        _settled_while_turning(state)


# -- steps that sagas do --------------------------------------------------------------------


def _child_stuck(state: State, event: ChildStuck) -> None:
    number = _find_nested(state, event)
    _during(state, event, ACTIVE)
    state.steps[number] = _target(state, event, number)
    state.running -= 1
    _get_stuck(state, number)


def _child_resumed(state: State, event: ChildResumed) -> None:
    number = _find_nested(state, event)
    _during(state, event, _NOT_ENDED)
    state.steps[number] = _target(state, event, number)
    state.phase = _BACKWARD if state.turned_back else _FORWARD
    del state.stuck[number]
    state.running += 1
    state.slots -= 1


def _find_nested(state: State, event: ChildStuck | ChildResumed) -> int:
    number = _find(state, event)
    if number not in state.plan.nests:
        raise _refuse(state, event, "is not done by a saga")
    return number


def _compensation_requested(state: State, event: CompensationRequested) -> None:
    if state.plan.pivot is not None:
        raise _refuse(state, event, "has a pivot, behind which nothing is undone")
    _turn_back(state, _phase(state, event, CompensationRequested))


# -- backward recovery ----------------------------------------------------------------------


def _fail(state: State) -> None:
    """A step is lost for good and can be undone: turn back, or settle if we have turned."""
    if state.phase is _FORWARD:
        _turn_back(state, PHASE_TRANSITIONS[_FORWARD][_TURN_BACK])
    else:
        _settled_while_turning(state)


# -- waiting for the world ------------------------------------------------------------------


def _wait_started(state: State, event: WaitStarted) -> None:
    number = _find(state, event)
    _during(state, event, (_FORWARD,))
    state.steps[number] = _target(state, event, number)
    state.attempts[number] += 1
    state.waiting = put(state.waiting, number, event)
    del state.ready[number]
    if event.expires_at is not None:
        _start_timer(state, number, event.expires_at)
        state.timed += 1
    state.ready |= dict.fromkeys(letters(state))


def letters(state: State) -> dict[int, SignalReceived]:
    """Which signals end which waits: who has waited longest takes what came first."""
    left = list(state.mail)
    found: dict[int, SignalReceived] = {}
    for number, wait in state.waiting.items():
        if not left:
            break
        for letter in left:
            if letter.event == wait.event and letter.correlation in (None, wait.correlation):
                found[number] = letter
                left.remove(letter)
                break
    return found


def _signal_received(state: State, event: SignalReceived) -> None:
    _during(state, event, _NOT_ENDED)
    if state.signals is None:
        state.signals = set()
    if event.id in state.signals:
        raise _refuse(state, event, f"has the signal '{event.id}' already")
    state.signals.add(event.id)
    state.mail += (event,)
    state.ready |= dict.fromkeys(letters(state))


def _stop_waiting(state: State, number: int) -> None:
    """The wait is over; what follows counts it among those that run until it is settled."""
    del state.waiting[number]
    state.ready.pop(number, None)
    state.timed -= number in state.due
    _stop_timer(state, number)
    state.running += 1


def why_not_cancel(state: State) -> str:
    """Why an execution can no longer be called off; empty if it can."""
    pivot = state.plan.pivot
    if state.phase is _BACKWARD:
        return "it is being compensated already"
    if state.phase is not _FORWARD:
        return f"it is {state.status}"
    if pivot is not None:
        current = state.steps[pivot]
        tried = state.attempts[pivot] and current is not _WAITING
        if tried or current is StepState.SKIPPED:
            name = state.plan.names[pivot]
            return f"its pivot '{name}' is {current}: there is no way back"
    return ""


def _cancellation_requested(state: State, event: CancellationRequested) -> None:
    why = why_not_cancel(state)
    if why:
        raise _refuse(state, event, f"cannot be cancelled: {why}")
    _turn_back(state, PHASE_TRANSITIONS[_FORWARD][CancellationRequested])


def _deadline_passed(state: State, event: DeadlinePassed) -> None:
    _turn_back(state, _phase(state, event, DeadlinePassed))


def _turn_back(state: State, phase: Phase) -> None:
    """Nothing new starts; what waits is halted; what runs settles first."""
    state.phase = phase
    state.turned_back = True
    for number in {**state.ready, **state.due, **state.waiting}:
        if state.steps[number] is not _RECONCILE_DUE:
            in_doubt = number in state.doubtful
            _cause(state, number, Cause.HALTED_IN_DOUBT if in_doubt else Cause.HALTED)
            state.ready.pop(number, None)
    state.waiting.clear()
    state.timed = 0
    state.due.clear()
    state.timers = ()
    if state.line is not None:
        state.line.clear()
    _settled_while_turning(state)


def _settled_while_turning(state: State) -> None:
    """Once nothing runs and nothing is left to ask, compensation begins."""
    if state.running or state.ready or state.waits or state.stuck:
        return
    after, steps = state.plan.after, state.steps
    waits = state.waits = dict.fromkeys(range(len(steps)), 0)
    front = []
    for number in reversed(state.enabled):  # those behind a step come before it
        if steps[number] is _PENDING:
            continue
        if not waits[number]:
            front.append(number)
        for above in after[number]:
            waits[above] += 1
    state.slots = state.plan.limit
    _undo(state, front)


def _undo(state: State, front: list[int]) -> None:
    """These steps have nothing left behind them: compensate them, or pass on to those before."""
    steps, plan, waits = state.steps, state.plan, state.waits
    while front:
        number = front.pop()
        current = steps[number]
        if current is _SUCCEEDED or current is _IN_DOUBT:
            if plan.undoable[number]:
                if state.line is not None:
                    if state.slots <= 0:
                        state.line.append(number)
                        continue
                    state.slots -= 1
                steps[number] = STEP_TRANSITIONS[current][_UNDO]
                state.failures.pop(number, None)  # the compensation has its own count
                state.ready[number] = None
                continue
            if current is _SUCCEEDED:
                _cause(state, number, Cause.NOTHING_TO_UNDO)
        for above in plan.after[number]:
            waits[above] -= 1
            if not waits[above]:
                front.append(above)


def _undone(state: State, number: int) -> None:
    """The step is undone: one thing less for those before it to wait for."""
    if state.line is not None:
        _leave(state)
    waits = state.waits
    for above in state.plan.after[number]:
        waits[above] -= 1
        if not waits[above]:
            _undo(state, [above])


def _compensation_started(state: State, event: CompensationStarted) -> None:
    number = _find(state, event)
    _enter(state, event, number, state.undo_attempts.get(number, 0) + 1)
    state.undo_attempts = put(state.undo_attempts, number, event.attempt)
    state.running += 1
    if number in state.ready:
        del state.ready[number]
    else:
        _stop_timer(state, number)


def _compensation_ended(
    state: State, event: CompensationSucceeded | CompensationAttemptFailed | CompensationFailed
) -> int:
    number = _find(state, event)
    _enter(state, event, number, state.undo_attempts.get(number))
    state.running -= 1
    return number


def _compensation_succeeded(state: State, event: CompensationSucceeded) -> None:
    _undone(state, _compensation_ended(state, event))


def _compensation_attempt_failed(state: State, event: CompensationAttemptFailed) -> None:
    number = _compensation_ended(state, event)
    if not event.refused:
        state.failures = put(state.failures, number, state.failures.get(number, 0) + 1)
    _start_timer(state, number, event.retry_at)


def _compensation_failed(state: State, event: CompensationFailed) -> None:
    _get_stuck(state, _compensation_ended(state, event))


# -- the end, and an operator ---------------------------------------------------------------


def _get_stuck(state: State, number: int) -> None:
    """Only an operator can help this step; another may have its slot."""
    state.stuck = put(state.stuck, number, None)
    if state.line is not None:
        _leave(state)


def _ended(state: State, event: Event) -> None:
    target = _phase(state, event, type(event))
    stuck = isinstance(event, ExecutionStuck)
    if (state.running or state.ready or state.due or state.waiting) and not (
        stuck and state.resting
    ):
        raise _refuse(state, event, "has steps under way")
    if bool(state.stuck) != stuck:
        raise _refuse(state, event, "is not stuck" if stuck else "has steps that wait")
    state.phase = target


def _execution_resolved(state: State, event: ExecutionResolved) -> None:
    cause = Cause[event.resolution.upper()]
    target = _phase(state, event, cause)
    index = state.plan.index
    if any(index.get(name) not in state.stuck for name in event.steps):
        raise _refuse(state, event, f"is not stuck at {', '.join(event.steps)}")
    if cause is Cause.RETRY and state.turned_back and not state.waits:
        raise _refuse(state, event, "has turned back; nothing new starts")
    if cause is Cause.ABANDON:
        state.phase = target
        state.stuck.clear()
        return
    state.phase = _BACKWARD if state.turned_back else _FORWARD
    for name in event.steps:
        number = index[name]
        del state.stuck[number]
        state.slots -= 1  # as though it had one: skipped, it gives it back
        state.failures.pop(number, None)
        undoing = state.steps[number] is StepState.COMPENSATION_FAILED
        _cause(state, number, cause)
        if cause is Cause.RETRY:
            state.ready[number] = None
        elif undoing:
            _undone(state, number)
        else:
            _passed(state, number)


def _execution_migrated(state: State, event: ExecutionMigrated) -> None:
    """Nothing moves: who replays the events knows the new definition from the beginning. What sagas
    do for it may go on meanwhile: each is pinned to a definition of its own."""
    _during(state, event, _NOT_ENDED)
    if state.in_flight():
        raise _refuse(state, event, "has steps under way")


def _noted(state: State, event: Event) -> None:
    """What happened to a call on its way: nothing moves. It can only be said of what goes on."""
    if hasattr(event, "step"):
        _find(state, event)
    _during(state, event, ACTIVE)


# -- timers ---------------------------------------------------------------------------------


def _start_timer(state: State, number: int, at: float) -> None:
    state.due = put(state.due, number, at)
    if state.timers:
        heapq.heappush(state.timers, (at, number))
    else:
        state.timers = [(at, number)]


def _stop_timer(state: State, number: int) -> None:
    due, timers = state.due, state.timers
    due.pop(number, None)
    while timers and due.get(timers[0][1]) != timers[0][0]:
        heapq.heappop(timers)


APPLY: dict[type[Event], Callable[[State, Any], None]] = {
    ExecutionStarted: _execution_started,
    StepStarted: _step_started,
    StepSucceeded: _step_succeeded,
    StepSkipped: _step_skipped,
    StepAttemptFailed: _step_attempt_failed,
    StepFailed: _step_failed,
    StepInDoubt: _step_in_doubt,
    AttemptLost: _attempt_lost,
    ReconcileStarted: _reconcile_started,
    ReconcileFailed: _reconcile_failed,
    CompensationStarted: _compensation_started,
    CompensationSucceeded: _compensation_succeeded,
    CompensationAttemptFailed: _compensation_attempt_failed,
    CompensationFailed: _compensation_failed,
    DeadlinePassed: _deadline_passed,
    AttemptHeld: _noted,
    AttemptAdmitted: _noted,
    BreakerChanged: _noted,
    HedgeStarted: _noted,
    WaitStarted: _wait_started,
    SignalReceived: _signal_received,
    CancellationRequested: _cancellation_requested,
    CompensationRequested: _compensation_requested,
    ChildStuck: _child_stuck,
    ChildResumed: _child_resumed,
    ExecutionCompleted: _ended,
    ExecutionCompensated: _ended,
    ExecutionStuck: _ended,
    ExecutionResolved: _execution_resolved,
    ExecutionMigrated: _execution_migrated,
}
