"""JSON, TREC run and tables."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import ir_measures
import pytest
from rich.console import Console

from eval.bootstrap import Interval
from eval.datasets import Dataset
from eval.leave_out import LeftOut
from eval.reporting import OutputError, print_run, report_as_dict, trec_run, write_json, write_text
from eval.runner import Outcome, Run
from eval.summary import summarise
from indexer.embedding import Precision
from tests.eval_world import outcome


def _run(*outcomes: Outcome, from_corpus: bool = False) -> Run:
    tickets = tuple(found.ticket for found in outcomes)
    dataset = Dataset("set", Path("set"), Path("set/articles"), "test", tickets, from_corpus=from_corpus)
    return Run(dataset, Path("index"), "v1", "model", Precision.INT8, 3, 9, outcomes, None, 2.0, ("odd",), 0.5)


@pytest.fixture
def run() -> Run:
    return _run(
        outcome("q 1", ["a/b c.md", "d.md"], labels={"d.md": 1}),
        outcome("n1", ["d.md"], kind="hard", confidence=0.1, suggested=False),
    )


def test_trec_run(run: Run) -> None:
    assert trec_run(run) == (
        "q%201 Q0 a/b%20c.md 1 10.000000 symptom-kb\n"
        "q%201 Q0 d.md 2 9.000000 symptom-kb\n"
        "n1 Q0 d.md 1 10.000000 symptom-kb\n"
    )


def test_trec_run_keeps_the_order_of_ties() -> None:
    tied = replace(outcome("q", labels={"a": 1}), ranked=(("z", 0.5), ("a", 0.5), ("m", 0.4999999999)))
    read = list(ir_measures.read_trec_run(trec_run(_run(tied))))
    assert [found.doc_id for found in sorted(read, key=lambda doc: -doc.score)] == ["z", "a", "m"]
    assert len({found.score for found in read}) == 3


def test_trec_run_names_documents_of_a_corpus_by_id() -> None:
    found = trec_run(_run(outcome("q", ["doc%2F1.md"], labels={"doc%2F1.md": 1}), from_corpus=True))
    assert found.split()[2] == "doc/1"


def test_report_has_every_ticket(run: Run, tmp_path: Path) -> None:
    left_out = (outcome("q 1", ["e.md"], confidence=0.2, suggested=False),)
    run = replace(run, left_out=left_out)
    file = tmp_path / "new/report.json"
    write_json(file, report_as_dict(run, summarise(run)))
    report = json.loads(file.read_text())
    first, second = report["queries"]
    assert first["ranked"] == [{"id": "a/b c.md", "score": 10.0}, {"id": "d.md", "score": 9.0}]
    assert (first["labels"], first["metrics"]["RR@10"]) == ({"d.md": 1}, 0.5)
    assert first["left_out"] == {"confidence": 0.2, "suggested": False, "ranked": ["e.md"]}
    assert (second["answerable"], second["kind"], second["metrics"]) == (False, "hard", None)
    assert (second["confidence"], second["suggested"]) == (0.1, False)
    assert report["dataset"]["problems"] == ["odd"]
    assert report["summary"]["retrieval"]["RR@10"]["value"] == 0.5
    assert report["summary"]["decision"]["offline_deflection_potential"]["value"] == 0.0
    assert report["summary"]["leave_article_out"]["auroc"]["value"] == 1.0
    assert report["summary"]["citations"] == {"total": 0, "verified": 0, "share": None, "failures": []}


def test_tables_fit_eighty_columns(run: Run) -> None:
    interval = Interval(0.123, 0.001, 0.999)
    summary = replace(
        summarise(run),
        left_out=LeftOut(9, interval, interval, interval, interval),
        citation_failures=["a.md is not the cited version"],
        citations=12_345,
        snippets_judged=60,
        snippets_not_suggested=3,
        snippet_overlap=interval,
    )
    out = io.StringIO()
    print_run(run, summary, Console(file=out, width=80))
    text = out.getvalue()
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    for words in ("offline deflection potential", "nDCG@10", "0.001–0.999", "12344 of 12345", "citation fails: a.md"):
        assert words in text
    assert "rate" not in text


def test_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="name another file"):
        write_text(tmp_path / "file/report.json", "")
