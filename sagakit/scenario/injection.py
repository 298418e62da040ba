"""How a fault is put into a call: what an attempt does instead of what it would have done."""

from __future__ import annotations

import contextlib
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
            error = InjectedRefusal if fault.for_good else InjectedFault
            return _raising(call, error(f"{INJECTED}{fault}")), 0.0
        case "time out" | "late" | "reorder":
            # a little beyond the timeout, so that it is the timeout that speaks
            return _raising(call, _silence(fault)), (timeout or 0.0) * 1.01
        case "lose reply":
            return call.through(_losing(call, fault)), call.latency
        case "repeat":
            return call.through(_repeating(call)), call.latency
        case "trip" | "drop":  # the gate, or who takes the signal, sees to it
            return call, call.latency


def _silence(fault: Fault) -> InjectedSilence:
    return InjectedSilence(f"{INJECTED}{fault}")


def _raising(call: Call, error: Exception) -> Call:
    def fail(ctx: Any) -> None:  # noqa: ARG001  an action's form
        raise error

    made = call.through(fail)
    made.is_async = False
    return made


def _invoke(call: Call, ctx: Any) -> Any:
    return call.function(ctx) if call.takes_context else call.function()


def _losing(call: Call, fault: Fault) -> Any:
    async def act_and_lose_async(ctx: Any) -> None:
        value = _invoke(call, ctx)
        if hasattr(value, "__await__"):
            await value
        raise _silence(fault)

    def act_and_lose(ctx: Any) -> None:
        _invoke(call, ctx)
        raise _silence(fault)

    return act_and_lose_async if call.is_async else act_and_lose


def _repeating(call: Call) -> Any:
    async def act_twice_async(ctx: Any) -> Any:
        value = None
        for _ in range(2):
            value = _invoke(call, ctx)
            if hasattr(value, "__await__"):
                value = await value
        return value

    def act_twice(ctx: Any) -> Any:
        _invoke(call, ctx)
        return _invoke(call, ctx)

    return act_twice_async if call.is_async else act_twice


class Late(Protocol):
    """A request that is still on its way."""

    call: Call

    def invoke(self) -> Any:
        """Deliver it; the value may be an awaitable."""


def followed(first: Call, late: Late) -> Call:
    """A call behind which a late request arrives, however it ends; what that raises nobody
    hears."""

    async def act_and_arrive_async(ctx: Any) -> Any:
        try:
            value = _invoke(first, ctx)
            if hasattr(value, "__await__"):
                value = await value
        except Exception:
            await _arrive_async(late)
            raise
        await _arrive_async(late)
        return value

    def act_and_arrive(ctx: Any) -> Any:
        try:
            value = _invoke(first, ctx)
        except Exception:
            _arrive(late)
            raise
        _arrive(late)
        return value

    is_async = first.is_async or late.call.is_async
    made = first.through(act_and_arrive_async if is_async else act_and_arrive)
    made.is_async = is_async
    return made


async def _arrive_async(late: Late) -> None:
    with contextlib.suppress(Exception):
        value = late.invoke()
        if hasattr(value, "__await__"):
            await value


def _arrive(late: Late) -> None:
    with contextlib.suppress(Exception):
        late.invoke()
