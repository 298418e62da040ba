"""Who turns the loop: the caller who waits, or a thread of the loop's own."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from concurrent.futures import Future

import pytest

from sagakit import Engine, Saga, run, step
from sagakit.drivers.local.background import BackgroundLoop
from sagakit.errors import EngineClosedError, SagaError

MAIN = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="needs the main thread"
)


def background_threads():
    return [thread.name for thread in threading.enumerate() if thread.name == "sagakit-engine"]


def saga_of(action, **options):
    return Saga("s", step(action, action, name="a", **options))


async def nothing():
    pass


def test_a_caller_who_waits_turns_the_loop_without_another_thread():
    where = []

    async def act():
        where.append(threading.current_thread())

    with Engine() as engine:
        assert engine.run(saga_of(act)).status == "completed"
        assert background_threads() == []
    assert run(saga_of(act)).status == "completed"
    assert where == [threading.current_thread()] * 2


def test_work_that_nobody_waits_for_gets_a_thread():
    async def act():
        await asyncio.sleep(0.05)

    with Engine() as engine:
        future = engine.start(saga_of(act))
        assert background_threads() == ["sagakit-engine"]
        assert future.result(5).status == "completed"
        assert engine.run(saga_of(nothing)).status == "completed"


def test_what_another_thread_started_goes_on_when_the_caller_who_turned_leaves():
    slow_began = threading.Event()
    futures = []

    async def slow():
        slow_began.set()
        await asyncio.sleep(0.1)

    with Engine() as engine:

        async def start_another():
            def start():
                futures.append(engine.start(saga_of(slow)))

            await asyncio.to_thread(start)

        assert engine.run(saga_of(start_another)).status == "completed"
        assert futures[0].result(5).status == "completed"
    assert slow_began.is_set()


def test_a_task_that_an_action_left_behind_goes_on():
    ended = threading.Event()

    async def later():
        await asyncio.sleep(0.05)
        ended.set()

    tasks = []

    async def act():
        tasks.append(asyncio.create_task(later()))

    with Engine() as engine:
        engine.run(saga_of(act))
        assert ended.wait(5)


def test_many_threads_run_at_once():
    outcomes = []

    async def act():
        await asyncio.sleep(0.001)

    with Engine() as engine:

        def work():
            outcomes.extend(engine.run(saga_of(act)).status for _ in range(20))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert outcomes == ["completed"] * 160


def interrupt_soon(seconds=0.1):
    def interrupt():
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()


@MAIN
@pytest.mark.parametrize("kind", ["coroutine", "function"])
def test_ctrl_c_returns_to_the_caller_and_leaves_the_execution_under_way(kind):
    ended = threading.Event()

    async def coroutine():
        await asyncio.sleep(0.4)
        ended.set()

    def function():
        time.sleep(0.4)
        ended.set()

    saga = saga_of(coroutine if kind == "coroutine" else function)
    with Engine() as engine:
        interrupt_soon()
        with pytest.raises(KeyboardInterrupt):
            engine.run(saga, id="one")
        assert not ended.is_set()
        assert engine.run(saga, id="one").status == "completed"  # joins the one under way
        assert ended.is_set()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@MAIN
def test_a_second_ctrl_c_breaks_into_an_action_that_blocks_the_loop():
    async def blocks():
        time.sleep(5)

    interrupt_soon(0.1)
    interrupt_soon(0.3)
    begin = time.monotonic()
    with Engine() as engine:
        with pytest.raises(KeyboardInterrupt):
            engine.run(saga_of(blocks), id="one")
        assert time.monotonic() - begin < 3
        assert engine.run(saga_of(blocks), id="one").status == "compensated"


@MAIN
def test_a_handler_of_the_programs_own_is_left_alone():
    seen = []

    async def act():
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.01)

    before = signal.signal(signal.SIGINT, lambda *_: seen.append(True))
    try:
        with Engine() as engine:
            assert engine.run(saga_of(act)).status == "completed"
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [True]


def test_inside_a_running_loop_the_work_is_done_elsewhere():
    async def main():
        with Engine() as engine:
            return engine.run(saga_of(nothing)).status, background_threads()

    assert asyncio.run(main()) == ("completed", ["sagakit-engine"])


def test_a_loop_that_was_never_turned_closes_inside_a_running_loop():
    async def main():
        with Engine():
            pass

    asyncio.run(main())
    assert background_threads() == []


def test_a_closed_loop_refuses_and_closing_twice_is_allowed():
    loop = BackgroundLoop("test")
    loop.close()
    loop.close()
    answer: Future[None] = Future()
    with pytest.raises(EngineClosedError):
        loop.run(lambda: None, answer)
    assert loop.closed


def test_a_coroutine_raises_in_its_caller():
    async def fails():
        raise SagaError("no")

    with BackgroundLoop("test") as loop, pytest.raises(SagaError, match="no"):
        loop.call(fails())


def test_closing_waits_for_the_caller_who_turns_the_loop():
    began = threading.Event()
    order = []

    async def slow():
        began.set()
        await asyncio.sleep(0.1)
        order.append("ended")

    loop = BackgroundLoop("test")
    caller = threading.Thread(target=lambda: loop.call(slow()))
    caller.start()
    began.wait()
    loop.close()
    order.append("closed")
    caller.join()
    assert order == ["ended", "closed"]
