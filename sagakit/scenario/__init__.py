"""Faults as data: a scenario is a list of failures to inject, the same for every driver.

What can happen to the messages of an orchestrated saga, and what a scenario calls it:

=======================================  =======================================================
a request to a service (or its           ``time out``: nobody does it, nobody answers
compensation's) is dropped
… arrives twice                          ``repeat``
… is overtaken by its own retry          ``reorder``
… is overtaken by its compensation       ``late`` (``reorder``, where no retry follows)
a reply is dropped                       ``lose reply``: done, and nobody knows
a reply is delayed beyond the timeout    ``lose reply``: an answer nobody waits for any more
… or within it                           ``slow``
a signal is dropped                      ``drop``; where the scenario sends it: leave it out
… comes early, late or before another    the time at which the scenario sends it (``at``)
=======================================  =======================================================

Requests to different steps cannot overtake each other: the next one is sent when the one before
was answered, and steps side by side have no order. Of two signals each goes to the wait for it.
"""

from sagakit.scenario.faults import Cancellation, Crash, Fault, FaultKind, Side, Signal
from sagakit.scenario.library import library
from sagakit.scenario.scenario import Scenario

__all__ = [
    "Cancellation",
    "Crash",
    "Fault",
    "FaultKind",
    "Scenario",
    "Side",
    "Signal",
    "library",
]
