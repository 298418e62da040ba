"""An entity as JSON Schema: what a saga's input must be."""

from __future__ import annotations

from typing import Any

from sagakit.entities.kinds import FIELD_TYPES
from sagakit.entities.links import Link, links
from sagakit.entities.model import DataModel, Entity, Field


def input_schema(model: DataModel, entity: Entity) -> dict[str, Any]:
    """The JSON Schema of an entity; see ``DataModel.input_schema``."""
    return _Writer(links(model)).whole(entity)


class _Writer:
    """Writes the entity and, under ``$defs``, what belongs to its rows."""

    def __init__(self, found: list[Link]) -> None:
        self.links = found
        self.parts: dict[str, Any] = {}

    def whole(self, entity: Entity) -> dict[str, Any]:
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": entity.name,
            **self._object(entity, None),
        }
        return schema | ({"$defs": dict(sorted(self.parts.items()))} if self.parts else {})

    def _object(self, entity: Entity, held_by: Link | None) -> dict[str, Any]:
        """One row. Within the row that it belongs to it does not say again which that is."""
        properties = {field.name: _field(field) for field in entity.fields}
        required = [field.name for field in entity.fields if not field.optional]
        for link in self.links:
            if link.child is entity and not link.many and link is not held_by:
                for name, key in zip(link.columns, link.parent.keys, strict=True):
                    properties[name] = _field(key, optional=link.optional)
                    required += [] if link.optional else [name]
            for relation, other in _many_ends(link, entity):
                properties[relation] = {"type": "array", "items": self._item(link, other)}
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        if entity.description:
            schema = {"description": entity.description, **schema}
        if required:
            schema["required"] = required
        return schema | {"additionalProperties": False}

    def _item(self, link: Link, other: Entity) -> dict[str, Any]:
        """What a list of other rows holds: the rows that belong to this one, the keys of others."""
        if link.many or not link.local:
            return _keys(other)
        name = f"{link.parent.name}.{link.down.name}" if link.down else other.name
        if name not in self.parts:
            self.parts[name] = {}  # so that one that holds its like ends
            self.parts[name] = self._object(other, link)
        return {"$ref": f"#/$defs/{name}"}


def _many_ends(link: Link, entity: Entity) -> list[tuple[str, Entity]]:
    """The lists that a row has because of a link: their names, and of what they are."""
    found = []
    if link.many and link.child is entity and link.up is not None:
        found.append((link.up.name, link.parent))
    if link.parent is entity and link.down is not None and not link.single:
        found.append((link.down.name, link.child))
    return found


def _keys(entity: Entity) -> dict[str, Any]:
    if len(entity.keys) == 1:
        return _field(entity.keys[0])
    return {
        "type": "object",
        "properties": {key.name: _field(key) for key in entity.keys},
        "required": [key.name for key in entity.keys],
        "additionalProperties": False,
    }


def _field(field: Field, *, optional: bool = False) -> dict[str, Any]:
    schema = dict(FIELD_TYPES[field.type].schema)
    if (optional or field.optional) and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    return {"description": field.description, **schema} if field.description else schema
