"""Whether to suggest: how well confidence tells right suggestions from wrong ones. Pure functions over lists."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Decided:
    """One ticket as the decision sees it.

    Attributes:
        suggested: whether the assistant trusted its first suggestion.
        correct: whether the first suggestion is relevant; never for an unanswerable ticket.
        correct_top3: whether one of the first three is.
    """

    confidence: float
    suggested: bool
    answerable: bool
    correct: bool
    correct_top3: bool


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What suggesting at `threshold` and above would give.

    Attributes:
        coverage: share of all tickets that get a suggestion.
        risk: share of those whose first suggestion is wrong.
        answerable_coverage: share of answerable tickets that get a suggestion.
        false_suggestions: share of unanswerable tickets that get one; None without such tickets.
    """

    threshold: float
    coverage: float
    risk: float
    answerable_coverage: float | None
    false_suggestions: float | None

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


def auroc(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """P(positive > negative) + P(equal) / 2 for one drawn from each: the area under the ROC curve.

    Hanley & McNeil, Radiology 143 (1982): it equals the Mann-Whitney U statistic over the number of pairs. None unless
    there are both.
    """
    if not positives or not negatives:
        return None
    rank_sum = 0.0
    ordered = sorted([(value, 1) for value in positives] + [(value, 0) for value in negatives])
    for start, stop in _groups([value for value, _ in ordered]):
        mean_rank = (start + 1 + stop) / 2
        rank_sum += mean_rank * sum(positive for _, positive in ordered[start:stop])
    wins = rank_sum - len(positives) * (len(positives) + 1) / 2
    return wins / (len(positives) * len(negatives))


def aurc(confidences: Sequence[float], wrong: Sequence[bool]) -> float | None:
    """Area under the risk-coverage curve: the mean, over k = 1..n, of the error rate among the k most confident.

    Geifman, Uziel & El-Yaniv, "Bias-reduced uncertainty estimation" (ICLR 2019). Lower is better. Among equal
    confidences the errors are spread evenly, so the order of the tickets does not matter. None without tickets.
    """
    if not confidences:
        return None
    order = sorted(range(len(confidences)), key=lambda index: -confidences[index])
    errors = 0.0
    total = 0.0
    for start, stop in _groups([-confidences[index] for index in order]):
        here = sum(wrong[index] for index in order[start:stop]) / (stop - start)
        for done in range(start + 1, stop + 1):
            errors += here
            total += errors / done
    return total / len(confidences)


def best_aurc(wrong: Sequence[bool]) -> float | None:
    """The least AURC that any confidence could have on these rankings: every right ticket before every wrong one."""
    return aurc([0.0 if is_wrong else 1.0 for is_wrong in sorted(wrong)], sorted(wrong)) if wrong else None


def brier_score(confidences: Sequence[float], correct: Sequence[bool]) -> float | None:
    """Mean squared distance of the probability from what happened (Brier, 1950); 0 is perfect. None without tickets."""
    if not confidences:
        return None
    return math.fsum((p - float(right)) ** 2 for p, right in zip(confidences, correct, strict=True)) / len(correct)


def operating_points(tickets: Sequence[Decided]) -> list[OperatingPoint]:
    """The risk-coverage curve: one point for every threshold that changes anything, the strictest first."""
    ordered = sorted(tickets, key=lambda ticket: -ticket.confidence)
    answerable = sum(ticket.answerable for ticket in ordered)
    unanswerable = len(ordered) - answerable
    points = []
    wrong = covered = false = 0
    for start, stop in _groups([-ticket.confidence for ticket in ordered]):
        for ticket in ordered[start:stop]:
            wrong += not ticket.correct
            covered += ticket.answerable
            false += not ticket.answerable
        points.append(
            OperatingPoint(
                threshold=ordered[start].confidence,
                coverage=stop / len(ordered),
                risk=wrong / stop,
                answerable_coverage=covered / answerable if answerable else None,
                false_suggestions=false / unanswerable if unanswerable else None,
            )
        )
    return points


def risk_at(points: Sequence[OperatingPoint], coverage: float) -> float | None:
    """Share of wrong first suggestions among the most confident tickets that make up `coverage` of all."""
    return next((point.risk for point in points if point.coverage >= coverage), None)


def _groups(ordered: Sequence[float]) -> list[tuple[int, int]]:
    """Half-open index ranges of equal neighbours."""
    starts = [index for index in range(len(ordered)) if index == 0 or ordered[index] != ordered[index - 1]]
    return list(pairwise([*starts, len(ordered)]))
