"""Every rule by its id, in their order."""

from __future__ import annotations

from sagakit.lab.check import definition, design, forward, timing, undoing
from sagakit.lab.check.finding import DECLARED, Rule

MODULES = (definition, undoing, timing, forward, design)  # that declare them when imported

RULES: dict[str, Rule] = dict(sorted(DECLARED.items()))
