from __future__ import annotations

import random
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagakit.views.layered import Item, layered, layers_of, topological

BOX = Item(width=80, above=20, below=40)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    count = draw(st.integers(1, 12))
    node = st.integers(0, count - 1)
    return count, draw(st.lists(st.tuples(node, node), max_size=25, unique=True))


@given(graphs())
def test_blocks_never_overlap_and_edges_go_forward(
    graph: tuple[int, list[tuple[int, int]]],
) -> None:
    count, edges = graph
    forward = [(min(e), max(e)) for e in edges if e[0] != e[1]]
    plan = layered([BOX] * count, forward)
    for a, b in forward:
        assert plan.layer_of[a] < plan.layer_of[b]
        assert plan.places[a][0] + BOX.width < plan.places[b][0]
    for layer in set(plan.layer_of):
        rows = sorted(plan.places[i][1] for i in range(count) if plan.layer_of[i] == layer)
        assert all(b - a >= BOX.above + BOX.below - 1e-6 for a, b in pairwise(rows))


@given(graphs())
def test_an_edge_passes_beside_the_boxes_of_the_layers_it_crosses(
    graph: tuple[int, list[tuple[int, int]]],
) -> None:
    count, edges = graph
    forward = list(dict.fromkeys((min(e), max(e)) for e in edges if e[0] != e[1]))
    plan = layered([BOX] * count, forward)
    for route in plan.routes:
        for layer, y in route[1:-1]:
            for i in range(count):
                if plan.layer_of[i] == layer:
                    box_y = plan.places[i][1]
                    assert y < box_y - BOX.above or y > box_y + BOX.below


@given(graphs())
def test_cycles_are_laid_out_rather_than_hung_on(graph: tuple[int, list[tuple[int, int]]]) -> None:
    count, edges = graph
    assert sorted(topological(count, edges)) == list(range(count))
    assert layered([BOX] * count, edges) == layered([BOX] * count, edges)


def test_a_layer_is_the_longest_path_to_it() -> None:
    assert layers_of(4, [(0, 1), (1, 2), (0, 2), (2, 3), (0, 3)]) == [0, 1, 2, 3]


def test_a_chain_is_straight() -> None:
    plan = layered([BOX] * 5, [(i, i + 1) for i in range(4)])
    assert len({y for _, y in plan.places}) == 1


def test_avoidable_crossings_are_avoided() -> None:
    # 0 and 1 feed 3 and 2: drawn in the order given, the edges would cross.
    plan = layered([BOX] * 4, [(0, 3), (1, 2)])
    y = [place[1] for place in plan.places]
    assert (y[0] < y[1]) == (y[3] < y[2])


@pytest.mark.parametrize("shape", ["chain", "fan", "random", "long edges"])
def test_ten_thousand_nodes_take_seconds(shape: str) -> None:
    count, chance = 10_000, random.Random(1)
    edges = {
        "chain": [(i, i + 1) for i in range(count - 1)],
        "fan": [(0, i) for i in range(1, count)],
        "random": [(chance.randrange(max(0, i - 50), i), i) for i in range(1, count)] * 2,
        "long edges": [(i, i + 1) for i in range(count - 1)] + [(0, i) for i in range(2, count)],
    }[shape]
    began = time.perf_counter()
    layered([BOX] * count, edges)
    assert time.perf_counter() - began < 15
