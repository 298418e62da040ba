"""Connectors: calls to other systems as data, for sagas that are written without code.

Each can be a step's action, compensation or reconcile, in Python (``step(Http("https://…"),
name="pay")``) and in the YAML form (``action: {http: {url: https://…}}``). They need the extra
``sagakit[connectors]``, of which each loads its part when it is first called.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sagakit.connectors.base import Connector
from sagakit.connectors.cel import Cel
from sagakit.connectors.secret import Secret

if TYPE_CHECKING:
    from sagakit.connectors.catalogue import CATALOGUE
    from sagakit.connectors.graphql import Graphql
    from sagakit.connectors.publish import Message, Publish, relay
    from sagakit.connectors.rest import Http
    from sagakit.connectors.soap import Soap
    from sagakit.connectors.sql import Sql

__all__ = [
    "CATALOGUE",
    "Cel",
    "Connector",
    "Graphql",
    "Http",
    "Message",
    "Publish",
    "Secret",
    "Soap",
    "Sql",
    "relay",
]

# Loaded when they are first used: a saga of code needs none of them.
_LATER = {
    "CATALOGUE": "catalogue",
    "Graphql": "graphql",
    "Http": "rest",
    "Message": "publish",
    "Publish": "publish",
    "Soap": "soap",
    "Sql": "sql",
    "relay": "publish",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
