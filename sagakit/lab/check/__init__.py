"""Looks at a saga without running it, and says what will hurt: ``check(saga)``.

The rules stand in ``undoing``, ``timing``, ``forward`` and ``design``; ``data/rules.md`` shows each
with a saga that breaks it and one that does not.
"""

from sagakit.lab.check.checking import check, refused
from sagakit.lab.check.finding import Finding, Findings, Rule, Severity
from sagakit.lab.check.rules import RULES
from sagakit.lab.check.sarif import sarif_log

__all__ = ["RULES", "Finding", "Findings", "Rule", "Severity", "check", "refused", "sarif_log"]
