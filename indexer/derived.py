"""What one article contributes to an index version, whatever else is in it: everything that a rebuild need not redo.

Parsing, chunking, analysis and signatures cost some 20 ms an article; reading this back costs a tenth of a millisecond.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.articles import Article
from indexer.chunking import ChunkLimits, CountTokens, Wording, chunk_article, strip_markup
from indexer.declared import declared_signatures
from indexer.signatures import extract_signatures, signature_key
from indexer.store import CHUNK_DTYPE, article_record, card_of, card_values
from indexer.words import FIELD_COUNT, ArticleTerms, ArticleText, count_terms


@dataclass(frozen=True, slots=True)
class Derived:
    """One article's share of an index version.

    Attributes:
        card: its catalogue entry as JSON values, with 0 for its row and its first chunk.
        record: its line in the store.
        chunks: its rows of the chunk table, with 0 for the article's row; shape (chunks,).
        texts: what is embedded: each chunk, then the opening.
        signatures: its error signatures, sorted.
        terms: for the word index.
    """

    card: dict[str, Any]
    record: bytes
    chunks: NDArray[np.void]
    texts: tuple[str, ...]
    signatures: tuple[str, ...]
    terms: ArticleTerms


def derive_article(article: Article, limits: ChunkLimits, count_tokens: CountTokens) -> Derived:
    """Everything of `article` that an index version holds."""
    wording = Wording(article)
    chunks = chunk_article(article, limits, count_tokens, wording)
    body = _body_of(article, wording)
    rows = [
        (0, item.section, item.span.start_line, item.span.end_line, item.span.start_byte, item.span.end_byte)
        for item in chunks
    ]
    return Derived(
        card=card_values(card_of(article, 0, 0, len(chunks))),
        record=article_record(article),
        chunks=np.array(rows, CHUNK_DTYPE),
        texts=(*(chunk.embedding_text for chunk in chunks), opening_text(article)),
        signatures=_signatures_of(article, body),
        terms=count_terms(_article_text(article, body)),
    )


def opening_text(article: Article) -> str:
    """Title and summary, or title and first paragraph: what an article says it is about."""
    summary = article.summary
    if not summary:
        first = next((block for section in article.sections for block in section.blocks), None)
        summary = strip_markup(article.source.text[first.start : first.end]) if first else ""
    return f"{article.title}. {summary}"


def pack_derived(item: Derived) -> bytes:
    """`item` as bytes: a length before each part; numbers as they lie in memory, the rest as JSON."""
    values = {
        "card": item.card,
        "texts": item.texts,
        "signatures": item.signatures,
        "terms": " ".join(item.terms.terms),
        "spellings": "\n".join(item.terms.spellings),
    }
    header = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
    return _join([header, item.record, item.chunks.tobytes(), item.terms.counts.astype("<u4").tobytes()])


def unpack_derived(data: bytes) -> Derived:
    """What `pack_derived` packed."""
    header, record, chunks, counts = _split(data)
    values: dict[str, Any] = json.loads(header)
    terms = tuple(values["terms"].split(" ")) if values["terms"] else ()
    return Derived(
        card=values["card"],
        record=record,
        chunks=np.frombuffer(chunks, CHUNK_DTYPE),
        texts=tuple(values["texts"]),
        signatures=tuple(values["signatures"]),
        terms=ArticleTerms(
            terms,
            np.frombuffer(counts, "<u4").reshape(FIELD_COUNT, len(terms)),
            tuple(filter(None, values["spellings"].split("\n"))),
        ),
    )


def _join(parts: Sequence[bytes]) -> bytes:
    return b"".join([*(len(part).to_bytes(4, "big") for part in parts), *parts])


def _split(data: bytes) -> Iterator[bytes]:
    start = 16
    for place in range(0, 16, 4):
        size = int.from_bytes(data[place : place + 4], "big")
        yield data[start : start + size]
        start += size


def _article_text(article: Article, body: str) -> ArticleText:
    meta = article.meta
    return ArticleText(
        article.title,
        "\n".join(dict.fromkeys(name for section in article.sections for name in section.heading_path[1:])),
        "\n".join([meta.summary, *meta.tags, *meta.components, *meta.error_codes]),
        body,
    )


def _body_of(article: Article, wording: Wording) -> str:
    return "\n".join(wording.of(block.start, block.end) for section in article.sections for block in section.blocks)


def _signatures_of(article: Article, body: str) -> tuple[str, ...]:
    found = extract_signatures(f"{article.title}\n{body}") | declared_signatures(article.meta.error_codes)
    return tuple(sorted(signature_key(signature) for signature in found))
