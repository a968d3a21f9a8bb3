"""Vectors of the texts embedded last, for what asks about the same ticket again: its answer, its triage, its note, and
every variant of an evaluation.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from indexer.embedding import Embedder, Encoded, Fingerprint, Signs, Vectors

_KEPT = 256
"""Two megabytes. A ticket's questions come within seconds of each other."""


class RecentVectors(Embedder):
    """An embedder that knows what it made of the last texts. Thread-safe; holds digests and never a text."""

    def __init__(self, inner: Embedder, kept: int = _KEPT) -> None:
        """
        Args:
            kept: how many are kept, the least recently used dropped first.
        """
        self._inner = inner
        self._kept = kept
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[Vectors, Signs]] = OrderedDict()

    @property
    def fingerprint(self) -> Fingerprint:
        return self._inner.fingerprint

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._inner.count_tokens(texts)

    def encode(self, texts: Sequence[str], max_tokens: int | None = None) -> Encoded:
        """As the inner embedder, which is asked for what is not known."""
        if not texts:
            return self._inner.encode(texts)
        keys = [hashlib.sha256(f"{max_tokens}\0{text}".encode("utf-8", "surrogatepass")).digest() for text in texts]
        found = self._find(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            made = self._inner.encode(list(missing.values()), max_tokens)
            new = dict(zip(missing, zip(made.vectors.copy(), made.signs, strict=True), strict=True))
            found |= new
            self._keep(new)
        vectors, signs = zip(*(found[key] for key in keys), strict=True)
        return Encoded(np.stack(vectors), signs)

    def _find(self, keys: Sequence[bytes]) -> dict[bytes, tuple[Vectors, Signs]]:
        with self._lock:
            found = {key: self._known[key] for key in keys if key in self._known}
            for key in found:
                self._known.move_to_end(key)
            return found

    def _keep(self, made: dict[bytes, tuple[Vectors, Signs]]) -> None:
        with self._lock:
            self._known.update(made)
            while len(self._known) > self._kept:
                self._known.popitem(last=False)
