"""What is wrong with a request from outside, before anything is done about it."""

from __future__ import annotations

import math
import uuid
from typing import Any

import msgspec

from sagakit.errors import SagaError, SignalError
from sagakit.events import SignalReceived
from sagakit.journal.base import Letter, Post


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
    if isinstance(correlation, int | uuid.UUID) and not isinstance(correlation, bool):
        correlation = str(correlation)  # as the wait's own
    for name, value in (("to", to), ("correlation", correlation), ("id", id)):
        if value is not None and not _is_text(value):
            raise SignalError(f"{place}: {name}={value!r} is no text; give the {name} as text")
    if not isinstance(by, str) or not _is_text(by or "nobody"):
        raise SignalError(f"{place}: by={by!r} is no text; say in words who sends it")
    seconds = isinstance(keep, int | float) and not isinstance(keep, bool) and 0 < keep < math.inf
    if keep is not None and (correlation is None or not seconds):
        raise SignalError(f"{place}: keep= is a number of seconds, for one with correlation=")
    return None if correlation is None else str(correlation)


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
