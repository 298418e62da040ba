"""A player or a fault matrix on a page, as hands use it: breaking steps, scrubbing, guessing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab import Shown
from playwright.sync_api import Locator, expect

# What the page draws of each step, by its path: the state that is read aloud is that of its look.
_DRAWN = """root => Object.fromEntries([...root.querySelectorAll('.react-flow__node')].map(node => {
    const box = node.querySelector('.sk-main');
    return [node.dataset.id, box.ariaLabel.split('; ')[1]];
}))"""


@dataclass
class Player(Shown):
    """The player that a cell of a notebook shows; `name` is the widget's in the kernel."""

    name: str

    @property
    def inner(self) -> Locator:
        return self.root.locator(".sk-player")

    @property
    def scrubber(self) -> Locator:
        return self.root.get_by_role("slider", name="Event")

    def step(self, path: str) -> Locator:
        return self.root.locator(f'.react-flow__node[data-id="{path}"] .sk-main')

    def button(self, name: str, exact: bool = True) -> Locator:
        return self.root.get_by_role("button", name=name, exact=exact)

    def status(self) -> str:
        """The status at the event that is shown."""
        return self.inner.get_attribute("data-status") or ""

    def event(self) -> int:
        return int(self.inner.get_attribute("data-event") or -1)

    def states(self) -> dict[str, str]:
        """The state of every step, as it is drawn."""
        found: dict[str, str] = self.inner.evaluate(_DRAWN)
        return found

    def glyphs(self, path: str) -> list[str]:
        """The signs of a step and of its compensation."""
        signs = self.root.locator(f'.react-flow__node[data-id="{path}"]')
        return [
            text.strip()
            for text in signs.locator(".sk-chip, .sk-twin > span:first-child").all_inner_texts()
        ]

    def events(self) -> Locator:
        """The rows of the log that are there."""
        return self.root.locator(".sk-event")

    def menu(self, path: str) -> Locator:
        """Click a step: the menu of what can go wrong there."""
        self.step(path).click()
        dialog = self.root.get_by_role("dialog")
        expect(dialog).to_be_visible()
        return dialog

    def answered(self, do: Callable[[], Any]) -> None:
        """Do something that the kernel answers, and wait until it is shown."""
        before = self.book.value(f"{self.name}.state['seq']")
        do()
        self.book.expect(f"{self.name}.state['seq'] > {before}", True)
        expect(self.root.locator("[data-waits]")).to_have_count(0)

    def strike(self, path: str, label: str) -> None:
        """Put a fault in by two clicks."""
        entry = self.menu(path).get_by_text(label, exact=True)
        self.answered(entry.click)

    def tab_to(self, name: str, most: int = 60) -> None:
        """Press Tab until what has this name has the focus."""
        for _ in range(most):
            self.book.page.keyboard.press("Tab")
            said = self.book.page.evaluate(
                "() => document.activeElement.ariaLabel || document.activeElement.innerText"
            )
            if any(line.startswith(name) for line in (said or "").splitlines()):
                return
        raise AssertionError(f"no Tab leads to {name!r}; the last was {said!r}")
