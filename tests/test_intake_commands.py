"""`kb intake`: looking at the queue, replaying, purging, and a worker of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from eval.cli import app
from eval.intake_vendor import Vendor, vendor, write_connectors
from indexer.errors import NotFound, SettingsError
from service.connectors.contract import Event, EventKind
from service.database import Database
from service.intake.audit import Action, AuditTrail
from service.intake.jobs import JobState, NewJob
from service.intake.queue import Queue
from tests.conftest import FakeEmbedder
from tests.http_world import DecidedAssistant, make_world

runner = CliRunner()


@dataclass
class Desk:
    """A queue with one job of each state, and what runs commands on it."""

    index: Path
    queue: Queue
    vendor: Vendor

    def run(self, *arguments: str, text: str | None = None) -> tuple[int, str]:
        result = runner.invoke(app, ["intake", *arguments, "--index", str(self.index)], input=text)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout

    def add(self, delivery: str, subject: str) -> int:
        event = Event(EventKind.TICKET, delivery, subject, "secretword fails", "401 invalid_token")
        return self.queue.add("zendesk", [NewJob(event)], time.time(), "req-1").job_ids[0]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    world = make_world(tmp_path)
    monkeypatch.setattr("service.opening.open_assistant", lambda given: DecidedAssistant(given.index, FakeEmbedder()))
    with vendor() as state:
        monkeypatch.setenv("KB_CONNECTORS_FILE", str(write_connectors(tmp_path / "c.yaml", state.url)))
        monkeypatch.setenv("KB_DATABASE_URL", url := f"sqlite:///{tmp_path / 'state.sqlite'}")
        database = Database(url)
        queue = Queue(database)
        made = Desk(world.index, queue, state)
        made.add("d1", "41")
        made.add("d2", "42")
        (job,) = queue.claim("zendesk", 1, 60)
        queue.bury(job, "the vendor answered 404")
        yield made
        database.close()


def test_list_shows_what_is_not_done_and_no_words_of_it(desk: Desk) -> None:
    code, out = desk.run("list")
    assert code == 0
    assert "dead" in out
    assert "waiting" in out
    assert "the vendor answered 404" in out
    assert "secretword" not in out
    _, out = desk.run("list", "--state", "dead", "--json")
    (job,) = json.loads(out)
    assert (job["id"], job["subject"], job["state"]) == (1, "41", "dead")
    assert json.loads(desk.run("list", "--connector", "jira", "--json")[1]) == []
    assert "no job is done" in desk.run("list", "--state", "done")[1]
    with pytest.raises(SettingsError, match="waiting, working, done, dead"):
        desk.run("list", "--state", "finished")


def test_show_gives_the_trail_and_the_words_on_request_only(desk: Desk) -> None:
    _, out = desk.run("show", "1")
    assert "the vendor answered 404" in out
    assert "accepted" in out
    assert "secretword" not in out
    job = json.loads(desk.run("show", "1", "--json", "--text")[1])
    assert job["title"] == "secretword fails"
    assert [entry["action"] for entry in job["audit"]] == ["accepted", "dead"]
    assert job["audit"][0]["request_id"] == "req-1"
    with pytest.raises(NotFound):
        desk.run("show", "99")


def test_a_number_is_not_given_again_and_where_it_was_the_trails_are_told_apart(desk: Desk) -> None:
    with desk.queue._database.begin() as connection:
        connection.execute(text("update intake_jobs set state = 'dead'"))
        connection.execute(text("update intake_audit set at_s = at_s - 60"))
    desk.run("purge", "--dead", "--yes")
    assert desk.add("d3", "43") == 3
    with desk.queue._database.begin() as connection:
        connection.execute(text("update intake_jobs set id = 1"))
        connection.execute(text("update intake_audit set job_id = 1, at_s = at_s - 60 where action = 'purged'"))
        connection.execute(text("update intake_audit set job_id = 1 where job_id = 3"))
    job = json.loads(desk.run("show", "1", "--json")[1])
    assert [entry["action"] for entry in job["audit"]] == ["accepted"]


def test_audit_says_why_deliveries_were_ignored_or_refused_newest_first(desk: Desk) -> None:
    trail = AuditTrail(desk.queue._database)
    trail.write("zendesk", Action.IGNORED, "req-2", "comments are not answered (option answer_comments)", "41")
    trail.reject("jira", "bad-signature", "req-3", "the signature is not that of any configured secret")
    code, out = desk.run("audit")
    assert code == 0
    shown = [line.split()[1:4] for line in out.splitlines()[1:]]
    assert shown[:2] == [["jira", "rejected:bad-signature", "the"], ["zendesk", "41", "ignored"]]
    assert [line[1:] for line in shown[2:]] == [["41", "dead"], ["42", "accepted"], ["41", "accepted"]]
    assert "option answer_comments" in out
    assert "secretword" not in out

    def listed(*arguments: str) -> list[str]:
        return [entry["action"] for entry in json.loads(desk.run("audit", "--json", *arguments)[1])]

    assert listed("--connector", "jira") == listed("--action", "rejected") == ["rejected:bad-signature"]
    assert listed("--action", "rejected:bad-signature") == ["rejected:bad-signature"]
    assert listed("--action", "accepted", "--limit", "1") == ["accepted"]
    assert listed("--subject", "41") == ["ignored", "dead", "accepted"], "all that became of one ticket"
    (entry,) = json.loads(desk.run("audit", "--json", "--action", "ignored")[1])
    assert (entry["connector"], entry["job_id"], entry["request_id"]) == ("zendesk", None, "req-2")
    assert "nothing of this kind" in desk.run("audit", "--action", "replayed")[1]
    with pytest.raises(SettingsError, match="rejected:stale-timestamp"):
        desk.run("audit", "--action", "refused")


def test_replay_takes_dead_letters_only(desk: Desk) -> None:
    code, out = desk.run("replay", "1", "2", "--json")
    assert code == 1
    assert json.loads(out) == {"replayed": [1], "not_dead": [2]}
    assert desk.queue.find(1).state is JobState.WAITING
    assert json.loads(desk.run("replay", "--all", "--json")[1])["replayed"] == []
    with pytest.raises(SettingsError, match="--all"):
        desk.run("replay")


def test_replay_takes_all_dead_letters_of_a_connector(desk: Desk) -> None:
    assert json.loads(desk.run("replay", "--connector", "jira", "--json")[1]) == {"replayed": [], "not_dead": []}
    assert json.loads(desk.run("replay", "--connector", "zendesk", "--json")[1])["replayed"] == [1]
    assert desk.queue.find(1).state is JobState.WAITING


def test_purge_asks_before_it_loses_anything(desk: Desk) -> None:
    assert json.loads(desk.run("purge", "--json")[1]) == {"done": 0, "dead": 0, "audit": 0, "recent": 0}
    code, _ = desk.run("purge", "--dead", text="n\n")
    assert code == 1
    assert desk.queue.find(1).state is JobState.DEAD
    assert json.loads(desk.run("purge", "--dead", "--yes", "--json")[1]) == {"dead": 1}
    with pytest.raises(NotFound):
        desk.queue.find(1)


def test_looking_and_mending_need_no_secret_of_a_connector(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_connectors(tmp_path / "secret.yaml", desk.vendor.url, zendesk={"token": "env:KB_TEST_NOT_SET"})
    monkeypatch.setenv("KB_CONNECTORS_FILE", str(file))
    for arguments in (["list"], ["show", "1"], ["replay", "1"], ["purge"], ["purge", "--dead", "--yes"]):
        assert desk.run(*arguments)[0] == 0
    for command in (["status"], ["work", "--once"]):
        with pytest.raises(SettingsError, match="KB_TEST_NOT_SET is not set"):
            desk.run(*command)


def test_status_counts_by_connector(desk: Desk) -> None:
    desk.queue.add("jira", [NewJob(Event(EventKind.TICKET, "j1", "J-1", "x"))], time.time())
    status = json.loads(desk.run("status", "--json")[1])
    rows = {row["connector"]: row for row in status["connectors"]}
    assert (rows["zendesk"]["dead"], rows["zendesk"]["waiting"], rows["zendesk"]["configured"]) == (1, 1, True)
    assert not rows["jira"]["configured"]
    assert status["oldest_waiting_s"] >= 0
    out = desk.run("status")[1]
    assert "not configured: its notes wait" in out
    assert "the oldest has waited" in out


def test_status_without_connectors_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KB_CONNECTORS_FILE", raising=False)
    result = runner.invoke(app, ["intake", "status", "--index", str(tmp_path / "index")])
    assert "KB_CONNECTORS_FILE" in result.stdout


def test_work_once_writes_all_that_is_due_at_the_configured_rate(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_connectors(tmp_path / "slow.yaml", desk.vendor.url, zendesk={"rate_per_minute": 240})
    monkeypatch.setenv("KB_CONNECTORS_FILE", str(file))
    desk.add("d3", "43")
    code, out = desk.run("work", "--once")
    assert code == 0
    assert "2 taken" in out
    assert desk.queue.counts() == {"zendesk": {"dead": 1, "done": 2}}
    assert list(desk.vendor.comments) == ["42", "43"]
    assert "Suggested article" in desk.vendor.comments["42"][0]["html_body"]


def test_work_needs_connectors(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KB_CONNECTORS_FILE")
    with pytest.raises(SettingsError, match="KB_CONNECTORS_FILE"):
        desk.run("work", "--once")
