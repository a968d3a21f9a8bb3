"""The widget's script as it is served, its dictionary, and the demo's help centre. No browser needed."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Iterator

import httpx
import pytest
from fastapi.testclient import TestClient

from service.http.demo import Demo, address_of
from service.http.routes_widget import SCRIPT_PATH
from service.http.widget_script import WIDGET, widget_script
from tests.http_world import World, make_world, running

BUDGET_BYTES = 15_000
STRINGS: dict[str, dict[str, str | dict[str, str]]] = json.loads((WIDGET / "strings.json").read_text())
PLURALS = {"en": {"one", "other"}, "de": {"one", "other"}, "es": {"one", "other"}, "fr": {"one", "other"}}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("script"))


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with world.client() as client:
        yield client


def test_the_script_is_within_its_budget() -> None:
    script = widget_script()
    assert gzip.decompress(script.gzipped) == script.text
    assert len(script.gzipped) < BUDGET_BYTES
    assert len(gzip.compress(script.text)) < BUDGET_BYTES


def test_the_script_is_whole_and_keeps_its_words() -> None:
    text = widget_script().text.decode()
    assert not re.search(r"^\s*(import|export)\b", text, re.MULTILINE)
    assert text.count("customElements.define") == 1
    for words in STRINGS.values():
        for value in words.values():
            for sentence in value.values() if isinstance(value, dict) else (value,):
                assert json.dumps(sentence, ensure_ascii=False) in text


def test_the_script_makes_no_html_of_strings_and_no_style_or_code() -> None:
    text = widget_script().text.decode()
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", ".style"):
        assert sink not in text
    assert not re.search(r"kb[sp]_\w{10}", text)


def test_pages_of_any_origin_may_load_it_and_keep_it(client: TestClient) -> None:
    response = client.get(SCRIPT_PATH, headers={"Origin": "https://anywhere.example", "Accept-Encoding": "gzip"})
    assert response.headers["content-type"].startswith("text/javascript")
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["cross-origin-resource-policy"] == "cross-origin"
    plain = client.get(SCRIPT_PATH, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == response.content == widget_script().text
    for tag in (response.headers["etag"], f"W/{response.headers['etag']}"):
        assert client.get(SCRIPT_PATH, headers={"If-None-Match": tag}).status_code == 304


def test_loading_it_is_not_counted(world: World) -> None:
    with world.client(rate_limit_per_minute=2) as client:
        assert {client.get(SCRIPT_PATH).status_code for _ in range(5)} == {200}


def placeholders(value: str | dict[str, str]) -> set[str]:
    forms = value.values() if isinstance(value, dict) else (value,)
    found = [frozenset(re.findall(r"\{\w+\}", form)) for form in forms]
    assert len(set(found)) == 1, value
    return set(found[0])


@pytest.mark.parametrize("tag", STRINGS)
def test_each_language_has_every_string(tag: str) -> None:
    assert {"en", "de", "es", "fr", "ja"} == set(STRINGS)
    words, english = STRINGS[tag], STRINGS["en"]
    assert list(words) == list(english)
    for key, value in words.items():
        assert placeholders(value) == placeholders(english[key]), key
        assert isinstance(value, dict) == isinstance(english[key], dict), key
        if isinstance(value, dict):
            assert "other" in value
            assert set(value) <= PLURALS.get(tag, {"other"})
        else:
            assert value.strip() == value != ""
            assert tag == "en" or value != english[key], f"{tag} {key} is still English"


def test_every_string_is_said_somewhere_and_none_is_missing() -> None:
    source = "".join(
        (WIDGET / f"{name}.js").read_text() for name in ("notices", "reader", "search", "deflection", "kb-help")
    )
    computed = {"offline", "failed", "busy", "solved", "unsolved", "solvedForm", "unsolvedForm", "back", "close"}
    said = set(re.findall(r'voice\.(?:say|count)\("(\w+)"', source)) | computed
    assert said == set(STRINGS["en"])


def test_the_demo_is_another_origin_with_a_key_that_is_in_no_file(world: World) -> None:
    app = world.app()
    with running(app) as service:
        port = int(service.rsplit(":", 1)[1])
        demo = Demo("127.0.0.1", port)
        app.state.services.gatekeeper.keys.lend(demo.key)
        assert demo.address != service
        with demo.serving():
            page = httpx.get(f"{demo.address}/?lang=de")
            style = httpx.get(f"{demo.address}/page.css")
            sent = httpx.post(f"{demo.address}/tickets", data={"subject": "x"})
        policy = page.headers["content-security-policy"]
        assert policy.startswith(f"default-src 'none'; script-src {service}; connect-src {service};")
        assert "unsafe" not in policy
        assert f'<script src="{service}{SCRIPT_PATH}" defer></script>' in page.text
        assert 'lang="de"' in page.text
        assert page.text.count("<script") == 1
        assert style.status_code == 200
        assert sent.status_code == 303
        token = re.search(r'key="(kbp_[\w-]+)"', page.text)
        assert token
        asked = {"text": "401 invalid_token"}
        headers = {"Authorization": f"Bearer {token[1]}"}
        there = httpx.post(f"{service}/v1/search", json=asked, headers={**headers, "Origin": demo.address})
        elsewhere = httpx.post(
            f"{service}/v1/search", json=asked, headers={**headers, "Origin": "https://evil.example"}
        )
    assert there.status_code == 200
    assert there.headers["access-control-allow-origin"] == demo.address
    assert elsewhere.status_code == 403
    assert demo.key.sha256 not in world.settings.keys_path.read_text()


def test_the_demo_takes_another_port_where_its_own_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        demo = Demo("127.0.0.1", port - 1)
    assert demo.address != address_of("127.0.0.1", port)
    with demo.serving():
        assert httpx.get(demo.address).status_code == 200
