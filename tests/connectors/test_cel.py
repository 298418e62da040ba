"""Expressions: what they give, what they refuse, and that no text makes them hang or break."""

from __future__ import annotations

import datetime
import logging
import sys
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagakit import (
    DefinitionError,
    Saga,
    SagaError,
    await_event,
    choice,
    for_each,
    run,
    simulate,
    step,
    sub_saga,
    timer,
)
from sagakit.connectors import Cel, cel
from sagakit.errors import ExpressionError

pytest.importorskip("celpy")

UTC = datetime.UTC
INPUT = {
    "amount": 150,
    "price": 2.5,
    "country": "DE",
    "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": 3}],
    "none": None,
    "yes": True,
    "when": "2026-01-01T00:00:00Z",
}


def value_of(text: str, input: Any = INPUT) -> Any:
    return cel.evaluate(text, {"input": lambda: input}, "step 's'")


def refusal_of(text: str, input: Any = INPUT) -> str:
    with pytest.raises(ExpressionError) as caught:
        value_of(text, input)
    return caught.value.why


VALUES = [
    ("input.amount > 100", True),
    ("input.amount * 2", 300),
    ("input.amount * input.price", 375.0),
    ("input.amount / 4", 37),
    ("-7 / 2", -3),
    ("-7 % 3", -1),
    ("7.0 / 2", 3.5),
    ("-input.amount", -150),
    ("input.country in ['DE', 'FR'] ? 'air' : 'sea'", "air"),
    ("input.lines.map(line, line.n).exists(n, n == 3)", True),
    ("input.lines.filter(line, line.n > 1).map(line, line.sku)", ["b"]),
    ("input.lines.all(line, line.n > 0) && input.lines.exists_one(line, line.n == 1)", True),
    ("{'a': input.amount, 'b': [1, 2.5, null, true]}", {"a": 150, "b": [1, 2.5, None, True]}),
    ("input['amount']", 150),
    ("input.lines[1].sku", "b"),
    ("has(input.amount) && !has(input.other)", True),
    ("'country' in input", True),
    ("size(input.lines) + input.country.size()", 4),
    ("input.country + '-' + string(input.amount)", "DE-150"),
    ("string(true) + string(2.5)", "true2.5"),
    ("int('12') + int(2.9)", 14),
    ("double('1.5')", 1.5),
    ("'shop.example'.endsWith('.example') && 'shop'.startsWith('s')", True),
    ("'shop'.contains('ho')", True),
    ("'order-17'.matches('^order-[0-9]+$')", True),
    ("duration('2h')", datetime.timedelta(hours=2)),
    ("timestamp(input.when) + duration('90m')", datetime.datetime(2026, 1, 1, 1, 30, tzinfo=UTC)),
    ("timestamp(input.when).getFullYear()", 2026),
    ("timestamp(input.when) < timestamp('2027-01-01T00:00:00Z')", True),
    # equality holds across types, as the language has it: numbers as such, the rest is different
    ("1 == 1.0 && 1 != 1.5 && 1 != '1' && input.none == null && 0 != null", True),
    ("[1, {'a': 2}] == [1.0, {'a': 2.0}]", True),
    ("3 in [1, 2, 3.0]", True),
    ("9007199254740993 == 9007199254740992.0", False),
    # an error is no matter where it does not matter
    ("true || 1 / 0 == 1", True),
    ("1 / 0 == 1 && false", False),
    ("input.yes ? 1 : 1 / 0", 1),
]


@pytest.mark.parametrize(("text", "value"), VALUES, ids=[text for text, _ in VALUES])
def test_what_an_expression_gives(text: str, value: Any) -> None:
    found = value_of(text)
    assert found == value
    assert type(found) is type(value)


WITHOUT_VALUE = [
    ("input.other", "finds no 'other'"),
    ("input.amount.other", "asks for 'other' of what has no fields"),
    ("input['other']", "finds no such key"),
    ("input.lines[2]", "beyond the end"),
    ("input.lines[-1]", "beyond the end"),
    ("1 / 0", "divides by zero"),
    ("1 % 0", "divides by zero"),
    ("{'a': 1 / 0}", "divides by zero"),
    ("9223372036854775807 + 1", "out of its range"),
    ("int('x')", "out of its range or form"),
    ("timestamp('yesterday')", "out of its range or form"),
    ("'a' * 3", "types do not fit"),
    ("'%5d' % 3", "types do not fit"),
    ("[1] * 3", "types do not fit"),
    ("'a' + 1", "types do not fit"),
    ("1 < '2'", "types do not fit"),
    ("!1", "types do not fit"),
    ("true && 1", "types do not fit"),
    ("1 ? 2 : 3", "types do not fit"),
    ("size(1)", "types do not fit"),
    ("'a'.matches('(((')", "RE2 does not take"),
    ("1.0 / 0.0", "not finite"),
    ("0.0 / 0.0", "not finite"),
]


@pytest.mark.parametrize(("text", "why"), WITHOUT_VALUE, ids=[text for text, _ in WITHOUT_VALUE])
def test_what_has_no_value_says_why(text: str, why: str) -> None:
    assert why in refusal_of(text)


BAD = [
    ("", "is empty"),
    ("1 +", "ends too early"),
    ("(1", "ends too early"),
    ("1 + )", "is not CEL at ')'"),
    ("1 # 2", "is not CEL at '# 2'"),
    ("'abc", "without its closing '"),
    ("inptu.amount", "unknown variable 'inptu'; did you mean 'input'?"),
    ("amount", "unknown variable 'amount'; known are"),
    ("siez(input)", "unknown function 'siez()'; did you mean 'size()'?"),
    ("input.lines.mapp(x, x)", "unknown method 'mapp()'; did you mean 'map()'?"),
    ("input.lines.map(x)", "map() without a name and an expression"),
    ("input.lines.map(x.y, 1)", "map() without a name and an expression"),
    ("input.lines.map(x, y)", "unknown variable 'y'"),
    ("input.lines.map(x, x) + x", "unknown variable 'x'"),
    ("has(input)", "has a has() of something else"),
    ("dyn()", "dyn() of something else"),
    ("type(1)", "unknown function 'type()'"),
    (".input", "leading dot"),
    ("Message{a: 1}", "makes a message"),
    ("1 // note", "has a comment"),
    ("[1].reduce(a, b, 0, a + b)", "unknown method 'reduce()'"),
    ("(" * 25 + "1" + ")" * 25, "brackets in one another"),
    ("1" + " + 1" * 600, "longer than 2,000 characters"),
    ("1" + "+1" * 200, "nested too deeply"),
]


@pytest.mark.parametrize(("text", "why"), BAD, ids=[text[:30] for text, _ in BAD])
def test_a_bad_expression_is_refused_at_definition_time(text: str, why: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Saga("s", step(len, name="a", when=Cel(text)))
    (problem,) = caught.value.problems
    assert problem.startswith("step 'a': when: the expression")
    assert why in problem


# -- where they stand -------------------------------------------------------------------------


def shop() -> Saga:
    inner = Saga("inner", step(Cel("input.total + 1"), name="x"))
    return Saga(
        "shop",
        step(Cel("input.lines"), name="lines", when=Cel("input.amount > 100")),
        step(Cel("1"), name="never", when=Cel("input.amount < 100")),
        for_each("double", Cel("results.lines"), step(Cel("input.n * 2"), name="one")),
        *choice("way", Cel("input.country == 'DE' ? 'land' : 'sea'"),
                {"land": step(Cel("'truck'"), name="a"), "sea": step(Cel("'ship'"), name="b")}),
        sub_saga(inner, input=Cel("{'total': results.double[0]}")),
        timer("pause", Cel("duration('1h')")),
        await_event("paid", correlate=Cel("execution_id + '/' + input.country"), timeout=Cel("7")),
    )  # fmt: skip


def test_an_expression_can_stand_for_every_question_of_a_definition() -> None:
    execution = simulate(shop(), INPUT, id="x")
    assert execution.results == {
        "lines": INPUT["lines"],
        "double": [2, 6],
        "way": "land",
        "a": "truck",
        "inner": {"x": 3},
        "pause": None,
    }
    assert execution.states["never"] == execution.states["b"] == "skipped"
    wait = next(event for event in execution.events if getattr(event, "event", "") == "paid")
    assert (wait.correlation, wait.expires_at - wait.at) == ("x/DE", 7)
    assert wait.at == 3600


def test_the_same_saga_as_yaml_is_equal_and_runs_the_same_again() -> None:
    again = Saga.from_yaml(shop().to_yaml())
    assert again == shop()
    assert simulate(again, INPUT).events == simulate(shop(), INPUT).events


def test_two_expressions_are_equal_by_their_text() -> None:
    assert Cel("1 + 1") == Cel("1 + 1")
    assert Cel("1 + 1") != Cel("1+1")
    assert hash(Cel("a")) == hash(Cel("a"))


def test_a_condition_must_be_true_or_false() -> None:
    """Python would take the text 'false' for true."""
    execution = simulate(Saga("s", step(len, name="a", when=Cel("'false'"))))
    (failed,) = [event for event in execution.events if type(event).__name__ == "StepFailed"]
    assert failed.error.message == (
        "step 'a': the expression ''false'' gives text, and a condition must be true or false"
    )


def test_an_expression_that_fails_in_a_step_is_terminal() -> None:
    execution = run(Saga("s", step(Cel("input.x"), name="a")), {})
    assert execution.status == "compensated"
    assert execution.events[2].error.type == "ExpressionError"
    assert execution.events[2].terminal


# -- limits -----------------------------------------------------------------------------------

LONGEST = 10.0  # seconds of the processor; what else the machine does is no matter

BOMBS = {
    "loops in loops": "input.map(a, input.map(b, input.map(c, input.map(d, a + b + c + d))))",
    "a list that doubles": "[[1]]" + ".map(x, [x, x])" * 30,
    "a field of a list that doubles": "[[1]]" + ".map(x, [x, x])" * 30 + ".foo",
    "equality of lists that double": "[[1]]{0} == [[1]]{0}".format(".map(x, [x, x])" * 30),
    "a text that doubles": "['aaaaaaaa']" + ".map(x, x + x)" * 30,
    "a list that grows": "[[1]]" + ".map(x, x + x)" * 30,
    "text in loops": "input.map(a, input.map(b, 'x' + string(a) + string(b)))",
    "searching in loops": "input.map(a, input.exists(b, a == b + 1000000))",
    "a regular expression": "input.map(a, ('a' + 'a' + 'a').matches('(a*)*(a*)*(a*)*b'))",
    "a large regular expression": "'a'.matches('((a{100}){100}){100}')",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_an_expression_that_would_take_for_ever_ends(text: str) -> None:
    assert cel.faults(text) == []
    began = time.thread_time()
    with pytest.raises(ExpressionError):
        value_of(text, list(range(2_000)))
    assert time.thread_time() - began < LONGEST


def test_what_the_parser_would_choke_on_is_refused_before_it() -> None:
    """Its pattern for strings tries every way to read these backslashes, alone or in pairs."""
    began = time.thread_time()
    assert "closing" in cel.faults('"' + "\\n" * 400)[0]
    assert "closing" in cel.faults('"' + "\\n" * 400 + "\\\n" + '"')[0]
    assert "closing" in cel.faults("r" + "'" * 3 + "\\n" * 400 + "''")[0]
    assert time.thread_time() - began < LONGEST


def test_data_of_any_size_can_be_looked_at_in_part() -> None:
    large = {"small": 1, "large": list(range(1_000_000))}
    assert value_of("input.small + 1", large) == 2
    assert "200,000 values" in refusal_of("size(input.large)", large)


def test_evaluating_leaves_the_recursion_limit_of_the_process_alone() -> None:
    before = sys.getrecursionlimit()
    assert value_of("1 + 2") == 3
    assert sys.getrecursionlimit() == before


def test_no_value_is_written_to_a_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        value_of("input.country + 'x'", {"country": "planted"})
        refusal_of("input.country.foo", {"country": "planted"})
    assert "planted" not in caplog.text


WORDS = [
    "input", "results", "x", "a.b", "input.lines", "1", "2.5", "0x1F", "3u", "-", "'t'", '"q"',
    "b'y'", "'''m'''", "r'\\d'", "true", "null", "(", ")", "[", "]", "{", "}", ",", ":", "?", ".",
    "+", "*", "/", "%", "<", "==", "!=", "in", "&&", "||", "!", "size", "has(", "dyn(", ".map(x,",
    ".exists(x,", "timestamp(", "duration('1h')", "matches", "string(", "int(", "'\\", "//", "é",
]  # fmt: skip

VARIABLE = st.sampled_from(["input", "input.amount", "input.lines", "input.country", "x"])
LITERAL = st.one_of(
    st.integers(-(2**65), 2**65).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(str),
    st.text(max_size=6).map(lambda text: repr(text).replace("\\x", "x")),
    st.sampled_from(["true", "false", "null", "[]", "{}", "'2026-01-01T00:00:00Z'", "'1h'"]),
)
BINARY = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"]
CALLS = ["size", "string", "int", "double", "uint", "bool", "bytes", "timestamp", "duration", "dyn"]
MACROS = ["map", "filter", "all", "exists", "exists_one"]
METHODS = ["size", "contains", "startsWith", "matches", "getFullYear", "getHours"]


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, st.sampled_from(BINARY), inner)
    macro = st.tuples(
        inner, st.sampled_from(["map", "filter", "all", "exists", "exists_one"]), inner
    )
    return st.one_of(
        pair.map(lambda three: f"({three[0]} {three[1]} {three[2]})"),
        macro.map(lambda three: f"{three[0]}.{three[1]}(x, {three[2]})"),
        st.tuples(inner, inner, inner).map(lambda three: "({} ? {} : {})".format(*three)),
        st.tuples(st.sampled_from(CALLS), inner).map(lambda two: f"{two[0]}({two[1]})"),
        st.tuples(inner, st.sampled_from(METHODS), inner).map(
            lambda three: "{}.{}({})".format(*three)
        ),
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.tuples(inner, inner).map(lambda two: "{{{}: {}}}".format(*two)),
        st.tuples(inner, inner).map(lambda two: "{}[{}]".format(*two)),
        inner.map(lambda one: f"!{one}"),
        inner.map(lambda one: f"-{one}"),
        inner.map(lambda one: f"{one}.foo"),
    )


EXPRESSIONS = st.recursive(st.one_of(VARIABLE, LITERAL), _larger, max_leaves=25)
TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=60).map("".join),
    EXPRESSIONS,
    EXPRESSIONS.map(lambda text: f"[1, 2, 3].map(x, {text})"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(TEXTS, st.one_of(st.just(INPUT), JSON))
def test_no_text_and_no_data_make_it_hang_or_raise_anything_else(text: str, input: Any) -> None:
    began = time.thread_time()
    problems = cel.faults(text)
    assert all(isinstance(problem, str) for problem in problems)
    variables = dict.fromkeys(cel.VARIABLES, lambda: input)
    try:
        first = cel.evaluate(text, variables, "step 's'")
    except ExpressionError:
        pass
    else:
        assert problems == []
        assert repr(cel.evaluate(text, variables, "step 's'")) == repr(first)
    assert time.thread_time() - began < LONGEST


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TEXTS)
def test_no_text_makes_a_definition_raise_anything_else(text: str) -> None:
    try:
        saga = Saga("s", step(Cel(text), name="a", when=Cel(text)))
    except DefinitionError:
        return
    assert Saga.from_yaml(saga.to_yaml()) == saga
    try:
        assert simulate(saga, INPUT).events == simulate(saga, INPUT).events
    except SagaError as error:
        pytest.fail(f"{text!r}: {error!r}")
