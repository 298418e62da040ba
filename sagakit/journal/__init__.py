"""The saga log: an append-only list of events per execution, in memory or in SQLite."""

from sagakit.journal.base import Batch, ExecutionRow, Journal
from sagakit.journal.memory import MemoryJournal
from sagakit.journal.sqlite import SqliteJournal

__all__ = ["Batch", "ExecutionRow", "Journal", "MemoryJournal", "SqliteJournal"]
