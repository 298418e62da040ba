"""Reading and writing a data model: its plain form, which is also its YAML form."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from sagakit import spec
from sagakit.entities.model import DataModel, Entity, Field, Relation
from sagakit.errors import DefinitionError, Problem

_T = TypeVar("_T", bound=msgspec.Struct)
_Path = tuple[str | int, ...]

# The lists of a struct, and what one item of them is called.
_LISTS: dict[str, tuple[type[msgspec.Struct], str]] = {
    "entities": (Entity, "entity"),
    "fields": (Field, "field"),
    "relations": (Relation, "relation"),
}


def from_plain(plain: Any) -> DataModel:
    """Read the plain form; DefinitionError lists every problem with its path."""
    found: list[Problem] = []
    model = _read(plain, DataModel, "", (), found)
    if model is None or found:
        raise DefinitionError("the data model", found)
    return model


def to_plain(model: DataModel) -> dict[str, Any]:
    """The plain form, in which every entity has its lists, even empty ones."""
    entities = [
        {
            **_head(entity),
            "fields": [{"name": f.name, "type": f.type, **_plain(f)} for f in entity.fields],
            "relations": [
                {"name": r.name, "to": r.to, "kind": r.kind, **_plain(r)} for r in entity.relations
            ],
        }
        for entity in model.entities
    ]
    return _input(model) | {"entities": entities}


def to_yaml(model: DataModel) -> str:
    """The YAML form, which leaves out what is the default."""
    entities = [_head(entity) | _plain(entity) for entity in model.entities]
    return spec.yaml_text(_input(model) | {"entities": entities})


def _input(model: DataModel) -> dict[str, Any]:
    return {} if model.input is None else {"input": model.input}


def _head(entity: Entity) -> dict[str, Any]:
    """What comes first in reading order."""
    plain = _plain(entity)
    return {key: plain[key] for key in ("name", "service", "description") if key in plain}


def _plain(struct: msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(struct)
    return plain


def from_yaml(text_or_path: str | os.PathLike[str]) -> DataModel:
    """Read the YAML form; DefinitionError lists every problem with its line."""
    path = spec.as_path(text_or_path)
    text = str(text_or_path) if path is None else spec.read_text(path)
    source = "the YAML text" if path is None else str(path)
    node = spec.compose(text, source, "'entities:'")
    plain, problems = spec.plain(node)
    found: list[Problem] = []
    model = None if problems else _read(plain, DataModel, "", (), found)
    problems += spec.with_lines(found, node)
    if model is None or problems:
        raise DefinitionError(source, problems)
    return model


def _read(plain: Any, kind: type[_T], place: str, path: _Path, found: list[Problem]) -> _T | None:
    """The struct; None, and the problems in ``found``, where it cannot be read."""
    if not isinstance(plain, Mapping):
        text = f"{place or 'it'} is {plain!r}; give a mapping with its fields by name"
        found.append(Problem(text, *path))
        return None
    before = len(found)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in plain.items():
        if key not in fields:
            cure = spec.nearest(str(key), fields) or f"; drop it (known are {', '.join(fields)})"
            found.append(Problem(f"{_said(place)}the key '{key}' is not known{cure}", *path))
        elif key in _LISTS:
            values[key] = _list(value, key, place, path, found)
        else:
            values[key] = _single(value, fields[key].type, key, place, path, found)
    if "name" in fields and "name" not in values:
        found.append(Problem(f"{place} has no name; add 'name: …'", *path))
    return kind(**values) if len(found) == before else None


def _said(place: str) -> str:
    return f"{place}: " if place else ""


def _list(value: Any, key: str, place: str, path: _Path, found: list[Problem]) -> list[Any]:
    kind, word = _LISTS[key]
    if not isinstance(value, list | tuple):
        text = f"{_said(place)}'{key}' is {value!r}; give a list of '- name: …'"
        found.append(Problem(text, *path, key))
        return []
    return [
        _read(item, kind, f"{_said(place)}{_called(item, word, at)}", (*path, key, at), found)
        for at, item in enumerate(value)
    ]


def _called(item: Any, word: str, at: int) -> str:
    name = item.get("name") if isinstance(item, Mapping) else None
    return f"{word} '{name}'" if isinstance(name, str) and name else f"{word} {at + 1}"


def _single(value: Any, kind: Any, key: str, place: str, path: _Path, found: list[Problem]) -> Any:
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError:
        wanted = "true or false" if kind is bool else "text"
        text = f"{_said(place)}'{key}' is {value!r}; give {wanted}"
        found.append(Problem(text, *path, key))
        return None
