"""A team's own decision: the model of `service.decision` fitted to its labelled tickets, a threshold by error budget.

The fit is a logistic regression by maximum a posteriori: weights are drawn towards the defaults, scaled as a whole, so
a few dozen tickets adjust what they can tell and leave the rest. No weight may become negative. The threshold is chosen
on probabilities that every ticket got from a fit without it (cross-validation), or it would be too hopeful. The figures
come from one more level of it: each fold is decided by a model *and* a threshold made without it (nested
cross-validation; Varma & Simon, BMC Bioinformatics 7, 2006), or the budget would be kept by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from eval.decisions import auroc
from eval.preparing import Progress, Setup
from indexer.errors import DatasetError, InputError
from service.answers import Question
from service.decision import NOTHING, DecisionModel, Features, default_decision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eval.datasets import Dataset, Ticket
    from service.assistant import Assistant

    Floats = NDArray[np.float64]

_PRIOR = 0.5
"""Strength of the pull to the defaults, in log-likelihood of one ticket a squared standardised weight."""
_LEFT_OUT = 0.5
"""What a ticket counts that is asked without its articles."""

_FOLDS = 5
_FEWEST_TICKETS = 20
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
    """A fitted model, and what fitting and choosing as it was made does on tickets that it has not seen.

    Attributes:
        examples: how many tickets there were, left-out ones not counted.
        coverage: share of answerable tickets that get a suggestion.
        risk: share of suggestions whose first article is wrong; None without suggestions.
        false_suggestions: share of unanswerable tickets that get a suggestion; None without such tickets.
        auroc: chance that an answerable ticket is more confident than one that is not.
        fitted_to: name of the data set and its split.
    """

    model: DecisionModel
    budget: float
    examples: int
    coverage: float
    risk: float | None
    false_suggestions: float | None
    auroc: float | None
    fitted_to: str = ""

    def as_dict(self) -> dict[str, Any]:
        """What `kb calibrate` publishes: the model, and how it was made."""
        names = ("budget", "examples", "coverage", "risk", "false_suggestions", "auroc")
        made = {name: getattr(self, name) for name in names}
        day = datetime.now(UTC).date().isoformat()
        return {"model": self.model.as_dict(), "made": {**made, "dataset": self.fitted_to, "on": day}}


def collect_examples(assistant: Assistant, dataset: Dataset, setup: Setup, progress: Progress) -> list[Example]:
    """What the decision sees of every ticket of `dataset`; of one that the assistant refuses, nothing.

    Each answerable ticket is asked once more with its articles treated as not there: an unanswered question of the same
    product, which few teams have labelled and every help desk gets.

    Args:
        setup: says in whose scope and as of which day each is asked.
    """
    examples = []
    for number, ticket in enumerate(dataset.tickets, start=1):
        examples.append(_example(assistant, ticket, setup))
        if ticket.answerable:
            examples.append(_example(assistant, ticket, setup, left_out=True))
        progress("asking", number, len(dataset.tickets))
    return examples


def fit_decision(examples: Sequence[Example], trust: float, budget: float) -> DecisionModel:
    """The fitted model with its threshold.

    Args:
        examples: a left-out one stands behind the same ticket as it is.
        trust: how far the index' history is believed, which decides the default that is adjusted.
        budget: largest share of wrong suggestions among suggestions.

    Raises:
        DatasetError: too few tickets, or all of one kind.
    """
    data, default = _table_of(examples), default_decision(trust)
    return _with_threshold(data, default, _without_own(data, default), budget)


def calibrate(examples: Sequence[Example], trust: float, budget: float, fitted_to: str = "") -> Calibration:
    """The fitted model, and what to expect of it. Arguments and errors as of `fit_decision`.

    Args:
        fitted_to: where the tickets are from, to be published with the model.
    """
    import numpy as np

    data, default = _table_of(examples), default_decision(trust)
    probabilities = _without_own(data, default)
    suggested = _decided_without_own(data, default, budget)
    answerable = np.array([example.answerable and not example.left_out for example in examples])
    unanswerable = np.array([not example.answerable for example in examples])
    given = suggested & data.asked
    return Calibration(
        model=_with_threshold(data, default, probabilities, budget),
        budget=budget,
        examples=int(data.asked.sum()),
        coverage=float(suggested[answerable].mean()) if answerable.any() else 0.0,
        risk=float(1 - data.right[given].mean()) if given.any() else None,
        false_suggestions=float(suggested[unanswerable].mean()) if unanswerable.any() else None,
        auroc=auroc(probabilities[answerable].tolist(), probabilities[~answerable].tolist()),
        fitted_to=fitted_to,
    )


def choose_threshold(probabilities: Floats, right: Floats, budget: float) -> float:
    """The lowest threshold at which at most `budget` of the suggestions are wrong; just above all if there is none.

    How many are wrong is half counted and half expected from the probabilities: of a few dozen tickets the count alone
    jumps with every one, and overruns the budget (docs/retrieval.md). The threshold lies half-way to the next lower
    probability, so that a ticket a hair less sure than the last good one still counts.

    Args:
        probabilities, right: of each ticket, shape (tickets,); `right` is 1 or 0.
    """
    import numpy as np

    order = np.argsort(-probabilities, kind="stable")
    sure = probabilities[order]
    share = np.cumsum((1.0 - right[order]) + (1.0 - sure)) / (2.0 * np.arange(1, len(sure) + 1))
    below = np.append(sure[1:], 0.0)
    good = np.flatnonzero((share <= budget + 1e-12) & (below < sure))
    return float((sure[good[-1]] + below[good[-1]]) / 2) if len(good) else min(1.0, float(sure[0]) + 1e-6)


@dataclass(frozen=True, slots=True)
class _Examples:
    """Examples as arrays, the first axis of each of shape (examples,). `folds`: the same for a ticket and its twin."""

    table: Floats
    right: Floats
    weight: Floats
    asked: NDArray[np.bool_]
    folds: NDArray[np.int64]

    def only(self, kept: NDArray[np.bool_]) -> _Examples:
        return _Examples(*(getattr(self, field.name)[kept] for field in fields(self)))


def _table_of(examples: Sequence[Example]) -> _Examples:
    """Raises DatasetError as `fit_decision`."""
    import numpy as np

    asked = np.array([not example.left_out for example in examples], np.bool_)
    right = np.array([example.correct for example in examples], np.float64)
    count = int(asked.sum())
    if count < _FEWEST_TICKETS:
        raise DatasetError(f"{count} tickets cannot calibrate a decision; label at least {_FEWEST_TICKETS}")
    if right.min() == right.max():
        what = "right for all" if right.min() else "wrong for all"
        raise DatasetError(
            f"the first suggestion is {what} {count} tickets, so there is nothing to tell apart; "
            "label some that are answerable and some that are not"
        )
    return _Examples(
        table=np.array([example.features.as_list() for example in examples]),
        right=right,
        weight=np.where(asked, 1.0, _LEFT_OUT),
        asked=asked,
        folds=(np.cumsum(asked) - 1) % _FOLDS,
    )


def _without_own(data: _Examples, default: DecisionModel) -> Floats:
    """Each example's probability by a model that was fitted without its fold."""
    import numpy as np

    probabilities = np.zeros(len(data.right))
    for fold in np.unique(data.folds):
        held = data.folds == fold
        probabilities[held] = _probabilities(_fit(data.only(~held), default), data.table[held])
    return probabilities


def _decided_without_own(data: _Examples, default: DecisionModel, budget: float) -> NDArray[np.bool_]:
    """Whether each example gets a suggestion from a model and a threshold that were made without its fold."""
    import numpy as np

    suggested = np.zeros(len(data.right), np.bool_)
    for fold in np.unique(data.folds):
        held = data.folds == fold
        others = data.only(~held)
        model = _with_threshold(others, default, _without_own(others, default), budget)
        suggested[held] = _probabilities(model, data.table[held]) >= model.threshold
    return suggested


def _with_threshold(data: _Examples, default: DecisionModel, probabilities: Floats, budget: float) -> DecisionModel:
    """The model fitted to all of `data`, its probabilities meant for tickets as they come, with the threshold.

    Args:
        probabilities: of `_without_own`. They are too low, as tickets without their articles were learned from too.
    """
    import numpy as np
    from scipy.special import expit, logit

    logits, right = logit(np.clip(probabilities[data.asked], 1e-6, 1.0 - 1e-6)), data.right[data.asked]
    slope, shift = _recalibrate(logits, right)
    threshold = choose_threshold(expit(slope * logits + shift), right, budget)
    fitted = _fit(data, default)
    weights = {name: slope * getattr(fitted, name) for name in _NAMES}
    return replace(fitted, **weights, bias=slope * fitted.bias + shift, threshold=threshold)


def _recalibrate(logits: Floats, right: Floats) -> tuple[float, float]:
    """Slope and shift that make of `logits` what was right (Platt, 1999), the slope drawn to 1."""
    import numpy as np
    from scipy.optimize import minimize

    def loss(values: Floats) -> float:
        total = values[0] * logits + values[1]
        return float((np.logaddexp(0.0, total) - right * total).sum() + 0.5 * (values[0] - 1.0) ** 2)

    slope, shift = minimize(loss, [1.0, 0.0], bounds=[(0.05, None), (None, None)], method="L-BFGS-B").x
    return float(slope), float(shift)


def _probabilities(model: DecisionModel, table: Floats) -> Floats:
    import numpy as np

    return np.array([model.probability(Features(*row)) for row in table.tolist()])


def _fit(data: _Examples, default: DecisionModel) -> DecisionModel:
    import numpy as np
    from scipy.optimize import minimize

    table, right, weight = data.table, data.right, data.weight
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


def _example(assistant: Assistant, ticket: Ticket, setup: Setup, left_out: bool = False) -> Example:
    excluded = ticket.relevant if left_out else frozenset()
    try:
        question = Question(ticket.text, ticket.title)
    except InputError:  # too long: production refuses it, which is no suggestion either
        return Example(NOTHING, False, ticket.answerable, left_out)
    path, features = assistant.judge(question, setup.scope_of(ticket), excluded, setup.day_of(ticket))
    return Example(features, path in ticket.relevant, ticket.answerable, left_out)
