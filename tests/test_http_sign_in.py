"""Signing in at a provider: the whole way over HTTP, and every way that it must not work."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import jwt
import pytest
from fastapi.testclient import TestClient

from service.http.security import SESSION_COOKIE
from service.http.server import _greet
from service.http.signing_in import PENDING_COOKIE, PENDING_S, PendingSignIns, local_path
from tests.http_world import SECRETS, World, make_world
from tests.oidc_world import CLIENT_ID, CLIENT_SECRET, ENGINEERS, NAME, SUBJECT, FakeProvider, running_provider


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("sign-in"))


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    with running_provider() as provider:
        yield provider


@contextmanager
def console(
    world: World, fake: FakeProvider, *, base: str = "http://testserver", **changes: Any
) -> Iterator[TestClient]:
    with world.client(base=base, **fake.settings(**changes)) as client:
        client.follow_redirects = False
        yield client


def begin(client: TestClient, return_to: str = "/") -> str:
    """Where the console sends the browser."""
    answer = client.get("/sign-in/start", params={"return": return_to})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def at_provider(address: str) -> str:
    """Where the provider sends the browser back to: path and query."""
    return httpx.get(address).headers["location"].removeprefix("http://testserver")


def changed(callback: str, **parameters: str | None) -> str:
    query = {name: values[0] for name, values in parse_qs(urlsplit(callback).query).items()}
    query |= {name: value for name, value in parameters.items() if value is not None}
    kept = {name: value for name, value in query.items() if parameters.get(name, "") is not None}
    return f"/sign-in/callback?{urlencode(kept)}"


def test_an_engineer_signs_in_and_out(world: World, fake: FakeProvider) -> None:
    with console(world, fake) as client:
        shown = client.get("/sign-in").text
        assert "Sign in with Acme ID" in shown
        assert shown.index("Acme ID") < shown.index("kb-token"), "the button comes before the field for a key"
        started = client.get("/sign-in/start", params={"return": "/articles/KB-7777?lines=3"})
        cookie = started.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/sign-in", f"Max-Age={PENDING_S}"))
        assert "Secure" not in cookie
        assert started.headers["cache-control"] == "no-store"
        landed = client.get(at_provider(started.headers["location"]))
        assert (landed.status_code, landed.headers["location"]) == (303, "/articles/KB-7777?lines=3")
        assert "SameSite=lax" in landed.headers["set-cookie"]
        assert "HttpOnly" in landed.headers["set-cookie"]
        assert landed.headers["cache-control"] == "no-store"
        told = client.get("/v1/session").json()
        assert told == {"audience": "internal", "signed_in": True, "name": NAME}
        assert "quokka" in client.get("/articles/KB-7777").text
        assert NAME in client.get("/").text
        old = client.cookies[SESSION_COOKIE]
        assert client.post("/sign-out").status_code == 303
        client.cookies.set(SESSION_COOKIE, old)
        assert client.get("/articles/KB-7777").status_code == 404


def signed_out(client: TestClient) -> Any:
    """The answer to signing out, after which the session is over whatever the provider does."""
    old = client.cookies[SESSION_COOKIE]
    answer = client.post("/sign-out")
    assert SESSION_COOKIE not in client.cookies
    client.cookies.set(SESSION_COOKIE, old)
    assert client.get("/v1/session").json()["signed_in"] is False
    return answer


def test_signing_out_goes_on_to_a_provider_that_ends_sessions(world: World, fake: FakeProvider) -> None:
    fake.discovery = {"end_session_endpoint": f"{fake.issuer}/logout?realm=acme"}
    with console(world, fake) as client:
        client.get(at_provider(begin(client)))
        answer = signed_out(client)
        assert answer.status_code == 200, "a redirect to another site would break the policy for forms"
        assert answer.headers["cache-control"] == "no-store"
        address = unescape(answer.text.partition('http-equiv="refresh" content="0;url=')[2].partition('"')[0])
        assert address.startswith(f"{fake.issuer}/logout?realm=acme&id_token_hint=ey")
        httpx.get(address)
        assert fake.ended[0]["client_id"] == CLIENT_ID
        assert jwt.decode(fake.ended[0]["id_token_hint"], options={"verify_signature": False})["sub"] == SUBJECT
        assert "post_logout_redirect_uri" not in fake.ended[0]


@pytest.mark.parametrize("ending", [None, "http://id.example/logout", "javascript:alert(1)", 7, ""])
def test_signing_out_ends_here_where_the_provider_names_no_safe_place(
    world: World, fake: FakeProvider, ending: object
) -> None:
    fake.discovery = {"end_session_endpoint": ending}
    with console(world, fake) as client:
        client.get(at_provider(begin(client)))
        answer = signed_out(client)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_session_of_a_key_ends_without_the_provider(world: World, fake: FakeProvider) -> None:
    fake.discovery = {"end_session_endpoint": f"{fake.issuer}/logout"}
    with console(world, fake) as client:
        client.post("/sign-in", data={"token": world.engineer})
        assert signed_out(client).headers["location"] == "/"
    assert fake.asked == []


def test_no_other_site_signs_anybody_out(world: World, fake: FakeProvider) -> None:
    with console(world, fake) as client:
        client.get(at_provider(begin(client)))
        assert client.post("/sign-out", headers={"Origin": "https://evil.example"}).status_code == 403
        assert client.get("/v1/session").json()["signed_in"] is True


def test_a_key_still_signs_in_and_its_session_ends_with_it(world: World, fake: FakeProvider) -> None:
    fake.down = True
    with console(world, fake) as client:
        answer = client.post("/sign-in", data={"token": world.engineer, "return": "/articles/KB-7777"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/articles/KB-7777")
        assert client.get("/articles/KB-7777").status_code == 200
        wrong = client.post("/sign-in", data={"token": "wrong", "return": "/articles/KB-7777"})
        assert wrong.status_code == 401
        assert "Acme ID" in wrong.text
        assert 'value="/articles/KB-7777"' in wrong.text
    assert fake.asked == [], "a provider is asked when somebody signs in there, and not before"


def test_a_session_of_an_account_serves_the_consoles_own_pages_only(world: World, fake: FakeProvider) -> None:
    with console(world, fake) as client:
        client.get(at_provider(begin(client)))
        asked = {"text": "quokka"}
        assert client.post("/v1/search", json=asked, headers={"Origin": "https://evil.example"}).status_code == 403
        assert client.post("/v1/search", json=asked, headers={"Origin": fake.issuer}).status_code == 403
        assert client.post("/v1/search", json=asked, headers={"Origin": "http://testserver"}).status_code == 200


def refused(client: TestClient, callback: str, status: int, words: str) -> str:
    """The page that says so; nobody is signed in."""
    answer = client.get(callback)
    assert answer.status_code == status, answer.text
    assert 'role="alert"' in answer.text
    assert words in answer.text
    assert "Acme ID" in answer.text, "there is a way to try again"
    assert SESSION_COOKIE not in answer.headers.get("set-cookie", "")
    assert client.get("/v1/session").json()["signed_in"] is False
    assert not [word for word in SECRETS if word in answer.text]
    return answer.text


STALE = "This sign-in took too long"
FAILED = "Signing in at the provider failed"


def test_a_wrong_state_is_refused(world: World, fake: FakeProvider) -> None:
    with console(world, fake) as client:
        callback = at_provider(begin(client))
        refused(client, changed(callback, state="x" * 43), 400, STALE)
        refused(client, changed(callback, state=None), 400, STALE)
        assert "/token" not in fake.asked


def test_a_callback_works_once(world: World, fake: FakeProvider) -> None:
    with console(world, fake) as client:
        callback = at_provider(begin(client))
        assert client.get(callback).status_code == 303
        client.post("/sign-out")
        refused(client, callback, 400, STALE)
        assert fake.asked.count("/token") == 1


def test_a_callback_works_in_the_browser_that_began_only(world: World, fake: FakeProvider) -> None:
    """Or somebody could sign others in to an account of their own, and read along."""
    with console(world, fake) as client:
        callback = at_provider(begin(client))
        browser = client.cookies[PENDING_COOKIE]
        for other in ({}, {PENDING_COOKIE: "x" * 43}):
            client.cookies.clear()
            client.cookies.update(other)
            refused(client, callback, 400, STALE)
        client.cookies.set(PENDING_COOKIE, browser)
        refused(client, callback, 400, STALE)
        assert "/token" not in fake.asked


def test_two_tabs_of_a_browser_may_sign_in_at_a_time(world: World, fake: FakeProvider) -> None:
    with console(world, fake) as client:
        first, second = begin(client, "/?q=1"), begin(client, "/?q=2")
        assert client.get(at_provider(second)).headers["location"] == "/?q=2"
        assert client.get(at_provider(first)).headers["location"] == "/?q=1"


def test_the_cookie_is_secure_on_https_and_the_redirect_uri_is_the_public_one(world: World, fake: FakeProvider) -> None:
    with console(world, fake, base="https://testserver", public_url="https://kb.example.com/") as client:
        answer = client.get("/sign-in/start")
        assert "Secure" in answer.headers["set-cookie"]
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        assert query["redirect_uri"] == ["https://kb.example.com/sign-in/callback"]


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"exp": 1},
        {"azp": "another"},
    ],
)
def test_a_wrong_id_token_is_refused(world: World, fake: FakeProvider, claims: dict[str, Any]) -> None:
    fake.in_id_token = claims
    with console(world, fake) as client:
        refused(client, at_provider(begin(client)), 400, FAILED)


def test_an_answer_of_another_provider_is_refused(world: World, fake: FakeProvider) -> None:
    """RFC 9207: or a code of one provider could be played to another."""
    with console(world, fake) as client:
        callback = at_provider(begin(client))
        refused(client, changed(callback, iss="https://evil.example"), 400, FAILED)
        assert "/token" not in fake.asked
        assert client.get(changed(at_provider(begin(client)), iss=fake.issuer)).status_code == 303


@pytest.mark.parametrize("code", [None, "", "made-up"])
def test_a_made_up_code_is_refused(world: World, fake: FakeProvider, code: str | None) -> None:
    with console(world, fake) as client:
        refused(client, changed(at_provider(begin(client)), code=code), 400, FAILED)


def test_whoever_turns_back_is_told(world: World, fake: FakeProvider) -> None:
    fake.error = "access_denied"
    with console(world, fake) as client:
        told = refused(client, at_provider(begin(client, "/?q=1")), 403, "The provider did not let you in")
        assert "words" not in told, "anybody can make a link with an error's description"
        assert "/sign-in/start?return=/%3Fq%3D1" in told
        fake.error = "<script>"
        assert "script>" not in refused(client, at_provider(begin(client)), 400, FAILED).split("<main")[1]


@pytest.mark.parametrize("claims", [{"name": NAME}, {"groups": ["others"]}, {"groups": []}])
def test_whoever_is_not_among_the_engineers_is_told_and_gets_no_session(
    world: World, fake: FakeProvider, claims: dict[str, Any]
) -> None:
    fake.claims = claims
    with console(world, fake) as client:
        refused(client, at_provider(begin(client)), 403, "not among the engineers")


def test_everybody_of_the_provider_may_be_an_engineer(world: World, fake: FakeProvider) -> None:
    fake.claims = {}
    with console(world, fake, oidc_internal="*") as client:
        assert client.get(at_provider(begin(client))).status_code == 303
        assert client.get("/v1/session").json() == {"audience": "internal", "signed_in": True, "name": ""}


def test_a_provider_that_is_down_stops_signing_in_there_only(world: World, fake: FakeProvider) -> None:
    fake.down = True
    with console(world, fake) as client:
        answer = client.get("/sign-in/start", params={"return": "/?q=1"})
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers
        assert "The sign-in provider cannot be reached. Try again in a minute, or use a key" in answer.text
        assert client.get("/v1/search", params={"q": "401"}).status_code == 200
        assert client.post("/v1/session", json={"token": world.engineer}).status_code == 200


def test_a_provider_that_fails_halfway_is_told(world: World, fake: FakeProvider) -> None:
    with console(world, fake) as client:
        callback = at_provider(begin(client))
        fake.down = True
        refused(client, callback, 503, "cannot be reached")


ELSEWHERE = [
    *("//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "http:evil.example"),
    *("/\t/evil.example", "/\n/evil.example", "javascript:alert(1)", "evil.example", "", "/sign-in", "/sign-out-of"),
    *("/é", "/" + "x" * 2000, " /x"),
]


@pytest.mark.parametrize("address", ELSEWHERE)
def test_nobody_is_led_elsewhere(world: World, address: str) -> None:
    expected = "/sign-out-of" if address == "/sign-out-of" else "/"
    assert local_path(address) == expected


def test_paths_of_the_console_are_kept() -> None:
    for path in ("/", "/articles/a/b.md?lines=1-2", "/?q=a%20b&x=//y", "/?next=https://x"):
        assert local_path(path) == path


@pytest.mark.parametrize("address", ["//evil.example", "/\\evil.example", "https://evil.example/", '/"><script>'])
def test_no_page_leads_elsewhere_after_signing_in(world: World, fake: FakeProvider, address: str) -> None:
    with console(world, fake) as client:
        landed = client.get(at_provider(begin(client, address))).text
        assert "evil.example" not in landed
        assert '"><script>' not in landed
        form = {"token": world.engineer, "return": address}
        assert "evil.example" not in client.post("/sign-in", data=form).headers["location"]
        asked = client.get("/sign-in", headers={"Referer": f"http://testserver{address}"}).text
        assert '"><script>' not in asked
        assert re.findall(r'name="return" value="(//|/\\|[^/])', asked) == []


def test_signing_in_leads_back_to_where_one_was(world: World, fake: FakeProvider) -> None:
    with console(world, fake) as client:
        came = client.get("/sign-in", headers={"Referer": "http://testserver/articles/KB-1001?lines=1"}).text
        assert 'href="/sign-in/start?return=/articles/KB-1001%3Flines%3D1"' in came
        for referer in ("https://evil.example/x", "http://[", "http://testserver.evil.example/x", "/x"):
            page = client.get("/sign-in", headers={"Referer": referer}).text
            assert 'href="/sign-in/start?return=/"' in page, referer


def test_without_a_provider_there_is_none_to_see(world: World) -> None:
    with world.client() as client:
        assert "/sign-in/start" not in client.get("/sign-in").text
        for path in ("/sign-in/start", "/sign-in/callback?code=x&state=y"):
            assert client.get(path, follow_redirects=False).status_code == 404


def test_nothing_secret_is_logged(world: World, fake: FakeProvider, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kb")
    with console(world, fake) as client:
        callback = at_provider(begin(client, "/?q=platypus"))
        client.get(callback)
        client.get("/")
        fake.in_id_token = {"nonce": "another"}
        client.get(at_provider(begin(client)))
        fake.claims = {"groups": ["others"], "name": NAME}
        fake.in_id_token = {}
        client.get(at_provider(begin(client)))
        fake.error = "made_up_words"
        client.get(at_provider(begin(client)))
        metrics = client.get("/metrics").text
        cookies = list(client.cookies.values())
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("kb"))
    assert "nonce" in logged
    assert "KB_OIDC_INTERNAL" in logged
    sent = [value for values in parse_qs(urlsplit(callback).query).values() for value in values]
    assert len(sent) == 2, "code and state"
    claimed = [NAME, SUBJECT, ENGINEERS, CLIENT_SECRET, fake.token_forms[0]["code_verifier"]]
    for word in (*sent, *cookies, *claimed, "platypus", "made_up_words"):
        assert word not in logged + metrics, word
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "kb.access"]
    assert {"/sign-in/start", "/sign-in/callback"} <= {line["route"] for line in lines}
    assert any(re.fullmatch("sso-[0-9a-f]{16}", line["key"] or "") for line in lines)


def test_serving_tells_what_to_register(world: World, fake: FakeProvider, capsys: pytest.CaptureFixture[str]) -> None:
    _greet(world.settings.model_copy(update=fake.settings()), 8123, None, None)
    told = capsys.readouterr().out
    assert "http://127.0.0.1:8123/sign-in, with Acme ID or a key\n" in told
    assert "http://127.0.0.1:8123/sign-in/callback\n" in told
    assert "There are no keys" not in told
    _greet(world.settings.model_copy(update=fake.settings(public_url="https://kb.example.com/")), 8123, None, None)
    assert "https://kb.example.com/sign-in/callback\n" in capsys.readouterr().out


def test_pending_sign_ins_are_bounded_and_end() -> None:
    now = [0.0]
    pending = PendingSignIns(clock=lambda: now[0])
    states = [pending.begin("browser", "r", "/")[0] for _ in range(5_001)]
    assert pending.finish(states[0], "browser") is None
    assert pending.finish(states[1], "browser") is not None
    now[0] = float(PENDING_S)
    assert pending.finish(states[2], "browser") is None
    state, begun = pending.begin("browser", "r", "/")
    assert len(pending._pending) == 1, "what is over is forgotten"
    assert pending.finish(state, "browser") == begun
