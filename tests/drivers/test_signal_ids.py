"""One execution takes the signal to which its sender gave an id, however often it is sent."""

from __future__ import annotations

import threading
import time

import pytest
from patience import until

from sagakit import Engine, Saga, Scenario, await_event, step
from sagakit.errors import SignalError, UnknownExecutionError
from sagakit.events import SignalReceived
from sagakit.journal import mail
from sagakit.journal.base import Post


def act():
    pass


PAID = Saga("s", await_event("paid", correlate=lambda ctx: ctx.input), step(act, name="last"))


def begin(engine, *ids, correlation="7"):
    for id in ids:
        engine.run(PAID, correlation, id=id, until_rest=True)


def reopened(engine, path):
    """The engine again, after a restart if its journal outlives one."""
    if path is None:
        return engine
    engine.close(drain=False)
    again = Engine(path)
    again.recover(PAID)
    return again


def received(engine, id):
    return [event.id for event in engine.status(id).events if isinstance(event, SignalReceived)]


def test_by_correlation_a_repeat_does_nothing_and_gives_the_one_that_took_it(place):
    engine = Engine(place)
    try:
        begin(engine, "one", "two")
        for _ in range(2):
            assert engine.signal("paid", {"sum": 1}, correlation="7", id="m").id == "one"
        until(lambda: engine.status("one").status == "completed")
        assert engine.signal("paid", {"sum": 1}, correlation="7", id="m").status == "completed"
        engine = reopened(engine, place)
        assert engine.signal("paid", {"sum": 1}, correlation="7", id="m").id == "one"
        assert engine.signal("paid", {"sum": 1}, correlation="7", id="m", keep=60).id == "one"
        assert engine.status("two").status == "waiting"
        assert received(engine, "one") == ["m"]
    finally:
        engine.close()


def test_by_execution_a_repeat_after_its_end_does_nothing(place):
    engine = Engine(place)
    try:
        begin(engine, "one")
        engine.signal("paid", 1, to="one", id="m")
        until(lambda: engine.status("one").status == "completed")
        assert engine.signal("paid", 1, to="one", id="m").status == "completed"
        engine = reopened(engine, place)
        assert engine.signal("paid", 1, to="one", id="m").status == "completed"
        with pytest.raises(SignalError, match="has ended: it is completed"):
            engine.signal("paid", 1, to="one", id="another")
    finally:
        engine.close()


def test_an_id_of_another_signal_is_refused(place):
    with Engine(place) as engine:
        begin(engine, "one", "two")
        engine.signal("paid", 1, to="one", id="m")
        taken = "the id 'm', 'paid', was taken by execution 'one'"
        for event, payload, where, what in (
            ("refunded", 1, {"to": "one"}, "event 'refunded'"),
            ("paid", True, {"to": "one"}, "payload"),
            ("paid", 1, {"to": "two"}, "execution, 'two'"),
        ):
            with pytest.raises(SignalError, match=f"{taken}; this one has another {what}"):
                engine.signal(event, payload, id="m", **where)
        assert engine.signal("paid", 2, correlation="9", id="kept", keep=60) is None
        with pytest.raises(SignalError, match=r"'kept', 'paid', is kept already; .* payload"):
            engine.signal("paid", 3, correlation="9", id="kept", keep=60)
        with pytest.raises(SignalError, match=r"is kept already; .* another correlation, '8'"):
            engine.signal("paid", 2, correlation="8", id="kept", keep=60)
        engine.signal("paid", 4, correlation="7", id="by correlation")
        with pytest.raises(SignalError, match="another correlation, '8'"):
            engine.signal("paid", 4, correlation="8", id="by correlation")


def test_a_letter_whose_signal_was_taken_elsewhere_is_for_nobody_else(place):
    engine = Engine(place)
    try:
        assert engine.signal("paid", 1, correlation="7", id="m", keep=60) is None
        begin(engine, "one", correlation="8")
        assert engine.signal("paid", 1, to="one", id="m").id == "one"
        begin(engine, "two")
        engine = reopened(engine, place)
        assert engine.status("two").status == "waiting"
    finally:
        engine.close()


def test_a_repeat_that_meets_the_commit_of_the_first_waits_for_it(tmp_path, monkeypatch):
    gate, committing = threading.Event(), threading.Event()
    with Engine(tmp_path / "sagas.db") as engine:
        begin(engine, "one", "two")
        append = engine.journal.append

        def slowly(batch, rests=None):
            if any(isinstance(event, SignalReceived) for _, _, new in batch for event in new):
                committing.set()
                gate.wait(5)
            append(batch, rests)

        monkeypatch.setattr(engine.journal, "append", slowly)
        busy = engine.start(Saga("t", step(lambda: gate.wait(5) and None, name="x")))
        until(lambda: engine._core._in_flight)
        answers = []

        def send():
            answers.append(engine.signal("paid", 1, correlation="7", id="m").id)

        threads = [threading.Thread(target=send) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert committing.wait(5)
        time.sleep(0.05)
        assert answers == []
        gate.set()
        for thread in threads:
            thread.join(5)
        busy.result(5)
        assert answers == ["one"] * 3
        assert engine.status("two").status == "waiting"


def test_what_the_journal_did_not_take_may_be_sent_again(place, monkeypatch):
    with Engine(place) as engine:
        begin(engine, "one")
        append = engine.journal.append

        def fails(batch, rests=None):
            monkeypatch.setattr(engine.journal, "append", append)
            raise OSError("the disk")

        monkeypatch.setattr(engine.journal, "append", fails)
        with pytest.raises(OSError, match="the disk"):
            engine.signal("paid", 1, to="one", id="m")
        assert received(engine, "one") == []
        assert engine.signal("paid", 1, to="one", id="m").id == "one"
        until(lambda: engine.status("one").status == "completed")


def test_another_process_that_asks_twice_is_answered_twice(tmp_path):
    path = tmp_path / "sagas.db"

    def ask(payload):
        mail.post(path, Post("m", "paid", payload, correlation="7", by="ann"))
        until(lambda: mail.outcome(path, "m")[0])
        return mail.outcome(path, "m")

    with Engine(path) as engine:
        begin(engine, "other", correlation="8")
        assert "waits for the event 'paid' of '7'" in ask(1)[0]
        begin(engine, "one", "two")
        assert ask(1) == ("delivered", "one"), "it was refused once, and so for ever"
        engine.close(drain=False)
    with Engine(path) as engine:
        engine.recover(PAID)
        assert ask(1) == ("delivered", "one")
        assert "choose another id" in ask(2)[0]
        assert engine.signal("paid", 1, correlation="7", id="m").id == "one"
        assert engine.status("two").status == "waiting"
        (came,) = (e for e in engine.status("one").events if isinstance(e, SignalReceived))
        assert came.by == "ann"


def test_the_ids_of_scenarios_and_of_signals_without_one_bind_nobody(place):
    saga = Saga("t", await_event("paid"))
    with Engine(place) as engine:
        for id in ("one", "two"):
            execution = engine.run(saga, id=id, scenario=Scenario().signal("paid", id))
            assert execution.results["paid"] == id
        begin(engine, "three")
        with pytest.raises(UnknownExecutionError, match="nobody"):
            engine.signal("paid", to="nobody", id="m")
        assert engine.signal("paid", to="three", id="m").id == "three"
