"""Executions in numbers, by OpenTelemetry's metrics API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.metrics import Meter, MeterProvider

from sagakit.event_spans import SpanBuilder
from sagakit.events import (
    AttemptLost,
    ChildResumed,
    CompensationAttemptFailed,
    Event,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionResolved,
    ExecutionStuck,
    StepAttemptFailed,
    StepInDoubt,
)
from sagakit.spans import Span
from sagakit.trace.convert import SCOPE
from sagakit.trace.watch import Sink

# Name: (instrument, unit, what it counts, attributes beside saga.name)
METRICS = {
    "saga.execution.started": ("counter", "{execution}", "Executions begun", ()),
    "saga.execution.ended": (
        "counter",
        "{execution}",
        "Executions that ended or got stuck",
        ("saga.outcome",),
    ),
    "saga.execution.active": (
        "up_down_counter",
        "{execution}",
        "Executions that the process works on; not those that wait in the journal",
        (),
    ),
    "saga.execution.stuck": (
        "up_down_counter",
        "{execution}",
        "Executions that got stuck, less those that were resolved, in this process",
        (),
    ),
    "saga.step.duration": (
        "histogram",
        "s",
        "From the first attempt of an action or a compensation to its outcome",
        ("saga.step", "saga.side", "saga.outcome"),
    ),
    "saga.step.retries": (
        "counter",
        "{attempt}",
        "Attempts that failed and are followed by another",
        ("saga.step", "saga.side"),
    ),
    "saga.step.in_doubt": (
        "counter",
        "{attempt}",
        "Attempts of which nobody knows whether their effect happened",
        ("saga.step",),
    ),
    "saga.step.compensations": (
        "counter",
        "{compensation}",
        "Compensations that ended",
        ("saga.step", "saga.outcome"),
    ),
}

# Seconds; the semantic conventions' for durations, and longer ones: a step may wait for people.
_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
    *(30, 60, 300, 3600, 86400),
)

_OUTCOMES: dict[type[Event], str] = {
    ExecutionCompleted: "completed",
    ExecutionCompensated: "compensated",
    ExecutionStuck: "stuck",
}


class Meters:
    """The instruments of ``METRICS``, made by a provider."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter(SCOPE.name)
        made = {name: _instrument(meter, name) for name in METRICS}
        self.started = made["saga.execution.started"]
        self.ended = made["saga.execution.ended"]
        self.active = made["saga.execution.active"]
        self.stuck = made["saga.execution.stuck"]
        self.duration = made["saga.step.duration"]
        self.retries = made["saga.step.retries"]
        self.in_doubt = made["saga.step.in_doubt"]
        self.compensations = made["saga.step.compensations"]


def _instrument(meter: Meter, name: str) -> Any:
    kind, unit, description, _ = METRICS[name]
    options: dict[str, Any] = {"unit": unit, "description": description}
    if kind == "histogram":
        options["explicit_bucket_boundaries_advisory"] = _BUCKETS
    return getattr(meter, f"create_{kind}")(name, **options)


def is_heard(provider: MeterProvider) -> bool:
    """Whether anybody hears what is measured: the API's own providers drop it."""
    return not type(provider).__module__.startswith("opentelemetry.metrics")


class Measured(Sink):
    """Measures one execution."""

    def __init__(self, meters: Meters, saga: str) -> None:
        self._meters = meters
        self._saga = {"saga.name": saga}
        self._stuck = False

    def began(self, builder: SpanBuilder, kept: Sequence[Event]) -> None:
        self._meters.active.add(1, self._saga)
        if not kept:
            self._meters.started.add(1, self._saga)
        last = next((event for event in reversed(kept) if type(event) in _OUTCOMES), None)
        self._stuck = builder.ended and isinstance(last, ExecutionStuck)

    def happened(self, event: Event) -> None:
        meters = self._meters
        if self._stuck and isinstance(event, ExecutionResolved | ChildResumed):
            self._stuck = False
            meters.stuck.add(-1, self._saga)
        match event:
            case StepAttemptFailed(step=step, in_doubt=in_doubt):
                self._retried(step, "action")
                if in_doubt:
                    self._doubted(step)
            case CompensationAttemptFailed(step=step):
                self._retried(step, "compensation")
            case StepInDoubt(step=step) | AttemptLost(step=step):
                self._doubted(step)
            case ExecutionResolved(resolution="abandon"):
                self._ended("abandoned")
            case ExecutionStuck():
                self._stuck = True
                meters.stuck.add(1, self._saga)
                self._ended("stuck")
            case ExecutionCompleted() | ExecutionCompensated():
                self._ended(_OUTCOMES[type(event)])

    def _retried(self, step: str, side: str) -> None:
        self._meters.retries.add(1, {**self._saga, "saga.step": step, "saga.side": side})

    def _doubted(self, step: str) -> None:
        self._meters.in_doubt.add(1, {**self._saga, "saga.step": step})

    def _ended(self, outcome: str) -> None:
        self._meters.ended.add(1, {**self._saga, "saga.outcome": outcome})

    def ended(self, span: Span) -> None:
        about = span.attributes
        if "saga.step" not in about or "saga.attempt" in about:
            return
        assert span.duration is not None, "it has ended"
        said = {"saga.step": about["saga.step"], "saga.outcome": about["saga.outcome"]}
        here = {**self._saga, **said, "saga.side": about["saga.side"]}
        self._meters.duration.record(span.duration, here)
        if about["saga.side"] == "compensation":
            self._meters.compensations.add(1, {**self._saga, **said})

    def left(self) -> None:
        self._meters.active.add(-1, self._saga)
