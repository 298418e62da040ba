"""Sagas of all constructs at once, inside one another, with real actions and the books of those who
take part; and whatever happens to them from outside."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from hypothesis import strategies as st
from msgspec.structs import replace

from sagakit import (
    Bulkhead,
    CircuitBreaker,
    Execution,
    Hedge,
    InDoubtError,
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
from sagakit.spec import Simulated
from sagakit.steps import ForEach

MONTH = 2_592_000.0  # seconds
AGAIN = Retry(2, wait=0.25)
IN_DOUBT = ("lose", "keep_silent")
FAULTS = ("slow", "slow", "repeat", "late", "undo fails once")  # from a scenario


class Books:
    """What stands in the participants' books, by idempotency key: safe participants."""

    def __init__(self) -> None:
        self.done: dict[str, str] = {}
        self.cured = False  # what could not be undone now can

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

    def lose(self, ctx: Any) -> None:
        self.act(ctx)
        raise InDoubtError("the reply is lost")

    def keep_silent(self, ctx: Any) -> None:
        raise InDoubtError("no answer, and nothing happened")

    def undo(self, ctx: Any) -> None:
        self.done[ctx.action_key] = "suspended"

    def cannot(self, ctx: Any) -> None:
        if not self.cured:
            raise TerminalError("no way back")
        self.undo(ctx)

    @property
    def left(self) -> set[str]:
        """What has been done and stays."""
        return {key for key, state in self.done.items() if state == "done"}


def never(ctx: Any) -> bool:
    """A reconcile that promises: it did not happen and never will."""
    del ctx
    return False


def whose(ctx: Any) -> str:
    """What an event finds its wait by: the place where it waits, on whichever attempt."""
    return place_of(ctx.execution_id)


def place_of(execution_id: str) -> str:
    return re.sub(r"//\d+", "", execution_id)


def items(count: int) -> Any:
    return Simulated("items", result=list(range(count)))


# -- what is generated ----------------------------------------------------------------------


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
        found.append(draw(_parts(depth, after_pivot)))
    return found


@st.composite
def _parts(draw: st.DrawFn, depth: int, behind: bool) -> Any:
    kinds = ["step", "step", "step", "timer", "event", "choice"]
    kinds += ["saga", "each", "each saga"] * 2 if depth else []
    kind = draw(st.sampled_from(kinds))
    fails = None
    if not behind:
        fails = draw(st.sampled_from([None] * 6 + ["refuse", "fail", "retry", *IN_DOUBT]))
    undo = None if behind else draw(st.sampled_from(["undo"] * 6 + ["cannot", None]))
    if fails and undo:
        undo = "undo"  # a crash leaves it in doubt: then it is undone, and must not get stuck there
    beside = draw(st.booleans())
    match kind:
        case "step":
            when = draw(st.sampled_from([None, None, None, True, False, "yes", "no"]))
            return ("step", fails, undo, when, beside)
        case "timer":
            return ("timer", draw(st.sampled_from([0.5, MONTH])), beside)
        case "event":
            never_comes = not behind and draw(st.integers(0, 3)) == 0
            return ("event", never_comes, draw(st.booleans()), undo, beside)
        case "choice":
            chosen = draw(st.sampled_from(["left", "right"]))
            return ("choice", chosen, fails, undo)
        case "saga":
            again = draw(st.booleans())
            return ("saga", draw(plans(depth - 1, behind, root=False)), again, beside)
        case "each":
            return ("each", draw(st.integers(0, 3)), fails, undo, draw(st.integers(1, 2)), beside)
        case "each saga":
            inner = draw(plans(depth - 1, behind, root=False))
            return ("each saga", draw(st.integers(0, 2)), inner, draw(st.integers(1, 2)), beside)
    raise AssertionError(kind)


class World(NamedTuple):
    """A plan, and what else happens around it."""

    plan: list[Any]
    deadline: float | None = None
    cancelled_at: float | None = None
    policies: tuple[str, ...] = ()  # of the service that all steps call
    decision: str | None = None  # of the operator, if it gets stuck
    faults: tuple[tuple[str, int], ...] = ()  # what a scenario does to which of the calls

    @property
    def calm(self) -> World:
        """The same, and nobody hurries it or calls it off."""
        return self._replace(deadline=None, cancelled_at=None)

    @property
    def hurried(self) -> bool:
        return self.calm != self

    @property
    def raced(self) -> bool:
        """Whether times decide how it ends, and a crash changes those: what a service's guard
        remembers is lost, and a slow call begins anew."""
        slow = any(kind == "slow" for kind, _ in self.faults)
        return bool(self.policies or slow) and (self.hurried or self.may_get_stuck)

    @property
    def may_get_stuck(self) -> bool:
        gives_up = "retry_budget" in self.policies and "undo fails once" in dict(self.faults)
        return gives_up or "'cannot'" in repr(self.plan)


POLICIES: dict[str, Any] = {
    "breaker": CircuitBreaker(failures=1, reset=3),
    "bulkhead": Bulkhead(calls=1),
    "rate_limit": RateLimit(calls=2, burst=1),
    "retry_budget": RetryBudget(least=0.2),
    "hedge": Hedge(after=0.1),
}


_SOME_POLICIES = st.sets(st.sampled_from(sorted(POLICIES))).map(sorted).map(tuple)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Everything at once: a deadline, a cancellation, a service's policies, an operator."""
    return World(
        draw(plans()),
        deadline=draw(st.sampled_from([None, None, None, 0.1, 0.6, 3.3])),
        cancelled_at=draw(st.sampled_from([None, None, None, 0.0, 0.6, 3.3])),
        policies=draw(st.just(()) | st.just(tuple(POLICIES)) | _SOME_POLICIES),
        decision=draw(st.sampled_from([None, "retry", "skip", "abandon"])),
        faults=tuple(
            draw(st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 9)), max_size=2))
        ),
    )


@st.composite
def stuck_worlds(draw: st.DrawFn) -> World:
    """Those that get stuck on their way back, at a step or inside what does one."""
    world = draw(worlds())
    first: Any = ("step", None, "cannot", None, False)
    for _ in range(draw(st.integers(0, 2))):
        first = ("saga", [first], False, False)
    last = ("pivot", "refuse") if draw(st.booleans()) else ("step", "refuse", "undo", None, False)
    rest = [part for part in world.plan if part[0] != "pivot"]
    if rest and rest[0][-1] is True:  # beside the first one it might fail before that begins
        rest[0] = (*rest[0][:-1], False)
    decision = draw(st.sampled_from(["retry", "skip", "abandon"]))
    return world._replace(plan=[first, *rest, last], decision=decision)


# -- what is built of it --------------------------------------------------------------------


class Builder:
    """Builds the saga of a world, and the scenario that sends what it waits for.

    Parameters:
        pace: how long a second takes (seconds); in real time nobody waits a month.
    """

    def __init__(self, books: Books, world: World, pace: float = 1.0) -> None:
        self.books = books
        self.world = world
        self.pace = pace
        self.scenario = Scenario()
        self.letters: list[tuple[str, str]] = []  # events that come, and the places they come to
        self.calls: list[tuple[str, Any]] = []  # the places where one is made; how it is undone
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
        placed = list(Saga("placed", *steps).steps)  # every step says what it comes after
        bodies = [i.action.body if isinstance(i.action, ForEach) else i for i in placed]
        services = [self.service()] if any(i.service for i in bodies) else []
        if not any(i.read for i in bodies):
            services = [replace(service, hedge=None) for service in services]
        deadline = None if deadline is None else deadline * self.pace
        return Saga(name, *placed, deadline=deadline, services=services)

    def service(self) -> Service:
        policies = {}
        for name in self.world.policies:
            policy = POLICIES[name]
            times = ("reset", "per", "window", "after")
            found = {time: getattr(policy, time, None) for time in times}
            paced = {time: was * self.pace for time, was in found.items() if was is not None}
            policies[name] = replace(policy, **paced)
        return Service("bank", **policies)

    def retry(self) -> Retry:
        return replace(AGAIN, wait=AGAIN.wait * self.pace)

    def pivot(self, label: str, fails: str | None, after: tuple[str, ...]) -> Step:
        act = self.books.act if fails is None else self.books.refuse
        ask = None if fails is None else never
        return pivot(act, name=label, after=after, reconcile=ask)

    def simple(self, label: str, fails: str | None, undo: str | None, after: Any) -> Step:
        action = "act" if fails in (None, "retry") else fails
        return step(
            getattr(self.books, action),
            getattr(self.books, undo) if undo else None,
            name=label,
            after=after,
            retry=self.retry() if fails not in (None, "refuse") else None,
            service="bank",
            read=undo is None,
        )

    def event(self, part: Any, label: str, after: Any, path: tuple[str, ...]) -> Step:
        _, never_comes, goes_on, undo, _ = part
        if not never_comes:
            self.scenario = self.scenario.signal(f"{label}!", at=1.0, to="/".join(path))
            self.letters.append((f"{label}!", "/".join(("root", *path))))
        return await_event(
            f"{label}!",
            correlate=whose,
            name=label,
            after=after,
            timeout=5.0 * self.pace if never_comes else None,
            on_timeout="continue" if goes_on or undo is None else "fail",
            compensation=self.books.undo if undo else None,
        )

    def part(self, part: Any, label: str, after: Any, path: tuple[str, ...]) -> tuple[Step, ...]:
        match part:
            case ("step", fails, undo, when, _):
                self.calls.append(("/".join((*path, label)), undo))
                if isinstance(when, str):
                    when = Simulated(when, result=when == "yes")
                return (replace(self.simple(label, fails, undo, after), when=when),)
            case ("timer", seconds, _):
                seconds = seconds if self.pace == 1.0 else min(seconds, 1.0) * self.pace
                return (timer(label, seconds, after=after),)
            case ("event", *_):
                return (self.event(part, label, after, path),)
            case ("choice", chosen, fails, undo):
                branches = {
                    "left": [self.simple(f"{label}l", fails, undo, None)],
                    "right": [
                        self.simple(f"{label}r", None, undo, None),
                        self.simple(f"{label}rr", None, undo, None),
                    ],
                }
                return choice(label, Simulated("by", result=chosen), branches, after=after)
            case ("saga", plan, again, _):
                inner = self.saga(plan, "in", (*path, label))
                retry = self.retry() if again else None
                return (sub_saga(inner, name=label, after=after, retry=retry),)
            case ("each", count, fails, undo, limit, _):
                body = self.simple("w", fails, undo, None)
                for number in range(count):
                    self.calls.append(("/".join((*path, label, str(number))), undo))
                return (for_each(label, items(count), body, limit=limit, after=after),)
            case ("each saga", count, plan, limit, _):
                before = self.scenario, self.letters.copy(), self.calls.copy()
                body = self.saga(plan, "in")
                self.scenario, self.letters, self.calls = before
                for number in range(count):  # a signal names the item
                    self.saga(plan, "in", (*path, label, str(number)))
                return (for_each(label, items(count), body, limit=limit, after=after),)
        raise AssertionError(part)


def built(world: World, books: Books) -> tuple[Saga, Scenario]:
    """The saga of a world as it runs in virtual time, and what happens to it."""
    builder = Builder(books, world)
    saga, scenario = builder.saga(world.plan), builder.scenario
    for kind, number in world.faults:
        wanted = {"late": ["undo"], "undo fails once": ["undo"], "slow": [None]}.get(kind)
        places = [place for place, undo in builder.calls if wanted is None or undo in wanted]
        if places:
            scenario = _with_fault(scenario, kind, places[number % len(places)])
    return saga, scenario


def _with_fault(scenario: Scenario, kind: str, place: str) -> Scenario:
    """A fault that strikes at every attempt, or changes nothing in the end: after a crash there is
    one attempt more."""
    match kind:
        case "repeat":
            return scenario.repeat(place)
        case "slow":
            return scenario.slow(place, 0.3)
        case "late":
            return scenario.deliver_late(place)
    return scenario.fail_compensation(place, 1)


# -- what may be expected of it -------------------------------------------------------------


class Ends(NamedTuple):
    """How a world may end before an operator decides, and what then stands in the books.

    When two things race each other (a deadline and the work before it, say), who wins may differ
    from run to run; that one of them has won is certain.
    """

    statuses: set[str]
    left: set[str]  # if it is completed

    def check(self, execution: Execution, books: Books, world: World) -> None:
        decided = {None: set[str](), "abandon": {"abandoned"}}.get(world.decision, {"compensated"})
        expected = self.statuses | (decided if "stuck" in self.statuses else set())
        assert execution.status in expected
        if execution.status == "completed":
            assert books.left == self.left
        elif execution.status == "compensated":
            assert {key for key in books.left if not kept_on_purpose(key, execution)} == set()


def ends_of(world: World) -> Ends:
    """What may be expected of a world, told by what it comes to when nothing else happens."""
    books = Books()
    saga, scenario = built(world.calm._replace(policies=(), decision=None), books)
    calm = simulate(saga, scenario=scenario, id="root")
    assert calm.status in ("completed", "compensated", "stuck")
    back = {"compensated", "stuck"} if world.may_get_stuck else {"compensated"}
    if calm.status != "completed":
        return Ends(back, set())
    return Ends({"completed", *(back if world.hurried else ())}, books.left)


def kept_on_purpose(key: str, execution: Execution) -> bool:
    """Whether the step of this key has no compensation, or somebody else has settled it."""
    *path, name = re.sub(r"//\d+", "", key).split("/")[1:-1]
    for outer in path:
        if outer in by_hand(execution):
            return True
        execution = execution.children[outer]
    return execution.saga[name].compensation is None or name in by_hand(execution)


def by_hand(execution: Execution) -> set[str]:
    """The steps that an operator said to have settled."""
    return {
        name
        for event in execution.events
        if type(event).__name__ == "ExecutionResolved" and event.resolution == "skip"
        for name in event.steps
    }


def family(execution: Execution) -> Iterator[Execution]:
    yield execution
    for child in execution.children.values():
        yield from family(child)


def own_stuck(execution: Execution) -> tuple[str, ...]:
    """The steps that are stuck by themselves, and not because the saga inside them is."""
    if execution.status != "stuck":
        return ()
    inside = {name for name, child in execution.children.items() if child.status == "stuck"}
    return tuple(name for name in execution.stuck_steps if name not in inside)


def by_execution(events: list[tuple[str, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for id, event in events:
        found[id].append(event)
    return found
