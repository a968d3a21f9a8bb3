"""Article-level BM25F over title, headings, summary and body: exact scores for every article, from mapped postings.

Over whole articles weighted term frequencies are larger by the sum of the field weights, so the usual k1 of 1.2 would
saturate at once; scaling k1 with them is worth 0.1 nDCG@10 and more (docs/retrieval.md). Formula: Robertson, Zaragoza
& Taylor, "Simple BM25 extension to multiple weighted fields", CIKM 2004.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.analysis import analyze, surface_words
from indexer.arrays import write_array
from indexer.spelling import FEWEST_LETTERS, Spelling

_WEIGHTS = {"title": 3.0, "headings": 2.0, "summary": 1.0, "body": 1.0}
FIELD_COUNT = len(_WEIGHTS)
_K1 = 8.0
_B = 0.75
_MAX_CORRECTED = 12

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ArticleText:
    """The four fields of one article."""

    title: str
    headings: str
    summary: str
    body: str


@dataclass(frozen=True, slots=True)
class ArticleTerms:
    """The words of one article after analysis.

    Attributes:
        terms: every distinct term.
        counts: how often each stands in each field, in the order of the fields' weights: shape (`FIELD_COUNT`, terms).
        spellings: for each word that a misspelt one may be put right to, "word term".
    """

    terms: tuple[str, ...]
    counts: NDArray[np.uint32]
    spellings: tuple[str, ...]


def count_terms(article: ArticleText) -> ArticleTerms:
    """The terms of `article`, which depend on nothing else."""
    fields: list[Counter[str]] = []
    spellings: dict[str, str] = {}
    for name in _WEIGHTS:
        text = getattr(article, name)
        terms = analyze(text)
        spellings.update(zip(surface_words(text), terms, strict=True))
        fields.append(Counter(terms))
    distinct = tuple(dict.fromkeys(term for counted in fields for term in counted))
    counts = np.array([[counted[term] for term in distinct] for counted in fields], np.uint32)
    correctable = [word for word in spellings if word.isalpha() and len(word) >= FEWEST_LETTERS - 1]
    return ArticleTerms(distinct, counts, tuple(f"{word} {spellings[word]}" for word in correctable))


class WordsWriter:
    """Collects the terms of articles in row order, then writes vocabulary and postings."""

    def __init__(self) -> None:
        self._numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self._terms: list[NDArray[np.uint32]] = []
        self._counts: list[NDArray[np.uint32]] = []
        self._spellings: set[str] = set()

    def add(self, article: ArticleTerms) -> None:
        """Take the next article's terms."""
        numbers = map(self._numbers.__getitem__, article.terms)
        self._terms.append(np.fromiter(numbers, np.uint32, len(article.terms)))
        self._counts.append(article.counts)
        self._spellings.update(article.spellings)

    def write(self, folder: Path) -> None:
        """Write everything into `folder`, which must not exist yet."""
        folder.mkdir(parents=True)
        vocabulary = sorted(self._numbers)
        places = np.empty(len(vocabulary), np.uint32)
        places[[self._numbers[term] for term in vocabulary]] = np.arange(len(vocabulary), dtype=np.uint32)
        terms = places[np.concatenate([*self._terms, np.empty(0, np.uint32)])]
        rows = np.repeat(np.arange(len(self._terms), dtype=np.uint32), [len(part) for part in self._terms])
        values = np.concatenate([*self._values(), np.empty(0, np.float32)])
        order = np.argsort(terms, kind="stable")
        starts = np.zeros(len(vocabulary) + 1, np.uint64)
        starts[1:] = np.cumsum(np.bincount(terms, minlength=len(vocabulary)))
        (folder / "vocabulary.txt").write_text("\n".join(vocabulary), encoding="utf-8")
        # A space sorts before every letter, so the lines are in the order of their words.
        (folder / "spellings.txt").write_text("\n".join(sorted(self._spellings)), encoding="utf-8")
        write_array(folder / "starts.bin", starts.astype("<u8"))
        write_array(folder / "rows.bin", rows[order].astype("<u4"))
        write_array(folder / "values.bin", values[order].astype("<f4"))

    def _values(self) -> Iterator[Scores]:
        """For each article the saturated BM25F frequency of each of its terms, in the order they were added."""
        lengths = np.array([counts.sum(axis=1) for counts in self._counts], np.float64).reshape(-1, FIELD_COUNT)
        means = np.maximum(1.0, lengths.sum(axis=0) / max(1, len(lengths)))
        norms = 1.0 - _B + _B * lengths / means
        weights = np.array(list(_WEIGHTS.values()))[:, None]
        for counts, norm in zip(self._counts, norms, strict=True):
            frequency = np.add.reduce(weights * counts / norm[:, None], axis=0)
            yield (frequency * (_K1 + 1) / (frequency + _K1)).astype(np.float32)


def build_words(folder: Path, articles: Iterable[ArticleText]) -> None:
    """Write vocabulary and postings for `articles`, whose order gives their rows. `folder` must not exist yet."""
    writer = WordsWriter()
    for article in articles:
        writer.add(count_terms(article))
    writer.write(folder)


class WordIndex:
    """Reads what `build_words` wrote. Thread-safe.

    `within` gives the same for a part of the articles, such as the public ones.
    """

    def __init__(self, folder: Path, article_count: int) -> None:
        terms = (folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
        self._vocabulary = {term: number for number, term in enumerate(terms) if term}
        self._starts: NDArray[np.int64] = np.fromfile(folder / "starts.bin", "<u8").astype(np.int64)
        empty = not self._vocabulary
        # As plain arrays over the mapped files: slicing a memmap itself costs several times as much.
        self._rows = np.empty(0, "<u4") if empty else np.asarray(np.memmap(folder / "rows.bin", "<u4", "r"))
        self._values = np.empty(0, "<f4") if empty else np.asarray(np.memmap(folder / "values.bin", "<f4", "r"))
        self._size = self._known = article_count
        self._holders: NDArray[np.int64] = self._starts[1:] - self._starts[:-1]
        lines = (folder / "spellings.txt").read_text(encoding="utf-8").split("\n")
        self._terms_of = dict(line.split(" ") for line in lines if line)
        self.spelling = Spelling(self._terms_of, self._holders_of)

    def within(self, mask: NDArray[np.bool_]) -> WordIndex:
        """The index as if only the articles of `mask` were in it: which words there are, how rare each is, and what a
        misspelt one is put right to. So nothing that it says tells of the others. Rows stay as they are.

        Args:
            mask: shape (articles,).
        """
        part = copy(self)
        part._known = int(mask.sum())
        if part._known < self._size and self._vocabulary:
            part._holders = np.add.reduceat(mask[self._rows], self._starts[:-1], dtype=np.int64)
        part.spelling = self.spelling.seen_by(part._holders_of)
        return part

    def idf(self, term: str) -> float:
        """Inverse document frequency over articles: ln(1 + (N - n + 0.5) / (n + 0.5)); at its largest for new words."""
        n = self._holders_of(term)
        return math.log(1 + (self._known - n + 0.5) / (n + 0.5))

    def scores(self, weights: dict[str, float]) -> tuple[Scores, Scores]:
        """For the question's term `weights`, of every article: its BM25F, and the weight of the terms that it holds at
        all, however often; both of shape (articles,), and of all articles.
        """
        total: Scores = np.zeros(self._size, np.float32)
        held: Scores = np.zeros(self._size, np.float32)
        for term, weight in weights.items():
            rows, values = self._postings(term)
            total[rows] += np.float32(weight) * values
            held[rows] += np.float32(weight)
        return total, held

    def query_weights(self, text: str) -> dict[str, float]:
        """What each known term of the query `text` counts: (1 + ln(times)) x idf, misspelt words put right."""
        terms = analyze(text)
        counts = Counter(terms)
        strange = {word: term for word, term in zip(surface_words(text), terms, strict=True) if not self.knows(term)}
        for word, term in list(strange.items())[:_MAX_CORRECTED]:
            if better := self.spelling.correction(word):
                counts[self._terms_of[better]] += counts[term]
        return {term: (1 + math.log(times)) * self.idf(term) for term, times in counts.items() if self.knows(term)}

    def knows(self, term: str) -> bool:
        """Whether any article holds the analysed `term`."""
        return self._holders_of(term) > 0

    def _holders_of(self, term: str) -> int:
        """How many articles hold the analysed `term`."""
        number = self._vocabulary.get(term)
        return 0 if number is None else int(self._holders[number])

    def _postings(self, term: str) -> tuple[NDArray[np.uint32], Scores]:
        number = self._vocabulary[term]
        part = slice(int(self._starts[number]), int(self._starts[number + 1]))
        return self._rows[part], self._values[part]
