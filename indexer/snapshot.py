"""One published version of the index: verified on opening, never modified.

DIR/CURRENT              name of the live version, replaced atomically
DIR/<utc>-<digest>/      manifest.json and the files it names, with size and SHA-256 each
DIR/embeddings.sqlite    finished vectors by content
DIR/articles.sqlite      what each article contributes, by content; only the builder touches these two
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.articles import Article
from indexer.chunking import ChunkLimits
from indexer.declared import DeclaredErrors
from indexer.dense import DenseIndex, IndexType
from indexer.embedding import Fingerprint
from indexer.errors import IndexCorrupt, IndexMismatch, IndexNotFound
from indexer.history import TicketHistory
from indexer.source import Span
from indexer.store import CHUNK_DTYPE, ArticleStore
from indexer.tokens import TOKENS, TokenTable
from indexer.words import WordIndex

FORMAT_VERSION = 4

CATALOG_FILES = ("catalog.jsonl", "articles.jsonl", "articles.idx")
CHUNKS, VECTORS, OPENINGS, GEOMETRY = "chunks.bin", "vectors.faiss", "openings.faiss", "geometry.npy"
MEAN_NORMS, RAW_SCALES, STATISTICS = "mean_norms.npy", "raw_scales.npy", "statistics.json"
SIGNATURES, WORDS = "signatures.json", "words"
HISTORY, DECISION = "history", "decision.json"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """Size and SHA-256 of one published file."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index version is made of and how it was made.

    Attributes:
        inputs: digest of everything that went in (`indexer.gathering`): equal inputs make equal versions. Empty in
            versions from before it was kept.
    """

    format_version: int
    created: str
    fingerprint: Fingerprint
    index_type: IndexType
    limits: ChunkLimits
    article_count: int
    chunk_count: int
    files: dict[str, FileRecord]
    inputs: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "format_version": self.format_version,
            "created": self.created,
            "embedder": self.fingerprint.as_dict(),
            "index_type": self.index_type,
            "chunk_limits": self.limits.as_dict(),
            "inputs": self.inputs,
            "counts": {"articles": self.article_count, "chunks": self.chunk_count},
            "files": {
                name: {"size_bytes": record.size_bytes, "sha256": record.sha256}
                for name, record in sorted(self.files.items())
            },
        }

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of the version in `folder`. Raises IndexCorrupt or IndexMismatch."""
        try:
            values = _manifest_values(folder)
            if values["format_version"] != FORMAT_VERSION:
                raise IndexMismatch(
                    f"{folder} has index format {values['format_version']}, this program reads {FORMAT_VERSION}: "
                    "run `kb index` again"
                )
            return cls(
                values["format_version"],
                values["created"],
                Fingerprint.from_dict(values["embedder"]),
                IndexType(values["index_type"]),
                ChunkLimits(**values["chunk_limits"]),
                values["counts"]["articles"],
                values["counts"]["chunks"],
                {name: FileRecord(**record) for name, record in values["files"].items()},
                values.get("inputs", ""),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IndexCorrupt(f"{folder / 'manifest.json'} cannot be read ({error}): run `kb index` again") from error


def _manifest_values(folder: Path) -> dict[str, Any]:
    """The values of the manifest in `folder`, of any format. Raises IndexCorrupt, OSError or ValueError."""
    body = (folder / "manifest.json").read_bytes()
    if hashlib.sha256(body).hexdigest()[:12] != folder.name.rpartition("-")[2]:
        raise IndexCorrupt(f"{folder}/manifest.json was changed since it was published: run `kb index` again")
    values: dict[str, Any] = json.loads(body)
    return values


@dataclass(frozen=True, slots=True)
class Origin:
    """What a version of this format or an older one tells the build that replaces it.

    Attributes:
        fingerprint: what embedded it.
        has_learned: whether it holds resolved tickets or a calibrated decision.
    """

    fingerprint: Fingerprint
    has_learned: bool


def is_learned(name: str) -> bool:
    """Whether a version's file of this name holds what a team taught the index, and not what its articles say."""
    return name == DECISION or name.startswith(f"{HISTORY}/")


def current_version(index_dir: Path) -> str:
    """Name of the live version below `index_dir`. Raises IndexNotFound."""
    try:
        name = (index_dir / "CURRENT").read_bytes().decode("ascii", "replace").strip()
    except OSError as error:
        raise IndexNotFound(f"no index at {index_dir}: run `kb index FOLDER --index {index_dir}` first") from error
    if not name or name != Path(name).name or not (index_dir / name).is_dir():
        raise IndexCorrupt(f"{index_dir / 'CURRENT'} names no version: run `kb index` again")
    return name


def live_origin(index_dir: Path) -> Origin | None:
    """Of the live version; None without one. Raises IndexCorrupt if it cannot be told."""
    try:
        folder = index_dir / current_version(index_dir)
    except IndexNotFound:
        return None
    try:
        values = _manifest_values(folder)
        return Origin(Fingerprint.from_dict(values["embedder"]), any(map(is_learned, values["files"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexCorrupt(f"{folder / 'manifest.json'} cannot be read ({error}): run `kb index` again") from error


class Snapshot:
    """An opened index version.

    Attributes:
        name: the version's name; part of every cache key.
        folder: its directory.
        store: catalogue and articles.
        chunks: structured array of `CHUNK_DTYPE`, one row a chunk.
        vectors, openings: FAISS over chunks, and over each article's title and summary (row = article row).
        geometry: the (d, d) map that stored vectors went through and query vectors have to (`indexer.geometry`).
        mean_norms: length of the mean of each article's chunk vectors, shape (articles,).
        raw_scales: factor of each chunk for cosines before the map, shape (chunks,); see `transform_with_scales`.
        self_similarity: how much alike the articles are; see `geometry.self_similarity`.
        tokens: what articles say token by token; None in versions from before that was kept.
        words: BM25F over articles.
        history: what resolved tickets say, where the index has learned from some.
        decision: a calibrated decision model as JSON values, where a team calibrated one; only the service reads it.
        signatures: signature text to the rows of the articles that hold it.
        declared: finds in a text the errors that articles name in their front matter.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.name = folder.name
        self.manifest = manifest
        self.store = ArticleStore(folder)
        self.chunks = np.memmap(folder / CHUNKS, CHUNK_DTYPE, "r") if manifest.chunk_count else np.empty(0, CHUNK_DTYPE)
        self.vectors = DenseIndex(folder / VECTORS)
        self.openings = DenseIndex(folder / OPENINGS)
        self.geometry: NDArray[np.float32] = np.load(folder / GEOMETRY, allow_pickle=False)
        self.mean_norms: NDArray[np.float32] = np.load(folder / MEAN_NORMS, allow_pickle=False)
        self.raw_scales: NDArray[np.float32] = np.asarray(
            np.load(folder / RAW_SCALES, mmap_mode="r", allow_pickle=False)
        )
        self.self_similarity = float(json.loads((folder / STATISTICS).read_bytes())["self_similarity"])
        self.tokens = TokenTable(folder, manifest.fingerprint.dimensions) if (folder / TOKENS).is_file() else None
        self.words = WordIndex(folder / WORDS, manifest.article_count)
        paths = [card.path for card in self.store.cards]
        self.history = TicketHistory(folder / HISTORY, paths) if (folder / HISTORY).is_dir() else None
        decision = folder / DECISION
        self.decision: dict[str, Any] | None = json.loads(decision.read_bytes()) if decision.is_file() else None
        self.signatures: dict[str, list[int]] = json.loads((folder / SIGNATURES).read_bytes())
        self.declared = DeclaredErrors(self.signatures)
        counts = (len(self.store.cards), len(self.chunks), len(self.vectors), len(self.openings))
        if counts != (manifest.article_count, manifest.chunk_count, manifest.chunk_count, manifest.article_count):
            raise IndexCorrupt(f"{folder}: files and manifest disagree on counts; run `kb index` again")
        if self.tokens is not None and len(self.tokens) != manifest.chunk_count:
            raise IndexCorrupt(f"{folder / TOKENS} is of {len(self.tokens)} chunks; run `kb index` again")

    @classmethod
    def open(cls, index_dir: Path) -> Snapshot:
        """Open the live version after comparing every file's size and SHA-256 with the manifest.

        Raises:
            IndexNotFound: nothing is published there.
            IndexCorrupt: a file is missing, altered or extra.
            IndexMismatch: another format version.
        """
        folder = index_dir / current_version(index_dir)
        manifest = Manifest.read(folder)
        check_files(folder, manifest)
        return cls(folder, manifest)

    def with_history(self, history: TicketHistory | None) -> Snapshot:
        """This version as it would answer with another history; everything else is shared."""
        other = copy.copy(self)
        other.history = history
        return other

    def article(self, row: int) -> Article:
        """The article at `row`, read on demand and kept for a while."""
        return self.store.article(row)

    def chunk_span(self, chunk: int) -> Span:
        """Where the chunk stands in its article's source."""
        record = self.chunks[chunk]
        return Span(
            int(record["start_line"]), int(record["end_line"]), int(record["start_byte"]), int(record["end_byte"])
        )


def check_files(folder: Path, manifest: Manifest, concerns: Callable[[str], bool] = lambda name: True) -> None:
    """Compare the version's files with its manifest, or only those whose names it `concerns`.

    Raises:
        IndexCorrupt: naming the first that differs.
    """
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    if odd := sorted(filter(concerns, (present - {"manifest.json"}) ^ manifest.files.keys())):
        what = "is missing" if odd[0] in manifest.files else "does not belong here"
        raise IndexCorrupt(f"{folder / odd[0]} {what}: run `kb index` again")
    for name, record in manifest.files.items():
        if concerns(name) and file_record(folder / name) != record:
            raise IndexCorrupt(f"{folder / name} was changed since it was published: run `kb index` again")


def file_record(path: Path) -> FileRecord:
    """Size and SHA-256 of a file as it is now."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileRecord(os.fstat(file.fileno()).st_size, digest)
