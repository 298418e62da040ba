"""Sagas of all constructs at once, inside one another: the rules of execution hold, and a crash
after any event changes nothing in the end. In virtual time, with real actions and real books."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagakit import (
    Retry,
    Saga,
    Scenario,
    Step,
    TerminalError,
    await_event,
    choice,
    for_each,
    pivot,
    simulate,
    step,
    sub_saga,
    timer,
)
from sagakit.drivers.run import Run
from sagakit.drivers.simulated import resume
from sagakit.events import (
    CompensationStarted,
    ExecutionStarted,
    StepStarted,
    StepSucceeded,
)
from sagakit.spec import Simulated

MANY = settings(
    max_examples=settings.default.max_examples,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Books:
    """What stands in the participants' books, by idempotency key: safe participants."""

    def __init__(self) -> None:
        self.done: dict[str, str] = {}

    def act(self, ctx: Any) -> str:
        key = ctx.action_key
        if self.done.get(key) == "suspended":
            raise TerminalError("a late action")
        self.done[key] = "done"
        return str(ctx.step)

    def refuse(self, ctx: Any) -> None:
        raise TerminalError(f"{ctx.step} is refused")

    def fail(self, ctx: Any) -> None:
        raise ValueError(f"{ctx.step} fails")

    def undo(self, ctx: Any) -> None:
        self.done[ctx.action_key] = "suspended"

    def cannot(self, ctx: Any) -> None:
        raise TerminalError("no way back")

    @property
    def left(self) -> set[str]:
        """What has been done and stays."""
        return {key for key, state in self.done.items() if state == "done"}


def never(ctx: Any) -> bool:
    """A reconcile that promises: it did not happen and never will."""
    del ctx
    return False


def items(count: int) -> Any:
    return Simulated("items", result=list(range(count)))


@st.composite
def plans(draw: st.DrawFn, depth: int = 2, behind: bool = False, root: bool = True) -> list[Any]:
    """A saga as nested data, from which it is built anew for each run.

    Parameters:
        behind: it stands after a pivot, where nothing fails for good.
    """
    found: list[Any] = []
    size = draw(st.integers(1, 4 if root else 2))
    place = draw(st.integers(0, size)) if root else -1
    after_pivot = behind
    for number in range(size):
        if number == place:
            fails = draw(st.sampled_from([None, None, None, "refuse"]))
            found.append(("pivot", fails))
            after_pivot = True
        found.append(draw(_parts(depth, after_pivot, not root)))
    return found


@st.composite
def _parts(draw: st.DrawFn, depth: int, behind: bool, inside: bool) -> Any:
    kinds = ["step", "step", "step", "timer", "event", "choice"]
    kinds += ["saga", "each", "each saga"] * 2 if depth else []
    kind = draw(st.sampled_from(kinds))
    fails = None
    if not behind:
        fails = draw(st.sampled_from([None] * 5 + ["refuse", "fail", "retry"]))
    undo = None if behind else draw(st.sampled_from(["undo"] * 6 + ["cannot", None]))
    if fails and undo:
        undo = "undo"  # a crash leaves it in doubt: then it is undone, and must not get stuck there
    beside = draw(st.booleans())
    match kind:
        case "step":
            return ("step", fails, undo, beside)
        case "timer":
            return ("timer", draw(st.sampled_from([0.5, 2_592_000.0])), beside)
        case "event":
            never_comes = not behind and draw(st.integers(0, 3)) == 0
            return ("event", never_comes, draw(st.booleans()), undo, beside)
        case "choice":
            chosen = draw(st.sampled_from(["left", "right"]))
            return ("choice", chosen, fails, undo)
        case "saga":
            return ("saga", draw(plans(depth - 1, behind, root=False)), beside)
        case "each":
            return ("each", draw(st.integers(0, 3)), fails, undo, draw(st.integers(1, 2)), beside)
        case "each saga":
            inner = draw(plans(depth - 1, behind, root=False))
            return ("each saga", draw(st.integers(0, 2)), inner, draw(st.integers(1, 2)), beside)
    raise AssertionError(kind)


class Builder:
    """Builds the saga of a plan, and the scenario that sends what it waits for."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.scenario = Scenario()

    def saga(self, plan: list[Any], name: str = "root", path: tuple[str, ...] = ()) -> Saga:
        steps: list[Step] = []
        above: tuple[str, ...] = ()  # what the next one comes after, if it stands beside the last
        for number, part in enumerate(plan):
            label = f"s{number}"
            beside = part[-1] is True
            after = above if beside else None
            if part[0] == "pivot":
                everything = {item.name for item in steps} - {
                    other for item in steps for other in item.after or ()
                }
                steps.append(self.pivot(label, part[1], tuple(sorted(everything))))
                above = (label,)
                continue
            if not beside and steps:
                above = (steps[-1].name,)
            for item in self.part(part, label, after, path):
                steps.append(item)
        return Saga(name, *self._placed(steps), deadline=10_000_000.0)

    def _placed(self, steps: list[Step]) -> list[Step]:
        """Every step comes after what it says, or the one above."""
        return list(Saga("placed", *steps).steps)

    def pivot(self, label: str, fails: str | None, after: tuple[str, ...]) -> Step:
        act = self.books.act if fails is None else self.books.refuse
        ask = None if fails is None else never
        return pivot(act, name=label, after=after, reconcile=ask)

    def simple(self, label: str, fails: str | None, undo: str | None, after: Any) -> Step:
        action = {"refuse": self.books.refuse, "fail": self.books.fail}.get(
            str(fails), self.books.act
        )
        return step(
            action,
            getattr(self.books, undo) if undo else None,
            name=label,
            after=after,
            retry=Retry(2, wait=0.25) if fails in ("fail", "retry") else None,
        )

    def part(self, part: Any, label: str, after: Any, path: tuple[str, ...]) -> tuple[Step, ...]:
        inner = "/".join(path)
        match part:
            case ("step", fails, undo, _):
                return (self.simple(label, fails, undo, after),)
            case ("timer", seconds, _):
                return (timer(label, seconds, after=after),)
            case ("event", never_comes, goes_on, undo, _):
                if not never_comes:
                    self.scenario = self.scenario.signal(f"{label}!", at=1.0, to=inner)
                on_timeout = "continue" if goes_on or undo is None else "fail"
                return (
                    await_event(
                        f"{label}!",
                        name=label,
                        after=after,
                        timeout=5.0 if never_comes else None,
                        on_timeout=on_timeout,
                        compensation=self.books.undo if undo else None,
                    ),
                )
            case ("choice", chosen, fails, undo):
                branches = {
                    "left": [self.simple(f"{label}l", fails, undo, None)],
                    "right": [
                        self.simple(f"{label}r", None, undo, None),
                        self.simple(f"{label}rr", None, undo, None),
                    ],
                }
                return choice(label, Simulated("by", result=chosen), branches, after=after)
            case ("saga", plan, _):
                return (sub_saga(self.saga(plan, "in", (*path, label)), name=label, after=after),)
            case ("each", count, fails, undo, limit, _):
                body = self.simple("w", fails, undo, None)
                return (for_each(label, items(count), body, limit=limit, after=after),)
            case ("each saga", count, plan, limit, _):
                # a signal for one item would have to name it: the inner waits end by themselves
                body = self.saga(_without_events(plan))
                return (for_each(label, items(count), body, limit=limit, after=after),)
        raise AssertionError(part)


def _without_events(plan: list[Any]) -> list[Any]:
    found = []
    for part in plan:
        if part[0] == "event":
            part = ("timer", 1.0, part[-1])
        elif part[0] in ("saga", "each saga"):
            part = tuple(_without_events(x) if isinstance(x, list) else x for x in part)
        found.append(part)
    return found


def built(plan: list[Any], books: Books) -> tuple[Saga, Scenario]:
    builder = Builder(books)
    return builder.saga(plan), builder.scenario


@pytest.fixture
def order(monkeypatch):
    """The events of all executions in the order in which they came."""
    found: list[tuple[str, Any]] = []
    emit = Run.emit

    def noting(self, event):
        emit(self, event)
        found.append((self.state.execution_id, event))

    monkeypatch.setattr(Run, "emit", noting)
    return found


def ran(plan, order):
    order.clear()
    books = Books()
    saga, scenario = built(plan, books)
    execution = simulate(saga, scenario=scenario, id="root")
    return execution, books, saga, list(order)


@MANY
@given(plan=plans())
def test_it_ends_and_what_was_done_stays_or_is_undone(order, plan):
    execution, books, _, _ = ran(plan, order)
    assert execution.status in ("completed", "compensated", "stuck")
    pivots = [number for number, part in enumerate(plan) if part[0] == "pivot"]
    if execution.status == "compensated" and '"cannot"' not in repr(plan).replace("'", '"'):
        undoable = {key for key in books.left if not _kept_on_purpose(key, execution)}
        assert not undoable
        assert not pivots or execution.states[f"s{pivots[0]}"] != "succeeded"


def _kept_on_purpose(key, execution):
    """Whether the step of this key has no compensation."""
    *path, name, _ = key.split("/")[1:]
    for outer in path:
        execution = execution.children[outer]
    return execution.saga[name].compensation is None


@MANY
@given(plan=plans())
def test_every_execution_in_it_keeps_the_order_of_its_steps(order, plan):
    _, _, saga, events = ran(plan, order)
    of_each = defaultdict(list)
    for id, event in events:
        of_each[id].append(event)
    sagas = {one.fingerprint: one for one in saga.family()}
    for events_of_one in of_each.values():
        first = events_of_one[0]
        assert isinstance(first, ExecutionStarted)
        one = sagas[first.fingerprint].given(first.input)
        settled, begun, undone = set(), set(), []
        for event in events_of_one[1:]:
            if isinstance(event, StepStarted):
                assert set(one[event.step].after) <= settled
                assert not undone, "nothing new starts once something is undone"
                begun.add(event.step)
            elif isinstance(event, CompensationStarted):
                undone.append(event.step)
            elif isinstance(event, StepSucceeded) or type(event).__name__ == "StepSkipped":
                settled.add(event.step)
        place = {name: number for number, name in reversed(list(enumerate(undone)))}
        for name in place:
            for above in one[name].after:
                if above in place:
                    assert place[name] < place[above]


@MANY
@given(plan=plans())
def test_a_second_run_gives_the_same_events(order, plan):
    assert ran(plan, order)[3] == ran(plan, order)[3]


@settings(MANY, max_examples=max(10, settings.default.max_examples // 3))
@given(plan=plans())
def test_a_crash_after_any_event_leads_to_the_same_end(order, plan):
    execution, books, _, events = ran(plan, order)
    for cut in range(1, len(events)):
        after_crash = Books()
        saga, scenario = built(plan, after_crash)
        kept: dict[str, list[Any]] = defaultdict(list)
        for id, event in events[:cut]:
            kept[id].append(event)
            _play(after_crash, id, event, kept[id])
        again = resume(saga, kept.pop("root"), scenario=scenario, children=kept)
        assert again.status == execution.status, f"after {cut} events"
        if execution.status == "compensated":  # how far what cannot be undone got is chance
            assert not {key for key in after_crash.left if not _kept_on_purpose(key, again)}
        else:
            assert after_crash.left == books.left, f"after {cut} events"


def _play(books, id, event, events):
    """What the participants' books say after this event, the calls under way not counted."""
    match event:
        case StepSucceeded(step=name) if any(
            isinstance(other, StepStarted) and other.step == name and other.child is None
            for other in events
        ):
            if event.result is not None and event.result == name:
                books.done[f"{id}/{name}/action"] = "done"
        case _ if type(event).__name__ == "CompensationSucceeded":
            key = f"{id}/{event.step}/action"
            if books.done.get(key) == "done":
                books.done[key] = "suspended"


@MANY
@given(plan=plans())
def test_its_yaml_form_gives_an_equal_saga(plan):
    books = Books()
    saga, _ = built(plan, books)
    actions = [books.act, books.refuse, books.fail, books.undo, books.cannot, never]
    assert Saga.from_yaml(saga.to_yaml(), actions=actions) == saga
