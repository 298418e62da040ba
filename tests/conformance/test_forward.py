"""Rule 1: what starts when, and what an action is told."""

from __future__ import annotations

import asyncio
import functools

import pytest
from world import World, kinds

from sagakit import DefinitionError, InputError, Retry, Saga, step


def test_steps_run_in_order_and_the_execution_completes(drive):
    world = World()
    execution = drive(Saga("s", world.step("a"), world.step("b"), world.step("c")))
    assert execution.status == "completed"
    assert world.calls == ["a", "b", "c"]
    assert set(execution.states.values()) == {"succeeded"}


def test_a_step_waits_for_every_step_it_comes_after(drive):
    world = World()
    execution = drive(
        Saga(
            "diamond",
            world.step("top"),
            world.step("left", after="top"),
            world.step("right", after="top"),
            world.step("bottom", after=("left", "right")),
        )
    )
    assert execution.status == "completed"
    assert world.calls[0] == "top"
    assert world.calls[3] == "bottom"


def test_independent_steps_run_concurrently(drive):
    here, there = asyncio.Event(), asyncio.Event()

    async def left():
        here.set()
        await there.wait()

    async def right():
        there.set()
        await here.wait()

    assert drive(Saga("both", step(left), step(right, after=()))).status == "completed"


def test_a_step_whose_when_is_false_is_skipped_and_what_follows_runs(drive):
    world = World()

    def is_gift(ctx):
        return ctx.input["gift"]

    saga = Saga("s", world.step("a"), world.step("wrap", when=is_gift), world.step("c"))
    plain = drive(saga, {"gift": False})
    assert plain.status == "completed"
    assert plain.states["wrap"] == "skipped"
    assert world.calls == ["a", "c"]
    assert drive(saga, {"gift": True}).states["wrap"] == "succeeded"


def test_a_when_that_raises_fails_its_step_and_what_it_raised_is_kept(drive):
    world = World()

    def is_gift(ctx):
        return ctx.input["gift"]

    execution = drive(Saga("s", world.step("a"), world.step("wrap", when=is_gift)), {})
    assert execution.status == "compensated"
    assert world.undone == ["a"]
    assert execution.error.type == "KeyError"


def test_an_action_is_told_about_its_execution(drive):
    seen = {}

    def first(ctx):
        seen["first"] = (ctx.step, ctx.attempt, dict(ctx.results), ctx.idempotency_key)
        return {"paid": 42}

    def second(ctx):
        seen["second"] = (ctx.input, dict(ctx.results), ctx.result)
        with pytest.raises(TypeError):
            ctx.results["first"] = 0
        raise ValueError

    def undo(ctx):
        seen["undo"] = (ctx.result, ctx.idempotency_key, ctx.attempt)
        seen["undone"] = ctx.action_key

    execution = drive(Saga("s", step(first, undo), step(second)), {"amount": 7})
    assert seen["first"] == ("first", 1, {}, f"{execution.id}/first/action")
    assert seen["second"] == ({"amount": 7}, {"first": {"paid": 42}}, None)
    assert seen["undo"] == ({"paid": 42}, f"{execution.id}/first/compensation", 1)
    assert seen["undone"] == f"{execution.id}/first/action"


class Charge:
    def __call__(self):
        return "object"


class AsyncCharge:
    async def __call__(self, ctx):
        await asyncio.sleep(0)
        return ctx.step


def give(value, ctx=None):
    return value


async def later(ctx):
    await asyncio.sleep(0.001)
    return "later"


@pytest.mark.parametrize(
    ("action", "result"),
    [
        (lambda: "lambda", "lambda"),
        (lambda ctx: ctx.step, "it"),
        (functools.partial(give, "partial"), "partial"),
        (Charge(), "object"),
        (AsyncCharge(), "it"),
        (later, "later"),
        (lambda ctx: later(ctx), "later"),
    ],
    ids=["lambda", "with context", "partial", "object", "async object", "async", "awaitable"],
)
def test_any_callable_of_nothing_or_the_context_is_an_action(drive, action, result):
    execution = drive(Saga("s", step(action, name="it")))
    assert execution.results == {"it": result}


def test_a_failed_attempt_is_retried_with_the_same_key_until_it_succeeds(drive):
    world = World()
    saga = Saga(
        "s", world.step("a", ValueError("1"), ValueError("2"), None, retry=Retry(3, wait=0.001))
    )
    execution = drive(saga)
    assert execution.status == "completed"
    assert world.calls == ["a"] * 3
    assert world.keys["a"] == {f"{execution.id}/a/action"}
    assert [error.message for _, error in execution.errors] == ["1", "2"]


def test_waits_between_attempts_grow_by_the_policy(drive):
    world = World()
    policy = Retry(attempts=4, wait=0.01, backoff=3, max_wait=0.05)
    execution = drive(Saga("s", world.step("a", *[ValueError()] * 3, None, retry=policy)))
    waits = [e.retry_at - e.at for e in execution.events if hasattr(e, "retry_at")]
    assert waits == pytest.approx([0.01, 0.03, 0.05])
    starts = [e.at for e in execution.events if type(e).__name__ == "StepStarted"]
    assert all(
        later - earlier >= wait - 1e-6 for earlier, later, wait in zip(starts, starts[1:], waits)
    )


def test_only_the_errors_that_the_policy_names_are_retried(drive):
    world = World()
    policy = Retry(attempts=5, on=(ConnectionError, "TimeoutError"))
    saga = Saga("s", world.step("a", ConnectionRefusedError(), ValueError("no"), retry=policy))
    execution = drive(saga)
    assert execution.status == "compensated"
    assert world.calls == ["a", "a"]
    assert execution.error.message == "no"


def test_an_input_that_the_schema_refuses_starts_nothing(drive):
    world = World()
    schema = {
        "type": "object",
        "required": ["customer"],
        "properties": {"amount": {"type": "number"}},
    }
    saga = Saga("s", world.step("a"), input_schema=schema)
    with pytest.raises(InputError, match=r"'s'.*customer.*\$\.amount"):
        drive(saga, {"amount": "many"})
    with pytest.raises(InputError, match="plain data"):
        drive(saga, {"customer": object()})
    assert world.calls == []
    assert drive(saga, {"customer": "ALFKI", "amount": 4}).status == "completed"


def test_the_input_is_the_executions_own(drive):
    order = {"lines": [1]}

    def first(ctx):
        assert ctx.input == {"lines": [1]}

    execution = drive(Saga("s", step(first)), order)
    order["lines"].append(2)
    assert execution.input == {"lines": [1]}


def test_each_step_begins_and_ends_in_the_events(drive):
    world = World()
    execution = drive(Saga("s", world.step("a"), world.step("b")))
    assert [type(event).__name__ for event in execution.events] == [
        "ExecutionStarted",
        "StepStarted",
        "StepSucceeded",
        "StepStarted",
        "StepSucceeded",
        "ExecutionCompleted",
    ]
    assert kinds(execution.events, "b") == ["StepStarted", "StepSucceeded"]
    times = [event.at for event in execution.events]
    assert times == sorted(times)


def test_a_deadline_before_the_pivot_turns_the_execution_back(drive):
    world = World()
    slow = step(world.sleeper("slow", 0.3), world.action("undo slow"))
    saga = Saga("s", world.step("a"), slow, world.pivot("p"), deadline=0.1)
    execution = drive(saga)
    assert execution.status == "compensated"
    assert world.undone == ["slow", "a"]
    assert "p" not in world.calls


def test_a_deadline_has_no_say_after_the_pivot(drive):
    world = World()
    saga = Saga("s", world.pivot("p"), step(world.sleeper("slow", 0.3)), deadline=0.1)
    assert drive(saga).status == "completed"


def test_a_bad_scenario_is_refused_before_anything_starts(drive):
    from sagakit import Scenario
    from sagakit.errors import ScenarioError

    world = World()
    with pytest.raises(ScenarioError, match="did you mean 'charge'"):
        drive(Saga("s", world.step("charge")), scenario=Scenario().fail("charg"))
    assert world.calls == []


def test_a_saga_is_refused_before_it_can_be_driven(drive):
    with pytest.raises(DefinitionError):
        drive(Saga("s"))
