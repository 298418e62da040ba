"""The steps of a saga as plain data to draw, and which of them are drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from sagakit.views.few import few
from sagakit.views.style import (
    COMPENSATION_STATES,
    STATES,
    STATUSES,
    kind_look,
    state_look,
    status_look,
)

MOST_COPIES = 5


class FlowNode(msgspec.Struct, frozen=True, kw_only=True):
    """A step to draw: `kind` and `state` are names in `style.KINDS` and `style.STATES`.

    `compensation` names the compensating action, `service` where the step runs; `notes` are short
    remarks such as "3 attempts" or "timeout 2 s". `nested` says what a step holds that has steps of
    its own ("saga payment, 3 steps", "for each of 5"): it is drawn as one that can be opened. With
    `inner` it is drawn open, a frame around those steps.
    """

    name: str
    kind: str
    state: str | None = None
    compensation: str | None = None
    service: str | None = None
    notes: tuple[str, ...] = ()
    nested: str = ""
    inner: Flow | None = None

    @property
    def twin_state(self) -> str | None:
        """The state, where it is the compensation's and there is a compensation to show it."""
        return self.state if self.compensation and self.state in COMPENSATION_STATES else None

    @property
    def own_state(self) -> str | None:
        """The state, where the step itself shows it."""
        return None if self.twin_state else self.state

    @property
    def holds(self) -> str:
        """What the step holds, in words; "" where it has no steps of its own."""
        if self.nested or self.inner is None:
            return self.nested
        count = steps_in_words(len(self.inner.nodes) + self.inner.more)
        return f"saga {self.inner.title}, {count}" if self.inner.title else count

    @property
    def inside_status(self) -> str:
        """How the steps inside stand; "" where the step's own state says the same."""
        status = self.inner.status if self.inner else ""
        same = self.own_state is not None and STATUSES.get(status) == STATES.get(self.own_state)
        return "" if same else status


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """Steps and the edges between them, by name; `status` is an execution's, in `style.STATUSES`.

    `note` is a remark about all of it, such as "deadline 60 s".

    `more` further steps are not drawn but said: "… and 9,990 more".
    """

    title: str = ""
    nodes: tuple[FlowNode, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    status: str = ""
    more: int = 0
    note: str = ""

    @property
    def more_words(self) -> str:
        """How many steps are not drawn, in words; "" where all are."""
        if not self.more:
            return ""
        return f"… and {self.more:,} more" if self.nodes else steps_in_words(self.more)


def fan_out(
    title: str, copies: Sequence[FlowNode], status: str = "", *, most: int = MOST_COPIES
) -> Flow:
    """The copies of one step side by side, at `most` so many of them: rare states come first."""
    kept = few([node.state for node in copies], most)
    return Flow(
        title=title,
        nodes=tuple(copies[i] for i in kept),
        status=status,
        more=len(copies) - len(kept),
    )


def steps_in_words(count: int) -> str:
    """ "1 step", "10,000 steps"."""
    return f"{count:,} step{'' if count == 1 else 's'}"


def indexed(nodes: Sequence[FlowNode], edges: Sequence[tuple[str, str]]) -> list[tuple[int, int]]:
    """The edges as pairs of indices into `nodes`, each once; what is inside them is not read.

    Raises ValueError for a name used twice, an edge to a step that is not there, or a kind, state
    or status that the legend does not know.
    """
    index: dict[str, int] = {}
    for i, node in enumerate(nodes):
        if node.name in index:
            raise ValueError(f"two steps are named {node.name!r}; give each its own name")
        index[node.name] = i
        kind_look(node.kind)
        if node.state is not None:
            state_look(node.state)
        if node.inner is not None and node.inner.status:
            status_look(node.inner.status)
    for edge in edges:
        for name in edge:
            if name not in index:
                raise ValueError(f"edge {edge!r} names {name!r}, which is not among the steps")
    return list(dict.fromkeys((index[a], index[b]) for a, b in edges))


def walk(nodes: Sequence[FlowNode], above: str = "") -> Iterator[tuple[str, FlowNode]]:
    """Every step with its path ("pay", "pay/charge"), each followed by what is inside it."""
    for node in nodes:
        path = above + node.name
        yield path, node
        if node.inner is not None:
            yield from walk(node.inner.nodes, f"{path}/")


def folded(nodes: Sequence[FlowNode], opened: int) -> list[FlowNode]:
    """The steps with those deeper than `opened` levels closed: still marked, but not drawn."""
    return [_folded(node, opened) for node in nodes]


def _folded(node: FlowNode, opened: int) -> FlowNode:
    if node.inner is None:
        return node
    if opened <= 0:
        return msgspec.structs.replace(node, nested=node.holds, inner=None)
    nodes = tuple(folded(node.inner.nodes, opened - 1))
    return msgspec.structs.replace(node, inner=msgspec.structs.replace(node.inner, nodes=nodes))
