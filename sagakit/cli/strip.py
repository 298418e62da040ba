"""``sagakit strip``: notebooks without the state of their widgets."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from sagakit.cli.given import json_option
from sagakit.cli.output import print_json, print_table
from sagakit.errors import SagaError

VIEW = "application/vnd.jupyter.widget-view+json"


@click.command(
    short_help="Take the state of widgets out of notebooks.",
    epilog="Exit codes: 0 done, or nothing to do; 1 with --check: a notebook holds widget state; "
    "or NOTEBOOK cannot be read or written.",
)
@click.argument(
    "notebooks", nargs=-1, required=True, metavar="NOTEBOOK...", type=click.Path(path_type=Path)
)
@click.option("--check", is_flag=True, help="Change nothing; name the notebooks with such state.")
@json_option
def strip(notebooks: Sequence[Path], check: bool, as_json: bool) -> None:
    """Take out of each NOTEBOOK what widgets leave in it: their state (half a megabyte for each
    designer), and the views that cannot be shown without a kernel.

    The picture and the text beside a view stay, and so does every other byte of the file.
    """
    texts = {path: _stripped(path) for path in notebooks}  # all are read before one is written
    found: dict[str, int] = {}  # of a notebook: bytes of widget state
    for path, (old, new) in texts.items():
        if old != new:
            found[str(path)] = len(old.encode()) - len(new.encode())
            if not check:
                _replace(path, new)
    if as_json:
        print_json([{"notebook": name, "bytes": size} for name, size in found.items()])
    elif found:
        print_table(("notebook", "widget state"), [(k, f"{v:,} bytes") for k, v in found.items()])
    if check and found:
        click.echo("to take it out: sagakit strip NOTEBOOK...", err=True)
    sys.exit(1 if check and found else 0)


def _stripped(path: Path) -> tuple[str, str]:
    """The text of a notebook, and what shall become of it."""
    if path.is_dir():
        raise SagaError(f"'{path}' is a folder; give the notebooks in it")
    try:
        text = path.read_bytes().decode("utf-8")
        content = json.loads(text)
    except FileNotFoundError:
        raise SagaError(f"there is no file '{path}'") from None
    except ValueError as error:  # not UTF-8, or not JSON
        raise SagaError(f"'{path}' is not a notebook: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise SagaError(f"'{path}' is not a notebook of format 4: it has no list of cells")
    return text, without_widgets(text)


def without_widgets(notebook: str) -> str:
    """A notebook's text without the state and the views of widgets; the rest is as it was.

    A text is cut, and not written anew from what it says: whoever wrote the file has an order of
    keys, an indent and a way with other characters than ASCII that a diff would show.
    """
    root = _members(notebook, _blank(notebook, 0))
    cuts = [*_cuts(notebook, _named(root, "metadata"), lambda item: item.name == "widgets")]
    for cell in _elements(notebook, _named(root, "cells")):
        outputs = _named(_members(notebook, cell.value), "outputs")
        cuts += _cuts(notebook, outputs, lambda output: _mimes(notebook, output) == [VIEW])
        for output in _elements(notebook, outputs):
            if VIEW in (mimes := _mimes(notebook, output)) and len(mimes) > 1:
                data = _named(_members(notebook, output.value), "data")
                cuts += _cuts(notebook, data, lambda item: item.name == VIEW)
    for begin, end in sorted(cuts, reverse=True):
        notebook = notebook[:begin] + notebook[end:]
    return notebook


def _mimes(text: str, output: _Item) -> list[str | None]:
    """In which forms an output is there."""
    data = _named(_members(text, output.value), "data")
    return [] if data is None else [item.name for item in _members(text, data)]


# -- where things stand in a JSON text that is known to be valid ----------------------------


class _Item(NamedTuple):
    """A member of an object, or an element of a list."""

    name: str | None  # of an element: None
    begin: int
    value: int  # where its value begins
    end: int


_DECODER = json.JSONDecoder()


def _blank(text: str, at: int) -> int:
    """Where the blanks that begin here end."""
    while text[at] in " \t\r\n":
        at += 1
    return at


def _items(text: str, at: int) -> Iterator[_Item]:
    """What the object or list that begins here holds."""
    named, close = text[at] == "{", {"{": "}", "[": "]"}[text[at]]
    at = _blank(text, at + 1)
    while text[at] != close:
        begin, name = at, None
        if named:
            name, at = _DECODER.raw_decode(text, at)
            at = _blank(text, _blank(text, at) + 1)  # past the colon
        value = at
        _, at = _DECODER.raw_decode(text, value)
        yield _Item(name, begin, value, at)
        at = _blank(text, at)
        if text[at] == ",":
            at = _blank(text, at + 1)


def _members(text: str, at: int | None) -> list[_Item]:
    return list(_items(text, at)) if at is not None and text[at] == "{" else []


def _elements(text: str, at: int | None) -> list[_Item]:
    return list(_items(text, at)) if at is not None and text[at] == "[" else []


def _named(members: Sequence[_Item], name: str) -> int | None:
    """Where the value of the member of this name begins; the last one counts, as in JSON."""
    return next((item.value for item in reversed(members) if item.name == name), None)


def _cuts(
    text: str, at: int | None, unwanted: Callable[[_Item], bool]
) -> Iterator[tuple[int, int]]:
    """What to cut out of an object or list, so that it holds nothing unwanted."""
    items = _members(text, at) or _elements(text, at)
    kept_end: int | None = None  # of the last one that stays
    for index, item in enumerate(items):
        if not unwanted(item):
            if kept_end is None and index:
                yield items[0].begin, item.begin  # all before it, with their commas
            kept_end = item.end
        elif kept_end is not None:
            yield items[index - 1].end, item.end  # with the comma before it
    if at is not None and items and kept_end is None:
        yield at + 1, _blank(text, items[-1].end)


# -- writing ---------------------------------------------------------------------------------


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all; its permissions stay."""
    path = path.resolve()  # where a link leads to
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, name)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
