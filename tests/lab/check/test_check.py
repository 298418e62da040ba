"""What a check says of a saga, where it says it, and what it leaves alone."""

from __future__ import annotations

import contextlib
import linecache
import runpy
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sagakit import (
    Bulkhead,
    Retry,
    Saga,
    Service,
    Simulated,
    TerminalError,
    await_event,
    check,
    choice,
    for_each,
    pivot,
    step,
    sub_saga,
    timer,
)
from sagakit.connectors import Cel, Http
from sagakit.countermeasures import SemanticLock, by_value
from sagakit.lab import World, pairs
from sagakit.lab.check import Findings


def act(*_: Any) -> Any: ...
def undo(ctx: Any) -> Any: ...
def ask(ctx: Any) -> Any: ...
def items(ctx: Any) -> Any: ...


end = pivot(act, name="end", reconcile=ask)


def severities(found: Findings, rule: str) -> dict[str | None, str]:
    return {one.step: one.severity for one in found if one.rule == rule}


# -- the answer -----------------------------------------------------------------------------


def test_a_finding_names_rule_severity_place_and_cure() -> None:
    [found] = check(Saga("s", step(act), end, version="1"), ignore="SAGA201")
    assert (found.rule, found.severity, found.saga, found.step) == ("SAGA101", "error", "s", "act")
    assert str(found) == (
        "error SAGA101: saga 's', step 'act': has no compensation, so what it did stays when "
        "another step fails; add one, place it after the pivot, or declare read if it has no effect"
    )


def test_the_worst_comes_first_and_all_are_counted() -> None:
    found = check(Saga("s", step(act, name="a"), step(act, undo, name="b"), end))
    assert [one.severity for one in found] == ["error", *["note"] * 4]
    assert repr(found) == "<Findings in 's': 1 error, 4 notes>"
    assert found.frame()["rule"].tolist() == [one.rule for one in found]
    assert "<td" in found._repr_html_()


def test_a_clean_saga_has_no_findings() -> None:
    clean = Saga(
        "s",
        step(act, undo, timeout=1, compensation_timeout=1),
        pivot(act, name="end", reconcile=ask, timeout=1),
        version="1",
    )
    found = check(clean)
    assert not found
    assert repr(found) == "<Findings in 's': nothing found>"
    assert str(found) == "saga 's': nothing found"


def test_findings_can_be_accepted_by_rule_or_by_step() -> None:
    saga = Saga("s", step(act, name="a"), step(act, name="b"), end, version="1")
    assert severities(check(saga, ignore=["SAGA101:a"]), "SAGA101") == {"b": "error"}
    found = check(saga, ignore=["SAGA101", "SAGA201"])
    assert (len(found), found.accepted) == (0, 5)
    assert found.summary == "nothing found, 5 accepted"


def test_to_accept_a_rule_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no rule 'SAGA10l'; data/rules.md lists them"):
        check(Saga("s", step(act, undo)), ignore=["SAGA10l"])


def test_nothing_is_called() -> None:
    def never(ctx: Any) -> Any:
        raise AssertionError("called")

    saga = Saga(
        "s",
        *choice("way", never, {"a": step(never, never, name="x", when=never)}),
        for_each("each", never, step(never, never, name="one", reconcile=never)),
        await_event("e", correlate=never, timeout=never),
    )
    check(saga)


def loaded(text: str, folder: Path) -> dict[str, Any]:
    """What a Python file defines."""
    file = folder / "loaded.py"
    file.write_text(text)
    return runpy.run_path(str(file))


def test_a_module_of_thousands_of_actions_is_checked_in_seconds(tmp_path: Path) -> None:
    names = [f"{side}_{n}" for n in range(1500) for side in ("do", "undo")]
    text = "\n".join(f"def {name}(ctx):\n    return ctx.input['x']" for name in names)
    code = loaded(text, tmp_path)
    saga = Saga("s", *(step(code[f"do_{n}"], code[f"undo_{n}"]) for n in range(1500)))
    before = time.perf_counter()
    check(saga)
    assert time.perf_counter() - before < 20


def test_deep_code_is_read_to_its_end(tmp_path: Path) -> None:
    deep = " + ".join(["'x'"] * 1500 + ["ctx.results['none']"])
    code = loaded(f"def act(ctx):\n    return {deep}\n", tmp_path)
    assert "SAGA404" in check(Saga("s", step(code["act"], undo), end)).rules


def test_a_saga_of_thousands_of_steps_is_checked_in_seconds() -> None:
    steps = [step(act, undo, name=f"s{n}", service="one") for n in range(3000)]
    before = time.perf_counter()
    found = check(Saga("s", *steps))
    assert "SAGA504" in found.rules
    assert time.perf_counter() - before < 20


# -- places ---------------------------------------------------------------------------------

YAML = """\
saga: order
version: "1"
steps:
  - step: lines
    for_each:
      items: lines
      step:
        step: reserve
        compensation: release
        compensation_retry:
          attempts: 1
  - after: lines
    saga:
      saga: payment
      steps:
        - step: authorize
    step: pay
  - step: done
    pivot: true
    reconcile: ask
"""


def test_a_finding_in_a_yaml_file_has_the_line_of_its_step_or_option(tmp_path: Path) -> None:
    file = tmp_path / "order.yaml"
    file.write_text(YAML)
    found = check(Saga.from_yaml(file), file=file, ignore="SAGA201")
    assert [(one.rule, one.step, one.line) for one in found] == [
        ("SAGA101", "pay/authorize", 16),
        ("SAGA102", "lines/reserve", 10),
        ("SAGA503", "pay", 13),
    ]
    assert found[0].place == f"{file.as_posix()}:16"


PYTHON = """\
from sagakit import Retry, Saga, SagaBuilder, pivot, step
class Shop:
    def reserve(self): ...
    def release(self): ...
    def pay(self):
        try:
            self.reserve()
        except Exception:
            pass
shop = Shop()
other = Saga("other", step(shop.reserve))
order = Saga(
    "order",
    step(shop.reserve),
    step(
        shop.pay, shop.release,
        name="paid",
    ),
)
built = SagaBuilder("built")
@built.step
def first(ctx): ...
@built.step
def second(ctx): ...
"""


def test_a_finding_in_a_python_file_has_the_line_of_its_step_or_of_the_code(
    tmp_path: Path,
) -> None:
    from sagakit.cli import load_saga

    file = tmp_path / "shop.py"
    file.write_text(PYTHON)
    found = check(load_saga(f"{file}:order"), file=file, ignore="SAGA201")
    assert [(one.rule, one.line) for one in found] == [
        ("SAGA101", 11),  # the first of two steps that are called alike
        ("SAGA105", 4),
        ("SAGA107", 8),
        ("SAGA503", 12),
    ]
    found = check(load_saga(f"{file}:built"), file=file, ignore="SAGA201")
    assert [(one.rule, one.step, one.line) for one in found] == [
        ("SAGA101", "first", 22),
        ("SAGA101", "second", 24),
        ("SAGA503", None, 20),
    ]


@pytest.mark.parametrize("text", ["", "hi", "- a\n- b\n", "saga: s\nsteps: hi\n"])
def test_a_yaml_file_that_is_no_saga_gives_no_lines(text: str, tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(text)
    assert "SAGA101" in check(Saga("s", step(act), end), file=file).rules


def test_a_file_that_is_not_there_or_is_no_python_gives_no_lines(tmp_path: Path) -> None:
    saga = Saga("s", step(act), end)
    bad = tmp_path / "bad.py"
    bad.write_text("def (")
    for file in (tmp_path / "none.yaml", bad):
        assert {one.line for one in check(saga, file=file)} == {None}


def test_code_of_a_notebook_s_cell_is_read_and_its_passing_file_not_named() -> None:
    text = "def undo(ctx):\n    raise TerminalError('no')\n"
    name = "/tmp/ipykernel_4242/1234.py"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    found: dict[str, Any] = {}
    exec(compile(text, name, "exec"), found)  # noqa: S102
    [one] = [one for one in check(Saga("s", step(act, found["undo"]))) if one.rule == "SAGA103"]
    assert (one.file, one.line, one.place) == (None, None, "")


# -- undoing --------------------------------------------------------------------------------


def test_what_reads_waits_chooses_or_stands_after_the_pivot_needs_no_compensation() -> None:
    saga = Saga(
        "s",
        step(act, name="look", read=True),
        timer("night", 60),
        *choice("way", ask, {"a": step(act, undo, name="x")}),
        sub_saga(Saga("inner", step(act, undo))),
        step(act, name="off", when=False),
        end,
        step(act, name="late", idempotent=True),
    )
    assert not severities(check(saga), "SAGA101")


def test_the_last_step_of_a_saga_without_a_pivot_is_only_warned_of() -> None:
    def about(*steps: Any) -> dict[str | None, str]:
        return severities(check(Saga("s", *steps)), "SAGA101")

    assert about(step(act, undo, name="a"), step(act, name="b")) == {"b": "warning"}
    beside = step(act, undo, name="a"), step(act, name="b", after=())
    assert about(*beside) == {"b": "error"}
    inner = Saga("inner", step(act, name="b"))
    assert about(sub_saga(inner)) == {"inner/b": "warning"}
    assert about(sub_saga(inner), step(act, undo, name="c")) == {"inner/b": "error"}
    assert about(for_each("each", items, step(act, name="b"))) == {"each/b": "error"}


def test_a_message_before_the_pivot_is_told_by_its_name_or_by_its_code() -> None:
    def inform(ctx: Any) -> None:
        import smtplib

        smtplib.SMTP("localhost").sendmail("a", "b", "c")

    def about(*steps: Any) -> dict[str | None, str]:
        return severities(check(Saga("s", *steps, end)), "SAGA104")

    assert about(step(act, name="send_mail")) == {"send_mail": "warning"}
    assert about(step(inform)) == {"inform": "warning"}
    assert about(step(inform, undo)) == {"inform": "note"}
    assert about(step(act, undo, name="validate_email")) == {}
    assert about(step(act, undo, name="send_payment")) == {}
    lacking = check(Saga("s", step(act, name="send_payment"), end))
    assert severities(lacking, "SAGA101") == {"send_payment": "error"}
    assert about(step(act, name="send_query", read=True)) == {}
    saga = Saga("s", end, step(inform, idempotent=True))
    assert not severities(check(saga), "SAGA104")


def test_a_compensation_that_may_only_be_retried_on_some_errors_may_refuse() -> None:
    policy = Retry(attempts=3, wait=1, on=(ConnectionError,))
    saga = Saga("s", step(act, undo, compensation_retry=policy), end)
    assert severities(check(saga), "SAGA103") == {"act": "warning"}


def test_a_compensation_that_asks_before_it_uses_the_result_is_left_alone() -> None:
    def hasty(ctx: Any) -> None:
        print(ctx.result["id"])

    def by_name(ctx: Any) -> None:
        print(ctx.results["act"])

    def careful(ctx: Any) -> None:
        if ctx.result:
            print(ctx.result["id"])

    def whole(ctx: Any) -> None:
        print(ctx.result)

    def named(ctx: Any) -> None:
        charge = ctx.result
        print(charge["id"])

    def named_anew(ctx: Any) -> None:
        charge = ctx.result
        charge = SHARED["find"](charge)
        print(charge["id"])

    def another_s(ctx: Any) -> None:
        job = SHARED["job"]
        print(job.result["id"])

    for compensation, found in (
        (hasty, 1), (by_name, 1), (named, 1),
        (careful, 0), (whole, 0), (named_anew, 0), (another_s, 0),
    ):  # fmt: skip
        saga = Saga("s", step(act, compensation), end)
        assert len(severities(check(saga), "SAGA106")) == found, compensation


def test_an_error_that_is_told_again_is_not_swallowed() -> None:
    def swallows() -> None:
        try:
            act(None)
        except:  # noqa: E722
            print("oh")

    def translates() -> None:
        try:
            act(None)
        except Exception as error:
            raise TerminalError("no") from error

    def expects() -> None:
        try:
            act(None)
        except KeyError:
            return

    def accepts() -> Any:
        try:
            return act(None)
        except TerminalError:
            return {}

    def one_of_several() -> None:
        try:
            act(None)
        except (OSError, Exception):  # noqa: BLE001
            print("oh")

    def suppresses() -> None:
        with contextlib.suppress(Exception):
            act(None)

    def suppresses_one() -> None:
        with contextlib.suppress(KeyError):
            act(None)

    for action, found in (
        (swallows, 1), (accepts, 1), (one_of_several, 1), (suppresses, 1),
        (translates, 0), (expects, 0), (suppresses_one, 0),
    ):  # fmt: skip
        saga = Saga("s", step(action, undo), end)
        assert len(severities(check(saga), "SAGA107")) == found, action
    late = Saga("s", end, step(swallows, idempotent=True))
    assert severities(check(late), "SAGA107") == {"swallows": "note"}


# -- time -----------------------------------------------------------------------------------


def test_a_missing_timeout_is_a_warning_under_a_deadline_or_with_retries() -> None:
    def about(deadline: float | None = None, **options: Any) -> dict[str | None, str]:
        steps = step(act, undo, **options), end
        return severities(check(Saga("s", *steps, deadline=deadline)), "SAGA201")

    assert about() == {"act": "note", "end": "note"}
    assert about(deadline=60) == {"act": "warning", "end": "note"}  # which ends at the pivot
    assert about(retry=Retry(2)) == {"act": "warning", "end": "note"}
    assert about(deadline=60, timeout=1) == {"act": "note", "end": "note"}  # its compensation
    assert about(timeout=1, compensation_timeout=1) == {"end": "note"}


def test_the_deadline_of_the_saga_around_holds_inside_it() -> None:
    inner = Saga("inner", step(act, undo), version="1")
    early = Saga("s", sub_saga(inner), end, deadline=60)
    late = Saga("s", end, sub_saga(inner), deadline=60)
    assert severities(check(early), "SAGA201")["inner/act"] == "warning"
    assert severities(check(late), "SAGA201")["inner/act"] == "note"


def test_endless_retries_are_fine_after_the_pivot_and_under_a_deadline() -> None:
    patient = Retry(attempts=10**9, wait=1)
    steps = step(act, undo, retry=patient, idempotent=True), end
    assert severities(check(Saga("s", *steps)), "SAGA202") == {"act": "warning"}
    assert not severities(check(Saga("s", *steps, deadline=60)), "SAGA202")
    late = Saga("s", end, step(act, retry=patient, idempotent=True))
    assert not severities(check(late), "SAGA202")
    slow = Retry(attempts=30, wait=3600, max_wait=3600)  # few attempts, and more than a day
    assert severities(check(Saga("s", step(act, undo, retry=slow), end)), "SAGA202")


def test_an_action_that_uses_the_idempotency_key_is_taken_for_idempotent() -> None:
    def keyed(ctx: Any) -> Any:
        return ctx.idempotency_key

    def keyed_by_the_action_s(ctx: Any) -> Any:
        return ctx.action_key

    def new_key(ctx: Any) -> Any:
        return f"{ctx.idempotency_key}/{ctx.attempt}"

    for action, found in (
        (act, 1), (new_key, 1), (keyed, 0), (partial(keyed), 0), (keyed_by_the_action_s, 0),
    ):  # fmt: skip
        saga = Saga("s", step(action, undo, name="a", retry=Retry(3, wait=1)), end)
        assert len(severities(check(saga), "SAGA203")) == found
        saga = Saga("s", end, step(action, name="a"))
        assert len(severities(check(saga), "SAGA203")) == found


def test_undoing_is_counted_along_the_longest_way_back() -> None:
    def back(seconds: float, attempts: int, **options: Any) -> Any:
        policy = Retry(attempts, wait=1, backoff=1)
        return step(act, undo, compensation_timeout=seconds, compensation_retry=policy, **options)

    # 3 × 10 s and 2 × 1 s; beside it 2 × 5 s and 1 s; before both 2 × 4 s and 1 s: 41 s in all
    steps = (
        back(4, 2, name="a"),
        back(10, 3, name="b"),
        back(5, 2, name="c", after="a"),
        pivot(act, name="end", after=("b", "c")),
    )
    assert "SAGA205" not in check(Saga("s", *steps, deadline=41)).rules
    found = check(Saga("s", *steps, deadline=40.9))
    [one] = [one for one in found if one.rule == "SAGA205"]
    assert one.message == "undoing it may take 41 s, and its deadline is 40.9 s"


def test_a_saga_inside_counts_for_the_way_forward_and_back() -> None:
    slow = Simulated("slow", latency=30)
    inner = Saga("inner", step(slow, slow))
    saga = Saga("s", sub_saga(inner), end, deadline=29)
    assert {"SAGA205", "SAGA206"} <= set(check(saga).rules)
    assert not {"SAGA205", "SAGA206"} & set(
        check(Saga("s", sub_saga(inner), end, deadline=91)).rules
    )


def test_what_may_be_skipped_does_not_make_a_saga_late_for_sure() -> None:
    for when, late in ((None, True), (ask, False)):
        saga = Saga("s", timer("night", 100, when=when), end, deadline=60)
        assert ("SAGA206" in check(saga).rules) is late


def test_a_wait_has_an_end_by_its_timeout_or_before_the_pivot_by_the_deadline() -> None:
    def about(*steps: Any, **options: Any) -> dict[str | None, str]:
        return severities(check(Saga("s", *steps, **options)), "SAGA208")

    assert about(await_event("e"), end) == {"e": "warning"}
    assert about(await_event("e", timeout=9), end) == {}
    assert about(await_event("e"), end, deadline=60) == {}
    assert about(end, await_event("e"), deadline=60) == {"e": "note"}


# -- forward --------------------------------------------------------------------------------


def test_a_pivot_that_waits_or_is_a_saga_cannot_be_in_doubt() -> None:
    for chosen in (await_event("e", pivot=True), sub_saga(Saga("inner", end), pivot=True)):
        found = severities(check(Saga("s", step(act, undo), chosen)), "SAGA301")
        assert not any(step in ("e", "inner") for step in found)


class SoldOutError(TerminalError): ...


class BusyError(OSError): ...


def test_what_may_be_refused_after_the_pivot_is_told_by_code_policy_and_name() -> None:
    def refuses(ctx: Any) -> None:
        raise TerminalError("no")

    def refuses_in_its_own_words(ctx: Any) -> None:
        raise SoldOutError

    def is_busy(ctx: Any) -> None:
        raise BusyError

    def about(item: Any) -> dict[str | None, str]:
        return severities(check(Saga("s", end, item)), "SAGA302")

    assert about(step(refuses)) == {"refuses": "warning"}
    assert about(step(refuses_in_its_own_words, name="a")) == {"a": "warning"}
    assert about(step(is_busy)) == {}
    assert about(step(act, name="a", retry=Retry(wait=1, on=(OSError,)))) == {"a": "warning"}
    assert about(step(act, name="charge_card")) == {"charge_card": "note"}
    assert about(step(act, name="send_receipt")) == {}
    assert about(for_each("each", items, step(refuses))) == {"each/refuses": "warning"}


def test_a_condition_that_its_code_makes_constant_is_found() -> None:
    def never(ctx: Any) -> bool:
        return False

    def falls_through(ctx: Any) -> Any:  # noqa: RET503
        if ctx.input:
            return 0

    def sometimes(ctx: Any) -> bool:
        return bool(ctx.input)

    def about(when: Any) -> tuple[str, ...]:
        found = check(Saga("s", step(act, undo, when=when), end))
        return tuple(rule for rule in found.rules if rule in ("SAGA401", "SAGA402"))

    def sketched(ctx: Any) -> bool: ...  # type: ignore[empty-body]

    assert about(never) == about(falls_through) == ("SAGA401",)
    assert about(sometimes) == about(sketched) == about(None) == ()
    assert about(lambda ctx: True) == ("SAGA402",)
    assert severities(check(Saga("s", step(act, undo, when=False), end)), "SAGA401") == {
        "act": "note"
    }


def test_a_branch_within_a_branch_that_is_never_chosen_cannot_be_taken_either() -> None:
    def air(ctx: Any) -> str:
        return "air"

    inner = choice("inner", ask, {"x": step(act, undo, name="deep")})
    steps = choice("way", air, {"air": step(act, undo, name="fly"), "sea": inner})
    found = severities(check(Saga("s", *steps)), "SAGA401")
    assert found == {"inner": "warning", "deep": "warning"}


def test_an_expression_has_no_effect_and_ends_by_itself() -> None:
    price = step(Cel("input.seats * 45"), name="price", retry=Retry(attempts=2, wait=1))
    assert list(check(Saga("s", price, end, version="1"), ignore="SAGA201:end")) == []
    undone = step(Cel("input.seats * 45"), undo, name="price")
    assert severities(check(Saga("s", undone, end)), "SAGA201") == {"price": "note", "end": "note"}


def test_a_connector_has_a_timeout_of_its_own() -> None:
    call = Http("https://bank.example", method="POST")
    assert severities(check(Saga("s", step(call, call, name="call"))), "SAGA201") == {}
    half = Saga("s", step(call, undo, name="call"))
    assert [one.message for one in check(half) if one.rule == "SAGA201"] == [
        "its compensation may hang for ever"
    ]


def test_a_simulated_choice_stands_for_any_but_must_name_a_branch() -> None:
    text = """
saga: s
steps:
  - {step: way, choice: %s}
  - {step: fly, branch: [way, air], compensation: undo}
  - {step: sail, branch: [way, sea], compensation: undo}
"""
    assert not {"SAGA401", "SAGA403"} & set(check(Saga.from_yaml(text % "by_weight")).rules)
    assert "SAGA403" in check(Saga.from_yaml(text % "{result: road}")).rules


def by_if(ctx: Any) -> Any:
    if ctx.input:
        return "air"
    elif ctx.attempt:  # noqa: RET505
        return "sea"
    else:
        raise TerminalError("no way")


def by_try(ctx: Any) -> Any:
    with SHARED["lock"]:
        try:
            SHARED["ask"]()
        except OSError:
            return "sea"
        else:
            return "air"


def by_match(ctx: Any) -> Any:
    match ctx.input:
        case "air":
            return "air"
        case _:
            return "sea"


def by_loop(ctx: Any) -> Any:
    while True:
        if ctx.input:
            return "air"


def by_if_alone(ctx: Any) -> Any:  # noqa: RET503
    if ctx.input:
        return "air"


def by_match_of_one(ctx: Any) -> Any:
    match ctx.input:
        case "air":
            return "air"


def by_loop_with_an_end(ctx: Any) -> Any:
    while True:
        if ctx.input:
            break
        return "air"


@pytest.mark.parametrize(
    ("by", "found"),
    [
        (by_if, False), (by_try, False), (by_match, False), (by_loop, False), (ask, False),
        (by_if_alone, True), (by_match_of_one, True), (by_loop_with_an_end, True),
    ],
)  # fmt: skip
def test_a_choice_that_may_end_without_an_answer_is_found(by: Any, found: bool) -> None:
    branches = {name: step(act, undo, name=name) for name in ("air", "sea")}
    assert ("SAGA403" in check(Saga("s", *choice("way", by, branches))).rules) is found


def test_a_simulated_choice_may_have_any_result() -> None:
    way = Simulated("way", result=["air"])
    [one] = [
        one
        for one in check(Saga("s", *choice("way", way, {"air": step(act, undo)})))
        if one.rule == "SAGA403"
    ]
    assert one.message == "may choose ['air'], and its branches are 'air'"


def test_a_result_must_be_there_when_it_is_read() -> None:
    def reads(ctx: Any) -> Any:
        return ctx.results["first"]

    def asks_first(ctx: Any) -> Any:
        return ctx.results["first"] if "first" in ctx.results else None  # noqa: SIM401

    def asks_another(ctx: Any) -> Any:
        return ctx.results["first"] if "first" in ctx.input else None

    def catches(ctx: Any) -> Any:
        try:
            return ctx.results["first"]
        except KeyError:
            return None

    def catches_another(ctx: Any) -> Any:
        try:
            return ctx.results["first"]
        except OSError:
            return None

    def has_its_own(ctx: Any) -> Any:
        results = {"first": 1}
        return results["first"], SHARED["report"].results["first"]

    def knows_when(ctx: Any) -> Any:
        return ctx.results["first"] if ctx.input else None

    def asks(ctx: Any) -> Any:
        return ctx.results.get("first")

    def about(*steps: Any) -> list[tuple[str | None, str]]:
        return list(severities(check(Saga("s", *steps)), "SAGA404").items())

    first = step(act, undo, name="first")
    assert about(first, step(reads, undo)) == []
    assert about(step(reads, undo), first) == [("reads", "error")]
    assert about(first, step(reads, undo, after=())) == [("reads", "error")]
    assert about(first, step(asks, undo, after=())) == []
    assert about(step(reads, undo, name="alone")) == [("alone", "error")]
    for careless in (catches_another, asks_another):
        assert about(step(careless, undo, name="alone")) == [("alone", "error")]
    for careful in (asks_first, catches, has_its_own):
        assert about(first, step(careful, undo, after=())) == [], careful
    assert about(step(act, reads, name="a"), first) == [("a", "warning")]
    assert about(step(act, undo, name="a", when=reads), first) == [("a", "error")]
    skipped = step(act, undo, name="first", when=ask)
    assert about(skipped, step(reads, undo)) == [("reads", "warning")]
    assert about(skipped, step(knows_when, undo)) == []
    within = choice("way", ask, {"x": [first, step(reads, undo)], "y": step(act, undo, name="b")})
    assert about(*within) == []
    assert about(*within, step(reads, undo, name="join")) == [("join", "warning")]


# -- design ---------------------------------------------------------------------------------

SHARED: dict[str, Any] = {}


def test_a_value_that_was_read_before_must_not_be_written_back() -> None:
    def computes(ctx: Any) -> None:
        SHARED["balance"] = ctx.results["a"] - 40

    def restores(ctx: Any) -> None:
        SHARED["balance"] = ctx.result

    def computes_in_between(ctx: Any) -> None:
        balance = ctx.results["a"]
        rest = balance - 40
        SHARED["balance"] = rest

    def rereads(ctx: Any) -> None:
        balance = ctx.results["a"]
        balance = SHARED["balance"]
        SHARED["balance"] = balance - 40

    def keeps_its_own(ctx: Any) -> None:
        SHARED[ctx.execution_id] = ctx.results["a"] - 40

    def notes_down(ctx: Any) -> None:
        SHARED["last"] = ctx.results["a"]

    def compares(ctx: Any) -> None:
        if SHARED["version"] == SHARED.version:  # type: ignore[attr-defined]
            SHARED["balance"] = ctx.results["a"] - 40

    def local(ctx: Any) -> Any:
        mine = {}
        mine["x"] = ctx.results["a"] - 40
        return mine

    first = step(act, undo, name="a")
    for action in (keeps_its_own, notes_down, compares, local, rereads):
        assert "SAGA501" not in check(Saga("s", first, step(action, undo), end)).rules, action
    for action in (computes, computes_in_between):
        found = check(Saga("s", first, step(action, undo, name="b"), end))
        assert severities(found, "SAGA501") == {"b": "warning"}
    assert "SAGA501" in check(Saga("s", step(act, restores), end)).rules


def test_a_value_that_is_locked_or_weighed_may_be_written_back() -> None:
    lock, clock = SemanticLock(World(rows={}).rows), World(rows={})

    def look(ctx: Any) -> Any:
        return SHARED["balance"]

    def look_locked(ctx: Any) -> Any:
        lock.take("balance", ctx.execution_id)
        return SHARED["balance"]

    def look_at_the_clock(ctx: Any) -> Any:
        return clock.rows, SHARED["balance"]

    def write(ctx: Any) -> None:
        SHARED["balance"] = ctx.results["look"] - 40

    def all_at_once(ctx: Any) -> None:
        SHARED["balance"] -= 40

    def told(first: Any) -> bool:
        saga = Saga("s", step(first, undo, name="look"), step(write, undo))
        return "SAGA501" in check(saga).rules

    assert told(look)
    assert told(look_at_the_clock)
    assert not told(look_locked)
    low = [step(look), step(write, undo)]
    weighed = by_value("stake", lambda ctx: ctx.input, 100, low=low, high=step(all_at_once, undo))
    assert "SAGA501" not in check(Saga("s", *weighed)).rules
    branches = {"low": low, "high": step(all_at_once, undo)}
    assert "SAGA501" in check(Saga("s", *choice("c", lambda ctx: "low", branches))).rules


def test_each_pair_of_the_isolation_lab_passes_with_its_countermeasure() -> None:
    lost = next(pair for pair in pairs() if pair.anomaly == "lost update")
    found = {name for name, sagas in lost.sagas.items() if "SAGA501" in check(sagas[0]).rules}
    assert found == {"without"}


def test_where_no_code_is_known_a_read_of_the_same_service_is_told_of() -> None:
    look = step(Simulated("look"), read=True, service="bank")
    pay, other = (
        step(Simulated(name), Simulated("undo"), name=name, service=name)
        for name in ("bank", "shop")
    )
    assert severities(check(Saga("s", look, pay, end)), "SAGA501") == {"bank": "note"}
    assert not severities(check(Saga("s", look, other, end)), "SAGA501")


def test_branches_of_one_choice_and_reads_do_not_meet() -> None:
    def item(name: str, **options: Any) -> Any:
        return step(act, undo, name=name, service="till", **options)

    def about(*steps: Any, **options: Any) -> dict[str | None, str]:
        return severities(check(Saga("s", *steps, **options)), "SAGA502")

    assert about(item("a"), item("b", after=())) == {"a": "note"}
    assert about(*choice("way", ask, {"x": item("a"), "y": item("b")})) == {}
    assert about(item("a"), step(act, name="b", read=True, service="till", after=())) == {}
    alone = Service("till", bulkhead=Bulkhead(calls=1))
    assert about(item("a"), item("b", after=()), services=[alone]) == {}


KEY = "AKIA" + "QWERTYUIOPASDFGH"
API_KEY = "k-5550123"
TIMEOUT = "k-5550123"


def test_secrets_are_found_wherever_they_stand_and_never_shown() -> None:
    def keyed(ctx: Any) -> None:
        act(dict(password="correct-horse"))  # noqa: C408

    def by_default(ctx: Any, password: str = "correct-horse") -> None:
        act(password)

    def by_constant(ctx: Any) -> None:
        act(API_KEY)

    def in_a_header(ctx: Any) -> None:
        act({"Authorization": "Bearer 0a1b2c3d4e5f6a7b8c9d"})

    def from_outside(ctx: Any) -> None:
        import os

        act({"password": os.environ["PASSWORD"], "api_key": "", "secret": "<your secret>"})
        act({"Authorization": "Bearer authentication"}, TIMEOUT)
        act("postgresql://user:password@localhost/db")

    schema = {"properties": {"api_key": {"type": "string", "default": "k-123456"}}}
    sagas = {
        "action": Saga("s", step(keyed, undo)),
        "question": Saga("s", step(act, undo, when=keyed)),
        "default": Saga("s", step(by_default, undo)),
        "constant": Saga("s", step(by_constant, undo)),
        "header": Saga("s", step(in_a_header, undo)),
        "result": Saga("s", step(Simulated("a", result={"token": KEY}), undo)),
        "redact": Saga("s", step(Simulated("a", result={"tan": "998877"}), undo), redact=["tan"]),
        "description": Saga("s", step(act, undo, description=f"use {KEY}")),
        "schema": Saga("s", step(act, undo), input=schema, redact=["api_key"]),
        "url": Saga("s", step(act, undo), description="at https://ann:pa55word@bank.example"),
    }
    for place, saga in sagas.items():
        found = [one for one in check(saga) if one.rule == "SAGA601"]
        assert len(found) == 1, place
        for secret in (KEY, "correct-horse", "998877", "k-123456", "pa55word", API_KEY, "0a1b"):
            assert secret not in str(found[0])
    assert "SAGA601" not in check(Saga("s", step(from_outside, undo))).rules


def test_a_long_text_is_searched_for_secrets_in_no_time() -> None:
    saga = Saga("s", step(Simulated("a", result="a-" * 100_000), undo))
    before = time.perf_counter()
    check(saga)
    assert time.perf_counter() - before < 5


class Card(msgspec.Struct):
    card_number: str
    amount: int


class Order(msgspec.Struct):
    card: Card
    password: str


def test_sensitive_fields_of_a_typed_input_are_to_be_declared() -> None:
    found = check(Saga("s", step(act, undo), input=Order))
    names = [one.message for one in found if one.rule == "SAGA602"]
    assert [name.split("'")[1] for name in names] == ["card_number", "password"]
    declared = Saga("s", step(act, undo), input=Order, redact=["Card_Number", "password"])
    assert "SAGA602" not in check(declared).rules
    inner = Saga("inner", step(act, undo), input=Card)
    assert "SAGA602" not in check(Saga("s", sub_saga(inner), redact=["card_number"])).rules
