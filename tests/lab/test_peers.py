"""The models of other tools' rules do what the tools do: the real ones run, in a venv of theirs."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import filelock
import pytest
from worlds import Street

from sagakit import Scenario
from sagakit.lab import semantics
from sagakit.lab.rules import (
    Rule,
    register_after,
    stop_at_first_failure,
    swallow_failures,
    undo_failed_step,
)

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("peer_child.py")
PINNED = ROOT / "tests" / "benchmarks" / "requirements.txt"
PACKAGES = ("saga-py", "py-api-saga", "simple-saga", "sagah", "sagaz")

PEERS: dict[str, Rule] = {
    "saga_py": undo_failed_step,
    "py_api_saga": register_after,
    "simple_saga_sync": swallow_failures,
    "simple_saga_async": swallow_failures,
    "sagah": stop_at_first_failure,
    "sagaz": swallow_failures,
}
STEPS = ("order", "charge", "reserve", "ship")

# What the child is told, and the same as a scenario.
CASES: dict[str, tuple[dict[str, Any], Scenario]] = {
    "nothing fails": ({}, Scenario()),
    "an action fails": ({"fail": "reserve"}, Scenario().fail("reserve")),
    "the first action fails": ({"fail": "order"}, Scenario().fail("order")),
    "a compensation fails": (
        {"fail": "ship", "undo_fails": "charge"},
        Scenario().fail("ship").fail_compensation("charge"),
    ),
    "a compensation fails once": (
        {"fail": "ship", "undo_fails": "reserve", "times": 1},
        Scenario().fail("ship").fail_compensation("reserve", 1),
    ),
    "a reply is lost": ({"lose": "reserve"}, Scenario().lose_reply("reserve")),
    "a reply is lost and a compensation fails": (
        {"lose": "reserve", "undo_fails": "charge"},
        Scenario().lose_reply("reserve").fail_compensation("charge"),
    ),
}


def _pinned() -> list[str]:
    lines = PINNED.read_text().splitlines()
    found = [line for line in lines if line.partition("==")[0] in PACKAGES]
    assert len(found) == len(PACKAGES), "each peer is pinned where the benchmarks pin it"
    return found


def _lacks(python: Path) -> str:
    """What a venv lacks of the peers; empty if it has all, as they are pinned."""
    if not python.exists():
        return f"there is no {python.relative_to(ROOT)}"
    code = (
        "import importlib.metadata as m, sys; [print(f'{p}=={m.version(p)}') for p in sys.argv[1:]]"
    )
    done = subprocess.run([python, "-c", code, *PACKAGES], capture_output=True, text=True)
    return "" if done.stdout.split() == _pinned() else done.stdout + done.stderr[-300:]


def _python(folder: str) -> Path:
    return ROOT / folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"


@pytest.fixture(scope="module")
def python() -> Path:
    """A Python with the peers: that of `make bench`, or of a small venv that is made once. A
    machine that can install nothing skips; CI may not."""
    bench, own = _python(".venv-bench"), _python(".venv-peers")
    if not _lacks(bench):
        return bench
    with filelock.FileLock(ROOT / ".venv-peers.lock", timeout=600):
        if _lacks(own):
            pip = [own, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
            for command in ([sys.executable, "-m", "venv", own.parents[1]], [*pip, *_pinned()]):
                done = subprocess.run(command, capture_output=True, text=True, timeout=500)
                if done.returncode:
                    why = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
                    pytest.skip(f"the peers cannot be installed: {why[-1]}")
    assert not _lacks(own)
    return own


@pytest.fixture(scope="module")
def real(python: Path) -> dict[str, dict[str, Any]]:
    """What each peer did in each case."""
    given = {"steps": STEPS, "scenarios": [child for child, _ in CASES.values()]}
    done = subprocess.run(
        [python, CHILD],
        input=json.dumps(given), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return {peer: dict(zip(CASES, seen, strict=True)) for peer, seen in found.items()}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("peer", PEERS)
def test_a_model_calls_tells_and_leaves_what_the_real_one_does(
    peer: str, case: str, real: dict[str, dict[str, Any]]
) -> None:
    street = Street()
    found = semantics(
        street.row(*STEPS), world=street.fresh, scenario=CASES[case][1], rules=[PEERS[peer]]
    )
    (model,) = found.outcomes
    seen = real[peer][case]
    assert list(model.order) == seen["calls"]
    assert list(model.told) == seen["told"]
    assert sorted(model.effects) == seen["effects"]


def test_every_peer_was_run(real: dict[str, dict[str, Any]]) -> None:
    assert set(real) == set(PEERS)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_peers_are_not_where_the_tests_run(package: str) -> None:
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version(package)
