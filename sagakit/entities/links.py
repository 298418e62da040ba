"""What the relations of a model come to: who holds whose key, and what each end is called.

Two relations that lead from one entity to another and back are the two ends of one link. A lone
relation has one named end.
"""

from __future__ import annotations

import re
from collections import defaultdict

import msgspec

from sagakit.entities.model import DataModel, Entity, Relation


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of two entities that belong together.

    Parameters:
        child: the entity whose rows hold the key of a ``parent`` row.
        up: the child's name for its parent; None where it has none.
        down: the parent's name for its children.
        many: both ends are many, and a table of its own holds the keys of both.
        single: a parent has one such child at most.
        optional: the child may be without a parent, because the parent (in the end) needs it first.
        columns: what the child calls the keys of its parent.
    """

    child: Entity
    parent: Entity
    up: Relation | None = None
    down: Relation | None = None
    many: bool = False
    single: bool = False
    optional: bool = False
    columns: tuple[str, ...] = ()

    @property
    def local(self) -> bool:
        """Whether one database has both."""
        return (self.child.service or None) == (self.parent.service or None)


def snake(name: str) -> str:
    """``OrderLine`` as ``order_line``: a table's name."""
    parts = re.sub(r"([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3_\2\4", name)
    return re.sub(r"_+", "_", parts).strip("_").lower()


def pascal(name: str) -> str:
    """``order-line`` as ``OrderLine``: a class's name."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))


def links(model: DataModel) -> list[Link]:
    """The links of a model, in reading order; relations to nowhere are left out."""
    found = [_link(*ends) for ends in _ends(model)]
    return _with_columns(_with_needs(found))


_End = tuple[Entity, Relation]


def _ends(model: DataModel) -> list[tuple[_End, Entity, Relation | None]]:
    """Each relation that is not the other end of one before it, where it leads, its other end."""
    every = [(entity, relation) for entity in model.entities for relation in entity.relations]
    between: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, (entity, relation) in enumerate(every):
        between[entity.name, relation.to].append(number)
    taken: set[int] = set()
    found: list[tuple[_End, Entity, Relation | None]] = []
    for number, (entity, relation) in enumerate(every):
        target = model.entity(relation.to)
        if target is None or number in taken:
            continue
        there, back = between[entity.name, relation.to], between[relation.to, entity.name]
        other = _other([every[i][1] for i in there], there, back, number)
        taken |= {number} | ({other} if other is not None else set())
        found.append(((entity, relation), target, None if other is None else every[other][1]))
    return found


def _other(relations: list[Relation], there: list[int], back: list[int], number: int) -> int | None:
    """The other end of a relation: it is known only where there is one relation each way; within
    one entity, one to a single row and one to many.

    Parameters:
        relations: those of ``there``, the numbers of the relations that lead the same way.
    """
    if there == back:
        paired = sorted(relation.kind for relation in relations) == ["many", "one"]
        return next(other for other in there if other != number) if paired else None
    return back[0] if len(there) == len(back) == 1 else None


def _link(end: _End, target: Entity, back: Relation | None) -> Link:
    entity, relation = end
    if relation.kind == "many" and back is not None and back.kind == "many":
        return Link(child=entity, parent=target, up=relation, down=back, many=True)
    if relation.kind == "many":
        return Link(child=target, parent=entity, up=back, down=relation)
    single = back is not None and back.kind == "one"
    return Link(child=entity, parent=target, up=relation, down=back, single=single)


def _with_needs(found: list[Link]) -> list[Link]:
    """Marks the links without which some row could never be the first."""
    needs: dict[str, set[str]] = defaultdict(set)
    result = []
    for link in found:
        child, parent = link.child.name, link.parent.name
        if not link.many:
            circle = _reaches(needs, parent, child)
            link = msgspec.structs.replace(link, optional=circle)
            if not circle:
                needs[child].add(parent)
        result.append(link)
    return result


def _reaches(needs: dict[str, set[str]], start: str, end: str) -> bool:
    front, seen = [start], {start}
    while front:
        name = front.pop()
        if name == end:
            return True
        front += needs[name] - seen
        seen |= needs[name]
    return False


def _with_columns(found: list[Link]) -> list[Link]:
    lone: dict[tuple[str, str], int] = defaultdict(int)
    for link in found:
        lone[link.child.name, link.parent.name] += link.up is None
    result = []
    for link in found:
        if link.up is not None:
            stem = link.up.name
        elif link.down is not None and lone[link.child.name, link.parent.name] > 1:
            stem = f"{snake(link.parent.name)}_{link.down.name}"
        else:
            stem = snake(link.parent.name)
        columns = tuple(f"{stem}_{key.name}" for key in link.parent.keys)
        result.append(msgspec.structs.replace(link, columns=columns))
    return result


def base_name(service: str | None) -> str:
    """The class that the models of a service derive from."""
    return f"{pascal(service or '')}Base"


def pairs_name(link: Link) -> str:
    """The class whose rows hold the keys of both ends, where both are many."""
    return link.child.name + pascal(link.up.name if link.up else "")
