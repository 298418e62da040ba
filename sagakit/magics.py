"""Magics for notebooks, by ``%load_ext sagakit``: ``%%saga NAME`` makes a saga of the YAML in its
cell, and ``%saga`` runs, checks and writes it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from sagakit import spec
from sagakit.builder import SagaBuilder
from sagakit.cli.scenarios import scenario_of
from sagakit.drivers.local import run
from sagakit.drivers.simulated import simulate
from sagakit.errors import DefinitionError, SagaError
from sagakit.execution import Execution
from sagakit.lab.check import Findings, check, refused
from sagakit.saga import Saga

HELP = """\
%%saga NAME              makes a saga of the YAML in the cell, draws it and checks it
%%saga NAME --simulate   the same, with actions that are only played
%saga run NAME [INPUT]   runs it in virtual time (--fail STEP breaks it, --real takes the time)
%saga check NAME         says what will hurt
%saga yaml NAME          prints it as YAML
INPUT is YAML, such as {amount: 42}, or the name of a variable. %saga? says more.
"""
_VERBS = ("run", "check", "yaml")
_RUN_OPTIONS = ("--fail", "--scenario", "--seed", "--real")


@magics_class
class SagaMagics(Magics):
    """``%%saga`` and ``%saga``."""

    @magic_arguments("saga")
    @argument("name", metavar="NAME", help="The variable that the saga is bound to.")
    @argument("-s", "--simulate", action="store_true", help="Play the actions, call none.")
    @argument("-q", "--quiet", action="store_true", help="Draw nothing; say only what is wrong.")
    @no_var_expand
    @cell_magic("saga")  # type: ignore[arg-type]  # IPython's types know only functions
    def saga_cell(self, line: str, cell: str) -> None:
        """Make a saga of the YAML in the cell, draw it and check it.

        The names of actions in it stand for the functions of the notebook that are called so. If
        the text is wrong, each problem is shown with its line of the cell, and NAME stays as it
        was.
        """
        given = _parsed(self.saga_cell, line)
        text = f"\n{cell}"  # the magic is the cell's first line
        if not given.name.isidentifier() or keyword.iskeyword(given.name):
            raise UsageError(f"'{given.name}' is no name for a variable; use letters, digits and _")
        try:
            saga = self._read(text, simulated=given.simulate)
        except DefinitionError as error:
            _show(refused(error.problems, None, given.name))
            return
        self._shell.user_ns[given.name] = saga
        findings = check(saga, text=text)
        if not given.quiet:
            display(saga)
        if findings or not given.quiet:
            _show(findings)

    @magic_arguments("saga")
    @argument("verb", nargs="?", metavar="run|check|yaml", help="What to do; none shows a help.")
    @argument("name", nargs="?", metavar="NAME", help="The variable that holds the saga.")
    @argument(
        "input", nargs="?", metavar="INPUT",
        help="For run: the input, as YAML or as the name of a variable.",
    )  # fmt: skip
    @argument(
        "--fail", action="append", default=[], metavar="STEP[@ATTEMPT]",
        help="For run: the step fails for good, or at that attempt; repeatable.",
    )  # fmt: skip
    @argument("--scenario", metavar="FILE|NAME", help="For run: faults as data.")
    @argument("--seed", type=int, default=0, help="For run: what chance is drawn from.")
    @argument("--real", action="store_true", help="For run: in real time.")
    @no_var_expand
    @line_magic("saga")  # type: ignore[arg-type]
    def saga_line(self, line: str) -> Execution | Findings | None:
        """Run a saga in virtual time, check it, or print it as YAML."""
        options, text = _parted(line)
        given = _parsed(self.saga_line, options)
        if given.verb is None:
            print(HELP, end="")
            return None
        if given.verb not in _VERBS:
            near = spec.nearest(given.verb, _VERBS) or f"; give {', '.join(_VERBS)}"
            raise UsageError(f"%saga {given.verb}: there is no '{given.verb}'{near}")
        try:
            saga = self._saga(given.name, given.verb)
            if given.verb == "run":
                return self._run(saga, given, self._input(text, given.input))
            if given.verb == "check":
                return check(saga)
            print(saga.to_yaml(), end="")
        except SagaError as error:
            raise UsageError(str(error)) from None
        return None

    # -- what they need ----------------------------------------------------------------------

    @property
    def _shell(self) -> InteractiveShell:
        assert self.shell is not None  # magics are made by a shell
        return self.shell

    def _read(self, text: str, *, simulated: bool) -> Saga:
        node, document, found = spec.read(text, "the cell")
        if document is None:
            raise DefinitionError("the cell", found)
        try:
            functions = {} if simulated else self._functions()
            whose = "" if simulated else "the functions of this notebook"
            cure = "define it in a cell above, or add --simulate"
            saga = Saga.from_names(document, functions, whose=whose, cure=cure)
        except DefinitionError as error:
            found += spec.with_lines(error.problems, node)
        if found:
            raise DefinitionError("the cell", sorted(found, key=_line))
        return saga

    def _functions(self) -> dict[str, Any]:
        """What the notebook has defined and can be called; not what IPython has put there."""
        theirs = self._shell.user_ns_hidden
        return {
            name: value
            for name, value in self._shell.user_ns.items()
            if callable(value) and theirs.get(name) is not value
        }

    def _saga(self, name: str | None, verb: str) -> Saga:
        sagas = _known(self._shell.user_ns)
        if name in sagas:
            found = sagas[name]
            return found.build() if isinstance(found, SagaBuilder) else found
        known = f"there are {', '.join(sagas)}" if sagas else "%%saga makes one"
        if name is None:
            raise UsageError(f"%saga {verb} needs the name of a saga; {known}")
        near = spec.nearest(name, sagas) or f"; {known}"
        raise UsageError(f"%saga {verb}: there is no saga '{name}'{near}")

    def _input(self, text: str, name: str | None) -> Any:
        """The input, written out or held by a variable."""
        if not text and name is not None and name in self._shell.user_ns:
            return self._shell.user_ns[name]
        written = text or name
        if not written:
            return None
        import yaml

        try:
            return yaml.safe_load(written)
        except yaml.YAMLError as error:
            why = getattr(error, "problem", None) or "it cannot be read"
            raise UsageError(f"the input {written} is not YAML: {why}") from None

    def _run(self, saga: Saga, given: Any, value: Any) -> Execution:
        scenario = scenario_of(given.scenario, given.fail, (), None, saga)
        if given.real:
            return run(saga, value, scenario=scenario)
        return simulate(saga, value, scenario=scenario, seed=given.seed)


def _show(findings: Findings) -> None:
    """All of them, in text too: who sees no tables must see them as well."""
    display({"text/plain": str(findings), "text/html": findings._repr_html_()}, raw=True)


def _line(problem: str) -> int:
    found = re.match(r"line (\d+): ", problem)
    return int(found[1]) if found else 0


def _parsed(magic: Any, line: str) -> Any:
    try:
        return parse_argstring(magic, line)
    except ValueError as error:  # a quotation without an end
        raise UsageError(f"{line.strip()}: {str(error).lower()}") from None


def _parted(line: str) -> tuple[str, str]:
    """The words of a line, and the input if it is written out: what its brackets hold."""
    found = re.search(r"(?<!\S)[\[{].*[\]}](?!\S)|(?<!\S)[\[{].*", line)
    return (line, "") if found is None else (line.replace(found[0], " ", 1), found[0].strip())


def _known(names: Mapping[str, Any]) -> dict[str, Saga | SagaBuilder]:
    """The sagas among these variables."""
    return {
        name: value
        for name, value in names.items()
        if isinstance(value, Saga | SagaBuilder) and not name.startswith("_")
    }


def _complete(shell: InteractiveShell, event: Any) -> list[str]:
    """What can stand next in a line that begins with ``%saga``."""
    words = event.line[: -len(event.symbol) or None].split()[1:]
    sagas = _known(shell.user_ns)
    match words:
        case []:
            return list(_VERBS)
        case [verb] if verb in _VERBS:
            return list(sagas)
        case ["run", name, *_, "--fail"] if isinstance(saga := sagas.get(name), Saga):
            return [item.name for item in saga.steps]
        case ["run", _, *_]:
            return list(_RUN_OPTIONS)
    return []


def load_ipython_extension(shell: InteractiveShell) -> None:
    """What ``%load_ext sagakit`` does."""
    shell.register_magics(SagaMagics)
    shell.set_hook("complete_command", _complete, str_key="%saga")
