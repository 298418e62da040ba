"""The failure lab: break a saga in every way, and prove that it holds."""

from sagakit.lab.explore import explore
from sagakit.lab.report import Report, Violation

__all__ = ["Report", "Violation", "explore"]
