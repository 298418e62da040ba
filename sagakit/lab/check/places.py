"""Where the steps of a saga are written: the lines of a YAML file, or of a Python file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Way = tuple[str, ...]  # the names of steps, from the outside in; (): the saga's own place

_MAKERS = {
    "add_step", "await_event", "choice", "for_each", "pivot", "step", "sub_saga", "timer",
}  # fmt: skip
_SAGAS = {"Saga", "SagaBuilder"}


class Places:
    """The lines at which a saga's steps are written in a file.

    Parameters:
        file: a YAML or a Python file; None: nothing is known. What cannot be read has no lines.
        saga: the name of the saga, of which a Python file may have several.
        text: the YAML text, where it stands in no file.
    """

    def __init__(self, file: str | Path | None, saga: str, text: str = "") -> None:
        self.file = None if file is None else Path(file).as_posix()
        self._lines: dict[Way, dict[str, int]] = {}
        yaml = self.file is None or self.file.endswith((".yaml", ".yml"))
        if self.file is not None:
            try:
                text = Path(self.file).read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                return
        found = _in_yaml(text) if yaml else _in_python(text, saga)
        for path, key, line in found:
            self._lines.setdefault(path, {}).setdefault(key, line)

    def line(self, path: Way, key: str = "") -> int | None:
        """The line of a step, or of one of its keys; of what is around it, if it has none."""
        while path not in self._lines and path:
            # in Python a step is found by its name, in whatever saga it stands
            path, key = (path[-1:] if path[-1:] in self._lines else path[:-1]), ""
        lines = self._lines.get(path, {})
        return lines.get(key, lines.get(""))


def _in_yaml(text: str) -> Iterator[tuple[Way, str, int]]:
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return
    yield from _saga(node, ())


def _saga(node: Any, path: Way) -> Iterator[tuple[Way, str, int]]:
    yield from _own(node, path)
    steps = _keys(node).get("steps")
    for item in steps.value if steps is not None and steps.id == "sequence" else ():
        yield from _step(item, path)


def _step(node: Any, path: Way) -> Iterator[tuple[Way, str, int]]:
    keys = _keys(node)
    if "step" not in keys:
        return
    inside = (*path, keys["step"].value)
    yield from _own(node, inside)
    if "saga" in keys:
        yield from _saga(keys["saga"], inside)
    if "for_each" in keys and "step" in (each := _keys(keys["for_each"])):
        yield from _step(each["step"], inside)


def _own(node: Any, path: Way) -> Iterator[tuple[Way, str, int]]:
    if node is not None:
        yield path, "", node.start_mark.line + 1
    for key, _ in _pairs(node):
        yield path, key.value, key.start_mark.line + 1


def _keys(node: Any) -> dict[str, Any]:
    return {key.value: value for key, value in _pairs(node)}


def _pairs(node: Any) -> list[tuple[Any, Any]]:
    """What a mapping has under plain keys; nothing of another node, or of none."""
    pairs = node.value if getattr(node, "id", "") == "mapping" else ()
    return [(key, value) for key, value in pairs if key.id == "scalar"]


def _in_python(text: str, saga: str) -> Iterator[tuple[Way, str, int]]:
    """By the calls and decorators that make steps; the saga's own place by its name."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                if _called(mark.func if isinstance(mark, ast.Call) else mark) in _MAKERS:
                    yield (node.name,), "", node.lineno
        if not isinstance(node, ast.Call) or not (name := _name(node)):
            continue
        if _called(node.func) in _MAKERS:
            yield (name,), "", node.lineno
        elif _called(node.func) in _SAGAS and name == saga:
            yield (), "", node.lineno


def _called(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _name(call: ast.Call) -> str:
    """The name of the step that a call makes."""
    named = [word.value for word in call.keywords if word.arg == "name"]
    for first in named or call.args:
        return str(first.value) if isinstance(first, ast.Constant) else _called(first)
    return ""
