"""A definition compiled once: neighbours as index lists, kinds, call signatures, and its problems.

The coordinator and the drivers read a ``Plan``; it is derived from the steps and never changes.
"""

from __future__ import annotations

import collections
import contextlib
import graphlib
import inspect
import itertools
import types
import typing
from collections.abc import Awaitable, Callable, Container, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from sagakit.connectors.base import Connector
from sagakit.connectors.cel import Cel
from sagakit.errors import Problem, within
from sagakit.journal import codec
from sagakit.quantities import is_seconds
from sagakit.resilience import Service
from sagakit.spec import Retry, Simulated, nearest
from sagakit.steps import (
    Choose,
    ForEach,
    Nested,
    OnTimeout,
    Special,
    Wait,
    behind_partials,
    callable_name,
    in_role,
    rehearsed,
)

if TYPE_CHECKING:
    from sagakit.steps import Step

Kind = Literal["compensatable", "pivot", "retriable"]

# After the pivot a step is retried until it succeeds; without a policy of its own, like this.
RETRIABLE = Retry(wait=1.0, backoff=2.0, max_wait=60.0)
# A compensation is retried a little by default: giving up makes the execution stuck.
COMPENSATION_RETRY = Retry(attempts=3, wait=0.1)
_PLAIN = (types.NoneType, bool, int, float, str, list, tuple, dict)


class Call:
    """How to call one callable: with the context or without, whether it is a coroutine, and how
    many seconds of ``latency`` a simulated one pretends to take."""

    __slots__ = ("_decode", "_result_type", "function", "is_async", "latency", "takes_context")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.takes_context = _takes_context(function) is True
        self.is_async = _is_async(function)
        self.latency = function.latency if isinstance(function, Simulated) else 0.0
        self._result_type: Any = None
        self._decode: Callable[[bytes], Any] | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return Call, (self.function,)

    def through(self, function: Callable[..., Any]) -> Call:
        """The same call through another function, which is given the context."""
        twin = Call.__new__(Call)
        twin.function = function
        twin.takes_context = True
        twin.is_async = self.is_async
        twin.latency = self.latency
        twin._result_type = self._result_type or self.result_type
        twin._decode = self._decode or self.decode
        return twin

    def rehearsed(self) -> Call:
        """The call as a simulation makes it: itself, unless it is a connector's."""
        stand_in = rehearsed(self.function)
        return self if stand_in is self.function else Call(stand_in)

    @property
    def result_type(self) -> Any:
        """The annotated type of what it returns; ``Any`` when there is none. A stand-in has its
        result for an annotation."""
        if self._result_type is None and isinstance(self.function, Simulated):
            kind = type(self.function.result)
            self._result_type = Any if kind in _PLAIN else kind
        elif self._result_type is None:
            self._result_type = _annotated_result(self.function)
        return self._result_type

    @property
    def decode(self) -> Callable[[bytes], Any]:
        """Reads JSON as the annotated type of what it returns."""
        if self._decode is None:
            self._decode = msgspec.json.Decoder(self.result_type).decode
        return self._decode


class WaitCall(typing.NamedTuple):
    """What a step waits for; a callable gives its seconds or correlation when it begins."""

    event: str | None
    correlate: Call | None
    timeout: float | Call | None
    on_timeout: OnTimeout


class ChooseCall(typing.NamedTuple):
    """How a step chooses, and what there is to choose from."""

    by: Call
    branches: tuple[str, ...]


class Chosen(typing.NamedTuple):
    """The condition of a step in a branch, and the one of its own."""

    chooser: str
    branch: str
    when: Call | bool | None


class NestCall(typing.NamedTuple):
    """What a step that is done by a saga gives that saga as its input; None: the step's own."""

    input: Call | None
    each: bool  # the input is a list, and the saga has a step for each item


class Plan:
    """The compiled form of a saga's steps. Every list is indexed by the step's number."""

    __slots__ = (
        "actions",
        "after",
        "choices",
        "compensation_retry",
        "compensation_timeout",
        "compensations",
        "deadline",
        "dependents",
        "each",
        "guards",
        "index",
        "kinds",
        "limit",
        "missing",
        "names",
        "nests",
        "pivot",
        "reads",
        "reconciles",
        "rehearsal",
        "retry",
        "roots",
        "timeout",
        "undoable",
        "waits",
        "whens",
    )

    def __init__(
        self,
        steps: Sequence[Step],
        deadline: float | None,
        services: Sequence[Service] = (),
        *,
        retriable: bool = False,
    ) -> None:
        """
        Parameters:
            retriable: all of it stands after the pivot of another saga.
        """
        calls: dict[int, Call] = {}

        def call(
            function: Callable[..., Any] | None, role: str = "", action: Any = None
        ) -> Call | None:
            if function is None:
                return None
            called = in_role(function, role, action)
            if called is not function:
                return Call(called)
            if id(function) not in calls:
                calls[id(function)] = Call(function)
            return calls[id(function)]

        size = len(steps)
        self.names = [step.name for step in steps]
        self.index = {name: number for number, name in enumerate(self.names)}
        self.after = [tuple(self.index[name] for name in step.after or ()) for step in steps]
        dependents: list[list[int]] = [[] for _ in range(size)]
        for number, above in enumerate(self.after):
            for other in above:
                dependents[other].append(number)
        self.dependents = [tuple(below) for below in dependents]
        self.missing = [len(above) for above in self.after]
        self.roots = [number for number in range(size) if not self.after[number]]
        self.pivot = next((number for number in range(size) if steps[number].pivot), None)
        self.kinds: list[Kind] = ["retriable"] * size if retriable else self._derive_kinds(size)
        self.actions = [
            None if isinstance(step.action, Special) else call(step.action) for step in steps
        ]
        self.nests = {
            number: NestCall(call(step.action.items), each=True)
            if isinstance(step.action, ForEach)
            else NestCall(call(step.action.input), each=False)
            for number, step in enumerate(steps)
            if isinstance(step.action, Nested | ForEach)
        }
        self.each = False  # a step for each item of the input
        self.limit = 0  # how many steps are begun, or undone, at once; 0: without a limit
        self.choices = {
            number: ChooseCall(typing.cast(Call, call(step.action.by)), keys_of(step, steps))
            for number, step in enumerate(steps)
            if isinstance(step.action, Choose)
        }
        self.waits = {
            number: WaitCall(
                step.action.event,
                call(step.action.correlate),
                call(step.action.timeout, "timeout")
                if callable(step.action.timeout)
                else step.action.timeout,
                step.action.on_timeout,
            )
            for number, step in enumerate(steps)
            if isinstance(step.action, Wait)
        }
        self.compensations = [call(step.compensation) for step in steps]
        self.undoable = [
            undo is not None or (number in self.nests and kind == "compensatable")
            for number, (undo, kind) in enumerate(zip(self.compensations, self.kinds, strict=True))
        ]
        self.reconciles = [call(step.reconcile, "reconcile", step.action) for step in steps]
        whens = [
            step.when if isinstance(step.when, bool | None) else call(step.when, "when")
            for step in steps
        ]
        self.whens: list[Call | bool | Chosen | None] = [
            when if step.branch is None else Chosen(*step.branch, when)
            for step, when in zip(steps, whens, strict=True)
        ]
        self.retry = [
            step.retry or (RETRIABLE if kind == "retriable" else Retry())
            for step, kind in zip(steps, self.kinds, strict=True)
        ]
        self.timeout = [step.timeout for step in steps]
        self.compensation_retry = [step.compensation_retry or COMPENSATION_RETRY for step in steps]
        self.compensation_timeout = [step.compensation_timeout for step in steps]
        self.deadline = deadline
        by_name = {service.name: service for service in services}
        guards = [by_name.get(step.service or "") for step in steps]
        # None where nothing is guarded: the one test that a saga without services costs
        self.guards = guards if services else None
        self.reads = [step.read for step in steps]
        self.rehearsal = self._rehearsal()

    def _rehearsal(self) -> Plan | None:
        """The plan by which a simulation runs, in which no connector is called; None where this one
        has none."""
        slots = ("actions", "compensations", "reconciles")
        found = {
            slot: [call and call.rehearsed() for call in getattr(self, slot)] for slot in slots
        }
        if all(
            one is two
            for slot in slots
            for one, two in zip(found[slot], getattr(self, slot), strict=True)
        ):
            return None
        twin = Plan.__new__(Plan)
        for slot in Plan.__slots__:
            if slot != "rehearsal":
                setattr(twin, slot, found.get(slot) or getattr(self, slot))
        twin.rehearsal = None
        return twin

    def for_each(self, count: int, limit: int) -> Plan:
        """The plan of so many steps side by side, each like the one step of this plan."""
        many = Plan.__new__(Plan)
        for slot in _EACH_STEP:
            setattr(many, slot, getattr(self, slot) * count)
        many.guards = None if self.guards is None else self.guards * count
        for slot in ("choices", "nests", "waits"):
            found = getattr(self, slot)
            setattr(many, slot, dict.fromkeys(range(count), found[0]) if found else {})
        many.names = [str(number) for number in range(count)]
        many.index = {name: number for number, name in enumerate(many.names)}
        many.roots = list(range(count))
        many.pivot = many.deadline = None
        many.each = True
        many.limit = limit
        many.rehearsal = None if self.rehearsal is None else self.rehearsal.for_each(count, limit)
        return many

    def _derive_kinds(self, size: int) -> list[Kind]:
        kinds: list[Kind] = ["compensatable"] * size
        if self.pivot is not None:
            for number in reach(self.pivot, self.dependents):
                kinds[number] = "retriable"
            kinds[self.pivot] = "pivot"
        return kinds


# The lists of a plan that hold something for each step.
_EACH_STEP = (
    "actions",
    "after",
    "compensation_retry",
    "compensation_timeout",
    "compensations",
    "dependents",
    "kinds",
    "missing",
    "reads",
    "reconciles",
    "retry",
    "timeout",
    "undoable",
    "whens",
)


def innermost(step: Step) -> Step:
    """The step, or what it does for each item, or what that does for each of its items."""
    while isinstance(step.action, ForEach):
        step = step.action.body
    return step


def owner(step: Step) -> str | None:
    """The service that does the step, or what it does for each item."""
    return innermost(step).service


def keys_of(chooser: Step, steps: Sequence[Step]) -> tuple[str, ...]:
    """The names of a choice's branches."""
    inside = (step.branch for step in steps if step.branch is not None)
    return tuple(dict.fromkeys(key for name, key in inside if name == chooser.name))


def reach(start: int, neighbours: Sequence[Sequence[int]]) -> set[int]:
    """Every number that can be reached from ``start``, itself left out."""
    found: set[int] = set()
    front = [start]
    while front:
        for other in neighbours[front.pop()]:
            if other not in found:
                found.add(other)
                front.append(other)
    return found


# -- problems of a definition ---------------------------------------------------------------

_ASKED = ("when", "choice", "correlate", "timeout", "input", "items")  # for an answer, at once
_INSIDE = {"correlate": ("wait",), "timeout": ("wait",), "items": ("for_each",)}
_NEAR = 20  # looking for the nearest name is slow: after so many problems it is left
_CYCLES = 10
_TYPES: tuple[tuple[str, Any, str], ...] = (
    ("pivot", bool, "True or False"),
    ("idempotent", bool, "True or False"),
    ("service", str | None, "text"),
    ("read", bool, "True or False"),
    ("description", str, "text"),
)


def problems(steps: Sequence[Step], *, retriable: bool = False) -> list[Problem]:
    """Everything wrong with these steps, each naming the step and the cure; empty when sound.

    Parameters:
        retriable: all of them stand after the pivot of another saga.
    """
    if not steps:
        return [Problem("has no steps; give at least one", "steps")]
    nameless = [step for step in steps if not isinstance(step.name, str)]
    if nameless:
        found = [Problem(f"a step's name is {step.name!r}; give text") for step in nameless]
        return found + step_problems(steps)
    found = _names(steps) + step_problems(steps)
    cycles = _cycles(steps)
    found += cycles + _pivots(steps)
    order = _Order(steps, cyclic=bool(cycles))
    found += [] if retriable else _nested_pivots(steps, order)
    found += _places(steps, order)
    if any(step.branch is not None or isinstance(step.action, Choose) for step in steps):
        found += _branches(steps, order)
    return found


def step_problems(steps: Iterable[Step]) -> list[Problem]:
    """What is wrong with each step by itself."""
    found: list[Problem] = []
    for number, step in enumerate(steps):
        found += within(_options(step), "steps", number)
    return found


class _Order:
    """Who comes after whom, as far as it can be told of steps that may not be in order yet.

    Of a name that no step has, or several, and of an edge of a cycle, it is not known what will
    become of it. What is said for certain holds without them; what may be, with them.

    Parameters:
        cyclic: some of the steps form a cycle.
    """

    def __init__(self, steps: Sequence[Step], *, cyclic: bool) -> None:
        count = collections.Counter(step.name for step in steps)
        self.index = {
            step.name: number for number, step in enumerate(steps) if count[step.name] == 1
        }
        self.after = [[self.index[name] for name in _above(step, self.index)] for step in steps]
        self.whole = all(
            len(above) == len(step.after or ())
            for above, step in zip(self.after, steps, strict=True)
        )
        self.dependents: list[list[int]] = [[] for _ in steps]
        for number, above in enumerate(self.after):
            for other in above:
                self.dependents[other].append(number)
        self.certain = self._acyclic() if cyclic else self.dependents

    def _acyclic(self) -> list[list[int]]:
        """The dependents without the edges of cycles."""
        import networkx

        edges = [(other, number) for number, above in enumerate(self.after) for other in above]
        parts = networkx.strongly_connected_components(networkx.DiGraph(edges))
        part = {number: count for count, inside in enumerate(parts) for number in inside}
        return [
            [other for other in below if part[other] != part[number]]
            for number, below in enumerate(self.dependents)
        ]


def service_problems(services: Sequence[object], steps: Sequence[Step]) -> list[Problem]:
    """What is wrong with the services of a saga of these steps, each with its cure."""
    found: list[Problem] = []
    owned: dict[str, list[Step]] = {}
    for step in steps:
        name = owner(step)
        if isinstance(name, str):
            owned.setdefault(name, []).append(innermost(step))
    seen: dict[object, int] = {}
    for number, service in enumerate(services):
        if not isinstance(service, Service):
            found.append(Problem(f"{service!r} is not a service; give Service('NAME', …)"))
            continue
        place = f"service '{service.name}'"

        def add(text: str, *key: str | int, number: int = number, place: str = place) -> None:
            found.append(Problem(f"{place}{text}", "services", number, *key))

        for problem in service.problems():
            add(f": {problem}", *problem.path)
        seen[service.name] = count = seen.get(service.name, 0) + 1
        if count == 2:
            add(" is defined more than once; keep one, with all its policies")
        if count > 1:
            continue
        steps_of = owned.get(service.name, [])
        if not steps_of:
            near = nearest(str(service.name), owned) if len(found) < _NEAR else ""
            cure = near or "; give a step service=, or drop it"
            add(f" is named by no step{cure}")
        elif service.hedge is not None and not any(step.read for step in steps_of):
            add(
                " has a hedge, and none of its steps is a read; declare one that has no "
                "effect read=True, or drop the hedge",
                "hedge",
            )
    return found


def _names(steps: Sequence[Step]) -> list[Problem]:
    found: list[Problem] = []
    seen: set[str] = set()
    repeated: dict[str, int] = {}
    for number, step in enumerate(steps):
        if step.name in seen:
            repeated.setdefault(step.name, number)
        seen.add(step.name)
    found += [
        Problem(f"step '{name}' is defined more than once; give each its own name", "steps", number)
        for name, number in repeated.items()
    ]
    for number, step in enumerate(steps):
        if not step.name:
            found.append(Problem("a step has an empty name; give name=", "steps", number))
        elif "/" in step.name or not step.name.isprintable():
            text = f"step {step.name!r}: a name has no '/' and only printable characters"
            found.append(Problem(text, "steps", number))
        above: Iterable[object] = step.after or ()
        for other in above:
            if not isinstance(other, str):
                text = f"step '{step.name}' comes after {other!r}; give a step's name, text"
            elif other not in seen:
                near = nearest(other, seen) if len(found) < _NEAR else ""
                cure = near or "; name one of the saga's steps"
                text = f"step '{step.name}' comes after '{other}', which does not exist{cure}"
            else:
                continue
            found.append(Problem(text, "steps", number, "after"))
    return found


def _above(step: Step, known: Container[str]) -> list[str]:
    """The names in ``after`` that stand for a step."""
    return [name for name in step.after or () if isinstance(name, str) and name in known]


def _options(step: Step) -> list[Problem]:
    """What is wrong with one step by itself; its own keys are where."""
    place = f"step '{step.name}'"
    found: list[Problem] = []

    def add(text: str, *key: str | int) -> None:
        found.append(Problem(f"{place}{text}", *key))

    for option in ("retry", "compensation_retry"):
        policy = getattr(step, option)
        if isinstance(policy, Retry):
            for problem in policy.problems():
                add(f": {option}: {problem}", option, *problem.path)
        elif policy is not None:
            add(f": {option} is {policy!r}; give a Retry(attempts=…)", option)
    for option in ("timeout", "compensation_timeout"):
        value = getattr(step, option)
        if value is not None and not (is_seconds(value) and value > 0):
            add(f": {option} is {value!r}; give seconds above 0, or leave it out", option)
    for option, kind, cure in _TYPES:
        value = getattr(step, option)
        if not isinstance(value, kind):
            add(f": {option} is {value!r}; give {cure}", option)
    functions = {
        role: getattr(step, role) for role in ("action", "compensation", "reconcile", "when")
    }
    if isinstance(step.action, Choose):
        functions |= {"action": None, "choice": step.action.by}
        found += _calls_nothing(step, "chooses", "retry")
    if isinstance(step.action, Nested | ForEach):
        found += _nested(step, step.action)
        each = isinstance(step.action, ForEach)
        given = step.action.items if isinstance(step.action, ForEach) else step.action.input
        functions |= {"action": None, "items" if each else "input": given}
    if isinstance(step.action, Wait):
        found += _wait(step, step.action)
        functions |= {"action": None, "correlate": step.action.correlate}
        if callable(step.action.timeout):
            functions["timeout"] = step.action.timeout
    for role, function in functions.items():
        key = (*_INSIDE.get(role, ()), role) if isinstance(step.action, Special) else (role,)
        if function is None or isinstance(function, bool):
            continue
        if not callable(function):
            cure = "declare it with sub_saga()" if hasattr(function, "plan") else "give a function"
            add(f": its {role} is {function!r}, which cannot be called; {cure}", *key)
        elif isinstance(function, Connector | Cel):
            for problem in function.problems(role, step.action):
                add(f": {role}: {problem}", *key, *problem.path)
        elif isinstance(function, Simulated):
            if not is_seconds(function.latency):
                add(
                    f": the latency of its {role} is {function.latency!r}; give seconds, 0 or more",
                    *key,
                    "latency",
                )
            unkept = codec.unkept(function.result) if role == "action" else ""
            if unkept:
                cure = "give plain data (a date only by itself)"
                text = f": the result of its simulated {role}{unkept}; {cure}"
                add(text, *key, "result")
        elif _takes_context(function) is None:
            label = callable_name(function) or role
            add(
                f": {label}() needs more than one argument, or one by name; take nothing or one, "
                "the context",
                *key,
            )
        elif role in _ASKED and _is_async(function):
            add(f": its {role} is a coroutine; make it a plain function", *key)
    if step.compensation is None:
        for option in ("compensation_retry", "compensation_timeout"):
            if getattr(step, option) is not None:
                add(f": {option} without a compensation; add one or drop {option}", option)
    if step.read is True and step.compensation is not None:
        add(" only reads, which leaves nothing to undo; drop its compensation", "compensation")
    return found


def _wait(step: Step, wait: Wait) -> list[Problem]:
    """What is wrong with a step that waits."""
    place = f"step '{step.name}'"
    found: list[Problem] = []

    def add(text: str, *key: str) -> None:
        found.append(Problem(f"{place}{text}", "wait", *key))

    if wait.event is None and wait.timeout is None:
        add(" waits for nothing; give an event or a timeout")
    elif wait.event is not None and not (
        isinstance(wait.event, str) and wait.event.strip() and wait.event.isprintable()
    ):
        add(f" waits for the event {wait.event!r}; give printable text", "event")
    seconds = wait.timeout
    if not (seconds is None or callable(seconds) or (is_seconds(seconds) and seconds > 0)):
        add(f": timeout is {seconds!r}; give seconds above 0, or a function", "timeout")
    if wait.on_timeout not in typing.get_args(OnTimeout):
        add(f": on_timeout is {wait.on_timeout!r}; give 'fail' or 'continue'", "on_timeout")
    elif wait.event is None and wait.on_timeout == "fail":
        add(" waits only for a time; let its on_timeout be 'continue'", "on_timeout")
    return found + _calls_nothing(step, "waits", "retry")


def _calls_nothing(step: Step, what: str, *more: str) -> list[Problem]:
    return [
        Problem(f"step '{step.name}' {what} and calls nothing; drop its {option}", option)
        for option in ("timeout", "reconcile", "idempotent", "read", *more)
        if getattr(step, option)
    ]


def _nested(step: Step, inside: Nested | ForEach) -> list[Problem]:
    """What is wrong with a step that a saga does, apart from that saga."""
    place = f"step '{step.name}'"
    if step.compensation is not None:
        text = f"{place} is undone by the saga that does it; drop its compensation"
        return [Problem(text, "compensation")]
    if isinstance(inside, Nested):
        if not (hasattr(inside.saga, "plan") and hasattr(inside.saga, "steps")):
            text = f"{place} runs {inside.saga!r}, which is not a Saga; of a builder give .build()"
            return [Problem(text, "saga")]
        return _calls_nothing(step, "runs a saga")
    found = _calls_nothing(step, "works on items", "retry")
    if type(inside.limit) is not int or inside.limit < 1:
        text = f"{place}: limit is {inside.limit!r}; give a whole number, 1 or more"
        found.append(Problem(text, "for_each", "limit"))
    body = inside.body
    at = f"{place}: what it does for each item, '{body.name}',"
    if body.after or body.branch is not None or isinstance(body.action, Choose):
        text = f"{at} stands alone; for several steps give a saga"
        found.append(Problem(text, "for_each", "step"))
    if body.pivot:
        text = f"{at} cannot be the pivot; make '{step.name}' the pivot"
        found.append(Problem(text, "for_each", "step", "pivot"))
    inner = [
        Problem(f"{place}, for each item: {problem}", *problem.path) for problem in _options(body)
    ]
    return found + within(inner, "for_each", "step")


def _branches(steps: Sequence[Step], order: _Order) -> list[Problem]:
    """What is wrong with choices and their branches."""
    index = {step.name: number for number, step in enumerate(steps)}
    found: list[Problem] = []
    for number, step in enumerate(steps):
        if isinstance(step.action, Choose) and not keys_of(step, steps):
            text = f"step '{step.name}' chooses between no branches; give it some"
            found.append(Problem(text, "steps", number, "choice"))
        if step.branch is None:
            continue
        text = f"step '{step.name}' is in the branch {step.branch!r}"
        if not (len(step.branch) == 2 and all(isinstance(part, str) for part in step.branch)):
            text += "; give (the step that chooses, what it chooses)"
        elif (chooser := index.get(step.branch[0])) is None or not isinstance(
            steps[chooser].action, Choose
        ):
            text += f", and '{step.branch[0]}' is no step that chooses; see choice()"
        elif order.whole and chooser not in reach(number, order.after):
            text += f" and does not come after '{step.branch[0]}'; add it to its after"
        else:
            continue
        found.append(Problem(text, "steps", number, "branch"))
    return found


def _cycles(steps: Sequence[Step]) -> list[Problem]:
    """Cycles that share no edge, each shown; a few are enough to see what is wrong."""
    known = {step.name for step in steps}
    graph: dict[str, set[str]] = {}
    for step in steps:  # of steps that share a name, whose edges are whose cannot be told
        graph[step.name] = set() if step.name in graph else set(_above(step, known))
    numbers = {step.name: number for number, step in enumerate(steps)}
    found: list[Problem] = []
    while len(found) < _CYCLES:
        try:
            graphlib.TopologicalSorter(graph).prepare()
            break
        except graphlib.CycleError as error:
            cycle = error.args[1]
            shown = " → ".join(f"'{name}'" for name in cycle)
            text = f"the steps form a cycle: {shown}; drop one of these 'after'"
            way = [numbers[name] for name in cycle]
            back = next(at for above, at in itertools.pairwise(way) if above >= at)
            found.append(Problem(text, "steps", back, "after"))
            graph[cycle[1]].discard(cycle[0])
    return found


def _pivots(steps: Sequence[Step]) -> list[Problem]:
    pivots = {number: step for number, step in enumerate(steps) if step.pivot is True}
    found = [
        Problem(
            f"step '{step.name}' is the pivot, which is never undone; drop its compensation",
            "steps",
            number,
            "compensation",
        )
        for number, step in pivots.items()
        if step.compensation is not None
    ]
    if len(pivots) > 1:
        names = ", ".join(f"'{step.name}'" for step in pivots.values())
        text = f"has {len(pivots)} pivots ({names}); keep one, the point of no return"
        found.append(Problem(text, "steps", max(pivots), "pivot"))
    return found


def _nested_pivots(steps: Sequence[Step], order: _Order) -> list[Problem]:
    """Sagas with a pivot, which cannot be undone, where they may have to be."""
    pivot = next((number for number, step in enumerate(steps) if step.pivot is True), None)
    behind = set() if pivot is None else reach(pivot, order.dependents) | {pivot}
    found: list[Problem] = []
    for number, step in enumerate(steps):
        each = isinstance(step.action, ForEach)
        inside = innermost(step).action
        if not isinstance(inside, Nested) or getattr(inside.saga, "plan", None) is None:
            continue
        inner = inside.saga.plan.pivot
        if inner is None or (number in behind and not (each and number == pivot)):
            continue
        cure = "place it after the pivot" if each else "make it the pivot, or place it after it"
        text = (
            f"step '{step.name}' runs saga '{inside.saga.name}', which has the pivot "
            f"'{inside.saga.plan.names[inner]}' and so cannot be undone; {cure}"
        )
        found.append(Problem(text, "steps", number))
    return found


def _places(steps: Sequence[Step], order: _Order) -> list[Problem]:
    """What stands wrong relative to the one pivot."""
    pivots = [number for number, step in enumerate(steps) if step.pivot is True]
    if len(pivots) != 1:
        return []
    pivot = steps[pivots[0]]
    behind = reach(pivots[0], order.certain)
    ordered = reach(pivots[0], order.after) | reach(pivots[0], order.dependents) | {pivots[0]}
    found: list[Problem] = []
    for number, step in enumerate(steps):
        if number in behind and innermost(step).compensation is not None:
            text, key = "stands after the pivot; drop its compensation", "compensation"
        elif number in behind and _may_expire(step):
            text = (
                "stands after the pivot, where no step may fail; "
                "let its on_timeout be 'continue', or drop its timeout"
            )
            key = "wait"
        elif order.whole and number not in ordered:
            text = (
                f"runs beside the pivot '{pivot.name}'; "
                f"place it before (pivot after '{step.name}') or after it"
            )
            key = "after"
        else:
            continue
        inside = ("for_each", "step") if isinstance(step.action, ForEach) else ()
        place = "steps", number, *(inside if key != "after" else ()), key
        found.append(Problem(f"step '{step.name}' {text}", *place))
    return found


def _may_expire(step: Step) -> bool:
    wait = innermost(step).action
    return isinstance(wait, Wait) and wait.timeout is not None and wait.on_timeout == "fail"


# -- what a callable takes and gives --------------------------------------------------------


def _is_async(function: Callable[..., Any]) -> bool:
    call = getattr(function, "__call__", None)  # noqa: B004  (an object with async __call__)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _takes_context(function: Callable[..., Any]) -> bool | None:
    """Whether a callable is given the context, by its signature; see ``step``. None: it can be
    called neither with the context nor with nothing."""
    if isinstance(function, Simulated):
        return False
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature
        return False
    required = [
        parameter
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if any(parameter.kind is parameter.KEYWORD_ONLY for parameter in required) or len(required) > 1:
        return None
    if required:
        return True
    first = next(iter(parameters), None)
    if first is None:
        return False
    if first.kind is first.VAR_POSITIONAL:  # no builtin, such as print, was made for a context
        return not inspect.isbuiltin(behind_partials(function))
    return first.kind is not first.KEYWORD_ONLY and first.name in ("ctx", "context")


def _annotated_result(function: Callable[..., Any]) -> Any:
    """The type that a call gives, once it is awaited."""
    hint = annotation(function, "return")
    if (typing.get_origin(hint) or hint) in (Awaitable, Coroutine):
        return (typing.get_args(hint) or (Any,))[-1]  # a plain function that gives a coroutine
    return hint


def annotation(function: Callable[..., Any], name: str) -> Any:
    """The type of one annotation alone: the others may name what is not importable.

    Parameters:
        function: any callable; of one that wraps another, the other is read.
        name: a parameter's name, or ``"return"``.

    Returns:
        the type; ``Any`` where there is no annotation, or one that only a type checker can read.
    """
    function = behind_partials(function)
    target = function if hasattr(function, "__annotations__") else type(function).__call__
    target = inspect.unwrap(target)
    annotations = getattr(target, "__annotations__", {})
    if name not in annotations:
        return Any
    holder = types.SimpleNamespace(__annotations__={name: annotations[name]})
    names = dict(getattr(target, "__globals__", {}))
    cells = getattr(target, "__closure__", None) or ()
    code = getattr(target, "__code__", None)
    for free, cell in zip(code.co_freevars if code else (), cells, strict=True):
        with contextlib.suppress(ValueError):  # a cell that is still empty
            names[free] = cell.cell_contents
    try:
        return typing.get_type_hints(holder, globalns=names)[name]
    except (NameError, TypeError, AttributeError, SyntaxError):
        return Any  # a name that only a type checker knows
