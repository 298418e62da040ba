"""Lesson 07 in JupyterLab: its cells run, its pictures show, and its designer comes alive."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from drawing import designer
from lab import DARK, LIGHT
from playwright.sync_api import expect

LESSON = Path(__file__).parents[2] / "notebooks" / "07-low-code.ipynb"


@pytest.fixture
def lesson(lab):
    cells = nbformat.read(LESSON, as_version=nbformat.NO_CONVERT).cells
    return lab([cell.source for cell in cells if cell.cell_type == "code"])


def cell_of(book, words: str) -> int:
    """The first cell that has these words in it."""
    return next(number for number, text in enumerate(book.sources()) if words in text)


def test_the_lesson_runs_and_what_it_makes_is_seen_in_both_themes(lesson):
    lesson.run()
    made = lesson.output(cell_of(lesson, "%%saga tickets"))
    expect(made.locator("img")).to_be_visible()
    expect(made.get_by_role("cell", name="line 12").first).to_be_visible()
    modelled = lesson.output(cell_of(lesson, "DataModel.from_yaml"))
    expect(modelled.locator("img")).to_be_visible()
    drawn = designer(lesson, cell_of(lesson, "SagaDesigner(tickets)"))
    for theme in (LIGHT, DARK):
        lesson.theme(theme)
        for name, what in (("saga", made), ("model", modelled), ("designer", drawn.root)):
            lesson.screen.shot(f"lesson-{name} {theme}", what)
    # what a cell below it typed is on the canvas
    assert drawn.steps() == ["hold_seats", "charge_card", "confirm_seats", "print_tickets"]
