"""Every notebook as it is committed: executed once, in order, and safe to show anywhere.

What its cells print is checked by nbval; here stands what nbval does not see.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest

from sagakit.cli.strip import without_widgets

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))

ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")
ABSOLUTE_PATH = re.compile(
    r"(?<![\w./:<])/(?:home|root|tmp|usr|var|work|opt|private|Users|mnt|etc)/|\b[A-Z]:\\"
)
IMAGE = re.compile(r"<img\b[^>]*>")
ATTRIBUTE = re.compile(r'\b([\w-]+)="([^"]*)"')
SVG = "data:image/svg+xml;base64,"


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=nbformat.NO_CONVERT)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [(cell.id, output) for cell in code_cells(notebook) for output in cell.outputs]


def texts(notebook):
    """(cell, kind, text) of everything an output holds; a picture's own text included."""
    for cell, output in outputs(notebook):
        if output.output_type == "stream":
            yield cell, output.name, output.text
        for kind, text in output.get("data", {}).items():
            yield cell, kind, str(text)
            for picture in pictures(str(text)):
                yield cell, "picture", picture


def pictures(html):
    for image in IMAGE.findall(html):
        source = dict(ATTRIBUTE.findall(image)).get("src", "")
        if source.startswith(SVG):
            yield base64.b64decode(source.removeprefix(SVG), validate=True).decode("utf-8")


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_it_is_valid_and_of_format_4_5(notebook):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)


def test_its_kernel_is_python_s_and_names_no_version(notebook):
    assert notebook.metadata.kernelspec == {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    assert notebook.metadata.get("language_info", {"name": "python"}) == {"name": "python"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_holds_no_widget_state(path):
    text = path.read_text("utf-8")
    assert without_widgets(text) == text, f"run: sagakit strip notebooks/{path.name}"


def test_its_cells_hold_no_times_of_execution(notebook):
    assert [cell.id for cell in notebook.cells if "execution" in cell.metadata] == []


def test_every_code_cell_was_run_in_order(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_cell_is_empty(notebook):
    assert [cell.id for cell in notebook.cells if not cell.source.strip()] == []


def test_no_output_is_an_error_or_a_warning(notebook):
    found = [
        cell
        for cell, output in outputs(notebook)
        if output.output_type == "error" or output.get("name") == "stderr"
    ]
    assert found == []


def test_no_output_names_a_path_or_an_address_of_this_machine(notebook):
    found = [
        (cell, match[0])
        for cell, _, text in texts(notebook)
        for pattern in (ADDRESS, ABSOLUTE_PATH)
        if (match := pattern.search(text))
    ]
    assert found == []


def test_every_rich_output_has_words_too(notebook):
    found = [
        cell
        for cell, output in outputs(notebook)
        if "text/plain" not in output.get("data", {"text/plain": ""})
    ]
    assert found == []


def test_every_image_is_a_data_uri_with_alt_text(notebook):
    for cell, kind, text in texts(notebook):
        assert kind not in ("image/svg+xml", "application/vnd.jupyter.widget-view+json"), cell
        if kind == "text/html":
            assert "<svg" not in text, f"{cell}: untrusted notebooks strip inline SVG"
            for image in IMAGE.findall(text):
                attributes = dict(ATTRIBUTE.findall(image))
                assert attributes["src"].startswith("data:image/"), cell
                assert attributes["alt"].strip(), cell


def test_every_picture_is_an_svg_that_asks_for_nothing_else(notebook):
    for cell, kind, text in texts(notebook):
        if kind == "picture":
            root = ElementTree.fromstring(text)
            assert root.tag == "{http://www.w3.org/2000/svg}svg", cell
            assert not re.search(r"(?:href|src)=\"(?!#)|<script|@import", text), cell
