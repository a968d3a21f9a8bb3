"""A corpus' own geometry: what all its texts share is damped, so that what tells them apart counts.

Sentence embeddings of one product's articles lie in a narrow cone: every text says "account", "settings", "message".
Partial whitening by the corpus' second moment widens it. With M = X'X / n over the chunk vectors and eigenpairs (w, V),
vectors are mapped by V diag((w + s mean(w))^-1/4) V' and brought back to unit length. The exponent -1/4 is half of full
whitening; s shrinks towards the identity, more so the fewer chunks there are to estimate M from.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from indexer.embedding import Vectors

_SHRINKAGE = 0.5
_FULL_ESTIMATE = 1000
"""Chunks from which on the shrinkage is at its least."""

_SAMPLE = 50_000
_BLOCK = 4096
"""Vectors that are summed up in single precision."""


def fit_transform(vectors: Vectors) -> NDArray[np.float32]:
    """The (d, d) map for unit chunk `vectors` of shape (n, d). Deterministic; a sample is enough for large corpora."""
    count, dimensions = vectors.shape
    if count == 0:
        return np.eye(dimensions, dtype=np.float32)
    sample = vectors[:: max(1, count // _SAMPLE)]
    moments = np.zeros((dimensions, dimensions))
    for start in range(0, len(sample), _BLOCK):
        block = sample[start : start + _BLOCK]
        moments += block.T @ block
    values, basis = np.linalg.eigh(moments / len(sample))
    values = np.clip(values, 0.0, None)
    shrinkage = _SHRINKAGE * max(1.0, _FULL_ESTIMATE / count)
    scaled = (basis * (values + shrinkage * values.mean()) ** -0.25) @ basis.T
    return np.asarray(scaled, np.float32)


def transform(vectors: Vectors, matrix: NDArray[np.float32]) -> Vectors:
    """`vectors` (n, d) mapped by `matrix` and brought to unit length."""
    return transform_with_scales(vectors, matrix)[0]


def transform_with_scales(vectors: Vectors, matrix: NDArray[np.float32]) -> tuple[Vectors, NDArray[np.float32]]:
    """`transform`, and what makes cosines before the map recoverable from vectors after it: shape (n,).

    `vectors @ q` equals `(mapped @ (inverse(matrix) @ q)) * scales`, so the original vectors need not be kept.
    """
    mapped = vectors @ matrix
    scales = np.linalg.norm(mapped, axis=1)
    mapped /= np.maximum(scales, 1e-12)[:, None]
    return np.asarray(mapped, np.float32), np.asarray(scales, np.float32)


def self_similarity(openings: Vectors, means: Vectors) -> float:
    """How much alike a corpus' articles are: the mean, over articles, of the best cosine between what one says it is
    about and the mean vector of any *other*. Questions that fit no article score about here.

    Args:
        openings: unit vectors of title and summary, shape (articles, d).
        means: mean chunk vectors, shape (articles, d), of any length.
    """
    count = len(openings)
    if count < 2:
        return 0.5
    unit = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    rows = np.arange(0, count, max(1, count // 1000))
    cosines = openings[rows] @ unit.T
    cosines[np.arange(len(rows)), rows] = -1.0
    return float(cosines.max(axis=1).mean())
