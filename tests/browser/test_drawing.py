"""A saga drawn by mouse, and by keyboard alone, is the saga that code makes."""

from __future__ import annotations

import pytest
from drawing import designer
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
    drawn.type_into(drawn.field("Timeout, in seconds"), "2.5")
