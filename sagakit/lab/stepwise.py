"""Several sagas over one world, of which one makes one call at a time: whichever is told to.

Each saga has its own coordinator and its own virtual clock, which moves on to its next retry or
timer when none of its calls is left to make. So time puts no call of one saga before that of
another: only who is told to go does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import msgspec

from sagakit.drivers.attempt import Attempt
from sagakit.drivers.run import Run
from sagakit.drivers.simulated import Simulation
from sagakit.errors import SagaError
from sagakit.events import AskReconcile, StepInDoubt
from sagakit.execution import Execution
from sagakit.lab.table import ALL, Access, AccessKind, Tape, tables_of
from sagakit.saga import Saga
from sagakit.scenario import Scenario
from sagakit.steps import callable_name
from sagakit.story import error_label
from sagakit.transitions import ACTIVE

Place = tuple[str, Any]  # a table's name and a row's key


class Part(NamedTuple):
    """One saga that takes part: with which input, under which faults, and its execution's id."""

    saga: Saga
    input: Any
    scenario: Scenario | None
    id: str


class Footprint(NamedTuple):
    """Which rows a call read, overwrote, and changed in a way that commutes.

    Such a change makes the row if it is missing. Whether it is depends on what came before, so in
    any order it counts as a change of which rows there are.
    """

    reads: frozenset[Place]
    writes: frozenset[Place]
    commutes: frozenset[Place]

    @classmethod
    def of(cls, accesses: Sequence[Access]) -> Footprint:
        reads, writes, commutes = set(), set(), set()
        for access in accesses:
            place = access.table, access.key
            if access.kind is AccessKind.WRITE:
                writes.add(place)
            elif access.kind is AccessKind.COMMUTE:
                commutes |= {place, (access.table, ALL)}
            else:
                reads.add(place)
        return cls(frozenset(reads), frozenset(writes), frozenset(commutes))

    def conflicts(self, other: Footprint) -> bool:
        """Whether it may matter which of the two comes first: one changes a row that the other
        reads or overwrites, and the two changes are not of the kind that commutes."""
        mine, yours = self, other
        return not (
            mine.writes.isdisjoint(yours.reads)
            and mine.writes.isdisjoint(yours.writes)
            and mine.writes.isdisjoint(yours.commutes)
            and yours.writes.isdisjoint(mine.reads)
            and yours.writes.isdisjoint(mine.commutes)
            and mine.commutes.isdisjoint(yours.reads)
            and yours.commutes.isdisjoint(mine.reads)
        )


class Turn(msgspec.Struct, frozen=True):
    """One call that one of the sagas made, and what it read and changed.

    Parameters:
        who: the number of the saga, from 0; ``execution`` is the id of its execution.
        step: the step's name, ``outer/inner`` in a saga that does a step.
        side: ``action``, ``compensation`` or ``reconcile``.
        call: the name of the function that was called.
        error: a few words on what it raised; empty if it did not.
        in_doubt: it raised, and may have had its effect all the same.
    """

    who: int
    execution: str
    step: str
    side: str
    attempt: int
    call: str
    accesses: tuple[Access, ...]
    footprint: Footprint
    error: str = ""
    in_doubt: bool = False

    @property
    def key(self) -> Hashable:
        """Which call it is, in whatever order the calls are made."""
        return self.who, self.step, self.side, self.attempt

    def __str__(self) -> str:
        again = f" (attempt {self.attempt})" if self.attempt > 1 else ""
        failed = f" ✗ {self.error}" if self.error else ""
        return f"{self.execution}: {self.call}{again}{failed}"


class _Simulation(Simulation):
    """A run in virtual time that waits before each call until it is told to make it."""

    __slots__ = ("_mark", "blocked", "waiting")

    def __init__(self, run: Run) -> None:
        super().__init__(run, 0.0, {})
        self.waiting: list[Attempt] = []
        self.blocked: Footprint | None = None  # of a retry that would find what it found before
        self._mark: tuple[Any, ...] | None = None  # of where it is now
        self.busy.append(run)
        self.settle()

    def settle(self) -> None:
        """Go on to where a call is to be made, or to the end."""
        self.pump()
        while not self.waiting and (due := self.next_due()) is not None:
            self.now = max(self.now, due)
            self.pump()

    def _make(self, attempt: Attempt) -> None:
        self.waiting.append(attempt)

    def release(self, number: int) -> Attempt:
        """Make one of the calls that wait, and go on to the next ones."""
        self._mark = None
        attempt = self.waiting.pop(number)
        made = msgspec.structs.replace(attempt, delay=0.0)  # the other one may be made again
        run, limit = made.run, made.timeout
        if attempt.delay and limit is not None and attempt.delay >= limit:
            self.now += limit
            run.timed_out(made, self.now)
        else:
            self.now += attempt.delay
            super()._make(made)
            if self.pending:
                from sagakit.drivers.virtual import await_on_loop

                await_on_loop(self, self.pending.pop())
        self.guard(made)
        self.busy.append(run)
        self.settle()
        return made

    def mark(self) -> tuple[Any, ...]:
        """Where it is, for ``back``; of a run that no other one is part of."""
        run = self.run
        if self._mark is None:
            self._mark = (
                self.now,
                self._alarms.copy(),
                self._count,
                self.waiting.copy(),
                run.state.copy(),
                len(run.events),
                run.alarm,
                run.late.copy(),
                None if run.meanwhile is None else run.meanwhile.copy(),
            )
        return self._mark

    def back(self, mark: tuple[Any, ...]) -> None:
        """Be again where it was."""
        if mark is self._mark:
            return
        run = self.run
        self.now, alarms, self._count, waiting, state, events, run.alarm, late, meanwhile = mark
        self._alarms, self.waiting, run.state = alarms.copy(), waiting.copy(), state.copy()
        del run.events[events:]
        run.late, run.meanwhile = late.copy(), None if meanwhile is None else meanwhile.copy()
        self._mark = mark


class Together:
    """The sagas at one point of an interleaving: which calls wait, and the way back.

    Where the world has ``snapshot`` and ``restore`` and no saga runs others or has guarded
    services, going back restores what was; else it begins anew with a fresh world and makes the
    same calls again.
    """

    def __init__(self, parts: Sequence[Part], world: Callable[[], Any]) -> None:
        self.parts = parts
        self.world: Any = None
        self.turns: list[Turn] = []  # the calls made so far
        self._fresh = world
        self._tape = Tape()
        self._sims: list[_Simulation] = []
        self.begin()
        plain = all(not part.saga.plan.nests and part.saga.plan.guards is None for part in parts)
        saves = hasattr(self.world, "snapshot") and hasattr(self.world, "restore")
        self._forks = plain and saves

    def begin(self) -> None:
        """Begin anew, in a fresh world."""
        self._tape.detach()
        self.world = self._fresh()
        tables = tables_of(self.world)
        if not tables:
            raise SagaError(
                f"the world that {_name(self._fresh)} makes ({type(self.world).__name__}) has no "
                "Table, so nobody could say who reads and writes what; keep its rows in "
                "sagakit.lab.Table: World(accounts={…}) makes a world of them"
            )
        self.turns.clear()
        self._tape.attach(tables)
        self._sims = [
            _Simulation(Run.begin(saga, input, id, 0.0, 0, scenario))
            for saga, input, scenario, id in self.parts
        ]
        self._tape.take()

    def end(self) -> None:
        """Record no more."""
        self._tape.detach()

    def waiting(self) -> list[tuple[int, int]]:
        """The calls that can be made now: each the number of its saga, and its place there.

        A call that can be retried without end, has failed and changed nothing is not among them
        before another saga has changed what it looked at: it would fail again.
        """
        return [
            (who, place)
            for who, sim in enumerate(self._sims)
            if sim.blocked is None
            for place in range(len(sim.waiting))
        ]

    def key(self, call: tuple[int, int]) -> Hashable:
        """Which call it is, as ``Turn.key``."""
        sim = self._sims[call[0]]
        attempt = sim.waiting[call[1]]
        return call[0], _path(attempt, sim.run), _side(attempt), attempt.attempt

    def make(self, call: tuple[int, int]) -> Turn:
        """Make one call."""
        who, place = call
        sim, tape = self._sims[who], self._tape
        attempt = sim.waiting[place]
        execution, step = sim.run.state.execution_id, _path(attempt, sim.run)
        tape.execution, tape.step = execution, step
        seen = len(attempt.run.events)
        sim.release(place)
        accesses = tuple(tape.take())
        outcome = attempt.run.events[seen]
        error = getattr(outcome, "error", None)
        footprint = Footprint.of(accesses)
        turn = Turn(
            who,
            execution,
            step,
            _side(attempt),
            attempt.attempt,
            _call_name(attempt),
            accesses,
            footprint,
            "" if error is None else error_label(error),
            isinstance(outcome, StepInDoubt) or bool(getattr(outcome, "in_doubt", False)),
        )
        self.turns.append(turn)
        if error is not None and _endless(attempt) and not footprint.writes | footprint.commutes:
            sim.blocked = footprint
        for other in self._sims:
            if other is not sim and other.blocked and other.blocked.conflicts(footprint):
                other.blocked = None
        return turn

    def mark(self) -> Any:
        """Where everything is, for ``back``."""
        if not self._forks:
            return [turn.key for turn in self.turns]
        sims = [(sim.mark(), sim.blocked) for sim in self._sims]
        return len(self.turns), self.world.snapshot(), sims

    def back(self, mark: Any) -> None:
        """Be again where everything was."""
        if not self._forks:
            self.begin()
            self.follow(mark)
            return
        count, world, sims = mark
        del self.turns[count:]
        self.world.restore(world)
        for sim, (where, blocked) in zip(self._sims, sims, strict=True):
            sim.back(where)
            sim.blocked = blocked

    def follow(self, keys: Sequence[Hashable]) -> None:
        """Make these calls, one after another.

        Raises:
            SagaError: one of them is not there to be made, as it was before.
        """
        for key in keys:
            found = [call for call in self.waiting() if self.key(call) == key]
            if not found:
                raise unsteady(self.parts, key)
            self.make(found[0])

    def executions(self) -> tuple[Execution, ...]:
        """What has happened to each so far."""
        return tuple(sim.run.snapshot() for sim in self._sims)

    def statuses(self) -> tuple[str, ...]:
        """How each stands, in the words of ``Execution.status``."""
        runs = [sim.run for sim in self._sims]
        return tuple(run.state.status if run.kin is None else run.snapshot().status for run in runs)

    def under_way(self) -> bool:
        """Whether one of the sagas still has something to do."""
        return any(sim.run.state.phase in ACTIVE and not sim.run.resting for sim in self._sims)

    def rows(self) -> dict[str, dict[Any, Any]]:
        """What the world's tables hold now."""
        return {name: table.snapshot() for name, table in tables_of(self.world).items()}


def unsteady(parts: Sequence[Part], key: Any) -> SagaError:
    """The complaint that a call which is made again does not do what it did."""
    who, step, side, _ = key
    return SagaError(
        f"saga '{parts[who].saga.name}': the {side} of step '{step}' did something else when the "
        "same calls were made again: what it does must follow from its input, from results and "
        "from the tables of the world alone; keep nothing in a closure, a global or an object, "
        "and throw no dice"
    )


def _path(attempt: Attempt, root: Run) -> str:
    inside = attempt.run.state.execution_id.removeprefix(root.state.execution_id).strip("/")
    step = str(attempt.command.step)
    return f"{inside}/{step}" if inside else step


def _side(attempt: Attempt) -> str:
    return "reconcile" if isinstance(attempt.command, AskReconcile) else attempt.side


def _call_name(attempt: Attempt) -> str:
    step = attempt.run.saga.steps[attempt.run.plan.index[attempt.command.step]]
    side = _side(attempt)
    if side == "action":
        return str(attempt.command.step)
    function = step.compensation if side == "compensation" else step.reconcile
    return callable_name(function) or f"{side} of {step.name}" if function else step.name


def _endless(attempt: Attempt) -> bool:
    """Whether it is an action that is retried until it succeeds."""
    plan = attempt.run.plan
    number = plan.index[attempt.command.step]
    return attempt.side == "action" and plan.kinds[number] == "retriable"


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
