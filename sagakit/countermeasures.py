"""The six countermeasures against what sagas lose by having no isolation, for services to use.

Frank and Zahle ("Semantic ACID properties in multidatabases using remote procedure calls and update
propagations", Software: Practice and Experience 28, 1998) found them; Richardson ("Microservices
Patterns", 2018, section 4.3) gave them the names that they have here. None of them helps against
everything: `sagakit.lab.isolation_matrix` shows which one removes what.

===================  ==========================================================================
`SemanticLock`       a step marks a row as taken; others are turned away until the saga is over
`commutative_update` change by a difference, which gives the same in any order, within a bound
`pessimistic_view`   order the steps so that what may be undone never shows more than there is
`reread_value`       write only if the row is as it was when it was read
`VersionFile`        keep the operations, not the value, and apply them in the order they belong
`by_value`           by what is at stake: cheap and open to anomalies, or strict
===================  ==========================================================================

Four of them work on `Rows`, within one local transaction: `sagakit.services.SqlRows` for a service
with an SQL database, ``sagakit.lab.Table`` for the lab. ::

    @participant.action
    def spend_credit(connection, request: Order):
        credit = SqlRows(connection, customers.c.credit)
        commutative_update(credit, request.customer, -request.cents, least=0)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import msgspec

from sagakit.errors import DefinitionError, LockedError, StaleValueError, TerminalError
from sagakit.saga import Saga
from sagakit.steps import Step, choice

_AS_IT_IS: Any = object()


class Rows(Protocol):
    """One value for each key, within the local transaction of one service. A row that is not there
    reads as None, and nothing here makes it."""

    def get(self, key: Any, /) -> Any:
        """The row's value."""

    def check(self, key: Any, /) -> Any:
        """The row's value, for no other use than to decide whether to go on or to refuse; it stays
        so until the transaction ends."""

    def add(self, key: Any, by: Any, /, least: Any = None) -> bool:
        """Add to the value, unless it would fall below ``least``; whether that was done."""

    def swap(self, key: Any, seen: Any, new: Any, /) -> bool:
        """Put a new value in the place of the one seen; whether that one was still there."""


class SemanticLock:
    """Mark a row as belonging to a saga under way, until that one completes or is undone.

    A compensatable step takes the lock, before or as it reads or changes the row; the saga's last
    step on that row frees it, and so does the compensation. Whoever meets the lock of
    another saga gets a `LockedError`: a step without a ``retry`` is refused at once, one with a
    ``retry`` waits as long as that goes, a retriable step until the lock is free.

    The lock is data: it outlives the process, and a stuck saga keeps it until somebody resolves it.
    The compensation of a `Participant` is given what the action returned: return the owner in it.
    Take several in one order everywhere; two sagas that wait for each other end when the retries
    of one do.

    Parameters:
        rows: who holds each row: a nullable column beside the data, None while it is free.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def take(self, key: Any, owner: str) -> None:
        """Lock a row for a saga; it may have the lock already.

        Parameters:
            owner: ``ctx.execution_id``.

        Raises:
            LockedError: another saga has it.
            TerminalError: there is no such row.
        """
        self.check(key, owner)
        if not (self._rows.swap(key, None, owner) or self._rows.swap(key, owner, owner)):
            raise TerminalError(f"there is no row {key!r} to lock")

    def check(self, key: Any, owner: str) -> None:
        """Refuse if another saga has the lock: for a step that only reads, or is all of its saga
        that touches the row.

        Raises:
            LockedError: another saga has it.
        """
        holder = self._rows.check(key)
        if holder not in (None, owner):
            raise LockedError(key, holder)

    def free(self, key: Any, owner: str) -> None:
        """Give the lock back; nothing happens if the saga has it not, as in a compensation whose
        action never ran."""
        self._rows.swap(key, owner, None)


def commutative_update(rows: Rows, key: Any, by: Any, *, least: Any = None) -> None:
    """Change a row by a difference instead of setting it, so that no order of such changes loses
    one. The compensation is the opposite difference.

    Parameters:
        by: what is added; negative to take away.
        least: the change is refused if it would lead below; leave it out in a compensation, which
            must not be refused.

    Raises:
        TerminalError: the value would fall below ``least``, or there is no such row.
    """
    if not rows.add(key, by, least=least):
        value = rows.check(key)
        if value is None:
            raise TerminalError(f"there is no row {key!r} to change")
        raise TerminalError(f"{key!r} is {value!r} and cannot change by {by!r}: at least {least!r}")


def reread_value(rows: Rows, key: Any, seen: Any, new: Any = _AS_IT_IS) -> None:
    """Go on only if a row is as an earlier step has seen it, and write it in the same instant.

    Of a row with several columns, compare one that every change changes: a version number.

    Parameters:
        seen: what the step that read it returned: ``ctx.results["check_credit"]``.
        new: the value to write; left out, the row is compared and not changed.

    Raises:
        StaleValueError: the row is no longer so, whatever is tried again; the saga is undone, and
            may begin anew.
    """
    same = rows.check(key) == seen if new is _AS_IT_IS else rows.swap(key, seen, new)
    if not same:
        raise StaleValueError(key, seen, rows.check(key))


class Operation(NamedTuple):
    """An entry of a version file: an operation, or word that the one of this id is withdrawn."""

    id: str
    at: int
    what: Any
    withdrawn: bool = False


class Operations(Protocol):
    """The operations on each row, within the local transaction of one service."""

    def append(self, key: Any, operation: Operation, /) -> None:
        """Add one; the same again changes nothing."""

    def operations(self, key: Any, /) -> Iterable[Operation]:
        """All there are of a row, in any order."""


class VersionFile:
    """Keep what was done to a row instead of what it holds, and work that out when it is asked for.

    Operations may arrive in any order: each has its place by ``at``. A withdrawal may arrive before
    the operation that it withdraws, which then has no effect. So operations that do not commute
    come to the same value however sagas overtake each other.

    Parameters:
        log: the operations: `sagakit.services.SqlOperations`, or a ``Table``.
        apply: ``(value, operation) -> value``.
        start: the value before the first operation.
    """

    def __init__(self, log: Operations, apply: Callable[[Any, Any], Any], start: Any) -> None:
        self._log = log
        self._apply = apply
        self._start = start

    def record(self, key: Any, id: str, what: Any, *, at: int = 0) -> None:
        """Add an operation.

        Parameters:
            id: tells it from all others of the row: ``ctx.action_key``, which its compensation has
                as well.
            what: plain data.
            at: where it belongs among the others: a number from where they come from, or a time.
        """
        self._log.append(key, Operation(id, at, what))

    def withdraw(self, key: Any, id: str) -> None:
        """Take an operation back, also one that has not come yet: the compensation."""
        self._log.append(key, Operation(id, 0, None, withdrawn=True))

    def value(self, key: Any) -> Any:
        """What the row holds: every operation that stands, in its order."""
        operations = list(self._log.operations(key))
        gone = {one.id for one in operations if one.withdrawn}
        value = self._start
        for one in sorted((o for o in operations if o.id not in gone), key=lambda o: (o.at, o.id)):
            value = self._apply(value, one.what)
        return value


def pessimistic_view(saga: Saga, *gives: str) -> Saga:
    """The same saga with some steps moved behind its pivot, where nothing is undone.

    Move what gives others something to take: credit that is freed, stock that is put back. Done
    early and undone later it would have been taken meanwhile; done after the pivot it stands. What
    takes stays before the pivot: at worst others see less than there is.

    Parameters:
        gives: the steps' names. Each loses its compensation, is retried until it succeeds, and must
            have no reason to refuse. No step up to the pivot may need its result.

    Raises:
        DefinitionError: no pivot is declared; or a step is it, stands behind it, or in a branch.
    """
    point = next((item.name for item in saga.steps if item.pivot), None)
    problems = [] if point else ["has no pivot, behind which a step could stand; declare it"]
    for name in gives:
        if name not in saga.plan.index or saga.kind(name) != "compensatable":
            problems.append(f"step '{name}' is none that stands before the pivot; leave it out")
        elif saga[name].branch is not None:
            problems.append(f"step '{name}' stands in a branch of a choice; move it by hand")
    if problems:
        raise DefinitionError(f"the pessimistic view of saga '{saga.name}'", problems)
    moved = {name: saga[name] for name in gives}
    stay = [_without(item, moved) for item in saga.steps if item.name not in moved]
    place = next(i for i, item in enumerate(stay) if item.name == point) + 1
    behind = [
        msgspec.structs.replace(
            item,
            after=(point,),
            compensation=None,
            compensation_retry=None,
            compensation_timeout=None,
        )
        for item in moved.values()
    ]
    return saga.with_steps(*stay[:place], *behind, *stay[place:])


def _without(item: Step, moved: dict[str, Step]) -> Step:
    """The step, coming after what the moved ones came after in their place."""
    after = list(item.after or ())
    while any(name in moved for name in after):
        after = [
            before
            for name in after
            for before in (moved[name].after or () if name in moved else (name,))
        ]
    return msgspec.structs.replace(item, after=tuple(dict.fromkeys(after)))


def by_value(
    name: str,
    value: Callable[[Any], Any],
    limit: Any,
    *,
    low: Step | Iterable[Step],
    high: Step | Iterable[Step],
) -> tuple[Step, ...]:
    """Choose how strict to be by what is at stake: a `choice` between two ways of doing the same.

    ::

        Saga("order", *by_value("how_strict", cents, 100_000, low=[…], high=[…]))

    Below the limit the anomalies stay possible, and their cost is accepted; from the limit on the
    saga does what excludes them: locks, or all of it in one transaction.

    Parameters:
        name: the name of the step that chooses; its result is ``"low"`` or ``"high"``.
        value: a plain function of ``ctx`` that gives what is at stake, an amount as a rule.
        limit: from this value on it is high.
        low, high: the steps of each way; they need names of their own.
    """

    def by(ctx: Any) -> str:
        return "high" if value(ctx) >= limit else "low"

    by.__name__ = by.__qualname__ = f"{name}_by_value"
    return choice(name, by, {"low": low, "high": high})
