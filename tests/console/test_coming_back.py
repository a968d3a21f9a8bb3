"""Coming back: to a search from its articles, to an earlier search, after signing in again, and from another tab."""

from __future__ import annotations

from typing import Any

import pytest

from service.http.security import Sessions
from tests.console.world import SYMPTOM, titles, type_symptom
from tests.http_world import World

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

LOG = f"{SYMPTOM}\n" + "2026-11-24 09:10:11 a line of a log\n" * 60
INTERNAL = "Zanzibar gateway restart after the quokka alert"


def is_searched(page: Any, text: str) -> None:
    page.wait_for_function("text => document.getElementById('kb-q')?.value === text", arg=text)
    page.wait_for_selector("[data-result]")


def test_the_way_back_from_an_article_leads_over_everything_read_meanwhile(engineer: Any) -> None:
    type_symptom(engineer, LOG)
    engineer.locator("[data-open]").first.click()
    engineer.wait_for_selector(".prose")
    first = engineer.url
    engineer.evaluate("location.hash = 'here'")
    engineer.locator(".reader-side .related a").first.click()
    engineer.wait_for_url(lambda url: url.split("#")[0] != first.split("#")[0])
    engineer.wait_for_selector(".prose")
    engineer.click("[data-back]")
    is_searched(engineer, LOG.strip())


def test_the_way_back_works_in_a_tab_of_its_own(public: Any) -> None:
    type_symptom(public)
    with public.context.expect_page() as opened:
        public.locator("[data-open]").first.click(modifiers=["ControlOrMeta"])
    tab = opened.value
    tab.wait_for_load_state()  # without its script the link leads to an empty search
    tab.click("[data-back]")
    is_searched(tab, SYMPTOM)


def test_typing_leaves_the_address_of_a_sent_search_to_the_way_back(public: Any) -> None:
    type_symptom(public)
    public.keyboard.press("Enter")
    public.wait_for_selector('#kb-results[aria-busy="false"]')
    for text in ("API answers 401", "API answers 401 invalid_token"):
        public.fill("#kb-q", text)
        public.wait_for_url(f"**/?q={text.replace(' ', '+')}")
    public.go_back()
    is_searched(public, SYMPTOM)
    public.go_forward()
    is_searched(public, "API answers 401 invalid_token")


def test_typing_leaves_a_long_text_that_was_come_back_to(engineer: Any) -> None:
    type_symptom(engineer, LOG)
    engineer.locator("[data-open]").first.click()
    engineer.wait_for_selector(".prose")
    engineer.go_back()
    is_searched(engineer, LOG.strip())
    engineer.fill("#kb-q", "401 invalid_token")
    engineer.wait_for_url("**/?q=401+invalid_token")
    engineer.go_back()
    is_searched(engineer, LOG.strip())


@pytest.mark.parametrize("text", [LOG, "ログインできない 401 " * 30], ids=["many lines", "long once it is encoded"])
def test_signing_in_again_finds_a_text_that_is_too_long_for_an_address(
    engineer: Any, world: World, address: str, text: str
) -> None:
    engineer.context.clear_cookies()
    type_symptom(engineer)
    engineer.fill("#kb-q", text)
    engineer.wait_for_url(f"{address}/")
    engineer.locator(".top").get_by_text("Sign in").click()
    engineer.fill("#kb-token", world.engineer)
    engineer.keyboard.press("Enter")
    engineer.wait_for_selector(".scope-internal")
    engineer.wait_for_selector("#kb-results .answer")
    assert engineer.input_value("#kb-q") == text.strip()
    engineer.goto("/articles/KB-1001")
    engineer.goto("/")
    assert engineer.input_value("#kb-q") == ""


def test_another_tab_that_signs_in_or_out_changes_whose_view_this_one_names(
    public: Any, sessions: Sessions, address: str
) -> None:
    type_symptom(public)
    assert public.inner_text(".top .scope") == "Public view"
    other = public.context.new_page()
    other.goto(f"/sign-in#token={sessions.issue_ticket('Ada')}")
    other.wait_for_url(f"{address}/")
    public.fill("#kb-q", f"{SYMPTOM} again")
    public.wait_for_selector(".scope-internal")
    assert public.inner_text(".top .scope") == "Internal view · Ada"
    assert INTERNAL in titles(public)
    other.click("text=Sign out")
    other.wait_for_selector(".top >> text=Sign in")
    public.fill("#kb-q", f"{SYMPTOM} once more")
    public.wait_for_selector("main >> text=Your session has ended")
    assert public.inner_text(".top .scope") == "Public view"
    assert INTERNAL not in titles(public)


@pytest.mark.parametrize("status", [200, 502])
def test_the_page_of_a_proxy_in_front_is_no_result(public: Any, status: int) -> None:
    public.goto("/")
    login = "<!doctype html><h1>Log in to the proxy</h1><form action=https://proxy.example></form>"
    public.route("**/results", lambda route: route.fulfill(status=status, body=login, content_type="text/html"))
    public.fill("#kb-q", "401 invalid_token")
    public.wait_for_selector(f"text=The service answered with status {status}")
    assert public.locator("main form").count() == 1
    public.problems[:] = [text for text in public.problems if "status of 502" not in text]


def test_an_opinion_that_was_given_is_not_sent_again(public: Any) -> None:
    type_symptom(public)
    sent: list[str] = []
    public.on("request", lambda request: sent.append(request.post_data) if "feedback" in request.url else None)
    yes, no = (public.locator(f"[data-feedback] button[value={value}]").first for value in ("true", "false"))
    for button in (yes, yes):
        button.click()
        public.wait_for_selector("text=Thank you, noted")
    assert len(sent) == 1
    public.route("**/v1/feedback", lambda route: route.fulfill(status=503, json={}))
    no.click()
    public.wait_for_selector("text=The feedback could not be sent")
    assert [button.get_attribute("aria-pressed") for button in (yes, no)] == ["true", "false"]
    public.problems[:] = [text for text in public.problems if "503" not in text]


def test_what_was_folded_is_folded_again_after_printing(public: Any) -> None:
    type_symptom(public)
    folded = public.locator("main details[open]:not(.facet)")
    before = folded.count()
    public.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert folded.count() > before
    public.evaluate("dispatchEvent(new Event('afterprint'))")
    assert folded.count() == before
