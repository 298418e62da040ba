from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagakit.views import (
    KINDS,
    STATES,
    STATUSES,
    Flow,
    FlowNode,
    Picture,
    fan_out,
    flow_dot,
    flow_picture,
    flow_svg,
)
from sagakit.views.few import few
from sagakit.views.flow import FlowEngine
from sagakit.views.svg import text_width

from .conftest import parsed
from .drawn import Box, drawn

Texts = Callable[[str], list[str]]
ENGINES = ["own", "pygraphviz"]
HOSTILE = ['"]; evil', "<b>bold</b>", "\\N", "a & b &amp;", "支付 🚀", "x" * 300, "\x00"]
GLYPH = "▣"


def chain(title: str, *nodes: FlowNode, status: str = "") -> Flow:
    edges = tuple((a.name, b.name) for a, b in itertools.pairwise(nodes))
    return Flow(title=title, nodes=nodes, edges=edges, status=status)


def node(name: str, kind: str = "compensatable", **more: object) -> FlowNode:
    return FlowNode(name=name, kind=kind, **more)  # type: ignore[arg-type]


def own(flow: Flow) -> str:
    return flow_svg(flow.title, flow.nodes, flow.edges, engine="own")


@pytest.fixture
def trip() -> Flow:
    bank = chain("bank", node("hold", compensation="free"), node("move", "pivot"))
    payment = chain(
        "payment",
        node("authorise", compensation="void"),
        node("bank", inner=bank, compensation="pay_back"),
        node("book", "retriable"),
    )
    return chain(
        "trip",
        node("order"),
        node("pay", inner=payment, compensation="refund_all", service="payments"),
        node("mail", "retriable", nested="for each of 5"),
    )


@st.composite
def flows(draw: st.DrawFn, text: st.SearchStrategy[str], depth: int = 3) -> Flow:
    names = [f"s{i}" for i in range(draw(st.integers(0, 4)))]
    nodes = [
        FlowNode(
            name=name,
            kind=draw(st.sampled_from(list(KINDS))),
            state=draw(st.none() | st.sampled_from(list(STATES))),
            compensation=draw(st.none() | text),
            service=draw(st.none() | text),
            notes=tuple(draw(st.lists(text, max_size=2))),
            nested=draw(st.just("") | text),
            inner=draw(st.none() | flows(text, depth - 1)) if depth else None,
        )
        for name in names
    ]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return Flow(
        title=draw(text),
        nodes=tuple(nodes),
        edges=tuple(draw(st.lists(st.sampled_from(pairs), max_size=5))) if pairs else (),
        status=draw(st.sampled_from(["", *STATUSES])),
        more=draw(st.sampled_from([0, 0, 1, 9_990])),
    )


plain_text = st.sampled_from(
    ["a", "refund_payment", "a rather long remark that has to be cut " * 4]
)
any_text = st.sampled_from(HOSTILE) | st.text(st.characters(codec=None), max_size=20)


def edges_of(flow: Flow, above: str = "") -> list[tuple[str, str]]:
    found = [(above + a, above + b) for a, b in dict.fromkeys(flow.edges)]
    for step in flow.nodes:
        if step.inner is not None:
            found += edges_of(step.inner, f"{above}{step.name}/")
    return found


# -- where things stand ---------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(flows(plain_text))
def test_boxes_overlap_only_where_one_holds_the_other(flow: Flow) -> None:
    steps = drawn(own(flow)).steps
    boxes = [(path, step.outer) for path, step in steps.items()]
    boxes += [(f"{path}/ twin", step.twin) for path, step in steps.items() if step.twin]
    for (a, one), (b, two) in itertools.combinations(boxes, 2):
        if a.endswith(" twin") or not b.startswith(f"{a}/") or b == f"{a}/ twin":
            assert not one.overlaps(two), (a, b)


@settings(max_examples=80, deadline=None)
@given(flows(plain_text))
def test_what_is_inside_a_step_stands_inside_its_frame(flow: Flow) -> None:
    steps = drawn(own(flow)).steps
    for path, step in steps.items():
        frame = steps.get(path.rpartition("/")[0])
        if frame is not None:
            assert frame.panel is not None
            assert frame.box.holds(frame.panel)
            assert frame.panel.holds(step.outer)
            assert step.twin is None or frame.panel.holds(step.twin)


@settings(max_examples=80, deadline=None)
@given(flows(plain_text))
def test_edges_lead_from_border_to_border_and_through_no_box(flow: Flow) -> None:
    found = drawn(own(flow))
    expected = edges_of(flow)
    assert len(found.edges) == len(expected)
    open_ends = list(found.edges)
    for a, b in expected:
        tail, head = found.steps[a].outer, found.steps[b].outer
        fits = [edge for edge in open_ends if _joins(edge, tail, head)]
        assert fits, (a, b)
        open_ends.remove(fits[0])
    for edge in found.edges:
        for path, step in found.steps.items():
            if step.panel is None or not step.panel.surrounds(edge[0]):
                inside = [p for p in edge if step.outer.surrounds(p, 9)]
                assert not inside, path
            assert step.twin is None or not any(map(step.twin.surrounds, edge)), path


def _joins(edge: list[tuple[float, float]], tail: Box, head: Box) -> bool:
    (x, y), (end, y2) = edge[0], edge[-1]
    return (
        abs(x - tail.right) <= 1.2  # a pointed sheet's tip stands a little off the port line
        and tail.top <= y <= tail.bottom
        and abs(end + 6 - head.left) <= 0.3  # the arrowhead is 6 px of it
        and head.top <= y2 <= head.bottom
    )


@settings(max_examples=80, deadline=None)
@given(flows(plain_text))
def test_words_stay_in_their_boxes_apart_from_each_other_and_on_the_card(flow: Flow) -> None:
    svg = own(flow)
    root = parsed(svg)
    card = Box(0, 0, float(root.get("width", 0)), float(root.get("height", 0)))
    for path, step in drawn(svg).steps.items():
        holders = [step.box, *([step.twin] if step.twin else [])]
        for text in step.texts:
            assert any(box.holds(_extent(text)) for box in holders), (path, text.text)
        for one, two in itertools.combinations(map(_extent, step.texts), 2):
            assert not one.overlaps(two), path
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        if not _in_legend(root, text):
            assert card.holds(_extent(text)), text.text


def _extent(text: ET.Element) -> Box:
    x, y, size = (float(text.get(key, 0)) for key in ("x", "y", "font-size"))
    width = text_width("".join(text.itertext()), size)
    left = x - {"start": 0.0, "middle": width / 2, "end": width}[text.get("text-anchor", "start")]
    return Box(left, y - size * 0.8, left + width, y)


def _in_legend(root: ET.Element, text: ET.Element) -> bool:
    moved = (group for group in root if group.get("transform"))
    return any(text in list(group.iter()) for group in moved)


def test_an_edge_into_a_frame_stands_on_the_line_of_the_first_step_inside(trip: Flow) -> None:
    steps = drawn(own(trip)).steps
    middles = {
        path: (steps[path].box.top + steps[path].box.bottom) / 2
        for path in ("order", "pay/authorise", "pay/bank/hold", "mail")
    }
    assert max(middles.values()) - min(middles.values()) < 0.2


def test_ten_thousand_steps_inside_are_drawn_in_linear_time() -> None:
    many = tuple(node(f"s{i}", "plain") for i in range(10_000))
    flow = Flow(title="t", nodes=(node("all", inner=Flow(nodes=many)),))
    began = time.perf_counter()
    assert "s9999" in own(flow)
    assert time.perf_counter() - began < 15


# -- what it says ---------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(flows(any_text))
def test_the_picture_is_valid_and_the_same_twice_whatever_the_words(flow: Flow) -> None:
    first, second = (
        flow_picture(flow.title, flow.nodes, flow.edges, flow.status, opened=opened)
        for opened in (1, 1)
    )
    parsed(first.svg)
    assert first == second
    assert first._repr_html_() == second._repr_html_()


@settings(max_examples=30, deadline=None)
@given(flows(any_text, depth=2))
def test_graphviz_accepts_the_clusters_whatever_the_words(flow: Flow) -> None:
    pytest.importorskip("pygraphviz")
    parsed(flow_svg(flow.title, flow.nodes, flow.edges, engine="pygraphviz"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", HOSTILE[:5])
def test_hostile_names_inside_show_as_text(engine: FlowEngine, name: str, texts: Texts) -> None:
    if engine == "pygraphviz":
        pytest.importorskip("pygraphviz")
    inner = chain(name, node(name, compensation=name))
    flow = chain("t", node("a", nested=name, inner=inner), node("b", nested=name))
    svg = flow_svg("t", flow.nodes, flow.edges, engine=engine)
    shown = [text.replace("\u2060", "") for text in texts(svg)]
    assert f"⇆ {name}" in shown
    assert f"⇠ {name}" in shown
    assert shown.count(f"{GLYPH} {name}") == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_open_and_closed_steps_say_what_they_hold(
    engine: FlowEngine, trip: Flow, texts: Texts
) -> None:
    if engine == "pygraphviz":
        pytest.importorskip("pygraphviz")
    shown = " | ".join(texts(flow_svg("trip", trip.nodes, trip.edges, engine=engine)))
    for words in ("saga payment, 3 steps", "saga bank, 2 steps", "for each of 5"):
        assert f"{GLYPH} {words}" in shown
    for name in ("authorise", "hold", "free", "move", "book", "pay_back", "refund_all"):
        assert name in shown


def test_the_legend_tells_open_from_closed_and_only_names_what_is_there(
    trip: Flow, texts: Texts
) -> None:
    both = texts(own(trip))
    assert f"{GLYPH} has steps inside, open" in both
    assert f"{GLYPH} has steps inside, closed" in both
    closed = texts(flow_picture("trip", trip.nodes, trip.edges, opened=0).svg)
    assert f"{GLYPH} has steps inside, open" not in closed
    assert GLYPH not in own(chain("t", node("a"), node("b", "pivot")))


def test_a_closed_step_has_a_second_sheet_behind_it() -> None:
    steps = drawn(own(chain("t", node("a"), node("b", nested="for each of 5")))).steps
    assert steps["a"].outer == steps["a"].box
    sheet, box = steps["b"].outer, steps["b"].box
    assert (sheet.right - box.right, sheet.bottom - box.bottom) == pytest.approx((4, 4))


def test_how_the_inner_saga_stands_is_said_where_the_step_does_not_say_the_same(
    texts: Texts,
) -> None:
    inner = chain("payment", node("a", state="stuck"), status="stuck")
    shown = texts(own(chain("t", node("pay", state="compensating", inner=inner))))
    assert shown.count("■ stuck") == 3  # the frame's badge, the step inside, the legend
    shown = texts(own(chain("t", node("pay", state="stuck", inner=inner))))
    assert shown.count("■ stuck") == 3  # the frame's state instead


def test_steps_that_are_not_drawn_are_counted(texts: Texts) -> None:
    copies = [node(f"notify[{i}]", state="succeeded") for i in range(10_000)]
    flow = chain("t", node("notify", nested="for each of 10,000", inner=fan_out("", copies)))
    for engine in ENGINES:
        if engine == "pygraphviz":
            pytest.importorskip("pygraphviz")
        assert "… and 9,995 more" in texts(
            flow_svg("t", flow.nodes, flow.edges, engine=engine)  # type: ignore[arg-type]
        )


def test_a_fan_out_shows_the_rare_copies_first() -> None:
    state = {7342: "stuck", 5000: "failed"}
    copies = [node(f"c{i}", state=state.get(i, "succeeded")) for i in range(10_000)]
    flow = fan_out("notify", copies, "stuck", most=4)
    assert [copy.name for copy in flow.nodes] == ["c0", "c1", "c5000", "c7342"]
    assert (flow.more, flow.status, flow.title) == (9_996, "stuck", "notify")
    assert fan_out("notify", copies[:3]).more == 0


@given(st.lists(st.sampled_from("abc")), st.integers(0, 6))
def test_the_few_are_in_order_and_have_one_of_every_look(looks: list[str], most: int) -> None:
    kept = few(looks, most)
    assert kept == sorted(set(kept))
    assert len(kept) == min(most, len(looks))
    if most >= len(set(looks)):
        assert {looks[i] for i in kept} == set(looks)


def test_unknown_states_names_and_statuses_inside_are_refused() -> None:
    for inner, message in (
        (chain("i", node("a", "task")), "no kind 'task'"),
        (chain("i", node("a"), node("a")), "two steps are named 'a'"),
        (Flow(edges=(("a", "b"),)), "names 'a'"),
        (Flow(status="failed"), "no status 'failed'"),
    ):
        for draw in (own, lambda flow: flow_dot("t", flow.nodes, flow.edges)):
            with pytest.raises(ValueError, match=message):
                draw(chain("t", node("x", inner=inner)))


# -- words and tables -----------------------------------------------------------------------


def test_inner_steps_are_named_by_their_paths_in_words_and_in_the_table(trip: Flow) -> None:
    picture = flow_picture("trip", trip.nodes, trip.edges)
    assert picture.alt.startswith("flow of 'trip': 3 steps and 5 inside: order (compensatable); ")
    assert (
        "pay (compensatable, saga payment, 3 steps, compensated by refund_all); pay/authorise"
    ) in picture.alt
    header, *rows = picture.table
    assert header == ("step", "kind", "after", "compensation", "service", "holds")
    assert [row[0] for row in rows] == [
        "order",
        "pay",
        "pay/authorise",
        "pay/bank",
        "pay/bank/hold",
        "pay/bank/move",
        "pay/book",
        "mail",
    ]
    assert rows[5][2] == "pay/bank/hold"


def test_the_table_says_how_many_are_left_out() -> None:
    inner = fan_out("", [node(f"c{i}") for i in range(100)], most=2)
    picture = flow_picture("t", [node("all", inner=inner)], [])
    assert picture.table[-1] == ("all/…", "", "", "… and 98 more")
    assert "1 step and 100 inside" in picture.alt


def test_beyond_twenty_steps_inside_the_words_keep_to_the_outer_ones() -> None:
    inner = Flow(title="big", nodes=tuple(node(f"c{i}") for i in range(30)))
    alt = flow_picture("t", [node("a", inner=inner)], []).alt
    assert alt == "flow of 't': 1 step and 30 inside: a (compensatable, saga big, 30 steps)"


# -- opening and closing --------------------------------------------------------------------


def test_a_closed_picture_offers_what_is_inside_below_it(trip: Flow, texts: Texts) -> None:
    picture = flow_picture("trip", trip.nodes, trip.edges, opened=0)
    assert "⇆ authorise" not in texts(picture.svg)
    ((words, payment),) = picture.insides
    assert words == "pay: saga payment, 3 steps"
    assert "⇆ authorise" in texts(payment.svg)
    assert "⇆ hold" not in texts(payment.svg)
    assert [words for words, _ in payment.insides] == ["bank: saga bank, 2 steps"]
    html = picture._repr_html_()
    assert html.index("<summary>pay: saga") < html.index("<summary>bank: saga")
    assert html.count("<img") == html.count("alt=") == 3


def test_as_many_levels_are_open_as_asked_and_the_rest_is_offered(trip: Flow, texts: Texts) -> None:
    picture = flow_picture("trip", trip.nodes, trip.edges, opened=1)
    assert "⇆ authorise" in texts(picture.svg)
    assert [words for words, _ in picture.insides] == ["pay/bank: saga bank, 2 steps"]
    everything = flow_picture("trip", trip.nodes, trip.edges)
    assert everything.insides == ()
    assert everything.svg == own(trip)


def test_further_pictures_are_offered_after_the_closed_steps(trip: Flow) -> None:
    extra = ("mail: the first of 5", Picture(svg="<svg/>", alt="mail"))
    picture = flow_picture("trip", trip.nodes, trip.edges, opened=0, insides=[extra])
    assert [words for words, _ in picture.insides] == ["pay: saga payment, 3 steps", extra[0]]


# -- Graphviz -------------------------------------------------------------------------------


def test_every_node_edge_and_cluster_is_labelled_explicitly(trip: Flow) -> None:
    # pygraphviz drops default labels on the first render.
    body = flow_dot("trip", trip.nodes, trip.edges).body
    drawn_lines = [
        line for line in body if "->" in line or "shape=" in line or "style=rounded" in line
    ]
    assert sum("subgraph cluster" in line for line in body) == 2
    assert all("label=" in line for line in drawn_lines)


def test_edges_leave_a_cluster_at_its_border_and_enter_it_at_its_step(trip: Flow) -> None:
    source = flow_dot("trip", trip.nodes, trip.edges).source
    assert "compound=true" in source
    assert 'step0 -> step1 [label=""]' in source
    assert "ltail=cluster1]" in source
    assert "compound" not in flow_dot("t", [node("a")], []).source


def test_the_bytes_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "from sagakit.views import *\n"
        "inner = fan_out('', [FlowNode(name=s, kind='plain', state=s) for s in STATES])\n"
        "nodes = [FlowNode(name='a', kind='pivot', inner=inner)]\n"
        "print(flow_picture('t', nodes, [])._repr_html_(), flow_dot('t', nodes, []).source)"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
