from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.dense import DenseIndex, IndexType, Mask, Selection, build_dense, choose_type
from indexer.embedding import Vectors
from indexer.errors import IndexCorrupt

EVERY_TYPE = [IndexType.FLAT, IndexType.SQFP16, IndexType.HNSW, IndexType.IVF]


def _vectors(count: int, dimensions: int = 32, seed: int = 0) -> Vectors:
    values = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize(
    ("wanted", "count", "kind"),
    [
        (IndexType.AUTO, 50_000, IndexType.FLAT),
        (IndexType.AUTO, 50_001, IndexType.SQFP16),
        (IndexType.AUTO, 250_001, IndexType.IVF),
        (IndexType.HNSW, 3, IndexType.HNSW),
    ],
)
def test_choose_type(wanted: IndexType, count: int, kind: IndexType) -> None:
    assert choose_type(wanted, count) is kind


@pytest.mark.parametrize("kind", EVERY_TYPE)
def test_every_layout_finds_filters_and_gives_back(tmp_path: Path, kind: IndexType) -> None:
    vectors = _vectors(1000)
    build_dense(tmp_path / "x.faiss", vectors, kind)
    index = DenseIndex(tmp_path / "x.faiss")
    assert index.kind is kind
    assert len(index) == 1000
    everything = Selection(np.ones(1000, np.bool_))
    found = index.search(vectors[[7, 900]], everything, 5)
    assert [int(item.rows[0]) for item in found] == [7, 900]
    assert found[0].scores[0] == pytest.approx(1.0, abs=2e-3)
    assert list(found[0].scores) == sorted(found[0].scores, reverse=True)
    odd = Selection(np.arange(1000) % 2 == 1)
    assert all(row % 2 == 1 for row in index.search(vectors[[8]], odd, 50)[0].rows)
    rows = np.array([999, 0, 0])
    np.testing.assert_allclose(index.vectors(rows), vectors[rows], atol=2e-3)
    assert index.vectors(np.empty(0, np.int64)).shape == (0, 32)


@pytest.mark.parametrize("kind", EVERY_TYPE)
def test_short_results_are_not_padded(tmp_path: Path, kind: IndexType) -> None:
    vectors = _vectors(300)
    build_dense(tmp_path / "x.faiss", vectors, kind)
    index = DenseIndex(tmp_path / "x.faiss")
    mask = np.zeros(300, np.bool_)
    mask[[4, 250]] = True
    (found,) = index.search(vectors[[4]], Selection(mask), 50)
    assert set(found.rows.tolist()) <= {4, 250}
    assert len(found.rows) == len(found.scores)
    assert 4 in found.rows
    (none,) = index.search(vectors[[4]], Selection(np.zeros(300, np.bool_)), 50)
    assert none.rows.shape == none.scores.shape == (0,)
    (more,) = index.search(vectors[[4]], Selection(np.ones(300, np.bool_)), 1000)
    assert (more.rows >= 0).all()
    assert len(more.rows) == len(set(more.rows.tolist())) <= 300
    assert index.search(vectors[:0], Selection(mask), 5) == []


@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize("kind", EVERY_TYPE)
def test_tiny_indexes(tmp_path: Path, kind: IndexType, count: int) -> None:
    vectors = _vectors(count)
    build_dense(tmp_path / "x.faiss", vectors, kind)
    (found,) = DenseIndex(tmp_path / "x.faiss").search(vectors[[0]], Selection(np.ones(count, np.bool_)), 10)
    assert int(found.rows[0]) == 0


@given(st.lists(st.booleans(), min_size=40, max_size=40), st.integers(1, 60))
def test_exact_search_is_brute_force_over_the_selection(mask: list[bool], limit: int) -> None:
    import tempfile

    vectors = _vectors(40)
    with tempfile.TemporaryDirectory() as folder:
        build_dense(Path(folder) / "x.faiss", vectors, IndexType.FLAT)
        index = DenseIndex(Path(folder) / "x.faiss")
        (found,) = index.search(vectors[[3]], Selection(np.array(mask)), limit)
    scores = vectors @ vectors[3]
    expected = [row for row in np.argsort(-scores).tolist() if mask[row]][:limit]
    assert found.rows.tolist() == expected


def test_a_file_that_is_no_index(tmp_path: Path) -> None:
    (tmp_path / "x.faiss").write_bytes(b"not faiss at all")
    with pytest.raises(IndexCorrupt, match="run `kb index` again"):
        DenseIndex(tmp_path / "x.faiss")


@pytest.mark.parametrize("kind", [IndexType.HNSW, IndexType.IVF])
def test_approximate_layouts_look_as_hard_without_a_filter_as_with_one(tmp_path: Path, kind: IndexType) -> None:
    vectors = _vectors(6000, 64)
    build_dense(tmp_path / "x.faiss", vectors, kind)
    index = DenseIndex(tmp_path / "x.faiss")
    questions = _vectors(50, 64, seed=1)
    almost = np.ones(6000, np.bool_)
    almost[0] = False
    exact = np.argsort(-(questions @ vectors.T), axis=1)[:, :10]

    def recall(mask: Mask) -> float:
        found = index.search(questions, Selection(mask), 10)
        return sum(len(set(item.rows) & set(row)) for item, row in zip(found, exact, strict=True)) / exact.size

    assert recall(np.ones(6000, np.bool_)) > recall(almost) - 0.02
