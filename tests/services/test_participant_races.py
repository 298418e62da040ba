"""Deliveries at once, and in every order: the answers always agree with the effects."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from till import ACTION, Till

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
