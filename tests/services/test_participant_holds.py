"""Reservations that may expire: every row state meets every request, as the table says."""

from __future__ import annotations

import contextlib
import re

import pytest
from till import ACTION, CONFIRM, LIMIT, Till

from sagakit.errors import DefinitionError, TerminalError
from sagakit.services import Participant, participant
from sagakit.steps import Happened


@pytest.fixture
def till():
    till = Till(None)
    yield till
    till.engine.dispose()


# -- the table of the module docstring, walked ----------------------------------------------


def bring_about(till: Till, state: str) -> None:
    """Bring the row of the step ``charge`` into a state."""
    if state == "done":
        till.charge()
    elif state == "held":
        till.reserve()
    elif state == "refused":
        till.closed = True
        with contextlib.suppress(TerminalError):
            till.charge()
        till.closed = False
    elif state == "undone":
        till.charge()
        till.refund()
    elif state == "fenced":
        till.refund()
    elif state == "expired":
        till.reserve()
        till.time = LIMIT
        till.participant.sweep()
        till.time = 0
    assert till.states() == ([] if state == "(none)" else [state])


def arrive(till: Till, request: str) -> tuple[str, str, int]:
    """The answer to a request, the state it leaves the row in, and what it changed in the till."""
    before = sum(till.rows())
    try:
        match request:
            case "act":
                reply = till.reserve()
            case "compensate":
                reply = till.refund()
            case "outcome":
                reply = till.participant.outcome(ACTION)
            case "confirm":
                reply = till.confirm()
            case "time is up":
                till.time = LIMIT
                reply = till.participant.sweep()
        answer = repr(reply)
    except TerminalError as error:
        answer = next(word for word in ("late", "closed", "cannot confirm") if word in str(error))
    states = till.states()
    if request == "confirm":
        states.pop()  # the confirmation's own row
    return answer, states[0] if states else "(none)", sum(till.rows()) - before


CHARGED, REFUNDED, CONFIRMED = "{'charged': 5}", "{'refunded': 5}", "{'confirmed': 5}"
YES = repr(Happened({"charged": 5}))
TABLE = {
    "(none)": {
        "act": (CHARGED, "held", 5),
        "compensate": ("None", "fenced", 0),
        "outcome": ("False", "fenced", 0),
        "confirm": ("cannot confirm", "(none)", 0),
        "time is up": ("0", "(none)", 0),
    },
    "done": {
        "act": (CHARGED, "done", 0),
        "compensate": (REFUNDED, "undone", -5),
        "outcome": (YES, "done", 0),
        "confirm": (CONFIRMED, "done", 0),
        "time is up": ("0", "done", 0),
    },
    "held": {
        "act": (CHARGED, "held", 0),
        "compensate": (REFUNDED, "undone", -5),
        "outcome": (YES, "held", 0),
        "confirm": (CONFIRMED, "done", 0),
        "time is up": ("1", "expired", -5),
    },
    "refused": {
        "act": ("closed", "refused", 0),
        "compensate": ("None", "refused", 0),
        "outcome": ("False", "refused", 0),
        "confirm": ("cannot confirm", "refused", 0),
        "time is up": ("0", "refused", 0),
    },
    "undone": {
        "act": ("late", "undone", 0),
        "compensate": (REFUNDED, "undone", 0),
        "outcome": ("False", "undone", 0),
        "confirm": ("cannot confirm", "undone", 0),
        "time is up": ("0", "undone", 0),
    },
    "fenced": {
        "act": ("late", "fenced", 0),
        "compensate": ("None", "fenced", 0),
        "outcome": ("False", "fenced", 0),
        "confirm": ("cannot confirm", "fenced", 0),
        "time is up": ("0", "fenced", 0),
    },
    "expired": {
        "act": ("late", "expired", 0),
        "compensate": ("None", "expired", 0),
        "outcome": ("False", "expired", 0),
        "confirm": ("cannot confirm", "expired", 0),
        "time is up": ("0", "expired", 0),
    },
}
REQUESTS = ("act", "compensate", "outcome", "confirm", "time is up")
CELLS = [(state, request) for state in TABLE for request in REQUESTS]
# How a cell of the docstring says what the table here says.
WORDS = {
    "None": "no effect",
    "False": "no",
    "0": "nothing",
    "1": "undo",
    "late": "refused (late)",
    "closed": "same refusal",
    "cannot confirm": "refused",
    YES: "yes, with reply",
    CONFIRMED: "accepted",
}


@pytest.mark.parametrize(("state", "request_"), CELLS, ids=map(" x ".join, CELLS))
def test_each_row_state_answers_each_request_as_the_table_says(till, state, request_):
    bring_about(till, state)
    answer, after, change = arrive(till, request_)
    assert (answer, after, change) == TABLE[state][request_]


@pytest.mark.parametrize(("state", "request_"), CELLS, ids=map(" x ".join, CELLS))
def test_a_repeat_changes_nothing_more_and_answers_the_same(till, state, request_):
    bring_about(till, state)
    answer, after, _ = arrive(till, request_)
    again = "0" if request_ == "time is up" else answer
    if (state, request_) == ("(none)", "confirm"):
        assert till.states() == ["refused"]  # its own row, there is no other
        return
    assert arrive(till, request_) == (again, after, 0)


def docstring_table() -> dict[str, list[str]]:
    lines = participant.__doc__.splitlines()
    rules = [n for n, line in enumerate(lines) if line.startswith("====")]
    edges = [match.span() for match in re.finditer("=+", lines[rules[0]])]
    rows: dict[str, list[str]] = {}
    for line in lines[rules[1] + 1 : rules[2]]:
        cells = [line[start:end].strip() for start, end in edges]
        if cells[0]:
            state, rows[cells[0]] = cells[0], cells[1:]
        else:
            rows[state] = [f"{a} {b}".strip() for a, b in zip(rows[state], cells[1:])]
    return rows


def test_the_docstring_has_the_same_table():
    written = docstring_table()
    assert list(written) == list(TABLE)
    for state, requests in TABLE.items():
        for request, text in zip(REQUESTS, written[state]):
            answer, after, change = requests[request]
            if answer == CHARGED:
                word = "effect" if change else "same reply"
            elif answer == REFUNDED:
                word = "undo" if change else "same reply"
            else:
                word = WORDS[answer]
            if request == "outcome" and state == "(none)":
                word = "no"
            assert word in text.split("; "), (state, request, text)
            changed = after != state
            assert (f"*{after}*" in text) == changed, (state, request, text)


# -- when the time is up --------------------------------------------------------------------


def test_a_hold_stands_until_its_time_is_up_and_not_a_moment_longer(till):
    till.reserve()
    till.time = LIMIT - 0.001
    assert till.participant.sweep() == 0
    assert till.participant.outcome(ACTION) == Happened({"charged": 5})
    till.time = LIMIT
    assert till.participant.outcome(ACTION) is False
    assert till.rows() == [5, -5]


@pytest.mark.parametrize("request_", ["act", "compensate", "outcome", "confirm"])
def test_whoever_touches_a_hold_whose_time_is_up_expires_it_first(till, request_):
    till.reserve()
    till.time = LIMIT
    answer, state, change = arrive(till, request_)
    assert (answer, state, change) == (TABLE["expired"][request_][0], "expired", -5)
    assert till.participant.sweep() == 0


def test_a_repeat_does_not_prolong_a_hold(till):
    till.reserve()
    till.time = LIMIT - 1
    till.reserve()
    till.time = LIMIT
    assert till.participant.sweep() == 1


def test_a_late_confirmation_says_that_the_hold_expired_and_stays_refused(till):
    till.reserve()
    till.time = LIMIT
    for _ in range(2):
        with pytest.raises(TerminalError, match=r"cannot confirm 'order-7/charge/action': it exp"):
            till.confirm()
    assert till.participant.outcome(CONFIRM) is False


def test_a_confirmed_hold_never_expires(till):
    till.reserve()
    till.confirm()
    till.time = 1000 * LIMIT
    assert till.participant.sweep() == 0
    assert till.participant.outcome(ACTION) == Happened({"charged": 5})
    assert till.confirm() == {"confirmed": 5}
    assert till.rows() == [5]


def test_a_confirmed_hold_can_still_be_compensated(till):
    till.reserve()
    till.confirm()
    assert till.refund() == {"refunded": 5}
    assert till.rows() == [5, -5]


def test_a_confirmation_in_doubt_that_never_came_is_fenced(till):
    till.reserve()
    assert till.participant.outcome(CONFIRM) is False
    with pytest.raises(TerminalError, match="refuses the late action 'order-7/confirm/action'"):
        till.confirm()
    till.time = LIMIT
    assert till.participant.sweep() == 1


def test_a_confirmation_that_refuses_leaves_the_hold_as_it_was(till):
    def effect(_connection, _reply):
        raise TerminalError("not today")

    till.reserve()
    with pytest.raises(TerminalError, match="not today"):
        till.participant.confirm(CONFIRM, ACTION, effect)
    assert till.states() == ["held", "refused"]


def test_an_expired_hold_is_remembered_by_the_next_process(tmp_path):
    first = Till(tmp_path / "till.db")
    first.reserve()
    first.engine.dispose()
    second = Till(tmp_path / "till.db")
    second.time = LIMIT
    assert second.participant.sweep() == 1
    assert second.rows() == [5, -5]
    second.engine.dispose()


def test_a_sweep_expires_the_oldest_first_and_counts(till):
    till.reserve(1, "a/charge/action")
    till.time = 5
    till.reserve(2, "b/charge/action")
    till.charge(3, "c/charge/action")
    till.time = LIMIT + 10
    till.reserve(4, "d/charge/action")
    assert till.participant.sweep() == 2
    assert till.rows() == [1, 2, 3, 4, -1, -2]


def test_a_hold_that_cannot_be_undone_does_not_keep_the_others(till):
    def undo(connection, reply):
        if reply["charged"] == 1:
            raise OSError("drawer stuck")
        return till.give_back(connection, reply)

    till.participant.hold("charge", undo, expires_after=LIMIT)
    till.reserve(1, "a/charge/action")
    till.reserve(2, "b/charge/action")
    till.time = LIMIT
    with pytest.raises(ExceptionGroup, match="holds that cannot expire") as caught:
        till.participant.sweep()
    (failure,) = caught.value.exceptions
    assert failure.__notes__ == ["service 'till' could not expire the hold 'a/charge'"]
    assert till.states() == ["held", "expired"]
    till.participant.hold("charge", till.give_back, expires_after=LIMIT)
    assert till.participant.sweep() == 1
    assert till.rows() == [1, 2, -2, -1]


def test_a_hold_that_this_process_does_not_know_is_named_with_a_cure(till):
    till.reserve()
    till.time = LIMIT
    stranger = Participant("till", till.engine, now=lambda: till.time)
    with pytest.raises(DefinitionError, match="hold 'charge': has no undo; declare"):
        stranger.outcome(ACTION)
    with pytest.raises(DefinitionError, match="hold 'charge': has no undo; declare"):
        stranger.act("a/charge/action", {}, lambda _: None, hold=till.hold)
    assert till.states() == ["held"]


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_limit_must_be_a_positive_time(till, seconds):
    with pytest.raises(DefinitionError, match="no positive number of seconds"):
        till.participant.hold("charge", till.give_back, expires_after=seconds)
