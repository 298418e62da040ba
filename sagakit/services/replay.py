"""Every Northwind order through the checkout saga: the logic behind ``sagakit demo``."""

from __future__ import annotations

from collections import Counter, deque
from concurrent.futures import Future
from contextlib import closing
from itertools import islice
from pathlib import Path

import msgspec

from sagakit.drivers.local import Engine
from sagakit.errors import SagaError
from sagakit.execution import Execution
from sagakit.progress import Progress, Tick
from sagakit.progress import progress as told
from sagakit.services import northwind
from sagakit.services.world import DATABASES, CheckoutWorld


class ReplayError(SagaError):
    """The journal and the services' databases do not belong together; the message says the cure."""


class ReplayReport(msgspec.Struct, frozen=True):
    """How the replay ended.

    ``completed``, ``compensated`` and ``stuck`` count the orders in the journal, those of earlier
    replays too; the rest is what the services' books say of them: ``revenue`` is money kept in
    currency units (with cents), ``units_left`` the units on the shelf, ``problems`` every
    imbalance.
    """

    completed: int
    compensated: int
    stuck: int
    revenue: float
    units_left: int
    balanced: bool
    problems: tuple[str, ...]


def replay(
    journal: Path | None,
    *,
    concurrency: int = 1,
    limit: int | None = None,
    progress: Progress = None,
) -> ReplayReport:
    """Run the orders in the order of their numbers; order 10248 is execution ``order-10248``.

    Killed at any point and run again on the same journal, it recovers what was in flight, goes
    on, and ends with the books of a run that was never killed (with a concurrency of 1: several
    orders at once race for the last units, so who gets them may differ; the books balance anyway).

    Parameters:
        journal: the journal's file; the services' databases are beside it, in
            ``<journal>.services/``. ``None`` keeps everything in memory.
        concurrency: how many executions are in flight at once.
        limit: replay only so many of the first orders; the others' ids are not touched.
        progress: called in this thread with 1 for every order finished; or whether to draw a bar
            (None: where somebody sees it, as ``sagakit.progress`` tells).

    Raises:
        ReplayError: the journal is there without its services, or they without it; or its folder
            is not there.
        NorthwindError: the data is missing or malformed.
    """
    waiting: deque[Future[Execution]] = deque()

    def finish(tick: Tick) -> None:
        waiting.popleft().result()
        tick(1)

    with closing(_world(journal)) as world:
        with (
            Engine(journal, concurrency=concurrency) as engine,
            told("replay", progress, total=lambda: _count(limit), unit="orders") as tick,
        ):
            engine.recover(world.saga, progress=False)
            for order in islice(northwind.orders(), limit):
                name = f"order-{order['order_id']}"
                waiting.append(engine.start(world.saga, order, id=name))
                while waiting and waiting[0].done():
                    finish(tick)
            while waiting:
                finish(tick)
            rows = engine.list(outermost=True)  # the books are about all of them
        statuses = Counter(row.status for row in rows)
        stuck = {row.id for row in rows if row.status == "stuck"}
        books = world.books(unfinished=stuck)
    return ReplayReport(
        completed=statuses["completed"],
        compensated=statuses["compensated"],
        stuck=statuses["stuck"],
        revenue=books.kept_cents / 100,
        units_left=books.units_left,
        balanced=books.balanced,
        problems=books.problems,
    )


def _count(limit: int | None) -> int:
    """How many orders there are to replay."""
    return sum(1 for _ in islice(northwind.orders(), limit))


def services_folder(journal: Path) -> Path:
    """Where the services' databases of a journal are: ``demo.db`` has ``demo.db.services``."""
    return journal.with_name(f"{journal.name}.services")


def _world(journal: Path | None) -> CheckoutWorld:
    """The services of a journal, after a check that neither is there without the other.

    They are created before the journal is, and no service is asked anything before the journal
    knows of it. So a journal without services, or services that were asked without a journal,
    lost the other half; whereas services that nobody asked are a replay killed at its birth.
    """
    if journal is None:
        return CheckoutWorld()
    if not journal.parent.is_dir():
        raise ReplayError(
            f"journal '{journal}': the folder '{journal.parent}' does not exist; make it"
        )
    folder = services_folder(journal)
    has_journal = journal.exists() and journal.stat().st_size > 0
    missing = [name for name in DATABASES if not (folder / name).exists()]
    if has_journal and missing:
        raise ReplayError(
            f"the journal {journal} is there, but its services' {', '.join(missing)} in {folder}"
            f" {'is' if len(missing) == 1 else 'are'} not; put the folder back beside the journal,"
            " or remove both to begin anew"
        )
    world = CheckoutWorld(folder)
    if not has_journal and world.requests():
        world.close()
        raise ReplayError(
            f"the services' databases in {folder} hold orders, but their journal {journal} is"
            " not there; put the journal back beside the folder, or remove both to begin anew"
        )
    return world
