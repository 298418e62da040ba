"""The style sheets of the widgets: all of them are on a page at once."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

UI = Path(__file__).parents[2] / "sagakit/widgets/ui/src"
# each one widget's, or a part of one; what style.css and watch.css have is there for all
OWN = ("trace/trace.css", "monitor/monitor.css", "panels/panels.css")


def _styled(name: str) -> set[str]:
    """The classes to which a sheet gives looks wherever they stand."""
    text = re.sub(r"/\*.*?\*/", "", (UI / name).read_text("utf-8"), flags=re.S)
    selectors = [
        one.strip() for before in re.findall(r"([^{};]+)\{", text) for one in before.split(",")
    ]
    found = (re.fullmatch(r"(?:\.sk-root )?(\.sk-[\w-]+)", one) for one in selectors)
    return {match[1] for match in found if match}


def test_no_widgets_sheet_gives_looks_to_a_class_of_another_widgets():
    classes = {name: _styled(name) for name in OWN}
    assert all(len(found) > 10 for found in classes.values())
    for one, other in combinations(OWN, 2):
        assert classes[one] & classes[other] == set(), f"{one} and {other}"
