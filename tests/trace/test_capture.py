"""Captures: what they catch, whose it is, and that they leave the program's own tracing alone."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sagakit import Engine, Saga, TerminalError, arun, await_event, run, simulate, step

pytest.importorskip("opentelemetry.sdk")
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
    InMemorySpanExporter,
)

from sagakit import telemetry
from sagakit.trace import capture, read, readable

ROOT = Path(__file__).parents[2]


def book() -> int:
    return 1


def cancel() -> None:
    pass


TRIP = Saga("trip", step(book, cancel))
NAMES = ["saga trip", "book", "book #1"]


def names(spans: list[Any]) -> list[str]:
    return [span.name for span in spans]


def test_nothing_watches_before_and_after_a_capture() -> None:
    assert telemetry.observer is None
    with capture():
        assert telemetry.observer is not None
    assert telemetry.observer is None


def test_a_capture_keeps_the_spans_of_what_is_begun_within_it() -> None:
    simulate(TRIP)
    with capture() as caught:
        simulate(TRIP)
    simulate(TRIP)
    assert names(caught.spans) == NAMES
    assert repr(caught) == "<Capture: 3 spans in 1 trace>"
    caught.clear()
    assert caught.spans == []


def test_nested_captures_each_keep_all_that_is_within_them() -> None:
    with capture() as outer:
        simulate(TRIP, id="first")
        with capture() as inner:
            simulate(TRIP, id="second")
    assert names(inner.spans) == NAMES
    assert len(outer.spans) == 6


def test_captures_of_other_threads_and_tasks_do_not_mix() -> None:
    meet = threading.Barrier(4)

    def work(number: int) -> set[Any]:
        with capture() as caught:
            meet.wait(10)
            run(TRIP, id=f"trip-{number}")
            meet.wait(10)
        return {span.attributes.get("saga.execution.id") for span in caught.spans}

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [{f"trip-{number}"} for number in range(4)]

    async def task(number: int) -> set[Any]:
        with capture() as caught:
            await asyncio.sleep(0)
            await arun(TRIP, id=f"trip-{number}")
            await asyncio.sleep(0.01)
        return {span.attributes.get("saga.execution.id") for span in caught.spans}

    async def both() -> list[set[Any]]:
        return list(await asyncio.gather(task(1), task(2)))

    assert asyncio.run(both()) == [{"trip-1"}, {"trip-2"}]


def test_executions_of_one_engine_go_to_the_captures_of_those_who_began_them() -> None:
    meet = threading.Barrier(3)
    with Engine() as engine:

        def work(number: int) -> set[Any]:
            with capture() as caught:
                meet.wait(10)
                for turn in range(5):
                    engine.run(TRIP, id=f"{number}/{turn}")
            return {str(span.attributes["saga.execution.id"])[0] for span in caught.spans}

        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(work, range(3))) == [{"0"}, {"1"}, {"2"}]


def test_what_waits_is_under_way_and_a_signal_within_the_capture_ends_it() -> None:
    tracer = trace.get_tracer("shop")

    def ship() -> None:
        with tracer.start_as_current_span("van"):
            pass

    saga = Saga("order", await_event("paid"), step(ship))
    with Engine() as engine, capture() as caught:
        waits = engine.run(saga, until_rest=True)
        assert [(span.name, span.end) for span in caught.spans] == [
            ("saga order", None),
            ("paid", None),
        ]
        engine.signal("paid", to=waits.id)
        engine.close()
        assert all(span.end is not None for span in caught.spans)
        assert names(caught.spans) == ["saga order", "paid", "ship", "ship #1"]


def test_an_execution_that_ends_after_the_capture_is_kept_as_it_was() -> None:
    saga = Saga("order", await_event("paid"), step(book))
    with Engine() as engine:
        with capture() as caught:
            waits = engine.run(saga, until_rest=True)
        engine.signal("paid", to=waits.id)
        engine.close()
    assert names(caught.spans) == ["saga order", "paid"]


def test_simulating_within_a_running_loop_is_captured_too() -> None:
    tracer = trace.get_tracer("shop")

    async def pay() -> None:
        with tracer.start_as_current_span("bank"):
            await asyncio.sleep(2)

    async def cell() -> list[Any]:
        with capture() as caught:
            simulate(Saga("shop", step(pay)))
        return caught.spans

    spans = asyncio.run(cell())
    assert [(span.name, span.start, span.end) for span in spans] == [
        ("saga shop", 0, 2),
        ("pay", 0, 2),
        ("pay #1", 0, 2),
        ("bank", 0, 2),
    ]


def test_running_within_a_running_loop_as_notebooks_do_is_captured_too() -> None:
    tracer = trace.get_tracer("shop")

    async def pay() -> None:
        with tracer.start_as_current_span("bank"):
            await asyncio.sleep(0)

    async def cell() -> list[Any]:
        with capture() as caught, Engine() as engine:
            run(Saga("shop", step(pay)))
            engine.run(Saga("shop", step(pay)))
        return caught.spans

    assert names(asyncio.run(cell())) == ["saga shop", "pay", "pay #1", "bank"] * 2


def test_in_virtual_time_others_spans_are_the_same_on_every_run_as_well() -> None:
    tracer = trace.get_tracer("shop")

    async def pay(ctx: Any) -> None:
        with tracer.start_as_current_span("bank") as span:
            span.add_event("asked")
            await asyncio.sleep(1.5)
            for _ in range(2):
                with tracer.start_as_current_span("clerk", attributes={"desk": [1, 2]}):
                    pass

    def refuse() -> None:
        raise TerminalError("sold out")

    def once() -> list[Any]:
        with capture() as caught:
            simulate(Saga("shop", step(pay, cancel), step(refuse)))
        return caught.spans

    first, second = once(), once()
    assert first == second
    assert len({span.span_id for span in first}) == len(first)
    bank = next(span for span in first if span.name == "bank")
    assert (bank.start, bank.end, bank.events[0].at) == (0, 1.5, 1.5)


def test_the_programs_own_provider_gets_its_spans_and_so_does_the_capture() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("shop")

    def pay() -> None:
        with tracer.start_as_current_span("bank"):
            pass

    for _ in range(2):
        with capture(tracer_provider=provider) as caught:
            run(Saga("shop", step(pay)))
        assert names(caught.spans) == ["saga shop", "pay", "pay #1", "bank"]
        assert caught.spans[3].service == "shop"
    with tracer.start_as_current_span("later"):
        pass
    assert names(list(exporter.get_finished_spans())) == ["bank", "bank", "later"]
    assert len(caught.spans) == 4


def test_a_provider_that_is_set_after_a_capture_gets_what_tracers_from_before_make() -> None:
    """OpenTelemetry's global provider is set once in a process: so this is one of its own."""
    program = """
import logging; logging.basicConfig()
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sagakit import Saga, simulate, step
from sagakit.trace import capture

before = trace.get_tracer("before")
within = []
def act():
    within.append(trace.get_tracer("within"))
    for tracer in (before, *within):
        with tracer.start_as_current_span("inner"):
            pass
saga = Saga("shop", step(act))
with capture() as caught:
    simulate(saga)
assert [span.name for span in caught.spans][3:] == ["inner", "inner"]
assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
with within[0].start_as_current_span("nobody hears"):
    pass

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
assert trace.get_tracer_provider() is provider
for tracer in (before, *within):
    with tracer.start_as_current_span("later"):
        pass
assert [span.name for span in exporter.get_finished_spans()] == ["later", "later"]
exporter.clear()

with capture() as caught:
    simulate(saga)
assert len(caught.spans) == 6, caught.spans
assert len(exporter.get_finished_spans()) == 3  # of others; ours go only where one instruments
print("well")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.stdout, done.stderr) == ("well\n", "")


def test_neither_importing_nor_capturing_starts_a_thread() -> None:
    program = """
import threading
from sagakit import Saga, simulate, step
from sagakit.trace import capture, instrument
instrument()
with capture() as caught:
    simulate(Saga("trip", step(int)))
assert len(caught.spans) == 3
print([thread.name for thread in threading.enumerate()])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "['MainThread']\n"


def test_without_opentelemetry_the_error_names_the_cure() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None; import sagakit; import sagakit.trace"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == (
        "ImportError: sagakit.trace needs OpenTelemetry's SDK: pip install 'sagakit[trace]'"
    )


def test_a_span_survives_the_way_through_opentelemetrys_form() -> None:
    with capture() as caught:
        simulate(Saga("trip", step(book, cancel), step(_refuse)))
    for span in caught.spans:
        assert read(readable(span)) == span


def _refuse() -> None:
    raise TerminalError("sold out")


def test_tracing_that_fails_is_logged_and_leaves_the_execution_alone(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a bug in the projection")

    with capture() as caught, caplog.at_level(logging.ERROR):
        monkeypatch.setattr("sagakit.event_spans.SpanBuilder.take", fail)
        assert run(TRIP, id="trip-7").status == "completed"
    assert "execution 'trip-7' is traced no further" in caplog.text
    assert all(span.end is None for span in caught.spans)


def test_an_error_is_told_alike_whether_it_is_traced_or_not() -> None:
    def book() -> None:
        raise ValueError("no rooms")

    saga = Saga("trip", step(book))
    plain = simulate(saga).error
    with capture():
        traced = simulate(saga).error
    assert plain == traced
    assert "sagakit" not in plain.traceback.replace("test_", "")
