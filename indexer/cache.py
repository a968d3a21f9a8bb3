"""Finished embeddings, kept by content: a rebuild embeds what is new, and a crash loses no finished batch."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from indexer.embedding import Embedder, Fingerprint, Signs, Vectors, encode_documents
from indexer.errors import IndexCorrupt, IndexUnwritable

_BATCH = 256
"""Texts embedded between two commits: what a crash can cost, and what progress moves by."""

_MOST_MARKS = 500
_BUSY_S = 5.0
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class BlobTable:
    """A SQLite file of values by key, each with its CRC-32.

    One writer at a time, which the index lock ensures. A damaged file is begun again, and a damaged value counts as
    missing: all of it can be had from the articles. A file that is only busy or out of reach is left as it is.

    Raises:
        IndexUnwritable: SQLite cannot open or write it, for another reason than damage.
    """

    def __init__(self, file: Path, table: str) -> None:
        self._table, self.file = table, file
        connection = _open_sound(file, table)
        if connection is None:
            for leftover in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
                leftover.unlink(missing_ok=True)
            connection = _open_sound(file, table)
        if connection is None:
            raise _unwritable(file, "it is damaged again as soon as it is begun")
        self._connection = connection

    def close(self) -> None:
        self._connection.close()

    def read(self, keys: Sequence[bytes], batch: int = _MOST_MARKS) -> Iterator[tuple[bytes, bytes]]:
        """Those of `keys` that have a sound value, each with it, in no certain order; `batch` of them in memory."""
        for start in range(0, len(keys), batch):
            part = keys[start : start + batch]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, value FROM {self._table} WHERE key IN ({marks})"  # noqa: S608 (question marks only)
            with self._translated():
                rows = self._connection.execute(query, list(part)).fetchall()
            for key, packed in rows:
                value = packed[:-4]
                if zlib.crc32(value).to_bytes(4, "big") == packed[-4:]:
                    yield key, value

    def put(self, values: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep `values` by their keys, all of them or none."""
        with self._writing():
            self._connection.executemany(
                f"INSERT OR REPLACE INTO {self._table} VALUES (?, ?)",  # noqa: S608 (a constant)
                ((key, value + zlib.crc32(value).to_bytes(4, "big")) for key, value in values),
            )

    def keep_only(self, keys: Iterable[bytes]) -> None:
        """Drop every value that is not named: what deleted articles leave behind."""
        with self._translated():
            held = {key for (key,) in self._connection.execute(f"SELECT key FROM {self._table}")}  # noqa: S608
        dead = held.difference(keys)
        with self._writing():
            self._connection.executemany(
                f"DELETE FROM {self._table} WHERE key = ?",  # noqa: S608 (a constant)
                ((key,) for key in dead),
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._translated(), self._connection:
            yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _unwritable(self.file, error) from error


class EmbeddingCache:
    """Vectors and the signs of tokens by SHA-256 of fingerprint and text, in a `BlobTable`: the vector's bytes, then
    the signs'."""

    def __init__(self, file: Path, fingerprint: Fingerprint) -> None:
        self._salt = json.dumps([fingerprint.as_dict(), "signs"], sort_keys=True).encode()
        self._dimensions = fingerprint.dimensions
        self._table = BlobTable(file, "vectors")

    def close(self) -> None:
        self._table.close()

    def key(self, text: str) -> bytes:
        """The cache key of `text` under this fingerprint: 32 bytes."""
        return hashlib.sha256(self._salt + b"\0" + text.encode()).digest()

    def fill(self, embedder: Embedder, texts: Sequence[str]) -> Iterator[int]:
        """Embed `texts` and keep them, committing batch by batch. Yields the number done after each batch."""
        ordered = sorted(texts, key=len)
        for start in range(0, len(ordered), _BATCH):
            part = ordered[start : start + _BATCH]
            made = encode_documents(embedder, part)
            values = [
                vector.tobytes() + signs.tobytes() for vector, signs in zip(made.vectors, made.signs, strict=True)
            ]
            self._table.put(zip(map(self.key, part), values, strict=True))
            yield start + len(part)

    def read(self, keys: Sequence[bytes]) -> Vectors:
        """The vectors of `keys`: shape (len(keys), dimensions). Raises KeyError if one is missing."""
        found = np.empty((len(keys), self._dimensions), np.float32)
        if missing := self.read_into(found, keys):
            raise KeyError(f"{len(missing)} vectors are not in the cache")
        return found

    def read_into(self, out: Vectors, keys: Sequence[bytes]) -> dict[bytes, list[int]]:
        """Put the vectors of `keys` into the rows of `out` (C order). Returns what is missing: key to rows."""
        rows: dict[bytes, list[int]] = {}
        for row, key in enumerate(keys):
            rows.setdefault(key, []).append(row)
        size = 4 * self._dimensions
        memory = out.reshape(-1).view(np.uint8).data
        for key, value in self._table.read(list(rows)):
            if len(value) >= size:
                for row in rows.pop(key):
                    memory[row * size : (row + 1) * size] = value[:size]
        return rows

    def read_signs(self, keys: Sequence[bytes]) -> list[Signs]:
        """The signs of the texts of `keys`, in their order. Raises IndexCorrupt if one is missing."""
        size, width = 4 * self._dimensions, (self._dimensions + 7) // 8
        found = {key: value[size:] for key, value in self._table.read(list(dict.fromkeys(keys)))}
        if not found.keys() >= set(keys):
            raise IndexCorrupt(f"{self._table.file} was damaged while it was read: run `kb index` again")
        return [np.frombuffer(found[key], np.uint8).reshape(-1, width) for key in keys]

    def keep_only(self, keys: Iterable[bytes]) -> None:
        """Drop every vector that is not named."""
        self._table.keep_only(keys)


def _open_sound(file: Path, table: str) -> sqlite3.Connection | None:
    """The database at `file`, made if there is none; None if SQLite finds it damaged. Raises IndexUnwritable."""
    try:
        connection = sqlite3.connect(file, timeout=_BUSY_S)
    except sqlite3.Error as error:
        raise _unwritable(file, error) from error
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (key BLOB PRIMARY KEY, value BLOB)")
        if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
            return connection
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:  # the low byte says what kind
            connection.close()
            raise _unwritable(file, error) from error
    connection.close()
    return None


def _unwritable(file: Path, reason: object) -> IndexUnwritable:
    return IndexUnwritable(
        f"{file} cannot be used ({reason}): end what else has it open, check its rights and the free space, and run "
        "`kb index` again"
    )
