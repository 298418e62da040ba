"""Hypothesis strategies for the failure lab (they need ``pip install 'sagakit[hypothesis]'``).

``scenarios(saga)`` gives scenarios that fit a saga; a property then holds under all of them or is
shown to break under the smallest that Hypothesis finds::

    @given(scenarios(checkout))
    def test_the_books_balance(scenario):
        simulate(checkout, ORDER, scenario=scenario)
        assert books().balanced
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

try:
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "sagakit.lab.strategies and sagakit.lab.machine need Hypothesis: "
        "pip install 'sagakit[hypothesis]'",
        name=error.name,
    ) from error

from sagakit.journal import codec
from sagakit.lab.dice import SECONDS, Target, targets_at
from sagakit.saga import Saga
from sagakit.scenario import Cancellation, Crash, Fault, FaultKind, Scenario, Signal

TIMES = (0.0, 0.5, 5.0, 60.0, 3600.0)  # of signals and cancellations, in seconds from the start
COPIES = (1, 0, 2)  # how often a signal comes; as it should first
SIMPLEST: tuple[FaultKind, ...] = get_args(FaultKind)  # the kinds, those first that tell the most

Signals = bool | Mapping[str, st.SearchStrategy[Any]]


def scenarios(
    saga: Saga,
    *,
    faults: int = 3,
    crashes: bool = True,
    signals: Signals = True,
    cancels: bool = True,
    items: int = 3,
    only: Callable[[Fault], bool] = lambda fault: True,  # noqa: ARG005
) -> st.SearchStrategy[Scenario]:
    """Scenarios that fit a saga: ``scenario.check(saga, crashes=True)`` accepts each, and an
    execution under each ends, gets stuck or waits.

    A fault is of every kind that can strike there: each action and compensation, those of sagas
    inside this one too, at one of its attempts, the first few, or for good; behind the pivot not
    for good, for there a step is tried until it succeeds.

    The simplest scenario has no fault and no crash, nobody calls it off, and each event that the
    saga waits for comes once, at its start. That is what examples shrink to: fewer failures, then
    failures at earlier attempts, of steps further up.

    Parameters:
        faults: how many failures, at most: faults and crashes together.
        crashes: whether the coordinator may crash. Only virtual time can do that: give False for
            scenarios of ``run`` and ``Engine``.
        signals: whether what the saga waits for is sent: mostly once, sometimes not at all or
            twice, at any of some times; or the strategies of the payloads by event.
        cancels: whether it may be called off.
        items: of a step that is done for each item, the faults strike the first so many.
        only: which faults may be among them.

    Raises:
        ValueError: a negative number of faults, or payloads of an event that the saga never
            waits for.
    """
    if faults < 0:
        raise ValueError(f"faults is {faults}; give 0 or more")
    places = list(_inside(saga, "", items, ends=True))
    failing: list[st.SearchStrategy[Any]] = list(_failures(places, items, only))
    if crashes:
        failing.append(_crashes(places))
    failures = st.lists(st.one_of(failing), max_size=faults, unique_by=_place)
    outside = _signals(saga, places, signals)
    if cancels:
        outside.append(st.just(()) | st.builds(_called_off, st.sampled_from(TIMES)))
    return st.builds(_scenario, failures, st.tuples(*outside))


def _scenario(failures: list[Fault | Crash], outside: tuple[tuple[Any, ...], ...]) -> Scenario:
    return Scenario(
        faults=tuple(one for one in failures if isinstance(one, Fault)),
        interventions=tuple(what for some in outside for what in some),
        crashes=tuple(one for one in failures if isinstance(one, Crash)),
    )


def _place(failure: Fault | Crash) -> tuple[object, ...]:
    """What two failures of one scenario must not have in common: only one of them would strike."""
    if isinstance(failure, Crash):
        return failure.to, failure.event
    return failure.step, failure.side, failure.attempt, failure.first


# -- where something can fail -----------------------------------------------------------------

_Inside = tuple[str, Saga, bool]  # the way to it, the saga, and whether a step there may give up


def _inside(saga: Saga, path: str, items: int, *, ends: bool) -> Iterator[_Inside]:
    """A saga, and those that do steps of it."""
    yield path, saga, ends
    for number, name in _steps(saga, items):
        if number in saga.plan.nests:
            below = ends and saga.plan.kinds[number] != "retriable"
            inner = saga.child(saga.plan.names[number])
            yield from _inside(inner, f"{path}{name}/", items, ends=below)


def _steps(saga: Saga, items: int) -> Iterator[tuple[int, str]]:
    """The numbers of its steps, and what a scenario calls them: by the item, where it has one
    step that is done for each."""
    if "for_each" in saga.shape:
        yield from ((0, str(item)) for item in range(items))
    else:
        yield from enumerate(saga.plan.names)


def _failures(
    places: list[_Inside], items: int, only: Callable[[Fault], bool]
) -> Iterator[st.SearchStrategy[Fault]]:
    """For each kind of fault one strategy, so that all kinds are as likely."""
    found: defaultdict[FaultKind, list[Fault]] = defaultdict(list)
    for path, saga, ends in places:
        for number, name in _steps(saga, items):
            for fault in _at_step(saga, number, f"{path}{name}", ends):
                if only(fault):
                    found[fault.kind].append(fault)
    for kind in SIMPLEST:
        if found[kind]:
            yield st.sampled_from(sorted(found[kind], key=_rank))


def _rank(fault: Fault) -> tuple[int, int]:
    """How much of an outage it is: one attempt, the first few, all of them."""
    if fault.attempt is not None:
        return 0, fault.attempt
    return (2, 0) if fault.first is None else (1, fault.first)


def _at_step(saga: Saga, number: int, at: str, ends: bool) -> Iterator[Fault]:
    for target in targets_at(saga, number, at, ends=ends):
        for kind in target.once:
            for seconds in SECONDS if kind == "slow" else (0.0,):
                yield from _at_attempts(target, kind, seconds)
        for kind in target.for_good:
            yield Fault(kind, at, target.side)
    wait = saga.plan.waits.get(number)
    if wait is not None and wait.event is not None:
        yield Fault("drop", at)


def _at_attempts(target: Target, kind: FaultKind, seconds: float) -> Iterator[Fault]:
    for attempt in range(1, target.attempts + 1):
        yield Fault(kind, target.step, target.side, attempt, seconds)
    for first in range(2, target.attempts + 1):
        yield Fault(kind, target.step, target.side, None, seconds, first)


def _crashes(places: list[_Inside]) -> st.SearchStrategy[Crash]:
    """Crashes of each saga's coordinator. Events beyond the last one never come."""
    # a start and an end of each step forth and back, some attempts more, and those of the whole
    found = [
        Crash(event, written, path.removesuffix("/"))
        for path, saga, _ in places
        for event in range(1, 4 * len(saga.plan.names) + 7)
        for written in (True, False)
    ]
    return st.sampled_from(sorted(found, key=lambda crash: crash.event))


# -- what comes from outside ------------------------------------------------------------------


def _signals(saga: Saga, places: list[_Inside], wanted: Signals) -> list[Any]:
    """For each wait a strategy of the signals that come for it."""
    if wanted is False:
        return []
    payloads = {} if wanted is True else dict(wanted)
    waits = [
        (path.removesuffix("/"), wait.event)
        for path, inside, _ in places
        for wait in inside.plan.waits.values()
        if wait.event is not None
    ]
    strange = payloads.keys() - {event for _, event in waits}
    if strange:
        names = ", ".join(f"'{event}'" for event in sorted(strange))
        raise ValueError(f"saga '{saga.name}' never waits for the event {names}")
    return [_signal(event, payloads.get(event, st.none()), to) for to, event in waits]


def _signal(event: str, payload: st.SearchStrategy[Any], to: str) -> st.SearchStrategy[Any]:
    # all of it is drawn each time, so that no signal is not simpler than one
    return st.builds(
        functools.partial(_sent, event, to),
        st.sampled_from(COPIES),
        payload,
        st.sampled_from(TIMES),
        st.sampled_from(TIMES),
    )


def _sent(
    event: str, to: str, copies: int, payload: Any, at: float, again: float
) -> tuple[Signal, ...]:
    kept = codec.plain(payload, f"the signal '{event}': its payload")
    return tuple(Signal(event, kept, when, to=to) for when in (at, again)[:copies])


def _called_off(at: float) -> tuple[Cancellation]:
    return (Cancellation(at),)
