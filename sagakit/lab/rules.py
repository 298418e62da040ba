"""The rules by which other tools undo a saga: which steps, in which order, and what if that fails.

A rule is a generator. It is told how far the way forward led, and gives the names of steps whose
compensations are to be called at once; it is sent back those of them that failed. In the end it
returns what its caller is told: the names of steps whose actions failed, and ``undo …`` of those
whose compensations did. What the Python tools do was measured, with the versions that
``tests/benchmarks/requirements.txt`` pins; ``tests/lab/test_peers.py`` runs them beside these. What
Camunda does is what its issues say of it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping

import msgspec

Names = tuple[str, ...]
Undoing = Generator[Names, Names, Names]


class Turned(msgspec.Struct, frozen=True):
    """What a rule knows when the way forward has ended before its end. All are names.

    Parameters:
        begun: the steps whose actions were called, in the order of their first calls.
        succeeded: those that did, in the order in which they did.
        failed: those given up, in that order; whether they happened nobody asks.
        attempts: how often a compensation may be called, by the policy of its step.
    """

    begun: Names
    succeeded: Names
    failed: Names
    attempts: Mapping[str, int]


Rule = Callable[[Turned], Undoing]


def reverse_order(turned: Turned) -> Undoing:
    """What has succeeded, or is in doubt, is undone in reverse order, by its retry policy; what
    cannot be undone leaves the execution stuck. sagakit's own rule, and no model: the coordinator
    itself is run."""
    raise NotImplementedError("the coordinator does this")


def all_at_once(turned: Turned) -> Undoing:
    """All compensations are called at once, in no order, and each is retried. A step that failed
    has not completed, and is not undone. Camunda 8 (camunda/camunda#14920), whose incident tells
    of one that gives up (camunda/camunda#15333)."""
    left, calls = turned.succeeded, 0
    given_up: Names = ()
    while left:
        failed = yield left
        calls += 1
        given_up += tuple(name for name in failed if turned.attempts[name] <= calls)
        left = tuple(name for name in failed if turned.attempts[name] > calls)
    return turned.failed + _undo(given_up)


def undo_failed_step(turned: Turned) -> Undoing:
    """The step that failed is undone as well, first of all; one call each, and all errors are
    told. saga_py 1.1."""
    return (yield from _each(turned, (*turned.succeeded, *turned.failed[:1])))


def stop_at_first_failure(turned: Turned) -> Undoing:
    """The first compensation that fails is the last one called: its error alone is told, and what
    stands before it stays. sagah 0.1."""
    for name in reversed(turned.succeeded):
        if (yield (name,)):
            return _undo((name,))
    return turned.failed


def swallow_failures(turned: Turned) -> Undoing:
    """A compensation that fails is passed over, and nobody hears of it: the caller gets the
    action's error as though all had been undone. sagaz 1.5, simple-saga 0.1."""
    for name in reversed(turned.succeeded):
        yield (name,)
    return turned.failed


def register_before(turned: Turned) -> Undoing:
    """Each compensation is registered before its action is called: whatever was begun is undone,
    whether it happened or not. One call each, and all errors are told. Sagas written by hand on
    Temporal, with a list of compensations, often are like this."""
    return (yield from _each(turned, turned.begun))


def register_after(turned: Turned) -> Undoing:
    """Each compensation is registered once its action has returned: what happened without an
    answer is not undone. One call each, and all errors are told. py-api-saga 0.0.3, and most
    sagas written by hand."""
    return (yield from _each(turned, turned.succeeded))


def _each(turned: Turned, names: Names) -> Undoing:
    failed: Names = ()
    for name in reversed(names):
        failed += yield (name,)
    return turned.failed + _undo(failed)


def _undo(names: Iterable[str]) -> Names:
    return tuple(f"undo {name}" for name in names)


RULES: tuple[Rule, ...] = (
    reverse_order,
    all_at_once,
    undo_failed_step,
    stop_at_first_failure,
    swallow_failures,
    register_before,
    register_after,
)
