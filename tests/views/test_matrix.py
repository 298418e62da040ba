from __future__ import annotations

from collections.abc import Callable

from sagakit.views import STATES, Field, matrix_picture

FIELDS = {
    ("lost", "lock"): Field("gone", "4 of 6 → 0 of 4"),
    ("lost", "view"): Field("unfit", ""),
    ("dirty", "lock"): Field("gone", "5 → 0"),
    ("dirty", "view"): Field("remains", "5 → 5"),
}
LOOKS = {
    "gone": STATES["succeeded"],
    "remains": STATES["failed"],
    "unfit": STATES["skipped"],
}


def test_every_field_has_its_verdict_and_its_words(texts: Callable[[str], list[str]]) -> None:
    picture = matrix_picture("what helps", ["lost", "dirty"], ["lock", "view"], FIELDS, LOOKS)
    said = texts(picture.svg)
    assert said[:3] == ["what helps", "lock", "view"]
    assert said[3:8] == ["lost", "✓ gone", "4 of 6 → 0 of 4", "⊘ unfit", ""]
    assert said[8:13] == ["dirty", "✓ gone", "5 → 0", "✗ remains", "5 → 5"]
    assert said[13:] == ["✓ gone", "✗ remains", "⊘ unfit"]  # the legend
    assert picture.alt == "what helps. lost: lock gone, view unfit; dirty: lock gone, view remains"
    assert picture.table == (
        ("", "lock", "view"),
        ("lost", "gone: 4 of 6 → 0 of 4", "unfit"),
        ("dirty", "gone: 5 → 0", "remains: 5 → 5"),
    )
    assert repr(picture) == "<Picture: what helps>"
