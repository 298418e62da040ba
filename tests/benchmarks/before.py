"""This version beside the last one before the whole language: what does a plain saga pay for it?

``python before.py FOLDER`` runs the sagakit of a folder: of each line ``SAGA COUNT`` that it
reads it runs that saga so often, and prints the seconds of processor time that a run took.
"""

from __future__ import annotations

import gc
import io
import math
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from time import process_time

from measure import HERE, ratio, spread
from report import Goal, Group, Table

COMMIT = "9503604"  # the last before waits, nesting, fan-out, resilience and versions
MOST = 1.05  # times as slow: what two runs of one version may lie apart
COUNTS = {"to its end": 1_000, "rolled back": 500}
TURNS = 8  # of each process
ROOT = HERE.parent.parent


def measure(group: Group, quick: bool) -> None:
    """Add a table and a goal for each of the two sagas."""
    table = Table(
        f"A plain saga of four steps, beside commit {COMMIT} (µs, processor time)",
        ("saga", "then", "now", "now ÷ then", "spread", "now ÷ now", "spread"),
    )
    group.tables.append(table)
    goals: dict[str, tuple[str, bool | None]] = dict.fromkeys(COUNTS, ("", None))
    try:
        figures = _measured(rounds=2 if quick else 11)
    except LookupError as error:
        table.notes.append(f"Not measured: {error}.")
    else:
        goals |= {name: _row(table, name, *three) for name, three in figures.items()}
        table.notes.append(
            f"Commit {COMMIT} is the last before waits, nesting, fan-out, resilience and "
            "versions. In each round three new processes take turns, one with that version, two "
            "with this one; the best turn of each counts. Ratios are taken within a round, their "
            "median is told; that of the two alike says what the measurement cannot tell apart."
        )
    for name, (shown, met) in goals.items():
        what = f"A plain saga, {name}: now ÷ commit {COMMIT}"
        group.goals.append(Goal(what, f"at most {MOST}", shown, None if quick else met))


def _row(
    table: Table, name: str, then: list[float], now: list[float], again: list[float]
) -> tuple[str, bool]:
    """Adds what was measured to the table; what the goal says of it."""
    times, alike = ratio(now, then), ratio(again, now)
    lie = spread([a / b for a, b in zip(now, then, strict=True)])
    noise = spread([a / b for a, b in zip(again, now, strict=True)])
    costs = (f"{median(figures) * 1e6:.1f}" for figures in (then, now))
    table.rows.append((name, *costs, f"{times:.2f}", lie, f"{alike:.2f}", noise))
    return f"{times:.2f}×", times <= MOST


def _measured(rounds: int) -> dict[str, tuple[list[float], ...]]:
    """By the saga: seconds a run, round by round, of that version, this one, and this one again.

    Raises:
        LookupError: that version is not here.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _fetch(folder)
        folders = (folder, ROOT, ROOT)
        found: dict[str, tuple[list[float], ...]]
        found = {name: tuple([] for _ in folders) for name in COUNTS}
        for _ in range(rounds):
            for name, best in _round(folders).items():
                for figures, took in zip(found[name], best, strict=True):
                    figures.append(took)
    return found


def _round(folders: Sequence[Path]) -> dict[str, list[float]]:
    """By the saga: what a run takes of a process for each folder. How fast that is also depends on
    where things happen to be in its memory: so they are new in every round."""
    best = {name: [math.inf] * len(folders) for name in COUNTS}
    with ExitStack() as stack:
        runners = [stack.enter_context(_runner(folder)) for folder in folders]
        for turn in range(TURNS):
            for name, count in COUNTS.items():
                for place in range(len(runners)):
                    number = (place + turn) % len(runners)
                    took = _ask(runners[number], name, count)
                    best[name][number] = min(best[name][number], took)
    return best


def _fetch(folder: Path) -> None:
    """Put the package as it was then into a folder.

    Raises:
        LookupError: this is no checkout with that commit in its history.
    """
    command = ["git", "archive", "--format=tar", COMMIT, "sagakit"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    except OSError as error:
        raise LookupError(f"git does not run here ({error.strerror})") from None
    if done.returncode:
        raise LookupError(f"commit {COMMIT} is not in the history that is here")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


@contextmanager
def _runner(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that runs the sagas of a version, as long as it is asked to."""
    command = [sys.executable, __file__, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=folder) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _ask(runner: subprocess.Popen[str], name: str, count: int) -> float:
    assert runner.stdin is not None
    assert runner.stdout is not None
    print(f"{name},{count}", file=runner.stdin, flush=True)
    return float(runner.stdout.readline())


def _run(folder: str) -> None:
    sys.path.insert(0, folder)
    import sagakit
    from sagakit import Saga, TerminalError, simulate, step

    assert Path(sagakit.__file__).is_relative_to(folder), f"this runs {sagakit.__file__}"

    def noop() -> None:
        pass

    def refuse() -> None:
        raise TerminalError("no")

    first = [step(noop, noop, name=f"s{number}") for number in range(3)]
    sagas = {
        "to its end": Saga("four", *first, step(noop, noop, name="s3")),
        "rolled back": Saga("four", *first, step(refuse, name="s3")),
    }
    for line in sys.stdin:
        name, count = line.split(",")
        gc.collect()
        began = process_time()
        for _ in range(int(count)):
            simulate(sagas[name])
        print((process_time() - began) / int(count), flush=True)


if __name__ == "__main__":
    _run(sys.argv[1])
