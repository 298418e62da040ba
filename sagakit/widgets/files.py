"""The YAML files that a designer saves and loads."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def yaml_path(path: str | os.PathLike[str]) -> Path:
    """The path of a YAML file; ValueError for another one's."""
    target = Path(path)
    if target.suffix not in (".yaml", ".yml"):
        raise ValueError(f"'{path}' is no YAML file; give a name that ends in .yaml")
    return target


def read(path: str | os.PathLike[str]) -> str:
    """The text of a YAML file."""
    return yaml_path(path).read_text("utf-8")


def write(path: str | os.PathLike[str], text: str) -> Path:
    """Write a YAML file whole or not at all; the folder is made if there is none."""
    given = yaml_path(path)
    target = given.resolve()  # what a link leads to, not the link
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        part.write_text(text, "utf-8", newline="\n")
        if target.exists():
            shutil.copymode(target, part)
        os.replace(part, target)
    except (OSError, UnicodeError):
        part.unlink(missing_ok=True)
        raise
    return given


def why(error: OSError | ValueError) -> str:
    """Why a file could not be read or written, in words."""
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 text (byte {error.start})"
    return (getattr(error, "strerror", None) or "").lower() or str(error)
