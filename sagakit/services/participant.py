"""What makes a service safe to take part in a saga: a table of answers beside its own tables.

A coordinator repeats itself: after a timeout, a lost reply or a crash it sends the same request
with the same idempotency key, and it compensates what may never have happened. A `Participant`
stores, **in the same local transaction as the effect**, the key, a fingerprint of the request and
the reply. One row stands for one step of one execution, so an action and its compensation always
meet in the same row:

====================  =====================  ===========================  =====================
the row               the action arrives     the compensation arrives     ``outcome`` is asked
====================  =====================  ===========================  =====================
(none)                effect; *done*         no effect; *fenced* (null)   *fenced*; no
                      or *refused*
done                  same reply             undo; *undone*               yes, with the reply
refused               same refusal           no effect                    no
undone                refused (suspension)   same reply                   no
fenced                refused (suspension)   no effect                    no
====================  =====================  ===========================  =====================

**Refusals are answers too.** A `TerminalError` raised by an effect rolls the effect back and is
itself stored, so a repeat gets the same refusal even when it would succeed by now. It must: the
coordinator holds a refused step for one without effect and never compensates it, so a copy of the
request that was delayed on the way must not take effect afterwards. Only where nothing is ever
undone, after the pivot, may a refusal be forgotten (``keep_refusal=False``): there an operator
cures the cause and retries with the same key. What a compensation refuses is never stored, for
the same reason. Any other exception rolls everything back and leaves no trace: a
repeat tries again.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import (
    Column,
    Engine,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection

from sagakit.errors import TerminalError
from sagakit.steps import Happened

Effect = Callable[[Connection], Any]
Undo = Callable[[Connection, Any], Any]

_tables = MetaData()
_inbox = Table(
    "sagakit_inbox",
    _tables,
    Column("step_key", String(500), primary_key=True),
    Column("state", String(8), nullable=False),
    Column("request", String(64)),
    Column("reply", Text),
    Column("undo_reply", Text),
)
# Built once: to build a statement costs as much as to run it. FOR UPDATE holds the row on a
# database with several writers (a new row that two insert at once makes one of them fail and
# try again); on SQLite, where BEGIN IMMEDIATE has done it already, it is left out.
_FIND = (
    select(_inbox.c.state, _inbox.c.request, _inbox.c.reply, _inbox.c.undo_reply)
    .where(_inbox.c.step_key == bindparam("step"))
    .with_for_update()
)
_ADD = insert(_inbox)
_UNDONE = (
    update(_inbox)
    .where(_inbox.c.step_key == bindparam("step"))
    .values(state="undone", undo_reply=bindparam("answer"))
)


class KeyReusedError(TerminalError):
    """The same idempotency key came with another request. The first one stands as it was.

    Either an execution id was used twice (a new journal over old services), or an action builds
    its request from something that differs between attempts, such as the time.
    """


class _Row(NamedTuple):
    state: str
    request: str | None = None
    reply: str | None = None
    undo_reply: str | None = None


class Participant:
    """Answers each key once, in the database where the effect takes place.

    Parameters:
        service: its name in error messages.
        engine: the service's own database; the table ``sagakit_inbox`` is created in it. On
            SQLite its transactions should begin with ``BEGIN IMMEDIATE``, see `open_database`.
    """

    def __init__(self, service: str, engine: Engine) -> None:
        self.service = service
        self._engine = engine
        with engine.begin() as connection:
            _tables.create_all(connection)

    def act(self, key: str, request: Any, effect: Effect, *, keep_refusal: bool = True) -> Any:
        """Do an action's effect once, however often its request arrives.

        Parameters:
            key: ``ctx.idempotency_key``.
            request: plain data that says what is asked; a repeat must bring the same.
            effect: writes through the connection it is given and returns plain JSON data. It
                runs inside the transaction, so it must not touch anything else.
            keep_refusal: whether a `TerminalError` is the answer for ever; give ``False`` only
                for steps after the pivot.

        Returns:
            what the effect returned, as JSON gives it back; a repeat returns the same.

        Raises:
            TerminalError: the effect refused, now or before; or the key is fenced, because its
                compensation or a reconcile came first.
            KeyReusedError: the key was used for another request.
        """
        step = _step_of(key, "action")
        fingerprint = sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()
        try:
            row = self._perform(step, fingerprint, effect)
        except TerminalError as refusal:  # its transaction is rolled back
            if not keep_refusal:
                raise
            refused = _Row("refused", fingerprint, _encode(str(refusal)))
            row = self._settle(step, refused)
            if row == refused:
                raise
        return self._answer(row, key, fingerprint)

    def compensate(self, key: str, undo: Undo) -> Any:
        """Undo an action's effect once, and see to it that the action can never come later.

        Parameters:
            key: ``ctx.idempotency_key`` of the compensation.
            undo: takes the connection and what the action returned; returns plain JSON data.
                Not called when there is nothing to undo.

        Returns:
            what ``undo`` returned; ``None`` when the action never took effect.

        Raises:
            TerminalError: ``undo`` refused; nothing is stored, a later retry calls it again.
        """
        step = _step_of(key, "compensation")
        with self._engine.begin() as connection:
            row = _find(connection, step)
            if row is None:
                row = _add(connection, step, _Row("fenced"))
            elif row.state == "done":
                row = row._replace(undo_reply=_encode(undo(connection, _decode(row.reply))))
                connection.execute(_UNDONE, {"step": step, "answer": row.undo_reply})
        return _decode(row.undo_reply)

    def outcome(self, key: str) -> Happened | Literal[False]:
        """Whether an action's effect stands; if it does not, the key is fenced and never will.

        A step's ``reconcile`` can return this as it is: the answer is final.

        Parameters:
            key: ``ctx.idempotency_key`` of the action.
        """
        step = _step_of(key, "action")
        row = self._settle(step, _Row("fenced"))
        return Happened(_decode(row.reply)) if row.state == "done" else False

    def requests(self) -> int:
        """How many steps have been asked of this service so far."""
        with self._engine.begin() as connection:
            return connection.execute(select(func.count()).select_from(_inbox)).scalar_one()

    def _perform(self, step: str, fingerprint: str, effect: Effect) -> _Row:
        """The stored answer, or the effect and its answer in one transaction."""
        with self._engine.begin() as connection:
            row = _find(connection, step)
            if row is None:
                reply = _encode(effect(connection))
                row = _add(connection, step, _Row("done", fingerprint, reply))
            return row

    def _settle(self, step: str, row: _Row) -> _Row:
        """Store this answer unless there is one; the answer that stands."""
        with self._engine.begin() as connection:
            return _find(connection, step) or _add(connection, step, row)

    def _answer(self, row: _Row, key: str, fingerprint: str) -> Any:
        """What a stored row says to a request for the action."""
        if row.state in ("fenced", "undone"):
            why = "was undone before" if row.state == "undone" else "was fenced before it came"
            raise TerminalError(
                f"service '{self.service}' refuses the late action '{key}': its step {why}"
            )
        if row.request != fingerprint:
            raise KeyReusedError(
                f"service '{self.service}' knows the key '{key}' from another request; give each"
                " execution its own id, and build the request only from ctx.input and ctx.results"
            )
        if row.state == "refused":
            raise TerminalError(_decode(row.reply))
        return _decode(row.reply)


def _step_of(key: str, expected: str) -> str:
    """``order-7/charge``, from ``order-7/charge/action`` and ``…/compensation`` alike."""
    step, _, kind = key.rpartition("/")
    if not step or kind != expected:
        raise ValueError(
            f"the key '{key}' does not end in '/{expected}'; pass ctx.idempotency_key as it is"
        )
    return step


def _find(connection: Connection, step: str) -> _Row | None:
    found = connection.execute(_FIND, {"step": step}).one_or_none()
    return None if found is None else _Row(*found)


def _add(connection: Connection, step: str, row: _Row) -> _Row:
    connection.execute(_ADD, {"step_key": step, **row._asdict()})
    return row


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _decode(value: str | None) -> Any:
    return None if value is None else msgspec.json.decode(value)
