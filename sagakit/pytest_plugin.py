"""What sagakit gives to pytest: it is loaded by itself wherever both are installed.

- ``@pytest.mark.saga_scenarios("slow-bank", Scenario().fail("pay"), checkout)`` runs a test once
  for each scenario, which it gets as the argument ``scenario``: named ones of the library, ones
  made here, and for a saga every single fault that can strike it (``saga_input=`` is what it runs
  with).
- The fixture ``saga_lab`` has ``assert_saga``, ``explore``, ``chaos`` and ``simulate``, and a
  fresh in-memory checkout, ``saga_lab.twin``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sagakit.lab.twin import Twin
    from sagakit.scenario import Scenario

MARK = "saga_scenarios"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARK}(*scenarios, saga_input=None): run once for each scenario, the argument "
        "`scenario`: a Scenario, the name of one in the library, or a saga for every single fault.",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    found = [
        scenario for mark in metafunc.definition.iter_markers(MARK) for scenario in _scenarios(mark)
    ]
    if found:
        metafunc.parametrize("scenario", found, ids=_id)


def _scenarios(mark: pytest.Mark) -> Iterator[Scenario]:
    from sagakit.saga import Saga
    from sagakit.scenario import Scenario

    if not mark.args:
        raise pytest.UsageError(
            f"@pytest.mark.{MARK}() names no scenario; give Scenario(), a name, or a saga"
        )
    for strange in mark.kwargs.keys() - {"saga_input"}:
        raise pytest.UsageError(
            f"@pytest.mark.{MARK} takes no '{strange}'; give saga_input=, what a saga runs with"
        )
    for what in mark.args:
        if isinstance(what, Scenario):
            yield what
        elif isinstance(what, str):
            yield Scenario.named(what)
        elif isinstance(what, Saga):
            from sagakit.lab.faults import single_faults

            yield from single_faults(what, mark.kwargs.get("saga_input"))
        else:
            raise pytest.UsageError(
                f"@pytest.mark.{MARK}: {what!r} is no Scenario, no name of one and no saga"
            )


def _id(scenario: Scenario) -> str:
    return scenario.name or str(scenario)


@pytest.fixture
def saga_lab() -> SagaLab:
    """The failure lab: see ``SagaLab``."""
    return SagaLab()


class SagaLab:
    """``assert_saga``, ``explore``, ``chaos`` and ``simulate`` of ``sagakit``, and a checkout."""

    def __init__(self) -> None:
        from sagakit.drivers.simulated import simulate
        from sagakit.lab import assert_saga, chaos, explore

        self.simulate: Callable[..., Any] = simulate
        self.explore: Callable[..., Any] = explore
        self.chaos: Callable[..., Any] = chaos
        self.assert_saga: Callable[..., Any] = assert_saga
        self._twin: Twin | None = None

    @property
    def twin(self) -> Twin:
        """A checkout world in memory, fresh for this test."""
        if self._twin is None:
            from sagakit.lab.twin import Twin

            self._twin = Twin()
        return self._twin
