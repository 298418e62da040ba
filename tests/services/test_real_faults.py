"""Faults strike the real services, on disk and in real time, through actions that know nothing of
them; whatever strikes, the books balance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from checkout_by_hand import ORDER, STOCK

from sagakit import Engine, Scenario, run
from sagakit.services import CheckoutWorld

# charge_payment has three attempts, 2 s each; the warehouse has one
SHORT = Scenario().fail("reserve_stock")
SCENARIOS = [
    (Scenario(), "completed"),
    (Scenario().fail("charge_payment", first=2), "completed"),
    (Scenario().fail("charge_payment"), "compensated"),
    (Scenario().lose_reply("charge_payment", 1), "completed"),
    (Scenario().lose_reply("reserve_stock"), "compensated"),
    (Scenario().lose_reply("confirm_order"), "completed"),
    (Scenario().time_out("reserve_stock"), "compensated"),
    (Scenario().slow("reserve_stock", 0.05), "completed"),
    (
        Scenario().repeat("create_order").repeat("charge_payment").repeat("reserve_stock"),
        "completed",
    ),
    (Scenario().deliver_late("reserve_stock"), "compensated"),
    (Scenario().reorder("reserve_stock"), "compensated"),
    (Scenario().reorder("charge_payment", 1), "completed"),
    (SHORT.repeat("charge_payment", side="compensation"), "compensated"),
    (
        SHORT.lose_reply("charge_payment", 1, side="compensation"),
        "compensated",
    ),
    (SHORT.fail_compensation("charge_payment"), "stuck"),
    (Scenario().fail("schedule_delivery", first=1), "completed"),
]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CheckoutWorld]:
    with CheckoutWorld(tmp_path / "world", stock=STOCK) as world:
        yield world


def _engine(tmp_path: Path) -> Callable[..., Any]:
    def drive(saga: Any, input: Any, *, scenario: Scenario) -> Any:
        with Engine(tmp_path / "journal.db") as engine:
            return engine.run(saga, input, id="order-1", scenario=scenario)

    return drive


@pytest.mark.parametrize("driver", ["run", "engine"])
@pytest.mark.parametrize(("scenario", "status"), SCENARIOS, ids=map(str, SCENARIOS))
def test_a_fault_strikes_real_services_and_the_books_balance(
    world: CheckoutWorld, tmp_path: Path, driver: str, scenario: Scenario, status: str
) -> None:
    drive = run if driver == "run" else _engine(tmp_path)
    execution = drive(world.saga, ORDER, scenario=scenario)
    assert execution.status == status
    unfinished = {execution.id} if status == "stuck" else ()
    books = world.books(unfinished=unfinished)
    assert books.problems == ()
    assert books.confirmed == (status == "completed")
    assert books.charged_cents == books.refunded_cents + books.kept_cents
    if status == "compensated":
        assert books.kept_cents == 0


def test_a_lost_reply_left_its_effect_behind(world: CheckoutWorld, tmp_path: Path) -> None:
    """It is the effect that makes the doubt: a lost request leaves nothing."""
    refund = Scenario().fail_compensation("charge_payment")
    run(world.saga, ORDER, scenario=refund.lose_reply("charge_payment"))
    assert world.books().kept_cents == 12_345
    with CheckoutWorld(tmp_path / "other", stock=STOCK) as other:
        lost = Scenario().fail("charge_payment", first=2).time_out("charge_payment", 3)
        run(other.saga, ORDER, scenario=lost.fail_compensation("charge_payment"))
        assert other.books().kept_cents == 0
