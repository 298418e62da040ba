"""Messages as actions, by the outbox pattern: a message is a row, which a relay delivers.

``Publish`` writes the message, with the step's idempotency key for its id, into the table
``sagakit_outbox`` of a database; ``relay``, called now and then, delivers what is there, in order,
each message at least once and with the same id every time. So a step is done when its message is
safe, not when a broker has answered. (Chris Richardson, "Pattern: Transactional outbox".)

A message that waits in a saga is a step with ``wait:``, found by what both know::

    wait: {event: paid, correlate: {cel: input.order}}        # in one saga
    action: {publish: {topic: paid, key: "${input.order}"}}   # in another

and the relay hands it over by ``engine.signal(m.topic, m.body, correlation=m.key, id=m.id)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import msgspec

from sagakit.connectors import templates
from sagakit.connectors.base import Connector, Text
from sagakit.connectors.secret import Vault
from sagakit.connectors.sql import database_faults
from sagakit.connectors.web import plain
from sagakit.errors import Problem


class Message(msgspec.Struct, frozen=True):
    """A message on its way.

    Parameters:
        id: the idempotency key of the step that published it; a message that is delivered again
            has the same.
        topic: what it is about.
        key: of whom or what; messages with the same key keep their order. None: of nobody.
        body: plain data.
    """

    id: str
    topic: str
    key: str | None
    body: Any


class Publish(Connector, frozen=True):
    """A message: ``Publish(Secret("SHOP_DB"), "order-placed", {"order": "${input.id}"})``.

    Its result is the message's id. As a compensation it publishes another message, if the action
    did publish its own.

    Parameters:
        url: the database of the outbox, as SQLAlchemy writes it.
        topic: what the message is about; a template.
        message: its body, data with expressions in ``${…}``.
        key: of whom or what it is; a template.
        example: what a simulation takes for the result.
        latency: seconds that a simulation lets pass.
    """

    kind: ClassVar[str] = "publish"
    title: ClassVar[str] = "Publish a message"
    summary: ClassVar[str] = "Writes a message into an outbox, from which a relay delivers it"
    shown: ClassVar[dict[str, Any]] = {
        "url": {"secret": "SHOP_DATABASE"},
        "topic": "order-placed",
        "message": {"order": "${input.order}"},
        "key": "${input.order}",
    }

    url: Annotated[
        Text,
        msgspec.Meta(
            title="Database",
            description="Of the outbox, as SQLAlchemy writes it; {secret: NAME} where it holds a "
            "password",
        ),
    ]
    topic: Annotated[str, msgspec.Meta(title="Topic", description="What the message is about")]
    message: Annotated[
        Any, msgspec.Meta(title="Message", description="Its body, data with ${…} in it")
    ] = None
    key: Annotated[
        str | None,
        msgspec.Meta(
            title="Key",
            description="Of whom or what it is: messages with the same key keep their order, and "
            "a wait is found by it",
        ),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        msgspec.structs.force_setattr(self, "message", plain(self.message))

    def faults(self) -> list[Problem]:
        found = database_faults(self.url)
        if not self.topic.strip():
            found.append(Problem("topic is empty; say what the message is about", "topic"))
        for field in ("topic", "message", "key"):
            found += templates.faults(getattr(self, field), field)
        return found

    def problems(self, role: str = "", action: Any = None) -> list[Problem]:
        found = super().problems(role, action)
        if role == "reconcile":
            text = "does something, and a reconcile only asks; give sql without a statement"
            found.append(Problem(text, self.kind))
        if role == "compensation" and not (isinstance(action, Publish) and action.url == self.url):
            text = "follows no message to the same url; publish in a step of its own"
            found.append(Problem(text, self.kind, "url"))
        return found

    @property
    def repeatable(self) -> bool:
        return True

    def call(self, ctx: Any, fill: templates.Filling, vault: Vault) -> Any:
        from sagakit.connectors import outbox
        from sagakit.connectors.sql_engine import Inbox

        message = Message(
            ctx.idempotency_key,
            fill.text(self.topic),
            None if self.key is None else fill.text(self.key),
            fill.data(self.message),
        )
        inbox = Inbox(self.url, ctx, fill, vault)
        with inbox.explained():
            outbox.create(inbox.database())
        if ctx.side == "compensation":
            return inbox.undo(lambda connection, _reply: outbox.add(connection, message))
        return inbox.act(message, lambda connection: outbox.add(connection, message))


def relay(url: str, deliver: Callable[[Message], Any], *, limit: int = 100) -> int:
    """Deliver the messages of an outbox that have not been, the oldest first.

    Call it now and then, from a timer. A message counts as delivered once ``deliver`` has
    returned; if the process dies before that is written down, it is delivered again, with the same
    id. Several relays may work at once; on databases that can, each takes other messages.

    Parameters:
        url: the database, as SQLAlchemy writes it.
        deliver: takes a message; what it raises ends the relay's work, and the message stays.
        limit: how many at most.

    Returns:
        how many were delivered.
    """
    from sagakit.connectors import outbox
    from sagakit.connectors.sql_engine import database_of

    database = database_of(url)
    outbox.create(database)
    count = 0
    while count < limit and outbox.deliver_one(database, deliver):
        count += 1
    return count
