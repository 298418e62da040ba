"""An asyncio loop in a thread of its own, for callers that are not coroutines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from sagakit.errors import SagaError

T = TypeVar("T")


class BackgroundLoop:
    """Start it, ``call`` coroutines on it from any thread, close it."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._inbox: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            with self._lock:
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

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it; an interrupt cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def refuse_inside(self) -> None:
        """Raise when called on this very loop, where waiting for it would wait for ever."""
        if threading.current_thread() is self._thread:
            raise SagaError(
                "an async action called its own engine and would wait for itself for ever; "
                "use await asyncio.to_thread(engine.run, …)"
            )

    def post(self, work: Callable[[], None]) -> None:
        """Run a function there soon. The loop is woken once for all that arrive meanwhile.

        Raises RuntimeError once the loop is closed.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("the loop is closed")
            first = not self._inbox
            self._inbox.append(work)
        if first:
            self.loop.call_soon_threadsafe(self._empty_inbox)

    def _empty_inbox(self) -> None:
        with self._lock:
            waiting, self._inbox = self._inbox, []
        for work in waiting:
            work()

    def close(self) -> None:
        """Stop the loop. Closing twice is allowed."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()

    def __enter__(self) -> BackgroundLoop:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
