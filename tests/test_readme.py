"""README.md tells the truth: its programs run, its commands work, and its picture is current."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PICTURE = ROOT / "data" / "pictures" / "checkout.svg"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def shell_lines(program: str) -> list[str]:
    lines = "".join(blocks("sh")).splitlines()
    return [line for line in lines if line.startswith(f"{program} ")]


@pytest.fixture(scope="module")
def pasted(tmp_path_factory):
    """Every python block, pasted one after the other: (what it defined, what it printed)."""
    names: dict[str, object] = {"__name__": "__main__"}
    printed = io.StringIO()
    with contextlib.chdir(tmp_path_factory.mktemp("readme")), contextlib.redirect_stdout(printed):
        for number, block in enumerate(blocks("python"), 1):
            exec(compile(block, f"README.md, python block {number}", "exec"), names)  # noqa: S102
    return names, printed.getvalue()


def test_the_python_blocks_print_what_the_readme_says(pasted):
    _, printed = pasted
    assert printed == "".join(blocks("text"))


def test_the_picture_is_what_the_readme_s_saga_draws(pasted):
    names, _ = pasted
    drawn = names["refused"].flow().svg
    cure = "draw it anew: python tests/test_readme.py"
    assert PICTURE.is_file(), cure
    assert PICTURE.read_text("utf-8") == drawn, cure


def test_every_picture_has_words_for_those_who_cannot_see_it_and_is_small():
    shown = dict(re.findall(r"!\[(.+?)\]\((.+?)\)", README, re.DOTALL))
    names = ["player", "designer", "matrix", "explorer", "monitor"]
    assert [ROOT / target for target in shown.values()] == [
        *(PICTURE.with_name(f"{name}.png") for name in names),
        PICTURE,
    ]
    for words, target in shown.items():
        assert len(words) > 80, target
        assert (ROOT / target).stat().st_size < 150_000, target


def test_every_lesson_is_listed_in_its_order():
    listed = re.findall(r"^\| \[\w+ .+?\]\((notebooks/.+?)\) \|", README, re.MULTILINE)
    there = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert [ROOT / lesson for lesson in listed] == there


def test_the_commands_run_one_after_the_other(tmp_path):
    lines = shell_lines("sagakit")
    assert len(lines) == 10
    for line in lines:
        words = [
            str(ROOT / word) if word.startswith("data/") else word for word in shlex.split(line)
        ]
        done = subprocess.run(
            [sys.executable, "-m", "sagakit.cli", *words[1:]],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode in (0, 2), f"{line}\n{done.stderr}"
        assert "Traceback" not in done.stderr
    assert (tmp_path / "checkout.svg").is_file()


def test_make_knows_the_targets():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = [line.split()[1] for line in shell_lines("make")]
    assert named == ["lab", "test"]
    assert set(named) <= set(targets)


def test_every_file_that_is_named_exists():
    linked = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    quoted = re.findall(r"(?:data|notebooks)/[\w./-]*\w", README)
    named = {*linked, *quoted, *re.findall(r"-f (\S+\.yml)", README)}
    assert {"CONTRIBUTING.md", "LICENSE", "notebooks/00-welcome.ipynb"} <= named
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_command_line_is_as_the_readme_says():
    from sagakit.cli import cli

    commands = dict(cli.commands)
    for group in ("audit", "import"):
        inside = commands.pop(group).commands  # type: ignore[attr-defined]
        commands |= {f"{group} {name}": command for name, command in inside.items()}
    without = {
        name
        for name, command in commands.items()
        if "as_json" not in {p.name for p in command.params}
    }
    assert without == {"lab", "audit export"}


if __name__ == "__main__":  # draw the picture anew
    drawn: dict[str, object] = {}
    exec(blocks("python")[0], drawn)  # noqa: S102
    PICTURE.parent.mkdir(exist_ok=True)
    drawn["refused"].flow().save(PICTURE)  # type: ignore[attr-defined]
