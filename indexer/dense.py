"""Vector search by FAISS, filtered inside the search. The only module that imports faiss."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.embedding import Vectors
from indexer.errors import IndexCorrupt

Mask = NDArray[np.bool_]


class IndexType(StrEnum):
    """FAISS layouts. `AUTO` picks by size: docs/performance.md has the measured recall and memory."""

    AUTO = "auto"
    FLAT = "flat"
    SQFP16 = "sqfp16"
    HNSW = "hnsw"
    IVF = "ivf"


_FLAT_UP_TO = 50_000
_SQFP16_UP_TO = 250_000


def choose_type(wanted: IndexType, count: int) -> IndexType:
    """The layout for `count` vectors: exact while that is fast, half precision while it still scans, then IVF."""
    if wanted is not IndexType.AUTO:
        return wanted
    if count <= _FLAT_UP_TO:
        return IndexType.FLAT
    return IndexType.SQFP16 if count <= _SQFP16_UP_TO else IndexType.IVF


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Rows and inner products of one query vector, best first; both of shape (k,), k at most what was asked for."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]


class Selection:
    """The rows that one scope admits, in the form FAISS filters by. Keeps its bitmap alive."""

    def __init__(self, mask: Mask) -> None:
        faiss = _faiss()
        self.count = int(mask.sum())
        self.everything = self.count == len(mask)
        self._bits = np.packbits(mask, bitorder="little")
        self.selector = faiss.IDSelectorBitmap(len(self._bits), faiss.swig_ptr(self._bits))


class DenseIndex:
    """One FAISS index opened read-only by memory mapping. Searching is thread-safe."""

    def __init__(self, file: Path) -> None:
        faiss = _faiss()
        try:
            self._index = faiss.read_index(str(file), faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY)
        except RuntimeError as error:
            raise IndexCorrupt(f"{file.name} is not a readable FAISS index; run `kb index` again") from error
        self.kind = _kind_of(faiss, self._index)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, vectors: Vectors, selection: Selection, limit: int) -> list[Neighbours]:
        """For each row of `vectors` (shape (q, d), unit length) its nearest admitted rows."""
        limit = min(limit, selection.count)
        if limit <= 0 or len(vectors) == 0:
            return [Neighbours(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in vectors]
        exact = self.kind in {IndexType.FLAT, IndexType.SQFP16}
        parameters = None if selection.everything and exact else self._parameters(selection)
        scores, rows = self._index.search(np.ascontiguousarray(vectors), limit, params=parameters)
        # FAISS pads a short result with -1.
        return [Neighbours(r[r >= 0], s[r >= 0]) for r, s in zip(rows, scores, strict=True)]

    def vectors(self, rows: NDArray[np.int64]) -> Vectors:
        """The stored vectors of `rows`: shape (len(rows), d)."""
        if len(rows) == 0:
            return np.empty((0, int(self._index.d)), np.float32)
        found: Vectors = self._index.reconstruct_batch(np.ascontiguousarray(rows, np.int64))
        return found

    def _parameters(self, selection: Selection) -> Any:
        faiss = _faiss()
        selector = None if selection.everything else selection.selector
        if self.kind is IndexType.HNSW:
            return faiss.SearchParametersHNSW(sel=selector, efSearch=128)
        if self.kind is IndexType.IVF:
            return faiss.SearchParametersIVF(sel=selector, nprobe=max(16, int(self._index.nlist) // 24))
        return faiss.SearchParameters(sel=selector)


def build_dense(file: Path, vectors: Vectors, kind: IndexType) -> None:
    """Write a FAISS inner-product index over unit `vectors`, shape (n, d). Raises OSError."""
    faiss = _faiss()
    count, dimensions = vectors.shape
    lists = max(1, min(int(4 * count**0.5), count // 39))  # k-means wants 39 points a list
    factory = {
        IndexType.FLAT: "Flat",
        IndexType.SQFP16: "SQfp16",
        IndexType.HNSW: "HNSW32",
        IndexType.IVF: f"IVF{lists},SQfp16",
    }[kind]
    index = faiss.index_factory(dimensions, factory, faiss.METRIC_INNER_PRODUCT)
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    try:
        if not index.is_trained:
            sample = vectors[np.random.default_rng(0).permutation(count)[: 64 * lists]]
            index.train(np.ascontiguousarray(sample))
        for start in range(0, count, 65_536):
            index.add(np.ascontiguousarray(vectors[start : start + 65_536]))
    finally:
        faiss.omp_set_num_threads(1)
    if kind is IndexType.IVF:
        index.make_direct_map()
    with file.open("wb") as out:
        faiss.write_index(index, faiss.PyCallbackIOWriter(out.write))  # its own writer drops the error of a last write


def nearest_by_bits(codes: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.int32]:
    """In how many bits each of `codes` differs from the nearest of `others`: shape (len(codes),). None is empty."""
    codes, others = np.ascontiguousarray(codes), np.ascontiguousarray(others)
    distances: NDArray[np.int32] = _faiss().knn_hamming(codes, others, 1)[0][:, 0]
    return distances


def _kind_of(faiss: Any, index: Any) -> IndexType:
    if isinstance(index, faiss.IndexHNSW):
        return IndexType.HNSW
    if isinstance(index, faiss.IndexIVF):
        return IndexType.IVF
    return IndexType.FLAT if isinstance(index, faiss.IndexFlat) else IndexType.SQFP16


def _faiss() -> Any:
    # One thread a search: two are slower for single queries. Read once, when faiss starts its OpenMP runtime.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import faiss

    return faiss
