"""What the code of a callable shows, without calling it.

Read are its source, where Python knows it (a file, a notebook's cell), and the names it uses. A
callable of which neither is known shows nothing, and then nothing is said about it. Functions that
it calls are not followed.
"""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_BROAD = {"Exception", "BaseException", "SagaError", "TerminalError"}
_SAYS = {"print", "log", "debug", "info", "warning", "warn", "error", "exception", "critical"}
_BRANCHES = (ast.If, ast.IfExp, ast.BoolOp, ast.Compare, ast.Match, ast.Try)


class Overwrite(NamedTuple):
    """An assignment to what others see too, of a value that an earlier step returned."""

    target: str
    node: ast.AST
    computed: bool  # from that value; otherwise it is put back as it was


class Code:
    """The code of one callable. Every question is answered with nothing if it is not known."""

    def __init__(self, function: Callable[..., Any] | None) -> None:
        plain = _plain(function)
        code = getattr(plain, "__code__", None)
        self._code = code if isinstance(code, types.CodeType) else None
        self.file = None if self._code is None else self._code.co_filename
        self.node = None if self._code is None else _node(self._code)

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Every name from outside and attribute that it uses, also within the functions in it."""
        return frozenset() if self._code is None else frozenset(_names(self._code))

    def raises(self, name: str) -> ast.AST | None:
        """Where it raises an exception of this name."""
        for node in self._walk():
            if isinstance(node, ast.Raise) and node.exc is not None:
                raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                if _tail(raised) == name:
                    return node
        return None

    @functools.cached_property
    def constants(self) -> tuple[Any, ...] | None:
        """What it returns, where that is always one of a few constants; None if it may be more."""
        if isinstance(self.node, ast.Lambda):
            return _constants(self.node.body)
        if not isinstance(self.node, ast.FunctionDef) or self._any(ast.Yield, ast.YieldFrom):
            return None
        found: list[Any] = []
        for node in self._walk():
            if isinstance(node, ast.Return):
                values = (None,) if node.value is None else _constants(node.value)
                if values is None:
                    return None
                found += values
        ends = isinstance(self.node.body[-1], ast.Return | ast.Raise)
        return tuple(found if ends else [*found, None])

    @property
    def empty(self) -> bool:
        """Whether it does nothing: ``pass``, ``...``, a docstring, ``return``."""
        if self.node is None:
            return False
        if isinstance(self.node, ast.Lambda):
            return isinstance(self.node.body, ast.Constant)
        return all(_idle(statement) for statement in self.node.body)

    @property
    def swallows(self) -> ast.AST | None:
        """Where it catches every error, or a refusal for good, and does nothing about it (but
        perhaps say so)."""
        for node in self._walk():
            if isinstance(node, ast.ExceptHandler):
                broad = node.type is None or _tail(node.type) in _BROAD
                if broad and all(_idle(part) or _says(part) for part in node.body):
                    return node
        return None

    def needs(self) -> Iterator[tuple[str, ast.AST]]:
        """The steps whose results it cannot do without: ``ctx.results["NAME"]``."""
        for node in self._walk():
            if (
                isinstance(node, ast.Subscript)
                and _tail(node.value) == "results"
                and isinstance(node.ctx, ast.Load)
                and isinstance(node.slice, ast.Constant)
                and isinstance(node.slice.value, str)
            ):
                yield node.slice.value, node

    def takes_for_granted(self, step: str) -> ast.AST | None:
        """Where it uses the parts of a step's own result, without ever asking anything first."""
        if self._any(*_BRANCHES):
            return None
        for node in self._walk():
            if isinstance(node, ast.Subscript | ast.Attribute) and _is_result(node.value, step):
                return node
            if _is_result(node, step) and isinstance(node, ast.Subscript):
                return node  # no such key, when the step is in doubt
        return None

    def overwrites(self) -> Iterator[Overwrite]:
        """Where it assigns what a step returned to what is not its own."""
        own = self._locals()
        for node in self._walk():
            if not isinstance(node, ast.Assign):
                continue
            mentions = [part for part in ast.walk(node.value) if _of_results(part)]
            for target in node.targets if mentions else []:
                keyed = {"execution_id", "idempotency_key", "action_key"} & _attributes(target)
                if (
                    isinstance(target, ast.Subscript | ast.Attribute)
                    and _root(target) not in own
                    and not keyed
                ):
                    computed = any(isinstance(p, ast.BinOp) for p in ast.walk(node.value))
                    yield Overwrite(ast.unparse(target), node, computed)

    def literals(self) -> Iterator[tuple[str, str, ast.AST]]:
        """Every text in it: the name under which it stands (or none), the text, and where."""
        for node in self._walk():
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield "", node.value, node
            for name, value in _named(node):
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield name, value.value, value

    def _walk(self) -> Iterator[ast.AST]:
        if self.node is not None:
            body = [self.node.body] if isinstance(self.node, ast.Lambda) else self.node.body
            for part in body:
                yield from _within(part)

    def _any(self, *kinds: type[ast.AST]) -> bool:
        return any(isinstance(node, kinds) for node in self._walk())

    def _locals(self) -> set[str]:
        code = self._code
        names = set() if code is None else {*code.co_varnames, *code.co_cellvars}
        return names - {"self", "cls"}


def _plain(function: Any) -> Any:
    """The function behind a partial, a method, or whatever wraps it."""
    while isinstance(function, functools.partial):
        function = function.func
    try:
        function = inspect.unwrap(function)
    except ValueError:  # it wraps itself
        return None
    if not hasattr(function, "__code__") and not isinstance(function, type):
        method = getattr(function, "__func__", None)  # else an object that can be called
        function = method or getattr(type(function), "__call__", None)  # noqa: B004
    return getattr(function, "__func__", function)


def _node(code: types.CodeType) -> _Function | None:
    """The function in its file, by its line; None where two could be meant."""
    tree = _parsed("".join(linecache.getlines(code.co_filename)))
    found = [
        node
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, _Function) and _line(node) == code.co_firstlineno
        and getattr(node, "name", "<lambda>") == code.co_name
    ]  # fmt: skip
    return found[0] if len(found) == 1 else None


def _line(node: _Function) -> int:
    decorators = getattr(node, "decorator_list", None)
    return decorators[0].lineno if decorators else node.lineno


@functools.lru_cache(maxsize=16)
def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _names(code: types.CodeType) -> Iterator[str]:
    yield from (*code.co_names, *code.co_freevars)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names(inner)


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """The node and what is in it, but for the functions that are defined there."""
    yield node
    if not isinstance(node, _Function | ast.ClassDef):
        for child in ast.iter_child_nodes(node):
            yield from _within(child)


def _constants(node: ast.expr) -> tuple[Any, ...] | None:
    if isinstance(node, ast.Constant):
        return (node.value,)
    if isinstance(node, ast.IfExp):
        first, second = _constants(node.body), _constants(node.orelse)
        return None if first is None or second is None else first + second
    return None


def _idle(node: ast.AST) -> bool:
    if isinstance(node, ast.Return):
        empty = isinstance(node.value, ast.Dict | ast.List | ast.Tuple) and not any(
            ast.iter_child_nodes(node.value)
        )
        return node.value is None or empty or isinstance(node.value, ast.Constant)
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or isinstance(node, ast.Pass | ast.Continue)


def _says(node: ast.AST) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and _tail(call.func) in _SAYS


def _tail(node: ast.AST) -> str | None:
    """The last part of a dotted name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _root(node: ast.AST) -> str | None:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _attributes(node: ast.AST) -> set[str]:
    return {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}


def _of_results(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("result", "results")


def _is_result(node: ast.AST, step: str) -> bool:
    """``ctx.result`` or ``ctx.results["STEP"]``."""
    if isinstance(node, ast.Subscript):
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        return _tail(node.value) == "results" and key == step
    return isinstance(node, ast.Attribute) and node.attr == "result"


def _named(node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """What is given a name: by an assignment, a keyword, a key of a dict, a default."""
    if isinstance(node, ast.Assign):
        yield from ((_key(target), node.value) for target in node.targets)
    elif isinstance(node, ast.AnnAssign):
        yield _key(node.target), node.value
    elif isinstance(node, ast.keyword):
        yield node.arg or "", node.value
    elif isinstance(node, ast.Dict):
        yield from ((_key(k), v) for k, v in zip(node.keys, node.values, strict=True) if k)


def _key(node: ast.AST) -> str:
    if isinstance(node, ast.Subscript):
        node = node.slice
    if isinstance(node, ast.Constant):
        return str(node.value)
    return _tail(node) or ""
