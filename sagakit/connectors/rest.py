"""HTTP requests as actions, by httpx. What an answer means for the step is told in ``web``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from sagakit.connectors import templates
from sagakit.connectors.base import ABSENT, Connector, Result, Text, Timeout
from sagakit.connectors.secret import Vault, is_reference
from sagakit.connectors.web import (
    Headers,
    IdempotencyHeader,
    Request,
    ascii_key,
    headers_of,
    plain,
    refusal,
    request_faults,
    result_faults,
    shown_url,
)
from sagakit.errors import Problem

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
Statuses = tuple[int, ...]

_SAFE = ("GET", "HEAD", "OPTIONS")
_IDEMPOTENT = (*_SAFE, "PUT", "DELETE")  # RFC 9110 §9.2.2


class Http(Connector, frozen=True):
    """An HTTP request: ``Http("https://bank.example/payments", method="POST", json={…})``.

    Every text is a template, with expressions in ``${…}``; what a URL takes from one is
    percent-encoded.

    Parameters:
        url: the address, ``https://…``.
        method: GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS.
        headers: by their names.
        query: what is added to the address.
        json: the body, as data.
        body: the body, as text; instead of ``json``.
        expect: the statuses that mean success; any 2xx when left out.
        absent: the statuses that mean "there is no such thing": a compensation that finds nothing
            to undo is done, and a reconcile answers that the effect did not happen.
        retry_on: more statuses that mean "not done, try again".
        idempotency_header: the header that carries the step's idempotency key, which is the same
            on every attempt; empty: none. Safe methods do without.
        result: an expression over ``response`` (``status``, ``headers``, ``body``); the body when
            left out, which is data where it is JSON and otherwise text.
        timeout: seconds for the whole call.
        example: what a simulation takes for the result.
        latency: seconds that a simulation lets pass.
    """

    kind: ClassVar[str] = "http"
    title: ClassVar[str] = "HTTP request"
    summary: ClassVar[str] = "Calls a REST service, with the step's idempotency key"
    shown: ClassVar[dict[str, Any]] = {
        "url": "https://api.example.com/payments",
        "method": "POST",
        "json": {"amount": "${input.amount}"},
        "result": "response.body",
        "example": {"id": "pay_1"},
    }

    url: Annotated[
        Text,
        msgspec.Meta(title="URL", description="https://…; ${input.id} is filled in, encoded"),
    ]
    method: Annotated[
        Method, msgspec.Meta(title="Method", description="What is asked of the resource")
    ] = "GET"
    headers: Headers = msgspec.field(default_factory=dict)
    query: Annotated[
        dict[str, Any],
        msgspec.Meta(title="Query", description="Parameters added to the URL, by their names"),
    ] = msgspec.field(default_factory=dict)
    json: Annotated[
        Any, msgspec.Meta(title="JSON body", description="The body, as data with ${…} in it")
    ] = None
    body: Annotated[
        Text | None,
        msgspec.Meta(title="Text body", description="The body as text, instead of JSON"),
    ] = None
    expect: Annotated[
        Statuses,
        msgspec.Meta(title="Expected", description="Statuses of success; left out: any 2xx"),
    ] = ()
    absent: Annotated[
        Statuses,
        msgspec.Meta(
            title="Absent",
            description="Statuses that mean 'there is no such thing': nothing to undo, or (in a "
            "reconcile) the effect did not happen",
        ),
    ] = ()
    retry_on: Annotated[
        Statuses,
        msgspec.Meta(
            title="Retry on",
            description="Statuses that mean 'not done, try again', besides 408, 425, 429, 503",
        ),
    ] = ()
    idempotency_header: IdempotencyHeader = "Idempotency-Key"
    result: Result = None
    timeout: Timeout = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("expect", "absent", "retry_on"):
            given: Any = getattr(self, field)
            msgspec.structs.force_setattr(self, field, _statuses(given))
        msgspec.structs.force_setattr(self, "json", plain(self.json))
        msgspec.structs.force_setattr(self, "query", plain(self.query))

    def faults(self) -> list[Problem]:
        found = request_faults(self.url, self.headers)
        if self.json is not None and self.body is not None:
            found.append(Problem("has json and body; keep one of them", "body"))
        for field in ("expect", "absent", "retry_on"):
            found += [
                Problem(f"{field} has {status!r}; give statuses from 100 to 599", field)
                for status in getattr(self, field)
                if type(status) is not int or not 100 <= status <= 599
            ]
        for field in ("query", "json", "body"):
            found += templates.faults(getattr(self, field), field)
        for name, value in self.query.items():
            parts = value if isinstance(value, list) else [value]
            if any(isinstance(part, list | dict) and not is_reference(part) for part in parts):
                text = "is a mapping or a list of lists; give text, a number or a list of them"
                found.append(Problem(text, "query", name))
        return found + result_faults(self.result)

    @property
    def repeatable(self) -> bool:
        return bool(self.idempotency_header) or self.method in _IDEMPOTENT

    @property
    def bounded(self) -> bool:
        return True

    def call(self, ctx: Any, fill: templates.Filling, vault: Vault) -> Any:
        key = None if self.method in _SAFE else self.idempotency_header
        content, kind = self._content(fill)
        request = Request(
            shown=f"{self.method} {shown_url(self.url)}",
            method=self.method,
            url=fill.url(self.url),
            headers={
                **({} if kind is None else {"content-type": kind}),
                **({key: ascii_key(ctx.idempotency_key)} if key else {}),
                **headers_of(self.headers, fill, vault.place),
            },
            query=fill.data(self.query),
            content=content,
            timeout=self.timeout,
            safe=self.method in _SAFE,
        )
        reply = request.send(vault)
        if reply.status in self.absent:
            return ABSENT
        if not self._is_expected(reply.status):
            raise refusal(reply, request, vault, expect=self.expect, retry_on=self.retry_on)
        return reply.result(reply.read(request, vault), self.result, ctx, request, vault)

    def _content(self, fill: templates.Filling) -> tuple[bytes | None, str | None]:
        if self.json is not None:
            data = fill.data(self.json)
            if data is None:  # an expression left it out
                return None, None
            return msgspec.json.encode(data), "application/json"
        if self.body is not None:
            return fill.text(self.body).encode(), None
        return None, None

    def _is_expected(self, status: int) -> bool:
        return status in self.expect if self.expect else 200 <= status < 300


def _statuses(given: Any) -> Any:
    if isinstance(given, list | tuple | set | frozenset):
        return tuple(given)
    return (given,)
