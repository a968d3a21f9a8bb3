"""Index versions that appear at once or not at all: lock, build folder, flush, manifest, rename, CURRENT.

What a team taught an index (resolved tickets, a calibrated decision) belongs to the index and not to its articles: it
can be published by itself, and every later build carries it over.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.chunking import ChunkLimits
from indexer.dense import IndexType
from indexer.embedding import Embedder, Vectors
from indexer.errors import IndexBusy, IndexCorrupt, IndexMismatch, IndexNotFound, IndexUnwritable
from indexer.history import ResolvedTickets, TicketHistory, read_tickets, write_history
from indexer.snapshot import (
    DECISION,
    FORMAT_VERSION,
    HISTORY,
    FileRecord,
    Manifest,
    Snapshot,
    check_files,
    current_version,
    file_record,
    is_learned,
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_KEPT_VERSIONS = 2
"""The live version and the one before it, which a service may still be serving for a moment."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a team taught the index.

    Attributes:
        tickets: its resolved tickets.
        decision: its calibrated decision as JSON values, which only the service reads.
    """

    tickets: ResolvedTickets | None = None
    decision: Mapping[str, Any] | None = None


def publish_learned(index_dir: Path, embedder: Embedder, learned: Learned) -> tuple[str, tuple[str, ...]]:
    """Publish the live version again, with `learned` in place of what it had learned.

    Returns:
        The new version's name, and the articles linked in tickets that the index does not hold.

    Raises:
        IndexNotFound, IndexCorrupt, IndexMismatch, IndexBusy, IndexUnwritable.
    """
    with lock_index(index_dir):
        live = Snapshot.open(index_dir)
        check_embedder(live.manifest, embedder)
        with build_folder(index_dir) as building:
            for name in live.manifest.files:
                if not is_learned(name):
                    (building / name).parent.mkdir(parents=True, exist_ok=True)
                    os.link(live.folder / name, building / name)
            paths, means = _paths_and_means(live)
            write_learned(building, learned, paths, means, live.geometry)
            old = live.manifest
            counts = len(paths), len(live.chunks)
            manifest = make_manifest(building, embedder, old.index_type, old.limits, *counts, old.inputs)
            version = publish(index_dir, building, manifest)
    linked = {path for links in learned.tickets.links for path in links} if learned.tickets else set()
    return version, tuple(sorted(linked - set(paths)))


@contextmanager
def try_history(index_dir: Path, embedder: Embedder, tickets: ResolvedTickets) -> Iterator[Snapshot]:
    """The live version as it would be if it had learned from `tickets`. Nothing is published.

    Raises:
        IndexNotFound, IndexCorrupt, IndexMismatch.
        IndexUnwritable: there is no room for it among the temporary files.
    """
    live = Snapshot.open(index_dir)
    check_embedder(live.manifest, embedder)
    paths, means = _paths_and_means(live)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / HISTORY
        try:
            write_history(folder, tickets, paths, means, live.geometry)
        except OSError as error:
            reason = error.strerror or error
            raise IndexUnwritable(
                f"{scratch} cannot be written ({reason}): free some space, or name another place with TMPDIR"
            ) from error
        yield live.with_history(TicketHistory(folder, paths))


def _paths_and_means(snapshot: Snapshot) -> tuple[list[str], Vectors]:
    """The articles' paths and their mean chunk vectors, of any length."""
    cards = snapshot.store.cards
    vectors = snapshot.vectors.vectors(np.arange(len(snapshot.chunks)))
    return [card.path for card in cards], np.add.reduceat(vectors, [card.first_chunk for card in cards])


def write_learned(
    folder: Path, learned: Learned, paths: Sequence[str], means: Vectors, geometry: NDArray[np.float32]
) -> None:
    """Write into a version's `folder` what was learned; arguments as for `write_history`."""
    if learned.tickets is not None:
        write_history(folder / HISTORY, learned.tickets, paths, means, geometry)
    if learned.decision is not None:
        (folder / DECISION).write_text(json.dumps(learned.decision, indent=1), encoding="utf-8")


def read_learned(index_dir: Path, embedder: Embedder) -> Learned:
    """What the live version has learned: it names articles by path, so it survives a rebuild by the same model.

    Nothing without an index, or if another model embedded it.

    Raises:
        IndexCorrupt: it has learned something that is not as it was published.
        IndexMismatch: it has learned something in another format.
    """
    try:
        folder = index_dir / current_version(index_dir)
        manifest = Manifest.read(folder)
    except IndexNotFound:
        return Learned()
    except (IndexCorrupt, IndexMismatch):
        if _holds_learning(index_dir):
            raise
        return Learned()
    if manifest.fingerprint != embedder.fingerprint:
        return Learned()
    check_files(folder, manifest, is_learned)
    return Learned(
        tickets=read_tickets(folder / HISTORY) if (folder / HISTORY).is_dir() else None,
        decision=json.loads((folder / DECISION).read_bytes()) if (folder / DECISION).is_file() else None,
    )


def _holds_learning(index_dir: Path) -> bool:
    """Whether files of what was learned lie in the live version, or in any where it cannot be told which is live."""
    try:
        versions = [index_dir / current_version(index_dir)]
    except IndexCorrupt:
        versions = list(index_dir.iterdir())
    return any((version / name).exists() for version in versions for name in (HISTORY, DECISION))


@contextmanager
def build_folder(index_dir: Path) -> Iterator[Path]:
    """An empty build folder below `index_dir`, removed if the block fails. Hold the lock.

    What a build left that was killed is removed first.
    """
    for leftover in index_dir.glob(".building-*"):
        shutil.rmtree(leftover)
    folder = index_dir / f".building-{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def make_manifest(
    folder: Path,
    embedder: Embedder,
    kind: IndexType,
    limits: ChunkLimits,
    article_count: int,
    chunk_count: int,
    inputs: str,
) -> Manifest:
    """The manifest of the finished build `folder`."""
    files: dict[str, FileRecord] = {
        path.relative_to(folder).as_posix(): file_record(path) for path in folder.rglob("*") if path.is_file()
    }
    created = datetime.now(UTC).isoformat(timespec="seconds")
    fingerprint = embedder.fingerprint
    return Manifest(FORMAT_VERSION, created, fingerprint, kind, limits, article_count, chunk_count, files, inputs)


def publish(index_dir: Path, building: Path, manifest: Manifest) -> str:
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
    pointer = building / "CURRENT"  # written before the rename: nothing after it takes room on the disk
    pointer.write_text(version + "\n", encoding="utf-8")
    _flush(pointer)
    pointer.rename(index_dir / ".CURRENT.new")
    building.rename(index_dir / version)
    _flush(index_dir)
    (index_dir / ".CURRENT.new").replace(index_dir / "CURRENT")
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
def lock_index(index_dir: Path, *, make: bool = False) -> Iterator[None]:
    """Hold the index directory for one writer. The system releases it if the process dies.

    Args:
        make: make the directory if there is none.

    Raises:
        IndexNotFound, IndexBusy.
        IndexUnwritable: the system refuses to write there, or to give up a file, now or while it is held.
    """
    try:
        if make:
            index_dir.mkdir(parents=True, exist_ok=True)
        elif not index_dir.is_dir():
            raise IndexNotFound(f"no index at {index_dir}: run `kb index FOLDER --index {index_dir}` first")
        with (index_dir / ".lock").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise IndexBusy(f"another `kb index` is writing to {index_dir}; wait for it to end") from error
            yield
    except OSError as error:
        raise _unwritable(index_dir, error) from error


def _unwritable(index_dir: Path, error: OSError) -> IndexUnwritable:
    reason = error.strerror or str(error)
    place = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else index_dir
    if error.errno in _FULL:
        return IndexUnwritable(
            f"{index_dir} cannot be written ({reason}): free some space, or name another place with --index"
        )
    if place.is_relative_to(index_dir) or index_dir.is_relative_to(place):
        return IndexUnwritable(
            f"{place} cannot be written or read ({reason}): check its rights, or name another place with --index"
        )
    return IndexUnwritable(f"{place} cannot be used ({reason}): check its rights, and try again")


def check_embedder(manifest: Manifest, embedder: Embedder) -> None:
    """Raises IndexMismatch unless queries embedded by `embedder` may be compared with this index."""
    built, now = manifest.fingerprint, embedder.fingerprint
    if built != now:
        raise IndexMismatch(
            f"the index was built with {built.model} ({built.precision}), the service runs {now.model} "
            f"({now.precision}): run `kb index` with the same model and precision"
        )
