"""Folders of Markdown into published index versions.

Everything is written into a `.building-*` sibling, flushed to disk, and appears under its final name by a rename;
CURRENT is replaced last. A crash at any point leaves the old version live and the finished embeddings kept.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from indexer.articles import Article, find_articles, read_article
from indexer.cache import EmbeddingCache
from indexer.chunking import Chunk, ChunkLimits, chunk_article, heading_text, strip_markup
from indexer.dense import IndexType, build_dense, choose_type
from indexer.embedding import Embedder
from indexer.errors import ArticleError, IndexBusy, IndexCorrupt, IndexMismatch, IndexNotFound, KBError
from indexer.geometry import fit_transform, raw_scales, self_similarity, transform
from indexer.history import ResolvedTickets, read_tickets, write_history
from indexer.lexical import LexicalDocument, build_lexical, product_terms
from indexer.metadata import Audience
from indexer.signatures import Signature, extract_signatures, signature_key
from indexer.snapshot import (
    CHUNKS,
    FORMAT_VERSION,
    GEOMETRY,
    HISTORY,
    LEXICAL,
    MEAN_NORMS,
    OPENINGS,
    RAW_SCALES,
    SIGNATURES,
    STATISTICS,
    VECTORS,
    WORDS,
    FileRecord,
    Manifest,
    Snapshot,
    current_version,
    file_record,
)
from indexer.store import CHUNK_DTYPE, ArticleCard, card_of, write_store
from indexer.words import ArticleText, build_words

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total) as work advances."""

_KEPT_VERSIONS = 2
"""The live version and the one before it, which a service may still be serving for a moment."""


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
    tickets: ResolvedTickets | None = None,
) -> BuildReport:
    """Index every article below `source_dir` and publish the result in `index_dir`.

    Args:
        tickets: a history to learn from in place of the one that the live version holds.

    Raises:
        NothingPublished: no article was found, or `options.strict` and a file is malformed.
        IndexBusy: another build is running on `index_dir`.
    """
    started = time.monotonic()
    options = options or BuildOptions()
    index_dir.mkdir(parents=True, exist_ok=True)
    with _lock(index_dir):
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
            tickets = tickets if tickets is not None else _history_before(index_dir, embedder)
            building = _fresh_folder(index_dir)
            progress("writing", 0, 1)
            kind = _write_version(building, chunked, cache, texts, openings, options, tickets)
            manifest = _manifest(building, embedder, kind, limits, len(articles), len(texts))
            version = _publish(index_dir, building, manifest)
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


def publish_history(index_dir: Path, embedder: Embedder, tickets: ResolvedTickets) -> tuple[str, tuple[str, ...]]:
    """Publish the live version again, with what `tickets` say in place of what was learned before.

    Returns:
        The new version's name, and the linked paths that the index does not hold.

    Raises:
        IndexNotFound, IndexCorrupt, IndexMismatch, IndexBusy.
    """
    with _lock(index_dir):
        live = Snapshot.open(index_dir)
        check_embedder(live.manifest, embedder)
        building = _fresh_folder(index_dir)
        for name in live.manifest.files:
            if not name.startswith(f"{HISTORY}/"):
                (building / name).parent.mkdir(parents=True, exist_ok=True)
                os.link(live.folder / name, building / name)
        cards = live.store.cards
        vectors = live.vectors.vectors(np.arange(len(live.chunks)))
        means = np.add.reduceat(vectors, [card.first_chunk for card in cards])
        paths = [card.path for card in cards]
        write_history(building / HISTORY, tickets, paths, means, live.geometry)
        manifest = _manifest(
            building, embedder, live.manifest.index_type, live.manifest.limits, len(cards), len(live.chunks)
        )
        version = _publish(index_dir, building, manifest)
    unknown = {path for links in tickets.links for path in links} - set(paths)
    return version, tuple(sorted(unknown))


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
    tickets: ResolvedTickets | None,
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
    if tickets is not None:
        write_history(folder / HISTORY, tickets, [card.path for card in cards], means, geometry)
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


def _fresh_folder(index_dir: Path) -> Path:
    for leftover in index_dir.glob(".building-*"):
        shutil.rmtree(leftover)
    folder = index_dir / f".building-{os.getpid()}"
    folder.mkdir()
    return folder


def _history_before(index_dir: Path, embedder: Embedder) -> ResolvedTickets | None:
    """What was learned from resolved tickets: it names articles by path, so it survives a rebuild by the same model."""
    try:
        folder = index_dir / current_version(index_dir)
        if Manifest.read(folder).fingerprint != embedder.fingerprint or not (folder / HISTORY).is_dir():
            return None
        return read_tickets(folder / HISTORY)
    except (IndexNotFound, IndexCorrupt, IndexMismatch, OSError, ValueError):
        return None


def _manifest(
    folder: Path, embedder: Embedder, kind: IndexType, limits: ChunkLimits, article_count: int, chunk_count: int
) -> Manifest:
    files: dict[str, FileRecord] = {
        path.relative_to(folder).as_posix(): file_record(path) for path in folder.rglob("*") if path.is_file()
    }
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Manifest(FORMAT_VERSION, created, embedder.fingerprint, kind, limits, article_count, chunk_count, files)


def _publish(index_dir: Path, building: Path, manifest: Manifest) -> str:
    """Flush, write the manifest last, rename, replace CURRENT, and drop versions that nobody needs any more."""
    body = json.dumps(manifest.as_dict(), indent=1).encode()
    for name in manifest.files:
        _flush(building / name)
    (building / "manifest.json").write_bytes(body)
    _flush(building / "manifest.json")
    for folder in [building, *(path for path in building.rglob("*") if path.is_dir())]:
        _flush(folder)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    version = f"{stamp}-{hashlib.sha256(body).hexdigest()[:12]}"
    building.rename(index_dir / version)
    _flush(index_dir)
    pointer = index_dir / ".CURRENT.new"
    pointer.write_text(version + "\n")
    _flush(pointer)
    pointer.replace(index_dir / "CURRENT")
    _flush(index_dir)
    versions = sorted(path for path in index_dir.iterdir() if (path / "manifest.json").is_file())
    for old in versions[:-_KEPT_VERSIONS]:
        if old.name != version:  # whose stamp is the oldest if the clock was set back
            shutil.rmtree(old)
    return version


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _lock(index_dir: Path) -> Iterator[None]:
    """Hold the index directory for one writer. The system releases it if the process dies."""
    if not index_dir.is_dir():
        raise IndexNotFound(f"no index at {index_dir}: run `kb index FOLDER --index {index_dir}` first")
    with (index_dir / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise IndexBusy(f"another `kb index` is writing to {index_dir}; wait for it to end") from error
        yield


def check_embedder(manifest: Manifest, embedder: Embedder) -> None:
    """Raises IndexMismatch unless queries embedded by `embedder` may be compared with this index."""
    built, now = manifest.fingerprint, embedder.fingerprint
    if built != now:
        raise IndexMismatch(
            f"the index was built with {built.model} ({built.precision}), the service runs {now.model} "
            f"({now.precision}): run `kb index` with the same model and precision"
        )


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
