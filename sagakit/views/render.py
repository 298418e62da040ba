"""From DOT to SVG by whichever Graphviz is there, cut down to what does not differ by version."""

from __future__ import annotations

import re
import shutil
from typing import Literal

from sagakit.views.svg import backdrop, esc, oneline

DotEngine = Literal["auto", "dot", "pygraphviz"]

_OPENING = re.compile(r"<svg\b[^>]*>")
_VIEW_BOX = re.compile(r'viewBox="([-\d.]+) ([-\d.]+) ([-\d.]+) ([-\d.]+)"')
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)


def dot_svg(source: str, *, engine: DotEngine = "auto") -> str | None:
    """The DOT `source` as a bare `<svg>` element, or None where no Graphviz is there.

    "auto" takes the system's `dot` if it is on PATH, else pygraphviz 2 or later, whose wheels carry
    Graphviz; the other engines take that one or none. Broken DOT raises what Graphviz raises.
    """
    svg = None
    if engine in ("auto", "dot") and shutil.which("dot"):
        import graphviz

        svg = graphviz.Source(source).pipe(format="svg", encoding="utf-8")
    elif engine in ("auto", "pygraphviz"):
        svg = _by_pygraphviz(source)
    return None if svg is None else bare(svg)


def _by_pygraphviz(source: str) -> str | None:
    try:
        import pygraphviz
    except ImportError:
        return None
    if int(pygraphviz.__version__.split(".")[0]) < 2:  # it would need a `dot` binary
        return None
    drawn: bytes = pygraphviz.AGraph(string=source).draw(format="svg", prog="dot")
    return drawn.decode("utf-8")


def bare(svg: str) -> str:
    """`svg` without its prolog, doctype and comments: the header names Graphviz's version."""
    return _COMMENT.sub("", svg[svg.index("<svg") :]).strip() + "\n"


def on_card(svg: str, title: str, desc: str) -> str:
    """A Graphviz `<svg>` with its role, title and description, on an opaque light card."""
    opening = _OPENING.search(svg)
    view = _VIEW_BOX.search(svg)
    if opening is None or view is None:
        return svg
    x, y, width, height = map(float, view.groups())
    return (
        opening[0].replace("<svg", '<svg role="img"', 1)
        + f"\n<title>{esc(oneline(title))}</title>\n<desc>{esc(oneline(desc))}</desc>\n"
        + backdrop(x, y, width, height)
        + svg[opening.end() :]
    )
