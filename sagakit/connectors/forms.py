"""What stands for a callable in the YAML form: a mapping with one key, the kind, and its options.

``{cel: input.amount > 100}`` is an expression, ``{http: {url: …}}`` a connector. In the plain data
of ``spec`` a connector is in such a mapping too, a struct with one field, so that ``to_builtins``
writes it as it is read.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sagakit.connectors.base import Connector
from sagakit.connectors.cel import Cel
from sagakit.connectors.graphql import Graphql
from sagakit.connectors.publish import Publish
from sagakit.connectors.rest import Http
from sagakit.connectors.soap import Soap
from sagakit.connectors.sql import Sql

CONNECTORS: dict[str, type[Connector]] = {
    kind.kind: kind for kind in (Http, Graphql, Soap, Sql, Publish)
}
CEL = "cel"


class Form(msgspec.Struct, frozen=True):
    """A connector in the YAML form. Its one field has the name of the connector's kind."""

    @property
    def made(self) -> Connector:
        """The connector."""
        connector: Connector = getattr(self, self.__struct_fields__[0])
        return connector


FORMS: dict[str, Any] = {
    kind: msgspec.defstruct(
        f"{connector.__name__}Form",
        [(kind, connector)],
        bases=(Form,),
        module=__name__,
        frozen=True,
        forbid_unknown_fields=True,
    )
    for kind, connector in CONNECTORS.items()
}

# Which kinds may stand in which role of a step. What is only asked for an answer, at once, is an
# expression: a call to another system takes time, and may fail.
_CALLS = tuple(CONNECTORS)
ROLES: dict[str, tuple[str, ...]] = {
    "action": (*_CALLS, CEL),
    "compensation": _CALLS,
    "reconcile": _CALLS,
    "when": (CEL,),
    "choice": (CEL,),
    "input": (CEL,),
    "items": (CEL,),
    "correlate": (CEL,),
    "timeout": (CEL,),
}


def form(value: Any) -> Any:
    """A connector as the YAML form has it; an expression, or anything else, as it is."""
    return FORMS[value.kind](value) if isinstance(value, Connector) else value


def made(value: Any) -> Any:
    """What a form stands for; anything else as it is."""
    return value.made if isinstance(value, Form) else value


def is_data(value: Any) -> bool:
    """Whether it is a connector or an expression, which the YAML form holds whole."""
    return isinstance(value, Connector | Cel)


def schema_parts() -> tuple[dict[str, Any], dict[str, list[dict[str, str]]]]:
    """The JSON Schemas of all forms by their names, and by role what may stand there."""
    kinds = [*FORMS.values(), Cel]
    _, found = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for kind, connector in CONNECTORS.items():
        part = found[FORMS[kind].__name__]
        part |= {"title": connector.title, "description": connector.summary}
    found["Cel"] |= {"title": "Expression", "description": "An expression in CEL (cel.dev)"}
    named = {kind: kind_form.__name__ for kind, kind_form in FORMS.items()} | {CEL: "Cel"}
    refs = {
        role: [{"$ref": f"#/$defs/{named[kind]}"} for kind in kinds_of]
        for role, kinds_of in ROLES.items()
    }
    return found, refs
