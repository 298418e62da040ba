"""HTTP requests as actions: what every kind of answer, and the lack of one, means for a saga."""

from __future__ import annotations

import pickle
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from real_service import CUT, Asked, Service

from sagakit import (
    DefinitionError,
    Engine,
    Execution,
    Retry,
    Saga,
    Scenario,
    explore,
    for_each,
    fork,
    run,
    simulate,
    step,
)
from sagakit.connectors import Cel, Http, Secret
from sagakit.events import StepAttemptFailed, StepFailed, StepInDoubt


def once(action: Http, input: Any = None, **options: Any) -> Execution:
    return run(Saga("one", step(action, name="call", **options)), input)


def error_of(execution: Execution) -> Any:
    return next(
        event.error
        for event in execution.events
        if isinstance(event, StepFailed | StepInDoubt | StepAttemptFailed)
    )


# -- what is sent, and what comes back -------------------------------------------------------


def test_a_request_is_filled_in_and_its_reply_is_the_result(service: Service) -> None:
    service.answer = lambda asked: (201, {"id": "o-1"})
    action = Http(
        f"{service.url}/shops/${{input.shop}}/orders",
        method="POST",
        headers={"X-Request": "for ${input.shop}"},
        query={"dry": "${input.dry}", "tag": ["a", "${input.shop}"], "none": None},
        json={"lines": "${input.lines}", "note": "n=${input.n}", "plain": 1.5},
    )
    given = {"shop": "a/b?c", "dry": False, "lines": [{"sku": "x"}], "n": 3}
    execution = once(action, given)
    assert execution.results == {"call": {"id": "o-1"}}
    (asked,) = service.asked
    assert asked.path == "/shops/a%2Fb%3Fc/orders?dry=false&tag=a&tag=a%2Fb%3Fc"
    assert asked.headers["x-request"] == "for a/b?c"
    assert asked.json == {"lines": [{"sku": "x"}], "note": "n=3", "plain": 1.5}


def test_a_result_mapping_sees_status_headers_body_and_the_context(service: Service) -> None:
    service.answer = lambda asked: (200, {"order": {"id": 7}}, {"x-total": "3"})
    mapping = (
        "{'id': response.body.order.id, 's': response.status, "
        "'h': response.headers['x-total'], 'in': input.a}"
    )
    execution = once(Http(service.url, result=mapping), {"a": 1})
    assert execution.results == {"call": {"id": 7, "s": 200, "h": "3", "in": 1}}


def test_a_reply_that_is_no_json_is_text_and_an_empty_one_is_none(service: Service) -> None:
    service.answer = lambda asked: (200, b"hello", {"content-type": "text/plain"})
    assert once(Http(service.url)).results == {"call": "hello"}
    service.answer = lambda asked: (200, b"")
    assert once(Http(service.url)).results == {"call": None}


def test_a_text_body_is_sent_as_it_is(service: Service) -> None:
    once(Http(service.url, method="PUT", body="<a>${input}</a>"), "x")
    assert service.asked[0].body == b"<a>x</a>"


def test_cookies_of_one_execution_do_not_reach_another(service: Service) -> None:
    service.answer = lambda asked: (200, {}, {"set-cookie": "session=1; path=/"})
    once(Http(service.url))
    once(Http(service.url))
    assert "cookie" not in service.asked[1].headers


# -- idempotency keys --------------------------------------------------------------------------


def test_every_attempt_has_the_same_key_and_a_compensation_another(service: Service) -> None:
    service.answer = lambda asked: (
        (503, {}) if asked.method == "POST" and len(service.asked) < 3 else (200, {})
    )
    saga = Saga(
        "keys",
        step(
            Http(service.url, method="POST"),
            Http(f"{service.url}/undo", method="DELETE", idempotency_header="X-Key"),
            name="pay",
            retry=Retry(attempts=5),
        ),
        step(Http(f"{service.url}/${{input.missing}}"), name="fails"),
    )
    execution = run(saga, {}, id="order-7")
    assert execution.status == "compensated"
    keys = [asked.headers.get("idempotency-key") for asked in service.asked]
    assert keys == ["order-7/pay/action"] * 3 + [None]
    assert service.asked[3].headers["x-key"] == "order-7/pay/compensation"


def test_a_safe_method_and_an_empty_header_name_send_no_key(service: Service) -> None:
    once(Http(service.url))
    once(Http(service.url, method="POST", idempotency_header=""))
    assert not any("idempotency-key" in asked.headers for asked in service.asked)


def test_a_key_that_a_header_cannot_hold_is_encoded(service: Service) -> None:
    run(Saga("s", step(Http(service.url, method="POST"), name="zahlung-ü")), id="x")
    assert service.asked[0].headers["idempotency-key"] == "x/zahlung-%C3%BC/action"


def test_a_retry_after_a_lost_reply_has_its_effect_once(service: Service) -> None:
    """The server keeps its answers by key, as services that take such keys do."""
    answers: dict[str, int] = {}
    effects: list[str] = []

    def answer(asked: Asked) -> Any:
        key = asked.headers["idempotency-key"]
        first = key not in answers
        if first:
            effects.append(key)
            answers[key] = len(effects)
        return (200, CUT) if first else (200, {"charge": answers[key]})

    service.answer = answer
    execution = once(Http(service.url, method="POST"), retry=Retry(attempts=3))
    assert execution.status == "completed"
    assert execution.results == {"call": {"charge": 1}}
    assert len(effects) == 1
    assert len(service.asked) == 2


# -- what an answer, or none, means --------------------------------------------------------


def outcome(execution: Execution) -> str:
    """Terminal, retried, in doubt: what was recorded of the first attempt."""
    for event in execution.events:
        match event:
            case StepAttemptFailed():
                return "in doubt, retried" if event.in_doubt else "retried"
            case StepInDoubt():
                return "in doubt"
            case StepFailed():
                return "terminal"
    return "succeeded"


TWICE = Retry(attempts=2)


@pytest.mark.parametrize(
    ("status", "posted", "got"),
    [
        (200, "succeeded", "succeeded"),
        (299, "succeeded", "succeeded"),
        (301, "terminal", "terminal"),
        (400, "terminal", "terminal"),
        (404, "terminal", "terminal"),
        (409, "terminal", "terminal"),
        (408, "retried", "retried"),
        (425, "retried", "retried"),
        (429, "retried", "retried"),
        (500, "in doubt, retried", "retried"),
        (501, "terminal", "terminal"),
        (502, "in doubt, retried", "retried"),
        (503, "retried", "retried"),
        (504, "in doubt, retried", "retried"),
    ],
)
def test_what_a_status_means(service: Service, status: int, posted: str, got: str) -> None:
    service.answer = lambda asked: (status, {"why": "because"})
    assert outcome(once(Http(service.url, method="POST"), retry=TWICE)) == posted
    assert outcome(once(Http(service.url), retry=TWICE)) == got


def test_an_error_names_the_step_the_request_the_status_and_what_was_said(
    service: Service,
) -> None:
    service.answer = lambda asked: (402, {"why": "card declined"})
    execution = once(Http(f"{service.url}/pay/${{input}}?q=1", method="POST"), "secret-id")
    message = error_of(execution).message
    assert message == (
        f"step 'call': POST {service.url}/pay/${{input}} answered 402 Payment Required: "
        '{"why": "card declined"}'
    )


def test_a_refused_connection_surely_did_nothing(nobody: str) -> None:
    execution = once(Http(nobody, method="POST"), retry=TWICE)
    assert outcome(execution) == "retried"
    assert "nothing was sent" in error_of(execution).message


def test_a_connection_that_breaks_mid_reply_leaves_a_request_in_doubt(service: Service) -> None:
    service.answer = lambda asked: (200, CUT)
    assert outcome(once(Http(service.url, method="POST"), retry=TWICE)) == "in doubt, retried"
    assert outcome(once(Http(service.url), retry=TWICE)) == "retried"  # it had no effect


def test_a_connection_that_breaks_before_the_reply_leaves_it_in_doubt(service: Service) -> None:
    service.answer = lambda asked: None
    assert outcome(once(Http(service.url, method="POST"), retry=TWICE)) == "in doubt, retried"


def test_a_reply_that_does_not_come_in_time_leaves_it_in_doubt(service: Service) -> None:
    release = threading.Event()
    service.answer = lambda asked: release.wait(90) and (200, {})
    began = time.monotonic()
    execution = once(Http(service.url, method="POST", timeout=0.2))
    assert time.monotonic() - began < 20
    release.set()
    assert outcome(execution) == "in doubt"


def test_what_is_not_expected_happened_but_cannot_be_relied_on(service: Service) -> None:
    service.answer = lambda asked: (202, {})
    execution = once(Http(service.url, method="POST", expect=(200, 201)), retry=TWICE)
    assert outcome(execution) == "in doubt"  # and not tried again
    assert "its expect has 200, 201" in error_of(execution).message
    assert outcome(once(Http(service.url, expect=200), retry=TWICE)) == "terminal"


def test_a_status_that_is_expected_is_a_success_whatever_it_is(service: Service) -> None:
    service.answer = lambda asked: (404, {"none": True})
    assert once(Http(service.url, expect=(200, 404))).results == {"call": {"none": True}}


def test_more_statuses_can_be_declared_not_done(service: Service) -> None:
    service.answer = lambda asked: (409, {}) if len(service.asked) == 1 else (200, {"ok": 1})
    action = Http(service.url, method="POST", retry_on=409)
    assert once(action, retry=TWICE).results == {"call": {"ok": 1}}


def test_a_result_that_cannot_be_made_leaves_the_step_in_doubt(service: Service) -> None:
    service.answer = lambda asked: (200, {"a": 1})
    action = Http(service.url, method="POST", result="response.body.b")
    execution = once(action, retry=TWICE)
    assert outcome(execution) == "in doubt"
    assert "finds no 'b'" in error_of(execution).message


def test_a_body_that_is_not_the_json_it_says_leaves_the_step_in_doubt(service: Service) -> None:
    service.answer = lambda asked: (200, b"{oops")
    assert outcome(once(Http(service.url, method="POST"), retry=TWICE)) == "in doubt"


# -- compensations and reconciles --------------------------------------------------------------


def test_a_compensation_that_finds_nothing_to_undo_is_done(service: Service) -> None:
    service.answer = lambda asked: None if asked.method == "POST" else (404, {})
    undo = Http(f"{service.url}/pay/${{action_key}}", method="DELETE", absent=404)
    execution = run(Saga("s", step(Http(service.url, method="POST"), undo, name="pay")), id="x")
    assert execution.status == "compensated"
    assert service.asked[1].path == "/pay/x%2Fpay%2Faction"


@pytest.mark.parametrize("there", [True, False])
def test_a_reconcile_tells_what_happened_by_what_it_finds(service: Service, there: bool) -> None:
    service.answer = lambda asked: (
        None if asked.method == "POST" else (200, {"id": 9}) if there else (404, {})
    )
    pay = step(
        Http(service.url, method="POST"),
        name="pay",
        reconcile=Http(f"{service.url}/${{idempotency_key}}", absent=404),
    )
    execution = run(Saga("s", pay))
    assert execution.status == ("completed" if there else "compensated")
    assert execution.results == ({"pay": {"id": 9}} if there else {})


# -- as data -----------------------------------------------------------------------------------


def test_requests_are_equal_by_value_and_can_be_pickled() -> None:
    one = Http("https://x.example", headers={"a": Secret("TOKEN")}, json={"k": Secret("OTHER")})
    two = Http("https://x.example", headers={"a": Secret("TOKEN")}, json={"k": {"secret": "OTHER"}})
    assert one == two == pickle.loads(pickle.dumps(one))
    assert one != Http("https://y.example")


def test_a_saga_of_connectors_round_trips_through_yaml_without_any_actions() -> None:
    saga = Saga(
        "shop",
        step(
            Http(
                "https://x.example/${input.id}",
                method="POST",
                headers={"Authorization": Secret("TOKEN", prefix="Bearer ")},
                query={"a": [1, "${input.b}"]},
                json={"deep": [{"k": "${results}"}, None, 1.5]},
                expect=(200, 201),
                result="response.body",
                example={"id": 1},
                latency=0.5,
                timeout=3,
            ),
            Http(Secret("URL"), method="DELETE", absent=(404, 410)),
            name="order",
            reconcile=Http("https://x.example/${idempotency_key}", absent=(404,)),
        ),
        step(Cel("input.n * 2"), name="double", when=Cel("input.n > 3")),
    )
    assert Saga.from_yaml(saga.to_yaml()) == saga
    assert pickle.loads(pickle.dumps(saga)) == saga


def test_a_simulation_calls_nobody_and_takes_the_example(service: Service) -> None:
    action = Http(service.url, method="POST", example={"id": 1}, latency=2.5)
    saga = Saga("s", step(action, action, name="a"), step(Cel("results.a.id + 1"), name="b"))
    execution = simulate(saga)
    assert execution.results == {"a": {"id": 1}, "b": 2}
    assert execution.events[-1].at == 2.5
    assert service.asked == []
    assert run(saga).status == "compensated"  # its real reply has no id: b fails
    assert len(service.asked) == 2


def test_a_simulated_reconcile_finds_what_the_action_would_have_done(service: Service) -> None:
    pay = step(
        Http(service.url, method="POST", example={"id": 1}),
        name="pay",
        reconcile=Http(f"{service.url}/${{idempotency_key}}", absent=404),
    )
    execution = simulate(Saga("s", pay), scenario=Scenario().lose_reply("pay"))
    assert execution.results == {"pay": {"id": 1}}


def test_nothing_in_the_lab_calls_anybody(service: Service) -> None:
    action = Http(service.url, method="POST", example={"id": 1})
    each = for_each("each", Cel("[1, 2]"), step(action, action, name="one"))
    saga = Saga("s", step(action, action, name="a"), each, step(action, name="b", pivot=True))
    assert explore(saga, faults=1).explored > 4
    execution = simulate(saga, scenario=Scenario().fail("b"))
    assert fork(execution, 3, scenario=Scenario().fail("b")).second.status == "compensated"
    assert service.asked == []


def test_a_service_that_asks_to_be_spared_is(service: Service) -> None:
    service.answer = lambda asked: (
        (429, {}, {"retry-after": "1"}) if len(service.asked) == 1 else (200, {})
    )
    execution = once(Http(service.url, method="POST"), retry=TWICE)
    first = next(event for event in execution.events if isinstance(event, StepAttemptFailed))
    assert 1 <= first.retry_at - first.at < 1.5
    assert execution.status == "completed"


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("0", 0, 0),
        ("120", 120, 120),
        ("99999999999999", 3600, 3600),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 3600, 3600),
        ("Fri, 01 Jan 1999 00:00:00 GMT", 0, 0),
        ("soon", 0, 0),
        ("-5", 0, 0),
        ("²", 0, 0),
    ],
)
def test_what_retry_after_says_is_read_within_reason(said: str, least: int, most: int) -> None:
    from sagakit.connectors.web import Reply, _retry_after

    assert least <= _retry_after(Reply(503, {"retry-after": said}, b"")) <= most


def test_without_httpx_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    execution = once(Http("https://x.example"))
    assert error_of(execution).message == (
        "step 'call': an HTTP connector needs httpx: pip install 'sagakit[connectors]'"
    )


def test_an_engine_calls_really_and_recovers(service: Service, tmp_path: Path) -> None:
    service.answer = lambda asked: (200, {"id": 5})
    saga = Saga("s", step(Http(service.url, method="POST", example=1), name="a"))
    with Engine(tmp_path / "sagas.db") as engine:
        assert engine.run(saga, id="x").results == {"a": {"id": 5}}
    with Engine(tmp_path / "sagas.db") as engine:
        assert engine.run(saga, id="x").results == {"a": {"id": 5}}
    assert len(service.asked) == 1


BAD: dict[str, tuple[Http, str]] = {
    "no scheme": (Http("x.example"), "url is 'x.example'; give one that begins with https://"),
    "another scheme": (Http("ftp://x"), "give one that begins with https://"),
    "a password in the url": (Http("https://u:p@x"), "url holds a name or password"),
    "a secret in a header": (
        Http("https://x", headers={"X-API-Key": "abc"}),
        "give {secret: NAME}",
    ),
    "a strange header": (Http("https://x", headers={"a b": "c"}), "give one word"),
    "two bodies": (Http("https://x", json=1, body="b"), "keep one of them"),
    "a strange status": (Http("https://x", expect=(99,)), "give statuses from 100 to 599"),
    "no time": (Http("https://x", timeout=0), "timeout is 0.0; give seconds above 0"),
    "a bad template": (Http("https://x/${input"), "has no closing '}'"),
    "an unknown variable": (Http("https://x/${inputs.a}"), "did you mean 'input'?"),
    "a bad expression in the body": (Http("https://x", json={"a": ["${1 +}"]}), "json.a.0: "),
    "response before there is one": (Http("https://x", body="${response}"), "unknown variable"),
    "a bad result": (Http("https://x", result="respons.body"), "did you mean 'response'?"),
    "a secret's value": (Http("https://x", json={"secret": "sk-live 123"}), "never by its value"),
}


@pytest.mark.parametrize(("action", "said"), BAD.values(), ids=BAD)
def test_a_bad_request_is_refused_at_definition_time(action: Http, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Saga("s", step(action, name="call"))
    (problem,) = caught.value.problems
    assert problem.startswith("step 'call': action: ")
    assert said in problem


def test_problems_name_the_line_the_step_and_the_field() -> None:
    text = """saga: s
steps:
  - step: pay
    action:
      http:
        url: https://x
        metod: POST
        timeout: soon
        headers: {A: 1}
  - step: b
    action: {http: {url: https://x}, latency: 2}
  - step: c
    when: {http: {url: https://x}}
  - step: d
    action: {htp: {}}
  - step: e
    action: {http: 5}
"""
    with pytest.raises(DefinitionError) as caught:
        Saga.from_yaml(text)
    assert list(caught.value.problems) == [
        "line 7: step 'pay': action: http has an unknown key 'metod' (did you mean 'method'?)",
        "line 8: step 'pay': action: http, 'timeout': expected `float`, got `str`",
        "line 9: step 'pay': action: http, 'headers': expected `str | object`, got `int`",
        "line 11: step 'b': action has http and latency; keep one of them",
        "line 13: step 'c': when cannot be 'http'; give cel, or a name",
        "line 15: step 'd': action has an unknown key 'htp' (did you mean 'http'?)",
        "line 17: step 'e': action: http must be a mapping with its options",
    ]
    with pytest.raises(DefinitionError) as caught:
        Saga.from_yaml(
            "saga: s\nsteps:\n- step: a\n  action:\n    http:\n      url: https://x\n"
            "      json:\n        k:\n        - ${foo}\n"
        )
    assert caught.value.problems[0].startswith("line 9: step 'a': action: json.k.0: the expression")


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_an_expression_cannot_make_another_address_of_a_url(service: Service, id: str) -> None:
    execution = once(Http(f"{service.url}/orders/${{input}}", method="DELETE"), id)
    assert service.asked == []
    assert "would make another address" in error_of(execution).message


def test_an_expression_cannot_begin_another_header(service: Service) -> None:
    execution = once(Http(service.url, headers={"X-A": "${input}"}), "a\r\nX-B: 1")
    assert service.asked == []
    assert "has a line break" in error_of(execution).message
