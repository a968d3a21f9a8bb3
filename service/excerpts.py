"""An article cut into what may be cited: windows of whole sentences (lines, in code) that never leave their section,
nor reach over a comment.

The cut is the same for every question, so it is made once and kept, in the form that choosing from it needs: which
words each window holds, which chunks it touches, what its section is for.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from indexer.analysis import analyze, split_words
from indexer.articles import Article
from indexer.comments import hides_comment
from indexer.sentences import split_lines, split_sentences
from indexer.source import Span, sha256_of
from service.answers import Citation, Snippet
from service.sections import SectionRole, role_of

MAX_SNIPPET_CHARS = 400
MAX_WITH_CODE_CHARS = 700
"""Of a snippet that goes on to the end of the listing or table that it has begun: half a command is of no use."""
ROLES = tuple(SectionRole)

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
"""Half as much memory as the usual width; an article has fewer than two thousand million characters."""

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


@dataclass(frozen=True, slots=True)
class Words:
    """Every word of an article that may be cited and is no function word, in reading order.

    Attributes:
        starts, ends: half-open character ranges; those of pairs of characters, in scripts without spaces, overlap.
        terms: number of the word's term.
        numbers: of all terms, in order of appearance.
        by_term: places of all words, those of one term together; shape (words,).
        bounds: where the words of each term begin in `by_term`; shape (terms + 1,).
    """

    starts: array[int]
    ends: array[int]
    terms: array[int]
    numbers: Mapping[str, int]
    by_term: Ints
    bounds: Ints


@dataclass(frozen=True, slots=True)
class Windows:
    """For each sentence the window that goes on from it as far as a snippet may, in reading order.

    Windows overlap; their starts, ends, sections and chunks ascend. Arrays have the shape (windows,).

    Attributes:
        starts, ends: half-open character ranges.
        sections: number of the section that it is in.
        roles: place of its section's role in `ROLES`.
        plain: what it is worth for any question: its role, and a little less for code.
        first_chunk, last_chunk: the chunks of the article that it touches.
        since: for the sentence that it begins with, the first window that reaches as far.
    """

    starts: array[int]
    ends: array[int]
    sections: array[int]
    roles: Ints
    plain: Floats
    first_chunk: Ints
    last_chunk: Ints
    since: array[int]

    def overlapping(self, window: int) -> slice:
        """Windows that share a character with this one."""
        return slice(bisect_right(self.ends, self.starts[window]), bisect_left(self.starts, self.ends[window]))

    def of_section(self, window: int) -> slice:
        """Windows of the same section as this one."""
        section = self.sections[window]
        return slice(bisect_left(self.sections, section), bisect_right(self.sections, section))


@dataclass(frozen=True, slots=True)
class Excerpts:
    """An article in the pieces that may be cited. Takes memory in proportion to the article. Thread-safe."""

    article: Article
    words: Words
    windows: Windows
    _citations: dict[int, Citation] = field(default_factory=dict, repr=False)

    def holding(self, terms: Iterable[int]) -> Floats:
        """1 where a window holds one of the numbered `terms`, else 0: shape (terms, windows)."""
        wanted, words, windows = list(terms), self.words, self.windows
        holds = np.zeros((len(wanted), len(windows.starts)), np.float32)
        for row, term in zip(holds, wanted, strict=True):
            for word in words.by_term[words.bounds[term] : words.bounds[term + 1]].tolist():
                sentence = bisect_right(windows.starts, words.starts[word]) - 1
                row[windows.since[sentence] : sentence + 1] = 1.0
        return holds

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
        highlights: list[tuple[int, int]] = []
        for first, last in (
            (words.starts[w] - start, words.ends[w] - start) for w in inside if words.terms[w] in marked
        ):
            overlaps = highlights and first < highlights[-1][1]
            highlights.append((highlights.pop()[0] if overlaps else first, last))
        return Snippet(text, tuple(highlights), citation)

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
    """One sentence, or one line of code: half-open character range, its chunk's number in the article.

    `run` is alike for sentences of a section that no comment stands between; `code` is where the listing or table
    begins that it is a line of, -1 for a sentence.
    """

    start: int
    end: int
    section: int
    run: int
    chunk: int
    code: int


def cut_excerpts(article: Article, chunks: Sequence[tuple[int, Span]]) -> Excerpts:
    """Cut `article` into windows.

    Args:
        chunks: section number and span of each of its chunks, in reading order.
    """
    units = list(_cut_units(article, chunks))
    words = _find_words(article.source.text, units)
    return Excerpts(article, words, _make_windows(article, units))


def _cut_units(article: Article, chunks: Sequence[tuple[int, Span]]) -> Iterator[_Unit]:
    text = article.source.text
    runs = _number_runs(article)
    for number, (section, span) in enumerate(chunks):
        first = article.source.offset_of_byte(span.start_byte)
        last = article.source.offset_of_byte(span.end_byte)
        for block in article.sections[section].blocks:
            start, end = max(block.start, first), min(block.end, last)
            if start < end:
                is_code = block.kind in _CODE
                for whole in (split_lines if is_code else split_sentences)(text, start, end):
                    for a, b in _cut_long(text, *whole):
                        yield _Unit(a, b, section, runs[block.start], number, block.start if is_code else -1)


def _number_runs(article: Article) -> dict[int, int]:
    """For each block, by its start, how many sections and comments there are up to it."""
    runs: dict[int, int] = {}
    run, text = 0, article.source.text
    for section in article.sections:
        run += 1
        for before, block in zip((None, *section.blocks), section.blocks, strict=False):
            run += before is not None and hides_comment(text, before.end, block.start)
            runs[block.start] = run
    return runs


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


def _find_words(text: str, units: Sequence[_Unit]) -> Words:
    """The words of all units; one that a cut goes through belongs to none."""
    begin = units[0].start if units else 0
    # What stands between words and the words themselves take turns, so offsets are sums of lengths.
    pieces, words = split_words(text[begin : units[-1].end] if units else "")
    stops = begin + np.cumsum(np.fromiter(map(len, pieces), np.int32, len(pieces)), dtype=np.int32)
    starts = stops[:-1:2]
    ends = starts + np.fromiter(map(len, words), np.int32, len(words))
    sentence = np.searchsorted(np.array([unit.start for unit in units], np.int32), starts, "right") - 1
    inside = ends <= np.array([unit.end for unit in units], np.int32)[sentence]
    terms = list(map(_term_of, words))
    inside &= np.fromiter(map(bool, terms), np.bool_, len(terms))
    kept = [terms[word] for word in np.flatnonzero(inside).tolist()]
    numbers = {term: number for number, term in enumerate(dict.fromkeys(kept))}
    numbered = np.fromiter(map(numbers.__getitem__, kept), np.int32, len(kept))
    bounds = np.zeros(len(numbers) + 1, np.int32)
    np.cumsum(np.bincount(numbered, minlength=len(numbers)), out=bounds[1:])
    return Words(
        _packed(starts[inside]),
        _packed(ends[inside]),
        _packed(numbered),
        numbers,
        np.argsort(numbered, kind="stable").astype(np.int32),
        bounds,
    )


@lru_cache(maxsize=65_536)
def _term_of(word: str) -> str:
    """The analysed form of one word; empty for a function word."""
    return next(iter(analyze(word)), "")


def _packed(values: Ints) -> array[int]:
    """As an array that Python reads an element of quickly."""
    return array("I", values.astype(np.uintc).tobytes())


def _make_windows(article: Article, units: Sequence[_Unit]) -> Windows:
    lasts = list(_find_lasts(units))
    roles = [role_of(section.heading_path) for section in article.sections]
    return Windows(
        starts=array("I", [unit.start for unit in units]),
        ends=array("I", [units[last].end for last in lasts]),
        sections=array("I", [unit.section for unit in units]),
        roles=np.array([ROLES.index(roles[unit.section]) for unit in units], np.int32),
        plain=np.array([_ROLE[roles[unit.section]] - _CODE_PENALTY * (unit.code >= 0) for unit in units], np.float32),
        first_chunk=np.array([unit.chunk for unit in units], np.int32),
        last_chunk=np.array([units[last].chunk for last in lasts], np.int32),
        since=array("I", [bisect_left(lasts, sentence) for sentence in range(len(units))]),
    )


def _find_lasts(units: Sequence[_Unit]) -> Iterator[int]:
    """For each unit the last one that a snippet which begins with it may reach."""
    ends = {unit.code: number for number, unit in enumerate(units) if unit.code >= 0}
    last = 0
    for number, unit in enumerate(units):
        last = max(last, number)
        while last + 1 < len(units) and _fits(unit, units[last + 1], MAX_SNIPPET_CHARS):
            last += 1
        end = ends.get(units[last].code, last)
        if _fits(unit, units[end], MAX_WITH_CODE_CHARS):
            last = end
        yield last


def _fits(first: _Unit, last: _Unit, most_chars: int) -> bool:
    return first.run == last.run and last.end - first.start <= most_chars
