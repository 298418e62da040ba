"""The YAML form of a scenario. It has the words of ``faults.py``, each entry headed by its own::

scenario: bad-day
description: The bank books the money and its answer is lost, and the coordinator dies.
faults:
  - {fault: lose reply, step: charge_payment, attempt: 1}
  - {fault: fail, step: create_order, side: compensation, first: 2}
interventions:
  - {signal: customs_cleared, at: 30, payload: {by: ann}}
  - {cancel: 60, by: bob}
crashes:
  - {crash: 5, written: false}
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from sagakit import spec
from sagakit.errors import CodecError, DefinitionError
from sagakit.journal import codec
from sagakit.scenario.faults import Cancellation, Crash, Fault, Intervention, Signal

BEGINNING = "'scenario: NAME' and 'faults:'"


class Parts(NamedTuple):
    """What a scenario consists of."""

    name: str = ""
    description: str = ""
    faults: tuple[Fault, ...] = ()
    interventions: tuple[Intervention, ...] = ()
    crashes: tuple[Crash, ...] = ()


def _form(kind: type[msgspec.Struct], head: str) -> Any:
    """The same fields, the first one under another name."""
    fields = msgspec.structs.fields(kind)
    return msgspec.defstruct(
        f"{kind.__name__}Form",
        [(f.name, f.type) if f.required else (f.name, f.type, f.default) for f in fields],
        frozen=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        rename={fields[0].name: head},
    )


FaultForm = _form(Fault, "fault")
SignalForm = _form(Signal, "signal")
CancelForm = msgspec.defstruct(  # its time stands first, so it must be there
    "CancelForm",
    [("at", float), ("by", str, Cancellation().by), ("why", str, Cancellation().why)],
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"at": "cancel"},
)
CrashForm = _form(Crash, "crash")
_KINDS: dict[Any, Any] = {
    FaultForm: Fault,
    SignalForm: Signal,
    CancelForm: Cancellation,
    CrashForm: Crash,
}
_FORMS = {kind: form for form, kind in _KINDS.items()}


class ScenarioForm(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"name": "scenario"},
):
    """The whole document. Of what its lists hold, ``_LISTS`` knows the forms."""

    name: str
    description: str = ""
    faults: tuple[Any, ...] = ()
    interventions: tuple[Any, ...] = ()
    crashes: tuple[Any, ...] = ()


_LISTS: dict[str, tuple[Any, ...]] = {
    "faults": (FaultForm,),
    "interventions": (SignalForm, CancelForm),
    "crashes": (CrashForm,),
}


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the YAML form, as written to ``data/scenario.schema.json``."""
    template = "#/$defs/{name}"
    (top,), parts = msgspec.json.schema_components((ScenarioForm,), ref_template=template)
    for name, forms in _LISTS.items():
        either, more = msgspec.json.schema_components(forms, ref_template=template)
        parts["ScenarioForm"]["properties"][name]["items"] = (
            {"anyOf": list(either)} if len(either) > 1 else either[0]
        )
        parts |= more
    return {
        **top,
        "$defs": dict(sorted(parts.items())),
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A sagakit scenario",
    }


def read(text: str, source: str) -> Parts:
    """Read the YAML form.

    Parameters:
        source: what the error messages call it, a file's name for instance.

    Raises:
        DefinitionError: every problem, with its line and its cure.
    """
    reader = _Reader()
    parts = reader.read(spec.compose(text, source, BEGINNING))
    if reader.problems:
        raise DefinitionError(source, reader.problems)
    return parts


def document(parts: Parts) -> ScenarioForm:
    """The document that is written.

    Raises:
        DefinitionError: a payload is not plain data and would come back as another.
    """
    lists = (parts.faults, parts.interventions, parts.crashes)
    return ScenarioForm(
        parts.name, parts.description, *(tuple(map(_as_form, entries)) for entries in lists)
    )


def _as_form(part: msgspec.Struct) -> Any:
    if isinstance(part, Signal):
        try:
            codec.plain(part.payload, "its payload")
        except CodecError as error:
            raise DefinitionError(f"signal '{part.event}'", [str(error)]) from None
    kind = _FORMS[type(part)]
    values = msgspec.structs.astuple(part)
    fields = msgspec.structs.fields(kind)
    # a default is left out if it is the very object
    usual = (f.default if v == f.default else v for f, v in zip(fields, values, strict=True))
    return kind(*usual)


class _Reader(spec.Reader):
    """Turns a YAML node into the parts of a scenario."""

    def read(self, node: Any) -> Parts:
        self._guard(node, ())
        if self.problems:
            return Parts()
        fields = self._fields(node, ScenarioForm, "the scenario")
        faults = self._list(fields.pop("faults", None), FaultForm, "faults", "fault")
        meanwhile = self._list(
            fields.pop("interventions", None), SignalForm, "interventions", "signal"
        )
        crashes = self._list(fields.pop("crashes", None), CrashForm, "crashes", "crash")
        head = self._convert(node, fields, ScenarioForm, "the scenario") or ScenarioForm("")
        return Parts(
            head.name,
            head.description,
            tuple(faults or ()),
            tuple(meanwhile or ()),
            tuple(crashes or ()),
        )

    def _part(self, item: Any, kind: type[Any], place: str) -> Any | None:
        if kind is SignalForm and any(key.value == "cancel" for key, _ in item.value):
            kind, place = CancelForm, place.replace("signal", "cancellation", 1)
        form = super()._part(item, kind, place)
        if form is None:
            return None
        part = _KINDS[kind](*msgspec.structs.astuple(form))
        problem = part.problem()
        if isinstance(part, Signal) and not problem:
            try:
                plain = codec.plain(part.payload, "its payload")
                part = msgspec.structs.replace(part, payload=plain)
            except CodecError as error:
                problem = str(error)
        if problem:
            self._say(item, f"{place}: {problem}")
        return part
