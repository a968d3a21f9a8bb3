"""An article cut into what may be cited: windows of whole sentences (lines, in code) that never leave their section.

The cut is the same for every question, so it is made once and kept, in the form that choosing from it needs: which
words each window holds, which chunks it touches, what its section is for.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from indexer.analysis import analyze
from indexer.articles import Article
from indexer.sentences import split_lines, split_sentences
from indexer.source import Span, sha256_of
from service.answers import Citation, Snippet
from service.sections import SectionRole, role_of

MAX_SNIPPET_CHARS = 400
ROLES = tuple(SectionRole)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_CODE = frozenset({"fence", "code_block", "table"})
_CODE_PENALTY = 0.5
_ROLE = {
    SectionRole.ACTION: 2.0,
    SectionRole.REASON: 1.0,
    SectionRole.OTHER: 0.0,
    SectionRole.CHECK: -1.0,
    SectionRole.SIGHT: -1.0,
    SectionRole.REFERENCE: -3.0,
}
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Words:
    """Every word that is not a function word, in reading order: half-open character range and number of its term.

    Attributes:
        numbers: of all terms of the article, in order of appearance.
    """

    starts: array[int]
    ends: array[int]
    terms: array[int]
    numbers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Windows:
    """For each sentence the window that goes on from it as far as a snippet may, in reading order.

    Windows overlap; both their starts and their ends ascend. Arrays have the shape (windows,) unless said otherwise.

    Attributes:
        starts, ends: half-open character ranges.
        sections: number of the section that it is in, ascending.
        roles: place of its section's role in `ROLES`.
        plain: what it is worth for any question: its role, and a little less for code.
        chunks: how much of it each chunk of the article has, a row adding up to 1: shape (windows, chunks).
        holds: which term stands in which window: shape (terms, windows).
    """

    starts: array[int]
    ends: array[int]
    sections: array[int]
    roles: Ints
    plain: Floats
    chunks: Floats
    holds: Bools

    def overlapping(self, window: int) -> slice:
        """Windows that share a character with this one."""
        return slice(bisect_right(self.ends, self.starts[window]), bisect_left(self.starts, self.ends[window]))

    def of_section(self, window: int) -> slice:
        """Windows of the same section as this one."""
        section = self.sections[window]
        return slice(bisect_left(self.sections, section), bisect_right(self.sections, section))


@dataclass(frozen=True, slots=True)
class Excerpts:
    """An article in the pieces that may be cited. Thread-safe."""

    article: Article
    words: Words
    windows: Windows
    _citations: dict[int, Citation] = field(default_factory=dict, repr=False)

    def snippet(self, window: int, marked: Collection[int]) -> Snippet:
        """The window as a snippet, the terms with the numbers `marked` highlighted."""
        start, end = self.windows.starts[window], self.windows.ends[window]
        text = self.article.source.text[start:end]
        citation = self._citations.get(window)
        if citation is None:
            # Two threads may both write it, and write the same.
            citation = self._citations[window] = self._cite(start, end, text, self.windows.sections[window])
        words = self.words
        inside = range(bisect_left(words.starts, start), bisect_left(words.starts, end))
        highlights = tuple(
            (words.starts[word] - start, words.ends[word] - start) for word in inside if words.terms[word] in marked
        )
        return Snippet(text, highlights, citation)

    def _cite(self, start: int, end: int, text: str, section: int) -> Citation:
        span, where = self.article.source.span(start, end), self.article.sections[section]
        return Citation(
            path=self.article.path,
            heading_path=where.heading_path,
            anchor=where.anchor,
            start_line=span.start_line,
            end_line=span.end_line,
            start_byte=span.start_byte,
            end_byte=span.end_byte,
            sha256=sha256_of(text),
            article_version=self.article.version,
        )


@dataclass(frozen=True, slots=True)
class _Unit:
    """One sentence, or one line of code: half-open character range, its chunk's number in the article."""

    start: int
    end: int
    section: int
    chunk: int
    is_code: bool


def cut_excerpts(article: Article, chunks: Sequence[tuple[int, Span]]) -> Excerpts:
    """Cut `article` into windows.

    Args:
        chunks: section number and span of each of its chunks, in reading order.
    """
    units = list(_cut_units(article, chunks))
    words = _find_words(article.source.text, units)
    return Excerpts(article, words, _make_windows(article, units, words, len(chunks)))


def _cut_units(article: Article, chunks: Sequence[tuple[int, Span]]) -> Iterator[_Unit]:
    text = article.source.text
    for number, (section, span) in enumerate(chunks):
        first = article.source.offset_of_byte(span.start_byte)
        last = article.source.offset_of_byte(span.end_byte)
        for block in article.sections[section].blocks:
            start, end = max(block.start, first), min(block.end, last)
            if start < end:
                is_code = block.kind in _CODE
                for whole in (split_lines if is_code else split_sentences)(text, start, end):
                    for a, b in _cut_long(text, *whole):
                        yield _Unit(a, b, section, number, is_code)


def _cut_long(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The range itself, or where it is too long for a snippet, pieces of it that end at white space if they can."""
    while end - start > MAX_SNIPPET_CHARS:
        space = max(
            text.rfind(" ", start, start + MAX_SNIPPET_CHARS), text.rfind("\n", start, start + MAX_SNIPPET_CHARS)
        )
        cut = space if space > start else start + MAX_SNIPPET_CHARS
        yield start, cut
        start = cut + 1 if space > start else cut
    if start < end:
        yield start, end


def _find_words(text: str, units: Iterable[_Unit]) -> Words:
    found = [
        (match.start(), match.end(), term)
        for unit in units
        for match in _WORD.finditer(text, unit.start, unit.end)
        if (term := _term_of(match.group()))
    ]
    numbers: dict[str, int] = {}
    terms = array("I", [numbers.setdefault(term, len(numbers)) for _, _, term in found])
    return Words(array("I", [start for start, _, _ in found]), array("I", [end for _, end, _ in found]), terms, numbers)


@lru_cache(maxsize=65_536)
def _term_of(word: str) -> str:
    """The analysed form of one word; empty for a function word."""
    return next(iter(analyze(word)), "")


def _make_windows(article: Article, units: Sequence[_Unit], words: Words, chunk_count: int) -> Windows:
    lasts = [units[last] for last in _find_lasts(units)]
    roles = [role_of(section.heading_path) for section in article.sections]
    chunks = np.zeros((len(units), chunk_count), np.float32)
    holds = np.zeros((len(words.numbers), len(units)), np.bool_)
    terms = np.array(words.terms, np.int64)
    for window, (first, last) in enumerate(zip(units, lasts, strict=True)):
        chunks[window, first.chunk : last.chunk + 1] = 1.0 / (last.chunk + 1 - first.chunk)
        inside = slice(bisect_left(words.starts, first.start), bisect_left(words.starts, last.end))
        holds[terms[inside], window] = True
    return Windows(
        starts=array("I", [unit.start for unit in units]),
        ends=array("I", [unit.end for unit in lasts]),
        sections=array("I", [unit.section for unit in units]),
        roles=np.array([ROLES.index(roles[unit.section]) for unit in units], np.int64),
        plain=np.array([_ROLE[roles[unit.section]] - _CODE_PENALTY * unit.is_code for unit in units], np.float32),
        chunks=chunks,
        holds=holds,
    )


def _find_lasts(units: Sequence[_Unit]) -> Iterator[int]:
    """For each unit the last one that a snippet which begins with it may reach."""
    last = 0
    for number, unit in enumerate(units):
        last = max(last, number)
        while last + 1 < len(units) and _fits(unit, units[last + 1]):
            last += 1
        yield last


def _fits(first: _Unit, last: _Unit) -> bool:
    return first.section == last.section and last.end - first.start <= MAX_SNIPPET_CHARS
