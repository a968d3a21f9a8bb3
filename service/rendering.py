"""Articles as sanitised HTML: anchors as cited, source lines on every block, cited lines marked.

Markdown tokens -> annotated tokens -> HTML -> nh3. The renderer writes no raw HTML of the author's, and nh3 holds the
result to an allow-list all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import unquote, urlsplit

import nh3
from markdown_it.common.utils import escapeHtml, unescapeAll
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from indexer.articles import ARTICLE_SUFFIXES, Article, markdown_parser
from indexer.comments import find_comments

LinkFor = Callable[[str], str | None]
"""Address of the article with this path; None if the reader may not see it, or there is none."""

FIRST_STEPS_HEADING = "first 15 minutes"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
"""A line as CommonMark and `indexer.source` count it, with its ending."""

_DESTINATION = r"<[^<>\n]*>|(?:[^\s()<>\\]|\\.|\((?:[^\s()<>\\]|\\.)*\))+"
_LINK = re.compile(rf"(\](?:\(|:)[\s>]*)({_DESTINATION})")
"""An inline link's or a link definition's destination (CommonMark 6.3 and 4.7), wherever it stands, in a quote, a list
or code: better one too many taken for a link."""


@dataclass(frozen=True, slots=True)
class LineRange:
    """Source lines, 1-based and inclusive."""

    first: int
    last: int

    def touches(self, first: int, last: int) -> bool:
        """Whether any line of `first..last` is in the range."""
        return first <= self.last and last >= self.first


@dataclass(frozen=True, slots=True)
class Step:
    """One item of a runbook's first steps: its Markdown, and its line."""

    markdown: str
    line: int


def parse_lines(text: str) -> LineRange | None:
    """`12-18` or `12` as a range; None for anything else."""
    match = re.fullmatch(r"(\d{1,7})(?:-(\d{1,7}))?", text.strip(), re.ASCII)
    if not match:
        return None
    first = int(match[1])
    last = int(match[2] or first)
    return LineRange(first, last) if 1 <= first <= last else None


def render_article(article: Article, link_for: LinkFor, cited: LineRange | None = None) -> str:
    """The article's body as sanitised HTML.

    Headings carry their `Section.anchor` as id. Blocks, and each line of code, carry `data-line="first-last"`, so a
    citation leads to its very lines; those of `cited` have the class `cited`. Links to articles that the reader may not
    see are left as plain text, and images as their descriptions: a page of ours fetches nothing from elsewhere.
    """
    tokens = _parse(article)
    _add_anchors(tokens, article)
    _add_lines(tokens, cited)
    _resolve_links(tokens, article.path, link_for)
    return _to_html(tokens, cited)


def render_fragment(markdown: str, path: str, link_for: LinkFor) -> str:
    """A piece of the article at `path` as sanitised HTML, without anchors and lines."""
    tokens = markdown_parser().parse(markdown)
    _resolve_links(tokens, path, link_for)
    return _to_html(tokens, None)


_LINE_END = re.compile(r"\r\n|\r|\n")


def public_markdown(article: Article, link_for: LinkFor) -> str:
    """The source for a reader outside the team: every line keeps its number; front matter and comments are blank,
    hidden links dead.

    Front matter names owners and related internal articles, so it stays inside.
    """
    tokens, source = _parse(article), article.source
    front = [token.map for token in tokens if token.type == "front_matter" and token.map]
    hidden = [(source.line_start(first + 1), source.line_start(last + 1)) for first, last in front]
    text, shown = source.text, 0
    pieces: list[str] = []
    for start, end in [*hidden, *find_comments(source, tokens)]:
        pieces += [text[shown:start], *_LINE_END.findall(text, start, end)]
        shown = end
    return close_links("".join([*pieces, text[shown:]]).removeprefix("\ufeff"), article.path, link_for)


def close_links(markdown: str, path: str, link_for: LinkFor) -> str:
    """This piece of `path` with the targets of links gone that are not open to the reader."""

    def redact(match: re.Match[str]) -> str:
        target = _target_of(match, path)
        return match[0] if target is None or link_for(target) else f"{match[1]}#"

    return _LINK.sub(redact, markdown)


def lead_links_out(markdown: str, path: str, link_for: LinkFor) -> str:
    """This piece of `path` with links to articles by the addresses that `link_for` gives, to be read anywhere else."""

    def lead(match: re.Match[str]) -> str:
        target = _destination(match, path)
        address = link_for(target[0]) if target else None
        if not target or not address:
            return match[0]
        there = f"{address}{target[1]}"
        return f"{match[1]}<{there}>" if match[2].startswith("<") else f"{match[1]}{there}"

    return _LINK.sub(lead, markdown)


def links_are_open(markdown: str, path: str, link_for: LinkFor) -> bool:
    """Whether every article that this piece of `path` links to is open to the reader."""
    targets = (_target_of(match, path) for match in _LINK.finditer(markdown))
    return all(link_for(target) for target in targets if target is not None)


def _target_of(match: re.Match[str], path: str) -> str | None:
    """Path of the article that a destination in Markdown means."""
    target = _destination(match, path)
    return target and target[0]


def _destination(match: re.Match[str], path: str) -> tuple[str, str] | None:
    return _article_target(unescapeAll(match[2].strip("<>")), path)


def first_steps(article: Article) -> list[Step]:
    """The numbered items of the section "First 15 minutes"; empty where there is none."""
    spans = [s.span for s in article.sections if s.heading_path[-1].strip().lower() == FIRST_STEPS_HEADING]
    if not spans:
        return []
    lines = [line.rstrip("\r\n") for line in _LINE.findall(article.source.text.removeprefix("\ufeff"))]
    steps: list[Step] = []
    depth = 0
    for token in _parse(article):
        if token.type in {"ordered_list_open", "bullet_list_open"}:
            depth += 1
        elif token.type in {"ordered_list_close", "bullet_list_close"}:
            depth -= 1
        elif token.type == "list_item_open" and depth == 1 and token.info and token.map:
            begin, end = token.map
            if spans[0].start_line <= begin + 1 <= spans[0].end_line:
                steps.append(Step(_item_text(lines[begin:end]), begin + 1))
    return steps


def _to_html(tokens: Sequence[Token], cited: LineRange | None) -> str:
    html = str(_Renderer().render(tokens, markdown_parser().options, {"cited": cited}))
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_filter_attribute,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer",
    )


def _item_text(lines: Sequence[str]) -> str:
    """A list item's Markdown without its marker and indent."""
    match = re.match(r"\s*\d+[.)]\s+", lines[0])
    indent = len(match[0]) if match else 0
    rest = (line[indent:] if not line[:indent].strip() else line for line in lines[1:])
    return "\n".join([lines[0][indent:], *rest]).rstrip()


def _parse(article: Article) -> list[Token]:
    return markdown_parser().parse(article.source.text.removeprefix("\ufeff"))


def _add_anchors(tokens: Sequence[Token], article: Article) -> None:
    anchors = (section.anchor for section in article.sections if section.level)
    for token in tokens:
        if token.type == "heading_open":
            anchor = next(anchors, "")
            if anchor:
                token.attrSet("id", anchor)


def _add_lines(tokens: Sequence[Token], cited: LineRange | None) -> None:
    """Source lines on blocks. Only leaves are marked as cited, so a long list isn't lit up for one item."""
    for place, token in enumerate(tokens):
        if token.map is None or token.nesting < 0 or token.type in _UNMARKED:
            continue
        first, last = token.map[0] + 1, max(token.map[0] + 1, token.map[1])
        if token.type == "paragraph_open" and token.hidden:
            for end in (token, tokens[place + 2]):  # its text is between
                end.hidden, end.tag = False, "span"
        token.attrSet("data-line", f"{first}-{last}")
        if cited and token.type in _LEAVES and cited.touches(first, last):
            token.attrJoin("class", "cited")


_LEAVES = frozenset({"paragraph_open", "heading_open", "tr_open"})
_UNMARKED = frozenset({"inline", "front_matter", "comment", "fence", "code_block"})


def _resolve_links(tokens: Sequence[Token], path: str, link_for: LinkFor) -> None:
    for token in _inline(tokens):
        if token.type != "link_open":
            continue
        href = str(token.attrGet("href") or "")
        target = _article_target(href, path)
        if target is not None:
            address = link_for(target[0])
            if address is None:
                token.attrs.pop("href", None)
                token.attrs.pop("title", None)
            else:
                token.attrSet("href", address + target[1])
        elif not href.startswith("#") and urlsplit(href).scheme not in {"http", "https", "mailto"}:
            token.attrs.pop("href", None)


def _inline(tokens: Sequence[Token]) -> Iterator[Token]:
    return (child for token in tokens if token.type == "inline" for child in token.children or ())


def _article_target(href: str, path: str) -> tuple[str, str] | None:
    """Path of the article that a relative link means, and its fragment with `#`; None for other links."""
    try:
        parts = urlsplit(href)
    except ValueError:
        return None
    if parts.scheme or parts.netloc or not parts.path:
        return None
    target = normpath(join(dirname(path), unquote(parts.path).lstrip("/")))
    if not any(target.lower().endswith(suffix) for suffix in ARTICLE_SUFFIXES):
        return None
    return target, f"#{parts.fragment}" if parts.fragment else ""


class _Renderer(RendererHTML):
    """markdown-it's own renderer, with numbered code lines and without images."""

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        words = token.info.split()
        language = words[0] if words and re.fullmatch(r"[\w+#-]+", words[0]) else ""
        return _code(token, 1, language, env)

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return _code(tokens[idx], 0, "", env)

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        # Wider than the page, it scrolls in a box of its own, which the keyboard must reach.
        table = self.renderToken(tokens, idx, options, env)
        return f'<div class="scroll" tabindex="0" role="group" aria-label="Table">{table}'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</table></div>\n"

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        described = self.renderInlineAsText(tokens[idx].children or [], options, env)
        return f"<em>Image: {escapeHtml(described)}</em>" if described else ""

    def front_matter(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return ""

    def comment(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return ""


def _code(token: Token, fence_lines: int, language: str, env: Any) -> str:
    first = (token.map or [0, 0])[0] + 1 + fence_lines
    cited: LineRange | None = env.get("cited")
    lines = []
    for number, line in enumerate(token.content.removesuffix("\n").split("\n"), start=first):
        marked = ' class="cited"' if cited and cited.touches(number, number) else ""
        lines.append(f'<span data-line="{number}-{number}"{marked}>{escapeHtml(line)}\n</span>')
    kind = f' class="language-{language}"' if language else ""
    return f'<pre tabindex="0"><code{kind}>{"".join(lines)}</code></pre>\n'


_TAGS = {
    *("a", "p", "br", "hr", "span", "em", "strong", "code", "pre", "blockquote", "ul", "ol", "li"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "div", "table", "thead", "tbody", "tr", "th", "td"),
}
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_ATTRIBUTES: dict[str, set[str]] = {
    **{tag: {"data-line", "class"} for tag in _TAGS},
    **{tag: {"data-line", "class", "id"} for tag in _HEADINGS},
    "a": {"href", "title"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "pre": {"tabindex"},
    "ol": {"start", "data-line"},
}


@cache
def _class_pattern() -> re.Pattern[str]:
    return re.compile(r"cited|scroll|language-[\w+#-]+")


def _filter_attribute(tag: str, name: str, value: str) -> str | None:
    if name == "class":
        return value if _class_pattern().fullmatch(value) else None
    if name == "tabindex":
        return value if value == "0" else None
    return value
