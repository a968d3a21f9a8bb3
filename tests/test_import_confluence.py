"""Confluence: storage format, REST against a server that answers as the reference says, and space exports."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from indexer.articles import read_article
from indexer.errors import PageError, SourceError
from indexer.importing import archives
from indexer.importing.archives import is_inside, open_archive, read_member
from indexer.importing.confluence import ConfluenceSpace
from indexer.importing.confluence_export import open_confluence_export
from indexer.importing.confluence_storage import storage_to_html
from indexer.importing.converting import Document
from indexer.importing.fetching import Credentials, Fetcher
from indexer.metadata import Audience
from tests.import_world import Answer, FakeServer, Request, file_of, serving, sync

CODE = """<ac:structured-macro ac:name="code" ac:schema-version="1"><ac:parameter ac:name="language">bash</ac:parameter>
<ac:parameter ac:name="title">Run this</ac:parameter><ac:plain-text-body><![CDATA[if [ $a > 3 ] && b; then
  echo "&nbsp; <b>"
fi]]></ac:plain-text-body></ac:structured-macro>"""


def markdown(storage: str) -> str:
    return Document(storage_to_html(storage, "KB")[0], "Title").to_markdown(lambda href: href)


MACROS = {
    "code": (CODE, '**Run this**\n\n```bash\nif [ $a > 3 ] && b; then\n  echo "&nbsp; <b>"\nfi\n```'),
    "noformat": (
        '<ac:structured-macro ac:name="noformat"><ac:plain-text-body><![CDATA[x]]></ac:plain-text-body>'
        "</ac:structured-macro>",
        "```text\nx\n```",
    ),
    "panels and expand inside one another": (
        '<ac:structured-macro ac:name="warning"><ac:parameter ac:name="title">Mind</ac:parameter><ac:rich-text-body>'
        '<p>a</p><ac:structured-macro ac:name="expand"><ac:parameter ac:name="title">More</ac:parameter>'
        "<ac:rich-text-body><p>b</p></ac:rich-text-body></ac:structured-macro></ac:rich-text-body></ac:structured-macro>",
        "> **Warning: Mind**\n>\n> a\n>\n> **More**\n>\n> b",
    ),
    "what is generated goes": ('<p>a</p><ac:structured-macro ac:name="toc"/><p>b</p>', "a\n\nb"),
    "unknown with a body keeps it": (
        '<ac:structured-macro ac:name="ours"><ac:rich-text-body><p>a</p></ac:rich-text-body></ac:structured-macro>',
        "a",
    ),
    "status and issue": (
        '<p><ac:structured-macro ac:name="status"><ac:parameter ac:name="title">DONE</ac:parameter>'
        '</ac:structured-macro> <ac:structured-macro ac:name="jira"><ac:parameter ac:name="key">AB-1</ac:parameter>'
        "</ac:structured-macro></p>",
        "**DONE** AB-1",
    ),
    "links": (
        '<p><ac:link ac:anchor="Step two"><ri:page ri:space-key="OPS" ri:content-title="Other page"/>'
        "<ac:plain-text-link-body><![CDATA[that]]></ac:plain-text-link-body></ac:link> "
        '<ac:link><ri:attachment ri:filename="f.zip"/></ac:link> <ac:link><ri:user ri:account-id="1"/></ac:link></p>',
        "[that](kb-page:OPS/Other%20page#Step%20two) f.zip",
    ),
    "images": ('<ac:image ac:alt="A chart"><ri:attachment ri:filename="c.png"/></ac:image>', "*Image: A chart*"),
    "tasks": (
        "<ac:task-list><ac:task><ac:task-id>1</ac:task-id><ac:task-status>complete</ac:task-status>"
        "<ac:task-body>a</ac:task-body></ac:task><ac:task><ac:task-status>incomplete</ac:task-status>"
        "<ac:task-body>b</ac:task-body></ac:task></ac:task-list>",
        "- [x] a\n- [ ] b",
    ),
    "entities": ("<p>a&nbsp;b &eacute; &amp;lt; &hellip; &nosuch;</p>", "a b é \\&lt; … \\&nosuch;"),
    "layouts": (
        "<ac:layout><ac:layout-section><ac:layout-cell><p>a</p></ac:layout-cell></ac:layout-section></ac:layout>",
        "a",
    ),
}


@pytest.mark.parametrize(("storage", "expected"), MACROS.values(), ids=MACROS.keys())
def test_storage_format(storage: str, expected: str) -> None:
    assert markdown(storage) == expected


def test_macros_without_a_plain_form_are_named() -> None:
    assert storage_to_html('<ac:structured-macro ac:name="odd"/><ac:structured-macro ac:name="toc"/>')[1] == ["odd"]


def test_no_entity_of_a_document_type_is_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("top secret")
    evil = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]><p>&e; a</p>'
    assert "top secret" not in storage_to_html(evil)[0]


class Site:
    """A Confluence Cloud site with one space, two pages a list."""

    def __init__(self) -> None:
        self.pages: dict[str, dict[str, Any]] = {}
        self.restricted: set[str] = set()
        self.broken: set[str] = set()
        self.unreadable: set[str] = set()
        self.folders: dict[str, dict[str, Any]] = {}
        self.attachments: dict[str, list[dict[str, Any]]] = {}

    def add(self, page_id: str, title: str, storage: str, parent: str = "", kind: str = "page", **more: Any) -> None:
        self.pages[page_id] = {
            "id": page_id,
            "status": "current",
            "title": title,
            "spaceId": "900",
            "parentId": parent or None,
            "parentType": kind if parent else None,
            "version": {"number": 1, "createdAt": "2025-02-03T04:05:06.000Z"},
            "body": {"storage": {"value": storage, "representation": "storage"}},
            "labels": {"results": [{"id": "1", "name": "login", "prefix": "global"}]},
            "_links": {"webui": f"/spaces/KB/pages/{page_id}/x"},
            **more,
        }

    def __call__(self, request: Request) -> Answer:
        parts = request.path.strip("/").split("/")
        if parts[:3] == ["wiki", "rest", "api"] and parts[-2:] == ["byOperation", "read"]:
            return self._restriction(parts[4])
        if parts[:3] != ["wiki", "api", "v2"]:
            return Answer(b"FILE") if parts[:2] == ["wiki", "download"] else Answer(status=404)
        if parts[3:] == ["spaces"]:
            found = [{"id": "900", "key": "KB"}] if request.query["keys"] == "KB" else []
            return Answer({"results": found, "_links": {}})
        if parts[3:] == ["spaces", "900", "pages"]:
            return self._list(request)
        if parts[3] == "folders":
            return Answer(self.folders[parts[4]]) if parts[4] in self.folders else Answer(status=404)
        if parts[3] == "pages" and parts[-1] == "attachments":
            return Answer({"results": self.attachments.get(parts[4], []), "_links": {}})
        if parts[3] == "pages" and parts[4] in self.pages:
            assert request.query["body-format"] == "storage"
            return Answer(status=500) if parts[4] in self.broken else Answer(self.pages[parts[4]])
        return Answer({"errors": []}, 404)

    def _list(self, request: Request) -> Answer:
        start = int(request.query.get("cursor", "0"))
        assert start or request.query["status"] == "current"
        pages = [{k: v for k, v in page.items() if k not in {"body", "labels"}} for page in self.pages.values()]
        links = {"base": "x"}
        if start + 2 < len(pages):
            links["next"] = f"/wiki/api/v2/spaces/900/pages?limit=250&cursor={start + 2}"
        return Answer({"results": pages[start : start + 2], "_links": links})

    def _restriction(self, page_id: str) -> Answer:
        if page_id in self.unreadable:
            return Answer({"message": "no"}, 403)
        if page_id not in self.pages and page_id not in self.folders:
            return Answer(status=404)
        users = [{"type": "known"}] if page_id in self.restricted else []
        found = {"user": {"results": users, "size": len(users)}, "group": {"results": [], "size": 0}}
        return Answer({"operation": "read", "restrictions": found})


def space(server: FakeServer, unrestricted: Audience = Audience.INTERNAL, key: str = "KB") -> ConfluenceSpace:
    fetcher = Fetcher(server.address, Credentials("me@example.com", "t").header(), sleep=lambda seconds: None)
    return ConfluenceSpace(f"{server.address}/wiki", key, Credentials(), unrestricted, fetcher)


def site_of_five() -> Site:
    site = Site()
    site.add("1", "Home", "<p>Start. <ac:link><ri:page ri:content-title='Deep page'/></ac:link></p>")
    site.add("2", "Restricted", "<p>Hidden.</p>", parent="1")
    site.add("3", "Deep page", f"<h1>How</h1>{CODE}<p><a href='/wiki/spaces/KB/pages/1/Home'>up</a></p>", parent="2")
    site.add("4", "In a folder", "<p>In it.</p>", parent="50", kind="folder")
    site.add("5", "Open", "<p>Open to all.</p>", parent="1")
    site.folders["50"] = {"id": "50", "title": "F", "parentId": "1", "parentType": "page"}
    site.restricted.add("2")
    return site


def test_rest_is_internal_unless_the_operator_opens_the_space(tmp_path: Path) -> None:
    site = site_of_five()
    with serving(site) as server:
        report = sync(space(server), tmp_path)
        assert not any("restriction" in path for path in server.paths())
    assert (len(report.added), report.public, report.internal) == (5, 0, 5)
    deep = read_article(tmp_path, file_of(tmp_path, "3"))
    assert (deep.article_id, deep.title, deep.meta.tags) == ("confluence-3", "Deep page", ("login",))
    assert "```bash" in deep.source.text
    assert "[up](home-1.md)" in deep.source.text
    assert "updated: '2025-02-03'" in deep.source.text
    assert "/wiki/spaces/KB/pages/3/x" in deep.source.text
    assert "[Deep page](deep-page-3.md)" in file_of(tmp_path, "1").read_text()


def test_restrictions_are_inherited_and_followed_both_ways(tmp_path: Path) -> None:
    site = site_of_five()
    with serving(site) as server:
        sync(space(server, Audience.PUBLIC), tmp_path)
        audiences = {n: read_article(tmp_path, file_of(tmp_path, n)).audience.value for n in "12345"}
        assert audiences == {"1": "public", "2": "internal", "3": "internal", "4": "public", "5": "public"}
        site.restricted = {"50"}
        report = sync(space(server, Audience.PUBLIC), tmp_path)
        audiences = {n: read_article(tmp_path, file_of(tmp_path, n)).audience.value for n in "12345"}
        assert audiences == {"1": "public", "2": "public", "3": "public", "4": "internal", "5": "public"}
        assert report.tightened == ["in-a-folder-4.md"]
        del site.folders["50"]
        site.restricted = set()
        assert sync(space(server, Audience.PUBLIC), tmp_path).public == 4


def test_an_unreadable_restriction_counts_as_one(tmp_path: Path) -> None:
    site = site_of_five()
    site.pages["5"]["parentId"] = "77"  # archived, or not to be seen
    site.add("6", "Unknown", "<p>x</p>")
    site.unreadable.add("6")
    with serving(site) as server:
        sync(space(server, Audience.PUBLIC), tmp_path)
    audiences = [read_article(tmp_path, file_of(tmp_path, page_id)).audience for page_id in ("5", "6")]
    assert audiences == [Audience.INTERNAL, Audience.INTERNAL]


def test_only_changed_pages_are_fetched_and_one_failure_is_one_failure(tmp_path: Path) -> None:
    site = site_of_five()
    with serving(site) as server:
        sync(space(server), tmp_path)
        server.requests.clear()
        site.pages["5"]["version"]["number"] = 2
        site.broken.add("5")
        report = sync(space(server), tmp_path)
        assert [item.id for item in report.failed] == ["5"]
        assert {path for path in server.paths() if "/pages/" in path} == {"/wiki/api/v2/pages/5"}
        site.broken = set("12345")
        for page in site.pages.values():
            page["version"]["number"] = 3
        assert "3 pages in a row" in sync(space(server), tmp_path).stopped
    assert len(list(tmp_path.glob("*.md"))) == 5


def test_links_to_pages_that_appear_later(tmp_path: Path) -> None:
    site = Site()
    site.add("1", "Home", "<p><ac:link><ri:page ri:content-title='New one'/></ac:link></p>")
    with serving(site) as server:
        sync(space(server), tmp_path)
        assert file_of(tmp_path, "1").read_text().endswith("\nNew one\n")
        site.add("2", "New one", "<p>Here.</p>")
        sync(space(server), tmp_path)
        assert "[New one](new-one-2.md)" in file_of(tmp_path, "1").read_text()


def test_attachments_by_rest(tmp_path: Path) -> None:
    site = Site()
    site.add("1", "Home", "<p>x</p>")
    site.attachments["1"] = [
        {"id": "att7", "title": "a b.png", "fileSize": 4, "downloadLink": "/download/attachments/1/a"}
    ]
    with serving(site) as server:
        assert sync(space(server), tmp_path, attachments=True).attachments == 1
    assert (tmp_path / "home-1.files/a b.png").read_bytes() == b"FILE"


def test_a_space_that_is_not_there(tmp_path: Path) -> None:
    with serving(Site()) as server:
        with pytest.raises(SourceError, match="not there"):
            sync(space(server, key="NO"), tmp_path)
        with pytest.raises(SourceError, match="space key"):
            space(server, key="../x")


PAGE_HTML = """<!DOCTYPE html><html><head><title>{space} : {title}</title></head>
<body class="theme-default"><div id="page">
<div id="main-header"><div id="breadcrumb-section"><ol id="breadcrumbs"><li><a href="index.html">Help</a></li></ol>
</div>
<h1 id="title-heading" class="pagetitle"><span id="title-text">{space} : {title}</span></h1></div>
<div id="content" class="view"><div class="page-metadata">Created by <span class="author"> Somebody</span>,
 last modified on Mar 01, 2024</div><div id="main-content" class="wiki-content group">{body}</div>
<div class="pageSection group"><div class="pageSectionHeader"><h2 id="attachments" class="pageSectionTitle">Attachments:
</h2></div><div class="greybox" align="left"><img src="images/icons/bullet_blue.gif"/>
<a href="attachments/101/555.png">shot.png</a> (image/png)<br/></div></div></div></div>
<div id="footer"><p>Document generated by Confluence on Mar 02, 2024</p></div></body></html>"""

EXPORTED = """<h2 id="Login-Signingin">Signing in</h2>
<div class="toc-macro rbtoc1"><ul class="toc-indentation"><li><a href="#x">x</a></li></ul></div>
<div class="confluence-information-macro confluence-information-macro-note"><p class="title">Mind</p>
<span class="aui-icon aui-icon-small aui-iconfont-warning confluence-information-macro-icon"></span>
<div class="confluence-information-macro-body"><p>Careful.</p></div></div>
<div class="code panel pdl"><div class="codeHeader panelHeader pdl"><b>Run</b></div>
<div class="codeContent panelContent pdl"><pre class="syntaxhighlighter-pre" data-theme="Confluence"
 data-syntaxhighlighter-params="brush: java; gutter: false">int a;</pre>
</div></div><div class="expand-container"><div class="expand-control"><span class="expand-control-icon"><img/></span>
<span class="expand-control-text">More</span></div><div class="expand-content"><p>inside</p></div></div>
<p><a href="Other-page_102.html#Otherpage-Part">other</a></p>"""


def html_export(file: Path) -> Path:
    with zipfile.ZipFile(file, "w") as zip_file:
        zip_file.writestr("KB/index.html", "<html><body>Available pages</body></html>")
        zip_file.writestr("KB/101.html", PAGE_HTML.format(space="Help", title="Login", body=EXPORTED))
        other = "<h2 id='Otherpage-Part'>Part</h2><p>b</p>"
        zip_file.writestr("KB/Other-page_102.html", PAGE_HTML.format(space="Help", title="Other page", body=other))
        zip_file.writestr("KB/attachments/101/555.png", b"PNG")
        zip_file.writestr("../../evil_666.html", PAGE_HTML.format(space="Help", title="Evil", body="<p>x</p>"))
        zip_file.writestr("/abs_667.html", PAGE_HTML.format(space="Help", title="Evil", body="<p>x</p>"))
    return file


def test_html_export(tmp_path: Path) -> None:
    source = open_confluence_export(html_export(tmp_path / "export-1.zip"))
    report = sync(source, tmp_path / "kb", attachments=True)
    assert sorted(report.added) == ["login-101.md", "other-page-102.md"]
    assert (report.public, report.internal) == (0, 2)
    text = (tmp_path / "kb/login-101.md").read_text()
    assert text.split("# Login\n\n")[1] == (
        "## Signing in\n\n> **Note: Mind**\n>\n> Careful.\n\n**Run**\n\n```java\nint a;\n```\n\n**More**\n\ninside\n\n"
        "[other](other-page-102.md#part)\n"
    )
    assert "updated: '2024-03-01'" in text
    assert (tmp_path / "kb/login-101.files/shot.png").read_bytes() == b"PNG"
    newer = html_export(tmp_path / "export-2.zip")
    assert sync(open_confluence_export(newer), tmp_path / "kb").unchanged == 2


def test_html_export_cannot_be_public(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not say which pages are restricted"):
        open_confluence_export(html_export(tmp_path / "export.zip"), Audience.PUBLIC)


def entity(kind: str, number: int, properties: str) -> str:
    return f'<object class="{kind}" package="com.atlassian.confluence"><id name="id">{number}</id>{properties}</object>'


def text_property(name: str, value: str) -> str:
    return f'<property name="{name}"><![CDATA[{value}]]></property>'


def reference(name: str, kind: str, number: int) -> str:
    return f'<property name="{name}" class="{kind}"><id name="id">{number}</id></property>'


def xml_page(number: int, title: str, body: str, more: str = "", status: str = "current") -> str:
    properties = (
        text_property("title", title)
        + text_property("contentStatus", status)
        + '<property name="version">3</property>'
        + '<property name="lastModificationDate">2024-05-06 07:08:09.000</property>'
        + reference("space", "Space", 9)
        + more
    )
    stored = text_property("body", body.replace("]]>", "]] >")) + reference("content", "Page", number)
    return entity("Page", number, properties) + entity("BodyContent", number + 1000, stored)


def xml_export(file: Path, head: str = "") -> Path:
    objects = (
        entity("Space", 9, text_property("key", "KB") + text_property("name", "Help"))
        + xml_page(1, "Home", f"<p>Start.</p>{CODE}<p><ac:link><ri:page ri:content-title='Below'/></ac:link></p>")
        + xml_page(2, "Secret", "<p>Hidden.</p>", reference("parent", "Page", 1))
        + xml_page(3, "Below", "<p>Under it.</p>", reference("parent", "Page", 2))
        + xml_page(4, "Home", "<p>Old.</p>", reference("originalVersion", "Page", 1))
        + xml_page(5, "Unfinished", "<p>x</p>", status="draft")
        + xml_page(6, "Orphan", "<p>o</p>", reference("parent", "Page", 777))
        + entity("ContentPermissionSet", 20, text_property("type", "View") + reference("owningContent", "Page", 2))
        + entity("ContentPermissionSet", 21, text_property("type", "Edit") + reference("owningContent", "Page", 1))
        + entity("Label", 30, text_property("name", "product:api") + text_property("namespace", "global"))
        + entity("Label", 31, text_property("name", "favourite") + text_property("namespace", "my"))
        + entity("Labelling", 32, reference("label", "Label", 30) + reference("content", "Page", 1))
        + entity("Labelling", 33, reference("label", "Label", 31) + reference("content", "Page", 1))
        + entity(
            "Attachment",
            40,
            text_property("title", "a.txt")
            + '<property name="version">2</property>'
            + reference("containerContent", "Page", 1),
        )
    )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zip_file:
        zip_file.writestr("exportDescriptor.properties", "exportType=space\nspaceKey=KB\n")
        zip_file.writestr(
            "entities.xml", f'<?xml version="1.0"?>{head}<hibernate-generic>{objects}</hibernate-generic>'
        )
        zip_file.writestr("attachments/1/40/2", b"data")
    return file


def test_xml_export(tmp_path: Path) -> None:
    file = xml_export(tmp_path / "export.xml.zip")
    report = sync(open_confluence_export(file, Audience.PUBLIC), tmp_path / "kb", attachments=True)
    assert sorted(report.added) == ["below-3.md", "home-1.md", "orphan-6.md", "secret-2.md"]
    assert [(item.name, item.reason) for item in report.left_out] == [("Unfinished", "is draft")]
    audiences = {n: read_article(tmp_path / "kb", file_of(tmp_path / "kb", n)).audience.value for n in "1236"}
    assert audiences == {"1": "public", "2": "internal", "3": "internal", "6": "internal"}
    home = read_article(tmp_path / "kb", tmp_path / "kb/home-1.md")
    assert (home.meta.products, home.meta.tags) == (("api",), ())
    assert 'echo "&nbsp; <b>"' in home.source.text
    assert "[Below](below-3.md)" in home.source.text
    assert "updated: '2024-05-06'" in home.source.text
    assert (tmp_path / "kb/home-1.files/a.txt").read_bytes() == b"data"
    assert sync(open_confluence_export(file, Audience.PUBLIC), tmp_path / "kb").unchanged == 4


def test_xml_export_is_internal_by_default(tmp_path: Path) -> None:
    assert sync(open_confluence_export(xml_export(tmp_path / "e.zip")), tmp_path / "kb").public == 0


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>',
        "<!DOCTYPE x>",
    ],
)
def test_an_export_with_a_document_type_is_refused(tmp_path: Path, head: str) -> None:
    source = open_confluence_export(xml_export(tmp_path / "e.zip", head))
    with pytest.raises(SourceError, match="document type"):
        source.list_pages()


def test_a_damaged_export_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"not a zip")
    with pytest.raises(SourceError, match="neither a folder nor a ZIP"):
        open_confluence_export(tmp_path / "a.zip")
    with pytest.raises(SourceError, match="does not exist"):
        open_confluence_export(tmp_path / "b.zip")
    (tmp_path / "entities.xml").write_text("<hibernate-generic><object")
    with pytest.raises(SourceError, match="cannot be read"):
        open_confluence_export(tmp_path).list_pages()


def encrypt(raw: bytes, name: bytes) -> bytes:
    """A ZIP file in which the file `name` is said to be encrypted."""
    data = bytearray(raw)
    for mark, flags, length in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
        at = data.find(mark)
        while data[at + length : at + length + len(name)] != name:
            at = data.index(mark, at + 1)
        data[at + flags] |= 1
    return bytes(data)


@pytest.mark.parametrize("name", ["entities.xml", "exportDescriptor.properties"])
def test_an_export_with_a_password_is_an_error(tmp_path: Path, name: str) -> None:
    file = xml_export(tmp_path / "export.zip")
    file.write_bytes(encrypt(file.read_bytes(), name.encode()))
    with pytest.raises(SourceError, match=f"{name} .*password"):
        open_confluence_export(file).list_pages()


def test_an_export_with_damaged_data_is_an_error(tmp_path: Path) -> None:
    file = xml_export(tmp_path / "export.zip")
    raw = file.read_bytes()
    at = raw.index(b"entities.xml") + len("entities.xml")
    file.write_bytes(raw[: at + 40] + b"\xff" * 40 + raw[at + 80 :])
    with pytest.raises(SourceError, match="export the space again"):
        open_confluence_export(file).list_pages()


def test_a_zip_bomb_is_bounded_by_what_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as zip_file:
        zip_file.writestr("a.html", b"\0" * 5_000_000)
        zip_file.writestr("b.html", b"x")
    raw = data.getvalue()
    (tmp_path / "a.zip").write_bytes(raw)
    archive = open_archive(tmp_path / "a.zip")
    with pytest.raises(PageError, match="larger than"):
        read_member(archive, "a.html", 1024**2)
    lying = raw.replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != raw
    (tmp_path / "b.zip").write_bytes(lying)
    with pytest.raises(PageError):
        assert len(read_member(open_archive(tmp_path / "b.zip"), "a.html", 1024**2)) <= 1024**2
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 4_000_000)
    with pytest.raises(SourceError, match="unpacks to more"):
        read_member(open_archive(tmp_path / "a.zip"), "a.html", 10_000_000)
    monkeypatch.setattr(archives, "MAX_MEMBERS", 1)
    with pytest.raises(SourceError, match="more than 1 files"):
        open_archive(tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "a\\..\\b", "c:a"])
def test_names_that_lead_out_of_an_archive(name: str) -> None:
    assert not is_inside(name)


def test_links_out_of_a_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "out.html").write_text("secret")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link.html").symlink_to(tmp_path / "out.html")
    archive = open_archive(folder)
    assert archive.names() == []
    with pytest.raises(PageError):
        read_member(archive, "link.html")
