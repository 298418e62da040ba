"""Run one saga now, in memory."""

from __future__ import annotations

import asyncio
import contextvars
import time
import uuid
from concurrent.futures import Future
from typing import Any

from sagakit.drivers.inputs import accept_input, must_be_scenario
from sagakit.drivers.local.core import Core
from sagakit.drivers.run import RealRun
from sagakit.execution import Execution
from sagakit.journal.memory import MemoryJournal
from sagakit.saga import Saga
from sagakit.scenario import Scenario


async def arun(
    saga: Saga,
    input: Any = None,
    *,
    scenario: Scenario | None = None,
    id: str | None = None,
) -> Execution:
    """Run a saga in real time and wait for its end.

    Coroutines run on this loop, plain functions on threads. Nothing is kept beyond the process;
    for that, use an ``Engine``.

    Parameters:
        input: handed to every action as ``ctx.input``: of the type that ``Saga(input=…)``
            declares, or plain data.
        scenario: faults to inject.
        id: the execution's id; a random one when left out.

    Raises:
        InputError: the input cannot be kept, or the saga's type or schema refuses it.
    """
    must_be_scenario(scenario)
    kept = accept_input(saga, input)
    execution_id = id or uuid.uuid4().hex
    seed = uuid.uuid4().int & 0xFFFFFFFF
    made = RealRun.begin(saga, kept, execution_id, time.time(), seed, scenario)
    core = Core(MemoryJournal(), asyncio.get_running_loop())
    answer: Future[Execution] = Future()
    answer.set_running_or_notify_cancel()
    try:
        core.start(made, answer, contextvars.copy_context())
        return await asyncio.wrap_future(answer)
    finally:
        await core.stop()


def run(
    saga: Saga,
    input: Any = None,
    *,
    scenario: Scenario | None = None,
    id: str | None = None,
) -> Execution:
    """``arun`` for scripts and notebook cells: blocks until the saga has ended.

    It runs on a loop of its own in another thread, so it works inside Jupyter's running loop.
    Ctrl-C stops it: coroutines are cancelled, a plain function that is under way is left behind.
    """
    from sagakit.drivers.local.background import BackgroundLoop

    with BackgroundLoop("sagakit-run") as background:
        return background.call(arun(saga, input, scenario=scenario, id=id))
