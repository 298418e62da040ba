"""How sub-sagas and for_each are declared, written as YAML, remembered and refused."""

from __future__ import annotations

import pickle

import pytest

from sagakit import (
    DefinitionError,
    Retry,
    Saga,
    SagaBuilder,
    Scenario,
    Step,
    await_event,
    choice,
    for_each,
    pivot,
    simulate,
    step,
    sub_saga,
)
from sagakit.errors import ScenarioError
from sagakit.steps import Nested


def a():
    return 1


def undo():
    """Undo it."""


def items(ctx):
    return ctx.input


def given(ctx):
    return ctx.input


INNER = Saga("inner", step(a, undo), version=2)
WITH_PIVOT = Saga("fixed", step(a, undo), pivot(a, name="p"))
OUTER = Saga(
    "outer",
    step(a, undo),
    sub_saga(INNER, input=given, retry=Retry(2), description="inside", service="bank"),
    for_each("all", items, step(a, undo, name="one", retry=Retry(3, wait=1)), limit=4),
    for_each("sagas", items, INNER),
)


def problems_of(*steps):
    with pytest.raises(DefinitionError) as caught:
        Saga("s", *steps)
    return caught.value.problems


# -- equality -------------------------------------------------------------------------------


def test_the_yaml_form_is_lossless():
    assert Saga.from_yaml(OUTER.to_yaml(), actions=[a, undo, items, given]) == OUTER


def test_a_learner_needs_no_actions():
    saga = Saga.from_yaml(OUTER.to_yaml())
    assert Saga.from_yaml(saga.to_yaml()) == saga
    execution = simulate(saga, [1, 2])
    assert execution.status == "completed"
    assert execution.results["all"] == [None] * 3  # three items, if nothing else is said


def test_the_builder_takes_them():
    builder = SagaBuilder("outer")
    builder.add_step(a, undo)
    for item in OUTER.steps[1:]:
        builder.add_step(Step(**{f: getattr(item, f) for f in item.__struct_fields__}))
    assert builder.build() == OUTER


def test_it_survives_pickle_and_so_does_what_it_was_unfolded_to():
    assert pickle.loads(pickle.dumps(OUTER)) == OUTER
    many = OUTER.child("all").given([1, 2, 3])
    again = pickle.loads(pickle.dumps(many))
    assert again == many
    assert again.plan.names == ["0", "1", "2"]


def test_another_inner_saga_is_another_definition():
    other = Saga("inner", step(a), version=2)
    outer = Saga("outer", sub_saga(INNER))
    assert Saga("outer", sub_saga(other, name="inner")).fingerprint != outer.fingerprint
    assert Saga.diff(outer, Saga("outer", sub_saga(other))).changes


def test_what_a_journal_remembers_of_it_draws_it():
    remembered = Saga.from_shape(OUTER.name, OUTER.version, OUTER.shape)
    assert [one.name for one in remembered.family()] == [one.name for one in OUTER.family()]
    assert remembered.child("all").given([1, 2]).plan.names == ["0", "1"]
    assert remembered.flow(opened=None).svg
    folded = OUTER.child("all")
    again = Saga.from_shape(folded.name, folded.version, folded.shape)
    assert again.given([1]).plan.names == ["0"]


def test_the_family_is_all_that_is_inside():
    assert [one.name for one in OUTER.family()] == [
        "outer",
        "inner",
        "outer.all",
        "outer.sagas",
        "inner",
    ]


def test_unfolding_keeps_the_identity():
    folded = OUTER.child("all")
    assert folded.given([1, 2]).fingerprint == folded.given([]).fingerprint == folded.fingerprint


# -- refused --------------------------------------------------------------------------------


def test_a_saga_is_no_action():
    assert "declare it with sub_saga()" in problems_of(step(INNER, name="x"))[0]


def test_a_builder_is_no_saga():
    assert problems_of(sub_saga(SagaBuilder("b"), name="x")) == (
        "step 'x' runs <SagaBuilder 'b': 0 steps>, which is not a Saga; of a builder give .build()",
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("timeout", 1.0), ("reconcile", a), ("idempotent", True)],
)
def test_options_that_only_a_call_has(option, value):
    made = Step(name="x", action=Nested(INNER), **{option: value})
    assert problems_of(made) == (f"step 'x' runs a saga and calls nothing; drop its {option}",)


def test_it_is_undone_by_its_saga():
    made = Step(name="x", action=Nested(INNER), compensation=undo)
    assert problems_of(made) == (
        "step 'x' is undone by the saga that does it; drop its compensation",
    )


def test_a_saga_with_a_pivot_cannot_stand_where_it_may_be_undone():
    problem = (
        "step 'fixed' runs saga 'fixed', which has the pivot 'p' and so cannot be undone; make it "
        "the pivot, or place it after it"
    )
    assert problems_of(sub_saga(WITH_PIVOT)) == (problem,)
    assert problems_of(sub_saga(WITH_PIVOT), pivot(a)) == (problem,)
    Saga("s", sub_saga(WITH_PIVOT, pivot=True))
    Saga("s", pivot(a), sub_saga(WITH_PIVOT))


def test_nor_can_it_be_done_for_each_item_there():
    assert "which has the pivot 'p'" in problems_of(for_each("all", items, WITH_PIVOT))[0]
    assert problems_of(for_each("all", items, WITH_PIVOT, pivot=True))
    Saga("s", pivot(a), for_each("all", items, WITH_PIVOT))


def test_after_the_pivot_nothing_done_for_each_is_undone():
    assert problems_of(pivot(a), for_each("all", items, step(a, undo, name="x"))) == (
        "step 'all' stands after the pivot; drop its compensation",
    )


def test_after_the_pivot_no_wait_for_an_item_may_fail():
    waiting = for_each("all", items, await_event("e", timeout=1))
    assert "where no step may fail" in problems_of(pivot(a), waiting)[0]


@pytest.mark.parametrize("limit", [0, -1, 1.5, "many", True, None])
def test_a_limit_is_a_whole_number(limit):
    assert problems_of(for_each("all", items, step(a), limit=limit)) == (
        f"step 'all': limit is {limit!r}; give a whole number, 1 or more",
    )


def test_what_is_done_for_each_stands_alone():
    cure = (
        "step 'all': what it does for each item, 'a', stands alone; for several steps give a saga"
    )
    assert problems_of(step(undo, name="b"), for_each("all", items, step(a, after="b"))) == (cure,)
    chooser = choice("a", a, {"x": step(undo)})[0]
    assert cure in problems_of(for_each("all", items, chooser))


def test_what_is_done_for_each_cannot_be_the_pivot():
    assert problems_of(for_each("all", items, pivot(a))) == (
        "step 'all': what it does for each item, 'a', cannot be the pivot; make 'all' the pivot",
    )


def test_problems_of_what_is_done_for_each_name_the_step():
    body = step(a, name="one", retry=Retry(0), timeout=-1)
    found = problems_of(for_each("all", items, body))
    assert found[0].startswith("step 'all', for each item: step 'one': retry: attempts is 0")
    assert found[1].startswith("step 'all', for each item: step 'one': timeout is -1")


def test_functions_that_are_asked_are_plain_and_callable():
    async def later():
        return []

    assert problems_of(for_each("all", later, step(a))) == (
        "step 'all': its items is a coroutine; make it a plain function",
    )
    assert "cannot be called" in problems_of(for_each("all", [1, 2], step(a)))[0]
    assert "its input is 7" in problems_of(sub_saga(INNER, input=7))[0]


# -- YAML that is wrong ---------------------------------------------------------------------


def refused(text):
    with pytest.raises(DefinitionError) as caught:
        Saga.from_yaml(text)
    return str(caught.value)


def test_a_problem_inside_has_its_line():
    text = """saga: s
steps:
- step: pay
  saga:
    saga: payment
    steps:
    - step: x
      retries: 3
- step: all
  for_each:
    items: lines
    step: {step: y, tiemout: 3}
"""
    found = refused(text)
    assert "line 8: step 'x' has an unknown key 'retries' (did you mean 'retry'?)" in found
    assert "line 12: step 'y' has an unknown key 'tiemout' (did you mean 'timeout'?)" in found


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ("saga: payment", "line 4: step 'x': saga must be a mapping, 'saga: NAME' and 'steps:'"),
        ("saga: {steps: []}", "line 4: step 'x': saga has no name; add 'saga: NAME'"),
        ("saga: {saga: p}", "line 4: step 'x': saga 'p': has no steps; give at least one"),
        ("for_each: lines", "step 'x': for_each must be a mapping, 'items: NAME' and 'step:'"),
        ("for_each: {items: l}", "step 'x': for_each needs 'step:', a mapping"),
        ("for_each: {step: {step: y}}", "step 'x': for_each has no name; add 'items: NAME'"),
        (
            "for_each: {items: l, step: {step: y}, limit: all}",
            "line 4: step 'x': for_each, 'limit'",
        ),
        ("input: f", "step 'x' has an input but no saga; drop it"),
        ("action: y\n  saga: {saga: p, steps: [{step: z}]}", "step 'x' has action and saga"),
    ],
)
def test_bad_parts_are_told(part, problem):
    assert problem in refused(f"saga: s\nsteps:\n- step: x\n  {part}\n")


def test_endless_aliases_are_refused():
    text = "saga: s\nsteps:\n- step: x\n  saga: &a\n    saga: p\n    steps: [{step: y, saga: *a}]\n"
    assert "unfold" in refused(text)


# -- scenarios ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "problem"),
    [
        (Scenario().fail("inner"), "a saga does it: name 'inner/…'"),
        (Scenario().fail("inner/b"), "saga 'inner' has no step 'b' to fail"),
        (Scenario().fail("a/b"), "saga 'outer' has no step 'a/b' to fail: no saga does a step 'a'"),
        (Scenario().fail("inne/a"), "(did you mean 'inner'?)"),
        (Scenario().fail("all/x"), "saga 'outer.all' has no step 'x'"),
        (Scenario().signal("e", to="inner"), "saga 'inner' never waits for the event 'e'"),
        (Scenario().signal("e", to="none"), "no saga does a step 'none'"),
    ],
)
def test_a_scenario_that_does_not_fit_says_where(scenario, problem):
    with pytest.raises(ScenarioError) as caught:
        simulate(OUTER, [], scenario=scenario)
    assert problem in str(caught.value)


def test_an_outer_saga_says_who_inside_waits_for_an_event():
    saga = Saga("s", sub_saga(Saga("core", await_event("e"))))
    with pytest.raises(ScenarioError, match="the saga that does 'core' does: signal it there"):
        simulate(saga, scenario=Scenario().signal("e"))
