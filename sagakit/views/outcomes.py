"""How executions end, by what struck which step: a field for each, drawn by matplotlib."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sagakit.views.chart import Chart
from sagakit.views.chart_canvas import field, legend, png, rows, sample
from sagakit.views.style import STATUSES
from sagakit.views.svg import oneline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 0.38  # inches
_BELOW = 1.75  # inches, for the faults' names and the legend
_MOST_ROWS = 40


def outcome_heatmap(outcomes: Mapping[tuple[str, str], str], title: str) -> Chart:
    """A field for each step and fault, by the status in which the execution ended.

    Parameters:
        outcomes: by step and fault, the status; what is not in it stays empty.
    """
    steps = list(dict.fromkeys(step for step, _ in outcomes))[:_MOST_ROWS]
    faults = sorted({fault for _, fault in outcomes}, key=_order)
    met = [status for status in STATUSES if status in outcomes.values()]

    def paint(axes: Axes) -> None:
        for y, step in enumerate(steps):
            for x, fault in enumerate(faults):
                status = outcomes.get((step, fault))
                if status is not None:
                    field(axes, x, y, STATUSES[status])
        axes.set_xlim(-0.6, max(len(faults), 1) - 0.4)
        rows(axes, steps)
        axes.grid(visible=False)
        axes.set_xticks(
            range(len(faults)), labels=faults, rotation=38, ha="right", rotation_mode="anchor"
        )
        legend(axes, [sample(STATUSES[status], status) for status in met])

    counts = Counter(outcomes.values())
    words = ", ".join(f"{counts[status]} {status}" for status in met) or "nothing ran"
    cells = [[outcomes.get((step, fault), "") for fault in faults] for step in steps]
    table = (("step", *faults), *((step, *row) for step, row in zip(steps, cells, strict=True)))
    height = max(len(steps) * _ROW, 0.9)
    return Chart(
        png=png(title, paint, height, _BELOW, 1.9),
        alt=oneline(f"{title}: {words}"),
        table=table,
        caption=title,
    )


def _order(fault: str) -> tuple[bool, bool, str]:
    """Actions' faults, compensations', crashes."""
    return fault.startswith("crash"), fault.startswith("undo"), fault
