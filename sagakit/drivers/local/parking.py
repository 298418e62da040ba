"""Executions that wait for the world cost a row in the journal and nothing here.

One that has come to rest is *parked*: dropped from memory. What stays is its time to wake, if it
has one, and its answer, if somebody waits for that. A time, a signal or an operator brings it back
from the journal, and with it those that it is part of; others that do steps of theirs stay there.
Everything here runs on the engine's loop, so that nothing can come in between.
"""

from __future__ import annotations

import contextvars
import heapq
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Self

from sagakit.coordinator import letters, put
from sagakit.errors import JournalError
from sagakit.events import Event, StepFailed, StepSucceeded, WaitStarted
from sagakit.execution import Execution
from sagakit.journal.base import Letter, Rest, Wait
from sagakit.scenario import Signal
from sagakit.transitions import Phase, StepState

if TYPE_CHECKING:
    import asyncio

    from sagakit.drivers.kin import Kin
    from sagakit.drivers.local.core import Core, Live
    from sagakit.drivers.run import Run

_MANY = 500  # events: one that has no more is read so fast that it never stays in memory
_STAY = 1e-3  # seconds for each event: about a hundred times as long as reading it takes
# What an execution must know of its children to go on: where they stand that do these steps.
_CONCERN = frozenset(
    {StepState.RUNNING, StepState.COMPENSATING, StepState.STUCK, StepState.COMPENSATION_FAILED}
)
_TOGETHER = 200  # executions woken in one turn of the loop
_LONGEST = 30.0  # seconds between two looks at the clock, which somebody may set
_SWEEP = 1.0  # seconds between two looks for expired letters, at least

Key = tuple[str, str]  # event and correlation


class Answer(Future[Execution]):
    """The end of an execution, for a caller. Who holds it waits for it, and so does who asked to
    be called; when nobody does, it is let go."""

    def __init__(self, heard: set[Future[Execution]], context: contextvars.Context) -> None:
        """
        Parameters:
            heard: holds those that somebody asked to be called by, as long as they are open.
            context: the context variables of the caller.
        """
        super().__init__()
        self.context = context
        self._heard = heard
        self.set_running_or_notify_cancel()

    def add_done_callback(self, fn: Callable[[Future[Execution]], object]) -> None:
        self._heard.add(self)
        super().add_done_callback(fn)
        super().add_done_callback(self._heard.discard)

    def tell(self, fn: Callable[[Future[Execution]], object]) -> None:
        """Call when it is there, if anybody waits for it by then."""
        super().add_done_callback(fn)


def may_be_parked(live: Live) -> bool:
    """Whether an execution that rests can go on from its journal alone."""
    run, kin = live.run, live.run.kin
    if run.scenario is not None or run.meanwhile or live.acks or not live.rests:
        return False
    return kin is None or not (kin.scenario or kin.under_way or kin.sought)


def stay_of(run: Run) -> float:
    """How long one that rests is to stay in memory (seconds): the longer, the more there is to read
    should it wake, so that of ten thousand items that wake one after another each costs the
    same."""
    count = len(run.events)
    return count * _STAY if count > _MANY else 0.0


def rest_of(run: Run) -> Rest:
    """What the journal is to note of an execution that does not run here and has not ended."""
    waits = tuple(Wait(*key, since) for key, since in _waits_of(run).items())
    return Rest(run.next_due() if run.waits else None, run.waits, waits)


def _waits_of(run: Run) -> dict[Key, float]:
    """The correlated waits of an execution that no signal has reached, and when each began. One
    that is stuck may have waits for which a signal is there, to be taken once it goes on."""
    found: dict[Key, float] = {}
    if run.state.waiting and run.open:
        reached = letters(run.state)
        for number, wait in run.state.waiting.items():
            key = _key(wait)
            if key is not None and number not in reached:
                found.setdefault(key, wait.at)
    return found


def _key(wait: WaitStarted) -> Key | None:
    if wait.event is None or wait.correlation is None:
        return None
    return wait.event, wait.correlation


class Waits:
    """The correlated waits of an execution in memory, kept as its events come: of ten thousand
    that begin and end one after another each costs the same."""

    __slots__ = ("_keys", "_noted", "_since", "_stored", "_touched", "run")

    def __init__(self, run: Run, stored: dict[Key, float] | None) -> None:
        """
        Parameters:
            stored: as the journal lists them; None: that is not known, and all are listed anew.
        """
        self.run = run
        self._noted: int | None = None  # how many events have been looked at
        self._keys: dict[str, Key] = {}  # by the names of the steps
        self._since: dict[Key, dict[str, float]] = {}  # by the same, who waits longest first
        self._stored = stored
        self._touched: dict[Key, None] = {}  # what may have changed since the journal was told

    @classmethod
    def of(cls, run: Run) -> Self:
        """Those of an execution from the journal. If something was decided since, that may not list
        what they are now."""
        return cls(run, _waits_of(run) if run.written == len(run.events) else None)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._since)

    def since(self, key: Key) -> float | None:
        """Since when it waits for this; None: it does not."""
        steps = self._since.get(key)
        return None if steps is None else next(iter(steps.values()))

    def note(self) -> tuple[list[WaitStarted], dict[Key, None]]:
        """Look at its new events: the waits that began, and what changed."""
        run = self.run
        events, waiting = run.events, run.state.waiting
        touched: dict[Key, None] = {}
        new: Iterable[Event]
        if self._noted is None:
            new = waiting.values()
            touched |= dict.fromkeys(self._stored or ())  # some may have ended already
        else:
            new = events[self._noted :]
        self._noted = len(events)
        began: list[WaitStarted] = []
        if not waiting or not run.open:  # called off, say
            for step in list(self._keys):
                self._ends(step, touched)
            new = ()
        for event in new:
            if isinstance(event, WaitStarted):
                if waiting.get(run.plan.index[event.step]) is event:
                    began.append(event)
                    self._begins(event, touched)
            elif isinstance(event, StepSucceeded | StepFailed):
                self._ends(event.step, touched)
        self._touched |= touched
        return began, touched

    def _begins(self, wait: WaitStarted, touched: dict[Key, None]) -> None:
        key = _key(wait)
        if key is not None:
            self._keys[wait.step] = key
            self._since.setdefault(key, {})[wait.step] = wait.at
            touched[key] = None

    def _ends(self, step: str, touched: dict[Key, None]) -> None:
        key = self._keys.pop(step, None)
        if key is not None:
            steps = self._since[key]
            del steps[step]
            if not steps:
                del self._since[key]
            touched[key] = None

    def rest(self, wake_at: float | None, resting: bool) -> Rest:
        """What the journal is to note, and has from then on."""
        stored, touched = self._stored, self._touched
        self._touched = {}
        if stored is None:
            now = {key: next(iter(steps.values())) for key, steps in self._since.items()}
            self._stored = now
            waits = tuple(Wait(*key, since) for key, since in now.items())
            return Rest(wake_at, resting, waits)
        began, ended = [], []
        for key in touched:
            before, since = stored.pop(key, None), self.since(key)
            if since is not None:
                stored[key] = since
            if before != since:
                ended += [] if before is None else [Wait(*key, before)]
                began += [] if since is None else [Wait(*key, since)]
        return Rest(wake_at, resting, None, tuple(began), tuple(ended))


class Parking:
    """What the engine knows of the executions that it does not hold.

    Parameters:
        core: drives those that wake.
        wake: brings executions back, given (id, events).
    """

    def __init__(self, core: Core, wake: Callable[[str, list[Event] | None], None]) -> None:
        self.core = core
        self._wake = wake
        self.awake = True  # False: the engine is closing, and wakes nobody
        self._parked = False  # somebody may be waiting who is not in memory
        self._stuck: set[str] = set()  # and may be decided about; those that are inside others not
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []  # an entry counts while `_due` agrees
        self._timer: asyncio.TimerHandle | None = None
        self._answers: weakref.WeakValueDictionary[str, Answer] = weakref.WeakValueDictionary()
        # The waits of those in memory, as their steps have them; the journal may be behind.
        self._awaited: dict[Key, dict[str, float]] = {}
        # By their ids: signals whose taking may not be journalled yet, and who takes them.
        self._taking: dict[str, Live] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether the loop has to turn: for a time to come, or to look for requests."""
        waits = (self._parked or bool(self._stuck)) and self.core.journal.shared
        return waits or bool(self._due) or self._sweeping is not None

    def wanted(self) -> bool:
        """Whether anything is open, waits or is stuck."""
        if self.core.live or self._due or self._stuck:
            return True
        self._parked = self._parked and self.core.journal.waits()
        return self._parked

    # -- to rest and to wake ----------------------------------------------------------------

    def park(self, live: Live) -> None:
        """Let an execution go that rests, and whose events the journal has."""
        self._parked = True
        id = live.run.state.execution_id
        if isinstance(live.answer, Answer):
            self._answers[id] = live.answer
        due = live.run.next_due()
        if due is None:
            self._due.pop(id, None)
        else:
            self.sleep(id, due)

    def sleep(self, id: str, wake_at: float) -> None:
        """Wake this execution then (seconds since the epoch)."""
        if self._due.get(id) == wake_at:
            return
        self._due[id] = wake_at
        heapq.heappush(self._heap, (wake_at, id))
        if self._heap[0][1] == id:
            self._arm()

    def expect(
        self, sleeping: list[tuple[str, float | None]], stuck: Iterable[str], now: float
    ) -> None:
        """Of all these, who wait in the journal, wake those whose time is still to come; and know
        of those that are stuck."""
        self._parked = True
        self._stuck.update(id for id in stuck if id not in self.core.live)
        for id, wake_at in sleeping:
            if wake_at is not None and wake_at > now and id not in self.core.live:
                self._due[id] = wake_at
                self._heap.append((wake_at, id))
        heapq.heapify(self._heap)
        self._arm()

    def ended(self, id: str, *, waits: bool = False, stuck: bool = False) -> None:
        """Nobody needs to wake this one any more; one that is stuck may wait for a signal yet."""
        self._parked = self._parked or waits
        (self._stuck.add if stuck else self._stuck.discard)(id)
        if self._due.pop(id, None) is not None and len(self._heap) > 1000 + 2 * len(self._due):
            self._heap = [(at, id) for id, at in self._due.items()]
            heapq.heapify(self._heap)

    def leave_asleep(self, kin: Kin) -> None:
        """Of the children that an execution from the journal seeks, leave there those that have
        nothing to do."""
        state, now = kin.run.state, time.time()
        sought = [step for step in kin.sought if state.state_of(step) in _CONCERN]
        kin.sought = dict.fromkeys(sought)
        if state.turned_back:
            return
        running = [step for step in kin.sought if state.state_of(step) is StepState.RUNNING]
        ids = {kin.child_id(step): step for step in running}
        for id, wake_at in self.core.journal.asleep(state.execution_id, ids).items():
            if id in self.core.live or (wake_at is not None and wake_at <= now):
                continue
            kin.asleep = put(kin.asleep, id, ids[id])
            if wake_at is not None:
                self.sleep(id, wake_at)
        asleep = set(kin.asleep.values())
        kin.sought = dict.fromkeys(step for step in kin.sought if step not in asleep)

    def claim(self, id: str) -> Answer | None:
        """The answer that somebody waits for, of an execution that comes back."""
        return self._answers.pop(id, None)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap and self.awake:
            wait = min(_LONGEST, max(0.0, self._heap[0][0] - time.time()))
            self._timer = self.core.loop.call_later(wait, self._ring)

    def _ring(self) -> None:
        """Wake those whose time has come: some at once, for one read and one commit."""
        if not self.awake:
            return
        now = time.time()
        due, heap = self._due, self._heap
        ids: list[str] = []
        while heap and heap[0][0] <= now and len(ids) < _TOGETHER:
            at, id = heapq.heappop(heap)
            if due.get(id) == at:
                del due[id]
                if id not in self.core.live:  # that one has a timer of its own
                    ids.append(id)
        if ids:
            try:
                found = list(self.core.journal.due(ids, now))
            except JournalError:  # the disk, say; they are not forgotten
                for id in ids:
                    self._due[id] = now + _SWEEP
                    heapq.heappush(heap, (now + _SWEEP, id))
            else:
                for id, events in found:
                    self._wake(id, events)
        self._arm()

    def stop(self, why: Exception) -> None:
        """The engine closes: whoever waits for an end is told."""
        for timer in (self._timer, self._sweeping):
            if timer is not None:
                timer.cancel()
        for answer in list(self._answers.values()):
            answer.set_exception(why)
        self._answers.clear()
        self._due.clear()

    # -- signals that find their execution by what they have in common ----------------------

    def awaiting(self, event: str, correlation: str, known: Callable[[str], bool]) -> str | None:
        """The execution that has waited longest for this event and correlation.

        Parameters:
            known: whether executions that are pinned to this fingerprint can go on here.
        """
        here = self._awaited.get((event, correlation), {})
        found = [(since, id) for id, since in here.items()]
        for since, id, fingerprint in self.core.journal.awaiting(event, correlation):
            if id not in self.core.live and known(fingerprint):
                found.append((since, id))
                break
        return min(found)[1] if found else None

    def note(self, live: Live) -> bool:
        """Note what a live execution waits for now; whether a letter that was kept for it ends
        a wait."""
        if live.waits is None:
            live.waits = Waits(live.run, {})  # its first one
        began, touched = live.waits.note()
        for key in touched:
            self._unlist(live, key)
            since = live.waits.since(key)
            if since is not None:
                self._awaited.setdefault(key, {})[live.run.state.execution_id] = since
        taken = False
        for wait in began:
            if wait.event is not None and wait.correlation is not None:
                taken |= self._take(live, wait.event, wait.correlation)
        return taken

    def _take(self, live: Live, event: str, correlation: str) -> bool:
        now = time.time()
        letter = self._letter(live.run, event, correlation, now)
        if letter is not None:
            self.takes(live, letter.id)
            _receive(live.run, letter, now)
        return letter is not None

    def _letter(self, run: Run, event: str, correlation: str, now: float) -> Letter | None:
        """The oldest that is kept for this wait and that nobody has taken."""
        for letter in self.core.journal.letters(event, correlation, now):
            if letter.id not in self._taking and letter.id not in (run.state.signals or ()):
                return letter
        return None

    def takes(self, live: Live, signal_id: str) -> None:
        """Note that an execution has a signal, before the journal says so."""
        self._taking[signal_id] = live
        live.letters.append(signal_id)

    def taking(self, signal_id: str) -> Live | None:
        """Who has a signal that the journal may not know of yet."""
        return self._taking.get(signal_id)

    def hand_over(self, run: Run, event: str, correlation: str) -> None:
        """Let a wait that is there take what is kept for it. One that was only in the journal
        does so by itself when it is noted, unless it is stuck."""
        live = self.core.live.get(run.state.execution_id)
        if live is not None:
            self._take(live, event, correlation)
        elif run.state.phase is Phase.STUCK:
            letter = self._letter(run, event, correlation, time.time())
            if letter is not None:
                _receive(run, letter, time.time())

    def _unlist(self, live: Live, key: Key) -> None:
        waiting = self._awaited.get(key, {})
        if waiting.pop(live.run.state.execution_id, None) is not None and not waiting:
            del self._awaited[key]

    def leave(self, live: Live) -> None:
        """An execution is in memory no more: only the journal tells what it waits for."""
        for key in live.waits or ():
            self._unlist(live, key)
        for signal_id in live.letters:
            del self._taking[signal_id]
        live.letters.clear()

    def keep(self, letter: Letter) -> Letter:
        """Keep a signal in the journal's mailbox; the one that is kept under its id already."""
        kept = self.core.journal.keep(letter)
        self.sweep_by(letter.expires_at)
        return kept

    def sweep_by(self, at: float | None) -> None:
        """Forget expired letters soon after that time."""
        if at is not None and self._sweeping is None:
            wait = min(3600.0, max(_SWEEP, at - time.time()))
            self._sweeping = self.core.loop.call_later(wait, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        try:
            self.sweep_by(self.core.journal.expire(time.time()))
        except JournalError:
            self.sweep_by(time.time() + 60)


def _receive(run: Run, letter: Letter, now: float) -> None:
    signal = Signal(letter.event, letter.payload, correlation=letter.correlation)
    run.signal(signal, letter.id, now, by=letter.by, chosen=True)
