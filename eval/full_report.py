"""Everything about one data set in one go: what `kb eval report` puts on a page."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.ablating import Row, run_ablation
from eval.ablating_decision import DecisionRow, run_decision_ablation
from eval.calibrating import collect_examples
from eval.reporting import report_as_dict, write_json, write_text
from eval.runner import Progress, Run, Setup, build_for, run_evaluation
from eval.summary import Summary, summarise
from service.recent_vectors import RecentVectors

if TYPE_CHECKING:
    from eval.datasets import Dataset
    from indexer.embedding import Embedder

REPORT_FORMAT = 1
"""Of report.json; raised when a reader would have to change."""


@dataclass(frozen=True, slots=True)
class NamedRun:
    """One evaluation and its figures.

    Attributes:
        name: split and decision, as `test, calibrated on dev`.
    """

    name: str
    run: Run
    summary: Summary


@dataclass(frozen=True, slots=True)
class FullReport:
    """What the page shows.

    Attributes:
        command: what made it, as typed.
        runs: the measured split first, as it is meant to be used; then, where that was calibrated, the same split and
            the one calibrated on with the decision as it comes.
        signals: the ranking without each signal, and with one alone.
        decision: the decision without each feature, and with one alone.
        load_before: the machine's load average when the run began.
    """

    command: str
    created: datetime
    took_s: float
    load_before: float
    runs: Sequence[NamedRun]
    signals: Sequence[Row]
    decision: Sequence[DecisionRow]

    @property
    def main(self) -> NamedRun:
        return self.runs[0]


def command_line(dataset: Path, **options: object) -> str:
    """What to type to make the report again; options without a value are left out."""
    named = [(f"--{name.replace('_', '-')}", str(value)) for name, value in options.items() if value not in (None, "")]
    return shlex.join(["kb", "eval", "report", str(dataset), *(part for pair in named for part in pair)])


def make_report(
    dataset: Dataset,
    calibrate_on: Dataset | None,
    setup: Setup,
    command: str,
    progress: Progress,
    embedder: Embedder | None = None,
) -> FullReport:
    """Measure `dataset` in every way.

    Args:
        calibrate_on: another split of the same data set to calibrate the decision on; None takes it as it comes.
        setup: how to evaluate; `calibrate_on` and `leave_article_out` are decided here.

    Raises:
        DatasetError: the data set or the history cannot be used, or the other split cannot calibrate anything.
        NothingPublished, IndexBusy: see `build_index`.
    """
    from indexer.embedding import load_embedder

    started, load_before = time.monotonic(), os.getloadavg()[0]
    embedder = embedder or load_embedder(setup.model, setup.precision)
    plain = replace(setup, calibrate_on=None, leave_article_out=True)
    plan = [(f"{dataset.split or 'all'}, as it comes" if calibrate_on else dataset.split or "all", dataset, plain)]
    if calibrate_on:
        calibrated = replace(plain, calibrate_on=calibrate_on.split)
        plan.insert(0, (f"{dataset.split}, calibrated on {calibrate_on.split}", dataset, calibrated))
        plan.append((f"{calibrate_on.split}, as it comes", calibrate_on, plain))
    runs = []
    for name, data, wanted in plan:
        run = run_evaluation(data, wanted, embedder, _named(name, progress))
        runs.append(NamedRun(name, run, summarise(run)))
    remembering = RecentVectors(embedder, len(dataset.tickets))
    return FullReport(
        command=command,
        created=datetime.now(UTC),
        load_before=load_before,
        runs=runs,
        signals=run_ablation(dataset, plain, _named("signals", progress), remembering) if _ranked(dataset) else (),
        decision=_ablate_decision(dataset, calibrate_on, plain, remembering, progress),
        took_s=time.monotonic() - started,
    )


def report_values(report: FullReport) -> dict[str, Any]:
    """What report.json holds: every run as `kb eval run --json` writes it, and the rows of both ablations."""
    return {
        "format": REPORT_FORMAT,
        "created": report.created.isoformat(timespec="seconds"),
        "command": report.command,
        "version": version("symptom-kb"),
        "took_s": report.took_s,
        "machine": {"cores": os.cpu_count(), "load_before": report.load_before},
        "runs": {named.name: report_as_dict(named.run, named.summary) for named in report.runs},
        "signals": [row.as_dict() for row in report.signals],
        "decision_features": [row.as_dict() for row in report.decision],
    }


def write_report(report: FullReport, out_dir: Path) -> tuple[Path, Path]:
    """Write `report.md` and `report.json` into `out_dir`. Raises OutputError."""
    from eval.report_page import markdown_page

    markdown, values = out_dir / "report.md", out_dir / "report.json"
    write_text(markdown, markdown_page(report))
    write_json(values, report_values(report))
    return markdown, values


def _ablate_decision(
    dataset: Dataset, calibrate_on: Dataset | None, setup: Setup, embedder: Embedder, progress: Progress
) -> list[DecisionRow]:
    from service.assistant import Assistant

    index_dir, _, _ = build_for(dataset, setup, embedder, progress)
    assistant = Assistant(index_dir, embedder)
    history = assistant.snapshot.history
    step = _named("decision", progress)
    measured = collect_examples(assistant, dataset, step, leave_out=True)
    fitted_on = collect_examples(assistant, calibrate_on, step) if calibrate_on else None
    return run_decision_ablation(measured, fitted_on, history.trust if history else 0.0, setup.budget)


def _ranked(dataset: Dataset) -> bool:
    return any(ticket.answerable for ticket in dataset.tickets)


def _named(name: str, progress: Progress) -> Progress:
    """The same progress under stages that say which part of the report they belong to."""

    def show(stage: str, done: int, total: int) -> None:
        progress(f"{name}: {stage}", done, total)

    return show
