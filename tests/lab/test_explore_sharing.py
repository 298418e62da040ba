"""A run that comes where another was ends as that one did: the same as if it had been run whole."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagakit import Retry, Saga, TerminalError, pivot, step
from sagakit.lab import Report, endings, explore
from sagakit.lab.table import World
from sagakit.lab.twin import ORDER, Twin

MANNERS = ("good", "counts", "unwary", "stale", "fails once", "refuses after another")


@pytest.fixture(autouse=True, scope="module")
def one_core() -> Iterator[None]:
    """What an invariant notes in a fork is not noted here."""
    with mock.patch.object(importlib.import_module("sagakit.lab.explore"), "cores", return_value=1):
        yield


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


def test_three_faults_end_as_they_do_when_each_runs_whole() -> None:
    twin = Twin()
    found = [
        explore(twin.saga, ORDER, world=twin.fresh, faults=3, prune=False, share=share)
        for share in (True, False)
    ]
    assert told(found[0]) == told(found[1])
    assert found[0].shared > found[0].explored / 2 > found[1].shared == 0


def jittery() -> tuple[Saga, Shop]:
    """How long it waits before a retry depends on how much has happened before."""
    shop = Shop()
    act, undo = shop.act("good"), shop.undo(True)
    policy = Retry(2, wait=1, jitter=1)
    steps = [step(act, undo, name=name, retry=policy) for name in ("a", "b")]
    return Saga("jittery", *steps), shop


def checkout() -> tuple[Saga, Shop]:
    twin = Twin(confirms_stock=True)
    return twin.saga, twin  # type: ignore[return-value]


FORGETS: dict[str, tuple[Callable[[], tuple[Saga, Shop]], int]] = {
    "state": (checkout, 0),
    "world": (checkout, 1),
    "time": (checkout, 2),
    "number of events": (jittery, 4),
}


@pytest.mark.parametrize("forgets", FORGETS)
def test_what_forgets_a_part_of_the_situation_would_be_found_out(
    forgets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, part = FORGETS[forgets]
    saga, world = make()
    input = ORDER if make is checkout else None

    def explored(share: bool) -> tuple[dict[str, Any], list[Any]]:
        report, shown = seen_by(
            lambda invariants: explore(
                saga, input, world=world.fresh, prune=False, share=share, invariants=invariants
            )
        )
        return told(report), shown

    right = explored(True)
    assert right == explored(False)
    point = endings.Endings.point

    def forgetful(self: Any, *given: Any) -> Any:
        found: Any = point(self, *given)
        return found and (*found[:part], *found[part + 1 :])

    monkeypatch.setattr(endings.Endings, "point", forgetful)
    try:
        wrong = explored(True)
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


def test_what_two_branches_wait_for_at_the_same_time_can_be_gone_on_from() -> None:
    shop = Shop()
    steps = [
        step(shop.act("good"), shop.undo(True), name=name, after=(), timeout=2, retry=Retry(2))
        for name in ("a", "b", "c")
    ]
    saga = Saga("branches", *steps)
    shared, whole = (
        explore(saga, world=shop.fresh, faults=3, crashes=False, prune=False, share=share)
        for share in (True, False)
    )
    assert told(shared) == told(whole)
