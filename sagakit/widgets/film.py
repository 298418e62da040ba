"""A run in virtual time, filmed: what the services' ledgers hold as each event comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from sagakit.drivers.inputs import accept_input, must_be_scenario
from sagakit.drivers.simulated import MortalRun, Simulation, identity, through_crashes
from sagakit.events import CompensationStarted, Event, StepStarted
from sagakit.execution import Execution
from sagakit.lab.table import tables_of
from sagakit.saga import Saga
from sagakit.scenario import Scenario

Amount = int | float | str
Ledgers = Mapping[str, Mapping[str, Amount]]  # by service, then by what is counted
SagaOf = Saga | Callable[[Any], Saga]  # the definition, or what makes it for a world
World = Callable[[], Any]

# No service has been asked for anything between these and the event before.
_CHANGES_NOTHING = (StepStarted, CompensationStarted)


class Film:
    """A run, and the ledgers of its world after each event. A value.

    Parameters:
        saga: the definition that ran.
        kept: the input, as the saga was given it.
        ledgers: of each event of ``execution.history()``; empty where there is no world.
    """

    def __init__(
        self,
        saga: Saga,
        kept: Any,
        scenario: Scenario,
        seed: int,
        execution: Execution,
        ledgers: list[Ledgers],
    ) -> None:
        self.saga = saga
        self.kept = kept
        self.scenario = scenario
        self.seed = seed
        self.execution = execution
        self.ledgers = ledgers


def film(saga_of: SagaOf, input: Any, scenario: Scenario, seed: int, world: World | None) -> Film:
    """Run a saga as ``simulate`` does, with the same events, in a world of its own.

    Parameters:
        saga_of: the saga, or what makes it for a world.
        world: makes the world; None: there is none to look at.

    Raises:
        InputError, ScenarioError, SimulationError: as ``simulate`` does.
        DefinitionError: what was given is no saga.
    """
    must_be_scenario(scenario)
    place = None if world is None else world()
    try:
        saga = saga_of(place) if callable(saga_of) else saga_of
        kept = accept_input(saga, input)
        id = identity(saga, kept, scenario if _says_something(scenario) else None, seed)
        seen = _Seen(place)

        class Filmed(MortalRun):
            """What runs, and what runs inside it, writes into the same notes."""

            __slots__ = ()
            notes: ClassVar[_Seen] = seen

            def emit(self, event: Event) -> None:
                super().emit(event)
                number = len(self.events) - 1
                self.notes.take(self.state.execution_id, number, event)

        run = Filmed.begin(saga, kept, id, 0.0, seed, scenario)
        execution = through_crashes(Simulation(run, 0.0, {}), scenario)
        return Film(saga, kept, scenario, seed, execution, seen.told(execution))
    finally:
        close = getattr(place, "close", None)
        if callable(close):
            close()


def _says_something(scenario: Scenario) -> bool:
    return bool(scenario.faults or scenario.interventions or scenario.crashes)


class _Seen:
    """Looks at the world at each event of each execution."""

    def __init__(self, world: Any) -> None:
        self._look = _looker(world)
        self._pages: list[Ledgers] = []
        self._at: dict[tuple[str, int], int] = {}  # (execution, its event): the page

    def take(self, execution: str, number: int, event: Event) -> None:
        if self._look is None:
            return
        if not (self._pages and isinstance(event, _CHANGES_NOTHING)):
            self._pages.append(self._look())
        self._at[execution, number] = len(self._pages) - 1

    def told(self, execution: Execution) -> list[Ledgers]:
        """The ledgers after each event of the history.

        The history tells what happened at the same time in its own order; what has been seen
        already is not unseen.
        """
        if self._look is None:
            return []
        numbers: dict[str, int] = {}
        latest, found = 0, []
        ids = dict(_ids(execution, ""))
        for path, _ in execution.history():
            number = numbers.get(path, 0)
            numbers[path] = number + 1
            latest = max(latest, self._at.get((ids[path], number), 0))
            found.append(self._pages[latest])
        return found


def _ids(execution: Execution, path: str) -> Iterable[tuple[str, str]]:
    yield path, execution.id
    for name, child in execution.children.items():
        yield from _ids(child, f"{path}/{name}".lstrip("/"))


def _looker(world: Any) -> Callable[[], Ledgers] | None:
    """How to read a world's ledgers: what its ``ledgers()`` says; else its tables, row by row;
    else how often each step's effect stands. None: it says nothing of itself."""
    told: Any = getattr(world, "ledgers", None)
    if callable(told) and not isinstance(world, Mapping):
        return lambda: {service: dict(rows) for service, rows in told().items()}
    tables = {} if world is None else tables_of(world)
    if tables:
        return lambda: {
            name: {str(key): _amount(value) for key, value in table.snapshot().items()}
            for name, table in tables.items()
        }
    effects: Any = getattr(world, "effects", None)
    if callable(effects):
        return lambda: {"effects": dict(effects())}
    return None


def _amount(value: Any) -> Amount:
    """A row's value, as a number where it is one."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return value if isinstance(value, str) else str(value)
