"""`kb triage`. Thin: heavy imports are inside the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from service.commands import ticket_text

app = typer.Typer()


@app.command(context_settings={"allow_extra_args": True})
def triage(
    context: typer.Context,
    text: Annotated[
        str,
        typer.Argument(
            help="A whole ticket; - reads it from standard input. Of more than 20,000 characters the head and the tail "
            "are read."
        ),
    ] = "",
    *,
    title: Annotated[str, typer.Option("--title", help="The ticket's subject.")] = "",
    recent: Annotated[
        Path | None,
        typer.Option("--recent", help="JSON Lines of recent tickets, to find duplicates and bursts; docs/triage.md."),
    ] = None,
    ticket_id: Annotated[
        str, typer.Option("--id", help="The ticket's own id, so that it is not its own duplicate.")
    ] = "",
    now: Annotated[
        str, typer.Option("--now", help="ISO time with its zone that bursts are counted up to. Default: now.")
    ] = "",
    index: Annotated[
        Path | None, typer.Option("--index", help="Directory of the index. Default: KB_INDEX, or var/index.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    from_stdin: Annotated[bool, typer.Option("--stdin", help="Read the text from standard input.")] = False,
) -> None:
    """Triage a ticket: component and tags, known errors, severity hint, duplicates, what is missing.

    Everything comes with its reason; where there is no evidence nothing is said. It reads internal articles.
    """
    from indexer.errors import InputError
    from indexer.scope import INTERNAL
    from service.answers import Question
    from service.recent_tickets import read_recent, read_time
    from service.settings import load_settings

    question = Question(ticket_text(text, title, context.args, from_stdin=from_stdin), title)
    try:
        now_s = read_time(now) if now else 0.0
    except ValueError as error:
        raise InputError(f"--now must be an ISO time with its zone, such as 2026-11-25T09:30:00Z: {error}") from error
    settings = load_settings(index=index)

    from service.assistant import Assistant
    from service.triage import TicketWindow
    from service.triage import triage as triage_question

    assistant = Assistant(settings.index)
    window = TicketWindow(read_recent(recent, assistant), ticket_id, now_s) if recent else None
    made = triage_question(assistant, question, INTERNAL, window=window)
    if as_json:
        typer.echo(json.dumps(made.as_dict(), ensure_ascii=False, indent=2))
    else:
        from service.triage_terminal import print_triage

        print_triage(made)
