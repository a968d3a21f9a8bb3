"""Sections into chunks: pieces small enough for the embedder, each an exact span of its source.

A chunk never crosses a section. Blocks are packed greedily; a fence or table stays whole where it fits, and one that
does not is cut at lines, a paragraph at sentences, a sentence at words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from indexer.articles import Article, Block, Section
from indexer.sentences import split_lines, split_sentences
from indexer.source import Span

CountTokens = Callable[[Sequence[str]], list[int]]
"""Token counts of texts by the embedder's own tokeniser, special tokens not counted."""

_MARKUP = (
    (re.compile(r"!\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"^\s*(```|~~~).*$", re.MULTILINE), ""),
    (re.compile(r"^\s*\|?[\s:|-]{3,}\|?\s*$", re.MULTILINE), ""),
    (re.compile(r"^\s*#{1,6}\s+", re.MULTILINE), ""),
)


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """How large a chunk may grow.

    Attributes:
        max_tokens: the embedder's limit, special tokens and heading path included; text past it would be cut silently.
        target_tokens: blocks are packed up to this many; one whole block may go past it up to `max_tokens`.
    """

    max_tokens: int = 256
    target_tokens: int = 100

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one section.

    Attributes:
        section: index into the article's sections.
        span: where it stands in the source.
        embedding_text: what the embedder reads: heading path, then the words without markup.
    """

    section: int
    span: Span
    embedding_text: str


def chunk_article(article: Article, limits: ChunkLimits, count_tokens: CountTokens) -> list[Chunk]:
    """The chunks of `article`, in reading order. At least one: an article of headings alone has its first section's."""
    return [
        _chunk(article, number, section, start, end)
        for number, section in enumerate(article.sections)
        for start, end in _pack(article, section, limits, count_tokens)
    ]


def strip_markup(markdown: str) -> str:
    """The words of a piece of Markdown: link targets, fence marks, rules and emphasis dropped, order kept."""
    for pattern, replacement in _MARKUP:
        markdown = pattern.sub(replacement, markdown)
    return markdown.strip()


def heading_text(heading_path: Sequence[str]) -> str:
    """The heading path as the embedder reads it."""
    return " > ".join(heading_path)


def _chunk(article: Article, number: int, section: Section, start: int, end: int) -> Chunk:
    body = strip_markup(article.source.text[start:end])
    return Chunk(number, article.source.span(start, end), f"{heading_text(section.heading_path)}\n{body}")


def _pack(
    article: Article, section: Section, limits: ChunkLimits, count_tokens: CountTokens
) -> Iterator[tuple[int, int]]:
    text = article.source.text
    blocks = section.blocks
    if not blocks:
        return
    head, *sizes = count_tokens(
        [heading_text(section.heading_path), *(strip_markup(text[block.start : block.end]) for block in blocks)]
    )
    special_tokens = 2
    room = max(32, limits.max_tokens - special_tokens - head)
    target = min(room, limits.target_tokens)
    start, end, used = -1, -1, 0
    for block, size in zip(blocks, sizes, strict=True):
        if start >= 0 and used + size > target:
            yield start, end
            start, used = -1, 0
        if size > room:
            yield from _split(text, block, room, count_tokens)
            continue
        if start < 0:
            start = block.start
        end, used = block.end, used + size
    if start >= 0:
        yield start, end


def _split(text: str, block: Block, room: int, count_tokens: CountTokens) -> Iterator[tuple[int, int]]:
    by_lines = block.kind in {"fence", "code_block", "table"}
    units = split_lines(text, block.start, block.end) if by_lines else split_sentences(text, block.start, block.end)
    sizes = count_tokens([strip_markup(text[a:b]) for a, b in units])
    start, end, used = -1, -1, 0
    for (a, b), size in zip(units, sizes, strict=True):
        if start >= 0 and used + size > room:
            yield start, end
            start, used = -1, 0
        if size > room:
            yield from _split_words(text, a, b, room, count_tokens)
            continue
        if start < 0:
            start = a
        end, used = b, used + size
    if start >= 0:
        yield start, end


def _split_words(text: str, start: int, end: int, room: int, count_tokens: CountTokens) -> Iterator[tuple[int, int]]:
    """Cut one overlong line so that each piece fits: at white space, or at `room` characters where there is none.

    A piece of `room` characters can never hold more than `room` word pieces.
    """
    words = [
        (cut, min(cut + room, match.end()))
        for match in re.finditer(r"\S+", text[:end][start:])
        for cut in range(match.start(), match.end(), room)
    ]
    words = [(start + a, start + b) for a, b in words]
    sizes = count_tokens([text[a:b] for a, b in words])
    begin, stop, used = -1, -1, 0
    for (a, b), size in zip(words, sizes, strict=True):
        if begin >= 0 and used + size > room:
            yield begin, stop
            begin, used = -1, 0
        if begin < 0:
            begin = a
        stop, used = b, used + size
    if begin >= 0:
        yield begin, stop
