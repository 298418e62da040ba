"""Messages that are lost, doubled and overtaken, breakers that trip: the same in every driver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sagakit import (
    CircuitBreaker,
    Engine,
    Execution,
    Retry,
    Saga,
    Scenario,
    Service,
    await_event,
    run,
    simulate,
    step,
    sub_saga,
)
from sagakit.errors import ScenarioError
from sagakit.events import BreakerChanged, SignalReceived

Drive = Callable[..., Execution]


@pytest.fixture(params=["simulated", "local", "engine"])
def drive(request: pytest.FixtureRequest) -> Iterator[Drive]:
    if request.param == "engine":
        with Engine() as engine:
            yield engine.run
    else:
        yield {"simulated": simulate, "local": run}[request.param]


def noted(**options: Any) -> tuple[Saga, list[str]]:
    """A saga of x and y, and the calls it makes."""
    calls: list[str] = []

    def note(name: str) -> Any:
        return lambda ctx: calls.append(f"{name} {ctx.attempt}")

    retry = Retry(3, wait=0.01)
    one = step(note("x"), note("undo x"), name="x", retry=retry, **options)
    return Saga("s", one, step(note("y"), name="y"), **_services(options)), calls


def _services(options: dict[str, Any]) -> dict[str, Any]:
    service = Service("bank", breaker=CircuitBreaker(failures=5, reset=0.05))
    return {"services": [service]} if "service" in options else {}


@pytest.mark.parametrize(
    ("scenario", "status", "expected"),
    [
        (Scenario().reorder("x", 1), "completed", ["x 2", "x 1", "y 1"]),
        (Scenario().reorder("x", first=2), "completed", ["x 3", "x 2", "x 1", "y 1"]),
        (Scenario().reorder("x"), "compensated", ["undo x 1", "x 3", "x 2", "x 1"]),
        (Scenario().deliver_late("x"), "compensated", ["undo x 1", "x 3"]),
        (Scenario().fail("x", first=2), "completed", ["x 3", "y 1"]),
        (Scenario().fail("x", first=3), "compensated", []),
        (Scenario().lose_reply("x", first=2), "completed", ["x 1", "x 2", "x 3", "y 1"]),
        (Scenario().time_out("x", first=2), "completed", ["x 3", "y 1"]),
        (
            Scenario().fail("y").repeat("x", side="compensation"),
            "compensated",
            ["x 1", "undo x 1", "undo x 1"],
        ),
        (
            Scenario().fail("y").lose_reply("x", 1, side="compensation"),
            "compensated",
            ["x 1", "undo x 1", "undo x 2"],
        ),
        (Scenario().fail("y").fail_compensation("x", first=2), "compensated", ["x 1", "undo x 3"]),
        (Scenario().fail("y").fail_compensation("x"), "stuck", ["x 1"]),
    ],
    ids=str,
)
def test_what_a_fault_does_to_the_calls(
    drive: Drive, scenario: Scenario, status: str, expected: list[str]
) -> None:
    saga, calls = noted(compensation_retry=Retry(4, wait=0.01))
    assert drive(saga, scenario=scenario).status == status
    assert calls == expected


def test_a_request_that_was_overtaken_arrives_though_the_next_one_fails(drive: Drive) -> None:
    calls: list[int] = []

    def fail(ctx: Any) -> None:
        calls.append(ctx.attempt)
        raise ValueError("no")

    saga = Saga("s", step(fail, retry=Retry(2)))
    assert drive(saga, scenario=Scenario().reorder("fail", 1)).status == "compensated"
    assert calls == [2, 1]


def test_a_coroutine_may_be_overtaken_too(drive: Drive) -> None:
    calls: list[int] = []

    async def act(ctx: Any) -> None:
        calls.append(ctx.attempt)

    saga = Saga("s", step(act, retry=Retry(2)))
    assert drive(saga, scenario=Scenario().reorder("act", 1)).status == "completed"
    assert calls == [2, 1]


def test_a_tripped_breaker_refuses_the_call_until_its_reset(drive: Drive) -> None:
    saga, calls = noted(service="bank")
    execution = drive(saga, scenario=Scenario().trip_breaker("x", 1))
    assert (execution.status, calls) == ("completed", ["x 2", "y 1"])
    changes = [event for event in execution.events if isinstance(event, BreakerChanged)]
    assert [(event.after, event.why) for event in changes] == [
        ("open", "a scenario tripped it"),
        ("half-open", "the reset time passed"),
        ("closed", "the trials succeeded"),
    ]
    assert "refused by" in str(execution.errors[0][1].message)
    assert execution.duration >= 0.05


def test_a_breaker_that_trips_each_time_ends_the_step_without_a_call(drive: Drive) -> None:
    saga, calls = noted(service="bank")
    assert drive(saga, scenario=Scenario().trip_breaker("x")).status == "compensated"
    assert calls == []


def clearing(timeout: float | None = None) -> Saga:
    return Saga("s", step(print, name="a"), await_event("cleared", timeout=timeout), step(print))


def test_a_signal_that_is_dropped_never_arrives(drive: Drive) -> None:
    saga = Saga("s", await_event("cleared", timeout=0.05))
    scenario = Scenario().signal("cleared", at=0.01)
    assert drive(saga, scenario=scenario).status == "completed"
    lost = drive(saga, scenario=scenario.drop_signal("cleared"))
    assert lost.status == "compensated"
    assert not any(isinstance(event, SignalReceived) for event in lost.events)


def test_a_signal_for_one_saga_is_not_dropped_with_that_for_another(drive: Drive) -> None:
    inner = Saga("inner", await_event("cleared", timeout=0.05))
    saga = Saga("s", await_event("paid"), sub_saga(inner))
    scenario = Scenario().signal("paid").signal("cleared", to="inner")
    lost = drive(saga, scenario=scenario.drop_signal("inner/cleared"))
    assert lost.states["paid"] == "kept", "it had come, and cannot be undone"
    assert lost.states["inner"] == "failed"


def test_what_somebody_sends_to_an_engine_is_dropped_too() -> None:
    saga = Saga("s", await_event("cleared"))
    with Engine() as engine:
        scenario = Scenario().drop_signal("cleared")
        engine.run(saga, id="one", scenario=scenario, until_rest=True)
        engine.run(saga, id="two", until_rest=True)
        for id in ("one", "two"):
            engine.signal("cleared", to=id)
        assert engine.status("one").status == "waiting"
        assert engine.run(saga, id="two").status == "completed"


def test_one_that_is_dropped_can_be_sent_again_and_is_dropped_again() -> None:
    saga = Saga("s", await_event("cleared"))
    with Engine() as engine:
        scenario = Scenario().drop_signal("cleared")
        engine.run(saga, id="one", scenario=scenario, until_rest=True)
        for _ in range(2):
            engine.signal("cleared", to="one", id="letter")
        assert engine.status("one").status == "waiting"


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        (Scenario().trip_breaker("x"), "step 'x' calls no service that has a circuit breaker"),
        (
            Scenario().drop_signal("x"),
            "step 'x' waits for no event that could be dropped; name 'w'",
        ),
        (Scenario().fail("w"), "'w' calls nothing that could fail; it waits for the event 'e': 'd"),
        (Scenario().repeat("x", side="compensation"), "step 'x' has no compensation to repeat"),
        (Scenario().crash(1, to="x"), "no step 'x' to crash in: no saga does a step 'x' there"),
    ],
    ids=str,
)
def test_what_cannot_be_hit_is_refused_with_the_cure(scenario: Scenario, said: str) -> None:
    saga = Saga("s", step(print, name="x"), await_event("e", name="w"))
    with pytest.raises(ScenarioError, match=said):
        simulate(saga, scenario=scenario)


@pytest.mark.parametrize(
    ("scenario", "times"),
    [
        (Scenario().repeat("pay"), 2),
        (Scenario().lose_reply("pay"), 1),
        (Scenario().deliver_late("pay"), 1),
        (Scenario().fail("pay"), 0),
    ],
    ids=str,
)
def test_a_plain_function_that_returns_an_awaitable_is_struck_as_a_coroutine_is(
    scenario: Scenario, times: int
) -> None:
    for wrapped in (False, True):
        paid = []

        async def pay(ctx: Any, paid: list[str] = paid) -> None:
            await asyncio.sleep(1)
            paid.append(ctx.execution_id)

        def plain(ctx: Any, pay: Any = pay) -> Any:
            return pay(ctx)

        saga = Saga("s", step(plain if wrapped else pay, lambda: None, name="pay"))
        simulate(saga, scenario=scenario)
        assert len(paid) == times
