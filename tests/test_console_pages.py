"""The console's pages as they are served, without a browser."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer.scope import Scope
from service.answers import Answer, Question, Reason
from service.http.app import create_app
from tests.conftest import FakeEmbedder, build, write_article
from tests.http_world import UNCOVERED, DecidedAssistant, World, make_world, wait_until_ready

SYMPTOM = "every request answers 401 invalid_token"


class AskingAssistant(DecidedAssistant):
    """Always has a question to ask, and names similar tickets as the reason of its first suggestion."""

    def answer(self, question: Question, scope: Scope, *args: Any, **kwargs: Any) -> Answer:
        answer = super().answer(question, scope, *args, **kwargs)
        reason = Reason("tickets", 1.0, "14 similar tickets were solved by this")
        suggestions = tuple(dataclasses.replace(item, reasons=(reason,)) for item in answer.suggestions)
        return dataclasses.replace(answer, clarification="Is it one host or all?", suggestions=suggestions)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("pages"))


@pytest.fixture
def public(world: World) -> Iterator[TestClient]:
    with world.client() as client:
        yield client


@pytest.fixture
def engineer(world: World) -> Iterator[TestClient]:
    with world.client(world.engineer) as client:
        yield client


def test_what_is_missing_is_what_triage_says(tmp_path: Path) -> None:
    """A guide that is near in words and about something else asks for nothing, here as in notes."""
    world = make_world(tmp_path)
    write_article(
        world.source,
        "triage/tokens.md",
        "## First 15 minutes\n\n1. Count.\n\n"
        "## Evidence to collect\n\n- Browser: the browser and its version\n- HAR file of one attempt\n",
        title="Requests answer 401 after a token expired at the gateway",
        audience="internal",
        front="products: [nightjar]\ntype: triage\ncomponents: [telephony]",
    )
    build(world.source, world.index)
    with world.client(world.engineer) as client:
        page = client.get("/", params={"q": SYMPTOM}).text
        triage = client.post("/v1/tickets/suggest", json={"body": SYMPTOM}).json()["triage"]
    assert "Requests answer 401 after a token expired" in page
    assert triage["playbook"]
    asked = re.findall(r"<li>([^<]+)</li>", page.partition('<ul class="asks">')[2].partition("</ul>")[0])
    assert [text.lower() for text in asked] == [text.lower() for text in triage["diagnostics"]["asks"]]
    assert "HAR" not in str(asked)
    assert f'data-title="{triage["playbook"]["title"]}"' in page


def test_what_a_sign_in_opened_is_not_stored_in_the_browser(public: TestClient, engineer: TestClient) -> None:
    """Or it is there again when somebody goes back after the sign-out."""
    for client, expected in ((public, "public, max-age=60"), (engineer, "no-store")):
        assert client.get("/articles/KB-1001").headers["cache-control"] == expected


def test_a_short_text_goes_on_to_its_address_and_a_long_one_stays_out_of_it(public: TestClient) -> None:
    sent = public.post("/", data={"q": "401 now", "type": ["faq", "how-to"]}, follow_redirects=False)
    assert (sent.status_code, sent.headers["location"]) == (303, "/?q=401+now&type=faq&type=how-to")
    cleared = public.post("/", data={"q": "401 now", "type": "faq", "clear": "1"}, follow_redirects=False)
    assert cleared.headers["location"] == "/?q=401+now"
    assert public.post("/", data={"q": " "}, follow_redirects=False).headers["location"] == "/"
    long = public.post("/", data={"q": f"{SYMPTOM}\n" * 60}, follow_redirects=False)
    assert long.status_code == 200
    assert "data-result" in long.text


def test_the_form_is_for_the_consoles_own_page(public: TestClient) -> None:
    headers = {"Origin": "https://elsewhere.example.com"}
    assert public.post("/", data={"q": SYMPTOM}, headers=headers, follow_redirects=False).status_code == 403


def test_an_audience_is_a_filter_for_the_team_only(public: TestClient, engineer: TestClient) -> None:
    sent = public.post("/", data={"q": "401", "audience": "internal"}, follow_redirects=False)
    assert "audience" not in sent.headers["location"]
    plain, asked = (public.get("/", params={"q": SYMPTOM} | extra).text for extra in ({}, {"audience": "internal"}))
    assert asked == plain
    page = engineer.get("/", params={"q": SYMPTOM, "audience": "internal"}).text
    assert 'name="audience" value="internal" checked' in page
    assert "Zanzibar gateway restart" in page
    assert "API answers 401 invalid_token after" not in page.split('<div class="columns', 1)[1].split("<aside", 1)[0]


BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_a_person_reads_a_page_whoever_refuses_and_a_script_a_problem(world: World, tmp_path: Path) -> None:
    broken = tmp_path / "keys.json"
    broken.write_text("{")
    with world.client(rate_limit_per_minute=1) as client:
        wrong_key = {"Authorization": "Bearer kbs_wrong"}
        found = {
            401: client.get("/", headers={**BROWSER, **wrong_key}),
            413: client.post("/", content=b"x" * 300_000, headers=BROWSER),
            429: client.get("/", headers=BROWSER),
        }
        by_script = client.post("/results", content=SYMPTOM, headers={"Accept": "*/*"})
        api = client.get("/v1/session", headers=BROWSER)
    with TestClient(world.app(keys_file=broken)) as client:
        client.cookies.set("kb_session", "x")
        found[503] = client.get("/", headers={**BROWSER, **wrong_key})
    for status, response in found.items():
        assert response.status_code == status
        assert response.headers["content-type"].startswith("text/html")
        assert f"Status {status}" in response.text
        assert response.headers["cache-control"] == "no-store"
    assert found[401].headers["www-authenticate"] == "Bearer"
    assert {"retry-after", "ratelimit"} <= found[429].headers.keys()
    assert "retry-after" in found[503].headers
    for response in (by_script, api):
        assert (response.status_code, response.headers["content-type"]) == (429, "application/problem+json")


def test_a_search_that_cannot_be_answered_yet_says_when_to_try_again(world: World) -> None:
    gate = threading.Event()

    def open_late() -> DecidedAssistant:
        assert gate.wait(10)
        return DecidedAssistant(world.index, FakeEmbedder())

    with TestClient(create_app(world.settings, open_late)) as client:
        starting = [client.get("/", params={"q": SYMPTOM}), client.post("/results", content=SYMPTOM)]
        gate.set()
        wait_until_ready(client)
        client.app.state.services.pool._in_flight = 10**6  # type: ignore[attr-defined]
        busy = [client.get("/", params={"q": "502"}), client.post("/results", content="502")]
    for response, title in zip(
        (*starting, *busy), [*["The service is still starting"] * 2, *["All workers are busy"] * 2], strict=True
    ):
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert title in response.text


def test_a_filter_value_tells_nothing_of_whether_it_exists_inside(public: TestClient) -> None:
    pages = {
        value: public.get("/", params={"q": SYMPTOM, "product": value}).text.replace(value, "VALUE")
        for value in ("nightjar", "nowhere1")
    }
    assert pages["nightjar"] == pages["nowhere1"]


def test_the_clarifying_question_and_similar_tickets_are_shown(world: World) -> None:
    app = create_app(world.settings, lambda: AskingAssistant(world.index, FakeEmbedder()))
    with TestClient(app) as client:
        wait_until_ready(client)
        for text in (SYMPTOM, f"{UNCOVERED} 401"):
            assert "Is it one host or all?" in client.post("/results", content=text).text
        page = client.post("/results", content=SYMPTOM).text
        assert "<span>Similar tickets were solved by this</span>" in page, "how many is for the team"
        client.headers["Authorization"] = f"Bearer {world.engineer}"
        page = client.post("/results", content=SYMPTOM).text
        assert "<span>14 similar tickets were solved by this</span>" in page


def test_what_misspelt_words_were_read_as_is_shown(public: TestClient) -> None:
    page = public.post("/results", content="evry reqeust answers 401 invalid_token").text
    assert "Read “reqeust” as <strong>“request”</strong>." in page
    assert "read-as" not in public.post("/results", content=SYMPTOM).text


def test_on_call_guides_are_offered_to_the_team_only(public: TestClient, engineer: TestClient) -> None:
    assert "Xylophone triage" in engineer.get("/").text
    assert "On call?" not in public.get("/").text


def test_the_copied_lines_of_a_public_page_hold_no_front_matter(public: TestClient, engineer: TestClient) -> None:
    url = "/articles/KB-1001?lines=1-9"
    assert "related: [KB-1003, KB-7777]" in engineer.get(url).text
    assert "related:" not in public.get(url).text


def test_of_a_text_that_is_too_long_head_and_tail_are_read_and_that_is_said(public: TestClient) -> None:
    log = "2026-01-01 10:00:00 INFO poll ok\n" * 900
    page = public.post("/results", content=f"it stopped\n{log}ERROR 401 invalid_token").text
    assert "API answers 401 invalid_token" in page
    assert re.search(r"The first [\d,]+ and the last [\d,]+ of 29,734 characters were read", page)
    assert "Only the beginning and the end of the text were read." in page
    assert "characters were read" not in public.post("/results", content="401 invalid_token").text
    shown = public.post("/", data={"q": f"it stopped\n{log}"}).text
    assert "characters were read" in shown
    assert shown.count("INFO poll ok") >= 900, "the box keeps all of it"


def test_cited_lines_that_the_article_no_longer_has_are_said(public: TestClient) -> None:
    assert "Lines 14–18 of" in public.get("/articles/KB-1001?lines=14-18").text
    count = public.get("/v1/articles/KB-1001?format=markdown").text.count("\n") + 1
    assert f"–{count}</" not in (gone := public.get("/articles/KB-1001?lines=9998-9999").text)
    assert "Lines 9998–9999 of" in gone
    assert "no longer there" in gone
    assert "marked below" not in gone
    assert "marked below" in public.get("/articles/KB-1001?lines=5-9999").text


def test_who_finds_nothing_here_may_sign_in_and_comes_back(public: TestClient, engineer: TestClient) -> None:
    html = {"Accept": "text/html"}
    hidden, nothing = (public.get(f"/articles/{name}", headers=html) for name in ("KB-7777", "KB-0000"))
    assert "you come back to this address" in hidden.text
    same = [re.sub(r"KB-\d+|request:\w+", "", page.text) for page in (hidden, nothing)]
    assert same[0] == same[1], "it tells nothing"
    referer = {"Referer": "http://testserver/articles/KB-7777?lines=3"}
    assert 'name="return" value="/articles/KB-7777?lines=3"' in public.get("/sign-in", headers=referer).text
    assert "you come back" not in engineer.get("/articles/KB-0000", headers=html).text


def test_pages_hold_nothing_inline(engineer: TestClient) -> None:
    for url in ("/", f"/?q={SYMPTOM}", "/articles/KB-7777", "/sign-in"):
        html = engineer.get(url, headers={"Accept": "text/html"}).text
        assert " style=" not in html
        assert "<style" not in html
        assert html.count("<script") == html.count("<script src=") + html.count('<script type="module" src=') == 2
        assert " onclick" not in html


def test_every_module_that_a_page_loads_is_there(public: TestClient) -> None:
    folder = Path(__file__).parent.parent / "service" / "web" / "static"
    for file in folder.glob("*.js"):
        assert public.get(f"/static/{file.name}").status_code == 200
        for line in file.read_text().splitlines():
            if line.startswith("import ") and ' from "./' in line:
                assert (folder / line.split('"./')[1].rstrip('";')).exists(), (file.name, line)
