"""What can go wrong at each step: the faults that a click can put in."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple

import msgspec

from sagakit.errors import ScenarioError
from sagakit.execution import Execution
from sagakit.lab.faults import more_faults
from sagakit.saga import Saga
from sagakit.scenario import Crash, Fault, FaultKind, Scenario, Side
from sagakit.scenario.form import ScenarioForm
from sagakit.widgets.frames import Graph, is_template


class Entry(NamedTuple):
    """One way in which a step can be struck, as a menu offers it."""

    kind: FaultKind
    side: Side
    label: str
    meaning: str
    seconds: float = 0.0  # to begin with; only a slow call has any


ENTRIES: tuple[Entry, ...] = (
    Entry("fail", "action", "fail before", "it fails before its effect"),
    Entry("lose reply", "action", "fail after", "its effect happens, and the reply is lost"),
    Entry("slow", "action", "slow", "the call begins late", 1.0),
    Entry("time out", "action", "time out", "the request is lost, and nobody can know"),
    Entry("repeat", "action", "delivered twice", "the request is delivered twice"),
    Entry("late", "action", "delivered late", "the request arrives after the compensation"),
    Entry("reorder", "action", "overtaken", "its next request is delivered before this one"),
    Entry("trip", "action", "breaker opens", "the circuit breaker of its service opens"),
    Entry("drop", "action", "signal lost", "the event that it waits for never arrives"),
    Entry("fail", "compensation", "fail compensation", "its compensation fails"),
    Entry("lose reply", "compensation", "lose the undo's reply", "undone, and nobody hears of it"),
    Entry("slow", "compensation", "slow compensation", "its compensation begins late", 1.0),
    Entry("time out", "compensation", "compensation times out", "the undo's request is lost"),
    Entry("repeat", "compensation", "undone twice", "the undo's request is delivered twice"),
    Entry("trip", "compensation", "breaker opens for the undo", "the circuit breaker opens"),
)


def menu(saga: Saga, execution: Execution, scenario: Scenario, graph: Graph) -> dict[str, Any]:
    """The entries, which of them fit each node, and where a crash makes a difference.

    Parameters:
        saga: as it is defined, for what fits it.
        execution: the run in which the crashes would be, under the scenario.
    """
    paths = {node["path"] for node in graph.nodes}
    crashes = _crashes(execution, scenario, paths)
    return {
        "entries": [entry._asdict() for entry in ENTRIES],
        "fits": [_fitting(saga, node["path"]) for node in graph.nodes],
        "crashes": [crashes.get(node["path"], []) for node in graph.nodes],
    }


def _fitting(saga: Saga, path: str) -> list[int]:
    """The numbers of the entries that can strike the step at this path."""
    if _is_pattern(saga, path):
        return []  # a fault names an item, and there are none yet
    return [number for number, entry in enumerate(ENTRIES) if _fits(saga, path, entry)]


def _is_pattern(saga: Saga, path: str) -> bool:
    """Whether the step stands for those of items that are not known yet."""
    inside = saga
    for name in path.split("/"):
        if is_template(inside) and not name.isdecimal():
            return True
        if not inside.children or not (is_template(inside) or name in inside.children):
            return False  # no saga does it
        inside = inside.child(name)
    return False


def _fits(saga: Saga, path: str, entry: Entry) -> bool:
    fault = Fault(entry.kind, path, entry.side, seconds=entry.seconds)
    try:
        Scenario((fault,)).check(saga)
    except ScenarioError:
        return False
    return True


def _crashes(
    execution: Execution, scenario: Scenario, paths: Container[str]
) -> dict[str, list[dict[str, Any]]]:
    """By step, of these: the crashes that make a difference to this run, as it is, and at which
    event each is."""
    found: dict[str, list[dict[str, Any]]] = {}
    history = execution.history()
    for more in more_faults(execution, scenario, 0, crashes=True):
        if more.step not in paths or len(more.scenario.crashes) == len(scenario.crashes):
            continue
        _, event = history[more.place]
        undo = " of its compensation" if "Compensation" in type(event).__name__ else ""
        attempt = getattr(event, "attempt", 1)
        again = f", attempt {attempt}" if attempt > 1 else ""
        found.setdefault(more.step, []).append(
            {
                "label": f"{more.column}{undo}{again}",
                "event": more.place,
                "crash": plain_crash(more.scenario.crashes[-1]),
            }
        )
    return found


def plain_crash(crash: Crash) -> dict[str, Any]:
    """A crash in the words of the YAML form."""
    crashes: list[dict[str, Any]] = plain(Scenario(crashes=(crash,)))["crashes"]
    return crashes[0]


def plain(scenario: Scenario) -> dict[str, Any]:
    """A scenario's faults and crashes in the words of the YAML form, as plain data."""
    spec: ScenarioForm = msgspec.structs.replace(scenario, interventions=()).to_spec()
    form: dict[str, Any] = msgspec.to_builtins(spec)
    return {key: list(form.get(key, ())) for key in ("faults", "crashes")}
