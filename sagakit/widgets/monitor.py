"""The monitor: what an engine has in flight, what ends how, and what waits for a person."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import traitlets

from sagakit.drivers.local import Engine
from sagakit.drivers.local.requests import check_decision
from sagakit.errors import (
    EngineClosedError,
    JournalBusyError,
    JournalError,
    ResolutionError,
    SagaError,
)
from sagakit.journal import mail
from sagakit.journal.base import Post
from sagakit.journal.sqlite import SqliteJournal
from sagakit.views.svg import esc
from sagakit.widgets.base import SagaWidget, words
from sagakit.widgets.gauge import Gauge

INTERVAL = 0.4  # seconds between two readings, at least
SHARE = 0.02  # of a processor's time that reading again what was read before may take
LONGEST = 10.0  # seconds between two readings, at most: whoever looks would think that all stands
ANSWER = 3.0  # seconds for which the answer of an engine in another process is waited for
# What can be decided about a stuck execution; the page says so before somebody decides.
WAYS: tuple[dict[str, Any], ...] = (
    {"how": "retry", "meaning": "try again what is stuck", "whole": False, "final": False},
    {
        "how": "skip",
        "meaning": "somebody has settled it by hand: go on as though it had succeeded",
        "whole": False,
        "final": False,
    },
    {
        "how": "abandon",
        "meaning": "leave the whole execution as it is, for good: nothing more is run or undone",
        "whole": True,
        "final": True,
    },
)
_NOTHING: Mapping[str, Any] = {
    "counts": {},
    "throughput": 0.0,
    "window": 0,
    "series": {},
    "running": [],
    "running_more": 0,
    "stuck": [],
    "stuck_more": 0,
}


class EngineMonitor(SagaWidget):
    """Shows an engine live, and lets a person resolve what is stuck, with a name and a reason.

    Given the path of a journal instead, after a kernel restart say, it shows what the journal has,
    and what is decided is posted to the engine that has the journal open, in whatever process.

    It reads the journal in a thread of its own until it is closed, or the engine is. It does not
    read while its page says that nobody sees it: when its cell was run again, say. A page that is
    closed says nothing.

    Parameters:
        engine: an open engine, or the path of its journal.

    Raises:
        JournalError: the journal cannot be read; its subclasses say why.
        EngineClosedError: the engine is closed.
    """

    who = traitlets.Unicode().tag(sync=True)
    ways: traitlets.List[Any] = traitlets.List().tag(sync=True)
    shown = traitlets.Bool(True).tag(sync=True, echo_update=False)

    def __init__(self, engine: Engine | str | os.PathLike[str]) -> None:
        self._source = _source(engine)
        self._over = threading.Event()
        self._lock = threading.RLock()
        self._told: dict[str, Any] = {
            "seq": 0,
            "said": None,
            "about": "",
            "deciding": [],
            "over": "",
        }
        super().__init__(_widget="monitor", who=_user(), ways=list(WAYS), state=self._reading())
        threading.Thread(target=self._watch, name="sagakit-monitor", daemon=True).start()

    # -- readings ---------------------------------------------------------------------------

    def _watch(self) -> None:
        """Read now and then, until it is over."""
        again = 0.0
        while not self._over.wait(pause(again)):
            if not self.shown:
                continue
            began = time.thread_time()  # and not what it waited for an engine that is busy
            self._tick()
            again = (time.thread_time() - began) * self._source.gauge.again

    def refresh(self) -> None:
        """Read now, without waiting for the next time."""
        with self._lock:
            reading = self._reading()
            if _without_time(reading) != _without_time(self.state):
                self.state = reading

    def _reading(self) -> dict[str, Any]:
        """See ``MonitorState`` in ``ui/src/watching.ts``."""
        now = time.time()
        read = {name: self.state.get(name, default) for name, default in _NOTHING.items()}
        try:
            if not self._told["over"]:
                read = self._source.gauge.read(now)
        except JournalBusyError:
            pass  # another program has it for itself; it is asked again
        except JournalError as error:
            self._end(self._source.ended(error))
            return self._reading()
        source = {"source": self._source.name, "again": self._source.again}
        return {"at": now, **source, **read, **self._told}

    def _end(self, why: str) -> None:
        """There is nothing more to come."""
        self._told["over"] = why
        self._over.set()

    @traitlets.observe("shown")
    def _on_shown(self, change: Any) -> None:
        if change["new"]:
            self._tick()

    def _tick(self) -> None:
        with self._lock:
            if self._source.closed and not self._told["over"]:
                self._end(self._source.ended(None))
            self.refresh()

    # -- resolutions ------------------------------------------------------------------------

    def resolve(self, id: str, how: Any, *, by: str, why: str, step: str | None = None) -> str:
        """Decide about a stuck execution, as ``engine.resolve`` does, and wait for what follows.

        Parameters:
            how: ``"retry"``, ``"skip"`` or ``"abandon"``.
            by: who decides; kept in the journal.
            why: the reason; kept in the journal.
            step: only this stuck step; all of them when left out.

        Returns:
            what came of it, in words.

        Raises:
            ResolutionError: it is not stuck, or a name or reason is missing.
            EngineClosedError: the engine is closed.
            JournalError: the journal cannot be written.
        """
        check_decision(ResolutionError, id, by, why)
        try:
            return self._source.resolve(id, how, by, why, step)
        finally:
            self.refresh()

    def _answer(self, edit: dict[str, Any]) -> None:
        """Decide in a thread of its own: what follows may take as long as it likes. That it has
        been taken is told at once: the page keeps the next one back until then, since of two edits
        that wait for a busy kernel only the last one would come."""
        asked = {name: edit.get(name) or "" for name in ("id", "step", "how")}
        asked["seq"] = edit.get("seq", 0)
        with self._lock:
            self._told["deciding"] = [*self._told["deciding"], asked]
            self.refresh()
        threading.Thread(target=self._decide, args=(edit, asked), daemon=True).start()

    def _decide(self, edit: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        came: list[str] = []

        def decide() -> None:
            given = {name: edit.get(name) or "" for name in ("by", "why")}
            step = asked["step"] or None
            came.append(self.resolve(asked["id"], asked["how"], **given, step=step))

        wrong = words(decide)
        said = wrong or {"text": came[0], "level": "info"}
        with self._lock:
            self._told |= {
                "seq": max(self._told["seq"], asked["seq"]),  # they may be answered in any order
                "said": said,
                "about": asked["id"],
                "deciding": [one for one in self._told["deciding"] if one is not asked],
            }
            self.refresh()

    # -- its end, and its looks -------------------------------------------------------------

    def close(self) -> None:
        """Stop reading, and take the widget away."""
        super().close()
        if "_over" in vars(self):  # one whose making failed is closed as well
            self._over.set()
            self._source.close()

    def _picture(self) -> str:
        state = self.state
        counts = "".join(
            f"<tr><td>{esc(status)}</td><td>{count:,}</td></tr>"
            for status, count in state["counts"].items()
        )
        stuck = "".join(
            f"<tr><td>{esc(one['id'])}</td><td>{esc(one['saga'])}</td><td>"
            + "; ".join(esc(f"{step['step']}: {step['why']}") for step in one["steps"])
            + "</td></tr>"
            for one in state["stuck"]
        )
        listed = f"<table><tr><th>stuck</th><th>saga</th><th>why</th></tr>{stuck}</table>"
        table = f"<table><tr><th>status</th><th>executions</th></tr>{counts}</table>"
        return (
            (table if counts else "<p>no executions yet</p>")
            + (listed if stuck else "")
            + (f"<p>{esc(state['over'])}</p>" if state["over"] else "")
        )

    def __repr__(self) -> str:
        counts = self.state["counts"]
        told = ", ".join(f"{count:,} {status}" for status, count in counts.items())
        return f"<EngineMonitor: {told or 'no executions'}>"


class _OfEngine:
    """An engine of this process."""

    def __init__(self, engine: Engine) -> None:
        if engine.closed:
            raise EngineClosedError("the engine is closed; open another one on its journal")
        self.engine = engine
        path = getattr(engine.journal, "path", None)
        self.path = None if path is None else str(path)
        self.name = "in memory" if path is None else Path(path).name
        self.again = "" if path is None else f"EngineMonitor({self.path!r})"
        self.gauge = Gauge(engine.journal)

    @property
    def closed(self) -> bool:
        return self.engine.closed

    def ended(self, error: JournalError | None) -> str:
        if error is not None and not self.engine.closed:
            return str(error)
        again = f"; {self.again} shows its journal" if self.again else ""
        return f"the engine is closed: this is how it stood{again}"

    def resolve(self, id: str, how: Any, by: str, why: str, step: str | None) -> str:
        execution = self.engine.resolve(id, how, by=by, why=why, step=step)
        return f"{how}: execution '{id}' is {execution.status}"

    def close(self) -> None:
        """The engine is its owner's."""


class _OfJournal:
    """A journal, opened to be read; who has it open for writing is asked by post."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.again = f"EngineMonitor({str(path)!r})"
        self.journal = SqliteJournal(path, read_only=True)
        self._file = _identity(path)
        self.gauge = Gauge(self.journal)

    @property
    def closed(self) -> bool:
        """Whether the file that is read is no longer the one of this path."""
        return _identity(self.path) != self._file

    def ended(self, error: JournalError | None) -> str:
        if error is not None:
            return str(error)
        return (
            f"the journal '{self.path}' was taken away or replaced: this is how it stood; "
            f"{self.again} shows what is there now"
        )

    def resolve(self, id: str, how: Any, by: str, why: str, step: str | None) -> str:
        if self.closed:  # a namesake in another journal is not meant
            raise ResolutionError(self.ended(None))
        self.journal.parent(id)  # an error, if there is no such execution
        if how not in ("retry", "skip", "abandon"):
            raise ResolutionError(f"'{how}' is not a resolution: retry, skip or abandon")
        at = time.time()
        post = Post(uuid.uuid4().hex, to=id, at=at, by=by, why=why, resolution=how, step=step)
        with SqliteJournal.explained(self.path):
            mail.post(self.path, post)
            outcome = self._outcome(post.id, at + ANSWER)
        if outcome is None:
            return (
                f"{how}: posted, and no engine has answered yet. If none has the journal open, "
                f"open one that knows the saga, and it decides so: engine = "
                f"Engine({str(self.path)!r}, sagas=[…]); engine.recover()"
            )
        if outcome != mail.DELIVERED:
            raise SagaError(outcome)
        return f"{how}: the engine that has the journal open has recorded it"

    def _outcome(self, post: str, until: float) -> str | None:
        while True:
            outcome, _ = mail.outcome(self.path, post)
            if outcome is not None or time.time() > until:
                return outcome
            time.sleep(0.05)

    def close(self) -> None:
        self.journal.close()


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is, whatever it holds; None: there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _source(given: Engine | str | os.PathLike[str]) -> _OfEngine | _OfJournal:
    if isinstance(given, Engine):
        return _OfEngine(given)
    if isinstance(given, str | os.PathLike):
        return _OfJournal(Path(given))
    raise SagaError(f"{given!r} is no engine; give an Engine, or the path of its journal")


def pause(again: float) -> float:
    """How long to wait, in seconds, after a reading that has taken so many of a processor's for
    what had been read before. For what is new there is no use in waiting: it would only be more."""
    return min(max(INTERVAL, again / SHARE), LONGEST)


def _without_time(state: Mapping[str, Any]) -> dict[str, Any]:
    """A reading as far as it says something new."""
    return {name: value for name, value in state.items() if name != "at"}


def _user() -> str:
    """Who is likely to decide: what the form begins with."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
