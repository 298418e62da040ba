"""What an edit on the canvas leaves of the text that somebody typed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sagas import sagas

from sagakit.widgets import SagaDesigner

DATA = Path(__file__).parents[2] / "data" / "sagas"
TYPED = """# An order of ours.
saga: order   # by name

# Raised for the new bank.
version: "3"
deadline: 60

steps:
# First of all:
- step: create
  compensation: cancel   # by hand

# The bank is slow.
- {step: charge, compensation: refund, timeout: 5.0}

- step: reserve
  after: create   # beside the payment
  compensation: release
  # (in the old shop)

- step: confirm
  after: [charge, reserve]
  pivot: true
# That was all.

redact: [card]   # never shown
"""


def typed() -> tuple[SagaDesigner, dict[str, Any]]:
    designer = SagaDesigner()
    designer.yaml = TYPED
    assert designer.saga is not None, designer.problems
    return designer, copy.deepcopy(designer.state["draft"])


def after(designer: SagaDesigner, draft: dict[str, Any]) -> str:
    designer.edit = {"seq": 1, "draft": draft}
    again = SagaDesigner()
    again.yaml = designer.yaml
    assert again.state["draft"] == designer.state["draft"] == draft
    return designer.yaml


def test_a_draft_that_has_not_changed_leaves_the_text_as_it_is() -> None:
    assert after(*typed()) == TYPED


@pytest.mark.parametrize("path", sorted(DATA.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_stays_as_it_was_typed(path: Path) -> None:
    designer = SagaDesigner()
    designer.load(path)
    assert after(designer, designer.state["draft"]) == path.read_text("utf-8")


def test_a_step_that_changes_is_written_anew_under_its_comments() -> None:
    designer, draft = typed()
    draft["steps"][1]["timeout"] = 7
    assert after(designer, draft) == TYPED.replace(
        "- {step: charge, compensation: refund, timeout: 5.0}\n",
        "- step: charge\n  compensation: refund\n  timeout: 7.0\n",
    )


def test_an_option_of_the_saga_that_changes_is_written_anew() -> None:
    designer, draft = typed()
    draft["saga"] = "purchase"
    draft["version"] = "4"
    del draft["deadline"]
    draft["description"] = "Now with one"
    assert after(designer, draft) == (
        TYPED.replace("saga: order   # by name", "saga: purchase")
        .replace('version: "3"', "version: '4'")
        .replace("deadline: 60\n", "description: Now with one\n")
    )


def test_a_step_that_is_removed_takes_its_comments_along() -> None:
    designer, draft = typed()
    del draft["steps"][1]
    draft["steps"][2]["after"] = ["reserve"]
    assert after(designer, draft) == TYPED.replace(
        "\n# The bank is slow.\n- {step: charge, compensation: refund, timeout: 5.0}\n", ""
    ).replace("  after: [charge, reserve]\n", "")


def test_what_a_step_comes_after_stays_when_another_is_put_above_it() -> None:
    designer, draft = typed()
    draft["steps"].insert(1, {"step": "new", "after": ["create"]})
    text = after(designer, draft)
    assert "- step: new\n\n# The bank is slow.\n- step: charge\n" in text
    assert "  after: create\n" in text  # it was the step above, which is another one now
    assert "  after: create   # beside the payment\n" in text


def test_steps_that_change_places_keep_their_text() -> None:
    designer, draft = typed()
    steps = draft["steps"]
    steps[1], steps[2] = steps[2], steps[1]
    text = after(designer, draft)
    assert text.index("# (in the old shop)") < text.index("# The bank is slow.")


def test_a_text_in_one_line_is_written_anew() -> None:
    designer = SagaDesigner()
    designer.yaml = "{saga: s, steps: [{step: a}, {step: b}]}"
    draft = copy.deepcopy(designer.state["draft"])
    draft["steps"][0]["timeout"] = 1
    assert after(designer, draft) == "saga: s\nsteps:\n- step: a\n  timeout: 1.0\n- step: b\n"


@pytest.mark.parametrize(
    "text",
    [
        "saga: s\nsteps:\n- step: a\n  description: |\n    two\n    # lines\n- step: b\n",
        "saga: s\nsteps:\n- &a\n  step: a\n- step: b\n  retry: &r {attempts: 2}\n",
        "saga: s\nsteps:\n- step: a\n  retry: &r {attempts: 2}\n- step: b\n  retry: *r\n",
        "saga: s\nsteps:\n- step: a\n  description: |+\n    two\n\n- step: b\n",
        "---\nsaga: s\nsteps:\n- step: a\n- step: b\n...\n",
        "saga: s\nsteps:\n  -\n    step: a\n  - step: b",
        "steps:\n    - step: a\n    - step: b\nsaga: s",
        "saga: s\nsteps: [{step: a},\n {step: b}]\nversion: 1.10\n",
        "saga: s\r\nsteps:\r\n- step: a\r\n- step: b\r\n",
        "saga: s\nsteps:\n- step: a\n  description: 'one\n\n    # two'\n- step: b\n",
        "saga: s\nsteps:\n- step: a\n- step: b\n  description: >-\n    x\n\n# end\n",
        "? saga\n: s\n? steps\n: - step: a\n  - step: b\n",
        "saga: s\nsteps:\n- step: a\n  retry: {on: [E]}\n- {step: b, saga: null}\n",
    ],
)
def test_texts_of_any_layout_say_what_the_draft_says(text: str) -> None:
    for change in (
        lambda steps: None,
        lambda steps: steps[0].update(timeout=1),
        lambda steps: steps[1].update(timeout=1),
        lambda steps: steps.append({"step": "c", "after": ["b"]}),
        lambda steps: steps.insert(0, {"step": "c", "after": []}),
        lambda steps: steps.pop(),
        lambda steps: steps.reverse(),
    ):
        designer = SagaDesigner()
        designer.yaml = text
        draft = copy.deepcopy(designer.state["draft"])
        change(draft["steps"])
        after(designer, draft)


@given(sagas(), sagas(), st.randoms(use_true_random=False))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_done_the_text_says_what_the_draft_says(one: Any, two: Any, dice: Any) -> None:
    designer, other = SagaDesigner(one), SagaDesigner(two)
    text = "".join(
        f"# {dice.random()}\n{line}" if line.startswith("- ") and dice.random() < 0.5 else line
        for line in designer.yaml.splitlines(keepends=True)
    )
    designer.yaml = text
    draft = copy.deepcopy(designer.state["draft"])
    more = copy.deepcopy(other.state["draft"]["steps"])
    draft["steps"] = [*draft["steps"], *more]
    dice.shuffle(draft["steps"])
    draft["steps"] = draft["steps"][dice.randrange(3) :]
    for item in draft["steps"]:
        if dice.random() < 0.2:
            item["description"] = "changed"
    designer.edit = {"seq": 1, "draft": draft}
    again = SagaDesigner()
    again.yaml = designer.yaml
    assert again.state["draft"] == designer.state["draft"]
