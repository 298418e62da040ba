"""The journal that lives and dies with its process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sagakit.errors import JournalError, UnknownExecutionError
from sagakit.events import Event, ExecutionMigrated, ExecutionStarted
from sagakit.journal.base import Batch, ExecutionRow, Rest, status_after


class MemoryJournal:
    """Keeps events in lists. Same contract as SQLite, without the disk."""

    durable = False

    def __init__(self) -> None:
        self._events: dict[str, list[Event]] = {}
        self._rests: dict[str, Rest] = {}
        self._definitions: dict[str, tuple[str | None, Any]] = {}
        self._lock = threading.Lock()

    def define(self, fingerprint: str, saga: str, version: str | None, shape: Any) -> None:
        del saga
        self._definitions[fingerprint] = (version, shape)

    def definition(self, fingerprint: str) -> tuple[str | None, Any]:
        return self._definitions[fingerprint]

    def append(self, batch: Batch, rests: Mapping[str, Rest | None] | None = None) -> None:
        with self._lock:
            lengths: dict[str, int] = {}
            for execution_id, first, events in batch:
                length = lengths.get(execution_id, len(self._events.get(execution_id, ())))
                if length != first:
                    raise JournalError(f"execution '{execution_id}': event {first} is out of order")
                lengths[execution_id] = first + len(events)
            for execution_id, _, events in batch:
                self._events.setdefault(execution_id, []).extend(events)
            for execution_id, rest in (rests or {}).items():
                if rest is None:
                    self._rests.pop(execution_id, None)
                else:
                    self._rests[execution_id] = rest

    def read(self, execution_id: str) -> list[Event]:
        with self._lock:
            try:
                return list(self._events[execution_id])
            except KeyError:
                raise UnknownExecutionError(f"no execution has the id '{execution_id}'") from None

    def find(
        self,
        *,
        status: str | None = None,
        saga: str | None = None,
        limit: int | None = None,
    ) -> list[ExecutionRow]:
        with self._lock:
            rows = [_row(events, id in self._rests) for id, events in self._events.items()]
        kept = [row for row in rows if status in (None, row.status) and saga in (None, row.saga)]
        return kept[:limit]

    def counts(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for row in self.find():
            found[row.status] = found.get(row.status, 0) + 1
        return found

    def unfinished(self, fingerprints: Iterable[str]) -> Iterator[tuple[str, list[Event] | None]]:
        wanted = set(fingerprints)
        for row in self.find():
            if row.status in ("running", "waiting") and row.fingerprint in wanted:
                yield row.id, self.read(row.id)

    def strangers(
        self, sagas: Iterable[str], fingerprints: Iterable[str]
    ) -> Iterator[tuple[str, str, str]]:
        names, seen = set(sagas), set(fingerprints)
        for row in self.find():
            unfinished = row.status in ("running", "waiting")
            if unfinished and row.saga in names and row.fingerprint not in seen:
                seen.add(row.fingerprint)
                yield row.id, row.saga, row.fingerprint

    def close(self) -> None:
        """Nothing to release."""


def _row(events: list[Event], rests: bool) -> ExecutionRow:
    first = events[0]
    assert isinstance(first, ExecutionStarted)
    status, changed_at = "running", first.at
    pinned: ExecutionStarted | ExecutionMigrated = first
    for event in events:
        if isinstance(event, ExecutionMigrated):
            pinned = event
        after = status_after(event)
        if after is not None:
            status, changed_at = after, event.at  # type: ignore[attr-defined]
    if rests and status == "running":
        status, changed_at = "waiting", events[-1].at  # type: ignore[attr-defined]
    return ExecutionRow(
        id=first.execution_id,
        saga=first.saga,
        version=pinned.version,
        fingerprint=pinned.fingerprint,
        status=status,
        started_at=first.at,
        changed_at=changed_at,
    )
