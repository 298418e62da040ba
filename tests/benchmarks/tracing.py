"""Tracing: what a step costs more while it is traced, by where its spans go."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Any

from measure import Sample, interleaved, spread
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from report import Goal, Group, Table

from sagakit import Saga, simulate, step
from sagakit.trace import capture, instrument, uninstrument

STEPS = 10
OFF, NO_SDK, CAPTURE = "off", "instrumented, no SDK provider", "capture, in memory"
SIMPLE, BATCH = "SDK, SimpleSpanProcessor", "SDK, BatchSpanProcessor"
WANTED = {NO_SDK: 1.0, CAPTURE: 15.0, SIMPLE: 60.0, BATCH: 60.0}  # µs a step more than off


def _noop() -> None:
    pass


SAGA = Saga("traced", *(step(_noop, _noop, name=f"s{number}") for number in range(STEPS)))


def measure(quick: bool) -> Group:
    subjects: dict[str, Sample] = {
        OFF: _simulate,
        NO_SDK: _instrumented(None),
        CAPTURE: _captured,
        SIMPLE: _instrumented(SimpleSpanProcessor),
        BATCH: _instrumented(BatchSpanProcessor),
    }
    figures = interleaved(
        subjects, rounds=3 if quick else 15, seconds=0.02 if quick else 0.1, most=2_000
    )
    group = Group(f"Tracing: {STEPS} no-op steps in virtual time, two spans a step")
    table = Table("", ("spans go to", "per step", "spread", "more than off"))
    for name, costs in figures.items():
        more = _more(costs, figures[OFF])
        shown = "" if name == OFF else f"{more:.2f} µs"
        table.rows.append((name, f"{median(costs) / STEPS * 1e6:.2f} µs", spread(costs), shown))
        if name in WANTED:
            wanted = WANTED[name]
            goal = Goal(f"A step, {name}", f"at most {wanted:g} µs more", shown, more <= wanted)
            group.goals.append(goal)
    table.notes.append("Off costs a comparison with None for each execution and each of its calls.")
    group.tables.append(table)
    return group


def _more(costs: list[float], off: list[float]) -> float:
    """µs a step: the median of the differences of each round."""
    return median(a - b for a, b in zip(costs, off, strict=True)) / STEPS * 1e6


def _simulate(count: int) -> float:
    begin = perf_counter()
    for _ in range(count):
        simulate(SAGA)
    return perf_counter() - begin


def _captured(count: int) -> float:
    with capture():
        return _simulate(count)


def _instrumented(processor: Any) -> Sample:
    def sample(count: int) -> float:
        provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
        if processor is not None:
            provider.add_span_processor(processor(InMemorySpanExporter()))
        instrument(tracer_provider=None if processor is None else provider)
        try:
            return _simulate(count)
        finally:
            uninstrument()
            provider.shutdown()

    return sample
