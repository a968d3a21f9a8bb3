from __future__ import annotations

import numpy as np
import pytest

from indexer.embedding import Vectors
from indexer.geometry import fit_transform, self_similarity, transform, transform_with_scales


def _cone(count: int, dimensions: int = 16) -> Vectors:
    """Unit vectors that all lie near one direction."""
    values = np.random.default_rng(1).normal(size=(count, dimensions)) * 0.3
    values[:, 0] += 1.0
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), np.float32)


def test_the_cone_widens_and_lengths_stay_one() -> None:
    vectors = _cone(2000)
    mapped = transform(vectors, fit_transform(vectors))
    np.testing.assert_allclose(np.linalg.norm(mapped, axis=1), 1.0, rtol=1e-5)
    assert float((mapped @ mapped.T).mean()) < 0.8 * float((vectors @ vectors.T).mean())


def test_few_vectors_change_little_and_none_change_nothing() -> None:
    few, many = _cone(10), _cone(2000)

    def moved(vectors: Vectors) -> float:
        return 1.0 - float((transform(vectors, fit_transform(vectors)) * vectors).sum(axis=1).mean())

    assert moved(few) < moved(many)
    np.testing.assert_array_equal(fit_transform(np.empty((0, 16), np.float32)), np.eye(16, dtype=np.float32))


def test_it_is_deterministic() -> None:
    np.testing.assert_array_equal(fit_transform(_cone(500)), fit_transform(_cone(500)))


def test_raw_cosines_are_recoverable() -> None:
    raw = _cone(300)
    matrix = fit_transform(raw)
    mapped, scales = transform_with_scales(raw, matrix)
    question = _cone(301)[-1]
    recovered = (mapped @ (np.linalg.inv(matrix) @ question)) * scales
    np.testing.assert_allclose(recovered, raw @ question, atol=1e-4)


def test_self_similarity() -> None:
    different = np.eye(4, dtype=np.float32)
    assert self_similarity(different, different) == pytest.approx(0.0)
    alike = np.full((3, 4), 0.5, np.float32)
    assert self_similarity(alike, alike + alike + alike) == pytest.approx(1.0)
    assert self_similarity(different[:1], different[:1]) == 0.5
