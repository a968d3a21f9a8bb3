"""Confluence's storage format (XHTML with macros) as plain HTML.

Source: https://confluence.atlassian.com/doc/confluence-storage-format-790796544.html. Links to pages become
`kb-page:` addresses, which the importer resolves by title.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html.entities import html5
from urllib.parse import quote

from bs4 import BeautifulSoup, Tag

from indexer.importing.html import clean_text

PAGE_SCHEME = "kb-page:"

_PANELS = {"info": "Info", "note": "Note", "warning": "Warning", "tip": "Tip", "success": "Success", "error": "Error"}
_DROPPED = frozenset(
    {
        "attachments", "blog-posts", "change-history", "chart", "children", "content-by-user", "content-report-table",
        "contentbylabel", "contributors", "contributors-summary", "create-from-template", "drawio", "favpage",
        "gallery", "gliffy", "html", "html-include", "iframe", "index", "listlabels", "livesearch", "lucidchart",
        "multimedia", "navmap", "network", "pagetree", "pagetreesearch", "popular-labels", "profile",
        "profile-picture", "recently-updated", "recently-updated-dashboard", "related-labels", "roadmap",
        "space-attachments", "space-details", "spaces-list", "style", "tasks-report-macro", "toc", "view-file",
        "viewdoc", "viewfile", "viewpdf", "viewppt", "viewxls", "widget",
    }
)  # fmt: skip
_ENTITY = re.compile(r"<!\[CDATA\[.*?\]\]>|&([A-Za-z][A-Za-z0-9]*);", re.DOTALL)
_XML_ENTITIES = frozenset({"amp", "lt", "gt", "quot", "apos"})
_SOUP = BeautifulSoup("", "lxml")


def storage_to_html(storage: str, space: str = "") -> tuple[str, list[str]]:
    """HTML of a page's storage format, and the names of the macros that have no plain form.

    `space` is the key of the page's own space: links that name no space lead there.
    """
    root = _parse(storage)
    unknown: list[str] = []
    for link in root.find_all("ac:link"):
        _link(link, space)
    for image in root.find_all("ac:image"):
        _image(image)
    _small_things(root)
    macros = root.find_all(["ac:structured-macro", "ac:macro"])
    for macro in reversed(macros):  # the innermost first
        _macro(macro, space, unknown)
    for tag in root.find_all(re.compile(r"^(ac|ri|at):")):
        tag.unwrap()
    return "".join(str(child) for child in root.children), list(dict.fromkeys(unknown))


def _parse(storage: str) -> Tag:
    """The document element. Broken markup is read as far as it goes; entities other than XML's are looked up here."""

    def entity(match: re.Match[str]) -> str:
        name = match[1]
        if not name or name in _XML_ENTITIES:
            return match[0]
        return html5.get(f"{name};", match[0].replace("&", "&amp;"))

    names = " ".join(f'xmlns:{prefix}="urn:{prefix}"' for prefix in ("ac", "ri", "at"))
    whole = f"<root {names}>{_ENTITY.sub(entity, clean_text(storage))}</root>"
    root = BeautifulSoup(whole, "lxml-xml").find("root")
    return root if isinstance(root, Tag) else _SOUP.new_tag("root")


def _new(name: str, text: str = "", **attributes: str) -> Tag:
    tag = _SOUP.new_tag(name, attrs=dict(attributes))
    if text:
        tag.string = text
    return tag


def _parameters(macro: Tag) -> dict[str, str]:
    return {
        str(item.get("ac:name") or ""): item.get_text().strip()
        for item in macro.find_all("ac:parameter", recursive=False)
    }


def _body(macro: Tag, *names: str) -> Tag | None:
    found = macro.find([f"ac:{name}" for name in names or ("rich-text-body",)], recursive=False)
    return found if isinstance(found, Tag) else None


def _become(macro: Tag, replacement: Tag | None, body: Tag | None = None) -> None:
    """Put `replacement` in the macro's place, with the children of `body` at its end."""
    if replacement is None:
        macro.decompose()
        return
    for child in list(body.contents) if body else ():
        replacement.append(child.extract())
    macro.replace_with(replacement)


def _code(macro: Tag, space: str) -> None:
    text = (_body(macro, "plain-text-body") or macro).get_text()
    parameters = _parameters(macro)
    block = _new("pre")
    language = "text" if str(macro.get("ac:name")) == "noformat" else parameters.get("language", "").lower()
    code = _new("code", text, **({"class": f"language-{language}"} if language else {}))
    block.append(code)
    box = _new("div")
    if title := parameters.get("title"):
        box.append(_titled(title))
    box.append(block)
    _become(macro, box)


def _titled(title: str) -> Tag:
    paragraph = _new("p")
    paragraph.append(_new("strong", title))
    return paragraph


def _panel(macro: Tag, space: str) -> None:
    quote_box = _new("blockquote")
    kind, title = _PANELS.get(str(macro.get("ac:name")), ""), _parameters(macro).get("title", "")
    if words := ": ".join(filter(None, (kind, title))):
        quote_box.append(_titled(words))
    _become(macro, quote_box, _body(macro))


def _expand(macro: Tag, space: str) -> None:
    box = _new("div")
    if title := _parameters(macro).get("title"):
        box.append(_titled(title))
    _become(macro, box, _body(macro))


def _status(macro: Tag, space: str) -> None:
    _become(macro, _new("strong", _parameters(macro).get("title", "")))


def _anchor(macro: Tag, space: str) -> None:
    _become(macro, _new("a", id=_parameters(macro).get("", "")))


def _issue(macro: Tag, space: str) -> None:
    _become(macro, _new("span", _parameters(macro).get("key", "")))


def _include(macro: Tag, space: str) -> None:
    page = macro.find("ri:page") or macro.find("a")
    if not isinstance(page, Tag):
        _become(macro, None)
        return
    target = _page_address(page, space) if page.name == "ri:page" else str(page.get("href"))
    title = str(page.get("ri:content-title") or page.get_text())
    paragraph = _new("p", "See ")
    paragraph.append(_new("a", title, href=target))
    _become(macro, paragraph)


_MACROS: dict[str, Callable[[Tag, str], None]] = {
    "code": _code, "noformat": _code, "expand": _expand, "ui-expand": _expand, "panel": _panel, "status": _status,
    "anchor": _anchor, "jira": _issue, "jiraissues": _issue, "include": _include, "excerpt-include": _include,
    **dict.fromkeys(_PANELS, _panel),
}  # fmt: skip


def _macro(macro: Tag, space: str, unknown: list[str]) -> None:
    name = str(macro.get("ac:name") or "")
    if name in _MACROS:
        _MACROS[name](macro, space)
    elif name in _DROPPED:
        _become(macro, None)
    elif body := _body(macro):
        _become(macro, _new("div"), body)
    elif plain := _body(macro, "plain-text-body"):
        unknown.append(name)
        _become(macro, _new("pre", plain.get_text()))
    else:
        unknown.append(name)
        _become(macro, None)


def _page_address(page: Tag, space: str, anchor: str = "") -> str:
    key, title = str(page.get("ri:space-key") or space), str(page.get("ri:content-title") or "")
    return f"{PAGE_SCHEME}{quote(key, safe='')}/{quote(title, safe='')}{f'#{quote(anchor)}' if anchor else ''}"


def _link(link: Tag, space: str) -> None:
    anchor = str(link.get("ac:anchor") or "")
    page, attachment, address, user = (link.find(f"ri:{what}") for what in ("page", "attachment", "url", "user"))
    body = _body(link, "plain-text-link-body", "link-body")
    if isinstance(user, Tag):
        link.decompose()  # an account id says nothing to a reader
        return
    href, words = "", ""
    if isinstance(page, Tag):
        href, words = _page_address(page, space, anchor), str(page.get("ri:content-title") or "")
    elif isinstance(address, Tag):
        href = words = str(address.get("ri:value") or "")
    elif isinstance(attachment, Tag):
        words = str(attachment.get("ri:filename") or "")
    elif anchor:
        href, words = f"#{quote(anchor)}", anchor
    fresh = _new("a", href=href) if href else _new("span")
    if body is not None and body.get_text().strip():
        for child in list(body.contents):
            fresh.append(child.extract())
    else:
        fresh.string = words
    link.replace_with(fresh)


def _image(image: Tag) -> None:
    attachment = image.find("ri:attachment")
    alt = str(image.get("ac:alt") or "")
    if isinstance(attachment, Tag):
        alt = alt or str(attachment.get("ri:filename") or "")
    image.replace_with(_new("img", alt=alt))


def _small_things(root: Tag) -> None:
    for emoticon in root.find_all("ac:emoticon"):
        emoticon.replace_with(str(emoticon.get("ac:emoji-fallback") or ""))
    for item in root.find_all(["ac:placeholder", "ac:task-id", "ac:task-uuid", "ac:adf-attribute"]):
        item.decompose()
    for status in root.find_all("ac:task-status"):
        status.replace_with("[x] " if status.get_text().strip() == "complete" else "[ ] ")
    for name, plain in (("ac:task-list", "ul"), ("ac:task", "li"), ("ac:task-body", "span")):
        for tag in root.find_all(name):
            tag.name, tag.prefix = plain, None
    for extension in root.find_all("ac:adf-extension"):
        fallback = extension.find("ac:adf-fallback")
        if isinstance(fallback, Tag):
            for node in extension.find_all("ac:adf-node"):
                node.decompose()
    for moment in root.find_all("time"):
        if not moment.get_text().strip() and moment.get("datetime"):
            moment.string = str(moment["datetime"])
