"""A saga is broken by clicks, scrubbed, guessed: what the page shows is what the kernel says."""

from __future__ import annotations

import pytest
from lab import DARK, violations
from playing import Player
from playwright.sync_api import expect

SETUP = """\
from sagakit import explore, Saga, simulate, step, Scenario
from sagakit.lab import ORDER, Twin
from sagakit.widgets import FaultMatrix, SagaPlayer
from sagakit.widgets.frames import states_at
twin = Twin()
def again():
    return simulate(Twin().saga, ORDER, scenario=Scenario.from_yaml(player.state["yaml"]))
"""
PLAYER = """\
player = SagaPlayer(twin.saga, ORDER, world=twin.fresh)
player
"""
FAULTS = {
    "fail before": ("reserve_stock", "compensated"),
    "fail after": ("charge_payment", "compensated"),
    "slow": ("charge_payment", "completed"),
    "time out": ("reserve_stock", "compensated"),
    "crash before the effect": ("reserve_stock", "completed"),
    "crash after the effect": ("charge_payment", "completed"),
}


@pytest.fixture
def player(lab):
    book = lab([SETUP, PLAYER])
    book.run()
    shown = Player(book, 1, "player")
    expect(shown.step("create_order")).to_be_visible()
    return shown


def test_every_kind_of_fault_put_in_by_clicks_ends_as_in_simulate(player):
    for label, (path, status) in FAULTS.items():
        player.strike(path, label)
        assert player.book.value("player.execution.events == again().events"), label
        assert player.status() == player.book.value("again().status") == status, label
        player.answered(player.button("Remove this fault", exact=False).click)
        assert player.book.value("player.scenario.faults + player.scenario.crashes") == ()
    player.strike("confirm_order", "fail before")
    player.strike("charge_payment", "fail compensation")
    assert player.book.value("player.execution.events == again().events")
    assert player.status() == player.book.value("again().status") == "stuck"
    player.book.screen.shot("player stuck", player.root)


def test_at_every_event_it_draws_the_coordinators_states(player):
    player.strike("confirm_order", "fail before")
    count = player.book.value("len(player.execution.history())")
    states = player.book.value(
        f"[{{path: str(s) for path, s in states_at(player.state['film'], event).items()}}"
        f" for event in range({count})]"
    )
    glyphs = player.book.value(
        "{str(s): look['glyph'] for s, look in player.legend['states'].items()}"
    )
    player.scrubber.press("Home")
    ways = ["ArrowRight"] * (count - 1) + ["ArrowLeft"] * (count - 1)
    for event, way in zip(
        [*range(count), *reversed(range(count - 1))], [*ways, "Home"], strict=True
    ):
        assert player.event() == event
        assert player.states() == states[event], f"event {event}"
        assert glyphs[states[event]["charge_payment"]] in player.glyphs("charge_payment")
        player.scrubber.press(way)
    at_end = player.book.value("{n: str(s) for n, s in player.execution.states.items()}")
    player.scrubber.press("End")
    assert player.states() == at_end
    player.events().filter(has_text="step failed").click()
    assert player.states()["confirm_order"] == "failed"


def test_ledgers_change_beside_it(player):
    player.scrubber.press("End")
    rows = player.root.locator(".sk-ledgers tr")
    expect(rows.filter(has_text="units sold")).to_contain_text("22")
    player.events().filter(has_text="charge_payment").nth(1).click()
    expect(rows.filter(has_text="cents charged")).to_have_class("sk-changed")
    expect(rows.filter(has_text="cents charged")).to_contain_text("44,000")


def test_what_follows_is_hidden_until_it_is_guessed_right_or_wrong(player):
    player.strike("confirm_order", "fail before")
    player.button("Predict").click()
    expect(player.events()).to_have_count(1)
    expect(player.scrubber).to_be_disabled()
    for name in ("refund_payment", "release_stock", "cancel_order"):
        player.side.get_by_role("button", name=name, exact=True).click()
    player.answered(player.button("This is the order").click)
    verdict = player.side.locator("[data-right]")
    expect(verdict).to_have_attribute("data-right", "false")
    expect(player.side).to_contain_text("'release_stock' comes before 'refund_payment'")
    assert player.event() == player.book.value("len(player.execution.history())") - 1
    player.strike("create_order", "delivered twice")  # another run: another question
    expect(verdict).to_have_count(0)
    for name in ("refund_payment", "release_stock", "cancel_order"):
        player.side.get_by_role("button", name=name, exact=True).click()
    player.button("release_stock earlier").click()
    player.answered(player.button("This is the order").click)
    expect(verdict).to_have_attribute("data-right", "true")
    expect(player.side).to_contain_text("1 of 2 right")
    player.book.screen.shot("player predicts", player.root)


def test_what_is_wrong_with_the_input_is_said_where_it_is(player):
    field = player.side.get_by_label("Input, as JSON")
    field.fill("{")
    player.answered(lambda: field.press("Control+Enter"))
    part = field.locator("xpath=ancestor::section")
    expect(part.get_by_role("alert")).to_contain_text("the input is not JSON")
    assert player.book.value("player.input['amount_cents']") == 44000  # the last run stays


def test_by_keyboard_alone(player):
    keyboard = player.book.page.keyboard
    player.root.evaluate("root => root.focus()")
    player.tab_to("create_order")
    keyboard.press("ArrowRight")
    expect(player.step("charge_payment")).to_be_focused()
    keyboard.press("Enter")
    player.tab_to("fail before")
    player.answered(lambda: keyboard.press("Enter"))
    assert player.status() == "compensated"
    expect(player.step("charge_payment")).to_be_focused()
    player.tab_to("To the beginning")
    keyboard.press("Enter")
    assert player.event() == 0
    keyboard.press(".")
    assert player.event() == 1
    expect(player.inner.locator("> [role=status]")).to_contain_text("event 2 of")
    before = len(player.book.sources())
    for key in "ddx":
        keyboard.press(key)
    assert len(player.book.sources()) == before  # JupyterLab has not taken it for its own


def test_it_follows_the_theme_and_axe_finds_nothing(player):
    player.strike("confirm_order", "fail before")
    assert violations(player.book.page, ".sk-root") == []
    light = player.step("confirm_order").evaluate("box => getComputedStyle(box).backgroundColor")
    player.book.theme(DARK)
    expect(player.root).to_have_attribute("data-theme", "dark")
    assert violations(player.book.page, ".sk-root") == []
    dark = player.step("confirm_order").evaluate("box => getComputedStyle(box).backgroundColor")
    assert light != dark
    for opens in (player.step("charge_payment"), player.button("Legend"), player.button("Keys")):
        opens.click()
        expect(player.root.get_by_role("dialog")).to_be_visible()
        assert violations(player.book.page, ".sk-root") == []
        player.book.page.keyboard.press("Escape")


def test_after_a_restart_the_run_can_still_be_watched(player):
    player.book.restart()
    expect(player.root.get_by_role("alert").filter(has_text="run the cell again")).to_be_visible()
    player.scrubber.press("End")
    assert player.status() == "completed"


CARELESS = """\
def charge(ctx):
    return twin.transfer("charge", ctx.input)
careless = Saga("careless", *twin.steps(
    charge_payment=step(charge, twin.refund_payment, name="charge_payment", timeout=2)))
report = explore(careless, ORDER, world=twin.fresh, faults=1, progress=False)
matrix = FaultMatrix(report)
matrix
"""


def test_a_counterexample_opened_from_the_matrix_replays(lab):
    book = lab([SETUP, CARELESS])
    book.run()
    shown = Player(book, 1, "matrix")
    cell = shown.root.get_by_role("gridcell", name="charge_payment, repeat")
    expect(cell).to_have_attribute("data-status", "completed")
    broken = book.value(
        "sorted(set(n for r in report.singles['charge_payment', 'repeat'] for n in r.broken))"
    )
    expect(cell).to_have_attribute("data-broken", str(len(broken)))
    shown.answered(cell.click)
    expect(shown.step("charge_payment")).to_be_visible()
    shown.scrubber.press("End")
    scenario = "matrix.play('charge_payment', 'repeat').scenario"
    book.execute(f"twin.fresh()\nreplayed = simulate(careless, ORDER, scenario={scenario})")
    assert shown.status() == book.value("replayed.status")
    assert shown.states() == book.value("{n: str(s) for n, s in replayed.states.items()}")
    expect(shown.side).to_contain_text("delivered twice")
    assert violations(book.page, ".sk-root") == []
    book.screen.shot("matrix", shown.root)
    shown.answered(shown.button("Close the run").click)
    expect(shown.inner).to_have_count(0)
    expect(cell).to_be_focused()
    book.page.keyboard.press("Control+Home")
    expect(shown.root.get_by_role("gridcell", name="create_order, fail")).to_be_focused()
    book.page.keyboard.press("ArrowRight")
    shown.answered(lambda: book.page.keyboard.press("Enter"))
    expect(shown.inner).to_be_visible()
    shown.answered(shown.button("Open the run in which nothing_charged_twice does not hold").click)
    expect(shown.root.locator(".sk-opened-head")).to_contain_text("nothing_charged_twice")


def test_a_run_opened_from_the_matrix_asks_for_a_prediction_too(lab):
    book = lab([SETUP, CARELESS])
    book.run()
    shown = Player(book, 1, "matrix")
    shown.answered(shown.root.get_by_role("gridcell", name="confirm_order, fail").click)
    shown.button("Predict").click()
    expect(shown.scrubber).to_be_disabled()
    for name in ("cancel_order", "release_stock"):
        shown.side.get_by_role("button", name=name, exact=True).click()
    seq = book.value("matrix.answer.get('seq', 0)")
    shown.button("This is the order").click()
    book.expect(f"matrix.answer.get('seq', 0) > {seq}", True)
    verdict = shown.side.locator("[data-right]")
    expect(verdict).to_have_attribute(
        "data-right", str(book.value("matrix.answer['right']")).lower()
    )
    expected = book.value("matrix.answer['expected']")
    ran = "[e.step for e in matrix.play('confirm_order', 'fail').execution.events"
    assert list(expected) == book.value(f"{ran} if type(e).__name__ == 'CompensationStarted']")
    expect(shown.side.locator(".sk-order li")).to_have_count(len(expected))


FAN_OUT = """\
from sagakit import for_each
def parcels(ctx):
    return ["a", "b", "c"]
parcel = Saga("parcel", step(lambda ctx: 1, lambda ctx: None, name="pack"),
    step(lambda ctx: 2, lambda ctx: None, name="send"))
orders = Saga("orders", step(lambda ctx: 0, lambda ctx: None, name="pay"),
    for_each("parcels", parcels, parcel))
player = SagaPlayer(orders)
player
"""


def test_a_step_inside_one_item_is_broken_and_all_are_drawn_as_they_stand(lab):
    book = lab([SETUP, FAN_OUT])
    book.run()
    shown = Player(book, 1, "player")
    expect(shown.step("parcels/1/send")).to_be_visible()
    shown.strike("parcels/1/send", "fail before")
    assert shown.status() == "compensated"
    count = book.value("len(player.execution.history())")
    drawn = book.value(
        f"[{{path: str(s) for path, s in states_at(player.state['film'], event).items()}}"
        f" for event in range({count})]"
    )
    shown.scrubber.press("Home")
    for event in range(count):
        assert shown.states() == drawn[event], f"event {event}"
        shown.scrubber.press("ArrowRight")
    ends = {drawn[-1][f"parcels/{item}/pack"] for item in "012"}
    assert ends <= {"compensated", "halted", "skipped", "pending"}, ends
    assert drawn[-1]["parcels/1/send"] == "failed"
    book.screen.shot("player for each", shown.root)


def test_gestures_while_the_kernel_is_busy_come_one_after_the_other(player, tmp_path):
    player.book.keep_busy(until=tmp_path / "go")
    player.menu("charge_payment").get_by_text("slow", exact=True).click()
    expect(player.root.locator("[data-waits]")).to_have_count(1)
    seed = player.side.get_by_label("Seed")
    seed.fill("7")
    seed.press("Enter")
    (tmp_path / "go").touch()
    player.book.expect("[fault.kind for fault in player.scenario.faults]", ["slow"])
    player.book.expect("player.seed", 7)
    expect(player.root.locator("[data-waits]")).to_have_count(0)


def test_keys_work_after_a_click_on_nothing(player):
    player.scrubber.press("Home")
    player.inner.locator(".sk-head").click(position={"x": 300, "y": 20})
    player.book.page.keyboard.press(".")
    assert player.event() == 1
