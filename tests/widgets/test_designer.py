"""The designer, as the kernel has it: each edit of the page, and what it makes of it."""

from __future__ import annotations

import copy
import functools
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from language import Books, built, worlds
from sagas import sagas

from sagakit import (
    DefinitionError,
    Retry,
    Saga,
    SagaBuilder,
    Simulated,
    await_event,
    for_each,
    pivot,
    step,
    sub_saga,
)
from sagakit.connectors import Cel, Http
from sagakit.widgets import SagaDesigner

DATA = Path(__file__).parents[2] / "data" / "sagas"
SAGAS = sorted(DATA.glob("*.yaml"))
an_example = pytest.mark.parametrize("path", SAGAS, ids=lambda path: path.stem)


class Order(msgspec.Struct):
    customer: str


class Payment(msgspec.Struct):
    amount: int


def create_order(ctx: Any) -> None:
    """Write the order down.

    As pending.
    """


def cancel_order(ctx: Any) -> None: ...


def confirm(ctx: Any) -> None: ...


def some(count: int = 3) -> Saga:
    """A saga of a few steps one after another."""
    return Saga("some", *(step(Simulated(f"s{n}"), Simulated(f"u{n}")) for n in range(count)))


def errors(designer: SagaDesigner) -> list[dict[str, Any]]:
    return [problem for problem in designer.problems if problem["level"] == "error"]


# -- the same saga in every form ------------------------------------------------------------


@an_example
def test_an_example_is_the_same_saga_in_every_form(path: Path, page: Any) -> None:
    saga = Saga.from_yaml(path)
    designer = SagaDesigner(saga)
    assert designer.saga == saga
    page(designer).edit(draft=designer.state["draft"])
    assert designer.saga == saga
    designer.yaml = path.read_text("utf-8")
    assert designer.saga == saga
    page(designer).edit(draft=designer.state["draft"])
    assert designer.saga == saga
    assert Saga.from_yaml(designer.yaml) == saga


@given(sagas())
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_saga_of_any_shape_comes_back_from_the_canvas_as_it_was(page: Any, saga: Saga) -> None:
    designer = SagaDesigner(saga)
    assert designer.saga == saga
    page(designer).edit(draft=designer.state["draft"])
    assert designer.saga == saga


@given(worlds())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_real_callables_come_back_as_they_are(page: Any, world: Any) -> None:
    saga, _ = built(world, Books())
    designer = SagaDesigner(saga)
    assert designer.saga == saga
    page(designer).edit(draft=designer.state["draft"])
    assert designer.saga == saga
    designer.yaml = designer.yaml
    assert designer.saga == saga


def test_callables_without_a_name_and_of_one_name_come_back_too(page: Any) -> None:
    twice = [functools.partial(create_order), functools.partial(create_order)]
    saga = Saga(
        "odd",
        step(twice[0], lambda ctx: 1, name="one"),
        step(twice[1], name="two", when=lambda ctx: True),
        step(Simulated("opaque", result=Order("ALFKI")), name="three"),
    )
    designer = SagaDesigner(saga)
    assert designer.saga == saga
    page(designer).edit(draft=designer.state["draft"])
    assert designer.saga == saga
    assert {"create_order", "create_order_2", "one_compensation"} <= set(
        designer.catalogue["actions"]
    )


def test_types_of_inputs_come_back_at_any_depth(page: Any) -> None:
    inner = Saga("payment", step(Simulated("pay")), input=Payment)
    saga = Saga("order", step(create_order), sub_saga(inner), input=Order)
    designer = SagaDesigner(saga)
    page(designer).edit(draft=designer.state["draft"])
    assert designer.saga == saga
    draft = designer.state["draft"]
    page(designer).edit(draft={**draft, "input": {"type": "object"}})
    assert designer.saga is not None
    assert designer.saga.input_schema == {"type": "object"}


def test_what_json_cannot_hold_comes_back_from_the_page(page: Any) -> None:
    designer = SagaDesigner()
    designer.yaml = (
        "saga: s\nsteps:\n- step: a\n  action: {result: 2026-11-30}\n"
        '- step: b\n  action: {result: {n: 9007199254740993, m: {"!!yaml": x}}}\n'
    )
    saga = designer.saga
    assert saga is not None, designer.problems
    draft = copy.deepcopy(designer.state["draft"])
    result = draft["steps"][1]["action"]["result"]
    assert result["n"] == {"!!yaml": "9007199254740993"}  # JavaScript would round it
    draft["steps"][1]["description"] = "changed"
    draft["steps"][0]["description"] = "changed"
    page(designer).edit(draft=draft)
    assert designer.saga is not None
    assert [one.action for one in designer.saga.steps] == [one.action for one in saga.steps]


def test_the_saga_can_be_set_and_gives_text_and_python(page: Any) -> None:
    designer = SagaDesigner()
    wire = page(designer)
    assert len(wire.got) == 1
    designer.saga = some()
    sent = wire.got
    assert len(sent) == 1
    assert sent[0]["state"]["state"]["seq"] == 0
    assert designer.saga == some()
    assert designer.yaml == some().to_yaml()
    assert "Simulated" in designer.python
    with pytest.raises(DefinitionError, match="SagaBuilder"):
        designer.saga = SagaBuilder("s")  # type: ignore[assignment]


# -- edits of the page ----------------------------------------------------------------------


def test_a_saga_drawn_from_nothing_equals_the_same_one_in_code(page: Any) -> None:
    designer = SagaDesigner()
    wire = page(designer)
    assert designer.saga is None
    draft: dict[str, Any] = {"saga": "checkout", "steps": []}
    for name, after, more in [
        ("create_order", [], {"compensation": "cancel_order"}),
        ("charge", ["create_order"], {"compensation": "refund", "retry": {"attempts": 3}}),
        ("reserve", ["create_order"], {"compensation": "release"}),
        ("confirm", ["charge", "reserve"], {"pivot": True}),
    ]:
        draft["steps"].append({"step": name, "after": after, **more})
        wire.edit(draft=copy.deepcopy(draft))
        assert errors(designer) == []
    sim = Simulated
    assert designer.saga == Saga(
        "checkout",
        step(sim("create_order"), sim("cancel_order")),
        step(sim("charge"), sim("refund"), retry=Retry(3)),
        step(sim("reserve"), sim("release"), after="create_order"),
        pivot(sim("confirm"), after=("charge", "reserve")),
    )
    assert "after" not in designer.yaml.split("- step: charge")[1].split("- step")[0]


def test_a_text_that_is_edited_changes_the_draft(page: Any) -> None:
    designer = SagaDesigner(some())
    state = page(designer).edit(text="saga: new\nsteps:\n- step: a\n- step: b\n  pivot: true\n")
    assert state["draft"] == {
        "saga": "new",
        "steps": [{"step": "a", "after": []}, {"step": "b", "after": ["a"], "pivot": True}],
    }
    assert state["kinds"] == {"a": "plain", "b": "pivot"}
    assert state["said"] is None


def test_what_a_step_comes_after_stands_in_one_order(page: Any) -> None:
    designer = SagaDesigner()
    text = (
        "saga: s\nsteps:\n- step: way\n  choice: by\n- step: b\n  branch: [way, x]\n"
        "- step: a\n  branch: [way, y]\n- step: z\n"
    )
    wire = page(designer)
    assert wire.edit(text=text)["draft"]["steps"][3]["after"] == ["a", "b"]
    draft = copy.deepcopy(designer.state["draft"])
    draft["steps"][3]["after"] = ["b", "a", "b"]
    assert wire.edit(draft=draft)["text"] == text
    assert designer.state["draft"]["steps"][3]["after"] == ["a", "b"]


def test_the_same_gesture_may_come_twice(page: Any) -> None:
    designer = SagaDesigner(some())
    for text in ("saga: a\nsteps:\n- step: a\n", "saga: a\nsteps:\n- step: a\n"):
        page(designer).edit(text=text)
        designer.saga = some()


def test_positions_change_nothing_else(page: Any) -> None:
    designer = SagaDesigner()
    designer.yaml = "# mine\nsaga: s\nsteps:\n- step: a\n"
    before = dict(designer.state)
    state = page(designer).edit(positions={"a": [10, 20]})
    assert state == {**before, "seq": 1, "positions": {"a": [10, 20]}}


def test_kinds_are_told_of_steps_within_steps_too(page: Any) -> None:
    inner = Saga("payment", step(Simulated("authorize"), Simulated("void")))
    saga = Saga(
        "s",
        sub_saga(inner),
        for_each("pick", Simulated("items"), inner),
        step(Simulated("look"), read=True),
        pivot(Simulated("go")),
        sub_saga(inner, name="again"),
    )
    assert SagaDesigner(saga).state["kinds"] == {
        "payment": "compensatable",
        "payment/authorize": "compensatable",
        "pick": "compensatable",
        "pick/payment": "compensatable",
        "pick/payment/authorize": "compensatable",
        "look": "plain",
        "go": "pivot",
        "again": "retriable",
        "again/authorize": "compensatable",
    }


def test_two_designers_do_not_disturb_each_other(page: Any) -> None:
    one, two = SagaDesigner(some(1)), SagaDesigner(some(2), actions=[create_order])
    page(one).edit(text="saga: one\nsteps:\n- step: a\n")
    assert two.saga == some(2)
    assert one.catalogue["actions"] == []
    assert page(one).got == []
    page(two).edit(text="saga: two\nsteps:\n- step: b\n")
    assert page(one).got == []


def test_200_steps_are_answered_while_one_waits(page: Any) -> None:
    steps = [
        step(
            Simulated(f"s{n}"),
            Simulated(f"undo{n}"),
            after=f"s{n - 2}" if n > 1 else (),
            retry=Retry(3, wait=0.5),
            service="bank",
        )
        for n in range(200)
    ]
    designer = SagaDesigner(Saga("large", *steps))
    wire = page(designer)
    taken = []
    for attempts in (2, 4, 5):
        draft = copy.deepcopy(designer.state["draft"])
        draft["steps"][100]["retry"]["attempts"] = attempts
        begun = time.process_time()
        wire.edit(draft=draft)
        taken.append(time.process_time() - begun)
    assert designer.saga is not None
    assert designer.saga["s100"].retry == Retry(5, wait=0.5)
    assert min(taken) < 0.5  # seconds of work; about 0.06 on a machine that does nothing else


# -- problems -------------------------------------------------------------------------------

WRONG: dict[str, tuple[Any, list[Any], str]] = {
    "an empty name": (lambda steps: steps[1].update(step=""), ["steps", 1], "empty name"),
    "a name twice": (lambda steps: steps[1].update(step="s0"), ["steps", 1], "more than once"),
    "an unknown step": (
        lambda steps: steps[1].update(after=["s9"]),
        ["steps", 1, "after"],
        "does not exist",
    ),
    "a cycle": (lambda steps: steps[0].update(after=["s2"]), ["steps", 0, "after"], "cycle"),
    "attempts of 0": (
        lambda steps: steps[1].update(retry={"attempts": 0}),
        ["steps", 1, "retry", "attempts"],
        "attempts is 0",
    ),
    "a wrong type": (
        lambda steps: steps[1].update(retry={"attempts": "many"}),
        ["steps", 1, "retry", "attempts"],
        "expected `int`",
    ),
    "an unknown option": (
        lambda steps: steps[1].update(pivto=True),
        ["steps", 1, "pivto"],
        "pivot",
    ),
}


@pytest.mark.parametrize(("change", "path", "words"), WRONG.values(), ids=WRONG)
def test_a_draft_that_is_no_saga_says_where_and_keeps_the_last_saga(
    change: Any, path: list[Any], words: str, page: Any
) -> None:
    designer = SagaDesigner(some())
    draft = copy.deepcopy(designer.state["draft"])
    change(draft["steps"])
    state = page(designer).edit(draft=draft)
    assert designer.saga == some()
    found = [problem for problem in errors(designer) if problem["path"] == path]
    assert found, designer.problems
    assert any(words in f"{one['text']} {one.get('cure')}" for one in found)
    lines = designer.yaml.splitlines()
    last = str(path[-1]) if isinstance(path[-1], str) else "step"
    assert last in lines[found[0]["line"] - 1]
    assert state["draft"] == draft
    assert not any(problem["text"].startswith("line") for problem in state["problems"])


def test_a_problem_inside_a_saga_inside_leads_there(page: Any) -> None:
    designer = SagaDesigner(Saga("o", sub_saga(some()), for_each("all", Simulated("i"), some())))
    draft = copy.deepcopy(designer.state["draft"])
    draft["steps"][0]["saga"]["steps"][1]["timeout"] = -1
    draft["steps"][1]["for_each"]["step"]["saga"]["steps"][2]["after"] = ["nothing"]
    page(designer).edit(draft=draft)
    assert [problem["path"] for problem in errors(designer)] == [
        ["steps", 0, "saga", "steps", 1, "timeout"],
        ["steps", 1, "for_each", "step", "saga", "steps", 2, "after"],
    ]


def test_what_check_finds_leads_to_the_step_and_the_option() -> None:
    text = """saga: s
version: "1"
steps:
- step: a
  compensation: undo
  timeout: 1
  compensation_timeout: 1
  retry:
    attempts: 3
"""
    designer = SagaDesigner()
    designer.yaml = text
    (found,) = [one for one in designer.problems if one["rule"] == "SAGA203"]
    assert found["level"] == "warning"
    assert found["path"] == ["steps", 0, "retry"]
    assert found["line"] == 8
    assert "idempotent" in found["cure"]
    assert errors(designer) == []


def test_every_problem_of_every_mistake_has_a_path_that_the_draft_has(page: Any) -> None:
    for path in SAGAS:
        designer = SagaDesigner(Saga.from_yaml(path))
        for problem in designer.problems:
            part: Any = designer.state["draft"]
            for key in problem["path"][:-1]:
                part = part[key]
            assert problem["line"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("saga: s\nsteps:\n- step: a\n  retry: {attempts: 3\n", 5),
        ("saga: s\nsteps:\n\t- step: a\n", 3),
        ("- a\n- b\n", None),
        ("", None),
        ("saga: s\nsteps: none\n", 2),
        ("saga: s\nsteps:\n- just text\n", 3),
        ("saga: s\nsteps:\n- action: a\n", 3),
        ("saga: s\nsteps:\n- step: a\n  saga: text\n", 4),
        ("saga: s\nsteps:\n- step: a\n  action: !!python/none x\n", 4),
        ("saga: s\nsteps: &a\n- step: x\n  for_each: {items: i, step: *a}\n", 2),
    ],
)
def test_a_text_that_shows_no_steps_is_kept_and_says_why(
    text: str, line: int | None, page: Any
) -> None:
    designer = SagaDesigner(some())
    state = page(designer).edit(text=text)
    assert state["draft"] is None
    assert state["text"] == text
    assert designer.saga == some()
    (first, *_) = errors(designer)
    assert first.get("line") == line
    state = page(designer).edit(text=some().to_yaml())
    assert errors(designer) == []


def test_a_text_that_is_wrong_still_shows_its_steps(page: Any) -> None:
    designer = SagaDesigner()
    state = page(designer).edit(
        text="saga: s\ncolour: red\nsteps:\n- step: a\n  retry: {attempts: many, 'on': [E]}\n"
    )
    assert state["draft"] == {
        "saga": "s",
        "colour": "red",
        "steps": [{"step": "a", "retry": {"attempts": "many", "on": ["E"]}, "after": []}],
    }
    assert {tuple(problem["path"]) for problem in errors(designer)} == {
        ("colour",),
        ("steps", 0, "retry", "attempts"),
    }


@pytest.mark.parametrize(
    "draft", [{}, {"saga": "s"}, {"saga": "s", "steps": [{}]}, {"saga": "s", "steps": [1]}, []]
)
def test_what_is_no_draft_is_left_and_said(draft: Any, page: Any) -> None:
    designer = SagaDesigner(some())
    state = page(designer).edit(draft=draft)
    assert state["said"]["level"] == "error"
    assert state["draft"]["saga"] == "some"
    assert designer.saga == some()


def test_an_empty_canvas_asks_for_steps() -> None:
    designer = SagaDesigner()
    assert designer.saga is None
    (problem,) = designer.problems
    assert problem["cure"] == "give at least one"
    assert problem["path"] == ["steps"]


def test_connectors_and_expressions_come_back_and_their_problems_lead_to_them(page: Any) -> None:
    saga = Saga(
        "s",
        step(Http("https://bank.example/pay", method="POST"), name="pay", when=Cel("input.n > 1")),
        await_event("paid", timeout=Cel("input.days * 86400.0")),
        step(create_order),
    )
    designer = SagaDesigner(saga)
    assert designer.saga == saga
    draft = copy.deepcopy(designer.state["draft"])
    page(designer).edit(draft=draft)
    assert designer.saga == saga
    draft["steps"][1]["description"] = ""
    draft["steps"][2]["pivot"] = False
    page(designer).edit(draft=draft, positions={})
    assert designer.yaml == SagaDesigner(saga).yaml  # what is as by default is not written
    draft["steps"][0]["action"]["http"]["methud"] = "PUT"
    draft["steps"][0]["when"] = {"cel": "input.n >"}
    draft["steps"][1]["wait"]["on_timeout"] = "sleep"
    page(designer).edit(draft=draft)
    assert {tuple(one["path"]) for one in errors(designer)} == {
        ("steps", 0, "action", "http", "methud"),
        ("steps", 0, "when", "cel"),
        ("steps", 1, "wait", "on_timeout"),
    }


# -- actions --------------------------------------------------------------------------------


def test_a_registered_function_is_what_its_name_stands_for(page: Any) -> None:
    designer = SagaDesigner()
    page(designer).edit(text="saga: s\nsteps:\n- step: create_order\n- step: other\n")
    assert designer.saga == Saga("s", step(Simulated("create_order")), step(Simulated("other")))

    @designer.action
    def other(ctx: Any) -> None: ...

    designer.register(create_order, compensation=cancel_order)
    assert designer.saga == Saga("s", step(create_order), step(other))
    assert designer.catalogue["actions"] == ["cancel_order", "create_order", "other"]


def test_running_a_cell_again_replaces_its_function() -> None:
    designer = SagaDesigner()
    designer.yaml = "saga: s\nsteps:\n- step: pay\n"
    made = []
    for _ in range(2):

        @designer.action(compensation=cancel_order)
        def pay(ctx: Any) -> None: ...

        made.append(pay)
    assert designer.saga == Saga("s", step(made[1]))


def test_a_name_that_nobody_registered_is_simulated_and_warned_of(page: Any) -> None:
    designer = SagaDesigner(actions=[create_order, cancel_order])
    page(designer).edit(
        text="saga: s\nsteps:\n- step: create_order\n  compensation: cancel_ordre\n- step: new\n"
    )
    assert designer.saga == Saga(
        "s", step(create_order, Simulated("cancel_ordre")), step(Simulated("new"))
    )
    warned = [one for one in designer.problems if "registered" in one["text"]]
    assert [(one["path"], one["level"], one["cure"]) for one in warned] == [
        (["steps", 0, "compensation"], "warning", "did you mean 'cancel_order'?"),
        (["steps", 1], "warning", "register it; until then it is simulated"),
    ]


def test_a_simulated_step_is_not_taken_for_the_function_of_its_name(page: Any) -> None:
    designer = SagaDesigner(actions=[create_order])
    saga = Saga("s", step(Simulated("create_order")), step(Simulated("b")))
    designer.saga = saga
    assert designer.saga == saga
    page(designer).edit(draft=designer.state["draft"])
    assert designer.saga == saga


def test_an_action_without_a_name_is_refused() -> None:
    with pytest.raises(DefinitionError, match="use def"):
        SagaDesigner(actions=[lambda ctx: 1])
    with pytest.raises(DefinitionError, match="cannot be called"):
        SagaDesigner().register("create_order")  # type: ignore[arg-type]


# -- the catalogue --------------------------------------------------------------------------


def test_the_palette_has_what_can_be_drawn_and_each_of_it_can(page: Any) -> None:
    designer = SagaDesigner(Saga("s", step(create_order, cancel_order), pivot(confirm)))
    palette = designer.catalogue["palette"]
    steps = [entry["label"] for entry in palette if entry["group"] == "Steps"]
    assert steps == ["Step", "Pivot", "Await event", "Timer", "Choice", "Sub-saga", "For each"]
    actions = {entry["label"]: entry for entry in palette if entry["group"] == "Actions"}
    assert actions.keys() == {"create_order", "confirm"}
    assert actions["create_order"]["title"] == "Write the order down."
    assert actions["create_order"]["step"] == {
        "step": "create_order",
        "compensation": "cancel_order",
    }
    assert {entry["label"] for entry in palette if entry["group"] == "Sagas"} >= {"checkout"}
    for entry in palette:
        draft = {"saga": "s", "steps": [{**entry["step"], "after": []}]}
        page(designer).edit(draft=draft)
        # what only its neighbours can make right
        allowed = ("chooses between no branches", "has the pivot")
        assert all(any(part in one["text"] for part in allowed) for one in errors(designer))


def test_the_schema_is_sent_with_its_descriptions() -> None:
    schema = SagaDesigner().catalogue["schema"]
    assert "branch" in schema["$defs"]["StepSpec"]["properties"]["choice"]["description"]


# -- files ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_saga_is_saved_and_loaded_by_the_page(folder: Path, page: Any) -> None:
    designer = SagaDesigner(some())
    wire = page(designer)
    sent = wire.message(save="data/sagas/some.yaml")
    assert sent["state"]["said"] == {"text": "Saved data/sagas/some.yaml", "level": "info"}
    assert sent["catalogue"]["files"] == ["data/sagas/some.yaml"]
    assert Saga.from_yaml(Path("data/sagas/some.yaml")) == some()
    assert [path.name for path in Path("data/sagas").iterdir()] == ["some.yaml"]
    wire.edit(text="saga: other\nsteps:\n- step: a\n")
    state = wire.edit(load="data/sagas/some.yaml")
    assert state["said"]["text"] == "Loaded data/sagas/some.yaml"
    assert designer.saga == some()


def test_what_is_no_saga_yet_is_saved_as_it_is_and_says_so(folder: Path) -> None:
    designer = SagaDesigner()
    designer.yaml = "saga: s\nsteps: [\n"
    designer.edit = {"seq": 1, "save": "draft.yaml"}
    assert designer.state["said"]["text"] == "Saved draft.yaml; it cannot run yet: 1 error"
    assert Path("draft.yaml").read_text("utf-8") == designer.yaml


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"save": "notes.txt"}, "notes.txt was not saved: 'notes.txt' is no YAML file"),
        ({"save": "file/x.yaml"}, "file/x.yaml was not saved: "),
        ({"load": "nowhere.yaml"}, "nowhere.yaml was not loaded: no such file or directory"),
        ({"load": "file"}, "file was not loaded: 'file' is no YAML file"),
        ({"load": "latin.yaml"}, "latin.yaml was not loaded: it is not UTF-8 text (byte 6)"),
    ],
)
def test_a_file_that_cannot_be_used_is_said_and_nothing_is_lost(
    edit: dict[str, str], words: str, folder: Path
) -> None:
    Path("file").write_text("mine")
    Path("latin.yaml").write_bytes(b"saga: \xe9\n")
    designer = SagaDesigner(some())
    designer.edit = {"seq": 1, **edit}
    said = designer.state["said"]
    assert said["level"] == "error"
    assert said["text"].startswith(words)
    assert designer.saga == some()
    assert sorted(path.name for path in folder.iterdir()) == ["file", "latin.yaml"]


def test_save_and_load_raise_where_a_person_calls_them(folder: Path) -> None:
    designer = SagaDesigner(some())
    assert designer.save("mine.yaml") == Path("mine.yaml")
    designer.yaml = "saga: s\nsteps:\n- step: a\n"
    designer.load("mine.yaml")
    assert designer.saga == some()
    with pytest.raises(ValueError, match=r"ends in \.yaml"):
        designer.save("mine.txt")
    with pytest.raises(FileNotFoundError):
        designer.load("nowhere.yaml")


def test_a_save_keeps_who_may_read_the_file_and_where_a_link_leads(folder: Path) -> None:
    designer = SagaDesigner(some())
    real = designer.save("real.yaml")
    real.chmod(0o640)
    Path("link.yaml").symlink_to(real)
    designer.yaml = "saga: s\nsteps:\n- step: a\n"
    designer.save("link.yaml")
    assert Path("link.yaml").is_symlink()
    assert real.read_text("utf-8") == designer.yaml
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_save_that_fails_leaves_the_old_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    designer = SagaDesigner(some())
    designer.save("mine.yaml")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("no space")))
    designer.yaml = "saga: s\nsteps:\n- step: a\n"
    with pytest.raises(OSError, match="no space"):
        designer.save("mine.yaml")
    assert [path.name for path in folder.iterdir()] == ["mine.yaml"]
    assert Saga.from_yaml(Path("mine.yaml")) == some()


# -- what is shown --------------------------------------------------------------------------


def test_the_repr_is_one_line_and_the_same_each_time() -> None:
    assert repr(SagaDesigner(some(1))) == "<SagaDesigner 'some': 1 step>"
    designer = SagaDesigner(some(3))
    designer.yaml = "saga: s\nsteps:\n- step: a\n- step: a\n"
    assert repr(designer) == "<SagaDesigner 's': 2 steps, 1 error>"
    designer.yaml = "saga: ["
    assert repr(designer) == "<SagaDesigner: 1 error>"


def test_beside_the_widget_stands_a_picture_for_those_who_only_read() -> None:
    data, _ = SagaDesigner(some())._repr_mimebundle_()
    assert data["text/plain"] == "<SagaDesigner 'some': 3 steps>"
    assert data["text/html"].startswith('<img src="data:image/svg+xml;base64,')
    assert ' alt="' in data["text/html"]
    assert "model_id" in data["application/vnd.jupyter.widget-view+json"]
    assert "text/html" not in SagaDesigner()._repr_mimebundle_()[0]


def test_the_page_is_sent_once_and_holds_no_address() -> None:
    designer = SagaDesigner()
    assert "export" in designer._esm
    assert designer._css


def test_widgets_are_imported_in_no_time_and_bring_nothing_heavy() -> None:
    code = "import sys, sagakit.widgets; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"pandas", "matplotlib", "networkx", "sqlalchemy", "jsonschema", "sagakit.lab"}
    assert heavy & set(done.stdout.split()) == set()


# -- the data model -------------------------------------------------------------------------

MODEL: dict[str, Any] = {
    "input": "Order",
    "entities": [
        {
            "name": "Order",
            "service": "order",
            "fields": [{"name": "number", "type": "integer", "key": True}],
            "relations": [],
        }
    ],
}


def test_the_entity_that_is_the_input_gives_the_saga_its_schema(page: Any) -> None:
    designer = SagaDesigner(some())
    wire = page(designer)
    state = wire.edit(model=MODEL)
    assert designer.saga is not None
    assert designer.saga.input_schema == designer.data.input_schema()
    assert "number" in designer.yaml
    assert state["data"]["model"] == MODEL
    assert state["data"]["picture"].startswith("<svg")
    assert "class Order" in state["data"]["python"]
    assert state["data"]["problems"] == []
    wire.edit(model={**MODEL, "input": None} | {"entities": MODEL["entities"]})
    assert designer.saga == some()


def test_a_gesture_may_change_the_draft_and_the_model_at_once(page: Any) -> None:
    designer = SagaDesigner()
    designer.yaml = "# mine\nsaga: s\nsteps:\n# first\n- step: a\n- step: b\n"
    draft = copy.deepcopy(designer.state["draft"])
    draft["steps"].insert(0, {"step": "new", "after": []})
    state = page(designer).edit(draft=draft, model=MODEL, positions={"a": [1, 2]})
    assert state["text"].startswith("# mine\nsaga: s\ninput:\n")
    assert "- step: new\n# first\n- step: a\n" in state["text"]
    assert [item["step"] for item in state["draft"]["steps"]] == ["new", "a", "b"]
    assert state["positions"] == {"a": [1, 2]}
    assert designer.saga is not None
    assert designer.saga.input_schema is not None


def test_a_model_that_is_wrong_says_where_and_leaves_the_saga(page: Any) -> None:
    designer = SagaDesigner(some(), data=MODEL)
    assert designer.saga is not None
    schema = designer.saga.input_schema
    wrong = copy.deepcopy(MODEL)
    wrong["entities"][0]["fields"][0]["type"] = "txt"
    state = page(designer).edit(model=wrong)
    (problem,) = state["data"]["problems"]
    assert problem["path"] == ["entities", 0, "fields", 0, "type"]
    assert state["data"]["model"] == wrong
    assert designer.saga.input_schema == schema
    state = page(designer).edit(model={"entities": "none"})
    assert state["data"]["problems"][0]["level"] == "error"
    assert state["data"]["picture"] == ""


def test_a_model_leaves_a_schema_that_is_not_its_own(page: Any) -> None:
    saga = Saga("s", step(create_order), input={"type": "object"})
    designer = SagaDesigner(saga)
    page(designer).edit(model={"entities": MODEL["entities"]})
    assert designer.saga == saga


def test_the_field_types_are_those_of_entities() -> None:
    assert "money" in SagaDesigner().catalogue["field_types"]
