"""What an engine's journal says of it from moment to moment: a monitor's readings.

It never reads the events of executions that go well: it asks for the rows that may have changed
since the last reading, and reads the events of a stuck one once, to say why.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import msgspec

from sagakit.drivers.local.engine import read_execution
from sagakit.errors import SagaError
from sagakit.execution import Execution
from sagakit.journal.base import ENDED, ExecutionRow, Journal

SECONDS = 60  # of the series
WINDOW = 10  # the last so many whole seconds, of which the throughput is the mean
OUTCOMES = ("completed", "compensated", "stuck", "abandoned")
MOST_LISTED = 50  # stuck ones, and running ones


class Gauge:
    """Reads a journal again and again.

    Parameters:
        journal: of an engine in this process, or one opened to be read beside one.

    Attributes:
        again: the part of the rows of the last reading that had been read before, from 0 to 1.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.again = 0.0
        glance = journal.glance()
        self._last = glance.last
        self._ended: Counter[str] = Counter(
            {status: count for status, count in glance.counts.items() if status in ENDED}
        )
        self._unended = dict(glance.unended)
        self._seconds: deque[tuple[int, Counter[str]]] = (
            deque()
        )  # what ended in each, the last ones
        self._reasons: dict[str, tuple[float, list[dict[str, str]]]] = {}

    def counts(self) -> dict[str, int]:
        """How many outermost executions have each status, as of the last reading."""
        now = self._ended + Counter(row.status for row in self._unended.values())
        return {status: now[status] for status in sorted(now)}

    def read(self, now: float) -> dict[str, Any]:
        """What the monitor shows.

        Parameters:
            now: seconds since the epoch.

        Raises:
            JournalError: the journal cannot be read, or is closed.
        """
        before = len(self._unended)
        self._last, rows = self._journal.news(self._last, self._unended)
        self.again = before / max(1, len(rows))
        for number, row in rows:
            self._note(number, row)
        while self._seconds and self._seconds[0][0] < int(now) - SECONDS:
            self._seconds.popleft()
        series = self._series(int(now))
        return {
            "counts": self.counts(),
            "throughput": sum(sum(series[status][-WINDOW:]) for status in ENDED) / WINDOW,
            "window": WINDOW,
            "series": series,
            **self._listed("running", ("running", "waiting")),
            **self._listed("stuck", ("stuck",)),
        }

    def _note(self, number: int, row: ExecutionRow) -> None:
        before = self._unended.get(number)
        if row.status in ENDED:
            self._unended.pop(number, None)
            self._reasons.pop(row.id, None)
            self._ended[row.status] += 1
        else:
            self._unended[number] = row
        changed = before is None or (before.status, before.changed_at) != (
            row.status,
            row.changed_at,
        )
        if changed and row.status in OUTCOMES:
            self._count(math.floor(row.changed_at), row.status)

    def _count(self, second: int, status: str) -> None:
        """Count an outcome in its second; they come nearly in order."""
        for known, counted in reversed(self._seconds):
            if known == second:
                counted[status] += 1
                return
            if known < second:
                break
        place = sum(1 for known, _ in self._seconds if known < second)
        self._seconds.insert(place, (second, Counter({status: 1})))

    def _series(self, now: int) -> dict[str, list[int]]:
        """What ended in each of the last whole seconds, the latest one last."""
        known = dict(self._seconds)
        nothing: Counter[str] = Counter()
        return {
            status: [known.get(second, nothing)[status] for second in range(now - SECONDS, now)]
            for status in OUTCOMES
        }

    def _listed(self, name: str, statuses: tuple[str, ...]) -> dict[str, Any]:
        """The oldest executions of these statuses, and how many more there are."""
        rows = [row for row in self._unended.values() if row.status in statuses]
        rows.sort(key=lambda row: (row.changed_at, row.id))
        listed = [self._told(row) for row in rows[:MOST_LISTED]]
        return {name: listed, f"{name}_more": max(0, len(rows) - MOST_LISTED)}

    def _told(self, row: ExecutionRow) -> dict[str, Any]:
        told: dict[str, Any] = {
            "id": row.id,
            "saga": row.saga,
            "version": row.version or "",
            "status": row.status,
            "started_at": row.started_at,
            "since": row.changed_at,
        }
        if row.status == "stuck":
            told["steps"] = self._reason(row)
        return told

    def _reason(self, row: ExecutionRow) -> list[dict[str, str]]:
        """At which steps it is stuck, and why; read once for as long as it stays so."""
        known = self._reasons.get(row.id)
        if known is None or known[0] != row.changed_at:
            try:
                execution = read_execution(self._journal, self._journal.read(row.id), None)
                steps = list(reasons(execution))
            except (SagaError, msgspec.MsgspecError) as error:
                steps = [{"step": "", "state": "stuck", "why": str(error)}]
            known = self._reasons[row.id] = row.changed_at, steps
        return known[1]


def reasons(execution: Execution) -> Iterator[dict[str, str]]:
    """Each step at which an execution is stuck: its state, and the last error there."""
    redaction = execution.redaction
    last = dict(execution.errors)
    for step in execution.stuck_steps:
        error, child = last.get(step), execution.children.get(step)
        why = "" if error is None else f"{error.name}: {error.message}".removesuffix(": ")
        if child is not None and child.stuck_steps:
            names = ", ".join(f"'{name}'" for name in child.stuck_steps)
            why = f"execution '{child.id}', which does it, is stuck at {names}"
        yield {
            "step": step,
            "state": str(execution.states[step]),
            "why": why if redaction is None else redaction.scrub(why),
        }
