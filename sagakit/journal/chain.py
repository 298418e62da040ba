"""The seal on the log: each record carries a digest of the one before it and of itself.

Whoever changes, removes, inserts or reorders a record must compute every later digest anew, and
with a key cannot. It is BLAKE2b (RFC 7693), keyed where ``SAGAKIT_AUDIT_KEY`` is set.
"""

from __future__ import annotations

import hashlib
import os

from sagakit.errors import JournalError

VARIABLE = "SAGAKIT_AUDIT_KEY"
SIZE = 16  # bytes of a mark
START = bytes(SIZE)  # the mark before the first record

_MOST = 64  # bytes of a key, as the digest takes it


def secret() -> bytes:
    """The key in the environment; empty: none.

    Raises:
        JournalError: it is longer than 64 bytes.
    """
    found = os.environ.get(VARIABLE, "").encode()
    if len(found) > _MOST:
        raise JournalError(f"{VARIABLE} has {len(found)} bytes; give a key of at most {_MOST}")
    return found


def key_id(key: bytes) -> str:
    """Tells one key from another without telling the key; empty for none."""
    digest = hashlib.blake2b(b"sagakit journal key", key=key, digest_size=8)
    return digest.hexdigest() if key else ""


def mark(before: bytes, key: bytes, number: int, body: bytes) -> bytes:
    """The mark of a record.

    Parameters:
        before: the mark of the record before it, in the order in which the journal got them.
        key: see ``secret``.
        number: the record's key in the table of events.
        body: the event as the table has it.
    """
    text = before + number.to_bytes(8, "big") + body
    return hashlib.blake2b(text, digest_size=SIZE, key=key).digest()
