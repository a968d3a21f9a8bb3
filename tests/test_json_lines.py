"""Malformed lines are named by file and line, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.errors import DatasetError
from service.json_lines import read_records, read_text
from tests.eval_world import write_text


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('{"_id": "a"}\n{"_id": \n', 2, "is not JSON"),
        ('\n\n["a"]\n', 3, "must be one JSON object"),
    ],
)
def test_malformed_json_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    file = write_text(tmp_path / "queries.jsonl", text)
    with pytest.raises(DatasetError, match=reason) as caught:
        list(read_records(file))
    assert str(caught.value).startswith(f"{file}:{line}: ")


def test_record_fields(tmp_path: Path) -> None:
    file = write_text(tmp_path / "q.jsonl", '{"_id": 7, "text": 1, "title": null, "lines": 0, "half": "\\ud800"}\n')
    record = next(iter(read_records(file)))
    assert record.name("_id") == "7"
    assert record.text("title", "none") == "none"
    assert record.text("half") == "?"
    for call in (
        lambda: record.text("text"),
        lambda: record.text("absent"),
        lambda: record.name("title"),
        lambda: record.line_number("lines"),
    ):
        with pytest.raises(DatasetError, match=r"q\.jsonl:1: "):
            call()


def test_not_utf8_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "queries.jsonl"
    file.write_bytes(b"{}\n{}\n\xff\n")
    with pytest.raises(DatasetError, match=r"queries\.jsonl:3: is not UTF-8"):
        read_text(file)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_text(tmp_path / "absent.jsonl")


def test_only_a_line_feed_ends_a_line_and_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    file = write_text(tmp_path / "q.jsonl", '\ufeff{"_id": "a", "text": "one\u2028two\u0085three"}\r\n{"_id": "b"}\n')
    assert [record.text("text", "") for record in read_records(file)] == ["one\u2028two\u0085three", ""]
