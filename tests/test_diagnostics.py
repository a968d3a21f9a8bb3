"""What articles ask for, against what a ticket holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.articles import Article, parse_article, read_article
from service.answers import Question
from service.diagnostics import Diagnostics, Status, compare_basics, compare_diagnostics
from service.findings import Detail
from tests.conftest import write_article

RUNBOOK = """## Trigger

Nobody signs in.

## Escalation

### Evidence to collect

- Error on screen: text and correlation id
- Start: first failing minute, in UTC
- Pod list: output of step 3
- Signature of the duty lead
"""


def article(tmp_path: Path, body: str, name: str = "runbooks/login.md", audience: str = "internal") -> Article:
    return read_article(tmp_path, write_article(tmp_path, name, body, audience=audience))


def by_label(diagnostics: Diagnostics) -> dict[str, Status]:
    return {item.label: item.status for item in diagnostics.items}


def test_the_list_of_a_runbook_is_compared_with_the_ticket(tmp_path: Path) -> None:
    text = "Since 09:10 UTC it says AADSTS50011."
    compared = compare_diagnostics(Question(text), [article(tmp_path, RUNBOOK)])
    assert by_label(compared) == {
        "Error on screen": Status.PARTLY,
        "Start": Status.HELD,
        "Pod list": Status.UNCHECKED,
        "Signature of the duty lead": Status.UNCHECKED,
    }
    first = compared.items[0]
    assert first.missing == (Detail.REQUEST_ID,)
    assert [finding.quote for finding in first.found] == ["Since 09:10 UTC it says AADSTS50011."]


def test_every_item_cites_the_line_that_asks(tmp_path: Path) -> None:
    source = article(tmp_path, RUNBOOK)
    for item in compare_diagnostics(Question("login"), [source]).items:
        cited = source.source.data[item.citation.start_byte : item.citation.end_byte].decode()
        assert item.label in cited
        assert source.source.text.splitlines()[item.citation.start_line - 1].endswith(cited.removeprefix("- "))


def test_the_message_asks_only_for_what_is_missing_and_a_customer_can_tell(tmp_path: Path) -> None:
    compared = compare_diagnostics(Question("It says AADSTS50011 since 09:10"), [article(tmp_path, RUNBOOK)])
    assert [line for line in compared.message.splitlines() if line.startswith("- ")] == [
        f"- {a}" for a in compared.asks
    ]
    assert compared.asks[0] == "the time zone of the times that you gave"
    assert "request id" in compared.asks[1]
    assert len(compared.asks) == 2


def test_the_message_never_quotes_an_article(tmp_path: Path) -> None:
    body = RUNBOOK.replace("Error on screen", "Zanzibar error text").replace("Start:", "Quokka start time:")
    message = compare_diagnostics(Question("login"), [article(tmp_path, body)]).message
    assert message
    assert "anzibar" not in message
    assert "uokka" not in message


def test_nothing_missing_means_no_message(tmp_path: Path) -> None:
    text = "Since 09:10 UTC it says AADSTS50011, request id: 5f0c7c9d6a7b4e0f."
    compared = compare_diagnostics(Question(text), [article(tmp_path, RUNBOOK)])
    assert (compared.asks, compared.message, compared.missing) == ((), "", ())


LISTENER = (
    "## Symptoms\n\n```text\nORA-12154: could not resolve\n```\n\n"
    "## Environment\n\nAgent 2.x and 3.x on Linux and Windows. Old browsers show it as status 500 of OAuth 2.0.\n\n"
    "## Diagnosis\n\nFind the request id in the log. A newline may come from a Windows editor of your workspace:\n"
)


def test_sections_imply_needs_in_our_own_words_where_there_is_no_list(tmp_path: Path) -> None:
    source = article(tmp_path, LISTENER, "db/listener.md", "public")
    compared = compare_diagnostics(Question("it fails on Ubuntu 22.04"), [source])
    assert by_label(compared) == {
        "Error text": Status.MISSING,
        "Operating system": Status.HELD,
        "Version": Status.HELD,
    }
    assert [item.text for item in compared.missing] == ["the exact error text, copied rather than described"]
    assert compared.missing[0].citation.heading_path[-1] == "Symptoms"


def test_no_sentence_of_an_article_is_an_item(tmp_path: Path) -> None:
    source = article(tmp_path, LISTENER, "db/listener.md", "public")
    for text in ("it fails", "it fails with ORA-12154", "the page stays white"):
        for item in compare_diagnostics(Question(text), [source]).items:
            assert item.text not in " ".join(source.source.text.split())


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("it fails", {"Error text", "Operating system", "Version"}),
        ("it is slow since monday", {"Operating system", "Version"}),
        ("it fails with ORA-12154: could not resolve", {"Error text"}),
    ],
)
def test_an_error_text_is_asked_of_who_had_an_error_and_nothing_else_of_who_shows_the_articles_own(
    tmp_path: Path, text: str, labels: set[str]
) -> None:
    compared = compare_diagnostics(Question(text), [article(tmp_path, LISTENER, "db/listener.md", "public")])
    assert set(by_label(compared)) == labels


def test_output_that_is_no_error_is_not_compared_with(tmp_path: Path) -> None:
    body = "## Symptoms\n\n```text\npage=1 rows=200\n```\n\n```text\nERROR: no such page\n```\n"
    (item,) = compare_diagnostics(Question("the list fails"), [article(tmp_path, body)]).items
    assert item.citation.start_line > 8
    plain = article(tmp_path, body.replace("ERROR: no such page", "page=2 rows=0"), "runbooks/plain.md")
    assert compare_diagnostics(Question("the list fails"), [plain]).items == ()


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("how to make edge nginx follow dns without reload", "edge nginx should follow dns w/o reload, 1.24"),
        ("golden image", "how to put your agent in the image so that 200 desktops don't all register as the same one?"),
        ("", "Is there a setting for the time zone of reports?"),
    ],
)
def test_a_question_of_how_it_is_done_lacks_nothing(tmp_path: Path, title: str, text: str) -> None:
    articles = [article(tmp_path, RUNBOOK), article(tmp_path, LISTENER, "db/listener.md", "public")]
    assert compare_diagnostics(Question(text, title), articles) == Diagnostics()
    assert compare_basics(Question(text, title)) == Diagnostics()
    assert compare_diagnostics(Question(f"{text} It fails with error 500.", title), articles).items


def test_customers_are_not_asked_for_what_operations_collect_on_our_systems(tmp_path: Path) -> None:
    body = "## Evidence to collect\n\n- Broker log: the line with its time\n- Request id: of one call\n"
    path = write_article(tmp_path, "runbooks/broker.md", body, audience="internal", front="type: runbook")
    compared = compare_diagnostics(Question("it fails"), [read_article(tmp_path, path)])
    assert [(item.label, item.by_customer) for item in compared.items] == [("Broker log", False), ("Request id", True)]
    assert all("log" not in ask for ask in compared.asks)


def test_an_explanation_asks_for_nothing_by_itself(tmp_path: Path) -> None:
    body = "## Evidence to collect\n\n- Proof: time of the call-back, the tenant and the version in use\n"
    (item,) = compare_diagnostics(Question("it fails"), [article(tmp_path, body)]).items
    assert (item.status, item.missing, item.by_customer) == (Status.UNCHECKED, (), False)


def test_a_thing_that_two_articles_ask_for_is_listed_once(tmp_path: Path) -> None:
    one = article(tmp_path, RUNBOOK)
    other = article(tmp_path, RUNBOOK, "runbooks/other.md")
    compared = compare_diagnostics(Question("login"), [one, other])
    cited = [(item.label, item.citation.path) for item in compared.items if item.missing]
    assert cited == [("Error on screen", "runbooks/login.md"), ("Start", "runbooks/login.md")]


def test_the_label_says_what_is_meant_and_the_rest_only_explains(tmp_path: Path) -> None:
    body = "## Evidence to collect\n\n- Endpoint id: and its state at the time of the last change\n- Start: in UTC\n"
    items = compare_diagnostics(Question("it fails"), [article(tmp_path, body)]).items
    assert [(item.label, item.missing) for item in items] == [
        ("Endpoint id", (Detail.OBJECT_ID,)),
        ("Start", (Detail.TIME,)),
    ]


def test_without_articles_there_is_nothing_to_ask() -> None:
    assert compare_diagnostics(Question("it does not work"), []) == Diagnostics()


def test_the_basics_are_asked_for_where_no_article_can_tell() -> None:
    asked = compare_basics(Question("Since 09:10 it answers `error: no such lamp` for all users"))
    assert [ask.split(",")[0] for ask in asked.asks] == [
        "the time zone of the times that you gave",
        "the exact version numbers of the software involved",
        "the steps that lead to it",
        "what changed shortly before on your side",
    ]
    assert all(f"- {ask}" in asked.message for ask in asked.asks)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("Dear support,\nlogin fails\nKind regards\nthe team", "Hello,", "Thank you, and kind regards"),
        ("hey, login fails", "Hi,", "Thanks!"),
        ("login fails", "To find the cause we need:", "Thank you."),
    ],
)
def test_the_message_is_as_formal_as_the_ticket(tmp_path: Path, text: str, first: str, last: str) -> None:
    lines = compare_diagnostics(Question(text), [article(tmp_path, RUNBOOK)]).message.strip().splitlines()
    assert (lines[0], lines[-1]) == (first, last)


def test_every_shipped_article_can_be_compared() -> None:
    root = Path(__file__).parents[1] / "kb_articles"
    listed = 0
    for file in sorted(root.rglob("*.md")):
        parsed = parse_article(file.relative_to(root).as_posix(), file.read_bytes())
        items = compare_diagnostics(Question("it does not work"), [parsed]).items
        assert all(item.status in {Status.MISSING, Status.UNCHECKED} for item in items), parsed.path
        if "## Evidence to collect" in parsed.source.text:
            assert items, parsed.path
            listed += 1
    assert listed > 10
