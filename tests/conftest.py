"""Settings of the whole suite, notebooks included: hypothesis, and which tests may be skipped."""

from __future__ import annotations

import os

import hypothesis
import pytest

# No deadline: a busy machine is no failure. In CI the same examples every time.
hypothesis.settings.register_profile("sagakit", deadline=None, derandomize="CI" in os.environ)
# For `make mutants` a mutant that fails is enough: its example need not be made small.
hypothesis.settings.register_profile(
    "mutants",
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile(os.environ.get("SAGAKIT_HYPOTHESIS_PROFILE", "sagakit"))

# With SAGAKIT_STRICT_SKIPS=1 (.ci/run sets it, having installed what optional tests need) a skip
# fails the session, unless its node id begins with one of these: {node id: why it may be skipped}.
EXPECTED_SKIPS: dict[str, str] = {}

_unexpected: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note(report)


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    if not report.nodeid.startswith(tuple(EXPECTED_SKIPS)):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        _unexpected.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _strict() and _unexpected and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _strict() and _unexpected:
        terminalreporter.section(
            "skipped, and not in EXPECTED_SKIPS of tests/conftest.py", red=True
        )
        for line in _unexpected:
            terminalreporter.line(line)


def _strict() -> bool:
    return os.environ.get("SAGAKIT_STRICT_SKIPS") == "1"
