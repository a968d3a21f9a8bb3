"""Folders of Markdown into published index versions.

Everything is written into a `.building-*` sibling, flushed to disk, and appears under its final name by a rename;
CURRENT is replaced last. A crash at any point leaves the old version live, and what was worked out kept. Where nothing
changed, nothing is published.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from indexer.cache import EmbeddingCache
from indexer.chunking import ChunkLimits
from indexer.dense import IndexType, choose_type
from indexer.embedding import Embedder, Vectors
from indexer.errors import ArticleError, IndexCorrupt, IndexMismatch, IndexNotFound, KBError
from indexer.gathering import (
    ArticleCache,
    Entry,
    Gathered,
    Progress,
    Recipe,
    digest_inputs,
    gather_articles,
    read_sources,
)
from indexer.keeping import LastGood, keep_nothing
from indexer.metadata import Audience
from indexer.publishing import Learned, build_folder, lock_index, make_manifest, publish, read_learned
from indexer.snapshot import Manifest, check_files, current_version
from indexer.tokens import write_tokens
from indexer.writing import write_texts, write_vectors

_ARTICLES_AT_A_TIME = 64


class NothingPublished(KBError):
    """`strict` was asked for and something would be left out, or no article was found."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How to build.

    Attributes:
        default_audience: audience of articles that name none.
        strict: publish nothing if any file is malformed, or what was learned is damaged.
        keep_last_good: of a file that is malformed, keep what the live version holds, where that may stay
            (`indexer.keeping`).
    """

    default_audience: Audience = Audience.INTERNAL
    strict: bool = False
    keep_last_good: bool = False
    index_type: IndexType = IndexType.AUTO
    limits: ChunkLimits = field(default_factory=ChunkLimits)


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did.

    Attributes:
        version: the published version; the old one's name if nothing had changed.
        published: whether a new version went live.
        added, changed, removed: paths, against the version before.
        errors: one for each malformed file, which is not in the index, or as it was before if it is among `kept`.
        kept: paths of malformed files whose last good version stays in the index.
        embedded, reused: vectors computed now, and taken over by content.
        model, precision: what embeds.
        learning_lost: why the new version does not know what the one before had learned; empty if nothing was lost.
    """

    version: str
    published: bool
    article_count: int
    chunk_count: int
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    errors: tuple[ArticleError, ...]
    kept: tuple[str, ...]
    embedded: int
    reused: int
    duration_s: float
    model: str
    precision: str
    learning_lost: str = ""


def build_index(
    source_dir: Path,
    index_dir: Path,
    embedder: Embedder,
    options: BuildOptions | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> BuildReport:
    """Index every article below `source_dir` and publish the result in `index_dir`.

    Raises:
        NothingPublished: no article was found, or `options.strict` and something would be left out.
        IndexBusy: another build is running on `index_dir`.
        IndexUnwritable: the system refuses to write there.
        InputError: a folder below `source_dir` cannot be read.
    """
    started = time.monotonic()
    options = options or BuildOptions()
    with lock_index(index_dir, make=True):
        recipe = Recipe(embedder.fingerprint, _fit_limits(options.limits, embedder), options.default_audience)
        sources = read_sources(source_dir, recipe)
        live = _sound_version(index_dir, digest_inputs([source.key for source in sources]), options.index_type)
        if live and live.article_count == len(sources):  # so no file is left out, and there are no errors to tell of
            return _unchanged(current_version(index_dir), live, None, started)
        embeddings = EmbeddingCache(index_dir / "embeddings.sqlite", embedder.fingerprint)
        kept = ArticleCache(index_dir / "articles.sqlite")
        try:
            keep = LastGood(index_dir, options.default_audience) if options.keep_last_good else keep_nothing
            gathered = gather_articles(
                source_dir, sources, recipe, embedder.count_tokens, embeddings.key, kept, progress, keep
            )
            live = live or _sound_version(index_dir, gathered.inputs, options.index_type)
            _check_gathered(source_dir, gathered, options.strict)
            if live and live.inputs == gathered.inputs:
                return _unchanged(current_version(index_dir), live, gathered, started)
            learned, lost = _carry_over(index_dir, embedder, options.strict)
            before = _cards_before(index_dir)
            version, embedded = _publish_version(
                index_dir, gathered, embedder, embeddings, kept, learned, options, progress
            )
        finally:
            embeddings.close()
            kept.close()
    now = {entry.path: entry.version for entry in gathered.entries}
    return BuildReport(
        version=version,
        published=True,
        article_count=len(now),
        chunk_count=sum(len(entry.vector_keys) - 1 for entry in gathered.entries),
        added=tuple(sorted(now.keys() - before.keys())),
        changed=tuple(sorted(path for path in now.keys() & before.keys() if now[path] != before[path])),
        removed=tuple(sorted(before.keys() - now.keys())),
        errors=tuple(gathered.errors),
        kept=tuple(sorted(gathered.kept)),
        embedded=embedded,
        reused=len({key for entry in gathered.entries for key in entry.vector_keys}) - embedded,
        duration_s=time.monotonic() - started,
        model=embedder.fingerprint.model,
        precision=embedder.fingerprint.precision,
        learning_lost=lost,
    )


def _fit_limits(limits: ChunkLimits, embedder: Embedder) -> ChunkLimits:
    prompt = embedder.fingerprint.document_prompt
    taken = embedder.count_tokens([prompt])[0] if prompt else 0
    most = min(limits.max_tokens, embedder.fingerprint.max_tokens - taken)
    return ChunkLimits(most, min(limits.target_tokens, most))


def _sound_version(index_dir: Path, inputs: str, kind: IndexType) -> Manifest | None:
    """The live version's manifest, if it was made from `inputs` and every file of it is as it was published."""
    try:
        folder = index_dir / current_version(index_dir)
        manifest = Manifest.read(folder)
        if manifest.inputs != inputs or choose_type(kind, manifest.chunk_count) is not manifest.index_type:
            return None
        check_files(folder, manifest)
    except (IndexNotFound, IndexCorrupt, IndexMismatch, OSError):
        return None
    return manifest


def _unchanged(version: str, live: Manifest, gathered: Gathered | None, started: float) -> BuildReport:
    return BuildReport(
        version=version,
        published=False,
        article_count=live.article_count,
        chunk_count=live.chunk_count,
        added=(),
        changed=(),
        removed=(),
        errors=tuple(gathered.errors) if gathered else (),
        kept=tuple(sorted(gathered.kept)) if gathered else (),
        embedded=0,
        reused=0,
        duration_s=time.monotonic() - started,
        model=live.fingerprint.model,
        precision=live.fingerprint.precision,
    )


def _check_gathered(source_dir: Path, gathered: Gathered, strict: bool) -> None:
    faults = "".join(f"\n  {error}" for error in gathered.errors)
    if strict and faults:
        raise NothingPublished(f"nothing published, because --strict was given:{faults}")
    if not gathered.entries:
        raise NothingPublished(f"no article that can be read in {source_dir}; nothing published{faults}")


def _carry_over(index_dir: Path, embedder: Embedder, strict: bool) -> tuple[Learned, str]:
    """What the live version has learned, and why that is lost if it is: a damaged index can be built again."""
    try:
        return read_learned(index_dir, embedder), ""
    except (IndexCorrupt, IndexMismatch) as error:
        reason = str(error).removesuffix(": run `kb index` again")
        if strict:
            raise NothingPublished(
                f"nothing published, because --strict was given and what the index learned would be lost: {reason}"
            ) from error
        return Learned(), reason


def _publish_version(
    index_dir: Path,
    gathered: Gathered,
    embedder: Embedder,
    embeddings: EmbeddingCache,
    kept: ArticleCache,
    learned: Learned,
    options: BuildOptions,
    progress: Progress,
) -> tuple[str, int]:
    """Embed what is new, write a version and publish it. Returns its name, and how many texts were embedded."""
    entries = gathered.entries
    chunks, openings, embedded = _embed(embeddings, embedder, entries, kept, progress)
    steps = len(entries) + 1  # the last is publishing
    kind = choose_type(options.index_type, len(chunks))
    paths = [entry.path for entry in entries]
    count, counts = len(chunks), [len(entry.vector_keys) - 1 for entry in entries]
    with build_folder(index_dir) as building:
        progress("writing", 0, steps)
        write_vectors(building, chunks, openings, paths, counts, kind, learned)
        del chunks, openings
        write_tokens(building, map(embeddings.read_signs, _chunk_keys(entries)))
        write_texts(building, kept.read(entries), lambda done: progress("writing", done, steps))
        embeddings.keep_only(key for entry in entries for key in entry.vector_keys)
        kept.keep_only(entries)  # before it goes live: an error means that nothing was published
        limits = _fit_limits(options.limits, embedder)
        manifest = make_manifest(building, embedder, kind, limits, len(entries), count, gathered.inputs)
        version = publish(index_dir, building, manifest)
    progress("writing", steps, steps)
    return version, embedded


def _chunk_keys(entries: Sequence[Entry]) -> Iterator[list[bytes]]:
    """Where the cache has the chunks of all articles, in their order, of some articles at a time."""
    for start in range(0, len(entries), _ARTICLES_AT_A_TIME):
        part = entries[start : start + _ARTICLES_AT_A_TIME]
        yield [key for entry in part for key in entry.vector_keys[:-1]]


def _embed(
    cache: EmbeddingCache, embedder: Embedder, entries: Sequence[Entry], kept: ArticleCache, progress: Progress
) -> tuple[Vectors, Vectors, int]:
    """The vectors of all chunks and of all openings, and how many of them were not to be had from `cache`."""
    wanted = [
        [key for entry in entries for key in entry.vector_keys[:-1]],
        [entry.vector_keys[-1] for entry in entries],
    ]
    dimensions = embedder.fingerprint.dimensions
    found = [np.empty((len(keys), dimensions), np.float32) for keys in wanted]
    missing = [cache.read_into(out, keys) for out, keys in zip(found, wanted, strict=True)]
    absent = {key for rows in missing for key in rows}
    if absent:
        touched = [entry for entry in entries if not absent.isdisjoint(entry.vector_keys)]
        texts: dict[bytes, str] = {}
        for entry, item in zip(touched, kept.read(touched), strict=True):
            texts.update(pair for pair in zip(entry.vector_keys, item.texts, strict=True) if pair[0] in absent)
        for done in cache.fill(embedder, list(texts.values())):
            progress("embedding", done, len(texts))
        for out, rows in zip(found, missing, strict=True):
            for places, vector in zip(rows.values(), cache.read(list(rows)), strict=True):
                out[places] = vector
    chunks, openings = found
    return chunks, openings, len(absent)


def _cards_before(index_dir: Path) -> dict[str, str]:
    """Paths and versions of the live index's articles; empty without one."""
    try:
        with (index_dir / current_version(index_dir) / "catalog.jsonl").open("rb") as file:
            records = [json.loads(line) for line in file]
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
        "kept": report.kept,
        "embedded": report.embedded,
        "reused": report.reused,
        "duration_s": round(report.duration_s, 3),
        "model": report.model,
        "precision": report.precision,
        "learning_lost": report.learning_lost,
    }
