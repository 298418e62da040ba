"""The builder: a saga step by step, and the program that every tutorial shows."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from sagakit import (
    DefinitionError,
    Execution,
    Retry,
    Saga,
    SagaBuilder,
    Scenario,
    Step,
    await_event,
    choice,
    for_each,
    pivot,
    step,
    sub_saga,
    timer,
)


def a() -> None: ...
def b() -> None: ...
def c() -> None: ...
def undo() -> None: ...


TUTORIAL = """
from sagakit import SagaBuilder as SagaOrchestrator

def charge_payment():
    print("Payment charged")

def refund_payment():
    print("Payment refunded")

def reserve_stock():
    print("Stock reserved")

def release_stock():
    print("Stock released")

def ship_order():
    {ship}

saga = SagaOrchestrator()
saga.add_step(charge_payment, refund_payment)
saga.add_step(reserve_stock, release_stock)
saga.add_step(ship_order, None)
result = saga.execute()
print(type(result).__name__, result.status)
"""


def _output(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_tutorial_program_runs_unchanged() -> None:
    assert _output(TUTORIAL.format(ship='print("Shipped")')) == [
        "Payment charged",
        "Stock reserved",
        "Shipped",
        "Execution completed",
    ]


def test_the_failing_tutorial_program_rolls_back_and_does_not_raise() -> None:
    assert _output(TUTORIAL.format(ship='raise Exception("no carrier")')) == [
        "Payment charged",
        "Stock reserved",
        "Stock released",
        "Payment refunded",
        "Execution compensated",
    ]


def test_the_tutorial_program_runs_inside_a_running_loop_as_in_a_notebook() -> None:
    body = TUTORIAL.format(ship='print("Shipped")').replace("\n", "\n    ")
    program = f"import asyncio\nasync def cell():\n    {body}\nasyncio.run(cell())"
    assert _output(program)[-1] == "Execution completed"


def test_execute_takes_an_input_and_a_scenario() -> None:
    def seen(ctx: Any) -> Any:
        return ctx.input

    saga = SagaBuilder("s").add_step(seen).add_step(a)
    assert saga.execute({"n": 1}).results["seen"] == {"n": 1}
    execution = saga.execute(scenario=Scenario().fail("a"))
    assert isinstance(execution, Execution)
    assert (execution.status, execution.failed_step) == ("compensated", "a")


def test_the_error_of_a_failed_step_is_kept() -> None:
    def boom() -> None:
        raise ValueError("no money")

    execution = SagaBuilder().add_step(a, undo).add_step(boom).execute()
    assert execution.error is not None
    assert execution.error.message == "no money"
    assert "in boom" in execution.error.traceback


def test_the_builder_and_the_declaration_are_equal_when_they_say_the_same() -> None:
    saga = SagaBuilder("s", version=2, deadline=9, description="d", input_schema={})
    saga.add_step(a, undo, retry=Retry(2), timeout=1).add_step(b, after="a").add_step(c, pivot=True)
    declared = Saga(
        "s",
        step(a, undo, retry=Retry(2), timeout=1),
        step(b),
        pivot(c),
        version=2,
        deadline=9,
        description="d",
        input_schema={},
    )
    assert saga.build() == declared
    assert Saga.from_yaml(declared.to_yaml(), [a, b, c, undo]) == saga.build()


def test_decorators_make_steps_and_leave_the_functions_as_they_were() -> None:
    saga = SagaBuilder("s")

    @saga.step
    def charge() -> int:
        return 1

    @charge.compensation
    def refund() -> int:
        return 2

    @saga.step(after=(), service="store", name="stock")
    def reserve() -> int:
        return 3

    @reserve.compensation
    def release() -> int:
        return 4

    assert (charge(), refund(), reserve(), release()) == (1, 2, 3, 4)
    assert saga.build() == Saga(
        "s", step(charge, refund), step(reserve, release, name="stock", after=(), service="store")
    )


def test_a_decorator_takes_a_compensation_too() -> None:
    saga = SagaBuilder("s")

    @saga.step(compensation=undo)
    async def charge() -> None: ...

    assert saga.build() == Saga("s", step(charge, undo))


def _cell(saga: SagaBuilder, result: int) -> Callable[[], int]:
    """Run a cell that defines and adds ``charge``, as a notebook does: compiled anew."""
    names: dict[str, Any] = {"saga": saga}
    exec(  # noqa: S102
        f"def charge(): return {result}\ndef refund(): ...\nsaga.add_step(charge, refund)", names
    )
    found: Callable[[], int] = names["charge"]
    return found


def test_running_a_cell_again_replaces_its_step_in_its_place() -> None:
    saga = SagaBuilder("s")
    _cell(saga, 1)
    saga.add_step(b)
    for result in (1, 2):
        again = _cell(saga, result)
        built = saga.build()
        assert [s.name for s in built.steps] == ["charge", "b"]
        assert built.steps[0].action is again
    assert saga.execute().results["charge"] == 2


def test_running_a_cell_of_decorators_again_replaces_its_step() -> None:
    saga = SagaBuilder("s")
    cell = compile(
        "@saga.step(timeout=3)\ndef charge(): ...\n@charge.compensation\ndef refund(): ...",
        "cell",
        "exec",
    )
    for _ in range(2):
        exec(cell, {"saga": saga})  # noqa: S102
    assert len(saga.build().steps) == 1


def test_a_function_that_is_made_again_from_the_same_data_replaces_its_step() -> None:
    saga = SagaBuilder("s")

    def cell() -> None:
        @saga.step
        def charge() -> str:
            return saga.name

    cell()
    cell()
    saga.add_step(_make(1)).add_step(_make(1)).add_step(functools.partial(max, 1, 2))
    saga.add_step(functools.partial(max, 1, 2))
    assert [s.name for s in saga.build().steps] == ["charge", "made", "max"]


def test_adding_the_very_same_function_again_replaces_its_step() -> None:
    saga = SagaBuilder("s").add_step(a).add_step(b).add_step(a, undo)
    assert saga.build() == Saga("s", step(a, undo), step(b))


def _make(number: int) -> Callable[[], int]:
    def made() -> int:
        return number

    return made


class Service:
    def __init__(self, number: int = 0) -> None:
        self.number = number

    def execute(self) -> int:
        return self.number


class Other(Service):
    def execute(self) -> int:
        return -1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_make(1), _make(2)),
        (functools.partial(max, 1, 2), functools.partial(max, 3, 4)),
        (functools.partial(_make, 1), functools.partial(_make, 2)),
        (Service(1).execute, Service(2).execute),
        (Service().execute, Other().execute),
    ],
    ids=["closures", "builtin partials", "partials", "one method", "two classes"],
)
def test_two_callables_of_one_name_never_silently_replace_each_other(one: Any, other: Any) -> None:
    saga = SagaBuilder("s").add_step(one)
    with pytest.raises(DefinitionError, match=r"saga 's': two callables are named .*name="):
        saga.add_step(other)
    saga.add_step(other, name="second")
    assert len(saga.build().steps) == 2


def test_a_name_given_is_meant_and_replaces() -> None:
    saga = SagaBuilder("s").add_step(_make(1), name="x").add_step(_make(2), name="x")
    assert saga.execute().results == {"x": 2}


def test_lambdas_are_numbered_and_never_take_a_name_that_is_taken() -> None:
    saga = SagaBuilder("s")
    saga.add_step(a, name="step_2").add_step(lambda: 1).add_step(lambda: 2)
    results = saga.execute().results
    assert list(results) == ["step_2", "step_3", "step_4"]
    assert list(results.values()) == [None, 1, 2]


def test_a_compensation_whose_step_is_gone_is_refused() -> None:
    saga = SagaBuilder("s")

    @saga.step
    def charge() -> None: ...

    saga._steps.clear()
    with pytest.raises(DefinitionError, match="step 'charge' is gone; run its cell again"):
        charge.compensation(undo)


def test_what_cannot_be_decorated_says_what_to_do() -> None:
    with pytest.raises(DefinitionError, match="cannot be decorated; use add_step"):
        SagaBuilder("s").step(len)


def test_a_built_saga_does_not_change_with_its_builder() -> None:
    saga = SagaBuilder("s").add_step(a)
    built = saga.build()
    saga.add_step(b)
    assert built == Saga("s", step(a))


def test_problems_are_told_when_it_is_built() -> None:
    saga = SagaBuilder("s").add_step(a, after="z").add_step(b, timeout=-1)
    with pytest.raises(DefinitionError, match="saga 's' has 2 problems"):
        saga.build()
    with pytest.raises(DefinitionError):
        saga.execute()


def test_a_repr_never_raises() -> None:
    assert repr(SagaBuilder()) == "<SagaBuilder 'saga': 0 steps>"
    assert SagaBuilder()._repr_html_() is None
    assert repr(SagaBuilder("s").add_step(a)) == "<SagaBuilder 's': 1 step>"
    html = SagaBuilder("s").add_step(a)._repr_html_()
    assert html is not None
    assert "data:image/svg+xml;base64," in html


def test_a_builder_says_what_keeps_it_from_being_built() -> None:
    builder = SagaBuilder("trip").add_step("book_hotel")  # type: ignore[arg-type]
    assert "cannot be built: step 'step_1': its action is 'book_hotel'" in repr(builder)
    assert builder._repr_html_() is None
    builder.remove("step_1").add_step(print, name="book")
    assert repr(builder) == "<SagaBuilder 'trip': 1 step>"


# -- the whole language ---------------------------------------------------------------------


def by() -> str:
    return "left"


def left_or_right(**branches: Any) -> tuple[Step, ...]:
    return choice("way", by, branches or {"left": step(a), "right": step(b)})


def names(builder: SagaBuilder) -> list[str]:
    return [item.name for item in builder.build().steps]


def every_construct(limit: int = 2) -> list[Any]:
    return [
        await_event("paid", timeout=0.001, on_timeout="continue"),
        timer("cool", 0.001),
        sub_saga(Saga("inner", step(c, undo))),
        for_each("lines", list, step(c, undo), limit=limit),
        left_or_right(),
    ]


def test_every_construct_can_be_added_and_runs() -> None:
    saga = SagaBuilder("s")
    for one in every_construct():
        saga.add_step(one)
    *single, chosen = every_construct()
    assert saga.build() == Saga("s", *single, *chosen)
    assert saga.execute().results["way"] == "left"


@pytest.mark.parametrize("place", range(5), ids=["event", "timer", "saga", "each", "choice"])
def test_running_the_cell_of_any_construct_again_replaces_it(place: int) -> None:
    saga = SagaBuilder("s").add_step(step(undo, name="begin"))
    saga.add_step(every_construct()[place]).add_step(step(undo, name="end"))
    before = saga.build()
    assert saga.add_step(every_construct(limit=3)[place]).build().edges == before.edges
    assert (saga.build() != before) == (place == 3)  # only the fan-out has changed


def test_a_choice_run_again_takes_its_place_with_the_steps_its_branches_have_now() -> None:
    saga = SagaBuilder("s").add_step(c).add_step(left_or_right()).add_step(undo)
    more = left_or_right(left=[step(a), step(print)], right=step(b))
    assert names(saga.add_step(more)) == ["c", "way", "a", "print", "b", "undo"]
    assert saga.build().edges == Saga("s", step(c), *more, step(undo)).edges
    assert names(saga.add_step(left_or_right(right=step(b)))) == ["c", "way", "b", "undo"]
    assert names(saga.add_step(left_or_right())) == ["c", "way", "a", "b", "undo"]


def test_a_choice_run_again_takes_the_choices_within_its_branches_with_it() -> None:
    inner = choice("how", by, {"left": step(a), "right": step(print)})
    saga = SagaBuilder("s").add_step(left_or_right(left=inner, right=step(b))).add_step(c)
    assert names(saga) == ["way", "how", "a", "print", "b", "c"]
    assert names(saga.add_step(left_or_right())) == ["way", "a", "b", "c"]


def test_a_step_that_moves_into_a_branch_stands_there_alone() -> None:
    saga = SagaBuilder("s").add_step(a).add_step(c).add_step(left_or_right())
    assert names(saga) == ["c", "way", "a", "b"]


def test_a_choice_is_removed_with_its_branches() -> None:
    saga = SagaBuilder("s").add_step(c).add_step(left_or_right())
    assert names(saga.remove("way")) == ["c"]


@pytest.mark.parametrize(
    ("given", "cure"),
    [
        ((step(a), step(b)), "saga 's': add_step takes one step, or what choice"),
        ((), "or what choice"),
        ([a, b], "or what choice"),
        ((*left_or_right(), step(c)), "or what choice"),
        (left_or_right(left=step(a), right=step(b, name="a")), "'way' has two steps named 'a'"),
    ],
    ids=["two steps", "nothing", "functions", "one too many", "one name twice"],
)
def test_several_steps_that_are_no_choice_are_refused(given: Any, cure: str) -> None:
    saga = SagaBuilder("s")
    with pytest.raises(DefinitionError, match=cure) as caught:
        saga.add_step(given)
    assert len(str(caught.value)) < 150
    assert repr(saga) == "<SagaBuilder 's': 0 steps>"


def test_a_choice_is_declared_already() -> None:
    with pytest.raises(DefinitionError, match="step 'way' is declared already"):
        SagaBuilder("s").add_step(left_or_right(), timeout=2)
