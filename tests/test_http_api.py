"""The HTTP API as callers see it."""

from __future__ import annotations

import gzip
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer.errors import IndexCorrupt
from service.http.console_views import SIGNALS, split_codes
from service.http.models import ANSWER_EXAMPLE
from service.http.problems import KINDS, MEDIA_TYPE, TYPE_PREFIX
from service.http.routes_articles import choose_format
from service.stores import Stores
from tests.http_world import UNCOVERED, World, make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def public(world: World) -> Iterator[TestClient]:
    with world.client() as client:
        yield client


@pytest.fixture(scope="module")
def engineer(world: World) -> Iterator[TestClient]:
    with world.client(world.engineer) as client:
        yield client


def assert_problem(response: Any, name: str) -> dict[str, Any]:
    assert response.headers["content-type"] == MEDIA_TYPE, response.text
    body: dict[str, Any] = response.json()
    assert body["type"] == TYPE_PREFIX + name
    assert response.status_code == body["status"] == KINDS[name].status
    assert body["title"] == KINDS[name].title
    assert body["instance"] == f"urn:request:{response.headers['x-request-id']}"
    return body


def test_search_by_get_and_post_give_the_same_answer(public: TestClient) -> None:
    got = public.get("/v1/search", params={"q": "401 invalid_token", "limit": 1}).json()
    posted = public.post("/v1/search", json={"text": "401 invalid_token", "limit": 1}).json()
    assert got.keys() == posted.keys()
    assert got["suggestions"] == posted["suggestions"]
    assert [s["path"] for s in got["suggestions"]] == ["api/token-expired.md"]
    assert got["answered"] and not got["nearest"]


def test_a_citation_leads_to_the_very_bytes(public: TestClient, world: World) -> None:
    answer = public.post("/v1/search", json={"q": "401 invalid_token"}).json()
    snippet = answer["suggestions"][0]["snippets"][0]
    cited = snippet["citation"]
    data = (world.source / cited["path"]).read_bytes()
    assert data[cited["start_byte"] : cited["end_byte"]].decode() == snippet["text"]


def test_an_unsure_answer_is_empty_for_the_public_and_marked_for_engineers(
    public: TestClient, engineer: TestClient
) -> None:
    asked = {"text": f"{UNCOVERED} and 401 invalid_token"}
    answer = public.post("/v1/search", json=asked).json()
    assert (answer["answered"], answer["suggestions"], answer["nearest"]) == (False, [], False)
    answer = engineer.post("/v1/search", json=asked).json()
    assert not answer["answered"]
    assert answer["nearest"]
    assert answer["suggestions"]


def test_a_ticket_gets_a_note_with_citations(engineer: TestClient) -> None:
    answer = engineer.post("/v1/tickets/suggest", json={"subject": "API down", "body": "401 invalid_token"}).json()
    note = answer["internal_note"]
    assert note.startswith("**Suggested articles** (83% sure)")
    assert re.search(r"\]\(<http://testserver/articles/[\w/.-]+\.md\?lines=\d+-\d+#[\w-]+>\)", note)
    assert answer["suggestions"]


def test_products_narrow_the_search(public: TestClient) -> None:
    answer = public.post("/v1/search", json={"text": "it bounces with 401", "products": ["Email"]}).json()
    assert {s["path"] for s in answer["suggestions"]} == {"mail/bounce.md"}


def test_the_list_of_articles_is_paged(engineer: TestClient) -> None:
    first = engineer.get("/v1/articles", params={"limit": 3}).json()
    second = engineer.get("/v1/articles", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    paths = [article["path"] for page in (first, second) for article in page["articles"]]
    assert paths == ["api/token-expired.md", "mail/bounce.md", "runbooks/zanzibar.md", "triage/xylophone.md"]
    assert second["next_cursor"] is None
    listed = engineer.get("/v1/articles", params={"type": "triage"}).json()
    assert [article["path"] for article in listed["articles"]] == ["triage/xylophone.md"]
    assert_problem(engineer.get("/v1/articles", params={"cursor": "%%%"}), "invalid")


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "html"),
        ("text/markdown;q=0.9, application/json;q=0.5", "markdown"),
        ("image/png", "json"),
        ("text/html;q=0", "json"),
        ("text/html;q=x, text/markdown", "markdown"),
    ],
)
def test_the_accept_header_chooses_the_format(accept: str, wanted: str) -> None:
    assert choose_format(accept) == wanted


def test_an_article_as_json_html_and_markdown(engineer: TestClient, world: World) -> None:
    body = engineer.get("/v1/articles/KB-1001").json()
    assert body["path"] == "api/token-expired.md"
    assert [section["anchor"] for section in body["sections"]][1:] == ["symptoms", "resolution"]
    assert [related["article_id"] for related in body["related"]] == ["KB-1003", "KB-7777"]
    page = engineer.get("/v1/articles/api/token-expired.md", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert '<h2 id="symptoms"' in page.text
    assert 'href="/articles/mail/bounce.md#symptoms"' in page.text
    source = engineer.get("/v1/articles/api/token-expired.md?format=markdown")
    assert source.headers["content-type"].startswith("text/markdown")
    assert source.content == (world.source / "api/token-expired.md").read_bytes()


def test_an_article_is_not_sent_twice(public: TestClient, engineer: TestClient) -> None:
    first = public.get("/v1/articles/KB-1001")
    assert first.headers["cache-control"] == "public, max-age=60"
    for tag in (first.headers["etag"], f"W/{first.headers['etag']}"):  # a proxy that compresses makes a tag weak
        again = public.get("/v1/articles/KB-1001", headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
    assert engineer.get("/v1/articles/KB-1001").headers["cache-control"] == "private, no-cache"
    assert engineer.get("/v1/articles/KB-1001").headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    "name", ["KB-9999", "KB-7777", "runbooks/zanzibar.md", "../index/CURRENT", "%2e%2e/x", "a%00b"]
)
def test_absent_and_out_of_scope_are_the_same_problem(public: TestClient, name: str) -> None:
    body = assert_problem(public.get(f"/v1/articles/{name}"), "not-found")
    assert body["detail"] in {"no such article", "no such address"}


def test_feedback_is_stored_without_a_question(public: TestClient, world: World) -> None:
    version = public.get("/v1/ready").json()["index_version"]
    sent = {"index_version": version, "article": "KB-1001", "helpful": True, "comment": "Step 2 was it."}
    assert public.post("/v1/feedback", json=sent).status_code == 201
    import sqlite3

    with sqlite3.connect(world.settings.state_url.removeprefix("sqlite:///")) as connection:
        row = connection.execute("select article, helpful, comment, audience, key_id from feedback").fetchone()
    connection.close()
    assert row == ("api/token-expired.md", 1, "Step 2 was it.", "public", None)
    assert_problem(public.post("/v1/feedback", json={**sent, "article": "KB-7777"}), "not-found")


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("20261124T044056553567-46f560ad8a3a", 201),
        *[("20261124T044056553567-46f560ad8a3a\n", 422), ("my laser printer smokes", 422), ("", 422)],
        ("٢٠٢٦١١٢٤T044056553567-46f560ad8a3a", 422),
    ],
)
def test_feedback_is_about_a_version_that_could_have_been_served(public: TestClient, version: str, status: int) -> None:
    sent = {"index_version": version, "article": "KB-1001", "helpful": True}
    response = public.post("/v1/feedback", json=sent)
    assert response.status_code == status
    assert "laser" not in response.text


def test_what_is_not_sent_as_json_is_refused_as_such(public: TestClient) -> None:
    document = public.get("/v1/openapi.json").json()
    posts = {path: item["post"] for path, item in document["paths"].items() if "post" in item}
    paths = [path for path, post in posts.items() if list(post["requestBody"]["content"]) == ["application/json"]]
    assert len(paths) == 5
    for path in paths:
        assert "415" in posts[path]["responses"]
        for media_type in ("text/plain", "application/x-www-form-urlencoded", "text/json", ""):
            sent = public.post(path, content=b'{"text": "401"}', headers={"Content-Type": media_type})
            assert_problem(sent, "unsupported-media-type")
            assert sent.headers["accept"] == "application/json"
        as_json = {"Content-Type": "application/json; charset=utf-8"}
        assert_problem(public.post(path, content=b'{"colour": 1}', headers=as_json), "invalid")


def test_every_problem_is_a_problem_document(world: World, public: TestClient) -> None:
    assert_problem(public.get("/nowhere"), "not-found")
    assert_problem(public.delete("/v1/search"), "method-not-allowed")
    assert_problem(public.post("/v1/search", content=b"{", headers={"Content-Type": "application/json"}), "malformed")
    assert_problem(public.post("/v1/search", content=b"x" * 300_000), "body-too-large")
    assert_problem(public.get("/v1/search", params={"q": " "}), "invalid")
    body = assert_problem(public.post("/v1/search", json={"text": "secret words", "limit": 0, "colour": 1}), "invalid")
    assert {error["location"] for error in body["errors"]} == {"body.limit", "body.colour"}
    assert "secret words" not in str(body)
    halves = b'{"text": "\\ud800 lone"}'
    assert_problem(public.post("/v1/search", content=halves, headers={"Content-Type": "application/json"}), "invalid")
    deep = b"[" * 100_000
    assert public.post("/v1/search", content=deep, headers={"Content-Type": "application/json"}).status_code in {
        400,
        422,
    }


def test_a_comment_can_be_stored_in_any_database(public: TestClient, world: World) -> None:
    version = public.get("/v1/ready").json()["index_version"]
    given = {"index_version": version, "article": "KB-1003", "helpful": True, "comment": "a\0b"}
    assert public.post("/v1/feedback", json=given).status_code == 201
    (verdicts,) = (one for one in Stores(world.settings).feedback.report(1) if one.article == "mail/bounce.md")
    assert verdicts.comments[0].text == "a\ufffdb"


@pytest.mark.parametrize("body", [b'{"text": "\xff"}', gzip.compress(b'{"text": "a"}', mtime=0), b"[" * 100_000])
def test_a_body_that_cannot_be_read_is_told_what_is_wrong(public: TestClient, body: bytes) -> None:
    answer = public.post("/v1/search", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "the body is not JSON in UTF-8, is compressed, or is nested too deeply"


def test_a_body_without_a_length_is_limited_too(public: TestClient) -> None:
    response = public.post("/v1/search", content=(b"x" * 50_000 for _ in range(20)))
    assert_problem(response, "body-too-large")


def test_request_ids_come_back_unless_they_are_odd(public: TestClient) -> None:
    assert public.get("/v1/health", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert re.fullmatch(
        r"[0-9a-f]{16}", public.get("/v1/health", headers={"X-Request-ID": "a b"}).headers["x-request-id"]
    )


def test_the_rate_limit_is_told_and_kept(world: World) -> None:
    with world.client(rate_limit_per_minute=3) as client:
        first = client.get("/v1/session")
        assert first.headers["ratelimit-policy"] == '"minute";q=3;w=60'
        assert re.fullmatch(r'"minute";r=2;t=\d+', first.headers["ratelimit"])
        statuses = [client.get("/v1/session").status_code for _ in range(4)]
        assert statuses[-1] == 429
        refused = client.get("/v1/session")
        assert_problem(refused, "too-many-requests")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        other = client.get("/v1/session", headers={"Authorization": f"Bearer {world.engineer}"})
        assert other.status_code == 200
        assert client.get("/v1/health").status_code == 200


def test_metrics_count_answers_and_hold_no_query_text(world: World) -> None:
    with world.client() as client:
        client.get("/v1/search", params={"q": "wombat 401 invalid_token"})
        client.post("/v1/search", json={"text": f"wombat {UNCOVERED}"})
        text = client.get("/metrics").text
    assert 'kb_answers_total{outcome="answered"} 1.0' in text
    assert 'kb_answers_total{outcome="abstained"} 1.0' in text
    assert 'kb_http_requests_total{method="GET",route="/v1/search",status="200"} 1.0' in text
    assert "wombat" not in text


def test_metrics_are_those_of_the_docs_and_begin_with_noughts(public: TestClient) -> None:
    told = public.get("/metrics").text
    families = set(re.findall(r"^# TYPE (kb_\w+)", told, re.MULTILINE))
    documented = re.findall(r"^\| `(kb_\w+)` \|", Path("docs/http-api.md").read_text(), re.MULTILINE)
    assert families == set(documented)
    assert 'kb_index_reloads_total{result="refused"} 0.0' in told
    assert "process_open_fds" in told
    assert "_created" not in told


@pytest.mark.parametrize(
    ("path", "status", "headers"),
    [
        ("/v1/articles/KB-1001", 401, {"Authorization": "Bearer nothing"}),
        ("/v1/search", 413, {"Content-Length": "999999999"}),
        ("/mcp", 401, {"Authorization": "Bearer nothing"}),
        ("/static/nothing.css", 404, {}),
    ],
)
def test_what_is_refused_is_counted_by_its_route(world: World, path: str, status: int, headers: dict[str, str]) -> None:
    route = {"/v1/articles/KB-1001": "/v1/articles/{name}", "/static/nothing.css": "/static"}.get(path, path)
    with world.client() as client:
        assert client.request("POST" if status == 413 else "GET", path, headers=headers).status_code == status
        told = client.get("/metrics").text
    assert re.search(rf'kb_http_requests_total{{method="\w+",route="{re.escape(route)}",status="{status}"}} 1\.0', told)


def test_the_time_of_an_answer_is_counted_when_it_is_made_and_not_when_it_is_repeated(world: World) -> None:
    with world.client() as client:
        for _ in range(3):
            client.post("/v1/search", json={"text": "401 invalid_token"})
        text = client.get("/metrics").text
    assert "kb_answer_seconds_count 1.0" in text
    assert 'kb_answers_total{outcome="answered"} 3.0' in text


@pytest.mark.parametrize(
    "path", ["/v1/health", "/v1/ready", "/v1/search?q=401", "/v1/articles/KB-1001", "/", "/static/console.css"]
)
def test_head_is_answered_as_get_without_a_body(public: TestClient, path: str) -> None:
    got, asked = public.get(path), public.head(path)
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-type"] == got.headers["content-type"]
    assert "HEAD" not in str(public.get("/v1/openapi.json").json()["paths"].values())


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("/v1/search", "GET, HEAD, POST"),
        ("/v1/session", "DELETE, GET, HEAD, POST"),
        ("/v1/articles/KB-1001", "GET, HEAD"),
        ("/v1/feedback", "POST"),
        ("/v1/openapi.json", "GET, HEAD"),
        ("/sign-in", "GET, HEAD, POST"),
        ("/static/console.css", "GET, HEAD"),
        ("/mcp", "POST"),
    ],
)
def test_a_refused_method_is_told_all_that_are_taken(public: TestClient, path: str, taken: str) -> None:
    response = public.put(path)
    assert_problem(response, "method-not-allowed")
    assert response.headers["allow"] == taken
    if not path.startswith(("/v1/", "/mcp")):
        assert public.put(path, headers={"Accept": "text/html"}).headers["allow"] == taken


def test_head_is_logged_and_refused_like_any_other_method(public: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert public.head("/v1/ready").status_code == 200
    assert public.head("/v1/feedback").headers["allow"] == "POST"
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "kb.access"]
    assert [(line["method"], line["route"]) for line in lines] == [("HEAD", "/v1/ready"), ("HEAD", "/v1/feedback")]


def test_the_examples_name_signals_and_signatures_as_they_are() -> None:
    named = {reason["signal"] for suggestion in ANSWER_EXAMPLE["suggestions"] for reason in suggestion["reasons"]}
    assert named <= SIGNALS.keys()
    assert all(split_codes(signature) for signature in ANSWER_EXAMPLE["signatures"])


def test_no_log_line_holds_the_question(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with world.client() as client:
        client.get("/v1/search", params={"q": "wombat trouble", "limit": 99})
        client.get("/", params={"q": "wombat trouble"})
        client.post("/results", content="wombat trouble")
        client.get("/wombat")
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("kb")]
    assert any('"route": "/v1/search"' in line for line in ours)
    assert not any("wombat" in line for line in ours)


def test_a_defect_is_a_problem_and_its_message_is_not_logged(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("cannot parse: " + "".join(["wom", "bat"]))

    with world.client() as client:
        monkeypatch.setattr("service.assistant.Assistant.answer", fail)
        assert_problem(client.post("/v1/search", json={"text": "wombat"}), "internal-error")
        page = client.get("/", params={"q": "wombat"}, headers={"Accept": "text/html"})
        assert page.status_code == 500
        assert "Something went wrong here" in page.text
        assert page.headers["content-type"].startswith("text/html")
    assert "RuntimeError" in caplog.text
    assert "wombat" not in "".join(r.getMessage() for r in caplog.records if r.name.startswith("kb"))


def test_an_error_without_words_for_callers_is_logged_as_a_defect(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise IndexCorrupt("a file is gone")

    with world.client() as client:
        monkeypatch.setattr("service.assistant.Assistant.article", fail)
        response = client.get("/v1/articles/KB-1001")
        body = assert_problem(response, "internal-error")
    assert body["detail"] == "the error has been logged"
    assert f"request {response.headers['x-request-id']} failed with IndexCorrupt" in caplog.text


def test_links_in_notes_begin_with_the_public_address(world: World) -> None:
    with world.client(world.engineer, public_url="https://kb.example.com/") as client:
        asked = {"subject": "API down", "body": "401 invalid_token"}
        note = client.post("/v1/tickets/suggest", json=asked).json()["internal_note"]
        page = client.post("/results", content="401 invalid_token").text
        article = client.get("/articles/api/token-expired.md?lines=1-40").text
    for text in (note, page, article):
        assert "https://kb.example.com/articles/api/token-expired.md" in text
        assert "testserver" not in text
        assert "[the other page](https://kb.example.com/articles/mail/bounce.md#symptoms)" in text, "quoted links too"


def test_openapi_describes_every_operation(public: TestClient) -> None:
    document = public.get("/v1/openapi.json").json()
    operations = [
        operation for path in document["paths"].values() for method, operation in path.items() if method != "parameters"
    ]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) >= 13
    assert all(operation["summary"] for operation in operations)
    for operation in operations:
        for status, response in operation["responses"].items():
            if status >= "400":
                assert list(response["content"]) == [MEDIA_TYPE], (operation["operationId"], status)
    assert "example" in str(document["paths"]["/v1/search"]["get"]["responses"]["200"])
    schemas = document["components"]["schemas"]
    assert {"text", "title", "limit", "products"} <= schemas["SearchRequest"]["properties"].keys()
    references = set(re.findall(r"#/components/schemas/([\w.-]+)", str(document)))
    assert references <= schemas.keys()
