"""Deliveries at once, and in every order: the answers always agree with the effects."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from till import ACTION, LIMIT, Till

from sagakit.errors import TerminalError


@pytest.mark.parametrize("engines", [1, 2], ids=["one process", "two connections to one file"])
def test_threads_delivering_one_key_at_once_cause_exactly_one_effect(tmp_path, engines):
    tills = [Till(tmp_path / "till.db") for _ in range(engines)]
    threads, rounds = 8, 20
    barrier = threading.Barrier(threads)

    def deliver(number):
        replies = []
        for n in range(rounds):
            barrier.wait()
            replies.append(tills[number % engines].charge(n, f"order-{n}/charge/action"))
        return replies

    with ThreadPoolExecutor(threads) as pool:
        replies = list(pool.map(deliver, range(threads)))
    assert replies == [[{"charged": n} for n in range(rounds)]] * threads
    assert sorted(tills[0].rows()) == list(range(rounds))
    for till in tills:
        till.engine.dispose()


@pytest.mark.parametrize("path", [None, "till.db"], ids=["in memory", "on disk"])
def test_an_action_racing_its_compensation_never_leaves_an_effect_behind(tmp_path, path):
    till = Till(path and tmp_path / path)
    barrier = threading.Barrier(4)

    def race(number):
        for n in range(30):
            barrier.wait()
            if number % 2:
                till.refund(f"order-{n}/charge/compensation")
                continue
            with contextlib.suppress(TerminalError):
                till.charge(n + 1, f"order-{n}/charge/action")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(race, range(4)))
    assert sum(till.rows()) == 0
    till.engine.dispose()


@pytest.mark.parametrize("engines", [1, 3], ids=["one process", "three connections to one file"])
def test_of_expiry_confirmation_and_compensation_exactly_one_wins(tmp_path, engines):
    """Each round's hold is due for the sweeper only: its clock is ahead of the others'."""
    rounds = 40
    sweeper = Till(tmp_path / "till.db")
    shared = sweeper.engine if engines == 1 else None
    confirmer, compensator = (Till(tmp_path / "till.db", shared) for _ in range(2))
    sweeper.time = LIMIT
    barrier = threading.Barrier(3)

    def sweep(n):
        return sweeper.participant.sweep() == 1

    def confirm(n):
        with contextlib.suppress(TerminalError):
            return bool(confirmer.confirm(f"{n}/confirm/action", f"{n}/charge/action"))
        return False

    def compensate(n):
        return compensator.refund(f"{n}/charge/compensation") is not None

    def race(contender):
        wins = []
        for n in range(rounds):
            if barrier.wait() == 0:
                confirmer.reserve(n + 1, f"{n}/charge/action")
            barrier.wait()
            wins.append(contender(n))
            barrier.wait()
        return wins

    with ThreadPoolExecutor(3) as pool:
        swept, confirmed, compensated = pool.map(race, [sweep, confirm, compensate])
    for n in range(rounds):
        # A confirmed hold cannot expire but may be compensated; without that, one undo only.
        assert not (swept[n] and (confirmed[n] or compensated[n])), n
        assert swept[n] or compensated[n], n
    undone = sorted(-n for n in sweeper.rows() if n < 0)
    assert undone == list(range(1, rounds + 1))
    for till in (sweeper, confirmer, compensator):
        till.engine.dispose()


def test_sweeps_and_confirmations_at_once_share_the_holds_without_a_remainder(tmp_path):
    holds, sweepers, confirmers = 250, 3, 2
    tills = [Till(tmp_path / "till.db") for _ in range(sweepers + confirmers)]
    for n in range(holds):
        tills[-1].reserve(n + 1, f"{n}/charge/action")
    for till in tills[:sweepers]:  # their clocks are ahead
        till.time = LIMIT
    barrier = threading.Barrier(len(tills))

    def sweep(till):
        barrier.wait()
        return till.participant.sweep()

    def confirm(till):
        barrier.wait()
        confirmed = set()
        for n in reversed(range(holds)):
            with contextlib.suppress(TerminalError):
                till.confirm(f"{n}/confirm/action", f"{n}/charge/action")
                confirmed.add(n)
        return confirmed

    with ThreadPoolExecutor(len(tills)) as pool:
        swept = [pool.submit(sweep, till) for till in tills[:sweepers]]
        confirmed = [pool.submit(confirm, till).result for till in tills[sweepers:]]
        expired = sum(future.result() for future in swept)
        kept, *same = [result() for result in confirmed]
    assert same == [kept]  # both were told the same
    assert expired + len(kept) == holds
    rows = tills[0].rows()
    assert sum(rows) == sum(n + 1 for n in kept)
    assert len(rows) == holds + expired  # each was undone once
    for till in tills:
        till.engine.dispose()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["act", "compensate", "outcome", "close", "open"]), max_size=12))
def test_whatever_arrives_in_whatever_order_the_answers_agree_with_the_effects(arrivals):
    till = Till(None)
    answered_no = undone = False
    for arrival in arrivals:
        if arrival in ("close", "open"):
            till.closed = arrival == "close"
            continue
        try:
            if arrival == "act":
                till.charge()
                assert not undone
                assert not answered_no
            elif arrival == "compensate":
                till.refund()
                undone = True
            else:
                answered_no |= till.participant.outcome(ACTION) is False
        except TerminalError:
            answered_no |= arrival == "act"
        rows = till.rows()
        assert rows in ([], [5], [5, -5])
        if answered_no or undone:
            assert sum(rows) == 0
    till.engine.dispose()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(["reserve", "compensate", "outcome", "confirm", "sweep", "wait"]),
        max_size=12,
    )
)
def test_a_hold_that_was_ever_denied_is_never_kept(arrivals):
    till = Till(None)
    gone = confirmed = False
    for arrival in arrivals:
        try:
            match arrival:
                case "reserve":
                    till.reserve()
                    assert not gone
                case "compensate":
                    till.refund()
                    gone = True
                case "outcome":
                    gone |= till.participant.outcome(ACTION) is False
                case "confirm":
                    till.confirm()
                    confirmed = True
                case "sweep":
                    expired = till.participant.sweep()
                    assert not (expired and confirmed)
                    gone |= expired == 1
                case "wait":
                    till.time += LIMIT / 2
        except TerminalError:
            gone |= arrival == "reserve"
        assert till.rows() in ([], [5], [5, -5])
        if gone:
            assert sum(till.rows()) == 0
    till.engine.dispose()
