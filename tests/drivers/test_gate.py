"""The gates of guarded services: alone, in a simulation, and shared by an engine's executions."""

from __future__ import annotations

import asyncio
import collections
import random
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagakit import (
    Bulkhead,
    CircuitBreaker,
    DefinitionError,
    Engine,
    Hedge,
    InDoubtError,
    RateLimit,
    Retry,
    RetryBudget,
    Saga,
    Scenario,
    Service,
    ServiceRefusedError,
    TerminalError,
    pivot,
    simulate,
    step,
)
from sagakit.drivers import gate as gate_module
from sagakit.drivers.gate import Gates
from sagakit.drivers.run import Run
from sagakit.drivers.simulated import Simulation, resume
from sagakit.events import (
    AttemptAdmitted,
    AttemptHeld,
    AttemptLost,
    BreakerChanged,
    ExecutionStarted,
    HedgeStarted,
    StepStarted,
    StepSucceeded,
)
from sagakit.journal.sqlite import SqliteJournal
from sagakit.resilience import Admitted, Guard, Outcome


def act():
    pass


def undo():
    pass


def beside(*names, **options):
    options = {"after": (), "service": "bank", **options}
    return [step(act, undo, name=name, **options) for name in names]


def bank(**parts):
    return Service("bank", **parts)


# -- alone ----------------------------------------------------------------------------------


class Clerk:
    """A driver that only notes what it is told."""

    def __init__(self):
        self.clock = 0.0
        self.let, self.away, self.twins, self.asked = [], [], [], []

    def now(self):
        return self.clock

    def let_in(self, attempt):
        self.let.append(attempt.command.step)

    def turn_away(self, attempt, error):
        self.away.append((attempt.command.step, error))
        attempt.run.raised(attempt, error, self.clock)

    def hedge(self, attempt):
        self.twins.append(attempt)

    def noted(self, ticket):
        pass

    def ask_again(self, at):
        self.asked.append(at)


def at_the_gate(saga):
    """Gates, their driver, and the attempts that a run begins with, by their steps."""
    clerk = Clerk()
    run = Run.begin(saga, None, "x", 0.0, 0, None)
    attempts = {attempt.command.step: attempt for attempt in run.take_up_all(0.0)}
    return Gates(clerk), clerk, run, attempts


def test_whoever_came_first_goes_first_and_everybody_once():
    saga = Saga("s", *beside(*"abcd"), services=[bank(bulkhead=Bulkhead(calls=1))])
    gates, clerk, run, attempts = at_the_gate(saga)
    assert [gates.admits(attempts[name], 0.0) for name in "abcd"] == [True, False, False, False]
    assert not gates.turn(1.0)
    for name, following in zip("abc", "bcd", strict=True):
        run.returned(attempts[name], None, 2.0)
        assert clerk.asked.pop() is None
        assert gates.turn(2.0)
        assert clerk.let[-1] == following
        assert gates.admits(attempts[following], 2.0)
    assert clerk.let == ["b", "c", "d"]


def test_a_newcomer_lets_those_go_first_that_wait():
    saga = Saga("s", *beside(*"abc"), services=[bank(bulkhead=Bulkhead(calls=1))])
    gates, clerk, run, attempts = at_the_gate(saga)
    gates.admits(attempts["a"], 0.0)
    gates.admits(attempts["b"], 0.0)
    run.returned(attempts["a"], None, 1.0)
    assert not gates.admits(attempts["c"], 1.0)  # before anybody has asked for those that wait
    assert clerk.let == ["b"]


def test_a_gate_says_when_it_is_to_be_asked_again():
    limit = RateLimit(calls=1, per=2)
    saga = Saga("s", *beside(*"ab"), services=[bank(rate_limit=limit)])
    gates, clerk, _, attempts = at_the_gate(saga)
    assert gates.next_due() is None
    assert gates.admits(attempts["a"], 0.0)
    assert not gates.admits(attempts["b"], 0.0)
    assert clerk.asked == [2.0]
    assert gates.next_due() == gates.next_due(3.0) == 2.0
    assert gates.next_due(1.0) == 1.0
    assert not gates.turn(1.9)
    assert gates.turn(2.0)
    assert gates.next_due() is None


def test_a_hedge_does_not_take_the_place_of_one_that_waits():
    class Later:
        def __call__(self, seconds, function):
            self.fire = function
            return self

        def cancel(self):
            pass

    service = bank(bulkhead=Bulkhead(calls=2), hedge=Hedge(after=1))
    saga = Saga("s", step(act, name="read", read=True, service="bank"), *beside(*"xb"),
                services=[service])  # fmt: skip
    gates, clerk, run, attempts = at_the_gate(saga)
    later = Later()
    assert gates.admits(attempts["read"], 0.0)
    attempts["read"].ticket.begun(attempts["read"], later)
    assert gates.admits(attempts["x"], 0.0)
    assert not gates.admits(attempts["b"], 0.0)
    run.returned(attempts["x"], None, 1.0)  # a place is free, and nobody has asked for it yet
    later.fire()
    assert clerk.twins == []
    assert gates.turn(1.0)
    assert clerk.let == ["b"]


def test_what_a_driver_gives_up_frees_its_places_and_records_nothing():
    saga = Saga("s", *beside(*"abc"), services=[bank(bulkhead=Bulkhead(calls=1))])
    gates, clerk, run, attempts = at_the_gate(saga)
    gates.admits(attempts["a"], 0.0, host="one")
    gates.admits(attempts["b"], 0.0, host="one")
    gates.admits(attempts["c"], 0.0, host="two")
    before = list(run.events)
    gates.leave("one")
    gates.leave("one")
    assert gates.turn(0.0)
    assert clerk.let == ["c"]
    assert run.events[: len(before)] == before
    assert [type(event) for event in run.events[len(before) :]] == [AttemptAdmitted]
    gates.close()
    assert not any(gate.tickets or gate.guard.under_way for gate in gates._gates.values())


def test_outcomes_tell_the_breaker_what_they_mean():
    outcomes = {
        "fine": (None, Outcome.SUCCEEDED),
        "no": (TerminalError("no"), Outcome.DECLINED),
        "bug": (ValueError("bug"), Outcome.FAILED),
        "lost": (InDoubtError("lost"), Outcome.IN_DOUBT),
        "cut": (ConnectionResetError("cut"), Outcome.IN_DOUBT),
        "late": (TimeoutError("late"), Outcome.IN_DOUBT),
    }
    for error, outcome in outcomes.values():
        if error is not None:
            assert gate_module._outcome(error) is outcome


def test_a_refusal_says_who_refused_and_when_to_come_again():
    saga = Saga("s", *beside(*"ab"), services=[bank(breaker=CircuitBreaker(failures=1, reset=5))])
    gates, clerk, run, attempts = at_the_gate(saga)
    gates.admits(attempts["a"], 0.0)
    run.raised(attempts["a"], ValueError("bug"), 1.0)
    assert not gates.admits(attempts["b"], 2.0)
    ((name, error),) = clerk.away
    assert name == "b"
    assert isinstance(error, ServiceRefusedError)
    assert (error.service, error.part, error.why, error.retry_at) == (
        *("bank", "circuit breaker", "it is open"),
        6.0,
    )


# -- in a simulation ------------------------------------------------------------------------


def test_exact_times_of_a_rate_limit():
    saga = Saga("s", *beside(*"abcde"), services=[bank(rate_limit=RateLimit(calls=2, per=1))])
    execution = simulate(saga)
    assert [e.at for e in execution.events if isinstance(e, StepSucceeded)] == [0, 0, 0.5, 1.0, 1.5]


def test_exact_times_of_a_breaker():
    failures = [ConnectionError("down")] * 3

    def flaky():
        if failures:
            raise failures.pop()

    service = bank(breaker=CircuitBreaker(failures=2, reset=10))
    retried = step(flaky, service="bank", retry=Retry(6, wait=1, backoff=1))
    execution = simulate(Saga("s", retried, services=[service]))
    assert [e.at for e in execution.events if isinstance(e, StepStarted)] == [0, 1, 2, 11, 12, 21]
    assert [(e.at, e.after) for e in execution.events if isinstance(e, BreakerChanged)] == [
        *[(1.0, "open"), (11.0, "half-open"), (11.0, "open"), (21.0, "half-open")],
        (21.0, "closed"),
    ]


def test_a_simulation_is_the_same_again_and_a_recovered_held_attempt_is_in_doubt():
    service = bank(rate_limit=RateLimit(calls=1, per=9))
    saga = Saga("s", *beside(*"ab"), services=[service])
    first, second = simulate(saga), simulate(saga)
    assert first.events == second.events
    held = next(n for n, e in enumerate(first.events) if isinstance(e, AttemptHeld))
    # the crash comes right after the attempt was held: nobody knows, and it is made again
    recovered = resume(saga, first.events[: held + 1], at=5.0)
    assert recovered.status == "completed"
    assert [e.step for e in recovered.events if isinstance(e, AttemptLost)] == ["b"]
    assert [e.attempt for e in recovered.events if isinstance(e, StepStarted)] == [1, 1, 2]


def test_a_saga_without_services_has_no_gates():
    saga = Saga("s", *beside(*"ab"))
    assert saga.plan.guards is None
    simulation = Simulation(Run.begin(saga, None, "x", 0.0, 0, None), 0.0, {})
    assert simulation.finish().status == "completed"
    assert simulation.gates is None


def test_the_policies_belong_to_the_definition_and_not_to_its_shape():
    import pickle

    plain, guarded = (
        Saga("s", *beside("a"), services=services) for services in ((), [bank(bulkhead=Bulkhead())])
    )
    assert plain != guarded
    assert plain.fingerprint == guarded.fingerprint
    assert plain.shape == guarded.shape
    assert pickle.loads(pickle.dumps(guarded)) == guarded
    assert pickle.loads(pickle.dumps(guarded)).plan.guards == [guarded.services[0]]


# -- whatever happens -----------------------------------------------------------------------

POLICIES = {
    "breaker": st.builds(
        CircuitBreaker,
        failures=st.integers(1, 3),
        share=st.sampled_from([0.0, 0.5]),
        reset=st.sampled_from([0.5, 3.0]),
        trials=st.integers(1, 2),
    ),
    "bulkhead": st.builds(Bulkhead, calls=st.integers(1, 3), queue=st.integers(0, 4)),
    "rate_limit": st.builds(
        RateLimit, calls=st.integers(1, 3), per=st.sampled_from([0.5, 2.0]), burst=st.just(1)
    ),
    "retry_budget": st.builds(RetryBudget, ratio=st.just(0.5), least=st.sampled_from([0.2, 1.0])),
    "hedge": st.builds(Hedge, after=st.sampled_from([0.2, 1.0]), most=st.integers(2, 3)),
}
ENDS: list[Any] = [None, None, None, ValueError("bug"), InDoubtError("lost"), TerminalError("no")]


@st.composite
def guarded_sagas(draw):
    parts = {name: draw(st.none() | policy) for name, policy in POLICIES.items()}
    chance = random.Random(draw(st.integers(0, 9999)))

    def call(name):
        async def acting():
            seconds, end = chance.choice([0.0, 0.3, 2.0]), chance.choice(ENDS)
            await asyncio.sleep(seconds)
            if end is not None:
                raise end

        acting.__name__ = name
        return acting

    steps = [
        step(call("r"), name="r", after=(), read=True, service="bank", retry=Retry(2, wait=0.1))
    ]
    for number in range(draw(st.integers(1, 6))):
        above = draw(st.sets(st.integers(0, number - 1), max_size=1)) if number else set()
        steps.append(
            step(
                call("act"),
                call("undo"),
                name=f"s{number}",
                after=tuple(f"s{other}" for other in above),
                service=draw(st.sampled_from(["bank", "bank", "bank", None])),
                retry=draw(st.sampled_from([None, Retry(3, wait=0.2)])),
                timeout=draw(st.sampled_from([None, 1.0])),
                reconcile=draw(st.sampled_from([None, lambda: True, lambda: False])),
                compensation_retry=Retry(6, wait=0.5),
            )
        )
    if draw(st.booleans()):
        steps.append(pivot(call("p"), name="p", after=[s.name for s in steps], service="bank"))
        steps.append(step(call("t"), name="t", service="bank"))
    return Saga("s", *steps, services=[Service("bank", **parts)])


class Watched(Guard):
    """A guard that notes what is asked of it."""

    made: list[Watched] = []  # noqa: RUF012

    def __init__(self, service):
        super().__init__(service)
        self.admitted, self.settled, self.most = [], [], 0
        self.made.append(self)

    def admit(self, now, retry=False, waiting=0):
        answer = super().admit(now, retry, waiting)
        if isinstance(answer, Admitted):
            self.admitted.append(answer.call)
            self.most = max(self.most, self.under_way)
        return answer

    def settle(self, now, call, outcome):
        self.settled.append(call)
        return super().settle(now, call, outcome)


@given(guarded_sagas(), st.sampled_from([None, 0.0, 0.4, 3.0]), st.sampled_from([0, 1]))
def test_every_call_is_settled_the_bulkhead_holds_and_nobody_is_overtaken(saga, cancel, seed):
    scenario = None if cancel is None else Scenario().cancel(at=cancel)
    Watched.made = []
    gate_module.Guard, kept = Watched, gate_module.Guard
    try:
        execution = simulate(saga, scenario=scenario, seed=seed)
    finally:
        gate_module.Guard = kept
    assert execution.status in ("completed", "compensated", "stuck")
    for guard in Watched.made:
        assert sorted(guard.settled) == guard.admitted
        assert guard.under_way == 0
        if guard.service.bulkhead is not None:
            assert guard.most <= guard.service.bulkhead.calls
    waiting: list[tuple[str, str]] = []
    breaker = "closed"
    for event in execution.events:
        match event:
            case AttemptHeld(step=name, side=side):
                waiting.append((name, side))
            case AttemptAdmitted(step=name, side=side):
                assert waiting.pop(0) == (name, side)
            case BreakerChanged(before=before, after=after):
                assert before == breaker
                breaker = after
            case ExecutionStarted() | StepStarted() | HedgeStarted():
                pass
            case _ if hasattr(event, "error"):  # refused while it waited, or taken back
                side = type(event).__name__
                word = "compensation" if "Compensation" in side else "action"
                word = "reconcile" if "Reconcile" in side else word
                if (event.step, word) in waiting:
                    waiting.remove((event.step, word))
    assert waiting == []


# -- shared by an engine's executions -------------------------------------------------------


class Till:
    """Counts the calls that are under way at once, over all threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.now = self.most = self.calls = 0

    def work(self):
        with self.lock:
            self.now += 1
            self.calls += 1
            self.most = max(self.most, self.now)
        threading.Event().wait(0.002)
        with self.lock:
            self.now -= 1

    async def work_async(self):
        self.now += 1
        self.calls += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.002)
        self.now -= 1


def under_way(engine):
    gates = engine._core.gates._gates.values()
    return [len(gate.tickets) + gate.guard.under_way for gate in gates]


@pytest.mark.parametrize("kind", ["work", "work_async"])
def test_one_guard_for_all_executions_and_all_sagas_of_an_engine(tmp_path, kind):
    till = Till()
    service = bank(bulkhead=Bulkhead(calls=3, queue=10_000))
    work = getattr(till, kind)
    sagas = [
        Saga(name, step(work, undo, name="a", service="bank"),
             step(work, undo, name="b", after=(), service="bank"), services=[service])
        for name in ("one", "two")
    ]  # fmt: skip
    ended = collections.Counter()
    with Engine(tmp_path / "j.db") as engine:

        def caller(number):
            for _ in range(15):
                ended[engine.run(sagas[number % 2]).status] += 1

        threads = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        futures = [engine.start(sagas[0]) for _ in range(60)]
        for thread in threads:
            thread.join()
        assert {future.result().status for future in futures} == {"completed"}
        assert under_way(engine) == [0]
    assert ended == {"completed": 120}
    assert till.calls == 360
    assert till.most == 3


def test_an_engine_refuses_two_policies_for_one_service():
    one = Saga("one", *beside("a"), services=[bank(bulkhead=Bulkhead(calls=1))])
    two = Saga("two", *beside("a"), services=[bank(bulkhead=Bulkhead(calls=2))])
    with Engine() as engine:
        engine.register(one)
        engine.register(Saga("three", *beside("a"), services=one.services))
        for refused in (lambda: engine.register(two), lambda: engine.run(two)):
            with pytest.raises(
                DefinitionError, match="service 'bank' has other policies here than"
            ):
                refused()
        assert engine.run(one).status == "completed"
    with pytest.raises(DefinitionError, match="in saga 'one'"):
        Engine(sagas=[one, two])


def test_a_closed_engine_leaves_what_it_held_to_recovery(tmp_path):
    begun, release = threading.Event(), threading.Event()

    def wait():
        begun.set()
        release.wait(10)

    saga = Saga(
        "s",
        step(wait, undo, name="a", after=(), service="bank"),
        step(act, undo, name="b", after=(), service="bank"),
        services=[bank(bulkhead=Bulkhead(calls=1))],
    )
    path = tmp_path / "j.db"
    engine = Engine(path)
    future = engine.start(saga, id="x")
    assert begun.wait(10)
    while not any(isinstance(event, AttemptHeld) for event in engine.status("x").events):
        threading.Event().wait(0.002)
    engine.close(drain=False)
    assert future.exception() is not None
    assert under_way(engine) == [0]
    release.set()
    with Engine(path) as engine:
        (execution,) = engine.recover(saga)
    assert execution.status == "completed"
    lost = [event.step for event in execution.events if isinstance(event, AttemptLost)]
    assert lost == ["a", "b"]


def test_an_execution_whose_journal_fails_frees_its_places(tmp_path):
    class Full(SqliteJournal):
        def append(self, batch, rests=None):
            if any(isinstance(e, AttemptHeld) for _, _, events in batch for e in events):
                raise OSError("no space")
            super().append(batch, rests or {})

    saga = Saga("s", *beside(*"ab"), services=[bank(bulkhead=Bulkhead(calls=1))])
    with Engine(Full(tmp_path / "j.db")) as engine:
        with pytest.raises(OSError, match="no space"):
            engine.run(saga)
        alone = Saga("alone", *beside("a"), services=saga.services)
        assert engine.run(alone).status == "completed"
        assert under_way(engine) == [0]


def test_plain_functions_on_threads_are_hedged_too():
    release = threading.Event()
    calls = []

    def ask():
        calls.append(1)
        if len(calls) == 1:
            release.wait(10)
            return "first"
        return "second"

    asked = step(ask, read=True, service="bank")
    saga = Saga("s", asked, services=[bank(hedge=Hedge(after=0.03))])
    with Engine() as engine:
        try:
            execution = engine.run(saga)
        finally:
            release.set()
        assert execution.results == {"ask": "second"}
        assert under_way(engine) == [0]


def test_what_a_crash_took_away_is_no_retry_for_the_budget():
    """Else whatever was under way at the crash would fail by it."""
    services = [bank(retry_budget=RetryBudget(ratio=0, least=0))]
    saga = Saga("s", step(act, undo, name="a", service="bank"), services=services)
    execution = simulate(saga, scenario=Scenario().crash(1))
    assert any(isinstance(event, AttemptLost) for event in execution.events)
    assert execution.status == "completed"


def test_refusals_without_a_wait_do_not_pile_up():
    saga = Saga(
        "s",
        step(act, undo, name="a", service="bank"),
        step(TillFails(), undo, name="b", service="bank", retry=Retry(3000)),
        services=[bank(retry_budget=RetryBudget(ratio=0, least=0))],
    )
    with Engine() as engine:
        execution = engine.run(saga)
    assert execution.status == "compensated"
    assert sum(isinstance(event, StepStarted) for event in execution.events) == 3001


class TillFails:
    def __call__(self):
        raise ConnectionError("down")
