"""Vectors of the texts embedded last, for what asks about the same ticket again: its answer, its triage, its note, and
every variant of an evaluation.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from indexer.embedding import Embedder, Fingerprint, Vectors

_KEPT = 256
"""Half a megabyte. A ticket's questions come within seconds of each other."""


class RecentVectors:
    """An embedder that knows the last texts' vectors. Thread-safe; holds digests and never a text."""

    def __init__(self, inner: Embedder, kept: int = _KEPT) -> None:
        """
        Args:
            kept: vectors kept, the least recently used dropped first.
        """
        self._inner = inner
        self._kept = kept
        self._lock = threading.Lock()
        self._vectors: OrderedDict[bytes, Vectors] = OrderedDict()

    @property
    def fingerprint(self) -> Fingerprint:
        return self._inner.fingerprint

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._inner.count_tokens(texts)

    def embed(self, texts: Sequence[str], max_tokens: int | None = None) -> Vectors:
        """As the inner embedder, which is asked for what is not known."""
        if not texts:
            return self._inner.embed(texts)
        keys = [hashlib.sha256(f"{max_tokens}\0{text}".encode("utf-8", "surrogatepass")).digest() for text in texts]
        found = self._find(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            made = dict(zip(missing, self._inner.embed(list(missing.values()), max_tokens).copy(), strict=True))
            found |= made
            self._keep(made)
        return np.stack([found[key] for key in keys])

    def _find(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        with self._lock:
            found = {key: self._vectors[key] for key in keys if key in self._vectors}
            for key in found:
                self._vectors.move_to_end(key)
            return found

    def _keep(self, made: dict[bytes, Vectors]) -> None:
        with self._lock:
            self._vectors.update(made)
            while len(self._vectors) > self._kept:
                self._vectors.popitem(last=False)
