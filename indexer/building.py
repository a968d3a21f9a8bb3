"""Folders of Markdown into published index versions.

Everything is written into a `.building-*` sibling, flushed to disk, and appears under its final name by a rename;
CURRENT is replaced last. A crash at any point leaves the old version live and the finished embeddings kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from indexer.articles import Article, find_articles, read_article
from indexer.cache import EmbeddingCache
from indexer.chunking import Chunk, ChunkLimits, chunk_article, heading_text, strip_markup
from indexer.dense import IndexType, build_dense, choose_type
from indexer.embedding import Embedder
from indexer.errors import ArticleError, IndexCorrupt, IndexNotFound, KBError
from indexer.geometry import fit_transform, raw_scales, self_similarity, transform
from indexer.lexical import LexicalDocument, build_lexical, product_terms
from indexer.metadata import Audience
from indexer.publishing import Learned, fresh_folder, lock_index, make_manifest, publish, read_learned, write_learned
from indexer.signatures import Signature, extract_signatures, signature_key
from indexer.snapshot import (
    CHUNKS,
    GEOMETRY,
    LEXICAL,
    MEAN_NORMS,
    OPENINGS,
    RAW_SCALES,
    SIGNATURES,
    STATISTICS,
    VECTORS,
    WORDS,
    current_version,
)
from indexer.store import CHUNK_DTYPE, ArticleCard, card_of, write_store
from indexer.words import ArticleText, build_words

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total) as work advances."""


class NothingPublished(KBError):
    """`strict` was asked for and files were malformed, or no article was found."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How to build.

    Attributes:
        default_audience: audience of articles that name none.
        strict: publish nothing if any file is malformed.
    """

    default_audience: Audience = Audience.INTERNAL
    strict: bool = False
    index_type: IndexType = IndexType.AUTO
    limits: ChunkLimits = field(default_factory=ChunkLimits)


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    Attributes:
        version: the published version; the old one's name if nothing had changed.
        published: whether a new version went live.
        added, changed, removed: paths, against the version before.
        errors: one for each malformed file, which is not in the index.
        embedded, reused: vectors computed now, and taken over by content.
    """

    version: str
    published: bool
    article_count: int
    chunk_count: int
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    errors: tuple[ArticleError, ...]
    embedded: int
    reused: int
    duration_s: float


def build_index(
    source_dir: Path,
    index_dir: Path,
    embedder: Embedder,
    options: BuildOptions | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> BuildReport:
    """Index every article below `source_dir` and publish the result in `index_dir`.

    Raises:
        NothingPublished: no article was found, or `options.strict` and a file is malformed.
        IndexBusy: another build is running on `index_dir`.
    """
    started = time.monotonic()
    options = options or BuildOptions()
    index_dir.mkdir(parents=True, exist_ok=True)
    with lock_index(index_dir):
        articles, errors = _read_all(source_dir, options.default_audience, progress)
        if options.strict and errors:
            raise NothingPublished(
                "nothing published, because --strict was given:\n" + "\n".join(f"  {error}" for error in errors)
            )
        if not articles:
            faults = "".join(f"\n  {error}" for error in errors)
            raise NothingPublished(f"no article that can be read in {source_dir}; nothing published{faults}")
        limits = _fit_limits(options.limits, embedder)
        chunked = [(article, chunk_article(article, limits, embedder.count_tokens)) for article in articles]
        cache = EmbeddingCache(index_dir / "embeddings.sqlite", embedder.fingerprint)
        try:
            texts = [chunk.embedding_text for _, chunks in chunked for chunk in chunks]
            openings = [opening_text(article) for article in articles]
            embedded = _embed(cache, embedder, [*texts, *openings], progress)
            before = _cards_before(index_dir)
            learned = read_learned(index_dir, embedder)
            building = fresh_folder(index_dir)
            progress("writing", 0, 1)
            kind = _write_version(building, chunked, cache, texts, openings, options, learned)
            manifest = make_manifest(building, embedder, kind, limits, len(articles), len(texts))
            version = publish(index_dir, building, manifest)
            cache.keep_only(cache.key(text) for text in [*texts, *openings])
            progress("writing", 1, 1)
        finally:
            cache.close()
    now = {article.path: article.version for article in articles}
    return BuildReport(
        version=version,
        published=True,
        article_count=len(articles),
        chunk_count=len(texts),
        added=tuple(sorted(now.keys() - before.keys())),
        changed=tuple(sorted(path for path in now.keys() & before.keys() if now[path] != before[path])),
        removed=tuple(sorted(before.keys() - now.keys())),
        errors=tuple(errors),
        embedded=embedded,
        reused=len(set(texts) | set(openings)) - embedded,
        duration_s=time.monotonic() - started,
    )


def _read_all(
    source_dir: Path, default_audience: Audience, progress: Progress
) -> tuple[list[Article], list[ArticleError]]:
    files = find_articles(source_dir)
    articles: list[Article] = []
    errors: list[ArticleError] = []
    ids: dict[str, str] = {}
    for number, file in enumerate(files, start=1):
        try:
            article = read_article(source_dir, file, default_audience)
            if article.article_id in ids:
                raise ArticleError(
                    article.path, 1, f"has the same id {article.article_id} as {ids[article.article_id]}"
                )
        except ArticleError as error:
            errors.append(error)
        else:
            ids[article.article_id] = article.path
            articles.append(article)
        progress("reading", number, len(files))
    return articles, errors


def _fit_limits(limits: ChunkLimits, embedder: Embedder) -> ChunkLimits:
    most = min(limits.max_tokens, embedder.fingerprint.max_tokens)
    return ChunkLimits(most, min(limits.target_tokens, most))


def _embed(cache: EmbeddingCache, embedder: Embedder, texts: list[str], progress: Progress) -> int:
    by_key = {cache.key(text): text for text in texts}
    missing = cache.missing(list(by_key))
    todo = [text for key, text in by_key.items() if key in missing]
    for done in cache.fill(embedder, todo):
        progress("embedding", done, len(todo))
    return len(todo)


def _write_version(
    folder: Path,
    chunked: list[tuple[Article, list[Chunk]]],
    cache: EmbeddingCache,
    texts: list[str],
    openings: list[str],
    options: BuildOptions,
    learned: Learned,
) -> IndexType:
    cards: list[ArticleCard] = []
    rows: list[tuple[int, ...]] = []
    for row, (article, chunks) in enumerate(chunked):
        cards.append(card_of(article, row, len(rows), len(chunks)))
        for chunk in chunks:
            span = chunk.span
            rows.append((row, chunk.section, span.start_line, span.end_line, span.start_byte, span.end_byte))
    write_store(folder, ((article, card) for (article, _), card in zip(chunked, cards, strict=True)))
    np.array(rows, CHUNK_DTYPE).tofile(folder / CHUNKS)
    raw = cache.read([cache.key(text) for text in texts])
    geometry = fit_transform(raw)
    vectors = transform(raw, geometry)
    means = np.add.reduceat(vectors, [card.first_chunk for card in cards])
    means /= np.array([[card.chunk_count] for card in cards], np.float32)
    norms = np.linalg.norm(means, axis=1)
    heads = transform(cache.read([cache.key(text) for text in openings]), geometry)
    np.save(folder / GEOMETRY, geometry)
    np.save(folder / MEAN_NORMS, norms.astype(np.float32))
    np.save(folder / RAW_SCALES, raw_scales(raw, vectors, geometry))
    (folder / STATISTICS).write_text(json.dumps({"self_similarity": self_similarity(heads, means)}))
    kind = choose_type(options.index_type, len(texts))
    build_dense(folder / VECTORS, vectors, kind)
    build_dense(folder / OPENINGS, heads, IndexType.FLAT)
    write_learned(folder, learned, [card.path for card in cards], means, geometry)
    build_lexical(folder / LEXICAL, _chunk_documents(chunked))
    build_words(folder / WORDS, (_article_text(article) for article, _ in chunked))
    (folder / SIGNATURES).write_text(json.dumps(_signature_table(chunked), sort_keys=True, ensure_ascii=False))
    return kind


def opening_text(article: Article) -> str:
    """Title and summary, or title and first paragraph: what an article says it is about."""
    summary = article.summary
    if not summary:
        first = next((block for section in article.sections for block in section.blocks), None)
        summary = strip_markup(article.source.text[first.start : first.end]) if first else ""
    return f"{article.title}. {summary}"


def _chunk_documents(chunked: list[tuple[Article, list[Chunk]]]) -> Iterator[LexicalDocument]:
    row = 0
    for article, chunks in chunked:
        for chunk in chunks:
            section = article.sections[chunk.section]
            yield LexicalDocument(
                row,
                article.title,
                heading_text(section.heading_path[1:]),
                strip_markup(article.source.slice(chunk.span)),
                article.audience,
                product_terms(article.meta.products),
            )
            row += 1


def _article_text(article: Article) -> ArticleText:
    meta = article.meta
    return ArticleText(
        article.title,
        "\n".join(dict.fromkeys(name for section in article.sections for name in section.heading_path[1:])),
        "\n".join([meta.summary, *meta.tags, *meta.components, *meta.error_codes]),
        _body_of(article),
    )


def _body_of(article: Article) -> str:
    return "\n".join(
        strip_markup(article.source.text[block.start : block.end])
        for section in article.sections
        for block in section.blocks
    )


def _signature_table(chunked: list[tuple[Article, list[Chunk]]]) -> dict[str, list[int]]:
    table: dict[str, list[int]] = {}
    for row, (article, _) in enumerate(chunked):
        text = "\n".join([article.title, *article.meta.error_codes, _body_of(article)])
        for signature in extract_signatures(text) | _declared(article):
            table.setdefault(signature_key(signature), []).append(row)
    return table


def _declared(article: Article) -> frozenset[Signature]:
    """What `error_codes` names: a bare status number there is one, though in prose it would be any number."""
    codes = [f"HTTP {code}" if code.isdigit() and len(code) == 3 else code for code in article.meta.error_codes]
    return extract_signatures("\n".join(codes))


def _cards_before(index_dir: Path) -> dict[str, str]:
    """Paths and versions of the live index's articles; empty without one."""
    try:
        catalog = index_dir / current_version(index_dir) / "catalog.jsonl"
        records = [json.loads(line) for line in catalog.read_text().splitlines()]
        return {record["path"]: record["version"] for record in records}
    except (IndexNotFound, IndexCorrupt, OSError, ValueError, KeyError):
        return {}


def describe(report: BuildReport) -> dict[str, Any]:
    """The report as JSON-ready values."""
    return {
        "version": report.version,
        "published": report.published,
        "articles": report.article_count,
        "chunks": report.chunk_count,
        "added": report.added,
        "changed": report.changed,
        "removed": report.removed,
        "errors": [{"path": e.path, "line": e.line, "reason": e.reason} for e in report.errors],
        "embedded": report.embedded,
        "reused": report.reused,
        "duration_s": round(report.duration_s, 3),
    }
