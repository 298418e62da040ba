"""Plain functions as the callables of a step. `Participant.action` says how to use them.

Each takes ``ctx`` and looks, to a saga and to a reader, like the function it was made of: the same
name, docstring and return annotation.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, overload

import msgspec

from sagakit.errors import DefinitionError
from sagakit.plan import annotation
from sagakit.services.call import Call, read
from sagakit.services.inbox import Hold
from sagakit.steps import Happened, callable_name

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from sagakit.services.participant import Participant

Reply = TypeVar("Reply")
Other = TypeVar("Other")


class _Dressed(Generic[Reply]):
    """Takes ``ctx``, and is otherwise dressed as a function that takes something else."""

    __name__: str

    def __init__(
        self, participant: Participant, function: Callable[..., Reply], takes: str, most: int = 2
    ) -> None:
        self._service = f"service '{participant.service}'"
        self._participant = participant
        self._function = function
        name = callable_name(function)
        if name is None:
            raise DefinitionError(self._service, [f"{function!r} has no name; write it with def"])
        parameters = _parameters(function)
        if not 2 <= len(parameters) <= most:
            raise DefinitionError(f"{self._service}: '{name}'", [f"must take {takes}"])
        if inspect.iscoroutinefunction(function):
            cure = "must be a plain function: it runs inside a transaction, which cannot wait"
            raise DefinitionError(f"{self._service}: '{name}'", [cure])
        self._given = annotation(function, parameters[1])
        self._returned = annotation(function, "return")
        self._takes_context = len(parameters) > 2
        functools.update_wrapper(cast(Callable[..., Reply], self), function)
        self.__name__ = name
        # What calls it must see one parameter, not those of the function it wraps.
        ctx = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self.__signature__ = inspect.Signature([ctx])

    def _reply(self, stored: Any) -> Reply:
        """A stored reply, as the return annotation has it."""
        return cast(Reply, _typed(stored, self._returned))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} '{self.__name__}' of {self._service}>"


class _Repeatable(_Dressed[Reply]):
    """What is answered from a row of its own, and can be asked about when it is in doubt."""

    def __init__(
        self, participant: Participant, function: Callable[..., Reply], takes: str, most: int = 2
    ) -> None:
        super().__init__(participant, function, takes, most)

        def reconcile(ctx: Call) -> Happened | Literal[False]:
            """Whether the effect happened; if it did not, this attempt never will."""
            outcome = participant.outcome(ctx.idempotency_key)
            return outcome and Happened(self._reply(outcome.result))

        # Sagas find callables by name, so two actions' must differ.
        reconcile.__name__ = reconcile.__qualname__ = f"reconcile_{self.__name__}"
        self.reconcile = reconcile

    def _checked(self, reply: Reply) -> Reply:
        """The reply, after a look whether it can be given back: later it would be too late."""
        self._reply(msgspec.json.decode(msgspec.json.encode(reply)))
        return reply


class Action(_Repeatable[Reply]):
    """The action of a step. Made by `Participant.action`, which explains the parameters.

    ``reconcile`` is ready to be the step's.
    """

    def __init__(
        self,
        participant: Participant,
        function: Callable[..., Reply],
        request: Callable[[Any], Any] | None,
        keep_refusal: bool,
        expires_after: float | None,
    ) -> None:
        super().__init__(participant, function, "(connection, request) or also ctx", most=3)
        self._request = request
        self._keep_refusal = keep_refusal
        self._hold = None if expires_after is None else Hold(self.__name__, expires_after)

    def __call__(self, ctx: Call) -> Reply:
        """Do the effect once for each key.

        Raises:
            TerminalError: as of `Participant.act`; or the request is not what the function's
                annotation says.
        """
        asked = ctx.input if self._request is None else self._request(ctx)
        request = read(asked, self._given, self._service, self.__name__)
        rest = (ctx,) if self._takes_context else ()

        def effect(connection: Connection) -> Reply:
            return self._checked(self._function(connection, request, *rest))

        return self._reply(
            self._participant.act(
                ctx.idempotency_key,
                request,
                effect,
                keep_refusal=self._keep_refusal,
                hold=self._hold,
            )
        )

    # A property, so that it cannot be set: `SagaBuilder.step` would put its own decorator here.
    @property
    def compensation(self) -> Callable[[Callable[..., Other]], Compensation[Other]]:
        """Decorate the undo: ``(connection, reply)``, where reply is what the action returned.

        It is called only when there is something to undo, and once. ``reply`` is converted to
        its annotation.
        """

        def decorate(function: Callable[..., Other]) -> Compensation[Other]:
            made = Compensation(self._participant, function)
            if self._hold is not None:
                limit = self._hold.expires_after
                self._participant.hold(self._hold.name, made.undo, expires_after=limit)
            return made

        return decorate

    @overload
    def confirmation(
        self, function: Callable[..., Other], /, *, step: str | None = None
    ) -> Confirmation[Other]: ...
    @overload
    def confirmation(
        self, /, *, step: str | None = None
    ) -> Callable[[Callable[..., Other]], Confirmation[Other]]: ...
    def confirmation(
        self, function: Callable[..., Any] | None = None, /, *, step: str | None = None
    ) -> Any:
        """Decorate the action of a later step, which confirms what this one holds.

        Parameters:
            function: ``(connection, reply)``, where reply is what this action returned; as for
                `Participant.confirm`. It can simply return ``reply``.
            step: the name of this action's step, when that is not the action's own name.
        """

        def decorate(function: Callable[..., Any]) -> Confirmation[Any]:
            return Confirmation(self._participant, function, step or self.__name__)

        return decorate if function is None else decorate(function)


class Compensation(_Dressed[Reply]):
    """The compensation of a step. Made by `Action.compensation`."""

    def __init__(self, participant: Participant, function: Callable[..., Reply]) -> None:
        super().__init__(participant, function, "(connection, reply)")

    def __call__(self, ctx: Call) -> Reply | None:
        """Undo once; ``None`` when there was nothing to undo. Errors as of the undo itself."""
        stored = self._participant.compensate(ctx.idempotency_key, self.undo)
        return None if stored is None else self._reply(stored)

    def undo(self, connection: Connection, stored: Any) -> Reply:
        """The plain undo, within a transaction."""
        return self._function(connection, _typed(stored, self._given))


class Confirmation(_Repeatable[Reply]):
    """The action of a step that confirms a hold. Made by `Action.confirmation`.

    ``reconcile`` is ready to be the step's.
    """

    def __init__(self, participant: Participant, function: Callable[..., Reply], step: str) -> None:
        super().__init__(participant, function, "(connection, reply)")
        self.confirms = step  # the step whose hold it confirms

    def __call__(self, ctx: Call) -> Reply:
        """Confirm once for each key; ``TerminalError`` when the hold expired."""

        def effect(connection: Connection, stored: Any) -> Reply:
            return self._checked(self._function(connection, _typed(stored, self._given)))

        held = f"{ctx.execution_id}/{self.confirms}/action"
        return self._reply(self._participant.confirm(ctx.idempotency_key, held, effect))


def _parameters(function: Callable[..., Any]) -> list[str]:
    """The names of what a function must be given, in their order."""
    return [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
    ]


def _typed(stored: Any, kind: Any) -> Any:
    return stored if kind is Any else msgspec.convert(stored, kind, str_keys=True)
