"""What is traced, on every driver: one tree of spans for an execution, closed when it has ended."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from sagas import sagas
from world import World

from sagakit import (
    Engine,
    Execution,
    Retry,
    Saga,
    Scenario,
    Simulated,
    TerminalError,
    for_each,
    simulate,
    step,
    sub_saga,
)
from sagakit.drivers.simulated import resume
from sagakit.errors import ScenarioError
from sagakit.event_spans import ATTRIBUTES, EVENTS, SpanBuilder, read_spans
from sagakit.events import ExecutionCompleted, StepSucceeded
from sagakit.spans import Span

pytest.importorskip("opentelemetry.sdk")
from opentelemetry import baggage, trace

from sagakit.trace import capture


def shape(spans: list[Span]) -> list[tuple[str, ...]]:
    """Each span's name below those of its ancestors, in any order of concurrent ones."""
    by_id = {span.span_id: span for span in spans}

    def path(span: Span) -> tuple[str, ...]:
        above = () if span.parent_id is None else path(by_id[span.parent_id])
        return (*above, span.name)

    return sorted(path(span) for span in spans)


def one(spans: list[Span], name: str) -> Span:
    found = [span for span in spans if span.name == name]
    assert len(found) == 1, f"{len(found)} spans are called {name}"
    return found[0]


def noted(span: Span) -> list[str]:
    return [event.name for event in span.events if event.name != "saga.journal.commit"]


def sound(spans: list[Span]) -> None:
    """Ids are unique, parents are there and begin first, all in one trace."""
    ids = [span.span_id for span in spans]
    assert not [id for id, count in Counter(ids).items() if count > 1]
    by_id = {span.span_id: span for span in spans}
    assert len({span.trace_id for span in spans}) == 1
    for span in spans:
        assert span.end is None or span.start <= span.end
        if span.parent_id is not None:
            assert by_id[span.parent_id].start <= span.start, span.name


def orders(world: World) -> Saga:
    again = Retry(attempts=2, wait=0.01)
    return Saga(
        "orders",
        world.step("create"),
        world.step("charge", ConnectionError("busy"), None, retry=again),
        world.step("reserve", TerminalError("sold out"), after="create"),
    )


def test_the_spans_of_an_execution_are_one_tree_of_the_same_shape(drive) -> None:
    world = World()
    with capture() as caught:
        execution = drive(orders(world))
    assert execution.status == "compensated"
    spans = caught.spans
    sound(spans)
    root = "saga orders"
    found = shape(spans)
    assert [path for path in found if "charge" not in " ".join(path)] == [
        (root,),
        (root, "compensate create"),
        (root, "compensate create", "compensate create #1"),
        (root, "create"),
        (root, "create", "create #1"),
        (root, "reserve"),
        (root, "reserve", "reserve #1"),
    ]
    assert (root, "charge", "charge #1") in found
    assert all(span.end is not None for span in spans)
    assert one(spans, root).attributes["saga.outcome"] == "compensated"
    assert spans[0].name == root


def test_a_compensations_span_links_to_the_span_of_the_action_it_undoes(drive) -> None:
    world = World()
    with capture() as caught:
        drive(orders(world))
    (link,) = one(caught.spans, "compensate create").links
    assert link.span_id == one(caught.spans, "create").span_id
    assert link.attributes == {"saga.link": "compensates"}


def test_retries_and_what_was_raised_are_span_events(drive) -> None:
    world = World()
    flaky = world.step("charge", ValueError("busy"), None, retry=Retry(attempts=2, wait=0.01))
    with capture() as caught:
        drive(Saga("pay", flaky))
    assert noted(one(caught.spans, "charge")) == ["saga.retry"]
    first, second = one(caught.spans, "charge #1"), one(caught.spans, "charge #2")
    assert noted(first) == ["exception"]
    said = first.events[0].attributes
    assert (said["exception.type"], said["exception.message"]) == ("ValueError", "busy")
    assert (first.status, first.message) == ("error", "ValueError: busy")
    assert (second.status, second.events) == ("unset", ())


def test_timeouts_and_injected_faults_are_span_events(drive) -> None:
    world = World()
    slow = step(world.sleeper("slow", 5), world.action("undo slow"), timeout=0.02)
    with capture() as caught:
        drive(Saga("slow", slow))
    assert noted(one(caught.spans, "slow #1")) == ["saga.timeout", "exception"]
    assert one(caught.spans, "slow #1").attributes["saga.in_doubt"] is True
    with capture() as caught:
        drive(Saga("broken", world.step("a")), scenario=Scenario().fail("a"))
    assert noted(one(caught.spans, "a #1")) == ["saga.fault.injected", "exception"]


def test_a_call_to_turn_back_is_an_event_of_the_executions_span(drive) -> None:
    world = World()
    saga = Saga("long", step(world.sleeper("a", 0.05), world.action("undo a")), world.step("b"))
    with capture() as caught:
        drive(saga, scenario=Scenario().cancel(0.01, by="operator-7", why="customer left"))
    root = one(caught.spans, "saga long")
    assert noted(root) == ["saga.cancelled"]
    called_off = next(event for event in root.events if event.name == "saga.cancelled")
    assert called_off.attributes == {"saga.by": "operator-7", "saga.why": "customer left"}


def test_an_operators_decision_is_an_event_of_a_span_that_continues_the_first() -> None:
    world = World()
    last = world.last("ship", TerminalError("no van"), None)
    saga = Saga("ship", world.pivot("pay"), last)
    with capture() as caught, Engine() as engine:
        stuck = engine.run(saga)
        engine.resolve(stuck.id, "retry", by="operator-7", why="the van is back")
    first, second = (span for span in caught.spans if span.name == "saga ship")
    assert (first.status, first.message) == ("error", "stuck at ship")
    assert second.links[0].span_id == first.span_id
    assert second.attributes["saga.outcome"] == "completed"
    decided = next(event for event in second.events if event.name == "saga.resolved")
    assert decided.attributes["saga.why"] == "the van is back"
    assert noted(second) == ["saga.resolved"]


def test_within_an_action_its_attempts_span_is_current(drive) -> None:
    seen: dict[str, tuple[str, Any]] = {}

    def look(name: str) -> None:
        span = trace.get_current_span().get_span_context()
        told = baggage.get_baggage("saga.execution.id")
        seen[name] = trace.format_span_id(span.span_id), told

    def plain() -> None:
        look("plain #1")

    async def awaited() -> None:
        await asyncio.sleep(0.001)
        look("awaited #1")

    def lazy(ctx: Any) -> Any:
        return awaited_later()

    async def awaited_later() -> None:
        look("lazy #1")

    def undo(ctx: Any) -> None:
        look("compensate plain #1")

    def refuse() -> None:
        raise TerminalError("no")

    saga = Saga("looks", step(plain, undo), step(awaited), step(lazy), step(refuse))
    with capture() as caught:
        execution = drive(saga)
    assert len(seen) == 4
    for name, (span_id, told) in seen.items():
        assert (name, span_id) == (name, one(caught.spans, name).span_id)
        assert told == execution.id
    assert not trace.get_current_span().get_span_context().is_valid, "it is current only within"


def test_a_reconcile_runs_within_the_span_of_its_step(drive) -> None:
    seen = []

    def ask() -> bool:
        seen.append(trace.format_span_id(trace.get_current_span().get_span_context().span_id))
        return True

    def lost() -> None:
        raise TimeoutError("no reply")

    saga = Saga("doubt", step(lost, lambda: None, name="lost", reconcile=ask))
    with capture() as caught:
        assert drive(saga).status == "completed"
    span = one(caught.spans, "lost")
    assert seen == [span.span_id]
    assert "saga.reconcile" in noted(span)


def test_spans_made_within_actions_are_their_attempts_children(drive) -> None:
    tracer = trace.get_tracer("shop")

    def charge() -> None:
        with tracer.start_as_current_span("card"), tracer.start_as_current_span("bank"):
            pass

    async def reserve() -> None:
        with tracer.start_as_current_span("stock"):
            await asyncio.sleep(0.001)

    with capture() as caught:
        drive(Saga("shop", step(charge), step(reserve)))
    sound(caught.spans)
    found = shape(caught.spans)
    assert ("saga shop", "charge", "charge #1", "card", "bank") in found
    assert ("saga shop", "reserve", "reserve #1", "stock") in found


def test_an_execution_begun_within_a_span_is_its_child(drive) -> None:
    world = World()
    tracer = trace.get_tracer("shop")
    with capture() as caught:
        with tracer.start_as_current_span("request"):
            drive(Saga("order", world.step("a")))
        drive(Saga("alone", world.step("a")))
    request, root = one(caught.spans, "request"), one(caught.spans, "saga order")
    assert (root.parent_id, root.trace_id) == (request.span_id, request.trace_id)
    alone = one(caught.spans, "saga alone")
    assert alone.parent_id is None
    assert alone.trace_id != request.trace_id


def test_a_saga_that_does_a_step_is_traced_within_that_step(drive) -> None:
    world = World()
    inner = Saga("inner", world.step("pick"), world.step("pack"))
    saga = Saga(
        "outer",
        sub_saga(inner, name="parcel"),
        for_each("lines", lambda ctx: [1, 2], world.step("line")),
        world.step("send", TerminalError("no van")),
    )
    with capture() as caught:
        assert drive(saga).status == "compensated"
    spans = caught.spans
    sound(spans)
    assert all(span.end is not None for span in spans)
    found = shape(spans)
    root = ("saga outer", "parcel", "parcel #1", "saga inner")
    assert (*root, "pick", "pick #1") in found
    undone = ("saga outer", "compensate parcel", "saga inner")
    assert (*undone, "compensate pick", "compensate pick #1") in found


def test_the_engines_commits_are_events_of_the_executions_span() -> None:
    world = World()
    with capture() as caught, Engine() as engine:
        execution = engine.run(Saga("two", world.step("a"), world.step("b")))
    root = one(caught.spans, "saga two")
    commits = [event for event in root.events if event.name == "saga.journal.commit"]
    assert sum(int(event.attributes["saga.journal.events"]) for event in commits) == len(
        execution.events
    )
    assert len(commits) == 3  # begun, between the steps, ended


def test_a_span_tells_of_128_commits_and_counts_the_rest() -> None:
    world = World()
    steps = [world.last(f"s{number}") for number in range(150)]
    with capture() as caught, Engine() as engine:
        engine.run(Saga("long", *steps))
    root = one(caught.spans, "saga long")
    assert len(root.events) == 128
    assert root.attributes["saga.journal.commits"] == 151


def test_a_span_tells_of_128_retries_and_counts_the_rest() -> None:
    world = World()
    stubborn = world.step("s", *[ValueError()] * 200, None, retry=Retry(attempts=300, wait=0))
    with capture() as caught:
        assert simulate(Saga("stubborn", stubborn)).status == "completed"
    span = one(caught.spans, "s")
    assert len(span.events) == 128
    assert span.attributes["saga.events.dropped"] == 72


def test_a_crash_is_an_event_of_the_attempt_that_was_under_way() -> None:
    world = World()
    saga = Saga("two", world.step("a"), world.step("b"))
    events = simulate(saga).events
    begun = next(n for n, event in enumerate(events) if getattr(event, "step", "") == "b")
    with capture() as caught:
        assert resume(saga, events[: begun + 1]).status == "completed"
    lost = one(caught.spans, "b #1")
    assert noted(lost) == ["saga.crash"]
    assert lost.attributes["saga.in_doubt"] is True
    assert [span.name for span in caught.spans] == ["saga two", "b", "b #1", "b #2"]


# -- any saga -------------------------------------------------------------------------------


@st.composite
def cases(draw: st.DrawFn) -> tuple[Saga, Scenario]:
    """Any saga, and any faults for it."""
    saga = draw(sagas(most=5))
    names = [item.name for item in saga.steps if isinstance(item.action, Simulated)]
    faults = (Scenario.fail, Scenario.lose_reply, Scenario.time_out, Scenario.fail_compensation)
    scenario = Scenario()
    for name in draw(st.lists(st.sampled_from(names), max_size=3)) if names else []:
        attempt = draw(st.sampled_from([1, 2]))
        scenario = draw(st.sampled_from(faults))(scenario, name, attempt)
    for at in draw(st.lists(st.sampled_from([0.0, 0.6, 1.5]), max_size=1)):
        scenario = scenario.signal("e", at=at)
    return saga, scenario


def _caught(saga: Saga, scenario: Scenario) -> tuple[list[Span], Execution]:
    with capture() as caught:
        try:
            execution = simulate(saga, scenario=scenario)
        except ScenarioError:
            reject()  # a fault that this step cannot have
    return caught.spans, execution


def _read(execution: Execution) -> set[str]:
    found = {span.span_id for span in read_spans(execution.saga, execution.events)}
    return found.union(*map(_read, execution.children.values()))


@given(case=cases())
@settings(max_examples=150, deadline=None)
def test_the_spans_of_any_execution_form_one_closed_tree(case) -> None:
    spans, execution = _caught(*case)
    sound(spans)
    assert len([span for span in spans if span.parent_id is None]) == 1
    if execution.status != "waiting":
        assert [span.name for span in spans if span.end is None] == []
    assert {span.span_id for span in spans} == _read(execution)
    for span in spans:
        assert set(span.attributes) <= set(ATTRIBUTES)
        assert {event.name for event in span.events} <= set(EVENTS)


@given(case=cases())
@settings(max_examples=40, deadline=None)
def test_in_virtual_time_a_second_run_gives_the_same_spans(case) -> None:
    assert _caught(*case)[0] == _caught(*case)[0]


@given(case=cases(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_after_a_crash_at_any_event_recovery_continues_the_same_trace(case, data) -> None:
    saga, scenario = case
    assume(not saga.plan.nests)  # what does a step has a journal of its own: the test below
    whole, execution = _caught(saga, scenario)
    cut = data.draw(st.integers(1, len(execution.events)))
    kept = list(execution.events[:cut])
    builder = SpanBuilder(saga, kept[0])
    before = [span for event in kept[1:] for span in builder.take(event)]
    with capture() as caught:
        recovered = resume(saga, kept, scenario=scenario)
    assert {span.trace_id for span in caught.spans} <= {span.trace_id for span in whole}
    both = [*before, *caught.spans]
    if not builder.ended:
        sound(both)
        assert {span.span_id for span in both} == _read(recovered)
    once = Counter(span.name for span in whole)
    ids = {span.name: span.span_id for span in whole if once[span.name] == 1}
    again = Counter(span.name for span in both)
    for span in both:
        if again[span.name] == 1 and span.name in ids:
            assert span.span_id == ids[span.name], span.name


def _told(saga: Saga, events: list[Any]) -> list[Span]:
    """What a process has exported that died after these events."""
    builder = SpanBuilder(saga, events[0])
    return [span for event in events[1:] for span in builder.take(event)]


def test_after_a_crash_a_saga_that_did_a_step_is_undone_in_the_same_trace() -> None:
    world = World()
    inner = Saga("inner", world.step("pick"))
    parcel = sub_saga(inner, name="parcel")
    outer = Saga("outer", parcel, world.step("send", TerminalError("no van")))
    whole, execution = _caught(outer, Scenario())
    done = next(n for n, event in enumerate(execution.events) if type(event) is StepSucceeded)
    kept = list(execution.events[: done + 1])
    child = execution.children["parcel"]
    ended = next(n for n, event in enumerate(child.events) if type(event) is ExecutionCompleted)
    inside = list(child.events[: ended + 1])
    with capture() as caught:
        resume(outer, kept, children={child.id: inside})
    both = [*_told(outer, kept), *_told(inner, inside), *caught.spans]
    sound(both)
    assert {(span.name, span.span_id) for span in both} == {
        (span.name, span.span_id) for span in whole
    }
