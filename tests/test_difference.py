"""Which executions may go on under a changed definition, and that it is safe where they may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st
from pure import PureDriver, possibly_done, snapshot
from sagas import sagas

from sagakit import (
    DefinitionError,
    InDoubtError,
    Retry,
    Saga,
    Scenario,
    Simulated,
    Step,
    TerminalError,
    await_event,
    choice,
    for_each,
    pivot,
    simulate,
    step,
    sub_saga,
    timer,
)
from sagakit.coordinator import evolve, replay
from sagakit.drivers.attempt import Attempt
from sagakit.drivers.run import Run
from sagakit.errors import IllegalEventError
from sagakit.events import (
    AskReconcile,
    CompensationFailed,
    CompensationSucceeded,
    ExecutionMigrated,
    RunAction,
    StepFailed,
)
from sagakit.execution import Execution
from sagakit.scenario import Signal
from sagakit.transitions import ACTIVE, Phase


def act() -> None:
    """Do nothing."""


def undo() -> None:
    """Undo nothing."""


def link(name: str, **options: Any) -> Any:
    return step(act, undo, name=name, **options)


def cut(saga: Saga, count: int, scenario: Scenario | None = None) -> Execution:
    """An execution after its first ``count`` events."""
    return Execution(saga, simulate(saga, id="one", scenario=scenario).events[:count])


OLD = Saga("s", link("a"), link("b"), pivot(act, name="p"), step(act, name="r"), version="1")
BEFORE_B = 3  # started, a started, a succeeded


# -- what the difference says ---------------------------------------------------------------


def test_a_difference_names_every_change() -> None:
    new = Saga("t", step(act, name="a"), link("c"), pivot(act, name="p"), version="2")
    difference = Saga.diff(OLD, new)
    assert difference.changes == (
        "its name was 's' and is 't'",
        "its version was '1' and is '2'",
        "step 'a': compensation was True and is False",
        "step 'b' is gone",
        "step 'c' is new",
        "step 'p': after was ['b'] and is ['c']",
        "step 'r' is gone",
    )
    assert not difference.compatible
    assert "changes the steps, so each execution is judged by allows(execution): its" in repr(
        difference
    )


def test_what_the_journal_remembers_is_enough_for_the_old_one() -> None:
    new = Saga("s", link("a"), version="2")
    remembered = ("1", msgspec.json.decode(msgspec.json.encode(OLD.shape)))
    assert Saga.diff(remembered, new).changes == Saga.diff(OLD, new).changes
    assert Saga.diff(remembered, OLD) == Saga.diff(OLD, OLD)
    assert repr(Saga.diff(OLD, OLD)) == "<Difference of 's': none>"


@pytest.mark.parametrize(
    ("was", "now", "change"),
    [
        (step(act, name="x"), await_event("e", name="x"), "event was None and is 'e'"),
        (await_event("e", name="x"), step(act, name="x"), "event was 'e' and is None"),
        (step(act, name="x"), step(Simulated("x")), "simulated was False and is True"),
        (
            await_event("e", name="x", timeout=1),
            await_event("e", name="x", timeout=1, on_timeout="continue"),
            "on_timeout was 'fail' and is 'continue'",
        ),
    ],
)
def test_every_kind_of_step_may_become_another(was: Any, now: Any, change: str) -> None:
    assert f"step 'x': {change}" in Saga.diff(Saga("s", was), Saga("s", now)).changes


def test_a_change_inside_a_saga_or_a_fan_out_is_told_like_any_other() -> None:
    def outer(inner: Saga, limit: int, body: Step) -> Saga:
        return Saga("o", sub_saga(inner, name="in"), for_each("all", list, body, limit=limit))

    deep = [sub_saga(Saga("deep", *steps)) for steps in ([link("x")], [link("x"), link("y")])]
    was = outer(Saga("inner", deep[0]), 1, link("w"))
    now = outer(Saga("inner", deep[1], version="2"), 2, step(act, name="w"))
    assert Saga.diff(was, now).changes == (
        "step 'all': for_each has changed: its limit was 1 and is 2; "
        "step 'w': compensation was True and is False",
        "step 'in': saga has changed: its version was none and is '2'; "
        "step 'deep': saga has changed: step 'y' is new",
    )
    other = Saga("o", link("in"), for_each("all", list, link("v"), limit=1))
    assert Saga.diff(was, other).changes == (
        "step 'all': for_each has changed: its step was 'w' and is 'v'",
        "step 'in': compensation was False and is True",
        "step 'in': saga was 'inner' and is None",
    )


def test_a_refused_migration_of_a_begun_saga_says_what_changed_inside_it() -> None:
    inner = [Saga("in", await_event("go"), *more) for more in ([], [link("new")])]
    was, now = (Saga("o", sub_saga(one)) for one in inner)
    (why,) = Saga.diff(was, now).allows(simulate(was))
    assert why == "step 'in' has begun (running), and its saga has changed: step 'new' is new"


def test_numbers_words_and_the_version_leave_definitions_compatible() -> None:
    new = Saga(
        "s",
        link("a", retry=Retry(5), timeout=3, description="better"),
        link("b", service="bank"),
        pivot(act, name="p"),
        step(act, name="r"),
        version="2",
        deadline=9,
    )
    difference = Saga.diff(OLD, new)
    assert difference.compatible
    assert difference.changes == ("its version was '1' and is '2'",)
    assert "'s': compatible" in repr(difference)


# -- which executions it allows -------------------------------------------------------------

LATE = (pivot(act, name="p"), step(act, name="r"))
SAFE = {
    "a step behind everything": (link("a"), link("b"), *LATE, step(act, name="new")),
    "a step in front of what has not begun": (link("a"), link("new"), link("b"), *LATE),
    "a step beside": (
        link("a"),
        link("b"),
        link("new", after=()),
        pivot(act, name="p", after=("b", "new")),
        step(act, name="r"),
    ),
    "a step that has not begun is gone": (link("a"), *LATE),
    "another compensation for what has not begun": (link("a"), step(act, name="b"), *LATE),
    "another order of what has not begun": (
        link("a"),
        link("b"),
        step(act, undo, name="r"),
        pivot(act, name="p"),
    ),
    "the pivot moved": (link("a"), pivot(act, name="b"), step(act, name="p"), step(act, name="r")),
    "no pivot": (link("a"), link("b"), step(act, name="p"), step(act, name="r")),
    "an action becomes a wait": (link("a"), await_event("e", name="b"), *LATE),
    "an edge that says what is said already": (
        link("a"),
        link("b"),
        pivot(act, name="p", after=("a", "b")),
        step(act, name="r"),
    ),
}


@pytest.mark.parametrize("steps", SAFE.values(), ids=SAFE)
def test_what_has_not_begun_may_be_changed(steps: Any) -> None:
    assert Saga.diff(OLD, Saga("s", *steps)).allows(cut(OLD, BEFORE_B)) == []


UNSAFE = {
    "gone": ((link("b"), *LATE), "step 'a' has begun (succeeded), and is gone"),
    "a step in front": (
        (link("new"), link("a"), link("b"), *LATE),
        "step 'a' has begun (succeeded), and now comes after 'new'",
    ),
    "its compensation gone": (
        (step(act, name="a"), link("b"), *LATE),
        "step 'a' has begun (succeeded), and its compensation was True and is False",
    ),
    "the pivot now": (
        (pivot(act, name="a"), step(act, name="b"), step(act, name="p"), step(act, name="r")),
        "its pivot was False and is True",
    ),
    "a reconcile": (
        (link("a", reconcile=act), link("b"), *LATE),
        "its reconcile was False and is True",
    ),
}


@pytest.mark.parametrize(("steps", "reason"), UNSAFE.values(), ids=UNSAFE)
def test_what_has_begun_may_not(steps: Any, reason: str) -> None:
    new = Saga("s", *steps)
    assert any(reason in why for why in Saga.diff(OLD, new).allows(cut(OLD, BEFORE_B)))
    assert Saga.diff(OLD, new).allows(cut(OLD, 1)) == [], "nothing has begun"


def test_the_order_among_what_has_begun_stays() -> None:
    new = Saga("s", link("a"), link("b", after=()), pivot(act, name="p", after=("a", "b")))
    reasons = Saga.diff(OLD, new).allows(cut(OLD, 5))
    assert reasons == ["step 'b' has begun (succeeded), and no longer comes after 'a'"]


def test_a_skipped_step_has_begun() -> None:
    old = Saga("s", link("a", when=False), link("b"))
    new = Saga("s", link("b"))
    assert Saga.diff(old, new).allows(cut(old, 2)) == ["step 'a' has begun (skipped), and is gone"]


def test_a_wait_that_has_begun_keeps_what_it_waits_for() -> None:
    old = Saga("s", await_event("e"), link("b"))
    waiting = simulate(old)
    assert waiting.status == "waiting"
    for changed in (await_event("f", name="e"), timer("e", 5), step(act, name="e")):
        (why, *_) = Saga.diff(old, Saga("s", changed, link("b"))).allows(waiting)
        assert why.startswith("step 'e' has begun (waiting), and its event was 'e'")
    assert Saga.diff(old, Saga("s", await_event("e"), link("c"))).allows(waiting) == []


def test_a_choice_that_was_made_must_still_be_one() -> None:
    def routes(*names: str) -> Saga:
        by = Simulated("by", result="air")
        return Saga("s", *choice("route", by, {name: link(f"by_{name}") for name in names}))

    old = routes("air", "sea")
    chosen = cut(old, 3)
    assert chosen.results == {"route": "air"}
    assert Saga.diff(old, routes("rail", "air")).allows(chosen) == []
    (why,) = Saga.diff(old, routes("sea", "rail")).allows(chosen)
    assert why == "step 'route' has begun (succeeded), and its choice 'air' is no branch any more"


def test_a_real_step_is_not_to_be_recorded_as_done_by_nobody() -> None:
    twin = Saga("s", step(Simulated("a")), step(Simulated("b")))
    old = Saga("s", step(act, name="a"), step(act, name="b"))
    reasons = Saga.diff(old, twin).allows(cut(old, 1))
    assert reasons == [f"step '{n}' is a real one and would only be simulated" for n in "ab"]
    assert Saga.diff(twin, old).allows(cut(twin, 1)) == []


@pytest.mark.parametrize("status", ["completed", "compensated"])
def test_what_has_ended_stays_as_it_is(status: str) -> None:
    ended = simulate(OLD, scenario=None if status == "completed" else Scenario().fail("b"))
    assert Saga.diff(OLD, OLD).allows(ended) == [f"it has ended: it is {status}"]


def test_backward_recovery_goes_on_where_everything_begun_is_the_same() -> None:
    scenario = Scenario().fail("b")
    events = simulate(OLD, id="one", scenario=scenario).events
    turned = Execution(OLD, events[:-2])
    assert turned.states["a"] == "compensating"
    longer = Saga("s", link("a"), link("b"), link("new"), *LATE)
    assert Saga.diff(OLD, longer).allows(turned) == []
    assert Saga.diff(OLD, Saga("s", link("b"), *LATE)).allows(turned) != []


def test_a_stuck_execution_may_migrate_unless_a_new_step_would_have_been_to_do() -> None:
    stuck = simulate(OLD, id="one", scenario=Scenario().fail("r"))
    assert stuck.status == "stuck"
    behind = Saga("s", link("a"), link("b"), *LATE, step(act, name="new"))
    assert Saga.diff(OLD, behind).allows(stuck) == []
    beside = Saga("s", link("a"), link("b"), *LATE, step(act, name="new", after="p"))
    assert Saga.diff(OLD, beside).allows(stuck) == [
        "step 'new' would still have been to do when the execution got stuck"
    ]


def test_a_result_must_be_what_the_new_action_declares() -> None:
    def price() -> int:
        return 7

    def worded() -> list[str]:
        return []

    old = Saga("s", step(price), step(act))
    new = Saga("s", step(worded, name="price"), step(act))
    (why,) = Saga.diff(old, new).allows(cut(old, 3))
    assert "step 'price' stored a result that is not what its action declares now" in why


def test_an_execution_of_another_definition_is_told_apart() -> None:
    other = Saga("s", link("x"), link("y"))
    (why,) = Saga.diff(OLD, OLD).allows(cut(other, 3))
    assert why == "step 'x' is not part of the old definition"


# -- the event ------------------------------------------------------------------------------


def test_a_migration_moves_nothing_and_is_illegal_with_steps_under_way_or_at_the_end() -> None:
    event = ExecutionMigrated(9.0, "2", "new", "me", "why")
    state = replay(OLD.plan, cut(OLD, BEFORE_B).events)
    before = snapshot(state)
    assert snapshot(evolve(state, event)) == before
    with pytest.raises(IllegalEventError, match="has steps under way"):
        replay(OLD.plan, [*cut(OLD, 2).events, event])
    with pytest.raises(IllegalEventError, match="is completed"):
        replay(OLD.plan, [*simulate(OLD).events, event])
    stuck = simulate(OLD, scenario=Scenario().fail("r"))
    assert replay(OLD.plan, [*stuck.events, event]).phase is Phase.STUCK


# -- properties -----------------------------------------------------------------------------

MANY = settings(
    max_examples=2 * settings.default.max_examples, suppress_health_check=list(HealthCheck)
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Saga, Saga]:
    """A saga, and what some edits make of it."""
    old = Saga("s", *draw(sagas()).steps, version="1")
    steps = list(old.steps)
    for number in range(draw(st.integers(1, 3))):
        steps = _edited(draw, steps, f"new{number}")
    try:
        return old, Saga("s", *steps, version="2")
    except DefinitionError:
        reject()


def _edited(draw: Any, steps: list[Step], fresh: str) -> list[Step]:
    edits = ["drop", "behind", "last", "before", "undo", "edge", "pivot"]
    replace = msgspec.structs.replace
    place = draw(st.integers(0, len(steps) - 1))
    item = steps[place]
    above = item.after or ()
    match draw(st.sampled_from(edits)):
        case "drop" if len(steps) > 1:
            for other in steps:
                if item.name in (other.after or ()):
                    joined = {*other.after, *above} - {item.name}
                    steps = [replace(s, after=tuple(joined)) if s is other else s for s in steps]
            return [other for other in steps if other.name != item.name]
        case "behind":
            return [*steps, link(fresh, after=item.name)]
        case "last":
            return [*steps, step(act, name=fresh, after=[other.name for other in steps])]
        case "before":
            new = link(fresh, after=above)
            return [*steps[:place], new, replace(item, after=(fresh,)), *steps[place + 1 :]]
        case "undo":
            undo_it = None if item.compensation else Simulated("undo")
            changed = replace(item, compensation=undo_it, compensation_retry=None)
        case "edge":
            names = [other.name for other in steps[:place]]
            chosen = draw(st.sets(st.sampled_from(names), max_size=2)) if names else ()
            changed = replace(item, after=tuple(chosen))
        case _:  # the pivot moves
            steps = [replace(other, pivot=False) for other in steps]
            changed = replace(steps[place], pivot=True, compensation=None, compensation_retry=None)
    return [*steps[:place], changed, *steps[place + 1 :]]


@MANY
@given(pairs(), st.integers(0, 30), st.data())
def test_after_an_allowed_migration_all_goes_on_and_what_was_done_before_is_undone_in_its_order(
    pair: tuple[Saga, Saga], turns: int, data: st.DataObject
) -> None:
    old, new = pair
    misfortunes = [25]

    def choose(label: str, options: list[Any]) -> Any:
        found = data.draw(st.sampled_from(options if misfortunes[0] else options[:1]), label)
        misfortunes[0] -= found != options[0]
        return found

    driver = PureDriver(old, choose)
    while turns and driver.turn():
        turns -= 1
    if driver.state.phase in ACTIVE:
        driver.crash()
    execution = Execution(old, driver.events)
    assume(not Saga.diff(old, new).allows(execution))
    driver.saga = new
    driver.state = replay(new.plan, driver.events)
    driver.emit(ExecutionMigrated(driver.now, "2", new.fingerprint, "me", "test"))
    while True:
        while driver.turn():
            pass
        if driver.state.phase is not Phase.STUCK:
            break
        stuck = tuple(new.plan.names[number] for number in driver.state.stuck)
        driver.resolve(choose("resolution", ["skip", "retry"]), stuck)
    replay(new.plan, driver.events)
    if driver.state.phase is Phase.COMPENSATED:
        undone = [e.step for e in driver.events if isinstance(e, CompensationSucceeded)]
        failed = {e.step for e in driver.events if isinstance(e, StepFailed)}
        by_hand = {e.step for e in driver.events if isinstance(e, CompensationFailed)}
        done = possibly_done(driver.events) - failed
        begun = [old[name] for name in execution.begun]
        assert {s.name for s in begun if s.compensation} & done <= {*undone, *by_hand}
        order = {name: place for place, name in enumerate(undone)}
        for below in begun:
            for above in below.after or ():
                if below.name in order and above in order:
                    assert order[below.name] < order[above], "undone in the old order"


@MANY
@given(sagas(), st.integers(0, 30), st.data())
def test_a_compatible_definition_is_allowed_for_every_execution_that_has_not_ended(
    old: Saga, turns: int, data: st.DataObject
) -> None:
    driver = PureDriver(old, lambda label, of: data.draw(st.sampled_from(of), label))
    while turns and driver.turn():
        turns -= 1
    new = Saga(old.name, *old.steps, version="2", deadline=3)
    difference = Saga.diff(old, new)
    assert difference.compatible
    execution = Execution(old, driver.events)
    ended = execution.status in ("completed", "compensated")
    assert bool(difference.allows(execution)) is ended


class Fate:
    """Drives a ``Run``; what becomes of an attempt is decided by its step's name alone."""

    def __init__(self, run: Run, fates: Mapping[str, str]) -> None:
        self.run = run
        self.fates = fates
        self.now = 0.0
        self.open: list[Attempt] = []

    def family(self) -> list[Run]:
        """The run, and those that do steps of it."""
        found = [self.run]
        for run in found:
            found += [child.run for child in run.kin.children.values()] if run.kin else []
        return found

    def take_up(self) -> None:
        """Everything that can be done now."""
        known = -1
        while known != (known := sum(len(run.events) for run in self.family())):
            for run in self.family():
                self.open += run.take_up_all(self.now)

    def go(self, turns: int | None = None) -> str:
        """Go on for so many turns, or to the end; then let settle what is under way."""
        state = self.run.state
        for _ in range(1000 if turns is None else turns):
            if state.phase not in ACTIVE:
                break
            self.take_up()
            waits = [
                (run, wait)
                for run in self.family()
                for wait in run.state.waiting.values()
                if wait.event is not None
            ]
            if self.open:
                self.settle(self.open.pop(0))
            elif waits:
                for run, wait in waits:
                    run.signal(Signal(wait.event), f"signal {wait.step}", self.now)
            elif state.phase in ACTIVE:
                due = [at for run in self.family() if (at := run.next_due()) is not None]
                self.now = max(self.now, min(due))
        while self.open:
            self.settle(self.open.pop(0))
        assert turns is not None or state.phase not in ACTIVE, "it never ended"
        return state.status

    def settle(self, attempt: Attempt) -> None:
        command = attempt.command
        fate = self.fates.get(command.step, "ok")
        if isinstance(command, AskReconcile):
            attempt.run.returned(attempt, True, self.now)
        elif not isinstance(command, RunAction) or fate == "ok" or command.attempt > 1:
            attempt.run.returned(attempt, None, self.now)
        else:
            attempt.run.raised(attempt, ERRORS[fate], self.now)


ERRORS = {"fails": ValueError(), "is refused": TerminalError(), "is in doubt": InDoubtError()}


@MANY
@given(pairs(), st.integers(0, 12), st.data())
def test_a_migrated_execution_ends_as_one_that_ran_under_the_new_definition_from_the_beginning(
    pair: tuple[Saga, Saga], turns: int, data: st.DataObject
) -> None:
    old, new = pair
    names = sorted({*old.plan.names, *new.plan.names})
    fates = data.draw(
        st.dictionaries(st.sampled_from(names), st.sampled_from([*ERRORS]), max_size=2)
    )
    run = Run.begin(old, None, "one", 0.0, 0, None)
    moved = Fate(run, fates)
    moved.go(turns)
    difference = Saga.diff(old, new)
    assume(not difference.allows(run.snapshot()))
    run.migrate(new, difference, "me", "test", moved.now)
    assert run.execution().saga is new
    wholly = Fate(Run.begin(new, None, "two", 0.0, 0, None), fates)
    assert moved.go() == wholly.go()
