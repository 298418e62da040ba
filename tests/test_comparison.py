from __future__ import annotations

import pytest

from sagakit import Saga, Scenario, compare, for_each, simulate, step, sub_saga
from sagakit.errors import SagaError


def order() -> None: ...
def pay() -> None: ...
def undo() -> None: ...
def ship() -> None: ...


SHOP = Saga("shop", step(order, undo), step(pay, undo), step(ship))


def test_two_scenarios_of_a_saga_are_compared() -> None:
    good = simulate(SHOP)
    refused = simulate(SHOP, scenario=Scenario().fail("pay"))
    found = compare(good, refused)
    assert repr(found) == "<Comparison of 'shop': completed and compensated, 4 differences>"
    assert [(d.step, d.side, d.what, d.first, d.second) for d in found.differences] == [
        ("", "", "status", "completed", "compensated"),
        ("pay", "action", "outcome", "succeeded", "failed"),
        ("ship", "action", "outcome", "succeeded", "not started"),
        ("order", "compensation", "outcome", "not started", "compensated"),
    ]
    assert (found.first, found.second) == (good, refused)


def test_a_notebook_shows_the_picture_and_its_table_the_same_each_time() -> None:
    pair = simulate(SHOP), simulate(SHOP, scenario=Scenario().fail("ship"))
    html = compare(*pair)._repr_html_()
    assert html.startswith('<img src="data:image/svg+xml;base64,')
    assert "comparison of &#x27;shop&#x27;" in html
    assert "<td>completed</td>" in html
    assert html == compare(*pair)._repr_html_()


def test_an_execution_does_not_differ_from_itself() -> None:
    execution = simulate(SHOP)
    assert compare(execution, execution).differences == []
    text = repr(compare(execution, execution))
    assert text == "<Comparison of 'shop': both completed, no differences>"


def test_the_steps_inside_are_compared_too() -> None:
    bank = Saga("bank", step(pay, undo))
    each = for_each("lines", lambda ctx: ctx.input, step(ship, undo))
    saga = Saga("order", sub_saga(bank, name="bank"), each)
    found = compare(simulate(saga, [1]), simulate(saga, [1, 2]))
    assert [(d.step, d.what) for d in found.differences] == [("lines/1", "step")]


def test_a_newer_version_may_be_compared_with_an_older_one() -> None:
    newer = Saga("shop", step(order, undo), step(pay, undo), step(ship), step(undo), version="2")
    (found,) = compare(simulate(SHOP), simulate(newer)).differences
    assert (found.step, found.what, found.first) == ("undo", "step", "no such step")


def test_another_saga_is_refused_with_both_names() -> None:
    other = Saga("bank", step(pay))
    with pytest.raises(SagaError, match="saga 'shop' and of saga 'bank'"):
        compare(simulate(SHOP), simulate(other))


def test_the_factor_decides_which_durations_differ() -> None:
    slow = simulate(SHOP, scenario=Scenario().slow("pay", 5.0))
    slower = simulate(SHOP, scenario=Scenario().slow("pay", 9.0))
    assert "duration" in {d.what for d in compare(slow, slower).differences}
    assert compare(slow, slower, factor=2).differences == []
    with pytest.raises(ValueError, match="factor above 1"):
        compare(slow, slower, factor=1)
