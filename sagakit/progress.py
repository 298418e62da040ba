"""How long work tells how far it is: one protocol, whether a person watches or not.

``with progress("recover", total=830) as tick: … tick(1)``. What becomes of the ticks is the
caller's choice, handed on as ``progress=``; left open, a bar is drawn where somebody can see it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from sagakit.errors import SagaError

Tick = Callable[[int], object]
Progress = bool | Tick | None

VARIABLE = "SAGAKIT_PROGRESS"
SOON = 0.5  # seconds: what is over sooner shows no bar

# A kernel that one of these started has a person before it; nbclient, nbconvert and nbval set none.
_FRONT_ENDS = ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG")
# Here nobody watches, and whatever is drawn stays in a log.
_MACHINES = ("CI", "PYTEST_VERSION")


@contextlib.contextmanager
def progress(
    what: str,
    show: Progress = None,
    *,
    total: int | Callable[[], int] | None = None,
    unit: str = "it",
) -> Iterator[Tick]:
    """Report how far a piece of work is; gives the function to call with each number done.

    Parameters:
        what: names the work, before the bar.
        show: a function is called with every number done, and nothing is drawn; True draws a
            bar, False none. None: as the environment variable ``SAGAKIT_PROGRESS`` says (1 or
            0); without it, a bar is drawn on a terminal and in a notebook that a person has open,
            but not where output is piped, in CI, under pytest and nbval, or when nbconvert runs
            the notebook.
        total: how many there will be, or what counts them if a bar is drawn; None: not known.
        unit: what is counted.

    Raises:
        SagaError: the environment variable is neither 0 nor 1.
    """
    if callable(show):
        yield show
        return
    if not (_wanted() if show is None else show):
        yield _silent
        return
    delay = SOON if show is None else 0.0
    bar = _bar(desc=what, total=total() if callable(total) else total, unit=f" {unit}", delay=delay)
    try:
        yield bar.update
    finally:  # also after Ctrl-C: the line is cleared and the cursor stands at its beginning
        bar.close()


def _silent(_: int) -> None:
    """Nobody watches."""


def _bar(**options: Any) -> Any:
    with warnings.catch_warnings():  # of tqdm.auto, if ipywidgets are missing
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

        return tqdm(leave=False, dynamic_ncols=True, **options)


def _wanted() -> bool:
    """Whether somebody watches: see ``progress``."""
    said = os.environ.get(VARIABLE, "")
    if said not in ("", "0", "1"):
        raise SagaError(f"the environment variable {VARIABLE} is '{said}'; give it 0 or 1")
    if said:
        return said == "1"
    if any(os.environ.get(name) for name in _MACHINES):
        return False
    if type(sys.stderr).__module__.startswith("ipykernel"):
        return any(os.environ.get(name) for name in _FRONT_ENDS)
    return sys.stderr is not None and sys.stderr.isatty()
