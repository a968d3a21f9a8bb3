"""Every ticket through the assistant exactly as production asks it, one at a time, and what came back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.citations import CitationChecker, SnippetJudgement, judge_snippets
from eval.datasets import AnswerLines, Dataset, Ticket, load_dataset, short_hash
from indexer.building import BuildOptions, BuildReport, build_index
from indexer.embedding import DEFAULT_MODEL, Precision, load_embedder
from indexer.errors import DatasetError, InputError
from indexer.metadata import Audience
from indexer.publishing import Learned, publish_learned, read_learned
from indexer.scope import INTERNAL, PUBLIC, Scope
from service.answers import Answer, Question

if TYPE_CHECKING:
    from eval.calibrating import Calibration
    from indexer.embedding import Embedder
    from service.assistant import Assistant
    from service.learning import LearningReport

_BEFORE_EVERYTHING = "0000-01-01"
"""The day of a ticket without a date: no history at all, rather than one from its future."""

LIMIT = 10
"""Suggestions asked for: as many as the measures look at."""

SCOPES: dict[Audience, Scope] = {Audience.INTERNAL: INTERNAL, Audience.PUBLIC: PUBLIC}

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total) as work advances."""

Ask = Callable[..., Answer]
"""`Assistant.answer`, with `excluded` and `as_of` where they are asked for."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How to evaluate, apart from the data set.

    Attributes:
        index_dir: where the index is; None for a folder of its own below `cache_dir`.
        precision, model: as for `load_embedder`.
        audience: every asker's, in place of the data set's.
        history: resolved tickets to learn from before the run.
        by_time: each ticket is asked as if on its own day, when only older resolved tickets were known.
        calibrate_on: split whose tickets the decision is calibrated on first; None leaves the decision as it is.
        budget: error budget of that calibration.
        leave_article_out: ask every answerable ticket once more with its labelled articles treated as not there.
    """

    cache_dir: Path
    index_dir: Path | None = None
    precision: Precision | None = None
    model: str = DEFAULT_MODEL
    audience: Audience | None = None
    history: Path | None = None
    by_time: bool = False
    calibrate_on: str | None = None
    budget: float = 0.1
    leave_article_out: bool = False


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
    threshold: float
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
    learned: LearningReport | None = None
    calibrated: Calibration | None = None


def run_evaluation(
    dataset: Dataset,
    setup: Setup,
    embedder: Embedder | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Run:
    """Build or reuse the index, ask every ticket, check every citation.

    Raises:
        DatasetError: the data set or the history cannot be used.
        NothingPublished, IndexBusy: see `build_index`.
    """
    from service.assistant import Assistant

    embedder = embedder or load_embedder(setup.model, setup.precision)
    index_dir, report, learned = build_for(dataset, setup, embedder, progress)
    calibrated = calibrate_first(setup, dataset, index_dir, embedder, progress) if setup.calibrate_on else None
    assistant = Assistant(index_dir, embedder)
    outcomes, first_ms = ask_tickets(assistant, dataset, setup, progress)
    left_out = None
    if setup.leave_article_out:
        from eval.leave_out import ask_without_labelled

        left_out = ask_without_labelled(assistant, dataset, setup, progress)
    return Run(
        dataset=dataset,
        index_dir=index_dir,
        index_version=assistant.index_version,
        model=embedder.fingerprint.model,
        precision=embedder.fingerprint.precision,
        article_count=report.article_count,
        chunk_count=report.chunk_count,
        outcomes=tuple(outcomes),
        left_out=left_out,
        first_ms=first_ms,
        learned=learned,
        calibrated=calibrated,
        problems=(
            *dataset.problems,
            *_what_it_knew(assistant, learned, calibrated is not None),
            *(f"not indexed: {error}" for error in report.errors),
            *(f"refused: {outcome.ticket.query_id}: {outcome.refused}" for outcome in outcomes if outcome.refused),
        ),
    )


def build_for(
    dataset: Dataset, setup: Setup, embedder: Embedder, progress: Progress
) -> tuple[Path, BuildReport, LearningReport | None]:
    """Build or reuse the index that `setup` asks for, and teach it the history.

    Raises:
        DatasetError, NothingPublished, IndexBusy: see `run_evaluation`.
    """
    if not dataset.tickets:
        raise DatasetError(f"{dataset.folder} has no ticket that can be scored; add labels to qrels")
    index_dir = setup.index_dir or default_index_dir(dataset, setup)
    report = build_index(dataset.articles_dir, index_dir, embedder, BuildOptions(), progress)
    learned = learn_history(setup.history, index_dir, embedder, dataset, progress) if setup.history else None
    return index_dir, report, learned


def default_index_dir(dataset: Dataset, setup: Setup) -> Path:
    """A folder for this data set, model and history: what was learned in one run never reaches another."""
    history = setup.history and setup.history.resolve()
    parts = [dataset.articles_dir.resolve(), setup.model, setup.precision, history, setup.calibrate_on]
    return setup.cache_dir / f"{dataset.name}-{short_hash('|'.join(str(part or '') for part in parts))}"


def learn_history(
    history: Path, index_dir: Path, embedder: Embedder, dataset: Dataset, progress: Progress
) -> LearningReport:
    """Let the index learn from resolved tickets, none of which may be a ticket of the data set, by id or by text.

    Raises:
        DatasetError: the file is missing or malformed, or has no ticket besides the data set's.
    """
    from service.learning import PastTicket, learn, read_history

    barred = [PastTicket(ticket.query_id, ticket.title, ticket.text, (), "") for ticket in dataset.every_ticket]

    def show(stage: str, done: int, total: int) -> None:
        progress("learning", done, total)

    return learn(read_history(history), index_dir, embedder, barred, show)


def calibrate_first(
    setup: Setup, dataset: Dataset, index_dir: Path, embedder: Embedder, progress: Progress
) -> Calibration:
    """Calibrate the index' decision on another split of the data set and publish it.

    Raises:
        DatasetError: that split is the one being measured, or cannot calibrate anything.
    """
    from eval.calibrating import calibrate, collect_examples
    from service.assistant import Assistant

    if setup.calibrate_on == dataset.split:
        raise DatasetError(
            f"the decision cannot be calibrated on {dataset.split!r} and measured there; name two splits"
        )
    other = load_dataset(dataset.folder, setup.cache_dir, setup.calibrate_on)
    assistant = Assistant(index_dir, embedder)
    trust = assistant.snapshot.history.trust if assistant.snapshot.history else 0.0
    calibrated = calibrate(collect_examples(assistant, other, progress), trust, setup.budget)
    tickets = read_learned(index_dir, embedder).tickets
    publish_learned(index_dir, embedder, Learned(tickets, calibrated.as_dict()))
    return calibrated


def _what_it_knew(assistant: Assistant, learned: LearningReport | None, calibrated: bool) -> list[str]:
    """What a reader would not expect: that the index brought something along from earlier, or doubts its history."""
    snapshot = assistant.snapshot
    known = []
    if snapshot.history and not learned:
        known.append(f"the index had learned from {len(snapshot.history)} resolved tickets before this run")
    if learned and learned.belief and learned.belief.factor < 1:
        known.append(
            f"the history counts with {learned.belief.factor:.0%} of its weight: more made its own held-out tickets "
            "rank worse"
        )
    if snapshot.decision and not calibrated:
        known.append("the index has a calibrated decision from before this run")
    return known


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
    scope = SCOPES[setup.audience or ticket.audience]
    started = time.perf_counter()
    try:
        question = Question(ticket.text, ticket.title, limit=LIMIT)
        more: dict[str, Any] = {"excluded": excluded} if excluded is not None else {}
        if setup.by_time:
            more["as_of"] = ticket.created or _BEFORE_EVERYTHING
        answer = answer_question(question, scope, **more)
    except InputError as error:
        took_ms = (time.perf_counter() - started) * 1000
        return Outcome(ticket, (), 0.0, 1.0, False, took_ms, refused=str(error))
    took_ms = (time.perf_counter() - started) * 1000
    snippets = [snippet for suggestion in answer.suggestions for snippet in suggestion.snippets]
    failures = [checker.failure(snippet) for snippet in snippets] if checker else []
    return Outcome(
        ticket=ticket,
        ranked=tuple((suggestion.path, suggestion.score) for suggestion in answer.suggestions),
        confidence=answer.confidence,
        threshold=answer.threshold,
        suggested=answer.answered,
        took_ms=took_ms,
        citations=len(snippets),
        citation_failures=tuple(failure for failure in failures if failure),
        snippets=tuple(judge_snippets(ticket.query_id, answer, marked)) if marked else (),
    )
