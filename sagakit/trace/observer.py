"""What the drivers find in ``sagakit.telemetry`` while anybody wants to know of executions."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace import Tracer
from opentelemetry.trace import TraceState

from sagakit import telemetry
from sagakit.events import ExecutionStarted
from sagakit.telemetry import Clock, Followed
from sagakit.trace import current
from sagakit.trace.export import Exported, flags_of, tracer_of
from sagakit.trace.metrics import Measured, Meters, is_heard
from sagakit.trace.watch import Sink, Watch

# Makes sinks for the executions that begin in this context: of the captures around.
Listener = Callable[[], Sink | None]
listeners: contextvars.ContextVar[tuple[Listener, ...]] = contextvars.ContextVar(
    "listeners", default=()
)

_log = logging.getLogger(__name__)
_changing = threading.Lock()
_listening = 0  # how many there are in all contexts together


class Instrumented:
    """The providers that ``instrument`` was given; None: the global one, whenever it is set."""

    def __init__(
        self, tracer_provider: trace.TracerProvider | None, meter_provider: MeterProvider | None
    ) -> None:
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._meters: tuple[MeterProvider, Meters] | None = None

    def tracer(self) -> Tracer | None:
        return tracer_of(self._tracer_provider)

    def meters(self) -> Meters | None:
        provider = self._meter_provider or metrics.get_meter_provider()
        if not is_heard(provider):
            return None
        if self._meters is None or self._meters[0] is not provider:
            self._meters = provider, Meters(provider)
        return self._meters[1]


class _Observer:
    """The one observer: captures by context, ``instrument`` for all."""

    instrumented: Instrumented | None = None

    def parent(self) -> str | None:
        """The W3C traceparent of the current span, if somebody traces here."""
        if not listeners.get() and (self.instrumented is None or not self.instrumented.tracer()):
            return None
        return current.traceparent()

    def watch(self, run: Followed, clock: Clock | None) -> Watch | None:
        """Watch an execution for all who want to know of it; None: nobody does."""
        try:
            return self._watch(run, clock)
        except Exception:  # noqa: BLE001  whoever samples, say; it must not harm the execution
            _log.exception("an execution of saga '%s' is not traced", run.saga.name)
            return None

    def _watch(self, run: Followed, clock: Clock | None) -> Watch | None:
        started = run.events[0]
        assert isinstance(started, ExecutionStarted)
        flags, state = flags_of(started), _state(started)
        sinks: list[Sink] = [sink for hear in listeners.get() if (sink := hear()) is not None]
        tracer = meters = None
        if self.instrumented is not None:
            tracer, meters = self.instrumented.tracer(), self.instrumented.meters()
        if tracer is not None:
            exported = Exported(tracer, run.saga, started)
            flags, state = exported.flags, exported.state
            if exported.recorded:
                sinks.append(exported)
        if meters is not None:
            sinks.append(Measured(meters, run.saga.name))
        if not sinks and tracer is None:
            return None
        # Without a sink, its actions are still to hand on that their trace is not sampled.
        return Watch(run, sinks, flags, state, clock)


def _state(started: ExecutionStarted) -> TraceState | None:
    """The trace state that came with the trace, where that is known."""
    around = trace.get_current_span().get_span_context()
    known = started.trace is not None and current.traceparent() == started.trace
    return around.trace_state if known else None


_observer = _Observer()


def _install() -> None:
    wanted = _listening or _observer.instrumented is not None
    telemetry.observer = _observer if wanted else None


def instrument(
    *,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """Trace and measure every execution that begins, or goes on, in this process from now on.

    Spans are handed to the provider's processors when they end: in an Engine, after the journal
    has committed the events that tell of them. Give an Engine's provider a BatchSpanProcessor:
    what a SimpleSpanProcessor waits for, the engine's loop waits for. A provider that keeps
    nothing (the API's own, or ``OTEL_SDK_DISABLED``) costs nothing. Called again, it replaces
    what was said before. Logs need no provider here: see ``otel_logs``.

    Parameters:
        tracer_provider: of OpenTelemetry's SDK; the global one when left out.
        meter_provider: of any implementation; the global one when left out.
    """
    with _changing:
        _observer.instrumented = Instrumented(tracer_provider, meter_provider)
        _install()


def uninstrument() -> None:
    """Undo ``instrument``; executions under way are followed to their end."""
    with _changing:
        _observer.instrumented = None
        _install()


def listen(listener: Listener) -> None:
    """Let a listener hear of the executions of this context."""
    global _listening
    with _changing:
        _listening += 1
        _install()
    listeners.set((*listeners.get(), listener))


def unlisten(listener: Listener) -> None:
    global _listening
    listeners.set(tuple(other for other in listeners.get() if other != listener))
    with _changing:
        _listening -= 1
        _install()
