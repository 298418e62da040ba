"""Rules about the way forward: the pivot, what stands after it, conditions and choices."""

from __future__ import annotations

from collections.abc import Iterator

from sagakit.errors import TerminalError
from sagakit.lab.check.finding import rule
from sagakit.lab.check.view import Found, View
from sagakit.spec import Simulated
from sagakit.steps import Choose, Step

# How an action is called that may say no.
_ASKS = {
    "approve", "authorise", "authorize", "charge", "check", "debit", "reserve", "validate",
    "verify",
}  # fmt: skip


@rule(
    "SAGA301",
    "pivot-without-reconcile",
    "Nobody can be asked whether the pivot has happened",
    "warning",
    bad="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
  - step: charge_card
    pivot: true
""",
    good="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
  - step: charge_card
    pivot: true
    idempotent: true
    retry: {attempts: 5, wait: 1}
    timeout: 5
    reconcile: find_charge
""",
)
def pivot_without_reconcile(view: View) -> Iterator[Found]:
    """A pivot whose reply is lost is neither undone nor gone on from: the execution is stuck.

    It is a note where the pivot is idempotent and retried, which mostly answers the question.
    Source: the rules of execution of sagakit; Helland, "Life beyond Distributed Transactions", on
    uncertainty.
    """
    for step in view.working():
        if step.pivot and step.reconcile is None:
            retried = step.idempotent and step.retry is not None and step.retry.attempts > 1
            yield Found(
                step.name,
                "is the pivot, and if its reply is lost the execution is stuck",
                "give it a reconcile that looks up whether it happened, and a retry",
                severity="note" if retried else None,
            )


@rule(
    "SAGA302",
    "refusable-after-pivot",
    "A step after the pivot may be refused",
    "warning",
    bad="""
from sagakit import Saga, TerminalError, pivot, step


def charge(ctx): ...


def ship(ctx):
    if ctx.input["country"] not in ("DE", "FR"):
        raise TerminalError("we do not ship there")


saga = Saga("order", pivot(charge), step(ship), version="1")
""",
    good="""
from sagakit import Saga, TerminalError, pivot, step


def can_ship(ctx):
    if ctx.input["country"] not in ("DE", "FR"):
        raise TerminalError("we do not ship there")


def charge(ctx): ...
def ship(ctx): ...


saga = Saga("order", step(can_ship, read=True), pivot(charge), step(ship), version="1")
""",
)
def refusable_after_pivot(view: View) -> Iterator[Found]:
    """Nothing is undone any more, so a "no" leaves the execution stuck: who may say no must be
    asked before the pivot.

    Found are a `TerminalError` raised in the action's code, and errors that its policy does not
    retry (`on`). An action whose name sounds as if it could be refused (charge, reserve, check …)
    is a note. Source: Richardson, "Microservices Patterns", section 4.3.2: retriable transactions
    are guaranteed to succeed.
    """
    for step in view.working():
        if view.kind(step) != "retriable":
            continue
        code = view.code(step.action)
        node = code.raises(TerminalError)
        if node is not None:
            yield Found(
                step.name,
                "stands after the pivot and raises TerminalError, which leaves the execution stuck",
                "ask before the pivot, or raise another error, which is retried",
            ).at(code, node)
        elif not step.read and any(verb in _ASKS for verb, *_ in view.words(step)):
            yield Found(
                step.name,
                "stands after the pivot, and sounds as if it could be refused",
                "place it before the pivot if it can be",
                severity="note",
            )
        if step.retry is not None and step.retry.on:
            yield Found(
                step.name,
                f"stands after the pivot and is retried only on {', '.join(step.retry.on)}; any "
                "other error leaves the execution stuck",
                "drop 'on'",
                "retry",
            )


@rule(
    "SAGA401",
    "never-runs",
    "A step can never run",
    "warning",
    bad="""
from sagakit import Saga, choice, step


def way(ctx):
    return "air" if ctx.input["kilos"] < 20 else "road"


def fly(ctx): ...
def drive(ctx): ...
def sail(ctx): ...
def cancel(ctx): ...


saga = Saga(
    "shipment",
    *choice(
        "way",
        way,
        {"air": step(fly, cancel), "road": step(drive, cancel), "sea": step(sail, cancel)},
    ),
    version="1",
)
""",
    good="""
from sagakit import Saga, choice, step


def way(ctx):
    return "air" if ctx.input["kilos"] < 20 else "road"


def fly(ctx): ...
def drive(ctx): ...
def cancel(ctx): ...


saga = Saga(
    "shipment",
    *choice("way", way, {"air": step(fly, cancel), "road": step(drive, cancel)}),
    version="1",
)
""",
)
def never_runs(view: View) -> Iterator[Found]:
    """Its `when` is always false, or the branch that it stands in is never chosen: what it should
    do is not done, and nobody is told.

    Found where the code returns nothing but constants. `when: false` itself is a note: somebody has
    switched the step off.
    """
    for name, why in view.never.items():
        off = view.saga[name].when is False
        yield Found(
            name,
            f"never runs: {why}",
            "drop the step, or correct the condition",
            "when" if off else "",
            severity="note" if off else None,
        )


@rule(
    "SAGA402",
    "always-runs",
    "A condition is always true",
    "note",
    bad="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
    when: true
  - step: charge_card
    pivot: true
""",
    good="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
    when: is_stocked
  - step: charge_card
    pivot: true
""",
)
def always_runs(view: View) -> Iterator[Found]:
    """It reads as if the step could be skipped."""
    for step in view.steps:
        values = view.code(step.when).constants
        if step.when is True or (values and all(values)):
            yield Found(step.name, "its when is always true", "drop the when", "when")


@rule(
    "SAGA403",
    "unknown-branch",
    "A choice may name a branch that there is not",
    "error",
    bad="""
from sagakit import Saga, choice, step


def way(ctx):
    return "air" if ctx.input["kilos"] < 20 else "road"


def fly(ctx): ...
def sail(ctx): ...
def cancel(ctx): ...


saga = Saga(
    "shipment",
    *choice("way", way, {"air": step(fly, cancel), "sea": step(sail, cancel)}),
    version="1",
)
""",
    good="""
from sagakit import Saga, choice, step


def way(ctx):
    return "air" if ctx.input["kilos"] < 20 else "sea"


def fly(ctx): ...
def sail(ctx): ...
def cancel(ctx): ...


saga = Saga(
    "shipment",
    *choice("way", way, {"air": step(fly, cancel), "sea": step(sail, cancel)}),
    version="1",
)
""",
)
def unknown_branch(view: View) -> Iterator[Found]:
    """The step that chooses fails when it comes to that: before the pivot all is undone, after it
    the execution is stuck.

    Found where the code returns nothing but constants, or a simulated choice has such a result.
    """
    for step in view.steps:
        if not isinstance(step.action, Choose):
            continue
        by = step.action.by
        may = (by.result,) if isinstance(by, Simulated) else view.choices(step) or ()
        branches = view.plan.choices[view.number(step)].branches
        known = ", ".join(map(repr, branches))
        for value in dict.fromkeys(repr(value) for value in may if value not in branches):
            yield Found(
                step.name,
                f"may choose {value}, and its branches are {known}",
                "add the branch, or let it choose one of these",
                "choice",
            )


@rule(
    "SAGA404",
    "result-not-there",
    "A step uses the result of one that has not ended by then",
    "error",
    bad="""
from sagakit import Saga, pivot, step


def reserve(ctx):
    return {"shelf": 7}


def release(ctx): ...


def label(ctx):
    return ctx.results["reserve"]["shelf"]


def unlabel(ctx): ...
def confirm(ctx): ...


saga = Saga(
    "order",
    step(reserve, release),
    step(label, unlabel, after=()),  # beside it
    pivot(confirm, after=("reserve", "label")),
    version="1",
)
""",
    good="""
from sagakit import Saga, pivot, step


def reserve(ctx):
    return {"shelf": 7}


def release(ctx): ...


def label(ctx):
    return ctx.results["reserve"]["shelf"]


def unlabel(ctx): ...
def confirm(ctx): ...


saga = Saga(
    "order", step(reserve, release), step(label, unlabel), pivot(confirm), version="1"
)
""",
)
def result_not_there(view: View) -> Iterator[Found]:
    """`ctx.results["NAME"]` raises a KeyError: always, where there is no such step, and now and
    then where that step runs beside this one.

    It is a warning where that step may be skipped and the code asks nothing, and for a
    compensation, which may be called when any other step has failed. Code that asks whether the
    name is in `ctx.results`, or catches the KeyError, is left alone.
    """
    for step in () if view.each else view.steps:
        for role, function in (*view.callables(step), *view.questions(step)):
            code = view.code(function)
            for name, node in code.needs():
                why = _why_missing(view, step, role, name, code.branches)
                if why is not None:
                    message, sure = why
                    yield Found(
                        step.name,
                        f"its {role} reads ctx.results[{name!r}], {message}",
                        f"place it after '{name}', or read it with ctx.results.get({name!r})",
                        severity=None if sure else "warning",
                    ).at(code, node)


def _why_missing(
    view: View, step: Step, role: str, name: str, asks: bool
) -> tuple[str, bool] | None:
    """Why a result may be missing, and whether the action must be wrong for it."""
    if name not in view.plan.index:
        return "and there is no such step", True
    if name == step.name:
        late = role in ("compensation", "reconcile")
        return None if late else ("its own, which it has not yet", True)
    if name not in view.before(step):
        return "which may not have ended by then", role != "compensation"
    other = view.saga[name]
    skipped = other.when is not None or (other.branch is not None and other.branch != step.branch)
    return ("which may have been skipped", False) if skipped and not asks else None
