"""The simulated driver: virtual time, seeded identity and chance, the same events on every run.

Real actions run, but for connectors; only time, chance and identity are simulated. Plain functions
are called inline, with no loop, task or thread. The first coroutine brings in an asyncio loop with
a virtual clock (``virtual.py``).
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import msgspec

from sagakit import telemetry
from sagakit.coordinator import State, replay
from sagakit.drivers.attempt import Attempt
from sagakit.drivers.gate import Gates, Ticket
from sagakit.drivers.inputs import accept_input, must_be_scenario
from sagakit.drivers.kin import Kin
from sagakit.drivers.run import Run
from sagakit.errors import (
    DefinitionChangedError,
    IllegalEventError,
    ServiceRefusedError,
    SimulationError,
)
from sagakit.events import Event
from sagakit.execution import Execution, first_event, pinned_to
from sagakit.saga import Saga
from sagakit.scenario import Crash, Scenario
from sagakit.telemetry import Watch
from sagakit.transitions import ACTIVE

MAX_ATTEMPTS = 10_000  # of one step: beyond it the simulation would never end


def simulate(
    saga: Saga,
    input: Any = None,
    *,
    scenario: Scenario | None = None,
    seed: int = 0,
    id: str | None = None,
) -> Execution:
    """Run a saga in virtual time: its actions are really called, only the clock is not real. But
    no connector is: there its ``example`` stands in for a reply.

    The same saga, input, scenario and seed give the same events, byte for byte, as long as the
    actions themselves are deterministic. It ends when the execution ends or waits for what
    nobody sends.

    Parameters:
        input: handed to every action as ``ctx.input``: of the type that ``Saga(input=…)``
            declares, or plain data.
        scenario: faults to inject.
        seed: decides the identity of the execution and its jitter.
        id: the execution's id; derived from all of the above when left out.

    Raises:
        InputError: the input cannot be kept, or the saga's type or schema refuses it.
        ScenarioError: a fault names a step that the saga lacks.
        SimulationError: a step after the pivot failed 10,000 times, or waits for what never comes:
            it would go on for ever; or the seed is no whole number.
    """
    if not isinstance(seed, int):
        raise SimulationError(f"seed is {seed!r}; give a whole number")
    must_be_scenario(scenario)
    kept = accept_input(saga, input)
    if id is None:
        id = identity(saga, kept, scenario, seed)
    return watched(saga, kept, id, seed, scenario, None)


def watched(
    saga: Saga, kept: Any, id: str, seed: int, scenario: Scenario | None, watch: Watch | None
) -> Execution:
    """Run an accepted input; somebody may watch every call that the execution makes."""
    if scenario is not None and scenario.crashes:
        mortal = MortalRun.begin(saga, kept, id, 0.0, seed, scenario)
        mortal.watch = watch
        return through_crashes(Simulation(mortal, 0.0, {}), scenario)
    run = Run.begin(saga, kept, id, 0.0, seed, scenario)
    run.watch = watch
    return Simulation(run, 0.0, {}).finish()


class _Crashed(BaseException):
    """The coordinator is dead. Says at which crash of the outermost execution's scenario."""

    def __init__(self, crash: Crash) -> None:
        self.crash = crash


class MortalRun(Run):
    """A run that dies at events of its own, and with it all that it is part of."""

    mortal = True
    __slots__ = ("armed", "crashes")

    def __init__(
        self,
        saga: Saga,
        state: State,
        seed: int,
        scenario: Scenario | None,
        began: float,
        nested: bool,
    ) -> None:
        found = () if scenario is None else scenario.crashes
        self.crashes = {crash.event: crash for crash in found if not crash.to}
        self.armed = False
        super().__init__(saga, state, seed, scenario, began, nested)

    @classmethod
    def begin(cls, *what: Any, **more: Any) -> Self:
        run = super().begin(*what, **more)
        run.armed = True
        return run

    @classmethod
    def resume(cls, *what: Any, **more: Any) -> Self:
        """What recovery itself records is no event to die at: it would record the same again."""
        run = super().resume(*what, **more)
        run.armed = True
        return run

    def emit(self, event: Event) -> None:
        crash = self.crashes.get(len(self.events)) if self.armed else None
        if crash is None:
            super().emit(event)
            return
        if crash.written:
            super().emit(event)
        path = "/".join(_path(self.kin))
        raise _Crashed(msgspec.structs.replace(crash, to=path))


def _path(kin: Kin | None) -> list[str]:
    """The steps on the way to an execution from the outermost one."""
    if kin is None or kin.parent is None:
        return []
    return [*_path(kin.parent), kin.step]


def through_crashes(simulation: Simulation, scenario: Scenario) -> Execution:
    """Run, die, recover from what the journal has, as often as the scenario says."""
    while True:
        try:
            return simulation.finish()
        except _Crashed as death:
            crashes = list(scenario.crashes)
            crashes.remove(death.crash)
            scenario = msgspec.structs.replace(scenario, crashes=tuple(crashes))
            dead, now = simulation.run, simulation.now
            assert isinstance(dead, MortalRun)
            run = type(dead).resume(dead.saga, dead.events, now, dead.seed, scenario)
            run.late, run.watch = dead.late, dead.watch  # both outlive the coordinator that died
            simulation = simulation.after_crash(run)


def _written(run: Run) -> dict[str, list[Event]]:
    """The events of all that do steps of it, by their ids."""
    children = [] if run.kin is None else [kin.run for kin in run.kin.children.values()]
    found = {child.state.execution_id: child.events for child in children}
    for child in children:
        found |= _written(child)
    return found


def resume(
    saga: Saga,
    events: Sequence[Event],
    *,
    scenario: Scenario | None = None,
    seed: int = 0,
    at: float | None = None,
    children: Mapping[str, Sequence[Event]] | None = None,
) -> Execution:
    """Continue from a journal's events as after a crash, in virtual time.

    Parameters:
        events: what the journal kept, from the beginning.
        at: when the recovery happens, in virtual seconds; by default when the last event did.
        children: what it kept of the executions that do steps, by their ids.
        scenario: faults to inject; its crashes must lie ahead.

    Raises:
        DefinitionChangedError: the execution, or one that does a step of it, is pinned to another
            definition.
    """
    must_be_scenario(scenario)
    check_pinned(saga, events)
    kept = children or {}
    last: list[Any] = [events[-1], *(found[-1] for found in kept.values())]
    now: float = max(event.at for event in last) if at is None else at
    if scenario is not None and scenario.crashes:
        mortal = MortalRun.resume(saga, list(events), now, seed, scenario)
        return through_crashes(Simulation(mortal, now, kept), scenario)
    run = Run.resume(saga, list(events), now, seed, scenario)
    return Simulation(run, now, kept).finish()


def check_pinned(saga: Saga, events: Sequence[Event]) -> None:
    """Refuse to go on under another definition than the one the execution began with."""
    pinned = pinned_to(events)
    if pinned.fingerprint == saga.fingerprint:
        return
    try:
        replay(saga.given(first_event(events).input).plan, events)
        difference = "what differs has not begun yet"
    except IllegalEventError as error:
        difference = f"its events do not fit the new definition: {error}"
    raise DefinitionChangedError(
        f"saga '{saga.name}': execution '{first_event(events).execution_id}' is pinned to version "
        f"{pinned.version or '(none)'} ({pinned.fingerprint}) and cannot continue with version "
        f"{saga.version or '(none)'} ({saga.fingerprint}): {difference}. Resume it with the "
        "definition it is pinned to"
    )


def identity(saga: Saga, input: Any, scenario: Scenario | None, seed: int) -> str:
    """An id that is the same for the same run, and another for another one."""
    if input is None and scenario is None and not seed:
        return f"{saga.name}-0"
    text = b"%d %s " % (seed, msgspec.json.encode(input))
    if scenario is not None:
        text += msgspec.json.encode(scenario.faults)
        for more in (scenario.interventions, scenario.crashes):
            text += msgspec.json.encode(more) if more else b""
    return f"{saga.name}-{zlib.crc32(text):08x}"


class Simulation:
    """One run in virtual time, with all that do steps of it. ``now`` is in seconds from its
    beginning; ``kept`` holds what a journal has of executions that do steps, by their ids."""

    __slots__ = (
        "_alarms",
        "_count",
        "busy",
        "delayed",
        "gates",
        "kept",
        "now",
        "pending",
        "run",
        "to_loop",
    )

    def __init__(self, run: Run, now: float, kept: Mapping[str, Sequence[Event]]) -> None:
        self.run = run
        self.now = now
        self.kept = kept
        self.busy: list[Run] = []  # those in which something has happened
        self._alarms: list[tuple[float, int, Run]] = []  # a heap of when to look at which again
        self._count = 0
        self.delayed: list[tuple[float, int, Attempt]] = []  # a heap of plain calls yet to make
        self.pending: list[Attempt] = []  # attempts that need a loop, before there is one
        # None as long as there is none. It is no method of this object: that would be a cycle, and
        # all that belongs to the run would stay until the garbage collector finds it.
        self.to_loop: Callable[[Attempt], None] | None = None
        self.gates: Gates | None = None

    def after_crash(self, run: Run) -> Self:
        """One in which the execution goes on, when this one's coordinator has died."""
        return type(self)(run, self.now, _written(self.run))

    def finish(self) -> Execution:
        run = self.run
        if telemetry.observer is not None:
            self._watch(run)
        try:
            self._finish()
        finally:
            if run.watch is not None:
                _leave(run)
        return run.execution()

    def _finish(self) -> None:
        run = self.run
        self._advance(run)
        if self.busy or run.goes_on:
            self.pump()
            while not self.pending and (due := self.next_due()) is not None:
                self.now = max(self.now, due)
                self.pump()
            if self.pending:
                from sagakit.drivers.virtual import finish_on_loop

                finish_on_loop(self)
            else:
                assert run.state.phase not in ACTIVE or run.resting, "nothing is under way or due"

    def _watch(self, run: Run) -> None:
        if run.watch is None:
            run.watch = telemetry.watch(run, lambda: self.now)

    def pump(self) -> None:
        """Carry out every command that can be carried out now."""
        alarms, busy = self._alarms, self.busy
        while alarms and alarms[0][0] <= self.now:
            run = heapq.heappop(alarms)[2]
            run.alarm = None
            busy.append(run)
        while self.delayed and self.delayed[0][0] <= self.now:
            self._make_delayed(heapq.heappop(self.delayed)[2])
        while busy or (self.gates is not None and self.gates.turn(self.now)):
            while busy:
                self._advance(busy.pop())

    def _advance(self, run: Run) -> None:
        take_up_all = run.take_up_all
        make = self._make if run.plan.guards is None else self._ask_and_make
        watch = run.watch
        while attempts := take_up_all(self.now):
            if watch is not None:
                watch.follow(run, len(run.events))
            for attempt in attempts:
                make(attempt)
        if watch is not None:
            watch.follow(run, len(run.events))
        if run.kin is not None:
            self._stir(run, run.kin)
        if run.goes_on:
            due = run.next_due()
            if due is not None and (run.alarm is None or due < run.alarm):
                self._set_alarm(run, due)

    def _set_alarm(self, run: Run, due: float) -> None:
        run.alarm = due
        self._count += 1
        heapq.heappush(self._alarms, (due, self._count, run))

    def _next_alarm(self) -> float | None:
        alarms = self._alarms
        while alarms:
            at, _, run = alarms[0]
            due = run.next_due() if run.goes_on else None
            if due == at == run.alarm:
                return at
            heapq.heappop(alarms)
            if at == run.alarm:
                run.alarm = None
                if due is not None:
                    self._set_alarm(run, due)
        return None

    def _stir(self, run: Run, kin: Kin) -> None:
        """Find the children that it seeks, and go on with those that may go on because of it."""
        if kin.sought:
            for name in kin.take_sought():
                kin.attach(name, self._kept_child(kin, name), self.now)
            self.busy.append(run)
        stirred = kin.take_stirred()
        for other in stirred:
            if telemetry.observer is not None:
                self._watch(other)
            if other.kin is not None and other.kin.parent is kin:
                step = other.kin.step
                _guard(run.saga, step, run.state.attempts[run.plan.index[step]])
        self.busy += reversed(stirred)  # the first one comes out first

    def _kept_child(self, kin: Kin, name: str) -> Run | None:
        """The execution that does a step, as the journal has it."""
        run, id = kin.run, kin.child_id(name)
        if id not in self.kept or not kin.is_child(name, self.kept[id]):
            return None
        scenario, began = kin.scenario_of(name)
        saga, events = run.saga.child(name), list(self.kept[id])
        check_pinned(saga, events)
        return type(run).resume(saga, events, self.now, run.seed, scenario, began)

    def next_due(self) -> float | None:
        """When there will be something to do though no call ends (virtual seconds)."""
        due = self._next_alarm()
        if self.delayed and (due is None or self.delayed[0][0] < due):
            due = self.delayed[0][0]
        return due if self.gates is None else self.gates.next_due(due)

    def _make(self, attempt: Attempt) -> None:
        if attempt.call.is_async:
            self.hand_over(attempt)
        elif not attempt.delay:
            self._call(attempt)
        elif attempt.ticket is not None or self.to_loop is not None:
            self.hand_over(attempt)
        else:
            self._put_off(attempt)

    def hand_over(self, attempt: Attempt) -> None:
        """Make a call that needs a loop: on it, or as soon as there is one."""
        if self.to_loop is None:
            self.pending.append(attempt)
        else:
            self.to_loop(attempt)

    def delay(self, delayed: Iterable[tuple[float, int, Attempt]]) -> None:
        """Take over what another simulation had put off: it stands before what comes later."""
        self.delayed = sorted(delayed, key=lambda one: one[:2])
        self._count = max((number for _, number, _ in self.delayed), default=self._count)

    def _put_off(self, attempt: Attempt) -> None:
        """Make a plain call later, or never, if its timeout comes first: no loop is needed."""
        timeout = attempt.timeout
        after = attempt.delay if timeout is None else min(attempt.delay, timeout)
        self._count += 1
        heapq.heappush(self.delayed, (self.now + after, self._count, attempt))

    def _make_delayed(self, attempt: Attempt) -> None:
        if attempt.timeout is not None and attempt.timeout <= attempt.delay:
            self.guard(attempt)
            attempt.run.timed_out(attempt, self.now)
        else:
            self._call(attempt)
        self.busy.append(attempt.run)

    def _call(self, attempt: Attempt) -> None:
        call = attempt.call
        try:
            if call.takes_context or attempt.run.watch is not None:
                value = attempt.invoke()
            else:  # the usual case, one call shorter
                value = call.function()
        except Exception as error:  # noqa: BLE001  the user's code may raise anything
            self.guard(attempt)
            attempt.run.raised(attempt, error, self.now)
        else:
            if value is not None and hasattr(value, "__await__"):
                attempt.value = value
                self.hand_over(attempt)
            else:
                attempt.run.returned(attempt, value, self.now)

    def guard(self, attempt: Attempt) -> None:
        """Refuse to simulate for ever."""
        _guard(attempt.run.saga, attempt.command.step, attempt.attempt)

    def _ask_and_make(self, attempt: Attempt) -> None:
        """Make the attempt's call if its service's gate lets it in."""
        if self.gates is None:
            self.gates = Gates(_Entrance(self))
        if self.gates.admits(attempt, self.now):
            self._make(attempt)


def _guard(saga: Saga, step: str, attempt: int) -> None:
    if attempt >= MAX_ATTEMPTS:
        raise SimulationError(
            f"saga '{saga.name}': step '{step}' failed {MAX_ATTEMPTS:,} times and would be retried "
            "for ever; let it succeed, or raise TerminalError"
        )


def _leave(run: Run) -> None:
    """Nobody works on it any more, nor on those that do steps of it."""
    if run.watch is not None:
        run.watch.leave()
    if run.kin is not None:
        for child in run.kin.children.values():
            _leave(child.run)


class _Entrance:
    """What the services' gates ask of a simulation. It keeps no journal, and asks them again by
    itself whenever something has happened."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def now(self) -> float:
        return self._simulation.now

    def let_in(self, attempt: Attempt) -> None:
        self._simulation._make(attempt)
        self._simulation.busy.append(attempt.run)

    def turn_away(self, attempt: Attempt, error: ServiceRefusedError) -> None:
        self._simulation.guard(attempt)
        attempt.run.raised(attempt, error, self._simulation.now)
        self._simulation.busy.append(attempt.run)

    def hedge(self, attempt: Attempt) -> None:
        self._simulation.hand_over(attempt)

    def noted(self, ticket: Ticket) -> None:
        pass

    def ask_again(self, at: float | None) -> None:
        pass
