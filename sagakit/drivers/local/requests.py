"""What is wrong with a request from outside, before anything is done about it."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from sagakit.errors import SagaError, SignalError
from sagakit.events import SignalReceived
from sagakit.execution import Execution
from sagakit.journal.base import Letter, Post
from sagakit.scenario.faults import correlation_text


def check_decision(refuse: type[SagaError], id: str, by: Any, why: Any) -> None:
    """Refuse an operator's act that does not say in words who decides, and why."""
    if not (_is_text(by) and _is_text(why)):
        raise refuse(
            f"execution '{id}': say who decides (by=) and why (why=), in words that can be stored"
        )


def check_signal(event: Any, to: Any, correlation: Any, id: Any, keep: Any, by: Any) -> str | None:
    """Refuse a signal that could not be delivered or stored; the correlation as it is compared."""
    if not _is_text(event):
        raise SignalError(f"the signal {event!r}: give the event's name, text")
    place = f"the signal '{event}'"
    if (to is None) == (correlation is None):
        raise SignalError(f"{place}: give either to= or correlation=")
    correlation = correlation_text(correlation)  # as the wait's own
    for name, value in (("to", to), ("correlation", correlation), ("id", id)):
        if value is not None and not _is_text(value):
            raise SignalError(f"{place}: {name}={value!r} is no text; give the {name} as text")
    if not isinstance(by, str) or not _is_text(by or "nobody"):
        raise SignalError(f"{place}: by={by!r} is no text; say in words who sends it")
    seconds = isinstance(keep, int | float) and not isinstance(keep, bool) and 0 < keep < math.inf
    if keep is not None and (correlation is None or not seconds):
        raise SignalError(f"{place}: keep= is a number of seconds, for one with correlation=")
    return None if correlation is None else str(correlation)


def not_awaited(execution: Execution, event: str) -> str:
    """Why an execution whose saga has no wait for this event cannot be sent it, and who can."""
    never = f"execution '{execution.id}' of saga '{execution.saga.name}' never waits for '{event}'"
    waiting = _waiting_inside(execution, event)
    if waiting:
        shown = " and ".join(f"'{inner.id}'" for inner in waiting[:2])
        more = len(waiting) - 2
        others = f", as do {more} more" if more > 0 else ""
        do = "does" if len(waiting) == 1 else "do"
        return f"{never} itself; {shown} inside it {do}{others}: give to='{waiting[0].id}'"
    for inner in execution.saga.family():
        if event in {wait.event for wait in inner.plan.waits.values()}:
            return (
                f"{never} itself; what a saga within it, '{inner.name}', waits for is sent to the "
                "execution of that one, by its own id or by correlation, once it has begun"
            )
    return never


def _waiting_inside(execution: Execution, event: str) -> list[Execution]:
    """Of those that do steps of it, and of theirs, the ones that wait for this event now."""
    found = []
    for child in execution.children.values():
        if any(wait.event == event for wait in child.waiting_for.values()):
            found.append(child)
        found += _waiting_inside(child, event)
    return found


def _is_text(value: Any) -> bool:
    """Words that can be stored: some keyboards and locales give what UTF-8 cannot hold."""
    if not isinstance(value, str) or not value.strip():
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_repeat(
    post: Post, known: SignalReceived | Letter, where: str, taken_by: str | None = None
) -> None:
    """Refuse a signal whose id was given to another one.

    Parameters:
        known: the one that came with this id before.
        where: what became of that one.
        taken_by: the execution that has it.
    """
    other = ""
    if post.event != known.event:
        other = f"event '{post.event}'"
    elif _bytes(post.payload) != _bytes(known.payload):
        other = "payload"
    elif post.to not in (None, taken_by):
        other = f"execution, '{post.to}'"
    elif (
        None not in (post.correlation, known.correlation) and post.correlation != known.correlation
    ):
        other = f"correlation, '{post.correlation}'"
    if other:
        raise SignalError(
            f"the signal '{post.event}': one with the id '{post.id}', '{known.event}', {where}; "
            f"this one has another {other}: choose another id"
        )


def _bytes(payload: object) -> bytes:
    """Payloads are the same if the journal cannot tell them apart; 1 and True are not."""
    return msgspec.json.encode(payload, order="sorted")
