"""Charts over many executions, drawn by matplotlib: `pip install 'sagakit[lab]'`."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from sagakit.views.chart import Chart, Spread, binned, edges, quantile, spread, spreads
from sagakit.views.chart_canvas import (
    BARS,
    BOTTOM,
    EDGE,
    LEFT,
    PALE,
    count_axis,
    dot,
    heat,
    legend,
    look,
    patch,
    png,
    rows,
    sample,
    short,
    time_axis,
)
from sagakit.views.style import (
    BLUE,
    CARD,
    GREEN,
    GRID,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    STATES,
    VERMILLION,
)
from sagakit.views.svg import oneline
from sagakit.views.timescale import duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 0.34  # inches
_MOST_ROWS = 25
_BINS = 40
_INSTANT = 1e-9  # seconds; what is shorter took no time
_BUCKETS = 60
_MOST_PAIRS = 3  # of lines, median and 95 of 100, in one chart
_LAST_ATTEMPT = 20
_SERIES = ((BLUE, "o"), (VERMILLION, "s"), (GREEN, "^"), (PURPLE, "D"), (ORANGE, "v"), (INK, "P"))

_Table = tuple[tuple[str, ...], ...]


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How many executions began a step, failed there, had it compensated, are stuck at it."""

    step: str
    reached: int
    failed: int = 0
    compensated: int = 0
    stuck: int = 0


def duration_histogram(
    durations: Mapping[str, Sequence[float]], title: str = "durations by step"
) -> Chart:
    """How long each step took: a histogram a step, on one axis.

    Parameters:
        durations: seconds by step, one for each execution (or attempt). Any other name than a
            step's does as well: that of the whole saga, of an engine.

    The axis is logarithmic where the longest is over 200 times the shortest. Raises ValueError
    for a negative or infinite duration, as all charts of durations do.
    """
    found = spreads(durations)
    shown = _longest(found)
    if not shown:
        return _empty(title)
    low, high, log = _range(found[step] for step in shown)
    borders = edges(low, high, _BINS, log)

    def paint(axes: Axes) -> None:
        for row, step in enumerate(shown):
            counts = binned(durations[step], borders)
            heights = [row + 0.4 - 0.8 * count / max(counts) for count in counts]
            area: dict[str, Any] = {"facecolor": BARS, "edgecolor": EDGE, "linewidth": 0.8}
            axes.stairs(heights, borders, baseline=row + 0.4, fill=True, **area)
            axes.plot(found[step].median, row + 0.4, marker="^", color=INK, markersize=6)
            axes.plot(found[step].p95, row + 0.4, marker="D", color=VERMILLION, markersize=5)
        rows(axes, shown, [f"n = {found[step].count:,}" for step in shown])
        time_axis(axes, low, high, log)
        legend(axes, [dot("^", INK, "median"), dot("D", VERMILLION, "95 of 100 within")])

    return _chart(title, paint, len(shown) * 1.5, _spread_words(found), _spread_table(found), found)


def slowest_steps(
    durations: Mapping[str, Sequence[float]], title: str = "slowest steps", most: int = 15
) -> Chart:
    """The steps by the duration that 95 of 100 do not exceed, slowest first.

    Parameters:
        durations: seconds by step, one for each execution (or attempt).
        most: how many steps to draw; the table has all.
    """
    found = spreads(durations)
    shown = _longest(found)[:most]
    if not shown:
        return _empty(title)
    low, high, log = _range(found[step] for step in shown)

    def paint(axes: Axes) -> None:
        for row, step in enumerate(shown):
            one = found[step]
            axes.plot([one.least, one.most], [row, row], color=MUTED, linewidth=1)
            axes.plot(one.median, row, marker="s", color=EDGE, markersize=7)
            axes.plot(one.p95, row, marker="D", color=VERMILLION, markersize=5)
            axes.plot([one.least, one.most], [row, row], "|", color=INK, markersize=9)
        rows(axes, shown)
        time_axis(axes, low, high, log)
        samples = [
            dot("s", EDGE, "median"),
            dot("D", VERMILLION, "95 of 100 within"),
            dot("|", INK, "fastest and slowest"),
        ]
        legend(axes, samples)

    return _chart(title, paint, len(shown), _spread_words(found), _spread_table(found), found)


def compensation_funnel(reaches: Sequence[Reach], title: str = "compensation funnel") -> Chart:
    """How far executions got: how many began each step, failed there, had it compensated, are
    stuck at it. Steps stand in the order given."""
    shown = reaches[:_MOST_ROWS]
    if not shown or not any(one.reached for one in reaches):
        return _empty(title)
    kinds = ("failed", "compensated", "stuck")

    def paint(axes: Axes) -> None:
        most = max(one.reached for one in reaches)
        for row, one in enumerate(shown):
            axes.barh(row, one.reached, height=0.82, color=PALE, edgecolor=EDGE)
            for place, kind in enumerate(kinds):
                count = getattr(one, kind)
                if count:
                    y = row - 0.27 + 0.27 * place
                    axes.barh(y, count, height=0.24, **look(STATES[kind]))
            axes.text(most * 1.02, row, _reach_words(one), va="center", fontsize=8, color=INK)
        axes.set_xlim(0, most * 1.75)
        rows(axes, [one.step for one in shown])
        count_axis(axes, "executions", most)
        samples = [patch(PALE, EDGE, "", "began the step")]
        samples += [sample(STATES[kind], f"{STATES[kind].glyph} {kind}") for kind in kinds]
        legend(axes, samples)

    first, last = reaches[0], reaches[-1]
    words = (
        f"{first.reached:,} executions began {first.step}, {last.reached:,} {last.step}; "
        f"{sum(one.failed for one in reaches):,} failures, "
        f"{sum(one.compensated for one in reaches):,} compensations, "
        f"{sum(one.stuck for one in reaches):,} stuck"
    )
    table: _Table = (
        ("step", "began", *kinds),
        *((o.step, *map(_count, (o.reached, o.failed, o.compensated, o.stuck))) for o in reaches),
    )
    return _chart(title, paint, len(shown) * 1.6, words, table, reaches)


def retry_heatmap(
    counts: Mapping[tuple[str, int], int],
    title: str = "retries",
    across: Literal["attempt", "hour"] = "attempt",
) -> Chart:
    """Where retries gather: a field for each step and attempt, or hour of the day, with its count.

    Parameters:
        counts: by step and number of the attempt, how many executions made that attempt (the first
            ones, no retries, are left out; those beyond the 20th are put together); or by step and
            hour (0 to 23), how many retries there were.
        across: which of the two it is.

    Raises ValueError for an attempt below 1 or an hour that is none.
    """
    columns = _columns(counts, across)
    some = {key: count for key, count in counts.items() if count and key[1] >= columns[0]}
    if not some:
        return _empty(title, "nothing was retried" if counts else _NOTHING)
    places = {step: i for i, step in enumerate(dict.fromkeys(step for step, _ in some))}
    names = list(places)
    shown = names[:_MOST_ROWS]
    grid = [[0] * len(columns) for _ in names]
    for (step, number), count in some.items():
        grid[places[step]][min(number, columns[-1]) - columns[0]] += count

    def paint(axes: Axes) -> None:
        heat(axes, grid[: len(shown)])
        rows(axes, shown)
        axes.grid(visible=False)
        beyond = max(number for _, number in some) > columns[-1]
        texts = [f"{n}{'+' if beyond and n == columns[-1] else ''}" for n in columns]
        axes.set_xticks(range(len(columns)), labels=texts)
        axes.set_xlabel("attempt" if across == "attempt" else "hour of the day")

    (step, number), most = max(some.items(), key=lambda item: item[1])
    words = f"most for {step}, {across} {number}: {most:,}"
    table: _Table = (
        ("step", *(f"{across} {n}" for n in columns)),
        *((name, *map(_count, row)) for name, row in zip(names, grid, strict=True)),
    )
    return _chart(title, paint, len(shown), words, table, names, BOTTOM - 0.25)


def latency_over_time(
    points: Mapping[str, Sequence[tuple[float, float]]], title: str = "latency over time"
) -> Chart:
    """How latency went: the median per stretch of time, and of up to three steps also the value
    that 95 of 100 do not exceed.

    Parameters:
        points: by step (or saga) pairs (when it began, how long it took), both in seconds; when is
            since the epoch, or since anything else that all of them share. The first six are
            drawn; the table has all.
    """
    shown = {step: pairs for step, pairs in points.items() if len(pairs)}
    if not shown:
        return _empty(title)
    found = {step: spread(step, [took for _, took in pairs]) for step, pairs in shown.items()}
    begin = min(at for pairs in shown.values() for at, _ in pairs)
    span = max(at for pairs in shown.values() for at, _ in pairs) - begin
    drawn = list(shown)[: len(_SERIES)]
    both = len(drawn) <= _MOST_PAIRS
    low, high, log = _range(found[step] for step in drawn)

    def paint(axes: Axes) -> None:
        samples: list[Any] = []
        for (colour, marker), step in zip(_SERIES, drawn, strict=False):
            at, median, p95 = _in_stretches(shown[step], begin, span)
            line: dict[str, Any] = {"color": colour, "clip_on": False}
            axes.plot(at, median, marker=marker, markersize=4, linewidth=1.4, **line)
            if both:
                axes.plot(at, p95, linestyle=(0, (3, 2)), linewidth=1, **line)
            samples.append(dot(marker, colour, short(step, 18), line=True))
        if both:
            samples.append(dot("", MUTED, "95 of 100 within", line=True, dashed=True))
        time_axis(axes, low, high, log, vertical=True)
        time_axis(axes, 0.0, span or 1.0, False)
        axes.set_xlabel(f"{axes.get_xlabel()} since {_instant(begin)}")
        axes.grid(visible=True, axis="both", color=GRID)
        legend(axes, samples, columns=4)

    bottom = BOTTOM + (0.25 if len(drawn) > 3 else 0.0)
    return _chart(title, paint, 8, _spread_words(found), _spread_table(found), found, bottom, 0.95)


def most_retried_steps(
    attempts: Mapping[str, Sequence[int]], title: str = "most retried steps", most: int = 15
) -> Chart:
    """The steps by their retries, all executions together.

    Parameters:
        attempts: by step, how many attempts each execution made.
        most: how many steps to draw; the table has all.
    """
    retries = {step: sum(one - 1 for one in made if one > 1) for step, made in attempts.items()}
    order = sorted((s for s in retries if len(attempts[s])), key=lambda step: -retries[step])
    shown = [step for step in order[:most] if retries[step]]

    def words_of(step: str) -> str:
        made = attempts[step]
        share = sum(one > 1 for one in made) / len(made)
        return f"{share:.1%} of {len(made):,} executions, at most {max(made) - 1:,} each"

    def paint(axes: Axes) -> None:
        top = retries[shown[0]]
        for row, step in enumerate(shown):
            axes.barh(row, retries[step], height=0.6, **look(STATES["retrying"]))
            axes.text(top * 1.02, row, words_of(step), va="center", fontsize=8, color=INK)
        axes.set_xlim(0, top * 1.75)
        rows(axes, shown)
        count_axis(axes, "retries", top)
        legend(axes, [sample(STATES["retrying"], "retries; beside them, who had any")])

    if not shown:
        return _empty(title, "nothing was retried" if order else _NOTHING)
    table: _Table = (
        ("step", "executions", "retries", "retried", "most retries"),
        *(
            (
                step,
                _count(len(attempts[step])),
                _count(retries[step]),
                _count(sum(one > 1 for one in attempts[step])),
                _count(max(attempts[step]) - 1),
            )
            for step in order
        ),
    )
    words = f"{shown[0]} was retried {retries[shown[0]]:,} times ({words_of(shown[0])})"
    return _chart(title, paint, len(shown), words, table, order)


def self_time(times: Mapping[str, tuple[float, float]], title: str = "self time by step") -> Chart:
    """Where the time goes: what each step took itself, and what was inside it.

    Parameters:
        times: by step the seconds it took itself and those of all that was inside it, summed over
            executions.
    """
    for step, pair in times.items():
        spread(step, pair)  # refuses what is no duration
    order = sorted((s for s in times if sum(times[s])), key=lambda step: -times[step][0])
    shown = order[:_MOST_ROWS]
    if not shown:
        return _empty(title)
    total = sum(own for own, _ in times.values())

    def paint(axes: Axes) -> None:
        for row, step in enumerate(shown):
            own, inside = times[step]
            axes.barh(row, own, height=0.6, color=BARS, edgecolor=EDGE)
            axes.barh(
                row, inside, left=own, height=0.6, color=CARD, edgecolor=MUTED, hatch="///", lw=0.8
            )
        rows(axes, shown)
        time_axis(axes, 0.0, max(sum(times[step]) for step in shown) * 1.02, False)
        own, inside = (patch(BARS, EDGE, "", "itself"), patch(CARD, MUTED, "///", "inside it"))
        legend(axes, [own, inside])

    table: _Table = (
        ("step", "itself", "share", "inside it"),
        *(
            (step, duration(own), f"{own / total:.1%}" if total else "", duration(inside))
            for step, (own, inside) in ((step, times[step]) for step in order)
        ),
    )
    own = times[shown[0]][0]
    words = f"most in {shown[0]}: {duration(own)} of {duration(total)}"
    return _chart(title, paint, len(shown), words, table, order)


# -- numbers and words ----------------------------------------------------------------------

_NOTHING = "nothing has run yet"


def _longest(found: Mapping[str, Spread]) -> list[str]:
    return sorted(found, key=lambda step: -found[step].p95)[:_MOST_ROWS]


def _range(found: Iterable[Spread]) -> tuple[float, float, bool]:
    """From where to where an axis of durations goes, and whether it is logarithmic."""
    some = list(found)
    least, most = min(one.least for one in some), max(one.most for one in some)
    if least > _INSTANT and most > 200 * least:
        return least / 1.2, most * 1.2, True
    return 0.0, most * 1.05 if most > _INSTANT else 1.0, False


def _in_stretches(
    pairs: Sequence[tuple[float, float]], begin: float, span: float
) -> tuple[list[float], list[float], list[float]]:
    """Of each stretch of time in which something began: its middle, the median, the 95th in 100."""
    count = min(_BUCKETS, max(1, len(pairs) // 3))
    stretches: dict[int, list[float]] = {}
    for at, took in pairs:
        place = min(int((at - begin) / span * count), count - 1) if span else 0
        stretches.setdefault(place, []).append(took)
    found = [(place, sorted(values)) for place, values in sorted(stretches.items())]
    return (
        [(place + 0.5) * span / count for place, _ in found],
        [quantile(values, 0.5) for _, values in found],
        [quantile(values, 0.95) for _, values in found],
    )


def _columns(counts: Mapping[tuple[str, int], int], across: str) -> range:
    numbers = sorted({number for (_, number), count in counts.items() if count})
    legal = range(1, sys.maxsize) if across == "attempt" else range(24)
    wrong = [number for number in numbers if number not in legal]
    if wrong:
        raise ValueError(
            f"there is no {across} {wrong[0]}; attempts count from 1, hours from 0 to 23"
        )
    if across == "hour":
        return range(24)
    return range(2, min(max([2, *numbers]), _LAST_ATTEMPT) + 1)


def _spread_words(found: Mapping[str, Spread]) -> str:
    step = max(found, key=lambda name: found[name].p95)
    one = found[step]
    return (
        f"slowest is {step}: median {duration(one.median)}, 95 of 100 within {duration(one.p95)}, "
        f"at most {duration(one.most)}"
    )


def _spread_table(found: Mapping[str, Spread]) -> _Table:
    rows = (
        (step, _count(one.count), *map(duration, (one.least, one.median, one.p95, one.most)))
        for step, one in found.items()
    )
    return (("step", "times", "least", "median", "95 of 100 within", "most"), *rows)


def _reach_words(one: Reach) -> str:
    kinds = ("failed", "compensated", "stuck")
    words = [f"{STATES[kind].glyph} {getattr(one, kind):,}" for kind in kinds if getattr(one, kind)]
    return "   ".join([f"{one.reached:,}", *words])


def _count(number: int) -> str:
    return f"{number:,}"


def _instant(at: float) -> str:
    """An instant in words; where numbers are too small for one since 1973, they count from 0."""
    if at < 1e8:
        return "the first"
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _chart(
    title: str,
    paint: Callable[[Axes], None],
    rows: float,
    words: str,
    table: _Table,
    among: Sequence[Any] | Mapping[str, Any],
    bottom: float = BOTTOM,
    left: float = LEFT,
) -> Chart:
    drawn = f"{title} ({len(among):,} step{'' if len(among) == 1 else 's'})"
    picture = png(title, paint, max(rows * _ROW, 0.9), bottom, left)
    return Chart(png=picture, alt=oneline(f"{drawn}: {words}"), table=table, caption=title)


def _empty(title: str, words: str = _NOTHING) -> Chart:
    def paint(axes: Axes) -> None:
        axes.axis("off")
        axes.text(0, 0.5, words, fontsize=10, color=MUTED, va="center")

    return Chart(png=png(title, paint, 0.5, 0.2, 0.2), alt=f"{title}: {words}", caption=title)
