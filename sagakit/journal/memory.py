"""The journal that lives and dies with its process."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from sagakit.errors import JournalError, UnknownExecutionError
from sagakit.events import Event, ExecutionMigrated, ExecutionStarted, SignalReceived
from sagakit.journal.base import (
    ALL,
    ENDED,
    Batch,
    ExecutionRow,
    Filter,
    Glance,
    Letter,
    Post,
    Rest,
    Wait,
)
from sagakit.journal.summary import summarise

_OF_NOTE = frozenset({ExecutionStarted, ExecutionMigrated, SignalReceived})


class MemoryJournal:
    """Keeps events in lists. Same contract as SQLite, without the disk."""

    durable = False
    shared = False

    def __init__(self) -> None:
        self._events: dict[str, list[Event]] = {}
        self._ids: list[str] = []  # an execution's number is its place here, from 1
        self._pinned: dict[str, str] = {}  # fingerprints, by ids
        self._rests: dict[str, Rest] = {}  # of those whose status is `waiting`
        self._waits: dict[str, dict[Wait, None]] = {}
        self._awaited: dict[tuple[str, str], list[tuple[float, str]]] = {}  # the oldest first
        self._mail: dict[str, Letter] = {}  # by id
        self._kept_for: dict[tuple[str, str], dict[str, None]] = {}  # ids, by whom they are for
        self._taken: dict[str, str] = {}  # who took the signals that have an id of their sender's
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
                if execution_id not in self._events:
                    self._ids.append(execution_id)
                self._events.setdefault(execution_id, []).extend(events)
                for event in events:
                    if type(event) in _OF_NOTE:
                        self._note(execution_id, event)
            for execution_id, rest in (rests or {}).items():
                if rest is None or not rest.resting:
                    self._rests.pop(execution_id, None)
                else:
                    self._rests[execution_id] = rest
                if rest is None or rest.waits is not None:
                    self._await_no_more(execution_id, tuple(self._waits.get(execution_id, ())))
                if rest is not None:
                    self._await_no_more(execution_id, rest.ended)
                    self._await(execution_id, (*(rest.waits or ()), *rest.began))

    def _note(self, execution_id: str, event: Any) -> None:
        if not isinstance(event, SignalReceived):
            self._pinned[execution_id] = event.fingerprint
        elif event.chosen:
            self._taken.setdefault(event.id, execution_id)

    def _await(self, execution_id: str, waits: tuple[Wait, ...]) -> None:
        known = self._waits.setdefault(execution_id, {}) if waits else {}
        for wait in waits:
            known[wait] = None
            queue = self._awaited.setdefault((wait.event, wait.correlation), [])
            insort(queue, (wait.since, execution_id))

    def _await_no_more(self, execution_id: str, waits: tuple[Wait, ...]) -> None:
        for wait in waits:
            del self._waits[execution_id][wait]
            queue = self._awaited[wait.event, wait.correlation]
            del queue[bisect_left(queue, (wait.since, execution_id))]
            if not queue:
                del self._awaited[wait.event, wait.correlation]
        if not self._waits.get(execution_id, True):
            del self._waits[execution_id]

    def read(self, execution_id: str) -> list[Event]:
        with self._lock:
            try:
                return list(self._events[execution_id])
            except KeyError:
                raise UnknownExecutionError(f"no execution has the id '{execution_id}'") from None

    def several(self, ids: Iterable[str]) -> Iterator[tuple[str, list[Event] | None]]:
        for id in ids:
            if id in self._events:
                yield id, self.read(id)

    def parent(self, execution_id: str) -> str | None:
        return _parent(self.read(execution_id))

    def find(self, wanted: Filter = ALL) -> list[ExecutionRow]:
        with self._lock:
            rows = [_row(events, id in self._rests) for id, events in self._events.items()]
        kept = [row for row in rows if wanted.holds(row)]
        return (kept[::-1] if wanted.newest else kept)[: wanted.limit]

    def counts(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for row in self.find():
            found[row.status] = found.get(row.status, 0) + 1
        return found

    def glance(self) -> Glance:
        last, rows = self.news(0, ())
        unended = {number: row for number, row in rows if row.status not in ENDED}
        return Glance(last, Counter(row.status for _, row in rows), unended)

    def news(self, last: int, unended: Iterable[int]) -> tuple[int, list[tuple[int, ExecutionRow]]]:
        with self._lock:
            now = len(self._ids)
            rows = [
                (number, self._numbered(number)) for number in (*unended, *range(last + 1, now + 1))
            ]
        return now, [(number, row) for number, row in rows if row.parent is None]

    def _numbered(self, number: int) -> ExecutionRow:
        id = self._ids[number - 1]
        return _row(self._events[id], id in self._rests)

    def unfinished(
        self, fingerprints: Iterable[str], at: float
    ) -> Iterator[tuple[str, list[Event] | None]]:
        wanted = set(fingerprints)
        for row in self.find():
            wakes = row.status == "waiting" and (self._wakes(row.id, at) or self._mailed(row.id))
            if (row.status == "running" or wakes) and row.fingerprint in wanted:
                yield row.id, self.read(row.id)

    def _wakes(self, execution_id: str, at: float) -> bool:
        rest = self._rests.get(execution_id)
        return rest is not None and rest.wake_at is not None and rest.wake_at <= at

    def _mailed(self, execution_id: str) -> bool:
        return any(
            id not in self._taken
            for wait in self._waits.get(execution_id, ())
            for id in self._kept_for.get((wait.event, wait.correlation), ())
        )

    def sleeping(self, fingerprints: Iterable[str]) -> list[tuple[str, float | None]]:
        wanted = set(fingerprints)
        rows = [row for row in self.find(Filter(status="waiting")) if row.fingerprint in wanted]
        return [(row.id, rest.wake_at) for row in rows if (rest := self._rests.get(row.id))]

    def asleep(self, parent: str, ids: Iterable[str]) -> dict[str, float | None]:
        found = {}
        for id in ids:
            rest = self._rests.get(id)
            if rest is not None and _parent(self._events[id]) == parent:
                found[id] = rest.wake_at
        return found

    def waits(self) -> bool:
        return bool(self._rests or self._waits)

    def due(self, ids: Iterable[str], at: float) -> Iterator[tuple[str, list[Event] | None]]:
        for id in ids:
            if self._wakes(id, at):
                yield id, self.read(id)

    # -- signals ----------------------------------------------------------------------------

    def awaiting(self, event: str, correlation: str) -> Iterator[tuple[float, str, str]]:
        place = 0
        while True:
            with self._lock:
                queue = self._awaited.get((event, correlation), ())
                if place >= len(queue):
                    return
                since, id = queue[place]
            yield since, id, self._pinned[id]
            place += 1

    def keep(self, letter: Letter) -> Letter:
        with self._lock:
            kept = self._mail.setdefault(letter.id, letter)
            self._kept_for.setdefault((kept.event, kept.correlation), {})[kept.id] = None
            return kept

    def taken(self, signal_id: str) -> str | None:
        return self._taken.get(signal_id)

    def letters(self, event: str, correlation: str, at: float) -> list[Letter]:
        with self._lock:
            ids = self._kept_for.get((event, correlation), {}).keys() - self._taken.keys()
            found = [self._mail[id] for id in ids if self._mail[id].expires_at > at]
        return sorted(found, key=lambda letter: (letter.at, letter.id))

    def expire(self, at: float) -> float | None:
        with self._lock:
            for letter in [one for one in self._mail.values() if one.expires_at <= at]:
                key = letter.event, letter.correlation
                del self._mail[letter.id], self._kept_for[key][letter.id]
                if not self._kept_for[key]:
                    del self._kept_for[key]
            return min((letter.expires_at for letter in self._mail.values()), default=None)

    def posted(self) -> list[Post]:
        return []

    def settle(self, post_id: str, outcome: str, execution_id: str | None) -> None:
        """Nobody else can ask for anything here."""

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


def _parent(events: list[Event]) -> str | None:
    first = events[0]
    assert isinstance(first, ExecutionStarted)
    return None if first.parent is None else first.parent[0]


def _row(events: list[Event], rests: bool) -> ExecutionRow:
    first = events[0]
    assert isinstance(first, ExecutionStarted)
    summary = summarise(events)
    if rests and summary.status == "running":
        summary.status, summary.changed_at = "waiting", events[-1].at  # type: ignore[attr-defined]
    return ExecutionRow(id=first.execution_id, **msgspec.structs.asdict(summary))
