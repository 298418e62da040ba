"""Rule 7, proven where everything meets: orders that wait for approval, pay in a saga of their own,
reserve line by line and ship behind the pivot, with four services' real databases, killed."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import fulfil_child
import pytest
from fulfil_child import APPROVED, ORDERS, STOCK, approve, fulfilment
from killing import asked_of_the_services, intended, killed, read_all

from sagakit import Engine
from sagakit.coordinator import replay
from sagakit.events import SignalReceived
from sagakit.execution import first_event
from sagakit.services import CheckoutWorld

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")

BOUNDARIES = 16  # of all commits, so many are tried, spread evenly, before and after each


def finish_and_check(folder: Path, before: dict[str, list]) -> None:
    """Recover, begin what never began, and look at everything."""
    with CheckoutWorld(folder / "services", STOCK) as world:
        saga = fulfilment(world)
        with Engine(folder / "journal.db", sagas=[saga]) as engine:
            approve(engine)
            engine.recover(saga)
            ends = {id: engine.run(saga, order, id=id) for id, order in ORDERS.items()}
            assert engine.recover(saga) == []
            statuses = Counter(execution.status for execution in ends.values())
            assert set(statuses) <= {"completed", "compensated"}
            assert ends["order-6"].status == "compensated"
            assert {row.status for row in engine.list()} <= {"completed", "compensated"}
        books = world.books()
        assert books.problems == ()
        assert books.confirmed == statuses["completed"]
        assert books.cancelled == statuses["compensated"]
        assert books.units_reserved == 0
        sagas = {one.fingerprint: one for one in saga.family()}
        for id, events in read_all(folder / "journal.db").items():
            first = first_event(events)
            replay(sagas[first.fingerprint].given(first.input).plan, events)
            kept = before.get(id, [])
            assert events[: len(kept)] == kept
            received = [event.id for event in events if isinstance(event, SignalReceived)]
            assert received == ([f"approval-{first.input['order_id']}"] if id in APPROVED else [])


def met(before: dict[str, list], seen: Counter[str]) -> None:
    """Count in which states the executions were when the process died."""
    with CheckoutWorld(stock={}) as world:
        sagas = {one.fingerprint: one for one in fulfilment(world).family()}
    for events in before.values():
        first = first_event(events)
        state = replay(sagas[first.fingerprint].given(first.input).plan, events)
        inside = "" if first.parent is None else " inside"
        seen[f"{state.phase}{inside}"] += 1
        seen["waiting"] += bool(state.waiting)
        for name in state.in_flight():
            seen[f"{state.state_of(name)}{inside}"] += 1


@pytest.mark.parametrize("after", [False, True], ids=["before commits", "after commits"])
def test_killed_at_boundaries_over_all_of_it_every_service_s_books_balance(tmp_path, after):
    whole = tmp_path / "whole"
    whole.mkdir()
    assert not killed(fulfil_child.work, str(whole), 0, after)
    finish_and_check(whole, read_all(whole / "journal.db"))
    commits = int((whole / "commits").read_text())
    assert commits > BOUNDARIES, "too few commits to call it a matrix"
    seen: Counter[str] = Counter()
    deaths = 0
    for number in range(BOUNDARIES):
        folder = tmp_path / str(number)
        folder.mkdir()
        boundary = 1 + number * commits // BOUNDARIES
        deaths += killed(fulfil_child.work, str(folder), boundary, after)
        before = read_all(folder / "journal.db")
        acknowledged = (folder / "acknowledged").read_text().split()
        assert sum(map(int, acknowledged)) == sum(len(events) for events in before.values())
        assert asked_of_the_services(folder) <= intended(before), "done before it was journalled"
        met(before, seen)
        finish_and_check(folder, before)
    assert deaths >= BOUNDARIES - 3  # how many commits there are is chance at the end
    places = ["forward", "backward", "forward inside", "backward inside", "waiting", "running"]
    for place in [*places, "running inside", "compensating"]:
        assert seen[place], f"the matrix never met '{place}': {seen}"


@pytest.mark.parametrize("life", [3, 5])
def test_killed_again_and_again_it_comes_to_its_end_with_balanced_books(tmp_path, life):
    """One process after the other, each killed a few commits after it began to recover."""
    deaths = 0
    while killed(fulfil_child.work, str(tmp_path), life, True):
        deaths += 1
        assert deaths < 200, "it does not come nearer to its end"
        before = read_all(tmp_path / "journal.db")
        assert asked_of_the_services(tmp_path) <= intended(before)
    assert deaths > 5
    finish_and_check(tmp_path, before)
