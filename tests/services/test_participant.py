"""The participant answers each key once, whatever the coordinator repeats, loses or reorders."""

from __future__ import annotations

import pytest
from sqlalchemy import func, insert, select
from till import ACTION, Till, effects

from sagakit.errors import TerminalError
from sagakit.services import KeyReusedError
from sagakit.steps import Happened


@pytest.fixture
def till(tmp_path):
    till = Till(tmp_path / "till.db")
    yield till
    till.engine.dispose()


def test_a_repeat_gets_the_stored_reply_without_a_second_effect(till):
    assert till.charge() == {"charged": 5}
    assert till.charge() == {"charged": 5}
    assert till.rows() == [5]


def test_the_first_reply_has_the_types_that_a_repeat_has(till):
    replies = [till.participant.act(ACTION, {}, lambda _: {"pair": (1, 2)}) for _ in range(2)]
    assert replies == [{"pair": [1, 2]}, {"pair": [1, 2]}]


def test_the_answers_outlive_the_process(tmp_path):
    first = Till(tmp_path / "till.db")
    first.charge()
    first.engine.dispose()
    second = Till(tmp_path / "till.db")
    assert second.charge() == {"charged": 5}
    assert second.rows() == [5]
    second.engine.dispose()


def test_the_same_key_with_other_content_is_refused_by_name(till):
    till.charge(5)
    with pytest.raises(KeyReusedError, match=r"service 'till'.*'order-7/charge/action'"):
        till.charge(6)
    assert till.rows() == [5]
    assert till.charge(5) == {"charged": 5}


def test_the_order_of_a_requests_fields_is_not_content(till):
    till.participant.act(ACTION, {"a": 1, "b": 2}, lambda _: 1)
    assert till.participant.act(ACTION, {"b": 2, "a": 1}, lambda _: 2) == 1


def test_null_compensation_succeeds_without_effect(till):
    assert till.refund() is None
    assert till.rows() == []


def test_a_late_action_is_refused_after_its_null_compensation(till):
    till.refund()
    with pytest.raises(TerminalError, match=r"service 'till' refuses the late action 'order-7/ch"):
        till.charge()
    assert till.rows() == []


def test_a_late_action_is_refused_after_its_effect_was_undone(till):
    till.charge()
    assert till.refund() == {"refunded": 5}
    with pytest.raises(TerminalError, match="was undone before"):
        till.charge()
    assert till.rows() == [5, -5]


def test_a_repeated_compensation_undoes_once(till):
    till.charge()
    assert [till.refund(), till.refund()] == [{"refunded": 5}, {"refunded": 5}]
    assert till.rows() == [5, -5]


def test_a_refusal_rolls_the_effect_back_and_is_the_answer_for_ever(till):
    till.closed = True
    with pytest.raises(TerminalError, match="the till is closed"):
        till.charge()
    till.closed = False  # a copy delayed on the way must not take effect now
    with pytest.raises(TerminalError, match="the till is closed"):
        till.charge()
    assert till.rows() == []


def test_a_refusal_reaches_its_caller_as_it_was_raised(till):
    class OutOfCashError(TerminalError):
        pass

    def effect(_):
        raise OutOfCashError("no coins")

    with pytest.raises(OutOfCashError):
        till.participant.act(ACTION, {}, effect)


def test_a_refused_action_is_compensated_without_effect(till):
    till.closed = True
    with pytest.raises(TerminalError):
        till.charge()
    till.closed = False
    assert till.refund() is None
    with pytest.raises(TerminalError, match="the till is closed"):
        till.charge()
    assert till.rows() == []


def test_after_the_pivot_a_refusal_may_be_cured_and_retried(till):
    till.closed = True
    with pytest.raises(TerminalError):
        till.charge(keep_refusal=False)
    till.closed = False
    assert till.charge(keep_refusal=False) == {"charged": 5}
    assert till.rows() == [5]


def test_what_a_compensation_refuses_is_rolled_back_and_can_be_retried(till):
    till.charge()
    till.closed = True
    with pytest.raises(TerminalError):
        till.refund()
    assert till.rows() == [5]
    till.closed = False
    assert till.refund() == {"refunded": 5}
    assert till.rows() == [5, -5]


def test_an_ordinary_exception_leaves_no_trace_and_a_repeat_tries_again(till):
    def effect(connection):
        connection.execute(insert(effects), {"n": 1})
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        till.participant.act(ACTION, {"n": 5}, effect)
    assert till.rows() == []
    assert till.charge(5) == {"charged": 5}


def test_a_reply_that_is_not_json_rolls_its_effect_back(till):
    def effect(connection):
        connection.execute(insert(effects), {"n": 1})
        return object()

    with pytest.raises(TypeError):
        till.participant.act(ACTION, {}, effect)
    assert till.rows() == []


def test_the_outcome_of_an_effect_is_its_reply(till):
    till.charge()
    assert till.participant.outcome(ACTION) == Happened({"charged": 5})
    assert till.charge() == {"charged": 5}


def test_an_outcome_of_no_fences_the_key_for_ever(till):
    assert till.participant.outcome(ACTION) is False
    with pytest.raises(TerminalError, match="was fenced before it came"):
        till.charge()
    assert till.refund() is None
    assert till.participant.outcome(ACTION) is False
    assert till.rows() == []


def test_the_outcome_of_a_refused_or_undone_action_is_no(till):
    till.charge()
    till.refund()
    assert till.participant.outcome(ACTION) is False
    till.closed = True
    with pytest.raises(TerminalError):
        till.charge(key="order-8/charge/action")
    assert till.participant.outcome("order-8/charge/action") is False


def test_steps_and_executions_do_not_disturb_each_other(till):
    till.charge(1, "a/charge/action")
    till.charge(2, "b/charge/action")
    till.charge(3, "a/other/action")
    till.refund("a/charge/compensation")
    assert till.rows() == [1, 2, 3, -1]


@pytest.mark.parametrize("key", ["", "action", "/action", "a/b/compensation", "a/b"])
def test_a_key_of_another_form_is_refused_with_a_cure(till, key):
    with pytest.raises(ValueError, match=r"pass ctx\.idempotency_key as it is"):
        till.charge(key=key)


def test_a_participant_counts_the_steps_it_was_asked_for(till):
    till.charge()
    till.refund()
    till.refund("order-8/charge/compensation")
    assert till.participant.requests() == 2
    with till.engine.begin() as connection:
        assert connection.execute(select(func.count()).select_from(effects)).scalar_one() == 2
