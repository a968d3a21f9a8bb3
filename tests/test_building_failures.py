"""What a build leaves behind that is killed, finds the disk full, or is not alone: the old version, live and sound."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from indexer import building, dense, publishing, writing
from indexer.building import build_index
from indexer.embedding import Embedder, Encoded
from indexer.errors import IndexBusy, IndexUnwritable
from indexer.publishing import lock_index
from indexer.snapshot import Snapshot, current_version
from tests.conftest import FakeEmbedder, build, write_article

ROOT = Path(building.__file__).parents[1]


def test_a_second_writer_is_refused(small_world: Path, index_dir: Path) -> None:
    index_dir.mkdir()
    with (index_dir / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(IndexBusy, match="wait for it to end"):
            build(small_world, index_dir)
    build(small_world, index_dir)


def test_a_place_that_cannot_be_written_says_so(
    small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(IndexUnwritable, match=r"file/index cannot be written or read \(Not a directory\).*--index"):
        build(small_world, tmp_path / "file/index")

    def full(folder: Path, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    old = build(small_world, tmp_path / "index").version
    write_article(small_world, "new.md")
    monkeypatch.setattr(building, "write_texts", full)
    with pytest.raises(IndexUnwritable, match="No space left on device"):
        build(small_world, tmp_path / "index")
    assert Snapshot.open(tmp_path / "index").name == old
    assert not list((tmp_path / "index").glob(".building-*"))


@contextmanager
def _no_file_larger_than(size_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size_bytes", [4096, 100_000])
def test_vectors_that_the_disk_does_not_take_end_with_one_message(
    source: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch, size_bytes: int
) -> None:
    write_article(source, "a.md")
    old = build(source, index_dir).version
    for number in range(500):
        write_article(source, f"b{number}.md", f"Error {number}.")
    build_dense = dense.build_dense

    def build_within(*arguments: Any) -> None:
        with _no_file_larger_than(size_bytes):
            build_dense(*arguments)

    monkeypatch.setattr(writing, "build_dense", build_within)
    with pytest.raises(IndexUnwritable, match=r"index cannot be written \(File too large\): free some space"):
        build(source, index_dir)
    assert Snapshot.open(index_dir).name == old
    assert not list(index_dir.glob(".building-*"))


def test_a_full_cache_publishes_nothing(small_world: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = build(small_world, index_dir).version
    (small_world / "db/listener.md").unlink()

    def full(*_: object) -> None:
        raise IndexUnwritable("articles.sqlite cannot be used (database or disk is full)")

    monkeypatch.setattr("indexer.gathering.ArticleCache.keep_only", full)
    with pytest.raises(IndexUnwritable):
        build(small_world, index_dir)
    assert Snapshot.open(index_dir).name == old
    assert not list(index_dir.glob(".building-*"))


def test_a_file_elsewhere_is_not_taken_for_the_index(tmp_path: Path) -> None:
    for code, place, told in (
        (errno.EIO, "/elsewhere/a", "/elsewhere/a cannot be used (Input/output error)"),
        (errno.EACCES, f"{tmp_path}/x/a", f"{tmp_path}/x/a cannot be written or read (Permission denied)"),
    ):
        with pytest.raises(IndexUnwritable, match=f"^{re.escape(told)}: check its rights"), lock_index(tmp_path):
            raise OSError(code, os.strerror(code), place)


class _SlowEmbedder(FakeEmbedder):
    """Takes its time, so that a kill lands anywhere."""

    def encode(self, texts: Sequence[str], max_tokens: int | None = None) -> Encoded:
        time.sleep(0.01)
        return super().encode(texts, max_tokens)


def _build_forever(source: str, index: str) -> None:
    number = 0
    while True:
        number += 1
        write_article(Path(source), "changing.md", f"Words number {number} and os pid {os.getpid()}.\n")
        build(Path(source), Path(index), _SlowEmbedder())


def test_kill_9_at_any_moment_leaves_a_version_that_opens(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    chance = random.Random(3)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.test_building"])
    names: set[str] = set()
    for kills in range(200):
        if kills >= 12 and len(names) > 3:  # enough moments, whatever the machine's speed
            break
        process = context.Process(target=_build_forever, args=(str(small_world), str(index_dir)))
        process.start()
        time.sleep(0.15 + chance.random() * 0.35)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        snapshot = Snapshot.open(index_dir)
        names.add(snapshot.name)
        assert len(snapshot.store.cards) in {4, 5}
    assert len(names) > 3
    report = build(small_world, index_dir)
    assert Snapshot.open(index_dir).name == report.version
    assert not list(index_dir.glob(".building-*"))


@pytest.mark.parametrize("step", range(0, 40, 3))
def test_a_crash_at_any_step_of_publishing_leaves_the_old_version(
    small_world: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    old = build(small_world, index_dir).version
    write_article(small_world, "new.md")
    calls = 0
    flush = publishing._flush

    def crash(path: Path) -> None:
        nonlocal calls
        calls += 1
        if calls > step:
            raise KeyboardInterrupt
        flush(path)

    monkeypatch.setattr(publishing, "_flush", crash)
    try:
        expected = {build(small_world, index_dir).version}
    except KeyboardInterrupt:
        # After the pointer was replaced, only its folder's flush is left to fail.
        expected = {old, *(path.name for path in index_dir.iterdir())}
    monkeypatch.undo()
    assert Snapshot.open(index_dir).name in expected
    report = build(small_world, index_dir)
    assert Snapshot.open(index_dir).name == report.version
    assert report.article_count == 5


def test_kill_9_of_kb_index_itself(source: Path, index_dir: Path, real_embedder: Embedder) -> None:
    for number in range(60):
        write_article(source, f"a{number}.md", f"Error {number} of the gateway. " * 12)
    script = "import sys; sys.argv[0] = 'kb'; from eval.cli import main; main()"
    command = [sys.executable, "-c", script, "index", str(source), "--index", str(index_dir), "--quiet"]
    build_index(source, index_dir, real_embedder, building.BuildOptions())
    old = current_version(index_dir)
    for number in range(60):
        write_article(source, f"a{number}.md", f"Fault {number} of the console. " * 12)
    process = subprocess.Popen(command, cwd=ROOT)
    deadline = time.monotonic() + 30
    while not list(index_dir.glob("embeddings.sqlite-wal")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.kill()
    process.wait()
    assert Snapshot.open(index_dir).name == old
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert Snapshot.open(index_dir).name != old
