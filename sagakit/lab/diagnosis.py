"""What is wrong with one execution, read from its events: the symptom, its cause, and the cure.

The symptoms are those of every troubleshooting table of sagas: stuck pending, compensation not
triggered, duplicate action, slow; and stuck, which is a state of its own here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from sagakit.events import (
    AttemptLost,
    CompensationFailed,
    Event,
    ExecutionResolved,
    ReconcileFailed,
    SignalReceived,
    StepAttemptFailed,
    StepFailed,
    StepInDoubt,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)
from sagakit.execution import Execution
from sagakit.quantities import is_seconds, number
from sagakit.spec import nearest
from sagakit.timings import StepTiming, read_timings
from sagakit.views.timescale import duration

SLOW = 1.0  # seconds on the critical path: what a person who waits calls slow


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong.

    Parameters:
        symptom: ``stuck``, ``stuck pending``, ``compensation not triggered``, ``duplicate
            action`` or ``slow``.
        step: where; ``outer/inner`` in a saga that does a step.
        cause: what the events tell of why.
        fix: what to do now, and about the definition.
    """

    symptom: str
    step: str
    cause: str
    fix: str


def diagnose(
    execution: Execution, *, slow: float = SLOW, remembered: bool = False
) -> tuple[Finding, ...]:
    """Find what is wrong with an execution; nothing, if nothing is.

    Parameters:
        slow: seconds on the critical path from which a step counts as slow.
        remembered: the definition is what a journal remembers of it: whether a step is
            idempotent, or only reads, is not known.

    Raises:
        ValueError: ``slow`` is not more than 0.
    """
    if not is_seconds(number(slow)) or slow == 0:
        raise ValueError(f"slow is {slow!r}; give seconds, more than 0")
    found: list[Finding] = []
    for path, one in _family(execution, ""):
        for rule in (_stuck, _abandoned, _pending, _under_way, _not_compensated, _swallowed):
            found += rule(path, one)
        found += _duplicates(path, one, remembered)
        found += _slow(path, one, slow)
    return tuple(sorted(found, key=lambda finding: _ORDER.index(finding.symptom)))


_ORDER = ("stuck", "stuck pending", "compensation not triggered", "duplicate action", "slow")


def _family(execution: Execution, path: str) -> Iterator[tuple[str, Execution]]:
    yield path, execution
    for step, child in execution.children.items():
        yield from _family(child, f"{path}{step}/")


# -- it goes no further ---------------------------------------------------------------------


def _stuck(path: str, execution: Execution) -> Iterator[Finding]:
    last: dict[str, Event] = {}
    for event in execution.events:
        if isinstance(event, StepFailed | StepInDoubt | CompensationFailed | ReconcileFailed):
            last[event.step] = event
    for step in execution.stuck_steps:
        if step in execution.children or step not in last:
            continue  # what is stuck inside tells by itself
        event = last[step]
        undoing = isinstance(event, CompensationFailed)
        what = "its compensation gave up" if undoing else "it can go neither forward nor back"
        error = event.error  # type: ignore[attr-defined]
        yield Finding(
            "stuck",
            f"{path}{step}",
            f"{what}: {error.name}: {error.message}",
            "repair what it names, then decide, on record: sagakit resolve JOURNAL "
            f"{execution.id} retry|skip|abandon --saga SAGA --by WHO --why WHY (skip: it was "
            "settled by hand)",
        )


def _abandoned(path: str, execution: Execution) -> Iterator[Finding]:
    if execution.status != "abandoned":
        return
    for event in execution.events:
        if isinstance(event, ExecutionResolved) and event.resolution == "abandon":
            for step in event.steps:
                yield Finding(
                    "stuck",
                    f"{path}{step}",
                    f"{event.by} abandoned the execution: {event.why}; what was not undone by then "
                    "is still there",
                    "see in its log what has succeeded and was not compensated (sagakit inspect), "
                    "and settle that by hand",
                )


def _pending(path: str, execution: Execution) -> Iterator[Finding]:
    if execution.status != "waiting":
        return
    for step, wait in execution.waiting_for.items():
        if wait.event is None:
            continue  # a time comes by itself
        whom = "" if wait.correlation is None else f" --correlation {_named(execution, wait)}"
        to = whom or f" --to {execution.id}"
        never = "" if wait.expires_at else "; and give the wait a timeout, for it has none"
        yield Finding(
            "stuck pending",
            f"{path}{step}",
            f"it waits for the event '{wait.event}', and none has arrived"
            f"{_strays(execution, wait)}",
            "see whether its sender published it and whether the broker has it; then send it: "
            f"sagakit signal JOURNAL {wait.event}{to} --saga SAGA{never}",
        )


def _named(execution: Execution, event: WaitStarted | SignalReceived) -> str:
    """The event's correlation as it may be shown."""
    redaction, correlation = execution.redaction, event.correlation or ""
    return correlation if redaction is None else redaction.scrub(correlation)


def _strays(execution: Execution, wait: WaitStarted) -> str:
    """What did arrive and fits nearly: a misspelt event, another correlation."""
    signals = [event for event in execution.events if isinstance(event, SignalReceived)]
    for signal in signals:
        if signal.event == wait.event and signal.correlation not in (None, wait.correlation):
            came, waits = _named(execution, signal), _named(execution, wait)
            return f"; one came for '{came}', and this one waits for '{waits}'"
    others = {signal.event for signal in signals} - {wait.event}
    near = nearest(str(wait.event), others)
    return f"; another one did{near}" if near else ""


def _under_way(path: str, execution: Execution) -> Iterator[Finding]:
    if execution.status != "running":
        return
    for step, state in execution.states.items():
        if state in ("running", "compensating") and step not in execution.children:
            what = "action" if state == "running" else "compensation"
            yield Finding(
                "stuck pending",
                f"{path}{step}",
                f"its {what} was asked for and has not answered: it is under way, or the "
                "coordinator died",
                "if no engine has the journal open: sagakit recover JOURNAL SAGA; and give the "
                "step a timeout, if it has none",
            )


# -- not undone -----------------------------------------------------------------------------


def _not_compensated(path: str, execution: Execution) -> Iterator[Finding]:
    if execution.status != "compensated":
        return
    plan = execution.saga.plan
    for step, state in execution.states.items():
        number = plan.index[step]
        if state != "kept" or plan.actions[number] is None or plan.reads[number]:
            continue
        yield Finding(
            "compensation not triggered",
            f"{path}{step}",
            f"'{execution.failed_step or 'somebody'}' turned the execution back, and this step "
            "has no compensation: its effect is still there",
            "give it a compensation; or put it after the pivot, where nothing is undone; or "
            "declare read=True, if it has no effect",
        )


def _swallowed(path: str, execution: Execution) -> Iterator[Finding]:
    for event in execution.events:
        if not isinstance(event, StepSucceeded):
            continue
        sign = _sign_of_failure(event.result)
        if sign:
            yield Finding(
                "compensation not triggered",
                f"{path}{event.step}",
                f"its action returned a result with {sign}, as though it had succeeded: a failure "
                "that nobody raised turns nothing back",
                "raise it in the action (TerminalError, if a retry cannot help); or call the "
                "result something else",
            )


def _sign_of_failure(result: Any) -> str:
    """By what a result looks like an error that was swallowed; empty if it does not. It names
    keys and codes, never values: these may be sensitive."""
    if not isinstance(result, Mapping):
        return ""
    for key in ("error", "errors", "exception"):
        if result.get(key):
            return f"'{key}'"
    for key in ("ok", "success"):
        if result.get(key) is False:
            return f"'{key}: false'"
    for key in ("status", "status_code", "code"):
        value = result.get(key)
        if type(value) is int and 400 <= value <= 599:
            return f"'{key}: {value}'"
        if isinstance(value, str) and value.casefold() in ("error", "failed", "failure"):
            return f"'{key}: {value}'"
    return ""


# -- done twice, or too slowly --------------------------------------------------------------


def _duplicates(path: str, execution: Execution, remembered: bool) -> Iterator[Finding]:
    """Steps that were asked again though an attempt before may have had its effect."""
    doubts: dict[str, str] = {}
    again: dict[str, int] = {}
    for event in execution.events:
        if isinstance(event, StepAttemptFailed) and event.in_doubt:
            doubts[event.step] = f"{event.error.name}: {event.error.message}"
        elif isinstance(event, AttemptLost):
            doubts[event.step] = "the coordinator died while it was under way"
        elif isinstance(event, StepStarted) and event.step in doubts:
            again[event.step] = event.attempt
    for step, attempts in again.items():
        if step in execution.children or (not remembered and execution.saga[step].idempotent):
            continue
        said = "" if remembered else ", and it is not declared idempotent"
        yield Finding(
            "duplicate action",
            f"{path}{step}",
            f"an attempt was in doubt ({doubts[step]}), so it was asked {attempts} times{said}: "
            "a service that does not know a repeat has done it again",
            "let the service keep ctx.idempotency_key beside the effect and answer a repeat from "
            "there (sagakit.services.Participant does); then declare idempotent=True",
        )


def _slow(path: str, execution: Execution, slow: float) -> Iterator[Finding]:
    plan = execution.saga.plan
    for timing in read_timings(execution.saga, execution.events):
        number = plan.index[timing.step]
        if timing.critical < slow or number in plan.waits or timing.step in execution.children:
            continue
        cause, fix = _where_it_went(timing)
        yield Finding(
            "slow",
            f"{path}{timing.step}",
            f"{duration(timing.critical)} of {duration(execution.duration)} went here "
            f"({timing.share:.0%} of the critical path): {cause}",
            fix,
        )


def _where_it_went(timing: StepTiming) -> tuple[str, str]:
    parts = (
        (
            timing.run,
            "everything behind it waited for its answer",
            "start the work and let an event say that it is done (await_event); or let what does "
            "not need its result run beside it (after=…); and give it a timeout",
        ),
        (
            timing.retry_wait,
            "its retries waited in between",
            "see why the attempts failed; wait less between them (Retry), or try fewer times",
        ),
        (
            timing.held,
            "its service's guard let it wait",
            "the service takes no more (bulkhead, rate limit): spread the load, or raise the limit",
        ),
        (
            timing.queue,
            "nothing was free to run it",
            "run fewer executions at once, or more engines, each with its own journal",
        ),
        (
            timing.compensation,
            "its compensation took so long",
            "see why its attempts failed; give them a timeout (compensation_timeout)",
        ),
    )
    _, cause, fix = max(parts, key=lambda part: part[0])
    return cause, fix
