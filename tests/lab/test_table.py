"""A table is a dict that can be set back, and tells who read and wrote it when asked."""

from __future__ import annotations

import copy
import pickle
import timeit
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagakit.errors import SagaError
from sagakit.lab.table import ALL, MISSING, Access, Table, Tape, World, tables_of

KEYS = st.integers(0, 3)
CALLS = st.one_of(
    st.tuples(st.sampled_from(["[]", "get", "in", "del", "check"]), KEYS),
    st.tuples(st.sampled_from(["set", "setdefault", "add", "pop"]), KEYS, st.integers(0, 9)),
    st.tuples(st.just("update"), st.dictionaries(KEYS, st.integers(0, 9))),
    st.tuples(st.just("|="), st.dictionaries(KEYS, st.integers(0, 9))),
    st.tuples(
        st.sampled_from(["list", "len", "items", "values", "copy", "popitem", "clear", "bool"])
    ),
)


def do(rows: Any, call: tuple[Any, ...]) -> Any:
    """What a call gives, or raises."""
    what, *given = call
    try:
        match what:
            case "[]":
                return rows[given[0]]
            case "in":
                return given[0] in rows
            case "del":
                del rows[given[0]]
            case "set":
                rows[given[0]] = given[1]
            case "add" if isinstance(rows, Table):
                rows.commute(given[0], lambda value: value + given[1], 0)
            case "add":
                rows[given[0]] = rows.get(given[0], 0) + given[1]
            case "check":
                return rows.check(given[0]) if isinstance(rows, Table) else rows.get(given[0])
            case "|=":
                rows |= given[0]
            case "list":
                return list(rows), list(reversed(rows)), list(rows.keys())
            case "items" | "values":
                return list(getattr(rows, what)())
            case "len" | "bool":
                return len(rows), bool(rows), rows == {}, rows != {}, rows | {9: 9}, {9: 9} | rows
            case _:
                return getattr(rows, what)(*given)
    except KeyError as error:
        return type(error)


@given(st.dictionaries(KEYS, st.integers(0, 9)), st.lists(CALLS), st.booleans())
def test_it_is_a_dict_whether_recorded_or_not(
    rows: dict[int, int], calls: list[tuple[Any, ...]], recorded: bool
) -> None:
    table, plain = Table(rows), dict(rows)
    tape = Tape().attach({"t": table} if recorded else {})
    for call in calls:
        assert do(table, call) == do(plain, call), call
    tape.detach()
    assert table == plain


@given(st.dictionaries(KEYS, st.integers(0, 9)), CALLS)
def test_whatever_changes_a_row_is_recorded_and_so_is_whatever_is_seen(
    rows: dict[int, int], call: tuple[Any, ...]
) -> None:
    table = Table(rows)
    with Tape("a", "s").attach({"t": table}) as tape:
        do(table, call)
    changed = {access.key for access in tape.accesses if access.kind in ("write", "commute")}
    for key in range(4):
        if table.get(key, MISSING) != rows.get(key, MISSING):
            assert key in changed
    if len(table) != len(rows):
        assert ALL in changed
    seen = {access.key for access in tape.accesses if access.kind in ("read", "check")}
    match call:
        case ("[]" | "get" | "in" | "check" | "pop" | "setdefault", key, *_):
            assert key in seen
        case ("list" | "len" | "bool" | "popitem" | "clear",):
            assert ALL in seen
        case ("items" | "values" | "copy",):
            assert seen >= {ALL, *rows}


def test_an_access_says_who_did_what_to_which_row() -> None:
    table = Table(x=1)
    tape = Tape()
    with tape.attach({"stock": table}):
        tape.execution, tape.step = "order-1", "reserve"
        table["x"] = table["x"] + 1
        table.get("y")
        table.commute("x", lambda value: value + 5)
        table.check("x")
    table["x"] = 0  # nobody listens any more
    assert tape.take() == [
        Access("order-1", "reserve", "read", "stock", "x", 1),  # type: ignore[arg-type]
        Access("order-1", "reserve", "write", "stock", "x", 2),  # type: ignore[arg-type]
        Access("order-1", "reserve", "read", "stock", "y", MISSING),  # type: ignore[arg-type]
        Access("order-1", "reserve", "commute", "stock", "x", 7),  # type: ignore[arg-type]
        Access("order-1", "reserve", "check", "stock", "x", 7),  # type: ignore[arg-type]
    ]
    assert tape.take() == []


def test_what_countermeasures_do_to_a_row_is_recorded_as_what_it_is() -> None:
    table = Table(x=5, log=frozenset())

    def kinds(act: Any) -> tuple[Any, list[tuple[str, Any]]]:
        with Tape().attach({"t": table}) as tape:
            done = act()
        return done, [(access.kind.value, access.value) for access in tape.accesses]

    assert kinds(lambda: table.add("x", 2)) == (True, [("commute", 7)])
    assert kinds(lambda: table.add("x", -7, least=0)) == (True, [("check", 7), ("commute", 0)])
    assert kinds(lambda: table.add("x", -1, least=0)) == (False, [("check", 0)])
    assert kinds(lambda: table.add("y", 1)) == (False, [("check", MISSING)])
    assert kinds(lambda: table.swap("x", 0, 9)) == (True, [("check", 0), ("write", 9)])
    assert kinds(lambda: table.swap("x", 0, 3)) == (False, [("check", 9)])
    assert kinds(lambda: table.swap("y", None, 3)) == (False, [("check", MISSING)])
    assert kinds(lambda: table.append("log", 1)) == (None, [("commute", frozenset({1}))])
    assert kinds(lambda: table.operations("log")) == (frozenset({1}), [("read", frozenset({1}))])
    assert table == {"x": 9, "log": frozenset({1})}


def test_a_row_that_comes_or_goes_changes_which_rows_there_are() -> None:
    table = Table(x=1)
    with Tape().attach({"t": table}) as tape:
        table["y"] = 2
        table["y"] = 3
        del table["x"]
    assert [(access.key, access.kind.value) for access in tape.accesses] == [
        (ALL, "commute"),
        ("y", "write"),
        ("y", "write"),
        (ALL, "commute"),
        ("x", "write"),
    ]


def test_a_snapshot_sets_it_back_in_place_and_nobody_records_that() -> None:
    table = same = Table(x=1)
    with Tape().attach({"t": table}) as tape:
        token = table.snapshot()
        assert tape.take() == []
        table["x"], table["y"] = 2, 3
        tape.take()
        table.restore(token)
        assert tape.take() == []
        table["x"] = 9
        table.restore(token)
    assert table is same
    assert table == {"x": 1}


def test_a_value_that_could_change_unseen_is_refused_while_recorded() -> None:
    table = Table()
    with (
        Tape().attach({"orders": table}),
        pytest.raises(SagaError, match=r"table 'orders': the value of row 7 is a list.*tuple"),
    ):
        table[7] = []


def test_two_tapes_cannot_record_one_table() -> None:
    first, second = Table(), Table()
    with Tape().attach({"second": second}):
        with pytest.raises(SagaError, match="'second' is being recorded already"):
            Tape().attach({"first": first, "second": second})
        assert type(first) is Table, "what was attached before is let go"


def test_it_can_be_pickled_and_copied_also_while_recorded() -> None:
    table = Table(x=1)
    with Tape().attach({"t": table}) as tape:
        copies = pickle.loads(pickle.dumps(table)), copy.deepcopy(table), copy.copy(table)
        assert tape.accesses == []
    for twin in copies:
        assert (type(twin), twin) == (Table, {"x": 1})
    assert repr(table) == "Table({'x': 1})"


def test_it_costs_what_a_dict_costs_while_nobody_records() -> None:
    table = Table((number, number) for number in range(100))
    Tape().attach({"t": table}).detach()
    plain = dict(table)

    def cost(rows: Any) -> float:
        return min(timeit.repeat(lambda: [rows[n] for n in range(100)], number=200, repeat=9))

    assert cost(table) < 2 * cost(plain)


def test_a_world_has_its_tables_as_attributes_and_becomes_fresh_again() -> None:
    world = World(accounts={"a": 1}, orders=[(7, "open")])
    accounts = world.accounts
    accounts["a"] = 5
    token = world.snapshot()
    world.orders.clear()
    world.restore(token)
    assert repr(world) == "World(accounts={'a': 5}, orders={7: 'open'})"
    assert world.fresh() is world
    assert accounts is world.accounts
    assert accounts == {"a": 1}
    with pytest.raises(AttributeError, match=r"no table 'order'; it has 'accounts', 'orders'"):
        _ = world.order


def test_the_tables_of_any_world_are_found() -> None:
    class Shop:
        def __init__(self) -> None:
            self.stock, self.name = Table(), "shop"

    class Slotted:
        __slots__ = ()

    shop, table, world = Shop(), Table(), World(x={})
    assert tables_of(shop) == {"stock": shop.stock}
    assert tables_of(table) == {"table": table}
    assert tables_of({"a": table, "b": {}}) == {"a": table}
    assert tables_of(world) == {"x": world.x}
    assert tables_of(Slotted()) == {}
