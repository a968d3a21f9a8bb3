"""From measured evidence to a ranking: one small additive, monotone model whose terms explain themselves.

    score(article) = sum over signals of weight x (value - background mean) / background spread

The background is what ordinary articles score for the same question, so a signal counts by how far it stands out, and
weights mean the same on every corpus and for every question. Weights are round numbers; quality is flat around them
(docs/retrieval.md has the ablation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from indexer.analysis import analyze
from indexer.engine import Evidence, Scores

_MAX_SIGNATURE = 2.0
_ALONE = 6.0
"""What an error that is all of the question is worth besides; the other signals know nothing of such a question."""
_MOST_SPREADS = np.float32(8.0)
"""A single rare word can stand out by any amount; past this it says no more."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What one background spread of each signal counts. None is negative, so more evidence never lowers a score.

    `signature` is the exception: it counts per fully telling match, not per spread, and more for a question that is
    nothing but that error. `prototype` and `votes` come from resolved tickets and fade in with their number. `passages`
    and `plain` are one signal to users: the same cosines, in the corpus' geometry and in the embedder's own.
    """

    passages: float = 0.5
    plain: float = 0.5
    gist: float = 0.25
    opening: float = 0.25
    words: float = 0.5
    signature: float = 1.0
    prototype: float = 2.0
    votes: float = 1.0

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Ranked:
    """One article of a ranking.

    Attributes:
        row: the article.
        score: the sum of `parts`.
        parts: contribution of each signal.
        position: index into the evidence's candidates.
    """

    row: int
    score: float
    parts: dict[str, float]
    position: int


def rank_articles(evidence: Evidence, weights: Weights, limit: int | None = None) -> list[Ranked]:
    """Best first; ties keep path order, so a ranking is reproducible. Pure.

    Args:
        limit: how many to return at most; None for all.
    """
    found, usual = evidence.candidates, evidence.background
    shown = np.stack([found.passages, found.plain, found.gist, found.opening, found.words])
    ordinary = np.stack([usual.passages, usual.plain, usual.gist, usual.opening, usual.words])
    counted = np.array(
        [[weights.passages], [weights.plain], [weights.gist], [weights.opening], [weights.words]], np.float32
    )
    passages, plain, gist, opening, words = counted * standardise(shown, ordinary)
    parts: dict[str, Scores] = {
        "passages": passages + plain,
        "gist": gist,
        "opening": opening,
        "words": words,
        "signature": weights.signature * _signature_scores(evidence),
    }
    if evidence.trust:
        parts["tickets"] = np.float32(evidence.trust) * (
            weights.prototype * standardise(found.prototype, usual.prototype)
            + weights.votes * standardise(found.votes, usual.votes)
        )
    total = np.sum(list(parts.values()), axis=0)
    return [
        Ranked(
            int(found.rows[position]),
            float(total[position]),
            {name: float(values[position]) for name, values in parts.items()},
            position,
        )
        for position in np.argsort(-total, kind="stable")[:limit].tolist()
    ]


def standardise(values: Scores, background: Scores) -> Scores:
    """`values` in background spreads above the background mean, at most 8, signal by signal.

    Args:
        values: shape (.., articles).
        background: shape (.., background articles). Where it has no spread, or is a single article, it tells nothing:
            the result is 0 there, or `values` themselves.
    """
    if background.shape[-1] < 2:
        return values
    spread = background.std(axis=-1, keepdims=True)
    standing = np.minimum((values - background.mean(axis=-1, keepdims=True)) / np.maximum(spread, 1e-6), _MOST_SPREADS)
    return np.where(spread < 1e-6, np.float32(0.0), standing)


def exactness(names: Sequence[str], evidence: Evidence) -> float:
    """How far the question is nothing but the error signatures `names`, which an article holds. 0 to 1.

    The square of the share, by weight, of its words that stand in them, so that an error named in passing counts for
    little, times how telling the most telling of them is.
    """
    named = frozenset[str]().union(*map(_terms_of, names))
    weight = sum(evidence.terms.get(term, 0.0) for term in named)
    if not weight:
        return 0.0
    return max(evidence.rarities[name] for name in names) * (weight / sum(evidence.terms.values())) ** 2


@lru_cache(maxsize=4096)
def _terms_of(signature: str) -> frozenset[str]:
    """The words of a signature; many articles hold the same few."""
    return frozenset(analyze(signature.partition(": ")[2]))


def _signature_scores(evidence: Evidence) -> Scores:
    scores = np.zeros(len(evidence.candidates.rows), np.float32)
    for row, names in evidence.signatures.items():
        matched = min(_MAX_SIGNATURE, sum(evidence.rarities[name] for name in names))
        place = np.searchsorted(evidence.candidates.rows, row)
        scores[place] = matched + _ALONE * exactness(names, evidence)
    return scores
