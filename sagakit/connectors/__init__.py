"""Connectors: calls to other systems as data, for sagas that are written without code.

Each can be a step's action, compensation or reconcile, in Python (``step(Http("https://…"),
name="pay")``) and in the YAML form (``action: {http: {url: https://…}}``). They need the extra
``sagakit[connectors]``, of which each loads its part when it is first called.
"""

from __future__ import annotations

from sagakit.connectors.base import Connector
from sagakit.connectors.catalogue import CATALOGUE
from sagakit.connectors.cel import Cel
from sagakit.connectors.graphql import Graphql
from sagakit.connectors.publish import Message, Publish, relay
from sagakit.connectors.rest import Http
from sagakit.connectors.secret import Secret
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
