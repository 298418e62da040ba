"""What makes a service safe to take part in a saga: a table of answers beside its own tables.

A coordinator repeats itself: after a timeout, a lost reply or a crash it sends the same request
with the same idempotency key, and it compensates what may never have happened. A `Participant`
stores, **in the same local transaction as the effect**, the key, a fingerprint of the request and
the reply. One row stands for one step of one execution, so an action and its compensation always
meet in the same row:

=======  ===================  ================  ===============  ================  ===============
the row  the action arrives   the compensation  ``outcome`` is   ``confirm`` of    its time is up
                              arrives           asked            it arrives
=======  ===================  ================  ===============  ================  ===============
(none)   effect; *done*,      no effect;        no; *fenced*     refused           nothing
         *held* or *refused*  *fenced* (null)
done     same reply           undo; *undone*    yes, with reply  accepted          nothing
held     same reply           undo; *undone*    yes, with reply  accepted; *done*  undo; *expired*
refused  same refusal         no effect         no               refused           nothing
undone   refused (late)       same reply        no               refused           nothing
fenced   refused (late)       no effect         no               refused           nothing
expired  refused (late)       no effect         no               refused           nothing
=======  ===================  ================  ===============  ================  ===============

**Refusals are answers too.** A `TerminalError` raised by an effect rolls the effect back and is
itself stored, so a repeat gets the same refusal even when it would succeed by now. It must: the
coordinator holds a refused step for one without effect and never compensates it, so a copy of the
request that was delayed on the way must not take effect afterwards. Only where nothing is ever
undone, after the pivot, may a refusal be forgotten (``keep_refusal=False``): there an operator
cures the cause and retries with the same key. What a compensation refuses is never stored, for
the same reason. Any other exception rolls everything back and leaves no trace: a
repeat tries again.

**A hold has a time limit.** So that a coordinator that died does not block what it reserved for
ever, an action may hold only for so long (``hold=``); a later step of the saga confirms it, which
lifts the limit. When the time is up the participant undoes the effect itself: whoever touches the
row expires it first, and `Participant.sweep` expires those that nobody touches. A confirmation
that comes too late is refused, so it must stand **before the pivot, or be the pivot**: there a
refusal starts backward recovery; after the pivot the execution would be stuck. Confirm as late as
that allows, since what is confirmed waits for its coordinator again. Choose a limit longer than
the saga takes up to the confirmation, its retries included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Literal, TypeVar, overload

import msgspec
from sqlalchemy import Engine
from sqlalchemy.engine import Connection

from sagakit.errors import DefinitionError, TerminalError
from sagakit.services import inbox
from sagakit.services.actions import Action
from sagakit.services.inbox import Hold, Row
from sagakit.steps import Happened

Effect = Callable[[Connection], Any]
Undo = Callable[[Connection, Any], Any]
Reply = TypeVar("Reply")

# What a request is told that comes too late for its step.
_LATE = {
    "undone": "was undone before",
    "fenced": "was fenced before it came",
    "expired": "was held only for a time, which is up",
}


class KeyReusedError(TerminalError):
    """The same idempotency key came with another request. The first one stands as it was.

    Either an execution id was used twice (a new journal over old services), or an action builds
    its request from something that differs between attempts, such as the time.
    """


class Participant:
    """Answers each key once, in the database where the effect takes place.

    Plain functions become the callables of a step by `action`; `act`, `compensate`, `outcome`
    and `confirm` are what those are made of.

    Parameters:
        service: its name in error messages.
        engine: the service's own database; the table ``sagakit_inbox`` is created in it, or
            brought up to date. On SQLite its transactions should begin with
            ``BEGIN IMMEDIATE``, see `open_database`.
        now: the time in seconds since 1970, by which holds expire. Processes that share a
            database should have clocks that agree.
    """

    def __init__(self, service: str, engine: Engine, now: Callable[[], float] = time.time) -> None:
        self.service = service
        self._engine = engine
        self._now = now
        self._undos: dict[str, Undo] = {}  # by the name of the hold
        with engine.begin() as connection:
            inbox.create(connection)

    @overload
    def action(
        self,
        function: Callable[..., Reply],
        /,
        *,
        request: Callable[[Any], Any] | None = None,
        keep_refusal: bool = True,
        expires_after: float | None = None,
    ) -> Action[Reply]: ...
    @overload
    def action(
        self,
        /,
        *,
        request: Callable[[Any], Any] | None = None,
        keep_refusal: bool = True,
        expires_after: float | None = None,
    ) -> Callable[[Callable[..., Reply]], Action[Reply]]: ...
    def action(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        request: Callable[[Any], Any] | None = None,
        keep_refusal: bool = True,
        expires_after: float | None = None,
    ) -> Any:
        """Make a plain function the action of a step: ``@participant.action``, or with options.

        ::

            @participant.action
            def charge(connection, request: Charge) -> Receipt: ...

            @charge.compensation
            def refund(connection, receipt: Receipt): ...

            step(charge, refund, reconcile=charge.reconcile)

        Parameters:
            function: ``(connection, request)`` or ``(connection, request, ctx)``. It runs inside
                the transaction, once for each key, and writes through the connection only. What
                it returns comes back as its return annotation says, plain JSON data without one.
                From ``ctx`` take only what every attempt repeats.
            request: makes of ``ctx`` the request, whose fingerprint is stored; ``ctx.input``
                when left out. It is converted to the annotation of the function's second
                parameter, so a msgspec Struct there picks out its fields and checks them.
            keep_refusal: as for `act`.
            expires_after: makes the effect a hold for so many seconds: ``charge.compensation``
                undoes it when they are over, unless ``charge.confirmation`` came before.

        Raises:
            DefinitionError: the function has no name, is async, or takes other parameters; or
                the limit is no positive number.
        """

        def decorate(function: Callable[..., Any]) -> Action[Any]:
            return Action(self, function, request, keep_refusal, expires_after)

        return decorate if function is None else decorate(function)

    def hold(self, name: str, undo: Undo, *, expires_after: float) -> Hold:
        """Declare a kind of reservation with a time limit; pass it to `act`.

        Declare it whenever the service starts: what was held by an earlier process is expired
        by this ``undo``, found by the name. A name declared again gets the new ``undo``.

        Parameters:
            name: tells this kind from the service's others; it is stored in each row.
            undo: takes the connection and what the action returned; the same as the
                compensation's, as a rule.
            expires_after: seconds. A hold keeps the limit that it began with.

        Raises:
            DefinitionError: the limit is no positive number.
        """
        made = Hold(name, expires_after)
        self._undos[name] = undo
        return made

    def act(
        self,
        key: str,
        request: Any,
        effect: Effect,
        *,
        keep_refusal: bool = True,
        hold: Hold | None = None,
    ) -> Any:
        """Do an action's effect once, however often its request arrives.

        Parameters:
            key: ``ctx.idempotency_key``.
            request: plain data that says what is asked; a repeat must bring the same.
            effect: writes through the connection it is given and returns plain JSON data. It
                runs inside the transaction, so it must not touch anything else.
            keep_refusal: whether a `TerminalError` is the answer for ever; give ``False`` only
                for steps after the pivot.
            hold: makes the effect one that expires unless it is confirmed. A repeat does not
                prolong it.

        Returns:
            what the effect returned, as JSON gives it back; a repeat returns the same.

        Raises:
            DefinitionError: the hold was not declared with this participant.
            TerminalError: the effect refused, now or before; or the key is fenced, because its
                compensation or a reconcile came first; or it was a hold whose time is up.
            KeyReusedError: the key was used for another request.
        """
        step = _step_of(key, "action")
        if hold is not None:
            self._undo_of(hold.name)  # what cannot be undone must not begin
        fingerprint = sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()
        try:
            row = self._perform(step, fingerprint, effect, hold)
        except TerminalError as refusal:  # its transaction is rolled back
            if not keep_refusal:
                raise
            refused = Row("refused", fingerprint, inbox.encode(str(refusal)))
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
            what ``undo`` returned; ``None`` when the action never took effect, or was a hold
            that expired.

        Raises:
            TerminalError: ``undo`` refused; nothing is stored, a later retry calls it again.
        """
        step = _step_of(key, "compensation")
        with self._engine.begin() as connection:
            row = self._current(connection, step)
            if row is None:
                row = inbox.add(connection, step, Row("fenced"))
            elif row.state in ("done", "held"):
                answer = inbox.encode(undo(connection, inbox.decode(row.reply)))
                row = inbox.settle(connection, step, row, "undone", answer)
        return inbox.decode(row.undo_reply)

    def outcome(self, key: str) -> Happened | Literal[False]:
        """Whether an action's effect stands; if it does not, the key is fenced and never will.

        A step's ``reconcile`` can return this as it is: a no is final, and so is a yes but for
        holds, which may still expire.

        Parameters:
            key: ``ctx.idempotency_key`` of the action.
        """
        step = _step_of(key, "action")
        row = self._settle(step, Row("fenced"))
        return Happened(inbox.decode(row.reply)) if row.state in ("done", "held") else False

    def confirm(self, key: str, held: str, effect: Undo) -> Any:
        """Lift the time limit of a hold, as a step of its own. It can still be compensated.

        A confirmation is an action: a repeat gets the same reply, ``outcome(key)`` tells
        whether it happened. A hold without a limit is confirmed too, so that a limit can be
        switched off or on while executions are under way.

        Parameters:
            key: ``ctx.idempotency_key`` of the confirming step.
            held: the key of the hold's action: ``f"{ctx.execution_id}/reserve_stock/action"``.
            effect: takes the connection and what the hold's action returned; returns plain JSON
                data. Runs in the same transaction.

        Raises:
            TerminalError: the hold expired, or there is none that could be confirmed; or
                ``effect`` refused. The refusal is the answer for ever.
        """
        step = _step_of(held, "action")

        def confirmed(connection: Connection) -> Any:
            row = inbox.find(connection, step)
            state = "expired" if self._is_due(row) else row.state if row else "missing"
            if row is None or state not in ("done", "held"):
                raise TerminalError(
                    f"service '{self.service}' cannot confirm '{held}': it {_unconfirmed(state)}"
                )
            if state == "held":
                inbox.settle(connection, step, row, "done")
            return effect(connection, inbox.decode(row.reply))

        try:
            return self.act(key, {"confirm": step}, confirmed)
        except TerminalError:
            self._expire(step)  # the refusal rolled its own transaction back
            raise

    def sweep(self) -> int:
        """Expire every hold whose time is up; how many this call expired.

        Call it now and then, from a timer or before work that needs what may have come free.
        Each hold has a transaction of its own, so one that fails does not keep the others.

        Raises:
            ExceptionGroup: what the undos raised that failed; their holds stay as they were and
                come up again in the next sweep.
        """
        with self._engine.begin() as connection:
            steps = inbox.due(connection, self._now())
        expired, failures = 0, []
        for step in steps:
            try:
                expired += self._expire(step)
            except Exception as failure:  # noqa: BLE001  user code may raise anything
                failure.add_note(f"service '{self.service}' could not expire the hold '{step}'")
                failures.append(failure)
        if failures:
            raise ExceptionGroup(f"service '{self.service}': holds that cannot expire", failures)
        return expired

    def requests(self) -> int:
        """How many steps have been asked of this service so far."""
        with self._engine.begin() as connection:
            return inbox.count(connection)

    def _perform(self, step: str, fingerprint: str, effect: Effect, hold: Hold | None) -> Row:
        """The stored answer, or the effect and its answer in one transaction."""
        with self._engine.begin() as connection:
            row = self._current(connection, step)
            if row is None:
                reply = inbox.encode(effect(connection))
                row = Row("done", fingerprint, reply)
                if hold is not None:
                    until = self._now() + hold.expires_after
                    row = row._replace(state="held", expires_at=until, hold=hold.name)
                inbox.add(connection, step, row)
            return row

    def _settle(self, step: str, row: Row) -> Row:
        """Store this answer unless there is one; the answer that stands."""
        with self._engine.begin() as connection:
            return self._current(connection, step) or inbox.add(connection, step, row)

    def _expire(self, step: str) -> bool:
        """Expire a hold if its time is up and nobody came before; whether this call did."""
        with self._engine.begin() as connection:
            row = inbox.find(connection, step)
            return row is not None and self._lapse(connection, step, row) is not row

    def _current(self, connection: Connection, step: str) -> Row | None:
        """The row as it stands now: a hold whose time is up is expired first."""
        row = inbox.find(connection, step)
        return None if row is None else self._lapse(connection, step, row)

    def _lapse(self, connection: Connection, step: str, row: Row) -> Row:
        if not self._is_due(row):
            return row
        self._undo_of(row.hold)(connection, inbox.decode(row.reply))
        return inbox.settle(connection, step, row, "expired")

    def _undo_of(self, hold: str | None) -> Undo:
        if hold not in self._undos:
            raise DefinitionError(
                f"service '{self.service}': hold '{hold}'",
                ["has no undo; declare its compensation (or the hold) when the service starts"],
            )
        return self._undos[hold]

    def _is_due(self, row: Row | None) -> bool:
        return row is not None and row.expires_at is not None and self._now() >= row.expires_at

    def _answer(self, row: Row, key: str, fingerprint: str) -> Any:
        """What a stored row says to a request for the action."""
        if row.state in _LATE:
            raise TerminalError(
                f"service '{self.service}' refuses the late action '{key}': its step"
                f" {_LATE[row.state]}"
            )
        if row.request != fingerprint:
            raise KeyReusedError(
                f"service '{self.service}' knows the key '{key}' from another request; give each"
                " execution its own id, and build the request only from ctx.input and ctx.results"
            )
        if row.state == "refused":
            raise TerminalError(inbox.decode(row.reply))
        return inbox.decode(row.reply)


def _unconfirmed(state: str) -> str:
    """Why a confirmation is refused, by the state of what it would confirm."""
    if state == "expired":
        return "expired before its confirmation came, and was undone"
    if state == "missing":
        return "was never asked for; name the step that holds, and confirm after it"
    return f"is {state}"


def _step_of(key: str, expected: str) -> str:
    """``order-7/charge``, from ``order-7/charge/action`` and ``…/compensation`` alike."""
    step, _, kind = key.rpartition("/")
    if not step or kind != expected:
        raise ValueError(
            f"the key '{key}' does not end in '/{expected}'; pass ctx.idempotency_key as it is"
        )
    return step
