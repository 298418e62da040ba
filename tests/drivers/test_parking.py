"""Executions that wait cost a row: parked, woken once, reached by signals, over restarts."""

from __future__ import annotations

import gc
import threading
import time

import pytest
from patience import until

from sagakit import Engine, Saga, await_event, for_each, pivot, step, sub_saga, timer
from sagakit.drivers.local.inbox import Inbox
from sagakit.errors import (
    CancellationError,
    DefinitionChangedError,
    EngineClosedError,
    SagaError,
    SignalError,
    TerminalError,
    UnknownExecutionError,
)
from sagakit.events import ExecutionStarted, SignalReceived, StepSucceeded, WaitStarted
from sagakit.journal import mail
from sagakit.journal.audit import verify
from sagakit.journal.base import Post, Rest
from sagakit.journal.sqlite import SqliteJournal


def act():
    pass


def order(ctx):
    return ctx.input


PAID = Saga("s", step(act, act), await_event("paid", correlate=order), step(act, act, name="last"))
FAR = Saga("far", step(act, act), timer("cool", 30 * 86400), step(act, act, name="last"))


def counts(engine, **wanted):
    until(lambda: engine.journal.counts() == wanted)


def rests(engine, id, event):
    """Wait until an execution waits for this event, and nobody is in memory."""
    until(lambda: id in [row.id for row in engine.list(status="waiting")])
    until(lambda: event in engine.status(id).waiting_for and not engine._core.live)


def reopened(engine, path, *sagas):
    """The engine again, after a restart if its journal outlives one."""
    if path is None:
        return engine
    engine.close(drain=False)
    again = Engine(path)
    again.recover(*sagas)
    return again


# -- nothing stays --------------------------------------------------------------------------


def test_what_waits_is_in_memory_no_more_and_its_answer_only_if_somebody_wants_it(place):
    with Engine(place) as engine:
        kept = engine.start(PAID, "kept", id="kept")
        heard = []
        engine.start(PAID, "heard", id="heard").add_done_callback(heard.append)
        engine.start(PAID, "dropped", id="dropped")
        engine.start(FAR, id="far")
        counts(engine, waiting=4)
        until(lambda: not engine._core.live)
        gc.collect()
        assert sorted(engine._parking._answers) == ["heard", "kept"]
        assert list(engine._parking._due) == ["far"]
        assert engine._parking._awaited == {}
        for name in ("kept", "heard", "dropped"):
            engine.signal("paid", name, correlation=name)
        assert kept.result(5).results["paid"] == "kept"
        until(lambda: heard)
        assert heard[0].result().results["paid"] == "heard"
        counts(engine, completed=3, waiting=1)
        assert not engine._core.heard


def test_a_caller_who_waits_is_answered_though_another_process_of_it_was_dropped(place):
    with Engine(place) as engine:
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(engine.run(PAID, "7", id="one")))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        counts(engine, waiting=1)
        late = engine.start(PAID, "7", id="one")
        time.sleep(0.05)
        engine.signal("paid", 1, to="one")
        assert late.result(5).status == "completed"
        for thread in threads:
            thread.join(5)
        assert [answer.status for answer in answers] == ["completed"] * 3


def test_a_second_caller_of_what_waits_takes_no_place(place):
    with Engine(place, concurrency=1) as engine:
        first = engine.start(PAID, "7", id="one")
        counts(engine, waiting=1)
        second = engine.start(PAID, "7", id="one")
        assert engine.run(Saga("t", step(act))).status == "completed"
        engine.signal("paid", correlation="7")
        assert first.result(5).status == second.result(5).status == "completed"


def test_timers_wake_in_time_each_once_whoever_else_wakes_them(place):
    begun = []
    saga = Saga(
        "s", timer("cool", 0.15), step(lambda ctx: begun.append(ctx.execution_id), name="x")
    )
    with Engine(place) as engine:
        at = time.time()
        answers = [engine.start(saga, id=f"e{number}") for number in range(50)]
        while time.time() < at + 0.3:
            for number in range(0, 50, 7):
                engine.start(saga, id=f"e{number}")
        assert all(answer.result(5).status == "completed" for answer in answers)
        counts(engine, completed=50)
        assert engine._parking._due == {}
    assert sorted(begun) == sorted(f"e{number}" for number in range(50))


def test_a_wait_with_a_timeout_ends_by_whichever_comes_first_and_leaves_no_entry(place):
    saga = Saga("s", await_event("paid", correlate=order, timeout=0.2, on_timeout="continue"))
    with Engine(place) as engine:
        early, late = engine.start(saga, "early"), engine.start(saga, "late")
        counts(engine, waiting=2)
        engine.signal("paid", 1, correlation="early")
        assert early.result(5).results == {"paid": 1}
        assert len(engine._parking._due) == 1
        assert late.result(5).results == {"paid": None}
        assert engine._parking._due == {}
        with pytest.raises(UnknownExecutionError):
            engine.signal("paid", correlation="late")


def test_a_deadline_wakes_what_waits(place):
    saga = Saga("s", step(act, act), await_event("paid"), deadline=0.1)
    with Engine(place) as engine:
        assert engine.start(saga).result(5).status == "compensated"


def test_the_heap_is_rebuilt_when_most_of_it_is_stale():
    with Engine() as engine:
        parking = engine._parking
        for number in range(3000):
            parking.sleep(f"e{number}", 9e9 + number)
        for number in range(2999):
            parking.ended(f"e{number}")
        assert len(parking._heap) < 1100
        parking.sleep("e2999", 9e9 + 2999)
        assert list(parking._due) == ["e2999"]
        parking._due.clear()


# -- after a restart ------------------------------------------------------------------------


def leave(path, saga, id, began, wake_at, correlation=None):
    """What an engine left that is gone: an execution that waits at its second step."""
    journal = SqliteJournal(path)
    journal.define(saga.fingerprint, saga.name, saga.version, saga.shape)
    name = saga.plan.names[1]
    events = [
        ExecutionStarted(saga.name, saga.version, saga.fingerprint, id, correlation, began),
        *_did(saga.plan.names[0], began),
        WaitStarted(name, began, saga.plan.waits[1].event, correlation, wake_at),
    ]
    journal.append([(id, 0, events)], {id: Rest(wake_at)})
    journal.close()


def _did(name, at):
    from sagakit.events import StepStarted

    return [StepStarted(name, 1, at), StepSucceeded(name, 1, at)]


def test_a_timer_of_thirty_days_ends_on_its_day_over_a_restart(path):
    now, month = time.time(), 30 * 86400.0
    leave(path, FAR, "over", now - month - 1, now - 1)
    leave(path, FAR, "soon", now - month, now + 0.4)
    leave(path, FAR, "later", now, now + month)
    with Engine(path) as engine:
        assert [(e.id, e.status) for e in engine.recover(FAR)] == [("over", "completed")]
        assert engine.run(FAR, id="soon").status == "completed"
        assert time.time() >= now + 0.4
        assert engine.status("later").status == "waiting"
        assert engine.recover(FAR) == []


def test_recovery_reads_no_events_of_what_only_waits(path, monkeypatch):
    now = time.time()
    for number in range(5):
        leave(path, FAR, f"e{number}", now, now + 1000)
    with Engine(path) as engine:
        monkeypatch.setattr(engine.journal, "_events", lambda *_: pytest.fail("it was read"))
        assert engine.recover(FAR) == []
        assert len(engine._parking._due) == 5
        assert engine.recover() == []


def test_recovery_still_refuses_what_waits_under_a_definition_that_is_not_known(path):
    leave(path, FAR, "one", time.time(), time.time() + 1000)
    changed = Saga("far", step(act, act), timer("cool", 5))
    with Engine(path) as engine, pytest.raises(DefinitionChangedError, match="'last' is gone"):
        engine.recover(changed)


def test_signals_and_operators_reach_what_was_never_recovered(path):
    with Engine(path) as engine:
        for name in ("to", "correlated", "cancelled"):
            engine.run(PAID, name, id=name, until_rest=True)
    with Engine(path, sagas=[PAID]) as engine:
        engine.signal("paid", 1, to="to")
        engine.signal("paid", 2, correlation="correlated")
        assert engine.cancel("cancelled", by="ann", why="x").status == "compensated"
        counts(engine, completed=2, compensated=1)
        with pytest.raises(SignalError, match="has ended: it is compensated"):
            engine.signal("paid", to="cancelled")
        with pytest.raises(UnknownExecutionError):
            engine.signal("paid", correlation="cancelled")
    with Engine(path) as engine:
        assert engine.recover(PAID) == []


def test_closing_waits_for_what_a_signal_has_set_going(path):
    saga = Saga("s", await_event("paid"), step(lambda: time.sleep(0.2), name="slow"))
    with Engine(path) as engine:
        engine.run(saga, id="one", until_rest=True)
        engine.signal("paid", to="one")
    with Engine(path, sagas=[saga]) as engine:
        assert engine.status("one").status == "completed"


def test_closing_tells_who_still_waits_for_an_end(place):
    with Engine(place) as engine:
        answer = engine.start(PAID, "7")
        counts(engine, waiting=1)
    with pytest.raises(EngineClosedError, match="recover"):
        answer.result(5)


# -- who has waited longest -----------------------------------------------------------------


def test_the_one_that_has_waited_longest_gets_the_signal_over_a_restart_too(place):
    def first(ctx):
        return "shared"

    saga = Saga(
        "s",
        await_event("go", name="gate"),
        await_event("paid", correlate=first),
        step(act, name="last"),
    )
    engine = Engine(place)
    try:
        for id in ("a", "b", "c"):
            engine.run(saga, id=id, until_rest=True)
        for id in ("b", "c", "a"):  # not in the order of their start
            engine.signal("go", to=id)
            until(lambda id=id: "paid" in engine.status(id).waiting_for)
        engine = reopened(engine, place, saga)
        reached = [engine.signal("paid", n, correlation="shared").id for n in range(3)]
        assert reached == ["b", "c", "a"]
        with pytest.raises(UnknownExecutionError):
            engine.signal("paid", correlation="shared")
    finally:
        engine.close()


def test_a_wait_beside_steps_that_run_is_found_too_and_so_is_one_after_a_pivot(place):
    gate = threading.Event()
    saga = Saga(
        "s",
        pivot(act, name="go"),
        step(lambda: gate.wait(5) and None, name="busy", after="go"),
        await_event("paid", correlate=order, after="go"),
    )
    with Engine(place) as engine:
        answer = engine.start(saga, "7", id="one")
        until(lambda: engine.list() and "busy" in engine.status("one").begun)
        assert engine.signal("paid", 1, correlation="7").id == "one"
        gate.set()
        assert answer.result(5).results["paid"] == 1
        with pytest.raises(CancellationError):
            engine.cancel("one", by="ann", why="x")


def test_what_is_called_off_waits_for_no_signal(place):
    with Engine(place) as engine:
        engine.run(PAID, "7", id="off", until_rest=True)
        assert engine.cancel("off", by="ann", why="x").status == "compensated"
        with pytest.raises(UnknownExecutionError):
            engine.signal("paid", correlation="7")


# -- what is stuck, and still waits ---------------------------------------------------------


def fail():
    raise ValueError


STUCK = Saga(
    "stuck",
    pivot(act, name="go"),
    step(act, name="bad", after="go", when=fail),
    await_event("paid", correlate=order, after="go"),
)
SKIP = {"resolution": "skip", "by": "ann", "why": "done by hand"}


@pytest.mark.parametrize("address", [{"to": "one"}, {"correlation": "8"}, {"keep": 60}])
def test_a_signal_to_what_is_stuck_is_recorded_and_taken_once_that_is_resolved(place, address):
    if "keep" in address:
        address = {**address, "correlation": "8"}
    engine = Engine(place)
    try:
        assert engine.run(STUCK, "8", id="one").status == "stuck"
        engine = reopened(engine, place, STUCK)
        reached = engine.signal("paid", {"sum": 7}, id="x", by="bob", **address)
        assert (reached.id, reached.status) == ("one", "stuck")
        assert [row.status for row in engine.list()] == ["stuck"]
        assert engine.signal("paid", {"sum": 7}, id="x", **address).id == "one"  # sent again
        assert not engine._core.live
        engine = reopened(engine, place, STUCK)
        resolved = engine.resolve("one", **SKIP)
        assert (resolved.status, resolved.results["paid"]) == ("completed", {"sum": 7})
        received = [e for e in resolved.events if isinstance(e, SignalReceived)]
        assert [(e.id, e.by) for e in received] == [("x", "bob")]
    finally:
        engine.close()
    assert place is None or verify(place).sound


def test_a_second_signal_is_for_another_once_the_stuck_one_has_its_own(place):
    with Engine(place) as engine:
        for id in ("one", "two"):
            assert engine.run(STUCK, "8", id=id).status == "stuck"
        assert [engine.signal("paid", n, correlation="8").id for n in (1, 2)] == ["one", "two"]
        with pytest.raises(UnknownExecutionError):
            engine.signal("paid", correlation="8")
        assert engine.resolve("two", **SKIP).results["paid"] == 2
        assert engine.resolve("one", **SKIP).results["paid"] == 1


def test_what_was_abandoned_waits_no_more(place):
    with Engine(place, sagas=[STUCK]) as engine:
        engine.run(STUCK, "8", id="one")
        engine.signal("paid", to="one")
        engine.run(STUCK, "8", id="two")
        for id in ("one", "two"):
            engine.resolve(id, "abandon", by="ann", why="x")
        with pytest.raises(UnknownExecutionError):
            engine.signal("paid", correlation="8")
        with pytest.raises(SignalError, match="has ended: it is abandoned"):
            engine.signal("paid", to="one")
        assert not engine.journal.waits()


def test_what_is_stuck_and_waits_takes_the_signal_also_after_it_went_on(place):
    with Engine(place) as engine:
        assert engine.run(STUCK, "8", id="one").status == "stuck"
        assert engine.resolve("one", **SKIP).status == "waiting"
        assert engine.signal("paid", correlation="8").id == "one"
        counts(engine, completed=1)


def test_another_process_reaches_what_is_stuck(path):
    with Engine(path) as engine:
        engine.run(STUCK, "8", id="one")
        mail.post(path, Post("p1", "paid", {"n": 1}, correlation="8"))
        assert outcome(path, "p1") == ("delivered", "one")
    mail.post(path, Post("p2", "paid", {"n": 2}, to="one"))
    with Engine(path) as engine:
        assert engine.recover(STUCK) == []
        engine.run(PAID, "7", id="two", until_rest=True)
        assert outcome(path, "p2") == ("delivered", "one")
        assert engine.resolve("one", **SKIP).results["paid"] == {"n": 1}


def test_a_definition_that_is_not_known_is_asked_for(path):
    with Engine(path) as engine:
        engine.run(STUCK, "8", id="one")
    with (
        Engine(path) as engine,
        pytest.raises(SignalError, match="'stuck' is not known here"),
    ):
        engine.signal("paid", to="one")


def test_what_is_stuck_inside_another_one_takes_its_signal_and_both_go_on(place):
    outer = Saga("outer", sub_saga(STUCK, name="tail", pivot=True), step(act, name="z"))
    engine = Engine(place)
    try:
        assert engine.run(outer, "8", id="e").status == "stuck"
        engine = reopened(engine, place, outer)
        assert engine.signal("paid", 5, correlation="8").id == "e/tail"
        assert engine.signal("paid", 6, to="e/tail").status == "stuck"
        assert {row.status for row in engine.list()} == {"stuck"}
        assert engine.resolve("e", **SKIP).status == "completed"
        assert engine.status("e/tail").status == "abandoned"
        assert engine.run(outer, "8", id="f").status == "stuck"
        engine.signal("paid", 5, to="f/tail")
        assert engine.resolve("f/tail", **SKIP).results["paid"] == 5
        assert engine.status("f").status == "completed"
    finally:
        engine.close()


@pytest.mark.parametrize("fails", [False, True], ids=["to the end", "and back"])
def test_what_has_parts_is_in_memory_no_more_while_none_of_them_is_under_way(place, fails):
    done = []

    def note(ctx):
        done.append(ctx.idempotency_key)

    def ship():
        if fails:
            raise TerminalError("no")

    def lines():
        return ["a", "b"]

    inner = Saga("inner", step(note, note, name="x"))
    saga = Saga(
        "parts",
        sub_saga(inner),
        for_each("lines", lines, inner),
        await_event("paid", correlate=order),
        sub_saga(Saga("slow", timer("cool", 0.2)), name="cool"),
        await_event("packed", correlate=order),
        step(ship),
    )
    steps = ["e/inner/x", "e/lines/0/x", "e/lines/1/x"]
    engine = Engine(place, sagas=[saga])
    try:
        answer = engine.start(saga, "7", id="e")
        for event in ("paid", "packed"):
            rests(engine, "e", event)
            engine = reopened(engine, place, saga)
            engine.signal(event, correlation="7")
        ended = engine.run(saga, "7", id="e")
        assert ended.status == ("compensated" if fails else "completed")
        assert sorted(ended.children) == ["cool", "inner", "lines"]
        if place is None:
            assert answer.result(5).status == ended.status
    finally:
        engine.close()
    sides = ["action", "compensation"] if fails else ["action"]
    assert sorted(done) == sorted(f"{step}/{side}" for step in steps for side in sides)


# -- what waits inside, and who is asked ----------------------------------------------------


def test_a_signal_to_the_outer_execution_is_answered_with_who_waits_inside(place):
    inner = Saga("in", await_event("go"))
    one = Saga("s", sub_saga(inner), step(act, act, name="last"))
    many = Saga("m", for_each("all", lambda: [1, 2, 3, 4], inner))
    with Engine(place) as engine:
        engine.run(one, id="R", until_rest=True)
        engine.run(many, id="M", until_rest=True)
        with pytest.raises(SignalError, match=r"'go' itself; 'R/in' inside it does: .* to='R/in'"):
            engine.signal("go", to="R")
        with pytest.raises(SignalError, match=r"'M/all/0' and 'M/all/1' .* do, as do 2 more: "):
            engine.signal("go", to="M")
        with pytest.raises(SignalError, match=r"'R' of saga 's' never waits for 'gone'$"):
            engine.signal("gone", to="R")
        engine.signal("go", to="R/in")
        until(lambda: engine.status("R").status == "completed")
        later = Saga("l", await_event("first"), sub_saga(inner))
        engine.run(later, id="L", until_rest=True)
        with pytest.raises(SignalError, match=r"a saga within it, 'in', waits for .* has begun"):
            engine.signal("go", to="L")


# -- signals that come early ----------------------------------------------------------------


def test_a_signal_that_comes_early_is_kept_and_taken_once_at_once(place):
    engine = Engine(place)
    try:
        assert engine.signal("paid", {"sum": 7}, correlation="7", id="x", keep=60) is None
        assert engine.signal("paid", {"sum": 7}, correlation="7", id="x", keep=60) is None
        engine = reopened(engine, place, PAID)
        execution = engine.run(PAID, "7", id="one")
        assert execution.results["paid"] == {"sum": 7}
        received = [e for e in execution.events if isinstance(e, SignalReceived)]
        assert [(e.id, e.correlation) for e in received] == [("x", "7")]
        # a second one with this correlation waits, and the same signal again is not for it
        engine.run(PAID, "7", id="two", until_rest=True)
        assert engine.signal("paid", {"sum": 7}, correlation="7", id="x", keep=60).id == "one"
        engine = reopened(engine, place, PAID)
        assert engine.signal("paid", {"sum": 7}, correlation="7", id="x", keep=60).id == "one"
        assert engine.status("two").status == "waiting"
        assert engine.signal("paid", correlation="7", id="y", keep=60).id == "two"
        until(lambda: engine.status("two").status == "completed")
    finally:
        engine.close()


def test_letters_are_taken_in_their_order_one_by_each_wait(place):
    saga = Saga(
        "s",
        await_event("paid", name="first", correlate=order),
        await_event("paid", name="second", correlate=order),
    )
    with Engine(place) as engine:
        for number in (1, 2, 3):
            engine.signal("paid", number, correlation="7", keep=60)
        assert dict(engine.run(saga, "7").results) == {"first": 1, "second": 2}
        assert engine.run(PAID, "7").results["paid"] == 3


def test_two_waits_that_begin_before_the_first_is_journalled_share_no_letter(path, monkeypatch):
    gate, busy = threading.Event(), threading.Event()
    saga = Saga("s", await_event("paid", correlate=order))
    with Engine(path) as engine:
        engine.signal("paid", 1, correlation="7", keep=60)
        blocker = engine.start(Saga("t", step(lambda: busy.wait(5) and None, name="x")))
        until(lambda: engine.list() and engine._core._in_flight)
        append = engine.journal.append

        def slowly(batch, rests=None):
            gate.wait(5)
            append(batch, rests)

        monkeypatch.setattr(engine.journal, "append", slowly)
        for id in ("one", "two"):  # commits go to a thread, since an action is under way
            engine.start(saga, "7", id=id)
        until(lambda: {"one", "two"} <= set(engine._core.live))
        gate.set()
        counts(engine, running=1, completed=1, waiting=1)
        busy.set()
        blocker.result(5)


def test_a_letter_that_has_expired_is_not_taken_and_is_removed(place):
    with Engine(place) as engine:
        engine.signal("paid", 1, correlation="7", keep=0.05)
        time.sleep(0.06)
        assert engine.run(PAID, "7", until_rest=True).status == "waiting"
        assert engine.journal.expire(time.time()) is None
        assert engine.journal.letters("paid", "7", 0.0) == []


def test_a_letter_that_was_kept_while_a_crash_lost_its_delivery_is_delivered_by_recovery(path):
    from sagakit.journal.base import Letter

    with Engine(path) as engine:
        engine.run(PAID, "7", id="one", until_rest=True)
        engine.journal.keep(Letter("paid", "7", "x", time.time(), time.time() + 60, 5))
    with Engine(path) as engine:
        assert [e.results["paid"] for e in engine.recover(PAID)] == [5]


@pytest.mark.parametrize("keep", [0, -1, float("inf"), float("nan")])
def test_seconds_to_keep_a_signal_are_a_number_and_only_for_a_correlation(keep):
    with Engine() as engine:
        with pytest.raises(SignalError, match="keep= is a number of seconds"):
            engine.signal("paid", correlation="7", keep=keep)
        with pytest.raises(SignalError, match="keep= is a number of seconds"):
            engine.signal("paid", to="one", keep=1)


# -- from another process -------------------------------------------------------------------


def outcome(path, id):
    found = []
    until(lambda: (found.append(mail.outcome(path, id)), found[-1][0])[1])
    return found[-1]


def test_a_posted_signal_is_delivered_soon_whether_it_waits_in_memory_or_not(path):
    with Engine(path) as engine:
        answer = engine.start(PAID, "7", id="one")
        counts(engine, waiting=1)
        began = time.monotonic()
        mail.post(path, Post("p1", "paid", {"n": 1}, correlation="7"))
        assert answer.result(5).results["paid"] == {"n": 1}
        assert time.monotonic() - began < 1
        assert outcome(path, "p1") == ("delivered", "one")
        mail.post(path, Post("p1", "paid", {"n": 1}, correlation="7"))  # the same one again
        engine.run(PAID, "7", id="two", until_rest=True)
        time.sleep(0.3)
        assert engine.status("two").status == "waiting"


def test_what_cannot_be_delivered_is_answered_with_the_reason(path):
    with Engine(path) as engine:
        engine.run(PAID, "7", id="one", until_rest=True)
        mail.post(path, Post("p1", "paid", correlation="8"))
        mail.post(path, Post("p2", "payed", to="one"))
        mail.post(path, Post("p3", to="nobody", by="ann", why="x"))
        mail.post(path, Post("p4", "paid", correlation="9", keep=1, at=time.time() - 2))
        assert "nobody" not in outcome(path, "p1")[0]
        assert "waits for the event 'paid' of '8'" in outcome(path, "p1")[0]
        assert "never waits for 'payed'" in outcome(path, "p2")[0]
        assert "nobody" in outcome(path, "p3")[0]
        assert "no engine looked at it" in outcome(path, "p4")[0]
        mail.post(path, Post("p5", "paid", 5, correlation="9", keep=60, at=time.time()))
        assert outcome(path, "p5") == ("kept", None)
        assert engine.run(PAID, "9").results["paid"] == 5


def test_a_posted_cancellation_is_carried_out(path):
    with Engine(path) as engine:
        answer = engine.start(PAID, "7", id="one")
        counts(engine, waiting=1)
        mail.post(path, Post("p1", to="one", by="ann", why="x"))
        assert answer.result(5).cancellation.by == "ann"
        assert outcome(path, "p1") == ("delivered", "one")


def stubborn(tries):
    def undo():
        tries.append("undo")
        raise TerminalError("no way back")

    def refuse():
        raise TerminalError("no")

    return Saga("stubborn", step(act, undo), step(refuse))


def test_a_posted_resolution_is_carried_out_once_whatever_becomes_of_the_answer(path, monkeypatch):
    tries = []
    saga = stubborn(tries)
    with monkeypatch.context() as patch, Engine(path) as engine:
        patch.setattr(Inbox, "_done", lambda *_: None)  # as if the process died before it answered
        engine.run(saga, id="one")
        mail.post(path, Post("p1", to="one", by="ann", why="x", resolution="retry"))
        assert outcome(path, "p1") == ("delivered", "one")  # the commit of the decision says so
        until(lambda: engine.status("one").status == "stuck" and len(tries) == 2)
    with Engine(path) as engine:
        engine.recover(saga)
        time.sleep(0.4)  # two looks
        assert len(tries) == 2
        assert [said.by for said in engine.status("one").resolutions] == ["ann"]


def test_what_was_posted_is_not_taken_for_another_decision_about_the_same_execution(path):
    with Engine(path) as engine:
        engine.run(stubborn([]), id="one")
    mail.post(path, Post("p1", to="one", by="ann", why="x", resolution="skip"))
    mail.post(path, Post("p2", to="one", by="bob", why="x"))  # a cancellation
    with Engine(path) as engine:
        engine.resolve("one", "abandon", by="ann", why="x")
    for post in ("p1", "p2"):
        assert mail.outcome(path, post)[0] != "delivered"


def both_stuck():
    def undo():
        raise TerminalError("no way back")

    def refuse():
        raise TerminalError("no")

    steps = [step(act, undo, name=name, after=[]) for name in ("a", "b")]
    return Saga("both", *steps, step(refuse, after=["a", "b"]))


@pytest.mark.parametrize(
    ("asked", "how", "decided", "delivered"),
    [
        (["b", "a"], "skip", "a", 1),  # of one step, and not of another
        ([None, "a"], "skip", "a", 0),  # nobody can tell them apart: the first that asked
        (["a", None], "skip", None, 1),  # of all, and not of one
        (["a", "a"], "skip", "a", 0),  # the second may be about what is stuck again by then
        (["a"], "abandon", None, 0),  # that is about all of them, whatever was asked
    ],
)
def test_of_what_was_posted_about_steps_the_commit_of_a_decision_marks_what_it_decides(
    path, asked, how, decided, delivered
):
    with Engine(path) as engine:
        assert engine.run(both_stuck(), id="one").status == "stuck"
    for number, name in enumerate(asked):
        post = Post(f"p{number}", to="one", by="ann", why="x", resolution=how, step=name)
        mail.post(path, post)
    with pytest.MonkeyPatch.context() as patch, Engine(path, sagas=[both_stuck()]) as engine:
        patch.setattr(Inbox, "_look", lambda *_: None)  # the decision comes from elsewhere
        engine.resolve("one", how, by="ann", why="x", step=decided)
    found = [mail.outcome(path, f"p{number}")[0] for number in range(len(asked))]
    assert found.count("delivered") == 1
    assert found[delivered] == "delivered"


def test_a_stuck_execution_keeps_the_engine_looking_until_it_is_settled(path):
    with Engine(path) as engine:
        engine.run(stubborn([]), id="one")
        until(lambda: engine._background._turning)
        engine.resolve("one", "abandon", by="ann", why="x")
        until(lambda: engine._inbox._timer is None)


def test_what_was_posted_while_nobody_looked_is_delivered_after_recovery(path):
    with Engine(path) as engine:
        engine.run(PAID, "7", id="one", until_rest=True)
    mail.post(path, Post("p1", "paid", 1, to="one"))
    with Engine(path) as engine:
        assert engine.recover(PAID) == []
        assert outcome(path, "p1") == ("delivered", "one")
        counts(engine, completed=1)


def test_nobody_looks_for_requests_where_nothing_waits(path):
    with Engine(path) as engine:
        engine.run(Saga("t", step(act)))
        assert not engine._background._turning
        engine.run(PAID, "7", id="one", until_rest=True)
        engine.signal("paid", to="one")
        counts(engine, completed=2)
        until(lambda: engine._inbox._timer is None)


# -- all at once ----------------------------------------------------------------------------


def test_threads_that_signal_cancel_run_and_recover_what_waits_harm_nothing(place):
    done = []
    saga = Saga(
        "s",
        step(act, act),
        await_event("paid", correlate=order),
        timer("cool", 0.01),
        step(lambda ctx: done.append(ctx.execution_id), name="last"),
    )
    count = 500
    failures = []
    with Engine(place, sagas=[saga]) as engine:
        for number in range(count):
            engine.run(saga, str(number), id=f"e{number}", until_rest=True)

        def attack(act):
            for number in range(count):
                try:
                    act(number)
                except (UnknownExecutionError, SignalError, CancellationError):
                    pass
                except SagaError as error:
                    failures.append(error)

        def run(number):
            if number % 5 == 0:
                engine.start(saga, str(number), id=f"e{number}")
            if number % 50 == 0:
                engine.recover(saga)

        def signal(number):
            engine.signal("paid", number, correlation=str(number), id=f"letter-{number}")

        def cancel(number):
            if number % 3 == 0:
                engine.cancel(f"e{number}", by="ann", why="x")

        threads = [
            threading.Thread(target=attack, args=(what,))
            for what in (signal, signal, cancel, run, run)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        until(lambda: sum(engine.journal.counts().values()) == count)
        until(lambda: set(engine.journal.counts()) <= {"completed", "compensated"}, 20)
        assert failures == []
        completed = [row.id for row in engine.list(status="completed")]
        assert len(set(done)) == len(done), "an execution went on twice"
        assert set(completed) <= set(done), "an execution did not go on"
        for row in engine.list():
            kinds = [type(event) for event in engine.status(row.id).events]
            assert kinds.count(SignalReceived) <= 1
        assert not engine._core.live
        assert not engine._parking._due
        assert not engine._parking._awaited
        assert not engine._parking._taking
