"""Keys, sessions, origins, headers."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from indexer.errors import NotFound, SettingsError
from indexer.metadata import Audience
from service.http.app import create_app
from service.http.limits import RateLimiter
from service.http.security import CONTENT_SECURITY_POLICY, SESSION_COOKIE, Sessions
from service.identity import Identity
from service.keys import KeyFile, KeyKind, check_origin, make_key
from service.settings import Settings, load_settings
from tests.conftest import FakeEmbedder
from tests.http_world import DecidedAssistant, World, make_world, wait_until_ready


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("security"))


def test_a_key_is_stored_as_its_hash_only(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    key, token = make_key("engineer", KeyKind.SECRET, Audience.INTERNAL)
    keys.add(key)
    stored = keys.path.read_text()
    assert token.startswith("kbs_")
    assert len(token) >= 4 + 43
    assert token not in stored
    assert token[4:] not in stored
    assert json.loads(stored)["keys"][0]["sha256"] == key.sha256
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert keys.find(token) == key
    assert keys.find(token + "x") is None
    assert keys.find(key.sha256) is None


def test_a_revoked_key_stops_at_once_and_others_go_on(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    serving, editing = KeyFile(path), KeyFile(path)
    (one, one_token), (two, two_token) = (make_key(name, KeyKind.SECRET, Audience.PUBLIC) for name in "ab")
    editing.add(one)
    editing.add(two)
    assert serving.find(one_token)
    assert editing.revoke(one.id) == one
    assert serving.find(one_token) is None
    assert serving.find(two_token) == two
    with pytest.raises(NotFound):
        editing.revoke(one.id)


def test_keys_changed_at_the_same_time_are_all_changed(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = [make_key(f"key {number}", KeyKind.SECRET, Audience.PUBLIC)[0] for number in range(24)]
    old = make_key("old", KeyKind.SECRET, Audience.INTERNAL)[0]
    KeyFile(path).add(old)
    changes: list[Callable[[], object]] = [partial(KeyFile(path).add, key) for key in made]
    changes.insert(12, partial(KeyFile(path).revoke, old.id))
    with ThreadPoolExecutor(8) as pool:
        for change in [pool.submit(change) for change in changes]:
            change.result()
    assert {key.id for key in KeyFile(path).all()} == {key.id for key in made}


def test_a_key_file_that_cannot_be_looked_for_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be read \\(Not a directory\\); let this account read it"):
        KeyFile(tmp_path / "file" / "keys.json").find("kbs_x")


@pytest.mark.parametrize(
    ("kind", "audience", "origins"),
    [
        (KeyKind.PUBLISHABLE, Audience.INTERNAL, ("https://a.example",)),
        (KeyKind.PUBLISHABLE, Audience.PUBLIC, ()),
        (KeyKind.SECRET, Audience.INTERNAL, ("https://a.example",)),
        (KeyKind.PUBLISHABLE, Audience.PUBLIC, ("*",)),
        (KeyKind.PUBLISHABLE, Audience.PUBLIC, ("https://a.example/path",)),
        (KeyKind.PUBLISHABLE, Audience.PUBLIC, ("https://user@a.example",)),
        (KeyKind.PUBLISHABLE, Audience.PUBLIC, ("http://[",)),
    ],
)
def test_unsafe_keys_are_refused(kind: KeyKind, audience: Audience, origins: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError):
        make_key("x", kind, audience, origins)


def test_origins_are_kept_as_browsers_send_them() -> None:
    assert check_origin(" HTTPS://Help.Example.com/ ") == "https://help.example.com"
    assert check_origin("http://localhost:5500") == "http://localhost:5500"
    assert check_origin("https://help.example.com:443") == "https://help.example.com"
    assert check_origin("http://help.example.com:80/") == "http://help.example.com"
    assert check_origin("https://help.example.com:80") == "https://help.example.com:80"


def test_a_damaged_key_file_opens_nothing(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = tmp_path / "keys.json"
    broken.write_text("{")
    with pytest.raises(SettingsError, match="cannot be read"):
        KeyFile(broken).all()
    with TestClient(world.app(keys_file=broken)) as client:
        response = client.get("/v1/session", headers={"Authorization": f"Bearer {world.engineer}"})
        assert response.status_code == 503
        assert "Retry-After" in response.headers
        caplog.clear()
        signing_in = client.post("/v1/session", json={"token": world.engineer})
        assert signing_in.status_code == 503
        assert signing_in.json()["type"].endswith(":state-unavailable")
        assert "Retry-After" in signing_in.headers
        assert str(broken) in caplog.text
        assert str(broken) not in signing_in.text


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer", "Basic a2V5", "Bearer kbs_" + "é" * 3])
def test_a_wrong_credential_is_refused_rather_than_taken_for_none(world: World, header: str) -> None:
    with world.client() as client:
        response = client.get("/v1/session", headers={b"Authorization": header.encode()})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


def test_signing_in_and_out(world: World) -> None:
    with world.client() as client:
        assert client.get("/v1/session").json() == {"audience": "public", "signed_in": False, "name": ""}
        response = client.post("/v1/session", json={"token": world.engineer})
        assert response.json() == {"audience": "internal", "signed_in": True, "name": "engineer"}
        cookie = response.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie, "links in notes lead here from other sites"
        assert world.engineer not in cookie
        assert client.get("/v1/articles/KB-7777").status_code == 200
        assert "Sign out" in client.get("/").text
        old = client.cookies[SESSION_COOKIE]
        assert client.delete("/v1/session").status_code == 204
        client.cookies.set(SESSION_COOKIE, old)
        assert client.get("/v1/articles/KB-7777").status_code == 404


def test_the_sign_in_form_works_without_script(world: World) -> None:
    with world.client() as client:
        assert client.post("/sign-in", data={"token": "wrong"}).status_code == 401
        assert client.post("/sign-in", data={"token": world.page_key}).status_code == 401
        elsewhere = client.post("/sign-in", data={"token": world.engineer}, headers={"Origin": "https://evil.example"})
        assert elsewhere.status_code == 403
        page = client.post("/sign-in", data={"token": world.engineer})
        assert page.url.path == "/"
        assert "Sign out" in page.text
        assert "Sign in" in client.post("/sign-out").text


def test_a_session_serves_its_own_pages_only_and_ends_with_its_key(world: World) -> None:
    keys = KeyFile(world.settings.keys_path)
    key, token = make_key("short", KeyKind.SECRET, Audience.INTERNAL)
    keys.add(key)
    with world.client() as client:
        client.post("/v1/session", json={"token": token})
        asked = {"text": "quokka"}
        for origin in ("https://evil.example", "http://testserver:81", "null"):
            assert client.post("/v1/search", json=asked, headers={"Origin": origin}).status_code == 403
        assert client.post("/v1/search", json=asked, headers={"Origin": "http://testserver"}).status_code == 200
        keys.revoke(key.id)
        assert client.get("/v1/session").json()["signed_in"] is False


def test_a_one_time_link_works_once(world: World) -> None:
    sessions = Sessions(3600)
    app = create_app(world.settings, lambda: DecidedAssistant(world.index, FakeEmbedder()), sessions=sessions)
    token = sessions.issue_ticket("demo")
    with TestClient(app) as client:
        wait_until_ready(client)
        assert client.get("/v1/session", headers={"Authorization": f"Bearer {token}"}).status_code == 401
        assert client.post("/v1/session", json={"token": token}).json()["audience"] == "internal"
        assert client.get("/v1/articles/KB-7777").status_code == 200
        assert client.post("/v1/session", json={"token": token}).status_code == 401


def test_sessions_expire() -> None:
    now = [0.0]
    sessions = Sessions(60, clock=lambda: now[0])
    holder = Identity("x", "Ada", Audience.INTERNAL)
    token = sessions.open(holder)
    assert sessions.find(token) == holder
    now[0] = 60.0
    assert sessions.find(token) is None


def test_a_publishable_key_is_bound_to_its_origins(world: World) -> None:
    with world.client() as client:
        key = {"Authorization": f"Bearer {world.page_key}"}
        asked = {"text": "401 invalid_token"}
        assert client.post("/v1/search", json=asked, headers=key).status_code == 403
        for origin in ("https://evil.example", "https://help.example.com.evil.example", "null"):
            response = client.post("/v1/search", json=asked, headers={**key, "Origin": origin})
            assert response.status_code == 403
            assert "access-control-allow-origin" not in response.headers
        response = client.post("/v1/search", json=asked, headers={**key, "Origin": world.page_origin})
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == world.page_origin
        assert "access-control-allow-credentials" not in response.headers
        assert "Origin" in response.headers["vary"]


def test_an_internal_key_does_not_work_in_a_web_page(world: World) -> None:
    """An embedder who takes the wrong one of two keys must not open internal articles to customers."""
    asked = {"text": "401 invalid_token"}
    with world.client() as client:
        key = {"Authorization": f"Bearer {world.engineer}"}
        for origin in (world.page_origin, "https://evil.example", "null"):
            response = client.post("/v1/search", json=asked, headers={**key, "Origin": origin})
            assert response.status_code == 403
            assert "make a publishable one" in response.json()["detail"]
        for own in ({}, {"Origin": "http://testserver"}):
            assert client.post("/v1/search", json=asked, headers={**key, **own}).status_code == 200


def test_preflights_are_answered_for_known_origins_only(world: World) -> None:
    with world.client() as client:
        ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        known = client.options("/v1/search", headers={**ask, "Origin": world.page_origin})
        assert known.status_code == 204
        assert "Authorization" in known.headers["access-control-allow-headers"]
        unknown = client.options("/v1/search", headers={**ask, "Origin": "https://evil.example"})
        assert unknown.status_code == 403
        assert "access-control-allow-origin" not in unknown.headers


@pytest.mark.parametrize("path", ["/", "/?q=401", "/articles/KB-1001", "/static/console.css", "/v1/health", "/nowhere"])
def test_every_response_has_the_security_headers(world: World, path: str) -> None:
    with world.client() as client:
        response = client.get(path, headers={"Accept": "text/html"})
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert " style=" not in response.text
    assert "<style" not in response.text
    assert " onclick" not in response.text
    assert "<script>" not in response.text


def test_internal_articles_are_open_without_a_key_on_a_loopback_name_only(world: World) -> None:
    with pytest.raises(SettingsError, match="loopback"):
        load_settings(index=world.index, host="0.0.0.0", anonymous_audience=Audience.INTERNAL)
    app = create_app(
        Settings(index=world.index, anonymous_audience=Audience.INTERNAL),
        lambda: DecidedAssistant(world.index, FakeEmbedder()),
    )
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        wait_until_ready(client)
        assert client.get("/v1/articles/KB-7777").status_code == 200
        assert client.get("/v1/articles/KB-7777", headers={"Host": "rebound.example"}).status_code == 403


def test_what_is_open_on_this_machine_is_not_open_to_a_page_in_its_browser(world: World) -> None:
    """Any publishable key lets its page read answers, so without a key the page must not pass for a person."""
    base = "http://127.0.0.1:8000"
    expected = {base: 200, world.page_origin: 404, "http://127.0.0.1:8001": 404, "null": 404}
    with world.client(base=base, anonymous_audience=Audience.INTERNAL) as client:
        for origin, status in expected.items():
            response = client.get("/v1/articles/KB-7777", headers={"Origin": origin})
            assert response.status_code == status, origin
            readable = "access-control-allow-origin" in response.headers
            assert readable is (origin == world.page_origin)


MALFORMED = "http://["


def test_headers_that_are_no_addresses_are_refused(world: World) -> None:
    page_key = {"Authorization": f"Bearer {world.page_key}"}
    asked = {"text": "401 invalid_token"}
    with world.client() as client:
        assert client.post("/v1/search", json=asked, headers={**page_key, "Referer": MALFORMED}).status_code == 403
        assert client.post("/v1/search", json=asked, headers={**page_key, "Origin": MALFORMED}).status_code == 403
        assert client.post("/", data={"q": "401"}, headers={"Origin": MALFORMED}).status_code == 403
        assert client.post("/mcp", json={}, headers={"Origin": MALFORMED}).status_code == 403
        assert client.post("/v1/session", json={"token": world.engineer}).status_code == 200
        assert client.post("/v1/search", json=asked, headers={"Origin": MALFORMED}).status_code == 403
    with world.client(base="http://127.0.0.1", anonymous_audience=Audience.INTERNAL) as client:
        assert client.get("/v1/search", params={"q": "401"}, headers={"Host": "["}).status_code == 403


def test_a_page_behind_a_proxy_that_ended_tls_is_the_services_own(world: World) -> None:
    with world.client() as client:
        client.post("/v1/session", json={"token": world.engineer})
        sent = {"text": "quokka"}
        assert client.post("/v1/search", json=sent, headers={"Origin": "https://testserver"}).status_code == 200
        assert client.post("/v1/search", json=sent, headers={"Origin": "ftp://testserver"}).status_code == 403


def test_unknown_settings_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="prot"):
        load_settings(prot=1)
    file = tmp_path / "kb.env"
    file.write_text("KB_PORT=9000\nKB_HOTS=0.0.0.0\n")
    with pytest.raises(SettingsError, match=r"(?i)hots"):
        load_settings(file)
    with pytest.raises(SettingsError, match="does not exist"):
        load_settings(tmp_path / "none.env")
    file.write_text("KB_PORT=9000\n")
    assert load_settings(file).port == 9000
    monkeypatch.setenv("KB_PORT", "9001")
    assert load_settings(file).port == 9001
    assert load_settings(file, port=9002).port == 9002


def test_an_empty_setting_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"KB_{name.upper()}" for name in Settings.model_fields]
    default = load_settings()
    file = tmp_path / "kb.env"
    file.write_text("".join(f"{name}=\n" for name in names))
    assert load_settings(file) == default
    file.write_text("KB_PORT=9000\nKB_INDEX=articles.index\n")
    for name in names:
        monkeypatch.setenv(name, "")
    assert load_settings() == default
    assert load_settings(file) == default.model_copy(update={"port": 9000, "index": Path("articles.index")})


def test_rate_limits_count_by_window() -> None:
    now = [30.0]
    limiter = RateLimiter(clock=lambda: now[0])
    assert [limiter.take("a", 2).granted for _ in range(3)] == [True, True, False]
    assert limiter.take("b", 2).remaining == 1
    assert limiter.take("a", 2).headers()["Retry-After"] == "30"
    now[0] = 60.0
    assert limiter.take("a", 2).granted


def test_wrong_credentials_are_counted_by_address(world: World) -> None:
    with world.client(rate_limit_per_minute=2) as client:
        wrong = {"Authorization": "Bearer nonsense"}
        answers = [client.get("/v1/session", headers=wrong) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]
        assert "Retry-After" in answers[2].headers
        assert client.get("/v1/session").status_code == 200
        right = {"Authorization": f"Bearer {world.engineer}"}
        assert client.get("/v1/session", headers=right).status_code == 200


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::1%eth0", True),
        ("not:an:address", "not:an:address", True),
    ],
)
def test_addresses_of_one_network_share_a_limit(world: World, one: str, other: str, together: bool) -> None:
    app = world.app(rate_limit_per_minute=1)
    assert TestClient(app, client=(one, 1)).get("/v1/session").status_code == 200
    assert TestClient(app, client=(other, 1)).get("/v1/session").status_code == (429 if together else 200)
