"""The Engine and the world outside: signals, cancellation, and waits that outlive a process."""

from __future__ import annotations

import threading
import time

import pytest
from patience import until

from sagakit import Engine, Saga, await_event, pivot, step, timer
from sagakit.errors import (
    CancellationError,
    CodecError,
    DefinitionChangedError,
    MigrationError,
    ResolutionError,
    SignalError,
    UnknownExecutionError,
)
from sagakit.journal.audit import verify


def act():
    pass


def order(ctx):
    return ctx.input


SAGA = Saga("s", step(act, act), await_event("paid", correlate=order), step(act, act, name="last"))


def waiting(engine, saga, input=None, id="one"):
    """Start an execution and let it come to its wait."""
    future = engine.start(saga, input, id=id)
    until(lambda: rests(engine, id))
    return future


def rests(engine, id):
    try:
        return engine.status(id).status == "waiting"
    except UnknownExecutionError:
        return False  # its start is not journalled yet


def test_a_signal_to_an_execution_is_journalled_and_ends_its_wait(path):
    with Engine(path) as engine:
        future = waiting(engine, SAGA, "7")
        execution = engine.signal("paid", {"sum": 1}, to="one")
        assert "SignalReceived" in [type(event).__name__ for event in execution.events]
        assert future.result(5).results["paid"] == {"sum": 1}
        assert engine.status("one").status == "completed"


def test_a_signal_finds_its_execution_by_what_they_have_in_common(path):
    with Engine(path) as engine:
        futures = {number: waiting(engine, SAGA, number, f"e{number}") for number in "123"}
        engine.signal("paid", "two", correlation="2")
        assert futures["2"].result(5).results["paid"] == "two"
        assert engine.status("e1").status == engine.status("e3").status == "waiting"
        for number in "13":
            engine.signal("paid", correlation=number)
        assert futures["1"].result(5).status == "completed"
        with pytest.raises(UnknownExecutionError, match="waits for the event 'paid' of '2'"):
            engine.signal("paid", correlation="2")


def test_a_signal_with_the_same_id_is_delivered_once():
    saga = Saga("s", await_event("paid", name="first"), await_event("paid", name="second"))
    with Engine() as engine:
        future = waiting(engine, saga)
        engine.signal("paid", 1, to="one", id="letter")
        execution = engine.signal("paid", 1, to="one", id="letter")
        assert execution.status == "waiting"
        assert not future.done()
        engine.signal("paid", 2, to="one", id="another")
        assert dict(future.result(5).results) == {"first": 1, "second": 2}


def test_what_cannot_be_delivered_is_refused_and_nothing_is_recorded(path):
    with Engine(path) as engine:
        waiting(engine, SAGA, "7")
        before = engine.status("one").events
        with pytest.raises(UnknownExecutionError, match="nobody"):
            engine.signal("paid", to="nobody")
        with pytest.raises(SignalError, match="never waits for 'payed'"):
            engine.signal("payed", to="one")
        with pytest.raises(CodecError, match="its payload"):
            engine.signal("paid", object(), to="one")
        for address in ({}, {"to": "one", "correlation": "7"}):
            with pytest.raises(SignalError, match="give either to= or correlation="):
                engine.signal("paid", **address)
        assert engine.status("one").events == before
        engine.signal("paid", to="one")
        until(lambda: engine.status("one").status == "completed")
        with pytest.raises(SignalError, match="has ended: it is completed"):
            engine.signal("paid", to="one")


def test_a_wait_outlives_the_process_and_a_timer_keeps_its_time(path):
    saga = Saga("s", step(act, act), timer("cool", 0.3), await_event("paid"))
    began = time.time()
    with Engine(path) as engine:
        waiting(engine, saga)
        engine.close(drain=False)
    with Engine(path) as engine:
        assert engine.recover(saga) == []  # there is nothing to do before its time has come
        with pytest.raises(SignalError, match="never waits"):
            engine.signal("x", to="one")
        engine.signal("paid", 5, to="one")
        execution = engine.run(saga, id="one")
    assert execution.status == "completed"
    assert 0.3 <= time.time() - began < 3
    assert [type(e).__name__ for e in execution.events].count("WaitStarted") == 2


def test_before_recovery_a_signal_says_what_to_do(path):
    with Engine(path) as engine:
        waiting(engine, SAGA, "7")
        engine.close(drain=False)
    with (
        Engine(path) as engine,
        pytest.raises(SignalError, match="does not run here; recover it first"),
    ):
        engine.signal("paid", to="one")


def test_the_list_tells_what_waits_and_the_counts_agree(path):
    for engine in (Engine(), Engine(path)):
        with engine:
            future = waiting(engine, SAGA, "7")
            assert engine.run(Saga("t", step(act, act))).status == "completed"
            assert [row.id for row in engine.list(status="waiting")] == ["one"]
            assert engine.list(status="running") == []
            assert repr(engine) == "<Engine: 1 completed, 1 waiting>"
            engine.signal("paid", to="one")
            future.result(5)
            assert engine.list(status="waiting") == []
            assert engine.journal.counts() == {"completed": 2}


def test_a_changed_definition_is_refused_for_what_waits_too(path):
    with Engine(path) as engine:
        waiting(engine, SAGA, "7")
        engine.close(drain=False)
    changed = Saga("s", step(act, act), await_event("paid", correlate=order))
    with Engine(path) as engine, pytest.raises(DefinitionChangedError, match="step 'last' is gone"):
        engine.recover(changed)


def test_closing_does_not_wait_for_the_world(path):
    begin = time.monotonic()
    with Engine(path) as engine:
        future = waiting(engine, SAGA, "7")
    assert time.monotonic() - begin < 3
    assert "recover" in str(future.exception())


def test_what_waits_gives_its_place_to_others():
    with Engine(concurrency=1) as engine:
        future = waiting(engine, SAGA, "7")
        assert engine.run(Saga("t", step(act, act))).status == "completed"
        engine.signal("paid", to="one")
        assert future.result(5).status == "completed"
        assert engine.run(Saga("t", step(act, act))).status == "completed"


def test_many_signals_from_many_threads_reach_their_executions(path):
    with Engine(path) as engine:
        futures = [engine.start(SAGA, str(number), id=f"e{number}") for number in range(40)]
        for number in range(40):
            until(lambda number=number: rests(engine, f"e{number}"))

        def send(part):
            for number in range(part, 40, 4):
                engine.signal("paid", number, correlation=str(number))

        threads = [threading.Thread(target=send, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [future.result(5).results["paid"] for future in futures] == list(range(40))


def test_a_signal_during_the_last_commit_finds_that_it_has_ended(path, monkeypatch):
    gate, committing = threading.Event(), threading.Event()
    saga = Saga("s", await_event("paid"), step(act, act), step(act, act, name="b", after="paid"))
    with Engine(path) as engine:
        waiting(engine, saga)
        append = engine.journal.append

        def slowly(batch, rests=None):
            if any(type(event).__name__ == "ExecutionCompleted" for event in batch[-1][2]):
                committing.set()
                gate.wait(5)
            append(batch, rests)

        monkeypatch.setattr(engine.journal, "append", slowly)
        blocker = engine.start(Saga("t", step(lambda: committing.wait(5), name="x")))
        engine.signal("paid", to="one")
        assert committing.wait(5)
        threading.Timer(0.1, gate.set).start()
        with pytest.raises(SignalError, match="has ended: it is completed"):
            engine.signal("paid", to="one")
        blocker.result(5)


# -- called off -----------------------------------------------------------------------------


def test_an_operator_calls_it_off(path):
    with Engine(path) as engine:
        future = waiting(engine, SAGA, "7")
        execution = engine.cancel("one", by="ann", why="changed her mind")
        assert execution.status == "compensated"
        assert future.result(5).status == "compensated"
        assert engine.status("one").cancellation.by == "ann"


def test_even_when_every_place_is_taken():
    gate = threading.Event()

    def blocks():
        gate.wait(5)

    with Engine(concurrency=1) as engine:
        future = engine.start(Saga("s", step(blocks, act), step(act, act)), id="one")
        threading.Timer(0.05, gate.set).start()
        assert engine.cancel("one", by="ann", why="late").status == "compensated"
        assert future.result(5).status == "compensated"


def test_what_a_crash_left_can_be_called_off_without_recovering_it_first(path):
    with Engine(path) as engine:
        waiting(engine, SAGA, "7")
        engine.close(drain=False)
    with Engine(path) as engine:
        with pytest.raises(ResolutionError, match="definition of saga 's'"):
            engine.cancel("one", by="ann", why="x")
        engine.register(SAGA)
        assert engine.cancel("one", by="ann", why="x").status == "compensated"


def test_too_late_is_refused_with_the_reason(path):
    saga = Saga("s", pivot(act), await_event("paid"))
    with Engine(path) as engine:
        waiting(engine, saga)
        with pytest.raises(CancellationError, match="its pivot 'act' is succeeded"):
            engine.cancel("one", by="ann", why="x")
        engine.signal("paid", to="one")
        until(lambda: engine.status("one").status == "completed")
        with pytest.raises(CancellationError, match="it is completed"):
            engine.cancel("one", by="ann", why="x")
        with pytest.raises(UnknownExecutionError):
            engine.cancel("two", by="ann", why="x")
        with pytest.raises(CancellationError, match="say who decides"):
            engine.cancel("one", by=" ", why="x")


# -- wrong requests -------------------------------------------------------------------------


def _ship():
    pass


WAITS = Saga("waits", await_event("paid", correlate=lambda ctx: ctx.input), step(_ship))


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_a_correlation_that_is_a_number_is_compared_as_the_wait_s_own_is(tmp_path, where):
    with Engine(tmp_path / "j.db" if where == "disk" else None) as engine:
        engine.run(WAITS, 5, id="five", until_rest=True)
        engine.signal("paid", correlation=5)
        assert engine.run(WAITS, 5, id="five").status == "completed"
    if where == "disk":
        assert verify(tmp_path / "j.db").sound


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": 7},
        {"to": "x", "id": 7},
        {"to": "x", "id": ""},
        {"to": "x", "id": "\ud800"},
        {"correlation": ["c"]},
        {"correlation": "c", "keep": "5"},
        {"correlation": "c", "keep": True},
        {"to": "x", "by": 5},
        {"event": 5, "to": "x"},
        {"event": "", "to": "x"},
        {},
    ],
)
def test_a_signal_that_could_not_be_stored_is_refused_with_its_cure(wrong):
    with Engine() as engine:
        engine.run(WAITS, "c", id="x", until_rest=True)
        before = engine.status("x").events
        with pytest.raises(SignalError, match=r"give|say|seconds"):
            engine.signal(**{"event": "paid", **wrong})
        assert engine.status("x").events == before


@pytest.mark.parametrize("who", [5, None, "", " ", "\ud800"])
def test_an_operator_without_words_is_refused(who):
    with Engine() as engine:
        engine.run(WAITS, "c", id="x", until_rest=True)
        for wrong in ({"by": who, "why": "because"}, {"by": "ann", "why": who}):
            with pytest.raises(CancellationError, match="say who decides"):
                engine.cancel("x", **wrong)
            with pytest.raises(ResolutionError, match="say who decides"):
                engine.resolve("x", "retry", **wrong)
            with pytest.raises(MigrationError, match="say who decides"):
                engine.migrate("x", to=WAITS, **wrong)
