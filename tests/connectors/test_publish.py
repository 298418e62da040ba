"""Messages as actions: published once, delivered by a relay, awaited by another saga."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from databases import DATABASE

from sagakit import (
    DefinitionError,
    Engine,
    Retry,
    Saga,
    Scenario,
    TerminalError,
    run,
    simulate,
    step,
)
from sagakit.connectors import Http, Message, Publish, Secret, Sql, relay

pytest.importorskip("sqlalchemy")

URL = Secret(DATABASE)
PLACED = Publish(URL, "order-placed", {"order": "${input.order}", "n": 2}, key="${input.order}")
GONE = Publish(URL, "order-cancelled", {"of": "${action_key}"}, key="${input.order}")
ORDER = {"order": "o-1"}


def no(ctx: Any) -> None:
    raise TerminalError("no")


def delivered() -> list[Message]:
    found: list[Message] = []
    relay(os.environ[DATABASE], found.append)
    return found


def test_a_message_is_delivered_once_its_step_is_done(database: Any) -> None:
    execution = run(Saga("s", step(PLACED, name="tell")), ORDER, id="x")
    assert execution.results == {"tell": "x/tell/action"}
    message = Message("x/tell/action", "order-placed", "o-1", {"order": "o-1", "n": 2})
    assert delivered() == [message]
    assert delivered() == []


def test_a_repeat_publishes_nothing_more(database: Any) -> None:
    saga = Saga("s", step(PLACED, name="tell", retry=Retry(attempts=3)))
    execution = run(saga, ORDER, scenario=Scenario().lose_reply("tell", 1))
    assert execution.status == "completed"
    assert len(delivered()) == 1


def test_a_compensation_publishes_another_message_if_there_was_one(database: Any) -> None:
    saga = Saga("s", step(PLACED, GONE, name="tell"), step(no))
    run(saga, ORDER, id="x")
    assert [(one.topic, one.id) for one in delivered()] == [
        ("order-placed", "x/tell/action"),
        ("order-cancelled", "x/tell/compensation"),
    ]
    saga = Saga("s", step(PLACED, GONE, name="tell"))
    run(saga, ORDER, scenario=Scenario().deliver_late("tell"))
    assert delivered() == [], "nothing was published, so there is nothing to take back"


def test_messages_are_delivered_in_order_and_one_that_fails_stays(database: Any) -> None:
    for number in range(3):
        saga = Saga("s", step(Publish(URL, "t", "${input}"), name="tell"))
        run(saga, number, id=f"x{number}")
    seen: list[int] = []

    def deliver(message: Message) -> None:
        seen.append(message.body)
        if seen == [0, 1]:
            raise ConnectionError("the broker is away")

    with pytest.raises(ConnectionError):
        relay(os.environ[DATABASE], deliver)
    assert relay(os.environ[DATABASE], deliver, limit=1) == 1
    assert relay(os.environ[DATABASE], deliver) == 1
    assert seen == [0, 1, 1, 2]


def test_two_relays_at_once_lose_nothing(database: Any) -> None:
    for number in range(12):
        run(Saga("s", step(Publish(URL, "t", "${input}"), name="tell")), number)
    seen: list[int] = []
    relays = [
        threading.Thread(target=relay, args=(os.environ[DATABASE], lambda m: seen.append(m.body)))
        for _ in range(3)
    ]
    for thread in relays:
        thread.start()
    for thread in relays:
        thread.join()
    assert set(seen) == set(range(12))
    if database.dialect.name != "sqlite":
        assert len(seen) == 12


def test_a_message_of_one_saga_is_awaited_by_another(database: Any, tmp_path: Path) -> None:
    payment = Saga.from_yaml(
        f"""
        saga: payment
        steps:
          - step: paid
            action:
              publish:
                url: {{secret: {DATABASE}}}
                topic: paid
                key: ${{input.order}}
                message: {{amount: "${{input.amount}}"}}
        """
    )
    shop = Saga.from_yaml(
        """
        saga: shop
        steps:
          - step: paid
            wait: {event: paid, correlate: {cel: input.order}}
          - step: note
            action: {cel: results.paid.amount}
        """
    )
    with Engine(tmp_path / "sagas.db") as engine:
        waiting = engine.start(shop, {"order": "o-7"})
        engine.run(payment, {"order": "o-7", "amount": 42})

        def deliver(message: Message) -> None:
            engine.signal(message.topic, message.body, correlation=message.key, id=message.id)
            engine.signal(message.topic, message.body, correlation=message.key, id=message.id)

        assert relay(os.environ[DATABASE], deliver) == 1
        assert waiting.result(30).results == {"paid": {"amount": 42}, "note": 42}


def test_it_round_trips_and_a_simulation_publishes_nothing() -> None:
    saga = Saga("s", step(PLACED, GONE, name="tell", reconcile=Sql("sqlite:///x", "SELECT 1")))
    assert Saga.from_yaml(saga.to_yaml()) == saga
    assert simulate(saga, ORDER).status == "completed"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: step(Publish(URL, " "), name="a"), "topic is empty"),
        (lambda: step(Publish("sqlite:///a", "t", "${foo}"), name="a"), "unknown variable 'foo'"),
        (lambda: step(Publish("a.db", "t"), name="a"), "give one such as sqlite:///x.db"),
        (lambda: step(Http("https://x"), GONE, name="a"), "publish in a step of its own"),
        (lambda: step(PLACED, name="a", reconcile=PLACED), "a reconcile only asks"),
    ],
)
def test_a_bad_message_is_refused_at_definition_time(made: Any, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Saga("s", made())
    assert said in caught.value.problems[0]
