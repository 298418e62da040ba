"""A saga as a step, and a step for each of several items."""

from __future__ import annotations

import pytest
from world import World

from sagakit import (
    Retry,
    Saga,
    Scenario,
    TerminalError,
    await_event,
    for_each,
    pivot,
    step,
    sub_saga,
    timer,
)


def inner(world, name="inner", *more, last=()):
    return Saga(
        name, world.step(f"{name}1"), world.step(f"{name}2", *last), *more, description="inside"
    )


def items_of(ctx):
    return ctx.input


def each(world, *failures, name="work", **options):
    """Steps that note their item; those for the items in ``failures`` fail for good."""

    def work(ctx):
        world.calls.append(f"{name} {ctx.input}")
        if ctx.input in failures:
            raise TerminalError(f"no {ctx.input}")
        return ctx.input * 10

    def unwork(ctx):
        world.calls.append(f"undo {name} {ctx.input}")

    options.setdefault("compensation", unwork)
    return step(work, name=name, **options)


# -- sub-sagas ------------------------------------------------------------------------------


def test_a_saga_as_a_step_runs_in_an_execution_of_its_own(drive):
    world = World()
    execution = drive(Saga("outer", world.step("a"), sub_saga(inner(world)), world.step("z")))
    assert execution.status == "completed"
    assert world.calls == ["a", "inner1", "inner2", "z"]
    child = execution.children["inner"]
    assert child.id == f"{execution.id}/inner"
    assert child.parent == (execution.id, "inner")
    assert execution.parent is None
    assert child.status == "completed"
    assert not any(getattr(event, "step", "").startswith("inner1") for event in execution.events)


def test_its_results_are_those_of_its_steps_by_name(drive):
    one = step(lambda: 1, name="one")
    outer = Saga("outer", sub_saga(Saga("inner", one, step(lambda: [2], name="two"), version=3)))
    assert drive(outer).results == {"inner": {"one": 1, "two": [2]}}


def test_it_has_the_outer_input_unless_a_function_gives_another(drive):
    seen = []

    def look(ctx):
        seen.append(ctx.input)
        return ctx.input

    core = Saga("core", step(look))

    def double(ctx):
        return [ctx.input, ctx.results["same"]]

    saga = Saga("outer", sub_saga(core, name="same"), sub_saga(core, name="other", input=double))
    assert drive(saga, 7).status == "completed"
    assert seen == [7, [7, {"look": 7}]]


def test_undoing_the_step_undoes_the_whole_inner_saga(drive):
    world = World()
    saga = Saga("outer", world.step("a"), sub_saga(inner(world)), world.step("z", ValueError()))
    execution = drive(saga)
    assert execution.status == "compensated"
    assert world.undone == ["inner2", "inner1", "a"]
    assert execution.children["inner"].status == "compensated"
    assert execution.states["inner"] == "compensated"


def test_an_inner_saga_that_is_compensated_fails_the_step(drive):
    world = World()
    saga = Saga("outer", world.step("a"), sub_saga(inner(world, last=[ValueError("no")])))
    execution = drive(saga)
    assert execution.status == "compensated"
    assert world.undone == ["inner1", "a"]
    assert execution.failed_step == "inner"
    assert execution.error.name == "ValueError"
    assert execution.error.message == (
        f"execution '{execution.id}/inner' was compensated: step 'inner2': ValueError: no"
    )


def test_a_retry_begins_another_execution(drive):
    world = World()
    core = inner(world, last=[ValueError("once"), None])
    execution = drive(Saga("outer", sub_saga(core, retry=Retry(2, wait=0.001))))
    assert execution.status == "completed"
    assert execution.children["inner"].id == f"{execution.id}/inner//2"
    assert world.calls == ["inner1", "inner2", "undo inner1", "inner1", "inner2"]


def test_what_cannot_succeed_is_not_retried(drive):
    core = inner(World(), last=[TerminalError("never")])
    execution = drive(Saga("outer", sub_saga(core, retry=Retry(5))))
    assert execution.status == "compensated"
    assert execution.children["inner"].id == f"{execution.id}/inner"


def test_after_the_pivot_it_is_begun_until_it_succeeds(drive):
    world = World()
    core = inner(world, last=[ValueError(), ValueError(), None])
    saga = Saga("outer", pivot(world.action("p")), sub_saga(core, retry=Retry(wait=0.001)))
    execution = drive(saga)
    assert execution.status == "completed"
    assert execution.children["inner"].id.endswith("//3")


def test_after_the_pivot_what_cannot_succeed_leaves_it_stuck(drive):
    world = World()
    core = inner(world, last=[TerminalError()])
    execution = drive(Saga("outer", pivot(world.action("p")), sub_saga(core)))
    assert execution.status == "stuck"
    assert execution.stuck_steps == ("inner",)
    assert execution.children["inner"].status == "compensated"


def test_a_saga_with_a_pivot_may_be_the_pivot(drive):
    world = World()
    core = Saga("core", world.step("c"), pivot(world.action("p")))
    whole = Saga("outer", world.step("a"), sub_saga(core, pivot=True), step(world.action("z")))
    assert drive(whole).status == "completed"
    world = World()
    core = Saga("core", world.step("c"), pivot(world.action("p", ValueError())))
    execution = drive(Saga("outer", world.step("a"), sub_saga(core, pivot=True)))
    assert execution.status == "compensated"
    assert world.undone == ["c", "a"]


def test_a_stuck_inner_saga_makes_the_outer_one_stuck(drive):
    world = World()
    core = Saga(
        "core",
        world.step("c", compensation=world.action("undo c", TerminalError("stays"))),
        world.step("d", ValueError()),
    )
    execution = drive(Saga("outer", world.step("a"), sub_saga(core)))
    assert execution.status == "stuck"
    assert execution.stuck_steps == ("core",)
    assert execution.children["core"].stuck_steps == ("c",)
    assert "undo a" not in world.calls


def test_an_undo_that_gets_stuck_inside_makes_the_outer_one_stuck(drive):
    world = World()
    core = Saga("core", world.step("c", compensation=world.action("undo c", TerminalError())))
    saga = Saga("outer", world.step("a"), sub_saga(core), world.step("z", ValueError()))
    execution = drive(saga)
    assert execution.status == "stuck"
    assert execution.states["core"] == "compensation failed"
    assert "undo a" not in world.calls


def test_three_deep(drive):
    world = World()
    deep = Saga("deep", world.step("d"))
    middle = Saga("middle", world.step("m"), sub_saga(deep))
    saga = Saga("outer", sub_saga(middle), world.step("z", ValueError()))
    execution = drive(saga)
    assert execution.status == "compensated"
    assert world.undone == ["d", "m"]
    assert execution.children["middle"].children["deep"].id == f"{execution.id}/middle/deep"


def test_when_one_branch_fails_the_inner_saga_beside_it_is_called_off(drive):
    world = World()
    core = Saga("core", world.step("c"), timer("hour", 3600), world.step("never"))
    late = step(world.sleeper("late", 0.02, TerminalError()), name="late", after=())
    execution = drive(Saga("outer", sub_saga(core, after=()), late))
    assert execution.status == "compensated"
    assert world.undone == ["c"]
    child = execution.children["core"]
    assert child.status == "compensated"
    assert child.cancellation.by == f"execution '{execution.id}'"
    assert execution.duration < 3600


def test_cancelling_the_outer_saga_cancels_the_inner_one(drive):
    world = World()
    core = Saga("core", world.step("c"), timer("hour", 3600))
    scenario = Scenario().cancel(at=0.05, by="ann", why="changed her mind")
    execution = drive(Saga("outer", world.step("a"), sub_saga(core)), scenario=scenario)
    assert execution.status == "compensated"
    assert world.undone == ["c", "a"]


def test_a_deadline_of_the_inner_saga_fails_the_step(drive):
    core = Saga("core", timer("long", 3600), deadline=0.05)
    execution = drive(Saga("outer", sub_saga(core)))
    assert execution.status == "compensated"
    assert execution.error.type == "Compensated"


def test_a_signal_reaches_the_inner_saga(drive):
    core = Saga("core", await_event("ok"))
    scenario = Scenario().signal("ok", 42, at=0.02, to="core")
    execution = drive(Saga("outer", sub_saga(core)), scenario=scenario)
    assert execution.results == {"core": {"ok": 42}}


def test_it_waits_as_its_inner_saga_does(drive):
    world = World()
    saga = Saga("outer", sub_saga(Saga("core", timer("t", 0.05))), world.step("z"))
    assert drive(saga).status == "completed"


def test_a_skipped_inner_saga_has_no_execution(drive):
    world = World()
    execution = drive(Saga("outer", world.step("a"), sub_saga(inner(world), when=False)))
    assert execution.status == "completed"
    assert execution.children == {}
    assert world.calls == ["a"]


@pytest.mark.parametrize("given", [lambda: 1 / 0, lambda: object()])
def test_an_input_that_cannot_be_had_fails_the_step(drive, given):
    world = World()
    saga = Saga("outer", world.step("a"), sub_saga(inner(world), input=given))
    execution = drive(saga)
    assert execution.status == "compensated"
    assert execution.failed_step == "inner"
    assert execution.children == {}
    assert world.undone == ["a"]


def test_an_inner_input_must_fit_the_inner_schema(drive):
    core = Saga("core", step(print), input_schema={"type": "integer"})
    execution = drive(Saga("outer", sub_saga(core)), "text")
    assert execution.status == "compensated"
    assert "does not fit the schema" in execution.error.message


def test_faults_inside_are_named_by_their_path(drive):
    world = World()
    saga = Saga("outer", sub_saga(inner(world)), world.step("z"))
    execution = drive(saga, scenario=Scenario().fail("inner/inner2"))
    assert execution.status == "compensated"
    assert world.calls == ["inner1", "undo inner1"]


# -- for each -------------------------------------------------------------------------------


def test_a_step_is_done_for_each_item_and_the_results_keep_the_order(drive):
    world = World()
    saga = Saga("s", world.step("a"), for_each("all", items_of, each(world)), world.step("z"))
    execution = drive(saga, [3, 1, 2])
    assert execution.status == "completed"
    assert execution.results["all"] == [30, 10, 20]
    assert sorted(world.calls[1:-1]) == ["work 1", "work 2", "work 3"]
    assert execution.children["all"].saga.name == "s.all"
    assert list(execution.children["all"].states) == ["0", "1", "2"]


def test_no_items_are_no_work(drive):
    world = World()
    execution = drive(Saga("s", for_each("all", items_of, each(world)), world.step("z")), [])
    assert execution.status == "completed"
    assert execution.results["all"] == []
    assert world.calls == ["z"]


def test_if_one_fails_those_done_are_undone(drive):
    world = World()
    saga = Saga("s", world.step("a"), for_each("all", items_of, each(world, 4), limit=1))
    execution = drive(saga, [1, 2, 3, 4, 5])
    assert execution.status == "compensated"
    assert world.calls[:5] == ["a", "work 1", "work 2", "work 3", "work 4"]
    assert sorted(world.calls[5:8]) == ["undo work 1", "undo work 2", "undo work 3"]
    assert world.calls[8:] == ["undo a"]
    assert execution.error.name == "TerminalError"


def test_a_later_failure_undoes_every_item(drive):
    world = World()
    saga = Saga("s", for_each("all", items_of, each(world)), world.step("z", ValueError()))
    execution = drive(saga, [1, 2, 3])
    assert execution.status == "compensated"
    undone = [call for call in world.calls if call.startswith("undo")]
    assert sorted(undone) == ["undo work 1", "undo work 2", "undo work 3"]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_no_more_than_the_limit_are_worked_on_or_undone_at_once(drive, limit):
    import asyncio

    busy = {"now": 0, "most": 0}

    async def work():
        busy["now"] += 1
        busy["most"] = max(busy["most"], busy["now"])
        await asyncio.sleep(0.001)
        busy["now"] -= 1

    body = step(work, work, name="work")
    saga = Saga(
        "s", for_each("all", items_of, body, limit=limit), step(World().action("z", ValueError()))
    )
    execution = drive(saga, list(range(20)))
    assert execution.status == "compensated"
    assert busy == {"now": 0, "most": min(limit, 20)}


def test_after_the_pivot_each_item_is_retried_until_it_succeeds(drive):
    world = World()
    body = step(
        world.action("w", ValueError(), ValueError(), None), name="w", retry=Retry(wait=0.001)
    )
    saga = Saga("s", pivot(world.action("p")), for_each("all", items_of, body))
    execution = drive(saga, [1, 2])
    assert execution.status == "completed"


def test_after_the_pivot_one_that_cannot_succeed_leaves_it_stuck_and_the_others_go_on(drive):
    world = World()
    body = each(world, 2, compensation=None)
    execution = drive(
        Saga("s", pivot(world.action("p")), for_each("all", items_of, body, limit=1)), [1, 2, 3]
    )
    assert execution.status == "stuck"
    assert execution.children["all"].states == {"0": "succeeded", "1": "stuck", "2": "succeeded"}


def test_a_saga_for_each_item(drive):
    world = World()
    core = Saga("core", each(world), each(world, 2, name="more"))
    execution = drive(Saga("s", for_each("all", items_of, core, limit=1)), [1, 2])
    assert execution.status == "compensated"
    assert world.calls == [
        "work 1",
        "more 1",
        "work 2",
        "more 2",
        "undo work 2",
        "undo more 1",
        "undo work 1",
    ]
    first = execution.children["all"].children["0"]
    assert first.id == f"{execution.id}/all/0"
    assert first.input == 1


def test_items_within_items(drive):
    world = World()
    lines = for_each("lines", items_of, each(world))
    execution = drive(Saga("s", for_each("orders", items_of, lines)), [[1, 2], [], [3]])
    assert execution.results["orders"] == [[10, 20], [], [30]]


def test_an_item_that_is_not_wanted_is_skipped(drive):
    world = World()
    body = each(world, when=lambda ctx: ctx.input != 2)
    execution = drive(Saga("s", for_each("all", items_of, body)), [1, 2, 3])
    assert execution.results["all"] == [10, None, 30]


def test_each_item_has_its_own_idempotency_key(drive):
    keys = []

    def note(ctx):
        keys.append(ctx.idempotency_key)

    execution = drive(Saga("s", for_each("all", items_of, step(note))), ["a", "b"])
    assert sorted(keys) == [f"{execution.id}/all/{n}/action" for n in (0, 1)]


@pytest.mark.parametrize("items", [7, "text", None, {"a": 1}])
def test_items_that_are_no_list_fail_the_step(drive, items):
    execution = drive(Saga("s", for_each("all", items_of, step(print))), items)
    assert execution.status == "compensated"
    assert "give a list" in execution.error.message


def test_a_fault_at_one_item(drive):
    world = World()
    saga = Saga("s", for_each("all", items_of, each(world)))
    execution = drive(saga, [1, 2, 3], scenario=Scenario().fail("all/1"))
    assert execution.status == "compensated"
    assert execution.children["all"].failed_step == "1"
