"""The definition: a saga is a named, versioned DAG of steps, a frozen value."""

from __future__ import annotations

import copy
import functools
import hashlib
import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from sagakit import redaction as _redaction
from sagakit import spec as _spec
from sagakit.connectors import forms
from sagakit.difference import Difference, between, version_words
from sagakit.errors import DefinitionError, InputError, Problem, within
from sagakit.journal import codec
from sagakit.plan import Kind, Plan, keys_of, owner, problems, service_problems, step_problems
from sagakit.quantities import is_seconds, number
from sagakit.resilience import Service
from sagakit.spec import Simulated
from sagakit.steps import (
    Action,
    Choose,
    ForEach,
    Nested,
    OnTimeout,
    Special,
    Step,
    Wait,
    callable_name,
    default_after,
    step,
)

if TYPE_CHECKING:
    import graphviz
    import jsonschema
    import networkx

    from sagakit.views import Flow, FlowEngine, FlowNode, Picture


class Saga:
    """A named, versioned DAG of steps.

    Parameters:
        name: the saga's name.
        steps: in reading order; a step without ``after`` comes after the one above it.
        version: pins executions to this definition.
        input: what every input must be: a type (a dataclass, attrs or msgspec type, a TypedDict …),
            which ``ctx.input`` then is, live and recovered alike; or a JSON Schema.
        input_schema: the same JSON Schema under its longer name.
        deadline: seconds from the start until which the pivot must be tried (or, without one,
            the end reached); after it the saga is recovered backward.
        description: one sentence for people.
        services: what protects the services that steps name by their ``service``; one that has
            none here is called as often as the steps say.
        redact: names of payload fields, in the input, in results and in what signals bring, whose
            values are sensitive: nothing that people read shows them. Upper and lower case are
            alike. They hold in the sagas that do steps of it as well. The journal keeps the values.

    Raises:
        DefinitionError: lists every problem found, each with its cure.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "deadline",
        "description",
        "input_schema",
        "input_type",
        "name",
        "redact",
        "services",
        "steps",
        "version",
    )

    name: str
    steps: tuple[Step, ...]
    version: str | None
    input_schema: Mapping[str, Any] | None
    input_type: Any  # ``Any``: plain data
    deadline: float | None
    description: str
    services: tuple[Service, ...]
    redact: tuple[str, ...]

    def __init__(
        self,
        name: str,
        *steps: Step,
        version: str | int | None = None,
        input: Any = None,
        input_schema: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        description: str = "",
        services: Iterable[Service] = (),
        redact: Iterable[str] = (),
    ) -> None:
        found: list[str] = []
        subject = f"saga '{name}'"
        if not _is_text(name):
            subject = "a saga"
            found.append(f"has the name {_label(name)}; give text: Saga('NAME', …)")
        elif not name or "/" in name or not name.isprintable():
            found.append(Problem("its name must be printable text without '/'", "saga"))
        strangers = [item for item in steps if not isinstance(item, Step)]
        for item in strangers:
            cure = (
                "put a * before it" if isinstance(item, tuple) else f"wrap it: step({_label(item)})"
            )
            found.append(f"{item!r} is not a step; {cure}")
        placed = _place([item for item in steps if isinstance(item, Step)])
        # without what stands between them, the order of the steps is not known
        found += step_problems(placed) if strangers else self._problems(placed)
        alone = isinstance(services, Service) or not isinstance(services, Iterable)
        guarded: tuple[Any, ...] = (services,) if alone else tuple(services)
        found += self._service_problems(guarded, placed)
        deadline = number(deadline)
        if deadline is not None and not (is_seconds(deadline) and deadline > 0):
            text = f"deadline is {deadline!r}; give seconds above 0, or leave it out"
            found.append(Problem(text, "deadline"))
        if not _is_text(description):
            found.append(Problem(f"description is {description!r}; give text", "description"))
        if input is not None and input_schema is not None:
            found.append("has input and input_schema; give one of them")
        if isinstance(input, Mapping):
            input, input_schema = None, input
        if input_schema is not None:
            found += within(_schema_problems(input_schema), "input")
        if input is not None:
            found += _type_problems(input)
        hidden: Any = redact if isinstance(redact, str) else _listed(redact)
        found += within(_redaction.problems(hidden), "redact")
        if found:
            raise DefinitionError(subject, found)
        put = functools.partial(object.__setattr__, self)
        put("name", name)
        put("steps", placed)
        put("version", None if version is None else str(version))
        # a copy: what the caller does with its own mapping later must not reach a frozen value
        put("input_schema", None if input_schema is None else copy.deepcopy(dict(input_schema)))
        put("input_type", Any if input is None else input)
        put("deadline", deadline)
        put("description", description)
        put("services", guarded)
        put("redact", tuple(dict.fromkeys(hidden)))
        put("plan", self._compile())
        put("children", {item.name: inside for item in placed if (inside := self._inside(item))})
        inner = (child.sensitive for child in self.children.values())
        put("sensitive", _redaction.folded(self.redact).union(*inner))
        if self.sensitive:
            waits = (wait for one in self.family() for wait in one.plan.waits.values())
            events = (wait.event for wait in waits if wait.event is not None)
            _redaction.declare(self, self.sensitive, events)

    plan: Plan
    sensitive: frozenset[str]  # its `redact` and that of the sagas that do steps, casefolded
    children: Mapping[str, Saga]  # the sagas that do steps, by the steps' names

    def _problems(self, steps: Sequence[Step]) -> list[Problem]:
        return problems(steps)

    def _service_problems(self, services: Sequence[object], steps: Sequence[Step]) -> list[Problem]:
        return service_problems(services, steps)

    def _compile(self) -> Plan:
        return Plan(self.steps, self.deadline, self.services)

    def _inside(self, item: Step) -> Saga | None:
        """The saga that does a step; None for most."""
        if isinstance(item.action, Nested):
            return item.action.saga
        if not isinstance(item.action, ForEach):
            return None
        body, limit = item.action.body, item.action.limit
        retriable = self.kind(item.name) == "retriable"
        services = [service for service in self.services if service.name == owner(body)]
        name = f"{self.name}.{item.name}"
        return FanOut(name, body, limit=limit, retriable=retriable, services=services)

    def family(self) -> Iterator[Saga]:
        """This saga, those that do steps of it, those that do steps of them, and so on."""
        yield self
        for inner in self.children.values():
            yield from inner.family()

    def child(self, name: str) -> Saga:
        """The saga that does this step."""
        return self.children[name]

    def given(self, input: Any) -> Saga:  # noqa: ARG002  its steps are the same for every input
        """The saga as it runs with this input."""
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"saga '{self.name}' is frozen; build another one to change {name}")

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, ((self.name, *self.steps), self._options())

    def _options(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "input": None if self.input_type is Any else self.input_type,
            "input_schema": self.input_schema,
            "deadline": self.deadline,
            "description": self.description,
            "services": self.services,
            "redact": self.redact,
        }

    def with_steps(self, *steps: Step) -> Saga:
        """The same saga, but of these steps."""
        return Saga(self.name, *steps, **self._options())

    def _key(self) -> tuple[object, ...]:
        schema = self.input_schema, self.input_type
        head = (self.name, self.version, self.deadline, self.description, schema)
        return (*head, self.services, self.redact, self.steps)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Saga) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.name, self.version, len(self.steps)))

    def __getitem__(self, name: str) -> Step:
        """The step of this name; KeyError names the nearest one."""
        try:
            return self.steps[self.plan.index[name]]
        except KeyError:
            near = _spec.nearest(str(name), self.plan.index)
            raise KeyError(f"saga '{self.name}' has no step '{name}'{near}") from None

    def kind(self, name: str) -> Kind:
        """``"compensatable"``, ``"pivot"`` or ``"retriable"``: derived from the step's place."""
        self[name]
        return self.plan.kinds[self.plan.index[name]]

    # -- the YAML form ----------------------------------------------------------------------

    @classmethod
    def from_yaml(
        cls,
        text_or_path: str | os.PathLike[str],
        actions: Iterable[Action] | None = None,
        *,
        input: Any = None,
    ) -> Saga:
        """Read the YAML form.

        Parameters:
            text_or_path: the text, or the path of a file (one line that ends in .yaml or .yml).
            actions: the callables that the names in the text stand for. Left out, every action
                is simulated. Nothing is ever imported or evaluated.
            input: the type that the text's ``input``, a JSON Schema, was written from.

        Raises:
            DefinitionError: every problem, with its line where the text is at fault.
            OSError: the file cannot be read.
        """
        path = _spec.as_path(text_or_path)
        text = str(text_or_path) if path is None else _spec.read_text(path)
        node, document, found = _spec.read(text, "the YAML text" if path is None else str(path))
        if document is None:
            raise DefinitionError("the YAML text" if path is None else str(path), found)
        wrong: list[str] = []
        given = None if actions is None else _by_name(actions, wrong)
        where = "" if path is None else f" in {path}"
        saga = _from_spec(document, (), _Given(given, input), wrong)
        found += _spec.with_lines(wrong, node)
        if saga is None or found:
            raise DefinitionError(f"saga '{document.name}'{where}", found)
        return saga

    def to_yaml(self) -> str:
        """Write the YAML form; with the same callables (and the same type of its input, which is
        written as a JSON Schema) ``from_yaml`` gives an equal saga."""
        return _spec.dump(self.to_spec())

    def to_spec(self) -> _spec.SagaSpec:
        """The plain data behind the YAML form."""
        functions = [f for s in self.steps for f in _callables(s)]
        _spec_names(self.name, functions)
        mixed = any(map(_is_real, functions))
        return _saga_spec(self, _Written(mixed=mixed))

    # -- for what edits a saga: callables under names of its choice, types of inputs at any depth

    @classmethod
    def from_names(
        cls,
        document: _spec.SagaSpec,
        named: Mapping[str, Action],
        types: Iterable[Any] = (),
        *,
        whose: str = "",
        cure: str = "",
    ) -> Saga:
        """The saga of the plain data behind the YAML form.

        Parameters:
            document: the plain data.
            named: the callables that the names in it stand for.
            types: a saga, at whatever depth, whose ``input`` is the schema of one of these has that
                type.
            whose: what a problem calls those callables, "the functions of this notebook", of which
                each name must be one; left out: any other name is simulated.
            cure: what to do about a name that is none of them.

        Raises:
            DefinitionError: every problem, with the path where it stands.
        """
        found: list[str] = []
        given = _Given(named, types=tuple(types), simulate=not whose, whose=whose, cure=cure)
        saga = _from_spec(document, (), given, found)
        if saga is None or found:
            raise DefinitionError(f"saga '{document.name}'", found)
        return saga

    def to_names(
        self, name: Callable[[Step, str, Action], str], taken: Container[str] = ()
    ) -> _spec.SagaSpec:
        """The plain data behind the YAML form, the other way of ``from_names``.

        Parameters:
            name: gives the name that is written for a step's callable; it is also told what for:
                ``"compensation"``.
            taken: names that stand for other callables: a simulated one of such a name is written
                out.
        """
        mixed = any(_is_real(f) for s in self.steps for f in _callables(s))
        return _saga_spec(self, _Written(mixed, name, taken, types=True))

    # -- identity ---------------------------------------------------------------------------

    @functools.cached_property
    def shape(self) -> dict[str, Any]:
        """What an execution depends on, as plain data: the steps, their order, what is undone.

        Retry numbers, timeouts, services and descriptions are left out: they may change under a
        running execution. Whether an action is real or simulated may not: recovery would record as
        done what nobody did.
        """
        return {
            "steps": {item.name: _step_shape(item) for item in self.steps},
            **self._more_shape(),
        }

    def _more_shape(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_shape(cls, name: str, version: str | None, shape: Mapping[str, Any]) -> Saga:
        """The saga that a journal remembers: its steps without their callables.

        It draws and replays its executions; it cannot run them.
        """
        steps = [_remembered_step(label, part) for label, part in shape["steps"].items()]
        if "for_each" in shape:
            return FanOut(name, steps[0], **shape["for_each"])
        return cls(name, *steps, version=version)

    @functools.cached_property
    def fingerprint(self) -> str:
        """A short digest of name, version and shape."""
        body = msgspec.json.encode([self.name, self.version, self.shape], order="sorted")
        return hashlib.blake2b(body, digest_size=8).hexdigest()

    @staticmethod
    def diff(old: Saga | tuple[str | None, Mapping[str, Any]], new: Saga) -> Difference:
        """How a definition differs from an older one, and which executions may go on under it.

        Parameters:
            old: a saga; or the (version, shape) that a journal remembers.
        """
        version, shape = (old.version, old.shape) if isinstance(old, Saga) else old
        found = []
        if isinstance(old, Saga) and old.name != new.name:
            found.append(f"its name was '{old.name}' and is '{new.name}'")
        if version != new.version:
            was, now = version_words(version), version_words(new.version)
            found.append(f"its version was {was} and is {now}")
        found += between(shape, new.shape)
        return Difference(tuple(sorted(found)), shape, new)

    # -- pictures ---------------------------------------------------------------------------

    @property
    def graph(self) -> networkx.DiGraph[str]:
        """The steps as a networkx DiGraph (node attributes: kind, service, compensation)."""
        import networkx

        graph: networkx.DiGraph[str] = networkx.DiGraph(name=self.name)
        for item, kind in zip(self.steps, self.plan.kinds, strict=True):
            undo = callable_name(item.compensation) if item.compensation else None
            graph.add_node(item.name, kind=kind, service=item.service, compensation=undo)
        graph.add_edges_from(self.edges)
        return graph

    @property
    def edges(self) -> list[tuple[str, str]]:
        """(before, after) pairs of step names."""
        return [(above, item.name) for item in self.steps for above in item.after or ()]

    def flow_nodes(
        self,
        states: Mapping[str, str] | None = None,
        inside: Mapping[str, Flow] | None = None,
    ) -> list[FlowNode]:
        """The steps as nodes for ``views``.

        Parameters:
            states: colours them as an execution left them.
            inside: what the executions of the sagas that do steps look like, by the steps' names;
                of the others the definition is shown.
        """
        from sagakit.views import Flow, FlowNode

        inside = dict(inside or {})
        for name, inner in self.children.items():
            if name not in inside and not self.plan.each:
                nodes, edges = tuple(inner.flow_nodes()), tuple(inner.edges)
                note = inner.flow_note
                inside[name] = Flow(title=inner.name, nodes=nodes, edges=edges, note=note)

        return [
            FlowNode(
                name=item.name,
                kind="plain" if kind == "compensatable" and not undoable else kind,
                state=(states or {}).get(item.name),
                compensation=_undo_label(item),
                service=item.service,
                notes=(*_notes(item), *_policy_notes(guard, item)),
                nested=_nested_words(item),
                inner=inside.get(item.name),
            )
            for item, kind, undoable, guard in zip(
                self.steps,
                self.plan.kinds,
                self.plan.undoable,
                self.plan.guards or (None,) * len(self.steps),
                strict=True,
            )
        ]

    @property
    def flow_note(self) -> str:
        """What a picture says of the whole saga: its deadline, if it has one."""
        return "" if self.deadline is None else f"deadline {self.deadline:g} s"

    def to_graphviz(self) -> graphviz.Digraph:
        """The flow graph as a ``graphviz.Digraph`` (``.source`` is DOT text)."""
        from sagakit.views import flow_dot

        return flow_dot(self.name, self.flow_nodes(), self.edges, self.flow_note)

    def flow(self, engine: FlowEngine = "own", *, opened: int | None = 0) -> Picture:
        """The flow graph as a picture.

        Parameters:
            engine: ``"own"`` draws the same bytes on every machine, fit to be committed;
                ``"auto"`` lays out by Graphviz (``dot``, else pygraphviz, else our own).
            opened: how many levels of the sagas that do steps are drawn within it; None: all.
                The others can be opened below the picture.
        """
        from sagakit.views import flow_picture

        nodes, edges = self.flow_nodes(), self.edges
        note = self.flow_note
        return flow_picture(self.name, nodes, edges, engine=engine, opened=opened, note=note)

    def __repr__(self) -> str:
        version = "" if self.version is None else f" version {self.version}"
        count = len(self.steps)
        return f"<Saga '{self.name}'{version}: {count} step{'' if count == 1 else 's'}>"

    def _repr_html_(self) -> str | None:
        return self.flow()._repr_html_()

    # -- input ------------------------------------------------------------------------------

    def check_input(self, value: Any, sensitive: AbstractSet[str] = frozenset()) -> None:
        """Raise InputError when ``input_schema`` refuses the value; all problems at once.

        Parameters:
            sensitive: more names of fields whose values the error must not show, casefolded.
        """
        if self.input_schema is None:
            return
        import jsonschema
        import referencing.exceptions
        from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

        # with a registry of its own the validator fetches nothing, whatever a "$ref" says
        kind = jsonschema.validators.validator_for(self.input_schema)
        validator = kind(self.input_schema, registry=REGISTRY)
        try:
            found = sorted(validator.iter_errors(value), key=lambda error: error.json_path)
        except referencing.exceptions.Unresolvable as error:
            cure = f"input_schema refers to '{error.ref}', which is not in it; write it under $defs"
            raise DefinitionError(f"saga '{self.name}'", [cure]) from None
        except RecursionError:
            cure = "input_schema or the input is nested without end; write it flatter"
            raise DefinitionError(f"saga '{self.name}'", [cure]) from None
        if found:
            names = self.sensitive | sensitive
            text = "; ".join(
                f"{codec.shortened(e.json_path)}: {codec.shortened(_refusal(e, value, names), 400)}"
                for e in found
            )
            none = " (none was given)" if value is None else ""
            raise InputError(f"saga '{self.name}': its input{none} does not fit the schema: {text}")


def _refusal(error: jsonschema.ValidationError, value: Any, names: AbstractSet[str]) -> str:
    """What a schema says of an input, without the values of sensitive fields."""
    if not names:
        return error.message
    if any(str(part).casefold() in names for part in error.absolute_path):
        return f"{_redaction.MASK} does not fit '{error.validator}'"
    known = _redaction.Redaction(names)
    known.learn(value)
    whole, shown = repr(error.instance), repr(known.clean(error.instance))
    return known.scrub(error.message.replace(whole, shown))


class FanOut(Saga):
    """What ``for_each`` runs: a step for each item of its input, which is a list.

    Before the input is known it has the one step that is done for each.

    Parameters:
        name: the saga's name.
        body: what is done for an item.
        limit: how many are worked on, or undone, at once.
        retriable: it stands after the pivot of another saga.
        services: as for ``Saga``.
    """

    each: Mapping[str, Any]
    body: Step

    def __init__(
        self,
        name: str,
        body: Step,
        *,
        limit: int,
        retriable: bool,
        services: Iterable[Service] = (),
    ) -> None:
        object.__setattr__(self, "each", {"limit": limit, "retriable": retriable})
        super().__init__(name, msgspec.structs.replace(body, after=()), services=services)
        object.__setattr__(self, "body", self.steps[0])

    def __reduce__(self) -> tuple[object, ...]:
        folded = functools.partial(
            FanOut, self.name, self.body, **self.each, services=self.services
        )
        return _unfolded, (folded, len(self.steps) if self.plan.each else None)

    def _problems(self, steps: Sequence[Step]) -> list[Problem]:
        return problems(steps, retriable=self.each["retriable"])

    def _service_problems(self, services: Sequence[object], steps: Sequence[Step]) -> list[Problem]:  # noqa: ARG002
        return []  # they are the outer saga's, whose reads may stand outside this step

    def _compile(self) -> Plan:
        return Plan(self.steps, None, self.services, retriable=self.each["retriable"])

    def _more_shape(self) -> dict[str, Any]:
        return {"for_each": dict(self.each)}

    def child(self, name: str) -> Saga:
        del name  # all its steps are alike
        return self.children[self.body.name]

    def given(self, input: Any) -> Saga:
        return self if self.plan.each else self._unfold(len(input))

    def _unfold(self, count: int) -> FanOut:
        many = object.__new__(FanOut)
        put = functools.partial(object.__setattr__, many)
        for slot in Saga.__slots__[2:]:
            put(slot, getattr(self, slot))
        self.fingerprint  # noqa: B018  computed now, it and the shape are the same for both
        many.__dict__.update(self.__dict__)
        replace = msgspec.structs.replace
        put("steps", tuple(replace(self.body, name=str(number)) for number in range(count)))
        put("plan", self.plan.for_each(count, self.each["limit"]))
        return many


def _unfolded(make: Callable[[], FanOut], count: int | None) -> FanOut:
    return make() if count is None else make()._unfold(count)


def _label(item: object) -> str:
    return str(getattr(item, "__name__", "…"))


def _listed(value: Any) -> Any:
    """What can be walked as a tuple; anything else as it is."""
    walkable = isinstance(value, Iterable) and not isinstance(value, Mapping | bytes)
    return tuple(value) if walkable else value


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _callables(item: Step) -> list[Action]:
    """Every callable of a step."""
    found: list[Any] = [item.compensation, item.reconcile, item.when]
    if isinstance(item.action, Wait):
        found += [item.action.correlate, item.action.timeout]
    elif isinstance(item.action, Nested):
        found += [item.action.input, *(f for s in item.action.saga.steps for f in _callables(s))]
    elif isinstance(item.action, ForEach):
        found += [item.action.items, *_callables(item.action.body)]
    elif isinstance(item.action, Choose):
        found.append(item.action.by)
    else:
        found.append(item.action)
    return [function for function in found if callable(function)]


def _is_real(function: Action) -> bool:
    """Whether it is code, which the YAML form only names."""
    return not (isinstance(function, Simulated) or forms.is_data(function))


def _step_shape(item: Step) -> dict[str, Any]:
    return {
        "after": sorted(item.after or ()),
        "pivot": item.pivot,
        "compensation": item.compensation is not None,
        "reconcile": item.reconcile is not None,
        "simulated": isinstance(item.action, Simulated),
        **_special_shape(item),
    }


def _special_shape(item: Step) -> dict[str, Any]:
    """What only the steps have that are more than an action and a compensation."""
    shape: dict[str, Any] = {}
    if isinstance(item.action, Wait):
        shape |= {"event": item.action.event, "on_timeout": item.action.on_timeout}
    if isinstance(item.action, Choose):
        shape["chooses"] = True
    if isinstance(item.action, Nested):
        inner = item.action.saga
        shape["saga"] = {"name": inner.name, "version": inner.version, "shape": inner.shape}
    if isinstance(item.action, ForEach):
        body = item.action.body
        shape["for_each"] = {"limit": item.action.limit, "body": [body.name, _step_shape(body)]}
    if item.branch is not None:
        shape["branch"] = list(item.branch)
    return shape


def _remembered_step(name: str, part: Mapping[str, Any]) -> Step:
    return Step(
        name=name,
        action=_remembered_action(name, part),
        compensation=Simulated(f"undo {name}") if part["compensation"] else None,
        reconcile=Simulated(f"reconcile {name}") if part["reconcile"] else None,
        after=tuple(part["after"]),
        pivot=part["pivot"],
        branch=tuple(part["branch"]) if "branch" in part else None,
    )


def _remembered_action(name: str, part: Mapping[str, Any]) -> Action | Special:
    if "chooses" in part:
        return Choose(Simulated(name))
    if "saga" in part:
        return Nested(Saga.from_shape(**part["saga"]))
    if "for_each" in part:
        body = _remembered_step(*part["for_each"]["body"])
        return ForEach(Simulated(name), body, part["for_each"]["limit"])
    if "on_timeout" not in part:
        return Simulated(name)
    only_time = part["event"] is None
    return Wait(
        event=part["event"], timeout=1.0 if only_time else None, on_timeout=part["on_timeout"]
    )


def _rebuilt(given: tuple[Any, ...], options: dict[str, Any]) -> Saga:
    return Saga(*given, **options)


def _place(steps: list[Step]) -> tuple[Step, ...]:
    """Resolve every left-out ``after`` to the step above, and drop repeats."""
    placed: list[Step] = []
    for item in steps:
        after = item.after
        if after is None:
            after = default_after(placed, item)
        if all(isinstance(name, str) for name in after):
            after = tuple(sorted(set(after)))
        placed.append(msgspec.structs.replace(item, after=after))
    return tuple(placed)


def _schema_problems(schema: Any) -> list[str]:
    import jsonschema

    if not isinstance(schema, Mapping) or not isinstance(schema.get("$schema", ""), str):
        return [f"input_schema is {schema!r}; give a JSON Schema as a mapping"]
    try:
        jsonschema.validators.validator_for(schema).check_schema(dict(schema))
    except jsonschema.SchemaError as error:
        return [f"input_schema is not a JSON Schema: {error.json_path}: {error.message}"]
    except RecursionError:
        return ["input_schema is nested too deeply; write it flatter"]
    return []


def _type_problems(kind: Any) -> list[str]:
    try:
        msgspec.json.schema(kind)
        msgspec.json.Decoder(kind)
    except (TypeError, NameError, RuntimeError) as error:
        why = str(error).splitlines()[0]
        return [
            f"input is {kind!r}, which the journal cannot keep ({why}); give a dataclass, an attrs "
            "or msgspec type, a TypedDict or a JSON Schema"
        ]
    return []


def _undo_label(item: Step) -> str | None:
    if item.compensation is None:
        return None
    return callable_name(item.compensation) or f"undo {item.name}"


def _nested_words(item: Step) -> str:
    if isinstance(item.action, Nested):
        count = len(item.action.saga.steps)
        return f"saga {item.action.saga.name}, {count} step{'' if count == 1 else 's'}"
    if isinstance(item.action, ForEach):
        return f"for each of {callable_name(item.action.items) or '…'}"
    return ""


def _notes(item: Step) -> tuple[str, ...]:
    notes = []
    if isinstance(item.action, Wait):
        notes += _wait_notes(item.action)
    if isinstance(item.action, ForEach):
        notes.append(f"{item.action.limit} at once")
    if isinstance(item.action, Choose):
        notes.append(f"chooses by {callable_name(item.action.by) or '…'}")
    if item.branch is not None:
        notes.append(f"if {item.branch[0]} is {item.branch[1]}")
    if item.when is not None:
        condition = item.when if isinstance(item.when, bool) else callable_name(item.when)
        notes.append(f"when {condition or '…'}")
    if item.retry is not None and item.retry.attempts != 1:
        notes.append(f"{item.retry.attempts} attempts")
    if item.timeout is not None:
        notes.append(f"timeout {item.timeout:g} s")
    return tuple(notes)


def _policy_notes(service: Service | None, item: Step) -> list[str]:
    """What protects the step's service, in as few words as fit on a picture."""
    notes = ["reads only"] if item.read else []
    if service is None:
        return notes
    if service.breaker is not None:
        notes.append("breaker")
    if service.bulkhead is not None:
        notes.append(f"{service.bulkhead.calls} at once")
    limit = service.rate_limit
    if limit is not None:
        notes.append(f"{limit.calls}/{'s' if limit.per == 1 else f'{limit.per:g} s'}")
    if service.retry_budget is not None:
        notes.append(f"retries at most {service.retry_budget.ratio:.0%}")
    if service.hedge is not None and item.read:
        notes.append(f"hedge {service.hedge.after:g} s")
    return notes


def _wait_notes(wait: Wait) -> list[str]:
    notes = [] if wait.event is None else [f"waits for {wait.event}"]
    if callable(wait.timeout):
        seconds = callable_name(wait.timeout) or "…"
    elif wait.timeout is not None:
        seconds = f"{wait.timeout:g} s"
    else:
        return notes
    if wait.event is None:
        return [f"waits {seconds}"]
    return [*notes, f"at most {seconds}" + (", then on" if wait.on_timeout == "continue" else "")]


# -- between Saga and its YAML form ---------------------------------------------------------


def _on_timeout(event: str | None) -> OnTimeout:
    """What a wait does at its timeout if it does not say so."""
    return "continue" if event is None else "fail"


# What a step may do, one of these: it is an action unless said otherwise.
_DOES = ("action", "wait", "choice", "saga", "for_each")
_ITEMS = [1, 2, 3]  # that a simulated step works on


class _Given(NamedTuple):
    """What the names in a document stand for.

    Parameters:
        named: the callables by their names; None: all are simulated.
        input: the type of the document's input.
        types: those that an input may have, wherever a schema is that of one of them.
        simulate: a name that is not given is simulated, not a problem.
        whose: what a problem calls those callables, and
        cure: what it says to do about a name that is none of them.
    """

    named: Mapping[str, Action] | None
    input: Any = None
    types: tuple[Any, ...] = ()
    simulate: bool = False
    whose: str = "the actions given"
    cure: str = "give it, or write it right"

    def type_of(self, schema: Mapping[str, Any] | None) -> Any:
        if schema is None:
            return None
        return next((kind for kind in self.types if msgspec.json.schema(kind) == schema), None)


def _from_spec(
    document: _spec.SagaSpec,
    at: tuple[str | int, ...],
    given: _Given,
    found: list[str],
    *,
    inside: str = "",
) -> Saga | None:
    """Build the saga of a document; None if it cannot be one.

    Parameters:
        at: where the document stands in the whole one.
        found: the problems, to which those of this document are added.
        inside: of which step of which saga it is a part, for the problems.
    """

    def refuse(text: str, *path: str | int) -> None:
        found.append(Problem(f"{inside}{text}", *at, *path))

    schema = document.input_schema
    input = given.type_of(schema) if given.input is None else given.input
    if input is not None and not isinstance(input, Mapping):
        if not _type_problems(input) and msgspec.json.schema(input) != schema:
            refuse("its input is not the schema of the type given; write it anew", "input")
        schema = None

    within = given._replace(input=None)

    def build(item: _spec.StepSpec, *path: str | int) -> Step:
        """The step that stands there."""

        def resolve(value: Any, role: str, *around: str, result: Any = None) -> Any:
            value = forms.made(value)
            if value is None or isinstance(value, bool | Simulated) or forms.is_data(value):
                return value
            named = given.named
            if named is None or (given.simulate and value not in named):
                return Simulated(value, result=result)
            if value not in named:
                cure = _spec.nearest(value, named) or f"; {given.cure}"
                text = f"its {role} '{value}' is not among {given.whose}{cure}"
                refuse(f"step '{item.name}': {text}", *path, *around, role)
                return None
            return named[value]

        def action() -> Any:
            if item.choice is not None:
                keys = (other.branch for other in document.steps if other.branch is not None)
                first = next((key for chooser, key in keys if chooser == item.name), None)
                by = resolve(item.choice, "choice", result=first)
                return Choose(Simulated(item.name) if by is None else by)
            if item.saga is not None:
                place = f"{inside}step '{item.name}': saga '{item.saga.name}': "
                way = (*at, *path, "saga")
                inner = _from_spec(item.saga, way, within, found, inside=place)
                by = resolve(item.input, "input")
                return Simulated(item.name) if inner is None else Nested(inner, by)
            if item.for_each is not None:
                items = resolve(item.for_each.items, "items", "for_each", result=_ITEMS)
                body = build(item.for_each.step, *path, "for_each", "step")
                items = Simulated(item.name) if items is None else items
                return ForEach(items, body, item.for_each.limit)
            if item.wait is not None:
                timeout = item.wait.timeout
                return Wait(
                    event=item.wait.event,
                    correlate=resolve(item.wait.correlate, "correlate", "wait"),
                    timeout=number(timeout)
                    if isinstance(timeout, int | float)
                    else resolve(timeout, "timeout", "wait", result=1.0),
                    on_timeout=item.wait.on_timeout or _on_timeout(item.wait.event),
                )
            made = resolve(item.action or item.name, "action")
            return Simulated(item.name) if made is None else made

        does = [key for key in _DOES if getattr(item, key) is not None]
        if len(does) > 1:
            text = f"step '{item.name}' has {' and '.join(does)}; keep one of them"
            refuse(text, *path, does[1])
        if item.input is not None and item.saga is None:
            refuse(f"step '{item.name}' has an input but no saga; drop it", *path, "input")
        return step(
            action(),
            resolve(item.compensation, "compensation"),
            name=item.name,
            after=item.after,
            when=resolve(item.when, "when", result=True),
            pivot=item.pivot,
            retry=item.retry,
            timeout=item.timeout,
            compensation_retry=item.compensation_retry,
            compensation_timeout=item.compensation_timeout,
            reconcile=resolve(item.reconcile, "reconcile", result=True),
            idempotent=item.idempotent,
            service=item.service,
            read=item.read,
            description=item.description,
            branch=item.branch,
        )

    steps = [build(item, "steps", number) for number, item in enumerate(document.steps)]
    try:
        return Saga(
            document.name,
            *steps,
            version=document.version,
            input=input,
            input_schema=schema,
            deadline=document.deadline,
            description=document.description,
            services=document.services,
            redact=document.redact,
        )
    except DefinitionError as error:
        for problem in error.problems:
            refuse(problem, *getattr(problem, "path", ()))
        return None


def _by_name(
    actions: Iterable[Any], found: list[str], whose: str = "the actions given"
) -> dict[str, Action]:
    """The callables by their names; what cannot be looked up becomes a problem."""
    given: dict[str, Action] = {}
    if isinstance(actions, Mapping):
        found.append("actions is a mapping; give a list of the functions, which have their names")
        return given
    for function in (actions,) if callable(actions) else actions:
        name = callable_name(function)
        if not callable(function):
            found.append(f"the action {function!r} cannot be called; give the function itself")
        elif name is None:
            found.append(f"the action {function!r} has no name; use def")
        elif given.setdefault(name, function) != function:
            found.append(f"two of {whose} are named '{name}'; rename one")
    return given


def _spec_names(saga: str, functions: Iterable[Action]) -> None:
    """Refuse a saga in whose YAML form one name would stand for two callables."""
    found: list[str] = []
    named = [f for f in functions if not isinstance(f, Simulated) and callable_name(f)]
    _by_name(named, found, "its callables")
    if found:
        raise DefinitionError(f"saga '{saga}'", found)


class _Written(NamedTuple):
    """How a saga's callables are written.

    Parameters:
        mixed: some are real; then a simulated one is written out, not named.
        name: gives the name of a step's callable; None: its own.
        taken: names that a simulated one is not written by.
        types: the input of an inner saga may be a type, which is written as its schema.
    """

    mixed: bool
    name: Callable[[Step, str, Action], str | None] | None = None
    taken: Container[str] = ()
    types: bool = False

    def simulated(self, function: Simulated, default_result: Any) -> Any:
        """Its name, where that says it all."""
        plain = function == Simulated(function.name, result=default_result)
        named = function.name and function.name not in self.taken
        return function.name if plain and named and not self.mixed else function


def _saga_spec(saga: Saga, how: _Written) -> _spec.SagaSpec:
    return _spec.SagaSpec(
        name=saga.name,
        version=saga.version,
        description=saga.description,
        input_schema=_written_schema(saga),
        deadline=saga.deadline,
        services=saga.services,
        redact=saga.redact,
        steps=tuple(_step_spec(number, saga.steps, how) for number in range(len(saga.steps))),
    )


def _written_schema(saga: Saga) -> dict[str, Any] | None:
    if saga.input_type is not Any:
        return msgspec.json.schema(saga.input_type)
    return None if saga.input_schema is None else dict(saga.input_schema)


def _step_spec(number: int, steps: Sequence[Step], how: _Written) -> _spec.StepSpec:
    item, above = steps[number], steps[:number]

    def name(function: Any, role: str, default_result: Any = None) -> Any:
        if function is None or isinstance(function, bool):
            return function
        if isinstance(function, Simulated) and (not how.name or _spec.is_plain(function.result)):
            return how.simulated(function, default_result)
        if forms.is_data(function):
            return forms.form(function)
        label = how.name(item, role, function) if how.name else callable_name(function)
        if label is None:
            cure = "has a callable without a name, and the YAML form holds names; use def"
            raise DefinitionError(f"step '{item.name}'", [cure])
        return label

    action = wait = chooses = inner = given = each = None
    if isinstance(item.action, Nested):
        if item.action.saga.input_type is not Any and not how.types:
            cure = "the input of its saga is a type, which the YAML form cannot hold; give a schema"
            raise DefinitionError(f"step '{item.name}'", [cure])
        inner, given = _saga_spec(item.action.saga, how), name(item.action.input, "input")
    elif isinstance(item.action, ForEach):
        body = msgspec.structs.replace(item.action.body, after=())
        each = _spec.ForEachSpec(
            items=name(item.action.items, "items", _ITEMS),
            step=_step_spec(0, (body,), how),
            limit=item.action.limit,
        )
    elif isinstance(item.action, Choose):
        first = next(iter(keys_of(item, steps)), None)
        chooses = name(item.action.by, "choice", first)
    elif isinstance(item.action, Wait):
        seconds = item.action.timeout
        wait = _spec.WaitSpec(
            event=item.action.event,
            correlate=name(item.action.correlate, "correlate"),
            timeout=name(seconds, "timeout", 1.0) if callable(seconds) else seconds,
            on_timeout=None
            if item.action.on_timeout == _on_timeout(item.action.event)
            else item.action.on_timeout,
        )
    else:
        action = name(item.action, "action")
    default = tuple(sorted(default_after(above, item)))
    after = item.after or ()
    return _spec.StepSpec(
        name=item.name,
        action=None if action == item.name else action,
        wait=wait,
        choice=chooses,
        saga=inner,
        input=given,
        for_each=each,
        compensation=name(item.compensation, "compensation"),
        after=None if after == default else after[0] if len(after) == 1 else after,
        when=name(item.when, "when", True),
        pivot=item.pivot,
        retry=item.retry,
        timeout=item.timeout,
        compensation_retry=item.compensation_retry,
        compensation_timeout=item.compensation_timeout,
        reconcile=name(item.reconcile, "reconcile", True),
        idempotent=item.idempotent,
        service=item.service,
        read=item.read,
        description=item.description,
        branch=item.branch,
    )
