"""Work in several processes, where that is cheap: each is a fork that knows all this one does."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def cores() -> int:
    """How many processes can work at once; 1 where processes cannot be forked."""
    if not hasattr(os, "fork"):
        return 1
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def in_parts(count: int, work: Callable[[int], T]) -> list[T]:
    """What ``work(0)`` to ``work(count - 1)`` give: the first one here, the others each in a fork.

    What they give must be possible to pickle.

    Raises:
        Exception: what any of them raised; if it cannot be pickled, one that says the same.
    """
    if count == 1:
        return [work(0)]
    context = multiprocessing.get_context("fork")
    others = []
    for part in range(1, count):
        mine, its = context.Pipe(duplex=False)
        process = context.Process(target=_tell, args=(its, work, part), daemon=True)
        with warnings.catch_warnings():  # the fork touches no lock that another thread may hold
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        its.close()
        others.append((process, mine))
    try:
        found = [work(0)]
        for _, mine in others:
            well, value = _received(mine)
            if not well:
                raise value
            found.append(value)
        return found
    finally:  # also when this one was interrupted
        for process, mine in others:
            mine.close()
            process.terminate()
            process.join()


def _received(connection: Any) -> tuple[bool, Any]:
    try:
        told: tuple[bool, Any] = connection.recv()
    except EOFError:
        return False, RuntimeError("a process that did a part of the work died")
    return told


def _tell(connection: Any, work: Callable[[int], Any], part: int) -> None:
    try:
        told = True, work(part)
    except BaseException as error:  # noqa: BLE001  the other process raises it
        told = False, error
    try:
        connection.send(told)
    except Exception:  # noqa: BLE001  it cannot be pickled
        connection.send((False, RuntimeError(repr(told[1]))))
