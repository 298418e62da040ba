"""A saga drawn by mouse, and by keyboard alone, is the saga that code makes."""

from __future__ import annotations

import pytest
from drawing import Designer, designer
from playwright.sync_api import expect

ACTIONS = """\
from sagakit import Retry, Saga, pivot, step, sub_saga
from sagakit.widgets import SagaDesigner

def book_flight(ctx): "Book the flight."
def cancel_flight(ctx): ...
def book_hotel(ctx): ...
def cancel_hotel(ctx): ...
def pay(ctx): ...
def send_tickets(ctx): ...

trip = Saga(
    "trip",
    step(book_flight, compensation=cancel_flight),
    step(book_hotel, compensation=cancel_hotel, after=[], retry=Retry(attempts=3)),
    pivot(pay, after=["book_flight", "book_hotel"], timeout=2.5),
    step(send_tickets),
)
designer = SagaDesigner()
designer.register(book_flight, compensation=cancel_flight)
designer.register(book_hotel, compensation=cancel_hotel)
designer.register(pay, send_tickets)
"""


@pytest.fixture
def empty(lab):
    """An empty designer to which the actions of a notebook are known."""
    book = lab([ACTIONS, "designer"])
    book.run()
    return designer(book)


def test_a_saga_drawn_by_mouse_equals_the_one_in_code(empty):
    drawn = empty
    drawn.drag("book_flight", 60, 60)
    drawn.drag("book_hotel", 60, 200)
    drawn.drag("pay", 260, 120)
    drawn.connect("book_flight", "pay")
    drawn.connect("book_hotel", "pay")
    drawn.drag_onto("send_tickets", "pay")
    drawn.step("pay").click()
    drawn.field("Pivot").check()
    drawn.unfold("Trying again")
    drawn.type_into(drawn.field("Timeout, in seconds"), "2.5")
    drawn.step("book_hotel").click()
    drawn.unfold("Trying again")
    drawn.inspector.get_by_role("button", name="Add retry").click()
    drawn.type_into(drawn.field("Attempts"), "3")
    drawn.press("Escape")
    drawn.canvas.click(position={"x": 300, "y": 20})  # where nothing is: the saga's own options
    drawn.type_into(drawn.field("Name"), "trip")
    drawn.book.expect("designer.saga == trip", True)
    assert drawn.edges() == {
        "book_flight → pay", "book_hotel → pay", "pay → send_tickets",
    }  # fmt: skip
    drawn.book.screen.shot("drawn by mouse")


def test_a_saga_drawn_by_keyboard_alone_equals_the_one_in_code(empty):
    drawn = empty
    drawn.tab_to("Canvas")  # the tab: the first stop within the designer
    for part in ("book_flight", "book_hotel", "pay", "send_tickets"):
        drawn.tab_to("Find a part in the palette", back=part != "book_flight")
        drawn.tab_to(part)
        drawn.press("Enter")
        expect(drawn.step(part)).to_be_focused()
        if part == "book_hotel":
            drawn.press("i")
            drawn.tab_to("book_flight")  # the tick under "runs after"
            drawn.press("Space")
            open_section(drawn, "Trying again")
            drawn.tab_to("Add retry")
            drawn.press("Enter")
            drawn.tab_to("Attempts")
            drawn.press("Control+a", "3", "Tab")
        if part == "pay":
            drawn.press("i")
            drawn.tab_to("book_flight")
            drawn.press("Space")
            drawn.tab_to("Pivot")
            drawn.press("Space")
            open_section(drawn, "Trying again")
            drawn.tab_to("Timeout, in seconds")
            drawn.press("2", ".", "5", "Tab")
    drawn.press("Escape")  # nothing is selected: the options are the saga's
    drawn.tab_to("Name")
    drawn.press("Control+a", *"trip", "Tab")
    drawn.book.expect("designer.saga == trip", True)


def open_section(drawn: Designer, title: str) -> None:
    """By keyboard: a section that is folded says so."""
    drawn.tab_to(title)
    drawn.press("Enter")


def test_one_gesture_is_one_message(empty):
    drawn = empty
    book = drawn.book
    gestures = {
        "a part is dropped": lambda: drawn.drag("book_flight", 60, 60),
        "another one": lambda: drawn.drag("pay", 300, 60),
        "two are connected": lambda: drawn.connect("book_flight", "pay"),
        "one is moved": lambda: drawn.move("pay", 20, 60),
        "an option is set": lambda: drawn.field("Pivot").check(),
        "the steps are laid out": lambda: drawn.tool("Lay out").click(),
        "all are copied": lambda: drawn.press("Control+a", "Control+d"),
        "two steps are removed, with their arrow": lambda: drawn.press("Delete"),
        "that is undone": lambda: drawn.press("Control+z"),
        "and done again": lambda: drawn.press("Control+y"),
    }
    for count, (gesture, do) in enumerate(gestures.items(), 1):
        if gesture == "all are copied":
            drawn.step("pay").click()
        do()
        book.expect("designer.state['seq']", count)
        assert book.messages("edit") == count, gesture
    book.expect("[one.name for one in designer.saga.steps]", ["book_flight", "pay"])


def test_nothing_is_lost_of_what_is_done_while_the_kernel_is_busy(empty):
    drawn = empty
    drawn.drag("book_flight", 120, 60)
    drawn.book.expect("designer.state['seq']", 1)
    drawn.book.do(
        "panel.sessionContext.session.kernel.requestExecute({code: 'import time; time.sleep(4)'});"
    )
    drawn.drag_onto("pay", "book_flight")
    drawn.field("Pivot").check()
    drawn.move("pay", 40, 30)
    drawn.book.expect("[one.name for one in designer.saga.steps if one.pivot]", ["pay"])
    drawn.book.expect("'pay' in designer.state['positions']", True)
    assert drawn.steps() == ["book_flight", "pay"]
    drawn.tool("Undo").click()  # each is still a gesture of its own
    drawn.book.expect("'pay' in designer.state['positions']", False)
    assert drawn.book.value("designer.saga.steps[1].pivot") is True


def test_every_gesture_can_be_undone_and_done_again(empty):
    drawn = empty
    book = drawn.book
    drawn.drag("book_flight", 60, 60)
    drawn.drag_onto("pay", "book_flight")
    drawn.field("Pivot").check()
    book.expect("designer.saga.steps[1].pivot", True)
    texts = [book.value("designer.yaml")]
    for name in ("Pivot", "pay", "book_flight"):
        drawn.tool("Undo").click()
        book.expect("designer.state['seq']", 7 - ["book_flight", "pay", "Pivot"].index(name) - 1)
        texts.append(book.value("designer.yaml"))
    assert drawn.steps() == []
    assert drawn.tool("Undo").get_attribute("aria-disabled") == "true"
    for _ in range(3):
        drawn.tool("Redo").click()
    book.expect("designer.yaml", texts[0])
    assert drawn.steps() == ["book_flight", "pay"]
    assert len(set(texts)) == 4


def test_steps_are_copied_with_what_lies_between_them(empty):
    drawn = empty
    drawn.drag("book_flight", 60, 60)
    drawn.drag_onto("pay", "book_flight")
    drawn.press("Control+a", "Control+c", "Control+v")
    drawn.book.expect(
        "{one.name: list(one.after or ()) for one in designer.saga.steps}",
        {"book_flight": [], "pay": ["book_flight"],
         "book_flight_2": [], "pay_2": ["book_flight_2"]},
    )  # fmt: skip
    drawn.press("Control+x")
    drawn.book.expect("[one.name for one in designer.saga.steps]", ["book_flight", "pay"])
    drawn.press("Control+v")
    drawn.book.expect("len(designer.saga.steps)", 4)


def test_a_circle_is_refused_and_says_why(empty):
    drawn = empty
    drawn.drag("book_flight", 120, 60)
    drawn.drag("pay", 300, 160)
    drawn.connect("book_flight", "pay")
    drawn.book.expect("designer.state['seq']", 3)
    before = drawn.book.value("designer.yaml")
    drawn.connect("pay", "book_flight")
    expect(drawn.root.locator(".sk-bubble")).to_contain_text("would be a circle")
    assert drawn.book.value("designer.yaml") == before
    assert drawn.book.value("designer.state['seq']") == 3


def test_a_step_is_found_by_its_name(empty):
    drawn = empty
    for part in ("book_flight", "pay"):
        drawn.drag(part, 60, 60 if part == "pay" else 200)
    drawn.press("Control+f")
    drawn.press(*"flig", "Enter")
    expect(drawn.step("book_flight")).to_be_focused()
    expect(drawn.step("book_flight")).to_have_attribute("aria-pressed", "true")


def test_a_saga_within_the_saga_is_opened_and_edited(empty):
    drawn = empty
    drawn.drag("Sub-saga", 60, 60)
    drawn.step("saga").dblclick()
    expect(drawn.step("step")).to_be_visible()
    drawn.drag_onto("pay", "step")
    expect(drawn.step("pay")).to_be_visible()
    drawn.book.expect("[s.name for s in designer.saga.children['saga'].steps]", ["step", "pay"])
    drawn.root.get_by_role("navigation").get_by_role("button", name="saga").click()
    expect(drawn.step("saga")).to_be_visible()
    assert drawn.steps() == ["saga"]
