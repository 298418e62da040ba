"""Whatever stands where a connector can: it is refused in our words, or it is sound."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagakit import DefinitionError, Saga, SagaError, simulate, step
from sagakit.connectors import Http, templates
from sagakit.connectors.forms import CONNECTORS
from sagakit.connectors.secret import Vault

pytest.importorskip("celpy")

WORDS = [
    "https://x.example/${input}", "sqlite:///a.db", "${", "}", "$${", "${input.a}", "${'}'}", "'",
    '"', "\\", "${results}", "${1 + }", "GET", "POST", "mutation { a }", "SELECT 1", "", " ", "é",
    "Authorization", "secret", "prefix", "TOKEN", "a: b", "response.body", "\n", "\x00", "\x85",
]  # fmt: skip
TEXT = st.one_of(st.sampled_from(WORDS), st.lists(st.sampled_from(WORDS), max_size=6).map("".join))
LEAF = st.one_of(
    TEXT, st.integers(-5, 600), st.floats(allow_nan=False, width=16), st.booleans(), st.none(),
    st.dates(), st.just({"secret": "TOKEN"}), st.just({"secret": "a b", "prefix": "x"}),
)  # fmt: skip
VALUE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def connector(draw: Any) -> dict[str, Any]:
    """A mapping that is nearly a connector: its options are its own, their values anything."""
    kind = draw(st.sampled_from(list(CONNECTORS)))
    names = [*CONNECTORS[kind].__struct_encode_fields__, "unknown"]
    shown = CONNECTORS[kind].shown if draw(st.booleans()) else {}
    options = draw(st.dictionaries(st.sampled_from(names), VALUE, max_size=4))
    return {kind: {**shown, **options}}


def made(make: Callable[[], Saga]) -> tuple[Saga | None, tuple[str, ...]]:
    """The saga, or what is wrong with it."""
    try:
        return make(), ()
    except DefinitionError as error:
        return None, error.problems


SLOW = [HealthCheck.too_slow]
fuzzed = settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=SLOW)


@fuzzed
@given(connector(), st.sampled_from(["action", "compensation", "reconcile", "when"]))
def test_a_mapping_is_refused_with_its_line_or_makes_a_sound_saga(
    mapping: dict[str, Any], role: str
) -> None:
    text = yaml.safe_dump({"saga": "s", "steps": [{"step": "a", role: mapping}]})
    saga, problems = made(lambda: Saga.from_yaml(text))
    assert all("line " in problem for problem in problems)
    if saga is None:
        assert problems
        return
    assert Saga.from_yaml(saga.to_yaml()) == saga
    assert pickle.loads(pickle.dumps(saga)) == saga
    assert repr(saga.steps)
    simulate(saga, {"amount": 1, "a": "b"})


@fuzzed
@given(connector())
def test_in_python_the_same_holds_whatever_the_types(mapping: dict[str, Any]) -> None:
    ((kind, options),) = mapping.items()
    options.pop("unknown", None)
    required = CONNECTORS[kind].__struct_fields__[: -len(CONNECTORS[kind].__struct_defaults__)]
    action = CONNECTORS[kind](**{**dict.fromkeys(required, "x"), **options})
    saga, _ = made(lambda: Saga("s", step(action, name="a")))
    if saga is not None:
        assert Saga.from_yaml(saga.to_yaml()) == saga


class Ctx:
    step, input, results = "s", {"a": "b/c"}, {}
    result = execution_id = idempotency_key = action_key = "k"
    attempt = 1


@fuzzed
@given(TEXT)
def test_a_template_is_refused_or_filled_in(text: str) -> None:
    sound = not templates.faults(text, "url")
    fill = templates.Filling(Ctx(), Vault("step 's'"))
    for way in (fill.data, fill.text, fill.url):
        try:
            filled = way(text)
        except SagaError:
            continue
        except ValueError:
            assert not sound
            continue
        assert way == fill.data or isinstance(filled, str)


def test_what_stands_for_a_template_s_beginning_is_written_twice() -> None:
    fill = templates.Filling(Ctx(), Vault("step 's'"))
    assert fill.text("$${input.a} is ${input.a}; $5, {}, $") == "${input.a} is b/c; $5, {}, $"
    assert fill.text("${'}' + '{'}${{'a': '}'}.a}") == "}{}"
    assert fill.url("${input.a}/${input.a}") == "b/c/b%2Fc"
    assert fill.data("${[1, 2]}") == [1, 2]


def test_a_query_takes_no_mappings() -> None:
    with pytest.raises(DefinitionError, match=r"query\.a: "):
        Saga("s", step(Http("https://x", query={"a": {"b": 1}}), name="a"))
