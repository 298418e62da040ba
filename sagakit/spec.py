"""The YAML form of a saga, as plain data: it knows names and numbers, never callables.

``parse`` reads text and reports every problem with its line; ``dump`` writes it back. Nothing is
imported or evaluated: a callable is a *name*, which ``Saga.from_yaml`` looks up among those given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sagakit.errors import DefinitionError

_MAX_NODES = 1_000_000  # a file that unfolds (through aliases) into more is refused


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
        names = tuple(item if isinstance(item, str) else item.__name__ for item in on)
        msgspec.structs.force_setattr(self, "on", names)
        for field in ("wait", "backoff", "max_wait", "jitter"):  # 1 and 1.0 are one value
            value = getattr(self, field)
            if type(value) is int:
                msgspec.structs.force_setattr(self, field, float(value))

    def problems(self) -> list[str]:
        """What is wrong with these numbers, each with its cure."""
        found = []
        if self.attempts < 1:
            found.append(f"attempts is {self.attempts}; it counts the first one, give 1 or more")
        for field in ("wait", "max_wait"):
            if not _seconds(getattr(self, field)):
                found.append(f"{field} is {getattr(self, field)}; give seconds, 0 or more")
        if not (math.isfinite(self.backoff) and 1 <= self.backoff <= 1000):
            found.append(f"backoff is {self.backoff}; give a factor from 1 to 1000")
        if not 0 <= self.jitter <= 1:
            found.append(f"jitter is {self.jitter}; give a share from 0 to 1")
        return found

    def covers(self, exception: BaseException) -> bool:
        """Whether the policy retries this exception (by the names of its classes)."""
        return not self.on or any(kind.__name__ in self.on for kind in type(exception).__mro__)

    def delay(self, failures: int, chance: float) -> float:
        """Seconds to wait after the ``failures``-th failure; ``chance`` is a number in [0, 1)."""
        exponent = min(failures - 1, 100)  # beyond it max_wait holds, and floats overflow
        wait = min(self.max_wait, self.wait * self.backoff**exponent)
        return wait * (1.0 - self.jitter * chance)


def _seconds(value: float) -> bool:
    return math.isfinite(value) and value >= 0


class Simulated(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A stand-in for an action or compensation that is not written yet: it takes ``latency``
    seconds and returns ``result``. It is a callable like any other."""

    name: str = ""
    latency: float = 0.0
    result: Any = None

    def __post_init__(self) -> None:
        if type(self.latency) is int:
            msgspec.structs.force_setattr(self, "latency", float(self.latency))

    def __call__(self) -> Any:
        return self._wait() if self.latency else self.result

    async def _wait(self) -> Any:
        import asyncio

        await asyncio.sleep(self.latency)
        return self.result


class StepSpec(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    kw_only=True,
    rename={"name": "step"},
):
    """One entry under ``steps:``. A name stands for a callable; a mapping simulates one."""

    name: str
    action: str | Simulated | None = None
    compensation: str | Simulated | None = None
    after: str | tuple[str, ...] | None = None
    when: bool | str | None = None
    pivot: bool = False
    retry: Retry | None = None
    timeout: float | None = None
    compensation_retry: Retry | None = None
    compensation_timeout: float | None = None
    reconcile: str | Simulated | None = None
    idempotent: bool = False
    service: str | None = None
    description: str = ""


class SagaSpec(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    kw_only=True,
    rename={"name": "saga", "input_schema": "input"},
):
    """The whole document."""

    name: str
    version: str | None = None
    description: str = ""
    input_schema: dict[str, Any] | None = None
    deadline: float | None = None
    steps: tuple[StepSpec, ...] = ()


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the YAML form, as written to ``data/saga.schema.json``."""
    schema = msgspec.json.schema(SagaSpec)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "A sagakit saga"
    return schema


def nearest(name: str, known: Iterable[str]) -> str:
    """``" (did you mean 'x'?)"``, or nothing when no known name is near."""
    import difflib

    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


# -- reading --------------------------------------------------------------------------------


def parse(text: str, source: str = "the YAML text") -> SagaSpec:
    """Read the YAML form.

    Parameters:
        text: the document.
        source: what the error messages call it, a file's name for instance.

    Raises:
        DefinitionError: the text is not YAML, not a mapping, or has unknown or mistyped keys:
            every one of them, with its line.
    """
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise DefinitionError(source, [f"is not YAML: {_one_line(error)}"]) from None
    if not isinstance(node, yaml.MappingNode):
        found = "is empty" if node is None else "is not a mapping"
        raise DefinitionError(source, [f"{found}; begin with 'saga: NAME' and 'steps:'"])
    try:
        return _Reader(yaml, source).read(node)
    except yaml.YAMLError as error:
        raise DefinitionError(source, [f"is not YAML: {_one_line(error)}"]) from None
    except RecursionError:
        raise DefinitionError(source, ["is nested too deeply"]) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


class _Reader:
    """Turns YAML nodes into a SagaSpec and collects the problems, each with its line."""

    def __init__(self, yaml: Any, source: str) -> None:
        self.yaml = yaml
        self.source = source
        self.problems: list[str] = []
        self._count = 0

    def read(self, node: Any) -> SagaSpec:
        self._guard(node, ())
        if self.problems:
            raise DefinitionError(self.source, self.problems)
        fields = self._fields(node, SagaSpec, "the saga")
        steps_node = fields.pop("steps", None)
        steps = self._steps(steps_node)
        head = self._convert(node, fields, SagaSpec, "the saga")
        if self.problems or head is None:
            raise DefinitionError(self.source, self.problems)
        spec: SagaSpec = msgspec.structs.replace(head, steps=tuple(steps))
        return spec

    def _guard(self, node: Any, above: tuple[int, ...]) -> None:
        """Refuse a document whose aliases unfold without end or without measure."""
        self._count += 1
        if self._count > _MAX_NODES or id(node) in above:
            if not self.problems:
                self.problems.append(
                    f"{self._line(node)}: aliases unfold into too much; write it out"
                )
            return
        if isinstance(node, self.yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        elif isinstance(node, self.yaml.SequenceNode):
            children = node.value
        else:
            return
        for child in children:
            if self.problems:
                return
            self._guard(child, (*above, id(node)))

    def _steps(self, node: Any) -> list[StepSpec]:
        if node is None:
            return []
        if not isinstance(node, self.yaml.SequenceNode):
            self.problems.append(f"{self._line(node)}: 'steps' must be a list of mappings")
            return []
        found = []
        for number, item in enumerate(node.value, 1):
            if not isinstance(item, self.yaml.MappingNode):
                self.problems.append(
                    f"{self._line(item)}: step {number} must be a mapping such as '- step: NAME'"
                )
                continue
            place = self._place(item, number)
            step = self._convert(item, self._fields(item, StepSpec, place), StepSpec, place)
            if step is not None:
                found.append(step)
        return found

    def _place(self, item: Any, number: int) -> str:
        for key, value in item.value:
            if key.value == "step" and isinstance(value, self.yaml.ScalarNode):
                return f"step '{value.value}'"
        return f"step {number}"

    def _fields(self, node: Any, kind: type[msgspec.Struct], place: str) -> dict[str, Any]:
        """The known keys of a mapping as nodes; unknown and repeated ones become problems."""
        known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, self.yaml.ScalarNode) else "?"
            if name not in known:
                near = nearest(name, known)
                self.problems.append(
                    f"{self._line(key)}: {place} has an unknown key '{name}'{near}"
                )
            elif name in found:
                self.problems.append(f"{self._line(key)}: {place} has the key '{name}' twice")
            else:
                found[name] = value
        return found

    def _convert(
        self, node: Any, fields: Mapping[str, Any], kind: type[Any], place: str
    ) -> Any | None:
        plain = {}
        before = len(self.problems)
        for name, value in fields.items():
            inner = _INNER.get(name)
            if inner and kind is StepSpec and isinstance(value, self.yaml.MappingNode):
                self._fields(value, inner, f"{place}: {name}")
            # 'version: 1.10' means the text, not a number
            is_text = name == "version" and isinstance(value, self.yaml.ScalarNode)
            plain[name] = value.value if is_text else self._plain(value)
        if len(self.problems) > before:
            return None
        try:
            return msgspec.convert(plain, kind)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at ")
            key = path.strip("`$.").split(".")[0].split("[")[0]
            line = self._line(fields.get(key, node))
            where = f"{place}, '{path.strip('`')[2:]}'" if key else place
            self.problems.append(f"{line}: {where}: {message[0].lower()}{message[1:]}")
            return None

    def _plain(self, node: Any) -> Any:
        if node.tag.startswith("!"):
            self.problems.append(f"{self._line(node)}: the tag '{node.tag}' is not allowed")
        loader = self.yaml.SafeLoader("")
        try:
            return loader.construct_document(node)
        finally:
            loader.dispose()

    @staticmethod
    def _line(node: Any) -> str:
        return f"line {node.start_mark.line + 1}"


_INNER: dict[str, type[msgspec.Struct]] = {
    "retry": Retry,
    "compensation_retry": Retry,
    "action": Simulated,
    "compensation": Simulated,
    "reconcile": Simulated,
}


# -- writing --------------------------------------------------------------------------------


def dump(spec: SagaSpec) -> str:
    """Write the YAML form, keys in the order of the declaration, defaults left out."""
    import yaml

    plain = msgspec.to_builtins(spec)
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    return text
