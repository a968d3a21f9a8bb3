"""The signs of tokens, from the embedder through cache and index to a question."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.cache import EmbeddingCache
from indexer.embedding import Embedder, Precision, load_embedder, pack_signs
from indexer.errors import IndexCorrupt
from indexer.snapshot import Snapshot
from indexer.tokens import NO_SIGNS, TOKENS, TokenTable, write_tokens
from tests.conftest import FakeEmbedder, build


def test_signs_of_states() -> None:
    states = np.array([[0.1, -0.1] * 6, [-1.0, 0.0] * 6], np.float32)
    assert pack_signs(states).tolist() == [[0b10101010, 0b10100000], [0, 0]]


def _states(count: int) -> NDArray[np.float64]:
    return np.random.default_rng(1).normal(size=(count, 384))


def test_nearness_is_the_cosine_of_the_nearest(tmp_path: Path) -> None:
    states, noise = _states(60), np.random.default_rng(2)
    write_tokens(tmp_path, [[pack_signs(states[:20]), pack_signs(states[20:50])], [NO_SIGNS, pack_signs(states[50:])]])
    table, even = TokenTable(tmp_path, 384), np.ones(2, np.float32)
    assert len(table) == 4
    asked = states[[3, 55]] + 0.3 * noise.normal(size=(2, 384))
    unit = states / np.linalg.norm(states, axis=1, keepdims=True)
    exact = (asked / np.linalg.norm(asked, axis=1, keepdims=True)) @ unit.T
    np.testing.assert_allclose(table.nearness(pack_signs(asked), 0, even), exact[:, :50].max(axis=1), atol=0.12)
    np.testing.assert_allclose(table.nearness(pack_signs(asked), 2, even), exact[:, 50:].max(axis=1), atol=0.12)
    assert table.nearness(pack_signs(states[:1]), 0, even).tolist() == [1.0]
    assert table.nearness(pack_signs(asked), 2, even[:1]).tolist() == [0.0, 0.0]
    assert table.nearness(NO_SIGNS, 0, even).shape == (0,)


def test_of_a_long_article_the_nearest_passages_are_read(tmp_path: Path) -> None:
    signs = pack_signs(_states(1500))
    write_tokens(tmp_path, [[signs[:500], signs[500:1000], signs[1000:]]])
    table, asked = TokenTable(tmp_path, 384), signs[[0, 700, 1400]]
    found = table.nearness(asked, 0, np.array([0.9, 0.2, 0.8], np.float32))
    assert (found[0], found[2]) == (1.0, 1.0)
    assert found[1] < 0.5
    assert table.nearness(asked, 0, np.array([0.9, 0.8], np.float32))[:2].tolist() == [1.0, 1.0]


def test_a_single_passage_is_read_however_long_it_is(tmp_path: Path) -> None:
    signs = pack_signs(_states(1100))
    write_tokens(tmp_path, [[signs]])
    assert TokenTable(tmp_path, 384).nearness(signs[-1:], 0, np.ones(1, np.float32)).tolist() == [1.0]


def test_a_table_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    write_tokens(tmp_path, [[np.zeros((3, 8), np.uint8)]])
    (tmp_path / TOKENS).write_bytes(b"\0" * 16)
    with pytest.raises(IndexCorrupt, match=r"does not hold 3 tokens: run `kb index` again"):
        TokenTable(tmp_path, 64)


def test_no_tokens_at_all(tmp_path: Path) -> None:
    write_tokens(tmp_path, [[np.empty((0, 8), np.uint8)]])
    assert TokenTable(tmp_path, 64).nearness(np.zeros((2, 8), np.uint8), 0, np.ones(1, np.float32)).tolist() == [0, 0]


def test_an_index_holds_every_passages_tokens_but_those_of_openings(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    snapshot = Snapshot.open(index_dir)
    assert snapshot.tokens is not None
    assert len(snapshot.tokens) == len(snapshot.chunks)
    for card in snapshot.store.cards:
        title = FakeEmbedder().encode([card.title]).signs[0]
        found = snapshot.tokens.nearness(title, card.first_chunk, np.ones(card.chunk_count, np.float32))
        assert found == pytest.approx(np.ones(len(title)))


def test_the_cache_keeps_signs_with_their_vectors(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    cache = EmbeddingCache(tmp_path / "vectors.sqlite", embedder.fingerprint)
    texts = ["one", "one two three", ""]
    assert list(cache.fill(embedder, texts)) == [3]
    keys = [cache.key(text) for text in (texts[1], texts[0], texts[1], texts[2])]
    assert [len(signs) for signs in cache.read_signs(keys)] == [3, 1, 3, 0]
    np.testing.assert_array_equal(cache.read(keys[:2]), embedder.embed(texts[1::-1]))
    with pytest.raises(IndexCorrupt, match=r"vectors\.sqlite was damaged while it was read: run `kb index` again"):
        cache.read_signs([b"no such"])
    cache.close()


def test_int8_and_the_reference_agree_on_signs(real_embedder: Embedder) -> None:
    texts = ["requests fail with 401 since noon", "the printer on the second floor prints nothing"]
    reference = load_embedder(precision=Precision.FP32)
    for fast, slow in zip(real_embedder.encode(texts).signs, reference.encode(texts).signs, strict=True):
        assert fast.shape == slow.shape
        assert np.unpackbits(fast ^ slow).mean() < 0.05
