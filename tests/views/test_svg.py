from __future__ import annotations

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from sagakit.views.svg import card, clean, esc, fit, label, num, oneline, text_width

any_text = st.text(st.characters(codec=None), max_size=40)  # surrogates and controls too


@given(any_text)
def test_any_text_is_valid_xml_once_escaped(text: str) -> None:
    root = ET.fromstring(f"<a b='{esc(text)}'>{esc(text)}</a>")
    assert "".join(root.itertext()) == clean(text).replace("\r\n", "\n").replace("\r", "\n")


@given(any_text, st.floats(20, 300))
def test_fitted_text_is_never_wider_than_asked(text: str, width: float) -> None:
    fitted = fit(text, 12, width)
    assert text_width(fitted, 12) <= width + 1e-9
    assert "\n" not in fitted


def test_text_that_fits_is_left_alone_and_longer_text_ends_in_an_ellipsis() -> None:
    assert fit("create_order", 12, 200) == "create_order"
    assert fit("x" * 10_000, 12, 60).endswith("…")


def test_wide_scripts_count_wider_and_combining_marks_count_nothing() -> None:
    assert text_width("支付", 10) > text_width("ab", 10)
    assert text_width("e\u0301", 10) == text_width("e", 10)


def test_coordinates_are_short_and_never_minus_zero() -> None:
    assert [num(2.0), num(-0.01), num(1.25)] == ["2", "0", "1.2"]


def test_lines_are_joined() -> None:
    assert oneline("a\n b\t\x00c") == "a b \ufffdc"


@given(any_text, any_text)
def test_a_card_is_a_valid_document_whatever_its_words(title: str, text: str) -> None:
    ET.fromstring(card(100, 50, title, text, [label(0, 0, text)]))
