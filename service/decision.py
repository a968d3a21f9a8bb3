"""Whether to answer: a probability that the top suggestion resolves the question, against one threshold.

Ranking asks which article stands out; deciding asks whether the best one is close enough in absolute terms. So other
quantities count here, all of them comparable between corpora: how near the article as a whole is, next to how near the
corpus' articles are to each other anyway; how near any single passage is; how much of the question's wording the
article explains; and what similar tickets say. Every feature is monotone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from indexer.engine import Evidence
from service.evidence import Ranked

_ANCHOR = (0.1, 0.65)
"""An article is near from 0.1 + 0.65 x the corpus' self-similarity on."""


@dataclass(frozen=True, slots=True)
class DecisionModel:
    """A logistic in a few monotone features, and the threshold an operator chose.

    Attributes:
        nearness: weight of the article's nearness as a whole: its gist, or its prototype where tickets are believed.
        likeness: weight of the nearest passage.
        coverage: weight of the share of the question's wording that the article explains.
        standing: weight of the ranking score, which holds the votes of similar tickets.
        slope, bias: map the weighted sum to a probability (Platt, 1999).
        threshold: `answered` means a probability of at least this.
        uses_tickets: whether nearness is to prototypes.
    """

    nearness: float = 10.0
    likeness: float = 5.0
    coverage: float = 7.0
    standing: float = 0.0
    slope: float = 0.8
    bias: float = -0.3
    threshold: float = 0.4
    uses_tickets: bool = False

    def evidence_score(self, ranked: Sequence[Ranked], evidence: Evidence) -> float:
        """The weighted sum before it becomes a probability; higher is surer. `ranked` is not empty."""
        best, found = ranked[0], evidence.candidates
        near = (found.prototype if self.uses_tickets else found.gist)[best.position]
        return (
            self.nearness * (float(near) - _ANCHOR[0] - _ANCHOR[1] * evidence.self_similarity)
            + self.likeness * (float(found.likeness.max()) - 0.6)
            + self.coverage * (float(found.coverage[best.position]) - 0.1)
            + self.standing * (best.score - 12.0)
        )

    def confidence(self, ranked: Sequence[Ranked], evidence: Evidence) -> float:
        """Probability from 0 to 1; 0 where nothing was found."""
        if not ranked:
            return 0.0
        return 1.0 / (1.0 + math.exp(-(self.slope * self.evidence_score(ranked, evidence) + self.bias)))

    def as_dict(self) -> dict[str, float | bool]:
        return asdict(self)


WITH_TICKETS = DecisionModel(standing=0.2, slope=0.65, bias=-1.5, uses_tickets=True)
"""Where a history is large enough to be believed."""

_BELIEVED = 0.5
"""Trust in a history from which on nearness is to prototypes."""


def default_decision(trust: float) -> DecisionModel:
    """The decision model for an index whose history deserves `trust` (0 to 1; 0 without one)."""
    return WITH_TICKETS if trust >= _BELIEVED else DecisionModel()
