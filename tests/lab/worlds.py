"""A small shop whose services keep their keys, and what has been asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagakit import Retry, Saga, TerminalError, pivot, step


class Shop:
    """The world: what stands in it, by idempotency key, and every call that reached it."""

    def __init__(self) -> None:
        self.done: dict[str, Any] = {}
        self.undone: set[str] = set()
        self.calls: list[str] = []

    def act(self, ctx: Any) -> str:
        self.calls.append(ctx.step)
        if ctx.action_key in self.undone:
            raise TerminalError("it was undone already")
        self.done[ctx.action_key] = [ctx.input, dict(ctx.results)]
        return f"{ctx.step} done"

    def undo(self, ctx: Any) -> None:
        self.calls.append(f"undo {ctx.step}")
        self.undone.add(ctx.action_key)
        self.done.pop(ctx.action_key, None)

    def effects(self) -> Mapping[str, int]:
        return {key.split("/")[-2]: 1 for key in self.done}


class Street:
    """Opens one shop after another, and has the steps over the one that is open."""

    def __init__(self) -> None:
        self.shop = Shop()

    def fresh(self) -> Shop:
        self.shop = Shop()
        return self.shop

    def act(self, ctx: Any) -> str:
        return self.shop.act(ctx)

    async def act_slowly(self, ctx: Any) -> str:
        import asyncio

        await asyncio.sleep(7)
        return self.shop.act(ctx)

    def undo(self, ctx: Any) -> None:
        self.shop.undo(ctx)

    async def undo_slowly(self, ctx: Any) -> None:
        self.shop.undo(ctx)

    def checkout(self) -> Saga:
        """Five steps; one is slow, one is retried, two stand side by side."""
        return Saga(
            "checkout",
            step(self.act, self.undo, name="order"),
            step(self.act, self.undo, name="charge", retry=Retry(3, wait=1)),
            step(self.act_slowly, self.undo_slowly, name="reserve", after="order"),
            pivot(self.act, name="confirm", after=("charge", "reserve"), reconcile=lambda: True),
            step(self.act, name="ship"),
        )

    def row(self, *names: str) -> Saga:
        """Steps one behind the other, without a pivot."""
        return Saga("row", *(step(self.act, self.undo, name=name) for name in names))
