"""How things are measured: interleaved rounds, medians, and ratios taken within a round.

The cyclic collector stays on, as it is for users; what exists before a sample is frozen out of
it, so that one subject does not pay for the garbage of another.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent

Sample = Callable[[int], float]  # runs so many times, gives the seconds it took


class WorkerError(Exception):
    """A measurement in a process of its own failed; the text says why."""


def interleaved(
    subjects: Mapping[str, Sample], *, rounds: int, seconds: float, most: int = 1_000_000
) -> dict[str, list[float]]:
    """Seconds per call for each subject, one figure a round.

    Parameters:
        rounds: every subject is sampled once a round, in an order that rotates.
        seconds: how long one sample shall take, about.
        most: calls in one sample at most.
    """
    counts = {name: _calibrate(sample, seconds, most) for name, sample in subjects.items()}
    names = list(subjects)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            figures[name].append(_sample(subjects[name], counts[name]))
    return figures


def _calibrate(sample: Sample, seconds: float, most: int) -> int:
    """How many calls take about that long; it is the warm-up, too."""
    count = 1
    while True:
        took = sample(count)
        if took >= seconds / 4 or count >= most:
            break
        count *= 2
    return max(1, min(most, round(count * seconds / max(took, 1e-9))))


def _sample(sample: Sample, count: int) -> float:
    gc.collect()
    gc.freeze()
    try:
        return sample(count) / count
    finally:
        gc.unfreeze()


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the ratios of each round: what the rounds share cancels out."""
    return median(a / b for a, b in zip(above, below, strict=True))


def spread(figures: Sequence[float]) -> str:
    """How far the rounds lie apart: half the range between the quartiles, in per cent."""
    ordered = sorted(figures)
    quarter = len(ordered) // 4
    low, high = ordered[quarter], ordered[-1 - quarter]
    return f"±{(high - low) / 2 / median(ordered):.0%}"


def worker(
    module: str,
    *arguments: Any,
    timeout: float = 600,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run ``module.py ARGUMENTS`` in a process of its own; the JSON it printed last.

    Parameters:
        environment: variables that it has besides those of this process.

    Raises:
        WorkerError: it failed, or took too long.
    """
    command = [sys.executable, str(HERE / f"{module}.py"), *map(str, arguments)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, **(environment or {})},
        )
    except subprocess.TimeoutExpired:
        raise WorkerError(f"no end within {timeout:g} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise WorkerError(lines[-1][:200])
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def peak_memory() -> int:
    """The most bytes this process has had in memory.

    Linux lets a child begin with its parent's ``ru_maxrss``; ``VmHWM`` is the process's own.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
