"""A scenario in its three forms: built, as YAML, and as the expression that its repr is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sagakit import Saga, Scenario, simulate, step
from sagakit.errors import ScenarioError
from sagakit.scenario.form import json_schema

SCHEMA = Path(__file__).parents[2] / "data" / "scenario.schema.json"

BUILT = (
    Scenario(name="bad-day", description="All at once: a “bad” day.")
    .fail("charge")
    .fail("charge", 2)
    .fail("charge", first=3)
    .lose_reply("pay/authorise", 1)
    .time_out("reserve", side="compensation")
    .slow("reserve", 1.5, 1)
    .repeat("charge", first=2, side="compensation")
    .deliver_late("reserve")
    .reorder("reserve", 1)
    .fail_compensation("charge", first=2)
    .trip_breaker("charge", 1)
    .drop_signal("cleared")
    .signal("cleared", {"by": "ann", "pieces": [1, None, True]}, at=5, correlation="c", to="pay")
    .cancel(60, by="bob", why="no money")
    .crash(3)
    .crash(5, written=False, to="pay")
)

TEXT = """\
scenario: bad-day
description: "All at once: a “bad” day."
faults:
- {fault: fail, step: charge}
- {fault: fail, step: charge, attempt: 2}
- {fault: fail, step: charge, first: 3}
- {fault: lose reply, step: pay/authorise, attempt: 1}
- {fault: time out, step: reserve, side: compensation}
- {fault: slow, step: reserve, seconds: 1.5, attempt: 1}
- {fault: repeat, step: charge, first: 2, side: compensation}
- {fault: late, step: reserve}
- {fault: reorder, step: reserve, attempt: 1}
- {fault: fail, step: charge, side: compensation, first: 2}
- {fault: trip, step: charge, attempt: 1}
- {fault: drop, step: cleared}
interventions:
- {signal: cleared, payload: {by: ann, pieces: [1, null, true]}, at: 5, correlation: c, to: pay}
- {cancel: 60, by: bob, why: no money}
crashes:
- {crash: 3}
- {crash: 5, written: false, to: pay}
"""


def test_the_builder_and_yaml_say_the_same() -> None:
    assert Scenario.from_yaml(TEXT) == BUILT
    assert hash(Scenario.from_yaml("scenario: a\nfaults: [{fault: fail, step: b}]")) == hash(
        Scenario(name="a").fail("b")
    )


def test_what_is_written_is_read_back_equal() -> None:
    assert Scenario.from_yaml(BUILT.to_yaml()) == BUILT
    assert Scenario.from_yaml(Scenario().to_yaml()) == Scenario()


def test_defaults_are_left_out_of_what_is_written() -> None:
    scenario = Scenario().fail("a").slow("b", 2).signal("c").cancel().crash(1)
    assert scenario.to_yaml() == (
        "scenario: ''\nfaults:\n- fault: fail\n  step: a\n- fault: slow\n  step: b\n"
        "  seconds: 2.0\ninterventions:\n- signal: c\n- cancel: 0.0\ncrashes:\n- crash: 1\n"
    )


def test_its_repr_is_the_expression_that_makes_it_again_on_one_line() -> None:
    assert repr(Scenario().fail("x", 1).crash(4, written=False)) == (
        'Scenario().fail("x", 1).crash(4, written=False)'
    )
    assert "\n" not in repr(BUILT)
    assert eval(repr(BUILT), {"Scenario": Scenario}) == BUILT  # noqa: S307


WORDS = st.text(min_size=1, max_size=8).map(lambda text: f"s{text}")
ATTEMPTS: Any = st.one_of(
    st.just({}),
    st.builds(lambda n: {"attempt": n}, st.integers(1, 9)),
    st.builds(lambda n: {"first": n}, st.integers(1, 9)),
)
SIDES: Any = st.sampled_from([{}, {"side": "compensation"}])
SECONDS = st.floats(0, 1e6, allow_nan=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@st.composite
def scenarios(draw: Any) -> Scenario:
    scenario = Scenario(name=draw(st.text(max_size=5)), description=draw(st.text(max_size=5)))
    for kind in draw(st.lists(st.sampled_from(["fail", "lose_reply", "slow", "late", "other"]))):
        name, when = draw(WORDS), draw(ATTEMPTS)
        if kind == "slow":
            scenario = scenario.slow(name, draw(SECONDS.filter(bool)), **when, **draw(SIDES))
        elif kind == "late":
            scenario = draw(st.sampled_from([scenario.deliver_late, scenario.reorder]))(
                name, **when
            )
        elif kind == "lose_reply":
            scenario = draw(
                st.sampled_from([scenario.lose_reply, scenario.repeat, scenario.trip_breaker])
            )(name, **when, **draw(SIDES))
        elif kind == "fail":
            scenario = draw(st.sampled_from([scenario.fail, scenario.fail_compensation]))(
                name, **when
            )
        else:
            scenario = scenario.signal(
                name,
                draw(PLAIN),
                at=draw(SECONDS),
                correlation=draw(st.none() | WORDS),
                to=draw(st.sampled_from(["", "a/b"])),
            )
            scenario = scenario.crash(draw(st.integers(1, 99)), written=draw(st.booleans()))
    return scenario


@given(scenarios())
def test_every_form_of_any_scenario_gives_an_equal_one(scenario: Scenario) -> None:
    assert Scenario.from_yaml(scenario.to_yaml()) == scenario
    assert eval(repr(scenario), {"Scenario": Scenario}) == scenario  # noqa: S307


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(TEXT, "utf-8")
    assert Scenario.from_yaml(path) == Scenario.from_yaml(str(path)) == BUILT
    with pytest.raises(FileNotFoundError):
        Scenario.from_yaml(os.path.join(tmp_path, "none.yaml"))
    path.write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(ScenarioError, match=r"bad\.yaml: is not UTF-8 text"):
        Scenario.from_yaml(path)


BAD = {
    "scenario: a\nfaults:\n- {fault: fial, step: b}\n": "line 3: fault 'fial', 'fault': invalid"
    r" enum value 'fial' \(did you mean 'fail'\?\)",
    "scenario: a\nfaults:\n- {fault: fail, step: b, side: undo}\n": "invalid enum value 'undo'; "
    "known are action, compensation",
    "scenario: a\nfaults:\n- {fault: slow, step: b}\n": "fault 'slow': 0 s are not slow; give 'sec",
    "scenario: a\nfaults:\n- {fault: fail, stp: b}\n": "line 3: fault 'fail' has an unknown key"
    r" 'stp' \(did you mean 'step'\?\)",
    "scenario: a\nfaults:\n- {fault: fail}\n": "line 3: fault 'fail' has no 'step'; add 'step: …'",
    "scenario: a\nfaults:\n- {step: b}\n": "line 3: fault 1 has no name; add 'fault: NAME'",
    "scenario: a\nfaults:\n- {fault: fail, step: b, attempt: 0}\n": "line 3: fault 'fail': "
    "attempts are counted from 1, this is 0",
    "scenario: a\nfaults:\n- {fault: fail, step: b, attempt: 1, first: 2}\n": "not both",
    "scenario: a\nfaults:\n- {fault: fail, step: b, first: 1}\n": "are attempt 1; say that",
    "scenario: a\nfaults:\n- {fault: fail, step: b, seconds: 3}\n": "only 'slow' takes seconds",
    "scenario: a\nfaults:\n- {fault: slow, step: b, seconds: -3}\n": "give seconds, 0 or more",
    "scenario: a\nfaults:\n- {fault: late, step: b, side: compensation}\n": "name an action",
    "scenario: a\nfaults:\n- {fault: drop, step: b, attempt: 1}\n": "never comes; leave",
    "scenario: a\nfaults: fail\n": "line 2: 'faults' must be a list of '- fault: NAME'",
    "scenario: a\nfaults: [fail]\n": "line 2: fault 1 must be a mapping",
    "scenario: a\ninterventions:\n- {signal: b, at: -1}\n": "line 3: signal 'b': give the seconds",
    "scenario: a\ninterventions:\n- {cancel: soon}\n": "line 3: cancellation 1, 'cancel': expected",
    "scenario: a\ninterventions:\n- {signal: b, payload: 2026-01-01}\n": "line 3: signal 'b': its"
    " payload",
    "scenario: a\ncrashes:\n- crash: 0\n": "line 3: crash '0': event 0: events are counted",
    "faults: []\n": "line 1: the scenario has no name; add 'scenario: NAME'",
    "scenario: a\nfault: []\n": r"line 2: the scenario has an unknown key 'fault' \(did you mean",
    "": "is empty; begin with 'scenario: NAME' and 'faults:'",
    "- a\n": "is not a mapping; begin with 'scenario: NAME'",
    "scenario: [": "is not YAML",
    "scenario: !!python/object:a.b {}\n": "line 1: the tag .* is not allowed",
}


@pytest.mark.parametrize(("text", "said"), BAD.items(), ids=range(len(BAD)))
def test_a_bad_text_is_refused_with_its_line_and_the_cure(text: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said) as caught:
        Scenario.from_yaml(text)
    assert str(caught.value).startswith("the YAML text")


def test_every_problem_of_a_text_is_told_at_once() -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_yaml("scenario: a\nfaults:\n- {fault: x, step: b}\n- {fault: fail}\nwat: 1\n")
    assert str(caught.value).startswith("the YAML text has 3 problems:")


def _validator() -> Any:
    return jsonschema.Draft202012Validator(msgspec.json.decode(SCHEMA.read_bytes()))


def test_the_published_schema_is_current_and_valid() -> None:
    current = msgspec.json.format(msgspec.json.encode(json_schema()), indent=2)
    assert SCHEMA.read_bytes() == current + b"\n", (
        "write it anew: python -c 'import msgspec, sagakit.scenario.form as s; "
        "print(msgspec.json.format(msgspec.json.encode(s.json_schema()), indent=2).decode())'"
        " > data/scenario.schema.json"
    )
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_schema_takes_what_the_reader_takes() -> None:
    _validator().validate(yaml.safe_load(TEXT))
    _validator().validate(yaml.safe_load(BUILT.to_yaml()))


@pytest.mark.parametrize(
    "text",
    [
        "scenario: a\nfaults: [{fault: fial, step: b}]",
        "scenario: a\nfaults: [{fault: fail}]",
        "scenario: a\nfaults: [{fault: fail, step: b, when: 3}]",
        "scenario: a\ninterventions: [{cancel: soon}]",
        "scenario: a\ncrashes: [{crash: x}]",
        "faults: []",
        "scenario: a\nfault: []",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    assert not _validator().is_valid(yaml.safe_load(text))
    with pytest.raises(ScenarioError):
        Scenario.from_yaml(text)


def test_equal_scenarios_give_the_same_execution_whichever_form_they_were_given_in() -> None:
    saga = Saga("s", step(lambda: None, lambda: None, name="a"), step(lambda: None, name="b"))
    built = Scenario().slow("a", 3).fail("b")
    read = Scenario.from_yaml(built.to_yaml())
    assert simulate(saga, scenario=built).id == simulate(saga, scenario=read).id


def test_a_payload_that_yaml_could_not_give_back_is_refused() -> None:
    raw = msgspec.convert({"interventions": [{"type": "signal", "event": "e"}]}, Scenario)
    signal = msgspec.structs.replace(raw.interventions[0], payload={1, 2})
    with pytest.raises(ScenarioError, match="signal 'e': its payload"):
        Scenario(interventions=(signal,)).to_yaml()
