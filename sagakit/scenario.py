"""Faults as data: a scenario is a list of failures to inject, the same for every driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from sagakit.errors import InDoubtError, SagaError, ScenarioError, TerminalError
from sagakit.journal import codec
from sagakit.plan import Call
from sagakit.quantities import is_seconds, number
from sagakit.spec import nearest

if TYPE_CHECKING:
    from sagakit.saga import Saga

Side = Literal["action", "compensation"]
INJECTED = "injected: "  # begins the message of every error that a scenario puts in
FaultKind = Literal["fail", "lose reply", "time out", "slow"]


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
            effect, and nobody knows) or ``slow``.
        step: the step's name.
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
    """

    event: str
    payload: Any = None
    at: float = 0.0
    correlation: str | None = None

    def __str__(self) -> str:
        whom = f" for {self.correlation}" if self.correlation is not None else ""
        return f"signal {self.event}{whom} at {self.at:g} s"


class Cancellation(msgspec.Struct, frozen=True, omit_defaults=True, tag="cancellation"):
    """An operator calls the execution off, ``at`` so many seconds after its start."""

    at: float = 0.0
    by: str = "operator"
    why: str = "as the scenario says"

    def __str__(self) -> str:
        return f"cancel at {self.at:g} s"


class Scenario(msgspec.Struct, frozen=True, omit_defaults=True):
    """A named list of faults, and of what comes from outside meanwhile. Every method returns a
    new scenario with one more."""

    faults: tuple[Fault, ...] = ()
    name: str = ""
    interventions: tuple[Signal | Cancellation, ...] = ()

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
        self, event: str, payload: Any = None, *, at: float = 0.0, correlation: str | None = None
    ) -> Scenario:
        """The event arrives from outside, ``at`` seconds after the start.

        Raises:
            CodecError: the payload is not plain data.
        """
        kept = codec.plain(payload, f"the signal '{event}': its payload")
        return self._meanwhile(Signal(event, kept, number(at), correlation))

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

    def fail_compensation(self, step: str, attempt: int | None = None) -> Scenario:
        """The compensation fails: for good (the execution gets stuck), or at one attempt."""
        return self._with(Fault("fail", step, "compensation", attempt))

    def check(self, saga: Saga) -> None:
        """Raise ScenarioError when a fault names a step that the saga lacks."""
        for fault in self.faults:
            number = saga.plan.index.get(fault.step)
            if number is None:
                near = nearest(fault.step, saga.plan.index)
                raise ScenarioError(
                    f"saga '{saga.name}' has no step '{fault.step}' to {fault.kind}{near}"
                )
            if fault.side == "action" and saga.plan.actions[number] is None:
                raise ScenarioError(
                    f"saga '{saga.name}': step '{fault.step}' calls nothing that could "
                    f"{fault.kind}; it waits or chooses"
                )
            if fault.side == "compensation" and saga.plan.compensations[number] is None:
                raise ScenarioError(
                    f"saga '{saga.name}': step '{fault.step}' has no compensation to {fault.kind}"
                )

        awaited = {wait.event for wait in saga.plan.waits.values()} - {None}
        for what in self.interventions:
            if isinstance(what, Signal) and what.event not in awaited:
                names = ", ".join(f"'{event}'" for event in sorted(map(str, awaited)))
                raise ScenarioError(
                    f"saga '{saga.name}' never waits for the event '{what.event}'; "
                    + (f"it waits for {names}" if names else "it waits for none")
                )

    def find(self, step: str, side: Side, attempt: int) -> Fault | None:
        """The fault for one attempt, the first that fits."""
        for fault in self.faults:
            if fault.step == step and fault.side == side and fault.attempt in (None, attempt):
                return fault
        return None

    def __str__(self) -> str:
        return ", ".join(map(str, (*self.faults, *self.interventions))) or "no faults"


def inject(call: Call, fault: Fault, timeout: float | None) -> tuple[Call, float]:
    """The call that an attempt makes under a fault, and the seconds that pass before it."""
    match fault.kind:
        case "slow":
            return call, call.latency + fault.seconds
        case "fail":
            error = InjectedRefusal if fault.attempt is None else InjectedFault
            return Call(_raising(error(f"{INJECTED}{fault}"))), 0.0
        case "time out":
            # a little beyond the timeout, so that it is the timeout that speaks
            return Call(_raising(InjectedSilence(f"{INJECTED}{fault}"))), (timeout or 0.0) * 1.01
        case "lose reply":
            return Call(_losing(call, fault)), call.latency


def _raising(error: Exception) -> Any:
    def fail() -> None:
        raise error

    return fail


def _losing(call: Call, fault: Fault) -> Any:
    def invoke(context: Any) -> Any:
        return call.function(context) if call.takes_context else call.function()

    async def act_and_lose_async(ctx: Any) -> None:
        value = invoke(ctx)
        if hasattr(value, "__await__"):
            await value
        raise InjectedSilence(f"{INJECTED}{fault}")

    def act_and_lose(ctx: Any) -> None:
        invoke(ctx)
        raise InjectedSilence(f"{INJECTED}{fault}")

    return act_and_lose_async if call.is_async else act_and_lose
