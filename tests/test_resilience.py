"""The resilience parts: each by example, and what holds for any calls at any times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagakit.errors import DefinitionError, IllegalEventError
from sagakit.resilience import (
    BREAKER_TRANSITIONS,
    Admission,
    Admitted,
    BreakerCause,
    BreakerState,
    Bulkhead,
    CircuitBreaker,
    Guard,
    Hedge,
    Held,
    Outcome,
    Part,
    RateLimit,
    Refused,
    RetryBudget,
    Service,
    Transition,
)

CLOSED, OPEN, HALF_OPEN = BreakerState
SUCCEEDED, DECLINED, FAILED, IN_DOUBT, CANCELLED = Outcome

OPENED = Transition(Part.BREAKER, CLOSED, OPEN, BreakerCause.FAILURES)
TRIED = Transition(Part.BREAKER, OPEN, HALF_OPEN, BreakerCause.RESET)
REOPENED = Transition(Part.BREAKER, HALF_OPEN, OPEN, BreakerCause.TRIAL_FAILED)
CLOSED_AGAIN = Transition(Part.BREAKER, HALF_OPEN, CLOSED, BreakerCause.TRIALS_SUCCEEDED)


def guard(**parts: Any) -> Guard:
    return Guard(Service("bank", **parts))


def breaking(**options: Any) -> Guard:
    """Opens after two failures within 10 s, for 30 s."""
    return guard(breaker=CircuitBreaker(**{"failures": 2, "window": 10, "reset": 30} | options))


def admitted(guard: Guard, now: float, retry: bool = False) -> int:
    answer = guard.admit(now, retry)
    assert isinstance(answer, Admitted), answer
    return answer.call


def call(guard: Guard, now: float, outcome: Outcome) -> tuple[Transition, ...]:
    """A call that takes no time."""
    return guard.settle(now, admitted(guard, now), outcome)


def opened(**options: Any) -> Guard:
    """Open since 0, so until 30."""
    broken = breaking(**options)
    call(broken, 0, FAILED)
    assert call(broken, 0, FAILED) == (OPENED,)
    return broken


# -- policies -------------------------------------------------------------------------------

DEFAULTS = [
    CircuitBreaker(),
    Bulkhead(),
    RateLimit(calls=10),
    RetryBudget(),
    Hedge(after=0.1),
]


@pytest.mark.parametrize("policy", DEFAULTS, ids=lambda policy: type(policy).__name__)
def test_a_policy_with_its_defaults_is_sound_and_survives_the_way_through_text(policy):
    assert policy.problems() == []
    text = msgspec.json.encode(policy)
    assert msgspec.json.decode(text, type=type(policy)) == policy
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({**msgspec.to_builtins(policy), "colour": "red"}, type(policy))


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        (CircuitBreaker(failures=0), "failures is 0; give a whole number from 1 to 1,000,000,000"),
        (CircuitBreaker(failures=True), "failures is True; give a whole number"),
        (CircuitBreaker(share=1.5), "share is 1.5; give a share from 0 to 1"),
        (CircuitBreaker(share=math.nan), "share is nan; give a share"),
        (CircuitBreaker(window=0), "window is 0.0; give seconds, 0.001 or more"),
        (CircuitBreaker(reset=math.inf), "reset is inf; give seconds"),
        (CircuitBreaker(trials=-1), "trials is -1; give a whole number"),
        (Bulkhead(calls=0), "calls is 0; give a whole number"),
        (Bulkhead(queue=-1), "queue is -1; give a whole number from 0"),
        (RateLimit(calls=2.5), "calls is 2.5; give a whole number"),
        (RateLimit(calls=1, per="1 s"), "per is '1 s'; give seconds"),
        (RateLimit(calls=1, burst=0), "burst is 0; give a whole number"),
        (RetryBudget(ratio=-0.1), "ratio is -0.1; give a share"),
        (RetryBudget(least=-1), "least is -1.0; give retries per second, 0 or more"),
        (RetryBudget(window=None), "window is None; give seconds"),
        (Hedge(after=0), "after is 0.0; give seconds"),
        (Hedge(after=1, most=1), "most is 1; give a whole number from 2 to 5"),
        (Hedge(after=1, most=6), "most is 6; give a whole number from 2 to 5"),
    ],
)
def test_a_bad_number_is_named_with_its_cure(policy, problem):
    (found,) = policy.problems()
    assert found.startswith(problem)


def test_whole_and_fractional_seconds_are_one_value():
    assert RateLimit(calls=1, per=2) == RateLimit(calls=1, per=2.0)
    assert Bulkhead(queue=0).problems() == []


def test_a_service_collects_the_problems_of_its_parts_and_no_guard_is_made_of_it():
    bad: Any = Service("a/b", Bulkhead(), Bulkhead(calls=0))
    assert bad.problems() == [
        "its name is 'a/b'; give printable text without '/'",
        f"breaker is {Bulkhead()!r}; give a CircuitBreaker(…)",
        "bulkhead: calls is 0; give a whole number from 1 to 1,000,000,000",
    ]
    with pytest.raises(DefinitionError, match="service 'a/b' has 3 problems"):
        Guard(bad)
    assert Service("").problems() == ["its name is ''; give text"]


def test_a_service_is_plain_data():
    service = Service("bank", CircuitBreaker(failures=3), hedge=Hedge(after=0.5))
    plain = msgspec.to_builtins(service)
    assert plain == {"service": "bank", "breaker": {"failures": 3}, "hedge": {"after": 0.5}}
    assert msgspec.convert(plain, Service) == service


# -- a guard in general ---------------------------------------------------------------------


def test_a_service_without_parts_lets_everything_through():
    free = guard()
    assert [admitted(free, 0, retry=True) for _ in range(3)] == [1, 2, 3]
    assert free.under_way == 3
    assert free.settle(0, 2, FAILED) == ()
    assert free.under_way == 2
    assert free.breaker_state is CLOSED


def test_a_call_is_settled_once():
    free = guard()
    number = admitted(free, 0)
    free.settle(1, number, SUCCEEDED)
    with pytest.raises(IllegalEventError, match="service 'bank': call 1 is not under way"):
        free.settle(2, number, SUCCEEDED)


def test_a_clock_that_goes_back_stands_still_instead():
    broken = breaking()
    call(broken, 100, FAILED)
    assert call(broken, 50, FAILED) == (OPENED,)
    assert broken.admit(81) == Refused(Part.BREAKER, "it is open", 130)


# -- the circuit breaker --------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [FAILED, IN_DOUBT])
def test_failures_and_calls_in_doubt_open_the_breaker(outcome):
    broken = breaking()
    assert call(broken, 0, outcome) == ()
    assert call(broken, 1, outcome) == (OPENED,)
    assert broken.breaker_state is OPEN
    assert broken.admit(2) == Refused(Part.BREAKER, "it is open", retry_at=31)
    assert broken.under_way == 0


@pytest.mark.parametrize("outcome", [SUCCEEDED, DECLINED, CANCELLED])
def test_answers_and_cancelled_calls_do_not_open_the_breaker(outcome):
    healthy = breaking(failures=1, share=0)
    for now in range(20):
        assert call(healthy, now, outcome) == ()
    assert healthy.breaker_state is CLOSED


def test_failures_are_forgotten_when_the_window_has_passed():
    sliding = breaking()
    call(sliding, 0, FAILED)
    assert call(sliding, 10, FAILED) == ()  # the first one is 10 s old
    assert call(sliding, 18.9, FAILED) == (OPENED,)


def test_a_busy_service_is_not_cut_off_for_few_failures():
    busy = breaking(share=0.1)
    for _ in range(28):
        call(busy, 0, SUCCEEDED)
    assert call(busy, 1, FAILED) == ()
    assert call(busy, 1, FAILED) == ()  # 2 of 30
    assert call(busy, 2, FAILED) == ()  # 3 of 31
    assert call(busy, 3, FAILED) == (OPENED,)  # 4 of 32


def test_the_share_itself_is_enough_though_floats_round():
    assert 0.07 * 100 > 7
    busy = breaking(failures=7, share=0.07)
    for _ in range(93):
        call(busy, 0, SUCCEEDED)
    for _ in range(6):
        call(busy, 1, FAILED)
    assert call(busy, 1, FAILED) == (OPENED,), "7 of 100"


def test_cancelled_calls_do_not_lower_the_share():
    cancelling = breaking(share=1)
    call(cancelling, 0, FAILED)
    call(cancelling, 0, CANCELLED)
    assert call(cancelling, 0, FAILED) == (OPENED,)


def test_it_is_half_open_at_the_very_time_that_was_told():
    broken = opened()
    assert broken.admit(math.nextafter(30, 0)) == Refused(Part.BREAKER, "it is open", 30)
    assert broken.admit(30) == Admitted(3, (TRIED,))
    assert broken.breaker_state is HALF_OPEN


def test_half_open_refuses_all_beyond_the_trials():
    broken = opened(trials=2)
    admitted(broken, 30)
    admitted(broken, 30)
    busy = Refused(Part.BREAKER, "it is half-open and its trials are under way")
    assert broken.admit(30) == busy


@pytest.mark.parametrize("outcome", [SUCCEEDED, DECLINED])
def test_it_closes_when_all_trials_succeeded(outcome):
    broken = opened(trials=2)
    assert call(broken, 30, outcome) == ()
    assert call(broken, 31, outcome) == (CLOSED_AGAIN,)


def test_a_breaker_can_be_tripped_in_any_state():
    guard_ = breaking()
    assert guard_.trip(1) == (Transition(Part.BREAKER, CLOSED, OPEN, BreakerCause.TRIPPED),)
    assert guard_.admit(2) == Refused(Part.BREAKER, "it is open", 31)
    assert guard_.trip(10) == ()
    assert guard_.admit(31) == Refused(Part.BREAKER, "it is open", 40), "its reset began anew"
    assert isinstance(guard_.admit(40), Admitted)
    assert guard_.trip(41) == (Transition(Part.BREAKER, HALF_OPEN, OPEN, BreakerCause.TRIPPED),)
    assert guard(bulkhead=Bulkhead()).trip(1) == (), "there is none to trip"


def test_a_breaker_that_closes_begins_to_count_anew():
    broken = opened(reset=1)
    assert call(broken, 1, SUCCEEDED) == (CLOSED_AGAIN,)
    assert call(broken, 1, FAILED) == ()
    assert call(broken, 1, FAILED) == (OPENED,)


def test_trials_that_succeeded_take_their_share_of_the_trials():
    broken = opened(trials=2)
    call(broken, 30, SUCCEEDED)
    admitted(broken, 31)
    assert isinstance(broken.admit(31), Refused)


@pytest.mark.parametrize("outcome", [FAILED, IN_DOUBT])
def test_a_trial_that_fails_opens_it_again_for_the_whole_reset_time(outcome):
    broken = opened(trials=3)
    call(broken, 30, SUCCEEDED)
    other = admitted(broken, 31)
    assert call(broken, 31, outcome) == (REOPENED,)
    assert broken.admit(60.9) == Refused(Part.BREAKER, "it is open", 61)
    assert broken.admit(61) == Admitted(6, (TRIED,))
    assert broken.settle(61, other, FAILED) == (), "a trial of the half-open time before"
    assert broken.breaker_state is HALF_OPEN
    for _ in range(2):
        admitted(broken, 61)  # all three trials are there again


def test_a_cancelled_trial_gives_its_place_to_another():
    broken = opened()
    call(broken, 30, CANCELLED)
    assert broken.breaker_state is HALF_OPEN
    assert call(broken, 30, SUCCEEDED) == (CLOSED_AGAIN,)


@pytest.mark.parametrize("outcome", [SUCCEEDED, FAILED])
def test_late_results_of_calls_admitted_before_it_opened_do_not_count(outcome):
    broken = breaking()
    early = [admitted(broken, 0) for _ in range(3)]
    call(broken, 0, FAILED)
    call(broken, 0, FAILED)
    assert broken.settle(1, early[0], outcome) == ()
    trial = admitted(broken, 30)
    assert broken.settle(30, early[1], outcome) == ()
    assert broken.breaker_state is HALF_OPEN
    assert broken.settle(31, trial, SUCCEEDED) == (CLOSED_AGAIN,)
    assert broken.settle(31, early[2], outcome) == ()
    assert call(broken, 31, FAILED) == ()


# -- the bulkhead ---------------------------------------------------------------------------


def test_a_full_bulkhead_holds_until_a_call_is_settled():
    full = guard(bulkhead=Bulkhead(calls=2, queue=1))
    first, _ = admitted(full, 0), admitted(full, 0)
    assert full.admit(0) == Held(None, Part.BULKHEAD)
    full.settle(5, first, CANCELLED)
    admitted(full, 5)


def test_a_full_queue_refuses():
    full = guard(bulkhead=Bulkhead(calls=1, queue=2))
    admitted(full, 0)
    assert full.admit(0, waiting=1) == Held(None, Part.BULKHEAD)
    why = "held by the bulkhead, and its queue of 2 is full"
    assert full.admit(0, waiting=2) == Refused(Part.BULKHEAD, why)


def test_without_a_queue_nothing_waits():
    full = guard(bulkhead=Bulkhead(calls=1, queue=0))
    admitted(full, 0)
    assert isinstance(full.admit(0), Refused)


def test_the_queue_bounds_those_that_wait_for_the_rate_limit_too():
    full = guard(bulkhead=Bulkhead(calls=9, queue=1), rate_limit=RateLimit(calls=1, per=4))
    admitted(full, 0)
    assert full.admit(1) == Held(4, Part.RATE_LIMIT)
    why = "held by the rate limit, and its queue of 1 is full"
    assert full.admit(1, waiting=1) == Refused(Part.BULKHEAD, why, retry_at=4)


def test_without_a_bulkhead_any_number_waits():
    limited = guard(rate_limit=RateLimit(calls=1))
    admitted(limited, 0)
    assert limited.admit(0, waiting=1_000) == Held(1, Part.RATE_LIMIT)


# -- the rate limit -------------------------------------------------------------------------


def test_a_burst_goes_at_once_and_then_one_call_per_interval():
    limited = guard(rate_limit=RateLimit(calls=2, per=1, burst=3))
    for _ in range(3):
        admitted(limited, 10)
    assert limited.admit(10) == Held(10.5, Part.RATE_LIMIT)
    assert limited.admit(10.49) == Held(10.5, Part.RATE_LIMIT)
    admitted(limited, 10.5)
    assert limited.admit(10.5) == Held(11, Part.RATE_LIMIT)


def test_the_burst_is_one_period_unless_given():
    limited = guard(rate_limit=RateLimit(calls=4))
    for _ in range(4):
        admitted(limited, 0)
    assert limited.admit(0) == Held(0.25, Part.RATE_LIMIT)


def test_the_bucket_is_never_fuller_than_the_burst():
    limited = guard(rate_limit=RateLimit(calls=1, burst=2))
    for _ in range(2):
        admitted(limited, 0)
    for _ in range(2):
        admitted(limited, 1_000)
    assert limited.admit(1_000) == Held(1_001, Part.RATE_LIMIT)


def test_a_bucket_that_is_full_at_the_very_moment_begins_anew():
    limited = guard(rate_limit=RateLimit(calls=1, burst=2))
    for _ in range(2):
        admitted(limited, 0)
    for _ in range(2):
        admitted(limited, 2)
    assert limited.admit(2) == Held(3, Part.RATE_LIMIT)


@pytest.mark.parametrize("start", [0.0, -5.0, 0.1, 1.7e9])
@pytest.mark.parametrize("per", [0.1, 0.3, 1 / 3, 7.7])
def test_who_comes_back_when_told_is_let_through_and_nothing_drifts(start, per):
    limited = guard(rate_limit=RateLimit(calls=3, per=per, burst=1))
    admitted(limited, start)
    now = start
    for _ in range(300):
        answer = limited.admit(now)
        assert isinstance(answer, Held)
        assert answer.until is not None
        assert answer.until > now
        now = answer.until
        admitted(limited, now)
    assert now - start == pytest.approx(100 * per, abs=1e-6)


# -- the retry budget -----------------------------------------------------------------------


def test_retries_are_a_share_of_the_first_attempts():
    frugal = guard(retry_budget=RetryBudget(ratio=0.2, least=0))
    for _ in range(4):
        admitted(frugal, 0)
    assert frugal.admit(0, retry=True) == Refused(
        Part.RETRY_BUDGET, "0 retries for 4 first attempts in 10 s"
    )
    admitted(frugal, 0)
    admitted(frugal, 0, retry=True)
    assert isinstance(frugal.admit(0, retry=True), Refused)
    admitted(frugal, 0)


def test_some_retries_are_allowed_in_any_case():
    frugal = guard(retry_budget=RetryBudget(ratio=0, least=0.2, window=10))
    admitted(frugal, 0, retry=True)
    admitted(frugal, 9, retry=True)
    assert isinstance(frugal.admit(9.9, retry=True), Refused)
    admitted(frugal, 10, retry=True)  # the first one is forgotten
    assert isinstance(frugal.admit(10, retry=True), Refused)


def test_a_product_that_is_a_hair_too_small_does_not_cost_a_retry():
    frugal = guard(retry_budget=RetryBudget(ratio=0.29, least=0))
    assert 0.29 * 100 < 29
    for _ in range(100):
        admitted(frugal, 0)
    for _ in range(29):
        admitted(frugal, 0, retry=True)
    assert isinstance(frugal.admit(0, retry=True), Refused)


def test_first_attempts_are_forgotten_with_the_window():
    frugal = guard(retry_budget=RetryBudget(ratio=1, least=0))
    admitted(frugal, 0)
    assert isinstance(frugal.admit(10, retry=True), Refused)


# -- several parts --------------------------------------------------------------------------


def test_what_one_part_refuses_is_not_charged_by_another():
    both = guard(
        bulkhead=Bulkhead(calls=1, queue=9),
        rate_limit=RateLimit(calls=1, per=100, burst=2),
        retry_budget=RetryBudget(ratio=0, least=0.1),
    )
    first = admitted(both, 0)
    assert both.admit(0, retry=True) == Held(None, Part.BULKHEAD)
    both.settle(0, first, FAILED)
    admitted(both, 0, retry=True)  # the one retry and the second token were still there


def test_a_call_that_is_held_does_not_take_a_trial():
    both = guard(
        breaker=CircuitBreaker(failures=1, reset=5),
        rate_limit=RateLimit(calls=1, per=10),
    )
    call(both, 0, FAILED)
    assert both.admit(5) == Held(10, Part.RATE_LIMIT, (TRIED,))
    assert both.admit(6) == Held(10, Part.RATE_LIMIT)
    admitted(both, 10)


@pytest.mark.parametrize(
    ("parts", "by"),
    [
        ({"retry_budget": RetryBudget(ratio=0, least=0)}, Part.RETRY_BUDGET),
        ({"rate_limit": RateLimit(calls=1, per=10)}, Part.RATE_LIMIT),
        (
            {"rate_limit": RateLimit(calls=1, per=10), "bulkhead": Bulkhead(queue=0)},
            Part.BULKHEAD,
        ),
    ],
)
def test_half_open_is_reported_whichever_part_says_no(parts, by):
    several = guard(breaker=CircuitBreaker(failures=1, reset=5), **parts)
    call(several, 0, FAILED)
    answer = several.admit(5, retry=True)
    assert isinstance(answer, Held | Refused)
    assert (answer.by, answer.transitions) == (by, (TRIED,))


def test_an_open_breaker_speaks_before_the_queue():
    both = guard(breaker=CircuitBreaker(failures=1, reset=5), bulkhead=Bulkhead(calls=1, queue=1))
    number = admitted(both, 0)
    both.settle(0, number, FAILED)
    assert both.admit(0, waiting=1) == Refused(Part.BREAKER, "it is open", 5)


# -- properties -----------------------------------------------------------------------------

counts = st.integers(1, 4)
breakers = st.builds(
    CircuitBreaker,
    failures=counts,
    share=st.sampled_from([0, 0.5, 1]),
    window=st.sampled_from([0.3, 5, 60]),
    reset=st.sampled_from([0.1, 3, 20]),
    trials=counts,
)
bulkheads = st.builds(Bulkhead, calls=counts, queue=st.integers(0, 2))
rate_limits = st.builds(
    RateLimit,
    calls=counts,
    per=st.sampled_from([0.1, 1, 7.7]),
    burst=st.none() | counts,
)
budgets = st.builds(
    RetryBudget,
    ratio=st.sampled_from([0, 0.2, 0.5, 1]),
    least=st.sampled_from([0, 0.1, 1]),
    window=st.sampled_from([0.3, 5, 10]),
)


class Op(NamedTuple):
    wait: float  # seconds before it
    retry: bool = False
    settled: int | None = None  # which of the calls under way; None: a call is asked for
    outcome: Outcome = SUCCEEDED


waits = st.sampled_from([0.0, 0.0, 0.1, 1.0, 3.0]) | st.floats(0, 12)
# half of the results are bad, so that breakers open and reopen
outcomes = st.sampled_from([FAILED, FAILED, IN_DOUBT, SUCCEEDED, DECLINED, CANCELLED])
asks = st.builds(Op, waits, retry=st.booleans())
ends = st.builds(Op, waits, settled=st.integers(0, 9), outcome=outcomes)
# long ones more often than hypothesis would by itself: a breaker has a way to go
calls = st.lists(asks | ends, max_size=80) | st.lists(asks | ends, min_size=40, max_size=80)
starts = st.sampled_from([0.0, -3.0, 1.7e9])


def services(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Service]:
    """The parts given always; the others sometimes."""
    every = {
        "breaker": breakers,
        "bulkhead": bulkheads,
        "rate_limit": rate_limits,
        "retry_budget": budgets,
    }
    optional = {name: st.none() | st.none() | part for name, part in every.items()}
    return st.builds(Service, st.just("bank"), **(optional | parts))


class Turn(NamedTuple):
    """What an operation came to."""

    now: float
    op: Op
    answer: Admission | None  # None: a call was settled
    call: int | None
    transitions: tuple[Transition, ...]
    guard: Guard


def play(service: Service, ops: list[Op], now: float) -> Iterator[Turn]:
    guard = Guard(service)
    under_way: list[int] = []
    for op in ops:
        now += op.wait
        if op.settled is None:
            answer = guard.admit(now, op.retry)
            number = answer.call if isinstance(answer, Admitted) else None
            if number is not None:
                under_way.append(number)
            yield Turn(now, op, answer, number, answer.transitions, guard)
        elif under_way:
            number = under_way.pop(op.settled % len(under_way))
            yield Turn(now, op, None, number, guard.settle(now, number, op.outcome), guard)


@given(services(bulkhead=bulkheads), calls, starts)
def test_never_more_calls_are_under_way_than_the_bulkhead_lets(service, ops, start):
    under_way = set()
    for turn in play(service, ops, start):
        if turn.answer is None:
            under_way.remove(turn.call)
        elif turn.call is not None:
            under_way.add(turn.call)
        assert len(under_way) == turn.guard.under_way <= service.bulkhead.calls
        if turn.answer == Held(None, Part.BULKHEAD):
            assert len(under_way) == service.bulkhead.calls


@given(services(rate_limit=rate_limits), calls, starts)
def test_no_interval_sees_more_calls_than_the_burst_and_the_rate(service, ops, start):
    limit = service.rate_limit
    burst = limit.burst or limit.calls
    times = [turn.now for turn in play(service, ops, start) if turn.call and turn.answer]
    for first, begin in enumerate(times):
        for last, end in enumerate(times[first:], first):
            most = burst + (end - begin) * limit.calls / limit.per
            assert last - first + 1 <= most + 1e-4  # 1.7e9 s are known to a quarter of a µs


@given(services(rate_limit=rate_limits), calls, starts)
def test_the_rate_limit_holds_only_while_the_bucket_is_empty(service, ops, start):
    """The textbook's bucket: a level that rises with time and falls with each call."""
    limit = service.rate_limit
    burst = limit.burst or limit.calls
    level, before = float(burst), start
    for turn in play(service, ops, start):
        level = min(burst, level + (turn.now - before) * limit.calls / limit.per)
        before = turn.now
        if turn.answer is not None and turn.call is not None:
            level -= 1
            assert level >= -1e-4
        if isinstance(turn.answer, Held) and turn.answer.by is Part.RATE_LIMIT:
            assert level < 1 + 1e-4
            assert turn.answer.until > turn.now


@given(services(breaker=breakers), calls, starts)
def test_a_breaker_moves_only_along_its_table(service, ops, start):
    state = CLOSED
    for turn in play(service, ops, start):
        for change in turn.transitions:
            assert change.before is state
            assert BREAKER_TRANSITIONS[state][change.cause] is change.after
            state = change.after
        assert turn.guard.breaker_state is state
        assert not (state is OPEN and isinstance(turn.answer, Admitted | Held))


@given(services(breaker=breakers), calls, starts)
def test_half_open_never_has_more_unsettled_calls_than_trials(service, ops, start):
    trials: set[int | None] = set()
    for turn in play(service, ops, start):
        if turn.transitions:
            trials = set()
        if turn.answer is None:
            trials.discard(turn.call)
        elif turn.call is not None and turn.guard.breaker_state is HALF_OPEN:
            trials.add(turn.call)
        assert len(trials) <= service.breaker.trials


@given(services(breaker=breakers), calls, starts)
def test_a_breaker_opens_only_for_enough_failures_and_stays_open_for_the_reset(service, ops, start):
    policy = service.breaker
    failures: list[float] = []
    opened_at = -math.inf
    for turn in play(service, ops, start):
        if turn.answer is None and turn.op.outcome in (FAILED, IN_DOUBT):
            failures.append(turn.now)
        for change in turn.transitions:
            if change == OPENED:
                oldest = turn.now - policy.window - 1e-6
                assert sum(at >= oldest for at in failures) >= policy.failures
            if change == TRIED:
                assert turn.now >= opened_at + policy.reset
            if change.after is OPEN:
                opened_at = turn.now
        if isinstance(turn.answer, Refused) and turn.guard.breaker_state is OPEN:
            assert turn.answer.retry_at == opened_at + policy.reset > turn.now


@given(services(retry_budget=budgets), calls, starts)
def test_retries_stay_within_the_budget_and_are_refused_only_beyond_it(service, ops, start):
    policy = service.retry_budget
    firsts: list[float] = []
    retries: list[float] = []

    def since(times: list[float], age: float) -> int:
        return sum(at >= turn.now - age for at in times)

    for turn in play(service, ops, start):
        if turn.answer is None:
            continue
        # a window of ten slices spans at least nine tenths of it, and at most all of it
        least, most = 0.9 * policy.window - 1e-6, policy.window + 1e-6
        reserve = policy.least * policy.window + 1e-6
        if turn.call is not None:
            (retries if turn.op.retry else firsts).append(turn.now)
            if turn.op.retry:
                assert since(retries, least) <= reserve + policy.ratio * since(firsts, most)
        elif isinstance(turn.answer, Refused) and turn.answer.by is Part.RETRY_BUDGET:
            assert turn.op.retry
            assert since(retries, most) + 1 > reserve + policy.ratio * since(firsts, least) - 2e-6


@given(services(), calls, starts)
def test_while_one_is_held_none_is_admitted_at_that_time(service, ops, start):
    held_at = None
    for turn in play(service, ops, start):
        if turn.answer is None:
            held_at = None  # a place may be free now
        elif isinstance(turn.answer, Held):
            held_at = turn.now
        elif isinstance(turn.answer, Admitted):
            assert held_at != turn.now


@given(services(), calls, starts)
def test_who_is_held_or_refused_has_changed_nothing_for_the_others(service, ops, start):
    guard = Guard(service)
    for turn in play(service, ops, start):
        if turn.answer is None:
            changes = guard.settle(turn.now, turn.call, turn.op.outcome)
            assert changes == turn.transitions
        elif turn.call is not None:  # the others do not ask this time
            answer = guard.admit(turn.now, turn.op.retry)
            assert isinstance(answer, Admitted)
            assert answer.call == turn.call


@given(services(), calls, starts)
def test_the_same_calls_at_the_same_times_get_the_same_answers(service, ops, start):
    first, second = (
        [turn._replace(guard=None) for turn in play(service, ops, start)] for _ in range(2)
    )
    assert first == second
