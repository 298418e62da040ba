"""The coordinator by example: steps that sagas do, a limit of items at once, and what an operator
or an outer saga says of an execution as a whole."""

from __future__ import annotations

import pytest
from pure import ERROR
from states import act, after, begun, chain, ran, undo

from sagakit import Saga, await_event, for_each, pivot, step, sub_saga
from sagakit.coordinator import compensation_failed, decide, evolve
from sagakit.errors import IllegalEventError
from sagakit.events import (
    AttemptAdmitted,
    AttemptHeld,
    BreakerChanged,
    ChildResumed,
    ChildStuck,
    CompensationAttemptFailed,
    CompensationFailed,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    EndExecution,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionMigrated,
    ExecutionResolved,
    ExecutionStuck,
    HedgeStarted,
    RunAction,
    RunCompensation,
    StepFailed,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)
