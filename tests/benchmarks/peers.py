"""The contestants of the in-process group: the same four no-op steps in each library.

Each ``make`` takes four actions and the compensation of the first three and gives a callable that
runs one saga to its end, rolled back or not. A definition is built once where the library allows
it to be run again. Imports stand inside: a peer may be absent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any, ClassVar

from measure import Sample

Function = Callable[..., Any]
Make = Callable[[Sequence[Function], Function], Function]


@dataclass(frozen=True)
class Peer:
    """A library and what it remembers of a run afterwards."""

    name: str
    package: str | None
    make: Make
    history: str
    keeps_history: bool
    is_async: bool = False

    @property
    def label(self) -> str:
        if self.package is None:
            return self.name
        try:
            return f"{self.name} {version(self.package)}"
        except PackageNotFoundError:
            return self.name


class RefusedError(Exception):
    """What the failing step raises."""


def sagakit(actions: Sequence[Function], undo: Function) -> Function:
    from sagakit import Saga, simulate, step

    last = len(actions) - 1
    saga = Saga(
        "noop",
        *(
            step(action, None if number == last else undo, name=f"step_{number + 1}")
            for number, action in enumerate(actions)
        ),
    )
    return lambda: simulate(saga)


def bare_sync(actions: Sequence[Function], undo: Function) -> Function:
    def once() -> None:
        done = []
        try:
            for action in actions:
                action()
                done.append(undo)
        except RefusedError:
            for compensation in reversed(done):
                compensation()

    return once


def bare_async(actions: Sequence[Function], undo: Function) -> Function:
    async def once() -> None:
        done = []
        try:
            for action in actions:
                await action()
                done.append(undo)
        except RefusedError:
            for compensation in reversed(done):
                await compensation()

    return once


def saga_py(actions: Sequence[Function], undo: Function) -> Function:
    from saga import SagaBuilder, SagaError

    builder = SagaBuilder.create()
    for action in actions[:-1]:
        builder.action(action, undo)
    saga = builder.action(actions[-1], lambda: None).build()  # it undoes the failed step as well

    def once() -> None:
        with contextlib.suppress(SagaError):
            saga.execute()

    return once


def py_api_saga(actions: Sequence[Function], undo: Function) -> Function:
    from py_api_saga.py_api_saga import SagaAssembler

    def once() -> None:
        saga = SagaAssembler.saga()  # it keeps the results of earlier runs: built for each
        for action in actions:
            saga.operation(action, undo)
        with contextlib.suppress(SagaAssembler.SagaException):
            saga.orchestrator_execute()

    return once


def simple_saga_sync(actions: Sequence[Function], undo: Function) -> Function:
    from simple_saga import SyncSaga

    def compensate(_: Any) -> None:
        undo()

    def once() -> None:
        try:
            with SyncSaga() as saga:
                for action in actions:
                    saga.step(action, compensate)
        except RefusedError:
            pass

    return once


def simple_saga_async(actions: Sequence[Function], undo: Function) -> Function:
    from simple_saga import Saga

    async def compensate(_: Any) -> None:
        await undo()

    async def once() -> None:
        try:
            async with Saga() as saga:
                for action in actions:
                    await saga.step(action, compensate)
        except RefusedError:
            pass

    return once


def sagah(actions: Sequence[Function], undo: Function) -> Function:
    from sagah import Saga, SagaFailed

    async def once() -> None:
        with Saga() as saga:
            try:
                for action in actions:
                    await saga.action(action, undo)
            except SagaFailed:
                pass

    return once


def sagaz(actions: Sequence[Function], undo: Function) -> Function:
    from sagaz import Saga

    saga = Saga(name="noop")
    above: list[str] = []

    def ignoring_context(function: Function) -> Function:
        return lambda _: function()

    for number, action in enumerate(actions):
        saga.add_step(
            f"step_{number}",
            ignoring_context(action),
            ignoring_context(undo),
            depends_on=above,
            max_retries=1,
        )
        above = [f"step_{number}"]

    async def once() -> None:
        with contextlib.suppress(RefusedError):
            await saga.run({})

    return once


def python_cqrs(actions: Sequence[Function], undo: Function) -> Function:
    import dataclasses

    from cqrs.handlers.saga import SagaStepHandler
    from cqrs.saga.models import SagaContext
    from cqrs.saga.saga import Saga
    from cqrs.saga.storage.memory import MemorySagaStorage

    @dataclasses.dataclass
    class Context(SagaContext):
        order: str = ""

    def handler(number: int, action: Function) -> type:
        class Step(SagaStepHandler[Context, Any]):
            @property
            def events(self) -> list[Any]:
                return []

            async def act(self, _: Context) -> Any:
                await action()
                return self._generate_step_result(None)

            async def compensate(self, _: Context) -> None:
                await undo()

        Step.__name__ = Step.__qualname__ = f"Step{number}"  # its log knows steps by this name
        return Step

    class Noop(Saga[Context]):
        steps: ClassVar = [handler(number, action) for number, action in enumerate(actions)]

    class Container:
        external_container = None

        async def resolve(self, kind: type) -> Any:
            return kind()

    saga, container = Noop(), Container()
    storage = MemorySagaStorage()

    async def once() -> None:
        nonlocal storage
        if len(storage._sagas) >= 200:  # it keeps every run: begin anew before that costs memory
            storage = MemorySagaStorage()
        running = saga.transaction(context=Context(), container=container, storage=storage)
        try:
            async with running as transaction:
                async for _ in transaction:
                    pass
        except RefusedError:
            pass

    return once


def orsa(actions: Sequence[Function], undo: Function) -> Function:
    from orsa import orchestrator

    def named(function: Function, name: str) -> Function:
        async def call() -> None:
            await function()

        call.__name__ = name  # it knows steps by this name and runs each name once
        return call

    steps = [named(action, f"step_{number}") for number, action in enumerate(actions)]
    undos = [named(undo, f"undo_{number}") for number in range(len(actions))]

    @orchestrator
    async def noop(saga: Any) -> None:
        for step, compensation in zip(steps, undos, strict=True):
            saga.step(step)
            saga.rollback(compensation)

    async def once() -> None:
        with contextlib.suppress(RefusedError):
            await noop()

    return once


SAGAKIT = Peer("sagakit", "sagakit", sagakit, "yes: every event", True)
PEERS = (
    Peer("bare sync loop", None, bare_sync, "no", False),
    Peer("bare async loop", None, bare_async, "no", False, is_async=True),
    Peer("saga_py", "saga-py", saga_py, "no", False),
    Peer("py-api-saga", "py-api-saga", py_api_saga, "no (results only)", False),
    Peer("simple-saga, sync", "simple-saga", simple_saga_sync, "no (results only)", False),
    Peer("simple-saga, async", "simple-saga", simple_saga_async, "no (results only)", False, True),
    Peer("sagah", "sagah", sagah, "no", False, is_async=True),
    Peer("sagaz", "sagaz", sagaz, "partly: a flag per step and compensation", True, is_async=True),
    Peer("python-cqrs", "python-cqrs", python_cqrs, "yes: a step log", True, is_async=True),
    Peer("orsa", "orsa", orsa, "partly: a result per step", True, is_async=True),
)


def silence() -> None:
    """Loggers keep working, but print nothing: output is not what is compared."""
    logging.getLogger().addHandler(logging.NullHandler())
    chatty = logging.getLogger("orsa")
    chatty.handlers = [logging.NullHandler()]
    chatty.propagate = False


def samples(peer: Peer, runner: asyncio.Runner) -> tuple[Sample, Sample]:
    """What runs the saga to its end and what rolls it back, after both were seen to do so.

    Raises:
        AssertionError: it called something else than four actions, or three compensations.
        Exception: whatever the library raises.
    """
    calls: list[str] = []
    counting = _functions(peer.is_async, lambda: calls.append("action"))
    undo = _functions(peer.is_async, lambda: calls.append("undo"))[0]
    for actions, wanted in (
        ([counting[0]] * 4, ["action"] * 4),
        ([counting[0]] * 3 + [counting[1]], ["action"] * 4 + ["undo"] * 3),
    ):
        calls.clear()
        _sampler(peer, peer.make(actions, undo), runner)(1)
        assert calls == wanted, f"called {calls}, not {wanted}"
    noop, refuse = _functions(peer.is_async, None)
    happy = _sampler(peer, peer.make([noop] * 4, noop), runner)
    rollback = _sampler(peer, peer.make([noop] * 3 + [refuse], noop), runner)
    return happy, rollback


def _functions(is_async: bool, tell: Callable[[], object] | None) -> tuple[Function, Function]:
    """One that succeeds and one that raises; both tell first, unless there is nobody to tell."""

    def noop() -> None:
        pass

    def refuse() -> None:
        raise RefusedError("no")

    def told() -> None:
        assert tell is not None
        tell()

    def told_refuse() -> None:
        told()
        raise RefusedError("no")

    async def async_noop() -> None:
        pass

    async def async_refuse() -> None:
        raise RefusedError("no")

    async def async_told() -> None:
        told()

    async def async_told_refuse() -> None:
        told_refuse()

    if tell is None:
        return (async_noop, async_refuse) if is_async else (noop, refuse)
    return (async_told, async_told_refuse) if is_async else (told, told_refuse)


def _sampler(peer: Peer, once: Function, runner: asyncio.Runner) -> Sample:
    def sample(count: int) -> float:
        begin = perf_counter()
        for _ in range(count):
            once()
        return perf_counter() - begin

    async def many(count: int) -> float:
        begin = perf_counter()
        for _ in range(count):
            await once()
        return perf_counter() - begin

    return (lambda count: runner.run(many(count))) if peer.is_async else sample
