"""Where the journals of these tests are, unless a file says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sagas.db"


@pytest.fixture(params=["memory", "disk"])
def place(request: pytest.FixtureRequest, path: Path) -> Path | None:
    """What an Engine is given: no file, then one."""
    return None if request.param == "memory" else path
