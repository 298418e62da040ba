"""Writes the golden journal of the newest format: ``python tests/journal/golden/make.py``.

A file that a release wrote opens for ever, so a golden file is never written anew once its format
is released, and the sagas below are never changed: add others. Format 1 is not released yet; its
file is to be written once more when the work on 0.1.0 ends.

The events are given by hand, so that the content is the same on every run; what is written down
in ``format-N.json`` is the JSON of each event as this code understands it.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from sagakit import Saga, Simulated, await_event, choice, for_each, pivot, step, sub_saga, timer
from sagakit.events import (
    AttemptAdmitted,
    AttemptHeld,
    AttemptLost,
    BreakerChanged,
    CancellationRequested,
    ChildResumed,
    ChildStuck,
    CompensationAttemptFailed,
    CompensationFailed,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    DeadlinePassed,
    ErrorInfo,
    Event,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionMigrated,
    ExecutionResolved,
    ExecutionStarted,
    ExecutionStuck,
    HedgeStarted,
    ReconcileFailed,
    ReconcileStarted,
    SignalReceived,
    StepAttemptFailed,
    StepFailed,
    StepInDoubt,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)
from sagakit.execution import Execution
from sagakit.journal import mail
from sagakit.journal.base import Letter, Post, Rest, Wait
from sagakit.journal.codec import encode_event
from sagakit.journal.sqlite import MIGRATIONS, SqliteJournal

HERE = Path(__file__).parent


class Parcel(msgspec.Struct):
    number: int
    weight: Decimal


def order() -> str:
    return "order-7"


def cancel() -> None:
    """Cancel the order."""


def charge() -> Decimal:
    return Decimal("9.90")


def refund() -> None:
    """Refund the payment."""


def confirm() -> None:
    """The pivot."""


def pack() -> Parcel:
    return Parcel(7, Decimal("1.50"))


def send() -> None:
    """Send the parcel."""


def by_air() -> None:
    """One branch."""


def by_sea() -> None:
    """The other."""


def book_room() -> str:
    return "room 12"


def cut_key() -> None:
    """Cut a key for the room."""


def give_back() -> None:
    """Give back whatever it was."""


def guests() -> list[str]:
    return ["Ann", "Bob"]


def check_in() -> str:
    return "checked in"


SHOP = Saga(
    "shop",
    step(order, cancel),
    step(charge, refund, reconcile=Simulated("ask", result=True)),
    pivot(confirm, reconcile=Simulated("ask", result=True)),
    step(pack),
    step(send),
    version=1,
)
SHOP_2 = Saga("shop", *SHOP.steps[:4], step(send, name="hand over"), version=2)
TRIP = Saga(
    "trip",
    await_event("paid", timeout=3600, compensation=refund),
    timer("cool", 60, when=False),
    *choice("route", lambda: "air", {"air": step(by_air, cancel), "sea": step(by_sea)}),
    step(send),
    deadline=10_000_000_000,
)
HOTEL = Saga("hotel", step(book_room, give_back), step(cut_key, give_back))
TOUR = Saga(
    "tour",
    sub_saga(HOTEL, name="stay"),
    for_each("guests", guests, step(check_in, give_back), limit=2),
    step(send),
)
SAGAS = (SHOP, SHOP_2, TRIP, TOUR)

ERROR = ErrorInfo(
    "shop.NoAnswer",
    "größe ✗",
    'Traceback (most recent call last):\n  File "/shop.py", line 7, in charge\nshop.NoAnswer: ✗\n',
)
REST = Rest(4_000_000_000.0, True, (Wait("paid", "10248", 1.0),))
LETTER = Letter("paid", "10249", "letter-1", 2.0, 4_000_000_000.0, {"amount": 43}, "ann")
POST = Post("post-1", "paid", {"amount": 44}, to="nobody", at=3.0)
INPUT = {"customer": "ALFKI", "amount": 42, "rate": 0.5, "gift": None, "lines": [1, "é", True]}


def executions() -> dict[str, tuple[Saga, list[Event]]]:
    """Every event there is, in executions that ended, and in some that did not."""
    paid = [*_did("order", "order-7"), *_did("charge", Decimal("9.90"))]
    sent = [*_did("confirm"), *_did("pack", Parcel(7, Decimal("1.50")))]
    undone = [*_undid("charge"), *_undid("order"), ExecutionCompensated(20.0)]
    stuck = [
        *paid,
        StepStarted("confirm", 1, 5.0),
        StepFailed("confirm", 1, 6.0, ERROR),
        CompensationStarted("charge", 1, 6.0),
        CompensationAttemptFailed("charge", 1, 7.0, ERROR, 7.1),
        CompensationStarted("charge", 2, 7.1),
        CompensationFailed("charge", 2, 8.0, ERROR),
        ExecutionStuck(8.0, ("charge",)),
    ]
    in_doubt = [
        *_did("order", "order-7"),
        StepStarted("charge", 1, 3.0),
        StepAttemptFailed("charge", 1, 4.0, ERROR, 4.5, True),
        StepStarted("charge", 2, 4.5),
        StepInDoubt("charge", 2, 5.0, ERROR),
        ReconcileStarted("charge", 5.0),
    ]
    no_answer = [
        *paid,
        StepStarted("confirm", 1, 5.0),
        StepInDoubt("confirm", 1, 6.0, ERROR),
        ReconcileStarted("confirm", 6.0),
        ReconcileFailed("confirm", 7.0, ERROR),
        ExecutionStuck(7.0, ("confirm",)),
    ]
    waits = [WaitStarted("paid", 1.0, "paid", "10248", 4_000_000_000.0)]
    said = 2.0, "paid", "signal-1", {"amount": 42}, "10248"
    letter = SignalReceived(*said)
    sea = [
        letter,
        StepSucceeded("paid", 1, 2.0, {"amount": 42}),
        StepSkipped("cool", 2.0),
        *_did("route", "sea"),
        StepSkipped("by_air", 4.0),
        *_did("by_sea"),
    ]
    called_off = CancellationRequested(3.0, "operator-7", "größer bestellt")
    held = [
        *paid,
        StepStarted("confirm", 1, 5.0),
        AttemptHeld("confirm", 5.0, "action", "rate limit", 5.5),
        AttemptAdmitted("confirm", 5.5, "action"),
        HedgeStarted("confirm", 6.0),
        StepFailed("confirm", 1, 7.0, ERROR),
        BreakerChanged(7.0, "größe", "closed", "open", "too many calls failed"),
        CompensationStarted("charge", 1, 7.0),
        AttemptHeld("charge", 7.0, "compensation", "bulkhead"),
    ]
    resolved = ExecutionResolved(9.0, "skip", "operator-7", "refunded by hand", ("charge",))
    moved = ExecutionMigrated(9.0, "2", SHOP_2.fingerprint, "operator-7", "release 2")
    return {
        "completed": (SHOP, [*paid, *sent, *_did("send"), ExecutionCompleted(9.0)]),
        "compensated": (
            SHOP,
            [*in_doubt, StepSucceeded("charge", 2, 6.0, Decimal("9.90")), *_refused(), *undone],
        ),
        "stuck": (SHOP, stuck),
        "stuck in doubt": (SHOP, no_answer),
        "resolved": (SHOP, [*stuck, resolved, *_undid("order"), ExecutionCompensated(9.0)]),
        "abandoned": (
            SHOP,
            [*stuck, ExecutionResolved(9.0, "abandon", "operator-7", "a test", ("charge",))],
        ),
        "not begun": (SHOP, []),
        "mid-step": (SHOP, [*paid, StepStarted("confirm", 1, 5.0)]),
        "held": (SHOP, held),
        "mid-reconcile": (SHOP, [*in_doubt, AttemptLost("charge", 6.0)]),
        "mid-compensation": (SHOP, [*paid, *_refused(), CompensationStarted("charge", 1, 8.0)]),
        "moved": (SHOP_2, [*paid, *sent, moved]),
        "trip": (TRIP, [*waits, *sea, *_did("send"), ExecutionCompleted(9.0)]),
        "late": (TRIP, [*waits, DeadlinePassed(9001.0), ExecutionCompensated(9001.0)]),
        "called off": (TRIP, [*waits, called_off, ExecutionCompensated(3.0)]),
        "waiting": (TRIP, waits),
        "signalled": (TRIP, [*waits, SignalReceived(*said, by="ann", chosen=True)]),
        **tours(),
    }


def tours() -> dict[str, tuple[Saga, list[Event]]]:
    """Executions and those that do steps of them, with ids such as "tour/stay"."""
    lines = TOUR.child("guests")
    stayed = [*_did("book_room", "room 12"), *_did("cut_key"), ExecutionCompleted(4.0)]
    checked = [*_did("0", "checked in"), *_did("1", "checked in"), ExecutionCompleted(4.0)]
    stay = {"book_room": "room 12", "cut_key": None}
    refused = [StepStarted("1", 1, 5.0), StepFailed("1", 1, 6.0, ERROR, True)]
    gave_up = [
        CompensationRequested(7.0),
        *_undid("cut_key"),
        CompensationStarted("book_room", 1, 9.5),
        CompensationFailed("book_room", 1, 9.6, ERROR),
        ExecutionStuck(9.6, ("book_room",)),
    ]
    again = [
        ExecutionResolved(10.0, "retry", "operator-7", "the hotel is open", ("book_room",)),
        CompensationStarted("book_room", 2, 10.0),
        CompensationSucceeded("book_room", 2, 10.5),
        ExecutionCompensated(10.5),
    ]

    def outer(id: str) -> list[Event]:
        return [
            StepStarted("stay", 1, 2.0, f"{id}/stay"),
            StepSucceeded("stay", 1, 4.0, stay),
            StepStarted("guests", 1, 4.0, f"{id}/guests"),
        ]

    stuck = [
        StepFailed("guests", 1, 7.0, ERROR, True),
        CompensationStarted("stay", 1, 7.0),
        ChildStuck("stay", 9.6),
        ExecutionStuck(9.6, ("stay",)),
    ]
    resumed = [
        ChildResumed("stay", 10.0),
        CompensationSucceeded("stay", 1, 10.5),
        ExecutionCompensated(10.5),
    ]
    both = ["checked in", "checked in"]
    back = [*_did("0", "checked in"), *refused, *_undid("0"), ExecutionCompensated(7.0)]
    return {
        "tour": (
            TOUR,
            [
                *outer("tour"),
                StepSucceeded("guests", 1, 4.0, both),
                *_did("send"),
                ExecutionCompleted(5.0),
            ],
        ),
        "tour/stay": (HOTEL, stayed),
        "tour/guests": (lines, checked),
        "stuck tour": (TOUR, [*outer("stuck tour"), *stuck]),
        "stuck tour/stay": (HOTEL, [*stayed, *gave_up]),
        "stuck tour/guests": (lines, back),
        "tour again": (TOUR, [*outer("tour again"), *stuck, *resumed]),
        "tour again/stay": (HOTEL, [*stayed, *gave_up, *again]),
        "tour again/guests": (lines, back),
        "on tour": (TOUR, outer("on tour")),
        "on tour/stay": (HOTEL, stayed),
        "on tour/guests": (lines, [*_did("0", "checked in"), StepStarted("1", 1, 5.0)]),
    }


def _did(step: str, result: Any = None) -> list[Event]:
    return [StepStarted(step, 1, 3.0), StepSucceeded(step, 1, 4.0, result)]


def _refused() -> list[Event]:
    return [StepStarted("confirm", 1, 7.0), StepFailed("confirm", 1, 8.0, ERROR)]


def _undid(step: str) -> list[Event]:
    return [CompensationStarted(step, 1, 9.0), CompensationSucceeded(step, 1, 9.5)]


def main() -> None:
    name = f"format-{len(MIGRATIONS)}"
    path = HERE / f"{name}.db"
    path.unlink(missing_ok=True)
    journal = SqliteJournal(path)
    for saga in SAGAS:
        for one in saga.family():
            journal.define(one.fingerprint, one.name, one.version, one.shape)
    expected = {}
    for id, (saga, events) in executions().items():
        began = SHOP if saga is SHOP_2 else saga
        outer, _, step = id.rpartition("/")
        which = began.name, began.version, began.fingerprint
        given = guests() if step == "guests" else INPUT
        start = ExecutionStarted(*which, id, given, 1.0, (outer, step) if outer else None)
        execution = Execution(saga, [start, *events])  # refuses what cannot have happened
        waits = execution.status == "waiting"
        journal.append([(id, 0, execution.events)], {id: REST} if waits else {})
        expected[id] = {
            "saga": saga.name,
            "version": saga.version,
            "status": execution.status,
            "events": [msgspec.Raw(encode_event(event)) for event in execution.events],
        }
    journal.keep(LETTER)
    mail.post(path, POST)
    journal.close()
    Path(f"{path}.lock").unlink(missing_ok=True)
    text = msgspec.json.format(msgspec.json.encode(expected), indent=1)
    (HERE / f"{name}.json").write_bytes(text + b"\n")


if __name__ == "__main__":
    main()
