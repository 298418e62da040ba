"""A layered layout, left to right: longest-path layers, barycentre order, least-squares rows.

Pure geometry over numbers. Long edges get a place of their own in every layer they pass, so that
no edge runs behind a box. Each part is about linear in what it places: 10,000 nodes take seconds.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Sequence

import msgspec

SWEEPS = 8
MAX_DUMMIES = 20_000  # beyond it the longest edges run straight; nobody reads such a picture


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A block to place, px: its width, and how far it reaches above and below its port line."""

    width: float
    above: float
    below: float


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Where things stand: per item its left edge, port line and layer; per edge the places passed.

    `columns` holds each layer's left and right edge; a route is a list of (layer, y).
    """

    places: list[tuple[float, float]]
    layer_of: list[int]
    columns: list[tuple[float, float]]
    routes: list[list[tuple[int, float]]]
    top: float
    bottom: float


def topological(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The nodes 0..count-1 in topological order, stable; a cycle is broken at its first node."""
    after: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for a, b in edges:
        if a != b:
            after[a].append(b)
            waiting[b] += 1
    queue = deque(i for i in range(count) if waiting[i] == 0)
    order: list[int] = []
    taken = [False] * count
    spare = iter(range(count))
    while len(order) < count:
        node = queue.popleft() if queue else next(i for i in spare if not taken[i])
        if taken[node]:
            continue
        taken[node] = True
        order.append(node)
        for b in after[node]:
            waiting[b] -= 1
            if waiting[b] == 0 and not taken[b]:
                queue.append(b)
    return order


def layers_of(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Each node's layer: the length of the longest path to it."""
    order = topological(count, edges)
    position = [0] * count
    for place, node in enumerate(order):
        position[node] = place
    after: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges:
        if position[a] < position[b]:
            after[a].append(b)
        elif a != b:
            after[b].append(a)
    layer = [0] * count
    for node in order:
        for b in after[node]:
            layer[b] = max(layer[b], layer[node] + 1)
    return layer


class _Grid:
    """Items and the dummies of long edges, in layers, with their neighbours on both sides."""

    def __init__(self, items: Sequence[Item], edges: Sequence[tuple[int, int]]) -> None:
        self.items = list(items)
        self.layer = layers_of(len(items), edges)
        self.left: list[list[int]] = [[] for _ in items]
        self.right: list[list[int]] = [[] for _ in items]
        self.chains = self._chains(edges)
        self.rows: list[list[int]] = [[] for _ in range(max(self.layer, default=-1) + 1)]
        for node, layer in enumerate(self.layer):
            self.rows[layer].append(node)

    def _chains(self, edges: Sequence[tuple[int, int]]) -> list[list[int]]:
        layer, budget = self.layer, MAX_DUMMIES
        chains: list[list[int]] = [[] for _ in edges]
        by_span = sorted(
            range(len(edges)), key=lambda e: abs(layer[edges[e][0]] - layer[edges[e][1]])
        )
        for e in by_span:
            a, b = sorted(edges[e], key=layer.__getitem__)
            span = layer[b] - layer[a]
            chain = [a]
            if 1 < span <= budget:
                budget -= span
                chain += [self._dummy(layer[a] + step) for step in range(1, span)]
            chain.append(b)
            if span:
                for u, v in itertools.pairwise(chain):
                    self.right[u].append(v)
                    self.left[v].append(u)
            chains[e] = chain if edges[e][0] == a else chain[::-1]
        return chains

    def _dummy(self, layer: int) -> int:
        self.items.append(Item(width=0, above=5, below=5))
        self.layer.append(layer)
        self.left.append([])
        self.right.append([])
        return len(self.items) - 1

    def order(self) -> None:
        """Sort each layer by its neighbours' mean place, sweeping; keep the best order seen."""
        place = [0.0] * len(self.items)
        best, fewest = [row[:] for row in self.rows], self._crossings()
        for sweep in range(SWEEPS):
            if fewest == 0:
                break
            rightwards = sweep % 2 == 0
            near = self.left if rightwards else self.right
            for row in self.rows if rightwards else self.rows[::-1]:
                for i, node in enumerate(row):
                    place[node] = i
                key = {n: _mean([place[m] for m in near[n]], place[n]) for n in row}
                row.sort(key=key.__getitem__)
                for i, node in enumerate(row):
                    place[node] = i
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [row[:] for row in self.rows], crossings
        self.rows = best

    def _crossings(self) -> int:
        place = {node: i for row in self.rows for i, node in enumerate(row)}
        total = 0
        for row in self.rows:
            seen: list[int] = []
            for node in row:
                ends = [place[m] for m in self.right[node]]
                total += sum(len(seen) - bisect_right(seen, end) for end in ends)
                for end in ends:
                    insort(seen, end)
        return total

    def heights(self, gap: float) -> list[float]:
        """Each node's port line: as near its neighbours' mean as order and distance allow."""
        y = [0.0] * len(self.items)
        for row in self.rows:
            self._place(row, y, [0.0] * len(row), gap)
        for sweep in range(SWEEPS):
            near = (self.left, self.right)[sweep % 2]
            for row in self.rows if sweep % 2 == 0 else self.rows[::-1]:
                wish = [_mean([y[m] for m in near[n]], y[n]) for n in row]
                self._place(row, y, wish, gap)
        return y

    def _place(self, row: list[int], y: list[float], wish: list[float], gap: float) -> None:
        # Least squares under "each at least so far below the one before": pool adjacent violators.
        offset, offsets, pools = 0.0, [], []
        for i, node in enumerate(row):
            if i:
                offset += self.items[row[i - 1]].below + gap + self.items[node].above
            offsets.append(offset)
            weight = 1.0 if self.items[node].width else 2.0  # straight long edges read best
            pools.append((wish[i] - offset, weight, 1))
            while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
                (v2, w2, n2), (v1, w1, n1) = pools.pop(), pools.pop()
                pools.append(((v1 * w1 + v2 * w2) / (w1 + w2), w1 + w2, n1 + n2))
        levels = (value for value, _, count in pools for _ in range(count))
        for node, level, away in zip(row, levels, offsets, strict=True):
            y[node] = level + away


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def layered(
    items: Sequence[Item],
    edges: Sequence[tuple[int, int]],
    *,
    gap_x: float = 44,
    gap_y: float = 20,
    wider: dict[int, float] | None = None,
) -> Layout:
    """Place `items`, joined by `edges` (pairs of indices), in layers from left to right.

    `gap_x` and `gap_y` are px between layers and within one; `wider` adds px after given layers.
    """
    grid = _Grid(items, edges)
    grid.order()
    y = grid.heights(gap_y)
    columns: list[tuple[float, float]] = []
    x = 0.0
    for number, row in enumerate(grid.rows):
        width = max(grid.items[n].width for n in row)
        columns.append((x, x + width))
        x += width + gap_x + (wider or {}).get(number, 0)
    lefts = [sum(columns[grid.layer[i]]) / 2 - item.width / 2 for i, item in enumerate(items)]
    return Layout(
        places=list(zip(lefts, y, strict=False)),
        layer_of=grid.layer[: len(items)],
        columns=columns,
        routes=[[(grid.layer[n], y[n]) for n in chain] for chain in grid.chains],
        top=min((y[i] - item.above for i, item in enumerate(grid.items)), default=0.0),
        bottom=max((y[i] + item.below for i, item in enumerate(grid.items)), default=0.0),
    )
