"""The designer: how soon it is there, and how smoothly 200 steps are dragged.

The page is measured in real JupyterLab, with the harness of tests/browser. What is measured
beside it is a bare React Flow page of the same steps at the same places, in the same browser:
without a graphics card frames are slow, and only the ratio says something.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from measure import ratio, spread
from report import Goal, Group, Table

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

ROOT = Path(__file__).parents[2]
UI = ROOT / "sagakit/widgets/ui"
BUNDLE = ROOT / "sagakit/widgets/static/sagakit.js"

PAINT, DRAG = (
    "First paint of a designer of 20 steps, from running the cell",
    "Dragging on a canvas of 200 steps, time of a frame: designer ÷ bare React Flow",
)
ONCE, SIZE, IMPORT = (
    "Messages to the kernel for one gesture",
    "The page's bundle, gzipped",
    "`import sagakit.widgets`, a whole process",
)
MOST = 1.2  # how much slower than the bare page
MOVES = 40  # of the mouse, in one drag

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
    _bundle(group)
    _import(group, 3 if quick else 15)
    reason = _missing()
    if reason:
        for what, wanted in ((PAINT, "under 1 s"), (DRAG, f"≤ {MOST}"), (ONCE, "1")):
            group.goals.append(Goal(what, wanted, reason, None))
        return group
    sys.path.insert(0, str(ROOT / "tests/browser"))
    with tempfile.TemporaryDirectory() as folder, _lab(Path(folder)) as (browser, screen):
        book = screen.notebook([CODE, "SagaDesigner(small)", "shown = SagaDesigner(large)\nshown"])
        book.run(0)
        _paint(group, book, 2 if quick else 12)
        _drag(group, browser, book, Path(folder), 2 if quick else 10)
    return group


# -- what needs no browser -------------------------------------------------------------------


def _bundle(group: Group) -> None:
    size = len(gzip.compress(BUNDLE.read_bytes(), 9, mtime=0)) / 1000
    group.goals.append(Goal(SIZE, "under 200 kB", f"{size:.0f} kB", size < 200))


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


def _missing() -> str:
    """Why the browser is not measured, if it is not."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    sys.path.insert(0, str(ROOT / "tests/browser"))
    from lab import find_chromium

    if find_chromium() is None:
        return "there is no browser: install chromium, or name one by CHROMIUM"
    if not (UI / "node_modules").is_dir():
        return "the bare page needs React Flow: make widgets"
    return ""


# -- the page --------------------------------------------------------------------------------


@contextmanager
def _lab(folder: Path) -> Iterator[tuple[Any, Any]]:
    """A browser, and a page of it that shows JupyterLab."""
    from lab import CHROMIUM_FLAGS, Screen, find_chromium, serve
    from playwright.sync_api import sync_playwright

    with serve(folder / "lab") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=list(CHROMIUM_FLAGS)
        )
        yield browser, Screen.open(browser, server)
        browser.close()


def _paint(group: Group, book: Any, rounds: int) -> None:
    figures = [_first_paint(book) for _ in range(rounds)]
    took = median(figures)
    group.goals.append(Goal(PAINT, "under 1 s", f"{took:.2f} s ({spread(figures)})", took < 1))
    table = Table("First paint", ("round", "seconds"))
    table.rows = [("the first", f"{figures[0]:.2f}"), ("the slowest", f"{max(figures):.2f}")]
    table.notes.append(
        "From the command that runs the cell until the frame in which all 20 steps are visible: "
        "the kernel, the message with the bundle, its evaluation, the layout, the drawing."
    )
    group.tables.append(table)


def _first_paint(book: Any) -> float:
    """Seconds until the steps of the designer in cell 1 are visible."""
    took: float = book.do(
        """
        panel.content.activeCellIndex = 1;
        panel.content.deselectAll();
        await jupyterapp.commands.execute('notebook:clear-cell-output');
        const cell = panel.content.widgets[1].node;
        await new Promise(requestAnimationFrame);
        const seen = () => [...cell.querySelectorAll('.sk-canvas .react-flow__node')]
            .filter(node => getComputedStyle(node).visibility === 'visible').length;
        const begin = performance.now();
        const running = jupyterapp.commands.execute('notebook:run-cell');
        const painted = await new Promise(resolve => {
          const look = () => seen() === 20
            ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now())))
            : requestAnimationFrame(look);
          look();
        });
        await running;
        return (painted - begin) / 1000;
        """
    )
    book.wait_idle()
    return took


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
    bare = browser.new_page(viewport=book.page.viewport_size)
    bare.goto(_bare_page(shown, folder).as_uri())
    bare.locator(".react-flow__node").nth(199).wait_for()
    pages = {"designer": (book.page, shown.canvas), "bare": (bare, bare.locator("#root"))}
    found: dict[str, list[Drag]] = {name: [] for name in pages}
    before = book.messages("edit")
    for turn in range(rounds + 1):  # the first one warms both up
        for name, (page, canvas) in pages.items():
            step = canvas.locator('.react-flow__node[data-id="s105"]')
            drag = _dragged(page, step)
            if turn:
                found[name].append(drag)
    book.expect("shown.state['seq']", rounds + 1)
    messages = book.messages("edit") - before
    bare.close()
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
        f"Medians of {len(found['bare'])} drags of {MOVES} moves, in turns. A frame is the mean of "
        "a drag, so that slow ones count; no frame is shorter than 16.7 ms. Work is processor time "
        "of the page's main thread (`TaskDuration` of the DevTools protocol in thread time); what "
        "a move takes that drags nothing is JupyterLab's own on the one page, and nobody's on the "
        "other."
    )
    group.tables.append(table)
    own, bare = ([drag.frame for drag in found[name]] for name in ("designer", "bare"))
    times = ratio(own, bare)
    group.goals.append(Goal(DRAG, f"≤ {MOST}", f"{times:.2f}", times <= MOST))


def _dragged(page: Page, step: Any) -> Drag:
    """Drag a step to and fro; before that, move the mouse over it as often."""
    page.bring_to_front()
    box = step.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.mouse.move(x, y)
    idle, _ = _moved(page, session, x, y)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 4, y)
    work, frame = _moved(page, session, x, y)
    page.mouse.up()
    session.detach()
    return Drag(frame, work, idle)


def _moved(page: Page, session: CDPSession, x: float, y: float) -> tuple[float, float]:
    """Move the mouse away and back, a frame at a time: work for a move, time of a frame."""
    page.evaluate(_FRAMES)
    before = _worked(session)
    for move in range(1, MOVES + 1):
        away = min(move, MOVES - move)
        page.mouse.move(x + 2 * away, y + away)
        page.evaluate("() => new Promise(requestAnimationFrame)")
    work = (_worked(session) - before) / MOVES
    return work, page.evaluate("() => window.framesEnd()")


# Notes when each frame begins; in the end it gives the mean of the times between them.
_FRAMES = """() => {
  const times = [];
  let on = true;
  const note = now => { times.push(now); if (on) requestAnimationFrame(note); };
  requestAnimationFrame(note);
  window.framesEnd = () => {
    on = false;
    return (times.at(-1) - times[0]) / (times.length - 1);
  };
}"""


def _worked(session: CDPSession) -> float:
    """Milliseconds of processor time that the page's main thread has taken so far."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    seconds: float = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
    return seconds * 1000


def _bare_page(shown: Any, folder: Path) -> Path:
    """A page that shows the designer's steps at the same places, by React Flow and nothing else."""
    given = shown.canvas.evaluate(
        """canvas => {
            const view = new DOMMatrix(
              getComputedStyle(canvas.querySelector('.react-flow__viewport')).transform);
            const nodes = [...canvas.querySelectorAll('.react-flow__node')].map(node => {
              const at = new DOMMatrix(getComputedStyle(node).transform);
              return {
                id: node.dataset.id, position: {x: at.e, y: at.f}, data: {label: node.dataset.id},
                width: node.offsetWidth, height: node.offsetHeight,
              };
            });
            const edges = [...canvas.querySelectorAll('.react-flow__edge')].map(edge => {
              const [source, target] = JSON.parse(edge.dataset.id);
              return {id: edge.dataset.id, source, target};
            });
            return {
              nodes, edges, viewport: {x: view.e, y: view.f, zoom: view.a},
              size: [canvas.clientWidth, canvas.clientHeight],
            };
        }"""
    )
    width, height = given.pop("size")
    _build_bare(folder / "bare.js")
    page = folder / "bare.html"
    page.write_text(
        '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="bare.css">'
        f'<div id="root" style="width: {width}px; height: {height}px"></div>'
        f"<script>globalThis.given = {json.dumps(given)}</script><script src='bare.js'></script>",
        encoding="utf-8",
    )
    return page


def _build_bare(target: Path) -> None:
    subprocess.run(
        [
            UI / "node_modules/.bin/esbuild",
            Path(__file__).with_name("bare_flow.mjs"),
            "--bundle",
            "--minify",
            "--format=iife",
            '--define:process.env.NODE_ENV="production"',
            "--log-level=warning",
            f"--outfile={target}",
        ],
        env={**os.environ, "NODE_PATH": str(UI / "node_modules")},
        check=True,
    )
