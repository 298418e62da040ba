"""What is wrong with a request from outside, before anything is done about it."""

from __future__ import annotations

import msgspec

from sagakit.errors import SignalError
from sagakit.events import SignalReceived
from sagakit.journal.base import Letter, Post


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
