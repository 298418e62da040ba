"""The fault matrix: how each single fault ends, and any of them opened in the player."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import traitlets

from sagakit.errors import SagaError
from sagakit.lab.report import Report, Single
from sagakit.scenario import Scenario
from sagakit.views import Field, Picture, matrix_picture
from sagakit.views.style import MARKS, NEUTRAL, STATUSES
from sagakit.widgets.base import SagaWidget, words
from sagakit.widgets.player import SagaPlayer
from sagakit.widgets.playing import Playing

_WORST_FIRST = ("stuck", "running", "waiting", "abandoned", "compensated", "completed")
_BROKEN = "does not hold"
_NOT_MET = "not met"


class FaultMatrix(SagaWidget):
    """Shows what an exploration found: a field for each step and fault, by how the execution ends.

    A field that is clicked opens in a player: the run that breaks an invariant, else the one that
    ends worst. So do the smallest scenarios under which an invariant does not hold, which may
    have several faults.

    Parameters:
        report: of ``explore``.

    Raises:
        SagaError: it is no report.
    """

    player = traitlets.Dict().tag(sync=True)
    answer = traitlets.Dict().tag(sync=True)

    def __init__(self, report: Report) -> None:
        if not isinstance(report, Report):
            raise SagaError(f"{report!r} is no report; give what explore(…) returns")
        self.report = report
        self._steps = list(dict.fromkeys(step for step, _ in report.singles))
        self._columns = list(dict.fromkeys(column for _, column in report.singles))
        self._opened: dict[str, Any] | None = None
        self._playing: Playing | None = None
        super().__init__(_widget="matrix", state=self._state(0, None))

    # -- from Python ------------------------------------------------------------------------

    def play(self, step: str, fault: str) -> SagaPlayer:
        """A player with the counterexample of a field.

        Parameters:
            step, fault: the names of its row and column.

        Raises:
            SagaError: there is no such field.
        """
        return self._player(self._counterexample(step, fault))

    def play_violation(self, invariant: str) -> SagaPlayer:
        """A player with the smallest scenario found under which an invariant does not hold.

        Raises:
            SagaError: it holds, or is not known.
        """
        for violation in self.report.violations:
            if violation.invariant == invariant:
                return self._player(violation.scenario)
        raise SagaError(f"no scenario breaks '{invariant}'; {_known(self.report)}")

    def _player(self, scenario: Scenario) -> SagaPlayer:
        saga, input, world = self.report.origin
        return SagaPlayer(saga, input, scenario=scenario, world=world)

    def _counterexample(self, step: str, fault: str) -> Scenario:
        runs = self.report.singles.get((step, fault))
        if not runs:
            known = ", ".join(sorted({f"'{c}'" for s, c in self.report.singles if s == step}))
            cure = f"at this step there are {known}" if known else f"steps are {self._steps}"
            raise SagaError(f"there is no field of step '{step}' and fault '{fault}'; {cure}")
        return worst(runs).scenario

    # -- edits ------------------------------------------------------------------------------

    def _answer(self, edit: dict[str, Any]) -> None:
        said = words(lambda: self._do(edit))
        self.state = self._state(edit.get("seq", 0), said)

    def _do(self, edit: Mapping[str, Any]) -> None:
        if "play" in edit:
            if self._playing is None:
                raise SagaError("nothing is open; open a field first")
            self._show(self._playing, self._playing.edited(edit["play"]))
        elif "cell" in edit:
            row, column = edit["cell"]
            if not (row in range(len(self._steps)) and column in range(len(self._columns))):
                raise SagaError(f"there is no field {row}, {column}; open one that is shown")
            scenario = self._counterexample(self._steps[row], self._columns[column])
            self._open(scenario, {"cell": [row, column]})
        elif "violation" in edit:
            number = edit["violation"]
            if number not in range(len(self.report.violations)):
                raise SagaError(f"there is no violation {number}; open one that is shown")
            self._open(self.report.violations[number].scenario, {"violation": number})
        else:
            self._opened, self._playing = None, None
            self.player, self.answer = {}, {}

    def _open(self, scenario: Scenario, opened: dict[str, Any]) -> None:
        saga, input, world = self.report.origin
        playing = Playing(saga, input, scenario, 0, world)
        self._playing, self._opened = playing, opened
        self._show(playing, playing.state(0, None))

    def _show(self, playing: Playing, state: dict[str, Any]) -> None:
        self.answer = playing.answer
        self.player = state

    # -- what is shown ----------------------------------------------------------------------

    def _state(self, seq: int, said: dict[str, str] | None) -> dict[str, Any]:
        """See ``MatrixState`` in ``ui/src/watching.ts``."""
        report = self.report
        return {
            "seq": seq,
            "title": report.saga,
            "words": str(report),
            "steps": self._steps,
            "columns": self._columns,
            "cells": [self._cell(*place, runs) for place, runs in report.singles.items()],
            "violations": [
                {
                    "invariant": one.invariant,
                    "count": one.count,
                    "problem": one.problem,
                    "scenario": str(one.scenario),
                    "code": repr(one.scenario),
                }
                for one in report.violations
            ],
            "opened": self._opened,
            "said": said,
        }

    def _cell(self, step: str, column: str, runs: Sequence[Single]) -> dict[str, Any]:
        shown = worst(runs)
        return {
            "row": self._steps.index(step),
            "column": self._columns.index(column),
            "status": shown.status,
            "counts": dict(Counter(run.status for run in runs)),
            "broken": list(dict.fromkeys(name for run in runs for name in run.broken)),
            "scenario": str(shown.scenario),
            "code": repr(shown.scenario),
        }

    def _picture(self) -> str:
        return self.picture()._repr_html_()

    def picture(self) -> Picture:
        """The matrix for those who only read."""
        fields = {
            (step, column): self._field(self.report.singles.get((step, column), ()))
            for step in self._steps
            for column in self._columns
        }
        verdicts = {field.verdict for field in fields.values()}
        looks = {**STATUSES, _BROKEN: MARKS["fault"], _NOT_MET: NEUTRAL}
        return matrix_picture(
            f"one fault in '{self.report.saga}': how it ends",
            self._steps,
            self._columns,
            fields,
            {verdict: look for verdict, look in looks.items() if verdict in verdicts},
        )

    def _field(self, runs: Sequence[Single]) -> Field:
        if not runs:
            return Field(_NOT_MET, "")
        shown = worst(runs)
        if shown.broken:
            return Field(_BROKEN, ", ".join(shown.broken).replace("_", " "))
        same = sum(run.status == shown.status for run in runs)
        return Field(shown.status, "" if same == len(runs) else f"{same} of {len(runs)}")

    def __repr__(self) -> str:
        size = f"{len(self._steps)} steps × {len(self._columns)} faults"
        return f"<FaultMatrix of '{self.report.saga}': {size}; {_known(self.report)}>"


def worst(runs: Sequence[Single]) -> Single:
    """Which of some runs to look at: one that breaks an invariant, else one that ends worst."""
    return min(runs, key=lambda run: (not run.broken, _WORST_FIRST.index(run.status)))


def _known(report: Report) -> str:
    """Which invariants do not hold, in words."""
    broken = ", ".join(f"'{one.invariant}'" for one in report.violations)
    return f"violated: {broken}" if broken else "every invariant holds"
