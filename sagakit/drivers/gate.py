"""Between an attempt's journalled intent and its call: a gate for each service that has policies.

A driver asks ``Gates.admits`` before it makes a call. A call that is held waits in its service's
queue, first come, first served; one that is refused is handed back as a ``ServiceRefusedError``.
The attempt carries a ``Ticket``, by which ``Run`` says how it ended: that frees its place. Whatever
happens to the attempt, each call that was let in is settled exactly once.

There is one ``Gates`` for an engine, or for a simulation. It belongs to one thread, its driver's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from sagakit.drivers.run import IN_DOUBT_ERRORS
from sagakit.errors import DefinitionError, ServiceRefusedError, TerminalError
from sagakit.events import (
    AskReconcile,
    AttemptAdmitted,
    AttemptHeld,
    BreakerChanged,
    Calling,
    HedgeStarted,
    RunAction,
)
from sagakit.resilience import Admitted, Guard, Hedge, Held, Outcome, Refused, Service, Transition

if TYPE_CHECKING:
    from sagakit.drivers.attempt import Attempt
    from sagakit.saga import Saga


class Driver(Protocol):
    """What a gate asks of the driver that it stands in."""

    def now(self) -> float:
        """Seconds since the epoch, or since a simulation's beginning."""

    def let_in(self, attempt: Attempt) -> None:
        """The attempt was held and is admitted: make its call."""

    def turn_away(self, attempt: Attempt, error: ServiceRefusedError) -> None:
        """Record that the attempt's call must not be made."""

    def hedge(self, attempt: Attempt) -> None:
        """Make one more call of an attempt that is under way: nobody counts it but its ticket."""

    def noted(self, ticket: Ticket) -> None:
        """The ticket's run has events that lead to nothing: journal them."""

    def ask_again(self, at: float | None) -> None:
        """Call ``Gates.turn`` soon, or at a time (seconds)."""


class Gates:
    """The gates of all services that an engine or a simulation calls."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._gates: dict[str, Gate] = {}
        self._agreed: dict[str, tuple[Service, str]] = {}  # and the saga that said so first

    def agree(self, saga: Saga) -> None:
        """Learn a saga's services. Any thread may call it.

        The hedge is each saga's own: it says how this caller reads, and one that only writes to
        the service has none.

        Raises:
            DefinitionError: a service has other policies here than in a saga known before.
        """
        found = []
        for service in saga.services:
            shared = msgspec.structs.replace(service, hedge=None)
            known, other = self._agreed.get(service.name, (shared, ""))
            if known != shared:
                found.append(
                    f"service '{service.name}' has other policies here than in saga '{other}', "
                    "and all that call it share one guard; give both the same Service, or run "
                    "them apart, each in an engine of its own"
                )
        if found:
            raise DefinitionError(f"saga '{saga.name}'", found)
        for service in saga.services:
            shared = msgspec.structs.replace(service, hedge=None)
            self._agreed.setdefault(service.name, (shared, saga.name))

    def admits(self, attempt: Attempt, now: float, host: Any = None) -> bool:
        """Whether the attempt's call may be made now. If not, it is held or turned away, and the
        driver is told what becomes of it.

        Parameters:
            now: seconds.
            host: what the driver wants to find again at ``attempt.ticket.host``; when it gives it
                up, it calls ``leave``.
        """
        if attempt.ticket is not None:
            return attempt in attempt.ticket.calls  # it was held and is let in
        run = attempt.run
        assert run.plan.guards is not None
        service = run.plan.guards[run.plan.index[attempt.command.step]]
        if service is None:
            return True
        gate = self._gates.get(service.name)
        if gate is None or gate.guard.service is not service:
            self.agree(run.saga)
            gate = self._gates.setdefault(service.name, gate or Gate(service, self._driver))
        return gate.enter(Ticket(gate, attempt, host), now)

    def turn(self, now: float) -> bool:
        """Let in whoever waits and may go now; whether that was anybody."""
        moved = False
        for gate in list(self._gates.values()):
            if gate.queue and gate.turn(now):
                moved = True
        return moved

    def next_due(self, other: float | None = None) -> float | None:
        """When to ask again though no call ends (seconds), or at ``other`` if that is sooner."""
        times = [gate.until for gate in self._gates.values() if gate.queue]
        return min((at for at in (*times, other) if at is not None), default=None)

    def leave(self, host: Any) -> None:
        """The driver gives up everything of this host: places are freed, and nothing recorded."""
        for gate in self._gates.values():
            for ticket in [ticket for ticket in gate.tickets if ticket.host is host]:
                ticket.leave(self._driver.now())

    def close(self) -> None:
        """The driver stops: nothing is let in any more."""
        for gate in self._gates.values():
            for ticket in list(gate.tickets):
                ticket.leave(self._driver.now())


class Gate:
    """Where the calls of one service are let in, held or turned away."""

    __slots__ = ("driver", "guard", "queue", "tickets", "until")

    def __init__(self, service: Service, driver: Driver) -> None:
        self.guard = Guard(service)
        self.driver = driver
        self.queue: OrderedDict[Ticket, None] = OrderedDict()  # those held, the first one first
        self.tickets: dict[Ticket, None] = {}  # all that are held or under way
        self.until: float | None = None  # when the first one asks again

    def enter(self, ticket: Ticket, now: float) -> bool:
        """Ask for a newcomer; whether it is let in."""
        if self.queue:
            self.turn(now)  # whoever came before has the first say
        ticket.attempt.ticket = ticket
        return self._ask(ticket, now, len(self.queue))

    def turn(self, now: float) -> bool:
        """Ask for those that are held, until one has to wait on; whether anybody moved."""
        moved = False
        while self.queue:
            ticket = next(iter(self.queue))
            admitted = self._ask(ticket, now, 0)
            if ticket in self.queue:
                break
            moved = True
            if admitted:
                self.driver.let_in(ticket.attempt)
        return moved

    def _ask(self, ticket: Ticket, now: float, waiting: int) -> bool:
        attempt = ticket.attempt
        if attempt.trips:
            attempt.trips = False
            ticket.note(self.guard.trip(now), now)
        answer = self.guard.admit(now, _is_retry(attempt), waiting)
        ticket.note(answer.transitions, now)
        match answer:
            case Admitted(call=call):
                ticket.go(call, now)
                return True
            case Held():
                ticket.wait(answer, now)
                if ticket is next(iter(self.queue)):
                    self.until = answer.until
                    if answer.until is not None:
                        self.driver.ask_again(answer.until)
            case Refused(by=by, why=why, retry_at=retry_at):
                ticket.forget()
                error = ServiceRefusedError(self.guard.service.name, by, why, retry_at)
                self.driver.turn_away(attempt, error)
        return False

    def freed(self) -> None:
        """A call has ended, or somebody left the queue: others may go."""
        if self.queue:
            self.driver.ask_again(None)


class Ticket:
    """An attempt's way through a gate: it waits, is under way in one call or several, has ended."""

    __slots__ = (
        "_chances",
        "_gate",
        "_held",
        "_later",
        "_policy",
        "_timer",
        "attempt",
        "calls",
        "host",
    )

    def __init__(self, gate: Gate, attempt: Attempt, host: Any) -> None:
        self._gate = gate
        self.attempt = attempt
        self.host = host
        self.calls: dict[Attempt, int] = {}  # under way, the first one first, by the guard's number
        self._held: Held | None = None
        self._later: Callable[..., Any] | None = None
        self._timer: Any = None  # of the next hedge
        self._policy = self._own_hedge()
        self._chances = self._policy.most - 1 if self._policy is not None else 0

    def _own_hedge(self) -> Hedge | None:
        """What its saga says of asking twice; None: it is not a read."""
        command, plan = self.attempt.command, self.attempt.run.plan
        number = plan.index[command.step]
        service = plan.guards[number] if plan.guards is not None else None
        reads = isinstance(command, RunAction) and plan.reads[number]
        return service.hedge if service is not None and reads else None

    @property
    def side(self) -> Calling:
        asks = isinstance(self.attempt.command, AskReconcile)
        return "reconcile" if asks else self.attempt.side

    # -- what the gate decides --------------------------------------------------------------

    def note(self, transitions: Iterable[Transition], now: float) -> None:
        """Keep what asking changed; an attempt under way belongs to an execution that goes on."""
        name = self._gate.guard.service.name
        for change in transitions:
            event = BreakerChanged(now, name, change.before, change.after, change.cause)
            self.attempt.run.emit(event)
            self._gate.driver.noted(self)

    def wait(self, held: Held, now: float) -> None:
        """Join the queue, or stay in it."""
        first, self._held = self._held is None, held
        if not first:
            return
        run, command = self.attempt.run, self.attempt.command
        self._gate.queue[self] = self._gate.tickets[self] = None
        if isinstance(command, RunAction):
            if run.held is None:
                run.held = {}
            run.held[self] = None
        run.emit(AttemptHeld(command.step, now, self.side, held.by, held.until))
        self._gate.driver.noted(self)

    def go(self, call: int, now: float) -> None:
        """The first call is let in."""
        if self._unheld():
            run = self.attempt.run
            run.emit(AttemptAdmitted(self.attempt.command.step, now, self.side))
            self._gate.driver.noted(self)
        self._gate.tickets[self] = None
        self.calls[self.attempt] = call

    def forget(self) -> None:
        """It will not be let in."""
        self._unheld()
        self._gate.tickets.pop(self, None)

    def _unheld(self) -> bool:
        """Leave the queue; whether it was there."""
        if self._held is None:
            return False
        self._held = None
        del self._gate.queue[self]
        if self.attempt.run.held:
            self.attempt.run.held.pop(self, None)
        return True

    # -- what becomes of the attempt --------------------------------------------------------

    def returned(self, attempt: Attempt, now: float) -> None:
        """``Run`` has recorded that a call gave a value."""
        self._settle(attempt, Outcome.SUCCEEDED, now)

    def raised(self, attempt: Attempt, error: BaseException, now: float) -> None:
        """``Run`` has recorded a failure, or that the attempt timed out or was turned away."""
        self._settle(attempt, _outcome(error), now)

    def withdraw(self, now: float) -> None:
        """Backward recovery began while it was held: its call must not be made any more."""
        assert self._held is not None
        why = "it held the call until backward recovery began"
        error = ServiceRefusedError(self._gate.guard.service.name, self._held.by, why)
        self.attempt.run.raised(self.attempt, error, now)

    def leave(self, now: float) -> None:
        """Nobody will record how it ends."""
        self._settle(self.attempt, Outcome.CANCELLED, now)

    def _settle(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """All its calls have ended: the outcome is that of one, the others are given up."""
        gate, calls = self._gate, self.calls
        self.forget()
        if self._timer is not None:
            self._timer.cancel()
        self.calls = {}
        decisive = attempt if attempt in calls else next(iter(calls), None)
        for other, call in calls.items():
            ended = outcome if other is decisive else Outcome.CANCELLED
            self.note(gate.guard.settle(now, call, ended), now)
        for other in {**calls, self.attempt: 0} if self._later is not None else ():
            if other is not attempt:
                _give_up(other)
        gate.freed()

    # -- hedging ----------------------------------------------------------------------------

    def begun(self, attempt: Attempt, later: Callable[..., Any]) -> None:
        """A call is made; if it is a read's first one, others may follow.

        Parameters:
            later: calls a function after so many seconds; its result can be cancelled.
        """
        if self._chances and attempt is self.attempt:
            self._later = later
            self._timer = later(self._after(), self._hedge)

    def _after(self) -> float:
        assert self._policy is not None
        return self._policy.after

    def _hedge(self) -> None:
        """No answer yet: ask once more, if that is allowed now and nobody waits."""
        assert self._later is not None
        gate, run = self._gate, self.attempt.run
        self._chances -= 1
        self._timer = self._later(self._after(), self._hedge) if self._chances else None
        if gate.queue:
            return
        now = gate.driver.now()
        answer = gate.guard.admit(now, retry=True)
        self.note(answer.transitions, now)
        if isinstance(answer, Admitted):
            twin = run.twin(self.attempt)
            twin.ticket = self
            self.calls[twin] = answer.call
            run.emit(HedgeStarted(self.attempt.command.step, now))
            gate.driver.noted(self)
            gate.driver.hedge(twin)

    def outlives(self, attempt: Attempt, error: BaseException, now: float) -> bool:
        """Whether the attempt goes on though this call failed: another one may still answer. A
        "no" by a business rule is an answer."""
        if len(self.calls) < 2 or attempt not in self.calls or isinstance(error, TerminalError):
            return False
        # The first one is not closed: its timeout counts for all.
        attempt.closed = attempt is not self.attempt
        call = self.calls.pop(attempt)
        self.note(self._gate.guard.settle(now, call, _outcome(error)), now)
        self._gate.freed()
        return True


def _is_retry(attempt: Attempt) -> bool:
    """Whether the same has failed before, for the retry budget. What a crash took away has not, nor
    has a compensation that was never let in: charged to the budget, they could be refused for good,
    and a recovery or a breaker's rest would change how executions end."""
    if isinstance(attempt.command, AskReconcile):
        return False
    run = attempt.run
    return bool(run.state.failures.get(run.plan.index[attempt.command.step]))


def _outcome(error: BaseException) -> Outcome:
    """What a failure says about the service's health."""
    if isinstance(error, TerminalError):
        return Outcome.DECLINED
    return Outcome.IN_DOUBT if isinstance(error, IN_DOUBT_ERRORS) else Outcome.FAILED


def _give_up(call: Attempt) -> None:
    """Whatever the call may still answer is ignored."""
    call.closed = True
    for waiting in (call.task, call.timer):
        if waiting is not None:
            waiting.cancel()
