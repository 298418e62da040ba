"""How long work tells how far it is, and to whom."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from sagakit import Engine, Saga, SagaError, step
from sagakit.progress import progress

SCRIPT = """
from sagakit.progress import progress
print("before")
with progress("count", total=3, unit="things") as tick:
    for _ in range(3):
        {body}
        tick(1)
print("after")
"""
ROOT = Path(__file__).parent.parent
# What says that nobody watches; a terminal of a test has to be one without them.
QUIET = ("CI", "PYTEST_VERSION", "PYTEST_CURRENT_TEST", "SAGAKIT_PROGRESS")


def _environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in QUIET}
    return kept | {"PYTHONPATH": str(ROOT)} | more


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def sit_down(monkeypatch: pytest.MonkeyPatch) -> Callable[[], _Terminal]:
    """To be called in the test itself: pytest puts its own stderr there as the test begins."""

    def before_a_terminal() -> _Terminal:
        for name in QUIET:
            monkeypatch.delenv(name, raising=False)
        screen = _Terminal()
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setattr("sagakit.progress.SOON", 0.0)
        return screen

    return before_a_terminal


def _count() -> None:
    with progress("count", total=2, unit="things") as tick:
        tick(1)
        tick(1)


def test_a_terminal_shows_a_bar_and_is_left_clean(sit_down: Callable[[], _Terminal]) -> None:
    terminal = sit_down()
    _count()
    text = terminal.getvalue()
    assert "count:" in text
    assert "things" in text
    assert text.endswith("\r")
    assert text.rpartition("\r")[0].rpartition("\r")[2].strip() == "", "the line is wiped"


def test_ctrl_c_leaves_it_clean_too(sit_down: Callable[[], _Terminal]) -> None:
    terminal = sit_down()

    def interrupted() -> None:
        with progress("count", total=2) as tick:
            tick(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.getvalue().rpartition("\r")[0].rpartition("\r")[2].strip() == ""


def test_a_tick_that_comes_late_draws_nothing(sit_down: Callable[[], _Terminal]) -> None:
    terminal = sit_down()
    with progress("count", total=2) as tick:
        pass
    length = len(terminal.getvalue())
    tick(1)
    assert len(terminal.getvalue()) == length


@pytest.mark.parametrize(
    ("name", "value"), [("CI", "true"), ("PYTEST_VERSION", "9"), ("SAGAKIT_PROGRESS", "0")]
)
def test_where_nobody_watches_nothing_is_drawn(
    name: str, value: str, sit_down: Callable[[], _Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = sit_down()
    monkeypatch.setenv(name, value)
    _count()
    assert terminal.getvalue() == ""


def test_the_variable_and_the_parameter_have_the_last_word(
    sit_down: Callable[[], _Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = sit_down()
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("SAGAKIT_PROGRESS", "1")
    _count()
    assert "count" in terminal.getvalue()
    terminal.truncate(0)
    with progress("count", False) as tick:
        tick(1)
    assert terminal.getvalue() == ""
    monkeypatch.setenv("SAGAKIT_PROGRESS", "0")
    with progress("count", True, total=1) as tick:
        tick(1)
    assert "count" in terminal.getvalue()


def test_a_function_gets_the_numbers_and_nothing_is_drawn(
    sit_down: Callable[[], _Terminal],
) -> None:
    terminal = sit_down()
    seen: list[int] = []
    with progress("count", seen.append, total=lambda: pytest.fail("nobody needs it")) as tick:
        tick(1)
        tick(2)
    assert seen == [1, 2]
    assert terminal.getvalue() == ""


def test_a_value_that_means_nothing_is_refused(
    sit_down: Callable[[], _Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    sit_down()
    monkeypatch.setenv("SAGAKIT_PROGRESS", "yes")
    with pytest.raises(SagaError, match="give it 0 or 1"), progress("count"):
        pass


def test_recover_tells_how_many_and_what_is_over_soon_draws_nothing(
    sit_down: Callable[[], _Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = sit_down()
    with Engine() as engine:
        assert engine.recover(Saga("s", step(lambda: 1, name="a")), progress=True) == []
    assert "recover: 0 executions" in terminal.getvalue().replace("?", "")
    terminal.truncate(0)
    monkeypatch.setattr("sagakit.progress.SOON", 60.0)
    _count()
    assert "count" not in terminal.getvalue()


def test_piped_output_stays_empty_and_tqdm_is_not_even_loaded() -> None:
    code = SCRIPT.format(body="") + "\nimport sys; assert 'tqdm' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code], env=_environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "before\nafter\n"
    assert done.stderr == ""


def test_a_real_terminal_shows_it() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 80))
    os.set_blocking(ours, False)  # nothing shown is a failure, not a test that waits for ever
    code = SCRIPT.format(body="import time; time.sleep(0.3)")
    with subprocess.Popen(
        [sys.executable, "-c", code], env=_environment(), stdout=subprocess.PIPE, stderr=theirs
    ) as child:
        out, _ = child.communicate(timeout=60)
    shown = os.read(ours, 100_000).decode()
    os.close(theirs)
    os.close(ours)
    assert out == b"before\nafter\n"
    assert "count:" in shown
    assert "3/3" in shown or "2/3" in shown


def _notebook(path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(SCRIPT.format(body="import time; time.sleep(0.3)"))],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(book, path)


def _execute(path: Path, **more: str) -> list[dict[str, object]]:
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbconvert")
    subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", path],
        env=_environment(**more), check=True, capture_output=True,
    )  # fmt: skip
    (cell,) = nbformat.read(path, as_version=4).cells
    return list(cell.outputs)


def test_a_notebook_that_is_converted_holds_nothing_of_it_and_nbval_agrees(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    _notebook(path)
    outputs = _execute(path)
    assert {(output["output_type"], output["name"]) for output in outputs} == {("stream", "stdout")}
    assert "".join(str(output["text"]) for output in outputs) == "before\nafter\n"
    pytest.importorskip("nbval")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--nbval", "-p", "no:cacheprovider", path],
        env=_environment(JPY_SESSION_NAME="n.ipynb"), capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_a_notebook_that_a_person_has_open_shows_a_bar(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    _notebook(path)
    outputs = _execute(path, JPY_SESSION_NAME="n.ipynb")
    assert {output["output_type"] for output in outputs} != {"stream"} or "count" in str(outputs)
