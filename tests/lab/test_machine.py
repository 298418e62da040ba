"""The state machine: it holds for what is right, and goes red for what is not."""

from __future__ import annotations

import sys
import types
from collections import Counter

import mortals
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test
from mortals import (
    Bank,
    CarelessBank,
    ForgetfulEngine,
    HastyEngine,
    RenamingEngine,
    Slow,
    checkout,
    transfer,
)

from sagakit.lab.machine import engine_machine

orders = st.builds(
    lambda number, units, cents: {
        "order_id": number,
        "customer": "VINET",
        "ship_city": "Reims",
        "ship_country": "France",
        "shipper": "Speedy Express",
        "lines": [{"product": 1, "quantity": units}, {"product": 2, "quantity": 1}],
        "amount_cents": cents,
    },
    st.integers(1, 50),
    st.integers(1, 4),
    st.integers(1, 9999),
)
amounts = st.integers(1, 999)

TestCheckout = engine_machine(services=checkout, inputs=orders).TestCase

TestTransfer = engine_machine(
    transfer,
    services=Bank,
    inputs=amounts,
    signals={"approved": st.sampled_from(["ann", "bob"])},
    invariants=[mortals.booked],
).TestCase

TestParts = engine_machine(
    mortals.parts, services=Bank, inputs=amounts, invariants=[mortals.booked_in_parts]
).TestCase

SEARCH = settings(
    max_examples=200,
    stateful_step_count=12,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # an example is enough, it need not be small
    suppress_health_check=list(HealthCheck),
)
CHANCE = {"derandomize": False}  # others each time


def test_it_meets_all_that_can_happen_to_an_engine():
    met: Counter = Counter()
    machine = engine_machine(transfer, services=Bank, inputs=amounts, invariants=[mortals.booked])

    class Watched(machine):
        def kill(self):
            met["killed at rest"] += self.alive
            super().kill()

        def ask(self, verb, *arguments, **more):
            done = super().ask(verb, *arguments, **more)
            met[f"killed over {verb}"] += not self.alive
            return done

        def settle(self):
            met.update(row.status for row in self.rows.values())
            super().settle()
            met.update(type(event).__name__ for some in self.events.values() for event in some)
            met.update(f"{row.status} in the end" for row in self.rows.values())

    expected = ["killed at rest", "killed over start", "killed over signal", "killed over cancel"]
    expected += ["waiting", "completed in the end", "compensated in the end"]
    expected += ["AttemptLost", "SignalReceived", "CancellationRequested", "ExecutionResolved"]
    for _ in range(40):
        run_state_machine_as_test(Watched, settings=settings(SEARCH, max_examples=15, **CHANCE))
        missing = [what for what in expected if not met[what]]
        if not missing:
            break
    assert missing == []
    assert not met["abandoned in the end"]


def test_it_is_quick_unless_one_wants_more():
    assert TestCheckout.settings.max_examples == 20
    assert TestCheckout.settings.deadline is None


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"services": CarelessBank}, "the books do not balance: e\\d+/book/action is undone"),
        ({"engine": ForgetfulEngine}, "recovery has come back, and left .* running"),
        ({"engine": RenamingEngine}, "started .*, got the executions|started by nobody"),
        ({"engine": HastyEngine}, "started, and not in the journal: .*'e1'"),
    ],
    ids=["undone twice", "one not recovered", "an id forgotten", "answered too early"],
)
def test_what_is_broken_is_found(broken, message):
    machine = engine_machine(
        transfer, **{"services": Bank, "inputs": amounts, "together": 1} | broken
    )
    with pytest.raises(AssertionError, match=message):
        run_state_machine_as_test(machine, settings=SEARCH)


def test_what_another_process_cannot_be_given_is_refused():
    with pytest.raises(TypeError, match=r"saga=.*cannot be sent to another process"):
        engine_machine(lambda bank: transfer(bank), services=Bank, inputs=amounts)


def test_payloads_of_a_strange_event_are_refused():
    with pytest.raises(ValueError, match="saga 'transfer' never waits for the event 'aproved'"):
        engine_machine(transfer, services=Bank, inputs=amounts, signals={"aproved": st.none()})


def test_services_that_the_other_process_cannot_import_are_told_of(monkeypatch, capfd):
    def ghost(folder):
        return Bank(folder)

    module = types.ModuleType("not_a_file")
    module.ghost, ghost.__module__, ghost.__qualname__ = ghost, "not_a_file", "ghost"
    monkeypatch.setitem(sys.modules, "not_a_file", module)
    machine = engine_machine(transfer, services=ghost, inputs=amounts)
    with pytest.raises(RuntimeError, match="import the modules of the saga and the services"):
        run_state_machine_as_test(machine, settings=SEARCH)
    assert "No module named 'not_a_file'" in capfd.readouterr().err


def test_an_engine_that_hangs_is_found():
    machine = engine_machine(transfer, services=Bank, inputs=amounts, engine=Slow, patience=0.5)
    with pytest.raises(AssertionError, match=r"start: no answer within 0\.5 s"):
        run_state_machine_as_test(machine, settings=SEARCH)
