"""Findings as SARIF 2.1.0, which code hosts show beside the lines they are about.

Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", 2020, and its
errata 01 of 2023.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sagakit.lab.check.finding import Finding, Rule
from sagakit.lab.check.rules import RULES

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif_log(findings: Iterable[Finding]) -> dict[str, Any]:
    """One log of all these findings, of however many files, as plain data for JSON.

    Files are given relative to the folder one stands in, the root of the repository as a rule;
    those elsewhere by their whole path.
    """
    index = {id: number for number, id in enumerate(RULES)}
    driver = {
        "name": "sagakit",
        "version": version("sagakit"),
        "rules": [_rule(rule) for rule in RULES.values()],
    }
    results = [{**_result(one), "ruleIndex": index[one.rule]} for one in findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    why = why_of(rule)
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": why},
        "help": {"text": why, "markdown": f"{why}\n\n{examples_of(rule)}"},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"tags": ["saga", f"sagakit/{rule.name}"]},
    }


def why_of(rule: Rule) -> str:
    """Why a rule matters, from its docstring."""
    return inspect.getdoc(rule.find) or ""


def examples_of(rule: Rule) -> str:
    """A saga that breaks the rule and one that does not, as Markdown."""
    language = "yaml" if is_yaml(rule.bad) else "python"
    return "\n\n".join(
        f"{title}\n\n```{language}\n{text}```"
        for title, text in (("Found in:", rule.bad), ("Not found in:", rule.good))
    )


def is_yaml(example: str) -> bool:
    """Whether an example is YAML; otherwise it is Python."""
    return example.startswith("saga:")


def _result(finding: Finding) -> dict[str, Any]:
    where = f"saga '{finding.saga}'" + (f", step '{finding.step}'" if finding.step else "")
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": finding.severity,
        "message": {"text": f"{where}: {finding.message}; {finding.cure}"},
    }
    name = f"{finding.saga}/{finding.step}" if finding.step else finding.saga
    location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": name}]}
    if finding.file is not None:
        location["physicalLocation"] = {
            "artifactLocation": _artifact(finding.file),
            "region": {"startLine": finding.line or 1},
        }
    return result | {"locations": [location]}


def _artifact(file: str) -> dict[str, str]:
    path = Path(file)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    if path.is_absolute() or ".." in path.parts:
        return {"uri": path.resolve().as_uri()}
    return {"uri": quote(path.as_posix()), "uriBaseId": "%SRCROOT%"}
