"""Malformed labels are named by file and line, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.labels import read_labels
from indexer.errors import DatasetError
from tests.eval_world import write_text


@pytest.mark.parametrize("header", ["", "query-id\tcorpus-id\tscore\n", "\ufeffquery\tarticle\tgrade\r\n"])
def test_header_row_is_optional(tmp_path: Path, header: str) -> None:
    file = write_text(tmp_path / "qrels.tsv", f"{header}q1\ta b.md\t2\n\nq1\tc.md\t0\n")
    assert [(label.query_id, label.target, label.grade) for label in read_labels(file)] == [
        ("q1", "a b.md", 2),
        ("q1", "c.md", 0),
    ]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("q1\ta.md\t1\nq1 a.md 1\n", 2, "two tabs"),
        ("q1\t0\ta.md\t1\n", 1, "two tabs"),
        ("q1\ta.md\t1\nq2\ta.md\tyes\n", 2, "whole number"),
        ("q1\ta.md\t1.5\n", 1, "whole number"),
        ("q1\ta.md\t1\nq1\ta.md\t2\n", 2, "grades q1 a.md as 2"),
        ("\ta.md\t1\n", 1, "two tabs"),
    ],
)
def test_malformed_label(tmp_path: Path, text: str, line: int, reason: str) -> None:
    file = write_text(tmp_path / "qrels.tsv", text)
    with pytest.raises(DatasetError, match=reason) as caught:
        read_labels(file)
    assert str(caught.value).startswith(f"{file}:{line}: ")
