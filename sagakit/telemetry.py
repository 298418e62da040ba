"""The seam between the drivers and whoever watches executions: tracing, metrics, logs.

A driver asks once per execution for its watch, and there is none unless ``sagakit.trace`` has put
an observer here. The drivers know nothing else of tracing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sagakit.events import Event
    from sagakit.saga import Saga

Clock = Callable[[], float]  # seconds, as the events of the execution count them


class Followed(Protocol):
    """An execution in progress, as far as a watch looks at it."""

    saga: Saga
    events: list[Event]
    written: int


class Calling(Protocol):
    """A call that is made for an execution."""

    @property
    def command(self) -> Any: ...


class Watch(Protocol):
    """Follows one execution."""

    @property
    def sampled(self) -> bool:
        """Whether its spans are kept: a flag of the trace context that it hands on."""

    def follow(self, run: Followed, upto: int, committed: float | None = None) -> None:
        """Its first ``upto`` events are facts; those not seen yet are news.

        Parameters:
            committed: when a journal made the news durable; None where none did.
        """

    def leave(self) -> None:
        """This process works on it no more, whether it has ended or not."""

    def call(self, calling: Calling, side: str, attempt: int, function: Callable[[], Any]) -> Any:
        """Call the function, and await what it gives, within the attempt's span."""

    def ids(self, step: str, side: str, attempt: int) -> Mapping[str, str]:
        """What a log line of an attempt says about where it belongs."""


class Observer(Protocol):
    def parent(self) -> str | None:
        """The W3C traceparent of the span that is current here, if somebody watches here."""

    def watch(self, run: Followed, clock: Clock | None) -> Watch | None:
        """Watch an execution that begins, or goes on, in the caller's context."""


observer: Observer | None = None


def watch(run: Followed, clock: Clock | None = None) -> Watch | None:
    """Who watches this execution; None: nobody.

    Parameters:
        clock: of an execution in virtual time; None: it runs in real time.
    """
    here = observer  # another thread may take it away
    return None if here is None else here.watch(run, clock)
