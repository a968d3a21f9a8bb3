"""A team's own decision: the model of `service.decision` fitted to its labelled tickets, a threshold by error budget.

The fit is a logistic regression by maximum a posteriori: weights are drawn towards the defaults, scaled as a whole, so
a few dozen tickets adjust what they can tell and leave the rest. No weight may become negative. The threshold is chosen
on probabilities that every ticket got from a fit without it (cross-validation), or it would be too hopeful.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from eval.decisions import auroc
from eval.runner import SCOPES, Progress
from indexer.errors import DatasetError
from service.answers import Question
from service.decision import DecisionModel, Features, default_decision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eval.datasets import Dataset, Ticket
    from service.assistant import Assistant

    Floats = NDArray[np.float64]

_PRIOR = 1.0
"""Strength of the pull to the defaults, in log-likelihood of one ticket a squared standardised weight."""

_FOLDS = 5
_FEWEST_TICKETS = 20
_FEWEST_UNANSWERABLE = 20
"""With fewer, each answerable ticket is asked once more with its articles treated as not there."""

_NAMES = tuple(field.name for field in fields(Features))


@dataclass(frozen=True, slots=True)
class Example:
    """One ticket as the decision sees it.

    Attributes:
        correct: whether the first suggestion is right; never for an unanswerable ticket.
        left_out: the labelled articles were treated as not there.
    """

    features: Features
    correct: bool
    answerable: bool
    left_out: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted model and what it does on the tickets that it was fitted to, cross-validated.

    Attributes:
        examples: how many tickets there were, left-out ones not counted.
        coverage: share of answerable tickets that get a suggestion at the threshold.
        risk: share of suggestions whose first article is wrong; None without suggestions.
        false_suggestions: share of unanswerable tickets that get a suggestion; None without such tickets.
        auroc: chance that an answerable ticket is more confident than one that is not.
    """

    model: DecisionModel
    budget: float
    examples: int
    coverage: float
    risk: float | None
    false_suggestions: float | None
    auroc: float | None

    def as_dict(self) -> dict[str, Any]:
        """What `kb calibrate` publishes: the model, and how it was made."""
        names = ("budget", "examples", "coverage", "risk", "false_suggestions", "auroc")
        made = {name: getattr(self, name) for name in names}
        return {"model": self.model.as_dict(), "made": {**made, "on": datetime.now(UTC).date().isoformat()}}


def collect_examples(
    assistant: Assistant, dataset: Dataset, progress: Progress, *, leave_out: bool | None = None
) -> list[Example]:
    """What the decision sees of every ticket of `dataset`.

    Args:
        leave_out: ask each answerable ticket once more with its articles treated as not there; None does so where
            there are too few unanswerable tickets to learn from.
    """
    if leave_out is None:
        leave_out = sum(not ticket.answerable for ticket in dataset.tickets) < _FEWEST_UNANSWERABLE
    examples = []
    for number, ticket in enumerate(dataset.tickets, start=1):
        examples.append(_example(assistant, ticket))
        if leave_out and ticket.answerable:
            examples.append(_example(assistant, ticket, left_out=True))
        progress("asking", number, len(dataset.tickets))
    return examples


def calibrate(examples: Sequence[Example], trust: float, budget: float) -> Calibration:
    """Fit the model and choose the threshold.

    Args:
        trust: how far the index' history is believed, which decides the default that is adjusted.
        budget: largest share of wrong suggestions among suggestions.

    Raises:
        DatasetError: too few tickets, or all of one kind.
    """
    import numpy as np

    default = default_decision(trust)
    count = sum(not example.left_out for example in examples)
    right = np.array([example.correct for example in examples], np.float64)
    if count < _FEWEST_TICKETS or right.min() == right.max():
        raise DatasetError(
            f"{count} tickets cannot calibrate a decision; label at least {_FEWEST_TICKETS}, some of them unanswerable"
        )
    table = np.array([example.features.as_list() for example in examples])
    weight = np.array([0.5 if example.left_out else 1.0 for example in examples])
    folds = np.arange(len(examples)) % _FOLDS
    probabilities = np.zeros(len(examples))
    for fold in range(_FOLDS):
        held = folds == fold
        model = _fit(table[~held], right[~held], weight[~held], default)
        probabilities[held] = [model.probability(examples[index].features) for index in np.flatnonzero(held).tolist()]
    asked = np.array([not example.left_out for example in examples])
    threshold = choose_threshold(probabilities[asked].tolist(), right[asked].tolist(), budget)
    answerable = np.array([example.answerable and not example.left_out for example in examples])
    unanswerable = np.array([not example.answerable for example in examples])
    suggested = probabilities >= threshold
    given = suggested & asked
    return Calibration(
        model=replace(_fit(table, right, weight, default), threshold=threshold),
        budget=budget,
        examples=count,
        coverage=float(suggested[answerable].mean()) if answerable.any() else 0.0,
        risk=float(1 - right[given].mean()) if given.any() else None,
        false_suggestions=float(suggested[unanswerable].mean()) if unanswerable.any() else None,
        auroc=auroc(probabilities[answerable].tolist(), probabilities[~answerable].tolist()),
    )


def choose_threshold(probabilities: Sequence[float], right: Sequence[float], budget: float) -> float:
    """The lowest threshold at which at most `budget` of the suggestions are wrong; just above all if there is none.

    Half-way to the next lower probability, so that a ticket a hair less sure than the last good one still counts.
    """
    order = sorted(zip(probabilities, right, strict=True), reverse=True)
    best, wrong = None, 0.0
    for number, (probability, is_right) in enumerate(order, start=1):
        wrong += 1 - is_right
        is_last = number == len(order) or order[number][0] < probability
        if is_last and wrong / number <= budget:
            below = order[number][0] if number < len(order) else 0.0
            best = (probability + below) / 2
    return best if best is not None else min(1.0, order[0][0] + 1e-6)


def _fit(table: Floats, right: Floats, weight: Floats, default: DecisionModel) -> DecisionModel:
    import numpy as np
    from scipy.optimize import minimize

    spread = table.std(axis=0)
    spread[spread < 1e-9] = 1.0
    scaled = (table - table.mean(axis=0)) / spread
    usual = np.array([getattr(default, name) for name in _NAMES]) * spread

    def loss(values: Floats) -> float:
        bias, scale, weights = values[0], values[1], values[2:]
        total = bias + scaled @ weights
        misfit = (weight * (np.logaddexp(0.0, total) - right * total)).sum()
        return float(misfit + _PRIOR * ((weights - scale * usual) ** 2).sum() + (scale - 1.0) ** 2)

    start = np.concatenate([[0.0, 1.0], usual])
    bounds = [(None, None), (0.05, None), *[(0.0, None)] * len(_NAMES)]
    weights = minimize(loss, start, bounds=bounds, method="L-BFGS-B").x
    fitted = weights[2:] / spread
    bias = float(weights[0] - table.mean(axis=0) @ fitted)
    named: dict[str, Any] = {name: float(value) for name, value in zip(_NAMES, fitted, strict=True)}
    return replace(default, **named, bias=bias)


def _example(assistant: Assistant, ticket: Ticket, left_out: bool = False) -> Example:
    question = Question(ticket.text, ticket.title)
    excluded = ticket.relevant if left_out else frozenset()
    path, features = assistant.judge(question, SCOPES[ticket.audience], excluded)
    return Example(features, path in ticket.relevant, ticket.answerable, left_out)
