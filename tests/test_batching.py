"""Micro-batching: who computes, who waits, and what a failure does."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from indexer.embedding import Embedder, Encoded, Vectors
from service.batching import BatchingEmbedder
from tests.conftest import FakeEmbedder


class SlowEmbedder(FakeEmbedder):
    """Records its calls and holds each until `gate` opens; fails on the word `poison`."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.calls: list[list[str]] = []

    def encode(self, texts: Sequence[str], max_tokens: int | None = None) -> Encoded:
        self.calls.append(list(texts))
        assert self.gate.wait(10)
        if any("poison" in text for text in texts):
            raise ValueError("poison")
        return super().encode(texts, max_tokens)


def queue_behind(
    inner: SlowEmbedder, embedder: BatchingEmbedder, pool: ThreadPoolExecutor, texts: Sequence[str]
) -> list[Future[Vectors]]:
    """The first text's call computes and is held; the others wait in order. Futures of all."""
    futures: list[Future[Vectors]] = []
    for text in texts:
        futures.append(pool.submit(embedder.embed, [text]))
        ends = time.monotonic() + 10
        while len(inner.calls) + len(embedder._queue) < len(futures):
            assert time.monotonic() < ends
            time.sleep(0.001)
    return futures


def test_an_idle_embedder_computes_at_once() -> None:
    inner = SlowEmbedder()
    inner.gate.set()
    embedder = BatchingEmbedder(inner, 1)
    np.testing.assert_array_equal(embedder.embed(["alpha", "beta"]), FakeEmbedder().embed(["alpha", "beta"]))
    assert embedder.embed([]).shape == (0, inner.fingerprint.dimensions)
    assert inner.calls == [["alpha", "beta"], []]
    assert embedder.fingerprint == inner.fingerprint
    assert embedder.count_tokens(["two words"]) == [2]


def test_what_gathers_meanwhile_is_computed_together() -> None:
    inner = SlowEmbedder()
    embedder = BatchingEmbedder(inner, 1)
    texts = [f"question number {number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        futures = queue_behind(inner, embedder, pool, texts)
        inner.gate.set()
        found = [future.result(10) for future in futures]
    assert inner.calls == [texts[:1], texts[1:]]
    for text, vectors in zip(texts, found, strict=True):
        np.testing.assert_array_equal(vectors, FakeEmbedder().embed([text]))


def test_as_many_compute_as_there_are_slots() -> None:
    inner = SlowEmbedder()
    embedder = BatchingEmbedder(inner, 2)
    with ThreadPoolExecutor(5) as pool:
        futures = queue_behind(inner, embedder, pool, ["a", "b", "c", "d", "e"])
        assert inner.calls == [["a"], ["b"]]
        inner.gate.set()
        for future in futures:
            future.result(10)
    assert sorted(text for call in inner.calls[2:] for text in call) == ["c", "d", "e"]
    assert len(inner.calls) <= 4


def test_batches_stay_small() -> None:
    inner = SlowEmbedder()
    embedder = BatchingEmbedder(inner, 1)
    long_text = "word " * 300
    with ThreadPoolExecutor(20) as pool:
        futures = queue_behind(inner, embedder, pool, ["first", *["short"] * 17, long_text, long_text])
        inner.gate.set()
        for future in futures:
            future.result(10)
    assert [len(call) for call in inner.calls] == [1, 16, 2, 1]


def test_texts_of_different_limits_are_not_computed_together() -> None:
    inner = SlowEmbedder()
    embedder = BatchingEmbedder(inner, 1)
    with ThreadPoolExecutor(4) as pool:
        futures = queue_behind(inner, embedder, pool, ["first", "a", "b"])
        futures.append(pool.submit(embedder.embed, ["one two three"], 2))
        while len(embedder._queue) < 3:
            time.sleep(0.001)
        inner.gate.set()
        found = [future.result(10) for future in futures]
    assert inner.calls == [["first"], ["a", "b"], ["one two three"]]
    np.testing.assert_array_equal(found[-1], FakeEmbedder().embed(["one two"]))


def test_a_text_that_fails_takes_no_other_down_and_no_slot() -> None:
    inner = SlowEmbedder()
    embedder = BatchingEmbedder(inner, 1)
    with ThreadPoolExecutor(4) as pool:
        futures = queue_behind(inner, embedder, pool, ["first", "good", "poison", "also good"])
        inner.gate.set()
        assert futures[1].result(10).shape[0] == 1
        assert futures[3].result(10).shape[0] == 1
        with pytest.raises(ValueError, match="poison"):
            futures[2].result(10)
    with pytest.raises(ValueError, match="poison"):
        embedder.embed(["poison"])
    assert embedder.embed(["fine again"]).shape[0] == 1


def test_many_threads_all_get_their_own(real_embedder: Embedder) -> None:
    texts = [f"error {number} in module {'x' * (number % 7)}" for number in range(40)]
    alone = [real_embedder.embed([text])[0] for text in texts]
    embedder = BatchingEmbedder(real_embedder, 2)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: embedder.embed([text])[0], texts))
    for one, other in zip(alone, found, strict=True):
        assert float(one @ other) > 0.9999


def test_no_slots_are_refused() -> None:
    with pytest.raises(ValueError, match="slot"):
        BatchingEmbedder(FakeEmbedder(), 0)
