"""What a service needs to know of the call it is answering, and how it reads its request."""

from __future__ import annotations

from typing import Annotated, Any, Protocol

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


def read(request: Any, kind: Any, service: str, action: str) -> Any:
    """What is asked, as the type that an action's request has.

    Parameters:
        kind: what msgspec can convert to; ``Any`` takes the request as it is.
        service, action: who asks, for the message.

    Raises:
        TerminalError: the request lacks a field or holds one of the wrong kind; the message
            names it. Sending it again would not mend it.
    """
    if kind is Any:
        return request
    try:
        return msgspec.convert(request, kind)
    except msgspec.ValidationError as error:
        raise TerminalError(f"{service} cannot read the request of '{action}': {error}") from None
