"""Orders of calls that are alike: how many there are, and which of them is the plainest.

Two interleavings differ in nothing that can be seen if one becomes the other by swapping
neighbours that do not conflict: they are one *trace* (Mazurkiewicz 1977). What is found here of
one of them holds for its whole trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sagakit.lab.stepwise import Turn

Order = tuple[int, ...]  # by place: the number of the saga whose turn it is
_Point = tuple[int, ...]  # how many turns of each saga have been taken


class Trace(NamedTuple):
    """The orders that are alike: how many, and the one that changes least often between sagas
    (the first of those, by the sagas' numbers)."""

    orders: int
    switches: int
    turns: tuple[Turn, ...]


def trace_of(turns: Sequence[Turn], sagas: int) -> Trace:
    """The trace of an interleaving."""
    chains: list[list[Turn]] = [[] for _ in range(sagas)]
    needs: list[list[_Point]] = [[] for _ in range(sagas)]
    for turn in turns:
        needs[turn.who].append(tuple(_needed(turn, chain) for chain in chains))
        chains[turn.who].append(turn)
    start: _Point = (0,) * sagas
    counts: dict[_Point, int] = {start: 1}
    best: dict[tuple[_Point, int], tuple[int, Order]] = {(start, -1): (0, ())}
    for _ in turns:
        counts, best = _one_more(counts, best, needs)
    ((_, count),) = counts.items()
    switches, order = min(best.values())
    taken = [iter(chain) for chain in chains]
    return Trace(count, switches, tuple(next(taken[who]) for who in order))


def _needed(turn: Turn, chain: Sequence[Turn]) -> int:
    """How many turns of a saga must have been taken before this one, which came after them all."""
    for number in range(len(chain), 0, -1):
        other = chain[number - 1]
        if other.who == turn.who or turn.footprint.conflicts(other.footprint):
            return number
    return 0


def _one_more(
    counts: dict[_Point, int],
    best: dict[tuple[_Point, int], tuple[int, Order]],
    needs: Sequence[Sequence[_Point]],
) -> tuple[dict[_Point, int], dict[tuple[_Point, int], tuple[int, Order]]]:
    """From every point to the next ones: the number of ways there, and the plainest way."""
    more: dict[_Point, int] = {}
    nexts: dict[_Point, list[tuple[int, _Point]]] = {}
    for point, count in counts.items():
        nexts[point] = list(_nexts(point, needs))
        for _, later in nexts[point]:
            more[later] = more.get(later, 0) + count
    better: dict[tuple[_Point, int], tuple[int, Order]] = {}
    for (point, last), (switches, order) in best.items():
        for who, later in nexts[point]:
            found = switches + (who != last and last >= 0), (*order, who)
            known = better.get((later, who))
            if known is None or found < known:
                better[later, who] = found
    return more, better


def _nexts(point: _Point, needs: Sequence[Sequence[_Point]]) -> Iterator[tuple[int, _Point]]:
    for who, chain in enumerate(needs):
        taken = point[who]
        if taken < len(chain) and all(
            have >= need for have, need in zip(point, chain[taken], strict=True)
        ):
            yield who, (*point[:who], taken + 1, *point[who + 1 :])
