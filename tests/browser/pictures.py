"""Takes the pictures of the widgets that README.md shows, anew: `python tests/browser/pictures.py`.

They are taken of real widgets in JupyterLab, in the light theme, finer than on the screen.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

from drawing import Designer
from lab import CHROMIUM_FLAGS, LIGHT, Book, Screen, find_chromium, serve
from PIL import Image
from playing import Player
from playwright.sync_api import Locator, expect, sync_playwright

FOLDER = Path(__file__).parents[2] / "data" / "pictures"
COLOURS = 96  # of each picture: as good as all of them, in a third of the bytes

CHECKOUT = FOLDER.parent / "sagas" / "checkout.yaml"

SETUP = f"""\
from sagakit import Engine, Saga, Scenario, simulate
from sagakit.lab import ORDER, Twin, bugs
from sagakit.widgets import EngineMonitor, FaultMatrix, SagaDesigner, SagaPlayer, TraceExplorer
checkout = Saga.from_yaml({str(CHECKOUT)!r})
order = dict(customer="ALFKI", amount=42)
shop = Twin()
"""
PLAYER = """\
bad_day = Scenario().lose_reply("charge_payment", 1).slow("reserve_stock", 0.8)
bad_day = bad_day.fail("confirm_order")
player = SagaPlayer(shop.saga, ORDER, scenario=bad_day, world=shop.fresh)
player
"""
EXPLORER = """\
TraceExplorer(simulate(checkout, order, scenario=Scenario().lose_reply("charge_payment")))
"""
MONITOR = """\
import threading, time
engine = Engine()
no_stock = Scenario().fail("reserve_stock")
night = no_stock.fail_compensation("charge_payment")
def orders():
    for number in range(1, 1000):
        scenario = night if number in (200, 700) else no_stock if number % 9 == 0 else Scenario()
        engine.start(checkout, order, id=f"order-{number}", scenario=scenario)
        time.sleep(0.03)
threading.Thread(target=orders, daemon=True).start()
EngineMonitor(engine)
"""


def _designer(book: Book, cell: int) -> Locator:
    drawn = Designer(book, cell)
    drawn.step("charge_payment").click()
    drawn.tool("Show everything").click()
    expect(drawn.field("Name").first).to_have_value("charge_payment")
    return drawn.root


def _player(book: Book, cell: int) -> Locator:
    player = Player(book, cell, "player")
    player.events().filter(has_text="compensation started").filter(has_text="charge").click()
    return player.root


def _explorer(book: Book, cell: int) -> Locator:
    root = book.output(cell).locator(".sk-root")
    root.locator('.sk-piece[data-outcome="in doubt"]').nth(1).click()
    expect(root.get_by_label("Details of the span")).to_be_visible()
    return root


def _matrix(book: Book, cell: int) -> Locator:
    root = book.output(cell).locator(".sk-root")
    expect(root.get_by_role("grid")).to_be_visible()
    return root


def _monitor(book: Book, cell: int) -> Locator:
    root = book.output(cell).locator(".sk-root")
    expect(root.locator(".sk-stuck-row")).to_have_count(2, timeout=60_000)  # it has a past then
    return root


# Of each picture: the cell that shows the widget, and what hands do before it is taken.
PICTURES: dict[str, tuple[str, Callable[[Book, int], Locator]]] = {
    "designer": ("SagaDesigner(checkout)", _designer),
    "player": (PLAYER, _player),
    "explorer": (EXPLORER, _explorer),
    "matrix": ('FaultMatrix(bugs()["not_idempotent"].explore())', _matrix),
    "monitor": (MONITOR, _monitor),
}


def take(screen: Screen) -> None:
    """Take all of them, from one notebook."""
    book = screen.notebook([SETUP, *(code for code, _ in PICTURES.values())])
    book.run()
    book.theme(LIGHT)
    for cell, (name, (_, prepare)) in enumerate(PICTURES.items(), 1):
        root = prepare(book, cell)
        root.evaluate("root => root.scrollIntoView({block: 'center'})")
        screen.page.mouse.move(0, 0)
        image = Image.open(io.BytesIO(root.screenshot())).convert("RGB")
        small = image.quantize(COLOURS, dither=Image.Dither.NONE)
        small.save(FOLDER / f"{name}.png", optimize=True)
    screen.check()


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder)) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=list(CHROMIUM_FLAGS)
        )
        take(Screen.open(browser, server, width=1560, height=1000, scale=1.5))
        browser.close()
