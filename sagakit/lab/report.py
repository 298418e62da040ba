"""What an exploration found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from sagakit.execution import Execution
from sagakit.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd


class Violation(msgspec.Struct, frozen=True):
    """An invariant that does not hold, and the smallest scenario found under which it does not.

    Parameters:
        invariant: its name.
        scenario: as few faults as possible; ``simulate`` with it gives ``execution`` again.
        count: in how many of the scenarios it does not hold.
        problem: what the invariant raised, if it raised.
    """

    invariant: str
    scenario: Scenario
    execution: Execution
    count: int
    problem: str = ""

    def __str__(self) -> str:
        raised = f" ({self.problem})" if self.problem else ""
        return f"{self.invariant} does not hold under: {self.scenario}{raised}"


class Report:
    """The outcome of an exploration.

    Parameters:
        explored: how many scenarios ran.
        pruned: how many were left out, by reason.
        statuses: how many ended how.
        classes: how many different outcomes (events and world) there were.
        matrix: with one fault: how the execution ended, by step and fault.
        violations: one for each invariant that does not hold.
    """

    def __init__(
        self,
        saga: str,
        faults: int,
        explored: int,
        pruned: Mapping[str, int],
        statuses: Counter[str],
        classes: int,
        matrix: Mapping[tuple[str, str], str],
        violations: tuple[Violation, ...],
    ) -> None:
        self.saga = saga
        self.faults = faults
        self.explored = explored
        self.pruned = dict(pruned)
        self.statuses = statuses
        self.classes = classes
        self.matrix = dict(matrix)
        self.violations = violations

    @property
    def holds(self) -> bool:
        """Whether every invariant held under every scenario."""
        return not self.violations

    def frame(self) -> pd.DataFrame:
        """How the execution ended under each single fault (steps × faults)."""
        import pandas as pd

        steps = list(dict.fromkeys(step for step, _ in self.matrix))
        columns = list(dict.fromkeys(column for _, column in self.matrix))
        cells = [[self.matrix.get((step, column), "") for column in columns] for step in steps]
        return pd.DataFrame(cells, index=pd.Index(steps, name="step"), columns=columns)

    def __repr__(self) -> str:
        most = f"{self.faults} fault{'' if self.faults == 1 else 's'}"
        found = len(self.violations)
        said = f"{found} violated" if found else "every invariant holds"
        left_out = sum(self.pruned.values())
        return (
            f"<Report of '{self.saga}', up to {most}: {self.explored:,} scenarios, "
            f"{left_out:,} pruned, {self.classes:,} outcomes; {said}>"
        )
