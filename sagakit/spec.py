"""The YAML form of a saga, as plain data: it knows names and numbers, never callables.

``parse`` reads text and reports every problem with its line; ``dump`` writes it back. Nothing is
imported or evaluated: a callable is a *name*, which ``Saga.from_yaml`` looks up among those given,
or it is data: a connector (``{http: …}``) or an expression (``{cel: …}``), see ``connectors``.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import inspect
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import msgspec

from sagakit.connectors import forms
from sagakit.connectors.cel import Cel
from sagakit.errors import DefinitionError, Problem
from sagakit.quantities import is_seconds, number
from sagakit.resilience import POLICIES, Service

_MAX_NODES = 1_000_000  # a file that unfolds (through aliases) into more is refused
_MAX_DEPTH = 100
_T = TypeVar("_T", bound=msgspec.Struct)


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often an attempt is repeated, and how long to wait in between.

    Attempt ``n`` is followed by a wait of ``wait * backoff ** (n - 1)`` seconds, at most
    ``max_wait``, of which the share ``jitter`` is random (AWS Architecture Blog, "Exponential
    Backoff and Jitter": 1.0 is full jitter, 0.5 equal jitter).

    Parameters:
        attempts: how many attempts in all, the first included; a retriable step has no limit.
        wait: seconds before the second attempt.
        backoff: the factor by which the wait grows.
        max_wait: the longest wait, in seconds.
        jitter: the share of each wait that is random, 0 to 1.
        on: exception classes (or their names) that are retried; empty means every one. What
            is not retried ends the step. ``TerminalError`` is never retried.
    """

    attempts: int = 1
    wait: float = 0.0
    backoff: float = 2.0
    max_wait: float = 60.0
    jitter: float = 0.0
    on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        on: Any = self.on
        if not isinstance(on, tuple | list):
            on = (on,)
        names = tuple(_exception_name(item) for item in on)
        msgspec.structs.force_setattr(self, "on", names)
        for field in ("wait", "backoff", "max_wait", "jitter"):
            msgspec.structs.force_setattr(self, field, number(getattr(self, field)))

    def problems(self) -> list[Problem]:
        """What is wrong with these numbers, each with its cure."""
        found = []
        if type(self.attempts) is not int:
            found.append(f"attempts is {self.attempts!r}; give a whole number, 1 or more")
        elif self.attempts < 1:
            found.append(f"attempts is {self.attempts}; it counts the first one, give 1 or more")
        for field in ("wait", "max_wait"):
            value = getattr(self, field)
            if not is_seconds(value):
                found.append(f"{field} is {value!r}; give seconds, 0 or more")
        if not (type(self.backoff) is float and 1 <= self.backoff <= 1000):
            found.append(f"backoff is {self.backoff!r}; give a factor from 1 to 1000")
        if not (type(self.jitter) is float and 0 <= self.jitter <= 1):
            found.append(f"jitter is {self.jitter!r}; give a share from 0 to 1")
        found += [
            f"on has {item!r}; give exception classes or their names"
            for item in self.on
            if not isinstance(item, str)
        ]
        return [Problem(text, text.partition(" ")[0]) for text in found]  # they begin with a field

    def covers(self, exception: BaseException) -> bool:
        """Whether the policy retries this exception (by the names of its classes)."""
        return not self.on or any(kind.__name__ in self.on for kind in type(exception).__mro__)

    def delay(self, failures: int, chance: float) -> float:
        """Seconds to wait after the ``failures``-th failure; ``chance`` is a number in [0, 1)."""
        exponent = min(failures - 1, 100)  # beyond it max_wait holds, and floats overflow
        wait = min(self.max_wait, self.wait * self.backoff**exponent)
        return wait * (1.0 - self.jitter * chance)


def _exception_name(item: Any) -> Any:
    is_exception = isinstance(item, type) and issubclass(item, BaseException)
    return item.__name__ if is_exception else item


class Simulated(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A stand-in for an action or compensation that is not written yet: it returns ``result``,
    and every driver lets ``latency`` seconds pass before it is called.

    Parameters:
        name: what it will be called once it is written.
        latency: seconds that pass before it is called.
        result: what it returns; plain data.
    """

    name: str = ""
    latency: float = 0.0
    result: Any = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "latency", number(self.latency))

    def __call__(self) -> Any:
        return self.result


class WaitSpec(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """What a step waits for: an event from outside, a time in seconds, or either.

    Parameters:
        event: the event's name; left out: it waits only for the time.
        correlate: a function that gives what a signal finds this wait by, such as an order's
            number; left out: the execution's id.
        timeout: seconds, or a function that gives them when the wait begins.
        on_timeout: what follows when the time is up: the step fails, or it goes on without a
            result. Left out: it fails if it waits for an event.
    """

    event: str | None = None
    correlate: str | Simulated | None = None
    timeout: float | str | Simulated | None = None
    # left out: "fail" with an event; without one there is nothing to fail for the want of
    on_timeout: Literal["fail", "continue"] | None = None


class StepSpec(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    kw_only=True,
    rename={"name": "step"},
):
    """One entry under ``steps:``. A name stands for a callable; a mapping simulates one.

    Parameters:
        step: the step's name, once in a saga.
        action: what the step does; left out: the action that has the step's name.
        wait: the step waits for an event, or for a time, instead of doing something.
        choice: a function that gives the name of the branch that is run; those of the other
            branches are skipped.
        saga: the step runs a whole saga, in an execution of its own.
        input: a function that gives the inner saga its input; left out: the outer one's.
        for_each: the step is done once for each item of a list, several at once.
        branch: the step that chooses, and the name of the branch this step belongs to.
        compensation: undoes the action; it must accept that the action never ran.
        after: the steps it waits for; left out: the step above it; an empty list: none.
        when: a function that says whether the step is run; if it is false the step is skipped.
        pivot: the point of no return: once this step has succeeded nothing is undone.
        retry: how often the action is tried; left out: once (after the pivot: until it succeeds).
        timeout: seconds after which an attempt counts as in doubt.
        compensation_retry: how often the compensation is tried; left out: three times.
        compensation_timeout: seconds after which an attempt to compensate counts as failed.
        reconcile: asked when the step is in doubt, whether its effect happened.
        idempotent: the action may be repeated with the same key without doing it twice.
        service: who owns the step; what protects it stands with the saga's services.
        read: the action only reads: it has no effect and nothing to undo.
        description: one sentence for people.
    """

    name: str
    action: str | Simulated | None = None
    wait: WaitSpec | None = None
    choice: str | Simulated | None = None
    saga: SagaSpec | None = None
    input: str | Simulated | None = None
    for_each: ForEachSpec | None = None
    branch: tuple[str, str] | None = None
    compensation: str | Simulated | None = None
    after: str | tuple[str, ...] | None = None
    when: bool | str | Simulated | None = None
    pivot: bool = False
    retry: Retry | None = None
    timeout: float | None = None
    compensation_retry: Retry | None = None
    compensation_timeout: float | None = None
    reconcile: str | Simulated | None = None
    idempotent: bool = False
    service: str | None = None
    read: bool = False
    description: str = ""


class ForEachSpec(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """What is done for each of several items, and where these come from.

    Parameters:
        items: a function that gives the list when the step begins; it may be empty.
        step: what is done for an item, which is its input.
        limit: how many items are worked on, or undone, at once.
    """

    items: str | Simulated
    step: StepSpec
    limit: int = 10


class SagaSpec(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    kw_only=True,
    rename={"name": "saga", "input_schema": "input"},
):
    """The whole document.

    Parameters:
        saga: the saga's name.
        version: raise it when you change the steps; an execution stays with the version it began.
        description: one sentence for people.
        input: the JSON Schema that every input must fit.
        deadline: seconds from the beginning after which it turns back, if the pivot has not
            succeeded by then.
        services: how the services are called that the steps name.
        redact: names of fields whose values are never shown: in pictures, tables, logs or traces.
        steps: the steps, in the order in which they are read.
    """

    name: str
    version: str | None = None
    description: str = ""
    input_schema: dict[str, Any] | None = None
    deadline: float | None = None
    services: tuple[Service, ...] = ()
    redact: tuple[str, ...] = ()
    steps: tuple[StepSpec, ...] = ()


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the YAML form, as written to ``data/saga.schema.json``."""
    schema = msgspec.json.schema(SagaSpec)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "A sagakit saga"
    # 'version: 1.10' is read as the text that it is written as
    schema["$defs"]["SagaSpec"]["properties"]["version"]["anyOf"].append({"type": "number"})
    parts, refs = forms.schema_parts()
    schema["$defs"] |= parts
    for kind, roles in _ROLES.items():
        properties = schema["$defs"][kind.__name__]["properties"]
        for role in roles:
            place = properties[role]["anyOf"]
            place[:] = [*place, *refs[role]]
    for definition in schema["$defs"].values():
        _describe_options(definition)
    return schema


def _describe_options(definition: dict[str, Any]) -> None:
    """Give each option the sentence that the docstring's ``Parameters`` have for it."""
    options = definition["properties"]
    text = inspect.cleandoc(definition.pop("description", ""))  # some versions of msgspec do it
    prose, _, listed = text.partition("\n\nParameters:\n")
    for name, sentence in re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", listed, re.MULTILINE):
        # ``name`` is written as the word for what it names, the first key: ``service: bank``
        key = name if name in options else next(iter(options))
        options[key]["description"] = " ".join(sentence.split())
    definition["description"] = prose


def _known(message: str, kind: type[Any], keys: Sequence[str]) -> str:
    """The cure where a word is none of a few that a field of a struct takes."""
    wrong = re.match("Invalid enum value '(.*)'", message)
    types = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    parts = (types[keys[0]], *get_args(types[keys[0]])) if len(keys) == 1 else ()  # X, or X | None
    words = [word for part in parts for word in get_args(part) if isinstance(word, str)]
    if wrong is None or not words:
        return ""
    return nearest(wrong[1], words) or f"; known are {', '.join(words)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """``" (did you mean 'x'?)"``, or nothing when no known name is near."""
    import difflib

    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


# -- reading --------------------------------------------------------------------------------


def as_path(text_or_path: str | os.PathLike[str]) -> Path | None:
    """The path, where it is one (or one line that ends in .yaml or .yml); None for a text."""
    if isinstance(text_or_path, str):
        one_line = "\n" not in text_or_path.strip()
        if not (one_line and text_or_path.strip().endswith((".yaml", ".yml"))):
            return None
    return Path(text_or_path)


def read_text(path: Path) -> str:
    """The file's text; DefinitionError where it is not UTF-8, OSError where it cannot be read."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise DefinitionError(str(path), [f"is not UTF-8 text (byte {error.start})"]) from None


def plain(node: Any) -> tuple[Any, list[str]]:
    """The plain data that a YAML node holds, and the problems, each with its line: tags, aliases
    without end, repeated keys."""
    return Reader().all_of(node)


def read(text: str, source: str = "the YAML text") -> tuple[Any, SagaSpec | None, list[str]]:
    """Read the YAML form as far as it can be read.

    Parameters:
        text: the document.
        source: what the error messages call it, a file's name for instance.

    Returns:
        The mapping, of which ``line_of`` tells the lines; the document without what could not be
        read (None when whole steps are missing); and every problem with its line: unknown,
        repeated and mistyped keys.

    Raises:
        DefinitionError: the text is not YAML or not a mapping.
    """
    node = compose(text, source, "'saga: NAME' and 'steps:'")
    return node, *SagaReader().read(node)


def line_of(node: Any, path: Iterable[str | int]) -> int:
    """The line of a part of a mapping, from 1, or of the part around it that the text has.

    Parameters:
        path: the keys and numbers that lead to it, as a ``Problem`` has them.
    """
    line = node.start_mark.line
    for part in path:
        if isinstance(part, int):
            if node.id != "sequence" or part >= len(node.value):
                break
            key = node = node.value[part]
        else:
            pairs = node.value if node.id == "mapping" else ()
            found = next((pair for pair in pairs if pair[0].value == part), None)
            if found is None:
                break
            key, node = found
        line = key.start_mark.line
    return int(line) + 1


def with_lines(problems: Iterable[str], node: Any) -> list[str]:
    """The same problems, those that know where they stand with their line in front."""
    return [
        Problem(f"line {line_of(node, problem.path)}: {problem}", *problem.path)
        if isinstance(problem, Problem)
        else problem
        for problem in problems
    ]


def paths(node: Any) -> dict[int, tuple[str | int, ...]]:
    """Where each part of a mapping stands, keys as well as values, by the identity of its node."""
    found: dict[int, tuple[str | int, ...]] = {}
    front: list[tuple[Any, tuple[str | int, ...]]] = [(node, ())]
    while front:
        part, path = front.pop()
        if id(part) in found:
            continue  # an alias; it may even stand within itself
        found[id(part)] = path
        if part.id == "mapping":
            for key, value in part.value:
                below = (*path, key.value if key.id == "scalar" else "?")
                front.append((value, below))
                found.setdefault(id(key), below)
        elif part.id == "sequence":
            front += [(item, (*path, number)) for number, item in enumerate(part.value)]
    return found


def compose(text: str, source: str, beginning: str) -> Any:
    """The mapping that a text is, as a YAML node, which knows its lines.

    Parameters:
        beginning: what such a text begins with, for the error message.

    Raises:
        DefinitionError: the text is not YAML or not a mapping.
    """
    import yaml

    try:
        node = _composed(text, yaml)
    except yaml.YAMLError as error:
        raise DefinitionError(source, [f"is not YAML: {_one_line(error)}"]) from None
    except RecursionError:
        raise DefinitionError(source, ["is nested too deeply; write it flatter"]) from None
    if not isinstance(node, yaml.MappingNode):
        found = "is empty" if node is None else "is not a mapping"
        raise DefinitionError(source, [f"{found}; begin with {beginning}"])
    return node


def _composed(text: str, yaml: Any) -> Any:
    """By libyaml where it is there, some eight times as fast; what is wrong PyYAML says better."""
    if hasattr(yaml, "CSafeLoader"):
        with contextlib.suppress(yaml.YAMLError):
            return yaml.compose(text, Loader=yaml.CSafeLoader)
    return yaml.compose(text, Loader=yaml.SafeLoader)


def parse(text: str, source: str = "the YAML text") -> SagaSpec:
    """Read the YAML form; DefinitionError lists every problem with its line."""
    _, document, found = read(text, source)
    if document is None or found:
        raise DefinitionError(source, found)
    return document


def _one_line(error: Exception) -> str:
    return " ".join(str(error).replace(' in "<unicode string>",', " in").split())


class Reader:
    """Turns YAML nodes into plain structs and collects the problems, each with its line."""

    def __init__(self) -> None:
        import yaml

        self.yaml: Any = yaml
        self.problems: list[str] = []
        self._count = 0
        self._loader: Any = yaml.SafeLoader("")
        self._whole: Any = None
        self._parts: list[tuple[Any, Any]] = []  # nodes that were made of the text's own

    def all_of(self, node: Any) -> tuple[Any, list[str]]:
        """All of it as it is written, whatever its keys are."""
        self._guard(node, ())
        if not self.problems:
            self._repeated(node)
        return (None if self.problems else self._plain(node)), self.problems

    def _repeated(self, node: Any) -> None:
        if isinstance(node, self.yaml.ScalarNode):
            return
        seen = set()
        for child in node.value:
            key, value = child if isinstance(child, tuple) else (None, child)
            if key is not None and isinstance(key.value, str):
                if key.value in seen:
                    self._say(key, f"has '{key.value}' twice; keep one")
                seen.add(key.value)
            self._repeated(value)

    def _guard(self, node: Any, above: tuple[int, ...]) -> None:
        """Refuse aliases that unfold without end or measure, and every tag beyond plain data."""
        if not above:
            self._whole = node
        self._count += 1
        if self._count > _MAX_NODES or id(node) in above:
            self._stop(node, "aliases unfold into too much; write it out")
        elif len(above) > _MAX_DEPTH:
            self._stop(node, "is nested too deeply; write it flatter")
        elif node.tag not in _TAGS:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._say(node, f"the tag '{tag}' is not allowed; give plain values")
        elif not isinstance(node, self.yaml.ScalarNode):
            for child in node.value:
                for part in child if isinstance(child, tuple) else (child,):
                    if self._count <= _MAX_NODES:
                        self._guard(part, (*above, id(node)))

    def _stop(self, node: Any, problem: str) -> None:
        self._say(node, problem)
        self._count = _MAX_NODES + 1

    def _list(self, node: Any, kind: type[_T], key: str, word: str) -> list[_T] | None:
        """The mappings of a list such as ``steps:``; None where one could not be read."""
        if node is None:
            return []
        if not isinstance(node, self.yaml.SequenceNode):
            self._say(node, f"'{key}' must be a list of '- {word}: NAME'")
            return None
        found: list[_T] = []
        for count, item in enumerate(node.value, 1):
            if not isinstance(item, self.yaml.MappingNode):
                self._say(item, f"{word} {count} must be a mapping such as '- {word}: NAME'")
                continue
            place = self._place(item, word, count)
            part = self._part(item, kind, place)
            if part is not None:
                found.append(part)
        return found if len(found) == len(node.value) else None

    def _part(self, item: Any, kind: type[Any], place: str) -> Any | None:
        return self._convert(item, self._fields(item, kind, place), kind, place)

    def _place(self, item: Any, word: str, count: int) -> str:
        for key, value in item.value:
            if key.value == word and isinstance(value, self.yaml.ScalarNode):
                return f"{word} '{value.value}'"
        return f"{word} {count}"

    def _fields(
        self, node: Any, kind: type[msgspec.Struct], place: str, more: Iterable[str] = ()
    ) -> dict[str, Any]:
        """The known keys of a mapping as nodes; unknown and repeated ones become problems.

        Parameters:
            more: keys that could stand there alone instead, for the cure.
        """
        known = kind.__struct_encode_fields__
        hints = (*known, *more)
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, self.yaml.ScalarNode) else "?"
            if name not in known:
                cure = nearest(name, hints) or f"; drop it (known are {', '.join(hints)})"
                self._say(key, f"{place} has an unknown key '{name}'{cure}")
            elif name in found:
                self._say(key, f"{place} has the key '{name}' twice; keep one")
            else:
                found[name] = value
        return found

    def _convert(
        self,
        node: Any,
        fields: Mapping[str, Any],
        kind: type[Any],
        place: str,
        *,
        named: bool = True,
    ) -> Any | None:
        """The struct, without the fields that do not fit; None without its name.

        Parameters:
            named: its first field is its name, which must be there.
        """
        plain = {name: self._field(kind, name, value, place) for name, value in fields.items()}
        plain = {name: value for name, value in plain.items() if value is not _UNREADABLE}
        required = kind.__struct_encode_fields__[0]
        if named and required not in fields:
            self._say(node, f"{place} has no name; add '{required}: NAME'")
            return None
        while required in plain or not named:
            try:
                return msgspec.convert(plain, kind)
            except msgspec.ValidationError as error:
                message, _, path = str(error).partition(" - at ")
                lacks = re.match(r"Object missing required field `(\w+)`", message)
                if lacks and not path:
                    lacking = f"{place} has no '{lacks[1]}'; add '{lacks[1]}: …'"
                    self._say(node, lacking)
                    return None
                keys = re.findall(r"\w+", path.rpartition("$")[2]) or [required]
                at = fields[keys[0]]
                self._say(
                    at,
                    f"{place}, '{'.'.join(keys)}': "
                    f"{message[0].lower()}{message[1:]}{self._quotes(message, at)}"
                    f"{_known(message, kind, keys)}",
                    *(int(key) if key.isdigit() else key for key in keys[1:]),
                )
                del plain[keys[0]]
        return None

    def _quotes(self, message: str, node: Any) -> str:
        """The cure where YAML takes a word for something else: yes, null, 1.0."""
        wants_text = re.match(r"Expected `[^`]*\bstr\b", message)
        is_word = wants_text and isinstance(node, self.yaml.ScalarNode)
        return f'; write it in quotes: "{node.value}"' if is_word else ""

    def _field(self, kind: type[Any], name: str, node: Any, place: str) -> Any:  # noqa: ARG002
        return self._plain(node)

    def _plain(self, node: Any) -> Any:
        try:
            return self._loader.construct_document(node)
        except self.yaml.YAMLError as error:
            problem = _one_line(error)
        except ValueError as error:  # a date or a number that there is not
            problem = str(error).partition(";")[0]
        self._say(node, f"cannot be read: {problem}")
        return _UNREADABLE

    def _say(self, node: Any, text: str, *inside: str | int) -> None:
        """A problem of what stands there, or of what is ``inside`` it."""
        whole = next((whole for part, whole in self._parts if part is node), node)
        path = self._paths.get(id(whole), ())
        line = f"line {node.start_mark.line + 1}"
        self.problems.append(Problem(f"{line}: {text}", *path, *inside))

    @functools.cached_property
    def _paths(self) -> dict[int, tuple[str | int, ...]]:
        return paths(self._whole)  # only a text with problems needs them


class SagaReader(Reader):
    """Turns a YAML node into a SagaSpec."""

    plain = False  # whether all of the node, once read, is plain data of a finite size

    def read(self, node: Any) -> tuple[SagaSpec | None, list[str]]:
        self._guard(node, ())
        self.plain = not self.problems
        saga = self._saga(node, "the saga") if self.plain else None
        return saga, self.problems

    def _saga(self, node: Any, place: str) -> SagaSpec | None:
        if not isinstance(node, self.yaml.MappingNode):
            self._say(node, f"{place} must be a mapping, 'saga: NAME' and 'steps:'")
            return None
        fields = self._fields(node, SagaSpec, place)
        services = self._list(fields.pop("services", None), Service, "services", "service")
        steps = self._list(fields.pop("steps", None), StepSpec, "steps", "step")
        head = self._convert(node, fields, SagaSpec, place)
        if head is None or steps is None:
            return None
        saga: SagaSpec = msgspec.structs.replace(
            head, services=tuple(services or ()), steps=tuple(steps)
        )
        return saga

    def _part(self, item: Any, kind: type[Any], place: str) -> Any | None:
        return self._step(item, place) if kind is StepSpec else super()._part(item, kind, place)

    def _step(self, item: Any, place: str) -> StepSpec | None:
        fields = self._fields(item, StepSpec, place)
        saga, each = fields.pop("saga", None), fields.pop("for_each", None)
        data = self._take_data(fields, StepSpec, place)
        waits: dict[str, Any] = {}
        if isinstance(fields.get("wait"), self.yaml.MappingNode):
            fields["wait"], waits = self._split_wait(fields["wait"], place)
        step: StepSpec | None = self._convert(item, fields, StepSpec, place)
        if step is not None and waits and step.wait is not None:
            data["wait"] = msgspec.structs.replace(step.wait, **waits)
        step = step and msgspec.structs.replace(step, **data)
        if saga is not None:
            inner = self._saga(saga, f"{place}: saga")
            step = step and msgspec.structs.replace(step, saga=inner)
        if each is not None:
            step = step and msgspec.structs.replace(
                step, for_each=self._for_each(each, f"{place}: for_each")
            )
        return step

    def _split_wait(self, node: Any, place: str) -> tuple[Any, dict[str, Any]]:
        """A wait without its expressions, and these."""
        fields = {key.value: value for key, value in node.value}
        data = self._take_data(fields, WaitSpec, f"{place}: wait")
        rest = [pair for pair in node.value if pair[0].value in fields]
        made = self.yaml.MappingNode(node.tag, rest, node.start_mark, node.end_mark)
        self._parts.append((made, node))
        return made, data

    def _take_data(self, fields: dict[str, Any], kind: type[Any], place: str) -> dict[str, Any]:
        """The connectors and expressions among these fields, which are taken out of them."""
        found: dict[str, Any] = {}
        for role in _ROLES[kind]:
            node = fields.get(role)
            if isinstance(node, self.yaml.MappingNode) and _kinds_in(node):
                del fields[role]
                found[role] = self._data(node, role, f"{place}: {role}")
        return {role: value for role, value in found.items() if value is not None}

    def _data(self, node: Any, role: str, place: str) -> Any:
        """The connector or expression that a mapping is; None where it cannot be read."""
        (kind, *others), allowed = _kinds_in(node), forms.ROLES[role]
        rest = [key.value for key, _ in node.value if key.value != kind]
        if rest or others:
            text = f"{place} has {kind} and {rest[0]}; keep one of them"
        elif kind not in allowed:
            text = f"{place} cannot be '{kind}'; give {' or '.join(allowed)}, or a name"
        else:
            return self._data_of(kind, node.value[0][1], f"{place}: {kind}")
        self._say(node, text)
        return None

    def _data_of(self, kind: str, node: Any, place: str) -> Any:
        if kind == forms.CEL:
            if isinstance(node, self.yaml.ScalarNode):
                return Cel(node.value)
            self._say(node, f"{place} must be text, an expression in CEL")
            return None
        if not isinstance(node, self.yaml.MappingNode):
            self._say(node, f"{place} must be a mapping with its options")
            return None
        struct = forms.CONNECTORS[kind]
        made = self._convert(node, self._fields(node, struct, place), struct, place, named=False)
        return forms.form(made)

    def _for_each(self, node: Any, place: str) -> ForEachSpec | None:
        if not isinstance(node, self.yaml.MappingNode):
            self._say(node, f"{place} must be a mapping, 'items: NAME' and 'step:'")
            return None
        fields = self._fields(node, ForEachSpec, place)
        named = "items" not in fields
        data = self._take_data(fields, ForEachSpec, place)
        body = fields.pop("step", None)
        if not isinstance(body, self.yaml.MappingNode):
            self._say(body or node, f"{place} needs 'step:', a mapping with 'step: NAME'")
            return None
        step = self._step(body, self._place(body, "step", 1))
        head = self._convert(node, fields, _ForEachHead, place, named=named)
        if head is None or step is None:
            return None
        return ForEachSpec(items=data.get("items", head.items), limit=head.limit, step=step)

    def _field(self, kind: type[Any], name: str, node: Any, place: str) -> Any:
        if kind is SagaSpec and name == "version" and node.tag in _VERSION_TAGS:
            return node.value  # 'version: 1.10' means the text, not a number
        inner = INNER.get(kind, {}).get(name)
        if inner is None or not isinstance(node, self.yaml.MappingNode):
            return super()._field(kind, name, node, place)
        kinds = forms.ROLES.get(name, ()) if inner is Simulated else ()
        fields = self._fields(node, inner, f"{place}: {name}", kinds)
        # keys are words here, even 'on', which YAML alone takes for true
        plain = {key: self._plain(value) for key, value in fields.items()}
        return {key: value for key, value in plain.items() if value is not _UNREADABLE}


class _ForEachHead(msgspec.Struct, kw_only=True):
    """``ForEachSpec`` but for its step, which is read apart."""

    items: str | Simulated = ""
    limit: int = 10


def _kinds_in(node: Any) -> list[str]:
    """The kinds of connector or expression that a mapping names."""
    known = (*forms.CONNECTORS, forms.CEL)
    return [key.value for key, _ in node.value if key.value in known]


_UNREADABLE = object()
_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map", "merge", "value")
}
_VERSION_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "timestamp")}
# The fields in which a connector or an expression can stand, by the struct that has them.
_ROLES: dict[type[msgspec.Struct], tuple[str, ...]] = {
    StepSpec: ("action", "compensation", "reconcile", "when", "choice", "input"),
    WaitSpec: ("correlate", "timeout"),
    ForEachSpec: ("items",),
}
INNER: dict[type[msgspec.Struct], dict[str, type[msgspec.Struct]]] = {
    StepSpec: {
        "retry": Retry,
        "compensation_retry": Retry,
        "action": Simulated,
        "compensation": Simulated,
        "when": Simulated,
        "reconcile": Simulated,
        "wait": WaitSpec,
        "choice": Simulated,
        "input": Simulated,
    },
    _ForEachHead: {"items": Simulated},
    Service: POLICIES,
}


# -- writing --------------------------------------------------------------------------------


def dump(spec: SagaSpec) -> str:
    """Write the YAML form, keys in the order of the declaration, defaults left out.

    Raises:
        DefinitionError: a simulated result is not plain data and would come back as another.
    """
    found = [
        f"step '{item.name}': the result of its simulated {role} is {function.result!r}; "
        "YAML holds text, numbers, true, false, null, dates, lists and mappings"
        for item in _all_steps(spec)
        for role, function in _roles(item)
        if isinstance(function, Simulated) and not is_plain(function.result)
    ]
    if found:
        raise DefinitionError(f"saga '{spec.name}'", found)
    return written(spec)


def written(document: msgspec.Struct) -> str:
    """A document as YAML."""
    return yaml_text(as_plain(document))


def as_plain(document: msgspec.Struct) -> Any:
    """A document as plain data, keys in the order of the declaration, defaults left out."""
    return msgspec.to_builtins(document, builtin_types=(datetime.datetime, datetime.date))


def yaml_text(plain: Any) -> str:
    """Plain data as YAML."""
    import yaml

    text: str = yaml.dump(
        plain, Dumper=_dumper(yaml), sort_keys=False, allow_unicode=True, width=100
    )
    return text


def _all_steps(spec: SagaSpec) -> Iterator[StepSpec]:
    """The steps and those inside them."""
    front = list(spec.steps)
    while front:
        item = front.pop(0)
        yield item
        front += item.saga.steps if item.saga is not None else ()
        front += [item.for_each.step] if item.for_each is not None else []


def _roles(item: StepSpec) -> Iterator[tuple[str, Any]]:
    for role in ("action", "choice", "compensation", "when", "reconcile", "input"):
        yield role, getattr(item, role)
    if item.for_each is not None:
        yield "items", item.for_each.items


def _dumper(yaml: Any) -> Any:
    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        """Writes out what occurs twice: anchors are for machines."""

        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
            return True

    def represent_text(dumper: Any, value: str) -> Any:
        # PyYAML loses the line break \x85 unless it is escaped, as double quotes do
        style = '"' if "\x85" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, represent_text)
    return Dumper


def is_plain(value: Any) -> bool:
    """Whether YAML gives the value back as it is."""
    if isinstance(value, list):
        return type(value) is list and all(map(is_plain, value))
    if isinstance(value, dict):
        return type(value) is dict and all(map(is_plain, (*value, *value.values())))
    return value is None or type(value) in _PLAIN


_PLAIN = (str, int, float, bool, datetime.datetime, datetime.date)
