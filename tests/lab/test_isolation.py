"""The isolation matrix is found, not written down; and a verdict of "gone" hides nothing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sagakit.lab import COUNTERMEASURES, IsolationMatrix, interleave, isolation_matrix, pairs
from sagakit.lab.anomalies import DETECTORS

# Which countermeasure is for what: Frank and Zahle 1998; Richardson 2018, section 4.3.3.
REMOVES = {
    "semantic lock": {"lost update", "dirty read", "non-repeatable read", "write skew"},
    "commutative update": {"lost update"},
    "pessimistic view": {"dirty read"},
    "reread value": {"lost update", "non-repeatable read", "write skew"},
    "version file": {"lost update"},
    "by value": {"lost update", "dirty read", "non-repeatable read", "write skew"},
}


@pytest.fixture(scope="module")
def matrix() -> IsolationMatrix:
    return isolation_matrix()


def test_it_has_a_cell_for_each_anomaly_and_countermeasure(matrix: IsolationMatrix) -> None:
    assert list(matrix.cells) == [(a, c) for a in DETECTORS for c in COUNTERMEASURES]


def test_each_countermeasure_removes_what_it_is_for_and_nothing_else(
    matrix: IsolationMatrix,
) -> None:
    removed: dict[str, set[str]] = {name: set() for name in COUNTERMEASURES}
    for (anomaly, countermeasure), cell in matrix.cells.items():
        if cell.verdict == "gone":
            removed[countermeasure].add(anomaly)
    assert removed == REMOVES


def test_a_pair_shows_its_anomaly_and_no_other_one(matrix: IsolationMatrix) -> None:
    for cell in matrix.cells.values():
        assert set(cell.before.anomalies) == {cell.anomaly}
        assert cell.before.complete


def test_without_the_anomaly_the_rule_of_the_shop_holds_and_with_it_it_breaks(
    matrix: IsolationMatrix,
) -> None:
    for cell in matrix.cells.values():
        broken = [end for end in cell.before.outcomes if not cell.pair.rule(end.rows)]
        assert broken
        assert not any(end.serial for end in broken)
        if cell.after is not None:
            assert (cell.anomaly in cell.after.anomalies) == (cell.broken > 0), cell


def test_gone_means_that_neither_an_anomaly_nor_a_broken_rule_is_left(
    matrix: IsolationMatrix,
) -> None:
    helped, helpless = matrix["lost update", "reread value"], matrix["dirty read", "version file"]
    for holds, cell, verdict in (
        (True, helped, "gone"),
        (False, helped, "remains"),
        (True, helpless, "remains"),
    ):
        pair = replace(cell.pair, rule=lambda rows, holds=holds: holds)
        assert replace(cell, pair=pair).verdict == verdict


def test_every_lock_is_free_in_the_end(matrix: IsolationMatrix) -> None:
    for anomaly in DETECTORS:
        after = matrix[anomaly, "semantic lock"].after
        assert after is not None
        for end in after.outcomes:
            assert not any(end.rows["locks"].values()), anomaly


def test_what_helps_brings_no_other_anomaly(matrix: IsolationMatrix) -> None:
    for cell in matrix.cells.values():
        if cell.verdict == "gone":
            assert cell.after is not None
            assert cell.after.isolated, cell


def test_a_countermeasure_that_cannot_be_applied_says_why(matrix: IsolationMatrix) -> None:
    unfit = {names for names, cell in matrix.cells.items() if cell.verdict == "does not apply"}
    assert unfit == {("lost update", "pessimistic view"), ("write skew", "pessimistic view")}
    assert "there is none to move" in matrix["write skew", "pessimistic view"].why
    for pair in pairs():
        assert pair.sagas.keys() | pair.unfit.keys() == {"without", *COUNTERMEASURES}
        assert not pair.sagas.keys() & pair.unfit.keys()


def test_below_the_limit_by_value_leaves_the_anomaly_where_it_was() -> None:
    pair = next(pair for pair in pairs() if pair.anomaly == "lost update")
    low = interleave(*pair.sagas["by value"], world=pair.world, inputs=[20, 10])
    high = interleave(*pair.sagas["by value"], world=pair.world, inputs=[60, 30])
    assert "lost update" in low.anomalies
    assert high.isolated


def test_the_whole_search_comes_to_the_same_matrix() -> None:
    for pair in pairs():
        for name, sagas in pair.sagas.items():
            reduced = interleave(*sagas, world=pair.world, inputs=pair.inputs)
            whole = interleave(*sagas, world=pair.world, inputs=pair.inputs, reduce=False)
            assert reduced.total == whole.ran, (pair.anomaly, name)
            assert {kind: one.count for kind, one in reduced.anomalies.items()} == {
                kind: one.count for kind, one in whole.anomalies.items()
            }


def test_it_is_shown_as_a_table_and_as_a_picture(matrix: IsolationMatrix) -> None:
    frame = matrix.frame()
    assert list(frame.index) == list(DETECTORS)
    assert list(frame.columns) == list(COUNTERMEASURES)
    assert frame.loc["lost update", "reread value"] == "gone: 4 of 6 → 0 of 6"
    assert frame.loc["dirty read", "reread value"] == "remains: 5 of 7 → 5 of 7"
    assert frame.loc["write skew", "pessimistic view"] == "does not apply"
    assert repr(matrix) == (
        "<IsolationMatrix: 4 anomalies, 6 countermeasures; gone in 14 of 24 cells>"
    )
    assert "<img " in matrix._repr_html_()
    assert "lost update: semantic lock gone" in matrix.picture().alt
    cell = matrix["lost update", "version file"]
    assert repr(cell) == "<Cell: lost update under version file: gone, 4 of 6 → 0 of 6>"
    with pytest.raises(KeyError, match=r"there is no cell .*'lost update', .*'semantic lock'"):
        matrix["phantom", "semantic lock"]
