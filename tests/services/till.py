"""A service with one table, whose effects can be counted."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Engine, Integer, MetaData, Table, insert, select

from sagakit.errors import TerminalError
from sagakit.services import Participant, open_database

ACTION, COMPENSATION = "order-7/charge/action", "order-7/charge/compensation"

tables = MetaData()
effects = Table("effects", tables, Column("id", Integer, primary_key=True), Column("n", Integer))


class Till:
    """A service with one table; its balance is the sum of all effects and undos."""

    def __init__(self, path: Path | None) -> None:
        self.engine: Engine = open_database(path, tables)
        self.participant = Participant("till", self.engine)
        self.closed = False

    def charge(self, n=5, key=ACTION, **options):
        def effect(connection):
            connection.execute(insert(effects), {"n": n})
            if self.closed:
                raise TerminalError("the till is closed")
            return {"charged": n}

        return self.participant.act(key, {"n": n}, effect, **options)

    def refund(self, key=COMPENSATION):
        def undo(connection, reply):
            connection.execute(insert(effects), {"n": -reply["charged"]})
            if self.closed:
                raise TerminalError("the till is closed")
            return {"refunded": reply["charged"]}

        return self.participant.compensate(key, undo)

    def rows(self) -> list[int]:
        with self.engine.begin() as connection:
            return list(connection.execute(select(effects.c.n).order_by(effects.c.id)).scalars())
