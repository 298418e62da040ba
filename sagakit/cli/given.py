"""What commands are given: sagas and other Python objects, inputs, journals; and the options that
many of them have.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sagakit.errors import SagaError

if TYPE_CHECKING:
    from sagakit.saga import Saga


def text(value: str) -> str:
    """Words of a person. Python hands bytes that the locale cannot read on as surrogates; the
    terminal that typed them most likely speaks UTF-8. A ValueError becomes a usage error."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8")


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
journal_argument = click.argument("journal", type=click.Path(path_type=Path))
wait_option = click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=2.0,
    metavar="SECONDS",
    help="If an engine has the journal open: how long to wait for what it says (default 2).",
)


def load_saga(reference: str) -> Saga:
    """A saga from a YAML file or from MODULE_OR_FILE.py:NAME.

    Raises:
        SagaError: there is no such file, module or name, or it is not a saga.
    """
    from sagakit.builder import SagaBuilder
    from sagakit.saga import Saga

    if reference.endswith((".yaml", ".yml")):
        if not Path(reference).is_file():
            raise SagaError(f"there is no file '{reference}'")
        return Saga.from_yaml(reference)
    if reference and Path(reference).is_dir():
        raise SagaError(f"'{reference}' is a folder; give FILE.yaml or FILE.py:NAME")
    place, colon, name = reference.rpartition(":")
    if not colon:
        place, name = reference, ""
    module = _import(place, reference)
    sagas = {key: v for key, v in vars(module).items() if isinstance(v, Saga | SagaBuilder)}
    if not name and len(sagas) == 1:
        name = next(iter(sagas))
    if name not in sagas:
        known = ", ".join(f"'{place}:{key}'" for key in sagas) or "none"
        choice = f"holds {len(sagas)} sagas" if sagas and not name else "is not a saga"
        raise SagaError(f"'{reference}' {choice}; those in it: {known}")
    found = sagas[name]
    return found.build() if isinstance(found, SagaBuilder) else found


def load(reference: str) -> Any:
    """What a module or file has under a name: MODULE_OR_FILE.py:NAME, where NAME may be dotted.

    Raises:
        SagaError: there is no such file, module or name.
    """
    place, _, name = reference.rpartition(":")
    if not place:
        raise SagaError(f"'{reference}' names nothing; give FILE.py:NAME or MODULE:NAME")
    found = _import(place, reference)
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise SagaError(f"'{place}' has no '{name}'") from None
    return found


def _import(place: str, reference: str) -> Any:
    """A module or file, run once: what a command takes from it in two places belongs together."""
    known = os.path.abspath(place) if place.endswith(".py") else place
    if known not in _imported:
        _imported[known] = _run_module(place, reference)
    return _imported[known]


_imported: dict[str, Any] = {}


def _run_module(place: str, reference: str) -> Any:
    import importlib
    import importlib.util

    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise SagaError(f"there is no file '{place}'")
        sys.path.insert(0, str(path.parent.absolute()))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        mine = sys.modules.setdefault(path.stem, module) is module
        with _loading(place):
            try:
                spec.loader.exec_module(module)
            except BaseException:
                if mine:  # as importlib does: half a module is none
                    sys.modules.pop(path.stem, None)
                raise
        return module
    neither = f"'{reference}' is neither a .yaml file nor a module; give FILE.yaml or FILE.py:NAME"
    if not all(part.isidentifier() for part in place.split(".")):
        raise SagaError(neither)
    sys.path.insert(0, str(Path.cwd()))
    with _loading(place):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if f"{place}.".startswith(f"{error.name}."):
                raise SagaError(neither) from None
            raise


@contextlib.contextmanager
def _loading(place: str) -> Iterator[None]:
    """Say in one line, with the line of the user's code, why it could not be loaded."""
    try:
        yield
    except SagaError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  user code may raise anything
        if isinstance(error, SyntaxError):
            what, file, line = error.msg, error.filename, error.lineno
        else:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            what, file, line = str(error), frame.filename, frame.lineno
        raise SagaError(
            f"'{place}' cannot be loaded: {type(error).__name__}: {what} ({file}, line {line})"
        ) from None


def read_input(text: str | None, option: str = "--input") -> Any:
    import msgspec

    if text is None:
        return None
    source = option
    if text.startswith("@"):
        source = text[1:]
        try:
            text = Path(source).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise SagaError(f"{option} @{source}: {why}") from None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise SagaError(f"{source} is not JSON: {error}") from None


def must_exist(journal: Path) -> None:
    if not journal.is_file():
        raise SagaError(f"there is no journal '{journal}'")


class reading:  # noqa: N801  used as a function
    """A journal opened for reading, beside an engine that may be writing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Any:
        from sagakit.journal.sqlite import SqliteJournal

        must_exist(self.path)
        self.journal = SqliteJournal(self.path, read_only=True)
        return self.journal

    def __exit__(self, *_: object) -> None:
        self.journal.close()


def optional(module: str, extra: str) -> Any:
    """Import a part that an extra brings, or say how to get it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("sagakit"):
            raise
        raise SagaError(f"this needs {error.name}: pip install 'sagakit[{extra}]'") from None
