"""Every failure that can be put into a saga, up to a number at once, and what becomes of it."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from sagakit.drivers.inputs import accept_input
from sagakit.drivers.simulated import watched
from sagakit.events import ErrorInfo, Event
from sagakit.execution import Execution
from sagakit.lab.faults import Step, more_faults
from sagakit.lab.invariants import OF_EFFECTS, PLAIN, Invariant
from sagakit.lab.report import Report, Violation
from sagakit.saga import Saga
from sagakit.scenario import Fault, Scenario

ID = "explored"  # of every execution: what depends on it is the same in all of them
SAME = "goes on as another one does"
NOTHING = "its last fault changed nothing"


class _Met(NamedTuple):
    """A scenario that was run: what happened, how the world was before each call, and where its
    last fault struck."""

    scenario: Scenario
    execution: Execution
    course: tuple[bytes, ...]
    place: int


class _Probe:
    """Looks at the world before every call."""

    sampled = False

    def __init__(self, world: Any) -> None:
        self.world = world
        self.seen: list[bytes] = []

    def call(self, calling: Any, side: str, attempt: int, function: Callable[[], Any]) -> Any:  # noqa: ARG002
        self.seen.append(_digest(self.world))
        return function()

    def follow(self, run: Any, upto: int, committed: float | None = None) -> None:
        """Nobody wants to know."""

    def leave(self) -> None:
        """Nothing is kept."""

    def ids(self, step: str, side: str, attempt: int) -> dict[str, str]:  # noqa: ARG002
        return {}


def explore(
    saga: Saga,
    input: Any = None,
    *,
    world: Callable[[], Any] = lambda: None,
    faults: int = 2,
    crashes: bool = True,
    invariants: Sequence[Invariant] = (),
    prune: bool = True,
) -> Report:
    """Run a saga under every combination of up to so many faults, each in a world of its own.

    A fault is anything that can happen to an attempt (it fails before its effect, its reply is
    lost behind it, it times out, it is delivered twice, or late, behind its compensation), a
    failure for good, or a crash of the coordinator while an attempt is under way.

    Left out are combinations that cannot differ from others that are run (with ``prune``): if two
    runs with fewer faults have the same events and leave the same world at every call, whatever
    else fails afterwards has the same consequences in both. Crashes between attempts are no
    scenarios of their own: recovery finds the state in which the coordinator was.

    Parameters:
        input: of every execution.
        world: called before each scenario; what it makes is handed to the invariants. Actions
            reach it in whatever way they do.
        faults: how many at once, at most.
        crashes: whether the coordinator may crash.
        invariants: functions ``f(world, execution) -> bool`` that must hold at every end. The
            built-in ones (``single_terminal_state``, ``all_or_compensated``, and of a world with
            ``effects()`` three more) always are among them.
        prune: leave out what cannot differ.
    """
    return _Exploration(saga, input, world, faults, crashes, invariants, prune).report()


class _Exploration:
    def __init__(
        self,
        saga: Saga,
        input: Any,
        world: Callable[[], Any],
        faults: int,
        crashes: bool,
        invariants: Sequence[Invariant],
        prune: bool,
    ) -> None:
        if faults < 0:
            raise ValueError(f"faults is {faults}; give 0 or more")
        self.saga = saga
        self.kept = accept_input(saga, input)
        self.world = world
        self.faults = faults
        self.crashes = crashes
        self.prune = prune
        effects = OF_EFFECTS if hasattr(world(), "effects") else ()
        self.invariants: dict[str, Invariant] = {
            _name(f): f for f in (*PLAIN, *effects, *invariants)
        }
        self.explored = 0
        self.pruned: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.classes: set[bytes] = set()
        self.matrix: dict[tuple[str, str], str] = {}
        self.found: dict[str, list[Any]] = {}  # by invariant: scenario, execution, count, problem

    def report(self) -> Report:
        front = [_Met(Scenario(), *self._run(Scenario(), probe=self.prune), 0)]
        for depth in range(1, self.faults + 1):
            front = self._deeper(front, last=depth == self.faults)
        violations = tuple(Violation(name, *what) for name, what in self.found.items())
        return Report(
            self.saga.name,
            self.faults,
            self.explored,
            self.pruned,
            self.statuses,
            len(self.classes),
            self.matrix,
            violations,
        )

    def _deeper(self, front: list[_Met], *, last: bool) -> list[_Met]:
        """Run everything with one fault more; what is worth going on from."""
        found = []
        seen: set[tuple[object, ...]] = set()
        for met in front:
            for more in more_faults(
                self.saga, met.execution, met.scenario, met.place, self.crashes
            ):
                ran, course = self._run(more.scenario, probe=self.prune and not last)
                if not met.scenario.faults and not met.scenario.crashes:
                    self.matrix[more.step, more.column] = ran.status
                if last:
                    continue
                pending = _pending(more.scenario)
                key = (more.place, pending, *course)
                if course and course == met.course and pending == _pending(met.scenario):
                    self.pruned[NOTHING] += self._count(more, ran)
                elif course and key in seen:
                    self.pruned[SAME] += self._count(more, ran)
                else:
                    seen.add(key)
                    found.append(_Met(more.scenario, ran, course, more.place))
        return found

    def _count(self, more: Step, ran: Execution) -> int:
        later = more_faults(self.saga, ran, more.scenario, more.place, self.crashes)
        return sum(1 for _ in later)

    def _run(self, scenario: Scenario, *, probe: bool) -> tuple[Execution, tuple[bytes, ...]]:
        """Run a scenario in a world of its own. What happened, and, if it is asked for and can be
        had, how the world was before every call and in the end."""
        world = self.world()
        watch = _Probe(world) if probe else None
        execution = watched(self.saga, self.kept, ID, 0, scenario, watch)
        self.explored += 1
        self.statuses[execution.status] += 1
        events, end = _normal(execution.events), _digest(world)
        self.classes.add(events + end)
        self._judge(world, execution, scenario)
        whole = watch is not None and bool(end) and all(watch.seen)
        return execution, (events, end, *watch.seen) if whole and watch is not None else ()

    def _judge(self, world: Any, execution: Execution, scenario: Scenario) -> None:
        for name, invariant in self.invariants.items():
            problem = ""
            try:
                if invariant(world, execution):
                    continue
            except Exception as error:  # noqa: BLE001  an invariant may be anything
                problem = f"{type(error).__name__}: {error}"
            known = self.found.get(name)
            if known is None:
                self.found[name] = [scenario, execution, 1, problem]
            else:
                known[2] += 1


def _pending(scenario: Scenario) -> tuple[Fault, ...]:
    """The faults that may strike again, or whose request is still on its way."""
    return tuple(f for f in scenario.faults if f.attempt is None or f.kind == "late")


def _name(function: Invariant) -> str:
    return getattr(function, "__name__", repr(function))


def _normal(events: Sequence[Event]) -> bytes:
    """The events without what an injected error says."""
    return msgspec.json.encode(events, enc_hook=_error)


def _error(value: Any) -> Any:
    return value.type if isinstance(value, ErrorInfo) else repr(value)


def _digest(world: Any) -> bytes:
    """The world as bytes; empty if it cannot be had."""
    try:
        return pickle.dumps(world)
    except Exception:  # noqa: BLE001  a world may be anything
        return b""
