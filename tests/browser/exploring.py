"""A trace explorer on a page, as hands use it: zooming, panning, filtering, selecting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lab import Shown
from playwright.sync_api import Locator, expect

# The bars that are drawn, by lane and trace: what they show, and where they are (px of the page).
_BARS = """root => [...root.querySelectorAll('.sk-piece')].map(bar => {
    const {left, right, top} = bar.getBoundingClientRect();
    return {run: +bar.closest('.sk-track').dataset.run, span: +bar.dataset.span,
            count: +bar.dataset.count, outcome: bar.dataset.outcome,
            faint: bar.classList.contains('sk-faint'),
            critical: bar.classList.contains('sk-critical'), left, right, top};
})"""


@dataclass
class Explorer(Shown):
    """The explorer that a cell of a notebook shows; `name` is the widget's in the kernel."""

    name: str

    @property
    def lanes(self) -> Locator:
        return self.root.get_by_role("tree")

    def button(self, name: str, exact: bool = True) -> Locator:
        return self.root.get_by_role("button", name=name, exact=exact)

    def step(self, path: str) -> Locator:
        return self.root.locator(f'.react-flow__node[data-id="{path}"] .sk-main')

    def labels(self) -> list[str]:
        """The lanes that are there, from the top."""
        names = self.root.locator(".sk-lane").evaluate_all(
            "all => all.map(one => [parseFloat(one.style.top),"
            " one.querySelector('.sk-lane-name').textContent])"
        )
        return [name for _, name in sorted(names)]

    def shows(self, names: Iterable[str]) -> None:
        """Wait until these lanes are there, and no others."""
        wanted = list(names)
        expect(self.root.locator(".sk-lane")).to_have_count(len(wanted))
        assert self.labels() == wanted

    def lane(self, name: str) -> Locator:
        return self.root.locator(".sk-lane").filter(
            has=self.book.page.get_by_text(name, exact=True)
        )

    def twist(self, name: str) -> Locator:
        return self.lane(name).locator(".sk-twist")

    def bars(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.root.evaluate(_BARS)
        return found

    def bar(self, span: int, run: int = 0) -> Locator:
        return self.root.locator(f'.sk-track[data-run="{run}"] .sk-piece[data-span="{span}"]')

    def place(self, span: int, run: int = 0) -> dict[str, Any]:
        """Where the bar of a span is on the page, px."""
        return next(bar for bar in self.bars() if (bar["run"], bar["span"]) == (run, span))

    def until(self, span: int, holds: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until something holds of the place of a span's bar."""
        places = []
        for _ in range(200):
            places.append(self.place(span))
            if holds(places[-1]):
                return
            self.book.page.evaluate("() => new Promise(requestAnimationFrame)")
        raise AssertionError(f"the bar of span {span} never came to be so: {places[-1]}")

    def number(self, name: str, run: int = 0) -> int:
        """The number of the first span of this name."""
        found: int = self.book.value(
            f"[span.name for span in {self.name}._columns[{run}].spans].index({name!r})"
        )
        return found

    def selected(self) -> tuple[int, int] | None:
        """(trace, span), as the page has it."""
        said = self.root.locator(".sk-explorer").get_attribute("data-span")
        if not said:
            return None
        run, span = map(int, said.split(","))
        return run, span

    def selects(self, span: int, run: int = 0) -> None:
        """Wait until a span is selected, here and in the kernel."""
        expect(self.root.locator(".sk-explorer")).to_have_attribute("data-span", f"{run},{span}")
        self.book.expect(f"{self.name}.selected", (run, span))

    def ticks(self) -> list[str]:
        """The words on the axis that are in sight."""
        found: list[str] = self.root.evaluate(
            """root => { const axis = root.querySelector('.sk-axis');
                const {left, right} = axis.getBoundingClientRect();
                return [...axis.querySelectorAll('.sk-tick-text')].filter(one => {
                    const x = one.getBoundingClientRect().left;
                    return x >= left && x < right;
                }).map(one => one.textContent); }"""
        )
        return found

    def track(self, run: int = 0) -> dict[str, float]:
        """The place of a trace's bars on the page."""
        box = self.root.locator(f'.sk-axis[data-run="{run}"]').bounding_box()
        assert box is not None
        return dict(box)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.book.page.keyboard.press(key)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        mouse = self.book.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=4)
        mouse.move(*end, steps=4)
        mouse.up()

    def tab_to(self, name: str, most: int = 40) -> None:
        """Press Tab until what has this name has the focus."""
        for _ in range(most):
            self.press("Tab")
            said = self.book.page.evaluate("() => document.activeElement.ariaLabel || ''")
            if said.startswith(name):
                return
        raise AssertionError(f"no Tab leads to {name!r}; the last was {said!r}")
