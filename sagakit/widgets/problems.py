"""What is wrong with a draft, or could be better, as the page shows it: in words, and where."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sagakit.saga import Saga
from sagakit.spec import nearest
from sagakit.widgets import drafts

Problem = dict[str, Any]
LineOf = Callable[[drafts.Path], int | None]


def of_error(problems: Iterable[str], line_of: LineOf) -> Iterator[Problem]:
    """The problems of a DefinitionError: there is no saga."""
    for problem in problems:
        path = getattr(problem, "path", ())
        said = re.match(r"line (\d+): ", problem)
        line = int(said[1]) if said else line_of(path)
        text, _, cure = problem[said.end() if said else 0 :].partition("; ")
        yield _shown("error", text, cure, path, line)


def of_yaml(problems: Iterable[str]) -> Iterator[Problem]:
    """Why a text is not YAML: the line is in the words."""
    for problem in problems:
        lines = re.findall(r"line (\d+)", problem)
        yield _shown("error", problem, "", (), int(lines[-1]) if lines else None)


def of_names(draft: drafts.Draft, known: Iterable[str], line_of: LineOf) -> Iterator[Problem]:
    """The names for which no action was registered."""
    for path, step, role, name in drafts.names(draft):
        if name not in known:
            text = f"step '{step}': its {role} '{name}' is not among the actions registered"
            cure = nearest(name, known).strip(" ()") or "register it; until then it is simulated"
            yield _shown("warning", text, cure, path, line_of(path))


def of_check(saga: Saga, draft: drafts.Draft, line_of: LineOf) -> list[Problem]:
    """What ``check`` finds, the worst first."""
    from sagakit.lab.check.checking import look  # with it comes the whole lab
    from sagakit.lab.check.rules import RULES

    found = []
    for rule, view, one in look(saga):
        names = view.path if one.step is None else (*view.path, one.step)
        path = drafts.step_at(draft, names)
        if one.step is None and names:
            path = (*path, "for_each" if view.each else "saga")
        if one.key:
            path = (*path, one.key)
        # what cannot work is still a saga: an error is what keeps a draft from being one
        severity = one.severity or RULES[rule].severity
        level = "note" if severity == "note" else "warning"
        where = f"step '{'/'.join(names)}': " if names else ""
        shown = _shown(level, where + one.message, one.cure, path, line_of(path))
        found.append({**shown, "rule": rule})
    found.sort(key=lambda problem: problem["level"] == "note")
    return found


def _shown(level: str, text: str, cure: str, path: drafts.Path, line: int | None) -> Problem:
    shown: Problem = {"level": level, "text": text, "path": list(path)}
    return shown | ({"cure": cure} if cure else {}) | ({} if line is None else {"line": line})
