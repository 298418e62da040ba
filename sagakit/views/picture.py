"""Pictures and Mermaid text as values that a notebook shows by itself."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from sagakit.views.svg import esc, oneline


def details(table: Sequence[Sequence[str]]) -> str:
    """A table, header first, as HTML that opens below a picture; empty for no table."""
    if not table:
        return ""
    header, *rows = table
    head = "".join(f"<th>{esc(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{esc(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        "<details><summary>As a table</summary><table>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></details>"
    )


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """An SVG picture with its words: `alt` says what it shows, `table` (header first) holds it.

    `caption` is what the one-line repr says; left out, it is `alt`. `insides` are pictures of what
    this one shows closed, each after the words that open it.
    """

    svg: str
    alt: str
    table: tuple[tuple[str, ...], ...] = ()
    caption: str = ""
    insides: tuple[tuple[str, Picture], ...] = ()

    def __repr__(self) -> str:
        text = oneline(self.caption or self.alt)
        return f"<Picture: {text if len(text) <= 100 else text[:99] + '…'}>"

    def _repr_html_(self) -> str:
        # A data-URI image, because notebooks that are not trusted strip inline <svg>.
        data = base64.b64encode(self.svg.encode("utf-8", "replace")).decode("ascii")
        return (
            f'<img src="data:image/svg+xml;base64,{data}" alt="{esc(oneline(self.alt))}" '
            f'style="max-width:100%">{details(self.table)}{self._opened()}'
        )

    def _opened(self) -> str:
        # JupyterLab's sanitizer keeps <details>: a reader opens and closes it without any script.
        return "".join(
            f"<details><summary>{esc(oneline(words))}</summary>"
            f'<div style="margin-left:20px">{picture._repr_html_()}</div></details>'
            for words, picture in self.insides
        )

    def save(self, path: str | Path) -> Path:
        """Write the SVG to `path` (UTF-8) and return it; OSError where it cannot be written."""
        target = Path(path)
        target.write_bytes(self.svg.encode("utf-8", "replace"))
        return target


class Mermaid(msgspec.Struct, frozen=True):
    """Mermaid text that notebooks and code hosts draw; `str()` gives the text."""

    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        first, *rest = oneline(self.text.split("\n", 1)[0]), *self.text.splitlines()[1:]
        return f"<Mermaid: {first}, {len(rest) + 1} lines>"

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        bundle = {"text/vnd.mermaid": self.text, "text/plain": self.text}
        return {
            kind: text
            for kind, text in bundle.items()
            if (not include or kind in include) and kind not in (exclude or ())
        }
