from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from indexer import building, publishing
from indexer.building import NothingPublished, build_index, describe
from indexer.chunking import ChunkLimits
from indexer.dense import IndexType
from indexer.embedding import Embedder, load_embedder
from indexer.errors import IndexMismatch
from indexer.metadata import Audience
from indexer.publishing import check_embedder
from indexer.snapshot import Snapshot, current_version
from tests.conftest import FakeEmbedder, build, chunk_text, write_article

ROOT = Path(building.__file__).parents[1]


def test_what_a_first_build_reports(small_world: Path, index_dir: Path) -> None:
    report = build(small_world, index_dir)
    assert report.added == ("auth/token-expired.md", "db/listener.md", "mail/bounce.md", "runbooks/restart.md")
    assert (report.changed, report.removed, report.errors) == ((), (), ())
    assert (report.article_count, report.chunk_count) == (4, 8)
    assert report.reused == 0
    assert report.version == current_version(index_dir)
    values = describe(report)
    assert json.loads(json.dumps(values))["articles"] == 4
    assert not list(index_dir.glob(".building-*"))


def _build_anew(source: Path, index: Path) -> str:
    """Add a sentence to an article, and publish. Returns the version's name."""
    file = source / "mail/bounce.md"
    file.write_text(f"{file.read_text()}\nOne more sentence.\n")
    report = build(source, index)
    assert report.published
    return report.version


def test_only_what_changed_is_embedded(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    file = small_world / "db/listener.md"
    file.write_text(file.read_text().replace("Correct the alias", "Repair the alias"))
    embedder = FakeEmbedder()
    report = build(small_world, index_dir, embedder)
    assert report.changed == ("db/listener.md",)
    assert (report.added, report.removed) == ((), ())
    assert report.embedded == 1
    assert len(embedder.texts) == 1
    assert "Repair the alias" in embedder.texts[0]


def test_nothing_is_embedded_twice(small_world: Path, index_dir: Path) -> None:
    first = build(small_world, index_dir)
    embedder = FakeEmbedder()
    second = build(small_world, index_dir, embedder, default_audience=Audience.PUBLIC)
    assert embedder.texts == []
    assert (second.published, second.embedded, second.reused) == (True, 0, first.embedded)


def test_removal(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    (small_world / "db/listener.md").unlink()
    report = build(small_world, index_dir)
    assert report.removed == ("db/listener.md",)
    assert report.embedded == 0
    snapshot = Snapshot.open(index_dir)
    assert snapshot.store.row_of("KB-1002") is None
    assert "error code: ora-12154" not in snapshot.signatures


def test_a_deleted_articles_vectors_are_dropped(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    file = small_world / "db/listener.md"
    text = file.read_text()
    file.unlink()
    build(small_world, index_dir)
    file.write_text(text)
    assert build(small_world, index_dir).embedded > 0


def test_two_versions_are_kept(small_world: Path, index_dir: Path) -> None:
    versions = [_build_anew(small_world, index_dir) for _ in range(4)]
    assert {path.name for path in index_dir.iterdir() if path.is_dir()} == set(versions[-2:])


def test_a_clock_set_back_keeps_the_new_version(
    small_world: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import UTC, datetime

    for _ in range(2):
        _build_anew(small_world, index_dir)

    class Past(datetime):
        @classmethod
        def now(cls, tz: object = None) -> Past:
            return cls(2001, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(publishing, "datetime", Past)
    version = _build_anew(small_world, index_dir)
    assert version.startswith("2001")
    assert Snapshot.open(index_dir).name == version


def test_an_open_snapshot_outlives_its_version(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    snapshot = Snapshot.open(index_dir)
    for _ in range(3):
        _build_anew(small_world, index_dir)
    assert not snapshot.folder.exists()
    assert snapshot.article(0).path == "auth/token-expired.md"
    assert snapshot.vectors.vectors(np.arange(2)).shape[0] == 2


def test_malformed_files_are_left_out_and_told(small_world: Path, index_dir: Path) -> None:
    (small_world / "bad.md").write_bytes(b"# A\n\xff")
    write_article(small_world, "zz.md", article_id="KB-1001")
    report = build(small_world, index_dir)
    assert [str(error) for error in report.errors] == [
        "bad.md:2: is not UTF-8 (byte 0xff); save it as UTF-8",
        "zz.md:1: has the same id KB-1001 as auth/token-expired.md; give it one of its own",
    ]
    assert report.article_count == 4


def test_strict_publishes_nothing(small_world: Path, index_dir: Path) -> None:
    old = build(small_world, index_dir).version
    (small_world / "bad.md").write_bytes(b"\xff")
    with pytest.raises(NothingPublished, match=r"bad\.md:1: is not UTF-8"):
        build(small_world, index_dir, strict=True)
    assert current_version(index_dir) == old


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_without_any_article_nothing_is_published(source: Path, index_dir: Path, content: bytes | None) -> None:
    if content is not None:
        (source / "bad.md").write_bytes(content)
    with pytest.raises(NothingPublished) as caught:
        build(source, index_dir)
    assert ("bad.md:1: is not UTF-8" in str(caught.value)) is (content is not None)
    assert not (index_dir / "CURRENT").exists()


def test_the_default_audience_is_internal(source: Path, index_dir: Path) -> None:
    write_article(source, "none.md", audience=None)
    write_article(source, "named.md", audience="public")
    build(source, index_dir)
    audiences = {card.path: card.audience for card in Snapshot.open(index_dir).store.cards}
    assert audiences == {"none.md": Audience.INTERNAL, "named.md": Audience.PUBLIC}
    build(source, index_dir, default_audience=Audience.PUBLIC)
    assert {card.audience for card in Snapshot.open(index_dir).store.cards} == {Audience.PUBLIC}


@pytest.mark.parametrize("kind", [IndexType.SQFP16, IndexType.HNSW, IndexType.IVF])
def test_every_layout_is_published(small_world: Path, index_dir: Path, kind: IndexType) -> None:
    build(small_world, index_dir, index_type=kind)
    snapshot = Snapshot.open(index_dir)
    assert snapshot.manifest.index_type is kind
    assert snapshot.vectors.kind is kind


def test_limits_never_pass_the_models(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir, FakeEmbedder(max_tokens=64), limits=ChunkLimits(500, 400))
    assert Snapshot.open(index_dir).manifest.limits == ChunkLimits(64, 64)


def test_the_models_prompt_stands_before_every_passage_and_takes_its_room(small_world: Path, index_dir: Path) -> None:
    embedder = FakeEmbedder(max_tokens=64, document_prompt="represent this : ")
    build(small_world, index_dir, embedder)
    assert embedder.texts
    assert all(text.startswith("represent this : ") for text in embedder.texts)
    assert max(embedder.count_tokens(embedder.texts)) <= 64 - 2
    assert Snapshot.open(index_dir).manifest.limits.max_tokens == 64 - 3


def test_check_embedder(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    manifest = Snapshot.open(index_dir).manifest
    check_embedder(manifest, FakeEmbedder())
    with pytest.raises(IndexMismatch, match="run `kb index` with the same model"):
        check_embedder(manifest, FakeEmbedder(salt="other"))


def test_stages_are_reported_to_their_ends(small_world: Path, index_dir: Path) -> None:
    seen: dict[str, tuple[int, int]] = {}
    build_index(
        small_world,
        index_dir,
        FakeEmbedder(),
        progress=lambda stage, done, total: seen.__setitem__(stage, (done, total)),
    )
    assert seen["reading"] == (4, 4)
    assert seen["embedding"][0] == seen["embedding"][1] > 0
    assert all(done == total for done, total in seen.values())


def test_files_are_utf8_whatever_the_locale(small_world: Path, index_dir: Path) -> None:
    """EncodingWarning (PEP 597) tells of a text file that is opened in the locale's encoding."""
    script = f"""
import warnings
from pathlib import Path
from indexer.publishing import Learned, publish_learned
from indexer.snapshot import Snapshot
from tests.conftest import FakeEmbedder, build
warnings.simplefilter("error", EncodingWarning)
build(Path({str(small_world)!r}), Path({str(index_dir)!r}))
publish_learned(Path({str(index_dir)!r}), FakeEmbedder(), Learned(decision={{}}))
Snapshot.open(Path({str(index_dir)!r}))
"""
    command = [sys.executable, "-X", "warn_default_encoding", "-W", "ignore", "-c", script]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_real_model_end_to_end(small_world: Path, index_dir: Path, real_embedder: Embedder) -> None:
    report = build(small_world, index_dir, real_embedder)
    snapshot = Snapshot.open(index_dir)
    check_embedder(snapshot.manifest, load_embedder())
    assert snapshot.manifest.limits.max_tokens <= 256
    texts = [chunk_text(snapshot, number) for number in range(report.chunk_count)]
    assert max(real_embedder.count_tokens(texts)) <= 254
