"""Whatever the page sends, and whatever is typed, the kernel answers and keeps its saga."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ipywidgets import Widget

from sagakit import Saga
from sagakit.widgets import SagaDesigner

DATA = Path(__file__).parents[2] / "data" / "sagas"
BEGINNING = {path.stem: Saga.from_yaml(path) for path in sorted(DATA.glob("*.yaml"))}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats()
    | st.sampled_from(["", "way", "create_order", "a/b", "!!yaml", "on", "ü", "\n", "1.0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["step", "saga", "steps", "!!yaml", "after", "items", "http", "cel", "on"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
OPTIONS = (
    "after", "action", "wait", "choice", "saga", "input", "for_each", "branch", "compensation",
    "when", "pivot", "retry", "timeout", "service", "read", "description", "step",
)  # fmt: skip


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[Saga, Any]:
    """A saga, and a draft of it in which some places hold whatever."""
    saga = draw(st.sampled_from(list(BEGINNING.values())))
    draft = copy.deepcopy(SagaDesigner(saga).state["draft"])
    for _ in range(draw(st.integers(1, 3))):
        place: Any = draft
        key: Any = draw(st.sampled_from(sorted(draft)))
        while draw(st.integers(0, 3)) and isinstance(place[key], dict | list) and place[key]:
            place = place[key]
            keys = range(len(place)) if isinstance(place, list) else [*place, *OPTIONS]
            key = draw(st.sampled_from(list(keys)))
            if isinstance(place, dict):
                place.setdefault(key, None)
        place[key] = draw(JSON)
    return saga, draft


def check(designer: SagaDesigner, saga: Saga) -> None:
    """The state can be sent, leads somewhere, and says the same in draft and text."""
    state = designer.state
    json.dumps(state)
    for problem in state["problems"]:
        part: Any = state["draft"] or {}
        for key in problem["path"]:
            if not isinstance(part, dict | list):
                break
            if isinstance(key, int):
                assert isinstance(part, list)
                assert key < len(part)
            elif key not in part:
                break  # what is missing, or was said by its absence
            part = part[key]
    if any(problem["level"] == "error" for problem in state["problems"]):
        assert designer.saga == saga
    elif state["draft"] is not None:
        again = SagaDesigner()
        again.yaml = state["text"]
        assert again.saga == designer.saga


@given(spoilt())
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
def test_any_draft_is_answered(given_: tuple[Saga, Any]) -> None:
    Widget.close_all()  # those of the example before
    saga, draft = given_
    designer = SagaDesigner(saga)
    designer.edit = {"seq": 1, "draft": draft}
    assert designer.state["seq"] == 1
    check(designer, saga)
    designer.edit = {"seq": 2, "draft": designer.state["draft"]}
    check(designer, designer.saga or saga)


@pytest.mark.parametrize("after", [False, 5, "create_order", [["way"]], [None], {"a": 1}, [1, "b"]])
def test_an_after_of_any_type_is_answered(after: Any) -> None:
    saga = BEGINNING["checkout"]
    designer = SagaDesigner(saga)
    draft = copy.deepcopy(designer.state["draft"])
    draft["steps"][2]["after"] = after
    designer.edit = {"seq": 1, "draft": draft}
    check(designer, saga)


@given(st.sampled_from(sorted(DATA.glob("*.yaml"))), st.data())
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
def test_any_text_is_answered(path: Path, data: st.DataObject) -> None:
    Widget.close_all()  # those of the example before
    text = path.read_text("utf-8")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text)))
        end = min(len(text), place + data.draw(st.integers(0, 8)))
        piece = data.draw(st.text("{}[]:-,#&*!|>'\"% \n\tab1\x85é?@`", max_size=4))
        text = text[:place] + piece + text[end:]
    saga = BEGINNING[path.stem]
    designer = SagaDesigner(saga)
    designer.edit = {"seq": 1, "text": text}
    assert designer.state["seq"] == 1
    assert designer.yaml == text
    check(designer, saga)
    if designer.state["draft"] is not None:
        designer.edit = {"seq": 2, "draft": designer.state["draft"]}
        check(designer, designer.saga or saga)
