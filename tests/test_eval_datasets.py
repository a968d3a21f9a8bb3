"""The three layouts, and every way in which one can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eval.datasets import Dataset, load_dataset
from indexer.errors import DatasetError
from indexer.metadata import Audience
from tests.conftest import write_article
from tests.eval_world import write_dataset, write_lines, write_text


@pytest.fixture
def folder(small_world: Path) -> Path:
    """A data set in the folder layout."""
    return write_dataset(small_world.parent)


def load(folder: Path, **options: Any) -> Dataset:
    return load_dataset(folder, folder / "cache", **options)


def test_folder_layout(folder: Path) -> None:
    data = load(folder)
    assert [(ticket.query_id, ticket.kind) for ticket in data.tickets] == [
        ("t1", None),
        ("t2", None),
        ("t3", None),
        ("n1", "off_topic"),
        ("n2", "same_product"),
    ]
    assert data.tickets[0].relevant == {"auth/token-expired.md"}
    assert data.tickets[2].audience is Audience.PUBLIC
    assert (data.split, data.problems) == ("", ())
    assert [ticket.query_id for ticket in data.every_ticket] == ["t1", "t2", "t3", "n1", "n2"]
    assert data.document_id("auth/token-expired.md") == "auth/token-expired.md"


def test_first_takes_of_both_sorts(folder: Path) -> None:
    assert [ticket.query_id for ticket in load(folder).first(1).tickets] == ["t1", "n1"]


def test_strange_labels_are_reported_and_the_rest_is_kept(folder: Path) -> None:
    write_text(
        folder / "qrels.tsv",
        "t1\tauth/token-expired.md\t1\nt9\tdb/listener.md\t1\nt2\tno/such.md\t1\nt3\tmail/bounce.md\t0\n",
    )
    data = load(folder)
    assert [ticket.query_id for ticket in data.tickets if ticket.answerable] == ["t1", "t2"]
    assert data.problems == (
        "qrels.tsv: labels of queries that queries.jsonl does not hold, passed over: t9 (line 2)",
        "qrels.tsv: labelled articles that do not exist, counted as not found: no/such.md (line 3)",
        "qrels.tsv: queries whose labels are all 0, not scored: t3",
    )


def test_query_without_label_is_reported(folder: Path) -> None:
    write_text(folder / "qrels.tsv", "t1\tauth/token-expired.md\t1\n")
    assert load(folder).problems == ("queries.jsonl: queries without a label, not scored: t2, t3",)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"_id": "t1", "text": "again"}, "comes twice"),
        ({"text": "no id"}, 'non-empty "_id"'),
        ({"_id": "t4", "title": " ", "text": ""}, "neither"),
        ({"_id": "t4", "text": "x", "audience": "everyone"}, '"internal" or "public"'),
    ],
)
def test_malformed_query(folder: Path, row: dict[str, str], reason: str) -> None:
    write_lines(folder / "queries.jsonl", [{"_id": "t1", "text": "first"}, row])
    with pytest.raises(DatasetError, match=reason) as caught:
        load(folder)
    assert "queries.jsonl:2: " in str(caught.value)


def test_unanswerable_ticket_with_the_id_of_a_query(folder: Path) -> None:
    write_lines(folder / "no_answer.jsonl", [{"_id": "t1", "text": "x"}])
    with pytest.raises(DatasetError, match=r"no_answer\.jsonl:1: id 't1' comes twice"):
        load(folder)


@pytest.mark.parametrize(
    ("file", "reason"),
    [("queries.jsonl", "cannot be read"), ("qrels.tsv", "has no labels; write qrels.tsv")],
)
def test_missing_file(folder: Path, file: str, reason: str) -> None:
    (folder / file).unlink()
    with pytest.raises(DatasetError, match=reason):
        load(folder)


def test_missing_folders(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is not a folder"):
        load(tmp_path / "absent")
    with pytest.raises(DatasetError, match="name it with --articles DIR"):
        load(folder, articles_dir=tmp_path / "absent")


def test_split_of_a_data_set_without_splits(folder: Path) -> None:
    with pytest.raises(DatasetError, match="it has no splits, so leave --split out"):
        load(folder, split="dev")


@pytest.fixture
def tickets(small_world: Path) -> Path:
    """A data set in the tickets layout, beside the articles."""
    folder = small_world.parent / "tickets"
    write_text(folder / "dataset.json", '{"articles": "../articles"}')
    write_lines(folder / "queries.jsonl", [{"_id": name, "text": f"ticket {name}"} for name in ("d1", "t1", "t2")])
    write_text(folder / "qrels/dev.tsv", "query-id\tcorpus-id\tscore\nd1\tdb/listener.md\t1\n")
    write_text(folder / "qrels/test.tsv", "query-id\tcorpus-id\tscore\nt1\tdb/listener.md\t1\nt2\tmail/bounce.md\t1\n")
    write_lines(
        folder / "no_answer.jsonl",
        [{"_id": "nd", "text": "x", "split": "dev"}, {"_id": "nt", "text": "y", "split": "test"}],
    )
    write_lines(
        folder / "snippets.jsonl", [{"query_id": "t1", "article": "db/listener.md", "start_line": 9, "end_line": 11}]
    )
    return folder


def test_tickets_layout(tickets: Path) -> None:
    test, dev = load(tickets), load(tickets, split="dev")
    assert (test.split, [ticket.query_id for ticket in test.tickets]) == ("test", ["t1", "t2", "nt"])
    assert (dev.split, [ticket.query_id for ticket in dev.tickets]) == ("dev", ["d1", "nd"])
    assert test.problems == dev.problems == ()
    assert test.articles_dir == (tickets.parent / "articles").resolve()
    assert test.answer_lines[0].start_line == 9
    assert len(test.every_ticket) == len(dev.every_ticket) == 5


def test_unknown_split(tickets: Path) -> None:
    with pytest.raises(DatasetError, match="no labels for split 'train'; it has dev, test"):
        load(tickets, split="train")
    (tickets / "qrels/test.tsv").rename(tickets / "qrels/final.tsv")
    with pytest.raises(DatasetError, match="splits dev, final; choose one with --split"):
        load(tickets)


@pytest.mark.parametrize("text", ["[]", '{"article": "x"}', '{"articles": 3}', "{"])
def test_malformed_description(tickets: Path, text: str) -> None:
    write_text(tickets / "dataset.json", text)
    with pytest.raises(DatasetError, match=r"dataset\.json:1: must be"):
        load(tickets)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"query_id": "t9"}, "is not in queries.jsonl"),
        ({"article": "db/no.md"}, "there is no article"),
        ({"start_line": "9"}, "must be a line number"),
        ({"start_line": 12}, "lines 12 to 11"),
        ({"end_line": 9_999}, "lines 9 to 9999 are not in"),
    ],
)
def test_malformed_snippet(tickets: Path, change: dict[str, Any], reason: str) -> None:
    row = {"query_id": "t1", "article": "db/listener.md", "start_line": 9, "end_line": 11, **change}
    write_lines(tickets / "snippets.jsonl", [row])
    with pytest.raises(DatasetError, match=reason) as caught:
        load(tickets)
    assert "snippets.jsonl:1: " in str(caught.value)


def test_beir_layout(tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    write_lines(folder / "corpus.jsonl", [{"_id": "doc 1", "title": "One", "text": "Text one."}])
    write_lines(folder / "queries.jsonl", [{"_id": "q1", "text": "one", "metadata": {}}, {"_id": "q2", "text": "two"}])
    write_text(folder / "qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\tdoc 1\t1\nq1\tgone\t1\n")
    data = load(folder)
    assert data.tickets[0].relevant == {"doc%201.md", "gone.md"}
    assert data.document_id("doc%201.md") == "doc 1"
    assert (data.articles_dir / "doc%201.md").is_file()
    assert data.problems == (
        "test.tsv: labelled articles that do not exist, counted as not found: gone (line 3)",
        "queries.jsonl: queries without a label, not scored: q2",
    )


def test_beir_with_other_articles(tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    write_lines(folder / "corpus.jsonl", [{"_id": "d", "text": "t"}])
    write_lines(folder / "queries.jsonl", [{"_id": "q1", "text": "one"}])
    write_text(folder / "qrels/test.tsv", "q1\tmine.md\t1\n")
    write_article(tmp_path / "mine", "mine.md")
    assert load(folder, articles_dir=tmp_path / "mine").tickets[0].relevant == {"mine.md"}
