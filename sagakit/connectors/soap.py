"""SOAP operations as actions, by zeep over httpx.

A fault is the service's refusal and terminal, unless it says that the server itself failed (SOAP
1.1 ``Server``, 1.2 ``Receiver``) and has no detail, which a declared fault has: then nobody knows
what was done, as after an HTTP 500. Everything else means what it does for any HTTP request.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec

from sagakit.connectors import templates
from sagakit.connectors.base import Connector, Result, Text, Timeout
from sagakit.connectors.secret import Vault
from sagakit.connectors.web import Headers, IdempotencyHeader, plain, request_faults, result_faults
from sagakit.errors import Problem


class Soap(Connector, frozen=True):
    """A SOAP operation: ``Soap("https://bank.example/pay?wsdl", "Pay", {"amount": "${…}"})``.

    Parameters:
        wsdl: the description of the service: an address, or the path of a file. It is read when
            the first call is made, and kept.
        operation: its name in the description.
        arguments: by their names, data with expressions in ``${…}``.
        port: the port's name, if the first one of the first service is not meant.
        address: where the service is, if the description does not say so.
        read: it only reads, so what has no reply has no effect either.
        headers: HTTP headers by their names.
        idempotency_header: the header that carries the step's idempotency key, which is the same
            on every attempt; empty: none.
        result: an expression over ``response``, whose ``body`` is what the operation gave; that
            when left out.
        timeout: seconds for the call, and for reading the description.
        example: what a simulation takes for the result.
        latency: seconds that a simulation lets pass.
    """

    kind: ClassVar[str] = "soap"
    title: ClassVar[str] = "SOAP"
    summary: ClassVar[str] = "Calls an operation of a SOAP service that a WSDL describes"
    shown: ClassVar[dict[str, Any]] = {
        "wsdl": "https://bank.example.com/payments?wsdl",
        "operation": "Pay",
        "arguments": {"amount": "${input.amount}"},
        "example": {"receipt": "r-1"},
    }

    wsdl: Annotated[
        Text,
        msgspec.Meta(title="WSDL", description="Describes the service: an address, or a file"),
    ]
    operation: Annotated[str, msgspec.Meta(title="Operation", description="Its name in the WSDL")]
    arguments: Annotated[
        dict[str, Any],
        msgspec.Meta(title="Arguments", description="Data with ${…} in it, by their names"),
    ] = msgspec.field(default_factory=dict)
    port: Annotated[
        str | None,
        msgspec.Meta(title="Port", description="Its name, if the first one is not meant"),
    ] = None
    address: Annotated[
        Text | None,
        msgspec.Meta(title="Address", description="Of the service, if the WSDL has another"),
    ] = None
    read: Annotated[
        bool,
        msgspec.Meta(title="Only reads", description="It has no effect that could be in doubt"),
    ] = False
    headers: Headers = msgspec.field(default_factory=dict)
    idempotency_header: IdempotencyHeader = "Idempotency-Key"
    result: Result = None
    timeout: Timeout = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        msgspec.structs.force_setattr(self, "arguments", plain(self.arguments))

    def faults(self) -> list[Problem]:
        found = [Problem(text, *text.path) for text in templates.faults(self.wsdl, "wsdl")]
        if not self.wsdl:
            found.append(Problem("wsdl is empty; give an address or a file", "wsdl"))
        if not self.operation.strip():
            found.append(Problem("operation is empty; give its name", "operation"))
        found += [
            Problem(str(text).replace("url ", "address ", 1), "address", *text.path[1:])
            if text.path[:1] == ("url",)
            else text
            for text in request_faults(self.address or "https://described", self.headers)
        ]
        found += templates.faults(self.arguments, "arguments")
        return found + result_faults(self.result)

    @property
    def repeatable(self) -> bool:
        return bool(self.idempotency_header) or self.read

    @property
    def bounded(self) -> bool:
        return True

    def call(self, ctx: Any, fill: templates.Filling, vault: Vault) -> Any:
        from sagakit.connectors.soap_engine import call

        return call(self, ctx, fill, vault)
