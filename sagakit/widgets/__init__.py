"""Widgets: thin views of a value in a notebook."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sagakit.widgets.designer import SagaDesigner
    from sagakit.widgets.explorer import TraceExplorer
    from sagakit.widgets.matrix import FaultMatrix
    from sagakit.widgets.monitor import EngineMonitor
    from sagakit.widgets.player import SagaPlayer

__all__ = ["EngineMonitor", "FaultMatrix", "SagaDesigner", "SagaPlayer", "TraceExplorer"]

# Each is loaded when it is first used: none waits for what only another one needs.
_HOMES = {
    "EngineMonitor": "sagakit.widgets.monitor",
    "FaultMatrix": "sagakit.widgets.matrix",
    "SagaDesigner": "sagakit.widgets.designer",
    "SagaPlayer": "sagakit.widgets.player",
    "TraceExplorer": "sagakit.widgets.explorer",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'sagakit.widgets' has no attribute '{name}'")
