"""Two executions beside each other: what differs between them."""

from __future__ import annotations

from sagakit.errors import SagaError
from sagakit.execution import Execution
from sagakit.story import read_bars, rows
from sagakit.views import Contrast, Course, Picture, compare_picture, contrasts
from sagakit.views.contrasts import FACTOR


class Comparison:
    """What differs between two executions, and a picture of both. A value.

    Parameters:
        first: A; second: B.
        factor: durations differ if one is more than so many times the other.

    ``differences`` is a list; each has its ``step`` (empty for the whole), its ``side``, ``what``
    differs (``status``, ``step``, ``outcome``, ``reason``, ``attempts`` or ``duration``), and what
    there is in A and B, ``first`` and ``second``, as text.
    """

    __slots__ = ("_courses", "differences", "factor", "first", "second")

    def __init__(self, first: Execution, second: Execution, factor: float = FACTOR) -> None:
        self.first = first
        self.second = second
        self.factor = factor
        self._courses = _course(first), _course(second)
        self.differences: list[Contrast] = contrasts(*self._courses, factor)

    def picture(self) -> Picture:
        """Both timelines on one scale, side by side, what differs marked and in a table."""
        return compare_picture(self.first.saga.name, *self._courses, self.factor)

    @property
    def words(self) -> str:
        """How both ended, and how many differences there are."""
        statuses = self.first.status, self.second.status
        words = f"both {statuses[0]}" if statuses[0] == statuses[1] else " and ".join(statuses)
        count = len(self.differences)
        found = f"{count} difference{'' if count == 1 else 's'}" if count else "no differences"
        return f"{words}, {found}"

    def __repr__(self) -> str:
        return f"<Comparison of '{self.first.saga.name}': {self.words}>"

    def _repr_html_(self) -> str:
        return self.picture()._repr_html_()


def compare(first: Execution, second: Execution, *, factor: float = FACTOR) -> Comparison:
    """Lay two executions of one saga side by side: two scenarios, before and after a change.

    Parameters:
        factor: durations differ if one is more than so many times the other; above 1.

    Raises:
        SagaError: they are of sagas with different names. Versions may differ.
        ValueError: the factor is not above 1.
    """
    names = first.saga.name, second.saga.name
    if names[0] != names[1]:
        raise SagaError(
            f"cannot compare executions of saga '{names[0]}' and of saga '{names[1]}': they have "
            "no steps in common; give two of one saga (its versions may differ)"
        )
    return Comparison(first, second, factor)


def _course(execution: Execution) -> Course:
    parts = execution._parts(inside=True)
    bars, marks = read_bars(execution.history(), parts)
    return Course(
        title=execution.id,
        bars=bars,
        marks=marks,
        status=execution.status,
        steps=list(rows(parts)),
    )
