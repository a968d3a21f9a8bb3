"""The widget in a real browser, across origins, under `default-src 'none'`: search, reading, deflection, events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.http_world import SECRETS, UNCOVERED
from tests.widget_world import (
    EXPORT,
    SYMPTOM,
    TITLE,
    Opener,
    Site,
    hold,
    launched,
    open_site,
    opening,
    type_in_form,
    type_in_search,
)

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
INPUT, OPTION, STATUS = "#search input", "#search [role=option]", "#search [role=status]"
CARD, READER = "#beside .card", "#beside .reader"
SETTLED_MS = 1200
"""Longer than any pause before a request."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("widget")) as site:
        yield site


@pytest.fixture
def visit(browser: Any, site: Site) -> Iterator[Opener]:
    with opening(browser, site) as opener:
        yield opener


@pytest.fixture
def page(visit: Opener) -> Any:
    return visit()


def active(page: Any) -> str:
    """What has the focus, as seen from inside the widget or the page: its id, else its text."""
    return str(
        page.evaluate(
            "() => { const outer = document.activeElement, inner = outer.shadowRoot?.activeElement ?? outer;"
            " return inner.id || inner.textContent; }"
        )
    )


def descendant(page: Any) -> str | None:
    value: str | None = page.locator(INPUT).get_attribute("aria-activedescendant")
    return value


def told(page: Any, kind: str) -> list[dict[str, Any]]:
    found: list[list[Any]] = page.evaluate("told")
    return [detail for name, detail in found if name == kind]


def test_the_whole_search_by_keyboard(page: Any) -> None:
    page.keyboard.press("Tab")
    assert active(page) == "kb-q"
    page.keyboard.type(SYMPTOM, delay=5)
    page.wait_for_selector(OPTION)
    count = page.locator(OPTION).count()
    assert re.fullmatch(rf"{count} articles? found", page.inner_text(STATUS))
    assert page.locator(INPUT).get_attribute("aria-expanded") == "true"
    assert descendant(page) is None
    page.keyboard.press("ArrowDown")
    assert descendant(page) == "kb-o-0"
    assert page.locator(OPTION).first.get_attribute("aria-selected") == "true"
    page.keyboard.press("End")
    assert descendant(page) is None
    page.keyboard.press("ArrowUp")
    assert descendant(page) == f"kb-o-{count - 1}"
    page.keyboard.press("ArrowDown")
    assert descendant(page) == "kb-o-0"
    page.keyboard.press("Escape")
    assert page.locator(INPUT).get_attribute("aria-expanded") == "false"
    assert not page.locator("#search .popup").is_visible()
    assert active(page) == "kb-q"
    page.keyboard.press("Alt+ArrowDown")
    assert page.locator(OPTION).first.is_visible()
    assert descendant(page) is None
    page.keyboard.press("ArrowDown")
    first = page.locator(f"{OPTION} .title").first.inner_text()
    page.keyboard.press("Enter")
    page.wait_for_selector("#search .prose")
    assert page.inner_text("#search .prose h2") == first
    assert page.locator("#search .reader").evaluate("e => e.contains(e.getRootNode().activeElement)")
    page.keyboard.press("Escape")
    assert active(page) == "kb-q"
    assert page.locator(OPTION).first.is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.input_value(INPUT) == ""


def test_the_article_is_judged_by_keyboard_and_a_person_is_reached(page: Any) -> None:
    page.focus(INPUT)
    page.keyboard.type(SYMPTOM)
    page.wait_for_selector(OPTION)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search .verdict")
    for _ in range(30):
        if active(page) == "No, not yet":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert active(page) == "Thank you for telling us."
    page.keyboard.press("Tab")
    assert active(page) == "Contact support"
    page.keyboard.press("Enter")
    assert page.url.endswith("#contact")
    assert len(told(page, "contact")) == 1


def test_options_are_highlighted_plain_text_without_links(page: Any) -> None:
    type_in_search(page)
    option = page.locator(OPTION).first
    assert option.locator(".title").inner_text() == TITLE
    assert option.locator("a, button, input").count() == 0
    assert "`" not in option.inner_text()
    assert "401" in option.locator("mark").all_inner_texts()
    ids = page.locator("#search [id]").evaluate_all("nodes => nodes.map(n => n.id)")
    assert len(ids) == len(set(ids))
    assert page.locator(INPUT).get_attribute("aria-controls") in ids


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "2. Ask for its **state**:\n   ```bash\n   curl -sS x | jq [a](b)\n   ```\nThen wait.",
            "Ask for its state: Then wait.",
        ),
        ("Ask.\n```bash\ncurl -sS", "Ask."),
        ("curl `x`\n```\n\nA job stays queued.", "curl x A job stays queued."),
        ("```text\nERR_EXPORT_42\n```", "What it is about."),
    ],
)
def test_blocks_of_code_are_left_out_of_what_an_option_shows(page: Any, text: str, shown: str) -> None:
    def answer(route: Any) -> None:
        response = route.fetch()
        body = response.json()
        suggestion = body["suggestions"][0]
        suggestion["snippets"][0] |= {"text": text, "highlights": []}
        suggestion["summary"] = "What it is about."
        route.fulfill(response=response, json=body)

    page.route(re.compile("/v1/search"), answer)
    type_in_search(page)
    assert page.locator(f"{OPTION} .snippet").first.inner_text().strip() == shown


def test_a_burst_of_typing_asks_once_and_is_not_repeated(page: Any) -> None:
    page.type(INPUT, SYMPTOM, delay=20)
    page.wait_for_selector(OPTION)
    assert [json.loads(request.post_data)["text"] for request in page.asked] == [SYMPTOM]
    page.type(INPUT, "s")
    page.keyboard.press("Backspace")
    page.wait_for_timeout(SETTLED_MS)
    assert len(page.asked) == 1


def test_two_letters_ask_nothing(page: Any) -> None:
    page.type(INPUT, "40")
    page.wait_for_timeout(SETTLED_MS)
    assert page.asked == []


def test_an_overtaken_question_is_aborted_and_its_answer_not_shown(page: Any) -> None:
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.failure))
    held: list[Any] = []
    page.route(
        "**/v1/search", lambda route: held.append(route) if UNCOVERED in route.request.post_data else route.continue_()
    )
    page.fill(INPUT, f"{UNCOVERED} first")
    page.wait_for_timeout(400)
    assert len(held) == 1
    type_in_search(page)
    assert failed == ["net::ERR_ABORTED"]
    assert page.locator("#search .notices").is_hidden()


def test_what_no_article_covers_is_owned_up_to_with_a_way_on(page: Any) -> None:
    page.fill(INPUT, f"{UNCOVERED} 401 invalid_token")
    page.wait_for_selector("text=No article covers this yet.")
    assert "No article covers this yet." in page.inner_text(STATUS)
    assert page.locator(OPTION).count() == 0
    assert page.locator(INPUT).get_attribute("aria-expanded") == "false"
    page.click("#search .contact")
    assert page.input_value("#subject") == f"{UNCOVERED} 401 invalid_token"


def test_an_article_is_read_in_place_at_the_cited_section(page: Any, site: Site) -> None:
    type_in_search(page, f"{EXPORT} no more")
    page.locator(OPTION).first.click()
    page.wait_for_selector("#search .prose")
    prose = page.locator("#search .prose")
    assert page.inner_text("#search .prose h2") == "Export stops with ERR_EXPORT_42"
    assert active(page) == "kb-s-resolution"
    assert "stops halfway no more" in " ".join(page.locator("#search .cited").all_inner_texts())
    assert "Last checked October 2, 2026" in page.inner_text("#search .meta")
    permalink = page.locator("#search .meta a")
    assert permalink.get_attribute("href") == f"{site.service}/articles/reports/export.md#resolution"
    assert page.locator("#search h1").count() == 0
    assert prose.locator("script, img, [onerror], [style]").count() == 0
    assert prose.locator("a[href^=javascript]").count() == 0
    assert page.title() == "Help"
    page.locator("#search .prose a", has_text="below").click()
    assert active(page) == "kb-s-resolution"
    assert page.url == f"{site.pages}/"


def test_links_between_articles_stay_in_place_and_others_leave(page: Any, site: Site) -> None:
    type_in_search(page)
    page.locator(OPTION).first.click()
    elsewhere = page.locator("#search .prose a", has_text="elsewhere")
    assert elsewhere.get_attribute("target") == "_blank"
    assert "noopener" in elsewhere.get_attribute("rel")
    assert page.locator("#search .prose a", has_text="the playbook").get_attribute("href") is None
    other = page.locator("#search .prose a", has_text="the other page")
    assert other.get_attribute("href") == f"{site.service}/articles/mail/bounce.md#symptoms"
    other.click()
    page.wait_for_selector("#search .prose h2:has-text('Mail bounces')")
    assert page.url == f"{site.pages}/"
    assert [event["articles"][0]["id"] for event in told(page, "opened")] == ["KB-1001", "KB-1003"]


def test_html_that_is_not_as_the_service_sends_it_is_held_to_the_list(page: Any) -> None:
    evil = (
        "<h1 id=kb-q onclick=alert(1)>A</h1><script>document.title='stolen'</script><style>*{display:none}</style>"
        "<p style='color:red' class=x onmouseover=alert(1)>B<img src=x onerror=alert(1)><iframe src=/></iframe>"
        "<svg><a href='javascript:alert(1)'>C</a></svg><a href=' javascript:alert(1)'>D</a>"
        "<a href='data:text/html,x'>E</a><form action=/x><input name=y></form></p>"
    )
    page.route(
        "**/v1/articles/**",
        lambda route: route.fulfill(
            json={
                "article_id": "x",
                "path": "x.md",
                "title": "T",
                "html": evil,
                "index_version": "v",
                "last_verified": None,
            },
            headers={"Access-Control-Allow-Origin": "*"},
        ),
    )
    type_in_search(page)
    page.locator(OPTION).first.click()
    page.wait_for_selector("#search .prose")
    attributes = page.locator("#search .prose *:not(.meta, .meta *)").evaluate_all(
        "nodes => nodes.flatMap(n => [n.tagName, ...n.getAttributeNames()])"
    )
    assert set(attributes) <= {"H2", "P", "A", "id", "tabindex"}
    assert page.locator("#search [id=kb-q]").count() == 1
    assert page.locator("#search .prose a[href]:not(.meta a)").count() == 0
    assert page.title() == "Help"
    page.problems[:] = [text for text in page.problems if not re.search("^CSP|inline|404", text)]


def test_beside_a_form_it_suggests_once_the_text_says_enough(page: Any) -> None:
    page.type("#body", "It does not", delay=10)
    page.wait_for_timeout(SETTLED_MS)
    assert page.asked == []
    page.type("#body", f" work: {SYMPTOM}", delay=10)
    page.wait_for_selector(CARD)
    assert len(page.asked) == 1
    assert page.locator(f"{CARD} .title").first.inner_text() == TITLE
    assert re.fullmatch(r"\d articles? may answer this", page.inner_text("#beside [role=status]"))
    assert page.evaluate("document.activeElement.id") == "body"
    page.type("#other", "an order number that is nobody's business 12345")
    page.wait_for_timeout(SETTLED_MS)
    assert len(page.asked) == 1


def test_beside_a_form_it_is_silent_when_it_is_not_sure(page: Any) -> None:
    type_in_form(page, f"{UNCOVERED} {SYMPTOM}")
    page.wait_for_timeout(SETTLED_MS)
    assert len(page.asked) == 1
    assert page.locator("#beside .panel").is_hidden()
    assert page.inner_text("#beside [role=status]") == ""
    type_in_form(page)
    page.wait_for_selector(CARD)
    type_in_form(page, f"{UNCOVERED} {SYMPTOM}")
    page.wait_for_selector("#beside .panel", state="hidden")
    assert len(told(page, "shown")) == 1


def test_beside_a_form_it_is_silent_about_its_own_troubles(page: Any) -> None:
    page.route("**/v1/search", lambda route: route.abort())
    type_in_form(page)
    page.wait_for_timeout(SETTLED_MS)
    assert len(page.asked) == 1
    assert page.locator("#beside .panel").is_hidden()
    page.problems[:] = [text for text in page.problems if "ERR_FAILED" not in text]


def test_a_form_is_sent_at_once_whatever_the_widget_does(page: Any, site: Site) -> None:
    before = len(site.events())
    page.route("**/v1/search", lambda route: None)
    type_in_form(page)
    page.wait_for_timeout(SETTLED_MS)
    assert len(page.asked) == 1
    page.click("#send")
    page.wait_for_url("**/tickets")
    page.wait_for_timeout(500)
    assert site.events()[before:] == [("submitted", "form", [])]


def test_suggestions_never_come_under_the_hand_of_somebody_who_sends(page: Any) -> None:
    held = hold(page)
    type_in_form(page)
    page.wait_for_timeout(SETTLED_MS)
    page.focus("#send")
    held[0].continue_()
    page.wait_for_timeout(500)
    assert page.locator("#beside .panel").is_hidden()


def test_reading_beside_a_form_by_keyboard_keeps_the_form(page: Any) -> None:
    type_in_form(page, subject="Something")
    page.wait_for_selector(CARD)
    page.focus("#other")
    page.keyboard.press("Tab")
    assert page.locator("#beside").evaluate("e => e.shadowRoot.activeElement.ariaLabel") == "Hide suggestions"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#beside .prose")
    assert page.locator(READER).evaluate("e => e.contains(e.getRootNode().activeElement)")
    page.keyboard.press("Escape")
    assert TITLE in active(page)
    assert page.input_value("#body") == SYMPTOM
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert page.locator("#beside .panel").is_hidden()
    assert active(page) == "body"
    type_in_form(page, f"{SYMPTOM} and more of it")
    page.wait_for_timeout(SETTLED_MS)
    assert page.locator("#beside .panel").is_hidden()


def test_the_page_and_the_ledger_are_told_and_neither_what_was_typed(page: Any, site: Site) -> None:
    before = len(site.events())
    bodies: list[str] = []
    page.on("request", lambda request: bodies.append(request.post_data) if request.url.endswith("/v1/events") else None)
    typed = f"{SYMPTOM} sincerely Wilhelmina"
    type_in_form(page, typed)
    page.wait_for_selector(CARD)
    page.locator(CARD).first.click()
    page.click("#beside .verdict .primary")
    page.wait_for_selector("#beside .thanks")
    assert active(page) == "Glad to hear it! There is no need to send the form."
    assert page.locator("#send").is_enabled()
    page.click("#send")
    page.wait_for_url("**/tickets")
    page.wait_for_timeout(500)
    stored = site.events()[before:]
    assert [kind for kind, _, _ in stored] == ["shown", "opened", "solved", "submitted"]
    assert stored[1] == ("opened", "form", ["api/token-expired.md"])
    assert {json.loads(body)["session"] for body in bodies} == {json.loads(bodies[0])["session"]}
    assert not re.search("Wilhelmina|every request", "".join(bodies) + str(stored))


def test_events_bubble_to_the_page(page: Any) -> None:
    type_in_search(page)
    page.locator(OPTION).first.click()
    page.click("#search .verdict button:not(.primary)")
    assert told(page, "shown")[0]["articles"][0] == {"id": "KB-1001", "path": "api/token-expired.md", "title": TITLE}
    assert [event["surface"] for event in told(page, "opened") + told(page, "unsolved")] == ["search", "search"]
    assert re.fullmatch("[0-9a-f]{32}", told(page, "shown")[0]["session"])
    type_in_form(page)
    page.wait_for_timeout(SETTLED_MS)
    assert TITLE not in page.locator("#beside .title").all_inner_texts()


def test_a_page_s_script_may_ask_open_and_name_things(page: Any, site: Site) -> None:
    page.evaluate(
        "() => { const search = document.getElementById('search');"
        " search.setAttribute('session', 'visitor-12345678'); search.setAttribute('article-url', '/a/{path}#{anchor}');"
        " search.search('every request answers 401 invalid_token'); }"
    )
    page.wait_for_selector(OPTION)
    assert told(page, "shown")[0]["session"] == "visitor-12345678"
    page.evaluate("document.getElementById('search').open('KB-1009', 'environment')")
    page.wait_for_selector("#search .prose")
    assert active(page) == "kb-s-environment"
    assert page.get_attribute("#search .meta a", "href") == "/a/reports/export.md#environment"


def test_a_form_that_comes_later_and_fields_that_nobody_named(page: Any) -> None:
    page.evaluate("() => { const form = document.getElementById('ticket'); form.remove(); window.late = form; }")
    page.evaluate("document.querySelector('main').append(document.createElement('kb-help'))")
    page.evaluate(
        "() => { const help = document.querySelector('kb-help:not([id])');"
        " help.setAttribute('key', document.getElementById('search').getAttribute('key'));"
        " help.setAttribute('form', '#ticket'); late.querySelector('kb-help').remove(); }"
    )
    page.evaluate("document.querySelector('main').append(late)")
    type_in_form(page, "since this morning, always", subject=SYMPTOM)
    page.wait_for_selector("kb-help:not([id]) .card")
    assert json.loads(page.asked[-1].post_data)["title"] == SYMPTOM


def test_sessions_end_with_the_page(page: Any) -> None:
    type_in_search(page)
    first = told(page, "shown")[0]["session"]
    page.reload()
    type_in_search(page)
    assert told(page, "shown")[0]["session"] != first
    assert page.evaluate("document.cookie + localStorage.length + sessionStorage.length") == "00"


def test_nothing_internal_comes_through(page: Any) -> None:
    heard: list[str] = []
    page.on(
        "response", lambda response: heard.append(response.text()) if "/v1/" in response.url and response.ok else None
    )
    for words in (
        "the quokka alert fires and every request answers 401",
        "zanzibar xylophone nightjar mail bounces 550",
    ):
        type_in_search(page, words)
        page.wait_for_timeout(300)
        type_in_form(page, words)
        page.wait_for_timeout(SETTLED_MS)
    shown = page.evaluate("[...document.querySelectorAll('kb-help')].map(e => e.shadowRoot.textContent).join()")
    answers = [json.loads(text) for text in heard]
    assert any(answer.get("suggestions") for answer in answers)
    for text in (shown, *(json.dumps({**answer, "signatures": []}) for answer in answers)):
        assert not [word for word in SECRETS if word.casefold() in text.casefold()]


def test_a_lost_connection_is_said_and_mended_by_itself(page: Any) -> None:
    page.context.set_offline(True)
    page.fill(INPUT, SYMPTOM)
    page.wait_for_selector("text=You seem to be offline.")
    assert "offline" in page.inner_text(STATUS)
    assert page.locator("#search .contact").is_visible()
    page.context.set_offline(False)
    page.wait_for_selector(OPTION)
    page.problems[:] = [text for text in page.problems if "ERR_INTERNET_DISCONNECTED" not in text]


def test_a_service_that_cannot_be_reached_can_be_tried_again(page: Any) -> None:
    page.route("**/v1/search", lambda route: route.abort())
    page.fill(INPUT, SYMPTOM)
    page.wait_for_selector("text=Search cannot be reached just now.")
    page.unroute("**/v1/search")
    page.click("text=Try again")
    page.wait_for_selector(OPTION)
    assert active(page) == "kb-q"
    page.route("**/v1/articles/**", lambda route: route.abort())
    page.locator(OPTION).first.click()
    page.wait_for_selector("#search .reader .notice")
    page.unroute("**/v1/articles/**")
    page.click("#search .reader .notice button")
    page.wait_for_selector("#search .prose")
    page.problems[:] = [text for text in page.problems if "ERR_FAILED" not in text]


def test_a_slow_answer_is_said_to_be_slow(page: Any) -> None:
    held = hold(page)
    page.fill(INPUT, SYMPTOM)
    page.wait_for_selector("text=This takes longer than usual…")
    assert "longer" in page.inner_text(STATUS)
    held[0].continue_()
    page.wait_for_selector(OPTION)


def test_a_busy_service_is_asked_again_after_the_time_it_names(page: Any) -> None:
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After", "Retry-After": "2"}
    page.route("**/v1/search", lambda route: route.fulfill(status=429, headers=headers, json={}), times=1)
    page.fill(INPUT, SYMPTOM)
    page.wait_for_selector("text=Trying again in 2 seconds.")
    page.wait_for_selector(OPTION)
    page.problems[:] = [text for text in page.problems if "429" not in text]


def test_a_key_for_another_origin_opens_nothing(visit: Opener, site: Site) -> None:
    page = visit(f"/?key={site.world.page_key}")
    page.fill(INPUT, SYMPTOM)
    page.wait_for_selector("text=Search cannot be reached just now.")
    assert page.locator("#search .notice button").count() == 0
    page.problems[:] = [text for text in page.problems if "403" not in text]
