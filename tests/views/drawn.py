"""What stands where in a flow that we drew ourselves, read back from its SVG."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from sagakit.views.style import CARD, EDGE

from .conftest import SVG, parsed

_COMMAND = re.compile(r"([A-Za-z])([^A-Za-z]*)")
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    def holds(self, other: Box, slack: float = 0.2) -> bool:
        return (
            self.left - slack <= other.left
            and self.top - slack <= other.top
            and other.right <= self.right + slack
            and other.bottom <= self.bottom + slack
        )

    def overlaps(self, other: Box, slack: float = 0.2) -> bool:
        return (
            self.left < other.right - slack
            and other.left < self.right - slack
            and self.top < other.bottom - slack
            and other.top < self.bottom - slack
        )

    def surrounds(self, point: Point, slack: float = 1.0) -> bool:
        x, y = point
        return self.left + slack < x < self.right - slack and (
            self.top + slack < y < self.bottom - slack
        )


@dataclass
class Step:
    box: Box
    outer: Box
    twin: Box | None
    panel: Box | None
    texts: list[ET.Element]


@dataclass
class Drawn:
    steps: dict[str, Step] = field(default_factory=dict)
    edges: list[list[Point]] = field(default_factory=list)


def drawn(svg: str) -> Drawn:
    found = Drawn()
    root = parsed(svg)
    for group in root.iter(f"{SVG}g"):
        title = group.find(f"{SVG}title")
        if title is not None:
            found.steps["".join(title.itertext())] = _step(group)
    for path in root.iter(f"{SVG}path"):
        if path.get("stroke") == EDGE and path.get("stroke-width") == "1.4":
            found.edges += [_along(f"M{part}") for part in path.get("d", "").split("M")[1:]]
    return found


def _step(group: ET.Element) -> Step:
    paths = list(group.iter(f"{SVG}path"))
    lines = [p for p in paths if p.get("fill") == "none" and "z" in p.get("d", "")]
    own = [_box(p) for p in lines if p.get("stroke-width") == "1.5"]
    sheets = [p for p in paths if p.get("fill") != "none" and p.get("stroke")]
    twins = [_box(p) for p in lines if p.get("stroke-width") == "1.2"]
    panels = [_box(p) for p in paths if p.get("fill") == CARD and not p.get("stroke")]
    every = own + [_box(p) for p in sheets]
    return Step(
        box=own[0],
        outer=Box(
            min(b.left for b in every),
            min(b.top for b in every),
            max(b.right for b in every),
            max(b.bottom for b in every),
        ),
        twin=twins[0] if twins else None,
        panel=panels[0] if panels else None,
        texts=list(group.iter(f"{SVG}text")),
    )


def _along(d: str, pieces: int = 12) -> list[Point]:
    """Points on the path; of a curve `pieces` of them."""
    points: list[Point] = []
    x = y = 0.0
    for command, rest in _COMMAND.findall(d):
        n = [float(v) for v in rest.split()]
        match command:
            case "M":
                x, y = n
            case "H":
                x = n[0]
            case "V":
                y = n[0]
            case "h":
                x += n[0]
            case "v":
                y += n[0]
            case "l":
                x, y = x + n[0], y + n[1]
            case "a":
                x, y = x + n[5], y + n[6]
            case "C":
                for i in range(1, pieces):
                    t = i / pieces
                    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
                    xs, ys = (x, *n[0::2]), (y, *n[1::2])
                    points.append(
                        (
                            sum(w * v for w, v in zip(weights, xs)),
                            sum(w * v for w, v in zip(weights, ys)),
                        )
                    )
                x, y = n[4:]
        points.append((x, y))
    return points


def _box(path: ET.Element) -> Box:
    points = _along(path.get("d", ""))
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return Box(min(xs), min(ys), max(xs), max(ys))
