"""The simulated driver: virtual time, seeded identity and chance, the same events on every run.

Real actions run; only time, chance and identity are simulated. Plain functions are called inline,
with no loop, task or thread. The first coroutine brings in an asyncio loop with a virtual clock.
"""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sagakit.coordinator import Phase, decide
from sagakit.drivers.clock import VirtualClock, VirtualLoop
from sagakit.drivers.run import Attempt, Run, accept_input
from sagakit.errors import SimulationError
from sagakit.events import Event
from sagakit.execution import Execution
from sagakit.saga import Saga
from sagakit.scenario import Scenario

MAX_ATTEMPTS = 10_000  # of one step: beyond it the simulation would never end

_UNDER_WAY = (Phase.FORWARD, Phase.BACKWARD)


def simulate(
    saga: Saga,
    input: Any = None,
    *,
    scenario: Scenario | None = None,
    seed: int = 0,
    id: str | None = None,
) -> Execution:
    """Run a saga in virtual time.

    The same saga, input, scenario and seed give the same events, byte for byte, as long as the
    actions themselves are deterministic.

    Parameters:
        input: plain data, handed to every action as ``ctx.input``.
        scenario: faults to inject.
        seed: decides the identity of the execution and its jitter.
        id: the execution's id; derived from all of the above when left out.

    Raises:
        InputError: the input is not plain data, or the saga's schema refuses it.
        ScenarioError: a fault names a step that the saga lacks.
        SimulationError: a step after the pivot failed 10,000 times; it would be retried for ever.
    """
    kept = accept_input(saga, input)
    if id is None:
        id = _identity(saga, kept, scenario, seed)
    run = Run.begin(saga, kept, id, 0.0, seed, scenario)
    return _Simulation(run, VirtualClock()).finish()


def resume(
    saga: Saga,
    events: Sequence[Event],
    *,
    scenario: Scenario | None = None,
    seed: int = 0,
    at: float | None = None,
) -> Execution:
    """Continue from a journal's events as after a crash, in virtual time.

    Parameters:
        events: what the journal kept, from the beginning.
        at: when the recovery happens, in virtual seconds; by default when the last event did.
    """
    now: float = events[-1].at if at is None else at  # type: ignore[attr-defined]
    run = Run.resume(saga, list(events), now, seed, scenario)
    return _Simulation(run, VirtualClock(now)).finish()


def _identity(saga: Saga, input: Any, scenario: Scenario | None, seed: int) -> str:
    """An id that is the same for the same run, and another for another one."""
    if input is None and not scenario and not seed:
        return f"{saga.name}-0"
    text = b"%d %s " % (seed, msgspec.json.encode(input))
    if scenario:
        text += msgspec.json.encode(scenario.faults)
    return f"{saga.name}-{zlib.crc32(text):08x}"


class _Simulation:
    def __init__(self, run: Run, clock: VirtualClock) -> None:
        self.run = run
        self.clock = clock
        self.pending: list[Attempt] = []  # attempts that need the loop, before there is one
        self.loop: VirtualLoop | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self.over: asyncio.Future[None] | None = None
        self.timer: asyncio.TimerHandle | None = None

    def finish(self) -> Execution:
        run = self.run
        state = run.state
        self.pump()
        while state.phase in _UNDER_WAY and not self.pending:
            due = state.next_due()
            assert due is not None, "an execution under way waits for nothing"
            self.clock.now = max(self.clock.now, due)
            self.pump()
        if self.pending:
            _away_from_running_loops(self._on_loop)
        return run.execution()

    def pump(self) -> None:
        """Carry out every command that can be carried out now."""
        run, clock = self.run, self.clock
        take_up = run.take_up
        state = run.state
        while commands := decide(state, clock.now):
            attempts = [take_up(command, clock.now) for command in commands]
            for attempt in attempts:
                if attempt is not None:
                    self._make(attempt)

    def _make(self, attempt: Attempt) -> None:
        if attempt.delay or attempt.call.is_async:
            self._needs_loop(attempt)
            return
        try:
            value = attempt.invoke()
        except Exception as error:  # noqa: BLE001  the user's code may raise anything
            self._guard(attempt)
            self.run.raised(attempt, error, self.clock.now)
        else:
            if value is not None and hasattr(value, "__await__"):
                self._needs_loop(attempt, value)
            else:
                self.run.returned(attempt, value, self.clock.now)

    def _guard(self, attempt: Attempt) -> None:
        if attempt.context.attempt >= MAX_ATTEMPTS:
            raise SimulationError(
                f"saga '{self.run.saga.name}': step '{attempt.context.step}' failed "
                f"{MAX_ATTEMPTS:,} times and would be retried for ever; let it succeed, or raise "
                "TerminalError"
            )

    # -- with a loop ------------------------------------------------------------------------

    def _needs_loop(self, attempt: Attempt, value: Any = None) -> None:
        if self.loop is None:
            self.pending.append(attempt)
            attempt.value = value
        else:
            self._spawn(attempt, value)

    def _on_loop(self) -> None:
        loop = self.loop = VirtualLoop(self.clock)
        try:
            self.over = loop.create_future()
            for attempt in self.pending:
                self._spawn(attempt, attempt.value)
            self._go_on()
            loop.run_until_complete(self.over)
        finally:
            for task in self.tasks:
                task.cancel()
            if self.tasks:
                loop.run_until_complete(asyncio.gather(*self.tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def _spawn(self, attempt: Attempt, value: Any) -> None:
        loop = self.loop
        assert loop is not None
        task = loop.create_task(_perform(attempt, value))
        self.tasks.add(task)
        timeout = None
        if attempt.timeout is not None:
            timeout = loop.call_later(attempt.timeout, self._time_out, attempt, task)

        def done(task: asyncio.Task[Any]) -> None:
            self.tasks.discard(task)
            if timeout is not None:
                timeout.cancel()
            if not attempt.closed:
                self._settle(attempt, task)

        task.add_done_callback(done)

    def _time_out(self, attempt: Attempt, task: asyncio.Task[Any]) -> None:
        if not attempt.closed:
            self._report(self.run.timed_out, attempt, self.clock.now)
            task.cancel()

    def _settle(self, attempt: Attempt, task: asyncio.Task[Any]) -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            self._report(self.run.returned, attempt, task.result(), self.clock.now)
        else:
            self._report(self.run.raised, attempt, error, self.clock.now)

    def _report(self, tell: Any, *facts: Any) -> None:
        over = self.over
        assert over is not None
        if over.done():
            return
        try:
            self._guard(facts[0])
            tell(*facts)
            self.pump()
            self._go_on()
        except BaseException as error:  # noqa: BLE001  a loop would swallow it
            over.set_exception(error)

    def _go_on(self) -> None:
        """Wake up for the next retry or deadline, or end."""
        over, loop = self.over, self.loop
        assert over is not None
        assert loop is not None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.run.state.phase not in _UNDER_WAY:
            if not over.done():
                over.set_result(None)
            return
        due = self.run.state.next_due()
        if due is not None:
            self.timer = loop.call_at(due, self._wake)

    def _wake(self) -> None:
        over = self.over
        assert over is not None
        due = self.run.state.next_due()
        if due is not None:
            self.clock.now = max(self.clock.now, due)
        try:
            self.pump()
            self._go_on()
        except BaseException as error:  # noqa: BLE001  a loop would swallow it
            over.set_exception(error)


async def _perform(attempt: Attempt, value: Any) -> Any:
    if value is None:
        if attempt.delay:
            await asyncio.sleep(attempt.delay)
        value = attempt.invoke()
    if hasattr(value, "__await__"):
        value = await value
    return value


def _away_from_running_loops(work: Callable[[], None]) -> None:
    """Run ``work``, which runs a loop, in this thread; in another one if this runs a loop (as
    every notebook cell does)."""
    if not _in_a_running_loop():
        work()
        return
    failure: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  it is raised again in the caller's thread
            failure.append(error)

    thread = threading.Thread(target=guarded, name="sagakit-virtual-time", daemon=True)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


def _in_a_running_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
