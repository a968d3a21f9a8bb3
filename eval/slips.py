"""Subjects of tickets asked alone, with slips of the finger in them, as people type into a search box."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from eval.metrics import score_rankings
from service.answers import Question

if TYPE_CHECKING:
    from eval.datasets import Dataset
    from eval.preparing import Progress, Setup
    from service.assistant import Assistant

SHARES = (0.0, 0.3, 0.6)
_SEED = 5
_FEWEST_LETTERS = 5
_LETTERS = "aeiorstnl"
_LIMIT = 10


@dataclass(frozen=True, slots=True)
class SlipsAsked:
    """Figures of subjects asked with slips.

    Attributes:
        share: of the words from five letters on, how many have a slip.
        asked: how many subjects; answerable tickets that have one.
        ndcg: mean nDCG@10.
        answered: share that gets a suggestion.
    """

    share: float
    asked: int
    ndcg: float
    answered: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def ask_with_slips(assistant: Assistant, dataset: Dataset, setup: Setup, progress: Progress) -> list[SlipsAsked]:
    """Ask the subject of every answerable ticket, once for each of `SHARES`; nothing where none has a subject.

    Args:
        setup: says in whose scope each is asked.
    """
    tickets = [ticket for ticket in dataset.tickets if ticket.answerable and ticket.title.strip()]
    rows: list[SlipsAsked] = []
    for share in SHARES if tickets else ():
        rng = random.Random(_SEED)  # noqa: S311 (no secret)
        rankings: dict[str, Sequence[str]] = {}
        answered = 0
        for number, ticket in enumerate(tickets, start=1):
            question = Question(misspell(ticket.title, share, rng), limit=_LIMIT)
            answer = assistant.answer(question, setup.scope_of(ticket))
            rankings[ticket.query_id] = [found.path for found in answer.suggestions]
            answered += answer.answered
            progress(f"asking with slips in {share:.0%}", number, len(tickets))
        scores = score_rankings({ticket.query_id: ticket.labels for ticket in tickets}, rankings)
        ndcg = fmean(score["nDCG@10"] for score in scores.values())
        rows.append(SlipsAsked(share, len(tickets), ndcg, answered / len(tickets)))
    return rows


def misspell(text: str, share: float, rng: random.Random) -> str:
    """`text` with a slip in that share of its plain words from five letters on: a letter left out, doubled, in place of
    another, or two that changed places. The first stays.
    """
    words = text.split(" ")
    for place, word in enumerate(words):
        if len(word) >= _FEWEST_LETTERS and word.isalpha() and rng.random() < share:
            at = rng.randrange(1, len(word) - 1)
            before, letter, after = word[:at], word[at], word[at + 1 :]
            slips = (before, before + 2 * letter, before + after[0] + letter, before + rng.choice(_LETTERS))
            kind = rng.randrange(len(slips))
            words[place] = slips[kind] + (after[1:] if kind == 2 else after)
    return " ".join(words)
