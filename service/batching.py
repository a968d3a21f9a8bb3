"""Questions that arrive while others are being embedded are embedded together. Nobody waits for company."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from indexer.embedding import Embedder, Encoded, Fingerprint

_MOST_TEXTS = 16
_MOST_CHARACTERS = 2_000
"""About 512 tokens. A batch saves the fixed cost of a run, which counts for short texts only: docs/performance.md."""


class BatchingEmbedder(Embedder):
    """An embedder for many threads: `slots` of them compute, the rest queue and are served in batches.

    A caller that finds a free slot computes at once, so an idle service is not slowed down. A caller that ends gives
    its slot to the first in the queue, which takes along what has gathered behind it. No thread of its own runs.
    """

    def __init__(self, inner: Embedder, slots: int) -> None:
        """
        Args:
            slots: calls of `inner` at a time, at least 1; about one for each core.
        """
        if slots < 1:
            raise ValueError("at least one slot is needed")
        self._inner = inner
        self._free = slots
        self._lock = threading.Lock()
        self._queue: deque[_Request] = deque()

    @property
    def fingerprint(self) -> Fingerprint:
        return self._inner.fingerprint

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._inner.count_tokens(texts)

    def encode(self, texts: Sequence[str], max_tokens: int | None = None) -> Encoded:
        """As the inner embedder; an error of it reaches the caller whose text caused it, and no other."""
        request = _Request(list(texts), max_tokens)
        with self._lock:
            if self._free:
                self._free -= 1
                request.batch = [request]
            else:
                self._queue.append(request)
        if not request.batch:
            request.turn.wait()
        if request.batch:
            try:
                self._compute(request)
            finally:
                self._pass_on()
        if request.encoded is None:
            return self._inner.encode(request.texts, max_tokens)
        return request.encoded

    def _compute(self, first: _Request) -> None:
        """Embed the batch that `first` leads. What a failed batch leaves undone is tried again by each for itself."""
        others = first.batch[1:]
        try:
            texts = [text for request in first.batch for text in request.texts]
            made, start = self._inner.encode(texts, first.max_tokens), 0
            for request in first.batch:
                own = slice(start, start + len(request.texts))
                request.encoded, start = Encoded(made.vectors[own], made.signs[own]), own.stop
        except Exception:
            if not others:
                raise
        finally:
            for request in others:
                request.turn.set()

    def _pass_on(self) -> None:
        """Give the slot to the first in the queue with those that fit behind it, or set it free."""
        with self._lock:
            if not self._queue:
                self._free += 1
                return
            first = self._queue.popleft()
            first.batch = [first]
            texts, characters = first.size
            while self._queue and self._queue[0].max_tokens == first.max_tokens:
                more_texts, more_characters = self._queue[0].size
                texts, characters = texts + more_texts, characters + more_characters
                if texts > _MOST_TEXTS or characters > _MOST_CHARACTERS:
                    break
                first.batch.append(self._queue.popleft())
        first.turn.set()


class _Request:
    """One caller's texts.

    Attributes:
        turn: set when the result is there, or when the caller is to compute `batch`.
        batch: the requests to compute, the caller's own first; empty for one that another caller serves.
        encoded: the result; None after a failed batch.
    """

    def __init__(self, texts: list[str], max_tokens: int | None) -> None:
        self.texts, self.max_tokens = texts, max_tokens
        self.turn = threading.Event()
        self.batch: list[_Request] = []
        self.encoded: Encoded | None = None

    @property
    def size(self) -> tuple[int, int]:
        return len(self.texts), sum(map(len, self.texts))
