"""How long a saga may take, by what is declared: never more than it really may.

Counted are latencies of simulated calls, timeouts, attempts and the waits between them. What is not
declared counts as no time at all, so every number is a lower bound: what it says is sure.
"""

from __future__ import annotations

from collections.abc import Callable

from sagakit.lab.check.view import View
from sagakit.plan import Call
from sagakit.spec import Retry

_MANY = 1000  # waits that are added up one by one; from there on they hardly grow


def pauses(retry: Retry) -> float:
    """Seconds between the first attempt and the last one, all waits together."""
    count = retry.attempts - 1
    added = sum(retry.delay(n, 0.0) for n in range(1, min(count, _MANY) + 1))
    return added + max(0, count - _MANY) * retry.delay(_MANY, 0.0)


def longest(view: View, number: int) -> float:
    """Seconds from a step's start until it fails at its last attempt."""
    plan = view.plan
    if number in plan.waits:
        seconds = plan.waits[number].timeout
        return seconds if isinstance(seconds, int | float) else 0.0
    if number in plan.nests:
        inner = _inner(view, number)
        once = 0.0 if inner is None else forward(inner, longest)
    else:
        once = _attempt(plan.actions[number], plan.timeout[number])
    return once * plan.retry[number].attempts + pauses(plan.retry[number])


def shortest(view: View, number: int) -> float:
    """Seconds that a step takes when all goes well."""
    plan = view.plan
    if plan.whens[number] is not None:
        return 0.0  # it may be skipped
    if number in plan.waits:
        wait = plan.waits[number]
        timer = wait.event is None and isinstance(wait.timeout, int | float)
        return float(wait.timeout) if timer else 0.0  # type: ignore[arg-type]
    if number in plan.nests:
        inner = _inner(view, number)
        return 0.0 if inner is None else forward(inner, shortest)
    call = plan.actions[number]
    return 0.0 if call is None else call.latency


def undoing(view: View, number: int) -> float:
    """Seconds from a compensation's start until its last attempt has failed."""
    plan = view.plan
    if number in plan.nests:
        inner = _inner(view, number)
        return 0.0 if inner is None else backward(inner)
    call = plan.compensations[number]
    if call is None:
        return 0.0
    retry = plan.compensation_retry[number]
    once = _attempt(call, plan.compensation_timeout[number])
    return once * retry.attempts + pauses(retry)


def forward(view: View, seconds: Callable[[View, int], float]) -> float:
    """Seconds until the pivot is tried, or until the end of a saga without one."""
    pivot = view.plan.pivot
    before = None if pivot is None else {view.plan.index[n] for n in view.before(view.steps[pivot])}
    return _path(view, seconds, before)


def backward(view: View) -> float:
    """Seconds that undoing all of it takes at most, independent steps at once."""
    undone = {number for number, kind in enumerate(view.plan.kinds) if kind == "compensatable"}
    return _path(view, undoing, undone)


def _path(view: View, seconds: Callable[[View, int], float], among: set[int] | None) -> float:
    """The longest way through these steps, one after the other as they wait for each other."""
    ends: dict[int, float] = {}
    left = list(range(len(view.steps)))
    while left:  # in the order of their definition, mostly; a step may come after one below it
        later = []
        for number in left:
            above = view.plan.after[number]
            if any(other not in ends for other in above):
                later.append(number)
                continue
            own = seconds(view, number) if among is None or number in among else 0.0
            ends[number] = max((ends[other] for other in above), default=0.0) + own
        left = later
    return max(ends.values(), default=0.0)


def _attempt(call: Call | None, timeout: float | None) -> float:
    return timeout if timeout is not None else 0.0 if call is None else call.latency


def _inner(view: View, number: int) -> View | None:
    """The saga that does a step; None for what is done for each item: there may be none."""
    if view.plan.nests[number].each:
        return None
    name = view.plan.names[number]
    return View(view.saga.children[name], (*view.path, name), view)
