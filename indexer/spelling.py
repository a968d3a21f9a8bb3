"""Misspelt words put right, to words that the articles use.

A word is taken for misspelt if neither the articles nor English know it, inflected or not, and it is no two words
written as one. It is put right to the word of the articles that it is a slip of the finger away from, and if there is
none it stays. Words in capitals, identifiers, addresses and whatever has a digit are never touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import copy
from functools import cache, lru_cache

from indexer.analysis import analyze
from indexer.embedding import default_model_dir

FEWEST_LETTERS = 5
_SUBSTITUTED = 8
_TWO_SLIPS = 10
"""Letters from which on a word may have one letter in place of another, and two slips. In shorter ones that is mostly
another word: "modem" and "modes", "rebooted" and "reported"."""
_MOST_CHARACTERS = 2_000
"""More than what is embedded of a question."""
_SHORTEST_HALF = 4
_SHORTEST_COMMON = 3
_PREFIXES = ("re", "un", "dis", "mis", "non", "pre", "over", "auto", "multi", "sub", "inter")

_PLAIN_WORD = re.compile(rf"(?<![\w.@/\\-])(?<!\w['’])[^\W\d_]{{{FEWEST_LETTERS},}}(?![\w@/\\-]|['’.]\w)")
"""Not within an address, a path, an identifier or a compound."""


class Spelling:
    """Thread-safe. Knows nothing of words that no visible article holds."""

    def __init__(self, words: Mapping[str, str], holders: Callable[[str], int]) -> None:
        """
        Args:
            words: the articles' words as they are written, lower-case, each with its analysed term.
            holders: how many visible articles hold a term.
        """
        self._words = words
        self._holders = holders
        self._alike: dict[tuple[str, int], list[str]] = {}
        for word in words:
            self._alike.setdefault((word[0], len(word)), []).append(word)
        self.correction = lru_cache(maxsize=4096)(self._correction)

    def seen_by(self, holders: Callable[[str], int]) -> Spelling:
        """The same words where fewer articles are visible."""
        part = copy(self)
        part._holders = holders
        part.correction = lru_cache(maxsize=4096)(part._correction)
        return part

    def put_right(self, text: str) -> str:
        """`text` with the misspelt words of its beginning replaced, and all else as it was."""
        return _PLAIN_WORD.sub(self._replacement, text[:_MOST_CHARACTERS]) + text[_MOST_CHARACTERS:]

    def corrections(self, text: str) -> dict[str, str]:
        """The words that `put_right` replaces, as they are written and as they are read, in their order."""
        read = {match[0]: self._replacement(match) for match in _PLAIN_WORD.finditer(text[:_MOST_CHARACTERS])}
        return {written: meant for written, meant in read.items() if written != meant}

    def _replacement(self, match: re.Match[str]) -> str:
        word = match[0]
        better = self.correction(word.lower()) if word[1:].islower() else None
        if better is None:
            return word
        return better.capitalize() if word[0].isupper() else better

    def _correction(self, word: str) -> str | None:
        """The word of the articles that lower-case `word` is a misspelling of; None if it is none, or of no such word.

        The first letter always stays, and of several words the one is taken that most articles hold.
        """
        if len(word) < FEWEST_LETTERS or not word.isalpha() or self._is_word(word):
            return None
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        slips = 2 if len(word) >= _TWO_SLIPS else 1
        near = [
            known
            for length in range(len(word) - slips, len(word) + slips + 1)
            for known in self._alike.get((word[0], length), ())
            if self._holders(self._words[known]) and not word.startswith(known)  # "router" is no slip in "route"
        ]
        found = process.extract(word, near, scorer=OSA.distance, score_cutoff=slips, limit=None)
        likely = [(distance, -self._holders(self._words[known]), known) for known, distance, _ in found]
        if len(word) < _SUBSTITUTED:
            likely = [item for item in likely if not _is_substitution(word, item[2])]
        return min(likely)[2] if likely else None

    def _is_word(self, word: str) -> bool:
        """Whether it is known, known behind a prefix, two words in one, or the beginning of an article's word:
        "rebooted", "frontend", "postgres" where they say "postgresql"."""
        cuts = range(_SHORTEST_HALF, len(word) - _SHORTEST_HALF + 1)
        return (
            self._is_known(word)
            or any(word.startswith(prefix) and self._is_known(word[len(prefix) :]) for prefix in _PREFIXES)
            or any(self._is_known(word[:cut]) and self._is_known(word[cut:]) for cut in cuts)
            or any(
                known.startswith(word) and self._holders(self._words[known])
                for (first, length), words in self._alike.items()
                if first == word[0] and length > len(word)
                for known in words
            )
        )

    def _is_known(self, word: str) -> bool:
        terms = analyze(word)
        return not terms or any(self._holders(term) > 0 or term in common_terms() for term in terms)


@cache
def common_terms() -> frozenset[str]:
    """Analysed terms of some 20,000 frequent English words: those that the default model has a token of its own for."""
    pieces = (default_model_dir() / "vocab.txt").read_text(encoding="utf-8").split("\n")
    return frozenset(analyze(" ".join(piece for piece in pieces if piece.isalpha() and len(piece) >= _SHORTEST_COMMON)))


def _is_substitution(word: str, other: str) -> bool:
    """Whether two words of equal length differ by a letter in place of another, not by two that changed places."""
    return len(word) == len(other) and sum(a != b for a, b in zip(word, other, strict=True)) == 1
