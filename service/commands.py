"""`kb search`, `kb serve` and `kb keys`. Thin: heavy imports are inside the commands, so `kb --help` is instant."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.audience import Audience

if TYPE_CHECKING:
    from service.settings import Settings

app = typer.Typer()
keys_app = typer.Typer(no_args_is_help=True)
app.add_typer(keys_app, name="keys", help="Make, list and revoke API keys.")

IndexOption = Annotated[
    Path | None, typer.Option("--index", help="Directory of the index. Default: KB_INDEX, or var/index.")
]
SettingsOption = Annotated[
    Path | None, typer.Option("--settings", help="File of KB_NAME=value lines; see docs/settings.md.")
]


def read_standard_input() -> str:
    """All of standard input; bytes that are not UTF-8, as old logs hold, become replacement characters."""
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def ticket_text(text: str, title: str, extra: Sequence[str], *, from_stdin: bool) -> str:
    """The text that a command is about: its argument, or standard input; a longer one than can be asked is shortened.

    Args:
        extra: further arguments, which are an error.

    Raises:
        InputError: there are some.
    """
    from indexer.errors import InputError
    from service.answers import MAX_QUERY_CHARS
    from service.queries import shorten_text

    if extra:
        raise InputError("the text has to be one argument: put the text in quotes, or use - to read standard input")
    whole = read_standard_input() if from_stdin or text == "-" else text
    read = shorten_text(whole, max(0, MAX_QUERY_CHARS - len(title)))
    if read.is_cut:
        typer.echo(
            f"kb: note: read the first {read.first:,} and the last {read.last:,} of {read.whole:,} characters", err=True
        )
    return read.text


@app.command(context_settings={"allow_extra_args": True})
def search(
    context: typer.Context,
    text: Annotated[
        str,
        typer.Argument(
            help="A symptom or a whole ticket; - reads it from standard input. Of more than 20,000 characters the head "
            "and the tail are read."
        ),
    ] = "",
    *,
    index: IndexOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=50, help="How many articles at most.")] = 5,
    title: Annotated[str, typer.Option("--title", help="The ticket's subject.")] = "",
    audience: Annotated[
        Audience, typer.Option("--audience", help="What to search: `internal` is everything.")
    ] = Audience.INTERNAL,
    product: Annotated[list[str] | None, typer.Option("--product", help="Only about this product; may repeat.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
    from_stdin: Annotated[bool, typer.Option("--stdin", help="Read the text from standard input.")] = False,
) -> None:
    """Answer a symptom with ranked articles and cited snippets.

    Exit status: 0 answered, 1 no article covers it, 2 error.
    """
    from indexer.scope import INTERNAL, PUBLIC, Scope
    from service.answers import Question
    from service.settings import load_settings

    question = Question(ticket_text(text, title, context.args, from_stdin=from_stdin), title, limit)
    settings = load_settings(index=index)

    from service.assistant import Assistant
    from service.products import require_products

    audiences = (INTERNAL if audience is Audience.INTERNAL else PUBLIC).audiences
    scope = Scope(audiences, frozenset(name.casefold() for name in product or ()))
    assistant = Assistant(settings.index)
    require_products(scope, assistant.snapshot.store.cards)
    answer = assistant.answer(question, scope)
    if as_json:
        typer.echo(json.dumps(answer.as_dict(), ensure_ascii=False, indent=2))
    else:
        from service.terminal import print_answer

        print_answer(answer)
    raise typer.Exit(0 if answer.answered else 1)


@app.command()
def serve(
    *,
    index: IndexOption = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on. Default: 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on. Default: 8000; 0 for any.")] = None,
    anonymous_audience: Annotated[
        Audience | None,
        typer.Option("--anonymous-audience", help="What callers without a key see; `internal` on loopback only."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            metavar="N",
            help="Processes that answer, about one a core, some 100 MB each. Default: 0, the serving one answers.",
            show_default=False,
        ),
    ] = None,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo", help="Also serve a demo help centre, and print a link that signs one browser in as an engineer."
        ),
    ] = False,
    settings_file: SettingsOption = None,
) -> None:
    """Serve the HTTP API and the engineer's console until interrupted."""
    from service.serving_process import prepare_process

    prepare_process()

    from service.opening import begin_opening
    from service.settings import load_settings

    settings = load_settings(
        settings_file,
        index=index,
        host=host,
        port=port,
        anonymous_audience=anonymous_audience,
        answer_processes=processes,
    )

    opened = begin_opening(settings)

    from service.http.server import run_server

    run_server(settings, demo=demo, open_assistant=opened)


@app.command()
def deflection(
    *,
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="How far back to look.")] = 30,
    durable_days: Annotated[
        int | None,
        typer.Option("--durable-days", min=1, max=365, help="Durable: no ticket within so many days. Default: 7."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    index: IndexOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """Report what customers were shown and what became of it: solved, left without a ticket, submitted anyway.

    Explicit, implicit and durable deflection are counted apart; see docs/widget.md.
    """
    from service.database import opened_state
    from service.ledger import Ledger
    from service.settings import load_settings

    settings = load_settings(settings_file, index=index, durable_days=durable_days)
    with opened_state(settings) as database:
        report = Ledger(database).report(days, settings.durable_days)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
    else:
        from service.ledger_table import print_report

        print_report(report)


@app.command()
def feedback(
    *,
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="How far back to look.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
    index: IndexOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """Report what readers said about articles, those that helped least first, with the latest comments."""
    from service.database import opened_state
    from service.feedback import FeedbackStore
    from service.settings import load_settings

    with opened_state(load_settings(settings_file, index=index)) as database:
        verdicts = FeedbackStore(database).report(days)
    if as_json:
        typer.echo(json.dumps([one.as_dict() for one in verdicts], indent=2))
    else:
        from service.feedback_table import print_feedback

        print_feedback(verdicts, days)


@keys_app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Who or what will use the key.")],
    *,
    audience: Annotated[Audience, typer.Option("--audience", help="What it opens.")] = Audience.PUBLIC,
    publishable: Annotated[
        bool, typer.Option("--publishable", help="For a web page: public articles only, from --origin only.")
    ] = False,
    origin: Annotated[
        list[str] | None, typer.Option("--origin", help="Web origin that may use a publishable key; may repeat.")
    ] = None,
    index: IndexOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """Make a key and print it, once. Only its hash is stored."""
    from service.keys import KeyFile, KeyKind, make_key
    from service.settings import load_settings

    settings = load_settings(settings_file, index=index)
    kind = KeyKind.PUBLISHABLE if publishable else KeyKind.SECRET
    key, token = make_key(name, kind, audience, origin or ())
    KeyFile(settings.keys_path).add(key)
    _note_missing_index(settings)
    typer.echo(f"{kind.value} key {key.id} ({audience.value}) for {key.name}, stored in {settings.keys_path}", err=True)
    typer.echo("Keep it now; it cannot be shown again:", err=True)
    typer.echo(token)


@keys_app.command("list")
def list_keys(
    index: IndexOption = None,
    settings_file: SettingsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the keys there are, never the keys themselves."""
    from service.keys import KeyFile
    from service.settings import load_settings

    settings = load_settings(settings_file, index=index)
    _note_missing_index(settings)
    keys = KeyFile(settings.keys_path).all()
    names = ("id", "name", "kind", "audience", "origins", "created")
    if as_json:
        print(json.dumps([{name: getattr(key, name) for name in names} for key in keys], ensure_ascii=False, indent=1))
        return
    if not keys:
        typer.echo(f"no keys in {settings.keys_path}; make one with `kb keys add NAME`", err=True)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from service.terminal import print_table

    table = Table(*names, box=None, header_style="bold")
    for key in keys:
        values = (key.id, key.name, key.kind.value, key.audience.value, " ".join(key.origins), key.created)
        table.add_row(*(Text(value) for value in values))
    print_table(Console(), table)


@keys_app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The id that `kb keys list` shows.")],
    index: IndexOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """Remove a key; a running service stops honouring it at once."""
    from service.keys import KeyFile
    from service.settings import load_settings

    settings = load_settings(settings_file, index=index)
    _note_missing_index(settings)
    key = KeyFile(settings.keys_path).revoke(key_id)
    typer.echo(f"revoked {key.id} ({key.name})")


def _note_missing_index(settings: Settings) -> None:
    """Keys lie beside the index unless a file is named for them, so a mistyped --index has keys of its own."""
    if settings.keys_file is None and not (settings.index / "CURRENT").is_file():
        typer.echo(
            f"kb: note: there is no index at {settings.index}; its keys are in {settings.keys_path}, which no service "
            "reads that serves another one",
            err=True,
        )
