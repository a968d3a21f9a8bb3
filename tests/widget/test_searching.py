"""The search box: suggestions, reading in place, what is said where there is nothing, troubles."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.bursts import type_in_a_burst
from tests.http_world import SECRETS, UNCOVERED
from tests.widget.looking import INPUT, OPTION, SETTLED_MS, STATUS, active, descendant, told
from tests.widget_world import EXPORT, SYMPTOM, TITLE, Opener, Site, hold, type_in_form, type_in_search

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


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
    type_in_a_burst(page, INPUT, SYMPTOM)
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


def test_what_was_found_for_a_longer_text_is_gone_with_it(page: Any) -> None:
    type_in_search(page)
    page.fill(INPUT, "ev")
    assert page.locator("#search .popup").is_hidden()
    page.keyboard.press("ArrowDown")
    assert page.locator("#search .popup").is_hidden()
    assert page.locator(OPTION).count() == 0
    page.keyboard.press("Enter")
    page.click(INPUT)
    assert page.locator("#search .popup").is_hidden()


def test_nothing_opens_over_the_page_of_somebody_who_has_left_the_field(page: Any) -> None:
    held = hold(page)
    page.fill(INPUT, SYMPTOM)
    page.wait_for_timeout(400)
    page.focus("#subject")
    held[0].continue_()
    page.wait_for_selector(OPTION, state="attached")
    assert page.locator("#search .popup").is_hidden()
    assert (page.inner_text(STATUS), told(page, "shown")) == ("", [])
    page.click(INPUT)
    assert page.locator(OPTION).first.is_visible()
    assert "found" in page.inner_text(STATUS)
    page.keyboard.press("Escape")
    page.click(INPUT)
    assert len(told(page, "shown")) == 1


@pytest.mark.parametrize("target", [".contact", ".notice button"])
def test_pressing_in_the_list_leaves_the_focus_in_the_field(page: Any, target: str) -> None:
    """Safari gives no focus to a link or button that is pressed, so taking it from the field would hide the list."""
    page.route("**/v1/search", lambda route: route.abort())
    page.fill(INPUT, SYMPTOM)
    box = page.locator(f"#search {target}").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    assert active(page) == "kb-q"
    assert page.locator(f"#search {target}").is_visible()
    page.problems[:] = [text for text in page.problems if "ERR_FAILED" not in text]


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
                "index_version": "20261124T044056553567-46f560ad8a3a",
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


def test_a_busy_service_is_asked_for_an_article_again_too(page: Any) -> None:
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After", "Retry-After": "2"}
    page.route("**/v1/articles/**", lambda route: route.fulfill(status=503, headers=headers, json={}), times=1)
    type_in_search(page)
    page.locator(OPTION).first.click()
    page.wait_for_selector("#search .reader >> text=Trying again in 2 seconds.")
    page.wait_for_selector("#search .prose")
    page.problems[:] = [text for text in page.problems if "503" not in text]


def test_a_key_of_another_page_that_may_ask_is_refused_with_a_reason(visit: Opener, site: Site) -> None:
    warned: list[str] = []
    page = visit(f"/?key={site.world.page_key}")
    page.on("console", lambda message: warned.append(message.text) if message.type == "warning" else None)
    page.fill(INPUT, SYMPTOM)
    page.wait_for_selector("text=Search cannot be reached just now.")
    assert page.locator("#search .notice button").count() == 0
    assert any("made for this page's origin" in text for text in warned)
    page.problems[:] = [text for text in page.problems if "403" not in text]


def test_a_page_that_no_key_names_is_refused_by_the_browser(visit: Opener, site: Site) -> None:
    page = visit(site.pages.replace("127.0.0.1", "localhost"))
    page.fill(INPUT, SYMPTOM)
    page.wait_for_selector("text=Search cannot be reached just now.")
    assert any("blocked by CORS policy" in text for text in page.problems)
    page.problems[:] = [text for text in page.problems if "CORS policy" not in text and "ERR_FAILED" not in text]
