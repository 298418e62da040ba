"""The logs of the clients behind connectors, without secrets: httpx writes down each URL, and at
DEBUG the parts below it the headers of each reply.
"""

from __future__ import annotations

import logging
import threading

from sagakit.redaction import MASK

_CLIENTS = (
    "httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy",
    "httpcore.socks", "sqlalchemy.engine.Engine", "sqlalchemy.pool", "urllib3.connectionpool",
    "zeep.transports", "zeep.wsdl.bindings.http", "zeep.wsdl.bindings.soap", "zeep.wsdl.wsdl",
    "zeep.xsd.schema",
)  # fmt: skip


class _Discreet(logging.Filter):
    """Takes out of each entry what must not be shown."""

    def __init__(self) -> None:
        super().__init__()
        self._values: tuple[str, ...] = ()  # the longest first: one may hold others
        self._adding = threading.Lock()

    def hide(self, value: str) -> None:
        with self._adding:
            if value not in self._values:
                self._values = tuple(sorted((*self._values, value), key=len, reverse=True))

    def filter(self, record: logging.LogRecord) -> bool:
        text = shown = record.getMessage()
        for value in self._values:
            shown = shown.replace(value, MASK)
        if shown != text:
            record.msg, record.args = shown, ()
        return True


_discreet = _Discreet()


def hide(value: str) -> None:
    """Keep a value out of the clients' logs from now on."""
    _discreet.hide(value)
    for name in _CLIENTS:
        logging.getLogger(name).addFilter(_discreet)  # once: the same one is not added again
