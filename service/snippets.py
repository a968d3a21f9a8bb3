"""The sentences of an article that answer: chosen by words, meaning and the part that their section plays.

For a question every window of an article (`service.excerpts`) gets

    share of the question's words in it + a little closeness of meaning + what its section is for

and the best ones that do not overlap are cited, words already shown counting for less. Weights are round numbers,
chosen on labelled lines of the dev tickets (docs/retrieval.md has the figures on the test split).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from service.answers import Snippet
from service.excerpts import ROLES, Excerpts, Floats, Windows
from service.sections import SectionRole

_ZERO = np.zeros(1, np.float32)
_WORDS = 2.0
_MEANING = 0.15
_SHOWN_BEFORE = 0.3
"""How much less a word counts once a snippet shows it."""
_AT_MOST = {SectionRole.ACTION: 2, SectionRole.REASON: 1, SectionRole.SIGHT: 1}
"""Snippets from sections of one role, so that an answer shows what to do *and* why."""


def choose_snippets(
    excerpts: Excerpts, closeness: Floats, term_weights: Mapping[str, float], limit: int = 3
) -> tuple[Snippet, ...]:
    """Up to `limit` snippets, the most telling first.

    Args:
        closeness: cosine of the question with each chunk of the article, shape (chunks,).
        term_weights: the question's analysed words and what each counts, more than 0.
    """
    windows, numbers = excerpts.windows, excerpts.words.numbers
    if not windows.starts:
        return ()
    terms = {numbers[term]: weight for term, weight in term_weights.items() if term in numbers}
    holds = excerpts.holding(terms)
    worth = np.array(list(terms.values()), np.float32)
    held = worth @ holds
    worth *= _WORDS / (float(held.max()) or 1.0)
    less = worth * np.float32(1 - _SHOWN_BEFORE)
    base = windows.plain + _MEANING * _mean_standing(windows, closeness)
    snippets: list[Snippet] = []
    used = [0] * len(ROLES)
    while len(snippets) < limit:
        value = base + worth @ holds
        best = int(value.argmax())
        if value[best] == -np.inf:
            break
        snippets.append(excerpts.snippet(best, terms))
        worth = np.where(holds[:, best] > 0, less, worth)
        base[windows.overlapping(best)] = -np.inf
        # The rest of a section that is quoted already, with none of the question's words, only fills space.
        section = windows.of_section(best)
        base[section][held[section] == 0] = -np.inf
        role = int(windows.roles[best])
        used[role] += 1
        if used[role] >= _AT_MOST.get(ROLES[role], limit):
            base[windows.roles == role] = -np.inf
    return tuple(snippets)


def _mean_standing(windows: Windows, closeness: Floats) -> Floats:
    """How close the chunks are that each window touches, in spreads above the article's mean chunk."""
    mean = float(closeness.sum()) / len(closeness)
    variance = float(closeness @ closeness) / len(closeness) - mean * mean
    sums = np.concatenate([_ZERO, (closeness - np.float32(mean)).cumsum()])
    count = windows.last_chunk + 1 - windows.first_chunk
    standing = (sums[windows.last_chunk + 1] - sums[windows.first_chunk]) / count
    return np.asarray(standing / max(variance, 1e-10) ** 0.5, np.float32)
