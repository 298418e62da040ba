from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagakit.views import KINDS, STATES, FlowNode, flow_dot, flow_picture, flow_svg, render
from sagakit.views import flow as flow_module
from sagakit.views.svg import text_width

from .conftest import Flow, parsed, words

Texts = Callable[[str], list[str]]
HOSTILE = [
    '"]; evil',
    "<b>",
    "\\N",
    "\\",
    "a\nb",
    "支付 🚀",
    "x" * 500,
    "\x00\ud800",
    "&lt;",
    "--",
    "",
]
ENGINES = ["own", "pygraphviz"]

label = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec=None), max_size=30))


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    names = draw(st.lists(label, max_size=6, unique=True))
    nodes = [
        FlowNode(
            name=name,
            kind=draw(st.sampled_from(list(KINDS))),
            state=draw(st.none() | st.sampled_from(list(STATES))),
            compensation=draw(st.none() | label),
            service=draw(st.none() | label),
            notes=tuple(draw(st.lists(label, max_size=3))),
        )
        for name in names
    ]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=8)) if pairs else []
    return nodes, edges


@given(label, flows())
def test_our_own_picture_is_valid_xml_whatever_the_labels(title: str, flow: Flow) -> None:
    parsed(flow_svg(title, *flow, engine="own"))


@settings(max_examples=40, deadline=None)
@given(label, flows())
def test_graphviz_accepts_the_dot_whatever_the_labels(title: str, flow: Flow) -> None:
    pytest.importorskip("pygraphviz")
    parsed(flow_svg(title, *flow, engine="pygraphviz"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "name", ['"]; evil', "<b>bold</b>", "\\N \\G \\L", "a & b &amp;", "支付 🚀"]
)
def test_hostile_names_show_as_text(
    engine: flow_module.FlowEngine, name: str, texts: Texts
) -> None:
    if engine == "pygraphviz":
        pytest.importorskip("pygraphviz")
    nodes = [FlowNode(name=name, kind="compensatable", compensation=name)]
    shown = [text.replace("\u2060", "") for text in texts(flow_svg("t", nodes, [], engine=engine))]
    assert f"⇆ {name}" in shown
    assert f"⇠ {name}" in shown


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_flow_gives_the_same_bytes(engine: flow_module.FlowEngine, checkout: Flow) -> None:
    if engine == "pygraphviz":
        pytest.importorskip("pygraphviz")
    first, second = (flow_svg("checkout", *checkout, engine=engine) for _ in range(2))
    assert first == second
    assert "graphviz version" not in first
    assert first.startswith("<svg")


@pytest.mark.parametrize("engine", ENGINES)
def test_every_step_twin_state_and_note_is_in_the_picture(
    engine: flow_module.FlowEngine, checkout: Flow, texts: Texts
) -> None:
    if engine == "pygraphviz":
        pytest.importorskip("pygraphviz")
    shown = " | ".join(texts(flow_svg("checkout", *checkout, engine=engine)))
    for node in checkout[0]:
        for part in (node.name, node.compensation, node.state, node.service, *node.notes):
            assert (part or "") in shown
    assert "point of no return" in shown


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("compensation", [None, "undo"])
def test_every_state_shows_its_glyph_and_its_word(
    state: str, compensation: str | None, texts: Texts
) -> None:
    node = FlowNode(name="a", kind="plain", state=state, compensation=compensation)
    # Once at the step or its twin, once in the legend.
    assert (
        texts(flow_svg("t", [node], [], engine="own")).count(f"{STATES[state].glyph} {state}") == 2
    )


def test_a_compensation_state_is_shown_by_the_twin_and_any_other_by_the_step() -> None:
    node = FlowNode(name="a", kind="compensatable", compensation="undo", state="compensated")
    assert (node.own_state, node.twin_state) == (None, "compensated")
    node = FlowNode(name="a", kind="compensatable", compensation="undo", state="succeeded")
    assert (node.own_state, node.twin_state) == ("succeeded", None)


def test_only_a_saga_with_a_pivot_has_a_point_of_no_return(texts: Texts) -> None:
    node = FlowNode(name="a", kind="plain")
    assert "point of no return" not in texts(flow_svg("t", [node], [], engine="own"))


def test_an_empty_flow_says_so(texts: Texts) -> None:
    assert "no steps yet" in texts(flow_svg("t", [], [], engine="own"))


def test_every_node_and_edge_is_labelled_explicitly(checkout: Flow) -> None:
    # pygraphviz drops default labels on the first render.
    body = flow_dot("checkout", *checkout).body
    drawn = [line for line in body if "->" in line or "shape=" in line]
    assert len(drawn) == 5 + 3 + 5 + 3
    assert all("label=" in line for line in drawn)


def test_two_steps_of_one_name_are_refused() -> None:
    node = FlowNode(name="a", kind="plain")
    with pytest.raises(ValueError, match="two steps are named 'a'"):
        flow_svg("t", [node, node], [])


def test_an_edge_to_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="names 'b', which is not among the steps"):
        flow_dot("t", [FlowNode(name="a", kind="plain")], [("a", "b")])


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no kind 'task'"):
        flow_svg("t", [FlowNode(name="a", kind="task")], [], engine="own")


def test_without_graphviz_auto_draws_its_own(
    checkout: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow_module, "dot_svg", lambda *_args, **_options: None)
    assert flow_svg("t", *checkout) == flow_svg("t", *checkout, engine="own")
    with pytest.raises(RuntimeError, match="'dot' is not installed"):
        flow_svg("t", *checkout, engine="dot")


def test_large_flows_are_never_given_to_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> str:
        raise AssertionError("dot is too slow for this")

    monkeypatch.setattr(flow_module, "dot_svg", refuse)
    nodes = [FlowNode(name=f"s{i}", kind="plain") for i in range(flow_module.MOST_FOR_DOT + 1)]
    assert parsed(flow_svg("t", nodes, [])) is not None


def test_ten_thousand_steps_are_drawn() -> None:
    nodes = [FlowNode(name=f"s{i}", kind="plain", state="succeeded") for i in range(10_000)]
    edges = [(f"s{i // 3}", f"s{i}") for i in range(1, 10_000)]
    assert "s9999" in flow_svg("t", nodes, edges)


def test_dot_on_the_path_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    import graphviz

    drawn = '<?xml version="1.0"?>\n<!-- Generated by graphviz version 9 -->\n<svg a="b"></svg>'
    monkeypatch.setattr("shutil.which", lambda _name: "/usr/bin/dot")
    monkeypatch.setattr(graphviz.Source, "pipe", lambda *_args, **_options: drawn)
    assert render.dot_svg("digraph {}") == '<svg a="b"></svg>\n'


def test_without_dot_and_pygraphviz_there_is_no_svg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    assert render.dot_svg("digraph {}") is None
    assert render.dot_svg("digraph {}", engine="dot") is None


def test_the_bytes_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "from sagakit.views import STATES, FlowNode, flow_svg\n"
        "nodes = [FlowNode(name=s, kind='plain', state=s) for s in STATES]\n"
        "print(flow_svg('t', nodes, [('pending', s) for s in STATES], engine='own'))"
    )
    drawn = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(drawn) == 1


def test_boxes_stay_on_the_card(checkout: Flow) -> None:
    root = parsed(flow_svg("checkout", *checkout, engine="own"))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        assert 0 <= float(text.get("x", 0)) <= width
        assert 0 <= float(text.get("y", 0)) <= height


def test_the_point_of_no_return_stays_on_the_card_after_a_long_chain() -> None:
    nodes = [FlowNode(name=f"some_long_step_{i}", kind="plain") for i in range(6)]
    nodes.append(FlowNode(name="go", kind="pivot"))
    edges = [(a.name, b.name) for a, b in pairwise(nodes)]
    root = parsed(flow_svg("t", nodes, edges, engine="own"))
    (x,) = (
        float(e.get("x", 0))
        for e in root.iter("{http://www.w3.org/2000/svg}text")
        if e.text == "point of no return"
    )
    assert x + text_width("point of no return", 11) / 2 < float(root.get("width", 0))


def test_a_flow_picture_has_words_and_a_table(checkout: Flow) -> None:
    picture = flow_picture("checkout", *checkout)
    assert repr(picture) == "<Picture: flow of 'checkout'>"
    assert (
        "charge_payment (compensatable, compensated by refund_payment, compensated)" in picture.alt
    )
    header, *rows = picture.table
    assert header == ("step", "kind", "after", "compensation", "state", "service", "notes")
    assert rows[3][:3] == ("confirm_order", "pivot", "charge_payment, reserve_stock")


def test_empty_columns_are_left_out_of_the_table() -> None:
    picture = flow_picture("t", [FlowNode(name="a", kind="plain")], [])
    assert picture.table == (("step", "kind"), ("a", "plain"))


def test_the_title_and_description_reach_a_graphviz_picture_too(checkout: Flow) -> None:
    pytest.importorskip("pygraphviz")
    root: ET.Element = parsed(flow_svg("<checkout>", *checkout, engine="pygraphviz"))
    assert root[0].text == "<checkout>"
    assert words(flow_svg("<checkout>", *checkout, engine="pygraphviz"))[0] == "<checkout>"
