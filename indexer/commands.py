"""`kb index`, `kb verify` and `kb lint`. Heavy imports stand inside the commands, so that `kb --help` is instant."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from indexer.errors import IndexCorrupt, InputError, KBError
from indexer.importing.commands import app as import_app

if TYPE_CHECKING:
    from rich.console import Console

    from indexer.building import BuildReport

app = typer.Typer()
app.add_typer(import_app, name="import")

DEFAULT_SOURCE = Path("kb_articles")
DEFAULT_INDEX = Path("var/index")

SourceArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of Markdown articles.", show_default=True)]
IndexOption = Annotated[
    Path, typer.Option("--index", metavar="DIR", envvar="KB_INDEX", help="Where the index is published.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write the result as JSON on standard output.")]


@app.command()
def index(
    source: SourceArgument = DEFAULT_SOURCE,
    *,
    index_dir: IndexOption = DEFAULT_INDEX,
    audience: Annotated[
        Literal["public", "internal"], typer.Option(help="Audience of articles that name none.")
    ] = "internal",
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Publish nothing if any file is malformed, or what was learned is damaged."),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="Embedding model: a sentence-transformers name or folder. Default: the one that made the index.",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        Literal["int8", "fp32"] | None,
        typer.Option(help="Number format of the model; int8 where its kind allows it.", show_default=False),
    ] = None,
    index_type: Annotated[
        Literal["auto", "flat", "sqfp16", "hnsw", "ivf"],
        typer.Option("--index-type", help="FAISS layout; auto picks by size."),
    ] = "auto",
    watch: Annotated[bool, typer.Option("--watch", help="Index again on every change, until Ctrl-C.")] = False,
    as_json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no summary, only errors.")] = False,
) -> None:
    """Index a folder of Markdown articles and publish the result atomically.

    Where nothing changed since the last time, nothing is published. Only new and changed articles are read and
    embedded; what a team taught the index stays.

    With --watch, a file that becomes malformed stays in the index as it was before, and each build says so. Deleted and
    emptied files go at once, and so does a public article whose front matter no longer plainly says that it is public.

    Exit status: 0 published or nothing changed; 1 the same, but without the malformed files listed, or without what
    was learned, since that was damaged; 2 nothing published.
    """
    # Read once, when numpy is imported: threads of one small product wait for each other, and spin while they do.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from rich.console import Console

    from indexer.building import BuildOptions, build_index
    from indexer.dense import IndexType
    from indexer.embedding import DEFAULT_MODEL, Precision, load_embedder
    from indexer.metadata import Audience
    from indexer.progress import reporter_for
    from indexer.snapshot import live_origin

    _require_folder(source)
    console = Console(stderr=True)
    options = BuildOptions(Audience(audience), strict, keep_last_good=watch, index_type=IndexType(index_type))
    try:
        live = live_origin(index_dir)
    except IndexCorrupt as error:
        live = None
        if model is None:
            reason = str(error).removesuffix(": run `kb index` again")
            _note(console, f"what model made the index cannot be told ({reason}); {DEFAULT_MODEL} makes it now")
    if live and model is None:
        model, precision = live.fingerprint.model, precision or live.fingerprint.precision.value
    embedder = load_embedder(model or DEFAULT_MODEL, Precision(precision) if precision else None)
    if live and live.has_learned and live.fingerprint != embedder.fingerprint:
        _note(
            console,
            f"what the index learned was learned with {live.fingerprint.model} in {live.fingerprint.precision} and is "
            "left out: run `kb learn` and `kb calibrate` again",
        )

    def build() -> BuildReport:
        with reporter_for(console, quiet) as progress:
            report = build_index(source, index_dir, embedder, options, progress)
        _show_report(console, report, as_json, quiet)
        return report

    if not watch:
        report = build()
        raise typer.Exit(1 if report.errors or report.learning_lost else 0)

    from indexer.watching import watch_articles

    def rebuild() -> None:
        try:
            build()
        except KBError as error:
            console.print(f"kb: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        if not quiet:
            console.print(f"watching {source}; Ctrl-C ends", style="dim", markup=False, highlight=False)

    watch_articles(source, index_dir, rebuild)


@app.command()
def verify(
    index_dir: IndexOption = DEFAULT_INDEX,
    source: Annotated[
        Path | None, typer.Option("--source", metavar="DIR", help="Compare the index with this folder as well.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check every checksum, chunk position and article version of the live index, and say what differs.

    Exit status: 0 sound; 1 something differs; 2 no index to verify.
    """
    from indexer.verify import verify_index

    if source is not None:
        _require_folder(source)
    result = verify_index(index_dir, source)
    if as_json:
        print(json.dumps(result.as_dict(), ensure_ascii=False, indent=1))
    else:
        for problem in result.problems:
            print(f"{problem.where}: {problem.what}")
        state = "sound" if result.sound else f"{len(result.problems)} problems"
        print(
            f"{result.version or index_dir}: {state} ({result.files} files, {result.articles} articles, "
            f"{result.chunks} chunks checked)"
        )
    raise typer.Exit(0 if result.sound else 1)


@app.command()
def lint(
    source: SourceArgument = DEFAULT_SOURCE,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="Only this rule, by the name that findings carry; may repeat."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Hold every article to the rules of docs/articles.md.

    Prints `path:line: rule: message` for each breach; warnings are marked as such. Exit status: 0 no breach (warnings
    allowed); 1 breaches; 2 no such folder or rule.
    """
    from indexer.linting import RULES, Severity, lint_articles

    _require_folder(source)
    for rule in only or ():
        if rule not in RULES:
            raise InputError(f"there is no rule {rule!r}; the rules are {', '.join(RULES)}")
    result = lint_articles(source, only or RULES)
    breaches = [item for item in result.findings if item.severity is Severity.BREACH]
    warnings = len(result.findings) - len(breaches)
    if as_json:
        print(json.dumps(result.as_dict(), ensure_ascii=False, indent=1))
    else:
        for item in result.findings:
            print(item)
        print(f"{result.article_count} articles: {len(breaches)} breaches, {warnings} warnings", file=sys.stderr)
    raise typer.Exit(1 if breaches else 0)


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name the one that holds the Markdown articles")


def _note(console: Console, text: str) -> None:
    console.print(f"kb: note: {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def _show_report(console: Console, report: BuildReport, as_json: bool, quiet: bool) -> None:
    from indexer.building import describe

    if as_json:
        print(json.dumps(describe(report), ensure_ascii=False, indent=1), flush=True)
    for error in report.errors:
        kept = "; its last good version stays in the index" if error.path in report.kept else ""
        print(f"{error}{kept}", file=sys.stderr)
    if report.learning_lost:
        lost = f"what the index had learned is lost ({report.learning_lost}): run `kb learn` and `kb calibrate` again"
        console.print(f"kb: {lost}", style="red", markup=False, highlight=False, soft_wrap=True)
    if quiet or as_json:
        return
    size = f"{report.article_count} articles in {report.chunk_count} chunks"
    if report.published:
        lines = [
            f"{size} ({len(report.added)} added, {len(report.changed)} changed, {len(report.removed)} removed)",
            f"{report.embedded} vectors embedded by {report.model} in {report.precision}, {report.reused} reused, "
            f"{report.duration_s:.1f} s",
            f"published {report.version}",
        ]
    else:
        lines = [f"nothing changed: {size}, {report.duration_s:.1f} s", f"{report.version} stays"]
    if left_out := len(report.errors) - len(report.kept):
        lines.append(f"{left_out} malformed files are not in the index")
    if report.kept:
        lines.append(f"{len(report.kept)} malformed files are in the index as they were before")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
