"""A trace is zoomed, panned, filtered and read: what the page draws is what the kernel has."""

from __future__ import annotations

import pytest
from exploring import Explorer
from lab import DARK, violations
from playwright.sync_api import expect

SETUP = """\
from sagakit import Saga, Scenario, Trace, simulate, step
from sagakit.lab import ORDER, Twin
from sagakit.spans import Span
from sagakit.widgets import TraceExplorer
scenario = (Scenario().slow("create_order", 0.4).lose_reply("charge_payment", 1)
    .slow("reserve_stock", 1.2).fail("confirm_order").slow("charge_payment", 0.3,
    side="compensation"))
failed = simulate(Twin().saga, ORDER, scenario=scenario)
went_well = simulate(Twin().saga, ORDER, scenario=Scenario().slow("reserve_stock", 0.2))
"""
EXPLORER = """\
explorer = TraceExplorer(failed)
explorer
"""
BOTH = """\
explorer = TraceExplorer(failed, went_well)
explorer
"""


@pytest.fixture
def explorer(lab):
    book = lab([SETUP, EXPLORER])
    book.run()
    shown = Explorer(book, 1, "explorer")
    expect(shown.step("create_order")).to_be_visible()
    return shown


def test_look(explorer):
    explorer.book.screen.shot("explorer")
    explorer.bar(explorer.number("charge_payment #1")).click()
    explorer.book.screen.shot("explorer selected", explorer.root)
    explorer.book.theme(DARK)
    expect(explorer.root).to_have_attribute("data-theme", "dark")
    explorer.book.screen.shot("explorer dark", explorer.root)


def test_look_two(lab):
    book = lab([SETUP, BOTH])
    book.run()
    shown = Explorer(book, 1, "explorer")
    expect(shown.step("create_order")).to_be_visible()
    book.screen.shot("explorer two", shown.root)
    book.theme(DARK)
    book.screen.shot("explorer two dark", shown.root)
