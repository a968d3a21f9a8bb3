"""The sentences of an article that answer: chosen by words, meaning and the part that their section plays.

An article is cut once into windows of whole sentences (lines, in code) that never leave their section. For a question
every window gets

    share of the question's words in it + a little closeness of meaning + what its section is for

and the best ones that do not overlap are cited, words already shown counting for less. Weights are round numbers,
chosen on labelled lines of the dev tickets (docs/retrieval.md has the figures on the test split).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from indexer.articles import Article, Section
from indexer.lexical import analyze
from indexer.sentences import split_lines, split_sentences
from indexer.source import Span, sha256_of
from service.answers import Citation, Snippet
from service.sections import SectionRole, role_of

MAX_SNIPPET_CHARS = 400

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_CODE = frozenset({"fence", "code_block", "table"})
_WORDS = 2.0
_MEANING = 0.15
_SHOWN_BEFORE = 0.3
"""How much less a word counts once a snippet shows it."""
_CODE_PENALTY = 0.5
_ROLE = {
    SectionRole.ACTION: 2.0,
    SectionRole.REASON: 1.0,
    SectionRole.OTHER: 0.0,
    SectionRole.CHECK: -1.0,
    SectionRole.SIGHT: -1.0,
    SectionRole.REFERENCE: -3.0,
}
ROLES = tuple(SectionRole)
_AT_MOST = {SectionRole.ACTION: 2, SectionRole.REASON: 1, SectionRole.SIGHT: 1}
"""Snippets from sections of one role, so that an answer shows what to do *and* why."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Unit:
    """One sentence, or one line of code: half-open character range, its chunk's number in the article, its terms."""

    start: int
    end: int
    section: int
    chunk: int
    is_code: bool
    terms: frozenset[str]


@dataclass(frozen=True)
class Windows:
    """All windows of an article, side by side; every array has the shape (windows,).

    Attributes:
        first, last: the units that a window goes from and to, inclusive.
        first_chunk, last_chunk: the chunks that they are in.
        section: number of the section that it is in.
        role: place of its section's role in `ROLES`.
        plain: what a window is worth for any question: its role, and a little less for code.
        holding: for each analysed word of the article, the windows that hold it.
    """

    first: Ints
    last: Ints
    first_chunk: Ints
    last_chunk: Ints
    section: Ints
    role: Ints
    plain: Floats
    holding: Mapping[str, Ints]


@dataclass(frozen=True, slots=True)
class Excerpts:
    """An article in the pieces that may be cited; the same for every question, so worth keeping."""

    article: Article
    units: tuple[Unit, ...]
    windows: Windows


def cut_excerpts(article: Article, chunks: Sequence[tuple[int, Span]]) -> Excerpts:
    """Cut `article` into units and windows.

    Args:
        chunks: section number and span of each of its chunks, in reading order.
    """
    units = tuple(_cut_units(article, chunks))
    return Excerpts(article, units, _make_windows(article, units))


def choose_snippets(
    excerpts: Excerpts, closeness: Floats, term_weights: Mapping[str, float], limit: int = 3
) -> tuple[Snippet, ...]:
    """Up to `limit` snippets, the most telling first.

    Args:
        closeness: cosine of the question with each chunk of the article, shape (chunks,).
        term_weights: the question's analysed words and what each counts.
    """
    windows, article, units = excerpts.windows, excerpts.article, excerpts.units
    terms = [term for term in term_weights if term in windows.holding]
    held = np.zeros((len(windows.first), len(terms)), np.float32)
    for column, term in enumerate(terms):
        held[windows.holding[term], column] = term_weights[term]
    base = windows.plain + _MEANING * _mean_closeness(windows, closeness)
    most = float(held.sum(axis=1).max(initial=0.0)) or 1.0
    worth = np.full(len(terms), _WORDS / most, np.float32)
    is_open = np.ones(len(base), np.bool_)
    snippets: list[Snippet] = []
    used = [0] * len(ROLES)
    while len(snippets) < limit and is_open.any():
        best = int(np.argmax(np.where(is_open, base + held @ worth, -np.inf)))
        first, last, role = int(windows.first[best]), int(windows.last[best]), int(windows.role[best])
        section = article.sections[units[first].section]
        snippets.append(make_snippet(article, section, units[first].start, units[last].end, term_weights))
        worth[held[best] > 0] = (1 - _SHOWN_BEFORE) * _WORDS / most
        used[role] += 1
        is_open &= (windows.last < first) | (windows.first > last)
        # The rest of a section that is quoted already, with none of the question's words, only fills space.
        is_open &= (windows.section != units[first].section) | held.any(axis=1)
        if used[role] >= _AT_MOST.get(ROLES[role], limit):
            is_open &= windows.role != role
    return tuple(snippets)


def make_snippet(article: Article, section: Section, start: int, end: int, terms: Container[str]) -> Snippet:
    """The snippet for the half-open character range `start:end` of the article's source, `terms` highlighted."""
    text = article.source.text[start:end]
    span = article.source.span(start, end)
    return Snippet(
        text=text,
        highlights=highlight(text, terms),
        citation=Citation(
            path=article.path,
            heading_path=section.heading_path,
            anchor=section.anchor,
            start_line=span.start_line,
            end_line=span.end_line,
            start_byte=span.start_byte,
            end_byte=span.end_byte,
            sha256=sha256_of(text),
            article_version=article.version,
        ),
    )


def highlight(text: str, terms: Container[str]) -> tuple[tuple[int, int], ...]:
    """Character ranges of the words in `text` whose analysed form is among `terms`."""
    return tuple(match.span() for match in _WORD.finditer(text) if _term_of(match.group()) in terms)


@lru_cache(maxsize=65_536)
def _term_of(word: str) -> str:
    """The analysed form of one word; empty for a function word."""
    return next(iter(analyze(word)), "")


def _mean_closeness(windows: Windows, closeness: Floats) -> Floats:
    """The mean standing, among the article's chunks, of the chunks that each window touches."""
    near = (closeness - closeness.mean()) / max(float(closeness.std()), 1e-6)
    sums = np.concatenate([[0.0], np.cumsum(near)])
    count = windows.last_chunk + 1 - windows.first_chunk
    mean: Floats = ((sums[windows.last_chunk + 1] - sums[windows.first_chunk]) / count).astype(np.float32)
    return mean


def _cut_units(article: Article, chunks: Sequence[tuple[int, Span]]) -> list[Unit]:
    text, units = article.source.text, []
    for number, (section, span) in enumerate(chunks):
        first = article.source.offset_of_byte(span.start_byte)
        last = article.source.offset_of_byte(span.end_byte)
        for block in article.sections[section].blocks:
            start, end = max(block.start, first), min(block.end, last)
            if start >= end:
                continue
            is_code = block.kind in _CODE
            split = split_lines if is_code else split_sentences
            units += [
                Unit(a, b, section, number, is_code, frozenset(analyze(text[a:b])))
                for whole in split(text, start, end)
                for a, b in _cut_long(text, *whole)
            ]
    return units


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


def _make_windows(article: Article, units: Sequence[Unit]) -> Windows:
    """For each unit the window that goes on from it as far as a snippet may, and the one that then goes back as far."""
    found: dict[tuple[int, int], None] = {}
    for number, unit in enumerate(units):
        first = last = number
        while last + 1 < len(units) and _fits(unit, unit, units[last + 1]):
            last += 1
        found[first, last] = None
        while first > 0 and _fits(unit, units[first - 1], units[last]):
            first -= 1
        found[first, last] = None
    starts = [units[first] for first, _ in found]
    roles = [role_of(article.sections[unit.section].heading_path) for unit in starts]
    holding: dict[str, list[int]] = {}
    for number, (first, last) in enumerate(found):
        for term in frozenset().union(*(unit.terms for unit in units[first : last + 1])):
            holding.setdefault(term, []).append(number)
    plain = [_ROLE[role] - _CODE_PENALTY * unit.is_code for role, unit in zip(roles, starts, strict=True)]
    return Windows(
        first=np.array([first for first, _ in found], np.int64),
        last=np.array([last for _, last in found], np.int64),
        first_chunk=np.array([unit.chunk for unit in starts], np.int64),
        last_chunk=np.array([units[last].chunk for _, last in found], np.int64),
        section=np.array([unit.section for unit in starts], np.int64),
        role=np.array([ROLES.index(role) for role in roles], np.int64),
        plain=np.array(plain, np.float32),
        holding={term: np.array(numbers, np.int64) for term, numbers in holding.items()},
    )


def _fits(unit: Unit, first: Unit, last: Unit) -> bool:
    return first.section == last.section == unit.section and last.end - first.start <= MAX_SNIPPET_CHARS
