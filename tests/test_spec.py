"""The YAML form: it round-trips without loss, runs nothing, and names the line of each problem."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagakit import DefinitionError, Retry, Saga, Simulated, Step, pivot, simulate, step, timer
from sagakit.spec import json_schema

# -- the three forms ------------------------------------------------------------------------


def create() -> None: ...
def cancel() -> None: ...
def charge() -> None: ...
def refund() -> None: ...
def confirm() -> None: ...
def wanted() -> bool:
    return True


def named(name: str, *, waits: bool = False) -> Callable[[], Any]:
    """A function that is known by any name."""

    def plain() -> None: ...
    async def slow() -> None: ...

    function = slow if waits else plain
    function.__name__ = name
    return function


EVERYTHING = """
saga: checkout
version: 1.10
description: |
  Two lines:
  and more.
input: {type: object}
deadline: 60
steps:
- step: create
  compensation: cancel
  service: order
  idempotent: yes
- step: charge
  action: charge
  compensation: refund
  when: wanted
  retry: {attempts: 3, wait: 0.5, backoff: 3, max_wait: 9, jitter: 1, on: [OSError, ValueError]}
  timeout: 2
  compensation_retry: {attempts: 9}
  compensation_timeout: 3
  reconcile: wanted
  description: "a: b"
- step: confirm
  after: [charge, create]
  pivot: true
"""


def test_yaml_and_declaration_are_equal_when_they_say_the_same() -> None:
    declared = Saga(
        "checkout",
        step(create, cancel, service="order", idempotent=True),
        step(
            charge,
            refund,
            when=wanted,
            retry=Retry(3, wait=0.5, backoff=3, max_wait=9, jitter=1, on=(OSError, ValueError)),
            timeout=2,
            compensation_retry=Retry(9),
            compensation_timeout=3,
            reconcile=wanted,
            description="a: b",
        ),
        pivot(confirm, after=("create", "charge")),
        version="1.10",
        description="Two lines:\nand more.\n",
        input_schema={"type": "object"},
        deadline=60,
    )
    actions = [create, cancel, charge, refund, confirm, wanted]
    assert Saga.from_yaml(EVERYTHING, actions) == declared
    assert Saga.from_yaml(declared.to_yaml(), actions) == declared
    assert Saga.from_yaml(EVERYTHING, actions=(f for f in actions)) == declared


def test_a_saga_without_callables_is_simulated_as_declared() -> None:
    saga = Saga.from_yaml(
        """
        saga: s
        steps:
        - step: one
          action: {latency: 2.5, result: {paid: [1, 2]}}
        - step: two
          when: {result: false}
        - step: three
          when: something
        """
    )
    execution = simulate(saga)
    assert execution.results == {"one": {"paid": [1, 2]}, "three": None}
    assert execution.states["two"] == "skipped"
    assert execution.duration == pytest.approx(2.5)


def test_a_name_may_not_stand_for_two_callables() -> None:
    saga = Saga("s", step(named("act"), name="one"), step(named("act"), name="two"))
    with pytest.raises(DefinitionError, match="saga 's': two of its callables are named 'act'"):
        saga.to_yaml()


def test_a_callable_without_a_name_cannot_be_written() -> None:
    with pytest.raises(DefinitionError, match=r"step 'create'.*use def"):
        Saga("s", step(create, lambda: None)).to_yaml()


@pytest.mark.parametrize("result", [(1, 2), {1, 2}, b"x", 1j, object(), [(1,)], {"a": {1}}])
def test_a_simulated_result_that_would_come_back_as_another_is_refused(result: Any) -> None:
    with pytest.raises(DefinitionError, match="saga 's': step 'x': the result of its simulated"):
        Saga("s", step(Simulated("x", result=result))).to_yaml()


class Bank:
    def charge(self) -> None: ...
    def refund(self) -> None: ...


def test_bound_methods_are_looked_up_by_name() -> None:
    bank = Bank()
    saga = Saga("s", step(bank.charge, bank.refund))
    assert Saga.from_yaml(saga.to_yaml(), [bank.charge, bank.refund, bank.charge]) == saga


# -- round trip -----------------------------------------------------------------------------

AWKWARD = ["yes", "no", "on", "null", "~", "1.0", "1e3", "0x1", "1:30", "2020-01-01", "=", "<<"]
AWKWARD += [" leading", "trailing ", "a: b", "a #b", "- a", "'q'", '"q"', "é☃😀", "?", "!x", "%a"]
AWKWARD += ["&a", "*a", "{a", "[a", "|", ">", "@a", "`a", "a,b", ":", "true", ".inf"]

letters = st.characters(categories=["L", "N", "P", "S"], exclude_characters="/") | st.just(" ")
printable = st.text(letters, min_size=1, max_size=8)
names = st.sampled_from(AWKWARD) | printable
prose = st.sampled_from([*AWKWARD, "two\nlines\n", "\n x\n\ty", "\r", "\x85", "\u2028"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=12
)
seconds = st.floats(0.001, 1e9) | st.integers(1, 10**9)
plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | prose
)
dates = st.dates() | st.datetimes()
leaves = plain | dates
results = dates | st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(prose, inner, max_size=3),
    max_leaves=3,
)
policies = st.builds(
    Retry,
    attempts=st.integers(1, 99),
    wait=st.floats(0, 1e6),
    backoff=st.floats(1, 1000),
    max_wait=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
    on=st.lists(st.sampled_from([ValueError, "Busy", "yes"]), max_size=2),
)


@st.composite
def definitions(draw: st.DrawFn, kind: str) -> tuple[Saga, list[Any]]:
    """A saga with any options, and its real callables; ``kind``: real, simulated or mixed."""
    actions: dict[str, Any] = {}

    def function(latency: bool = True) -> Any:
        real = kind == "real" or (kind == "mixed" and draw(st.booleans()))
        name = draw(names)
        if real:
            return actions.setdefault(name, named(name))
        if draw(st.booleans()):
            return Simulated(name)
        wait = draw(st.floats(0, 100)) if latency else 0
        return Simulated(draw(st.just("") | names), latency=wait, result=draw(results))

    def maybe(strategy: st.SearchStrategy[Any]) -> Any:
        return draw(st.none() | strategy)

    labels = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    point = draw(st.none() | st.integers(0, len(labels) - 1))
    steps = []
    for number, label in enumerate(labels):
        undo = draw(st.booleans()) and (point is None or number < point)
        above = labels[:number]
        chain = point is not None or not above
        steps.append(
            Step(
                name=label,
                action=function(),
                compensation=function() if undo else None,
                after=None if chain else maybe(st.lists(st.sampled_from(above)).map(tuple)),
                when=draw(st.sampled_from([None, True, False, "call"])),
                pivot=number == point,
                retry=maybe(policies),
                timeout=maybe(st.floats(0.001, 1e9)),
                compensation_retry=maybe(policies) if undo else None,
                compensation_timeout=maybe(st.floats(0.001, 1e9)) if undo else None,
                reconcile=function() if draw(st.booleans()) else None,
                idempotent=draw(st.booleans()),
                service=maybe(names),
                description=draw(prose),
            )
        )
        if steps[-1].when == "call":
            called = function(latency=False)
            steps[-1] = Step(
                **{field: getattr(steps[-1], field) for field in Step.__struct_fields__}
                | {"when": called}
            )
    saga = Saga(
        draw(names),
        *steps,
        version=maybe(names | st.integers()),
        input_schema=maybe(st.just({"enum": [1, "yes", None, 1.5]})),
        deadline=maybe(seconds),
        description=draw(prose),
    )
    return saga, list(actions.values())


def _types(value: Any) -> Any:
    """1, 1.0 and True are equal; what a result is read back as must be of the same type too."""
    if isinstance(value, list):
        return [_types(item) for item in value]
    if isinstance(value, dict):
        return {key: _types(item) for key, item in value.items()}
    return type(value)


def _assert_same(again: Saga, saga: Saga) -> None:
    assert again == saga
    for one, other in zip(again.steps, saga.steps, strict=True):
        for role in ("action", "compensation", "reconcile", "when"):
            made = getattr(one, role)
            if isinstance(made, Simulated):
                assert _types(made.result) == _types(getattr(other, role).result)


# a saga of every option is much to draw, and hypothesis gives up on some of them
large = settings(
    max_examples=60,
    suppress_health_check=[
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
        HealthCheck.too_slow,
    ],
)


@given(definitions("real"))
@large
def test_a_saga_of_named_callables_round_trips(made: tuple[Saga, list[Any]]) -> None:
    saga, actions = made
    _assert_same(Saga.from_yaml(saga.to_yaml(), actions), saga)


@given(definitions("simulated"))
@large
def test_a_simulated_saga_round_trips(made: tuple[Saga, list[Any]]) -> None:
    saga, _ = made
    _assert_same(Saga.from_yaml(saga.to_yaml()), saga)


@given(definitions("mixed"))
@large
def test_a_saga_of_both_round_trips(made: tuple[Saga, list[Any]]) -> None:
    saga, actions = made
    _assert_same(Saga.from_yaml(saga.to_yaml(), actions or None), saga)


@given(definitions("mixed"))
@large
def test_what_is_written_fits_the_schema(made: tuple[Saga, list[Any]]) -> None:
    _validator().validate(yaml.safe_load(made[0].to_yaml()))


@given(definitions("simulated"))
@large
def test_writing_is_stable(made: tuple[Saga, list[Any]]) -> None:
    text = made[0].to_yaml()
    assert Saga.from_yaml(text).to_yaml() == text


def _validator() -> Any:
    return jsonschema.Draft202012Validator(json_schema())


ACCEPTED = {
    "a number as version": "saga: s\nversion: 1.10\nsteps: [{step: a}]",
    "no version": "saga: s\nversion: null\nsteps: [{step: a}]",
    "whole seconds": "saga: s\ndeadline: 3\nsteps: [{step: a, timeout: 2}]",
    "one after": "saga: s\nsteps: [{step: a}, {step: b, after: a}]",
    "no after": "saga: s\nsteps: [{step: a}, {step: b, after: []}]",
    "null": "saga: s\nsteps: [{step: a, after: null, retry: null, timeout: null, when: null}]",
    "a simulated when": "saga: s\nsteps: [{step: a, when: {result: false}}]",
    "an empty mapping": "saga: s\nsteps: [{step: a, action: {}}]",
    "a date": "saga: s\nsteps: [{step: a, action: {result: 2020-01-01}}]",
    "an alias": "saga: s\nsteps: [{step: a, retry: &r {attempts: 2}}, {step: b, retry: *r}]",
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_the_schema_accepts_what_the_reader_accepts(text: str) -> None:
    saga = Saga.from_yaml(text)
    assert Saga.from_yaml(saga.to_yaml()) == saga
    _validator().validate(yaml.safe_load(text))


def test_a_version_is_the_text_that_is_written() -> None:
    for written in ("1.10", "'1.10'", "2024-01-01", "0x10"):
        saga = Saga.from_yaml(f"saga: s\nversion: {written}\nsteps: [{{step: a}}]")
        assert saga.version == written.strip("'")
    assert Saga.from_yaml("saga: s\nversion: null\nsteps: [{step: a}]").version is None
    assert Saga.from_yaml("saga: s\nversion: 'null'\nsteps: [{step: a}]").version == "null"


def test_dates_keep_their_type() -> None:
    saga = Saga("s", step(Simulated("x", result=datetime.date(2020, 1, 1))))
    assert Saga.from_yaml(saga.to_yaml()) == saga


def test_the_key_on_needs_no_quotes() -> None:
    saga = Saga.from_yaml("saga: s\nsteps: [{step: a, retry: {attempts: 2, on: [Busy]}}]")
    assert saga.steps[0].retry == Retry(2, on=("Busy",))


# -- files ----------------------------------------------------------------------------------


def test_a_path_is_read(tmp_path: Path) -> None:
    path = tmp_path / "größe.yaml"
    path.write_text("saga: é\nsteps: [{step: a}]", "utf-8")
    assert Saga.from_yaml(path) == Saga.from_yaml(str(path))
    assert Saga.from_yaml(path).name == "é"


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Saga.from_yaml(tmp_path / "none.yaml")
    with pytest.raises(IsADirectoryError):
        Saga.from_yaml(tmp_path)


def test_a_file_of_bytes_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"saga: \xff\xfe\x00")
    with pytest.raises(DefinitionError, match=r"x\.yaml: is not UTF-8 text \(byte 6\)"):
        Saga.from_yaml(path)


def test_an_error_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("saga: s\nsteps: [{step: a, after: z}]")
    with pytest.raises(DefinitionError, match=r"saga 's' in .*x\.yaml: line 2: .*after 'z'"):
        Saga.from_yaml(path)


# -- refusals -------------------------------------------------------------------------------


def refused(text: str, actions: Any = None) -> str:
    with pytest.raises(DefinitionError) as caught:
        Saga.from_yaml(text, actions)
    return str(caught.value)


S = "saga: s\nsteps:\n- step: a\n"
BAD: dict[str, tuple[str, str]] = {
    "empty": ("", "is empty; begin with 'saga: NAME'"),
    "a comment": ("# hello\n", "is empty"),
    "a list": ("- a\n- b\n", "is not a mapping; begin with 'saga: NAME'"),
    "a word": ("hello there", "is not a mapping"),
    "a tab": ("saga: s\nsteps:\n\t- step: a", "is not YAML: .*'\\\\t'.*line 3"),
    "two documents": (S + "---\nsaga: t\n", "is not YAML: expected a single document"),
    "an unknown alias": ("saga: *x\n", "undefined alias 'x'.*line 1"),
    "binary": ("\x00\x01\x02", "is not YAML: unacceptable character"),
    "an unknown key": (S + "  compensaton: b\n", "line 4: step 'a'.*did you mean 'compensation'"),
    "an unknown key of the saga": ("foo: 1\n" + S, "line 1: the saga has an unknown key 'foo'"),
    "an unknown key of a policy": (
        S + "  retry:\n    atempts: 1\n",
        "line 5: step 'a': retry has an unknown key 'atempts' .did you mean 'attempts'",
    ),
    "an unknown key of a simulation": (S + "  when: {x: 1}\n", "line 4: .*unknown key 'x'"),
    "a repeated key": (S + "  pivot: no\n  pivot: yes\n", "line 5: step 'a'.*'pivot' twice"),
    "a repeated inner key": (S + "  retry: {wait: 1, wait: 2}\n", "line 4: .*'wait' twice"),
    "a step's name twice": (S + "  step: b\n", "line 4: .*'step' twice"),
    "no name": ("steps: [{step: a}]\n", "line 1: the saga has no name; add 'saga: NAME'"),
    "a step without a name": ("saga: s\nsteps:\n- pivot: true\n", "line 3: step 1 has no name"),
    "no steps": ("saga: s\n", "saga 's': line 1: has no steps"),
    "steps of text": ("saga: s\nsteps: abc\n", "line 2: 'steps' must be a list"),
    "a step of text": ("saga: s\nsteps:\n- step: a\n- b\n", "line 4: step 2 must be a mapping"),
    "a yes for a name": ("saga: s\nsteps:\n- step: yes\n", 'line 3: .*write it in quotes: "yes"'),
    "a number for a name": ("saga: 1.0\nsteps: [{step: a}]", 'line 1: .*quotes: "1.0"'),
    "text for seconds": (S + "  timeout: soon\n", "line 4: step 'a', 'timeout': expected"),
    "a number beyond all": (S + f"  timeout: 1{'0' * 400}\n", "line 4: step 'a', 'timeout'"),
    "an endless number": (S + f"  action: {{result: 1{'0' * 5000}}}\n", "line 4: .*cannot be read"),
    "no such day": (S + "  action: {result: 2020-99-99}\n", "line 4: .*month must be in 1..12"),
    "text for yes": (S + "  pivot: maybe\n", "line 4: step 'a', 'pivot': expected `bool`"),
    "half attempts": (S + "  retry: {attempts: 1.5}\n", "line 4: step 'a', 'retry.attempts'"),
    "true attempts": (S + "  retry: {attempts: yes}\n", "line 4: step 'a', 'retry.attempts'"),
    "zero attempts": (S + "  retry: {attempts: 0}\n", "line 4: step 'a': retry: attempts is 0"),
    "negative seconds": (S + "  timeout: -1\n", "saga 's': line 4: step 'a': timeout is -1.0"),
    "no number": (S + "  timeout: .nan\n", "line 4: step 'a': timeout is nan"),
    "no end": ("deadline: .inf\n" + S, "saga 's': line 1: deadline is inf"),
    "negative latency": (
        S + "  action: {latency: -1}\n",
        "line 4: .*latency of its action is -1",
    ),
    "a schema of text": ("input: abc\n" + S, "line 1: the saga, 'input': expected"),
    "a schema of numbers": ("input: {1: 2}\n" + S, "line 1: the saga, 'input': expected `str`"),
    "no schema": (
        "input: {type: strin}\n" + S,
        "line 1: input_schema is not a JSON .*'strin'",
    ),
    "an unhashable key": ("input: {? [1] : 2}\n" + S, "line 1: cannot be read: .*unhashable key"),
    "a list for a key": ("? [1]\n: 2\n" + S, "line 1: the saga has an unknown key"),
    "a cycle": (
        S + "  after: b\n- step: b\n  after: a\n",
        "line 4: .* cycle: 'a' → 'b' → 'a'",
    ),
    "a recursive alias": ("saga: s\nsteps: &x [*x]\n", "line 2: aliases unfold into too much"),
    "a recursive mapping": ("input: &x {x: *x}\n" + S, "line 1: aliases unfold into too much"),
    "too deep": ("input: " + "{a: " * 200 + "1" + "}" * 200 + "\n" + S, "nested too deeply"),
    "far too deep": ("[" * 3000, "nested too deeply"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_bad_yaml_is_refused_with_the_place_and_the_cure(text: str, message: str) -> None:
    import re

    assert re.search(message, refused(text), re.DOTALL)


def test_every_problem_is_told_at_once_those_of_the_text_and_those_of_the_saga() -> None:
    text = """saga: s
colour: red
steps:
- step: a
  typo: 1
  timeout: soon
  pivot: maybe
- step: b
  after: z
  retry: {attempts: 0, atempts: 1}
- step: b
  when: nowhere
"""
    message = refused(text, [named("a"), named("b")])
    assert message.startswith("saga 's' has 9 problems:")
    for part in (
        "line 2: the saga has an unknown key 'colour'",
        "line 5: step 'a' has an unknown key 'typo'",
        "line 6: step 'a', 'timeout'",
        "line 7: step 'a', 'pivot'",
        "line 10: step 'b': retry has an unknown key 'atempts'",
        "line 12: step 'b': its when 'nowhere' is not among the actions given",
        "line 11: step 'b' is defined more than once",
        "line 9: step 'b' comes after 'z', which does not exist",
        "line 10: step 'b': retry: attempts is 0",
    ):
        assert message.count(part) == 1, part


def _at(text: str) -> dict[int, str]:
    """What is refused of each line; nothing is refused without one."""
    with pytest.raises(DefinitionError) as caught:
        Saga.from_yaml(text, [named("known")])
    lines = [problem.partition(": ") for problem in caught.value.problems]
    return {int(line.removeprefix("line ")): said for line, _, said in lines}


def test_every_problem_of_the_saga_names_the_line_of_its_key() -> None:
    found = _at("""\
saga: s/
deadline: -1
description: fine
redact: ['']
services:
- service: bank
  breaker:
    failures: 0
- service: nobody
steps:
- step: "say: 'hi'"
  action: known
  retry:
    wait: 1
    attempts: 0
  timeout: -2
  compensation_timeout: 3
- step: b
  action: unknown
  service: bank
  after: [nowhere]
- step: each
  for_each:
    items: nothing
    step:
      step: item
      action: known
      timeout: -1
    limit: 0
- step: again
  action: known
- step: again
  wait:
    event: e
    on_timeout: fail
    timeout: -5
  timeout: 3
- step: p
  action: known
  pivot: true
- step: late
  action: known
  compensation: known
- step: wrong
  action: known
  branch: [late, x]
- step: two
  action: known
  choice: known
- step: over
  action: known
  input: known
""")
    wanted = {
        1: "printable text",
        2: "deadline is -1.0",
        4: "redact has ''",
        8: "breaker: failures is 0",
        9: "service 'nobody' is named by no step",
        15: "retry: attempts is 0",
        16: "timeout is -2.0",
        17: "without a compensation",
        19: "its action 'unknown' is not among",
        21: "comes after 'nowhere'",
        24: "its items 'nothing' is not among",
        28: "for each item: step 'item': timeout is -1.0",
        29: "limit is 0",
        32: "step 'again' is defined more than once",
        36: "timeout is -5.0",
        37: "waits and calls nothing; drop its timeout",
        43: "step 'late' stands after the pivot",
        46: "'late' is no step that chooses",
        49: "step 'two' ",
        52: "has an input but no saga",
    }
    assert {line: text for line, text in wanted.items() if text not in found.get(line, "")} == {}
    assert set(found) == set(wanted)


def test_a_problem_of_a_saga_inside_another_names_its_line_in_the_whole_text() -> None:
    text = """\
saga: outer
steps:
- step: pay
  saga:
    saga: payment
    steps:
    - step: known
    - step: take
      action: unknown
    - step: deeper
      saga:
        saga: deep
        steps: []
- step: known
  timeout: -1
"""
    found = _at(text)
    inside = "step 'pay': saga 'payment': "
    assert found[9].startswith(f"{inside}step 'take': its action 'unknown' is not among the")
    assert found[13].startswith(f"{inside}step 'deeper': saga 'deep': has no steps")
    assert found[15].startswith("step 'known': timeout is -1.0")
    assert len(found) == 3


def test_a_name_not_among_the_actions_is_told_with_the_nearest() -> None:
    text = S + "  compensation: refnd\n  reconcile: q\n"
    message = refused(text, [refund])
    assert "step 'a': its compensation 'refnd' is not among the actions given" in message
    assert "did you mean 'refund'" in message
    assert "its action 'a' is not among" in message
    assert "its reconcile 'q' is not among" in message


def test_an_alias_bomb_is_refused() -> None:
    lines = ["input:", "  a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for old, new in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"  {new}: &{new} [{', '.join([f'*{old}'] * 9)}]")
    assert "aliases unfold into too much; write it out" in refused("\n".join(lines) + "\n" + S)


def test_ten_megabytes_are_read() -> None:
    text = "saga: s\ndescription: '" + "a" * 10_000_000 + "'\nsteps: [{step: a}]\n"
    assert len(Saga.from_yaml(text).description) == 10_000_000


EVIL = [
    "!!python/object/apply:os.system ['touch PWNED']",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/object/new:os.system ['touch PWNED']",
    "!custom x",
    "!!binary aGk=",
    "!!set {a}",
]


@pytest.mark.parametrize("tag", EVIL)
@pytest.mark.parametrize(
    "text",
    [
        "saga: {}\nsteps: [{{step: a}}]",
        "saga: s\nversion: {}\nsteps: [{{step: a}}]",
        "saga: s\nsteps: {}",
        "saga: s\nsteps:\n- {}",
        "saga: s\nsteps:\n- step: a\n  action: {}",
        "saga: s\nsteps:\n- step: a\n  action:\n    result:\n    - {}",
        "saga: s\ninput:\n  x: {}\nsteps: [{{step: a}}]",
    ],
)
def test_tags_are_refused_everywhere_and_nothing_runs(
    tag: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = refused(text.format(tag))
    assert "the tag '!" in message
    assert "line " in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!x"])
def test_a_tag_on_a_step_or_the_root_is_refused(tag: str) -> None:
    assert f"the tag '{tag}'" in refused(f"saga: s\nsteps:\n- {tag} {{step: a}}\n")
    assert f"the tag '{tag}'" in refused(f"{tag}\nsaga: s\nsteps: [{{step: a}}]\n")


@pytest.mark.parametrize(
    "name", ["os.system", "__import__('os').system('touch PWNED')", "lambda: 1", "subprocess:run"]
)
def test_a_name_is_never_imported_or_evaluated(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def no_import(*_: object, **__: object) -> None:
        raise AssertionError("imported")

    text = yaml.safe_dump({"saga": "s", "steps": [{"step": "a", "action": name, "when": name}]})
    monkeypatch.setattr("importlib.import_module", no_import)
    monkeypatch.setattr(os, "system", no_import)
    assert Saga.from_yaml(text).steps[0].action == Simulated(name)
    assert f"'{name}' is not among the actions given" in refused(text, [])
    assert simulate(Saga.from_yaml(text)).results == {"a": None}
    assert not list(tmp_path.iterdir())


def test_actions_must_be_named_callables_and_of_one_name_each() -> None:
    message = refused(S, [lambda: 1, 3, named("a"), named("a"), "a"])
    assert "has no name; use def" in message
    assert "the action 3 cannot be called" in message
    assert "the action 'a' cannot be called" in message
    assert "two of the actions given are named 'a'" in message


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_any_text_gives_a_saga_or_a_definition_error(text: str) -> None:
    for document in (text + "\n", f"saga: s\nsteps:\n- step: a\n  action: {text}\n"):
        try:
            Saga.from_yaml(document)
        except DefinitionError as error:
            assert error.problems  # noqa: PT017


@given(
    st.dictionaries(
        st.sampled_from(["saga", "steps", "version", "input", "deadline", "x"]),
        st.recursive(
            leaves,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["step", "action", "after", "when", "pivot", "retry", "timeout"]
                    )
                    | prose,
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=8,
        ),
    )
)
def test_any_mapping_gives_a_saga_or_a_definition_error(document: dict[str, Any]) -> None:
    text = yaml.safe_dump({"saga": "s", "steps": [{"step": "a"}]} | document)
    try:
        saga = Saga.from_yaml(text)
    except DefinitionError as error:
        assert error.problems  # noqa: PT017
    else:
        assert Saga.from_yaml(saga.to_yaml()) == saga


# -- waits ----------------------------------------------------------------------------------


def test_a_wait_without_an_event_goes_on_when_its_time_is_over() -> None:
    saga = Saga.from_yaml("saga: s\nsteps: [{step: cool, wait: {timeout: 2}}]")
    assert saga == Saga("s", timer("cool", 2))
    assert "on_timeout" not in saga.to_yaml()
    assert Saga.from_yaml(saga.to_yaml()) == saga


def test_a_wait_for_a_time_cannot_fail_and_the_cure_is_in_the_words_of_both_forms() -> None:
    text = "saga: s\nsteps: [{step: cool, wait: {timeout: 2, on_timeout: fail}}]"
    with pytest.raises(DefinitionError, match="let its on_timeout be 'continue'"):
        Saga.from_yaml(text)
