"""`kb eval` and its commands. Heavy imports stand inside them, so that `kb --help` is instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from eval.bench.commands import bench
from indexer.errors import InputError

app = typer.Typer(no_args_is_help=True)
app.command()(bench)

CACHE_DIR = Path("var/eval")
"""Indexes and articles made for evaluation, relative to the working directory. Safe to delete."""

PEERS_DIR = Path("var/peers")
"""Environments of the peers. Safe to delete."""

DatasetArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DATASET", help="Folder with queries.jsonl, qrels and articles, or BEIR files.", show_default=False
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="No progress and no tables, only errors and the files.")]
SplitOption = Annotated[
    str | None, typer.Option(help="Which qrels/SPLIT.tsv to score; by default test.", show_default=False)
]
ArticlesOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Articles to use in place of the data set's own.", show_default=False)
]
LimitOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Only the first N answerable and N unanswerable.", show_default=False),
]

BudgetOption = Annotated[
    float,
    typer.Option(min=0.0, max=1.0, metavar="SHARE", help="Largest share of wrong suggestions when suggesting."),
]


@app.command()
def run(
    dataset: DatasetArgument,
    *,
    index_dir: Annotated[
        Path | None,
        typer.Option(
            "--index",
            metavar="DIR",
            help="Measure this index as it is, with what it has learned; by default one is built below var/eval.",
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures and every ticket as JSON.")
    ] = None,
    run_file: Annotated[
        Path | None, typer.Option("--run-file", metavar="FILE", help="Write the rankings as a TREC run.")
    ] = None,
    split: SplitOption = None,
    articles: ArticlesOption = None,
    precision: Annotated[
        Literal["int8", "fp32"] | None,
        typer.Option(help="Number format of the model; int8 where its kind allows it.", show_default=False),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Embedding model: a sentence-transformers name or folder.", show_default=False)
    ] = None,
    audience: Annotated[
        Literal["internal", "public"] | None,
        typer.Option(help="Ask as this audience, whatever the tickets say.", show_default=False),
    ] = None,
    history: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Resolved tickets to learn from first.", show_default=False)
    ] = None,
    by_time: Annotated[
        bool, typer.Option("--by-time", help="With --history: ask each ticket with only older tickets known.")
    ] = False,
    calibrate_on: Annotated[
        str | None,
        typer.Option("--calibrate-on", metavar="SPLIT", help="Calibrate the decision on this split first."),
    ] = None,
    budget: BudgetOption = 0.1,
    leave_article_out: Annotated[
        bool, typer.Option("--leave-article-out", help="Ask again with the labelled articles treated as not there.")
    ] = False,
    limit: LimitOption = None,
    quiet: QuietOption = False,
) -> None:
    """Ask every ticket of a data set as production would, and measure ranking, decision, citations and speed."""
    from rich.console import Console

    from eval.datasets import load_dataset
    from eval.preparing import Setup
    from eval.reporting import (
        check_writable,
        print_notes,
        print_run,
        report_as_dict,
        trec_run,
        write_json,
        write_text,
    )
    from eval.runner import run_evaluation
    from eval.summary import summarise
    from indexer.embedding import DEFAULT_MODEL, Precision
    from indexer.metadata import Audience
    from indexer.progress import reporter_for

    for file in filter(None, (json_file, run_file)):
        check_writable(file)
    changing = {"--model": model, "--precision": precision, "--history": history, "--calibrate-on": calibrate_on}
    _refuse_with_index(index_dir, changing)
    setup = Setup(
        cache_dir=CACHE_DIR,
        index_dir=index_dir,
        precision=Precision(precision) if precision else None,
        model=model or DEFAULT_MODEL,
        audience=Audience(audience) if audience else None,
        history=history,
        by_time=by_time,
        budget=budget,
        leave_article_out=leave_article_out,
    )
    data = load_dataset(dataset, CACHE_DIR, split, articles)
    if calibrate_on:
        setup = replace(setup, calibrate_on=load_dataset(dataset, CACHE_DIR, calibrate_on, articles))
    errors = Console(stderr=True)
    with reporter_for(errors, quiet) as progress:
        result = run_evaluation(data.first(limit) if limit else data, setup, progress=progress)
    summary = summarise(result)
    if json_file:
        write_json(json_file, report_as_dict(result, summary))
    if run_file:
        write_text(run_file, trec_run(result))
    print_notes(result.problems)
    if not quiet:
        print_run(result, summary, Console())


@app.command()
def ablate(
    dataset: DatasetArgument,
    *,
    index_dir: Annotated[
        Path | None,
        typer.Option(
            "--index",
            metavar="DIR",
            help="Measure this index as it is, with what it has learned; by default one is built below var/eval.",
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the rows as JSON.")] = None,
    split: SplitOption = None,
    articles: ArticlesOption = None,
    history: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Resolved tickets to learn from first.", show_default=False)
    ] = None,
    limit: LimitOption = None,
    quiet: QuietOption = False,
) -> None:
    """Rank every answerable ticket with each signal left out, and say what each is worth."""
    from rich.console import Console

    from eval.ablating import print_ablation, run_ablation
    from eval.datasets import load_dataset
    from eval.preparing import Setup
    from eval.reporting import check_writable, print_notes, write_json
    from indexer.progress import reporter_for

    if json_file:
        check_writable(json_file)
    _refuse_with_index(index_dir, {"--history": history})
    data = load_dataset(dataset, CACHE_DIR, split, articles)
    setup = Setup(cache_dir=CACHE_DIR, index_dir=index_dir, history=history)
    with reporter_for(Console(stderr=True), quiet) as progress:
        rows = run_ablation(data.first(limit) if limit else data, setup, progress)
    print_notes(data.problems)
    if json_file:
        write_json(json_file, {"dataset": data.name, "split": data.split, "rows": [row.as_dict() for row in rows]})
    if not quiet:
        print_ablation(data, rows, Console())


@app.command()
def report(
    dataset: DatasetArgument,
    *,
    out_dir: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where report.md and report.json are written.")
    ] = Path("var/eval/report"),
    split: SplitOption = None,
    articles: ArticlesOption = None,
    history: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Resolved tickets to learn from first.", show_default=False)
    ] = None,
    calibrate_on: Annotated[
        str | None,
        typer.Option(
            "--calibrate-on",
            metavar="SPLIT",
            help="Calibrate the decision on this split; by default dev, where there is one.",
            show_default=False,
        ),
    ] = None,
    budget: BudgetOption = 0.1,
    limit: LimitOption = None,
    quiet: QuietOption = False,
) -> None:
    """Measure a data set in every way and write one page: figures, ablations, risk-coverage curve, failures."""
    from rich.console import Console

    from eval.ablating import print_ablation
    from eval.ablating_decision import print_decision_ablation
    from eval.datasets import has_split, load_dataset
    from eval.full_report import command_line, make_report, write_report
    from eval.preparing import Setup
    from eval.reporting import check_writable, print_notes, print_run
    from indexer.progress import reporter_for

    for file in ("report.md", "report.json"):
        check_writable(out_dir / file)
    data = load_dataset(dataset, CACHE_DIR, split, articles)
    if calibrate_on is None and data.split != "dev" and has_split(dataset, "dev"):
        calibrate_on = "dev"
    other = load_dataset(dataset, CACHE_DIR, calibrate_on, articles) if calibrate_on else None
    setup = Setup(cache_dir=CACHE_DIR, history=history, budget=budget)
    command = command_line(dataset, split=data.split, articles=articles, history=history,
                           calibrate_on=calibrate_on, budget=budget, limit=limit)  # fmt: skip
    with reporter_for(Console(stderr=True), quiet) as progress:
        made = make_report(data.first(limit) if limit else data, other, setup, command, progress)
    files = write_report(made, out_dir)
    print_notes(made.main.run.problems)
    if not quiet:
        console = Console()
        print_run(made.main.run, made.main.summary, console)
        print_ablation(data, made.signals, console)
        print_decision_ablation(made.decision, console)
        console.print(f"written: {files[0]}, {files[1]}", highlight=False, soft_wrap=True)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A.json", help="Report of the run to compare with.")],
    second: Annotated[Path, typer.Argument(metavar="B.json", help="Report of the run that may be better.")],
    *,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the comparison as JSON.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Compare two reports of `kb eval run --json` ticket by ticket, with intervals of the differences."""
    from rich.console import Console

    from eval.comparing import compare_reports, load_report, print_comparison
    from eval.reporting import print_notes, write_json

    comparison = compare_reports(load_report(first), load_report(second))
    if json_file:
        write_json(json_file, comparison.as_dict())
    print_notes(comparison.problems)
    if not quiet:
        print_comparison(comparison, (str(first), str(second)), Console())


@app.command()
def peers(
    dataset: DatasetArgument,
    *,
    names: Annotated[
        str, typer.Option("--peers", metavar="NAMES", help="Which systems to run beside ours, with commas between.")
    ] = "txtai,haystack,lancedb,faiss",
    out_dir: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where peers.md and peers.json are written.")
    ] = Path("var/eval/peers"),
    split: SplitOption = None,
    articles: ArticlesOption = None,
    limit: LimitOption = None,
    quiet: QuietOption = False,
) -> None:
    """Run other retrieval systems on the same articles and tickets, each in its own environment, and compare.

    The first run makes the environments below var/peers (about 1.5 GB and some minutes each) and needs pip's package
    index; later ones need no network.
    """
    from rich.console import Console

    from eval.datasets import load_dataset
    from eval.peers.sidebyside import parse_peers, run_side_by_side
    from eval.peers.standings import print_standings, summarise_standings, write_reports
    from eval.reporting import check_writable, print_notes
    from indexer.progress import reporter_for

    chosen = parse_peers(names)
    data = load_dataset(dataset, CACHE_DIR, split, articles)
    data = data.first(limit) if limit else data
    check_writable(out_dir / "peers.md")
    with reporter_for(Console(stderr=True), quiet) as progress:
        result = run_side_by_side(data, chosen, out_dir / "work", PEERS_DIR, progress)
    standings = summarise_standings(data, result)
    files = write_reports(data, result, standings, out_dir)
    print_notes(data.problems)
    if not quiet:
        print_standings(standings, result, Console())
        Console().print(f"written: {files[0]}, {files[1]}", highlight=False, soft_wrap=True)


def _refuse_with_index(index_dir: Path | None, changing: Mapping[str, object]) -> None:
    """Raises InputError for an option that would change the index that `--index` names."""
    named = [name for name, value in changing.items() if value]
    if index_dir and named:
        raise InputError(f"--index measures an index as it is; leave out --index, or {' and '.join(named)}")
