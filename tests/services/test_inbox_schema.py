"""A database made by an earlier version keeps working, and its answers stand."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from till import ACTION, LIMIT, Till

from sagakit.errors import TerminalError

# As SQLAlchemy made it before holds; {"n":5} is the request of Till.charge.
EARLIER = """
CREATE TABLE sagakit_inbox (
    step_key VARCHAR(500) NOT NULL,
    state VARCHAR(8) NOT NULL,
    request VARCHAR(64),
    reply TEXT,
    undo_reply TEXT,
    PRIMARY KEY (step_key)
);
CREATE TABLE effects (id INTEGER NOT NULL, n INTEGER, PRIMARY KEY (id));
INSERT INTO effects VALUES (1, 5);
INSERT INTO sagakit_inbox VALUES
    ('order-7/charge', 'done', '11d0a8967009cbcdf468f09e5b09e73e7119b528c35a0e0b23f2ae052786b8fa',
     '{"charged":5}', NULL),
    ('order-8/charge', 'fenced', NULL, NULL, NULL);
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "till.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(EARLIER)
    connection.close()
    return path


def test_the_answers_of_an_earlier_version_stand(path):
    till = Till(path)
    assert till.charge() == {"charged": 5}
    assert till.rows() == [5]
    with pytest.raises(TerminalError, match="was fenced before it came"):
        till.charge(key="order-8/charge/action")
    assert till.refund() == {"refunded": 5}
    assert till.rows() == [5, -5]
    till.engine.dispose()


def test_an_earlier_database_learns_to_hold_and_to_expire(path):
    till = Till(path)
    till.reserve(9, "order-9/charge/action")
    till.time = LIMIT
    assert till.participant.sweep() == 1
    assert till.states() == ["done", "fenced", "expired"]
    till.engine.dispose()


def schema(path):
    with sqlite3.connect(path) as connection:
        columns = connection.execute("SELECT name, type FROM pragma_table_info('sagakit_inbox')")
        indexes = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'index'")
        found = columns.fetchall(), indexes.fetchall()
    connection.close()
    return found


def test_an_earlier_table_becomes_what_a_new_one_is_and_stays_so(path, tmp_path):
    for _ in range(2):
        Till(path).engine.dispose()
    Till(tmp_path / "new.db").engine.dispose()
    assert schema(path) == schema(tmp_path / "new.db")


def test_services_that_start_at_once_bring_it_up_to_date_once(path):
    with ThreadPoolExecutor(8) as pool:
        tills = list(pool.map(lambda _: Till(path), range(8)))
    assert [till.participant.outcome(ACTION).result for till in tills] == [{"charged": 5}] * 8
    for till in tills:
        till.engine.dispose()


def test_a_sweep_reads_the_index_of_what_may_expire(path):
    till = Till(path)
    query = "EXPLAIN QUERY PLAN SELECT step_key FROM sagakit_inbox WHERE expires_at <= 7"
    with till.engine.begin() as connection:
        plan = str(connection.execute(text(query)).all())
    assert "USING INDEX sagakit_inbox_expiry" in plan
    till.engine.dispose()
