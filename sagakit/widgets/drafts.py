"""What is on the canvas as plain data, between the page and the YAML form.

A *draft* is the YAML form as JSON, in which each step's ``after`` is written out. It need not be a
saga yet. Whatever JSON or JavaScript cannot hold, such as a date, is a mapping of ``!!yaml`` to its
text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sagakit import spec
from sagakit.steps import Choose, Step, default_after

Draft = dict[str, Any]
Path = tuple[str | int, ...]

_MARK = "!!yaml"
_EXACT = 2**53  # JavaScript holds no larger whole number exactly


class NotADraftError(ValueError):
    """Data that has no steps to show."""


# -- between a text and a draft -------------------------------------------------------------


def from_spec(document: spec.SagaSpec) -> Draft:
    """The draft of a document."""
    return _with_after(_json(spec.as_plain(document)))


def from_node(node: Any) -> Draft:
    """The draft of a YAML mapping, as far as it says what it should.

    Raises:
        NotADraftError: there is no list of named steps in it.
    """
    return _with_after(_json(_saga(node)))


def received(data: Any) -> Draft:
    """The draft that the page sent, each ``after`` written out.

    Raises:
        NotADraftError: there is no list of named steps in it.
    """
    _must_be_saga(data)
    return _with_after(data)


def plain(draft: Draft) -> Draft:
    """A draft as the YAML form has it: an ``after`` that goes without saying is left out, and the
    keys are in the order of the declaration."""
    return _without_after(_unmarked(draft))


def step_at(draft: Draft, names: Sequence[str]) -> Path:
    """Where a step of a draft that is a saga stands.

    Parameters:
        names: of the steps that it is inside, from the outside in, and its own.
    """
    path: Path = ()
    part: Any = draft
    for name in names:
        if "for_each" in part:
            path, part = (*path, "for_each", "step"), part["for_each"]["step"]
            continue
        if path:
            path, part = (*path, "saga"), part["saga"]
        number = next(n for n, item in enumerate(part["steps"]) if item["step"] == name)
        path, part = (*path, "steps", number), part["steps"][number]
    return path


def names(draft: Draft, at: Path = ()) -> Iterator[tuple[Path, str, str, str]]:
    """Every name that stands for a callable: where it is, of which step, what for, the name."""
    for number, item in enumerate(draft["steps"]):
        yield from _names_of(item, (*at, "steps", number))


def _names_of(item: Draft, at: Path) -> Iterator[tuple[Path, str, str, str]]:
    name = item["step"]
    if all(item.get(key) is None for key in _DOES):
        yield at, name, "action", name  # the one that has the step's name
    for role in _ROLES:
        if isinstance(item.get(role), str):
            yield (*at, role), name, role, item[role]
    for around, roles in _AROUND.items():
        part = item.get(around)
        part = part if isinstance(part, dict) else {}
        for role in roles:
            if isinstance(part.get(role), str):
                yield (*at, around, role), name, role, part[role]
    if item.get("saga") is not None:
        yield from names(item["saga"], (*at, "saga"))
    if item.get("for_each") is not None:
        yield from _names_of(item["for_each"]["step"], (*at, "for_each", "step"))


_DOES = ("action", "wait", "choice", "saga", "for_each")
_ROLES = ("action", "choice", "compensation", "when", "reconcile", "input")
_AROUND = {"wait": ("correlate", "timeout"), "for_each": ("items",)}


def _must_be_saga(data: Any) -> None:
    if not (isinstance(data, dict) and isinstance(data.get("saga"), str)):
        raise NotADraftError("a saga has no name")
    if not isinstance(data.get("steps"), list):
        raise NotADraftError(f"the steps of '{data['saga']}' are no list")
    for item in data["steps"]:
        _must_be_step(item)


def _must_be_step(data: Any) -> None:
    if not (isinstance(data, dict) and isinstance(data.get("step"), str)):
        raise NotADraftError("a step has no name")
    if data.get("saga") is not None:
        _must_be_saga(data["saga"])
    if data.get("for_each") is not None:
        each = data["for_each"]
        _must_be_step(each.get("step") if isinstance(each, dict) else None)


# -- from a YAML node -----------------------------------------------------------------------


def _saga(node: Any) -> Draft:
    found = _mapping(node)
    made = {key: _value(value) for key, value in found.items() if key != "steps"}
    version = found.get("version")
    if version is not None and version.id == "scalar" and made["version"] is not None:
        made["version"] = version.value  # 'version: 1.10' means the text
    made["saga"] = _text(found.get("saga"), "")
    steps = found.get("steps")
    if steps is not None and steps.id != "sequence":
        raise NotADraftError("its steps are no list")
    made["steps"] = [_step(item) for item in ([] if steps is None else steps.value)]
    return made


def _step(node: Any) -> Draft:
    found = _mapping(node)
    made: Draft = {}
    for key, value in found.items():
        if key == "step":
            made[key] = _text(value, "")
        elif key == "saga" and not _is_null(value):
            made[key] = _saga(value)
        elif key == "for_each" and not _is_null(value):
            made[key] = _for_each(value)
        elif key in spec.INNER[spec.StepSpec] and value.id == "mapping":
            # keys are words here, even 'on', which YAML alone takes for true
            made[key] = {word: _value(part) for word, part in _mapping(value).items()}
        else:
            made[key] = _value(value)
    if "step" not in made:
        raise NotADraftError("a step has no name")
    return made


def _for_each(node: Any) -> Draft:
    found = _mapping(node)
    if "step" not in found:
        raise NotADraftError("what is done for each item is not said")
    return {key: _step(v) if key == "step" else _value(v) for key, v in found.items()}


def _mapping(node: Any) -> dict[str, Any]:
    """The values by their keys as written; of a key that stands there twice the first."""
    if node.id != "mapping":
        raise NotADraftError("there is no mapping where one belongs")
    found: dict[str, Any] = {}
    for key, value in node.value:
        if key.id == "scalar":
            found.setdefault(key.value, value)
    return found


def _is_null(node: Any) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _text(node: Any, default: str) -> str:
    return str(node.value) if getattr(node, "id", "") == "scalar" else default


def _value(node: Any) -> Any:
    import yaml

    try:
        return yaml.SafeLoader("").construct_document(node)
    except (yaml.YAMLError, ValueError) as error:  # a date that there is not
        raise NotADraftError(str(error)) from None


# -- what JSON cannot hold ------------------------------------------------------------------


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and set(value) != {_MARK}:
            return {key: _json(part) for key, part in value.items()}
    elif isinstance(value, list | tuple):
        return [_json(part) for part in value]
    elif _is_exact(value):
        return value
    return {_MARK: _written(value)}


def _is_exact(value: Any) -> bool:
    if isinstance(value, bool | str | None):
        return True
    if isinstance(value, int):
        return abs(value) <= _EXACT
    return isinstance(value, float) and math.isfinite(value)


def _written(value: Any) -> str:
    import yaml

    text: str = yaml.safe_dump(value, default_flow_style=True, width=math.inf)
    return text.removesuffix("\n").removesuffix("\n...")


def _unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unmarked(part) for part in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {_MARK} and isinstance(value[_MARK], str):
        import yaml

        try:
            return yaml.safe_load(value[_MARK])
        except yaml.YAMLError:
            return value  # no text of ours
    return {key: _unmarked(part) for key, part in value.items()}


# -- what a step comes after ----------------------------------------------------------------


def _with_after(draft: Draft) -> Draft:
    """Each ``after`` is written out, and what is nothing is left out."""
    draft = {key: value for key, value in draft.items() if value is not None}
    steps = []
    for item, default in _defaults(draft["steps"]):
        after = _after(item)
        given = default if after is None else sorted(set(after))  # as a saga has it
        said = {key: value for key, value in item.items() if value is not None}
        steps.append({**_inside(said, _with_after), "after": given})
    return {**draft, "steps": steps}


def _without_after(draft: Draft) -> Draft:
    steps = []
    for item, default in _defaults(draft["steps"]):
        after = _after(item)
        made = _inside(item, _without_after)
        if after is None or sorted(set(after)) == default:
            made.pop("after", None)
        else:
            made["after"] = after[0] if len(after) == 1 else list(after)
        steps.append(_ordered(made, spec.StepSpec))
    return _ordered({**draft, "steps": steps}, spec.SagaSpec)


def _ordered(item: Draft, kind: type[msgspec.Struct]) -> Draft:
    known = kind.__struct_encode_fields__
    return {key: item[key] for key in (*known, *item) if key in item}


def _inside(item: Draft, change: Any) -> Draft:
    """A step with the sagas inside it changed."""
    made = dict(item)
    if made.get("saga") is not None:
        made["saga"] = change(made["saga"])
    each = made.get("for_each")
    if each is not None:
        alone = change({"saga": "", "steps": [each["step"]]})["steps"]
        made["for_each"] = {**each, "step": alone[0]}
    return made


def _defaults(steps: list[Draft]) -> Iterator[tuple[Draft, list[str]]]:
    """Each step with what it comes after if it does not say so."""
    above: list[Step] = []
    for item in steps:
        outline = _outline(item)
        default = default_after(above, outline)
        yield item, sorted(default)
        above.append(outline if outline.after is not None else _placed(outline, default))


def _outline(item: Mapping[str, Any]) -> Step:
    """What of a step decides what the one below comes after."""
    branch = item.get("branch")
    is_pair = isinstance(branch, list) and len(branch) == 2
    return Step(
        name=str(item["step"]),
        action=_CHOOSES if item.get("choice") is not None else _nothing,
        after=_after(item),
        branch=(str(branch[0]), str(branch[1])) if is_pair else None,  # type: ignore[index]
    )


def _after(item: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What a step says that it comes after; None: nothing is said."""
    after = item.get("after")
    if after is None:
        return None
    return tuple(map(str, after)) if isinstance(after, list) else (str(after),)


def _placed(outline: Step, after: tuple[str, ...]) -> Step:
    return msgspec.structs.replace(outline, after=after)


def _nothing() -> None:
    pass


_CHOOSES = Choose(_nothing)
