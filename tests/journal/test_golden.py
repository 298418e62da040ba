"""A journal that any release wrote opens for ever: one golden file for each format."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest

from sagakit import Engine
from sagakit.events import AnyEvent
from sagakit.journal.codec import encode_event
from sagakit.journal.sqlite import MIGRATIONS, SqliteJournal

FOLDER = Path(__file__).parent / "golden"
FILES = sorted(FOLDER.glob("format-*.db"), key=lambda path: int(path.stem.partition("-")[2]))

_spec = importlib.util.spec_from_file_location("golden_make", FOLDER / "make.py")
make = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = make  # where msgspec looks up the names in annotations
_spec.loader.exec_module(make)

# What becomes of the unfinished ones.
RECOVERED = {
    "not begun": "completed",
    "mid-step": "completed",
    "held": "compensated",
    "mid-reconcile": "completed",
    "mid-compensation": "compensated",
    "moved": "completed",
    "signalled": "completed",
    "on tour": "completed",
    "on tour/guests": "completed",
}


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def golden(request, tmp_path):
    """A copy of a golden file, and what is to be read from it."""
    path = Path(shutil.copy(request.param, tmp_path))
    return path, json.loads(request.param.with_suffix(".json").read_text("utf-8"))


def told(events):
    return [json.loads(encode_event(event)) for event in events]


def test_every_format_has_its_golden_file_and_the_newest_holds_every_event():
    assert [path.stem for path in FILES] == [
        f"format-{number}" for number in range(1, len(MIGRATIONS) + 1)
    ]
    written = json.loads(FILES[-1].with_suffix(".json").read_text("utf-8"))
    kinds = {event["type"] for execution in written.values() for event in execution["events"]}
    assert kinds == {kind.__name__ for kind in get_args(AnyEvent)}


def test_the_newest_golden_file_is_what_the_script_beside_it_writes():
    written = json.loads(FILES[-1].with_suffix(".json").read_text("utf-8"))
    assert list(written) == list(make.executions())
    for id, (_, events) in make.executions().items():
        assert told(events) == written[id]["events"][1:], id


def test_a_golden_file_is_read_without_a_definition_and_without_writing(golden):
    path, expected = golden
    journal = SqliteJournal(path, read_only=True)
    try:
        assert journal.verify() == []
        rows = {row.id: row for row in journal.find()}
        assert list(rows) == list(expected)
        for id, wanted in expected.items():
            row = rows[id]
            assert (row.saga, row.version, row.status) == (
                wanted["saga"],
                wanted["version"],
                wanted["status"],
            )
            assert told(journal.read(id)) == wanted["events"]
    finally:
        journal.close()


def test_a_golden_file_tells_values_and_errors_as_they_were(golden):
    path, _ = golden
    with Engine(path, sagas=make.SAGAS) as engine:
        done = engine.status("completed")
        assert done.input == make.INPUT
        assert done.results["charge"] == Decimal("9.90")
        assert done.results["pack"] == make.Parcel(7, Decimal("1.50"))
        stuck = engine.status("stuck")
        assert (stuck.error, stuck.stuck_steps) == (make.ERROR, ("charge",))
        assert engine.status("tour").children["guests"].results["1"] == "checked in"
        assert engine.status("resolved").resolutions[0].why == "refunded by hand"
        assert engine.status("called off").cancellation.by == "operator-7"
        assert engine.status("moved").saga == make.SHOP_2
        for row in engine.list():
            assert engine.status(row.id).status == row.status


def test_a_golden_file_holds_who_waits_what_is_kept_and_what_was_asked_for(golden):
    path, _ = golden
    journal = SqliteJournal(path)
    try:
        (found,) = journal.awaiting("paid", "10248")
        assert found == (1.0, "waiting", make.TRIP.fingerprint)
        assert journal.letters("paid", "10249", 5.0) == [make.LETTER]
        assert journal.posted() == [make.POST]
    finally:
        journal.close()


def test_a_golden_file_is_recovered_and_written_on(golden):
    path, expected = golden
    with Engine(path) as engine:
        recovered = {e.id: e.status for e in engine.recover(*make.SAGAS)}
        assert recovered == {id: RECOVERED[id] for id in expected if id in RECOVERED}
        unfinished = {id for id in expected if expected[id]["status"] in ("running", "waiting")}
        assert set(recovered) == unfinished - {"waiting"}  # its time has not come
        for id, wanted in expected.items():
            kept = engine.status(id).events[: len(wanted["events"])]
            assert told(kept) == wanted["events"]
        assert engine.resolve("stuck tour/stay", "retry", by="me", why="x").status == "compensated"
        assert engine.status("stuck tour").status == "compensated"
        assert engine.resolve("stuck", "retry", by="me", why="later").status == "compensated"
        assert engine.signal("paid", {"amount": 1}, correlation="10248").id == "waiting"
        assert engine.run(make.SHOP, make.INPUT, id="new").status == "completed"
        assert engine.run(make.SHOP, make.INPUT, id="completed").started_at == 1.0
    with Engine(path, sagas=make.SAGAS) as engine:
        assert {engine.status(id).status for id in ("new", "waiting")} == {"completed"}
        assert engine.journal.verify() == []
