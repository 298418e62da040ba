"""The spans that others make within our actions, caught while somebody captures.

OpenTelemetry lets a program set its global tracer provider once. That choice is the program's, so
where it has made none, a stand-in takes its place only while somebody captures: the tracers that it
gives pass on to whichever provider there is when they are used, also after the capture.
"""

from __future__ import annotations

import contextvars
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NoOpTracer, ProxyTracer, ProxyTracerProvider

from sagakit.spans import Span
from sagakit.trace.convert import SCOPE, read
from sagakit.trace.current import watch_of

Keep = Callable[[Span], None]

_keeping: contextvars.ContextVar[tuple[Keep, ...]] = contextvars.ContextVar("_keeping", default=())


class _Tap(SpanProcessor):
    """Hands ended spans to the captures of their context."""

    def __init__(self) -> None:
        # of those under way that are in virtual time: their clock, and when they began
        self._virtual: dict[int, tuple[Callable[[], float], float]] = {}

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        watch = watch_of(parent_context)
        if watch is not None and watch.clock is not None and _keeping.get():
            self._virtual[span.get_span_context().span_id] = watch.clock, watch.clock()

    def on_end(self, span: ReadableSpan) -> None:
        scope, made = span.instrumentation_scope, span.get_span_context()
        virtual = self._virtual.pop(made.span_id, None) if made is not None else None
        keeping = _keeping.get()
        if not keeping or (scope is not None and scope.name == SCOPE.name):
            return
        kept = read(span) if virtual is None else _virtual(read(span), *virtual)
        for keep in keeping:
            keep(kept)


def _virtual(span: Span, clock: Callable[[], float], start: float) -> Span:
    """The span as it is in virtual time."""
    end = clock()
    events = tuple(msgspec.structs.replace(event, at=end) for event in span.events)
    return msgspec.structs.replace(span, start=start, end=end, events=events)


class _Ids(RandomIdGenerator):
    """In virtual time the same on every run."""

    def generate_span_id(self) -> int:
        watch = watch_of()
        if watch is None or watch.clock is None:
            return super().generate_span_id()
        around = trace.get_current_span().get_span_context()
        text = f"{around.trace_id:032x}/{around.span_id:016x}/{watch.count()}"
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


class _Tracer(ProxyTracer):
    """A tracer of whichever provider there is when it is used."""

    @property
    def _tracer(self) -> trace.Tracer:
        about = (
            self._instrumenting_module_name,
            self._instrumenting_library_version,
            self._schema_url,
            self._attributes,
        )
        chosen = trace._TRACER_PROVIDER
        if chosen is not None and chosen is not _stand_in:
            return chosen.get_tracer(*about)
        return _own_provider().get_tracer(*about) if _keeping.get() else NoOpTracer()


class _StandIn(trace.TracerProvider):
    def get_tracer(self, *args: Any, **options: Any) -> trace.Tracer:
        return _Tracer(*args, **options)


_tap = _Tap()
_stand_in = _StandIn()
_tapped: weakref.WeakSet[TracerProvider] = weakref.WeakSet()
_changing = threading.Lock()
_standing = 0  # captures that the stand-in stands there for
_own: list[TracerProvider] = []


def _own_provider() -> TracerProvider:
    with _changing:
        if not _own:
            made = TracerProvider(
                resource=Resource({}),
                sampler=ALWAYS_ON,
                shutdown_on_exit=False,
                id_generator=_Ids(),
            )
            made.add_span_processor(_tap)
            _own.append(made)
    return _own[0]


@contextmanager
def tapped(provider: TracerProvider | None, keep: Keep) -> Iterator[None]:
    """Hand every span to ``keep`` that ends in this context.

    Parameters:
        provider: the spans to hand over are its; the global one's when left out.
    """
    chosen = trace.get_tracer_provider() if provider is None else provider
    standing = chosen is _stand_in or isinstance(chosen, ProxyTracerProvider)
    if standing:
        _stand(1)
    elif isinstance(chosen, TracerProvider):
        with _changing:
            if chosen not in _tapped:
                chosen.add_span_processor(_tap)
                _tapped.add(chosen)
    _keeping.set((*_keeping.get(), keep))
    try:
        yield
    finally:
        _keeping.set(tuple(other for other in _keeping.get() if other != keep))
        if standing:
            _stand(-1)


def _stand(more: int) -> None:
    """Put the stand-in in the place that OpenTelemetry keeps for the global provider, or leave it;
    whoever sets a provider meanwhile keeps it."""
    global _standing
    with _changing:
        _standing += more
        if _standing and trace._TRACER_PROVIDER is None:
            trace._TRACER_PROVIDER = _stand_in
        elif not _standing and trace._TRACER_PROVIDER is _stand_in:
            trace._TRACER_PROVIDER = None
