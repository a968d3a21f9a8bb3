"""Recent tickets: enough is kept to recognise one, and not a word of it."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from service.connectors.contract import Event, EventKind
from service.database import Database
from service.intake.recent import RecentTickets, account_of
from service.triage_similar import ALERTS

DAY_S = 86_400.0
EVENT = Event(EventKind.TICKET, "d1", "42", "It fails", "secretword", url="https://help.example.com/42")
CODE = "error code: ora-12154"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'state.sqlite'}")
    yield database
    database.close()


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


def test_a_ticket_is_recognised_without_its_words(database: Database) -> None:
    recent = RecentTickets(database, 14 * DAY_S)
    recent.remember("zendesk", EVENT, unit(1, 2, 3), {CODE, "other: x"}, "e1", 1000.0)
    (ticket,) = recent.window("zendesk", {CODE}, "e1", 2000.0)
    assert (ticket.ticket_id, ticket.url, ticket.title, ticket.created_s) == ("42", EVENT.url, "", 1000.0)
    assert ticket.signatures == {CODE}
    assert ticket.is_open
    assert float(ticket.vector @ unit(1, 2, 3)) == pytest.approx(1.0, abs=1e-3)
    with database.begin() as connection:
        row = str(tuple(connection.execute(text("select * from intake_recent")).one()))
    for word in ("It fails", "secretword", "ora-12154"):
        assert word not in row


def test_a_ticket_keeps_what_it_was_first_about_and_can_be_closed(database: Database) -> None:
    recent = RecentTickets(database, 14 * DAY_S)
    recent.remember("zendesk", EVENT, unit(1, 0), {CODE}, "e1", 1000.0)
    assert len(recent.window("zendesk", (), "e1", 1500.0)) == 1
    comment = dataclasses.replace(EVENT, fields={"status": "Solved"})
    recent.remember("zendesk", comment, unit(0, 1), set(), "e1", 5000.0)
    (ticket,) = recent.window("zendesk", {CODE}, "e1", 6000.0)
    assert (ticket.created_s, ticket.is_open, set(ticket.signatures)) == (1000.0, False, {CODE})
    assert float(ticket.vector @ unit(1, 0)) == pytest.approx(1.0, abs=1e-3)


def test_a_status_is_taken_over_by_every_process_and_alone(database: Database) -> None:
    first, second = RecentTickets(database, DAY_S), RecentTickets(database, DAY_S)
    first.remember("zendesk", EVENT, unit(1, 0), {CODE}, "e1", 1000.0)
    for number in range(60):
        other = dataclasses.replace(EVENT, subject_id=f"o{number}")
        first.remember("zendesk", other, unit(1, 0), (), "e1", 900.0)
    assert second.window("zendesk", (), "e1", 1500.0)[0].is_open
    for status, is_open in (("solved", False), ("open", True), ("", True), ("CANCELED", False)):
        event = Event(EventKind.IGNORED, "d2", "42", fields={"status": status})
        first.update_status("zendesk", event)
        first.update_status("jira", event)
        ticket = second.window("zendesk", {CODE}, "e1", 1500.0)[0]
        assert (ticket.ticket_id, ticket.is_open, ticket.created_s) == ("42", is_open, 1000.0)
        assert (ticket.url, set(ticket.signatures)) == (EVENT.url, {CODE})
    first.update_status("zendesk", Event(EventKind.IGNORED, "d3", "unknown", fields={"status": "solved"}))
    assert len(second.window("zendesk", (), "e1", 1500.0)) == 61


def test_another_process_sees_it_and_another_embedder_does_not(database: Database) -> None:
    first, second = RecentTickets(database, 14 * DAY_S), RecentTickets(database, 14 * DAY_S)
    assert list(second.window("zendesk", (), "e1", 1500.0)) == []
    first.remember("zendesk", EVENT, unit(1, 0), (), "e1", 1000.0)
    assert len(second.window("zendesk", (), "e1", 1500.0)) == 1
    assert list(second.window("zendesk", (), "e2", 1500.0)) == []
    second.remember("zendesk", EVENT, unit(1, 0, 0), (), "e2", 2000.0)
    assert len(first.window("zendesk", (), "e2", 2500.0)) == 1


def test_tickets_of_another_tool_are_named_with_it(database: Database) -> None:
    recent = RecentTickets(database, 14 * DAY_S)
    recent.remember("jira", EVENT, unit(1, 0), (), "e1", 1000.0)
    assert recent.window("zendesk", (), "e1", 1500.0)[0].ticket_id == "jira 42"


def test_old_tickets_are_left_out_and_purged(database: Database) -> None:
    recent = RecentTickets(database, DAY_S)
    recent.remember("zendesk", EVENT, unit(1, 0), (), "e1", 1000.0)
    recent.remember("zendesk", dataclasses.replace(EVENT, subject_id="43"), unit(1, 0), (), "e1", 2 * DAY_S)
    assert [ticket.ticket_id for ticket in recent.window("zendesk", (), "e1", 2 * DAY_S)] == ["43"]
    assert recent.purge(DAY_S) == 1


def test_an_account_is_known_again_in_its_own_tool(database: Database) -> None:
    recent = RecentTickets(database, DAY_S)
    for name, connector, account in (("1", "zendesk", "a1"), ("2", "jira", "a1"), ("3", "zendesk", "")):
        known = {"account": account} if account else {}
        event = dataclasses.replace(EVENT, subject_id=name, fields=known)
        recent.remember(connector, event, unit(1, 0), (), "e1", 1000.0)
    later = dataclasses.replace(EVENT, subject_id="1", fields={})
    recent.remember("zendesk", later, unit(1, 0), (), "e1", 2000.0)
    found = {ticket.ticket_id: ticket.account for ticket in recent.window("zendesk", (), "e1", 3000.0)}
    assert found == {"1": "zendesk:a1", "jira 2": "jira:a1", "3": ""}
    assert account_of("zendesk", dataclasses.replace(EVENT, fields={"account": "a1"})) == found["1"]


@pytest.mark.parametrize(
    ("kind", "fields", "name"),
    [
        (EventKind.TICKET, {"name": "INC0010020"}, "INC0010020"),
        (EventKind.ALERT, {}, "It fails"),
        (EventKind.TICKET, {}, ""),
    ],
)
def test_a_ticket_whose_id_nobody_knows_has_a_name(
    database: Database, kind: EventKind, fields: dict[str, str], name: str
) -> None:
    recent = RecentTickets(database, DAY_S)
    recent.remember("servicenow", dataclasses.replace(EVENT, kind=kind, fields=fields), unit(1, 0), (), "e1", 1000.0)
    assert [ticket.name for ticket in recent.window("servicenow", (), "e1", 2000.0)] == [name]
    assert [ticket.name for ticket in recent.window("jira", (), "e1", 2000.0)] == [name and f"servicenow {name}"]
    later = dataclasses.replace(EVENT, title="Re: It fails", kind=kind, fields={**fields, "status": "open"})
    recent.remember("servicenow", later, unit(1, 0), (), "e1", 3000.0)
    assert [ticket.name for ticket in recent.window("servicenow", (), "e1", 4000.0)] == [name]


def test_alerts_of_all_tools_are_of_one_account(database: Database) -> None:
    recent = RecentTickets(database, DAY_S)
    for connector in ("pagerduty", "alertmanager"):
        alert = dataclasses.replace(EVENT, kind=EventKind.ALERT, fields={"account": "a1"})
        assert account_of(connector, alert) == ALERTS
        recent.remember(connector, alert, unit(1, 0), (), "e1", 1000.0)
    assert {ticket.account for ticket in recent.window("zendesk", (), "e1", 3000.0)} == {ALERTS}


def test_a_table_of_an_earlier_version_gets_the_column_and_that_version_can_go_on_writing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite'}"
    with closing(sqlite3.connect(tmp_path / "old.sqlite")) as old:
        old.execute(
            "create table intake_recent (id integer primary key, connector varchar(40) not null,"
            " subject_id varchar(300) not null, url text not null, created_s float not null, is_open boolean not null,"
            " embedder varchar(100) not null, vector blob not null, signatures text not null)"
        )
        write_as_before = (
            "insert into intake_recent (connector, subject_id, url, created_s, is_open, embedder, vector, signatures)"
            " values ('zendesk', ?, '', 1000.0, 1, 'e1', x'003c0000', '[]')"
        )
        old.execute(write_as_before, ("1",))
        old.commit()
        database = Database(url)
        recent = RecentTickets(database, DAY_S)
        recent.remember("zendesk", dataclasses.replace(EVENT, fields={"account": "a1"}), unit(1, 0), (), "e1", 1000.0)
        old.execute(write_as_before, ("2",))
        old.commit()
        found = {ticket.ticket_id: ticket.account for ticket in recent.window("zendesk", (), "e1", 3000.0)}
        database.close()
    assert found == {"1": "", "42": "zendesk:a1", "2": ""}


def test_new_tickets_are_seen_after_all_old_ones_were_purged(database: Database) -> None:
    """As in a table of an earlier version, whose ids begin at 1 again once it is empty."""
    with database.begin() as connection:
        made = connection.execute(text("select sql from sqlite_master where name = 'intake_recent'")).scalar_one()
        assert "AUTOINCREMENT" in made
        connection.execute(text("drop table intake_recent"))
        connection.execute(text(made.replace("AUTOINCREMENT", "")))
    recent = RecentTickets(database, DAY_S)
    for number in range(100):
        old = dataclasses.replace(EVENT, subject_id=str(number))
        recent.remember("zendesk", old, unit(1, 0), (), "e1", 1000.0)
    assert len(recent.window("zendesk", (), "e1", 2000.0)) == 100
    assert recent.purge(2 * DAY_S) == 100
    recent.remember("zendesk", EVENT, unit(1, 0), (), "e1", 3 * DAY_S)
    assert [ticket.ticket_id for ticket in recent.window("zendesk", (), "e1", 3 * DAY_S)] == ["42"]


def test_none_is_kept_where_that_is_turned_off(database: Database) -> None:
    recent = RecentTickets(database, 0)
    recent.remember("zendesk", EVENT, unit(1, 0), (), "e1", 1000.0)
    assert list(recent.window("zendesk", (), "e1", 1000.0)) == []
    with database.begin() as connection:
        assert connection.execute(text("select count(*) from intake_recent")).scalar() == 0
