"""A real service on a real socket, and an address at which there is none."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from real_service import Service


@pytest.fixture
def service() -> Iterator[Service]:
    one = Service()
    yield one
    one.close()


@pytest.fixture
def nobody() -> str:
    """The address of a port at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"
