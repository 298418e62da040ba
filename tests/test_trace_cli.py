"""`sagakit trace`: the table, JSON, the picture, conversion, and its errors in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sagakit.cli import cli, main
from sagakit.cli.trace import _FORMATS
from sagakit.tracefiles import FORMATS, read_trace

TRACES = Path(__file__).parents[1] / "data" / "traces"


def trace(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["trace", *arguments], catch_exceptions=False)


def test_the_tree_is_a_table_of_tabs_when_piped() -> None:
    done = trace(str(TRACES / "jaeger.json"))
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "span\tservice\tstart\ttook\tself\tstatus\tnote",
        "HTTP GET /dispatch\tfrontend\t0 s\t700 ms\t400 ms\tunset\t",
        "· SQL SELECT\tmysql\t60.1 ms\t300 ms\t300 ms\terror\tlock timeout",
        "· notify\tfrontend\t760 ms\t5.01 µs\t5.01 µs\tunset\t",
        "Trace of 'jaeger.json': 3 spans, 2 services, 760 ms, 1 failed",
    ]


def test_json_holds_every_span_with_its_depth_and_self_time() -> None:
    found = json.loads(trace(str(TRACES / "otlp.json"), "--json").output)
    assert (found["name"], found["start"], found["duration"]) == ("otlp.json", 1544712660.0, 1.0)
    assert [(span["name"], span["depth"], span["self_time"]) for span in found["spans"]] == [
        ("POST /checkout", 0, pytest.approx(0.3)),
        ("charge card", 1, 0.5),
        ("send mail", 1, None),
    ]
    assert found["spans"][0]["attributes"]["tags"] == ["spring", "été"]


def test_it_is_drawn_and_converted(tmp_path: Path) -> None:
    svg, output = tmp_path / "t.svg", tmp_path / "t.json"
    done = trace(
        str(TRACES / "collector.jsonl"),
        "--svg", str(svg), "--convert", "chrome", "--output", str(output),
    )  # fmt: skip
    assert done.exit_code == 0
    assert done.stdout == ""
    assert done.stderr.splitlines() == [f"wrote {svg}", f"wrote {output}"]
    assert "reserve_stock" in svg.read_text("utf-8")
    assert "traceEvents" in json.loads(output.read_bytes())
    assert read_trace(output) == read_trace(TRACES / "collector.jsonl")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([str(TRACES / "README.md")], "line 1: is not a JSON object or list; give a trace as OTLP"),
        ([str(TRACES / "otlp.json"), "--format", "chrome"], "top: object missing required field"),
        ([str(TRACES / "otlp.json"), "--convert", "otlp"], "give --convert and --output together"),
        (["not-there.json"], "not-there.json: No such file or directory"),
    ],
)
def test_an_error_is_one_line(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]  # noqa: E501
) -> None:  # fmt: skip
    monkeypatch.setattr("sys.argv", ["sagakit", "trace", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sagakit: ")
    assert words in line


def test_the_formats_it_offers_are_those_there_are() -> None:
    assert tuple(_FORMATS.choices) == FORMATS
