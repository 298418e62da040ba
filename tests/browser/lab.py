"""Real JupyterLab and Notebook 7, in a real browser: what the tests of widgets are made of.

`serve` starts a server, `Screen` is a page of the browser that listens for what must not happen
(errors in the console, requests to other machines), and `Book` is a notebook open in it.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import nbformat
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, WebSocket

AXE = (
    Path(__file__).parents[2] / "sagakit/widgets/ui/node_modules/axe-core/axe.min.js"
)  # `make widgets` brings it

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # a name that should not be looked up is not: what asks for it fails, and is seen to
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
START_SECONDS = 120
PATIENCE = 20_000  # milliseconds; a busy machine is no failure

App = Literal["lab", "notebook"]
Theme = Literal["JupyterLab Light", "JupyterLab Dark"]
LIGHT: Theme = "JupyterLab Light"
DARK: Theme = "JupyterLab Dark"


def find_chromium() -> str | None:
    """The browser: CHROMIUM if it is set, otherwise the first that is found."""
    named = os.environ.get("CHROMIUM")
    names = (named,) if named else CHROMIUM_NAMES
    return next((found for name in names if (found := shutil.which(name))), None)


# -- the server ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """A server of notebooks: where it listens, and the folder that it shows."""

    app: App
    url: str  # ends with a slash
    token: str
    root: Path
    log: Path  # what it and its kernels say, errors in the handlers of widgets among it

    def page_of(self, name: str) -> str:
        """The address that opens the notebook of this name, in a workspace of its own."""
        place = "notebooks" if self.app == "notebook" else f"lab/workspaces/{uuid.uuid4().hex}/tree"
        return f"{self.url}{place}/{name}?token={self.token}"


@contextlib.contextmanager
def serve(folder: Path, app: App = "lab") -> Iterator[Server]:
    """A server on 127.0.0.1 with nothing of the user's: no settings, no extensions, no kernels.

    Parameters:
        folder: where its files go; the notebooks stand in its `root`.
    """
    root = folder / "root"
    root.mkdir(parents=True)
    token = uuid.uuid4().hex
    command = [sys.executable, "-m", "jupyterlab" if app == "lab" else app, *_OPTIONS]
    command += [f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={token}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=root, env=_environment(folder), stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield Server(app, _address(process, folder / "runtime", log), token, root, log)
        finally:
            process.terminate()  # shuts its kernels down, too
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


_OPTIONS = (
    "--no-browser",
    "--ip=127.0.0.1",
    "--port=8899",  # or the first free one after it; the server says which
    "--expose-app-in-browser",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
    "--ServerApp.port_retries=200",
)


def _environment(folder: Path) -> dict[str, str]:
    """This process's, with every folder of Jupyter's its own; nobody is asked for news."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    own = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    for place in own.values():
        (folder / place).mkdir(exist_ok=True)
    news = folder / "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    paths = {name: str(folder / place) for name, place in own.items()}
    return {**kept, **paths, "JUPYTER_PREFER_ENV_PATH": "1", "PYTHONWARNINGS": "ignore"}


def _address(process: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    """Where the server listens, once it answers: it writes that into its runtime folder."""
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit and process.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(OSError, ValueError):  # half written, or not yet listening
                url: str = json.loads(path.read_text("utf-8"))["url"]
                with urllib.request.urlopen(f"{url}api", timeout=5):
                    return url
        time.sleep(0.05)
    raise RuntimeError(f"the Jupyter server did not start; it says:\n{log.read_text()[-3000:]}")


# -- the page --------------------------------------------------------------------------------


@dataclass
class Screen:
    """A page of the browser, and what went wrong in it."""

    server: Server
    page: Page
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)  # requests that leave the machine
    sent: list[bytes] = field(default_factory=list)  # to kernels, by web sockets
    logged: int = 0  # so much of the server's log is older

    @classmethod
    def open(
        cls,
        browser: Browser,
        server: Server,
        width: int = 1400,
        height: int = 900,
        scale: float = 1,
    ) -> Screen:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            device_scale_factor=scale,
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        screen = cls(server, context.new_page())
        context.on("request", screen._on_request)
        screen.page.on("websocket", screen._on_websocket)
        screen.page.on("console", screen._on_console)
        screen.page.on(
            "pageerror", lambda error: screen._note_error(f"uncaught: {error.stack or error}")
        )
        return screen

    def close(self) -> None:
        self.page.context.close()

    def forget(self) -> None:
        """Begin anew: what was sent and what went wrong is another test's."""
        for kept in (self.errors, self.foreign, self.sent):
            kept.clear()
        self.logged = self.server.log.stat().st_size

    def check(self) -> None:
        """Nothing left the machine, and nothing went wrong, here or in the kernel."""
        assert self.foreign == [], "requests that leave the machine"
        assert self.errors == [], "errors in the browser's console"
        logged = self.server.log.read_bytes()[self.logged :].decode("utf-8", "replace")
        assert "Traceback" not in logged, f"the server's log has an error:\n{logged[-3000:]}"

    def shot(self, name: str, what: Locator | None = None) -> None:
        """Save a picture of the page, or of a part of it, if SAGAKIT_SCREENSHOTS names a folder."""
        folder = os.environ.get("SAGAKIT_SCREENSHOTS")
        if folder:
            self.page.wait_for_function("() => !document.getElementById('jupyterlab-splash')")
            path = Path(folder) / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            (what or self.page).screenshot(path=path)

    def notebook(self, cells: Sequence[str], *, name: str | None = None) -> Book:
        """A new notebook with these cells of code, open, its kernel waiting; nothing is run."""
        book = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in cells],
            metadata={"kernelspec": KERNELSPEC},
        )
        name = name or f"{uuid.uuid4().hex[:8]}.ipynb"
        nbformat.write(book, self.server.root / name)
        return self.open_book(name)

    def open_book(self, name: str) -> Book:
        """The notebook of this name, which stands in the server's root, with its kernel."""
        if self.server.app == "lab" and self.page.url.startswith(self.server.url):
            self.page.evaluate(
                "async path => { await jupyterapp.commands.execute('docmanager:open', {path}); }",
                name,
            )
        else:
            self.page.goto(self.server.page_of(name))
            self.page.wait_for_function("() => window.jupyterapp !== undefined")
            self.page.evaluate("async () => { await jupyterapp.restored; }")
        book = Book(self, name)
        book.wait_for_kernel()
        return book

    def _on_request(self, request: Request) -> None:
        self._note_address(request.url)

    def _on_websocket(self, socket: WebSocket) -> None:
        self._note_address(socket.url)
        socket.on("framesent", lambda frame: self.sent.append(_bytes(frame)))

    def _note_address(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            self.foreign.append(url)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            place = message.location
            self._note_error(f"{message.text} ({place.get('url')}:{place.get('lineNumber')})")

    def _note_error(self, text: str) -> None:
        if not any(known.search(text) for known in OF_THE_APP):
            self.errors.append(text)


# What JupyterLab and Notebook themselves complain of, with no widget in the notebook.
OF_THE_APP = (
    re.compile(r"^Could not restore the debugger state: Canceled future"),  # a kernel restarts
    re.compile(  # Notebook asks for settings of an extension that only Lab has
        r"^uncaught: TypeError: Cannot read properties of undefined \(reading 'schema'\)"
        r".*/static/notebook/notebook_core\.",
        re.S,
    ),
)
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def _bytes(frame: str | bytes) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame


# -- the notebook ----------------------------------------------------------------------------

# The panel that shows the notebook of this path, for the functions below.
_PANEL = """
const panelOf = path => {
  for (const panel of jupyterapp.shell.widgets('main')) {
    if (panel.context?.path === path && panel.content?.widgets) return panel;
  }
  throw new Error(`no notebook ${path} is open`);
};
"""


@dataclass
class Book:
    """A notebook open in a page."""

    screen: Screen
    name: str

    @property
    def page(self) -> Page:
        return self.screen.page

    def do(self, body: str, **given: Any) -> Any:
        """Run JavaScript in the page: `panel` is the notebook's, `given` what is given here."""
        script = f"""async ({{path, given}}) => {{
            {_PANEL}
            const panel = panelOf(path);
            {body}
        }}"""
        return self.page.evaluate(script, {"path": self.name, "given": given})

    def wait_for_kernel(self) -> None:
        """Until the notebook is shown and its kernel idle: keys before that are swallowed."""
        self.page.wait_for_function(
            f"""path => {{
                {_PANEL}
                try {{ return panelOf(path).isVisible; }} catch {{ return false; }}
            }}""",
            arg=self.name,
        )
        self.do(
            """
            await panel.context.ready;
            await panel.revealed;
            await panel.sessionContext.ready;
            await panel.sessionContext.session.kernel.info;
            """
        )
        self.wait_idle()

    def wait_idle(self) -> None:
        """Until the kernel has done what it was told."""
        self.page.wait_for_function(
            f"""path => {{
                {_PANEL}
                return panelOf(path).sessionContext.session?.kernel?.status === 'idle';
            }}""",
            arg=self.name,
        )

    def run(self, *cells: int) -> None:
        """Run these cells, or all of them, as the menu does, and wait until they are done.

        Raises:
            AssertionError: a cell ended in an error.
        """
        for cell in cells or range(self.count()):
            self.do(
                """
                panel.content.activeCellIndex = given.cell;
                panel.content.deselectAll();
                jupyterapp.shell.activateById(panel.id);
                await jupyterapp.commands.execute('notebook:run-cell');
                """,
                cell=cell,
            )
            self.wait_idle()
            for output in self.outputs(cell):
                if output["output_type"] == "error":
                    raise AssertionError(f"cell {cell}: {output['ename']}: {output['evalue']}")

    def count(self) -> int:
        """How many cells it has."""
        return int(self.do("return panel.content.widgets.length;"))

    def sources(self) -> list[str]:
        """What its cells hold, as the page has it."""
        found: list[str] = self.do(
            "return panel.content.model.sharedModel.cells.map(cell => cell.getSource());"
        )
        return found

    def outputs(self, cell: int) -> list[dict[str, Any]]:
        """The outputs of a cell, as they would be saved."""
        found: list[dict[str, Any]] = self.do(
            "return panel.content.widgets[given.cell].model.outputs.toJSON();", cell=cell
        )
        return found

    def output(self, cell: int) -> Locator:
        """What a cell shows below itself."""
        return self.page.locator(f"{self._selector} .jp-Cell").nth(cell).locator(".jp-OutputArea")

    @property
    def _selector(self) -> str:
        identity = self.do("return panel.id;")
        return f'[id="{identity}"]'

    def value(self, expression: str) -> Any:
        """What the kernel says of an expression: a literal, such as a number, a text or a list.

        Raises:
            AssertionError: it raised an exception there, or is no literal.
        """
        answer = self.do(
            """
            const future = panel.sessionContext.session.kernel.requestExecute({
              code: '', silent: true, store_history: false, user_expressions: {it: given.code},
            });
            return (await future.done).content.user_expressions?.it;
            """,
            code=expression,
        )
        assert answer["status"] == "ok", f"{expression}: {answer['ename']}: {answer['evalue']}"
        return ast.literal_eval(answer["data"]["text/plain"])

    def expect(self, expression: str, value: Any) -> None:
        """Wait until the kernel says this of an expression.

        Raises:
            AssertionError: it says something else even when PATIENCE is over.
        """
        limit = time.monotonic() + PATIENCE / 1000
        while True:
            try:
                found = self.value(expression)
                if found == value:
                    return
            except AssertionError as error:
                found = error
            assert time.monotonic() < limit, f"{expression} is {found!r}, not {value!r}"
            self.page.wait_for_timeout(50)

    def execute(self, code: str) -> None:
        """Run code in the kernel, in no cell.

        Raises:
            AssertionError: it raised an exception.
        """
        answer = self.do(
            """
            const future = panel.sessionContext.session.kernel.requestExecute({
              code: given.code, store_history: false,
            });
            return (await future.done).content;
            """,
            code=code,
        )
        assert answer["status"] == "ok", f"{answer.get('ename')}: {answer.get('evalue')}"

    def keep_busy(self, until: Path) -> None:
        """Have the kernel do something that lasts until this file is there."""
        code = f"import os, time\nwhile not os.path.exists({str(until)!r}): time.sleep(0.01)"
        body = "panel.sessionContext.session.kernel.requestExecute({code: given.code});"
        self.do(body, code=code)

    def restart(self) -> None:
        """Restart the kernel, without the question whether one is sure."""
        self.do("await panel.sessionContext.restartKernel();")
        self.wait_for_kernel()

    def save(self) -> Any:
        """Save it; what stands in the file then."""
        self.do("await panel.context.save();")
        return nbformat.read(self.screen.server.root / self.name, nbformat.NO_CONVERT)

    def close(self) -> None:
        """Close it without saving, and end its kernel."""
        self.do(
            """
            await panel.sessionContext.shutdown();
            await panel.context.revert();
            panel.dispose();
            """
        )

    def theme(self, name: Theme) -> None:
        """Switch to a theme, as the menu does."""
        self.page.evaluate(
            """async theme => {
                await jupyterapp.commands.execute('apputils:change-theme', {theme});
            }""",
            name,
        )
        light = json.dumps(name == LIGHT)
        self.page.wait_for_function(f"() => document.body.dataset.jpThemeLight === '{light}'")

    def messages(self, trait: str) -> int:
        """How many messages that set this trait of a widget the page has sent to kernels."""
        sets = re.compile(rb'"method":\s*"update".*"' + trait.encode() + rb'":', re.S)
        return sum(b"comm_msg" in frame and bool(sets.search(frame)) for frame in self.screen.sent)


@dataclass
class Shown:
    """A widget that a cell of a notebook shows."""

    book: Book
    cell: int

    @property
    def root(self) -> Locator:
        return self.book.output(self.cell).locator(".sk-root")

    @property
    def side(self) -> Locator:
        return self.root.locator(".sk-side")


# -- accessibility ---------------------------------------------------------------------------


def violations(page: Page, selector: str) -> list[str]:
    """What axe-core finds within an element that is serious or critical, a line for each node."""
    if not page.evaluate("() => window.axe !== undefined"):
        page.evaluate(AXE.read_text("utf-8"))  # no <script>: nothing is asked of the server
    result = page.evaluate(
        """selector => axe.run(selector, {
             resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa',
               'wcag22aa', 'best-practice'],
           })""",
        selector,
    )
    return [
        f"{found['impact']}: {found['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for found in result["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]
