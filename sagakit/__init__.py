"""See a saga, break it, prove it, ship it."""

import importlib
from typing import TYPE_CHECKING, Any

from sagakit.builder import SagaBuilder
from sagakit.drivers.attempt import StepContext
from sagakit.drivers.simulated import simulate
from sagakit.errors import (
    DefinitionError,
    InDoubtError,
    InputError,
    JournalError,
    SagaError,
    ServiceRefusedError,
    TerminalError,
)
from sagakit.execution import Execution
from sagakit.resilience import Bulkhead, CircuitBreaker, Hedge, RateLimit, RetryBudget, Service
from sagakit.saga import Saga
from sagakit.scenario import Scenario
from sagakit.spec import Retry, Simulated
from sagakit.steps import (
    Happened,
    Step,
    await_event,
    choice,
    for_each,
    pivot,
    step,
    sub_saga,
    timer,
)

if TYPE_CHECKING:
    from sagakit.comparison import compare
    from sagakit.drivers.local import Engine, arun, run
    from sagakit.lab.asserting import assert_saga
    from sagakit.lab.chaos import chaos
    from sagakit.lab.check import check
    from sagakit.lab.explore import explore
    from sagakit.lab.fork import fork
    from sagakit.lab.interleave import interleave
    from sagakit.overview import Overview
    from sagakit.trace_view import Trace

__version__ = "0.1.0"

__all__ = [
    "Bulkhead",
    "CircuitBreaker",
    "DefinitionError",
    "Engine",
    "Execution",
    "Happened",
    "Hedge",
    "InDoubtError",
    "InputError",
    "JournalError",
    "Overview",
    "RateLimit",
    "Retry",
    "RetryBudget",
    "Saga",
    "SagaBuilder",
    "SagaError",
    "Scenario",
    "Service",
    "ServiceRefusedError",
    "Simulated",
    "Step",
    "StepContext",
    "TerminalError",
    "Trace",
    "arun",
    "assert_saga",
    "await_event",
    "chaos",
    "check",
    "choice",
    "compare",
    "explore",
    "for_each",
    "fork",
    "interleave",
    "pivot",
    "run",
    "simulate",
    "step",
    "sub_saga",
    "timer",
]


# Loaded when they are first used: they bring in asyncio and sqlite3, or all that draws, or IPython.
_LATER = {
    "Engine": "sagakit.drivers.local",
    "Overview": "sagakit.overview",
    "Trace": "sagakit.trace_view",
    "arun": "sagakit.drivers.local",
    "assert_saga": "sagakit.lab.asserting",
    "chaos": "sagakit.lab.chaos",
    "check": "sagakit.lab.check",
    "compare": "sagakit.comparison",
    "explore": "sagakit.lab.explore",
    "fork": "sagakit.lab.fork",
    "interleave": "sagakit.lab.interleave",
    "load_ipython_extension": "sagakit.magics",
    "run": "sagakit.drivers.local",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module 'sagakit' has no attribute '{name}'")
