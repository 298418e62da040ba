"""A designer on a page, as hands use it: dragging, ticking, typing, reading what it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab import Book, Shown
from playwright.sync_api import Locator, expect

TABS = ("Canvas", "YAML", "Python", "Problems", "Data")


@dataclass
class Designer(Shown):
    """The designer that a cell of a notebook shows."""

    # -- where things are -------------------------------------------------------------------

    @property
    def canvas(self) -> Locator:
        return self.root.locator(".sk-canvas")

    def step(self, name: str) -> Locator:
        """A step's box."""
        return self.canvas.locator(f'[data-step="{name}"]')

    def steps(self) -> list[str]:
        """The names of the steps that the canvas shows."""
        boxes = self.canvas.locator("[data-step]").all()
        return [box.get_attribute("data-step") or "" for box in boxes]

    def edges(self) -> set[str]:
        """The arrows of the canvas: 'before → after'."""
        arrows = self.canvas.locator(".react-flow__edge").all()
        ids = [arrow.get_attribute("data-id") or "" for arrow in arrows]
        return {id.strip("[]").replace('"', "").replace(",", " → ") for id in ids}

    def part(self, label: str) -> Locator:
        """What stands in the palette under this label."""
        palette = self.root.get_by_role("region", name="Palette")
        return palette.get_by_role("button", name=label, exact=True)

    @property
    def inspector(self) -> Locator:
        return self.root.locator(".sk-side")

    def field(self, label: str) -> Locator:
        """The field of the inspector that has this label."""
        return self.inspector.get_by_label(label, exact=True)

    def unfold(self, section: str) -> None:
        """Open a section of the inspector, if it is not open."""
        box = self.inspector.locator("details", has_text=section).first
        if box.get_attribute("open") is None:
            box.locator("summary").click()

    @property
    def yaml(self) -> Locator:
        return self.root.get_by_label("The saga as YAML")

    def tool(self, label: str) -> Locator:
        """A button of the toolbar; its label begins so."""
        return self.root.get_by_role("toolbar").get_by_role("button", name=label)

    def problems(self, level: str) -> list[dict[str, Any]]:
        """What the kernel finds wrong, of one level."""
        found: list[dict[str, Any]] = self.book.value("designer.problems")
        return [problem for problem in found if problem["level"] == level]

    # -- what hands do ----------------------------------------------------------------------

    def to_sight(self) -> None:
        """Scroll the notebook so that all of the designer is seen."""
        self.root.evaluate("root => root.scrollIntoView({block: 'center'})")

    def open(self, tab: str) -> None:
        """Open a tab by click."""
        self.root.get_by_role("tab", name=tab).click()
        expect(self.root.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")

    def drag(self, label: str, x: float, y: float) -> None:
        """Drag a part of the palette to a place on the canvas, in pixels from its corner."""
        self._drag(self.part(label), lambda: self._corner(self.canvas, x, y))

    def drag_onto(self, label: str, step: str) -> None:
        """Drag a part of the palette onto a step."""
        self._drag(self.part(label), lambda: self._middle(self.step(step)))

    def connect(self, before: str, after: str) -> None:
        """Drag from the right handle of a step to the left one of another."""
        node = '.react-flow__node[data-id="{}"] .react-flow__handle.{}'
        target = self.canvas.locator(node.format(after, "target"))
        self._drag(self.canvas.locator(node.format(before, "source")), lambda: self._middle(target))

    def move(self, step: str, dx: float, dy: float) -> None:
        """Drag a step by so many pixels."""
        x, y = self._middle(self.step(step))
        self._drag(self.step(step), lambda: (x + dx, y + dy))

    def type_into(self, field: Locator, text: str) -> None:
        """Put a text into a field in place of what it holds, and leave the field."""
        field.fill(text)
        field.press("Tab")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.book.page.keyboard.press(key)

    def focused(self) -> str:
        """What a screen reader calls the element that has the focus: its label, or its words."""
        name: str = self.book.page.evaluate(
            """() => {
                const at = document.activeElement;
                const labels = [...(at.labels ?? [])].map(label => label.textContent).join(' ');
                return at.getAttribute('aria-label') ?? (labels || at.textContent);
            }"""
        )
        return " ".join(name.split())

    def tab_to(self, name: str, back: bool = False) -> None:
        """Press Tab until what is called so has the focus.

        Raises:
            AssertionError: it cannot be reached so.
        """
        passed = []
        for _ in range(120):
            self.press("Shift+Tab" if back else "Tab")
            passed.append(self.focused())
            if passed[-1] == name:
                return
        raise AssertionError(f"Tab does not lead to '{name}'; it went through {passed}")

    def _middle(self, what: Locator) -> tuple[float, float]:
        box = what.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def _corner(self, what: Locator, dx: float, dy: float) -> tuple[float, float]:
        box = what.bounding_box()
        assert box is not None
        return box["x"] + dx, box["y"] + dy

    def _drag(self, what: Locator, to: Callable[[], tuple[float, float]]) -> None:
        self.to_sight()
        what.scroll_into_view_if_needed()
        (x, y), mouse = to(), self.book.page.mouse  # where it is once nothing scrolls any more
        mouse.move(*self._middle(what))
        mouse.down()
        mouse.move(x - 5, y - 5, steps=5)
        mouse.move(x, y, steps=3)
        mouse.up()


def designer(book: Book, cell: int = -1) -> Designer:
    """The designer that a cell shows, once it is drawn; -1: the last cell."""
    found = Designer(book, cell if cell >= 0 else book.count() + cell)
    expect(found.canvas).to_be_visible()
    return found
