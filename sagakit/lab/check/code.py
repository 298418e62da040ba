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
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sagakit.steps import behind_partials

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Assignment = ast.Assign | ast.AnnAssign | ast.NamedExpr
_BROAD = {"Exception", "BaseException", "SagaError", "TerminalError"}
_MISSING = {"KeyError", "LookupError", "Exception", "BaseException"}  # what catches a KeyError
_SAYS = {"print", "log", "debug", "info", "warning", "warn", "error", "exception", "critical"}
_OWNERS = {"self", "cls"}
_BRANCHES = (ast.If, ast.IfExp, ast.BoolOp, ast.Compare, ast.Match, ast.Try)


class Overwrite(NamedTuple):
    """An assignment to what others see too, of a value that an earlier step returned."""

    target: str
    node: ast.AST
    computed: bool  # from that value; otherwise it is put back as it was


class Code:
    """The code of one callable. Every question is answered with nothing if it is not known."""

    def __init__(self, function: Callable[..., Any] | None) -> None:
        self._function = _plain(function)
        code = getattr(self._function, "__code__", None)
        self._code = code if isinstance(code, types.CodeType) else None
        self.file = None if self._code is None else self._code.co_filename
        self.node = None if self._code is None else _node(self._code)

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Every name from outside and attribute that it uses, also within the functions in it."""
        return frozenset() if self._code is None else frozenset(_names(self._code))

    def raises(self, kind: type[BaseException]) -> ast.AST | None:
        """Where it raises an exception of this kind."""
        for node in self._walk():
            if isinstance(node, ast.Raise) and node.exc is not None:
                raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                known = self._value(raised)
                named = _tail(raised) == kind.__name__
                if issubclass(known, kind) if isinstance(known, type) else named:
                    return node
        return None

    @property
    def branches(self) -> bool:
        """Whether it asks anything, so that not all of it is done each time."""
        return self._any(*_BRANCHES)

    @functools.cached_property
    def constants(self) -> tuple[Any, ...] | None:
        """What it returns, where that is always one of a few constants; None if it may be more."""
        if isinstance(self.node, ast.Lambda):
            return _constants(self.node.body)
        if not isinstance(self.node, ast.FunctionDef) or self._any(ast.Yield, ast.YieldFrom):
            return None
        if all(map(_is_text, self.node.body)):
            return None  # a sketch
        found: list[Any] = []
        for node in self._walk():
            if isinstance(node, ast.Return):
                values = (None,) if node.value is None else _constants(node.value)
                if values is None:
                    return None
                found += values
        return tuple(found if _leaves(self.node.body) else [*found, None])

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
                broad = node.type is None or _among(node.type, _BROAD)
                if broad and all(_idle(part) or _says(part) for part in node.body):
                    return node
            kinds = node.args if isinstance(node, ast.Call) else []
            if any(_among(kind, _BROAD) for kind in kinds) and _called(node) == "suppress":
                return node
        return None

    def needs(self) -> Iterator[tuple[str, ast.AST]]:
        """The steps whose results it cannot do without: ``ctx.results["NAME"]``, unless it asks
        whether that is there, or catches the KeyError."""
        asked: set[Any] = set()
        caught: set[ast.AST] = set()
        for node in self._walk():
            if isinstance(node, ast.Compare) and self._is_given(node.comparators[0]):
                asked.add(getattr(node.left, "value", None))  # "NAME" in ctx.results
            elif isinstance(node, ast.Try) and any(
                handler.type is None or _among(handler.type, _MISSING) for handler in node.handlers
            ):
                caught.update(part for child in node.body for part in ast.walk(child))
        for node in self._walk():
            name = self._named_result(node)
            if name is not None and name not in asked and node not in caught:
                yield name, node

    def takes_for_granted(self, step: str) -> ast.AST | None:
        """Where it uses the parts of a step's own result, without ever asking anything first."""
        if self.branches:
            return None
        holds: set[str] = set()  # local names of the result
        for node in self._walk():
            if isinstance(node, _Assignment):
                names = {target.id for target in _targets(node) if isinstance(target, ast.Name)}
                is_result = node.value is not None and self._is_result(node.value, step)
                holds = holds | names if is_result else holds - names
            if isinstance(node, ast.Subscript | ast.Attribute):
                value = node.value
                if self._is_result(value, step) or (_name(value) in holds):
                    return node
            if self._named_result(node) == step:
                return node  # no such key, when the step is in doubt
        return None

    def overwrites(self) -> Iterator[Overwrite]:
        """Where it assigns what a step returned to what is not its own."""
        own = self._locals()
        holds: dict[str, bool] = {}  # local names of such values, and whether they were computed
        for node in self._walk():
            if not isinstance(node, _Assignment) or node.value is None:
                continue
            parts = list(ast.walk(node.value))
            held = [holds[name] for part in parts if (name := _name(part)) in holds]
            mentions = bool(held) or any(map(self._is_given, parts))
            computed = any(held) or any(isinstance(part, ast.BinOp) for part in parts)
            for target in _targets(node):
                keyed = {"execution_id", "idempotency_key", "action_key"} & _attributes(target)
                if isinstance(target, ast.Name):
                    holds.pop(target.id, None)
                    if mentions:
                        holds[target.id] = computed
                elif mentions and _root(target) not in own and not keyed:
                    yield Overwrite(ast.unparse(target), node, computed)

    def literals(self) -> Iterator[tuple[str, str, ast.AST]]:
        """Every text in it, and in the constants of its module that it uses: the name under which
        it stands (or none), the text, and where."""
        for node in self._walk():
            if isinstance(node, ast.Constant):
                yield from _literal("", node)
            for name, value in _named(node):
                yield from _literal(name, value)
        if self.node is not None:
            for name, value in _defaults(self.node.args):
                yield from _literal(name, value)
            for name, value in _texts(_source(self.file)).items():
                if name in self.names:
                    yield from _literal(name, value)

    def _walk(self) -> Iterator[ast.AST]:
        if self.node is not None:
            body = [self.node.body] if isinstance(self.node, ast.Lambda) else self.node.body
            for part in body:
                yield from _within(part)

    def _value(self, node: ast.AST) -> Any:
        """What a dotted name of its module stands for; None if that is not known."""
        if isinstance(node, ast.Name):
            return getattr(self._function, "__globals__", {}).get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self._value(node.value)
            return vars(owner).get(node.attr) if isinstance(owner, types.ModuleType) else None
        return None

    def _is_given(self, node: ast.AST) -> bool:
        """Whether it is ``ctx.result`` or ``ctx.results``, whatever the context is called."""
        return (
            isinstance(node, ast.Attribute)
            and node.attr in ("result", "results")
            and _name(node.value) in self._parameters()
        )

    def _named_result(self, node: ast.AST) -> str | None:
        """The name in ``ctx.results["NAME"]``, where that is read."""
        match node:
            case ast.Subscript(
                value=ast.Attribute(attr="results"), slice=ast.Constant(value=str(name)),
                ctx=ast.Load(),
            ) if self._is_given(node.value):  # fmt: skip
                return name
        return None

    def _is_result(self, node: ast.AST, step: str) -> bool:
        """``ctx.result`` or ``ctx.results["STEP"]``."""
        given = self._is_given(node) and _tail(node) == "result"
        return given or self._named_result(node) == step

    def _parameters(self) -> set[str]:
        code = self._code
        count = 0 if code is None else code.co_argcount + code.co_kwonlyargcount
        names = set() if code is None else set(code.co_varnames[:count])
        return names - _OWNERS

    def _any(self, *kinds: type[ast.AST]) -> bool:
        return any(isinstance(node, kinds) for node in self._walk())

    def _locals(self) -> set[str]:
        code = self._code
        names = set() if code is None else {*code.co_varnames, *code.co_cellvars}
        return names - _OWNERS


def _plain(function: Any) -> Any:
    """The function behind a partial, a method, or whatever wraps it."""
    try:
        function = inspect.unwrap(behind_partials(function))
    except ValueError:  # it wraps itself
        return None
    if not hasattr(function, "__code__") and not isinstance(function, type):
        method = getattr(function, "__func__", None)  # else an object that can be called
        function = method or getattr(type(function), "__call__", None)  # noqa: B004
    return getattr(function, "__func__", function)


def _node(code: types.CodeType) -> _Function | None:
    """The function in its file, by its line; None where two could be meant."""
    found = _functions(_source(code.co_filename)).get((code.co_firstlineno, code.co_name), [])
    return found[0] if len(found) == 1 else None


def _source(file: str | None) -> str:
    return "".join(linecache.getlines(file)) if file else ""


@functools.lru_cache(maxsize=16)
def _functions(source: str) -> Mapping[tuple[int, str], list[_Function]]:
    """The functions in a module, by the line and the name of each."""
    tree = _parsed(source)
    found: dict[tuple[int, str], list[_Function]] = {}
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, _Function):
            found.setdefault((_line(node), getattr(node, "name", "<lambda>")), []).append(node)
    return found


@functools.lru_cache(maxsize=16)
def _texts(source: str) -> Mapping[str, ast.expr]:
    """What a module itself gives a name to."""
    tree = _parsed(source)
    statements = tree.body if tree is not None else []
    return {
        target.id: node.value
        for node in statements
        if isinstance(node, _Assignment) and node.value is not None
        for target in _targets(node)
        if isinstance(target, ast.Name)
    }


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
    left = [node]  # no recursion: generated code is deep
    while left:
        yield (node := left.pop())
        if not isinstance(node, _Function | ast.ClassDef):
            left += reversed(list(ast.iter_child_nodes(node)))


def _leaves(body: Sequence[ast.stmt]) -> bool:
    """Whether a function always ends in these statements, and never goes on behind them."""
    match body[-1] if body else None:
        case ast.Return() | ast.Raise():
            return True
        case ast.If(body=then, orelse=other):
            return _leaves(then) and _leaves(other)
        case ast.With(body=inside):
            return _leaves(inside)
        case ast.Try(body=tried, handlers=handlers, orelse=other, finalbody=last):
            well = _leaves(tried) or _leaves(other)
            return _leaves(last) or (well and all(_leaves(one.body) for one in handlers))
        case ast.Match(cases=cases):
            rest = cases[-1].pattern, cases[-1].guard
            takes_all = isinstance(rest[0], ast.MatchAs) and rest[0].pattern is None
            return takes_all and rest[1] is None and all(_leaves(one.body) for one in cases)
        case ast.While(test=ast.Constant(value=True)) as loop:
            return not any(isinstance(part, ast.Break) for part in ast.walk(loop))
    return False


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
    return _is_text(node) or isinstance(node, ast.Pass | ast.Continue)


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a docstring, or ``...``."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _says(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and _called(node.value) in _SAYS


def _called(node: ast.AST) -> str | None:
    """The name of what a call calls."""
    return _tail(node.func) if isinstance(node, ast.Call) else None


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


def _name(node: ast.AST) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


def _among(node: ast.AST, names: set[str]) -> bool:
    """Whether it, or a part of a tuple, has one of these names."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(_tail(part) in names for part in parts)


def _targets(node: _Assignment) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _literal(name: str, node: ast.AST | None) -> Iterator[tuple[str, str, ast.AST]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield name, node.value, node


def _defaults(args: ast.arguments) -> Iterator[tuple[str, ast.expr | None]]:
    """The parameters that have a default, each with it."""
    placed = [*args.posonlyargs, *args.args]
    with_default = placed[len(placed) - len(args.defaults) :]
    for arg, value in (
        *zip(with_default, args.defaults, strict=True),
        *zip(args.kwonlyargs, args.kw_defaults, strict=True),
    ):
        yield arg.arg, value


def _named(node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """What is given a name: by an assignment, a keyword, a key of a dict."""
    if isinstance(node, _Assignment):
        yield from ((_key(target), node.value) for target in _targets(node))
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
