"""Expressions in CEL, the Common Expression Language, as data.

CEL was chosen because it is made for this: a small, specified language (cel.dev) that Kubernetes,
Envoy and others evaluate for people they do not trust. It has no loops without end, no functions of
one's own and no access to anything but the variables it is given. JMESPath, the other candidate,
picks data apart well but compares and computes poorly, and has no types for times.

What an expression sees: ``input`` (the execution's, or the item that a step is done for),
``results`` (of the steps before, by their names), ``result`` (of this step's own action),
``execution_id``, ``idempotency_key``, ``action_key``, ``step`` and ``attempt``.

Of the language all is there but messages (protobuf), ``type()`` and names with a leading dot.
Arithmetic on a whole number and one with a fraction is done with fractions, since JSON does not
tell ``2`` from ``2.0``.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec

from sagakit.errors import ExpressionError, Problem

if TYPE_CHECKING:
    from sagakit.connectors.cel_engine import Program

VARIABLES = (
    "input",
    "results",
    "result",
    "execution_id",
    "idempotency_key",
    "action_key",
    "step",
    "attempt",
)
Variables = Mapping[str, Callable[[], Any]]


class Cel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An expression in CEL where a plain function could stand: ``when=Cel("input.amount > 100")``.

    Two are equal if their texts are.

    Parameters:
        cel: the expression.
    """

    cel: Annotated[
        str,
        msgspec.Meta(
            title="Expression",
            description="An expression in CEL (cel.dev) over input, results, execution_id …: "
            "input.amount > 100",
        ),
    ]

    repeatable: ClassVar[bool] = True  # it has no effect,
    bounded: ClassVar[bool] = True  # and ends: see `limits`

    def __call__(self, ctx: Any) -> Any:
        return evaluate(self.cel, variables(ctx), f"step '{ctx.step}'")

    def holds(self, ctx: Any) -> bool:
        """Its answer as a condition, which must be true or false."""
        answer = self(ctx)
        if not isinstance(answer, bool):
            why = f"gives {_kind(answer)}, and a condition must be true or false"
            raise ExpressionError(f"step '{ctx.step}'", self.cel, why)
        return answer

    def seconds(self, ctx: Any) -> float:
        """Its answer as a time: a number of seconds, or a duration."""
        answer = self(ctx)
        if isinstance(answer, datetime.timedelta):
            return answer.total_seconds()
        if isinstance(answer, bool) or not isinstance(answer, int | float):
            why = f"gives {_kind(answer)}; give seconds, or a duration such as duration('2h')"
            raise ExpressionError(f"step '{ctx.step}'", self.cel, why)
        return float(answer)

    def for_role(self, role: str) -> Callable[[Any], Any]:
        """What is called where it stands in this role of a step."""
        return {"when": self.holds, "timeout": self.seconds}.get(role, self)

    def problems(self, role: str = "", action: Any = None) -> list[Problem]:  # noqa: ARG002
        """What is wrong with it, with the cure."""
        return [Problem(text, "cel") for text in faults(self.cel)]


def variables(ctx: Any) -> Variables:
    """What an expression sees of a step's context, each made when it is asked for."""
    return {name: functools.partial(getattr, ctx, name) for name in VARIABLES}


def evaluate(text: str, given: Variables, place: str) -> Any:
    """The value of an expression, as plain data.

    Parameters:
        place: what the error begins with.

    Raises:
        ExpressionError: it has no value with these variables, or takes too much work.
    """
    try:
        return _compiled(text, tuple(given)).evaluate(given)
    except ValueError as error:
        raise ExpressionError(place, text, str(error)) from None


def faults(text: Any, names: tuple[str, ...] = VARIABLES) -> list[str]:
    """What is wrong with the text of an expression, with the cure; at most one thing.

    Parameters:
        names: the variables it may use.
    """
    if not isinstance(text, str):
        return [f"{text!r} is no expression; give text in CEL"]
    try:
        _compiled(text, names)
    except ValueError as error:
        return [f"the expression '{_shortened(text)}' {error}"]
    except ModuleNotFoundError as error:
        return [f"an expression needs {error.name}: pip install 'sagakit[connectors]'"]
    return []


@functools.lru_cache(maxsize=2_000)
def _compiled(text: str, names: tuple[str, ...]) -> Program:
    from sagakit.connectors.cel_engine import Program

    return Program(text, names)


def _kind(value: Any) -> str:
    names = {str: "text", bool: "true or false", list: "a list", dict: "a mapping"}
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
