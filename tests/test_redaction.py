"""Sensitive payload fields: planted secrets, and every output that must not show them.

A new output goes into ``OUTPUTS`` (of an execution) or ``JOURNAL_OUTPUTS`` (of a journal's file).
"""

from __future__ import annotations

import base64
import dataclasses
import gc
import html
import io
import json
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from click.testing import CliRunner

from sagakit import (
    DefinitionError,
    Engine,
    Execution,
    InputError,
    Overview,
    Saga,
    SagaBuilder,
    Scenario,
    TerminalError,
    Trace,
    await_event,
    compare,
    for_each,
    fork,
    run,
    simulate,
    step,
    sub_saga,
)
from sagakit.cli import cli
from sagakit.drivers.simulated import resume
from sagakit.events import ExecutionStarted, StepSucceeded
from sagakit.journal.base import Letter, Post, Wait
from sagakit.journal.codec import decode_event, encode_event
from sagakit.lab import diagnose
from sagakit.redaction import MASK, Redaction, mask
from sagakit.scenario import Signal
from sagakit.tracefiles import trace_bytes
from sagakit.widgets.explorer import TraceExplorer

TEXT = "tok-Zq'7\"planted"  # its spelling in Python and in JSON is another
NUMBER = 918273645
ITEM = "item-Xw9-planted"
SECRETS = (TEXT, NUMBER, ITEM)
INPUT = {
    "customer": {"Card_Number": TEXT, "pin": NUMBER, "name": "ann"},
    "tokens": [ITEM, ITEM + "2"],
}
REDACT = ("card_number", "PIN", "tokens")


class Receipt(msgspec.Struct):
    card_number: str
    pin: int
    paid: bool = True


def charge(ctx) -> Receipt:
    card, pin = ctx.input["customer"]["Card_Number"], ctx.input["customer"]["pin"]
    log = ctx.logger
    log.info("charging", card_number=card, known=f"for {card!r}", parts=[{"x": pin}])
    log.warning("card %s", card)
    try:
        raise ValueError(f"card {card} refused")
    except ValueError:
        log.exception("refused", ctx_repr=repr(ctx), seen=repr(ctx.results))
    return Receipt(card, pin)


def refund(ctx) -> None:
    if ctx.input.get("stuck"):
        raise TerminalError(f"cannot refund {ctx.input['customer']['pin']}")


def echo(ctx):
    return [f"bare {ctx.input['customer']['Card_Number']}", ctx.input["customer"]["pin"]]


def tokens(ctx):
    return ctx.input["tokens"]


def use(ctx):
    ctx.logger.info("using", token=ctx.input)
    if ctx.input.endswith("2") and len(ctx.input) > 1000:
        raise TerminalError(ctx.input)
    return {"used": ctx.input}


def correlate(ctx):
    return ctx.input["customer"]["Card_Number"]


def ship(ctx):
    if ctx.input.get("fail"):
        error = TerminalError(f"no van for {ctx.input['customer']['Card_Number']!r}")
        error.add_note(f"note: {ctx.input['customer']['pin']}")
        raise error from ValueError(json.dumps(ctx.input))


saga = Saga(
    "secretive",
    step(charge, refund),
    step(echo),
    for_each("use_tokens", tokens, step(use)),
    sub_saga(Saga("inner", step(echo, name="again")), name="inside"),
    await_event("approved", correlate=correlate),
    step(ship),
    redact=REDACT,
)
ARRIVES = Scenario().signal("approved", {"pin": NUMBER, "memo": TEXT}, correlation=TEXT)
ENDS = {
    "completed": INPUT,
    "compensated": INPUT | {"fail": True},
    "stuck": INPUT | {"fail": True, "stuck": True},
}


def _leaks(text: str) -> list[str]:
    """The secrets that stand in a text, in any spelling of them, pictures read."""
    for picture in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", text):
        text += base64.b64decode(picture).decode()
    found = []
    for secret in map(str, SECRETS):
        spellings = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], html.escape(secret)}
        found += [spelling for spelling in spellings if spelling in text]
    return found


def _all(execution: Execution) -> Iterator[Execution]:
    yield execution
    for child in execution.children.values():
        yield from _all(child)


def _each(show: Callable[[Execution], str]) -> Callable[[Execution], str]:
    """The output of an execution and of all that do steps of it."""
    return lambda execution: "\n".join(show(one) for one in _all(execution))


def _explored(execution: Execution) -> str:
    """All that an explorer sends of an execution, and shows beside."""
    explorer = TraceExplorer(execution, execution)
    sent = [explorer.state, explorer._repr_mimebundle_()[0]]
    for number in range(explorer.state["runs"][0]["spans"]["count"]):
        explorer.edit = {"seq": number + 1, "run": 0, "span": number}
        sent.append(explorer.details)
    return json.dumps(sent)


OUTPUTS: dict[str, Callable[[Execution], str]] = {
    "repr": _each(repr),
    "html": _each(lambda e: str(e._repr_html_())),
    "log": _each(lambda e: e.log(inside=True)),
    "events": _each(lambda e: repr(e.events)),
    "each event": _each(lambda e: "".join(f"{event}" for event in e.events)),
    "history": _each(lambda e: repr(e.history())),
    "input": _each(lambda e: repr(e.input) if isinstance(e.input, dict) else ""),
    "results": _each(lambda e: repr(e.results)),
    "errors": _each(lambda e: "".join(f"{i} {i.message} {i.traceback}" for _, i in e.errors)),
    "error": _each(lambda e: f"{e.error!r} {e.failed_step}"),
    "waits": _each(lambda e: repr(e.waiting_for)),
    "operators": _each(lambda e: repr((e.resolutions, e.cancellation, e.migrations))),
    "flow": lambda e: str(e.flow(opened=None)._repr_html_()) + e.flow(opened=None).svg,
    "timeline": lambda e: str(e.timeline()._repr_html_()) + e.timeline().svg,
    "sequence": lambda e: str(e.sequence()),
    "spans": _each(lambda e: e.spans.to_csv() + e.spans.to_html() + repr(e.spans)),
    "timings": _each(lambda e: e.timings.to_csv() + repr(e.critical_path)),
    "otlp": lambda e: trace_bytes(e.read_spans(), format="otlp").decode(),
    "trace": lambda e: f"{Trace(e.read_spans())!r} {Trace(e.read_spans())._repr_html_()}",
    "comparison": lambda e: f"{compare(e, e).differences} {compare(e, e)._repr_html_()}",
    "fork": lambda e: f"{fork(e, 0)!r} {fork(e, 0)._repr_html_()} {fork(e, 0).second.log()}",
    "overview": lambda e: "".join(
        f"{chart!r} {chart.alt} {chart.table}"
        for chart in (Overview([e]).funnel(), Overview([e]).durations(), Overview([e]).retries())
    ) + Overview([e]).frame().to_csv(),
    "saga": lambda e: f"{e.saga!r} {e.saga._repr_html_()} {e.saga.to_graphviz().source}",
    "difference": lambda e: repr(Saga.diff(e.saga, e.saga)) + repr(
        Saga.diff(Saga(e.saga.name, step(echo)), e.saga).allows(e)
    ),
    "explorer": lambda e: _explored(e),
    "read back": lambda e: repr(tuple(decode_event(encode_event(event)) for event in e.events)),
}  # fmt: skip

# In order of a call: the arguments of the command line, {journal} and {id} filled in.
JOURNAL_OUTPUTS: dict[str, list[str]] = {
    "inspect": ["inspect", "{journal}", "{id}"],
    "inspect json": ["inspect", "{journal}", "{id}", "--json"],
    "inspect an item's": ["inspect", "{journal}", "{id}/use_tokens"],
    "inspect an item's json": ["inspect", "{journal}", "{id}/use_tokens", "--json"],
    "inspect inside json": ["inspect", "{journal}", "{id}/inside", "--json"],
    "list": ["list", "{journal}"],
    "list json": ["list", "{journal}", "--json"],
    "audit": ["audit", "export", "{journal}"],
    "audit json": ["audit", "export", "{journal}", "--jsonl"],
    "doctor": ["doctor", "{journal}"],
    "doctor of an execution": ["doctor", "{id}", "--journal", "{journal}"],
    "doctor of an execution json": ["doctor", "{id}", "--journal", "{journal}", "--json"],
}

every_output = pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
every_command = pytest.mark.parametrize("arguments", JOURNAL_OUTPUTS.values(), ids=JOURNAL_OUTPUTS)
every_end = pytest.mark.parametrize("end", ENDS)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What structlog writes, whatever the processors: here one adds to the entry, too."""
    before, written = structlog.get_config(), io.StringIO()

    def add(_logger: Any, _method: str, entry: Any) -> Any:
        written.write(f"on its way: {entry!r} {entry.get('exc_info')}\n")
        return entry | {"added": TEXT, "pin": NUMBER}

    structlog.configure(
        processors=[add, structlog.dev.set_exc_info, structlog.processors.format_exc_info,
                    structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(written),
    )  # fmt: skip
    yield written
    structlog.configure(**before)


@pytest.fixture
def ended(logged: io.StringIO) -> Callable[[str], Execution]:
    def of(end: str) -> Execution:
        execution = simulate(saga, ENDS[end], scenario=ARRIVES)
        assert execution.status == end
        return execution

    return of


@every_end
@every_output
def test_no_output_shows_a_planted_secret(output, end, ended) -> None:
    text = output(ended(end))
    assert text
    assert _leaks(text) == []


@every_end
def test_no_entry_of_the_log_shows_one(end, ended, logged) -> None:
    ended(end)
    text = logged.getvalue()
    assert '"event": "charging"' in text
    assert "ValueError: card" in text, "the exception itself is there"
    assert _leaks(text) == []


@every_command
def test_no_command_shows_one_without_the_saga_at_hand(arguments, tmp_path: Path, logged) -> None:
    journal = tmp_path / "j.db"
    with Engine(journal) as engine:
        engine.run(saga, ENDS["stuck"], id="e", scenario=ARRIVES)
    given = [part.format(journal=journal, id="e") for part in arguments]
    done = CliRunner().invoke(cli, given)
    assert done.exit_code in (0, 2, 3), done.output
    assert _leaks(done.output) == []


def test_a_reader_in_another_process_knows_the_names_from_the_event() -> None:
    written = {"type": "ExecutionStarted", "saga": "s", "version": None, "fingerprint": "f",
               "execution_id": "e", "input": {"Iban": TEXT}, "at": 0.0,
               "redact": ["iban"]}  # fmt: skip
    assert _leaks(repr(decode_event(msgspec.json.encode(written)))) == []


def test_without_sensitive_fields_an_event_is_written_as_before() -> None:
    execution = simulate(Saga("s", step(echo)), INPUT)
    keys = set(json.loads(encode_event(execution.events[0])))
    assert keys & {"redact", "sensitive"} == set()


def test_the_journal_keeps_the_values_and_recovery_goes_on_with_them(ended) -> None:
    whole = ended("completed")
    assert whole.input["customer"]["Card_Number"] == TEXT
    assert whole.results["charge"] == Receipt(TEXT, NUMBER)
    kept = [decode_event(encode_event(event)) for event in whole.events]
    cut = next(n for n, event in enumerate(kept) if isinstance(event, StepSucceeded)) + 1
    inside = {child.id: child.events for child in whole.children.values()}
    again = resume(saga, kept[:cut], scenario=ARRIVES, children=inside)
    assert again.status == "completed"
    assert again.results == whole.results
    assert all(_leaks(output(again)) == [] for output in OUTPUTS.values())


def test_results_that_show_nothing_are_still_plain_data() -> None:
    secret = Saga("s", step(echo), redact=["card_number"])
    execution = run(secret, INPUT)
    assert isinstance(execution.results, dict)
    assert pickle.loads(pickle.dumps(execution.results)) == execution.results
    assert simulate(Saga("t", step(lambda ctx: 1, name="a")), execution.results).results == {"a": 1}


def test_the_names_of_an_inner_saga_hold_around_it_and_those_around_within() -> None:
    def check(ctx):
        raise TerminalError(f"{ctx.input['card']} {ctx.input['code']}")

    inner = Saga("inner", step(check), redact=["code"])
    outer = Saga("outer", sub_saga(inner, name="pay"), redact=["card"])
    execution = simulate(outer, {"card": TEXT, "code": NUMBER})
    assert outer.sensitive == {"card", "code"}
    assert execution.children["pay"].redaction.names == {"card", "code"}
    assert execution.error is not None
    assert MASK in execution.error.message
    assert _leaks(execution.log(inside=True) + repr(execution.events)) == []


def test_what_began_before_the_names_were_declared_goes_on_discreetly() -> None:
    def ready(ctx):
        return 1

    def check(ctx):
        raise TerminalError(f"card {ctx.input['card']} refused")

    parts = sub_saga(Saga("inner", step(ready), step(check)), name="pay")
    old = simulate(Saga("outer", parts), {"card": TEXT})
    child = old.children["pay"]
    kept = {child.id: list(child.events[:3])}
    new = Saga("outer", parts, redact=["card"])
    assert _leaks(old.log(inside=True)) != []
    execution = resume(new, old.events[:2], children=kept)
    assert execution.status == "compensated"
    assert execution.children["pay"].error.message == f"card {MASK} refused"
    assert _leaks(execution.log(inside=True)) == []


def test_what_an_operator_says_is_kept_without_the_secret(tmp_path: Path, logged) -> None:
    with Engine(tmp_path / "j.db") as engine:
        execution = engine.run(saga, ENDS["stuck"], id="e", scenario=ARRIVES)
        ended = engine.resolve(execution.id, "skip", by="ann", why=f"card {TEXT} is paid back")
    assert ended.resolutions[0].why == f"card {MASK} is paid back"


SCHEMA = {
    "type": "object",
    "properties": {
        "cvv": {"type": "string", "maxLength": 3},
        "card": {"enum": ["a", "b"]},
        "owner": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
    "maxProperties": 2,
}


@pytest.mark.parametrize(
    "value",
    [{"cvv": 987}, {"card": TEXT}, {"cvv": "987", "card": "a", "more": 1},
     {"owner": {"name": TEXT}, "card": TEXT}],
)  # fmt: skip
def test_an_input_that_the_schema_refuses_is_not_shown(value: Any) -> None:
    strict = Saga("s", step(echo), input_schema=SCHEMA, redact=["cvv", "card"])
    with pytest.raises(InputError, match="does not fit the schema") as refused:
        simulate(strict, value)
    assert _leaks(str(refused.value)) == []
    assert "987" not in str(refused.value)


@dataclasses.dataclass
class Odd:
    card: str
    odd: Any = (1, 2)  # comes back as a list


def pay_oddly() -> Odd:
    return Odd(TEXT)


def test_a_result_that_cannot_be_kept_is_not_shown() -> None:
    odd = simulate(Saga("s", step(pay_oddly), redact=["card"]))
    assert odd.error is not None
    assert "would give back" in odd.error.message
    assert _leaks(odd.error.message + odd.error.traceback) == []


def test_what_is_on_its_way_to_an_execution_is_not_shown(tmp_path: Path) -> None:
    messages = (
        Post("p", "approved", {"pin": NUMBER}, None, TEXT),
        Letter("approved", TEXT, "l", 0.0, 1.0, {"PIN": NUMBER}),
        Wait("approved", TEXT, 0.0),
        Signal("approved", {"card_number": TEXT}, correlation=TEXT),
        Signal("pin", NUMBER),
        Scenario().signal("approved", {"pin": NUMBER}, correlation=TEXT),
        SagaBuilder("b", redact=REDACT).add_step(echo),
    )
    assert _leaks(repr(messages) + " ".join(map(str, messages))) == []
    with Engine(sagas=[saga]) as engine, pytest.raises(Exception, match="no execution") as lost:
        engine.signal("approved", correlation=TEXT)
    assert _leaks(str(lost.value)) == []


def test_who_declares_nothing_is_shown_beside_who_does_and_no_name_outlives_its_saga() -> None:
    def make(**options: Any) -> Saga:
        parts = await_event("arrived", correlate=lambda: "box 7"), step(act, name="pay")
        return Saga("s", *parts, **options)

    def act() -> dict[str, str]:
        return {"box": TEXT}

    plain, arrives = make(), Scenario().signal("arrived", correlation="box 7")
    waits = simulate(plain, scenario=Scenario().signal("arrived", correlation="box 8"))
    secretive = make(redact=["box"])
    execution = simulate(secretive, scenario=arrives)
    paid = execution.events[-2]
    assert isinstance(paid, StepSucceeded)
    assert _leaks(repr(paid)) == []
    assert "box 7" not in repr(arrives)
    assert "box 7" in repr(Scenario().signal("departed", correlation="box 7"))  # for another event
    assert "one came for 'box 8', and this one waits for 'box 7'" in str(diagnose(waits))
    del secretive, execution
    gc.collect()
    assert _leaks(repr(paid)) != []
    assert "box 7" in repr(arrives)


def test_a_signal_that_is_no_json_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("saga: s\nredact: [pin]\nsteps: [{step: w, wait: {event: ok}}]\n")
    done = CliRunner().invoke(cli, ["run", str(path), "--signal", f"ok={{pin: {NUMBER}}}"])
    assert "is not JSON" in str(done.exception)
    assert _leaks(done.output + str(done.exception)) == []


@pytest.mark.parametrize(
    ("redact", "cure"),
    [("card", 'redact=("card",)'), (["card", 7], "has 7"), (["", "a"], "has ''"),
     (5, "redact is 5"), ({"a": 1}, "sequence"), ([None], "has None")],
)  # fmt: skip
def test_names_that_are_none_are_refused_with_the_cure(redact: Any, cure: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        Saga("s", step(echo), redact=redact)
    assert cure in str(refused.value)


def test_the_names_survive_yaml_and_pickle_and_leave_the_fingerprint_alone() -> None:
    plain = Saga("s", step(echo))
    secret = Saga("s", step(echo), redact=["Pin", "never_there", "Pin"])
    assert secret.redact == ("Pin", "never_there")
    assert Saga.from_yaml(secret.to_yaml(), actions=[echo]) == secret != plain
    assert pickle.loads(pickle.dumps(secret)) == secret
    assert secret.fingerprint == plain.fingerprint


def test_mask_finds_the_names_in_any_kind_of_value() -> None:
    @dataclasses.dataclass
    class Card:
        pin: int
        kind: str = "gold"

    value = {"a": [Card(NUMBER), Receipt(TEXT, NUMBER)], "PIN": {"deep": TEXT}, "b": (1, 2)}
    assert mask(value, {"pin", "card_number"}) == {
        "a": [
            {"pin": MASK, "kind": "gold"},
            {"card_number": MASK, "pin": MASK, "paid": True},
        ],
        "PIN": MASK,
        "b": (1, 2),
    }
    assert mask(value["b"], {"pin"}) is value["b"]


def test_a_short_value_or_a_truth_is_hidden_under_its_name_alone() -> None:
    known = Redaction(["cvv"])
    known.learn({"cvv": [123, True, None, "ab"]})
    assert known.scrub("123 True None ab") == "123 True None ab"
    assert known.clean({"CVV": 123, "n": 123}) == {"CVV": MASK, "n": 123}


def test_the_longer_of_two_secrets_goes_first() -> None:
    known = Redaction(["pin"])
    known.learn({"pin": ["12345", "1234567"]})
    assert known.scrub("no. 1234567") == f"no. {MASK}"


def test_the_first_event_names_what_is_sensitive() -> None:
    first = simulate(Saga("s", step(pivot_free), redact=["B", "a"])).events[0]
    assert isinstance(first, ExecutionStarted)
    assert first.redact == ("a", "b")


def pivot_free() -> None: ...
