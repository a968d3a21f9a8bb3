"""The benchmark: corpora, loads and reports, without any other system and without timing anything."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from eval.bench.corpus import StandInEmbedder, copy_articles, read_questions, write_made_up_articles
from eval.bench.growth import Growth, build_for
from eval.bench.load import LoadFigures, free_port, serving, summarise_load
from eval.bench.report import Benchmark, markdown, targets, write_reports
from eval.bench.scale import (
    LayoutFigures,
    PostingFigures,
    build_step,
    made_up_questions,
    made_up_vectors,
    measure_postings,
    search_step,
)
from eval.bench.systems import Figures, Overload, alternating
from eval.cli import app
from eval.peers import run_faiss, run_ours
from eval.peers.environments import PeerError
from eval.peers.harness import edit
from indexer.articles import find_articles, read_article
from indexer.dense import IndexType
from indexer.embedding import Embedder
from indexer.errors import DatasetError
from tests.conftest import FakeEmbedder, build, write_article
from tests.eval_world import write_dataset

LONG = "The gateway refuses the connection because the certificate has expired, so every client sees an error page."


@pytest.fixture
def articles(source: Path) -> Path:
    for number in range(6):
        write_article(source, f"a{number}.md", f"## Symptoms\n\n{LONG} {number}\n\n## Resolution\n\n{LONG} Renew it.\n")
    return source


def test_articles_are_copied_until_there_are_enough_passages(articles: Path, tmp_path: Path) -> None:
    chunks = copy_articles(articles, tmp_path / "copy", 5)
    assert len(chunks) == 6
    assert {chunk["article"] for chunk in chunks} == {file.name for file in find_articles(tmp_path / "copy")}
    assert all(LONG in chunk["text"] for chunk in chunks)
    assert len(copy_articles(articles, tmp_path / "all", 1000)) == 12
    with pytest.raises(DatasetError, match="no articles"):
        copy_articles(tmp_path / "copy" / "none", tmp_path / "x", 5)


def test_made_up_articles_can_be_indexed_and_are_about_as_many(articles: Path, tmp_path: Path) -> None:
    write_made_up_articles(articles, tmp_path / "made", 60)
    write_made_up_articles(articles, tmp_path / "again", 60)
    files = find_articles(tmp_path / "made")
    assert len(files) == 6
    first = read_article(tmp_path / "made", files[0])
    assert len(first.sections) > 5
    assert files[3].read_bytes() == find_articles(tmp_path / "again")[3].read_bytes()
    embedder = StandInEmbedder()
    assert 50 <= build(tmp_path / "made", tmp_path / "index", embedder).chunk_count <= 70


def test_stand_in_vectors_pass_for_the_models(real_embedder: Embedder) -> None:
    stand_in = StandInEmbedder()
    assert stand_in.fingerprint == real_embedder.fingerprint
    assert stand_in.count_tokens([LONG]) == real_embedder.count_tokens([LONG])
    vectors = stand_in.embed(["a", "b", "c"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    assert stand_in.embed([]).shape == (0, 384)


def test_questions_short_and_long(small_world: Path) -> None:
    short, long = read_questions(write_dataset(small_world.parent))
    assert short == ["401 from the API", "Mail bounces"]
    assert long[1] == "ORA-12154 TNS could not resolve the connect identifier"
    assert len(long) == 3


def test_short_and_long_questions_take_turns_and_none_is_left_out() -> None:
    assert alternating(["a", "b", "c"], ["A"]) == ["a", "A", "b", "c"]
    assert alternating([], ["A", "B"]) == ["A", "B"]


def test_an_edit_is_really_indexed(articles: Path, tmp_path: Path) -> None:
    chunks = copy_articles(articles, tmp_path / "copy", 100)
    texts = [chunk["text"] for chunk in chunks if chunk["article"] == "a1.md"]
    job = {
        "articles_dir": str(tmp_path / "copy"),
        "chunks": chunks,
        "edit": {"article": "a1.md", "texts": texts, "rounds": 2},
    }
    fake = FakeEmbedder()

    class Ours(run_ours.Ours):
        def prepare(self, job: dict[str, object]) -> None:
            self._embedder = fake

    build(tmp_path / "copy", tmp_path / "index", fake)
    taken = edit(Ours(), job, tmp_path / "index", 0.0)["edit_s"]
    assert len(taken) == 2
    assert "Revision 1 of this text." in (tmp_path / "copy/a1.md").read_text()
    assert any("Revision 1 of this text." in text for text in fake.texts)


def test_the_plain_peer_replaces_an_article(articles: Path, tmp_path: Path) -> None:
    peer = run_faiss.PlainFaiss()
    fake = FakeEmbedder()
    peer._faiss = pytest.importorskip("faiss")
    peer._embed = fake.embed  # type: ignore[method-assign]
    chunks = copy_articles(articles, tmp_path / "copy", 100)
    peer.build({"chunks": chunks}, tmp_path / "index")
    peer.load(tmp_path / "index")
    peer.replace({}, tmp_path / "index", "a1.md", ["a zebra crossing"])
    peer.load(tmp_path / "index")
    assert peer.search("", "a zebra crossing", 1).ranked[0][0] == "a1.md"
    assert sorted(peer._articles).count("a1.md") == 1
    assert len(peer._articles) == 11


def test_growth_builds_and_edits(articles: Path, tmp_path: Path) -> None:
    job_file = tmp_path / "job.json"
    job_file.write_text(json.dumps({"articles_dir": str(articles), "folder": str(tmp_path / "index")}))
    build_for(job_file)
    figures = json.loads((tmp_path / "built.json").read_text())
    assert (figures["articles"], figures["chunks"]) == (6, 12)
    assert figures["disk_mb"] > 0


def test_load_figures_keep_warm_up_and_refusals_apart() -> None:
    seen = [
        (0.5, 900.0, 200, False),  # warm-up
        (1.5, 10.0, 200, False),
        (2.0, 30.0, 200, False),
        (2.5, 1.0, 503, True),
        (2.6, 1.0, 503, False),  # does not say when to come back
        (2.7, 1.0, 500, False),
        (3.5, 30000.0, 0, False),  # no answer, and late
    ]
    figures = summarise_load(seen, 8, 2.0, 0.03)
    assert (figures.asked, figures.refused, figures.unclean) == (7, 1, 3)
    assert figures.answers_per_s == 1.0
    assert figures.p50_ms == 20.0
    assert figures.cpu_ms == pytest.approx(10.0)
    assert math.isnan(summarise_load([], 1, 2.0, 0.0).p50_ms)


SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if "q=" in self.path else 404); self.end_headers()
    def log_message(self, *rest): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_a_server_is_waited_for_measured_and_ended(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-c", SERVER, str(port)]
    with serving(command, {}, "/search", "q", tmp_path / "log", port) as server:
        assert server.ask("anything") == 200
        assert server.resident_mb() > 1
        assert server.cpu_s() > 0
        assert server.first_answer_s > 0
    assert server.process.returncode is not None
    assert server.ask("anything", 1.0) == 0


def test_a_server_that_fails_is_named_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no index here')"]
    with (
        pytest.raises(PeerError, match="no index here"),
        serving(command, {}, "/search", "q", tmp_path / "log", free_port()),
    ):
        pass


def test_layouts_are_compared_with_the_flat_one(tmp_path: Path) -> None:
    for layout in (IndexType.FLAT, IndexType.SQFP16):
        built = build_step(layout, 2000, tmp_path)
        assert built["disk_mb"] > 1
        found = search_step(layout, 2000, tmp_path)
        assert 0.98 < found["recall"] <= 1.0


def test_made_up_vectors_are_clustered() -> None:
    vectors, questions = made_up_vectors(2000), made_up_questions(2000)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-4)
    nearest = (questions @ vectors.T).max(axis=1)
    assert 0.5 < float(np.median(nearest)) < 0.95


def test_postings_are_built_and_asked(tmp_path: Path) -> None:
    found = measure_postings(50, [LONG * 5], ["certificate expired"], tmp_path / "postings")
    assert found.count == 50
    assert found.disk_mb > 0
    assert not (tmp_path / "postings").exists()


def _figures(name: str, factor: float) -> Figures:
    loads = [LoadFigures(clients, 100, 400.0 / factor, 5.0 * factor, 9.0 * factor, 4.0, 0, 0) for clients in (1, 8)]
    return Figures(
        name=name,
        passages_per_s=50.0 / factor,
        edit_s=0.5 * factor,
        cold_start_s=factor,
        short_ms=(2.0 * factor, 4.0),
        long_ms=(6.0 * factor, 9.0),
        http_first_s=1.2,
        loads=loads,
    )


def test_targets_are_judged_by_ratios_of_the_run(tmp_path: Path) -> None:
    ours = _figures("ours", 1.0)
    ours.overload = Overload(400.0, 1600.0, LoadFigures(400, 9000, 390.0, 90.0, 110.0, 4.0, 7000, 2), 0.1)
    growth = Growth(10_007, 1000, 9.0, 1.0, 26.0, 260.0, 1.0, 2.0, 4.0, 6.0, 9.0, 1.4, 251.0)
    run = Benchmark(1000, 0.1, [ours, _figures("txtai", 6.0)], [growth])
    judged = {target.what: target.met for target in targets(run)}
    assert judged == {
        "indexing rate, times txtai's": True,
        "txtai's p50 of a short question, times ours": True,
        "txtai's p50 of a whole ticket, times ours": True,
        "HTTP answers a second at 8 clients, times txtai's": False,
        "start to first answer, in process": True,
        "start of `kb serve` to first answer": True,
        "unclean refusals at 4.0× the load": False,
        "recovery after the overload": True,
        "resident memory of the service, 10,000 chunks": False,
    }
    page, data = write_reports(run, tmp_path / "out")
    text = page.read_text()
    assert "| indexing, passages a second | 50.0 | 8.3 (×0.17) |" in text
    assert "| recovery after the overload | at most 2 s | 0.10 s | yes |" in text
    assert "| 10,007 | 1,000 | 9.0 s |" in text
    assert json.loads(data.read_text())["systems"]["txtai"]["http"][1]["clients"] == 8


def test_scale_report_counts_memory_for_a_million() -> None:
    layout = LayoutFigures("sqfp16", 500_000, 3.0, 900.0, 366.0, 370.0, 9.0, 11.0, 12.0, 0.999)
    text = markdown(Benchmark(0, 0.0, layouts=[layout], postings=PostingFigures(500_000, 60.0, 80.0, 0.5, 1.5)))
    assert "| sqfp16 | 3 s | 900 MB | 366 MB | 370 MB | 740 MB |" in text
    assert "Targets" not in text


def test_the_command_is_there() -> None:
    result = CliRunner().invoke(app, ["eval", "bench", "--scale-count", "5"])
    assert result.exit_code == 2
