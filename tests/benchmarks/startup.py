"""Start-up: whole processes, from the call to the exit."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from measure import spread
from report import Goal, Group, Table

NOTHING, IMPORT, HELP = "python -c pass", "python -c 'import sagakit'", "sagakit --help"
OTHERS = {"dbos": "dbos", "temporalio": "temporalio.client"}
WANTED = {IMPORT: 0.15, HELP: 0.30}  # seconds


def measure(quick: bool) -> Group:
    commands, missing = _commands()
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    rounds = 3 if quick else 15
    with tempfile.TemporaryDirectory() as folder:  # not here: `-c` looks for modules where it is
        for turn in range(rounds + 1):  # the first one warms the disk and writes the bytecode
            for name, command in commands.items():
                took = _run(command, folder)
                if turn:
                    seconds[name].append(took)
    group = Group("Start-up: whole processes")
    table = Table("", ("command", "median", "spread", "more than python -c pass"))
    nothing = median(seconds[NOTHING])
    for name, figures in seconds.items():
        own = median(figures)
        more = f"{(own - nothing) * 1e3:.0f} ms" if name != NOTHING else ""
        table.rows.append((f"`{name}`", f"{own * 1e3:.0f} ms", spread(figures), more))
    table.rows += [(f"`{name}`", reason, "", "") for name, reason in missing.items()]
    group.tables.append(table)
    for name, wanted in WANTED.items():
        took = median(seconds[name])
        group.goals.append(Goal(f"`{name}`", f"under {wanted} s", f"{took:.3f} s", took < wanted))
    return group


def _commands() -> tuple[dict[str, list[str]], dict[str, str]]:
    script = Path(sys.executable).with_name("sagakit")
    commands = {
        NOTHING: [sys.executable, "-c", "pass"],
        IMPORT: [sys.executable, "-c", "import sagakit"],
        HELP: [str(script), "--help"],
    }
    missing = {}
    for package, module in OTHERS.items():
        name = f"python -c 'import {module}'"
        if importlib.util.find_spec(package) is None:
            missing[name] = "not installed"
        else:
            commands[name] = [sys.executable, "-c", f"import {module}"]
    return commands, missing


def _run(command: list[str], folder: str) -> float:
    begin = perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - begin
