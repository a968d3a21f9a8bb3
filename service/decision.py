"""Whether to answer: a probability that the top suggestion resolves the question, against one threshold.

Ranking asks which article stands out; deciding asks whether the best one is close enough. So other quantities count
here, comparable between questions and as far as possible between corpora. Every one is monotone: more evidence never
lowers the probability.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from indexer.engine import Evidence
from indexer.errors import IndexCorrupt
from service.evidence import Ranked, exactness, standardise

_ANCHOR = (0.1, 0.65)
"""An article is near from 0.1 + 0.65 x the corpus' self-similarity on."""

RIVALS = 5
"""How many of the best articles are compared token by token."""

_NO_SIGNATURE = 0.5
"""What a question without any error signature says about the matching of signatures: nothing either way."""


@dataclass(frozen=True, slots=True)
class Features:
    """What the decision looks at, for one question.

    Attributes:
        nearness: cosine of the question with the top article as a whole (its prototype, where tickets are believed),
            above what the corpus' articles have in common anyway.
        likeness: cosine with the nearest passage of any article.
        wording: the weight of the question's words that the top article holds, in spreads above ordinary articles.
        coverage: the same as a share of all the question's words, 0 to 1, times the root of how many there are: half of
            thirty words says more than half of two.
        signatures: share of the question's error signatures that the top article holds; a half if it has none.
        exact: how far the question is nothing but errors that the top article holds (`service.evidence.exactness`).
        lead: how much nearer the top article comes to the question's tokens, on the mean, than whichever of the first
            `RIVALS` is nearest to each: 0 where it is nearest to all, below 0 where others say a part of it better.
            The less, the more the question is an error that the article holds anyhow.
        standing: ranking score of the top article where tickets are believed, else 0; with tickets counting in full
            however far they are believed, so that a threshold means the same for every history.
    """

    nearness: float
    likeness: float
    wording: float
    coverage: float
    signatures: float
    exact: float
    lead: float
    standing: float

    def as_list(self) -> list[float]:
        """The values in the order of the fields."""
        return [float(getattr(self, field.name)) for field in fields(self)]


NOTHING = Features(-1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Where no article was found."""


@dataclass(frozen=True, slots=True)
class DecisionModel:
    """A logistic in `Features`, and the threshold an operator chose.

    The weights were set on two corpora with their labelled tickets to round numbers (docs/retrieval.md); `kb calibrate`
    fits them to a team's own. None is negative.

    Attributes:
        nearness, likeness, wording, coverage, signatures, exact, lead, standing: weight of each feature, in logits.
        bias: what is added to the weighted sum.
        threshold: `answered` means a probability of at least this.
        uses_tickets: whether nearness is to prototypes.
    """

    nearness: float = 8.5
    likeness: float = 4.25
    wording: float = 0.43
    coverage: float = 0.25
    signatures: float = 0.85
    exact: float = 6.0
    lead: float = 5.0
    standing: float = 0.0
    bias: float = -3.8
    threshold: float = 0.5
    uses_tickets: bool = False

    def read(self, ranked: Sequence[Ranked], evidence: Evidence) -> Features:
        """The features of one question. `ranked` is not empty, and not cut short of `RIVALS`."""
        best, found = ranked[0], evidence.candidates
        place = slice(best.position, best.position + 1)
        near = float((found.prototype if self.uses_tickets else found.gist)[best.position])
        held, most = float(found.held[best.position]), sum(evidence.terms.values())
        matched = evidence.signatures.get(best.row, ())
        exact = exactness(matched, evidence)
        return Features(
            nearness=near - _ANCHOR[0] - _ANCHOR[1] * evidence.self_similarity,
            likeness=float(found.likeness.max()),
            wording=float(standardise(found.held[place], evidence.background.held)[0]),
            coverage=held / most * math.sqrt(len(evidence.terms)) if most else 0.0,
            signatures=len(matched) / evidence.signature_count if evidence.signature_count else _NO_SIGNATURE,
            exact=exact,
            lead=(1.0 - exact) * _lead(ranked, evidence),
            standing=_standing(best, evidence.trust) if self.uses_tickets else 0.0,
        )

    def probability(self, features: Features) -> float:
        """From 0 to 1."""
        total = sum(getattr(self, field.name) * getattr(features, field.name) for field in fields(Features))
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, total + self.bias))))

    def confidence(self, ranked: Sequence[Ranked], evidence: Evidence) -> float:
        """Probability that the first of `ranked` resolves the question; 0 where nothing was found."""
        return self.probability(self.read(ranked, evidence)) if ranked else 0.0

    def as_dict(self) -> dict[str, float | bool]:
        return asdict(self)


def _lead(ranked: Sequence[Ranked], evidence: Evidence) -> float:
    nearness = np.stack([evidence.tokens.of(item.row) for item in ranked[:RIVALS]])
    return float((nearness[0] - nearness.max(axis=0)).mean()) if nearness.size else 0.0


def _standing(best: Ranked, trust: float) -> float:
    return best.score + (best.parts["tickets"] * (1.0 / trust - 1.0) if trust else 0.0)


WITH_TICKETS = DecisionModel(
    nearness=6.5,
    likeness=3.2,
    wording=0.32,
    coverage=0.2,
    signatures=0.65,
    lead=4.0,
    standing=0.13,
    bias=-5.6,
    uses_tickets=True,
)
"""Where a history is large enough to be believed."""

_BELIEVED = 0.5
"""Trust in a history from which on nearness is to prototypes."""


def default_decision(trust: float) -> DecisionModel:
    """The decision model for an index whose history deserves `trust` (0 to 1; 0 without one)."""
    return WITH_TICKETS if trust >= _BELIEVED else DecisionModel()


_UNKNOWN_BEFORE = {"exact": DecisionModel().exact, "lead": 0.0}
"""What features count for a model that was calibrated before there were any."""


def read_decision(values: Mapping[str, Any]) -> DecisionModel:
    """A calibrated model from an index version's JSON values; what they say of their making is left aside.

    Raises:
        IndexCorrupt: a value is missing or of the wrong kind.
    """
    try:
        model = {**_UNKNOWN_BEFORE, **values["model"]}
        names = {field.name for field in fields(DecisionModel)} - {"uses_tickets"}
        weights = {name: float(model[name]) for name in names}
        return DecisionModel(**weights, uses_tickets=bool(model["uses_tickets"]))
    except (KeyError, TypeError, ValueError) as error:
        raise IndexCorrupt("the calibrated decision cannot be read: run `kb calibrate` again") from error
