"""What the command line shows on a terminal: tables that fold, and a progress bar."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty")

SAGA = "def reserve_the_very_last_teapot_on_the_shelf(): ...\n"
SAGA += "from sagakit import Saga, step\n"
SAGA += "s = Saga('s', step(reserve_the_very_last_teapot_on_the_shelf))\n"


def on_terminal(*words, cwd, columns=100):
    """What a terminal of so many columns shows, and the exit code."""
    import fcntl
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    ours_alone = ("COLUMNS", "LINES", "CI", "PYTEST_VERSION")  # where no person looks on
    env = {key: value for key, value in os.environ.items() if key not in ours_alone}
    env |= {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    program = subprocess.Popen(
        [sys.executable, "-m", "sagakit.cli", *map(str, words)],
        cwd=cwd,
        env=env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the program has closed its end
            break
        if not part:
            break
        shown += part
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown.decode()), program.wait()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "m.py").write_text(SAGA)
    return tmp_path


def test_run_shows_a_table_and_not_tabs(folder):
    shown, code = on_terminal("run", "m.py", cwd=folder)
    assert code == 0
    assert "\t" not in shown
    assert "reserve_the_very_last_teapot_on_the_shelf" in shown
    assert re.search(r"^ ?seconds +event +step +detail", shown, re.MULTILINE)


@pytest.mark.parametrize("columns", [40, 60])
def test_a_long_cell_is_folded_and_never_cut(folder, columns):
    shown, code = on_terminal("show", "m.py", cwd=folder, columns=columns)
    assert code == 0
    assert "…" not in shown
    lines = shown.replace("\r", "").splitlines()
    assert max(map(len, lines)) <= columns
    first = "".join(line.split()[0] for line in lines[2:] if line.strip())
    assert first.rpartition("step")[2] == "reserve_the_very_last_teapot_on_the_shelf"


def test_list_shows_the_executions_of_a_journal(folder):
    on_terminal("run", "m.py", "--journal", "j.db", "--id", "one", cwd=folder)
    shown, code = on_terminal("list", "j.db", cwd=folder)
    assert code == 0
    assert re.search(r"^ ?id +saga +version +status", shown, re.MULTILINE)
    assert re.search(r"^ ?one +s +completed", shown, re.MULTILINE)
    shown, _ = on_terminal("list", "j.db", "--saga", "other", cwd=folder)
    assert shown.strip() == "no executions"


def test_demo_shows_a_progress_bar(folder):
    pytest.importorskip("sqlalchemy")
    shown, code = on_terminal("demo", cwd=folder)  # all: what is over soon shows no bar
    assert code == 0
    assert re.search(r"replay: +\d+%\|.*\| *\d+/830", shown)
    assert "money and stock balance" in shown


def test_check_shows_each_finding_with_its_cure_below_and_no_table(folder):
    shown, code = on_terminal("check", "m.py", cwd=folder, columns=60)
    assert code == 0
    lines = [line.rstrip() for line in shown.splitlines()]
    first = lines.index("m.py:3  warning SAGA101  reserve_the_very_last_teapot_on_the_shelf")
    assert lines[first + 1].startswith("    if its reply is lost")
    assert max(map(len, lines[first + 1 : first + 4])) <= 60
    assert lines[-1] == "m.py: 1 warning, 2 notes"
