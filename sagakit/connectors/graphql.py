"""GraphQL operations as actions: a POST of the document and its variables (GraphQL over HTTP).

Errors in the answer are terminal: a service that could not be reached, or that asks to come again
later, says so by its status, as for any request. If a mutation answers with errors and with data,
parts of it were done: the step is in doubt, too, and so it is compensated.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

import msgspec

from sagakit.connectors import templates
from sagakit.connectors.base import Connector, Result, Text, Timeout
from sagakit.connectors.secret import Vault
from sagakit.connectors.web import (
    Headers,
    Reply,
    Request,
    ascii_key,
    headers_of,
    plain,
    refusal,
    request_faults,
    result_faults,
    shortened,
    shown_url,
)
from sagakit.errors import Problem, TerminalError


class Graphql(Connector, frozen=True):
    """A GraphQL operation: ``Graphql("https://…/graphql", "mutation ($n: Int!) {…}", {"n": 1})``.

    Parameters:
        url: the endpoint.
        query: the document, with a query or a mutation. It is no template: what changes goes into
            the variables.
        variables: data with expressions in ``${…}``.
        operation: which operation of the document, if it has several.
        headers: by their names.
        idempotency_header: the header of a mutation that carries the step's idempotency key;
            empty: none.
        result: an expression over ``response``, whose ``body`` is the answer's ``data``; that when
            left out.
        timeout: seconds for the whole call.
        example: what a simulation takes for the result.
        latency: seconds that a simulation lets pass.
    """

    kind: ClassVar[str] = "graphql"
    title: ClassVar[str] = "GraphQL"
    summary: ClassVar[str] = "Sends a query or mutation to a GraphQL service"
    shown: ClassVar[dict[str, Any]] = {
        "url": "https://api.example.com/graphql",
        "query": "mutation ($amount: Int!) { pay(amount: $amount) { id } }",
        "variables": {"amount": "${input.amount}"},
        "result": "response.body.pay",
        "example": {"id": "pay_1"},
    }

    url: Annotated[Text, msgspec.Meta(title="URL", description="The endpoint, https://…")]
    query: Annotated[
        str,
        msgspec.Meta(title="Document", description="A query or mutation, with $variables"),
    ]
    variables: Annotated[
        dict[str, Any],
        msgspec.Meta(title="Variables", description="Data with ${…} in it, by their names"),
    ] = msgspec.field(default_factory=dict)
    operation: Annotated[
        str | None,
        msgspec.Meta(title="Operation", description="Its name, if the document has several"),
    ] = None
    headers: Headers = msgspec.field(default_factory=dict)
    idempotency_header: Annotated[
        str,
        msgspec.Meta(
            title="Idempotency header",
            description="Carries a mutation's key, the same on every attempt; empty: none",
        ),
    ] = "Idempotency-Key"
    result: Result = None
    timeout: Timeout = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        msgspec.structs.force_setattr(self, "variables", plain(self.variables))

    def faults(self) -> list[Problem]:
        found = request_faults(self.url, self.headers)
        if not self.query.strip():
            found.append(Problem("query is empty; give a query or a mutation", "query"))
        if re.match(r"\s*subscription\b", self.query):
            text = "query is a subscription, which has no end; give a query or a mutation"
            found.append(Problem(text, "query"))
        found += templates.faults(self.variables, "variables")
        return found + result_faults(self.result)

    @property
    def repeatable(self) -> bool:
        return bool(self.idempotency_header) or not self._changes

    @property
    def bounded(self) -> bool:
        return True

    @property
    def _changes(self) -> bool:
        return re.search(r"\bmutation\b", self.query) is not None

    def call(self, ctx: Any, fill: templates.Filling, vault: Vault) -> Any:
        changes = self._changes
        key = self.idempotency_header if changes else None
        body: dict[str, Any] = {"query": self.query, "variables": fill.data(self.variables)}
        if self.operation is not None:
            body["operationName"] = self.operation
        request = Request(
            shown=f"{'mutation' if changes else 'query'} at {shown_url(self.url)}",
            method="POST",
            url=fill.url(self.url),
            headers={
                "content-type": "application/json",
                "accept": "application/graphql-response+json, application/json",
                **({key: ascii_key(ctx.idempotency_key)} if key else {}),
                **headers_of(self.headers, fill, vault.place),
            },
            content=msgspec.json.encode(body),
            timeout=self.timeout,
            safe=not changes,
        )
        reply = request.send(vault)
        if not 200 <= reply.status < 300:
            raise refusal(reply, request, vault)
        data = self._data(reply, request, vault)
        return reply.result(data, self.result, ctx, request, vault)

    def _data(self, reply: Reply, request: Request, vault: Vault) -> Any:
        answer = reply.read(request, vault)
        if not isinstance(answer, dict) or not ("data" in answer or "errors" in answer):
            raise request.useless(vault, "succeeded, but its reply is no GraphQL answer")
        data = answer.get("data")
        if not answer.get("errors"):
            return data
        said = shortened(vault.scrub(_messages(answer["errors"])))
        done = isinstance(data, dict) and any(value is not None for value in data.values())
        if done:
            raise request.useless(vault, f"was done in part: {said}")
        raise TerminalError(f"{vault.place}: {request.shown} was refused: {said}")


def _messages(errors: Any) -> str:
    """What the errors of an answer say."""
    found = errors if isinstance(errors, list) else [errors]
    texts = [one.get("message", one) if isinstance(one, dict) else one for one in found]
    return "; ".join(map(str, texts))
