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

from eval.ablating import Row, ablate_ranking
from eval.ablating_decision import DecisionRow, run_decision_ablation
from eval.calibrating import collect_examples
from eval.declared import DeclaredAsked, ask_declared
from eval.preparing import Progress, Setup, prepare_index, without_shared
from eval.reporting import report_as_dict, write_json, write_text
from eval.runner import Run, measure
from eval.slips import SlipsAsked, ask_with_slips
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
        declared: the errors that the articles name, asked alone, with the decision as it comes.
        slips: subjects asked alone with slips of the finger, with the decision as it comes.
        load_before: the machine's load average when the run began.
    """

    command: str
    created: datetime
    took_s: float
    load_before: float
    runs: Sequence[NamedRun]
    signals: Sequence[Row]
    decision: Sequence[DecisionRow]
    declared: DeclaredAsked
    slips: Sequence[SlipsAsked]

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
    from service.assistant import Assistant

    started, load_before = time.monotonic(), os.getloadavg()[0]
    embedder = embedder or load_embedder(setup.model, setup.precision)
    plain = replace(setup, calibrate_on=None, leave_article_out=True)
    as_it_comes = prepare_index(dataset, plain, embedder, progress)
    name = dataset.split or "all"
    plan = [(f"{name}, as it comes" if calibrate_on else name, dataset, plain, as_it_comes)]
    if calibrate_on:
        calibrated = replace(plain, calibrate_on=calibrate_on)
        index = prepare_index(dataset, calibrated, embedder, progress)
        plan.insert(0, (f"{name}, calibrated on {calibrate_on.split}", dataset, calibrated, index))
        plan.append((f"{calibrate_on.split}, as it comes", calibrate_on, plain, as_it_comes))
    runs = []
    for name, data, wanted, index in plan:
        run = measure(data, wanted, index, embedder, _named(name, progress))
        runs.append(NamedRun(name, run, summarise(run)))
    remembering = RecentVectors(embedder, len(dataset.tickets))
    assistant = Assistant(as_it_comes.index_dir, embedder)
    return FullReport(
        command=command,
        created=datetime.now(UTC),
        load_before=load_before,
        runs=runs,
        signals=ablate_ranking(dataset, plain, as_it_comes, remembering, _named("signals", progress)),
        decision=_ablate_decision(dataset, calibrate_on, plain, as_it_comes.index_dir, remembering, progress),
        declared=ask_declared(assistant, _named("errors", progress)),
        slips=ask_with_slips(assistant, dataset, plain, _named("subjects", progress)),
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
        "declared_errors": report.declared.as_dict(),
        "slips": [row.as_dict() for row in report.slips],
    }


def write_report(report: FullReport, out_dir: Path) -> tuple[Path, Path]:
    """Write `report.md` and `report.json` into `out_dir`. Raises OutputError."""
    from eval.report_page import markdown_page

    markdown, values = out_dir / "report.md", out_dir / "report.json"
    write_text(markdown, markdown_page(report))
    write_json(values, report_values(report))
    return markdown, values


def _ablate_decision(
    dataset: Dataset,
    calibrate_on: Dataset | None,
    setup: Setup,
    index_dir: Path,
    embedder: Embedder,
    progress: Progress,
) -> list[DecisionRow]:
    from service.assistant import Assistant

    assistant = Assistant(index_dir, embedder)
    history = assistant.snapshot.history
    step = _named("decision", progress)
    measured = collect_examples(assistant, dataset, setup, step)
    fitted_on = None
    if calibrate_on:
        fitted_on = collect_examples(assistant, without_shared(calibrate_on, dataset)[0], setup, step)
    return run_decision_ablation(measured, fitted_on, history.trust if history else 0.0, setup.budget)


def _named(name: str, progress: Progress) -> Progress:
    """The same progress under stages that say which part of the report they belong to."""

    def show(stage: str, done: int, total: int) -> None:
        progress(f"{name}: {stage}", done, total)

    return show
