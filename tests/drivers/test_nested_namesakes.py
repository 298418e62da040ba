"""Two sagas of one name and form, with other actions, inside one saga: each keeps to its own."""

from __future__ import annotations

import pytest

from sagakit import Engine, Saga, TerminalError, await_event, simulate, step, sub_saga


class Towns:
    """A trip whose legs are made by one function, so that only their actions tell them apart."""

    def __init__(self):
        self.booked = []
        self.cancelled = []
        self.closed = set()

    def leg(self, town):
        def book(ctx):
            self.booked.append(town)
            return town

        def cancel(ctx):
            if town in self.closed:
                raise TerminalError("closed")
            self.cancelled.append(town)

        return Saga("leg", step(book, cancel, name="book"), await_event("paid"))

    def trip(self, *more):
        legs = [sub_saga(self.leg(town), name=town.lower(), after=()) for town in ("Oslo", "Rome")]
        return Saga("trip", *legs, *more)


@pytest.fixture
def towns():
    return Towns()


def refuse(ctx):
    raise TerminalError("no")


def test_recovered_each_leg_calls_its_own_action(tmp_path, towns):
    trip = towns.trip()
    whole = simulate(trip, id="e")
    begun = {"e": whole.events} | {one.id: one.events[:2] for one in whole.children.values()}
    with Engine(tmp_path / "j.db") as engine:
        for number, events in begun.items():
            engine.journal.append([(number, 0, events)])
        towns.booked.clear()
        engine.recover(trip)
        assert sorted(towns.booked) == ["Oslo", "Rome"]


def test_an_operator_retries_the_undoing_of_the_leg_that_is_stuck(tmp_path, towns):
    trip = towns.trip(step(refuse, after=("oslo", "rome")))
    towns.closed = {"Oslo"}
    with Engine(tmp_path / "j.db") as engine:
        engine.run(trip, id="e", until_rest=True)
        for leg in ("e/oslo", "e/rome"):
            engine.signal("paid", to=leg)
        assert engine.run(trip, id="e").stuck_steps == ("oslo",)
        assert towns.cancelled == ["Rome"]
        towns.closed.clear()
        assert engine.resolve("e/oslo", "retry", by="ann", why="open again").status == "compensated"
        assert engine.run(trip, id="e").status == "compensated"
        assert towns.cancelled == ["Rome", "Oslo"]


def test_called_off_by_hand_a_leg_of_a_new_engine_undoes_its_own_booking(tmp_path, towns):
    trip = towns.trip()
    with Engine(tmp_path / "j.db") as engine:
        engine.run(trip, id="e", until_rest=True)
    with Engine(tmp_path / "j.db", sagas=[trip]) as engine:
        engine.cancel("e/oslo", by="ann", why="no")
        assert engine.run(trip, id="e").status == "compensated"
    assert sorted(towns.cancelled) == ["Oslo", "Rome"]
