"""Beside a ticket form: when it suggests, that it never stands in the way, and what page and ledger are told."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.bursts import type_in_a_burst
from tests.http_world import UNCOVERED
from tests.widget.looking import CARD, OPTION, READER, SETTLED_MS, active, told
from tests.widget_world import SYMPTOM, TITLE, Site, hold, type_in_form, type_in_search

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_beside_a_form_it_suggests_once_the_text_says_enough(page: Any) -> None:
    type_in_a_burst(page, "#body", "It does not")
    page.wait_for_timeout(SETTLED_MS)
    assert page.asked == []
    type_in_a_burst(page, "#body", f" work: {SYMPTOM}")
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


def test_naming_things_later_keeps_what_was_typed(page: Any) -> None:
    type_in_search(page)
    page.evaluate(
        "() => { for (const [name, value] of Object.entries({session: 'visitor-12345678', contact: '#ticket',"
        " subject: '#other', body: '#body'})) document.getElementById('search').setAttribute(name, value); }"
    )
    assert page.input_value("#search input") == SYMPTOM
    assert page.locator(OPTION).first.is_visible()
    page.locator(OPTION).first.click()
    page.wait_for_selector("#search .prose")
    assert told(page, "opened")[0]["session"] == "visitor-12345678"


def test_the_way_to_a_person_after_an_article_takes_what_was_searched_for_along(page: Any) -> None:
    type_in_search(page)
    page.locator(OPTION).first.click()
    page.click("#search .verdict button:not(.primary)")
    page.click("#search .verdict .contact")
    assert page.input_value("#subject") == SYMPTOM


def test_a_long_search_goes_into_the_text_of_the_form(page: Any) -> None:
    """ServiceNow's short description ends at 160 characters, and Jira's summary at 255."""
    text = f"{SYMPTOM} " + "and again " * 20
    type_in_search(page, text)
    page.click("#search .way-on .contact")
    assert (page.input_value("#subject"), page.input_value("#body")) == ("", text.strip())


def test_a_form_that_comes_later_and_fields_that_nobody_named(page: Any) -> None:
    page.evaluate("() => { const form = document.getElementById('ticket'); form.remove(); window.late = form; }")
    page.evaluate("document.querySelector('main').append(document.createElement('kb-help'))")
    page.evaluate(
        "() => { const help = document.querySelector('kb-help:not([id])');"
        " help.setAttribute('publishable-key', document.getElementById('search').getAttribute('publishable-key'));"
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
