"""SQL statements as actions: done once, undone once, refused when late; in two databases."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from databases import DATABASE

from sagakit import (
    DefinitionError,
    Execution,
    Retry,
    Saga,
    Scenario,
    TerminalError,
    run,
    simulate,
    step,
)
from sagakit.connectors import Http, Secret, Sql
from sagakit.events import StepAttemptFailed, StepFailed, StepInDoubt

sqlalchemy = pytest.importorskip("sqlalchemy")

URL = Secret(DATABASE)


def free(database: Any) -> int:
    with database.connect() as connection:
        return int(connection.exec_driver_sql("SELECT free FROM stock").scalar_one())


TAKE = Sql(
    URL,
    "UPDATE stock SET free = free - :n WHERE sku = :sku AND free >= :n",
    {"sku": "${input.sku}", "n": "${input.n}"},
    expect=1,
    result="{'taken': input.n, 'rows': response.count}",
)
GIVE = Sql(
    URL,
    "UPDATE stock SET free = free + :n WHERE sku = :sku",
    {"sku": "${input.sku}", "n": "${result.taken}"},
)
ASK = Sql(URL)
ORDER = {"sku": "a", "n": 3}


def no(ctx: Any) -> None:
    raise TerminalError("no")


def test_a_statement_is_done_and_undone(database: Any) -> None:
    take = step(TAKE, GIVE, name="take")
    execution = run(Saga("s", take), ORDER)
    assert execution.results == {"take": {"taken": 3, "rows": 1}}
    assert free(database) == 7
    assert run(Saga("s", take, step(no)), ORDER).status == "compensated"
    assert free(database) == 7


def test_a_repeat_after_a_lost_reply_does_it_once_and_has_the_same_answer(database: Any) -> None:
    saga = Saga("s", step(TAKE, GIVE, name="take", retry=Retry(attempts=3)))
    lost = Scenario().lose_reply("take", 1)
    execution = run(saga, ORDER, scenario=lost)
    assert execution.results == {"take": {"taken": 3, "rows": 1}}
    assert any(isinstance(event, StepAttemptFailed) for event in execution.events)
    assert free(database) == 7


def test_a_compensation_undoes_what_was_done_though_its_reply_was_lost(database: Any) -> None:
    """``result`` is what the inbox has, since the execution never learned it."""
    saga = Saga("s", step(TAKE, GIVE, name="take"))
    execution = run(saga, ORDER, scenario=Scenario().lose_reply("take"))
    assert execution.status == "compensated"
    assert free(database) == 10


def test_a_compensation_without_an_action_undoes_nothing_and_the_late_action_is_refused(
    database: Any,
) -> None:
    saga = Saga("s", step(TAKE, GIVE, name="take"))
    execution = run(saga, ORDER, scenario=Scenario().deliver_late("take"))
    assert execution.status == "compensated"
    assert free(database) == 10


@pytest.mark.parametrize("lost", ["reply", "request"])
def test_the_inbox_answers_a_reconcile(database: Any, lost: str) -> None:
    saga = Saga("s", step(TAKE, GIVE, name="take", reconcile=ASK))
    faults = Scenario()
    scenario = faults.lose_reply("take") if lost == "reply" else faults.deliver_late("take")
    execution = run(saga, ORDER, scenario=scenario)
    if lost == "reply":
        assert execution.results == {"take": {"taken": 3, "rows": 1}}
        assert free(database) == 7
    else:
        assert execution.status == "compensated"
        assert free(database) == 10


def failure(execution: Execution) -> Any:
    kinds = StepFailed | StepInDoubt | StepAttemptFailed
    return next(event for event in execution.events if isinstance(event, kinds))


def test_another_number_of_rows_is_a_refusal_and_rolled_back(database: Any) -> None:
    failed = failure(run(Saga("s", step(TAKE, GIVE, name="take")), {"sku": "a", "n": 11}))
    assert failed.terminal
    assert failed.error.message == ("step 'take': its statement found 0 rows, and its expect is 1")
    both = Sql(URL, "INSERT INTO booking VALUES ('x', 1), ('y', 2)", expect=1)
    run(Saga("s", step(both, name="book")))
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM booking").scalar_one() == 0


def test_a_refusal_is_the_answer_for_ever(database: Any) -> None:
    """A copy of the request that was late on its way must have no effect afterwards."""
    saga = Saga("s", step(TAKE, GIVE, name="take"))
    run(saga, {"sku": "b", "n": 1}, id="x")
    with database.begin() as connection:
        connection.exec_driver_sql("INSERT INTO stock VALUES ('b', 5)")
    execution = run(saga, {"sku": "b", "n": 1}, id="x")  # another engine, the same key
    assert failure(execution).terminal


def test_a_constraint_that_refuses_is_terminal(database: Any) -> None:
    action = Sql(URL, "INSERT INTO stock VALUES (:sku, 1)", {"sku": "${input.sku}"})
    failed = failure(run(Saga("s", step(action, name="add", retry=Retry(attempts=2))), ORDER))
    assert failed.terminal
    assert "IntegrityError" in failed.error.message or "Unique" in failed.error.message


def test_values_are_bound_and_never_part_of_the_statement(database: Any) -> None:
    evil = "a'; DROP TABLE stock; --"
    action = Sql(URL, "SELECT free FROM stock WHERE sku = :sku", {"sku": "${input.sku}"})
    execution = run(Saga("s", step(action, name="look")), {"sku": evil, "n": 1})
    assert execution.results == {"look": []}
    assert free(database) == 10


def test_a_select_gives_rows_as_plain_data_and_leaves_no_trace(database: Any) -> None:
    action = Sql(URL, "SELECT sku, free, 1.5 AS price FROM stock", result="response.rows[0]")
    execution = run(Saga("s", step(action, name="look")), ORDER)
    price = execution.results["look"].pop("price")
    assert execution.results == {"look": {"sku": "a", "free": 10}}
    assert float(price) == 1.5
    assert not sqlalchemy.inspect(database).has_table("sagakit_inbox")


@pytest.mark.parametrize("there", [True, False])
def test_a_select_as_a_reconcile_tells_by_its_rows(database: Any, there: bool) -> None:
    look = Sql(URL, "SELECT sku FROM stock WHERE sku = :s", {"s": "a" if there else "zz"})
    doubt = Scenario().lose_reply("pay")
    saga = Saga("s", step(lambda: 1, name="pay", reconcile=look))
    execution = run(saga, scenario=doubt)
    assert execution.status == ("completed" if there else "compensated")


def test_a_statement_that_takes_too_long_is_broken_off_and_was_not_done(database: Any) -> None:
    slow = {
        "sqlite": "INSERT INTO booking WITH RECURSIVE t(n) AS "
        "(SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 1000000000) SELECT 'x', n FROM t",
        "postgresql": "INSERT INTO booking SELECT 'x', 1 FROM pg_sleep(300)",
    }[database.dialect.name]
    began = time.monotonic()
    retry = Retry(attempts=2)
    saga = Saga("s", step(Sql(URL, slow, timeout=0.3), name="slow", retry=retry))
    failed = failure(run(saga))
    assert time.monotonic() - began < 60
    assert not failed.in_doubt
    assert "was not done and is rolled back" in failed.error.message


def test_two_copies_of_a_request_at_once_have_one_effect(database: Any) -> None:
    saga = Saga("s", step(TAKE, GIVE, name="take", retry=Retry(attempts=9, wait=0.01)))
    ended: list[Execution] = []
    copies = [
        threading.Thread(target=lambda: ended.append(run(saga, ORDER, id="same"))) for _ in range(6)
    ]
    for thread in copies:
        thread.start()
    for thread in copies:
        thread.join()
    assert [one.results for one in ended] == [{"take": {"taken": 3, "rows": 1}}] * 6
    assert free(database) == 7


def test_a_database_that_is_not_there_can_be_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(DATABASE, f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    retry = Retry(attempts=2)
    failed = failure(run(Saga("s", step(TAKE, GIVE, name="take", retry=retry)), ORDER))
    assert isinstance(failed, StepAttemptFailed)
    assert not failed.in_doubt
    assert "folder" not in failed.error.message, "the url is a secret"


@pytest.mark.parametrize(
    ("url", "why"), [("nosuch://x/y", "NoSuchModuleError"), ("shop.db", "cannot be run")]
)
def test_a_url_that_is_none_is_terminal(
    url: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE, url)
    failed = failure(run(Saga("s", step(TAKE, GIVE, name="take", retry=Retry(attempts=2))), ORDER))
    assert failed.terminal
    assert why in failed.error.message


def test_it_round_trips_and_a_simulation_asks_no_database() -> None:
    take = msgspec.structs.replace(TAKE, example={"taken": 3})
    saga = Saga("s", step(take, GIVE, name="take", reconcile=ASK))
    assert Saga.from_yaml(saga.to_yaml()) == saga
    assert simulate(saga, ORDER).results == {"take": {"taken": 3}}


BAD = {
    "a password": (Sql("postgresql://u:p@h/d", "SELECT 1"), "url holds a password"),
    "no url": (Sql("shop.db", "SELECT 1"), "give one such as sqlite:///x.db"),
    "a value in the text": (Sql(URL, "SELECT ${input}"), "bind a parameter"),
    "no statement": (Sql(URL), "has no statement; give one"),
    "a strange expectation": (Sql(URL, "SELECT 1", expect=-1), "give a number of rows"),
    "a bad parameter": (Sql(URL, "SELECT :a", {"a": "${foo}"}), "parameters.a: "),
    "a bad result": (Sql(URL, "SELECT 1", result="rows"), "unknown variable 'rows'"),
}


@pytest.mark.parametrize(("action", "said"), BAD.values(), ids=BAD)
def test_a_bad_statement_is_refused_at_definition_time(action: Sql, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Saga("s", step(action, name="a"))
    (problem,) = caught.value.problems
    assert said in problem


def test_sql_undoes_only_what_sql_on_the_same_database_did() -> None:
    """In another database the inbox knows of no action, and would undo nothing."""
    for action in (Http("https://x"), Sql("sqlite:///other.db", "DELETE FROM a")):
        with pytest.raises(DefinitionError, match="undoes what no SQL on the same url has done"):
            Saga("s", step(action, GIVE, name="a"))
    with pytest.raises(DefinitionError, match="in which the action is not done"):
        Saga("s", step(Http("https://x"), name="a", reconcile=ASK))
