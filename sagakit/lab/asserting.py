"""For test suites: ``assert_saga(checkout).survives(faults=2)``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sagakit.lab.chaos import chaos
from sagakit.lab.chaos_report import ChaosReport
from sagakit.lab.explore import explore
from sagakit.lab.invariants import Invariant
from sagakit.lab.report import Report
from sagakit.saga import Saga
from sagakit.scenario import Scenario


def assert_saga(
    saga: Saga | Callable[[Any], Saga],
    input: Any = None,
    *,
    world: Callable[[], Any] = lambda: None,
) -> SagaAssertion:
    """Say of a saga what must be true of it.

    Parameters:
        saga: the definition; or what makes it for a world, such as ``lambda world: world.saga``.
        input: of every execution.
        world: makes a fresh world for each run.
    """
    return SagaAssertion(saga, input, world)


class SagaAssertion:
    """What ``assert_saga`` gives. Each method raises AssertionError with the smallest
    counterexample in words, or gives the report."""

    def __init__(
        self, saga: Saga | Callable[[Any], Saga], input: Any, world: Callable[[], Any]
    ) -> None:
        self._saga, self._input, self._world = saga, input, world

    def survives(
        self,
        *,
        faults: int = 2,
        invariants: Sequence[Invariant] = (),
        crashes: bool = True,
        scenario: Scenario | None = None,
    ) -> Report:
        """Every invariant holds under every combination of up to so many faults; see ``explore``.

        Raises:
            AssertionError: one does not.
        """
        __tracebackhide__ = True  # pytest shows the test, not this
        report = explore(
            self._saga,
            self._input,
            world=self._world,
            faults=faults,
            crashes=crashes,
            invariants=invariants,
            scenario=scenario,
        )
        _hold(report)
        return report

    def survives_chaos(
        self,
        *,
        runs: int = 1000,
        rate: float = 0.1,
        seed: int = 0,
        invariants: Sequence[Invariant] = (),
        scenario: Scenario | None = None,
    ) -> ChaosReport:
        """Every invariant holds in so many runs under faults at random; see ``chaos``.

        Raises:
            AssertionError: one does not.
        """
        __tracebackhide__ = True
        report = chaos(
            self._saga,
            self._input,
            runs=runs,
            rate=rate,
            seed=seed,
            world=self._world,
            invariants=invariants,
            scenario=scenario,
        )
        _hold(report)
        return report


def _hold(report: Report | ChaosReport) -> None:
    __tracebackhide__ = True
    if not report.holds:
        stories = [violation.story() for violation in report.violations]
        raise AssertionError("\n\n".join([repr(report).strip("<>"), *stories]))
