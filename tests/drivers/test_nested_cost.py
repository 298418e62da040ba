"""What sagas within sagas cost: work per item does not grow with the number of items. Work is
counted in lines of sagakit that run, not in time."""

from __future__ import annotations

import gc
import sys

import pytest

from sagakit import Engine, Saga, await_event, for_each, run, simulate, step, timer

FEW, MANY = 40, 160


def work_of(task):
    """How many lines of sagakit run meanwhile, each turn of a loop counted, in this thread."""
    count = 0

    def trace(frame, kind, _):
        nonlocal count
        if "/sagakit/" not in frame.f_code.co_filename.replace("\\", "/"):
            return None
        count += 1
        return trace

    sys.settrace(trace)
    try:
        task()
    finally:
        sys.settrace(None)
    return count


def assert_linear(task):
    """Four times the items are at most four times the work, and a fifth for heaps and the like."""
    task(FEW)  # what is compiled or imported once

    def least(size):  # in real time it depends on the machine which timers wake together
        return min(work_of(lambda: task(size)) for _ in range(3))

    few, many = least(FEW), least(MANY)
    assert many / few < MANY / FEW * 1.2, f"{few:,} lines for {FEW} items, {many:,} for {MANY}"


async def act(ctx):
    return ctx.step


async def undo(ctx): ...


def items(ctx):
    return list(range(ctx.input))


def wait_a_little(ctx):
    return 0.001 * (1 + ctx.input % 20)


def fails(ctx):
    raise ValueError("no")


BODIES = {
    "actions": Saga("body", step(act, undo)),
    "waits": Saga("body", timer("t", wait_a_little), step(act, undo)),
}


def each(body, *more, limit=10_000):
    return Saga("s", for_each("all", items, body, limit=limit), *more)


def on_an_engine(saga, size):
    with Engine() as engine:
        return engine.run(saga, size)


DRIVERS = {"simulated": simulate, "local": run, "engine": on_an_engine}


@pytest.mark.parametrize("limit", [10, 10_000])
@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_saga_for_each_item(driver, name, limit):
    saga = each(BODIES[name], limit=limit)
    assert DRIVERS[driver](saga, FEW).status == "completed"
    assert_linear(lambda size: DRIVERS[driver](saga, size))


@pytest.mark.parametrize("driver", DRIVERS)
def test_undoing_a_saga_for_each_item(driver):
    saga = each(BODIES["actions"], step(fails))
    assert DRIVERS[driver](saga, FEW).status == "compensated"
    assert_linear(lambda size: DRIVERS[driver](saga, size))


def test_calling_off_a_saga_that_waits_for_each_item():
    saga = each(Saga("body", step(act, undo), await_event("go")))

    def task(size):
        with Engine() as engine:
            engine.run(saga, size, id="e", until_rest=True)
            assert engine.cancel("e", by="ann", why="no").status == "compensated"

    assert_linear(task)


def test_telling_and_drawing_what_happened():
    saga = each(Saga("body", step(act), timer("t", wait_a_little)), limit=10)
    executions = {size: simulate(saga, size) for size in (FEW, MANY)}

    def task(size):
        execution = executions[size]
        execution.history()
        execution.sequence()

    assert_linear(task)


def test_an_item_leaves_little_for_the_collector():
    """Python's collector walks again and again over all that has its own references: with many
    items that took as long as the work itself."""
    saga = Saga("each", for_each("all", items, Saga("body", step(lambda: None, name="s"))))
    simulate(saga, 10)
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        execution = simulate(saga, 1_000)
        per_item = (len(gc.get_objects()) - before) / 1_000
    finally:
        gc.enable()
    assert execution.status == "completed"
    assert per_item < 14, per_item
