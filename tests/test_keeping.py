"""With `--watch`, a malformed file stays as it was, unless it may have been closed or taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from indexer.building import BuildReport, NothingPublished, describe
from indexer.keeping import still_public
from indexer.metadata import Audience
from indexer.snapshot import Snapshot
from tests.conftest import build, write_article

PUBLIC, INTERNAL = Audience.PUBLIC, Audience.INTERNAL
BROKEN = "---\ntitle: [\naudience: public\n---\n\nA new text.\n"


def watch(source: Path, index: Path, **options: Any) -> BuildReport:
    """One build as `kb index --watch` makes it."""
    return build(source, index, keep_last_good=True, **options)


def text_of(index: Path, path: str) -> str | None:
    store = Snapshot.open(index).store
    row = store.row_of_path(path)
    return None if row is None else store.article(row).source.text


def test_a_bad_save_keeps_the_last_good_version_until_it_is_mended(source: Path, index_dir: Path) -> None:
    file = write_article(source, "a.md", "The good text.\n")
    write_article(source, "b.md")
    good = watch(source, index_dir).version
    file.write_text(BROKEN)
    for _ in range(2):
        report = watch(source, index_dir)
        assert (report.published, report.version, report.kept) == (False, good, ("a.md",))
        assert [error.path for error in report.errors] == ["a.md"]
        assert describe(report)["kept"] == ("a.md",)
    write_article(source, "b.md", "Edited meanwhile.\n")
    write_article(source, "c.md")
    report = watch(source, index_dir)
    assert (report.published, report.changed, report.added, report.removed) == (True, ("b.md",), ("c.md",), ())
    assert "The good text." in str(text_of(index_dir, "a.md"))
    file.write_text(BROKEN.replace("[", "Mended"))
    report = watch(source, index_dir)
    assert (report.changed, report.kept, report.errors) == (("a.md",), (), ())
    assert "A new text." in str(text_of(index_dir, "a.md"))


def test_without_watch_a_malformed_file_is_left_out_even_if_it_was_kept(source: Path, index_dir: Path) -> None:
    write_article(source, "b.md")
    file = write_article(source, "a.md")
    watch(source, index_dir)
    file.write_text(BROKEN)
    watch(source, index_dir)
    report = build(source, index_dir)
    assert (report.removed, report.kept) == (("a.md",), ())
    assert watch(source, index_dir).kept == ()
    assert text_of(index_dir, "a.md") is None


def test_deleted_files_go_while_another_is_malformed(source: Path, index_dir: Path) -> None:
    for name in ("a.md", "b.md", "c.md", "d.md"):
        write_article(source, name)
    watch(source, index_dir)
    (source / "a.md").write_text(BROKEN)
    (source / "b.md").unlink()
    (source / "c.md").write_text("")
    (source / "d.md").write_text("# Only a heading\n")
    report = watch(source, index_dir)
    assert (report.removed, report.kept) == (("b.md", "c.md", "d.md"), ("a.md",))


@pytest.mark.parametrize("was", ["public", "internal", None])
@pytest.mark.parametrize("now", ["audience: public", "audience: internal", "audience: [internal", "tags: []"])
def test_a_public_article_stays_only_if_it_is_still_public(
    source: Path, index_dir: Path, was: str | None, now: str
) -> None:
    write_article(source, "b.md")
    file = write_article(source, "a.md", audience=was)
    watch(source, index_dir)
    file.write_text(f"---\ntitle: [\n{now}\n---\n\nx\n")
    stays = was != "public" or now == "audience: public"
    assert watch(source, index_dir).kept == (("a.md",) if stays else ())


def test_another_default_opens_nothing_that_was_kept(source: Path, index_dir: Path) -> None:
    write_article(source, "b.md")
    file = write_article(source, "a.md", audience=None)
    watch(source, index_dir)
    file.write_bytes(b"---\naudience: internal\n---\n\xff\n")
    assert watch(source, index_dir, default_audience=PUBLIC).kept == ()


def test_an_id_that_another_file_takes_over_is_its_own(source: Path, index_dir: Path) -> None:
    file = write_article(source, "a.md", article_id="KB-1")
    watch(source, index_dir)
    file.write_text(BROKEN)
    write_article(source, "b.md", article_id="KB-1")
    report = watch(source, index_dir)
    assert (report.added, report.removed, report.kept) == (("b.md",), ("a.md",), ())
    file.write_text(file.read_text().replace("[", "A\nid: KB-1"))
    assert [error.path for error in watch(source, index_dir).errors] == ["b.md"]


def test_a_damaged_version_gives_nothing(source: Path, index_dir: Path) -> None:
    write_article(source, "b.md")
    file = write_article(source, "a.md")
    version = watch(source, index_dir).version
    stored = index_dir / version / "articles.jsonl"
    stored.write_bytes(stored.read_bytes().replace(b"stops", b"stepz"))
    file.write_text(BROKEN)
    assert watch(source, index_dir).kept == ()


def test_strict_publishes_nothing_meanwhile(source: Path, index_dir: Path) -> None:
    file = write_article(source, "a.md")
    watch(source, index_dir)
    file.write_text(BROKEN)
    with pytest.raises(NothingPublished, match=r"a\.md"):
        watch(source, index_dir, strict=True)


@pytest.mark.parametrize(
    ("text", "default", "is_public"),
    [
        ("---\ntitle: [\naudience: public\n---\n", INTERNAL, True),
        ("\ufeff---\r\n\"audience\": 'public'  # all\r\ntitle: [\r\n", INTERNAL, True),
        ("---\ntitle: [\naudience: public\nmore\n", INTERNAL, True),
        ("---\naudience: public\naudience: internal\n---\n", PUBLIC, False),
        ("---\n# a comment\naudience: internal\ntitle: [\n---\n", PUBLIC, False),
        ("---\n  audience: public\n---\n", INTERNAL, False),
        ("---\naudience: publi\n---\n", PUBLIC, False),
        ("---\n{audience: internal\n---\n", PUBLIC, False),
        ("---\ntitle: [\n---\naudience: public\n", INTERNAL, False),
        ("---\ntitle: [\n---\n", PUBLIC, True),
        ("---\ntitle: [\n---\n", INTERNAL, False),
        ("---\naudience: public\nDraft: true\ntitle: [\n---\n", PUBLIC, False),
        ("---\ntitle: [\npublished: false\n---\n", PUBLIC, False),
        ("+++\naudience = 'internal'\n+++\n", PUBLIC, False),
        ("+++\ndraft = true\n+++\n", PUBLIC, False),
        ("\n---\naudience: internal\n---\n", PUBLIC, False),
        ("words \0", PUBLIC, False),
        ("words", PUBLIC, True),
    ],
)
def test_in_doubt_it_is_not_public(text: str, default: Audience, is_public: bool) -> None:
    assert still_public(text.encode(), default) is is_public
    assert still_public(text.encode("utf-16"), default) is False
