"""One saga under the rules of several tools: what each calls, and what each leaves behind."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from sagakit.drivers.attempt import Attempt
from sagakit.drivers.inputs import accept_input, must_be_saga, must_be_scenario
from sagakit.drivers.run import Run
from sagakit.drivers.simulated import Simulation, watched
from sagakit.errors import SagaError, ScenarioError
from sagakit.events import (
    CompensationAttemptFailed,
    CompensationFailed,
    CompensationStarted,
    CompensationSucceeded,
    RunCompensation,
    StepAttemptFailed,
    StepFailed,
    StepInDoubt,
    StepStarted,
    StepSucceeded,
)
from sagakit.execution import Execution
from sagakit.lab.calls import Unseen, make_calls
from sagakit.lab.rules import RULES, Names, Rule, Turned, reverse_order
from sagakit.redaction import Redaction
from sagakit.saga import Saga
from sagakit.scenario import Scenario, Side
from sagakit.views import Picture, RuleCall, RuleRow, calls_text, rules_picture

if TYPE_CHECKING:
    import pandas as pd


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the saga under one rule.

    Parameters:
        rule: its name, in words.
        ended: how it ended, as far as its caller knows: ``completed``, ``waiting``,
            ``compensated``, ``stuck``, or, under a rule that knows nothing like that,
            ``compensation failed``.
        calls: every call of an action or a compensation, in order, and what came of it.
        told: what its caller hears of: steps that failed, and ``undo …``.
        unseen: the compensations that failed and of which nobody hears.
        effects: what stands in the world now: by step, how often its effect does; of a world
            without ``effects()``, by entry, its value as text, as far as that has changed.
        residue: what of that is not to be there: all of it, if the execution was undone; if it
            was not, how often an effect stands beyond the first time.
        world: what ``world()`` gave. Where that is the same object each time, made fresh, it holds
            by now what the last rule left; ``effects`` are those of this one.
        execution: the coordinator's; under another rule than its own, of the way forward alone.
    """

    rule: str
    ended: str
    calls: tuple[RuleCall, ...]
    told: Names
    unseen: Names
    effects: Mapping[str, Any]
    residue: Mapping[str, Any]
    world: Any
    execution: Execution

    @property
    def order(self) -> Names:
        """The calls by name, in order: ``charge``, ``undo charge``."""
        return tuple(map(str, self.calls))


class Semantics:
    """One saga under several rules, side by side. A value.

    ``outcomes`` has an ``Outcome`` for each rule; ``found["swallow failures"]`` gives one.
    """

    def __init__(self, saga: Saga, scenario: Scenario, outcomes: Sequence[Outcome]) -> None:
        self.saga = saga
        self.scenario = scenario
        self.outcomes = tuple(outcomes)

    def __getitem__(self, rule: str | Rule) -> Outcome:
        """The outcome under a rule; KeyError names the rules there are."""
        name = _words(rule if isinstance(rule, str) else _name(rule))
        for outcome in self.outcomes:
            if outcome.rule == name:
                return outcome
        known = ", ".join(f"'{outcome.rule}'" for outcome in self.outcomes)
        raise KeyError(f"no rule '{name}' was tried; there are {known}")

    def frame(self) -> pd.DataFrame:
        """A row for each rule: how it ended, its calls, what was told, which failure nobody saw;
        and the residue."""
        import pandas as pd

        rows = [
            (outcome.ended, calls_text(outcome.calls), *_listed(outcome.told, outcome.unseen))
            for outcome in self.outcomes
        ]
        columns = ["ended", "calls", "told", "unseen"]
        return pd.concat([pd.DataFrame(rows, self._index(), columns), self.residue()], axis=1)

    def residue(self) -> pd.DataFrame:
        """What each rule leaves behind: a row for each rule; a column for each step, with how
        often its effect stands that is not to be there. Of worlds without ``effects()``, a column
        for each entry that changed, with its value as text."""
        import pandas as pd

        found = dict.fromkeys(name for outcome in self.outcomes for name in outcome.residue)
        steps = [name for name in self.saga.plan.names if self._counts]
        columns = list(dict.fromkeys([*steps, *found]))
        nothing: Any = 0 if self._counts else ""
        rows = [
            [outcome.residue.get(name, nothing) for name in columns] for outcome in self.outcomes
        ]
        return pd.DataFrame(rows, self._index(), columns)

    @property
    def _counts(self) -> bool:
        """Whether the worlds can say which effects stand in them."""
        return all(hasattr(outcome.world, "effects") for outcome in self.outcomes)

    def _index(self) -> pd.Index[str]:
        import pandas as pd

        return pd.Index([outcome.rule for outcome in self.outcomes], name="rule")

    def picture(self) -> Picture:
        """The calls under each rule, one behind the other, and what is left behind."""
        rows = [
            RuleRow(
                rule=outcome.rule,
                ended=outcome.ended,
                calls=outcome.calls,
                unseen=outcome.unseen,
                left=_left(outcome),
            )
            for outcome in self.outcomes
        ]
        return rules_picture(self.saga.name, str(self.scenario), rows)

    def __repr__(self) -> str:
        count = len(self.outcomes)
        left = sum(1 for outcome in self.outcomes if outcome.residue)
        unseen = sum(1 for outcome in self.outcomes if outcome.unseen)
        words = f"{count} rule{'' if count == 1 else 's'}, "
        blind = all(outcome.world is None for outcome in self.outcomes)
        none = "no world to look at" if blind else "no residue"
        words += f"{left} with a residue" if left else none
        words += f", {unseen} with an unseen failure" if unseen else ""
        return f"<Semantics of '{self.saga.name}' under {self.scenario}: {words}>"

    def _repr_html_(self) -> str:
        return self.picture()._repr_html_()


def semantics(
    saga: Saga,
    input: Any = None,
    *,
    world: Callable[[], Any] = lambda: None,
    scenario: Scenario | None = None,
    rules: Sequence[Rule] = RULES,
) -> Semantics:
    """Run one saga under the rules by which other tools undo, each in a world of its own.

    The way forward is the same under every rule, retries and timeouts included. Where it stops
    before its end, the rule says which compensations are called, and when; they are really
    called. None but sagakit's own rule knows a pivot, a reconcile or a stuck execution; nor do
    breakers and limits of services (``Service``) hold on the way back under the others.

    Parameters:
        input: of every execution.
        world: called before each rule; what it makes is where the actions act, in whatever way
            they reach it. Its ``effects()``, if it has that, says by step how often its effect
            stands; else its entries (a mapping's, an object's, or ``world`` itself of what has
            none, such as a list) are compared with what they were before. Without a world the
            calls alone are compared.
        scenario: faults to inject; the same under each rule.
        rules: of ``sagakit.lab.rules``, or generator functions of one's own.

    Raises:
        DefinitionError: what was given is no saga.
        SagaError: sagas do steps of this one; a rule yields what is no step; or the world can
            neither be asked nor compared.
        ScenarioError: a fault names a step that the saga lacks; or the coordinator is to crash.
    """
    scenario = Scenario() if scenario is None else scenario
    if callable(rules):
        raise TypeError(f"rules is {rules!r}; give a list of them")
    _check(saga, scenario, rules)
    kept = accept_input(saga, input)
    outcomes = [_outcome(saga, kept, world(), scenario, rule) for rule in rules]
    return Semantics(saga, scenario, outcomes)


def _check(saga: Saga, scenario: Scenario, rules: Sequence[Rule]) -> None:
    must_be_saga(saga)
    must_be_scenario(scenario)
    if saga.plan.nests:
        name = saga.plan.names[next(iter(saga.plan.nests))]
        raise SagaError(
            f"saga '{saga.name}': step '{name}' is done by a saga, and the rules of other tools "
            "know none within another; try them on that saga alone"
        )
    if scenario.crashes:
        raise ScenarioError(
            f"{scenario}: who remembers anything after a crash is no matter of these rules; "
            "leave the crash out, or explore it"
        )
    scenario.check(saga)
    names = [_name(rule) for rule in rules]
    if not names or len(set(names)) < len(names):
        problem = f"names a rule twice: {', '.join(names)}" if names else "has no rules to try"
        raise SagaError(f"saga '{saga.name}': {problem}; give each once, or leave rules= out")


def _id(saga: Saga) -> str:
    """The id of each execution: the keys are the same under every rule."""
    return f"{saga.name}-0"


def _name(rule: Rule) -> str:
    return _words(getattr(rule, "__name__", repr(rule)))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _listed(*some: Iterable[str]) -> list[str]:
    return [", ".join(names) for names in some]


def _left(outcome: Outcome) -> tuple[str, ...] | None:
    if outcome.world is None:
        return None
    return tuple(_stands(name, value) for name, value in outcome.residue.items())


def _stands(step: str, value: Any) -> str:
    if isinstance(value, int):
        return step if value == 1 else f"{step} ×{value}"
    return f"{step} = {value}"


def _outcome(saga: Saga, kept: Any, world: Any, scenario: Scenario, rule: Rule) -> Outcome:
    entries = None if hasattr(world, "effects") else _Entries(saga, world)
    if rule is reverse_order:
        execution = watched(saga, kept, _id(saga), 0, scenario, None)
        calls, told, ended = _read_calls(execution), _given_up(execution), execution.status
    else:
        model = _Model(saga, kept, scenario, rule)
        execution, calls, told, ended = model.execution, model.calls, model.told, model.ended
    last = {str(call): call.outcome for call in calls}  # a retry may have helped
    failed = [name for name, outcome in last.items() if outcome == "compensation failed"]
    effects = _standing(world) if entries is None else entries.changed(world, execution.redaction)
    kept_on = {"completed", "waiting"}
    residue = _surplus(effects) if ended in kept_on else effects
    return Outcome(
        rule=_name(rule),
        ended=ended,
        calls=tuple(calls),
        told=told,
        unseen=tuple(name for name in failed if name not in told),
        effects=effects,
        residue=residue,
        world=world,
        execution=execution,
    )


# -- what was called ------------------------------------------------------------------------


_BEGINNINGS: dict[Any, Side] = {StepStarted: "action", CompensationStarted: "compensation"}
_OUTCOMES: dict[Any, str] = {
    StepSucceeded: "succeeded",
    StepFailed: "failed",
    StepInDoubt: "in doubt",
    CompensationSucceeded: "compensated",
    CompensationAttemptFailed: "compensation failed",
    CompensationFailed: "compensation failed",
}


def _read_calls(execution: Execution) -> list[RuleCall]:
    """Every call of an action or a compensation, in the order in which they began."""
    plan = execution.saga.plan
    calls: list[RuleCall] = []
    under_way: dict[str, int] = {}
    event: Any
    for event in execution.events:
        name = getattr(event, "step", "")
        side = _BEGINNINGS.get(type(event))
        if side == "compensation" or (side and plan.actions[plan.index[name]] is not None):
            beside = bool(under_way)
            under_way[name] = len(calls)
            calls.append(RuleCall(name, side, event.attempt, "running", beside))
        elif name in under_way and (outcome := _outcome_of(event)):
            number = under_way.pop(name)
            calls[number] = msgspec.structs.replace(calls[number], outcome=outcome)
    return calls


def _outcome_of(event: Any) -> str:
    if isinstance(event, StepAttemptFailed):
        return "in doubt" if event.in_doubt else "failed"
    return _OUTCOMES.get(type(event), "")


def _given_up(execution: Execution) -> Names:
    """The steps that were given up, and the compensations, as the coordinator tells of them."""
    actions = [e.step for e in execution.events if isinstance(e, StepFailed | StepInDoubt)]
    undos = [f"undo {e.step}" for e in execution.events if isinstance(e, CompensationFailed)]
    return (*actions, *undos) if execution.status != "completed" else ()


_CURE = "yield tuples of the names that it is told"


class _Model:
    """The way forward by the coordinator, the way back by a rule."""

    def __init__(self, saga: Saga, kept: Any, scenario: Scenario, rule: Rule) -> None:
        self.saga = saga
        self.rule = rule
        faults = tuple(fault for fault in scenario.faults if fault.side == "action")
        forward = msgspec.structs.replace(scenario, faults=faults)
        self.run = Run.begin(_one_way(saga), kept, _id(saga), 0.0, 0, forward)
        self.run.watch = Unseen()
        self.execution = Simulation(self.run, 0.0, {}).finish()
        self.calls = _read_calls(self.execution)
        self.told: Names = ()
        self.ended = self.execution.status
        if self.ended != "compensated":
            return
        self.run.scenario = scenario
        self.tries: Counter[str] = Counter()
        self.told = self._go_back()
        if any(name.startswith("undo ") for name in self.told):
            self.ended = "compensation failed"
        # Who calls no compensation behind which they would arrive gets them all the same.
        make_calls(list(self.run.late.values()))

    def _go_back(self) -> Names:
        undoing = self.rule(_turned(self.saga, self.execution))
        if not hasattr(undoing, "send"):
            raise SagaError(
                f"rule '{_name(self.rule)}' gives {undoing!r}; write a generator function: it "
                "yields the names of steps to undo at once"
            )
        try:
            names = next(undoing)
            while True:
                names = undoing.send(self._undo(names))
        except StopIteration as stop:
            told: Names = stop.value or ()
            return told

    def _undo(self, names: Any) -> Names:
        """Call the compensations of these steps at once; those that failed."""
        if isinstance(names, str) or not isinstance(names, Collection):
            raise SagaError(f"rule '{_name(self.rule)}' yields {names!r}; {_CURE}")
        attempts = [attempt for name in names if (attempt := self._attempt(name)) is not None]
        errors = make_calls(attempts)
        failed = []
        for number, (attempt, error) in enumerate(zip(attempts, errors, strict=True)):
            name = attempt.command.step
            outcome = "compensated" if error is None else "compensation failed"
            beside = number > 0
            self.calls.append(RuleCall(name, "compensation", attempt.attempt, outcome, beside))
            failed += [name] if error is not None else []
        return tuple(failed)

    def _attempt(self, name: str) -> Attempt | None:
        plan = self.saga.plan
        if name not in plan.index:
            raise SagaError(
                f"rule '{_name(self.rule)}' would undo '{name}', which is no step of saga "
                f"'{self.saga.name}'; {_CURE}"
            )
        number = plan.index[name]
        undo = plan.compensations[number]
        if undo is None:
            return None
        self.tries[name] += 1
        tries, timeout = self.tries[name], plan.compensation_timeout[number]
        command = RunCompensation(name, tries)
        attempt = Attempt(self.run, command, undo, undo.latency, "compensation", tries, timeout)
        return self.run.under_fault(attempt)


def _one_way(saga: Saga) -> Saga:
    """The saga without any way back: where it fails, it stops."""
    nothing = {"compensation": None, "compensation_retry": None, "compensation_timeout": None}
    steps = [
        msgspec.structs.replace(item, **nothing, reconcile=None, pivot=False) for item in saga.steps
    ]
    return saga.with_steps(*steps)


def _turned(saga: Saga, execution: Execution) -> Turned:
    calls = _read_calls(execution)
    called = dict.fromkeys(call.step for call in calls)
    succeeded = [e.step for e in execution.events if isinstance(e, StepSucceeded)]
    retries = zip(saga.plan.names, saga.plan.compensation_retry, strict=True)
    return Turned(
        begun=tuple(called),
        succeeded=tuple(name for name in succeeded if name in called),
        failed=_given_up(execution),
        attempts={name: retry.attempts for name, retry in retries},
    )


# -- what is left behind --------------------------------------------------------------------


def _standing(world: Any) -> dict[str, int]:
    return {step: count for step, count in world.effects().items() if count}


def _surplus(effects: Mapping[str, Any]) -> dict[str, Any]:
    """Of an execution that was not undone: what stands more than once."""
    counts = {step: count for step, count in effects.items() if isinstance(count, int)}
    return {step: count - 1 for step, count in counts.items() if count > 1}


class _Entries:
    """The entries of a world that cannot say what stands in it, as they are before anything
    happens."""

    def __init__(self, saga: Saga, world: Any) -> None:
        self.saga = saga
        self.before = {name: self._digest(name, value) for name, value in _entries(world).items()}

    def changed(self, world: Any, redaction: Redaction | None) -> dict[str, str]:
        """What has changed since, as text."""
        after = _entries(world)
        gone = {name: "(gone)" for name in self.before if name not in after}
        return gone | {
            name: _text(value, redaction)
            for name, value in after.items()
            if self._digest(name, value) != self.before.get(name)
        }

    def _digest(self, name: str, value: Any) -> bytes:
        try:
            return pickle.dumps(copy.deepcopy(value))
        except Exception as error:  # noqa: BLE001  a world may be anything
            raise SagaError(
                f"saga '{self.saga.name}': entry '{name}' of its world cannot be compared with "
                f"what it was ({type(error).__name__}: {error}); give the world effects(): by "
                "step, how often its effect stands"
            ) from None


def _entries(world: Any) -> dict[str, Any]:
    if isinstance(world, Mapping):
        return {str(name): value for name, value in world.items()}
    if hasattr(world, "__dict__") and not isinstance(world, Collection):
        return dict(vars(world))
    return {} if world is None else {"world": world}


def _text(value: Any, redaction: Redaction | None) -> str:
    return repr(value) if redaction is None else redaction.scrub(repr(redaction.clean(value)))
