"""What a saga is given, before anything begins."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from sagakit.errors import CodecError, DefinitionError, InputError
from sagakit.journal import codec
from sagakit.saga import Saga


def accept_input(saga: Saga, input: Any, sensitive: Set[str] = frozenset()) -> Any:
    """The input as the journal keeps it, after the schema agreed.

    Parameters:
        sensitive: names of fields whose values an error must not show, besides the saga's own.

    Raises:
        InputError: it cannot be kept, or the schema refuses it. Nothing was started.
        DefinitionError: what was given is no saga.
    """
    if not isinstance(saga, Saga):
        raise DefinitionError(repr(saga), ["is not a Saga; of a SagaBuilder give .build()"])
    if input is None and saga.input_schema is None:
        return None
    try:
        kept = codec.plain(input, f"saga '{saga.name}': its input")
    except CodecError as error:
        raise InputError(f"{error}; an input is plain data") from None
    saga.check_input(kept, sensitive)
    return kept
