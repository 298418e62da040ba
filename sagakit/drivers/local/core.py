"""Executions in real time, on one asyncio loop: coroutines on it, plain functions on threads.

Rule 7 lives here: what an outcome leads to is journalled together with the outcome, in one
commit, and only then does the world see it. Commits of concurrent executions are grouped.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

from sagakit import telemetry
from sagakit.drivers.attempt import Attempt
from sagakit.drivers.gate import Gates
from sagakit.drivers.kin import Archive, Kin
from sagakit.drivers.local.entrance import Entrance
from sagakit.drivers.local.parking import Answer, Parking, Waits, may_be_parked, rest_of, stay_of
from sagakit.drivers.local.threads import Threads
from sagakit.drivers.run import Run
from sagakit.errors import (
    ConflictError,
    EngineClosedError,
    InDoubtError,
    UnknownExecutionError,
)
from sagakit.events import Event
from sagakit.execution import Execution, first_event
from sagakit.journal.base import Batch, Journal, Rest
from sagakit.telemetry import Watch
from sagakit.transitions import ACTIVE, Phase


class Live:
    """An execution that the loop is working on, in the context variables of its caller."""

    __slots__ = (
        "acks",
        "answer",
        "context",
        "letters",
        "others",
        "over",
        "resting",
        "rests",
        "run",
        "tasks",
        "timer",
        "waits",
    )

    def __init__(
        self,
        run: Run,
        answer: Future[Execution],
        context: contextvars.Context,
    ) -> None:
        self.run = run
        self.answer = answer
        # Of further callers, and whether it is enough for them if it waits for the world.
        self.others: list[tuple[Future[Execution], bool]] = []
        self.acks: list[tuple[int, Future[Execution]]] = []  # told when so many events are safe
        self.resting = False  # it waits for the world, and so do its kin
        # As the journal has it; None: that is not known here, where its kin had a say in it.
        self.rests: bool | None = run.written > 0 and run.state.resting
        if run.written and run.state.children:
            self.rests = None
        self.over = False  # answered: whatever comes later is ignored
        self.context = context
        self.tasks: set[asyncio.Task[Any]] = set()
        self.timer: asyncio.TimerHandle | None = None
        # Of one that has, or had, some.
        self.waits = Waits.of(run) if run.written and run.plan.waits else None
        self.letters: list[str] = []  # the ids of signals that it took, if others know them

    def rest(self) -> Rest:
        """What the journal is to note of it, and has from then on."""
        self.rests = self.run.waits
        wake_at = self.run.next_due() if self.rests else None
        if self.waits is None:
            return Rest(wake_at, self.rests)
        return self.waits.rest(wake_at, self.rests)

    def join(self, answer: Future[Execution], *, until_rest: bool) -> None:
        """Another caller waits for its end, or until it waits for the world."""
        if until_rest and self.resting:
            answer.set_result(self.run.snapshot())
            return
        self.others.append((answer, until_rest))
        if not until_rest:
            self.answer.add_done_callback(functools.partial(pass_on, answer))

    def end(self) -> None:
        """Tell those for whom its rest had been enough, too, once its answer is there."""
        others, self.others = self.others, []
        for other, until_rest in others:
            if until_rest:
                pass_on(other, self.answer)


def pass_on(answer: Future[Execution], done: Future[Execution]) -> None:
    """Give an answer what another one is."""
    error = done.exception()
    if error is None:
        answer.set_result(done.result())
    else:
        answer.set_exception(error)


def _by_family(
    entries: Batch, rests: dict[str, Rest | None], kin: dict[str, Kin]
) -> list[tuple[Batch, dict[str, Rest | None]]]:
    """What a commit holds, apart by those who are part of one another."""
    parts: dict[object, tuple[list[Any], dict[str, Rest | None]]] = {}

    def part_of(id: str) -> tuple[list[Any], dict[str, Rest | None]]:
        family = kin[id].outermost if id in kin else id
        return parts.setdefault(family, ([], {}))

    for entry in entries:
        part_of(entry[0])[0].append(entry)
    for id, rest in rests.items():
        part_of(id)[1][id] = rest
    return list(parts.values())


class Core:
    """Drives executions on a loop. Everything here runs on it."""

    def __init__(
        self,
        journal: Journal,
        loop: asyncio.AbstractEventLoop,
        rests: Callable[[Future[Execution]], None] | None = None,
        find_child: Callable[[Kin, str], Run | None] | None = None,
        archive: Archive | None = None,
    ) -> None:
        """
        Parameters:
            rests: told the answer of an execution that waits for the world. Without it nobody
                can send a signal, and an execution that waits for one ends there.
            find_child: gives the execution that does a step, as the journal has it; None if it
                has none.
            archive: tells of executions that do steps and are only in the journal.
        """
        self.loop = loop
        self._rests = rests
        self._archive = archive
        self._find_child = find_child
        self.parking: Parking | None = None  # without it, what waits stays in memory
        self.heard: set[Future[Execution]] = set()
        self.journal = journal
        self.live: dict[str, Live] = {}
        self.watches: dict[int, set[str]] = {}  # each notes the ids that begin while it is here
        self.threads = Threads()
        self.closed = False
        self.gates = Gates(Entrance(self))
        self._in_flight = 0  # attempts under way, of all executions
        self._batch: list[tuple[Live, list[Attempt]]] = []
        self._flush_due = False
        self._committing: asyncio.Future[None] | None = None
        self._writer = Threads()  # one commit at a time, so one thread: apart from the actions'

    def start(
        self,
        run: Run,
        answer: Future[Execution],
        context: contextvars.Context,
        *,
        until_rest: bool = False,
        safe: Future[Execution] | None = None,
    ) -> None:
        """Drive a run to its end; the answer is the execution once its end is journalled.

        Parameters:
            context: the context variables that its actions see; of one that was parked, those
                of whoever still waits for its end.
            until_rest: the answer may also be that it waits for the world; it goes on later.
            safe: given the execution as it is once what has happened by now is journalled.
        """
        execution_id = run.state.execution_id
        if execution_id in self.live:
            raise ConflictError(f"execution '{execution_id}' is running already")
        own = answer
        if self.parking is not None:
            claimed = self.parking.claim(execution_id)
            if claimed is not None:
                own, context = claimed, claimed.context
            elif until_rest:
                own = Answer(self.heard, context)
        live = self._enter(run, own, context)
        if own is not answer:
            live.join(answer, until_rest=until_rest)
        if safe is not None:
            live.acks.append((len(run.events), safe))
        self.advance(live)

    def _enter(self, run: Run, answer: Future[Execution], context: contextvars.Context) -> Live:
        if run.watch is None:
            run.watch = context.run(telemetry.watch, run)
        if run.kin is not None and run.kin.parent is None:
            run.kin.archive = self._archive
        live = Live(run, answer, context)
        self.live[run.state.execution_id] = live
        for watch in list(self.watches.values()):
            watch.add(run.state.execution_id)
        return live

    @property
    def at_work(self) -> bool:
        """Whether an execution does something, or will by itself and soon. From any thread."""
        return any(not live.resting for live in list(self.live.values()))

    async def stop(self) -> None:
        """Stop at once; what is unfinished stays in the journal as it is, to be recovered."""
        self.closed = True
        why = EngineClosedError("the engine was closed; recover this execution from its journal")
        for live in list(self.live.values()):
            self._drop(live, why)
        self.gates.close()
        if self.parking is not None:
            self.parking.stop(why)
        if self._committing is not None:
            await asyncio.wait([self._committing])
        await asyncio.sleep(0)  # let the cancelled tasks see it
        self.threads.close()
        self._writer.close()

    # -- progress ---------------------------------------------------------------------------

    def advance(self, live: Live) -> None:
        """Take up everything that can be done now; carry it out once it is journalled."""
        busy = [live]
        while busy:
            live = busy.pop()
            live.resting = False
            if live.timer is not None:
                live.timer.cancel()
                live.timer = None
            try:
                attempts = live.context.run(live.run.take_up_all, time.time())
                if self.parking is not None and (live.run.state.waiting or live.waits is not None):
                    while self.parking.note(live):  # a letter was kept for it: go on at once
                        attempts += live.context.run(live.run.take_up_all, time.time())
                if live.run.kin is not None:
                    busy += self._stir(live, live.run.kin)
                    if len(live.run.events) > live.run.written:
                        live.run.kin.save(False)
            except BaseException as error:  # noqa: BLE001  it must reach the caller, not the loop
                self._drop(live, error)
                continue
            self._batch.append((live, attempts))
        if self._flush_due or self._committing is not None or not self._batch:
            return
        if len(self.live) == 1:
            self._flush()  # nobody else to share a commit with
            return
        # At the end of this turn of the loop: outcomes that arrive together share a commit.
        self._flush_due = True
        self.loop.call_soon(self._flush)

    def _stir(self, live: Live, kin: Kin) -> list[Live]:
        """Find the children that it seeks; those with whom to go on because of it."""
        found = [live] if kin.sought else []
        stirred = self._find_children(kin)
        for run in stirred:
            other = self.live.get(run.state.execution_id)
            if not run.written and (other is None or other.run is not run):
                taken = self._taken(run, other)
                if taken is not None:
                    run.kinship.disown(taken, time.time())
                    found.append(live)
                    continue
            if other is None and run.state.phase not in ACTIVE and run.kin is not None:
                stirred += self._find_children(run.kin)  # only to be told of
            if other is None and run.state.phase in ACTIVE:
                claimed = None  # nobody need wait for it but its parent
                if self.parking is not None and run.written:
                    claimed = self.parking.claim(run.state.execution_id)
                other = self._enter(run, claimed or Answer(self.heard, live.context), live.context)
            if other is not None:
                found.append(other)
        return found[::-1]  # the first one is to come out first

    def _taken(self, run: Run, other: Live | None) -> list[Event] | None:
        """The events of an execution that has the id of this one, which is about to begin."""
        if other is not None:
            return other.run.events
        try:
            return self.journal.read(run.state.execution_id)
        except UnknownExecutionError:
            return None

    def _find_children(self, kin: Kin) -> list[Run]:
        """Attach the children that an execution seeks; all that it has stirred."""
        for name in kin.take_sought():
            assert self._find_child is not None, "only an engine has begun without children"
            kin.attach(name, self._find_child(kin, name), time.time())
        return list(kin.take_stirred())

    def _flush(self) -> None:
        self._flush_due = False
        batch, self._batch = self._batch, []
        entries: list[tuple[str, int, list[Event]]] = []
        rests: dict[str, Rest | None] = {}
        kin: dict[str, Kin] = {}
        for live, _ in batch:
            run = live.run
            if len(run.events) > run.written and not live.over:
                entries.append((run.state.execution_id, run.written, run.events[run.written :]))
                run.written = len(run.events)
                if live.waits is not None or live.rests or run.state.waiting:
                    rests[run.state.execution_id] = live.rest()
            above = run.kin
            while above is not None and (id := above.run.state.execution_id) not in kin:
                kin[id], above = above, above.parent
        for id in kin:
            other = self.live.get(id)
            # It may wait now, or go on, because of what somebody does who does a step of it.
            if (
                other is not None
                and other.rests is not other.run.waits
                and len(other.run.events) == other.run.written  # else its own turn comes
            ):
                rests[id] = other.rest()
        if not entries and not rests:
            self._proceed(batch, {})
        elif self.journal.durable and self._in_flight:
            self._committing = self.loop.create_future()
            self._writer.submit(functools.partial(self._commit, batch, entries, rests, kin))
        else:
            # Nothing runs that a wait for the disk would hold up: spare the trip to a thread.
            self._proceed(batch, self._append(entries, rests, kin))

    def _append(
        self, entries: Batch, rests: dict[str, Rest | None], kin: dict[str, Kin]
    ) -> dict[str, Exception]:
        """Commit them together; if that fails, each on its own, with its kin. What failed, by
        execution."""
        try:
            self.journal.append(entries, rests)
        except Exception as error:  # noqa: BLE001  it is handed on to every caller concerned
            parts = _by_family(entries, rests, kin)
            if len(parts) == 1:
                return dict.fromkeys([*(id for id, _, _ in entries), *rests], error)
            failed: dict[str, Exception] = {}
            for of_one, their_rests in parts:
                failed |= self._append(of_one, their_rests, kin)
            return failed
        return {}

    def _commit(
        self,
        batch: list[tuple[Live, list[Attempt]]],
        entries: Batch,
        rests: dict[str, Rest | None],
        kin: dict[str, Kin],
    ) -> None:
        """On the writer's thread."""
        failed = self._append(entries, rests, kin)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self._committed, batch, failed)

    def _committed(
        self, batch: list[tuple[Live, list[Attempt]]], failed: dict[str, Exception]
    ) -> None:
        committing, self._committing = self._committing, None
        self._proceed(batch, failed)
        if committing is not None:
            committing.set_result(None)
        if self._batch and not self._flush_due:
            self._flush_due = True
            self.loop.call_soon(self._flush)

    def _proceed(
        self, batch: list[tuple[Live, list[Attempt]]], failed: dict[str, Exception]
    ) -> None:
        for live, _ in batch:  # all are told first: where one ends, another may end with it
            if live.over:
                continue
            if failed and live.run.state.execution_id in failed:
                self._drop(live, failed[live.run.state.execution_id])
                continue
            if live.run.watch is not None:
                self._tell(live.run, live.run.watch)
            if live.acks:
                self._acknowledge(live)
        for live, attempts in batch:
            if live.over:
                continue
            try:
                for attempt in attempts:
                    self._make(live, attempt)
                self._rest(live)
            except Exception as problem:  # noqa: BLE001  no thread to be had, for instance
                self._drop(live, problem)

    def _tell(self, run: Run, watch: Watch) -> None:
        """Let whoever watches it know what is safe now; only an engine's journal is one."""
        watch.follow(run, run.written, None if self.parking is None else time.time())

    def _rest(self, live: Live) -> None:
        """The journal has everything: end, or wait for the next outcome or timer."""
        run = live.run
        if len(run.events) > run.written:
            return  # an outcome came while this was committed; its own commit follows
        if run.kin is not None and run.kin.unsaved:
            run.kin.save(True)
        state = run.state
        if not run.goes_on:
            self._forget(live)
            if self.parking is not None:
                self.parking.ended(
                    state.execution_id,
                    waits=run.open and bool(state.waiting),
                    stuck=state.phase is Phase.STUCK and first_event(run.events).parent is None,
                )
            live.answer.set_result(run.execution())
            live.end()
            above = self._above(live)
            if above is not None and above.run.state.phase is Phase.STUCK:
                self._rest(above)  # which had been kept for what the scenario had for this one
            return
        due = run.next_due()
        if due is not None:
            if live.timer is not None:
                live.timer.cancel()
            live.timer = self.loop.call_later(max(0.0, due - time.time()), self.advance, live)
        if (state.waiting or run.kin is not None) and run.resting:
            live.resting = True
            self._tell_rest(live)

    def _tell_rest(self, live: Live) -> None:
        """An execution waits for the world; perhaps so does the one that it is part of."""
        run = live.run
        if self._rests is not None:
            self._rests(live.answer)
            others, live.others = live.others, []
            for other, until_rest in others:
                if until_rest:
                    other.set_result(run.snapshot())
                else:
                    self._rests(other)
            if self.parking is not None and may_be_parked(live):
                stay = stay_of(run)
                if not stay:
                    self._park(live, self.parking)
                    return
                self._park_later(live, self.parking, stay)
        above = self._above(live)
        if above is not None:
            self._rest(above)
        elif self._rests is None:
            everybody = self.live.values()  # one execution and those that do steps of it
            if all(one.run.next_due() is None for one in everybody):
                for one in list(everybody):
                    self._forget(one)
                live.answer.set_result(run.execution())

    def _park_later(self, live: Live, parking: Parking, stay: float) -> None:
        """Let one go after so many seconds, unless it has something to do sooner."""
        due = live.run.next_due()
        if due is None or time.time() + stay < due:
            if live.timer is not None:
                live.timer.cancel()
            live.timer = self.loop.call_later(stay, self._park, live, parking)

    def _park(self, live: Live, parking: Parking) -> None:
        """Let one go that rests; perhaps the one that it is part of goes then, too."""
        above = self._above(live)
        self._forget(live)
        parking.park(live)
        if live.run.kin is not None:
            live.run.kin.let_go()
        if above is not None:
            self._rest(above)

    def _above(self, live: Live) -> Live | None:
        """The execution that this one is part of, as long as it goes on here."""
        parent = None if live.run.kin is None else live.run.kin.parent
        return None if parent is None else self.live.get(parent.run.state.execution_id)

    def _family(self, live: Live) -> list[Live]:
        """The outermost execution that this one is part of, and all that do steps of it."""
        found, front = [], [live.run.kinship.outermost]
        while front:
            kin = front.pop()
            front += kin.children.values()
            other = self.live.get(kin.run.state.execution_id)
            if other is not None and other.run is kin.run:
                found.append(other)
        return found

    def intervene(self, live: Live, what: Callable[[Run], None]) -> Future[Execution]:
        """Let something from outside happen to an execution, and go on from there; the future
        gives the execution as it is once that is journalled."""
        run = live.run
        what(run)
        safe: Future[Execution] = Future()
        live.acks.append((len(run.events), safe))
        self.advance(live)
        return safe

    def record(self, run: Run) -> None:
        """Journal what was decided about an execution that does not run here, and run nothing."""
        id = run.state.execution_id
        for watch in list(self.watches.values()):
            watch.add(id)  # whoever has read its events already must read them again
        rests: dict[str, Rest | None] = {}
        if run.state.waiting or (run.kin is not None and run.kin.asleep):
            # it may have more to do now, or wake later, or not wait any more
            rests[id] = rest_of(run) if run.open else None
        run.watch = telemetry.watch(run)
        self.journal.append([(id, run.written, run.events[run.written :])], rests)
        run.written = len(run.events)
        if run.watch is not None:
            self._tell(run, run.watch)
            run.watch.leave()

    def _acknowledge(self, live: Live) -> None:
        waiting, live.acks = live.acks, []
        for count, safe in waiting:
            if live.run.written >= count:
                safe.set_result(live.run.snapshot())
            else:
                live.acks.append((count, safe))

    def _drop(self, live: Live, error: BaseException) -> None:
        """Stop working on an execution and its kin; the journal keeps what it has."""
        if live.over:
            return
        for relative in [live] if live.run.kin is None else self._family(live):
            self._forget(relative)
            for task in relative.tasks:
                task.cancel()
            if relative.run.plan.guards is not None and not self.closed:
                self.gates.leave(relative)
            relative.answer.set_exception(error)
            relative.end()
            for _, safe in relative.acks:
                safe.set_exception(error)

    def _forget(self, live: Live) -> None:
        live.over = True
        if live.run.watch is not None:
            live.run.watch.leave()
        if live.timer is not None:
            live.timer.cancel()
        if self.parking is not None and (live.waits is not None or live.letters):
            self.parking.leave(live)
        execution_id = live.run.state.execution_id
        if self.live.get(execution_id) is live:
            del self.live[execution_id]

    # -- attempts ---------------------------------------------------------------------------

    def _make(self, live: Live, attempt: Attempt) -> None:
        guarded = attempt.run.plan.guards is not None
        if guarded and not self.gates.admits(attempt, time.time(), live):
            return
        self._in_flight += 1
        self._call(live, attempt)

    def _call(self, live: Live, attempt: Attempt) -> None:
        if attempt.delay:
            self._spawn(live, attempt, functools.partial(self._delayed, live, attempt))
        elif attempt.call.is_async:
            self._spawn(live, attempt, attempt.invoke)
        else:
            self._on_thread(live, attempt, functools.partial(self._settle, live, attempt))
        if attempt.timeout is not None:
            attempt.timer = self.loop.call_later(attempt.timeout, self._time_out, live, attempt)
        if attempt.ticket is not None:
            attempt.ticket.begun(attempt, self.loop.call_later)

    def _refuse(self, live: Live, attempt: Attempt, error: Exception) -> None:
        """Record that an attempt's call must not be made."""
        self._in_flight += 1
        self._report(live, attempt.run.raised, attempt, error)

    def _spawn(self, live: Live, attempt: Attempt, action: Callable[[], Awaitable[Any]]) -> None:
        acting = self._act(live, attempt, action)
        task = asyncio.Task(acting, loop=self.loop, context=live.context.copy())
        attempt.task = task
        live.tasks.add(task)
        task.add_done_callback(functools.partial(self._task_done, live, attempt))

    async def _act(
        self, live: Live, attempt: Attempt, action: Callable[[], Awaitable[Any]]
    ) -> None:
        """Await an action and report its outcome from within, a turn of the loop sooner than a
        callback could. Nothing may escape: asyncio would end its loop with a SystemExit."""
        value: Any = None
        error: BaseException | None = None
        try:
            value = await action()
        except asyncio.CancelledError:
            error = InDoubtError("the action was cancelled while it ran")
        except BaseException as raised:  # noqa: BLE001  the user's code may raise anything
            error = raised
        self._settle(live, attempt, value, error)

    async def _delayed(self, live: Live, attempt: Attempt) -> Any:
        await asyncio.sleep(attempt.delay)
        if attempt.call.is_async:
            return await attempt.invoke()
        answer: asyncio.Future[Any] = self.loop.create_future()

        def settle(value: Any, error: BaseException | None) -> None:
            if not answer.done():
                answer.set_result((value, error))

        self._on_thread(live, attempt, settle)
        value, error = await answer
        if error is not None:
            raise error
        return await value if hasattr(value, "__await__") else value

    def _on_thread(
        self, live: Live, attempt: Attempt, settle: Callable[[Any, BaseException | None], None]
    ) -> None:
        """Call a plain function on a thread; its outcome comes back to the loop."""
        context = live.context.copy()
        loop = self.loop

        def work() -> None:
            value: Any = None
            error: BaseException | None = None
            if attempt.closed or live.over:
                # It waited for a thread too long: beginning now would be a late action.
                error = InDoubtError("it had not begun when it was given up")
            else:
                try:
                    value = context.run(attempt.invoke)
                except BaseException as raised:  # noqa: BLE001  a thread has nobody else to tell
                    error = raised
            # A closed loop means that the engine stopped: recovery will ask again.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, value, error)

        self.threads.submit(work)

    def _task_done(self, live: Live, attempt: Attempt, task: asyncio.Task[Any]) -> None:
        live.tasks.discard(task)
        if task.cancelled():  # before it began
            self._settle(live, attempt, None, InDoubtError("the action was cancelled"))

    def _time_out(self, live: Live, attempt: Attempt) -> None:
        if not attempt.closed and not live.over:
            self._report(live, live.run.timed_out, attempt)
            if attempt.task is not None:
                attempt.task.cancel()

    def _settle(
        self, live: Live, attempt: Attempt, value: Any, error: BaseException | None
    ) -> None:
        """An attempt has ended: record it, unless its timeout or the engine's end came first."""
        if hasattr(value, "__await__") and not (attempt.closed or live.over):
            # A plain function that returned a coroutine.
            self._spawn(live, attempt, lambda: value)
            return
        ticket = attempt.ticket
        if ticket and error is not None and ticket.outlives(attempt, error, time.time()):
            return
        if attempt.timer is not None:
            attempt.timer.cancel()
        if attempt.closed:
            return
        if live.over:
            self._in_flight -= 1
        elif error is None:
            self._report(live, live.run.returned, attempt, value)
        else:
            self._report(live, live.run.raised, attempt, error)

    def _report(self, live: Live, tell: Callable[..., None], *facts: Any) -> None:
        self._in_flight -= 1
        try:
            tell(*facts, time.time())
        except Exception as error:  # noqa: BLE001  a bug of ours must reach the caller, not the loop
            self._drop(live, error)
        else:
            self.advance(live)
