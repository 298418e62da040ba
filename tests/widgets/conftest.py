"""A designer and the page that it talks to, without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("anywidget", reason="needs sagakit[widgets]")

import comm
from comm.base_comm import BaseComm
from ipywidgets import Widget


class Page:
    """What the page of a designer gets, and what it sends."""

    def __init__(self, designer: Any) -> None:
        self.designer = designer
        self.seq = 0

    @property
    def got(self) -> list[dict[str, Any]]:
        """The messages since it was asked last."""
        wire = self.designer.comm
        messages, wire.sent = wire.sent, []
        return messages

    def edit(self, **parts: Any) -> dict[str, Any]:
        """Make one gesture; the state that answers it."""
        state: dict[str, Any] = self.message(**parts)["state"]
        return state

    def message(self, **parts: Any) -> dict[str, Any]:
        """Make one gesture; the traits that answer it, in the one message that is sent."""
        self.seq += 1
        edit = json.loads(json.dumps({"seq": self.seq, **parts}))
        data = {"method": "update", "state": {"edit": edit}, "buffer_paths": []}
        before = self.got
        assert before is not None
        self.designer._handle_msg({"content": {"data": data}, "buffers": []})
        sent = self.got
        assert len(sent) == 1, "one gesture, one message"
        assert sent[0]["method"] == "update"
        traits: dict[str, Any] = sent[0]["state"]
        assert traits["state"]["seq"] == self.seq
        return traits


class _Wire(BaseComm):
    """Keeps what is sent, as it stands in a message."""

    def __init__(self, *given: Any, **options: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        super().__init__(*given, **options)

    def publish_msg(self, msg_type: str, data: Any = None, *_: Any, **__: Any) -> None:
        # what opens a designer has the page's code in it: too much to keep
        self.sent.append({} if msg_type == "comm_open" else json.loads(json.dumps(data)))


@pytest.fixture(autouse=True)
def _wires(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(comm, "create_comm", _Wire)
    yield
    Widget.close_all()  # each one that is open is kept


@pytest.fixture
def page() -> type[Page]:
    return Page
