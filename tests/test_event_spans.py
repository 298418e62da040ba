"""Which spans the events of an execution tell, and how they hang together."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from sagakit import (
    Engine,
    Retry,
    Saga,
    Scenario,
    TerminalError,
    await_event,
    pivot,
    simulate,
    step,
    sub_saga,
)
from sagakit.event_spans import ATTRIBUTES, read_spans, trace_id
from sagakit.execution import Execution
from sagakit.spans import Span


def act() -> None:
    """Do nothing."""


def undo() -> None:
    """Undo nothing."""


def refuse() -> None:
    raise TerminalError("no")


def tree(spans: Sequence[Span]) -> list[str]:
    """Each span's name behind those around it, with how it ended."""
    by_id = {span.span_id: span for span in spans}

    def path(span: Span) -> str:
        above = by_id.get(span.parent_id or "")
        return span.name if above is None else f"{path(above)} / {span.name}"

    return [f"{path(span)}: {span.attributes.get('saga.outcome')}" for span in spans]


def spans_of(execution: Execution) -> list[Span]:
    return read_spans(execution.saga, execution.events)


def named(spans: Sequence[Span], name: str) -> Span:
    (found,) = (span for span in spans if span.name == name)
    return found


SAGA = Saga(
    "s",
    step(act, undo, name="a"),
    step(act, undo, name="b", retry=Retry(3, wait=2), service="bank"),
    version="7",
)


def test_a_span_for_the_execution_each_step_and_each_attempt() -> None:
    execution = simulate(SAGA, scenario=Scenario().fail("b", attempt=1))
    assert tree(spans_of(execution)) == [
        "saga s: completed",
        "saga s / a: succeeded",
        "saga s / a / a #1: succeeded",
        "saga s / b: succeeded",
        "saga s / b / b #1: failed",
        "saga s / b / b #2: succeeded",
    ]


def test_a_compensation_links_to_the_action_that_it_undoes() -> None:
    spans = spans_of(simulate(SAGA, scenario=Scenario().fail("b")))
    undone = named(spans, "compensate a")
    (link,) = undone.links
    assert (link.trace_id, link.span_id) == (undone.trace_id, named(spans, "a").span_id)
    assert (
        undone.attributes["saga.idempotency_key"]
        == f"{named(spans, 'a').attributes['saga.execution.id']}/a/compensation"
    )
    assert named(spans, "saga s").status == "unset", "that it was compensated is no error"
    assert (named(spans, "b").status, named(spans, "b #1").status) == ("error", "error")


def test_errors_faults_retries_and_timeouts_are_events_of_their_spans() -> None:
    def raises() -> None:
        raise ValueError("out of tea")

    slow = Saga(
        "s", step(act, undo, name="x", timeout=1, retry=Retry(2, wait=3)), step(raises, undo)
    )
    spans = spans_of(simulate(slow, scenario=Scenario().time_out("x", attempt=1)))
    first = named(spans, "x #1")
    assert [event.name for event in first.events] == ["saga.timeout", "exception"]
    (retry,) = named(spans, "x").events
    assert (retry.name, retry.at, retry.attributes) == ("saga.retry", 1.0, {"saga.retry.wait": 3.0})
    (raised,) = named(spans, "raises #1").events
    assert raised.attributes["exception.type"] == "ValueError"
    assert raised.attributes["exception.message"] == "out of tea"
    assert "in raises" in str(raised.attributes["exception.stacktrace"])
    injected = spans_of(simulate(SAGA, scenario=Scenario().fail("b", attempt=1)))
    assert named(injected, "b #1").events[0].name == "saga.fault.injected"


def test_what_is_in_doubt_says_so() -> None:
    spans = spans_of(simulate(SAGA, scenario=Scenario().lose_reply("b")))
    doubts = [span.name for span in spans if span.attributes.get("saga.in_doubt")]
    assert doubts == ["b", "b #1", "b #2", "b #3"]


def test_every_attribute_is_in_the_documented_list() -> None:
    execution = simulate(SAGA, scenario=Scenario().lose_reply("b"))
    used = {key for span in spans_of(execution) for key in span.attributes}
    assert used <= ATTRIBUTES.keys()
    root = spans_of(execution)[0]
    assert root.attributes["saga.version"] == "7"
    assert named(spans_of(execution), "b").attributes["saga.step.service"] == "bank"


def test_two_runs_of_a_simulation_have_the_same_ids_and_other_executions_have_others() -> None:
    once, again = (spans_of(simulate(SAGA, seed=3)) for _ in range(2))
    assert once == again
    other = spans_of(simulate(SAGA, id="another"))
    assert not {span.span_id for span in once} & {span.span_id for span in other}
    assert once[0].trace_id != other[0].trace_id


def test_ids_have_the_form_of_the_w3c() -> None:
    for span in spans_of(simulate(SAGA)):
        assert len(bytes.fromhex(span.trace_id)) == 16
        assert len(bytes.fromhex(span.span_id)) == 8
    assert spans_of(simulate(SAGA))[0].parent_id is None


def test_after_any_number_of_events_the_spans_begun_are_the_first_of_all_spans() -> None:
    execution = simulate(SAGA, scenario=Scenario().fail("b"))
    whole = [span.span_id for span in spans_of(execution)]
    for count in range(1, len(execution.events)):
        part = read_spans(SAGA, execution.events[:count])
        assert [span.span_id for span in part] == whole[: len(part)]
    assert all(span.end is not None for span in spans_of(execution))


def test_a_wait_is_one_span_and_what_came_is_told_at_the_execution() -> None:
    saga = Saga("s", await_event("paid", timeout=9))
    execution = simulate(saga, scenario=Scenario().signal("paid", 1, at=4))
    spans = spans_of(execution)
    assert tree(spans) == ["saga s: completed", "saga s / paid: succeeded"]
    assert (spans[1].start, spans[1].end) == (0.0, 4.0)
    assert [(event.name, event.at) for event in spans[0].events] == [("saga.signal", 4.0)]
    late = spans_of(simulate(saga))
    assert (late[1].status, late[1].message) == (
        "error",
        "TimeoutError: no event 'paid' came in time",
    )


def test_what_waits_when_the_saga_turns_back_is_called_off_then() -> None:
    saga = Saga(
        "s",
        step(act, undo, name="a", retry=Retry(2, wait=50)),
        step(act, undo, name="b", after=()),
        deadline=5,
    )
    spans = spans_of(simulate(saga, scenario=Scenario().fail("a", attempt=1)))
    called_off = named(spans, "a")
    assert (called_off.end, called_off.attributes["saga.outcome"]) == (5.0, "called off")
    assert "saga.deadline" in [event.name for event in spans[0].events]


def test_a_skipped_step_has_a_span_without_length() -> None:
    saga = Saga("s", step(act, name="a", when=False), step(act, name="b"))
    skipped = named(spans_of(simulate(saga)), "a")
    assert (skipped.duration, skipped.attributes["saga.outcome"]) == (0.0, "skipped")


def test_a_saga_inside_is_a_part_of_the_trace_below_the_attempt_that_it_does() -> None:
    inner = Saga("inner", step(act, undo, name="i"))
    saga = Saga("outer", sub_saga(inner, name="nest"), step(refuse))
    spans = simulate(saga).read_spans()
    assert len({span.trace_id for span in spans}) == 1
    begun, undone = (span for span in spans if span.name == "saga inner")
    assert begun.parent_id == named(spans, "nest #1").span_id
    assert undone.parent_id == named(spans, "compensate nest").span_id
    assert undone.links[0].span_id == begun.span_id
    assert tree(spans)[-2:] == [
        "saga outer / compensate nest / saga inner / compensate i: compensated",
        "saga outer / compensate nest / saga inner / compensate i / compensate i #1: compensated",
    ]


def test_a_stuck_execution_has_ended_its_span_and_goes_on_in_another() -> None:
    broken = [True]

    def confirm() -> None:
        if broken:
            raise TerminalError("closed")

    saga = Saga("s", pivot(act, name="p"), step(confirm))
    with Engine() as engine:
        stuck = engine.run(saga, id="one")
        before = spans_of(stuck)
        assert (before[0].status, before[0].message) == ("error", "stuck at confirm")
        broken.clear()
        engine.resolve("one", "retry", by="ann", why="open again")
        spans = spans_of(engine.status("one"))
    first, second = (span for span in spans if span.name == "saga s")
    assert first == before[0]
    assert second.links[0].span_id == first.span_id
    (said,) = second.events
    assert (said.name, said.attributes["saga.by"]) == ("saga.resolved", "ann")
    assert second.attributes["saga.outcome"] == "completed"
    confirmed = [span for span in spans if span.name == "confirm"]
    assert [span.parent_id for span in confirmed] == [first.span_id, second.span_id]


def test_an_abandoned_execution_says_by_whom() -> None:
    saga = Saga("s", pivot(act, name="p"), step(refuse))
    with Engine() as engine:
        engine.run(saga, id="one")
        spans = spans_of(engine.resolve("one", "abandon", by="ann", why="hopeless"))
    assert spans[-1].message == "abandoned by ann: hopeless"
    assert spans[-1].duration == 0.0


@pytest.mark.parametrize("given", [None, "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"])
def test_an_execution_begun_within_a_span_is_part_of_its_trace(given: str | None) -> None:
    started = simulate(SAGA).events[0]
    events = (msgspec.structs.replace(started, trace=given), *simulate(SAGA).events[1:])
    root = read_spans(SAGA, events)[0]
    if given is None:
        assert (root.trace_id, root.parent_id) == (trace_id(started), None)
    else:
        assert (root.trace_id, root.parent_id) == ("ab" * 16, "cd" * 8)
