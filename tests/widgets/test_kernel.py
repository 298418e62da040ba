"""A widget in a real kernel, spoken to as a page does, without a page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install 'sagakit[lab]'")

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

SECONDS = 60.0  # for one answer; a busy machine is no failure
MAKE = """\
from sagakit.lab import ORDER, Twin
from sagakit.widgets import SagaPlayer
shop = Twin()
player = SagaPlayer(shop.saga, ORDER, world=shop.fresh)
"""


@pytest.fixture
def kernel() -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel(startup_timeout=SECONDS)
    try:
        features = ask(client, "kernel_info_request").get("supported_features", ())
        if "kernel subshells" not in features:
            pytest.skip("this kernel has no subshells: they come with ipykernel 7")
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def ask(
    client: BlockingKernelClient,
    kind: str,
    content: dict[str, Any] | None = None,
    channel: str = "shell",
    subshell: str | None = None,
) -> dict[str, Any]:
    """Send a message, wait until the kernel has done with it, and give the content of its reply."""
    message = client.session.msg(kind, content or {})
    message["header"]["subshell_id"] = subshell
    told = getattr(client, f"{channel}_channel")
    told.send(message)
    reply: dict[str, Any] = {}
    waits = {"reply", "idle"} if not kind.startswith("comm_") else {"idle"}
    limit = time.monotonic() + SECONDS
    while waits:
        assert time.monotonic() < limit, f"no answer to {kind}"
        for name, one in (("reply", told), ("idle", client.iopub_channel)):
            while one.msg_ready():
                heard = one.get_msg(timeout=SECONDS)
                if heard["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                    continue
                if name == "reply":
                    reply = heard["content"]
                    waits.discard("reply")
                elif heard["content"].get("execution_state") == "idle":
                    waits.discard("idle")
        time.sleep(0.005)
    return reply


def run(client: BlockingKernelClient, code: str, subshell: str | None = None) -> Any:
    """Run code, and give what it left in `it`."""
    content = {"code": code, "silent": False, "user_expressions": {"it": "it"}}
    reply = ask(client, "execute_request", content, subshell=subshell)
    assert reply["status"] == "ok", reply
    it = reply["user_expressions"]["it"]
    assert it["status"] == "ok", it
    return it["data"]["text/plain"]


SAY = "player.state = {**player.state, 'said': {'text': 'hello', 'level': 'info'}}; it = 0"
SAYINGS = {
    "by a message": SAY,
    "by a thread": f"""\
import threading
def say():
    {SAY}
thread = threading.Thread(target=say)
thread.start()
thread.join()
it = 0
""",
}


@pytest.mark.parametrize("how", SAYINGS)
def test_what_is_said_in_a_subshell_that_ends_leaves_the_widget_heard(
    kernel: BlockingKernelClient, how: str
) -> None:
    """JupyterLab opens subshells for what pages send, and ends them; ipykernel would send the next
    gesture to the one in which the widget spoke last."""
    comm = run(kernel, f"{MAKE}it = player.comm.comm_id").strip("'")
    subshell = ask(kernel, "create_subshell_request", channel="control")["subshell_id"]
    run(kernel, SAYINGS[how], subshell)
    ended = ask(kernel, "delete_subshell_request", {"subshell_id": subshell}, channel="control")
    assert ended["status"] == "ok", ended
    data = {"method": "update", "state": {"edit": {"seq": 1, "seed": 7}}, "buffer_paths": []}
    ask(kernel, "comm_msg", {"comm_id": comm, "data": data})
    assert run(kernel, "it = (player.state['seq'], player.state['seed'])") == "(1, 7)"
