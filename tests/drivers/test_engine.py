"""The Engine: ids, limits, recovery, versions, an operator's decisions, the ways to close."""

from __future__ import annotations

import asyncio
import threading
import time
from decimal import Decimal

import pytest

from sagakit import (
    DefinitionError,
    Engine,
    InputError,
    Retry,
    Saga,
    SagaBuilder,
    SagaError,
    TerminalError,
    pivot,
    run,
    simulate,
    step,
)
from sagakit.errors import (
    ConflictError,
    DefinitionChangedError,
    EngineClosedError,
    JournalBusyError,
    ResolutionError,
    UnknownExecutionError,
)
from sagakit.events import ExecutionResolved, ExecutionStarted, StepStarted, StepSucceeded
from sagakit.journal.memory import MemoryJournal
from sagakit.journal.sqlite import SqliteJournal


def act():
    pass


def undo():
    pass


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


def chain(*names, **options):
    return Saga("s", *(step(act, undo, name=name) for name in names), **options)


# -- ids ------------------------------------------------------------------------------------


def test_the_same_id_and_input_give_the_first_execution_whatever_its_state(path):
    calls = []

    def refuse():
        calls.append("refuse")
        raise TerminalError("no")

    saga = Saga("s", step(refuse))
    with Engine(path) as engine:
        first = engine.run(saga, {"x": 1}, id="one")
        assert first.status == "compensated"
        assert engine.run(saga, {"x": 1}, id="one").events == first.events
    with Engine(path) as engine:
        assert engine.run(saga, {"x": 1}, id="one").events == first.events
    assert calls == ["refuse"]


@pytest.mark.parametrize("while_running", [False, True])
def test_the_same_id_with_another_input_or_saga_is_refused(path, while_running):
    gate = threading.Event()
    saga = Saga("s", step(lambda: gate.wait(10) and None, name="wait"))
    with Engine(path) as engine:
        first = engine.start(saga, {"x": 1}, id="one")
        if not while_running:
            gate.set()
            first.result()
        with pytest.raises(ConflictError, match=r"saga 's': the id 'one' .* another input"):
            engine.run(saga, {"x": 2}, id="one")
        with pytest.raises(ConflictError, match="another saga, 's'"):
            engine.run(Saga("t", step(act)), {"x": 1}, id="one")
        gate.set()
        assert first.result().status == "completed"


def test_two_starts_of_one_id_at_once_are_one_execution(path):
    calls = []

    async def once():
        calls.append(1)
        await asyncio.sleep(0.05)

    saga = Saga("s", step(once))
    with Engine(path) as engine:
        futures = [engine.start(saga, id="one") for _ in range(20)]
        assert len({future.result().id for future in futures}) == 1
        assert len(engine.list()) == 1
    assert calls == [1]


def test_running_an_id_that_a_crash_left_unfinished_continues_it(path):
    saga = chain("a", "b")
    leave_unfinished(path, saga, "one", 2)
    with Engine(path) as engine:
        execution = engine.run(saga, id="one")
    assert execution.status == "completed"
    starts = [(e.step, e.attempt) for e in execution.events if isinstance(e, StepStarted)]
    assert starts == [("a", 1), ("a", 2), ("b", 1)]


def leave_unfinished(path, saga, id, count):
    """Write the first ``count`` events of an execution, as a crashed engine would have."""
    events = [ExecutionStarted(saga.name, saga.version, saga.fingerprint, id, None, 1.0)]
    for name in saga.plan.names:
        events += [StepStarted(name, 1, 1.0), StepSucceeded(name, 1, 1.0)]
    journal = SqliteJournal(path)
    journal.define(saga.fingerprint, saga.name, saga.version, saga.shape)
    journal.append([(id, 0, events[:count])])
    journal.close()


# -- limits ---------------------------------------------------------------------------------


def test_a_start_beyond_the_limit_waits_and_nothing_is_dropped():
    running, most = set(), []

    async def work(ctx):
        running.add(ctx.execution_id)
        most.append(len(running))
        await asyncio.sleep(0.01)
        running.discard(ctx.execution_id)

    saga = Saga("s", step(work))
    with Engine(concurrency=3) as engine:
        began = time.monotonic()
        futures = [engine.start(saga) for _ in range(12)]
        assert time.monotonic() - began > 0.02, "the starts did not wait"
        assert all(future.result().status == "completed" for future in futures)
    assert max(most) == 3
    assert len(most) == 12


def test_a_failed_start_gives_its_place_back(path):
    saga = chain("a")
    with Engine(path, concurrency=1) as engine:
        engine.run(saga, id="one")
        for _ in range(3):
            with pytest.raises(ConflictError):
                engine.run(saga, {"other": 1}, id="one")
            with pytest.raises(InputError):
                engine.run(saga, object())
        assert engine.run(saga).status == "completed"


@pytest.mark.parametrize("id", ["", " ", "a\nb", 7])
def test_an_id_is_printable_text(id):
    with Engine() as engine, pytest.raises(InputError, match=r"the id .* must be printable text"):
        engine.run(chain("a"), id=id)


def test_no_engine_without_room():
    with pytest.raises(ValueError, match="1 or more"):
        Engine(concurrency=0)


def test_an_async_action_that_would_wait_for_its_own_engine_is_told():
    with Engine() as engine:

        async def selfish():
            engine.run(chain("a"))

        execution = engine.run(Saga("s", step(selfish)))
    assert "wait for itself" in execution.error.message


def test_a_plain_action_may_run_another_saga_in_its_engine():
    with Engine() as engine:
        inner = chain("a")
        outer = Saga("outer", step(lambda: engine.run(inner).status, name="call"))
        assert engine.run(outer).results == {"call": "completed"}


# -- recovery -------------------------------------------------------------------------------


def test_recovery_finishes_what_is_unfinished_and_only_that(path):
    saga = chain("a", "b")
    for number in range(1, 6):
        leave_unfinished(path, saga, f"x{number}", number)
    ticks = []
    with Engine(path) as engine:
        done = engine.run(saga, id="done")
        recovered = engine.recover(saga, progress=ticks.append)
        assert [execution.id for execution in recovered] == ["x1", "x2", "x3", "x4", "x5"]
        assert {execution.status for execution in recovered} == {"completed"}
        assert engine.recover(saga) == []
        assert engine.status("done").events == done.events
    assert ticks == [1] * 5


def test_recovery_is_refused_for_a_changed_definition_naming_both_and_the_difference(path):
    old = chain("a", "b", version="1")
    new = chain("a", "c", version="2")
    leave_unfinished(path, old, "one", 2)
    with Engine(path) as engine:
        with pytest.raises(DefinitionChangedError) as refusal:
            engine.recover(new)
        text = str(refusal.value)
        assert "version 1" in text
        assert "version 2" in text
        assert "step 'b' is gone" in text
        assert "step 'c' is new" in text
        assert "'one'" in text
        with pytest.raises(DefinitionChangedError):
            engine.run(new, id="one")
        assert engine.status("one").status == "running"
        assert [e.status for e in engine.recover(old, new)] == ["completed"]


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (Saga("s", step(act, undo, name="a"), pivot(act, name="b")), "pivot was False and is True"),
        (Saga("s", step(act, undo, name="a"), step(act, name="b")), "compensation was True"),
        (
            Saga("s", step(act, undo, name="a"), step(act, undo, name="b", after=())),
            r"after was \['a'\] and is \[\]",
        ),
    ],
)
def test_each_incompatible_change_is_named(path, changed, difference):
    leave_unfinished(path, chain("a", "b"), "one", 2)
    with Engine(path) as engine, pytest.raises(DefinitionChangedError, match=difference):
        engine.recover(changed)


def test_numbers_may_change_under_a_running_execution(path):
    leave_unfinished(path, chain("a", "b"), "one", 2)
    changed = Saga(
        "s",
        step(act, undo, name="a", retry=Retry(5), timeout=3, description="better"),
        step(act, undo, name="b", service="bank"),
    )
    with Engine(path) as engine:
        assert [e.status for e in engine.recover(changed)] == ["completed"]


def test_typed_results_survive_a_crash(path):
    seen = []

    def price() -> Decimal:
        return Decimal("9.90")

    def pay(ctx):
        seen.append(ctx.results["price"])

    saga = Saga("s", step(price), step(pay))
    with SqliteJournalAt(path) as journal:
        journal.define(saga.fingerprint, "s", None, saga.shape)
        events = [
            ExecutionStarted("s", None, saga.fingerprint, "one", None, 0.0),
            StepStarted("price", 1, 0.0),
            StepSucceeded("price", 1, 0.0, Decimal("9.90")),
        ]
        journal.append([("one", 0, events)])
    with Engine(path) as engine:
        (execution,) = engine.recover(saga)
    assert seen == [Decimal("9.90")]
    assert execution.results["price"] == Decimal("9.90")


class SqliteJournalAt(SqliteJournal):
    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def test_an_error_whose_text_utf8_cannot_hold_is_kept_all_the_same(path):
    def fail():
        raise ValueError("broken \udcff text")

    with Engine(path) as engine:
        execution = engine.run(Saga("s", step(fail)), id="one")
        assert execution.status == "compensated"
        assert engine.status("one").error.message == "broken \\udcff text"


def test_a_journal_that_fails_in_an_unforeseen_way_reaches_the_caller():
    class Broken(MemoryJournal):
        def append(self, batch, rests=None):
            if self.find():
                raise RuntimeError("unforeseen")
            super().append(batch, rests)

    with Engine(Broken()) as engine, pytest.raises(RuntimeError, match="unforeseen"):
        engine.run(chain("a", "b"))


# -- an operator ----------------------------------------------------------------------------


def stuck_saga(bank, log):
    def refund():
        if bank["down"]:
            raise TerminalError("bank is down")
        log.append("refund")

    def refuse():
        raise ValueError("refused")

    return Saga(
        "s",
        step(lambda: log.append("order"), lambda: log.append("cancel"), name="order"),
        step(act, refund, name="pay"),
        step(refuse),
    )


def test_a_stuck_execution_is_retried_on_an_operators_word_and_the_journal_knows(path):
    bank, log = {"down": True}, []
    saga = stuck_saga(bank, log)
    with Engine(path) as engine:
        execution = engine.run(saga, id="one")
        assert execution.status == "stuck"
        assert engine.run(saga, id="one").status == "stuck"
        assert engine.recover(saga) == []
        again = engine.resolve("one", "retry", by="operator-7", why="let us see")
        assert again.status == "stuck"
    bank["down"] = False
    with Engine(path, sagas=[saga]) as engine:
        assert [row.id for row in engine.list(status="stuck")] == ["one"]
        final = engine.resolve("one", "retry", by="operator-8", why="bank is back", step="pay")
        assert final.status == "compensated"
        assert engine.list(status="compensated")[0].id == "one"
    assert log == ["order", "refund", "cancel"]
    words = [(e.by, e.why) for e in final.events if isinstance(e, ExecutionResolved)]
    assert words == [("operator-7", "let us see"), ("operator-8", "bank is back")]


def test_skip_goes_on_as_though_it_had_succeeded(path):
    log = []
    with Engine(path) as engine:
        engine.run(stuck_saga({"down": True}, log), id="one")
        final = engine.resolve("one", "skip", by="me", why="refunded by hand")
    assert final.status == "compensated"
    assert final.states["pay"] == "compensation skipped"
    assert log == ["order", "cancel"]


def test_abandon_leaves_everything_as_it_is_and_needs_no_definition(path):
    log = []
    with Engine(path) as engine:
        engine.run(stuck_saga({"down": True}, log), id="one")
    with Engine(path) as engine:
        assert engine.resolve("one", "abandon", by="me", why="test order").status == "abandoned"
        assert engine.list(status="abandoned")[0].id == "one"
        with pytest.raises(ResolutionError, match="is abandoned"):
            engine.resolve("one", "abandon", by="me", why="again")
    assert log == ["order"]


def test_a_stuck_step_after_the_pivot_is_skipped_and_the_rest_completes(path):
    done = []

    def refuse():
        raise TerminalError("gone")

    saga = Saga("s", pivot(act), step(refuse), step(lambda: done.append(1), name="last"))
    with Engine(path) as engine:
        assert engine.run(saga, id="one").status == "stuck"
        final = engine.resolve("one", "skip", by="me", why="sent by hand")
    assert final.status == "completed"
    assert done == [1]


def test_a_wrong_resolution_says_what_is_wrong_and_changes_nothing(path):
    saga = stuck_saga({"down": True}, [])
    with Engine(path) as engine:
        engine.run(saga, id="one")
        engine.run(chain("a"), id="fine")
        before = engine.status("one").events
        for wrong, words in (
            ({"id": "two", "resolution": "retry"}, "no execution"),
            ({"id": "fine", "resolution": "retry"}, "is completed; it is not stuck"),
            ({"id": "one", "resolution": "forget"}, "not a resolution"),
            ({"id": "one", "resolution": "retry", "by": " "}, "who decides"),
            ({"id": "one", "resolution": "retry", "why": ""}, "why"),
            (
                {"id": "one", "resolution": "retry", "step": "order"},
                "stuck at 'pay', not at 'order'",
            ),
        ):
            arguments = {"by": "me", "why": "because", **wrong}
            with pytest.raises(SagaError, match=words):
                engine.resolve(**arguments)
        assert engine.status("one").events == before
    with Engine(path) as engine, pytest.raises(ResolutionError, match=r"engine\.register"):
        engine.resolve("one", "retry", by="me", why="x")


def test_two_operators_at_once_resolve_it_once(path):
    gate = threading.Event()
    bank, log = {"down": True}, []
    saga = stuck_saga(bank, log)
    with Engine(path) as engine:
        engine.run(saga, id="one")
        bank["down"] = False
        outcomes = []

        def resolve():
            gate.wait()
            try:
                outcomes.append(engine.resolve("one", "retry", by="me", why="x").status)
            except ResolutionError as error:
                outcomes.append(str(error))

        threads = [threading.Thread(target=resolve) for _ in range(4)]
        for thread in threads:
            thread.start()
        gate.set()
        for thread in threads:
            thread.join()
    assert outcomes.count("compensated") == 1
    assert log.count("refund") == 1


# -- reading --------------------------------------------------------------------------------


def test_list_filters_and_keeps_the_order_of_the_starts(path):
    with Engine(path) as engine:
        for number in range(5):
            engine.run(chain("a"), id=f"s{number}")
        engine.run(Saga("t", step(_refuse)), id="t")
        assert [row.id for row in engine.list()] == ["s0", "s1", "s2", "s3", "s4", "t"]
        assert [row.id for row in engine.list(limit=2)] == ["s0", "s1"]
        assert [row.id for row in engine.list(saga="t")] == ["t"]
        assert [row.id for row in engine.list(status="compensated")] == ["t"]
        assert engine.list(status="stuck") == []
        assert repr(engine) == "<Engine: 1 compensated, 5 completed>"
    assert repr(engine) == "<Engine: closed>"


def _refuse():
    raise ValueError


def test_an_unknown_id_is_an_error_that_names_it(path):
    for where in (path, None):
        with Engine(where) as engine, pytest.raises(UnknownExecutionError, match="'nobody'"):
            engine.status("nobody")


def test_an_execution_can_be_read_without_its_definition(path):
    with Engine(path) as engine:
        execution = engine.run(stuck_saga({"down": True}, []), id="one")
    with Engine(path) as engine:
        read = engine.status("one")
    assert read.states == execution.states
    assert read.stuck_steps == ("pay",)
    assert read.error == execution.error


# -- closing --------------------------------------------------------------------------------


def test_closing_drains_what_is_in_flight(path):
    async def slow():
        await asyncio.sleep(0.1)

    engine = Engine(path)
    future = engine.start(Saga("s", step(slow)))
    engine.close()
    engine.close()
    assert future.result().status == "completed"
    with pytest.raises(EngineClosedError):
        engine.run(chain("a"))


def test_closing_without_draining_leaves_everything_recoverable(path):
    started = threading.Event()
    cancelled = []

    async def hang():
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise

    engine = Engine(path)
    future = engine.start(Saga("s", step(act), step(hang)), id="one")
    assert started.wait(5)
    began = time.monotonic()
    engine.close(drain=False)
    assert time.monotonic() - began < 5
    assert cancelled == [1]
    with pytest.raises(EngineClosedError, match="recover"):
        future.result()
    done = []
    with Engine(path) as engine:
        saga = Saga("s", step(act), step(lambda: done.append(1), name="hang"))
        assert [e.status for e in engine.recover(saga)] == ["completed"]
    assert done == [1]


def test_an_exception_in_the_with_block_does_not_wait_for_what_hangs(path):
    async def hang():
        await asyncio.sleep(60)

    def fail_with_work_under_way():
        with Engine(path) as engine:
            engine.start(Saga("s", step(hang)))
            raise RuntimeError("mine")

    began = time.monotonic()
    with pytest.raises(RuntimeError, match="mine"):
        fail_with_work_under_way()
    assert time.monotonic() - began < 5


def test_a_second_engine_on_one_file_is_refused_and_harms_nothing(path):
    with Engine(path) as engine:
        engine.run(chain("a"), id="one")
        with pytest.raises(JournalBusyError, match="open in another engine"):
            Engine(path)
        reader = SqliteJournal(path, read_only=True)
        assert [row.id for row in reader.find()] == ["one"]
        reader.close()
        assert engine.run(chain("a"), id="two").status == "completed"
    with Engine(path) as engine:
        assert len(engine.list()) == 2


def run_in_an_engine(saga):
    with Engine() as engine:
        return engine.run(saga)


@pytest.mark.parametrize("drive", [simulate, run, run_in_an_engine])
def test_a_builder_is_no_saga_and_the_error_says_what_to_give(drive):
    builder = SagaBuilder("b").add_step(act)
    with pytest.raises(DefinitionError, match=r"<SagaBuilder 'b': 1 step>: .*give \.build\(\)"):
        drive(builder)
