"""What became of a saga under a scenario, run from its start in a world of its own."""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Callable, Sequence
from typing import Any

from sagakit.drivers.inputs import accept_input
from sagakit.drivers.simulated import watched
from sagakit.events import Event
from sagakit.execution import Execution
from sagakit.lab.calls import Unseen
from sagakit.saga import Saga
from sagakit.scenario import Scenario


class Course:
    """A run under a scenario.

    Parameters:
        end: the world as the run left it, as bytes; empty if it cannot be had.
        worlds: the world before each batch of calls, or before each call, as bytes.
        checkpoints: where one can go on from.
    """

    execution: Execution

    def __init__(
        self,
        scenario: Scenario,
        execution: Execution,
        end: bytes,
        worlds: Sequence[bytes] = (),
        checkpoints: Sequence[Any] = (),
    ) -> None:
        self.scenario = scenario
        self.execution = execution
        self.events: Sequence[Event] = execution.events
        self.status = execution.status
        self.end = end
        self.worlds = worlds
        self.checkpoints = checkpoints


class FromTheStart:
    """Runs one saga under many scenarios, each from its start in a world of its own.

    Parameters:
        saga: the definition, or what makes it for a world.
        fresh: makes the worlds.

    Raises:
        InputError: the saga refuses the input.
    """

    shares = False

    def __init__(
        self, saga: Saga | Callable[[Any], Saga], input: Any, id: str, fresh: Callable[[], Any]
    ) -> None:
        self._saga_of, self._fresh, self.id = saga, fresh, id
        self._renew()
        self.kept = accept_input(self.saga, input)

    def _renew(self) -> None:
        self.world = world = self._fresh()
        made = self._saga_of
        self.saga = made if isinstance(made, Saga) else made(world)

    def begin(self) -> Course:
        """The run in which nothing fails."""
        return self.run(Scenario())

    def go_on(self, course: Course, place: int, scenario: Scenario, *, last: bool) -> Course:  # noqa: ARG002
        """Run under another scenario."""
        return self.run(scenario, probe=not last)

    def run(self, scenario: Scenario, *, probe: bool = True) -> Course:
        self._renew()
        watch = _Probe(self.world) if probe else None
        execution = watched(self.saga, self.kept, self.id, 0, scenario, watch)
        return Course(scenario, execution, digest(self.world), watch.seen if watch else ())


class _Probe(Unseen):
    """Looks at the world before every call."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.seen: list[bytes] = []

    def call(self, calling: Any, side: str, attempt: int, function: Callable[[], Any]) -> Any:  # noqa: ARG002
        self.seen.append(digest(self.world))
        return function()


def digest(world: Any) -> bytes:
    """The world as bytes, by its snapshot if it makes any; empty if it cannot be had."""
    snapshot = getattr(world, "snapshot", None)
    return token_digest(snapshot() if callable(snapshot) else world)


def token_digest(value: Any) -> bytes:
    """A value as bytes, equal ones for equal values as a rule; empty if it cannot be had."""
    try:
        return marshal.dumps(value, 2)  # version 2 does not tell which parts are the same object
    except ValueError:
        pass
    try:
        return pickle.dumps(value)
    except Exception:  # noqa: BLE001  a world may be anything
        return b""
