"""Services with policies: what is called, when, and what the journal tells of it."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest
from world import World, kinds

from sagakit import (
    Bulkhead,
    CircuitBreaker,
    DefinitionError,
    Hedge,
    InDoubtError,
    RateLimit,
    Retry,
    RetryBudget,
    Saga,
    Scenario,
    Service,
    TerminalError,
    step,
)
from sagakit.events import (
    AttemptAdmitted,
    AttemptHeld,
    BreakerChanged,
    CompensationAttemptFailed,
    HedgeStarted,
    StepAttemptFailed,
    StepFailed,
    StepStarted,
    StepSucceeded,
)


def of(kind, execution):
    return [event for event in execution.events if isinstance(event, kind)]


def steps_of(kind, execution):
    return [event.step for event in of(kind, execution)]


class Busy(World):
    """Notes how many calls are under way at once."""

    def __init__(self):
        super().__init__()
        self.now = self.most = 0

    def worker(self, name, seconds=0.02, failure=None):
        sleep = self.sleeper(name, seconds, failure)

        async def act(ctx):
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                await sleep(ctx)
            finally:
                self.now -= 1

        act.__name__ = name
        return act

    def beside(self, names, seconds=0.02, **options):
        options = {"after": (), "service": "bank", **options}
        return [
            step(self.worker(name, seconds), self.worker(f"undo {name}", seconds), **options)
            for name in names
        ]


def bank(**parts):
    return [Service("bank", **parts)]


# -- bulkhead -------------------------------------------------------------------------------


def test_no_more_calls_are_under_way_than_the_bulkhead_lets_and_nobody_is_overtaken(drive):
    world = Busy()
    saga = Saga("s", *world.beside("abcdefg"), services=bank(bulkhead=Bulkhead(calls=2)))
    execution = drive(saga)
    assert execution.status == "completed"
    assert world.most == 2
    assert [call for call in world.calls if "ended" not in call] == list("abcdefg")
    assert steps_of(AttemptHeld, execution) == steps_of(AttemptAdmitted, execution) == list("cdefg")
    assert {event.by for event in of(AttemptHeld, execution)} == {"bulkhead"}
    assert {event.until for event in of(AttemptHeld, execution)} == {None}
    assert kinds(execution.events, "c") == [
        "StepStarted",
        "AttemptHeld",
        "AttemptAdmitted",
        "StepSucceeded",
    ]


def test_a_timeout_counts_from_the_call_and_not_from_the_wait(drive):
    world = Busy()
    steps = world.beside("abcdef", 0.05, timeout=0.2)  # the last one waits for 0.25 s
    execution = drive(Saga("s", *steps, services=bank(bulkhead=Bulkhead(calls=1))))
    assert execution.status == "completed"
    assert world.most == 1


def test_a_call_that_times_out_makes_room(drive):
    world = Busy()
    slow = step(world.worker("slow", 5), after=(), service="bank", timeout=0.03)
    saga = Saga("s", slow, *world.beside("a"), services=bank(bulkhead=Bulkhead(calls=1)))
    execution = drive(saga)
    # backward recovery began when it timed out, so the held one was not made any more
    assert execution.status == "compensated"
    assert world.calls == ["slow"]
    assert kinds(execution.events, "a") == ["StepStarted", "AttemptHeld", "StepFailed"]


def test_what_finds_the_queue_full_is_refused_and_what_is_held_is_not_made_any_more(drive):
    world = Busy()
    saga = Saga("s", *world.beside("abc"), services=bank(bulkhead=Bulkhead(calls=1, queue=1)))
    execution = drive(saga)
    assert execution.status == "compensated"
    assert world.calls == ["a", "a ended", "undo a", "undo a ended"]
    failed = {event.step: event.error for event in of(StepFailed, execution)}
    assert {error.type for error in failed.values()} == {"ServiceRefusedError"}
    assert failed["c"].message == (
        "service 'bank': refused by its bulkhead: held by the bulkhead, and its queue of 1 is full"
    )
    assert failed["b"].message == (
        "service 'bank': refused by its bulkhead: it held the call until backward recovery began"
    )
    assert execution.failed_step == "c"


def test_a_refused_attempt_is_retried_like_any_other_failure(drive):
    world = Busy()
    steps = world.beside("ab", 0.03, retry=Retry(100, wait=0.01, backoff=1))
    execution = drive(Saga("s", *steps, services=bank(bulkhead=Bulkhead(calls=1, queue=0))))
    assert execution.status == "completed"
    assert world.most == 1
    assert steps_of(AttemptHeld, execution) == []
    assert set(steps_of(StepAttemptFailed, execution)) == {"b"}


def test_an_execution_that_is_called_off_takes_its_held_calls_back(drive):
    world = Busy()
    saga = Saga("s", *world.beside("abc", 0.1), services=bank(bulkhead=Bulkhead(calls=1)))
    execution = drive(saga, scenario=Scenario().cancel(at=0.03))
    assert execution.status == "compensated"
    assert world.calls == ["a", "a ended", "undo a", "undo a ended"]
    assert steps_of(StepFailed, execution) == ["b", "c"]


def test_a_deadline_takes_held_calls_back_too(drive):
    world = Busy()
    services = bank(rate_limit=RateLimit(calls=1, per=0.4, burst=1))
    execution = drive(Saga("s", *world.beside("ab"), services=services, deadline=0.1))
    assert steps_of(StepFailed, execution) == ["b"]
    # the compensation of the other waits for its time, as any call of the service
    assert world.calls == ["a", "a ended", "undo a", "undo a ended"]
    assert execution.duration >= 0.4 - 1e-6


def test_a_held_attempt_after_one_in_doubt_stays_in_doubt_when_it_is_taken_back(drive):
    world = Busy()
    lost = step(
        world.action("lost", InDoubtError("no reply")),
        world.action("undo lost"),
        name="lost",
        after=(),
        service="bank",
        retry=Retry(2),
    )
    services = bank(rate_limit=RateLimit(calls=1, per=0.2, burst=1))
    execution = drive(Saga("s", lost, services=services), scenario=Scenario().cancel(at=0.05))
    assert execution.status == "compensated"
    assert kinds(execution.events, "lost") == [
        *["StepStarted", "StepAttemptFailed", "StepStarted", "AttemptHeld", "StepInDoubt"],
        *["CompensationStarted", "AttemptHeld", "AttemptAdmitted", "CompensationSucceeded"],
    ]
    assert world.calls == ["lost", "undo lost"]


def test_a_refused_compensation_never_gives_up_because_of_that(drive):
    """The breaker is open for longer than the compensation's three attempts would take."""
    world = World()
    bank = Service("bank", breaker=CircuitBreaker(failures=1, reset=0.2))
    saga = Saga(
        "s",
        world.step("a", service="bank", compensation_retry=Retry(1)),
        world.step("b", ConnectionError("down"), service="bank", compensation=None),
        services=[bank],
    )
    execution = drive(saga)
    assert execution.status == "compensated"
    assert world.undone == ["a"]
    refused = [e for e in execution.events if isinstance(e, CompensationAttemptFailed)]
    assert refused
    assert all(event.refused for event in refused)


def test_a_refused_attempt_is_retried_whatever_the_policy_is_for(drive):
    world = World()
    bank = Service("bank", breaker=CircuitBreaker(failures=1, reset=0.05))
    retry = Retry(4, on=(ConnectionError,))
    saga = Saga(
        "s",
        world.step("a", ConnectionError("down"), None, service="bank", retry=retry),
        services=[bank],
    )
    assert drive(saga).status == "completed"
    assert world.calls == ["a", "a"]


def test_compensations_and_reconciles_wait_for_their_service_as_actions_do(drive):
    world = Busy()
    doubtful = step(
        world.worker("doubtful", 0.01, InDoubtError("no reply")),
        world.action("undo doubtful"),
        after=(),
        service="bank",
        reconcile=lambda: False,
    )
    saga = Saga("s", doubtful, *world.beside("ab"), services=bank(bulkhead=Bulkhead(calls=1)))
    execution = drive(saga)
    assert execution.status == "compensated"
    held = [(event.step, event.side) for event in of(AttemptHeld, execution)]
    assert held[:3] == [("a", "action"), ("b", "action"), ("doubtful", "reconcile")]
    assert held[3:] in ([("b", "compensation")], [("a", "compensation")])
    assert world.most == 1


# -- rate limit -----------------------------------------------------------------------------


def test_calls_beyond_the_rate_wait_for_their_time(drive):
    world = Busy()
    services = bank(rate_limit=RateLimit(calls=1, per=0.05, burst=2))
    execution = drive(Saga("s", *world.beside("abcd", 0), services=services))
    assert execution.status == "completed"
    assert steps_of(AttemptHeld, execution) == steps_of(AttemptAdmitted, execution) == ["c", "d"]
    began = execution.started_at
    third, fourth = (event.at for event in of(AttemptAdmitted, execution))
    assert third >= began + 0.05 - 1e-6
    assert fourth >= began + 0.1 - 1e-6
    held = of(AttemptHeld, execution)[0]
    assert held.by == "rate limit"
    assert third >= held.until > held.at


# -- circuit breaker ------------------------------------------------------------------------


def down(times):
    return [ConnectionError("down")] * times


def test_an_open_breaker_refuses_and_the_retry_waits_until_it_can_help(drive):
    world = World()
    charge = world.action("charge", *down(2), None)
    retried = step(charge, service="bank", retry=Retry(4, wait=0.01, backoff=1))
    execution = drive(
        Saga("s", retried, services=bank(breaker=CircuitBreaker(failures=2, reset=0.1)))
    )
    assert execution.status == "completed"
    assert len(world.calls) == 3
    assert kinds(execution.events, "charge") == [
        *["StepStarted", "StepAttemptFailed"] * 3,
        "StepStarted",
        "StepSucceeded",
    ]
    changes = of(BreakerChanged, execution)
    assert [(event.before, event.after, event.why) for event in changes] == [
        ("closed", "open", "too many calls failed"),
        ("open", "half-open", "the reset time passed"),
        ("half-open", "closed", "the trials succeeded"),
    ]
    refused = of(StepAttemptFailed, execution)[2]
    assert refused.error.message == "service 'bank': refused by its circuit breaker: it is open"
    assert not refused.in_doubt
    assert refused.retry_at == changes[0].at + 0.1
    assert of(StepStarted, execution)[3].at >= refused.retry_at


def test_a_refusal_without_another_attempt_fails_the_step_without_effect(drive):
    world = World()
    services = bank(breaker=CircuitBreaker(failures=1, reset=60))
    broken = step(world.action("broken", *down(1)), name="broken", service="bank", retry=Retry(2))
    saga = Saga("s", world.step("a"), broken, services=services)
    execution = drive(saga, scenario=Scenario().cancel(at=0.05))
    assert execution.status == "compensated"
    assert world.calls == ["a", "broken", "undo a"]
    assert str(execution.states["broken"]) == "failed"


def test_a_no_by_a_business_rule_does_not_open_the_breaker(drive):
    world = World()
    services = bank(breaker=CircuitBreaker(failures=1, share=0))
    no = step(world.action("no", TerminalError("declined")), name="no", service="bank")
    execution = drive(Saga("s", no, services=services))
    assert execution.status == "compensated"
    assert of(BreakerChanged, execution) == []


@pytest.mark.parametrize("failure", [InDoubtError("no reply"), None], ids=["in doubt", "timeout"])
def test_silence_opens_it(drive, failure):
    world = Busy()
    act = world.worker("act", 5) if failure is None else world.action("act", failure)
    silent = step(act, world.action("undo"), name="act", service="bank", timeout=0.05)
    services = bank(breaker=CircuitBreaker(failures=1, reset=0.05))
    execution = drive(Saga("s", silent, services=services))
    assert execution.status == "compensated"
    assert [event.after for event in of(BreakerChanged, execution)] == [
        *["open", "half-open"],
        "closed",
    ]
    # the compensation was refused while it was open, and tried again when that could help
    assert kinds(execution.events, "act")[2:] == [
        *["CompensationStarted", "CompensationAttemptFailed"],
        *["CompensationStarted", "CompensationSucceeded"],
    ]


def test_after_the_pivot_a_refused_step_is_retried_until_it_succeeds(drive):
    world = World()
    last = world.last("last", *down(3), None, service="bank", retry=Retry(wait=0.01, backoff=1))
    services = bank(breaker=CircuitBreaker(failures=1, reset=0.03))
    execution = drive(Saga("s", world.pivot("p"), last, services=services))
    assert execution.status == "completed"
    assert world.calls == ["p", *["last"] * 4]
    assert [event.after for event in of(BreakerChanged, execution)] == [
        *["open", "half-open"] * 3,
        "closed",
    ]


def test_what_a_breaker_refuses_while_it_was_held_fails_at_once(drive):
    world = Busy()
    bad = step(world.worker("bad", 0.03, ConnectionError("down")), after=(), service="bank")
    services = bank(breaker=CircuitBreaker(failures=1, reset=0.1), bulkhead=Bulkhead(calls=1))
    bad = msgspec.structs.replace(bad, retry=Retry(2, wait=60))  # so that nothing turns back
    held = world.beside("a", retry=Retry(2))
    execution = drive(Saga("s", bad, *held, services=services, deadline=1))
    assert kinds(execution.events, "a")[:5] == [
        *["StepStarted", "AttemptHeld", "StepAttemptFailed", "StepStarted", "StepSucceeded"],
    ]
    opened, refused = of(BreakerChanged, execution)[0], of(StepAttemptFailed, execution)[1]
    assert refused.retry_at == opened.at + 0.1
    assert world.calls[:4] == ["bad", "bad ended", "a", "a ended"]


# -- retry budget ---------------------------------------------------------------------------


def test_retries_beyond_the_budget_are_refused(drive):
    world = World()
    tried = step(world.action("a", *down(1)), name="a", service="bank", retry=Retry(4, wait=0.01))
    services = bank(retry_budget=RetryBudget(ratio=1, least=0))
    execution = drive(Saga("s", tried, services=services))
    assert execution.status == "compensated"
    assert world.calls == ["a", "a"]
    assert [error.name for _, error in execution.errors] == [
        *["ConnectionError"] * 2,
        *["ServiceRefusedError"] * 2,
    ]
    assert execution.error.message == (
        "service 'bank': refused by its retry budget: 1 retries for 1 first attempts in 10 s"
    )


def test_a_compensation_that_was_never_let_in_is_no_retry_for_the_budget(drive):
    """Else what a breaker has spared its service once could never be undone."""
    world = World()
    services = bank(
        breaker=CircuitBreaker(failures=1, reset=0.02), retry_budget=RetryBudget(ratio=0, least=0)
    )
    steps = [world.step("a", service="bank"), world.step("b", *down(1), service="bank")]
    execution = drive(Saga("s", *steps, services=services))
    refused = of(CompensationAttemptFailed, execution)
    assert [event.refused for event in refused] == [True]
    assert execution.status == "compensated"
    assert world.undone == ["a"]


# -- hedge ----------------------------------------------------------------------------------


class Answers:
    """A read whose calls take so long each, and then give their number or fail."""

    def __init__(self, *calls):
        self.calls = calls
        self.begun = self.cancelled = 0

    async def ask(self):
        number = self.begun
        self.begun += 1
        seconds, failure = self.calls[number]
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if failure is not None:
            raise failure
        return number + 1

    def are_cancelled(self, count):
        """Soon: an engine answers before its loop has turned once more."""
        patience = time.monotonic() + 10
        while self.cancelled < count and time.monotonic() < patience:
            time.sleep(0.001)
        return self.cancelled == count

    def saga(self, hedge=None, services=None, **options):
        options = {"read": True, "service": "bank", **options}
        return Saga("s", step(self.ask, **options), services=services or bank(hedge=hedge))


def test_a_slow_read_is_asked_again_and_the_first_answer_counts(drive):
    answers = Answers((30, None), (0.01, None))
    execution = drive(answers.saga(Hedge(after=0.05)))
    assert execution.results == {"ask": 2}
    assert kinds(execution.events, "ask") == ["StepStarted", "HedgeStarted", "StepSucceeded"]
    assert execution.duration < 30
    assert of(HedgeStarted, execution)[0].at >= execution.started_at + 0.05 - 1e-6
    assert answers.are_cancelled(1)


def test_the_first_call_may_still_answer_first(drive):
    answers = Answers((0.1, None), (30, None))
    execution = drive(answers.saga(Hedge(after=0.03)))
    assert execution.results == {"ask": 1}
    assert answers.begun == 2
    assert answers.are_cancelled(1)


def test_a_read_that_answers_in_time_is_asked_once(drive):
    answers = Answers((0.01, None))
    execution = drive(answers.saga(Hedge(after=10)))
    assert execution.results == {"ask": 1}
    assert execution.duration < 10


def test_it_is_asked_at_most_so_often(drive):
    answers = Answers((30, None), (30, None), (0.02, None))
    execution = drive(answers.saga(Hedge(after=0.05, most=3)))
    assert execution.results == {"ask": 3}
    assert len(of(HedgeStarted, execution)) == 2
    assert answers.are_cancelled(2)


def test_a_call_that_fails_is_no_answer_while_another_is_under_way(drive):
    answers = Answers((0.08, ConnectionError("down")), (0.1, None))
    execution = drive(answers.saga(Hedge(after=0.03)))
    assert execution.results == {"ask": 2}
    assert of(StepAttemptFailed, execution) == []


def test_when_every_call_fails_the_attempt_does_once(drive):
    answers = Answers((0.08, ConnectionError("first")), (0.1, ConnectionError("second")))
    execution = drive(answers.saga(Hedge(after=0.03)))
    assert [error.message for _, error in execution.errors] == ["second"]


def test_a_no_is_an_answer(drive):
    answers = Answers((30, None), (0.01, TerminalError("unknown")))
    execution = drive(answers.saga(Hedge(after=0.03)))
    assert execution.status == "compensated"
    assert execution.error.message == "unknown"


def test_a_hedged_attempt_has_one_timeout(drive):
    answers = Answers((0.06, ConnectionError("down")), (30, None))
    execution = drive(answers.saga(Hedge(after=0.03), timeout=0.12))
    assert execution.status == "compensated"
    assert [error.message for _, error in execution.errors] == ["no answer within 0.12 s"]
    assert answers.are_cancelled(1)


def test_a_hedge_needs_a_place_as_every_call_does(drive):
    answers = Answers((0.15, None))
    services = bank(hedge=Hedge(after=0.03), bulkhead=Bulkhead(calls=1))
    execution = drive(answers.saga(services=services))
    assert execution.results == {"ask": 1}
    assert of(HedgeStarted, execution) == []


def test_only_reads_are_hedged(drive):
    world = Busy()
    services = bank(hedge=Hedge(after=0.02))
    write = step(world.worker("write", 0.08), service="bank")
    read = step(world.worker("read", 0), service="bank", read=True)
    execution = drive(Saga("s", write, read, services=services))
    assert execution.status == "completed"
    assert of(HedgeStarted, execution) == []


def test_a_fault_of_one_attempt_slows_its_first_call_only(drive):
    world = World()
    read = step(world.action("a", result=7), name="a", service="bank", read=True)
    saga = Saga("s", read, services=bank(hedge=Hedge(after=0.03)))
    execution = drive(saga, scenario=Scenario().slow("a", 30, attempt=1))
    assert execution.status == "completed"
    assert execution.duration < 30
    assert world.calls == ["a"]


# -- in general -----------------------------------------------------------------------------


def test_a_step_of_another_service_and_one_without_policies_is_called_as_ever(drive):
    world = Busy()
    saga = Saga(
        "s",
        *world.beside("ab"),
        *world.beside("cd", service="till"),
        *world.beside("ef", service=None),
        services=bank(bulkhead=Bulkhead(calls=1)),
    )
    execution = drive(saga)
    assert steps_of(AttemptHeld, execution) == ["b"]
    assert world.most == 5


def test_results_are_those_of_a_saga_without_services(drive):
    world = Busy()
    steps = world.beside("abc")
    services = bank(
        breaker=CircuitBreaker(),
        bulkhead=Bulkhead(),
        rate_limit=RateLimit(calls=100),
        retry_budget=RetryBudget(),
    )
    plain, guarded = drive(Saga("s", *steps)), drive(Saga("s", *steps, services=services))
    assert [type(event) for event in plain.events] == [type(event) for event in guarded.events]
    assert steps_of(StepSucceeded, plain) == steps_of(StepSucceeded, guarded)


def test_services_that_cannot_work_are_refused_before_anything_runs(drive):
    world = Busy()
    with pytest.raises(DefinitionError) as caught:
        Saga(
            "s",
            *world.beside("a"),
            services=[*bank(bulkhead=Bulkhead(calls=0)), *bank(), Service("bnak")],
        )
    assert caught.value.problems == (
        "service 'bank': bulkhead: calls is 0; give a whole number from 1 to 1,000,000,000",
        "service 'bank' is defined more than once; keep one, with all its policies",
        "service 'bnak' is named by no step (did you mean 'bank'?)",
    )
