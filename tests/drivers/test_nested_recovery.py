"""Sub-sagas and for_each through crashes: whatever of the family's events reached the journal, it
ends as it would have without the crash; and an operator decides about any of its executions."""

from __future__ import annotations

import time

import pytest

from sagakit import (
    Engine,
    Retry,
    Saga,
    TerminalError,
    await_event,
    for_each,
    pivot,
    simulate,
    step,
    sub_saga,
)
from sagakit.drivers.run import Run
from sagakit.drivers.simulated import resume
from sagakit.errors import CancellationError, ConflictError, ResolutionError
from sagakit.events import CancellationRequested, StepStarted, StepSucceeded
from sagakit.journal.memory import MemoryJournal
from sagakit.journal.sqlite import SqliteJournal


class Recorder(MemoryJournal):
    """A journal that keeps its commits."""

    def __init__(self):
        super().__init__()
        self.commits = []

    def append(self, batch, rests=None):
        super().append(batch, rests)
        if batch:
            self.commits.append(batch)


class Books:
    """Effects by idempotency key: done once, undone once, however often they are asked for."""

    def __init__(self):
        self.done = {}

    def act(self, ctx):
        self.done.setdefault(ctx.idempotency_key.removesuffix("/action"), "done")
        return ctx.step

    def undo(self, ctx):
        self.done[ctx.action_key.removesuffix("/action")] = "undone"

    def step(self, name, *, after=None, compensation=True):
        undo = self.undo if compensation else None
        return step(self.act, undo, name=name, after=after)


def fails(ctx):
    raise TerminalError("no")


def items(ctx):
    return ["a", "b", "c"]


def bad_item(ctx):
    if ctx.input == "c":
        raise TerminalError("not c")
    return ctx.input


def shapes(books):
    inner = Saga("inner", books.step("x"), books.step("y"))
    broken = Saga("broken", books.step("x"), step(fails))
    tail = step(fails)
    hopeless = Saga("hopeless", step(books.act, fails, name="x"), step(fails, name="end"))
    many = for_each("many", items, inner, limit=2)
    return {
        "completes": Saga("s", books.step("a"), sub_saga(inner), books.step("z")),
        "fails after it": Saga("s", books.step("a"), sub_saga(inner), tail),
        "fails inside": Saga("s", books.step("a"), sub_saga(broken), books.step("z")),
        "beside": Saga(
            "s",
            sub_saga(inner, after=()),
            books.step("b", after=()),
            step(fails, after=("inner", "b")),
        ),
        "gets stuck inside": Saga("s", books.step("a"), sub_saga(hopeless)),
        "for each": Saga("s", for_each("all", items, books.step("w"), limit=2), books.step("z")),
        "for each, then fails": Saga("s", for_each("all", items, books.step("w"), limit=2), tail),
        "one of them fails": Saga(
            "s", for_each("all", items, step(bad_item, books.undo, name="w"), limit=2)
        ),
        "sagas for each": Saga("s", many, tail),
        "after the pivot": Saga(
            "s",
            pivot(books.act, name="p"),
            sub_saga(inner),
            for_each("all", items, books.step("w", compensation=False)),
        ),
    }


NAMES = list(shapes(Books()))


def outcome(engine, id):
    """Where every execution of the family stands, and what it gave."""
    found = {}

    def look(execution):
        found[execution.id] = (execution.status, execution.states, execution.results)
        for child in execution.children.values():
            look(child)

    look(engine.status(id))
    return found


def assert_same(found, expected, when):
    """The same, but for an attempt that failed: a crash during it leaves it in doubt."""
    assert found.keys() == expected.keys(), when
    for id, (status, states, results) in expected.items():
        assert found[id][0] == status, f"{id} {when}"
        assert found[id][2] == results, f"{id} {when}"
        for name, state in states.items():
            after_a_crash = {"in doubt", "compensated"} if state == "failed" else set()
            assert found[id][1][name] in {state} | after_a_crash, f"{id}, {name} {when}"


def without_crash(name):
    books, journal = Books(), Recorder()
    with Engine(journal) as engine:
        engine.run(shapes(books)[name], id="e")
        return outcome(engine, "e"), books.done, journal.commits


@pytest.mark.parametrize("name", NAMES)
def test_a_crash_after_any_commit_changes_nothing_in_the_end(name):
    expected, effects, commits = without_crash(name)
    assert len(commits) > 2  # outcomes that come together share one
    for cut in range(1, len(commits)):
        books = Books()
        saga = shapes(books)[name]
        # what was done before the crash was done: replay it into the books
        journal = MemoryJournal()
        for commit in commits[:cut]:
            journal.append(commit)
        for key, effect in effects.items():
            if effect == "done":
                books.done[key] = effect
        with Engine(journal) as engine:
            engine.recover(saga)
            assert_same(outcome(engine, "e"), expected, f"after {cut} commits")
        for key, effect in effects.items():
            assert books.done.get(key, effect) == effect, f"{key} after {cut} commits"


@pytest.mark.parametrize("name", NAMES)
def test_parent_and_child_share_their_commits(name, tmp_path):
    """A child's start is in the commit of the step's start, its end in that of the step's end."""

    class Watched(Recorder):
        def append(self, batch, rests=None):
            super().append(batch, rests)
            kinds = {(id, type(event).__name__) for id, _, events in batch for event in events}
            for id, _, events in batch:
                for event in events:
                    child = getattr(event, "child", None)
                    if child is not None:
                        assert (child, "ExecutionStarted") in kinds
                    if type(event).__name__ == "ExecutionCompleted" and "/" in id:
                        assert (id.rpartition("/")[0], "StepSucceeded") in kinds

    with Engine(Watched()) as engine:
        engine.run(shapes(Books())[name], id="e")


# -- an operator ----------------------------------------------------------------------------


class Bank:
    """Compensations fail until it is open."""

    def __init__(self):
        self.open = False
        self.undone = []

    def undo(self, ctx):
        if not self.open:
            raise TerminalError("closed")
        self.undone.append(ctx.idempotency_key)


def stuck_inside(bank):
    deep = Saga("deep", step(lambda: 1, bank.undo, name="d"), step(fails, name="end"))
    middle = Saga("middle", step(lambda: 2, bank.undo, name="m"), sub_saga(deep))
    return Saga("s", step(lambda: 3, lambda: None, name="a"), sub_saga(middle))


DECISION = {"by": "ann", "why": "the bank is open"}


@pytest.mark.parametrize("where", ["e", "e/middle", "e/middle/deep"])
@pytest.mark.parametrize("restart", [False, True])
def test_retry_anywhere_in_the_family_lets_all_of_it_go_on(where, restart, tmp_path):
    bank = Bank()
    saga = stuck_inside(bank)
    engine = Engine(tmp_path / "j.db")
    execution = engine.run(saga, id="e")
    assert [row.status for row in engine.list()] == ["stuck"] * 3
    assert execution.stuck_steps == ("middle",)
    if restart:
        engine.close()
        engine = Engine(tmp_path / "j.db", sagas=[saga])
    bank.open = True
    decided = engine.resolve(where, "retry", **DECISION)
    assert (decided.id, decided.status) == (where, "compensated")
    assert {row.status for row in engine.list()} == {"compensated"}
    assert bank.undone == ["e/middle/deep/d/compensation", "e/middle/m/compensation"]
    assert engine.status("e/middle/deep").resolutions[0].why == "the bank is open"
    engine.close()


@pytest.mark.parametrize("where", ["e", "e/middle", "e/middle/deep"])
def test_retry_in_vain_leaves_all_of_it_stuck_again(where):
    with Engine() as engine:
        engine.run(stuck_inside(Bank()), id="e")
        assert engine.resolve(where, "retry", **DECISION).status == "stuck"
        assert [row.status for row in engine.list()] == ["stuck"] * 3


def test_skipping_the_outer_step_abandons_what_does_it():
    with Engine() as engine:
        engine.run(stuck_inside(Bank()), id="e")
        assert engine.resolve("e", "skip", by="ann", why="done by hand").status == "completed"
        assert engine.status("e/middle").status == "abandoned"
        assert engine.status("e/middle/deep").status == "abandoned"


def test_skipping_the_innermost_step_lets_all_of_it_go_on():
    bank = Bank()
    with Engine() as engine:
        engine.run(stuck_inside(bank), id="e")
        bank.open = True
        engine.resolve("e/middle/deep", "skip", **DECISION)
        assert bank.undone == ["e/middle/m/compensation"]
        assert {row.status for row in engine.list()} == {"compensated"}


def test_abandoning_the_outer_execution_abandons_all_of_it(tmp_path):
    with Engine(tmp_path / "j.db") as engine:
        engine.run(stuck_inside(Bank()), id="e")
    with Engine(tmp_path / "j.db") as engine:  # it needs no definition
        engine.resolve("e", "abandon", **DECISION)
        assert [row.status for row in engine.list()] == ["abandoned"] * 3


def test_what_was_abandoned_inside_cannot_be_retried_outside():
    with Engine() as engine:
        engine.run(stuck_inside(Bank()), id="e")
        engine.resolve("e/middle", "abandon", **DECISION)
        assert engine.status("e").status == "stuck"
        with pytest.raises(ResolutionError, match="'e/middle', was abandoned; skip the step"):
            engine.resolve("e", "retry", **DECISION)
        assert engine.resolve("e", "skip", **DECISION).status == "completed"


def test_after_the_pivot_retry_begins_another_execution():
    tries = []

    def settle(ctx):
        tries.append(ctx.execution_id)
        if len(tries) == 1:
            raise TerminalError("closed")

    inner = Saga("inner", step(settle))
    with Engine() as engine:
        engine.run(Saga("s", pivot(lambda: None, name="p"), sub_saga(inner)), id="e")
        assert engine.resolve("e", "retry", **DECISION).status == "completed"
        assert tries == ["e/inner", "e/inner//2"]


def test_one_item_that_is_stuck_is_retried():
    bank = Bank()

    def ship(ctx):
        if ctx.input == 2 and not bank.open:
            raise TerminalError("closed")
        return ctx.input

    saga = Saga(
        "s",
        pivot(lambda: None, name="p"),
        for_each("all", lambda: [1, 2, 3], step(ship)),
        step(lambda: None, name="z"),
    )
    with Engine() as engine:
        assert engine.run(saga, id="e").status == "stuck"
        bank.open = True
        assert engine.resolve("e", "retry", **DECISION).status == "completed"
        assert engine.status("e").results["all"] == [1, 2, 3]


def test_what_goes_on_beside_a_stuck_inner_saga_is_not_disturbed(tmp_path):
    """The outer execution is still under way when the inner one is resolved."""
    bank = Bank()
    inner = Saga("inner", step(lambda: 1, bank.undo, name="x"), step(fails, name="end"))
    saga = Saga("s", sub_saga(inner, after=()), await_event("go", after=()))
    with Engine(tmp_path / "j.db") as engine:
        engine.start(saga, id="e")
        while not any(row.id == "e/inner" and row.status == "stuck" for row in engine.list()):
            pass
        bank.open = True
        engine.resolve("e/inner", "retry", **DECISION)
        assert engine.status("e/inner").status == "compensated"
        assert engine.status("e").status == "compensated"


# -- signals, cancelling, closing -----------------------------------------------------------


def waiting_inside():
    inner = Saga("inner", await_event("ok", correlate=lambda: "order 7"))
    return Saga("s", sub_saga(inner), step(lambda: "end", name="z"))


@pytest.mark.parametrize("address", [{"to": "e/inner"}, {"correlation": "order 7"}])
def test_a_signal_to_what_waits_inside_after_a_restart(address, tmp_path):
    path = tmp_path / "j.db"
    with Engine(path) as engine:
        assert engine.run(waiting_inside(), id="e", until_rest=True).status == "waiting"
    with Engine(path) as engine:
        engine.recover(waiting_inside_saga := waiting_inside())
        engine.signal("ok", 1, **address)
        final = engine.run(waiting_inside_saga, id="e")
        assert (final.status, final.results["z"]) == ("completed", "end")


def test_what_does_a_step_is_cancelled_with_it_after_a_restart(tmp_path):
    path = tmp_path / "j.db"
    saga = waiting_inside()
    with Engine(path) as engine:
        engine.run(saga, id="e", until_rest=True)
    with Engine(path, sagas=[saga]) as engine:
        assert engine.cancel("e", by="ann", why="no").status == "compensated"
        assert engine.status("e/inner").status == "compensated"


@pytest.mark.parametrize("restart", [False, True])
def test_cancelling_the_inner_execution_fails_the_outer_step(restart, tmp_path):
    with Engine(tmp_path / "j.db") as engine:
        engine.run(waiting_inside(), id="e", until_rest=True)
        if restart:
            engine.close()
            engine = Engine(tmp_path / "j.db", sagas=[waiting_inside()])
        assert engine.cancel("e/inner", by="ann", why="no").status == "compensated"
        assert engine.run(waiting_inside(), id="e").status == "compensated"


def test_a_journal_that_fails_ends_the_whole_family(tmp_path):
    class Failing(SqliteJournal):
        def append(self, batch, rests=None):
            if any(id == "e/inner" and first for id, first, _ in batch):
                raise OSError("no disk")
            super().append(batch, rests)

    saga = Saga("s", sub_saga(Saga("inner", step(lambda: 1, name="x"), step(lambda: 2, name="y"))))
    with Engine(Failing(tmp_path / "j.db")) as engine, pytest.raises(OSError, match="no disk"):
        engine.run(saga, id="e")
    with Engine(tmp_path / "j.db") as engine:
        engine.recover(saga)
        assert [row.status for row in engine.list()] == ["completed"] * 2


def test_ten_thousand_items():
    saga = Saga(
        "s", for_each("all", lambda: list(range(10_000)), step(lambda ctx: ctx.input, name="x"))
    )
    with Engine() as engine:
        execution = engine.run(saga)
    assert execution.results["all"] == list(range(10_000))


# -- ids that somebody has chosen already ---------------------------------------------------


def over(inner, *more, **options):
    return Saga("s", step(lambda: 1, lambda: None, name="a"), sub_saga(inner, **options), *more)


SMALL = Saga("small", step(lambda: 1, lambda: None, name="x"))
DEAF = Saga("deaf", await_event("ok"))


@pytest.mark.parametrize("taker", [SMALL, DEAF], ids=lambda saga: saga.name)
def test_a_step_whose_execution_finds_its_id_taken_fails_and_says_by_whom(place, taker):
    with Engine(place) as engine:
        before = engine.run(taker, id="e/small", until_rest=True)
        execution = engine.run(over(SMALL, retry=Retry(5)), id="e")
        assert execution.status == "compensated"
        assert execution.children == engine.status("e").children == {}
        assert execution.error.name == "ConflictError"
        assert execution.error.message == (
            f"execution 'e' cannot begin 'e/small' for its step 'small': the id belongs to an "
            f"execution of saga '{taker.name}' that somebody started; choose another id for one "
            "of 'e' and 'e/small'"
        )
        assert engine.status("e/small").events == before.events
        assert engine.run(over(SMALL), id="f").status == "completed"


def test_one_of_many_whose_id_is_taken_turns_the_others_back(place):
    saga = Saga("s", for_each("all", items, SMALL, limit=3))
    with Engine(place) as engine:
        engine.run(SMALL, id="e/all/1")
        execution = engine.run(saga, id="e")
        assert execution.status == "compensated"
        assert sorted(execution.children["all"].children) == ["0", "2"]
        assert engine.status("e/all/1").status == "completed"
        assert engine.recover(saga) == []


def test_after_the_pivot_a_taken_id_is_passed_over_by_an_operator(place):
    saga = Saga("s", pivot(lambda: 1, name="p"), sub_saga(SMALL))
    with Engine(place) as engine:
        engine.run(DEAF, id="e/small", until_rest=True)
        assert engine.run(saga, id="e").status == "stuck"
        if place is not None:
            engine.close()
            engine = Engine(place, sagas=[saga, DEAF])
        assert engine.resolve("e", "retry", by="ann", why="a new id").status == "completed"
        assert engine.status("e").children["small"].id == "e/small//2"
        assert engine.status("e/small").status == "waiting"
        engine.close()


def test_a_journal_in_which_another_has_the_id_is_recovered(place):
    """As an engine left it that did not look: the step's start is there, its execution is not."""
    saga = over(SMALL)
    with Engine(place) as engine:
        engine.run(SMALL, id="e/small")
        run = Run.begin(saga, None, "e", 1.0, 0, None)
        run.emit(StepStarted("a", 1, 1.0))
        run.emit(StepSucceeded("a", 1, 1.0, 1))
        run.emit(StepStarted("small", 1, 1.0, "e/small"))
        engine.register(saga)
        engine.journal.append([("e", 0, run.events)])
        assert engine.status("e").children == {}
        (recovered,) = engine.recover(saga)
        assert recovered.status == "compensated"
        assert recovered.error.name == "ConflictError"


def test_what_does_a_step_is_nobody_elses_to_start(place):
    with Engine(place) as engine:
        engine.run(over(SMALL), id="e")
        with pytest.raises(ConflictError, match="'e/small' belongs to the execution that does "):
            engine.run(SMALL, id="e/small")
        engine.run(over(DEAF), id="f", until_rest=True)
        with pytest.raises(ConflictError, match="step 'deaf' of execution 'f'; choose another"):
            engine.run(DEAF, id="f/deaf")
        engine.signal("ok", to="f/deaf")
        assert engine.run(over(DEAF), id="f").status == "completed"


def test_the_second_attempt_has_an_id_that_no_step_inside_can_have(place):
    tries = []

    def flaky(ctx):
        tries.append(ctx.execution_id)
        if len(tries) == 1:
            raise ValueError("once")

    middle = Saga("middle", sub_saga(SMALL, name="2"), step(flaky, lambda: None))
    with Engine(place) as engine:
        saga = over(middle, retry=Retry(2, wait=0.001))
        assert engine.run(saga, id="e").status == "completed"
        assert tries == ["e/middle", "e/middle//2"]
        ids = [row.id for row in engine.list()]
        assert ids == ["e", "e/middle", "e/middle/2", "e/middle//2", "e/middle//2/2"]
        assert engine.status("e/middle/2").status == "compensated"


# -- behind the pivot nothing is called off -------------------------------------------------


P = pivot(lambda: 1, name="p")
WAITS = Saga("waits", step(lambda: 1, lambda: None, name="x"), await_event("go"))
FINAL = Saga("final", await_event("go"), pivot(lambda: 1, name="q"))
LATE = Saga("waits", step(lambda: 1, name="x"), await_event("go"))
BEHIND = {
    "after it": (Saga("s", P, sub_saga(LATE)), "e/waits"),
    "for each": (Saga("s", P, for_each("all", items, LATE)), "e/all"),
    "one of each": (Saga("s", P, for_each("all", items, LATE)), "e/all/1"),
    "two deep": (Saga("s", P, sub_saga(Saga("middle", sub_saga(LATE)))), "e/middle/waits"),
    "the pivot": (Saga("s", sub_saga(FINAL, name="p", pivot=True)), "e/p"),
}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("name", BEHIND)
def test_what_does_a_step_at_or_after_the_outer_pivot_cannot_be_called_off(name, restart, tmp_path):
    saga, inner = BEHIND[name]
    with Engine(tmp_path / "j.db") as engine:
        engine.run(saga, id="e", until_rest=True)
        if restart:
            engine.close()
            engine = Engine(tmp_path / "j.db", sagas=[saga])
        before = engine.status("e").history()
        where = "is the pivot there" if name == "the pivot" else "stands after 'p', the pivot there"
        with pytest.raises(CancellationError, match=f"'{inner}' cannot be .* 'e', .* {where}"):
            engine.cancel(inner, by="ann", why="no")
        assert engine.status("e").history() == before
        for row in engine.list(status="waiting"):
            if row.saga in ("waits", "final"):
                engine.signal("go", to=row.id)
        assert engine.run(saga, id="e").status == "completed"
        engine.close()


def test_before_the_outer_pivot_it_can(place):
    saga = Saga("s", sub_saga(WAITS), P, sub_saga(LATE, name="late"))
    with Engine(place) as engine:
        engine.run(saga, id="e", until_rest=True)
        assert engine.cancel("e/waits", by="ann", why="no").status == "compensated"
        assert engine.run(saga, id="e").status == "compensated"


def test_what_an_older_engine_called_off_is_skipped_or_abandoned_with_a_word_on_it(place):
    """A retry of what has turned back is refused in the words of an operator."""
    saga = Saga("s", P, for_each("all", items, LATE))
    with Engine(place) as engine:
        engine.run(saga, id="e", until_rest=True)
        engine._background.run(*engine._enter(lambda: call_off(engine, "e/all"), place=False))
        ended = engine.run(saga, id="e")
        assert ended.status == "stuck"
        with pytest.raises(ResolutionError, match=r"turned back; .*; skip the step, or abandon"):
            engine.resolve("e", "retry", by="ann", why="again")
        assert engine.status("e").events == ended.events
        assert engine.resolve("e", "skip", by="ann", why="by hand").status == "completed"


def call_off(engine, id):
    def cancel(run):
        run.emit(CancellationRequested(time.time(), "ann", "no"))

    return engine._core.intervene(engine._bring(id), cancel)


def test_what_is_to_be_undone_and_is_not_in_the_journal_leaves_it_stuck(place):
    saga = over(SMALL, step(fails))
    whole = simulate(saga, id="e")
    assert resume(saga, whole.events[:-5]).status == "stuck"
    with Engine(place, sagas=[saga]) as engine:
        engine.journal.append([("e", 0, whole.events[:-5])])
        (recovered,) = engine.recover(saga)
        assert (recovered.status, recovered.stuck_steps) == ("stuck", ("small",))
        assert engine.resolve("e", "retry", by="ann", why="perhaps").status == "stuck"
        assert engine.resolve("e", "skip", by="ann", why="by hand").status == "compensated"
