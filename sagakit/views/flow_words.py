"""The words that stand in for the picture of a flow: one sentence, and a table."""

from __future__ import annotations

from collections.abc import Sequence

from sagakit.views.nodes import Flow, FlowNode, steps_in_words, walk

MOST_IN_WORDS = 20
_HEADER = ("step", "kind", "after", "compensation", "state", "service", "holds", "notes")


def flow_alt(title: str, nodes: Sequence[FlowNode], status: str = "", note: str = "") -> str:
    """One sentence for readers who cannot see the picture; beyond 20 steps it only counts them.

    A step inside another is named by its path, "pay/charge".
    """
    every = list(walk(nodes))
    inside = len(every) - len(nodes) + sum(node.inner.more for _, node in every if node.inner)
    count = steps_in_words(len(nodes))
    if inside:
        count += f" and {inside:,} inside"
    if note:
        count += f", {note}"
    if status:
        count = f"{status}, {count}"
    shown = every if len(every) <= MOST_IN_WORDS else [(node.name, node) for node in nodes]
    if not nodes or len(shown) > MOST_IN_WORDS:
        return f"flow of {title!r}: {count}"
    words = "; ".join(_words(path, node) for path, node in shown)
    return f"flow of {title!r}: {count}: {words}"


def _words(path: str, node: FlowNode) -> str:
    traits = [node.kind]
    if node.holds:
        traits.append(node.holds)
    if node.compensation:
        traits.append(f"compensated by {node.compensation}")
    if node.state:
        traits.append(node.state)
    return f"{path} ({', '.join(traits)})"


def flow_table(
    nodes: Sequence[FlowNode], edges: Sequence[tuple[str, str]]
) -> tuple[tuple[str, ...], ...]:
    """The flow as a table, header first; columns that would be empty are left out.

    The steps inside a step follow it, named by their paths.
    """
    rows = _rows(Flow(nodes=tuple(nodes), edges=tuple(edges)), "")
    kept = [i for i in range(len(_HEADER)) if i < 2 or any(row[i] for row in rows)]
    return tuple(tuple(row[i] for i in kept) for row in [_HEADER, *rows])


def _rows(flow: Flow, above: str) -> list[tuple[str, ...]]:
    before: dict[str, list[str]] = {}
    for a, b in flow.edges:
        before.setdefault(b, []).append(above + a)
    rows: list[tuple[str, ...]] = []
    for node in flow.nodes:
        path = above + node.name
        rows.append(
            (
                path,
                node.kind,
                ", ".join(before.get(node.name, [])),
                node.compensation or "",
                node.state or "",
                node.service or "",
                node.holds,
                ", ".join(node.notes),
            )
        )
        if node.inner is not None:
            rows += _rows(node.inner, f"{path}/")
    if flow.more_words:
        rows.append((f"{above}…", "", "", "", "", "", "", flow.more_words))
    return rows
