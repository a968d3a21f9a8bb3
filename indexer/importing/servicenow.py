"""ServiceNow knowledge: table `kb_knowledge` by the Table API, or exported as JSON or XML.

Source: https://www.servicenow.com/docs/r/api-reference/rest-apis/c_TableAPI.html (`sysparm_*`, `Link` and
`X-Total-Count` headers) and the fields of `kb_knowledge`: `workflow_state`, `valid_to`, `can_read_user_criteria`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from indexer.errors import PageError, SourceError
from indexer.importing.fetching import Credentials, Fetcher, check_base
from indexer.importing.html import one_line
from indexer.importing.pages import Attachment, LeftOut, Link, Page, PageRef, Source
from indexer.importing.rendering import labels_to_tags
from indexer.metadata import Audience, Confidence

FIELDS = (
    "sys_id", "number", "version", "short_description", "text", "wiki", "article_type", "workflow_state", "valid_to",
    "can_read_user_criteria", "cannot_read_user_criteria", "roles", "kb_knowledge_base", "kb_category", "meta",
    "meta_description", "language", "sys_updated_on", "published",
)  # fmt: skip
_PAGE_SIZE = "200"
_MAX_EXPORT_BYTES = 512 * 1024**2
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_PUBLISHED = "published"
_DRAFTS = frozenset({"draft", "review", "scheduled_publish", "pending_publication"})
_ENDED = frozenset({"pending_retirement"})

Row = dict[str, Any]


class _Knowledge(Source):
    """What both ways in have in common: rows of `kb_knowledge` to pages."""

    kind = "servicenow"
    prefix = "servicenow"

    def __init__(self, place: str, bases: tuple[str, ...], unrestricted: Audience) -> None:
        self.place = place
        self.left_out: list[LeftOut] = []
        self._bases = tuple(base.casefold() for base in bases)
        self._unrestricted = unrestricted
        self._rows: dict[str, Row] = {}
        self._numbers: dict[str, str] = {}
        self.today = datetime.now(UTC).date()

    def _read_rows(self) -> list[Row]:
        raise NotImplementedError

    def list_pages(self) -> list[PageRef]:
        versions: dict[str, list[Row]] = {}
        for row in self._read_rows():
            number = value_of(row, "number") or value_of(row, "sys_id")
            if not number:
                raise SourceError(f"{self.place}: a row has neither number nor sys_id; export these fields too")
            base = {value_of(row, "kb_knowledge_base").casefold(), name_of(row, "kb_knowledge_base").casefold()}
            if not self._bases or base & set(self._bases):
                versions.setdefault(number, []).append(row)
                if sys_id := value_of(row, "sys_id"):
                    self._numbers[sys_id] = number
        refs = []
        for number, rows in versions.items():
            row = max(rows, key=_standing)
            state = value_of(row, "workflow_state") or "unknown"
            if state != _PUBLISHED and state not in _DRAFTS | _ENDED:
                self.left_out.append(LeftOut(number, _title(row), f"is {state}"))
                continue
            self._rows[number] = row
            told = json.dumps([row, self._is_over(row)], sort_keys=True)
            version = hashlib.sha256(told.encode()).hexdigest()[:32]
            refs.append(PageRef(number, version, _title(row), self._audience(row)))
        return refs

    def fetch_page(self, ref: PageRef) -> Page:
        row = self._rows[ref.id]
        html = value_of(row, "text")
        if value_of(row, "wiki") and (value_of(row, "article_type") == "wiki" or not html):
            raise PageError("is written in wiki markup, which is not converted; turn it into HTML at the source")
        products, tags = labels_to_tags(value_of(row, "meta").split(","))
        front = {
            "knowledge_base": name_of(row, "kb_knowledge_base"),
            "category": name_of(row, "kb_category"),
            "language": value_of(row, "language"),
            "valid_to": value_of(row, "valid_to")[:10],
        }
        return Page(
            title=ref.title,
            audience=ref.audience or Audience.INTERNAL,
            html=html,
            summary=value_of(row, "meta_description"),
            confidence=self._confidence(row),
            products=products,
            tags=tags,
            url=self._url(ref.id),
            updated=value_of(row, "sys_updated_on")[:10],
            attachments=tuple(self._attachments(value_of(row, "sys_id"))),
            front={key: value for key, value in front.items() if value},
        )

    def find_link(self, href: str, page_id: str) -> Link | None:
        try:
            parts = urlsplit(href)
            query = parse_qs(parts.query)
        except ValueError:
            return None
        if parts.netloc not in {"", urlsplit(self.place).netloc}:
            return None
        number = (query.get("sysparm_article") or [""])[0]
        sys_id = (query.get("sys_kb_id") or query.get("sys_id") or [""])[0]
        target = number or self._numbers.get(sys_id, "")
        return Link(target, parts.fragment) if target else None

    def read_attachment(self, attachment: Attachment) -> Iterator[bytes]:
        raise PageError("is not part of the export; import by the Table API to download it")

    def _attachments(self, sys_id: str) -> Iterator[Attachment]:
        return iter(())

    def _url(self, number: str) -> str:
        return ""

    def _is_over(self, row: Row) -> bool:
        """Whether the row's validity has ended, or cannot be read."""
        until = value_of(row, "valid_to")[:10]
        try:
            return bool(until) and date.fromisoformat(until) < self.today
        except ValueError:
            return True

    def _audience(self, row: Row) -> Audience:
        """Public only if the operator opened the base, and the row is published, valid and restricted by nothing."""
        told = all(name in row for name in ("can_read_user_criteria", "cannot_read_user_criteria"))
        limits = ("can_read_user_criteria", "cannot_read_user_criteria", "roles")
        open_to_all = told and not any(value_of(row, name) for name in limits)
        if open_to_all and value_of(row, "workflow_state") == _PUBLISHED and not self._is_over(row):
            return self._unrestricted
        return Audience.INTERNAL

    def _confidence(self, row: Row) -> Confidence:
        state = value_of(row, "workflow_state")
        if state in _ENDED or self._is_over(row):
            return Confidence.ARCHIVED
        return Confidence.VALIDATED if state == _PUBLISHED else Confidence.WORK_IN_PROGRESS


class ServiceNowTable(_Knowledge):
    """Knowledge articles of an instance, by the Table API."""

    def __init__(
        self,
        address: str,
        credentials: Credentials,
        bases: tuple[str, ...] = (),
        unrestricted: Audience = Audience.INTERNAL,
        fetcher: Fetcher | None = None,
    ) -> None:
        """`bases` are names or sys_ids of knowledge bases; all if empty."""
        base = check_base(address)
        super().__init__("".join([base, *(f" {name}" for name in sorted(bases))]), bases, unrestricted)
        self._base = base
        self._fetcher = fetcher or Fetcher(base, credentials.header())

    def _read_rows(self) -> list[Row]:
        query = "workflow_state!=retired^workflow_state!=outdated^ORDERBYsys_id"
        for _ in range(3):
            rows, totals = self._query(query)
            if len(totals) <= 1:
                return list({value_of(row, "sys_id"): row for row in rows}.values())
        raise SourceError(f"{self.place} changes while it is listed; try again when nobody publishes")

    def _query(self, query: str) -> tuple[list[Row], set[str]]:
        """All rows, and the total counts that the pages named: more than one if the table changed meanwhile."""
        rows, totals = [], set()
        path = "api/now/table/kb_knowledge"
        params: dict[str, str] | None = {
            "sysparm_query": query,
            "sysparm_fields": ",".join(FIELDS),
            "sysparm_display_value": "all",
            "sysparm_exclude_reference_link": "true",
            "sysparm_limit": _PAGE_SIZE,
            "sysparm_offset": "0",
        }
        while path:
            try:
                answer, headers = self._fetcher.get_json(path, params)
                rows += answer["result"]
            except (PageError, KeyError, TypeError) as error:
                raise SourceError(f"{self.place} has no table kb_knowledge to read; see docs/import.md") from error
            if total := headers.get("x-total-count"):
                totals.add(total)
            match = _NEXT.search(headers.get("link", ""))
            following = match[1] if match else ""
            if following == path:
                raise SourceError(f"{self.place} gives the same page again and again; try again later")
            path, params = following, None
        return rows, totals

    def read_attachment(self, attachment: Attachment) -> Iterator[bytes]:
        return self._fetcher.stream(attachment.address)

    def _attachments(self, sys_id: str) -> Iterator[Attachment]:
        answer, _ = self._fetcher.get_json(
            "api/now/attachment",
            {"sysparm_query": f"table_name=kb_knowledge^table_sys_id={sys_id}", "sysparm_limit": "500"},
            of_page=True,
        )
        try:
            for item in answer["result"]:
                size = str(item.get("size_bytes") or "")
                yield Attachment(
                    one_line(str(item["file_name"])),
                    int(size) if size.isdecimal() else None,
                    f"{self._base}/api/now/attachment/{item['sys_id']}/file",
                )
        except (KeyError, TypeError, AttributeError) as error:
            raise PageError("its attachments cannot be listed") from error

    def _url(self, number: str) -> str:
        return f"{self._base}/kb_view.do?sysparm_article={number}"


class ServiceNowExport(_Knowledge):
    """Knowledge articles of a file: JSON (Table API or `JSONv2`) or XML (list export or `unload`)."""

    def __init__(self, file: Path, bases: tuple[str, ...] = (), unrestricted: Audience = Audience.INTERNAL) -> None:
        super().__init__("".join(["ServiceNow export", *(f" {name}" for name in sorted(bases))]), bases, unrestricted)
        self._path = file

    def _read_rows(self) -> list[Row]:
        try:
            if self._path.stat().st_size > _MAX_EXPORT_BYTES:
                raise SourceError(f"{self._path} is larger than {_MAX_EXPORT_BYTES // 1024**2} MiB; export in parts")
            data = self._path.read_bytes()
        except OSError as error:
            raise SourceError(f"{self._path} cannot be read: {error.strerror}") from error
        rows = _xml_rows(self._path, data) if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else None
        if rows is None:
            rows = _json_rows(self._path, data)
        if not rows:
            raise SourceError(f"{self._path} holds no rows of kb_knowledge")
        return rows


def _json_rows(file: Path, data: bytes) -> list[Row]:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{file} is neither JSON nor XML") from error
    rows = values.get("result", values.get("records")) if isinstance(values, dict) else values
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SourceError(f'{file} has no "result" or "records" list; export kb_knowledge as JSON')
    return rows


def _xml_rows(file: Path, data: bytes) -> list[Row]:
    """Rows of an XML export; no document type, no entities beyond XML's own."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise SourceError(f"{file} is not well-formed XML: {error}") from error
    if root.getroottree().docinfo.doctype:
        raise SourceError(f"{file} declares a document type; that is no ServiceNow export")
    rows = []
    for element in root.iter("kb_knowledge"):
        if element.get("action") == "DELETE":
            continue
        row: Row = {}
        for child in element:
            if isinstance(child.tag, str):
                text = "".join(child.itertext())
                shown = child.get("display_value")
                row[child.tag] = text if shown is None else {"value": text, "display_value": shown}
        rows.append(row)
    return rows


def value_of(row: Row, name: str) -> str:
    """A field's value, whichever form the row has: plain, or with its display value."""
    value = row.get(name)
    if isinstance(value, dict):
        value = value.get("value")
    return str(value).strip() if value is not None else ""


def name_of(row: Row, name: str) -> str:
    """A field as people read it; its value where no display value came along."""
    value = row.get(name)
    shown = value.get("display_value") if isinstance(value, dict) else None
    return one_line(str(shown or value_of(row, name)))


def _standing(row: Row) -> tuple[bool, str, str]:
    """Among the versions of one number the published one counts, else the one changed last."""
    return value_of(row, "workflow_state") == _PUBLISHED, value_of(row, "sys_updated_on"), value_of(row, "sys_id")


def _title(row: Row) -> str:
    return one_line(value_of(row, "short_description")) or value_of(row, "number") or value_of(row, "sys_id")
