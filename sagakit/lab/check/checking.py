"""``check``: every rule, on a saga and on those inside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sagakit.drivers.inputs import must_be_saga
from sagakit.lab.check.definition import REFUSED
from sagakit.lab.check.finding import Finding, Findings
from sagakit.lab.check.places import Places
from sagakit.lab.check.rules import RULES
from sagakit.lab.check.view import Found, View
from sagakit.saga import Saga


def check(
    saga: Saga,
    *,
    ignore: str | Iterable[str] = (),
    file: str | Path | None = None,
    text: str = "",
) -> Findings:
    """Look for what will hurt, by what is declared and by what the code shows; nothing is called.

    Parameters:
        saga: the definition; those of the sagas inside it are checked with it.
        ignore: ids of rules whose findings are accepted: ``"SAGA201"``, or of one step alone,
            ``"SAGA201:charge_payment"`` (``OUTER/INNER`` in a saga that does a step).
        file: where it is written, YAML or Python: the findings then tell the lines.
        text: the YAML text that it was read from, where that is in no file.

    Returns:
        the findings, the worst first; empty if there is nothing to say. ``data/rules.md`` explains
        the rules.

    Raises:
        DefinitionError: what was given is no saga.
        ValueError: ``ignore`` names a rule that there is not.
    """
    must_be_saga(saga)
    accepted = _accepted(ignore)
    places = Places(file, saga.name, text)
    found = list(dict.fromkeys(_all(saga, places)))
    kept = [one for one in found if not {one.rule, f"{one.rule}:{one.step}"} & accepted]
    return Findings(saga.name, kept, len(found) - len(kept))


def refused(problems: Iterable[str], file: str | Path | None, saga: str = "") -> Findings:
    """The findings of a text of which there is no saga, since its definition is wrong.

    Parameters:
        problems: of the DefinitionError.
        file: the YAML or Python file; None: it is in no file.
        saga: what it would be called; left out: as the file is.
    """
    severity, name, found = RULES[REFUSED].severity, saga or Path(file or "").stem, []
    for problem in problems:
        line = re.match(r"line (\d+): ", problem)
        message, _, cure = problem[line.end() if line else 0 :].partition("; ")
        found.append(
            Finding(
                rule=REFUSED,
                severity=severity,
                saga=name,
                step=None,
                message=message,
                cure=cure or "correct it",
                file=None if file is None else Path(file).as_posix(),
                line=int(line[1]) if line else None,
            )
        )
    return Findings(name, found)


def look(saga: Saga) -> Iterator[tuple[str, View, Found]]:
    """Every rule that finds something, in which of the sagas, and what."""
    views = list(View(saga).family())
    for rule in RULES.values():
        for view in views:
            for found in rule.find(view):
                yield rule.id, view, found


def _all(saga: Saga, places: Places) -> Iterator[Finding]:
    return (_finding(rule, view, found, places) for rule, view, found in look(saga))


def _finding(rule: str, view: View, found: Found, places: Places) -> Finding:
    path = view.path if found.step is None else (*view.path, found.step)
    file, line = found.file, found.line
    if line is None:
        file, line = places.file, places.line(path, found.key)
    elif file is not None and not Path(file).is_file():
        file, line = None, None  # a cell of a notebook, whose name is another each time
    return Finding(
        rule=rule,
        severity=found.severity or RULES[rule].severity,
        saga=_root(view).saga.name,
        step="/".join(path) or None,
        message=found.message,
        cure=found.cure,
        file=None if file is None else _short(file),
        line=line,
    )


def _root(view: View) -> View:
    while view.outer is not None:
        view = view.outer
    return view


def _short(file: str) -> str:
    """A file as one would write it, from where one stands."""
    path = Path(file)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return path.as_posix()


def _accepted(ignore: str | Iterable[str]) -> set[str]:
    entries = {ignore} if isinstance(ignore, str) else set(ignore)
    for entry in sorted(entries):
        rule = entry.partition(":")[0]
        if rule not in RULES:
            raise ValueError(
                f"ignore has '{entry}', and there is no rule '{rule}'; data/rules.md lists them, "
                f"{min(RULES)} to {max(RULES)}"
            )
    return entries
