"""The command line: what each command prints, the exit codes, and one clear line for each error."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from sagakit import Saga
from sagakit.cli import cli, load_saga, main
from sagakit.errors import SagaError
from sagakit.events import ExecutionStarted, StepStarted

SAGAS = """
import pathlib, time
from sagakit import Saga, SagaBuilder, TerminalError, step

def charge(): return {"paid": "é"}
def refund(): ...
def reserve(): ...
def refuse(): raise TerminalError("two\\nlines\\tand \\x1b[31mcolour")
def cannot(): raise TerminalError("no way back")
def linger():
    pathlib.Path("lingering").touch()
    if not pathlib.Path("quick").exists():
        time.sleep(60)

good = Saga("good", step(charge, refund), step(reserve))
refused = Saga("refused", step(charge, refund), step(refuse))
stuck = Saga("stuck", step(charge, cannot), step(refuse))
slow = Saga("slow", step(charge, refund), step(linger))
nameless = Saga("nameless", step(charge, lambda: 1))
built = SagaBuilder("built").add_step(charge, refund)
"""

YAML = """
saga: größe
version: 1
steps:
- step: zählen
  compensation: zurück😀
- step: b@2
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "shop.py").write_text(SAGAS, "utf-8")
    (tmp_path / "one.py").write_text(SAGAS.partition("refused =")[0], "utf-8")
    (tmp_path / "size.yaml").write_text(YAML, "utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


class Done:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Call the entry point in this process, and restore what it changes."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["sagakit", *map(str, arguments)])
        for name in ("shop", "one"):
            sys.modules.pop(name, None)
        capfd.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as done:
            code = done.code
        sys.stdout.flush()
        out, err = capfd.readouterr()
        return Done(int(code or 0), out, err)

    return call


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[Any]:
    options = {"capture_output": True, "text": True, "timeout": 60} | options
    command = [sys.executable, "-m", "sagakit.cli", *arguments]
    return subprocess.run(command, check=False, **options)


# -- run ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (["shop.py:good"], 0, "completed"),
        (["shop:good"], 0, "completed"),
        (["one.py"], 0, "completed"),
        (["shop.py:built"], 0, "completed"),
        (["size.yaml"], 0, "completed"),
        (["shop.py:refused"], 2, "compensated"),
        (["shop.py:stuck"], 3, "stuck"),
        (["shop.py:good", "--real"], 0, "completed"),
        (["shop.py:refused", "--real"], 2, "compensated"),
        (["shop.py:stuck", "--real"], 3, "stuck"),
        (["shop.py:stuck", "--journal", "j.db"], 3, "stuck"),
        (["shop.py:good", "--fail", "reserve"], 2, "compensated"),
        (["shop.py:good", "--fail", "reserve@1"], 2, "compensated"),
        (["shop.py:good", "--fail", "reserve@2"], 0, "completed"),
        (["size.yaml", "--fail", "b@2"], 2, "compensated"),
        (["size.yaml", "--fail", "zählen"], 2, "compensated"),
    ],
    ids=str,
)
def test_run_ends_with_the_code_of_the_outcome(
    call: Callable[..., Done], arguments: list[str], code: int, status: str
) -> None:
    plain = call("run", *arguments)
    assert plain.code == code
    assert f": {status}, " in plain.out
    again = call("run", *arguments, "--json")
    assert again.code == code
    assert again.json["status"] == status
    durable = "--journal" in arguments  # then it says at once which execution it is
    assert bool(re.fullmatch(r"execution \w+ on j\.db\n", again.err)) == durable
    assert bool(again.err) == durable


def test_run_tells_every_event_in_plain_rows(call: Callable[..., Done]) -> None:
    done = call("run", "shop.py:refused")
    assert done.rows[0] == ["seconds", "event", "step", "detail"]
    assert all(len(row) == 4 for row in done.rows[:-1])
    assert [row[1] for row in done.rows[1:-1]] == [
        "execution started",
        "step started",
        "step succeeded",
        "step started",
        "step failed",
        "compensation started",
        "compensation succeeded",
        "execution compensated",
    ]
    assert "\x1b" not in done.out
    assert "TerminalError: two lines and" in done.out
    assert "TerminalError" in done.err
    assert "\x1b" not in done.err


WAITS = """
saga: approval
steps:
- step: reserve
  compensation: release
- step: approved
  wait: {event: approved, timeout: 100}
- step: pay
  wait: {event: paid}
"""


def test_run_sends_signals_and_calls_off(folder: Path, call: Callable[..., Done]) -> None:
    (folder / "waits.yaml").write_text(WAITS)
    done = call("run", "waits.yaml")
    assert (done.code, "approved failed" in done.out or "TimeoutError" in done.out) == (2, True)
    done = call("run", "waits.yaml", "--signal", "approved@5.5")
    assert (done.code, "waiting, 3 steps" in done.out) == (0, True)
    done = call(
        "run", "waits.yaml", "--signal", "approved", "--signal", 'paid={"to": "a@7"}@9', "--json"
    )
    assert done.json["status"] == "completed"
    assert done.json["results"]["pay"] == {"to": "a@7"}
    done = call("run", "waits.yaml", "--cancel", "3")
    assert (done.code, "cancelled by operator" in done.out) == (2, True)
    done = call("run", "waits.yaml", "--signal", "paid={x")
    assert (done.code, "'{x' is not JSON" in done.err) == (1, True)
    done = call("run", "waits.yaml", "--signal", "payed")
    assert (done.code, "never waits for the event 'payed'" in done.err) == (1, True)


def test_what_waits_on_a_journal_is_signalled_and_called_off(
    folder: Path, call: Callable[..., Done]
) -> None:
    (folder / "waits.yaml").write_text(WAITS)
    for id in ("one", "two"):
        done = call("run", "waits.yaml", "--journal", "w.db", "--id", id)
        assert (done.code, "waiting, 3 steps" in done.out) == (0, True)
    assert len(call("list", "w.db", "--status", "waiting", "--json").json) == 2
    done = call("signal", "w.db", "approved", "--saga", "waits.yaml", "--to", "one")
    assert (done.code, "waiting" in done.out) == (0, True)
    signal = ("signal", "w.db", "paid", "--saga", "waits.yaml", "--to", "one")
    paid = (*signal, "--payload", '{"sum": 3}', "--id", "bank-7", "--by", "the bank")
    done = call(*paid, "--json")
    assert done.json["status"] == "completed"
    assert "'paid' by the bank" in call("inspect", "w.db", "one").out
    assert "completed" in call(*paid).out, "sent again, it gives the execution that took it"
    assert "another payload: choose another id" in call(*signal, "--id", "bank-7").err
    assert done.json["results"]["pay"] == {"sum": 3}
    done = call(*signal)
    assert (done.code, "has ended: it is completed" in done.err) == (1, True)
    done = call(*signal, "--payload", "{x")
    assert (done.code, "--payload is not JSON" in done.err) == (1, True)
    done = call("signal", "w.db", "paid", "--saga", "waits.yaml")
    assert (done.code, "give either --to or --correlation" in done.err) == (1, True)
    who = ("--saga", "waits.yaml", "--by", "ann", "--why", "changed her mind")
    done = call("cancel", "w.db", "two", *who)
    assert (done.code, "cancelled by ann" in done.out) == (2, True)
    done = call("cancel", "w.db", "one", *who)
    assert (done.code, "cannot be cancelled: it is completed" in done.err) == (1, True)


def test_run_gives_the_input(call: Callable[..., Done], folder: Path) -> None:
    (folder / "in.json").write_text('{"n": "é"}', "utf-8")
    for given in ('{"n": "é"}', "@in.json"):
        done = call("run", "shop.py:good", "--input", given, "--json")
        assert done.json["events"][0]["input"] == {"n": "é"}


def test_the_same_seed_gives_the_same_output_and_another_seed_another(
    call: Callable[..., Done],
) -> None:
    seeds = [
        call("run", "shop.py:refused", "--seed", seed, "--fail", "charge").out for seed in (1, 1, 2)
    ]
    assert seeds[0] == seeds[1] != seeds[2]


def test_an_id_runs_once_on_a_journal(call: Callable[..., Done]) -> None:
    arguments = ["run", "shop.py:good", "--journal", "j.db", "--id", "order-1", "--json"]
    first, second = call(*arguments), call(*arguments)
    assert first.json == second.json
    assert call("list", "j.db", "--json").json[0]["id"] == "order-1"
    assert len(call("list", "j.db", "--json").json) == 1
    other = call(*arguments, "--input", "7")
    assert other.code == 1
    assert "order-1" in other.err


ERRORS: dict[str, tuple[list[str], str]] = {
    "no file": (["run", "none.yaml"], "there is no file 'none.yaml'"),
    "no Python file": (["run", "none.py:x"], "there is no file 'none.py'"),
    "no module": (["run", "nomodule:x"], "neither a .yaml file nor a module; give FILE.yaml"),
    "no reference": (["run", ""], "neither a .yaml file nor a module"),
    "dots": (["run", "..x"], "neither a .yaml file nor a module"),
    "a folder": (["run", "."], "'.' is a folder; give FILE.yaml"),
    "no such name": (["run", "shop.py:bad"], "'shop.py:bad' is not a saga; those in it: 'shop.py:"),
    "a module without sagas": (["run", "json"], "'json' is not a saga; those in it: none"),
    "several sagas": (["run", "shop.py"], "'shop.py' holds 6 sagas; those in it: 'shop.py:good'"),
    "broken syntax": (["run", "syntax.py:x"], "'syntax.py' cannot be loaded: SyntaxError: "),
    "a broken file": (["run", "broken.py:x"], "RuntimeError: oops (broken.py, line 2)"),
    "a missing import": (["run", "imports.py:x"], "No module named 'nosuchmodule'"),
    "a file that exits": (["run", "exits.py:x"], "'exits.py' cannot be loaded: SystemExit: 0"),
    "a bad saga": (["run", "bad.py:x"], "saga 's': has no steps; give at least one"),
    "bad YAML": (["run", "bad.yaml"], "line 1: the saga has an unknown key 'colour'"),
    "binary YAML": (["run", "binary.yaml"], "binary.yaml: is not UTF-8 text"),
    "broken JSON": (["run", "shop.py:good", "--input", "{"], "--input is not JSON"),
    "no JSON": (["run", "shop.py:good", "--input", ""], "--input is not JSON"),
    "no input file": (["run", "shop.py:good", "--input", "@none"], "--input @none: No such file"),
    "a folder as input": (["run", "shop.py:good", "--input", "@."], "--input @.: Is a directory"),
    "an unknown step": (
        ["run", "shop.py:good", "--fail", "reserv"],
        "saga 'good' has no step 'reserv' to fail (did you mean 'reserve'?)",
    ),
    "attempt zero": (["run", "shop.py:good", "--fail", "charge@0"], "counted from 1"),
    "attempt x": (["run", "shop.py:good", "--fail", "charge@x"], "'x' is not an attempt's number"),
    "attempt ²": (["run", "shop.py:good", "--fail", "charge@²"], "'²' is not an attempt's number"),
    "an empty id": (["run", "shop.py:good", "--id", ""], "--id is empty"),
    "a folder as journal": (["run", "shop.py:good", "--journal", "."], "sagakit: "),
    "a foreign journal": (["run", "shop.py:good", "--journal", "shop.py"], "not a sagakit journal"),
    "list of nothing": (["list", "none.db"], "there is no journal 'none.db'"),
    "list of a foreign file": (["list", "shop.py"], "'shop.py' is not a sagakit journal"),
    "inspect of nothing": (["inspect", "none.db", "x"], "there is no journal 'none.db'"),
    "recover of nothing": (["recover", "none.db", "shop.py:good"], "there is no journal"),
    "doctor of nothing": (["doctor", "none.db"], "there is no journal 'none.db'"),
    "doctor of nobody": (["doctor", "x", "--journal", "none.db"], "there is no journal 'none.db'"),
    "doctor of no journal": (["doctor", "x", "--slow", "1"], "give --journal and its id"),
    "no such scenario": (
        ["run", "shop.py:good", "--scenario", "lost-replay"],
        "there is no scenario named 'lost-replay' (did you mean 'lost-reply'?)",
    ),
    "no scenario file": (
        ["run", "shop.py:good", "--scenario", "none.yaml"],
        "there is no file 'none.yaml'",
    ),
    "a scenario of another saga": (
        ["run", "shop.py:good", "--scenario", "bank-refuses"],
        "saga 'good' has no step 'charge_payment' to fail",
    ),
    "a picture nowhere": (["show", "shop.py:good", "--svg", "no/x.svg"], "no/x.svg"),
    "a nameless callable": (
        ["show", "shop.py:nameless", "--yaml"],
        "step 'charge': has a callable",
    ),
    "no command": (["nope"], "No such command 'nope'"),
    "no argument": (["run"], "Missing argument 'SAGA'"),
    "no option": (["run", "shop.py:good", "--nope"], "No such option"),
    "a wrong type": (["run", "shop.py:good", "--seed", "x"], "'x' is not a valid integer"),
    "a wrong choice": (["list", "none.db", "--status", "lost"], "'lost' is not one of"),
    "no reason": (["resolve", "none.db", "x", "skip", "--by", "me"], "Missing option '--why'"),
}


@pytest.mark.parametrize(("arguments", "message"), ERRORS.values(), ids=ERRORS)
def test_an_error_is_a_clear_line_and_exit_code_1(
    call: Callable[..., Done], folder: Path, arguments: list[str], message: str
) -> None:
    (folder / "syntax.py").write_text("x = (\n")
    (folder / "broken.py").write_text("\nraise RuntimeError('oops')\n")
    (folder / "imports.py").write_text("import nosuchmodule\n")
    (folder / "exits.py").write_text("raise SystemExit(0)\n")
    (folder / "bad.py").write_text("from sagakit import Saga\nx = Saga('s')\n")
    (folder / "bad.yaml").write_text("colour: red\nsaga: s\nsteps: [{step: a}]\n")
    (folder / "binary.yaml").write_bytes(b"saga: \xff")
    done = call(*arguments)
    assert message in done.err.replace(f"{folder}{os.sep}", "")
    assert done.code == 1
    assert done.out == ""
    assert "Traceback" not in done.err


def test_a_file_that_cannot_be_loaded_leaves_no_half_module_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    for name, text in (("broken", "raise RuntimeError('oops')"), ("exits", "raise SystemExit")):
        (folder / f"half_{name}.py").write_text(f"x = 1\n{text}\n")
        with pytest.raises(SagaError, match="cannot be loaded"):
            load_saga(f"half_{name}.py")
    assert set(sys.modules) == before
    (folder / "half_broken.py").write_text(SAGAS.partition("refused =")[0])
    assert load_saga("half_broken.py:good").name == "good"
    del sys.modules["half_broken"]
    (folder / "json.py").write_text("raise RuntimeError('oops')")
    with pytest.raises(SagaError, match="cannot be loaded"):
        load_saga("json.py")
    assert sys.modules["json"] is json  # it was there before, and is another's


def test_a_file_that_cannot_be_read_is_a_clear_line(folder: Path) -> None:
    if os.geteuid() == 0:
        (folder / "loop.yaml").symlink_to("loop.yaml")  # root reads everything else
    else:
        (folder / "loop.yaml").write_text(YAML, "utf-8")
        (folder / "loop.yaml").chmod(0)
    done = process("run", "loop.yaml")
    assert done.returncode == 1
    assert "loop.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_input_that_the_schema_refuses_is_an_error(
    call: Callable[..., Done], folder: Path
) -> None:
    (folder / "in.yaml").write_text("saga: s\ninput: {type: integer}\nsteps: [{step: a}]\n")
    assert call("run", "in.yaml", "--input", "3").code == 0
    done = call("run", "in.yaml", "--input", '"x"')
    assert done.code == 1
    assert "saga 's': its input does not fit" in done.err


# -- show -----------------------------------------------------------------------------------


def test_show_tells_the_steps_and_their_kinds(call: Callable[..., Done]) -> None:
    done = call("show", "shop.py:good")
    assert done.out == (
        "Saga 'good': 2 steps\n"
        "step\tkind\tafter\tcompensation\tservice\tdoes\n"
        "charge\tcompensatable\t\trefund\t\t\n"
        "reserve\tcompensatable\tcharge\t\t\t\n"
    )


SHIPMENT = Path(__file__).parent.parent / "data" / "sagas" / "shipment.yaml"


def test_show_tells_what_steps_do_that_are_no_single_call(call: Callable[..., Done]) -> None:
    done = call("show", str(SHIPMENT))
    assert done.out.splitlines()[0].endswith(", deadline 604800 s")
    does = {row[0]: row[-1] for row in done.rows[2:] if len(row) == 6}
    assert does["pick"] == "for each item, 2 at once"
    assert does["approved"] == "waits for approved, at most 86400 s, then on"
    assert does["payment"] == "the saga payment"
    assert does["book_ship"] == "if way is sea, breaker"
    assert does["insure"] == "when is_dear"


def test_show_writes_yaml_that_run_accepts(call: Callable[..., Done], folder: Path) -> None:
    text = call("show", "size.yaml", "--yaml").out
    assert Saga.from_yaml(text) == Saga.from_yaml(folder / "size.yaml")


def test_show_gives_json_dot_and_svg(call: Callable[..., Done], folder: Path) -> None:
    assert call("show", "shop.py:good", "--json").json["saga"] == "good"
    assert call("show", "shop.py:good", "--dot").out.startswith("digraph")
    assert call("show", "shop.py:good", "--svg", "x.svg").code == 0
    assert "<svg" in (folder / "x.svg").read_text("utf-8")


# -- the journal ----------------------------------------------------------------------------


@pytest.fixture
def journal(call: Callable[..., Done]) -> str:
    for name, label in (("good", "g"), ("refused", "r"), ("stuck", "s")):
        call("run", f"shop.py:{name}", "--journal", "j.db", "--id", label)
    return "j.db"


def test_list_filters(call: Callable[..., Done], journal: str) -> None:
    def ids(*options: str) -> list[str]:
        plain = [row[0] for row in call("list", journal, *options).rows[1:]]
        assert plain == [row["id"] for row in call("list", journal, "--json", *options).json]
        return plain

    assert ids() == ["g", "r", "s"]
    assert ids("--status", "stuck") == ["s"]
    assert ids("--saga", "good") == ["g"]
    assert ids("--saga", "nope") == []
    assert ids("--limit", "2") == ["g", "r"]


@pytest.mark.parametrize(("label", "code"), [("g", 0), ("r", 2), ("s", 3)])
def test_inspect_tells_what_run_told(
    call: Callable[..., Done], journal: str, label: str, code: int
) -> None:
    name = {"g": "good", "r": "refused", "s": "stuck"}[label]
    arguments = ["run", f"shop.py:{name}", "--journal", journal, "--id", label]
    done = call("inspect", journal, label)
    assert (done.code, done.out) == (code, call(*arguments).out)
    assert call("inspect", journal, label, "--json").json == call(*arguments, "--json").json


def test_inspect_of_an_unknown_id_is_an_error(call: Callable[..., Done], journal: str) -> None:
    done = call("inspect", journal, "zzz")
    assert done.code == 1
    assert "'zzz'" in done.err


@pytest.mark.parametrize(
    ("resolution", "code", "status"),
    [("retry", 3, "stuck"), ("skip", 2, "compensated"), ("abandon", 3, "abandoned")],
)
def test_resolve_records_who_and_why(
    call: Callable[..., Done], journal: str, resolution: str, code: int, status: str
) -> None:
    decided = ["--by", "operator-7", "--why", "bank says é", "--saga", "shop.py:stuck"]
    done = call("resolve", journal, "s", resolution, *decided, "--json")
    assert (done.code, done.json["status"]) == (code, status)
    text = call("inspect", journal, "s").out
    assert f"{resolution} charge by operator-7: bank says é" in text


def test_abandoning_needs_no_definition(call: Callable[..., Done], journal: str) -> None:
    done = call("resolve", journal, "s", "abandon", "--by", "me", "--why", "over")
    assert done.code == 3
    again = call("resolve", journal, "s", "abandon", "--by", "me", "--why", "over")
    assert again.code == 1
    assert "not stuck" in again.err


@pytest.mark.parametrize("how", ["--by", "--why"])
def test_a_resolution_without_a_name_or_a_reason_is_refused(
    call: Callable[..., Done], journal: str, how: str
) -> None:
    decided = {"--by": "me", "--why": "over"} | {how: ""}
    options = [part for pair in decided.items() for part in pair]
    done = call("resolve", journal, "s", "abandon", *options)
    assert done.code == 1
    assert call("inspect", journal, "s", "--json").json["status"] == "stuck"


def test_signal_and_cancel_reach_an_engine_that_has_the_journal_open(
    folder: Path, call: Callable[..., Done]
) -> None:
    from sagakit import Engine, Saga

    (folder / "waits.yaml").write_text(WAITS)
    saga = Saga.from_yaml(folder / "waits.yaml")
    paid = ("signal", "w.db", "paid", "--saga", "waits.yaml")
    who = ("--saga", "waits.yaml", "--by", "ann", "--why", "late")
    with Engine(folder / "w.db") as engine:
        for id in ("one", "two"):
            engine.run(saga, id=id, until_rest=True)
        done = call("signal", "w.db", "approved", "--saga", "waits.yaml", "--to", "one")
        assert (done.code, "delivered by the engine" in done.err) == (0, True)
        assert "signal received" in done.out
        done = call(*paid, "--to", "nobody")
        assert (done.code, "no execution" in done.err) == (1, True)
        done = call("cancel", "w.db", "two", *who)
        assert (done.code, "cancelled by ann" in done.out) in ((0, True), (2, True))
        done = call(*paid, "--correlation", "x", "--keep", "60", "--json")
        assert (done.code, done.json) == (0, {"outcome": "kept"})
        done = call(*paid, "--to", "one", "--wait", "0")
        assert (done.code, done.out.startswith(("posted", "seconds"))) == (0, True)
    with Engine(folder / "w.db", sagas=[saga]) as engine:
        assert "paid" in [getattr(e, "event", "") for e in engine.status("one").events]


def test_resolve_reaches_an_engine_that_has_the_journal_open(
    folder: Path, call: Callable[..., Done]
) -> None:
    from sagakit import Engine

    stuck = load_saga("shop.py:stuck")
    who = ("--by", "ann", "--why", "settled by hand")
    with Engine(folder / "s.db") as engine:
        for id in ("one", "two", "three"):
            engine.run(stuck, id=id)
        done = call("resolve", "s.db", "one", "skip", *who)  # that engine has the definition
        assert done.code in (0, 2)  # what follows may still be under way
        assert "delivered by the engine" in done.err
        assert "settled by hand" in done.out
        engine.run(stuck, id="one")  # its end
        done = call("resolve", "s.db", "one", "skip", *who)
        assert (done.code, "is compensated; it is not stuck" in done.err) == (1, True)
        done = call("resolve", "s.db", "two", "abandon", *who, "--json")
        assert (done.code, done.json["status"]) == (3, "abandoned")
        done = call("resolve", "s.db", "three", "retry", *who, "--step", "refuse")
        assert (done.code, "is stuck at 'charge', not at 'refuse'" in done.err) == (1, True)
    done = call("resolve", "s.db", "three", "retry", *who)
    assert (done.code, "needs the saga's definition" in done.err) == (1, True)
    with Engine(folder / "s.db") as engine:
        call("resolve", "s.db", "three", "abandon", *who, "--wait", "0")
        engine.recover(stuck)  # only then does this engine look for what others ask
        deadline = time.monotonic() + 5
        while engine.status("three").status == "stuck" and time.monotonic() < deadline:
            time.sleep(0.02)
        assert engine.status("three").status == "abandoned"


def test_recover_counts_what_only_waits(folder: Path, call: Callable[..., Done]) -> None:
    (folder / "waits.yaml").write_text(WAITS)
    call("run", "waits.yaml", "--journal", "w.db", "--id", "one")
    done = call("recover", "w.db", "waits.yaml")
    assert done.out == "recovered 0\n1 waits for an event or a time\n"
    assert call("recover", "w.db", "waits.yaml", "--json").json["waiting"] == 1


NESTED = """
from sagakit import Saga, await_event, step, sub_saga

def act():
    pass

inner = Saga("inner", await_event("paid", correlate=lambda ctx: "7"), step(act))
saga = Saga("outer", sub_saga(Saga("middle", sub_saga(inner))), step(act))
"""


@pytest.mark.parametrize("open_elsewhere", [False, True])
def test_a_wait_inside_others_is_counted_once_and_reached_from_the_command_line(
    folder: Path, call: Callable[..., Done], open_elsewhere: bool
) -> None:
    from sagakit import Engine

    (folder / "nested.py").write_text(NESTED)
    call("run", "nested.py:saga", "--journal", "n.db", "--id", "one")
    done = call("recover", "n.db", "nested.py:saga")
    assert (done.out, done.err) == ("recovered 0\n1 waits for an event or a time\n", "")
    with contextlib.ExitStack() as stack:
        if open_elsewhere:
            engine = stack.enter_context(Engine("n.db"))
            assert engine.recover(load_saga("nested.py:saga")) == []
        done = call("signal", "n.db", "paid", "--saga", "nested.py:saga", "--correlation", "7")
        assert (done.code, "delivered by the engine" in done.err) == (0, open_elsewhere)
    with Engine("n.db") as engine:
        assert engine.journal.counts() == {"completed": 3}


def test_recover_says_what_it_left_alone(call: Callable[..., Done]) -> None:
    from sagakit.journal.sqlite import SqliteJournal

    saga = load_saga("shop.py:good")
    began = ExecutionStarted(saga.name, None, saga.fingerprint, "one", None, 1.0)
    journal = SqliteJournal("left.db")
    journal.define(saga.fingerprint, saga.name, None, saga.shape)
    journal.append([("one", 0, [began])])
    journal.close()
    done = call("recover", "left.db", "shop.py:stuck")
    assert done.out == "recovered 0\n"
    assert done.err == "1 unfinished of other sagas were left alone\n"


def test_a_saga_of_simulated_actions_cannot_continue_one_of_real_ones(
    call: Callable[..., Done], folder: Path
) -> None:
    from sagakit.journal.sqlite import SqliteJournal

    saga = load_saga("shop.py:good")
    began = ExecutionStarted(saga.name, None, saga.fingerprint, "one", None, 1.0)
    journal = SqliteJournal("real.db")
    journal.define(saga.fingerprint, saga.name, None, saga.shape)
    journal.append([("one", 0, [began])])
    journal.close()
    (folder / "twin.yaml").write_text(saga.to_yaml())
    done = call("recover", "real.db", "twin.yaml")
    assert done.code == 1
    assert "simulated was False and is True" in done.err


def test_migrate_moves_an_execution_and_recover_goes_on(
    call: Callable[..., Done], folder: Path
) -> None:
    from sagakit.journal.sqlite import SqliteJournal

    saga = load_saga("size.yaml")
    began = ExecutionStarted(saga.name, "1", saga.fingerprint, "one", None, 1.0)
    journal = SqliteJournal("size.db")
    journal.define(saga.fingerprint, saga.name, "1", saga.shape)
    journal.append([("one", 0, [began, StepStarted("zählen", 1, 2.0)])])
    journal.close()
    (folder / "two.yaml").write_text(YAML.replace("b@2", "größer").replace("1", "2"), "utf-8")
    (folder / "bad.yaml").write_text(YAML.replace("zählen", "größer"), "utf-8")
    decided = ["--by", "operator-7", "--why", "größer"]
    refused = call("recover", "size.db", "two.yaml")
    assert refused.code == 1
    assert "is pinned to version 1" in refused.err
    assert "sagakit migrate" in refused.err
    refused = call("migrate", "size.db", "one", "bad.yaml", *decided)
    assert refused.code == 1
    assert "step 'zählen' has begun (ready), and is gone" in refused.err
    done = call("migrate", "size.db", "one", "two.yaml", *decided, "--json")
    assert (done.code, done.json["status"], done.json["version"]) == (0, "running", "2")
    assert "by operator-7: größer" in call("inspect", "size.db", "one").out
    assert call("list", "size.db", "--json").json[0]["version"] == "2"
    assert call("recover", "size.db", "two.yaml").out == "recovered 1: 1 completed\n"


def test_a_seed_without_virtual_time_is_refused(call: Callable[..., Done]) -> None:
    assert "--seed is for virtual time" in call("run", "shop.py:good", "--real", "--seed", "3").err


def test_recover_with_nothing_to_do(call: Callable[..., Done], journal: str) -> None:
    done = call("recover", journal, "shop.py:good", "--json")
    assert (done.code, done.json) == (
        0,
        {"recovered": 0, "outcomes": {}, "ids": [], "waiting": 0, "left": 0},
    )
    assert call("recover", journal, "shop.py:good").out == "recovered 0\n"


# -- the world around -----------------------------------------------------------------------


def test_demo_replays_the_first_orders(call: Callable[..., Done]) -> None:
    pytest.importorskip("sqlalchemy")
    done = call("demo", "--limit", "3", "--json")
    assert done.code == 0
    assert done.out.count("\n") == 1
    assert list(done.json) == [
        "completed",
        "compensated",
        "stuck",
        "revenue",
        "units_left",
        "balanced",
    ]
    assert done.json["completed"] + done.json["compensated"] == 3
    assert done.json["balanced"] is True
    assert "money and stock balance" in call("demo", "--limit", "3").out


def test_demo_goes_on_where_it_stopped(call: Callable[..., Done]) -> None:
    pytest.importorskip("sqlalchemy")
    first = call("demo", "--limit", "2", "--journal", "d.db", "--json").json
    more = call("demo", "--limit", "4", "--journal", "d.db", "--json").json
    again = call("demo", "--limit", "4", "--journal", "d.db", "--json").json
    assert more == again == call("demo", "--limit", "4", "--json").json
    assert first["completed"] + first["compensated"] == 2


@pytest.mark.parametrize("name", [None, *sorted(cli.commands)])
def test_every_help_reads_well(name: str | None) -> None:
    arguments = [] if name is None else [name]
    for flag in ("--help", "-h"):
        result = CliRunner().invoke(cli, [*arguments, flag])
        assert result.exit_code == 0
        assert result.output.startswith("Usage: ")
        cut = [line for line in result.output.splitlines()[1:] if line.endswith("...")]
        assert not cut
    command = cli if name is None else cli.commands[name]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name}"
            assert parameter.help.endswith((".", ")")), f"{name} {parameter.name}"


@pytest.mark.parametrize(
    "name", [None, "run", "inspect", "recover", "resolve", "signal", "cancel", "migrate"]
)
def test_what_ends_with_an_outcome_tells_every_exit_code_in_its_help(name: str | None) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"] if name else ["--help"]).output
    for code in ("0 completed", "1 error", "2 compensated", "3 stuck (or abandoned)", "gives 130"):
        assert code in " ".join(shown.split())


def test_the_help_of_resolve_says_what_each_way_does() -> None:
    shown = CliRunner().invoke(cli, ["resolve", "--help"]).output
    for way in ("retry", "skip", "abandon"):
        assert re.search(rf"^  {way} +\w", shown, re.MULTILINE)
    assert "nothing more is run or undone" in shown


def test_every_command_but_lab_and_the_export_speaks_json() -> None:
    commands = dict(cli.commands)
    for group in ("audit", "import"):
        outer = commands.pop(group)
        assert isinstance(outer, click.Group)
        commands |= {f"{group} {name}": command for name, command in outer.commands.items()}
    speaking = {
        name
        for name, command in commands.items()
        if any("--json" in parameter.opts for parameter in command.params)
    }
    assert speaking == set(commands) - {"lab", "audit export"}


def test_every_command_that_the_issue_names_is_there() -> None:
    wanted = "run scenarios show list inspect recover resolve migrate doctor lab demo"
    assert set(wanted.split()) <= set(cli.commands)


# -- as a process ---------------------------------------------------------------------------


def test_without_a_command_the_help_is_shown_and_it_is_an_error() -> None:
    done = process()
    assert done.returncode == 1
    assert "Usage:" in done.stderr


def test_a_closed_pipe_is_no_error_to_tell(folder: Path) -> None:
    steps = "".join(f"- step: s{number}\n" for number in range(5000))
    (folder / "long.yaml").write_text(f"saga: long\nsteps:\n{steps}")
    for arguments in (["show", "long.yaml"], ["run", "long.yaml"], ["run", "long.yaml", "--json"]):
        child = subprocess.Popen(
            [sys.executable, "-m", "sagakit.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        child.stderr.close()
        child.wait(30)


def _interrupt_when_lingering(folder: Path, *arguments: str) -> tuple[int, str, float]:
    child = subprocess.Popen(
        [sys.executable, "-m", "sagakit.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while not (folder / "lingering").exists() and time.monotonic() < until:
        time.sleep(0.02)
    begin = time.monotonic()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    return child.returncode, err, time.monotonic() - begin


def test_ctrl_c_ends_a_real_run_at_once(folder: Path) -> None:
    code, err, seconds = _interrupt_when_lingering(folder, "run", "shop.py:slow", "--real")
    assert code == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert seconds < 10


def test_ctrl_c_leaves_a_journal_that_recovers(call: Callable[..., Done], folder: Path) -> None:
    arguments = ["run", "shop.py:slow", "--journal", "j.db", "--id", "x"]
    code, err, seconds = _interrupt_when_lingering(folder, *arguments)
    assert (code, seconds < 10) == (130, True)
    assert "can be recovered" in err
    assert call("inspect", "j.db", "x", "--json").json["status"] == "running"
    (folder / "quick").touch()
    done = call("recover", "j.db", "shop.py:slow", "--json")
    outcome = {"recovered": 1, "outcomes": {"completed": 1}, "ids": ["x"], "waiting": 0, "left": 0}
    assert (done.code, done.json) == (0, outcome)
    assert call("inspect", "j.db", "x", "--json").json["states"]["linger"] == "succeeded"


@pytest.mark.parametrize("utf8", ["0", "1"])
def test_names_of_any_script_in_the_c_locale(utf8: str) -> None:
    environment = {**os.environ, "PYTHONUTF8": utf8, "LC_ALL": "C"}
    environment.pop("PYTHONIOENCODING", None)
    options = {"env": environment, "text": False}
    done = process("run", "size.yaml", "--json", "--fail", "zählen", **options)
    assert done.returncode == 2, done.stderr
    assert set(json.loads(done.stdout)["states"]) == {"zählen", "b@2"}
    assert json.loads(done.stdout)["saga"] == "größe"
    done = process("run", "size.yaml", "--input", '{"é": 1}', "--json", **options)
    assert json.loads(done.stdout)["events"][0]["input"] == {"é": 1}
    for arguments in (["show", "size.yaml"], ["run", "size.yaml"], ["run", "größe.yaml"]):
        done = process(*arguments, **options)
        assert b"Traceback" not in done.stderr


def test_what_a_narrow_encoding_cannot_show_is_escaped() -> None:
    options = {"env": {**os.environ, "PYTHONIOENCODING": "latin-1"}, "text": False}
    done = process("show", "size.yaml", **options)
    assert done.returncode == 0, done.stderr
    assert "zählen\tcompensatable\t\tzurück\\U0001f600" in done.stdout.decode("latin-1")
    assert json.loads(process("show", "size.yaml", "--json", **options).stdout)["saga"] == "größe"


def test_piped_output_is_plain_and_whole(folder: Path) -> None:
    name = "x" * 500
    (folder / "wide.yaml").write_text(f"saga: wide\nsteps: [{{step: {name}}}]\n")
    environment = {**os.environ, "COLUMNS": "40", "FORCE_COLOR": "1"}
    out = process("run", "wide.yaml", env=environment).stdout
    assert name in out
    assert "\x1b" not in out


def test_a_command_whose_extra_is_not_installed_says_how_to_get_it(
    call: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "sqlalchemy" else find(name)
    )
    for name in [name for name in sys.modules if name.startswith("sagakit.services")]:
        monkeypatch.delitem(sys.modules, name)
    done = call("demo", "--limit", "1")
    assert (done.code, done.out) == (1, "")
    assert done.err == "sagakit: this needs sqlalchemy: pip install 'sagakit[services]'\n"
