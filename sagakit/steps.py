"""The steps of a saga: what each does, and the functions that declare them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from sagakit.connectors.base import ABSENT, Connector
from sagakit.connectors.cel import Cel
from sagakit.errors import DefinitionError
from sagakit.quantities import number
from sagakit.spec import Retry, Simulated

if TYPE_CHECKING:
    from sagakit.saga import Saga

Action = Callable[..., Any]
OnTimeout = Literal["fail", "continue"]


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """What a step does that waits for the world. Made by ``await_event`` and ``timer``."""

    event: str | None = None  # None: only for the time
    correlate: Action | None = None
    timeout: float | Action | None = None
    on_timeout: OnTimeout = "fail"


class Choose(msgspec.Struct, frozen=True):
    """What a step does that chooses a branch: ``by`` gives the branch's name. Made by
    ``choice``."""

    by: Action


class Nested(msgspec.Struct, frozen=True):
    """What a step does that runs another saga. Made by ``sub_saga``."""

    saga: Saga
    input: Action | None = None  # None: what the step around it has


class ForEach(msgspec.Struct, frozen=True):
    """What a step does that is done once for each item. Made by ``for_each``."""

    items: Action
    body: Step
    limit: int = 10


Special = Wait | Choose | Nested | ForEach  # what a step may do instead of calling an action


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One local transaction: an action and, usually, a compensation. Made by ``step``."""

    name: str
    action: Action | Special
    compensation: Action | None = None
    after: tuple[str, ...] | None = None
    when: Action | bool | None = None
    pivot: bool = False
    retry: Retry | None = None
    timeout: float | None = None
    compensation_retry: Retry | None = None
    compensation_timeout: float | None = None
    reconcile: Action | None = None
    idempotent: bool = False
    service: str | None = None
    read: bool = False
    description: str = ""
    branch: tuple[str, str] | None = None  # the step that chooses, and what it must choose


def step(
    action: Action | Special,
    compensation: Action | None = None,
    *,
    name: str | None = None,
    after: str | Iterable[str] | None = None,
    when: Action | bool | None = None,
    pivot: bool = False,
    retry: Retry | None = None,
    timeout: float | None = None,
    compensation_retry: Retry | None = None,
    compensation_timeout: float | None = None,
    reconcile: Action | None = None,
    idempotent: bool = False,
    service: str | None = None,
    read: bool = False,
    description: str = "",
    branch: tuple[str, str] | None = None,
) -> Step:
    """Declare a step.

    Parameters:
        action: a callable, sync or async, of nothing or one argument, the ``StepContext``. Its
            signature tells: it is given the context if one positional argument is required; if
            none is, and the first is named ``ctx`` or ``context``; or if it begins with ``*args``,
            as what a decorator makes does, unless it is a builtin (``partial(print, "paid")``).
            A builtin without a signature is called with nothing.
        compensation: undoes the action; it must accept that the action never ran.
        name: defaults to the action's name.
        after: names of the steps it waits for; left out: the step above it; ``()``: none.
        when: a plain function (or a bool); if it is false the step is skipped.
        pivot: the point of no return; see ``pivot``.
        retry: the policy for the action; without it one attempt (after the pivot: until it
            succeeds, waiting 1 s, 2 s … 60 s).
        timeout: seconds after which an attempt counts as in doubt.
        compensation_retry: the policy for the compensation; three attempts by default.
        compensation_timeout: seconds after which an attempt to compensate counts as failed.
        reconcile: asked when the step is in doubt, whether its effect happened. It returns
            ``True``, ``False`` (a promise that it never will), or ``Happened(result)``.
        idempotent: a declaration that the action may be repeated with the same key.
        service: who owns the step; what protects it stands in the saga's ``services``.
        read: a declaration that the action only reads: it has no effect and nothing to undo, so a
            service's ``Hedge`` may ask twice.
        description: one sentence for people.
        branch: (the step that chooses, the branch's name); see ``choice``.

    Raises:
        DefinitionError: the action has no name of its own and none was given.
    """
    if name is None:
        name = callable_name(action)
        if name is None:
            raise DefinitionError(f"step {action!r}", ["has no name of its own; give name="])
    if isinstance(after, str) or not isinstance(after, Iterable | None):
        after = (after,)
    return Step(
        name=name,
        action=action,
        compensation=compensation,
        after=None if after is None else tuple(after),
        when=when,
        pivot=pivot,
        retry=retry,
        timeout=number(timeout),
        compensation_retry=compensation_retry,
        compensation_timeout=number(compensation_timeout),
        reconcile=reconcile,
        idempotent=idempotent,
        service=service,
        read=read,
        description=description,
        branch=branch,
    )


def pivot(action: Action, **options: Any) -> Step:
    """Declare the pivot: once it has succeeded nothing is undone. Options as for ``step``."""
    return step(action, pivot=True, **options)


def await_event(
    event: str,
    *,
    correlate: Action | None = None,
    timeout: float | Action | None = None,
    on_timeout: OnTimeout = "fail",
    name: str | None = None,
    compensation: Action | None = None,
    after: str | Iterable[str] | None = None,
    when: Action | bool | None = None,
    pivot: bool = False,
    service: str | None = None,
    description: str = "",
) -> Step:
    """Declare a step that waits for an event from outside: a reply, a person's decision.

    ``engine.signal(event, payload, …)`` delivers it, before the wait is reached or during it; the
    payload becomes the step's result. A wait takes no thread, and as a rule no memory.

    Parameters:
        event: the event's name, text.
        correlate: a plain function that gives what a signal finds this wait by, an order's number
            for instance: text, an int or a UUID (anything else fails the step); without it, or
            with None, signals are addressed by execution id.
        timeout: seconds, or a plain function that gives them when the wait begins.
        on_timeout: ``"fail"``: the step has failed (before the pivot: backward recovery);
            ``"continue"``: it succeeds with the result None.
        name: the step's name; the event's when left out.

    The other options are as for ``step``.
    """
    made = Wait(event=event, correlate=correlate, timeout=number(timeout), on_timeout=on_timeout)
    return step(
        made,
        compensation,
        name=event if name is None else name,
        after=after,
        when=when,
        pivot=pivot,
        service=service,
        description=description,
    )


def timer(
    name: str,
    seconds: float | Action,
    *,
    after: str | Iterable[str] | None = None,
    when: Action | bool | None = None,
    description: str = "",
) -> Step:
    """Declare a step that waits for a time and nothing else. It survives every restart.

    Parameters:
        name: the step's name.
        seconds: how long, or a plain function that says so when the wait begins.

    The other options are as for ``step``.
    """
    made = Wait(timeout=number(seconds), on_timeout="continue")
    return step(made, name=name, after=after, when=when, description=description)


def choice(
    name: str,
    by: Action,
    branches: Mapping[str, Step | Iterable[Step]],
    *,
    after: str | Iterable[str] | None = None,
    when: Action | bool | None = None,
    description: str = "",
) -> tuple[Step, ...]:
    """Declare exclusive branches, of which one is run: ``Saga("s", …, *choice(…), …)``.

    The steps of the other branches are skipped. What stands below joins them: without ``after``
    it comes after the ends of all branches.

    Parameters:
        name: the name of the step that chooses; its result is the branch's name.
        by: a plain function that gives the branch's name; it has no effect.
        branches: the steps of each branch by its name, one after another, or in the order that
            their own ``after`` says.

    Returns:
        the step that chooses and those of its branches.
    """
    steps = [step(Choose(by), name=name, after=after, when=when, description=description)]
    for key, inside in branches.items():
        for item in (inside,) if isinstance(inside, Step) else inside:
            inner = item.branch is not None  # of a choice within this branch
            steps.append(item if inner else msgspec.structs.replace(item, branch=(name, key)))
    return tuple(steps)


def sub_saga(
    saga: Saga,
    *,
    input: Action | None = None,
    name: str | None = None,
    after: str | Iterable[str] | None = None,
    when: Action | bool | None = None,
    pivot: bool = False,
    retry: Retry | None = None,
    service: str | None = None,
    description: str = "",
) -> Step:
    """Declare a step that runs a whole saga, in an execution of its own.

    It succeeds when that one is completed; its result is what the inner steps returned, by their
    names, as plain data. If it is compensated, the step has failed without effect. When the step
    is undone, the whole inner saga is: so before the pivot it must have no pivot of its own.

    Parameters:
        saga: the inner saga. Its executions have the id ``outer id/step``.
        input: a plain function that gives the inner saga's input; without it, it has the outer
            one's.
        name: the step's name; the saga's when left out.
        retry: how often a compensated inner saga is begun again, as another execution; as for
            other steps, not at all by default before the pivot, and after it until it succeeds.

    The other options are as for ``step``.
    """
    return step(
        Nested(saga, input),
        name=str(getattr(saga, "name", saga)) if name is None else name,
        after=after,
        when=when,
        pivot=pivot,
        retry=retry,
        service=service,
        description=description,
    )


def for_each(
    name: str,
    items: Action,
    body: Step | Saga,
    *,
    limit: int = 10,
    after: str | Iterable[str] | None = None,
    when: Action | bool | None = None,
    pivot: bool = False,
    service: str | None = None,
    description: str = "",
) -> Step:
    """Declare a step that is done for each item of a list, several of them at once.

    It succeeds when all have; its result is the list of theirs, in the items' order. If one fails
    for good, those done are compensated and the step has failed. After the pivot each is retried
    until it succeeds, as every step there is.

    Parameters:
        name: the step's name.
        items: a plain function that gives the list when the step begins; it may be empty.
        body: what is done for an item, which is its ``ctx.input``: a step with its options, or a
            saga.
        limit: how many items are worked on, or undone, at once.

    The other options are as for ``step``. The items' events belong to one execution of their own,
    ``outer id/step``, in which the steps are numbered from 0.
    """
    made = body if isinstance(body, Step) else sub_saga(body)
    if made.after == ():  # it stands alone: said or not, that is the same
        made = msgspec.structs.replace(made, after=None)
    return step(
        ForEach(items, made, limit),
        name=name,
        after=after,
        when=when,
        pivot=pivot,
        service=service,
        description=description,
    )


class Happened(msgspec.Struct, frozen=True):
    """A reconcile's answer: the effect happened, and this is what the action returned."""

    result: Any = None


class Inquiry:
    """A connector as a reconcile: what it finds has happened; what is absent has not."""

    def __init__(self, connector: Connector, action: Any = None) -> None:
        self.connector = connector
        self.action = action  # about which it asks

    def __call__(self, ctx: Any) -> Happened | bool:
        found = self.connector.ask(ctx)
        return False if found is ABSENT else Happened(found)


def in_role(function: Any, role: str, action: Any = None) -> Any:
    """What is called for a callable that stands in a role: of most the callable itself.

    Parameters:
        action: of the step in which it does.
    """
    if isinstance(function, Cel):
        return function.for_role(role)
    if isinstance(function, Connector) and role == "reconcile":
        return Inquiry(function, action)
    return function


def rehearsed(function: Any) -> Any:
    """What a simulation calls instead of a connector; any other callable as it is."""
    if isinstance(function, Inquiry):
        connector, example = function.connector, function.connector.example
        if example is None:  # then it finds what the action did
            example = getattr(function.action, "example", None)
        return Simulated(latency=connector.latency, result=Happened(example))
    if isinstance(function, Connector):
        return Simulated(latency=function.latency, result=function.example)
    return function


def callable_name(function: Any) -> str | None:
    """The name a callable is known by; None for a lambda or a nameless object."""
    if isinstance(function, Simulated):
        return function.name or None
    name = getattr(behind_partials(function), "__name__", None)
    return None if name is None or name == "<lambda>" else str(name)


def behind_partials(function: Any) -> Any:
    """What partials are partials of; any other callable as it is."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def default_after(above: Sequence[Step], item: Step) -> tuple[str, ...]:
    """What a step comes after that does not say so, from the steps above it, which all do.

    The step above; the step that chooses, for the first one of a branch; the ends of all
    branches, for the first one below them.
    """
    if not above:
        return ()
    last = above[-1]
    if last.branch == item.branch:
        return (last.name,)
    if isinstance(last.action, Choose) and item.branch and item.branch[0] == last.name:
        return (last.name,)
    by_name = {other.name: other for other in above}
    outer = last.branch
    while outer is not None and outer != item.branch:
        if item.branch is not None and item.branch[0] == outer[0]:
            return (outer[0],)  # the next branch of the same choice
        chooser = by_name.get(outer[0])
        if chooser is None:
            return (last.name,)
        if chooser.branch == item.branch:
            return _ends(above, chooser)
        outer = chooser.branch
    return (last.name,)


def _ends(above: Sequence[Step], chooser: Step) -> tuple[str, ...]:
    """The steps inside a choice's branches (and those within) behind which nothing stands."""
    inside = {chooser.name: chooser}
    for item in above:
        if item.branch is not None and item.branch[0] in inside:
            inside[item.name] = item
    before = {name for item in inside.values() for name in item.after or ()}
    return tuple(name for name in inside if name not in before)
