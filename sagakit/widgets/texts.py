"""The YAML text after an edit on the canvas: what has not changed stays as it was typed.

Comments stay with what they stand above. An option of the saga or a step that has changed is
written anew.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sagakit import spec
from sagakit.widgets.drafts import Draft


class _Part(NamedTuple):
    """Some lines of a text: the comments above something, and its own lines.

    Parameters:
        start: the first of its own, from 0.
    """

    start: int
    above: str
    own: str


def edited(text: str, node: Any, old: Draft, new: Draft, plain: Mapping[str, Any]) -> str:
    """The text of a draft that was another one before.

    Parameters:
        text: that of the old draft.
        node: the same, read.
        old: the draft as it was.
        new: the draft as it is.
        plain: the same as the YAML form has it.
    """
    sheet = _Sheet(text, node)
    if not sheet.simple:
        return spec.yaml_text(plain)
    parts = sheet.parts([key.start_mark.line for key, _ in node.value], 0, sheet.end, 0)
    found = {key.value: (part, value) for (key, value), part in zip(node.value, parts, strict=True)}
    place = list(found).index("steps") if "steps" in found else len(found)
    added = [key for key in plain if key not in found]
    made = []
    for key in (*list(found)[:place], *added, *list(found)[place:]):
        part, value = found.get(key, (_Part(0, "", ""), None))
        if key in found and key in old and old[key] == new.get(key) and key != "steps":
            own = part.own
        elif key == "steps" and key in plain and key in found and sheet.has_lines(value):
            own = sheet.steps(part, value, old["steps"], new["steps"], plain["steps"])
        elif key in plain:
            own = spec.yaml_text({key: plain[key]})
        else:
            continue
        made.append(part.above + own)
    return "".join(made)


class _Sheet:
    """The lines of a text.

    Parameters:
        node: the text, read.
    """

    def __init__(self, text: str, node: Any) -> None:
        self._lines = text.splitlines(keepends=True)
        self.end = len(self._lines)
        nodes, aliases = _nodes(node)
        several = re.search(r"^(---|\.\.\.|%)", text, re.MULTILINE)  # documents, directives
        at_the_edge = all(key.start_mark.column == 0 for key, _ in node.value)
        whole = text.endswith("\n") and not several and not node.flow_style and at_the_edge
        # whether each line belongs to one thing alone
        self.simple = whole and not aliases
        # in a text of several lines what looks like a comment may be none
        self._comments = not any(one.id == "scalar" and one.style in ("|", ">") for one in nodes)

    def parts(self, starts: Sequence[int], floor: int, end: int, indent: int) -> list[_Part]:
        """What begins at each of these lines, the last one up to the end.

        Parameters:
            floor: the first line that may belong to them.
            indent: how far a comment is indented at most that belongs to what stands below it.
        """
        begins = []
        for start in starts:
            begins.append(self._begin(start, floor, indent))
            floor = start + 1
        return [
            _Part(start, "".join(self._lines[begin:start]), "".join(self._lines[start:until]))
            for begin, start, until in zip(begins, starts, [*begins[1:], end], strict=True)
        ]

    def _begin(self, start: int, floor: int, indent: int) -> int:
        while self._comments and start > floor:
            line = self._lines[start - 1]
            bare = line.strip()
            if bare and not (bare[0] == "#" and len(line) - len(line.lstrip()) <= indent):
                break
            start -= 1
        return start

    def has_lines(self, steps: Any) -> bool:
        """Whether each step begins on a line of its own, all of them below one another."""
        if steps.id != "sequence" or steps.flow_style or not steps.value:
            return False
        return len({self._dash(item) for item in steps.value} | {None}) == 2

    def _dash(self, item: Any) -> int | None:
        """The column of the dash in front of a step, if it stands on the same line."""
        found = re.match(r"( *)- +$", self._lines[item.start_mark.line][: item.start_mark.column])
        return len(found[1]) if found else None

    def steps(
        self,
        part: _Part,
        node: Any,
        old: Sequence[Draft],
        new: Sequence[Draft],
        plain: Sequence[Draft],
    ) -> str:
        """The lines of the steps, and of the key in front of them, which are this part."""
        indent = self._dash(node.value[0]) or 0
        starts = [item.start_mark.line for item in node.value]
        end = part.start + len(part.own.splitlines())
        parts = self.parts(starts, part.start + 1, end, indent)
        head = self._lines[part.start : starts[0] - len(parts[0].above.splitlines())]
        placed = ["after" in [key.value for key, _ in item.value] for item in node.value]
        rest = {item["step"]: number for number, item in reversed(list(enumerate(old)))}
        made = ["".join(head)]
        for draft, bare in zip(new, plain, strict=True):
            number = rest.pop(draft["step"], -1)
            above, own = ("", "") if number < 0 else (parts[number].above, parts[number].own)
            same = number >= 0 and old[number] == draft
            if not (same and (placed[number] or "after" not in bare)):
                own = textwrap.indent(spec.yaml_text([bare]), " " * indent)
            made.append(above + own)
        return "".join(made)


def _nodes(node: Any) -> tuple[list[Any], bool]:
    """Every node, and whether one stands in several places."""
    found: dict[int, Any] = {}
    front, aliases = [node], False
    while front:
        one = front.pop()
        if id(one) in found:
            aliases = True
            continue
        found[id(one)] = one
        if one.id == "mapping":
            front += [part for pair in one.value for part in pair]
        elif one.id == "sequence":
            front += one.value
    return list(found.values()), aliases
