"""The explorer: a trace to zoom into, of an execution or from any tool, or two side by side."""

from __future__ import annotations

from typing import Any

import traitlets

from sagakit.comparison import Comparison, compare
from sagakit.errors import SagaError
from sagakit.execution import Execution
from sagakit.trace_view import Trace
from sagakit.views import Picture
from sagakit.widgets.base import SagaWidget, words
from sagakit.widgets.columns import Columns, Packed

Explored = Execution | Trace


class TraceExplorer(SagaWidget):
    """Shows a trace as a timeline to zoom, pan, collapse and filter, beside the flow graph.

    ``selected`` is the span that is selected there, (which of the two, its number), or None.

    Parameters:
        execution: an execution, or a trace (``Trace.read(path)``).
        other: a second one to stand beside it.

    Raises:
        SagaError: one is neither; or two executions are of sagas with different names.
    """

    numbers = traitlets.Bytes().tag(sync=True)
    details = traitlets.Dict().tag(sync=True)

    def __init__(self, execution: Explored, other: Explored | None = None) -> None:
        given = [execution] if other is None else [execution, other]
        self._given = given
        self._comparison = _comparison(given)
        self._columns = [_columns(one) for one in given]
        self._packed = Packed()
        if len(given) > 1:
            self._columns[1].twins_of(self._columns[0])
            self._columns[0].twins_of(self._columns[1])
        runs = [columns.state(self._packed) for columns in self._columns]
        self._runs = runs
        self.selected: tuple[int, int] | None = None
        super().__init__(
            _widget="explorer", numbers=self._packed.whole(), state=self._state(0, None)
        )

    def _state(self, seq: int, said: dict[str, str] | None) -> dict[str, Any]:
        """See ``ExplorerState`` in ``ui/src/watching.ts``."""
        found = () if self._comparison is None else self._comparison.differences
        return {
            "seq": seq,
            "runs": self._runs,
            "differences": [
                {
                    "step": one.step,
                    "side": one.side,
                    "what": one.what,
                    "first": one.first,
                    "second": one.second,
                    "words": one.words,
                    "lanes": [columns.lane_of(one.step, one.side) for columns in self._columns],
                }
                for one in found
            ],
            "words": "" if self._comparison is None else self._comparison.words,
            "said": said,
        }

    def _answer(self, edit: dict[str, Any]) -> None:
        seq = edit.get("seq", 0)
        said = words(lambda: self._select(seq, edit.get("run", 0), edit.get("span")))
        if said is not None:
            self.state = self._state(seq, said)

    def _select(self, seq: int, run: int, span: int | None) -> None:
        """Send what is known of a span; a state of its own would send all spans again."""
        if span is None:
            self.selected, self.details = None, {"seq": seq}
            return
        if not (0 <= run < len(self._columns) and 0 <= span < len(self._columns[run].spans)):
            raise SagaError(f"there is no span {span} in trace {run}; select one that is shown")
        self.selected = run, span
        found = self._columns[run].details(span)
        self.details = {"seq": seq, "run": run, "span": span, **found}

    def _picture(self) -> str:
        if self._comparison is not None:
            return self._comparison._repr_html_()
        pictures: list[Picture] = [one.timeline() for one in self._given]
        return "".join(picture._repr_html_() for picture in pictures)

    def __repr__(self) -> str:
        told = " and ".join(_told(one) for one in self._given)
        return f"<TraceExplorer of {told}>"


def _comparison(given: list[Explored]) -> Comparison | None:
    """What differs between two executions; of other traces nothing is said."""
    for one in given:
        if not isinstance(one, Execution | Trace):
            raise SagaError(
                f"{one!r} is no execution and no trace; give an Execution, or Trace.read(PATH)"
            )
    if len(given) == 2 and all(isinstance(one, Execution) for one in given):
        first, second = given
        assert isinstance(first, Execution)
        assert isinstance(second, Execution)
        return compare(first, second)
    return None


def _columns(given: Explored) -> Columns:
    if isinstance(given, Execution):
        return Columns(Trace(given.read_spans(), given.id), given)
    return Columns(given, None)


def _told(given: Explored) -> str:
    """One of them in a few words, the same on every run."""
    if isinstance(given, Execution):
        return f"'{given.saga.name}': {given.status}"
    return f"{given.name!r}: {len(given.spans):,} spans"
