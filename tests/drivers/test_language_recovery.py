"""Sagas of all constructs at once in a real Engine, on SQLite and in real time: it dies at one of
its commits, another one recovers, and it ends as one that was not interrupted."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from language import Books, Builder, World, ends_of, family, stuck_worlds, worlds

from sagakit import Engine, Execution, Saga
from sagakit.coordinator import replay
from sagakit.errors import (
    CancellationError,
    EngineClosedError,
    ResolutionError,
    UnknownExecutionError,
)
from sagakit.events import ExecutionMigrated, SignalReceived
from sagakit.execution import first_event, pinned_to
from sagakit.journal.sqlite import SqliteJournal

PACE = 0.01  # seconds that a second takes
SOME = settings(
    max_examples=max(5, settings.default.max_examples // 6),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class KilledError(Exception):
    """The process is dead, as far as the journal can tell."""


class MortalJournal(SqliteJournal):
    """Dies before or after its n-th commit: nothing is written any more."""

    def __init__(self, path: Path, kill_at: int = 0, after: bool = False) -> None:
        super().__init__(path)
        self.commits = 0
        self.kill_at = kill_at
        self.after = after
        self.died = threading.Event()

    def append(self, batch: Any, rests: Any = None) -> None:
        self.commits += 1
        dying = self.commits == self.kill_at
        if self.died.is_set() or (dying and not self.after):
            self.died.set()
            raise KilledError
        super().append(batch, rests)
        if dying:
            self.died.set()
            raise KilledError


class Life:
    """One world in one journal, through all the processes that work on it."""

    def __init__(self, folder: Path, world: World) -> None:
        folder.mkdir()
        self.path = folder / "journal.db"
        self.world = world
        self.books = Books()
        self.builder = Builder(self.books, world, PACE)
        self.saga = self.builder.saga(world.plan)
        self.began = time.monotonic()
        self.commits = 0

    def send_all(self, engine: Engine) -> None:
        """Every event that it may wait for, and wait for again in another attempt; the sender
        cannot know what has arrived."""
        for number, (event, place) in enumerate(self.builder.letters):
            for again in range(4):
                name = f"letter-{number}-{again}"
                engine.signal(event, number, correlation=place, id=name, keep=600)

    @contextlib.contextmanager
    def called_off(self, engine: Engine) -> Iterator[None]:
        """Somebody calls it off meanwhile, when the world says so."""
        if self.world.cancelled_at is None:
            yield
            return
        at = self.began + self.world.cancelled_at * PACE
        over = threading.Event()

        def call_off() -> None:
            over.wait(max(0.0, at - time.monotonic()))
            ignored = (CancellationError, UnknownExecutionError, EngineClosedError, KilledError)
            with contextlib.suppress(*ignored):
                engine.cancel("root", by="ann", why="by hand")

        caller = threading.Thread(target=call_off)
        caller.start()
        try:
            yield
        finally:
            over.set()
            caller.join()

    def run(self, kill_at: int = 0, after: bool = False) -> Execution | None:
        """In one process, to the end or to its death; and what an operator decides then."""
        journal = MortalJournal(self.path, kill_at, after)
        engine = Engine(journal, sagas=[self.saga])
        try:
            with self.called_off(engine):
                self.send_all(engine)
                engine.recover(self.saga)
                engine.run(self.saga, id="root")
            return self.decided(engine)
        except KilledError:
            return None
        finally:
            engine.close(drain=False)
            self.commits = journal.commits

    def decided(self, engine: Engine) -> Execution:
        for _ in range(10):
            execution = engine.status("root")
            if execution.status != "stuck" or self.world.decision is None:
                return execution
            self.books.cured = True
            # about all of it, or about the innermost part, from which it goes on upward
            stuck = [one for one in family(execution) if one.status == "stuck"]
            inner = len(self.builder.calls) % 2 == 0 and self.world.decision == "retry"
            who = stuck[-1].id if inner else "root"
            try:
                engine.resolve(who, self.world.decision, by="ann", why="by hand")
            except ResolutionError:
                assert who != "root"
                engine.resolve("root", self.world.decision, by="ann", why="by hand")
            engine.run(self.saga, id="root")
        raise AssertionError("it is stuck for ever")

    def written(self) -> dict[str, list[Any]]:
        journal = SqliteJournal(self.path, read_only=True)
        try:
            assert journal.verify() == []
            return {row.id: journal.read(row.id) for row in journal.find()}
        finally:
            journal.close()

    def check(self, execution: Execution, before: dict[str, list[Any]]) -> None:
        """How it ended is right, and nothing was lost or doubled on the way."""
        ends_of(self.world).check(execution, self.books, self.world)
        sagas = {one.fingerprint: one for one in self.saga.family()}
        for id, events in self.written().items():
            assert events[: len(before.get(id, []))] == before.get(id, [])
            saga = sagas[pinned_to(events).fingerprint]
            replay(saga.given(first_event(events).input).plan, events)  # refuses what cannot be
            ids = [event.id for event in events if isinstance(event, SignalReceived)]
            assert len(ids) == len(set(ids))


def real(world: World) -> World:
    """What of a world there is in real time: a scenario's faults are gone after a crash."""
    return world._replace(faults=())


ANY = (worlds() | worlds() | stuck_worlds()).map(real)


# At which hundredth of its commits, whose number depends on the time that things take.
KILLS = st.lists(st.tuples(st.integers(0, 99), st.booleans()), min_size=3, max_size=6)


@SOME
@given(world=ANY, kills=KILLS)
def test_killed_at_any_commit_it_ends_as_one_that_was_not(tmp_path_factory, world, kills):
    folder = tmp_path_factory.mktemp("lives")
    whole = Life(folder / "whole", world)
    whole.check(whole.run(), {})
    for number, (hundredth, after) in enumerate(kills):
        life = Life(folder / str(number), world)
        life.run(1 + whole.commits * hundredth // 100, after)
        before = life.written()
        end = life.run()
        life.check(end, before)


@SOME
@given(world=ANY)
def test_killed_again_and_again_it_still_comes_to_its_end(tmp_path_factory, world):
    life = Life(tmp_path_factory.mktemp("lives") / "one", world)
    before: dict[str, list[Any]] = {}
    for number in range(200):
        # Two commits may be a call that is lost and one that a service's gate holds. So lives
        # grow longer by and by: one that never sees an answer cannot come nearer to its end.
        end = life.run(2 + number // 10, after=True)
        if end is not None:
            break
        before = life.written()
    else:
        raise AssertionError("it does not come nearer to its end")
    life.check(end, before)


@SOME
@given(world=ANY, data=st.data())
def test_moved_to_another_version_after_a_crash_it_ends_the_same(tmp_path_factory, world, data):
    life = Life(tmp_path_factory.mktemp("lives") / "one", world)
    died = life.run(data.draw(st.integers(1, 12)), data.draw(st.booleans())) is None
    old = life.saga
    life.saga = Saga("root", *old.steps, version="2", deadline=old.deadline, services=old.services)
    moved = False
    if died and "root" in life.written():
        with Engine(life.path, sagas=[old]) as engine:
            ended = engine.status("root").status in ("completed", "compensated", "abandoned")
        if not ended:
            with Engine(life.path) as engine:
                engine.migrate("root", to=life.saga, by="ann", why="a test")
                moved = True
    if not moved:
        life.saga = old
    end = life.run()
    assert any(isinstance(event, ExecutionMigrated) for event in end.events) == moved
    ends_of(world).check(end, life.books, world)
