"""The Engine: many durable executions at once, behind plain methods that any thread may call."""

from __future__ import annotations

import builtins
import concurrent.futures
import contextlib
import contextvars
import functools
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack, cast, get_args, overload

import msgspec

from sagakit import redaction, telemetry
from sagakit.drivers.inputs import accept_input, must_be_scenario
from sagakit.drivers.kin import Kin
from sagakit.drivers.local.background import BackgroundLoop
from sagakit.drivers.local.core import Core, Live, pass_on
from sagakit.drivers.local.inbox import Inbox
from sagakit.drivers.local.parking import Answer, Parking
from sagakit.drivers.local.requests import check_decision, check_repeat, check_signal, not_awaited
from sagakit.drivers.run import RealRun, Run
from sagakit.errors import (
    CancellationError,
    ConflictError,
    DefinitionChangedError,
    EngineClosedError,
    IllegalEventError,
    InputError,
    JournalCorruptError,
    JournalError,
    MigrationError,
    ResolutionError,
    SagaError,
    SignalError,
    UnknownExecutionError,
)
from sagakit.events import Event, ExecutionResolved, Resolution, SignalReceived
from sagakit.execution import Execution, children_of, first_event, pinned_to, typed
from sagakit.journal import codec
from sagakit.journal.base import ExecutionRow, Filter, Journal, Letter, Post, Rest, Wanted, asked
from sagakit.journal.memory import MemoryJournal
from sagakit.journal.sqlite import SqliteJournal
from sagakit.progress import Progress, Tick
from sagakit.progress import progress as told
from sagakit.saga import Saga
from sagakit.scenario import Scenario, Signal
from sagakit.transitions import ACTIVE, Phase

if TYPE_CHECKING:
    import pandas as pd

# What a call from outside leads to on the loop: a run to start, or where its answer comes from.
_Made = Run | Live | Execution | Future[Execution] | None
_Begin = Callable[[], _Made]

# The engine whose action is running here.
_inside: contextvars.ContextVar[Engine | None] = contextvars.ContextVar("_inside", default=None)


class Engine:
    """Runs sagas durably: whatever kills the process, recovery continues from the journal.

    Parameters:
        journal: the path of an SQLite file (made if absent), a ``Journal``, or None for one in
            memory.
        concurrency: how many executions may be in flight; a start beyond that waits.
        sagas: definitions known from the beginning; others become known as they are run.

    Raises:
        JournalError: the file cannot be used; its subclasses say why.
    """

    def __init__(
        self,
        journal: str | os.PathLike[str] | Journal | None = None,
        *,
        concurrency: int = 100,
        sagas: Iterable[Saga] = (),
    ) -> None:
        if type(concurrency) is not int or concurrency < 1:
            raise ValueError(f"concurrency is {concurrency!r}; give a whole number, 1 or more")
        self.journal: Journal
        if journal is None:
            self.journal = MemoryJournal()
        elif isinstance(journal, str | os.PathLike):
            self.journal = SqliteJournal(journal)
        else:
            self.journal = journal
        self.concurrency = concurrency
        self._sagas: dict[str, Saga] = {}
        self._namesakes: set[str] = set()  # fingerprints that several of them have
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(concurrency):
            self._places.put(None)
        self._closed = False
        self._open: dict[Future[Execution], bool] = {}  # does it hold a place?
        self._closing = threading.Lock()
        self._process = os.getpid()
        self._background = BackgroundLoop("sagakit-engine", self._busy)
        self._core = Core(
            self.journal, self._background.loop, self._leave, self._find_child, self._archive
        )
        self._parking = self._core.parking = Parking(self._core, self._wake)
        self._context = contextvars.Context()  # of executions that nobody here started
        self._context.run(_inside.set, self)
        self._inbox = Inbox(
            self._core, lambda post: self._context.run(self._handle, post), self._parking.wanted
        )
        try:
            for saga in sagas:
                self.register(saga)
        except BaseException:
            self.close(drain=False)
            raise

    # -- running ----------------------------------------------------------------------------

    def register(self, saga: Saga) -> None:
        """Make a definition, and those of the sagas that do steps of it, known to ``status``,
        ``recover`` and ``resolve``.

        Raises:
            DefinitionError: one of its services has other policies than in a saga known before:
                all executions of an engine share one guard for each service.
        """
        if self._sagas.get(saga.fingerprint) is saga:
            return
        for one in saga.family():
            self._core.gates.agree(one)
        for one in saga.family():
            known = self._sagas.get(one.fingerprint)
            if known is None:
                self.journal.define(one.fingerprint, one.name, one.version, one.shape)
            elif known != one:
                self._namesakes.add(one.fingerprint)
            self._sagas[one.fingerprint] = one

    def run(
        self,
        saga: Saga,
        input: Any = None,
        *,
        id: str | None = None,
        scenario: Scenario | None = None,
        until_rest: bool = False,
    ) -> Execution:
        """Start an execution and wait for its end. Parameters and errors as for ``start``.

        Parameters:
            until_rest: return, too, when it waits for the world (status ``waiting``); it goes on
                as long as the engine is open.
        """
        begin = self._beginning(saga, input, id, scenario)
        return self._background.run(*self._enter(begin, until_rest=until_rest))

    def start(
        self,
        saga: Saga,
        input: Any = None,
        *,
        id: str | None = None,
        scenario: Scenario | None = None,
    ) -> Future[Execution]:
        """Start an execution; waits while ``concurrency`` others are in flight.

        Parameters:
            input: handed to every action as ``ctx.input``: of the type that ``Saga(input=…)``
                declares, or plain data.
            id: chosen by the caller, it makes the start idempotent: the same id and input again
                give the first execution, whatever its state and version (one that a crash left
                unfinished is continued under its own, if the engine knows that).
            scenario: faults to inject.

        Returns:
            A future of the ended (or stuck) execution. ``asyncio.wrap_future`` awaits it.

        Raises:
            InputError: the input cannot be kept, the saga refuses it, or the id is empty.
            EngineClosedError: the engine is closed.
            ConflictError: through the future: the id belongs to another saga or input.
            DefinitionChangedError: through the future: the id's execution is unfinished, and its
                version is not known here.
            JournalError: through the future: the journal failed; what it had is kept.
        """
        return self._submit(self._beginning(saga, input, id, scenario))

    def _beginning(
        self, saga: Saga, input: Any, id: str | None, scenario: Scenario | None
    ) -> _Begin:
        """What ``start`` was asked for, checked; it is to be called on the loop."""
        self._check_open()
        must_be_scenario(scenario)
        kept = accept_input(saga, input)
        if id is not None and not (isinstance(id, str) and id.isprintable() and id.strip()):
            raise InputError(f"saga '{saga.name}': the id {id!r} must be printable text")
        if scenario is not None:
            scenario.check(saga)
        self.register(saga)

        def begin() -> Run | Live | Execution:
            chosen = uuid.uuid4()
            seed = chosen.int & 0xFFFFFFFF
            if id is not None:
                known = self._known(id, saga, kept, seed, scenario)
                if known is not None:
                    return known
            execution_id = chosen.hex if id is None else id
            return RealRun.begin(saga, kept, execution_id, time.time(), seed, scenario)

        return begin

    def _known(
        self, id: str, saga: Saga, input: Any, seed: int, scenario: Scenario | None
    ) -> Run | Live | Execution | None:
        """The execution that has this id already, if it is the same one."""
        live = self._core.live.get(id)
        try:
            events: builtins.list[Event] = live.run.events if live else self.journal.read(id)
        except UnknownExecutionError:
            return None
        first = first_event(events)
        if first.parent is not None:
            raise ConflictError(
                f"saga '{saga.name}': the id '{id}' belongs to the execution that does step "
                f"'{first.parent[1]}' of execution '{first.parent[0]}'; choose another id"
            )
        if first.saga != saga.name or not codec.same(first.input, input, saga.input_type):
            what = "input" if first.saga == saga.name else f"saga, '{first.saga}'"
            raise ConflictError(
                f"saga '{saga.name}': the id '{id}' belongs to an execution with another {what}; "
                "choose another id"
            )
        if live:
            return live
        stored = self._execution(events)
        if stored.status not in ("running", "waiting"):
            return stored
        # it goes on under the version that it is pinned to, whichever was given now
        fingerprint = pinned_to(events).fingerprint
        pinned = self._sagas.get(fingerprint)
        if pinned is None:
            raise self._changed(id, saga, fingerprint)
        return self._resumed(pinned, events, seed, scenario)

    def _resumed(
        self,
        saga: Saga,
        events: builtins.list[Event],
        seed: int = 0,
        scenario: Scenario | None = None,
    ) -> Run:
        """On the loop: an execution from the journal. Those of its children that have nothing to
        do stay there."""
        run = RealRun.resume(saga, events, time.time(), seed, scenario)
        if run.kin is not None and run.kin.sought:
            self._parking.leave_asleep(run.kin)
        return run

    def _submit(self, begin: _Begin, *, until_rest: bool = False) -> Future[Execution]:
        work, answer = self._enter(begin, until_rest=until_rest)
        self._background.submit(work, answer)
        return answer

    def _enter(
        self, begin: _Begin, *, until_rest: bool = False, place: bool = True
    ) -> tuple[Callable[[], None], Future[Execution]]:
        """Wait for a place, if it takes one. What is to be done on the loop (make or find the
        execution, drive it), and the answer to come."""
        self._background.refuse_inside()
        # An action that runs another saga here must not wait for the place that its own one holds.
        place = place and _inside.get() is not self
        if place:
            self._places.get()  # waits for one; a queue is faster than a semaphore
        context = contextvars.copy_context()
        context.run(_inside.set, self)
        answer = Answer(self._core.heard, context)
        self._open[answer] = place
        answer.tell(self._leave)

        def on_loop() -> None:
            try:
                if self._core.closed:
                    raise EngineClosedError("the engine is closed")
                made = context.run(begin)
                if isinstance(made, Run):
                    self._core.start(made, answer, context, until_rest=until_rest)
                    self._inbox.watch()
                    return
            except Exception as error:  # noqa: BLE001  it is raised again from the future
                answer.set_exception(error)
                return
            if isinstance(made, Live):
                made.join(answer, until_rest=until_rest)
            elif isinstance(made, Future):
                made.add_done_callback(functools.partial(pass_on, answer))
            else:
                answer.set_result(cast(Execution, made))  # None: a signal that is kept

        return on_loop, answer

    def _leave(self, answer: Future[Execution]) -> None:
        """An execution has ended, or waits for the world: others may have its place."""
        if self._open.pop(answer, False):
            self._places.put(None)

    # -- recovery ---------------------------------------------------------------------------

    def _busy(self) -> bool:
        """Whether the loop has to turn though no task shows it."""
        return bool(self._core.live) or self._parking.busy

    def recover(self, *sagas: Saga, progress: Progress = None) -> builtins.list[Execution]:
        """Continue every unfinished execution of these sagas (or of all known ones) that has
        something to do, until it ends or waits for the world.

        Each goes on under the version that it is pinned to, which must be among those given or
        known already. One that waits for the world, and whose time has not come, is not even
        read: it wakes when its time comes, as long as the engine is open, or when a signal or
        an operator reaches it.

        Parameters:
            progress: called with 1 for each execution that was continued; or whether to draw a
                bar (None: where somebody sees it, as ``sagakit.progress`` tells).

        Returns:
            those that were continued, as they are then, and the outermost of those that they are
            part of; ``list(status="waiting")`` tells the others.

        Raises:
            DefinitionChangedError: an unfinished execution is pinned to a definition of one of
                these sagas that is not known; nothing was recovered.
        """
        self._check_open()
        for saga in sagas:
            self.register(saga)
        known = self._sagas.copy()  # another thread may register one meanwhile
        given = [one for saga in sagas for one in saga.family()]
        newest = {saga.name: saga for saga in given or known.values()}
        wanted = [key for key, saga in known.items() if saga.name in newest]
        for id, name, fingerprint in self.journal.strangers(newest, wanted):
            if id not in self._core.live:
                raise self._changed(id, newest[name], fingerprint)
        futures = []
        families: dict[str, None] = {}  # ids of those of which another one was to go on
        # What another thread begins while we read is not to be begun a second time.
        watch: set[str] = set()
        self._core.watches[builtins.id(watch)] = watch
        watch.update(list(self._core.live))
        try:
            now = time.time()
            self._expect(self.journal.sleeping(wanted), now)
            running = functools.partial(self._running, newest)
            with told("recover", progress, total=running, unit="executions") as tick:
                for id, events in self.journal.unfinished(wanted, now):
                    if id in self._core.live:
                        continue
                    begin = functools.partial(self._resume, id, events, watch, families)
                    future = self._submit(begin, until_rest=True)
                    future.add_done_callback(functools.partial(_tell, tick))
                    futures.append(future)
                concurrent.futures.wait(futures)
                futures += [
                    self._submit(functools.partial(self._found, id), until_rest=True)
                    for id in families
                ]
                concurrent.futures.wait(futures)
        finally:
            del self._core.watches[builtins.id(watch)]
        failures = [error for future in futures if (error := future.exception())]
        if failures:
            rest = len(futures) - len(failures)
            failures[0].add_note(f"{len(failures)} could not be recovered, {rest} were")
            raise failures[0]
        found = [future.result() for future in futures]
        return [*{execution.id: execution for execution in found}.values()]

    def _found(self, id: str) -> Live | Execution:
        """On the loop: an execution, in memory or not."""
        return self._core.live.get(id) or self.status(id)

    def _running(self, names: Iterable[str]) -> int:
        """How many executions of these sagas are running, as the journal has them."""
        wanted = (Filter(status="running", saga=name) for name in names)
        return sum(len(self.journal.find(one)) for one in wanted)

    def _expect(self, sleeping: builtins.list[tuple[str, float | None]], now: float) -> None:
        """Wake these when their time comes, those excepted whose time has come by now; and look for
        what other processes ask, if somebody waits or is stuck."""
        answer: Future[None] = Future()
        stuck = [row.id for row in self.list(status="stuck", outermost=True)]

        def note() -> None:
            self._parking.expect(sleeping, stuck, now)
            self._inbox.watch()
            answer.set_result(None)

        if sleeping or stuck or self.journal.waits():
            self._background.run(note, answer)

    def _wake(self, id: str, events: builtins.list[Event] | None) -> None:
        """On the loop: the time of an execution has come."""
        if id in self._core.live:
            return
        try:
            found = self.journal.read(id) if events is None else events
            if self._bring(id) is not None:
                return
            run = self._resumed(self._definition(id, found), found)
        except JournalError as error:
            if isinstance(error, JournalCorruptError):
                self._stays(id, error)
            else:  # the disk, say: it may be back
                self._parking.sleep(id, time.time() + 1)
            return
        except SagaError as error:
            self._stays(id, error)
            return
        self._go_on(run)

    def _stays(self, id: str, error: SagaError) -> None:
        """On the loop: an execution stays in the journal; `recover` says why it cannot go on."""
        answer = self._parking.claim(id)
        if answer is not None:
            answer.set_exception(error)

    def _go_on(self, run: Run, safe: Future[Execution] | None = None) -> None:
        """On the loop: continue an execution for whose end nobody new waits."""
        context = self._context.copy()
        self._core.start(run, Answer(self._core.heard, context), context, safe=safe)
        self._inbox.watch()

    def _resume(
        self,
        id: str,
        events: builtins.list[Event] | None,
        watch: set[str],
        families: dict[str, None],
    ) -> Run | Live | Execution:
        """On the loop: continue one execution, unless somebody else has meanwhile. Of those that it
        is part of, and that go on with it, the outermost is noted."""
        live = self._core.live.get(id) or self._bring(id)
        if live is not None:
            if live.run.kin is not None:
                families[live.run.kin.outermost.run.state.execution_id] = None
            return live
        if events is None or id in watch:
            events = self.journal.read(id)
            execution = self._execution(events)
            if execution.status not in ("running", "waiting"):
                return execution
        return self._resumed(self._definition(id, events), events)

    def _find_child(self, kin: Kin, step: str) -> Run | None:
        """On the loop: the execution that does this step; None if the journal has none."""
        id = kin.child_id(step)
        live = self._core.live.get(id)
        if live is not None:
            return live.run if kin.is_child(step, live.run.events) else None
        events = self._child_events(kin, step)
        if events is None:
            return None
        saga = kin.run.saga.child(step)
        if saga.fingerprint != pinned_to(events).fingerprint:
            saga = self._definition(id, events)
        return self._resumed(saga, events, kin.run.seed)

    def _archive(self, kin: Kin, steps: Sequence[str]) -> dict[str, Execution]:
        """Those that do these steps, as the journal has them."""
        return _read_children(self.journal, kin.run.saga, kin.run.events, steps)

    def _child_events(self, kin: Kin, step: str) -> builtins.list[Event] | None:
        """Those of the execution that does this step; None if the journal has none."""
        with contextlib.suppress(UnknownExecutionError):
            events = self.journal.read(kin.child_id(step))
            if kin.is_child(step, events):
                return events
        return None

    def _changed(self, id: str, saga: Saga, fingerprint: str) -> DefinitionChangedError:
        """The error for an execution that is pinned to a definition which is not known here."""
        version, shape = self.journal.definition(fingerprint)
        changes = "; ".join(Saga.diff((version, shape), saga).changes)
        return DefinitionChangedError(
            f"saga '{saga.name}': execution '{id}' is pinned to version {version or '(none)'} "
            f"({fingerprint}) and cannot continue with version {saga.version or '(none)'} "
            f"({saga.fingerprint}): {changes}. Give the definition it is pinned to as well, or "
            "move the execution by engine.migrate or 'sagakit migrate'"
        )

    def resolve(
        self,
        id: str,
        resolution: Resolution,
        *,
        by: str,
        why: str,
        step: str | None = None,
    ) -> Execution:
        """Decide about a stuck execution and wait for what follows.

        Where the execution that does a step is stuck, ``retry`` is retried there, and ``skip``
        and ``abandon`` abandon it. Where the execution does a step of another one, that goes on
        as well.

        Parameters:
            resolution: ``"retry"``: try the stuck steps again; ``"skip"``: somebody has settled
                them by hand, go on as though they had succeeded; ``"abandon"``: leave everything
                as it is, for good.
            by: who decides; kept in the journal.
            why: the reason; kept in the journal.
            step: only this stuck step; all of them when left out.

        Raises:
            UnknownExecutionError: no such id.
            ResolutionError: it is not stuck, not stuck at that step, or a name or reason is
                missing; or its saga is not known here.
            DefinitionChangedError: of its saga only other versions are known here.
        """
        self._check_open()
        decide = functools.partial(self._resolved, id, resolution, by=by, why=why, step=step)
        ended = self._background.run(*self._enter(decide, until_rest=True))
        return ended if ended.id == id else self.status(id)

    def _resolved(
        self, id: str, resolution: Resolution, *, by: str, why: str, step: str | None
    ) -> Run | Live:
        """On the loop: note what was decided about a stuck execution; who goes on."""
        if resolution not in get_args(Resolution):
            raise ResolutionError(f"'{resolution}' is not a resolution: retry, skip or abandon")
        check_decision(ResolutionError, id, by, why)
        if id in self._core.live:
            raise ResolutionError(f"execution '{id}' is running; it is not stuck")
        run = self._read_stuck(id, resolution)
        stuck = run.execution().stuck_steps
        if step is not None and step not in stuck:
            names = ", ".join(f"'{name}'" for name in stuck)
            raise ResolutionError(f"execution '{id}' is stuck at {names}, not at '{step}'")
        steps = stuck if step is None or resolution == "abandon" else (step,)
        try:
            self._decide(run, resolution, steps, by, why)
            return run if resolution == "abandon" else self._resume_above(run)
        except IllegalEventError as error:
            others = "skip the step, or abandon" if resolution == "retry" else "abandon"
            raise ResolutionError(
                f"execution '{id}': {resolution} is no way on: {error}; {others} the execution"
            ) from None

    def _read_stuck(self, id: str, resolution: Resolution) -> Run:
        events = self.journal.read(id)
        abandoned = resolution == "abandon"  # for that no definition is needed
        saga = self._remembered(events) if abandoned else self._definition(id, events)
        run = self._resumed(saga, events)
        if run.state.status != "stuck":
            raise ResolutionError(f"execution '{id}' is {run.state.status}; it is not stuck")
        return run

    def _decide(
        self, run: Run, resolution: Resolution, steps: tuple[str, ...], by: str, why: str
    ) -> None:
        """Record a decision in a stuck execution and in those that do its stuck steps."""
        own, resumed = [], []
        for name in steps:
            id = (run.state.children or {}).get(run.plan.index[name])
            events = None if id is None else self._child_events(run.kinship, name)
            status = "" if events is None else self._execution(events).status
            child = None
            if status == "stuck":
                what: Resolution = "retry" if resolution == "retry" else "abandon"
                child = self._read_stuck(str(id), what)
                self._decide(child, what, child.execution().stuck_steps, by, why)
            if resolution == "retry" and status:
                child = child or self._find_child(run.kinship, name)
            if resolution == "retry" and child is not None and run.kinship.went_on(name, child):
                resumed.append((name, child))
                continue
            if resolution == "retry" and status == "abandoned":
                raise ResolutionError(
                    f"execution '{run.state.execution_id}': step '{name}' cannot be retried: the "
                    f"execution that does it, '{id}', was abandoned; skip the step, or abandon all"
                )
            if child is not None and status == "stuck":
                self._core.record(child)
            own.append(name)
        if resolution == "abandon" and run.kin is not None:
            run.kin.sought.clear()  # it does not go on, and its definition may be unknown here
        if own:
            run.emit(ExecutionResolved(time.time(), resolution, by, why, tuple(own)))
        for name, child in resumed:
            run.kinship.resume_child(name, child, time.time())

    def _resume_above(self, run: Run) -> Run | Live:
        """Let the executions that this one is part of go on; the outermost one."""
        above = first_event(run.events).parent
        if above is None:
            return run
        id, name = above
        live = self._core.live.get(id)
        if live is not None:
            live.run.kinship.resume_child(name, run, time.time())
            self._core.advance(live)
            return self._core.live[run.state.execution_id]
        events = self.journal.read(id)
        parent = self._resumed(self._definition(id, events), events)
        if not parent.kinship.resume_child(name, run, time.time()):
            return run  # it was abandoned, say: this one goes on alone
        return self._resume_above(parent)

    def _pinned(self, events: builtins.list[Event]) -> Saga | None:
        """The definition that an execution is pinned to, if it is known here. Where several sagas
        have that name and form, and other actions, one that does a step has the one that stands
        at this step of the saga around it."""
        first, fingerprint = first_event(events), pinned_to(events).fingerprint
        known = self._sagas.get(fingerprint)
        if known is None or first.parent is None or fingerprint not in self._namesakes:
            return known
        above, step = first.parent
        live = self._core.live.get(above)
        with contextlib.suppress(UnknownExecutionError):
            found = self.journal.read(above) if live is None else live.run.events
            around = self._pinned(found)
            if around is not None:
                around = around.given(first_event(found).input)
                if around.plan.index.get(step) in around.plan.nests:
                    inner = around.child(step)
                    return inner if inner.fingerprint == fingerprint else known
        return known

    def _definition(self, id: str, events: builtins.list[Event]) -> Saga:
        name, fingerprint = first_event(events).saga, pinned_to(events).fingerprint
        known = self._pinned(events)
        if known is not None:
            return known
        others = [saga for saga in self._sagas.copy().values() if saga.name == name]
        if others:
            raise self._changed(id, others[-1], fingerprint)
        raise ResolutionError(
            f"execution '{id}': the definition of saga '{name}' ({fingerprint}) "
            "is not known here; give it: Engine(…, sagas=[saga]) or engine.register(saga)"
        )

    def migrate(self, id: str, *, to: Saga, by: str, why: str) -> Execution:
        """Move an execution that has not ended to another definition of its saga.

        What has begun must be the same there; ``Saga.diff(old, new).allows(execution)`` says
        beforehand what stands in the way. One that runs here, or waits and whose old definition
        is known here, goes on under the new definition, provided that none of its steps is under
        way just now. For others the decision is
        recorded and nothing is run: ``recover`` or ``resolve`` goes on. Whoever is pinned to
        that definition already stays as it is. A deadline counts from the start all the same.

        Parameters:
            to: the new definition; the old one need not be known here.
            by: who decides; kept in the journal.
            why: the reason; kept in the journal.

        Returns:
            the execution as it is once that is journalled.

        Raises:
            UnknownExecutionError: no such id.
            MigrationError: the definition does not fit what has happened (the text names the
                steps), a step is under way, or a name or reason is missing.
        """
        self._check_open()
        if not isinstance(to, Saga):
            raise MigrationError(f"execution '{id}': {to!r} is not a Saga; give to=saga")
        check_decision(MigrationError, id, by, why)
        self.register(to)

        def decide() -> Execution | Future[Execution]:
            live = self._core.live.get(id)
            if live is None and pinned_to(self.journal.read(id)).fingerprint in self._sagas:
                live = self._bring(id)
            events = live.run.events if live else self.journal.read(id)
            first, pinned = first_event(events), pinned_to(events)
            if first.saga != to.name:
                raise MigrationError(
                    f"execution '{id}' belongs to saga '{first.saga}', not to '{to.name}'"
                )
            if pinned.fingerprint == to.fingerprint:
                return live.run.snapshot() if live else self._execution(events)
            difference = Saga.diff(self.journal.definition(pinned.fingerprint), to)

            def move(run: Run) -> None:
                run.migrate(to, difference, by, why, time.time())

            if live:
                return self._core.intervene(live, move)
            known = self._pinned(events)
            run = self._resumed(known or self._remembered(events), events)
            waits = known is not None and run.waits
            move(run)
            if waits:  # it goes on here
                run.watch = telemetry.watch(run)
                safe: Future[Execution] = Future()
                self._go_on(run, safe)
                return safe
            self._core.record(run)
            return self.status(id)

        return self._background.run(*self._enter(decide, place=False))

    # -- from outside -----------------------------------------------------------------------

    @overload
    def signal(
        self,
        event: str,
        payload: Any = None,
        *,
        to: str | None = None,
        correlation: str | None = None,
        id: str | None = None,
        keep: None = None,
        by: str = "",
    ) -> Execution: ...

    @overload
    def signal(
        self,
        event: str,
        payload: Any = None,
        *,
        to: str | None = None,
        correlation: str | None = None,
        id: str | None = None,
        keep: float,
        by: str = "",
    ) -> Execution | None: ...

    def signal(
        self,
        event: str,
        payload: Any = None,
        *,
        to: str | None = None,
        correlation: str | None = None,
        id: str | None = None,
        keep: float | None = None,
        by: str = "",
    ) -> Execution | None:
        """Deliver an event from outside to an execution that has not ended.

        It may come before the wait is reached: it is kept for it. What comes after the last wait
        for it, or during compensation, is recorded and changes nothing. An execution that is only
        in the journal is continued, provided that its definition is known here. One that is stuck
        stays so: its wait takes the signal once it is resolved.

        Parameters:
            event: what ``await_event`` waits for.
            payload: plain data; it becomes the waiting step's result.
            to: the execution's id; or
            correlation: what the wait's ``correlate`` gave; of several executions that wait the
                one that has waited longest gets the signal.
            id: chosen by the sender, it makes delivery idempotent: one execution takes a signal
                with this id, once. Sent again, it does nothing and gives that execution, ended
                or not, as long as the journal has it.
            keep: with ``correlation``: if nobody waits for it yet, keep it for so many seconds;
                the first wait for it takes it.
            by: who sends it; kept in the journal.

        Returns:
            the execution as it is once the signal is journalled; None: it is kept.

        Raises:
            UnknownExecutionError: no execution has this id, or none waits for this correlation.
            SignalError: the execution has ended, never waits for this event, or its definition is
                not known here; or the id is that of another signal.
            CodecError: the payload is not plain data.
        """
        self._check_open()
        correlation = check_signal(event, to, correlation, id, keep, by)
        kept = codec.plain(payload, f"the signal '{event}': its payload")
        post = Post(id or uuid.uuid4().hex, event, kept, to, correlation, keep, by=by)
        deliver = functools.partial(self._deliver, post, chosen=id is not None)
        return self._background.run(*self._enter(deliver, place=False))

    def _deliver(self, post: Post, *, chosen: bool) -> Future[Execution] | None:
        """On the loop: find who is to have a signal; None: it is kept.

        Parameters:
            chosen: others know its id, and it may have come before.
        """
        before = self._taken_before(post) if chosen else None
        if before is not None:
            return before
        event, correlation, to = str(post.event), post.correlation, post.to
        if correlation is not None:
            if post.keep is not None:
                self._keep(post, event, correlation, post.keep)
            to = self._parking.awaiting(event, correlation, self._sagas.__contains__)
            if to is None and post.keep is not None:
                return None
            if to is None:
                whose = redaction.named(correlation, event)  # nobody knows whose it would be
                raise UnknownExecutionError(
                    f"no execution here waits for the event '{event}' of '{whose}'"
                )
            if post.keep is not None:
                return self._reach(to, lambda run: self._parking.hand_over(run, event, correlation))
        assert to is not None
        signal = Signal(event, post.payload, correlation=correlation)

        def receive(run: Run) -> None:
            run.signal(signal, post.id, time.time(), by=post.by, chosen=chosen)

        safe = self._reach(to, receive, event)
        live = self._core.live.get(to)
        arrived = live is not None and post.id in (live.run.state.signals or ())
        if chosen and live is not None and arrived:  # its commit may be still to come
            self._parking.takes(live, post.id)
        return safe

    def _keep(self, post: Post, event: str, correlation: str, seconds: float) -> None:
        """On the loop: keep a signal for who waits for it, unless it is kept already."""
        now = time.time()
        letter = Letter(event, correlation, post.id, now, now + seconds, post.payload, post.by)
        kept = self._parking.keep(letter)
        if kept is not letter:
            check_repeat(post, kept, "is kept already")

    def _taken_before(self, post: Post) -> Future[Execution] | None:
        """On the loop: the execution that has taken a signal with this id before, if one has."""
        live = self._parking.taking(post.id)
        id = self.journal.taken(post.id) if live is None else live.run.state.execution_id
        if id is None:
            return None
        events = self.journal.read(id) if live is None else live.run.events
        taken = next(e for e in events if isinstance(e, SignalReceived) and e.id == post.id)
        check_repeat(post, taken, f"was taken by execution '{id}'", id)
        if live is not None:
            return self._core.intervene(live, lambda _: None)
        return _given(self._execution(events))

    def _reach(
        self, id: str, what: Callable[[Run], None], event: str | None = None
    ) -> Future[Execution]:
        """On the loop: let something from outside happen to an execution, in memory or not, and
        go on from there; the execution once that is journalled."""
        live = self._core.live.get(id) or self._bring(id)
        run = self._loaded(id) if live is None else live.run
        if event is not None and all(wait.event != event for wait in run.plan.waits.values()):
            raise SignalError(
                not_awaited(self.status(id) if live is None else run.snapshot(), event)
            )
        if live is not None:
            return self._core.intervene(live, what)
        what(run)
        if run.state.phase is Phase.STUCK:
            if len(run.events) > run.written:
                self._core.record(run)
            return _given(self.status(id))
        run.watch = telemetry.watch(run)  # whoever watches here, where it is made to go on
        safe: Future[Execution] = Future()
        self._go_on(run, safe)
        return safe

    def _bring(self, id: str) -> Live | None:
        """On the loop: bring an execution that does a step back together with those that it is
        part of; None: it is no part of one that goes on here."""
        parent = self.journal.parent(id)
        if parent is None:
            return None
        live = self._core.live.get(parent) or self._bring(parent)
        if live is not None:
            if live.run.kinship.call(id):
                self._core.advance(live)
            return self._core.live.get(id)
        events = self.journal.read(parent)
        saga = self._pinned(events)
        if saga is None:
            if self._execution(events).status == "waiting":
                # What happens here concerns it: whoever knows its definition recovers it.
                self.journal.append([], {parent: Rest(None, resting=False)})
            return None
        run = self._resumed(saga, events)
        if run.state.phase in ACTIVE:  # neither ended nor stuck
            run.kinship.call(id)
            self._go_on(run)
        return self._core.live.get(id)

    def _loaded(self, id: str) -> Run:
        """An execution from the journal that has not ended; an error that says why it cannot be
        reached."""
        events = self.journal.read(id)
        saga = self._pinned(events)
        if saga is not None:
            run = self._resumed(saga, events)
            if run.open:
                return run
            status = run.state.status
        else:
            status = self._execution(events).status
        if status in ("running", "waiting"):
            raise SignalError(
                f"execution '{id}' is in the journal and does not run here; recover it first"
            )
        if status == "stuck":
            raise SignalError(
                f"execution '{id}' is stuck, and the definition of its saga "
                f"'{first_event(events).saga}' is not known here; give it: "
                "Engine(…, sagas=[saga]) or engine.register(saga)"
            )
        raise SignalError(f"execution '{id}' has ended: it is {status}")

    def _handle(self, post: Post) -> Future[Execution] | None:
        """On the loop: do what another process asks for."""
        if post.event is None:
            assert post.to is not None
            decided = {"by": post.by, "why": post.why}
            if post.resolution is None:
                return self._go_on_safely(self._cancelled(post.to, **decided))
            made = self._resolved(post.to, post.resolution, **decided, step=post.step)
            return self._go_on_safely(made)
        keep = post.keep
        if keep is not None:
            keep += post.at - time.time()
            if keep <= 0:
                raise SignalError("no engine looked at it within the seconds it was to be kept")
        return self._deliver(msgspec.structs.replace(post, keep=keep), chosen=True)

    def _go_on_safely(self, made: Run | Live | Future[Execution]) -> Future[Execution]:
        """On the loop: continue from what was decided; the execution once that is journalled."""
        if isinstance(made, Live):
            return self._core.intervene(made, lambda _: None)
        if isinstance(made, Future):
            return made
        safe: Future[Execution] = Future()
        self._go_on(made, safe)
        return safe

    def _cancelled(self, id: str, by: str, why: str) -> Run | Future[Execution]:
        """On the loop: note that an execution is called off, in memory or not."""
        live = self._core.live.get(id) or self._bring(id)
        if live is not None:
            return self._core.intervene(live, lambda run: run.cancel(by, why, time.time()))
        events = self.journal.read(id)
        execution = self._execution(events)
        if execution.status not in ("running", "waiting"):
            raise CancellationError(
                f"execution '{id}' cannot be cancelled: it is {execution.status}"
            )
        run = self._resumed(self._definition(id, events), events)
        run.cancel(by, why, time.time())
        return run

    def cancel(self, id: str, *, by: str, why: str) -> Execution:
        """Call an execution off: what it has done is compensated. Waits for that.

        What is under way is let finish first. Once the pivot has been tried there is no way back,
        nor is there for an execution that does a step at or after the pivot of another one: that
        step is done until it succeeds.

        Parameters:
            by: who decides; kept in the journal.
            why: the reason; kept in the journal.

        Raises:
            UnknownExecutionError: no such id.
            CancellationError: too late; or a name or reason is missing.
        """
        self._check_open()
        check_decision(CancellationError, id, by, why)

        def begin() -> Run | Live:
            live = self._core.live.get(id) or self._bring(id)
            made = self._cancelled(id, by, why)
            if isinstance(made, Run):
                return made
            assert live is not None
            return live

        return self._background.run(*self._enter(begin, place=False))

    # -- reading ----------------------------------------------------------------------------

    def status(self, id: str) -> Execution:
        """An execution as the journal has it; UnknownExecutionError if there is none."""
        return self._execution(self.journal.read(id))

    def list(self, **wanted: Unpack[Wanted]) -> builtins.list[ExecutionRow]:
        """Executions in the order of their start. The parameters say which; see ``Wanted``."""
        return self.journal.find(asked(**wanted))

    def frame(self, **wanted: Unpack[Wanted]) -> pd.DataFrame:
        """What ``list`` gives as a pandas DataFrame (executions × 14 columns, typed); the journal
        filters, and reads no more than it must."""
        from sagakit.tables import executions_frame

        return executions_frame(self.list(**wanted))

    def executions(self, **wanted: Unpack[Wanted]) -> Iterator[Execution]:
        """The executions that ``list`` gives, read from the journal one after another."""
        for row in self.list(**wanted):
            yield self.status(row.id)

    def _execution(self, events: builtins.list[Event]) -> Execution:
        return read_execution(self.journal, events, self._pinned(events))

    def _remembered(self, events: builtins.list[Event]) -> Saga:
        return read_execution(self.journal, events, None).saga

    # -- closing ----------------------------------------------------------------------------

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise EngineClosedError("an engine does not survive fork; open one in each process")

    def _check_open(self) -> None:
        self._check_process()
        if self._closed:
            raise EngineClosedError("the engine is closed; open another one on its journal")

    @property
    def closed(self) -> bool:
        """Whether it was closed: it runs nothing any more."""
        return self._closed

    def close(self, *, drain: bool = True) -> None:
        """Close the engine and its journal. Closing twice is allowed.

        Parameters:
            drain: wait for the executions in flight; otherwise stop at once and leave them in
                the journal, to be recovered.
        """
        self._check_process()
        if _inside.get() is self:
            raise SagaError("an action cannot close the engine that runs it")
        self._closed = True
        self._parking.awake = False
        with self._closing:
            if self._background.closed:
                return
            try:
                while drain and (self._open or self._core.at_work):
                    # Not for ever: one that comes to wait for the world is done with.
                    waiting = list(self._open)
                    concurrent.futures.wait(waiting, timeout=0.05)
                    if not waiting:
                        time.sleep(0.005)
            finally:
                self._background.call(self._core.stop())
                self._background.close()
                self.journal.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(drain=error is None)

    def __repr__(self) -> str:
        if self._closed:
            return "<Engine: closed>"
        counts = ", ".join(
            f"{count} {status}" for status, count in sorted(self.journal.counts().items())
        )
        return f"<Engine: {counts or 'no executions'}>"


def read_execution(journal: Journal, events: builtins.list[Event], saga: Saga | None) -> Execution:
    """An execution from a journal's events, with those that do steps of it; without its saga, as
    far as the journal remembers."""
    if saga is None:
        version, shape = journal.definition(pinned_to(events).fingerprint)
        saga = Saga.from_shape(first_event(events).saga, version, shape)
    children = _read_children(journal, saga, events)
    given = saga.given(first_event(events).input)
    return Execution(given, typed(given, events, strict=False), children=children)


def _read_children(
    journal: Journal,
    saga: Saga,
    events: builtins.list[Event],
    steps: Sequence[str] | None = None,
) -> dict[str, Execution]:
    """The executions that do steps of one, from a journal; all of them, or those of these steps."""
    ids = children_of(events)
    ids = ids if steps is None else {step: ids[step] for step in steps if step in ids}
    kept = dict(journal.several(ids.values())) if ids else {}
    children = {}
    for step, id in ids.items():
        if id not in kept:
            continue  # a crash came before it began
        inner = kept[id]
        if inner is None:
            inner = journal.read(id)  # raises an error that says why it cannot be read
        if first_event(inner).parent != (first_event(events).execution_id, step):
            continue  # somebody had chosen this id for another one, and so the step failed
        known = saga.child(step)
        pinned = known is not None and known.fingerprint == pinned_to(inner).fingerprint
        children[step] = read_execution(journal, inner, known if pinned else None)
    return children


def _given(execution: Execution) -> Future[Execution]:
    answer: Future[Execution] = Future()
    answer.set_result(execution)
    return answer


def _tell(tick: Tick, _: Future[Execution]) -> None:
    tick(1)
