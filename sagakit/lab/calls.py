"""Calls that are made beside an execution: its events do not tell of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sagakit.drivers.attempt import Attempt
from sagakit.drivers.run import Run
from sagakit.drivers.simulated import Simulation
from sagakit.events import ErrorInfo
from sagakit.saga import Saga
from sagakit.steps import step


class Unseen:
    """Keeps calls out of the traces: what they belong to is traced already, or is none of ours."""

    sampled = False

    def call(self, calling: Any, side: str, attempt: int, function: Callable[[], Any]) -> Any:  # noqa: ARG002
        return function()

    def follow(self, run: Any, upto: int, committed: float | None = None) -> None:
        """Nobody wants to know."""

    def leave(self) -> None:
        """Nothing is kept."""

    def ids(self, step: str, side: str, attempt: int) -> dict[str, str]:  # noqa: ARG002
        return {}


def make_calls(attempts: Sequence[Attempt]) -> list[ErrorInfo | None]:
    """Make these calls at once, in virtual time; nobody hears what they return.

    Returns:
        the error of each, None where it succeeded.
    """
    if not attempts:
        return []
    # Steps without an order, in a saga of their own: so the driver makes them as it makes any.
    steps = [
        step(_call(attempt), name=str(number), after=(), timeout=attempt.timeout)
        for number, attempt in enumerate(attempts)
    ]
    run = Run.begin(Saga("calls", *steps), None, "calls", 0.0, 0, None)
    run.watch = Unseen()
    errors = dict(Simulation(run, 0.0, {}).finish().errors)
    return [errors.get(str(number)) for number in range(len(steps))]


def _call(attempt: Attempt) -> Callable[[], Awaitable[None] | None]:
    def call() -> Awaitable[None] | None:
        value = None if attempt.delay else attempt.invoke()
        return _await(attempt, value) if attempt.delay or hasattr(value, "__await__") else None

    return call


async def _await(attempt: Attempt, value: Any) -> None:
    if attempt.delay:
        await asyncio.sleep(attempt.delay)
        value = attempt.invoke()
    if hasattr(value, "__await__"):
        await value
