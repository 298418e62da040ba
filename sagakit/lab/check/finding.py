"""What a check finds: findings, and the rules they break."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, overload

import msgspec

if TYPE_CHECKING:
    import pandas as pd

    from sagakit.lab.check.view import Found, View

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)  # the worst first


class Rule(NamedTuple):
    """One thing that is looked for.

    Parameters:
        id: ``SAGA`` and three digits; it never changes its meaning.
        name: a few words with hyphens.
        title: one line that says what is wrong where it is found.
        severity: ``"error"``: it cannot work, or leaves something behind for sure; ``"warning"``:
            some failure will hurt; ``"note"``: worth a look. A finding may have another one.
        bad: a saga in which it is found, as YAML, or as a Python program that defines ``saga``.
        good: the same saga without it.
        find: looks for it in one saga; its docstring says why it matters, and the source.
    """

    id: str
    name: str
    title: str
    severity: Severity
    bad: str
    good: str
    find: Callable[[View], Iterable[Found]]


DECLARED: dict[str, Rule] = {}  # whatever module of rules was imported; `rules` has them all


def rule(
    id: str, name: str, title: str, severity: Severity, *, bad: str, good: str
) -> Callable[[Callable[[View], Iterable[Found]]], Callable[[View], Iterable[Found]]]:
    """Declare a function a rule. Parameters as of ``Rule``."""

    def declare(find: Callable[[View], Iterable[Found]]) -> Callable[[View], Iterable[Found]]:
        assert id not in DECLARED, f"two rules have the id {id}"
        DECLARED[id] = Rule(id, name, title, severity, bad.lstrip("\n"), good.lstrip("\n"), find)
        return find

    return declare


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a rule found in a saga.

    Parameters:
        rule: the rule's id.
        severity: ``"error"``, ``"warning"`` or ``"note"``.
        saga: the saga's name.
        step: the step's, ``"OUTER/INNER"`` in a saga that does a step; None: it is the saga's.
        message: what is wrong.
        cure: what to do about it.
        file: where it is written, if that is known.
        line: from 1.
    """

    rule: str
    severity: Severity
    saga: str
    step: str | None
    message: str
    cure: str
    file: str | None = None
    line: int | None = None

    @property
    def place(self) -> str:
        """``FILE:LINE``, or ``line LINE`` of a text in no file; as much of it as is known."""
        if self.file is None:
            return "" if self.line is None else f"line {self.line}"
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def __str__(self) -> str:
        where = f"saga '{self.saga}'" + (f", step '{self.step}'" if self.step else "")
        place = f"{self.place}: " if self.place else ""
        return f"{place}{self.severity} {self.rule}: {where}: {self.message}; {self.cure}"


class Findings(Sequence[Finding]):
    """What was found in one saga, the worst first; empty when there is nothing to say.

    Parameters:
        saga: its name.
        found: the findings.
        accepted: how many more there are that were said to be accepted.
    """

    def __init__(self, saga: str, found: Iterable[Finding], accepted: int = 0) -> None:
        self.saga = saga
        self.accepted = accepted
        self._found = tuple(sorted(found, key=lambda one: SEVERITIES.index(one.severity)))

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Finding]: ...
    def __getitem__(self, index: int | slice) -> Finding | Sequence[Finding]:
        return self._found[index]

    def __len__(self) -> int:
        return len(self._found)

    def of(self, *severities: Severity) -> tuple[Finding, ...]:
        """The findings of these severities."""
        return tuple(one for one in self if one.severity in severities)

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that found something, in their order."""
        return tuple(sorted({one.rule for one in self}))

    @property
    def summary(self) -> str:
        """``"1 error, 2 notes"``, or ``"nothing found"``; and how many were accepted."""
        counts = [f"{n} {kind}{'' if n == 1 else 's'}" for kind in SEVERITIES
                  if (n := len(self.of(kind)))]  # fmt: skip
        accepted = [f"{self.accepted} accepted"] if self.accepted else []
        return ", ".join([*(counts or ["nothing found"]), *accepted])

    def frame(self) -> pd.DataFrame:
        """A row for each finding."""
        import pandas as pd

        return pd.DataFrame(list(self._rows()), columns=list(Finding.__struct_fields__))

    def sarif(self) -> dict[str, Any]:
        """The findings as a SARIF 2.1.0 log, plain data for JSON."""
        from sagakit.lab.check.sarif import sarif_log

        return sarif_log(self)

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        return (msgspec.structs.astuple(one) for one in self)

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or f"saga '{self.saga}': {self.summary}"

    def __repr__(self) -> str:
        return f"<Findings in '{self.saga}': {self.summary}>"

    def _repr_html_(self) -> str:
        head = ["place", "severity", "rule", "step", "finding", "cure"]
        rows = [
            [
                one.place.replace(" ", "\xa0"),
                one.severity,
                one.rule,
                one.step or "",
                one.message,
                one.cure,
            ]
            for one in self
        ]
        if not any(one.place for one in self):
            head, rows = head[1:], [row[1:] for row in rows]
        lines = [_row("td", row) for row in rows]
        caption = html.escape(f"{self.saga}: {self.summary}")
        table = "".join([_row("th", head), *lines]) if rows else ""
        return f"<table><caption>{caption}</caption>{table}</table>"


def _row(tag: str, cells: Iterable[str]) -> str:
    style = ' style="text-align:left"'
    return f"<tr>{''.join(f'<{tag}{style}>{html.escape(c)}</{tag}>' for c in cells)}</tr>"
