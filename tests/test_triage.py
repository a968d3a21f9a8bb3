"""Triage as a whole, over a small index with a history of resolved tickets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.history import ResolvedTickets
from indexer.scope import INTERNAL, PUBLIC
from service.answers import Question
from service.diagnostics import Status
from service.learning import PastTicket, learn
from service.queries import read_question
from service.triage import TicketWindow, triage
from service.triage_severity import Severity
from service.triage_similar import RecentTicket
from tests.conftest import FakeEmbedder, build, write_article
from tests.http_world import UNCOVERED, DecidedAssistant

NOW_S = 1_800_000_000.0
LISTENER = Question("ORA-12154 could not resolve the connect identifier, since 09:10 UTC", "Oracle connection fails")


def write_articles(root: Path) -> None:
    write_article(
        root,
        "db/listener.md",
        "## Symptoms\n\n```text\nORA-12154: TNS:could not resolve the connect identifier specified\n```\n\n"
        "## Resolution\n\nCorrect the alias in tnsnames.ora.\n",
        title="Oracle connection fails with ORA-12154 connect identifier",
        article_id="KB-1002",
        front="type: known-error\nproducts: [connectors]\ncomponents: [oracle]\ntags: [tns, alias]\nrelated: [KB-1900]",
    )
    write_article(
        root,
        "db/mention.md",
        "## Steps\n\nUnlike ORA-12154 this page is about backups of the widget.\n",
        title="Backups of the widget",
        article_id="KB-1003",
        front="type: how-to\ncomponents: [backup]",
    )
    write_article(
        root,
        "runbooks/oracle.md",
        "## Trigger\n\nMany pods restart.\n\n## Evidence to collect\n\n- Request id: of one call\n- Start: in UTC\n",
        title="Emergency guide",
        audience="internal",
        article_id="KB-1900",
        front="type: runbook\ncomponents: [oracle]",
    )
    for name in ("mail", "export", "webhooks"):
        write_article(
            root, f"other/{name}.md", f"The {name} {name} stops {name} daily.\n", front=f"components: [{name}]"
        )


@pytest.fixture
def assistant(source: Path, index_dir: Path) -> DecidedAssistant:
    write_articles(source)
    build(source, index_dir)
    return DecidedAssistant(index_dir, FakeEmbedder())


def test_a_ticket_is_triaged_with_reasons(assistant: DecidedAssistant) -> None:
    made = triage(assistant, LISTENER, INTERNAL)
    assert [label.value for label in made.components] == ["oracle"]
    assert [label.value for label in made.products] == ["connectors"]
    assert [label.value for label in made.tags] == ["tns", "alias"]
    assert [error.article_id for error in made.known_errors] == ["KB-1002"]
    assert made.known_errors[0].signatures == ("error code: ora-12154",)
    assert made.known_errors[0].reason == "both show ora-12154"
    assert made.playbook is not None
    assert (made.playbook.path, made.playbook.reason) == ("runbooks/oracle.md", "KB-1002 names it as related")
    assert {item.label: item.status for item in made.diagnostics.items} == {
        "Request id": Status.MISSING,
        "Start": Status.HELD,
        "Error text": Status.HELD,
    }
    assert made.severity is None
    assert (made.duplicates, made.incident) == ((), None)


def test_the_evidence_of_a_runbook_for_other_components_is_not_missing(
    assistant: DecidedAssistant, source: Path, index_dir: Path
) -> None:
    (source / "runbooks/oracle.md").write_text(
        (source / "runbooks/oracle.md").read_text().replace("components: [oracle]", "components: [sso]")
    )
    build(source, index_dir)
    assert assistant.refresh()
    made = triage(assistant, LISTENER, INTERNAL)
    assert made.playbook is not None, "it is still named"
    assert {item.citation.path for item in made.diagnostics.items} == {"db/listener.md"}


def test_a_known_error_is_cited_where_the_error_stands(assistant: DecidedAssistant) -> None:
    citation = triage(assistant, LISTENER, INTERNAL).known_errors[0].citation
    source = assistant.article(citation.path, INTERNAL).source
    assert "ORA-12154" in source.data[citation.start_byte : citation.end_byte].decode()
    assert source.text.splitlines()[citation.start_line - 1].startswith("```text")


def test_an_article_that_only_mentions_the_error_is_no_known_error(assistant: DecidedAssistant) -> None:
    made = triage(assistant, LISTENER, INTERNAL)
    assert "KB-1003" not in {error.article_id for error in made.known_errors}


def test_known_errors_stand_in_the_order_of_the_answer_and_runbooks_are_none(source: Path, index_dir: Path) -> None:
    for name, kind, codes in (
        ("z-first", "troubleshooting", "[ECONNRESET]"),
        ("a-second", "how-to", "[ECONNRESET]"),
        ("runbook", "runbook", "[ECONNRESET]"),
        ("undeclared", "how-to", "[]"),
    ):
        words = "the socket hangs up after lunch" if name == "z-first" else "widgets"
        front = f"type: {kind}\nerror_codes: {codes}"
        write_article(source, f"{name}.md", f"The read fails with ECONNRESET. {words}\n", title=words, front=front)
    build(source, index_dir)
    assistant = DecidedAssistant(index_dir, FakeEmbedder())
    made = triage(assistant, Question("ECONNRESET the socket hangs up after lunch"), INTERNAL)
    assert [error.path for error in made.known_errors] == ["z-first.md", "a-second.md"]


def test_without_a_trusted_answer_only_what_stands_by_itself_is_said(assistant: DecidedAssistant) -> None:
    made = triage(assistant, Question(f"{UNCOVERED}: all users get error 500"), INTERNAL)
    assert (made.components, made.tags, made.playbook, made.diagnostics.items) == ((), (), None, ())
    assert made.severity is not None
    assert made.severity.severity is Severity.HIGH


def test_resolved_tickets_speak_for_their_articles(assistant: DecidedAssistant, index_dir: Path) -> None:
    past = [
        PastTicket(str(n), "export stops", f"the {UNCOVERED} export stops daily {n}", ("other/export.md",), "")
        for n in range(3)
    ]
    question = Question(f"the {UNCOVERED} export stops daily", "export stops")
    assert triage(assistant, question, INTERNAL).components == ()
    learn(past, index_dir, FakeEmbedder())
    assert assistant.refresh()
    made = triage(assistant, question, INTERNAL)
    assert [(label.value, label.tickets) for label in made.components] == [("export", 3)]


class Forgetful(dict[str, ResolvedTickets]):
    """As if another thread cleared it right after each write."""

    def __setitem__(self, key: str, value: ResolvedTickets) -> None:
        super().__setitem__(key, value)
        self.clear()


def test_a_history_is_used_although_another_thread_forgets_it(
    assistant: DecidedAssistant, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn([PastTicket("1", "export stops", "it stops", ("other/export.md",), "")], index_dir, FakeEmbedder())
    assert assistant.refresh()
    monkeypatch.setattr("service.triage._histories", Forgetful())
    assert triage(assistant, LISTENER, INTERNAL).known_errors


def recent(name: str, question: Question, age_s: float) -> RecentTicket:
    views = read_question(question)
    return RecentTicket(name, FakeEmbedder().embed([views.full])[0], NOW_S - age_s, views.signatures)


def test_duplicates_and_a_burst_are_found_among_recent_tickets(assistant: DecidedAssistant) -> None:
    tickets = [recent(f"T{n}", LISTENER, 60.0 * (n + 1)) for n in range(4)]
    window = TicketWindow(tickets, own_id="T0", now_s=NOW_S)
    made = triage(assistant, LISTENER, INTERNAL, window=window)
    assert [duplicate.ticket_id for duplicate in made.duplicates] == ["T1", "T2", "T3"]
    assert made.incident is not None
    assert (made.incident.count, made.incident.since_s) == (4, NOW_S - 240)


def test_one_accounts_tickets_are_no_burst_whether_the_window_holds_this_one_or_names_its_account(
    assistant: DecidedAssistant,
) -> None:
    acme = [replace(recent(f"T{n}", LISTENER, 60.0 * (n + 1)), account="acme") for n in range(4)]
    tickets = [*acme, *(recent(f"U{n}", LISTENER, 90.0) for n in range(2))]
    for window in (
        TicketWindow(tickets, own_id="T0", now_s=NOW_S),
        TicketWindow(tickets[1:], own_id="T0", now_s=NOW_S, own_account="acme"),
    ):
        assert triage(assistant, LISTENER, INTERNAL, window=window).incident is None
    stranger = TicketWindow(tickets, own_id="T9", now_s=NOW_S, own_account="globex")
    assert triage(assistant, LISTENER, INTERNAL, window=stranger).incident is not None


def test_public_callers_get_no_triage_at_all(assistant: DecidedAssistant) -> None:
    with pytest.raises(ValueError, match="no public caller"):
        triage(assistant, LISTENER, PUBLIC)


def test_it_is_plain_data_for_json(assistant: DecidedAssistant) -> None:
    made = json.loads(json.dumps(triage(assistant, LISTENER, INTERNAL).as_dict()))
    assert made["known_errors"][0]["article_id"] == "KB-1002"
    assert made["diagnostics"]["items"][0]["status"] == "missing"
    assert set(made) == {
        "components",
        "products",
        "tags",
        "known_errors",
        "severity",
        "duplicates",
        "incident",
        "playbook",
        "diagnostics",
        "index_version",
    }
