"""ServiceNow knowledge: the Table API against a server that answers as its reference says, and exports."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from indexer.articles import read_article
from indexer.errors import SourceError
from indexer.importing.fetching import Credentials, Fetcher
from indexer.importing.servicenow import FIELDS, ServiceNowExport, ServiceNowTable
from indexer.metadata import Audience
from tests.import_world import Answer, FakeServer, Request, file_of, serving, sync

TODAY = datetime.now(UTC).date()
Row = dict[str, str]


def row(number: int, **changes: str) -> Row:
    """A row of kb_knowledge with plain values."""
    return {
        "sys_id": f"{number:032x}",
        "number": f"KB{number:07d}",
        "version": "1.0",
        "short_description": f"Article {number}",
        "text": f"<h2>Cause</h2><p>Text of {number}.</p>",
        "wiki": "",
        "article_type": "text",
        "workflow_state": "published",
        "valid_to": "2100-01-01",
        "can_read_user_criteria": "",
        "cannot_read_user_criteria": "",
        "roles": "",
        "kb_knowledge_base": "base1",
        "kb_category": "cat1",
        "meta": "login, product:VPN client",
        "meta_description": "What it is about.",
        "language": "en",
        "sys_updated_on": "2025-01-02 03:04:05",
        "published": "2025-01-02",
        **changes,
    }


NAMES = {"base1": "Customer knowledge", "base2": "Operations", "cat1": "Network"}


class Instance:
    """An instance of `rows`, two a page; `hidden` rows are withheld by access rules, as the Table API does it."""

    def __init__(self, *rows: Row) -> None:
        self.rows = list(rows)
        self.hidden: set[str] = set()
        self.withheld_fields: set[str] = set()
        self.address = ""
        self.attachments: list[dict[str, str]] = []
        self.changes_while_listed = 0

    def __call__(self, request: Request) -> Answer:
        if request.path == "/api/now/attachment":
            return Answer({"result": self.attachments})
        if request.path.endswith("/file"):
            return Answer(b"FILE")
        if request.path != "/api/now/table/kb_knowledge":
            return Answer({"error": {"message": "Invalid table"}}, 400)
        assert request.query["sysparm_query"].endswith("ORDERBYsys_id")
        assert request.query["sysparm_display_value"] == "all"
        wanted = set(request.query["sysparm_fields"].split(","))
        assert wanted == set(FIELDS)
        start = int(request.query["sysparm_offset"])
        rows = [row for row in self.rows if row["workflow_state"] not in {"retired", "outdated"}]
        total = len(rows)
        if self.changes_while_listed and start:
            self.changes_while_listed -= 1
            total += 1
        headers = {"X-Total-Count": str(total)}
        if start + 2 < len(rows):
            query = "&".join(f"{k}={v}" for k, v in request.query.items() if k != "sysparm_offset")
            base = f"{self.address}{request.path}?{query}&sysparm_offset="
            headers["Link"] = f'<{base}0>;rel="first",<{base}{start + 2}>;rel="next",<{base}{total}>;rel="last"'
        shown = [row for row in rows[start : start + 2] if row["number"] not in self.hidden]
        return Answer({"result": [self._record(item) for item in shown]}, headers=headers)

    def _record(self, item: Row) -> dict[str, Any]:
        return {
            name: {"value": value, "display_value": NAMES.get(value, value)}
            for name, value in item.items()
            if name not in self.withheld_fields
        }


def table(server: FakeServer, unrestricted: Audience = Audience.INTERNAL, *bases: str) -> ServiceNowTable:
    fetcher = Fetcher(server.address, Credentials("importer", "x").header(), sleep=lambda seconds: None)
    return ServiceNowTable(server.address, Credentials(), bases, unrestricted, fetcher)


def audiences(folder: Path) -> dict[str, str]:
    state = json.loads((folder / ".kb-import.json").read_bytes())
    return {n: read_article(folder, file_of(folder, n)).audience.value for n in state["pages"]}


def varied_rows() -> list[Row]:
    yesterday = str(TODAY - timedelta(days=1))
    return [
        row(1, text="<p>See <a href='/kb_view.do?sysparm_article=KB0000002'>2</a> and "
            f"<a href='kb_view.do?sys_kb_id={3:032x}'>3</a>.</p>"),
        row(2, can_read_user_criteria="c1"),
        row(3, valid_to=yesterday),
        row(4, workflow_state="draft"),
        row(5, workflow_state="pending_retirement"),
        row(6, workflow_state="retired"),
        row(7, cannot_read_user_criteria="c2"),
        row(8, roles="itil"),
        row(9, valid_to=str(TODAY)),
        row(10, valid_to="next year"),
    ]  # fmt: skip


def test_states_dates_and_criteria_decide_the_audience(tmp_path: Path) -> None:
    instance = Instance(*varied_rows())
    with serving(instance) as server:
        instance.address = server.address
        sync(table(server, Audience.PUBLIC), tmp_path)
    assert audiences(tmp_path) == {
        "KB0000001": "public",
        "KB0000002": "internal",
        "KB0000003": "internal",
        "KB0000004": "internal",
        "KB0000005": "internal",
        "KB0000007": "internal",
        "KB0000008": "internal",
        "KB0000009": "public",
        "KB0000010": "internal",
    }
    confidence = {n: read_article(tmp_path, file_of(tmp_path, f"KB{n:07d}")).meta.confidence for n in (1, 3, 4, 5)}
    assert confidence == {1: "validated", 3: "archived", 4: "work-in-progress", 5: "archived"}
    one = read_article(tmp_path, file_of(tmp_path, "KB0000001"))
    assert (one.article_id, one.meta.products, one.meta.tags) == ("servicenow-KB0000001", ("vpn-client",), ("login",))
    assert (one.title, one.summary) == ("Article 1", "What it is about.")
    assert "[2](article-2-KB0000002.md)" in one.source.text
    assert "[3](article-3-KB0000003.md)" in one.source.text
    assert "knowledge_base: Customer knowledge\ncategory: Network" in one.source.text
    assert f"source: {server.address}/kb_view.do?sysparm_article=KB0000001" in one.source.text


def test_internal_by_default(tmp_path: Path) -> None:
    instance = Instance(row(1))
    with serving(instance) as server:
        instance.address = server.address
        assert sync(table(server), tmp_path).public == 0


@pytest.mark.parametrize("field", ["can_read_user_criteria", "cannot_read_user_criteria"])
def test_criteria_that_the_account_may_not_read_count_as_present(tmp_path: Path, field: str) -> None:
    instance = Instance(row(1))
    instance.withheld_fields = {field}
    with serving(instance) as server:
        instance.address = server.address
        assert sync(table(server, Audience.PUBLIC), tmp_path).public == 0


def test_validity_that_ends_closes_the_article_without_a_change_of_the_row(tmp_path: Path) -> None:
    instance = Instance(row(1, valid_to=str(TODAY)))
    with serving(instance) as server:
        instance.address = server.address
        sync(table(server, Audience.PUBLIC), tmp_path)
        later = table(server, Audience.PUBLIC)
        later.today = TODAY + timedelta(days=1)
        assert sync(later, tmp_path).tightened == ["article-1-KB0000001.md"]
    assert "confidence: archived" in file_of(tmp_path, "KB0000001").read_text()


def test_rows_withheld_in_the_middle_do_not_end_the_list(tmp_path: Path) -> None:
    instance = Instance(*(row(n) for n in range(1, 7)))
    instance.hidden = {"KB0000003", "KB0000004"}
    with serving(instance) as server:
        instance.address = server.address
        assert sync(table(server), tmp_path).pages == 4


def test_a_table_that_changes_while_it_is_listed_is_listed_again(tmp_path: Path) -> None:
    instance = Instance(*(row(n) for n in range(1, 4)))
    with serving(instance) as server:
        instance.address = server.address
        instance.changes_while_listed = 1
        assert sync(table(server), tmp_path).pages == 3
        instance.changes_while_listed = 99
        with pytest.raises(SourceError, match="changes while it is listed"):
            sync(table(server), tmp_path)


def test_the_published_version_of_a_number_counts(tmp_path: Path) -> None:
    older = row(1, text="<p>Published text.</p>", sys_updated_on="2025-01-01 00:00:00")
    newer = {**row(2, text="<p>Draft text.</p>", workflow_state="draft"), "number": older["number"]}
    instance = Instance(older, newer)
    with serving(instance) as server:
        instance.address = server.address
        sync(table(server, Audience.PUBLIC), tmp_path)
        assert "Published text." in file_of(tmp_path, "KB0000001").read_text()
        assert audiences(tmp_path) == {"KB0000001": "public"}
        older["workflow_state"] = "retired"
        sync(table(server, Audience.PUBLIC), tmp_path)
    assert "Draft text." in file_of(tmp_path, "KB0000001").read_text()
    assert audiences(tmp_path) == {"KB0000001": "internal"}


def test_only_the_named_bases(tmp_path: Path) -> None:
    instance = Instance(row(1), row(2, kb_knowledge_base="base2"))
    with serving(instance) as server:
        instance.address = server.address
        sync(table(server, Audience.PUBLIC, "customer knowledge"), tmp_path / "a")
        sync(table(server, Audience.PUBLIC, "base2"), tmp_path / "b")
    assert (set(audiences(tmp_path / "a")), set(audiences(tmp_path / "b"))) == ({"KB0000001"}, {"KB0000002"})


def test_wiki_markup_is_reported_not_guessed(tmp_path: Path) -> None:
    instance = Instance(row(1), row(2, article_type="wiki", wiki="== Head ==", text=""))
    with serving(instance) as server:
        instance.address = server.address
        report = sync(table(server), tmp_path)
    assert [(item.id, "wiki markup" in item.reason) for item in report.failed] == [("KB0000002", True)]


def test_attachments(tmp_path: Path) -> None:
    instance = Instance(row(1))
    instance.attachments = [{"sys_id": "a1", "file_name": "x.log", "size_bytes": "4", "content_type": "text/plain"}]
    with serving(instance) as server:
        instance.address = server.address
        assert sync(table(server), tmp_path, attachments=True).attachments == 1
        queries = [r.query["sysparm_query"] for r in server.requests if r.path == "/api/now/attachment"]
    assert queries == [f"table_name=kb_knowledge^table_sys_id={1:032x}"]
    assert (tmp_path / "article-1-KB0000001.files/x.log").read_bytes() == b"FILE"


def as_xml(rows: list[Row], head: str = "") -> str:
    fields = (
        "".join(
            f'<{name} display_value="{escape(NAMES[value])}">{value}</{name}>'
            if value in NAMES
            else f"<{name}>{escape(value)}</{name}>"
            for name, value in item.items()
        )
        for item in rows
    )
    body = "".join(f'<kb_knowledge action="INSERT_OR_UPDATE">{item}</kb_knowledge>' for item in fields)
    return f'<?xml version="1.0" encoding="UTF-8"?>{head}<unload unload_date="2025-01-01 00:00:00">{body}</unload>'


@pytest.mark.parametrize("form", ["table", "jsonv2", "xml"])
def test_exports_say_the_same_as_the_table(tmp_path: Path, form: str) -> None:
    rows = varied_rows()
    file = tmp_path / "kb_knowledge.export"
    if form == "xml":
        file.write_text(as_xml(rows))
    else:
        key = "result" if form == "table" else "records"
        file.write_text(json.dumps({key: rows}))
    report = sync(ServiceNowExport(file, (), Audience.PUBLIC), tmp_path / "kb")
    found = audiences(tmp_path / "kb")
    assert {name for name, value in found.items() if value == "public"} == {"KB0000001", "KB0000009"}
    assert len(found) == 9
    assert [(item.id, item.reason) for item in report.left_out] == [("KB0000006", "is retired")]
    assert sync(ServiceNowExport(file, (), Audience.PUBLIC), tmp_path / "kb").unchanged == 9


def test_a_link_without_an_id_means_no_row_without_one(tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    file.write_text(json.dumps({"result": [{"number": "KB1", "workflow_state": "published"}]}))
    source = ServiceNowExport(file)
    assert [ref.id for ref in source.list_pages()] == ["KB1"]
    assert source.find_link("kb_home.do", "KB1") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "neither JSON nor XML"),
        ("{}", "no \"result\""),
        ('{"result": []}', "no rows"),
        ("<unload><kb", "not well-formed"),
        (as_xml([row(1)], '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'), "document type"),
        ('{"result": [{"text": "x"}]}', "neither number nor sys_id"),
    ],
)  # fmt: skip
def test_exports_that_will_not_do(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "x"
    file.write_text(text)
    with pytest.raises(SourceError, match=words):
        sync(ServiceNowExport(file), tmp_path / "kb")
    with pytest.raises(SourceError, match="cannot be read"):
        sync(ServiceNowExport(tmp_path / "absent"), tmp_path / "kb")
