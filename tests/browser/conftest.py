"""A server for the session, a browser for each module, a notebook for each test.

Playwright's synchronous interface keeps an asyncio loop running in this thread while it is there,
and tests of other modules call `asyncio.run`. So it lives no longer than a module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: pip install 'sagakit[test]'")
pytest.importorskip("jupyterlab", reason="jupyterlab is not installed: pip install 'sagakit[lab]'")

pytest.register_assert_rewrite("lab")

from lab import (  # noqa: E402  what it imports may be absent
    CHROMIUM_FLAGS,
    LIGHT,
    Book,
    Screen,
    Server,
    find_chromium,
    serve,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_report = pytest.StashKey[pytest.TestReport]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Iterator[None]:
    report = yield
    if report.when == "call":
        item.stash[_report] = report
    return report


def _failed(request: pytest.FixtureRequest) -> bool:
    report = request.node.stash.get(_report, None)
    return report is None or report.failed


def _tell(screen: Screen, name: str) -> None:
    """What is known besides of a test that failed; pytest shows what is printed."""
    screen.shot(f"failed/{name}")
    try:
        screen.check()
    except AssertionError as error:
        print(error)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's program."""
    found = find_chromium()
    if found is None:
        pytest.skip("no browser: install chromium, or name one by the variable CHROMIUM")
    return found


@pytest.fixture(scope="session")
def lab_server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("lab"), "lab") as server:
        yield server


@pytest.fixture(scope="session")
def notebook_server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("notebook", reason="notebook is not installed: pip install 'sagakit[test]'")
    with serve(tmp_path_factory.mktemp("notebook"), "notebook") as server:
        yield server


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def _screens() -> Iterator[dict[str, Screen]]:
    """A page that shows Lab is kept for the next test, unless a test failed in it."""
    screens: dict[str, Screen] = {}
    yield screens
    for screen in screens.values():
        screen.close()


@pytest.fixture
def lab(
    browser: Browser,
    lab_server: Server,
    _screens: dict[str, Screen],
    request: pytest.FixtureRequest,
) -> Iterator[Callable[[Sequence[str]], Book]]:
    """Opens notebooks in JupyterLab: `lab([source, ...])`. In the end nothing may be wrong."""
    screen = _screens.pop("lab", None) or Screen.open(browser, lab_server)
    screen.forget()
    books: list[Book] = []

    def open_notebook(cells: Sequence[str]) -> Book:
        books.append(screen.notebook(cells))
        return books[-1]

    yield open_notebook
    if _failed(request):
        _tell(screen, request.node.name)
        screen.close()
        return
    try:
        screen.check()
        for book in books:
            book.close()
        if books:
            books[0].theme(LIGHT)
    except BaseException:
        screen.close()
        raise
    _screens["lab"] = screen


@pytest.fixture
def notebook7(
    browser: Browser, notebook_server: Server, request: pytest.FixtureRequest
) -> Iterator[Callable[[Sequence[str]], Book]]:
    """Opens notebooks in Notebook 7, one at a time: `notebook7([source, ...])`."""
    screen = Screen.open(browser, notebook_server)
    yield screen.notebook
    if _failed(request):
        _tell(screen, request.node.name)
    else:
        screen.check()
    screen.close()
