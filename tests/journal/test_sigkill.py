"""Rule 7, proven: a process is killed at every journal boundary, and nothing is lost."""

from __future__ import annotations

import signal
from pathlib import Path

import kill_child
import pytest
from killing import asked_of_the_services, intended, killed, read_all

from sagakit import Engine
from sagakit.coordinator import replay
from sagakit.events import AttemptLost, SignalReceived
from sagakit.journal.audit import verify
from sagakit.services import CheckoutWorld

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")


def die(folder: Path, kill_at: int, after: bool) -> bool:
    """Run the child; True if it was killed, False if it got through to its end."""
    return killed(kill_child.work, str(folder), kill_at, after)


def finish_and_check(folder: Path, before: dict[str, list]) -> None:
    """Recover, run what never began, and look at everything."""
    with (
        CheckoutWorld(folder / "services", kill_child.STOCK) as world,
        Engine(folder / "journal.db") as engine,
    ):
        recovered = engine.recover(world.saga)
        assert {execution.status for execution in recovered} <= {"completed", "compensated"}
        assert engine.list(status="running") == []
        for id, order in kill_child.orders().items():
            engine.run(world.saga, order, id=id)
        assert engine.recover(world.saga) == []
        plan = world.saga.plan
        rows = engine.list()
        assert sorted(row.id for row in rows) == sorted(kill_child.orders())
        for row in rows:
            execution = engine.status(row.id)
            assert row.status == execution.status
            assert row.status in ("completed", "compensated")
            replay(plan, execution.events)  # refuses what is doubled, lost or out of order
            kept = execution.events[: len(before.get(row.id, ()))]
            assert list(kept) == before.get(row.id, [])
        books = world.books()
        assert books.problems == ()
        assert books.confirmed + books.cancelled == kill_child.ORDERS
        statuses = engine.journal.counts()
        assert statuses == {"completed": books.confirmed, "compensated": books.cancelled}


@pytest.mark.parametrize("after", [False, True], ids=["before each commit", "after each commit"])
def test_killed_at_every_boundary_nothing_is_lost_or_doubled_and_the_books_balance(tmp_path, after):
    boundary = 0
    seen = {"forward": 0, "backward": 0, "in doubt": 0, "undo in doubt": 0}
    while True:
        boundary += 1
        folder = tmp_path / str(boundary)
        folder.mkdir()
        if not die(folder, boundary, after):
            break
        before = read_all(folder / "journal.db")
        acknowledged = (folder / "acknowledged").read_text().split()
        assert len(acknowledged) == boundary - (not after)
        assert sum(map(int, acknowledged)) == sum(len(events) for events in before.values())
        assert asked_of_the_services(folder) <= intended(before), "done before it was journalled"
        with CheckoutWorld(stock={}) as world:
            for events in before.values():
                state = replay(world.saga.plan, events)
                if state.phase in seen:
                    seen[state.phase] += 1
                    words = {str(state.state_of(name)) for name in state.in_flight()}
                    seen["in doubt"] += "running" in words
                    seen["undo in doubt"] += "compensating" in words
        finish_and_check(folder, before)
    assert boundary > 15, "too few commits to call it a matrix"
    assert all(seen.values()), f"the matrix never met: {seen}"


def test_killed_again_while_recovering_it_still_ends_with_balanced_books(tmp_path):
    for boundary in (2, 4, 6, 8):
        folder = tmp_path / str(boundary)
        folder.mkdir()
        assert die(folder, 9, True)
        for again in range(1, boundary):
            die(folder, again, bool(again % 2))
        before = read_all(folder / "journal.db")
        lost = sum(isinstance(event, AttemptLost) for events in before.values() for event in events)
        assert boundary == 2 or lost, "no attempt was ever lost: the kills came too late"
        finish_and_check(folder, before)


@pytest.mark.parametrize("kill_at", range(1, 9))
def test_a_wait_killed_at_any_commit_ends_as_one_that_was_not(tmp_path, kill_at):
    path = tmp_path / "journal.db"
    killed(kill_child.wait, str(path), kill_at)
    with Engine(path) as engine:
        for execution in engine.recover(kill_child.WAITING):
            assert execution.status in ("waiting", "completed")
        if engine.list(status="waiting") and "paid" in engine.status("one").waiting_for:
            engine.signal("paid", {"sum": 7}, to="one")
        execution = engine.run(kill_child.WAITING, id="one")
    assert execution.status == "completed"
    assert execution.results["paid"] == {"sum": 7}
    names = [type(event).__name__ for event in execution.events]
    assert names.count("WaitStarted") == 2
    assert names.count("SignalReceived") == 1


@pytest.mark.parametrize("fails", [False, True], ids=["to the end", "and back"])
def test_a_family_killed_after_every_commit_ends_as_one_that_was_not(tmp_path, fails):
    """One process after the other, each killed one commit later than the one before it began."""
    path = tmp_path / "journal.db"
    deaths = 0
    while killed(kill_child.run_family, str(path), 2, fails):
        deaths += 1
        assert deaths < 200, "it does not come nearer to its end"
    assert deaths > 5
    ledger = kill_child.Ledger(tmp_path / "journal.db.ledger")
    with Engine(path, sagas=[kill_child.family(ledger, fails=fails)]) as engine:
        rows = engine.list()
        assert {row.status for row in rows} == {"compensated" if fails else "completed"}
        assert len(rows) == 8
        assert engine.journal.verify() == []
    keys = [f"one/middle/lines/{n}/action" for n in range(3)]
    keys += ["one/middle/inner/x/action", *(f"one/each/{n}/x/action" for n in range(3))]
    assert ledger.standing() == ([] if fails else sorted([*keys, "one/last/action"]))


@pytest.mark.parametrize("kill_at", [*range(1, 24), 40])
def test_a_family_that_waits_killed_at_any_commit_ends_as_one_that_was_not(tmp_path, kill_at):
    path = tmp_path / "journal.db"
    killed(kill_child.run_waiting_family, str(path), kill_at)
    ledger = kill_child.Ledger(tmp_path / "journal.db.ledger")
    saga = kill_child.waiting_family(ledger)
    with Engine(path, sagas=[saga]) as engine:
        engine.recover(saga)
        engine.run(saga, id="one", until_rest=True)
        kill_child.pay(engine)
        execution = engine.run(saga, id="one")
        assert execution.status == "completed"
        each = execution.children["middle"].children["each"]
        paid = {item: one["paid"] for item, one in each.results.items()}
        assert paid == {"0": 1, "1": 2, "2": 3}  # in the order in which they ended
        for one in each.children.values():
            received = [event.id for event in one.events if isinstance(event, SignalReceived)]
            assert received == [f"s{one.input}"]
        assert engine.journal.counts() == {"completed": 6}
        assert not engine.journal.waits()
    verdict = verify(path)
    assert verdict.sound, verdict.finding
    keys = [f"one/middle/each/{n}/{name}/action" for n in range(3) for name in "xy"]
    assert ledger.standing() == sorted([*keys, "one/last/action"])


@pytest.mark.parametrize("kill_at", range(1, 30, 3))
def test_signals_that_were_kept_or_parked_for_reach_each_execution_once(tmp_path, kill_at):
    path = tmp_path / "journal.db"
    assert killed(kill_child.park, str(path), kill_at)
    numbers = range(kill_child.LETTERS)
    with Engine(path) as engine:
        engine.recover(kill_child.PARKED)
        for number in numbers:  # the sender cannot know what arrived: it sends all again
            engine.signal("paid", number, correlation=str(number), id=f"s{number}", keep=600)
        for number in numbers:
            execution = engine.run(kill_child.PARKED, str(number), id=f"e{number}")
            assert execution.results["paid"] == number
            received = [e for e in execution.events if isinstance(e, SignalReceived)]
            assert [event.id for event in received] == [f"s{number}"]
            assert engine.journal.letters("paid", str(number), 0.0) == []
        assert engine.journal.counts() == {"completed": kill_child.LETTERS}
