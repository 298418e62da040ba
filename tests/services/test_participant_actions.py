"""Plain functions made safe by decorators, by hand and inside a saga."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, select
from till import LIMIT, effects, tables

from sagakit import Saga, SagaBuilder, Scenario, pivot, simulate, step
from sagakit.errors import DefinitionError, TerminalError
from sagakit.services import KeyReusedError, Participant, open_database
from sagakit.steps import Happened


class Charge(msgspec.Struct, frozen=True):
    amount: int


class Receipt(msgspec.Struct, frozen=True):
    number: int
    amount: int


class Shop:
    """The services of a saga in one database, declared by decorators."""

    def __init__(self, expires_after=None):
        self.engine = open_database(None, tables)
        self.time = 0.0
        self.calls: list[Any] = []
        self.participant = participant = Participant("shop", self.engine, lambda: self.time)

        @participant.action(expires_after=expires_after)
        def charge(connection, request: Charge) -> Receipt:
            """Take the money."""
            self.calls.append(request)
            if request.amount > 100:
                raise TerminalError("too much")
            connection.execute(insert(effects), {"n": request.amount})
            return Receipt(len(self.calls), request.amount)

        @charge.compensation
        def refund(connection, receipt: Receipt) -> int:
            """Give it back."""
            self.calls.append(receipt)
            connection.execute(insert(effects), {"n": -receipt.amount})
            return receipt.number

        @charge.confirmation
        def keep(connection, receipt: Receipt) -> Receipt:
            self.calls.append(("keep", receipt))
            return receipt

        self.charge, self.refund, self.keep = charge, refund, keep

    def rows(self):
        with self.engine.begin() as connection:
            return list(connection.execute(select(effects.c.n).order_by(effects.c.id)).scalars())


@pytest.fixture
def shop():
    shop = Shop()
    yield shop
    shop.engine.dispose()


@pytest.fixture
def expiring():
    shop = Shop(expires_after=LIMIT)
    yield shop
    shop.engine.dispose()


def call(step="charge", side="action", execution="order-7", **data):
    return SimpleNamespace(
        input=data or {"amount": 5, "customer": "VINET"},
        results={},
        execution_id=execution,
        idempotency_key=f"{execution}/{step}/{side}",
    )


def test_a_repeat_gets_the_stored_reply_in_the_annotated_type(shop):
    assert [shop.charge(call()), shop.charge(call())] == [Receipt(1, 5)] * 2
    assert shop.rows() == [5]


def test_the_request_is_the_part_of_the_input_that_the_annotation_names(shop):
    shop.charge(call())
    assert shop.calls == [Charge(5)]
    shop.charge(call(amount=5, customer="another"))  # not what is asked for
    with pytest.raises(KeyReusedError):
        shop.charge(call(amount=6))


def test_an_input_that_does_not_fit_is_refused_by_field_before_anything_is_stored(shop):
    with pytest.raises(TerminalError, match=r"service 'shop' .* request of 'charge'.*`\$\.amount`"):
        shop.charge(call(amount="5"))
    assert shop.participant.requests() == 0


def test_the_compensation_is_given_the_reply_in_its_annotated_type(shop):
    shop.charge(call())
    assert [shop.refund(call(side="compensation")) for _ in range(2)] == [1, 1]
    assert shop.calls[1:] == [Receipt(1, 5)]
    assert shop.rows() == [5, -5]


def test_null_compensation_and_suspension_hold_for_decorated_functions(shop):
    assert shop.refund(call(side="compensation")) is None
    with pytest.raises(TerminalError, match="refuses the late action"):
        shop.charge(call())
    assert shop.calls == []


def test_reconcile_answers_with_the_reply_in_its_type_or_fences(shop):
    reply = shop.charge(call())
    assert shop.charge.reconcile(call()) == Happened(reply)
    assert shop.charge.reconcile(call(execution="order-8")) is False
    with pytest.raises(TerminalError, match="was fenced"):
        shop.charge(call(execution="order-8"))


def test_names_docstrings_and_annotations_are_those_of_the_functions(shop):
    made = step(shop.charge, shop.refund, reconcile=shop.charge.reconcile)
    assert (made.name, shop.charge.__doc__) == ("charge", "Take the money.")
    assert (shop.refund.__name__, shop.refund.__doc__) == ("refund", "Give it back.")
    assert made.reconcile.__name__ == "reconcile_charge"
    saga = Saga("shop", made)
    assert saga.plan.actions[0].result_type is Receipt
    assert saga.plan.actions[0].takes_context
    assert repr(shop.charge) == "<Action 'charge' of service 'shop'>"


def test_the_request_may_be_made_of_results_and_the_context_be_asked_for(shop):
    seen = []

    @shop.participant.action(request=lambda ctx: {"of": ctx.results["charge"]})
    def ship(connection, request: dict[str, int], ctx):
        seen.append((request, ctx.execution_id))

    ctx = call("ship")
    ctx.results["charge"] = 5
    assert ship(ctx) is None
    ship(ctx)
    assert seen == [({"of": 5}, "order-7")]
    ctx.results["charge"] = 6
    with pytest.raises(KeyReusedError):
        ship(ctx)


def test_a_function_without_annotations_gets_the_input_and_gives_plain_data(shop):
    @shop.participant.action
    def note(connection, request):
        return (request["amount"], "noted")

    assert [note(call("note")), note(call("note"))] == [[5, "noted"]] * 2


def test_a_reply_that_its_annotation_does_not_fit_is_rolled_back(shop):
    @shop.participant.action
    def charge(connection, request: Charge) -> Receipt:
        connection.execute(insert(effects), {"n": 1})
        return {"number": "one"}  # type: ignore[return-value]

    with pytest.raises(msgspec.ValidationError):
        charge(call())
    assert shop.rows() == []
    assert shop.participant.requests() == 0


def test_a_method_can_be_an_action():
    class Desk:
        def __init__(self):
            self.participant = Participant("desk", open_database(None, tables))
            self.take = self.participant.action(self._take)

        def _take(self, connection, request: Charge) -> int:
            return request.amount

    assert Desk().take(call("take")) == 5


def test_a_refusal_after_the_pivot_can_be_cured(shop):
    open_ = []

    @shop.participant.action(keep_refusal=False)
    def ship(connection, request):
        if not open_:
            raise TerminalError("closed")

    with pytest.raises(TerminalError, match="closed"):
        ship(call("ship"))
    open_.append(True)
    ship(call("ship"))


async def _async(connection, request): ...


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda connection, request: None, "has no name; write it with def"),
        (functools.partial(print, 1), "must take"),
        (_async, "must be a plain function"),
        (call, "must take"),
    ],
    ids=["lambda", "partial", "async", "other parameters"],
)
def test_what_cannot_be_an_action_is_refused_when_it_is_declared(shop, function, problem):
    with pytest.raises(DefinitionError, match=problem):
        shop.participant.action(function)


def test_a_builder_takes_decorated_callables_and_does_not_take_them_over(shop):
    builder = SagaBuilder("shop").add_step(shop.charge, shop.refund)
    assert builder.build().steps[0].compensation is shop.refund
    with pytest.raises(DefinitionError, match="cannot be decorated; use add_step"):
        builder.step(shop.charge)


# -- inside a saga --------------------------------------------------------------------------


def saga_of(shop, last):
    return Saga(
        "shop",
        step(shop.charge, shop.refund, idempotent=True),
        step(shop.keep, reconcile=shop.keep.reconcile, idempotent=True),
        pivot(last),
    )


def close(ctx):
    return "closed"


@pytest.mark.parametrize("fault", ["fail", "lose_reply", "time_out"])
@pytest.mark.parametrize("name", ["charge", "keep"])
def test_whatever_fault_strikes_money_is_kept_by_completed_executions_only(expiring, name, fault):
    scenario = getattr(Scenario(), fault)(name)
    execution = simulate(saga_of(expiring, close), {"amount": 5}, scenario=scenario)
    assert execution.status in ("completed", "compensated")
    kept = 5 if execution.status == "completed" else 0
    assert sum(expiring.rows()) == kept


def test_a_pivot_in_doubt_is_reconciled_with_a_reply_of_its_type(expiring):
    saga = Saga(
        "shop",
        step(expiring.charge, expiring.refund),
        pivot(expiring.keep, reconcile=expiring.keep.reconcile),
    )
    execution = simulate(saga, {"amount": 5}, scenario=Scenario().lose_reply("keep"))
    assert execution.status == "completed"
    assert execution.results["keep"] == Receipt(1, 5)
    expiring.time = LIMIT
    assert expiring.participant.sweep() == 0


def test_a_saga_that_takes_too_long_is_compensated_and_undone_once(expiring):
    def dawdle(ctx):
        expiring.time = LIMIT

    saga = Saga(
        "shop",
        step(expiring.charge, expiring.refund),
        step(dawdle),
        pivot(expiring.keep),
    )
    execution = simulate(saga, {"amount": 5})
    assert execution.status == "compensated"
    assert "cannot confirm" in str(execution.error)
    assert expiring.rows() == [5, -5]


# -- holds ----------------------------------------------------------------------------------


def test_an_expired_hold_is_undone_by_the_decorated_compensation(expiring):
    expiring.charge(call())
    expiring.time = LIMIT
    assert expiring.participant.sweep() == 1
    assert expiring.calls[1:] == [Receipt(1, 5)]
    assert expiring.refund(call(side="compensation")) is None
    assert expiring.rows() == [5, -5]


def test_a_confirmation_finds_the_hold_by_its_step(expiring):
    expiring.charge(call())
    assert [expiring.keep(call("keep")) for _ in range(2)] == [Receipt(1, 5)] * 2
    assert expiring.calls[1:] == [("keep", Receipt(1, 5))]


def test_a_hold_in_a_step_of_another_name_is_found_when_it_is_given(expiring):
    @expiring.charge.confirmation(step="take_money")
    def keep_it(connection, receipt: Receipt) -> Receipt:
        return receipt

    expiring.charge(call("take_money"))
    assert keep_it(call("keep_it")) == Receipt(1, 5)
    with pytest.raises(TerminalError, match="'order-7/charge/action': it was never asked for"):
        expiring.keep(call("keep"))


def test_an_action_that_expires_without_an_undo_never_begins(shop):
    @shop.participant.action(expires_after=LIMIT)
    def reserve(connection, request: Charge) -> int:
        connection.execute(insert(effects), {"n": 1})
        return 1

    with pytest.raises(DefinitionError, match="hold 'reserve': has no undo"):
        reserve(call("reserve"))
    assert shop.rows() == []


def test_a_limit_that_is_no_time_is_refused_when_it_is_declared(shop):
    with pytest.raises(DefinitionError, match="no positive number of seconds"):

        @shop.participant.action(expires_after=-1)
        def reserve(connection, request): ...
