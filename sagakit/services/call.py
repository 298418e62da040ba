"""What a service needs to know of the call it is answering, and how it reads its request."""

from __future__ import annotations

from typing import Annotated, Any, Protocol, TypeVar

import msgspec

from sagakit.errors import TerminalError

Count = Annotated[int, msgspec.Meta(ge=1)]
Cents = Annotated[int, msgspec.Meta(ge=1)]
Name = Annotated[str, msgspec.Meta(min_length=1)]


class Call(Protocol):
    """The part of a ``StepContext`` that the services use; anything with these names will do."""

    @property
    def input(self) -> Any: ...
    @property
    def execution_id(self) -> str: ...
    @property
    def idempotency_key(self) -> str: ...


class Line(msgspec.Struct, frozen=True):
    """So many units of one product."""

    product: int
    quantity: Count


Request = TypeVar("Request", bound=msgspec.Struct)


def read(ctx: Call, kind: type[Request], service: str) -> Request:
    """The part of the saga's input that concerns one service, checked.

    Raises:
        TerminalError: the input lacks a field or holds one of the wrong kind; the message names
            it. Sending it again would not mend it.
    """
    try:
        return msgspec.convert(ctx.input, kind)
    except msgspec.ValidationError as error:
        raise TerminalError(f"service '{service}' cannot read the order: {error}") from None
