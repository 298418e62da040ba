"""SQL statements as actions, by SQLAlchemy, each done once for its idempotency key.

The statement, its answer and the key are written in one transaction of the database, by the inbox
that `sagakit.services` has for services (`Participant`): a repeat gets the answer that the first
one got, a compensation finds what it undoes, and an action that comes late, after its
compensation, is refused. A step whose action is SQL is therefore undone by SQL on the same
database.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

import msgspec

from sagakit.connectors import templates
from sagakit.connectors.base import ABSENT, Connector, Text, Timeout
from sagakit.connectors.secret import Vault
from sagakit.connectors.web import plain, result_faults
from sagakit.errors import Problem

_URL_WITH_PASSWORD = re.compile(r"://[^/@]*:[^/@]*@")


def database_faults(url: Text) -> list[Problem]:
    """What is wrong with the address of a database."""
    found = [Problem(text, *text.path) for text in templates.faults(url, "url")]
    if isinstance(url, str) and _URL_WITH_PASSWORD.search(url):
        found.append(Problem("url holds a password; give the whole url by {secret: NAME}", "url"))
    elif isinstance(url, str) and "://" not in url:
        found.append(Problem(f"url is '{url}'; give one such as sqlite:///x.db", "url"))
    return found


class Sql(Connector, frozen=True):
    """An SQL statement: ``Sql(Secret("SHOP_DB"), "UPDATE … WHERE id = :id", {"id": "${input}"})``.

    Parameters:
        url: the database, as SQLAlchemy writes it: ``sqlite:///shop.db``; by a secret where it
            holds a password.
        statement: one statement with bound parameters (``:name``). Nothing is ever filled into
            its text. As a reconcile it may be left out: then the inbox is asked whether the step's
            action was done, and if it was not, it never will be.
        parameters: the values of the bound parameters, with expressions in ``${…}``; in a
            compensation ``result`` is what the action had done, also if its reply was lost.
        expect: how many rows it must find or change; another number is a refusal, and nothing of
            it stays.
        result: an expression over ``response``, which has ``rows`` and ``count`` (how many it
            found or changed); the rows when left out, or None of a statement that gives none.
        keep_refusal: whether a refusal is the answer for ever, as it must be before the pivot.
            After it give False, so that an operator can cure the cause and retry.
        timeout: seconds for the statement (SQLite and PostgreSQL; elsewhere give the step one).
        example: what a simulation takes for the result.
        latency: seconds that a simulation lets pass.
    """

    kind: ClassVar[str] = "sql"
    title: ClassVar[str] = "SQL statement"
    summary: ClassVar[str] = "Runs one statement once, in a transaction with the step's key"
    shown: ClassVar[dict[str, Any]] = {
        "url": {"secret": "SHOP_DATABASE"},
        "statement": "UPDATE stock SET free = free - :n WHERE sku = :sku AND free >= :n",
        "parameters": {"sku": "${input.sku}", "n": "${input.n}"},
        "expect": 1,
    }

    url: Annotated[
        Text,
        msgspec.Meta(
            title="Database",
            description="As SQLAlchemy writes it, sqlite:///shop.db; {secret: NAME} where it "
            "holds a password",
        ),
    ]
    statement: Annotated[
        str | None,
        msgspec.Meta(
            title="Statement",
            description="One statement with bound parameters (:name); left out in a reconcile: "
            "the inbox is asked whether the action was done",
        ),
    ] = None
    parameters: Annotated[
        dict[str, Any],
        msgspec.Meta(title="Parameters", description="Values of the :names, with ${…} in them"),
    ] = msgspec.field(default_factory=dict)
    expect: Annotated[
        int | None,
        msgspec.Meta(
            title="Expected rows",
            description="How many rows it must find or change; another number is refused and "
            "rolled back",
        ),
    ] = None
    result: Annotated[
        str | None,
        msgspec.Meta(
            title="Result",
            description="What the step's result is: an expression in CEL over response.rows and "
            "response.count (and input, results …); without it the rows",
        ),
    ] = None
    keep_refusal: Annotated[
        bool,
        msgspec.Meta(
            title="Keep a refusal",
            description="Whether a refusal stands for ever, as it must before the pivot; after "
            "it give false",
        ),
    ] = True
    timeout: Timeout = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        msgspec.structs.force_setattr(self, "parameters", plain(self.parameters))

    def faults(self) -> list[Problem]:
        found = database_faults(self.url)
        if self.statement is not None and "${" in self.statement:
            text = "statement has a ${…}; bind a parameter (:name) and give it in parameters"
            found.append(Problem(text, "statement"))
        found += templates.faults(self.parameters, "parameters")
        if self.expect is not None and (type(self.expect) is not int or self.expect < 0):
            found.append(Problem(f"expect is {self.expect!r}; give a number of rows", "expect"))
        return found + result_faults(self.result)

    def problems(self, role: str = "", action: Any = None) -> list[Problem]:
        found = super().problems(role, action)
        twin = isinstance(action, Sql) and action.url == self.url
        if self.statement is None and role != "reconcile":
            text = "has no statement; give one"
            found.append(Problem(text, self.kind))
        elif self.statement is None and not twin:
            text = "asks the inbox of a database in which the action is not done; give a statement"
            found.append(Problem(text, self.kind))
        if role == "compensation" and not twin:
            text = "undoes what no SQL on the same url has done; let the action be sql with it"
            found.append(Problem(text, self.kind, "url"))
        return found

    @property
    def repeatable(self) -> bool:
        return True

    def call(self, ctx: Any, fill: templates.Filling, vault: Vault) -> Any:
        from sagakit.connectors.sql_engine import Inbox, Work

        work = Work(self, Inbox(self.url, ctx, fill, vault))
        if work.reads:
            return work.read()
        return work.undo() if ctx.side == "compensation" else work.act()

    def inquire(self, ctx: Any, fill: templates.Filling, vault: Vault) -> Any:
        from sagakit.connectors.sql_engine import Inbox, Work

        work = Work(self, Inbox(self.url, ctx, fill, vault))
        if self.statement is None:
            return work.inbox.outcome()
        rows = work.read()
        return rows if rows else ABSENT
