"""Exclusive branches: one is run, the others are skipped, what stands below joins them."""

from __future__ import annotations

import pytest
from world import World, kinds

from sagakit import Saga, choice


def pick(ctx):
    return ctx.input


def routes(world, below=()):
    return Saga(
        "s",
        world.step("a"),
        *choice(
            "route",
            pick,
            {"air": [world.step("book"), world.step("fly")], "road": world.step("drive")},
        ),
        world.step("arrive", *below),
    )


@pytest.mark.parametrize(
    ("branch", "calls"),
    [("air", ["a", "book", "fly", "arrive"]), ("road", ["a", "drive", "arrive"])],
)
def test_the_chosen_branch_runs_and_the_others_are_skipped(drive, branch, calls):
    world = World()
    execution = drive(routes(world), branch)
    assert execution.status == "completed"
    assert world.calls == calls
    assert execution.results["route"] == branch
    skipped = {name for name, state in execution.states.items() if state == "skipped"}
    assert skipped == ({"drive"} if branch == "air" else {"book", "fly"})


def test_a_failure_below_the_join_undoes_what_the_branch_did(drive):
    world = World()
    execution = drive(routes(world, [ValueError()]), "air")
    assert execution.status == "compensated"
    assert world.undone == ["fly", "book", "a"]


@pytest.mark.parametrize("chosen", ["sea", None, 7])
def test_a_branch_that_does_not_exist_fails_the_choice_and_names_those_that_do(drive, chosen):
    world = World()
    execution = drive(routes(world), chosen)
    assert execution.status == "compensated"
    assert execution.failed_step == "route"
    assert "its branches are 'air', 'road'" in execution.error.message
    assert world.calls == ["a", "undo a"]


def test_a_choice_that_raises_fails(drive):
    world = World()
    saga = Saga("s", world.step("a"), *choice("c", lambda: 1 / 0, {"x": world.step("x")}))
    execution = drive(saga)
    assert (execution.status, execution.failed_step) == ("compensated", "c")


def test_a_choice_within_a_branch(drive):
    world = World()
    inner = choice("inner", lambda: "r", {"l": world.step("left"), "r": world.step("right")})
    saga = Saga(
        "s",
        *choice("outer", pick, {"in": [*inner, world.step("after")], "out": world.step("out")}),
        world.step("end"),
    )
    drive(saga, "in")
    assert world.calls == ["right", "after", "end"]
    world.calls.clear()
    execution = drive(saga, "out")
    assert world.calls == ["out", "end"]
    assert execution.states["inner"] == execution.states["right"] == "skipped"


def test_a_condition_of_its_own_holds_within_the_branch(drive):
    world = World()
    saga = Saga(
        "s", *choice("c", lambda: "x", {"x": [world.step("a", when=False), world.step("b")]})
    )
    execution = drive(saga)
    assert world.calls == ["b"]
    assert kinds(execution.events, "a") == ["StepSkipped"]


def test_a_choice_that_is_skipped_skips_all_its_branches(drive):
    world = World()
    saga = Saga("s", *choice("c", lambda: "x", {"x": world.step("a")}, when=False), world.step("b"))
    drive(saga)
    assert world.calls == ["b"]
