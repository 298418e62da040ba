"""The designer in its notebook: themes, keys, restarts, two of them, and who only reads."""

from __future__ import annotations

import re

import nbformat
import pytest
from drawing import TABS, designer
from lab import DARK, LIGHT
from playwright.sync_api import expect

CODE = """\
from sagakit import Saga
from sagakit.widgets import SagaDesigner
text = '''
saga: trip
services: [{service: airline, bulkhead: {calls: 4}}]
steps:
- {step: flight, compensation: cancel_flight, service: airline, retry: {attempts: 3}}
- {step: hotel, compensation: cancel_hotel, service: airline, after: []}
- {step: pay, pivot: true, after: [flight, hotel]}
'''
designer = SagaDesigner(Saga.from_yaml(text))
"""


@pytest.fixture
def trip(lab):
    book = lab([CODE, "designer", "kept = 1"])
    book.run()
    return designer(book, 1)


def test_the_theme_is_followed_live(trip):
    colour = "element => getComputedStyle(element).backgroundColor"
    light = trip.canvas.evaluate(colour)
    trip.book.theme(DARK)
    expect(trip.root).to_have_attribute("data-theme", "dark")
    dark = trip.canvas.evaluate(colour)
    trip.book.theme(LIGHT)
    expect(trip.root).to_have_attribute("data-theme", "light")
    assert brightness(dark) < 100 < 200 < brightness(light)
    assert trip.canvas.evaluate(colour) == light


def brightness(colour: str) -> float:
    """Of 'rgb(…)' or 'color(srgb …)': from 0 to 255."""
    numbers = [float(number) for number in re.findall(r"[\d.]+", colour)][:3]
    return sum(numbers) / 3 * (255 if colour.startswith("color") else 1)


def test_keys_typed_in_the_designer_do_nothing_to_the_notebook(trip):
    book = trip.book
    sources = book.sources()
    targets = {
        "a tab": trip.root.get_by_role("tab", name="Canvas"),
        "a tool": trip.tool("Find a step"),
        "the palette": trip.part("Step"),
        "the canvas": trip.canvas,
        "a step": trip.step("flight"),
        "a text": trip.field("Name"),
        "a tick": trip.field("Read"),
        "a choice": trip.field("What happens"),
        "a fold": trip.inspector.locator("summary").first,
        "the grip": trip.root.get_by_role("separator"),
    }
    for name, target in targets.items():
        trip.step("flight").click()
        target.focus()
        for keys in ("ddx", "abcvmr00"):  # never z: it would undo what the others did
            trip.press(*keys)
            book.page.wait_for_timeout(50)
            assert book.sources() == sources, f"'{keys}' in {name}"
        trip.press("Escape")
    trip.open("YAML")
    trip.yaml.focus()
    trip.press(*"ddx")
    assert book.sources() == sources
    assert trip.yaml.input_value().count("ddx") == 1
    trip.press("Control+s")  # saves the saga, not the notebook
    expect(trip.root.get_by_role("dialog")).to_be_visible()
    assert book.value("kept") == 1  # the kernel was not restarted by `0 0`


def test_two_designers_are_two(lab):
    book = lab([CODE, "designer", "other = SagaDesigner(Saga.from_yaml(text))\nother"])
    book.run()
    first, second = designer(book, 1), designer(book, 2)
    first.step("pay").click()
    first.press("Delete")
    book.expect("[one.name for one in designer.saga.steps]", ["flight", "hotel"])
    assert book.value("len(other.saga.steps)") == 3
    assert second.steps() == ["flight", "hotel", "pay"]
    second.to_sight()
    second.step("flight").click()
    second.press("Delete")
    book.expect("[one.name for one in other.saga.steps]", ["hotel", "pay"])
    first.to_sight()
    first.step("hotel").click()
    first.press("Control+z")
    book.expect("[one.name for one in designer.saga.steps]", ["flight", "hotel", "pay"])
    assert book.value("[one.name for one in other.saga.steps]") == ["hotel", "pay"]


def test_one_designer_shown_twice_is_one(lab):
    book = lab([CODE, "designer", "designer"])
    book.run()
    first, second = designer(book, 1), designer(book, 2)
    first.step("pay").click()
    first.press("Delete")
    expect(second.step("pay")).to_have_count(0)
    assert second.steps() == ["flight", "hotel"]


def test_after_a_restart_of_the_kernel_the_drawing_is_still_there(trip):
    trip.step("pay").click()
    trip.press("Delete")
    trip.book.expect("len(designer.saga.steps)", 2)
    trip.book.restart()
    expect(trip.root.locator(".sk-banner")).to_contain_text("kernel has restarted")
    assert trip.steps() == ["flight", "hotel"]
    trip.open("YAML")
    assert "hotel" in trip.yaml.input_value()
    trip.book.screen.shot("after a restart", trip.root)
    trip.book.run(0, 1)
    again = designer(trip.book, 1)
    expect(again.root.locator(".sk-banner")).to_have_count(0)
    assert again.steps() == ["flight", "hotel", "pay"]


def test_notebook_7_shows_it_and_hears_of_edits(notebook7):
    book = notebook7([CODE, "designer"])
    book.run()
    shown = designer(book, 1)
    shown.step("pay").click()
    shown.press("Delete")
    book.expect("len(designer.saga.steps)", 2)
    shown.press("Control+z")
    book.expect("len(designer.saga.steps)", 3)
    shown.drag_onto("Timer", "pay")
    book.expect("len(designer.saga.steps)", 4)
    book.screen.shot("notebook 7")


def test_who_does_not_trust_the_notebook_sees_a_picture_with_words(trip):
    saved = trip.book.save()
    (output,) = saved.cells[1].outputs
    assert {"text/html", "text/plain", VIEW} <= set(output.data)
    assert output.data["text/plain"] == "<SagaDesigner 'trip': 3 steps>"
    saved.cells.append(nbformat.v4.new_markdown_cell("This machine has not signed this notebook."))
    name = f"read-{trip.book.name}"
    nbformat.write(saved, trip.book.screen.server.root / name)
    read = trip.book.screen.open_book(name)
    picture = read.output(1).get_by_role("img").first
    expect(picture).to_be_visible()
    assert "trip" in (picture.get_attribute("alt") or "")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 100")
    assert read.output(1).locator(".sk-root").count() == 0
    read.screen.shot("not trusted")
    read.close()


VIEW = "application/vnd.jupyter.widget-view+json"


def test_it_can_be_used_where_there_is_little_room(trip):
    page = trip.book.page
    page.set_viewport_size({"width": 700, "height": 800})
    toggle = "async () => { await jupyterapp.commands.execute('application:toggle-left-area'); }"
    page.evaluate(toggle)
    try:
        for tab in TABS:
            trip.open(tab)
            box = trip.root.bounding_box()
            assert box is not None
            wide = trip.root.evaluate("root => root.scrollWidth - root.clientWidth")
            assert wide <= 0, f"{tab} is cut off at its right"
            trip.book.screen.shot(f"narrow/{tab}", trip.root)
        trip.open("Canvas")
        trip.step("pay").click()
        trip.press("Delete")
        trip.book.expect("len(designer.saga.steps)", 2)
    finally:
        page.evaluate(toggle)
        page.set_viewport_size({"width": 1400, "height": 900})
