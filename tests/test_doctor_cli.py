"""``sagakit doctor`` and ``sagakit scenarios``, called as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from sagakit import Scenario
from sagakit.cli import cli
from sagakit.errors import SagaError
from sagakit.scenario import library

ORDER = Path(__file__).parents[1] / "data" / "sagas" / "troubled" / "order.yaml"
OUTCOMES = {"stuck-pending": 0, "not-compensated": 2, "duplicate-action": 0, "slow-step": 0}


def call(*arguments: object) -> Result:
    done = CliRunner().invoke(cli, list(map(str, arguments)))
    if isinstance(done.exception, SagaError):
        raise done.exception
    return done


def parsed(*arguments: object) -> Any:
    return json.loads(call(*arguments, "--json").stdout)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal in which each row of the troubleshooting table has happened."""
    path = tmp_path_factory.mktemp("doctor") / "sagas.db"
    for name, code in OUTCOMES.items():
        done = call("run", ORDER, "--scenario", name, "--journal", path, "--id", name)
        assert done.exit_code == code, done.output
    return path


# -- the installation and the journal -------------------------------------------------------


def test_without_an_argument_it_checks_the_installation() -> None:
    done = call("doctor")
    assert done.exit_code == 0
    checks = {check["check"]: check for check in parsed("doctor")}
    assert checks["Python"]["ok"] is True
    assert not any(name.startswith("journal") for name in checks)


@pytest.mark.parametrize("how", [[], ["--journal"]])
def test_it_checks_a_journal(journal: Path, how: list[str]) -> None:
    checks = {check["check"]: check for check in parsed("doctor", *how, journal)}
    found = checks[f"journal {journal}"]
    assert (found["ok"], found["found"]) == (True, "1 compensated, 2 completed, 1 waiting")


@pytest.mark.parametrize("how", [[], ["--journal"]])
def test_it_finds_a_damaged_journal(journal: Path, tmp_path: Path, how: list[str]) -> None:
    data = journal.read_bytes()
    (tmp_path / "cut.db").write_bytes(data[: len(data) // 2])
    done = CliRunner().invoke(cli, ["doctor", *how, str(tmp_path / "cut.db")])
    assert done.exit_code == 1
    assert "Traceback" not in done.output


# -- one execution --------------------------------------------------------------------------

SYMPTOMS = {
    "stuck-pending": ("stuck pending", "money_in"),
    "not-compensated": ("compensation not triggered", "send_mail"),
    "duplicate-action": ("duplicate action", "write_invoice"),
    "slow-step": ("slow", "reserve_stock"),
}


@pytest.mark.parametrize("name", SYMPTOMS)
def test_it_says_what_is_wrong_with_an_execution_why_and_what_to_do(
    journal: Path, name: str
) -> None:
    done = call("doctor", name, "--journal", journal)
    assert done.exit_code == OUTCOMES[name], "as inspect has it"
    header, row, last = done.stdout.splitlines()
    assert header.split("\t") == ["symptom", "step", "cause", "fix"]
    cells = row.split("\t")
    assert tuple(cells[:2]) == SYMPTOMS[name]
    assert all(cells)
    assert last.startswith(f"{name}: Execution of 'order': ")
    found = parsed("doctor", name, "--journal", journal)
    assert (found["id"], found["saga"]) == (name, "order")
    assert [list(one.values()) for one in found["findings"]] == [cells]


def test_of_a_healthy_execution_it_says_so(tmp_path: Path) -> None:
    path = tmp_path / "sagas.db"
    call("run", ORDER, "--signal", "money_in", "--journal", path, "--id", "o-1")
    done = call("doctor", "o-1", "--journal", path)
    assert (
        done.stdout == "o-1: Execution of 'order': completed, 6 steps; nothing is wrong with it\n"
    )
    assert parsed("doctor", "o-1", "--journal", path)["findings"] == []


def test_the_definition_tells_more_than_the_journal(journal: Path, tmp_path: Path) -> None:
    where = ("doctor", "duplicate-action", "--journal", journal)
    assert "not declared idempotent" in call(*where, "--saga", ORDER).stdout
    careful = tmp_path / "careful.yaml"
    text = ORDER.read_text("utf-8")
    careful.write_text(text.replace("    timeout: 5\n", "    timeout: 5\n    idempotent: true\n"))
    assert parsed(*where, "--saga", careful)["findings"] == []


def test_a_definition_of_another_version_is_not_used(journal: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(ORDER.read_text("utf-8").replace('version: "1"', 'version: "2"'))
    done = call("doctor", "duplicate-action", "--journal", journal, "--saga", other)
    assert "another version of saga 'order': not used" in done.stderr
    assert "duplicate action" in done.stdout


def test_a_definition_of_another_saga_is_not_used(journal: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("saga: other\nsteps: [{step: act}]\n")
    done = call("doctor", "duplicate-action", "--journal", journal, "--saga", other)
    assert "--saga is saga 'other', and the execution is of 'order': not used" in done.stderr


def test_what_is_slow_is_for_the_caller_to_say(journal: Path) -> None:
    where = ("doctor", "slow-step", "--journal", journal)
    assert parsed(*where, "--slow", "60")["findings"] == []
    assert parsed(*where, "--slow", "0.5")["findings"] != []


def test_an_execution_that_is_not_there_is_named(journal: Path) -> None:
    with pytest.raises(SagaError, match="has the id 'nobody'"):
        call("doctor", "nobody", "--journal", journal)


# -- scenarios ------------------------------------------------------------------------------


def test_scenarios_lists_each_with_the_outage_that_it_stands_for() -> None:
    header, *rows = call("scenarios").stdout.splitlines()
    assert header.split("\t") == ["name", "stands for"]
    assert rows == [f"{name}\t{Scenario.named(name).description}" for name in library()]
    assert [one["scenario"] for one in parsed("scenarios")] == list(library())


def test_scenarios_shows_one_as_yaml_and_as_json(tmp_path: Path) -> None:
    shown = call("scenarios", "lost-reply").stdout
    assert Scenario.from_yaml(shown) == Scenario.named("lost-reply")
    assert parsed("scenarios", "lost-reply") == yaml.safe_load(shown)
    (tmp_path / "mine.yaml").write_text(shown)
    assert call("scenarios", tmp_path / "mine.yaml").stdout == shown


def test_run_takes_a_scenario_by_name_or_file_and_adds_the_other_options(tmp_path: Path) -> None:
    checkout = ORDER.parents[1] / "checkout.yaml"
    run = ("run", checkout, "--input", '{"customer": "ALFKI", "amount": 1}')
    assert parsed(*run, "--scenario", "refund-impossible")["status"] == "stuck"
    (tmp_path / "mine.yaml").write_text(
        "scenario: m\nfaults: [{fault: fail, step: charge_payment}]"
    )
    assert parsed(*run, "--scenario", tmp_path / "mine.yaml")["status"] == "compensated"
    both = parsed(*run, "--scenario", "lost-reply", "--fail", "reserve_stock")
    assert both["status"] == "compensated"
    assert parsed(*run, "--scenario", "lost-reply")["status"] == "completed"


def test_a_scenario_file_that_is_wrong_is_named_with_its_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("scenario: m\nfaults:\n- {fault: fial, step: charge_payment}")
    with pytest.raises(SagaError, match=r"bad\.yaml: line 3: fault 'fial'"):
        call("run", ORDER, "--scenario", bad)


@pytest.mark.parametrize("how", [["--real"], ["--journal", "sagas.db"]])
def test_run_in_real_time_refuses_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SagaError, match="only virtual time can crash"):
        call("run", ORDER, "--scenario", "power-cut", *how)
    assert parsed("run", ORDER, "--scenario", "power-cut")["status"] == "waiting"
