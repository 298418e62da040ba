"""Which of very many things a picture shows: all that is rare, then the first ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def few(looks: Sequence[str | None], most: int) -> list[int]:
    """Which `most` of the things to show, in their order; `looks` says how each one looks.

    One of every look comes first, then the rarest looks, then those further up: the three stuck
    ones among ten thousand that succeeded are always shown. None, no look yet, is never rare.
    """
    if len(looks) <= most:
        return list(range(len(looks)))
    counts, seen = Counter(looks), set()
    counts[None] = len(looks)
    ranks = []
    for i, look in enumerate(looks):
        ranks.append((look in seen, counts[look], i))
        seen.add(look)
    return sorted(i for _, _, i in sorted(ranks)[: max(most, 0)])
