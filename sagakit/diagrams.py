"""Draws the state diagrams in ``STATES.md`` from the tables they obey.

``python -m sagakit.diagrams`` writes the file; a test fails when it is stale.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from sagakit.resilience import BREAKER_TRANSITIONS, POLICIES, BreakerCause, BreakerState
from sagakit.transitions import PHASE_TRANSITIONS, STEP_TRANSITIONS, Key, Phase, StepState

TARGET = Path(__file__).with_name("STATES.md")

_HEAD = """\
# The states of a step, of an execution and of what protects a service

Drawn by `make diagrams` from the two tables in [`transitions.py`](transitions.py), and from the
table and the docstrings in [`resilience.py`](resilience.py); do not edit.
An arrow is labelled with the event that causes it, or, in *(brackets)*, with what else does.
"""


def markdown() -> str:
    """The whole document."""
    undo = {
        state
        for state in StepState
        if state.name.startswith("COMPENSAT") or state in (StepState.SUCCEEDED, StepState.IN_DOUBT)
    } | {StepState.KEPT}
    forward = [state for state in StepState if state not in undo] + [
        StepState.SUCCEEDED,
        StepState.IN_DOUBT,
    ]
    parts = [
        _HEAD,
        "## A step, going forward\n",
        _diagram(_edges(STEP_TRANSITIONS, forward), StepState.PENDING),
        "## A step, being undone\n",
        _diagram(_edges(STEP_TRANSITIONS, undo), None),
        "## An execution\n",
        "An operator's *retry* or *skip* leads back into the direction that the execution was"
        " stuck in.\n",
        _diagram(_edges(PHASE_TRANSITIONS, Phase), Phase.NEW),
        "## A circuit breaker\n",
        _policy("breaker"),
        _diagram(_edges(BREAKER_TRANSITIONS, BreakerState), BreakerState.CLOSED),
    ]
    for name in POLICIES:
        if name != "breaker":
            parts += [f"## {_TITLES[name]}\n", _policy(name)]
    return "\n".join(parts)


_TITLES = {
    "bulkhead": "A bulkhead",
    "rate_limit": "A rate limit",
    "retry_budget": "A retry budget",
    "hedge": "A hedge",
}


def _policy(name: str) -> str:
    """What a policy's docstring says of it: its rule or formula, and its source."""
    text = inspect.getdoc(POLICIES[name]) or ""
    rule = text.partition("\nParameters:")[0].strip()
    return f"{rule.replace('``', '`')}\n"


def _edges(
    table: Mapping[StepState, Mapping[Key, StepState]]
    | Mapping[Phase, Mapping[Key, Phase]]
    | Mapping[BreakerState, Mapping[BreakerCause, BreakerState]],
    among: Iterable[StepState] | Iterable[Phase] | Iterable[BreakerState],
) -> list[tuple[str, str, str]]:
    chosen = set(among)
    return [
        (source, target, _label(key))
        for source, cells in table.items()
        for key, target in cells.items()
        if source in chosen and target in chosen
    ]


def _label(key: Key | BreakerCause) -> str:
    if isinstance(key, str):
        return f"({key})"
    return re.sub(r"(?<!^)(?=[A-Z])", " ", key.__name__).lower()


def _diagram(edges: list[tuple[str, str, str]], start: str | None) -> str:
    names = list(dict.fromkeys(name for source, target, _ in edges for name in (source, target)))
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    state {_quoted(name)} as {_id(name)}" for name in names]
    if start is not None:
        lines.append(f"    [*] --> {_id(start)}")
    lines += [f"    {_id(source)} --> {_id(target)}: {label}" for source, target, label in edges]
    outgoing = {source for source, _, _ in edges}
    lines += [f"    {_id(name)} --> [*]" for name in names if name not in outgoing]
    return "\n".join([*lines, "```", ""])


def _id(name: str) -> str:
    return str(name).replace(" ", "_").replace("-", "_")


def _quoted(name: str) -> str:
    return f'"{name}"'


def main() -> None:
    TARGET.write_text(markdown(), "utf-8")
    print(f"wrote {TARGET.name}")


if __name__ == "__main__":
    main()
