"""The harness itself, on the smallest widget there is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lab import DARK, LIGHT

COUNTER = """\
import anywidget, traitlets
class Counter(anywidget.AnyWidget):
    _esm = '''
    export default {render({model, el}) {
      const button = document.createElement("button");
      button.textContent = "add";
      button.onclick = () => { model.set("count", model.get("count") + 1); model.save_changes(); };
      el.append(button);
    }};
    '''
    count = traitlets.Int(0).tag(sync=True)
counter = Counter()
counter
"""


def test_cells_run_in_order_and_the_kernel_can_be_asked(lab):
    book = lab(["x = [1]", "x.append(2)"])
    book.run()
    assert book.value("x") == [1, 2]
    assert book.count() == 2


def test_a_cell_that_fails_is_told(lab):
    book = lab(["1 / 0"])
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        book.run()
    with pytest.raises(AssertionError, match="NameError"):
        book.value("nothing")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        book.execute("1 / 0")


def test_a_click_on_a_widget_is_one_message_that_reaches_the_kernel(lab):
    book = lab([COUNTER])
    book.run()
    book.output(0).get_by_role("button", name="add").click()
    book.wait_idle()
    assert book.value("counter.count") == 1
    assert book.messages("count") == 1


def test_the_theme_changes_and_comes_back(lab):
    book = lab(["1"])
    for theme, light in ((DARK, "false"), (LIGHT, "true")):
        book.theme(theme)
        assert book.page.locator("body").get_attribute("data-jp-theme-light") == light


def test_a_restarted_kernel_knows_nothing(lab):
    book = lab(["x = 1"])
    book.run()
    book.restart()
    assert book.value("'x' in globals()") is False


def test_what_goes_wrong_in_the_page_is_seen(lab):
    book = lab(["1"])
    book.page.evaluate("console.error('broken')")
    book.page.evaluate("fetch('http://sagakit.invalid/').catch(() => {})")
    book.page.evaluate("setTimeout(() => { throw new Error('late') })")
    book.page.wait_for_timeout(300)
    assert book.screen.foreign == ["http://sagakit.invalid/"]
    assert any("broken" in error for error in book.screen.errors)
    assert any("late" in error for error in book.screen.errors)
    with pytest.raises(AssertionError, match="leave the machine"):
        book.screen.check()
    book.screen.forget()


def test_notebook_7_shows_a_widget(notebook7):
    book = notebook7([COUNTER])
    book.run()
    book.output(0).get_by_role("button", name="add").click()
    book.wait_idle()
    assert book.value("counter.count") == 1


def test_a_module_that_follows_can_run_a_loop_of_its_own(chromium, tmp_path):
    here = Path(__file__).parent
    for name in ("conftest.py", "lab.py"):
        shutil.copy(here / name, tmp_path)
    (tmp_path / "test_1.py").write_text("def test_it(browser): assert browser.version\n")
    (tmp_path / "test_2.py").write_text(
        "import asyncio\ndef test_it(): asyncio.run(asyncio.sleep(0))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout
