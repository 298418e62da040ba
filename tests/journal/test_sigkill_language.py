"""Rule 7, proven where everything meets: orders that wait for approval, pay in a saga of their own,
reserve line by line and ship behind the pivot, with four services' real databases, killed."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import fulfil_child
import pytest
from fulfil_child import APPROVED, STOCK, fulfilment
from kill_child import place_of
from killing import asked_of_the_services, intended, killed, read_all, states_of_the_services

from sagakit import Engine
from sagakit.coordinator import State, replay
from sagakit.events import (
    CompensationRequested,
    CompensationStarted,
    Event,
    ExecutionStarted,
    SignalReceived,
    StepStarted,
    WaitStarted,
)
from sagakit.execution import first_event
from sagakit.services import CheckoutWorld
from sagakit.services.books import Books

ANNOUNCEMENTS = (
    ExecutionStarted,
    StepStarted,
    WaitStarted,
    CompensationRequested,
    CompensationStarted,
)

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")


class End(NamedTuple):
    """All that can be seen when every order has come to its end, but for times and attempts."""

    statuses: dict[str, str]  # of the executions, those inside others too
    services: dict[str, str]  # what became of each step
    books: Books


def finish(folder: Path) -> End:
    """Let a new process recover, and begin what never began; and look at everything."""
    before = read_all(folder / "journal.db")
    assert not killed(fulfil_child.work, str(folder), 0, False)
    with CheckoutWorld(folder / "services", STOCK) as world:
        saga = fulfilment(world)
        with Engine(folder / "journal.db", sagas=[saga]) as engine:
            assert engine.recover(saga) == []
            statuses = {row.id: row.status for row in engine.list()}
        books = world.books()
    after = read_all(folder / "journal.db")
    for id, events in after.items():
        state_of(events)  # refuses what is doubled, lost or out of order
        kept = before.get(id, [])
        assert events[: len(kept)] == kept
        received = [event.id for event in events if isinstance(event, SignalReceived)]
        assert received == ([f"approval of {id}"] if id in APPROVED else [])
    return End(statuses, states_of_the_services(folder), books)


with CheckoutWorld(stock={}) as _world:
    SAGAS = {saga.fingerprint: saga for saga in fulfilment(_world).family()}


def state_of(events: list[Event]) -> State:
    first = first_event(events)
    return replay(SAGAS[first.fingerprint].given(first.input).plan, events)


def kills(events: dict[str, list[Event]]) -> list[tuple[str, bool]]:
    """Where to kill, and whether after the commit: once for each kind of event of each step, where
    the first order meets it.

    What announces is in the journal, and has not been done: after. What tells of an outcome is not
    in the journal yet, though that is there: before. The other sides of both are the same moments.
    """
    found: dict[str, tuple[str, bool]] = {}
    for id in sorted(events):
        for event in events[id]:
            place = place_of(id, event)
            kill = place, isinstance(event, ANNOUNCEMENTS)
            found.setdefault(place.removeprefix(id.split("/")[0]), kill)
    return list(found.values())


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[End, list[tuple[str, bool]]]:
    """How it ends when nothing is killed, and where it could be."""
    folder = tmp_path_factory.mktemp("whole")
    assert not killed(fulfil_child.work, str(folder), 0, False)
    end = finish(folder)
    assert end.books.problems == ()
    assert (end.books.confirmed, end.books.cancelled, end.books.deliveries) == (1, 2, 1)
    assert end.books.units_reserved == 0
    return end, kills(read_all(folder / "journal.db"))


def test_killed_at_any_event_it_ends_as_if_it_was_not(tmp_path, whole):
    end, kills = whole
    assert len(kills) > 45, "too few to call it a matrix"
    met: Counter[str] = Counter()
    for place, after in kills:
        folder = tmp_path / place.replace("/", ".")
        folder.mkdir()
        assert killed(fulfil_child.work, str(folder), place, after), place
        before = read_all(folder / "journal.db")
        acknowledged = (folder / "acknowledged").read_text().split()
        assert sum(map(int, acknowledged)) == sum(len(events) for events in before.values())
        assert asked_of_the_services(folder) <= intended(before), "done before it was journalled"
        for id, written in before.items():
            state = state_of(written)
            level = "inside" if "/" in id else "outside"
            met[f"{state.phase} {level}"] += 1
            met.update(f"{state.state_of(name)} {level}" for name in state.in_flight())
        assert finish(folder) == end, place
    for state in ("forward", "backward", "running", "compensating"):
        assert met[f"{state} inside"], f"no kill met '{state}' inside: {met}"
        assert met[f"{state} outside"], f"no kill met '{state}' outside: {met}"


def test_killed_again_and_again_it_ends_as_if_it_was_not(tmp_path, whole):
    """One process after the other, each killed a few commits after it began to recover."""
    deaths = 0
    # The first commits may tell of attempts that are lost and nothing else. So lives grow longer
    # by and by: one that never sees an answer cannot come nearer to its end.
    while killed(fulfil_child.work, str(tmp_path), 2 + deaths // 5, True):
        deaths += 1
        assert deaths < 200, "it does not come nearer to its end"
        assert asked_of_the_services(tmp_path) <= intended(read_all(tmp_path / "journal.db"))
    assert deaths > 3  # an order's events that follow from each other are in commits of their own
    assert finish(tmp_path) == whole[0]
