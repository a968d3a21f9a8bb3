"""Paired comparison of two reports."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from eval.comparing import compare_reports, load_report, print_comparison
from eval.metrics import MEASURES
from indexer.errors import DatasetError


def _query(name: str, score: float | None, *, suggested: bool = True, **changes: Any) -> dict[str, Any]:
    metrics = None if score is None else dict.fromkeys(MEASURES, score)
    values = {"id": name, "answerable": score is not None, "labels": {"a": 1}, "metrics": metrics}
    return {**values, "suggested": suggested, "latency_ms": 1.0, **changes}


def _report(tmp_path: Path, name: str, *queries: dict[str, Any]) -> dict[str, Any]:
    file = tmp_path / name
    file.write_text(json.dumps({"format": 1, "queries": queries}))
    return load_report(file)


def test_rows(tmp_path: Path) -> None:
    first = _report(tmp_path, "a", _query("q1", 0.0), _query("q2", 1.0), _query("n", None), _query("only", 1.0))
    second = _report(tmp_path, "b", _query("q1", 1.0), _query("q2", 1.0), _query("n", None, suggested=False))
    comparison = compare_reports(first, second)
    rows = {row.measure: row for row in comparison.rows}
    top = rows["Success@1"]
    assert (top.tickets, top.first, top.second, top.wins, top.losses) == (2, 0.5, 1.0, 1, 0)
    assert top.delta.interval.value == 0.5
    assert rows["offline deflection potential"].delta.interval.value == 0.5
    assert (rows["false suggestions"].tickets, rows["false suggestions"].delta.interval.value) == (1, -1.0)
    assert comparison.problems == ["1 tickets are in only one of the two reports and left out"]
    assert comparison.as_dict()["rows"][0]["delta"]["value"] == 0.5
    out = io.StringIO()
    print_comparison(comparison, ("a.json", "b.json"), Console(file=out, width=80))
    assert "-1.000*" in out.getvalue()
    assert "…" not in out.getvalue()


def test_report_against_itself(tmp_path: Path) -> None:
    report = _report(tmp_path, "a", _query("q1", 0.3), _query("q2", 0.9))
    comparison = compare_reports(report, report)
    assert {(row.delta.interval.low, row.delta.interval.high) for row in comparison.rows} == {(0.0, 0.0)}
    assert "false suggestions" not in {row.measure for row in comparison.rows}


def test_reports_that_cannot_be_compared(tmp_path: Path) -> None:
    report = _report(tmp_path, "a", _query("q1", 0.3))
    with pytest.raises(DatasetError, match="share no ticket"):
        compare_reports(report, _report(tmp_path, "b", _query("q2", 0.3)))
    with pytest.raises(DatasetError, match="labelled differently"):
        compare_reports(report, _report(tmp_path, "c", _query("q1", 0.3, labels={"b": 1})))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "queries": [{}]}', '{"format": 9, "queries": []}'])
def test_file_that_is_no_report(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(DatasetError, match=r"x\.json: (is not a report|has report format 9)"):
        load_report(file)
