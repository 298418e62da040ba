"""The SQLAlchemy models that a data model gives: they make tables, hold rows, and are formatted."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import uuid
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sagakit.entities import DataModel, Entity, Field, Relation

from .made import made
from .shop import shop

sqlalchemy = pytest.importorskip("sqlalchemy")
orm = pytest.importorskip("sqlalchemy.orm")

ID = Field("id", key=True)


def run(model: DataModel) -> dict[str, Any]:
    """What the models are called, once they have run as pasted."""
    names: dict[str, Any] = {}
    source = compile(model.models_source(), "models.py", "exec", dont_inherit=True)
    exec(source, names)  # noqa: S102
    return names


def database(base: Any) -> Any:
    engine = sqlalchemy.create_engine("sqlite://")
    sqlalchemy.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys=ON"))
    base.registry.configure()
    base.metadata.create_all(engine)
    return engine


def tables(base: Any) -> set[str]:
    return set(sqlalchemy.inspect(database(base)).get_table_names())


def test_each_service_has_a_base_and_tables_of_its_own() -> None:
    names = run(shop())
    assert tables(names["CustomersBase"]) == {"customer"}
    assert tables(names["OrdersBase"]) == {"order", "order_line"}
    assert tables(names["InventoryBase"]) == {"product", "product_tags", "tag"}


def test_a_row_of_another_service_is_known_by_its_key_and_no_foreign_key() -> None:
    names = run(shop())
    inspected = sqlalchemy.inspect(database(names["OrdersBase"]))
    (key,) = inspected.get_foreign_keys("order_line")
    assert (key["constrained_columns"], key["referred_table"]) == (["order_id"], "order")
    assert "product_sku" in {column["name"] for column in inspected.get_columns("order_line")}
    assert inspected.get_foreign_keys("order") == []
    source = shop().models_source()
    assert (
        "    # The key of Customer, of service 'customers'.\n    customer_id: Mapped[str]\n"
        in source
    )
    assert "known by its key alone: no foreign key leads" in " ".join(source.split())


@pytest.mark.filterwarnings("ignore:Dialect sqlite")  # SQLite has no exact decimals
def test_rows_go_in_and_come_out_with_what_belongs_to_them() -> None:
    names = run(shop())
    order = names["Order"](
        id=uuid.UUID(int=7), placed_at=dt.datetime(2026, 11, 30, 9, 0), total=Decimal("12.50"),
        customer_id="ALFKI", extra={"gift": True},
        lines=[names["OrderLine"](id=1, quantity=2, product_sku="tea")],
    )  # fmt: skip
    engine = database(names["OrdersBase"])
    with orm.Session(engine) as session:
        session.add(order)
        session.commit()
    with orm.Session(engine) as session:
        found = session.get(names["Order"], uuid.UUID(int=7))
        assert (found.total, found.extra, found.note) == (Decimal("12.50"), {"gift": True}, None)
        (line,) = found.lines
        assert (line.order, line.order_id, line.quantity) == (found, found.id, 2)


@pytest.mark.filterwarnings("ignore:Dialect sqlite")
def test_many_and_many_meet_in_a_table_of_their_keys() -> None:
    names = run(shop())
    Product, Tag = names["Product"], names["Tag"]  # noqa: N806
    tag = Tag(word="hot", since=dt.date(2026, 1, 1))
    box = Product(sku="box", price=Decimal(9), tags=[tag])
    box.parts = [Product(sku="cup", price=Decimal(4)), Product(sku="tea", price=Decimal(5))]
    engine = database(names["InventoryBase"])
    with orm.Session(engine) as session:
        session.add(box)
        session.commit()
    with orm.Session(engine) as session:
        (found,) = session.get(Tag, ("hot", dt.date(2026, 1, 1))).products
        assert sorted(part.sku for part in found.parts) == ["cup", "tea"]
        assert session.get(Product, "cup").part_of is found
        assert found.part_of is None


def test_one_and_one_is_one_at_most() -> None:
    model = DataModel(
        (
            Entity("Order", fields=(ID,), relations=(Relation("invoice", "Invoice"),)),
            Entity("Invoice", fields=(ID,), relations=(Relation("order", "Order"),)),
        )
    )
    names = run(model)
    engine = database(names["Base"])
    with orm.Session(engine) as session:
        invoice = names["Invoice"](id="i")
        session.add_all([names["Order"](id="a", invoice=invoice), invoice])
        session.commit()
        assert invoice.order.id == "a"
        session.add(names["Order"](id="b", invoice_id="i"))
        with pytest.raises(sqlalchemy.exc.IntegrityError, match="UNIQUE"):
            session.commit()


def test_one_relation_that_two_entities_have_is_one_of_each() -> None:
    to_box = Relation("box", "Box")
    model = DataModel(
        (
            Entity("Cup", fields=(ID,), relations=(to_box,)),
            Entity("Pot", fields=(ID,), relations=(to_box,)),
            Entity("Box", fields=(ID,)),
        )
    )
    names = run(model)
    assert all(names[name](box_id="b").box_id == "b" for name in ("Cup", "Pot"))


def test_two_ways_between_the_same_entities_are_told_apart() -> None:
    model = DataModel(
        (
            Entity("Order", fields=(ID,), relations=(Relation("billing", "Address"),
                                                    Relation("shipping", "Address"))),
            Entity("Address", fields=(ID,)),
        )
    )  # fmt: skip
    names = run(model)
    Order, Address = names["Order"], names["Address"]  # noqa: N806
    with orm.Session(database(names["Base"])) as session:
        session.add(Order(id="o", billing=Address(id="b"), shipping=Address(id="s")))
        session.commit()
        found = session.get(Order, "o")
        assert (found.billing_id, found.shipping.id) == ("b", "s")


def test_what_refers_to_each_other_in_a_circle_can_be_stored() -> None:
    first, second = Relation("favourite", "Order"), Relation("buyer", "Customer")
    third = Relation("gift_for", "Customer")
    model = DataModel(
        (
            Entity("Customer", fields=(ID,), relations=(first,)),
            Entity("Order", fields=(ID,), relations=(second, third)),
        )
    )
    names = run(model)
    with orm.Session(database(names["Base"])) as session:
        ann = names["Customer"](id="ann")
        ann.favourite = names["Order"](id="o", buyer=ann)
        session.add(ann)
        session.commit()
        assert session.get(names["Customer"], "ann").favourite.buyer_id == "ann"


@pytest.mark.parametrize("seed", range(25))
def test_models_at_random_make_their_tables_without_a_warning(seed: int) -> None:
    model = made(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = run(model)
        bases = {v for v in names.values() if isinstance(v, type) and v.__name__.endswith("Base")}
        for base in bases - {orm.DeclarativeBase}:
            tables(base)


def test_the_source_is_as_ruff_formats_it(tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    models = [shop(), DataModel(), *(made(seed) for seed in range(100))]
    for number, model in enumerate(models):
        (tmp_path / f"m{number}.py").write_text(model.models_source(), "utf-8")
    for ask in (["format", "--isolated", "--diff"], ["check", "--isolated", "--select", "F,I"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *ask, str(tmp_path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
