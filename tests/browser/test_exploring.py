"""A trace is zoomed, panned, filtered and read: what the page draws is what the kernel has."""

from __future__ import annotations

import io
import json

import pytest
from exploring import Explorer
from lab import DARK, violations
from PIL import Image
from playwright.sync_api import expect

SETUP = """\
from sagakit import Scenario, Trace, simulate
from sagakit.lab import ORDER, Twin
from sagakit.spans import Span
from sagakit.widgets import TraceExplorer
def run(scenario):
    return simulate(Twin().saga, ORDER, scenario=scenario)
slow = Scenario().slow("create_order", 0.4).slow("reserve_stock", 1.2)
failed = run(slow.slow("charge_payment", 0.3, side="compensation")
    .lose_reply("charge_payment", 1).fail("confirm_order"))
def spans(run=0):
    "Of a trace: name, start, end, outcome, as they are drawn."
    columns = explorer._columns[run]
    texts = list(columns._texts.numbers)
    kept = columns.of_spans
    return [(texts[n], s, e, texts[o]) for n, s, e, o in
            zip(kept["name"], kept["start"], kept["end"], kept["outcome"])]
"""
ONE = """\
explorer = TraceExplorer(failed)
explorer
"""
BOTH = """\
explorer = TraceExplorer(failed, run(Scenario().slow("reserve_stock", 0.2)))
explorer
"""
LARGE = """\
import random
def trace(count):
    "Requests of a server, one after the other, each with nine calls of databases inside."
    dice, made, now = random.Random(1), [], 0.0
    def span(inside, name, start, end):
        made.append(Span("a" * 32, f"{len(made):016x}", inside, name, start, end,
                         status="error" if dice.random() < 0.01 else "ok"))
        return made[-1].span_id
    span(None, "server", 0.0, count * 0.0056)
    while len(made) < count:
        took = dice.uniform(0.02, 0.09)
        request = span(made[0].span_id, f"request {dice.randrange(40)}", now, now + took)
        for call in range(9):
            at = now + took * call / 9
            span(request, f"query {dice.randrange(5)}", at, at + took / 9 * dice.random())
        now += took
    return Trace(made[:count])
small, large = TraceExplorer(trace(50)), TraceExplorer(trace(5000))
"""


def opened(lab, *cells: str) -> Explorer:
    book = lab([SETUP, *cells])
    book.run()
    shown = Explorer(book, len(cells), "explorer")
    expect(shown.root.locator(".sk-piece").first).to_be_visible()
    shown.root.evaluate("root => root.scrollIntoView({block: 'center'})")
    return shown


@pytest.fixture
def explorer(lab):
    return opened(lab, ONE)


@pytest.fixture
def both(lab):
    return opened(lab, BOTH)


def test_every_bar_stands_where_its_span_does_in_the_kernel(explorer):
    spans = explorer.book.value("spans()")
    bars = explorer.bars()
    assert sorted(bar["span"] for bar in bars) == list(range(len(spans)))
    whole = explorer.book.value("failed.duration")
    track = explorer.track()
    scale = track["width"] / (1.04 * whole)
    critical = explorer.book.value("list(explorer._columns[0].of_spans['critical'])")
    for bar in bars:
        name, start, end, outcome = spans[bar["span"]]
        assert bar["outcome"] == outcome, name
        assert bar["critical"] == bool(critical[bar["span"]]), name
        left = track["x"] + (start + 0.02 * whole) * scale
        assert bar["left"] == pytest.approx(left, abs=2), name
        assert bar["right"] == pytest.approx(max(left + (end - start) * scale, left + 5), abs=2)
    lanes = explorer.book.value("explorer._columns[0].lanes")
    assert explorer.labels() == lanes
    assert explorer.ticks() == ["0.0 s", "0.5 s", "1.0 s", "1.5 s", "2.0 s"]


def test_it_is_zoomed_and_panned_without_a_word_to_the_kernel(explorer):
    page, root = explorer.book.page, explorer.root
    slow = explorer.number("reserve_stock")
    first = explorer.place(slow)
    middle = (first["left"] + first["right"]) / 2, first["top"] + 5

    page.mouse.move(*middle)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    explorer.until(
        slow, lambda now: now["right"] - now["left"] > 150 + first["right"] - first["left"]
    )
    near = explorer.place(slow)
    assert (near["left"] + near["right"]) / 2 == pytest.approx(middle[0], abs=2)

    explorer.drag(middle, (middle[0] - 90, middle[1]))
    explorer.until(slow, lambda now: abs(now["left"] - near["left"] + 90) < 2)
    page.keyboard.down("Shift")
    page.mouse.wheel(0, -60)
    page.keyboard.up("Shift")
    explorer.until(slow, lambda now: abs(now["left"] - near["left"] + 30) < 2)

    explorer.button("Show all of it").click()
    explorer.until(slow, lambda now: abs(now["left"] - first["left"]) < 1)
    explorer.button("Zoom in").click()
    explorer.until(
        slow, lambda now: now["right"] - now["left"] > 1.4 * (first["right"] - first["left"])
    )
    explorer.press("-")
    explorer.until(slow, lambda now: abs(now["left"] - first["left"]) < 1)

    # what is in sight is dragged in the strip of the whole
    explorer.button("Zoom in").click()
    strip, thumb = (explorer.root.locator(one).bounding_box() for one in (".sk-strip", ".sk-thumb"))
    assert strip is not None
    assert thumb is not None
    assert thumb["width"] == pytest.approx(strip["width"] / 1.5, abs=2)
    inside = thumb["x"] + thumb["width"] / 2, thumb["y"] + 8
    before = explorer.place(slow)["left"]
    explorer.drag(inside, (inside[0] - 30, inside[1]))
    explorer.until(slow, lambda now: abs(now["left"] - before - 45) < 2)
    explorer.button("Show all of it").click()
    explorer.until(slow, lambda now: abs(now["left"] - first["left"]) < 1)

    # a range on the axis fills the view
    track = explorer.track()
    axis = track["y"] + track["height"] / 2
    explorer.drag((first["left"], axis), (first["right"], axis))
    explorer.until(slow, lambda now: abs(now["left"] - track["x"]) < 4)
    assert explorer.place(slow)["right"] == pytest.approx(track["x"] + track["width"], abs=4)
    explorer.press("0")
    explorer.until(slow, lambda now: abs(now["left"] - first["left"]) < 1)
    explorer.bar(slow).dblclick()  # so does a bar
    explorer.until(slow, lambda now: now["right"] - now["left"] > 0.8 * track["width"])
    assert "1.0 s" in explorer.ticks()
    assert "0.5 s" not in explorer.ticks()
    assert explorer.book.messages("edit") == 1  # that click
    assert root.locator(".sk-piece.sk-is-on").count() == 1


def test_lanes_are_collapsed_and_spans_filtered(explorer):
    every = explorer.labels()
    explorer.twist("charge_payment").first.click()
    expect(explorer.lane("charge_payment")).to_have_count(1)
    expect(explorer.lane("charge_payment")).to_have_attribute("aria-expanded", "false")
    explorer.button("Collapse all").click()
    explorer.shows(
        explorer.book.value(
            "[name for name, depth in zip(explorer._columns[0].lanes,"
            " explorer._columns[0].of_lanes['depth']) if depth < 2]"
        )
    )
    explorer.button("Expand all").click()
    explorer.shows(every)

    explorer.button("failed 2", exact=False).click()
    explorer.shows(["saga checkout", "confirm_order", "confirm_order"])
    expect(explorer.root.locator(".sk-piece.sk-faint")).to_have_count(1)  # what is around them
    explorer.button("Show every span").click()
    explorer.root.get_by_label("Took at least").fill("450 ms")
    explorer.root.get_by_label("Took at most").fill("2")
    long = [
        name for name, start, end, _ in explorer.book.value("spans()") if 0.45 <= end - start <= 2
    ]
    assert len(long) == 3
    explorer.shows(["saga checkout", "charge_payment", "reserve_stock", "reserve_stock"])
    explorer.root.get_by_label("Took at most").fill("much")
    expect(explorer.root.get_by_label("Took at most")).to_have_attribute("aria-invalid", "true")
    explorer.shows(["saga checkout", "charge_payment", "reserve_stock", "reserve_stock"])
    explorer.button("Show every span").click()
    explorer.shows(every)
    expect(explorer.root.get_by_label("Took at most")).to_have_value("")

    explorer.button("Critical path").click()
    critical = explorer.book.value(
        "[name for number, name in enumerate(explorer._columns[0].lanes)"
        " if any(explorer._columns[0].of_spans['critical'][span] for span, lane in"
        " enumerate(explorer._columns[0].of_spans['lane']) if lane == number)]"
    )
    explorer.shows(["saga checkout", *critical])
    explorer.root.get_by_label("Find spans").fill("INVENTORY")  # a service
    expect(explorer.lane("reserve_stock").first).to_be_visible()
    expect(explorer.lane("create_order")).to_have_count(0)
    explorer.root.get_by_label("Find spans").fill("nothing is called so")
    expect(explorer.root).to_contain_text("No span is like that")
    explorer.root.locator(".sk-nothing button").click()
    explorer.shows(every)


def test_what_is_known_of_a_span_is_shown_with_its_log_and_what_it_is_linked_to(explorer):
    doubtful = explorer.number("charge_payment #1")
    explorer.bar(doubtful).click()
    explorer.selects(doubtful)
    side = explorer.side
    expect(side.get_by_role("heading", name="charge_payment #1")).to_be_visible()
    expect(side).to_contain_text("saga.idempotency_key")
    details = explorer.book.value("explorer.details")
    for name, value in details["attributes"].items():
        expect(side.locator(".sk-attributes div", has_text=name).first).to_contain_text(
            value if isinstance(value, str) else json.dumps(value)
        )
    expect(side.locator(".sk-span-log > li")).to_have_count(len(details["events"]))
    expect(side.locator(".sk-span-log > li").first).to_contain_text("400 ms")
    expect(side).to_contain_text(details["message"])
    explorer.book.screen.shot("explorer details", explorer.root)
    undone = explorer.number("compensate charge_payment")
    explorer.bar(undone).click()
    expect(side.get_by_text("Linked to")).to_be_visible()
    side.get_by_role("button", name="charge_payment", exact=True).click()
    explorer.selects(explorer.number("charge_payment"))
    side.get_by_role("button", name="saga checkout").click()  # it is inside this one
    explorer.selects(0)


def test_a_span_selects_its_step_and_a_step_its_spans(explorer):
    explorer.bar(explorer.number("reserve_stock #1")).click()
    shown = explorer.root.locator(".react-flow__node:has(.sk-selected)")
    expect(shown).to_have_attribute("data-id", "reserve_stock")
    explorer.button("Collapse all").click()
    of_step = ("charge_payment", "charge_payment #1", "charge_payment #2")
    for name in (*of_step, "compensate charge_payment"):
        explorer.step("charge_payment").click()
        expect(shown).to_have_attribute("data-id", "charge_payment")
        expect(explorer.side.locator("h3")).to_have_text(name)
    explorer.selects(explorer.number("compensate charge_payment"))
    expect(explorer.root.locator(".sk-lane.sk-is-on")).to_contain_text("compensate charge")
    explorer.bar(0).click()  # of the whole execution there is no step
    expect(shown).to_have_count(0)


def test_by_keyboard_alone(explorer):
    explorer.root.evaluate("root => root.focus()")
    explorer.tab_to("Lanes")
    explorer.press("ArrowDown")
    explorer.selects(0)
    explorer.press("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown")
    explorer.selects(explorer.number("charge_payment #1"))
    active = explorer.lanes.get_attribute("aria-activedescendant")
    line = explorer.root.locator(f'[id="{active}"]')
    expect(line).to_have_attribute("aria-selected", "true")
    expect(line).to_have_attribute("aria-label", "charge_payment, 2 spans")
    expect(line).to_have_attribute("aria-level", "3")  # alone within the step's own lane
    expect(line).to_have_attribute("aria-setsize", "1")
    explorer.press("ArrowRight")
    explorer.selects(explorer.number("charge_payment #2"))
    said = explorer.root.locator(".sk-explorer > [role=status]")
    expect(said).to_have_text(
        "charge_payment #2, succeeded, 0 s, at 900 ms, payment, on the critical path"
    )
    explorer.press("Home")
    explorer.selects(explorer.number("charge_payment #1"))
    explorer.press("Enter")
    expect(explorer.side.get_by_label("Details of the span")).to_be_focused()
    explorer.press("Escape")
    expect(explorer.lanes).to_be_focused()
    explorer.press("Escape")
    expect(explorer.side).to_contain_text("Click a span")
    explorer.book.expect("explorer.selected", None)
    explorer.bar(explorer.number("charge_payment #1")).click()
    explorer.press("ArrowUp", "Space")
    expect(explorer.lane("charge_payment")).to_have_count(1)
    explorer.press("Space")
    expect(explorer.lane("charge_payment")).to_have_count(2)
    explorer.press("Control+End")
    last = explorer.book.value("len(spans()) - 1")
    explorer.selects(last)
    before = explorer.place(last)["left"]
    explorer.press("+", "Shift+ArrowRight", "z", "0")
    explorer.until(last, lambda now: abs(now["left"] - before) < 1)
    explorer.press("/")
    expect(explorer.root.get_by_label("Find spans")).to_be_focused()
    explorer.press(*"payment")
    expect(explorer.root.get_by_role("search").get_by_role("status")).to_have_text("5 spans")
    payments = [n for n, (name, *_) in enumerate(explorer.book.value("spans()")) if "pay" in name]
    for span in (*payments, payments[0]):
        explorer.press("Enter")
        explorer.selects(span)
    explorer.press("Escape")
    expect(explorer.lanes).to_be_focused()
    expect(explorer.root.get_by_label("Find spans")).to_have_value("payment")
    cells = len(explorer.book.sources())
    explorer.press("d", "d", "x")
    assert len(explorer.book.sources()) == cells  # JupyterLab has not taken it for its own


def test_two_executions_stand_side_by_side_with_what_differs(both):
    for run in (0, 1):
        ends = both.book.value(f"spans({run})")
        bars = [bar for bar in both.bars() if bar["run"] == run]
        assert sorted(bar["span"] for bar in bars) == list(range(len(ends)))
        assert {bar["span"]: bar["outcome"] for bar in bars} == {
            number: outcome for number, (*_, outcome) in enumerate(ends)
        }
    twins = [both.place(both.number("reserve_stock", run), run) for run in (0, 1)]
    assert twins[0]["top"] == twins[1]["top"]  # the same step, the same lane
    expect(both.root.locator(".sk-not-here")).to_have_count(8)
    found = both.side.locator(".sk-differences button")
    words = both.book.value("[(one.step, one.words) for one in explorer._comparison.differences]")
    assert found.count() == len(words)
    for number, (step, what) in enumerate(words):
        expect(found.nth(number)).to_contain_text(step)
        expect(found.nth(number)).to_contain_text(what)
    marked = both.root.locator(".sk-lane:has(.sk-differs) .sk-lane-name").all_inner_texts()
    named = {f"compensate {one}" if side == "compensation" else one or "saga checkout"
             for one, side in both.book.value(
                 "[(d.step, d.side) for d in explorer._comparison.differences]")}  # fmt: skip
    assert set(marked) == named
    both.book.screen.shot("explorer compares", both.root)

    found.filter(has_text="confirm_order").click()
    both.selects(both.number("confirm_order"))
    expect(both.step("confirm_order")).to_be_visible()
    expect(both.side).to_contain_text("in B")
    both.side.get_by_role("button", name="confirm_order", exact=True).click()
    both.selects(both.number("confirm_order", 1), 1)
    expect(both.button("Graph of B")).to_be_visible()
    both.lanes.focus()
    both.press("ArrowLeft")  # from trace to trace along a lane
    both.selects(both.number("confirm_order"))
    found.filter(has_text="schedule_delivery").first.click()  # only B has it
    both.selects(both.number("schedule_delivery", 1), 1)
    assert violations(both.book.page, ".sk-root") == []
    both.book.theme(DARK)
    assert violations(both.book.page, ".sk-root") == []
    both.book.screen.shot("explorer compares dark", both.root)


def test_it_follows_the_theme_and_axe_finds_nothing(explorer):
    failed = explorer.number("confirm_order")
    explorer.bar(failed).click()
    expect(explorer.side).to_contain_text("saga.step.kind")
    assert violations(explorer.book.page, ".sk-root") == []
    explorer.book.screen.shot("explorer", explorer.root)
    colour = "bar => getComputedStyle(bar).backgroundColor"
    light = explorer.bar(failed).evaluate(colour)
    explorer.book.theme(DARK)
    expect(explorer.root).to_have_attribute("data-theme", "dark")
    assert explorer.bar(failed).evaluate(colour) != light
    assert violations(explorer.book.page, ".sk-root") == []
    explorer.book.screen.shot("explorer dark", explorer.root)
    explorer.button("failed 2", exact=False).click()
    assert violations(explorer.book.page, ".sk-root") == []
    for sheet in ("Legend", "Keys"):
        explorer.button(sheet).click()
        expect(explorer.root.get_by_role("dialog")).to_be_visible()
        assert violations(explorer.book.page, ".sk-root") == []
        explorer.press("Escape")


def test_after_a_restart_the_trace_can_still_be_looked_at(explorer):
    explorer.book.restart()
    expect(explorer.root.get_by_role("alert").filter(has_text="run the cell again")).to_be_visible()
    explorer.lanes.focus()
    explorer.press("ArrowDown", "ArrowDown")
    expect(explorer.side).to_contain_text("create_order")
    expect(explorer.side).to_contain_text("in the kernel: run the cell again")


OTHERS = [
    'explorer = TraceExplorer(Trace([Span("a" * 32, "b" * 16, None, "slow", 1.0, None),'
    ' Span("a" * 32, "c" * 16, "b" * 16, "inner", 1.0, 3.0),'
    ' Span("a" * 32, "d" * 16, "b" * 16, "just begun", 3.0, None)], "of a tool"))\nexplorer',
    "TraceExplorer(Trace([]))",
    "at_once = TraceExplorer(run(Scenario()))\nat_once",
]


def test_traces_of_tools_empty_ones_and_those_of_one_instant(lab):
    book = lab([SETUP, *OTHERS])
    book.run()
    tool, empty, at_once = (Explorer(book, cell, "explorer") for cell in (1, 2, 3))
    expect(tool.root.locator(".sk-piece")).to_have_count(3)
    begun = Image.open(io.BytesIO(tool.bar(2).screenshot())).convert("L")
    assert begun.getextrema()[0] < 140  # it fades to the right, but can be seen
    expect(tool.root.locator(".react-flow")).to_have_count(0)
    expect(tool.bar(0)).to_have_class("sk-piece sk-seen sk-critical sk-open sk-long")
    tool.bar(0).click()
    expect(tool.side).to_contain_text("at least 2 s")
    book.screen.shot("explorer of a tool", tool.root)
    expect(empty.root).to_contain_text("The trace has no spans.")
    assert violations(book.page, ".sk-root") == []
    expect(at_once.root).to_contain_text("drawn in their order")
    assert at_once.ticks()[:3] == ["0", "2", "4"]  # places, no times
    bars = [bar for bar in at_once.bars() if bar["right"] - bar["left"] > 40]
    assert len(bars) == 11  # none is too narrow to be seen
    book.screen.shot("explorer in order", at_once.root)


def test_of_5000_spans_few_are_drawn(lab):
    book = lab([SETUP, LARGE, "small", "large"])
    book.run()
    small, large = Explorer(book, 2, "small"), Explorer(book, 3, "large")
    for shown, count in ((small, 50), (large, 5000)):
        expect(shown.root.locator(".sk-piece").first).to_be_visible()
        shown.root.evaluate("root => root.scrollIntoView({block: 'center'})")
        assert book.value(f"{shown.name}.state['runs'][0]['spans']['count']") == count
        assert shown.root.locator("*").count() < 4000
        shown.button("Zoom in").click()
        assert shown.root.locator("*").count() < 4000
    book.screen.shot("explorer of 5000", large.root)
    # of a lane with many spans each is in some bar
    lanes = large.lanes.bounding_box()
    assert lanes is not None
    book.page.mouse.move(lanes["x"] + 50, lanes["y"] + 50)
    book.page.mouse.wheel(0, 700)
    expect(large.lane("server")).to_have_count(0)
    large.button("Zoom in").click()  # what is beneath the line above has not been clicked
    assert large.selected() is None
    large.lanes.focus()
    large.press("Control+Home", "Control+End")
    expect(large.root.locator(".sk-lane.sk-is-on")).to_be_visible()
    large.book.expect("large.selected is not None", True)
