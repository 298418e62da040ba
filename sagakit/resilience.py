"""What keeps one service from taking its callers down, and its callers from overrunning it.

Five policies, bundled per service in a ``Service``, are plain data. A ``Guard`` is the state of one
service, shared by all that call it: ``admit`` says whether a call may be made now, ``settle`` is
told how it went. No IO, no clock, no chance: time arrives as ``now``, in seconds.

Only the circuit breaker is a finite state machine: ``BREAKER_TRANSITIONS`` is its one table, from
which the diagram in ``STATES.md`` is drawn. The others count, by the formula in their docstrings.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Any

import msgspec

from sagakit.errors import DefinitionError, IllegalEventError, Problem
from sagakit.quantities import is_seconds, number

_SLICES = 10  # of a window, as in Hystrix and Finagle: constant memory, however many the calls
_MOST = 1_000_000_000
_SHORTEST = 0.001  # seconds
_ROUNDING = 1e-9  # 0.29 * 100 is 28.999999999999996

# -- the circuit breaker's states -----------------------------------------------------------


class BreakerState(StrEnum):
    """Where a circuit breaker stands. The values are the words that pictures and logs show."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class BreakerCause(StrEnum):
    """Why a circuit breaker changes its state."""

    FAILURES = "too many calls failed"
    RESET = "the reset time passed"
    TRIAL_FAILED = "a trial failed"
    TRIALS_SUCCEEDED = "the trials succeeded"
    TRIPPED = "a scenario tripped it"


# The one table of what may happen to a circuit breaker.
BREAKER_TRANSITIONS: dict[BreakerState, dict[BreakerCause, BreakerState]] = {
    BreakerState.CLOSED: {
        BreakerCause.FAILURES: BreakerState.OPEN,
        BreakerCause.TRIPPED: BreakerState.OPEN,
    },
    BreakerState.OPEN: {BreakerCause.RESET: BreakerState.HALF_OPEN},
    BreakerState.HALF_OPEN: {
        BreakerCause.TRIAL_FAILED: BreakerState.OPEN,
        BreakerCause.TRIALS_SUCCEEDED: BreakerState.CLOSED,
        BreakerCause.TRIPPED: BreakerState.OPEN,
    },
}


# -- policies -------------------------------------------------------------------------------


class CircuitBreaker(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """Stop calling a service that fails, and try carefully whether it is back.

    Closed, it lets every call through and counts. It opens when, within ``window`` seconds, at
    least ``failures`` calls failed and these are at least the ``share`` of all that were settled.
    Open, it refuses every call for ``reset`` seconds. Half-open, it lets ``trials`` calls through:
    when all of them succeed it closes, when one fails it opens again.

    The number keeps a service that is seldom called from being judged by one call; the share
    keeps a busy one from being cut off for its background noise.

    Source: Nygard, "Release It!", "Stability Patterns"; Fowler, "CircuitBreaker", 2014 (5
    failures, one trial); Azure Architecture Center, "Circuit Breaker pattern" (failures within a
    time window, several trials); resilience4j (share 50 %, 60 s open).

    Parameters:
        failures: how many calls must fail before it opens. A timeout is a failure; a "no" by a
            business rule is not.
        share: the share of failed calls, 0 to 1, from which it opens; 0: the number decides alone.
        window: seconds that a result counts, in slices of a tenth of it: what is older never
            counts, what is younger than nine tenths always does.
        reset: seconds from opening until trials are let through.
        trials: how many calls it tries, at once or one after the other.
    """

    failures: int = 5
    share: float = 0.5
    window: float = 60.0
    reset: float = 60.0
    trials: int = 1

    def __post_init__(self) -> None:
        _as_floats(self, "share", "window", "reset")

    def problems(self) -> list[str]:
        """What is wrong with these numbers, each with its cure."""
        return [
            *_count(self, "failures"),
            *_share(self, "share"),
            *_seconds(self, "window"),
            *_seconds(self, "reset"),
            *_count(self, "trials"),
        ]


class Bulkhead(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """Let only so many calls of a service be under way, and only so many wait.

    No state machine, one counter: a call goes when ``under way < calls``, waits when
    ``waiting < queue``, and is refused otherwise. The queue bounds all that wait for the service,
    those that wait for its rate limit too: a queue without a bound only hides the overload.

    Source: Nygard, "Release It!", "Stability Patterns"; resilience4j (25 calls, and a queue of
    100 in its thread pool bulkhead).

    Parameters:
        calls: the most calls under way at once.
        queue: the most calls that wait; 0: nothing waits, what cannot go at once is refused.
    """

    calls: int = 25
    queue: int = 100

    def problems(self) -> list[str]:
        """What is wrong with these numbers, each with its cure."""
        return [*_count(self, "calls"), *_count(self, "queue", least=0)]


class RateLimit(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """Call a service only so often: a token bucket.

    The bucket holds ``burst`` tokens and gains one every ``per / calls`` seconds; a call takes one,
    or waits for it. So any ``s`` seconds see at most ``burst + s * calls / per`` calls.

    No state machine, one formula: the ``n``-th call since the bucket was last full, at ``t``, may
    go at ``t + (n - burst) * per / calls``. Nothing is added up, so nothing drifts, and a call
    that comes back at the very time it was told is let through.

    Source: the token bucket of traffic shaping, computed as the virtual scheduling of ITU-T I.371
    (the generic cell rate algorithm); a burst of one period as in Guava's ``RateLimiter``.

    Parameters:
        calls: how many in ``per`` seconds, for long; the service's owner knows the number.
        per: seconds.
        burst: the most calls at once after a rest; left out: ``calls``.
    """

    calls: int
    per: float = 1.0
    burst: int | None = None

    def __post_init__(self) -> None:
        _as_floats(self, "per")

    def problems(self) -> list[str]:
        """What is wrong with these numbers, each with its cure."""
        found = [*_count(self, "calls"), *_seconds(self, "per")]
        return found if self.burst is None else [*found, *_count(self, "burst")]


class RetryBudget(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """Let retries be only a share of the calls, so that they cannot multiply an overload.

    No state machine, one formula: a retry goes while
    ``retries + 1 <= least * window + ratio * first attempts``, both counted over the last
    ``window`` seconds (in slices, as the circuit breaker does). Only calls that were let through
    count, and how they end does not matter.

    Source: Finagle, ``RetryBudget`` (20 % on top of 10 a second, over 10 s).

    Parameters:
        ratio: retries for each first attempt, 0 to 1.
        least: retries per second that are allowed in any case, for a service seldom called. With
            0 a step after the pivot, which is retried until it succeeds, may never get its turn.
        window: seconds that a call counts.
    """

    ratio: float = 0.2
    least: float = 10.0
    window: float = 10.0

    def __post_init__(self) -> None:
        _as_floats(self, "ratio", "least", "window")

    def problems(self) -> list[str]:
        """What is wrong with these numbers, each with its cure."""
        found = _share(self, "ratio")
        if not is_seconds(self.least):  # a rate is bound as seconds are: finite, 0 or more
            found.append(f"least is {self.least!r}; give retries per second, 0 or more")
        return [*found, *_seconds(self, "window")]


class Hedge(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """Ask a second time when the answer is slow, and take whichever answer comes first.

    Only for steps that are declared reads: what has an effect would have it twice. A hedge is
    one more call: the guard is asked for it as for a retry, so that a slow service is not hedged
    into the ground.

    Source: Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013: a second request after the
    95th percentile of the expected latency adds about 5 % of load; at most 5 calls as in gRPC.

    Parameters:
        after: seconds without an answer before each further call; best the 95th percentile of
            the service's own latency.
        most: calls in all, the first included.
    """

    after: float
    most: int = 2

    def __post_init__(self) -> None:
        _as_floats(self, "after")

    def problems(self) -> list[str]:
        """What is wrong with these numbers, each with its cure."""
        return [*_seconds(self, "after"), *_count(self, "most", least=2, most=5)]


class Service(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"name": "service"},
):
    """How one service is called, by whichever saga; what is left out does not limit.

    Parameters:
        name: what the steps' ``service`` says.
    """

    name: str
    breaker: CircuitBreaker | None = None
    bulkhead: Bulkhead | None = None
    rate_limit: RateLimit | None = None
    retry_budget: RetryBudget | None = None
    hedge: Hedge | None = None

    def problems(self) -> list[Problem]:
        """What is wrong with this service, each with its cure."""
        found = []
        if not isinstance(self.name, str) or not self.name:
            found.append(Problem(f"its name is {self.name!r}; give text", "service"))
        elif "/" in self.name or not self.name.isprintable():
            found.append(
                Problem(f"its name is {self.name!r}; give printable text without '/'", "service")
            )
        for field, kind in POLICIES.items():
            policy = getattr(self, field)
            if isinstance(policy, kind):
                found += [  # a policy's problem begins with the field
                    Problem(f"{field}: {problem}", field, problem.partition(" ")[0])
                    for problem in policy.problems()
                ]
            elif policy is not None:
                found.append(Problem(f"{field} is {policy!r}; give a {kind.__name__}(…)", field))
        return found


POLICIES: dict[str, Any] = {
    "breaker": CircuitBreaker,
    "bulkhead": Bulkhead,
    "rate_limit": RateLimit,
    "retry_budget": RetryBudget,
    "hedge": Hedge,
}


def _as_floats(policy: msgspec.Struct, *fields: str) -> None:
    for field in fields:
        msgspec.structs.force_setattr(policy, field, number(getattr(policy, field)))


def _count(policy: object, field: str, least: int = 1, most: int = _MOST) -> list[str]:
    value = getattr(policy, field)
    if type(value) is int and least <= value <= most:
        return []
    return [f"{field} is {value!r}; give a whole number from {least} to {most:,}"]


def _share(policy: object, field: str) -> list[str]:
    value = getattr(policy, field)
    if type(value) is float and 0 <= value <= 1:
        return []
    return [f"{field} is {value!r}; give a share from 0 to 1"]


def _seconds(policy: object, field: str) -> list[str]:
    value = getattr(policy, field)
    if is_seconds(value) and value >= _SHORTEST:
        return []
    return [f"{field} is {value!r}; give seconds, {_SHORTEST} or more"]


# -- what is asked, and what is answered ----------------------------------------------------


class Part(StrEnum):
    """Which part of a guard speaks."""

    BREAKER = "circuit breaker"
    BULKHEAD = "bulkhead"
    RATE_LIMIT = "rate limit"
    RETRY_BUDGET = "retry budget"


class Outcome(StrEnum):
    """How a call ended, as far as its service's health goes."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"  # the answer is no, by a business rule (``TerminalError``): healthy
    FAILED = "failed"
    IN_DOUBT = "in doubt"  # a timeout, a lost reply: as bad as a failure
    CANCELLED = "cancelled"  # by the caller: it says nothing about the service


_HEALTHY: dict[Outcome, bool | None] = {
    Outcome.SUCCEEDED: True,
    Outcome.DECLINED: True,
    Outcome.FAILED: False,
    Outcome.IN_DOUBT: False,
    Outcome.CANCELLED: None,
}


class Transition(msgspec.Struct, frozen=True):
    """A change of state, for the journal: an entry of the part's table."""

    part: Part
    before: BreakerState
    after: BreakerState
    cause: BreakerCause


class Admitted(msgspec.Struct, frozen=True):
    """The call may be made now, and has taken its place, its token and its trial.

    Parameters:
        call: its number, by which it must be settled, whatever becomes of it.
        transitions: what asking changed.
    """

    call: int
    transitions: tuple[Transition, ...] = ()


class Held(msgspec.Struct, frozen=True):
    """The call must wait; nothing was taken.

    Parameters:
        until: ask again at this time (seconds); None: when another call has been settled.
        by: which part holds it.
        transitions: what asking changed.
    """

    until: float | None
    by: Part
    transitions: tuple[Transition, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """The call must not be made. It was not sent, so it certainly had no effect; nothing was taken.

    Parameters:
        by: which part refuses it.
        why: in words, for the journal and for people.
        retry_at: the earliest time (seconds) at which asking again can help; None: not known.
        transitions: what asking changed.
    """

    by: Part
    why: str
    retry_at: float | None = None
    transitions: tuple[Transition, ...] = ()


Admission = Admitted | Held | Refused


# -- the parts at run time ------------------------------------------------------------------
# Each is asked first and charged only when all of them agree.


class _Window:
    """Calls, and how many of them are marked, over the last ``seconds``: O(1) amortised."""

    def __init__(self, seconds: float) -> None:
        self._width = seconds / _SLICES
        self._slices: deque[list[int]] = deque()  # number of the slice, calls, marked
        self.calls = 0
        self.marked = 0

    def slide(self, now: float) -> None:
        """Forget what is too old."""
        oldest = int(now // self._width) - _SLICES + 1
        while self._slices and self._slices[0][0] < oldest:
            _, calls, marked = self._slices.popleft()
            self.calls -= calls
            self.marked -= marked

    def add(self, now: float, *, marked: bool) -> None:
        self.slide(now)
        current = int(now // self._width)
        if not self._slices or self._slices[-1][0] != current:
            self._slices.append([current, 0, 0])
        self._slices[-1][1] += 1
        self._slices[-1][2] += marked
        self.calls += 1
        self.marked += marked


class _Breaker:
    """A circuit breaker. Its ``period`` numbers the time between two transitions: a result
    counts only in the period in which its call was admitted (as in Sony's gobreaker). A later
    one tells how the service was, not how it is."""

    def __init__(self, policy: CircuitBreaker) -> None:
        self._policy = policy
        self.state = BreakerState.CLOSED
        self.period = 0
        self._window = _Window(policy.window)
        self._reset_at = 0.0  # while open
        self._trials = 0  # while half-open: under way
        self._succeeded = 0

    def slide(self, now: float) -> tuple[Transition, ...]:
        """Become half-open when it is time for it."""
        if self.state is BreakerState.OPEN and now >= self._reset_at:
            return self._change(now, BreakerCause.RESET)
        return ()

    def trip(self, now: float) -> tuple[Transition, ...]:
        if self.state is BreakerState.OPEN:
            self._reset_at = now + self._policy.reset
            return ()
        return self._change(now, BreakerCause.TRIPPED)

    def refusal(self, changes: tuple[Transition, ...]) -> Refused | None:
        if self.state is BreakerState.OPEN:
            return Refused(Part.BREAKER, "it is open", self._reset_at, changes)
        if self._trials_left() == 0:
            why = "it is half-open and its trials are under way"
            return Refused(Part.BREAKER, why, None, changes)
        return None

    def _trials_left(self) -> int | None:
        """How many calls may still be tried; None: it is not half-open."""
        if self.state is not BreakerState.HALF_OPEN:
            return None
        return self._policy.trials - self._trials - self._succeeded

    def charge(self) -> None:
        if self.state is BreakerState.HALF_OPEN:
            self._trials += 1

    def settle(self, now: float, healthy: bool | None) -> tuple[Transition, ...]:
        """Take in the result of a call of this period."""
        if self.state is BreakerState.HALF_OPEN:
            return self._settle_trial(now, healthy)
        if healthy is None:
            return ()
        window, policy = self._window, self._policy
        window.add(now, marked=not healthy)
        if healthy or window.marked < policy.failures:
            return ()
        # divided, not multiplied: 3 / 30 is exactly the 0.1 that was given
        if window.marked / window.calls < policy.share:
            return ()
        return self._change(now, BreakerCause.FAILURES)

    def _settle_trial(self, now: float, healthy: bool | None) -> tuple[Transition, ...]:
        self._trials -= 1
        if healthy is None:
            return ()
        if not healthy:
            return self._change(now, BreakerCause.TRIAL_FAILED)
        self._succeeded += 1
        if self._succeeded < self._policy.trials:
            return ()
        return self._change(now, BreakerCause.TRIALS_SUCCEEDED)

    def _change(self, now: float, cause: BreakerCause) -> tuple[Transition, ...]:
        before = self.state
        self.state = BREAKER_TRANSITIONS[before][cause]
        self.period += 1
        self._window = _Window(self._policy.window)
        self._reset_at = now + self._policy.reset
        self._trials = self._succeeded = 0
        return (Transition(Part.BREAKER, before, self.state, cause),)


class _Bucket:
    """A token bucket, kept as the calls since it was last full."""

    def __init__(self, policy: RateLimit) -> None:
        self._policy = policy
        self._burst = policy.calls if policy.burst is None else policy.burst
        self._full_at = float("-inf")
        self._taken = 0

    def next_at(self) -> float:
        """When the next call may go."""
        return self._after(self._taken + 1 - self._burst)

    def charge(self, now: float) -> None:
        # Full for a while. Not yet at the very moment: who comes exactly when told would make
        # every rounded time a new beginning, and the roundings would add up.
        if now > self._after(self._taken):
            self._full_at, self._taken = now, 0
        self._taken += 1

    def _after(self, tokens: int) -> float:
        return self._full_at + tokens * self._policy.per / self._policy.calls


class _Budget:
    """A retry budget; in its window the retries are marked."""

    def __init__(self, policy: RetryBudget) -> None:
        self._policy = policy
        self._window = _Window(policy.window)

    def refusal(self, now: float, changes: tuple[Transition, ...]) -> Refused | None:
        window, policy = self._window, self._policy
        window.slide(now)
        firsts = window.calls - window.marked
        allowed = policy.least * policy.window + policy.ratio * firsts
        if window.marked + 1 <= allowed + _ROUNDING:
            return None
        why = f"{window.marked} retries for {firsts} first attempts in {policy.window:g} s"
        return Refused(Part.RETRY_BUDGET, why, None, changes)

    def charge(self, now: float, retry: bool) -> None:
        self._window.add(now, marked=retry)


class Guard:
    """The state of one service, shared by all executions of an engine or a simulation.

    The driver keeps those that wait, in order. After every ``settle``, and when a ``Held.until``
    has come, it asks for them again, the first one first and until one is held; only then for
    newcomers. So nobody is overtaken: while one call is held, none is admitted at that time.

    It is not safe to use from several threads at once, and it is not stored: after a crash the
    service is taken for healthy and every call for settled.

    Raises:
        DefinitionError: the service has problems.
    """

    def __init__(self, service: Service) -> None:
        found = service.problems()
        if found:
            raise DefinitionError(f"service '{service.name}'", found)
        self.service = service
        self._now = float("-inf")
        self._breaker = _Breaker(service.breaker) if service.breaker else None
        self._bucket = _Bucket(service.rate_limit) if service.rate_limit else None
        self._budget = _Budget(service.retry_budget) if service.retry_budget else None
        self._under_way: dict[int, int] = {}  # call -> the breaker's period when admitted
        self._calls = 0

    @property
    def breaker_state(self) -> BreakerState:
        """As of the last time it was asked or told something; closed without a breaker."""
        return self._breaker.state if self._breaker else BreakerState.CLOSED

    @property
    def under_way(self) -> int:
        """How many calls are admitted and not settled."""
        return len(self._under_way)

    def admit(self, now: float, retry: bool = False, waiting: int = 0) -> Admission:
        """May a call be made now? If so, it takes its place at once; if not, it takes nothing.

        O(1) amortised.

        Parameters:
            now: seconds on any clock; a time before the last one is taken for the last one.
            retry: another attempt, or a hedge, rather than a first attempt.
            waiting: how many calls wait for this service ahead of this one.
        """
        now = self._move_to(now)
        changes = self._breaker.slide(now) if self._breaker else ()
        refused = self._refusal(now, retry, changes)
        if refused is not None:
            return refused
        held = self._held(now, changes)
        if held is not None:
            return self._queued(held, waiting)
        return self._admitted(now, retry, changes)

    def settle(self, now: float, call: int, outcome: Outcome) -> tuple[Transition, ...]:
        """Say how a call ended: its place is free again, and the breaker learns of it.

        A call whose outcome is recorded is settled, even if its late answer may still come. O(1)
        amortised.

        Parameters:
            now: as for ``admit``.
            call: the number of the ``Admitted``.

        Returns:
            What changed: none or one transition of the circuit breaker.

        Raises:
            IllegalEventError: the call is not under way.
        """
        now = self._move_to(now)
        period = self._under_way.pop(call, None)
        if period is None:
            raise IllegalEventError(
                f"service '{self.service.name}': call {call} is not under way: "
                "it was settled before, or never admitted"
            )
        if self._breaker is None or period != self._breaker.period:
            return ()
        return self._breaker.settle(now, _HEALTHY[outcome])

    def trip(self, now: float) -> tuple[Transition, ...]:
        """Open the circuit breaker, whatever the calls were like; one that is open stays so, and
        its reset time begins anew.

        Parameters:
            now: as for ``admit``.

        Returns:
            What changed: none or one transition. Without a circuit breaker, nothing.
        """
        return () if self._breaker is None else self._breaker.trip(self._move_to(now))

    def _move_to(self, now: float) -> float:
        self._now = max(self._now, now)
        return self._now

    def _refusal(self, now: float, retry: bool, changes: tuple[Transition, ...]) -> Refused | None:
        refused = self._breaker.refusal(changes) if self._breaker else None
        if refused is None and retry and self._budget:
            refused = self._budget.refusal(now, changes)
        return refused

    def _held(self, now: float, changes: tuple[Transition, ...]) -> Held | None:
        bulkhead = self.service.bulkhead
        if bulkhead and len(self._under_way) >= bulkhead.calls:
            return Held(None, Part.BULKHEAD, changes)
        if self._bucket and now < (until := self._bucket.next_at()):
            return Held(until, Part.RATE_LIMIT, changes)
        return None

    def _queued(self, held: Held, waiting: int) -> Held | Refused:
        bulkhead = self.service.bulkhead
        if bulkhead is None or waiting < bulkhead.queue:
            return held
        why = f"held by the {held.by}, and its queue of {bulkhead.queue} is full"
        return Refused(Part.BULKHEAD, why, held.until, held.transitions)

    def _admitted(self, now: float, retry: bool, changes: tuple[Transition, ...]) -> Admitted:
        self._calls += 1
        self._under_way[self._calls] = self._breaker.period if self._breaker else 0
        if self._breaker:
            self._breaker.charge()
        if self._bucket:
            self._bucket.charge(now)
        if self._budget:
            self._budget.charge(now, retry)
        return Admitted(self._calls, changes)
