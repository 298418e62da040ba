"""A saga being played: what it runs under, the film of it, and what edits make of both.

It is what the player and the fault matrix have in common; it holds no widget.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sagakit.errors import InputError, SimulationError
from sagakit.execution import Execution
from sagakit.redaction import MASK, masked
from sagakit.scenario import Scenario, Signal
from sagakit.widgets.base import words
from sagakit.widgets.film import Film, SagaOf, World, film
from sagakit.widgets.frames import Graph, scenes
from sagakit.widgets.menu import menu, plain
from sagakit.widgets.question import Question, Score

_WIDTH = 88  # of code that is copied
_BREAK = "\n    "


class Playing:
    """Runs a saga again and again, each time in a fresh world.

    ``film`` is the last run; ``answer`` what the last guess about it was worth, {} without one.

    Parameters:
        saga, input, scenario, seed, world: as for ``SagaPlayer``.

    Raises:
        InputError, ScenarioError, SimulationError: it cannot be run so.
    """

    def __init__(
        self, saga: SagaOf, input: Any, scenario: Scenario, seed: Any, world: World | None
    ) -> None:
        self._saga_of, self._world = saga, world
        self.answer: dict[str, Any] = {}
        self.film: Film
        self.play(input, scenario, seed)

    @property
    def execution(self) -> Execution:
        return self.film.execution

    def play(self, input: Any, scenario: Scenario, seed: Any) -> None:
        """Run it; if it cannot be, the last run stays."""
        if type(seed) is not int:
            raise SimulationError(f"seed is {seed!r}; give a whole number")
        self.film = film(self._saga_of, input, scenario, seed, self._world)
        self.answer = {}

    def score(self, guess: Sequence[str]) -> Score:
        """Score a guess of which compensations run; see ``SagaPlayer.score``."""
        return Question(self.execution).score(guess)

    # -- edits ------------------------------------------------------------------------------

    def edited(self, edit: Mapping[str, Any]) -> dict[str, Any]:
        """Do what the page asks for; the state after it, or the same with what is wrong."""
        seq = edit.get("seq", 0)
        if "guess" in edit:
            said = words(lambda: self._guessed(seq, edit["guess"]))
        else:
            said = words(lambda: self.play(*self._given(edit)))
        return self.state(seq, said)

    def _guessed(self, seq: int, guess: Sequence[str]) -> None:
        self.answer = {"seq": seq, **msgspec.to_builtins(self.score(guess))}

    def _given(self, edit: Mapping[str, Any]) -> tuple[Any, Scenario, Any]:
        """What the next run is to be given; what the edit leaves out stays."""
        given, scenario = self.film.kept, self.film.scenario
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
        return given, scenario, edit.get("seed", self.film.seed)

    # -- what the page is told --------------------------------------------------------------

    def state(self, seq: int, said: dict[str, str] | None) -> dict[str, Any]:
        """See ``PlayerState`` in ``ui/src/watching.ts``."""
        shown, execution = self.film, self.film.execution
        scenario = _without_secrets(shown.scenario)
        graph = Graph(execution.saga, execution)
        drawn = {node["path"] for node in graph.nodes}
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
            "choices": [
                {"step": path, "compensation": name}
                for path, name in choices.items()
                if path in drawn
            ],
            "said": said,
        }

    def _input_text(self) -> str:
        """The input as JSON, without what must not be shown."""
        value = _plain_input(self.film.kept)
        redaction = self.execution.redaction
        shown = value if redaction is None else redaction.clean(value)
        return json.dumps(shown, indent=2, ensure_ascii=False)

    def _code(self, scenario: Scenario) -> str:
        """The expression that runs it again, to copy."""
        saga = self.film.saga
        name = saga.name if saga.name.isidentifier() else "saga"
        given = [name]
        if self.film.kept is not None:
            given.append(repr(self.execution.input))
        if scenario != Scenario():
            given.append(f"scenario={scenario!r}")
        if self.film.seed:
            given.append(f"seed={self.film.seed}")
        code = f"simulate({', '.join(given)})"
        # a line for each argument, or the scenario stands far behind a long input
        return code if len(code) <= _WIDTH else f"simulate({_BREAK}{f',{_BREAK}'.join(given)},\n)"


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
