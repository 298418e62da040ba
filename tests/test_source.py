"""``python_source``: run, it gives the saga it was written from; it reads as one would write it."""

from __future__ import annotations

import datetime
import json
import math
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language import Books, built, worlds
from sagas import sagas

from sagakit import (
    Bulkhead,
    CircuitBreaker,
    RateLimit,
    Retry,
    RetryBudget,
    Saga,
    Service,
    Simulated,
    Step,
    await_event,
    choice,
    for_each,
    pivot,
    step,
    sub_saga,
    timer,
)
from sagakit.connectors import CATALOGUE, Cel, Http, Secret
from sagakit.source import python_source, write
from sagakit.steps import Choose, ForEach, Nested, Wait

SAGAS = sorted((Path(__file__).parent.parent / "data" / "sagas").rglob("*.yaml"))


class Order(msgspec.Struct):
    customer: str


def create_order(ctx: Any) -> None:
    """An action that can be imported."""


def cancel_order(ctx: Any) -> None:
    """And its compensation."""


class Shop:
    @staticmethod
    def pay(ctx: Any) -> None: ...

    @classmethod
    def pay_back(cls, ctx: Any) -> None: ...

    def ship(self, ctx: Any) -> None: ...


def run(saga: Saga) -> Any:
    """What the text of a saga declares, run where nothing else is but what it asks for."""
    made = write(saga)
    found: dict[str, Any] = dict(made.scope)
    exec(made.text, found)  # noqa: S102  that is what is tested
    return found[made.name]


# -- values of any kind ---------------------------------------------------------------------

TEXTS = st.text(max_size=30) | st.sampled_from(["it's", 'say "so"', "'\"", "a\\'b", "\\", "\n\t"])
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = (
    st.recursive(
        ATOMS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
        max_leaves=8,
    )
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(datetime.UTC))
    | st.timedeltas()
    | st.binary(max_size=5)
)
NAMES = st.text(st.characters(exclude_characters="/"), min_size=1, max_size=12).filter(
    str.isprintable
)
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "breaker": st.builds(CircuitBreaker, failures=st.integers(1, 9), reset=st.floats(1, 9)),
        "bulkhead": st.builds(Bulkhead, calls=st.integers(1, 9)),
        "rate_limit": st.builds(RateLimit, calls=st.integers(1, 9), burst=st.integers(1, 3)),
        "retry_budget": st.builds(RetryBudget, ratio=st.floats(0, 1)),
    },
)


@st.composite
def adorned(draw: st.DrawFn) -> Saga:
    """A saga of any shape, whose texts, values and options are as odd as they may be."""
    base = draw(sagas(most=4))
    steps = [_adorned(draw, item) for item in base.steps]
    guarded = [Service("bank", **draw(POLICIES))] if draw(st.booleans()) else []
    owned = next((n for n, item in enumerate(steps) if isinstance(item.action, Simulated)), None)
    if owned is None:
        guarded = []
    else:
        steps[owned] = msgspec.structs.replace(steps[owned], service="bank")
    return Saga(
        draw(NAMES),
        *steps,
        version=draw(st.none() | TEXTS),
        description=draw(TEXTS),
        deadline=draw(st.none() | st.floats(0.001, 1e20)),
        services=guarded,
        redact=draw(st.lists(st.sampled_from(["card", "iban"]), unique=True)),
        input_schema=draw(st.none() | st.just({"type": "object", "title": "It's"})),
    )


def _adorned(draw: st.DrawFn, item: Step) -> Step:
    change: dict[str, Any] = {"description": draw(TEXTS)}
    if isinstance(item.action, Simulated):
        change["action"] = draw(
            st.builds(Simulated, name=NAMES | st.just(""), latency=st.floats(0, 9), result=VALUES)
        )
        change["timeout"] = draw(st.none() | st.floats(0.1, 1e6))
        change["idempotent"] = draw(st.booleans())
    return msgspec.structs.replace(item, **change)


# -- it gives the same saga -----------------------------------------------------------------


@pytest.mark.parametrize("path", SAGAS, ids=lambda path: path.stem)
def test_the_text_of_an_example_gives_an_equal_saga(path: Path) -> None:
    saga = Saga.from_yaml(path)
    assert run(saga) == saga
    assert not write(saga).scope


@given(sagas())
def test_the_text_of_a_saga_of_any_shape_gives_an_equal_one(saga: Saga) -> None:
    assert run(saga) == saga


@given(adorned())
def test_odd_texts_values_and_options_come_back_as_they_are(saga: Saga) -> None:
    again = run(saga)
    assert again == saga
    for old, new in zip(saga.steps, again.steps):
        assert repr(new) == repr(old)  # True is not 1, nor is 1.0


@given(worlds())
@settings(max_examples=50)
def test_the_text_of_real_callables_gives_an_equal_saga_where_they_are_in_scope(
    world: Any,
) -> None:
    saga, _ = built(world, Books())
    assert run(saga) == saga


def test_what_can_be_imported_is_and_needs_nothing_else() -> None:
    saga = Saga(
        "order",
        step(create_order, cancel_order, retry=Retry(3, on=(KeyError,))),
        step(Shop.pay, Shop.pay_back),
        pivot(math.sqrt, reconcile=print),
        input=Order,
    )
    made = write(saga)
    assert made.scope == {}
    assert f"from {__name__} import Order, Shop, cancel_order, create_order" in made.text
    assert "step(Shop.pay, compensation=Shop.pay_back)," in made.text
    assert run(saga) == saga


def test_a_comment_lists_what_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    monkeypatch.setattr(sys.modules["__main__"], "shop", shop, raising=False)
    named = partial(create_order)
    monkeypatch.setattr(sys.modules["__main__"], "hurried", named, raising=False)
    saga = Saga("s", step(shop.ship, lambda: 1), step(named, name="hurry"))
    made = write(saga)
    assert made.text.startswith(
        "# Defined beside it: hurried, shop\n\n"
        "# To be given these names before it runs: ship_compensation\n"
    )
    assert "step(shop.ship, compensation=ship_compensation)," in made.text
    assert run(saga) == saga


def test_two_callables_of_one_name_are_told_apart() -> None:
    def twin(result: int) -> Any:
        def act() -> int:
            return result

        return act

    saga = Saga("s", step(twin(1), name="one"), step(twin(2), name="two"))
    assert set(write(saga).scope) == {"act", "act_2"}
    assert run(saga) == saga


def test_a_notebooks_function_keeps_its_name_even_if_it_is_one_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = "def step(ctx): ...\ndef Saga(ctx): ...\ndef datetime(ctx): ..."
    exec(source, vars(sys.modules["__main__"]))  # noqa: S102
    main = sys.modules["__main__"]
    names = ("step", "Saga", "datetime")
    theirs = [getattr(main, name) for name in names]
    for name in names:
        monkeypatch.delattr(main, name)
        monkeypatch.setattr(main, name, theirs[names.index(name)], raising=False)
    result = Simulated("x", result=datetime.date(2026, 11, 30))
    saga = Saga("s", *(step(function) for function in theirs), step(result))
    assert "step as sagakit_step" in python_source(saga)
    assert run(saga) == saga


def test_a_value_that_python_has_no_text_for_is_asked_for_by_name() -> None:
    order = Order("ALFKI")
    saga = Saga("s", step(Simulated("create", result=order)))
    assert write(saga).scope == {"create_result": order}
    assert run(saga) == saga


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.kind)
def test_every_kind_of_connector_is_written_out(entry: Any) -> None:
    saga = Saga.from_yaml(json.dumps({"saga": "s", "steps": [entry.step]}))
    made = write(saga)
    assert not made.scope
    assert run(saga) == saga
    assert _reformatted(made.text, 88) == made.text


def test_connectors_and_expressions_are_written_out() -> None:
    call = Http(
        "https://bank.example/payments",
        method="POST",
        headers={"Authorization": Secret("BANK_TOKEN", prefix="Bearer ")},
        json={"amount": "${input.amount}", "share": 1.0},
        expect=(200, 201),
        timeout=5,
        example={"id": 1},
    )
    saga = Saga(
        "s",
        step(call, name="pay", when=Cel("input.amount > 100")),
        await_event("paid", timeout=Cel("input.days * 86400.0")),
        for_each("all", Cel("input.lines"), step(Simulated("x"))),
    )
    text = python_source(saga)
    assert "from sagakit.connectors import Cel, Http, Secret\n" in text
    assert "timeout=5,\n" in text
    assert '"share": 1.0' in text
    assert 'Secret("BANK_TOKEN", prefix="Bearer ")' in text
    assert run(saga) == saga
    assert _reformatted(text, 88) == text


# -- it reads as one would write it ---------------------------------------------------------


def test_steps_stand_in_the_form_that_the_readme_teaches() -> None:
    saga = Saga(
        "order",
        step(create_order, cancel_order),
        timer("night", 3600),
        await_event("paid", timeout=60),
        pivot(create_order, name="confirm", after=("night", "paid")),
        sub_saga(Saga("post", step(cancel_order))),
        version=2,
    )
    assert python_source(saga) == (
        "from sagakit import Saga, await_event, pivot, step, sub_saga, timer\n"
        f"from {__name__} import cancel_order, create_order\n"
        "\n"
        'post = Saga("post", step(cancel_order))\n'
        "\n"
        "order = Saga(\n"
        '    "order",\n'
        "    step(create_order, compensation=cancel_order),\n"
        '    timer("night", 3600),\n'
        '    await_event("paid", timeout=60),\n'
        '    pivot(create_order, name="confirm", after=("night", "paid")),\n'
        "    sub_saga(post),\n"
        '    version="2",\n'
        ")\n"
    )


def test_a_choice_stands_with_its_branches_and_those_within() -> None:
    sim = Simulated
    inner = choice("how", sim("by"), {"p": step(sim("i")), "q": await_event("e")})
    saga = Saga(
        "s",
        *choice("way", sim("by"), {"air": step(sim("a")), "sea": [step(sim("b")), *inner]}),
        step(sim("z")),
    )
    text = python_source(saga)
    assert "branch=" not in text
    assert text.count("*choice(") == 2
    assert run(saga) == saga


def test_branches_that_stand_apart_say_where_they_belong() -> None:
    sim = Simulated
    saga = Saga(
        "s",
        step(Choose(sim("by")), name="way"),
        step(sim("a"), branch=("way", "air"), after="way"),
        step(sim("b"), branch=("way", "sea"), after="way"),
        step(sim("c"), branch=("way", "air"), after="a"),
        step(sim("d")),
        step(Wait(event="e"), name="w", branch=("way", "sea"), after="b"),
        step(Nested(Saga("in", step(sim("i")))), name="n", branch=("way", "sea"), after="b"),
        step(ForEach(sim("l"), step(sim("j"))), name="f", branch=("way", "sea"), after="b"),
    )
    assert run(saga) == saga


def test_an_inner_saga_that_is_used_twice_is_declared_once() -> None:
    inner = Saga("in", step(Simulated("i")))
    saga = Saga("s", sub_saga(inner), for_each("all", Simulated("items"), inner))
    text = python_source(saga)
    assert text.count('Saga("in"') == 1
    assert 'for_each("all", Simulated("items"), _in)' in text
    assert run(saga) == saga


# -- its layout is what a formatter would make of it ----------------------------------------


def _reformatted(text: str, width: int) -> str:
    pytest.importorskip("ruff")
    command = [sys.executable, "-m", "ruff", "format", "--isolated", f"--line-length={width}", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("width", [88, 100])
@pytest.mark.parametrize("path", SAGAS, ids=lambda path: path.stem)
def test_ruff_leaves_the_text_of_an_example_as_it_is(path: Path, width: int) -> None:
    text = python_source(Saga.from_yaml(path))
    assert _reformatted(text, width) == text


@given(adorned(), st.sampled_from([88, 100]))
@settings(max_examples=40)
def test_ruff_leaves_the_text_of_any_saga_as_it_is(saga: Saga, width: int) -> None:
    text = python_source(saga)
    assert _reformatted(text, width) == text
