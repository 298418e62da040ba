"""Rules about the saga as a whole: what it shares with others, its size, its version, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from sagakit.connectors.base import Connector
from sagakit.connectors.secret import is_reference
from sagakit.lab.check.finding import rule
from sagakit.lab.check.view import Found, View
from sagakit.redaction import LIKELY, fields
from sagakit.spec import Simulated
from sagakit.steps import Choose, Step, callable_name

_MANY = 20  # steps that one coordinator is asked to see through
_LOCK = re.compile(r"semantic_?lock|(?<![bc])lock", re.IGNORECASE)  # no block, no clock
_CAREFUL = re.compile(r"version|expect|compare|reread|if_match|etag", re.IGNORECASE)
_COUNTER = (
    "reread the value where it is written (reread_value), change it by a difference "
    "(commutative_update), or keep others off it (SemanticLock): all in sagakit.countermeasures"
)


@rule(
    "SAGA501",
    "stale-value",
    "A step writes what an earlier one has read, and others may have changed it",
    "warning",
    bad="""
from sagakit import Saga, pivot, step

account = {"balance": 100}


def read_balance(ctx):
    return account["balance"]


def withdraw(ctx):
    account["balance"] = ctx.results["read_balance"] - 40


def put_back(ctx):
    account["balance"] += 40


def confirm(ctx): ...


saga = Saga(
    "cash", step(read_balance, read=True), step(withdraw, put_back), pivot(confirm), version="1"
)
""",
    good="""
from sagakit import Saga, TerminalError, pivot, step

account = {"balance": 100}


def withdraw(ctx):
    if account["balance"] < 40:
        raise TerminalError("not enough")
    account["balance"] -= 40


def put_back(ctx):
    account["balance"] += 40


def confirm(ctx): ...


saga = Saga("cash", step(withdraw, put_back), pivot(confirm), version="1")
""",
)
def stale_value(view: View) -> Iterator[Found]:
    """Sagas have no isolation: between two steps any other saga may write, and its update is lost.

    Found is code that assigns a value computed from `ctx.results` to what is not its own, or a
    compensation that puts `ctx.result` back; and, where no code is known, a step that changes a
    service which a step before it has read (`read`, same `service`), as a note. Left alone is code
    that speaks of a version or an expected value, of a lock (there or in a step before it), and
    what `by_value` does below its limit. Source: Garcia-Molina and Salem, "Sagas", 1987; the
    countermeasures of Frank and Zahle, "Semantic ACID Properties in Multidatabases Using Remote
    Procedure Calls and Update Propagations", 1998, by Richardson's names.
    """
    locking = {step.name for step in view.steps if _speaks_of_a_lock(view, step)}
    for step in view.working():
        if _accepted(view, step) or locking & {step.name, *view.before(step)}:
            continue
        shown = [*_overwrites(view, step)]
        yield from shown
        if not shown and not step.read and view.code(step.action).node is None:
            yield from _read_before(view, step)


def _accepted(view: View, step: Step) -> bool:
    """Whether it stands in a branch of `by_value`, where the anomaly was weighed."""
    chooser = step.branch and view.saga[step.branch[0]].action
    by = callable_name(chooser.by) if isinstance(chooser, Choose) else None
    return by is not None and by.endswith("_by_value")


def _speaks_of_a_lock(view: View, step: Step) -> bool:
    return any(
        _LOCK.search(name)
        for _, function in view.callables(step)
        for name in view.code(function).names
    )


def _overwrites(view: View, step: Step) -> Iterator[Found]:
    for role, function in view.callables(step):
        code = view.code(function)
        if any(map(_CAREFUL.search, code.names)):
            continue
        for written in code.overwrites():
            if written.computed or role == "compensation":
                yield Found(
                    step.name,
                    f"its {role} sets {written.target} by a value that was read in another step, "
                    "and loses what others have written since",
                    _COUNTER,
                ).at(code, written.node)


def _read_before(view: View, step: Step) -> Iterator[Found]:
    readers = [
        name
        for name in sorted(view.before(step), key=lambda name: view.plan.index[name])
        if view.saga[name].read and view.saga[name].service == step.service
    ]
    if readers and step.service is not None:
        yield Found(
            step.name,
            f"changes the service '{step.service}', which '{readers[0]}' has read; others may have "
            "changed it in between",
            _COUNTER,
            "service",
            severity="note",
        )


@rule(
    "SAGA502",
    "beside-each-other",
    "Two steps change the same service at once",
    "note",
    bad="""
saga: trip
version: "1"
steps:
  - step: book_left
    service: till
    compensation: free_left
  - step: book_right
    service: till
    compensation: free_right
    after: []
  - step: pay
    pivot: true
    after: [book_left, book_right]
""",
    good="""
saga: trip
version: "1"
services:
  - service: till
    bulkhead: {calls: 1}
steps:
  - step: book_left
    service: till
    compensation: free_left
  - step: book_right
    service: till
    compensation: free_right
    after: []
  - step: pay
    pivot: true
    after: [book_left, book_right]
""",
)
def beside_each_other(view: View) -> Iterator[Found]:
    """Which of them comes first is left to chance, and so is what each of them finds.

    A service with a `bulkhead` of one call does one at a time. Where the steps change different
    data all is well; what a service holds is not declared, so this can be no more than a note.
    Source: Richardson, "Microservices Patterns", section 4.3.
    """
    working = {step.name for step in view.working() if not step.read and step.service is not None}
    said: set[str] = set()
    for step in view.steps:
        if step.name not in working or _one_at_a_time(view, step):
            continue
        left = working - said
        others = [
            other.name
            for other in view.beside(step)
            if other.name in left and other.service == step.service and not _exclusive(step, other)
        ]
        said.add(step.name)
        if others:
            yield Found(
                step.name,
                f"may change the service '{step.service}' while '{others[0]}' does",
                "place one after the other, or give the service a bulkhead of one call",
                "service",
            )


def _one_at_a_time(view: View, step: Step) -> bool:
    guard = (view.plan.guards or {view.number(step): None})[view.number(step)]
    return guard is not None and guard.bulkhead is not None and guard.bulkhead.calls == 1


def _exclusive(step: Step, other: Step) -> bool:
    """Whether they stand in two branches of one choice, of which one is run."""
    mine, other_s = step.branch, other.branch
    return mine is not None and other_s is not None and mine[0] == other_s[0] and mine != other_s


@rule(
    "SAGA503",
    "no-version",
    "The saga has no version",
    "note",
    bad="""
saga: order
steps:
  - step: reserve_stock
    compensation: release_stock
  - step: charge_card
    pivot: true
""",
    good="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
  - step: charge_card
    pivot: true
""",
)
def no_version(view: View) -> Iterator[Found]:
    """Executions are pinned to the definition that they began with. With versions, an old and a new
    one live in one engine, and an error can name both.

    Source: "Building Scalable Systems with Low-Code and Saga Patterns", nerdleveltech.com, 2025.
    """
    if view.saga.version is None and not view.each:
        yield Found(
            None,
            "has no version, so its executions cannot go on beside those of a changed one",
            'give it one, version="1", and another with each change of its steps',
            "saga",
        )


@rule(
    "SAGA504",
    "too-many-steps",
    "The saga asks too much of one coordinator",
    "warning",
    bad="saga: order\nversion: '1'\nsteps:\n"
    + "".join(f"  - {{step: line_{n}, compensation: undo_{n}}}\n" for n in range(1, _MANY + 2)),
    good="""
saga: order
version: "1"
steps:
  - step: lines
    for_each:
      items: lines
      step: {step: line, compensation: undo}
""",
)
def too_many_steps(view: View) -> Iterator[Found]:
    """A saga of more than 20 steps knows the business of too many services; each step makes a
    failure likelier, and what is undone longer.

    Source: as of SAGA503: one orchestrator with too many duties. The number is sagakit's own.
    """
    count = len(view.steps)
    if count > _MANY and not view.each:
        yield Found(
            None,
            f"has {count} steps",
            "make a part of it a saga of its own (sub_saga), or do alike steps for_each",
            "steps",
        )


# -- secrets --------------------------------------------------------------------------------

# Forms that nothing else has; of the tools that look for them, Gitleaks' and GitHub's are public.
_SECRETS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": r"\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_\w{60,})",
    "a GitLab token": r"\bglpat-[\w-]{20}",
    "a Slack token": r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}",
    "a Stripe key": r"\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,}",
    "a Google API key": r"\bAIza[\w-]{35}\b",
    "a JSON Web Token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "a credential of a header": r"\b(?:Bearer|Basic) (?=\S*\d)[\w.~+/-]{16,}=*",
    "a password in a URL": r"\b[a-z][a-z0-9+.-]{0,30}://[^\s/:@{}]+:([^\s/@{}<>$*]+)@",
}
_STAND_IN = re.compile(
    r"[*x.•]+|<.*>|\$?\{.*\}|\[.*\]|(your|my|the|example|dummy|fake|test|change)[-_ ]?\w*"
    r"|none|null|todo|secret|password|token",
    re.IGNORECASE,
)


@rule(
    "SAGA601",
    "secret-literal",
    "A secret stands in the definition or in the code",
    "error",
    bad="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
  - step: charge_card
    pivot: true
    description: The key of the test account is AKIAIOSFODNN7EXAMPLE.
""",
    good="""
saga: order
version: "1"
steps:
  - step: reserve_stock
    compensation: release_stock
  - step: charge_card
    pivot: true
    description: The key of the test account is in the vault.
""",
)
def secret_literal(view: View) -> Iterator[Found]:
    """Who may read the definition, its journal or its repository has it, for ever.

    Found are the forms of well-known keys, and texts that are given a sensitive name (`password`,
    `api_key` …, or one of `redact`) in simulated results, connectors, schemas and code, its
    module's constants included. The finding does not show the text. Source: OWASP, "Secrets
    Management Cheat Sheet"; CWE-798.
    """
    names = LIKELY | view.saga.sensitive
    cure = "take it out and replace it: it is known now; read it from the environment or a vault"
    for what, key in _in_data(_head(view), names):
        yield Found(None, f"{what} stands in its {key}", cure, _HEAD_KEYS.get(key, key))
    for step in view.steps:
        for what, key in _in_data(_written(step), names):
            yield Found(step.name, f"{what} stands in its {key}", cure, key)
        for role, function in (*view.callables(step), *view.questions(step)):
            code = view.code(function)
            for name, text, node in code.literals():
                if what := _secret(name, text, names):
                    yield Found(
                        step.name, f"{what} stands in the code of its {role}", cure
                    ).at(code, node)  # fmt: skip


_HEAD_KEYS = {"input_schema": "input"}


def _head(view: View) -> dict[str, Any]:
    saga = view.saga
    return {} if view.each else {
        "description": saga.description, "input_schema": _defaults(saga.input_schema)
    }  # fmt: skip


def _written(step: Step) -> dict[str, Any]:
    """What of a step is data, by the option in which it stands."""
    found: dict[str, Any] = {"description": step.description}
    for role in ("action", "compensation", "when", "reconcile"):
        function = getattr(step, role)
        if isinstance(function, Simulated):
            found[role] = function.result
        elif isinstance(function, Connector):
            found[role] = _without_references(msgspec.to_builtins(function))
    return found


def _without_references(value: Any) -> Any:
    """What a connector holds, but for secrets by their names."""
    if is_reference(value):
        return None
    if isinstance(value, dict):
        return {key: _without_references(part) for key, part in value.items()}
    return [_without_references(part) for part in value] if isinstance(value, list) else value


_VALUES = ("default", "const", "example", "examples", "enum")


def _defaults(schema: Any) -> Any:
    """What a JSON Schema says of values, under the names of the properties that have them."""
    if isinstance(schema, list):
        return [_defaults(part) for part in schema]
    if not isinstance(schema, Mapping):
        return None
    properties = schema.get("properties")
    named = properties if isinstance(properties, Mapping) else {}
    rest = [part for key, part in schema.items() if key not in (*_VALUES, "properties")]
    return [
        [schema.get(key) for key in _VALUES],
        {str(name): _defaults(part) for name, part in named.items()},
        _defaults(rest),
    ]


def _in_data(data: Mapping[str, Any], names: frozenset[str]) -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        for name, text in _texts(value, ""):
            if what := _secret(name, text, names):
                yield what, key


def _texts(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Every text in a value, with the name under which it stands."""
    named = fields(value)
    if named is not None:
        for key, part in named:
            yield from _texts(part, key)
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from _texts(part, name)
    elif isinstance(value, str):
        yield name, value


def _secret(name: str, text: str, names: frozenset[str]) -> str:
    """What kind of secret a text is; empty for none."""
    for what, form in _SECRETS.items():
        for found in re.finditer(form, text):
            if not (found.re.groups and _STAND_IN.fullmatch(found[1])):
                return what
    sensitive = name.casefold() in names
    plain = len(text) < 4 or " " in text or _STAND_IN.fullmatch(text)
    return f"a value of '{name}'" if sensitive and not plain else ""


@rule(
    "SAGA602",
    "not-redacted",
    "A sensitive field of the input is not declared so",
    "warning",
    bad="""
saga: order
version: "1"
input:
  type: object
  properties:
    card_number: {type: string}
steps:
  - step: charge_card
    pivot: true
""",
    good="""
saga: order
version: "1"
input:
  type: object
  properties:
    card_number: {type: string}
redact: [card_number]
steps:
  - step: charge_card
    pivot: true
""",
)
def not_redacted(view: View) -> Iterator[Found]:
    """Its values show in logs, traces, tables, pictures and the texts of errors.

    Found by the names of the properties of the input: `card_number`, `cvv`, `password`, `iban` and
    the like. Source: OWASP, "Logging Cheat Sheet", "Data to exclude"; PCI DSS 4.0, requirement 3.
    """
    sensitive = view.saga.sensitive
    outer = view.outer
    while outer is not None:
        sensitive, outer = sensitive | outer.saga.sensitive, outer.outer
    for name in sorted(set(_properties(_schema(view)))):
        if name.casefold() in LIKELY and name.casefold() not in sensitive:
            yield Found(
                None,
                f"its input has '{name}', which everybody can read in logs and pictures",
                f"declare it: redact=({name!r},)",
                "input",
            )


def _schema(view: View) -> Any:
    if view.each:
        return None
    kind = view.saga.input_type
    return view.saga.input_schema if kind is Any else msgspec.json.schema(kind)


def _properties(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        inside = schema.get("properties")
        if isinstance(inside, Mapping):
            yield from map(str, inside)
        for part in schema.values():
            yield from _properties(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _properties(part)
