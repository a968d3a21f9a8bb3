"""The console in a real browser: Debian's Chromium, driven by Playwright. Skipped by name where there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from service.http.app import create_app
from service.http.security import Sessions
from tests.conftest import FakeEmbedder
from tests.http_world import UNCOVERED, DecidedAssistant, World, make_world, running

CHROMIUM = Path("/usr/bin/chromium")
playwright_api = pytest.importorskip("playwright.sync_api", reason="browser: playwright is not installed")
axe_api = pytest.importorskip("axe_playwright_python.sync_playwright", reason="browser: axe is not installed")
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="browser: /usr/bin/chromium is not installed"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SYMPTOM = "every request answers 401 invalid_token and the quokka alert fires"
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def sessions() -> Sessions:
    return Sessions(3600)


@pytest.fixture(scope="module")
def address(world: World, sessions: Sessions) -> Iterator[str]:
    settings = world.settings.model_copy(
        update={"rate_limit_per_minute": 10_000, "secret_rate_limit_per_minute": 10_000}
    )
    app = create_app(settings, lambda: DecidedAssistant(world.index, FakeEmbedder()), sessions=sessions)
    with running(app) as base:
        yield base


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Any]:
    """Opens pages; a content-security violation, script error or failed request on any of them fails the test."""
    contexts: list[Any] = []
    problems: list[str] = []

    def opener(**options: Any) -> Any:
        context = browser.new_context(base_url=address, **options)
        contexts.append(context)
        context.add_init_script(
            "document.addEventListener('securitypolicyviolation', e => console.error('CSP: ' + e.violatedDirective))"
        )
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.problems = problems
        return page

    yield opener
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def public(open_page: Any) -> Any:
    return open_page()


@pytest.fixture
def engineer(open_page: Any, sessions: Sessions, address: str) -> Any:
    """A page signed in by the one-time link."""
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"/sign-in#token={sessions.issue_ticket('Ada')}")
    page.wait_for_url(f"{address}/")
    return page


def type_symptom(page: Any, text: str = SYMPTOM) -> None:
    page.goto("/")
    page.fill("#kb-q", text)
    page.wait_for_selector("#kb-results .answer")
    page.wait_for_selector('#kb-results[aria-busy="false"]')


def titles(page: Any) -> list[str]:
    found: list[str] = page.locator("[data-result] h3").all_inner_texts()
    return found


def clipboard(page: Any) -> str:
    page.wait_for_selector(".toast.is-shown")
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_results_come_while_typing_and_are_announced(public: Any) -> None:
    type_symptom(public)
    assert "API answers 401 invalid_token after the token expired" in titles(public)
    assert re.search(r"\d+ articles? found, 83 percent sure", public.inner_text("#kb-status"))
    assert public.locator("mark").count() > 0
    assert f"q={quote('every request')}" in public.url.replace("+", "%20")


def test_typing_asks_once_and_an_overtaken_answer_is_not_shown(public: Any) -> None:
    asked: list[str] = []
    public.goto("/")
    public.on("request", lambda request: asked.append(request.post_data) if request.url.endswith("/results") else None)
    public.type("#kb-q", "401 invalid_token", delay=10)
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
    summary = engineer.locator("details.nearest summary")
    assert "none of them trusted" in summary.inner_text()
    assert not engineer.locator("[data-result]").first.is_visible()
    summary.click()
    assert engineer.locator("[data-result]").first.is_visible()


def test_the_public_console_has_no_trace_of_internal_content(public: Any) -> None:
    type_symptom(public)
    html = public.content()
    assert "badge-internal" not in html
    assert not re.search("zanzibar|KB-7777|xylophone", html)
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


def test_everything_by_keyboard(engineer: Any) -> None:
    type_symptom(engineer)
    engineer.keyboard.press("ArrowDown")
    links = engineer.locator("[data-result] [data-open]")
    assert links.nth(0).evaluate("e => e === document.activeElement")
    engineer.keyboard.press("ArrowDown")
    assert links.nth(1).evaluate("e => e === document.activeElement")
    engineer.keyboard.press("ArrowUp")
    engineer.keyboard.press("c")
    reply = clipboard(engineer)
    assert reply.startswith("**")
    assert re.search(r"— \[[^\]]+\.md:\d+(-\d+)?\]\(<http://127\.0\.0\.1:\d+/articles/", reply)
    engineer.keyboard.press("ArrowUp")
    assert engineer.evaluate("document.activeElement.id") == "kb-q"
    engineer.keyboard.press("ArrowDown")
    engineer.keyboard.press("?")
    assert engineer.locator("#kb-help").is_visible()
    engineer.keyboard.press("Escape")
    assert not engineer.locator("#kb-help").is_visible()
    engineer.keyboard.press("/")
    assert engineer.evaluate("document.activeElement.id") == "kb-q"
    engineer.keyboard.press("End")
    engineer.keyboard.press("ArrowDown")
    first = links.nth(0).inner_text()
    engineer.keyboard.press("Enter")
    engineer.wait_for_selector(".prose h1")
    assert engineer.inner_text(".prose h1") == first


def test_single_key_shortcuts_can_be_turned_off(engineer: Any) -> None:
    engineer.goto("/articles/KB-7777")
    engineer.keyboard.press("?")
    engineer.locator("[data-shortcuts]").uncheck()
    engineer.keyboard.press("Escape")
    engineer.keyboard.press("?")
    assert not engineer.locator("#kb-help").is_visible()
    engineer.reload()
    engineer.keyboard.press("?")
    assert not engineer.locator("#kb-help").is_visible()


def test_the_first_steps_are_ticked_and_copied(engineer: Any) -> None:
    engineer.goto("/articles/runbooks/zanzibar.md")
    boxes = engineer.locator(".checklist input")
    assert boxes.count() == 2
    boxes.nth(0).check()
    assert "1 of 2 done" in engineer.inner_text(".checklist-bar")
    engineer.click("text=Copy for the ticket")
    copied = clipboard(engineer)
    assert "- [x] Look at the quokka board:\n  ```bash\n  kubectl get pods -n quokka\n  ```" in copied
    assert "- [ ] Ask the zanzibar team." in copied
    assert "/articles/runbooks/zanzibar.md#first-15-minutes" in copied
    engineer.reload()
    assert boxes.nth(0).is_checked()


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


def test_a_shared_link_shows_the_same_and_works_without_script(open_page: Any) -> None:
    plain = open_page(java_script_enabled=False)
    plain.goto("/")
    plain.fill("#kb-q", SYMPTOM)
    plain.click("button.primary")
    assert "API answers 401 invalid_token after the token expired" in titles(plain)
    scripted = open_page()
    scripted.goto(plain.url)
    assert titles(scripted) == titles(plain)
    assert not plain.locator("[data-copy]").first.is_visible()


def test_a_lost_connection_is_said(public: Any) -> None:
    public.goto("/")
    public.context.set_offline(True)
    public.fill("#kb-q", "401 invalid_token")
    public.wait_for_selector("text=The service cannot be reached")
    public.context.set_offline(False)
    public.keyboard.press("Enter")
    public.wait_for_selector("[data-result]")
    public.problems[:] = [text for text in public.problems if "ERR_INTERNET_DISCONNECTED" not in text]


VIEWS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 360, "height": 780}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "zoomed": {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2, "reduced_motion": "reduce"},
}
STATES = {
    "empty": "/",
    "results": f"/?q={quote(SYMPTOM)}",
    "abstained": f"/?q={UNCOVERED}+401",
    "invalid": f"/?q={'x' * 20_001}",
    "article": "/articles/KB-1001?lines=14-18#symptoms",
    "runbook": "/articles/KB-7777?lines=19",
    "sign-in": "/sign-in",
    "missing": "/articles/none",
}


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_and_nothing_overflows(open_page: Any, sessions: Sessions, address: str, view: str) -> None:
    page = open_page(**VIEWS[view])
    page.goto(f"/sign-in#token={sessions.issue_ticket('Ada')}")
    page.wait_for_url(f"{address}/")
    for state, url in STATES.items():
        page.goto(url)
        if state == "abstained":
            page.click("details.nearest summary")
        assert_accessible(page, f"{view} {state}")
    page.goto("/")
    page.keyboard.press("Tab")
    page.evaluate("document.getElementById('kb-help').showModal()")
    assert_accessible(page, f"{view} help")
    page.problems[:] = [text for text in page.problems if "404" not in text and "422" not in text]


def assert_accessible(page: Any, where: str) -> None:
    page.wait_for_timeout(250)
    violations = axe_api.Axe().run(page, options=AXE).response["violations"]
    found = [(v["id"], [node["html"][:160] for node in v["nodes"][:3]]) for v in violations]
    assert found == [], where
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{where} scrolls sideways"
