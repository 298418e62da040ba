"""What waits inside a sub-saga or a for_each costs rows, as what waits by itself does: the whole
family leaves the memory, and only those concerned come back."""

from __future__ import annotations

import contextlib
import functools
import gc
import sqlite3
import threading
import time

import patience
import pytest

from sagakit import (
    Engine,
    Retry,
    Saga,
    TerminalError,
    await_event,
    for_each,
    pivot,
    step,
    sub_saga,
    timer,
)
from sagakit.drivers.local import parking
from sagakit.errors import (
    CancellationError,
    SagaError,
    SignalError,
    UnknownExecutionError,
)
from sagakit.events import SignalReceived, StepStarted, WaitStarted
from sagakit.journal import mail
from sagakit.journal.audit import verify
from sagakit.journal.base import Post
from sagakit.journal.sqlite import SqliteJournal

MONTH = 30 * 86400.0


def act():
    pass


def order(ctx):
    return ctx.input


def items(ctx):
    return ctx.input


DEEP = Saga("deep", step(act, act), await_event("paid", correlate=order), step(act, act, name="d"))
MIDDLE = Saga("middle", sub_saga(DEEP), step(act, act, name="m"))
OUTER = Saga("outer", step(act, act), sub_saga(MIDDLE), step(act, act, name="last"))
EACH = Saga("each", for_each("all", items, DEEP, limit=10_000), step(act, act, name="last"))
FAR = Saga("far", sub_saga(Saga("in", timer("cool", MONTH), step(act, act))), step(act, name="z"))


until = functools.partial(patience.until, seconds=10.0)


def statuses(engine):
    return {row.id: row.status for row in engine.list()}


def ends(engine, id, status="completed"):
    until(lambda: engine.status(id).status == status)
    until(lambda: set(statuses(engine).values()) <= {status})


def reopened(engine, path, *sagas):
    if path is None:
        return engine
    engine.close(drain=False)
    again = Engine(path, sagas=sagas)
    again.recover()
    return again


def sound(path):
    if path is not None:
        verdict = verify(path)
        assert verdict.sound, verdict.finding


# -- nothing stays --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("saga", "input", "count"),
    [(OUTER, "7", 3), (EACH, ["1", "2", "3"], 5), (FAR, None, 2)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_family_that_waits_is_in_memory_no_more_and_all_of_it_is_listed_as_waiting(
    place, saga, input, count
):
    with Engine(place) as engine:
        execution = engine.run(saga, input, id="e", until_rest=True)
        assert execution.status == "waiting"
        assert list(statuses(engine).values()) == ["waiting"] * count
        assert engine.journal.counts() == {"waiting": count}
        assert not engine._core.live
        gc.collect()
        assert not engine._parking._answers
        assert not engine._parking._awaited
        assert not engine._core.heard
        due = ["e/in"] if saga is FAR else []
        assert list(engine._parking._due) == due
    sound(place)


def test_who_is_told_that_it_waits_sees_all_that_does_its_steps(place):
    with Engine(place) as engine:
        told = engine.run(EACH, ["1", "2"], id="e", until_rest=True)
        stored = engine.status("e")
        assert told.events == stored.events
        assert [*told.children["all"].children] == ["0", "1"]
        assert told.children["all"].children["1"].status == "waiting"
        assert told.history() == stored.history()


def test_a_part_that_waits_leaves_while_the_rest_goes_on(place):
    gate = threading.Event()
    saga = Saga(
        "s",
        sub_saga(DEEP, after=()),
        step(lambda: gate.wait(5) and None, act, name="busy", after=()),
    )
    with Engine(place) as engine:
        answer = engine.start(saga, "7", id="e")
        until(lambda: list(engine._core.live) == ["e"])
        assert statuses(engine) == {"e": "running", "e/deep": "waiting"}
        engine.signal("paid", 1, correlation="7")
        until(lambda: statuses(engine)["e/deep"] == "completed")
        gate.set()
        execution = answer.result(5)
        assert execution.status == "completed"
        assert execution.children["deep"].results["paid"] == 1


def test_those_around_what_goes_on_are_running_until_all_of_it_waits_again(place):
    gate = threading.Event()
    busy = step(lambda: gate.wait(5) and None, act, name="busy")
    deep = Saga("deep", await_event("paid"), busy, timer("cool", MONTH))
    saga = Saga("s", sub_saga(Saga("middle", sub_saga(deep))), deadline=2 * MONTH)
    with Engine(place) as engine:
        engine.run(saga, id="e", until_rest=True)
        engine.signal("paid", to="e/middle/deep")
        assert engine.journal.counts() == {"running": 3}
        assert engine.journal.sleeping([one.fingerprint for one in saga.family()]) == []
        gate.set()
        until(lambda: engine.journal.counts() == {"waiting": 3})
        until(lambda: not engine._core.live)
        assert sorted(engine._parking._due) == ["e", "e/middle/deep"]
    sound(place)


# -- signals --------------------------------------------------------------------------------


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("address", [{"to": "e/middle/deep"}, {"correlation": "7"}])
def test_a_signal_brings_back_who_waits_and_those_around_it_go_on(place, address, restart):
    engine = Engine(place)
    try:
        answer = engine.start(OUTER, "7", id="e")
        until(lambda: engine.journal.counts() == {"waiting": 3})
        if restart:
            engine = reopened(engine, place, OUTER)
        reached = engine.signal("paid", {"sum": 7}, **address)
        assert reached.id == "e/middle/deep"
        ends(engine, "e")
        stored = engine.status("e")
        assert stored.children["middle"].children["deep"].results["paid"] == {"sum": 7}
        if not (restart and place):
            assert answer.result(5).events == stored.events
        until(lambda: not engine._core.live)
    finally:
        engine.close()
    sound(place)


def test_a_signal_reaches_what_was_never_recovered(path):
    with Engine(path) as engine:
        for id in ("a", "b", "c"):
            engine.run(OUTER, id, id=id, until_rest=True)
    with Engine(path, sagas=[OUTER]) as engine:
        engine.signal("paid", 1, to="a/middle/deep")
        engine.signal("paid", 2, correlation="b")
        assert engine.cancel("c/middle/deep", by="ann", why="x").status == "compensated"
        until(lambda: engine.status("c").status == "compensated")
        until(lambda: engine.journal.counts() == {"completed": 6, "compensated": 3})
    sound(path)


def test_a_letter_is_kept_for_what_will_wait_inside(place):
    with Engine(place) as engine:
        engine.signal("paid", 5, correlation="7", keep=60)
        assert engine.run(OUTER, "7").children["middle"].children["deep"].results["paid"] == 5
        engine.run(OUTER, "8", id="e", until_rest=True)
        assert engine.signal("paid", 6, correlation="8", keep=60).id == "e/middle/deep"
        ends(engine, "e")


def test_what_goes_on_without_those_around_it_leaves_them_to_be_recovered(path):
    with Engine(path) as engine:
        for id in ("a", "b"):
            engine.run(OUTER, id, id=id, until_rest=True)
    with Engine(path, sagas=[DEEP]) as engine:
        assert engine.signal("paid", 1, correlation="a").id == "a/middle/deep"
        until(lambda: engine.status("a/middle/deep").status == "completed")
        assert engine.cancel("b/middle/deep", by="ann", why="x").status == "compensated"
        left = {"a", "a/middle", "b", "b/middle"}
        assert {row.id for row in engine.list(status="running")} == left
        assert not engine.journal.waits()
    with Engine(path) as engine:
        ended = {execution.id: execution.status for execution in engine.recover(OUTER)}
        assert (ended["a"], ended["b"]) == ("completed", "compensated")
        assert engine.journal.counts() == {"completed": 3, "compensated": 3}
    sound(path)


@pytest.mark.parametrize("to", [{"to": "e/middle/deep"}, {"correlation": "7"}, None])
def test_another_process_reaches_a_parked_family_through_the_mailbox(path, to):
    with Engine(path) as engine:
        engine.run(OUTER, "7", id="e", until_rest=True)
        assert not engine._core.live
        if to is None:
            mail.post(path, Post("p", to="e", by="ann", why="x"))
        else:
            mail.post(path, Post("p", "paid", {"n": 1}, **to))
        ends(engine, "e", "compensated" if to is None else "completed")
        until(lambda: mail.outcome(path, "p")[0] == mail.DELIVERED)
    sound(path)


def test_a_signal_that_nobody_awaits_leaves_all_of_it_as_it_was(place):
    with Engine(place, sagas=[OUTER]) as engine:
        engine.run(OUTER, "7", id="e", until_rest=True)
        before = engine.status("e").history()
        with pytest.raises(SignalError, match="never waits for 'gone'"):
            engine.signal("gone", to="e/middle/deep")
        until(lambda: not engine._core.live)
        assert engine.status("e").history() == before
        assert set(statuses(engine).values()) == {"waiting"}
        engine.signal("paid", correlation="7")
        ends(engine, "e")
    sound(place)


# -- times ----------------------------------------------------------------------------------


def test_a_nested_wait_of_thirty_days_ends_on_its_day_over_restarts(path, monkeypatch):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - MONTH - 1)
    with Engine(path) as engine:
        engine.run(FAR, id="over", until_rest=True)
        monkeypatch.setattr(time, "time", lambda: real() - MONTH + 1.5)
        engine.run(FAR, id="soon", until_rest=True)
    monkeypatch.setattr(time, "time", lambda: real() - 86400)  # a day before
    with Engine(path) as engine:
        assert engine.recover(FAR) == []
        assert sorted(engine._parking._due) == ["over/in", "soon/in"]
        assert not engine._core.live
    monkeypatch.setattr(time, "time", real)
    with Engine(path) as engine:
        recovered = {e.id: e.status for e in engine.recover(FAR)}
        assert recovered == {"over/in": "completed", "over": "completed"}
        assert engine.status("soon").status == "waiting"
        ends(engine, "soon")
        waited = engine.status("soon/in").events
        wait = next(event for event in waited if isinstance(event, WaitStarted))
        assert wait.expires_at == pytest.approx(wait.at + MONTH)
        assert waited[-1].at >= wait.expires_at
    sound(path)


def test_recovery_reads_no_events_of_families_that_only_wait(path, monkeypatch):
    with Engine(path) as engine:
        for number in range(3):
            engine.run(FAR, id=f"f{number}", until_rest=True)
            engine.run(EACH, [f"{number}a", f"{number}b"], id=f"e{number}", until_rest=True)
    with Engine(path) as engine:
        monkeypatch.setattr(engine.journal, "_events", lambda *_: pytest.fail("it was read"))
        assert engine.recover(FAR, EACH) == []
        assert len(engine._parking._due) == 3


@pytest.mark.parametrize("where", ["outer", "inner"])
@pytest.mark.parametrize("restart", [False, True])
def test_a_deadline_wakes_a_family_and_turns_it_back(place, where, restart, monkeypatch):
    undone = []

    def undo(ctx):
        undone.append(ctx.step)

    outer, inner = (0.2, None) if where == "outer" else (None, 0.2)
    core = Saga("core", step(act, undo, name="c"), await_event("paid"), deadline=inner)
    saga = Saga("s", step(act, undo, name="a"), sub_saga(core), deadline=outer)
    engine = Engine(place)
    try:
        engine.run(saga, id="e", until_rest=True)
        assert not engine._core.live
        if restart:
            if place is not None:
                engine.close()
                time.sleep(0.25)
                engine = Engine(place, sagas=[saga])
            engine.recover(saga)
        ends(engine, "e", "compensated")
        assert undone == ["c", "a"]
        until(lambda: not engine._parking._due)
    finally:
        engine.close()
    sound(place)


# -- operators ------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["e", "e/middle", "e/middle/deep"])
@pytest.mark.parametrize("restart", [False, True])
def test_a_parked_family_is_called_off_anywhere(place, where, restart):
    engine = Engine(place)
    try:
        engine.run(OUTER, "7", id="e", until_rest=True)
        if restart:
            engine = reopened(engine, place, OUTER)
        assert engine.cancel(where, by="ann", why="x").status == "compensated"
        ends(engine, "e", "compensated")
        with pytest.raises(UnknownExecutionError):
            engine.signal("paid", correlation="7")
    finally:
        engine.close()
    sound(place)


def test_calling_off_reaches_every_item_that_waits(place):
    with Engine(place) as engine:
        engine.run(EACH, [str(number) for number in range(50)], id="e", until_rest=True)
        engine.signal("paid", correlation="3")
        until(lambda: statuses(engine)["e/all/3"] == "completed")
        ended = engine.cancel("e", by="ann", why="x")
        assert ended.status == "compensated"
        assert len(ended.children["all"].children) == 50
        assert set(statuses(engine).values()) == {"compensated"}
        assert engine.status("e").history() == ended.history()
    sound(place)


def test_what_gets_stuck_after_its_wait_leaves_all_above_it_stuck_and_is_resolved(place):
    shut = [True]

    def final():
        if shut:
            raise TerminalError("closed")

    inner = Saga("in", await_event("paid"), pivot(act, name="p"), step(final, retry=Retry(1)))
    saga = Saga("s", sub_saga(inner, name="p", pivot=True), step(act, name="z"))
    engine = Engine(place)
    try:
        answer = engine.start(saga, id="e")
        until(lambda: engine.journal.counts() == {"waiting": 2})
        engine.signal("paid", 1, to="e/p")
        assert answer.result(5).status == "stuck"
        assert statuses(engine) == {"e": "stuck", "e/p": "stuck"}
        engine = reopened(engine, place, saga)
        shut.clear()
        assert engine.resolve("e/p", "retry", by="ann", why="open").status == "completed"
        ends(engine, "e")
    finally:
        engine.close()
    sound(place)


def test_an_item_that_is_stuck_beside_one_that_waits_is_resolved_while_all_of_it_is_parked(place):
    shut = [True]

    def ship(ctx):
        if ctx.input == "bad":
            raise TerminalError("no")

    def undo():
        if shut:
            raise TerminalError("closed")

    def waits(ctx):
        return ctx.input == "slow"

    inner = Saga("in", step(act, undo, name="a"), step(ship, act), await_event("paid", when=waits))
    middle = Saga("middle", for_each("all", items, inner))
    saga = Saga("s", sub_saga(middle), step(act, name="z"))
    engine = Engine(place)
    try:
        engine.run(saga, ["bad", "slow"], id="e", until_rest=True)
        assert statuses(engine)["e/middle/all/0"] == "stuck"
        assert not engine._core.live
        engine = reopened(engine, place, saga)
        shut.clear()
        decision = {"by": "ann", "why": "it is open"}
        decided = engine.resolve("e/middle/all/0", "retry", **decision)
        assert decided.status == "compensated"
        ends(engine, "e", "compensated")
    finally:
        engine.close()
    sound(place)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("where", ["outer", "deep"])
def test_a_parked_family_is_migrated_and_goes_on_together(path, where, known):
    new_deep = Saga("deep", *DEEP.steps, step(act, act, name="more"))
    new_outer = Saga("outer", *OUTER.steps, step(act, act, name="more"))
    id, new = ("e", new_outer) if where == "outer" else ("e/middle/deep", new_deep)
    with Engine(path) as engine:
        engine.run(OUTER, "7", id="e", until_rest=True)
    with Engine(path, sagas=[OUTER] if known else []) as engine:
        moved = engine.migrate(id, to=new, by="ann", why="x")
        assert (moved.id, moved.status) == (id, "waiting")
        assert set(statuses(engine).values()) == {"waiting"}
        engine.register(OUTER)
        engine.register(new)
        engine.signal("paid", correlation="7")
        ends(engine, "e")
        assert engine.status(id).states["more"] == "succeeded"
    sound(path)


# -- many -----------------------------------------------------------------------------------


def test_one_item_that_wakes_leaves_the_others_in_the_journal(place):
    many = [str(number) for number in range(40)]
    with Engine(place) as engine:
        answer = engine.start(EACH, many, id="e")
        until(lambda: engine.journal.counts() == {"waiting": 42})
        seen = set()
        enter = engine._core._enter

        def note(run, *more):
            seen.add(run.state.execution_id)
            return enter(run, *more)

        engine._core._enter = note
        engine.signal("paid", 7, correlation="7")
        until(lambda: statuses(engine)["e/all/7"] == "completed")
        until(lambda: not engine._core.live)
        assert seen == {"e", "e/all", "e/all/7"}
        assert engine.journal.counts() == {"waiting": 41, "completed": 1}
        for number in many:
            if number != "7":
                engine.signal("paid", int(number), correlation=number)
        execution = answer.result(20)
        assert [one["paid"] for one in execution.results["all"]] == list(range(40))
        assert len(execution.children["all"].children) == 40
        assert execution.history() == engine.status("e").history()
    sound(place)


class Counting(SqliteJournal):
    """Counts the events that are read."""

    count = 0

    def _events(self, execution_id, rows):
        self.count += len(rows)
        return super()._events(execution_id, rows)


def test_nobody_waits_for_the_rest_of_what_stays_in_memory_for_a_while(place, monkeypatch):
    monkeypatch.setattr(parking, "_MANY", 0)
    monkeypatch.setattr(parking, "_STAY", 3600.0)
    with Engine(place) as engine:
        assert engine.run(EACH, ["1", "2"], id="e", until_rest=True).status == "waiting"
        assert "e/all" in engine._core.live
        assert engine.journal.counts() == {"waiting": 4}
        engine.signal("paid", correlation="1")
        engine.signal("paid", correlation="2")
        ends(engine, "e")


@pytest.mark.parametrize("size", [100, 400])
def test_items_that_wake_one_after_another_are_not_all_read_each_time(path, size, monkeypatch):
    monkeypatch.setattr(parking, "_MANY", 50)
    monkeypatch.setattr(parking, "_STAY", 1e-2)
    with Engine(Counting(path)) as engine:
        many = [str(number) for number in range(size)]
        engine.run(EACH, many, id="e", until_rest=True)
        until(lambda: "e/all" not in engine._core.live)
        engine.journal.count = 0
        for number in many[:50]:
            engine.signal("paid", correlation=number)
        until(lambda: engine.journal.counts().get("completed") == 50)
        assert "e/all" in engine._core.live
        # each item once or twice, and those above once
        assert engine.journal.count < 50 * 12 + 4 * size


def test_waits_of_one_execution_that_end_one_after_another_are_not_all_written_each_time(path):
    saga = Saga("s", for_each("all", items, await_event("paid", correlate=order), limit=1000))
    written = []
    with Engine(path) as engine:
        engine.run(saga, [str(number) for number in range(200)], id="e", until_rest=True)
        append = engine.journal.append

        def note(batch, rests=None):
            for rest in (rests or {}).values():
                written.append(len(rest.waits or ()) + len(rest.began) + len(rest.ended))
            append(batch, rests)

        engine.journal.append = note
        for number in range(200):
            assert engine.signal("paid", number, correlation=str(number)).id == "e/all"
            with pytest.raises(UnknownExecutionError):
                engine.signal("paid", number, correlation=str(number))
        ends(engine, "e")
        assert engine.status("e").results["all"] == list(range(200))
        assert sum(written) < 200 * 3
        assert not engine.journal.waits()


def test_waits_for_the_same_of_one_execution_take_one_signal_each(place):
    def shared(ctx):
        return "same"

    saga = Saga("s", for_each("all", items, await_event("paid", correlate=shared), limit=10))
    engine = Engine(place)
    try:
        engine.run(saga, ["a", "b", "c"], id="e", until_rest=True)
        for number in range(3):
            assert engine.signal("paid", number, correlation="same").id == "e/all"
            engine = reopened(engine, place, saga)
        with pytest.raises(UnknownExecutionError):
            engine.signal("paid", correlation="same")
        ends(engine, "e")
        assert engine.status("e").results["all"] == [0, 1, 2]
    finally:
        engine.close()
    sound(place)


# -- crashes, and journals that others left -------------------------------------------------


def test_a_row_that_an_older_engine_left_as_running_is_set_right_by_recovery(path):
    with Engine(path) as engine:
        engine.run(OUTER, "7", id="e", until_rest=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE executions SET status = 'running' WHERE id <> 'e/middle/deep'")
    connection.close()
    with Engine(path) as engine:
        assert {e.status for e in engine.recover(OUTER)} == {"waiting"}
        assert set(statuses(engine).values()) == {"waiting"}
        until(lambda: not engine._core.live)
        assert engine.recover(OUTER) == []
        engine.signal("paid", correlation="7")
        ends(engine, "e")
    sound(path)


def test_a_commit_that_fails_is_the_same_for_the_whole_family(path, monkeypatch):
    with Engine(path) as engine:
        engine.run(OUTER, "7", id="e", until_rest=True)
        append = engine.journal.append

        def fail(batch, rests=None):
            if any(id.startswith("e") for id, _, _ in batch):
                raise OSError("no disk")
            append(batch, rests)

        monkeypatch.setattr(engine.journal, "append", fail)
        with pytest.raises(OSError, match="no disk"):
            engine.signal("paid", correlation="7")
        monkeypatch.undo()
        assert set(statuses(engine).values()) == {"waiting"}
        assert not engine._core.live
        engine.signal("paid", correlation="7")
        ends(engine, "e")
    sound(path)


def test_threads_that_signal_cancel_run_and_recover_families_harm_nothing(place):
    count = 60
    failures = []
    with Engine(place, sagas=[OUTER, EACH]) as engine:
        for number in range(count):
            engine.run(OUTER, f"o{number}", id=f"o{number}", until_rest=True)
            pair = [f"x{number}", f"y{number}"]
            engine.run(EACH, pair, id=f"e{number}", until_rest=True)

        def attack(what):
            for number in range(count):
                try:
                    what(number)
                except (UnknownExecutionError, SignalError, CancellationError):
                    pass
                except (SagaError, AssertionError, KeyError) as error:
                    failures.append(error)

        def signal(number):
            for id in (f"o{number}", f"x{number}", f"y{number}"):
                with contextlib.suppress(UnknownExecutionError):
                    engine.signal("paid", number, correlation=id, id=id)

        def run(number):
            if number % 5 == 0:
                engine.start(OUTER, f"o{number}", id=f"o{number}")
            if number % 20 == 0:
                engine.recover(OUTER, EACH)

        def cancel(number):
            where = ("o{}", "o{}/middle/deep", "e{}", "e{}/all/0")[number % 4]
            if number % 3 == 0:
                engine.cancel(where.format(number), by="ann", why="x")

        threads = [
            threading.Thread(target=attack, args=(what,))
            for what in (signal, signal, cancel, run, run)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        until(lambda: set(engine.journal.counts()) <= {"completed", "compensated"}, seconds=20)
        assert failures == []
        assert sum(engine.journal.counts().values()) == count * 7
        for row in engine.list():
            kinds = [type(event) for event in engine.status(row.id).events]
            assert kinds.count(SignalReceived) <= 1
        until(lambda: not engine._core.live)
        assert not engine._parking._due
        assert not engine._parking._awaited
        assert not engine._parking._taking
    sound(place)


def test_a_new_attempt_after_a_wait_has_an_execution_of_its_own(place):
    inner = Saga("in", await_event("paid", timeout=0.1))
    saga = Saga("s", sub_saga(inner, retry=Retry(2, wait=0.05)), step(act, act, name="z"))
    with Engine(place) as engine:
        answer = engine.start(saga, id="e")
        until(lambda: "e/in//2" in statuses(engine))
        engine.signal("paid", to="e/in//2")
        assert answer.result(5).status == "completed"
        begun = [e.child for e in engine.status("e").events if isinstance(e, StepStarted)]
        assert begun[:2] == ["e/in", "e/in//2"]
