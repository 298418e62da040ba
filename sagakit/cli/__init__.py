"""The command line: one program, ``sagakit``, with a command for each thing one does to sagas.

An error, a wrong call included, is one line and exit code 1.
"""

from __future__ import annotations

import io
import sys

import click

from sagakit.cli import (
    audit,
    check,
    doctor,
    explore,
    imports,
    journal,
    operate,
    run,
    scenarios,
    strip,
    trace,
    world,
)
from sagakit.cli.given import load_saga
from sagakit.cli.output import OUTCOMES
from sagakit.errors import SagaError

__all__ = ["cli", "load_saga", "main"]


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=OUTCOMES,
)
@click.version_option(package_name="sagakit")
def cli() -> None:
    """Understand, run and break sagas: distributed transactions made of local steps."""


for _command in (
    *(run.run, run.show),
    *(journal.list_, journal.inspect, journal.recover),
    *(operate.resolve, operate.signal, operate.cancel, operate.migrate),
    *(world.demo, world.lab, strip.strip, imports.import_),
    *(audit.audit, check.check, doctor.doctor, explore.explore, scenarios.scenarios, trace.trace),
):
    cli.add_command(_command)


def main() -> None:
    """The entry point: one line for an error that has a cure, a traceback for a bug."""
    for stream in (sys.stdout, sys.stderr):  # what a locale cannot show is escaped, no error
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        cli.main(standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except SagaError as error:
        click.echo(f"sagakit: {error}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("sagakit: interrupted; what is in a journal can be recovered", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away; nothing is wrong
        sys.exit(1)
    except OSError as error:  # a file that cannot be read or written
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        click.echo(f"sagakit: {what}", err=True)
        sys.exit(1)
