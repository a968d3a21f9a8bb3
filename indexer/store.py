"""The articles of an index version on disk: a small catalogue held in memory, and whole articles read on demand."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import write_array
from indexer.articles import Article, Block, Section
from indexer.errors import IndexCorrupt
from indexer.metadata import Audience, LooseFrontMatter
from indexer.source import SourceText, Span

CHUNK_DTYPE = np.dtype(
    [
        ("article", "<u4"),
        ("section", "<u4"),
        ("start_line", "<u4"),
        ("end_line", "<u4"),
        ("start_byte", "<u4"),
        ("end_byte", "<u4"),
    ]
)
"""One row a chunk: which article and section, and its span. The text is the article's own source at that span."""


@dataclass(frozen=True, slots=True)
class ArticleCard:
    """What a list or a ranking needs of an article without reading it.

    Attributes:
        row: position in the index version; chunk rows refer to it.
        version: SHA-256 of the source file.
        first_chunk, chunk_count: its rows in the chunk table, contiguous and in reading order.
    """

    row: int
    path: str
    article_id: str
    title: str
    summary: str
    audience: Audience
    type: str | None
    confidence: str | None
    products: tuple[str, ...]
    versions: tuple[str, ...]
    components: tuple[str, ...]
    error_codes: tuple[str, ...]
    tags: tuple[str, ...]
    related: tuple[str, ...]
    last_verified: str | None
    version: str
    first_chunk: int
    chunk_count: int

    @property
    def product_set(self) -> frozenset[str]:
        return frozenset(product.casefold() for product in self.products)


def card_of(article: Article, row: int, first_chunk: int, chunk_count: int) -> ArticleCard:
    """The catalogue entry of `article`."""
    meta = article.meta
    return ArticleCard(
        row=row,
        path=article.path,
        article_id=article.article_id,
        title=article.title,
        summary=article.summary,
        audience=article.audience,
        type=meta.type,
        confidence=meta.confidence,
        products=meta.products,
        versions=meta.versions,
        components=meta.components,
        error_codes=meta.error_codes,
        tags=meta.tags,
        related=meta.related,
        last_verified=meta.last_verified.isoformat() if meta.last_verified else None,
        version=article.version,
        first_chunk=first_chunk,
        chunk_count=chunk_count,
    )


def card_values(card: ArticleCard) -> dict[str, Any]:
    """A catalogue entry as JSON values, in the order of its line."""
    return {name: getattr(card, name) for name in ArticleCard.__slots__}


class StoreWriter:
    """Writes `catalog.jsonl`, `articles.jsonl` and `articles.idx` (byte offsets, one more than there are articles)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets = [0]
        self._catalog = (folder / "catalog.jsonl").open("wb")
        self._store = (folder / "articles.jsonl").open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._catalog.close()
        self._store.close()
        write_array(self._folder / "articles.idx", np.asarray(self._offsets, "<u8"))

    def add(self, card: dict[str, Any], record: bytes) -> None:
        """Take the next article: its `card_values`, and its `article_record`."""
        self._catalog.write(dump_line(card))
        self._store.write(record)
        self._offsets.append(self._store.tell())


class ArticleStore:
    """Catalogue and articles of one index version."""

    def __init__(self, folder: Path) -> None:
        with (folder / "catalog.jsonl").open("rb") as file:
            self.cards: tuple[ArticleCard, ...] = tuple(_card(json.loads(line)) for line in file)
        self._offsets: NDArray[np.uint64] = np.fromfile(folder / "articles.idx", "<u8")
        if len(self._offsets) != len(self.cards) + 1:
            raise IndexCorrupt(f"{folder.name}: catalogue and articles disagree; run `kb index` again")
        self._map: mmap.mmap | None = None
        if self._offsets[-1]:
            with (folder / "articles.jsonl").open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.article = lru_cache(maxsize=512)(self._read)
        self._by_path = {card.path: card.row for card in self.cards}
        self._by_id = {card.article_id: card.row for card in self.cards}

    def row_of(self, name: str) -> int | None:
        """The row of the article with this path or id; None if there is none."""
        return self._by_path.get(name, self._by_id.get(name))

    def row_of_path(self, path: str) -> int | None:
        """The row of the article with this path; None if there is none."""
        return self._by_path.get(path)

    def articles(self) -> Iterator[Article]:
        """All articles in row order, read one by one."""
        return (self._read(row) for row in range(len(self.cards)))

    def _read(self, row: int) -> Article:
        assert self._map is not None
        record = json.loads(self._map[int(self._offsets[row]) : int(self._offsets[row + 1])])
        return Article(
            path=record["path"],
            article_id=record["article_id"],
            title=record["title"],
            meta=LooseFrontMatter.model_validate(record["meta"]),
            audience=Audience(record["audience"]),
            source=SourceText(record["source"].encode()),
            sections=tuple(
                Section(
                    tuple(item["path"]),
                    item["anchor"],
                    item["level"],
                    Span(*item["span"]),
                    tuple(Block(*block) for block in item["blocks"]),
                )
                for item in record["sections"]
            ),
        )


def article_record(article: Article) -> bytes:
    """An article as its line of `articles.jsonl`."""
    values = {
        "path": article.path,
        "article_id": article.article_id,
        "title": article.title,
        "meta": article.meta.model_dump(mode="json"),
        "audience": article.audience,
        "source": article.source.text,
        "sections": [
            {
                "path": section.heading_path,
                "anchor": section.anchor,
                "level": section.level,
                "span": _span_list(section.span),
                "blocks": [[block.kind, block.start, block.end] for block in section.blocks],
            }
            for section in article.sections
        ],
    }
    return dump_line(values)


def _span_list(span: Span) -> list[int]:
    return [span.start_line, span.end_line, span.start_byte, span.end_byte]


def _card(values: dict[str, Any]) -> ArticleCard:
    """The catalogue entry of a line of `catalog.jsonl`."""
    for name in ("products", "versions", "components", "error_codes", "tags", "related"):
        values[name] = tuple(values[name])
    values["audience"] = Audience(values["audience"])
    return ArticleCard(**values)


def dump_line(value: dict[str, Any]) -> bytes:
    """One line of JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
