"""Who imports whom (the contracts in pyproject.toml), and what ``import sagakit`` brings along."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What a notebook, a table, a picture or a database needs is loaded where it is used.
LAZY = {
    "anywidget", "asyncio", "graphviz", "ipywidgets", "IPython", "jsonschema", "matplotlib",
    "networkx", "opentelemetry", "pandas", "pygraphviz", "rich", "sqlalchemy", "sqlite3",
    "structlog", "temporalio", "tqdm", "yaml",
}  # fmt: skip


def _probe(code: str) -> dict[str, list[str]]:
    """What is loaded, and which threads run, after ``code`` in an interpreter of its own."""
    report = """
import json, sys, threading
print(json.dumps({
    "loaded": sorted({name.partition(".")[0] for name in set(sys.modules) - before}),
    "threads": [thread.name for thread in threading.enumerate()],
}))
"""
    # what the installation's own .pth files load is not ours
    source = f"import sys; before = set(sys.modules)\n{code}\n{report}"
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True, cwd=ROOT
    )
    result: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return result


def _heavy(loaded: list[str]) -> set[str]:
    return {name for name in loaded if name in LAZY or name.startswith(("jupyter", "ipykernel"))}


def test_the_contracts_between_the_rooms_are_kept() -> None:
    pytest.importorskip("importlinter")
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--no-logo"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_sagakit_loads_nothing_heavy_and_starts_no_thread() -> None:
    after = _probe("import sagakit")
    assert "sagakit" in after["loaded"]
    assert _heavy(after["loaded"]) == set()
    assert after["threads"] == ["MainThread"]


def test_simulating_a_saga_of_plain_functions_needs_no_event_loop_either() -> None:
    after = _probe(
        "from sagakit import Saga, simulate, step\n"
        "def book(): return 1\n"
        "assert simulate(Saga('trip', step(book))).status == 'completed'"
    )
    assert _heavy(after["loaded"]) == set()
    assert after["threads"] == ["MainThread"]


def test_what_tells_of_an_execution_and_reads_yaml_is_loaded_when_it_is_asked_for() -> None:
    source = (
        "import sys\n"
        "from sagakit import Saga, simulate, step\n"
        "def book(): return 1 / 0\n"
        "assert simulate(Saga('trip', step(book))).status == 'compensated'\n"
        "later = {'story', 'event_spans', 'timings', 'scenario.form', 'lab', 'views'}\n"
        "assert not sys.modules.keys() & {f'sagakit.{name}' for name in later}"
    )
    subprocess.run([sys.executable, "-c", source], check=True, cwd=ROOT)


def test_every_public_name_can_be_imported() -> None:
    after = _probe(
        "from sagakit import *; import sagakit\n"
        "assert all(name in globals() for name in sagakit.__all__)"
    )
    assert after["threads"] == ["MainThread"]


def test_the_command_line_shows_its_help_without_anything_heavy() -> None:
    after = _probe(
        "from click.testing import CliRunner\nfrom sagakit.cli import cli\n"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0"
    )
    assert _heavy(after["loaded"]) == set()
