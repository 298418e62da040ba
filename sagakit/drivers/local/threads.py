"""Threads for actions that are plain functions.

Not ``ThreadPoolExecutor``: its threads are joined when the interpreter exits, so one action that
hangs would keep Ctrl-C from ending the program; and an attempt that timed out would keep its
place among a fixed number of workers.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

_MOST = 256  # threads at once; work beyond that waits for one


class Threads:
    """Runs work on daemon threads: an idle one if there is one, else a new one."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._count = 0

    def submit(self, work: Callable[[], None]) -> None:
        """Run ``work`` soon. It must not raise."""
        with self._lock:
            spare = self._idle > 0
            if spare:
                self._idle -= 1
            elif self._count < _MOST:
                threading.Thread(target=self._run, name="sagakit-action", daemon=True).start()
                self._count += 1
        self._work.put(work)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            del work  # an idle thread holds nothing
            with self._lock:
                self._idle += 1

    def close(self) -> None:
        """Drop what has not begun and let idle threads end; a busy one ends after its work."""
        with self._lock:
            with contextlib.suppress(queue.Empty):
                while True:
                    self._work.get_nowait()
            for _ in range(self._count):
                self._work.put(None)
