"""Real time: threads, cancellation, Ctrl-C."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from sagakit import Engine, Retry, Saga, arun, run, step
from sagakit.drivers.local.threads import Threads


def undo():
    pass


def test_plain_functions_run_on_threads_and_do_not_hold_each_other_up():
    meet = threading.Barrier(3, timeout=10)

    def wait():
        meet.wait()

    steps = (step(wait, name=name, after=()) for name in "abc")
    assert run(Saga("s", *steps)).status == "completed"


def test_a_plain_function_does_not_hold_up_the_loop():
    ticks = []

    async def tick():
        for _ in range(5):
            ticks.append(time.monotonic())
            await asyncio.sleep(0.01)

    def block():
        time.sleep(0.2)
        ticks.append("blocked")

    assert run(Saga("s", step(block), step(tick, after=()))).status == "completed"
    assert ticks[-1] == "blocked"


def test_run_works_inside_a_running_loop():
    async def cell():
        return run(Saga("s", step(undo)))

    assert asyncio.run(cell()).status == "completed"


def test_arun_runs_coroutines_on_the_callers_loop():
    loops = set()

    async def note():
        loops.add(asyncio.get_running_loop())

    async def main():
        execution = await arun(Saga("s", step(note)))
        assert loops == {asyncio.get_running_loop()}
        return execution

    assert asyncio.run(main()).status == "completed"


def test_cancelling_arun_cancels_the_coroutine_that_runs():
    seen = []

    async def hang():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main():
        task = asyncio.create_task(arun(Saga("s", step(hang))))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert seen == ["cancelled"]


def test_context_variables_reach_actions_on_threads():
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    def note():
        seen.append(variable.get())

    async def main():
        variable.set("set")
        await arun(Saga("s", step(note)))

    asyncio.run(main())
    assert seen == ["set"]


def test_a_thread_that_hangs_neither_blocks_recovery_nor_the_next_saga():
    release = threading.Event()
    undone = []
    saga = Saga("s", step(release.wait, lambda: undone.append(1), name="hang", timeout=0.02))
    for _ in range(3):
        assert run(saga).status == "compensated"
    assert undone == [1, 1, 1]
    release.set()


def test_threads_are_used_again_and_grow_when_all_are_busy():
    threads = Threads()
    used = set()
    done = threading.Semaphore(0)

    def work():
        used.add(threading.current_thread())
        done.release()

    for _ in range(50):
        threads.submit(work)
        assert done.acquire(timeout=5)
        time.sleep(0.001)
    assert len(used) <= 3
    meet = threading.Barrier(10, timeout=10)
    for _ in range(10):
        threads.submit(lambda: (meet.wait(), done.release()))
    for _ in range(10):
        assert done.acquire(timeout=10)
    threads.close()


def test_an_exit_in_an_action_is_a_failure_of_its_step_not_of_the_engine():
    def leave():
        sys.exit(3)

    execution = run(Saga("s", step(undo), step(leave)))
    assert execution.status == "compensated"
    assert execution.error.type == "SystemExit"


CTRL_C = """
    import sys, time
    from sagakit import Engine, Saga, step

    def quick(): pass
    def hang():
        print("hanging", flush=True)
        time.sleep(600)

    saga = Saga("s", step(quick, quick), step(hang, quick))
    with Engine(sys.argv[1]) as engine:
        engine.run(saga, id="one")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_ends_the_program_at_once_and_leaves_a_journal_to_recover(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(CTRL_C))
    journal = tmp_path / "journal.db"
    with subprocess.Popen(
        [sys.executable, str(script), str(journal)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "hanging\n"
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, errors = process.communicate(timeout=20)
        assert time.monotonic() - began < 10
    assert "KeyboardInterrupt" in errors
    done = []

    def quick():
        done.append("quick")

    def hang():
        done.append("hang")

    saga = Saga("s", step(quick, quick), step(hang, quick))
    with Engine(journal) as engine:
        (execution,) = engine.recover(saga)
    assert execution.status == "completed"
    assert done == ["hang"]
    assert [type(e).__name__ for e in execution.events].count("AttemptLost") == 1


def test_a_wait_for_a_retry_blocks_nobody():
    def flaky(ctx):
        if ctx.attempt == 1:
            raise ValueError

    with Engine() as engine:
        waiting = engine.start(Saga("slow", step(flaky, retry=Retry(2, wait=0.3))))
        began = time.monotonic()
        assert engine.run(Saga("fast", step(undo))).status == "completed"
        assert time.monotonic() - began < 0.25
        assert waiting.result().status == "completed"
