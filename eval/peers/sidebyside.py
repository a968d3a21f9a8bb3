"""This project beside other retrieval systems: the same articles, questions and embedding weights, one table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.bootstrap import Delta, Interval, auroc_interval, mean_interval, paired_delta
from eval.metrics import score_rankings
from eval.peers.environments import run_peer
from eval.reporting import write_json, write_text
from indexer.errors import ArticleError, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from eval.datasets import Dataset

OURS = "ours"

PEERS = {
    OURS: "this project, default settings",
    "txtai": "txtai hybrid, defaults",
    "haystack": "Haystack BM25 + dense, RRF",
    "faiss": "FAISS + sentence-transformers",
}

SHOWN = ("Success@1", "Success@3", "Success@5", "nDCG@10")
WORDS_PER_CHUNK = 180
LIMIT = 10


@dataclass(frozen=True, slots=True)
class Standing:
    """One system's figures.

    Attributes:
        quality: means over answerable tickets.
        ndcg_behind: nDCG@10 of ours minus this system's, ticket by ticket; None for ours.
        auroc: answerable against unanswerable by the system's own top score (ours: confidence).
        index_s: from articles (ours) or finished chunks (peers) to a saved index, model loaded before.
        cold_start_s: process start to first answer.
        peak_rss_mb: of the serving process.
    """

    name: str
    quality: Mapping[str, Interval]
    ndcg_behind: Delta | None
    auroc: Interval | None
    index_s: float
    articles_per_s: float
    p50_ms: float
    p95_ms: float
    cold_start_s: float
    peak_rss_mb: float

    def as_dict(self) -> dict[str, Any]:
        plain = ("index_s", "articles_per_s", "p50_ms", "p95_ms", "cold_start_s", "peak_rss_mb")
        return {
            "system": PEERS[self.name],
            "quality": {name: interval.as_dict() for name, interval in self.quality.items()},
            "ndcg_behind": self.ndcg_behind and self.ndcg_behind.as_dict(),
            "auroc": self.auroc and self.auroc.as_dict(),
            **{name: getattr(self, name) for name in plain},
        }


def parse_peers(names: str) -> list[str]:
    """Peers of a comma-separated list, ours always first. Raises InputError."""
    chosen = [name.strip() for name in names.split(",") if name.strip() and name.strip() != OURS]
    if unknown := [name for name in chosen if name not in PEERS]:
        known = ", ".join(name for name in PEERS if name != OURS)
        raise InputError(f"no peer {unknown[0]!r}; choose from {known}")
    return [OURS, *dict.fromkeys(chosen)]


def run_side_by_side(
    dataset: Dataset,
    names: Sequence[str],
    work_dir: Path,
    peers_dir: Path,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> list[Standing]:
    """Run every system after the other, so that none takes the processor from another.

    Raises:
        PeerError: a peer cannot be installed or fails.
    """
    chunks = list(article_chunks(dataset.articles_dir))
    queries = [{"id": ticket.query_id, "title": ticket.title, "text": ticket.text} for ticket in dataset.tickets]
    results: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(names, start=1):
        folder = (work_dir / name).resolve()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        job = {
            "folder": str(folder / "index"),
            "articles_dir": str(dataset.articles_dir.resolve()),
            "chunks": chunks,
            "queries": queries,
            "limit": LIMIT,
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        run_peer(name, folder / "job.json", peers_dir)
        results[name] = {mode: json.loads((folder / f"{mode}.json").read_text()) for mode in ("build", "serve")}
        progress(f"running {name}", number, len(names))
    articles = len({chunk["article"] for chunk in chunks})
    return summarise_standings(dataset, results, articles)


def article_chunks(articles_dir: Path) -> Iterator[dict[str, str]]:
    """Sections cut at 180 words, each under its heading path: what the peers index, ready-made."""
    from indexer.articles import find_articles, read_article
    from indexer.chunking import strip_markup

    for file in find_articles(articles_dir):
        try:
            article = read_article(articles_dir, file)
        except ArticleError:
            continue
        for section in article.sections:
            blocks = [strip_markup(article.source.text[block.start : block.end]) for block in section.blocks]
            words = "\n".join(blocks).split()
            for start in range(0, len(words), WORDS_PER_CHUNK):
                piece = " ".join(words[start : start + WORDS_PER_CHUNK])
                yield {"article": article.path, "text": f"{' > '.join(section.heading_path)}\n{piece}"}


def summarise_standings(
    dataset: Dataset, results: Mapping[str, Mapping[str, Any]], article_count: int
) -> list[Standing]:
    """Figures of every system in `results` (name to its `build` and `serve`), in that order."""
    import numpy as np

    labels = {ticket.query_id: ticket.labels for ticket in dataset.tickets if ticket.answerable}
    standings: list[Standing] = []
    ours: list[float] = []
    for name, result in results.items():
        answers = result["serve"]["answers"]
        rankings = {answer["id"]: [article for article, _ in answer["ranked"]] for answer in answers}
        scores = score_rankings(labels, rankings)
        means = {measure: mean_interval([scores[query][measure] for query in labels]) for measure in SHOWN}
        ndcg = [scores[query]["nDCG@10"] for query in labels]
        ours = ndcg if name == OURS else ours
        sure = [answer["confidence"] for answer in answers if answer["id"] in labels]
        unsure = [answer["confidence"] for answer in answers if answer["id"] not in labels]
        p50, p95 = np.percentile([answer["took_ms"] for answer in answers], [50, 95])
        standings.append(
            Standing(
                name=name,
                quality={measure: interval for measure, interval in means.items() if interval},
                ndcg_behind=paired_delta(ndcg, ours) if name != OURS and ours else None,
                auroc=auroc_interval(sure, unsure),
                index_s=result["build"]["index_s"],
                articles_per_s=article_count / result["build"]["index_s"],
                p50_ms=float(p50),
                p95_ms=float(p95),
                cold_start_s=result["serve"]["cold_start_s"],
                peak_rss_mb=result["serve"]["peak_rss_mb"],
            )
        )
    return standings


def markdown_report(dataset: Dataset, standings: Sequence[Standing]) -> str:
    """Quality and speed of all systems as a Markdown table, each figure of a peer also as a multiple of ours."""
    first = standings[0]
    headings = ["system", *SHOWN, "nDCG of ours minus it", "AUROC", "index", "p50", "p95", "cold start", "memory"]
    lines = [
        f"# {dataset.name}: side by side",
        "",
        f"{sum(t.answerable for t in dataset.tickets)} answerable and "
        f"{sum(not t.answerable for t in dataset.tickets)} unanswerable tickets; same articles, same MiniLM weights. "
        "The peers index 180-word section chunks, ready-made; ours reads, parses and chunks by itself, and its answers "
        "include cited snippets. In brackets: 95 % interval, or for speed and memory the multiple of ours.",
        "",
        f"| {' | '.join(headings)} |",
        f"|{'---|' * len(headings)}",
    ]
    lines += [f"| {' | '.join(_markdown_row(standing, first))} |" for standing in standings]
    return "\n".join(lines) + "\n"


def write_reports(dataset: Dataset, standings: Sequence[Standing], out_dir: Path) -> tuple[Path, Path]:
    """Write `peers.md` and `peers.json` into `out_dir`. Raises OutputError."""
    markdown, report = out_dir / "peers.md", out_dir / "peers.json"
    write_text(markdown, markdown_report(dataset, standings))
    write_json(report, {"dataset": dataset.name, "systems": {s.name: s.as_dict() for s in standings}})
    return markdown, report


def print_standings(standings: Sequence[Standing], console: Console) -> None:
    """The same as two narrow tables: quality, then speed."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    first = standings[0]
    quality = Table(title="Quality", title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("system", "S@1", "S@3", "S@5", "nDCG@10", "ours minus it", "AUROC"):
        quality.add_column(heading, justify="left" if heading == "system" else "right", no_wrap=True)
    speed = Table(title="Speed", title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("system", "index", "p50", "p95", "cold start", "memory"):
        speed.add_column(heading, justify="left" if heading == "system" else "right", no_wrap=True)
    for standing in standings:
        cells = _markdown_row(standing, first)
        values = [f"{interval.value:.3f}" for interval in standing.quality.values()] or ["-"] * len(SHOWN)
        quality.add_row(standing.name, *values, cells[len(SHOWN) + 1], cells[len(SHOWN) + 2])
        speed.add_row(standing.name, *(cell.replace("(", "").replace(")", "") for cell in cells[len(SHOWN) + 3 :]))
    console.print()
    for standing in standings:
        console.print(f"{standing.name}: {PEERS[standing.name]}", highlight=False, soft_wrap=True)
    console.print(quality)
    console.print(speed)


def _markdown_row(standing: Standing, ours: Standing) -> list[str]:
    delta = standing.ndcg_behind and standing.ndcg_behind.interval
    pairs = [
        ("index_s", "s", 1),
        ("p50_ms", "ms", 1),
        ("p95_ms", "ms", 1),
        ("cold_start_s", "s", 1),
        ("peak_rss_mb", "MB", 0),
    ]
    speeds = []
    for name, unit, digits in pairs:
        value, base = getattr(standing, name), getattr(ours, name)
        multiple = "" if standing is ours else f" (×{value / base:.1f})"
        speeds.append(f"{value:.{digits}f} {unit}{multiple}")
    qualities = [f"{i.value:.3f} ({i.low:.3f}–{i.high:.3f})" for i in standing.quality.values()]
    return [
        PEERS[standing.name],
        *(qualities or ["-"] * len(SHOWN)),
        f"{delta.value:+.3f} ({delta.low:+.3f}, {delta.high:+.3f})" if delta else "",
        f"{standing.auroc.value:.3f}" if standing.auroc else "-",
        *speeds,
    ]
