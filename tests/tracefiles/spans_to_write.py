"""Random spans of several traces, for the tests of trace files."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from sagakit.spans import Link, Span, SpanEvent

RESERVED = {"sagakit", "span.kind", "error", "event", "sagakit.running", "trace_id", "span_id"}
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
KEYS = TEXT.filter(lambda key: key not in RESERVED and not key.startswith("otel."))
INTEGERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.one_of(
    TEXT,
    st.booleans(),
    INTEGERS,
    FLOATS,
    *(st.lists(items, max_size=3).map(tuple) for items in (TEXT, st.booleans(), INTEGERS, FLOATS)),
)
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=3)
TRACE_IDS = st.sampled_from(["1" * 32, "0" * 31 + "a", "f" * 32])


def times(per_second: int) -> st.SearchStrategy[float]:
    """Times that a format of this resolution holds: near zero, and of our day."""
    near = st.integers(0, 5 * per_second).map(lambda units: units / per_second)
    today = st.integers(0, 5 * per_second).map(
        lambda units: (1_700_000_000 * per_second + units) / per_second
    )
    return near | today


@st.composite
def trees(draw: st.DrawFn, per_second: int) -> list[Span]:
    """Up to eight spans: some inside others, some that run, some of no duration."""
    found: list[Span] = []
    for number in range(draw(st.integers(0, 8))):
        trace_id = draw(TRACE_IDS)
        above = [span.span_id for span in found if span.trace_id == trace_id]
        start, end = sorted([draw(times(per_second)), draw(times(per_second))])
        status = draw(st.sampled_from(["unset", "ok", "error"]))
        found.append(
            Span(
                trace_id=trace_id,
                span_id=f"{number + 1:016x}",
                parent_id=draw(st.sampled_from([None, "9" * 16, *above])),
                name=draw(TEXT),
                start=start,
                end=draw(st.sampled_from([None, start, end])),
                kind=draw(
                    st.sampled_from(["internal", "server", "client", "producer", "consumer"])
                ),
                status=status,
                message=draw(TEXT),
                service=draw(st.sampled_from(["", "shop", "größe"])),
                attributes=draw(ATTRIBUTES),
                events=tuple(
                    SpanEvent(draw(TEXT), draw(times(per_second)), draw(ATTRIBUTES))
                    for _ in range(draw(st.integers(0, 2)))
                ),
                links=tuple(
                    Link(draw(TRACE_IDS), f"{draw(st.integers(1, 9)):016x}", draw(ATTRIBUTES))
                    for _ in range(draw(st.integers(0, 2)))
                ),
            )
        )
    return found


def same(one: list[Span], other: list[Span]) -> bool:
    """Whether they are equal but for their order; NaN equals NaN, True is not 1, nor 1 1.0."""
    return sorted(map(_exact, one)) == sorted(map(_exact, other))


def _exact(span: Span) -> str:
    return repr(span).replace(repr(math.nan), "NaN")
