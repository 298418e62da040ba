"""The flow of a saga as DOT for Graphviz."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sagakit.views.layered import layers_of
from sagakit.views.nodes import Flow, FlowNode, indexed
from sagakit.views.style import (
    COMPENSATION_GLYPH,
    EDGE,
    INK,
    KINDS,
    MUTED,
    NESTED_GLYPH,
    NEUTRAL,
    NO_STATE,
    STATES,
    STATUSES,
    Look,
)
from sagakit.views.svg import esc, fit, oneline, text_width

if TYPE_CHECKING:
    import graphviz

_TEXT = 220.0

_Line = tuple[str, float, str, bool]  # its words, size, colour, and whether it is bold


def flow_dot(
    title: str, nodes: Sequence[FlowNode], edges: Sequence[tuple[str, str]], note: str = ""
) -> graphviz.Digraph:
    """The flow as a `graphviz.Digraph`, left to right, compensations as dashed twins.

    A step with `inner` is a cluster: the step itself, then its steps. Step names appear only in
    labels, never as identifiers. Raises ValueError as `flow_svg` does.
    """
    return dot_of(Flow(title=title, nodes=tuple(nodes), edges=tuple(edges), note=note))


def dot_of(flow: Flow) -> graphviz.Digraph:
    """The same of a `Flow`, with the words for the steps that it leaves out."""
    import graphviz

    dot = graphviz.Digraph("saga")
    font = {"fontname": "Helvetica,Arial,sans-serif", "fontcolor": INK}
    nested = any(node.inner for node in flow.nodes)
    dot.attr(
        "graph",
        rankdir="LR",
        bgcolor="transparent",
        pad="0.25",
        nodesep="0.3",
        ranksep="0.5",
        label=_html(
            [(fit(flow.title, 15, 600), 15, INK, True)]
            + ([(fit(flow.note, 11, 600), 11, MUTED, False)] if flow.note else [])
        ),
        labelloc="t",
        labeljust="l",
        **({"compound": "true"} if nested else {}),
        **font,
    )
    dot.attr("node", margin="0.14,0.08", height="0.3", **font)
    dot.attr("edge", color=EDGE, arrowsize="0.7", **font)
    if not flow.nodes and not flow.more:
        dot.node("empty", label=_html([("no steps yet", 12, MUTED, False)]), shape="plaintext")
    _dot_level(dot, flow, "")
    return dot


def _dot_level(dot: graphviz.Digraph, flow: Flow, at: str) -> None:
    """The flow's steps and edges; `at` begins the identifiers of what is in it."""
    pairs = indexed(flow.nodes, flow.edges)
    for i, node in enumerate(flow.nodes):
        if node.inner is None:
            _dot_step(dot, f"{at}{i}", node)
        else:
            _dot_cluster(dot, f"{at}{i}", node, node.inner)
    if flow.more_words:
        words = _html([(flow.more_words, 10, MUTED, False)])
        dot.node(f"more{at}", label=words, shape="plaintext")
    for a, b in pairs:
        tail, outside = _tail(flow.nodes[a], f"{at}{a}")
        head = f"step{at}{b}{_port(flow.nodes[b], 'w')}"
        dot.edge(tail, head, label="", **({"ltail": outside} if outside else {}))


def _dot_cluster(dot: graphviz.Digraph, at: str, node: FlowNode, inner: Flow) -> None:
    """A step drawn open: a cluster of the step, its twin and its steps, which it points to."""
    look = _look(node)
    with dot.subgraph(name=f"cluster{at}") as frame:
        frame.attr(
            label="",
            style=f"rounded{',dashed' if look.dash else ''}",
            color=look.stroke,
            margin="12",
        )
        _dot_step(frame, at, node)
        _dot_level(frame, inner, f"{at}_")
        first = [i for i, layer in enumerate(_layers(inner)) if layer == 0]
        heads = [f"step{at}_{i}{_port(inner.nodes[i], 'w')}" for i in first]
        for head in [*heads, *([f"more{at}_"] if inner.more_words else [])]:
            frame.edge(f"step{at}", head, label="", style="dotted", arrowhead="none")


def _tail(node: FlowNode, at: str) -> tuple[str, str]:
    """Where an edge out of the step starts, and the cluster at whose border it is cut."""
    if node.inner is None:
        return f"step{at}{_port(node, 'e')}", ""
    layers = _layers(node.inner)
    if not layers:
        return f"step{at}", f"cluster{at}"
    furthest = max(layers)
    ends = [i for i, layer in enumerate(layers) if layer == furthest]
    last = ends[len(ends) // 2]
    return _tail(node.inner.nodes[last], f"{at}_{last}")[0], f"cluster{at}"


def _layers(flow: Flow) -> list[int]:
    return layers_of(len(flow.nodes), indexed(flow.nodes, flow.edges))


def _port(node: FlowNode, side: str) -> str:
    # Graphviz clips edges at the pointed shape's box, not its outline, so those take a port.
    return f":{side}" if node.kind == "retriable" else ""


def _dot_step(dot: graphviz.Digraph, at: str, node: FlowNode) -> None:
    kind, look, lines = KINDS[node.kind], _look(node), _lines(node)
    borders = (node.kind == "pivot") + bool(node.holds and node.inner is None) + 1
    dot.node(
        f"step{at}",
        label=_html(lines),
        shape=kind.dot_shape,
        peripheries=str(borders),
        **_dot_size(lines, 0.5 if node.kind == "retriable" else 0.3),
        **_dot_look(look, rounded=node.kind == "compensatable"),
    )
    if node.compensation:
        _dot_twin(dot, at, node, node.compensation)


def _lines(node: FlowNode) -> list[_Line]:
    kind, look = KINDS[node.kind], _look(node)
    lines: list[_Line] = [(fit(f"{kind.glyph} {node.name}", 13, _TEXT), 13, INK, True)]
    if node.own_state:
        lines.append((f"{look.glyph} {node.own_state}", 11, INK, False))
    if node.kind == "pivot":
        lines.append(("point of no return", 10, MUTED, False))
    if node.holds:
        lines.append((fit(f"{NESTED_GLYPH} {node.holds}", 10, _TEXT), 10, INK, False))
    if node.inside_status:
        lines.append((f"{STATUSES[node.inside_status].glyph} {node.inside_status}", 10, INK, False))
    small = [node.service] if node.service else []
    return lines + [(fit(text, 10, _TEXT), 10, MUTED, False) for text in [*small, *node.notes]]


def _look(node: FlowNode) -> Look:
    return STATES[node.own_state] if node.own_state else NEUTRAL if node.state else NO_STATE


def _dot_twin(dot: graphviz.Digraph, at: str, node: FlowNode, compensation: str) -> None:
    twin_look = STATES[node.twin_state] if node.twin_state else NEUTRAL
    twin: list[_Line] = [(fit(f"{COMPENSATION_GLYPH} {compensation}", 11, _TEXT), 11, INK, False)]
    if node.twin_state:
        twin.append((f"{twin_look.glyph} {node.twin_state}", 10, INK, False))
    with dot.subgraph() as pair:
        pair.attr(rank="same")
        pair.node(f"step{at}")
        look_of_twin = _dot_look(twin_look, rounded=True, dashed=not node.twin_state)
        pair.node(
            f"compensation{at}",
            label=_html(twin),
            shape="box",
            **_dot_size(twin, 0.25),
            **look_of_twin,
        )
    dot.edge(f"step{at}", f"compensation{at}", label="", style="dashed", arrowhead="none")


def _dot_look(look: Look, *, rounded: bool, dashed: bool = False) -> dict[str, str]:
    styles = ["filled"]
    styles += ["rounded"] if rounded else []
    styles += ["dashed"] if look.dash or dashed else []
    return {"fillcolor": look.fill, "color": look.stroke, "style": ",".join(styles)}


def _dot_size(lines: Sequence[_Line], pad: float) -> dict[str, str]:
    """The least size in inches: Graphviz without fonts (as in wheels) guesses texts too narrow."""
    width = max(text_width(text, size) for text, size, _, _ in lines) / 72 + pad
    height = sum(size + 3 for _, size, _, _ in lines) / 72 + 0.16
    return {"width": f"{width:.2f}", "height": f"{height:.2f}"}


def _html(lines: Sequence[_Line]) -> str:
    """An HTML-like label, line by line."""
    return f"<{'<BR/>'.join(_html_line(*line) for line in lines)}>"


def _html_line(text: str, size: float, colour: str, bold: bool) -> str:
    # Graphviz expands \N and its like even inside HTML-like labels and even when the backslash is
    # an entity; an unseen word joiner parts them. An empty <FONT> is a syntax error to it.
    safe = esc(oneline(text)).replace("\\", "\\\u2060") or "&#160;"
    font = f'<FONT POINT-SIZE="{size:g}" COLOR="{colour}">{safe}</FONT>'
    return f"<B>{font}</B>" if bold else font
