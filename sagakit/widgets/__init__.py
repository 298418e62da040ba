"""Widgets: thin views of a value in a notebook."""

from sagakit.widgets.designer import SagaDesigner

__all__ = ["SagaDesigner"]
