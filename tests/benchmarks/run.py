"""The benchmarks: ``python tests/benchmarks/run.py [--quick] [--only GROUP ...]``.

``make bench`` runs all of them, with the peers of ``requirements.txt`` installed beside sagakit,
and a full run writes RESULTS.md. A run of some groups, or a quick one, only prints, unless
``--output`` names a file.
"""

from __future__ import annotations

import argparse
import importlib
import shlex
import sys
from pathlib import Path

from report import Group, markdown

GROUPS = (
    "inprocess",
    "durable",
    "recovery",
    "memory",
    "waiting",
    "exploring",
    "tracing",
    "reading",
    "startup",
    "designing",
    "watching",
)
RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    parser = argparse.ArgumentParser(description="sagakit's benchmarks")
    parser.add_argument("--quick", action="store_true", help="a smoke run: seconds, not minutes")
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="GROUP", default=GROUPS)
    parser.add_argument("--output", type=Path, help="write the results to this file")
    options = parser.parse_args()
    groups: list[Group] = []
    for name in GROUPS:
        if name in options.only:
            print(f"{name} …", file=sys.stderr, flush=True)
            groups.append(importlib.import_module(name).measure(options.quick))
    command = shlex.join(["python", "tests/benchmarks/run.py", *sys.argv[1:]])
    text = markdown(groups, command, options.quick)
    print(text, end="")
    full = not options.quick and set(options.only) == set(GROUPS)
    output = options.output or (RESULTS if full else None)
    if output is not None:
        output.write_text(text, encoding="utf-8")
        print(f"written to {output}", file=sys.stderr)


if __name__ == "__main__":
    main()
