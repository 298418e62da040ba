"""The isolation matrix: which countermeasure removes which anomaly, each cell interleaved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from sagakit.lab.interleave import interleave
from sagakit.lab.interleavings import Interleavings
from sagakit.lab.pairs import COUNTERMEASURES, WITHOUT, Pair, pairs
from sagakit.views.style import STATES

if TYPE_CHECKING:
    import pandas as pd

    from sagakit.views import Picture

Verdict = Literal["gone", "remains", "does not apply"]
_LOOKS = {
    "gone": STATES["succeeded"],
    "remains": STATES["failed"],
    "does not apply": STATES["skipped"],
}


class Cell(msgspec.Struct, frozen=True):
    """A pair of sagas that shows an anomaly, without a countermeasure and with one.

    Parameters:
        pair: the sagas, and the rule of their shop.
        countermeasure: its name.
        before: all interleavings of them as they are.
        after: all interleavings with the countermeasure; None if it cannot be applied.
    """

    pair: Pair
    countermeasure: str
    before: Interleavings
    after: Interleavings | None

    @property
    def anomaly(self) -> str:
        """The name of the anomaly."""
        return self.pair.anomaly

    @property
    def verdict(self) -> Verdict:
        """``"gone"``: the anomaly is in no interleaving any more, and none ends with the rule of
        the shop broken; ``"remains"``; or ``"does not apply"``."""
        if self.after is None:
            return "does not apply"
        return "remains" if self._found(self.after) or self.broken else "gone"

    @property
    def broken(self) -> int:
        """After how many interleavings the rule of the shop is broken, countermeasure or not."""
        ends = () if self.after is None else self.after.outcomes
        return sum(end.count for end in ends if not self.pair.rule(end.rows))

    @property
    def why(self) -> str:
        """Why it does not apply; else in how many interleavings the anomaly was and is."""
        if self.after is None:
            return self.pair.unfit[self.countermeasure]
        return f"{self._share(self.before)} → {self._share(self.after)}"

    def _found(self, report: Interleavings) -> int:
        anomaly = report.anomalies.get(self.anomaly)
        return 0 if anomaly is None else anomaly.count

    def _share(self, report: Interleavings) -> str:
        return f"{self._found(report)} of {report.total}"

    def __repr__(self) -> str:
        return f"<Cell: {self.anomaly} under {self.countermeasure}: {self.verdict}, {self.why}>"


class IsolationMatrix(msgspec.Struct, frozen=True):
    """The cells by anomaly and countermeasure: ``matrix["lost update", "reread value"]``."""

    cells: Mapping[tuple[str, str], Cell]

    def __getitem__(self, names: tuple[str, str]) -> Cell:
        if names in self.cells:
            return self.cells[names]
        known = "; ".join(", ".join(f"'{name}'" for name in some) for some in self._names())
        raise KeyError(f"there is no cell {names!r}; anomalies and countermeasures are {known}")

    def frame(self) -> pd.DataFrame:
        """A row for each anomaly, a column for each countermeasure: the verdict, and in how many
        of all interleavings the anomaly was and is."""
        import pandas as pd

        anomalies, countermeasures = self._names()
        rows = [
            [_words(self.cells[row, column]) for column in countermeasures] for row in anomalies
        ]
        index = pd.Index(anomalies, name="anomaly")
        return pd.DataFrame(rows, index=index, columns=list(countermeasures))

    def picture(self) -> Picture:
        """The same as a picture."""
        from sagakit.views import Field, matrix_picture

        fields = {
            names: Field(cell.verdict, "" if cell.after is None else cell.why)
            for names, cell in self.cells.items()
        }
        title = "In how many interleavings of two sagas: without the countermeasure → with it"
        return matrix_picture(title, *self._names(), fields, _LOOKS)

    def _names(self) -> tuple[list[str], list[str]]:
        anomalies, countermeasures = zip(*self.cells, strict=True)
        return list(dict.fromkeys(anomalies)), list(dict.fromkeys(countermeasures))

    def __repr__(self) -> str:
        anomalies, countermeasures = self._names()
        gone = sum(cell.verdict == "gone" for cell in self.cells.values())
        return (
            f"<IsolationMatrix: {len(anomalies)} anomalies, {len(countermeasures)} "
            f"countermeasures; gone in {gone} of {len(self.cells)} cells>"
        )

    def _repr_html_(self) -> str:
        return self.picture()._repr_html_()


def isolation_matrix() -> IsolationMatrix:
    """Interleave a small pair of sagas for each anomaly, as they are and with each countermeasure.

    Nothing of it is written down beforehand: a cell says what was found. `sagakit.lab.pairs` has
    the sagas; what a countermeasure does not remove from them, it is not made for.
    """
    cells = {}
    for pair in pairs():
        before = _interleaved(pair, WITHOUT)
        for name in COUNTERMEASURES:
            after = None if name in pair.unfit else _interleaved(pair, name)
            cells[pair.anomaly, name] = Cell(pair, name, before, after)
    return IsolationMatrix(cells)


def _interleaved(pair: Pair, name: str) -> Interleavings:
    return interleave(*pair.sagas[name], world=pair.world, inputs=pair.inputs, progress=False)


def _words(cell: Cell) -> Any:
    return cell.verdict if cell.after is None else f"{cell.verdict}: {cell.why}"
