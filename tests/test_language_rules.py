"""Sagas of all constructs at once, inside one another: the rules of execution hold, and a crash
after any event changes nothing in the end. In virtual time, with real actions and real books."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sagakit import (
    Bulkhead,
    CircuitBreaker,
    Hedge,
    RateLimit,
    Retry,
    RetryBudget,
    Saga,
    Scenario,
    Service,
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
    ExecutionResolved,
    ExecutionStarted,
    StepStarted,
    StepSucceeded,
)
from sagakit.spec import Simulated
from sagakit.steps import ForEach

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
            when = draw(st.sampled_from([None, None, None, True, False, "yes", "no"]))
            return ("step", fails, undo, when, beside)
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


class World(NamedTuple):
    """A plan, and what else happens around it.

    At most one of these at a time: what a service's policies remember is lost in a crash, and by
    it the times of what follows, which decide who comes first, the deadline or the end.
    """

    plan: list[Any]
    deadline: float = 10_000_000.0
    cancelled_at: float | None = None
    guarded: tuple[Service, ...] = ()


POLICIES: dict[str, Any] = {
    "breaker": CircuitBreaker(failures=1, reset=3),
    "bulkhead": Bulkhead(calls=1),
    "rate_limit": RateLimit(calls=2, burst=1),
    "retry_budget": RetryBudget(least=0.2),
    "hedge": Hedge(after=0.1),
}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    plan = draw(plans())
    match draw(st.sampled_from(["calm", "deadline", "cancelled", "guarded"])):
        case "deadline":
            return World(plan, deadline=draw(st.sampled_from([0.1, 0.6, 3.3])))
        case "cancelled":
            return World(plan, cancelled_at=draw(st.sampled_from([0.0, 0.6, 3.3])))
        case "guarded":
            chosen = draw(st.sets(st.sampled_from(sorted(POLICIES)), min_size=1))
            policies = {name: POLICIES[name] for name in sorted(chosen)}
            return World(plan, guarded=(Service("bank", **policies),))
    return World(plan)


class Builder:
    """Builds the saga of a plan, and the scenario that sends what it waits for."""

    def __init__(self, books: Books, world: World) -> None:
        self.books = books
        self.world = world
        self.scenario = Scenario()
        if world.cancelled_at is not None:
            self.scenario = self.scenario.cancel(at=world.cancelled_at)

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
        deadline = self.world.deadline if name == "root" else None
        placed = self._placed(steps)
        bodies = [i.action.body if isinstance(i.action, ForEach) else i for i in placed]
        services = self.world.guarded if any(i.service for i in bodies) else ()
        if not any(i.read for i in bodies):
            services = tuple(replace(service, hedge=None) for service in services)
        return Saga(name, *placed, deadline=deadline, services=services)

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
            service="bank",
            read=undo is None,
        )

    def part(self, part: Any, label: str, after: Any, path: tuple[str, ...]) -> tuple[Step, ...]:
        inner = "/".join(path)
        match part:
            case ("step", fails, undo, when, _):
                if isinstance(when, str):
                    when = Simulated(when, result=when == "yes")
                return (replace(self.simple(label, fails, undo, after), when=when),)
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
                waiting = self.scenario
                body = self.saga(plan, "in")
                self.scenario = waiting
                for number in range(count):  # a signal names the item
                    self.saga(plan, "in", (*path, label, str(number)))
                return (for_each(label, items(count), body, limit=limit, after=after),)
        raise AssertionError(part)


def built(world: World, books: Books) -> tuple[Saga, Scenario]:
    builder = Builder(books, world)
    return builder.saga(world.plan), builder.scenario


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


def ran(world, order):
    order.clear()
    books = Books()
    saga, scenario = built(world, books)
    execution = simulate(saga, scenario=scenario, id="root")
    return execution, books, saga, list(order)


@MANY
@given(world=worlds())
def test_it_ends_and_what_was_done_stays_or_is_undone(order, world):
    execution, books, _, _ = ran(world, order)
    assert execution.status in ("completed", "compensated", "stuck")
    pivots = [number for number, part in enumerate(world.plan) if part[0] == "pivot"]
    if execution.status == "compensated" and '"cannot"' not in repr(world.plan).replace("'", '"'):
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
@given(world=worlds())
def test_every_execution_in_it_keeps_the_order_of_its_steps(order, world):
    _, _, saga, events = ran(world, order)
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
@given(world=worlds())
def test_a_second_run_gives_the_same_events(order, world):
    assert ran(world, order)[3] == ran(world, order)[3]


@settings(MANY, max_examples=max(10, settings.default.max_examples // 3))
@given(world=worlds())
def test_a_crash_after_any_event_leads_to_the_same_end(order, world):
    execution, books, _, events = ran(world, order)
    for cut in range(1, len(events)):
        after_crash = Books()
        saga, scenario = built(world, after_crash)
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
@given(world=worlds())
def test_its_yaml_form_gives_an_equal_saga(world):
    books = Books()
    saga, _ = built(world, books)
    actions = [books.act, books.refuse, books.fail, books.undo, books.cannot, never]
    assert Saga.from_yaml(saga.to_yaml(), actions=actions) == saga


@settings(MANY, max_examples=max(10, settings.default.max_examples // 3))
@given(plan=plans(), deep=st.booleans())
def test_what_is_stuck_goes_on_when_the_operator_skips_it(order, plan, deep):
    first: Any = ("step", None, "cannot", None, False)
    first = ("saga", [("saga", [first], False)], False) if deep else first
    plan = [("pivot", "refuse") if part[0] == "pivot" else part for part in plan]
    last = [] if ("pivot", "refuse") in plan else [("step", "refuse", "undo", None, False)]
    execution, _, saga, _ = ran(World([first, *plan, *last]), order)
    assert execution.status == "stuck"
    for _ in range(20):
        if execution.status != "stuck":
            break
        events = {one.id: list(one.events) for one in family(execution)}
        now = max(found[-1].at for found in events.values())
        for one in family(execution):
            steps = _own_stuck(one)
            if steps:
                events[one.id].append(ExecutionResolved(now, "skip", "ann", "by hand", steps))
        execution = resume(saga, events.pop("root"), children=events)
    assert execution.status == "compensated"


def family(execution):
    yield execution
    for child in execution.children.values():
        yield from family(child)


def _own_stuck(execution):
    """The steps that are stuck by themselves, and not because the saga inside them is."""
    if execution.status != "stuck":
        return ()
    inside = {name for name, child in execution.children.items() if child.status == "stuck"}
    return tuple(name for name in execution.stuck_steps if name not in inside)
