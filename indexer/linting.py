"""Every rule of docs/articles.md, held against a folder of articles.

linting          the findings, and the rules on front matter and between articles
lint_body        headings, sections, lists and fences of one article
lint_links       relative links and anchors
near_duplicates  articles that say the same thing
secret_scanning  secrets and personal data
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from markdown_it.token import Token
from pydantic import ValidationError

from indexer.articles import (
    Article,
    find_articles,
    markdown_parser,
    read_article,
)
from indexer.errors import ArticleError
from indexer.front_matter import line_of_key, load_yaml
from indexer.metadata import INTERNAL_TYPES, PRODUCTS, ArticleType, Audience, FrontMatter
from indexer.near_duplicates import find_near_duplicates
from indexer.secret_scanning import find_exposures

RULES = (
    *("unreadable", "front-matter", "product", "tags", "components", "audience", "related", "duplicate-id"),
    *("duplicate-title", "near-duplicate", "title-heading", "sections", "list", "fence-language", "fence-open"),
    *("long-section", "link", "secret", "personal-data", "address"),
)
"""Names of all rules, as findings carry them."""


class Severity(StrEnum):
    """A breach fails `kb lint`; a warning is advice."""

    BREACH = "breach"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One rule broken at one place. `path` is relative to the linted folder, `line` 1-based."""

    path: str
    line: int
    rule: str
    message: str
    severity: Severity = Severity.BREACH

    def __str__(self) -> str:
        mark = "warning: " if self.severity is Severity.WARNING else ""
        return f"{self.path}:{self.line}: {self.rule}: {mark}{self.message}"


@dataclass(frozen=True, slots=True)
class LintResult:
    """All findings, by path and line."""

    article_count: int
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {"articles": self.article_count, "findings": [asdict(item) for item in self.findings]}


@dataclass(frozen=True)
class Draft:
    """One parsed file with what only lint needs: its tokens and the raw text of its front matter.

    `type` is None where the front matter names none that exists.
    """

    article: Article
    tokens: list[Token]
    front_text: str
    type: ArticleType | None

    @property
    def path(self) -> str:
        return self.article.path

    def line_of(self, key: str) -> int:
        """Line of a front-matter key; 1 if it is absent."""
        return line_of_key(self.front_text, key)


def lint_articles(root: Path, rules: Collection[str] = RULES) -> LintResult:
    """Hold every article below `root` to `rules`, by default to all."""
    from indexer.lint_body import check_body
    from indexer.lint_links import check_links

    drafts: list[Draft] = []
    findings: list[Finding] = []
    files = find_articles(root)
    for file in files:
        try:
            drafts.append(_draft(read_article(root, file)))
        except ArticleError as error:
            findings.append(Finding(error.path, error.line, "unreadable", error.reason))
    articles = {draft.path: draft.article for draft in drafts}
    for draft in drafts:
        findings += check_front_matter(draft)
        findings += check_body(draft)
        findings += check_links(draft, root, articles)
        findings += _check_exposures(draft.article)
    findings += check_collection(drafts)
    return LintResult(len(files), tuple(sorted({item for item in findings if item.rule in rules})))


def _draft(article: Article) -> Draft:
    tokens = markdown_parser().parse(article.source.text.removeprefix("\ufeff"))
    front = tokens[0].content if tokens and tokens[0].type == "front_matter" else ""
    known = {item.value for item in ArticleType}
    return Draft(article, tokens, front, ArticleType(article.meta.type) if article.meta.type in known else None)


_WORD = re.compile(r"[a-z0-9]+(?:[-.+/][a-z0-9]+)*")


def check_front_matter(draft: Draft) -> Iterator[Finding]:
    """The schema, the allowed products, and what a type may not be."""
    path = draft.path
    if not draft.front_text.strip():
        yield Finding(path, 1, "front-matter", "is missing; docs/articles.md has the fields")
        return
    try:
        values = load_yaml(path, draft.front_text, yaml.SafeLoader)
    except ArticleError as error:
        yield Finding(path, error.line, "front-matter", error.reason)
        return
    for key, line in _repeated_keys(draft.front_text):
        yield Finding(path, line, "front-matter", f"`{key}` is given twice")
    try:
        FrontMatter.model_validate(values)
    except ValidationError as error:
        for item in error.errors(include_url=False):
            name = str(item["loc"][0])
            what = _SCHEMA_WORDS.get(item["type"], item["msg"])
            yield Finding(path, draft.line_of(name), "front-matter", f"`{'.'.join(map(str, item['loc']))}` {what}")
    for product in draft.article.meta.products:
        if product not in PRODUCTS:
            allowed = ", ".join(sorted(PRODUCTS))
            yield Finding(path, draft.line_of("products"), "product", f"unknown product `{product}`; one of {allowed}")
    for name in ("tags", "components"):
        for value in getattr(draft.article.meta, name):
            if not _WORD.fullmatch(value):
                yield Finding(path, draft.line_of(name), name, f"`{value}` is not a lower-case or hyphenated word")
    if draft.type in INTERNAL_TYPES and draft.article.meta.audience is Audience.PUBLIC:
        yield Finding(path, draft.line_of("audience"), "audience", f"type `{draft.type}` is internal, never public")


_SCHEMA_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of docs/articles.md",
}


def _repeated_keys(front_text: str) -> Iterator[tuple[str, int]]:
    node = yaml.compose(front_text, yaml.SafeLoader)
    seen: set[str] = set()
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if str(key.value) in seen:
            yield str(key.value), key.start_mark.line + 2
        seen.add(str(key.value))


def check_collection(drafts: list[Draft]) -> Iterator[Finding]:
    """What only shows between articles: ids, related ids, titles and texts that repeat."""
    by_id: dict[str, str] = {}
    by_title: dict[str, str] = {}
    for draft in drafts:
        article = draft.article
        first = by_id.setdefault(article.article_id, draft.path)
        if first != draft.path:
            message = f"{article.article_id} is already the id of {first}"
            yield Finding(draft.path, draft.line_of("id"), "duplicate-id", message)
        first = by_title.setdefault(" ".join(article.title.casefold().split()), draft.path)
        if first != draft.path:
            yield Finding(draft.path, draft.line_of("title"), "duplicate-title", f"is also the title of {first}")
    for draft in drafts:
        for related in draft.article.meta.related:
            line = draft.line_of("related")
            if related == draft.article.article_id:
                yield Finding(draft.path, line, "related", f"{related} is this article itself")
            elif related not in by_id:
                yield Finding(draft.path, line, "related", f"no article has the id {related}")
    for pair in find_near_duplicates([_body(draft) for draft in drafts]):
        share, other = max(pair.resemblance, pair.containment), drafts[pair.first].path
        message = f"{share:.0%} of its text is also in {other}; merge them, or link from one to the other"
        yield Finding(drafts[pair.second].path, 1, "near-duplicate", message)


def _body(draft: Draft) -> str:
    text = draft.article.source.text
    return "\n".join(text[block.start : block.end] for section in draft.article.sections for block in section.blocks)


def _check_exposures(article: Article) -> Iterator[Finding]:
    for item in find_exposures(article.source.text):
        yield Finding(article.path, article.source.line_of(item.offset), item.rule, item.what)
