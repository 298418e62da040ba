"""The failure lab: break a saga in every way, and prove that it holds."""

from sagakit.lab.explore import explore
from sagakit.lab.fork import Fork, fork
from sagakit.lab.report import Report, Violation
from sagakit.lab.semantics import Semantics, semantics

__all__ = ["Fork", "Report", "Semantics", "Violation", "explore", "fork", "semantics"]
