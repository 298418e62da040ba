"""The classic mistakes: exploration finds every one, and nothing in the same sagas mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagakit import simulate
from sagakit.errors import SagaError
from sagakit.lab import bugs
from sagakit.lab.bugs import Bug

ALL = bugs()

FAULTS = {  # how many it takes to see the mistake by what it breaks
    "changed_state": 1,
    "compensation_missing": 1,
    "email_too_early": 1,
    "late_action": 1,
    "needs_anothers_result": 1,
    "not_idempotent": 1,
    "null_compensation": 1,
    "refund_twice": 2,
    "retry_not_idempotent": 1,
    "swallowed_error": 0,
    "timeout_is_failure": 1,
    "version_skew": 2,
    "wrong_order": 1,
}


def test_there_are_at_least_twelve() -> None:
    assert len(ALL) >= 12
    assert set(ALL) == set(FAULTS)


@pytest.mark.parametrize("bug", ALL.values(), ids=list(ALL))
def test_it_is_found_with_the_fewest_faults(bug: Bug) -> None:
    report = bug.explore()
    found = next(v for v in report.violations if v.invariant == bug.breaks)
    size = len(found.scenario.faults) + len(found.scenario.crashes)
    assert size == FAULTS[bug.name]
    if size:
        fewer = bug.explore(faults=size - 1)
        assert bug.breaks not in {v.invariant for v in fewer.violations}
    bug.world()
    again = simulate(bug.buggy, bug.input, scenario=found.scenario, id=found.execution.id)
    assert again.log() == found.execution.log()


@pytest.mark.parametrize("bug", ALL.values(), ids=list(ALL))
def test_nothing_is_found_in_the_mended_one(bug: Bug) -> None:
    report = bug.explore(fixed=True)
    assert report.holds, str(report)
    assert report.explored > 500


@pytest.mark.parametrize("bug", ALL.values(), ids=list(ALL))
def test_it_says_in_a_sentence_what_is_wrong(bug: Bug) -> None:
    assert bug.about.endswith(".")
    assert 30 < len(bug.about) < 130
    assert bug.path.is_file()


def test_a_folder_without_any_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SagaError, match="no buggy sagas in"):
        bugs(tmp_path)
