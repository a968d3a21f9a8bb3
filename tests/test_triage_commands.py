"""`kb triage` and the file of recent tickets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.cli import app
from indexer.errors import DatasetError, InputError
from service.recent_tickets import read_recent, read_time
from service.triage_similar import CLOSED_STATUSES
from tests.conftest import FakeEmbedder, build
from tests.http_world import UNCOVERED, DecidedAssistant
from tests.test_triage import write_articles

runner = CliRunner()
TEXT = "ORA-12154 could not resolve the connect identifier"
NOW = "2026-11-25T10:00:00Z"


@pytest.fixture
def index(source: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_articles(source)
    build(source, index_dir)
    monkeypatch.setattr("service.assistant.Assistant", lambda index: DecidedAssistant(index, FakeEmbedder()))
    return index_dir


def write_recent(folder: Path, *records: object) -> Path:
    file = folder / "recent.jsonl"
    file.write_text("\n".join(json.dumps(record) for record in records) + "\n\n")
    return file


def record(name: str, created: str = "2026-11-25T09:30:00+00:00", **values: object) -> dict[str, object]:
    return {"_id": name, "title": f"Ticket {name}", "text": TEXT, "created": created, **values}


def run(index: Path, *arguments: str, text: str | None = None) -> tuple[int, str]:
    result = runner.invoke(app, ["triage", *arguments, "--index", str(index)], input=text)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def words(out: str) -> str:
    return " ".join(out.split())


def test_findings_are_printed_with_their_reasons(index: Path) -> None:
    code, out = run(index, f"All users get an error: {TEXT}", "--title", "Oracle connection fails")
    assert code == 0
    assert "Severity hint  high" in out
    assert "“All users” says that everybody is affected" in out
    assert "Component  oracle (100%)" in out
    assert "both show ora-12154" in out
    assert "runbooks/oracle.md: KB-1002 names it as related" in out
    assert "✗ Request id  missing: request id" in out
    assert "Ready to send" in out
    assert "- the request id of one failing attempt" in out


def test_duplicates_and_a_burst_come_from_the_file_of_recent_tickets(index: Path, tmp_path: Path) -> None:
    file = write_recent(tmp_path, *[record(f"T-{n}") for n in range(4)])
    code, out = run(index, "-", "--recent", str(file), "--now", NOW, "--id", "T-0", text=TEXT)
    assert code == 0
    assert (
        "Possible incident 4 tickets with this symptom since 2026-11-25 09:30 UTC, all with ora-12154; none"
        in words(out)
    )
    assert "T-1 Ticket T-1 2026-11-25 09:30 UTC" in words(out)
    assert "T-0" not in out


def test_json_is_the_whole_result(index: Path, tmp_path: Path) -> None:
    file = write_recent(tmp_path, record("T-1", incident=True, url="https://help.example.com/T-1"))
    code, out = run(index, TEXT, "--json", "--recent", str(file), "--now", NOW)
    made = json.loads(out)
    assert code == 0
    assert made["duplicates"][0]["ticket_id"] == "T-1"
    assert made["duplicates"][0]["is_incident"]
    assert made["known_errors"][0]["citation"]["path"] == "db/listener.md"


def test_lines_are_whole_in_a_file_and_nothing_stands_behind_them(index: Path) -> None:
    _, out = run(index, f"All users get an error: {TEXT}", "--title", "Oracle connection fails")
    lines = out.splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert max(map(len, lines)) > 80
    assert "“All users” says that everybody is affected" in out


def test_no_evidence_is_said_plainly(index: Path) -> None:
    code, out = run(index, f"{UNCOVERED} again")
    assert code == 0
    assert "No evidence for anything" in out
    assert "Ready to send" not in out


@pytest.mark.parametrize("now", ["soon", "2026-11-25T10:00:00"])
def test_a_time_without_a_zone_is_refused(index: Path, now: str) -> None:
    with pytest.raises(InputError, match="ISO time with its zone"):
        run(index, TEXT, "--now", now)


def test_recent_tickets_are_read_in_full(index: Path, tmp_path: Path) -> None:
    file = write_recent(
        tmp_path, record("T-1", status="Solved", account="acme"), record("T-2", "2026-11-25T10:30:00+01:00")
    )
    one, other = read_recent(file, DecidedAssistant(index, FakeEmbedder()))
    assert (one.ticket_id, one.is_open, one.account, one.title) == ("T-1", False, "acme", "Ticket T-1")
    assert "error code: ora-12154" in one.signatures
    assert one.created_s == other.created_s == read_time("2026-11-25T09:30:00Z")
    assert (other.is_open, other.is_incident, other.url) == (True, False, "")
    assert float(one.vector @ one.vector) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("status", sorted(CLOSED_STATUSES))
def test_both_spellings_and_every_word_for_closed_are_known(index: Path, tmp_path: Path, status: str) -> None:
    (ticket,) = read_recent(
        write_recent(tmp_path, record("T-1", status=status)), DecidedAssistant(index, FakeEmbedder())
    )
    assert not ticket.is_open


def test_docs_name_every_status_of_a_closed_ticket() -> None:
    page = (Path(__file__).parent.parent / "docs" / "triage.md").read_text("utf-8")
    told = page.partition("Any `status` but ")[2].partition(" is open")[0]
    assert set(told.replace(" or ", ", ").replace("\n", " ").replace(",", " ").split()) == CLOSED_STATUSES


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "recent.jsonl:1: is not JSON"),
        ("[]", "must be one JSON object"),
        ('{"text": "x"}', 'needs a non-empty "_id"'),
        ('{"_id": "1", "created": "2026-11-25T09:30:00Z"}', 'neither "title" nor "text"'),
        ('{"_id": "1", "text": "x", "created": "2026-11-25T09:30:00"}', "has no time zone"),
        ('{"_id": "1", "text": "x"}', "must be an ISO time"),
        ("", "holds no ticket"),
    ],
)
def test_a_bad_line_is_named(index: Path, tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "recent.jsonl"
    file.write_text(f"{line}\n")
    with pytest.raises(DatasetError, match=message):
        read_recent(file, DecidedAssistant(index, FakeEmbedder()))


def test_a_missing_file_is_named(index: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere\.jsonl: cannot be read"):
        run(index, TEXT, "--recent", str(tmp_path / "nowhere.jsonl"))


def test_bytes_that_are_no_text_do_not_look_like_no_answer(index: Path) -> None:
    """Exit status 1 would tell a script that no article covers the ticket."""
    for command in ("triage", "search"):
        result = runner.invoke(app, [command, "-", "--index", str(index)], input=TEXT.encode() + b"\nh\xe9 401")
        assert result.exit_code == 0, result.exception
