"""What sagakit gives to pytest, as a suite that has it installed sees it."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import pytest
from sagakit import Saga, Scenario, assert_saga, simulate, step
from sagakit.lab import ORDER, Twin, bugs

twin = Twin()


@pytest.mark.saga_scenarios("slow-bank", Scenario().fail("charge_payment"))
def test_named(scenario):
    execution = simulate(twin.fresh().saga, ORDER, scenario=scenario)
    assert execution.status in ("completed", "compensated")


@pytest.mark.saga_scenarios(twin.saga, saga_input=ORDER)
def test_every_single_fault(scenario):
    execution = simulate(twin.fresh().saga, ORDER, scenario=scenario)
    assert twin.books().balanced


def test_lab(saga_lab):
    assert saga_lab.twin is saga_lab.twin
    saga_lab.assert_saga(saga_lab.twin.saga, ORDER, world=saga_lab.twin.fresh).survives(faults=1)


def test_buggy():
    bug = bugs()["refund_twice"]
    assert_saga(bug.buggy, bug.input, world=bug.world).survives(faults=2)


def test_buggy_in_chaos():
    bug = bugs()["not_idempotent"]
    assert_saga(bug.buggy, bug.input, world=bug.world).survives_chaos(runs=200)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_suite=SUITE)
    return pytester


def run(suite: pytest.Pytester, *args: str) -> pytest.RunResult:
    return suite.runpytest_inprocess(*args)  # which finds the plugin by its entry point


def test_scenarios_that_are_named_made_and_found_run_a_test_once_each(
    suite: pytest.Pytester,
) -> None:
    result = run(suite, "-k", "named or every", "-v", "--strict-markers")
    outcome = result.parseoutcomes()
    assert outcome["passed"] > 40
    assert "failed" not in outcome
    result.stdout.fnmatch_lines_random(
        ["*test_named[[]slow-bank[]]*", "*test_named[[]fail charge_payment[]]*"]
    )
    result.stdout.fnmatch_lines(["*test_every_single_fault[[]*lose reply charge_payment*"])


def test_a_saga_that_survives_passes(suite: pytest.Pytester) -> None:
    run(suite, "-k", "test_lab").assert_outcomes(passed=1)


def test_a_saga_that_does_not_survive_fails_with_the_counterexample_in_words(
    suite: pytest.Pytester,
) -> None:
    result = run(suite, "-k", "test_buggy")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E*AssertionError: Report of 'refunds twice', up to 2 faults: *",
            "E*no_effect_survives_compensation does not hold under: fail reserve_stock at*",
            'E*Scenario().fail("reserve_stock", 1).lose_reply("charge_payment", 1, *',
            "E*step failed*reserve_stock*",
            "E*compensation succeeded*charge_payment*attempt 2*",
            "E*order 10248 (cancelled): -44000 cents were kept*",
        ]
    )
    assert "asserting.py" not in result.stdout.str(), "the traceback shows the test alone"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("", "names no scenario"),
        ("7", "7 is no Scenario"),
        ("'bank'", "no scenario named 'bank'"),
        ("'slow-bank', input=7", "takes no 'input'; give saga_input="),
    ],
)
def test_a_mark_that_says_nothing_is_refused(
    pytester: pytest.Pytester, argument: str, message: str
) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.saga_scenarios({argument})
        def test(scenario): ...
        """
    )
    result = run(pytester)
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"*{message}*"])
