"""Articles as HTML and Markdown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.articles import Article, parse_article
from indexer.errors import ArticleError
from service.rendering import (
    LineRange,
    Step,
    first_steps,
    lead_links_out,
    links_are_open,
    parse_lines,
    public_markdown,
    render_article,
)


def article(text: str, path: str = "a/one.md") -> Article:
    return parse_article(path, text.encode())


def everywhere(path: str) -> str:
    return f"/articles/{path}"


def nowhere(_: str) -> None:
    return None


def test_blocks_carry_their_lines_and_headings_their_anchors() -> None:
    html = render_article(article("# T\n\nOne\ntwo.\n\n## A b\n\n- x\n- y\n\n## A b\n\nEnd.\n"), everywhere)
    assert '<h1 id="t" data-line="1-1">T</h1>' in html
    assert '<p data-line="3-4">One\ntwo.</p>' in html
    assert '<h2 id="a-b" data-line="6-6">' in html
    assert '<h2 id="a-b-1" data-line="11-11">' in html
    assert '<span data-line="8-8">x</span>' in html


def test_cited_lines_are_marked_one_by_one_in_code() -> None:
    html = render_article(article("# T\n\n```text\none\ntwo\n<b>\n```\n\nafter\n"), everywhere, LineRange(5, 6))
    assert re.findall(r'data-line="(\d+)-\d+" class="cited"', html) == ["5", "6"]
    assert "&lt;b&gt;" in html


def test_only_the_item_that_is_cited_is_marked() -> None:
    html = render_article(article("# T\n\n- one\n- two\n- three\n"), everywhere, LineRange(4, 4))
    assert re.findall(r'class="cited">(\w+)', html) == ["two"]


def test_links_lead_to_articles_that_are_open_and_to_no_others() -> None:
    text = (
        "# T\n\n[in](../b/two.md#x) [out](https://example.com) [bad](javascript:alert) [up](../../etc.md) [f](x.pdf)\n"
    )
    html = render_article(article(text), everywhere)
    assert '<a href="/articles/b/two.md#x"' in html
    assert 'href="https://example.com" rel="noopener noreferrer"' in html
    assert "<a>f</a>" in re.sub(r' rel="[^"]*"', "", html)
    closed = render_article(article(text), nowhere)
    assert "two.md" not in closed
    assert ">in</a>" in closed


def test_public_markdown_keeps_line_numbers_and_drops_what_is_not_meant_for_readers() -> None:
    head = "---\ntitle: T\nowner: secret-team\n---\n\n# T\n\n"
    text = f"{head}[x](../b/two.md) [y](<../b/two.md> 'hint')\n\n[z]: ../b/two.md\n"
    shown = public_markdown(article(text), nowhere)
    assert "secret-team" not in shown
    assert "two.md" not in shown
    assert shown.splitlines().index("# T") == text.splitlines().index("# T")
    assert "[x](../b/two.md)" in public_markdown(article(text), everywhere)
    assert links_are_open("see [x](../b/two.md)", "a/one.md", everywhere)
    assert not links_are_open("see [x](../b/two.md)", "a/one.md", nowhere)
    assert links_are_open("see [x](https://example.com/two.md)", "a/one.md", nowhere)


def test_links_of_a_piece_lead_out_where_there_is_an_address() -> None:
    text = "[x](../b/two.md#c) [y](<../b/two.md> 'hint') [z](https://example.com/two.md) [w](#c) [v](../b/no.md)\n"
    found = lead_links_out(text, "a/one.md", lambda path: f"https://kb/{path}" if path == "b/two.md" else None)
    assert found == (
        "[x](https://kb/b/two.md#c) [y](<https://kb/b/two.md> 'hint') [z](https://example.com/two.md) [w](#c) "
        "[v](../b/no.md)\n"
    )


@pytest.mark.parametrize(
    "link",
    [
        "[x](../b/two.md)",
        "[x](<../b/two (old) note.md> 'hint')",
        "[x](../b/two(1).md)",
        "[x](..&sol;b/two.m&#100;)",
        "[x](\n../b/two.md)",
        "![x](../b/two.md)",
        "[x]: ../b/two.md",
        "> [x]: ../b/two.md 'hint'",
        "- item\n\n      [x]:\n      ../b/two.md",
        "[x\\]y]: ../b/two.md",
        "> [x](\n> ../b/two.md)",
    ],
)
def test_every_form_of_a_link_is_closed_for_who_may_not_follow_it(link: str) -> None:
    shown = public_markdown(article(f"# T\n\nBefore.\n\n{link}\n"), nowhere)
    assert "two" not in shown
    assert not links_are_open(link, "a/one.md", nowhere)
    assert links_are_open(link, "a/one.md", everywhere)
    assert public_markdown(article(f"# T\n\nBefore.\n\n{link}\n"), everywhere).endswith(f"{link}\n")


def test_a_closed_link_keeps_what_is_around_it() -> None:
    text = '# T\n\nSee [x](../b/two(1).md "why") (or [y](<../b/t.md>)), and [z](../c.md#part).\n'
    shown = public_markdown(article(text), nowhere)
    assert shown == '# T\n\nSee [x](# "why") (or [y](#)), and [z](#).\n'


def test_a_link_with_escapes_is_open_to_who_may_follow_it() -> None:
    assert links_are_open(
        r"[x](../b/two\_three.md)", "a/one.md", lambda path: path if path == "b/two_three.md" else None
    )


def test_a_table_scrolls_in_a_box_that_the_keyboard_reaches() -> None:
    html = render_article(article("# T\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nAfter.\n"), everywhere)
    assert '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table data-line="3-5">' in html
    assert html.index("</table></div>") < html.index("After.")


def test_first_steps_are_the_numbered_items_of_their_section() -> None:
    text = (
        "# R\n\n## First 15 minutes\n\nNow:\n\n1. Look:\n   ```bash\n   ls\n   ```\n2. Ask:\n   1. one\n   2. two\n\n"
        "## Later\n\n1. Not this.\n"
    )
    assert first_steps(article(text)) == [Step("Look:\n```bash\nls\n```", 7), Step("Ask:\n1. one\n2. two", 11)]
    assert first_steps(article("# R\n\n1. One.\n")) == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("12-18", LineRange(12, 18)),
        ("7", LineRange(7, 7)),
        ("", None),
        ("0", None),
        ("9-3", None),
        ("a", None),
        ("١", None),
    ],
)
def test_line_ranges(text: str, lines: LineRange | None) -> None:
    assert parse_lines(text) == lines


@given(st.text(st.sampled_from("<>\"'`*_[]()#!&=-+ \n\tabonclickscriptjavascript:img src/.md0"), max_size=300))
def test_no_markdown_yields_active_html(body: str) -> None:
    try:
        parsed = article(f"# T\n\n{body}\n")
    except ArticleError:
        return
    html = render_article(parsed, everywhere, LineRange(1, 5))
    tags = {tag.lower() for tag in re.findall(r"<\s*/?\s*([a-zA-Z][\w-]*)", html)}
    assert not tags & {"script", "style", "img", "iframe", "svg", "object", "form", "input"}
    for tag in re.findall(r"<[a-zA-Z][^>]*>", html):
        assert not re.search(r"\s(on\w+|style|src)\s*=", re.sub(r'"[^"]*"', '""', tag))
        assert not re.search(r'href="\s*(javascript|data|vbscript):', tag, re.IGNORECASE)
