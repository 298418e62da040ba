"""Where a trace goes on: over HTTP, in a database, in a message, after a crash."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sagakit import Engine, Saga, TerminalError, run, step

pytest.importorskip("opentelemetry.sdk")
from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from sagakit.trace import capture

ROOT = Path(__file__).parents[2]


class _Till(BaseHTTPRequestHandler):
    """Notes the headers of each request, and refuses those to /refuse."""

    seen: list[dict[str, str]]

    def do_POST(self) -> None:
        self.seen.append({key.lower(): value for key, value in self.headers.items()})
        self.send_response(409 if self.path == "/refuse" else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def till() -> Iterator[tuple[str, list[dict[str, str]]]]:
    seen: list[dict[str, str]] = []
    handler = type("Till", (_Till,), {"seen": seen})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def provider() -> TracerProvider:
    return TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)


def by_name(spans: list[Any], name: str) -> list[Any]:
    return [span for span in spans if span.name == name]


def test_an_http_service_is_told_the_attempts_span_and_the_execution(till, provider) -> None:
    httpx = pytest.importorskip("httpx")
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.httpx")
    url, seen = till

    def charge() -> None:
        httpx.post(f"{url}/charge", trust_env=False).raise_for_status()

    def refund() -> None:
        httpx.post(f"{url}/refund", trust_env=False).raise_for_status()

    async def refuse() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            if (await client.post(f"{url}/refuse")).status_code == 409:
                raise TerminalError("refused")

    instrumentation.HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    try:
        with Engine() as engine, capture(tracer_provider=provider) as caught:
            saga = Saga("order", step(charge, refund), step(refuse))
            engine.run(saga, id="order-10248")
    finally:
        instrumentation.HTTPXClientInstrumentor().uninstrument()
    requests = by_name(caught.spans, "POST")
    assert [request.kind for request in requests] == ["client"] * 3
    attempts = ["charge #1", "refuse #1", "compensate charge #1"]
    for request, name, headers in zip(requests, attempts, seen, strict=True):
        (attempt,) = by_name(caught.spans, name)
        assert request.parent_id == attempt.span_id
        assert headers["traceparent"] == f"00-{attempt.trace_id}-{request.span_id}-01"
        assert headers["baggage"] == "saga.execution.id=order-10248"


def test_without_an_instrumented_client_the_attempts_own_span_travels(till) -> None:
    httpx = pytest.importorskip("httpx")
    url, seen = till

    def charge() -> None:
        headers: dict[str, str] = {}
        propagate.inject(headers)  # as into the headers of a message
        httpx.post(url, headers=headers, trust_env=False)

    with capture() as caught:
        run(Saga("order", step(charge)))
    (attempt,) = by_name(caught.spans, "charge #1")
    assert seen[0]["traceparent"] == f"00-{attempt.trace_id}-{attempt.span_id}-01"


def test_an_execution_that_a_message_begins_is_the_senders_child() -> None:
    queue: list[dict[str, str]] = []

    def send() -> None:
        message: dict[str, str] = {}
        propagate.inject(message)
        queue.append(message)

    with capture() as caught:
        run(Saga("sender", step(send)))
        with trace.use_span(trace.get_current_span(propagate.extract(queue[0]))):
            run(Saga("receiver", step(int)))
    (sent,), (received,) = by_name(caught.spans, "send #1"), by_name(caught.spans, "saga receiver")
    assert (received.trace_id, received.parent_id) == (sent.trace_id, sent.span_id)


def test_what_a_database_is_asked_is_within_the_attempt(provider) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.sqlalchemy")
    pytest.importorskip("greenlet", reason="SQLAlchemy's instrumentation wraps its asyncio part")
    from sqlalchemy.pool import StaticPool

    engine = sqlalchemy.create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    instrumentor = instrumentation.SQLAlchemyInstrumentor()
    # Its own bound, below SQLAlchemy 2.1, is stricter than what it does needs.
    instrumentor.instrument(engine=engine, tracer_provider=provider, skip_dep_check=True)

    def reserve() -> None:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))

    try:
        with capture(tracer_provider=provider) as caught:
            run(Saga("order", step(reserve)))
    finally:
        instrumentor.uninstrument()
        engine.dispose()
    (attempt,) = by_name(caught.spans, "reserve #1")
    asked = [span for span in caught.spans if span.attributes.get("db.statement") == "SELECT 1"]
    assert [span.parent_id for span in asked] == [attempt.span_id]


def test_each_execution_is_begun_within_the_span_of_its_own_caller() -> None:
    blocked, go_on = threading.Event(), threading.Event()

    async def block() -> None:
        blocked.set()
        go_on.wait(10)  # the engine's loop turns no further: what is started now comes together

    tracer = trace.get_tracer("shop")
    with capture() as caught, Engine() as engine:
        futures = [engine.start(Saga("block", step(block)))]
        assert blocked.wait(10)
        for name in ("one", "two"):
            with tracer.start_as_current_span(name):
                futures.append(engine.start(Saga(f"of {name}", step(int))))
        go_on.set()
        for future in futures:
            future.result(10)
    for name in ("one", "two"):
        (request,), (root,) = by_name(caught.spans, name), by_name(caught.spans, f"saga of {name}")
        assert root.parent_id == request.span_id


def test_two_executions_at_once_do_not_see_each_others_spans() -> None:
    seen: dict[str, set[str]] = {}

    async def look(ctx: Any) -> None:
        for _ in range(5):
            carrier: dict[str, str] = {}
            propagate.inject(carrier)
            seen.setdefault(ctx.execution_id, set()).add(carrier["traceparent"])
            await asyncio.sleep(0)

    with Engine() as engine, capture() as caught:
        futures = [engine.start(Saga("look", step(look)), id=f"look-{n}") for n in range(10)]
        for future in futures:
            future.result(10)
    for span in by_name(caught.spans, "look #1"):
        id = str(span.attributes["saga.execution.id"])
        assert seen[id] == {f"00-{span.trace_id}-{span.span_id}-01"}
    assert len(seen) == 10


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_after_a_kill_the_recovered_executions_spans_join_the_first_trace(tmp_path) -> None:
    journal, lines = str(tmp_path / "journal.db"), str(tmp_path / "spans")
    command = [sys.executable, str(Path(__file__).with_name("trace_child.py")), journal, lines]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run(command, env={**environment, "DIE": "1"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    first = _lines(lines)
    assert [name for name, *_ in first] == ["request", "book #1", "book"]
    subprocess.run(command, env=environment, check=True)
    spans = _lines(lines)
    assert [name for name, *_ in spans[3:]] == ["pay #1", "pay #2", "pay", "saga trip"]
    assert len({trace_id for _, trace_id, _, _ in spans}) == 1
    ids = {span_id: name for name, _, span_id, _ in spans}
    assert len(ids) == len(spans)
    parents = {name: ids.get(parent) for name, _, _, parent in spans}
    assert parents == {
        "request": None,
        "saga trip": "request",
        "book": "saga trip",
        "book #1": "book",
        "pay": "saga trip",
        "pay #1": "pay",
        "pay #2": "pay",
    }


def _lines(path: str) -> list[list[Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
