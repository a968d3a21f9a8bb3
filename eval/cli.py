"""The `kb` command: each package brings its own commands, and this topmost one puts them together."""

from __future__ import annotations

import sys

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


def main() -> None:
    """Entry point. A user's mistake ends with exit status 2 and one message on standard error, never a traceback."""
    try:
        app()
    except KBError as error:
        print(f"kb: {error}", file=sys.stderr)
        sys.exit(2)
