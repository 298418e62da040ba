"""The designer: how soon it is there, and how smoothly 200 steps are dragged.

The page is measured in real JupyterLab, with the harness of tests/browser. What is measured
beside it is bare React Flow with the same steps at the same places, in the same browser:
without a graphics card frames are slow, and only the ratio says something.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import page
from measure import ratio, spread
from report import Goal, Group, Table

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAINT, DRAG = (
    "First paint of a designer of 20 steps, from running the cell",
    "Dragging on a canvas of 200 steps, time of a frame: designer ÷ bare React Flow",
)
ONCE, IMPORT = (
    "Messages to the kernel for one gesture",
    "`import sagakit.widgets`, a whole process",
)
MOST = 1.2  # how much slower than the bare page
MOVES = 40  # of the mouse, in one drag
STEPS = ".sk-canvas .react-flow__node"

CODE = """\
from sagakit import Saga, step
from sagakit.widgets import SagaDesigner

def saga(count):
    names = [f"s{number}" for number in range(count)]
    return Saga("grid", *(
        step(lambda ctx: None, name=name, compensation=lambda ctx: None,
             after=[] if place < 10 else [names[place - 10]])
        for place, name in enumerate(names)
    ))

small, large = saga(20), saga(200)
"""


def measure(quick: bool) -> Group:
    group = Group("Designing: the page of the designer")
    _import(group, 3 if quick else 15)
    reason = page.missing()
    if reason:
        for what, wanted in ((PAINT, "under 1 s"), (DRAG, f"≤ {MOST}"), (ONCE, "1")):
            group.goals.append(Goal(what, wanted, reason, None))
        return group
    with tempfile.TemporaryDirectory() as folder, page.lab(Path(folder)) as (browser, screen):
        book = screen.notebook([CODE, "SagaDesigner(small)", "shown = SagaDesigner(large)\nshown"])
        book.run(0)
        _paint(group, book, 2 if quick else 12)
        _drag(group, browser, book, Path(folder), 2 if quick else 10)
    return group


# -- what needs no browser -------------------------------------------------------------------


def _import(group: Group, rounds: int) -> None:
    figures = []
    with tempfile.TemporaryDirectory() as folder:  # not here: `-c` looks for modules where it is
        for turn in range(rounds + 1):  # the first one warms the disk and writes the bytecode
            begin = perf_counter()
            subprocess.run([sys.executable, "-c", "import sagakit.widgets"], cwd=folder, check=True)
            if turn:
                figures.append(perf_counter() - begin)
    took = median(figures)
    group.goals.append(Goal(IMPORT, "under 0.4 s", f"{took:.3f} s ({spread(figures)})", took < 0.4))


# -- the page --------------------------------------------------------------------------------


def _paint(group: Group, book: Any, rounds: int) -> None:
    figures = [page.painted(book, 1, STEPS, 20) for _ in range(rounds)]
    took = median(figures)
    group.goals.append(Goal(PAINT, "under 1 s", f"{took:.2f} s ({spread(figures)})", took < 1))
    table = Table("First paint", ("round", "seconds"))
    table.rows = [("the first", f"{figures[0]:.2f}"), ("the slowest", f"{max(figures):.2f}")]
    table.notes.append(
        "From the command that runs the cell until the frame in which all 20 steps are visible: "
        "the kernel, the message with the bundle, its evaluation, the layout, the drawing."
    )
    group.tables.append(table)


@dataclass
class Drag:
    """One drag, in milliseconds: of a frame, of work for a move, of work for one without a drag."""

    frame: float
    work: float
    idle: float


def _drag(group: Group, browser: Any, book: Any, folder: Path, rounds: int) -> None:
    from drawing import designer

    book.run(2)
    shown = designer(book, 2)
    shown.to_sight()
    shown.tool("Show everything").click()
    bare = page.bare_page(browser, book.screen.server, shown.canvas, folder)
    pages = {"designer": shown.canvas, "bare": bare.locator("#bare")}
    found: dict[str, list[Drag]] = {name: [] for name in pages}
    before = book.messages("edit")
    for turn in range(rounds + 1):  # the first one warms both up
        for name, canvas in pages.items():
            drag = _dragged(canvas.page, canvas.locator('.react-flow__node[data-id="s105"]'))
            if turn:
                found[name].append(drag)
    book.expect("shown.state['seq']", rounds + 1)
    messages = book.messages("edit") - before
    bare.context.close()
    said = f"{messages} for {rounds + 1} drags"
    group.goals.append(Goal(ONCE, "1", said, messages == rounds + 1))
    _compare(group, found)


def _compare(group: Group, found: dict[str, list[Drag]]) -> None:
    table = Table(
        "Dragging one of 200 steps",
        ("page", "a frame", "work for one move", "work for one move that drags nothing"),
    )
    for name, drags in found.items():
        columns = ([d.frame for d in drags], [d.work for d in drags], [d.idle for d in drags])
        table.rows.append((name, *(f"{median(c):.1f} ms ({spread(c)})" for c in columns)))
    table.notes.append(
        f"Medians of {len(found['bare'])} drags of {MOVES} moves, in turns, each page a notebook "
        "in JupyterLab. A frame is the mean of a drag, so that slow ones count; no frame is "
        f"shorter than 16.7 ms. {page.WORK} What a move takes that drags nothing is JupyterLab's "
        "own."
    )
    group.tables.append(table)
    own, bare = ([drag.frame for drag in found[name]] for name in ("designer", "bare"))
    times = ratio(own, bare)
    group.goals.append(Goal(DRAG, f"≤ {MOST}", f"{times:.2f}", times <= MOST))


def _dragged(shown: Page, step: Any) -> Drag:
    """Drag a step to and fro; before that, move the mouse over it as often."""
    meter = page.Meter(shown)
    box = step.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    shown.mouse.move(x, y)
    idle, _ = meter.moved(x, y, MOVES, (2, 1))
    shown.mouse.move(x, y)
    shown.mouse.down()
    shown.mouse.move(x + 4, y)
    work, frame = meter.moved(x, y, MOVES, (2, 1))
    shown.mouse.up()
    meter.close()
    return Drag(frame, work, idle)
