"""The widgets that watch: a step of the player's scrubber, a large trace, a monitor's price.

The pages are measured in real JupyterLab. An engine is measured with a monitor and without, in
turns in one process: ``python watching.py WHAT FOLDER ROUNDS SECONDS``.
"""

from __future__ import annotations

import collections
import gc
import gzip
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import page
from measure import HERE, ratio, spread, worker
from report import Goal, Group, Table

SIZE = "The page of all widgets, gzipped: script and style"
SCRUB, FRAME = (
    "A step of the player's scrubber, saga of {} steps, work of the page: player ÷ bare React Flow",
    "A step of the player's scrubber, saga of {} steps, time of a frame: player ÷ bare React Flow",
)
OPEN, PAN = (
    "Opening a trace of {:,} spans, from running the cell until its bars are visible",
    "Panning a trace of {:,} spans, work of the page: beside one of {}",
)
COST, LONGEST = (
    "A monitor {}: what it costs an Engine that runs sagas in sequence, of its sagas a second",
    "The page of a monitor that follows such an Engine: tasks of 50 ms or more",
)
SAGAS = (20, 200)  # steps of those that are scrubbed
SPANS = (50, 5000)


def measure(quick: bool) -> Group:
    group = Group("Watching: player, explorer, monitor")
    _bundle(group)
    _engine(group, quick)
    reason = page.missing()
    if reason:
        unmeasured = {what.format(size): "≤ 1.2" for size in SAGAS for what in (SCRUB, FRAME)}
        unmeasured |= {OPEN.format(SPANS[1]): "under 1.5 s", PAN.format(*SPANS[::-1]): "≤ 1.5"}
        unmeasured[LONGEST] = "none"
        group.goals += [Goal(what, wanted, reason, None) for what, wanted in unmeasured.items()]
        return group
    with tempfile.TemporaryDirectory() as folder, page.lab(Path(folder)) as (browser, screen):
        _scrub(group, browser, screen, Path(folder), 2 if quick else 12)
        _explore(group, browser, screen, 2 if quick else 12)
        _follow(group, screen, Path(folder), *((1, 1) if quick else (8, 3)))
    return group


def _bundle(group: Group) -> None:
    script, style = (
        len(gzip.compress((page.STATIC / name).read_bytes(), 9, mtime=0)) / 1000
        for name in ("sagakit.js", "sagakit.css")
    )
    said = f"{script + style:.0f} kB ({script:.0f} + {style:.0f})"
    group.goals.append(Goal(SIZE, "under 220 kB", said, script + style < 220))


# -- an engine, and what a monitor costs it --------------------------------------------------------

IN_FLIGHT = 50
LOADS = {"in_sequence": "in sequence", "in_flight": f"{IN_FLIGHT} in flight"}
MONITORS = {"engine": "of the engine", "path": "of its journal"}


def _engine(group: Group, quick: bool) -> None:
    rounds, seconds = (1, 0.5) if quick else (40, 1.0)
    table = Table(
        "An engine with a monitor and without",
        (
            "sagas",
            "monitor",
            "without, sagas/s",
            "with it",
            "processor time of a saga: with it ÷ without",
            "a reading takes",
        ),
    )
    for load, what in LOADS.items():
        # Beside this file, so that it is on a real disk (/tmp may be in memory).
        folder = tempfile.mkdtemp(prefix=".work-", dir=HERE)
        try:
            found = worker("watching", load, folder, rounds, seconds)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        without = found["none"]
        for name, words in MONITORS.items():
            rates, times = found[name]["rates"], found[name]["times"]
            share = ratio(rates, without["rates"])
            table.rows.append(
                (
                    what,
                    words,
                    f"{median(without['rates']):,.0f}",
                    f"{share:.1%} ({spread(rates)})",
                    f"{ratio(times, without['times']):.3f}",
                    f"{median(found[name]['readings']) * 1e3:.1f} ms",
                )
            )
            if load == "in_sequence":
                cost = 1 - share
                goal = Goal(COST.format(words), "under 5 %", f"{cost:.1%}", cost < 0.05)
                group.goals.append(goal)
    table.notes.append(
        "Sagas of four no-op async steps, SQLite. In each round the same engine runs for "
        f"{seconds:g} s without a monitor, for as long with one of it, and with one of its "
        "journal's path, in an order that rotates; ratios are taken within a round. The processor "
        "time is that of the process, the monitor's thread with it. There is no page here."
    )
    group.tables.append(table)


def _turns(load: str, folder: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """Rates (sagas a second), processor time of a saga, and what readings took (seconds)."""
    from sagakit import Engine, Saga, step
    from sagakit.widgets.monitor import EngineMonitor

    class Timed(EngineMonitor):
        def refresh(self) -> None:
            begin = perf_counter()
            super().refresh()
            readings.append(perf_counter() - begin)

    readings: list[float] = []
    saga = Saga("noop", *(step(_noop, _noop, name=f"step_{n}") for n in range(4)))
    path = folder / "sagas.db"
    names = ["none", *MONITORS]
    found: dict[str, Any] = {name: {"rates": [], "times": [], "readings": []} for name in names}
    with Engine(path, concurrency=IN_FLIGHT) as engine:
        run = _in_flight if load == "in_flight" else _in_sequence
        run(engine, saga, seconds / 4)
        for turn in range(rounds):
            shift = turn % len(names)
            for name in names[shift:] + names[:shift]:
                watched = {"engine": engine, "path": path}.get(name)
                readings.clear()
                gc.collect()
                with closing(Timed(watched)) if watched else nullcontext():
                    begin, worked = perf_counter(), process_time()
                    count = run(engine, saga, seconds)
                    found[name]["rates"].append(count / (perf_counter() - begin))
                    found[name]["times"].append((process_time() - worked) / count)
                found[name]["readings"] += readings
    return found


async def _noop() -> None:
    pass


def _in_sequence(engine: Any, saga: Any, seconds: float) -> int:
    count, begin = 0, perf_counter()
    while perf_counter() - begin < seconds or not count:
        engine.run(saga)
        count += 1
    return count


def _in_flight(engine: Any, saga: Any, seconds: float) -> int:
    futures: collections.deque[Any] = collections.deque()
    count, begin = 0, perf_counter()
    while perf_counter() - begin < seconds or not count:
        futures.append(engine.start(saga))  # waits while so many are in flight
        count += 1
        if len(futures) > 2 * IN_FLIGHT:
            futures.popleft().result()
    for future in futures:
        future.result()
    return count


# -- the player ------------------------------------------------------------------------------------

PLAYED = """\
import json
from sagakit import Saga, Scenario, step
from sagakit.widgets import SagaPlayer

class World:
    def __init__(self):
        self.held = [0] * 6
    def ledgers(self):
        return {"stock": {f"shelf {n}": held for n, held in enumerate(self.held)}}

def saga(world):
    def put(number, by):
        def act(ctx):
            world.held[number % 6] += by
        return act
    return Saga("grid", *(
        step(put(n, 1), put(n, -1), name=f"s{n}", after=[] if n < 10 else [f"s{n - 10}"])
        for n in range(SIZE)
    ))

player = SagaPlayer(saga, world=World, scenario=Scenario().fail(f"s{SIZE - 1}"))
"""
MOVES = 30  # of the scrubber there, and as many back

# One move, then until its frame is drawn: the same for both pages, and for frames without a move.
_EACH = """async ({how, each}) => {
  const input = document.querySelector('.sk-player input[type=range]');
  const { set } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value');
  const does = {
    scrub: place => {
      set.call(input, place);
      input.dispatchEvent(new Event('input', {bubbles: true}));
    },
    show: look => globalThis.show(look),
    nothing: () => {},
  }[how];
  const channel = new MessageChannel();
  const times = [];
  for (const one of each) {
    does(one);
    await new Promise(requestAnimationFrame);
    await new Promise(done => { channel.port1.onmessage = done; channel.port2.postMessage(0); });
    times.push(performance.now());
  }
  channel.port1.close();
  return (times.at(-1) - times[0]) / (times.length - 1);
}"""


def _scrub(group: Group, browser: Any, screen: Any, folder: Path, rounds: int) -> None:
    table = Table("A step of the scrubber", ("saga", "page", "a frame", "work for one step"))
    for size in SAGAS:
        found = _scrubbed(browser, screen, folder, size, rounds)
        for name, figures in found.items():
            frames, works = zip(*figures, strict=True)
            cells = (f"{median(column):.1f} ms ({spread(column)})" for column in (frames, works))
            table.rows.append((f"{size} steps", name, *cells))
        for what, column in ((FRAME, 0), (SCRUB, 1)):
            own, bare = ([one[column] for one in found[name]] for name in ("player", "bare"))
            times = ratio(own, bare)
            goal = Goal(what.format(size), "≤ 1.2", f"{times:.2f}", times <= 1.2)
            group.goals.append(goal)
    table.notes.append(
        f"Medians of {rounds} turns of {MOVES} events on and {MOVES} back, an event a frame, all "
        "steps in sight, each page a notebook in JupyterLab. The bare page gives new objects to "
        "React Flow for those steps whose look the event changes, two or three, with another "
        "label, colour and outline. The player shows these, the ledgers, the log and the scrubber "
        f"besides. {page.WORK} What JupyterLab works in a frame without a change is taken off "
        "both. No frame is shorter than 16.7 ms."
    )
    group.tables.append(table)


def _scrubbed(
    browser: Any, screen: Any, folder: Path, size: int, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Of each page and turn: milliseconds of a frame, and of work for a step."""
    from playing import Player

    book = screen.notebook([f"SIZE = {size}\n{PLAYED}", "player"])
    book.run(0)
    book.run(1)
    shown = Player(book, 1, "player")
    shown.step("s0").focus()
    book.page.keyboard.press("0")  # everything in sight
    shown.root.evaluate("root => root.scrollIntoView()")
    told = book.value("json.dumps([player.state['film'], player.legend['states']])")
    forth, back = _looks(*json.loads(told))
    bare = page.bare_page(browser, screen.server, shown.root.locator(".sk-canvas"), folder)
    found: dict[str, list[tuple[float, float]]] = {"player": [], "bare": []}
    first = len(forth) // 2 - MOVES // 2  # some go on, some are undone
    on = range(first, first + MOVES)
    places = [*on, *(event - 1 for event in reversed(on))]
    looks = [*(forth[event] for event in on), *(back[event] for event in reversed(on))]
    book.page.evaluate(_EACH, {"how": "scrub", "each": [0, first - 1]})
    bare.evaluate(_EACH, {"how": "show", "each": forth[:first]})
    for turn in range(rounds + 1):  # the first one warms both up
        for name, which, how, each in (
            ("player", book.page, "scrub", places),
            ("bare", bare, "show", looks),
        ):
            figures = _turn(which, how, each)
            if turn:
                found[name].append(figures)
    bare.context.close()
    book.close()
    return found


def _turn(shown: Any, how: str, each: Sequence[Any]) -> tuple[float, float]:
    meter = page.Meter(shown)
    frame = shown.evaluate(_EACH, {"how": how, "each": each})
    work = meter.lap()
    shown.evaluate(_EACH, {"how": "nothing", "each": each})
    work -= meter.lap()
    meter.close()
    return frame, work / len(each)


Look = dict[str, dict[str, Any]]  # by step: what changes of its node


def _looks(film: dict[str, Any], states: dict[str, Any]) -> tuple[list[Look], list[Look]]:
    """What to show at each event that comes from the one before it, and from it to that one."""
    changes: collections.defaultdict[int, dict[str, str]] = collections.defaultdict(dict)
    for event, node, state in zip(*[iter(film["changes"])] * 3, strict=True):
        changes[event][film["paths"][node]] = film["states"][state]
    known = dict.fromkeys((node["path"] for node in film["nodes"]), "pending")
    forth, back, now = [], [], ""

    def looks(paths: set[str]) -> Look:
        return {
            path: {
                "data": {"label": f"{path} {known[path]}"},
                "style": {
                    "background": states[known[path]]["fill"],
                    "outline": f"{2 if path == now else 0}px solid blue",
                },
            }
            for path in paths
        }

    for event, step in enumerate(film["events"]["step"]):
        then = film["paths"][step] if step >= 0 else ""
        changed = {*changes[event], *({now, then} - {""} if then != now else ())}
        back.append(looks(changed))
        known |= changes[event]
        now = then
        forth.append(looks(changed))
    return forth, back


# -- the explorer ----------------------------------------------------------------------------------

TRACES = """\
import random
from sagakit import Trace
from sagakit.spans import Span
from sagakit.widgets import TraceExplorer

def trace(count):
    "Requests of a server, one after the other, each with nine calls of databases inside."
    dice, made, now = random.Random(1), [], 0.0
    def span(inside, name, start, end):
        made.append(Span("a" * 32, f"{len(made):016x}", inside, name, start, end,
                         status="error" if dice.random() < 0.01 else "ok"))
        return made[-1].span_id
    server = span(None, "server", 0.0, count * 0.01)
    while len(made) < count:
        took = dice.uniform(0.02, 0.09)
        request = span(server, f"request {dice.randrange(40)}", now, now + took)
        for call in range(9):
            at = now + took * call / 9
            span(request, f"query {dice.randrange(5)}", at, at + took / 9 * dice.random())
        now += took
    return Trace(made[:count])

given = trace(COUNT)
"""
BARS = ".sk-explorer .sk-piece"
PANS = (80, (9.0, 0.0))  # moves of the mouse, there and back, and px of each
ZOOMS = 2  # by half each: only what is not in sight as a whole can be panned


def _explore(group: Group, browser: Any, screen: Any, rounds: int) -> None:
    from lab import Screen

    table = Table("A trace", ("spans", "bars drawn", "opening it", "work for one move", "a frame"))
    opened: dict[int, list[float]] = {}
    panned: dict[int, list[tuple[float, float]]] = {size: [] for size in SPANS}
    shown = {size: Screen.open(browser, screen.server) for size in SPANS}
    bars = {}
    for size, one in shown.items():
        book = one.notebook([f"COUNT = {size}\n{TRACES}", "TraceExplorer(given)"])
        book.run(0)
        opened[size] = [page.painted(book, 1, BARS, 20) for _ in range(max(2, rounds // 2))]
        root = book.output(1).locator(".sk-root")
        root.evaluate("root => root.scrollIntoView()")
        root.get_by_role("tree").focus()
        for _ in range(ZOOMS):
            one.page.keyboard.press("+")
    for turn in range(rounds + 1):  # the first one warms both up
        for size, one in shown.items():
            figures = _panned(one.page)
            if turn:
                panned[size].append(figures)
    for size, one in shown.items():
        bars[size] = one.page.locator(BARS).count()
        one.close()
    for size in SPANS:
        works, frames = zip(*panned[size], strict=True)
        cells = (f"{median(column):.1f} ms ({spread(column)})" for column in (works, frames))
        took = f"{median(opened[size]):.2f} s ({spread(opened[size])})"
        table.rows.append((f"{size:,}", f"{bars[size]:,}", took, *cells))
    few, many = ([work for work, _ in panned[size]] for size in SPANS)
    took, times = median(opened[SPANS[1]]), ratio(many, few)
    group.goals += [
        Goal(OPEN.format(SPANS[1]), "under 1.5 s", f"{took:.2f} s", took < 1.5),
        Goal(PAN.format(*SPANS[::-1]), "≤ 1.5", f"{times:.2f}", times <= 1.5),
    ]
    table.notes.append(
        "Opening it: from the command that runs `TraceExplorer(given)` until a frame with bars is "
        f"drawn. Panning: medians of {rounds} drags of {PANS[0]} moves, {PANS[1][0]:g} px each, "
        f"half of them back, in turns, each trace in a page of its own, zoomed {1.5**ZOOMS:g}×. "
        f"{page.WORK}"
    )
    group.tables.append(table)


def _panned(shown: Any) -> tuple[float, float]:
    meter = page.Meter(shown)
    box = shown.locator(".sk-explorer .sk-axis").first.bounding_box()
    x, y = box["x"] + box["width"] * 0.2, box["y"] + box["height"] + 60
    shown.mouse.move(x, y)
    shown.mouse.down()
    shown.mouse.move(x - 5, y)
    figures = meter.moved(x - 5, y, *PANS)
    shown.mouse.up()
    meter.close()
    return figures


# -- the monitor's page ----------------------------------------------------------------------------

FOLLOWED = """\
import time
from sagakit import Engine, Saga, step
from sagakit.widgets.monitor import EngineMonitor

async def noop(): ...

saga = Saga("noop", *(step(noop, noop, name=f"step_{n}") for n in range(4)))
engine = Engine(PATH)

def load(seconds):
    "Sagas a second."
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        engine.run(saga)
        count += 1
    return count / (time.perf_counter() - begin)

rates = {True: [], False: []}
"""
# The tasks of the page that took 50 ms or more.
_LONG = """() => {
  window.longTasks = [];
  window.longSeen = new PerformanceObserver(list => {
    for (const { duration } of list.getEntries()) longTasks.push(duration);
  });
  longSeen.observe({type: 'longtask'});
}"""
_LONG_END = """() => {
  for (const { duration } of longSeen.takeRecords()) longTasks.push(duration);
  longSeen.disconnect();
  return longTasks;
}"""


def _follow(group: Group, screen: Any, folder: Path, rounds: int, seconds: float) -> None:
    path = str(folder / "followed.db")
    book = screen.notebook(
        [f"PATH = {path!r}\n{FOLLOWED}", "monitor = EngineMonitor(engine)\nmonitor"]
    )
    book.run(0)
    long: list[float] = []
    works = []
    for turn in range(rounds + 1):  # the first one warms it up
        for is_watched in (True, False) if turn % 2 else (False, True):
            if is_watched:
                book.run(1)
                book.output(1).locator(".sk-root").wait_for()
                book.page.evaluate(_LONG)
            meter = page.Meter(book.page)
            book.execute(f"rates[{is_watched}].append(load({seconds}))")
            if is_watched:
                found = book.page.evaluate(_LONG_END)
                works.append(meter.lap() / seconds)
                long += found if turn else []
                book.execute("monitor.close()")
            meter.close()
    rates: dict[bool, list[float]] = book.value("rates")
    book.execute("engine.close()")
    book.close()
    share = ratio(rates[True][1:], rates[False][1:])
    said = f"{len(long)}" + (f", the longest of {max(long):.0f} ms" if long else "")
    group.goals.append(Goal(LONGEST, "none", said, not long))
    table = Table(
        "A monitor and its page, in JupyterLab",
        ("sagas/s without", "with it", "work of the page in a second"),
    )
    table.rows.append(
        (
            f"{median(rates[False][1:]):,.0f}",
            f"{share:.1%} ({spread(rates[True][1:])})",
            f"{median(works[1:]):.0f} ms",
        )
    )
    table.notes.append(
        f"Medians of {rounds} rounds of {seconds:g} s without a monitor and {seconds:g} s with "
        "one whose page is in sight, in turns, in a kernel of JupyterLab: what the browser works "
        f"is on the same machine, and taken off the engine where cores are few. {page.WORK}"
    )
    group.tables.append(table)


if __name__ == "__main__":
    load, where, turns, slice_ = sys.argv[1:]
    assert load in LOADS, f"'{load}' is none of {', '.join(LOADS)}"
    print(json.dumps(_turns(load, Path(where), int(turns), float(slice_))))
