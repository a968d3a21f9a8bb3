"""`kb calibrate`. Thin: heavy imports are inside the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from eval.commands import CACHE_DIR, ArticlesOption, BudgetOption, DatasetArgument

app = typer.Typer()


@app.command()
def calibrate(
    dataset: DatasetArgument,
    *,
    index: Annotated[
        Path | None, typer.Option("--index", metavar="DIR", help="Index to calibrate. Default: KB_INDEX, or var/index.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Which qrels/SPLIT.tsv to fit to, by default dev where there is one; keep another for measuring.",
            show_default=False,
        ),
    ] = None,
    articles: ArticlesOption = None,
    budget: BudgetOption = 0.1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be published, and publish nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the calibration as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no summary, only errors.")] = False,
) -> None:
    """Fit the decision to labelled tickets of your own, choose its threshold by an error budget, and publish it.

    At least 20 tickets, some of them unanswerable (no_answer.jsonl); answerable ones are also asked with their articles
    left out. The figures are what fitting and choosing like this does on tickets not seen (nested cross-validation), so
    they may miss the budget. The calibration survives re-indexing; `kb learn` drops it.
    """
    from rich.console import Console

    from eval.calibrating import calibrate as calibrate_on
    from eval.calibrating import collect_examples
    from eval.datasets import has_split, load_dataset
    from eval.preparing import Setup, labels_outside
    from eval.reporting import print_notes
    from indexer.progress import reporter_for
    from indexer.publishing import Learned, publish_learned, read_learned
    from service.assistant import Assistant
    from service.settings import load_settings

    index_dir = load_settings(index=index).index
    if split is None and has_split(dataset, "dev"):
        split = "dev"
    data = load_dataset(dataset, CACHE_DIR, split, articles)
    assistant = Assistant(index_dir)
    print_notes([*data.problems, *labels_outside(assistant, data)])
    trust = assistant.snapshot.history.trust if assistant.snapshot.history else 0.0
    with reporter_for(Console(stderr=True), quiet) as progress:
        examples = collect_examples(assistant, data, Setup(CACHE_DIR), progress)
        made = calibrate_on(examples, trust, budget, data.label)
    if not dry_run:
        tickets = read_learned(index_dir, assistant.embedder).tickets
        publish_learned(index_dir, assistant.embedder, Learned(tickets, made.as_dict()))
    if as_json:
        print(json.dumps(made.as_dict(), indent=1))
    elif not quiet:
        rows = {
            f"tickets ({data.label})": str(made.examples),
            "suggests from a probability of": f"{made.model.threshold:.2f}",
            "answerable tickets that get a suggestion": _share(made.coverage),
            f"suggestions that are wrong, budget {budget:.0%}": _share(made.risk),
            "unanswerable tickets that get a suggestion": _share(made.false_suggestions),
            "AUROC, answerable above others": "-" if made.auroc is None else f"{made.auroc:.3f}",
        }
        for name, value in rows.items():
            print(f"{name:<45}{value:>8}")
        print("nothing published" if dry_run else "published")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
