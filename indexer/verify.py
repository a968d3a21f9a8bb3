"""Does a published index say what it should? Its files are compared with the manifest, articles and catalogue with what
the stored sources give again, and positions with the text that they stand in. Vectors and words are not made again.

Unlike `Snapshot.open`, which stops at the first fault, this collects all of them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from indexer.articles import Article, find_articles, parse_article, read_article
from indexer.errors import ArticleError, IndexCorrupt, IndexMismatch
from indexer.snapshot import Manifest, Snapshot, current_version, file_record
from indexer.source import Span
from indexer.store import ArticleCard, card_of

_LINE_END = re.compile(rb"\r\n|\r|\n")
_VECTORS_PER_READ = 8192


@dataclass(frozen=True, slots=True)
class Problem:
    """One difference. `where` is a file of the index, an article's path, or a chunk as `path#chunk N`."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at, and every problem found.

    Attributes:
        version: the live version's name; None if CURRENT is not readable.
        files, articles, chunks: how many of each were checked.
    """

    version: str | None
    files: int
    articles: int
    chunks: int
    problems: tuple[Problem, ...]

    @property
    def sound(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "version": self.version,
            "sound": self.sound,
            "checked": {"files": self.files, "articles": self.articles, "chunks": self.chunks},
            "problems": [asdict(problem) for problem in self.problems],
        }


def verify_index(index_dir: Path, source_dir: Path | None = None) -> Verification:
    """Check the live version below `index_dir`, and against the articles in `source_dir` if that is given.

    Raises:
        IndexNotFound: nothing is published there.
    """
    try:
        version = current_version(index_dir)
    except IndexCorrupt as error:
        return Verification(None, 0, 0, 0, (Problem("CURRENT", str(error)),))
    folder = index_dir / version
    try:
        manifest = Manifest.read(folder)
    except (IndexCorrupt, IndexMismatch) as error:
        return Verification(version, 0, 0, 0, (Problem("manifest.json", str(error)),))
    problems = list(_check_files(folder, manifest))
    try:
        snapshot = Snapshot(folder, manifest)
    except (IndexCorrupt, OSError, ValueError, KeyError, TypeError) as error:
        problems.append(Problem(version, f"cannot be opened: {error}"))
        return Verification(version, len(manifest.files), 0, 0, tuple(problems))
    problems += _check_vectors(snapshot)
    problems += _check_signatures(snapshot)
    problems += _check_articles(snapshot)
    if source_dir is not None:
        problems += _compare_source(snapshot, source_dir)
    return Verification(
        version, len(manifest.files), len(snapshot.store.cards), len(snapshot.chunks), tuple(dict.fromkeys(problems))
    )


def _check_files(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {"manifest.json"}
    for name in sorted(present - manifest.files.keys()):
        yield Problem(name, "is not in the manifest")
    for name, expected in sorted(manifest.files.items()):
        if name not in present:
            yield Problem(name, "is missing")
            continue
        actual = file_record(folder / name)
        if actual.size_bytes != expected.size_bytes:
            yield Problem(name, f"has {actual.size_bytes} bytes, published with {expected.size_bytes}")
        elif actual.sha256 != expected.sha256:
            yield Problem(name, f"has sha256 {actual.sha256}, published with {expected.sha256}")


def _check_vectors(snapshot: Snapshot) -> Iterator[Problem]:
    for name, vectors in (("chunk", snapshot.vectors), ("opening", snapshot.openings)):
        for start in range(0, len(vectors), _VECTORS_PER_READ):
            rows = np.arange(start, min(start + _VECTORS_PER_READ, len(vectors)))
            lengths = np.linalg.norm(vectors.vectors(rows), axis=1)
            for row in rows[~(np.abs(lengths - 1.0) < 0.02)]:
                yield Problem(f"{name} vector {row}", f"has length {lengths[row - start]:.4f}, not 1")


def _check_signatures(snapshot: Snapshot) -> Iterator[Problem]:
    count = len(snapshot.store.cards)
    for signature, rows in snapshot.signatures.items():
        if wrong := [row for row in rows if not 0 <= row < count]:
            yield Problem("signatures.json", f"{signature!r} names article {wrong[0]} of {count}")


def _check_articles(snapshot: Snapshot) -> Iterator[Problem]:
    expected_first = 0
    for card in snapshot.store.cards:
        if card.first_chunk != expected_first:
            yield Problem(card.path, f"its chunks begin at {card.first_chunk}, expected {expected_first}")
        expected_first = card.first_chunk + card.chunk_count
        try:
            article = snapshot.article(card.row)
        except (ValueError, KeyError, TypeError) as error:
            yield Problem(card.path, f"its stored record cannot be read: {error}")
            continue
        yield from _check_article(article, card)
        yield from _check_chunks(snapshot, article, card)
    if expected_first != len(snapshot.chunks):
        yield Problem("chunks.bin", f"holds {len(snapshot.chunks)} chunks, the articles have {expected_first}")


def _check_article(article: Article, card: ArticleCard) -> Iterator[Problem]:
    if article.version != card.version:
        yield Problem(card.path, f"version {card.version} is not the sha256 of its source, {article.version}")
    try:
        parsed = parse_article(card.path, article.source.data, card.audience)
    except ArticleError as error:
        yield Problem(card.path, f"its stored source is malformed: {error.reason}")
        return
    if parsed.sections != article.sections:
        yield Problem(card.path, "its stored sections differ from those of its source")
    derived = card_of(parsed, card.row, card.first_chunk, card.chunk_count)
    for name in ArticleCard.__slots__:
        if name != "version" and getattr(derived, name) != getattr(card, name):
            yield Problem(
                card.path, f"catalogue says {name} {getattr(card, name)!r}, source {getattr(derived, name)!r}"
            )


def _check_chunks(snapshot: Snapshot, article: Article, card: ArticleCard) -> Iterator[Problem]:
    data = article.source.data
    starts = [0, *(match.end() for match in _LINE_END.finditer(data))]
    previous_end = 0
    for number in range(card.first_chunk, min(card.first_chunk + card.chunk_count, len(snapshot.chunks))):
        where = f"{card.path}#chunk {number}"
        record = snapshot.chunks[number]
        if int(record["article"]) != card.row:
            yield Problem(where, f"belongs to article {int(record['article'])}, not {card.row}")
            continue
        if int(record["section"]) >= len(article.sections):
            yield Problem(where, f"names section {int(record['section'])} of {len(article.sections)}")
            continue
        span = snapshot.chunk_span(number)
        yield from (Problem(where, what) for what in _span_faults(span, data, starts))
        section = article.sections[int(record["section"])].span
        if span.start_byte < section.start_byte or span.end_byte > section.end_byte:
            yield Problem(where, f"bytes {_bytes(span)} leave its section at {_bytes(section)}")
        if span.start_byte < previous_end:
            yield Problem(where, f"bytes {_bytes(span)} overlap the chunk before")
        previous_end = span.end_byte


def _span_faults(span: Span, data: bytes, starts: list[int]) -> Iterator[str]:
    if not 0 <= span.start_byte < span.end_byte <= len(data):
        yield f"bytes {_bytes(span)} are not inside a file of {len(data)} bytes"
        return
    try:
        data[span.start_byte : span.end_byte].decode("utf-8")
    except UnicodeDecodeError:
        yield f"bytes {_bytes(span)} cut a character"
    lines = (bisect_right(starts, span.start_byte), bisect_right(starts, span.end_byte - 1))
    if lines != (span.start_line, span.end_line):
        yield f"lines {span.start_line}-{span.end_line} are not those of bytes {_bytes(span)}: {lines[0]}-{lines[1]}"


def _bytes(span: Span) -> str:
    return f"{span.start_byte}:{span.end_byte}"


def _compare_source(snapshot: Snapshot, source_dir: Path) -> Iterator[Problem]:
    indexed = {card.path: card for card in snapshot.store.cards}
    found: set[str] = set()
    by_id: dict[str, str] = {}
    for file in find_articles(source_dir):
        path = file.relative_to(source_dir).as_posix()
        found.add(path)
        try:
            article = read_article(source_dir, file)
        except ArticleError as error:
            yield Problem(error.path, f"is malformed in {source_dir} (line {error.line}: {error.reason})")
            continue
        first = by_id.setdefault(article.article_id, path)
        if first != path:
            yield Problem(path, f"has the same id {article.article_id} as {first}; give it one of its own")
        elif path not in indexed:
            yield Problem(path, f"is in {source_dir}, not in the index; run `kb index`")
        elif article.version != indexed[path].version:
            yield Problem(path, f"was changed in {source_dir} since it was indexed; run `kb index`")
    for path in sorted(indexed.keys() - found):
        yield Problem(path, f"is in the index, not in {source_dir}; run `kb index`")
