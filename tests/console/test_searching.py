"""Searching: results, what is said where there are none, and what a reader is let see."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest

from service.http.security import Sessions
from tests.bursts import type_in_a_burst
from tests.console.world import SYMPTOM, clipboard, titles, type_symptom
from tests.http_world import SECRETS, UNCOVERED

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_results_come_while_typing_and_are_announced(public: Any) -> None:
    type_symptom(public)
    assert "API answers 401 invalid_token after the token expired" in titles(public)
    assert re.search(r"An article covers this, 83 percent sure. \d+ shown", public.inner_text("#kb-status"))
    assert public.locator("mark").count() > 0
    assert f"q={quote('every request')}" in public.url.replace("+", "%20")


def test_typing_asks_once_and_an_overtaken_answer_is_not_shown(public: Any) -> None:
    asked: list[str] = []
    public.goto("/")
    public.on("request", lambda request: asked.append(request.post_data) if request.url.endswith("/results") else None)
    type_in_a_burst(public, "#kb-q", "401 invalid_token")
    public.wait_for_selector("#kb-results .answer")
    assert asked == ["401 invalid_token"]
    public.evaluate(
        "() => { const real = fetch; let n = 0;"
        "window.fetch = async (...a) => { const slow = n++ === 0; const r = real(...a);"
        " if (slow) await new Promise(d => setTimeout(d, 900)); return r; }; }"
    )
    public.fill("#kb-q", f"{UNCOVERED} first")
    public.wait_for_timeout(400)
    public.fill("#kb-q", "401 invalid_token again")
    public.wait_for_timeout(1500)
    assert public.locator(".notice").count() == 0
    assert public.locator("[data-result]").count() > 0


@pytest.mark.parametrize("shorter", ["", "40", "401 invalid_token"])
def test_going_back_to_less_gives_up_what_was_asked(public: Any, shorter: str) -> None:
    public.goto("/")
    if len(shorter) > 2:
        type_symptom(public, shorter)
    before = public.inner_html("#kb-results")
    held: list[Any] = []
    given_up: list[str] = []

    def keep(route: Any) -> None:
        held.append(route)

    public.on("requestfailed", lambda request: given_up.append(request.post_data))
    public.route("**/results", keep)
    public.fill("#kb-q", f"{UNCOVERED} 401")
    public.wait_for_selector('#kb-results[aria-busy="true"]')
    public.fill("#kb-q", shorter)
    public.wait_for_selector('#kb-results[aria-busy="false"]')
    public.wait_for_timeout(300)
    assert (len(held), given_up) == (1, [f"{UNCOVERED} 401"])
    assert public.inner_html("#kb-results") == before


def test_a_snippet_opens_its_article_at_the_marked_lines(public: Any) -> None:
    type_symptom(public)
    cite = public.locator("[data-result] .cite").first
    target = cite.get_attribute("href")
    cite.click()
    public.wait_for_selector(".prose")
    assert public.url.endswith(target)
    assert public.locator(".cited").count() > 0
    box = public.locator(".cited").first.bounding_box()
    assert 0 <= box["y"] <= public.viewport_size["height"]
    public.click("[data-back]")
    public.wait_for_selector("[data-result]")
    assert public.input_value("#kb-q") == SYMPTOM


def test_an_uncovered_symptom_is_owned_up_to(public: Any, engineer: Any) -> None:
    type_symptom(public, f"{UNCOVERED} 401")
    assert "No article covers this" in public.inner_text("#kb-results")
    assert public.locator("[data-result]").count() == 0
    type_symptom(engineer, f"{UNCOVERED} 401")
    assert "What helps with any ticket" in engineer.inner_text("#kb-ask")
    assert "the exact error text" in engineer.locator("#kb-message").input_value()
    summary = engineer.locator("details.nearest > summary")
    assert "none of them trusted" in summary.inner_text()
    assert not engineer.locator("[data-result]").first.is_visible()
    engineer.evaluate("document.activeElement.blur()")
    engineer.keyboard.press("c")
    engineer.wait_for_timeout(200)
    assert engineer.locator(".toast.is-shown").count() == 0
    summary.click()
    engineer.evaluate("document.activeElement.blur()")
    engineer.keyboard.press("c")
    assert engineer.locator("[data-open]").first.get_attribute("href") in clipboard(engineer, "http")
    assert engineer.locator("[data-result]").first.is_visible()


@pytest.mark.parametrize("extra", ["", "&audience=internal", "&type=runbook", "&product=platform-api"])
def test_the_public_console_has_no_trace_of_internal_content(public: Any, extra: str) -> None:
    for text in (SYMPTOM, "gateway restart after the alert", f"{UNCOVERED} 401"):
        public.goto(f"/?q={quote(text)}{extra}")
        html = public.locator("main").inner_html().replace(text, "")
        assert "badge-internal" not in html
        assert 'name="audience"' not in html
        leaked = [
            word for word in (*SECRETS, "triage", "runbook") if word in html.replace('value="runbook"', "").lower()
        ]
        assert leaked == ([] if extra != "&type=runbook" else leaked[:1])
    assert public.locator(".scope").inner_text().startswith("Public")


def test_signing_in_by_link_wipes_the_token_and_shows_who(engineer: Any) -> None:
    assert "#" not in engineer.url
    assert engineer.locator(".scope-internal").inner_text() == "Internal view · Ada"
    assert "kb_session" not in engineer.evaluate("document.cookie")
    type_symptom(engineer)
    assert "Zanzibar gateway restart after the quokka alert" in titles(engineer)
    engineer.click("text=Sign out")
    engineer.wait_for_selector("text=Sign in")
    type_symptom(engineer)
    assert "Zanzibar gateway restart after the quokka alert" not in titles(engineer)


def test_a_sign_in_link_works_where_the_form_is_open(public: Any, sessions: Sessions, address: str) -> None:
    public.goto("/sign-in")
    public.evaluate("location.hash = 'token=nonsense'")
    public.wait_for_selector("text=This sign-in link was used already or is no longer valid")
    assert public.url == f"{address}/sign-in"
    headers = {"Retry-After": "7"}
    public.route("**/v1/session", lambda route: route.fulfill(status=429, headers=headers, json={}), times=1)
    token = sessions.issue_ticket("Ada")
    public.evaluate("token => { location.hash = `token=${token}` }", token)
    public.wait_for_selector("text=Too many requests. Wait 7 seconds and open the link again.")
    assert "used already" not in public.inner_text("main")
    public.evaluate("token => { location.hash = `token=${token}` }", token)
    public.wait_for_url(f"{address}/")
    assert public.locator(".scope-internal").inner_text() == "Internal view · Ada"
    public.problems[:] = [text for text in public.problems if "401" not in text and "429" not in text]


def test_near_duplicates_are_named(public: Any) -> None:
    type_symptom(public, "the clock is wrong and every request answers 401 invalid_token")
    assert re.search(r"\d+% of its text is also in \d\. The \w+ clock is wrong", public.inner_text(".repeat"))
    public.goto("/articles/api/first-clock.md")
    assert "The second clock is wrong" in public.inner_text(".repeats")
    assert "Nobody has confirmed this article yet" in public.inner_text(".reader-main")
    public.goto("/articles/KB-1001")
    assert re.search(r"Close in meaning\s+The \w+ clock is wrong", public.inner_text(".reader-side"))


def test_chips_say_why(public: Any) -> None:
    type_symptom(public)
    chips = public.locator("[data-result]").first.locator(".chip").all_inner_texts()
    assert "Error invalid_token" in chips
    assert "Same meaning" in chips


def test_a_text_too_long_for_an_address_is_found_again(engineer: Any) -> None:
    text = f"{SYMPTOM}\n" + "2026-11-24 09:10:11 a line of a log\n" * 60
    type_symptom(engineer, text)
    assert engineer.url.endswith("/")
    engineer.locator("[data-open]").first.click()
    engineer.wait_for_selector(".prose")
    engineer.go_back()
    engineer.wait_for_selector("[data-result]")
    assert engineer.input_value("#kb-q") == text.strip()
    engineer.reload()
    engineer.wait_for_selector("[data-result]")
    assert engineer.input_value("#kb-q") == text.strip()


def test_the_way_back_from_a_long_text_to_an_empty_page(engineer: Any) -> None:
    text = f"{SYMPTOM}\n" + "2026-11-24 09:10:11 a line of a log\n" * 60
    engineer.fill("#kb-q", text)
    engineer.keyboard.press("Enter")
    engineer.wait_for_selector("[data-result]")
    engineer.wait_for_selector('#kb-results[aria-busy="false"]')
    engineer.go_back()
    engineer.wait_for_selector(".welcome")
    assert engineer.input_value("#kb-q") == ""
    engineer.go_forward()
    engineer.wait_for_selector("[data-result]")
    assert engineer.input_value("#kb-q") == text.strip()


def test_a_jump_within_the_page_leaves_the_results_alone(open_page: Any, sessions: Sessions, address: str) -> None:
    page = open_page(viewport={"width": 390, "height": 844})
    page.goto(f"/sign-in#token={sessions.issue_ticket('Ada')}")
    page.wait_for_url(f"{address}/")
    type_symptom(page, f"{SYMPTOM}\n" + "a line of a log\n" * 120)
    jump = page.locator(".jumps a").last
    target = page.locator(jump.get_attribute("href"))
    jump.click()
    page.wait_for_timeout(400)
    assert 0 <= target.bounding_box()["y"] <= 844
    assert page.locator("[data-result]").count() > 0


def test_a_session_that_ended_is_said(engineer: Any) -> None:
    type_symptom(engineer)
    engineer.context.clear_cookies()
    engineer.fill("#kb-q", f"{SYMPTOM} again")
    engineer.wait_for_selector("main >> text=Your session has ended")
    assert engineer.inner_text("#kb-status").startswith("Your session has ended. An article covers this")
    assert engineer.locator(".badge-internal").count() == 0
    assert engineer.inner_text(".top .scope") == "Public view"
    assert engineer.locator(".top").get_by_text("Sign out").count() == 0
    assert engineer.locator(".top").get_by_text("Sign in").is_visible()


@pytest.mark.parametrize(
    ("status", "said"),
    [(500, "The search failed"), (413, "This text is too large"), (429, "Wait 7 seconds and press Enter")],
)
def test_a_search_that_fails_says_what_to_do(public: Any, status: int, said: str) -> None:
    public.goto("/")
    public.route("**/results", lambda route: route.fulfill(status=status, json={}, headers={"Retry-After": "7"}))
    public.fill("#kb-q", "401 invalid_token")
    public.wait_for_selector(f"text={said}")
    assert said.split(" and ", maxsplit=1)[0] in public.inner_text("#kb-status")
    public.unroute("**/results")
    public.keyboard.press("Enter")
    public.wait_for_selector("[data-result]")
    public.problems[:] = [text for text in public.problems if f"status of {status}" not in text]


def test_feedback_is_sent_and_thanked_for(public: Any) -> None:
    type_symptom(public)
    with public.expect_response("**/v1/feedback") as sent:
        public.locator("[data-feedback] button[value=true]").first.click()
    assert sent.value.status == 201
    public.wait_for_selector("text=Thank you, noted")
    assert public.locator("[data-feedback] button[value=true]").first.get_attribute("aria-pressed") == "true"


def test_history_is_kept_here_and_can_be_cleared(public: Any) -> None:
    public.goto("/")
    public.fill("#kb-q", "401 invalid_token")
    public.keyboard.press("Enter")
    public.wait_for_selector("[data-result]")
    public.goto("/")
    assert public.locator("[data-recent-list] a").all_inner_texts() == ["401 invalid_token"]
    public.click("text=Clear history")
    public.reload()
    assert not public.locator("[data-recent]").is_visible()


def test_a_lost_connection_is_said(public: Any) -> None:
    public.goto("/")
    public.context.set_offline(True)
    public.fill("#kb-q", "401 invalid_token")
    public.wait_for_selector("text=The service cannot be reached")
    public.context.set_offline(False)
    public.keyboard.press("Enter")
    public.wait_for_selector("[data-result]")
    public.problems[:] = [text for text in public.problems if "ERR_INTERNET_DISCONNECTED" not in text]
