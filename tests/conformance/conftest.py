"""One suite for every driver: a test takes ``drive`` and must not ask which driver it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sagakit import Engine, Execution, Saga, Scenario, run, simulate

Drive = Callable[..., Execution]


def _simulated(saga: Saga, input: object = None, *, scenario: Scenario | None = None) -> Execution:
    return simulate(saga, input, scenario=scenario)


def _local(saga: Saga, input: object = None, *, scenario: Scenario | None = None) -> Execution:
    return run(saga, input, scenario=scenario)


@pytest.fixture(params=["simulated", "local", "engine in memory", "engine on disk"])
def drive(request: pytest.FixtureRequest, tmp_path) -> Iterator[Drive]:
    if request.param == "simulated":
        yield _simulated
    elif request.param == "local":
        yield _local
    else:
        path = tmp_path / "journal.db" if request.param == "engine on disk" else None
        with Engine(path) as engine:

            def drive(saga, input=None, *, scenario=None):
                execution = engine.run(saga, input, scenario=scenario)
                # What a reader of the journal sees is what the caller saw.
                stored = engine.status(execution.id)
                assert stored.events == execution.events
                assert stored.results == execution.results
                assert stored.states == execution.states
                return execution

            yield drive
