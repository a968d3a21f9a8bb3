"""Every vendor's documented payloads: what each becomes, and what is written back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.connectors.contract import Event, EventKind, is_public_reply
from service.connectors.marking import is_own_note, note_marker
from service.connectors.registry import CONNECTORS
from tests.connectors.world import NOTE, VENDORS, Fixture, event_json, load_fixtures, outbound_json

ALL = load_fixtures()
ANSWERED = [fixture for fixture in ALL if "calls" in fixture.data]
each_fixture = pytest.mark.parametrize("fixture", ALL, ids=lambda fixture: f"{fixture.vendor}-{fixture.name}")


def test_every_connector_has_fixtures_and_every_fixture_a_source() -> None:
    assert {fixture.vendor for fixture in ALL} == set(CONNECTORS) == set(VENDORS)
    assert [fixture.name for fixture in ALL if not fixture.data["source"].startswith(("https://", "docs/"))] == []


@each_fixture
def test_delivery_becomes_the_expected_event(fixture: Fixture) -> None:
    connector, inbound = CONNECTORS[fixture.vendor], fixture.inbound()
    connector.verify(inbound, fixture.config)
    assert event_json(connector.parse(inbound, fixture.config)) == fixture.data["event"]


@pytest.mark.parametrize("fixture", ANSWERED, ids=lambda fixture: f"{fixture.vendor}-{fixture.name}")
def test_note_becomes_the_expected_calls(fixture: Fixture) -> None:
    connector, config = CONNECTORS[fixture.vendor], fixture.config
    event = connector.parse(fixture.inbound(), config)
    note = replace(NOTE, public=is_public_reply(event, config))
    calls = [outbound_json(call) for call in connector.render(note, event, config)]
    marker = note_marker(event)
    assert _with_marker(calls, marker) == fixture.data["calls"]
    assert _with_marker(connector.render_immediate(note, event, config), marker) == fixture.data.get("response", {})


@each_fixture
def test_fixture_says_what_is_written_back(fixture: Fixture) -> None:
    answered = fixture.data["event"]["kind"] not in {EventKind.IGNORED, EventKind.HANDSHAKE}
    assert ("calls" in fixture.data) == answered


def test_marker_differs_by_event_and_is_known_when_it_returns() -> None:
    events = [Event(EventKind.TICKET, delivery, subject_id=subject) for delivery, subject in ("ab", "ac", "bb")]
    assert len({note_marker(event) for event in events}) == 3
    assert is_own_note(f"Suggested articles\n\n{note_marker(events[0])}\n")
    assert not is_own_note(f"> {note_marker(events[0])}")
    assert not is_own_note(f"{note_marker(events[0])}\nThat did not help.")


def _with_marker(value: object, marker: str) -> object:
    """The marker is a digest: fixtures write `<marker>` for it."""
    if isinstance(value, str):
        return value.replace(marker, "<marker>").replace(marker.replace(":", "-"), "<marker-id>")
    if isinstance(value, dict):
        return {name: _with_marker(item, marker) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_marker(item, marker) for item in value]
    return value
