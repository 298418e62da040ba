"""A saga as the Python text that declares it.

What the text does not import it finds where it is pasted: the functions that are defined there. A
comment lists them.
"""

from __future__ import annotations

import ast
import datetime
import functools
import keyword
import math
import re
import sys
import textwrap
import types
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args

import msgspec

from sagakit import pretty
from sagakit.connectors import Cel, Secret, forms
from sagakit.pretty import Atom, Items, Node, call
from sagakit.resilience import POLICIES, Service
from sagakit.saga import Saga
from sagakit.spec import Retry, Simulated
from sagakit.steps import (
    Choose,
    ForEach,
    Nested,
    Step,
    Wait,
    callable_name,
    default_after,
)


class Source(NamedTuple):
    """The Python text of a saga.

    Parameters:
        text: it can be pasted and run.
        name: the variable that then is the saga.
        scope: what must be there, under which names, before it runs.
    """

    text: str
    name: str
    scope: dict[str, Any]


def python_source(saga: Saga) -> str:
    """The Python text that declares a saga: run, it gives an equal one.

    What can be imported is. Everything else must be there under the names that a comment lists,
    as it is in the notebook that defines it.
    """
    return write(saga).text


def write(saga: Saga) -> Source:
    """The Python text that declares a saga, and what it needs."""
    writer = _Writer(_Names(saga))
    name = writer.declare(saga)
    return Source(writer.text(), name, writer.names.scope)


# -- names ----------------------------------------------------------------------------------


def identifier(text: str, taken: Iterable[str] = ()) -> str:
    """A Python name that is like a text, and not taken."""
    name = unicodedata.normalize("NFKC", re.sub(r"\W+", "_", text)) or "_"  # as Python reads it
    if name[0].isdigit() or keyword.iskeyword(name) or not name.isidentifier():
        name = f"_{re.sub(r'[^0-9A-Za-z_]', '_', name)}"
    free, count = name, 1
    while free in taken:
        count += 1
        free = f"{name}_{count}"
    return free


def key_of(value: Any) -> Any:
    """What finds a value again in a dict: itself, or its identity where it cannot be hashed."""
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


_OURS = {
    "sagakit": (
        "Bulkhead", "CircuitBreaker", "Hedge", "RateLimit", "Retry", "RetryBudget", "Saga",
        "Service", "Simulated", "await_event", "choice", "for_each", "pivot", "step", "sub_saga",
        "timer",
    ),
    "sagakit.steps": ("Choose", "ForEach", "Nested", "Wait"),
}  # fmt: skip
_MODULE = {name: module for module, names in _OURS.items() for name in names}
_DATA: tuple[type[Any], ...] = (
    *forms.CONNECTORS.values(),
    Cel,
    Secret,
)  # what stands where a callable does, and in it
_MODULE |= {kind.__name__: "sagakit.connectors" for kind in _DATA}


class _Home(NamedTuple):
    """Where something can be found: in a module, under a name that may have dots."""

    module: str
    name: str

    @property
    def root(self) -> str:
        return self.name.partition(".")[0]


def home_of(value: Any) -> _Home | None:
    """Where a function, a method or a class can be found; None where only its owner knows."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if isinstance(module, str) and isinstance(name, str) and "<" not in name:
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is value or (isinstance(value, types.MethodType) and found == value):
            return _Home(module, name)
    return _in_notebook(value)


def _in_notebook(value: Any) -> _Home | None:
    """The variable of the notebook (or the script) that is it, or has it for a method."""
    owner = getattr(value, "__self__", None) if isinstance(value, types.MethodType) else None
    for name, found in list(vars(sys.modules["__main__"]).items()):
        if name.startswith("_") or found is None:
            continue
        if found is value:
            return _Home("__main__", name)
        if found is owner:
            return _Home("__main__", f"{name}.{value.__name__}")
    return None


class _Names:
    """The names in a saga's text: of what it imports, what it finds, and what it declares."""

    def __init__(self, saga: Saga) -> None:
        self.imports: dict[str, dict[str, str]] = {}  # by module: names, and what they are here
        self.scope: dict[str, Any] = {}
        self.defined: set[str] = set()  # of the scope, what has this name where it is pasted
        self._known: dict[Any, str] = {}
        homes = [home_of(value) for value in _values(saga)]
        # what is defined where the text is pasted keeps its name, even one of ours
        self._taken = {home.root for home in homes if home and home.module == "__main__"}
        self._own = frozenset(self._taken)
        self._taken |= {*_MODULE, "datetime", "float"}

    def ours(self, name: str) -> str:
        """The name here of something of sagakit's."""
        return self._imported(_MODULE[name], name, f"sagakit_{name}" if name in self._own else name)

    def datetime(self) -> str:
        alias = "datetime_" if "datetime" in self._own else "datetime"
        self.imports.setdefault("", {})["datetime"] = alias
        return alias

    def declared(self, name: str) -> str:
        """A free name for something that the text declares."""
        free = identifier(name)
        free = identifier(f"{name}_saga", self._taken) if free in self._taken else free
        self._taken.add(free)
        return free

    def of(self, value: Any, otherwise: str) -> str:
        """The name of a function or a type, or of anything else that cannot be written out.

        Parameters:
            otherwise: what it is called if it has no name of its own.
        """
        key = key_of(value)
        if key not in self._known:
            self._known[key] = self._find(value, otherwise)
        return self._known[key]

    def _find(self, value: Any, otherwise: str) -> str:
        home = home_of(value)
        if home is None:
            free = identifier(callable_name(value) or otherwise, self._taken)
            self._taken.add(free)
            self.scope[free] = value
            return free
        if home.module == "__main__":
            self.scope[home.root] = getattr(sys.modules["__main__"], home.root)
            self.defined.add(home.root)
            return home.name
        if home.module == "builtins" and home.root not in self._taken:
            return home.name
        known = self.imports.get(home.module, {}).get(home.root)
        if known is None:
            known = identifier(home.root, self._taken)
            self._taken.add(known)
        self._imported(home.module, home.root, known)
        return known + home.name.removeprefix(home.root)

    def _imported(self, module: str, name: str, alias: str) -> str:
        self.imports.setdefault(module, {})[name] = alias
        return alias


def _values(saga: Saga) -> Iterator[Any]:
    """Whatever the text may have to find somewhere."""
    yield saga.input_type
    for item in saga.steps:
        yield from _of_step(item)


def _of_step(item: Step) -> Iterator[Any]:
    yield from (item.compensation, item.reconcile, item.when)
    match item.action:
        case Wait(correlate=correlate, timeout=timeout):
            yield from (correlate, timeout)
        case Choose(by=by):
            yield by
        case Nested(saga=inner, input=given):
            yield given
            yield from _values(inner)
        case ForEach(items=items, body=body):
            yield items
            yield from _of_step(body)
        case action:
            yield action


# -- the text -------------------------------------------------------------------------------


class _Writer:
    """Writes sagas, those inside others first."""

    def __init__(self, names: _Names) -> None:
        self.names = names
        self._declared: dict[tuple[str, str], str] = {}  # the variables, by name and text
        self._parts: list[str] = []

    def text(self) -> str:
        head = [*_comments(self.names), "\n".join(_imports(self.names.imports))]
        return "\n\n".join([*(part for part in head if part), "\n".join(self._parts)])

    def declare(self, saga: Saga) -> str:
        """Declare a saga, once; the variable's name."""
        node = self._saga(saga)
        key = saga.name, pretty.flat(node)
        if key not in self._declared:
            name = self._declared[key] = self.names.declared(saga.name)
            self._parts.append(pretty.assignment(name, node))
        return self._declared[key]

    def _saga(self, saga: Saga) -> Node:
        options: dict[str, Any] = {
            "version": saga.version,
            "deadline": saga.deadline,
            "description": saga.description,
            "services": list(saga.services),
            "redact": list(saga.redact),
        }
        made = {
            key: self._service_list(value) if key == "services" else self.number(value, key)
            for key, value in options.items()
            if value not in ((None,) if key == "version" else (None, "", []))
        }
        if saga.input_schema is not None:
            made["input"] = self._value(dict(saga.input_schema), f"{saga.name}_input")
        elif saga.input_type is not Any:
            made["input"] = Atom(self.names.of(saga.input_type, f"{saga.name}_input"))
        steps = _Steps(self, saga.steps).all()
        options_of = [(f"{key}=", node) for key, node in made.items()]
        head = ("", Atom(pretty.text_of(saga.name)))
        return Items(f"{self.names.ours('Saga')}(", [head, *steps, *options_of], ")")

    def _service_list(self, services: list[Service]) -> Node:
        return Items("[", [("", self.struct(one, "name")) for one in services], "]")

    # -- values -----------------------------------------------------------------------------

    def function(self, value: Any, step: str, role: str) -> Node:
        """A callable of a step: by its name, or written out if it is data."""
        if isinstance(value, Simulated):
            return self.struct(value, *(["name"] if value.name else []), otherwise=step)
        if forms.is_data(value):
            return self.struct(value, value.__struct_fields__[0], otherwise=step)
        return Atom(self.names.of(value, step if role == "action" else f"{step}_{role}"))

    def struct(self, value: msgspec.Struct, *given: str, otherwise: str = "") -> Node:
        """A struct of sagakit's, its defaults left out.

        Parameters:
            given: the fields that are given by their place.
        """
        kind = type(value)
        made: dict[str, Node] = {}
        for field in _fields(kind):
            part = getattr(value, field.name)
            if field.name in given or not _is_default(part, field):
                name = f"{otherwise}_{field.name}"
                shown = self.number if _is_number(field.type) else self._value
                made[field.name] = shown(part, name)
        front = [made.pop(name) for name in given]
        return call(self.names.ours(kind.__name__), *front, **made)

    def number(self, value: Any, name: str) -> Node:
        """A value where 2.0 may as well be written 2, for it is made a float."""
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
            return Atom(str(int(value)))
        return self._value(value, name)

    def _value(self, value: Any, otherwise: str) -> Node:
        """A value as exactly what it is; what Python has no text for is found under a name."""
        kind = type(value)
        if isinstance(value, _STRUCTS):
            return self.struct(value, *(["secret"] if isinstance(value, Secret) else []))
        if value is None or kind in (bool, int):
            return Atom(repr(value))
        if kind is float:
            return Atom(_float(value))
        if kind is str:
            return Atom(pretty.text_of(value))
        if kind in (list, tuple):
            begin, end = "[]" if kind is list else "()"
            return Items(begin, [("", self._value(part, otherwise)) for part in value], end)
        if kind is dict:
            return self._mapping(value, otherwise)
        if _is_time(value):
            shown = re.sub(r"\bdatetime\.", f"{self.names.datetime()}.", repr(value))
            return _parsed(ast.parse(shown, mode="eval").body)
        return Atom(self.names.of(value, otherwise))

    def _mapping(self, value: Mapping[Any, Any], otherwise: str) -> Node:
        parts = []
        for key, part in value.items():
            shown = self._value(key, otherwise)
            if not isinstance(shown, Atom):
                return Atom(self.names.of(value, otherwise))
            parts.append((f"{shown.text}: ", self._value(part, otherwise)))
        return Items("{", parts, "}")


_fields = functools.cache(msgspec.structs.fields)
_STRUCTS: tuple[type[Any], ...] = (Retry, Secret, *POLICIES.values())


def _is_number(kind: Any) -> bool:
    """Whether a field of this type is made a float, whatever number it is given."""
    return kind is float or any(map(_is_number, get_args(kind)))


def _is_default(value: Any, field: Any) -> bool:
    made = field.default_factory is not msgspec.NODEFAULT
    default = field.default_factory() if made else field.default
    return type(value) is type(default) and bool(value == default)


def _float(value: float) -> str:
    """As formatters write it: 1e+16 has no plus."""
    return repr(value).replace("e+", "e") if math.isfinite(value) else f'float("{value}")'


def _parsed(tree: ast.expr) -> Node:
    """An expression of calls and numbers."""
    if not isinstance(tree, ast.Call):
        return Atom(ast.unparse(tree))
    options = {str(word.arg): _parsed(word.value) for word in tree.keywords}
    return call(ast.unparse(tree.func), *map(_parsed, tree.args), **options)


def _is_time(value: Any) -> bool:
    if type(value) in (datetime.date, datetime.timedelta):
        return True
    plain = type(value) in (datetime.datetime, datetime.time)
    return plain and isinstance(value.tzinfo, types.NoneType | datetime.timezone)


class _Steps:
    """Writes the steps of one saga."""

    def __init__(self, writer: _Writer, steps: Sequence[Step]) -> None:
        self.writer = writer
        self.names = writer.names
        self.steps = steps
        self.defaults: list[tuple[str, ...]] = [
            tuple(sorted(default_after(steps[:number], item))) for number, item in enumerate(steps)
        ]

    def all(self) -> list[tuple[str, Node]]:
        """Each step, or choice with its branches, with what stands in front of it."""
        found: list[tuple[str, Node]] = []
        number = 0
        while number < len(self.steps):
            part, number = self._part(number, None)
            found.append(part)
        return found

    def _part(self, number: int, within: tuple[str, str] | None) -> tuple[tuple[str, Node], int]:
        """What begins at a step, and the number behind it.

        Parameters:
            within: the branch in which it stands, of which it need not say that.
        """
        item = self.steps[number]
        if item.branch == within and isinstance(item.action, Choose):
            made = self._choice(number, item, item.action)
            if made is not None:
                return made
        options = _Options(self.writer, item, self.defaults[number])
        if item.branch is not None and item.branch != within:
            options.add("branch", item.branch)
        return ("", options.step()), number + 1

    def _choice(
        self, number: int, item: Step, chooses: Choose
    ) -> tuple[tuple[str, Node], int] | None:
        """A choice with its branches, as far as these stand below it, one after the other."""
        options = _Options(self.writer, item, self.defaults[number])
        if not options.only("after", "when", "description"):
            return None
        branches: dict[str, list[tuple[str, Node]]] = {}
        number, last = number + 1, None
        while number < len(self.steps):
            branch = self.steps[number].branch
            if branch is None or branch[0] != item.name:
                break
            if branch[1] in branches and branch[1] != last:
                break
            last = branch[1]
            part, number = self._part(number, branch)
            branches.setdefault(last, []).append(part)
        if not branches:
            return None
        shown = [(f"{pretty.text_of(key)}: ", _branch(inside)) for key, inside in branches.items()]
        given = [
            Atom(pretty.text_of(item.name)),
            self.writer.function(chooses.by, item.name, "choice"),
            Items("{", shown, "}"),
        ]
        node = call(self.names.ours("choice"), *given, **options.nodes())
        return ("*", node), number


def _branch(inside: list[tuple[str, Node]]) -> Node:
    alone = len(inside) == 1 and not inside[0][0]
    return inside[0][1] if alone else Items("[", inside, "]")


class _Options:
    """One step: what it does, and its options that are not as they are by default."""

    def __init__(self, writer: _Writer, item: Step, default: tuple[str, ...] | None) -> None:
        self.writer = writer
        self.ours = writer.names.ours
        self.item = item
        self.given: dict[str, Any] = {}
        for field in _fields(Step)[2:]:
            value = getattr(item, field.name)
            usual = default if field.name == "after" else field.default
            if field.name != "branch" and not (type(value) is type(usual) and value == usual):
                self.given[field.name] = value

    def add(self, name: str, value: Any) -> None:
        self.given[name] = value

    def only(self, *names: str) -> bool:
        """Whether it has no other options than these."""
        return self.given.keys() <= set(names)

    def nodes(self, *without: str) -> dict[str, Node]:
        made = {}
        for name, value in self.given.items():
            if name in without:
                continue
            if name == "after":
                value = value[0] if len(value) == 1 else value
            made[name] = self._node(name, value)
        return made

    def _node(self, name: str, value: Any) -> Node:
        if callable(value):
            return self.writer.function(value, self.item.name, name)
        return self.writer.number(value, f"{self.item.name}_{name}")

    def step(self) -> Node:
        match self.item.action:
            case Wait() as wait:
                return self._waits(wait)
            case Nested() as inside:
                return self._nested(inside)
            case ForEach() as each:
                return self._for_each(each)
            case Choose(by=by):
                return self._special(Choose, by=self._node("choice", by))
        name = callable_name(self.item.action)
        action = self._node("action", self.item.action)
        head = "pivot" if self.item.pivot else "step"
        named = {} if name == self.item.name else {"name": self._name()}
        undo = self.nodes() if "compensation" in self.given else {}
        front = {"compensation": undo["compensation"]} if undo else {}
        return call(
            self.ours(head), action, **named, **front, **self.nodes("compensation", "pivot")
        )

    def _name(self) -> Node:
        return Atom(pretty.text_of(self.item.name))

    def _special(self, kind: type[Any], **parts: Node) -> Node:
        """A step with options that the function made for its kind does not have."""
        made = call(self.ours(kind.__name__), **parts)
        return call(self.ours("step"), made, name=self._name(), **self.nodes())

    def _waits(self, wait: Wait) -> Node:
        parts: dict[str, Node] = {}
        if wait.correlate is not None:
            parts["correlate"] = self._node("correlate", wait.correlate)
        if wait.timeout is not None:
            parts["timeout"] = self._node("timeout", wait.timeout)
        timer = wait.event is None and wait.on_timeout == "continue" and list(parts) == ["timeout"]
        if timer and self.only("after", "when", "description"):
            return call(self.ours("timer"), self._name(), parts["timeout"], **self.nodes())
        if wait.on_timeout != "fail":
            parts["on_timeout"] = Atom(pretty.text_of(wait.on_timeout))
        event = Atom(pretty.text_of(wait.event or ""))
        known = ("compensation", "after", "when", "pivot", "service", "description")
        if wait.event is None or not self.only(*known):
            if isinstance(wait.timeout, float):  # nothing makes a float of it here
                parts["timeout"] = Atom(_float(wait.timeout))
            return self._special(Wait, **({} if wait.event is None else {"event": event}), **parts)
        named = {} if wait.event == self.item.name else {"name": self._name()}
        return call(self.ours("await_event"), event, **parts, **named, **self.nodes())

    def _nested(self, inside: Nested) -> Node:
        saga = Atom(self.writer.declare(inside.saga))
        parts = {} if inside.input is None else {"input": self._node("input", inside.input)}
        if not self.only("after", "when", "pivot", "retry", "service", "description"):
            return self._special(Nested, saga=saga, **parts)
        named = {} if inside.saga.name == self.item.name else {"name": self._name()}
        return call(self.ours("sub_saga"), saga, **parts, **named, **self.nodes())

    def _for_each(self, each: ForEach) -> Node:
        items = self._node("items", each.items)
        body = self._body(each.body)
        limit = {} if each.limit == 10 else {"limit": Atom(repr(each.limit))}
        if not self.only("after", "when", "pivot", "service", "description"):
            return self._special(ForEach, items=items, body=body, **limit)
        given = [self._name(), items, body]
        return call(self.ours("for_each"), *given, **limit, **self.nodes())

    def _body(self, body: Step) -> Node:
        options = _Options(self.writer, body, None)
        if body.branch is not None:
            options.add("branch", body.branch)
        inside = body.action
        if not isinstance(inside, Nested) or inside.input is not None or options.given:
            return options.step()
        named = inside.saga.name == body.name
        return Atom(self.writer.declare(inside.saga)) if named else options.step()


# -- what stands above ----------------------------------------------------------------------


def _imports(imports: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """The lines that import, as formatters sort them."""
    for name, alias in imports.get("", {}).items():
        yield f"import {name}" + ("" if alias == name else f" as {alias}")
    for module in sorted(filter(None, imports)):
        names = imports[module]
        shown = [
            name if alias == name else f"{name} as {alias}"
            for name, alias in sorted(names.items(), key=lambda pair: _import_order(pair[0]))
        ]
        line = f"from {module} import {', '.join(shown)}"
        if len(line) <= pretty.WIDTH:
            yield line
        else:
            inner = "".join(f"    {name},\n" for name in shown)
            yield f"from {module} import (\n{inner})"


def _import_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions."""
    group = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return group, name


def _comments(names: _Names) -> Iterator[str]:
    unnamed = sorted(names.scope.keys() - names.defined)
    if names.defined:
        yield _comment(f"Defined beside it: {', '.join(sorted(names.defined))}")
    if unnamed:
        yield _comment(f"To be given these names before it runs: {', '.join(unnamed)}")


def _comment(text: str) -> str:
    return "\n".join(
        textwrap.wrap(text, pretty.WIDTH, initial_indent="# ", subsequent_indent="#   ")
    )
