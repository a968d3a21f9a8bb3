"""HTML to Markdown. What is written is parsed again and compared, so the text survives as it was read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.articles import markdown_parser, parse_article
from indexer.errors import PageError
from indexer.importing.converting import Document, escape_text, find_anchor
from indexer.importing.html import MAX_DEPTH, clean_text


def markdown(html: str, title: str = "Some title") -> str:
    return Document(html, title).to_markdown(lambda href: href)


def rendered(text: str) -> str:
    return str(markdown_parser().render(text))


CASES = {
    "headings start at level two": ("<h3>One</h3><p>a</p><h4>Two</h4><p>b</p>", "## One\n\na\n\n### Two\n\nb"),
    "a heading that repeats the title goes": ("<h1>Some title</h1><h2>One</h2><p>a</p>", "## One\n\na"),
    "nested lists": (
        "<ul><li>one<ol start='3'><li>three</li><li>four</li></ol></li><li>two</li></ul>",
        "- one\n  3. three\n  4. four\n- two",
    ),
    "a list with code stays tight": (
        "<ol><li>a:<pre>x\n\ny</pre></li><li>b<pre>z</pre>c</li></ol>",
        "1. a:\n   ```\n   x\n\n   y\n   ```\n2. b\n   ```\n   z\n   ```\n   c",
    ),
    "code keeps its language and its bytes": (
        '<pre><code class="language-python">if a &lt; b:\n    print("**x**")\n</code></pre>',
        '```python\nif a < b:\n    print("**x**")\n```',
    ),
    "syntax highlighter of Confluence": (
        '<pre class="syntaxhighlighter-pre" data-syntaxhighlighter-params="brush: bash; gutter: false">ls -l</pre>',
        "```bash\nls -l\n```",
    ),
    "a fence longer than those inside": ("<pre>```\nx\n```</pre>", "````\n```\nx\n```\n````"),
    "line breaks in code": ("<pre>a<br>b</pre>", "```\na\nb\n```"),
    "code of several lines without pre": ("<p><code>a<br>b</code></p>", "```\na\nb\n```"),
    "a table with spans": (
        "<table><tr><th rowspan=2>A</th><th>B|C</th></tr><tr><td>1</td></tr><tr><td colspan=2>2</td></tr></table>",
        "| A | B\\|C |\n| --- | --- |\n|  | 1 |\n| 2 |  |",
    ),
    "lists and code in a cell": (
        "<table><tr><th>A</th><th>B</th></tr><tr><td><ul><li>x</li><li>y</li></ul></td><td><pre>p\nq</pre></td></tr></table>",
        "| A | B |\n| --- | --- |\n| \u2022 x \u2022 y | `p` `q` |",
    ),
    "a table for layout is its content": ("<table><tr><td><p>one</p><p>two</p></td></tr></table>", "one\n\ntwo"),
    "images are their descriptions": (
        '<p><img src="a/b%20c.png"> <img src="x" alt="A diagram"> <img src="y" alt=""></p>',
        "*Image: b c.png* *Image: A diagram*",
    ),
    "images side by side": (
        '<p>See<img src="a.png" alt="A"><img src="b.png" alt="B"></p>',
        "See*Image: A* *Image: B*",
    ),
    "details open": ("<details><summary>More</summary><p>in</p></details>", "**More**\n\nin"),
    "definitions": ("<dl><dt>T</dt><dd>D</dd></dl>", "**T**\n\nD"),
    "task boxes": ("<ul><li><input type=checkbox checked>done</li></ul>", "- [x] done"),
    "an image whose address is none": ('<p>a <img src="https://[server]/logo.png"></p>', "a"),
    "scripts, styles and hidden text go": (
        "<p>a</p><script>x()</script><style>p{}</style><p style='display: none'>b</p><p hidden>c</p><!-- d -->",
        "a",
    ),
    "two line breaks part paragraphs": ("<p>a<br><br>b<br>c</p>", "a\n\nb  \nc"),
    "marks at the start of a line": (
        "<p># a</p><p>1. b</p><p>- c</p><p>&gt; d</p><p>---</p>",
        "\\# a\n\n1\\. b\n\n\\- c\n\n\\> d\n\n\\---",
    ),
    "identifiers stay searchable": ("<p>invalid_token and max_retry_count</p>", "invalid_token and max_retry_count"),
}


@pytest.mark.parametrize(("html", "expected"), CASES.values(), ids=CASES.keys())
def test_conversion(html: str, expected: str) -> None:
    assert markdown(html) == expected


def test_text_that_looks_like_markup_reads_as_before() -> None:
    text = r"a*b*c __init__ <hostname> &lt; [x](y) C:\_x \\srv `tick` 5 * 3"
    assert markdown_parser().render(escape_text(text)) == "<p>{}</p>\n".format(
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    )


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp", "Cs", "Cn"]), min_size=1))
def test_any_text_survives(text: str) -> None:
    """Whatever a page says comes out as the same words, in a paragraph and in a heading's place."""
    words = " ".join(clean_text(text).split())
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    written = markdown(f"<p>{escaped}</p>")
    tokens = [token for token in markdown_parser().parse(written) if token.type == "inline"]
    read = "".join(child.content for token in tokens for child in token.children or ())
    assert read == words


def test_links_and_anchors() -> None:
    html = (
        '<h2 id="h_01ABC">Set the clock</h2><p><a href="#h_01ABC">up</a> <a href="x y(1).html">b [c</a></p>'
        '<a name="tail"></a><h2>Set the clock</h2><p>x</p>'
    )
    document = Document(html, "Some title")
    assert document.anchors["h_01ABC"] == "set-the-clock"
    assert document.anchors["tail"] == "set-the-clock-1"
    assert find_anchor(document.anchors, "Settheclock") == "set-the-clock"
    assert find_anchor(document.anchors, "unknown") == "unknown"
    text = document.to_markdown(lambda href: href)
    assert "[b \\[c](x%20y%281%29.html)" in text
    article = parse_article("a.md", f"# Some title\n\n{text}\n".encode())
    assert [section.anchor for section in article.sections][1:] == ["set-the-clock", "set-the-clock-1"]


def test_anchors_are_those_of_the_written_article() -> None:
    headings = ["Some title", "foo", "foo", "foo-1"]
    html = "".join(f'<h2 id="n{number}">{heading}</h2><p>x</p>' for number, heading in enumerate(headings))
    document = Document(html, "Some title")
    written = f"# Some title\n\n{document.to_markdown(lambda href: href)}\n"
    anchors = [section.anchor for section in parse_article("a.md", written.encode()).sections][1:]
    assert [document.anchors[f"n{number}"] for number in range(len(headings))] == anchors
    assert anchors == ["some-title-1", "foo", "foo-1", "foo-1-1"]


def test_a_link_that_leads_nowhere_keeps_its_words() -> None:
    assert Document('<p>see <a href="javascript:x">this</a></p>', "t").to_markdown(lambda href: None) == "see this"


def test_pages_too_deep_or_too_wide_are_refused_not_cut() -> None:
    deep = "<div>" * (MAX_DEPTH + 20) + "end" + "</div>" * (MAX_DEPTH + 20)
    with pytest.raises(PageError, match="levels deep"):
        markdown(deep)
    with pytest.raises(PageError, match="cells"):
        markdown("<table><tr>" + '<td colspan="1000" rowspan="1000">x</td>' * 200 + "</tr></table>" + "<tr></tr>" * 9)


def test_a_page_just_short_of_the_limit_is_whole() -> None:
    depth = MAX_DEPTH - 10
    assert markdown("<div>" * depth + "the end" + "</div>" * depth) == "the end"


def test_control_characters_and_half_surrogates_go() -> None:
    assert clean_text("a\x00b\x1f\ud800c\u200bd\u00a0e\r\nf") == "abcd e\nf"
