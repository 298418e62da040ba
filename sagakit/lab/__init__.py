"""The failure lab: break a saga in every way, and prove that it holds."""

from sagakit.lab.asserting import SagaAssertion, assert_saga
from sagakit.lab.bugs import Bug, bugs
from sagakit.lab.chaos import chaos
from sagakit.lab.chaos_report import ChaosReport, Failure
from sagakit.lab.diagnosis import Finding, diagnose
from sagakit.lab.explore import explore
from sagakit.lab.fork import Fork, fork
from sagakit.lab.interleave import interleave
from sagakit.lab.interleavings import Interleavings
from sagakit.lab.isolation import Cell, IsolationMatrix, isolation_matrix
from sagakit.lab.pairs import COUNTERMEASURES, Pair, pairs
from sagakit.lab.report import Report, Violation
from sagakit.lab.semantics import Semantics, semantics
from sagakit.lab.table import Table, World
from sagakit.lab.twin import ORDER, Twin

__all__ = [
    "COUNTERMEASURES",
    "ORDER",
    "Bug",
    "Cell",
    "ChaosReport",
    "Failure",
    "Finding",
    "Fork",
    "Interleavings",
    "IsolationMatrix",
    "Pair",
    "Report",
    "SagaAssertion",
    "Semantics",
    "Table",
    "Twin",
    "Violation",
    "World",
    "assert_saga",
    "bugs",
    "chaos",
    "diagnose",
    "explore",
    "fork",
    "interleave",
    "isolation_matrix",
    "pairs",
    "semantics",
]
