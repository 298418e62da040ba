"""What a film's pages show, as plain data: the graph, the events, and what each of them changes.

The page draws frame ``i`` from the changes up to event ``i``; it knows no rule of sagas itself. The
states are those that the coordinator itself comes to, event by event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sagakit.coordinator import State, evolve
from sagakit.events import CompensationStarted, Event, StepStarted, WaitStarted
from sagakit.execution import Execution
from sagakit.redaction import Redaction
from sagakit.saga import FanOut, Saga
from sagakit.scenario import Scenario, Side
from sagakit.story import History, join, tell
from sagakit.transitions import StepState
from sagakit.views.few import few
from sagakit.widgets.film import Amount, Film, Ledgers

MOST_COPIES = 12  # of what is done for each of many items, so many are drawn

STATES: tuple[str, ...] = tuple(StepState)
_NUMBER = {state: number for number, state in enumerate(StepState)}


class Graph:
    """The steps to draw, with those inside them, as an execution ran them.

    Parameters:
        nodes: each with its ``path``, the number of the node that it stands in (``inside``, -1:
            none), and what a picture says of it.
        edges: pairs of numbers of nodes.
        drawn: by the path of an execution: which of its steps are drawn as which nodes.
    """

    def __init__(self, saga: Saga, execution: Execution | None) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.edges: list[tuple[int, int]] = []
        self.drawn: dict[str, list[tuple[int, int]]] = {}
        self._add(saga, execution, "", -1, retried=False)

    def _add(
        self, saga: Saga, execution: Execution | None, path: str, inside: int, *, retried: bool
    ) -> None:
        """Add the steps of the saga that does the step at this path.

        Parameters:
            retried: they are tried again until they succeed, whatever they are in their own saga.
        """
        flow = saga.flow_nodes(inside=dict.fromkeys(saga.children))  # type: ignore[arg-type]
        shown = list(range(len(flow)))
        if saga.plan.each and execution is not None:
            states = execution.states
            shown = few([states[node.name] for node in flow], MOST_COPIES)
        numbers: dict[str, int] = {}
        self.drawn[path] = []
        for place in shown:
            node = flow[place]
            numbers[node.name] = number = len(self.nodes)
            self.drawn[path].append((place, number))
            forward = retried or node.kind == "retriable"
            self.nodes.append(
                {
                    "path": join(path, node.name),
                    "name": node.name,
                    "inside": inside,
                    "kind": node.kind,
                    "service": node.service or "",
                    "compensation": node.compensation or "",
                    "notes": list(node.notes),
                    "holds": node.nested,
                    "more": 0,
                    "retried": forward,
                }
            )
            self._open(saga, execution, node.name, number, retried=forward)
        if inside >= 0:
            self.nodes[inside]["more"] = len(flow) - len(numbers)
        self.edges += [
            (numbers[a], numbers[b]) for a, b in saga.edges if a in numbers and b in numbers
        ]

    def _open(
        self, saga: Saga, execution: Execution | None, name: str, number: int, *, retried: bool
    ) -> None:
        """Add what does a step, as far as a saga does it."""
        child = None if execution is None else execution.children.get(name)
        path = self.nodes[number]["path"]
        if child is not None:
            self._add(child.saga, child, path, number, retried=retried)
        elif name in saga.children or (saga.plan.each and saga.children):
            self._add(saga.child(name), None, path, number, retried=retried)


def is_template(saga: Saga) -> bool:
    """Whether its one step stands for as many as there will be items."""
    return isinstance(saga, FanOut) and not saga.plan.each


def scenes(film: Film) -> dict[str, Any]:
    """All that the page plays: graph, events, changes of states, status and ledgers, and faults.

    See ``Film`` in ``ui/src/watching.ts`` for what each part means.
    """
    execution = film.execution
    history = execution.history()
    graph = Graph(execution.saga, execution)
    redaction = execution.redaction
    return {
        "title": execution.saga.name,
        "note": execution.saga.flow_note,
        "nodes": graph.nodes,
        "edges": [list(edge) for edge in graph.edges],
        **_events(history, graph, execution.started_at, redaction),
        **_changes(execution, history, graph),
        **_ledgers(film.ledgers, redaction),
        "struck": [list(one) for one in struck(history, film.scenario)],
        "ended": execution.status,
    }


def _events(
    history: History, graph: Graph, start: float, redaction: Redaction | None
) -> dict[str, Any]:
    """The events in columns; what recurs is told once."""
    paths = {node["path"]: number for number, node in enumerate(graph.nodes)}
    words: dict[str, int] = {}
    columns: dict[str, list[Any]] = {"at": [], "what": [], "step": [], "detail": []}
    for path, event in history:
        what, step, detail = tell(event, path)
        columns["at"].append(round(_at(event) - start, 9))
        columns["what"].append(words.setdefault(what, len(words)))
        columns["step"].append(paths.setdefault(step, len(paths)) if step else -1)
        columns["detail"].append(redaction.scrub(detail) if redaction else detail)
    return {"events": columns, "words": list(words), "paths": list(paths)}


def _at(event: Event) -> float:
    at: float = event.at  # type: ignore[attr-defined]
    return at


def _changes(execution: Execution, history: History, graph: Graph) -> dict[str, Any]:
    """Which event changes which node's state, and the execution's status: flat triples and pairs.

    Before the first event every step is pending.
    """
    states: dict[str, State] = {}
    whole = _live(execution, "", states)
    shown: dict[str, list[StepState]] = {}
    changes: list[int] = []
    statuses: list[Any] = []
    for number, (path, event) in enumerate(history):
        state = states[path]
        evolve(state, event)
        before = shown.get(path)
        drawn = graph.drawn.get(path, [])
        now = [state.steps[place] for place, _ in drawn]
        if now != before:
            for at, (_, node) in enumerate(drawn):
                if now[at] is not (StepState.PENDING if before is None else before[at]):
                    changes += (number, node, _NUMBER[now[at]])
            shown[path] = now
        status = whole.status
        if not statuses or statuses[-1] != status:
            statuses += (number, status)
    return {"states": list(STATES), "changes": changes, "statuses": statuses}


def _live(execution: Execution, path: str, states: dict[str, State]) -> Execution:
    """The execution as it is before its first event; it moves on as its state does."""
    state = states[path] = State(execution.saga.plan)
    children = {
        name: _live(child, join(path, name), states) for name, child in execution.children.items()
    }
    return Execution(execution.saga, (), state, children)


def _ledgers(pages: Sequence[Ledgers], redaction: Redaction | None) -> dict[str, Any]:
    """The rows that there are, and which event gives which of them a new value: flat triples.

    A row that comes into being later, or goes, has no value (null) before or after.
    """
    rows: dict[tuple[str, str], int] = {}
    changes: list[Any] = []
    known: dict[int, Amount] = {}
    for number, page in enumerate(pages):
        if number and page is pages[number - 1]:
            continue
        now = {
            rows.setdefault((service, name), len(rows)): amount
            for service, counted in page.items()
            for name, amount in counted.items()
        }
        for row, amount in now.items():
            if row not in known or known[row] != amount:
                changes += (number, row, amount)
        for row in known.keys() - now.keys():
            changes += (number, row, None)
        known = now
    if redaction is not None:
        changes = redaction.clean(changes)
    named = [[service, redaction.scrub(n) if redaction else n] for service, n in rows]
    return {"ledgers": {"rows": named, "changes": changes}}


def struck(history: History, scenario: Scenario) -> Iterator[tuple[int, str, int]]:
    """Where a scenario's faults and crashes strike: (number of the event, ``"fault"`` or
    ``"crash"``, its number in the scenario). A fault strikes as an attempt, or a wait, begins."""
    numbers: Counter[str] = Counter()
    places = {fault: number for number, fault in reversed(list(enumerate(scenario.faults)))}
    for place, (path, event) in enumerate(history):
        for number, crash in enumerate(scenario.crashes):
            if crash.to == path and crash.event == numbers[path]:
                yield place, "crash", number
        numbers[path] += 1
        if isinstance(event, StepStarted | CompensationStarted):
            side: Side = "action" if isinstance(event, StepStarted) else "compensation"
            fault = scenario.find(join(path, event.step), side, event.attempt)
            if fault is not None and fault.kind != "drop":
                yield place, "fault", places[fault]
        elif isinstance(event, WaitStarted):
            for fault, number in places.items():
                if fault.kind == "drop" and fault.step == join(path, event.step):
                    yield place, "fault", number


def states_at(scenes: Mapping[str, Any], event: int) -> dict[str, str]:
    """The state of every node after an event, by its path, as the page has it: for tests, and for
    whoever wants to know what a frame shows."""
    found = {node["path"]: "pending" for node in scenes["nodes"]}
    changes = scenes["changes"]
    for place in range(0, len(changes), 3):
        number, node, state = changes[place : place + 3]
        if number > event:
            break
        found[scenes["nodes"][node]["path"]] = scenes["states"][state]
    return found
