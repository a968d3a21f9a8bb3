"""Finished embeddings, kept by content: a rebuild embeds what is new, and a crash loses no finished batch."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from indexer.embedding import Embedder, Fingerprint, Vectors
from indexer.errors import IndexCorrupt

_BATCH = 256
"""Texts embedded between two commits: what a crash can cost, and what progress moves by."""


class EmbeddingCache:
    """A SQLite file of vectors by SHA-256 of fingerprint and text, each with its CRC-32.

    One writer at a time, which the index lock ensures. A damaged file is begun again, and a damaged vector counts as
    missing: all of it can be had from the texts.
    """

    def __init__(self, file: Path, fingerprint: Fingerprint) -> None:
        self._salt = json.dumps(fingerprint.as_dict(), sort_keys=True).encode()
        self._dimensions = fingerprint.dimensions
        connection = _open_sound(file)
        if connection is None:
            for leftover in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
                leftover.unlink(missing_ok=True)
            connection = _open_sound(file)
        if connection is None:
            raise IndexCorrupt(f"{file} cannot be written; check the disk, remove the file and run `kb index` again")
        self._connection = connection

    def close(self) -> None:
        self._connection.close()

    def key(self, text: str) -> bytes:
        """The cache key of `text` under this fingerprint: 32 bytes."""
        return hashlib.sha256(self._salt + b"\0" + text.encode()).digest()

    def missing(self, keys: Sequence[bytes]) -> set[bytes]:
        """Those of `keys` that have no vector yet."""
        return set(keys) - {
            key for part in _parts(keys, 500) for key, value in self._rows(part) if _is_sound(value, self._dimensions)
        }

    def fill(self, embedder: Embedder, texts: Sequence[str]) -> Iterator[int]:
        """Embed `texts` and keep them, committing batch by batch. Yields the number done after each batch."""
        ordered = sorted(texts, key=len)
        for start in range(0, len(ordered), _BATCH):
            part = ordered[start : start + _BATCH]
            vectors = embedder.embed(part)
            with self._connection:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?)",
                    [(self.key(text), _pack(vector)) for text, vector in zip(part, vectors, strict=True)],
                )
            yield start + len(part)

    def read(self, keys: Sequence[bytes]) -> Vectors:
        """The vectors of `keys`, all of which are present: shape (len(keys), dimensions)."""
        out = np.empty((len(keys), self._dimensions), np.float32)
        position: dict[bytes, list[int]] = {}
        for index, key in enumerate(keys):
            position.setdefault(key, []).append(index)
        for part in _parts(list(position), 500):
            for key, value in self._rows(part):
                out[position.pop(key)] = np.frombuffer(value, np.float32, self._dimensions)
        if position:
            raise KeyError(f"{len(position)} vectors are not in the cache")
        return out

    def keep_only(self, keys: Iterable[bytes]) -> None:
        """Drop every vector that is not named: what deleted articles leave behind."""
        with self._connection, closing(self._connection.cursor()) as cursor:
            cursor.execute("CREATE TEMP TABLE IF NOT EXISTS live (key BLOB PRIMARY KEY) WITHOUT ROWID")
            cursor.execute("DELETE FROM live")
            cursor.executemany("INSERT OR IGNORE INTO live VALUES (?)", ((key,) for key in keys))
            cursor.execute("DELETE FROM vectors WHERE key NOT IN (SELECT key FROM live)")

    def _rows(self, keys: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, value FROM vectors WHERE key IN ({marks})"  # noqa: S608 (question marks only)
        return self._connection.execute(query, list(keys)).fetchall()


def _open_sound(file: Path) -> sqlite3.Connection | None:
    """The database at `file`, made if there is none; None if SQLite finds it damaged."""
    connection = sqlite3.connect(file)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
        if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
            return connection
    except sqlite3.DatabaseError:
        pass
    connection.close()
    return None


def _pack(vector: Vectors) -> bytes:
    data = vector.tobytes()
    return data + zlib.crc32(data).to_bytes(4, "big")


def _is_sound(value: bytes, dimensions: int) -> bool:
    data, check = value[:-4], value[-4:]
    return len(data) == 4 * dimensions and zlib.crc32(data).to_bytes(4, "big") == check


def _parts(keys: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
