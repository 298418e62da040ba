"""Every order in which the calls of several sagas can follow one another, and what goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple

from sagakit.drivers.inputs import accept_input, must_be_scenario
from sagakit.errors import SagaError
from sagakit.lab import anomalies
from sagakit.lab.histories import Trace, trace_of
from sagakit.lab.interleavings import Anomaly, Interleaving, Interleavings, Outcome
from sagakit.lab.stepwise import Footprint, Part, Together, Turn, unsteady
from sagakit.lab.table import ALL, Access, AccessKind
from sagakit.progress import Progress, progress
from sagakit.saga import Saga
from sagakit.scenario import Scenario

_Call = tuple[int, int]
_Sleep = dict[Hashable, tuple[int, Footprint]]


def interleave(
    *sagas: Saga,
    world: Callable[[], Any],
    inputs: Sequence[Any] = (),
    scenarios: Sequence[Scenario | None] = (),
    reduce: bool = True,
    limit: int = 100_000,
    progress: Progress = None,
) -> Interleavings:
    """Run two or three sagas over one world in every order that their calls can have.

    Each call of an action, a compensation or a reconcile is one atomic local transaction; between
    them anything can happen. The real callables run, under the real coordinators, each in virtual
    time. A coroutine runs to its end before another saga goes on. What is read and written is
    recorded by the world's tables (``sagakit.lab.Table``), and isolation anomalies are found in it:
    see ``sagakit.lab.anomalies`` for what each of them is. Tables roll nothing back: an action that
    refuses must do so before it changes anything.

    Calls of two sagas that do not conflict (neither changes a row that the other touches; changes
    that commute may meet) can be swapped without anybody noticing. With ``reduce``, one order
    runs of all those that differ in nothing else, by *sleep sets* (Godefroid, "Partial-Order
    Methods for the Verification of Concurrent Systems", LNCS 1032, 1996, ch. 5), over the rows
    that each call was seen to touch. The counts in the report are of all of them.

    Parameters:
        sagas: two or more; the same one may be given twice.
        world: called for a fresh world. It holds its rows in Tables, as attributes, as a mapping's
            values or as what its ``tables()`` gives. If it has ``snapshot()`` and
            ``restore(token)``, what orders have in common runs once. Actions reach it in whatever
            way they do; nothing but the tables may decide what they do.
        inputs: one for each saga; None for each when left out.
        scenarios: faults for each saga (or None). Crashes are ``explore``'s.
        reduce: False runs every single order.
        limit: of orders to run; if there are more, the report says that it is not complete.
        progress: see ``sagakit.progress``.

    Raises:
        SagaError: fewer than two sagas; not one input or scenario for each; a scenario with a
            crash; a world without tables, or whose tables no action touched; an action that did
            something else when it was called again in the same state.
        InputError: a saga refuses its input.
        SimulationError: an action that is retried without end writes on every attempt.
    """
    parts = _parts(sagas, inputs, scenarios)
    if limit < 1:
        raise SagaError(f"limit is {limit}; give 1 or more")
    search = _Search(parts, world, reduce, limit)
    try:
        return search.report(progress)
    finally:
        search.together.end()


def _parts(
    sagas: Sequence[Saga], inputs: Sequence[Any], scenarios: Sequence[Scenario | None]
) -> list[Part]:
    if len(sagas) < 2:
        raise SagaError(f"there is {len(sagas) or 'no'} saga to interleave; give two or three")
    for what, given in (("inputs", inputs), ("scenarios", scenarios)):
        if isinstance(given, str | Scenario) or not isinstance(given, Sequence):
            raise SagaError(f"{what} is {given!r}; give a list with one for each saga")
        if given and len(given) != len(sagas):
            raise SagaError(
                f"there are {len(given)} {what} for {len(sagas)} sagas; give one for each (None "
                "for one without)"
            )
    names = Counter(saga.name for saga in sagas)
    met: Counter[str] = Counter()
    parts = []
    for number, saga in enumerate(sagas):
        met[saga.name] += 1
        id = saga.name if names[saga.name] == 1 else f"{saga.name}-{met[saga.name]}"
        scenario = scenarios[number] if scenarios else None
        must_be_scenario(scenario)
        if scenario is not None and scenario.crashes:
            raise SagaError(
                f"saga '{saga.name}': its scenario has a crash of the coordinator, which changes "
                "no order of calls; leave it out here, and explore() that saga alone"
            )
        parts.append(
            Part(saga, accept_input(saga, inputs[number] if inputs else None), scenario, id)
        )
    return parts


class _Node:
    """A point of the search: which calls can be made next, the last one first, and which need not
    be."""

    __slots__ = ("calls", "done", "end", "mark", "sleep")

    def __init__(self, calls: list[_Call], end: bool, sleep: _Sleep) -> None:
        self.calls = calls
        self.end = end
        self.sleep = sleep
        self.done: _Sleep = {}
        self.mark: Any = None


class _Best(NamedTuple):
    """The plainest order so far in which something was seen."""

    size: int
    trace: Trace

    def beats(self, other: _Best | None) -> bool:
        return other is None or self.rank < other.rank

    @property
    def rank(self) -> tuple[int, int, tuple[int, ...]]:
        return self.size, self.trace.switches, tuple(turn.who for turn in self.trace.turns)


class _Search:
    def __init__(
        self, parts: Sequence[Part], world: Callable[[], Any], reduce: bool, limit: int
    ) -> None:
        self.parts = parts
        self.reduce = reduce
        self.limit = limit
        self.together = Together(parts, world)
        self.ran = 0
        self.total = 0
        self.complete = False
        self.touched = False
        self.best: dict[str, _Best] = {}  # by the kind of anomaly
        self.counts: Counter[str] = Counter()
        self.ends: dict[Hashable, tuple[_Best, int, bool]] = {}

    def report(self, show: Progress) -> Interleavings:
        with progress("interleave", show, unit="interleavings") as tick:
            for _ in self._walk():
                self._leaf()
                tick(1)
                if self.ran == self.limit:
                    break
            else:
                self.complete = True
        if not self.touched:
            raise SagaError(
                "no call touched a table of the world, so nothing can be said about isolation: do "
                "the actions reach the tables of the world that world() makes, or those of "
                f"another one, which they closed over?{self._raised()}"
            )
        return self._told()

    def _walk(self) -> Iterator[None]:
        """Visit the orders, depth first; gives at the end of each."""
        together = self.together
        stack = [self._node({})]
        while stack:
            node = stack[-1]
            if node.end:
                yield
            if not node.calls:
                stack.pop()
                continue
            if node.mark is not None:
                together.back(node.mark)
            call = node.calls.pop()
            if node.calls and node.mark is None:
                node.mark = together.mark()
            key = together.key(call)
            turn = together.make(call)
            stack.append(self._node(self._asleep(node, turn)))
            node.done[key] = call[0], turn.footprint

    def _asleep(self, node: _Node, turn: Turn) -> _Sleep:
        """Which calls need not be made behind this one: they were tried before it, and come to
        the same thing there."""
        if not self.reduce:
            return {}
        return {
            key: (who, footprint)
            for key, (who, footprint) in (*node.sleep.items(), *node.done.items())
            if who != turn.who and not footprint.conflicts(turn.footprint)
        }

    def _node(self, sleep: _Sleep) -> _Node:
        together = self.together
        waiting = together.waiting()
        calls = [call for call in waiting if together.key(call) not in sleep]
        return _Node(calls[::-1], not waiting, sleep)

    # -- the end of an order ----------------------------------------------------------------

    def _leaf(self) -> None:
        together = self.together
        turns = together.turns
        trace = trace_of(turns, len(self.parts))
        count = trace.orders if self.reduce else 1
        self.ran += 1
        self.total += count
        self.touched = self.touched or any(turn.accesses for turn in turns)
        best = _Best(len(turns), trace)
        for finding in anomalies.find(turns):
            self.counts[finding.kind] += count
            if best.beats(self.best.get(finding.kind)):
                self.best[finding.kind] = best
        end = together.statuses(), _frozen(together.rows())
        serial = trace.switches == len(self.parts) - 1
        known = self.ends.get(end)
        if known is not None:
            best, count = best if best.beats(known[0]) else known[0], count + known[1]
            serial = serial or known[2]
        self.ends[end] = best, count, serial

    # -- telling it -------------------------------------------------------------------------

    def _raised(self) -> str:
        """What the sagas raised in an order that ran, if they did."""
        order = self._again(next(iter(self.ends.values()))[0].trace.turns)
        errors = {one.saga.name: one.error for one in order.executions if one.error}
        return "".join(
            f"; saga '{name}' raised {error.type}: {error.message}"
            for name, error in errors.items()
        )

    def _told(self) -> Interleavings:
        shown: dict[tuple[Hashable, ...], Interleaving] = {}

        def show(best: _Best) -> Interleaving:
            keys = tuple(turn.key for turn in best.trace.turns)
            if keys not in shown:
                shown[keys] = self._again(best.trace.turns)
            return shown[keys]

        found = {}
        for kind in anomalies.DETECTORS:
            if kind in self.best:
                order = show(self.best[kind])
                finding = next(f for f in anomalies.find(order.turns) if f.kind == kind)
                found[kind] = Anomaly(finding, order, self.counts[kind])
        ends = sorted(self.ends.values(), key=lambda end: end[0].rank)
        outcomes = tuple(Outcome(show(best), count, serial) for best, count, serial in ends)
        ids = tuple(part.id for part in self.parts)
        return Interleavings(ids, self.ran, self.total, self.complete, found, outcomes)

    def _again(self, turns: Sequence[Turn]) -> Interleaving:
        """Make the calls once more in this order, from a fresh world: the same must happen."""
        together = self.together
        together.begin()
        together.follow([turn.key for turn in turns])
        for was, now in zip(turns, together.turns, strict=True):
            if _visible(was) != _visible(now):
                raise unsteady(self.parts, now.key)
        return Interleaving(tuple(together.turns), together.executions(), together.rows())


def _visible(turn: Turn) -> tuple[object, ...]:
    """What a call has done, whatever other changes that commute came before it: which of them made
    a row, and what it held by then, follows from their order alone."""
    made = AccessKind.COMMUTE, ALL
    done = [access for access in turn.accesses if (access.kind, access.key) != made]
    return turn.error, [_settled(access) for access in done]


def _settled(access: Access) -> tuple[object, ...]:
    value = None if access.kind is AccessKind.COMMUTE else access.value
    return access.kind, access.table, access.key, value


def _frozen(rows: dict[str, dict[Any, Any]]) -> Hashable:
    """The rows as something to compare by."""
    try:
        found = frozenset((name, frozenset(table.items())) for name, table in rows.items())
        hash(found)
    except TypeError:
        return repr({name: sorted(map(repr, table.items())) for name, table in rows.items()})
    return found
