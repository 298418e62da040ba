"""A saga of 200 steps is drawn, and what is done to it takes no longer than it must.

Times depend on the machine: what is asserted are ratios between large and small in one browser.
"""

from __future__ import annotations

from statistics import median

import pytest
from drawing import Designer, designer

CODE = """\
from sagakit import Saga, step
from sagakit.widgets import SagaDesigner

def grid(count):
    "As wide as deep: every step runs after the one above it."
    names = [f"s{number}" for number in range(count)]
    steps = [
        step(lambda ctx: None, name=name, compensation=lambda ctx: None,
             after=[] if place < 10 else [names[place - 10]])
        for place, name in enumerate(names)
    ]
    return Saga("grid", *steps)

small, large = SagaDesigner(grid(20)), SagaDesigner(grid(200))
"""


@pytest.fixture
def both(lab):
    """A designer of 20 steps, and one of 200."""
    book = lab([CODE, "small", "large"])
    book.run()
    small, large = designer(book, 1), designer(book, 2)
    assert (len(small.steps()), len(large.steps())) == (20, 200)
    return small, large


def test_a_step_of_200_is_dragged_as_smoothly_as_one_of_20(both):
    figures = [drag_frames(shown) for shown in both]
    assert figures[1] < 6 * figures[0], f"milliseconds for a move: {figures}"


def drag_frames(shown: Designer) -> float:
    """Milliseconds of processor time that the page takes for one move of a drag."""
    page = shown.book.page
    shown.to_sight()
    shown.tool("Show everything").click()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def worked() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(one["value"] for one in metrics if one["name"] == "TaskDuration") * 1000

    x, y = shown._middle(shown.step("s11"))
    page.mouse.move(x, y)
    page.mouse.down()
    figures = []
    for turn in range(30):
        before = worked()
        page.mouse.move(x + 2 * turn + 6, y + turn)
        page.evaluate("() => new Promise(requestAnimationFrame)")
        figures.append(worked() - before)
    page.mouse.up()
    session.detach()
    return median(figures[5:])


def test_an_edit_of_200_steps_is_answered(both):
    _, large = both
    large.to_sight()
    large.tool("Show everything").click()
    large.step("s0").click()
    large.field("Name").fill("first")
    large.field("Name").press("Tab")
    large.book.expect("large.saga.steps[0].name", "first")
    large.book.expect("large.saga.steps[10].after", ("first",))
    large.press("Escape")
    large.tool("Undo").click()
    large.book.expect("large.saga.steps[0].name", "s0")
