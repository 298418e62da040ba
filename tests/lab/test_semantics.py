"""One saga under several rules of undoing: what is called, who is told, what is left behind."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import Any

import pytest
from worlds import Street

from sagakit import (
    DefinitionError,
    Retry,
    Saga,
    SagaBuilder,
    SagaError,
    Scenario,
    await_event,
    choice,
    pivot,
    simulate,
    step,
    sub_saga,
)
from sagakit.errors import InputError, ScenarioError
from sagakit.lab import ORDER, Twin, semantics
from sagakit.lab.rules import (
    RULES,
    Turned,
    all_at_once,
    register_after,
    register_before,
    reverse_order,
    stop_at_first_failure,
    swallow_failures,
    undo_failed_step,
)

STUCK = Scenario().fail("ship").fail_compensation("charge")


@pytest.fixture
def street() -> Street:
    return Street()


def _row(street: Street) -> Saga:
    return street.row("order", "charge", "reserve", "ship")


def test_where_nothing_fails_no_rule_differs(street: Street) -> None:
    found = semantics(_row(street), world=street.fresh)
    assert [outcome.ended for outcome in found.outcomes] == ["completed"] * len(RULES)
    assert {outcome.order for outcome in found.outcomes} == {("order", "charge", "reserve", "ship")}
    assert not any(outcome.residue or outcome.told for outcome in found.outcomes)
    assert all(outcome.effects["ship"] == 1 for outcome in found.outcomes)


@pytest.mark.parametrize(
    ("rule", "back", "told", "unseen", "left"),
    [
        (reverse_order, "reserve charge charge charge", "ship undo charge", "", "order charge"),
        (
            all_at_once,
            "order charge reserve charge charge",
            "ship undo charge",
            "",
            "charge",
        ),
        (undo_failed_step, "ship reserve charge order", "ship undo charge", "", "charge"),
        (stop_at_first_failure, "reserve charge", "undo charge", "", "order charge"),
        (swallow_failures, "reserve charge order", "ship", "undo charge", "charge"),
        (register_before, "ship reserve charge order", "ship undo charge", "", "charge"),
        (register_after, "reserve charge order", "ship undo charge", "", "charge"),
    ],
)
def test_each_rule_has_its_own_way_with_a_compensation_that_fails(
    street: Street, rule: Any, back: str, told: str, unseen: str, left: str
) -> None:
    saga = Saga(
        "row",
        step(street.act, street.undo, name="order"),
        step(street.act, _failing, name="charge", compensation_retry=Retry(3, wait=1)),
        step(street.act, street.undo, name="reserve"),
        step(street.act, street.undo, name="ship"),
    )
    found = semantics(saga, world=street.fresh, scenario=Scenario().fail("ship"))[rule]
    assert found.order[4:] == tuple(f"undo {name}" for name in back.split())
    assert " ".join(found.told) == told
    assert " ".join(found.unseen) == unseen
    assert set(found.residue) == set(left.split())


def _failing(ctx: Any) -> None:
    raise ConnectionError("the bank is down")


def test_a_lost_reply_is_undone_only_by_those_who_undo_what_they_began(street: Street) -> None:
    found = semantics(_row(street), world=street.fresh, scenario=Scenario().lose_reply("reserve"))
    clean = {outcome.rule for outcome in found.outcomes if not outcome.residue}
    assert clean == {"reverse order", "undo failed step", "register before"}
    assert found[swallow_failures].residue == {"reserve": 1}
    assert found[swallow_failures].ended == "compensated", "which is what it says"


def test_a_late_request_finds_the_door_shut_only_where_it_was_undone(street: Street) -> None:
    found = semantics(_row(street), world=street.fresh, scenario=Scenario().deliver_late("charge"))
    assert found[reverse_order].residue == found[register_before].residue == {}
    assert found[register_after].residue == {"charge": 1}
    assert found[register_after].world.calls[-1] == "charge"


def test_a_retry_of_the_compensation_helps_where_there_is_one(street: Street) -> None:
    scenario = Scenario().fail("ship").fail_compensation("charge", 1)
    found = semantics(_row(street), world=street.fresh, scenario=scenario)
    clean = {outcome.rule for outcome in found.outcomes if not outcome.residue}
    assert clean == {"reverse order", "all at once"}
    assert found[all_at_once].told == ("ship",)
    assert [str(c) for c in found[all_at_once].calls if c.attempt == 2] == ["undo charge"]
    assert found[swallow_failures].unseen == ("undo charge",)


def test_the_coordinators_own_rule_is_the_coordinator(street: Street) -> None:
    saga = street.checkout()
    scenario = Scenario().fail("confirm").fail_compensation("charge")
    own = semantics(saga, world=street.fresh, scenario=scenario, rules=[reverse_order]).outcomes[0]
    street.fresh()
    assert own.execution.events == simulate(saga, scenario=scenario, id="checkout-0").events
    assert (own.ended, own.told) == ("stuck", ("confirm", "undo charge"))


def test_steps_side_by_side_are_marked_and_all_that_was_begun_is_told_apart(
    street: Street,
) -> None:
    saga = Saga(
        "s",
        step(street.act, street.undo, name="a"),
        step(street.act, street.undo, name="b", after="a"),
        step(street.act_slowly, street.undo_slowly, name="c", after="a"),
    )
    scenario = Scenario().fail("b").lose_reply("c")
    found = semantics(saga, world=street.fresh, scenario=scenario)
    assert found[undo_failed_step].order[3:] == ("undo b", "undo a")
    assert found[register_before].order[3:] == ("undo c", "undo b", "undo a")
    assert [call.beside for call in found[register_before].calls] == [False, False, True] + [
        False
    ] * 3
    assert found[undo_failed_step].residue == {"c": 1}


def test_no_other_rule_knows_a_pivot(street: Street) -> None:
    saga = Saga(
        "s",
        step(street.act, street.undo, name="charge"),
        pivot(street.act, name="confirm"),
        step(street.act, name="ship"),
    )
    found = semantics(saga, world=street.fresh, scenario=Scenario().fail("ship"))
    assert found[reverse_order].ended == "stuck"
    assert found[reverse_order].effects == {"charge": 1, "confirm": 1}
    assert found[register_after].ended == "compensated"
    assert found[register_after].residue == {"confirm": 1}, "which cannot be undone"


def test_compensations_are_given_the_results_and_keys_of_the_way_forward(street: Street) -> None:
    seen: list[Any] = []

    def undo(ctx: Any) -> None:
        seen.append((ctx.result, ctx.input, ctx.idempotency_key, ctx.attempt, dict(ctx.results)))

    saga = Saga("s", step(street.act, undo, name="a"), step(_failing, name="b"))
    semantics(saga, {"n": 1}, world=street.fresh)
    assert len(seen) == len(RULES)
    assert all(given == seen[0] for given in seen)
    done = "a done"
    assert seen[0] == (done, {"n": 1}, "s-0/a/compensation", 1, {"a": done})


def test_waits_and_choices_are_no_calls(street: Street) -> None:
    saga = Saga(
        "s",
        step(street.act, street.undo, name="a"),
        *choice("way", lambda ctx: "x", {"x": step(street.act, street.undo, name="b")}),
        await_event("paid", timeout=5),
        step(street.act, name="c"),
    )
    found = semantics(saga, world=street.fresh)
    assert found[register_after].order == ("a", "b", "undo b", "undo a")
    assert found[register_after].told == ("paid",)
    patient = Saga("s", step(street.act, street.undo, name="a"), await_event("paid"))
    waiting = semantics(patient, world=street.fresh)
    assert {outcome.ended for outcome in waiting.outcomes} == {"waiting"}
    assert not any(outcome.residue for outcome in waiting.outcomes)


def test_async_and_slow_compensations_cost_no_real_time(street: Street) -> None:
    saga = street.checkout()
    scenario = Scenario().fail("confirm").slow("reserve", 3600)
    found = semantics(saga, world=street.fresh, scenario=scenario)
    assert {outcome.ended for outcome in found.outcomes} == {"compensated"}
    assert not any(outcome.residue for outcome in found.outcomes)


# -- rules of one's own --------------------------------------------------------------------------


def test_a_rule_of_ones_own_is_a_generator_function(street: Street) -> None:
    def first_things_first(turned: Turned) -> Generator[Any, Any, Any]:
        for name in turned.succeeded:
            yield (name,)

    rules = [reverse_order, first_things_first]
    found = semantics(_row(street), world=street.fresh, scenario=STUCK, rules=rules)
    outcome = found["first things first"]
    assert outcome.order[4:] == ("undo order", "undo charge", "undo reserve")
    assert (outcome.told, outcome.unseen) == ((), ("undo charge",))
    with pytest.raises(KeyError, match=r"no rule 'swallow failures'.*'first things first'"):
        found[swallow_failures]


def test_a_rule_is_told_of_calls_alone(street: Street) -> None:
    heard: list[Turned] = []

    def curious(turned: Turned) -> Any:
        heard.append(turned)
        yield ()

    saga = Saga(
        "s",
        step(street.act, street.undo, name="a", compensation_retry=Retry(5)),
        *choice("way", lambda ctx: "x", {"x": step(street.act, name="b")}),
        step(_failing, name="c"),
    )
    semantics(saga, world=street.fresh, rules=[curious])
    (turned,) = heard
    assert (turned.begun, turned.succeeded, turned.failed) == (("a", "b", "c"), ("a", "b"), ("c",))
    assert turned.attempts["a"] == 5


def test_a_rule_that_is_none_is_refused_with_the_cure(street: Street) -> None:
    def no_generator(turned: Turned) -> Any:
        return turned.succeeded

    def stranger(turned: Turned) -> Any:
        yield ("bill",)

    for rule, words in (
        (no_generator, "rule 'no generator' gives .*; write a generator function"),
        (stranger, "would undo 'bill', which is no step of saga 'row'"),
    ):
        with pytest.raises(SagaError, match=words):
            semantics(_row(street), world=street.fresh, scenario=STUCK, rules=[rule])
    with pytest.raises(SagaError, match="has no rules to try"):
        semantics(_row(street), rules=[])
    with pytest.raises(SagaError, match="names a rule twice"):
        semantics(_row(street), rules=[reverse_order, reverse_order])


def test_the_checkout_world_keeps_what_no_rule_of_theirs_takes_back() -> None:
    twin = Twin()
    scenario = Scenario().lose_reply("reserve_stock").fail_compensation("charge_payment")
    found = semantics(twin.saga, ORDER, world=twin.fresh, scenario=scenario)
    assert found[reverse_order].residue == {"create_order": 1, "charge_payment": 1}
    assert found[reverse_order].ended == "stuck", "and a person is asked"
    assert found[swallow_failures].residue == {"charge_payment": 1, "reserve_stock": 1}
    assert found[swallow_failures].ended == "compensated"
    assert found[register_before].residue == {"charge_payment": 1}


# -- worlds that cannot say what stands in them ---------------------------------------------------


def _till() -> tuple[Any, Any, Saga]:
    here: dict[str, Any] = {}

    def fresh() -> dict[str, Any]:
        here["till"] = {"float": 100}
        till: dict[str, Any] = here["till"]
        return till

    def charge(ctx: Any) -> None:
        here["till"][ctx.execution_id] = ctx.input

    def refund(ctx: Any) -> None:
        here["till"].pop(ctx.execution_id, None)

    saga = Saga("s", step(charge, refund), step(_failing, name="ship"), redact=("card",))
    return fresh, here, saga


def test_a_world_without_effects_is_compared_with_what_it_was() -> None:
    fresh, _, saga = _till()
    scenario = Scenario().lose_reply("charge")
    found = semantics(saga, {"amount": 42, "card": "4111-1111"}, world=fresh, scenario=scenario)
    assert found[reverse_order].residue == {}
    residue = found[register_after].residue
    assert list(residue) == ["s-0"], "the float was there before"
    assert "42" in residue["s-0"]
    for shown in (found.frame().to_string(), repr(found), found._repr_html_(), str(residue)):
        assert "4111-1111" not in shown
    assert list(found.residue().columns) == ["s-0"]
    assert found.residue().loc["reverse order", "s-0"] == ""


def test_entries_that_are_gone_are_residue_too() -> None:
    here: dict[str, Any] = {}

    class Shelf:
        def __init__(self) -> None:
            self.teapots = 3
            self.label = "tea"
            here["shelf"] = self

    def take(ctx: Any) -> None:
        here["shelf"].teapots -= 1
        del here["shelf"].label

    saga = Saga("s", step(take), step(_failing, name="ship"))
    found = semantics(saga, world=Shelf)
    assert found[register_before].residue == {"label": "(gone)", "teapots": "2"}


def test_a_world_that_cannot_be_compared_is_refused_with_the_cure(street: Street) -> None:
    def world() -> dict[str, Any]:
        return {"lock": threading.Lock()}

    with pytest.raises(SagaError, match=r"entry 'lock' of its world cannot .* give the world eff"):
        semantics(_row(street), world=world)


def nothing() -> None: ...


@pytest.mark.parametrize("kind", [list, set])
def test_a_world_without_entries_is_compared_as_a_whole(kind: type) -> None:
    books: list[Any] = []

    def fresh() -> Any:
        books.clear()
        return books if kind is list else set()

    def charge() -> None:
        books.append("charged")

    saga = Saga("s", step(charge, print, name="charge"), step(print, name="ship"))
    found = semantics(saga, world=fresh, scenario=Scenario().fail("ship"))
    left = {"world": "['charged']"} if kind is list else {}
    assert all(outcome.residue == left for outcome in found.outcomes)


def test_without_a_world_nobody_says_that_nothing_is_left(street: Street) -> None:
    found = semantics(_row(street), scenario=STUCK)
    assert "no world to look at" in repr(found)
    assert "no residue" not in repr(found)
    assert "nothing is left" not in found.picture().svg
    assert "nothing left behind" not in found.picture().alt
    assert "no world was given" in found.picture().svg


@pytest.mark.parametrize("yielded", ["a", None, (1,)])
def test_a_rule_that_yields_no_names_is_refused_with_the_cure(street: Street, yielded: Any) -> None:
    def rule(turned: Turned) -> Any:
        yield yielded

    with pytest.raises(SagaError, match=r"rule 'rule' .*; yield tuples of the names"):
        semantics(_row(street), world=street.fresh, scenario=STUCK, rules=[rule])


def test_what_is_no_saga_is_refused_with_the_cure() -> None:
    for given in (5, SagaBuilder("s")):
        with pytest.raises(DefinitionError, match=r"is not a Saga; of a SagaBuilder give"):
            semantics(given)  # type: ignore[arg-type]


def test_without_a_world_the_calls_alone_are_compared() -> None:
    saga = Saga("s", *(step(nothing, nothing, name=name) for name in ("charge", "ship")))
    scenario = Scenario().fail("ship").fail_compensation("charge")
    found = semantics(saga, scenario=scenario)
    assert list(found.frame().columns) == ["ended", "calls", "told", "unseen"]
    assert found[stop_at_first_failure].order == ("charge", "ship", "undo charge")


def test_what_stands_twice_is_residue_of_a_completed_execution() -> None:
    counts = {"charge": 0}

    class World:
        def effects(self) -> dict[str, int]:
            return dict(counts)

    def fresh() -> World:
        counts["charge"] = 0
        return World()

    def charge() -> None:
        counts["charge"] += 1

    saga = Saga("s", step(charge))
    found = semantics(saga, world=fresh, scenario=Scenario().repeat("charge"))
    assert {outcome.ended for outcome in found.outcomes} == {"completed"}
    assert all(outcome.residue == {"charge": 1} for outcome in found.outcomes)


def test_what_other_tools_would_do_is_in_no_trace(street: Street) -> None:
    capture = pytest.importorskip("sagakit.trace").capture
    with capture() as caught:
        semantics(_row(street), world=street.fresh, scenario=STUCK, rules=[register_after])
    assert caught.spans == []
    with capture() as caught:
        semantics(_row(street), world=street.fresh, scenario=STUCK)
    assert [span.name for span in caught.spans if span.parent_id is None] == ["saga row"]


# -- wrong questions -------------------------------------------------------------------------------


def test_what_other_tools_do_not_know_is_refused_with_the_cure(street: Street) -> None:
    bank = street.row("charge")
    outer = Saga("order", sub_saga(bank, name="pay"))
    with pytest.raises(SagaError, match=r"step 'pay' is done by a saga.* on that saga alone"):
        semantics(outer)
    with pytest.raises(ScenarioError, match="who remembers anything after a crash"):
        semantics(bank, scenario=Scenario().crash(1))
    with pytest.raises(ScenarioError, match="has no step 'z' to fail"):
        semantics(bank, scenario=Scenario().fail("z"))
    with pytest.raises(InputError):
        semantics(bank, object())


# -- what is shown ---------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_rule_and_a_column_for_each_step(street: Street) -> None:
    frame = semantics(_row(street), world=street.fresh, scenario=STUCK).frame()
    steps = ["order", "charge", "reserve", "ship"]
    assert list(frame.columns) == ["ended", "calls", "told", "unseen", *steps]
    assert frame.index.name == "rule"
    assert frame.loc["stop at first failure", steps].tolist() == [1, 1, 0, 0]
    assert frame.loc["stop at first failure", "calls"] == (
        "✓ order → ✓ charge → ✓ reserve → ✗ ship → ↶ undo reserve → ⊗ undo charge"
    )
    assert frame.loc["all at once", "calls"].endswith(
        "↶ undo order ∥ ⊗ undo charge ∥ ↶ undo reserve → ⊗ undo charge (2) → ⊗ undo charge (3)"
    )
    assert frame.loc["swallow failures", "unseen"] == "undo charge"


def test_a_notebook_shows_the_picture_and_its_table_the_same_each_time(street: Street) -> None:
    def shown() -> Any:
        return semantics(_row(street), world=street.fresh, scenario=STUCK)

    assert repr(shown()) == (
        "<Semantics of 'row' under fail ship, fail compensation of charge: "
        "7 rules, 7 with a residue, 1 with an unseen failure>"
    )
    html = shown()._repr_html_()
    assert html.startswith('<img src="data:image/svg+xml;base64,')
    assert "<td>swallow failures</td>" in html
    assert html == shown()._repr_html_()
