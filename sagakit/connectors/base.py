"""What every connector is: data that can be called where an action can.

A connector is a frozen struct, equal by value, which the YAML form holds under the name of its
kind: ``action: {http: {url: …}}``. What it needs beyond sagakit is loaded when it is first called.
A simulation calls no connector: there its ``example`` stands in for what it would return.
"""

from __future__ import annotations

import datetime
import decimal
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar

import msgspec

from sagakit.connectors import templates
from sagakit.connectors.secret import Secret, Vault, is_reference
from sagakit.errors import Problem
from sagakit.quantities import is_seconds, number

_UNKEPT = (bytes, bytearray, datetime.time, datetime.timedelta, uuid.UUID, decimal.Decimal)
_KEPT = (*_UNKEPT, datetime.datetime, datetime.date)
ABSENT = object()  # what a connector asked for is not there

Text = str | Secret
Timeout = Annotated[
    float,
    msgspec.Meta(
        title="Timeout",
        description="Seconds for the whole call; after that its outcome is in doubt",
    ),
]
Result = Annotated[
    str | None,
    msgspec.Meta(
        title="Result",
        description="What the step's result is: an expression in CEL over response (and input, "
        "results …); without it the whole body",
    ),
]


class Connector(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A call to another system, as data. Use one of its kinds.

    Parameters:
        example: what a simulation takes for the result.
        latency: seconds that a simulation lets pass.
    """

    kind: ClassVar[str]  # its name in the YAML form
    title: ClassVar[str]
    summary: ClassVar[str]
    shown: ClassVar[dict[str, Any]]  # an example of a step's action, for people and the palette

    example: Annotated[
        Any,
        msgspec.Meta(
            title="Example result",
            description="What a simulation takes for the result; it calls nothing",
        ),
    ] = None
    latency: Annotated[
        float,
        msgspec.Meta(title="Latency", description="Seconds that a simulation lets pass"),
    ] = 0.0

    def __post_init__(self) -> None:
        for field in ("latency", "timeout"):
            if hasattr(self, field):
                msgspec.structs.force_setattr(self, field, number(getattr(self, field)))
        for field in ("url", "wsdl", "address", "body"):
            if hasattr(self, field):
                msgspec.structs.force_setattr(self, field, _with_secret(getattr(self, field)))
        headers = getattr(self, "headers", None)
        if isinstance(headers, dict):
            made = {name: _with_secret(value) for name, value in headers.items()}
            msgspec.structs.force_setattr(self, "headers", made)

    def __call__(self, ctx: Any) -> Any:
        found = self.find(ctx)
        return None if found is ABSENT else found

    def find(self, ctx: Any) -> Any:
        """Make the call; ``ABSENT`` where it says that what it is about is not there."""
        return self._discreetly(ctx, self.call)

    def ask(self, ctx: Any) -> Any:
        """As a reconcile: what the step's action did; ``ABSENT`` if it did nothing."""
        return self._discreetly(ctx, self.inquire)

    def _discreetly(self, ctx: Any, call: Callable[..., Any]) -> Any:
        vault = Vault(f"step '{ctx.step}'")
        return vault.clean(call(ctx, templates.Filling(ctx, vault), vault))

    @property
    def repeatable(self) -> bool:
        """Whether a repeat with the same key is told from another request."""
        return False

    @property
    def bounded(self) -> bool:
        """Whether a call ends by itself, answered or not."""
        return False

    def call(self, ctx: Any, fill: templates.Filling, vault: Vault) -> Any:
        """Make the call.

        Raises:
            TerminalError: it was refused, and would be again.
            NotDoneError: it surely had no effect.
            InDoubtError: nobody knows whether it had one.
        """
        raise NotImplementedError

    def inquire(self, ctx: Any, fill: templates.Filling, vault: Vault) -> Any:
        """Make the call as a reconcile: the same call, for most."""
        return self.call(ctx, fill, vault)

    def problems(self, role: str = "", action: Any = None) -> list[Problem]:  # noqa: ARG002
        """What is wrong with it, each with its cure, and where.

        Parameters:
            role: in which it stands, and
            action: of the step in which it does; most kinds may stand in any.
        """
        found = self._types() or [*self._numbers(), *self.faults()]
        return [Problem(_at(text), self.kind, *text.path) for text in found]

    def faults(self) -> list[Problem]:
        """What is wrong with the options of its kind."""
        return []

    def _types(self) -> list[Problem]:
        """What is of another type than the option takes: Python itself does not look."""
        try:
            plain = msgspec.to_builtins(self, builtin_types=_KEPT)
            msgspec.convert(plain, type(self), builtin_types=_KEPT)
        except msgspec.ValidationError as error:
            text, _, place = str(error).partition(" - at `$.")
            field = re.split(r"\W", place)[0]
            return [Problem(f"{field}: {text[0].lower()}{text[1:]}", *([field] if field else ()))]
        except TypeError as error:
            return [Problem(f"holds what is no plain data: {error}")]
        cure = "give text, numbers, true, false, null, dates, lists and mappings"
        return [Problem(f"holds {value!r}; {cure}") for value in _strange(plain)][:1]

    def _numbers(self) -> Iterator[Problem]:
        if not is_seconds(self.latency):
            yield Problem(f"latency is {self.latency!r}; give seconds, 0 or more", "latency")
        timeout = getattr(self, "timeout", 1.0)
        if not (is_seconds(timeout) and timeout > 0):
            yield Problem(f"timeout is {timeout!r}; give seconds above 0", "timeout")


def _strange(value: Any) -> Iterator[Any]:
    """What in plain data the YAML form could not give back as it is."""
    if isinstance(value, dict):
        for part in (*value, *value.values()):
            yield from _strange(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strange(part)
    elif isinstance(value, _UNKEPT):
        yield value


def _with_secret(value: Any) -> Any:
    """A reference as the YAML form has it made a Secret; anything else as it is."""
    return msgspec.convert(value, Secret) if is_reference(value) else value


def _at(text: Problem) -> str:
    """A problem with the option that it is about, where it does not begin with it."""
    place = ".".join(map(str, text.path))
    return text if not place or text.startswith(str(text.path[0])) else f"{place}: {text}"
