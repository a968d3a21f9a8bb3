"""Articles that say the same thing: overlap of five-word runs (shingles), after Broder, "On the resemblance and
containment of documents", SEQUENCES 1997."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from indexer.analysis import WORD

RUN_WORDS = 5

RESEMBLANCE = 0.5
"""Jaccard overlap from which two articles count as one. Articles that share a template and a product stay below 0.2."""

CONTAINMENT = 0.8
"""Share of the smaller article's runs found in the larger: an article pasted into a longer one."""

_FEWEST_RUNS = 20
_MOST_HOLDERS = 20
"""Articles of one run that later ones are compared with; a footer that thousands share makes no pair of each two."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two near-duplicates by position, `first` < `second`, with their overlap from 0 to 1."""

    first: int
    second: int
    resemblance: float
    containment: float


def find_near_duplicates(texts: Sequence[str]) -> list[Pair]:
    """All pairs of `texts` at or above either threshold, in order. Texts with fewer than 20 runs are passed over.

    Only pairs that share a run are ever looked at, and of a run that many share only those with the first few of them,
    so the cost grows with the amount of text. Of many copies each is found to be like the first few.
    """
    holders: dict[int, list[int]] = {}
    sizes: list[int] = []
    shared: Counter[tuple[int, int]] = Counter()
    for number, text in enumerate(texts):
        runs = word_runs(text)
        sizes.append(len(runs))
        if len(runs) < _FEWEST_RUNS:
            continue
        for run in runs:
            others = holders.setdefault(run, [])
            shared.update((other, number) for other in others)
            if len(others) < _MOST_HOLDERS:
                others.append(number)
    pairs = []
    for (first, second), common in shared.items():
        resemblance = common / (sizes[first] + sizes[second] - common)
        containment = common / min(sizes[first], sizes[second])
        if resemblance >= RESEMBLANCE or containment >= CONTAINMENT:
            pairs.append(Pair(first, second, resemblance, containment))
    return sorted(pairs, key=lambda pair: (pair.first, pair.second))


def word_runs(text: str) -> set[int]:
    """Hashes of the runs of five words in `text`, letters folded to one case."""
    words = WORD.findall(text.casefold())
    return {hash(tuple(words[start : start + RUN_WORDS])) for start in range(len(words) - RUN_WORDS + 1)}
