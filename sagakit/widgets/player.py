"""The player: a saga runs in virtual time, is broken by clicks, and its film is looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import traitlets

from sagakit.errors import InputError, SimulationError
from sagakit.execution import Execution
from sagakit.redaction import MASK, masked
from sagakit.scenario import Scenario, Signal
from sagakit.widgets.base import SagaWidget, words
from sagakit.widgets.film import Film, SagaOf, World, film
from sagakit.widgets.frames import Graph, scenes
from sagakit.widgets.menu import menu, plain
from sagakit.widgets.question import Question, Score


class SagaPlayer(SagaWidget):
    """Plays a saga: choose input, faults and seed, and watch it event by event.

    ``execution`` is the run that is shown, ``scenario``, ``input`` and ``seed`` what it ran under;
    ``simulate`` with these gives the same events.

    Parameters:
        saga: the definition; or, with a world, what makes it for a world, as for ``explore``.
        input: of the execution.
        scenario: the faults to begin with.
        seed: decides the identity of the execution and its jitter.
        world: makes a fresh world for each run, such as ``Twin().fresh``; its ledgers change
            beside the run: what its ``ledgers()`` says, else its tables, else its ``effects()``.

    Raises:
        InputError: the saga refuses the input.
        ScenarioError: the scenario does not fit the saga.
        SimulationError: it would run for ever; or the seed is no whole number.
    """

    answer = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        saga: SagaOf,
        input: Any = None,
        *,
        scenario: Scenario | None = None,
        seed: int = 0,
        world: World | None = None,
    ) -> None:
        self._saga_of, self._world = saga, world
        self._film = self._filmed(input, scenario or Scenario(), seed)
        super().__init__(_widget="player", state=self._state(0, None))

    # -- from Python ------------------------------------------------------------------------

    @property
    def execution(self) -> Execution:
        """The run that is shown."""
        return self._film.execution

    @property
    def scenario(self) -> Scenario:
        """What fails in it."""
        return self._film.scenario

    @property
    def input(self) -> Any:
        """What it was given, as the journal would give it back."""
        return self.execution.input

    @property
    def seed(self) -> int:
        return self._film.seed

    def play(
        self,
        input: Any = ...,
        *,
        scenario: Scenario | None = None,
        seed: int | None = None,
    ) -> Execution:
        """Run again, with whatever is given here instead, and show that.

        Raises:
            InputError, ScenarioError, SimulationError: as at the beginning; the last run stays.
        """
        self._play(
            self._film.kept if input is ... else input,
            self.scenario if scenario is None else scenario,
            self.seed if seed is None else seed,
        )
        self.state = self._state(0, None)
        return self.execution

    def score(self, guess: Sequence[str]) -> Score:
        """Score a guess of which compensations run, and in which order.

        Where the saga's graph leaves the order open, any order is right.

        Parameters:
            guess: steps (by their paths), or compensations by their names, in order.

        Raises:
            SagaError: it names what is no compensation of this saga.
        """
        return Question(self.execution).score(guess)

    # -- runs -------------------------------------------------------------------------------

    def _filmed(self, input: Any, scenario: Scenario, seed: Any) -> Film:
        if type(seed) is not int:
            raise SimulationError(f"seed is {seed!r}; give a whole number")
        return film(self._saga_of, input, scenario, seed, self._world)

    def _play(self, input: Any, scenario: Scenario, seed: Any) -> None:
        self._film = self._filmed(input, scenario, seed)
        self.answer = {}

    def _answer(self, edit: dict[str, Any]) -> None:
        seq = edit.get("seq", 0)
        if "guess" in edit:
            said = words(lambda: self._guessed(seq, edit["guess"]))
        else:
            said = words(lambda: self._play(*self._edited(edit)))
        self.state = self._state(seq, said)

    def _guessed(self, seq: int, guess: Sequence[str]) -> None:
        self.answer = {"seq": seq, **msgspec.to_builtins(self.score(guess))}

    def _edited(self, edit: Mapping[str, Any]) -> tuple[Any, Scenario, Any]:
        """What the next run is to be given; what the edit leaves out stays."""
        given, scenario = self._film.kept, self.scenario
        if "input" in edit:
            given = _unmasked(_read_json(edit["input"]), _plain_input(given))
        if "scenario" in edit:
            scenario = _with_secrets(Scenario.from_yaml(edit["scenario"] + "\n"), scenario)
        if "faults" in edit or "crashes" in edit:
            parts = plain(scenario) | {
                key: edit[key] for key in ("faults", "crashes") if key in edit
            }
            struck = _read_plain(parts)
            scenario = msgspec.structs.replace(
                scenario, faults=struck.faults, crashes=struck.crashes
            )
        return given, scenario, edit.get("seed", self.seed)

    # -- what the page is told --------------------------------------------------------------

    def _state(self, seq: int, said: dict[str, str] | None) -> dict[str, Any]:
        """See ``PlayerState`` in ``ui/src/watching.ts``."""
        shown, execution = self._film, self._film.execution
        scenario = _without_secrets(shown.scenario)
        graph = Graph(execution.saga, execution)
        choices = Question(execution).choices
        return {
            "seq": seq,
            "film": scenes(shown),
            "menu": menu(shown.saga, execution, shown.scenario, graph),
            "input": self._input_text(),
            "seed": shown.seed,
            **plain(scenario),
            "yaml": msgspec.structs.replace(scenario, name=scenario.name or "played").to_yaml(),
            "code": self._code(scenario),
            "choices": [{"step": path, "compensation": name} for path, name in choices.items()],
            "said": said,
        }

    def _input_text(self) -> str:
        """The input as JSON, without what must not be shown."""
        value = _plain_input(self._film.kept)
        redaction = self.execution.redaction
        shown = value if redaction is None else redaction.clean(value)
        return json.dumps(shown, indent=2, ensure_ascii=False)

    def _code(self, scenario: Scenario) -> str:
        """The expression that runs it again, to copy."""
        saga = self._film.saga
        name = saga.name if saga.name.isidentifier() else "saga"
        given = [name]
        if self._film.kept is not None:
            given.append(repr(self.input))
        if scenario != Scenario():
            given.append(f"scenario={scenario!r}")
        if self.seed:
            given.append(f"seed={self.seed}")
        return f"simulate({', '.join(given)})"

    def _picture(self) -> str:
        execution = self.execution
        return str(execution.flow()._repr_html_()) + execution.timeline()._repr_html_()

    def __repr__(self) -> str:
        execution = self.execution
        count = len(execution.history())
        return f"<SagaPlayer of '{execution.saga.name}': {execution.status}, {count:,} events>"


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"the input is not JSON: {error}; mend it there") from None


def _plain_input(kept: Any) -> Any:
    return msgspec.to_builtins(kept, str_keys=True)


def _read_plain(parts: Mapping[str, Any]) -> Scenario:
    """Faults and crashes as the page has them, read as the YAML form is."""
    text = json.dumps({"scenario": "played", **parts}, indent=0)  # JSON is YAML
    return Scenario.from_yaml(text)


def _without_secrets(scenario: Scenario) -> Scenario:
    """The scenario as it may be shown: signals may bring what nobody may read."""
    shown = tuple(masked(one) if isinstance(one, Signal) else one for one in scenario.interventions)
    return msgspec.structs.replace(scenario, interventions=shown)


def _with_secrets(given: Scenario, kept: Scenario) -> Scenario:
    """What somebody wrote, with what they could not see put back where it was."""
    pairs = list(zip(_without_secrets(kept).interventions, kept.interventions, strict=True))
    whole = tuple(
        next((real for shown, real in pairs if shown == one), one) for one in given.interventions
    )
    return msgspec.structs.replace(given, interventions=whole)


def _unmasked(given: Any, kept: Any) -> Any:
    """A value in which what was not shown stands again as it was, where nobody has changed it."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return {key: _unmasked(part, kept.get(key)) for key, part in given.items()}
    if isinstance(given, list) and isinstance(kept, list):
        more = [None] * (len(given) - len(kept))
        return [_unmasked(part, was) for part, was in zip(given, [*kept, *more], strict=False)]
    hidden = isinstance(given, str) and MASK in given and kept is not None
    return kept if hidden else given
