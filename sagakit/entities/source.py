"""Python source of SQLAlchemy 2 models, laid out as ``ruff format`` lays it out by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sagakit import pretty
from sagakit.entities.kinds import FIELD_TYPES
from sagakit.entities.layout import assigned, bracketed, comment, declared, docstring
from sagakit.entities.links import Link, base_name, links, pairs_name, snake
from sagakit.entities.model import DataModel, Entity, Field
from sagakit.pretty import WIDTH, Items

_IMPORTS = {
    "import datetime as dt": "dt",
    "from decimal import Decimal": "Decimal",
    "from typing import Any": "Any",
    "from uuid import UUID": "UUID",
}
_FROM = {
    "sqlalchemy": (
        "JSON",
        "DateTime",
        "ForeignKey",
        "ForeignKeyConstraint",
        "Numeric",
        "UniqueConstraint",
    ),
    "sqlalchemy.orm": ("DeclarativeBase", "Mapped", "mapped_column", "relationship"),
}
IMPORTED = frozenset(_IMPORTS.values()).union(*_FROM.values())  # names that are taken
_IN_CLASS = "    "
_Part = str | Items


def models_source(model: DataModel) -> str:
    """The models of every service; see ``DataModel.models_source``."""
    return _Source(model).text()


class _Source:
    """Writes the models, and notes which names they need."""

    def __init__(self, model: DataModel) -> None:
        self.entities: list[Entity] = []
        self.links: list[Link] = []
        self.pairs: set[str] = set()  # the tables that hold the keys of many and many
        self.used: set[str] = set()
        for entity in model.entities:
            self.entities.append(entity)
            for link in links(model):
                if link.child is entity:
                    self._take(link)

    def _take(self, link: Link) -> None:
        self.links.append(link)
        if not link.many:
            return
        ends = link.child, link.parent
        words = f"Which rows of {link.child.name} and {link.parent.name} belong together."
        pair = Entity(pairs_name(link), service=link.child.service, description=words)
        self.entities.append(pair)
        self.pairs.add(pair.name)
        for end in ends:
            columns = tuple(f"{snake(end.name)}_{key.name}" for key in end.keys)
            self.links.append(Link(child=pair, parent=end, columns=columns))

    def text(self) -> str:
        services = list(dict.fromkeys(entity.service or None for entity in self.entities))
        blocks = [block for service in services for block in self._service(service)]
        return "\n\n\n".join([self._head(len(services)), *blocks]) + "\n"

    def _head(self, services: int) -> str:
        words = ["The data, as models for SQLAlchemy 2."]
        if services > 1:
            words.append(
                "Each service has a base of its own, because it has a database of its own: the "
                "base's metadata.create_all(engine) makes its tables there. What belongs to "
                "another service is known by its key alone: no foreign key leads from one "
                "database into another."
            )
        lines = docstring(words, "")
        standard = [line for line, name in _IMPORTS.items() if name in self.used]
        lines += ["", *standard] if standard else []
        lines.append("")
        for module, names in _FROM.items():
            taken = [name for name in names if name in self.used]
            if taken:
                lines += _import(module, taken)
        return "\n".join(lines).rstrip()

    def _use(self, *names: str) -> None:
        self.used |= set(names)

    def _service(self, service: str | None) -> Iterator[str]:
        self._use("DeclarativeBase")
        base = base_name(service)
        words = "The base of the models" + ("." if service is None else f" of service '{service}'.")
        yield "\n".join([f"class {base}(DeclarativeBase):", *docstring([words], _IN_CLASS)])
        for entity in self.entities:
            if (entity.service or None) == service:
                yield self._class(entity, base)

    # -- a class -----------------------------------------------------------------------------

    def _class(self, entity: Entity, base: str) -> str:
        words = entity.description.strip()
        lines = [f"class {entity.name}({base}):"]
        lines += [*docstring([words], _IN_CLASS), ""] if words else []
        lines += [f'    __tablename__ = "{snake(entity.name)}"', *self._arguments(entity), ""]
        for field in entity.fields:
            lines += self._column(field)
        for link in self.links:
            if link.child is entity and not link.many:
                lines += self._parent_keys(link)
        ends = [line for link in self.links for line in self._ends(link, entity)]
        return "\n".join(lines + (["", *ends] if ends else []))

    def _column(self, field: Field) -> list[str]:
        arguments: list[_Part] = [*self._type(field)]
        arguments += ["primary_key=True"] if field.key else []
        if FIELD_TYPES[field.type].python == "Any":  # it does not say whether it may be empty
            arguments.append(f"nullable={field.optional}")
        lines = self._mapped(field.name, field, field.optional, arguments)
        return comment(field.description, _IN_CLASS) + lines

    def _type(self, field: Field) -> list[str]:
        column = FIELD_TYPES[field.type].column
        self._use(column.partition("(")[0])
        return [column] if column else []

    def _mapped(self, name: str, of: Field, optional: bool, arguments: list[_Part]) -> list[str]:
        """A column of the type of a field."""
        python = FIELD_TYPES[of.type].python
        self._use("Mapped", python.partition(".")[0])
        python = f"{python} | None" if optional and python != "Any" else python
        if not arguments:
            return declared(name, python, _IN_CLASS)
        self._use("mapped_column")
        return assigned(name, python, bracketed("mapped_column(", arguments), _IN_CLASS)

    def _parent_keys(self, link: Link) -> list[str]:
        """The columns that hold the key of the row that this one belongs to."""
        lines: list[str] = []
        if not link.local:
            where = (
                f"service '{link.parent.service}'" if link.parent.service else "another database"
            )
            lines += comment(f"The key of {link.parent.name}, of {where}.", _IN_CLASS)
        alone = len(link.columns) == 1
        for name, key in zip(link.columns, link.parent.keys, strict=True):
            arguments: list[_Part] = [*self._type(key)]
            arguments += [self._foreign(link, key)] if link.local and alone else []
            arguments += ["primary_key=True"] if link.child.name in self.pairs else []
            arguments += ["unique=True"] if link.single and alone else []
            lines += self._mapped(name, key, link.optional, arguments)
        return lines

    def _foreign(self, link: Link, key: Field) -> Items:
        self._use("ForeignKey")
        to = f'"{snake(link.parent.name)}.{key.name}"'
        return bracketed("ForeignKey(", (to, *_late(link, key.name)))

    def _arguments(self, entity: Entity) -> list[str]:
        """Keys of several columns, which only the table as a whole can have."""
        parts: list[_Part] = []
        for link in self.links:
            if link.child is entity and link.local and not link.many and len(link.columns) > 1:
                parts += self._constraints(link)
        if not parts:
            return []
        return [*pretty.lines("__table_args__ = ", bracketed("(", parts), "", _IN_CLASS)]

    def _constraints(self, link: Link) -> Iterator[Items]:
        self._use("ForeignKeyConstraint")
        table = snake(link.parent.name)
        here = tuple(f'"{name}"' for name in link.columns)
        there = tuple(f'"{table}.{key.name}"' for key in link.parent.keys)
        lists = bracketed("[", here, "]"), bracketed("[", there, "]")
        yield bracketed("ForeignKeyConstraint(", (*lists, *_late(link, link.columns[0])))
        if link.single:
            self._use("UniqueConstraint")
            yield bracketed("UniqueConstraint(", here)

    # -- relationships -------------------------------------------------------------------------

    def _ends(self, link: Link, entity: Entity) -> Iterator[str]:
        if link.local and link.child is entity and link.up is not None:
            yield from self._relationship(link, at_child=True)
        if link.local and link.parent is entity and link.down is not None:
            yield from self._relationship(link, at_child=False)

    def _relationship(self, link: Link, *, at_child: bool) -> list[str]:
        self._use("Mapped", "relationship")
        ends = (link.up, link.down) if at_child else (link.down, link.up)
        here, there = ends
        assert here is not None  # it is what asks for this
        other = (link.parent if at_child else link.child).name
        if link.many or not (at_child or link.single):
            kind = f'list["{other}"]'
        else:
            kind = f'"{other} | None"' if link.optional or not at_child else f'"{other}"'
        arguments = [f'back_populates="{there.name}"'] if there else []
        if link.many:
            arguments.append(f'secondary="{snake(pairs_name(link))}"')
        else:
            arguments += self._told_apart(link, at_child)
        call = bracketed("relationship(", arguments)
        return assigned(here.name, kind, call, _IN_CLASS)

    def _told_apart(self, link: Link, at_child: bool) -> Iterator[str]:
        """Which columns join the two, where SQLAlchemy cannot know."""
        ends = {link.child.name, link.parent.name}
        joins = [each for each in self.links if {each.child.name, each.parent.name} == ends]
        if sum(not each.many for each in joins) > 1:
            yield f"foreign_keys={_attributes(link.child, link.columns)}"
        if link.child is link.parent and at_child:
            keys = [key.name for key in link.parent.keys]
            yield f"remote_side={_attributes(link.parent, keys)}"
        if link.optional and link.child is not link.parent:
            yield "post_update=True"  # neither row can be the first to have the other's key


def _late(link: Link, column: str) -> list[str]:
    """For a circle of tables, the keys of which can be made once all of them are there."""
    if not link.optional or link.child is link.parent:
        return []
    return ["use_alter=True", f'name="fk_{snake(link.child.name)}_{column}"']


def _attributes(entity: Entity, names: Sequence[str]) -> str:
    return f'"[{", ".join(f"{entity.name}.{name}" for name in names)}]"'


def _import(module: str, names: Sequence[str]) -> list[str]:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return [line]
    return [f"from {module} import (", *(f"    {name}," for name in names), ")"]
