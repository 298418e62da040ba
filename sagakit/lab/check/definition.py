"""The rule of a definition of which there is no saga."""

from __future__ import annotations

from collections.abc import Iterator

from sagakit.lab.check.finding import rule
from sagakit.lab.check.view import Found, View

REFUSED = "SAGA001"


@rule(
    REFUSED,
    "refused",
    "The definition is refused",
    "error",
    bad="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
    after: charge_crad
  - step: charge_card
    pivot: true
""",
    good="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
  - step: charge_card
    pivot: true
""",
)
def refused(view: View) -> Iterator[Found]:
    """There is no saga to check, or to run: sagakit lists every problem of the definition. Here
    they are findings, so that a report tells them with the others, each at its line.

    Found on the command line only; in Python, `Saga(…)` and `Saga.from_yaml` raise.
    """
    del view  # there is none
    yield from ()
