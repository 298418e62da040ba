from __future__ import annotations

import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagakit.views import (
    Chart,
    Reach,
    compensation_funnel,
    duration_histogram,
    latency_over_time,
    most_retried_steps,
    retry_heatmap,
    self_time,
    slowest_steps,
)
from sagakit.views.chart import binned, edges, quantile
from sagakit.views.style import CARD

mpl = pytest.importorskip("matplotlib", reason="charts need matplotlib")

STEPS = ["create_order", "charge_payment", "reserve_stock", "confirm_order"]
DICE = random.Random(5)
TIMES = {
    step: [DICE.lognormvariate(i - 3, 0.5) for _ in range(200)] for i, step in enumerate(STEPS)
}
REACHES = [
    Reach(step="create_order", reached=830, compensated=71),
    Reach(step="charge_payment", reached=1_830_000, failed=53_000, compensated=18_000, stuck=2_000),
    Reach(step="confirm_order", reached=0),
]
CHARTS: dict[str, Callable[[], Chart]] = {
    "histogram": lambda: duration_histogram(TIMES),
    "slowest": lambda: slowest_steps(TIMES),
    "funnel": lambda: compensation_funnel(REACHES),
    "attempts": lambda: retry_heatmap({(s, n): 900 // n for s in STEPS for n in range(1, 30)}),
    "hours": lambda: retry_heatmap(
        {(s, h): 99 * h for s in STEPS for h in range(24)}, across="hour"
    ),
    "latency": lambda: latency_over_time({s: list(enumerate(TIMES[s])) for s in STEPS}),
    "pair": lambda: latency_over_time(
        {"a": [(1.7e9 + i, t) for i, t in enumerate(TIMES[STEPS[0]])]}
    ),
    "retried": lambda: most_retried_steps({s: [1, 2, 3 + i] for i, s in enumerate(STEPS)}),
    "self": lambda: self_time({s: (i * 40.0, i % 2 * 99.0) for i, s in enumerate(STEPS)}),
    "empty": lambda: duration_histogram({}),
    "one": lambda: duration_histogram({"a": [0.0]}),
    "wide": lambda: slowest_steps({"W" * 40: [1.0], r"$\nope{$": [2.0], "a\nb": [3.0]}),
    "zeros": lambda: latency_over_time({"a": [(0, 0), (0, 0)]}),
}
each = pytest.mark.parametrize("name", list(CHARTS))


def pixels(chart: Chart) -> Any:
    import io

    from matplotlib.image import imread

    return imread(io.BytesIO(chart.png), format="png")


def chunks(png: bytes) -> Iterator[str]:
    at = 8
    while at < len(png):
        yield png[at + 4 : at + 8].decode()
        at += 12 + int.from_bytes(png[at : at + 4], "big")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that charts were drawn on."""
    from matplotlib.figure import Figure

    seen: list[Any] = []
    save = Figure.savefig

    def savefig(self: Any, *args: Any, **options: Any) -> None:
        seen.append(self)
        save(self, *args, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return seen


@each
def test_a_chart_is_the_same_on_every_run_and_whatever_the_user_has_set(name: str) -> None:
    first = CHARTS[name]()
    assert first.png.startswith(b"\x89PNG")
    assert set(chunks(first.png)) <= {"IHDR", "IDAT", "IEND", "pHYs"}  # no version, no date
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 20}):
        assert CHARTS[name]() == first
        assert mpl.rcParams["font.size"] == 30


@each
def test_nothing_is_cut_off_and_the_card_is_opaque(name: str, figures: list[Any]) -> None:
    from matplotlib.text import Text

    chart = CHARTS[name]()
    (figure,) = figures
    box = figure.bbox
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text():
            extent = text.get_window_extent()
            assert box.x0 <= extent.x0, text
            assert extent.x1 <= box.x1, text
            assert box.y0 <= extent.y0, text
            assert extent.y1 <= box.y1, text
            assert text.get_fontsize() >= 8, text
    picture = pixels(chart)
    assert (picture[..., 3] == 1).all()
    inner = picture[12, 12, :3]
    assert [round(float(v) * 255) for v in inner] == list(bytes.fromhex(CARD[1:]))


@each
def test_the_words_on_the_axes_do_not_touch(name: str, figures: list[Any]) -> None:
    CHARTS[name]()
    for axes in figures[0].axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [t for t in axis.get_ticklabels() if t.get_text() and t.get_visible()]
            boxes = [label.get_window_extent() for label in labels]
            assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :]), [
                label.get_text() for label in labels
            ]


@each
def test_a_notebook_shows_an_image_with_its_words_and_numbers(name: str) -> None:
    chart = CHARTS[name]()
    data, metadata = chart._repr_png_()
    assert data == chart.png
    assert data.startswith(b"\x89PNG")
    assert metadata == {"alt": chart.alt, "width": chart.width}
    assert chart.frame().to_numpy().tolist() == [list(row) for row in chart.table[1:]]
    assert repr(chart) == f"<Chart: {chart.caption}>"
    assert len({len(row) for row in chart.table}) <= 1


def test_durations_are_told_by_step() -> None:
    chart = duration_histogram({"pay": [3, 1, 2, 100], "ship": [0.5], "never": []})
    assert chart.table == (
        ("step", "times", "least", "median", "95 of 100 within", "most"),
        ("pay", "4", "1 s", "2 s", "1.67 min", "1.67 min"),
        ("ship", "1", "500 ms", "500 ms", "500 ms", "500 ms"),
    )
    assert chart.alt == (
        "durations by step (2 steps): slowest is pay: median 2 s, 95 of 100 within 1.67 min, at "
        "most 1.67 min"
    )


def test_another_distribution_is_another_picture() -> None:
    one = duration_histogram({"a": [1, 1, 1, 2, 5]})
    two = duration_histogram({"a": [1, 2, 2, 2, 5]})
    assert one.png != two.png


def test_slowest_steps_come_first_and_of_many_the_table_has_all(figures: list[Any]) -> None:
    chart = slowest_steps({f"s{i}": [float(i)] for i in range(1, 41)}, most=3)
    names = [label.get_text() for label in figures[0].axes[0].get_yticklabels()]
    assert names == ["s40", "s39", "s38"]
    assert len(chart.table) == 41


def test_the_funnel_counts_each_step() -> None:
    chart = compensation_funnel(REACHES)
    assert chart.table[2] == ("charge_payment", "1,830,000", "53,000", "18,000", "2,000")
    assert "830 executions began create_order, 0 confirm_order" in chart.alt
    assert "53,000 failures, 18,071 compensations, 2,000 stuck" in chart.alt


def test_the_heatmap_leaves_first_attempts_out_and_puts_late_ones_together(
    figures: list[Any],
) -> None:
    chart = retry_heatmap({("a", 1): 900, ("a", 2): 7, ("a", 20): 1, ("a", 25): 2, ("b", 3): 1_500})
    assert chart.table[0][:2] == ("step", "attempt 2")
    assert chart.table[1][1] == "7"
    assert chart.table[1][-1] == "3"
    assert chart.alt == "retries (2 steps): most for b, attempt 3: 1,500"
    axes = figures[0].axes[0]
    assert axes.get_xticklabels()[-1].get_text() == "20+"
    assert {text.get_text() for text in axes.texts} == {"7", "3", "2k"}


def test_the_heatmap_of_a_day_has_all_its_hours() -> None:
    chart = retry_heatmap({("a", 0): 4, ("a", 23): 5}, across="hour")
    assert chart.table[0] == ("step", *(f"hour {n}" for n in range(24)))
    assert (chart.table[1][1], chart.table[1][-1]) == ("4", "5")


def test_latency_is_drawn_over_time_with_both_lines_for_few_steps(figures: list[Any]) -> None:
    pairs = [(1.7e9 + i, 1.0 if i < 300 else 4.0) for i in range(600)]
    latency_over_time({"a": pairs})
    axes = figures[0].axes[0]
    median, p95 = axes.get_lines()
    assert list(median.get_ydata()[[0, -1]]) == [1.0, 4.0]
    assert list(p95.get_ydata()[[0, -1]]) == [1.0, 4.0]
    assert axes.get_xlabel() == "min since 2023-11-14 22:13:20 UTC"
    latency_over_time({f"s{i}": [(0, 1), (9, 2)] for i in range(8)})
    assert len(figures[1].axes[0].get_lines()) == 6


def test_retries_are_counted_over_all_executions() -> None:
    chart = most_retried_steps({"a": [1, 1, 3, 2], "b": [1], "c": [], "d": [9]})
    assert chart.table[1:] == (
        ("d", "1", "8", "1", "8"),
        ("a", "4", "3", "2", "2"),
        ("b", "1", "0", "0", "0"),
    )
    assert "d was retried 8 times (100.0% of 1 executions, at most 8 each)" in chart.alt


def test_self_time_has_its_share_of_the_whole() -> None:
    chart = self_time({"a": (1.0, 9.0), "b": (3.0, 0.0)})
    assert chart.table[1:] == (("b", "3 s", "75.0%", "0 s"), ("a", "1 s", "25.0%", "9 s"))
    assert chart.alt.endswith("most in b: 3 s of 4 s")


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: duration_histogram({}), "nothing has run yet"),
        (lambda: slowest_steps({"a": []}), "nothing has run yet"),
        (lambda: compensation_funnel([]), "nothing has run yet"),
        (lambda: compensation_funnel([Reach(step="a", reached=0)]), "nothing has run yet"),
        (lambda: retry_heatmap({}), "nothing has run yet"),
        (lambda: retry_heatmap({("a", 1): 5}), "nothing was retried"),
        (lambda: latency_over_time({"a": []}), "nothing has run yet"),
        (lambda: most_retried_steps({}), "nothing has run yet"),
        (lambda: most_retried_steps({"a": [1, 1]}), "nothing was retried"),
        (lambda: self_time({}), "nothing has run yet"),
    ],
)
def test_where_there_is_nothing_to_show_the_picture_says_so(
    draw: Callable[[], Chart], words: str, figures: list[Any]
) -> None:
    chart = draw()
    assert chart.alt.endswith(words)
    assert [text.get_text() for text in figures[0].axes[0].texts] == [words]


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_what_is_no_duration_is_refused_with_its_step(wrong: float) -> None:
    for draw in (duration_histogram, slowest_steps):
        with pytest.raises(ValueError, match=r"step 'pay': .* is no duration"):
            draw({"pay": [1.0, wrong]})
    with pytest.raises(ValueError, match=r"step 'pay': .* is no duration"):
        latency_over_time({"pay": [(0, wrong)]})
    with pytest.raises(ValueError, match=r"step 'pay': .* is no duration"):
        self_time({"pay": (wrong, 0.0)})


def test_attempts_and_hours_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="no attempt 0"):
        retry_heatmap({("a", 0): 1})
    with pytest.raises(ValueError, match="no hour 24"):
        retry_heatmap({("a", 24): 1}, across="hour")


seconds = st.lists(st.floats(0, 1e8), max_size=5)
names = st.text(st.characters(codec=None), max_size=12)


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(names, seconds, max_size=4))
def test_any_durations_can_be_drawn(durations: dict[str, list[float]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for draw in (duration_histogram, slowest_steps):
            assert draw(durations)._repr_png_()
        pairs = {step: [(9.0 * i, t) for i, t in enumerate(ts)] for step, ts in durations.items()}
        assert "\n" not in repr(latency_over_time(pairs, title="a\nb"))


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=30), st.booleans())
def test_every_value_is_in_one_bin(values: list[float], log: bool) -> None:
    borders = edges(1e-3, 1e3, 7, log)
    counts = binned(values, borders)
    assert sum(counts) == len(values)
    assert borders == sorted(borders)
    for i, count in enumerate(counts):
        upper = borders[i + 1] if i < 6 else float("inf")
        assert count == sum(borders[i] <= value < upper for value in values)


def test_quantiles_are_values_that_were_there() -> None:
    assert [quantile(list(range(1, 101)), share) for share in (0.5, 0.95, 1)] == [50, 95, 100]
    assert quantile([7], 0.5) == 7


def test_a_hundred_thousand_values_are_drawn_at_once() -> None:
    dice = random.Random(1)
    many = [dice.random() for _ in range(100_000)]
    for draw in (
        lambda: duration_histogram({"a": many}),
        lambda: slowest_steps({"a": many}),
        lambda: latency_over_time({"a": list(enumerate(many))}),
        lambda: most_retried_steps({"a": [1 + (value > 0.8) for value in many]}),
    ):
        began = time.process_time()
        draw()
        assert time.process_time() - began < 2


def test_pyplot_is_left_alone_and_matplotlib_comes_only_to_draw() -> None:
    code = (
        "import sys\nfrom sagakit.views import duration_histogram, Reach, Chart\n"
        "assert 'matplotlib' not in sys.modules and 'numpy' not in sys.modules\n"
        "duration_histogram({'a': [1]})\nassert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_without_matplotlib_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"charts need matplotlib: pip install 'sagakit\["
    ):
        duration_histogram({"a": [1.0]})


def test_a_chart_is_saved_as_it_is(tmp_path: Any) -> None:
    chart = CHARTS["one"]()
    assert chart.save(tmp_path / "a.png").read_bytes() == chart.png
