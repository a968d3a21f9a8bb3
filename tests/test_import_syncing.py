"""A folder kept in line with a source: visibility first, edits kept, deletions followed, crashes survived."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from indexer.articles import find_articles, parse_article, read_article
from indexer.errors import SourceError
from indexer.importing import syncing
from indexer.importing.files import write_file
from indexer.importing.pages import Page, PageRef
from indexer.metadata import Audience
from tests.import_world import Note, Notebook, file_of, sync

PUBLIC, INTERNAL = Audience.PUBLIC, Audience.INTERNAL


def audience_at(file: Path) -> Audience | None:
    return parse_article(file.name, file.read_bytes()).meta.audience


def make_internal(note: Note) -> None:
    note.audience = note.listed_audience = INTERNAL


def test_pages_become_articles_with_stable_names(tmp_path: Path) -> None:
    book = Notebook(
        p1=Note("Résumé: a/b & c", "<p>See <a href='p2#Later'>that</a>.</p>"),
        p2=Note("Other", "<h2 id='x'>Later</h2><p>It works.</p>", audience=INTERNAL, listed_audience=INTERNAL),
    )
    report = sync(book, tmp_path)
    assert sorted(report.added) == ["other-p2.md", "resume-a-b-c-p1.md"]
    assert (report.public, report.internal, report.exit_status) == (1, 1, 0)
    article = read_article(tmp_path, tmp_path / "resume-a-b-c-p1.md")
    assert (article.article_id, article.title, article.audience) == ("note-p1", "Résumé: a/b & c", PUBLIC)
    assert "[that](other-p2.md#later)" in article.source.text
    book.notes["p1"].title, book.notes["p1"].version = "A new name", "2"
    assert sync(book, tmp_path).updated == ["resume-a-b-c-p1.md"]
    assert read_article(tmp_path, tmp_path / "resume-a-b-c-p1.md").article_id == "note-p1"


def test_nothing_is_fetched_or_written_when_nothing_changed(tmp_path: Path) -> None:
    book = Notebook(p1=Note(), p2=Note(html="<p>see <a href='p1'>one</a></p>"))
    sync(book, tmp_path)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.md")}
    book.fetched.clear()
    report = sync(book, tmp_path)
    assert (report.unchanged, book.fetched) == (2, [])
    assert {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.md")} == before
    assert len(sync(book, tmp_path, full=True).added) == 0
    assert book.fetched == ["p1", "p2"]


def test_visibility_alone_is_taken_over_in_both_directions(tmp_path: Path) -> None:
    book = Notebook(p1=Note())
    sync(book, tmp_path)
    make_internal(book.notes["p1"])
    report = sync(book, tmp_path)
    assert report.tightened == ["a-note-p1.md"]
    assert audience_at(file_of(tmp_path, "p1")) is INTERNAL
    assert sync(book, tmp_path).unchanged == 1
    book.notes["p1"].audience = book.notes["p1"].listed_audience = PUBLIC
    sync(book, tmp_path)
    assert audience_at(file_of(tmp_path, "p1")) is PUBLIC


def test_a_page_that_fails_keeps_its_file_but_never_its_openness(tmp_path: Path) -> None:
    book = Notebook(p1=Note(), p2=Note())
    sync(book, tmp_path)
    for note in book.notes.values():
        note.version, note.failure = "2", "is broken"
    make_internal(book.notes["p1"])
    report = sync(book, tmp_path)
    assert [(item.id, item.reason) for item in report.failed] == [("p1", "is broken"), ("p2", "is broken")]
    assert report.exit_status == 1
    assert audience_at(file_of(tmp_path, "p1")) is INTERNAL
    assert audience_at(file_of(tmp_path, "p2")) is PUBLIC
    assert "The widget stops." in file_of(tmp_path, "p2").read_text()


def test_a_page_whose_audience_cannot_be_learnt_becomes_internal(tmp_path: Path) -> None:
    book = Notebook(p1=Note(listed_audience=None))
    sync(book, tmp_path)
    assert audience_at(file_of(tmp_path, "p1")) is PUBLIC
    book.notes["p1"].version, book.notes["p1"].failure = "2", "cannot be read"
    assert sync(book, tmp_path).tightened == ["a-note-p1.md"]
    assert audience_at(file_of(tmp_path, "p1")) is INTERNAL


def test_restriction_is_applied_before_anything_is_fetched(tmp_path: Path) -> None:
    book = Notebook(p0=Note(), p1=Note())
    sync(book, tmp_path)
    make_internal(book.notes["p1"])
    book.notes["p0"].version = "2"
    seen: list[Audience | None] = []
    fetch = book.fetch_page
    book.fetch_page = lambda ref: (seen.append(audience_at(file_of(tmp_path, "p1"))), fetch(ref))[1]  # type: ignore[method-assign, func-returns-value]
    sync(book, tmp_path)
    assert seen[0] is INTERNAL


def test_local_edits_are_kept_and_reported(tmp_path: Path) -> None:
    book = Notebook(p1=Note())
    sync(book, tmp_path)
    file = file_of(tmp_path, "p1")
    file.write_text(file.read_text() + "\nOur own note.\n")
    assert sync(book, tmp_path).exit_status == 0
    book.notes["p1"].version, book.notes["p1"].html = "2", "<p>New text.</p>"
    report = sync(book, tmp_path)
    assert [item.name for item in report.conflicts] == ["a-note-p1.md"]
    assert report.exit_status == 1
    assert "Our own note." in file.read_text()
    report = sync(book, tmp_path, force=True)
    assert (report.updated, report.conflicts) == (["a-note-p1.md"], [])
    assert "New text." in file.read_text()


def test_an_edited_file_still_becomes_internal(tmp_path: Path) -> None:
    book = Notebook(p1=Note())
    sync(book, tmp_path)
    file = file_of(tmp_path, "p1")
    file.write_text(file.read_text() + "\nOur own note.\n")
    make_internal(book.notes["p1"])
    sync(book, tmp_path)
    assert audience_at(file) is INTERNAL
    assert "Our own note." in file.read_text()


@pytest.mark.parametrize(
    "front",
    ["audience: public", "audience:   public # ours", '"audience": public', "audience: internal\naudience: public", ""],
)
def test_opening_a_restricted_file_by_hand_does_not_last(tmp_path: Path, front: str) -> None:
    book = Notebook(p1=Note(audience=INTERNAL, listed_audience=INTERNAL))
    sync(book, tmp_path)
    file = file_of(tmp_path, "p1")
    file.write_text(f"---\ntitle: x\n{front}\n---\n\n# x\n\ntext\n" if front else "# x\n\ntext\n")
    report = sync(book, tmp_path)
    assert report.tightened == ["a-note-p1.md"]
    assert not file.exists() or audience_at(file) is INTERNAL


def test_opening_a_file_by_hand_does_not_last_where_only_the_page_tells(tmp_path: Path) -> None:
    book = Notebook(p1=Note(audience=INTERNAL, listed_audience=None))
    sync(book, tmp_path)
    file = file_of(tmp_path, "p1")
    file.write_text(file.read_text().replace("audience: internal", "audience: public"))
    assert sync(book, tmp_path).tightened == ["a-note-p1.md"]
    assert audience_at(file) is INTERNAL


def test_a_page_listed_twice_has_the_stricter_audience(tmp_path: Path) -> None:
    book = Notebook(p1=Note())
    public, internal = PageRef("p1", "1", "A note", PUBLIC), PageRef("p1", "1", "A note", INTERNAL)
    for listed in ([public, internal], [internal, public], [internal, public, public]):
        book.list_pages = lambda listed=listed: listed  # type: ignore[method-assign, misc]
        sync(book, tmp_path, full=True)
        assert audience_at(file_of(tmp_path, "p1")) is INTERNAL


def test_deleted_pages_are_removed_with_their_attachments(tmp_path: Path) -> None:
    book = Notebook(p1=Note(path="deep/er/one.md", attachments=(("a.png", b"x"),)), p2=Note(), p3=Note())
    sync(book, tmp_path, attachments=True)
    assert (tmp_path / "deep/er/one.files/a.png").read_bytes() == b"x"
    del book.notes["p1"]
    assert sync(book, tmp_path).removed == ["deep/er/one.md"]
    assert not (tmp_path / "deep").exists()


def test_a_deleted_page_with_edits_stays_as_internal(tmp_path: Path) -> None:
    book = Notebook(p1=Note(), p2=Note(), p3=Note())
    sync(book, tmp_path)
    file = file_of(tmp_path, "p1")
    file.write_text(file.read_text() + "\nOurs.\n")
    del book.notes["p1"]
    report = sync(book, tmp_path)
    assert [item.name for item in report.conflicts] == ["a-note-p1.md"]
    assert audience_at(file) is INTERNAL
    assert sync(book, tmp_path, force=True).removed == ["a-note-p1.md"]


def test_mass_deletion_stops_but_restrictions_are_applied(tmp_path: Path) -> None:
    book = Notebook(**{f"p{n}": Note() for n in range(5)})
    sync(book, tmp_path)
    for name in ("p0", "p1", "p2"):
        del book.notes[name]
    make_internal(book.notes["p3"])
    book.notes["p4"].version = "2"
    report = sync(book, tmp_path)
    assert (report.exit_status, report.updated, report.removed) == (2, [], [])
    assert "--allow-mass-delete" in report.stopped
    assert len(list(tmp_path.glob("*.md"))) == 5
    assert audience_at(file_of(tmp_path, "p3")) is INTERNAL
    report = sync(book, tmp_path, mass_delete=True)
    assert (report.exit_status, len(report.removed)) == (0, 3)


def test_a_moved_page_keeps_its_id(tmp_path: Path) -> None:
    book = Notebook(
        **{"a.html": Note(path="a.md", content_key="same", listed_audience=None), "c.html": Note(path="c.md")}
    )
    sync(book, tmp_path)
    article_id = read_article(tmp_path, tmp_path / "a.md").article_id
    book.notes["sub/b.html"] = book.notes.pop("a.html")
    book.notes["sub/b.html"].path = "sub/b.md"
    report = sync(book, tmp_path)
    assert (report.moved, report.removed, report.added) == (["sub/b.md"], [], [])
    assert read_article(tmp_path, tmp_path / "sub/b.md").article_id == article_id
    assert not (tmp_path / "a.md").exists()


def test_two_pages_that_swap_places(tmp_path: Path) -> None:
    book = Notebook(
        **{
            "a.html": Note(path="a.md", content_key="A", html="<p>I am A.</p>"),
            "b.html": Note(path="b.md", content_key="B"),
        }
    )
    sync(book, tmp_path)
    one = read_article(tmp_path, tmp_path / "a.md").article_id
    a, b = book.notes.pop("a.html"), book.notes.pop("b.html")
    book.notes = {"x.html": Note(path="a.md", html="<p>I am new.</p>"), "b2.html": a, "a2.html": b}
    a.path, b.path = "b.md", "c.md"
    report = sync(book, tmp_path)
    assert report.conflicts == report.failed == []
    texts = {file.name: file.read_text() for file in tmp_path.glob("*.md")}
    assert "I am new." in texts["a.md"]
    assert one in texts["b.md"]
    assert "I am A." in texts["b.md"]
    assert set(texts) == {"a.md", "b.md", "c.md"}


def test_links_follow_pages_that_come_and_go(tmp_path: Path) -> None:
    book = Notebook(p1=Note(html="<p><a href='p2'>two</a></p>"), p3=Note(), p4=Note())
    sync(book, tmp_path)
    file = file_of(tmp_path, "p1")
    assert file.read_text().endswith("\ntwo\n")
    book.notes["p2"] = Note()
    assert sync(book, tmp_path).updated == ["a-note-p1.md"]
    assert "[two](a-note-p2.md)" in file.read_text()
    del book.notes["p2"]
    sync(book, tmp_path)
    assert file.read_text().endswith("\ntwo\n")


def test_a_page_without_text_is_left_out_and_its_links_are_plain(tmp_path: Path) -> None:
    book = Notebook(p1=Note(html="<p><a href='p2'>two</a></p>"), p2=Note("Folder", "<p> </p>"))
    report = sync(book, tmp_path)
    assert [(item.id, item.reason) for item in report.left_out] == [("p2", "has no text of its own")]
    assert file_of(tmp_path, "p1").read_text().endswith("\ntwo\n")
    book.fetched.clear()
    assert (sync(book, tmp_path).exit_status, book.fetched) == (0, [])


def test_a_page_of_headings_alone_is_left_out_and_not_asked_for_again(tmp_path: Path) -> None:
    book = Notebook(p1=Note(), p2=Note("Contents", "<h2>One</h2><h2>Two</h2>"))
    report = sync(book, tmp_path)
    assert ([item.id for item in report.left_out], report.exit_status) == (["p2"], 0)
    book.fetched.clear()
    assert (sync(book, tmp_path).exit_status, book.fetched) == (0, [])


def test_one_article_id_belongs_to_one_page(tmp_path: Path) -> None:
    book = Notebook(
        p1=Note(markdown="# One\n\ntext\n", article_id="KB-1"), p2=Note(markdown="# Two\n\ntext\n", article_id="KB-1")
    )
    report = sync(book, tmp_path)
    assert [(item.id, "KB-1" in item.reason) for item in report.failed] == [("p2", True)]


def test_attachments_are_named_and_on_wish_stored(tmp_path: Path) -> None:
    names = (("../../evil.sh", b"1"), ("notes.md", b"# Not an article"), ("A.png", b"2"), ("a.PNG", b"3"))
    book = Notebook(p1=Note(attachments=names))
    sync(book, tmp_path)
    assert "size_bytes: 16" in file_of(tmp_path, "p1").read_text()
    assert not (tmp_path / "a-note-p1.files").exists()
    report = sync(book, tmp_path, attachments=True)
    assert report.attachments == 4
    stored = {file.name: file.read_bytes() for file in (tmp_path / "a-note-p1.files").iterdir()}
    assert stored == {"evil.sh": b"1", "notes.md.txt": b"# Not an article", "A.png": b"2", "a-2.PNG": b"3"}
    assert [file.name for file in find_articles(tmp_path)] == ["a-note-p1.md"]


def test_an_attachment_that_fails_keeps_its_file_and_is_tried_again(tmp_path: Path) -> None:
    book = Notebook(p1=Note(attachments=(("a.png", b"1"), ("b.png", None))))
    files = tmp_path / "a-note-p1.files"
    report = sync(book, tmp_path, attachments=True)
    assert ([item.name for item in report.failed], report.attachments) == (["A note: b.png"], 1)
    book.notes["p1"].attachments = (("a.png", None), ("b.png", b"2"))
    assert [item.name for item in sync(book, tmp_path, attachments=True).failed] == ["A note: a.png"]
    assert {file.name: file.read_bytes() for file in files.iterdir()} == {"a.png": b"1", "b.png": b"2"}
    book.notes["p1"].attachments = (("a.png", b"3"), ("b.png", b"2"))
    assert sync(book, tmp_path, attachments=True).failed == []
    assert (files / "a.png").read_bytes() == b"3"
    book.fetched.clear()
    assert (sync(book, tmp_path, attachments=True).unchanged, book.fetched) == (1, [])


def test_attachments_of_a_change_taken_over_without_them_are_downloaded_later(tmp_path: Path) -> None:
    book = Notebook(p1=Note(attachments=(("a.png", b"1"),)))
    sync(book, tmp_path, attachments=True)
    book.notes["p1"].version, book.notes["p1"].attachments = "2", (("a.png", b"2"),)
    sync(book, tmp_path)
    assert sync(book, tmp_path, attachments=True).attachments == 1
    assert (tmp_path / "a-note-p1.files/a.png").read_bytes() == b"2"


def test_a_page_that_waits_for_a_link_downloads_once(tmp_path: Path) -> None:
    book = Notebook(
        p1=Note(html="<p><a href='p2#later'>two</a></p>", attachments=(("a.png", b"1"), ("b.png", None))),
        p2=Note("Other", "<h2 id='later'>Then</h2><p>It works.</p>"),
    )
    report = sync(book, tmp_path, attachments=True)
    assert (report.attachments, len(report.failed)) == (1, 1)
    assert "[two](other-p2.md#then)" in file_of(tmp_path, "p1").read_text()


def test_all_internal_wins(tmp_path: Path) -> None:
    book = Notebook(p1=Note(), p2=Note(listed_audience=None))
    report = sync(book, tmp_path, all_internal=True)
    assert (report.public, report.internal) == (0, 2)
    assert audience_at(file_of(tmp_path, "p2")) is INTERNAL


def test_a_dry_run_writes_nothing_and_tells_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "kb"
    book = Notebook(p1=Note(), p2=Note())
    assert len(sync(book, folder, dry_run=True).added) == 2
    assert not folder.exists()
    sync(book, folder)
    make_internal(book.notes["p1"])
    del book.notes["p2"]
    before = {file: file.read_bytes() for file in folder.rglob("*")}
    report = sync(book, folder, dry_run=True)
    assert (report.tightened, report.removed) == (["a-note-p1.md"], ["a-note-p2.md"])
    assert {file: file.read_bytes() for file in folder.rglob("*")} == before


def test_a_folder_belongs_to_one_source(tmp_path: Path) -> None:
    sync(Notebook(p1=Note()), tmp_path)
    other = Notebook(p1=Note())
    other.place = "elsewhere"
    with pytest.raises(SourceError, match="folder of its own"):
        sync(other, tmp_path)
    (tmp_path / ".kb-import.json").write_text("{")
    with pytest.raises(SourceError, match="cannot be read"):
        sync(other, tmp_path)


def test_a_run_that_stops_in_the_middle_tells_what_it_did(tmp_path: Path) -> None:
    book = Notebook(p1=Note("One"), p2=Note("Two"), p3=Note("Three"))
    sync(book, tmp_path)
    for note in book.notes.values():
        note.version = "2"
    make_internal(book.notes["p3"])
    book.notes["p1"].html = "<p>changed</p>"
    fetch = book.fetch_page

    def fetch_or_stop(ref: PageRef) -> Page:
        if ref.id == "p2":
            raise SourceError("the server is down")
        return fetch(ref)

    book.fetch_page = fetch_or_stop  # type: ignore[method-assign]
    report = sync(book, tmp_path)
    assert (report.exit_status, report.updated, report.tightened) == (2, ["one-p1.md"], ["three-p3.md"])
    assert report.stopped == "stopped before the end: the server is down. What was done until then stays"
    assert (report.public, report.internal) == (2, 1)
    book.fetch_page = fetch  # type: ignore[method-assign]
    report = sync(book, tmp_path)
    assert (report.exit_status, report.conflicts) == (0, [])
    assert book.fetched[-2:] == ["p2", "p3"]


def test_an_empty_source_is_an_error_not_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no page"):
        sync(Notebook(), tmp_path / "kb")


def test_files_of_others_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a-note-p1.md").write_text("mine")
    assert sync(Notebook(p1=Note()), tmp_path).added == ["a-note-p1-2.md"]
    assert (tmp_path / "a-note-p1.md").read_text() == "mine"


def test_a_link_in_the_target_folder_is_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "kb", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "sub").symlink_to(outside)
    with pytest.raises(SourceError, match="leads out"):
        sync(Notebook(p1=Note(path="sub/x.md")), folder)
    assert list(outside.iterdir()) == []


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs, not even the saving of the state."""


@pytest.mark.parametrize("survived", range(18))
def test_a_run_killed_at_any_write_leaves_no_false_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    """New, changed, restricted and moved pages, cut off after the first `survived` writes; then a whole run."""
    monkeypatch.setattr(syncing, "BATCH", 2)
    book = Notebook(
        a=Note(path="a.md", content_key="A"),
        b=Note(path="b.md"),
        f=Note(path="f.md", listed_audience=None),
        c=Note(path="c.md"),
        d=Note(path="d.md"),
        e=Note(path="e.md"),
    )
    sync(book, tmp_path)
    book.notes["b"].version, book.notes["b"].html = "2", "<p>changed</p>"
    book.notes["f"].version, book.notes["f"].audience = "2", INTERNAL
    make_internal(book.notes["c"])
    make_internal(book.notes["d"])
    book.notes["d"].version = "2"
    book.notes["new"] = Note(path="new.md")
    book.notes["moved"] = book.notes.pop("a")
    book.notes["moved"].path = "moved.md"

    left = survived

    def dying_write(file: Path, data: bytes) -> None:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        write_file(file, data)

    with monkeypatch.context() as patch:
        patch.setattr(syncing, "write_file", dying_write)
        patch.setattr("indexer.importing.state.write_file", dying_write)
        with contextlib.suppress(Killed):
            sync(book, tmp_path)
    report = sync(book, tmp_path)
    assert report.conflicts == report.failed == []
    assert sorted(file.name for file in tmp_path.glob("*.md")) == [
        "b.md",
        "c.md",
        "d.md",
        "e.md",
        "f.md",
        "moved.md",
        "new.md",
    ]
    assert "changed" in (tmp_path / "b.md").read_text()
    assert {audience_at(tmp_path / name) for name in ("c.md", "d.md", "f.md")} == {INTERNAL}
    assert sync(book, tmp_path).unchanged == 7


def test_what_a_killed_run_was_writing_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for folder in (tmp_path, tmp_path / "sub"):
        (folder / ".kb-import-abc.tmp").write_text("half")
    sync(Notebook(p1=Note()), tmp_path)
    assert list(tmp_path.rglob("*.tmp")) == []


def test_only_one_import_at_a_time(tmp_path: Path) -> None:
    book = Notebook(p1=Note())
    fetch = book.fetch_page

    def fetch_and_try(ref: object) -> object:
        with pytest.raises(SourceError, match="another `kb import`"):
            sync(Notebook(p1=Note()), tmp_path)
        return fetch(ref)  # type: ignore[arg-type]

    book.fetch_page = fetch_and_try  # type: ignore[method-assign, assignment]
    assert sync(book, tmp_path).exit_status == 0


def test_files_are_readable_by_the_indexer_of_another_account(tmp_path: Path) -> None:
    sync(Notebook(p1=Note()), tmp_path)
    assert file_of(tmp_path, "p1").stat().st_mode & 0o777 == 0o644
    assert json.loads((tmp_path / ".kb-import.json").read_bytes())["kind"] == "notebook"
