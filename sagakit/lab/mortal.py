"""An engine in a process of its own, which is asked over a pipe and dies by SIGKILL.

What a kill leaves is what a crash leaves: the journal's file and the services' files, as far as
they were written, and nothing that anybody had in memory.
"""

from __future__ import annotations

import atexit
import inspect
import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import msgspec

from sagakit.drivers.local.engine import Engine
from sagakit.errors import SagaError
from sagakit.execution import Execution
from sagakit.journal.base import Batch, Rest
from sagakit.journal.sqlite import SqliteJournal
from sagakit.lab.invariants import Invariant
from sagakit.saga import Saga
from sagakit.scenario import Scenario

KILL: int = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows' SIGTERM lets nobody clean up
JOURNAL = "journal.db"
SERVICES = "services"  # the folder of what they keep


class Recipe(NamedTuple):
    """What the process makes: it is pickled on its way there.

    Parameters:
        saga: the definition; or what makes it of the services.
        services: opens them in a folder, which may hold what they kept before.
        engine: makes the engine: ``engine(journal, sagas=[saga])``.
        invariants: asked of every execution that has ended.
        pace: how many seconds to wait between two attempts, at most; None: as the saga says.
    """

    saga: Saga | Callable[[Any], Saga]
    services: Callable[[Path], Any]
    engine: Callable[..., Engine]
    invariants: Sequence[Invariant]
    pace: float | None

    def check(self) -> None:
        """Raise TypeError when it cannot be sent to another process."""
        for name, part in self._asdict().items():
            try:
                pickle.dumps(part)
            except Exception as error:  # noqa: BLE001  it may be anything
                raise TypeError(
                    f"{name}={part!r} cannot be sent to another process ({error}); give what is "
                    "defined at the top of a module: a function or class with a name"
                ) from None

    def made(self, world: Any) -> Saga:
        """The saga over these services."""
        return self.saga if isinstance(self.saga, Saga) else self.saga(world)


class Order(NamedTuple):
    """An execution to start."""

    id: str
    input: Any
    scenario: Scenario | None = None


class Refused(NamedTuple):
    """What the engine says to something that cannot be: the error's class, and its text."""

    error: str
    why: str


class DiedError(Exception):
    """The process was killed before it answered."""


class Nursery:
    """Where engines are born: a process that has loaded what they need, and begins one after the
    other as a copy of itself (where the system can do that), which is quick.

    Parameters:
        patience: how many seconds an answer may take.
    """

    def __init__(self, recipe: Recipe, patience: float) -> None:
        context = multiprocessing.get_context("spawn")  # with nothing of this process in it
        self._pipe, theirs = context.Pipe()
        process = context.Process(target=_nurse, args=(theirs, recipe, patience))
        process.start()
        theirs.close()
        atexit.register(self._pipe.close)  # it ends with this process

    def bear(self, folder: Path) -> None:
        """Begin a process with an engine on the journal and services in this folder."""
        self._do("bear", folder)

    def ask(self, verb: str, *arguments: Any) -> Any:
        """Have the engine's process do something (a method of ``_Served``); its answer, or why it
        is refused.

        Raises:
            DiedError: it was killed meanwhile.
            RuntimeError: it could not be begun at all.
            AssertionError: it does not answer, or failed in a way that no engine should.
        """
        return self._do("ask", verb, *arguments)

    def kill(self) -> None:
        """SIGKILL, from outside."""
        self._do("kill")

    def _do(self, *what: Any) -> Any:
        try:
            self._pipe.send(what)
            how, answer = self._pipe.recv()
        except (EOFError, OSError):
            raise RuntimeError(
                "the process in which engines are born has ended (its stderr says why); it must be "
                "able to import the modules of the saga and the services"
            ) from None
        if how == "died":
            raise DiedError
        assert how == "did", answer
        return answer


def _nurse(pipe: Connection, recipe: Recipe, patience: float) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks is interrupted, and closes the pipe
    mortal: Mortal | None = None
    try:
        while True:
            verb, *arguments = pipe.recv()
            try:
                if verb == "bear":
                    mortal = Mortal(recipe, arguments[0], patience, pipe)
                    answer = None
                else:
                    answer = getattr(mortal, verb)(*arguments)
            except DiedError:
                pipe.send(("died", None))
            except AssertionError as error:
                pipe.send(("failed", str(error)))
            else:
                pipe.send(("did", answer))
    except (EOFError, OSError):
        if mortal is not None:
            mortal.kill()


class Mortal:
    """A process with an engine, as the nursery has it."""

    def __init__(self, recipe: Recipe, folder: Path, patience: float, above: Connection) -> None:
        forks = "fork" in multiprocessing.get_all_start_methods()
        context: Any = multiprocessing.get_context("fork" if forks else "spawn")
        self._patience = patience
        self._pipe, theirs = context.Pipe()
        not_its_own = (self._pipe, above) if forks else ()
        self._process = context.Process(target=_live, args=(theirs, recipe, folder, not_its_own))
        self._process.start()
        theirs.close()
        self._answer("open")

    def ask(self, verb: str, *arguments: Any) -> Any:
        """See ``Nursery``."""
        try:
            self._pipe.send((verb, arguments))
        except OSError:
            self._bury()
        return self._answer(verb)

    def _answer(self, verb: str) -> Any:
        try:
            if not self._pipe.poll(self._patience):
                self.kill()
                raise AssertionError(f"{verb}: no answer within {self._patience:g} s")
            how, what = self._pipe.recv()
        except (EOFError, OSError):
            self._bury()
        if how == "failed":
            self.kill()
            raise AssertionError(f"{verb}: it failed in the engine's process\n{what}")
        return what

    def kill(self) -> None:
        """SIGKILL, from outside."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _bury(self) -> NoReturn:
        self._process.join()
        self._pipe.close()
        code = self._process.exitcode
        if code != -KILL and os.name == "posix":
            raise AssertionError(f"the engine's process ended by itself, with exit code {code}")
        raise DiedError


# -- in the process ---------------------------------------------------------------------------


class MortalJournal(SqliteJournal):
    """Dies at its n-th commit from when it was told to, before or after it."""

    doom: tuple[int, bool] | None = None

    def append(self, batch: Batch, rests: Mapping[str, Rest | None] | None = None) -> None:
        left, written = self.doom or (0, False)
        if left > 1:
            self.doom = (left - 1, written)
        if left == 1 and not written:
            os.kill(os.getpid(), KILL)
        super().append(batch, rests)
        if left == 1:
            os.kill(os.getpid(), KILL)


def _live(
    pipe: Connection, recipe: Recipe, folder: Path, not_its_own: Sequence[Connection]
) -> None:
    for other in not_its_own:
        other.close()
    try:
        served = _Served(recipe, folder)
        pipe.send(("did", None))
        while True:
            verb, arguments = pipe.recv()
            try:
                answer = getattr(served, verb)(*arguments)
            except SagaError as error:
                answer = Refused(type(error).__name__, str(error))
            pipe.send(("did", answer))
    except (EOFError, BrokenPipeError):  # whoever asked is gone
        os._exit(0)
    except BaseException:  # noqa: BLE001  it is raised again by who asked
        pipe.send(("failed", traceback.format_exc()))
        os._exit(1)


class _Served:
    """What the process does when it is asked. Values must be picklable."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.world = recipe.services(folder / SERVICES)
        self.saga = recipe.made(self.world)
        if recipe.pace is not None:
            _hasten(self.saga, recipe.pace)
        self.invariants = recipe.invariants
        self.journal = MortalJournal(folder / JOURNAL)
        self.engine = recipe.engine(self.journal, sagas=[self.saga])

    def doom(self, commits: int, written: bool) -> None:
        self.journal.doom = (commits, written)

    def start(self, orders: list[Order]) -> list[str]:
        """All at once, until each has ended or waits; their ids as the engine has them."""

        def one(order: Order) -> Execution:
            id, input, scenario = order
            return self.engine.run(self.saga, input, id=id, scenario=scenario, until_rest=True)

        with ThreadPoolExecutor(len(orders)) as pool:
            return [execution.id for execution in pool.map(one, orders)]

    def recover(self) -> None:
        self.engine.recover(self.saga)

    def signal(self, to: str, event: str, payload: Any, id: str) -> None:
        self.engine.signal(event, payload, to=to, id=id)

    def cancel(self, id: str) -> None:
        self.engine.cancel(id, by="the state machine", why="it may be called off at any time")

    def retry(self, id: str) -> None:
        self.engine.resolve(id, "retry", by="the state machine", why="what failed is mended")

    def books(self, unfinished: list[str]) -> list[str]:
        """Where the services contradict each other; nothing if they cannot be asked."""
        books = getattr(self.world, "books", None)
        if books is None:
            return []
        if inspect.signature(books).parameters:
            found = books(unfinished)
        elif unfinished:
            return []  # they cannot know what is half done
        else:
            found = books()
        problems = list(getattr(found, "problems", ()))
        return problems if found.balanced or problems else ["the books do not balance"]

    def violated(self, ended: list[str]) -> list[tuple[str, str]]:
        """The invariants that do not hold, each with the execution of which it does not."""
        return [
            (getattr(invariant, "__name__", repr(invariant)), id)
            for id in ended
            for invariant in self.invariants
            if not invariant(self.world, self.engine.status(id))
        ]


def _hasten(saga: Saga, pace: float) -> None:
    """Wait less between attempts. The definition stays the same one: how it was compiled for this
    process is changed, before anything runs."""
    for one in saga.family():
        for retries in (one.plan.retry, one.plan.compensation_retry):
            retries[:] = [
                msgspec.structs.replace(
                    retry, wait=min(retry.wait, pace), max_wait=min(retry.max_wait, pace)
                )
                for retry in retries
            ]
