"""What an attack on the Engine found, so that it stays found."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Awaitable

import pytest

from sagakit import Engine, Retry, Saga, SagaError, arun, run, simulate, step
from sagakit.drivers.local.threads import Threads
from sagakit.errors import CodecError, EngineClosedError, JournalBusyError, JournalError
from sagakit.events import ExecutionStarted, StepStarted, StepSucceeded
from sagakit.journal.sqlite import SqliteJournal


def act():
    pass


def undo():
    pass


def leave_unfinished(path, saga, ids, result=None):
    journal = SqliteJournal(path)
    journal.define(saga.fingerprint, saga.name, saga.version, saga.shape)
    for id in ids:
        events = [ExecutionStarted(saga.name, None, saga.fingerprint, id, None, 1.0)]
        events += [StepStarted("a", 1, 1.0), StepSucceeded("a", 1, 1.0, result)]
        journal.append([(id, 0, events)])
    journal.close()


TWO = Saga("s", step(act, undo, name="a"), step(act, undo, name="b"))


def test_recovery_beside_starts_harms_neither(tmp_path):
    failures = []
    over = threading.Event()

    def start(engine, worker):
        for number in range(60):
            try:
                engine.run(TWO, id=f"{worker}-{number}")
            except SagaError as error:
                failures.append(error)

    def recover(engine):
        while not over.is_set():
            try:
                engine.recover(TWO)
            except SagaError as error:
                failures.append(error)

    with Engine(tmp_path / "j.db") as engine:
        workers = [threading.Thread(target=start, args=(engine, n)) for n in range(4)]
        recoverer = threading.Thread(target=recover, args=(engine,))
        for thread in (*workers, recoverer):
            thread.start()
        for thread in workers:
            thread.join()
        over.set()
        recoverer.join()
        assert failures == []
        assert engine.journal.counts() == {"completed": 240}


def test_two_recoveries_at_once_continue_each_execution_once(tmp_path):
    calls = []

    def slow(ctx):
        calls.append(ctx.execution_id)
        time.sleep(0.02)

    saga = Saga("s", step(act, undo, name="a"), step(slow, undo, name="b"))
    ids = [f"x{number}" for number in range(6)]
    leave_unfinished(tmp_path / "j.db", saga, ids)
    with Engine(tmp_path / "j.db") as engine:
        threads = [threading.Thread(target=engine.recover, args=(saga,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert engine.journal.counts() == {"completed": 6}
    assert sorted(calls) == ids


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt()], ids=lambda e: type(e).__name__
)
def test_an_exit_in_a_coroutine_fails_its_step_and_the_engine_lives_on(error):
    async def leave():
        raise error

    with Engine() as engine:
        execution = engine.run(Saga("s", step(act, undo), step(leave)))
        assert execution.status == "compensated"
        assert execution.error.name == type(error).__name__
        assert engine.run(TWO).status == "completed"
    assert run(Saga("s", step(leave))).status == "compensated"


def test_an_exit_in_a_condition_fails_its_step_and_the_engine_lives_on():
    def leave():
        raise SystemExit(3)

    with Engine() as engine:
        assert engine.run(Saga("s", step(act, when=leave))).status == "compensated"
        assert engine.run(TWO).status == "completed"


def test_every_start_that_races_a_close_is_answered():
    saga = Saga("s", step(lambda: time.sleep(0.002), name="a"))
    for _ in range(4):
        engine = Engine(concurrency=8)
        answers = []

        def start(engine=engine, answers=answers):
            with contextlib.suppress(EngineClosedError):
                while True:
                    answers.append(engine.start(saga))

        threads = [threading.Thread(target=start) for _ in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(0.02)
        closers = [threading.Thread(target=engine.close, kwargs={"drain": False}) for _ in range(2)]
        for thread in closers:
            thread.start()
        for thread in (*threads, *closers):
            thread.join(10)
            assert not thread.is_alive()
        for answer in answers:
            with contextlib.suppress(EngineClosedError):
                answer.result(timeout=5)


def test_an_action_that_waited_for_a_thread_too_long_does_not_begin_after_all(monkeypatch):
    monkeypatch.setattr("sagakit.drivers.local.threads._MOST", 1)
    log = []
    gate = threading.Event()
    hog = Saga("hog", step(lambda: gate.wait(10) and None, name="hog"))
    late = Saga("late", step(lambda: log.append("act"), undo, name="x", timeout=0.05))
    with Engine() as engine:
        first = engine.start(hog)
        second = engine.start(late)
        time.sleep(0.15)
        gate.set()
        assert first.result().status == "completed"
        assert second.result().status == "compensated"
        assert engine.run(TWO).status == "completed"
    assert log == []


def test_a_saga_in_a_saga_does_not_wait_for_the_place_of_its_own():
    with Engine(concurrency=1) as engine:
        outer = Saga("outer", step(lambda: engine.run(TWO).status, name="call"))
        assert engine.start(outer).result(timeout=10).results == {"call": "completed"}


def test_an_action_cannot_close_its_own_engine():
    with Engine() as engine:
        execution = engine.start(Saga("s", step(engine.close, name="close"))).result(timeout=10)
        assert execution.status == "compensated"
        assert "cannot close the engine" in execution.error.message

        async def close():
            engine.close()

        execution = engine.start(Saga("s", step(close))).result(timeout=10)
        assert "cannot close the engine" in execution.error.message


def test_a_thread_that_cannot_start_fails_one_execution_and_no_other(monkeypatch):
    real = threading.Thread.start
    broken = [True]

    def start(thread):
        if thread.name == "sagakit-action" and broken.pop() if broken else False:
            raise RuntimeError("can't start new thread")
        real(thread)

    with Engine() as engine:
        monkeypatch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            engine.run(TWO)
        assert engine.run(TWO).status == "completed"
        monkeypatch.undo()


def test_threads_that_are_closed_drop_what_has_not_begun():
    threads = Threads()
    gate, begun = threading.Event(), []
    for _ in range(300):
        threads.submit(lambda: (begun.append(1), gate.wait(10)))
    time.sleep(0.05)
    threads.close()
    count = len(begun)
    gate.set()
    time.sleep(0.1)
    assert len(begun) == count < 300


def test_one_unreadable_execution_does_not_keep_the_others_from_recovery(tmp_path):
    path = tmp_path / "j.db"
    leave_unfinished(path, TWO, ["x0", "x1", "x2"])
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE events SET body = 'nonsense' WHERE execution = 2 AND seq = 1")
        file.commit()
    with Engine(path) as engine:
        with pytest.raises(JournalError, match="'x1', event 1") as failure:
            engine.recover(TWO)
        assert failure.value.__notes__ == ["1 could not be recovered, 2 were"]
        assert engine.journal.counts() == {"completed": 2, "running": 1}


def test_a_result_that_no_longer_fits_is_named_and_can_still_be_looked_at(tmp_path):
    def typed() -> str:
        return "seven"

    saga = Saga("s", step(typed, undo, name="a"), step(act, undo, name="b"))
    leave_unfinished(tmp_path / "j.db", saga, ["one"], result=7)
    with Engine(tmp_path / "j.db", sagas=[saga]) as engine:
        with pytest.raises(CodecError, match=r"'s': step 'a' stored a result .* declares now"):
            engine.recover()
        assert engine.status("one").results == {"a": 7}


@pytest.mark.parametrize("drive", [simulate, run])
def test_what_an_action_does_to_its_input_and_to_results_stays_its_own(drive):
    seen = []

    def first(ctx):
        ctx.input.clear()
        return {"list": [1]}

    def second(ctx):
        ctx.results["first"]["list"].append(2)
        seen.append(dict(ctx.input))
        if ctx.attempt == 1:
            raise ValueError

    def third(ctx):
        seen.append(ctx.results["first"])

    saga = Saga("s", step(first), step(second, retry=Retry(2)), step(third))
    execution = drive(saga, {"n": 1})
    assert seen == [{"n": 1}, {"n": 1}, {"list": [1]}]
    assert (execution.input, execution.results["first"]) == ({"n": 1}, {"list": [1]})


def test_every_action_sees_the_context_variables_of_its_own_caller():
    variable = contextvars.ContextVar("variable", default="nobody")
    seen = []

    def plain(ctx):
        seen.append((ctx.input, variable.get()))

    async def coroutine(ctx):
        await asyncio.sleep(0)
        seen.append((ctx.input, variable.get()))

    saga = Saga("s", step(plain), step(coroutine), step(plain, name="again"))
    with Engine() as engine:

        def call(name):
            variable.set(name)
            for _ in range(10):
                engine.run(saga, name)

        threads = [threading.Thread(target=call, args=(f"caller {n}",)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(seen) == 180
    assert all(caller == value for caller, value in seen)


def test_a_plain_function_that_returns_a_coroutine_is_cancelled_by_its_timeout():
    log = []

    async def work():
        try:
            await asyncio.sleep(0.2)
            log.append("late effect")
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    def begin() -> Awaitable[int]:
        return work()

    saga = Saga("s", step(begin, undo, timeout=0.03))

    async def main():
        execution = await arun(saga)
        await asyncio.sleep(0.3)
        return execution

    assert asyncio.run(main()).status == "compensated"
    assert log == ["cancelled"]


def test_an_annotated_awaitable_is_what_it_gives():
    async def work():
        return 7

    def begin() -> Awaitable[int]:
        return work()

    assert run(Saga("s", step(begin))).results == {"begin": 7}
    assert simulate(Saga("s", step(begin))).results == {"begin": 7}


def test_an_exception_that_cannot_be_printed_is_kept_by_its_name():
    class MuteError(Exception):
        def __str__(self):
            raise RuntimeError("mute")

    def fail():
        raise MuteError

    execution = simulate(Saga("s", step(act, undo), step(fail)))
    assert execution.status == "compensated"
    assert "MuteError.__str__() failed" in execution.error.message


@pytest.mark.parametrize("drive", [simulate, run])
def test_a_condition_that_raises_beside_a_ready_step_turns_back_in_order(drive):
    undone = []

    def fail():
        raise ValueError

    saga = Saga(
        "s",
        step(act, lambda: undone.append("z"), name="z"),
        step(act, undo, name="a", after="z", when=fail),
        step(act, undo, name="b", after="z"),
    )
    execution = drive(saga)
    assert execution.status == "compensated"
    assert execution.states == {"z": "compensated", "a": "failed", "b": "pending"}
    assert undone == ["z"]


def test_the_error_is_the_one_that_turned_the_execution_back():
    def silent():
        raise TimeoutError

    def fail():
        raise ValueError("the reason")

    saga = Saga("s", step(silent, undo, reconcile=lambda: True), step(fail))
    execution = simulate(saga)
    assert (execution.failed_step, execution.error.message) == ("fail", "the reason")
    cured = simulate(Saga("s", step(silent, undo, reconcile=lambda: True)))
    assert cured.status == "completed"
    assert cured.error is None
    late = simulate(Saga("s", step(lambda: asyncio.sleep(9), undo, name="slow"), deadline=1))
    assert (
        repr(late) == "<Execution of 's': compensated, 1 step, its deadline passed, 1 compensated>"
    )


def test_a_link_to_a_journal_is_the_same_journal(tmp_path):
    (tmp_path / "link.db").symlink_to(tmp_path / "j.db")
    with Engine(tmp_path / "j.db"), pytest.raises(JournalBusyError):
        Engine(tmp_path / "link.db")


def test_a_journal_that_was_deleted_while_open_is_not_written_into_the_void(tmp_path):
    with Engine(tmp_path / "j.db") as engine:
        engine.run(TWO)
        os.unlink(tmp_path / "j.db")
        with pytest.raises(JournalError, match="moved or deleted while it was open"):
            engine.run(TWO)


def test_memory_is_asked_for_by_leaving_the_journal_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(JournalError, match="leave it out"):
        Engine(":memory:")
    assert os.listdir(tmp_path) == []


def test_an_engine_that_could_not_be_made_gives_its_file_back(tmp_path):
    with pytest.raises(AttributeError):
        Engine(tmp_path / "j.db", sagas=["not a saga"])
    with Engine(tmp_path / "j.db") as engine:
        assert engine.run(TWO).status == "completed"


@pytest.mark.skipif(
    not hasattr(os, "fork") or sys.version_info >= (3, 12), reason="needs a plain fork"
)
def test_an_engine_says_that_it_does_not_survive_a_fork():
    with Engine() as engine:
        engine.run(TWO)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            said = ""
            try:
                engine.run(TWO)
            except EngineClosedError as error:
                said = str(error)
            os.write(writer, said.encode())
            os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        with os.fdopen(reader) as pipe:
            assert "does not survive fork" in pipe.read()
