"""``sagakit strip``: what it takes out of a notebook, and that the rest stays byte for byte."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sagakit.cli import cli
from sagakit.cli.strip import VIEW, without_widgets
from sagakit.errors import SagaError

STATE = {"application/vnd.jupyter.widget-state+json": {"state": {"a1": {"_esm": "x" * 1000}}}}
PICTURE = {"text/html": ["<img alt='trip' src='data:,'>"], "text/plain": ["SagaDesigner('trip')"]}
MODEL = {"version_major": 2, "version_minor": 0, "model_id": "a1"}


def shown(data: dict[str, Any]) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": data}


def notebook(*outputs: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "cells": [
            {"cell_type": "markdown", "id": "words", "metadata": {}, "source": ["Größe é\n"]},
            {
                "cell_type": "code",
                "execution_count": 1,
                "id": "cell-2",
                "metadata": {"tags": ["widgets"]},
                "outputs": list(outputs),
                "source": ["designer"],
            },
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3", "name": "python3"}, **metadata},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


FORMS = {
    "as Jupyter": {"indent": 1, "ensure_ascii": False},
    "wide": {"indent": 4},
    "in one line": {"separators": (",", ":")},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words: str) -> Any:
    return CliRunner().invoke(cli, ["strip", *words])


def write(name: str, content: Any, **form: Any) -> bytes:
    data = (json.dumps(content, **(form or FORMS["as Jupyter"])) + "\n").encode()
    Path(name).write_bytes(data)
    return data


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(
    "order", [lambda data: data, lambda data: dict(reversed(data.items()))], ids=["last", "first"]
)
def test_state_and_views_go_and_every_other_byte_stays(form, order):
    both = order({**PICTURE, VIEW: MODEL})
    metadata = order({"z": 1, "widgets": STATE})
    write("a.ipynb", notebook(shown(both), shown({"text/plain": "1"}), **metadata), **form)
    clean = notebook(shown(order(PICTURE)), shown({"text/plain": "1"}), z=1)
    done = call("a.ipynb")
    assert done.exit_code == 0
    assert Path("a.ipynb").read_bytes() == (json.dumps(clean, **form) + "\n").encode()
    assert done.output.splitlines()[0] == "notebook\twidget state"
    assert done.output.splitlines()[1].startswith("a.ipynb\t1,")


def test_an_output_that_was_nothing_but_a_view_goes():
    only = shown({VIEW: MODEL})
    write("a.ipynb", notebook(only, shown(PICTURE), only))
    assert call("a.ipynb").exit_code == 0
    assert json.loads(Path("a.ipynb").read_text()) == notebook(shown(PICTURE))
    write("a.ipynb", notebook(only))
    call("a.ipynb")
    assert json.loads(Path("a.ipynb").read_text()) == notebook()


def test_a_clean_notebook_is_not_even_written(folder):
    data = write("a.ipynb", notebook(shown(PICTURE)), indent=3)
    before = os.stat("a.ipynb")
    done = call("a.ipynb")
    assert (done.exit_code, done.output) == (0, "")
    after = os.stat("a.ipynb")
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert Path("a.ipynb").read_bytes() == data


def test_check_names_the_notebooks_and_changes_none():
    data = write("a.ipynb", notebook(widgets=STATE))
    write("b.ipynb", notebook())
    write("c.ipynb", notebook(shown({**PICTURE, VIEW: MODEL})))
    done = call("--check", "a.ipynb", "b.ipynb", "c.ipynb")
    assert done.exit_code == 1
    rows = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert rows == ["notebook", "a.ipynb", "c.ipynb"]
    assert "sagakit strip" in done.stderr
    assert Path("a.ipynb").read_bytes() == data
    assert call("a.ipynb", "c.ipynb").exit_code == 0
    assert call("--check", "a.ipynb", "b.ipynb", "c.ipynb").exit_code == 0


def test_json_says_how_much_each_holds():
    data = write("a.ipynb", notebook(widgets=STATE))
    write("b.ipynb", notebook())
    clean = len(json.dumps(notebook(), **FORMS["as Jupyter"]).encode()) + 1
    done = call("--check", "--json", "a.ipynb", "b.ipynb")
    assert json.loads(done.stdout) == [{"notebook": "a.ipynb", "bytes": len(data) - clean}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"cells: []", "'a.ipynb' is not a notebook: Expecting value"),
        (b"\xff\xfe", "'a.ipynb' is not a notebook: 'utf-8'"),
        (b"[]", "not a notebook of format 4"),
        (b'{"worksheets": []}', "not a notebook of format 4"),
        (None, "there is no file 'a.ipynb'"),
    ],
)
def test_what_is_no_notebook_is_said_in_words_and_nothing_is_written(content, said):
    if content is not None:
        Path("a.ipynb").write_bytes(content)
    data = write("good.ipynb", notebook(widgets=STATE))
    done = call("good.ipynb", "a.ipynb")
    assert isinstance(done.exception, SagaError)
    assert said in str(done.exception)
    assert Path("good.ipynb").read_bytes() == data


def test_a_folder_is_said_in_words(folder):
    done = call(".")
    assert "'.' is a folder" in str(done.exception)


def test_permissions_stay_and_a_link_is_followed(folder):
    write("a.ipynb", notebook(widgets=STATE))
    os.chmod("a.ipynb", 0o640)
    os.symlink("a.ipynb", "link.ipynb")
    assert call("link.ipynb").exit_code == 0
    assert Path("link.ipynb").is_symlink()
    assert os.stat("a.ipynb").st_mode & 0o777 == 0o640
    assert json.loads(Path("a.ipynb").read_text()) == notebook()


def test_a_write_that_fails_leaves_the_notebook_whole(folder, monkeypatch):
    data = write("a.ipynb", notebook(widgets=STATE))

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert isinstance(call("a.ipynb").exception, OSError)
    assert Path("a.ipynb").read_bytes() == data
    assert os.listdir() == ["a.ipynb"]


def test_what_is_left_is_a_valid_notebook():
    write("a.ipynb", notebook(shown({**PICTURE, VIEW: MODEL}), widgets=STATE))
    call("a.ipynb")
    nbformat.validate(nbformat.read("a.ipynb", nbformat.NO_CONVERT))


def test_from_the_command_line_an_error_is_one_line(folder):
    Path("a.ipynb").write_text("no")
    done = subprocess.run(
        [sys.executable, "-m", "sagakit.cli", "strip", "a.ipynb"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("sagakit: 'a.ipynb' is not a notebook")
    assert len(done.stderr.splitlines()) == 1


# -- on notebooks of every shape -------------------------------------------------------------

mimes = st.sampled_from(["text/plain", "text/html", VIEW, "widgets", "é"])
values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | mimes, inner, max_size=3)
    ),
    max_leaves=5,
)
outputs = st.fixed_dictionaries({"data": st.dictionaries(mimes, values, max_size=4)}) | st.just(
    {"output_type": "stream", "text": ["widgets"]}
)
cells = st.fixed_dictionaries(
    {"source": values}, optional={"outputs": st.lists(outputs, max_size=4)}
)
notebooks = st.fixed_dictionaries(
    {"cells": st.lists(cells, max_size=3)},
    optional={"metadata": st.dictionaries(st.sampled_from(["widgets", "a", "b"]), values)},
)


def slowly(content: Any) -> Any:
    """What strip does, on the content and not on the text."""
    content = copy.deepcopy(content)
    content.get("metadata", {}).pop("widgets", None)
    for cell in content["cells"]:
        if "outputs" in cell:
            cell["outputs"] = [o for o in cell["outputs"] if list(o.get("data", ())) != [VIEW]]
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop(VIEW, None)
    return content


@given(notebooks, st.sampled_from(list(FORMS.values())))
def test_it_cuts_the_text_as_one_would_write_the_content_anew(content, form):
    stripped = without_widgets(json.dumps(content, **form))
    assert stripped == json.dumps(slowly(content), **form)
