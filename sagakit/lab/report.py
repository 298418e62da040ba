"""What an exploration found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from sagakit.execution import Execution
from sagakit.saga import Saga
from sagakit.scenario import Scenario
from sagakit.views.svg import esc

if TYPE_CHECKING:
    import pandas as pd

    from sagakit.views import Chart, Mermaid, Picture


class Violation(msgspec.Struct, frozen=True):
    """An invariant that does not hold, and the smallest scenario found under which it does not.

    Parameters:
        invariant: its name.
        scenario: as few faults as possible; ``simulate`` with it gives ``execution`` again.
        count: in how many of the scenarios it does not hold.
        problem: what the invariant raised, if it raised.
        left: what the world says of itself then: by step, how often its effect stands.
        contradictions: where its books contradict each other.
    """

    invariant: str
    scenario: Scenario
    execution: Execution
    count: int
    problem: str = ""
    left: Mapping[str, int] = msgspec.field(default_factory=dict)
    contradictions: tuple[str, ...] = ()

    def timeline(self) -> Picture:
        """The counterexample as bars."""
        return self.execution.timeline()

    def sequence(self) -> Mermaid:
        """The counterexample as messages."""
        return self.execution.sequence()

    def story(self) -> str:
        """The counterexample in words: what to run to see it, what happens, and what is left."""
        lines = [str(self), f"    {self.scenario!r}", *self.execution.log(inside=True).splitlines()]
        standing = [
            name if count == 1 else f"{name} ({count} times)"
            for name, count in self.left.items()
            if count
        ]
        if standing:
            lines.append(f"what stands in the end: {', '.join(standing)}")
        return "\n".join([*lines, *self.contradictions])

    def __str__(self) -> str:
        raised = f" ({self.problem})" if self.problem else ""
        return f"{self.invariant} does not hold under: {self.scenario}{raised}"


class Single(msgspec.Struct, frozen=True):
    """What became of one fault alone: its scenario, how the execution ended, and the invariants
    that do not hold then."""

    scenario: Scenario
    status: str
    broken: tuple[str, ...] = ()


class Origin(NamedTuple):
    """What was explored, to run one of its scenarios again: as ``explore`` was given it."""

    saga: Saga | Callable[[Any], Saga]
    input: Any
    world: Callable[[], Any]


def shown(violation: Violation, unit: str = "scenarios") -> str:
    """A violation as HTML: the scenario to paste, and its timeline below."""
    problem = f" ({esc(violation.problem)})" if violation.problem else ""
    return (
        f"<p><b>{esc(violation.invariant)}</b> does not hold in {violation.count:,} {unit}{problem}"
        f"; the smallest: <code>{esc(repr(violation.scenario))}</code></p>"
        f"{violation.timeline()._repr_html_()}"
    )


class Report:
    """The outcome of an exploration.

    Parameters:
        explored: how many scenarios were decided.
        shared: how many of those were not run to their end, because they came to a point from
            which another one had gone on; the fewer, the more cores took part.
        pruned: how many were left out, by reason.
        statuses: how many ended how.
        classes: how many different outcomes (events and world) there were.
        matrix: with one fault: how the execution ended, by step and fault.
        violations: one for each invariant that does not hold.
        singles: with one fault: all its runs, by step and fault; ``matrix`` has the last one's end.
        origin: what was explored.
    """

    def __init__(
        self,
        saga: str,
        faults: int,
        explored: int,
        shared: int,
        pruned: Mapping[str, int],
        statuses: Counter[str],
        classes: int,
        matrix: Mapping[tuple[str, str], str],
        violations: tuple[Violation, ...],
        singles: Mapping[tuple[str, str], Sequence[Single]],
        origin: Origin,
    ) -> None:
        self.saga = saga
        self.faults = faults
        self.explored = explored
        self.shared = shared
        self.pruned = dict(pruned)
        self.statuses = statuses
        self.classes = classes
        self.matrix = dict(matrix)
        self.violations = violations
        self.singles = dict(singles)
        self.origin = origin

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

    def heatmap(self) -> Chart:
        """The same as a picture: a field for each step and fault, by how the execution ended."""
        from sagakit.views import outcome_heatmap

        return outcome_heatmap(self.matrix, f"one fault in '{self.saga}': how it ends")

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield repr(self).strip("<>")
        ended = ", ".join(f"{count:,} {status}" for status, count in sorted(self.statuses.items()))
        yield f"ended: {ended}"
        for reason, count in self.pruned.items():
            yield f"pruned: {count:,}, {reason}"
        for violation in self.violations:
            yield str(violation)
            yield f"  in {violation.count:,} scenarios; replay: {violation.scenario!r}"

    def _repr_html_(self) -> str:
        head, *lines = self._lines()
        parts = [shown(violation) for violation in self.violations]
        parts = parts or [f"<p>{esc(line)}</p>" for line in lines]
        return f"<p>{esc(head)}</p>" + "".join(parts)

    def __repr__(self) -> str:
        most = f"{self.faults} fault{'' if self.faults == 1 else 's'}"
        found = len(self.violations)
        said = f"{found} violated" if found else "every invariant holds"
        left_out = sum(self.pruned.values())
        return (
            f"<Report of '{self.saga}', up to {most}: {self.explored:,} scenarios, "
            f"{left_out:,} pruned, {self.classes:,} outcomes; {said}>"
        )
