"""The monitor tells what the journal has, and what a person decides stands in it."""

from __future__ import annotations

import contextlib
import gc
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from sagakit import Engine, Saga, Scenario, TerminalError, await_event, step, sub_saga
from sagakit.errors import (
    EngineClosedError,
    JournalBusyError,
    JournalError,
    ResolutionError,
    SagaError,
)
from sagakit.events import ExecutionResolved, Resolution
from sagakit.journal.sqlite import SqliteJournal
from sagakit.widgets import EngineMonitor
from sagakit.widgets import gauge as readings
from sagakit.widgets.gauge import MOST_LISTED, Gauge
from sagakit.widgets.monitor import INTERVAL, SHARE, WAYS, pause


class Bank:
    """Takes no refunds until it is told to."""

    def __init__(self) -> None:
        self.open = False

    def charge(self) -> None: ...

    def refund(self) -> None:
        if not self.open:
            raise TerminalError("the bank is closed")

    def fail(self) -> None:
        raise TerminalError("no stock")

    @property
    def saga(self) -> Saga:
        return Saga(
            "pay",
            step(self.charge, self.refund, name="charge"),
            step(self.fail, name="reserve"),
        )


GOOD = Saga("good", step(lambda: 1, name="a"))


def until(true: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path / "sagas.db") as made:
        yield made


@pytest.fixture
def monitored() -> Iterator[Callable[[Any], EngineMonitor]]:
    made = []

    def monitor(given: Any) -> EngineMonitor:
        made.append(EngineMonitor(given))
        return made[-1]

    yield monitor
    for one in made:
        one.close()


def _edit(monitor: EngineMonitor, **edit: Any) -> dict[str, Any]:
    seq = edit.pop("seq", monitor.state["seq"] + 1)
    monitor.edit = {"seq": seq, **edit}
    until(lambda: monitor.state["seq"] == seq)
    return monitor.state


def test_it_follows_an_engine_by_itself(engine, monitored):
    monitor = monitored(engine)
    assert monitor.state["counts"] == {}
    for _ in range(5):
        engine.run(GOOD)
    until(lambda: monitor.state["counts"] == {"completed": 5})
    assert repr(monitor) == "<EngineMonitor: 5 completed>"
    assert monitor.state["over"] == ""


def test_it_counts_what_was_there_before_and_each_execution_once(engine, bank, monitored):
    engine.run(GOOD)
    engine.run(bank.saga, id="stuck")
    waiting = Saga("w", await_event("paid", name="b"))
    engine.run(waiting, id="waits", until_rest=True)
    monitor = monitored(engine)
    assert monitor.state["counts"] == {"completed": 1, "stuck": 1, "waiting": 1}
    engine.signal("paid", to="waits")
    engine.run(GOOD)
    monitor.refresh()
    assert monitor.state["counts"] == {"completed": 3, "stuck": 1}
    assert monitor.state["running"] == []


def test_those_that_do_a_step_of_another_one_are_not_counted(engine, monitored):
    monitor = monitored(engine)
    engine.run(Saga("outer", sub_saga(GOOD, name="in")))
    monitor.refresh()
    assert monitor.state["counts"] == {"completed": 1}


def test_what_is_in_flight_is_listed(monitored):
    go = threading.Event()
    saga = Saga("slow", step(lambda: go.wait(10), name="a"))
    with Engine() as engine:
        monitor = monitored(engine)
        future = engine.start(saga, id="one")
        until(lambda: [one["id"] for one in monitor.state["running"]] == ["one"])
        assert monitor.state["counts"] == {"running": 1}
        assert monitor.state["source"] == "in memory"
        go.set()
        future.result()
        until(lambda: monitor.state["counts"] == {"completed": 1})


def test_what_is_stuck_is_listed_with_its_reason(engine, bank, monitored):
    engine.run(bank.saga, id="one")
    (stuck,) = monitored(engine).state["stuck"]
    assert (stuck["id"], stuck["saga"]) == ("one", "pay")
    (where,) = stuck["steps"]
    assert where["step"] == "charge"
    assert where["state"] == "compensation failed"
    assert where["why"] == "TerminalError: the bank is closed"


def test_a_resolution_stands_in_the_journal_with_who_and_why(engine, bank, monitored):
    engine.run(bank.saga, id="one")
    monitor = monitored(engine)
    bank.open = True
    state = _edit(monitor, id="one", step="charge", how="retry", by="ann", why="bank is back")
    assert state["said"] == {
        "text": "retry: execution 'one' is compensated",
        "level": "info",
    }
    assert state["stuck"] == []
    assert state["counts"] == {"compensated": 1}
    (decided,) = engine.status("one").resolutions
    assert (decided.by, decided.why, decided.steps) == ("ann", "bank is back", ("charge",))


@pytest.mark.parametrize(("how", "status"), [("skip", "compensated"), ("abandon", "abandoned")])
def test_every_way_to_resolve(engine, bank, monitored, how, status):
    engine.run(bank.saga, id="one")
    monitor = monitored(engine)
    _edit(monitor, id="one", how=how, by="ann", why="settled by hand")
    assert monitor.state["counts"] == {status: 1}


def test_the_page_is_told_every_way_to_resolve():
    assert [way["how"] for way in WAYS] == list(get_args(Resolution))


def test_a_decision_is_told_to_be_taken_before_it_is_answered(engine, monitored):
    go, tried = threading.Event(), threading.Event()

    def undo() -> None:
        if tried.is_set():
            go.wait(10)
            return
        tried.set()
        raise TerminalError("the bank is closed")

    def fail() -> None:
        raise TerminalError("no stock")

    engine.run(Saga("slow", step(lambda: 1, undo, name="a"), step(fail, name="b")), id="one")
    engine.run(Saga("s", step(lambda: 1, fail, name="a"), step(fail, name="b")), id="two")
    monitor = monitored(engine)
    monitor.edit = {"seq": 1, "id": "one", "step": "a", "how": "retry", "by": "ann", "why": "so"}
    assert monitor.state["deciding"] == [{"seq": 1, "id": "one", "step": "a", "how": "retry"}]
    state = _edit(monitor, seq=2, id="two", how="abandon", by="ann", why="so")
    assert (state["seq"], state["about"]) == (2, "two")  # nobody waits for the slow one
    assert [one["id"] for one in state["deciding"]] == ["one"]
    go.set()
    until(lambda: monitor.state["about"] == "one")
    assert (monitor.state["seq"], monitor.state["deciding"]) == (2, [])


def test_what_is_told_of_a_decision_is_of_now_however_long_nothing_happened(
    engine, bank, monitored, monkeypatch
):
    engine.run(bank.saga, id="one")
    monitor = monitored(engine)
    monitor._over.set()  # it reads no more by itself
    late = time.time() + 1800
    monkeypatch.setattr(time, "time", lambda: late)
    monitor.edit = {"seq": 1, "id": "one", "how": "abandon", "by": "ann", "why": "so"}
    assert monitor.state["at"] == late
    until(lambda: monitor.state["seq"] == 1)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"how": "retry", "by": "ann", "why": ""}, "say who decides"),
        ({"how": "retry", "by": "", "why": "so"}, "say who decides"),
        ({"how": "retry", "by": "ann", "why": "  "}, "say who decides"),
        ({"how": "burn", "by": "ann", "why": "so"}, "is not a resolution"),
        ({"how": "retry", "by": "ann", "why": "so", "step": "x"}, "is stuck at 'charge'"),
        ({"id": "two", "how": "retry", "by": "ann", "why": "so"}, "has the id 'two'"),
    ],
)
@pytest.mark.parametrize("by_path", [False, True])
def test_what_cannot_be_decided_is_said_and_nothing_is_recorded(
    engine, bank, monitored, edit, said, by_path
):
    engine.run(bank.saga, id="one")
    monitor = monitored(engine.journal.path if by_path else engine)
    state = _edit(monitor, **{"id": "one", **edit})
    assert state["said"]["level"] == "error"
    assert said in state["said"]["text"]
    assert engine.status("one").status == "stuck"
    assert not engine.status("one").resolutions


def test_from_python_it_raises(engine, bank, monitored):
    engine.run(bank.saga, id="one")
    monitor = monitored(engine)
    with pytest.raises(ResolutionError, match="say who decides"):
        monitor.resolve("one", "retry", by="ann", why="")
    assert monitor.resolve("one", "skip", by="ann", why="paid back in cash").endswith("compensated")


def test_by_its_path_a_journal_is_watched_beside_its_engine(engine, bank, monitored):
    engine.run(bank.saga, id="one")
    monitor = monitored(str(engine.journal.path))
    assert monitor.state["counts"] == {"stuck": 1}
    bank.open = True
    state = _edit(monitor, id="one", how="retry", by="ann", why="bank is back")
    assert state["said"]["text"] == "retry: the engine that has the journal open has recorded it"
    until(lambda: monitor.state["counts"] == {"compensated": 1})
    assert [one.by for one in engine.status("one").resolutions] == ["ann"]


def test_a_decision_posted_while_no_engine_is_there_is_carried_out_by_the_next(
    tmp_path, bank, monitored, monkeypatch
):
    monkeypatch.setattr("sagakit.widgets.monitor.ANSWER", 0.1)
    path = tmp_path / "sagas.db"
    with Engine(path) as engine:
        engine.run(bank.saga, id="one")
    monitor = monitored(path)
    state = _edit(monitor, id="one", how="skip", by="ann", why="settled by hand")
    assert "posted, and no engine has answered yet" in state["said"]["text"]
    assert f"Engine({str(path)!r}, sagas=[…])" in state["said"]["text"]
    with Engine(path, sagas=[bank.saga]) as engine:
        engine.recover()
        until(lambda: monitor.state["counts"] == {"compensated": 1})
        assert isinstance(engine.status("one").resolutions[0], ExecutionResolved)


def test_a_closed_engine_is_told_in_words_and_the_last_reading_stays(tmp_path, bank, monitored):
    path = tmp_path / "sagas.db"
    with Engine(path) as engine:
        engine.run(bank.saga, id="one")
        monitor = monitored(engine)
    until(lambda: monitor.state["over"])
    assert monitor.state["over"].startswith("the engine is closed: this is how it stood")
    assert f"EngineMonitor({str(path)!r})" in monitor.state["over"]
    assert monitor.state["counts"] == {"stuck": 1}
    state = _edit(monitor, id="one", how="skip", by="ann", why="so")
    assert "the engine is closed" in state["said"]["text"]
    assert "the engine is closed" in monitor._repr_mimebundle_()[0]["text/html"]


def test_a_closed_engine_or_something_else_is_refused(engine):
    engine.close()
    with pytest.raises(EngineClosedError):
        EngineMonitor(engine)
    with pytest.raises(SagaError, match="give an Engine, or the path"):
        EngineMonitor(7)
    with pytest.raises(JournalError, match="does not exist"):
        EngineMonitor("nowhere.db")


def _threads() -> int:
    return sum(thread.name == "sagakit-monitor" for thread in threading.enumerate())


def test_its_thread_ends_with_it_and_with_the_engine(tmp_path):
    before = _threads()
    with Engine(tmp_path / "sagas.db") as engine:
        closed, left = EngineMonitor(engine), EngineMonitor(engine)
        assert _threads() == before + 2
        closed.close()
        until(lambda: _threads() == before + 1)
    until(lambda: _threads() == before)
    left.close()
    del closed, left
    gc.collect()


def test_it_does_not_read_while_no_page_shows_it(engine, monitored):
    hidden, seen = monitored(engine), monitored(engine)
    hidden.shown = False
    engine.run(GOOD)
    until(lambda: seen.state["counts"] == {"completed": 1})
    engine.run(GOOD)
    until(lambda: seen.state["counts"] == {"completed": 2})  # the other has had its time
    assert hidden.state["counts"] != {"completed": 2}
    hidden.shown = True
    assert hidden.state["counts"] == {"completed": 2}


def test_it_pushes_only_news_and_not_too_often(monitored):
    with Engine() as engine:
        monitor = monitored(engine)
        pushed: list[float] = []
        monitor.observe(lambda _: pushed.append(time.monotonic()), "state")
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            engine.run(GOOD)
        assert 1 <= len(pushed) <= 4
        engine.close()
        until(lambda: monitor.state["over"])
        count = len(pushed)
        time.sleep(0.6)
        assert len(pushed) == count


def test_what_was_read_before_is_read_seldom_where_that_is_slow():
    assert pause(0) == INTERVAL
    assert pause(0.1) == pytest.approx(0.1 / SHARE)


def test_it_knows_what_of_a_reading_was_not_new(engine, bank):
    engine.run(bank.saga, id="one")
    gauge = Gauge(engine.journal)
    for _ in range(3):
        engine.run(GOOD)
    gauge.read(time.time())
    assert gauge.again == 1 / 4
    gauge.read(time.time())
    assert gauge.again == 1
    engine.resolve("one", "abandon", by="ann", why="so")
    gauge.read(time.time())
    gauge.read(time.time())
    assert gauge.again == 0


def test_an_engine_that_does_nothing_sends_nothing(engine, monitored):
    monitor = monitored(engine)
    pushed: list[Any] = []
    monitor.observe(pushed.append, "state")
    time.sleep(1)
    assert pushed == []


def test_a_decision_without_a_reason_is_not_even_posted(tmp_path, bank, monitored):
    path = tmp_path / "sagas.db"
    with Engine(path) as engine:
        engine.run(bank.saga, id="one")
    monitor = monitored(path)
    with pytest.raises(ResolutionError, match="say who decides"):
        monitor.resolve("one", "skip", by="ann", why="")
    with contextlib.closing(SqliteJournal(path)) as journal:
        assert journal.posted() == []


def test_the_throughput_is_what_ended_in_the_last_whole_seconds(engine):
    gauge = Gauge(engine.journal)
    at = int(time.time()) + 1  # all of it ends in one second, or in the one behind it
    while time.time() < at:
        time.sleep(0.01)
    for _ in range(20):
        engine.run(GOOD)
    read = gauge.read(at + 3)
    assert read["throughput"] == 20 / readings.WINDOW
    assert sum(read["series"]["completed"]) == 20
    assert gauge.read(at + 30)["throughput"] == 0
    assert sum(gauge.read(at + 100)["series"]["completed"]) == 0


def test_of_very_many_stuck_ones_the_oldest_are_listed_and_read_once(engine, bank, monkeypatch):
    for _ in range(MOST_LISTED + 5):
        engine.run(bank.saga)
    gauge = Gauge(engine.journal)
    read: list[str] = []
    whole = type(engine.journal).read
    monkeypatch.setattr(SqliteJournal, "read", lambda self, id: read.append(id) or whole(self, id))
    shown = gauge.read(time.time())
    assert len(shown["stuck"]) == MOST_LISTED
    assert shown["stuck_more"] == 5
    assert gauge.read(time.time())["stuck"] == shown["stuck"]
    assert len(read) == MOST_LISTED


def test_a_step_that_is_stuck_inside_names_the_execution_that_does_it(engine, bank):
    outer = Saga("outer", sub_saga(bank.saga, name="inner"))
    engine.run(outer, id="one")
    (stuck,) = Gauge(engine.journal).read(time.time())["stuck"]
    (where,) = stuck["steps"]
    assert where["why"] == "execution 'one/inner', which does it, is stuck at 'charge'"


def test_secrets_are_not_in_its_state(engine, monitored):
    def fail(ctx):
        raise TerminalError(f"card {ctx.input['card_number']} is refused")

    saga = Saga(
        "s",
        step(lambda: 1, fail, name="a"),
        step(lambda: 1 / 0, name="b"),
        redact=["card_number"],
    )
    engine.run(saga, {"card_number": "sesame"}, id="one")
    monitor = monitored(engine)
    assert "refused" in json.dumps(monitor.state)
    assert "sesame" not in json.dumps([monitor.state, monitor._repr_mimebundle_()[0]])


def test_a_scenario_makes_it_stuck_too(engine, monitored):
    saga = Saga("s", step(lambda: 1, lambda: 2, name="a"), step(lambda: 1, name="b"))
    engine.run(saga, scenario=Scenario().fail("b").fail_compensation("a"))
    (stuck,) = monitored(engine).state["stuck"]
    assert "injected: fail compensation of a" in stuck["steps"][0]["why"]


@pytest.mark.parametrize("then", ["nothing", "another journal"])
def test_a_journal_that_was_taken_away_is_told_and_nothing_is_decided_elsewhere(
    tmp_path, bank, monitored, then
):
    path, aside = tmp_path / "sagas.db", tmp_path / "aside.db"
    for made in (aside, path):
        with Engine(made) as engine:
            engine.run(bank.saga, id="of-both")
    monitor = monitored(path)
    path.unlink()  # where a system forbids that, there is nothing to tell
    if then == "another journal":
        aside.rename(path)
    with pytest.raises(ResolutionError, match="taken away or replaced"):
        monitor.resolve("of-both", "abandon", by="ann", why="x")
    until(lambda: "taken away or replaced" in monitor.state["over"])
    assert [one["id"] for one in monitor.state["stuck"]] == ["of-both"]  # how it stood
    if then == "another journal":
        with contextlib.closing(sqlite3.connect(path)) as reader:
            assert reader.execute("SELECT count(*) FROM inbox").fetchone() == (0,)


def test_a_journal_that_is_busy_is_asked_again(engine, bank, monitored, monkeypatch):
    monitor = monitored(engine)
    read, asked = monitor._source.gauge.read, threading.Event()

    def busy(now: float) -> dict[str, Any]:
        if not asked.is_set():
            asked.set()
            raise JournalBusyError("it is locked by another program")
        return read(now)

    monkeypatch.setattr(monitor._source.gauge, "read", busy)
    assert asked.wait(10)
    engine.run(bank.saga, id="later")
    until(lambda: [one["id"] for one in monitor.state["stuck"]] == ["later"])
    assert monitor.state["over"] == ""


def test_of_a_stuck_one_that_cannot_be_read_that_is_said(tmp_path, bank):
    path = tmp_path / "sagas.db"
    with Engine(path) as engine:
        engine.run(bank.saga, id="one")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE definitions SET shape = x'00'")
    with contextlib.closing(SqliteJournal(path, read_only=True)) as journal:
        (one,) = Gauge(journal).read(time.time())["stuck"]
    assert "malformed" in one["steps"][0]["why"]
