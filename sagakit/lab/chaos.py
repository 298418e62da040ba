"""Faults at random, many times, and every run that they broke as a scenario to run again.

Exploration meets every combination of few faults; chaos meets few combinations of many. So it
finds what needs more faults at once than can be enumerated (Basiri et al., "Chaos Engineering",
IEEE Software 33(3), 2016, does it to a running system; here it is done in virtual time).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from sagakit.execution import Execution
from sagakit.lab.chaos_report import ChaosReport, Failure
from sagakit.lab.courses import FromTheStart
from sagakit.lab.dice import Dice, struck
from sagakit.lab.invariants import Invariant, Judge
from sagakit.lab.report import Violation
from sagakit.progress import Progress
from sagakit.progress import progress as shown
from sagakit.saga import Saga
from sagakit.scenario import Scenario

ID = "chaos"  # of every execution: jitter depends on it, so a replay must have the same


def chaos(
    saga: Saga | Callable[[Any], Saga],
    input: Any = None,
    *,
    runs: int = 1000,
    rate: float = 0.1,
    seed: int = 0,
    world: Callable[[], Any] = lambda: None,
    invariants: Sequence[Invariant] = (),
    crashes: bool = True,
    scenario: Scenario | None = None,
    progress: Progress = None,
) -> ChaosReport:
    """Run a saga many times in virtual time, each time under other faults thrown at random.

    Each attempt of each action and compensation is struck with probability ``rate``, by any fault
    that can strike it, now and then for good; with the same probability the coordinator crashes
    once, at an event of the execution or of one inside it. The same saga, input and seed give the
    same report.

    A run in which an invariant does not hold is kept as a ``Failure``, whose scenario has only
    the faults that struck; its repr is the expression to paste into ``simulate(saga, input,
    scenario=…, id="chaos")``. For each such invariant the report has the smallest scenario that
    was found by leaving out faults one after another.

    Parameters:
        saga: the definition; or what makes it for a world, such as ``lambda world: world.saga``.
        input: of every run.
        runs: how many.
        rate: the probability of each fault, 0 to 1.
        seed: decides every fault.
        world: called before each run; what it makes is handed to the invariants.
        invariants: functions ``f(world, execution) -> bool``, besides the built-in ones (see
            ``explore``).
        crashes: whether the coordinator may crash.
        scenario: what happens in every run: the signals that the saga waits for, for instance.
        progress: as of ``sagakit.progress``.

    Raises:
        ValueError: ``runs`` or ``rate`` make no sense.
        InputError: the input cannot be kept, or the saga refuses it.
        SimulationError: the saga alone would go on for ever.
    """
    if type(runs) is not int or runs < 1:
        raise ValueError(f"runs is {runs!r}; give a whole number, 1 or more")
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is {rate!r}; give a probability, 0 to 1")
    base = Scenario() if scenario is None else scenario
    made = _Runner(saga, input, world, invariants, base)
    calm = made.run(base)
    dice = Dice(base, calm.execution, rate, crashes)
    statuses: Counter[str] = Counter()
    strikes: Counter[tuple[str, str, str]] = Counter()
    failures: list[Failure] = []
    with shown("chaos", progress, total=runs, unit="run") as tick:
        for number in range(runs):
            ran = made.run(dice.throw(f"{seed}/{number}"))
            met = struck(ran.scenario, ran.execution)
            statuses[ran.execution.status] += 1
            for fault in met.faults:
                step = fault.step if fault.side == "action" else f"compensation of {fault.step}"
                strikes[step, fault.kind, ran.execution.status] += 1
            for crash in met.crashes:
                when = "after" if crash.written else "before"
                strikes["(coordinator)", f"crash {when} writing", ran.execution.status] += 1
            if ran.broken:
                failures.append(_failure(made, number, ran, met))
            tick(1)
        violations = tuple(_smallest(made, base, failures))
    name = calm.execution.saga.name
    return ChaosReport(name, runs, rate, seed, statuses, strikes, tuple(failures), violations)


class _Ran(NamedTuple):
    scenario: Scenario
    execution: Execution
    broken: Mapping[str, str]


class _Runner:
    """Runs a scenario in a world of its own, and judges what came of it."""

    def __init__(
        self,
        saga: Saga | Callable[[Any], Saga],
        input: Any,
        world: Callable[[], Any],
        invariants: Sequence[Invariant],
        base: Scenario,
    ) -> None:
        self._runs = FromTheStart(saga, input, ID, world, base)
        self._judge = Judge(self._runs.world, invariants)

    def run(self, scenario: Scenario) -> _Ran:
        execution = self._runs.run(scenario, probe=False).execution
        broken = dict(self._judge.violated(self._runs.world, execution))
        return _Ran(scenario, execution, broken)


def _failure(made: _Runner, number: int, ran: _Ran, met: Scenario) -> Failure:
    """The run, by the faults that struck, if they alone break the same; they do, unless the
    actions are not deterministic."""
    again = made.run(met)
    ran = again if again.broken.keys() == ran.broken.keys() else ran
    return Failure(number, ran.scenario, tuple(ran.broken), ran.execution.status)


def _smallest(made: _Runner, base: Scenario, failures: Sequence[Failure]) -> list[Violation]:
    found = []
    counts = Counter(name for failure in failures for name in failure.broken)
    for name, count in counts.items():
        among = [failure for failure in failures if name in failure.broken]
        least = min(among, key=lambda failure: (_size(failure.scenario), failure.run))
        ran = _shrunk(made, base, made.run(least.scenario), name)
        problem = ran.broken.get(name, "")
        found.append(Violation(name, ran.scenario, ran.execution, count, problem))
    return found


def _size(scenario: Scenario) -> int:
    return len(scenario.faults) + len(scenario.crashes)


def _shrunk(made: _Runner, base: Scenario, ran: _Ran, name: str) -> _Ran:
    """Leave out one fault or crash after another, as long as the invariant stays broken."""
    while True:
        smaller = next(
            (r for s in _fewer(ran.scenario, base) if name in (r := made.run(s)).broken), None
        )
        if smaller is None:
            return ran
        ran = smaller


def _fewer(scenario: Scenario, base: Scenario) -> list[Scenario]:
    """Every scenario with one fault or crash less than this one."""
    faults, crashes = scenario.faults, scenario.crashes
    return [
        msgspec.structs.replace(scenario, faults=(*faults[:n], *faults[n + 1 :]))
        for n in range(len(base.faults), len(faults))
    ] + [
        msgspec.structs.replace(scenario, crashes=(*crashes[:n], *crashes[n + 1 :]))
        for n in range(len(base.crashes), len(crashes))
    ]
