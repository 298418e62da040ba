"""``sagakit explore``: what it prints, in both forms, and how it exits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sagakit.cli import cli

SHOP = """\
from sagakit import Retry, Saga, await_event, step
from sagakit.lab import ORDER, Twin

shop = Twin()
saga = Saga("shop", await_event("paid", timeout=60), *shop.steps())
world = shop.fresh
done = []


def charge():
    done.append("charge")


def refund():
    done.clear()


careless = Saga("careless", step(charge, refund, retry=Retry(2)))


def fresh():
    done.clear()
    return done


def charged_once(done, execution):
    return len(done) < 2
"""
PAID = "scenario: paid\ninterventions:\n- {signal: paid, at: 3}\n"
ORDER = {
    "order_id": 1, "customer": "VINET", "ship_city": "Reims", "ship_country": "France",
    "shipper": "Federal Shipping", "lines": [{"product": 11, "quantity": 4}], "amount_cents": 12,
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "paid.yaml").write_text(PAID)
    monkeypatch.chdir(tmp_path)


def call(*words: str) -> Result:
    return CliRunner().invoke(cli, ["explore", *words])


def test_what_does_not_hold_is_told_with_the_line_that_replays_it_and_exits_with_1() -> None:
    words = ("shop.py:careless", "--world", "shop.py:fresh", "--invariant", "shop.py:charged_once")
    done = call(*words, "--faults", "1")
    assert done.exit_code == 1, done.output
    assert "charged_once does not hold under: lose reply charge at attempt 1" in done.stdout
    assert 'replay: Scenario().lose_reply("charge", 1)' in done.stdout
    found: dict[str, Any] = json.loads(call(*words, "--json").stdout)
    assert (found["saga"], found["faults"], found["holds"]) == ("careless", 2, False)
    assert found["violations"][0]["invariant"] == "charged_once"


def test_what_the_saga_waits_for_comes_by_a_scenario() -> None:
    words = ("shop.py:saga", "--world", "shop.py:world", "--input", json.dumps(ORDER))
    done = call(*words, "--faults", "1", "--scenario", "paid.yaml", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["statuses"]["completed"] > 10
    alone = json.loads(call(*words, "--faults", "1", "--json").stdout)
    assert "completed" not in alone["statuses"]
