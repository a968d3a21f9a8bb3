"""`/v1/intake/{connector}` over real HTTP: from signed request to internal note, and every way to be refused."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from sqlalchemy import text as sql

from service.connectors.contract import RejectedReason
from service.connectors.registry import CONNECTORS
from service.database import Database
from service.http.problems import KINDS, MEDIA_TYPE, TYPE_PREFIX
from service.intake import delivery
from service.intake.audit import AuditTrail
from service.intake.composing import AssistantComposer
from service.intake.jobs import JobState
from service.intake.queue import Queue
from service.intake.worker import Worker
from service.stores import Stores
from tests.connectors.world import Fixture, load_fixtures, sign_zendesk
from tests.http_world import SECRETS, UNCOVERED, World, make_world, running
from tests.intake_world import (
    ZENDESK_SECRET,
    Answer,
    Vendor,
    generic_delivery,
    vendor,
    wait_for,
    write_connectors,
    zendesk_delivery,
)


@pytest.fixture(scope="module")
def base_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of our own; what a vendor asks for is waited for."""
    monkeypatch.setattr(delivery, "BACKOFF_FIRST_S", 0.05)
    monkeypatch.setattr(delivery, "SETTLE_S", 0.05)


@dataclass
class Place:
    """A running service with its vendor.

    Attributes:
        url: the service's address.
    """

    url: str
    vendor: Vendor
    database: Database

    @property
    def queue(self) -> Queue:
        return Queue(self.database)

    @property
    def audit(self) -> AuditTrail:
        return AuditTrail(self.database)

    def post(self, connector: str, **request: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/v1/intake/{connector}", timeout=20, **request)

    def settle(self, jobs: int = 1) -> None:
        """Return when that many jobs are done or dead."""
        wait_for(lambda: len(self.queue.jobs([JobState.DONE, JobState.DEAD])) == jobs)


@contextlib.contextmanager
def open_place(world: World, folder: Path, tables: dict[str, Any] | None = None, **settings: object) -> Iterator[Place]:
    url = f"sqlite:///{folder / 'state.sqlite'}"
    with vendor() as state:
        file = write_connectors(folder / "connectors.yaml", state.url, **(tables or {}))
        changes: dict[str, object] = {
            "connectors_file": file,
            "database_url": url,
            "public_url": "https://kb.example.com",
            **settings,
        }
        with running(world.app(**changes)) as address:
            database = Database(url)
            try:
                yield Place(address, state, database)
            finally:
                database.close()


@pytest.fixture
def place(base_world: World, tmp_path: Path) -> Iterator[Place]:
    with open_place(base_world, tmp_path) as opened:
        yield opened


TOKEN_TROUBLE = ("Requests fail with 401 invalid_token", "Since this morning every request answers 401 invalid_token.")


def test_a_signed_ticket_becomes_an_internal_note(place: Place) -> None:
    response = place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE))
    assert response.status_code == 202
    assert response.json() == {"status": "accepted", "jobs": [1]}
    place.settle()
    (comment,) = place.vendor.comments["42"]
    assert comment["public"] is False
    html = comment["html_body"]
    assert "API answers 401 invalid_token after the token expired" in html
    assert "https://kb.example.com/articles/api/token-expired.md?lines=" in html
    assert '<a href="https://kb.example.com/articles/mail/bounce.md#symptoms">the other page</a>' in html
    assert '<a href="https://kb.example.com/articles/runbooks/zanzibar.md">the playbook</a>' in html
    draft = html.partition("Draft reply")[2].partition("Further articles")[0]
    assert "API answers 401 invalid_token after the token expired</a>" in draft
    assert "Every request answers" not in draft, "who reports it has seen it; what to do links to an internal article"
    assert ".md:" not in draft
    job = place.queue.find(1)
    assert (job.state, job.event, job.attempts) == (JobState.DONE, None, 1)
    assert [entry.action for entry in place.audit.of_job(1)] == ["accepted", "delivered"]


def test_a_delivery_that_comes_twice_makes_one_note(place: Place) -> None:
    first = place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE, delivery="same"))
    place.settle()
    second = place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE, delivery="same"))
    assert second.status_code == 202
    assert second.json() == {"status": "duplicate", "jobs": first.json()["jobs"]}
    place.post("generic", **generic_delivery("99", *TOKEN_TROUBLE))
    place.settle(2)
    assert len(place.vendor.comments["42"]) == 1


def test_an_alert_gets_its_runbook_as_a_checklist(place: Place) -> None:
    place.post("generic", **generic_delivery("a-1", "The quokka alert fires", kind="alert.firing"))
    place.settle()
    ((note,),) = place.vendor.received.values()
    markdown = note["data"]["markdown"]
    assert markdown.startswith("**First 15 minutes**: [Zanzibar gateway restart")
    assert "- [ ] Look at the quokka board:\n  ```bash\n  kubectl get pods -n quokka\n  ```\n- [ ] Ask the" in markdown


def test_what_no_article_covers_is_said_to_be_so(place: Place) -> None:
    place.post("zendesk", **zendesk_delivery("42", f"About {UNCOVERED}", "Roses"))
    place.settle()
    html = place.vendor.comments["42"][0]["html_body"]
    assert "No article covers this" in html
    assert "<li>when it happened, with the time zone</li>" in html.partition("Draft reply")[2], "of no article's asking"


def test_the_next_ticket_names_the_first_one(place: Place) -> None:
    for ticket in ("42", "43"):
        place.post("zendesk", **zendesk_delivery(ticket, *TOKEN_TROUBLE))
        wait_for(lambda ticket=ticket: ticket in place.vendor.comments)  # type: ignore[misc]
    assert "Likely the same as" not in place.vendor.comments["42"][0]["html_body"]
    assert ">42</a>," in place.vendor.comments["43"][0]["html_body"]


def test_thanks_get_no_answer(base_world: World, tmp_path: Path) -> None:
    def comment(place: Place, words: str, name: str) -> None:
        said = {"author": {"id": "5", "is_staff": False}, "body": words, "id": name, "is_public": True}
        detail = {"id": "42", "subject": TOKEN_TROUBLE[0], "is_public": True}
        kind = "zen:event-type:ticket.comment_added"
        body = json.dumps({"type": kind, "id": name, "detail": detail, "event": {"comment": said}}).encode()
        headers = {"content-type": "application/json", **sign_zendesk(body, time.time(), ZENDESK_SECRET)}
        assert place.post("zendesk", content=body, headers=headers).json()["status"] == "accepted"

    with open_place(
        base_world, tmp_path, {"zendesk": {"public_replies": True, "options": {"answer_comments": True}}}
    ) as place:
        place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE))
        place.settle(2)
        comment(place, "Thanks, that solved it!", "c1")
        place.settle(4)
        assert len(place.vendor.comments["42"]) == 2, "the note and the reply, both from the first time"
        assert [job.reason for job in place.queue.jobs()][:2] == ["an earlier note of this ticket says the same"] * 2


def test_a_ticket_that_was_solved_meanwhile_is_not_named(place: Place) -> None:
    def deliver(**content: Any) -> httpx.Response:
        body = json.dumps(content).encode()
        signature = sign_zendesk(body, time.time(), ZENDESK_SECRET)
        return place.post("zendesk", content=body, headers={"content-type": "application/json", **signature})

    place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE))
    wait_for(lambda: "42" in place.vendor.comments)
    kind = "zen:event-type:ticket.status_changed"
    changed = deliver(type=kind, id="s1", detail={"id": "42"}, event={"current": "SOLVED", "previous": "OPEN"})
    assert changed.json()["status"] == "ignored"
    assert place.audit.latest(1)[0].subject_id == "42"
    place.post("zendesk", **zendesk_delivery("43", *TOKEN_TROUBLE))
    wait_for(lambda: "43" in place.vendor.comments)
    assert ">42</a>," not in place.vendor.comments["43"][0]["html_body"]
    deliver(type=kind, id="s2", detail={"id": "42"}, event={"current": "OPEN", "previous": "SOLVED"})
    place.post("zendesk", **zendesk_delivery("44", *TOKEN_TROUBLE))
    wait_for(lambda: "44" in place.vendor.comments)
    assert ">42</a>," in place.vendor.comments["44"][0]["html_body"]


def test_tickets_of_one_account_are_no_incident_and_those_of_four_are(place: Place) -> None:
    def note(ticket: str, account: str) -> str:
        place.post("generic", **generic_delivery(ticket, *TOKEN_TROUBLE, account=account))
        wait_for(lambda: any(data["subject_id"] == ticket for data in sent()))
        return next(str(data["markdown"]) for data in sent() if data["subject_id"] == ticket)

    def sent() -> list[dict[str, Any]]:
        return [body["data"] for bodies in list(place.vendor.received.values()) for body in bodies]

    assert "Possible incident" not in "".join(note(f"a{number}", "acme") for number in range(5))
    assert "Possible incident" not in note("b", "b") + note("c", "c")
    assert "Possible incident" in note("d", "d")


def test_a_handshake_is_answered_and_a_note_of_our_own_is_ignored(place: Place) -> None:
    response = place.post("generic", **generic_delivery("1", "x", kind="ping"))
    assert (response.status_code, response.json()) == (200, {"ok": True})
    own = generic_delivery("1", "Re: x", "Suggested articles\n\nsymptom-kb:0123456789abcdef")
    response = place.post("generic", **own)
    assert (response.status_code, response.json()) == (202, {"status": "ignored", "jobs": []})
    assert place.queue.jobs() == []
    assert place.audit.latest(1)[0].action == "ignored"


def spoiled(**changes: str) -> dict[str, Any]:
    request = generic_delivery("1", *TOKEN_TROUBLE)
    return {**request, "headers": {**request["headers"], **changes}}


@pytest.mark.parametrize(
    ("deliver", "reason"),
    [  # a signature holds for five minutes, so each is made when its test runs
        (lambda: spoiled(**{"webhook-signature": "v1,AAAA"}), RejectedReason.BAD_SIGNATURE),
        (lambda: spoiled(**{"webhook-id": "other"}), RejectedReason.BAD_SIGNATURE),
        (lambda: {"content": b"{}", "headers": {"content-type": "application/json"}}, RejectedReason.BAD_SIGNATURE),
        (lambda: spoiled(**{"content-type": "text/plain"}), RejectedReason.WRONG_CONTENT_TYPE),
        (lambda: generic_delivery("1", "x", kind="ticket.deleted"), RejectedReason.UNKNOWN_EVENT),
        (lambda: generic_delivery("", "secretword"), RejectedReason.MALFORMED),
        (lambda: {**spoiled(), "content": b"x" * 70_000}, RejectedReason.TOO_LARGE),
        (lambda: {**spoiled(), "content": iter([b"x" * 40_000, b"x" * 40_000])}, RejectedReason.TOO_LARGE),
    ],
    ids=lambda value: value.value if isinstance(value, RejectedReason) else "",
)
def test_each_refusal_is_a_problem_and_an_audit_entry(
    base_world: World, tmp_path: Path, deliver: Callable[[], dict[str, Any]], reason: RejectedReason
) -> None:
    with open_place(base_world, tmp_path, intake_max_body_bytes=65_536) as place:
        response = place.post("generic", **deliver())
        assert response.headers["content-type"] == MEDIA_TYPE
        assert response.json()["type"] == TYPE_PREFIX + reason
        assert response.status_code == KINDS[reason].status
        entry = place.audit.latest(1)[0]
        assert (entry.connector, entry.action) == ("generic", f"rejected:{reason}")
        assert entry.request_id == response.headers["x-request-id"]
        assert "secretword" not in response.text + entry.detail
        assert place.queue.jobs() == []
        metrics = httpx.get(f"{place.url}/metrics").text
        assert f'kb_intake_deliveries_total{{connector="generic",outcome="rejected:{reason}"}} 1.0' in metrics


def test_an_old_signature_is_stale(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: now - 400)
        request = generic_delivery("1", *TOKEN_TROUBLE)
    response = place.post("generic", **request)
    assert response.status_code == 401
    assert response.json()["type"] == TYPE_PREFIX + RejectedReason.STALE_TIMESTAMP
    assert place.audit.latest(1)[0].action == "rejected:stale-timestamp"


def test_every_reason_has_its_problem() -> None:
    assert all(reason.value in KINDS for reason in RejectedReason)


def test_an_unknown_connector_is_not_found(place: Place) -> None:
    for name in ("jira", "Zendesk", "..%2f..", "zendesk/x", "%00"):
        assert place.post(name, content=b"{}").status_code in {404, 422}
    assert place.post("jira").json()["detail"] == "no such connector is configured here"
    assert httpx.get(f"{place.url}/v1/intake/zendesk").status_code == 405


def test_a_vendor_that_sends_too_fast_is_told_to_wait(base_world: World, tmp_path: Path) -> None:
    with open_place(base_world, tmp_path, intake_rate_limit_per_minute=2, rate_limit_per_minute=1) as place:
        codes = [place.post("generic", **generic_delivery("1", "x", kind="ping")).status_code for _ in range(3)]
        assert codes[0] == 200
        last = place.post("generic", **generic_delivery("1", "x", kind="ping"))
        assert last.status_code == 429
        assert int(last.headers["retry-after"]) >= 1


def test_what_cannot_be_stored_is_not_accepted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place.post("zendesk", **zendesk_delivery("41", *TOKEN_TROUBLE)).status_code == 202  # it has its tables now
    place.settle()
    with place.database.begin() as connection:
        connection.execute(sql("alter table intake_jobs rename to elsewhere"))
    response = place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE))
    assert response.status_code == 503
    assert response.json()["type"] == TYPE_PREFIX + "state-unavailable"
    assert response.headers["retry-after"] == "5"
    with place.database.begin() as connection:
        connection.execute(sql("alter table elsewhere rename to intake_jobs"))
    assert place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE)).status_code == 202


def test_a_vendor_in_trouble_gets_the_note_later(place: Place) -> None:
    place.vendor.script = [Answer(503), Answer(429, {"Retry-After": "1"})]
    place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE))
    place.settle()
    assert len(place.vendor.comments["42"]) == 1
    first, look, *_ = place.vendor.calls
    assert (first.method, look.method) == ("PUT", "GET"), "after a 503 it looks before it writes again"
    assert [entry.action for entry in place.audit.of_job(1)] == ["accepted", "retried", "retried", "delivered"]
    waited_s = place.vendor.writes()[-1].at_s - look.at_s
    assert waited_s >= 1.0, "Retry-After is honoured"


def test_a_lost_answer_does_not_double_the_note(place: Place) -> None:
    place.vendor.script = [Answer(drops=True, does_it=True)]
    place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE))
    place.settle()
    assert len(place.vendor.comments["42"]) == 1
    assert [call.method for call in place.vendor.calls] == ["PUT", "GET"]


def test_a_rate_limit_stops_the_connector_and_no_other(place: Place) -> None:
    place.vendor.choose = lambda call: (
        Answer(429, {"Retry-After": "2"}) if call.method == "PUT" and len(place.vendor.writes()) == 1 else None
    )
    place.post("zendesk", **zendesk_delivery("1", *TOKEN_TROUBLE))
    wait_for(place.vendor.writes)
    limited_s = time.time()
    for ticket in ("2", "3"):
        place.post("zendesk", **zendesk_delivery(ticket, *TOKEN_TROUBLE))
    place.post("generic", **generic_delivery("g", *TOKEN_TROUBLE))
    place.settle(4)
    later = [call for call in place.vendor.writes()[1:] if call.method == "PUT"]
    assert len(later) == 3
    assert min(call.at_s for call in later) >= limited_s + 1.5
    generic = next(call for call in place.vendor.calls if call.path == "/callback")
    assert generic.at_s < limited_s + 1.5


def test_a_refused_note_is_a_dead_letter_at_once(place: Place) -> None:
    place.vendor.script = [Answer(404)]
    place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE))
    place.settle()
    job = place.queue.find(1)
    assert (job.state, job.attempts) == (JobState.DEAD, 1)
    assert job.reason == "the vendor answered 404: the ticket is gone, or `base_url` is wrong"
    assert job.event is not None
    place.queue.replay([1])
    wait_for(lambda: place.queue.find(1).state is JobState.DONE)
    assert len(place.vendor.comments["42"]) == 1


def test_it_gives_up_after_so_many_tries(base_world: World, tmp_path: Path) -> None:
    with open_place(base_world, tmp_path, intake_max_attempts=2) as place:
        place.vendor.choose = lambda call: Answer(429) if call.method == "PUT" else None
        place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE))
        place.settle()
        job = place.queue.find(1)
        assert (job.state, job.reason) == (JobState.DEAD, "given up after 2 tries; the last: the vendor answered 429")
        metrics = httpx.get(f"{place.url}/metrics").text
        assert 'kb_intake_notes_total{connector="zendesk",outcome="retried"} 1.0' in metrics
        assert 'kb_intake_notes_total{connector="zendesk",outcome="dead"} 1.0' in metrics


def test_nothing_of_a_ticket_or_a_credential_is_logged(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("httpx").setLevel(logging.WARNING)
        place.vendor.script = [Answer(500), Answer(400)]
        place.post("zendesk", **zendesk_delivery("42", "secretword fails", "secretword 401"))
        place.post("zendesk", **zendesk_delivery("43", "secretword fails", "secretword 401"))
        place.post("generic", content=b"secretword")
        place.settle(2)
    told = "\n".join(record.getMessage() for record in caplog.records)
    assert "/v1/intake/{connector}" in told
    for word in ("secretword", "Basic ", "9a8b7c6d5e4f", "whsec_"):
        assert word not in told
    with place.database.begin() as connection:
        rows = [
            tuple(row)
            for table in ("intake_audit", "intake_recent")
            for row in connection.execute(sql(f"select * from {table}"))
        ]
    assert "secretword" not in str(rows)


def test_an_answer_that_is_not_ready_in_time_is_said_to_be_so(
    base_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixture = next(fixture for fixture in each_vendor() if fixture.vendor == "teams")
    monkeypatch.setattr(type(CONNECTORS["teams"]), "answer_within_s", 0.7)
    slow = AssistantComposer.compose

    def compose(*args: Any, **kwargs: Any) -> Any:
        time.sleep(1.0)
        return slow(*args, **kwargs)

    monkeypatch.setattr(AssistantComposer, "compose", compose)
    teams = {"secrets": list(fixture.config.secrets), "options": dict(fixture.config.options)}
    with open_place(base_world, tmp_path, {"teams": teams}) as place:
        inbound = fixture.inbound(now_s=time.time())
        response = place.post("teams", content=inbound.body, headers=dict(inbound.headers))
        assert response.status_code == 200
        assert '"text":"I could not answer in time. Please ask again."' in response.text


PUBLIC = {"zendesk": {"public_replies": True}, "generic": {"public_replies": True}}


def test_a_public_reply_comes_besides_the_internal_note(base_world: World, tmp_path: Path) -> None:
    with open_place(base_world, tmp_path, PUBLIC) as place:
        response = place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE))
        assert response.json()["jobs"] == [1, 2]
        place.settle(2)
        internal, public = sorted(place.vendor.comments["42"], key=lambda comment: comment["public"])
        assert (internal["public"], public["public"]) == (False, True)
        assert "Suggested article" in internal["html_body"]
        assert "Suggested article" not in public["html_body"]
        assert "API answers 401 invalid_token" in public["html_body"]


@pytest.mark.parametrize("connector", ["zendesk", "generic"])
def test_no_internal_article_reaches_a_public_reply(base_world: World, tmp_path: Path, connector: str) -> None:
    """The words ask for the internal articles by name, and the public article links to one."""
    words = "Zanzibar gateway restart after the quokka alert, KB-7777, xylophone nightjar, 401 invalid_token"
    deliver = zendesk_delivery if connector == "zendesk" else generic_delivery
    with open_place(base_world, tmp_path, PUBLIC) as place:
        for number, text in enumerate((words, TOKEN_TROUBLE[1], "runbook for the quokka alert", "mail bounces 550")):
            place.post(connector, **deliver(str(100 + number), text, text))
        place.settle(8)
        if connector == "zendesk":
            notes = [comment for comments in place.vendor.comments.values() for comment in comments]
            public = [note["html_body"] for note in notes if note["public"]]
            internal = [note["html_body"] for note in notes if not note["public"]]
        else:
            sent = [body["data"] for bodies in place.vendor.received.values() for body in bodies]
            public = [json.dumps(data) for data in sent if data["public"]]
            internal = [json.dumps(data) for data in sent if not data["public"]]
        assert len(internal) == 4
        assert public
        told = " ".join(public).casefold()
        for secret in (*SECRETS, "internal", "similar ticket"):
            assert secret.casefold() not in told
        assert any(secret.casefold() in " ".join(internal).casefold() for secret in SECRETS), "the test sees them"


def test_a_public_reply_is_sent_only_if_an_article_is_trusted(base_world: World, tmp_path: Path) -> None:
    with open_place(base_world, tmp_path, PUBLIC) as place:
        place.post("zendesk", **zendesk_delivery("42", f"About {UNCOVERED}", "401 invalid_token"))
        place.settle(2)
        (comment,) = place.vendor.comments["42"]
        assert comment["public"] is False
        assert place.queue.find(2).reason == "no public article answers with confidence"


def test_private_words_get_no_public_reply(base_world: World, tmp_path: Path) -> None:
    with open_place(base_world, tmp_path, PUBLIC) as place:
        response = place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE, is_public=False))
        assert response.json()["jobs"] == [1]
        place.settle()
        assert [comment["public"] for comment in place.vendor.comments["42"]] == [False]


def test_replies_that_wait_stop_when_public_replies_are_turned_off(base_world: World, tmp_path: Path) -> None:
    with open_place(base_world, tmp_path, PUBLIC, intake_worker=False) as place:
        place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE))
        assert place.vendor.calls == []
    with open_place(base_world, tmp_path) as place:
        place.settle(2)
        assert [comment["public"] for comment in place.vendor.comments["42"]] == [False]
        assert place.queue.find(2).reason == "public replies were turned off"


def test_the_service_writes_no_notes_where_its_worker_is_off(base_world: World, tmp_path: Path) -> None:
    with open_place(base_world, tmp_path, intake_worker=False) as place:
        assert place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE)).status_code == 202
        time.sleep(0.6)
        assert place.queue.find(1).state is JobState.WAITING


def test_stopping_closes_everything_although_a_task_of_intake_had_failed(
    base_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(self: Worker) -> None:
        raise TypeError("secretword")

    closed: list[Stores] = []
    close = Stores.close

    def close_and_tell(self: Stores) -> None:
        close(self)
        closed.append(self)

    monkeypatch.setattr(Worker, "run", fail)
    monkeypatch.setattr(Stores, "close", close_and_tell)
    with open_place(base_world, tmp_path) as place:
        assert place.post("zendesk", **zendesk_delivery("42", *TOKEN_TROUBLE)).status_code == 202
    assert len(closed) == 1
    assert "a task of intake had ended with TypeError" in caplog.text
    assert "secretword" not in caplog.text


def each_vendor() -> list[Fixture]:
    """One documented delivery of each vendor that the team's articles may answer."""
    found: dict[str, Fixture] = {}
    for fixture in load_fixtures():
        answered = fixture.data.get("calls") or fixture.data.get("response")
        if answered and fixture.data["event"].get("audience") == "internal":
            found.setdefault(fixture.vendor, fixture)
    return list(found.values())


DOCUMENTED_STATUS = {"jira": 201, "github": 201, "gitlab": 201, "opsgenie": 202}
"""What a vendor answers to a note that it took; 200 where nothing else is said."""


def test_every_connector_is_driven() -> None:
    assert {fixture.vendor for fixture in each_vendor()} == set(CONNECTORS)


@pytest.mark.parametrize("fixture", each_vendor(), ids=lambda fixture: fixture.vendor)
def test_every_vendor_from_signed_request_to_note(base_world: World, tmp_path: Path, fixture: Fixture) -> None:
    """Its documented payload, signed now, over HTTP; the note arrives by the documented call, with its credential.

    The vendor first limits the rate, then loses its answer after it wrote the note.
    """
    config = fixture.config
    with vendor() as state:
        addresses = {name: f"{state.url}/notes" for name in config.options if name.endswith("_url")}
        table = {
            "secrets": list(config.secrets),
            "token": config.token,
            "options": {**config.options, **addresses},
            "base_url": "" if addresses else state.url + urlsplit(config.base_url).path,
            "public_replies": config.public_replies,
        }
        file = write_connectors(tmp_path / "c.yaml", state.url, **{fixture.vendor: table})
        state.default_status = DOCUMENTED_STATUS.get(fixture.vendor, 200)
        state.script = [Answer(429, {"Retry-After": "0"}), Answer(drops=True, does_it=True)]
        quoted = quote(state.url, safe="").encode()
        body = fixture.body.replace(b"https%3A%2F%2Fhooks.slack.com", quoted)
        database_url = f"sqlite:///{tmp_path / 'state.sqlite'}"
        with running(base_world.app(connectors_file=file, database_url=database_url)) as address:
            inbound = fixture.inbound(body, now_s=time.time())
            response = httpx.post(
                f"{address}/v1/intake/{fixture.vendor}",
                content=inbound.body,
                headers=dict(inbound.headers),
                params=dict(inbound.query),
                timeout=20,
            )
            if fixture.data.get("response"):
                assert response.status_code == 200
                (card,) = response.json()["attachments"]
                assert "API answers 401" in json.dumps(card["content"])
                again = httpx.post(response.url, content=inbound.body, headers=dict(inbound.headers))
                assert again.json()["type"] == TYPE_PREFIX + RejectedReason.REPLAYED
                return
            assert response.status_code == (200 if "immediate" in fixture.data["event"] else 202)
            database = Database(database_url)
            wait_for(lambda: Queue(database).jobs([JobState.DONE]))
            database.close()
        expected = fixture.data["calls"][0]
        limited, written, *later = state.calls
        assert later, "after a lost answer it looks, or sends the same id again"
        assert limited.method == written.method == expected["method"]
        path = urlsplit(expected["url"])
        if not addresses:
            assert written.path.startswith(path.path or "/")
        for name, value in expected.get("headers", {}).items():
            sent = written.headers[name.lower()]
            assert sent.startswith("symptom-kb-") if value == "<marker-id>" else sent == value
        assert "API answers 401" in json.dumps(written.body) or "First 15 minutes" in json.dumps(written.body)
        if expected.get("lookup_url"):
            assert [call.method for call in later] == ["GET"], "found there, so not written again"
        else:
            ids = {call.headers.get("webhook-id") for call in (written, *later)}
            assert len(ids) == 1
