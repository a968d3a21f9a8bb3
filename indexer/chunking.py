"""Sections into chunks: pieces small enough for the embedder, each an exact span of its source.

A chunk never crosses a section or a comment. Blocks are packed greedily; a fence or table stays whole where it fits,
and one that does not is cut at lines, a paragraph at sentences, a sentence at words.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from indexer.articles import Article, Block, Section
from indexer.comments import hides_comment
from indexer.pointers import find_pointers
from indexer.sentences import split_lines, split_sentences
from indexer.source import Span

_SPECIAL_TOKENS = 2
_LEAST_ROOM = 32
"""Tokens that a chunk keeps for its own words, however long its heading path is."""

CountTokens = Callable[[Sequence[str]], list[int]]
"""Token counts of texts by the embedder's own tokeniser, special tokens not counted."""

_MARKUP = (
    (re.compile(r"!\[([^\[\]]{0,1000})\]\([^)]{0,2000}\)"), r"\1"),
    (re.compile(r"\[([^\[\]]{0,1000})\]\([^)]{0,2000}\)"), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"^[ \t]*(```|~~~).*$", re.MULTILINE), ""),
    (re.compile(r"^[ \t:|-]{3,}$", re.MULTILINE), ""),
    (re.compile(r"^[ \t]*#{1,6}[ \t]+", re.MULTILINE), ""),
    (re.compile(r"\n{3,}"), "\n\n"),
)
"""Every one takes time in proportion to the text, whatever it holds: no repetition may run over what another start has
run over already."""


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
        embedding_text: what the embedder reads: heading path, then the words (`Wording`).
    """

    section: int
    span: Span
    embedding_text: str


def chunk_article(
    article: Article, limits: ChunkLimits, count_tokens: CountTokens, wording: Wording | None = None
) -> list[Chunk]:
    """The chunks of `article`, in reading order. At least one, since no article is of headings alone.

    A piece that only points elsewhere is no chunk; within another it is in the span and not in the text.

    Args:
        wording: that of `article`, where there is one already.
    """
    chunks = []
    wording = wording or Wording(article)
    for number, section in enumerate(article.sections):
        if not section.blocks:
            continue
        head, head_tokens = _fit_heading(heading_text(section.heading_path), limits, count_tokens)
        room = limits.max_tokens - _SPECIAL_TOKENS - head_tokens
        for start, end in _pack(article, section, room, limits.target_tokens, wording, count_tokens):
            if (body := wording.of(start, end)) or not strip_markup(article.source.text[start:end]):
                chunks.append(Chunk(number, article.source.span(start, end), f"{head}\n{body}"))
    return chunks


class Wording:
    """Makes words of pieces of one article's Markdown: without markup, and without what only points elsewhere.

    Of an article that points for the greater part, such as a page of links, pointers are what it says, and stay.
    """

    def __init__(self, article: Article) -> None:
        self._text = article.source.text
        self._pointers = find_pointers(self._text)
        blocks = [(block.start, block.end) for section in article.sections for block in section.blocks]
        said = sum(len(self.of(start, end)) for start, end in blocks)
        if 2 * said <= sum(len(strip_markup(self._text[start:end])) for start, end in blocks):
            self._pointers = []

    def of(self, start: int, end: int) -> str:
        """The words of the characters `start:end` of the source."""
        first = bisect_right(self._pointers, (start,))
        parts, here = [], start
        for begin, stop in self._pointers[max(0, first - 1) :]:
            if begin >= end:
                break
            parts.append(self._text[here : max(here, begin)])
            here = max(here, stop)
        return strip_markup("".join(parts) + self._text[here:end])


def strip_markup(markdown: str) -> str:
    """The words of a piece of Markdown: link targets, fence marks, rules and emphasis dropped, order kept."""
    for pattern, replacement in _MARKUP:
        markdown = pattern.sub(replacement, markdown)
    return markdown.strip()


def heading_text(heading_path: Sequence[str]) -> str:
    """The heading path as the embedder reads it."""
    return " > ".join(heading_path)


def _fit_heading(head: str, limits: ChunkLimits, count_tokens: CountTokens) -> tuple[str, int]:
    """`head` and its tokens, cut short where it would leave a chunk less than `_LEAST_ROOM` for its own words."""
    most = max(1, limits.max_tokens - _SPECIAL_TOKENS - _LEAST_ROOM)
    while (size := count_tokens([head])[0]) > most:
        head = head[: min(len(head) - 1, len(head) * most // size)].rstrip()
    return head, size


def _pack(
    article: Article, section: Section, room: int, target: int, wording: Wording, count_tokens: CountTokens
) -> Iterator[tuple[int, int]]:
    text = article.source.text
    blocks = section.blocks
    # Between two blocks there may be text that is in neither, such as link definitions.
    starts = [blocks[0].start, *(block.end for block in blocks[:-1])]
    between = [strip_markup(text[a : block.start]) for a, block in zip(starts, blocks, strict=True)]
    counted = count_tokens([*between, *(wording.of(block.start, block.end) for block in blocks)])
    gaps, sizes = counted[: len(blocks)], counted[len(blocks) :]
    target = min(room, target)
    start, end, used = -1, -1, 0
    for block, gap, size in zip(blocks, gaps, sizes, strict=True):
        if start >= 0 and (used + gap + size > target or hides_comment(text, end, block.start)):
            yield start, end
            start, used = -1, 0
        if size > room:
            yield from _split(text, block, room, count_tokens)
            continue
        if start < 0:
            start, end, used = block.start, block.end, size
        else:
            end, used = block.end, used + gap + size
    if start >= 0:
        yield start, end


def _split(text: str, block: Block, room: int, count_tokens: CountTokens) -> Iterator[tuple[int, int]]:
    by_lines = block.kind in {"fence", "code_block", "table"}
    units = split_lines(text, block.start, block.end) if by_lines else split_sentences(text, block.start, block.end)
    pieces = [text[a:b] for a, b in units]
    counted = count_tokens([*pieces, *map(strip_markup, pieces)])
    # What is markup at the start of a piece may be none in the middle of a chunk, so the larger count holds.
    sizes = [max(pair) for pair in zip(counted[: len(units)], counted[len(units) :], strict=True)]
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
    """Cut one overlong line so that each piece fits: at white space, or inside a word where there is none."""
    words = [
        (start + cut, start + min(cut + room, match.end()))
        for match in re.finditer(r"\S+", text[start:end])
        for cut in range(match.start(), match.end(), room)
    ]
    sizes = count_tokens([text[a:b] for a, b in words])
    while max(sizes) > room and any(b - a > 1 and size > room for (a, b), size in zip(words, sizes, strict=True)):
        # One character can be several tokens: a Hangul syllable is taken apart into its letters.
        words = [
            piece
            for (a, b), size in zip(words, sizes, strict=True)
            for piece in ([(a, (a + b) // 2), ((a + b) // 2, b)] if size > room and b - a > 1 else [(a, b)])
        ]
        sizes = count_tokens([text[a:b] for a, b in words])
    begin, stop, used = -1, -1, 0
    for (a, b), size in zip(words, sizes, strict=True):
        # Pieces of one word can be more tokens together than apart.
        together = count_tokens([text[begin:b]])[0] if a == stop else used + size
        if begin >= 0 and together > room:
            yield begin, stop
            begin, together = -1, size
        if begin < 0:
            begin = a
        stop, used = b, together
    if begin >= 0:
        yield begin, stop
