"""A run that comes where another was ends as that one did: the same as if it had been run whole."""

from __future__ import annotations

import gc
import importlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagakit import Retry, Saga, TerminalError, pivot, step
from sagakit.lab import Report, endings, explore
from sagakit.lab.table import World
from sagakit.lab.twin import ORDER, Twin

MANNERS = ("good", "counts", "unwary", "stale", "fails once", "refuses after another")


class Shop(World):
    """A world with services of all manners; what they do shows in it, and depends on it."""

    def __init__(self) -> None:
        super().__init__(done={}, undone={}, asked={})

    def effects(self) -> dict[str, int]:
        return {key.split("/")[1]: count for key, count in self.done.items()}

    def act(self, manner: str) -> Callable[[Any], Any]:
        def act(ctx: Any) -> Any:
            key = ctx.action_key
            if manner in ("fails once", "stale"):
                self.asked[key] = self.asked.get(key, 0) + 1
            if key in self.undone and manner != "unwary":
                raise TerminalError("it was undone already")
            if manner == "fails once" and self.asked[key] == 1:
                raise OSError("try again")
            if manner == "refuses after another" and sum(self.done.values()) > 1:
                raise TerminalError("too much stands here")
            self.done[key] = self.done.get(key, 0) + 1 if manner == "counts" else 1
            # what a later step sees is another after another number of requests
            return {"asked": self.asked.get(key, 0), "seen": dict(ctx.results)}

        return act

    def undo(self, works: bool) -> Callable[[Any], None]:
        def undo(ctx: Any) -> None:
            self.undone[ctx.action_key] = True
            if works:
                self.done.pop(ctx.action_key, None)

        return undo


retries = st.builds(
    Retry,
    attempts=st.integers(1, 3),
    wait=st.sampled_from([0.0, 0.5]),
    jitter=st.sampled_from([0.0, 0.0, 1.0]),
)


@st.composite
def sagas(draw: st.DrawFn) -> tuple[Saga, Shop]:
    shop = Shop()
    count = draw(st.integers(1, 3))
    turn = draw(st.none() | st.integers(0, count - 1))
    steps: list[Any] = []
    for number in range(count):
        names = [f"s{n}" for n in range(number)]
        after = tuple(names) if turn is not None and number >= turn else None
        if after is None:
            after = tuple(name for name in names if draw(st.booleans()))
        # Behind the pivot nothing refuses for ever: what never ends cannot be explored.
        behind = turn is not None and number > turn
        more: dict[str, Any] = {
            "name": f"s{number}",
            "after": after,
            "retry": draw(retries),
            "timeout": draw(st.none() | st.just(2)),
        }
        act = shop.act(draw(st.sampled_from(MANNERS)))
        if number == turn:
            steps.append(pivot(act, reconcile=draw(st.sampled_from([None, lambda: True])), **more))
        elif behind:
            steps.append(step(act, **more))
        else:
            undo = shop.undo(draw(st.booleans()))
            steps.append(step(act, undo, compensation_retry=draw(retries), **more))
    return Saga("s", *steps), shop


def told(report: Report) -> dict[str, Any]:
    """What must not depend on how the scenarios were run."""
    return {
        "explored": report.explored,
        "statuses": report.statuses,
        "classes": report.classes,
        "matrix": report.matrix,
        "violations": [(str(v), v.count, v.execution.log()) for v in report.violations],
    }


@pytest.fixture(scope="module", autouse=True)
def _one_core() -> Iterator[None]:
    """What an invariant was shown in another process, nobody sees here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("sagakit.lab.explore"), "PAYS", math.inf)
        yield


def seen_by(report: Callable[[Any], Report]) -> tuple[Report, list[Any]]:
    """A report, and what an invariant of one's own was shown, in order."""
    shown: list[Any] = []

    def look(world: Any, execution: Any) -> bool:
        states = dict(execution.states), dict(execution.results), execution.begun
        shown.append((execution.log(), execution.errors, states, world.snapshot()))
        return True

    return report([look]), shown


@settings(max_examples=25)
@given(sagas())
def test_generated_sagas_end_as_they_do_when_each_runs_whole(made: tuple[Saga, Shop]) -> None:
    saga, shop = made

    def explored(share: bool) -> tuple[Report, list[Any]]:
        return seen_by(
            lambda invariants: explore(
                saga, world=shop.fresh, faults=2, prune=False, share=share, invariants=invariants
            )
        )

    (shared, one), (whole, other) = explored(True), explored(False)
    assert told(shared) == told(whole)
    assert one == other
    assert whole.shared == 0


def test_what_times_out_at_the_same_moment_is_told_in_its_order() -> None:
    shop = Shop()
    steps = [
        step(shop.act("good"), shop.undo(True), name=name, after=after, timeout=2)
        for name, after in (("a", ()), ("b", ()), ("c", "b"))  # c begins when b does, in no time
    ]
    saga = Saga("beside", *steps)
    found = [explore(saga, world=shop.fresh, faults=2, share=share) for share in (True, False)]
    assert told(found[0]) == told(found[1])


def test_three_faults_end_as_they_do_when_each_runs_whole() -> None:
    twin = Twin()
    found = [
        explore(twin.saga, ORDER, world=twin.fresh, faults=3, prune=False, share=share)
        for share in (True, False)
    ]
    assert told(found[0]) == told(found[1])
    assert found[0].shared > found[0].explored / 2 > found[1].shared == 0


@pytest.mark.parametrize(("forgets", "part"), [("state", 0), ("world", 1), ("time", 2)])
def test_what_forgets_a_part_of_the_situation_would_be_found_out(
    forgets: str, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Twin(confirms_stock=True)
    saga = world.saga
    right = told(explore(saga, ORDER, world=world.fresh, faults=2, prune=False))
    assert right == told(explore(saga, ORDER, world=world.fresh, prune=False, share=False))
    point = endings.Endings.point

    def forgetful(self: Any, *given: Any) -> Any:
        found: Any = point(self, *given)
        return found and (*found[:part], *found[part + 1 :])

    monkeypatch.setattr(endings.Endings, "point", forgetful)
    try:
        wrong = told(explore(saga, ORDER, world=world.fresh, faults=2, prune=False))
    except Exception:  # noqa: BLE001  events that cannot follow on one another are refused
        return
    assert wrong != right


def test_an_own_invariant_sees_the_execution_of_its_own_scenario() -> None:
    twin = Twin()
    seen = []

    def look(world: Twin, execution: Any) -> bool:
        seen.append(execution.log())
        return world.books().balanced or execution.status == "stuck"

    report = explore(twin.saga, ORDER, world=twin.fresh, faults=2, invariants=[look])
    assert report.holds
    assert report.shared > 100
    assert len(seen) == report.explored
    assert len(set(seen)) > report.classes, "which fault was injected shows in the errors"


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.usefixtures("_no_collector")
def test_what_an_exploration_has_kept_is_free_when_it_ends() -> None:
    twin = Twin(confirms_stock=True)
    explore(twin.saga, ORDER, world=twin.fresh, faults=1)  # what is made once is made
    before = len(gc.get_objects())
    assert explore(twin.saga, ORDER, world=twin.fresh, faults=2).explored > 900
    assert len(gc.get_objects()) - before < 200, "something stands in a cycle"


def test_the_garbage_collector_comes_as_often_afterwards_as_before() -> None:
    twin, seen = Twin(), []
    before = gc.get_threshold()

    def look(world: Twin, execution: Any) -> bool:
        seen.append(gc.get_threshold())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explore(twin.saga, ORDER, world=twin.fresh, faults=0, invariants=[look])
    assert seen[0][0] > before[0]
    assert gc.get_threshold() == before
