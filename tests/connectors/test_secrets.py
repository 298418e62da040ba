"""Secrets: a value is planted, sent, and echoed by the service; nothing that stays shows it."""

from __future__ import annotations

import base64
import io
import json
import logging
import pickle
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from click.testing import CliRunner
from real_service import Asked, Service
from test_redaction import JOURNAL_OUTPUTS, OUTPUTS

from sagakit import DefinitionError, Engine, Execution, Retry, Saga, run, step
from sagakit.cli import cli
from sagakit.connectors import Http, Secret
from sagakit.connectors.secret import KEYRING
from sagakit.errors import SecretError

TOKEN = "sk/live_'Zq7\"&planted+9=="
NAME = "SAGAKIT_TEST_TOKEN"


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, TOKEN)


def leaks(text: str | bytes) -> list[str]:
    """The spellings of the token that stand in a text."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    spellings = {
        "as it is": TOKEN,
        "in Python": repr(TOKEN)[1:-1],
        "in JSON": json.dumps(TOKEN)[1:-1],
        "in a URL": urllib.parse.quote(TOKEN),
        "in a segment": urllib.parse.quote(TOKEN, safe=""),
        "in base 64": base64.b64encode(TOKEN.encode()).decode(),
        "in part": "planted",
    }
    return [name for name, spelling in spellings.items() if spelling in text]


def echo(asked: Asked) -> Any:
    """A service as indiscreet as can be: it says back whatever it was sent."""
    said = {
        "body": asked.body.decode(),
        "keys": {asked.headers.get("authorization", "none"): 1},
        "encoded": base64.b64encode(asked.headers.get("authorization", "")[7:].encode()).decode(),
        "path": asked.path,
        "headers": asked.headers,
    }
    headers = {"x-echo": asked.headers.get("authorization", "none")}
    if "refuse" in asked.path:
        return 402, said, headers
    return (500 if "break" in asked.path else 200), said, headers


def secretive(url: str) -> Saga:
    bearer = {"Authorization": Secret(NAME, prefix="Bearer ")}
    return Saga(
        "secretive",
        step(
            Http(f"{url}/pay", method="POST", headers=bearer, json={"key": Secret(NAME)}),
            Http(f"{url}/undo", method="DELETE", headers=bearer, query={"key": Secret(NAME)}),
            name="pay",
        ),
        step(Http(Secret("SAGAKIT_TEST_URL")), name="by_url"),
        step(
            Http(f"{url}/note", method="PUT", body=Secret(NAME), result="response.headers"),
            name="note",
        ),
        step(
            Http(f"{url}/break", method="POST", headers=bearer),
            Http(f"{url}/undo", method="POST", headers=bearer),
            name="breaks",
            retry=Retry(attempts=2),
        ),
    )


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """All that standard logging and structlog write, at their most talkative."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(written))
    yield written
    structlog.configure(**before)
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.fixture
def spans() -> Iterator[Callable[[], str]]:
    """What OpenTelemetry keeps of executions, and of the requests within them."""
    pytest.importorskip("opentelemetry.instrumentation.httpx")
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from sagakit.trace import instrument, uninstrument

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrument(tracer_provider=provider)
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    yield lambda: "".join(span.to_json() for span in exporter.get_finished_spans())
    HTTPXClientInstrumentor().uninstrument()
    uninstrument()


@pytest.fixture
def ran(
    token: None, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Execution, Path]]:
    """The saga, run by an engine with a journal in a file, which is still open."""
    monkeypatch.setenv("SAGAKIT_TEST_URL", f"{service.url}/hook/{urllib.parse.quote(TOKEN)}?q=1")
    service.answer = echo
    path = tmp_path / "sagas.db"
    with Engine(path) as engine:
        yield engine.run(secretive(service.url), id="x"), path


def test_the_service_is_sent_the_secret_where_the_saga_says(
    ran: tuple[Execution, Path], service: Service
) -> None:
    execution, _ = ran
    pay, hook, note, *breaks, undone, undo = service.asked
    assert pay.headers["authorization"] == f"Bearer {TOKEN}"
    assert pay.json == {"key": TOKEN}
    assert urllib.parse.unquote(hook.path) == f"/hook/{TOKEN}?q=1"
    assert note.body.decode() == TOKEN
    assert len(breaks) == 2
    assert undone.method == "POST"
    assert urllib.parse.parse_qs(undo.path.partition("?")[2]) == {"key": [TOKEN]}
    assert execution.status == "compensated"


def test_no_output_of_the_execution_shows_it(ran: tuple[Execution, Path]) -> None:
    found = {}
    for name, output in OUTPUTS.items():
        text = output(ran[0])
        for picture in text.split("data:image/svg+xml;base64,")[1:]:
            text += base64.b64decode(picture.partition('"')[0]).decode()
        found[name] = leaks(text)
    assert not any(found.values()), found


def test_no_command_about_the_journal_shows_it(ran: tuple[Execution, Path]) -> None:
    found = {}
    for name, arguments in JOURNAL_OUTPUTS.items():
        filled = [part.format(journal=ran[1], id="x") for part in arguments]
        found[name] = leaks(CliRunner().invoke(cli, filled).output)
    assert not any(found.values()), found


def test_neither_the_journals_files_nor_the_pickled_execution_hold_it(
    ran: tuple[Execution, Path],
) -> None:
    execution, path = ran
    files = list(path.parent.iterdir())
    assert path in files
    assert b"by_url" in b"".join(file.read_bytes() for file in files), "the journal is there"
    assert [leaks(file.read_bytes()) for file in files] == [[]] * len(files)
    assert leaks(pickle.dumps(execution.events)) == []
    assert leaks(repr(execution.results)) == []
    assert "[redacted]" in repr(execution.results), "the service did say it"


def test_no_log_and_no_trace_shows_it(
    logs: io.StringIO, spans: Callable[[], str], ran: tuple[Execution, Path]
) -> None:
    assert '"http.method": "POST"' in spans() or '"http.request.method": "POST"' in spans()
    assert "secretive" in spans()
    assert "HTTP Request: POST" in logs.getvalue(), "httpx wrote its log"
    assert "x-echo" in logs.getvalue().lower(), "and the parts below it the headers of replies"
    assert leaks(logs.getvalue()) == []
    assert leaks(spans()) == []


def test_no_form_of_the_definition_shows_it(token: None) -> None:
    saga = secretive("http://x")
    forms = [
        repr(saga), repr(saga.steps), saga.to_yaml(), str(saga.to_spec()), str(saga._repr_html_()),
        saga.to_graphviz().source, msgspec.json.encode(saga.to_spec()).decode(),
        pickle.dumps(saga).decode("latin-1"),
    ]  # fmt: skip
    assert NAME in forms[1]
    assert [leaks(text) for text in forms] == [[]] * len(forms)


@pytest.mark.parametrize("path", ["refuse", "break"])
def test_an_error_shows_what_the_service_said_without_it(
    path: str, token: None, service: Service
) -> None:
    service.answer = echo
    action = Http(f"{service.url}/{path}", method="POST", json={"k": Secret(NAME)})
    execution = run(Saga("s", step(action, name="pay")))
    assert execution.error is not None
    assert "[redacted]" in execution.error.message
    assert leaks(execution.error.message + execution.error.traceback) == []


def test_an_executed_notebook_does_not_hold_it(
    token: None, service: Service, tmp_path: Path
) -> None:
    """The cells do what people do: show the saga, the execution, its events; raise its error."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    service.answer = echo
    setup = (
        f"import sys; sys.path[:0] = {[str(Path.cwd()), str(Path(__file__).parent), *sys.path]!r}\n"
        "import logging; logging.basicConfig(level=logging.DEBUG)\n"
        "from sagakit import *\nfrom sagakit.connectors import *\n"
        f"act = Http('{service.url}/refuse', method='POST', headers={{'Authorization': "
        f"Secret('{NAME}')}})\n"
        f"fine = Http('{service.url}/pay', method='POST', headers={{'Authorization': "
        f"Secret('{NAME}')}})\n"
        "saga = Saga('s', step(fine, fine, name='fine'), step(act, name='pay'))\n"
        "execution = await arun(saga)"
    )
    cells = [setup, "saga", "execution", "print(saga.to_yaml(), execution.events)",
             "execution.timeline()", "raise RuntimeError(execution.error.message)"]  # fmt: skip
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(book, timeout=120, allow_errors=True, kernel_name="python3").execute()
    text = nbformat.writes(book)
    assert "answered 402 Payment Required" in text
    assert "HTTP Request: POST" in text
    assert leaks(text) == []


# -- where they come from --------------------------------------------------------------------


def test_a_secret_that_is_missing_is_terminal_and_named(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(NAME, raising=False)
    action = Http(service.url, method="POST", headers={"Authorization": Secret(NAME)})
    execution = run(Saga("s", step(action, name="pay", retry=Retry(attempts=3))))
    assert service.asked == []
    (failed,) = execution.events[2:3]
    assert failed.terminal
    assert failed.error.type == "SecretError"
    assert failed.error.message == (
        f"step 'pay': the secret '{NAME}' is neither in the environment nor in the keyring's "
        f"service '{KEYRING}'; set the environment variable {NAME}"
    )


def test_a_secret_too_short_to_be_kept_out_of_texts_is_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, "abc")
    execution = run(Saga("s", step(Http(service.url, headers={"A": Secret(NAME)}), name="pay")))
    assert execution.error is not None
    assert execution.error.type == SecretError.__name__
    assert "fewer than 4 characters" in execution.error.message


def test_what_the_environment_lacks_comes_from_the_keyring(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend

    class InMemory(KeyringBackend):
        priority = 1  # type: ignore[assignment]

        def get_password(self, service: str, username: str) -> str | None:
            return {(KEYRING, NAME): TOKEN}.get((service, username))

        def set_password(self, *_: str) -> None:
            raise NotImplementedError

        def delete_password(self, *_: str) -> None:
            raise NotImplementedError

    monkeypatch.delenv(NAME, raising=False)
    before = keyring.get_keyring()
    keyring.set_keyring(InMemory())
    try:
        run(Saga("s", step(Http(service.url, headers={"A": Secret(NAME)}), name="pay")))
    finally:
        keyring.set_keyring(before)
    assert service.asked[0].headers["a"] == TOKEN


@pytest.mark.parametrize("name", ["sk-live_123", "", "a b", "x" * 101])
def test_a_secret_given_by_its_value_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match="never by its value"):
        Saga("s", step(Http("https://x", headers={"A": Secret(name)}), name="pay"))
