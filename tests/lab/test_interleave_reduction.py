"""What is left out of the interleavings is like one that ran: nothing that can be found is lost."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sagakit import Retry, Saga, Scenario, TerminalError, pivot, step
from sagakit.lab import Interleavings, Table, World, interleave

ROWS = {"rows": {"x": 0, "y": 1}}
KEYS = st.sampled_from("xyz")  # z is not there at first
OPERATIONS = st.one_of(
    st.tuples(st.sampled_from(["read", "check", "delete", "put read"]), KEYS),
    st.tuples(
        st.sampled_from(["put", "add", "take", "swap", "refuse above", "wait above"]),
        KEYS,
        st.integers(1, 2),
    ),
    st.tuples(st.just("count")),
)
CALLS = st.lists(OPERATIONS, max_size=3)
STEPS = st.lists(st.tuples(CALLS, st.none() | CALLS), min_size=1, max_size=3)


def call(world: Callable[[], Any], operations: list[tuple[Any, ...]]) -> Callable[[Any], Any]:
    def act(ctx: Any) -> Any:
        rows = world().rows
        seen: Any = sum(value for value in dict(ctx.results).values() if value) % 3
        for what, *more in operations:
            key = more[0] if more else None
            match what:
                case "read":
                    seen = rows.get(key, 0)
                case "check":
                    rows.check(key)
                case "delete":
                    rows.pop(key, None)
                case "put read":
                    rows[key] = seen
                case "put":
                    rows[key] = more[1]
                case "add":
                    rows.commute(key, lambda value, by=more[1]: value + by, 0)
                case "take":
                    seen = rows.add(key, -more[1], least=0)
                case "swap":
                    seen = rows.swap(key, more[1], 2)
                case "count":
                    seen = len(rows)
                case "refuse above" if rows.check(key, 0) > more[1]:
                    raise TerminalError("too much")
                case "wait above" if rows.check(key, 0) > more[1]:
                    raise ValueError("not yet")
        return seen

    return act


def saga(
    world: Callable[[], Any], name: str, steps: list[Any], point: int | None, tries: int
) -> Saga:
    made = [step(call(world, [("read", "x")]), name=f"{name}-looks")]
    for number, (action, undo) in enumerate(steps):
        # what waits has changed nothing yet: an endless retry must not write each time
        action = sorted(action, key=lambda operation: operation[0] != "wait above")
        label = f"{name}{number}"
        act = call(world, action)
        if point == number:
            made.append(pivot(act, name=label, retry=Retry(tries)))
        elif (point is not None and number > point) or undo is None:
            made.append(step(act, name=label))
        else:
            back, again = call(world, undo), Retry(2)
            made.append(step(act, back, name=label, retry=Retry(tries), compensation_retry=again))
    return Saga(name, *made)


@st.composite
def pairs(draw: Any) -> tuple[list[Any], list[Any]]:
    """What to say of two sagas: their steps, where the pivot is, and what fails."""
    shape = st.tuples(STEPS, st.none() | st.integers(0, 2), st.integers(1, 2))
    first, second = draw(shape), draw(shape)
    fails = [draw(st.none() | st.integers(0, len(steps) - 1)) for steps, _, _ in (first, second)]
    return [first, second], fails


def run(
    made: tuple[list[Any], list[Any]], *, forgetful: bool = False, **options: Any
) -> Interleavings:
    """Interleave them; a forgetful world cannot be set back, so every order begins anew."""
    there: dict[str, Any] = {"now": World(**ROWS)}

    def fresh() -> Any:
        there["now"] = (
            SimpleNamespace(rows=Table(ROWS["rows"])) if forgetful else there["now"].fresh()
        )
        return there["now"]

    shapes, fails = made
    sagas = [
        saga(lambda: there["now"], name, *shape) for name, shape in zip("ab", shapes, strict=True)
    ]
    scenarios = [
        None if fail is None else Scenario().fail(f"{name}{fail}")
        for name, fail, shape in zip("ab", fails, shapes, strict=True)
    ]
    return interleave(*sagas, world=fresh, scenarios=scenarios, **options)


def told(found: Interleavings) -> Any:
    """All that a report says but how many orders ran."""
    anomalies = {
        kind: (one.count, str(one), str(one.sequence()), one.interleaving.statuses)
        for kind, one in found.anomalies.items()
    }
    ends = [
        (end.count, end.serial, end.statuses, end.rows, str(end.interleaving))
        for end in found.outcomes
    ]
    return anomalies, ends, found.total


# Whose change makes the row z depends on the order, though the changes commute.
MAKE = [("add", "z", 1)]
COUNTED = [([(MAKE, None)], None, 1), ([([*MAKE, ("count",)], None)], None, 1)]
PUT = [([(MAKE, None), ([("put", "z", 1)], None)], None, 1), ([(MAKE, None)], None, 1)]


@settings(max_examples=400, deadline=None)
@given(pairs())
@example((COUNTED, [None, None]))
@example((PUT, [None, None]))
def test_the_reduced_search_tells_what_the_whole_one_does(made: Any) -> None:
    whole = run(made, reduce=False)
    reduced = run(made)
    assert whole.ran == whole.total
    assert reduced.ran <= whole.ran
    assert told(reduced) == told(whole)


@settings(max_examples=60, deadline=None)
@given(pairs())
def test_setting_back_and_beginning_anew_come_to_the_same(made: Any) -> None:
    assert told(run(made)) == told(run(made, forgetful=True))
