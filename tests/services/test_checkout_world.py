"""The world as a whole: its folder, its threads, its saga, and what survives a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from checkout_by_hand import STOCK, call, check_out, order
from sqlalchemy import text

from sagakit.services import CheckoutWorld


def test_opening_a_folder_again_continues_and_does_not_restock(tmp_path):
    with CheckoutWorld(tmp_path, STOCK) as world:
        assert check_out(world)
        before = world.books()
    with CheckoutWorld(tmp_path, {11: 1000, 42: 1000}) as world:
        assert world.books() == before
        assert before.units_left == 9


def test_each_service_has_a_database_of_its_own(tmp_path):
    with CheckoutWorld(tmp_path / "deep" / "world", STOCK):
        names = sorted(path.name for path in (tmp_path / "deep" / "world").glob("*.db"))
    assert names == ["inventory.db", "order.db", "payment.db", "shipping.db"]


def test_two_worlds_in_memory_share_nothing():
    with CheckoutWorld(stock=STOCK) as one, CheckoutWorld(stock=STOCK) as other:
        check_out(one)
        assert other.books().confirmed == 0


def test_a_world_without_stock_given_has_the_northwind_products():
    with CheckoutWorld() as world:
        assert world.books().units_opening == 3119


@pytest.mark.parametrize("folder", [None, "world"], ids=["in memory", "on disk"])
def test_checkouts_in_many_threads_keep_the_books_balanced(tmp_path, folder):
    data = [order(order_id=n) for n in range(1, 33)]
    with CheckoutWorld(folder and tmp_path / folder, STOCK) as world, ThreadPoolExecutor(8) as pool:
        completed = sum(pool.map(lambda one: check_out(world, one), data))
        books = world.books()
    assert books.problems == ()
    assert (books.confirmed, books.cancelled) == (completed, 32 - completed)
    assert completed == 2  # each takes 4 of the 10 units of product 11


def test_the_saga_is_a_chain_around_its_pivot():
    with CheckoutWorld(stock=STOCK) as world:
        saga = world.saga
        kinds = {step.name: saga.kind(step.name) for step in saga.steps}
        assert kinds == {
            "create_order": "compensatable",
            "charge_payment": "compensatable",
            "reserve_stock": "compensatable",
            "confirm_order": "pivot",
            "schedule_delivery": "retriable",
        }
        assert [step.service for step in saga.steps] == [
            "order", "payment", "inventory", "order", "shipping",
        ]  # fmt: skip
        assert all(step.idempotent for step in saga.steps)
        assert saga is world.saga


def test_closing_twice_is_harmless(tmp_path):
    world = CheckoutWorld(tmp_path, STOCK)
    world.close()
    world.close()


def test_foreign_keys_are_enforced(tmp_path):
    with CheckoutWorld(tmp_path, STOCK) as world, world.order.engine.begin() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"


_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from checkout_by_hand import STOCK, call
from sagakit.services import CheckoutWorld
world = CheckoutWorld(Path(sys.argv[1]), STOCK)
world.payment.charge_payment(call("charge_payment"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_what_a_service_answered_survives_sigkill_of_its_process(tmp_path):
    here = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path), here], env=environment, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    with CheckoutWorld(tmp_path, STOCK) as world:
        assert world.books().charged_cents == 12_345
        world.payment.charge_payment(call("charge_payment"))
        assert world.books().charged_cents == 12_345
