"""A Hypothesis state machine that drives a real engine on a real journal, and kills it.

``engine_machine(saga, services=…, inputs=…)`` gives a test for your own saga and services. It
needs ``pip install 'sagakit[hypothesis]'``.
"""

from __future__ import annotations

import operator
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from sagakit.lab.strategies import scenarios  # isort: skip  it says so if Hypothesis is missing

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from sagakit.drivers.local.engine import Engine
from sagakit.events import Event, SignalReceived
from sagakit.journal import codec
from sagakit.journal.base import ExecutionRow
from sagakit.journal.sqlite import SqliteJournal
from sagakit.lab.invariants import Invariant
from sagakit.lab.mortal import JOURNAL, SERVICES, DiedError, Nursery, Order, Recipe, Refused
from sagakit.saga import Saga
from sagakit.scenario import Fault, Scenario

ENDED = ("completed", "compensated", "abandoned")
QUICK = 0.2  # seconds: a fault that makes a step wait for a longer timeout is left out
RETRIES = 3  # how often somebody tries again what is stuck, once nothing fails any more

COMMITS = st.integers(1, 9)
DOOMS = st.none() | st.tuples(COMMITS, st.booleans())  # at which commit to die, before or after it

# A few long examples: each begins processes, and a crash is told from none by what comes after.
SETTINGS = hypothesis.settings(
    max_examples=20,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


def engine_machine(
    saga: Saga | Callable[[Any], Saga] = operator.attrgetter("saga"),
    *,
    services: Callable[[Path], Any],
    inputs: st.SearchStrategy[Any],
    signals: Mapping[str, st.SearchStrategy[Any]] | None = None,
    faults: int = 2,
    together: int = 3,
    invariants: Sequence[Invariant] = (),
    engine: Callable[..., Engine] = Engine,
    pace: float | None = 0.01,
    patience: float = 60.0,
) -> type[EngineMachine]:
    """A state machine for one saga: what it does to an engine, in any order, is what happens to
    one in service. ::

        from sagakit.lab.machine import engine_machine
        from sagakit.services import CheckoutWorld

        CheckoutMachine = engine_machine(services=CheckoutWorld, inputs=st.builds(order))
        TestCheckout = CheckoutMachine.TestCase  # pytest and unittest run it

    The engine is in a process of its own, on an SQLite journal, beside the services, which keep
    what they know in files. Its rules: start executions, under faults, some at once; start
    one again, with the same input and with another one; send a signal, call off, retry what is
    stuck; kill the process by SIGKILL, at rest, or before or after the n-th commit from now on,
    in the middle of whatever it does then; begin another process on the same files and recover,
    which may be killed as well.

    After each of them the journal is read from outside. Broken are these invariants if

    - an execution whose start was answered is not in it, or one is in it that nobody started;
    - what it told of an execution is gone, or has changed;
    - one that had ended has gone on (one that does a step of another may be undone);
    - one signal was taken twice;
    - an id that is known is accepted with another input, or gives another execution.

    At the end of each example the process is killed once more. The next one recovers; whoever got
    no answer asks again; what is stuck is retried, what waits is called off, or signalled where it
    is too late for that. Then all must have ended, and the services' books balance.

    Parameters:
        saga: the definition; or what makes it of the services (their ``saga`` when left out).
        services: opens them in a folder, which is made by whoever needs it, and holds what they
            kept before. If they have ``books()``, that gives something with ``balanced`` and
            perhaps ``problems``; it may take the ids of executions that have not ended. If they
            have ``close()``, it closes them.
        inputs: of the executions.
        signals: payloads by event; None is what an event that is not named comes with.
        faults: how many strike one execution, at most. Left out are those that take long in real
            time: ``slow``, ``trip``, and those that last until a long timeout.
        together: how many executions are started at once, at most. With 1 an example goes
            much the same each time, so that Hypothesis can make it small; with more, chance has
            a say.
        invariants: functions ``f(services, execution) -> bool`` that hold of all that ended.
        engine: makes the engine: ``engine(journal, sagas=[saga])``.
        pace: how many seconds pass between two attempts, at most; None: as the saga says. What
            the saga waits for otherwise, it waits for in real time.
        patience: how many seconds an answer of the engine may take.

    What is given for the saga, the services, the invariants and the engine is pickled: it must be
    defined at the top of a module that another process can import.

    ``TestCase.settings`` are 20 examples of 12 steps, a few tenths of a second each; give more:
    ``TestCheckout.settings = hypothesis.settings(max_examples=500, deadline=None)``.

    Raises:
        TypeError: something cannot be sent to another process.
        ValueError: payloads of an event that the saga never waits for.
    """
    recipe = Recipe(saga, services, engine, tuple(invariants), pace)
    recipe.check()
    with tempfile.TemporaryDirectory(prefix="sagakit-") as folder:
        world = services(Path(folder) / SERVICES)
        made = recipe.made(world)
        getattr(world, "close", lambda: None)()
    events = sorted(
        {wait.event for one in made.family() for wait in one.plan.waits.values() if wait.event}
    )
    strange = ", ".join(f"'{event}'" for event in sorted((signals or {}).keys() - set(events)))
    if strange:
        raise ValueError(f"saga '{made.name}' never waits for the event {strange}")
    payloads = {event: (signals or {}).get(event, st.none()) for event in events}
    failing = scenarios(
        made,
        faults=faults,
        crashes=False,
        signals=False,
        cancels=False,
        only=lambda fault: _is_quick(made, fault),
    )
    return _machine(recipe, patience, together, inputs, failing, payloads)


def _is_quick(saga: Saga, fault: Fault) -> bool:
    """Whether little time passes because of it."""
    if fault.kind in ("slow", "trip"):
        return False
    if fault.kind not in ("time out", "late", "reorder"):
        return True
    *outer, name = fault.step.split("/")
    for above in outer:
        saga = saga.child(above)
    plan = saga.plan
    number = plan.index.get(name, 0)  # one step for each item has the item's number
    timeouts = plan.timeout if fault.side == "action" else plan.compensation_timeout
    return (timeouts[number] or 0.0) <= QUICK


def _machine(
    recipe: Recipe,
    patience: float,
    together: int,
    inputs: st.SearchStrategy[Any],
    failing: st.SearchStrategy[Scenario],
    payloads: dict[str, st.SearchStrategy[Any]],
) -> type[EngineMachine]:
    """The class with the rules that need to know the saga."""
    orders = st.lists(st.tuples(inputs, failing), min_size=1, max_size=together)

    class Machine(EngineMachine):
        @initialize(said=st.fixed_dictionaries(payloads))
        def open(self, said: dict[str, Any]) -> None:
            self.said = said
            self.born()

        @rule(target=EngineMachine.ids, orders=orders, doom=DOOMS)
        def start(
            self, orders: list[tuple[Any, Scenario]], doom: tuple[int, bool] | None
        ) -> MultipleResults[str]:
            return multiple(*self.begin(orders, doom))

        @rule(id=EngineMachine.ids, other=inputs)
        def start_another_with_its_id(self, id: str, other: Any) -> None:
            self.conflict(id, other)

        if payloads:

            @rule(id=EngineMachine.ids, event=st.sampled_from(sorted(payloads)))
            def signal(self, id: str, event: str) -> None:
                self.send(id, event)

    Machine.recipe, Machine.patience = recipe, patience
    Machine.TestCase.settings = SETTINGS
    return Machine


class EngineMachine(RuleBasedStateMachine):
    """What ``engine_machine`` gives is a subclass of it: see there.

    Which rules there are to choose from depends only on what was drawn before, never on how far
    the process got: of two runs of one example it may die earlier in one of them.
    """

    recipe: ClassVar[Recipe]
    patience: ClassVar[float]
    nursery: ClassVar[Nursery | None] = None
    ids: ClassVar[Bundle[str]] = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self._raised = sys.exc_info()[1]
        self._temporary = tempfile.TemporaryDirectory(prefix="sagakit-")
        self.folder = Path(self._temporary.name)
        self.alive = False
        self.said: dict[str, Any] = {}  # the payload of each event
        self.wanted: dict[str, Any] = {}  # the input of each execution that was asked for
        self.answered: set[str] = set()  # those whose start was answered
        self.sent: dict[str, tuple[str, str]] = {}  # signals by id: to whom, which event
        self.rows: dict[str, ExecutionRow] = {}  # the journal, as it was seen last
        self.events: dict[str, list[Event]] = {}

    # -- the process ------------------------------------------------------------------------

    def born(self) -> None:
        """Begin a process on what is there."""
        kind = type(self)
        if kind.nursery is None:
            kind.nursery = Nursery(self.recipe, self.patience)
        kind.nursery.bear(self.folder)
        self.alive = True

    def ask(self, verb: str, *arguments: Any, may: tuple[str, ...] = ()) -> bool:
        """Whether it was done: not if the process died, or refused it in a way that may be. Of one
        that is dead already, the next one is asked, once it has recovered."""
        if not self.alive:
            self.born()
            self._recover()
        if not self.alive:
            return False
        try:
            answer = self._asked(verb, *arguments)
        except DiedError:
            self.alive = False
            return False
        if isinstance(answer, Refused):
            assert answer.error in may, f"{verb}: {answer.error}: {answer.why}"
            return False
        if verb == "start":
            ids = [order.id for order in arguments[0]]
            assert answer == ids, f"started {ids}, got the executions {answer}"
            self.answered.update(ids)
        return True

    def _asked(self, verb: str, *arguments: Any) -> Any:
        assert self.nursery is not None, "an engine was born"
        return self.nursery.ask(verb, *arguments)

    # -- rules ------------------------------------------------------------------------------

    def begin(self, orders: list[tuple[Any, Scenario]], doom: tuple[int, bool] | None) -> list[str]:
        """Start new executions, all at once; their ids. The process may be killed over it."""
        if doom is not None:
            self.ask("doom", *doom)
        made = []
        for input, scenario in orders:
            id = f"e{len(self.wanted) + 1}"
            self.wanted[id] = input
            made.append(Order(id, input, scenario))
        self.ask("start", made)
        return [order.id for order in made]

    @rule(id=ids)
    def start_again(self, id: str) -> None:
        """Whoever got no answer asks again, and so does who got one."""
        self.ask("start", [Order(id, self.wanted[id])])

    def conflict(self, id: str, other: Any) -> None:
        """Start another execution under an id that is known."""
        if id not in self.answered or codec.same(self.wanted[id], other, Any):
            return
        done = self.ask("start", [Order(id, other)], may=("ConflictError",))
        assert not done, f"execution '{id}' was started again with another input"

    def send(self, id: str, event: str) -> None:
        """Send a signal to who waits for it, or to this execution."""
        inside = [row.id for row in self.rows.values() if _is_of(row.id, id)]
        waiting = [one for one in inside if self.rows[one].status == "waiting"]
        to = max(waiting or [id], key=len)
        signal = f"s{len(self.sent) + 1}"
        self.sent[signal] = (to, event)
        self._send(signal)

    def _send(self, signal: str) -> None:
        to, event = self.sent[signal]
        may = ("SignalError", "UnknownExecutionError")
        self.ask("signal", to, event, self.said[event], signal, may=may)

    @precondition(lambda self: self.sent)
    @rule()
    def signal_again(self) -> None:
        """Whoever sent the last one is not sure."""
        self._send(list(self.sent)[-1])

    @rule(id=ids)
    def cancel(self, id: str) -> None:
        """Call an execution off; some it is too late for."""
        self.ask("cancel", id, may=("CancellationError", "UnknownExecutionError"))

    @precondition(lambda self: self.wanted)
    @rule(which=st.integers(0, 4))
    def resolve(self, which: int) -> None:
        """Retry one that is stuck."""
        self.look()
        stuck = self.stuck()
        if stuck:
            self.ask("retry", stuck[which % len(stuck)])

    @precondition(lambda self: self.wanted)
    @rule(commits=COMMITS, written=st.booleans())
    def die_later(self, commits: int, written: bool) -> None:
        """From now on the process is killed at its n-th commit, before or after it."""
        self.ask("doom", commits, written)

    @precondition(lambda self: self.wanted)
    @rule()
    def kill(self) -> None:
        """SIGKILL, while nothing is asked of it."""
        if self.alive and self.nursery is not None:
            self.nursery.kill()
        self.alive = False

    @precondition(lambda self: self.wanted)
    @rule(doom=DOOMS)
    def recover(self, doom: tuple[int, bool] | None) -> None:
        """SIGKILL, and begin another process, which goes on with what the last one left, and may
        be killed over that."""
        self.kill()
        self.born()
        if doom is not None:
            self.ask("doom", *doom)
        self._recover()

    def _recover(self) -> None:
        try:
            self._asked("recover")
        except DiedError:
            self.alive = False
            return
        self.look()
        running = [id for id, row in self.rows.items() if row.status == "running"]
        assert not running, f"recovery has come back, and left {running} running"

    # -- what must hold ---------------------------------------------------------------------

    @invariant()
    def the_journal_forgets_nothing(self) -> None:
        """See ``engine_machine``."""
        self.look()

    def look(self) -> None:
        """Read the journal, and compare it with what was seen of it before."""
        rows, events = self._read()
        lost = sorted(self.answered - rows.keys())
        assert not lost, f"started, and not in the journal: {lost}"
        strange = [r.id for r in rows.values() if r.parent is None and r.id not in self.wanted]
        assert not strange, f"in the journal, and started by nobody: {strange}"
        for id, before in self.events.items():
            now = events.get(id, [])
            assert now[: len(before)] == before, f"execution '{id}': its events have changed"
            was = self.rows[id].status
            undoable = was == "completed" and self.rows[id].parent is not None
            if was in ENDED and not undoable:
                more = len(now) - len(before)
                assert not more, f"execution '{id}' had ended ({was}), and has {more} more events"
                assert rows[id].status == was, f"'{id}' was {was} and is {rows[id].status}"
        taken = Counter(
            event.id for some in events.values() for event in some if type(event) is SignalReceived
        )
        twice = [id for id in self.sent if taken[id] > 1]
        assert not twice, f"taken more than once: the signals {twice}"
        self.rows, self.events = rows, events

    def _read(self) -> tuple[dict[str, ExecutionRow], dict[str, list[Event]]]:
        if not (self.folder / JOURNAL).exists():
            return {}, {}
        journal = SqliteJournal(self.folder / JOURNAL, read_only=True)
        try:
            rows = {row.id: row for row in journal.find()}
            return rows, {id: journal.read(id) for id in rows}
        finally:
            journal.close()

    def stuck(self) -> list[str]:
        """The ids of those that nobody started as part of another one, and that are stuck."""
        return [r.id for r in self.rows.values() if r.status == "stuck" and r.parent is None]

    # -- the end ----------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if sys.exc_info()[1] is self._raised and self.wanted:  # nothing has failed so far
                self.settle()
        finally:
            self.kill()
            self._temporary.cleanup()

    def settle(self) -> None:
        """Bring everything to its end, and see whether it was done as it should."""
        self.recover(None)
        for id in self.wanted.keys() - self.answered:
            self.start_again(id)
        for signal in self.sent:
            self._send(signal)
        left = self._end_all()
        self.look()
        ended = [id for id in self.wanted if id not in left]
        problems = self._asked("books", left)
        assert not problems, "the books do not balance: " + "; ".join(map(str, problems))
        violated = self._asked("violated", ended)
        assert not violated, f"these invariants do not hold: {violated}"

    def _end_all(self) -> list[str]:
        """End what can be ended; the ids of those that wait for their time."""
        tried: Counter[str] = Counter()
        until = time.monotonic() + self.patience
        while True:
            self.look()
            open_ = [id for id in self.wanted if self.rows[id].status not in ENDED]
            moved = [id for id in open_ if self._end(id, tried)]
            if not moved:
                return open_
            assert time.monotonic() < until, f"they come to no end: {moved}"
            time.sleep(0.01)

    def _end(self, id: str, tried: Counter[str]) -> bool:
        """Whether there was something to do about it."""
        tried[id] += 1
        match self.rows[id].status:
            case "stuck":
                assert tried[id] <= RETRIES, f"execution '{id}' is stuck, though nothing fails"
                self.ask("retry", id)
            case "waiting" if tried[id] == 1:
                self.ask("cancel", id, may=("CancellationError",))
            case "waiting":
                if tried[id] > RETRIES:
                    return False
                for event in self.said:
                    self.send(id, event)
            case _:
                time.sleep(0.05)
        return True


def _is_of(id: str, above: str) -> bool:
    """Whether it is this execution, or does a step of it."""
    return id == above or id.startswith(f"{above}/")
