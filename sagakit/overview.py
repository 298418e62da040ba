"""Many executions at a glance: where the time goes, who fails where, what is retried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sagakit.events import StepFailed, StepInDoubt, StepStarted, WaitStarted
from sagakit.execution import Execution
from sagakit.timings import StepTiming, read_timings

if TYPE_CHECKING:
    import pandas as pd

    from sagakit.views.chart import Chart


class Overview:
    """What many executions have in common. It reads them once, one after another, and keeps
    numbers only, so that an iterator over a large journal will do (``engine.executions()``).

    Parameters:
        executions: of one saga or of several; those of a step's own saga are a part of that step.
    """

    def __init__(self, executions: Iterable[Execution]) -> None:
        self.statuses: Counter[str] = Counter()
        self._whole: dict[str, list[tuple[float, float]]] = {}  # by saga: start, duration
        self._steps: dict[str, list[StepTiming]] = {}
        self._rows: list[tuple[str, str, str, float, StepTiming]] = []
        self._attempts: Counter[tuple[str, int]] = Counter()
        self._reached: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._compensated: Counter[str] = Counter()
        self._stuck: Counter[str] = Counter()
        self._inside: dict[str, float] = {}  # seconds
        for execution in executions:
            self._add(execution)

    def _add(self, execution: Execution) -> None:
        name, status = execution.saga.name, execution.status
        self.statuses[status] += 1
        started = execution.started_at
        self._whole.setdefault(name, []).append((started, execution.duration))
        for step in execution.saga.plan.names:  # so that the order is the definition's
            self._steps.setdefault(step, [])
        for row in read_timings(execution.saga, execution.events):
            self._steps[row.step].append(row)
            self._rows.append((execution.id, name, status, started, row))
        begun, failed = set[str](), set[str]()
        for event in execution.events:
            if isinstance(event, StepStarted):
                self._attempts[event.step, event.attempt] += 1
            if isinstance(event, StepStarted | WaitStarted):
                begun.add(event.step)
            elif isinstance(event, StepFailed | StepInDoubt):
                failed.add(event.step)
        self._reached.update(begun)
        self._failed.update(failed)
        self._compensated.update(execution.compensated_steps)
        self._stuck.update(execution.stuck_steps)
        for step, child in execution.children.items():
            self._inside[step] = self._inside.get(step, 0.0) + child.duration

    def __len__(self) -> int:
        return self.statuses.total()

    def frame(self) -> pd.DataFrame:
        """One row for each step of each execution: where its time went, in seconds (see
        ``StepTiming``)."""
        from sagakit.tables import many_timings_frame

        return many_timings_frame(self._rows)

    def durations(self) -> Chart:
        """A histogram of how long each step took, its waits for retries included."""
        from sagakit.views.charts import duration_histogram

        return duration_histogram(self._totals())

    def slowest(self) -> Chart:
        """The steps by the duration that 95 of 100 do not exceed."""
        from sagakit.views.charts import slowest_steps

        return slowest_steps(self._totals())

    def _totals(self) -> dict[str, list[float]]:
        return {
            step: [row.total - row.compensation for row in rows if row.outcome != "skipped"]
            for step, rows in self._steps.items()
        }

    def funnel(self) -> Chart:
        """How many executions reached each step, failed there, had it compensated, are stuck."""
        from sagakit.views.charts import Reach, compensation_funnel

        return compensation_funnel(
            [
                Reach(
                    step=step,
                    reached=self._reached[step],
                    failed=self._failed[step],
                    compensated=self._compensated[step],
                    stuck=self._stuck[step],
                )
                for step in self._steps
            ]
        )

    def retries(self) -> Chart:
        """How many executions made which attempt of which step."""
        from sagakit.views.charts import retry_heatmap

        return retry_heatmap(self._attempts)

    def most_retried(self) -> Chart:
        """The steps by their retries, all executions together."""
        from sagakit.views.charts import most_retried_steps

        return most_retried_steps(
            {step: [row.attempts for row in rows] for step, rows in self._steps.items()}
        )

    def latency(self) -> Chart:
        """How long the executions of each saga took, by the time at which they began."""
        from sagakit.views.charts import latency_over_time

        return latency_over_time(self._whole)

    def self_time(self) -> Chart:
        """What each step took itself, and what the executions that do it took, all together."""
        from sagakit.views.charts import self_time

        times = {}
        for step, rows in self._steps.items():
            whole = sum(row.run for row in rows)
            inside = min(self._inside.get(step, 0.0), whole)
            times[step] = (whole - inside, inside)
        return self_time(times)

    def __repr__(self) -> str:
        said = ", ".join(f"{count:,} {status}" for status, count in sorted(self.statuses.items()))
        some = f"{len(self):,} execution{'' if len(self) == 1 else 's'}"
        return f"<Overview of {some}{': ' if said else ''}{said}>"

    def _repr_png_(self) -> tuple[bytes, dict[str, object]]:
        return self.funnel()._repr_png_()
