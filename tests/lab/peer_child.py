"""Runs real saga libraries over a small world, in a venv that has them; without sagakit.

Reads from its input ``{"steps": [...], "scenarios": [{"fail": step, "lose": step, "undo_fails":
step, "times": number}]}``; prints, for each library and scenario, the calls in their order, what
the caller was told, and what stands in the world.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

Function = Callable[..., Any]


class World:
    def __init__(self, scenario: dict[str, Any]) -> None:
        self.scenario = scenario
        self.calls: list[str] = []
        self.effects: list[str] = []
        self.left = scenario.get("times", 1_000_000)  # how often an undo fails

    def action(self, name: str) -> Function:
        def act(*_: Any) -> None:
            self.calls.append(name)
            if self.scenario.get("fail") == name:
                raise RuntimeError(name)
            self.effects.append(name)
            if self.scenario.get("lose") == name:
                raise RuntimeError(name)

        return act

    def undo(self, name: str) -> Function:
        def undo(*_: Any) -> None:
            self.calls.append(f"undo {name}")
            if self.scenario.get("undo_fails") == name and self.left > 0:
                self.left -= 1
                raise RuntimeError(f"undo {name}")
            if name in self.effects:
                self.effects.remove(name)

        return undo


Steps = Sequence[tuple[str, Function, Function]]


def later(function: Function) -> Function:
    async def call(*given: Any) -> Any:
        return function(*given)

    return call


# -- one function for each library: run it; what it tells its caller ------------------------------


def saga_py(steps: Steps) -> list[str]:
    from saga import SagaBuilder, SagaError

    builder = SagaBuilder.create()
    for _, act, undo in steps:
        builder.action(act, undo)
    try:
        builder.build().execute()
    except SagaError as error:
        return [str(error.action), *map(str, error.compensations)]
    return []


def py_api_saga(steps: Steps) -> list[str]:
    from py_api_saga.py_api_saga import SagaAssembler

    saga = SagaAssembler.saga()
    for _, act, undo in steps:
        saga.operation(act, undo)
    try:
        saga.orchestrator_execute()
    except SagaAssembler.SagaException as error:
        return [str(error.operation_error), *(error.compensation_errors or ())]
    return []


def simple_saga_sync(steps: Steps) -> list[str]:
    from simple_saga import SyncSaga

    try:
        with SyncSaga() as saga:
            for _, act, undo in steps:
                saga.step(act, undo)
    except RuntimeError as error:
        return [str(error)]
    return []


def simple_saga_async(steps: Steps) -> list[str]:
    from simple_saga import Saga

    async def run() -> None:
        async with Saga() as saga:
            for _, act, undo in steps:
                await saga.step(later(act), later(undo))

    try:
        asyncio.run(run())
    except RuntimeError as error:
        return [str(error)]
    return []


def sagah(steps: Steps) -> list[str]:
    from sagah import Saga, SagaFailed

    async def run() -> None:
        with Saga() as saga:
            for _, act, undo in steps:
                await saga.action(later(act), later(undo))

    try:
        asyncio.run(run())
    except SagaFailed as error:
        return [str(error.__cause__)]
    except RuntimeError as error:
        return [str(error)]
    return []


def sagaz(steps: Steps) -> list[str]:
    from sagaz import Saga

    saga = Saga(name="checkout")
    above: list[str] = []
    for name, act, undo in steps:
        saga.add_step(name, later(act), later(undo), depends_on=above, max_retries=1)
        above = [name]
    try:
        asyncio.run(saga.run({}))
    except RuntimeError as error:
        return [str(error)]
    return []


PEERS = (saga_py, py_api_saga, simple_saga_sync, simple_saga_async, sagah, sagaz)


def main() -> None:
    logging.disable(logging.CRITICAL)
    given = json.load(sys.stdin)
    found: dict[str, list[dict[str, Any]]] = {}
    for peer in PEERS:
        for scenario in given["scenarios"]:
            world = World(scenario)
            steps = [(name, world.action(name), world.undo(name)) for name in given["steps"]]
            told = peer(steps)
            seen = {"calls": world.calls, "told": told, "effects": sorted(world.effects)}
            found.setdefault(peer.__name__, []).append(seen)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
