"""Interleaving runs every order of the calls of two or three sagas, and tells what came of it."""

from __future__ import annotations

from math import comb, factorial
from typing import Any

import pytest

import sagakit
from sagakit import Retry, Saga, Scenario, TerminalError, pivot, step
from sagakit.errors import InputError, SagaError
from sagakit.lab import Interleavings, Table, World, interleave


def counter(world: World, name: str, steps: int, row: str = "x") -> Saga:
    """Reads a row in its first step and adds one to what it has read in its last one."""

    def look(ctx: Any) -> int:
        return int(world.rows[row])

    def wait(ctx: Any) -> None:
        world.rows.get(f"{name}'s own")

    def count(ctx: Any) -> None:
        world.rows[row] = ctx.results[f"{name}0"] + 1

    actions = [look, *[wait] * (steps - 2), count]
    return Saga(name, *(step(act, name=f"{name}{n}") for n, act in enumerate(actions)))


def world() -> World:
    return World(rows={"x": 0, "y": 0})


@pytest.mark.parametrize("sizes", [(2, 2), (5, 5), (2, 3), (2, 2, 2), (3, 3, 2)])
def test_every_order_is_accounted_for_whether_it_ran_or_not(sizes: tuple[int, ...]) -> None:
    there = world()
    sagas = [counter(there, name, size) for name, size in zip("abc", sizes)]
    reduced = interleave(*sagas, world=there.fresh)
    whole = interleave(*sagas, world=there.fresh, reduce=False)
    orders = factorial(sum(sizes))
    for size in sizes:
        orders //= factorial(size)
    assert reduced.total == whole.total == whole.ran == orders
    assert reduced.ran < whole.ran
    assert reduced.anomalies["lost update"].count == whole.anomalies["lost update"].count
    assert reduced.complete
    assert whole.complete


def test_sagas_that_share_nothing_need_one_order() -> None:
    there = world()
    found = interleave(counter(there, "a", 4, "x"), counter(there, "b", 4, "y"), world=there.fresh)
    assert (found.ran, found.total) == (1, comb(8, 4))
    assert found.isolated
    assert [outcome.serial for outcome in found.outcomes] == [True]


def test_outcomes_say_whether_one_saga_after_another_leads_there() -> None:
    there = world()
    found = interleave(counter(there, "a", 2), counter(there, "b", 2), world=there.fresh)
    ends = {end.rows["rows"]["x"]: (end.count, end.serial) for end in found.outcomes}
    assert ends == {2: (2, True), 1: (4, False)}


def test_an_end_is_serial_if_one_of_its_interleavings_is() -> None:
    there = World(rows={"x": ""})

    def begin() -> None:
        there.rows.check("x")

    def put(ctx: Any) -> None:
        there.rows["x"] = ctx.execution_id

    saga = Saga("put", step(begin), step(put))
    found = interleave(saga, saga, world=there.fresh, reduce=False)
    ends = {end.rows["rows"]["x"]: (end.count, end.serial) for end in found.outcomes}
    assert ends == {"put-1": (3, True), "put-2": (3, True)}


def test_the_shortest_order_that_shows_it_changes_between_sagas_least_often() -> None:
    there = world()
    found = interleave(counter(there, "a", 5), counter(there, "b", 5), world=there.fresh)
    shortest = found["lost update"].interleaving
    assert shortest.switches == 2
    whole = interleave(
        counter(there, "a", 5), counter(there, "b", 5), world=there.fresh, reduce=False
    )
    assert str(whole["lost update"].interleaving) == str(shortest)


def test_the_same_saga_twice_is_numbered_and_inputs_are_each_s_own() -> None:
    there = World(rows={})

    def put(ctx: Any) -> None:
        there.rows[ctx.execution_id] = ctx.input

    saga = Saga("put", step(put))
    found = interleave(saga, saga, world=there.fresh, inputs=[1, 2])
    assert found.sagas == ("put-1", "put-2")
    assert found.outcomes[0].rows == {"rows": {"put-1": 1, "put-2": 2}}


def test_compensations_and_retries_are_interleaved_too() -> None:
    there = World(rows={"x": 0})

    def add() -> None:
        there.rows["x"] += 1

    def undo() -> None:
        there.rows["x"] -= 1

    def fail() -> None:
        raise TerminalError("no")

    def look(ctx: Any) -> int:
        return int(there.rows["x"])

    failing = Saga("failing", step(add, undo, retry=Retry(2)), step(fail))
    reader = Saga("reader", step(look))
    scenarios = [Scenario().fail("add", 1), None]
    found = interleave(failing, reader, world=there.fresh, scenarios=scenarios, reduce=False)
    assert found.ran == 5  # two attempts, the failure, the undo; the reader before or behind each
    seen = {order.interleaving.turns[0].call for order in found.outcomes}
    assert seen
    assert found["dirty read"].count == 2
    assert "add (attempt 2)" in str(found["dirty read"].interleaving)


def test_what_waits_for_a_lock_is_asked_again_when_it_may_have_changed() -> None:
    there = World(locks={"x": None}, rows={"x": 0})

    def take(ctx: Any) -> None:
        if not there.locks.swap("x", None, ctx.execution_id):
            raise ValueError("locked")

    def count() -> None:
        there.rows["x"] += 1

    def free(ctx: Any) -> None:
        there.locks["x"] = None

    def begin() -> None: ...

    saga = Saga("patient", pivot(begin), step(take), step(count), step(free))
    found = interleave(saga, saga, world=there.fresh)
    assert [end.statuses for end in found.outcomes] == [("completed", "completed")]
    assert found.outcomes[0].rows["rows"] == {"x": 2}
    assert found.isolated


def test_a_limit_is_kept_and_told() -> None:
    there = world()
    sagas = counter(there, "a", 4), counter(there, "b", 4)
    found = interleave(*sagas, world=there.fresh, reduce=False, limit=7)
    assert (found.ran, found.complete) == (7, False)
    assert "at least 7 (7 ran)" in repr(found)


def test_progress_counts_the_interleavings() -> None:
    there = world()
    seen: list[Any] = []
    interleave(
        counter(there, "a", 2), counter(there, "b", 2), world=there.fresh, progress=seen.append
    )
    assert seen


def test_bad_questions_are_refused_with_their_cure() -> None:
    there = world()
    saga, other = counter(there, "a", 2), counter(there, "b", 2)

    def refused(*sagas: Saga, **options: Any) -> str:
        with pytest.raises(SagaError) as error:
            interleave(*sagas, **({"world": there.fresh} | options))
        return str(error.value)

    assert "give two or three" in refused(saga)
    assert "there are 1 inputs for 2 sagas" in refused(saga, other, inputs=[1])
    assert "give a list with one for each" in refused(saga, other, inputs="ab")
    assert "give 1 or more" in refused(saga, other, limit=0)
    crash = [Scenario().crash(1), None]
    assert "explore() that saga alone" in refused(saga, other, scenarios=crash)
    assert "has no Table" in refused(saga, other, world=dict)
    assert "no call touched a table" in refused(saga, other, world=lambda: World(other={}))
    typed = Saga("typed", step(lambda: None, name="s"), input=int)
    with pytest.raises(InputError):
        interleave(typed, saga, world=there.fresh, inputs=["x", None])


def test_an_action_that_remembers_is_found_out() -> None:
    there = World(rows={"x": 0})
    calls: list[int] = []

    def forgetful() -> None:
        calls.append(1)
        there.rows["x"] = len(calls)

    saga = Saga("s", step(forgetful))
    with pytest.raises(SagaError, match="keep nothing in a closure"):
        interleave(saga, saga, world=there.fresh)


def test_the_report_has_tables_pictures_and_one_plain_line() -> None:
    there = world()
    found = sagakit.interleave(counter(there, "a", 2), counter(there, "b", 2), world=there.fresh)
    assert isinstance(found, Interleavings)
    assert repr(found) == "<Interleavings of a and b: 6 (4 ran), 2 outcomes; lost update>"
    assert list(found.frame().loc["lost update"])[:2] == [4, "rows['x']"]
    assert list(found.ends().columns) == ["a", "b", "rows", "interleavings", "serial"]
    html = found._repr_html_()
    assert html.count("<img ") == 1
    assert "lost update between a and b" in html
    anomaly = found["lost update"]
    assert "<img " in anomaly._repr_html_()
    assert "<img " in anomaly.interleaving._repr_html_()
    with pytest.raises(KeyError, match=r"no 'dirty read' was found between a and b; 'lost update'"):
        found["dirty read"]
    with pytest.raises(KeyError, match="there is no anomaly 'phantom'; there are 'lost update'"):
        found["phantom"]


def test_tables_are_released_whatever_happens() -> None:
    there = world()

    def crash() -> None:
        there.rows["x"] = []

    saga = Saga("s", step(crash))
    for _ in range(2):
        with pytest.raises(
            SagaError, match=r"no call touched.*; saga 's' raised SagaError: table 'rows'"
        ):
            interleave(saga, saga, world=there.fresh)
        assert type(there.rows) is Table
