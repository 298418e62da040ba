"""Executions in real time, on one asyncio loop: coroutines on it, plain functions on threads.

Rule 7 lives here: what an outcome leads to is journalled together with the outcome, in one
commit, and only then does the world see it. Commits of concurrent executions are grouped.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import time
from collections.abc import Callable
from typing import Any

from sagakit.coordinator import decide
from sagakit.drivers.local.threads import Threads
from sagakit.drivers.run import Attempt, Run
from sagakit.errors import EngineClosedError, InDoubtError
from sagakit.execution import Execution
from sagakit.journal.base import Batch, Journal
from sagakit.transitions import ACTIVE


class Live:
    """An execution that the loop is working on."""

    __slots__ = ("future", "run", "tasks", "timer")

    def __init__(self, run: Run, future: asyncio.Future[Execution]) -> None:
        self.run = run
        self.future = future
        self.tasks: set[asyncio.Task[Any]] = set()
        self.timer: asyncio.TimerHandle | None = None


class Core:
    """Drives executions on the loop it was made in. Everything here runs on that loop."""

    def __init__(self, journal: Journal) -> None:
        self.loop = asyncio.get_running_loop()
        self.journal = journal
        self.live: dict[str, Live] = {}
        self.threads = Threads()
        self.closed = False
        self._in_flight = 0  # attempts under way, of all executions
        self._batch: list[tuple[Live, list[Attempt]]] = []
        self._flush_due = False
        self._committing: asyncio.Future[None] | None = None
        self._writer = Threads()  # one commit at a time, so one thread: apart from the actions'

    def start(self, run: Run) -> asyncio.Future[Execution]:
        """Drive a run to its end; the future gives the execution once its end is journalled."""
        live = Live(run, self.loop.create_future())
        self.live[run.state.execution_id] = live
        self._advance(live)
        return live.future

    async def stop(self) -> None:
        """Stop at once; what is unfinished stays in the journal as it is, to be recovered."""
        self.closed = True
        why = EngineClosedError("the engine was closed; recover this execution from its journal")
        for live in list(self.live.values()):
            self._drop(live, why)
        if self._committing is not None:
            await asyncio.wait([self._committing])
        await asyncio.sleep(0)  # let the cancelled tasks see it
        self.threads.close()
        self._writer.close()

    # -- progress ---------------------------------------------------------------------------

    def _advance(self, live: Live) -> None:
        """Take up everything that can be done now; carry it out once it is journalled."""
        if live.timer is not None:
            live.timer.cancel()
            live.timer = None
        run = live.run
        now = time.time()
        attempts: list[Attempt] = []
        try:
            while commands := decide(run.state, now):
                for command in commands:
                    attempt = run.take_up(command, now)
                    if attempt is not None:
                        attempts.append(attempt)
        except Exception as error:  # noqa: BLE001  a bug of ours must reach the caller
            self._drop(live, error)
            return
        self._batch.append((live, attempts))
        if not self._flush_due and self._committing is None:
            # At the end of this turn of the loop: outcomes that arrive together share a commit.
            self._flush_due = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        batch, self._batch = self._batch, []
        entries = []
        for live, _ in batch:
            run = live.run
            if len(run.events) > run.written and not live.future.done():
                entries.append((run.state.execution_id, run.written, run.events[run.written :]))
                run.written = len(run.events)
        if not entries:
            self._proceed(batch, None)
        elif self.journal.durable and self._in_flight:
            self._committing = self.loop.create_future()
            self._writer.submit(functools.partial(self._commit, batch, entries))
        else:
            # Nothing runs that a wait for the disk would hold up: spare the trip to a thread.
            self._proceed(batch, self._append(entries))

    def _append(self, entries: Batch) -> Exception | None:
        try:
            self.journal.append(entries)
        except Exception as error:  # noqa: BLE001  it is handed on to every caller concerned
            return error
        return None

    def _commit(self, batch: list[tuple[Live, list[Attempt]]], entries: Batch) -> None:
        """On the writer's thread."""
        failure = self._append(entries)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self._committed, batch, failure)

    def _committed(self, batch: list[tuple[Live, list[Attempt]]], error: Exception | None) -> None:
        committing, self._committing = self._committing, None
        self._proceed(batch, error)
        if committing is not None:
            committing.set_result(None)
        if self._batch and not self._flush_due:
            self._flush_due = True
            self.loop.call_soon(self._flush)

    def _proceed(self, batch: list[tuple[Live, list[Attempt]]], error: Exception | None) -> None:
        for live, attempts in batch:
            if live.future.done():
                continue
            if error is not None:
                self._drop(live, error)
                continue
            for attempt in attempts:
                self._make(live, attempt)
            self._rest(live)

    def _rest(self, live: Live) -> None:
        """The journal has everything: end, or wait for the next outcome or timer."""
        run = live.run
        if len(run.events) > run.written:
            return  # an outcome came while this was committed; its own commit follows
        state = run.state
        if state.phase not in ACTIVE:
            del self.live[state.execution_id]
            live.future.set_result(run.execution())
            return
        due = state.next_due()
        if due is not None:
            if live.timer is not None:
                live.timer.cancel()
            live.timer = self.loop.call_later(max(0.0, due - time.time()), self._advance, live)

    def _drop(self, live: Live, error: BaseException) -> None:
        """Stop working on an execution; the journal keeps what it has."""
        self.live.pop(live.run.state.execution_id, None)
        if live.timer is not None:
            live.timer.cancel()
        for task in live.tasks:
            task.cancel()
        if not live.future.done():
            live.future.set_exception(error)
            live.future.exception()  # seen: nobody may be waiting for it

    # -- attempts ---------------------------------------------------------------------------

    def _make(self, live: Live, attempt: Attempt) -> None:
        self._in_flight += 1
        if attempt.call.is_async or attempt.delay:
            attempt.task = task = self.loop.create_task(
                self._delayed(attempt) if attempt.delay else attempt.invoke()
            )
            live.tasks.add(task)
            task.add_done_callback(functools.partial(self._task_done, live, attempt))
        else:
            self._on_thread(attempt, functools.partial(self._settle, live, attempt))
        if attempt.timeout is not None:
            attempt.timer = self.loop.call_later(attempt.timeout, self._time_out, live, attempt)

    async def _delayed(self, attempt: Attempt) -> Any:
        await asyncio.sleep(attempt.delay)
        if attempt.call.is_async:
            return await attempt.invoke()
        answer: asyncio.Future[Any] = self.loop.create_future()

        def settle(value: Any, error: BaseException | None) -> None:
            if not answer.done():
                answer.set_result((value, error))

        self._on_thread(attempt, settle)
        value, error = await answer
        if error is not None:
            raise error
        return value

    def _on_thread(
        self, attempt: Attempt, settle: Callable[[Any, BaseException | None], None]
    ) -> None:
        """Call a plain function on a thread; its outcome comes back to the loop."""
        context = contextvars.copy_context()
        loop = self.loop

        def work() -> None:
            value, error = None, None
            try:
                value = context.run(attempt.invoke)
            except BaseException as raised:  # noqa: BLE001  a thread has nobody else to tell
                error = raised
            finish = settle
            if value is not None and hasattr(value, "__await__"):
                finish = await_it
            # A closed loop means that the engine stopped: recovery will ask again.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(finish, value, error)

        def await_it(value: Any, _: BaseException | None) -> None:
            task = loop.create_task(_await(value))
            task.add_done_callback(lambda done: settle(*_outcome(done)))

        self.threads.submit(work)

    def _task_done(self, live: Live, attempt: Attempt, task: asyncio.Task[Any]) -> None:
        live.tasks.discard(task)
        self._settle(live, attempt, *_outcome(task))

    def _time_out(self, live: Live, attempt: Attempt) -> None:
        if not attempt.closed and not live.future.done():
            self._report(live, live.run.timed_out, attempt)
            if attempt.task is not None:
                attempt.task.cancel()

    def _settle(
        self, live: Live, attempt: Attempt, value: Any, error: BaseException | None
    ) -> None:
        """An attempt has ended: record it, unless its timeout or the engine's end came first."""
        if attempt.timer is not None:
            attempt.timer.cancel()
        if attempt.closed:
            return
        if live.future.done():
            self._in_flight -= 1
        elif error is None:
            self._report(live, live.run.returned, attempt, value)
        else:
            self._report(live, live.run.raised, attempt, error)

    def _report(self, live: Live, tell: Callable[..., None], *facts: Any) -> None:
        self._in_flight -= 1
        try:
            tell(*facts, time.time())
        except Exception as error:  # noqa: BLE001  a bug of ours must reach the caller, not the loop
            self._drop(live, error)
        else:
            self._advance(live)


def _outcome(task: asyncio.Task[Any]) -> tuple[Any, BaseException | None]:
    if task.cancelled():
        return None, InDoubtError("the action was cancelled while it ran")
    error = task.exception()
    return (None, error) if error is not None else (task.result(), None)


async def _await(value: Any) -> Any:
    return await value
