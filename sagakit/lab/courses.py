"""What becomes of a saga under a scenario, and running it from its start in a world of its own."""

from __future__ import annotations

import hashlib
import marshal
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sagakit.drivers.inputs import accept_input, must_be_scenario
from sagakit.drivers.simulated import watched
from sagakit.events import ErrorInfo, Event
from sagakit.execution import Execution
from sagakit.lab.calls import Unseen
from sagakit.lab.invariants import was_injected
from sagakit.saga import Saga
from sagakit.scenario import Scenario

Told = Any  # a hash of the events so far, which can be copied, and go on with more of them


class Course:
    """A run under a scenario. ``outcome`` is the same where the events and the world are.

    Parameters:
        place: the number of the event at which its last fault struck.
        told: of its events, see ``told_of``; consumed.
        end: the world as it was left, as bytes; empty if it cannot be had.
        worlds: the world before each batch of calls, or before each call, as bytes.
        checkpoints: where one can go on from.
    """

    shared = False  # made to its end
    execution: Execution

    def __init__(
        self,
        scenario: Scenario,
        place: int,
        execution: Execution,
        told: Told,
        end: bytes,
        worlds: Sequence[bytes] = (),
        checkpoints: Sequence[Any] = (),
    ) -> None:
        self.scenario = scenario
        self.place = place
        self.execution = execution
        self.status = execution.status
        self.end = end
        self.outcome = outcome_of(told, end)
        self.worlds = worlds
        self.checkpoints = checkpoints


class FromTheStart:
    """Runs one saga under many scenarios, each from its start in a world of its own.

    Parameters:
        saga: the definition, or what makes it for a world.
        fresh: makes the worlds.
        base: what happens in every run.

    Raises:
        InputError: the saga refuses the input.
    """

    shares = False

    def __init__(
        self,
        saga: Saga | Callable[[Any], Saga],
        input: Any,
        id: str,
        fresh: Callable[[], Any],
        base: Scenario,
    ) -> None:
        must_be_scenario(base)
        self._saga_of, self._fresh, self.id, self._base = saga, fresh, id, base
        self._renew()
        self.kept = accept_input(self.saga, input)

    def _renew(self) -> None:
        self.world = world = self._fresh()
        made = self._saga_of
        self.saga = made(world) if callable(made) else made

    def begin(self) -> Course:
        """The run in which nothing more fails."""
        return self.run(self._base)

    def go_on(self, course: Course, place: int, scenario: Scenario, *, last: bool) -> Course:  # noqa: ARG002
        """Run under another scenario."""
        return self.run(scenario, place, probe=not last)

    def run(self, scenario: Scenario, place: int = 0, *, probe: bool = True) -> Course:
        self._renew()
        watch = _Probe(self.world) if probe else None
        execution = watched(self.saga, self.kept, self.id, 0, scenario, watch)
        events = execution.history() if execution.children else execution.events
        seen = () if watch is None else watch.seen
        return Course(scenario, place, execution, told_of(events), digest(self.world), seen)


class _Probe(Unseen):
    """Looks at the world before every call."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.seen: list[bytes] = []

    def call(self, calling: Any, side: str, attempt: int, function: Callable[[], Any]) -> Any:  # noqa: ARG002
        self.seen.append(digest(self.world))
        return function()


def text_of(events: Sequence[Event | tuple[str, Event]]) -> bytes:
    """The events without what an error says, but for whether it was injected. That of two
    sequences is that of the first, then that of the second."""
    return _encode_lines(events)


def told_of(events: Sequence[Event | tuple[str, Event]]) -> Told:
    """What these events begin, by their text."""
    return hashlib.blake2b(text_of(events), digest_size=16)


def outcome_of(told: Told, end: bytes) -> bytes:
    """What became of a run that told this, and left the world like that."""
    told.update(end)
    outcome: bytes = told.digest()
    return outcome


def _error(value: Any) -> Any:
    return (value.type, was_injected(value)) if isinstance(value, ErrorInfo) else repr(value)


_encode_lines = msgspec.json.Encoder(enc_hook=_error).encode_lines


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
