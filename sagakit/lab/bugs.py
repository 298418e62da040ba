"""The classic mistakes, each as a small saga over the checkout world, and the same one mended.

They are files of ``data/sagas/buggy``, to read and to copy from: ``bugs()`` gives them all.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from sagakit.errors import SagaError
from sagakit.lab.explore import explore
from sagakit.lab.report import Report
from sagakit.lab.twin import ORDER
from sagakit.packaged import data_folder
from sagakit.saga import Saga


class Bug(msgspec.Struct, frozen=True):
    """A mistake.

    Parameters:
        name: of the file that has it.
        about: the mistake in a sentence.
        breaks: the invariant that does not hold because of it.
        buggy, fixed: a saga that has it, and the same without it.
        world: sets the world back in which both run.
        path: where to read it.
    """

    name: str
    about: str
    breaks: str
    buggy: Saga
    fixed: Saga
    world: Callable[[], Any]
    path: Path
    input: Any = msgspec.field(default_factory=lambda: ORDER)

    def explore(self, *, fixed: bool = False, faults: int = 2) -> Report:
        """What exploration finds in it, or in the mended one."""
        saga = self.fixed if fixed else self.buggy
        return explore(saga, self.input, world=self.world, faults=faults)


def bugs(folder: Path | None = None) -> dict[str, Bug]:
    """All mistakes by their names.

    Parameters:
        folder: holds the files; ``data/sagas/buggy`` when left out.

    Raises:
        SagaError: there is no such folder.
    """
    folder = data_folder("sagas/buggy") if folder is None else folder
    files = sorted(folder.glob("*.py"))
    if not files:
        raise SagaError(f"there are no buggy sagas in {folder}")
    return {path.stem: _read(path) for path in files}


def _read(path: Path) -> Bug:
    found = _run(path)
    about = " ".join((found.__doc__ or "").split())
    return Bug(path.stem, about, found.breaks, found.buggy, found.fixed, found.shop.fresh, path)


def _run(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"sagakit_buggy_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
