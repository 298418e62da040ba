"""Virtual time: it takes none of ours, and two runs are the same to the byte."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from sagakit import (
    Retry,
    Saga,
    SagaError,
    Scenario,
    Simulated,
    await_event,
    pivot,
    simulate,
    step,
    sub_saga,
)
from sagakit.drivers.simulated import resume
from sagakit.errors import DefinitionChangedError, SimulationError
from sagakit.journal.codec import encode_event


async def nap(ctx):
    await asyncio.sleep(3600)
    return {"slept": ctx.attempt}


async def short_nap():
    await asyncio.sleep(60)


def fail():
    raise ValueError("no")


def undo():
    pass


def slow_saga():
    policy = Retry(attempts=4, wait=10, jitter=1.0)
    return Saga(
        "slow",
        step(nap, undo),
        step(short_nap, undo, after=()),
        step(fail, undo, after=("nap", "short_nap"), retry=policy),
    )


def encoded(execution):
    return b"\n".join(encode_event(event) for event in execution.events)


def test_an_unmodified_sleep_takes_virtual_time_only():
    began = time.monotonic()
    execution = simulate(Saga("s", step(nap), step(short_nap, after=())))
    assert time.monotonic() - began < 5
    assert execution.duration == 3600
    ends = {e.step: e.at for e in execution.events if type(e).__name__ == "StepSucceeded"}
    assert ends == {"short_nap": 60, "nap": 3600}


def test_retry_waits_pass_in_virtual_time_without_a_loop():
    policy = Retry(attempts=3, wait=1000, backoff=10, max_wait=1e6)
    execution = simulate(Saga("s", step(fail, retry=policy)))
    assert execution.duration == 1000 + 10_000


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    first, second = (encoded(simulate(slow_saga(), {"x": 1}, seed=7)) for _ in range(2))
    assert first == second
    assert encoded(simulate(slow_saga(), {"x": 1}, seed=8)) != first


def test_two_processes_with_different_hash_seeds_give_the_same_bytes():
    program = (
        "import sys; sys.path.insert(0, 'tests/drivers')\n"
        "from test_simulated import *\n"
        "sys.stdout.buffer.write(encoded(simulate(slow_saga(), {'x': 1}, seed=7)))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": "."},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert b"ExecutionCompensated" in outputs.pop()


def test_input_scenario_and_seed_each_give_another_identity():
    saga = Saga("s", step(undo))
    scenario = Scenario().slow("undo", 1)
    ids = {
        simulate(saga).id,
        simulate(saga, {"a": 1}).id,
        simulate(saga, seed=1).id,
        simulate(saga, scenario=scenario).id,
    }
    assert len(ids) == 4
    assert simulate(saga, {"a": 1}).id == simulate(saga, {"a": 1}).id
    assert simulate(saga, id="mine").id == "mine"


def test_jitter_is_within_its_share():
    policy = Retry(attempts=30, wait=10, backoff=1, jitter=0.5)
    events = simulate(Saga("s", step(fail, retry=policy)), seed=3).events
    waits = [e.retry_at - e.at for e in events if hasattr(e, "retry_at")]
    assert all(5 <= wait <= 10.000001 for wait in waits)
    assert len({round(wait, 6) for wait in waits}) > 20


def test_plain_functions_are_called_in_the_callers_thread_one_after_another():
    threads = set()

    def note():
        threads.add(threading.current_thread())

    simulate(Saga("s", step(note, name="a"), step(note, name="b", after=())))
    assert threads == {threading.current_thread()}


def test_it_works_inside_a_running_loop():
    async def cell():
        return simulate(slow_saga())

    assert asyncio.run(cell()).status == "compensated"


def test_what_goes_on_after_the_end_is_cancelled():
    seen = []

    async def hang():
        try:
            await asyncio.sleep(1e6)
        finally:
            seen.append("cleaned up")

    execution = simulate(Saga("s", step(hang, undo, timeout=5)))
    assert execution.status == "compensated"
    assert execution.duration == 5
    assert seen == ["cleaned up"]


def test_a_step_that_would_be_retried_for_ever_is_an_error_that_names_it():
    from sagakit import pivot

    saga = Saga("s", pivot(undo), step(fail))
    with pytest.raises(SimulationError, match=r"saga 's': step 'fail' failed 10,000 times"):
        simulate(saga)

    async def fail_later():
        raise ValueError

    with pytest.raises(SimulationError, match="fail_later"):
        simulate(Saga("s", pivot(undo), step(fail_later)))


def test_an_interrupt_in_an_action_reaches_the_caller():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(Saga("s", step(interrupt)))

    async def interrupt_later():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(Saga("s", step(interrupt_later)))


def test_resuming_at_any_event_ends_like_a_run_that_never_crashed():
    """Effects are counted once per key, as a participant with a key table would."""
    from sagakit import pivot

    for scenario in (None, Scenario().fail("c"), Scenario().lose_reply("c"), Scenario().fail("p")):
        effects: set[str] = set()

        def effect(ctx, effects=effects):
            effects.add(ctx.idempotency_key)

        def happened(ctx, effects=effects):
            return ctx.idempotency_key in effects

        saga = Saga(
            "s",
            *(step(effect, effect, name=name, after=after) for name, after in TREE),
            pivot(effect, name="p", after=("b", "c"), reconcile=happened),
            step(effect, name="z"),
        )
        whole = simulate(saga, scenario=scenario)
        expected = set(effects)
        for count in range(1, len(whole.events)):
            effects.clear()
            again = resume(saga, whole.events[:count], scenario=scenario)
            assert again.status == whole.status
            assert again.events[:count] == whole.events[:count]
            if whole.status == "completed":
                assert effects <= expected


TREE = (("a", ()), ("b", ("a",)), ("c", ("a",)))


def test_the_error_of_a_bad_input_names_the_saga():
    with pytest.raises(SagaError, match="saga 's': its input"):
        simulate(Saga("s", step(undo)), {1: 2})


def test_a_saga_inside_that_always_fails_after_the_pivot_is_not_begun_for_ever() -> None:
    def refuse() -> None:
        raise ValueError("never")

    inner = Saga("inner", step(refuse, retry=Retry(1)))
    saga = Saga("s", pivot(Simulated("p")), sub_saga(inner, name="in"))
    with pytest.raises(SimulationError, match="step 'in' failed 10,000 times"):
        simulate(saga)


# -- versions -------------------------------------------------------------------------------


def test_resuming_with_another_definition_names_both_versions_and_the_difference():
    old = Saga("m", step(undo, name="one"), await_event("go"), version="1")
    new = Saga("m", step(undo, name="uno"), await_event("go"), version="3")
    with pytest.raises(DefinitionChangedError) as caught:
        resume(new, simulate(old).events)
    text = str(caught.value)
    assert f"saga 'm': execution 'm-0' is pinned to version 1 ({old.fingerprint})" in text
    assert f"cannot continue with version 3 ({new.fingerprint})" in text
    assert "its events do not fit the new definition" in text
    assert "'one'" in text


def test_resuming_is_refused_too_where_the_difference_has_not_begun():
    old = Saga("m", await_event("go"), version="1")
    new = Saga("m", await_event("go"), step(undo), version="2")
    with pytest.raises(DefinitionChangedError, match="what differs has not begun yet"):
        resume(new, simulate(old).events)


def test_resuming_with_another_definition_of_a_saga_inside_is_refused():
    old = Saga("in", await_event("go"), version="1")
    outer = Saga("o", sub_saga(old))
    waiting = simulate(outer)
    child = waiting.children["in"]
    newer = Saga("in", await_event("go"), version="2")
    other = simulate(Saga("o", sub_saga(newer)), id=waiting.id).children["in"]
    assert other.id == child.id
    with pytest.raises(DefinitionChangedError, match=f"execution '{child.id}' is pinned to"):
        resume(outer, waiting.events, children={child.id: other.events})


async def never():
    await asyncio.Event().wait()


NEVER = Saga("s", step(never))


def test_what_waits_for_what_never_comes_is_refused_and_named(monkeypatch):
    monkeypatch.setattr("sagakit.drivers.virtual._PATIENCE", 0.2)
    with pytest.raises(SimulationError, match="saga 's': step 'never' waits for what never comes"):
        simulate(NEVER)


def test_in_a_running_loop_too(monkeypatch):
    monkeypatch.setattr("sagakit.drivers.virtual._PATIENCE", 0.2)

    async def cell():
        simulate(NEVER)

    with pytest.raises(SimulationError, match="step 'never' waits"):
        asyncio.run(cell())


def test_what_waits_for_a_thread_is_waited_for(monkeypatch):
    monkeypatch.setattr("sagakit.drivers.virtual._PATIENCE", 0.0)

    async def patient():
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake():
            time.sleep(0.3)
            loop.call_soon_threadsafe(done.set)

        threading.Thread(target=wake, daemon=True).start()
        await done.wait()
        return await asyncio.to_thread(lambda: time.sleep(0.1) or "awake")

    assert simulate(Saga("s", step(patient))).results == {"patient": "awake"}


def test_a_timeout_ends_what_never_comes():
    assert simulate(Saga("s", step(never, timeout=5))).status == "compensated"
