"""`kb export`: the articles of an index as a static site or as JSON Lines."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from indexer.errors import InputError

app = typer.Typer()


@app.command()
def export(
    *,
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            metavar="DIR",
            help="Folder to write; an earlier export there is replaced. - for standard output, with --format jsonl.",
        ),
    ],
    index: Annotated[
        Path | None,
        typer.Option("--index", metavar="DIR", help="Directory of the index. Default: KB_INDEX, or var/index."),
    ] = None,
    format: Annotated[
        Literal["html", "jsonl"], typer.Option("--format", help="A static site, or one JSON object an article.")
    ] = "html",
    audience: Annotated[
        Literal["public", "internal"],
        typer.Option("--audience", help="What to write: `internal` is everything, for the team only."),
    ] = "public",
    product: Annotated[list[str] | None, typer.Option("--product", help="Only about this product; may repeat.")] = None,
    title: Annotated[str, typer.Option("--title", help="Name of the site.")] = "Knowledge base",
    as_json: Annotated[bool, typer.Option("--json", help="Write the report as JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no summary, only errors.")] = False,
) -> None:
    """Write the articles of an index out: public ones, unless --audience internal. See docs/import.md.

    Exit status: 0 written; 2 nothing written.
    """
    from indexer.scope import INTERNAL, PUBLIC, Scope
    from service.settings import load_settings

    index_dir = load_settings(index=index).index
    audiences = (INTERNAL if audience == "internal" else PUBLIC).audiences
    scope = Scope(audiences, frozenset(name.casefold() for name in product or ()))

    from rich.console import Console

    from indexer.progress import reporter_for
    from service.exporting import Exporter, ExportFormat, dump_record, export_articles

    if str(to) == "-":
        from indexer.snapshot import Snapshot

        if format != "jsonl" or as_json:
            raise InputError("--to - writes articles as JSON Lines: add --format jsonl, and leave --json out")
        for record in Exporter(Snapshot.open(index_dir), scope).records():
            sys.stdout.write(dump_record(record))
        return
    console = Console(stderr=True)
    try:
        with reporter_for(console, quiet) as progress:
            report = export_articles(index_dir, to, ExportFormat(format), scope, title, progress)
    except OSError as error:
        raise InputError(f"{error.filename or to} cannot be written: {error.strerror}") from error
    if as_json:
        print(json.dumps(report.as_dict(), ensure_ascii=False, indent=1), flush=True)
    if not quiet and not as_json:
        what = "articles, internal ones among them," if audience == "internal" else "public articles"
        console.print(f"{report.articles} {what} written to {to}", markup=False, highlight=False, soft_wrap=True)
