"""What charts are drawn on. The only room that imports matplotlib, and only as it draws."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sagakit.views.style import BLACK, BLUE, CARD, CARD_LINE, GRID, INK, MUTED, Look, mix
from sagakit.views.svg import fit, oneline
from sagakit.views.timescale import duration, time_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCH = 100  # px, as shown
WIDTH = 8.2  # inches
LEFT, RIGHT, TOP, BOTTOM = 1.9, 0.45, 0.55, 0.85  # around the plot
BARS = mix("#ffffff", BLUE, 0.35)
PALE = mix("#ffffff", BLUE, 0.12)
EDGE = mix(BLUE, BLACK, 0.35)
_HATCHES = {"cross": "xxx", "back": "\\\\\\", "grid": "+++", "dots": "..."}
_DECADES = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 60, 600, 3600, 36000, 86400, 864000, 8640000)


def short(text: str, most: int) -> str:
    """The text on one line of at most so many characters."""
    text = oneline(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _few_digits(number: int) -> str:
    """At most four characters below a hundred million."""
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if number >= size:
            return f"{number / size:.0f}{unit}"
    return str(number)


def png(
    title: str, paint: Callable[[Axes], None], height: float, bottom: float, left: float
) -> bytes:
    """The chart on a card, as bytes that depend on nothing but it (and matplotlib's version)."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"charts need {error.name}: pip install 'sagakit[lab]'", name=error.name
        ) from None
    tall = height + TOP + bottom
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the table has the name
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        figure = Figure(figsize=(WIDTH, tall), dpi=1.5 * INCH, facecolor=CARD)
        figure.patch.set(edgecolor=CARD_LINE, linewidth=2)
        figure.text(0.2 / WIDTH, 1 - 0.3 / tall, short(title, 80), fontsize=11, weight="bold")
        plot = (WIDTH - left - RIGHT) / WIDTH
        axes = figure.add_axes((left / WIDTH, bottom / tall, plot, height / tall))
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        paint(axes)
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata={"Software": None})
        return file.getvalue()


# Any, as matplotlib types the keys of its settings as the literals of one version.
_SETTINGS: Any = {
    "text.parse_math": False,  # a step may be called "$x"
    "text.color": INK,
    "font.size": 9,
    "axes.facecolor": CARD,
    "axes.edgecolor": CARD_LINE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 9,
    "grid.color": GRID,
    "hatch.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "savefig.facecolor": "auto",
    "savefig.edgecolor": "auto",
}


def rows(axes: Axes, names: Sequence[str], below: Sequence[str] = ()) -> None:
    """One row a name, the first on top; `below` are words on a line below each."""
    texts = [fit(name, 12.5, (LEFT - 0.2) * INCH) for name in names]
    if below:
        texts = [f"{text}\n{words}" for text, words in zip(texts, below, strict=True)]
    axes.set_yticks(range(len(names)), labels=texts)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="x")


def time_axis(axes: Axes, low: float, high: float, log: bool, *, vertical: bool = False) -> None:
    """An axis of durations, with ticks that read well and their unit."""
    axis, unit = (axes.yaxis if vertical else axes.xaxis), ""
    if log:
        (axes.set_yscale if vertical else axes.set_xscale)("log")
        axis.minorticks_off()
        found = [tick for tick in _DECADES if low <= tick <= high]
        if len(found) < 4:
            found = [n * tick for tick in _DECADES for n in (1, 2, 5) if low <= n * tick <= high]
        ticks = [(tick, duration(tick)) for tick in dict.fromkeys(found)]
    else:
        scale = time_scale(low, high, 1.0, 6)
        ticks, unit = list(scale.ticks), scale.unit
    axis.set_ticks([at for at, _ in ticks], labels=[text for _, text in ticks])
    (axes.set_ylim if vertical else axes.set_xlim)(low, high)
    axis.set_label_text(unit)


def count_axis(axes: Axes, words: str, most: int) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    locator = MaxNLocator(nbins=6, integer=True)
    axes.xaxis.set_major_locator(locator)
    axes.set_xticks([tick for tick in locator.tick_values(0, most) if 0 <= tick <= most])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel(words)


def heat(axes: Axes, grid: Sequence[Sequence[int]]) -> None:
    """Fields from pale to dark by their numbers, which stand in them."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("retries", [CARD, mix(CARD, BLUE, 0.4), EDGE])
    most = max(max(row) for row in grid)
    axes.imshow(grid, aspect="auto", cmap=shades, vmin=0, vmax=most)
    for y, row in enumerate(grid):
        for x, count in enumerate(row):
            if count:
                ink = CARD if count > 0.55 * most else INK
                axes.text(x, y, _few_digits(count), ha="center", va="center", fontsize=8, color=ink)


def field(axes: Axes, x: int, y: int, look: Look) -> None:
    """A field of a grid, with its glyph, so that colour does not speak alone."""
    from matplotlib.patches import Rectangle

    hatch = _HATCHES.get(look.hatch, "")
    corner = (x - 0.46, y - 0.43)
    fill, edge = look.fill, look.stroke
    axes.add_patch(Rectangle(corner, 0.92, 0.86, facecolor=fill, edgecolor=edge, hatch=hatch))
    axes.text(
        *(x, y, look.glyph),
        ha="center",
        va="center",
        fontsize=9,
        color=INK,
        bbox={"facecolor": fill, "edgecolor": "none", "pad": 1.0},
    )


def legend(axes: Axes, samples: Sequence[Any], columns: int = 5) -> None:
    """What the marks mean, at the bottom of the card."""
    axes.figure.legend(
        handles=samples,
        loc="lower left",
        bbox_to_anchor=(0.15 / WIDTH, 0.0),
        ncols=columns,
        frameon=False,
        handletextpad=0.6,
        columnspacing=1.6,
    )


def look(look: Look) -> dict[str, Any]:
    return {
        "color": look.fill,
        "edgecolor": look.stroke,
        "hatch": _HATCHES.get(look.hatch, ""),
        "linewidth": 1,
    }


def sample(look: Look, words: str) -> Any:
    return patch(look.fill, look.stroke, _HATCHES.get(look.hatch, ""), words)


def patch(fill: str, edge: str, hatch: str, words: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(facecolor=fill, edgecolor=edge, hatch=hatch, label=words)


def dot(marker: str, colour: str, words: str, *, line: bool = False, dashed: bool = False) -> Any:
    from matplotlib.lines import Line2D

    style: Any = ("--" if dashed else "-") if line else ""
    return Line2D([], [], color=colour, marker=marker, linestyle=style, markersize=5, label=words)
