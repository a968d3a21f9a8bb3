from __future__ import annotations

import errno
import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.articles import (
    MAX_FILE_BYTES,
    find_articles,
    parse_article,
    plain_text,
    read_article,
    slugify,
)
from indexer.errors import ArticleError, InputError
from indexer.front_matter import line_of_key
from indexer.metadata import Audience, LooseFrontMatter
from tests.conftest import write_article

DOCUMENT = """\
---
id: KB-1
title: The title
products: [email]
error_codes: [401, x]
---

# The title

Opening words.

## Part *one*

- first
- second

```text
# not a heading
```

### Deeper

| a | b |
|---|---|
| 1 | 2 |

## Part *one*

Last.
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_sections_and_their_exact_lines(newline: str, mark: str) -> None:
    article = parse_article("a/b.md", (mark + DOCUMENT.replace("\n", newline)).encode())
    assert article.article_id == "KB-1"
    assert article.meta.error_codes == ("401", "x")
    assert [(s.heading_path, s.anchor, s.level, s.span.start_line) for s in article.sections] == [
        (("The title",), "the-title", 1, 8),
        (("The title", "Part one"), "part-one", 2, 12),
        (("The title", "Part one", "Deeper"), "deeper", 3, 21),
        (("The title", "Part one"), "part-one-1", 2, 27),
    ]
    kinds = [[block.kind for block in section.blocks] for section in article.sections]
    assert kinds == [["paragraph"], ["paragraph", "paragraph", "fence"], ["table"], ["paragraph"]]
    fence = article.sections[1].blocks[2]
    expected = newline.join(["```text", "# not a heading", "```"])
    assert article.source.text[fence.start : fence.end] == expected
    assert article.sections[-1].span.end_line == 29


def test_what_is_not_named_is_derived() -> None:
    article = parse_article("auth/clock-skew.md", b"Text before any heading.\n\n## One\n\nMore.\n")
    assert article.title == "One"
    assert article.article_id == "auth/clock-skew"
    assert article.audience is Audience.INTERNAL
    assert article.sections[0].level == 0
    assert article.sections[0].anchor == ""
    assert parse_article("clock-skew.md", b"words").title == "Clock skew"
    assert parse_article("a.md", b"words", Audience.PUBLIC).audience is Audience.PUBLIC


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"# A\n\n\xff\n", 3, "is not UTF-8"),
        (b"# A\n\0\n", 2, "NUL byte"),
        (b"---\ntitle: A\naudience: everyone\n---\nx\n", 3, "`audience`"),
        (b"---\ntitle: [\n---\nx\n", 2, "not valid YAML"),
        (b"---\njust words\n---\nx\n", 2, "`key: value` lines"),
        (b"---\naudience:\n- public\n---\nx\n", 2, "`audience`"),
        (b"---\ntitle: Error: no route\n---\nx\n", 2, "in quotes"),
        (b"---\ntitle: A\ntags:\n\t- a\n---\nx\n", 4, "indent with spaces"),
        (b"+++\ntitle = 'A'\naudience = 'internal'\n+++\nx\n", 1, "TOML or JSON; write it as YAML"),
        (b'{\n  "title": "A",\n  "audience": "internal"\n}\n\nx\n', 1, "TOML or JSON; write it as YAML"),
        (b"\n\n---\naudience: internal\n---\nx\n", 3, "begins at line 3; begin the file with it"),
        (b"<!-- a licence\n-- of two lines -->\r\n---\r\naudience: internal\r\n---\r\nx\r\n", 3, "begins at line 3"),
        (b'---\ntitle: "\\uD800"\n---\nx\n', 2, "surrogate"),
        (b"---\nx: !!python/object/apply:os.system [ls]\n---\nx\n", 2, "not valid YAML"),
        (b"---\nx: !!bool maybe\n---\nx\n", 1, "`!!` tag"),
        (b"---\nx: !!timestamp soon\n---\nx\n", 1, "`!!` tag"),
        (b"---\nx: !!int\n---\nx\n", 1, "`!!` tag"),
        (b"---\ntitle: A\naudience: internal\n\n# A\n\nx\n", 1, "front matter begins at line 1 and is never closed"),
        (b"---\r\nlayout: page\r\ntags:\r\n  - a\r\n- b\r\ntitle: A\r\n# A\r\nx\r\n", 1, "never closed"),
        (b"\xef\xbb\xbf---\naudience: internal\nwords at once\n", 1, "never closed"),
        (b"", 1, "has no text"),
        (b"# Only\n\n## Headings\n", 1, "has no text"),
        (b"\n\n", 1, "has no text"),
    ],
)
def test_malformed_files_are_reported_by_line(data: bytes, line: int, reason: str) -> None:
    with pytest.raises(ArticleError) as caught:
        parse_article("bad.md", data)
    assert caught.value.line == line
    assert reason in caught.value.reason
    assert str(caught.value).startswith(f"bad.md:{line}: ")


@pytest.mark.parametrize(
    "text",
    [
        "---\n\n# A\n\ntitle: of a book\n",
        "---\nNote: this is old.\n\n# A\n",
        "---\nsee also: the manual\n",
        "----\ntitle: A\n",
        "- - -\ntitle: A\n",
        "words\n---\ntitle: A\n",
    ],
)
def test_a_thematic_break_at_the_top_is_no_front_matter(text: str) -> None:
    assert parse_article("a.md", text.encode()).meta == LooseFrontMatter()


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("id: 42", "id", "42"),
        ("id: 007", "id", "007"),
        ("title: 404", "title", "404"),
        ("title: 2024-01-01", "title", "2024-01-01"),
        ("title: No", "title", "No"),
        ("title: [a, b]", "title", None),
        ("Title: Words", "title", "Words"),
        ("title:", "title", None),
        ("summary:", "summary", ""),
        ("owner: [a, b]", "owner", None),
        ("confidence: 0.9", "confidence", "0.9"),
        ("tags: [on, no, 0401, null, {label: x}]", "tags", ("on", "no", "0401")),
        ("tags:", "tags", ()),
        ("versions: 2.10", "versions", ("2.10",)),
        ("last_verified: 2024-02-03 10:00:00 +02:00", "last_verified", date(2024, 2, 3)),
        ("last_verified: last week", "last_verified", None),
        ("last_verified: 2024-13-45", "last_verified", None),
        ("products: {a: b}", "products", ()),
    ],
)
def test_a_field_is_taken_as_it_was_typed_and_what_it_cannot_be_is_passed_over(
    line: str, field: str, value: object
) -> None:
    assert getattr(parse_article("a.md", f"---\n{line}\n---\nwords\n".encode()).meta, field) == value


@pytest.mark.parametrize("line", ["draft: true", "published: false", "Draft: True", "draft: 'true'\naudience: public"])
def test_a_draft_is_internal_whatever_the_default(line: str) -> None:
    article = parse_article("a.md", f"---\n{line}\n---\nwords\n".encode(), Audience.PUBLIC)
    assert article.audience is article.meta.audience is Audience.INTERNAL


def test_what_is_published_or_no_draft_is_as_the_default_says() -> None:
    for line in ("draft: false", "published: true", "published: 2024-01-01", "draft:"):
        article = parse_article("a.md", f"---\n{line}\n---\nwords\n".encode(), Audience.PUBLIC)
        assert article.audience is Audience.PUBLIC


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "outside.md").write_text("secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.md").symlink_to(tmp_path / "outside.md")
    with pytest.raises(ArticleError, match="leads out of the folder"):
        read_article(root, root / "link.md")
    with (root / "big.md").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ArticleError, match="split it"):
        read_article(root, root / "big.md")
    with pytest.raises(ArticleError, match="cannot be read"):
        read_article(root, root / "gone.md")
    name = b"\xdcbersicht.md".decode("utf-8", "surrogateescape")
    write_article(root, name, title="Overview")
    with pytest.raises(ArticleError, match="not UTF-8; rename") as caught:
        read_article(root, root / name)
    assert caught.value.path == r"\xdcbersicht.md"


def test_find_articles_is_sorted_and_passes_over_what_is_hidden(tmp_path: Path) -> None:
    for path in ("b.md", "a/z.markdown", "a-b/c.MD", ".git/x.md", "a/.hidden.md", "note.txt"):
        write_article(tmp_path, path)
    (tmp_path / "folder.md").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_articles(tmp_path)]
    assert found == ["a-b/c.MD", "a/z.markdown", "b.md"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_article(tmp_path, "open/a.md")
    write_article(tmp_path, "closed/b.md")
    scan = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"closed cannot be read \(Permission denied\)"):
        find_articles(tmp_path)


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Part one", "part-one"),
        ("What's `new`?", "whats-new"),
        ("Ünï_x - y", "ünï_x---y"),
        ("401 / 403", "401--403"),
        ("पासवर्ड 密码", "पासवर्ड-密码"),
    ],
)
def test_slugify(heading: str, anchor: str) -> None:
    assert slugify(heading) == anchor


@pytest.mark.parametrize(
    ("headings", "anchors"),
    [
        ("foo foo foo", "foo foo-1 foo-2"),
        ("foo foo foo-1", "foo foo-1 foo-1-1"),
        ("foo-1 foo foo", "foo-1 foo foo-2"),
        ("foo foo foo-1 foo", "foo foo-1 foo-1-1 foo-2"),
    ],
)
def test_every_heading_has_an_anchor_of_its_own_as_on_github(headings: str, anchors: str) -> None:
    text = "".join(f"## {heading}\n\ntext\n\n" for heading in headings.split())
    assert [section.anchor for section in parse_article("a.md", text.encode()).sections] == anchors.split()


def test_plain_text_and_line_of_key() -> None:
    assert plain_text("A **bold** `code` [link](x.md)") == "A bold code link"
    assert line_of_key("a: 1\nb:\n  - a: 2\nc: 3", "c") == 5
    assert line_of_key("a: 1", "b") == 1


MARKDOWN = st.lists(
    st.sampled_from(
        ["# H\n", "## Ü\n", "text 漢字. ", "\n", "\r\n", "- item\n", "```\n", "> q\n", "| a |\n|---|\n", "    code\n",
         "[r]: /url\n", "===\n", "<div>\n", "\u2028", "1. n\n", "---\n", "\t", "*e* ", "\r"]
    ),
    max_size=30,
).map("".join)  # fmt: skip


@given(MARKDOWN, st.booleans())
def test_any_markdown_has_ordered_sections_with_blocks_inside(text: str, mark: bool) -> None:
    data = (("\ufeff" if mark else "") + text).encode()
    try:
        article = parse_article("a.md", data)
    except ArticleError:
        return
    previous_end = 0
    for section in article.sections:
        assert section.span.start_byte >= previous_end
        previous_end = section.span.end_byte
        end = 0
        for block in section.blocks:
            span = article.source.span(block.start, block.end)
            assert section.span.start_byte <= span.start_byte < span.end_byte <= section.span.end_byte
            assert block.start >= end
            end = block.end
            assert article.source.slice(span) == article.source.text[block.start : block.end]
    assert previous_end <= len(data)
