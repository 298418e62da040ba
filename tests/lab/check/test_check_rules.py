"""Each rule finds its failing example and not its passing one, and the page of rules shows both."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sagakit import DefinitionError, Saga, check
from sagakit.cli import load_saga
from sagakit.lab import bugs
from sagakit.lab.bugs import Bug
from sagakit.lab.check import RULES, Findings, Rule, page, refused
from sagakit.lab.check.sarif import is_yaml, why_of

ROOT = Path(__file__).parents[3]
SAGAS = sorted((ROOT / "data" / "sagas").glob("*.yaml"))

each_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def found_in(example: str, folder: Path) -> Findings:
    """What a check of an example finds, as the command line does it."""
    file = folder / ("example.yaml" if is_yaml(example) else "example.py")
    file.write_text(example, "utf-8")
    try:
        saga = load_saga(str(file) if is_yaml(example) else f"{file}:saga")
    except DefinitionError as error:
        return refused(error.problems, file)
    return check(saga, file=file)


@each_rule
def test_a_rule_finds_its_failing_example_and_says_where(rule: Rule, tmp_path: Path) -> None:
    found = [one for one in found_in(rule.bad, tmp_path) if one.rule == rule.id]
    assert found, f"{rule.id} finds nothing in its own failing example"
    lines = rule.bad.splitlines()
    for one in found:
        assert one.line is not None
        assert 1 <= one.line <= len(lines)
        assert one.message
        assert one.cure
    assert any(one.severity == rule.severity for one in found)


@each_rule
def test_a_rule_finds_nothing_in_its_passing_example(rule: Rule, tmp_path: Path) -> None:
    found = found_in(rule.good, tmp_path)
    assert rule.id not in found.rules
    assert not found.of("error")


@each_rule
def test_a_rule_has_an_id_a_name_and_a_reason(rule: Rule) -> None:
    assert re.fullmatch(r"SAGA\d{3}", rule.id)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    assert why_of(rule)
    assert rule.bad != rule.good


def test_the_page_of_rules_is_as_the_rules_are() -> None:
    assert page.TARGET == ROOT / "data" / "rules.md"
    cure = "write it anew: make rules"
    assert page.TARGET.read_text("utf-8") == page.markdown(), cure


def test_the_page_s_links_lead_to_its_sections() -> None:
    text = page.markdown()
    heads = re.findall(r"^### (.*)$", text, re.MULTILINE)
    anchors = {head.lower().replace(" ", "-") for head in heads}
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) == anchors
    assert len(heads) == len(RULES)


# -- false alarms ---------------------------------------------------------------------------


@pytest.mark.parametrize("expires_after", [None, 60.0])
def test_the_checkout_world_gets_hints_about_timeouts_alone(expires_after: float | None) -> None:
    services = pytest.importorskip("sagakit.services")
    with services.CheckoutWorld(expires_after=expires_after) as world:
        found = check(world.saga)
    assert found.rules == ("SAGA201",)
    assert {one.severity for one in found} == {"note"}


@pytest.mark.parametrize("path", SAGAS, ids=lambda path: path.stem)
def test_the_example_sagas_have_no_errors(path: Path) -> None:
    assert check(Saga.from_yaml(path), file=path).of("error") == ()


def test_the_example_sagas_warnings_are_those_that_are_meant() -> None:
    """Examples leave out what would hide what they show; nothing else may creep in."""
    said = {
        path.stem: {one.rule for one in check(Saga.from_yaml(path)).of("warning")} for path in SAGAS
    }
    assert {name: said[name] for name in ("checkout", "trip", "quotes", "shipment")} == {
        "checkout": {"SAGA203", "SAGA301"},
        "trip": {"SAGA201", "SAGA203", "SAGA205"},
        "quotes": {"SAGA203", "SAGA301"},
        "shipment": {"SAGA201", "SAGA203", "SAGA301"},
    }


# -- the classic mistakes -------------------------------------------------------------------

# Those of data/sagas/buggy that can be seen without running them. The others need `explore`.
SEEN = {
    "compensation_missing": "SAGA101",
    "email_too_early": "SAGA104",
    "needs_anothers_result": "SAGA404",
    "null_compensation": "SAGA103",
    "retry_not_idempotent": "SAGA203",
    "swallowed_error": "SAGA107",
}


@pytest.mark.parametrize(("name", "rule"), SEEN.items(), ids=SEEN)
def test_a_classic_mistake_that_shows_in_the_code_is_found_and_not_in_its_mended_twin(
    name: str, rule: str
) -> None:
    file = ROOT / "data" / "sagas" / "buggy" / f"{name}.py"
    assert rule in check(load_saga(f"{file}:buggy"), file=file).rules
    assert rule not in check(load_saga(f"{file}:fixed"), file=file).rules


@pytest.mark.parametrize("bug", bugs().values(), ids=list(bugs()))
def test_the_mended_twins_are_not_warned_of(bug: Bug) -> None:
    found = {one.rule for one in check(bug.fixed).of("error", "warning")}
    # this refund does refuse, but is not asked any more when it would
    assert found == ({"SAGA103"} if bug.name == "wrong_order" else set())
