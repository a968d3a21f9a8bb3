"""The index that an evaluation asks: built for it and taught what it is to know, or one that is there already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eval.datasets import Dataset, Ticket, listed, short_hash
from indexer.building import BuildOptions, build_index
from indexer.embedding import DEFAULT_MODEL, Precision, load_embedder
from indexer.errors import DatasetError
from indexer.metadata import Audience
from indexer.publishing import Learned, publish_learned, read_learned
from indexer.scope import INTERNAL, PUBLIC, Scope
from indexer.snapshot import Manifest, current_version

if TYPE_CHECKING:
    from eval.calibrating import Calibration
    from indexer.embedding import Embedder
    from service.assistant import Assistant
    from service.learning import LearningReport

_BEFORE_EVERYTHING = "0000-01-01"
"""The day of a ticket without a date: no history at all, rather than one from its future."""

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total) as work advances."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How to evaluate, apart from the data set.

    Attributes:
        index_dir: an index to measure as it is; None builds one of its own below `cache_dir`.
        precision, model: as for `load_embedder`; an index that is given has its own.
        audience: every asker's, in place of the data set's.
        history: resolved tickets to learn from before the run.
        by_time: each ticket is asked as if on its own day, when only older resolved tickets were known.
        calibrate_on: the same data set's tickets of another split, which the decision is calibrated on first; None
            leaves the decision as it is.
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
    calibrate_on: Dataset | None = None
    budget: float = 0.1
    leave_article_out: bool = False

    def scope_of(self, ticket: Ticket) -> Scope:
        """What the ticket's asker may see."""
        return PUBLIC if (self.audience or ticket.audience) is Audience.PUBLIC else INTERNAL

    def day_of(self, ticket: Ticket) -> str:
        """The day from before which resolved tickets count; empty for all of them."""
        return (ticket.created or _BEFORE_EVERYTHING) if self.by_time else ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An index to ask.

    Attributes:
        learned, calibrated: as of `Run`.
        problems: what is odd about it, for a person to read.
    """

    index_dir: Path
    learned: LearningReport | None = None
    calibrated: Calibration | None = None
    problems: tuple[str, ...] = ()


def prepare_index(dataset: Dataset, setup: Setup, embedder: Embedder, progress: Progress) -> Prepared:
    """Build or reuse the index below `setup.cache_dir`, teach it the history and calibrate it; or take the one that
    `setup` names, which is never changed.

    Raises:
        DatasetError, NothingPublished, IndexBusy: see `run_evaluation`.
    """
    if not dataset.tickets:
        raise DatasetError(f"{dataset.folder} has no ticket that can be scored; add labels to qrels")
    if setup.index_dir:
        return Prepared(setup.index_dir)
    index_dir = default_index_dir(dataset, setup)
    report = build_index(dataset.articles_dir, index_dir, embedder, BuildOptions(), progress)
    problems = [f"not indexed: {error}" for error in report.errors]
    learned = learn_history(setup.history, index_dir, embedder, dataset, progress) if setup.history else None
    calibrated = None
    if setup.calibrate_on:
        others, shared = without_shared(setup.calibrate_on, dataset)
        problems += shared
        calibrated = calibrate_first(others, setup, index_dir, embedder, progress)
    return Prepared(index_dir, learned, calibrated, tuple(problems))


def embedder_for(setup: Setup) -> Embedder:
    """The model that `setup` names, or that of the index that it names. Raises IndexNotFound, IndexCorrupt."""
    if setup.index_dir is None:
        return load_embedder(setup.model, setup.precision)
    made_by = Manifest.read(setup.index_dir / current_version(setup.index_dir)).fingerprint
    return load_embedder(made_by.model, made_by.precision)


def labels_outside(assistant: Assistant, dataset: Dataset) -> list[str]:
    """What is odd about labelled articles that the index does not hold.

    Raises:
        DatasetError: it holds none of them, so it was made from other articles.
    """
    held = {card.path for card in assistant.snapshot.store.cards}
    labelled = {path for ticket in dataset.tickets for path in ticket.relevant}
    if labelled and not labelled & held:
        raise DatasetError(
            f"the index holds none of the {len(labelled)} labelled articles, such as {min(labelled)}; index the folder "
            f"that their paths start from ({dataset.articles_dir})"
        )
    # Those that do not exist at all the data set has told of.
    missing = sorted(path for path in labelled - held if (dataset.articles_dir / path).is_file())
    return listed("labelled articles that the index does not hold, counted as not found", missing)


def default_index_dir(dataset: Dataset, setup: Setup) -> Path:
    """A folder for this data set, model and history: what was learned in one run never reaches another."""
    history = setup.history and setup.history.resolve()
    calibrated = setup.calibrate_on and setup.calibrate_on.split
    parts = [dataset.articles_dir.resolve(), setup.model, setup.precision, history, calibrated]
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


def without_shared(others: Dataset, dataset: Dataset) -> tuple[Dataset, list[str]]:
    """`others` without the tickets that `dataset` measures, and what to tell of them.

    Raises:
        DatasetError: none is left: they are the same split.
    """
    measured = {ticket.query_id for ticket in dataset.tickets}
    kept = [ticket for ticket in others.tickets if ticket.query_id not in measured]
    if not kept:
        raise DatasetError(f"the decision cannot be calibrated on {others.split!r} and measured there; name two splits")
    shared = [ticket.query_id for ticket in others.tickets if ticket.query_id in measured]
    told = listed(f"tickets of both splits, left out of calibrating on {others.split!r}", shared)
    return replace(others, tickets=tuple(kept)), told


def calibrate_first(
    others: Dataset, setup: Setup, index_dir: Path, embedder: Embedder, progress: Progress
) -> Calibration:
    """Calibrate the index' decision on `others` and publish it. Raises DatasetError if they cannot calibrate."""
    from eval.calibrating import calibrate, collect_examples
    from service.assistant import Assistant

    assistant = Assistant(index_dir, embedder)
    trust = assistant.snapshot.history.trust if assistant.snapshot.history else 0.0
    examples = collect_examples(assistant, others, setup, progress)
    calibrated = calibrate(examples, trust, setup.budget, others.label)
    tickets = read_learned(index_dir, embedder).tickets
    publish_learned(index_dir, embedder, Learned(tickets, calibrated.as_dict()))
    return calibrated
