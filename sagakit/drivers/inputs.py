"""What a saga is given, before anything begins."""

from __future__ import annotations

from typing import Any

from sagakit.errors import CodecError, DefinitionError, InputError
from sagakit.journal import codec
from sagakit.saga import Saga


def accept_input(saga: Saga, input: Any) -> Any:
    """The input as the journal gives it back, after the saga's type or schema agreed.

    Raises:
        InputError: it cannot be kept, or the type or schema refuses it. Nothing was started.
        DefinitionError: what was given is no saga.
    """
    if not isinstance(saga, Saga):
        raise DefinitionError(repr(saga), ["is not a Saga; of a SagaBuilder give .build()"])
    kind = saga.input_type
    if input is None and kind is Any and saga.input_schema is None:
        return None
    try:
        kept = codec.given(input, kind, f"saga '{saga.name}': its input")
    except CodecError as error:
        cure = "; an input is plain data, or of the type that Saga(input=…) declares"
        raise InputError(f"{error}{cure if kind is Any else ''}") from None
    saga.check_input(kept)
    return kept
