"""The steps of a saga as plain data to draw, and the words that stand in for the picture."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sagakit.views.style import COMPENSATION_STATES, kind_look, state_look


class FlowNode(msgspec.Struct, frozen=True, kw_only=True):
    """A step to draw: `kind` and `state` are names in `style.KINDS` and `style.STATES`.

    `compensation` names the compensating action, `service` where the step runs; `notes` are short
    remarks such as "3 attempts" or "timeout 2 s".
    """

    name: str
    kind: str
    state: str | None = None
    compensation: str | None = None
    service: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def twin_state(self) -> str | None:
        """The state, where it is the compensation's and there is a compensation to show it."""
        return self.state if self.compensation and self.state in COMPENSATION_STATES else None

    @property
    def own_state(self) -> str | None:
        """The state, where the step itself shows it."""
        return None if self.twin_state else self.state


def indexed(nodes: Sequence[FlowNode], edges: Sequence[tuple[str, str]]) -> list[tuple[int, int]]:
    """The edges as pairs of indices into `nodes`, each once.

    Raises ValueError for a name used twice, an edge to a step that is not there, or a kind or
    state that the legend does not know.
    """
    index: dict[str, int] = {}
    for i, node in enumerate(nodes):
        if node.name in index:
            raise ValueError(f"two steps are named {node.name!r}; give each its own name")
        index[node.name] = i
        kind_look(node.kind)
        if node.state is not None:
            state_look(node.state)
    for edge in edges:
        for name in edge:
            if name not in index:
                raise ValueError(f"edge {edge!r} names {name!r}, which is not among the steps")
    return list(dict.fromkeys((index[a], index[b]) for a, b in edges))


def flow_alt(title: str, nodes: Sequence[FlowNode], status: str = "") -> str:
    """One sentence for readers who cannot see the picture; beyond 20 steps it only counts them."""
    count = f"{len(nodes)} step{'' if len(nodes) == 1 else 's'}"
    if status:
        count = f"{status}, {count}"
    if not nodes or len(nodes) > 20:
        return f"flow of {title!r}: {count}"
    return f"flow of {title!r}: {count}: {'; '.join(map(_words, nodes))}"


def _words(node: FlowNode) -> str:
    traits = [node.kind]
    if node.compensation:
        traits.append(f"compensated by {node.compensation}")
    if node.state:
        traits.append(node.state)
    return f"{node.name} ({', '.join(traits)})"


def flow_table(
    nodes: Sequence[FlowNode], edges: Sequence[tuple[str, str]]
) -> tuple[tuple[str, ...], ...]:
    """The flow as a table, header first; columns that would be empty are left out."""
    before: dict[str, list[str]] = {}
    for a, b in edges:
        before.setdefault(b, []).append(a)
    header = ("step", "kind", "after", "compensation", "state", "service", "notes")
    rows = [
        (
            node.name,
            node.kind,
            ", ".join(before.get(node.name, [])),
            node.compensation or "",
            node.state or "",
            node.service or "",
            ", ".join(node.notes),
        )
        for node in nodes
    ]
    kept = [i for i in range(len(header)) if i < 2 or any(row[i] for row in rows)]
    return tuple(tuple(row[i] for i in kept) for row in [header, *rows])
