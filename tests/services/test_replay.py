"""All 830 orders through the checkout, compared with plain arithmetic, and after a kill."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from decimal import ROUND_HALF_UP, Decimal

import pytest

from sagakit.services.northwind import data_folder
from sagakit.services.replay import ReplayError, replay


def read(name):
    path = data_folder() / "northwind" / name
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


@pytest.fixture(scope="module")
def expected():
    """What must come out, computed from the files alone: no saga, no service, no database."""
    shelf = {row["product_id"]: int(row["units_in_stock"]) for row in read("products.csv")}
    lines = {}
    for row in read("order_lines.csv"):
        lines.setdefault(row["order_id"], []).append(row)
    completed = 0
    revenue = Decimal(0)
    for order in sorted(lines, key=int):
        wanted = {}
        total = Decimal(0)
        for row in lines[order]:
            units = int(row["quantity"])
            wanted[row["product_id"]] = wanted.get(row["product_id"], 0) + units
            total += Decimal(row["unit_price"]) * units * (1 - Decimal(row["discount"]))
        if all(shelf[product] >= units for product, units in wanted.items()):
            for product, units in wanted.items():
                shelf[product] -= units
            completed += 1
            revenue += total.quantize(Decimal("0.01"), ROUND_HALF_UP)
    return completed, len(lines) - completed, revenue, sum(shelf.values())


def outcome(report):
    revenue = Decimal(str(report.revenue))
    return report.completed, report.compensated, revenue, report.units_left


def test_the_arithmetic_itself_is_as_known(expected):
    assert expected == (95, 735, Decimal("39106.94"), 1060)


@pytest.mark.parametrize("journal", [None, "demo.db"], ids=["in memory", "with a journal"])
def test_all_orders_end_as_plain_arithmetic_says(tmp_path, expected, journal):
    report = replay(journal and tmp_path / journal)
    assert outcome(report) == expected
    assert report.stuck == 0
    assert report.problems == ()
    assert report.balanced


def test_a_second_run_on_the_same_journal_changes_nothing(tmp_path):
    first = replay(tmp_path / "demo.db", limit=30)
    assert replay(tmp_path / "demo.db", limit=30) == first
    assert first.completed + first.compensated == 30


def test_a_longer_run_continues_a_shorter_one(tmp_path):
    replay(tmp_path / "demo.db", limit=20)
    assert replay(tmp_path / "demo.db", limit=40) == replay(None, limit=40)


def test_several_at_once_balance_too():
    report = replay(None, concurrency=8, limit=200)
    assert report.completed + report.compensated == 200
    assert report.problems == ()


def test_progress_counts_every_order_that_ended():
    seen = []
    replay(None, limit=10, progress=seen.append)
    assert seen == [1] * 10


def test_a_journal_without_its_services_is_refused_with_both_named(tmp_path):
    journal = tmp_path / "demo.db"
    replay(journal, limit=3)
    shutil.move(tmp_path / "demo.db.services", tmp_path / "elsewhere")
    with pytest.raises(ReplayError, match=r"journal .*demo\.db is there.*demo\.db\.services.*put"):
        replay(journal, limit=3)
    assert not (tmp_path / "demo.db.services").exists()
    shutil.move(tmp_path / "elsewhere", tmp_path / "demo.db.services")
    (tmp_path / "demo.db.services" / "payment.db").unlink()
    with pytest.raises(ReplayError, match=r"its services' payment\.db in"):
        replay(journal, limit=3)


def test_services_without_their_journal_are_refused_with_both_named(tmp_path):
    journal = tmp_path / "demo.db"
    replay(journal, limit=3)
    for path in tmp_path.glob("demo.db*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(ReplayError, match=r"demo\.db\.services hold orders, but .*demo\.db is"):
        replay(journal, limit=3)
    assert not journal.exists()


def test_services_that_nobody_asked_are_a_run_killed_at_its_birth(tmp_path):
    from sagakit.services import CheckoutWorld

    CheckoutWorld(tmp_path / "demo.db.services").close()
    assert replay(tmp_path / "demo.db", limit=3) == replay(None, limit=3)


_RUN = """
import sys
from pathlib import Path
from sagakit.services.replay import replay
done = iter(range(1, 10_000))
replay(Path(sys.argv[1]), limit=int(sys.argv[2]), progress=lambda _: print(next(done), flush=True))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_again_and_again_it_ends_with_the_same_books(tmp_path):
    journal, limit = tmp_path / "demo.db", 150
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for orders, seconds in ((1, 0), (20, 0.001), (60, 0.002), (61, 0.003), (100, 0.004)):
        with subprocess.Popen(
            [sys.executable, "-c", _RUN, str(journal), str(limit)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert any(int(line) == orders for line in process.stdout)
            time.sleep(seconds)  # somewhere within the next orders
            process.kill()
        assert process.returncode == -signal.SIGKILL
    assert replay(journal, limit=limit) == replay(None, limit=limit)


def test_the_counts_are_of_the_orders_that_the_books_are_about(tmp_path):
    journal = tmp_path / "demo.db"
    more = replay(journal, limit=20)
    assert outcome(replay(journal, limit=5)) == outcome(more)
    assert more.completed + more.compensated == 20


def test_a_missing_folder_is_refused_and_not_made(tmp_path):
    with pytest.raises(ReplayError, match="does not exist; make it"):
        replay(tmp_path / "no" / "demo.db", limit=1)
    assert not list(tmp_path.iterdir())
