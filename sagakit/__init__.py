"""See a saga, break it, prove it, ship it."""

from sagakit.builder import SagaBuilder
from sagakit.drivers.local import Engine, arun, run
from sagakit.drivers.run import StepContext
from sagakit.drivers.simulated import simulate
from sagakit.errors import (
    DefinitionError,
    InDoubtError,
    InputError,
    JournalError,
    SagaError,
    TerminalError,
)
from sagakit.execution import Execution
from sagakit.saga import Happened, Saga, Step, pivot, step
from sagakit.scenario import Scenario
from sagakit.spec import Retry, Simulated

__version__ = "0.1.0"

__all__ = [
    "DefinitionError",
    "Engine",
    "Execution",
    "Happened",
    "InDoubtError",
    "InputError",
    "JournalError",
    "Retry",
    "Saga",
    "SagaBuilder",
    "SagaError",
    "Scenario",
    "Simulated",
    "Step",
    "StepContext",
    "TerminalError",
    "arun",
    "pivot",
    "run",
    "simulate",
    "step",
]
