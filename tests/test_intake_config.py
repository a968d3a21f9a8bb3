"""The connectors file: everything wrong in it is found before the service starts, and no secret is ever shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from indexer.errors import SettingsError
from service.connectors import reading
from service.connectors.contract import SWITCH
from service.connectors.registry import CONNECTORS
from service.intake.config import load_connectors, origin_of
from service.intake.runtime import Intake
from service.settings import load_settings

ZENDESK = {"secrets": ["s3cret"], "base_url": "https://example.zendesk.com", "token": "t0ken"}


def write(file: Path, values: Any, mode: int = 0o600) -> Path:
    file.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    file.chmod(mode)
    return file


def test_yaml_and_toml_say_the_same(tmp_path: Path) -> None:
    in_yaml = write(tmp_path / "c.yaml", {"zendesk": {**ZENDESK, "options": {"add_tags": True}, "concurrency": 2}})
    in_toml = write(
        tmp_path / "c.toml",
        '[zendesk]\nsecrets = "s3cret"\nbase_url = "https://example.zendesk.com/"\ntoken = "t0ken"\nconcurrency = 2\n'
        "[zendesk.options]\nadd_tags = true\n",
    )
    first, second = load_connectors(in_yaml, {}), load_connectors(in_toml, {})
    assert first["zendesk"].config == second["zendesk"].config
    assert first["zendesk"].config.options == {"add_tags": "yes"}
    assert first["zendesk"].origins == {"https://example.zendesk.com"}
    assert (first["zendesk"].concurrency, first["zendesk"].config.public_replies) == (2, False)


def test_no_file_means_no_connectors() -> None:
    assert load_connectors(None, {}) == {}


def test_secrets_come_from_the_environment(tmp_path: Path) -> None:
    tables = {"zendesk": {**ZENDESK, "secrets": ["env:NEW", "env:OLD"], "token": "env:TOKEN"}}
    file = write(tmp_path / "c.yaml", tables, 0o644)
    config = load_connectors(file, {"NEW": "a", "OLD": "b", "TOKEN": "c"})["zendesk"].config
    assert (config.secrets, config.token) == (("a", "b"), "c")
    with pytest.raises(SettingsError, match="environment variable OLD is not set"):
        load_connectors(file, {"NEW": "a", "TOKEN": "c"})


def test_a_file_with_secrets_must_be_private(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="chmod 600") as caught:
        load_connectors(write(tmp_path / "c.yaml", {"zendesk": ZENDESK}, 0o640), {})
    assert "s3cret" not in str(caught.value)


def test_nobody_else_may_change_where_tokens_go(tmp_path: Path) -> None:
    file = write(tmp_path / "c.yaml", {"zendesk": {**ZENDESK, "secrets": "env:A", "token": "env:A"}}, 0o646)
    with pytest.raises(SettingsError, match="chmod go-w"):
        load_connectors(file, {"A": "a"})


def test_one_vendor_under_two_names(tmp_path: Path) -> None:
    other = {**ZENDESK, "connector": "zendesk", "base_url": "https://emea.zendesk.com"}
    connectors = load_connectors(write(tmp_path / "c.yaml", {"zendesk": ZENDESK, "zendesk-emea": other}), {})
    assert {name: found.connector.name for name, found in connectors.items()} == {
        "zendesk": "zendesk",
        "zendesk-emea": "zendesk",
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"zendesk": {**ZENDESK, "secret": "s3cret"}}, "`secret`"),
        ({"zendesk": {**ZENDESK, "concurrency": 0}}, "`concurrency`"),
        ({"zendesk": {**ZENDESK, "secrets": [17]}}, r"`secrets\.0`"),
        ({"zendesk": {**ZENDESK, "options": {"colour": "red"}}}, "colour"),
        ({"zendesk": {**ZENDESK, "secrets": []}}, "secrets is not set"),
        ({"zendesk": {**ZENDESK, "secrets": ["  "]}}, "empty secret"),
        ({"zendesk": {**ZENDESK, "token": ""}}, "token is not set"),
        ({"zendesk": {**ZENDESK, "base_url": "http://example.zendesk.com"}}, "must begin with https"),
        ({"zendesk": {**ZENDESK, "base_url": "https://user:pw@example.com"}}, "without user"),
        ({"zendesk": {**ZENDESK, "base_url": "example.zendesk.com"}}, "`base_url`"),
        ({"zendesk": {**ZENDESK, "base_url": "https://[::1"}}, "`base_url`"),
        ({"generic": {"secrets": "s3cret", "options": {"callback_url": "http://10.0.0.1/x"}}}, "`callback_url`"),
        ({"jira": {**ZENDESK, "options": {"site_url": "http://example.atlassian.net"}}}, "`site_url`: must begin"),
        ({"zendisk": ZENDESK}, "zendisk"),
        ({"zendesk-emea": ZENDESK}, "the key `connector` says which"),
        ({"zendesk": {**ZENDESK, "options": {"add_tags": "ja"}}}, "option add_tags takes yes or no"),
        ({"jira": {**ZENDESK, "options": {"api": "rest"}}}, "option api takes platform or servicedesk"),
        ({"Zendesk": ZENDESK}, "lower-case"),
        ({"zendesk": "s3cret"}, "`zendesk` must hold keys"),
        ("- a\n- b\n", "one table for each connector"),
        ("a: [s3cret\n", "not YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, values: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        load_connectors(write(tmp_path / "c.yaml", values), {})
    assert "s3cret" not in str(caught.value)
    assert "c.yaml" in str(caught.value)


GENERIC = {"secrets": "s3cret", "options": {"callback_url": "https://hooks.example.com/kb"}}
SERVICENOW = {"secrets": "s3cret", "base_url": "https://example.service-now.com", "token": "t0ken"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"generic": {**GENERIC, "secrets": ["whsec_not-base64!"]}}, "generic: a secret begins with whsec_"),
        ({"generic": {**GENERIC, "secrets": ["s3cret", "whsec_"]}}, "no base64 follows: copy it whole"),
        ({"generic": {**GENERIC, "token": "whsec_not-base64!"}}, "the token begins with whsec_"),
        ({"teams": {"secrets": "hello!"}}, "copy the security token whole"),
        ({"servicenow": SERVICENOW}, "does not begin with whsec_, and the requests are signed: make one with"),
        ({"servicenow": {**SERVICENOW, "secrets": "whsec_not-base64!"}}, "no base64 follows"),
    ],
)
def test_a_secret_that_cannot_verify_anything_is_found_at_load(tmp_path: Path, values: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        load_connectors(write(tmp_path / "c.yaml", values), {})
    for secret in ("s3cret", "not-base64", "hello"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("value", [True, False, "Yes", " off ", "1", 0, ""])
def test_a_switch_is_written_in_many_ways(tmp_path: Path, value: object) -> None:
    table = {**ZENDESK, "options": {"add_tags": value}}
    (found,) = load_connectors(write(tmp_path / "c.yaml", {"zendesk": table}), {}).values()
    assert reading.is_on(found.config, "add_tags") == (value in (True, "Yes", "1"))


def test_every_switch_is_known_as_one() -> None:
    for connector in CONNECTORS.values():
        switches = {name for name, meaning in connector.options.items() if meaning.startswith("yes: ")}
        assert switches == {name for name, taken in connector.choices.items() if taken == SWITCH}


def test_secrets_of_the_right_form_are_taken(tmp_path: Path) -> None:
    tables = {
        "generic": {**GENERIC, "secrets": ["s3cret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "token": "t0ken"},
        "teams": {"secrets": "dHdlbnR5LWZvdXIgYnl0ZXMgb2Yga2V5"},
        "servicenow": {**SERVICENOW, "secrets": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        "zendesk": {**ZENDESK, "secrets": "whsec_anything!"},
    }
    assert set(load_connectors(write(tmp_path / "c.yaml", tables), {})) == set(tables)


def test_toml_that_is_none_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not TOML"):
        load_connectors(write(tmp_path / "c.toml", "a = [\n"), {})
    with pytest.raises(SettingsError, match="cannot be read"):
        load_connectors(tmp_path / "none.yaml", {})


def test_the_settings_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from service.database import Database

    monkeypatch.setenv("KB_CONNECTORS_FILE", str(write(tmp_path / "c.yaml", {"zendesk": ZENDESK})))
    settings = load_settings(index=tmp_path / "index")
    assert list(Intake(settings, Database(settings.state_url), {}).connectors) == ["zendesk"]


def test_the_public_address_follows_host_and_port(tmp_path: Path) -> None:
    assert load_settings(index=tmp_path, host="0.0.0.0", port=81).public_address == "http://localhost:81"
    assert load_settings(index=tmp_path, host="::1").public_address == "http://[::1]:8000"
    assert (
        load_settings(index=tmp_path, public_url="https://kb.example.com/").public_address == "https://kb.example.com"
    )
    assert load_settings(index=tmp_path, public_url="HTTP://[::1]:8443").public_address == "HTTP://[::1]:8443"


@pytest.mark.parametrize(
    "url",
    [
        *("kb.example.com", "javascript:alert(1)", "https://", "ftp://kb.example.com", "https://kb.example.com:65536"),
        *(
            "https://help.example.com/kb",
            "https://kb.example.com//",
            "https://kb.example.com?x",
            "https://kb.example.com#x",
        ),
        *("https://me@kb.example.com", "https://kb.example.com ", "https://kb.example.com>", "https://kb .example.com"),
    ],
)
def test_a_public_address_that_links_cannot_begin_with_is_refused(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KB_PUBLIC_URL", url)
    with pytest.raises(SettingsError, match=r"setting `public_url`: (must be http:// or https:// and a host|Port out)"):
        load_settings(index=tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, 1),
        ({"host": "0.0.0.0"}, 1),
        ({"public_url": "http://localhost:8000"}, 1),
        ({"host": "192.0.2.7"}, 0),
        ({"public_url": "https://kb.example.com"}, 0),
        ({"connectors_file": None}, 0),
    ],
)
def test_who_would_send_links_that_nobody_else_can_open_is_told(
    tmp_path: Path, changes: dict[str, Any], told: int, caplog: pytest.LogCaptureFixture
) -> None:
    from service.database import Database

    file = write(tmp_path / "c.yaml", {"zendesk": ZENDESK})
    settings = load_settings(**{"index": tmp_path / "index", "connectors_file": file, **changes})
    Intake(settings, Database(settings.state_url), {}).composer(lambda: None)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == told
    assert all(f"begin with {settings.public_address}, which opens on this machine only" in line for line in warnings)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Example.com/x?y", "https://example.com"),
        ("https://example.com:443/", "https://example.com"),
        ("https://example.com:8443/", "https://example.com:8443"),
        ("http://127.0.0.1:80/", "http://127.0.0.1"),
        ("https://example.com@evil.example/", "https://evil.example"),
    ],
)
def test_origins(url: str, origin: str) -> None:
    assert origin_of(url) == origin
