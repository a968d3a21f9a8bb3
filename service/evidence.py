"""From measured evidence to a ranking: one small additive model whose terms explain themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexer.engine import Candidate


@dataclass(frozen=True, slots=True)
class Weights:
    """What each signal counts. All are non-negative, so more evidence never lowers a score."""

    chunk_max: float = 0.5
    chunk_mean: float = 0.5
    title: float = 0.3
    words_chunk: float = 0.15
    words_article: float = 0.15
    signature: float = 0.1


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its score and the named parts that add up to it."""

    candidate: Candidate
    score: float
    parts: dict[str, float]


def rank_candidates(candidates: Sequence[Candidate], weights: Weights) -> list[Ranked]:
    """Best first; ties broken by path, so a ranking is reproducible. Pure."""
    if not candidates:
        return []
    most_chunk = max((float(c.lexical_chunks.max(initial=0.0)) for c in candidates), default=0.0) or 1.0
    most_article = max(c.lexical_article for c in candidates) or 1.0
    ranked = []
    for candidate in candidates:
        full = candidate.chunk_scores[0]
        top = np.sort(full)[::-1][:3]
        parts = {
            "meaning": weights.chunk_max * float(top[0]) + weights.chunk_mean * float(top.mean()),
            "title": weights.title * float(candidate.title_scores.max()),
            "words": weights.words_chunk * float(candidate.lexical_chunks.max(initial=0.0)) / most_chunk
            + weights.words_article * candidate.lexical_article / most_article,
            "error_signature": weights.signature * min(2, len(candidate.signatures)),
        }
        ranked.append(Ranked(candidate, sum(parts.values()), parts))
    return sorted(ranked, key=lambda item: (-item.score, item.candidate.card.path))
