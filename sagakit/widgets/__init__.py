"""Widgets: thin views of a value in a notebook."""

from sagakit.widgets.designer import SagaDesigner
from sagakit.widgets.explorer import TraceExplorer
from sagakit.widgets.player import SagaPlayer

__all__ = ["SagaDesigner", "SagaPlayer", "TraceExplorer"]
