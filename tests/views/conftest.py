"""What the tests of pictures share: reading SVG, and the sagas they draw."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from sagakit.views import FlowNode

Flow = tuple[list[FlowNode], list[tuple[str, str]]]
SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ET.Element:
    """The document, once it has shown what every picture must have."""
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title") is not None
    assert root.find(f"{SVG}desc") is not None
    for element in root.iter():
        assert element.tag not in {f"{SVG}script", f"{SVG}image", f"{SVG}foreignObject"}
        assert not [name for name in element.attrib if name.endswith("href")]
        assert not [name for name in element.attrib if name.startswith("on")]
    return root


def words(svg: str) -> list[str]:
    return ["".join(e.itertext()) for e in parsed(svg).iter(f"{SVG}text")]


@pytest.fixture
def read_svg() -> Callable[[str], ET.Element]:
    return parsed


@pytest.fixture
def texts() -> Callable[[str], list[str]]:
    return words


@pytest.fixture
def checkout() -> Flow:
    nodes = [
        FlowNode(
            name="create_order",
            kind="compensatable",
            compensation="cancel_order",
            state="compensating",
            service="orders",
        ),
        FlowNode(
            name="charge_payment",
            kind="compensatable",
            compensation="refund_payment",
            state="compensated",
            notes=("3 attempts", "timeout 2 s"),
        ),
        FlowNode(
            name="reserve_stock",
            kind="compensatable",
            compensation="release_stock",
            state="failed",
        ),
        FlowNode(name="confirm_order", kind="pivot", state="pending"),
        FlowNode(name="schedule_delivery", kind="retriable", state="pending"),
    ]
    edges = [
        ("create_order", "charge_payment"),
        ("create_order", "reserve_stock"),
        ("charge_payment", "confirm_order"),
        ("reserve_stock", "confirm_order"),
        ("confirm_order", "schedule_delivery"),
    ]
    return nodes, edges
