"""The figures of systems side by side, as tables for people and as JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.bootstrap import Delta, Interval, auroc_delta, auroc_interval, mean_interval, paired_delta
from eval.markdown import change_cell, figure_cell, table_lines, value_cell
from eval.metrics import score_rankings
from eval.peers.sidebyside import OURS, PEERS, SideBySide
from eval.reporting import write_json, write_text

if TYPE_CHECKING:
    from rich.console import Console

    from eval.datasets import Dataset

SHOWN = ("Success@1", "Success@3", "Success@5", "nDCG@10")

_Sure = tuple[list[float], list[float]]
"""How sure a system is of the tickets that have an article, and of those that have none."""

_HERE = Path(__file__).parent

_SPEED = (
    ("index_s", "index", "s", 1),
    ("index_cpu_s", "of it processor", "s", 1),
    ("p50_ms", "p50", "ms", 1),
    ("p95_ms", "p95", "ms", 1),
    ("cpu_ms", "processor a question", "ms", 1),
    ("cold_start_s", "cold start", "s", 1),
    ("peak_rss_mb", "memory", "MB", 0),
)
"""Attribute of `Standing`, heading, unit, digits."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One system's figures.

    Attributes:
        version: of its package.
        quality: means over answerable tickets.
        ndcg_behind: nDCG@10 of ours minus this system's, ticket by ticket; None for ours.
        auroc: answerable against unanswerable by how sure the system is (docs/evaluation.md says of what).
        auroc_behind: that of ours minus this system's, the same tickets drawn for both; None for ours.
        left_out: AUROC of answerable tickets against the same ones asked without their labelled articles.
        left_out_behind: that of ours minus this system's, paired likewise; None for ours.
        index_s: from articles (ours) or finished chunks (peers) to a saved index, model loaded before.
        index_cpu_s: processor time of the same, all threads.
        cpu_ms: median processor time of one question, all threads.
        cold_start_s: process start to first answer.
        peak_rss_mb: of the serving process.
    """

    name: str
    version: str
    quality: Mapping[str, Interval]
    ndcg_behind: Delta | None
    auroc: Interval | None
    auroc_behind: Delta | None
    left_out: Interval | None
    left_out_behind: Delta | None
    articles_per_s: float
    index_s: float
    index_cpu_s: float
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    cold_start_s: float
    peak_rss_mb: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "system": PEERS[self.name],
            "version": self.version,
            "quality": {name: interval.as_dict() for name, interval in self.quality.items()},
            "ndcg_behind": self.ndcg_behind and self.ndcg_behind.as_dict(),
            "auroc": self.auroc and self.auroc.as_dict(),
            "auroc_behind": self.auroc_behind and self.auroc_behind.as_dict(),
            "left_out": self.left_out and self.left_out.as_dict(),
            "left_out_behind": self.left_out_behind and self.left_out_behind.as_dict(),
            "articles_per_s": self.articles_per_s,
            **{name: getattr(self, name) for name, *_ in _SPEED},
        }


def summarise_standings(dataset: Dataset, run: SideBySide) -> list[Standing]:
    """Figures of every system of the run, in its order."""
    import numpy as np

    labels = {ticket.query_id: ticket.labels for ticket in dataset.tickets if ticket.answerable}
    standings: list[Standing] = []
    ours: list[float] = []
    ours_sure: _Sure = ([], [])
    ours_left: _Sure = ([], [])
    for name, result in run.results.items():
        build, serve = result["build"], result["serve"]
        answers = serve["answers"]
        rankings = {answer["id"]: [article for article, _ in answer["ranked"]] for answer in answers}
        scores = score_rankings(labels, rankings)
        means = {measure: mean_interval([scores[query][measure] for query in labels]) for measure in SHOWN}
        ndcg = [scores[query]["nDCG@10"] for query in labels]
        ours = ndcg if name == OURS else ours
        sure = (
            [answer["confidence"] for answer in answers if answer["id"] in labels],
            [answer["confidence"] for answer in answers if answer["id"] not in labels],
        )
        left = (sure[0], [answer["confidence"] for answer in serve["left_out"]])
        if name == OURS:
            ours_sure, ours_left = sure, left
        p50, p95 = np.percentile([answer["took_ms"] for answer in answers], [50, 95])
        standings.append(
            Standing(
                name=name,
                version=version_of(name),
                quality={measure: interval for measure, interval in means.items() if interval},
                ndcg_behind=paired_delta(ndcg, ours) if name != OURS and ours else None,
                auroc=auroc_interval(*sure),
                auroc_behind=auroc_delta(sure, ours_sure) if name != OURS and ours else None,
                left_out=auroc_interval(*left, paired=True),
                left_out_behind=auroc_delta(left, ours_left, paired=True) if name != OURS and ours else None,
                articles_per_s=run.articles / build["index_s"],
                index_s=build["index_s"],
                index_cpu_s=build["index_cpu_s"],
                p50_ms=float(p50),
                p95_ms=float(p95),
                cpu_ms=float(np.median([answer["cpu_ms"] for answer in answers])),
                cold_start_s=serve["cold_start_s"],
                peak_rss_mb=serve["peak_rss_mb"],
            )
        )
    return standings


def version_of(name: str) -> str:
    """The version of a system: ours as installed, a peer's as its requirements pin it."""
    if name == OURS:
        return version("symptom-kb")
    package = {"haystack": "haystack-ai", "faiss": "faiss-cpu"}.get(name, name)
    pins = dict(line.split("==") for line in (_HERE / f"{name}.txt").read_text().splitlines() if "==" in line)
    return pins[package]


def markdown_report(dataset: Dataset, run: SideBySide, standings: Sequence[Standing]) -> str:
    """Quality and speed of all systems as two Markdown tables, each speed of a peer also as a multiple of ours."""
    first = standings[0]
    answerable = sum(ticket.answerable for ticket in dataset.tickets)
    ranking = ["system", *SHOWN, "ours minus it, nDCG@10"]
    sureness = ["system", "AUROC", "ours minus it", "AUROC, leave-article-out", "ours minus it"]
    speed = ["system", *(heading for _, heading, _, _ in _SPEED)]
    lines = [
        f"# {dataset.name}: side by side",
        "",
        f"Made on {datetime.now(UTC).date().isoformat()} by `kb eval peers`: {run.articles} articles, {answerable} "
        f"answerable and {len(dataset.tickets) - answerable} unanswerable tickets"
        f"{f' of the split {dataset.split}' if dataset.split else ''}; the same articles, tickets and MiniLM weights "
        "for all. What each figure means: docs/evaluation.md.",
        "",
        "## Ranking, with 95 % intervals",
        "",
        *table_lines(ranking, [_ranking_cells(standing, bounds=True) for standing in standings]),
        "",
        "## Telling what no article answers",
        "",
        "Leave-article-out asks each answerable ticket again as if its articles were not there.",
        "",
        *table_lines(sureness, [_sureness_cells(standing, bounds=True) for standing in standings]),
        "",
        "## Speed",
        "",
        f"{os.cpu_count()} cores, load average before the run {run.load_before:.1f}; where that is above 0.5 or so, "
        "trust no time, processor times a little more. In brackets: the multiple of ours. The peers index "
        f"{run.chunks} ready-made chunks; "
        "ours reads, parses and chunks by itself, and its answers include cited snippets and the decision.",
        "",
        *table_lines(speed, [_speed_cells(standing, first) for standing in standings]),
    ]
    return "\n".join(lines) + "\n"


def write_reports(dataset: Dataset, run: SideBySide, standings: Sequence[Standing], out_dir: Path) -> tuple[Path, Path]:
    """Write `peers.md` and `peers.json` into `out_dir`. Raises OutputError."""
    markdown, report = out_dir / "peers.md", out_dir / "peers.json"
    write_text(markdown, markdown_report(dataset, run, standings))
    values = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "dataset": {"name": dataset.name, "split": dataset.split or None},
        "articles": run.articles,
        "chunks": run.chunks,
        "answerable": sum(ticket.answerable for ticket in dataset.tickets),
        "unanswerable": sum(not ticket.answerable for ticket in dataset.tickets),
        "machine": {"cores": os.cpu_count(), "load_before": run.load_before},
        "systems": {standing.name: standing.as_dict() for standing in standings},
    }
    write_json(report, values)
    return markdown, report


def print_standings(standings: Sequence[Standing], run: SideBySide, console: Console) -> None:
    """The same as narrow tables: ranking, sureness, then speed."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from service.terminal import print_table

    def table(title: str, headings: Sequence[str]) -> Table:
        made = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for number, heading in enumerate(headings):
            made.add_column(heading, justify="right" if number else "left", no_wrap=True)
        return made

    ranking = table("Ranking", ("system", "S@1", "S@3", "S@5", "nDCG@10", "ours"))
    sureness = table("Telling what no article answers", ("system", "AUROC", "ours", "leave-article-out", "ours"))
    indexing = table("Indexing", ("system", "index", "of it processor"))
    questions = table("A question", ("system", "p50", "p95", "processor"))
    rest = table("Start and memory", ("system", "cold start", "memory"))
    for standing in standings:
        ranking.add_row(standing.name, *_ranking_cells(standing, bounds=False)[1:])
        sureness.add_row(standing.name, *_sureness_cells(standing, bounds=False)[1:])
        cells = [cell.replace("(", "").replace(")", "") for cell in _speed_cells(standing, standings[0])[1:]]
        indexing.add_row(standing.name, *cells[:2])
        questions.add_row(standing.name, *cells[2:5])
        rest.add_row(standing.name, *cells[5:])
    console.print()
    for standing in standings:
        console.print(f"{standing.name}: {name_of(standing)}", highlight=False, soft_wrap=True)
    for made in (ranking, sureness, indexing, questions, rest):
        print_table(console, made)
    console.print(
        "ours: ours minus the peer, paired; * its 95 % interval does not hold 0", style="dim", highlight=False
    )
    console.print(f"load average before the run {run.load_before:.1f}, {os.cpu_count()} cores", highlight=False)


def name_of(standing: Standing) -> str:
    """What it is, with its version."""
    return f"{PEERS[standing.name]} ({standing.version})"


def _ranking_cells(standing: Standing, *, bounds: bool) -> list[str]:
    means = [_value(standing.quality.get(measure), bounds) for measure in SHOWN]
    return [name_of(standing), *means, _change(standing.ndcg_behind, bounds)]


def _sureness_cells(standing: Standing, *, bounds: bool) -> list[str]:
    pairs = ((standing.auroc, standing.auroc_behind), (standing.left_out, standing.left_out_behind))
    cells = [(_value(value, bounds), _change(delta, bounds)) for value, delta in pairs]
    return [name_of(standing), *cells[0], *cells[1]]


def _value(interval: Interval | None, bounds: bool) -> str:
    return figure_cell(interval) if bounds else value_cell(interval.value if interval else None)


def _change(delta: Delta | None, bounds: bool) -> str:
    return change_cell(delta) if bounds else _short(delta)


def _speed_cells(standing: Standing, ours: Standing) -> list[str]:
    cells = [name_of(standing)]
    for name, _, unit, digits in _SPEED:
        value, base = getattr(standing, name), getattr(ours, name)
        multiple = "" if standing is ours or not base else f" (×{value / base:.1f})"
        cells.append(f"{value:.{digits}f} {unit}{multiple}")
    return cells


def _short(delta: Delta | None) -> str:
    """The difference alone, with a star where its interval does not hold 0."""
    if delta is None:
        return ""
    clear = delta.interval.low > 0 or delta.interval.high < 0
    return f"{delta.interval.value:+.3f}{'*' if clear else ' '}"
