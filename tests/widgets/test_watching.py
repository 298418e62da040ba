"""What the kernel sends has the parts that ``ui/src/watching.ts`` tells of, and no others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sagakit.widgets
from sagakit import Engine, Saga, Scenario, TerminalError, explore, simulate, step, sub_saga
from sagakit.lab import ORDER, Twin
from sagakit.views import legend
from sagakit.widgets import EngineMonitor, FaultMatrix, SagaPlayer
from sagakit.widgets.explorer import TraceExplorer

UI = Path(sagakit.widgets.__file__).parent / "ui" / "src" / "watching.ts"
_FIELD = re.compile(r"(\w+)(\??):")

pytestmark = pytest.mark.skipif(not UI.exists(), reason="the page's sources are not installed")


def _interface(name: str) -> dict[str, bool]:
    """The fields of an interface of the protocol, and whether each must be there."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", UI.read_text("utf-8"), flags=re.DOTALL)
    start = text.index(f"interface {name} {{") + len(f"interface {name} {{")
    body, depth, outer = "", 1, []
    for letter in text[start:]:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if not depth:
            break
        outer.append(letter if depth == 1 else " ")
    body = "".join(outer)
    return {field: not optional for field, optional in _FIELD.findall(body)}


def _agrees(sent: dict[str, Any], name: str) -> None:
    fields = _interface(name)
    needed = {field for field, must in fields.items() if must}
    assert needed <= sent.keys() <= fields.keys(), name
    json.dumps(sent)


@pytest.fixture
def stuck() -> Iterator[EngineMonitor]:
    def fail() -> None:
        raise TerminalError("no")

    with Engine() as engine:
        engine.run(Saga("s", step(lambda: 1, fail, name="a"), step(fail, name="b")))
        monitor = EngineMonitor(engine)
        yield monitor
        monitor.close()


def test_of_the_player():
    twin = Twin()
    scenario = Scenario().fail("confirm_order").crash(3)
    player = SagaPlayer(twin.saga, ORDER, scenario=scenario, world=twin.fresh)
    player.edit = {"seq": 1, "guess": []}
    state = player.state
    _agrees(state, "PlayerState")
    _agrees(player.answer, "PlayerAnswer")
    _agrees(state["film"], "Film")
    _agrees(state["film"]["nodes"][0], "GraphNode")
    _agrees(state["menu"], "Menu")
    _agrees(state["menu"]["entries"][0], "MenuEntry")
    _agrees(state["faults"][0], "FaultForm")
    _agrees(state["crashes"][0], "CrashForm")
    player.close()


def test_of_the_explorer():
    first = simulate(Twin().saga, ORDER, scenario=Scenario().fail("confirm_order"))
    explorer = TraceExplorer(first, simulate(Twin().saga, ORDER))
    _agrees(explorer.state, "ExplorerState")
    _agrees(explorer.state["runs"][0], "TraceRun")
    explorer.edit = {"seq": 1, "run": 0, "span": 0}
    _agrees(explorer.details, "SpanDetails")


def test_of_the_matrix():
    twin = Twin()
    report = explore(twin.saga, ORDER, world=twin.fresh, faults=1, progress=False)
    matrix = FaultMatrix(report)
    _agrees(matrix.state, "MatrixState")
    matrix.edit = {"seq": 1, "cell": [0, 0]}
    _agrees(matrix.player, "PlayerState")


def test_of_the_monitor(stuck):
    _agrees(stuck.state, "MonitorState")
    _agrees(stuck.state["stuck"][0], "MonitoredExecution")
    for way in stuck.ways:
        _agrees(way, "Way")


def test_the_legend_has_every_name_that_is_looked_up_in_it():
    inner = Saga("inner", step(lambda: 1, lambda: 2, name="x"))
    saga = Saga("outer", sub_saga(inner, name="in"), step(lambda: 1, name="z"))
    player = SagaPlayer(saga, scenario=Scenario().fail("z"))
    film, looks = player.state["film"], player.legend
    assert looks == legend()
    assert set(film["states"]) <= looks["states"].keys()
    assert {node["kind"] for node in film["nodes"]} <= looks["kinds"].keys()
    assert set(film["statuses"][1::2]) <= looks["statuses"].keys()
    assert {"pivot", "fault", "crash", "resolved"} <= looks["marks"].keys()
    assert looks.keys() == _interface("Legend").keys()
    fields = _interface("Look")
    for group in looks.values():
        for look in group.values():
            assert look.keys() <= fields.keys()
