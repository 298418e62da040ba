"""The states of a step and of an execution, and the two tables of what may happen to them.

The coordinator obeys these tables; the diagrams in ``STATES.md`` are drawn from them.
"""

from __future__ import annotations

from enum import StrEnum

from sagakit.events import (
    AttemptLost,
    CancellationRequested,
    ChildResumed,
    ChildStuck,
    CompensationAttemptFailed,
    CompensationFailed,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    DeadlinePassed,
    Event,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionStarted,
    ExecutionStuck,
    ReconcileFailed,
    ReconcileStarted,
    StepAttemptFailed,
    StepFailed,
    StepInDoubt,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)


class StepState(StrEnum):
    """Where a step stands. The values are the words that pictures and tables show."""

    PENDING = "pending"
    READY = "ready"
    RUNNING = "running"
    RETRYING = "retrying"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    SKIPPED = "skipped"
    FAILED = "failed"
    RECONCILE_DUE = "reconcile due"
    RECONCILING = "reconciling"
    IN_DOUBT = "in doubt"
    STUCK = "stuck"
    KEPT = "kept"
    COMPENSATION_DUE = "compensation due"
    COMPENSATING = "compensating"
    COMPENSATION_RETRYING = "compensation retrying"
    COMPENSATED = "compensated"
    COMPENSATION_FAILED = "compensation failed"
    COMPENSATION_SKIPPED = "compensation skipped"


class Phase(StrEnum):
    """Where an execution stands; ``status`` tells it in the words of the public face."""

    NEW = "new"
    FORWARD = "forward"
    BACKWARD = "backward"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    STUCK = "stuck"
    ABANDONED = "abandoned"


class Cause(StrEnum):
    """Transitions that follow from another step's event rather than from one of their own."""

    ENABLED = "every step before it settled"
    HALTED = "backward recovery began, and it had no effect"
    HALTED_IN_DOUBT = "backward recovery began, and it may have had one"
    ASK = "it can be reconciled"
    NO_WAY_BACK = "it stands at or after the pivot"
    UNDO = "every step behind it is undone"
    NOTHING_TO_UNDO = "every step behind it is undone, and it has no compensation"
    RETRY = "an operator said retry"
    SKIP = "an operator said skip"
    ABANDON = "an operator said abandon"
    TURN_BACK = "a step failed for good before the pivot"


_S = StepState
_C = Cause
Key = type[Event] | Cause

# The one table of what may happen to a step. The state diagrams in the docs are drawn from it.
STEP_TRANSITIONS: dict[StepState, dict[Key, StepState]] = {
    _S.PENDING: {_C.ENABLED: _S.READY},
    _S.READY: {
        StepStarted: _S.RUNNING,
        WaitStarted: _S.WAITING,
        StepSkipped: _S.SKIPPED,
        StepFailed: _S.FAILED,  # a callable that is asked beforehand raised, its `when` say
        _C.HALTED: _S.PENDING,
        _C.HALTED_IN_DOUBT: _S.IN_DOUBT,
    },
    _S.RUNNING: {
        StepSucceeded: _S.SUCCEEDED,
        StepAttemptFailed: _S.RETRYING,
        StepFailed: _S.FAILED,
        StepInDoubt: _S.IN_DOUBT,
        AttemptLost: _S.READY,
        ChildStuck: _S.STUCK,
    },
    _S.RETRYING: {
        StepStarted: _S.RUNNING,
        _C.HALTED: _S.FAILED,
        _C.HALTED_IN_DOUBT: _S.IN_DOUBT,
    },
    _S.WAITING: {
        StepSucceeded: _S.SUCCEEDED,
        StepFailed: _S.FAILED,
        _C.HALTED: _S.PENDING,
    },
    _S.SUCCEEDED: {_C.UNDO: _S.COMPENSATION_DUE, _C.NOTHING_TO_UNDO: _S.KEPT},
    _S.SKIPPED: {},
    _S.FAILED: {_C.NO_WAY_BACK: _S.STUCK},
    _S.IN_DOUBT: {
        _C.ASK: _S.RECONCILE_DUE,
        _C.NO_WAY_BACK: _S.STUCK,
        _C.UNDO: _S.COMPENSATION_DUE,
    },
    _S.RECONCILE_DUE: {ReconcileStarted: _S.RECONCILING},
    _S.RECONCILING: {
        StepSucceeded: _S.SUCCEEDED,
        StepFailed: _S.FAILED,
        ReconcileFailed: _S.IN_DOUBT,
        AttemptLost: _S.RECONCILE_DUE,
    },
    _S.STUCK: {_C.RETRY: _S.READY, _C.SKIP: _S.SKIPPED, ChildResumed: _S.RUNNING},
    _S.KEPT: {},
    _S.COMPENSATION_DUE: {CompensationStarted: _S.COMPENSATING},
    _S.COMPENSATING: {
        CompensationSucceeded: _S.COMPENSATED,
        CompensationAttemptFailed: _S.COMPENSATION_RETRYING,
        CompensationFailed: _S.COMPENSATION_FAILED,
        AttemptLost: _S.COMPENSATION_DUE,
        ChildStuck: _S.COMPENSATION_FAILED,
    },
    _S.COMPENSATION_RETRYING: {CompensationStarted: _S.COMPENSATING},
    _S.COMPENSATED: {},
    _S.COMPENSATION_FAILED: {
        _C.RETRY: _S.COMPENSATION_DUE,
        _C.SKIP: _S.COMPENSATION_SKIPPED,
        ChildResumed: _S.COMPENSATING,
    },
    _S.COMPENSATION_SKIPPED: {},
}

# And the one table of what may happen to an execution.
PHASE_TRANSITIONS: dict[Phase, dict[Key, Phase]] = {
    Phase.NEW: {ExecutionStarted: Phase.FORWARD},
    Phase.FORWARD: {
        ExecutionCompleted: Phase.COMPLETED,
        ExecutionStuck: Phase.STUCK,
        _C.TURN_BACK: Phase.BACKWARD,
        DeadlinePassed: Phase.BACKWARD,
        CancellationRequested: Phase.BACKWARD,
    },
    Phase.BACKWARD: {ExecutionCompensated: Phase.COMPENSATED, ExecutionStuck: Phase.STUCK},
    Phase.COMPLETED: {CompensationRequested: Phase.BACKWARD},
    Phase.COMPENSATED: {},
    Phase.STUCK: {
        _C.RETRY: Phase.FORWARD,  # or BACKWARD: the direction it was stuck in
        _C.SKIP: Phase.FORWARD,
        ChildResumed: Phase.FORWARD,
        _C.ABANDON: Phase.ABANDONED,
    },
    Phase.ABANDONED: {},
}

STATUS: dict[Phase, str] = {
    Phase.NEW: "running",
    Phase.FORWARD: "running",
    Phase.BACKWARD: "running",
    Phase.COMPLETED: "completed",
    Phase.COMPENSATED: "compensated",
    Phase.STUCK: "stuck",
    Phase.ABANDONED: "abandoned",
}

# The phases in which something is still to be done without an operator.
ACTIVE = (Phase.FORWARD, Phase.BACKWARD)
