"""What each signal of the ranking is worth: the same tickets with one signal left out, or with one alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.bootstrap import Delta, Interval, mean_interval, paired_delta
from eval.metrics import score_rankings
from eval.preparing import Prepared, Progress, Setup, embedder_for, prepare_index
from eval.runner import LIMIT
from indexer.errors import InputError
from service.answers import Question
from service.evidence import Weights
from service.recent_vectors import RecentVectors

if TYPE_CHECKING:
    from rich.console import Console

    from eval.datasets import Dataset, Ticket
    from indexer.embedding import Embedder
    from service.assistant import Assistant

MEASURE = "nDCG@10"

_ZERO = Weights(**{field.name: 0.0 for field in fields(Weights)})


@dataclass(frozen=True, slots=True)
class Row:
    """One variant of the ranking.

    Attributes:
        value: its nDCG@10.
        delta: against the full ranking on the same tickets; None for the full ranking itself.
    """

    name: str
    value: Interval
    first: float
    delta: Delta | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            MEASURE: self.value.as_dict(),
            "Success@1": self.first,
            "delta": self.delta.as_dict() if self.delta else None,
        }


def variants(with_tickets: bool) -> dict[str, Weights]:
    """Names and weights: the full ranking, each signal left out, and single signals as systems of their own."""
    full = Weights()
    found = {
        "full ranking": full,
        "without passages": replace(full, passages=0.0, plain=0.0),
        "  without the corpus' geometry": replace(full, passages=0.0, plain=full.passages + full.plain),
        "without gist": replace(full, gist=0.0),
        "without title and summary": replace(full, opening=0.0),
        "without words": replace(full, words=0.0),
        "without error signatures": replace(full, signature=0.0),
        "passages alone": replace(_ZERO, passages=full.passages, plain=full.plain),
        "words alone": replace(_ZERO, words=full.words),
    }
    if with_tickets:
        found["without resolved tickets"] = replace(full, prototype=0.0, votes=0.0)
        found["  without prototypes"] = replace(full, prototype=0.0)
        found["  without votes"] = replace(full, votes=0.0)
    return found


def run_ablation(dataset: Dataset, setup: Setup, progress: Progress, embedder: Embedder | None = None) -> list[Row]:
    """Build, or open, the index that `setup` asks for and ablate it. Raises as `run_evaluation`."""
    embedder = embedder or embedder_for(setup)
    return ablate_ranking(dataset, setup, prepare_index(dataset, setup, embedder, progress), embedder, progress)


def ablate_ranking(
    dataset: Dataset, setup: Setup, prepared: Prepared, embedder: Embedder, progress: Progress
) -> list[Row]:
    """One row for each variant, the full ranking first; none without answerable tickets."""
    from service.assistant import Assistant

    # Every variant asks the same questions.
    embedder = RecentVectors(embedder, len(dataset.tickets))
    full = Assistant(prepared.index_dir, embedder)
    tickets = [ticket for ticket in dataset.tickets if ticket.answerable]
    labels = {ticket.query_id: ticket.labels for ticket in tickets}
    wanted = variants(with_tickets=full.snapshot.history is not None) if tickets else {}
    rows: list[Row] = []
    base: list[float] = []
    for number, (name, weights) in enumerate(wanted.items(), start=1):
        assistant = Assistant(prepared.index_dir, embedder, weights)
        rankings = {ticket.query_id: _ranked(assistant, ticket, setup) for ticket in tickets}
        scores = score_rankings(labels, rankings)
        values = [scores[ticket.query_id][MEASURE] for ticket in tickets]
        base = base or values
        interval = mean_interval(values)
        assert interval is not None
        first = float(np.mean([scores[ticket.query_id]["Success@1"] for ticket in tickets]))
        rows.append(Row(name, interval, first, paired_delta(base, values) if number > 1 else None))
        progress("ranking", number, len(wanted))
    return rows


def _ranked(assistant: Assistant, ticket: Ticket, setup: Setup) -> list[str]:
    try:
        question = Question(ticket.text, ticket.title, LIMIT)
    except InputError:  # too long: production refuses it
        return []
    return [path for path, _ in assistant.rank(question, setup.scope_of(ticket))]


def print_ablation(dataset: Dataset, rows: Sequence[Row], console: Console) -> None:
    """The rows as a table that fits 80 columns."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from service.terminal import print_table

    title = f"{dataset.name}{f', split {dataset.split}' if dataset.split else ''}: what each signal is worth"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("ranking", min_width=30, no_wrap=True)
    for column in (MEASURE, "Success@1", "difference", "95 % interval"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        found = row.delta.interval if row.delta else None
        cells = (f"{found.value:+.3f}", f"{found.low:+.3f}–{found.high:+.3f}") if found else ("", "")
        table.add_row(row.name, f"{row.value.value:.3f}", f"{row.first:.3f}", *cells)
    print_table(console, table)
