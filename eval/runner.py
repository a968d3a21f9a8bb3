"""Every ticket through the assistant exactly as production asks it, one at a time, and what came back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.citations import CitationChecker, SnippetJudgement, judge_snippets
from eval.datasets import AnswerLines, Dataset, Ticket
from eval.preparing import Prepared, Progress, Setup, embedder_for, labels_outside, prepare_index
from indexer.embedding import Precision
from indexer.errors import InputError
from service.answers import Answer, Question

if TYPE_CHECKING:
    from eval.calibrating import Calibration
    from indexer.embedding import Embedder
    from service.assistant import Assistant
    from service.learning import LearningReport

LIMIT = 10
"""Suggestions asked for: as many as the measures look at."""

Ask = Callable[..., Answer]
"""`Assistant.answer`, with `excluded` and `as_of` where they are asked for."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the assistant made of one ticket.

    Attributes:
        ranked: article paths with scores, best first, at most 10.
        took_ms: wall-clock time of the call, milliseconds.
        citations: how many there were.
        citation_failures: one reason for each that does not hold.
        refused: why the assistant refused the question; None if it took it.
    """

    ticket: Ticket
    ranked: tuple[tuple[str, float], ...]
    confidence: float
    suggested: bool
    took_ms: float
    citations: int = 0
    citation_failures: tuple[str, ...] = ()
    snippets: tuple[SnippetJudgement, ...] = ()
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One evaluation.

    Attributes:
        left_out: outcomes with the labelled articles treated as not there, in the order of the answerable tickets;
            None if that was not asked for.
        first_ms: time of the first call, which loads what is loaded lazily; not part of the latencies.
        learned: what was learned from a history; None without one.
        calibrated: what the decision was calibrated to; None if it was not.
        threshold: confidence from which the assistant suggests.
        article_count, chunk_count: of the index.
    """

    dataset: Dataset
    index_dir: Path
    index_version: str
    model: str
    precision: Precision
    article_count: int
    chunk_count: int
    outcomes: tuple[Outcome, ...]
    left_out: tuple[Outcome, ...] | None
    first_ms: float
    problems: tuple[str, ...]
    threshold: float
    learned: LearningReport | None = None
    calibrated: Calibration | None = None


def run_evaluation(
    dataset: Dataset,
    setup: Setup,
    embedder: Embedder | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Run:
    """Build, or open, the index that `setup` asks for, ask every ticket, check every citation.

    Raises:
        DatasetError: the data set or the history cannot be used, or the index is of other articles.
        NothingPublished, IndexBusy: see `build_index`.
        IndexNotFound, IndexCorrupt: see `Snapshot.open`.
    """
    embedder = embedder or embedder_for(setup)
    return measure(dataset, setup, prepare_index(dataset, setup, embedder, progress), embedder, progress)


def measure(dataset: Dataset, setup: Setup, prepared: Prepared, embedder: Embedder, progress: Progress) -> Run:
    """Ask every ticket of `dataset` of the index, and check every citation. Raises DatasetError as `run_evaluation`."""
    from service.assistant import Assistant

    assistant = Assistant(prepared.index_dir, embedder)
    strangers = labels_outside(assistant, dataset)
    outcomes, first_ms = ask_tickets(assistant, dataset, setup, progress)
    left_out = None
    if setup.leave_article_out:
        from eval.leave_out import ask_without_labelled

        left_out = ask_without_labelled(assistant, dataset, setup, progress)
    manifest = assistant.snapshot.manifest
    return Run(
        dataset=dataset,
        index_dir=prepared.index_dir,
        index_version=assistant.index_version,
        model=manifest.fingerprint.model,
        precision=manifest.fingerprint.precision,
        article_count=manifest.article_count,
        chunk_count=manifest.chunk_count,
        outcomes=tuple(outcomes),
        left_out=left_out,
        first_ms=first_ms,
        threshold=assistant.threshold,
        learned=prepared.learned,
        calibrated=prepared.calibrated,
        problems=(
            *dataset.problems,
            *prepared.problems,
            *strangers,
            *_what_it_knew(assistant, prepared),
            *(f"refused: {outcome.ticket.query_id}: {outcome.refused}" for outcome in outcomes if outcome.refused),
        ),
    )


def _what_it_knew(assistant: Assistant, prepared: Prepared) -> list[str]:
    """What a reader would not expect: that the index brought something along from earlier, or doubts its history."""
    snapshot, learned = assistant.snapshot, prepared.learned
    known = []
    if snapshot.history and not learned:
        known.append(f"the index had learned from {len(snapshot.history)} resolved tickets before this run")
    if learned and learned.belief and learned.belief.factor < 1:
        known.append(
            f"the history counts with {learned.belief.factor:.0%} of its weight: more made its own held-out tickets "
            "rank worse"
        )
    if snapshot.decision and not prepared.calibrated:
        known.append(f"the decision was calibrated before this run{_made_from(snapshot.decision)}")
    return known


def _made_from(decision: Mapping[str, Any]) -> str:
    made = decision.get("made")
    name = made.get("dataset") if isinstance(made, Mapping) else None
    return f", on {name}" if name else ""


def ask_tickets(
    assistant: Assistant, dataset: Dataset, setup: Setup, progress: Progress
) -> tuple[list[Outcome], float]:
    """Outcomes in the order of the tickets, and the time of one call before them that warms things up."""
    checker = CitationChecker(dataset.articles_dir)
    first_ms = ask(assistant.answer, dataset.tickets[0], setup).took_ms
    outcomes = []
    for number, ticket in enumerate(dataset.tickets, start=1):
        marked = [lines for lines in dataset.answer_lines if lines.query_id == ticket.query_id]
        outcomes.append(ask(assistant.answer, ticket, setup, checker=checker, marked=marked))
        progress("asking", number, len(dataset.tickets))
    return outcomes, first_ms


def ask(
    answer_question: Ask,
    ticket: Ticket,
    setup: Setup,
    *,
    checker: CitationChecker | None = None,
    marked: Sequence[AnswerLines] = (),
    excluded: frozenset[str] | None = None,
) -> Outcome:
    """Ask one ticket.

    A question that production would refuse (too long) counts as one without suggestions: that is what its asker gets.

    Args:
        excluded: article paths to treat as not there.
    """
    started = time.perf_counter()
    try:
        question = Question(ticket.text, ticket.title, limit=LIMIT)
        more: dict[str, Any] = {"excluded": excluded} if excluded is not None else {}
        if day := setup.day_of(ticket):
            more["as_of"] = day
        answer = answer_question(question, setup.scope_of(ticket), **more)
    except InputError as error:
        took_ms = (time.perf_counter() - started) * 1000
        return Outcome(ticket, (), 0.0, False, took_ms, refused=str(error))
    took_ms = (time.perf_counter() - started) * 1000
    snippets = [snippet for suggestion in answer.suggestions for snippet in suggestion.snippets]
    failures = [checker.failure(snippet) for snippet in snippets] if checker else []
    return Outcome(
        ticket=ticket,
        ranked=tuple((suggestion.path, suggestion.score) for suggestion in answer.suggestions),
        confidence=answer.confidence,
        suggested=answer.answered,
        took_ms=took_ms,
        citations=len(snippets),
        citation_failures=tuple(failure for failure in failures if failure),
        snippets=tuple(judge_snippets(ticket.query_id, answer, marked)) if marked else (),
    )
