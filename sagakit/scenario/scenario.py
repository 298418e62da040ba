"""A scenario: what fails, what comes from outside meanwhile, and when the coordinator dies."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any, cast

import msgspec

from sagakit import redaction
from sagakit.errors import DefinitionError, ScenarioError
from sagakit.journal import codec
from sagakit.quantities import number
from sagakit.scenario import fit
from sagakit.scenario.faults import (
    Cancellation,
    Crash,
    Fault,
    FaultKind,
    Intervention,
    Side,
    Signal,
)
from sagakit.scenario.library import file_of
from sagakit.spec import written

if TYPE_CHECKING:
    from sagakit.saga import Saga
    from sagakit.scenario.form import ScenarioForm


class Scenario(msgspec.Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True):
    """A named list of faults, and of what comes from outside meanwhile. Every method returns a
    new scenario with one more. Its repr is the expression that makes it again.

    A fault of one step strikes every attempt (for good), one (``attempt``, from 1), or the first
    so many (``first``); ``side="compensation"`` means the step's compensation.

    Parameters:
        description: one sentence on the outage that it stands for.
    """

    faults: tuple[Fault, ...] = ()
    name: str = ""
    interventions: tuple[Intervention, ...] = ()
    crashes: tuple[Crash, ...] = ()
    description: str = ""

    # -- what fails -------------------------------------------------------------------------

    def _with(
        self,
        kind: FaultKind,
        step: str,
        attempt: int | None = None,
        first: int | None = None,
        side: Side = "action",
        seconds: float | None = None,
    ) -> Scenario:
        if first == 1 and attempt is None:
            attempt, first = 1, None  # one way to say it, so that equal scenarios are equal
        fault = Fault(kind, step, side, attempt, first=first)
        if seconds is not None:
            fault = msgspec.structs.replace(fault, seconds=number(seconds))
        problem = fault.problem()
        if problem:
            raise ScenarioError(f"{kind} '{step}': {problem}")
        return msgspec.structs.replace(self, faults=(*self.faults, fault))

    def fail(self, step: str, attempt: int | None = None, *, first: int | None = None) -> Scenario:
        """The action fails before its effect: for good, or at some attempts."""
        return self._with("fail", step, attempt, first)

    def lose_reply(
        self,
        step: str,
        attempt: int | None = None,
        *,
        first: int | None = None,
        side: Side = "action",
    ) -> Scenario:
        """The call has its effect but the reply is lost: the step is in doubt."""
        return self._with("lose reply", step, attempt, first, side)

    def time_out(
        self,
        step: str,
        attempt: int | None = None,
        *,
        first: int | None = None,
        side: Side = "action",
    ) -> Scenario:
        """The request is lost: it never happens, nobody answers, and nobody can know. In doubt."""
        return self._with("time out", step, attempt, first, side)

    def slow(
        self,
        step: str,
        seconds: float,
        attempt: int | None = None,
        *,
        first: int | None = None,
        side: Side = "action",
    ) -> Scenario:
        """The call begins ``seconds`` late."""
        return self._with("slow", step, attempt, first, side, seconds)

    def repeat(
        self,
        step: str,
        attempt: int | None = None,
        *,
        first: int | None = None,
        side: Side = "action",
    ) -> Scenario:
        """The request is delivered twice, with the same key; the second answer counts."""
        return self._with("repeat", step, attempt, first, side)

    def deliver_late(
        self, step: str, attempt: int | None = None, *, first: int | None = None
    ) -> Scenario:
        """No answer comes, and nothing happens: not until the step has been compensated. Then the
        request arrives after all (if it is compensated)."""
        return self._with("late", step, attempt, first)

    def reorder(
        self, step: str, attempt: int | None = None, *, first: int | None = None
    ) -> Scenario:
        """No answer comes, and nothing happens: the step's next request, its retry or its
        compensation, is delivered before this one, which arrives right behind it."""
        return self._with("reorder", step, attempt, first)

    def fail_compensation(
        self, step: str, attempt: int | None = None, *, first: int | None = None
    ) -> Scenario:
        """The compensation fails: for good (the execution gets stuck), or at some attempts."""
        return self._with("fail", step, attempt, first, "compensation")

    def trip_breaker(
        self,
        step: str,
        attempt: int | None = None,
        *,
        first: int | None = None,
        side: Side = "action",
    ) -> Scenario:
        """The circuit breaker of the step's service opens as the call asks to be let in: the
        call is refused, and so is every other one of that service until the breaker's reset."""
        return self._with("trip", step, attempt, first, side)

    def drop_signal(self, step: str) -> Scenario:
        """The event that this step waits for is lost on its way, whoever sends it."""
        return self._with("drop", step)

    def crash(self, event: int, *, written: bool = True, to: str = "") -> Scenario:
        """The coordinator dies at its event of this number (from 1; 0 is the start), before or
        after the journal has it, and recovers at once. Only virtual time can do that
        (``simulate``); other drivers refuse it: to crash a real one, kill its process.

        Parameters:
            to: the step whose saga's event it is (``outer/inner`` for one further in).

        Raises:
            ScenarioError: the number is below 1.
        """
        crash = Crash(event, written, to)
        if problem := crash.problem():
            raise ScenarioError(f"crash: {problem}")
        return msgspec.structs.replace(self, crashes=(*self.crashes, crash))

    # -- what comes from outside ------------------------------------------------------------

    def _meanwhile(self, what: Intervention) -> Scenario:
        if problem := what.problem():
            raise ScenarioError(f"{what.title}: {problem}")
        return msgspec.structs.replace(self, interventions=(*self.interventions, what))

    def signal(
        self,
        event: str,
        payload: Any = None,
        *,
        at: float = 0.0,
        correlation: str | int | uuid.UUID | None = None,
        to: str = "",
    ) -> Scenario:
        """The event arrives from outside, ``at`` seconds after the start.

        Parameters:
            correlation: what the wait's ``correlate`` gives; None: any wait for the event takes it.
            to: the step whose saga waits for it (``outer/inner`` for one further in).

        Raises:
            CodecError: the payload is not plain data.
        """
        kept = codec.plain(payload, f"the signal '{event}': its payload")
        found = cast("str | None", correlation)  # its text, once it is in the signal
        return self._meanwhile(Signal(event, kept, number(at), found, to))

    def cancel(
        self, at: float = 0.0, *, by: str = "operator", why: str = "as the scenario says"
    ) -> Scenario:
        """An operator calls the execution off, ``at`` seconds after its start. After the pivot
        that is refused, and changes nothing."""
        return self._meanwhile(Cancellation(number(at), by, why))

    # -- its forms --------------------------------------------------------------------------

    @classmethod
    def from_yaml(cls, text_or_path: str | os.PathLike[str]) -> Scenario:
        """Read the YAML form.

        Parameters:
            text_or_path: the text, or the path of a file (one line that ends in .yaml or .yml).

        Raises:
            ScenarioError: every problem, with its line and its cure.
            OSError: the file cannot be read.
        """
        from sagakit.scenario import form

        text, source = _text_of(text_or_path)
        try:
            parts = form.read(text, source)
        except DefinitionError as error:
            raise ScenarioError(str(error)) from None
        return cls(parts.faults, parts.name, parts.interventions, parts.crashes, parts.description)

    def to_yaml(self) -> str:
        """Write the YAML form, defaults left out; ``from_yaml`` gives an equal scenario."""
        return written(self.to_spec())

    def to_spec(self) -> ScenarioForm:
        """The plain data behind the YAML form."""
        from sagakit.scenario import form

        parts = (self.name, self.description, self.faults, self.interventions, self.crashes)
        try:
            return form.document(form.Parts(*parts))
        except DefinitionError as error:
            raise ScenarioError(str(error)) from None

    @classmethod
    def named(cls, name: str) -> Scenario:
        """A scenario of the library (``data/scenarios``); ``sagakit.scenario.library()`` gives
        their names.

        Raises:
            ScenarioError: there is none of this name.
        """
        return cls.from_yaml(file_of(name))

    def __repr__(self) -> str:
        given = {"name": self.name, "description": self.description}
        head = ", ".join(f"{key}={_quoted(text)}" for key, text in given.items() if text)
        calls = [*map(_fault_call, self.faults), *map(_call_of, self.interventions)]
        return "".join((f"Scenario({head})", *calls, *map(_crash_call, self.crashes)))

    def __str__(self) -> str:
        return (
            ", ".join(map(str, (*self.faults, *self.interventions, *self.crashes))) or "no faults"
        )

    # -- what drivers ask -------------------------------------------------------------------

    def check(self, saga: Saga, *, crashes: bool = False) -> None:
        """Raise ScenarioError when it does not fit a saga, or asks what a driver cannot do.

        Parameters:
            crashes: whether the driver can crash.
        """
        if self.crashes and not crashes:
            raise ScenarioError(
                f"saga '{saga.name}': {self.crashes[0]}: only virtual time can crash; run it with "
                "simulate(…, scenario=…), or kill the process of a real coordinator and let "
                "Engine.recover go on"
            )
        fit.check(saga, self.faults, self.interventions, self.crashes)

    def inside(self, step: str) -> Scenario | None:
        """What of this concerns the saga that does this step; None if nothing does."""
        start = f"{step}/"
        faults = tuple(
            msgspec.structs.replace(fault, step=fault.step.removeprefix(start))
            for fault in self.faults
            if fault.step.startswith(start)
        )
        signals = tuple(
            msgspec.structs.replace(what, to=_further(what.to, step))
            for what in self.interventions
            if isinstance(what, Signal) and (what.to == step or what.to.startswith(start))
        )
        crashes = tuple(
            msgspec.structs.replace(crash, to=_further(crash.to, step))
            for crash in self.crashes
            if crash.to == step or crash.to.startswith(start)
        )
        if not (faults or signals or crashes):
            return None
        return Scenario(faults, self.name, signals, crashes)

    def find(self, step: str, side: Side, attempt: int) -> Fault | None:
        """The fault for one attempt, the first that fits."""
        for fault in self.faults:
            if fault.strikes(step, side, attempt):
                return fault
        return None

    def drops(self, saga: Saga, event: str) -> bool:
        """Whether a signal of this event never arrives."""
        plan = saga.plan
        return any(
            fault.kind == "drop"
            and fault.step in plan.index  # else a saga inside this one waits there
            and plan.waits[plan.index[fault.step]].event == event
            for fault in self.faults
        )


def _further(path: str, step: str) -> str:
    return path.removeprefix(step).removeprefix("/")


def _text_of(text_or_path: str | os.PathLike[str]) -> tuple[str, str]:
    """The YAML text, and what an error calls it."""
    if isinstance(text_or_path, str):
        name = text_or_path.strip()
        if "\n" in name or not name.endswith((".yaml", ".yml")):
            return text_or_path, "the YAML text"
    from pathlib import Path

    path = Path(text_or_path)
    try:
        return path.read_text("utf-8"), str(path)
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: is not UTF-8 text (byte {error.start})") from None


# -- as an expression -----------------------------------------------------------------------

_METHODS: dict[FaultKind, str] = {
    "fail": "fail",
    "lose reply": "lose_reply",
    "time out": "time_out",
    "slow": "slow",
    "repeat": "repeat",
    "late": "deliver_late",
    "reorder": "reorder",
    "trip": "trip_breaker",
    "drop": "drop_signal",
}


def _fault_call(fault: Fault) -> str:
    method = _METHODS[fault.kind]
    given = [_quoted(fault.step)]
    if fault.kind == "slow":
        given.append(f"{fault.seconds!r}")
    if fault.attempt is not None:
        given.append(f"{fault.attempt}")
    if fault.first is not None:
        given.append(f"first={fault.first}")
    if fault.side == "compensation" and fault.kind == "fail":
        method = "fail_compensation"
    elif fault.side == "compensation":
        given.append(f"side={_quoted(fault.side)}")
    return f".{method}({', '.join(given)})"


def _call_of(what: Intervention) -> str:
    if isinstance(what, Signal):
        what = redaction.masked(what)
        given = [_quoted(what.event)] + ([] if what.payload is None else [f"{what.payload!r}"])
        method = "signal"
        more = {"at": what.at, "correlation": what.correlation, "to": what.to}
        usual: dict[str, Any] = {"at": 0.0, "correlation": None, "to": ""}
    else:
        given, method = ([f"{what.at!r}"] if what.at else []), "cancel"
        more = {"by": what.by, "why": what.why}
        usual = {"by": Cancellation().by, "why": Cancellation().why}
    given += [f"{key}={_quoted(value)}" for key, value in more.items() if value != usual[key]]
    return f".{method}({', '.join(given)})"


def _crash_call(crash: Crash) -> str:
    written = "" if crash.written else ", written=False"
    where = f", to={_quoted(crash.to)}" if crash.to else ""
    return f".crash({crash.event}{written}{where})"


def _quoted(value: Any) -> str:
    """A literal; text in the double quotes that the documentation uses."""
    if isinstance(value, str) and value.isprintable() and value.isascii():
        import json

        return json.dumps(value)  # of such text it is a Python literal too
    return repr(value)
