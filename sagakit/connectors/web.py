"""What connectors over HTTP share: one request, sent by httpx, its reply, and what that means.

What an answer, or the lack of one, means for the step (RFC 9110 unless said otherwise):

- no connection: the request was not sent, so the step surely had no effect; another attempt may
  help. A request that was sent and has no whole answer, by a timeout or a broken connection, is in
  doubt (§9.2.2), unless its method is safe (GET, HEAD, OPTIONS: §9.2.1) and so had no effect.
- 2xx that is not expected: the request succeeded, and nobody can rely on its result.
- 3xx: terminal; redirects are not followed, for they would take the secrets along.
- 408, 425 (RFC 8470), 429 (RFC 6585) and 503 say that the request was not carried out and may be
  repeated, not before their ``Retry-After``; other 4xx, 501 and 505 that it never will be.
- other 5xx: the server failed while it worked on the request, or a gateway does not know what the
  server behind it did: in doubt. (Stripe's documentation says the same of its own: "treat the
  result of a 500 request as indeterminate".)

An attempt is repeated by the step's ``retry`` with the same idempotency key in the header
``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header).
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from sagakit.connectors import cel, templates
from sagakit.connectors.base import Text
from sagakit.connectors.secret import Secret, Vault
from sagakit.errors import (
    ExpressionError,
    InDoubtError,
    NotDoneError,
    Problem,
    TerminalError,
    UselessReplyError,
)

if TYPE_CHECKING:
    import httpx

_RESULT_VARIABLES = (*cel.VARIABLES, "response")

_NOT_DONE = (408, 425, 429, 503)
_NEVER = (501, 505)
_LONGEST_WAIT = 3_600.0  # seconds that a service can make a step wait
_SHOWN = 300  # characters of a body in an error
_LARGEST = 16 * 1024 * 1024  # bytes of a body
# Headers whose whole purpose is to hold a secret.
_SECRET_HEADERS = {
    "api-key", "apikey", "authorization", "cookie", "proxy-authorization", "x-api-key",
    "x-auth-token",
}  # fmt: skip

Headers = Annotated[
    dict[str, Text],
    msgspec.Meta(
        title="Headers",
        description="By their names; a value is a template, or a secret: "
        "{secret: NAME, prefix: 'Bearer '}",
    ),
]
IdempotencyHeader = Annotated[
    str,
    msgspec.Meta(
        title="Idempotency header",
        description="Carries the step's key, the same on every attempt; empty: none",
    ),
]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request, filled in."""

    shown: str  # how errors call it: as it is written, without what was filled in
    method: str
    url: str
    headers: dict[str, str]
    query: Any = None
    content: bytes | None = None
    timeout: float  # seconds
    safe: bool  # it has no effect

    def useless(self, vault: Vault, why: str) -> TerminalError:
        """The error for a reply of success that cannot be used."""
        kind = TerminalError if self.safe else UselessReplyError
        return kind(f"{vault.place}: {self.shown} {why}")

    def send(self, vault: Vault) -> Reply:
        """Send it and read the whole reply.

        Raises:
            TerminalError: it is no request.
            NotDoneError: it was not sent, or is safe and has no reply.
            InDoubtError: it was sent and has no reply.
        """
        httpx = _httpx(vault.place)
        place = f"{vault.place}: {self.shown}"
        try:
            url = httpx.URL(self.url)
            if self.query:
                url = url.copy_merge_params(_parameters(self.query))
            made = _client().build_request(
                self.method,
                url,
                headers=self.headers,
                content=self.content,
                timeout=httpx.Timeout(self.timeout),
            )
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise TerminalError(f"{place}: {vault.scrub(str(error))}") from None
        began = time.monotonic()
        try:
            with _unrecorded() if vault.holds(str(url)) else contextlib.nullcontext():
                response = _client().send(made, stream=True)
                try:
                    content = _read(response, began + self.timeout)
                finally:
                    response.close()
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise TerminalError(f"{place}: {vault.scrub(str(error))}") from None
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            why = vault.scrub(str(error)) or "no connection in time"
            raise NotDoneError(f"{place}: nothing was sent: {why}") from None
        except (httpx.HTTPError, _LateError) as error:
            why = vault.scrub(str(error)) or type(error).__name__
            if self.safe:
                raise NotDoneError(f"{place}: no reply: {why}") from None
            raise InDoubtError(f"{place}: sent, and no reply came: {why}") from None
        except _LargeError:
            larger = f"has a reply larger than {_LARGEST:,} bytes; ask for less"
            raise self.useless(vault, larger) from None
        return Reply(response.status_code, dict(response.headers), content)


class Reply(msgspec.Struct, frozen=True):
    """One reply."""

    status: int
    headers: dict[str, str]  # by their names in small letters
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    @property
    def words(self) -> str:
        """The status as people know it: ``404 Not Found``."""
        from http import HTTPStatus

        try:
            return f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            return str(self.status)

    @property
    def data(self) -> Any:
        """The body: data where it is JSON, otherwise text; None where there is none.

        Raises:
            msgspec.DecodeError: it says that it is JSON and is not.
        """
        if not self.content:
            return None
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json" or kind.endswith("+json"):
            return msgspec.json.decode(self.content)
        return self.text

    def read(self, request: Request, vault: Vault) -> Any:
        """Its body as data, of an answer that means success.

        Raises:
            UselessReplyError: the body is not what it says it is.
        """
        try:
            return self.data
        except msgspec.DecodeError:
            text = "succeeded, but its reply is not the JSON that it says it is"
            raise request.useless(vault, text) from None

    def result(
        self, data: Any, mapping: str | None, ctx: Any, request: Request, vault: Vault
    ) -> Any:
        """What the step returns.

        Parameters:
            data: the body.
            mapping: an expression over ``response``; None: the body is the result.

        Raises:
            UselessReplyError: the reply is not as the mapping needs it.
        """
        if mapping is None:
            return data
        response = {"status": self.status, "headers": self.headers, "body": data}
        given = {**cel.variables(ctx), "response": lambda: response}
        try:
            return cel.evaluate(mapping, given, vault.place)
        except ExpressionError as error:
            text = f"succeeded, but its result cannot be made: {error}"
            raise request.useless(vault, text) from None


def refusal(
    reply: Reply,
    request: Request,
    vault: Vault,
    *,
    expect: Sequence[int] = (),
    retry_on: Sequence[int] = (),
) -> Exception:
    """What the step has to know of an answer that is not the one expected.

    Parameters:
        expect: the statuses that were.
        retry_on: more statuses that mean "not done, try again".
    """
    status = reply.status
    said = f"{vault.place}: {request.shown} answered {reply.words}"
    text = shortened(vault.scrub(reply.text))
    said = f"{said}: {text}" if text else said
    if status in (*_NOT_DONE, *retry_on):
        return NotDoneError(said, _retry_after(reply))
    if 200 <= status < 300:
        cure = f"{said}; its expect has {', '.join(map(str, expect))}"
        return TerminalError(cure) if request.safe else UselessReplyError(cure)
    if 300 <= status < 400:
        return TerminalError(f"{said}; redirects are not followed, give the address where it is")
    if status >= 500 and status not in _NEVER:
        return NotDoneError(said) if request.safe else InDoubtError(said)
    return TerminalError(said)


def _retry_after(reply: Reply) -> float:
    """The seconds that a service asks to be spared (RFC 9110 §10.2.3), within reason."""
    said = reply.headers.get("retry-after", "")
    if said.isascii() and said.isdigit():
        return min(float(said[:9]), _LONGEST_WAIT)
    from email.utils import parsedate_to_datetime

    try:
        at = parsedate_to_datetime(said).timestamp()
    except ValueError:
        return 0.0
    return min(max(0.0, at - time.time()), _LONGEST_WAIT)


def shortened(text: str) -> str:
    """A text as it stands in an error."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


class _LateError(Exception):
    """The time for the whole call is over."""


class _LargeError(Exception):
    """The reply is larger than can be kept."""


def _read(response: httpx.Response, until: float) -> bytes:
    """The body, within the time of the whole call: httpx's own timeout begins anew at each byte."""
    found, size = [], 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > _LARGEST:
            raise _LargeError
        if time.monotonic() > until:
            raise _LateError("the reply did not end in time")
        found.append(chunk)
    return b"".join(found)


def _unrecorded() -> contextlib.AbstractContextManager[Any]:
    """A request that no OpenTelemetry instrumentation of httpx makes a span of: it would keep the
    whole URL. Where none is loaded there is nothing to do."""
    loaded = sys.modules.get("opentelemetry.instrumentation.utils")
    return loaded.suppress_http_instrumentation() if loaded else contextlib.nullcontext()


def _httpx(place: str) -> Any:
    try:
        import httpx
    except ModuleNotFoundError:
        text = f"{place}: an HTTP connector needs httpx: pip install 'sagakit[connectors]'"
        raise TerminalError(text) from None
    return httpx


def _client() -> httpx.Client:
    """One for the process, so that connections are kept. A child of a fork has its own."""
    return _client_of(os.getpid())


@functools.cache
def _client_of(_process: int) -> httpx.Client:
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    import httpx

    # no cookies: one execution must not be another's session
    jar = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    return httpx.Client(cookies=jar, follow_redirects=False)


def headers_of(headers: Mapping[str, Text], fill: templates.Filling, place: str) -> dict[str, str]:
    """The headers, filled in."""
    return {
        name: templates.refuse_line_breaks(fill.text(value), place, f"the header '{name}'")
        for name, value in headers.items()
    }


def _parameters(query: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    for name, value in query.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                text = str(one).lower() if isinstance(one, bool) else str(one)
                found.append((name, text))
    return found


def ascii_key(key: str) -> str:
    """An idempotency key as a header can hold it."""
    return key if key.isascii() else urllib.parse.quote(key, safe="/:.@")


def shown_url(url: Text) -> str:
    """A URL as errors show it: as it is written, without its query."""
    return f"{{secret: {url.secret}}}" if isinstance(url, Secret) else url.partition("?")[0]


def plain(value: Any) -> Any:
    """Data as the YAML form holds it, so that what is written there comes back equal."""
    if isinstance(value, Secret):
        return msgspec.to_builtins(value)
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


def result_faults(result: str | None) -> list[Problem]:
    """What is wrong with the expression of a result."""
    texts = [] if result is None else cel.faults(result, _RESULT_VARIABLES)
    return [Problem(text, "result") for text in texts]


def request_faults(url: Any, headers: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with an address and headers."""
    found = [Problem(text, *text.path) for text in templates.faults(url, "url")]
    if isinstance(url, str):
        scheme, _, rest = url.partition("://")
        if not url.startswith("${") and (scheme.lower() not in ("http", "https") or not rest):
            found.append(Problem(f"url is '{url}'; give one that begins with https://", "url"))
        elif "@" in rest.partition("/")[0]:
            text = "url holds a name or password; give it as a header by {secret: NAME}"
            found.append(Problem(text, "url"))
    for name, value in headers.items():
        if not name or not name.isascii() or any(letter in name for letter in " :\r\n"):
            found.append(Problem(f"headers has the name {name!r}; give one word", "headers"))
        literal = isinstance(value, str) and "${" not in value
        if literal and name.lower() in _SECRET_HEADERS:
            text = f"the header '{name}' stands there for all to read; give {{secret: NAME}}"
            found.append(Problem(text, "headers", name))
        found += templates.faults(value, "headers", name)
    return found
