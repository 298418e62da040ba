"""Rules about compensations: what cannot be undone, and what undoing cannot do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sagakit.errors import TerminalError
from sagakit.lab.check.finding import rule
from sagakit.lab.check.view import Found, View
from sagakit.spec import Simulated
from sagakit.steps import Step

# How an action is called that reaches people, who cannot forget it; and by what it does so.
_TELLS = {
    "announce", "broadcast", "email", "inform", "invite", "mail", "notify", "remind", "sms",
    "thank",
}  # fmt: skip
_MESSAGES = {
    "alert", "confirmation", "email", "invitation", "invoice", "letter", "mail", "message",
    "newsletter", "notice", "notification", "offer", "receipt", "reminder", "sms", "thanks",
}  # fmt: skip
_SENDS = {"EmailMessage", "send_email", "send_mail", "send_message", "sendmail", "smtplib"}


def _settles(view: View, step: Step) -> bool:
    """Whether the step confirms what an earlier one holds, whose compensation gives it back."""
    held = getattr(step.action, "confirms", None)
    return held in view.before(step) and view.saga[held].compensation is not None


def _irrevocable(view: View, step: Step) -> bool:
    sends = _SENDS & view.code(step.action).names
    return not step.read and bool(sends or any(map(_tells, view.words(step))))


def _tells(words: Sequence[str]) -> bool:
    verb, *rest = words
    return verb in _TELLS or (verb in ("send", "resend", "deliver") and bool(_MESSAGES & {*rest}))


@rule(
    "SAGA101",
    "no-compensation",
    "A step that may have to be undone has no compensation",
    "error",
    bad="""
saga: order
version: "1"
steps:
  - step: reserve_stock
  - step: charge_card
    pivot: true
""",
    good="""
saga: order
version: "1"
steps:
  - step: ask_price
    read: true
  - step: reserve_stock
    compensation: release_stock
  - step: charge_card
    pivot: true
""",
)
def no_compensation(view: View) -> Iterator[Found]:
    """When a later step fails, or one beside it, what this one did stays in the world.

    A step that is declared `read`, waits or chooses has nothing to undo. The last step of a saga
    without a pivot is a warning: only a lost reply, or an operator's cancellation, leaves something
    behind. Source: Garcia-Molina and Salem, "Sagas", 1987.
    """
    for step in view.compensatable():
        if step.compensation is not None or step.read or _settles(view, step):
            continue
        if view.is_last(step):
            yield Found(
                step.name,
                "if its reply is lost it counts as undone, and has no compensation",
                "add one, or make it the pivot",
                severity="warning",
            )
        elif not _irrevocable(view, step):  # which has a rule of its own
            yield Found(
                step.name,
                "has no compensation, so what it did stays when another step fails",
                "add one, place it after the pivot, or declare read if it has no effect",
            )


@rule(
    "SAGA102",
    "one-attempt-to-undo",
    "A compensation is tried only once",
    "warning",
    bad="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
    compensation_retry: {attempts: 1}
  - step: charge_card
    pivot: true
""",
    good="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
    compensation_retry: {attempts: 10, wait: 1}
  - step: charge_card
    pivot: true
""",
)
def one_attempt_to_undo(view: View) -> Iterator[Found]:
    """The first network error while undoing leaves the execution stuck, for a person to resolve.

    Left out, the policy is three attempts. Source: Garcia-Molina and Salem, "Sagas", 1987: a saga
    is completed, or its compensating transactions are run.
    """
    for step in view.steps:
        retry = step.compensation_retry
        if retry is not None and retry.attempts == 1:
            yield Found(
                step.name,
                "its compensation has one attempt; the first failure leaves the execution stuck",
                "give compensation_retry more attempts, with a wait",
                "compensation_retry",
            )


@rule(
    "SAGA103",
    "compensation-may-refuse",
    "A compensation can be refused for good",
    "warning",
    bad="""
from sagakit import Saga, TerminalError, pivot, step


def reserve(ctx): ...
def charge(ctx): ...


def release(ctx):
    if ctx.result is None:
        raise TerminalError("nothing was reserved")


saga = Saga("order", step(reserve, release), pivot(charge), version="1")
""",
    good="""
from sagakit import Saga, pivot, step


def reserve(ctx): ...
def charge(ctx): ...


def release(ctx):
    if ctx.result is None:
        return  # nothing to undo: that is what was asked for


saga = Saga("order", step(reserve, release), pivot(charge), version="1")
""",
)
def compensation_may_refuse(view: View) -> Iterator[Found]:
    """A `TerminalError` in a compensation, or an error that its policy does not retry (`on`), ends
    the undoing: the execution is stuck, half undone.

    What is not there any more, or never was, counts as undone. Source: as of SAGA102.
    """
    for step in view.steps:
        code = view.code(step.compensation)
        node = code.raises(TerminalError)
        if node is not None:
            yield Found(
                step.name,
                "its compensation raises TerminalError, which leaves the execution stuck",
                "return when there is nothing to undo; raise another error for a new attempt",
            ).at(code, node)
        retry = step.compensation_retry
        if retry is not None and retry.on:
            yield Found(
                step.name,
                f"its compensation is retried only on {', '.join(retry.on)}; any other error "
                "leaves the execution stuck",
                "drop 'on'",
                "compensation_retry",
            )


@rule(
    "SAGA104",
    "irrevocable-before-pivot",
    "What cannot be taken back is done before the pivot",
    "warning",
    bad="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
  - step: send_confirmation_mail
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
  - step: send_confirmation_mail
""",
)
def irrevocable_before_pivot(view: View) -> Iterator[Found]:
    """People who got a message act on it; when the saga is undone, it was wrong.

    Told by the action's name (`notify…`, `mail…`, `send…receipt` and the like), and by
    what its code uses. With a compensation, an apology for instance, it is only a note. Source:
    Gray and Reuter, "Transaction Processing", 1993, chapter 4, on real actions.
    """
    for step in view.compensatable():
        if _irrevocable(view, step) and not view.is_last(step):
            yield Found(
                step.name,
                "tells somebody something before the pivot, and that cannot be taken back",
                "place it after the pivot",
                severity=None if step.compensation is None else "note",
            )


@rule(
    "SAGA105",
    "empty-compensation",
    "A compensation does nothing",
    "warning",
    bad="""
from sagakit import Saga, pivot, step

stock = {"tea": 5}


def reserve(ctx):
    stock["tea"] -= 1


def release(ctx):
    pass  # later


def charge(ctx): ...


saga = Saga("order", step(reserve, release), pivot(charge), version="1")
""",
    good="""
from sagakit import Saga, pivot, step

stock = {"tea": 5}


def reserve(ctx):
    stock["tea"] -= 1


def release(ctx):
    stock["tea"] += 1


def charge(ctx): ...


saga = Saga("order", step(reserve, release), pivot(charge), version="1")
""",
)
def empty_compensation(view: View) -> Iterator[Found]:
    """The action has an effect, and the execution will say that it was compensated.

    Sketches, whose action is empty as well, are left alone.
    """
    for step in view.steps:
        code = view.code(step.compensation)
        sketched = isinstance(step.action, Simulated) or view.code(step.action).empty
        if code.node is not None and code.empty and not sketched:
            yield Found(
                step.name,
                "its compensation does nothing, and the execution will count as compensated",
                "undo there what the action did, or declare the step read and drop it",
            ).at(code, code.node)


@rule(
    "SAGA106",
    "null-compensation",
    "A compensation takes it for granted that its action has happened",
    "warning",
    bad="""
from sagakit import Saga, pivot, step

bank = {}


def charge(ctx):
    bank["no-1"] = 42
    return {"number": "no-1"}


def refund(ctx):
    bank.pop(ctx.result["number"], None)


def confirm(ctx): ...


saga = Saga("order", step(charge, refund), pivot(confirm), version="1")
""",
    good="""
from sagakit import Saga, pivot, step

bank = {}


def charge(ctx):
    bank[ctx.idempotency_key] = 42


def refund(ctx):
    bank.pop(ctx.action_key, None)  # known without the result


def confirm(ctx): ...


saga = Saga("order", step(charge, refund), pivot(confirm), version="1")
""",
)
def null_compensation(view: View) -> Iterator[Found]:
    """A step in doubt is compensated without a result: `ctx.result` is None, and its parts raise.

    Found is code that takes parts of the result and asks nothing beforehand. Source: the empty
    compensation of Apache Seata's saga mode; the rules of execution of sagakit.
    """
    for step in view.steps:
        code = view.code(step.compensation)
        node = code.takes_for_granted(step.name)
        if node is not None:
            yield Found(
                step.name,
                "its compensation uses the action's result, which it has not when the reply is "
                "lost",
                "look up what to undo under ctx.action_key, or ask first: if ctx.result is None",
            ).at(code, node)


@rule(
    "SAGA107",
    "swallowed-error",
    "An action or a compensation keeps every error to itself",
    "warning",
    bad="""
from sagakit import Saga, pivot, step


def ask_warehouse(): ...


def reserve(ctx):
    try:
        ask_warehouse()
    except Exception:
        print("did not work")


def release(ctx): ...
def charge(ctx): ...


saga = Saga("order", step(reserve, release), pivot(charge), version="1")
""",
    good="""
from sagakit import Saga, TerminalError, pivot, step


def ask_warehouse(): ...


def reserve(ctx):
    try:
        ask_warehouse()
    except LookupError as error:
        raise TerminalError("there is none") from error


def release(ctx): ...
def charge(ctx): ...


saga = Saga("order", step(reserve, release), pivot(charge), version="1")
""",
)
def swallowed_error(view: View) -> Iterator[Found]:
    """The step counts as succeeded, or as compensated, though it was not: nothing is retried, and
    nothing undone.

    Found is an `except` of `Exception`, of `TerminalError` or of everything that does nothing, or
    only says something, and `contextlib.suppress` of these. That of a step after the pivot is a
    note: a message that nobody misses may get lost.
    """
    for step in view.steps:
        for role, function in view.callables(step):
            code = view.code(function)
            if code.swallows is not None:
                late = role == "action" and view.kind(step) == "retriable"
                yield Found(
                    step.name,
                    f"its {role} keeps errors to itself and goes on as if it had worked",
                    "let it raise: sagakit retries, undoes, and keeps the error",
                    severity="note" if late else None,
                ).at(code, code.swallows)
