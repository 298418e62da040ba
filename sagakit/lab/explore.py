"""Every failure that can be put into a saga, up to a number at once, and what becomes of it."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sagakit.drivers.simulated import simulate
from sagakit.events import ErrorInfo, Event
from sagakit.execution import Execution
from sagakit.lab.faults import more_faults
from sagakit.lab.invariants import OF_EFFECTS, PLAIN, Invariant
from sagakit.lab.report import Report, Violation
from sagakit.saga import Saga
from sagakit.scenario import Scenario

ID = "explored"  # of every execution: what depends on it is the same in all of them
SAME = "goes on as another one does"


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
        self.input = input
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
        front: list[tuple[Scenario, Execution, int]] = []
        first = self._run(Scenario())
        front.append((Scenario(), first, 0))
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

    def _deeper(
        self, front: list[tuple[Scenario, Execution, int]], *, last: bool
    ) -> list[tuple[Scenario, Execution, int]]:
        """Run everything with one fault more."""
        found = []
        seen: dict[tuple[int, bytes], None] = {}
        for scenario, execution, after in front:
            for step in more_faults(self.saga, execution, scenario, after, self.crashes):
                ran = self._run(step.scenario)
                if not scenario.faults and not scenario.crashes:
                    self.matrix[step.step, step.column] = ran.status
                if last:
                    continue
                key = step.place, self.course
                if self.prune and self.course and key in seen:
                    self.pruned[SAME] += sum(
                        1
                        for _ in more_faults(
                            self.saga, ran, step.scenario, step.place, self.crashes
                        )
                    )
                    continue
                seen[key] = None
                found.append((step.scenario, ran, step.place))
        return found

    def _run(self, scenario: Scenario) -> Execution:
        world = self.world()
        execution = simulate(self.saga, self.input, scenario=scenario, id=ID)
        self.explored += 1
        self.statuses[execution.status] += 1
        outcome = _normal(execution.events) + _digest(world)
        self.course = outcome
        self.classes.add(outcome)
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
        return execution


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
