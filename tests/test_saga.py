"""The definition: a saga is a frozen value, and a bad one is refused with every problem at once."""

from __future__ import annotations

import contextlib
import copy
import functools
import math
import pickle
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagas import sagas

from sagakit import (
    DefinitionError,
    InputError,
    Retry,
    Saga,
    Simulated,
    Step,
    pivot,
    simulate,
    step,
)
from sagakit.views import flow_svg


def a() -> None: ...
def b() -> None: ...
def c(ctx: Any) -> None: ...
def undo() -> None: ...
def two(x: object, y: object) -> None: ...
def only_keyword(*, x: object) -> None: ...
async def waits() -> None: ...


def problems(make: Callable[[], object]) -> tuple[str, ...]:
    with pytest.raises(DefinitionError) as caught:
        make()
    assert caught.value.problems
    return caught.value.problems


def refused(*steps: Any, **options: Any) -> str:
    """The text of the error that this definition gives; it names the saga."""
    with pytest.raises(DefinitionError) as caught:
        Saga("trip", *steps, **options)
    assert "saga 'trip'" in str(caught.value)
    return str(caught.value)


# -- a value --------------------------------------------------------------------------------


def test_sagas_that_say_the_same_are_equal_and_hash_alike() -> None:
    first = Saga("s", step(a, undo), step(b), version=1, deadline=3)
    second = Saga("s", step(a, undo, after=()), step(b, after="a"), version="1", deadline=3.0)
    assert first == second
    assert len({first, second}) == 1


def test_the_order_and_repetition_of_after_do_not_matter() -> None:
    def saga(*after: str) -> Saga:
        return Saga("s", step(a), step(b, after=()), step(c, after=after))

    assert saga("a", "b") == saga("b", "a") == saga("b", "a", "b")
    assert hash(saga("a", "b")) == hash(saga("b", "a"))


DIFFERENT: dict[str, dict[str, Any]] = {
    "compensation": {"compensation": undo},
    "after": {"after": ()},
    "when": {"when": False},
    "pivot": {"pivot": True},
    "retry": {"retry": Retry(2)},
    "timeout": {"timeout": 1},
    "reconcile": {"reconcile": undo},
    "idempotent": {"idempotent": True},
    "service": {"service": "bank"},
    "description": {"description": "x"},
}


@pytest.mark.parametrize("options", DIFFERENT.values(), ids=DIFFERENT)
def test_every_option_of_a_step_makes_a_difference(options: dict[str, Any]) -> None:
    assert Saga("s", step(a), step(b, **options)) != Saga("s", step(a), step(b))


@pytest.mark.parametrize(
    "options",
    [{"version": "2"}, {"deadline": 1}, {"description": "x"}, {"input_schema": {}}],
    ids=str,
)
def test_every_option_of_a_saga_makes_a_difference(options: dict[str, Any]) -> None:
    assert Saga("s", step(a), **options) != Saga("s", step(a))


def test_a_saga_is_not_equal_to_anything_else() -> None:
    assert Saga("s", step(a)) != "s"


def test_a_saga_is_frozen() -> None:
    saga = Saga("s", step(a))
    with pytest.raises(AttributeError, match="saga 's' is frozen"):
        saga.name = "t"
    with pytest.raises(AttributeError, match="saga 's' is frozen"):
        saga.colour = "red"  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="saga 's' is frozen"):
        del saga.steps
    with pytest.raises(AttributeError):
        saga.steps[0].name = "z"  # type: ignore[misc]


def test_what_happens_to_the_callers_schema_later_does_not_reach_the_saga() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    saga = Saga("s", step(a), input_schema=schema)
    schema["properties"]["n"]["type"] = "string"  # type: ignore[index]
    saga.check_input({"n": 1})


def test_a_saga_can_be_copied_and_pickled() -> None:
    saga = Saga("s", step(a, undo), step(b), version=2, deadline=1, input_schema={"type": "object"})
    for again in (copy.copy(saga), copy.deepcopy(saga), pickle.loads(pickle.dumps(saga))):
        assert again == saga
        assert simulate(again, {}).status == "completed"


def test_a_step_is_found_by_its_name_and_a_wrong_name_gets_the_nearest() -> None:
    saga = Saga("s", step(a, name="charge"))
    assert saga["charge"].action is a
    with pytest.raises(KeyError, match=r"saga 's' has no step 'chrge' \(did you mean 'charge'\?\)"):
        saga["chrge"]
    with pytest.raises(KeyError, match="did you mean"):
        saga.kind("chrge")
    with pytest.raises(KeyError, match="has no step '0'"):
        saga[0]  # type: ignore[index]


def test_after_left_out_means_after_the_step_above() -> None:
    assert [s.after for s in Saga("s", step(a), step(b), step(c)).steps] == [(), ("a",), ("b",)]


def test_kinds_are_derived_from_the_place_relative_to_the_pivot() -> None:
    saga = Saga(
        "s",
        step(a, undo),
        step(b, after=()),
        pivot(c, after=("a", "b")),
        step(waits),
        step(undo, name="z", after="c"),
    )
    assert {s.name: saga.kind(s.name) for s in saga.steps} == {
        "a": "compensatable",
        "b": "compensatable",
        "c": "pivot",
        "waits": "retriable",
        "z": "retriable",
    }
    assert set(Saga("s", step(a), step(b)).plan.kinds) == {"compensatable"}


@given(sagas())
def test_the_graph_is_a_networkx_digraph_of_the_steps(saga: Saga) -> None:
    graph = saga.graph
    assert type(graph) is networkx.DiGraph
    assert list(graph) == [s.name for s in saga.steps]
    assert set(graph.edges) == {(above, s.name) for s in saga.steps for above in s.after or ()}
    assert networkx.is_directed_acyclic_graph(graph)
    if saga.plan.pivot is not None:
        point = saga.plan.names[saga.plan.pivot]
        behind = networkx.descendants(graph, point)
        assert behind == {n for n in graph if graph.nodes[n]["kind"] == "retriable"}


@given(sagas())
def test_a_repr_never_raises_and_is_the_same_on_every_run(saga: Saga) -> None:
    count = len(saga.steps)
    assert repr(saga) == f"<Saga 'generated': {count} step{'s' * (count != 1)}>"
    html = saga._repr_html_()
    assert html is not None
    assert 'src="data:image/svg+xml;base64,' in html
    assert "alt=" in html


def test_a_repr_does_not_hold_an_address() -> None:
    saga = Saga("s", step(a, lambda: None), version=1)
    assert repr(saga) == "<Saga 's' version 1: 1 step>"
    assert " at 0x" not in saga.to_graphviz().source


# -- bad definitions: every kind names the saga, the step and the cure ----------------------


def test_a_cycle_is_shown() -> None:
    text = refused(step(a, after="c"), step(b, after="a"), step(c, after="b"))
    assert re.search(r"cycle: ('a' → 'b' → 'c' → 'a'|'b' → 'c'.*|'c' → 'a'.*); drop one", text)


def test_every_separate_cycle_is_shown() -> None:
    found = problems(
        lambda: Saga(
            "s", step(a, after="b"), step(b, after="a"), step(c, after="c"), step(waits, after="c")
        )
    )
    assert sum("cycle" in problem for problem in found) == 2
    assert any("'c' → 'c'" in problem for problem in found)


def test_beside_a_cycle_every_other_problem_is_told() -> None:
    text = refused(
        step(a, after="b"),
        step(b, after="a"),
        pivot(c, name="p", after=()),
        step(c, undo, name="late", after="p"),
        step(c, undo, name="joins", after=("p", "b")),
        step(c, name="lost", after=()),
        step(c, name="inside", after="lost", branch=("lost", "x")),
        step(waits, after="nowhere"),
        step(waits, after=()),
    )
    assert "cycle: 'a' → 'b' → 'a'" in text
    assert "step 'late' stands after the pivot; drop its compensation" in text
    assert "step 'joins' stands after the pivot; drop its compensation" in text
    assert "step 'inside' is in the branch ('lost', 'x'), and 'lost' is no step that" in text
    assert "step 'waits' is defined more than once" in text
    assert "'nowhere', which does not exist" in text
    assert "beside the pivot" not in text  # the unknown 'after' may be what would order them


def test_a_step_is_beside_the_pivot_if_no_way_out_of_the_cycle_can_order_it() -> None:
    text = refused(
        step(a, after="b"),
        step(b, after="a"),
        pivot(c, name="p", after="b"),
        step(c, name="lost", after=()),
    )
    assert "cycle" in text
    assert "step 'lost' runs beside the pivot 'p'" in text
    assert "step 'a' runs" not in text


def test_a_compensation_is_not_called_late_by_an_edge_that_the_cycle_may_lose() -> None:
    cycle = step(a, undo, after="p"), pivot(b, name="p", after="a")
    assert problems(lambda: Saga("s", *cycle)) == (
        "the steps form a cycle: 'a' → 'p' → 'a'; drop one of these 'after'",
    )


def test_a_stranger_or_a_nameless_step_hides_no_problem_of_the_others() -> None:
    wrong = step(b, undo, timeout=-1)
    assert "timeout is -1.0" in refused(wrong, 5)
    text = refused(wrong, step(a, name=4))
    assert "a step's name is 4; give text" in text
    assert "timeout is -1.0" in text


def test_an_unknown_after_gets_the_nearest_name() -> None:
    text = refused(step(a, name="charge"), step(b, after="chrage"))
    assert "step 'b' comes after 'chrage', which does not exist (did you mean 'charge'?)" in text
    assert "name one of" in refused(step(a), step(b, after="quite different"))


def test_duplicate_names_are_refused_once_for_each_name() -> None:
    text = refused(step(a), step(b, name="a"), step(c, name="a"))
    assert text.count("step 'a' is defined more than once; give each its own name") == 1


def test_a_compensation_after_the_pivot_is_refused() -> None:
    text = refused(step(a), pivot(b), step(c, undo))
    assert "step 'c' stands after the pivot; drop its compensation" in text


def test_a_compensation_of_the_pivot_is_refused() -> None:
    text = refused(step(a), pivot(b, compensation=undo))
    assert "step 'b' is the pivot, which is never undone; drop its compensation" in text


def test_two_pivots_are_refused_even_beside_other_problems() -> None:
    assert "has 2 pivots ('a', 'b'); keep one" in refused(pivot(a), pivot(b))
    assert "2 pivots" in refused(pivot(a, after="b"), pivot(b), step(c, after="nowhere"))


def test_a_pivot_must_be_comparable_with_every_step() -> None:
    text = refused(step(a), pivot(b), step(c, after="a"))
    assert "step 'c' runs beside the pivot 'b'; place it before" in text


BAD_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "zero attempts": ({"retry": Retry(attempts=0)}, "retry: attempts is 0"),
    "negative attempts": ({"retry": Retry(attempts=-1)}, "retry: attempts is -1"),
    "half attempts": ({"retry": Retry(attempts=2.5)}, "retry: attempts is 2.5"),  # type: ignore[arg-type]
    "true attempts": ({"retry": Retry(attempts=True)}, "retry: attempts is True"),
    "attempts as text": ({"retry": Retry(attempts="3")}, "retry: attempts is '3'"),  # type: ignore[arg-type]
    "negative wait": ({"retry": Retry(wait=-1)}, "retry: wait is -1.0; give seconds, 0 or more"),
    "NaN wait": ({"retry": Retry(wait=math.nan)}, "retry: wait is nan"),
    "wait as text": ({"retry": Retry(wait="1")}, "retry: wait is '1'"),  # type: ignore[arg-type]
    "wait beyond floats": ({"retry": Retry(wait=10**400)}, "retry: wait is 1000"),
    "true wait": ({"retry": Retry(wait=True)}, "retry: wait is True"),
    "infinite max wait": ({"retry": Retry(max_wait=math.inf)}, "retry: max_wait is inf"),
    "shrinking backoff": ({"retry": Retry(backoff=0.5)}, "retry: backoff is 0.5"),
    "NaN backoff": ({"retry": Retry(backoff=math.nan)}, "retry: backoff is nan"),
    "jitter above 1": ({"retry": Retry(jitter=2)}, "retry: jitter is 2.0"),
    "NaN jitter": ({"retry": Retry(jitter=math.nan)}, "retry: jitter is nan"),
    "on a number": ({"retry": Retry(on=(3,))}, "retry: on has 3"),  # type: ignore[arg-type]
    "on None": ({"retry": Retry(on=None)}, "retry: on has None"),  # type: ignore[arg-type]
    "on no exception": ({"retry": Retry(on=(int,))}, "retry: on has <class 'int'>"),  # type: ignore[arg-type]
    "a number for a policy": ({"retry": 3}, "retry is 3; give a Retry"),
    "zero timeout": ({"timeout": 0}, "timeout is 0.0; give seconds above 0"),
    "negative timeout": ({"timeout": -1}, "timeout is -1.0; give seconds above 0"),
    "NaN timeout": ({"timeout": math.nan}, "timeout is nan"),
    "infinite timeout": ({"timeout": math.inf}, "timeout is inf"),
    "true timeout": ({"timeout": True}, "timeout is True"),
    "timeout as text": ({"timeout": "soon"}, "timeout is 'soon'"),
    "timeout beyond floats": ({"timeout": 10**400}, "timeout is 1000"),
    "compensation timeout": ({"compensation_timeout": -1}, "compensation_timeout is -1.0"),
    "compensation retry": ({"compensation_retry": Retry(0)}, "compensation_retry: attempts is 0"),
    "a policy without compensation": (
        {"compensation": None, "compensation_retry": Retry(2)},
        "compensation_retry without a compensation; add one or drop",
    ),
    "when of text": ({"when": "x > 1"}, "its when is 'x > 1', which cannot be called"),
    "when that waits": ({"when": waits}, "its when is a coroutine; make it a plain function"),
    "a number to compensate": ({"compensation": 3}, "its compensation is 3, which cannot be"),
    "a number to reconcile": ({"reconcile": 3}, "its reconcile is 3, which cannot be called"),
    "pivot of text": ({"pivot": "yes"}, "pivot is 'yes'; give True or False"),
    "idempotent of text": ({"idempotent": "no"}, "idempotent is 'no'; give True or False"),
    "service of a number": ({"service": 3}, "service is 3; give text"),
    "description of None": ({"description": None}, "description is None; give text"),
    "after a function": ({"after": a}, "comes after <function a"),
    "after a number": ({"after": 3}, "comes after 3; give a step's name"),
    "after mixed": ({"after": ["s", 3]}, "comes after 3; give a step's name"),
}


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_a_bad_option_names_saga_step_and_cure(options: dict[str, Any], message: str) -> None:
    text = refused(step(a, name="s"), step(b, **{"compensation": undo, **options}))
    assert message in text
    assert "step 'b'" in text
    assert re.search(r"; (give|drop|add|make)|, give", text)


@pytest.mark.parametrize("role", ["action", "compensation", "when", "reconcile"])
@pytest.mark.parametrize("function", [two, only_keyword])
def test_a_callable_of_two_arguments_is_refused_in_every_role(role: str, function: Any) -> None:
    made = step(function, name="s") if role == "action" else step(a, name="s", **{role: function})
    text = refused(made)
    assert f"step 's': {function.__name__}() needs" in text
    assert "take nothing or one, the context" in text


class Service:
    def nothing(self) -> int:
        return 1

    def one(self, ctx: Any) -> int:
        return len(ctx.execution_id)

    def __call__(self) -> int:
        return 2


def optional(ctx: Any = None, more: int = 3) -> bool:
    return ctx is not None and more == 3


@pytest.mark.parametrize(
    "function", [Service().nothing, Service().one, Service(), optional, lambda: 1, dict, waits]
)
def test_what_takes_nothing_or_one_argument_is_an_action(function: Any) -> None:
    assert simulate(Saga("s", step(function, name="s"))).status == "completed"


def test_an_optional_ctx_is_given() -> None:
    assert simulate(Saga("s", step(optional))).results == {"optional": True}


def passes_on(*args: Any, **options: Any) -> Any:
    """As a decorator that does not use functools.wraps makes it."""
    return [type(arg).__name__ for arg in args]


def by_name(*, ctx: Any = None) -> bool:
    return ctx is None


def amount(ctx: Any, cents: int) -> list[Any]:
    return [type(ctx).__name__, cents]


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (functools.partial(amount, cents=5), ["StepContext", 5]),
        (functools.partial(optional, more=3), True),
        (passes_on, ["StepContext"]),
        (functools.partial(passes_on, "x"), ["str", "StepContext"]),
        (by_name, True),
        (functools.partial(by_name, ctx=None), True),
    ],
)
def test_the_signature_tells_whether_the_context_is_given(function: Any, result: Any) -> None:
    assert simulate(Saga("s", step(function, name="x"))).results == {"x": result}


def test_a_builtin_of_any_arguments_is_not_given_the_context(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hello = functools.partial(print, "hello")
    execution = simulate(Saga("s", step(hello), step(print, name="empty"), step(max, name="max")))
    assert capsys.readouterr().out == "hello\n\n"
    assert execution.status == "compensated"  # max has no signature: it is called with nothing
    assert execution.error is not None
    assert execution.error.type == "TypeError"


def test_an_argument_by_name_alone_cannot_be_given() -> None:
    text = refused(step(functools.partial(two, x=1), name="s"))
    assert "step 's': two() needs more than one argument, or one by name" in text


def test_a_lambda_needs_a_name() -> None:
    assert "give name=" in problems(lambda: step(lambda: 1))[0]
    assert Saga("s", step(lambda: 1, name="x")).steps[0].name == "x"


def test_what_is_no_callable_is_refused() -> None:
    assert "its action is 42, which cannot be called" in refused(step(42, name="x"))  # type: ignore[arg-type]


def test_a_bare_function_in_place_of_a_step_is_refused_with_the_cure() -> None:
    assert "is not a step; wrap it: step(a)" in refused(a)


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "\x1b[31m", None, 3])
def test_a_bad_name_of_a_saga_is_refused(name: Any) -> None:
    assert any("name" in problem for problem in problems(lambda: Saga(name, step(a))))


def test_a_saga_without_a_name_before_its_steps_is_told_the_shape() -> None:
    assert "Saga('NAME', …)" in problems(lambda: Saga(step(a), step(b)))[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", 3])
def test_a_bad_name_of_a_step_is_refused(name: Any) -> None:
    assert "name" in refused(Step(name=name, action=a))


def test_a_saga_of_no_steps_is_refused() -> None:
    assert "has no steps; give at least one" in refused()


@pytest.mark.parametrize("deadline", [0, -1, math.nan, math.inf, True, "soon", 10**400])
def test_a_bad_deadline_is_refused(deadline: Any) -> None:
    assert "deadline is" in refused(step(a), deadline=deadline)


@pytest.mark.parametrize(
    "schema", [{"type": "strin"}, {"pattern": "["}, {"$schema": 3}, [1], True, {"required": 1}]
)
def test_a_bad_input_schema_is_refused(schema: Any) -> None:
    assert "input_schema is" in refused(step(a), input_schema=schema)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(DefinitionError) as caught:
        Saga(
            "trip",
            step(a, after="nowhere"),
            step(b, after="c", retry=Retry(attempts=0, wait=-1, jitter=7), timeout=-3),
            step(c, after="b"),
            pivot(waits, compensation=undo),
            pivot(undo, name="again"),
            step(a),
            step(two),
            deadline=-1,
            input_schema={"type": 3},
        )
    wanted = [
        "'nowhere'",
        "attempts is 0",
        "wait is -1.0",
        "jitter is 7.0",
        "timeout is -3.0",
        "cycle: 'b' → 'c' → 'b'",
        "never undone",
        "2 pivots",
        "step 'a' is defined more than once",
        "two() needs",
        "deadline is -1.0",
        "input_schema is not",
    ]
    missing = [part for part in wanted if sum(part in p for p in caught.value.problems) != 1]
    assert not missing
    assert str(caught.value).startswith("saga 'trip' has 12 problems:\n  - ")


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "after": ANYTHING | st.lists(ANYTHING, max_size=2),
            "when": ANYTHING,
            "pivot": ANYTHING,
            "timeout": ANYTHING,
            "retry": ANYTHING,
            "compensation": ANYTHING,
            "reconcile": ANYTHING,
            "service": ANYTHING,
            "description": ANYTHING,
            "idempotent": ANYTHING,
        },
    )
)
def test_nonsense_gives_a_definition_error_and_no_other(options: dict[str, Any]) -> None:
    with contextlib.suppress(DefinitionError):
        Saga("s", step(a), step(b, **options))


# -- input ----------------------------------------------------------------------------------


def test_every_problem_of_an_input_is_told_at_once() -> None:
    schema = {
        "type": "object",
        "required": ["who"],
        "properties": {"n": {"type": "integer"}},
    }
    saga = Saga("s", step(a), input_schema=schema)
    saga.check_input({"who": 1, "n": 2})
    with pytest.raises(InputError, match=r"saga 's'.*'who'.*\$\.n"):
        saga.check_input({"n": "x"})


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("ref", ["file:///etc/hostname", "http://localhost:9/x", "#/nowhere"])
def test_a_schema_fetches_nothing(ref: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object, **__: object) -> None:
        raise AssertionError("fetched")

    monkeypatch.setattr("urllib.request.urlopen", fetch)
    saga = Saga("s", step(a), input_schema={"$ref": ref})
    with pytest.raises(DefinitionError, match=r"saga 's': input_schema refers to .*\$defs"):
        saga.check_input(1)


def test_a_schema_that_refers_to_itself_without_end_is_told() -> None:
    with pytest.raises(DefinitionError, match="without end"):
        Saga("s", step(a), input_schema={"$ref": "#"}).check_input(1)


def test_a_schema_may_refer_within_itself() -> None:
    schema = {"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n"}
    saga = Saga("s", step(a), input_schema=schema)
    saga.check_input(1)
    with pytest.raises(InputError):
        saga.check_input("x")


# -- size -----------------------------------------------------------------------------------


def _chain(size: int) -> Iterator[Step]:
    for number in range(size):
        yield step(a, name=f"s{number}", pivot=number == size - 1)


def _typos(size: int) -> Iterator[Step]:
    for number in range(size):
        yield step(a, name=f"s{number}", after=f"t{number}")


def _cycle(size: int) -> Iterator[Step]:
    for number in range(size):
        yield step(a, name=f"s{number}", after=f"s{(number + 1) % size}")


def _fan(size: int) -> Iterator[Step]:
    for number in range(size):
        yield step(a, name=f"s{number}", after=())
    yield pivot(a, name="end", after=[f"s{number}" for number in range(size)])


def _seconds(make: Callable[[int], Iterator[Step]], size: int) -> float:
    """The processor time that it takes to define a saga of this size: the best of three."""
    times = []
    for _ in range(3):
        steps = list(make(size))
        begin = time.process_time()
        with contextlib.suppress(DefinitionError):
            Saga("s", *steps)
        times.append(time.process_time() - begin)
    return min(times)


@pytest.mark.parametrize("make", [_chain, _fan, _cycle, _typos])
def test_a_definition_costs_the_same_for_each_step_however_many_there_are(
    make: Callable[[int], Iterator[Step]],
) -> None:
    ratio = _seconds(make, 10_000) / _seconds(make, 1_000)
    assert ratio < 35  # 10 when linear, 100 when quadratic


def test_a_saga_of_ten_thousand_steps_can_be_built_and_run() -> None:
    saga = Saga("long", *_chain(10_000))
    assert saga.kind("s9998") == "compensatable"
    assert simulate(saga).status == "completed"


def test_simulated_is_a_callable_whose_latency_the_driver_lets_pass() -> None:
    assert Simulated("x", latency=3, result=4)() == 4
    execution = simulate(Saga("s", step(Simulated("x", latency=3, result=4))))
    assert (execution.duration, execution.results) == (3, {"x": 4})


def test_the_picture_can_be_laid_out_by_graphviz_where_there_is_one() -> None:
    saga = Saga("s", step(a), step(b))
    own, auto = saga.flow(), saga.flow(engine="auto")
    assert own.svg == saga.flow(engine="own").svg
    assert (auto.alt, auto.table) == (own.alt, own.table)
    assert auto.svg == flow_svg("s", saga.flow_nodes(), saga.edges, engine="auto")
