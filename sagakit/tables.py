"""Plain data as pandas DataFrames, typed; an empty one has the same columns.

Times of the clock are ``datetime64[ns, UTC]``; how long something took is in seconds (float64), so
that it can be added, averaged and plotted as it is. Text that repeats is categorical.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sagakit.journal.base import ExecutionRow
from sagakit.spans import Span
from sagakit.timings import StepTiming

if TYPE_CHECKING:
    import pandas as pd

_SPAN_TYPES = {
    "trace_id": "category",
    "span_id": "str",
    "parent_id": "str",
    "name": "category",
    "kind": "category",
    "service": "category",
    "start": "datetime64[ns, UTC]",
    "end": "datetime64[ns, UTC]",
    "duration": "float64",
    "status": "category",
    "message": "str",
    "saga": "category",
    "execution": "category",
    "step": "category",
    "side": "category",
    "attempt": "Int64",
    "outcome": "category",
    "in_doubt": "bool",
    "events": "object",
    "links": "object",
    "attributes": "object",
}

_EXECUTION_TYPES = {
    "id": "str",
    "saga": "category",
    "version": "category",
    "fingerprint": "category",
    "status": "category",
    "started_at": "datetime64[ns, UTC]",
    "changed_at": "datetime64[ns, UTC]",
    "parent": "str",
    "failed_step": "category",
    "error": "category",
    "attempts": "int64",
    "retries": "int64",
    "compensated": "int64",
    "duration": "float64",
}

_OF_EXECUTION = {
    "execution": "str",
    "saga": "category",
    "status": "category",
    "started_at": "datetime64[ns, UTC]",
}

_TIMING_TYPES = {
    "step": "str",
    "service": "category",
    "outcome": "category",
    "attempts": "int64",
    **dict.fromkeys(
        (
            "queue",
            "held",
            "run",
            "retry_wait",
            "compensation",
            "total",
            "critical",
            "share",
        ),
        "float64",
    ),
}


def executions_frame(rows: Iterable[ExecutionRow]) -> pd.DataFrame:
    """Executions, one row each (executions × 14 columns), of an engine's ``list`` or a journal's
    ``find``. ``duration`` is in seconds, from the start to the end; missing where it has not ended.
    """
    cells = [
        (
            *(row.id, row.saga, row.version, row.fingerprint, row.status),
            *(_nanoseconds(row.started_at), _nanoseconds(row.changed_at)),
            *(row.parent, row.failed_step, row.error),
            *(row.attempts, row.retries, row.compensated, row.duration),
        )
        for row in rows
    ]
    return _frame(cells, _EXECUTION_TYPES)


def spans_frame(spans: Iterable[Span]) -> pd.DataFrame:
    """Spans, one row each (spans × 21 columns).

    ``start`` and ``end`` are times of the clock, ``duration`` is in seconds; both are missing
    where the span is under way. What sagas' spans say in their attributes has columns of its own;
    ``attributes``, ``events`` and ``links`` hold everything as it is.
    """
    return _frame([_span_row(span) for span in spans], _SPAN_TYPES)


def _span_row(span: Span) -> tuple[Any, ...]:
    said = span.attributes
    return (
        span.trace_id,
        span.span_id,
        span.parent_id,
        span.name,
        span.kind,
        span.service or said.get("saga.step.service"),
        _nanoseconds(span.start),
        None if span.end is None else _nanoseconds(span.end),
        span.duration,
        span.status,
        span.message,
        said.get("saga.name"),
        said.get("saga.execution.id"),
        said.get("saga.step"),
        said.get("saga.side"),
        said.get("saga.attempt"),
        said.get("saga.outcome"),
        bool(said.get("saga.in_doubt", False)),
        span.events,
        span.links,
        said,
    )


def _nanoseconds(at: float) -> int:
    """Since the epoch; a float knows no more than microseconds of it."""
    return round(at * 1e6) * 1000


def timings_frame(timings: Iterable[StepTiming]) -> pd.DataFrame:
    """Where the time of each step went (steps × 12 columns); times are in seconds, and ``share``
    is the step's part of the critical path, 0 to 1."""
    names = list(_TIMING_TYPES)
    return _frame([tuple(getattr(t, name) for name in names) for t in timings], _TIMING_TYPES)


def many_timings_frame(
    rows: Iterable[tuple[str, str, str, float, StepTiming]],
) -> pd.DataFrame:
    """Where the time of the steps of many executions went (steps × 16 columns): what
    ``timings_frame`` has, behind the execution's id, saga, status and start.

    Parameters:
        rows: those four, the start in seconds since the epoch, and the step's timing.
    """
    names = list(_TIMING_TYPES)
    cells = [
        (id, saga, status, _nanoseconds(at), *(getattr(timing, name) for name in names))
        for id, saga, status, at, timing in rows
    ]
    return _frame(cells, {**_OF_EXECUTION, **_TIMING_TYPES, "step": "category"})


def _frame(rows: Sequence[tuple[Any, ...]], types: dict[str, str]) -> pd.DataFrame:
    import pandas as pd

    columns = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    made = {
        name: _column(list(cells), kind)
        for cells, (name, kind) in zip(columns, types.items(), strict=True)
    }
    return pd.DataFrame(made)


def _column(cells: list[Any], kind: str) -> pd.Series[Any]:
    import pandas as pd

    if kind.startswith("datetime"):
        return pd.Series(pd.to_datetime(pd.Series(cells, dtype="Int64"), unit="ns", utc=True))
    return pd.Series(cells, dtype=kind)
