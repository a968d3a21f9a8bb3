"""Which changes below the articles' folder lead to another build."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.watching import concerns_articles


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
