"""Vendors' markup in, vendors' markup out, and the bytes of a call."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import SettingsError
from service.connectors.adf import to_adf
from service.connectors.calling import api_url, authorization, clip, encode_request
from service.connectors.contract import ConnectorConfig, Inbound, Outbound
from service.connectors.markup import to_html, to_jira_wiki, to_plain, to_quiet_markdown, to_slack
from service.connectors.plain_text import (
    adf_to_text,
    any_to_text,
    html_to_text,
    markdown_to_text,
    slack_to_text,
    wiki_to_text,
)
from service.connectors.signatures import verify_standard_webhooks
from tests.connectors.world import NOW_S, WHSEC


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>One<br>two &amp; <b>three</b></p><p>four</p>", "One\ntwo & three\n\nfour"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
        ("<pre>x\n  y</pre>", "x\ny"),
        ("<title>t</title><style>p{}</style><script>alert('<p>')</script>seen", "seen"),
        ("<!-- <p>hidden</p> -->seen<!-- never closed", "seen"),
        ("1 < 2 and <3", "1 < 2 and <3"),
        ("<P CLASS=x>Upper</P>", "Upper"),
        ("<![CDATA[x]]><!doctype html>y", "y"),
        ("a\x00b\ud800c", "abc"),
        ("", ""),
    ],
)
def test_html_becomes_what_a_reader_sees(markup: str, text: str) -> None:
    assert html_to_text(markup).replace("\n\n- ", "\n- ") == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>new</p><blockquote>old<blockquote>older</blockquote></blockquote><p>end</p>", "new\n\nend"),
        ('<p>new</p><div class="x gmail_quote"><div>a</div>b</div>end', "new\n\nend"),
        ('<p>new</p><div id="divRplyFwdMsg">From: x</div><p>old</p>', "new"),
        ("<blockquote>never closed<p>old", ""),
    ],
)
def test_quoted_html_is_left_out_on_request(markup: str, text: str) -> None:
    assert html_to_text(markup, drop_quotes=True) == text


@given(st.text(alphabet="<>/!-abp &;\"'=", max_size=300))
def test_no_html_breaks_the_reader(markup: str) -> None:
    text = html_to_text(markup, drop_quotes=True)
    assert text == text.strip()


@pytest.mark.parametrize("unit", ["<div>", "<a ", "<!--", "<", "<script>", "<blockquote>", "&lt;"])
def test_hostile_html_is_read_to_the_end(unit: str) -> None:
    """200,000 characters of what makes tree builders and back-tracking parsers quadratic: ends, or the run hangs."""
    assert len(html_to_text(unit * (200_000 // len(unit)))) <= 20_000


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a < b and c > d", "a < b and c > d"),
        ("<generic> text stays", "<generic> text stays"),
        ("<p>is HTML</p>", "is HTML"),
    ],
)
def test_only_what_looks_like_html_is_read_as_html(text: str, plain: str) -> None:
    assert any_to_text(text) == plain


@pytest.mark.parametrize(
    ("mrkdwn", "text"),
    [
        ("<@U1> <@U2|name> 5 &gt; 4 &amp;amp; <!here>", "5 > 4 &amp; @here"),
        ("<#C1|general> <#C2> <!subteam^S1|@team>", "#general"),
        ("<https://a.example|a> <https://b.example>", "a (https://a.example) https://b.example"),
        ("<!date^1392734382^{date}|today>", "today"),
    ],
)
def test_slack_text_is_spelled_out(mrkdwn: str, text: str) -> None:
    assert slack_to_text(mrkdwn) == text


def test_wiki_markup_becomes_text() -> None:
    assert wiki_to_text("h1. Head\n{code:java}\nx\n{code}\n[log|https://a.example|smart-link] {color:red}r{color}") == (
        "Head\n\nx\n\nlog (https://a.example) r"
    )


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("<!-- template\n -->a<!-- b -->c", "ac"),
        ("a <!-- never closed", "a <!-- never closed"),
        ("a --> b <!---->", "a --> b"),
    ],
)
def test_hidden_comments_of_issue_templates_are_left_out(markdown: str, text: str) -> None:
    assert markdown_to_text(markdown) == text


@pytest.mark.parametrize("read", [markdown_to_text, wiki_to_text, slack_to_text, any_to_text])
@pytest.mark.parametrize("unit", ["<!--", "[", "[a|", "{code:", "<", "<a|", "&lt;", "h1. "])
def test_hostile_markup_is_read_to_the_end(read: Callable[[str], str], unit: str) -> None:
    assert len(read(unit * (100_000 // len(unit)))) <= 20_000


def test_atlassian_documents_of_any_shape_become_text() -> None:
    deep: dict[str, Any] = {"type": "text", "text": "deep"}
    for _ in range(5_000):
        deep = {"type": "blockquote", "content": [deep]}
    assert adf_to_text(deep) == "deep"
    leaves = [{"type": "text", "text": 5}, {"type": ["list"]}, {"attrs": 1, "type": "emoji"}]
    odd: dict[str, Any] = {"content": [None, 3, "x", *leaves]}
    odd["content"].append({"type": deep, "attrs": deep, "text": deep})
    assert adf_to_text(odd) == "x"
    link = {"type": "paragraph", "content": [{"type": "inlineCard", "attrs": {"url": "https://a.example"}}]}
    assert adf_to_text(link) == "https://a.example"


NASTY = "@admin see #12 and !3, `@code` {{ticket.id}} {% raw %} <!channel> <b>x</b> [~user] {code} a|b\n\n/close now\n"


def test_html_out_lets_neither_tags_nor_placeholders_through() -> None:
    html = to_html(NASTY)
    assert "<b>" not in html
    assert "{{" not in html
    assert "{%" not in html
    assert "<!channel>" not in html


def test_slack_out_escapes_everything_that_slack_would_act_on() -> None:
    assert "<" not in to_slack(NASTY)
    assert to_slack("[a|b](<https://x.example/?a|b>)") == "<https://x.example/?a%7Cb|a¦b>"


def test_jira_out_escapes_macros_and_mentions() -> None:
    wiki = to_jira_wiki(NASTY)
    assert "\\[\\~user\\]" in wiki
    assert "\\{code\\}" in wiki
    assert to_jira_wiki("```\n{noformat}\n```") == "{noformat}\n{ noformat}\n{noformat}"


def test_jira_out_never_puts_a_quote_into_a_quote() -> None:
    nested = "> Hello,\n>\n> > Set the clock.\n> >\n> > > twice\n>\n> - first\n>   > this\n>\n> Bye.\n\nafter\n\n> x"
    assert to_jira_wiki(nested) == (
        "{quote}\nHello,\n\nSet the clock.\n\ntwice\n\n* first\nthis\n\nBye.\n{quote}\n\nafter\n\n{quote}\nx\n{quote}"
    )
    assert to_slack("> a\n>\n> > b") == "> a\n> > b"


@pytest.mark.parametrize(
    ("markdown", "wiki"),
    [
        (r"in C:\Windows\System32 or C:\temp", r"in C:\Windows\System32 or C:\temp"),
        (r"at \\\\server\\share_a", r"at \\server\share\_a"),
        (r"at \\\\server, not DOM\\*", "at \\\u200b\\server, not DOM\\\u200b\\*"),
        (r"`C:\temp` and `C:\`", "{{C:\\temp}} and {{C:\\\u200b}}"),
        ("-v and well-known, x-", "\\-v and well-known, x\\-"),
        ("- a\n\n\\- b -- c", "* a\n\n\\- b \\-\\- c"),
        ("no (x) or (/) or (xy) :) :D ??", "no \\(x) or \\(/) or (xy) :\\) :\u200bD \\?\\?"),
        ("h1\\. is no heading", "h1\u200b. is no heading"),
        ("\\# root", "\\# root"),
        ("see https://x.example/a_b/-/c*d.", "see https://x.example/a_b/-/c*d."),
        ("[Use \\[x\\] | y_z](<https://x.example>)", "[Use \\(x\\) ¦ y\\_z|https://x.example]"),
    ],
)
def test_jira_out_shows_words_as_they_stand(markdown: str, wiki: str) -> None:
    assert to_jira_wiki(markdown) == wiki


def test_jira_out_ends_a_list_before_what_follows_it() -> None:
    assert to_jira_wiki("> - a\n>   - b\n>\n> — cited") == "{quote}\n* a\n** b\n\n— cited\n{quote}"
    assert to_jira_wiki("2. two\n   - a\n3. three") == "2. two\n* a\n\n3. three"
    assert to_jira_wiki("2. two\n3. three") == "2. two\n3. three"


TABLE = "> Look:\n>\n> | Reply | Reason \\| more |\n> |---|---|\n> | `401` | [key](<https://x.example>) |\n> | | b |"


def test_tables_stay_tables_where_there_are_any_and_rows_elsewhere() -> None:
    assert to_jira_wiki(TABLE) == (
        "{quote}\nLook:\n\n||Reply||Reason ¦ more||\n|{{401}}|[key|https://x.example]|\n| |b|\n{quote}"
    )
    assert to_slack(TABLE) == "> Look:\n> *Reply | Reason | more*\n> `401` | <https://x.example|key>\n>  | b"
    assert to_plain(TABLE) == "> Look:\n> Reply | Reason | more\n> 401 | key (https://x.example)\n>  | b"
    assert "<th>Reply</th>" in to_html(TABLE)
    quote, table, _ = to_adf(TABLE, "end")["content"]
    assert (quote["type"], table["type"]) == ("blockquote", "table")
    cells = [[cell["type"] for cell in row["content"]] for row in table["content"]]
    assert cells == [["tableHeader"] * 2, ["tableCell"] * 2, ["tableCell"] * 2]
    (item,) = to_adf("- a\n\n  | b | c |\n  |---|---|\n  | d | e |", "end")["content"][0]["content"]
    rows = ["".join(run["text"] for run in paragraph["content"]) for paragraph in item["content"]]
    assert rows == ["a", "b | c", "d | e"]


def test_forges_are_sent_no_mentions_references_or_commands() -> None:
    quiet = to_quiet_markdown(f"{NASTY}\n```\n/close @admin\n```\n[a](<https://x.example/@a#b>)\n")
    assert "@admin see" not in quiet
    assert "@\u200badmin see #\u200b12 and !\u200b3, `@code`" in quiet
    assert "\n/close now" not in quiet
    assert "\n/close @admin\n" in quiet
    assert "(<https://x.example/@a#b>)" in quiet


@pytest.mark.parametrize(
    ("text", "quiet"),
    [
        ("acme/api#12", "acme/api#\u200b12"),
        ("see acme/api.v2#12, #13 and api!3", "see acme/api.v2#\u200b12, #\u200b13 and api!\u200b3"),
        ("GH-7 and gh-8, gl-9", "GH-\u200b7 and gh-\u200b8, gl-\u200b9"),
        ("acme/api%2 acme/api$5 acme/api~4 acme&6", "acme/api%\u200b2 acme/api$\u200b5 acme/api~\u200b4 acme&\u200b6"),
        ("HIGH-7, user@7.example, 50 %, C# 12", "HIGH-7, user@7.example, 50 %, C# 12"),
        ("`acme/api#12 GH-7` https://x.example/GH-7/a#1", "`acme/api#12 GH-7` https://x.example/GH-7/a#1"),
    ],
)
def test_issues_of_other_projects_are_not_referred_to_either(text: str, quiet: str) -> None:
    assert to_quiet_markdown(text) == quiet


@given(st.text(alphabet="@#/!ab `~>-*\n", max_size=120))
def test_no_line_outside_code_starts_a_quick_action(markdown: str) -> None:
    in_fence = False
    for line in to_quiet_markdown(markdown).split("\n"):
        if line.lstrip(" \t>").startswith(("```", "~~~")):
            in_fence = not in_fence
        elif not in_fence:
            assert not line.lstrip(" \t>").startswith(("/a", "/b"))
        if in_fence:
            break


def test_plain_out_spells_links_and_keeps_lists() -> None:
    assert to_plain("# H\n\n- a **b**\n  - c\n\n3. [d](https://d.example)\n\n> q\n") == (
        "H\n\n- a b\n  - c\n\n3. d (https://d.example)\n\n> q"
    )


def test_adf_out_holds_only_what_a_list_item_or_a_quote_may_hold() -> None:
    quote = "> 2. quote\n>\n>    ```\n>    x\n>    ```\n>\n> ## Sub\n>\n> > in it\n"
    document = to_adf(f"# Head\n\n1. a\n\n   > q **b** `c`\n\n   ## Sub\n\n- - x\n\n{quote}\n---\n\n```\n```\n", "end")
    allowed = {"paragraph", "bulletList", "orderedList", "codeBlock"}

    def check(node: dict[str, Any]) -> None:
        for child in node.get("content", []):
            if node["type"] in {"listItem", "blockquote"}:
                assert child["type"] in allowed
            if child["type"] == "text":
                assert child["text"]
            check(child)

    check(document)
    assert [block["type"] for block in document["content"]] == [
        "heading", "orderedList", "bulletList", "blockquote", "rule", "codeBlock", "paragraph",
    ]  # fmt: skip
    assert [block["type"] for block in document["content"][3]["content"]] == ["orderedList", *["paragraph"] * 2]
    assert document["content"][-1]["content"] == [{"type": "text", "text": "end"}]


@given(st.text(max_size=200))
def test_any_markdown_is_written_in_every_markup(markdown: str) -> None:
    json.dumps(to_adf(markdown, "end"))
    for write in (to_html, to_slack, to_jira_wiki, to_plain, to_quiet_markdown):
        assert isinstance(write(markdown), str)


def test_a_signed_call_verifies_at_the_receiver_at_the_time_of_sending() -> None:
    call = Outbound("POST", "https://x.example", {"a": "é\u2028"}, {"X-A": "1"}, signing_secret=WHSEC, message_id="m-1")
    headers, body = encode_request(call, NOW_S)
    assert headers["Content-Type"] == "application/json"
    assert headers["X-A"] == "1"
    assert json.loads(body) == {"a": "é\u2028"}
    arrived = {name.lower(): value for name, value in headers.items()}
    verify_standard_webhooks(Inbound(arrived, body, NOW_S + 299), [WHSEC])


def test_an_unsigned_call_carries_no_signature() -> None:
    headers, body = encode_request(Outbound("PUT", "https://x.example", {"a": 1}), NOW_S)
    assert headers == {"Content-Type": "application/json"}
    assert body == b'{"a":1}'


@pytest.mark.parametrize(
    ("token", "scheme", "header"),
    [
        ("key", "Bearer", "Bearer key"),
        ("key", "Token token=", "Token token=key"),
        ("user:pass", "Bearer", "Basic " + base64.b64encode(b"user:pass").decode()),
        ("Bearer whole", "GenieKey", "Bearer whole"),
    ],
)
def test_a_token_is_taken_in_three_forms(token: str, scheme: str, header: str) -> None:
    assert authorization(ConnectorConfig(token=token), scheme) == {"Authorization": header}


def test_without_a_token_there_is_no_header_and_without_an_address_an_error() -> None:
    assert authorization(ConnectorConfig(), "Bearer") == {}
    assert api_url(ConnectorConfig(base_url="https://a.example/"), "/x") == "https://a.example/x"
    for base in ("", "a.example", "file:///etc/passwd"):
        with pytest.raises(SettingsError, match="base_url"):
            api_url(ConnectorConfig(base_url=base), "/x")


@given(st.text(max_size=80), st.integers(3, 90))
def test_clipped_text_fits_and_starts_as_it_did(text: str, most: int) -> None:
    short = clip(text, most)
    assert len(short) <= most
    assert text.startswith(short.removesuffix("\n…"))
