"""Widgets where there is little room: nothing that can be pressed is out of reach."""

from __future__ import annotations

import pytest
from lab import Book
from playwright.sync_api import Locator

CELLS = [
    """
from sagakit import Scenario, explore, simulate
from sagakit.lab import ORDER, Twin
from sagakit.widgets import FaultMatrix, SagaDesigner, SagaPlayer, TraceExplorer
shop = Twin()
""",
    "SagaDesigner(shop.saga)",
    "SagaPlayer(shop.saga, ORDER, world=shop.fresh)",
    "TraceExplorer(simulate(shop.saga, ORDER))",
    "FaultMatrix(explore(shop.saga, ORDER, world=shop.fresh, faults=1))",
]
NARROW = 330  # px: of JupyterLab in a window of 700

_BEYOND = """root => {
    const {left, right} = root.getBoundingClientRect();
    return [...root.querySelectorAll('.sk-head button, .sk-head [role=tab]')]
        .filter(one => one.checkVisibility())
        .filter(one => one.getBoundingClientRect().right > right + 1 ||
            one.getBoundingClientRect().left < left - 1)
        .map(one => one.ariaLabel || one.textContent);
}"""


@pytest.fixture
def narrow(lab) -> Book:
    book: Book = lab(CELLS)
    book.run()
    book.page.add_style_tag(content=f".jp-OutputArea-output {{ max-width: {NARROW}px; }}")
    return book


def _root(book: Book, cell: int) -> Locator:
    root = book.output(cell).locator(".sk-root")
    root.wait_for()
    return root


def test_no_button_of_a_head_is_cut_off_and_the_event_log_has_its_words(narrow):
    for cell in range(1, len(CELLS)):
        root = _root(narrow, cell)
        assert root.evaluate("root => root.clientWidth") <= NARROW
        assert root.evaluate(_BEYOND) == [], CELLS[cell]
    narrow.screen.shot("narrow", _root(narrow, 2))
    log = _root(narrow, 2).get_by_role("listbox")
    box = log.bounding_box()
    assert box is not None
    assert box["width"] > NARROW - 40
