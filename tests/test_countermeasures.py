"""The six countermeasures do what they say, on the lab's tables and on a real SQLite database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, String, Table, event, insert, select
from sqlalchemy.dialects import postgresql

from sagakit import (
    DefinitionError,
    Engine,
    Retry,
    Saga,
    Scenario,
    TerminalError,
    pivot,
    run,
    simulate,
    step,
)
from sagakit.countermeasures import (
    SemanticLock,
    VersionFile,
    by_value,
    commutative_update,
    pessimistic_view,
    reread_value,
)
from sagakit.errors import LockedError, StaleValueError
from sagakit.lab import World
from sagakit.services import (
    Participant,
    SqlOperations,
    SqlRows,
    open_database,
    operations_table,
)

tables = MetaData()
customers = Table(
    "customers",
    tables,
    Column("customer", String, primary_key=True),
    Column("credit", Integer, nullable=False),
    Column("locked_by", String),
)
credit_operations = operations_table("credit_operations", tables)


class Stores(NamedTuple):
    """The rows of one customer, ALFKI with a credit of 100, within one transaction."""

    credit: Any
    locks: Any
    operations: Any


Open = Callable[[], AbstractContextManager[Stores]]


@pytest.fixture(params=["lab", "sqlite"])
def open_stores(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "lab":
        world = World(credit={"ALFKI": 100}, locks={"ALFKI": None}, operations={})

        @contextmanager
        def in_memory() -> Iterator[Stores]:
            yield Stores(world.credit, world.locks, world.operations)

        return in_memory
    engine = open_bank(tmp_path / "bank.db")

    @contextmanager
    def in_sqlite() -> Iterator[Stores]:
        with engine.begin() as connection:
            credit = SqlRows(connection, customers.c.credit)
            locks = SqlRows(connection, customers.c.locked_by)
            yield Stores(credit, locks, SqlOperations(connection, credit_operations))

    return in_sqlite


def open_bank(path: Path | None) -> Any:
    engine = open_database(path, tables)
    with engine.begin() as connection:
        if connection.execute(select(customers)).first() is None:
            connection.execute(insert(customers), {"customer": "ALFKI", "credit": 100})
    return engine


# -- semantic lock --------------------------------------------------------------------------


def test_a_lock_turns_others_away_until_its_saga_frees_it(open_stores: Open) -> None:
    with open_stores() as stores:
        SemanticLock(stores.locks).take("ALFKI", "order-1")
    with open_stores() as stores:
        lock = SemanticLock(stores.locks)
        lock.take("ALFKI", "order-1")  # it has it already
        lock.check("ALFKI", "order-1")
        for refused in (lock.take, lock.check):
            with pytest.raises(LockedError, match="'ALFKI' is locked by execution 'order-1'"):
                refused("ALFKI", "order-2")
        lock.free("ALFKI", "order-2")  # a compensation whose action was refused
        with pytest.raises(LockedError):
            lock.take("ALFKI", "order-2")
        lock.free("ALFKI", "order-1")
        lock.free("ALFKI", "order-1")
        lock.take("ALFKI", "order-2")
    with open_stores() as stores:
        assert stores.locks.get("ALFKI") == "order-2"


def test_what_is_not_there_cannot_be_locked(open_stores: Open) -> None:
    with open_stores() as stores, pytest.raises(TerminalError, match="no row 'NOBODY' to lock"):
        SemanticLock(stores.locks).take("NOBODY", "order-1")


# -- commutative update ---------------------------------------------------------------------


def test_a_difference_is_added_down_to_the_bound_and_no_further(open_stores: Open) -> None:
    with open_stores() as stores:
        commutative_update(stores.credit, "ALFKI", -60, least=0)
        with pytest.raises(TerminalError, match="'ALFKI' is 40 and cannot change by -41: at least"):
            commutative_update(stores.credit, "ALFKI", -41, least=0)
        commutative_update(stores.credit, "ALFKI", -40, least=0)
        assert stores.credit.get("ALFKI") == 0
        commutative_update(stores.credit, "ALFKI", -1)  # a compensation is not to be refused
    with open_stores() as stores:
        assert stores.credit.get("ALFKI") == -1


@pytest.mark.parametrize("least", [None, 0])
def test_what_is_not_there_cannot_be_changed(open_stores: Open, least: int | None) -> None:
    with open_stores() as stores, pytest.raises(TerminalError, match="no row 'NOBODY' to change"):
        commutative_update(stores.credit, "NOBODY", 5, least=least)


# -- reread value ---------------------------------------------------------------------------


def test_a_value_is_written_only_if_it_is_as_it_was_read(open_stores: Open) -> None:
    with open_stores() as stores:
        seen = stores.credit.get("ALFKI")
    with open_stores() as stores:
        reread_value(stores.credit, "ALFKI", seen)
        reread_value(stores.credit, "ALFKI", seen, seen - 60)
        with pytest.raises(StaleValueError, match="'ALFKI' was 100 when it was read and is 40 now"):
            reread_value(stores.credit, "ALFKI", seen, seen - 30)
        with pytest.raises(StaleValueError):
            reread_value(stores.credit, "ALFKI", seen)
        assert stores.credit.get("ALFKI") == 40


def test_none_is_a_value_like_any_other_to_reread(open_stores: Open) -> None:
    with open_stores() as stores:
        reread_value(stores.locks, "ALFKI", None)
        reread_value(stores.locks, "ALFKI", None, "order-1")
        reread_value(stores.locks, "ALFKI", "order-1", None)
        assert stores.locks.get("ALFKI") is None


# -- version file ---------------------------------------------------------------------------


def set_or_add(value: int, operation: Any) -> int:
    what, amount = operation
    return amount if what == "set" else value + amount


MOVES = [
    ("record", "z", ("add", 5), 1),
    ("record", "m", ("set", 7), 2),
    ("record", "b", ("add", -3), 3),
    ("record", "q", ("set", 1), 4),
    ("withdraw", "q"),
]


@given(st.permutations(MOVES))
def test_operations_come_to_one_value_in_whatever_order_they_arrive(moves: Any) -> None:
    def told(log: Any) -> int:
        file = VersionFile(log, set_or_add, 100)
        for what, id, *more in (*moves, moves[0]):  # the first one is delivered twice
            if what == "withdraw":
                file.withdraw("ALFKI", id)
            else:
                file.record("ALFKI", id, tuple(more[0]), at=more[1])
        return file.value("ALFKI")

    assert told(World(log={}).log) == 4
    with open_bank(None).begin() as connection:
        assert told(SqlOperations(connection, credit_operations)) == 4


def test_a_withdrawal_that_came_first_absorbs_its_operation(open_stores: Open) -> None:
    with open_stores() as stores:
        VersionFile(stores.operations, int.__add__, 100).withdraw("ALFKI", "order-1/spend")
    with open_stores() as stores:
        file = VersionFile(stores.operations, int.__add__, 100)
        file.record("ALFKI", "order-1/spend", -60)
        file.record("ALFKI", "order-2/spend", -30)
        file.record("BLAUS", "order-3/spend", -10)
        assert file.value("ALFKI") == 70
        assert file.value("BLAUS") == 90
        assert file.value("NOBODY") == 100


# -- pessimistic view -----------------------------------------------------------------------


def free_credit(ctx: Any) -> None: ...
def take_back(ctx: Any) -> None: ...
def stop_delivery(ctx: Any) -> None: ...
def keep_going(ctx: Any) -> None: ...
def cancel_order(ctx: Any) -> None: ...
def tell_customer(ctx: Any) -> None: ...


def cancellation() -> Saga:
    return Saga(
        "cancel",
        step(free_credit, take_back, compensation_retry=Retry(9)),
        step(stop_delivery, keep_going),
        pivot(cancel_order),
        step(tell_customer),
        version="2",
        description="An order is called off.",
    )


def test_what_gives_stands_behind_the_pivot_and_is_not_undone() -> None:
    careful = pessimistic_view(cancellation(), "free_credit")
    names = [item.name for item in careful.steps]
    assert names == ["stop_delivery", "cancel_order", "free_credit", "tell_customer"]
    assert careful["stop_delivery"].after == ()
    assert careful["free_credit"].after == ("cancel_order",)
    assert careful["tell_customer"].after == ("cancel_order",)
    assert careful.kind("free_credit") == "retriable"
    assert careful["free_credit"].compensation is None
    assert (careful.version, careful.description) == ("2", "An order is called off.")
    assert simulate(careful).status == "completed"


def test_all_of_a_chain_can_stand_behind_the_pivot() -> None:
    careful = pessimistic_view(cancellation(), "free_credit", "stop_delivery")
    assert careful["cancel_order"].after == ()
    assert simulate(careful).status == "completed"


def test_what_cannot_stand_behind_the_pivot_is_named() -> None:
    saga = cancellation()
    for name in ("cancel_order", "tell_customer", "free_kredit"):
        with pytest.raises(DefinitionError, match=f"'{name}' is none that stands before the pivot"):
            pessimistic_view(saga, name)
    with pytest.raises(DefinitionError, match="saga 'short': has no pivot"):
        pessimistic_view(Saga("short", step(free_credit, take_back)), "free_credit")
    either = by_value("how", lambda ctx: 1, 2, low=step(free_credit, take_back), high=[])
    branched = Saga("branched", *either, pivot(cancel_order))
    with pytest.raises(DefinitionError, match="in a branch of a choice; move it by hand"):
        pessimistic_view(branched, "free_credit")


# -- by value -------------------------------------------------------------------------------


@pytest.mark.parametrize(("cents", "ran"), [(99, "loose"), (100, "strict"), (101, "strict")])
def test_the_way_is_chosen_by_what_is_at_stake(cents: int, ran: str) -> None:
    def loose(ctx: Any) -> str:
        return "loose"

    def strict(ctx: Any) -> str:
        return "strict"

    steps = by_value("how", lambda ctx: ctx.input, 100, low=step(loose), high=[step(strict)])
    execution = simulate(Saga("order", *steps), cents)
    assert execution.results["how"] == ("high" if ran == "strict" else "low")
    assert execution.results[ran] == ran
    assert len(execution.results) == 2


def test_a_saga_by_value_can_be_written_as_yaml() -> None:
    steps = by_value("how", lambda ctx: 1, 2, low=step(free_credit), high=step(stop_delivery))
    assert "how_by_value" in Saga("order", *steps).to_yaml()


# -- in a real service ----------------------------------------------------------------------


class Looked(msgspec.Struct, frozen=True):
    """What a step has seen, and who holds the lock since."""

    credit: int
    owner: str


def locking_order(bank: Participant, retry: Retry | None = None, die: str = "") -> Saga:
    """Locks the customer, spends what it is given, and frees the lock; it may die ``"before"`` or
    ``"after"`` it spends."""

    def lock(connection: Any) -> SemanticLock:
        return SemanticLock(SqlRows(connection, customers.c.locked_by))

    @bank.action
    def look(connection: Any, amount: int, ctx: Any) -> Looked:
        lock(connection).take("ALFKI", ctx.execution_id)
        return Looked(SqlRows(connection, customers.c.credit).get("ALFKI"), ctx.execution_id)

    @look.compensation
    def unlook(connection: Any, looked: Looked) -> None:
        lock(connection).free("ALFKI", looked.owner)

    @bank.action(request=lambda ctx: [ctx.input, ctx.results["look"].credit])
    def spend(connection: Any, asked: list[int], ctx: Any) -> None:
        amount, seen = asked
        credit = SqlRows(connection, customers.c.credit)
        credit.swap("ALFKI", credit.get("ALFKI"), seen - amount)
        lock(connection).free("ALFKI", ctx.execution_id)

    def spend_credit(ctx: Any) -> None:
        if die == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        spend(ctx)
        if die == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    return Saga("order", step(look, unlook, retry=retry), pivot(spend_credit, retry=Retry(3)))


class Bank:
    """A service with its own database, whose sagas look at a credit in one step and spend it in
    another."""

    def __init__(self, path: Path) -> None:
        self.engine = open_bank(path)
        self.participant = Participant("bank", self.engine)
        self.looked = threading.Barrier(2, timeout=60)

    def credit(self) -> tuple[int, str | None]:
        with self.engine.begin() as connection:
            return tuple(
                connection.execute(select(customers.c.credit, customers.c.locked_by)).one()
            )

    def together(self, saga: Saga, *amounts: int) -> list[Any]:
        """Run the saga once for each amount, all at the same time."""
        with ThreadPoolExecutor(len(amounts)) as threads:
            orders = [
                threads.submit(run, saga, amount, id=f"order-{number}")
                for number, amount in enumerate(amounts)
            ]
            return [order.result() for order in orders]


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return Bank(tmp_path / "bank.db")


def look_and_spend(bank: Bank, spend: Callable[[Any, int, int], None]) -> Saga:
    """Two executions meet between their steps: both have looked before one of them spends."""

    @bank.participant.action
    def look(connection: Any, amount: int) -> int:
        return int(SqlRows(connection, customers.c.credit).get("ALFKI"))

    def look_together(ctx: Any) -> int:
        seen = look(ctx)
        bank.looked.wait()
        return seen

    @bank.participant.action(request=lambda ctx: [ctx.input, ctx.results["look_together"]])
    def spend_credit(connection: Any, asked: list[int]) -> None:
        spend(SqlRows(connection, customers.c.credit), *asked)

    return Saga("order", step(look_together), step(spend_credit))


def test_without_a_countermeasure_a_real_service_loses_an_update(bank: Bank) -> None:
    def spend(credit: SqlRows, amount: int, seen: int) -> None:
        credit.swap("ALFKI", credit.get("ALFKI"), seen - amount)

    both = bank.together(look_and_spend(bank, spend), 60, 30)
    assert [one.status for one in both] == ["completed", "completed"]
    assert bank.credit()[0] in (40, 70)  # and not 10


def test_a_commutative_update_keeps_both(bank: Bank) -> None:
    def spend(credit: SqlRows, amount: int, seen: int) -> None:
        commutative_update(credit, "ALFKI", -amount, least=0)

    both = bank.together(look_and_spend(bank, spend), 60, 30)
    assert [one.status for one in both] == ["completed", "completed"]
    assert bank.credit()[0] == 10


def test_rereading_refuses_the_second(bank: Bank) -> None:
    def spend(credit: SqlRows, amount: int, seen: int) -> None:
        reread_value(credit, "ALFKI", seen, seen - amount)

    both = bank.together(look_and_spend(bank, spend), 60, 30)
    assert sorted(one.status for one in both) == ["compensated", "completed"]
    assert bank.credit()[0] in (40, 70)
    [refused] = [one for one in both if one.status == "compensated"]
    assert "when it was read" in str(refused.error)


def test_a_semantic_lock_lets_the_second_wait_or_refuses_it(bank: Bank) -> None:
    # Every order that is let in has freed the lock when it ends: waiting long enough is enough.
    patient = locking_order(bank.participant, Retry(5000, wait=0.01, backoff=1))
    orders = bank.together(patient, 10, 10, 10, 10)
    assert [one.status for one in orders] == ["completed"] * 4
    assert bank.credit() == (60, None)

    with bank.engine.begin() as connection:
        SemanticLock(SqlRows(connection, customers.c.locked_by)).take("ALFKI", "somebody")
    refused = run(locking_order(bank.participant), 10, id="order-9")
    assert refused.status == "compensated"
    assert "locked by execution 'somebody'" in str(refused.error)
    assert bank.credit() == (60, "somebody")


def test_a_saga_that_is_undone_frees_its_lock(bank: Bank) -> None:
    saga = locking_order(bank.participant)
    undone = run(saga, 10, id="order-1", scenario=Scenario().fail("spend_credit"))
    assert undone.status == "compensated"
    assert bank.credit() == (100, None)
    unheard = run(saga, 10, id="order-2", scenario=Scenario().lose_reply("look"))
    assert unheard.status == "compensated"
    assert bank.credit() == (100, None)


@pytest.mark.parametrize(
    ("moment", "found", "meanwhile", "left"),
    [("before", (100, "order-1"), "compensated", 40), ("after", (40, None), "completed", 30)],
)
def test_a_lock_outlives_a_killed_process_and_recovery_frees_it(
    tmp_path: Path, moment: str, found: Any, meanwhile: str, left: int
) -> None:
    child = Path(__file__).with_name("countermeasures_child.py")
    killed = subprocess.run([sys.executable, str(child), str(tmp_path), moment], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    there = Bank(tmp_path / "bank.db")
    assert there.credit() == found
    saga = locking_order(there.participant)
    assert run(saga, 10, id="order-2").status == meanwhile
    with Engine(tmp_path / "sagas.db") as engine:
        [recovered] = engine.recover(saga)
    assert recovered.status == "completed"
    assert there.credit() == (left, None)


def test_updates_from_many_threads_add_up(bank: Bank) -> None:
    def spend(number: int) -> None:
        with bank.engine.begin() as connection:
            commutative_update(SqlRows(connection, customers.c.credit), "ALFKI", -1, least=0)

    with ThreadPoolExecutor(8) as threads:
        assert len(list(threads.map(spend, range(100)))) == 100
    assert bank.credit()[0] == 0
    with pytest.raises(TerminalError):
        spend(0)


# -- other databases, and bad use -----------------------------------------------------------


def test_on_a_database_with_several_writers_what_is_compared_is_locked() -> None:
    engine, said = open_bank(None), []

    def listen(connection: Any, statement: Any, *rest: Any) -> None:
        said.append(str(statement.compile(dialect=postgresql.dialect())))

    with engine.begin() as connection:
        event.listen(engine, "before_execute", listen)
        reread_value(SqlRows(connection, customers.c.credit), "ALFKI", 100)
    [query] = said
    assert query.endswith("FOR UPDATE")


def test_rows_need_a_primary_key_of_one_column() -> None:
    refused = pytest.raises(DefinitionError, match="'credit_operations': has a primary key of 3")
    with open_bank(None).begin() as connection, refused:
        SqlRows(connection, credit_operations.c.at)
