"""The flow of a saga: DOT for Graphviz, and SVG by Graphviz or by our own layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from sagakit.views.flow_own import draw_flow
from sagakit.views.flow_words import flow_alt, flow_table
from sagakit.views.nodes import Flow, FlowNode, indexed
from sagakit.views.picture import Picture
from sagakit.views.render import dot_svg, on_card
from sagakit.views.style import (
    COMPENSATION_GLYPH,
    EDGE,
    INK,
    KINDS,
    MUTED,
    NEUTRAL,
    NO_STATE,
    STATES,
    Look,
)
from sagakit.views.svg import esc, fit, oneline, text_width

if TYPE_CHECKING:
    import graphviz

FlowEngine = Literal["auto", "dot", "pygraphviz", "own"]
MOST_FOR_DOT = 300  # steps; dot's time grows much faster than the flow
_TEXT = 220.0

_Line = tuple[str, float, str, bool]  # its words, size, colour, and whether it is bold


def flow_svg(
    title: str,
    nodes: Sequence[FlowNode],
    edges: Sequence[tuple[str, str]],
    *,
    engine: FlowEngine = "auto",
) -> str:
    """The flow as an SVG document.

    "own" gives the same bytes on every machine: use it wherever a picture is committed. "auto" asks
    Graphviz (see `render.dot_svg`) up to 300 steps and 900 edges and falls back to "own". Raises
    ValueError for nodes or edges that make no flow, and RuntimeError where the engine asked for is
    not there.
    """
    large = len(nodes) > MOST_FOR_DOT or len(edges) > 3 * MOST_FOR_DOT
    if engine == "own" or (engine == "auto" and large):
        return draw_flow(_flow(title, nodes, edges))
    svg = dot_svg(flow_dot(title, nodes, edges).source, engine=engine)
    if svg is not None:
        return on_card(svg, title, flow_alt(title, nodes))
    if engine != "auto":
        raise RuntimeError(f"engine {engine!r} is not installed; use engine='own', which always is")
    return draw_flow(_flow(title, nodes, edges))


def _flow(
    title: str, nodes: Sequence[FlowNode], edges: Sequence[tuple[str, str]], status: str = ""
) -> Flow:
    return Flow(title=title, nodes=tuple(nodes), edges=tuple(edges), status=status)


def flow_picture(
    title: str,
    nodes: Sequence[FlowNode],
    edges: Sequence[tuple[str, str]],
    status: str = "",
    *,
    engine: FlowEngine = "own",
) -> Picture:
    """The flow as a `Picture` for notebooks: SVG, words and a table.

    `status` is the execution's, if the nodes show one. Only the engine "own" gives the same bytes
    on every machine, and shows the status; the others are as for `flow_svg`.
    """
    if engine == "own":
        svg = draw_flow(_flow(title, nodes, edges, status))
    else:
        svg = flow_svg(title, nodes, edges, engine=engine)
    return Picture(
        svg=svg,
        alt=flow_alt(title, nodes, status),
        table=flow_table(nodes, edges),
        caption=f"flow of {title!r}",
    )


def flow_dot(
    title: str, nodes: Sequence[FlowNode], edges: Sequence[tuple[str, str]]
) -> graphviz.Digraph:
    """The flow as a `graphviz.Digraph`, left to right, compensations as dashed twins.

    Step names appear only in labels, never as identifiers. Raises ValueError as `flow_svg` does.
    """
    import graphviz

    pairs = indexed(nodes, edges)
    dot = graphviz.Digraph("saga")
    font = {"fontname": "Helvetica,Arial,sans-serif", "fontcolor": INK}
    dot.attr(
        "graph",
        rankdir="LR",
        bgcolor="transparent",
        pad="0.25",
        nodesep="0.3",
        ranksep="0.5",
        label=_html([(fit(title, 15, 600), 15, INK, True)]),
        labelloc="t",
        labeljust="l",
        **font,
    )
    dot.attr("node", margin="0.14,0.08", height="0.3", **font)
    dot.attr("edge", color=EDGE, arrowsize="0.7", **font)
    if not nodes:
        dot.node("empty", label=_html([("no steps yet", 12, MUTED, False)]), shape="plaintext")
    for i, node in enumerate(nodes):
        _dot_step(dot, i, node)
    # Graphviz clips edges at the pointed shape's box, not its outline, so those take a port.
    port = [node.kind == "retriable" for node in nodes]
    for a, b in pairs:
        tail, head = f"step{a}{':e' * port[a]}", f"step{b}{':w' * port[b]}"
        dot.edge(tail, head, label="")
    return dot


def _dot_step(dot: graphviz.Digraph, i: int, node: FlowNode) -> None:
    kind = KINDS[node.kind]
    look = STATES[node.own_state] if node.own_state else NEUTRAL if node.state else NO_STATE
    lines: list[_Line] = [(fit(f"{kind.glyph} {node.name}", 13, _TEXT), 13, INK, True)]
    if node.own_state:
        lines.append((f"{look.glyph} {node.own_state}", 11, INK, False))
    if node.kind == "pivot":
        lines.append(("point of no return", 10, MUTED, False))
    small = [node.service] if node.service else []
    lines += [(fit(text, 10, _TEXT), 10, MUTED, False) for text in [*small, *node.notes]]
    dot.node(
        f"step{i}",
        label=_html(lines),
        shape=kind.dot_shape,
        peripheries="2" if node.kind == "pivot" else "1",
        **_dot_size(lines, 0.5 if node.kind == "retriable" else 0.3),
        **_dot_look(look, rounded=node.kind == "compensatable"),
    )
    if not node.compensation:
        return
    twin_look = STATES[node.twin_state] if node.twin_state else NEUTRAL
    twin: list[_Line] = [
        (fit(f"{COMPENSATION_GLYPH} {node.compensation}", 11, _TEXT), 11, INK, False)
    ]
    if node.twin_state:
        twin.append((f"{twin_look.glyph} {node.twin_state}", 10, INK, False))
    with dot.subgraph() as pair:
        pair.attr(rank="same")
        pair.node(f"step{i}")
        look_of_twin = _dot_look(twin_look, rounded=True, dashed=not node.twin_state)
        pair.node(
            f"compensation{i}",
            label=_html(twin),
            shape="box",
            **_dot_size(twin, 0.25),
            **look_of_twin,
        )
    dot.edge(f"step{i}", f"compensation{i}", label="", style="dashed", arrowhead="none")


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
