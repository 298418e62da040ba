"""Logging that tells no secrets: a structlog logger for executions with sensitive fields."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from sagakit.redaction import MASK, Redaction

if TYPE_CHECKING:
    import structlog.typing


def discreet_logger(redaction: Redaction) -> Any:
    """A logger as configured, with what is sensitive taken out of each entry twice: before the
    processors see it, and of what these have added, before the last one writes it down."""
    import structlog

    configured = list(structlog.get_config()["processors"])
    guard = _Guard(redaction)
    chain = [guard, *configured[:-1], guard, *configured[-1:]]
    return structlog.wrap_logger(None, processors=chain)


class _Guard:
    """A processor that takes what is sensitive out of an entry."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction

    def __call__(
        self, _logger: Any, _method: str, entry: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        error = _error(entry.get("exc_info"))
        if error is not None:  # as text, here: what it would be made of later shows all
            from traceback import format_exception

            entry["exception"] = "".join(format_exception(error)).rstrip()
            del entry["exc_info"]
        try:
            shown: structlog.typing.EventDict = self._redaction.clean(entry)
        except RecursionError:  # it contains itself
            shown = dict.fromkeys(entry, MASK)
        return dict(shown)


def _error(given: Any) -> BaseException | None:
    """The exception that an entry is about, however its ``exc_info`` says it."""
    match given:
        case BaseException() as error:
            return error
        case (_, BaseException() as error, _):
            return error
    return sys.exception() if given is True else None
