"""What notes say, and what they must never say to a customer. Pure data in, Markdown out."""

from __future__ import annotations

import dataclasses

from markdown_it import MarkdownIt

from service.answers import Answer, Citation, Reason, Snippet, Suggestion
from service.connectors.contract import Event, EventKind
from service.diagnostics import Diagnostic, Diagnostics, Status
from service.findings import Detail
from service.intake.note import (
    Checklist,
    Findings,
    write_chat_answer,
    write_reply,
    write_team_note,
)
from service.triage import KnownError, Triage
from service.triage_labels import SuggestedLabel
from service.triage_severity import Severity, SeverityHint
from service.triage_similar import Duplicate, NamedTicket, PossibleIncident

TICKET = Event(EventKind.TICKET, "d", "4711", "It fails", "401", {"tags": ["auth"]})
DESK = "https://help.example.com/4700"
ALERT = dataclasses.replace(TICKET, kind=EventKind.ALERT)


def citation(path: str = "auth/a.md", first: int = 12, last: int = 18) -> Citation:
    return Citation(path, ("A", "Resolution"), "resolution", first, last, 0, 1, "0" * 64, "0" * 64)


def suggestion(title: str = "Clock skew", path: str = "auth/a.md", audience: str = "public") -> Suggestion:
    return Suggestion(
        article_id="KB-1001",
        path=path,
        title=title,
        summary="Set the clock.",
        audience=audience,
        type="known-error",
        confidence="validated",
        products=("api",),
        score=9.0,
        reasons=(Reason("signature", 2.0, "error code: invalid_token"), Reason("tickets", 1.0, "14 similar tickets")),
        snippets=(Snippet("Run `chronyc`.\n", (), citation(path)),),
    )


def answer(*suggestions: Suggestion, answered: bool = True) -> Answer:
    return Answer(answered, 0.83 if answered else 0.12, 0.4, suggestions, (), None, "v1", 3.0, ())


NOTHING = Triage((), (), (), (), None, (), None, None, Diagnostics(), "v1")


def link_to(cited: Citation) -> str:
    return f"https://kb.example.com/{cited.path}?lines={cited.start_line}-{cited.end_line}"


def text_of(snippet: Snippet) -> str:
    return snippet.text


def team_note(event: Event = TICKET, triage: Triage = NOTHING, **changes: object) -> str:
    findings = Findings(answer(suggestion()), triage)
    return write_team_note(event, dataclasses.replace(findings, **changes), link_to, text_of).markdown  # type: ignore[arg-type]


def test_a_team_note_cites_and_links() -> None:
    text = team_note()
    assert text.startswith("**Suggested article** (83% sure, index v1)\n\n**Clock skew**\n\n> Run `chronyc`.\n")
    assert "[auth/a.md:12-18](<https://kb.example.com/auth/a.md?lines=12-18>)" in text
    assert "Why: error code: invalid\\_token; 14 similar tickets" in text


def test_a_ticket_s_note_says_first_what_to_do() -> None:
    triage = dataclasses.replace(NOTHING, diagnostics=ASKING, tags=(LABEL,), known_errors=(KNOWN, OTHER_KNOWN))
    draft = write_reply(answer(suggestion()), link_to, text_of)
    assert draft is not None
    found = answer(suggestion(), suggestion("Other", "auth/b.md"), suggestion("Third", "auth/c.md", "internal"))
    text = team_note(triage=triage, answer=found, draft=draft.markdown)
    assert [line for line in text.replace(draft.markdown, "").splitlines() if line.startswith("**")] == [
        "**Still missing**",
        "**Suggested article** (83% sure, index v1)",
        "**Clock skew**",
        "**Draft reply** (nothing internal between the lines)",
        "**Further articles**",
        "**Known errors with this very signature**",
        "**Suggested fields**",
    ]
    assert text.count("chronyc") == 1, "quoted once, in the reply, which stands alone"
    assert "[auth/a.md:12-18](<https://kb.example.com/auth/a.md?lines=12-18>), Resolution: quoted in the draft" in text
    assert f"\n\n---\n\n{draft.markdown}\n---\n\n" in text, "to be copied as it stands"
    apart = team_note(triage=triage, answer=found, draft="Hello,\n\n> Another article.\n")
    assert "> Run `chronyc`.\n" in apart
    assert "- Other ([auth/b.md:12-18](<https://kb.example.com/auth/b.md?lines=12-18>))\n" in text
    assert "- Third, internal ([auth/c.md:12-18](<" in text
    assert "Skew: both" not in text, "the first article says that already"
    assert "Drift: both show x" in text
    assert "auth/" not in draft.markdown.replace(link_to(citation()), ""), "a customer knows no path"


def test_only_reasons_that_tell_something_are_said() -> None:
    reasons = (
        Reason("passages", 3.0, "passages of it mean much the same"),
        Reason("signature", 2.0, "status: http 401"),
    )
    silent = dataclasses.replace(suggestion(), reasons=reasons)
    assert "Why" not in team_note(answer=answer(silent))
    telling = dataclasses.replace(silent, reasons=(*reasons, Reason("tickets", 1.0, "14 similar tickets")))
    assert "Why: 14 similar tickets\n" in team_note(answer=answer(telling))


LABEL = SuggestedLabel("oauth", 0.9, ("auth/a.md",), 3, "3 of 4 similar tickets")
KNOWN = KnownError("KB-1", "auth/a.md", "Skew", "public", ("code: x",), citation(), "both show x")
OTHER_KNOWN = dataclasses.replace(KNOWN, path="auth/d.md", title="Drift")
ASKING = Diagnostics(
    (
        Diagnostic("Time", "The time, in UTC", Status.MISSING, (Detail.TIME,), (), True, citation()),
        Diagnostic("Pods", "The pods' state", Status.MISSING, (Detail.LOG,), (), False, citation()),
        Diagnostic("Text", "The error text", Status.HELD, (), (), True, citation()),
    ),
    ("when it happened",),
    "Hi,\n\n- when it happened\n",
    (citation(),),
)


def test_without_evidence_nothing_more_is_said() -> None:
    text = team_note()
    for part in ("Known errors", "Likely the same", "Suggested fields", "Severity", "missing", "Draft", "incident"):
        assert part not in text


def test_everything_that_triage_found_is_there_with_its_reason() -> None:
    label = LABEL
    triage = dataclasses.replace(
        NOTHING,
        components=(dataclasses.replace(label, value="token-service", tickets=0),),
        products=(dataclasses.replace(label, value="api"),),
        tags=(label, dataclasses.replace(label, value="Auth"), dataclasses.replace(label, value="sso")),
        known_errors=(OTHER_KNOWN,),
        severity=SeverityHint(Severity.HIGH, (), (), "“all users” says that everybody is affected"),
        duplicates=(
            Duplicate("a" * 32, "INC0010020", "", DESK, False, 1_700_000_000.0, 0.9, (), "says much the same"),
            Duplicate("4701", "4701", "", "javascript:alert(1)", False, 1_700_000_000.0, 0.9, (), "is alike"),
        ),
        incident=PossibleIncident(
            5,
            0.0,
            7200.0,
            0.5,
            ("1", "2"),
            (NamedTicket("1", "alert [A]", "http://prom:9090/g"), NamedTicket("2", "2", "")),
            (),
            "5 tickets with this symptom",
        ),
        diagnostics=ASKING,
    )
    text = team_note(triage=triage)
    assert text.startswith(
        "**Possible incident**: 5 tickets with this symptom. The others: [alert \\[A\\]](<http://prom:9090/g>), 2\n"
    )
    assert "- Drift: both show x ([auth/a.md:12-18](<" in text
    assert f"- [INC0010020](<{DESK}>), 2023-11-14 22:13 UTC: says much the same" in text
    assert "- 4701, 2023-11-14" in text
    assert triage.incident is not None
    named = dataclasses.replace(triage, incident=dataclasses.replace(triage.incident, ticket_ids=("a" * 32, "2")))
    assert "INC0010020" not in team_note(triage=named), "the incident names it already"
    assert "- component `token-service`\n- product `api`; tags `oauth`, `sso` (3 of 4 similar tickets)" in text
    assert "`Auth`" not in text, "the ticket has that tag already"
    assert "**Severity hint: high.** “all users” says that everybody is affected" in text
    assert "- when it happened ([auth/a.md:12-18](<https://kb.example.com/auth/a.md?lines=12-18>))" in text
    assert ", for us to look up)" in text
    assert "The error text" not in text
    asking = team_note(triage=triage, draft=triage.diagnostics.message)
    assert asking.count("when it happened") == 1, "the request is the draft, and stands there only"
    assert "---\n\nHi,\n\n- when it happened\n\n---\n\nAsked for by [auth/a.md:12-18](<" in asking


def test_a_note_suggests_tags_in_data_too() -> None:
    label = SuggestedLabel("oauth", 0.9, (), 3, "r")
    triage = dataclasses.replace(NOTHING, tags=(label,))
    note = write_team_note(TICKET, Findings(answer(suggestion()), triage), link_to, text_of)
    assert note.tags == ("oauth",)
    assert (note.summary, note.answered, note.public) == ("Clock skew (83% sure)", True, False)
    assert note.links[0].citation == "auth/a.md:12-18"


def test_a_note_says_what_it_comes_down_to() -> None:
    def claims(found: Answer, triage: Triage = NOTHING) -> tuple[str, ...]:
        return tuple(write_team_note(TICKET, Findings(found, triage), link_to, text_of).claims)

    hint = SeverityHint(Severity.HIGH, (), (), "r")
    incident = PossibleIncident(4, 0.0, 7200.0, 0.5, (), (), (), "r")
    urgent = dataclasses.replace(NOTHING, severity=hint, incident=incident, known_errors=(OTHER_KNOWN,))
    assert claims(answer(suggestion())) == ("auth/a.md",)
    assert claims(answer(suggestion()), urgent) == ("auth/a.md", "auth/d.md", "high", "incident")
    assert claims(answer(suggestion(), answered=False)) == ("no article",)
    reply = write_reply(answer(suggestion()), link_to, text_of)
    assert reply is not None
    assert tuple(reply.claims) == ("auth/a.md",)


def test_an_honest_none() -> None:
    text = team_note(answer=answer(suggestion(), answered=False))
    assert text.startswith(
        "**No article covers this** (the nearest is 12% sure, 40% needed; index v1).\n\n"
        "**What came nearest**\n\n- Clock skew ("
    )
    assert "chronyc" not in text
    assert team_note(answer=answer(answered=False)).startswith("**No article covers this** (index v1).")
    note = write_team_note(TICKET, Findings(answer(answered=False), NOTHING), link_to, text_of)
    assert (note.answered, note.summary) == (False, "No article covers this")


def test_an_alert_gets_a_checklist_and_no_draft() -> None:
    checklist = Checklist(
        "Restart [it]", "r.md", "https://kb.example.com/r.md", ("Look:\n```\nx\n```", "Ask."), "named"
    )
    text = team_note(ALERT, checklist=checklist, draft="Hello")
    assert text.startswith(
        "**First 15 minutes**: [Restart \\[it\\]](<https://kb.example.com/r.md>) (named)\n\n"
        "- [ ] Look:\n  ```\n  x\n  ```\n- [ ] Ask.\n"
    )
    assert "Hello" not in text
    assert "**Suggested article** (83% sure, index v1)" in text
    same = team_note(ALERT, checklist=dataclasses.replace(checklist, path="auth/a.md"))
    assert "**Suggested article**: the same (83% sure, index v1)" in same
    assert "chronyc" not in same
    assert "no runbook fits" in team_note(ALERT)
    assert "no article covers this alert" in team_note(ALERT, answer=answer(answered=False))


def test_a_reply_has_one_article_and_nothing_of_how_it_was_found() -> None:
    note = write_reply(answer(suggestion(), suggestion("Other", "b.md")), link_to, text_of)
    assert note is not None
    assert note.public
    for word in ("83", "Why", "similar", "Other", "Index", "sure", "public"):
        assert word not in note.markdown
    assert "**[Clock skew](<https://kb.example.com/auth/a.md?lines=12-18>)**\n" in note.markdown
    assert "> Run `chronyc`." in note.markdown
    assert "a.md:12" not in note.markdown
    assert note.tags == ()
    assert write_reply(answer(suggestion(), answered=False), link_to, text_of) is None


def test_a_reply_quotes_what_to_do_and_not_what_one_sees() -> None:
    parts = (("Symptoms", "Requests fail."), ("Cause", "The clock is wrong."), ("Resolution", "Run chronyc."))
    snippets = tuple(
        Snippet(text, (), dataclasses.replace(citation(), heading_path=("A", heading))) for heading, text in parts
    )
    found = answer(dataclasses.replace(suggestion(), snippets=snippets))
    reply = write_reply(found, link_to, text_of)
    assert reply is not None
    told = write_chat_answer(found, link_to, text_of, is_public=True)
    for note, quoted in ((reply, ["> Run chronyc."]), (told, ["> Run chronyc.", "> The clock is wrong."])):
        assert [line for line in note.markdown.splitlines() if line.startswith(">")] == quoted


def test_a_snippet_that_links_inside_is_left_out_of_a_reply() -> None:
    note = write_reply(answer(suggestion()), link_to, lambda snippet: "")
    assert note is not None
    assert "chronyc" not in note.markdown
    assert "Set the clock." in note.markdown
    assert "(<https://kb.example.com/auth/a.md?lines=12-18>)" in note.markdown


def test_a_question_gets_the_answer_or_an_honest_none() -> None:
    found = write_chat_answer(answer(suggestion(), suggestion("Other", "b.md")), link_to, text_of, is_public=True)
    assert "**[Clock skew](<https://kb.example.com/auth/a.md?lines=12-18>)**" in found.markdown
    assert "Also:\n- [Other](<https://kb.example.com/b.md" in found.markdown
    assert "83" not in found.markdown
    none = write_chat_answer(answer(suggestion(), answered=False), link_to, text_of, is_public=True)
    assert none.markdown.startswith("No article covers this.")
    assert "Clock" not in none.markdown
    assert (none.answered, none.links) == (False, ())


def test_titles_and_reasons_cannot_make_markup() -> None:
    hostile = "![x](https://evil.example/p.png) <img src=x> **bold**"
    text = team_note(answer=answer(suggestion(hostile)))
    html = MarkdownIt("commonmark", {"html": False}).render(text)
    assert "<img" not in html
    assert "evil.example/p.png" in html
