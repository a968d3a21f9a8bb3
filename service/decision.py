"""Whether to answer: a probability that the top suggestion resolves the question, against one threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.evidence import Ranked


@dataclass(frozen=True, slots=True)
class DecisionModel:
    """A logistic in a few monotone features, and the threshold an operator chose."""

    bias: float = -4.0
    score: float = 6.0
    threshold: float = 0.5

    def confidence(self, ranked: Sequence[Ranked]) -> float:
        """Probability from 0 to 1; 0 where nothing was found."""
        if not ranked:
            return 0.0
        return 1.0 / (1.0 + math.exp(-(self.bias + self.score * ranked[0].score / 10)))
