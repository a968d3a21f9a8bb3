"""What a second build of a folder reuses, and that its result is that of a first one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import gathering
from indexer.analysis import analyze
from indexer.articles import parse_article
from indexer.building import NothingPublished
from indexer.dense import IndexType
from indexer.embedding import Encoded, Vectors
from indexer.errors import IndexCorrupt
from indexer.history import ResolvedTickets
from indexer.metadata import Audience
from indexer.publishing import Learned, publish_learned
from indexer.snapshot import Snapshot, current_version
from tests.conftest import FAKE_DIMENSIONS, FakeEmbedder, build, chunk_text, write_article


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were parsed, as they are."""
    paths: list[str] = []

    def parse(path: str, *rest: object) -> object:
        paths.append(path)
        return parse_article(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(gathering, "parse_article", parse)
    return paths


def _contents(index: Path) -> dict[str, bytes]:
    """The live version's files; its manifest says when it was made, which differs."""
    folder = Snapshot.open(index).folder
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: file.read_bytes() for name, file in files.items() if name != "manifest.json"}


def _edit(source: Path) -> None:
    file = source / "auth/token-expired.md"
    file.write_text(file.read_text().replace("Set the clock.", "Set the clock.\n\n## Cause\n\nA widget was late.\n"))


def _rename(source: Path) -> None:
    (source / "mail/bounce.md").rename(source / "mail/a-bounce.md")


CHANGES: dict[str, Callable[[Path], object]] = {
    "edit": _edit,
    "rename": _rename,
    "add first": lambda source: write_article(source, "aaa.md", audience=None),
    "add last": lambda source: write_article(source, "zzz.md", "Sentence about ORA-12154, 7 \u00bd \u2488 \ufb01ne.\n"),
    "no words": lambda source: write_article(source, "mm.md", "# ---\n\n...\n", title="'!'"),
    "remove": lambda source: (source / "db/listener.md").unlink(),
    "same text twice": lambda source: write_article(source, "twin.md", title="Article about aaa", audience=None),
    "malformed": lambda source: (source / "bad.md").write_bytes(b"\xff"),
}


@pytest.mark.parametrize("kind", [IndexType.FLAT, IndexType.SQFP16])
def test_an_incremental_build_equals_a_fresh_one(small_world: Path, tmp_path: Path, kind: IndexType) -> None:
    build(small_world, tmp_path / "index", index_type=kind)
    for number, (name, change) in enumerate(CHANGES.items()):
        change(small_world)
        again = build(small_world, tmp_path / "index", index_type=kind)
        first = build(small_world, tmp_path / f"fresh-{number}", index_type=kind)
        assert again.published, name
        assert _contents(tmp_path / "index") == _contents(tmp_path / f"fresh-{number}"), name
        assert (again.article_count, again.chunk_count) == (first.article_count, first.chunk_count)
        assert [str(error) for error in again.errors] == [str(error) for error in first.errors]


def test_only_what_changed_is_parsed(small_world: Path, index_dir: Path, parsed: list[str]) -> None:
    build(small_world, index_dir)
    assert len(parsed) == 4
    parsed.clear()
    _edit(small_world)
    assert build(small_world, index_dir).changed == ("auth/token-expired.md",)
    assert parsed == ["auth/token-expired.md"]


def test_where_nothing_changed_nothing_is_published(small_world: Path, index_dir: Path, parsed: list[str]) -> None:
    first = build(small_world, index_dir)
    parsed.clear()
    embedder = FakeEmbedder()
    again = build(small_world, index_dir, embedder)
    assert (again.published, again.version) == (False, first.version)
    assert (again.article_count, again.chunk_count) == (first.article_count, first.chunk_count)
    assert (again.added, again.changed, again.removed) == ((), (), ())
    assert parsed == embedder.texts == []
    assert current_version(index_dir) == first.version


def test_a_title_with_a_line_separator_is_one_entry_of_the_catalogue(small_world: Path, index_dir: Path) -> None:
    write_article(small_world, "odd.md", title='"One\u2028two"')
    build(small_world, index_dir)
    _edit(small_world)
    report = build(small_world, index_dir)
    assert (report.added, report.changed) == ((), ("auth/token-expired.md",))


def test_what_an_index_learned_stays_where_nothing_changed(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    folder = _learn(index_dir)
    again = build(small_world, index_dir)
    assert (again.published, again.version) == (False, folder.name)
    _edit(small_world)
    assert build(small_world, index_dir).published
    snapshot = Snapshot.open(index_dir)
    assert snapshot.history is not None
    assert snapshot.decision == {"model": {"threshold": 0.7}}


def _learn(index: Path) -> Path:
    """Teach the index a ticket and a decision. Returns the version's folder."""
    vectors: Vectors = np.eye(1, FAKE_DIMENSIONS, dtype=np.float32)
    tickets = ResolvedTickets(vectors, (("mail/bounce.md",),), ("2026-01-02",))
    version, _ = publish_learned(index, FakeEmbedder(), Learned(tickets, {"model": {"threshold": 0.7}}))
    return index / version


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _alter(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"2026", b"2025").replace(b"0.7", b"0.1"))


@pytest.mark.parametrize("name", ["history/links.json", "decision.json"])
@pytest.mark.parametrize("damage", [_cut, _alter, Path.unlink])
def test_damaged_learning_is_neither_kept_nor_dropped_in_silence(
    small_world: Path, index_dir: Path, name: str, damage: Callable[[Path], object]
) -> None:
    build(small_world, index_dir)
    folder = _learn(index_dir)
    damage(folder / name)
    with pytest.raises(NothingPublished, match=f"what the index learned would be lost: .*{name}"):
        build(small_world, index_dir, strict=True)
    assert current_version(index_dir) == folder.name
    report = build(small_world, index_dir)
    assert name in report.learning_lost
    snapshot = Snapshot.open(index_dir)
    assert (snapshot.name, snapshot.history, snapshot.decision) == (report.version, None, None)
    assert build(small_world, index_dir).learning_lost == ""


def test_damage_elsewhere_leaves_what_was_learned(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    _cut(_learn(index_dir) / "words/rows.bin")
    assert build(small_world, index_dir).learning_lost == ""
    assert Snapshot.open(index_dir).decision == {"model": {"threshold": 0.7}}


@pytest.mark.parametrize("name", ["manifest.json", "../CURRENT"])
@pytest.mark.parametrize("learned", [False, True])
def test_where_the_manifest_is_damaged_learning_is_lost_only_if_there_was_some(
    small_world: Path, index_dir: Path, name: str, learned: bool
) -> None:
    folder = index_dir / build(small_world, index_dir).version
    if learned:
        folder = _learn(index_dir)
    (folder / name).write_text("x")
    assert bool(build(small_world, index_dir).learning_lost) is learned


def test_learning_in_another_format_is_not_dropped_in_silence(
    small_world: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(small_world, index_dir)
    _learn(index_dir)
    for module in ("snapshot", "publishing"):
        monkeypatch.setattr(f"indexer.{module}.FORMAT_VERSION", 99)
    assert "this program reads 99" in build(small_world, index_dir).learning_lost
    for module in ("snapshot", "publishing"):
        monkeypatch.setattr(f"indexer.{module}.FORMAT_VERSION", 100)
    assert build(small_world, index_dir).learning_lost == ""  # nothing was learned since


@pytest.mark.parametrize("name", ["vectors.faiss", "articles.jsonl", "manifest.json", "words/rows.bin"])
def test_a_damaged_version_is_built_again(small_world: Path, index_dir: Path, name: str) -> None:
    old = build(small_world, index_dir).version
    file = index_dir / old / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(IndexCorrupt):
        Snapshot.open(index_dir)
    report = build(small_world, index_dir)
    assert report.published
    assert report.version != old
    assert Snapshot.open(index_dir).name == report.version


@pytest.mark.parametrize(
    "options",
    [{"default_audience": Audience.PUBLIC}, {"index_type": IndexType.HNSW}],
    ids=["default audience", "layout"],
)
def test_other_options_are_a_change(small_world: Path, index_dir: Path, options: dict[str, Any]) -> None:
    build(small_world, index_dir)
    assert build(small_world, index_dir, **options).published
    assert not build(small_world, index_dir, **options).published


def test_another_model_is_a_change(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    assert build(small_world, index_dir, FakeEmbedder(salt="other")).embedded > 0


def test_other_code_is_a_change(
    small_world: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch, parsed: list[str]
) -> None:
    build(small_world, index_dir)
    parsed.clear()
    monkeypatch.setattr(gathering, "_code_digest", lambda: "newer")
    assert build(small_world, index_dir).published
    assert len(parsed) == 4


def test_malformed_files_are_told_of_again(small_world: Path, index_dir: Path, parsed: list[str]) -> None:
    (small_world / "bad.md").write_bytes(b"\xff")
    write_article(small_world, "zz.md", article_id="KB-1001")
    first = build(small_world, index_dir)
    parsed.clear()
    again = build(small_world, index_dir)
    assert not again.published
    assert [str(error) for error in again.errors] == [str(error) for error in first.errors]
    assert len(again.errors) == 2
    assert parsed == ["bad.md", "zz.md"]
    with pytest.raises(NothingPublished, match=r"bad\.md:1: is not UTF-8"):
        build(small_world, index_dir, strict=True)


def _overwrite(file: Path) -> None:
    file.write_bytes(b"not a database, and longer than its header" * 100)


def _flip(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        (table,) = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchone()
        for key, value in connection.execute(f"SELECT key, value FROM {table}").fetchall():
            damaged = bytes([*value[:20], value[20] ^ 1, *value[21:]])
            connection.execute(f"UPDATE {table} SET value = ? WHERE key = ?", (damaged, key))


@pytest.mark.parametrize("name", ["articles.sqlite", "embeddings.sqlite"])
@pytest.mark.parametrize("damage", [_overwrite, _flip, Path.unlink])
def test_a_damaged_cache_changes_nothing(
    small_world: Path, tmp_path: Path, name: str, damage: Callable[[Path], object]
) -> None:
    build(small_world, tmp_path / "index")
    damage(tmp_path / "index" / name)
    _edit(small_world)
    build(small_world, tmp_path / "index")
    build(small_world, tmp_path / "fresh")
    assert _contents(tmp_path / "index") == _contents(tmp_path / "fresh")


def test_what_deleted_articles_leave_behind_is_dropped(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    (small_world / "db/listener.md").unlink()
    build(small_world, index_dir)
    with closing(sqlite3.connect(index_dir / "articles.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM articles").fetchone() == (3,)


class _Crash(Exception):
    pass


def test_a_crash_while_embedding_keeps_what_was_parsed(small_world: Path, index_dir: Path, parsed: list[str]) -> None:
    class Crashing(FakeEmbedder):
        def encode(self, texts: object, max_tokens: object = None) -> Encoded:
            raise _Crash

    with pytest.raises(_Crash):
        build(small_world, index_dir, Crashing())
    parsed.clear()
    assert build(small_world, index_dir).published
    assert parsed == []


def test_a_file_that_changes_while_it_is_read_is_taken_as_it_is_then(
    small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = gathering.read_sources

    def list_then_edit(*arguments: object) -> object:
        found = listed(*arguments)  # type: ignore[arg-type]
        _edit(small_world)
        return found

    with monkeypatch.context() as patch:
        patch.setattr("indexer.building.read_sources", list_then_edit)
        build(small_world, tmp_path / "index")
    assert not build(small_world, tmp_path / "index").published
    build(small_world, tmp_path / "fresh")
    assert _contents(tmp_path / "index") == _contents(tmp_path / "fresh")


def test_a_file_that_is_gone_for_a_moment_is_taken_the_next_time(
    small_world: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = gathering.read_sources
    file, aside = small_world / "mail/bounce.md", small_world / "mail/bounce.aside"

    def list_then_move(*arguments: object) -> object:
        found = listed(*arguments)  # type: ignore[arg-type]
        file.rename(aside)
        return found

    with monkeypatch.context() as patch:
        patch.setattr("indexer.building.read_sources", list_then_move)
        report = build(small_world, index_dir)
    assert [error.path for error in report.errors] == ["mail/bounce.md"]
    aside.rename(file)
    assert build(small_world, index_dir).added == ("mail/bounce.md",)


def test_terms_go_into_the_index_as_they_are_searched(small_world: Path, index_dir: Path) -> None:
    for number, text in enumerate(
        ["na\u00efve \u212bngstr\u00f6m \u2488 \ufb01ne x\u00b2 \u2075", "don\u2019t caf\u00e9 \U0001d400bc \u01c4"]
    ):
        write_article(small_world, f"odd-{number}.md", f"{text}\n")
    build(small_world, index_dir)
    snapshot = Snapshot.open(index_dir)
    of = snapshot.chunks["article"].tolist()
    terms = [set(analyze(chunk_text(snapshot, chunk))) for chunk in range(len(of))]
    for term in set().union(*terms):
        _, held = snapshot.words.scores({term: 1.0})
        holding = {of[chunk] for chunk, in_chunk in enumerate(terms) if term in in_chunk}
        assert set(np.flatnonzero(held).tolist()) >= holding, term


@pytest.fixture(autouse=True)
def _no_leftovers(tmp_path: Path) -> Iterator[None]:
    yield
    assert not list(tmp_path.rglob(".building-*"))


def test_kb_index_says_that_nothing_changed(
    small_world: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from indexer.commands import app

    monkeypatch.setattr("indexer.embedding.load_embedder", lambda *_: FakeEmbedder())
    call = ["index", str(small_world), "--index", str(index_dir)]
    first = CliRunner().invoke(app, call)
    version = current_version(index_dir)
    again = CliRunner().invoke(app, call)
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert f"published {version}" in first.stderr
    assert "nothing changed: 4 articles in 8 chunks" in again.stderr
    assert f"{version} stays" in again.stderr
    as_json = json.loads(CliRunner().invoke(app, [*call, "--json"]).stdout)
    assert (as_json["published"], as_json["version"]) == (False, version)
