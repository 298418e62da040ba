from __future__ import annotations

import base64
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sagakit.views import Picture

any_text = st.text(st.characters(codec=None), max_size=40)


def test_html_is_an_image_that_untrusted_notebooks_keep() -> None:
    picture = Picture(svg="<svg/>", alt='a "flow"', table=(("step",), ("<b>",)))
    html = picture._repr_html_()
    assert html.startswith('<img src="data:image/svg+xml;base64,')
    assert base64.b64decode(html.split("base64,")[1].split('"')[0]) == b"<svg/>"
    assert 'alt="a &quot;flow&quot;"' in html
    assert "<summary>As a table</summary>" in html
    assert "<td>&lt;b&gt;</td>" in html
    assert "<svg" not in html


def test_without_a_table_there_are_no_details() -> None:
    assert "<details>" not in Picture(svg="<svg/>", alt="x")._repr_html_()


def test_what_is_inside_opens_below_the_picture_without_a_script() -> None:
    deep = Picture(svg="<svg/>", alt="deep")
    inner = Picture(svg="<svg/>", alt="inner", insides=(("bank: saga 'bank'", deep),))
    html = Picture(svg="<svg/>", alt="x", insides=(("<pay>", inner),))._repr_html_()
    closed = html.replace('100%">', '100%"/>')
    root = ET.fromstring(f"<div>{closed}</div>")
    assert {element.tag for element in root.iter()} <= {"div", "img", "details", "summary"}
    outer = root.find("details")
    assert outer is not None
    assert [e.text for e in outer.iter("summary")] == ["<pay>", "bank: saga 'bank'"]
    assert [e.get("alt") for e in outer.iter("img")] == ["inner", "deep"]


@given(any_text, any_text, any_text)
def test_no_repr_ever_raises(svg: str, alt: str, cell: str) -> None:
    inside = Picture(svg=svg, alt=alt)
    picture = Picture(svg=svg, alt=alt, table=((cell,), (cell, cell)), insides=((cell, inside),))
    closed = picture._repr_html_().replace('max-width:100%">', 'max-width:100%"/>')
    ET.fromstring(f"<div>{closed}</div>")
    assert "\n" not in repr(picture)
    assert repr(picture).startswith("<Picture: ")


def test_the_repr_is_one_short_line() -> None:
    assert repr(Picture(svg="", alt="flow of 'checkout'")) == "<Picture: flow of 'checkout'>"
    assert len(repr(Picture(svg="", alt="x" * 1000))) < 120
    assert repr(Picture(svg="", alt="long", caption="short")) == "<Picture: short>"


def test_a_picture_is_saved_as_it_is(tmp_path: Path) -> None:
    picture = Picture(svg="<svg>é</svg>", alt="x")
    assert picture.save(tmp_path / "a.svg").read_text(encoding="utf-8") == picture.svg


def test_importing_the_room_loads_nothing_heavy() -> None:
    heavy = ["graphviz", "pygraphviz", "pandas", "matplotlib", "IPython"]
    code = f"import sys, sagakit.views; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
