from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import IndexCorrupt, IndexMismatch, IndexNotFound
from indexer.snapshot import Manifest, Snapshot, current_version
from tests.conftest import FakeEmbedder, build, chunk_text


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.conftest import write_article

    root = tmp_path_factory.mktemp("published")
    for number in range(3):
        write_article(root / "articles", f"a{number}.md", f"Error ORA-1215{number} here.\n\n## More\n\nWords.\n")
    build(root / "articles", root / "index")
    return root / "index"


@pytest.fixture
def index_copy(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "copy"))


def test_open_gives_what_was_written(published: Path) -> None:
    snapshot = Snapshot.open(published)
    assert [card.path for card in snapshot.store.cards] == ["a0.md", "a1.md", "a2.md"]
    assert snapshot.manifest.fingerprint == FakeEmbedder().fingerprint
    assert len(snapshot.chunks) == len(snapshot.vectors) == snapshot.manifest.chunk_count == 6
    assert snapshot.signatures["error code: ora-12151"] == [1]
    article = snapshot.article(1)
    assert article.source.slice(snapshot.chunk_span(2)) == "Error ORA-12151 here."
    assert chunk_text(snapshot, 2) == "Article about a1\nError ORA-12151 here."


def test_opening_changes_nothing(published: Path) -> None:
    def state() -> dict[str, tuple[int, bytes]]:
        return {
            path.as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
            for path in published.rglob("*")
            if path.is_file()
        }

    before = state()
    snapshot = Snapshot.open(published)
    snapshot.vectors.vectors(np.arange(3))
    assert state() == before


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(IndexNotFound, match="kb index FOLDER --index"):
        Snapshot.open(tmp_path / "none")


def test_a_flipped_byte_in_any_file_is_found(index_copy: Path) -> None:
    """Every file of the version, CURRENT and the manifest included; first, last and random bytes, one bit each."""
    folder = index_copy / current_version(index_copy)
    chance = random.Random(7)
    files = [index_copy / "CURRENT", *(path for path in folder.rglob("*") if path.is_file())]
    assert len(files) > 10
    for file in files:
        data = bytearray(file.read_bytes())
        places = {0, len(data) - 1, *(chance.randrange(len(data)) for _ in range(6))} if data else set()
        for place in places:
            bit = 1 << chance.randrange(8)
            data[place] ^= bit
            if file.name == "CURRENT" and data.decode("ascii", "replace").strip() == folder.name:
                data[place] ^= bit
                continue
            file.write_bytes(data)
            with pytest.raises(IndexCorrupt):
                Snapshot.open(index_copy)
            data[place] ^= bit
        file.write_bytes(data)
    Snapshot.open(index_copy)


@pytest.mark.parametrize("change", ["missing", "extra", "shorter"])
def test_files_that_are_missing_extra_or_shorter(index_copy: Path, change: str) -> None:
    folder = index_copy / current_version(index_copy)
    file = folder / "chunks.bin"
    if change == "missing":
        file.unlink()
    elif change == "extra":
        (folder / "words" / "extra").write_text("x")
    else:
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(IndexCorrupt, match="kb index"):
        Snapshot.open(index_copy)


@pytest.mark.parametrize("name", ["", "../x", "nowhere", "/etc", ".", "\x00"])
def test_a_pointer_to_nowhere(index_copy: Path, name: str) -> None:
    (index_copy / "CURRENT").write_text(name)
    with pytest.raises(IndexCorrupt, match="names no version"):
        Snapshot.open(index_copy)


def test_another_format_says_so(index_copy: Path) -> None:
    import hashlib

    folder = index_copy / current_version(index_copy)
    values = json.loads((folder / "manifest.json").read_text())
    values["format_version"] = 99
    body = json.dumps(values).encode()
    other = folder.with_name(f"20990101T000000-{hashlib.sha256(body).hexdigest()[:12]}")
    folder.rename(other)
    (other / "manifest.json").write_bytes(body)
    (index_copy / "CURRENT").write_text(other.name)
    with pytest.raises(IndexMismatch, match="format 99"):
        Snapshot.open(index_copy)


def test_manifests_read_back(published: Path) -> None:
    folder = published / current_version(published)
    manifest = Manifest.read(folder)
    assert manifest.as_dict() == json.loads((folder / "manifest.json").read_text())
    assert manifest.files.keys() == {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
