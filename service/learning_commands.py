"""`kb learn`. Thin: heavy imports are inside the command."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from indexer.history import Belief

app = typer.Typer()


@app.command()
def learn(
    history: Annotated[
        Path,
        typer.Argument(
            metavar="HISTORY", help="JSON Lines of resolved tickets: `text`, `title`, `articles`.", show_default=False
        ),
    ],
    *,
    index: Annotated[
        Path | None, typer.Option("--index", metavar="DIR", help="Index to teach. Default: KB_INDEX, or var/index.")
    ] = None,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure",
            help="Ask up to 2,000 of the tickets with each held out, and believe the history as far as it helps them.",
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was learned as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no summary, only errors.")] = False,
) -> None:
    """Teach the index which articles resolved which tickets, and publish it.

    A line is `{"text": "..", "title": "..", "articles": ["api/keys.md"], "created": "2026-01-31"}`. Vectors, links,
    dates and those words that articles use too are kept, never a ticket's text. What was learned survives re-indexing;
    learning again replaces it, and drops a calibrated decision, which was made for what the index knew then.

    How far the history is believed is measured: held-out tickets are ranked with it in full, in part and without it,
    and what ranks best is kept. So a history that says little counts little.

    Exit status: 0 published; 2 nothing published, as where no ticket links an article of the index.
    """
    from rich.console import Console

    from indexer.embedding import load_embedder
    from indexer.progress import reporter_for
    from indexer.snapshot import DECISION, Manifest, current_version
    from service.learning import learn as learn_from
    from service.learning import read_history
    from service.settings import load_settings

    index_dir = load_settings(index=index).index
    tickets = read_history(history)
    live = Manifest.read(index_dir / current_version(index_dir))
    embedder = load_embedder(live.fingerprint.model, live.fingerprint.precision)
    with reporter_for(Console(stderr=True), quiet) as progress:
        report = learn_from(tickets, index_dir, embedder, progress=progress, measure=measure)
    if as_json:
        print(json.dumps(asdict(report), ensure_ascii=False, indent=1))
    elif not quiet:
        print(f"learned from {report.used} resolved tickets, published {report.version}")
        if report.usable < report.used:
            print(f"{report.usable} of {report.used} tickets usable: the rest link no article of the index")
        if report.belief:
            print(_say_belief(report.belief))
    if DECISION in live.files and not quiet:
        print("kb: note: the calibrated decision is dropped; run `kb calibrate` again", file=sys.stderr)
    if report.unknown_articles and not quiet:
        shown = ", ".join(report.unknown_articles[:5])
        more = f" and {len(report.unknown_articles) - 5} more" if len(report.unknown_articles) > 5 else ""
        print(f"kb: note: linked articles that the index does not hold: {shown}{more}", file=sys.stderr)


def _say_belief(belief: Belief) -> str:
    asked = f"{belief.tickets} of them, held out and asked, rank at {belief.quality_without:.3f} (nDCG@10) without it"
    if belief.factor:
        share = "in full" if belief.factor == 1 else f"to {belief.factor:.0%}"
        return f"{asked} and at {belief.quality:.3f} with it: believed {share}"
    full = belief.tried[-1][1]
    return f"{asked} and at {full:.3f} with it: it does not count in the ranking for now; learn again when it has grown"
