"""The stylesheets of the page: all widgets are drawn with all of them, so no part may style another."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

import sagakit.widgets

UI = Path(sagakit.widgets.__file__).parent / "ui" / "src"
SHARED = ("style.css", "watch/watch.css")

pytestmark = pytest.mark.skipif(not UI.exists(), reason="the page's sources are not installed")


def _classes(sheet: Path) -> set[str]:
    return set(re.findall(r"\.(sk-[\w-]+)", sheet.read_text("utf-8")))


def test_two_parts_of_the_page_use_no_class_for_two_things():
    shared = set().union(*(_classes(UI / name) for name in SHARED))
    own = {
        sheet.name: _classes(sheet) - shared
        for sheet in UI.rglob("*.css")
        if str(sheet.relative_to(UI)) not in SHARED
    }
    assert len(own) == 3
    for one, other in itertools.combinations(sorted(own), 2):
        assert own[one] & own[other] == set(), f"in {one} and in {other}"
