"""A service with one table, whose effects can be counted."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Engine, Integer, MetaData, Table, insert, select, text

from sagakit.errors import TerminalError
from sagakit.services import Participant, open_database

ACTION, COMPENSATION = "order-7/charge/action", "order-7/charge/compensation"
CONFIRM = "order-7/confirm/action"
LIMIT = 60  # seconds that the till holds what was reserved

tables = MetaData()
effects = Table("effects", tables, Column("id", Integer, primary_key=True), Column("n", Integer))


class Till:
    """A service with one table; its balance is the sum of all effects and undos."""

    def __init__(self, path: Path | None, engine: Engine | None = None) -> None:
        self.engine = engine or open_database(path, tables)
        self.time = 0.0  # seconds
        self.participant = Participant("till", self.engine, now=lambda: self.time)
        self.hold = self.participant.hold("charge", self.give_back, expires_after=LIMIT)
        self.closed = False

    def charge(self, n=5, key=ACTION, **options):
        def effect(connection):
            connection.execute(insert(effects), {"n": n})
            if self.closed:
                raise TerminalError("the till is closed")
            return {"charged": n}

        return self.participant.act(key, {"n": n}, effect, **options)

    def reserve(self, n=5, key=ACTION):
        return self.charge(n, key, hold=self.hold)

    def confirm(self, key=CONFIRM, held=ACTION):
        return self.participant.confirm(key, held, lambda _, reply: {"confirmed": reply["charged"]})

    def refund(self, key=COMPENSATION):
        return self.participant.compensate(key, self.give_back)

    def give_back(self, connection, reply):
        connection.execute(insert(effects), {"n": -reply["charged"]})
        if self.closed:
            raise TerminalError("the till is closed")
        return {"refunded": reply["charged"]}

    def states(self) -> list[str]:
        """The states of the participant's rows, by their steps."""
        query = text("SELECT state FROM sagakit_inbox ORDER BY step_key")
        with self.engine.begin() as connection:
            return list(connection.execute(query).scalars())

    def rows(self) -> list[int]:
        with self.engine.begin() as connection:
            return list(connection.execute(select(effects.c.n).order_by(effects.c.id)).scalars())
