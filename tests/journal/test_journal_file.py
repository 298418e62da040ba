"""One writer at a time, whatever the file is called; and files that are no journals."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest

from sagakit import Engine, Saga, step
from sagakit.errors import JournalBusyError, JournalCorruptError, JournalError
from sagakit.journal import file
from sagakit.journal.sqlite import SqliteJournal

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX files")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs locks of the file itself")


def act():
    pass


SAGA = Saga("s", step(act, act))

SECOND = """
import sys
from sagakit import Engine
from sagakit.errors import JournalError
try:
    with Engine(sys.argv[1]) as engine:
        print("opened", len(engine.list()))
except JournalError as error:
    print(type(error).__name__)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


def second_engine(path):
    """What another process says that opens the file."""
    command = [sys.executable, "-c", SECOND, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@on_linux
def test_a_second_engine_is_refused_though_the_lock_beside_the_file_was_deleted(path):
    with Engine(path) as engine:
        engine.run(SAGA, id="one")
        path.with_name("journal.db.lock").unlink()
        assert second_engine(path) == "JournalBusyError"
        with pytest.raises(JournalBusyError):  # in this process as well, and nothing is let go
            SqliteJournal(path)
        path.with_name("journal.db.lock").unlink()
        assert second_engine(path) == "JournalBusyError"
        assert engine.run(SAGA, id="two").status == "completed"
    assert second_engine(path) == "opened 2"


@on_linux
@pytest.mark.parametrize("how", ["link", "rename"])
def test_a_second_engine_is_refused_under_another_name_of_the_file(path, how):
    other = path.with_name("other.db")
    with Engine(path) as engine:
        engine.run(SAGA, id="one")
        getattr(os, how)(path, other)
        assert second_engine(other) == "JournalBusyError"
        if how == "rename":
            os.rename(other, path)
        else:
            other.unlink()
        engine.run(SAGA, id="two")
    assert second_engine(path) == "opened 2"


def test_a_file_of_two_names_is_refused_since_each_would_have_its_own_wal(path):
    with Engine(path) as engine:
        engine.run(SAGA, id="one")
    other = path.with_name("other.db")
    os.link(path, other)
    for name in (path, other):
        with pytest.raises(JournalError, match=r"has 2 names \(hard links\)"):
            Engine(name)
    other.unlink()
    with Engine(path) as engine:
        assert len(engine.list()) == 1


def test_where_files_cannot_be_locked_a_lost_lock_is_noticed_before_the_next_start(
    path, monkeypatch
):
    monkeypatch.setattr(file, "_LOCKS_FILES", False)
    with Engine(path) as engine:
        engine.run(SAGA, id="one")
        path.with_name("journal.db.lock").unlink()
        with Engine(path), pytest.raises(JournalError, match="or its lock was moved or deleted"):
            engine.run(SAGA, id="two")


@on_linux
def test_a_reader_in_the_same_process_takes_no_lock_of_sqlites_away(path):
    """Closing any descriptor of a file drops the fcntl locks that the process has on it: another
    program would then take the -wal, which holds what was written last, for nobody's."""
    taken = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM seal')"
    with Engine(path) as engine:
        engine.run(SAGA, id="one")
        reader = SqliteJournal(path, read_only=True)
        assert len(reader.find()) == 1
        reader.close()
        with contextlib.suppress(JournalBusyError):
            SqliteJournal(path)
        wal = path.with_name("journal.db-wal").stat().st_size
        subprocess.run([sys.executable, "-c", f"{taken}; c.close()", str(path)], check=True)
        assert wal > 0
        assert path.with_name("journal.db-wal").stat().st_size == wal
        engine.run(SAGA, id="two")
    assert second_engine(path) == "opened 2"
    assert file._inode(path) not in file._opened
    assert file._inode(path) not in file._descriptors


def test_a_foreign_file_gets_no_lock_beside_it(path):
    path.write_text("print('hello')\n" * 20)
    with pytest.raises(JournalCorruptError, match="not a sagakit journal"):
        Engine(path)
    assert [item.name for item in path.parent.iterdir()] == ["journal.db"]


def test_a_pipe_is_named_and_left_alone(path):
    os.mkfifo(path)
    for read_only in (False, True):
        with pytest.raises(JournalError, match="is a pipe or a device; name a file"):
            SqliteJournal(path, read_only=read_only)
    assert [item.name for item in path.parent.iterdir()] == ["journal.db"]


@pytest.fixture
def crashed(path):
    """A copy of a journal that was not closed: its last executions are in the -wal alone."""
    copy = path.with_name("copy.db")
    with Engine(path) as engine:
        engine.run(SAGA, id="one")
        for end in ("", "-wal"):
            shutil.copy(f"{path}{end}", f"{copy}{end}")
    return copy


@pytest.mark.parametrize("read_only", [False, True])
def test_a_damaged_wal_is_named_and_not_taken_for_empty(crashed, read_only):
    wal = crashed.with_name("copy.db-wal")
    whole = wal.read_bytes()
    link = crashed.with_name("link.db")
    link.symlink_to(crashed)  # which has no -wal of its own
    for damaged in (b"\xff" * len(whole), b"\0" * 32 + whole[32:], whole[:20] + b"x" + whole[21:]):
        wal.write_bytes(damaged)
        for name in (crashed, link):
            with pytest.raises(JournalCorruptError, match=r"copy\.db-wal', which holds what was"):
                SqliteJournal(name, read_only=read_only)
        assert wal.read_bytes() == damaged
    wal.write_bytes(whole)
    journal = SqliteJournal(crashed, read_only=read_only)
    assert [row.id for row in journal.find()] == ["one"]
    journal.close()


@pytest.mark.parametrize("left", [b"", b"\0" * 20, b"\0" * 5000])
def test_a_wal_that_a_power_failure_left_before_its_first_commit_is_none(path, left):
    with Engine(path) as engine:
        engine.run(SAGA, id="one")
    path.with_name("journal.db-wal").write_bytes(left)
    with Engine(path) as engine:
        assert len(engine.list()) == 1


def test_the_checksum_of_a_wal_is_sqlites_own(path):
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE t (x)")
        other.commit()
        header = path.with_name("journal.db-wal").read_bytes()[:32]
    assert file._is_wal(header)
    for place in range(32):
        assert not file._is_wal(header[:place] + bytes([header[place] ^ 1]) + header[place + 1 :])
