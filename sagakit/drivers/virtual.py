"""The part of the simulated driver that needs asyncio: a loop whose clock jumps.

Where a loop would sleep until its next timer, this one moves its clock there at once, so an
unmodified ``await asyncio.sleep(3600)`` takes no time. Only what waits for a thread or a socket
takes real time, and only while no timer is set. What waits for nothing of all these is refused.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import selectors
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sagakit.drivers.attempt import Attempt
from sagakit.drivers.simulated import Simulation
from sagakit.errors import InDoubtError, SimulationError

_THREAD = "sagakit-virtual-time"
_PATIENCE = 10.0  # seconds for threads that were there before: most are no concern of ours
_LOOK = 0.05  # seconds between two looks at which threads are left


class _StalledError(Exception):
    """Nothing is left that could wake the loop."""


class _JumpingSelector(selectors.BaseSelector):
    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._real = selectors.DefaultSelector()
        self._before = set(threading.enumerate())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return self._wait()
        return self._jump(timeout)

    def _wait(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait without a timer: for a thread or a socket."""
        until = time.monotonic() + _PATIENCE
        while len(self._real.get_map()) <= 1:  # that one is the loop's own
            me = threading.current_thread()
            others = {thread for thread in threading.enumerate() if not self._idle(thread, me)}
            strangers = others <= self._before and all(one.daemon for one in others)
            ready = self._real.select(_LOOK if others else 0)
            if ready:
                return ready
            if not others or (strangers and time.monotonic() >= until):
                raise _StalledError
        return self._real.select(None)

    @staticmethod
    def _idle(thread: threading.Thread, me: threading.Thread) -> bool:
        """Whether a thread is this one, or waits for it."""
        return thread is me or (me.name == _THREAD and thread is getattr(me, "started_by", None))

    def _jump(self, timeout: float) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if not ready and timeout > 0:
            self._simulation.now += timeout
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in the virtual time of a simulation."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(_JumpingSelector(simulation))
        self._simulation = simulation

    def time(self) -> float:
        return self._simulation.now


def finish_on_loop(simulation: Simulation) -> None:
    """Drive a simulation that has met its first coroutine to its end."""
    _away_from_running_loops(_OnLoop(simulation).finish)


def await_on_loop(simulation: Simulation, attempt: Attempt) -> None:
    """Make one call of a coroutine to its end, while nothing else of the simulation goes on, and
    record its outcome."""
    _away_from_running_loops(functools.partial(_await_alone, simulation, attempt))


def _await_alone(simulation: Simulation, attempt: Attempt) -> None:
    loop = VirtualLoop(simulation)
    try:
        value = loop.run_until_complete(_within_its_time(attempt))
    except _StalledError:
        raise _stalled(attempt.run.saga.name, [attempt]) from None
    except Exception as error:  # noqa: BLE001  the user's code may raise anything
        attempt.run.raised(attempt, error, simulation.now)
    else:
        attempt.run.returned(attempt, value, simulation.now)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _within_its_time(attempt: Attempt) -> Any:
    limit = asyncio.timeout(attempt.timeout)
    try:
        async with limit:
            return await _perform(attempt)
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimeoutError(f"no answer within {attempt.timeout:g} s") from None


class _OnLoop:
    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.root = simulation.run
        self.loop = VirtualLoop(simulation)
        self.over: asyncio.Future[None] = self.loop.create_future()
        self.tasks: dict[asyncio.Task[Any], Attempt] = {}
        self.timer: asyncio.TimerHandle | None = None

    def finish(self) -> None:
        simulation, loop = self.simulation, self.loop
        try:
            simulation.to_loop = self._spawn
            for attempt in simulation.pending:
                self._spawn(attempt)
            self._rest()
            loop.run_until_complete(self.over)
        except _StalledError:
            raise _stalled(self.root.saga.name, self.tasks.values()) from None
        finally:
            for task in self.tasks:
                task.cancel()
            if self.tasks:
                loop.run_until_complete(asyncio.gather(*self.tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def _spawn(self, attempt: Attempt) -> None:
        attempt.task = task = self.loop.create_task(_perform(attempt))
        self.tasks[task] = attempt
        task.add_done_callback(functools.partial(self._done, attempt))
        if attempt.timeout is not None:
            attempt.timer = self.loop.call_later(attempt.timeout, self._time_out, attempt)
        if attempt.ticket is not None:
            attempt.ticket.begun(attempt, self.loop.call_later)

    def _done(self, attempt: Attempt, task: asyncio.Task[Any]) -> None:
        self.tasks.pop(task, None)
        if task.cancelled():
            error: BaseException | None = InDoubtError("the action was cancelled while it ran")
        else:
            error = task.exception()
        ticket = attempt.ticket
        if ticket and error is not None and ticket.outlives(attempt, error, self.simulation.now):
            self._step()
            return
        if attempt.timer is not None:
            attempt.timer.cancel()
        if attempt.closed:
            return  # its timeout came first, or the answer of another call
        if error is None:
            self._step(attempt.run.returned, attempt, task.result())
        else:
            self._step(attempt.run.raised, attempt, error)

    def _time_out(self, attempt: Attempt) -> None:
        if not attempt.closed:
            self._step(attempt.run.timed_out, attempt)
            attempt.task.cancel()

    def _step(self, tell: Callable[..., None] | None = None, *facts: Any) -> None:
        """Record an outcome, if there is one, and go on."""
        if self.over.done():
            return
        try:
            if tell is not None:
                self.simulation.guard(facts[0])
                tell(*facts, self.simulation.now)
                self.simulation.busy.append(facts[0].run)
            self.simulation.pump()
            self._rest()
        except BaseException as error:  # noqa: BLE001  a loop would swallow it
            self.over.set_exception(error)

    def _rest(self) -> None:
        """Wake up for the next retry or deadline, or end."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if not self.root.goes_on:
            self.over.set_result(None)
            return
        due = self.simulation.next_due()
        if due is not None:
            self.timer = self.loop.call_at(due, self._wake, due)
        elif self.root.resting:
            self.over.set_result(None)  # it waits for what nobody sends

    def _wake(self, due: float) -> None:
        self.simulation.now = max(self.simulation.now, due)  # a timer may fire a hair early
        self._step()


def _stalled(saga: str, attempts: Iterable[Attempt]) -> SimulationError:
    names = sorted({attempt.command.step for attempt in attempts})
    steps = "step " + ", ".join(f"'{name}'" for name in names)
    return SimulationError(
        f"saga '{saga}': {steps} waits for what never comes: no timer, thread "
        "or socket is under way; give the step a timeout, or let something wake it"
    )


async def _perform(attempt: Attempt) -> Any:
    if attempt.delay:
        await asyncio.sleep(attempt.delay)
    value = attempt.invoke() if attempt.value is None else attempt.value
    return await value if hasattr(value, "__await__") else value


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

    within = contextvars.copy_context().run
    thread = threading.Thread(target=within, args=(guarded,), name=_THREAD)
    thread.started_by = threading.current_thread()  # type: ignore[attr-defined]
    thread.daemon = True
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
