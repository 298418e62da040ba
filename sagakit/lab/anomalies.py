"""What can go wrong between sagas that do not see each other, found in what they read and wrote.

A saga's steps are local transactions: each of them is isolated, the saga as a whole is not
(Garcia-Molina & Salem, "Sagas", 1987: other transactions may see what a saga has done so far). So
the phenomena that Berenson et al. ("A critique of ANSI SQL isolation levels", 1995) describe for
the reads and writes of transactions come back one level up, for those of sagas; Richardson
("Microservices Patterns", 2018, ch. 4.3) tells what they mean for a business.

Below, ``rA[x]`` is a read of row x by saga A, ``wA[x]`` whatever changes it, and ``<`` the order in
which things happened; ``cA[x]`` is a change of x by a compensation of A. Every definition rests on
the order of accesses of which at least one changes the row, and on the order within a saga. Both
are the same in all orders of a trace (``histories.py``), so an anomaly is in all or in none.

A read whose value decides only whether to refuse (``Table.check``: whether a lock is free, whether
a row is as it was, whether enough is there) hands on no value. It counts as one that saw the newest
state, for write skew, and, if its saga went on by it, as a dirty read; it is no non-repeatable one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import msgspec

from sagakit.lab.stepwise import Place, Turn
from sagakit.lab.table import Access, AccessKind

LOST_UPDATE = "lost update"
DIRTY_READ = "dirty read"
NON_REPEATABLE_READ = "non-repeatable read"
WRITE_SKEW = "write skew"

_CHANGES = (AccessKind.WRITE, AccessKind.COMMUTE)
_LOOKS = (AccessKind.READ, AccessKind.CHECK)


class Fact(NamedTuple):
    """One access within an interleaving: its place among all of them, its turn and that one's
    number."""

    order: int
    number: int
    turn: Turn
    access: Access

    @property
    def who(self) -> int:
        return self.turn.who

    @property
    def changes(self) -> bool:
        return self.access.kind in _CHANGES

    @property
    def reads(self) -> bool:
        return self.access.kind is AccessKind.READ

    @property
    def goes_on(self) -> bool:
        """It is a check after which the saga goes on."""
        return self.access.kind is AccessKind.CHECK and not self.turn.error

    @property
    def undoes(self) -> bool:
        """It is a change that a compensation makes."""
        return self.changes and self.turn.side == "compensation"

    def __str__(self) -> str:
        did = "read" if self.access.kind in _LOOKS else "made it"
        return f"{self.turn.execution} ({self.turn.call}) {did} {self.access.value!r}"


class Finding(msgspec.Struct, frozen=True):
    """An anomaly in one interleaving: which, of which row, and the accesses that make it, in the
    order in which they happened."""

    kind: str
    place: str
    facts: tuple[Fact, ...]

    def __str__(self) -> str:
        return f"{self.kind} of {self.place}: {', then '.join(map(str, self.facts))}"


def lost_update(story: Story) -> Iterator[tuple[Fact, ...]]:
    """``rA[x] < wB[x] < wA[x]``, and A has not looked at x again in between.

    A overwrites what B did without having seen it: P4 of Berenson et al. As in Richardson's
    example (an order is approved that another saga has cancelled meanwhile), having written x
    counts as knowing it, and so does what a compensation overwrites. A change that commutes (an
    addition) overwrites nothing.
    """
    for facts in story.by_place.values():
        known: dict[int, Fact] = {}
        changed: dict[int, Fact] = {}  # the last change by each saga
        for fact in facts:
            since = known.get(fact.who)
            if since is not None and fact.access.kind is AccessKind.WRITE:
                unseen = _by_others(changed, fact.who, since)
                if unseen is not None:
                    yield since, unseen, fact
            if fact.changes:
                changed[fact.who] = fact
            if fact.access.kind is not AccessKind.COMMUTE:
                known[fact.who] = fact


def dirty_read(story: Story) -> Iterator[tuple[Fact, ...]]:
    """``wA[x] < rB[x] < cA[x]``: B reads what A did, and A undoes it.

    P1 in its strict form, A1 of Berenson et al., the aborted read G1a of Adya ("Weak consistency",
    1999). What B reads may be the sum of several changes that commute; A's is among them. That B
    reads something of A which then stands is no anomaly here: sagas cannot help showing that.
    """
    for facts in story.by_place.values():
        made: list[Fact] = []  # by whom the value is that stands there
        for place, fact in enumerate(facts):
            if fact.reads or fact.goes_on:
                for maker in made:
                    if maker.who != fact.who and not maker.undoes:
                        undone = (f for f in facts[place:] if f.undoes and f.who == maker.who)
                        for undo in undone:
                            yield maker, fact, undo
                            break
            elif fact.access.kind is AccessKind.WRITE:
                made = [fact]
            elif fact.changes:
                made.append(fact)


def non_repeatable_read(story: Story) -> Iterator[tuple[Fact, ...]]:
    """``rA[x] < wB[x] < rA[x]`` in two steps of A, which get different values.

    P2, the fuzzy read, in its strict form A2 of Berenson et al. If x stands for which rows there
    are (``table[*]``) it is a phantom, A3. What A itself changes meanwhile does not count.
    """
    for facts in story.by_place.values():
        read: dict[int, Fact] = {}
        changed: dict[int, Fact] = {}  # the last change by each saga
        for fact in facts:
            if fact.changes:
                changed[fact.who] = fact
                read.pop(fact.who, None)
            elif fact.reads:
                before = read.get(fact.who)
                if before is not None and before.access.value != fact.access.value:
                    between = _by_others(changed, fact.who, before)
                    if between is not None:  # and so in another turn: none interrupts a turn
                        yield before, between, fact
                if before is None or before.number != fact.number:
                    read[fact.who] = fact


def _by_others(changed: Mapping[int, Fact], who: int, since: Fact) -> Fact | None:
    """A change that another saga than ``who`` has made since."""
    for other, change in changed.items():
        if other != who and change.order > since.order:
            return change
    return None


def write_skew(story: Story) -> Iterator[tuple[Fact, ...]]:
    """``rA[x] < wB[x]`` and ``rB[y] < wA[y]``: each acts on a row that the other changes.

    A5B of Berenson et al., a cycle of two anti-dependencies (G2-item of Adya). The reads are the
    last ones before the changes that rest on them, ``rA[x] < wA[y]`` and ``rB[y] < wB[x]``; neither
    saga changes the row that it read (that would be a lost update), and no compensation is among
    the changes.
    """
    looked = [
        (place, fact)
        for place, facts in story.by_place.items()
        for fact in facts
        if fact.access.kind in _LOOKS and fact.who not in story.changers(place)
    ]
    for (x, a), (y, b) in product(looked, looked):
        if x != y and a.who < b.who:
            found = _skew(story, x, a, y, b)
            if found is not None:
                yield found


def _skew(story: Story, x: Place, a: Fact, y: Place, b: Fact) -> tuple[Fact, ...] | None:
    for change_y in story.changed(y, a.who):
        if story.last_look(x, a.who, change_y) is not a:
            continue
        for change_x in story.changed(x, b.who):
            crossed = a.order < change_x.order and b.order < change_y.order
            if crossed and story.last_look(y, b.who, change_x) is b:
                return tuple(sorted((a, b, change_x, change_y), key=lambda fact: fact.order))
    return None


class Story:
    """The accesses of an interleaving to rows that one saga changes and another one looks at or
    changes: in order, by row."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        found: dict[Place, list[Fact]] = {}
        order = 0
        for number, turn in enumerate(turns):
            for access in turn.accesses:
                order += 1
                fact = Fact(order, number, turn, access)
                found.setdefault((access.table, access.key), []).append(fact)
        self.by_place = {place: facts for place, facts in found.items() if _is_shared(facts)}

    def changers(self, place: Place) -> set[int]:
        """The sagas that change a row."""
        return {fact.who for fact in self.by_place[place] if fact.changes}

    def changed(self, place: Place, who: int) -> list[Fact]:
        """The changes that a saga's actions make to a row."""
        return [f for f in self.by_place[place] if f.changes and f.who == who and not f.undoes]

    def last_look(self, place: Place, who: int, before: Fact) -> Fact | None:
        """How a saga saw a row last, before it did something."""
        found = None
        for fact in self.by_place[place]:
            if fact.order > before.order:
                break
            if fact.who == who and fact.access.kind in _LOOKS:
                found = fact
        return found


def _is_shared(facts: Sequence[Fact]) -> bool:
    first = facts[0].who
    return any(fact.who != first for fact in facts) and any(fact.changes for fact in facts)


Detector = Callable[[Story], Iterator[tuple[Fact, ...]]]

DETECTORS: dict[str, Detector] = {
    LOST_UPDATE: lost_update,
    DIRTY_READ: dirty_read,
    NON_REPEATABLE_READ: non_repeatable_read,
    WRITE_SKEW: write_skew,
}


def find(turns: Sequence[Turn]) -> list[Finding]:
    """The anomalies of an interleaving, the first of each kind."""
    story = Story(turns)
    found = []
    for kind, detect in DETECTORS.items():
        facts = next(detect(story), None)
        if facts is not None:
            found.append(Finding(kind, _place(kind, facts), facts))
    return found


def _place(kind: str, facts: Sequence[Fact]) -> str:
    places = list(dict.fromkeys(fact.access.place for fact in facts))
    return " and ".join(places if kind == WRITE_SKEW else places[:1])
