"""Whatever a page or a person writes is read or refused, told of, and drawn: never an accident."""

from __future__ import annotations

import contextlib

import yaml
from hypothesis import given
from hypothesis import strategies as st

from sagakit.entities import DataModel
from sagakit.errors import DefinitionError, Problem

from .shop import shop

words = st.sampled_from(
    ["", "A", "B", "Order", "id", "one", "many", "text", "mony", "1", "a\nb", "é"]
)
texts = words | st.text(max_size=5)
fields = st.fixed_dictionaries(
    {"name": texts}, optional={"type": texts, "key": st.booleans(), "optional": st.booleans()}
)
relations = st.fixed_dictionaries({"name": texts, "to": words}, optional={"kind": words})
entities = st.fixed_dictionaries(
    {"name": words, "fields": st.lists(fields, max_size=3)},
    optional={"relations": st.lists(relations, max_size=3), "service": texts | st.none()},
)
models = st.fixed_dictionaries(
    {"entities": st.lists(entities, max_size=4)}, optional={"input": words | st.none()}
)
json = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["entities", "name", "fields", "key", "x"]), inner)
    ),
    max_leaves=10,
)


@given(models)
def test_a_model_that_is_wrong_is_told_of_and_drawn(plain: object) -> None:
    model = DataModel.from_plain(plain)
    assert DataModel.from_plain(model.to_plain()) == model
    assert DataModel.from_yaml(model.to_yaml()) == model
    assert model.picture().svg.startswith("<svg")
    assert model.picture().svg == model.picture().svg
    for problem in model.problems():
        assert isinstance(problem, Problem)
        part = model.to_plain()
        for key in problem.path:  # it leads to what is there, or to what should be
            part = part.get(key, {}) if isinstance(part, dict) else part[key]
    with contextlib.suppress(DefinitionError):
        compile(model.models_source(), "models.py", "exec")
        assert model.problems() == []


@given(json)
def test_what_is_no_model_is_refused_with_reasons(plain: object) -> None:
    reasons: object = "it is one"
    try:
        DataModel.from_plain(plain)
    except DefinitionError as error:
        reasons = error.problems
    assert reasons


@given(st.data())
def test_any_text_is_read_or_refused(data: st.DataObject) -> None:
    text = shop().to_yaml()
    at = data.draw(st.integers(0, len(text)))
    broken = text[:at] + data.draw(st.text(max_size=3)) + text[at + data.draw(st.integers(0, 9)) :]
    with contextlib.suppress(DefinitionError):
        assert yaml.safe_load(DataModel.from_yaml(broken).to_yaml()) is not None
