"""Which changes below the articles' folder lead to another build."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.watching import concerns_articles, watch_articles


@pytest.mark.parametrize(
    ("path", "concerns"),
    [
        ("a.md", True),
        ("sub/A.MARKDOWN", True),
        ("gone.md", True),
        ("v2.1", True),
        ("v2.1/sub", True),
        ("removed-folder.d", True),
        ("picture.png", False),
        ("Makefile", False),
        (".git/x.md", False),
        ("index/x.md", False),
        ("../a.md", False),
    ],
)
def test_articles_and_folders_of_any_name_concern_the_index(tmp_path: Path, path: str, concerns: bool) -> None:
    root = tmp_path / "articles"
    (root / "v2.1/sub").mkdir(parents=True)
    for name in ("a.md", "picture.png", "Makefile"):
        (root / name).write_text("x")
    assert concerns_articles(root, root / "index", root / path) is concerns


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_folder_that_takes_the_place_of_the_watched_one_is_watched(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.md").write_text("x")
    source = tmp_path / "articles"
    source.symlink_to("one")
    seen: list[set[str]] = []
    stop = threading.Event()
    watching = threading.Thread(
        target=watch_articles,
        args=(source, tmp_path / "index", lambda: seen.append({file.name for file in source.glob("*.md")})),
        kwargs={"stop": stop, "debounce_ms": 100, "quiet_ms": 50},
    )
    watching.start()
    try:
        _wait_for(lambda: seen[-1:] == [{"one.md"}])
        (tmp_path / "turned").symlink_to("two")
        (tmp_path / "turned").replace(source)
        _wait_for(lambda: seen[-1:] == [{"two.md"}])
        (source / "more.md").write_text("x")
        _wait_for(lambda: seen[-1:] == [{"two.md", "more.md"}])
        shutil.rmtree(tmp_path / "two")
        _wait_for(lambda: seen[-1:] == [set()])
        (tmp_path / "two").mkdir()
        (source / "anew.md").write_text("x")
        _wait_for(lambda: seen[-1:] == [{"anew.md"}])
    finally:
        stop.set()
        watching.join(20)
    assert not watching.is_alive()
