"""What is wrong with a data model, each problem with its path and its cure.

Words that SQL reserves are no problem, an entity ``Order`` for instance: SQLAlchemy quotes them.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator

from sagakit.entities.kinds import FIELD_TYPES
from sagakit.entities.links import Link, base_name, links, pairs_name, snake
from sagakit.entities.model import DataModel, Entity, Field, Relation
from sagakit.entities.source import IMPORTED
from sagakit.errors import Problem, within
from sagakit.spec import nearest

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LONGEST = 63  # characters of a name in PostgreSQL

# What a class of SQLAlchemy's models has already.
_OURS = frozenset({"metadata", "registry"})


def problems(model: DataModel) -> list[Problem]:
    """Every problem of the model, in reading order."""
    found = list(_input(model))
    tables: dict[str, str] = {}
    for at, entity in enumerate(model.entities):
        path = ("entities", at)
        here = [*_entity(entity, model, tables)]
        found += within(here, *path)
    found += _services(model)
    # what holds whose key is known only once the names are right
    return found or list(_columns(model))


def _input(model: DataModel) -> Iterator[Problem]:
    if model.input is not None and model.entity(model.input) is None:
        known = [entity.name for entity in model.entities]
        cure = nearest(model.input, known) or "; name an entity, or leave it out"
        yield Problem(f"the input '{model.input}' is no entity{cure}", "input")


def _entity(entity: Entity, model: DataModel, tables: dict[str, str]) -> Iterator[Problem]:
    place = f"entity '{entity.name}'"
    yield from _name(entity.name, place, "Order")
    table = snake(entity.name)
    if table in tables:
        other = tables[table]
        same = (
            "there are two of this name" if other == entity.name else f"has the table of '{other}'"
        )
        yield Problem(f"{place}: {same}; rename one of them", "name")
    tables.setdefault(table, entity.name)
    if not entity.keys:
        text = f"{place}: has no key; mark the field by which a row is found"
        yield Problem(text, "fields")
    names: dict[str, str] = {}
    for at, field in enumerate(entity.fields):
        here = f"{place}: field '{field.name}'"
        yield from within(_field(field, here, names), "fields", at)
    for at, relation in enumerate(entity.relations):
        here = f"{place}: relation '{relation.name}'"
        yield from within(_relation(relation, here, names, model), "relations", at)


def _name(name: str, place: str, example: str) -> Iterator[Problem]:
    if not name:
        yield Problem(f"{place}: has no name; give one, such as {example}", "name")
    elif not _NAME.fullmatch(name):
        text = "is no name for Python and SQL; use letters a to z, digits and _, a letter first"
        yield Problem(f"{place}: '{name}' {text}", "name")
    elif len(name) > _LONGEST:
        text = f"is longer than {_LONGEST} characters, which databases cut off; shorten it"
        yield Problem(f"{place}: {text}", "name")
    elif keyword.iskeyword(name):
        text = f"'{name}' is a word of Python's own; take another, such as {name}_"
        yield Problem(f"{place}: {text}", "name")
    elif name in _OURS or name in IMPORTED:
        text = f"'{name}' means something else in SQLAlchemy's models; take another"
        yield Problem(f"{place}: {text}", "name")


def _taken(name: str, place: str, names: dict[str, str]) -> Iterator[Problem]:
    other = names.get(name.casefold())
    if name and other is not None:
        same = "the name is taken" if other == name else f"for SQL it is the same as '{other}'"
        yield Problem(f"{place}: {same}; rename one of them", "name")
    names.setdefault(name.casefold(), name)


def _field(field: Field, place: str, names: dict[str, str]) -> Iterator[Problem]:
    yield from _name(field.name, place, "amount")
    yield from _taken(field.name, place, names)
    kind = FIELD_TYPES.get(field.type)
    if kind is None:
        cure = nearest(field.type, FIELD_TYPES) or f"; known are {', '.join(FIELD_TYPES)}"
        yield Problem(f"{place}: the type '{field.type}' is not known{cure}", "type")
    elif field.key and not kind.key:
        words = ", ".join(name for name, each in FIELD_TYPES.items() if each.key)
        text = f"no row is found by a {field.type}; give the key one of the types {words}"
        yield Problem(f"{place}: {text}", "type")
    if field.key and field.optional:
        yield Problem(f"{place}: a key cannot be optional; drop one of the two", "optional")


def _relation(
    relation: Relation, place: str, names: dict[str, str], model: DataModel
) -> Iterator[Problem]:
    yield from _name(relation.name, place, "lines")
    yield from _taken(relation.name, place, names)
    if model.entity(relation.to) is None:
        known = [entity.name for entity in model.entities]
        cure = nearest(relation.to, known) or f"; known are {', '.join(known)}"
        to = f"leads to '{relation.to}', which is no entity" if relation.to else "leads nowhere"
        yield Problem(f"{place}: {to}{cure}", "to")
    if relation.kind not in ("one", "many"):
        yield Problem(f"{place}: the kind '{relation.kind}' is not known; give one or many", "kind")


def _services(model: DataModel) -> Iterator[Problem]:
    """Services whose classes would have one name."""
    taken = {entity.name: f"entity '{entity.name}'" for entity in model.entities}
    bases: dict[str, str | None] = {}
    for at, entity in enumerate(model.entities):
        name, path = base_name(entity.service), ("entities", at, "service")
        if not _NAME.fullmatch(name):
            text = f"service '{entity.service}': begin its name with a letter a to z"
            yield Problem(text, *path)
        elif bases.setdefault(name, entity.service or None) != (entity.service or None):
            text = f"service '{entity.service}' is too like '{bases[name]}'; rename one of them"
            yield Problem(text, *path)
        elif name in taken:
            text = f"its base class {name} has the name of {taken[name]}; rename one of them"
            yield Problem(f"service '{entity.service or ''}': {text}", *path)


def _columns(model: DataModel) -> Iterator[Problem]:
    """Names that the keys of other rows need, and that are taken."""
    names = {entity.name: {name.casefold() for name in _names(entity)} for entity in model.entities}
    tables = {snake(entity.name) for entity in model.entities}
    at = {entity.name: number for number, entity in enumerate(model.entities)}
    for link in links(model):
        if link.many:
            name = pairs_name(link)
            if snake(name) in tables or len(name) > _LONGEST:
                yield _clash(link, f"a table '{snake(name)}'", at)
            tables.add(snake(name))
            continue
        for column in link.columns:
            if column.casefold() in names[link.child.name] or len(column) > _LONGEST:
                yield _clash(link, f"a column '{column}' in '{link.child.name}'", at)
            names[link.child.name].add(column.casefold())


def _names(entity: Entity) -> list[str]:
    return [field.name for field in entity.fields] + [each.name for each in entity.relations]


def _clash(link: Link, what: str, at: dict[str, int]) -> Problem:
    holder, relation = (link.child, link.up) if link.up else (link.parent, link.down)
    assert relation is not None  # a link has a name at one end at least
    path = ("entities", at[holder.name], "relations", holder.relations.index(relation), "name")
    text = f"needs {what}, a name that is taken or too long for a database; rename it"
    return Problem(f"entity '{holder.name}': relation '{relation.name}': {text}", *path)
