"""What the widgets that watch have in common: where they are shown, how often, and how long."""

from __future__ import annotations

import pytest
from exploring import Explorer
from monitoring import Monitor
from playwright.sync_api import expect

SETUP = """\
from sagakit import Engine, Saga, Scenario, TerminalError, explore, simulate, step
from sagakit.lab import ORDER, Twin
from sagakit.views import legend
from sagakit.widgets import EngineMonitor, FaultMatrix, SagaDesigner, SagaPlayer, TraceExplorer
shop = Twin()
class Bank:
    is_open = False
def pay(): ...
def pay_back():
    if not Bank.is_open:
        raise TerminalError("the bank is closed")
def reserve():
    raise TerminalError("no stock")
order = Saga("order", step(pay, pay_back), step(reserve))
engine = Engine()
for number in range(2):
    engine.run(order, id=f"order-{number}")
explorer = TraceExplorer(simulate(shop.saga, ORDER, scenario=Scenario().fail("confirm_order")))
monitor = EngineMonitor(engine)
"""
PLAYER = "SagaPlayer(shop.saga, ORDER, world=shop.fresh)"
LATE = "Could not send widget sync message Error: Cannot send"
MATRIX = "FaultMatrix(explore(shop.saga, ORDER, world=shop.fresh))"


def test_notebook_7_shows_each_and_hears_of_gestures(notebook7):
    book = notebook7([SETUP, PLAYER, MATRIX, "explorer", "monitor"])
    book.run()
    for cell in (1, 2):
        root = book.output(cell).locator(".sk-root")
        expect(root.locator(".react-flow__node, [role=grid]").first).to_be_visible()
    shown = Explorer(book, 3, "explorer")
    shown.bar(0).click()
    shown.selects(0)
    expect(shown.side).to_contain_text("saga.execution.id")
    watched = Monitor(book, 4)
    watched.decide("Abandon order-0", by="ann", why="it is a test")
    watched.expect_answer("order-0", "abandon: execution 'order-0' is abandoned")
    book.screen.shot("notebook 7 watches")
    book.execute("engine.close()")


def test_every_widget_shows_the_same_legend(lab):
    book = lab([SETUP, "SagaDesigner(shop.saga)", PLAYER, MATRIX, "explorer", "monitor"])
    book.run()
    groups = ("kinds", "states", "statuses", "marks", "segments", "contrasts")
    expected = book.value(f"[name for group in {groups} for name in legend()[group]]")
    for cell in range(1, 6):
        root = book.output(cell).locator(".sk-root")
        root.get_by_role("button", name="Legend", exact=True).click()
        shown = root.get_by_role("dialog", name="Legend").get_by_role("listitem")
        words = [words.partition(":")[0] for words in shown.all_inner_texts()]
        assert [one.split("\n")[-1] for one in words] == [*expected, "critical path"], cell
        book.page.keyboard.press("Escape")
        expect(root.get_by_role("dialog")).to_have_count(0)
    book.execute("engine.close()")


def test_what_is_shown_twice_is_one(lab):
    book = lab([SETUP, "explorer", "explorer", "monitor", "monitor"])
    book.run()
    first, second = (Explorer(book, cell, "explorer") for cell in (1, 2))
    first.bar(3).click()
    for shown in (first, second):
        shown.selects(3)
        expect(shown.side).to_contain_text("saga.execution.id")
    one, other = (Monitor(book, cell) for cell in (3, 4))
    one.decide("Skip pay of order-0", by="ann", why="paid back in cash")
    for watched in (one, other):
        watched.expect_answer("order-0", "skip: execution 'order-0' is compensated")
        watched.expect_counts(compensated=1, stuck=1)
    # an answer that was read is not shown again for a decision about another one
    one.button("Dismiss the answer").click()
    book.page.mouse.move(0, 0)  # beneath it nothing moves
    expect(one.stuck("order-0")).to_have_count(0)
    book.execute("Bank.is_open = True")
    one.root.evaluate(
        """root => {
            globalThis.again = 0;
            const list = root.querySelector('.sk-stuck');
            new MutationObserver(() => {
                if (list.querySelector('[data-id=order-0]')) globalThis.again += 1;
            }).observe(list, {childList: true, subtree: true});
        }"""
    )
    one.decide("Retry pay of order-1", by="ann", why="the bank is open")
    one.expect_answer("order-1", "retry: execution 'order-1' is compensated")
    assert book.page.evaluate("globalThis.again") == 0
    twice = "() => [...document.querySelectorAll('[id]')].map(one => one.id)"
    ids = [id for id in book.page.evaluate(twice) if id.startswith("sk-")]
    assert len(ids) == len(set(ids))
    book.execute("engine.close()")


def test_a_monitor_whose_cell_is_run_again_reads_no_more(lab):
    book = lab([SETUP, "all_ = []", "all_.append(EngineMonitor(engine))\nall_[-1]"])
    book.run()
    watched = Monitor(book, 2)
    watched.expect_counts(stuck=2)
    book.run(2)
    book.expect("[one.shown for one in all_]", [False, True])
    book.execute("engine.run(order, id='order-2')")
    watched.expect_counts(stuck=3)
    assert book.value("all_[0].state['counts']") == {"stuck": 2}
    book.execute("engine.close()")


@pytest.mark.parametrize("how", ["the page is loaded anew", "the notebook is closed"])
def test_when_it_is_opened_again_they_stand_as_they_stood_and_hear_of_gestures(lab, how):
    book = lab([SETUP, "explorer", "monitor"])
    book.run()
    shown, watched = Explorer(book, 1, "explorer"), Monitor(book, 2)
    shown.bar(3).click()
    shown.selects(3)
    watched.decide("Skip pay of order-0", by="ann", why="paid back in cash")
    watched.expect_answer("order-0", "is compensated")
    book.save()
    if how == "the notebook is closed":
        book.do("panel.dispose();")
    else:
        book.page.reload()
        book.page.wait_for_function("() => window.jupyterapp !== undefined")
        book.page.evaluate("async () => { await jupyterapp.restored; }")
    book.screen.open_book(book.name)
    shown.selects(3)
    expect(shown.side).to_contain_text("saga.execution.id")
    shown.bar(0).click()
    shown.selects(0)
    watched.expect_counts(compensated=1, stuck=1)
    watched.decide("Abandon order-1", by="ann", why="it is a test")
    watched.expect_answer("order-1", "abandon: execution 'order-1' is abandoned")
    assert book.value("engine.status('order-1').resolutions[0].why") == "it is a test"
    book.execute("engine.close()")
    if how == "the notebook is closed":
        # the monitor could not say that nobody sees it: the connection goes before the page
        book.screen.errors[:] = [one for one in book.screen.errors if LATE not in one]
