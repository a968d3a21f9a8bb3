"""Notes and replies that an engineer pastes into a ticket."""

from __future__ import annotations

from markdown_it import MarkdownIt

from service.answers import Answer, Citation, Snippet, Suggestion
from service.notes import quote_article, write_note, write_reply

CITATION = Citation("api/token.md", ("Token", "Resolution"), "resolution", 12, 14, 0, 10, "0" * 64, "0" * 64)
CUT = "Set the clock:\n```bash\nntpdate -u"
"""A snippet that ends in the middle of its code."""


def suggestion(text: str) -> Suggestion:
    return Suggestion(
        "KB-1001", "api/token.md", "The token expired", "", "public", None, None, (), 1.0, (),
        (Snippet(text, (), CITATION),),
    )  # fmt: skip


def links_of(markdown: str) -> list[str]:
    """Addresses that are links once rendered; what stands in a code block is none."""
    inline = [token for token in MarkdownIt("commonmark").parse(markdown) if token.type == "inline"]
    children = [child for token in inline for child in token.children or ()]
    return [str(child.attrs["href"]) for child in children if child.type == "link_open"]


def test_nobody_is_told_that_an_answer_is_certain() -> None:
    told = {
        confidence: Answer(True, confidence, 0.5, (), (), None, "v1", 1.0, ()).sure_percent
        for confidence in (0.0, 0.29, 0.994, 0.9999, 1.0)
    }
    assert told == {0.0: 0, 0.29: 29, 0.994: 99, 0.9999: 99, 1.0: 99}


def test_a_snippet_cut_within_code_leaves_its_source_a_link() -> None:
    answer = Answer(True, 0.9, 0.5, (suggestion(CUT), suggestion("Wait.")), (), "Which region?", "v1", 1.0, ())
    note = write_note(answer, lambda citation: "https://kb.example/a")
    assert links_of(note) == ["https://kb.example/a", "https://kb.example/a"]
    assert "   > ```\n   >\n   > — [api/token.md:12-14]" in note
    assert MarkdownIt("commonmark").render(note).count("<code") == 1
    assert links_of(write_reply(suggestion(CUT), lambda citation: "https://kb.example/a")) == ["https://kb.example/a"]


def test_a_snippet_cut_within_a_list_stays_a_list() -> None:
    cut = "correct it.\n4. Watch the pool.\n5. Withdraw early."
    answer = Answer(True, 0.9, 0.5, (suggestion(cut),), (), None, "v1", 1.0, ())
    note = write_note(answer, lambda citation: "https://kb.example/a")
    assert "   > correct it.\n   >\n   > 4. Watch the pool.\n   > 5. Withdraw early.\n" in note
    assert '<ol start="4">' in MarkdownIt("commonmark").render(note)
    reply = quote_article("T", "", "https://kb.example/a", "   - one\n   - two\n2. three\n", "a.md:1-3")
    assert MarkdownIt("commonmark").render(reply).count("<li>") == 3


def test_lines_cut_out_of_an_article_leave_their_source_a_link() -> None:
    reply = quote_article("The token expired", "", "https://kb.example/a", CUT, "api/token.md:12-14")
    assert links_of(reply) == ["https://kb.example/a"]
