"""``sagakit check``: what it prints, in three forms, and how it exits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from sagas import sagas

from sagakit import Saga, check
from sagakit.cli import cli
from sagakit.errors import SagaError

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "tests" / "data" / "sarif-schema-2.1.0.json").read_text("utf-8"))

CLEAN = """\
saga: clean
version: "1"
steps:
  - {step: reserve, compensation: release, timeout: 1, compensation_timeout: 1}
  - {step: confirm, pivot: true, reconcile: ask, timeout: 1}
"""
WARNED = CLEAN.replace("saga: clean", "saga: warned").replace(", reconcile: ask", "")
BROKEN = """\
saga: broken
version: "1"
steps:
  - {step: reserve, timeout: 1}
  - {step: confirm, pivot: true, reconcile: ask, timeout: 1}
"""
REFUSED = CLEAN.replace("step: confirm", "step: confirm, after: resrve").replace(
    "pivot: true", "pivto: true"
)
PYTHON = """\
from sagakit import Saga, step


def act(ctx):
    raise RuntimeError("called")


saga = Saga("python", step(act, name="one"), step(act, name="two"))
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where one stands, with a file of each kind."""
    texts = {"clean": CLEAN, "warned": WARNED, "broken": BROKEN, "refused": REFUSED}
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "mod_checked.py").write_text(PYTHON)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def call(*words: str) -> Any:
    return CliRunner().invoke(cli, ["check", *words])


def sarif(*words: str) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(call("--sarif", *words).stdout)
    return log


def test_a_clean_saga_prints_nothing_but_a_summary_and_exits_with_0() -> None:
    done = call("clean.yaml", "--strict")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "clean.yaml: nothing found\n"


def test_findings_are_a_table_with_file_and_line_and_an_error_exits_with_1() -> None:
    done = call("broken.yaml")
    assert done.exit_code == 1
    head, row = (line.split("\t") for line in done.stdout.splitlines())
    assert head == ["place", "severity", "rule", "step", "finding", "cure"]
    assert row[:4] == ["broken.yaml:4", "error", "SAGA101", "reserve"]
    assert done.stderr == "broken.yaml: 1 error\n"


def test_a_warning_counts_only_when_strict() -> None:
    assert call("warned.yaml").exit_code == 0
    assert call("warned.yaml", "--strict").exit_code == 1


def test_several_files_are_told_of_together_and_one_bad_one_is_enough() -> None:
    done = call("clean.yaml", "broken.yaml", "warned.yaml")
    assert done.exit_code == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines()[1:]] == [
        "broken.yaml", "warned.yaml",
    ]  # fmt: skip
    assert done.stderr.splitlines()[1:] == ["broken.yaml: 1 error", "warned.yaml: 1 warning"]


def test_an_accepted_finding_does_not_count() -> None:
    for accepted in ("SAGA101", "SAGA101:reserve"):
        done = call("broken.yaml", "--ignore", accepted)
        assert (done.exit_code, done.stdout) == (0, "")
        assert done.stderr == "broken.yaml: nothing found, 1 accepted\n"
    assert call("broken.yaml", "--ignore", "SAGA101:other").exit_code == 1


def test_an_unknown_rule_and_a_missing_file_are_errors_in_words() -> None:
    for words, said in (
        (("clean.yaml", "--ignore", "SAGA999"), "--ignore has 'SAGA999', and there is no rule"),
        (("none.yaml",), "there is no file 'none.yaml'"),
        (("clean.yaml", "--json", "--sarif"), "not both"),
    ):
        done = call(*words)
        assert done.exit_code == 1
        assert isinstance(done.exception, SagaError)
        assert said in str(done.exception)


def test_what_the_other_files_have_is_told_although_one_cannot_be_read() -> None:
    for words in (("broken.yaml", "none.yaml"), ("none.yaml", "broken.yaml")):
        done = call(*words, "--json")
        assert "SAGA101" in {one["rule"] for one in json.loads(done.stdout)}
        assert str(done.exception) == "there is no file 'none.yaml'"


def test_a_definition_that_is_refused_is_a_finding_for_each_of_its_problems() -> None:
    done = call("refused.yaml", "clean.yaml", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert {one["rule"] for one in found} == {"SAGA001"}
    assert {one["line"] for one in found} == {5}
    assert any("unknown key 'pivto'" in one["message"] for one in found)
    assert any("resrve" in one["message"] for one in found)


def test_the_file_of_a_module_is_told_as_one_would_write_it() -> None:
    (found, *_) = json.loads(call("mod_checked:saga", "--json").stdout)
    assert found["file"] == "mod_checked.py"


@pytest.mark.parametrize("reference", ["mod_checked.py:saga", "mod_checked.py", "mod_checked:saga"])
def test_a_python_saga_is_checked_without_calling_it(reference: str, folder: Path) -> None:
    script = "import sys; from sagakit.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "check", reference, "--json"],
        capture_output=True, text=True, check=False, cwd=folder, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = [one for one in json.loads(done.stdout) if one["rule"] == "SAGA101"]
    assert [(one["step"], one["severity"], one["line"]) for one in found] == [
        ("one", "error", 8), ("two", "warning", 8),
    ]  # fmt: skip
    assert {Path(one["file"]).name for one in found} == {"mod_checked.py"}


def test_a_module_that_is_refused_when_it_is_loaded_is_a_finding_too(folder: Path) -> None:
    (folder / "mod_refused.py").write_text("from sagakit import Saga\nsaga = Saga('empty')\n")
    (folder / "mod_again.py").write_text((folder / "mod_refused.py").read_text())
    for reference in ("mod_refused.py:saga", "mod_again:saga"):
        [found] = json.loads(call(reference, "--json").stdout)
        assert found["rule"] == "SAGA001"
        assert found["message"] == "has no steps"


# -- SARIF ----------------------------------------------------------------------------------


def test_sarif_is_valid_by_the_official_schema() -> None:
    for words in (["clean.yaml"], ["broken.yaml", "warned.yaml", "refused.yaml", "mod_checked.py"]):
        jsonschema.Draft4Validator(SCHEMA).validate(sarif(*words))
    with pytest.raises(jsonschema.ValidationError):  # the schema does refuse something
        jsonschema.Draft4Validator(SCHEMA).validate({"version": "2.1.0", "runs": [{}]})


def test_sarif_has_what_code_scanning_needs(folder: Path) -> None:
    [run] = sarif("broken.yaml", "warned.yaml")["runs"]
    rules = run["tool"]["driver"]["rules"]
    for rule in rules:
        for part in ("shortDescription", "fullDescription", "help"):
            assert rule[part]["text"]
        assert "```" in rule["help"]["markdown"]
    first, second = run["results"]
    assert (first["ruleId"], first["level"]) == ("SAGA101", "error")
    assert (second["ruleId"], second["level"]) == ("SAGA301", "warning")
    assert rules[first["ruleIndex"]]["id"] == "SAGA101"
    assert "saga 'broken', step 'reserve'" in first["message"]["text"]
    [place] = first["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "broken.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 4},
    }


def test_sarif_names_files_of_elsewhere_by_their_whole_path(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "with space.yaml").write_text(BROKEN)
    [inside] = sarif(str(folder / "with space.yaml"))["runs"][0]["results"]
    assert _uri(inside) == "with%20space.yaml"
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    [outside] = sarif(str(folder / "with space.yaml"))["runs"][0]["results"]
    assert _uri(outside) == (folder / "with space.yaml").as_uri()


def _uri(result: dict[str, Any]) -> str:
    uri: str = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    return uri


@given(sagas())
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_saga_can_be_checked_and_each_finding_names_a_step_of_it(saga: Saga) -> None:
    for found in check(saga):
        assert found.step is None or found.step.split("/")[0] in saga.plan.index
