"""Every tab in both themes: axe-core finds nothing serious, and a picture is saved to look at."""

from __future__ import annotations

import pytest
from drawing import TABS, Designer, designer
from lab import AXE, DARK, LIGHT, violations
from playwright.sync_api import expect

# One of everything that is drawn: kinds, badges, services, problems of each level, entities.
CODE = """\
from sagakit import Saga
from sagakit.widgets import SagaDesigner
text = '''
saga: trip
version: "1"
description: Fly, sleep, pay, and tell the traveller.
deadline: 3600
services:
- service: airline
  bulkhead: {calls: 4}
  breaker: {}
  rate_limit: {calls: 100}
- {service: bank, retry_budget: {}}
redact: [card]
steps:
- {step: flight, compensation: cancel_flight, service: airline, timeout: 5}
- {step: hotel, compensation: cancel_hotel, after: [], retry: {attempts: 3}}
- {step: answer, wait: {event: answer, timeout: 86400}, after: [flight, hotel]}
- {step: pay, pivot: true, service: bank, reconcile: was_paid}
- {step: kind, choice: kind_of}
- {step: tickets, branch: [kind, paper]}
- {step: code, after: kind, branch: [kind, digital]}
- {step: guide, after: [tickets, code], saga: {saga: guide, steps: [{step: write}, {step: send}]}}
- {step: travellers, for_each: {items: travellers, step: {step: greet}}}
'''
data = {
    "input": "Order",
    "entities": [
        {
            "name": "Order",
            "service": "bank",
            "fields": [
                {"name": "id", "type": "text", "key": True},
                {"name": "amount", "type": "money"},
            ],
            "relations": [{"name": "lines", "to": "Line", "kind": "many"}],
        },
        {"name": "Line", "fields": [{"name": "id", "type": "text", "key": True}], "relations": []},
    ],
}
designer = SagaDesigner(Saga.from_yaml(text), data=data)
"""

pytestmark = pytest.mark.skipif(
    not AXE.is_file(), reason="axe-core is not there: make widgets (it needs Node 20)"
)


@pytest.fixture
def trip(lab):
    book = lab([CODE, "designer"])
    book.run()
    return designer(book, 1)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_no_tab_has_a_serious_violation(trip, theme):
    trip.book.theme(theme)
    found = {tab: looked_at(trip, theme, tab) for tab in TABS}
    trip.open("Canvas")
    trip.step("hotel").click()
    for section in trip.inspector.locator("summary").all():
        if section.locator("xpath=..").get_attribute("open") is None:
            section.click()
    found["every option of a step"] = look(trip, theme, "a step")
    trip.press("Escape")
    trip.canvas.click(position={"x": 20, "y": 20})
    for section in trip.inspector.locator("details:not([open]) > summary").all():
        section.click()
    trip.inspector.get_by_role("group", name="Services").first.scroll_into_view_if_needed()
    found["the saga's services"] = look(trip, theme, "services")
    for tool in ("Keys", "Find a step", "Save"):
        trip.tool(tool).click()
        found[tool] = look(trip, theme, tool)
        trip.press("Escape")
    assert {place: problems for place, problems in found.items() if problems} == {}


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_what_goes_wrong_is_shown_to_everyone(trip, theme):
    trip.book.theme(theme)
    trip.book.execute("designer.yaml = 'saga: [\\n'")
    found = {tab: looked_at(trip, theme, tab, "unread") for tab in TABS}
    trip.book.execute("designer.yaml = text.replace('step: hotel', 'pivot: true, step: hotel')")
    found |= {f"{tab}, wrong": looked_at(trip, theme, tab, "wrong") for tab in TABS}
    trip.open("Canvas")
    trip.step("hotel").click()
    found["a step"] = look(trip, theme, "a wrong step")
    trip.book.restart()
    expect(trip.root.locator(".sk-banner")).to_be_visible()
    found["restarted"] = look(trip, theme, "restarted")
    assert {place: problems for place, problems in found.items() if problems} == {}


def test_the_empty_canvas_says_how_to_begin(lab):
    book = lab(["from sagakit.widgets import SagaDesigner\nSagaDesigner()"])
    book.run()
    empty = designer(book)
    for theme in (LIGHT, DARK):
        book.theme(theme)
        assert look(empty, theme, "empty") == []
    empty.canvas.get_by_role("button", name="Add the first step").click()
    assert empty.steps() == ["step"]


def test_axe_is_really_asked(lab):
    book = lab(["1"])
    book.page.evaluate(
        """() => document.body.insertAdjacentHTML(
            'beforeend', '<div id="bad"><button></button><img src="data:,"></div>')"""
    )
    found = violations(book.page, "#bad")
    book.page.evaluate("() => document.getElementById('bad').remove()")
    assert any("button-name" in problem for problem in found)
    assert any("image-alt" in problem for problem in found)


def looked_at(trip: Designer, theme: str, tab: str, state: str = "") -> list[str]:
    trip.open(tab)
    return look(trip, theme, f"{tab} {state}".strip())


def look(trip: Designer, theme: str, what: str) -> list[str]:
    """Save a picture, and say what axe-core finds."""
    trip.to_sight()
    trip.book.screen.shot(f"{theme.split()[-1].lower()}/{what}", trip.root)
    return violations(trip.book.page, ".sk-root")
