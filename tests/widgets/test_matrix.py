"""The fault matrix: every field is what a run of its scenario gives, and opens in the player."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from sagakit import Saga, Scenario, explore, simulate, step
from sagakit.errors import SagaError
from sagakit.lab import ORDER, Twin
from sagakit.lab.report import Single
from sagakit.widgets.matrix import FaultMatrix, worst
from sagakit.widgets.player import SagaPlayer


@pytest.fixture(scope="module")
def report() -> Any:
    twin = Twin()
    return explore(twin.saga, ORDER, world=twin.fresh, faults=1, progress=False)


@pytest.fixture
def matrix(report: Any) -> FaultMatrix:
    return FaultMatrix(report)


@pytest.fixture(scope="module")
def broken() -> Any:
    """A charge that counts twice when it is delivered twice."""
    twin = Twin()

    def charge(ctx):
        return twin.transfer("charge", ctx.input)

    saga = Saga(
        "careless",
        *twin.steps(
            charge_payment=step(charge, twin.refund_payment, name="charge_payment", timeout=2)
        ),
    )
    return explore(saga, ORDER, world=twin.fresh, faults=2, progress=False)


def _edit(matrix: FaultMatrix, **edit: Any) -> dict[str, Any]:
    seq = matrix.state["seq"] + 1
    matrix.edit = {"seq": seq, **edit}
    assert matrix.state["seq"] == seq
    return matrix.state


def _cell(matrix: FaultMatrix, step: str, column: str) -> dict[str, Any]:
    state = matrix.state
    place = state["steps"].index(step), state["columns"].index(column)
    return next(cell for cell in state["cells"] if (cell["row"], cell["column"]) == place)


def test_every_field_says_how_its_runs_end(matrix, report):
    for (name, column), runs in report.singles.items():
        cell = _cell(matrix, name, column)
        again = [simulate(Twin().saga, ORDER, scenario=run.scenario).status for run in runs]
        assert cell["counts"] == Counter(again)
        assert cell["status"] in again
    assert report.singles.keys() == report.matrix.keys()


def test_a_click_opens_the_counterexample_and_it_ends_as_the_field_says(matrix):
    for cell in matrix.state["cells"]:
        _edit(matrix, cell=[cell["row"], cell["column"]])
        assert matrix.player["film"]["ended"] == cell["status"]
        assert matrix.player["film"]["struck"]
        assert matrix.state["opened"] == {"cell": [cell["row"], cell["column"]]}


def test_what_is_open_is_played_on(matrix):
    cell = matrix.state["cells"][0]
    _edit(matrix, cell=[cell["row"], cell["column"]])
    _edit(matrix, play={"seq": 9, "faults": [{"fault": "fail", "step": "confirm_order"}]})
    assert matrix.player["seq"] == 9
    assert matrix.player["film"]["ended"] == "compensated"
    _edit(matrix, play={"seq": 10, "guess": ["reserve_stock", "charge_payment", "create_order"]})
    assert matrix.answer["right"]
    _edit(matrix, play={"seq": 11, "input": "{"})
    assert matrix.player["said"]["level"] == "error"
    _edit(matrix, close=True)
    assert matrix.player == {}
    assert matrix.state["opened"] is None


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"cell": [99, 0]}, "there is no field 99, 0"),
        ({"violation": 0}, "there is no violation 0"),
        ({"play": {"seq": 1}}, "nothing is open"),
    ],
)
def test_what_cannot_be_opened_is_said(matrix, edit, said):
    assert said in _edit(matrix, **edit)["said"]["text"]


def test_what_breaks_an_invariant_is_marked_and_opened_first(broken):
    matrix = FaultMatrix(broken)
    cell = _cell(matrix, "charge_payment", "repeat")
    assert "nothing_charged_twice" in cell["broken"]
    assert [one["invariant"] for one in matrix.state["violations"]] == [
        one.invariant for one in broken.violations
    ]
    number = next(
        n for n, one in enumerate(broken.violations) if one.invariant == "nothing_charged_twice"
    )
    _edit(matrix, violation=number)
    last = {}
    changes, rows = (matrix.player["film"]["ledgers"][part] for part in ("changes", "rows"))
    for place in range(0, len(changes), 3):
        last[tuple(rows[changes[place + 1]])] = changes[place + 2]
    assert last["payment", "cents charged"] == 2 * ORDER["amount_cents"]
    assert "nothing_charged_twice" in repr(matrix)


def test_of_the_runs_of_a_field_the_broken_one_is_opened_else_the_one_that_ends_worst():
    fine, bad = Single(Scenario().fail("a"), "stuck"), Single(Scenario(), "completed", ("x",))
    good = Single(Scenario(), "completed")
    assert worst([fine, bad, good]) is bad
    assert worst([good, fine]) is fine


def test_from_python_a_field_gives_a_player(matrix, broken):
    player = matrix.play("charge_payment", "lose reply")
    assert isinstance(player, SagaPlayer)
    assert player.scenario.faults[0].kind == "lose reply"
    assert player.state["film"]["ledgers"]["rows"]
    with pytest.raises(SagaError, match="at this step there are 'crash after the effect'"):
        matrix.play("charge_payment", "burn")
    with pytest.raises(SagaError, match="there is no field of step 'x'"):
        matrix.play("x", "fail")
    found = FaultMatrix(broken).play_violation("nothing_charged_twice")
    assert found.scenario == next(
        one.scenario for one in broken.violations if one.invariant == "nothing_charged_twice"
    )
    with pytest.raises(SagaError, match="every invariant holds"):
        matrix.play_violation("nothing_charged_twice")


def test_a_saga_that_is_made_for_its_world_is_opened_too():
    report = explore(lambda world: world.saga, ORDER, world=Twin, faults=1, progress=False)
    player = FaultMatrix(report).play("charge_payment", "fail")
    assert player.execution.status == "completed"


def test_its_picture_stands_beside_and_its_repr_is_the_same_on_every_run(matrix):
    bundle, _ = matrix._repr_mimebundle_()
    assert "<img src=" in bundle["text/html"]
    assert repr(matrix).startswith("<FaultMatrix of 'checkout': 5 steps × ")
    assert repr(matrix).endswith("; every invariant holds>")


def test_what_is_no_report_is_refused_with_its_cure():
    with pytest.raises(SagaError, match=r"give what explore\(…\) returns"):
        FaultMatrix([])
