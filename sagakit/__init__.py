"""See a saga, break it, prove it, ship it."""

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
    "arun",
    "await_event",
    "choice",
    "compare",
    "for_each",
    "pivot",
    "run",
    "simulate",
    "step",
    "sub_saga",
    "timer",
]


def __getattr__(name: str) -> Any:
    # These bring in asyncio and sqlite3: loaded when they are first used.
    if name in ("Engine", "arun", "run"):
        from sagakit.drivers import local

        return getattr(local, name)
    if name == "compare":  # and this one all that draws
        from sagakit.comparison import compare

        return compare
    raise AttributeError(f"module 'sagakit' has no attribute '{name}'")
