"""Faults as data: what a scenario says, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from sagakit import Retry, Saga, SagaError, Scenario, simulate, step
from sagakit.errors import ScenarioError
from sagakit.scenario import Fault


def charge() -> str:
    return "charged"


def refund() -> None: ...
def reserve() -> str:
    return "reserved"


SAGA = Saga("shop", step(charge, refund, retry=Retry(2), timeout=5), step(reserve))


def test_a_scenario_is_a_frozen_value_and_each_method_adds_one_fault() -> None:
    empty = Scenario()
    one = empty.fail("charge")
    two = one.slow("reserve", 3, attempt=2)
    assert (empty.faults, len(one.faults), len(two.faults)) == ((), 1, 2)
    assert two == Scenario().fail("charge").slow("reserve", 3, attempt=2)
    assert hash(two) == hash(Scenario().fail("charge").slow("reserve", 3, attempt=2))
    with pytest.raises(AttributeError):
        two.faults = ()  # type: ignore[misc]


def test_a_scenario_is_plain_data() -> None:
    scenario = Scenario(name="bad day").lose_reply("charge", 1).fail_compensation("charge")
    assert msgspec.convert(msgspec.to_builtins(scenario), Scenario) == scenario


def test_a_scenario_reads_as_a_sentence() -> None:
    scenario = Scenario().fail("charge").lose_reply("charge", 2).time_out("reserve")
    scenario = scenario.slow("reserve", 1.5, 1).fail_compensation("charge", 3)
    assert str(scenario) == (
        "fail charge, lose reply charge at attempt 2, time out reserve, "
        "slow reserve at attempt 1 by 1.5 s, fail compensation of charge at attempt 3"
    )
    assert str(Scenario()) == "no faults"


def test_the_first_fault_that_fits_is_the_one() -> None:
    scenario = Scenario().fail("charge", 2).lose_reply("charge")
    assert scenario.find("charge", "action", 1) == Fault("lose reply", "charge")
    assert scenario.find("charge", "action", 2) == Fault("fail", "charge", attempt=2)
    assert scenario.find("charge", "compensation", 1) is None
    assert scenario.find("reserve", "action", 1) is None


@pytest.mark.parametrize("attempt", [0, -1])
def test_attempts_are_counted_from_one(attempt: int) -> None:
    with pytest.raises(SagaError, match="'charge': attempts are counted from 1"):
        Scenario().fail("charge", attempt)


@pytest.mark.parametrize("seconds", [-1, math.nan])
def test_slow_takes_seconds(seconds: float) -> None:
    with pytest.raises(SagaError, match="give seconds, 0 or more"):
        Scenario().slow("charge", seconds)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Scenario().fail(3), "fail '3': names no step; name one"),
        (lambda: Scenario().lose_reply("charge", side="undo"), "side 'undo'; .* action, compens"),
        (lambda: Scenario().slow("charge", 0), "0 s are not slow"),
        (lambda: Scenario().signal(3), "signal '3': names no event; name one"),
        (lambda: Scenario().signal("paid", at="soon"), "signal 'paid': give the seconds"),
        (lambda: Scenario().cancel("soon"), "cancellation: give the seconds"),
    ],
)
def test_what_would_never_strike_is_refused_when_it_is_said(make: Any, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        make()


def test_an_unknown_step_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SagaError, match=r"saga 'shop' has no step 'chrge'.*did you mean 'charge'"):
        simulate(SAGA, scenario=Scenario().fail("chrge"))


def test_a_compensation_that_is_not_there_cannot_fail() -> None:
    with pytest.raises(SagaError, match="step 'reserve' has no compensation to fail"):
        simulate(SAGA, scenario=Scenario().fail_compensation("reserve"))


@pytest.mark.parametrize(
    ("scenario", "status"),
    [
        (Scenario(), "completed"),
        (Scenario().fail("charge"), "compensated"),
        (Scenario().fail("charge", 1), "completed"),
        (Scenario().fail("charge", 1).fail("charge", 2), "compensated"),
        (Scenario().lose_reply("charge"), "compensated"),
        (Scenario().time_out("charge"), "compensated"),
        (Scenario().slow("charge", 1), "completed"),
        (Scenario().slow("charge", 6), "compensated"),
        (Scenario().fail("reserve").fail_compensation("charge"), "stuck"),
        (Scenario().fail("reserve").fail_compensation("charge", 1), "compensated"),
    ],
    ids=str,
)
def test_each_fault_has_its_outcome(scenario: Scenario, status: str) -> None:
    assert simulate(SAGA, scenario=scenario).status == status


# -- requests that arrive twice or late, and crashes ----------------------------------------


def noted() -> tuple[Saga, list[str]]:
    """A saga, and what its callables note."""
    calls: list[str] = []

    def note(name: str) -> Any:
        return lambda ctx: calls.append(f"{name} {ctx.attempt}")

    steps = (step(note(name), note(f"undo {name}"), name=name) for name in ("a", "b", "c"))
    return Saga("s", *steps), calls


def test_a_request_may_be_delivered_twice() -> None:
    saga, calls = noted()
    assert simulate(saga, scenario=Scenario().repeat("b")).status == "completed"
    assert calls == ["a 1", "b 1", "b 1", "c 1"]


def test_a_request_may_arrive_after_its_compensation() -> None:
    saga, calls = noted()
    assert simulate(saga, scenario=Scenario().deliver_late("b")).status == "compensated"
    assert calls == ["a 1", "undo b 1", "b 1", "undo a 1"]


@pytest.mark.parametrize(
    ("event", "written", "expected"),
    [
        (1, True, ["a 2", "b 1", "c 1"]),  # the intent is there, the call was not made
        (2, False, ["a 1", "a 2", "b 1", "c 1"]),  # the effect is there, its record is not
        (2, True, ["a 1", "b 1", "c 1"]),
        (6, False, ["a 1", "b 1", "c 1", "c 2"]),
        (99, True, ["a 1", "b 1", "c 1"]),
    ],
)
def test_a_coordinator_that_crashes_goes_on_from_its_journal(
    event: int, written: bool, expected: list[str]
) -> None:
    saga, calls = noted()
    scenario = Scenario().crash(event, written=written)
    assert simulate(saga, scenario=scenario).status == "completed"
    assert calls == expected


def test_a_crash_reads_as_a_sentence_and_is_counted_from_the_start() -> None:
    scenario = Scenario().crash(3).crash(5, written=False)
    assert str(scenario) == "crash after event 3 is written, crash before event 5 is written"
    with pytest.raises(SagaError, match="events are counted from 0"):
        Scenario().crash(0)
