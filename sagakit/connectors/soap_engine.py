"""Carries out what ``Soap`` says: zeep makes and reads the messages, httpx sends them."""

from __future__ import annotations

import contextvars
import functools
import os
import threading
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import zeep
from zeep.exceptions import Error as ZeepError
from zeep.exceptions import Fault, TransportError
from zeep.helpers import serialize_object

from sagakit.connectors.secret import Vault
from sagakit.connectors.soap import Soap
from sagakit.connectors.templates import Filling
from sagakit.connectors.web import (
    Reply,
    Request,
    ascii_key,
    headers_of,
    refusal,
    shortened,
    shown_url,
)
from sagakit.errors import InDoubtError, NotDoneError, TerminalError

_SERVERS = ("server", "receiver")  # whose fault it is that the server failed
_Send = Callable[[str, bytes, dict[str, str]], Reply]
_send: contextvars.ContextVar[_Send] = contextvars.ContextVar("send")
_load: contextvars.ContextVar[Callable[[str], bytes]] = contextvars.ContextVar("load")
_reading = threading.Lock()


def call(soap: Soap, ctx: Any, fill: Filling, vault: Vault) -> Any:
    """Call the operation; what it gave, as the step's result."""
    return _Call(soap, ctx, fill, vault).make()


class _Call:
    def __init__(self, soap: Soap, ctx: Any, fill: Filling, vault: Vault) -> None:
        self.soap = soap
        self.ctx = ctx
        self.fill = fill
        self.vault = vault
        self.place = f"{vault.place}: {soap.operation} of {shown_url(soap.wsdl)}"
        self.request: Request | None = None
        self.reply: Reply | None = None

    def make(self) -> Any:
        arguments = self.fill.data(self.soap.arguments)
        client = self._client()
        token = _send.set(self._send)
        try:
            found = self._operation(client)(**arguments)
        except Fault as fault:
            raise self._fault(fault) from None
        except (ZeepError, TransportError) as error:
            raise self._unreadable(error) from None
        except (TypeError, ValueError, AttributeError) as error:
            text = self.vault.scrub(str(error))
            raise TerminalError(f"{self.place}: cannot be called: {text}") from None
        finally:
            _send.reset(token)
        assert self.request is not None
        assert self.reply is not None
        body = msgspec.json.decode(msgspec.json.encode(serialize_object(found, dict)))
        return self.reply.result(body, self.soap.result, self.ctx, self.request, self.vault)

    def _operation(self, client: zeep.Client) -> Any:
        try:
            service = client.bind(port_name=self.soap.port) if self.soap.port else client.service
            if self.soap.address is not None:
                binding = str(service._binding.name)
                service = client.create_service(binding, self.fill.url(self.soap.address))
            return service[self.soap.operation]
        except (AttributeError, ValueError, ZeepError) as error:
            text = f"the WSDL has no such operation or port: {self.vault.scrub(str(error))}"
            raise TerminalError(f"{self.place}: {text}") from None

    def _send(self, address: str, content: bytes, headers: dict[str, str]) -> Reply:
        soap = self.soap
        key = None if soap.read else soap.idempotency_header
        self.request = Request(
            shown=f"{soap.operation} at {shown_url(soap.address or soap.wsdl)}",
            method="POST",
            url=address,
            headers={
                **headers,
                **({key: ascii_key(self.ctx.idempotency_key)} if key else {}),
                **headers_of(soap.headers, self.fill, self.vault.place),
            },
            content=content,
            timeout=soap.timeout,
            safe=soap.read,
        )
        self.reply = self.request.send(self.vault)
        is_message = b"Envelope" in self.reply.content[:2_000]
        if not (200 <= self.reply.status < 300 or (self.reply.status == 500 and is_message)):
            raise refusal(self.reply, self.request, self.vault)
        return self.reply

    def _fault(self, fault: Fault) -> Exception:
        said = shortened(self.vault.scrub(str(fault.message)))
        code = str(fault.code or "").rpartition(":")[2].lower()
        if code in _SERVERS and fault.detail is None:
            error = NotDoneError if self.soap.read else InDoubtError
            return error(f"{self.place}: the service failed: {said}")
        return TerminalError(f"{self.place}: was refused: {said}")

    def _unreadable(self, error: Exception) -> Exception:
        """Of a message that does not fit the description: before it is sent, or a reply."""
        text = self.vault.scrub(str(error))
        if self.request is None or self.reply is None:
            return TerminalError(f"{self.place}: cannot be called: {text}")
        return self.request.useless(self.vault, f"was answered with what is no reply: {text}")

    def _client(self) -> zeep.Client:
        wsdl = self.fill.url(self.soap.wsdl)

        def load(url: str) -> bytes:
            shown = f"the WSDL {shown_url(self.soap.wsdl)}"
            headers = headers_of(self.soap.headers, self.fill, self.vault.place)
            request = Request(
                shown=shown,
                method="GET",
                url=url,
                headers=headers,
                timeout=self.soap.timeout,
                safe=True,
            )
            reply = request.send(self.vault)
            if not 200 <= reply.status < 300:
                raise refusal(reply, request, self.vault)
            return reply.content

        token = _load.set(load)
        try:
            with _reading:  # zeep's reading is not made for threads
                return _client_of(os.getpid(), wsdl)
        except (ZeepError, OSError, ValueError) as error:
            text = self.vault.scrub(str(error))
            raise TerminalError(f"{self.place}: the WSDL cannot be read: {text}") from None
        finally:
            _load.reset(token)


class _Transport(zeep.Transport):
    """Reads descriptions and sends messages as the call says that is under way."""

    def _load_remote_data(self, url: str) -> bytes:
        return _load.get()(url)

    def post(self, address: str, message: bytes, headers: dict[str, str]) -> httpx.Response:
        reply = _send.get()(address, message, {str(k): str(v) for k, v in headers.items()})
        kept = {name: value for name, value in reply.headers.items() if name != "content-encoding"}
        return httpx.Response(reply.status, headers=kept, content=reply.content)


@functools.cache
def _client_of(_process: int, wsdl: str) -> zeep.Client:
    """One for each description and process: to read one takes long."""
    settings = zeep.Settings(forbid_dtd=True, forbid_entities=True, forbid_external=True)
    return zeep.Client(wsdl, transport=_Transport(), settings=settings)
