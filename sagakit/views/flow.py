"""The flow of a saga as a picture: SVG by Graphviz or by our own layout, words and a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from sagakit.views.dot import dot_of
from sagakit.views.flow_own import draw_flow
from sagakit.views.flow_words import flow_alt, flow_table
from sagakit.views.nodes import Flow, FlowNode, folded, walk
from sagakit.views.picture import Picture
from sagakit.views.render import dot_svg, on_card

FlowEngine = Literal["auto", "dot", "pygraphviz", "own"]
MOST_FOR_DOT = 300  # steps; dot's time grows much faster than the flow


def flow_svg(
    title: str,
    nodes: Sequence[FlowNode],
    edges: Sequence[tuple[str, str]],
    *,
    engine: FlowEngine = "auto",
) -> str:
    """The flow as an SVG document, every step with `inner` drawn open.

    "own" gives the same bytes on every machine: use it wherever a picture is committed. "auto" asks
    Graphviz (see `render.dot_svg`) up to 300 steps and 900 edges and falls back to "own". Raises
    ValueError for nodes or edges that make no flow, and RuntimeError where the engine asked for is
    not there.
    """
    return _svg(Flow(title=title, nodes=tuple(nodes), edges=tuple(edges)), engine)


def _svg(flow: Flow, engine: FlowEngine) -> str:
    if engine == "own" or (engine == "auto" and _large(flow)):
        return draw_flow(flow)
    svg = dot_svg(dot_of(flow).source, engine=engine)
    if svg is not None:
        return on_card(svg, flow.title, flow_alt(flow.title, flow.nodes, note=flow.note))
    if engine != "auto":
        raise RuntimeError(f"engine {engine!r} is not installed; use engine='own', which always is")
    return draw_flow(flow)


def _large(flow: Flow) -> bool:
    every = [node for _, node in walk(flow.nodes)]
    edges = len(flow.edges) + sum(len(node.inner.edges) for node in every if node.inner)
    return len(every) > MOST_FOR_DOT or edges > 3 * MOST_FOR_DOT


def flow_picture(
    title: str,
    nodes: Sequence[FlowNode],
    edges: Sequence[tuple[str, str]],
    status: str = "",
    *,
    engine: FlowEngine = "own",
    opened: int | None = None,
    insides: Sequence[tuple[str, Picture]] = (),
    note: str = "",
) -> Picture:
    """The flow as a `Picture` for notebooks: SVG, words and a table.

    `status` is the execution's, if the nodes show one; `note` is a remark about all of it. Only the
    engine "own" gives the same bytes on every machine, and shows the status; the others are as for
    `flow_svg`.

    Steps with `inner` are drawn open down to `opened` levels, 0 for none and None for all. What is
    closed the reader opens below the picture, where it has a picture of its own; `insides` are
    further ones, each after its words.
    """
    flow = Flow(title=title, nodes=tuple(nodes), edges=tuple(edges), status=status, note=note)
    return _picture(flow, engine, opened, tuple(insides))


def _picture(
    flow: Flow, engine: FlowEngine, opened: int | None, insides: tuple[tuple[str, Picture], ...]
) -> Picture:
    if opened is not None:
        insides = (*_closed(flow, engine, opened), *insides)
        flow = msgspec.structs.replace(flow, nodes=tuple(folded(flow.nodes, opened)))
    return Picture(
        svg=_svg(flow, engine),
        alt=flow_alt(flow.title, flow.nodes, flow.status, flow.note),
        table=flow_table(flow.nodes, flow.edges),
        caption=f"flow of {flow.title!r}",
        insides=insides,
    )


def _closed(
    flow: Flow, engine: FlowEngine, opened: int, above: str = ""
) -> Iterator[tuple[str, Picture]]:
    """The steps that stay closed, each with the words that open it and its picture."""
    for node in flow.nodes:
        if node.inner is None:
            continue
        if opened > 0:
            yield from _closed(node.inner, engine, opened - 1, f"{above}{node.name}/")
        else:
            inner = msgspec.structs.replace(node.inner, title=node.inner.title or node.name)
            yield f"{above}{node.name}: {node.holds}", _picture(inner, engine, 0, ())
