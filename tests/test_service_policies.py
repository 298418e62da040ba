"""Services with policies in a definition: its problems, its YAML form, its pictures and its log."""

from __future__ import annotations

import asyncio

import pytest

from sagakit import (
    Bulkhead,
    CircuitBreaker,
    DefinitionError,
    Hedge,
    RateLimit,
    RetryBudget,
    Saga,
    SagaBuilder,
    Service,
    await_event,
    for_each,
    simulate,
    step,
    sub_saga,
)
from sagakit.events import HedgeStarted
from sagakit.story import read_bars

FULL = Service(
    "bank",
    CircuitBreaker(failures=3, reset=5),
    Bulkhead(calls=8),
    RateLimit(calls=100),
    RetryBudget(),
    Hedge(after=0.2),
)


def ask():
    pass


def act():
    pass


def undo():
    pass


def problems(*steps, services):
    with pytest.raises(DefinitionError) as caught:
        Saga("s", *steps, services=services)
    return caught.value.problems


def test_a_read_has_nothing_to_undo():
    assert problems(step(ask, undo, read=True), services=()) == (
        "step 'ask' only reads, which leaves nothing to undo; drop its compensation",
    )
    assert problems(step(ask, read="yes"), services=()) == (
        "step 'ask': read is 'yes'; give True or False",
    )


def test_a_step_that_waits_reads_nothing():
    import msgspec

    waits = msgspec.structs.replace(await_event("paid"), read=True)
    assert problems(waits, services=()) == ("step 'paid' waits and calls nothing; drop its read",)


def test_a_hedge_needs_a_read():
    assert problems(step(act, service="bank"), services=[FULL]) == (
        "service 'bank' has a hedge, and none of its steps is a read; declare one that has no "
        "effect read=True, or drop the hedge",
    )


def test_what_is_no_service_is_said():
    assert problems(step(act), services=[7, "bank"]) == (
        "7 is not a service; give Service('NAME', …)",
        "'bank' is not a service; give Service('NAME', …)",
    )
    assert problems(step(act), services=7) == ("7 is not a service; give Service('NAME', …)",)
    assert problems(step(act), services=[Service("bank")]) == (
        "service 'bank' is named by no step; give a step service=, or drop it",
    )


def test_one_service_may_be_given_by_itself():
    service = Service("bank", bulkhead=Bulkhead())
    alone, listed = (
        Saga("s", step(act, service="bank"), services=given) for given in (service, [service])
    )
    assert alone == listed
    assert alone.services == (service,)
    assert hash(alone) == hash(listed)


def test_the_three_forms_are_equal():
    declared = Saga("s", step(ask, read=True, service="bank"), services=[FULL])
    builder = SagaBuilder("s", services=[FULL])
    builder.add_step(ask, read=True, service="bank")
    assert builder.build() == declared
    text = declared.to_yaml()
    assert Saga.from_yaml(text, actions=[ask]) == declared
    assert Saga.from_yaml(text, actions=[ask]).to_yaml() == text
    assert "  read: true\n" in text
    assert text.index("services:") < text.index("steps:")


def test_yaml_problems_name_their_line():
    text = """\
saga: s
services:
  - service: bank
    braker: {failures: 3}
    breaker: {failures: 3, rest: 5}
    bulkhead: {calls: many}
  - bulkhead: {calls: 1}
  - 7
steps:
  - {step: a, service: bank, read: 1}
"""
    with pytest.raises(DefinitionError) as caught:
        Saga.from_yaml(text)
    assert [problem.partition(":")[0] for problem in caught.value.problems[:6]] == [
        *["line 4", "line 5", "line 6", "line 7", "line 8", "line 10"],
    ]
    shown = "\n".join(caught.value.problems)
    assert "service 'bank' has an unknown key 'braker' (did you mean 'breaker'?)" in shown
    assert "service 'bank': breaker has an unknown key 'rest' (did you mean 'reset'?)" in shown
    assert "service 2 has no name; add 'service: NAME'" in shown
    assert "service 3 must be a mapping such as '- service: NAME'" in shown


def test_services_that_are_no_list_are_refused():
    with pytest.raises(DefinitionError, match="line 2: 'services' must be a list of '- service: "):
        Saga.from_yaml("saga: s\nservices: {bank: 1}\nsteps: [{step: a}]\n")


def test_the_flow_shows_what_protects_a_step():
    saga = Saga(
        "s", step(ask, read=True, service="bank"), step(act, service="bank"), services=[FULL]
    )
    read, write = (node.notes for node in saga.flow_nodes())
    policies = ("breaker", "8 at once", "100/s", "retries at most 20%")
    assert read == ("reads only", *policies, "hedge 0.2 s")
    assert write == policies
    slow = Service("bank", rate_limit=RateLimit(calls=5, per=60))
    (node,) = Saga("s", step(act, service="bank"), services=[slow]).flow_nodes()
    assert node.notes == ("5/60 s",)


def sick():
    """Held, hedged, refused: everything that pictures show of services."""
    answers = iter([5, 0.2])

    async def price():
        await asyncio.sleep(next(answers))

    async def work():
        await asyncio.sleep(1)

    def charge():
        raise ConnectionError("down")

    from sagakit import Retry

    saga = Saga(
        "s",
        step(price, read=True, service="prices"),
        step(work, work, name="left", after="price", service="stock"),
        step(work, work, name="right", after="price", service="stock"),
        step(charge, service="bank", after=("left", "right"), retry=Retry(2)),
        services=[
            Service("prices", hedge=Hedge(after=0.5)),
            Service("stock", bulkhead=Bulkhead(calls=1)),
            Service("bank", breaker=CircuitBreaker(failures=1)),
        ],
    )
    return simulate(saga)


def read_all(execution):
    return read_bars(execution.history(), execution._parts(True))


def test_the_timeline_shows_what_was_held_asked_again_and_cut_off():

    bars, marks = read_all(sick())
    held = [bar for bar in bars if bar.outcome == "held"]
    assert [(bar.side, bar.end - bar.start) for bar in held] == [
        ("action", pytest.approx(1)),
        ("compensation", pytest.approx(1)),
    ]
    assert (held[0].step, held[0].label) == ("right", "bulkhead")
    assert [(mark.kind, mark.text) for mark in marks] == [
        ("hedge", "price again"),
        ("breaker", "bank: open"),
    ]
    last = [bar for bar in bars if bar.step == "charge"][-1]
    assert (last.outcome, last.label) == ("failed", "refused by circuit breaker")
    svg = sick().timeline().svg
    assert "‖ held" in svg
    assert "⌁ breaker" in svg
    assert "⇉ hedge" in svg


def test_a_held_attempt_that_never_went_has_its_bar_too():
    from sagakit import Scenario

    limit = Service("bank", rate_limit=RateLimit(calls=1, per=9))
    steps = [step(act, name=name, after=(), service="bank") for name in "ab"]
    saga = Saga("s", *steps, services=[limit])
    taken_back = simulate(saga, scenario=Scenario().cancel(at=4))
    bars, _ = read_all(taken_back)
    assert [(bar.outcome, bar.start, bar.end) for bar in bars if bar.step == "b"] == [
        ("held", 0.0, 4.0),
        ("failed", 4.0, 4.0),
    ]
    from sagakit import Execution

    bars, _ = read_all(Execution(saga, taken_back.events[:5]))
    assert [(bar.outcome, bar.end) for bar in bars if bar.step == "b"] == [("held", None)]


def test_the_conversation_shows_a_call_only_when_it_is_made():
    text = str(sick().sequence())
    lines = [line.strip() for line in text.splitlines()]
    asked = [line for line in lines if "->>" in line and "-->>" not in line]
    assert [line.partition(": ")[2] for line in asked[:5]] == [
        *["price", "price (once more)", "left", "right", "charge"],
    ]
    held = lines.index("Note over p0: right is held by the bulkhead")
    assert held < lines.index("p0->>p2: right")
    assert "Note over p0: charge#58; refused by circuit breaker" in lines


def test_the_log_tells_in_words():
    log = sick().log()
    assert "attempt held                right               by the bulkhead\n" in log
    assert "compensation, by the bulkhead" in log
    assert "'bank' from closed to open: too many calls failed" in log
    limit = Service("bank", rate_limit=RateLimit(calls=1, per=9))
    steps = [step(act, name=name, after=(), service="bank") for name in "ab"]
    assert (
        "by the rate limit for at least 9 s" in simulate(Saga("s", *steps, services=[limit])).log()
    )


def test_what_is_told_of_a_call_changes_no_state_and_needs_an_execution_that_goes_on():
    from pure import snapshot

    from sagakit.coordinator import State, evolve, replay
    from sagakit.errors import IllegalEventError
    from sagakit.events import AttemptAdmitted, AttemptHeld, BreakerChanged, HedgeStarted

    saga = Saga("s", step(act))
    ended = simulate(saga)
    told = [
        AttemptHeld("act", 1.0, "action", "bulkhead"),
        AttemptAdmitted("act", 1.0, "action"),
        HedgeStarted("act", 1.0),
        BreakerChanged(1.0, "bank", "closed", "open", "too many calls failed"),
    ]
    for event in told:
        state = replay(saga.plan, ended.events[:2])
        before = snapshot(state)
        assert snapshot(evolve(state, event)) == before
        with pytest.raises(IllegalEventError, match=r"execution.* is completed"):
            evolve(replay(saga.plan, ended.events), event)
        with pytest.raises(IllegalEventError, match=r"execution.* is new"):
            evolve(State(saga.plan), event)
    with pytest.raises(IllegalEventError, match="HedgeStarted is illegal: the step 'x' is not"):
        evolve(replay(saga.plan, ended.events[:2]), HedgeStarted("x", 1.0))


def test_a_picture_shows_all_five_policies_of_one_service():
    service = Service(
        "bank",
        breaker=CircuitBreaker(),
        bulkhead=Bulkhead(),
        rate_limit=RateLimit(calls=1),
        retry_budget=RetryBudget(),
        hedge=Hedge(after=1),
    )
    saga = Saga("s", step(act, service="bank", read=True, timeout=2), services=[service])
    svg = saga.flow().svg
    for words in ("reads only", "breaker", "25 at once", "1/s", "retries at most", "hedge 1 s"):
        assert words in svg


def test_a_fan_out_may_write_where_the_hedged_read_stands_outside_it():
    bank = Service("bank", hedge=Hedge(after=1))
    write = step(act, undo, service="bank")
    saga = Saga(
        "s", step(ask, service="bank", read=True), for_each("all", list, write), services=[bank]
    )
    assert simulate(saga).status == "completed"


def test_a_saga_that_only_writes_shares_the_service_with_one_that_reads_with_a_hedge():
    write = Saga(
        "in", step(act, undo, service="bank"), services=[Service("bank", bulkhead=Bulkhead())]
    )
    read = step(slowly, service="bank", read=True)
    hedged = Service("bank", bulkhead=Bulkhead(), hedge=Hedge(after=1))
    execution = simulate(Saga("s", sub_saga(write), read, services=[hedged]))
    assert execution.status == "completed"
    assert [event.step for event in execution.events if isinstance(event, HedgeStarted)] == [
        "slowly"
    ]


async def slowly():
    await asyncio.sleep(3)
