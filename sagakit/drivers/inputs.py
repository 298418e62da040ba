"""What a saga is given, before anything begins."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from sagakit.errors import CodecError, DefinitionError, InputError, ScenarioError
from sagakit.journal import codec
from sagakit.redaction import Redaction
from sagakit.saga import Saga
from sagakit.scenario import Scenario


def must_be_saga(given: Any) -> None:
    """Raise DefinitionError for what is no saga."""
    if not isinstance(given, Saga):
        raise DefinitionError(repr(given), ["is not a Saga; of a SagaBuilder give .build()"])


def must_be_scenario(given: Any) -> None:
    """Raise ScenarioError for what is neither a scenario nor None."""
    if given is not None and not isinstance(given, Scenario):
        cure = "make one by Scenario().fail(STEP), or read one by Scenario.named(NAME)"
        raise ScenarioError(f"{given!r} is not a Scenario; {cure}")


def accept_input(saga: Saga, input: Any, sensitive: Set[str] = frozenset()) -> Any:
    """The input as the journal gives it back, after the saga's type or schema agreed.

    Parameters:
        sensitive: names of fields whose values an error must not show, besides the saga's own.

    Raises:
        InputError: it cannot be kept, or the type or schema refuses it. Nothing was started.
        DefinitionError: what was given is no saga.
    """
    must_be_saga(saga)
    kind = saga.input_type
    if input is None and kind is Any and saga.input_schema is None:
        return None
    try:
        kept = codec.given(input, kind, f"saga '{saga.name}': its input")
    except CodecError as error:
        cure = "; an input is plain data, or of the type that Saga(input=…) declares"
        text = f"{error}{cure if kind is Any else ''}"
        raise InputError(_discreet(text, input, saga.sensitive | sensitive)) from None
    saga.check_input(kept, sensitive)
    return kept


def _discreet(text: str, input: Any, names: Set[str]) -> str:
    """What a person may read of an error about an input."""
    if not names:
        return text
    redaction = Redaction(names)
    redaction.learn(input)
    return redaction.scrub(text)
