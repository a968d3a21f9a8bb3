"""Markdown files into articles: front matter, and sections of blocks with exact spans.

Positions come from markdown-it-py's token `map`; nothing is searched for in the text afterwards.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.front_matter import front_matter_plugin

from indexer.comments import comment_plugin, find_inline_comments
from indexer.errors import ArticleError, InputError, NoText
from indexer.front_matter import read_front_matter
from indexer.metadata import Audience, LooseFrontMatter
from indexer.source import SourceText, Span

MAX_FILE_BYTES = 4 * 1024 * 1024
"""A larger file is an export or a log, not an article."""

ARTICLE_SUFFIXES = frozenset({".md", ".markdown", ".mdx"})


@dataclass(frozen=True, slots=True)
class Block:
    """One leaf of the document: a paragraph, list item, table, fence or heading.

    `kind` is the markdown-it token type without `_open`: `paragraph`, `fence`, `code_block`, `table`, `heading`.
    `start` and `end` are character offsets into the source. Comments and images written out as `data:` are in none.
    """

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what follows it up to the next heading of any level.

    Attributes:
        heading_path: titles from the article's title down to this section's own heading.
        anchor: fragment that leads to this section in the rendered article; empty for the text before any heading.
        level: 1 to 6; 0 for the text before the first heading.
        span: heading line through last line.
        blocks: the leaves, in order, without the heading.
    """

    heading_path: tuple[str, ...]
    anchor: str
    level: int
    span: Span
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Article:
    """One parsed file.

    Attributes:
        path: POSIX path below the indexed folder; with the front-matter `id` the article's name to the outside.
        article_id: front-matter id, or the path without its suffix.
        version: SHA-256 of the file's bytes; a citation names it, so a reader can tell a stale one.
        meta: front matter, every field with a value; `audience` is never missing here.
    """

    path: str
    article_id: str
    title: str
    meta: LooseFrontMatter
    audience: Audience
    source: SourceText
    sections: tuple[Section, ...]

    @property
    def version(self) -> str:
        return self.source.sha256

    @property
    def summary(self) -> str:
        return self.meta.summary


@cache
def markdown_parser() -> MarkdownIt:
    """The one Markdown dialect of the project: CommonMark with tables and front matter, raw HTML never passed on.

    Comments become hidden tokens of the type `comment`.
    """
    return MarkdownIt("commonmark", {"html": False}).enable(["table"]).use(front_matter_plugin).use(comment_plugin)


def find_articles(root: Path) -> list[Path]:
    """All article files below `root`, sorted by POSIX path. Hidden files and folders are passed over.

    Raises:
        InputError: a folder cannot be read. What it holds is unknown, so it must not look as if it held nothing.
    """
    found: dict[str, Path] = {}
    for folder, below, names in os.walk(root, onerror=_refuse):
        below[:] = [name for name in below if not name.startswith(".")]
        here = Path(folder)
        start = "" if here == root else f"{here.relative_to(root).as_posix()}/"
        for name in names:
            file = here / name
            if file.suffix.lower() in ARTICLE_SUFFIXES and not name.startswith(".") and _may_be_file(file):
                found[start + name] = file
    return [found[path] for path in sorted(found)]


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # removed since it was listed
        raise InputError(
            f"folder {error.filename} cannot be read ({error.strerror}); let this account read it, or move it away"
        ) from error


def _may_be_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:
        return True  # reading it will tell


def read_article(root: Path, file: Path, default_audience: Audience = Audience.INTERNAL) -> Article:
    """Read and parse `file` below `root`.

    Raises:
        ArticleError: the file cannot be read, is not UTF-8 text, or its front matter is malformed.
    """
    path, data = read_source(root, file)
    return parse_article(path, data, default_audience)


def read_source(root: Path, file: Path) -> tuple[str, bytes]:
    """The name and the bytes of `file` below `root`. Raises ArticleError if it cannot be an article."""
    path = file.relative_to(root).as_posix()
    shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if shown != path:
        raise ArticleError(shown, 1, "has a name that is not UTF-8; rename the file")
    if _leads_out(root, path):
        raise ArticleError(path, 1, "is a link that leads out of the folder; copy the file in instead")
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise ArticleError(path, 1, f"is larger than {MAX_FILE_BYTES // 1024**2} MiB; split it")
        data = file.read_bytes()
    except OSError as error:
        raise ArticleError(path, 1, f"cannot be read: {error.strerror}") from error
    return path, data


def parse_article(path: str, data: bytes, default_audience: Audience = Audience.INTERNAL) -> Article:
    """Parse one file's bytes. Pure: `path` is only a name. Raises ArticleError as `read_article`, NoText among them."""
    source = _decode(path, data)
    tokens = markdown_parser().parse(source.text.removeprefix("\ufeff"))
    meta = read_front_matter(path, tokens, source.text.removeprefix("\ufeff"))
    headings = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    title = meta.title or (plain_text(headings[0]) if headings else "") or _title_from(path)
    sections = tuple(_sections(source, tokens, title))
    if not any(section.blocks for section in sections):
        raise NoText(path, 1, "has no text; write the article or remove the file")
    return Article(
        path=path,
        article_id=meta.id or str(PurePosixPath(path).with_suffix("")),
        title=title,
        meta=meta,
        audience=meta.audience or default_audience,
        source=source,
        sections=sections,
    )


def _leads_out(root: Path, path: str) -> bool:
    """Whether the file at `path` below `root` is a link, or in a linked folder, to somewhere outside."""
    here = root
    for part in path.split("/"):
        here = here / part
        if here.is_symlink():
            return not Path(os.path.realpath(root / path)).is_relative_to(os.path.realpath(root))
    return False


def plain_text(inline: str) -> str:
    """The words of one line of inline Markdown, without its markup."""
    parsed = markdown_parser().parseInline(inline)
    children = parsed[0].children or []
    return "".join(child.content if child.type != "softbreak" else " " for child in children).strip()


def slugify(heading: str) -> str:
    """GitHub's fragment for a heading: lower case, punctuation dropped, spaces to hyphens."""
    text = unicodedata.normalize("NFC", heading).strip().lower()
    kept = (c for c in text if c.isalnum() or c in "-_ " or unicodedata.category(c)[0] == "M")
    return "".join(kept).replace(" ", "-")


def _decode(path: str, data: bytes) -> SourceText:
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise ArticleError(path, line, "holds a NUL byte, so it is not a text file")
    try:
        return SourceText(data)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ArticleError(path, line, f"is not UTF-8 (byte 0x{data[error.start]:02x}); save it as UTF-8") from error


def _title_from(path: str) -> str:
    return PurePosixPath(path).stem.replace("-", " ").replace("_", " ").capitalize()


def _sections(source: SourceText, tokens: list[Token], title: str) -> Iterator[Section]:
    first_line = 1
    stack: list[tuple[int, str]] = []
    anchors: dict[str, int] = {}
    heading: tuple[int, str] | None = None
    blocks: list[Block] = []

    def finish(last_line: int) -> Section | None:
        if heading is None and not blocks:
            return None
        names = [name for _, name in stack]
        path = tuple(names if names and names[0] == title else [title, *names])
        anchor = unique_anchor(slugify(heading[1]), anchors) if heading else ""
        level = heading[0] if heading else 0
        return Section(path, anchor, level, source.line_span(first_line, max(first_line, last_line)), tuple(blocks))

    for index, token in enumerate(tokens):
        if token.map is None or token.type == "front_matter":
            if token.type == "front_matter" and token.map:
                first_line = token.map[1] + 1
            continue
        begin, end = token.map
        if token.type == "heading_open":
            if section := finish(begin):
                yield section
            level, name = int(token.tag[1]), plain_text(tokens[index + 1].content)
            while stack and stack[-1][0] >= level:
                stack.pop()
            stack.append((level, name))
            heading, blocks, first_line = (level, name), [], begin + 1
        elif token.type in _LEAVES and not (blocks and source.line_start(begin + 1) < blocks[-1].end):
            blocks += _blocks(source, token.type.removesuffix("_open"), begin, end)
    if section := finish(source.line_count):
        yield section


_LEAVES = frozenset({"paragraph_open", "fence", "code_block", "table_open"})


def _blocks(source: SourceText, kind: str, begin: int, end: int) -> Iterator[Block]:
    """One leaf, in the parts that comments and pictures written out in it leave."""
    text, start, stop = source.text, source.line_start(begin + 1), source.line_start(end + 1)
    hidden: list[tuple[int, int]] = []
    if kind not in {"fence", "code_block"}:
        pictures = (match.span() for match in _PICTURE.finditer(text, start, stop))
        hidden = sorted([*find_inline_comments(text, start, stop), *pictures])
    begin = start
    for first, last in [*hidden, (stop, stop)]:
        part = text[begin:first]
        # U+2028 alone is a paragraph to CommonMark, and no text to anybody else; nor is the mark of an emptied item.
        if part.strip() and (not hidden or any(map(str.isalnum, part))):
            lead = 0 if begin == start else len(part) - len(part.lstrip())
            yield Block(kind, begin + lead, begin + len(part.rstrip()))
        begin = max(begin, last)


_PICTURE = re.compile(r"!\[[^\[\]]{0,1000}\]\(data:[^)\s\[]*\)")
"""An image whose bytes stand in the text, thousands of letters that say nothing."""


def unique_anchor(slug: str, seen: dict[str, int]) -> str:
    """GitHub's rule for repeated headings: `-1`, `-2` and so on, past those that are other headings' own.

    `seen` holds every anchor given so far with its last number, and takes this one. Source: github-slugger, index.js.
    """
    anchor = slug
    while anchor in seen:
        seen[slug] += 1
        anchor = f"{slug}-{seen[slug]}"
    seen[anchor] = 0
    return anchor
