"""What the groups hand back, and how it becomes RESULTS.md."""

from __future__ import annotations

import datetime
import os
import platform
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "sagakit",
    "msgspec",
    "saga-py",
    "py-api-saga",
    "simple-saga",
    "sagah",
    "sagaz",
    "python-cqrs",
    "orsa",
    "dbos",
    "temporalio",
)


@dataclass(frozen=True)
class Goal:
    """One figure of the issue: what was wanted, what was measured. ``met`` None: not measured."""

    what: str
    wanted: str
    measured: str
    met: bool | None

    @property
    def verdict(self) -> str:
        return {True: "met", False: "**not met**", None: "not measured"}[self.met]


@dataclass
class Table:
    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Group:
    """What one module measured."""

    title: str
    goals: list[Goal] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def markdown(groups: Iterable[Group], command: str, quick: bool) -> str:
    groups = list(groups)
    parts = ["# Benchmarks", _environment(command)]
    if quick:
        parts.append("**A smoke run (`--quick`): the figures say nothing about speed.**")
    goals = [goal for group in groups for goal in group.goals]
    parts += ["## Goals", _table(_goals(goals))]
    for group in groups:
        parts.append(f"## {group.title}")
        parts += group.notes
        for table in group.tables:
            if table.title:
                parts.append(f"### {table.title}")
            parts.append(_table(table))
            parts += table.notes
    return "\n\n".join(parts) + "\n"


def _goals(goals: list[Goal]) -> Table:
    rows = [(goal.what, goal.wanted, goal.measured, goal.verdict) for goal in goals]
    return Table("", ("what", "goal", "measured", "verdict"), rows)


def _table(table: Table) -> str:
    lines = [table.head, tuple("---" for _ in table.head), *table.rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _environment(command: str) -> str:
    now = datetime.datetime.now(datetime.UTC)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return "\n".join(
        [
            f"- Command: `{command}`",
            f"- Date: {now:%Y-%m-%d %H:%M} UTC",
            f"- Machine: {os.cpu_count()} cores ({_cpu()}), {_memory()}, {platform.system()}"
            f" {platform.release()}; load when it ended {load}",
            f"- Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
            f"- Packages: {', '.join(_version(name) for name in PACKAGES)}",
        ]
    )


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return "memory unknown"
    return f"{size / 1e9:.0f} GB"


def _version(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} not installed"
