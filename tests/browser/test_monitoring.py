"""An engine is watched live, and what is stuck is resolved: the journal has what the page says."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest
from lab import DARK, violations
from monitoring import Monitor
from playwright.sync_api import expect

# It is a module, so that another process has the same sagas.
SAGAS = """\
import threading
from sagakit import Saga, TerminalError, step

class World:
    bank_is_open = False
    bank_answers = "the bank is closed until 9:00"
    go = threading.Event()

def charge(): ...
def refund():
    if not World.bank_is_open:
        raise TerminalError(World.bank_answers)
def book(): ...
def unbook():
    raise TerminalError("the airline answers 409: ticket already used")
def reserve():
    raise TerminalError("no stock")
def wait_for_it():
    World.go.wait(60)

order = Saga("order", step(charge, refund), step(reserve))
trip = Saga("trip", step(charge, refund), step(book, unbook, after=()),
            step(reserve, after=("charge", "book")))
good = Saga("good", step(charge))
undone = Saga("undone", step(charge, book), step(reserve))
slow = Saga("slow", step(wait_for_it, name="wait"))
ALL = [order, trip, good, undone, slow]
"""
SETUP = """\
import sys
sys.path.insert(0, FOLDER)
from sagas import *
from sagakit import Engine
from sagakit.widgets import EngineMonitor
path = FOLDER + "/sagas.db"
"""
OPEN = "engine = Engine(path, sagas=ALL)\n"
SHOW = "monitor = EngineMonitor(engine)\nmonitor"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sagas.py").write_text(SAGAS)
    return tmp_path


@pytest.fixture
def setup(folder):
    return f"FOLDER = {str(folder)!r}\n{SETUP}"


@pytest.fixture
def monitor(lab, setup):
    book = lab([setup + OPEN, SHOW])
    book.run()
    return Monitor(book, 1)


def test_it_shows_nothing_yet_then_follows_the_engine(monitor):
    execute = monitor.book.execute
    expect(monitor.root).to_contain_text("No executions yet")
    monitor.book.screen.shot("monitor empty", monitor.root)
    execute("for _ in range(12): engine.run(good)")
    monitor.expect_counts(completed=12)
    chart = monitor.root.get_by_role("img", name="12 completed")
    expect(chart).to_be_visible()
    drawn = "bars => bars.reduce((sum, one) => sum + Number(one.dataset.count), 0)"
    assert chart.locator(".sk-ended").evaluate_all(drawn) == 12
    execute("running = [engine.start(slow, id=f'slow-{i}') for i in range(3)]")
    monitor.expect_counts(completed=12, running=3)
    expect(monitor.flying("slow-0")).to_contain_text("slow")
    expect(monitor.flying("slow-0")).to_contain_text("for 2 s")  # it goes on without news
    execute("for _ in range(4): engine.run(undone)")
    execute("engine.run(order, id='order-1')")
    monitor.expect_counts(completed=12, compensated=4, running=3, stuck=1)
    expect(monitor.stuck("order-1")).to_contain_text("TerminalError: the bank is closed until 9:00")
    expect(monitor.stuck("order-1")).to_contain_text("compensation failed")
    execute("World.go.set(); [one.result() for one in running]")
    monitor.expect_counts(completed=15, compensated=4, stuck=1)
    expect(monitor.root.locator(".sk-flight-row")).to_have_count(0)


DECIDED = "[(d.resolution, d.by, d.why, d.steps) for d in engine.status({!r}).resolutions]"


def test_a_stuck_execution_is_resolved_by_click_and_the_journal_shows_who_and_why(monitor):
    book = monitor.book
    book.execute("engine.run(order, id='order-1'); engine.run(order, id='order-2')")
    monitor.button("Retry charge of order-1").click()
    expect(monitor.form.get_by_label("Who decides")).to_have_value(book.value("monitor.who"))
    expect(monitor.form.get_by_label("Reason")).to_be_focused()
    expect(monitor.form).to_contain_text("the bank is closed until 9:00")
    book.page.keyboard.press("Escape")
    expect(monitor.form).to_have_count(0)
    expect(monitor.button("Retry charge of order-1")).to_be_focused()
    book.execute("World.bank_is_open = True")
    monitor.decide("Retry charge of order-1", by="ann", why="the bank is open again")
    monitor.expect_answer("order-1", "retry: execution 'order-1' is compensated")
    assert book.value(DECIDED.format("order-1")) == [
        ("retry", "ann", "the bank is open again", ("charge",))
    ]
    monitor.expect_counts(compensated=1, stuck=1)
    # where the focus is nothing moves, and what has gone can be decided about no more
    expect(monitor.stuck("order-1")).to_contain_text("no longer stuck")
    expect(monitor.button("Retry charge of order-1")).to_be_focused()
    monitor.button("Retry charge of order-1").press("Enter")
    expect(monitor.form).to_have_count(0)
    monitor.button("Skip charge of order-2").click()
    expect(monitor.form.get_by_label("Who decides")).to_have_value("ann")
    monitor.form.get_by_label("Reason").fill("paid back in cash")
    monitor.form.get_by_role("button", name="Skip", exact=True).click()
    monitor.expect_answer("order-2", "skip: execution 'order-2' is compensated")
    assert book.value(DECIDED.format("order-2")) == [
        ("skip", "ann", "paid back in cash", ("charge",))
    ]
    monitor.button("Dismiss the answer").click()
    expect(monitor.root.locator(".sk-stuck-row")).to_have_count(0)
    expect(monitor.root.get_by_role("group", name="Stuck executions")).to_be_focused()


def test_by_keyboard_alone(monitor):
    book, keyboard = monitor.book, monitor.book.page.keyboard
    book.execute("engine.run(order, id='order-1')")
    expect(monitor.stuck("order-1")).to_be_visible()
    sources = book.sources()
    monitor.root.evaluate("root => root.focus()")
    for key in "ddx":
        keyboard.press(key)
    assert book.sources() == sources  # JupyterLab has not taken it for its own
    keyboard.press("s")
    expect(monitor.button("Retry charge of order-1")).to_be_focused()
    keyboard.press("Tab")
    keyboard.press("Tab")
    expect(monitor.button("Abandon order-1")).to_be_focused()
    keyboard.press("Enter")
    expect(monitor.form).to_contain_text("This is final.")
    expect(monitor.form.get_by_label("Reason")).to_be_focused()
    keyboard.press("Shift+Tab")
    keyboard.press("Control+a")
    keyboard.type("bob")
    keyboard.press("Tab")
    keyboard.type("settled with the customer")
    keyboard.press("Enter")
    monitor.expect_answer("order-1", "abandon: execution 'order-1' is abandoned")
    expect(monitor.button("Abandon order-1")).to_be_focused()
    assert book.value(DECIDED.format("order-1")) == [
        ("abandon", "bob", "settled with the customer", ("charge",))
    ]
    for key in ("?", "Escape", "l"):
        keyboard.press(key)
        expect(monitor.form).to_have_count(0 if key == "Escape" else 1)
    keyboard.press("Escape")
    assert book.sources() == sources


def test_without_a_name_and_a_reason_nothing_is_decided(monitor):
    book = monitor.book
    book.execute("engine.run(order, id='order-1')")
    monitor.button("Skip charge of order-1").click()
    reason, who = monitor.form.get_by_label("Reason"), monitor.form.get_by_label("Who decides")
    reason.press("Enter")
    expect(monitor.wrong).to_have_text(["", "Say why: it is kept in the journal."])
    expect(reason).to_be_focused()
    expect(reason).to_have_attribute("aria-invalid", "true")
    who.fill(" ")
    reason.fill("so")
    monitor.form.get_by_role("button", name="Skip", exact=True).click()
    expect(monitor.wrong).to_have_text(["Say who decides: it is kept in the journal.", ""])
    expect(who).to_be_focused()
    book.screen.shot("monitor who is missing", monitor.root)
    book.page.keyboard.press("Escape")
    assert book.value("engine.status('order-1').status") == "stuck"
    assert book.value("monitor.state['seq']") == 0
    assert book.messages("edit") == 0


def test_of_two_stuck_steps_one_is_decided_and_then_the_other(monitor):
    book = monitor.book
    book.execute("engine.run(trip, id='trip-1'); engine.run(trip, id='trip-2')")
    row = monitor.stuck("trip-1")
    expect(row).to_contain_text("ticket already used")
    monitor.decide("Skip book of trip-1", by="ann", why="refunded by the airline's desk")
    monitor.expect_answer("trip-1", "skip: execution 'trip-1' is stuck")
    expect(monitor.button("Skip book of trip-1")).to_have_count(0)
    expect(monitor.button("Retry charge of trip-1")).to_be_enabled()
    book.execute("World.bank_is_open = True")
    monitor.decide("Retry charge of trip-1", why="the bank is open again")
    monitor.expect_answer("trip-1", "retry: execution 'trip-1' is compensated")
    assert book.value(DECIDED.format("trip-1")) == [
        ("skip", "ann", "refunded by the airline's desk", ("book",)),
        ("retry", "ann", "the bank is open again", ("charge",)),
    ]
    monitor.decide("Skip all of trip-2", why="both were settled")
    monitor.expect_answer("trip-2", "skip: execution 'trip-2' is compensated")
    assert book.value(f"{DECIDED.format('trip-2')}[0][3]") == ("charge", "book")


def test_what_the_kernel_refuses_is_said_where_it_was_asked(monitor):
    book = monitor.book
    book.execute("engine.run(order, id='order-1')")
    monitor.button("Retry charge of order-1").click()
    book.execute("engine.resolve('order-1', 'abandon', by='bob', why='it is mine')")
    alert = monitor.form.get_by_role("alert").filter(has_text="order-1 is no longer stuck")
    expect(alert).to_be_visible()
    book.page.keyboard.press("Escape")
    book.execute("engine.run(order, id='order-2')")
    book.execute("engine.resolve = lambda *a, **k: 1 / 0")
    monitor.decide("Retry charge of order-2", why="so")
    monitor.expect_answer("order-2", "ZeroDivisionError: division by zero", role="alert")
    expect(monitor.button("Retry charge of order-2")).to_be_enabled()


def test_decisions_wait_for_a_kernel_that_is_busy_and_none_is_lost(monitor, folder):
    book = monitor.book
    book.execute("[engine.run(order, id=f'order-{i}') for i in range(4)]")
    expect(monitor.stuck("order-3")).to_be_visible()
    book.keep_busy(until=folder / "go")
    for i in range(4):
        monitor.decide(f"Skip charge of order-{i}", by="ann", why=f"paid back {i}")
        expect(monitor.stuck(f"order-{i}")).to_contain_text("skip of charge: waits for the answer")
    assert violations(book.page, ".sk-root") == []
    book.screen.shot("monitor waits", monitor.root)
    (folder / "go").touch()
    monitor.expect_counts(compensated=4)
    expect(monitor.root.locator(".sk-monitor")).to_have_attribute("data-pending", "0")
    for i in range(4):
        assert book.value(f"{DECIDED.format(f'order-{i}')}[0][2]") == f"paid back {i}"


def test_a_decision_that_a_restart_has_overtaken_is_not_said_to_be_recorded(monitor):
    book = monitor.book
    book.execute("engine.run(order, id='order-1')")
    expect(monitor.stuck("order-1")).to_be_visible()
    book.execute("engine.resolve = lambda *_, **__: World.go.wait(60)")
    monitor.decide("Skip charge of order-1", by="ann", why="paid back")
    expect(monitor.stuck("order-1")).to_contain_text("waits for the answer")
    book.restart()
    banner = monitor.root.get_by_role("alert").filter(has_text="kernel has restarted")
    expect(banner).to_contain_text("Whether what was decided last is recorded is not known here")
    expect(monitor.stuck("order-1")).not_to_contain_text("waits for the answer")


def test_one_monitor_shown_twice_is_one(lab, setup):
    book = lab([setup + OPEN, SHOW, "monitor"])
    book.run()
    first, second = Monitor(book, 1), Monitor(book, 2)
    book.execute("engine.run(order, id='order-1')")
    expect(second.stuck("order-1")).to_be_visible()
    first.decide("Skip charge of order-1", by="ann", why="paid back")
    second.expect_answer("order-1", "skip: execution 'order-1' is compensated")
    first.expect_answer("order-1", "skip: execution 'order-1' is compensated")
    first.button("Dismiss the answer").click()
    expect(first.stuck("order-1")).to_have_count(0)
    expect(second.stuck("order-1")).to_be_visible()  # there it may not have been read


def test_an_error_can_be_read_though_another_decision_went_well_since(lab, setup):
    book = lab([setup + OPEN + SHOW])
    book.run()
    monitor = Monitor(book, 0)
    book.execute("[engine.run(order, id=f'order-{n}') for n in (1, 2)]")
    book.execute("engine.resolve = lambda id, *_, **__: 1 / 0")
    monitor.decide("Retry charge of order-1", by="ann", why="bank is back")
    monitor.expect_answer("order-1", "ZeroDivisionError", "alert")
    book.execute("del engine.resolve")
    monitor.decide("Skip charge of order-2", by="ann", why="paid back")
    monitor.expect_answer("order-2", "skip: execution 'order-2' is compensated")
    monitor.expect_answer("order-1", "ZeroDivisionError", "alert")
    monitor.stuck("order-1").get_by_role("button", name="Dismiss the answer").click()
    expect(monitor.stuck("order-1")).not_to_contain_text("ZeroDivisionError")
    expect(monitor.stuck("order-2")).to_contain_text("is compensated")


def test_after_a_restart_its_journal_shows_the_same_and_is_decided_by_another_engine(
    lab, setup, folder
):
    book = lab([setup, OPEN + SHOW, "monitor = EngineMonitor(path)\nmonitor"])
    book.run(0, 1)
    monitor = Monitor(book, 1)
    book.execute("[engine.run(good) for _ in range(3)]; engine.run(order, id='order-1')")
    monitor.expect_counts(completed=3, stuck=1)
    why = monitor.stuck("order-1").locator(".sk-why").inner_text()
    book.restart()
    banner = monitor.root.get_by_role("alert").filter(has_text="kernel has restarted")
    expect(banner).to_contain_text(f"EngineMonitor({str(folder / 'sagas.db')!r})")
    assert monitor.counts() == {"completed": 3, "stuck": 1}  # how it stood
    book.screen.shot("monitor after a restart", monitor.root)
    monitor.button("Retry charge of order-1").press("Enter")
    expect(monitor.form).to_have_count(0)
    book.run(0, 2)
    again = Monitor(book, 2)
    again.expect_counts(completed=3, stuck=1)
    assert again.stuck("order-1").locator(".sk-why").inner_text() == why
    with other_engine(folder):
        again.decide("Retry charge of order-1", by="ann", why="the bank is open again")
        again.expect_answer("order-1", "the engine that has the journal open has recorded it")
        again.expect_counts(completed=3, compensated=1)
    book.screen.shot("monitor of a journal", again.root)
    book.execute(f"engine = Engine({str(folder / 'sagas.db')!r})")
    assert book.value(DECIDED.format("order-1")) == [
        ("retry", "ann", "the bank is open again", ("charge",))
    ]
    book.execute("engine.close()")


OTHER = """\
import sys
from sagas import *
from sagakit import Engine
World.bank_is_open = True
with Engine("sagas.db", sagas=ALL) as engine:
    engine.recover()
    print("open", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def other_engine(folder):
    """An engine that has the journal open, in another process."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "open\n"
        yield
        process.stdin.close()
        assert process.wait(30) == 0


def test_a_closed_engine_is_told_and_nothing_more_can_be_decided(monitor):
    book = monitor.book
    book.execute("engine.run(order, id='order-1')")
    button = monitor.button("Retry charge of order-1")
    button.click()
    book.execute("engine.close()")
    expect(
        monitor.root.get_by_role("alert").filter(has_text="engine is closed").first
    ).to_be_visible()
    expect(monitor.form.get_by_role("alert").filter(has_text="engine is closed")).to_be_visible()
    book.page.keyboard.press("Escape")
    expect(button).to_have_attribute("aria-disabled", "true")
    button.press("Enter")
    expect(monitor.form).to_have_count(0)
    assert monitor.counts() == {"stuck": 1}
    book.screen.shot("monitor closed", monitor.root)


def test_it_follows_the_theme_and_axe_finds_nothing(monitor):
    book = monitor.book
    book.execute("[engine.run(good) for _ in range(40)]")
    book.execute("[engine.run(undone) for _ in range(9)]")
    book.execute("running = [engine.start(slow, id=f'slow-{i}') for i in range(6)]")
    book.execute("engine.run(trip, id='trip-4711'); engine.run(order, id='order-10248')")
    book.execute("engine.run(order, id='order-10249')")
    book.execute("engine.resolve('order-10249', 'abandon', by='bob', why='it is a test')")
    monitor.expect_counts(running=6, completed=40, compensated=9, stuck=2, abandoned=1)
    colour = "tile => getComputedStyle(tile).backgroundColor"
    sign = monitor.root.locator(".sk-count-sign").first
    light = sign.evaluate(colour)
    for theme in (None, DARK):
        if theme:
            book.theme(theme)
            expect(monitor.root).to_have_attribute("data-theme", "dark")
        name = "dark" if theme else "light"
        assert violations(book.page, ".sk-root") == []
        book.screen.shot(f"monitor {name}", monitor.root)
        monitor.button("Abandon trip-4711").click()
        monitor.form.get_by_label("Reason").press("Enter")
        assert violations(book.page, ".sk-root") == []
        book.screen.shot(f"monitor form {name}", monitor.root)
        book.page.keyboard.press("Escape")
    assert sign.evaluate(colour) != light
    monitor.decide("Skip charge of order-10248", why="paid back")
    monitor.expect_answer("order-10248", "skip: execution 'order-10248' is compensated")
    expect(monitor.stuck("order-10248")).to_contain_text("no longer stuck")
    assert violations(book.page, ".sk-root") == []
    book.screen.shot("monitor answered dark", monitor.root)
    book.execute("World.go.set(); engine.close()")
    expect(monitor.root.locator(".sk-banner")).to_be_visible()
    assert violations(book.page, ".sk-root") == []


def test_of_very_many_the_oldest_are_listed_and_a_long_reason_is_whole_in_the_form(monitor):
    book = monitor.book
    book.execute("World.bank_answers = 'the bank is closed; ' * 60")
    book.execute("for i in range(60): engine.run(order, id=f'order-{i:02}')")
    book.execute("running = [engine.start(slow, id=f'slow-{i:02}') for i in range(70)]")
    monitor.expect_counts(stuck=60, running=70)
    expect(monitor.root.locator(".sk-stuck")).to_contain_text("and 10 more, stuck since later")
    expect(monitor.root.locator(".sk-flight")).to_contain_text("and 20 more, younger ones")
    expect(monitor.root.locator(".sk-stuck-row")).to_have_count(50)
    book.screen.shot("monitor huge", monitor.root)
    row = monitor.stuck("order-00").bounding_box()
    assert row["height"] < 140
    monitor.button("Retry charge of order-00").click()
    why = monitor.form.locator(".sk-why")
    assert why.inner_text().count("the bank is closed") == 60
    assert why.evaluate("why => why.scrollHeight <= why.clientHeight + 1")
    book.screen.shot("monitor long reason", monitor.root)
    book.page.keyboard.press("Escape")
    # it fails again, and is stuck since later than those that are listed
    monitor.decide("Retry charge of order-00", by="ann", why="so")
    monitor.expect_answer("order-00", "retry: execution 'order-00' is stuck")
    expect(monitor.stuck("order-00")).to_contain_text("no longer listed")
    book.execute("World.go.set(); [one.result() for one in running]")
    monitor.expect_counts(stuck=60, completed=70)


def test_it_can_be_used_where_there_is_little_room(monitor):
    book = monitor.book
    book.execute("engine.run(good); engine.run(trip, id='trip-1')")
    running = "running = engine.start(slow, id='slow-0')"
    book.execute(running)
    monitor.expect_counts(completed=1, stuck=1, running=1)
    book.page.set_viewport_size({"width": 820, "height": 900})
    try:
        expect(monitor.flying("slow-0")).to_be_attached()
        parts = ".sk-monitor-body, .sk-scroll, .sk-count-name"
        wide = monitor.root.evaluate(
            "(root, parts) => Math.max(...[root, ...root.querySelectorAll(parts)]"
            ".map(one => one.scrollWidth - one.clientWidth))",
            parts,
        )
        assert wide <= 0, "it is cut off at its right"
        book.screen.shot("monitor narrow", monitor.root)
        monitor.decide("Skip all of trip-1", by="ann", why="settled")
        monitor.expect_answer("trip-1", "is compensated")
    finally:
        book.page.set_viewport_size({"width": 1400, "height": 900})
        book.execute("World.go.set()")


BUSY = """\
stop = threading.Event()
def many():
    while not stop.is_set():
        [one.result() for one in [engine.start(good) for _ in range(200)]]
worker = threading.Thread(target=many)
worker.start()
"""
_FRAMES = """async count => {
    const gaps = [];
    let last = performance.now();
    for (let i = 0; i < count; i++) {
        await new Promise(requestAnimationFrame);
        gaps.push(performance.now() - last);
        last = performance.now();
    }
    return gaps.sort((a, b) => a - b)[Math.floor(count * 0.95)];
}"""


def test_while_an_engine_finishes_many_sagas_nothing_moves_beneath_the_hand(monitor):
    book = monitor.book
    book.execute("engine.run(order, id='order-0'); engine.run(order, id='order-1')")
    button = monitor.button("Skip charge of order-1")
    button.focus()
    place = button.bounding_box()
    monitor.root.evaluate(
        """root => {
            window.told = [];
            new MutationObserver(() => window.told.push(performance.now())).observe(
                [...root.querySelectorAll('[role=status]')].at(-1),
                {childList: true, characterData: true, subtree: true});
        }"""
    )
    book.execute(BUSY)
    try:
        book.expect("monitor.state['counts'].get('completed', 0) > 1000", True)
        book.execute("engine.resolve('order-0', 'skip', by='bob', why='it is mine')")
        expect(monitor.stuck("order-0")).to_contain_text("no longer stuck")
        book.execute("[engine.run(order, id=f'order-{i}') for i in range(2, 8)]")
        expect(monitor.stuck("order-7")).to_be_attached()
        assert button.bounding_box() == place
        expect(button).to_be_focused()
        gap = monitor.root.evaluate(_FRAMES.replace("count =>", "(_, count) =>"), 120)
        assert gap < 150, f"frames take {gap:.0f} ms"
        monitor.decide("Skip charge of order-1", by="ann", why="paid back")
        monitor.expect_answer("order-1", "skip: execution 'order-1' is compensated")
        told = book.page.evaluate("() => window.told.length")
        assert told <= 2, "who listens is told too much"
        book.screen.shot("monitor busy", monitor.root)
    finally:
        book.execute("stop.set(); worker.join()")
