"""``instrument``: spans and measures to the providers of the program."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagakit import Engine, Retry, Saga, TerminalError, await_event, pivot, run, simulate, step
from sagakit import sub_saga as nested
from sagakit.errors import SagaError
from sagakit.events import StepAttemptFailed

pytest.importorskip("opentelemetry.sdk")
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
    InMemorySpanExporter,
)
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)

from sagakit import telemetry
from sagakit.trace import METRICS, capture, instrument, read, uninstrument

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _left_as_it_was() -> Iterator[None]:
    yield
    uninstrument()
    assert telemetry.observer is None


class Traced:
    """A provider of the SDK with an exporter in memory, instrumented."""

    def __init__(self, sampler: Sampler | None = None, processor: Any = SimpleSpanProcessor):
        self.exporter = InMemorySpanExporter()
        resource = Resource({"service.name": "shop"})
        self.provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        self.provider.add_span_processor(processor(self.exporter))
        instrument(tracer_provider=self.provider)

    @property
    def spans(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]


def book() -> int:
    return 1


def cancel() -> None:
    pass


def refuse() -> None:
    raise TerminalError("sold out")


TRIP = Saga("trip", step(book, cancel, service="agency"), version="2")


@pytest.mark.parametrize("processor", [SimpleSpanProcessor, BatchSpanProcessor])
def test_the_providers_exporter_gets_the_spans_of_every_driver(processor: Any) -> None:
    traced = Traced(processor=processor)
    with Engine() as engine:
        for drive in (simulate, run, engine.run):
            drive(TRIP, id=f"{drive.__qualname__}")
    traced.provider.force_flush()
    assert traced.names == ["book #1", "book", "saga trip"] * 3
    traced.provider.shutdown()


def test_spans_carry_the_providers_resource_our_scope_and_attributes() -> None:
    traced = Traced()
    simulate(TRIP, id="trip-7")
    attempt = traced.spans[0]
    assert attempt.resource.attributes["service.name"] == "shop"
    assert attempt.instrumentation_scope.name == "sagakit"
    assert dict(attempt.attributes) == {
        "saga.name": "trip",
        "saga.execution.id": "trip-7",
        "saga.step": "book",
        "saga.step.kind": "compensatable",
        "saga.side": "action",
        "saga.idempotency_key": "trip-7/book/action",
        "saga.step.service": "agency",
        "saga.attempt": 1,
        "saga.outcome": "succeeded",
    }
    assert read(traced.spans[2]).attributes["saga.version"] == "2"


def test_what_the_exporter_gets_is_what_a_capture_keeps() -> None:
    traced = Traced()
    with capture() as caught:
        simulate(Saga("trip", step(book, cancel), step(refuse)))
    mine = {read(span).span_id: read(span) for span in traced.spans}
    assert len(mine) == 7
    for span in caught.spans:
        exported = mine[span.span_id]
        assert (exported.service, exported.attributes) == ("shop", span.attributes)
        assert (exported.parent_id, exported.links) == (span.parent_id, span.links)


def test_after_uninstrument_nothing_is_traced() -> None:
    traced = Traced()
    uninstrument()
    simulate(TRIP)
    assert traced.spans == []


def test_the_sampler_is_asked_once_an_execution_and_its_answer_is_handed_on() -> None:
    asked: list[str] = []

    class Nosy(Sampler):
        def should_sample(
            self, parent_context: Any, trace_id: int, name: str, *rest: Any, **kw: Any
        ):
            asked.append(name)
            return ALWAYS_OFF.should_sample(parent_context, trace_id, name)

        def get_description(self) -> str:
            return "Nosy"

    flags: list[int] = []

    def look() -> None:
        flags.append(trace.get_current_span().get_span_context().trace_flags)

    traced = Traced(Nosy())
    simulate(Saga("looks", step(look), step(look, name="again")))
    assert asked == ["saga looks"]
    assert flags == [0, 0]
    assert traced.spans == []
    Traced(ALWAYS_ON)
    simulate(Saga("looks", step(look)))
    assert flags[2:] == [1]


def test_a_saga_inside_another_goes_the_way_of_the_outer_one() -> None:
    outer = Saga("outer", nested(Saga("inner", step(book)), name="parcel"))
    traced = Traced(ParentBased(ALWAYS_OFF))
    simulate(outer)
    assert traced.spans == []
    traced = Traced(ParentBased(ALWAYS_ON))
    simulate(outer)
    assert "saga inner" in traced.names


def test_a_span_that_is_not_sampled_begins_executions_that_are_not() -> None:
    traced = Traced(ParentBased(ALWAYS_ON))
    lost = trace.SpanContext(7, 8, is_remote=True, trace_flags=trace.TraceFlags(0))
    with trace.use_span(trace.NonRecordingSpan(lost)):
        simulate(TRIP)
    assert traced.spans == []


def test_a_share_of_the_traces_is_kept_whole() -> None:
    traced = Traced(ParentBased(TraceIdRatioBased(0.5)))
    for number in range(40):
        simulate(TRIP, id=f"trip-{number}")
    spans = traced.spans
    assert 10 < len(spans) / 3 < 30
    assert len({span.context.trace_id for span in spans}) == len(spans) / 3


def test_providers_that_keep_nothing_are_not_even_asked() -> None:
    instrument()
    with Engine() as engine:
        ended = engine.run(TRIP)
    run_ = telemetry.watch(_Followed(ended))
    assert run_ is None
    instrument(
        tracer_provider=trace.NoOpTracerProvider(), meter_provider=metrics.NoOpMeterProvider()
    )
    assert telemetry.watch(_Followed(ended)) is None


class _Followed:
    written = 0

    def __init__(self, execution: Any) -> None:
        self.saga, self.events = execution.saga, list(execution.events)


def test_the_global_provider_is_used_from_when_it_is_set_and_the_environment_holds() -> None:
    program = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sagakit import Saga, simulate, step
from sagakit.trace import instrument

instrument()
saga = Saga("trip", step(int))
simulate(saga)
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
simulate(saga)
print(len(exporter.get_finished_spans()))
"""
    for more, expected in (({}, "3"), ({"OTEL_SDK_DISABLED": "true"}, "0")):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True, text=True, cwd=ROOT, check=False, env={"PATH": "", **more},
        )  # fmt: skip
        assert (done.stdout.strip(), done.stderr) == (expected, "")


def test_a_processor_that_raises_does_not_harm_the_execution(caplog: Any) -> None:
    class Broken(SimpleSpanProcessor):
        def on_end(self, span: Any) -> None:
            raise RuntimeError("no disk")

    Traced(processor=Broken)
    with Engine() as engine:
        assert engine.run(TRIP, id="trip-7").status == "completed"
    assert "execution 'trip-7' is traced no further" in caplog.text


def test_the_trace_state_and_flags_of_whoever_began_it_are_handed_on() -> None:
    state = trace.TraceState([("vendor", "7")])
    asked: list[Any] = []

    class Nosy(Sampler):
        def should_sample(self, parent_context: Any, *rest: Any, **kw: Any) -> Any:
            asked.append(trace.get_current_span(parent_context).get_span_context().trace_state)
            return ParentBased(ALWAYS_ON).should_sample(parent_context, *rest, **kw)

        def get_description(self) -> str:
            return "Nosy"

    seen: list[Any] = []

    def look() -> None:
        seen.append(trace.get_current_span().get_span_context())

    traced = Traced(Nosy())
    caller = trace.SpanContext(
        7, 8, is_remote=True, trace_flags=trace.TraceFlags(3), trace_state=state
    )
    with trace.use_span(trace.NonRecordingSpan(caller)):
        simulate(Saga("looks", step(look)))
    assert asked == [state]
    for context in (*seen, *(span.context for span in traced.spans)):
        assert (context.trace_id, context.trace_flags, context.trace_state) == (7, 3, state)


# -- in numbers -----------------------------------------------------------------------------


class Measured:
    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], resource=Resource({}), shutdown_on_exit=False)
        instrument(meter_provider=self.provider)

    def read(self) -> dict[str, dict[tuple[Any, ...], Any]]:
        """What each instrument says: values, or (count, sum) of a histogram, by attributes."""
        data = self.reader.get_metrics_data()
        found: dict[str, dict[tuple[Any, ...], Any]] = {}
        for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else ():
            assert metric.unit == METRICS[metric.name][1]
            for point in metric.data.data_points:
                assert point.attributes["saga.name"]
                about = tuple(
                    value for key, value in point.attributes.items() if key != "saga.name"
                )
                allowed = {"saga.name", *METRICS[metric.name][3]}
                assert set(point.attributes) == allowed
                value = (
                    point.value if hasattr(point, "value") else (point.count, round(point.sum, 9))
                )
                found.setdefault(metric.name, {})[about] = value
        return found


def test_executions_are_counted_by_outcome_and_steps_are_timed() -> None:
    measured = Measured()

    async def slow() -> None:
        import asyncio

        await asyncio.sleep(2)

    simulate(Saga("trip", step(slow, cancel)), id="1")
    simulate(Saga("trip", step(slow, cancel), step(refuse)), id="2")
    said = measured.read()
    assert said["saga.execution.started"] == {(): 2}
    assert said["saga.execution.ended"] == {("completed",): 1, ("compensated",): 1}
    assert said["saga.execution.active"] == {(): 0}
    assert said["saga.step.duration"] == {
        ("slow", "succeeded", "action"): (2, 4.0),
        ("refuse", "failed", "action"): (1, 0.0),
        ("slow", "compensated", "compensation"): (1, 0.0),
    }
    assert said["saga.step.compensations"] == {("slow", "compensated"): 1}


def test_retries_and_doubts_are_counted() -> None:
    measured = Measured()
    failures: list[Exception] = [ValueError("busy"), TimeoutError("no reply")]

    def flaky() -> None:
        if failures:
            raise failures.pop(0)

    simulate(Saga("trip", step(flaky, cancel, retry=Retry(attempts=3))))
    said = measured.read()
    assert said["saga.step.retries"] == {("flaky", "action"): 2}
    assert said["saga.step.in_doubt"] == {("flaky",): 1}


def test_stuck_executions_are_counted_until_they_are_resolved() -> None:
    measured = Measured()
    saga = Saga("trip", pivot(book), step(refuse))
    with Engine() as engine:
        ids = [engine.run(saga).id for _ in range(3)]
        assert measured.read()["saga.execution.stuck"] == {(): 3}
        engine.resolve(ids[0], "retry", by="me", why="again")
        assert measured.read()["saga.execution.stuck"] == {(): 3}  # stuck once more
        engine.resolve(ids[0], "skip", by="me", why="by hand")
        engine.resolve(ids[1], "abandon", by="me", why="lost")
        said = measured.read()
    assert said["saga.execution.stuck"] == {(): 1}
    assert said["saga.execution.started"] == {(): 3}
    assert said["saga.execution.ended"] == {("stuck",): 4, ("completed",): 1, ("abandoned",): 1}
    assert said["saga.execution.active"] == {(): 0}


def test_an_execution_inside_another_is_active_again_while_it_is_undone() -> None:
    measured = Measured()
    seen: list[Any] = []

    def cancel_it() -> None:
        seen.append(measured.read()["saga.execution.active"])

    inner = Saga("trip", step(book, cancel_it))  # of one name: they are counted together
    with Engine() as engine:
        engine.run(Saga("trip", nested(inner, name="inside"), step(refuse)))
    assert seen == [{(): 2}]
    assert measured.read()["saga.execution.active"] == {(): 0}


def test_an_execution_that_is_abandoned_with_the_one_it_is_part_of_is_left() -> None:
    measured = Measured()
    inner = Saga("trip", pivot(book), step(refuse))
    with Engine() as engine:
        stuck = engine.run(Saga("trip", nested(inner, name="inside", pivot=True)))
        assert stuck.status == "stuck"
        engine.resolve(stuck.id, "abandon", by="me", why="lost")
        said = measured.read()
    assert said["saga.execution.active"] == {(): 0}
    assert said["saga.execution.stuck"] == {(): 0}
    assert said["saga.execution.ended"] == {("stuck",): 2, ("abandoned",): 2}


def test_a_migration_is_traced_whether_the_execution_goes_on_here_or_not(tmp_path) -> None:
    measured = Measured()
    old = Saga("order", await_event("paid"), step(book), version="1")
    new = Saga("order", await_event("paid"), step(book), step(cancel), version="2")
    newer = Saga("order", await_event("paid"), step(book), step(refuse), version="3")
    path = tmp_path / "sagas.db"
    with Engine(path) as engine:
        id = engine.run(old, until_rest=True).id
    for to, known in ((new, ()), (newer, (new,))):  # only recorded; and gone on with
        with Engine(path, sagas=known) as engine:
            with capture() as caught:
                engine.migrate(id, to=to, by="me", why="better")
            root = caught.spans[0]
            assert "saga.migrated" in [event.name for event in root.events]
            assert measured.read()["saga.execution.active"] == {(): 0}
    with Engine(path, sagas=[newer]) as engine:
        with capture() as caught:
            engine.signal("paid", to=id)
            engine.close()
        assert [span.name for span in caught.spans][-2:] == ["refuse", "refuse #1"]


def test_an_execution_that_migrates_while_it_runs_is_traced_to_its_end() -> None:
    failures = [ValueError("busy")]

    def flaky() -> None:
        if failures:
            raise failures.pop()

    again = step(flaky, cancel, retry=Retry(attempts=3, wait=0.3))
    old, new = Saga("trip", again), Saga("trip", again, step(book))
    with Engine() as engine, capture() as caught:
        future = engine.start(old, id="trip-7")
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(SagaError):  # not begun yet, or under way just now
                kinds = [type(event) for event in engine.status("trip-7").events]
                if StepAttemptFailed in kinds:
                    engine.migrate("trip-7", to=new, by="me", why="better")
                    break
            time.sleep(0.005)
        future.result(10)
    assert [span.name for span in caught.spans if span.attributes.get("saga.attempt")] == [
        "flaky #1",
        "flaky #2",
        "book #1",
    ]


def test_what_waits_in_the_journal_is_not_active() -> None:
    measured = Measured()
    saga = Saga("order", await_event("paid"), step(book))
    with Engine() as engine:
        waits = engine.run(saga, until_rest=True)
        assert measured.read()["saga.execution.active"] == {(): 0}
        engine.signal("paid", to=waits.id)
        engine.close()
    said = measured.read()
    assert said["saga.execution.active"] == {(): 0}
    assert said["saga.execution.started"] == {(): 1}
    assert said["saga.execution.ended"] == {("completed",): 1}
