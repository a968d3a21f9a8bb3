"""A folder of plain HTML files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from indexer.articles import read_article
from indexer.errors import SourceError
from indexer.importing.html_folder import HtmlFolder
from indexer.metadata import Audience
from tests.import_world import sync


def write(folder: Path, **pages: str | bytes) -> Path:
    """Files below `folder`; `__` for `/`."""
    for name, text in pages.items():
        file = folder / f"{name.replace('__', '/')}.html"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def imported(tmp_path: Path, page: str | bytes, unsaid: Audience = Audience.INTERNAL) -> str:
    report = sync(HtmlFolder(write(tmp_path / "in", page=page), unsaid), tmp_path / "kb")
    assert report.failed == []
    return (tmp_path / "kb/page.md").read_text()


def test_the_article_without_its_frame(tmp_path: Path) -> None:
    text = imported(
        tmp_path,
        "<html><head><title>Site: Login</title><meta name=description content='How to log in'>"
        "<meta name=keywords content='Sign in, product:Portal'></head><body><header>Menu</header><nav>x</nav>"
        "<h1>Login</h1><p>Text.</p><footer>Imprint</footer></body></html>",
    )
    assert text == (
        "---\ntitle: Login\nid: html-f2df9ef3a8\nsummary: How to log in\naudience: internal\n"
        "products:\n- portal\ntags:\n- sign-in\n---\n\n# Login\n\nText.\n"
    )


@pytest.mark.parametrize(
    "body",
    [
        "<div>Menu</div><main><h1>T</h1><p>Text.</p></main><div>More</div>",
        "<div>Menu</div><div role=main><h1>T</h1><p>Text.</p></div>",
        "<div>Menu</div><article><h1>T</h1><p>Text.</p></article>",
    ],
)
def test_the_element_that_holds_the_article(tmp_path: Path, body: str) -> None:
    assert imported(tmp_path, body).endswith("\n# T\n\nText.\n")


def test_an_encoding_that_is_declared(tmp_path: Path) -> None:
    page = "<meta charset=windows-1252><title>Größe</title><p>Prüfen…</p>".encode("windows-1252")
    text = imported(tmp_path, page)
    assert "# Größe\n\nPrüfen…\n" in text


def test_audience_said_unsaid_and_contradicted(tmp_path: Path) -> None:
    said = '<meta name="kb:audience" content="{}">'
    folder = write(
        tmp_path / "in",
        a="<title>A</title><p>x</p>",
        b=said.format("public") + "<title>B</title><p>x</p>",
        c=said.format("internal") + "<title>C</title><p>x</p>",
        d=said.format("public") + said.format("internal") + "<title>D</title><p>x</p>",
        e=said.format("everyone") + "<title>E</title><p>x</p>",
    )
    report = sync(HtmlFolder(folder, Audience.PUBLIC), tmp_path / "kb")
    found = {n: read_article(tmp_path / "kb", tmp_path / f"kb/{n}.md").audience.value for n in "abcd"}
    assert found == {"a": "public", "b": "public", "c": "internal", "d": "internal"}
    assert [(item.id, "kb:audience" in item.reason) for item in report.failed] == [("e.html", True)]


def test_links_between_files_and_to_nowhere(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        a='<title>A</title><p><a href="sub/b.html#s">b</a> <a href="gone.html">gone</a> <a href="x.pdf">pdf</a> '
        '<a href="https://example.com/a%20b?c=d#e">out</a> <a href="sub/">folder</a></p>',
        sub__b='<title>B</title><h2 id="s">A section</h2><p><a href="../a.html">up</a></p>',
        sub__index="<title>Index</title><p>x</p>",
    )
    sync(HtmlFolder(folder), tmp_path / "kb")
    assert (
        (tmp_path / "kb/a.md")
        .read_text()
        .endswith("\n[b](sub/b.md#a-section) gone pdf [out](https://example.com/a%20b?c=d#e) [folder](sub/index.md)\n")
    )
    assert "[up](../a.md)" in (tmp_path / "kb/sub/b.md").read_text()


def test_a_zip_file_reads_as_its_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", a="<title>A</title><p>x</p>", sub__b="<title>B</title><p>y</p>")
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as zip_file:
        for file in folder.rglob("*.html"):
            zip_file.write(file, file.relative_to(folder))
        zip_file.writestr("../evil.html", "<p>x</p>")
    report = sync(HtmlFolder(tmp_path / "in.zip"), tmp_path / "kb")
    assert sorted(report.added) == ["a.md", "sub/b.md"]


def test_moved_files_keep_their_ids(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", a="<title>A</title><p>x</p>", b="<title>B</title><p>y</p>")
    sync(HtmlFolder(folder), tmp_path / "kb")
    before = read_article(tmp_path / "kb", tmp_path / "kb/a.md").article_id
    (folder / "new").mkdir()
    (folder / "a.html").rename(folder / "new/c.html")
    assert sync(HtmlFolder(folder), tmp_path / "kb").moved == ["new/c.md"]
    assert read_article(tmp_path / "kb", tmp_path / "kb/new/c.md").article_id == before


def test_two_files_of_one_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", a="<title>A</title><p>x</p>")
    (folder / "a.htm").write_text("<title>A</title><p>y</p>")
    assert sorted(sync(HtmlFolder(folder), tmp_path / "kb").added) == ["a-2.md", "a.md"]


def test_the_contents_page_of_an_export_is_no_article(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        index='<meta name="kb:index" content="true"><title>All</title><p>x</p>',
        about='<title>About</title><p>Contents have &lt;meta name="kb:index"&gt;.</p>',
    )
    assert sync(HtmlFolder(folder), tmp_path / "kb").added == ["about.md"]


def test_a_folder_without_html(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no \.html files"):
        HtmlFolder(tmp_path).list_pages()
    with pytest.raises(SourceError, match="does not exist"):
        HtmlFolder(tmp_path / "absent")
