"""Token by token: how near an article comes to each piece of a question.

A passage's vector says what it is about as a whole; the states of its tokens say what it says of each thing. Kept of
every token are the signs of its state, a bit a dimension: the share of bits in which two differ tells the angle between
them (Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002). An article's nearest token
stands for it, as in late interaction (Khattab & Zaharia, "ColBERT", SIGIR 2020).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import save_array
from indexer.dense import nearest_by_bits
from indexer.embedding import Signs
from indexer.errors import IndexCorrupt

TOKENS, TOKEN_STARTS = "tokens.bin", "token_starts.npy"

_MOST_TOKENS = 1024
"""Of a longer article the passages nearest to the question are read, up to so many tokens: no article takes long."""

NO_SIGNS: Signs = np.empty((0, 0), np.uint8)
"""Of a question whose tokens are not known."""

Cosines = NDArray[np.float64]


def write_tokens(folder: Path, batches: Iterable[Sequence[Signs]]) -> None:
    """Write the signs of all chunks' tokens, in row order and any number at a time. Raises OSError."""
    counts = [0]
    with (folder / TOKENS).open("wb") as out:
        for chunks in batches:
            out.write(b"".join(signs.tobytes() for signs in chunks))
            counts += map(len, chunks)
    save_array(folder / TOKEN_STARTS, np.cumsum(counts, dtype=np.int64))


class TokenTable:
    """The signs of all chunks' tokens in one index version, mapped."""

    def __init__(self, folder: Path, dimensions: int) -> None:
        """Raises IndexCorrupt if the two files disagree."""
        self._starts: NDArray[np.int64] = np.load(folder / TOKEN_STARTS, mmap_mode="r", allow_pickle=False)
        shape = int(self._starts[-1]), (dimensions + 7) // 8
        if (folder / TOKENS).stat().st_size != shape[0] * shape[1]:
            raise IndexCorrupt(f"{folder / TOKENS} does not hold {shape[0]} tokens: run `kb index` again")
        self._signs: Signs = (
            np.memmap(folder / TOKENS, np.uint8, "r", shape=shape) if shape[0] else np.empty(shape, np.uint8)
        )
        self._dimensions = dimensions

    def __len__(self) -> int:
        """How many chunks there are."""
        return len(self._starts) - 1

    def nearness(self, signs: Signs, first: int, closeness: NDArray[np.float32]) -> Cosines:
        """For each of a question's tokens the cosine, told by bits, of the nearest token of an article.

        Shape (tokens,); 0 where the article has no tokens.

        Args:
            signs: the question's, shape (tokens, bytes).
            first: the article's first chunk.
            closeness: of its chunks to the question, shape (chunks,): which of them are read of a long article.
        """
        own = self._article(first, closeness)
        if not len(own) or not len(signs):
            return np.zeros(len(signs))
        cosines: Cosines = np.cos(np.pi / self._dimensions * nearest_by_bits(signs, own))
        return cosines

    def _article(self, first: int, closeness: NDArray[np.float32]) -> Signs:
        starts = np.asarray(self._starts[first : first + len(closeness) + 1])
        if starts[-1] - starts[0] <= _MOST_TOKENS:
            return self._signs[starts[0] : starts[-1]]
        nearest = np.argsort(-closeness, kind="stable")
        kept = nearest[: max(1, int(np.searchsorted(np.cumsum(np.diff(starts)[nearest]), _MOST_TOKENS, "right")))]
        return np.concatenate([self._signs[starts[chunk] : starts[chunk + 1]] for chunk in kept.tolist()])
