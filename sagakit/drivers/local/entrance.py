"""What the services' gates ask of the local driver. Everything here runs on its loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from sagakit.drivers.attempt import Attempt
from sagakit.errors import ServiceRefusedError

if TYPE_CHECKING:
    from sagakit.drivers.gate import Ticket
    from sagakit.drivers.local.core import Core, Live


class Entrance:
    """Makes the calls of a ``Core`` that its gates let in, and asks the gates when others may go.

    The host of a ticket is the ``Live`` that its execution belongs to.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._noted: dict[Live, None] = {}
        self._soon = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def now(self) -> float:
        return time.time()

    # -- what the gates decide --------------------------------------------------------------

    def let_in(self, attempt: Attempt) -> None:
        live = attempt.ticket.host
        try:
            self._core._make(live, attempt)
        except Exception as problem:  # noqa: BLE001  no thread to be had, for instance
            self._core._drop(live, problem)

    def hedge(self, attempt: Attempt) -> None:
        live = attempt.ticket.host
        try:
            self._core._call(live, attempt)
        except Exception as problem:  # noqa: BLE001  no thread to be had, for instance
            self._core._drop(live, problem)

    def turn_away(self, attempt: Attempt, error: ServiceRefusedError) -> None:
        # Not at once: retries without a wait would nest, one inside the other.
        self._core.loop.call_soon(self._turned_away, attempt, error)

    def _turned_away(self, attempt: Attempt, error: ServiceRefusedError) -> None:
        live = attempt.ticket.host
        if not live.over:
            self._core._refuse(live, attempt, error)

    # -- what the journal is told -----------------------------------------------------------

    def noted(self, ticket: Ticket) -> None:
        if not self._noted:
            self._core.loop.call_soon(self._journal)
        self._noted[ticket.host] = None

    def _journal(self) -> None:
        """At the end of the loop's turn: what was noted together shares a commit."""
        noted, self._noted = self._noted, {}
        for live in noted:
            if not live.over and len(live.run.events) > live.run.written:
                self._core.advance(live)

    # -- when the gates are asked again -----------------------------------------------------

    def ask_again(self, at: float | None) -> None:
        if at is None:
            if not self._soon:
                self._soon = True
                self._core.loop.call_soon(self._turn)
        elif self._timer is None or at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            wait = max(0.0, at - time.time())
            self._timer, self._timer_at = self._core.loop.call_later(wait, self._wake), at

    def _wake(self) -> None:
        self._timer = None
        self._turn()

    def _turn(self) -> None:
        self._soon = False
        if not self._core.closed:
            self._core.gates.turn(time.time())
