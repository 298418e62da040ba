"""``%load_ext sagakit``: sagas in the cells of a notebook, in a real IPython shell."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sagakit import Saga, Simulated, pivot, step

interactive = pytest.importorskip("IPython.core.interactiveshell")

TRIP = """\
saga: trip
version: "1"
steps:
- step: book
  compensation: unbook
- step: pay
  pivot: true
"""


class Cell:
    """What a cell has given: what it printed, what it displayed, what it returned."""

    def __init__(self, result: Any, out: str, err: str, shown: list[dict[str, Any]]) -> None:
        self.result, self.value = result, result.result
        self.out, self.err, self.shown = out, err, shown

    @property
    def texts(self) -> list[str]:
        return [bundle["text/plain"] for bundle in self.shown]


@pytest.fixture
def shell() -> Iterator[Any]:
    interactive.InteractiveShell.clear_instance()
    made = interactive.InteractiveShell.instance(history_length=0)
    made.run_cell("%load_ext sagakit")
    yield made
    interactive.InteractiveShell.clear_instance()


@pytest.fixture
def run(shell: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Runs a cell."""
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(
        shell.display_pub, "publish", lambda data, metadata=None, **_: shown.append(data)
    )

    def ask(text: str) -> Cell:
        shown.clear()
        capsys.readouterr()
        result = shell.run_cell(text.strip("\n"))
        out, err = capsys.readouterr()
        return Cell(result, out, err, list(shown))

    return ask


Run = Callable[[str], Cell]


def book() -> str:
    return "booked"


def unbook() -> None: ...


def pay() -> str:
    return "paid"


def test_a_cell_of_yaml_becomes_a_saga_that_is_drawn_and_checked(shell: Any, run: Run) -> None:
    shell.push({"book": book, "unbook": unbook, "pay": pay})
    cell = run(f"%%saga trip\n{TRIP}")
    assert cell.result.success
    made = shell.user_ns["trip"]
    assert made == Saga("trip", step(book, unbook), pivot(pay), version="1")
    drawn, found = cell.shown
    assert drawn["text/plain"] == "<Saga 'trip' version 1: 2 steps>"
    assert drawn["text/html"].startswith('<img src="data:image/svg+xml;base64,')
    # the magic itself is the first line of the cell
    assert "line 7: warning SAGA301: saga 'trip', step 'pay':" in found["text/plain"]
    assert '<td style="text-align:left">line\xa07</td>' in found["text/html"]


def test_names_of_the_notebook_count_and_not_those_the_functions_were_given(
    shell: Any, run: Run
) -> None:
    shell.push({"book": pay, "unbook": unbook, "pay": lambda: "by lambda"})
    run(f"%%saga trip\n{TRIP}")
    assert shell.user_ns["trip"]["book"].action is pay
    assert run("%saga run trip").value.results == {"book": "paid", "pay": "by lambda"}


def test_with_simulate_the_actions_are_played(shell: Any, run: Run) -> None:
    shell.push({"book": book})
    run(f"%%saga trip --simulate\n{TRIP}")
    assert shell.user_ns["trip"]["book"].action == Simulated("book")


def test_quietly_nothing_is_drawn_and_only_findings_are_shown(shell: Any, run: Run) -> None:
    cell = run(f"%%saga trip -q -s\n{TRIP}")
    assert [text.startswith("line 7: warning") for text in cell.texts] == [True]
    fine = run(
        '%%saga trip -q -s\nsaga: trip\nversion: "1"\nsteps:\n'
        "- {step: book, read: true, timeout: 1}"
    )
    assert fine.shown == []
    assert "trip" in shell.user_ns


def test_a_wrong_text_shows_each_problem_with_its_line_and_changes_nothing(
    shell: Any, run: Run
) -> None:
    shell.push({"book": book, "unbooks": unbook, "pay": pay, "trip": "as it was"})
    wrong = TRIP.replace("pivot", "pivto").replace("unbook", "unbook\n  retry: {attempts: 0}")
    cell = run(f"%%saga trip\n{wrong.strip()}")
    assert cell.result.success  # no traceback
    assert (cell.out, cell.err) == ("", "")
    assert cell.texts == [
        "line 6: error SAGA001: saga 'trip': step 'book': its compensation 'unbook' is not among "
        "the functions of this notebook (did you mean 'unbooks'?); correct it\n"
        "line 7: error SAGA001: saga 'trip': step 'book': retry: attempts is 0; it counts the "
        "first one, give 1 or more\n"
        "line 9: error SAGA001: saga 'trip': step 'pay' has an unknown key 'pivto' "
        "(did you mean 'pivot'?); correct it"
    ]
    assert shell.user_ns["trip"] == "as it was"


def test_a_function_that_is_nowhere_is_asked_for(run: Run) -> None:
    (text,) = run("%%saga trip\nsaga: trip\nsteps:\n- step: sail").texts
    assert "its action 'sail' is not among the functions of this notebook; define it in a " in text
    assert "cell above, or add --simulate" in text


def test_what_ipython_has_put_there_is_no_function_of_the_notebook(shell: Any, run: Run) -> None:
    (text,) = run("%%saga trip\nsaga: trip\nsteps:\n- step: quit").texts
    assert "its action 'quit' is not among the functions of this notebook" in text
    shell.push({"quit": book})
    run("%%saga trip -q\nsaga: trip\nsteps:\n- step: quit")
    assert shell.user_ns["trip"]["quit"].action is book


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%saga trip\n- a", "error SAGA001: saga 'trip': is not a mapping; begin with 'saga: NA"),
        ("%%saga trip\nsaga: [", "error SAGA001: saga 'trip': is not YAML: while parsing a flow"),
        (
            "%%saga trip\n  # no\n",
            "error SAGA001: saga 'trip': is empty; begin with 'saga: NAME' and",
        ),
    ],
)
def test_what_is_no_yaml_of_a_saga_is_said_without_a_traceback(
    run: Run, cell: str, said: str
) -> None:
    (text,) = run(cell).texts
    assert said in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%%saga\nsaga: a", "the following arguments are required: NAME"),
        ("%%saga two words\nsaga: a", "unrecognized arguments: words"),
        ("%%saga a-b\nsaga: a", "'a-b' is no name for a variable; use letters, digits and _"),
        ("%%saga class\nsaga: a", "'class' is no name for a variable"),
        ("%saga rum trip", "%saga rum: there is no 'rum' (did you mean 'run'?)"),
        ("%saga dance trip", "there is no 'dance'; give run, check, yaml"),
        ("%saga run", "%saga run needs the name of a saga; there are trip"),
        ("%saga run trp", "%saga run: there is no saga 'trp' (did you mean 'trip'?)"),
        ("%saga run trip --fail swim", "saga 'trip' has no step 'swim' to fail"),
        ("%saga run trip {a", "the input {a is not YAML: expected ',' or '}'"),
        ("%saga run trip 'a", "no closing quotation"),
        ("%saga run trip --scenario nowhere", "nowhere"),
        ("%saga run strict {amount: much}", "its input does not fit the schema: $.amount: 'much'"),
    ],
)
def test_a_wrong_line_is_answered_in_one_line(shell: Any, run: Run, line: str, said: str) -> None:
    schema = {"properties": {"amount": {"type": "number"}}}
    strict = Saga("strict", step(book), input=schema)
    shell.push({"trip": Saga("trip", step(book))})
    if "strict" in line:
        shell.push({"strict": strict})
    cell = run(line)
    assert said in cell.err + cell.out
    assert (cell.err + cell.out).startswith("UsageError: ")
    assert (cell.err + cell.out).count("\n") == 1


def test_without_a_saga_the_answer_says_what_makes_one(run: Run) -> None:
    assert "there is no saga 'trip'; %%saga makes one" in run("%saga check trip").err


def test_run_is_in_virtual_time_and_takes_an_input(shell: Any, run: Run) -> None:
    shell.push({"trip": Saga("trip", step(Simulated("book", latency=3600), name="book")), "n": [7]})
    execution = run("%saga run trip {customer: 'it is', amount: 42}").value
    assert execution.status == "completed"
    assert execution.input == {"customer": "it is", "amount": 42}
    assert run("%saga run trip n").value.input == [7]
    assert run("%saga run trip 12").value.input == 12
    assert run("%saga run trip [a, {b: c}]").value.input == ["a", {"b": "c"}]
    assert run("%saga run trip").value.input is None
    run("kept = %saga run trip {a: 1}")
    assert shell.user_ns["kept"].input == {"a": 1}


def test_run_breaks_what_it_is_told_to_and_can_take_its_time(shell: Any, run: Run) -> None:
    shell.push({"trip": Saga("trip", step(book, unbook), pivot(pay))})
    assert run("%saga run trip --fail pay").value.status == "compensated"
    broken = run("%saga run trip {a: [1, 2], b: {c: 3}} --fail pay --seed 2").value
    assert (broken.status, broken.input) == ("compensated", {"a": [1, 2], "b": {"c": 3}})
    assert run("%saga run trip --fail pay@1 --seed 3").value.status == "compensated"
    real = run("%saga run trip --real").value
    assert (real.status, real.results) == ("completed", {"book": "booked", "pay": "paid"})
    assert real.started_at > 1e9


def test_check_and_yaml_look_at_a_saga(shell: Any, run: Run) -> None:
    from sagakit import SagaBuilder

    builder = SagaBuilder("trip")
    builder.add_step(book, unbook)
    shell.push({"trip": builder})
    assert repr(run("%saga check trip").value).startswith("<Findings in 'trip':")
    written = run("%saga yaml trip")
    assert written.value is None
    assert written.out == "saga: trip\nsteps:\n- step: book\n  compensation: unbook\n"


def test_alone_it_shows_a_help_and_asked_it_says_more(run: Run) -> None:
    cell = run("%saga")
    assert cell.result.success
    assert "%saga run NAME [INPUT]" in cell.out
    assert "%saga [--fail STEP[@ATTEMPT]]" in _doc(run, "line")
    assert "Play the actions, call none." in _doc(run, "cell")


def _doc(run: Run, kind: str) -> str:
    return run(f"print(get_ipython().find_{kind}_magic('saga').__doc__)").out


@pytest.mark.filterwarnings("ignore:`Completer.complete` is pending")
def test_what_can_stand_next_is_completed(shell: Any) -> None:
    shell.push({"trip": Saga("trip", step(book), step(pay)), "other": 3})

    def next_of(line: str) -> list[str]:
        return list(shell.complete(line.rpartition(" ")[2], line, len(line))[1])

    assert next_of("%saga r") == ["run"]
    assert next_of("%saga check ") == ["trip"]
    assert next_of("%saga run trip --s") == ["--scenario", "--seed"]
    assert next_of("%saga run trip --fail ") == ["book", "pay"]


def test_every_output_is_the_same_on_each_run(run: Run) -> None:
    cells = [f"%%saga trip -s\n{TRIP}", "%saga run trip", "%saga check trip", "%saga"]
    first = [(run(cell).shown, repr(run(cell).value), run(cell).out) for cell in cells]
    again = [(run(cell).shown, repr(run(cell).value), run(cell).out) for cell in cells]
    assert first == again


def test_ipython_is_loaded_only_with_the_magics() -> None:
    code = (
        "import sys, sagakit; assert hasattr(sagakit, 'load_ipython_extension'); "
        "assert 'IPython' in sys.modules"
    )
    alone = "import sys, sagakit; assert 'IPython' not in sys.modules"
    for source in (alone, code):
        subprocess.run([sys.executable, "-c", source], check=True)
