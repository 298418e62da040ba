"""One execution followed: its events become spans, and those go to whoever wants them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry import context
from opentelemetry.trace import TraceFlags, TraceState

from sagakit.event_spans import SpanBuilder, attempt_id
from sagakit.events import (
    AskReconcile,
    Event,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionStarted,
    ExecutionStuck,
)
from sagakit.spans import Span
from sagakit.telemetry import Calling, Clock, Followed
from sagakit.trace.current import Current

_END = (ExecutionCompleted, ExecutionCompensated, ExecutionStuck)

_log = logging.getLogger(__name__)


class Sink:
    """Is told of one execution; does nothing about it."""

    def began(self, builder: SpanBuilder, kept: Sequence[Event]) -> None:
        """It is worked on from now on.

        Parameters:
            kept: what has been told before, here or in another process; empty: it begins.
        """

    def happened(self, event: Event) -> None:
        """An event, before the spans that it ends."""

    def ended(self, span: Span) -> None:
        """A span of it has ended."""

    def left(self) -> None:
        """It is worked on no more, whether it has ended or not."""


class Watch:
    """Follows one execution for its sinks.

    What goes wrong in here, or in a sink, is logged and ends the watch: it must never harm the
    execution.

    Parameters:
        flags: of the trace context that its actions hand on; ``state``: its trace state.
        clock: of an execution in virtual time.
    """

    def __init__(
        self,
        run: Followed,
        sinks: Sequence[Sink],
        flags: int,
        state: TraceState | None,
        clock: Clock | None,
    ) -> None:
        started = run.events[0]
        assert isinstance(started, ExecutionStarted)
        self.clock = clock
        self.sampled = bool(flags & TraceFlags.SAMPLED)
        self.sinks = sinks
        self._id = started.execution_id
        self._builder = SpanBuilder(run.saga, started)
        kept = run.events[: run.written]
        for event in kept[1:]:
            self._builder.take(event)
        self._seen = max(1, run.written)
        self._untold = 0 if kept else 1  # its first event, which nobody has been told
        self._current = Current(self, self._id, self._builder.trace, flags, state)
        self._here = False  # it is worked on
        self._failed = False
        self._counted = 0
        self._begin(kept)

    def _begin(self, kept: Sequence[Event]) -> None:
        self._here = True
        for sink in self.sinks:
            sink.began(self._builder, kept)

    def follow(self, run: Followed, upto: int, committed: float | None = None) -> None:
        """Its first ``upto`` events are facts; those not seen yet become spans."""
        seen = self._seen
        if seen >= upto or self._failed or not self.sinks:
            return
        self._seen = upto
        try:
            if not self._here:  # it had ended and is undone after all
                self._begin(run.events[:seen])
            self._take(run, run.events[seen:upto], committed)
        except Exception:  # noqa: BLE001  see above
            self._give_up()
        if self._builder.ended:
            self.leave()

    def _take(self, run: Followed, news: Sequence[Event], committed: float | None) -> None:
        builder, sinks = self._builder, self.sinks
        builder.saga = run.saga  # it may have migrated
        count, self._untold = len(news) + self._untold, 0
        for event in news:
            if committed is not None and isinstance(event, _END):
                builder.committed(committed, count)  # the span ends here
                committed = None
            for sink in sinks:
                sink.happened(event)
            for span in builder.take(event):
                for sink in sinks:
                    sink.ended(span)
        if committed is not None:
            builder.committed(committed, count)

    def leave(self) -> None:
        """This process works on it no more, whether it has ended or not."""
        if not self._here or self._failed:
            return
        self._here = False
        try:
            for sink in self.sinks:
                sink.left()
        except Exception:  # noqa: BLE001  see above
            self._give_up()

    def _give_up(self) -> None:
        self._failed = True
        _log.exception("execution '%s' is traced no further", self._id)

    # -- within an attempt ------------------------------------------------------------------

    def call(self, calling: Calling, side: str, attempt: int, function: Callable[[], Any]) -> Any:
        """Call the function, and await what it gives, within the attempt's span (a reconcile's is
        the step's)."""
        step = calling.command.step
        if isinstance(calling.command, AskReconcile):
            within = self._builder.current(step, side, attempt)
            inside = self._current.of(lambda: within)
        else:
            inside = self._current.of(lambda: self._attempt(step, side, attempt))
        token = context.attach(inside)
        try:
            value = function()
        finally:
            context.detach(token)
        return _awaited(value, inside) if hasattr(value, "__await__") else value

    def ids(self, step: str, side: str, attempt: int) -> Mapping[str, str]:
        """The trace and the span of an attempt, as log lines name them."""
        span = self._builder.current(step, side, attempt)
        return {"trace_id": self._builder.trace, "span_id": span}

    def _attempt(self, step: str, side: str, attempt: int) -> str:
        return attempt_id(self._builder.trace, f"{self._id}/{step}/{side}", attempt)

    def count(self) -> int:
        """One more span that somebody made within it in virtual time, where ids are no chance."""
        self._counted += 1
        return self._counted


async def _awaited(value: Any, inside: context.Context) -> Any:
    """Drivers await in a task of the attempt's own, so what is set here ends with it."""
    context.attach(inside)
    return await value
