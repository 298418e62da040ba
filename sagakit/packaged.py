"""Where the data is that comes with the package: inside it, or beside it in a checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def data_places(part: str) -> tuple[Path, Path]:
    """Where a part of ``data/`` may be: in the installed package, in a checkout."""
    from pathlib import Path

    package = Path(__file__).resolve().parent
    return package / "_data" / part, package.parent / "data" / part


def data_folder(part: str) -> Path:
    """The folder that a part of ``data/`` is in; one that is not there if it is nowhere."""
    places = data_places(part)
    return next((place for place in places if place.is_dir()), places[0])
