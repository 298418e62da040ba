"""What chaos did to a saga."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from sagakit.lab.report import Violation, shown
from sagakit.scenario import Scenario
from sagakit.views.svg import esc

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 20  # failing runs in a notebook; all of them are in ``failures``
ORDER = ("completed", "compensated", "stuck", "waiting", "running")


class Failure(msgspec.Struct, frozen=True):
    """A run in which something did not hold.

    Parameters:
        run: its number, from 0.
        scenario: what struck; its repr can be pasted.
        broken: the names of the invariants that do not hold.
        status: how the execution ended.
    """

    run: int
    scenario: Scenario
    broken: tuple[str, ...]
    status: str

    def __str__(self) -> str:
        return f"run {self.run}, {self.status}: {', '.join(self.broken)}\n  {self.scenario!r}"


class ChaosReport:
    """The outcome of ``chaos``. ``print(report)`` lists every failing run with the scenario that
    replays it.

    Parameters:
        statuses: how many runs ended how.
        strikes: how often a (step, fault) struck in runs that ended so: (step, fault, status).
        failures: every run in which an invariant did not hold.
        violations: for each such invariant, the smallest scenario found.
    """

    def __init__(
        self,
        saga: str,
        runs: int,
        rate: float,
        seed: int,
        statuses: Counter[str],
        strikes: Counter[tuple[str, str, str]],
        failures: tuple[Failure, ...],
        violations: tuple[Violation, ...],
    ) -> None:
        self.saga = saga
        self.runs = runs
        self.rate = rate
        self.seed = seed
        self.statuses = statuses
        self.strikes = strikes
        self.failures = failures
        self.violations = violations

    @property
    def holds(self) -> bool:
        """Whether every invariant held in every run."""
        return not self.failures

    def frame(self) -> pd.DataFrame:
        """One row for each step and fault: how often it struck, and how those runs ended."""
        import pandas as pd

        seen = {status for _, _, status in self.strikes}
        columns = [status for status in ORDER if status in seen]
        keys = sorted({(step, fault) for step, fault, _ in self.strikes})
        rows = [[self.strikes[step, fault, status] for status in columns] for step, fault in keys]
        index = pd.MultiIndex.from_tuples(keys, names=["step", "fault"])
        frame = pd.DataFrame(rows, index=index, columns=columns, dtype="int64")
        frame.insert(0, "struck", frame.sum(axis="columns"))
        return frame

    def _ended(self) -> str:
        ended = [f"{self.statuses[s]:,} {s}" for s in ORDER if self.statuses[s]]
        return ", ".join(ended)

    def __repr__(self) -> str:
        said = f"{len(self.failures):,} failed" if self.failures else "every invariant holds"
        return (
            f"<Chaos of '{self.saga}', {self.runs:,} runs, rate {self.rate:g}, seed {self.seed}: "
            f"{self._ended()}; {said}>"
        )

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield repr(self).strip("<>")
        yield from map(str, self.failures)
        for violation in self.violations:
            problem = f" ({violation.problem})" if violation.problem else ""
            count = f"{violation.count:,} runs"
            yield f"{violation.invariant} does not hold in {count}; smallest{problem}:"
            yield f"  {violation.scenario!r}"

    def _repr_html_(self) -> str:
        head = f"<p>{esc(repr(self).strip('<>'))}</p>"
        return head + "".join(shown(one, "runs") for one in self.violations) + self._failing()

    def _failing(self) -> str:
        if not self.failures:
            return ""
        rows = "".join(
            f"<tr><td>{failure.run}</td><td>{esc(failure.status)}</td>"
            f"<td>{esc(', '.join(failure.broken))}</td>"
            f'<td style="text-align:left"><code>{esc(repr(failure.scenario))}</code></td></tr>'
            for failure in self.failures[:SHOWN]
        )
        more = len(self.failures) - SHOWN
        rest = f"<p>and {more:,} more in <code>report.failures</code></p>" if more > 0 else ""
        return (
            f"<details><summary>The failing runs ({len(self.failures):,})</summary><table><thead>"
            "<tr><th>run</th><th>ended</th><th>broken</th><th>replay it with</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>{rest}</details>"
        )
