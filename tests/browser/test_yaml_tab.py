"""The canvas and the texts keep each other up to date, and a problem stands where it belongs."""

from __future__ import annotations

import re

import pytest
from drawing import designer
from playwright.sync_api import expect

CODE = """\
from sagakit import Saga
from sagakit.widgets import SagaDesigner
designer = SagaDesigner()
"""
TRIP = """\
saga: trip
steps:
- step: flight  # the dearest first
  compensation: cancel_flight
- step: pay
  pivot: true
"""
LONGER = TRIP.replace(
    "- step: pay", "- step: hotel\n  after: []\n- step: pay\n  after: [flight, hotel]"
)


@pytest.fixture
def trip(lab):
    """A designer that shows the saga `trip`, of two steps."""
    book = lab([CODE, f"designer.yaml = {TRIP!r}\ndesigner"])
    book.run()
    return designer(book)


def test_what_is_typed_as_yaml_is_drawn(trip):
    trip.open("YAML")
    trip.yaml.fill(LONGER)
    trip.book.expect("designer.yaml", LONGER)
    trip.open("Canvas")
    expect(trip.step("hotel")).to_be_visible()
    assert trip.steps() == ["flight", "hotel", "pay"]
    assert trip.edges() == {"flight → pay", "hotel → pay"}
    trip.book.expect(f"designer.saga == Saga.from_yaml({LONGER!r})", True)


def test_what_is_drawn_is_written_and_what_is_not_touched_stays_as_it_was_typed(trip):
    trip.step("pay").click()
    trip.press("F2")
    trip.press("Control+a", *"settle", "Enter")
    trip.book.expect("designer.yaml", TRIP.replace("step: pay", "step: settle"))
    trip.open("YAML")
    expect(trip.yaml).to_have_value(TRIP.replace("step: pay", "step: settle"))


def test_what_the_notebook_sets_is_shown(trip):
    trip.open("YAML")
    trip.book.execute(f"designer.yaml = {LONGER!r}")
    expect(trip.yaml).to_have_value(LONGER)
    trip.open("Canvas")
    expect(trip.step("hotel")).to_be_visible()
    trip.book.execute("designer.saga = Saga.from_yaml('saga: other\\nsteps: [{step: only}]')")
    expect(trip.step("only")).to_be_visible()
    assert trip.steps() == ["only"]


def test_a_text_that_cannot_be_read_leaves_the_drawing_and_says_where(trip):
    before = trip.book.value("repr(designer.saga)")
    trip.open("YAML")
    trip.yaml.fill(TRIP + "  pivot: [\n")
    expect(trip.root.locator(".sk-found")).to_contain_text("is not YAML")
    expect(trip.root.get_by_role("button", name="Line 8")).to_be_visible()
    trip.open("Canvas")
    expect(trip.canvas.get_by_role("alert")).to_contain_text("cannot be read")
    assert trip.steps() == ["flight", "pay"]
    assert trip.book.value("repr(designer.saga)") == before
    trip.canvas.get_by_role("button", name="Mend the text").click()
    trip.yaml.fill(LONGER)
    trip.open("Canvas")
    expect(trip.canvas.get_by_role("alert")).to_have_count(0)
    expect(trip.step("hotel")).to_be_visible()


def test_a_field_says_itself_what_the_library_says_of_it(trip):
    trip.step("flight").click()
    trip.field("Pivot").check()
    trip.book.expect("len([one for one in designer.problems if one['level'] == 'error'])", 2)
    said = {problem["path"][-1]: problem["text"] for problem in trip.problems("error")}
    field = trip.inspector.locator('[data-path$="compensation"]')
    expect(field.filter(has_text=said["compensation"]).first).to_be_visible()
    expect(trip.step("pay")).to_have_accessible_name(re.compile("error|problem"))
    trip.step("pay").click()
    expect(trip.inspector.locator('[data-path$="pivot"]')).to_contain_text(said["pivot"])
    expect(trip.field("Pivot")).to_have_attribute("aria-invalid", "true")
    trip.field("Pivot").uncheck()
    expect(trip.inspector).not_to_contain_text(said["pivot"])
    assert trip.book.value("len(designer.saga.steps)") == 2


def test_what_a_field_cannot_take_is_refused_beside_it_and_not_sent(trip):
    trip.step("pay").click()
    trip.unfold("Trying again")
    sent = trip.book.messages("edit")
    trip.type_into(trip.field("Timeout, in seconds"), "soon")
    expect(trip.field("Timeout, in seconds")).to_have_attribute("aria-invalid", "true")
    assert trip.book.messages("edit") == sent
    trip.type_into(trip.field("Timeout, in seconds"), "3")
    trip.book.expect("designer.saga.steps[1].timeout", 3.0)


def test_a_problem_leads_to_its_field(trip):
    trip.book.execute(f"designer.yaml = {LONGER.replace('pivot: true', 'timeout: -1')!r}")
    trip.open("Problems")
    trip.root.get_by_role("region", name="Errors").get_by_role("button").click()
    expect(trip.field("Timeout, in seconds")).to_be_focused()
    expect(trip.step("pay")).to_have_attribute("aria-pressed", "true")


def test_the_python_code_makes_the_same_saga(trip):
    trip.open("Python")
    shown = trip.root.locator(".sk-python").inner_text()
    assert shown.strip() == trip.book.value("designer.python").strip()
    trip.book.execute(shown)
    assert trip.book.value("trip == designer.saga") is True


def test_a_saga_is_saved_and_loaded(trip):
    trip.tool("Save").click()
    trip.type_into(trip.root.get_by_role("dialog").get_by_label("File", exact=True), "drawn.yaml")
    trip.root.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(trip.root.get_by_role("status").last).to_contain_text("Saved drawn.yaml")
    assert (trip.book.screen.server.root / "drawn.yaml").read_text("utf-8") == TRIP
    trip.book.execute(f"designer.yaml = {LONGER!r}")
    expect(trip.step("hotel")).to_be_visible()
    trip.tool("Load").click()
    field = trip.root.get_by_role("dialog").get_by_label("File", exact=True)
    field.fill("drawn.yaml")
    field.press("Enter")  # in a cell, JupyterLab keeps it from the form
    trip.book.expect("designer.yaml", TRIP)
    expect(trip.step("hotel")).to_have_count(0)


def test_entities_give_a_picture_the_input_s_schema_and_models(trip):
    trip.open("Data")
    data = trip.root.get_by_role("region", name="Data", exact=True)
    data.get_by_role("button", name="Add an entity").last.click()
    entity = data.locator(".sk-entity")
    trip.type_into(entity.get_by_label("Name", exact=True), "Booking")
    entity.get_by_role("button", name="Add a field").click()
    entity.get_by_role("textbox", name="Name of").last.fill("traveller")
    entity.get_by_role("textbox", name="Name of").last.press("Tab")
    data.get_by_label("The saga's input").select_option("Booking")
    picture = data.get_by_role("img", name="Entity-relationship diagram")
    expect(picture).to_have_attribute("alt", re.compile("Booking.*traveller"))
    expect(data.locator(".sk-python")).to_contain_text("class Booking")
    trip.book.expect("'traveller' in designer.saga.input_schema['properties']", True)
    trip.open("YAML")
    expect(trip.yaml).to_have_value(re.compile("traveller"))
    trip.open("Data")
    trip.tool("Undo").click()
    expect(data.get_by_label("The saga's input")).to_have_value("")
