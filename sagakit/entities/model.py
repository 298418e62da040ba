"""The data model: entities per service, their fields and relations, as frozen values."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from sagakit.errors import DefinitionError, Problem

if TYPE_CHECKING:
    from sagakit.views import Picture


class Field(msgspec.Struct, frozen=True, omit_defaults=True):
    """A field of an entity.

    Parameters:
        type: a name in ``FIELD_TYPES``.
        key: part of what a row is found by.
        optional: may be left out.
        description: one sentence for people.
    """

    name: str
    type: str = "text"
    key: bool = False
    optional: bool = False
    description: str = ""


class Relation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an entity has to do with another one.

    Parameters:
        to: the other entity's name.
        kind: ``"one"``: each row has one of it; ``"many"``: any number.
    """

    name: str
    to: str = ""
    kind: str = "one"


class Entity(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that a service stores: a table of rows that have these fields.

    Parameters:
        name: as a class is named: ``Order``, ``OrderLine``.
        service: whose database has it; None: the one of all that name no service.
        description: one sentence for people.
    """

    name: str
    service: str | None = None
    fields: tuple[Field, ...] = ()
    relations: tuple[Relation, ...] = ()
    description: str = ""

    def __post_init__(self) -> None:
        _as_tuples(self, "fields", "relations")

    @property
    def keys(self) -> tuple[Field, ...]:
        """The fields that a row is found by."""
        return tuple(field for field in self.fields if field.key)


class DataModel(msgspec.Struct, frozen=True, omit_defaults=True):
    """Entities per service, and which of them is a saga's input.

    A model is a value that may still be wrong, as one is that a person is about to write:
    ``problems`` says what is, and what needs a right one refuses it.

    Parameters:
        entities: in reading order.
        input: the name of the entity that the saga is given.
    """

    entities: tuple[Entity, ...] = ()
    input: str | None = None

    def __post_init__(self) -> None:
        _as_tuples(self, "entities")

    def entity(self, name: str) -> Entity | None:
        """The first entity of this name, if there is one."""
        return next((entity for entity in self.entities if entity.name == name), None)

    def problems(self) -> list[Problem]:
        """What is wrong, each with its path (``"entities", 1, "fields", 0, "type"``) and cure."""
        from sagakit.entities.checks import problems

        return problems(self)

    # -- its plain form and its YAML form ----------------------------------------------------

    @classmethod
    def from_plain(cls, plain: Any) -> DataModel:
        """Read the plain form: what JSON holds.

        Raises:
            DefinitionError: it has another shape; each problem has its path.
        """
        from sagakit.entities.form import from_plain

        return from_plain(plain)

    def to_plain(self) -> dict[str, Any]:
        """Write the plain form; ``from_plain`` gives an equal model."""
        from sagakit.entities.form import to_plain

        return to_plain(self)

    @classmethod
    def from_yaml(cls, text_or_path: str | os.PathLike[str]) -> DataModel:
        """Read the YAML form, which is the plain form as YAML.

        Parameters:
            text_or_path: the text, or the path of a file (one line that ends in .yaml or .yml).

        Raises:
            DefinitionError: it cannot be read; each problem has its line.
            OSError: the file cannot be read.
        """
        from sagakit.entities.form import from_yaml

        return from_yaml(text_or_path)

    def to_yaml(self) -> str:
        """Write the YAML form; ``from_yaml`` gives an equal model."""
        from sagakit.entities.form import to_yaml

        return to_yaml(self)

    # -- what comes of it ----------------------------------------------------------------------

    def input_schema(self, entity: str | None = None) -> dict[str, Any]:
        """The JSON Schema (2020-12) of an entity, as ``Saga(…, input=…)`` takes it.

        What belongs to a row (``many`` of the same service) is nested in it; of other entities it
        has the keys, named as in ``models_source``.

        Parameters:
            entity: its name; left out: the one that is the ``input``.

        Raises:
            DefinitionError: the model has problems, or no such entity.
        """
        from sagakit.entities.schema import input_schema

        self._must_be_right()
        name = self.input if entity is None else entity
        found = None if name is None else self.entity(name)
        if found is None:
            known = ", ".join(each.name for each in self.entities)
            text = (
                "names no input; set its 'input' to an entity"
                if name is None
                else f"has no entity '{name}'; known are {known}"
            )
            raise DefinitionError("the data model", [Problem(text, "input")])
        return input_schema(self, found)

    def models_source(self) -> str:
        """Python source of SQLAlchemy 2 models, formatted as ruff does.

        Each service has a base, thus a ``metadata``, of its own, because each has its own database:
        a relation into another service is the plain key of the other row, not a foreign key.

        Raises:
            DefinitionError: the model has problems.
        """
        from sagakit.entities.source import models_source

        self._must_be_right()
        return models_source(self)

    def picture(self) -> Picture:
        """The entities by service, with their relations: an ER diagram in crow's-foot notation."""
        from sagakit.entities.diagram import picture

        return picture(self)

    def _must_be_right(self) -> None:
        found = self.problems()
        if found:
            raise DefinitionError("the data model", found)

    def __repr__(self) -> str:
        services = {entity.service or "" for entity in self.entities} - {""}
        words = [_count(len(self.entities), "entity", "entities")]
        words += [f"in {_count(len(services), 'service', 'services')}"] if services else []
        return f"<DataModel: {' '.join(words)}>"

    def _repr_html_(self) -> str:
        return self.picture()._repr_html_()


def _count(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _as_tuples(struct: msgspec.Struct, *names: str) -> None:
    for name in names:
        msgspec.structs.force_setattr(struct, name, tuple(getattr(struct, name)))
