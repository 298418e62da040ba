"""The player: every edit is answered, what is wrong is said in words, and the last run stays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from sagakit import Saga, SagaBuilder, Scenario, await_event, pivot, simulate, step, sub_saga
from sagakit.errors import DefinitionError, InputError, SagaError, ScenarioError, SimulationError
from sagakit.lab import ORDER, Twin
from sagakit.packaged import data_folder
from sagakit.views import legend
from sagakit.widgets.player import SagaPlayer

SAGAS = data_folder("sagas")


@pytest.fixture
def player() -> SagaPlayer:
    twin = Twin()
    return SagaPlayer(twin.saga, ORDER, world=twin.fresh)


def _edit(player: SagaPlayer, **edit: Any) -> dict[str, Any]:
    seq = player.state["seq"] + 1
    player.edit = {"seq": seq, **edit}
    assert player.state["seq"] == seq
    return player.state


def _menu_of(player: SagaPlayer, path: str) -> list[dict[str, Any]]:
    state = player.state
    number = next(n for n, node in enumerate(state["film"]["nodes"]) if node["path"] == path)
    return [state["menu"]["entries"][entry] for entry in state["menu"]["fits"][number]]


def _form(entry: dict[str, Any], path: str) -> dict[str, Any]:
    """What the page makes of a menu's entry."""
    form = {"fault": entry["kind"], "step": path}
    if entry["side"] != "action":
        form["side"] = entry["side"]
    if entry["seconds"]:
        form["seconds"] = entry["seconds"]
    return form


def test_it_begins_with_the_run_that_simulate_makes(player):
    assert player.execution.events == simulate(Twin().saga, ORDER).events
    assert player.state["film"]["ended"] == "completed"
    assert player.state["seq"] == 0
    assert player.legend == legend()
    assert player._widget == "player"


def test_its_repr_is_the_same_on_every_run_and_a_picture_stands_beside(player):
    assert repr(player) == "<SagaPlayer of 'checkout': completed, 12 events>"
    bundle, _ = player._repr_mimebundle_()
    assert bundle["text/plain"] == repr(player)
    assert bundle["text/html"].count('<img src="data:image/svg+xml;base64,') == 2
    assert "application/vnd.jupyter.widget-view+json" in bundle


@pytest.mark.parametrize(
    "path", ["create_order", "charge_payment", "reserve_stock", "confirm_order"]
)
def test_every_fault_on_the_menu_strikes_and_ends_as_in_simulate(player, path):
    for entry in _menu_of(player, path):
        form = _form(entry, path) | {"attempt": 1}
        faults = [form] if entry["side"] == "action" else [form, FAILS_LATER]
        state = _edit(player, faults=faults)
        assert state["said"] is None
        scenario = Scenario.from_yaml(state["yaml"])
        again = simulate(Twin().saga, ORDER, scenario=scenario)
        assert again.events == player.execution.events
        assert [0, "fault"] in [[n, what] for _, what, n in state["film"]["struck"]], entry


FAILS_LATER = {"fault": "fail", "step": "confirm_order"}


def test_crashes_on_the_menu_strike_and_the_run_ends_all_the_same(player):
    crashes = [one for some in player.state["menu"]["crashes"] for one in some]
    assert len(crashes) == 10  # before and behind the effect of each of five steps
    for one in crashes:
        state = _edit(player, crashes=[one["crash"]])
        assert state["said"] is None
        assert [[e, what] for e, what, _ in state["film"]["struck"]] == [[one["event"], "crash"]]
        assert player.execution.status == "completed"


@pytest.mark.parametrize("name", ["quotes", "shipment", "trip"])
def test_what_the_menu_offers_fits_every_construct_of_the_language(name):
    player = SagaPlayer(Saga.from_yaml(SAGAS / f"{name}.yaml"))
    state = player.state
    for node, fits in zip(state["film"]["nodes"], state["menu"]["fits"], strict=True):
        for number in fits:
            entry = state["menu"]["entries"][number]
            form = _form(entry, node["path"])
            form |= {} if entry["kind"] == "drop" else {"attempt": 1}
            assert _edit(player, faults=[form])["said"] is None


def test_an_edit_changes_what_it_names_and_leaves_the_rest(player):
    _edit(player, faults=[FAILS_LATER])
    _edit(player, seed=7)
    _edit(player, input=json.dumps({**ORDER, "order_id": 1}))
    assert player.scenario.faults == Scenario().fail("confirm_order").faults
    assert (player.seed, player.input["order_id"]) == (7, 1)
    _edit(player, faults=[])
    assert player.scenario.faults == ()
    assert player.seed == 7


def test_a_scenario_is_edited_as_yaml_too(player):
    text = Scenario(name="bad day").lose_reply("charge_payment", 1).crash(3).to_yaml()
    state = _edit(player, scenario=text)
    assert state["said"] is None
    assert player.scenario == Scenario(name="bad day").lose_reply("charge_payment", 1).crash(3)
    assert state["crashes"] == [{"crash": 3}]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"input": "{"}, "the input is not JSON"),
        ({"faults": [{"fault": "fail", "step": "pay"}]}, "has no step 'pay'"),
        ({"faults": [{"fault": "drop", "step": "confirm_order"}]}, "waits for no event"),
        ({"faults": [{"fault": "slow", "step": "confirm_order"}]}, "0 s are not slow"),
        ({"crashes": [{"crash": 0}]}, "give 1 or more"),
        ({"scenario": "no yaml: ["}, "is not YAML"),
        ({"seed": "seven"}, "give a whole number"),
        ({"seed": True}, "give a whole number"),
        ({"guess": ["nobody"]}, "is no compensation of this saga"),
    ],
)
def test_what_is_wrong_is_said_and_the_last_run_stays(player, edit, said):
    before = player.execution
    state = _edit(player, **edit)
    assert said in state["said"]["text"]
    assert state["said"]["level"] == "error"
    assert player.execution is before
    assert _edit(player, seed=3)["said"] is None


def test_a_step_that_would_be_retried_for_ever_is_said_so(player):
    state = _edit(player, faults=[{"fault": "time out", "step": "schedule_delivery"}])
    assert "would be retried for ever" in state["said"]["text"]
    node = player.state["film"]["nodes"][4]
    assert (node["path"], node["retried"]) == ("schedule_delivery", True)


def test_what_a_world_raises_is_said(player):
    def broken():
        raise OSError("no room")

    player._playing._world = broken
    assert _edit(player, seed=1)["said"]["text"] == "OSError: no room"


def test_an_interrupted_run_is_answered_too(player):
    def interrupted() -> Any:
        raise KeyboardInterrupt

    player._playing._world = interrupted
    said = {"text": "interrupted, as was asked of the kernel", "level": "error"}
    assert _edit(player, seed=2)["said"] == said


def test_from_python_what_is_wrong_is_raised_and_the_last_run_stays(player):
    for given, error in (
        ({"scenario": Scenario().fail("pay")}, ScenarioError),
        ({"seed": "x"}, SimulationError),
        ({"input": object()}, InputError),
    ):
        with pytest.raises(error):
            player.play(**given)
    assert player.state["film"]["ended"] == "completed"
    assert player.play(scenario=Scenario().fail("confirm_order")).status == "compensated"
    assert player.state["film"]["ended"] == "compensated"


def test_the_code_that_it_shows_runs_it_again(player):
    _edit(player, faults=[FAILS_LATER, {"fault": "slow", "step": "create_order", "seconds": 2}])
    _edit(player, seed=5)
    names = {"simulate": simulate, "Scenario": Scenario, "checkout": Twin().saga}
    assert eval(player.state["code"], names).events == player.execution.events  # noqa: S307


def test_a_right_guess_and_a_wrong_one(player):
    _edit(player, faults=[FAILS_LATER])
    assert player.answer == {}
    _edit(player, guess=["reserve_stock", "charge_payment", "create_order"])
    assert player.answer["right"]
    _edit(player, guess=["charge_payment", "reserve_stock", "create_order"])
    assert not player.answer["right"]
    assert "'release_stock' comes before 'refund_payment'" in player.answer["words"]
    assert player.answer["seq"] == player.state["seq"]
    _edit(player, seed=1)
    assert player.answer == {}  # another run, another question


def _diamond() -> Saga:
    def act() -> None: ...

    def undo(name):
        def undone() -> None: ...

        undone.__name__ = f"undo_{name}"
        return undone

    return Saga(
        "diamond",
        step(act, undo("a"), name="a"),
        step(act, undo("b"), name="b", after="a"),
        step(act, undo("c"), name="c", after="a"),
        pivot(act, name="d", after=("b", "c")),
    )


def test_concurrent_compensations_may_be_guessed_in_any_order():
    player = SagaPlayer(_diamond(), scenario=Scenario().fail("d"))
    assert player.score(["b", "c", "a"]).right
    assert player.score(["undo_c", "undo_b", "undo_a"]).right
    assert not player.score(["a", "b", "c"]).right
    assert not player.score(["b", "c"]).right
    assert not player.score(["b", "b", "c", "a"]).right
    score = player.score(["b", "a", "c"])
    assert not score.right
    assert score.any_order == (("c", "b"),)
    told = "undo_c and undo_b in any order, then undo_a"
    assert str(score) == f"'undo_c' comes before 'undo_a'; {told}"


def test_where_nothing_is_compensated_the_empty_guess_is_right():
    score = SagaPlayer(_diamond()).score([])
    assert score.right
    assert score.words == "right: nothing is compensated"


def test_compensations_inside_other_sagas_are_part_of_the_question():
    def act() -> None: ...

    inner = Saga("inner", step(act, act, name="x"), step(act, act, name="y"))
    saga = Saga("outer", step(act, act, name="a"), sub_saga(inner, name="b"), step(act, name="c"))
    player = SagaPlayer(saga, scenario=Scenario().fail("c"))
    assert player.score(["b/y", "b/x", "a"]).right
    assert not player.score(["b/x", "b/y", "a"]).right
    assert not player.score(["a", "b/y", "b/x"]).right


def test_a_guess_that_names_several_steps_is_refused_with_its_cure():
    def act() -> None: ...

    def undo() -> None: ...

    saga = Saga("s", step(act, undo, name="a"), step(act, undo, name="b"))
    with pytest.raises(SagaError, match="'undo' undoes several steps: a, b; name the step"):
        SagaPlayer(saga).score(["undo"])


def test_secrets_are_not_in_its_state_and_stay_as_they_were():
    seen = []

    def pay(ctx):
        seen.append(ctx.input["card_number"])
        raise ValueError(f"card {ctx.input['card_number']}")

    saga = Saga(
        "pay",
        await_event("approved", name="wait"),
        step(pay, name="pay"),
        redact=["card_number"],
    )
    given = {"card_number": "4111 1111", "amount": 3}
    arrives = Scenario().signal("approved", {"card_number": "5222 2222"})
    player = SagaPlayer(saga, given, scenario=arrives)
    everything = json.dumps([player.state, player._repr_mimebundle_()[0], repr(player)])
    assert "4111" not in everything
    assert "5222" not in everything
    changed = json.loads(player.state["input"]) | {"amount": 4}
    _edit(player, input=json.dumps(changed))
    assert player.execution.events[0].input == {"card_number": "4111 1111", "amount": 4}
    _edit(player, scenario=player.state["yaml"])
    assert player.state["said"] is None
    assert player.scenario.interventions[0].payload == {"card_number": "5222 2222"}
    assert seen == ["4111 1111"] * len(seen)


@dataclass
class Order:
    id: int
    lines: list[int]


def test_a_typed_input_is_edited_as_json():
    saga = Saga("s", step(lambda ctx: ctx.input.id, name="a"), input=Order)
    player = SagaPlayer(saga, Order(1, [2]))
    _edit(player, input='{"id": 5, "lines": []}')
    assert player.execution.results == {"a": 5}
    assert "$.id" in _edit(player, input='{"id": "x", "lines": []}')["said"]["text"]


def test_what_is_no_saga_is_refused_with_its_cure():
    with pytest.raises(DefinitionError, match=r"of a SagaBuilder give \.build\(\)"):
        SagaPlayer(SagaBuilder("s"))


def test_async_actions_are_played_too():
    async def act(ctx):
        return 1

    assert SagaPlayer(Saga("s", step(act, name="a"))).execution.status == "completed"
