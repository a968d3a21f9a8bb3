"""The sentences of an article that answer: chosen by meaning and words, cited to the byte."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from indexer.articles import Article, Section
from indexer.lexical import analyze
from indexer.sentences import split_lines, split_sentences
from indexer.source import sha256_of
from service.answers import Citation, Snippet

MAX_SNIPPET_CHARS = 320
_WORD = re.compile(r"[^\W_]+(?:[-_.'][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as the snippet chooser sees it: character range in the source, its section, and its relevance."""

    section: Section
    start: int
    end: int
    score: float


def choose_snippets(
    article: Article, passages: Sequence[Passage], query_terms: frozenset[str], limit: int = 3
) -> tuple[Snippet, ...]:
    """Up to `limit` snippets, one a passage, best passages first.

    Within a passage the window of whole sentences (lines, in code) that holds most of the query's rare words wins;
    where none does, the passage's first sentence stands for it.
    """
    return tuple(
        make_snippet(article, passage.section, *_best_window(article, passage, query_terms), query_terms)
        for passage in passages[:limit]
    )


def make_snippet(article: Article, section: Section, start: int, end: int, query_terms: frozenset[str]) -> Snippet:
    """The snippet for the half-open character range `start:end` of the article's source."""
    text = article.source.text[start:end]
    span = article.source.span(start, end)
    return Snippet(
        text=text,
        highlights=highlight(text, query_terms),
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


def highlight(text: str, query_terms: frozenset[str]) -> tuple[tuple[int, int], ...]:
    """Character ranges of the words in `text` whose analysed form is among `query_terms`."""
    return tuple(
        match.span() for match in _WORD.finditer(text) if any(term in query_terms for term in analyze(match.group()))
    )


def _best_window(article: Article, passage: Passage, query_terms: frozenset[str]) -> tuple[int, int]:
    text = article.source.text
    units = [
        unit
        for block in passage.section.blocks
        if block.start < passage.end and block.end > passage.start
        for unit in (split_lines if block.kind in {"fence", "code_block", "table"} else split_sentences)(
            text, max(block.start, passage.start), min(block.end, passage.end)
        )
    ] or [(passage.start, passage.end)]
    scores = [len(query_terms.intersection(analyze(text[a:b]))) for a, b in units]
    best = max(range(len(units)), key=lambda index: (scores[index], -index))
    start, end = units[best]
    if best + 1 < len(units) and units[best + 1][1] - start <= MAX_SNIPPET_CHARS:
        end = units[best + 1][1]
    return start, end
