"""Evaluates CEL by cel-python, within limits that hold whatever the expression is.

cel-python parses and walks the tree. Everything that could take long or much memory is counted:
each node visited, each character copied or searched, each value compared or handed over. Operators
are here, not there, because Python's own do too much (text times a number, ``%`` on text), because
an error must show no values, and because equality across types must hold as the language has it.

What is raised is ValueError, in words that go on from "the expression …".
"""

from __future__ import annotations

import datetime
import difflib
import functools
import logging
import math
import operator
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import celpy
import lark
import msgspec
import re2
from celpy import celtypes
from celpy.celparser import CELParseError
from celpy.evaluation import Activation, CELEvalError, Evaluator, base_functions

from sagakit.connectors import limits

logging.getLogger("celpy").setLevel(logging.WARNING)  # at DEBUG it writes down every value

_parsing = threading.Lock()  # the parser keeps the text that it reads


@functools.cache
def _parser() -> Any:
    limit = sys.getrecursionlimit()
    try:
        return celpy.Environment().cel_parser
    finally:
        sys.setrecursionlimit(limit)  # which the environment sets to a number of its own


class Program:
    """An expression, read once.

    Parameters:
        text: in CEL.
        names: of the variables it may use.

    Raises:
        ValueError: it cannot be read, is too large, or uses what there is not.
    """

    def __init__(self, text: str, names: Iterable[str]) -> None:
        scan(text)
        self.tree = _collapsed(_parsed(text))
        # each variable it uses, with the fields of it; None: all of it
        self.used: dict[str, set[str] | None] = {}
        _Check(frozenset(names), self.used).of(self.tree)

    def evaluate(self, given: Mapping[str, Callable[[], Any]]) -> Any:
        """Its value as plain data.

        Raises:
            ValueError: there is none, or it takes too much work.
        """
        budget = _Budget()
        try:
            known = {
                name: _to_cel(_fields_of(given[name](), fields), budget)
                for name, fields in self.used.items()
            }
            activation = Activation(functions=_Functions(budget), vars=known)
            value = _Bounded(self.tree, activation, budget).visit(self.tree)
            return _to_plain(value, budget)
        except _NoValueError as error:
            raise ValueError(str(error)) from None
        except CELEvalError as error:
            raise ValueError(_words(error)) from None
        except RecursionError:
            raise ValueError("works on data that is nested too deeply") from None
        except Exception as error:  # noqa: BLE001  what cel-python lets pass of Python's own
            raise ValueError(f"has no value ({type(error).__name__})") from None


# -- reading --------------------------------------------------------------------------------

_OPEN, _CLOSE = "([{", ")]}"


def scan(text: str, start: int = 0, *, closing: bool = False) -> int:
    """Walk over an expression once, and refuse what the parser's patterns would choke on.

    Parameters:
        start: where it begins in the text.
        closing: it ends at the first ``}`` that it did not open.

    Returns:
        where it ends.
    """
    depth, at = 0, start
    while at < len(text):
        character = text[at]
        if at - start > limits.CHARACTERS:
            raise ValueError(f"is longer than {limits.CHARACTERS:,} characters; write less")
        if character in "\"'":
            at = _after_string(text, at)
            continue
        if text.startswith("//", at):
            raise ValueError("has a comment; drop it")
        if character in _OPEN:
            depth += 1
            if depth > limits.NESTING:
                raise ValueError(f"has more than {limits.NESTING} brackets in one another")
        elif character in _CLOSE:
            if closing and not depth and character == "}":
                return at
            depth -= 1
        at += 1
    if closing:
        raise ValueError("has no closing '}'; add it")
    if not text.strip():
        raise ValueError("is empty; write one, or leave it out")
    return at


def _after_string(text: str, at: int) -> int:
    """Where the text goes on behind a string that begins there."""
    quote = text[at]
    if text.startswith(quote * 3, at):
        quote *= 3
    at += len(quote)
    while not text.startswith(quote, at):
        escaped = text.startswith("\\", at)
        if at + escaped >= len(text) or (text[at + escaped] in "\r\n" and len(quote) == 1):
            raise ValueError(f"has a text without its closing {quote}; add it")
        at += 2 if escaped else 1
    return at + len(quote)


def _parsed(text: str) -> Any:
    try:
        with _parsing:
            return _parser().parse(text)
    except CELParseError as error:
        column = error.column if isinstance(error.column, int) and error.column > 0 else None
        lines = text.splitlines()
        line = error.line if isinstance(error.line, int) and 0 < error.line <= len(lines) else 1
        token = getattr(error.__context__, "token", None)
        if column is None or getattr(token, "type", "") == "$END":
            raise ValueError("ends too early; complete it") from None
        near = lines[line - 1][column - 1 : column + 9]
        raise ValueError(f"is not CEL at '{near}'; see cel.dev") from None
    except (lark.exceptions.LarkError, RecursionError, IndexError):
        raise ValueError("is not CEL; see cel.dev") from None


_CHAIN = {
    "expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication", "unary",
    "member",
}  # fmt: skip


def _collapsed(tree: Any) -> Any:
    """The tree without the nodes that only stand for precedence: a name is not ten levels deep."""
    depth = 0
    root = lark.Tree("root", [tree])
    front = [(root, 0)]
    while front:
        node, depth = front.pop()
        if depth > limits.DEPTH:
            raise ValueError("is nested too deeply; write it flatter, or in several steps")
        node.children = [_through(child) for child in node.children]
        front += [(child, depth + 1) for child in node.children if isinstance(child, lark.Tree)]
    return root.children[0]


def _through(node: Any) -> Any:
    while isinstance(node, lark.Tree) and node.data in _CHAIN and len(node.children) == 1:
        node = node.children[0]
    return node


_MACROS = ("all", "exists", "exists_one", "filter", "map")
_FUNCTIONS = (
    "bool", "bytes", "contains", "double", "duration", "dyn", "endsWith", "has", "int", "matches",
    "size", "startsWith", "string", "timestamp", "uint",
)  # fmt: skip
_TIMES = (
    "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours",
    "getMilliseconds", "getMinutes", "getMonth", "getSeconds",
)  # fmt: skip
_METHODS = ("contains", "endsWith", "matches", "size", "startsWith", *_TIMES)
_NOT_HERE = {
    "member_object": "makes a message; write a map {'key': value}",
    "dot_ident": "has a name with a leading dot; drop the dot",
    "dot_ident_arg": "has a name with a leading dot; drop the dot",
}


class _Check:
    """Walks a tree once: every name in it is known, and which variables it uses is noted."""

    def __init__(self, names: frozenset[str], used: dict[str, set[str] | None]) -> None:
        self.names = names
        self.used = used

    def of(self, tree: Any) -> None:
        front: list[tuple[Any, frozenset[str]]] = [(tree, frozenset())]
        while front:
            node, bound = front.pop()
            if isinstance(node, lark.Tree):
                front += self._children(node, bound)

    def _children(self, node: Any, bound: frozenset[str]) -> list[tuple[Any, frozenset[str]]]:
        kind, children = str(node.data), list(node.children)
        if kind in _NOT_HERE:
            raise ValueError(_NOT_HERE[kind])
        if kind == "ident":
            self._use(str(children[0]), bound, None)
        elif kind == "member_dot":
            name = _name(children[0])
            if name is not None and name not in bound:
                self._use(name, bound, str(children[1]))
                return []
        elif kind == "ident_arg":
            _known(str(children[0]), _FUNCTIONS, "function", "()")
            count = len(children[1].children) if len(children) > 1 else 0
            if str(children[0]) == "has" and (
                count != 1 or getattr(children[1].children[0], "data", "") != "member_dot"
            ):
                raise ValueError("has a has() of something else than one field: has(input.email)")
            if str(children[0]) == "dyn" and count != 1:
                raise ValueError("has a dyn() of something else than one value")
        elif kind == "member_dot_arg":
            method = str(children[1])
            _known(method, (*_METHODS, *_MACROS), "method", "()")
            if method in _MACROS:
                arguments = children[2].children if len(children) > 2 else []
                variable = _name(arguments[0]) if len(arguments) == 2 else None
                if variable is None:
                    raise ValueError(f"has a {method}() without a name and an expression: "
                                     f"input.lines.{method}(line, line.price > 1)")  # fmt: skip
                return [(children[0], bound), (arguments[1], bound | {variable})]
        return [(child, bound) for child in children]

    def _use(self, name: str, bound: frozenset[str], field: str | None) -> None:
        if name in bound:
            return
        if name not in self.names:
            _known(name, sorted(self.names), "variable", "")
        if field is None:
            self.used[name] = None
        elif self.used.setdefault(name, set()) is not None:
            fields = self.used[name]
            assert fields is not None
            fields.add(field)


def _known(name: str, known: Iterable[str], what: str, brackets: str) -> None:
    if name in known:
        return
    close = difflib.get_close_matches(name, list(known), n=1)
    cure = f"did you mean '{close[0]}{brackets}'?" if close else f"known are {', '.join(known)}"
    raise ValueError(f"has an unknown {what} '{name}{brackets}'; {cure}")


def _name(node: Any) -> str | None:
    """The name that a node is, if it is only that."""
    while isinstance(node, lark.Tree) and node.data == "primary" and len(node.children) == 1:
        node = node.children[0]
    is_name = isinstance(node, lark.Tree) and node.data == "ident"
    return str(node.children[0]) if is_name else None


# -- evaluating -----------------------------------------------------------------------------


class _NoValueError(Exception):
    """There is no value, in our words. cel-python, which turns others into values, lets it
    through."""


class _TooMuchError(_NoValueError):
    """A limit is reached."""


class _Budget:
    """What one evaluation may still do."""

    __slots__ = ("values", "work")

    def __init__(self) -> None:
        self.work = limits.WORK
        self.values = limits.VALUES

    def spend(self, work: int) -> None:
        self.work -= work
        if self.work < 0:
            raise _TooMuchError(
                f"takes more than {limits.WORK:,} operations; simplify it, or compute it in a step"
            )

    def pass_on(self) -> None:
        """Count a value that is given or comes out."""
        self.values -= 1
        if self.values < 0:
            raise _TooMuchError(f"works on more than {limits.VALUES:,} values; pass it fewer")

    def text(self, size: int) -> None:
        if size > limits.TEXT:
            raise _TooMuchError(
                f"makes a text or list longer than {limits.TEXT:,}; make it shorter"
            )
        self.spend(size // 64)


class _Bounded(Evaluator):
    """cel-python's evaluator, which counts what it does and shows no values in its errors."""

    def __init__(self, ast: Any, activation: Activation, budget: _Budget) -> None:
        super().__init__(ast, activation)
        self._budget = budget

    def sub_evaluator(self, ast: Any) -> Evaluator:
        return _Bounded(ast, self.activation, self._budget)

    def set_activation(self, values: Any) -> Evaluator:
        self._budget.spend(4)
        return super().set_activation(values)

    def _visit_tree(self, tree: Any) -> Any:
        self._budget.spend(1)
        return super()._visit_tree(tree)

    def member_dot(self, tree: Any) -> Any:
        member, name = self._visit_tree(tree.children[0]), str(tree.children[1])
        if isinstance(member, CELEvalError):
            return member
        if not isinstance(member, celtypes.MapType):
            return CELEvalError(f"asks for '{name}' of what has no fields")
        if name not in member:
            return CELEvalError(f"finds no '{name}' where it looks for it")
        return member[celtypes.StringType(name)]


def _words(error: CELEvalError) -> str:
    """What an error says, without any value: only texts that are known to have none."""
    said = str(error.args[0]) if error.args else ""
    if said.startswith(("asks for", "finds no")):
        return said
    return _SAYINGS.get(said, "cannot be evaluated on these values; their types do not fit")


_SAYINGS = {
    "modulus or divide by zero": "divides by zero",
    "return error for overflow": "gets a number, text or time out of its range or form",
    "no such key": "finds no such key",
    "invalid_argument": "asks for an item beyond the end of a list",
    "match error": "has a regular expression that RE2 does not take",
}

# -- operators and functions ------------------------------------------------------------------


class _Functions(Mapping[str, Callable[..., Any]]):
    """The operators and functions by their names, which spend from one budget."""

    def __init__(self, budget: _Budget) -> None:
        self._budget = budget

    def __getitem__(self, name: str) -> Callable[..., Any]:
        if name in _LOGIC:
            return _LOGIC[name]
        function, budget = _OPERATIONS[name], self._budget

        def operation(*given: Any) -> Any:
            """Errors are values there: the first of them is the outcome."""
            for value in given:
                if isinstance(value, CELEvalError):
                    return value
            budget.spend(1)
            return function(budget, *given)

        return operation

    def __iter__(self) -> Iterator[str]:
        return iter({**_LOGIC, **_OPERATIONS})

    def __len__(self) -> int:
        return len(_LOGIC) + len(_OPERATIONS)

    def copy(self) -> _Functions:  # cel-python copies the first map of its chain
        return self


def _truth(value: Any) -> bool | None:
    """True or false, or None for an error; TypeError for anything else."""
    if isinstance(value, CELEvalError):
        return None
    if not isinstance(value, celtypes.BoolType):
        raise TypeError
    return bool(value)


def _and(left: Any, right: Any) -> Any:
    """False if either side is, though the other be an error, as the language says."""
    one, two = _truth(left), _truth(right)
    if one is False or two is False:
        return celtypes.BoolType(False)
    return left if one is None else right


def _or(left: Any, right: Any) -> Any:
    one, two = _truth(left), _truth(right)
    if one or two:
        return celtypes.BoolType(True)
    return left if one is None else right


def _not(value: Any) -> Any:
    truth = _truth(value)
    return value if truth is None else celtypes.BoolType(not truth)


def _condition(condition: Any, yes: Any, no: Any) -> Any:
    truth = _truth(condition)
    return condition if truth is None else yes if truth else no


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool | celtypes.BoolType)


def _arithmetic(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    def operation(budget: _Budget, left: Any, right: Any) -> Any:
        del budget
        if not (_is_number(left) and _is_number(right)):
            raise TypeError
        if isinstance(left, float) or isinstance(right, float):
            if function is operator.mod:
                raise TypeError
            return function(celtypes.DoubleType(left), celtypes.DoubleType(right))
        return function(left, right)

    return operation


_TIME = (celtypes.TimestampType, celtypes.DurationType)
_add_numbers = _arithmetic(operator.add)
_subtract_numbers = _arithmetic(operator.sub)


def _add(budget: _Budget, left: Any, right: Any) -> Any:
    kinds: tuple[Any, ...] = (celtypes.StringType, celtypes.BytesType, celtypes.ListType)
    for kind in kinds:
        if isinstance(left, kind) and isinstance(right, kind):
            budget.text(len(left) + len(right))
            made: Any = operator.add(left, right)
            return kind(made)
    if isinstance(left, _TIME) and isinstance(right, _TIME):
        return operator.add(left, right)
    return _add_numbers(budget, left, right)


def _subtract(budget: _Budget, left: Any, right: Any) -> Any:
    if isinstance(left, _TIME) and isinstance(right, _TIME):
        return operator.sub(left, right)
    return _subtract_numbers(budget, left, right)


def _negative(budget: _Budget, value: Any) -> Any:
    return _subtract_numbers(budget, celtypes.IntType(0), value)


def _base(value: Any) -> Any:
    """A number, text or truth as Python's own, whose comparisons are exact and never raise."""
    if isinstance(value, celtypes.BoolType):
        return bool(value)
    kinds: tuple[Any, ...] = (int, float, str, bytes)
    return next((kind(value) for kind in kinds if isinstance(value, kind)), value)


def _equal(budget: _Budget, left: Any, right: Any) -> bool:
    """Numbers are compared as such, lists and maps by what they hold; other types differ."""
    budget.spend(1)
    if _is_number(left) and _is_number(right):
        return bool(_base(left) == _base(right))
    if isinstance(left, list) and isinstance(right, list):
        pairs = zip(left, right, strict=False)
        return len(left) == len(right) and all(_equal(budget, *pair) for pair in pairs)
    if isinstance(left, dict) and isinstance(right, dict):
        return dict.keys(left) == dict.keys(right) and all(
            _equal(budget, dict.__getitem__(left, key), dict.__getitem__(right, key))
            for key in dict.keys(left)
        )
    for kind in (celtypes.BoolType, str, bytes, *_TIME):
        if isinstance(left, kind) and isinstance(right, kind):
            budget.spend(len(left) // 64 if isinstance(left, str | bytes) else 0)
            return bool(_base(left) == _base(right))
    return left is None and right is None


def _equals(budget: _Budget, left: Any, right: Any) -> Any:
    return celtypes.BoolType(_equal(budget, left, right))


def _differs(budget: _Budget, left: Any, right: Any) -> Any:
    return celtypes.BoolType(not _equal(budget, left, right))


def _ordering(function: Callable[[Any, Any], bool]) -> Callable[[Any, Any, Any], Any]:
    def operation(budget: _Budget, left: Any, right: Any) -> Any:
        alike = _is_number(left) and _is_number(right)
        for kind in (celtypes.BoolType, str, bytes, *_TIME):
            alike = alike or (isinstance(left, kind) and isinstance(right, kind))
        if not alike:
            raise TypeError
        budget.spend(len(left) // 64 if isinstance(left, str | bytes) else 0)
        return celtypes.BoolType(function(_base(left), _base(right)))

    return operation


def _in(budget: _Budget, item: Any, container: Any) -> Any:
    if isinstance(container, dict):
        return celtypes.BoolType(isinstance(item, str | int) and dict.__contains__(container, item))
    if isinstance(container, list):
        return celtypes.BoolType(any(_equal(budget, item, other) for other in container))
    raise TypeError


def _item(budget: _Budget, container: Any, key: Any) -> Any:
    del budget
    if isinstance(container, dict) and isinstance(key, str | int):
        return dict.__getitem__(container, key)
    if isinstance(container, list) and _is_number(key) and not isinstance(key, float):
        if key < 0:
            raise IndexError
        return list.__getitem__(container, int(key))
    raise TypeError


def _size(budget: _Budget, value: Any) -> Any:
    del budget
    if not isinstance(value, str | bytes | list | dict):
        raise TypeError
    return celtypes.IntType(len(value))


def _on_text(function: Callable[[str, str], bool]) -> Callable[[Any, Any, Any], Any]:
    def operation(budget: _Budget, text: Any, part: Any) -> Any:
        if not (isinstance(text, str) and isinstance(part, str)):
            raise TypeError
        budget.spend(len(text) // 64)
        return celtypes.BoolType(function(str(text), str(part)))

    return operation


def _matches(budget: _Budget, text: Any, pattern: Any) -> Any:
    """By RE2, whose time grows with the text alone, whatever the pattern."""
    if not (isinstance(text, str) and isinstance(pattern, str)):
        raise TypeError
    if len(pattern) > limits.PATTERN:
        raise _TooMuchError(f"has a regular expression longer than {limits.PATTERN} characters")
    budget.spend(50 + len(text) // 16)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        found = re2.compile(str(pattern), options=options).search(str(text))
    except re2.error:
        return CELEvalError("match error")
    return celtypes.BoolType(found is not None)


def _string(budget: _Budget, value: Any) -> Any:
    if isinstance(value, celtypes.BoolType):
        return celtypes.StringType("true" if value else "false")
    if not (_is_number(value) or isinstance(value, str | bytes | celtypes.TimestampType)):
        if isinstance(value, celtypes.DurationType):
            return celtypes.StringType(f"{value.total_seconds():g}s")
        raise TypeError
    if isinstance(value, str | bytes):
        budget.spend(len(value) // 64)
    return celtypes.StringType(value if not _is_number(value) else _base(value))


def _conversion(kind: Any, most: int) -> Callable[[Any, Any], Any]:
    def operation(budget: _Budget, value: Any) -> Any:
        if value is None or isinstance(value, list | dict):
            raise TypeError
        if isinstance(value, str | bytes):
            budget.spend(len(value) // 64)
            if len(value) > most:
                raise ValueError
        return kind(value)

    return operation


def _of_time(name: str) -> Callable[..., Any]:
    function: Any = base_functions[name]

    def operation(budget: _Budget, time: Any, *zone: Any) -> Any:
        budget.spend(10)
        if len(zone) > 1 or any(not isinstance(one, str) or len(one) > 64 for one in zone):
            raise TypeError
        return function(time, *zone)

    return operation


_LOGIC: dict[str, Callable[..., Any]] = {
    "!_": _not,
    "_&&_": _and,
    "_||_": _or,
    "_?_:_": _condition,
}
_OPERATIONS: dict[str, Callable[..., Any]] = {
    "-_": _negative,
    "_+_": _add,
    "_-_": _subtract,
    "_*_": _arithmetic(operator.mul),
    "_/_": _arithmetic(operator.truediv),
    "_%_": _arithmetic(operator.mod),
    "_==_": _equals,
    "_!=_": _differs,
    "_<_": _ordering(operator.lt),
    "_<=_": _ordering(operator.le),
    "_>_": _ordering(operator.gt),
    "_>=_": _ordering(operator.ge),
    "_in_": _in,
    "_[_]": _item,
    "size": _size,
    "contains": _on_text(str.__contains__),
    "startsWith": _on_text(str.startswith),
    "endsWith": _on_text(str.endswith),
    "matches": _matches,
    "string": _string,
    "bool": _conversion(celtypes.BoolType, limits.MOMENT),
    "bytes": _conversion(celtypes.BytesType, limits.TEXT),
    "double": _conversion(celtypes.DoubleType, limits.MOMENT),
    "duration": _conversion(celtypes.DurationType, limits.MOMENT),
    "int": _conversion(celtypes.IntType, limits.MOMENT),
    "timestamp": _conversion(celtypes.TimestampType, limits.MOMENT),
    "uint": _conversion(celtypes.UintType, limits.MOMENT),
    **{name: _of_time(name) for name in _TIMES},
}


# -- values in and out ------------------------------------------------------------------------


def _fields_of(value: Any, fields: set[str] | None) -> Any:
    """Of a mapping only the fields that are used: making CEL values of all of it takes time."""
    if not isinstance(value, Mapping | list | str | int | float | bool | None):
        value = msgspec.to_builtins(value, builtin_types=(datetime.datetime, datetime.timedelta))
    if fields is not None and isinstance(value, Mapping):
        return {name: value[name] for name in fields if name in value}
    return value


def _to_cel(value: Any, budget: _Budget) -> Any:
    budget.pass_on()
    match value:
        case None:
            return None
        case bool():
            return celtypes.BoolType(value)
        case int():
            in_range = -(2**63) <= value < 2**63
            return celtypes.IntType(value) if in_range else celtypes.DoubleType(value)
        case float():
            return celtypes.DoubleType(value)
        case str():
            return celtypes.StringType(value)
        case bytes():
            return celtypes.BytesType(value)
        case datetime.datetime():
            return celtypes.TimestampType(value)
        case datetime.timedelta():
            return celtypes.DurationType(value)
        case Mapping():
            made = celtypes.MapType()
            for key, part in value.items():
                dict.__setitem__(made, celtypes.StringType(key), _to_cel(part, budget))
            return made
        case list() | tuple():
            return celtypes.ListType([_to_cel(part, budget) for part in value])
    plain = msgspec.to_builtins(value, builtin_types=(datetime.datetime, datetime.timedelta))
    return _to_cel(plain, budget)


def _to_plain(value: Any, budget: _Budget) -> Any:
    budget.pass_on()
    if isinstance(value, CELEvalError):
        raise value
    if isinstance(value, celtypes.BoolType):
        return bool(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise _NoValueError("gives a number that is not finite")
    if value is None or isinstance(value, str | int | float | bytes):
        return _base(value)
    if isinstance(value, celtypes.DurationType):
        return datetime.timedelta(seconds=value.total_seconds())
    if isinstance(value, datetime.datetime):
        return datetime.datetime.fromisoformat(value.isoformat())
    if isinstance(value, list):
        return [_to_plain(part, budget) for part in value]
    if isinstance(value, dict):
        return {
            _to_plain(key, budget): _to_plain(dict.__getitem__(value, key), budget)
            for key in dict.keys(value)
        }
    raise _NoValueError("gives no value")
