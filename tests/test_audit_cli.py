"""``sagakit audit``: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

import csv
import io
import json
import sqlite3

import pytest
from click.testing import CliRunner

from sagakit import Engine, Saga, TerminalError, pivot, step
from sagakit.cli import cli


def act():
    pass


def refuse():
    raise TerminalError("no, never")


SAGA = Saga("s", pivot(act, name="p"), step(refuse, name="late"))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "journal.db"
    with Engine(path) as engine:
        engine.run(SAGA, id="one")
        engine.resolve("one", "skip", by="ann", why="by hand")
        engine.run(SAGA, id="two")
    return path


def call(*words):
    return CliRunner().invoke(cli, ["audit", *map(str, words)])


def test_a_sound_journal_is_said_to_be_and_its_head_printed(path):
    done = call("verify", path)
    assert done.exit_code == 0
    said, head = done.stdout.splitlines()
    assert said == "sound: 14 records of 2 executions, without a key"
    assert call("verify", path, "--head", head.removeprefix("head ")).exit_code == 0
    told = json.loads(call("verify", path, "--json").stdout)
    assert (told["sound"], told["records"], told["finding"]) == (True, 14, None)
    assert f"head {told['head']}" == head


def test_one_that_was_tampered_with_is_an_error_that_names_the_record(path):
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM events WHERE ord = 7")
    database.close()
    done = call("verify", path)
    assert done.exit_code == 1
    assert done.stdout.startswith("NOT as it was written: record 7 (event 6 of execution 'one'")
    told = json.loads(call("verify", path, "--json").stdout)
    assert (told["sound"], told["finding"]["record"]) == (False, 7)


def test_the_trail_is_written_as_csv_and_as_lines(path, tmp_path):
    rows = list(csv.DictReader(io.StringIO(call("export", path).stdout)))
    assert [int(row["record"]) for row in rows] == list(range(1, 15))
    acts = [row for row in rows if row["by"]]
    assert [(row["by"], row["why"], row["step"], row["detail"]) for row in acts] == [
        ("ann", "by hand", "late", "skip")
    ]
    assert rows[0]["at"].endswith("+00:00")
    file = tmp_path / "trail.jsonl"
    done = call("export", path, "--jsonl", "--output", file)
    assert (done.exit_code, done.stdout) == (0, "")
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [{key: str(value) for key, value in line.items()} for line in lines] == rows
    by_hand = call("export", path, "--jsonl", "--by-hand", "--execution", "one").stdout
    assert [json.loads(line)["event"] for line in by_hand.splitlines()] == ["ExecutionResolved"]


def test_an_export_that_fails_leaves_no_file(path, tmp_path):
    file = tmp_path / "trail.csv"
    file.write_text("what was there before")
    assert call("export", path, "--execution", "nobody", "--output", file).exception is not None
    assert file.read_text() == "what was there before"
    assert sorted(p.name for p in tmp_path.glob("trail*")) == ["trail.csv"]
