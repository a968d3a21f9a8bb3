"""A run for people (tables), for programs (JSON) and for other evaluation tools (TREC run)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from eval.bootstrap import Interval
from eval.decisions import risk_at
from eval.metrics import MEANINGS
from eval.runner import Outcome, Run
from eval.summary import DecisionFigures, Summary, summary_as_dict, verified_share
from indexer.errors import KBError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

REPORT_FORMAT = 1
"""Of `--json` files; raised when a reader would have to change."""

RUN_TAG = "symptom-kb"


class OutputError(KBError):
    """A report cannot be written where it was asked for."""


def report_as_dict(run: Run, summary: Summary) -> dict[str, Any]:
    """What `--json` writes: the run's circumstances, the summary, and one object for every ticket."""
    dataset = run.dataset
    queries = [_query_as_dict(run, outcome, summary.per_query.get(outcome.ticket.query_id)) for outcome in run.outcomes]
    answerable = [query for query in queries if query["answerable"]]
    for query, left_out in zip(answerable, run.left_out or (), strict=False):
        query["left_out"] = {
            "confidence": left_out.confidence,
            "suggested": left_out.suggested,
            "ranked": [dataset.document_id(path) for path, _ in left_out.ranked],
        }
    return {
        "format": REPORT_FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "dataset": {
            "name": dataset.name,
            "folder": str(dataset.folder),
            "articles_dir": str(dataset.articles_dir),
            "split": dataset.split or None,
            "problems": list(run.problems),
        },
        "index": {
            "folder": str(run.index_dir),
            "version": run.index_version,
            "model": run.model,
            "precision": run.precision,
            "articles": run.article_count,
            "chunks": run.chunk_count,
        },
        "history": asdict(run.learned) if run.learned else None,
        "calibration": run.calibrated.as_dict() if run.calibrated else None,
        "summary": summary_as_dict(summary),
        "queries": queries,
    }


def trec_run(run: Run) -> str:
    """The rankings of all tickets as a TREC run: `query Q0 document rank score tag`, one suggestion a line.

    Articles are named by their path below articles/ (documents of a BEIR corpus by their id). A run is separated by
    white space, so white space inside a name is percent-encoded (`my%20article.md`). Scores fall strictly from rank to
    rank: trec_eval orders by score alone and would break a tie by name.
    """
    lines = []
    for outcome in run.outcomes:
        above = float("inf")
        for rank, (path, score) in enumerate(outcome.ranked, start=1):
            above = min(round(score, 6), above - 1e-6)
            query_id, document = _word(outcome.ticket.query_id), _word(run.dataset.document_id(path))
            lines.append(f"{query_id} Q0 {document} {rank} {above:.6f} {RUN_TAG}\n")
    return "".join(lines)


def write_json(file: Path, values: Mapping[str, Any]) -> None:
    """Write `values` readably. Raises OutputError."""
    write_text(file, json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(file: Path, text: str) -> None:
    """Write `text`, making the folder if need be. Raises OutputError."""
    check_writable(file)
    file.write_text(text, encoding="utf-8")


def check_writable(file: Path) -> None:
    """Make the file's folder and see that the file can be opened: better before a long run than after it.

    Raises:
        OutputError: it cannot.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a"):
            pass
    except OSError as error:
        raise OutputError(f"{file} cannot be written ({error.strerror}); name another file") from error


def print_run(run: Run, summary: Summary, console: Console) -> None:
    """The summary as tables: retrieval, decision, leave-article-out where asked for, citations and speed."""
    from service.terminal import print_table

    dataset = run.dataset
    split = f", split {dataset.split}" if dataset.split else ""
    tickets = f"{summary.answerable} answerable and {summary.unanswerable} unanswerable tickets"
    index = f"{run.article_count} articles in {run.chunk_count} chunks, {run.model} {run.precision}"
    console.print(f"\n[bold]{dataset.name}[/bold]{split}: {tickets}\n{index}\n", highlight=False, soft_wrap=True)
    if run.learned:
        barred = f"{run.learned.left_out} left out because they repeat a ticket of the data set"
        console.print(f"learned from {run.learned.used} resolved tickets, {barred}\n", highlight=False, soft_wrap=True)
    if run.calibrated:
        made = run.calibrated
        console.print(
            f"decision calibrated on {made.examples} other tickets, budget {made.budget:.0%} wrong suggestions\n",
            highlight=False,
            soft_wrap=True,
        )
    if summary.retrieval:
        table = figures_table(f"Ranking, over {summary.answerable} answerable tickets")
        for name, interval in summary.retrieval.items():
            table.add_row(name, MEANINGS[name], *_cells(interval))
        print_table(console, table)
    print_table(console, _decision_table(summary.decision))
    if summary.left_out:
        left = summary.left_out
        table = figures_table(f"Leave-article-out, over the same {left.tickets} tickets")
        table.add_row("AUROC", "article there above gone", *_cells(left.auroc))
        table.add_row("confidence drops", "once the article is gone", *_cells(left.dropped))
        table.add_row("coverage", "suggested, article there", *_cells(left.coverage))
        table.add_row("false suggestions", "suggested, article gone", *_cells(left.false_suggestions))
        print_table(console, table)
    print_table(console, _trust_table(summary))
    for reason in summary.citation_failures[:5]:
        console.print(f"citation fails: {reason}", style="red", highlight=False, markup=False, soft_wrap=True)


def print_notes(problems: Sequence[str]) -> None:
    """One line each on standard error."""
    from rich.console import Console

    console = Console(stderr=True)
    for problem in problems:
        console.print(f"kb: note: {problem}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def figures_table(title: str) -> Table:
    """An empty table of figures that fits 80 columns: name, meaning, value and interval."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("measure", min_width=28, no_wrap=True)
    table.add_column("meaning", min_width=24, no_wrap=True)
    table.add_column("value", justify="right", min_width=5, no_wrap=True)
    table.add_column("95 % interval", justify="right", min_width=13, no_wrap=True)
    return table


def _decision_table(decision: DecisionFigures) -> Table:
    table = figures_table(f"Decision, suggesting at confidence {decision.threshold:.2f} and above")
    table.add_row("offline deflection potential", "answerable, told right", *_cells(decision.deflection_potential))
    table.add_row("coverage", "answerable, suggested", *_cells(decision.coverage))
    table.add_row("precision", "suggested: first right", *_cells(decision.precision))
    table.add_row("precision in 3", "suggested: right in 3", *_cells(decision.precision_top3))
    table.add_row("precision, answerable", "answerable tickets only", *_cells(decision.precision_answerable))
    table.add_row("false suggestions", "unanswerable, suggested", *_cells(decision.false_suggestions))
    table.add_row("AUROC", "answerable above others", *_cells(decision.auroc))
    if len(decision.kinds) > 1:
        for kind, count in decision.kinds.items():
            table.add_row(f"  {kind}", f"AUROC against these {count}", *_cells(decision.auroc_by_kind[kind]))
            table.add_row("", "  false suggestions", *_cells(decision.false_suggestions_by_kind[kind]))
    table.add_row("AURC", f"less is better, {_number(decision.aurc_best)} best", _number(decision.aurc), "")
    table.add_row("AURC, answerable", "answerable tickets only", _number(decision.aurc_answerable), "")
    for share in (0.25, 0.5, 0.75, 1.0):
        table.add_row(f"  wrong in the surest {share:.0%}", "", _number(risk_at(decision.curve, share)), "")
    table.add_row("Brier score", "less is better, 0 best", _number(decision.brier), "")
    return table


def _trust_table(summary: Summary) -> Table:
    table = figures_table("Citations and speed")
    verified = summary.citations - len(summary.citation_failures)
    table.add_row("citations verified", f"{verified} of {summary.citations}", _number(verified_share(summary)), "")
    if summary.snippets_judged:
        table.add_row("snippet answers", f"{summary.snippets_judged} judged", *_cells(summary.snippet_overlap))
        table.add_row("first snippet answers", "", *_cells(summary.first_snippet_overlap))
    if summary.snippets_not_suggested:
        table.add_row("  not judged", "article not suggested", str(summary.snippets_not_suggested), "")
    table.add_row("latency p50", "milliseconds a question", f"{summary.latency_p50_ms:.1f}", "")
    table.add_row("latency p95", "", f"{summary.latency_p95_ms:.1f}", "")
    table.add_row("first question", "before anything is warm", f"{summary.first_ms:.1f}", "")
    return table


def _query_as_dict(run: Run, outcome: Outcome, scores: Mapping[str, float] | None) -> dict[str, Any]:
    ticket, name = outcome.ticket, run.dataset.document_id
    return {
        "id": ticket.query_id,
        "answerable": ticket.answerable,
        "kind": ticket.kind,
        "audience": ticket.audience,
        "labels": {name(path): grade for path, grade in ticket.labels.items()},
        "ranked": [{"id": name(path), "score": score} for path, score in outcome.ranked],
        "confidence": outcome.confidence,
        "suggested": outcome.suggested,
        "latency_ms": outcome.took_ms,
        "metrics": dict(scores) if scores is not None else None,
        "citations": {"total": outcome.citations, "failures": list(outcome.citation_failures)},
        "snippets": [
            {"article": name(j.article), "rank": j.rank, "first_overlaps": j.first_overlaps, "overlaps": j.any_overlaps}
            for j in outcome.snippets
        ],
        "refused": outcome.refused,
    }


def _cells(interval: Interval | None) -> Sequence[str]:
    if interval is None:
        return ("-", "")
    return (f"{interval.value:.3f}", f"{interval.low:.3f}–{interval.high:.3f}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _word(name: str) -> str:
    return re.sub(r"\s", lambda match: quote(match.group()), name)
