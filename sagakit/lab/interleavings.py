"""What interleaving sagas has shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from sagakit.execution import Execution
from sagakit.lab.anomalies import DETECTORS, Finding
from sagakit.lab.stepwise import Turn
from sagakit.lab.table import ALL, MISSING, Access, AccessKind
from sagakit.views.svg import esc

if TYPE_CHECKING:
    import pandas as pd

    from sagakit.views import Mermaid, Message, Picture

_VERBS = {
    AccessKind.READ: "reads",
    AccessKind.CHECK: "checks",
    AccessKind.WRITE: "writes",
    AccessKind.COMMUTE: "changes to",
}


class Interleaving(msgspec.Struct, frozen=True):
    """One order in which the sagas' calls were made.

    Parameters:
        turns: the calls, in order, each with what it read and changed.
        executions: one of each saga, in the order in which they were given.
        rows: what the tables of the world held in the end, by the tables' names.
    """

    turns: tuple[Turn, ...]
    executions: tuple[Execution, ...]
    rows: Mapping[str, Mapping[Any, Any]]

    @property
    def statuses(self) -> tuple[str, ...]:
        """How each execution ended."""
        return tuple(execution.status for execution in self.executions)

    @property
    def switches(self) -> int:
        """How often another saga goes on."""
        pairs = zip(self.turns, self.turns[1:], strict=False)
        return sum(one.who != other.who for one, other in pairs)

    def sequence(self, finding: Finding | None = None) -> Mermaid:
        """The sagas and the tables they touch, as a Mermaid sequence diagram.

        Parameters:
            finding: an anomaly of it, whose accesses are marked with ◆.
        """
        from sagakit.views import Mermaid, sequence_mermaid

        return Mermaid(sequence_mermaid(self._lanes(), self._messages(finding)))

    def picture(self, finding: Finding | None = None, title: str = "") -> Picture:
        """The same as a picture that shows everywhere.

        Parameters:
            finding: an anomaly of it, whose accesses are marked with ◆.
            title: what stands above it.
        """
        from sagakit.views import sequence_picture

        title = title or f"{' and '.join(one.id for one in self.executions)}, one interleaving"
        messages = self._messages(finding)
        return sequence_picture(title, self._lanes(), messages, self._tables())

    def _messages(self, finding: Finding | None) -> list[Message]:
        messages: list[Message] = []
        for number, turn in enumerate(self.turns):
            facts = () if finding is None else finding.facts
            marked = [fact.access for fact in facts if fact.number == number]
            messages += _messages(turn, marked)
        if finding is not None:
            lanes = self._lanes()
            messages.append(_note(lanes[0], lanes[-1], f"◆ {finding.kind} of {finding.place}"))
        return messages

    def _lanes(self) -> list[str]:
        """A saga, the tables, the other sagas."""
        first, *others = (execution.id for execution in self.executions)
        return [first, *self._tables(), *others]

    def _tables(self) -> list[str]:
        return list(dict.fromkeys(a.table for turn in self.turns for a in turn.accesses))

    def frame(self) -> pd.DataFrame:
        """One row for each call: whose it is, and what it read and changed."""
        import pandas as pd

        columns = ["saga", "call", "side", "reads", "changes", "error"]
        rows = [
            (
                turn.execution,
                turn.call,
                turn.side,
                _words(a for a in turn.accesses if a.kind in (AccessKind.READ, AccessKind.CHECK)),
                _words(
                    a for a in turn.accesses if a.kind not in (AccessKind.READ, AccessKind.CHECK)
                ),
                turn.error,
            )
            for turn in self.turns
        ]
        return pd.DataFrame(rows, columns=columns)

    def __str__(self) -> str:
        return " → ".join(map(str, self.turns))

    def __repr__(self) -> str:
        ended = ", ".join(f"{one.id} {one.status}" for one in self.executions)
        return f"<Interleaving of {_count(len(self.turns), 'call')}: {ended}>"

    def _repr_html_(self) -> str:
        return self.picture()._repr_html_()


class Anomaly(msgspec.Struct, frozen=True):
    """An isolation anomaly, and the shortest order of calls that shows it: as few calls as
    possible, and among those as few changes from one saga to another.

    Parameters:
        finding: its ``kind``, its ``place`` (the row, or the rows), and the accesses that make it.
        interleaving: the order, with the executions and the rows that it led to.
        count: in how many of all interleavings it is.
    """

    finding: Finding
    interleaving: Interleaving
    count: int

    @property
    def kind(self) -> str:
        return self.finding.kind

    @property
    def place(self) -> str:
        return self.finding.place

    def sequence(self) -> Mermaid:
        """The order as a Mermaid sequence diagram, the accesses in question marked with ◆."""
        return self.interleaving.sequence(self.finding)

    def picture(self) -> Picture:
        """The same as a picture that shows everywhere."""
        between = " and ".join(one.id for one in self.interleaving.executions)
        return self.interleaving.picture(self.finding, f"{self.kind} between {between}")

    def _repr_html_(self) -> str:
        return self.picture()._repr_html_()

    def __str__(self) -> str:
        return str(self.finding)

    def __repr__(self) -> str:
        return f"<Anomaly: {self.finding}; in {_count(self.count, 'interleaving')}>"


class Outcome(msgspec.Struct, frozen=True):
    """One way in which it all can end: how the executions ended and what is in the tables.

    Parameters:
        interleaving: the shortest order that leads there.
        count: how many interleavings do.
        serial: one saga after another can lead there, too.
    """

    interleaving: Interleaving
    count: int
    serial: bool

    @property
    def rows(self) -> Mapping[str, Mapping[Any, Any]]:
        """What the tables hold, by their names."""
        return self.interleaving.rows

    @property
    def statuses(self) -> tuple[str, ...]:
        """How each execution ended."""
        return self.interleaving.statuses

    def __repr__(self) -> str:
        serial = "serial" if self.serial else "never one after another"
        statuses = ", ".join(self.statuses)
        return f"<Outcome: {statuses}; {_count(self.count, 'interleaving')}, {serial}>"


class Interleavings(msgspec.Struct, frozen=True):
    """What interleaving some sagas has shown.

    Parameters:
        sagas: the ids of their executions: the sagas' names, numbered where they are alike.
        ran: how many interleavings of their calls ran.
        total: how many those stand for; all there are, if it is ``complete``.
        complete: False if the limit came first.
        anomalies: those found, by kind.
        outcomes: every different end, that of the plainest order first.
    """

    sagas: tuple[str, ...]
    ran: int
    total: int
    complete: bool
    anomalies: Mapping[str, Anomaly]
    outcomes: tuple[Outcome, ...]

    @property
    def isolated(self) -> bool:
        """Whether no anomaly was found."""
        return not self.anomalies

    def __getitem__(self, kind: str) -> Anomaly:
        """The anomaly of this kind; KeyError says what there is."""
        if kind in self.anomalies:
            return self.anomalies[kind]
        known = ", ".join(f"'{name}'" for name in DETECTORS)
        if kind not in DETECTORS:
            raise KeyError(f"there is no anomaly '{kind}'; there are {known}")
        found = ", ".join(f"'{name}'" for name in self.anomalies) or "no anomaly"
        raise KeyError(f"no '{kind}' was found between {' and '.join(self.sagas)}; {found} was")

    def frame(self) -> pd.DataFrame:
        """One row for each kind of anomaly: in how many interleavings it is, of which row, and
        how it comes about."""
        import pandas as pd

        rows = []
        for kind in DETECTORS:
            found = self.anomalies.get(kind)
            told = ("", "") if found is None else (found.place, _story(found.finding))
            rows.append((0 if found is None else found.count, *told))
        index = pd.Index(list(DETECTORS), name="anomaly")
        return pd.DataFrame(rows, index=index, columns=["interleavings", "row", "how"])

    def ends(self) -> pd.DataFrame:
        """One row for each outcome: how the executions ended, what the tables hold, in how many
        interleavings, and whether one saga after another leads there as well."""
        import pandas as pd

        tables = list(dict.fromkeys(name for end in self.outcomes for name in end.rows))
        rows = [
            (*end.statuses, *(str(dict(end.rows[name])) for name in tables), end.count, end.serial)
            for end in self.outcomes
        ]
        return pd.DataFrame(rows, columns=[*self.sagas, *tables, "interleavings", "serial"])

    def __repr__(self) -> str:
        at_least = "" if self.complete else "at least "
        found = ", ".join(self.anomalies) or "no anomaly"
        same = len(self.outcomes)
        return (
            f"<Interleavings of {' and '.join(self.sagas)}: {at_least}{self.total:,}"
            f" ({self.ran:,} ran), {_count(same, 'outcome')}; {found}>"
        )

    def _repr_html_(self) -> str:
        frame = self.frame().reset_index()
        pictures = (anomaly._repr_html_() for anomaly in self.anomalies.values())
        return (
            f"<p>{esc(repr(self)[1:-1])}</p>"
            + _table(list(frame.columns), frame.values.tolist())
            + "".join(f"<p>{picture}</p>" for picture in pictures)
        )


# -- in words -------------------------------------------------------------------------------


def _story(finding: Finding) -> str:
    return ", then ".join(map(str, finding.facts))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _words(accesses: Iterator[Access]) -> str:
    """What was done, one thing for each row: ``accounts['a'] = 5``."""
    last = {a.place: a.value for a in accesses if a.key is not ALL}
    return ", ".join(f"{place} = {value!r}" for place, value in last.items())


def _messages(turn: Turn, marked: Sequence[Access]) -> list[Message]:
    """A call as messages: one to each table that it touches."""
    from sagakit.views import Message

    again = f" (attempt {turn.attempt})" if turn.attempt > 1 else ""
    by_table: dict[str, list[Access]] = {}
    for access in turn.accesses:
        by_table.setdefault(access.table, []).append(access)
    messages = [
        Message(
            sender=turn.execution,
            receiver=table,
            text=f"{turn.call}{again}\n{_told(accesses, marked)}",
            kind="request",
        )
        for table, accesses in by_table.items()
    ]
    if turn.error:
        lost = "⊘" if turn.in_doubt else "✗"
        messages.append(_note(turn.execution, turn.execution, f"{lost} {turn.call}: {turn.error}"))
    elif not messages:
        messages.append(_note(turn.execution, turn.execution, f"{turn.call}{again}"))
    return messages


def _told(accesses: Sequence[Access], marked: Sequence[Access]) -> str:
    """What a call does to a table, one line for each row and kind of access."""
    lines: dict[tuple[AccessKind, Any], str] = {}
    for access in accesses:
        if access.key is ALL and access.kind is AccessKind.COMMUTE:
            continue  # the row that comes or goes is told by itself
        sign = "◆ " if any(access is one for one in marked) else ""
        sign = sign or lines.get((access.kind, access.key), "")[:2].replace(
            _VERBS[access.kind][:2], ""
        )
        what = "which rows there are" if access.key is ALL else repr(access.key)
        value = "" if access.key is ALL else f" = {access.value!r}"
        verb = "deletes" if access.value is MISSING and access.kind is AccessKind.WRITE else ""
        value = "" if verb else value
        lines[access.kind, access.key] = f"{sign}{verb or _VERBS[access.kind]} {what}{value}"
    return "\n".join(lines.values())


def _note(first: str, last: str, text: str) -> Message:
    from sagakit.views import Message

    return Message(sender=first, receiver=last, text=text, kind="note")


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{esc(name)}</th>" for name in header)
    body = "".join(
        f"<tr>{''.join(f'<td>{esc(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
