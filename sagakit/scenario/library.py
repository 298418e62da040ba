"""The library of named scenarios: ``data/scenarios``, inside the package or beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagakit.errors import ScenarioError
from sagakit.packaged import data_folder
from sagakit.spec import nearest

if TYPE_CHECKING:
    from pathlib import Path


def library() -> tuple[str, ...]:
    """The names of the scenarios that ``Scenario.named`` knows, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def file_of(name: str) -> Path:
    """The file of a named scenario.

    Raises:
        ScenarioError: there is none of this name.
    """
    known = library()
    if name not in known:
        near = nearest(name, known) or f"; known are {', '.join(known)}"
        raise ScenarioError(f"there is no scenario named '{name}'{near}")
    return _folder() / f"{name}.yaml"


def _folder() -> Path:
    return data_folder("scenarios")
