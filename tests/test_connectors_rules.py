"""Rules that hold across connectors: who may read an answer, what counts as the same delivery, where answers go."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from indexer.metadata import Audience
from service.connectors.contract import Event, EventKind, Inbound, Rejected, RejectedReason
from service.connectors.reading import opaque
from service.connectors.registry import CONNECTORS
from tests.connectors.world import NOTE, NOW_S, VENDORS, WHSEC, Fixture, load_fixtures, outbound_json, signed

ALL = {(fixture.vendor, fixture.name): fixture for fixture in load_fixtures()}


def _event(fixture: Fixture, body: dict[str, Any] | None = None, **config: Any) -> Event:
    used = dataclasses.replace(fixture.config, **config)
    sent = fixture.body if body is None else json.dumps(body).encode()
    inbound = fixture.inbound(sent)
    CONNECTORS[fixture.vendor].verify(inbound, used)
    return CONNECTORS[fixture.vendor].parse(inbound, used)


@pytest.mark.parametrize("fixture", ALL.values(), ids=lambda fixture: f"{fixture.vendor}-{fixture.name}")
def test_with_public_replies_off_nothing_public_is_written(fixture: Fixture) -> None:
    """Even a note that claims to be public, made for an event that claims to be."""
    config = dataclasses.replace(fixture.config, public_replies=False)
    event = CONNECTORS[fixture.vendor].parse(fixture.inbound(), config)
    if event.kind in {EventKind.IGNORED, EventKind.HANDSHAKE}:
        return
    forced = dataclasses.replace(event, audience=Audience.PUBLIC)
    note = dataclasses.replace(NOTE, public=True)
    for call in CONNECTORS[fixture.vendor].render(note, forced, config):
        written = json.dumps(outbound_json(call))
        assert '"public": true' not in written
        assert '"comments"' not in written.replace('/comments"', "").replace("work_notes,comments", "")
        assert '"to": ["tickets@example.org"]' not in written
        assert not event.reply.get("public_place")


@pytest.mark.parametrize("fixture", ALL.values(), ids=lambda fixture: f"{fixture.vendor}-{fixture.name}")
def test_an_internal_note_is_never_written_where_the_public_reads(fixture: Fixture) -> None:
    """Where public replies are on, a note that is not public stays an internal one, or is not written."""
    config = dataclasses.replace(fixture.config, public_replies=True)
    event = CONNECTORS[fixture.vendor].parse(fixture.inbound(), config)
    if event.kind in {EventKind.IGNORED, EventKind.HANDSHAKE}:
        return
    for call in CONNECTORS[fixture.vendor].render(NOTE, event, config):
        written = json.dumps(outbound_json(call))
        assert '"public": true' not in written
        assert '"internal": false' not in written or not event.reply.get("public_place")
        assert "tickets@example.org" not in written


@pytest.mark.parametrize("vendor", sorted(CONNECTORS))
def test_every_answer_that_can_be_found_again_is_marked(vendor: str) -> None:
    from service.connectors.marking import note_marker

    for fixture in ALL.values():
        if fixture.vendor != vendor or not fixture.data.get("calls"):
            continue
        event = CONNECTORS[vendor].parse(fixture.inbound(), fixture.config)
        for call in CONNECTORS[vendor].render(NOTE, event, fixture.config)[:1]:
            assert bool(call.lookup_url) == bool(call.idempotency_marker)
            if call.idempotency_marker:
                assert call.idempotency_marker == note_marker(event)
                assert note_marker(event) in json.dumps(call.json)


@pytest.mark.parametrize("private", [None, "false", 0, "no", {}, []])
def test_a_github_repository_is_private_only_if_it_says_so(private: object) -> None:
    fixture = ALL["github", "issue_opened_private_vouched"]
    body = json.loads(fixture.body)
    body["repository"]["private"] = private
    event = _event(fixture, body)
    assert event.kind is EventKind.IGNORED
    assert _event(fixture, body, public_replies=True).audience is Audience.PUBLIC


@pytest.mark.parametrize("level", [None, 20, "20", 99, True, {}])
def test_a_gitlab_project_is_not_public_only_if_it_says_so(level: object) -> None:
    fixture = ALL["gitlab", "issue_open_private"]
    body = json.loads(fixture.body)
    body["project"]["visibility_level"] = level
    assert _event(fixture, body).kind is EventKind.IGNORED


@pytest.mark.parametrize(
    ("kind", "api", "answered"),
    [
        ("service_desk", "servicedesk", True),
        ("service_desk", "platform", True),
        (None, "servicedesk", True),
        (None, "platform", False),
        ("software", "servicedesk", False),
        ("software", "platform", False),
    ],
)
def test_jira_projects_without_internal_comments_get_no_note(kind: str | None, api: str, answered: bool) -> None:
    fixture = ALL["jira", "issue_created"]
    body = json.loads(fixture.body)
    body["issue"]["fields"]["project"]["projectTypeKey"] = kind
    assert (_event(fixture, body, options={"api": api}).kind is EventKind.TICKET) == answered


GATEWAY = "https://api.atlassian.com/ex/jira/11223344-a1b2-3b33-c444-def123456789"


@pytest.mark.parametrize(
    ("base_url", "options", "url"),
    [
        ("https://example.atlassian.net", {}, "https://example.atlassian.net/browse/"),
        (GATEWAY, {"site_url": "https://example.atlassian.net/"}, "https://example.atlassian.net/browse/"),
        (GATEWAY, {}, ""),
    ],
)
def test_jira_links_lead_to_the_site_and_calls_to_where_the_token_works(
    base_url: str, options: dict[str, str], url: str
) -> None:
    fixture = ALL["jira", "issue_created"]
    config = dataclasses.replace(fixture.config, base_url=base_url, options={**fixture.config.options, **options})
    event = CONNECTORS["jira"].parse(fixture.inbound(), config)
    assert event.url == (url and f"{url}{event.subject_id}")
    (call,) = CONNECTORS["jira"].render(NOTE, event, config)
    assert call.url == f"{base_url}/rest/servicedeskapi/request/{event.subject_id}/comment"


@pytest.mark.parametrize("shared", [None, True, "yes", 1])
def test_a_slack_channel_is_our_own_only_if_slack_says_so(shared: object) -> None:
    fixture = ALL["slack", "mention_in_thread_vouched"]
    body = json.loads(fixture.body)
    body["is_ext_shared_channel"] = shared
    assert _event(fixture, body).audience is Audience.PUBLIC


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com.evil.example/x", "http://hooks.slack.com/x", "https://user@hooks.slack.com/x", "",
        "https://169.254.169.254/latest", "file:///etc/passwd", "https://hooks.slack.com:8443/x", "https://[::1",
    ],
)  # fmt: skip
def test_slack_answers_go_to_slack_alone(url: str) -> None:
    form = {"command": "/kb", "text": "x", "trigger_id": "1", "channel_id": "C1", "response_url": url}
    inbound = signed("slack", urlencode(form).encode(), headers={"content-type": "application/x-www-form-urlencoded"})
    with pytest.raises(Rejected) as caught:
        CONNECTORS["slack"].parse(inbound, VENDORS["slack"].config)
    assert caught.value.reason is RejectedReason.MALFORMED


def test_slack_looks_at_the_certificate_without_a_signature_and_nothing_comes_of_it() -> None:
    slack, config = CONNECTORS["slack"], VENDORS["slack"].config
    headers = {"content-type": "application/x-www-form-urlencoded"}
    for body in (b"ssl_check=1&token=x", b"ssl_check=1&command=%2Fkb&text=API+returns+401&trigger_id=1"):
        inbound = Inbound(headers, body, NOW_S)
        slack.verify(inbound, config)
        event = slack.parse(inbound, config)
        assert (event.kind, event.immediate) == (EventKind.HANDSHAKE, {})
    for body in (b"ssl_check=0&command=%2Fkb", b"command=%2Fkb&text=ssl_check%3D1", b"\xff"):
        with pytest.raises(Rejected) as caught:
            slack.verify(Inbound(headers, body, NOW_S), config)
        assert caught.value.reason is RejectedReason.BAD_SIGNATURE


def test_a_slack_compatible_server_is_answered_where_it_is_configured() -> None:
    form = {"command": "/kb", "text": "x", "trigger_id": "1", "channel_id": "C1", "response_url": "https://s.example/r"}
    inbound = signed("slack", urlencode(form).encode(), headers={"content-type": "application/x-www-form-urlencoded"})
    config = dataclasses.replace(VENDORS["slack"].config, base_url="https://s.example/api")
    assert CONNECTORS["slack"].parse(inbound, config).reply["response_url"] == "https://s.example/r"


def test_slack_reads_a_summary_as_the_plain_text_it_is_and_parses_no_names() -> None:
    fixture = ALL["slack", "mention"]
    note = dataclasses.replace(NOTE, summary="__init__ fails <!here> *a* & b")
    (call,) = CONNECTORS["slack"].render(note, _event(fixture), fixture.config)
    assert call.json["text"] == "__init__ fails &lt;!here&gt; *a* &amp; b"
    assert all(block["text"]["verbatim"] is True for block in call.json["blocks"])


def test_an_answer_is_looked_for_after_the_mention_however_long_the_thread() -> None:
    fixture = ALL["slack", "mention_in_thread_vouched"]
    event = _event(fixture)
    (call,) = CONNECTORS["slack"].render(NOTE, event, fixture.config)
    query = parse_qs(urlsplit(call.lookup_url).query)
    assert (query["ts"], query["oldest"]) == (["1515449000.000001"], ["1515449522.000016"])
    stored = dataclasses.replace(event, reply={name: event.reply[name] for name in ("channel", "thread")})
    assert "oldest=1515449000.000001&" in CONNECTORS["slack"].render(NOTE, stored, fixture.config)[0].lookup_url


def test_a_long_slack_answer_is_split_into_sections_that_slack_takes() -> None:
    fixture = ALL["slack", "mention"]
    event = _event(fixture)
    note = dataclasses.replace(NOTE, markdown="\n\n".join(["word " * 500, "x" * 9_000, *["line"] * 2_000]))
    (call,) = CONNECTORS["slack"].render(note, event, fixture.config)
    blocks = call.json["blocks"]
    assert 1 < len(blocks) <= 50
    assert all(0 < len(block["text"]["text"]) <= 3_000 for block in blocks)


@pytest.mark.parametrize("event", ["issues", "issue_comment", "push", ""])
def test_the_unsigned_event_header_of_github_must_agree_with_the_body(event: str) -> None:
    comment, issue = ALL["github", "issue_comment"], ALL["github", "issue_opened_private"]
    for fixture, kind in ((comment, "issue_comment"), (issue, "issues")):
        if event == kind:
            continue
        inbound = signed("github", fixture.body, headers={"x-github-event": event, "x-github-delivery": "d"})
        with pytest.raises(Rejected) as caught:
            CONNECTORS["github"].parse(inbound, fixture.config)
        assert caught.value.reason is RejectedReason.UNKNOWN_EVENT


@pytest.mark.parametrize(
    ("vendor", "name", "header"),
    [
        ("github", "issue_opened_private", "x-github-delivery"),
        ("jira", "issue_created", "x-atlassian-webhook-identifier"),
        ("gitlab", "issue_open_private", "idempotency-key"),
        ("zendesk", "trigger", "x-zendesk-webhook-invocation-id"),
    ],
)
def test_an_id_outside_the_signature_comes_with_a_key_that_tells_replays(vendor: str, name: str, header: str) -> None:
    fixture = ALL[vendor, name]
    inbound = fixture.inbound()
    replayed = dataclasses.replace(inbound, headers={**inbound.headers, header: "another"})
    connector = CONNECTORS[vendor]
    connector.verify(replayed, fixture.config)
    first, second = connector.parse(inbound, fixture.config), connector.parse(replayed, fixture.config)
    assert first.delivery_id != second.delivery_id
    assert first.replay_key == second.replay_key != ""


@pytest.mark.parametrize("vendor", ["github", "jira", "gitlab"])
@pytest.mark.parametrize("given", ["", "x" * 201, "a b", "\x01", "é"])
def test_a_delivery_without_a_usable_id_is_known_by_its_content(vendor: str, given: str) -> None:
    fixture = next(fixture for fixture in ALL.values() if fixture.vendor == vendor and fixture.data.get("calls"))
    header = {"github": "x-github-delivery", "jira": "x-atlassian-webhook-identifier", "gitlab": "idempotency-key"}
    inbound = fixture.inbound()
    changed = dataclasses.replace(inbound, headers={**inbound.headers, header[vendor]: given})
    assert CONNECTORS[vendor].parse(changed, fixture.config).delivery_id.startswith("sha256-")


def test_an_alert_group_that_fires_on_is_one_delivery_until_it_changes() -> None:
    fixture = ALL["alertmanager", "firing_group"]
    body = json.loads(fixture.body)
    first = _event(fixture, body)
    body["alerts"].reverse()
    body["alerts"][0]["endsAt"] = "2023-11-14T23:00:00Z"
    assert _event(fixture, body).delivery_id == first.delivery_id
    body["alerts"].append({**body["alerts"][1], "fingerprint": "new"})
    later = _event(fixture, body)
    assert later.delivery_id != first.delivery_id
    assert later.subject_id == first.subject_id


def test_every_alert_of_a_large_group_counts() -> None:
    fixture = ALL["alertmanager", "firing_group"]
    body = json.loads(fixture.body)
    first = body["alerts"][0]
    resolved = [{**first, "status": "resolved", "fingerprint": f"r{number}"} for number in range(60)]
    one = _event(fixture, {**body, "alerts": [*resolved, first]})
    assert one.kind is EventKind.ALERT
    firing = [
        {**first, "fingerprint": f"f{number}", "annotations": {"summary": f"alert {number}"}} for number in range(60)
    ]
    many = _event(fixture, {**body, "alerts": firing})
    more = _event(fixture, {**body, "alerts": [*firing, {**first, "fingerprint": "new"}]})
    assert len({one.delivery_id, many.delivery_id, more.delivery_id}) == 3
    assert many.text.splitlines() == [f"alert {number}" for number in range(50)]


def test_zendesk_tags_are_added_and_never_set() -> None:
    fixture = ALL["zendesk", "ticket_created_public_reply"]
    note = dataclasses.replace(NOTE, tags=["A b", "  ", "é/ü:1", "x" * 200, "<script>"])
    comment, tags = CONNECTORS["zendesk"].render(note, _event(fixture), fixture.config)
    assert "tags" not in comment.json["ticket"]
    assert (tags.method, tags.url) == ("PUT", "https://example.zendesk.com/api/v2/tickets/5158/tags.json")
    assert tags.json == {"tags": ["a_b", "é/ü:1", "x" * 80, "script"]}


@pytest.mark.parametrize("ticket_id", ["", "../users/1", "1/tags", "٣", "1" * 21, None, True])
def test_an_id_that_would_lead_elsewhere_is_malformed(ticket_id: object) -> None:
    fixture = ALL["zendesk", "ticket_created"]
    body = json.loads(fixture.body)
    body["detail"]["id"] = ticket_id
    with pytest.raises(Rejected) as caught:
        _event(fixture, body)
    assert caught.value.reason is RejectedReason.MALFORMED


NODE_STUBS = """
const crypto = require('crypto');
const fs = require('fs');
const vm = require('vm');
const given = JSON.parse(process.argv[3]);
const sent = [];
function GlideCertificateEncryption() {}
GlideCertificateEncryption.prototype.generateMac = (key, algorithm, data) => {
  if (algorithm !== 'HmacSHA256') throw new Error(algorithm);
  return crypto.createHmac('sha256', Buffer.from(key, 'base64')).update(data, 'latin1').digest('base64');
};
function GlideDateTime() { this.added_s = 0; }
GlideDateTime.prototype.addSeconds = function (seconds) { this.added_s += seconds; };
GlideDateTime.prototype.getNumericValue = () => given.now_s * 1000 + 7;
GlideDateTime.prototype.getValue = () => '2023-11-14 22:13:20';
function RESTMessageV2() { this.headers = {}; }
RESTMessageV2.prototype = {
  setEndpoint(url) { this.url = url; },
  setHttpMethod(method) { this.method = method; },
  setHttpTimeout() {},
  setRequestHeader(name, value) { this.headers[name.toLowerCase()] = value; },
  setRequestBody(body) { this.body = body; },
  execute() {
    sent.push({url: this.url, method: this.method, headers: this.headers, body: this.body});
    const status = given.statuses[sent.length - 1];
    if (status === 'broken') throw new Error('no connection');
    return {getStatusCode: () => status, getHeader: (name) => name === 'Retry-After' ? given.retry_after : null};
  }
};
const current = {
  operation: () => given.operation,
  getTableName: () => 'incident',
  getUniqueValue: () => given.record.sys_id,
  isValidField: (name) => name in given.record,
  getValue: (name) => given.record[name],
  getDisplayValue: (name) => given.record[name],
  comments: {getJournalEntry: () => given.comment}
};
for (const name of Object.keys(given.user_names)) current[name] = {user_name: given.user_names[name]};
const log = [];
const queued = [];
const gs = {
  eventQueueScheduled: (name, record, parm1, parm2, time) => {
    if (record !== current || parm1.length > 100 || parm2.length > 100) throw new Error('not an event');
    queued.push({wait_s: time.added_s, event: {name, parm1, parm2}});
  },
  getProperty: (name) => given.properties[name] || '',
  error: (text) => log.push('error: ' + text),
  warn: (text) => log.push('warn: ' + text)
};
vm.runInNewContext(fs.readFileSync(process.argv[2], 'utf8'),
  {GlideCertificateEncryption, GlideDateTime, sn_ws: {RESTMessageV2}, current, previous: {}, gs, JSON, Math, String,
   ...(given.event ? {event: given.event} : {})});
process.stdout.write(JSON.stringify({sent, log, queued}));
"""

RECORD = {
    "sys_id": "9d385017c611228701d22104cc95c371", "number": "INC0000001", "sys_mod_count": "0",
    "short_description": "Zugriff für alle verweigert \U0001f600 \"401\"", "description": "line\nline", "priority": "2",
    "category": "software", "sys_updated_by": "requester", "caller_id": "46d44a23a9fe19810012d100cca80666",
}  # fmt: skip
PROPERTIES = {"symptom_kb.url": "https://kb.example.com/v1/intake/servicenow", "symptom_kb.secret": WHSEC}


def _run_business_rule(**given: Any) -> dict[str, Any]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("the business rule is JavaScript: install node to run it")
    known = {
        "now_s": int(NOW_S), "operation": "insert", "record": RECORD, "comment": "", "properties": PROPERTIES,
        "user_names": {"caller_id": "requester"},
    }  # fmt: skip
    with resources.as_file(resources.files("service.connectors") / "assets" / "servicenow_business_rule.js") as script:
        done = subprocess.run(
            [node, "-e", NODE_STUBS, "-", str(script), json.dumps({**known, "statuses": [202], **given})],
            check=True,
            capture_output=True,
            timeout=60,
        )
    return dict(json.loads(done.stdout))


def test_what_the_servicenow_business_rule_sends_is_taken() -> None:
    result = _run_business_rule()
    (sent,) = result["sent"]
    assert (sent["method"], sent["url"], result["log"]) == ("POST", PROPERTIES["symptom_kb.url"], [])
    assert sent["body"].isascii()
    inbound = Inbound(sent["headers"], sent["body"].encode(), NOW_S)
    connector, config = CONNECTORS["servicenow"], VENDORS["servicenow"].config
    connector.verify(inbound, config)
    event = connector.parse(inbound, config)
    assert event.delivery_id == f"{RECORD['sys_id']}-0-insert"
    assert (event.kind, event.subject_id) == (EventKind.TICKET, RECORD["sys_id"])
    assert (event.title, event.text) == (RECORD["short_description"], "line\nline")
    assert event.fields["account"] == opaque(RECORD["caller_id"])


def test_the_business_rule_sends_comments_without_their_headline() -> None:
    result = _run_business_rule(operation="update", comment="2023-11-14 22:13:20 - requester (Comments)\nStill 401\n")
    body = json.loads(result["sent"][0]["body"])
    assert (body["type"], body["data"]["comment"]) == ("record.commented", "Still 401\n")
    assert _run_business_rule(operation="update")["sent"] == []


@pytest.mark.parametrize(
    ("record", "user_names", "by_requester"),
    [
        ({}, {"caller_id": "requester"}, True),
        ({"sys_updated_by": "agent"}, {"caller_id": "requester"}, False),
        ({"sys_updated_by": ""}, {"caller_id": ""}, False),
        ({"caller_id": None, "opened_by": "x"}, {"caller_id": "", "opened_by": "requester"}, True),
        ({"caller_id": None}, {}, False),
    ],
)
def test_the_business_rule_says_whether_the_requester_commented(
    record: dict[str, Any], user_names: dict[str, str], by_requester: bool
) -> None:
    given = {**RECORD, **record}
    result = _run_business_rule(operation="update", comment="line\ntext", record=given, user_names=user_names)
    assert json.loads(result["sent"][0]["body"])["data"]["by_requester"] is by_requester


@pytest.mark.parametrize(("username", "known"), [("requester", True), ("support-bot", False), ("support-bot1", False)])
def test_mail_that_gitlabs_bot_opens_issues_for_is_of_no_one_account(username: str, known: bool) -> None:
    fixture = ALL["gitlab", "issue_open_private"]
    body = json.loads(fixture.body)
    body["user"]["username"] = username
    assert ("account" in _event(fixture, body).fields) == known


def test_a_note_in_servicenow_sets_no_html_off() -> None:
    """A journal field shows what is between its code tags as HTML; a note may name a stranger's mail by its subject."""
    fixture = next(
        fixture for fixture in load_fixtures() if (fixture.vendor, fixture.name) == ("servicenow", "record_created")
    )
    connector = CONNECTORS["servicenow"]
    event = connector.parse(fixture.inbound(), fixture.config)
    note = dataclasses.replace(NOTE, markdown="Likely the same: \\[code\\]<img src=x>\\[/CODE\\], see \\[codec\\]")
    (call,) = connector.render(note, event, fixture.config)
    text = call.json["work_notes"]
    assert "Likely the same: [\u200bcode]<img src=x>[\u200b/CODE], see [codec]\n" in text


def test_a_business_rule_of_an_earlier_version_is_named_where_its_comments_are_ignored() -> None:
    fixture = ALL["servicenow", "record_commented"]
    body = json.loads(fixture.body)
    del body["data"]["by_requester"]
    event = _event(fixture, body)
    assert event.kind is EventKind.IGNORED
    assert "business rule" in event.fields["ignored"]


@pytest.mark.parametrize(
    ("author", "reporter", "answered"),
    [
        ({"accountId": "a", "accountType": "atlassian"}, {"accountId": "a"}, True),
        ({"accountId": "a", "accountType": "atlassian"}, {"accountId": "b"}, False),
        ({"accountId": "a", "accountType": "customer"}, {"accountId": "b"}, True),
        ({"accountType": "atlassian"}, {}, False),
        (None, None, False),
    ],
)
def test_jira_comments_are_answered_to_requesters_alone(author: object, reporter: object, answered: bool) -> None:
    fixture = ALL["jira", "comment_created"]
    body = json.loads(fixture.body)
    body["comment"]["author"], body["issue"]["fields"]["reporter"] = author, reporter
    assert (_event(fixture, body).kind is EventKind.TICKET) == answered


@pytest.mark.parametrize("author", [None, "", 8, True, {}])
def test_gitlab_comments_are_answered_to_the_author_of_the_issue_alone(author: object) -> None:
    fixture = ALL["gitlab", "note"]
    body = json.loads(fixture.body)
    body["object_attributes"]["author_id"] = author
    assert _event(fixture, body).kind is EventKind.IGNORED
    body["issue"]["author_id"] = author
    assert (_event(fixture, body).kind is EventKind.TICKET) == (author == 8)


def test_the_business_rule_tries_again_later_with_the_same_id_until_it_gives_up() -> None:
    waits: list[int] = []
    ids: set[str] = set()
    given: dict[str, Any] = {"statuses": [503]}
    while True:
        result = _run_business_rule(**given)
        (sent,) = result["sent"]
        ids.add(sent["headers"]["webhook-id"])
        if not result["queued"]:
            break
        (retry,) = result["queued"]
        waits.append(retry["wait_s"])
        given = {"statuses": ["broken"], "event": retry["event"], "operation": None}
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600]
    assert ids == {f"{RECORD['sys_id']}-0-insert"}
    assert result["log"][-1] == "error: symptom-kb: INC0000001 could not be delivered"


@pytest.mark.parametrize(("retry_after", "wait_s"), [("7", 30), ("90", 90), ("Wed, 21 Oct 2026 07:28:00 GMT", 30)])
def test_the_business_rule_waits_as_long_as_it_is_asked_to(retry_after: str, wait_s: int) -> None:
    (retry,) = _run_business_rule(statuses=[429], retry_after=retry_after)["queued"]
    assert retry["wait_s"] == wait_s


def test_the_business_rule_gives_up_on_refusal_and_is_done_after_success() -> None:
    for status in (401, 202):
        result = _run_business_rule(statuses=[status])
        assert (len(result["sent"]), result["queued"]) == (1, [])


def test_a_comment_is_sent_again_as_it_was_unless_there_is_a_newer_one() -> None:
    first = {"operation": "update", "comment": "2026-11-30 10:00:00 - Ann\nstill broken", "statuses": [503]}
    (retry,) = _run_business_rule(**first)["queued"]
    later = {**first, "statuses": [202], "event": retry["event"], "operation": None}
    by_staff = {**RECORD, "sys_updated_by": "agent", "sys_mod_count": "7"}
    (sent,) = _run_business_rule(**{**later, "record": by_staff})["sent"]
    data = json.loads(sent["body"])["data"]
    assert (data["comment"], data["by_requester"]) == ("still broken", True)
    assert sent["headers"]["webhook-id"] == f"{RECORD['sys_id']}-0-update"
    newer = _run_business_rule(**{**later, "comment": "2026-11-30 10:05:00 - Agent\nlooking"})
    assert newer["sent"] == []
    assert "newer comment" in newer["log"][0]


def test_the_business_rule_without_its_properties_says_which() -> None:
    result = _run_business_rule(properties={})
    assert result["sent"] == []
    assert "symptom_kb.url" in result["log"][0]
    assert WHSEC not in json.dumps(_run_business_rule(statuses=[500])["log"])
