"""Writes ``data/rules.md`` from the rules.

``python -m sagakit.lab.check.page`` writes the file; a test fails when it is stale.
"""

from __future__ import annotations

import re
from pathlib import Path

from sagakit.lab.check import RULES, Rule
from sagakit.lab.check.sarif import examples_of, why_of

TARGET = Path(__file__).parents[3] / "data" / "rules.md"

_HEAD = """\
# What `sagakit check` looks for

Written by `make rules` from [`sagakit/lab/check`](../sagakit/lab/check); do not edit.

`sagakit check FILE…` and `check(saga)` look at a saga without running it. An **error** cannot work,
or leaves something behind for sure; a **warning** will hurt under some failure; a **note** is worth
a look. `--ignore SAGA201` accepts all findings of a rule, `--ignore SAGA201:charge_card` those of
one step, and so does `check(saga, ignore=[…])`. The exit code is 1 if there is an error; with
`--strict` also if there is a warning.

Rules read what the saga declares, and the source of its actions where Python knows it. They do not
follow the functions that an action calls, so what they do not find may still be there; `explore`
runs the saga under every fault.
"""

_GROUPS = {
    "SAGA0": "The definition",
    "SAGA1": "Undoing",
    "SAGA2": "Time",
    "SAGA3": "The pivot",
    "SAGA4": "Conditions, choices and results",
    "SAGA5": "Isolation and design",
    "SAGA6": "Secrets",
}


def markdown() -> str:
    """The whole document."""
    rows = [
        f"| [{rule.id}](#{_anchor(rule)}) | {rule.severity} | {rule.title} |"
        for rule in RULES.values()
    ]
    parts = [_HEAD, "\n".join(["| rule | severity | found |", "|---|---|---|", *rows, ""])]
    for start, title in _GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [_section(rule) for rule in RULES.values() if rule.id.startswith(start)]
    return "\n".join(parts)


def _section(rule: Rule) -> str:
    head = f"### {_title(rule)}\n\n**{rule.title}** ({rule.severity}).\n"
    return f"{head}\n{why_of(rule)}\n\n{examples_of(rule)}\n"


def _title(rule: Rule) -> str:
    return f"{rule.id} {rule.name}"


def _anchor(rule: Rule) -> str:
    return re.sub(r"[^a-z0-9-]", "-", _title(rule).lower())


def main() -> None:
    TARGET.write_text(markdown(), "utf-8")
    print(f"wrote {TARGET.name}")


if __name__ == "__main__":
    main()
