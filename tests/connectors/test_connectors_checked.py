"""What ``sagakit check`` says of connectors: no false alarms, and no secret overlooked."""

from __future__ import annotations

from typing import Any

import pytest

from sagakit import Retry, Saga, step
from sagakit.connectors import Cel, Graphql, Http, Publish, Secret, Soap, Sql
from sagakit.lab.check import check

DB = Secret("SHOP_DATABASE")
POST = Http("https://x.example", method="POST")


def rules(action: Any, undo: Any = None) -> set[str]:
    retried = step(action, undo, name="a", retry=Retry(attempts=3, wait=1))
    return {finding.rule for finding in check(Saga("s", retried, version=1))}


@pytest.mark.parametrize(
    "action",
    [POST, Graphql("https://x.example", "mutation { a }"), Soap("x.wsdl", "A"), Cel("1")],
)
def test_what_ends_by_itself_and_carries_the_key_is_no_finding(action: Any) -> None:
    assert not {"SAGA201", "SAGA203"} & rules(action, POST)


def test_a_database_may_hang_but_tells_a_repeat() -> None:
    for action in (Sql(DB, "DELETE FROM a"), Publish(DB, "t")):
        found = rules(action, action)
        assert "SAGA203" not in found
        assert "SAGA201" in found


def test_a_request_without_its_key_is_found() -> None:
    assert "SAGA203" in rules(Http("https://x.example", method="POST", idempotency_header=""))
    assert "SAGA203" not in rules(Http("https://x.example", method="PUT", idempotency_header=""))


def test_a_secret_in_a_body_is_found_and_a_reference_to_one_is_not() -> None:
    key = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
    for body in ({"password": "hunter22x"}, {"note": key}):
        assert "SAGA601" in rules(Http("https://x.example", method="POST", json=body))
    fine = Http(
        "https://x.example",
        method="POST",
        headers={"Authorization": Secret("TOKEN")},
        json={"password": {"secret": "PASSWORD"}},
    )
    assert "SAGA601" not in rules(fine)
