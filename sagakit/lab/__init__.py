"""The failure lab: break a saga in every way, and prove that it holds."""

from sagakit.lab.explore import explore
from sagakit.lab.interleave import interleave
from sagakit.lab.interleavings import Interleavings
from sagakit.lab.report import Report, Violation
from sagakit.lab.table import Table, World

__all__ = ["Interleavings", "Report", "Table", "Violation", "World", "explore", "interleave"]
