"""What every journal promises, and what SQLite's does when the disk or the file is bad."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading

import pytest

from sagakit import Engine, Saga, step
from sagakit.errors import (
    JournalBusyError,
    JournalCorruptError,
    JournalError,
    JournalFullError,
    JournalReadOnlyError,
    UnknownExecutionError,
)
from sagakit.events import (
    CancellationRequested,
    ErrorInfo,
    ExecutionCompleted,
    ExecutionResolved,
    ExecutionStarted,
    ExecutionStuck,
    SignalReceived,
    StepFailed,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)
from sagakit.journal import mail
from sagakit.journal.base import Filter, Letter, Post, Rest, Wait
from sagakit.journal.memory import MemoryJournal
from sagakit.journal.sqlite import APPLICATION_ID, MIGRATIONS, SqliteJournal


def start(id, saga="s", fingerprint="f"):
    return ExecutionStarted(saga, "1", fingerprint, id, {"x": [1]}, 1.5)


def act():
    pass


SAGA = Saga("s", step(act, act), step(act, act, name="b"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


@pytest.fixture(params=["memory", "sqlite"])
def journal(request, path):
    made = MemoryJournal() if request.param == "memory" else SqliteJournal(path)
    yield made
    made.close()


# -- every journal --------------------------------------------------------------------------


def test_events_come_back_as_they_were_in_their_order(journal):
    error = ErrorInfo("ValueError", "no", "Traceback …")
    events = [start("one"), StepStarted("a", 1, 2.0), StepFailed("a", 1, 3.0, error)]
    journal.append([("one", 0, events[:2])])
    journal.append([("one", 2, events[2:])])
    assert journal.read("one") == events
    assert journal.read("one")[2].error.traceback == "Traceback …"


def test_one_commit_may_hold_many_executions_and_one_of_them_twice(journal):
    journal.append(
        [
            ("one", 0, [start("one")]),
            ("two", 0, [start("two")]),
            ("one", 1, [StepStarted("a", 1, 2.0)]),
        ]
    )
    assert len(journal.read("one")) == 2
    assert [row.id for row in journal.find()] == ["one", "two"]


def test_an_event_out_of_order_is_refused_with_its_whole_commit(journal):
    journal.append([("one", 0, [start("one")])])
    with pytest.raises(JournalError):
        journal.append([("two", 0, [start("two")]), ("one", 0, [start("one")])])
    assert [row.id for row in journal.find()] == ["one"]
    assert len(journal.read("one")) == 1


def test_the_status_follows_the_events(journal):
    def status():
        (row,) = journal.find()
        return row.status, row.changed_at

    journal.append([("one", 0, [start("one")])])
    assert status() == ("running", 1.5)
    journal.append([("one", 1, [ExecutionStuck(5.0, ("a",))])])
    assert status() == ("stuck", 5.0)
    journal.append([("one", 2, [ExecutionResolved(6.0, "retry", "me", "why", ("a",))])])
    assert status() == ("running", 6.0)
    journal.append([("one", 3, [StepStarted("a", 1, 7.0), ExecutionCompleted(8.0)])])
    assert status() == ("completed", 8.0)
    assert journal.counts() == {"completed": 1}


def test_a_glance_counts_the_outermost_and_names_those_that_have_not_ended(journal):
    assert (journal.glance().last, journal.glance().counts) == (0, {})
    family(journal)
    journal.append([("done", 0, [start("done"), ExecutionCompleted(2.0)])])
    journal.append([("bad", 0, [start("bad"), ExecutionStuck(3.0, ("a",))])])
    glance = journal.glance()
    assert glance.last == 6
    assert glance.counts == {"running": 1, "completed": 1, "stuck": 1}
    assert {number: row.id for number, row in glance.unended.items()} == {1: "e", 6: "bad"}


def test_news_tell_of_what_has_begun_and_of_what_had_not_ended(journal):
    journal.append([("one", 0, [start("one")]), ("two", 0, [start("two")])])
    known = journal.glance()
    assert journal.news(known.last, ()) == (2, [])
    journal.append([("one", 1, [ExecutionCompleted(4.0)])])
    journal.append([("three", 0, [start("three")])])
    above = ExecutionStarted("s", None, "f", "two/a", None, 1.0, ("two", "a"))
    journal.append([("two/a", 0, [above])])
    last, rows = journal.news(known.last, known.unended)
    assert last == 4
    assert {(number, row.id, row.status) for number, row in rows} == {
        (1, "one", "completed"),
        (2, "two", "running"),
        (3, "three", "running"),
    }
    assert journal.news(last, ()) == (4, [])


def test_unfinished_gives_the_running_executions_of_the_definitions_asked_for(journal):
    journal.append([("one", 0, [start("one")]), ("two", 0, [start("two", fingerprint="g")])])
    journal.append([("three", 0, [start("three"), ExecutionCompleted(2.0)])])
    assert [id for id, _ in journal.unfinished(["f"], 9.0)] == ["one"]
    assert [id for id, _ in journal.unfinished(["f", "g", "h"], 9.0)] == ["one", "two"]


def test_a_definition_is_kept_once(journal):
    journal.define("f", "s", "1", {"steps": {}})
    journal.define("f", "s", "1", {"steps": {}})
    assert journal.definition("f") == ("1", {"steps": {}})


def test_a_stranger_is_unknown(journal):
    with pytest.raises(UnknownExecutionError, match="'nobody'"):
        journal.read("nobody")


def test_many_threads_may_read_and_write_at_once(journal):
    def write(name):
        journal.append([(name, 0, [start(name)])])
        for seq in range(1, 20):
            journal.append([(name, seq, [StepStarted("a", seq, 1.0)])])
            assert len(journal.read(name)) == seq + 1
            journal.find(Filter(status="running", limit=3))

    threads = [threading.Thread(target=write, args=(f"t{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(journal.read(f"t{n}")) == 20 for n in range(6))


# -- waits, letters and requests ------------------------------------------------------------


def wait(journal, id, *waits, wake_at=None):
    began = WaitStarted("a", 2.0, "paid", None, wake_at)
    kept = tuple(Wait("paid", correlation, since) for correlation, since in waits)
    journal.append([(id, 0, [start(id), began])], {id: Rest(wake_at, True, kept)})


def found(journal, correlation):
    return [(since, id) for since, id, _ in journal.awaiting("paid", correlation)]


def test_who_has_waited_longest_is_found_first_and_who_waits_no_more_is_not(journal):
    for id, since in (("late", 9.0), ("first", 3.0), ("second", 5.0)):
        wait(journal, id, ("7", since), (id, since))
    assert found(journal, "7") == [(3.0, "first"), (5.0, "second"), (9.0, "late")]
    assert found(journal, "late") == [(9.0, "late")]
    assert list(journal.awaiting("other", "7")) == []
    letter = SignalReceived(10.0, "paid", "x", None, "7")
    journal.append([("first", 2, [letter])], {"first": Rest(None, False)})
    assert len(found(journal, "7")) == 3, "the waits were to stay as they were"
    journal.append([("first", 3, [ExecutionCompleted(11.0)])], {"first": Rest(None, False, ())})
    assert found(journal, "7") == [(5.0, "second"), (9.0, "late")]
    assert journal.counts() == {"completed": 1, "waiting": 2}


def test_waits_that_begin_and_end_leave_the_others_as_they_were(journal):
    wait(journal, "one", ("7", 3.0), ("8", 3.0))
    signal = SignalReceived(10.0, "paid", "x", None, "7")
    change = Rest(5.0, True, None, (Wait("paid", "9", 4.0),), (Wait("paid", "7", 3.0),))
    journal.append([("one", 2, [signal])], {"one": change})
    assert [found(journal, correlation) for correlation in "789"] == [
        [],
        [(3.0, "one")],
        [(4.0, "one")],
    ]
    left = (Wait("paid", "8", 3.0), Wait("paid", "9", 4.0))
    journal.append([], {"one": Rest(None, False, ended=left)})
    assert [row.status for row in journal.find()] == ["running"]
    assert not journal.waits()


def test_what_is_stuck_stays_so_whatever_it_waits_for_and_is_found_by_it(journal):
    wait(journal, "one", ("7", 3.0))
    journal.append([("one", 2, [ExecutionStuck(4.0, ("b",))])], {"one": Rest(None, False)})
    assert (journal.counts(), found(journal, "7")) == ({"stuck": 1}, [(3.0, "one")])
    signal = SignalReceived(10.0, "paid", "x", None, "7")
    journal.append([("one", 3, [signal])], {"one": Rest(None, False, ())})
    assert journal.counts() == {"stuck": 1}
    assert not journal.waits()


def family(journal):
    """An execution, two that do steps of it, and one that does a step of the first of them."""
    for id, parent in (("e", None), ("e/a", "e"), ("e/b", "e"), ("e/a/x", "e/a")):
        above = None if parent is None else (parent, id.rpartition("/")[2])
        began = ExecutionStarted("s", None, "f", id, None, 1.0, above)
        journal.append([(id, 0, [began])])


def test_an_execution_waits_and_goes_on_because_of_what_others_do(journal):
    family(journal)
    waits = {"e/a/x": Rest(9.0), "e/a": Rest(None), "e": Rest(20.0)}
    journal.append([("e/a/x", 1, [WaitStarted("a", 2.0, None, None, 9.0)])], waits)
    assert journal.counts() == {"waiting": 3, "running": 1}
    assert dict(journal.sleeping(["f"])) == {"e": 20.0, "e/a": None, "e/a/x": 9.0}
    goes_on = {"e/a/x": None, "e/a": Rest(None, False), "e": Rest(None, False)}
    journal.append([("e/a/x", 2, [StepSucceeded("a", 1, 9.0)])], goes_on)
    assert journal.counts() == {"running": 4}
    assert [id for id, _ in journal.unfinished(["f"], 0.0)] == ["e", "e/a", "e/b", "e/a/x"]


def test_a_family_is_found_from_either_end(journal):
    family(journal)
    journal.append([], {"e/a": Rest(5.0), "e/a/x": Rest(None)})
    assert [journal.parent(id) for id in ("e", "e/b", "e/a/x")] == [None, "e", "e/a"]
    with pytest.raises(UnknownExecutionError):
        journal.parent("nobody")
    everybody = ["e", "e/a", "e/b", "e/a/x", "nobody"]
    assert journal.asleep("e", everybody) == {"e/a": 5.0}
    assert journal.asleep("e/a", everybody) == {"e/a/x": None}
    read = dict(journal.several(["e/a", "nobody", "e"]))
    assert read == {id: journal.read(id) for id in ("e", "e/a")}


def test_only_who_still_waits_and_is_to_wake_by_then_is_due(journal):
    for number in range(4):
        wait(journal, f"e{number}", wake_at=float(number) if number else None)
    ids = [f"e{number}" for number in range(4)] + ["nobody"]
    assert [id for id, _ in journal.due(ids, 2.0)] == ["e1", "e2"]
    (read,) = (events for id, events in journal.due(["e1"], 2.0))
    assert read == journal.read("e1")
    journal.append([("e1", 2, [ExecutionCompleted(3.0)])], {"e1": None})
    assert [id for id, _ in journal.due(ids, 2.0)] == ["e2"]
    assert dict(journal.sleeping(["f"])) == {"e0": None, "e2": 2.0, "e3": 3.0}
    assert journal.sleeping(["g"]) == []
    assert [id for id, _ in journal.unfinished(["f"], 2.0)] == ["e2"]
    assert journal.waits()


def test_a_letter_is_kept_once_until_it_is_taken_or_expires(journal):
    letters = [Letter("paid", "7", f"l{at}", float(at), 100.0 + at, {"n": at}) for at in (2, 1)]
    for letter in (*letters, letters[0]):
        assert journal.keep(letter) == letter
    changed = Letter("paid", "8", "l2", 3.0, 200.0, {"n": 3}, "ann")
    assert journal.keep(changed) == letters[0], "an id stands for one letter"
    assert journal.letters("paid", "7", 50.0) == [letters[1], letters[0]]
    assert journal.letters("paid", "8", 50.0) == []
    assert journal.letters("paid", "7", 101.0) == [letters[0]]
    wait(journal, "one", ("7", 3.0))
    assert [id for id, _ in journal.unfinished(["f"], 0.0)] == ["one"]
    taken = SignalReceived(4.0, "paid", "l2", {"n": 2}, "7", chosen=True)
    assert journal.taken("l2") is None
    journal.append([("one", 2, [taken])], {"one": Rest(None, False, ())})
    assert journal.taken("l2") == "one"
    assert journal.letters("paid", "7", 50.0) == [letters[1]]
    assert journal.expire(101.0) == 102.0
    assert journal.expire(102.0) is None
    assert journal.keep(changed) == changed, "it was remembered for ever"
    assert journal.taken("l2") == "one", "it is known as long as the execution is"


def test_only_ids_that_senders_chose_are_remembered(journal):
    for id in ("one", "two"):
        journal.append([(id, 0, [start(id), SignalReceived(2.0, "paid", "scenario-0")])])
    assert journal.taken("scenario-0") is None


def test_a_request_of_another_process_is_noticed_and_its_outcome_is_noted_once(path):
    journal = SqliteJournal(path)
    assert journal.posted() == []
    journal.append([("one", 0, [start("one")])])
    assert journal.posted() == []
    items = [Post("p1", "paid", {"n": 1}, to="one"), Post("p2", to="one", by="ann", why="x")]
    for item in (*items, items[0]):
        mail.post(path, item)
    assert journal.posted() == items
    assert journal.posted() == [], "nothing is new"
    assert mail.outcome(path, "p1") == (None, None)
    journal.append([("one", 1, [SignalReceived(2.0, "paid", "p1", {"n": 1})])])
    journal.settle("p1", "refused", None)
    assert mail.outcome(path, "p1") == ("delivered", "one")
    journal.append([("one", 2, [CancellationRequested(2.0, "ann", "x")])])
    assert mail.outcome(path, "p2") == ("delivered", "one")
    mail.post(path, Post("p3", "paid", to="two"))
    assert [item.id for item in journal.posted()] == ["p3"]
    journal.settle("p3", "refused: nobody", None)
    assert mail.outcome(path, "p3") == ("refused: nobody", None)
    journal.expire(1e12)
    assert mail.outcome(path, "p3") == (None, None)
    journal.close()


def test_plain_executions_write_nothing_about_waits(path, monkeypatch):
    with Engine(path) as engine:
        said = []
        engine.journal._writer.set_trace_callback(said.append)
        engine.run(SAGA, id="one")
        engine.journal._writer.set_trace_callback(None)
    told = " ".join(said)
    assert "INSERT INTO events" in told
    for table in ("waits", "mailbox", "inbox"):
        assert table not in told
    assert told.count("UPDATE executions") == 1, "its row is written when it starts and ends"


# -- the file -------------------------------------------------------------------------------


def test_the_file_waits_for_the_disk_at_every_commit(path):
    journal = SqliteJournal(path)
    assert journal._writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert journal._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    journal.close()
    with contextlib.closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert file.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_a_file_of_an_older_format_is_brought_forward(path, monkeypatch):
    with Engine(path) as engine:
        engine.run(SAGA, id="one")
    added = (*MIGRATIONS, "CREATE TABLE extra (x); INSERT INTO extra VALUES (7);")
    monkeypatch.setattr("sagakit.journal.sqlite.MIGRATIONS", added)
    with Engine(path) as engine:
        assert engine.status("one").status == "completed"
        assert engine.journal._writer.execute("SELECT x FROM extra").fetchone() == (7,)
    monkeypatch.undo()
    with pytest.raises(JournalError, match=r"format 2, written by a newer sagakit.*upgrade"):
        Engine(path)


def run_two(path):
    with Engine(path) as engine:
        engine.run(SAGA, id="one")
        engine.run(SAGA, id="two")


def fill(engine, big):
    for number in range(50):
        engine.run(SAGA, big, id=f"big-{number}")


def test_a_full_disk_is_named_and_what_was_journalled_can_be_recovered(path):
    run_two(path)
    with Engine(path) as engine:
        journal = engine.journal
        pages = journal._writer.execute("PRAGMA page_count").fetchone()[0]
        journal._writer.execute(f"PRAGMA max_page_count={pages}")
        big = {"text": "x" * 20_000}
        with pytest.raises(JournalFullError, match=r"disk is full.*Free some space"):
            fill(engine, big)
        assert engine.status("one").status == "completed"
        unfinished = [row.id for row in engine.list(status="running")]
        journal._writer.execute("PRAGMA max_page_count=100000")
        assert [e.id for e in engine.recover(SAGA)] == unfinished
        assert engine.run(SAGA, big, id="after").status == "completed"
    journal = SqliteJournal(path, read_only=True)
    assert journal.verify() == []
    journal.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX rights")
def test_a_file_that_only_others_may_write_is_named(tmp_path):
    run_two(tmp_path / "journal.db")
    (tmp_path / "journal.db.lock").unlink(missing_ok=True)
    (tmp_path / "journal.db").chmod(0o444)
    tmp_path.chmod(0o555)
    for above in tmp_path.parents[:2]:
        above.chmod(0o755)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        if os.geteuid() == 0:
            os.setuid(65534)  # root may write anywhere: ask as nobody
        try:
            Engine(tmp_path / "journal.db")
        except JournalReadOnlyError as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    tmp_path.chmod(0o755)
    assert "journal.db" in said
    assert "cannot" in said


def test_a_file_that_may_not_be_written_is_named_and_can_be_read(path, monkeypatch):
    run_two(path)
    monkeypatch.setattr(
        "sagakit.journal.sqlite.os.access", lambda at, mode: not (mode & os.W_OK and at == path)
    )
    with pytest.raises(JournalReadOnlyError, match=r"journal\.db' cannot be written"):
        Engine(path)
    journal = SqliteJournal(path, read_only=True)
    assert len(journal.find()) == 2
    journal.close()


def test_a_locked_file_is_named_and_nothing_is_lost(path):
    run_two(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with Engine(path) as engine:
            engine.journal._writer.execute("PRAGMA busy_timeout=50")
            with pytest.raises(JournalBusyError, match="locked by another program"):
                engine.run(SAGA, id="three")
            other.execute("ROLLBACK")
            assert engine.run(SAGA, id="three").status == "completed"


def test_a_truncated_file_is_named_before_anything_is_written(path):
    run_two(path)
    whole = path.read_bytes()
    for size in (len(whole) // 2, len(whole) - 1, 100, 50):
        path.write_bytes(whole[:size])
        with pytest.raises(JournalCorruptError, match=r"truncated|not a sagakit journal"):
            Engine(path)
        assert path.read_bytes() == whole[:size]
    path.write_bytes(whole)
    with Engine(path) as engine:
        assert engine.status("two").status == "completed"


@pytest.mark.parametrize("content", [b"hello", b"PK\x03\x04" * 100, b"\0" * 5000])
def test_a_foreign_file_is_named_and_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(JournalCorruptError, match="not a sagakit journal"):
        Engine(path)
    assert path.read_bytes() == content


def test_somebody_elses_sqlite_file_is_named_and_left_alone(path):
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE executions (mine)")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(JournalCorruptError, match="an SQLite file but not a sagakit journal"):
        Engine(path)
    assert path.read_bytes() == before


def read_all(path):
    with Engine(path) as engine:
        for number in range(200):
            engine.status(f"e{number}")


def test_a_damaged_page_is_named(path):
    with Engine(path) as engine:
        for number in range(200):
            engine.run(SAGA, {"n": number}, id=f"e{number}")
    content = bytearray(path.read_bytes())
    for offset in range(4096 * 2, len(content), 4096):
        content[offset : offset + 200] = b"\xff" * 200
    path.write_bytes(bytes(content))
    with pytest.raises(JournalError, match="damaged"):
        read_all(path)


def test_an_event_that_is_missing_or_unreadable_is_named(path):
    run_two(path)
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("DELETE FROM events WHERE execution = 1 AND seq = 2")
        file.execute(
            'UPDATE events SET body = \'{"type":"Nonsense"}\' WHERE execution = 2 AND seq = 1'
        )
        file.commit()
    with Engine(path) as engine:
        with pytest.raises(JournalCorruptError, match="'one' lacks event 2"):
            engine.status("one")
        with pytest.raises(JournalCorruptError, match="'two', event 1"):
            engine.status("two")


def test_a_folder_and_a_missing_folder_are_named(tmp_path):
    with pytest.raises(JournalError, match="is a folder"):
        Engine(tmp_path)
    with pytest.raises(JournalError, match="does not exist; make it"):
        Engine(tmp_path / "no" / "journal.db")
    assert list(tmp_path.glob("no*")) == []


def test_reading_what_does_not_exist_makes_no_file(path):
    with pytest.raises(JournalError, match="does not exist"):
        SqliteJournal(path, read_only=True)
    assert not path.exists()


def test_a_reader_cannot_write(path):
    run_two(path)
    reader = SqliteJournal(path, read_only=True)
    with pytest.raises(JournalError, match="opened for reading"):
        reader.append([("x", 0, [start("x")])])
    reader.close()
    with pytest.raises(JournalError, match="closed"):
        reader.find()


def test_a_result_is_stored_as_plain_json_that_other_programs_can_read(path):
    def give():
        return {"paid": 42}

    with Engine(path) as engine:
        engine.run(Saga("s", step(give)), id="one")
    with contextlib.closing(sqlite3.connect(path)) as file:
        row = file.execute(
            "SELECT json_extract(body, '$.result.paid') FROM events"
            " WHERE json_extract(body, '$.type') = 'StepSucceeded'"
        ).fetchone()
    assert row == (42,)


def test_the_last_event_may_be_read_by_its_type(journal):
    journal.append([("one", 0, [start("one"), StepSucceeded("a", 1, 2.0, {"a": [1, None]})])])
    assert journal.read("one")[1].result == {"a": [1, None]}


def test_an_execution_that_outgrows_its_numbers_is_refused_and_harms_no_other(path):
    journal = SqliteJournal(path)
    journal.append([("one", 0, [start("one")]), ("two", 0, [start("two")])])
    with pytest.raises(JournalError, match=r"'one' has more events .* 16,777,216"):
        journal.append([("one", 2**24, [StepStarted("a", 1, 2.0)])])
    assert journal.read("two") == [start("two")]
    journal.append([("one", 2**24 - 1, [StepStarted("a", 1, 2.0)])])
    journal.append([])
    journal.close()
