"""The designer: a saga on a canvas, in YAML and in Python at once."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, overload

import msgspec
import traitlets

from sagakit import source, spec
from sagakit.drivers.inputs import must_be_saga
from sagakit.entities import DataModel
from sagakit.errors import DefinitionError
from sagakit.saga import Saga
from sagakit.steps import Action, Step, callable_name
from sagakit.widgets import drafts, files, palette
from sagakit.widgets.base import SagaWidget
from sagakit.widgets.models import FIELDS, Model
from sagakit.widgets.problems import Problem, of_check, of_error, of_names, of_yaml
from sagakit.widgets.texts import edited

_State = dict[str, Any]
_Said = dict[str, str]
F = TypeVar("F", bound=Callable[..., Any])

_EMPTY: drafts.Draft = {"saga": "saga", "steps": []}


class SagaDesigner(SagaWidget):
    """A saga to be assembled by hand: on a canvas, as YAML, with the Python code beside it.

    While what is on the canvas is no saga, ``problems`` has errors, and ``saga`` stays the last
    one that it was.

    Parameters:
        saga: what it begins with; None: an empty canvas.
        actions: the callables that names stand for, besides those of the saga. A name that none
            has is simulated; if there are any at all, ``problems`` warns of it.
        data: the data model, or its plain form; the entity that is its input gives the saga its
            input schema.

    Raises:
        DefinitionError: what was given is no saga, or an action has no name.
    """

    catalogue = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        saga: Saga | None = None,
        *,
        actions: Iterable[Action] | None = None,
        data: DataModel | dict[str, Any] | None = None,
    ) -> None:
        # the first gesture shall not wait for it, nor whoever only imports the widgets
        importlib.import_module("sagakit.lab.check")
        self._named: dict[str, Action] = {}
        self._undoes: dict[str, str] = {}
        self._types: tuple[Any, ...] = ()
        self._saga: Saga | None = None
        self._draft: drafts.Draft | None = None
        self._text = _Text("")
        self._kinds: dict[str, str] = {}
        self._python = ""
        self._model = Model({"entities": []})
        self._positions: dict[str, Any] = {}
        for action in actions or ():
            self._name(action)
        now = self._from_draft(_EMPTY) if saga is None else self._from_saga(saga)
        if data is not None:
            now = {**self._modelled(data, now), "data": self._model.shown}
        super().__init__(_widget="designer", state=now, catalogue=self._catalogue())

    # -- what it holds ----------------------------------------------------------------------

    @property
    def saga(self) -> Saga | None:
        """The saga; while there are errors among the ``problems``, the last one there was."""
        return self._saga

    @saga.setter
    def saga(self, saga: Saga) -> None:
        self._show(self._from_saga(saga))

    @property
    def yaml(self) -> str:
        """The text in the YAML form, as it was typed or as the canvas gives it.

        What cannot be read may be set as well: then ``problems`` says why.
        """
        return str(self.state["text"])

    @yaml.setter
    def yaml(self, text: str) -> None:
        self._show(self._from_text(text))

    @property
    def python(self) -> str:
        """The Python code that declares the ``saga``."""
        return str(self.state["python"])

    @property
    def problems(self) -> list[Problem]:
        """What is wrong, each a mapping: its ``level``, ``text`` and ``path``, often also a
        ``cure``, a ``line`` of ``yaml`` and the ``rule`` of ``check``."""
        return list(self.state["problems"])

    @property
    def data(self) -> DataModel | None:
        """The data model; None while what the page has is none.

        When it is set, or edited, the entity that is its input gives the saga its input schema.
        """
        return self._model.value

    @data.setter
    def data(self, data: DataModel | dict[str, Any]) -> None:
        now = self._modelled(data, self.state)
        self._show({**now, "seq": 0, "data": self._model.shown, "said": None})

    # -- actions ----------------------------------------------------------------------------

    def register(self, *actions: Action, compensation: Action | None = None) -> None:
        """Let the canvas have these actions; a name that was there already stands for the new one.

        Parameters:
            compensation: undoes the one action given.

        Raises:
            DefinitionError: one has no name.
        """
        for action in actions:
            name = self._name(action)
            if compensation is not None:
                self._undoes[name] = self._name(compensation)
        self._show(self._from_text(self.yaml))

    @overload
    def action(self, function: F) -> F: ...
    @overload
    def action(self, *, compensation: Action) -> Callable[[F], F]: ...
    def action(self, function: Any = None, *, compensation: Action | None = None) -> Any:
        """Decorator: let the canvas have this function.

        Parameters:
            compensation: undoes it.
        """
        if function is None:
            return functools.partial(self.action, compensation=compensation)
        self.register(function, compensation=compensation)
        return function

    def _name(self, action: Action) -> str:
        name = callable_name(action)
        if not callable(action) or name is None:
            why = "cannot be called; give the function itself" if not callable(action) else ""
            raise DefinitionError(f"the action {action!r}", [why or "has no name; use def"])
        self._named[name] = action
        return name

    # -- files ------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the text to a file, whole or not at all.

        Parameters:
            path: its name ends in .yaml.

        Raises:
            ValueError: it does not.
            OSError: it cannot be written.
        """
        written = files.write(path, self.yaml)
        self.catalogue = self._catalogue()
        return written

    def load(self, path: str | os.PathLike[str]) -> None:
        """Show the saga of a file. Where the text is wrong, ``problems`` says so.

        Raises:
            ValueError: its name does not end in .yaml, or it is not UTF-8 text.
            OSError: it cannot be read.
        """
        text = files.read(path)
        self._positions = {}  # they were of other steps
        self._show(self._from_text(text))

    # -- edits ------------------------------------------------------------------------------

    def _answer(self, edit: dict[str, Any]) -> None:
        self.state = {**self._after(edit), "seq": edit.get("seq", 0)}

    def _after(self, edit: dict[str, Any]) -> _State:
        """The state after one gesture."""
        now, said = dict(self.state), None
        if "positions" in edit:
            self._positions = edit["positions"]
        if "draft" in edit:
            now, said = self._drawn(edit["draft"], now)
        elif "text" in edit:
            now = self._from_text(edit["text"])
        if "model" in edit:
            now = self._modelled(edit["model"], now)
        if "load" in edit:
            now, said = self._loaded(edit["load"], now)
        if "save" in edit:
            said = self._saved(edit["save"], now)
        return {**now, "positions": self._positions, "data": self._model.shown, "said": said}

    def _modelled(self, data: Any, now: _State) -> _State:
        """The state with another data model, whose input's schema is the saga's."""
        before, self._model = self._model.input_schema, Model(data)
        draft, schema = now["draft"], self._model.input_schema
        if draft is None or not self._model.is_right or draft.get("input") == schema:
            return now
        if schema is None and draft.get("input") != before:
            return now  # it is not from the model
        return self._from_draft(drafts.received({**draft, "input": schema}))

    def _drawn(self, draft: Any, now: _State) -> tuple[_State, _Said | None]:
        try:
            return self._from_draft(drafts.received(draft)), None
        except drafts.NotADraftError as error:
            return now, _said(f"what came from the canvas was left: {error}", "error")

    def _loaded(self, path: str, now: _State) -> tuple[_State, _Said]:
        try:
            text = files.read(path)
        except (OSError, ValueError) as error:
            return now, _said(f"{path} was not loaded: {files.why(error)}", "error")
        self._positions = {}  # they were of other steps
        return self._from_text(text), _said(f"Loaded {path}")

    def _saved(self, path: str, now: _State) -> _Said:
        try:
            files.write(path, now["text"])
        except (OSError, ValueError) as error:
            return _said(f"{path} was not saved: {files.why(error)}", "error")
        self.catalogue = self._catalogue()
        wrong = sum(map(_is_error, now["problems"]))
        but = f"; it cannot run yet: {_count(wrong, 'error')}" if wrong else ""
        return _said(f"Saved {path}{but}")

    def _show(self, now: _State) -> None:
        with self.hold_sync():
            self.state = now
            self.catalogue = self._catalogue()

    # -- from one form to the others --------------------------------------------------------

    def _from_saga(self, saga: Saga) -> _State:
        must_be_saga(saga)
        self._types = tuple(one.input_type for one in saga.family() if one.input_type is not Any)
        names = _Names(self._named)
        document = saga.to_names(names.of, self._named)
        self._named = names.named
        for item in (item for one in saga.family() for item in one.steps):
            self._pair(item, names)
        return self._from_document(document)

    def _pair(self, item: Step, names: _Names) -> None:
        if callable(item.action) and callable(item.compensation):
            pair = [names.known(f) for f in (item.action, item.compensation)]
            if None not in pair:
                self._undoes[str(pair[0])] = str(pair[1])

    def _from_document(self, document: spec.SagaSpec) -> _State:
        return self._state(drafts.from_spec(document), spec.written(document), document, [])

    def _from_draft(self, draft: drafts.Draft) -> _State:
        plain = drafts.plain(draft)
        document: spec.SagaSpec | None
        try:
            document = msgspec.convert(plain, spec.SagaSpec)
        except msgspec.ValidationError:
            # it is wrong, or it has what only the reader of the YAML form knows: a connector
            text = self._rewritten(draft, plain)
            _, document, found = spec.read(text)
            if document is None or found:
                return self._state(draft, text, document, found)
        text = self._rewritten(draft, spec.as_plain(document))
        return self._state(draft, text, document, [])

    def _rewritten(self, draft: drafts.Draft, plain: dict[str, Any]) -> str:
        """The text of a new draft: as far as it is the old one, as it was."""
        if self._draft is None or self._text.node is None:
            return spec.yaml_text(plain)
        return edited(self._text.text, self._text.node, self._draft, draft, plain)

    def _from_text(self, text: str) -> _State:
        try:
            node = spec.compose(text, "the text", "'saga: NAME' and 'steps:'")
        except DefinitionError as error:
            return self._unread(text, list(of_yaml(error.problems)))
        reader = spec.SagaReader()
        document, found = reader.read(node)
        try:
            draft = drafts.from_node(node) if reader.plain else None
        except drafts.NotADraftError:
            draft = None
        if draft is None:
            line_of = functools.partial(spec.line_of, node)
            return self._unread(text, list(of_error(found, line_of)))
        return self._state(draft, text, document, found)

    def _unread(self, text: str, found: list[Problem]) -> _State:
        self._draft, self._text = None, _Text(text)
        return self._whole(found)

    def _state(
        self,
        draft: drafts.Draft,
        text: str,
        document: spec.SagaSpec | None,
        found: list[str],
    ) -> _State:
        """The state for a draft and its text.

        Parameters:
            document: the same as a document, as far as it could be read.
            found: what is wrong so far.
        """
        self._draft, self._text = draft, _Text(text)
        line_of = self._text.line_of
        saga, wrong = None, list(found)
        if document is not None:
            try:
                saga = Saga.from_names(document, self._named, self._types)
            except DefinitionError as error:
                wrong += error.problems
        shown = list(of_error(wrong, line_of))
        if self._named:
            shown += of_names(draft, self._named, line_of)
        if saga is not None and not wrong:
            self._saga, self._kinds = saga, _kinds(saga)
            self._python = source.python_source(saga)
            shown += of_check(saga, draft, line_of)
        return self._whole(shown)

    def _whole(self, found: list[Problem]) -> _State:
        """The state as it is now.

        Parameters:
            found: the problems.
        """
        return {
            "seq": 0,
            "draft": self._draft,
            "text": self._text.text,
            "python": self._python,
            "problems": found,
            "kinds": self._kinds,
            "positions": self._positions,
            "data": self._model.shown,
            "said": None,
        }

    def _catalogue(self) -> dict[str, Any]:
        return {
            "palette": palette.entries(self._named, self._undoes),
            "actions": sorted(self._named),
            "schema": palette.schema(),
            "field_types": FIELDS,
            "files": palette.files(),
        }

    # -- what is shown ----------------------------------------------------------------------

    def __repr__(self) -> str:
        draft, count = self.state["draft"], sum(map(_is_error, self.state["problems"]))
        words = [] if draft is None else [_count(len(draft["steps"]), "step")]
        words += [_count(count, "error")] if count else []
        name = "" if draft is None else f" '{draft['saga']}'"
        return f"<SagaDesigner{name}: {', '.join(words)}>"

    def _picture(self) -> str:
        return "" if self._saga is None else self._saga._repr_html_() or ""


class _Names:
    """Gives callables names: their own where it is free."""

    def __init__(self, named: dict[str, Action]) -> None:
        self.named = dict(named)
        self._own: set[str] = set()  # names that callables of this saga have
        self._by_key: dict[Any, str] = {}

    def known(self, function: Action) -> str | None:
        return self._by_key.get(source.key_of(function))

    def of(self, item: Step, role: str, function: Action) -> str:
        key = source.key_of(function)
        if key not in self._by_key:
            wanted = callable_name(function) or f"{item.name}_{role}"
            name, count = wanted, 1
            while name in self._own:
                count += 1
                name = f"{wanted}_{count}"
            self._own.add(name)
            self._by_key[key] = name
            self.named[name] = function
        return self._by_key[key]


class _Text:
    """A text, which is read only when a line is asked for."""

    def __init__(self, text: str) -> None:
        self.text = text

    def line_of(self, path: drafts.Path) -> int | None:
        return None if self.node is None else spec.line_of(self.node, path)

    @functools.cached_property
    def node(self) -> Any:
        with contextlib.suppress(DefinitionError):
            return spec.compose(self.text, "the text", "")
        return None


def _kinds(saga: Saga, way: tuple[str, ...] = ()) -> dict[str, str]:
    """The kind of every step, those inside others included."""
    found: dict[str, str] = {}
    plan = saga.plan
    for name, kind, undoable in zip(plan.names, plan.kinds, plan.undoable, strict=True):
        plain = kind == "compensatable" and not undoable
        found["/".join((*way, name))] = "plain" if plain else kind
        if name in saga.children:
            found |= _kinds(saga.children[name], (*way, name))
    return found


def _is_error(problem: Problem) -> bool:
    return bool(problem["level"] == "error")


def _count(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _said(text: str, level: str = "info") -> _Said:
    return {"text": text, "level": level}
