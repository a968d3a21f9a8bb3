"""The `kb` command: each package brings its own commands, and this topmost one puts them together."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from eval.calibrate_command import app as calibrate_app
from eval.commands import app as eval_app
from eval.intake_load import bench as intake_bench
from indexer.commands import app as indexer_app
from indexer.errors import KBError
from service.commands import app as service_app
from service.export_commands import app as export_app
from service.intake.commands import app as intake_app
from service.learning_commands import app as learning_app
from service.mcp_commands import app as mcp_app
from service.triage_commands import app as triage_app

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

app = typer.Typer(
    name="kb",
    help="Answer support symptoms from a folder of Markdown articles, with citations that can be checked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(indexer_app)
app.add_typer(service_app)
app.add_typer(export_app)
app.add_typer(triage_app)
app.add_typer(learning_app)
app.add_typer(calibrate_app)
app.add_typer(mcp_app)
intake_app.command("bench")(intake_bench)
app.add_typer(intake_app, name="intake", help="See, replay and write the notes of connected tools.")
app.add_typer(eval_app, name="eval", help="Measure answers on labelled tickets.")


class OutputUnwritable(KBError):
    """Standard output does not take what a command says."""


class _Output(io.FileIO):
    """Standard output whose errors have an exit status of their own: 1 has a meaning, and would be taken for it."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())  # for what is still to be written when the process ends
            if isinstance(error, BrokenPipeError):  # whoever reads has seen enough, as `head` has
                raise SystemExit(_SIGPIPE_STATUS) from error
            raise OutputUnwritable(f"standard output cannot be written ({error.strerror})") from error


_SIGPIPE_STATUS = 128 + signal.SIGPIPE


def main() -> None:
    """Entry point. A user's mistake ends with exit status 2 and one message on standard error, never a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        raw = _Output(sys.stdout.fileno(), "wb", closefd=False)
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw), sys.stdout.encoding, sys.stdout.errors, write_through=sys.stdout.write_through
        )
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except KBError as error:
        print(f"kb: {error}", file=sys.stderr)
        sys.exit(2)
    except UnicodeEncodeError as error:
        print(f"kb: standard output cannot show {error.object[error.start]!a}: set PYTHONUTF8=1", file=sys.stderr)
        sys.exit(2)
