"""Faults as data: a scenario is a list of failures to inject, the same for every driver."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from sagakit import redaction
from sagakit.errors import InDoubtError, SagaError, ScenarioError, TerminalError
from sagakit.journal import codec
from sagakit.plan import Call
from sagakit.quantities import is_seconds, number
from sagakit.spec import nearest

if TYPE_CHECKING:
    from sagakit.saga import Saga

Side = Literal["action", "compensation"]
INJECTED = "injected: "  # begins the message of every error that a scenario puts in
FaultKind = Literal["fail", "lose reply", "time out", "slow", "repeat", "late"]


class InjectedFault(SagaError):  # noqa: N818  a fault is what it is
    """A failure that a scenario put in; another attempt may succeed."""


class InjectedRefusal(TerminalError):  # noqa: N818
    """A failure for good that a scenario put in."""


class InjectedSilence(InDoubtError):  # noqa: N818
    """A lost reply or a timeout that a scenario put in."""


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One injected failure.

    Parameters:
        kind: ``fail`` (before the effect), ``lose reply`` (after the effect), ``time out`` (no
            effect, and nobody knows), ``slow``, ``repeat`` (the request is delivered twice) or
            ``late`` (no answer, and the request is delivered after its compensation).
        step: the step's name; ``outer/inner`` for a step of the saga that does a step, and
            ``outer/0`` for the first item where it is done for each.
        side: its action or its compensation.
        attempt: at which attempt, counted from 1; None: at every attempt, for good.
        seconds: how slow.
    """

    kind: FaultKind
    step: str
    side: Side = "action"
    attempt: int | None = None
    seconds: float = 0.0

    def __str__(self) -> str:
        where = self.step if self.side == "action" else f"compensation of {self.step}"
        when = "" if self.attempt is None else f" at attempt {self.attempt}"
        extra = f" by {self.seconds:g} s" if self.kind == "slow" else ""
        return f"{self.kind} {where}{when}{extra}"


class Signal(msgspec.Struct, frozen=True, omit_defaults=True, tag="signal"):
    """An event that arrives from outside.

    Parameters:
        at: seconds after the execution's start.
        correlation: only a wait with the same correlation takes it; None: any wait for the event.
        to: the step whose saga gets it, ``outer/inner`` for one further in; empty: the execution
            itself.
    """

    event: str
    payload: Any = None
    at: float = 0.0
    correlation: str | None = None
    to: str = ""

    __repr__ = redaction.repr_of

    def __str__(self) -> str:
        whom = "" if self.correlation is None else f" for {redaction.named(self.correlation)}"
        where = f" to {self.to}" if self.to else ""
        return f"signal {self.event}{whom}{where} at {self.at:g} s"


class Cancellation(msgspec.Struct, frozen=True, omit_defaults=True, tag="cancellation"):
    """An operator calls the execution off, ``at`` so many seconds after its start."""

    at: float = 0.0
    by: str = "operator"
    why: str = "as the scenario says"

    def __str__(self) -> str:
        return f"cancel at {self.at:g} s"


class Crash(msgspec.Struct, frozen=True, omit_defaults=True):
    """The coordinator dies at one of its events, and recovers from the journal at once.

    Parameters:
        event: the event's number in its execution, from 1 (0 is the start).
        written: the journal has it when the coordinator dies; else it is lost with all that the
            coordinator knew, though an effect that it told of has happened.
    """

    event: int
    written: bool = True

    def __str__(self) -> str:
        return f"crash {'after' if self.written else 'before'} event {self.event} is written"


class Scenario(msgspec.Struct, frozen=True, omit_defaults=True):
    """A named list of faults, and of what comes from outside meanwhile. Every method returns a
    new scenario with one more."""

    faults: tuple[Fault, ...] = ()
    name: str = ""
    interventions: tuple[Signal | Cancellation, ...] = ()
    crashes: tuple[Crash, ...] = ()

    def _with(self, fault: Fault) -> Scenario:
        if fault.attempt is not None and fault.attempt < 1:
            raise ScenarioError(f"{fault.kind} '{fault.step}': attempts are counted from 1")
        if not fault.seconds >= 0:
            raise ScenarioError(f"{fault.kind} '{fault.step}': give seconds, 0 or more")
        return msgspec.structs.replace(self, faults=(*self.faults, fault))

    def _meanwhile(self, what: Signal | Cancellation) -> Scenario:
        if not (is_seconds(what.at)):
            raise ScenarioError(f"{what}: give the seconds after the start, 0 or more")
        return msgspec.structs.replace(self, interventions=(*self.interventions, what))

    def signal(
        self,
        event: str,
        payload: Any = None,
        *,
        at: float = 0.0,
        correlation: str | None = None,
        to: str = "",
    ) -> Scenario:
        """The event arrives from outside, ``at`` seconds after the start.

        Parameters:
            to: the step whose saga waits for it (``outer/inner`` for one further in).

        Raises:
            CodecError: the payload is not plain data.
        """
        kept = codec.plain(payload, f"the signal '{event}': its payload")
        return self._meanwhile(Signal(event, kept, number(at), correlation, to))

    def cancel(
        self, at: float = 0.0, *, by: str = "operator", why: str = "as the scenario says"
    ) -> Scenario:
        """An operator calls the execution off, ``at`` seconds after its start. After the pivot
        that is refused, and changes nothing."""
        return self._meanwhile(Cancellation(number(at), by, why))

    def fail(self, step: str, attempt: int | None = None) -> Scenario:
        """The action fails before its effect: for good, or at one attempt only."""
        return self._with(Fault("fail", step, attempt=attempt))

    def lose_reply(self, step: str, attempt: int | None = None) -> Scenario:
        """The action has its effect but the reply is lost: the step is in doubt."""
        return self._with(Fault("lose reply", step, attempt=attempt))

    def time_out(self, step: str, attempt: int | None = None) -> Scenario:
        """The action never answers and never happens; nobody can know: in doubt."""
        return self._with(Fault("time out", step, attempt=attempt))

    def slow(self, step: str, seconds: float, attempt: int | None = None) -> Scenario:
        """The action begins ``seconds`` late."""
        return self._with(Fault("slow", step, attempt=attempt, seconds=seconds))

    def repeat(self, step: str, attempt: int | None = None) -> Scenario:
        """The request is delivered twice, with the same key; the second answer counts."""
        return self._with(Fault("repeat", step, attempt=attempt))

    def deliver_late(self, step: str, attempt: int | None = None) -> Scenario:
        """No answer comes, and nothing happens: not until the step has been compensated. Then the
        request arrives after all."""
        return self._with(Fault("late", step, attempt=attempt))

    def fail_compensation(self, step: str, attempt: int | None = None) -> Scenario:
        """The compensation fails: for good (the execution gets stuck), or at one attempt."""
        return self._with(Fault("fail", step, "compensation", attempt))

    def crash(self, event: int, *, written: bool = True) -> Scenario:
        """The coordinator dies at its event of this number (from 1; 0 is the start), before or
        after the journal has it, and recovers at once. Only ``simulate`` can do that: to crash
        a real one, kill its process.

        Raises:
            ScenarioError: the number is below 1.
        """
        if event < 1:
            raise ScenarioError(f"crash at event {event}: events are counted from 0, the start")
        return msgspec.structs.replace(self, crashes=(*self.crashes, Crash(event, written)))

    def check(self, saga: Saga) -> None:
        """Raise ScenarioError when a fault or a signal names a step that the saga lacks."""
        for fault in self.faults:
            *outer, name = fault.step.split("/")
            inside = _within(saga, outer, f"step '{fault.step}' to {fault.kind}")
            number = _number(inside, name)
            if number is None:
                near = nearest(name, inside.plan.index)
                raise ScenarioError(
                    f"saga '{inside.name}' has no step '{name}' to {fault.kind}{near}"
                )
            if fault.side == "action" and inside.plan.actions[number] is None:
                nested = number in inside.plan.nests
                cure = f"a saga does it: name '{name}/…'" if nested else "it waits or chooses"
                raise ScenarioError(
                    f"saga '{inside.name}': step '{name}' calls nothing that could "
                    f"{fault.kind}; {cure}"
                )
            if fault.side == "compensation" and inside.plan.compensations[number] is None:
                raise ScenarioError(
                    f"saga '{inside.name}': step '{name}' has no compensation to {fault.kind}"
                )
        for what in self.interventions:
            if isinstance(what, Signal):
                path = what.to.split("/") if what.to else []
                _check_signal(what, _within(saga, path, f"step '{what.to}' to signal"))

    def inside(self, step: str) -> Scenario | None:
        """What of this concerns the saga that does this step; None if nothing does."""
        start = f"{step}/"
        faults = tuple(
            msgspec.structs.replace(fault, step=fault.step.removeprefix(start))
            for fault in self.faults
            if fault.step.startswith(start)
        )
        signals = tuple(
            msgspec.structs.replace(what, to=what.to.removeprefix(step).removeprefix("/"))
            for what in self.interventions
            if isinstance(what, Signal) and (what.to == step or what.to.startswith(start))
        )
        return Scenario(faults, self.name, signals) if faults or signals else None

    def find(self, step: str, side: Side, attempt: int) -> Fault | None:
        """The fault for one attempt, the first that fits."""
        for fault in self.faults:
            if fault.step == step and fault.side == side and fault.attempt in (None, attempt):
                return fault
        return None

    def __str__(self) -> str:
        return (
            ", ".join(map(str, (*self.faults, *self.interventions, *self.crashes))) or "no faults"
        )


def _within(saga: Saga, path: Sequence[str], what: str) -> Saga:
    """The saga that does the step at the end of this path."""
    for name in path:
        number = _number(saga, name)
        if number is None or number not in saga.plan.nests:
            near = nearest(name, [saga.plan.names[inner] for inner in saga.plan.nests])
            raise ScenarioError(
                f"saga '{saga.name}' has no {what}: no saga does a step '{name}' there{near}"
            )
        saga = saga.child(saga.plan.names[number])
    return saga


def _number(saga: Saga, name: str) -> int | None:
    """The step's number; of a saga that is done for each item, that of the one step it has."""
    each = "for_each" in saga.shape and name.isdecimal()
    return 0 if each else saga.plan.index.get(name)


def _check_signal(signal: Signal, saga: Saga) -> None:
    awaited = {wait.event for wait in saga.plan.waits.values()} - {None}
    if signal.event not in awaited:
        names = ", ".join(f"'{event}'" for event in sorted(map(str, awaited)))
        inside = [
            name
            for name, inner in saga.children.items()
            if signal.event in {wait.event for wait in inner.plan.waits.values()}
        ]
        raise ScenarioError(
            f"saga '{saga.name}' never waits for the event '{signal.event}'; "
            + (f"it waits for {names}" if names else "it waits for none")
            + "".join(f"; the saga that does '{name}' does: signal it there" for name in inside)
        )


def inject(call: Call, fault: Fault, timeout: float | None) -> tuple[Call, float]:
    """The call that an attempt makes under a fault, and the seconds that pass before it."""
    match fault.kind:
        case "slow":
            return call, call.latency + fault.seconds
        case "fail":
            error = InjectedRefusal if fault.attempt is None else InjectedFault
            return _raising(call, error(f"{INJECTED}{fault}")), 0.0
        case "time out" | "late":
            # a little beyond the timeout, so that it is the timeout that speaks
            return _raising(call, _silence(fault)), (timeout or 0.0) * 1.01
        case "lose reply":
            return call.through(_losing(call, fault)), call.latency
        case "repeat":
            return call.through(_repeating(call)), call.latency


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


def followed(compensation: Call, late: Late) -> Call:
    """A compensation's call, behind which a late request arrives; what that raises nobody hears."""

    async def undo_and_arrive_async(ctx: Any) -> None:
        value = _invoke(compensation, ctx)
        if hasattr(value, "__await__"):
            await value
        with contextlib.suppress(Exception):
            value = late.invoke()
            if hasattr(value, "__await__"):
                await value

    def undo_and_arrive(ctx: Any) -> Any:
        value = _invoke(compensation, ctx)
        with contextlib.suppress(Exception):
            late.invoke()
        return value

    is_async = compensation.is_async or late.call.is_async
    made = compensation.through(undo_and_arrive_async if is_async else undo_and_arrive)
    made.is_async = is_async
    return made
