"""What can be put on the canvas, and what the forms of its options are drawn from."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sagakit import spec
from sagakit.connectors.catalogue import CATALOGUE
from sagakit.errors import DefinitionError
from sagakit.packaged import data_folder
from sagakit.widgets import drafts

FOLDER = Path("data/sagas")  # where sagas are saved unless another place is named

Entry = dict[str, Any]


def entries(actions: Mapping[str, Any], undoes: Mapping[str, str]) -> list[Entry]:
    """The palette.

    Parameters:
        actions: the callables that are registered, by name.
        undoes: of these, the compensations of some.
    """
    return [*_STEPS, *_connectors(), *_actions(actions, undoes), *_sagas()]


def files() -> list[str]:
    """The paths of the sagas that can be loaded."""
    return [_shown(path) for path in _files()]


@functools.cache
def schema() -> dict[str, Any]:
    """The JSON Schema of the YAML form."""
    return spec.json_schema()


def _entry(group: str, label: str, title: str, icon: str, step: Mapping[str, Any]) -> Entry:
    return {"group": group, "label": label, "title": title, "icon": icon, "step": dict(step)}


_STEPS = [
    _entry(
        "Steps",
        "Step",
        "Does something, and can undo it",
        "step",
        {"step": "step", "compensation": "undo_step"},
    ),
    _entry(
        "Steps",
        "Pivot",
        "The point of no return: once it has succeeded nothing is undone",
        "pivot",
        {"step": "pivot", "pivot": True},
    ),
    _entry(
        "Steps",
        "Await event",
        "Waits for an event from outside: a reply, a person's decision",
        "wait",
        {"step": "event", "wait": {"event": "event"}},
    ),
    _entry(
        "Steps",
        "Timer",
        "Waits for a time and nothing else; it survives every restart",
        "wait",
        {"step": "timer", "wait": {"timeout": 60}},
    ),
    _entry(
        "Steps",
        "Choice",
        "Chooses which of several branches is run",
        "choice",
        {"step": "choice", "choice": "choose"},
    ),
    _entry(
        "Steps",
        "Sub-saga",
        "Runs a whole saga, in an execution of its own",
        "saga",
        {"step": "saga", "saga": {"saga": "inner", "steps": [{"step": "step", "after": []}]}},
    ),
    _entry(
        "Steps",
        "For each",
        "Is done once for each item of a list, several at once",
        "for_each",
        {"step": "for_each", "for_each": {"items": "items", "step": {"step": "item", "after": []}}},
    ),
]


def _connectors() -> Iterator[Entry]:
    """The actions that need no code."""
    for one in CATALOGUE:
        yield _entry("Connectors", one.title, one.description, "connector", one.step)


def _actions(actions: Mapping[str, Any], undoes: Mapping[str, str]) -> Iterator[Entry]:
    for name, function in actions.items():
        if name not in undoes.values():
            undo = {"compensation": undoes[name]} if name in undoes else {}
            yield _entry("Actions", name, first_line(function), "action", {"step": name, **undo})


def first_line(function: Callable[..., Any]) -> str:
    """The first line of what a function's docstring says."""
    documented = inspect.isroutine(function) or isinstance(function, type)
    text = inspect.getdoc(function) if documented else None
    return text.partition("\n")[0] if text else ""


def _sagas() -> Iterator[Entry]:
    for path in _files():
        draft = _draft(path, path.stat().st_mtime_ns)
        if draft is not None:
            title = draft.get("description") or f"The saga '{draft['saga']}'"
            step = {"step": draft["saga"], "saga": draft}
            yield _entry("Sagas", draft["saga"], title, "saga", step)


@functools.lru_cache(maxsize=256)
def _draft(path: Path, changed: int) -> drafts.Draft | None:  # noqa: ARG001  what was read holds until then
    """The saga of a file; None where the file has none."""
    try:
        return drafts.from_spec(spec.parse(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, DefinitionError):
        return None


def _files() -> list[Path]:
    """In the folder where one works, or those that come with the package."""
    folder = FOLDER if FOLDER.is_dir() else data_folder("sagas")
    return sorted(path for path in folder.glob("*.yaml") if path.is_file())


def _shown(path: Path) -> str:
    if not path.is_absolute():
        return path.as_posix()
    near = os.path.relpath(path)
    return Path(near).as_posix() if near.count("..") < 3 else path.as_posix()
