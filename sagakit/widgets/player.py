"""The player: a saga runs in virtual time, is broken by clicks, and its film is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import traitlets

from sagakit.execution import Execution
from sagakit.scenario import Scenario
from sagakit.widgets.base import SagaWidget
from sagakit.widgets.film import SagaOf, World
from sagakit.widgets.playing import Playing
from sagakit.widgets.question import Score


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
        self._playing = Playing(saga, input, scenario or Scenario(), seed, world)
        super().__init__(_widget="player", state=self._playing.state(0, None))

    # -- from Python ------------------------------------------------------------------------

    @property
    def execution(self) -> Execution:
        """The run that is shown."""
        return self._playing.execution

    @property
    def scenario(self) -> Scenario:
        """What fails in it."""
        return self._playing.film.scenario

    @property
    def input(self) -> Any:
        """What it was given, as the journal would give it back."""
        return self.execution.input

    @property
    def seed(self) -> int:
        return self._playing.film.seed

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
        self._playing.play(
            self._playing.film.kept if input is ... else input,
            self.scenario if scenario is None else scenario,
            self.seed if seed is None else seed,
        )
        self._show(self._playing.state(0, None))
        return self.execution

    def score(self, guess: Sequence[str]) -> Score:
        """Score a guess of which compensations run, and in which order.

        Where the saga's graph leaves the order open, any order is right.

        Parameters:
            guess: steps (by their paths), or compensations by their names, in order.

        Raises:
            SagaError: it names what is no compensation of this saga.
        """
        return self._playing.score(guess)

    # -- what the page is told --------------------------------------------------------------

    def _answer(self, edit: dict[str, Any]) -> None:
        self._show(self._playing.edited(edit))

    def _show(self, state: dict[str, Any]) -> None:
        with self.hold_sync():
            self.answer = self._playing.answer
            self.state = state

    def _picture(self) -> str:
        execution = self.execution
        return str(execution.flow()._repr_html_()) + execution.timeline()._repr_html_()

    def __repr__(self) -> str:
        execution = self.execution
        count = len(execution.history())
        return f"<SagaPlayer of '{execution.saga.name}': {execution.status}, {count:,} events>"
