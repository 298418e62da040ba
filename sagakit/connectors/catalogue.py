"""What there is to put on a canvas or into a menu: made from the connectors themselves."""

from __future__ import annotations

from typing import Any, NamedTuple

from sagakit.connectors.forms import CEL, CONNECTORS, ROLES


class Entry(NamedTuple):
    """One kind of connector, or the expression.

    Parameters:
        kind: its name in the YAML form.
        title: its name for people.
        description: one sentence.
        step: an example of a step in the YAML form, without its place in the order. It is sound:
            a saga of it can be simulated at once.
        schema: the name of the schema of its options, in ``$defs`` of the saga's schema.
        roles: the fields of a step in which it can stand.
    """

    kind: str
    title: str
    description: str
    step: dict[str, Any]
    schema: str
    roles: tuple[str, ...]


def _entries() -> tuple[Entry, ...]:
    def roles(kind: str) -> tuple[str, ...]:
        return tuple(role for role, kinds in ROLES.items() if kind in kinds)

    found = [
        Entry(
            kind,
            connector.title,
            connector.summary,
            {"step": kind, "action": {kind: connector.shown}},
            connector.__name__,
            roles(kind),
        )
        for kind, connector in CONNECTORS.items()
    ]
    expression = Entry(
        CEL,
        "Expression",
        "Computes its result from input and results, in CEL",
        {"step": "compute", "action": {CEL: "execution_id"}},
        "Cel",
        roles(CEL),
    )
    return (*found, expression)


CATALOGUE: tuple[Entry, ...] = _entries()
