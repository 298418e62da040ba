"""What other processes ask of the engine that has the journal open: signals, cancellations and
resolutions.

They post it into the journal's file; the engine looks there now and then, while it has executions
that a request could concern. There is no other channel between the processes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from sagakit.errors import EngineClosedError, JournalError, SagaError
from sagakit.execution import Execution
from sagakit.journal.base import Post
from sagakit.journal.mail import DELIVERED, KEPT

if TYPE_CHECKING:
    import asyncio

    from sagakit.drivers.local.core import Core

_PERIOD = 0.15  # seconds between two looks


class Inbox:
    """Looks for requests and answers each once. Everything here runs on the engine's loop.

    Parameters:
        handle: carries a request out; the execution once that is journalled, or None: its signal
            is kept. What it raises is the answer.
        wanted: whether anything is open or waits that a request could concern.
    """

    def __init__(
        self,
        core: Core,
        handle: Callable[[Post], Future[Execution] | None],
        wanted: Callable[[], bool],
    ) -> None:
        self._core = core
        self._journal = core.journal
        self._handle = handle
        self._wanted = wanted
        self._timer: asyncio.TimerHandle | None = None
        self._at_work: set[str] = set()

    def watch(self) -> None:
        """Look, and go on looking as long as that is wanted."""
        if self._timer is None and self._journal.shared:
            self._timer = self._core.loop.call_later(0, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._core.closed:
            return
        try:
            for post in self._journal.posted():
                if post.id not in self._at_work:
                    self._answer(post)
            wanted = self._wanted()
        except JournalError:
            wanted = True  # the disk may be back at the next look
        if wanted:
            self._timer = self._core.loop.call_later(_PERIOD, self._look)

    def _answer(self, post: Post) -> None:
        try:
            safe = self._handle(post)
        except SagaError as error:
            self._refuse(post, error)
            return
        if safe is None:
            self._journal.settle(post.id, KEPT, None)
            return
        self._at_work.add(post.id)
        safe.add_done_callback(functools.partial(self._done, post))

    def _done(self, post: Post, safe: Future[Execution]) -> None:
        self._at_work.discard(post.id)
        error = safe.exception()
        try:
            if error is None:  # the commit has noted it, unless it had been delivered before
                self._journal.settle(post.id, DELIVERED, post.to or safe.result().id)
            else:
                self._refuse(post, error)
        except JournalError:
            pass  # it stays in the inbox, and the next engine answers it

    def _refuse(self, post: Post, error: BaseException) -> None:
        if not isinstance(error, EngineClosedError | JournalError):
            self._journal.settle(post.id, f"refused: {error}", None)
