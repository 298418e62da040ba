"""How a fault is put into a call: what an attempt does instead of what it would have done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any, Protocol

from sagakit.errors import InDoubtError, SagaError, TerminalError
from sagakit.plan import Call
from sagakit.scenario.faults import Fault

INJECTED = "injected: "  # begins the message of every error that a scenario puts in


class InjectedFault(SagaError):  # noqa: N818  a fault is what it is
    """A failure that a scenario put in; another attempt may succeed."""


class InjectedRefusal(TerminalError):  # noqa: N818
    """A failure for good that a scenario put in."""


class InjectedSilence(InDoubtError):  # noqa: N818
    """A lost reply or a timeout that a scenario put in."""


def inject(call: Call, fault: Fault, timeout: float | None) -> tuple[Call, float]:
    """The call that an attempt makes under a fault, and the seconds that pass before it."""
    match fault.kind:
        case "slow":
            return call, call.latency + fault.seconds
        case "fail":
            return _raising(call, fault, InjectedRefusal if fault.for_good else InjectedFault), 0.0
        case "time out" | "late" | "reorder":
            # a little beyond the timeout, so that it is the timeout that speaks
            return _raising(call, fault, InjectedSilence), (timeout or 0.0) * 1.01
        case "lose reply":
            return call.through(_losing(call, fault)), call.latency
        case "repeat":
            return call.through(_repeating(call)), call.latency
        case "trip" | "drop":  # the gate, or who takes the signal, sees to it
            return call, call.latency


def _raising(call: Call, fault: Fault, error: type[Exception]) -> Call:
    def fail(ctx: Any) -> None:  # noqa: ARG001  an action's form
        raise error(f"{INJECTED}{fault}")

    made = call.through(fail)
    made.is_async = False
    return made


def _invoke(call: Call, ctx: Any) -> Any:
    return call.function(ctx) if call.takes_context else call.function()


# What an attempt does under a fault is told once, as a script: a generator that yields what its
# calls give, which may be awaitables, and is sent what came of them. A plain call stays plain as
# long as nothing has to be awaited.
_Script = Generator[Any, Any, Any]


def _acting(is_async: bool, script: Callable[[Any], _Script]) -> Any:
    async def act_async(ctx: Any) -> Any:
        return await _go_on(script(ctx), None)

    def act(ctx: Any) -> Any:
        return _go(script(ctx))

    return act_async if is_async else act


def _go(script: _Script) -> Any:
    """Follow a script; from the first awaitable on, as a coroutine."""
    value = None
    try:
        while True:
            value = script.send(value)
            if hasattr(value, "__await__"):
                return _go_on(script, value)
    except StopIteration as end:
        return end.value


async def _go_on(script: _Script, value: Any) -> Any:
    try:
        while True:
            try:
                came = await value if hasattr(value, "__await__") else value
            except Exception as error:  # noqa: BLE001  the script knows what to do
                value = script.throw(error)
            else:
                value = script.send(came)
    except StopIteration as end:
        return end.value


def _losing(call: Call, fault: Fault) -> Any:
    def act_and_lose(ctx: Any) -> _Script:
        yield _invoke(call, ctx)
        raise InjectedSilence(f"{INJECTED}{fault}")

    return _acting(call.is_async, act_and_lose)


def _repeating(call: Call) -> Any:
    def act_twice(ctx: Any) -> _Script:
        yield _invoke(call, ctx)
        return (yield _invoke(call, ctx))

    return _acting(call.is_async, act_twice)


class Late(Protocol):
    """A request that is still on its way."""

    call: Call

    def invoke(self) -> Any:
        """Deliver it; the value may be an awaitable."""


def followed(first: Call, late: Late) -> Call:
    """A call behind which a late request arrives, however it ends; what that raises nobody
    hears."""

    def act_and_arrive(ctx: Any) -> _Script:
        try:
            value = yield _invoke(first, ctx)
        except Exception:
            yield from _arrive(late)
            raise
        yield from _arrive(late)
        return value

    is_async = first.is_async or late.call.is_async
    made = first.through(_acting(is_async, act_and_arrive))
    made.is_async = is_async
    return made


def _arrive(late: Late) -> _Script:
    with contextlib.suppress(Exception):
        yield late.invoke()
