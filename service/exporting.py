"""The articles of an index, written out: a static HTML bundle, or JSON Lines. Only what the scope admits leaves.

Pages come from `render_article`, the same sanitised HTML that the service shows, with relative links between them.
Links to articles outside the scope are plain text, and nothing tells that there are any.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path, PurePosixPath
from posixpath import relpath
from typing import Any
from urllib.parse import quote

from indexer.articles import Article, Section, plain_text
from indexer.errors import InputError
from indexer.metadata import Audience
from indexer.scope import Scope
from indexer.snapshot import Snapshot
from indexer.store import ArticleCard
from service.products import require_products
from service.rendering import LinkFor, public_markdown, render_article

MARKER = ".kb-export.json"
"""Says that a folder is an export, which the next one may replace."""

_PAGES = "articles"
_WEB = Path(__file__).parent / "web"

ProgressFn = Callable[[str, int, int], None]


class ExportFormat(StrEnum):
    HTML = "html"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written where, of which index version."""

    to: str
    format: ExportFormat
    audience: Audience
    articles: int
    index_version: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Exporter:
    """The articles of one index version within one scope. Raises InputError if they name a product of it nowhere."""

    def __init__(self, snapshot: Snapshot, scope: Scope) -> None:
        require_products(scope, snapshot.store.cards)
        self._snapshot, self._scope = snapshot, scope
        cards = [card for card in snapshot.store.cards if scope.admits(card.audience, card.product_set)]
        self.cards: tuple[ArticleCard, ...] = tuple(sorted(cards, key=lambda card: card.path))

    @property
    def is_internal(self) -> bool:
        """Whether internal articles may be among them."""
        return Audience.INTERNAL in self._scope.audiences

    @cached_property
    def pages(self) -> dict[str, str]:
        """Files of the bundle by article path; no two alike, even where case does not count."""
        pages: dict[str, str] = {}
        taken: set[str] = set()
        for card in self.cards:
            base = PurePosixPath(_PAGES) / PurePosixPath(card.path).with_suffix("")
            name, number = f"{base}.html", 1
            while name.casefold() in taken:
                number += 1
                name = f"{base}-{number}.html"
            taken.add(name.casefold())
            pages[card.path] = name
        return pages

    def records(self) -> Iterator[dict[str, Any]]:
        """One JSON-ready object an article, in path order: metadata, Markdown and sections."""
        for card in self.cards:
            article = self._snapshot.article(card.row)
            text = article.source.text if self.is_internal else public_markdown(article, self._link_to_self)
            lines = re.split(r"\r\n|\r|\n", text)
            yield {
                **self.metadata(card, article),
                "markdown": text,
                "sections": [_section_record(section, lines) for section in article.sections],
                "index_version": self._snapshot.name,
            }

    def metadata(self, card: ArticleCard, article: Article) -> dict[str, Any]:
        """What the scope may know of an article. Owners and governance stay inside the team."""
        known = {other.article_id for other in self.cards} | {other.path for other in self.cards}
        values: dict[str, Any] = {
            "id": card.article_id,
            "path": card.path,
            "title": card.title,
            "summary": card.summary,
            "audience": card.audience.value,
            "type": card.type,
            "confidence": card.confidence,
            "products": list(card.products),
            "versions": list(card.versions),
            "components": list(card.components),
            "error_codes": list(card.error_codes),
            "tags": list(card.tags),
            "last_verified": card.last_verified,
            "related": [name for name in card.related if name in known],
            "version": card.version,
        }
        if self.is_internal:
            values |= {"owner": article.meta.owner, "governance": article.meta.governance}
        return values

    def write_bundle(self, folder: Path, title: str, progress: ProgressFn) -> None:
        """An index page and a page an article below `folder`, with one style sheet and no script."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        templates = Environment(
            loader=FileSystemLoader(_WEB / "export"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        shutil.copyfile(_WEB / "export" / "export.css", folder / "export.css")
        page = templates.get_template("article.html")
        for number, card in enumerate(self.cards):
            progress("pages", number, len(self.cards))
            article = self._snapshot.article(card.row)
            target = self.pages[card.path]
            file = folder / target
            if not file.resolve().is_relative_to(folder.resolve()):
                raise InputError(f"{card.path!r} is not a path below the export; run `kb index` again")
            file.parent.mkdir(parents=True, exist_ok=True)
            html = page.render(
                site=title,
                card=card,
                meta=list(_meta_elements(self.metadata(card, article))),
                internal=card.audience is Audience.INTERNAL,
                body=render_article(article, self._link_from(target)),
                heading=None if _repeats_title(article) else card.title,
                related=self._related(card, target),
                root="../" * target.count("/"),
            )
            file.write_text(html, encoding="utf-8")
        index = templates.get_template("index.html").render(site=title, groups=self._groups(), count=len(self.cards))
        (folder / "index.html").write_text(index, encoding="utf-8")
        progress("pages", len(self.cards), len(self.cards))

    def _groups(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Articles by their top folder, as the index page lists them."""
        groups: dict[str, list[dict[str, Any]]] = {}
        for card in self.cards:
            folder = card.path.partition("/")[0] if "/" in card.path else ""
            internal = card.audience is Audience.INTERNAL
            entry = {"card": card, "href": quote(self.pages[card.path]), "internal": internal}
            groups.setdefault(folder, []).append(entry)
        return sorted(groups.items())

    def _related(self, card: ArticleCard, page: str) -> list[dict[str, str]]:
        wanted = set(card.related)
        link = self._link_from(page)
        return [
            {"title": other.title, "href": link(other.path) or ""}
            for other in self.cards
            if {other.article_id, other.path} & wanted
        ]

    def _link_from(self, page: str) -> LinkFor:
        """Relative addresses as written in `page`; None for articles outside the scope."""
        folder = str(PurePosixPath(page).parent)

        def link_for(path: str) -> str | None:
            target = self.pages.get(path)
            return quote(relpath(target, folder)) if target else None

        return link_for

    def _link_to_self(self, path: str) -> str | None:
        return path if path in self.pages else None


def export_articles(
    index_dir: Path, to: Path, format_: ExportFormat, scope: Scope, title: str, progress: ProgressFn
) -> ExportReport:
    """Write the articles of the live index version within `scope` to the folder `to`, replacing an earlier export.

    Raises:
        InputError: `to` holds something else than an export, or lies inside the index; no such product.
        IndexNotFound, IndexCorrupt, IndexMismatch: as `Snapshot.open`.
    """
    _check_target(index_dir, to)
    snapshot = Snapshot.open(index_dir)
    exporter = Exporter(snapshot, scope)
    report = ExportReport(
        str(to),
        format_,
        Audience.INTERNAL if exporter.is_internal else Audience.PUBLIC,
        len(exporter.cards),
        snapshot.name,
    )
    to.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=to.parent, prefix=f".{to.name}.building-"))
    try:
        if format_ is ExportFormat.HTML:
            exporter.write_bundle(building, title, progress)
        else:
            with (building / "articles.jsonl").open("w", encoding="utf-8", newline="\n") as file:
                for record in exporter.records():
                    file.write(dump_record(record))
        (building / MARKER).write_text(json.dumps(report.as_dict() | {"to": ""}) + "\n", encoding="utf-8")
        building.chmod(0o755)
        _replace_folder(building, to)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return report


def dump_record(record: dict[str, Any]) -> str:
    """One line of JSON Lines, with its line end."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"


def _check_target(index_dir: Path, to: Path) -> None:
    if to.resolve().is_relative_to(index_dir.resolve()) or index_dir.resolve().is_relative_to(to.resolve()):
        raise InputError(f"{to} and the index lie in one another; name another folder with --to")
    if not to.exists():
        return
    if not to.is_dir():
        raise InputError(f"{to} is not a folder; name another one with --to")
    if any(to.iterdir()) and not (to / MARKER).is_file():
        raise InputError(f"{to} is not empty and no earlier export; name another folder with --to")


def _replace_folder(building: Path, to: Path) -> None:
    """Put `building` in the place of `to`. Whoever reads sees the old or the new one, never a mixture."""
    if not to.exists():
        building.rename(to)
        return
    old = Path(tempfile.mkdtemp(dir=to.parent, prefix=f".{to.name}.old-"))
    to.rename(old / "old")
    building.rename(to)
    shutil.rmtree(old)


def _section_record(section: Section, lines: list[str]) -> dict[str, Any]:
    """`lines` are those that the reader may see; they keep their numbers."""
    first, last = section.span.start_line, section.span.end_line
    return {
        "heading_path": list(section.heading_path),
        "anchor": section.anchor,
        "level": section.level,
        "start_line": first,
        "end_line": last,
        "markdown": "\n".join(lines[first - 1 : last]),
    }


def _repeats_title(article: Article) -> bool:
    first = next((section for section in article.sections if section.level), None)
    return first is not None and first.level == 1 and plain_text(first.heading_path[-1]) == plain_text(article.title)


def _meta_elements(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and contents of the page's `meta` elements, as `kb import html` reads them."""
    for name, value in values.items():
        if name in {"title", "path", "version"}:
            continue
        for content in value if isinstance(value, list) else [value]:
            if content:
                yield ("description" if name == "summary" else f"kb:{name}"), str(content)
