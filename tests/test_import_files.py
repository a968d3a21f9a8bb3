"""Names in the target folder never lead out of it, whatever a title, path or archive says."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indexer.errors import SourceError
from indexer.importing.files import (
    MAX_NAME_BYTES,
    front_matter,
    make_internal,
    page_path,
    safe_path,
    slug,
    target_file,
    unique_path,
)
from tests.import_world import Note, Notebook, sync

NASTY = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            ["..", ".", "/", "\\", "C:", "\0", "~", "con", "NUL.md", "a" * 300, "\u202e", ".git", "é", " ", "x"]
        ),
        max_size=8,
    ).map("/".join),
    st.text(alphabet="./\\ :~\0\n", max_size=20),
)


@given(NASTY)
@example("0\xa00")
def test_a_path_from_a_source_stays_inside_visible_and_short(path: str) -> None:
    safe = PurePosixPath(safe_path(path))
    assert not safe.is_absolute()
    assert all(part not in {"", ".", ".."} and not part.startswith(".") for part in safe.parts)
    assert all(len(part.encode()) <= MAX_NAME_BYTES + 1 and part.isprintable() for part in safe.parts)
    root = Path("/nowhere/target")
    assert Path(os.path.normpath(root / safe)).is_relative_to(root)
    assert safe_path(str(safe)) == str(safe)


@given(NASTY, NASTY)
def test_a_title_and_an_id_make_one_plain_file_name(title: str, page_id: str) -> None:
    name = page_path(title, page_id)
    assert PurePosixPath(safe_path(name)).name == safe_path(name)
    assert name.endswith(".md")


@settings(max_examples=30)
@given(st.lists(st.tuples(NASTY, NASTY, NASTY), min_size=1, max_size=4, unique_by=lambda note: note[0]))
def test_no_import_writes_outside_its_folder(notes: list[tuple[str, str, str]]) -> None:
    """The whole way: page ids, titles, paths and attachment names made to escape."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "kb"
        book = Notebook(**{})
        book.notes = {
            page_id: Note(title or "t", path=path, attachments=((title, b"x"),)) for page_id, title, path in notes
        }
        try:
            sync(book, folder, attachments=True)
        except UnicodeEncodeError:
            pytest.fail("a name could not be written")
        assert [entry.name for entry in Path(scratch).iterdir()] == ["kb"]


@pytest.mark.parametrize("path", ["../x.md", "/etc/x.md", "a/../../x.md", "", "a\0.md"])
def test_paths_in_a_tampered_state_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(SourceError):
        target_file(tmp_path, path)


def test_names_for_all_file_systems() -> None:
    assert safe_path("Con.md") == "_Con.md"
    assert safe_path("../.hidden/a:b?.md") == "hidden/a-b-.md"
    assert safe_path("x" * 300 + ".md").endswith("x.md")
    assert slug("Größe & Ärger!") == "groe-arger"
    assert slug("日本語 ページ") == "日本語-ページ"
    assert unique_path("A.md", {"a.md", "a-2.md"}) == "A-3.md"


@pytest.mark.parametrize(
    "before",
    [
        b"---\ntitle: T\naudience: public\ntags: [a]\n---\n\n# T\n\nx\n",
        b"---\r\ntitle: T\r\naudience: public\r\n---\r\n\r\n# T\r\n\r\nx\r\n",
        b"\xef\xbb\xbf---\ntitle: T\naudience:\n  public\n---\n# T\n\nx\n",
        b"---\ntitle: T\n---\n# T\n\nx\n",
        b"# T\n\nx\n\n---\naudience: public\n---\n",
        b"---\n---\n# T\n\nx\n",
    ],
)
def test_made_internal_in_place_and_nothing_else_lost(before: bytes) -> None:
    after = make_internal(before)
    assert after is not None
    assert b"audience: internal" in after
    assert b"# T" in after
    assert (b"title: T" in after) == (b"title: T" in before)


def test_front_matter_that_cannot_be_made_internal_is_said_so() -> None:
    assert make_internal(b'---\n"audience": public\n---\n# T\n\nx\n') is None


def test_front_matter_is_quoted_where_yaml_needs_it() -> None:
    text = front_matter({"title": 'a: "b" # c', "tags": ["1", "yes"], "empty": "", "none": None})
    assert text == "---\ntitle: 'a: \"b\" # c'\ntags:\n- '1'\n- 'yes'\n---\n"
