"""What every connector refuses, each for its own reason; and that nothing a stranger sends breaks one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import SettingsError
from service.connectors.contract import ConnectorConfig, Event, Inbound, Rejected, RejectedReason
from service.connectors.registry import CONNECTORS, check_config
from tests.connectors.world import NOW_S, VENDORS, Fixture, load_fixtures, signed

ALL = load_fixtures()
WITH_JSON = [fixture for fixture in ALL if "body" in fixture.data]
FIRST: dict[str, Fixture] = {}
for _fixture in ALL:
    FIRST.setdefault(_fixture.vendor, _fixture)

BEARER_ONLY = {name for name, vendor in VENDORS.items() if not vendor.signs_body}
TIMED = sorted(name for name, vendor in VENDORS.items() if vendor.has_timestamp)
READS_ANY_BODY = {"email"}
"""A mail without a single header is still a mail."""

each_vendor = pytest.mark.parametrize("name", sorted(CONNECTORS))


def _reason(name: str, inbound: Inbound, config: ConnectorConfig | None = None) -> RejectedReason:
    with pytest.raises(Rejected) as caught:
        _take(name, inbound, config)
    assert caught.value.detail
    return caught.value.reason


def _take(name: str, inbound: Inbound, config: ConnectorConfig | None = None) -> Event:
    connector, used = CONNECTORS[name], config or VENDORS[name].config
    connector.verify(inbound, used)
    return connector.parse(inbound, used)


@each_vendor
def test_no_signature(name: str) -> None:
    inbound = Inbound({"content-type": VENDORS[name].content_type}, FIRST[name].body, NOW_S)
    assert _reason(name, inbound) is RejectedReason.BAD_SIGNATURE


@each_vendor
def test_signature_of_another_secret(name: str) -> None:
    config = replace(VENDORS[name].config, secrets=("bm90IHRoZSBzZWNyZXQ=", "whsec_bm90IHRoZSBzZWNyZXQ="))
    assert _reason(name, FIRST[name].inbound(), config) is RejectedReason.BAD_SIGNATURE


@pytest.mark.parametrize("name", sorted(set(CONNECTORS) - BEARER_ONLY))
def test_altered_body(name: str) -> None:
    inbound = FIRST[name].inbound()
    assert _reason(name, replace(inbound, body=inbound.body + b" ")) is RejectedReason.BAD_SIGNATURE


@pytest.mark.parametrize("offset_s", [-301, 301])
@pytest.mark.parametrize("name", TIMED)
def test_stale_timestamp(name: str, offset_s: int) -> None:
    fixture = FIRST[name]
    assert _reason(name, fixture.inbound(now_s=NOW_S + offset_s)) is RejectedReason.STALE_TIMESTAMP


@pytest.mark.parametrize("given_type", [None, "", "text/plain", "application/json-patch+json", "é"])
@each_vendor
def test_wrong_content_type(name: str, given_type: str | None) -> None:
    inbound = FIRST[name].inbound()
    headers = {header: value for header, value in inbound.headers.items() if header != "content-type"}
    if given_type is not None:
        headers["content-type"] = given_type
    assert _reason(name, replace(inbound, headers=headers)) is RejectedReason.WRONG_CONTENT_TYPE


@each_vendor
def test_content_type_with_a_charset_passes(name: str) -> None:
    inbound = FIRST[name].inbound()
    headers = {**inbound.headers, "content-type": f"{inbound.headers['content-type'].title()}; charset=utf-8"}
    _take(name, replace(inbound, headers=headers), FIRST[name].config)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b'{"a":' * 100_000, b"9" * 9999],
    ids=lambda body: repr(body[:8]),
)
@pytest.mark.parametrize("name", sorted(set(CONNECTORS) - READS_ANY_BODY))
def test_malformed_body(name: str, body: bytes) -> None:
    inbound = signed(name, body, headers=FIRST[name].data.get("headers", {}))
    assert _reason(name, inbound) is RejectedReason.MALFORMED


@pytest.mark.parametrize("name", sorted(name for name, vendor in VENDORS.items() if vendor.unknown_event))
def test_unknown_event(name: str) -> None:
    headers, body = VENDORS[name].unknown_event or ({}, {})
    inbound = signed(name, json.dumps(body).encode(), headers=headers)
    assert _reason(name, inbound) is RejectedReason.UNKNOWN_EVENT


@each_vendor
def test_secrets_rotate(name: str) -> None:
    config = FIRST[name].config
    rotated = replace(config, secrets=("bm90IHRoZSBzZWNyZXQ=", *config.secrets))
    _take(name, FIRST[name].inbound(), rotated)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)


@each_vendor
@settings(max_examples=25)
@given(body=st.binary(max_size=200), headers=st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4))
def test_arbitrary_bytes_raise_nothing_but_rejected(name: str, body: bytes, headers: dict[str, str]) -> None:
    _is_event_or_rejected(name, signed(name, body, headers=headers))


@pytest.mark.parametrize("name", sorted({fixture.vendor for fixture in WITH_JSON}))
@settings(max_examples=40)
@given(data=st.data())
def test_any_value_in_a_documented_place_raises_nothing_but_rejected(name: str, data: st.DataObject) -> None:
    """The documented payload with one to three values replaced by anything at all."""
    fixture = data.draw(st.sampled_from([fixture for fixture in WITH_JSON if fixture.vendor == name]))
    body = json.loads(fixture.body)
    for _ in range(data.draw(st.integers(1, 3))):
        _replace_somewhere(body, data)
    _is_event_or_rejected(name, fixture.inbound(json.dumps(body).encode()), fixture.config)


def _replace_somewhere(value: dict[str, object], data: st.DataObject) -> None:
    place = value
    while place:
        name = data.draw(st.sampled_from(sorted(place)))
        inner = place[name]
        if not (isinstance(inner, dict) and inner) or data.draw(st.booleans()):
            place[name] = data.draw(JSON)
            return
        place = inner


def _is_event_or_rejected(name: str, inbound: Inbound, config: ConnectorConfig | None = None) -> None:
    try:
        event = _take(name, inbound, config)
    except Rejected as rejection:
        assert rejection.detail
        return
    assert event.delivery_id
    assert len(event.delivery_id) <= 200
    json.dumps(event.fields).encode()
    (event.title + event.text + event.url + event.subject_id).encode()


@each_vendor
def test_configuration_of_the_tests_is_complete_and_gaps_are_named(name: str) -> None:
    config = VENDORS[name].config
    check_config(name, config)
    with pytest.raises(SettingsError, match="secrets is not set"):
        check_config(name, replace(config, secrets=()))
    with pytest.raises(SettingsError, match="no option colour"):
        check_config(name, replace(config, options={**config.options, "colour": "red"}))


def test_unknown_connector_is_named() -> None:
    with pytest.raises(SettingsError, match=r"there is no connector zendesq; there are .*zendesk"):
        check_config("zendesq", ConnectorConfig())
