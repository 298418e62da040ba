"""Every failure that can be put into a saga, up to a number at once, and what becomes of it."""

from __future__ import annotations

import contextlib
import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from sagakit.lab.beginnings import Beginnings
from sagakit.lab.cores import cores, in_parts
from sagakit.lab.courses import Course, FromTheStart
from sagakit.lab.endings import NotPlainError
from sagakit.lab.faults import Step, more_faults
from sagakit.lab.invariants import Invariant, Judge, told_by
from sagakit.lab.report import Origin, Report, Single, Violation
from sagakit.progress import Progress, Tick
from sagakit.progress import progress as shown
from sagakit.saga import Saga
from sagakit.scenario import Crash, Fault, Scenario

ID = "explored"  # of every execution: what depends on it is the same in all of them
SAME = "goes on as another one does"
NOTHING = "its last fault changed nothing"
PAYS = 0.1  # seconds of work left, from which on a second core is worth its start

SELDOM = 50_000  # new objects between two visits of the garbage collector


def explore(
    saga: Saga | Callable[[Any], Saga],
    input: Any = None,
    *,
    world: Callable[[], Any] = lambda: None,
    faults: int = 2,
    crashes: bool = True,
    invariants: Sequence[Invariant] = (),
    prune: bool = True,
    scenario: Scenario | None = None,
    share: bool = True,
    progress: Progress = None,
) -> Report:
    """Run a saga under every combination of up to so many faults, each in a world of its own.

    A fault is anything that can happen to an attempt (it fails before its effect, its reply is
    lost behind it, it times out, it is delivered twice, or late, behind its compensation or its
    own retry), a failure for good, or a crash of the coordinator while an attempt is under way; in
    the sagas inside as well, as far as they have begun.

    Left out are combinations that cannot differ from others that are run (with ``prune``): if two
    runs with fewer faults have the same events and leave the same world at every call, whatever
    else fails afterwards has the same consequences in both. Of a saga with sagas inside nothing is
    left out. Crashes between attempts are no scenarios of their own: recovery finds the state in
    which the coordinator was.

    Parameters:
        saga: the definition; or what makes it for a world, such as ``lambda world: world.saga``.
        input: of every execution.
        world: called before each scenario; what it makes is handed to the invariants. Actions
            reach it in whatever way they do. A world that can be set back in place
            (``snapshot()`` and ``restore(token)``, as ``World`` and ``Twin`` of ``sagakit.lab``)
            is made only once, and runs whose actions are plain functions are shared.
        faults: how many at once, at most.
        crashes: whether the coordinator may crash.
        invariants: functions ``f(world, execution) -> bool`` that must hold at every end. The
            built-in ones are among them, so far as the world can answer them: see
            ``sagakit.lab.invariants``.
        prune: leave out what cannot differ.
        scenario: what happens in every run: the signals that the saga waits for, for instance,
            each of which may be lost.
        share: make no call twice that was made in the same situation. Runs that begin alike go on
            from where they part; one that comes to a point where all that its rest follows from
            (what the coordinator knows, the world, the time, the faults that are still to strike)
            is as it once was ends as it ended then, and is judged by the events that it has in
            all. That is many times faster, and uses a second core where it pays. It takes all
            that actions do and depend on to stand in the world. False: each runs whole, in a
            world of its own.
        progress: as everywhere: True or False for a bar or none, or a function that is given
            each number of scenarios done.

    Raises:
        InputError: the saga refuses the input.
        ScenarioError: the scenario does not fit the saga.
        ValueError: a negative number of faults.
    """
    if faults < 0:
        raise ValueError(f"faults is {faults}; give 0 or more")
    base = Scenario() if scenario is None else scenario
    given = saga
    from_the_start = FromTheStart(saga, input, ID, world, base)
    saga, first = from_the_start.saga, from_the_start.world
    runs: Beginnings | FromTheStart = from_the_start
    if share and base == Scenario() and Beginnings.can(saga, first):
        runs = Beginnings(saga, from_the_start.kept, ID, first)
    with _seldom_collected(), shown(f"explore '{saga.name}'", progress, unit="scenario") as tick:
        try:
            tally = _Exploration(runs, faults, crashes, invariants, prune).run(tick)
        except NotPlainError:
            runs = from_the_start
            tally = _Exploration(runs, faults, crashes, invariants, prune).run(tick)
    violations = []
    for name, found in tally.found.items():
        execution = from_the_start.run(found.scenario).execution
        seen = told_by(from_the_start.world)
        violations.append(
            Violation(name, found.scenario, execution, found.times, found.problem, *seen)
        )
    return Report(
        saga.name,
        faults,
        tally.explored,
        tally.shared,
        tally.pruned,
        tally.statuses,
        len(tally.classes),
        tally.matrix,
        tuple(violations),
        tally.singles,
        Origin(given, input, world),
    )


@contextlib.contextmanager
def _seldom_collected() -> Iterator[None]:
    """The cyclic garbage collector comes by less often. Nothing that an exploration makes needs
    it, and it would look at all that is kept to go on from, again and again; what actions leave
    behind still goes."""
    often, *older = gc.get_threshold()
    if not 0 < often < SELDOM:  # switched off; or another exploration is under way, which ends it
        yield
        return
    gc.set_threshold(SELDOM, *older)
    try:
        yield
    finally:
        gc.set_threshold(often, *older)


class _Found(NamedTuple):
    """The first scenario under which an invariant does not hold, and how many there are."""

    at: int  # from the how many-th run it goes on; -1: before the last faults were put in
    scenario: Scenario
    problem: str
    times: int = 1


class _Tally(msgspec.Struct):
    """What some runs had for their outcome; another process may have counted it."""

    explored: int = 0
    shared: int = 0
    pruned: Counter[str] = msgspec.field(default_factory=Counter)
    statuses: Counter[str] = msgspec.field(default_factory=Counter)
    classes: set[bytes] = msgspec.field(default_factory=set)
    matrix: dict[tuple[str, str], str] = msgspec.field(default_factory=dict)
    singles: dict[tuple[str, str], list[Single]] = msgspec.field(default_factory=dict)
    found: dict[str, _Found] = msgspec.field(default_factory=dict)

    def add(self, other: _Tally) -> None:
        self.explored += other.explored
        self.shared += other.shared
        self.pruned += other.pruned
        self.statuses += other.statuses
        self.classes |= other.classes
        self.matrix |= other.matrix
        for place, runs in other.singles.items():
            self.singles.setdefault(place, []).extend(runs)
        for found in other.found.items():
            self.violated(*found)

    def violated(self, name: str, found: _Found) -> None:
        known = self.found.get(name)
        if known is not None:
            first = found if found.at < known.at else known
            found = first._replace(times=known.times + found.times)
        self.found[name] = found


class _Met(NamedTuple):
    """A run to go on from: what happened and how the world was on the way."""

    run: Course
    way: tuple[bytes, ...]


class _Exploration:
    def __init__(
        self,
        runs: Beginnings | FromTheStart,
        faults: int,
        crashes: bool,
        invariants: Sequence[Invariant],
        prune: bool,
    ) -> None:
        self.runs = runs
        self.faults = faults
        self.crashes = crashes
        self.prune = prune
        self.judge = Judge(runs.world, invariants)
        self.tally = _Tally()
        self.nests = bool(runs.saga.plan.nests)
        self.met: set[frozenset[Fault | Crash]] = set()
        self.judged: dict[bytes, list[str]] = {}  # by the outcome: which rules it breaks

    def run(self, tick: Tick) -> _Tally:
        began = time.perf_counter()
        first = self.runs.begin()
        self.base = first.scenario
        self._ended(first, -1)
        front = [_Met(first, self._way(first))]
        tick(1)
        for _ in range(1, self.faults):
            front = self._deeper(front, tick)
        if self.faults:
            self._last(front, (time.perf_counter() - began) / self.tally.explored, tick)
        return self.tally

    def _deeper(self, front: list[_Met], tick: Tick) -> list[_Met]:
        """Run everything with one fault more; what is worth going on from."""
        found = []
        seen: set[tuple[object, ...]] = set()
        for met in front:
            for more in self._more(met.run):
                run = self.runs.go_on(met.run, more.place, more.scenario, last=False)
                self._mark(met, more, run, self._ended(run, -1))
                way = self._way(run)
                tick(1)
                pending = _pending(more.scenario)
                key = (more.place, pending, *way)
                if self.prune and way and way == met.way and pending == _pending(met.run.scenario):
                    self.tally.pruned[NOTHING] += sum(1 for _ in self._more(run))
                elif self.prune and way and key in seen:
                    self.tally.pruned[SAME] += sum(1 for _ in self._more(run))
                else:
                    seen.add(key)
                    found.append(_Met(run, way))
        return found

    def _last(self, front: list[_Met], seconds: float, tick: Tick) -> None:
        """Run everything with the last fault more, on several cores if the work is long enough.

        Parameters:
            seconds: that a run has taken so far.
        """
        # About half of the faults lie ahead of a run, and as most runs of the last level come to
        # where another one was, they take a third of the time.
        work = seconds / 3 * len(front) * max(len(self.tally.matrix), 1) / 2
        parts = cores() if self.runs.shares and work > PAYS and len(front) > 1 else 1

        shares = _shared_out(front, parts)

        def one(part: int) -> _Tally:
            self.tally = tally = _Tally()
            for at in shares[part]:
                met, before = front[at], tally.explored
                for more in self._more(met.run):
                    run = self.runs.go_on(met.run, more.place, more.scenario, last=True)
                    self._mark(met, more, run, self._ended(run, at))
                tick((tally.explored - before) * parts)
            return tally

        whole = self.tally
        for tally in in_parts(parts, one):
            whole.add(tally)
        self.tally = whole

    def _more(self, run: Course) -> Iterator[Step]:
        """Every way to put one more failure into a run, each combination once.

        Sagas that run inside tell of the same moment in another order once something fails in one
        of them: there no place is too early, and what has been met is kept in mind.
        """
        if not self.nests:
            yield from more_faults(run.execution, run.scenario, run.place, self.crashes)
            return
        for more in more_faults(run.execution, run.scenario, 0, self.crashes):
            failures: frozenset[Fault | Crash] = frozenset(
                (*more.scenario.faults, *more.scenario.crashes)
            )
            if failures not in self.met:
                self.met.add(failures)
                yield more

    def _mark(self, met: _Met, more: Step, run: Course, broken: Sequence[str]) -> None:
        if met.run.scenario == self.base:
            place, tally = (more.step, more.column), self.tally
            tally.matrix[place] = run.status
            single = Single(run.scenario, run.status, tuple(broken))
            tally.singles.setdefault(place, []).append(single)

    def _ended(self, run: Course, at: int) -> Sequence[str]:
        """Count a run and judge it: the names of the invariants that do not hold."""
        tally = self.tally
        tally.explored += 1
        tally.shared += run.shared
        tally.statuses[run.status] += 1
        tally.classes.add(run.outcome)
        if self.judge.asks_more or not run.end or self.judged.get(run.outcome) != []:
            broken = list(self._violated(run))
            for name, problem in broken:
                tally.violated(name, _Found(at, run.scenario, problem))
            return [name for name, _ in broken]
        return ()

    def _way(self, run: Course) -> tuple[bytes, ...]:
        """What happened in a run and how the world was on the way, if that can be had."""
        if self.nests or not self.prune:
            return ()  # nobody looks at the world before the calls of sagas inside
        way = (run.outcome, run.end, *run.worlds)
        return way if all(way) else ()

    def _violated(self, run: Course) -> Iterator[tuple[str, str]]:
        """What does not hold of a run: the built-in invariants are asked once for each outcome."""
        outcome = run.outcome
        broken = self.judged.get(outcome) if run.end else None
        if broken is None or self.judge.asks_more:
            execution = run.execution
        if broken is None:
            broken = self.judge.rules_broken(self.runs.world, execution, run.end)
            self.judged[outcome] = broken
        for name in broken:
            yield name, ""
        if self.judge.asks_more:
            yield from self.judge.more_violated(self.runs.world, execution)


def _shared_out(front: list[_Met], parts: int) -> list[list[int]]:
    """The places of runs in the front, in parts that are about as much work.

    Runs whose last faults struck at about the same place come to the same situations: they stay
    together, since another process does not know how it goes on from there.
    """
    places = list(range(len(front)))
    if parts == 1:
        return [places]
    places.sort(key=lambda at: front[at].run.place)
    ahead = [len(met.run.execution.events) - met.run.place for met in front]
    shares: list[list[int]] = [[] for _ in range(parts)]
    done, whole = 0, sum(ahead)
    for at in places:
        shares[done * parts // whole].append(at)
        done += ahead[at]
    return shares


def _pending(scenario: Scenario) -> tuple[Fault, ...]:
    """The faults that may strike again, or whose request is still on its way."""
    return tuple(f for f in scenario.faults if f.attempt is None or f.kind in ("late", "reorder"))
