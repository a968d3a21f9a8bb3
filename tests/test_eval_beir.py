"""BEIR corpora become articles, and their names lead back to document ids."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.beir import document_of_path, path_of_document, write_corpus
from indexer.articles import find_articles, read_article
from indexer.errors import DatasetError
from tests.eval_world import write_lines


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_path_leads_back_to_the_document(doc_id: str) -> None:
    path = path_of_document(doc_id)
    assert document_of_path(path) == doc_id
    assert all(len(part) <= 210 and part.isascii() and not part.startswith(".") for part in path.split("/"))
    assert not set(path) & set('\\:*?"<>| ')


def test_path_is_readable_for_plain_ids() -> None:
    assert path_of_document("MED-10") == "MED-10.md"
    assert path_of_document("../etc/passwd") == "%2E%2E%2Fetc%2Fpasswd.md"


def test_corpus_becomes_articles(tmp_path: Path) -> None:
    folder = tmp_path / "articles"
    corpus = write_lines(
        tmp_path / "corpus.jsonl",
        [
            {"_id": "d/1", "title": 'Colons: "quotes" and #', "text": "Body one.\n\n# Heading\n\nMore."},
            {"_id": "d2", "title": "", "text": "First sentence here. Second one."},
            {"_id": "d3", "title": "Only a title", "text": ""},
        ],
    )
    write_corpus(corpus, folder)
    articles = {document_of_path(file.name): read_article(folder, file) for file in find_articles(folder)}
    assert {name: article.title for name, article in articles.items()} == {
        "d/1": 'Colons: "quotes" and #',
        "d2": "First sentence here.",
        "d3": "Only a title",
    }
    assert "Second one." in articles["d2"].source.text


def test_second_writing_changes_only_what_differs(tmp_path: Path) -> None:
    folder = tmp_path / "articles"
    rows = [{"_id": name, "title": "T", "text": f"text of {name}"} for name in ("a", "b", "c")]
    write_corpus(write_lines(tmp_path / "corpus.jsonl", rows), folder)
    before = {file.name: file.stat().st_mtime_ns for file in find_articles(folder)}
    write_corpus(write_lines(tmp_path / "corpus.jsonl", [rows[0], {**rows[1], "text": "new"}]), folder)
    after = {file.name: file.stat().st_mtime_ns for file in find_articles(folder)}
    assert set(after) == {"a.md", "b.md"}
    assert after["a.md"] == before["a.md"]
    assert "new" in (folder / "b.md").read_text()


def test_document_that_comes_twice(tmp_path: Path) -> None:
    corpus = write_lines(tmp_path / "corpus.jsonl", [{"_id": "a", "text": "x"}, {"_id": "a", "text": "y"}])
    with pytest.raises(DatasetError, match=r"corpus\.jsonl:2: document 'a' is already at"):
        write_corpus(corpus, tmp_path / "articles")
