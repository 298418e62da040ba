"""Rules about time: timeouts, retries and the deadline."""

from __future__ import annotations

from collections.abc import Iterator

from sagakit.connectors.base import Connector
from sagakit.connectors.cel import Cel
from sagakit.lab.check.durations import backward, forward, longest, pauses, shortest
from sagakit.lab.check.finding import rule
from sagakit.lab.check.view import Found, View
from sagakit.plan import Call
from sagakit.steps import Special, Step

_ATTEMPTS = 100  # from here on it is no count any more
_DAY = 86400.0


@rule(
    "SAGA201",
    "no-timeout",
    "A call has no timeout",
    "note",
    bad="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
  - step: charge_card
    pivot: true
    timeout: 5
""",
    good="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
    timeout: 5
    compensation_timeout: 5
  - step: charge_card
    pivot: true
    timeout: 5
""",
)
def no_timeout(view: View) -> Iterator[Found]:
    """A call that never answers holds the execution for ever, and what it has reserved.

    Of an action it is a warning where it stands under a deadline, which no call that is under way
    obeys, or where retries are declared, which a call that hangs never comes to. What answers
    within its own process needs none, and an HTTP connector has its own. Source: Nygard, "Release
    It!", "Timeouts".
    """
    for step in view.working():
        silent = [
            f"its {role}"
            for role, function in view.callables(step)
            if (step.timeout if role == "action" else step.compensation_timeout) is None
            and not _ends_by_itself(function)
        ]
        if not silent:
            continue
        urgent = step.timeout is None and (view.deadline(step) is not None or _repeats(step))
        message = f"{' and '.join(silent)} may hang for ever"
        options = ["timeout" if role == "its action" else "compensation_timeout" for role in silent]
        yield Found(
            step.name,
            message,
            f"give {' and '.join(options)} in seconds",
            severity="warning" if urgent else None,
        )


def _repeats(step: Step) -> bool:
    return step.retry is not None and step.retry.attempts > 1


@rule(
    "SAGA202",
    "endless-retry",
    "Before the pivot a step is retried without end in sight",
    "warning",
    bad="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
  - step: book_courier
    compensation: cancel_courier
    idempotent: true
    retry: {attempts: 1000000, wait: 1}
  - step: charge_card
    pivot: true
""",
    good="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
  - step: book_courier
    compensation: cancel_courier
    idempotent: true
    retry: {attempts: 5, wait: 1}
  - step: charge_card
    pivot: true
""",
)
def endless_retry(view: View) -> Iterator[Found]:
    """What the steps above have reserved is held meanwhile, and nobody gets an answer.

    Before the pivot a saga can give up and undo; after it, it cannot. Found are more than 100
    attempts, or more than a day of waits, without a deadline, which ends when the pivot is tried.
    Source: Richardson, "Microservices Patterns", section 4.3, on compensatable and retriable
    transactions.
    """
    for step in view.steps:
        retry = step.retry
        if retry is None or view.kind(step) == "retriable" or view.deadline(step) is not None:
            continue
        waits = pauses(retry)
        if retry.attempts > _ATTEMPTS or waits > _DAY:
            yield Found(
                step.name,
                f"is tried up to {retry.attempts:,} times, with {_told(waits)} of waits",
                "give fewer attempts" + ("" if step.pivot else ", or give the saga a deadline"),
                "retry",
            )


@rule(
    "SAGA203",
    "retry-not-idempotent",
    "A step is retried and not declared idempotent",
    "warning",
    bad="""
saga: order
version: "1"
steps:
  - step: charge_card
    compensation: refund_card
    retry: {attempts: 3, wait: 1}
  - step: confirm_order
    pivot: true
""",
    good="""
saga: order
version: "1"
steps:
  - step: charge_card
    compensation: refund_card
    idempotent: true
    retry: {attempts: 3, wait: 1}
  - step: confirm_order
    pivot: true
""",
)
def retry_not_idempotent(view: View) -> Iterator[Found]:
    """The attempt that failed may have had its effect, and only its reply was lost: it is charged
    twice.

    A step after the pivot is always retried. An action whose code uses `ctx.idempotency_key` or
    `ctx.action_key`, and not `ctx.attempt`, is taken for idempotent; so is a connector that sends
    the key. Source: Helland, "Idempotence Is Not a Medical Condition", 2012.
    """
    for step in view.working():
        retriable = view.kind(step) == "retriable"
        if step.idempotent or step.read or not (retriable or _repeats(step)):
            continue
        if isinstance(step.action, Connector | Cel) and step.action.repeatable:
            continue
        names = view.code(step.action).names
        keyed = {"idempotency_key", "action_key"} & names
        if keyed and "attempt" not in names:  # not a key for each attempt
            continue
        why = "after the pivot it is retried until it succeeds"
        yield Found(
            step.name,
            f"{why if retriable else 'is retried'}, and is not declared idempotent",
            "make the action answer a repeat of ctx.idempotency_key with the same result, and "
            "declare idempotent",
            "retry",
        )


@rule(
    "SAGA204",
    "timeout-too-short",
    "A call takes longer than its timeout",
    "error",
    bad="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: {name: release_stock, latency: 3}
    compensation_timeout: 2
  - step: charge_card
    pivot: true
""",
    good="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: {name: release_stock, latency: 3}
    compensation_timeout: 10
  - step: charge_card
    pivot: true
""",
)
def timeout_too_short(view: View) -> Iterator[Found]:
    """Every attempt is cut off before its answer: an action never succeeds, and a compensation
    leaves the execution stuck.

    Known is the latency of simulated calls only.
    """
    for step in view.working():
        number = view.number(step)
        for role, call, timeout, key in (
            ("action", view.plan.actions[number], step.timeout, "timeout"),
            (
                "compensation",
                view.plan.compensations[number],
                step.compensation_timeout,
                "compensation_timeout",
            ),
        ):
            if isinstance(call, Call) and timeout is not None and call.latency >= timeout:
                yield Found(
                    step.name,
                    f"its {role} takes {call.latency:g} s, and its timeout is {timeout:g} s",
                    f"give a longer {key}",
                    key,
                )


@rule(
    "SAGA205",
    "slow-undoing",
    "Undoing may take longer than the deadline allows for the whole saga",
    "warning",
    bad="""
saga: order
version: "1"
deadline: 30
steps:
  - step: reserve_stock
    timeout: 5
    compensation: release_stock
    compensation_timeout: 10
    compensation_retry: {attempts: 5, wait: 1}
  - step: charge_card
    pivot: true
    timeout: 5
""",
    good="""
saga: order
version: "1"
deadline: 30
steps:
  - step: reserve_stock
    timeout: 5
    compensation: release_stock
    compensation_timeout: 3
    compensation_retry: {attempts: 5, wait: 1}
  - step: charge_card
    pivot: true
    timeout: 5
""",
)
def slow_undoing(view: View) -> Iterator[Found]:
    """Who set the deadline expects an answer by then; undoing begins at the deadline at the latest,
    and takes this long again.

    Counted are timeouts (or the latencies of simulated compensations) times attempts, and the waits
    between, along the longest way back.
    """
    deadline, seconds = view.saga.deadline, backward(view)
    if deadline is not None and seconds > deadline:
        yield Found(
            None,
            f"undoing it may take {_told(seconds)}, and its deadline is {_told(deadline)}",
            "give the compensations shorter timeouts or fewer attempts, or a longer deadline",
            "deadline",
        )


@rule(
    "SAGA206",
    "always-late",
    "The deadline passes even if all goes well",
    "error",
    bad="""
saga: order
version: "1"
deadline: 60
steps:
  - step: reserve_stock
    timeout: 5
    compensation: release_stock
  - step: cooling_off
    wait: {timeout: 3600}
  - step: charge_card
    pivot: true
    timeout: 5
""",
    good="""
saga: order
version: "1"
deadline: 7200
steps:
  - step: reserve_stock
    timeout: 5
    compensation: release_stock
  - step: cooling_off
    wait: {timeout: 3600}
  - step: charge_card
    pivot: true
    timeout: 5
""",
)
def always_late(view: View) -> Iterator[Found]:
    """Every execution is undone before its pivot is tried.

    Counted are timers and the latencies of simulated actions, of steps that are never skipped.
    """
    deadline, seconds = view.saga.deadline, forward(view, shortest)
    if deadline is not None and seconds > deadline:
        yield Found(
            None,
            f"takes {_told(seconds)} {_until(view)} if all goes well, and its deadline is "
            f"{_told(deadline)}",
            "give a longer deadline",
            "deadline",
        )


@rule(
    "SAGA207",
    "retries-cut-short",
    "The deadline passes before all retries are made",
    "note",
    bad="""
saga: order
version: "1"
deadline: 10
steps:
  - step: reserve_stock
    compensation: release_stock
    idempotent: true
    timeout: 5
    retry: {attempts: 5, wait: 1}
  - step: charge_card
    pivot: true
    timeout: 5
""",
    good="""
saga: order
version: "1"
deadline: 60
steps:
  - step: reserve_stock
    compensation: release_stock
    idempotent: true
    timeout: 5
    retry: {attempts: 5, wait: 1}
  - step: charge_card
    pivot: true
    timeout: 5
""",
)
def retries_cut_short(view: View) -> Iterator[Found]:
    """The last attempts are never made: when many calls time out, the saga is undone earlier than
    its policies say. That may be what is wanted.

    Counted as for SAGA205, along the longest way to the pivot.
    """
    deadline, seconds = view.saga.deadline, forward(view, longest)
    if deadline is not None and seconds > deadline >= forward(view, shortest):
        yield Found(
            None,
            f"its timeouts and retries may take {_told(seconds)} {_until(view)}, and its deadline "
            f"is {_told(deadline)}",
            "give a longer deadline, or accept that it comes first",
            "deadline",
        )


@rule(
    "SAGA208",
    "endless-wait",
    "A step may wait for ever",
    "warning",
    bad="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
  - step: paid
    wait: {event: paid}
  - step: confirm_order
    pivot: true
""",
    good="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
  - step: paid
    wait: {event: paid, timeout: 86400}
  - step: confirm_order
    pivot: true
""",
)
def endless_wait(view: View) -> Iterator[Found]:
    """If the event never comes, what was reserved is never given back.

    With a deadline of the saga the wait has an end before the pivot. After the pivot it is a note:
    nothing is undone there, but `on_timeout: continue` lets the saga end.
    """
    for step in view.steps:
        wait = view.plan.waits.get(view.number(step))
        if wait is None or wait.timeout is not None:
            continue
        late = view.kind(step) == "retriable"
        if view.deadline(step) is None:
            yield Found(
                step.name,
                f"waits for '{wait.event}' as long as it takes",
                "give it a timeout with on_timeout continue"
                if late
                else "give it a timeout, or the saga a deadline",
                "wait",
                severity="note" if late else None,
            )


@rule(
    "SAGA209",
    "retry-without-wait",
    "A step or a compensation is retried at once",
    "note",
    bad="""
saga: order
version: "1"
steps:
  - step: charge_card
    compensation: refund_card
    idempotent: true
    retry: {attempts: 5}
  - step: confirm_order
    pivot: true
""",
    good="""
saga: order
version: "1"
steps:
  - step: charge_card
    compensation: refund_card
    idempotent: true
    retry: {attempts: 5, wait: 0.5}
  - step: confirm_order
    pivot: true
""",
)
def retry_without_wait(view: View) -> Iterator[Found]:
    """All attempts fall into the same moment of the same outage, and add to its load.

    Source: AWS Architecture Blog, "Exponential Backoff and Jitter", 2015.
    """
    for step in view.steps:
        for key, retriable in (
            ("retry", view.kind(step) == "retriable"),
            ("compensation_retry", False),
        ):
            retry = getattr(step, key)
            if retry is not None and retry.wait == 0 and (retriable or retry.attempts > 1):
                yield Found(
                    step.name,
                    f"its {key} waits 0 s between attempts",
                    "give it a wait; it doubles from attempt to attempt",
                    key,
                )


@rule(
    "SAGA210",
    "starving-retry-budget",
    "A step after the pivot may never get its turn",
    "warning",
    bad="""
saga: order
version: "1"
services:
  - service: mail
    retry_budget: {ratio: 0.2, least: 0}
steps:
  - step: charge_card
    pivot: true
  - step: send_receipt
    idempotent: true
    service: mail
""",
    good="""
saga: order
version: "1"
services:
  - service: mail
    retry_budget: {ratio: 0.2, least: 0.1}
steps:
  - step: charge_card
    pivot: true
  - step: send_receipt
    idempotent: true
    service: mail
""",
)
def starving_retry_budget(view: View) -> Iterator[Found]:
    """With `least: 0` every retry must be earned by first attempts of other calls; when there are
    none, a step that must succeed is not retried any more.

    Source: Finagle's `RetryBudget`, which by default allows ten retries a second without that.
    """
    guards = view.plan.guards or ()
    for step, guard in zip(view.steps, guards, strict=False):
        budget = None if guard is None else guard.retry_budget
        calls = not isinstance(step.action, Special)
        if calls and budget is not None and budget.least == 0 and view.kind(step) == "retriable":
            yield Found(
                step.name,
                f"its service '{step.service}' allows no retry of its own accord (least: 0)",
                "give the retry_budget a least above 0",
                "service",
            )


def _until(view: View) -> str:
    return "until the end" if view.plan.pivot is None else "until the pivot"


def _told(seconds: float) -> str:
    """A duration for people."""
    for unit, size in (("days", _DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _ends_by_itself(function: object) -> bool:
    return isinstance(function, Connector | Cel) and function.bounded
