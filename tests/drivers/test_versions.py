"""Several versions of one saga in an Engine, and executions that are moved from one to another."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from decimal import Decimal

import pytest

from sagakit import Engine, Retry, Saga, TerminalError, await_event, pivot, step, sub_saga
from sagakit.errors import (
    DefinitionChangedError,
    JournalError,
    MigrationError,
    UnknownExecutionError,
)
from sagakit.events import (
    AttemptLost,
    ExecutionMigrated,
    ExecutionStarted,
    StepStarted,
    StepSucceeded,
)
from sagakit.journal.memory import MemoryJournal
from sagakit.journal.sqlite import SqliteJournal

WHO = {"by": "operator-7", "why": "release 2"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


class Shop:
    """A saga in versions; notes which version's code ran."""

    def __init__(self):
        self.log = []

    def act(self, name):
        return lambda: self.log.append(name)

    def version(self, number, *names):
        made = (
            step(self.act(f"{name}{number}"), self.act(f"undo {name}{number}"), name=name)
            for name in names
        )
        return Saga("shop", *made, version=number)


def leave(path, saga, id, done=1, *, mid_step=False):
    """An execution that a crash left with so many steps done, and perhaps one under way."""
    events = [ExecutionStarted(saga.name, saga.version, saga.fingerprint, id, None, 1.0)]
    for name in saga.plan.names[:done]:
        events += [StepStarted(name, 1, 2.0), StepSucceeded(name, 1, 2.0)]
    if mid_step:
        events.append(StepStarted(saga.plan.names[done], 1, 3.0))
    journal = SqliteJournal(path)
    journal.define(saga.fingerprint, saga.name, saga.version, saga.shape)
    journal.append([(id, 0, events)])
    journal.close()


def until(engine, state):
    """Wait until a step of execution x is in this state."""
    while not engine.list() or state not in engine.status("x").states.values():
        time.sleep(0.005)


def until_ended(engine, id):
    while engine.status(id).status in ("running", "waiting"):
        time.sleep(0.005)


# -- several versions at once ---------------------------------------------------------------


def test_each_execution_is_recovered_under_its_own_version_while_new_ones_begin_with_the_new(path):
    shop = Shop()
    old, new = shop.version(1, "a", "b"), shop.version(2, "a", "c")
    leave(path, old, "x")
    leave(path, new, "y")
    with Engine(path, sagas=[old, new]) as engine:
        assert [e.saga for e in engine.recover()] == [old, new]
        assert sorted(shop.log) == ["b1", "c2"]
        assert engine.run(new, id="z").saga == new
        versions = {row.id: row.version for row in engine.list()}
        assert versions == {"x": "1", "y": "2", "z": "2"}
        assert engine.status("x").saga == old


def test_recovering_one_version_takes_along_those_that_are_known_already(path):
    shop = Shop()
    old, new = shop.version(1, "a", "b"), shop.version(2, "a", "c")
    leave(path, old, "x")
    with Engine(path) as engine:
        with pytest.raises(DefinitionChangedError, match="'x' is pinned to version 1"):
            engine.recover(new)
        engine.register(old)
        assert [e.saga for e in engine.recover(new)] == [old]


@pytest.mark.parametrize("ended", [False, True])
def test_the_same_id_with_a_newer_version_is_the_first_execution_under_its_own(path, ended):
    shop = Shop()
    old, new = shop.version(1, "a", "b"), shop.version(2, "a", "c")
    leave(path, old, "x")
    with Engine(path) as engine:
        with pytest.raises(DefinitionChangedError, match="step 'c' is new"):
            engine.run(new, id="x")
        if ended:
            engine.recover(old)
        engine.register(old)
        execution = engine.run(new, id="x")
        assert execution.saga == old
        assert execution.status == "completed"
    assert shop.log == ["b1"]


def test_the_same_id_with_a_newer_version_is_the_execution_that_runs_here(path):
    gate = threading.Event()
    old = Saga("shop", step(lambda: gate.wait(10) and None, name="a"), version=1)
    new = Saga("shop", step(lambda: None, name="a"), version=2)
    with Engine(path) as engine:
        first = engine.start(old, id="x")
        again = engine.start(new, id="x")
        gate.set()
        assert again.result() == first.result()
        assert again.result().saga == old


def stuck_shop(shop, number, *, mended=False, last="last"):
    def send():
        if not mended:
            raise TerminalError("no such address")
        shop.log.append(f"send{number}")

    return Saga(
        "shop",
        pivot(shop.act(f"pay{number}"), name="pay"),
        step(send),
        step(shop.act(f"{last}{number}"), name=last),
        version=number,
    )


def test_a_stuck_execution_is_resolved_under_its_own_version_and_never_under_another(path):
    shop = Shop()
    old, new = stuck_shop(shop, 1), stuck_shop(shop, 2, mended=True)
    with Engine(path) as engine:
        engine.run(old, id="x")
    with Engine(path, sagas=[new]) as engine:
        with pytest.raises(DefinitionChangedError, match="version was '1' and is '2'"):
            engine.resolve("x", "skip", by="me", why="by hand")
        engine.register(old)
        assert engine.resolve("x", "skip", by="me", why="by hand").saga == old
    assert shop.log == ["pay1", "last1"]


# -- migration ------------------------------------------------------------------------------


@pytest.mark.parametrize("mid_step", [False, True])
def test_what_a_crash_left_is_moved_and_recovered_with_only_the_new_version_known(path, mid_step):
    shop = Shop()
    leave(path, shop.version(1, "a", "b", "c"), "x", 1, mid_step=mid_step)
    new = shop.version(2, "a", "b", "d")
    with Engine(path) as engine:
        moved = engine.migrate("x", to=new, **WHO)
        assert moved.status == "running"
        assert moved.saga == new
        assert shop.log == [], "nothing is run by it"
        (row,) = engine.list()
        assert (row.version, row.fingerprint) == ("2", new.fingerprint)
    with Engine(path) as engine:
        (execution,) = engine.recover(new)
    assert execution.status == "completed"
    assert shop.log == ["b2", "d2"]
    (migration,) = execution.migrations
    assert (migration.version, migration.by, migration.why) == ("2", *WHO.values())
    assert migration.fingerprint == new.fingerprint
    lost = [e.step for e in execution.events if isinstance(e, AttemptLost)]
    assert lost == (["b"] if mid_step else [])
    assert f"to version 2 ({new.fingerprint}) by operator-7: release 2" in execution.log()
    assert "migrated by operator-7" in execution.timeline().svg


def test_an_execution_may_be_moved_again_and_once_more(path):
    shop = Shop()
    leave(path, shop.version(1, "a", "b"), "x")
    with Engine(path) as engine:
        engine.migrate("x", to=shop.version(2, "a", "c"), **WHO)
        engine.migrate("x", to=shop.version(3, "a", "d", "e"), **WHO)
        last = shop.version(3, "a", "d", "e")
        again = engine.migrate("x", to=last, **WHO)
        assert [m.version for m in again.migrations] == ["2", "3"], "there already: as it is"
        (execution,) = engine.recover()
    assert execution.status == "completed"
    assert shop.log == ["d3", "e3"]


def test_what_has_begun_stands_in_the_way_and_is_named(path):
    shop = Shop()
    leave(path, shop.version(1, "a", "b", "c"), "x", 1, mid_step=True)
    with Engine(path) as engine:
        before = engine.status("x").events
        with pytest.raises(MigrationError) as refusal:
            engine.migrate("x", to=shop.version(2, "a", "c"), **WHO)
        text = str(refusal.value)
        assert "execution 'x' of saga 'shop'" in text
        assert "to version 2" in text
        assert "step 'b' has begun (ready), and is gone" in text
        assert engine.status("x").events == before
        assert engine.list()[0].version == "1"
        with pytest.raises(DefinitionChangedError):
            engine.recover(shop.version(2, "a", "c"))


def test_a_stuck_execution_is_moved_to_a_mended_version_and_then_resolved(path):
    shop = Shop()
    with Engine(path) as engine:
        engine.run(stuck_shop(shop, 1), id="x")
    new = stuck_shop(shop, 2, mended=True, last="other")
    with Engine(path) as engine:
        moved = engine.migrate("x", to=new, **WHO)
        assert moved.status == "stuck"
        assert engine.list(status="stuck")[0].fingerprint == new.fingerprint
        assert engine.recover(new) == []
        final = engine.resolve("x", "retry", by="me", why="mended")
    assert final.status == "completed"
    assert shop.log == ["pay1", "send2", "other2"]


def test_one_that_waits_here_goes_on_under_the_new_version(path):
    shop = Shop()

    def version(number, *names):
        rest = (step(shop.act(f"{n}{number}"), name=n) for n in names)
        first = step(shop.act(f"a{number}"), name="a")
        return Saga("shop", first, await_event("paid"), *rest, version=number)

    old, new = version(1, "b"), version(2, "c", "d")
    with Engine(path) as engine:
        answer = engine.start(old, id="x")
        until(engine, "waiting")
        moved = engine.migrate("x", to=new, **WHO)
        assert moved.status == "waiting"
        assert moved.saga == new
        engine.signal("paid", to="x")
        assert answer.result(10).status == "completed"
        assert answer.result().saga == new
    assert shop.log == ["a1", "c2", "d2"]


def test_one_that_waits_in_the_journal_wakes_as_the_new_version_says(path):
    def version(number, *more):
        steps = await_event("paid"), step(lambda: None, name="b")
        return Saga("shop", *steps, *more, version=number)

    beside = step(lambda: None, name="c", after=())
    with Engine(path) as engine:
        engine.run(version(1), id="x", until_rest=True)
    with Engine(path) as engine:
        assert engine.migrate("x", to=version(2), **WHO).status == "waiting"
        assert engine.list(status="waiting")[0].version == "2"
        # version 2 is known here by now: it goes on
        assert engine.migrate("x", to=version(3, beside), **WHO).status == "running"
        until(engine, "succeeded")
        assert engine.status("x").states["c"] == "succeeded"
        assert engine.list()[0].version == "3"
        assert engine.recover() == []


@pytest.mark.parametrize("restarted", [False, True])
def test_what_does_a_step_goes_on_beside_the_move_and_the_new_version_follows(path, restarted):
    shop = Shop()
    payment = Saga("payment", await_event("paid"))
    pay = sub_saga(payment, name="pay")
    old = Saga("shop", pay, step(shop.act("ship1"), name="ship"), version=1)
    gift = sub_saga(Saga("gift", step(shop.act("wrap"), name="wrap")), name="gift")
    new = Saga("shop", pay, gift, step(shop.act("ship2"), name="ship"), version=2)
    engine = Engine(path)
    assert engine.run(old, id="x", until_rest=True).status == "waiting"
    assert engine.status("x/pay").status == "waiting"
    if restarted:
        engine.close(drain=False)
        engine = Engine(path, sagas=[old])
    engine.migrate("x", to=new, **WHO)
    engine.signal("paid", to="x/pay")
    with engine:
        until_ended(engine, "x")
        moved = engine.status("x")
    assert (moved.status, moved.saga) == ("completed", new)
    assert shop.log == ["wrap", "ship2"]


def test_a_saga_without_sagas_inside_may_be_moved_to_one_with_some(path):
    shop = Shop()
    wait = await_event("go")
    old = Saga("shop", wait, version=1)
    new = Saga("shop", wait, sub_saga(shop.version(1, "a"), name="inner"), version=2)
    with Engine(path) as engine:
        engine.run(old, id="x", until_rest=True)
        engine.migrate("x", to=new, **WHO)
        engine.signal("go", to="x")
        until_ended(engine, "x")
        assert engine.status("x").status == "completed"
    assert shop.log == ["a1"]


def test_one_that_waits_for_a_retry_here_retries_with_the_new_code(path):
    shop, tries = Shop(), []

    def refuse():
        tries.append(1)
        raise ValueError("not yet")

    policy = Retry(3, wait=0.3)
    old = Saga("shop", step(refuse, name="a", retry=policy), version=1)
    new = Saga("shop", step(shop.act("a2"), name="a", retry=policy), version=2)
    with Engine(path) as engine:
        answer = engine.start(old, id="x")
        until(engine, "retrying")
        engine.migrate("x", to=new, **WHO)
        assert answer.result(10).status == "completed"
    assert (tries, shop.log) == ([1], ["a2"])


def test_a_step_under_way_here_is_let_finish_first(path):
    gate, begun = threading.Event(), threading.Event()

    def slow():
        begun.set()
        gate.wait(10)

    old = Saga("shop", step(slow, name="a"), version=1)
    new = Saga("shop", step(lambda: None, name="a"), version=2)
    with Engine(path) as engine:
        answer = engine.start(old, id="x")
        begun.wait(10)
        with pytest.raises(MigrationError, match=r"has 'a' under way; .* close the engine"):
            engine.migrate("x", to=new, **WHO)
        gate.set()
        assert answer.result().saga == old
        with pytest.raises(MigrationError, match="it has ended: it is completed"):
            engine.migrate("x", to=new, **WHO)


@pytest.mark.parametrize("where", ["a file", "memory"])
def test_results_come_in_the_types_that_the_new_version_declares(path, where):
    seen = []

    def price() -> Decimal:
        return Decimal("9.90")

    def price_as_text() -> str:
        return ""

    def listed() -> list[int]:
        return []

    def version(number, function, mended):
        def send(ctx):
            if not mended:
                raise TerminalError("no")
            seen.append(ctx.results["price"])

        steps = step(function, name="price"), pivot(lambda: None, name="pay"), step(send)
        return Saga("shop", *steps, version=number)

    with Engine(path if where == "a file" else MemoryJournal()) as engine:
        engine.run(version(1, price, False), id="x")
        with pytest.raises(MigrationError, match="step 'price' stored a result"):
            engine.migrate("x", to=version(2, listed, True), **WHO)
        engine.migrate("x", to=version(2, price_as_text, True), **WHO)
        engine.resolve("x", "retry", by="me", why="mended")
        assert engine.status("x").results["price"] == "9.90"
        assert engine.list()[0].version == "2"
    assert seen == ["9.90"]


def test_a_wrong_call_says_what_is_wrong_and_changes_nothing(path):
    shop = Shop()
    leave(path, shop.version(1, "a", "b"), "x")
    new = shop.version(2, "a", "b")
    with Engine(path) as engine:
        for words, wrong in (
            ("who decides", {"by": " "}),
            ("and why", {"why": ""}),
            ("is not a Saga", {"to": "shop.yaml"}),
            ("belongs to saga 'shop', not to 'other'", {"to": Saga("other", step(print))}),
        ):
            with pytest.raises(MigrationError, match=words):
                engine.migrate("x", **{"to": new, **WHO, **wrong})
        with pytest.raises(UnknownExecutionError):
            engine.migrate("nobody", to=new, **WHO)
        assert engine.status("x").migrations == ()


def test_recovery_that_has_read_an_execution_before_it_was_moved_reads_it_again(path):
    shop = Shop()
    old, new = shop.version(1, "a", "b"), shop.version(2, "a", "c")
    leave(path, old, "x")
    with Engine(path, sagas=[old]) as engine:
        read = engine.journal.unfinished

        def unfinished(fingerprints, at):
            for found in read(fingerprints, at):
                engine.migrate("x", to=new, **WHO)
                yield found

        engine.journal.unfinished = unfinished
        (execution,) = engine.recover()
    assert execution.saga == new
    assert shop.log == ["c2"]


# -- crashes --------------------------------------------------------------------------------


def test_a_commit_that_fails_leaves_the_execution_with_its_old_version(path):
    shop = Shop()
    old, new = shop.version(1, "a", "b"), shop.version(2, "a", "c")
    leave(path, old, "x")
    with Engine(path) as engine:
        append = engine.journal.append

        def fail(batch, rests=None):
            raise JournalError("the disk is gone")

        engine.journal.append = fail
        with pytest.raises(JournalError, match="gone"):
            engine.migrate("x", to=new, **WHO)
        engine.journal.append = append
        assert engine.list()[0].version == "1"
        assert [e.saga for e in engine.recover(old)] == [old]


def die_at_the_commit(path, after):
    class Deadly(SqliteJournal):
        def append(self, batch, rests=None):
            deadly = any(isinstance(e, ExecutionMigrated) for *_, events in batch for e in events)
            if after or not deadly:
                super().append(batch, rests)
            if deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    Engine(Deadly(path)).migrate("x", to=Shop().version(2, "a", "c"), **WHO)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
def test_killed_at_the_commit_it_is_wholly_under_the_one_version_or_the_other(path, after):
    shop = Shop()
    old, new = shop.version(1, "a", "b"), shop.version(2, "a", "c")
    leave(path, old, "x")
    child = multiprocessing.get_context("spawn").Process(
        target=die_at_the_commit, args=(str(path), after)
    )
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    pinned = new if after else old
    with Engine(path) as engine:
        assert [row.fingerprint for row in engine.list()] == [pinned.fingerprint]
        (execution,) = engine.recover(pinned)
    assert execution.status == "completed"
    assert len(execution.migrations) == after
    assert shop.log == ["c2" if after else "b1"]
