"""`kb eval bench`. Heavy imports stand inside the command, so that `kb --help` is instant."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

_WORK_DIR = Path("var/bench")
_PEERS_DIR = Path("var/peers")


def bench(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Few passages, short loads: a minute a system.")] = False,
    peers: Annotated[bool, typer.Option("--peers/--no-peers", help="Measure the other systems too.")] = True,
    names: Annotated[
        str, typer.Option("--systems", metavar="NAMES", help="Which other systems, with commas between.")
    ] = "faiss,txtai,haystack",
    growth: Annotated[bool, typer.Option("--growth/--no-growth", help="Measure growing corpora.")] = True,
    scale: Annotated[
        bool, typer.Option("--scale", help="Measure FAISS layouts and postings at --scale-count, and nothing else.")
    ] = False,
    scale_count: Annotated[
        int, typer.Option("--scale-count", min=1000, metavar="N", help="Passages for --scale.")
    ] = 1_000_000,
    articles: Annotated[
        Path, typer.Option(metavar="DIR", help="Articles to index, and to make larger corpora from.")
    ] = Path("kb_articles"),
    tickets: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder with queries.jsonl: the questions to ask.")
    ] = Path("eval/tickets"),
    out_dir: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where bench.md and bench.json are written.")
    ] = Path("var/eval/bench"),
    quiet: Annotated[
        bool, typer.Option("--quiet", help="No progress and no tables, only errors and the files.")
    ] = False,
) -> None:
    """Measure indexing, questions, memory, HTTP under load and growth, beside other systems on the same passages.

    Run it on a quiet machine. The first run makes environments below var/peers (about 1.5 GB for each other system). A
    full run takes about half an hour, --scale as long again.
    """
    from rich.console import Console
    from rich.markdown import Markdown

    from eval.bench.corpus import read_questions
    from eval.bench.growth import measure_growth
    from eval.bench.report import Benchmark, markdown, write_reports
    from eval.bench.scale import measure_scale
    from eval.bench.systems import FULL, QUICK, measure_systems
    from eval.peers.sidebyside import OURS, parse_peers
    from indexer.articles import find_articles
    from indexer.dense import IndexType
    from indexer.progress import reporter_for

    plan = QUICK if quick else FULL
    run = Benchmark(plan.passages, os.getloadavg()[0])
    errors = Console(stderr=True)
    if run.load_before > 0.5 * len(os.sched_getaffinity(0)) and not quiet:
        errors.print(
            f"kb: note: this machine is busy (load average {run.load_before:.1f}); times will be too long, and ratios "
            "only rough",
            style="yellow",
            highlight=False,
            soft_wrap=True,
        )
    with reporter_for(errors, quiet) as progress:
        if scale:
            texts = [file.read_text(encoding="utf-8") for file in find_articles(articles)]
            layouts = [IndexType.SQFP16, IndexType.IVF, IndexType.HNSW]
            questions = read_questions(tickets)[0]
            run.layouts, run.postings = measure_scale(
                scale_count, layouts, texts, questions, _WORK_DIR / "scale", progress
            )
        else:
            chosen = parse_peers(names) if peers else [OURS]
            run.systems = measure_systems(chosen, plan, articles, tickets, _WORK_DIR, _PEERS_DIR, progress)
            if growth:
                run.growth = measure_growth(plan.growth, articles, tickets, _WORK_DIR, _PEERS_DIR, progress)
    files = write_reports(run, out_dir)
    if not quiet:
        Console().print(Markdown(markdown(run)))
        Console().print(f"written: {files[0]}, {files[1]}", highlight=False, soft_wrap=True)
