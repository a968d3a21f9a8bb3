"""The deflection ledger: what counts as what, what is stored, who may write and who may read."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update
from typer.testing import CliRunner

from eval.cli import app as kb
from service.database import Database
from service.deflection import Event, EventKind, Surface, Tally, count_visits
from service.feedback import FEEDBACK, Feedback
from service.http.tidying import keep_ledger_tidy
from service.ledger import EVENTS, Ledger
from service.settings import Settings
from service.stores import Stores
from tests.http_world import SECRETS, World, make_world

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
SHOWN, OPENED, SOLVED, UNSOLVED, SUBMITTED = EventKind
SESSION = "0b7c2f6e-64a3-4a0c-9a07-2f7c6c0d7a55"


def visit(*kinds: EventKind, ago: timedelta, session: str = SESSION, surface: Surface = Surface.FORM) -> list[Event]:
    """Events a minute apart, the last of them `ago` before NOW."""
    last = len(kinds) - 1
    return [
        Event(NOW - ago - timedelta(minutes=last - number), session, kind, surface) for number, kind in enumerate(kinds)
    ]


HOUR, MONTH, DAYS_2 = timedelta(hours=1), timedelta(days=30), timedelta(days=2)
SOLVED_A_MONTH_AGO = visit(SHOWN, SOLVED, ago=MONTH)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (visit(SHOWN, OPENED, SOLVED, ago=MONTH), Tally(shown=1, opened=1, explicit=1, durable=1)),
        (visit(SHOWN, ago=MONTH), Tally(shown=1, implicit=1, durable=1)),
        (visit(SHOWN, OPENED, UNSOLVED, ago=DAYS_2), Tally(shown=1, opened=1, implicit=1, early=1)),
        (visit(SHOWN, SUBMITTED, ago=MONTH), Tally(shown=1, submitted_anyway=1)),
        (visit(SHOWN, OPENED, SOLVED, SUBMITTED, ago=MONTH), Tally(shown=1, opened=1, submitted_anyway=1)),
        (visit(SHOWN, ago=timedelta(minutes=29)), Tally(shown=1, under_way=1)),
        (visit(SHOWN, SOLVED, ago=timedelta(minutes=1)), Tally(shown=1, explicit=1, early=1)),
        (visit(SUBMITTED, ago=MONTH), Tally()),
        (visit(SUBMITTED, SHOWN, ago=MONTH), Tally(shown=1, submitted_anyway=1)),
        (
            SOLVED_A_MONTH_AGO + visit(SUBMITTED, ago=MONTH - DAYS_2),
            Tally(shown=1, explicit=1, returned=1),
        ),
        (SOLVED_A_MONTH_AGO + visit(SUBMITTED, ago=DAYS_2), Tally(shown=1, explicit=1, durable=1)),
        (visit(SHOWN, ago=timedelta(days=6)) + visit(SUBMITTED, ago=HOUR), Tally(shown=1, implicit=1, returned=1)),
        (visit(SHOWN, ago=MONTH) + visit(SHOWN, ago=DAYS_2), Tally(shown=2, implicit=2, durable=1, early=1)),
    ],
)
def test_a_visit_is_judged(events: list[Event], expected: Tally) -> None:
    tally = count_visits(events, NOW, WEEK)[Surface.FORM]
    assert tally == expected
    assert tally.shown == tally.explicit + tally.implicit + tally.submitted_anyway + tally.under_way
    assert tally.explicit + tally.implicit == tally.durable + tally.returned + tally.early


def test_another_session_s_ticket_does_not_count() -> None:
    events = visit(SHOWN, ago=MONTH, session="session-a") + visit(SUBMITTED, ago=MONTH - DAYS_2, session="session-b")
    assert count_visits(events, NOW, WEEK)[Surface.FORM] == Tally(shown=1, implicit=1, durable=1)


def test_a_visit_that_touched_a_form_belongs_to_the_form() -> None:
    searched = visit(SHOWN, ago=MONTH + timedelta(minutes=5), surface=Surface.SEARCH)
    tallies = count_visits(searched + visit(SUBMITTED, ago=MONTH), NOW, WEEK)
    assert tallies == {Surface.SEARCH: Tally(), Surface.FORM: Tally(shown=1, submitted_anyway=1)}


def test_shares_are_of_visits_shown_and_durable_of_those_old_enough() -> None:
    tally = Tally(shown=10, opened=5, explicit=3, implicit=3, submitted_anyway=4, durable=2, returned=2, early=2)
    assert tally.shares == {
        "opened": 0.5,
        "explicit": 0.3,
        "implicit": 0.3,
        "submitted_anyway": 0.4,
        "under_way": 0.0,
        "durable": 0.5,
    }
    assert set(Tally().shares.values()) == {None}


def test_events_survive_the_database_and_are_counted(tmp_path: Path) -> None:
    ledger = Ledger(Database(f"sqlite:///{tmp_path / 'state.sqlite'}"))
    for number in range(3):
        for event in visit(SHOWN, SOLVED, ago=DAYS_2, session=f"session-{number}"):
            ledger.add(event)
    for event in visit(SHOWN, ago=MONTH * 3, session="long-ago"):
        ledger.add(event)
    report = ledger.report(days=30, durable_days=1, now=NOW)
    assert report.tallies[Surface.FORM] == Tally(shown=3, explicit=3, durable=3)
    assert report.as_dict()["visits"]["all"]["shares"]["durable"] == 1.0
    assert ledger.report(days=30, durable_days=7, now=NOW).total.early == 3
    assert ledger.report(days=365, durable_days=7, now=NOW).total.shown == 4


def test_there_is_no_column_for_what_was_typed() -> None:
    assert set(EVENTS.columns.keys()) == {
        *("id", "created", "session", "kind", "surface", "articles", "index_version", "key_id")
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("ledger"))


@pytest.fixture
def page(world: World) -> Iterator[TestClient]:
    """A web page with its publishable key."""
    with world.client() as client:
        client.headers.update(page_headers(world))
        yield client


def page_headers(world: World) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.page_key}", "Origin": world.page_origin}


def event_of(kind: str = "shown", *articles: str, **more: object) -> dict[str, object]:
    return {"session": SESSION, "event": kind, "surface": "form", "articles": list(articles), **more}


def test_a_page_writes_and_the_team_reads(page: TestClient, world: World) -> None:
    for event in (event_of("shown", "KB-1001", "KB-1003"), event_of("opened", "KB-1001"), event_of("submitted")):
        assert page.post("/v1/events", json=event).status_code == 201
    assert page.get("/v1/deflection").status_code == 403
    with world.client(world.integrator) as outsider:
        assert outsider.post("/v1/events", json=event_of("submitted")).status_code == 201
        assert outsider.get("/v1/deflection").status_code == 403
    with world.client(world.engineer) as team:
        body = team.get("/v1/deflection", params={"days": 1}).json()
        assert body["durable_days"] == 7
        assert body["visits"]["form"]["submitted_anyway"] == body["visits"]["all"]["opened"] == 1
        assert team.get("/v1/deflection?durable_days=2").json()["durable_days"] == 2


def test_only_a_key_s_holder_writes(page: TestClient, world: World) -> None:
    with world.client() as anonymous:
        assert anonymous.post("/v1/events", json=event_of()).status_code == 403
        anonymous.post("/v1/session", json={"token": world.engineer})
        assert anonymous.post("/v1/events", json=event_of()).status_code == 403
    assert page.post("/v1/events", json=event_of(), headers={"Origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"query": "why does my laser printer smoke"},
        {"session": "short"},
        {"session": "ada@example.com-12345"},
        {"event": "clicked"},
        {"surface": "chat"},
        {"articles": ["KB-1001"] * 11},
        {"index_version": "my laser printer smokes"},
    ],
)
def test_an_event_has_no_room_for_anything_else(page: TestClient, change: dict[str, object]) -> None:
    response = page.post("/v1/events", json=event_of() | change)
    assert response.status_code == 422
    assert "laser" not in response.text


def test_a_large_event_is_refused(page: TestClient) -> None:
    assert page.post("/v1/events", json=event_of("shown", *["x" * 900] * 5)).status_code == 413


def test_an_internal_article_cannot_be_told_from_none(page: TestClient, world: World) -> None:
    missing = page.post("/v1/events", json=event_of("opened", "KB-0000"))
    internal = page.post("/v1/events", json=event_of("opened", "KB-7777"))
    assert missing.status_code == internal.status_code == 404
    assert missing.json()["detail"] == internal.json()["detail"]
    assert page.post("/v1/events", json=event_of("shown", "KB-7777", "KB-1003")).status_code == 201
    with world.client(world.engineer) as team:
        assert team.post("/v1/events", json=event_of("opened", "KB-7777")).status_code == 404
    with Database(world.settings.state_url).begin() as connection:
        stored = str(connection.execute(EVENTS.select()).all())
    assert "mail/bounce.md" in stored
    assert not [word for word in SECRETS if word.casefold() in stored.casefold()]


def test_events_are_rate_limited(world: World) -> None:
    with world.client(rate_limit_per_minute=3) as client:
        client.headers.update(page_headers(world))
        statuses = [client.post("/v1/events", json=event_of()).status_code for _ in range(5)]
    assert statuses[0] == 201
    assert statuses[-1] == 429


def test_the_report_on_the_terminal(tmp_path: Path) -> None:
    index = tmp_path / "index"
    (index / "version").mkdir(parents=True)
    (index / "CURRENT").write_text("version")
    run = CliRunner()
    nothing = run.invoke(kb, ["deflection", "--index", str(index)])
    assert nothing.exit_code == 0
    assert "docs/widget.md" in nothing.output
    ledger = Ledger(Database(f"sqlite:///{tmp_path / 'index.state.sqlite'}"))
    now = datetime.now(UTC)
    for kind in (SHOWN, SOLVED):
        ledger.add(Event(now - timedelta(days=3), SESSION, kind, Surface.FORM))
    ledger.add(Event(now - timedelta(days=3), "another-session", SHOWN, Surface.FORM))
    table = run.invoke(kb, ["deflection", "--index", str(index), "--durable-days", "2"]).output
    assert "explicit: marked as solved" in table
    assert "50%" in table
    assert "no ticket within 2 days" in table
    told = json.loads(run.invoke(kb, ["deflection", "--index", str(index), "--json"]).output)
    assert told["visits"]["form"]["implicit"] == 1
    assert told["visits"]["form"]["early"] == 2
    assert told["visits"]["search"]["shares"]["explicit"] is None


def test_old_events_are_deleted_and_the_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.database._DELETED_AT_A_TIME", 3)
    ledger = Ledger(Database(f"sqlite:///{tmp_path / 'state.sqlite'}"))
    for event in [
        *visit(SHOWN, SOLVED, OPENED, UNSOLVED, ago=MONTH, session="an-old-session"),
        *visit(SHOWN, ago=HOUR),
    ]:
        ledger.add(event)
    assert ledger.purge(NOW - WEEK) == 4
    assert ledger.purge(NOW - WEEK) == 0
    assert ledger.report(60, 7, NOW).total == Tally(shown=1, implicit=1, early=1)


def test_the_service_deletes_what_is_old_and_makes_no_database_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(index=tmp_path / "index")

    async def tidy() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(keep_ledger_tidy(Stores(settings), 400, 0.0, 0.01), 0.5)

    asyncio.run(tidy())
    assert not settings.state_file.exists()
    now = datetime.now(UTC)
    ledger = Ledger(Database(settings.state_url))
    for days in (401, 399):
        ledger.add(Event(now - timedelta(days=days), SESSION, SHOWN, Surface.FORM))
    caplog.set_level("INFO", "kb.serve")
    asyncio.run(tidy())
    assert ledger.report(3660, 7).total.shown == 1
    assert caplog.messages == ["events of the deflection ledger older than 400 days, deleted: 1"]


def test_the_service_deletes_old_feedback_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stores = Stores(Settings(index=tmp_path / "index"))
    for article in ("old.md", "new.md"):
        stores.feedback.add(Feedback("version", article, True, "", "public", None))
    with stores.database.begin() as connection:
        created = datetime.now(UTC) - timedelta(days=401)
        connection.execute(update(FEEDBACK).where(FEEDBACK.c.article == "old.md").values(created=created))
    caplog.set_level("INFO", "kb.serve")

    async def tidy() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(keep_ledger_tidy(stores, 400, 0.0, 0.01), 0.5)

    asyncio.run(tidy())
    assert [verdicts.article for verdicts in stores.feedback.report(3660)] == ["new.md"]
    assert caplog.messages == ["feedback older than 400 days, deleted: 1"]
