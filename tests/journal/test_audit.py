"""Whatever is done to a journal's log behind its back is found, and the first record is named."""

from __future__ import annotations

import json
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagakit import Engine, Retry, Saga, TerminalError, await_event, pivot, step, sub_saga
from sagakit.errors import JournalError, JournalFullError, JournalKeyError, UnknownExecutionError
from sagakit.events import StepSucceeded
from sagakit.journal.audit import Head, trail, verify
from sagakit.journal.base import Filter
from sagakit.journal.chain import START, VARIABLE, mark, secret
from sagakit.journal.memory import MemoryJournal
from sagakit.journal.sqlite import SqliteJournal
from sagakit.journal.summary import Summary, summarise


def act():
    pass


def refuse():
    raise TerminalError("no")


GOOD = Saga("good", step(act, act, name="a"), step(act, act, name="b"))
REFUSED = Saga("refused", step(act, act, name="a"), step(refuse, name="b"))
STUCK = Saga("stuck", pivot(act, name="p"), step(refuse, name="late"))
WAITS = Saga("waits", await_event("go"), step(act, name="a"))
OUTER = Saga("outer", sub_saga(GOOD, name="inner"), step(refuse, name="no"))


@pytest.fixture
def path(tmp_path):
    """A journal with a bit of everything."""
    path = tmp_path / "journal.db"
    with Engine(path) as engine:
        engine.run(GOOD, id="g1")
        engine.run(REFUSED, id="r")
        engine.run(STUCK, id="s")
        engine.run(OUTER, id="o")
        engine.run(WAITS, id="w", until_rest=True)
        engine.run(WAITS, id="w2", until_rest=True)
        engine.signal("go", to="w2", by="the courier")
        engine.resolve("s", "skip", by="ann", why="by hand")
        engine.cancel("w", by="bob", why="too late")
        engine.run(GOOD, id="g2")
    return path


def change(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(*statement) if isinstance(statement, tuple) else connection.execute(
            statement
        )
    connection.commit()
    connection.close()


def look(path, query, *values):
    connection = sqlite3.connect(path)
    found = connection.execute(query, values).fetchall()
    connection.close()
    return found


def place(path, execution, seq):
    """The ord and key of an event."""
    ((ord, key),) = look(
        path,
        "SELECT events.ord, key FROM events JOIN executions ON no = execution"
        " WHERE id = ? AND seq = ?",
        execution,
        seq,
    )
    return ord, key


def found(path, **options):
    verdict = verify(path, **options)
    assert not verdict.sound
    return verdict.finding


def test_a_journal_is_sound_and_says_how_far_it_goes(path):
    verdict = verify(path)
    ((count,),) = look(path, "SELECT count(*) FROM events")
    assert verdict.sound
    assert (verdict.records, verdict.executions, verdict.keyed) == (count, 8, False)
    assert verdict.head.ord == count
    assert Head.parse(str(verdict.head)) == verdict.head
    assert verify(path, head=verdict.head).sound


def test_a_changed_event_is_found_and_named(path):
    ord, key = place(path, "r", 3)
    ((body,),) = look(path, "SELECT body FROM events WHERE key = ?", key)
    told = json.loads(body)
    change(path, ("UPDATE events SET body = ? WHERE key = ?", (json.dumps({**told, "at": 1}), key)))
    finding = found(path)
    assert (finding.record, finding.execution, finding.event) == (ord, "r", 3)
    assert (finding.type, finding.problem[:14]) == (told["type"], "it was changed")


@pytest.mark.parametrize("seq", [0, 3])
def test_a_removed_event_is_found_and_named(path, seq):
    ord, key = place(path, "r", seq)
    change(path, f"DELETE FROM events WHERE key = {key}")
    finding = found(path)
    assert (finding.record, finding.execution, finding.event) == (ord, "r", seq)
    assert finding.problem == "it was removed"


def test_a_removed_event_whose_gap_was_closed_is_found(path):
    ord, key = place(path, "r", 3)
    change(
        path,
        f"DELETE FROM events WHERE key = {key}",
        f"UPDATE events SET ord = ord - 1 WHERE ord > {ord}",
    )
    assert found(path).record == ord


def test_swapped_events_are_found(path):
    (first, a), (_, b) = place(path, "g1", 1), place(path, "g1", 2)
    bodies = dict(look(path, f"SELECT key, body FROM events WHERE key IN ({a}, {b})"))
    for key, other in ((a, b), (b, a)):
        change(path, ("UPDATE events SET body = ? WHERE key = ?", (bodies[other], key)))
    assert found(path).record == first


def test_reordered_records_are_found(path):
    (first, a), (second, b) = place(path, "g1", 1), place(path, "g1", 2)
    change(
        path,
        f"UPDATE events SET ord = {second} WHERE key = {a}",
        f"UPDATE events SET ord = {first} WHERE key = {b}",
    )
    assert found(path).record == first


def test_an_event_put_in_is_found(path):
    ord, key = place(path, "g1", 2)
    last = look(path, "SELECT max(key) FROM events WHERE key < ?", (1 << 24) * 2)[0][0]
    ((body,),) = look(path, "SELECT body FROM events WHERE key = ?", key)
    change(path, ("INSERT INTO events VALUES (?, ?, ?, ?)", (last + 1, body, ord, bytes(16))))
    assert found(path).record in (ord, ord + 1)


def test_a_removed_execution_is_found(path):
    number = look(path, "SELECT no FROM executions WHERE id = 'r'")[0][0]
    ord, _ = place(path, "r", 0)
    change(
        path,
        f"DELETE FROM events WHERE key >> 24 = {number}",
        f"DELETE FROM executions WHERE no = {number}",
    )
    assert found(path).record == ord


def test_a_log_that_was_cut_off_is_found(path):
    last = verify(path).records
    change(path, f"DELETE FROM events WHERE ord > {last - 3}")
    finding = found(path)
    assert finding.record == last - 2
    assert finding.problem == f"it was removed, and all after it, up to {last}"


def test_a_log_cut_off_with_its_seals_is_found_by_a_head_that_was_noted(path):
    head = verify(path).head
    number = look(path, "SELECT no FROM executions WHERE id = 'g2'")[0][0]
    ord, _ = place(path, "g2", 0)
    ((before,),) = look(path, f"SELECT mark FROM events WHERE ord = {ord - 1}")
    change(
        path,
        f"DELETE FROM events WHERE key >> 24 = {number}",
        f"DELETE FROM executions WHERE no = {number}",
        ("UPDATE seal SET ord = ?, mark = ?", (ord - 1, before)),
    )
    assert verify(path).sound, "nothing in the file says that there was more"
    assert found(path, head=head).record == ord


def forge(path, key=b""):
    """Change an event and compute every later mark anew."""
    ord, number = place(path, "r", 0)
    body = look(path, f"SELECT body FROM events WHERE key = {number}")[0][0]
    changed = body.replace(b'"input":null', b'"input":1')
    change(path, ("UPDATE events SET body = ? WHERE key = ?", (changed, number)))
    last = look(path, f"SELECT mark FROM events WHERE ord = {ord - 1}")[0][0] if ord > 1 else START
    for record, body in look(path, f"SELECT key, body FROM events WHERE ord >= {ord} ORDER BY ord"):
        last = mark(last, key, record, body)
        change(path, ("UPDATE events SET mark = ? WHERE key = ?", (last, record)))


def test_a_log_computed_anew_disagrees_with_the_seals_beside_it(path):
    ord, _ = place(path, "r", 0)
    forge(path)
    finding = found(path)
    assert finding.record >= ord
    assert "notes another mark" in finding.problem


def test_with_a_key_nobody_can_compute_the_log_anew(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "a long random key")
    path = tmp_path / "keyed.db"
    with Engine(path) as engine:
        engine.run(REFUSED, id="r")
    assert verify(path).keyed
    ord, _ = place(path, "r", 0)
    forge(path)
    assert found(path).record == ord
    assert b"a long random key" not in path.read_bytes()


@pytest.mark.parametrize(("begun", "now"), [("k", None), ("k", "other"), (None, "k")])
def test_another_key_is_refused_and_the_cure_named(tmp_path, monkeypatch, begun, now):
    def put(key):
        monkeypatch.delenv(VARIABLE, raising=False)
        if key is not None:
            monkeypatch.setenv(VARIABLE, key)

    path = tmp_path / "keyed.db"
    put(begun)
    Engine(path).close()
    put(now)
    for use in (Engine, verify):
        with pytest.raises(JournalKeyError, match=VARIABLE):
            use(path)
    put(begun)
    assert verify(path).sound


def test_a_key_has_a_greatest_length(monkeypatch):
    monkeypatch.setenv(VARIABLE, "x" * 65)
    with pytest.raises(JournalError, match="at most 64"):
        secret()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE executions SET status = 'completed' WHERE id = 'r'", "status 'completed'"),
        ("UPDATE executions SET failed_step = NULL WHERE id = 'r'", "failed_step None"),
        ("UPDATE executions SET started_at = 1 WHERE id = 'r'", "started_at 1.0"),
        ("UPDATE executions SET retries = 7 WHERE id = 'r'", "retries 7"),
        ("UPDATE definitions SET shape = '{\"steps\":{}}' WHERE saga = 'good'", "saga 'good' was"),
    ],
)
def test_what_is_kept_beside_the_log_must_agree_with_it(path, statement, said):
    change(path, statement)
    assert said in str(found(path))


@pytest.mark.parametrize("text", ["", "3", "3:", "x:" + "0" * 32, "3:" + "G" * 32])
def test_what_is_no_head_is_refused(text):
    with pytest.raises(JournalError, match="is no head"):
        Head.parse(text)


def test_a_journal_in_use_is_verified_as_it_is(tmp_path):
    path = tmp_path / "journal.db"
    with Engine(path) as engine:
        engine.run(GOOD, id="one")
        assert verify(path).sound
        futures = [engine.start(GOOD) for _ in range(40)]  # commits of several executions
        assert verify(path).sound
        for future in futures:
            future.result()
    assert verify(path).executions == 41


def test_a_journal_goes_on_after_it_was_closed_or_left(path):
    for drain in (True, False):
        engine = Engine(path)
        engine.run(GOOD)
        engine.start(WAITS)
        engine.close(drain=drain)
        assert verify(path).sound


def test_a_commit_that_fails_breaks_no_seal(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.db")
    events = summary_events("good")
    journal.append([("one", 0, events[:2])])
    pages = journal._writer.execute("PRAGMA page_count").fetchone()[0]
    journal._writer.execute(f"PRAGMA max_page_count = {pages}")
    huge = StepSucceeded("a", 1, 1.0, "x" * 100_000)
    for _ in range(2):
        with pytest.raises(JournalFullError):
            journal.append([("one", 2, [huge])])
    journal._writer.execute("PRAGMA max_page_count = 100000")
    journal.append([("one", 2, events[2:])])
    journal.close()
    assert verify(tmp_path / "journal.db").sound
    assert verify(tmp_path / "journal.db").records == len(events)


def summary_events(name):
    with Engine() as engine:
        return list(engine.run({"good": GOOD, "refused": REFUSED}[name]).events)


# -- the read side --------------------------------------------------------------------------


@pytest.mark.parametrize("journal", [MemoryJournal, SqliteJournal])
def test_the_listing_is_what_folding_the_events_anew_gives(journal, tmp_path):
    made = journal(tmp_path / "j.db") if journal is SqliteJournal else journal()
    with Engine(made) as engine:
        engine.run(GOOD)
        engine.run(REFUSED)
        engine.run(OUTER)
        stuck = engine.run(STUCK)
        engine.resolve(stuck.id, "skip", by="ann", why="x")
        for row in engine.list():
            folded = summarise(engine.journal.read(row.id))
            assert folded == Summary(*(getattr(row, n) for n in Summary.__struct_fields__))
        outer = next(row for row in engine.list() if row.saga == "outer")
        assert (outer.status, outer.failed_step, outer.error) == (
            "compensated",
            "no",
            "TerminalError",
        )
        assert (outer.attempts, outer.compensated) == (3, 1)
        inner = next(row for row in engine.list() if row.parent == outer.id)
        assert (inner.status, inner.compensated) == ("compensated", 2)


_ACTS = st.lists(
    st.sampled_from(["good", "refused", "stuck", "wait", "signal", "skip", "cancel", "leave"]),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(_ACTS)
def test_whatever_happens_the_log_verifies_and_the_listing_agrees(tmp_path_factory, acts):
    path = tmp_path_factory.mktemp("audit") / "journal.db"
    sagas = [GOOD, REFUSED, STUCK, WAITS]
    engine = Engine(path, sagas=sagas)
    try:
        for what in acts:
            match what:
                case "good" | "refused" | "stuck":
                    engine.run({"good": GOOD, "refused": REFUSED, "stuck": STUCK}[what])
                case "wait":
                    engine.run(WAITS, until_rest=True)
                case "leave":
                    engine.start(GOOD)
                    engine.close(drain=False)
                    engine = Engine(path, sagas=sagas)
                    engine.recover()
                case _:
                    status = "stuck" if what == "skip" else "waiting"
                    for row in engine.list(status=status, limit=1):
                        if what == "skip":
                            engine.resolve(row.id, "skip", by="a", why="b")
                        elif what == "signal":
                            engine.signal("go", to=row.id)
                        else:
                            engine.cancel(row.id, by="a", why="b")
    finally:
        engine.close()
    assert verify(path).finding is None


def test_an_execution_under_way_is_listed_as_it_is_now(tmp_path):
    journal = SqliteJournal(tmp_path / "j.db")
    events = summary_events("refused")
    cut = next(n for n, event in enumerate(events) if type(event).__name__ == "StepFailed") + 1
    journal.append([("one", 0, events[:2])])
    journal.append([("one", 2, events[2:cut])])
    (row,) = journal.find()
    assert (row.status, row.failed_step, row.attempts) == ("running", "b", 2)
    assert journal.find(Filter(failed_step="b", limit=1)) == [row]
    assert journal.find(Filter(failed_step="a")) == []
    journal.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_filters(tmp_path, kind):
    with Engine(tmp_path / "j.db" if kind == "sqlite" else None) as engine:
        for saga, id in ((GOOD, "g"), (REFUSED, "r"), (OUTER, "o")):
            engine.run(saga, id=id)

        def ids(**wanted):
            return [row.id for row in engine.list(**wanted)]

        assert ids() == ["g", "r", "o", "o/inner"]
        assert ids(newest=True, limit=2) == ["o/inner", "o"]
        assert ids(outermost=True) == ["g", "r", "o"]
        assert ids(failed_step="no") == ["o"]
        assert ids(status="compensated", saga="good") == ["o/inner"]
        began = engine.status("r").started_at
        assert ids(since=began) == ["r", "o", "o/inner"]
        assert ids(until=began) == ["g"]
        frame = engine.frame(outermost=True)
        assert frame["id"].tolist() == ["g", "r", "o"]
        assert str(frame["started_at"].dtype) == "datetime64[ns, UTC]"
        empty = engine.frame(saga="none")
        assert list(empty.columns) == list(frame.columns)
        assert [str(kind) for kind in empty.dtypes] == [str(kind) for kind in frame.dtypes]


# -- the trail ------------------------------------------------------------------------------


def test_the_trail_tells_who_did_what_when_and_why(path):
    acts = list(trail(path, by_hand=True))
    assert [(act.event, act.execution, act.by, act.why) for act in acts] == [
        ("SignalReceived", "w2", "the courier", ""),
        ("ExecutionResolved", "s", "ann", "by hand"),
        ("CancellationRequested", "w", "bob", "too late"),
    ]
    assert acts[1].step == "late"
    whole = list(trail(path))
    assert [act.record for act in whole] == list(range(1, verify(path).records + 1))
    refused = [act for act in whole if act.event == "StepFailed"]
    assert {act.detail for act in refused} == {"TerminalError: no"}
    assert {act.execution for act in trail(path, execution="r")} == {"r"}
    with pytest.raises(UnknownExecutionError):
        list(trail(path, execution="nobody"))


def test_retries_are_counted(tmp_path):
    tries = []

    def shaky():
        tries.append(1)
        if len(tries) < 3:
            raise ValueError

    saga = Saga("s", step(shaky, act, retry=Retry(5, wait=0.001)))
    with Engine(tmp_path / "j.db") as engine:
        engine.run(saga)
        (row,) = engine.list()
    assert (row.status, row.attempts, row.retries, row.failed_step) == ("completed", 3, 2, None)
    assert row.duration > 0.002
