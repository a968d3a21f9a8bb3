"""Vectors of the texts embedded last."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from indexer.embedding import Encoded
from service.recent_vectors import RecentVectors
from tests.conftest import FakeEmbedder


class Counting(FakeEmbedder):
    """Writes down what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str], max_tokens: int | None = None) -> Encoded:
        self.asked.append(list(texts))
        return super().encode(texts, max_tokens)


def test_only_what_is_not_known_is_embedded_and_the_order_is_kept() -> None:
    inner = Counting()
    embedder = RecentVectors(inner)
    embedder.embed(["token expired"])
    texts = ["mail bounces", "token expired", "mail bounces"]
    vectors = embedder.embed(texts)
    assert inner.asked == [["token expired"], ["mail bounces"]]
    assert np.array_equal(vectors, FakeEmbedder().embed(texts))
    assert np.array_equal(embedder.embed(texts), vectors)
    assert len(inner.asked) == 2


def test_a_text_cut_elsewhere_is_another_text() -> None:
    embedder = RecentVectors(FakeEmbedder())
    whole, cut = embedder.embed(["token expired"]), embedder.embed(["token expired"], 1)
    assert np.array_equal(cut, FakeEmbedder().embed(["token"]))
    assert np.array_equal(embedder.embed(["token expired"]), whole)


def test_the_least_recently_used_is_dropped_first() -> None:
    inner = Counting()
    embedder = RecentVectors(inner, kept=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        embedder.embed([text])
    assert inner.asked == [["a"], ["b"], ["c"], ["b"]]


def test_no_text_is_kept_and_what_is_given_out_may_be_changed() -> None:
    embedder = RecentVectors(FakeEmbedder())
    vectors = embedder.embed(["zanzibar"])
    expected = vectors.copy()
    vectors[:] = 0
    assert np.array_equal(embedder.embed(["zanzibar"]), expected)
    assert "zanzibar" not in repr(vars(embedder))
    assert embedder.embed([]).shape == FakeEmbedder().embed([]).shape


def test_an_error_is_not_remembered() -> None:
    inner = Counting()
    embedder = RecentVectors(inner)

    def fail(texts: Sequence[str], max_tokens: int | None) -> Encoded:
        raise RuntimeError("out of memory")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner, "encode", fail)
        with pytest.raises(RuntimeError):
            embedder.embed(["a"])
    assert np.array_equal(embedder.embed(["a"]), FakeEmbedder().embed(["a"]))


def test_many_threads_get_their_own_vectors() -> None:
    embedder = RecentVectors(FakeEmbedder(), kept=4)
    texts = [f"ticket number {number % 9}" for number in range(300)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: embedder.embed([text])[0], texts))
    assert np.array_equal(np.stack(found), FakeEmbedder().embed(texts))
