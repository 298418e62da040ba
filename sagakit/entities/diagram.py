"""A data model as an ER diagram. It is drawn even where the model is wrong: a person sees it while
writing it."""

from __future__ import annotations

from sagakit.entities.links import Link, links
from sagakit.entities.model import DataModel, Entity, Field, Relation
from sagakit.views import ErBox, ErEnd, ErLine, ErRow, Picture, er_picture


def picture(model: DataModel) -> Picture:
    """The ER diagram of a model; see ``DataModel.picture``."""
    boxes = [_box(entity, model.input) for entity in model.entities]
    return er_picture("data model", boxes, [_line(link, model) for link in links(model)])


def _box(entity: Entity, input: str | None) -> ErBox:
    rows = [*map(_field, sorted(entity.fields, key=lambda field: not field.key))]
    rows += map(_relation, entity.relations)
    note = "input" if entity.name == input else ""
    return ErBox(name=entity.name, group=entity.service or "", rows=tuple(rows), note=note)


def _field(field: Field) -> ErRow:
    return ErRow(name=field.name, words=field.type, key=field.key, optional=field.optional)


def _relation(relation: Relation) -> ErRow:
    words = f"many {relation.to}" if relation.kind == "many" else relation.to
    return ErRow(name=relation.name, words=words, relation=True)


def _line(link: Link, model: DataModel) -> ErLine:
    child, parent = model.entities.index(link.child), model.entities.index(link.parent)
    return ErLine(
        first=ErEnd(
            box=child, row=_row(link.child, link.up), many=not link.single, optional=True
        ),
        second=ErEnd(
            box=parent, row=_row(link.parent, link.down), many=link.many,
            optional=link.many or link.optional,
        ),
        loose=not link.local,
    )  # fmt: skip


def _row(entity: Entity, relation: Relation | None) -> int | None:
    return None if relation is None else len(entity.fields) + entity.relations.index(relation)
