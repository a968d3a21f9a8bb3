from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.articles import parse_article
from indexer.errors import IndexCorrupt
from indexer.metadata import Audience
from indexer.store import ArticleStore, StoreWriter, article_record, card_of, card_values

TEXTS = {
    "a/one.md": "---\nid: KB-1\ntitle: One\naudience: public\nproducts: [Email]\nlast_verified: 2026-01-02\n---\n"
    "# One\n\nü 🙂\r\n",
    "two.md": "\ufeff# Two\n\n```text\nx\n```\n",
}


def _write(folder: Path) -> None:
    with StoreWriter(folder) as writer:
        for row, (path, text) in enumerate(TEXTS.items()):
            article = parse_article(path, text.encode())
            writer.add(card_values(card_of(article, row, row * 3, 3)), article_record(article))


def test_articles_come_back_as_they_were(tmp_path: Path) -> None:
    _write(tmp_path)
    store = ArticleStore(tmp_path)
    for row, (path, text) in enumerate(TEXTS.items()):
        original, stored = parse_article(path, text.encode()), store.article(row)
        assert stored == original
        assert stored.source.data == text.encode()
        assert store.cards[row].version == original.version
    assert [article.path for article in store.articles()] == list(TEXTS)


def test_cards(tmp_path: Path) -> None:
    _write(tmp_path)
    one, two = ArticleStore(tmp_path).cards
    assert (one.article_id, one.audience, one.product_set, one.last_verified) == (
        "KB-1",
        Audience.PUBLIC,
        frozenset({"email"}),
        "2026-01-02",
    )
    assert (two.article_id, two.audience, two.first_chunk, two.chunk_count) == ("two", Audience.INTERNAL, 3, 3)


def test_names(tmp_path: Path) -> None:
    _write(tmp_path)
    store = ArticleStore(tmp_path)
    assert [store.row_of(name) for name in ("a/one.md", "KB-1", "two.md", "two", "none")] == [0, 0, 1, 1, None]


def test_an_empty_store(tmp_path: Path) -> None:
    with StoreWriter(tmp_path):
        pass
    assert ArticleStore(tmp_path).cards == ()


def test_a_catalogue_of_another_length(tmp_path: Path) -> None:
    _write(tmp_path)
    np.zeros(2, "<u8").tofile(tmp_path / "articles.idx")
    with pytest.raises(IndexCorrupt, match="disagree"):
        ArticleStore(tmp_path)
