"""The tables: complete, reachable, and drawn as they are."""

from __future__ import annotations

from typing import get_args

from sagakit import diagrams
from sagakit.coordinator import APPLY
from sagakit.events import AnyEvent
from sagakit.resilience import BREAKER_TRANSITIONS, POLICIES, BreakerCause, BreakerState
from sagakit.transitions import PHASE_TRANSITIONS, STATUS, STEP_TRANSITIONS, Cause, Phase, StepState


def test_every_state_and_phase_has_its_row():
    assert set(STEP_TRANSITIONS) == set(StepState)
    assert set(PHASE_TRANSITIONS) == set(Phase) == set(STATUS)


def test_every_state_can_be_reached():
    targets = {target for row in STEP_TRANSITIONS.values() for target in row.values()}
    assert targets | {StepState.PENDING} == set(StepState)
    phases = {target for row in PHASE_TRANSITIONS.values() for target in row.values()}
    assert phases | {Phase.NEW} == set(Phase)


def test_the_breakers_table_has_every_state_and_cause_and_no_dead_end():
    targets = {target for row in BREAKER_TRANSITIONS.values() for target in row.values()}
    assert set(BREAKER_TRANSITIONS) == targets == set(BreakerState)
    causes = [cause for row in BREAKER_TRANSITIONS.values() for cause in row]
    assert set(causes) == set(BreakerCause)
    assert len(causes) == len(BreakerCause) + 1, "a scenario can trip it in two states"


def test_every_event_and_cause_stands_in_a_table_and_can_be_applied():
    used = {
        key
        for table in (STEP_TRANSITIONS, PHASE_TRANSITIONS)
        for row in table.values()
        for key in row
    }
    events = set(get_args(AnyEvent))
    assert events == set(APPLY)
    # An operator's word is its causes retry, skip and abandon; the others move nothing themselves.
    outside = {"ExecutionResolved", "SignalReceived", "ExecutionMigrated"}
    # These tell what happens to a call on its way.
    outside |= {"AttemptHeld", "AttemptAdmitted", "BreakerChanged", "HedgeStarted"}
    assert {event.__name__ for event in events - used} == outside
    assert set(Cause) <= used


def test_the_drawn_diagrams_are_current():
    stale = diagrams.TARGET.read_text("utf-8") != diagrams.markdown()
    assert not stale, "STATES.md is stale; run: make diagrams"


def test_every_change_of_a_breaker_is_drawn():
    _, drawn = diagrams.markdown().split("## A circuit breaker")
    assert "[*] --> closed" in drawn
    assert 'state "half-open" as half_open' in drawn
    for cause in BreakerCause:
        arrows = sum(cause in row for row in BREAKER_TRANSITIONS.values())
        assert drawn.count(f": ({cause})") == arrows >= 1


def test_every_policy_of_a_service_is_stated_with_its_source():
    *_, text = diagrams.markdown().partition("## A circuit breaker")
    parts = text.split("\n## ")
    assert len(parts) == len(POLICIES)
    assert all("\nSource: " in part for part in parts)
    assert "`retries + 1 <= least * window + ratio * first attempts`" in text
    assert "Parameters" not in text
