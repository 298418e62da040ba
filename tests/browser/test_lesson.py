"""Every lesson in JupyterLab: its cells run, its pictures show, and its widgets come alive."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from drawing import designer
from lab import DARK, LIGHT
from monitoring import Monitor
from playing import Player
from playwright.sync_api import expect

LESSONS = Path(__file__).parents[2] / "notebooks"

# The widgets that each lesson shows, from top to bottom.
SHOWN = {
    "00-welcome": ["SagaDesigner", "SagaPlayer", "TraceExplorer", "FaultMatrix"],
    "01-first-saga": ["SagaPlayer"],
    "01b-the-language": ["SagaPlayer"],
    "02-reading-a-trace": ["TraceExplorer", "TraceExplorer"],
    "03-timings": ["TraceExplorer"],
    "04-break-it": ["SagaPlayer", "EngineMonitor"],
    "05-explore": ["FaultMatrix"],
    "06-isolation": ["SagaPlayer"],
    "07-low-code": ["SagaDesigner"],
}
VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def lesson(lab):
    """Opens a lesson, by its name, where its files are."""

    def open_lesson(name: str):
        cells = nbformat.read(LESSONS / f"{name}.ipynb", as_version=nbformat.NO_CONVERT).cells
        book = lab([cell.source for cell in cells if cell.cell_type == "code"])
        book.execute(f"import os; os.chdir({str(LESSONS)!r})")
        book.run()
        return book

    return open_lesson


def cell_of(book, words: str) -> int:
    """The first cell that has these words in it."""
    return next(number for number, text in enumerate(book.sources()) if words in text)


def widgets(book) -> list[tuple[int, str]]:
    """The cells that show a widget, and of which class it is."""
    shown = (
        (cell, output["data"]["text/plain"])
        for cell in range(book.count())
        for output in book.outputs(cell)
        if VIEW in output.get("data", {})
    )
    return [(cell, "".join(text).removeprefix("<").split()[0].rstrip(":")) for cell, text in shown]


def test_every_lesson_is_opened_here():
    assert sorted(SHOWN) == sorted(path.stem for path in LESSONS.glob("*.ipynb"))


@pytest.mark.parametrize("name", SHOWN)
def test_it_runs_and_each_of_its_widgets_is_drawn_in_both_themes(lesson, name):
    book = lesson(name)
    found = widgets(book)
    assert [kind for _, kind in found] == SHOWN[name]
    for theme in (LIGHT, DARK):
        book.theme(theme)
        for cell, kind in found:
            root = book.output(cell).locator(".sk-root")
            root.scroll_into_view_if_needed()
            expect(DRAWN[kind](root)).to_be_visible()
            expect(root.locator(".sk-failed")).to_have_count(0)
            book.screen.shot(f"lessons/{name} {kind} {cell} {theme}", root)


# What is on the page of each widget when it has been drawn.
DRAWN = {
    "SagaDesigner": lambda root: root.locator(".sk-canvas [data-step]").first,
    "SagaPlayer": lambda root: root.locator(".react-flow__node").first,
    "TraceExplorer": lambda root: root.get_by_role("treeitem").first,
    "FaultMatrix": lambda root: root.get_by_role("grid"),
    "EngineMonitor": lambda root: root.locator(".sk-stuck-row").first,
}


def test_the_tour_proves_what_is_on_its_canvas(lesson):
    """As it asks its reader to: without the refund, its last cell shows what is wrong."""
    book = lesson("00-welcome")
    cells = dict(zip(SHOWN["00-welcome"], (cell for cell, _ in widgets(book)), strict=True))
    matrix = book.output(cells["FaultMatrix"]).locator(".sk-root")
    broken = matrix.get_by_text("no_effect_survives_compensation")
    expect(matrix.get_by_role("grid")).to_be_visible()
    expect(broken).to_have_count(0)

    text = book.value("designer.yaml")
    book.execute(f"designer.yaml = {text.replace('  compensation: refund_payment', '')!r}")
    book.run(cells["SagaPlayer"], cells["FaultMatrix"])
    player = Player(book, cells["SagaPlayer"], "player")
    expect(player.step("charge_payment")).to_be_visible()
    assert "charge_payment" not in book.value("player.execution.compensated_steps")
    expect(broken).to_be_visible()


def test_the_stuck_order_of_a_lesson_is_the_readers_to_decide(lesson):
    book = lesson("04-break-it")
    monitor = Monitor(book, cell_of(book, "EngineMonitor("))
    expect(monitor.stuck("order-9")).to_be_visible()
    monitor.decide("Retry charge_payment of order-9", by="a reader", why="to see it done")
    book.expect("engine.status('order-9').status", "compensated")
    [decision] = book.value("[(one.by, one.why) for one in engine.status('order-9').resolutions]")
    assert decision == ("a reader", "to see it done")


def test_the_low_code_lesson_shows_what_it_makes_in_both_themes(lesson):
    book = lesson("07-low-code")
    made = book.output(cell_of(book, "%%saga tickets"))
    expect(made.locator("img")).to_be_visible()
    expect(made.get_by_role("cell", name="line 12").first).to_be_visible()
    modelled = book.output(cell_of(book, "DataModel.from_yaml"))
    expect(modelled.locator("img")).to_be_visible()
    drawn = designer(book, cell_of(book, "SagaDesigner(tickets)"))
    for theme in (LIGHT, DARK):
        book.theme(theme)
        for name, what in (("saga", made), ("model", modelled), ("designer", drawn.root)):
            book.screen.shot(f"lesson-{name} {theme}", what)
    # what a cell below it typed is on the canvas
    assert drawn.steps() == ["hold_seats", "charge_card", "confirm_seats", "print_tickets"]
