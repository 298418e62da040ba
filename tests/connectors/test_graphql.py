"""GraphQL operations as actions."""

from __future__ import annotations

from typing import Any

import pytest
from real_service import CUT, Service

from sagakit import DefinitionError, Execution, Retry, Saga, run, step
from sagakit.connectors import Graphql, Secret
from sagakit.events import StepAttemptFailed, StepFailed, StepInDoubt

pytest.importorskip("httpx")

PAY = "mutation ($amount: Int!) { pay(amount: $amount) { id } }"
ASK = "query { account { balance } }"


def once(service: Service, query: str, input: Any = None, **options: Any) -> Execution:
    action = Graphql(f"{service.url}/graphql", query, **options)
    return run(Saga("one", step(action, name="call", retry=Retry(attempts=2))), input, id="x")


def first_failure(execution: Execution) -> Any:
    kinds = StepFailed | StepInDoubt | StepAttemptFailed
    return next(event for event in execution.events if isinstance(event, kinds))


def test_a_mutation_is_sent_with_its_variables_and_the_steps_key(service: Service) -> None:
    service.answer = lambda asked: (200, {"data": {"pay": {"id": 7}}})
    execution = once(
        service, PAY, {"n": 3}, variables={"amount": "${input.n}"}, result="response.body.pay.id"
    )
    assert execution.results == {"call": 7}
    (asked,) = service.asked
    assert asked.json == {"query": PAY, "variables": {"amount": 3}}
    assert asked.headers["idempotency-key"] == "x/call/action"


def test_a_query_has_no_key_and_the_whole_data_for_a_result(service: Service) -> None:
    service.answer = lambda asked: (200, {"data": {"account": {"balance": 5}}})
    execution = once(service, ASK, operation="a")
    assert execution.results == {"call": {"account": {"balance": 5}}}
    assert "idempotency-key" not in service.asked[0].headers
    assert service.asked[0].json["operationName"] == "a"


def test_errors_are_terminal(service: Service) -> None:
    service.answer = lambda asked: (200, {"data": None, "errors": [{"message": "no money"}]})
    failed = first_failure(once(service, PAY))
    assert isinstance(failed, StepFailed)
    assert failed.terminal
    assert failed.error.message == (
        f"step 'call': mutation at {service.url}/graphql was refused: no money"
    )
    assert len(service.asked) == 1


def test_a_mutation_that_was_done_in_part_is_in_doubt_and_not_repeated(service: Service) -> None:
    answer = {"data": {"a": {"id": 1}, "b": None}, "errors": [{"message": "b is gone"}]}
    service.answer = lambda asked: (200, answer)
    failed = first_failure(once(service, PAY))
    assert isinstance(failed, StepInDoubt)
    assert "was done in part: b is gone" in failed.error.message
    assert isinstance(first_failure(once(service, ASK)), StepFailed)


@pytest.mark.parametrize(
    ("answer", "in_doubt"),
    [((503, {}), False), ((500, {}), True), ((200, CUT), True), (None, True)],
)
def test_a_status_and_a_broken_connection_mean_what_they_mean_for_every_request(
    service: Service, answer: Any, in_doubt: bool
) -> None:
    service.answer = lambda asked: answer
    failed = first_failure(once(service, PAY))
    assert isinstance(failed, StepAttemptFailed)
    assert failed.in_doubt is in_doubt
    failed = first_failure(once(service, ASK))
    assert isinstance(failed, StepAttemptFailed)
    assert not failed.in_doubt


def test_an_answer_that_is_none_leaves_a_mutation_in_doubt(service: Service) -> None:
    service.answer = lambda asked: (200, {"hello": 1})
    assert isinstance(first_failure(once(service, PAY)), StepInDoubt)


def test_it_round_trips_and_is_checked() -> None:
    action = Graphql("https://x", PAY, {"amount": Secret("AMOUNT")}, headers={"A": Secret("T")})
    saga = Saga("s", step(action, action, name="a"))
    assert Saga.from_yaml(saga.to_yaml()) == saga
    bad = Graphql("https://x", " ", {"a": "${foo}"}, result="data")
    with pytest.raises(DefinitionError) as caught:
        Saga("s", step(bad, name="a"))
    assert [problem.path[2:] for problem in caught.value.problems] == [
        ("action", "graphql", "query"),
        ("action", "graphql", "variables", "a"),
        ("action", "graphql", "result"),
    ]
    with pytest.raises(DefinitionError, match="subscription"):
        Saga("s", step(Graphql("https://x", "subscription { a }"), name="a"))
