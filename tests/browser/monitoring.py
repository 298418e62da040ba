"""A monitor on a page, as hands use it: counts read, stuck executions decided about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab import Shown
from playwright.sync_api import Locator, expect

_COUNTS = """root => Object.fromEntries([...root.querySelectorAll('.sk-statuses > li')]
    .filter(one => one.dataset.count !== '0')
    .map(one => [one.dataset.status, Number(one.dataset.count)]))"""


@dataclass
class Monitor(Shown):
    """The monitor that a cell of a notebook shows; `name` is the widget's in the kernel."""

    name: str = "monitor"

    @property
    def form(self) -> Locator:
        return self.root.get_by_role("dialog")

    @property
    def wrong(self) -> Locator:
        """What is said to be missing, beside the fields of the form."""
        return self.form.locator(".sk-decide-field .sk-error")

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)

    def stuck(self, id: str) -> Locator:
        """The row of a stuck execution, or of one that was."""
        return self.root.locator(f'.sk-stuck-row[data-id="{id}"]')

    def flying(self, id: str) -> Locator:
        return self.root.locator(f'.sk-flight-row[data-id="{id}"]')

    def counts(self) -> dict[str, int]:
        """How many executions of each status it shows."""
        found: dict[str, int] = self.root.evaluate(_COUNTS)
        return found

    def expect_counts(self, **counts: int) -> None:
        """Wait until it shows these and no others."""
        for status in ("running", "waiting", "completed", "compensated", "stuck", "abandoned"):
            tile = self.root.locator(f'.sk-statuses > li[data-status="{status}"]')
            expect(tile).to_have_attribute("data-count", str(counts.get(status, 0)))
        assert self.counts() == counts

    def decide(self, button: str, why: str, by: str | None = None) -> None:
        """Open the form by a click, fill it in, and send it."""
        self.button(button).click()
        if by is not None:
            self.form.get_by_label("Who decides").fill(by)
        self.form.get_by_label("Reason").fill(why)
        self.form.get_by_label("Reason").press("Enter")
        expect(self.form).to_have_count(0)

    def expect_answer(self, id: str, text: str, role: Any = "status") -> None:
        """Wait until this is said in the row of the execution that was decided about."""
        expect(self.stuck(id).get_by_role(role).filter(has_text=text)).to_be_visible()
