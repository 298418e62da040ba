"""A widget's page in real JupyterLab, by the harness of tests/browser, and what its work is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Locator, Page

ROOT = Path(__file__).parents[2]
UI = ROOT / "sagakit/widgets/ui"
STATIC = ROOT / "sagakit/widgets/static"

# behind the benchmarks: where both have a module of a name, theirs is meant
sys.path.append(str(ROOT / "tests/browser"))


def missing() -> str:
    """Why no page can be measured here, if none can."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    from lab import find_chromium

    if find_chromium() is None:
        return "there is no browser: install chromium, or name one by CHROMIUM"
    if not (UI / "node_modules").is_dir():
        return "the bare page needs React Flow: make widgets"
    return ""


@contextmanager
def lab(folder: Path) -> Iterator[tuple[Any, Any]]:
    """A browser, and a page of it that shows JupyterLab."""
    from lab import CHROMIUM_FLAGS, Screen, find_chromium, serve
    from playwright.sync_api import sync_playwright

    with serve(folder / "lab") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=list(CHROMIUM_FLAGS)
        )
        yield browser, Screen.open(browser, server)
        browser.close()


def painted(book: Any, cell: int, selector: str, count: int) -> float:
    """Run a cell; seconds until so many elements of its output are visible, in a frame that has
    been drawn.

    The cell has no output before, so that all of it counts: the kernel, the message with the
    bundle, its evaluation, the layout, the drawing.
    """
    took: float = book.do(
        """
        panel.content.activeCellIndex = given.cell;
        panel.content.deselectAll();
        await jupyterapp.commands.execute('notebook:clear-cell-output');
        const cell = panel.content.widgets[given.cell].node;
        await new Promise(requestAnimationFrame);
        const seen = () => [...cell.querySelectorAll(given.selector)]
            .filter(node => getComputedStyle(node).visibility === 'visible').length;
        const begin = performance.now();
        const running = jupyterapp.commands.execute('notebook:run-cell');
        const painted = await new Promise(resolve => {
          const look = () => seen() >= given.count
            ? requestAnimationFrame(() => setTimeout(() => resolve(performance.now())))
            : requestAnimationFrame(look);
          look();
        });
        await running;
        return (painted - begin) / 1000;
        """,
        cell=cell,
        selector=selector,
        count=count,
    )
    book.wait_idle()
    return took


# -- a bare page ---------------------------------------------------------------------------------


def bare_page(browser: Any, server: Any, canvas: Locator, folder: Path) -> Page:
    """The steps of a canvas at the same places by React Flow and nothing else, in a notebook of
    its own: JupyterLab's share of the work is the same.

    Parameters:
        canvas: of a widget; its size and what is in sight are taken over, too.
    """
    from lab import Screen

    given = canvas.evaluate(_DRAWN)
    width, height = given.pop("size")
    place = f"<div id='bare' style='width: {width}px; height: {height}px'></div>"
    screen = Screen.open(browser, server)
    book = screen.notebook([f"from IPython.display import HTML\nHTML({place!r})"])
    book.run(0)
    page: Page = screen.page
    page.locator("#bare").wait_for()
    script = _bundled(folder / "bare.js")
    page.add_style_tag(path=script.with_suffix(".css"))
    page.evaluate("given => { globalThis.given = given; }", given)
    page.evaluate(script.read_text("utf-8"))
    page.locator("#bare .react-flow__node").nth(len(given["nodes"]) - 1).wait_for()
    return page


_DRAWN = """canvas => {
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


def _bundled(target: Path) -> Path:
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
    return target


# -- its work ------------------------------------------------------------------------------------

WORK = (
    "Work is processor time of the page's main thread (`TaskDuration` of the DevTools protocol in "
    "thread time): scripts, styles, layout, paint."
)


class Meter:
    """What a page's main thread has worked since this was made; ``close`` it in the end."""

    def __init__(self, page: Page) -> None:
        page.bring_to_front()
        self.page = page
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._before = 0.0
        self.lap()

    def lap(self) -> float:
        """Milliseconds of processor time since the last lap."""
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        seconds = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
        took, self._before = seconds * 1000 - self._before, seconds * 1000
        return took

    def moved(self, x: float, y: float, moves: int, by: tuple[float, float]) -> tuple[float, float]:
        """Move the mouse away and back, a frame at a time.

        Parameters:
            x, y: where the mouse is.
            moves: so many, half of them away.
            by: px of each.

        Returns:
            milliseconds of work for a move, and of time for a frame.
        """
        self.page.evaluate(_FRAMES)
        self.lap()
        for move in range(1, moves + 1):
            away = min(move, moves - move)
            self.page.mouse.move(x + by[0] * away, y + by[1] * away)
            self.page.evaluate("() => new Promise(requestAnimationFrame)")
        return self.lap() / moves, self.page.evaluate("() => window.framesEnd()")

    def close(self) -> None:
        self._session.detach()


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
