from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from indexer import cache as cache_module
from indexer.cache import EmbeddingCache
from indexer.errors import IndexUnwritable
from tests.conftest import FAKE_DIMENSIONS, FakeEmbedder


def _missing(cache: EmbeddingCache, keys: list[bytes]) -> set[bytes]:
    return set(cache.read_into(np.empty((len(keys), FAKE_DIMENSIONS), np.float32), keys))


def test_fill_read_and_keep_only(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    cache = EmbeddingCache(tmp_path / "e.sqlite", embedder.fingerprint)
    texts = [f"text number {number}" for number in range(600)]
    assert list(cache.fill(embedder, texts)) == [256, 512, 600]
    keys = [cache.key(text) for text in texts]
    assert _missing(cache, [*keys, cache.key("new")]) == {cache.key("new")}
    order = [keys[599], keys[0], keys[599]]
    np.testing.assert_array_equal(cache.read(order), FakeEmbedder().embed([texts[599], texts[0], texts[599]]))
    cache.keep_only(keys[:2])
    assert _missing(cache, keys) == set(keys[2:])
    cache.close()


def test_finished_batches_outlive_a_crash(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    cache = EmbeddingCache(tmp_path / "e.sqlite", embedder.fingerprint)
    steps = cache.fill(embedder, [f"text {number}" for number in range(600)])
    assert next(steps) == 256
    again = EmbeddingCache(tmp_path / "e.sqlite", embedder.fingerprint)
    assert len(_missing(again, [again.key(f"text {number}") for number in range(600)])) == 344
    again.close()
    cache.close()


def test_another_model_shares_nothing(tmp_path: Path) -> None:
    one, other = FakeEmbedder(), FakeEmbedder(salt="other")
    first = EmbeddingCache(tmp_path / "e.sqlite", one.fingerprint)
    assert list(first.fill(one, ["a"])) == [1]
    first.close()
    second = EmbeddingCache(tmp_path / "e.sqlite", other.fingerprint)
    assert _missing(second, [second.key("a")]) == {second.key("a")}
    with pytest.raises(KeyError):
        second.read([second.key("a")])
    second.close()


@pytest.mark.parametrize(
    "damage", [b"this is not a database, and longer than its header " * 40, b"SQLite format 3\0" + b"x" * 5000]
)
def test_a_damaged_cache_is_begun_again(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "e.sqlite"
    file.write_bytes(damage)
    embedder = FakeEmbedder()
    cache = EmbeddingCache(file, embedder.fingerprint)
    assert list(cache.fill(embedder, ["a"])) == [1]
    cache.close()


def test_a_cache_cut_short_is_begun_again(tmp_path: Path) -> None:
    file, embedder = tmp_path / "e.sqlite", FakeEmbedder()
    cache = EmbeddingCache(file, embedder.fingerprint)
    list(cache.fill(embedder, [f"text number {number}" for number in range(300)]))
    cache.close()
    with file.open("r+b") as handle:
        handle.truncate(file.stat().st_size // 2)
    again = EmbeddingCache(file, embedder.fingerprint)
    assert list(again.fill(embedder, ["a"])) == [1]
    again.close()


def test_a_busy_cache_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_BUSY_S", 0.05)
    file = tmp_path / "e.sqlite"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE notes (words)")
        other.execute("INSERT INTO notes VALUES ('kept')")
        other.commit()
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(IndexUnwritable, match=r"e\.sqlite cannot be used \(database is locked\)"):
            EmbeddingCache(file, FakeEmbedder().fingerprint)
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("SELECT words FROM notes").fetchone() == ("kept",)


def test_a_cache_out_of_reach_says_so(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IndexUnwritable, match="unable to open"):
        EmbeddingCache(tmp_path / "folder", FakeEmbedder().fingerprint)


def test_a_cache_that_cannot_be_written_any_more_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_BUSY_S", 0.05)
    file, embedder = tmp_path / "e.sqlite", FakeEmbedder()
    cache = EmbeddingCache(file, embedder.fingerprint)
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexUnwritable, match="locked"):
            list(cache.fill(embedder, ["a"]))
    cache.close()


def test_an_altered_vector_counts_as_missing(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    cache = EmbeddingCache(tmp_path / "e.sqlite", embedder.fingerprint)
    assert list(cache.fill(embedder, ["a", "b"])) == [2]
    cache.close()
    connection = sqlite3.connect(tmp_path / "e.sqlite")
    with connection:
        connection.execute("UPDATE vectors SET value = zeroblob(256) WHERE key = ?", (cache.key("a"),))
    connection.close()
    again = EmbeddingCache(tmp_path / "e.sqlite", embedder.fingerprint)
    assert _missing(again, [again.key("a"), again.key("b")]) == {again.key("a")}
    again.close()
