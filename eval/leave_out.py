"""Leave-article-out: the hard half of knowing when not to answer.

Every answerable ticket is asked once as it is and once with its labelled articles treated as not there. The second is a
question of the same product, in the same words, that no article answers: the case a real help desk lives in, where
questions about something else altogether are easy to tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eval.bootstrap import Interval, auroc_interval, mean_interval
from eval.preparing import Progress, Setup
from eval.runner import Outcome, Run, ask

if TYPE_CHECKING:
    from eval.datasets import Dataset
    from service.assistant import Assistant


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Figures of leave-article-out.

    Attributes:
        auroc: chance that a ticket with its article is more confident than a ticket (any) without; ties count half.
        dropped: share of tickets whose own confidence is lower without their article; ties count half.
        coverage: share that gets a suggestion with the labelled articles present.
        false_suggestions: share that gets one with them removed, when any suggestion is wrong by the labels.
    """

    tickets: int
    auroc: Interval | None
    dropped: Interval | None
    coverage: Interval | None
    false_suggestions: Interval | None

    def as_dict(self) -> dict[str, Any]:
        names = ("auroc", "dropped", "coverage", "false_suggestions")
        intervals = {name: getattr(self, name) for name in names}
        return {"tickets": self.tickets, **{name: value and value.as_dict() for name, value in intervals.items()}}


def ask_without_labelled(
    assistant: Assistant, dataset: Dataset, setup: Setup, progress: Progress
) -> tuple[Outcome, ...]:
    """Outcomes of the answerable tickets with their labelled articles left out."""
    tickets = [ticket for ticket in dataset.tickets if ticket.answerable]
    outcomes = []
    for number, ticket in enumerate(tickets, start=1):
        outcomes.append(ask(assistant.answer, ticket, setup, excluded=ticket.relevant))
        progress("asking without the labelled articles", number, len(tickets))
    return tuple(outcomes)


def summarise_left_out(run: Run) -> LeftOut | None:
    """The figures; None if the run did not leave articles out or has no answerable ticket."""
    if not run.left_out:
        return None
    present = [outcome for outcome in run.outcomes if outcome.ticket.answerable]
    pairs = list(zip(present, run.left_out, strict=True))
    return LeftOut(
        tickets=len(pairs),
        auroc=auroc_interval([a.confidence for a, _ in pairs], [b.confidence for _, b in pairs], paired=True),
        dropped=mean_interval([_ahead(a.confidence, b.confidence) for a, b in pairs]),
        coverage=mean_interval([float(a.suggested) for a, _ in pairs]),
        false_suggestions=mean_interval([float(b.suggested) for _, b in pairs]),
    )


def _ahead(first: float, second: float) -> float:
    return 0.5 if first == second else float(first > second)
