"""Each anomaly is found where its definition has it, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sagakit import Saga, Scenario, TerminalError, step
from sagakit.lab import Interleavings, World, interleave
from sagakit.lab.anomalies import DETECTORS

LOST, DIRTY, FUZZY, SKEW = DETECTORS


def found(*calls: str, fails: str = "", twice: str = "") -> dict[str, int]:
    """The anomalies between saga A and saga B, by their kind the number of orders.

    A call is ``"A: r x, w x"``, one local transaction: ``r`` reads, ``c`` checks (``c!`` refuses if
    something is there), ``w`` writes, ``+`` adds, ``n`` counts the rows; behind a ``/`` stands what
    its compensation does. ``fails`` names the saga whose last call fails, ``twice`` the call whose
    compensation is asked for twice.
    """
    report = run(*calls, fails=fails, twice=twice)
    return {kind: anomaly.count for kind, anomaly in report.anomalies.items()}


def run(*calls: str, fails: str = "", twice: str = "") -> Interleavings:
    world = World(rows={"x": 0, "y": 0})
    steps: dict[str, list[Any]] = {"A": [], "B": []}
    for call in calls:
        who, did = call.split(": ")
        action, _, undo = did.partition(" / ")
        name = f"{who}{len(steps[who]) + 1}"
        compensation = doing(world, undo) if undo else None
        steps[who].append(step(doing(world, action), compensation, name=name))
    sagas = [Saga(who, *made) for who, made in steps.items()]
    scenarios = [Scenario() for _ in sagas]
    for number, saga in enumerate(sagas):
        if saga.name == fails:
            scenarios[number] = Scenario().fail(saga.steps[-1].name)
            if twice:
                scenarios[number] = scenarios[number].lose_reply(twice, 1, side="compensation")
    return interleave(*sagas, world=world.fresh, scenarios=scenarios)


def doing(world: World, calls: str) -> Callable[[Any], None]:
    def act(ctx: Any) -> None:
        for call in calls.split(", "):
            what, _, key = call.partition(" ")
            match what:
                case "r":
                    world.rows.get(key)
                case "c":
                    world.rows.check(key)
                case "w":
                    world.rows[key] = f"{ctx.execution_id}{ctx.step}"
                case "+":
                    world.rows.commute(key, lambda value: f"{value}+")
                case "n":
                    len(world.rows)
                case "c!" if world.rows.check(key):
                    raise TerminalError("taken")

    return act


# -- lost update: rA[x] < wB[x] < wA[x] -----------------------------------------------------


def test_an_update_is_lost_if_it_comes_between_a_read_and_its_write() -> None:
    assert found("A: r x", "A: w x", "B: w x") == {LOST: 1}  # in one of three orders


def test_what_a_saga_overwrites_that_it_wrote_itself_before_is_lost_too() -> None:
    assert found("A: w x", "A: w x", "B: w x") == {LOST: 1}


def test_a_compensation_overwrites_like_any_other_call() -> None:
    assert LOST in found("A: w x / w x", "A: n", "B: w x", fails="A")


@pytest.mark.parametrize("look", ["r x", "c x"])
def test_who_looks_again_in_the_same_call_loses_nothing(look: str) -> None:
    assert LOST not in found("A: r x", f"A: {look}, w x", "B: w x")


def test_what_commutes_loses_nothing_but_can_be_overwritten() -> None:
    assert found("A: r x", "A: + x", "B: + x") == {}
    assert found("A: r x", "A: w x", "B: + x") == {LOST: 1}


def test_who_adds_without_looking_knows_nothing_of_the_row() -> None:
    assert found("A: + x", "A: w x", "B: w x") == {}
    assert found("A: r x", "A: + x", "A: w x", "B: w x") == {LOST: 2}


def test_another_row_is_another_matter() -> None:
    assert found("A: r x", "A: w x", "B: w y") == {}


# -- dirty read: wA[x] < rB[x] < cA[x] ------------------------------------------------------


def test_a_read_is_dirty_if_what_it_saw_is_undone() -> None:
    assert found("A: w x / w x", "A: n", "B: r x", fails="A") == {DIRTY: 2}
    assert found("A: w x / w x", "A: n", "B: r x") == {}  # nothing is undone
    assert found("A: + x / + x", "A: n", "B: r x", fails="A") == {DIRTY: 2}


def test_of_several_changes_that_commute_one_that_is_undone_is_enough() -> None:
    dirty = run("A: + x / + x", "A: n", "B: + x, r x", fails="A").anomalies[DIRTY]
    assert [fact.who for fact in dirty.finding.facts] == [0, 1, 0]


def test_who_reads_what_another_one_has_overwritten_reads_nothing_dirty() -> None:
    assert DIRTY not in found("A: w x / w x", "A: n", "B: w x, r x", fails="A")


def test_what_an_undo_leaves_is_not_dirty_even_if_it_is_undone_again() -> None:
    assert found("A: w x / w x", "A: n", "B: r x", fails="A", twice="A1") == {DIRTY: 2}


def test_a_check_is_dirty_only_if_its_saga_goes_on_by_it() -> None:
    assert found("A: w x / w x", "A: n", "B: c x", fails="A") == {DIRTY: 2}
    assert found("A: w x / w x", "A: n", "B: c! x", fails="A") == {}


# -- non-repeatable read: rA[x] < wB[x] < rA[x] ---------------------------------------------


@pytest.mark.parametrize("change", ["w x", "+ x"])
def test_two_reads_with_a_change_between_them_differ(change: str) -> None:
    assert found("A: r x", "A: r x", f"B: {change}") == {FUZZY: 1}


def test_a_row_that_comes_between_two_looks_at_all_rows_is_a_phantom() -> None:
    phantom = run("A: n", "A: n", "B: w z").anomalies[FUZZY]
    assert phantom.place == "rows[*]"


def test_one_s_own_change_and_a_mere_check_are_no_second_read() -> None:
    assert found("A: r x", "A: w x, r x", "B: w y") == {}
    assert found("A: r x", "A: w x", "A: r x", "B: w x") == {LOST: 1}
    assert found("A: r x", "A: c x", "B: w x") == {}


# -- write skew: rA[x] rB[y] < wB[x] wA[y], each changing what the other has looked at ---------


@pytest.mark.parametrize("look", ["r", "c"])
def test_each_changes_what_the_other_looked_at(look: str) -> None:
    assert found(f"A: {look} x", "A: w y", f"B: {look} y", "B: w x") == {SKEW: 4}


def test_who_looks_when_writing_has_no_skew() -> None:
    assert found("A: r x, w y", "B: r y, w x") == {}
    assert found("A: r x", "A: c x, w y", "B: r y", "B: c y, w x") == {}


def test_one_direction_is_no_skew() -> None:
    assert found("A: r x", "A: w y", "B: r y", "B: n") == {}


# -- what is told ---------------------------------------------------------------------------


def test_an_anomaly_says_who_did_what_and_shows_it_with_both_sagas() -> None:
    anomaly = run("A: r x", "A: w x", "B: w x").anomalies[LOST]
    assert str(anomaly) == (
        "lost update of rows['x']: A (A1) read 0, then B (B1) made it 'BB1', "
        "then A (A2) made it 'AA2'"
    )
    assert [str(turn) for turn in anomaly.interleaving.turns] == ["A: A1", "B: B1", "A: A2"]
    diagram = str(anomaly.sequence())
    for part in ("participant p0 as A", "participant p2 as B", "◆ reads", "◆ lost update of"):
        assert part in diagram
    picture = anomaly.picture()
    assert picture.caption == "lost update between A and B"
    assert picture.table[-1][2] == "◆ lost update of rows['x']"
    assert sum("◆" in row[2] for row in picture.table) == 4
