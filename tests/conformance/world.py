"""A world that notes every call, and steps made for it."""

from __future__ import annotations

import asyncio
from typing import Any

from sagakit import Step, pivot, step
from sagakit.events import Event


class World:
    """Makes actions that note ``name`` and compensations that note ``undo name``."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.keys: dict[str, set[str]] = {}

    def action(self, name: str, *failures: BaseException | None, result: Any = None) -> Any:
        """An action that raises the given failures in turn (the last one for ever; None: no
        failure)."""
        queue = list(failures)

        def act(ctx: Any) -> Any:
            self.calls.append(name)
            self.keys.setdefault(name, set()).add(ctx.idempotency_key)
            failure = queue.pop(0) if len(queue) > 1 else queue[0] if queue else None
            if failure is not None:
                raise failure
            return result

        act.__name__ = name.replace(" ", "_")
        return act

    def sleeper(self, name: str, seconds: float, failure: BaseException | None = None) -> Any:
        """A coroutine that takes ``seconds``."""

        async def act(ctx: Any) -> None:
            self.calls.append(name)
            await asyncio.sleep(seconds)
            self.calls.append(f"{name} ended")
            if failure is not None:
                raise failure

        act.__name__ = name
        return act

    def step(self, name: str, *failures: BaseException | None, **options: Any) -> Step:
        options.setdefault("compensation", self.action(f"undo {name}"))
        return step(self.action(name, *failures), name=name, **options)

    def pivot(self, name: str, *failures: BaseException | None, **options: Any) -> Step:
        return pivot(self.action(name, *failures), name=name, **options)

    def last(self, name: str, *failures: BaseException | None, **options: Any) -> Step:
        """A step after the pivot: without a compensation."""
        return step(self.action(name, *failures), name=name, **options)

    @property
    def undone(self) -> list[str]:
        return [call.removeprefix("undo ") for call in self.calls if call.startswith("undo ")]


def kinds(events: tuple[Event, ...], step: str) -> list[str]:
    return [type(event).__name__ for event in events if getattr(event, "step", None) == step]
