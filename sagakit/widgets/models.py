"""The data model beside the canvas, in every form."""

from __future__ import annotations

from typing import Any

from sagakit.entities import FIELD_TYPES, DataModel
from sagakit.errors import DefinitionError
from sagakit.widgets.problems import of_error

FIELDS = list(FIELD_TYPES)


class Model:
    """A data model, as far as it can be read.

    Parameters:
        given: a data model, or its plain form.
    """

    def __init__(self, given: DataModel | dict[str, Any]) -> None:
        self.value: DataModel | None = None  # None: it has another shape
        found: list[str] = []
        if isinstance(given, DataModel):
            self.value = given
        else:
            try:
                self.value = DataModel.from_plain(given)
            except DefinitionError as error:
                found += error.problems
        if self.value is not None:
            found += self.value.problems()
        self.is_right = not found
        empty = self.value is None or not self.value.entities
        self.shown: dict[str, Any] = {
            "model": given.to_plain() if isinstance(given, DataModel) else given,
            "picture": "" if empty or self.value is None else self.value.picture().svg,
            "python": self.value.models_source() if self.value and self.is_right else "",
            "problems": list(of_error(found, lambda _: None)),
        }

    @property
    def input_schema(self) -> dict[str, Any] | None:
        """The JSON Schema of the entity that is the saga's input, if one is."""
        if self.value is None or not self.is_right or self.value.input is None:
            return None
        return self.value.input_schema()
