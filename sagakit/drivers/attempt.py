"""What an action is told, and the call of one attempt."""

from __future__ import annotations

import copy
import functools
import typing
from collections.abc import Callable, Iterator, Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic

import msgspec

from sagakit.discretion import discreet_logger
from sagakit.plan import Call
from sagakit.redaction import Redaction
from sagakit.scenario import Side

if TYPE_CHECKING:
    import structlog.typing

    from sagakit.drivers.run import Run


if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Input = TypeVar("Input", default=Any)
else:
    Input = typing.TypeVar("Input")


class StepContext(Generic[Input]):
    """What an action or compensation is told about its execution.

    ``ctx: StepContext[Order]`` tells a type checker what ``ctx.input`` is; that it is one, the
    saga declares: ``Saga(input=Order)``.
    """

    __slots__ = ("_input", "_results", "_run", "attempt", "side", "step")

    def __init__(self, run: Run, step: str, side: Side, attempt: int) -> None:
        self._run = run
        self._input: Any = None
        self._results: _Copies | None = None
        self.step = step
        self.side = side
        self.attempt = attempt

    @property
    def input(self) -> Input:
        """The execution's input, or this step's item where it is done for each: a copy, so that
        what an action does to it stays its own."""
        if self._input is None:
            run = self._run
            given = run.input_of(self.step)
            plain = run.saga.input_type is Any  # what `accept_input` made of it, then
            self._input = msgspec.to_builtins(given) if plain else _copied(given)
        input: Input = self._input
        return input

    @property
    def results(self) -> Mapping[str, Any]:
        """What each succeeded step returned, by its name: read-only, and copies."""
        if self._results is None:
            self._results = _Copies(self._run.state.results, self._run.redaction)
        return self._results

    @property
    def result(self) -> Any:
        """What this step's own action returned; None when it is in doubt."""
        return self.results.get(self.step)

    @property
    def execution_id(self) -> str:
        return self._run.state.execution_id

    @property
    def idempotency_key(self) -> str:
        """``execution id / step / action or compensation``: the same on every attempt."""
        return f"{self._run.state.execution_id}/{self.step}/{self.side}"

    @property
    def action_key(self) -> str:
        """The idempotency key of the step's action: under it a compensation finds what to undo."""
        return f"{self._run.state.execution_id}/{self.step}/action"

    @property
    def logger(self) -> structlog.typing.FilteringBoundLogger:
        """A structlog logger with saga, execution, step and attempt bound; and ``trace_id`` and
        ``span_id``, where the execution is traced. What the saga declares sensitive does not
        reach its output, whatever processors are configured."""
        import structlog

        run = self._run
        traced = {} if run.watch is None else run.watch.ids(self.step, self.side, self.attempt)
        plain = structlog.get_logger() if run.redaction is None else discreet_logger(run.redaction)
        logger: structlog.typing.FilteringBoundLogger = plain.bind(
            saga=self._run.saga.name,
            execution=self.execution_id,
            step=self.step,
            side=self.side,
            attempt=self.attempt,
            **traced,
        )
        return logger

    def __repr__(self) -> str:
        return f"<StepContext {self.idempotency_key} attempt {self.attempt}>"


_SHARED = frozenset({str, int, float, bool, bytes, NoneType})


def _copied(value: Any) -> Any:
    """A deep copy; of plain data ten times as fast as ``copy.deepcopy`` makes it."""
    kind = type(value)
    if kind in _SHARED:
        return value
    if kind is dict:
        return {key: _copied(inner) for key, inner in value.items()}
    if kind is list:
        return [_copied(inner) for inner in value]
    return copy.deepcopy(value)


class _Copies(Mapping[str, Any]):
    """A read-only view that copies a value when it is first looked at: what an action does to it
    must not reach other steps, which would see it in a run and not after a crash."""

    def __init__(self, values: Mapping[str, Any], redaction: Redaction | None) -> None:
        self._values = values
        self._redaction = redaction
        self._copies: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._copies:
            self._copies[name] = _copied(self._values[name])
        return self._copies[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        values = dict(self)
        return repr(values if self._redaction is None else self._redaction.clean(values))


class Attempt(msgspec.Struct, eq=False):
    """A call to make: which command it serves, and what the driver must know to make it."""

    run: Run
    command: Any
    call: Call
    delay: float  # seconds that pass before the call
    side: Side
    attempt: int
    timeout: float | None
    closed: bool = False  # its outcome is recorded; whatever comes later is ignored
    task: Any = None  # what a driver with a loop makes of it
    timer: Any = None
    value: Any = None  # an awaitable that a plain function returned
    ticket: Any = None  # of a guarded service's gate
    trips: bool = False  # its service's circuit breaker opens as it asks to be let in
    overtaken: bool = False  # it arrives behind the step's next request

    def invoke(self) -> Any:
        """Make the call; the value may be an awaitable."""
        if self.run.watch is not None:
            return self.run.watch.call(self, self.side, self.attempt, self._function())
        call = self.call
        if call.takes_context:
            return call.function(StepContext(self.run, self.command.step, self.side, self.attempt))
        return call.function()

    def _function(self) -> Callable[[], Any]:
        call = self.call
        if not call.takes_context:
            return call.function
        told = StepContext(self.run, self.command.step, self.side, self.attempt)
        return functools.partial(call.function, told)
