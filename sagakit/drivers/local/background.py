"""An asyncio loop for callers that are not coroutines.

Whoever waits for its work turns it, in their own thread: two changes of thread, and with them
half the time between two commits, are saved. As soon as there is work that nobody waits for, the
loop gets a thread of its own and keeps it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import FrameType, TracebackType
from typing import Any, TypeVar

from sagakit.errors import EngineClosedError, SagaError

T = TypeVar("T")

# What `signal.signal` wraps: turning numbers into enums and back costs as much as a step.
_set_handler: Any = _signal.signal


class BackgroundLoop:
    """``run`` work on it and wait, ``submit`` work to it and go on, from any thread; close it.

    Parameters:
        name: of its thread.
        busy: whether work is under way that no task shows.
    """

    def __init__(self, name: str, busy: Callable[[], bool] = lambda: False) -> None:
        self.loop = asyncio.new_event_loop()
        self._busy = busy
        self._inbox: list[Callable[[], None]] = []
        self._turns = threading.Condition()
        self._turning = False  # somebody turns the loop: its thread or a caller
        self._awaited: Future[Any] | None = None  # what that caller waits for
        self._closed = False
        self._thread = threading.Thread(target=self._turn_for_ever, name=name, daemon=True)

    # -- work -------------------------------------------------------------------------------

    def run(self, work: Callable[[], None], answer: Future[T]) -> T:
        """Do ``work`` there and wait for the answer it leads to; an interrupt leaves it under way.

        Raises EngineClosedError once the loop is closed, and what the answer raises.
        """
        if _running_loop() is None and self._take_turn():
            try:
                self.loop.call_soon(work)
                self._turn_until(answer)
            finally:
                self._leave()
        else:
            self.submit(work, answer)
        return answer.result()

    def submit(self, work: Callable[[], None], answer: Future[Any]) -> None:
        """Do ``work`` there soon; the answer learns it if the loop is closed."""
        try:
            self._post(work)
        except EngineClosedError as error:
            answer.set_exception(error)

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it; an interrupt cancels it."""
        answer: Future[T] = Future()
        task: asyncio.Task[None] | None = None

        def begin() -> None:
            nonlocal task
            task = self.loop.create_task(_answer(coroutine, answer))

        def cancel() -> None:
            if task is not None:
                task.cancel()

        try:
            return self.run(begin, answer)
        except BaseException:
            if not answer.done():
                self._post(cancel)
            raise

    def _post(self, work: Callable[[], None]) -> None:
        with self._turns:
            if self._closed:
                raise EngineClosedError("the engine is closed")
            first = not self._inbox
            self._inbox.append(work)
            if not self._turning:
                self._start_thread()
            if first:  # wake the loop once for all that arrives meanwhile
                self.loop.call_soon_threadsafe(self._empty_inbox)

    def _empty_inbox(self) -> None:
        with self._turns:
            waiting, self._inbox = self._inbox, []
        for work in waiting:
            work()

    def refuse_inside(self) -> None:
        """Raise when called on this very loop, where waiting for it would wait for ever."""
        if _running_loop() is self.loop:
            raise SagaError(
                "an async action called its own engine and would wait for itself for ever; "
                "use await asyncio.to_thread(engine.run, …)"
            )

    # -- turning ----------------------------------------------------------------------------

    def _take_turn(self) -> bool:
        with self._turns:
            if self._turning or self._closed:
                return False
            self._turning = True
        return True

    def _turn_until(self, answer: Future[Any]) -> None:
        """Turn the loop in this thread until the answer is there.

        Ctrl-C ends that between two turns: raised in the middle of one, it would leave an
        execution half changed. A second Ctrl-C breaks into an action that blocks the loop.
        """
        self._awaited = answer
        answer.add_done_callback(self._stop_waiting)
        interrupts = 0

        def interrupt(_signal: int, _frame: FrameType | None) -> None:
            nonlocal interrupts
            interrupts += 1
            if interrupts > 1:
                raise KeyboardInterrupt
            self.loop.call_soon_threadsafe(self._stop_waiting, answer)

        before: Any = None
        if threading.current_thread() is threading.main_thread():
            before = _set_handler(signal.SIGINT, interrupt)
            if before is not signal.default_int_handler:
                _set_handler(signal.SIGINT, before)  # somebody else's: it has its own ways
                before = None
        try:
            self.loop.run_forever()
        finally:
            self._awaited = None
            if before is not None:
                _set_handler(signal.SIGINT, before)
        if interrupts:
            raise KeyboardInterrupt

    def _stop_waiting(self, answer: Future[Any]) -> None:
        if self._awaited is not answer:
            return  # whoever waited has left, and the loop is another's to stop
        if _running_loop() is self.loop:
            self.loop.stop()
        else:
            self.loop.call_soon_threadsafe(self._stop_waiting, answer)

    def _leave(self) -> None:
        """This thread turns the loop no more: what is under way goes on in the loop's own."""
        with self._turns:
            self._turning = False
            if not self._closed and (self._inbox or self._busy() or asyncio.all_tasks(self.loop)):
                self._start_thread()
            self._turns.notify_all()

    def _start_thread(self) -> None:
        self._turning = True
        self._thread.start()

    def _turn_for_ever(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self._finish()

    # -- the end ----------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Stop the loop: what is unfinished is cancelled. Closing twice is allowed."""
        with self._turns:
            while self._turning and not self._thread.ident:
                self._turns.wait()  # for the caller who turns it
            if self._closed:
                return
            if not self._turning:
                if _running_loop() is None:
                    self._turning = True
                else:  # this thread cannot turn a second loop
                    self._start_thread()
        if self._thread.ident:
            with contextlib.suppress(RuntimeError):  # somebody else has closed it
                self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
        else:
            self._finish()

    def _finish(self) -> None:
        with self._turns:
            self._closed = True
        self._empty_inbox()  # what was posted last is told that it came too late
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        with self._turns:
            self._turning = False
            self._turns.notify_all()

    def __enter__(self) -> BackgroundLoop:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


async def _answer(coroutine: Coroutine[Any, Any, T], answer: Future[T]) -> None:
    try:
        answer.set_result(await coroutine)
    except BaseException as error:  # noqa: BLE001  it is raised again where the answer is awaited
        answer.set_exception(error)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
