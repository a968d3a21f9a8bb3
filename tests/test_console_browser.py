"""The console in a real browser: Debian's Chromium, driven by Playwright. Skipped by name where there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from service.http.app import create_app
from service.http.security import Sessions
from tests.conftest import FakeEmbedder, build, write_article
from tests.http_world import SECRETS, UNCOVERED, DecidedAssistant, World, make_world, running
from tests.widget_world import launched, load_axe

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
SYMPTOM = "every request answers 401 invalid_token and the quokka alert fires"
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def axe() -> Any:
    return load_axe()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The usual world, a public article that nearly repeats another, and a triage guide that asks for evidence."""
    made = make_world(tmp_path_factory.mktemp("browser"))
    told = " ".join(f"Step {number} tells what the gateway expects of the token it is sent." for number in range(12))
    for name in ("first", "second"):
        write_article(
            made.source,
            f"api/{name}-clock.md",
            f"## Symptoms\n\nEvery request answers 401 invalid_token.\n\n## Resolution\n\n{told}\n",
            title=f"The {name} clock is wrong and every request answers 401 invalid_token",
            front="products: [platform-api]\ntype: troubleshooting\ncomponents: [gateway]\nversions: ['2.x']\n"
            "confidence: not-validated",
        )
    write_article(
        made.source,
        "triage/quokka.md",
        "## First 15 minutes\n\n1. Read the quokka log:\n   ```bash\n   tail quokka.log\n   ```\n2. Count.\n\n"
        "## Evidence to collect\n\n- Request ids: two `X-Request-ID` values\n- Start: when it began, in UTC\n"
        "- Quokka board: the panel of step 1\n",
        title="Every request answers 401 invalid_token while the quokka alert fires",
        audience="internal",
        front="products: [nightjar]\ntype: triage\nrelated: [KB-1003]",
    )
    assert build(made.source, made.index).errors == ()
    return made


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
        context.set_default_timeout(15_000)
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


def clipboard(page: Any, holds: str = "") -> str:
    """What was copied, once it holds `holds`."""
    page.wait_for_selector(".toast.is-shown")
    page.wait_for_function("async text => (await navigator.clipboard.readText()).includes(text)", arg=holds)
    return str(page.evaluate("navigator.clipboard.readText()"))


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
    assert "What helps with any ticket" in engineer.inner_text("#kb-ask")
    assert "the exact error text" in engineer.locator("#kb-message").input_value()
    summary = engineer.locator("details.nearest > summary")
    assert "none of them trusted" in summary.inner_text()
    assert not engineer.locator("[data-result]").first.is_visible()
    summary.click()
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


def facet(page: Any, name: str) -> Any:
    return page.locator(f"#kb-facet-{name}")


def test_filters_narrow_with_counts_that_hold_and_stand_in_the_address(engineer: Any) -> None:
    type_symptom(engineer)
    everything = titles(engineer)
    facet(engineer, "type").locator("summary").click()
    row = facet(engineer, "type").locator("label", has_text="triage")
    count = int(row.locator(".facet-count").inner_text().split()[-1])
    with engineer.expect_response("**/results?type=triage"):
        row.click()
    engineer.wait_for_selector(".facet.is-on")
    assert 1 <= len(titles(engineer)) == count < len(everything)
    assert engineer.url.endswith("&type=triage")
    assert facet(engineer, "type").evaluate("menu => menu.open && menu.contains(document.activeElement)")
    engineer.keyboard.press("Escape")
    assert facet(engineer, "type").evaluate("menu => !menu.open && menu.firstElementChild === document.activeElement")
    assert "Type: triage" in facet(engineer, "type").text_content()
    engineer.reload()
    assert len(titles(engineer)) == count
    engineer.click("[data-clear-filters]")
    engineer.wait_for_selector(".facet.is-on", state="detached")
    assert titles(engineer) == everything
    engineer.go_back()
    engineer.wait_for_selector(".facet.is-on")
    assert len(titles(engineer)) == count


def test_filters_by_keyboard_alone(engineer: Any) -> None:
    type_symptom(engineer)
    for key in ("ArrowDown", "f", "Enter", "Tab", "Space"):
        engineer.keyboard.press(key)
    engineer.wait_for_selector("#kb-facet-product.is-on")
    assert "&product=" in engineer.url
    assert engineer.evaluate("document.activeElement.matches('#kb-facet-product input:checked')")
    engineer.keyboard.press("Escape")
    engineer.keyboard.press("Escape")
    assert engineer.evaluate("document.activeElement.id") == "kb-q"


def test_filters_that_hide_the_best_match_are_owned_up_to(engineer: Any) -> None:
    type_symptom(engineer)
    best = titles(engineer)[0]
    engineer.goto(f"/?q={quote(SYMPTOM)}&product=email")
    assert titles(engineer) == ["Mail bounces because authentication is missing"]
    engineer.goto(f"/?q={quote(SYMPTOM)}&audience=public&type=known-error")
    assert best not in titles(engineer)
    assert "The filters hide the best match" in engineer.inner_text(".verdict")
    assert engineer.locator(".sure").count() == 0
    engineer.goto(f"/?q={quote(SYMPTOM)}&component=nowhere")
    assert "No articles with these filters" in engineer.inner_text(".verdict")
    assert "nowhere" in facet(engineer, "component").inner_text()


def test_public_filters_know_public_values_only(public: Any) -> None:
    type_symptom(public)
    boxes = public.locator("[data-filters] input")
    values = {box.get_attribute("value") for box in boxes.all()}
    assert values >= {"troubleshooting", "known-error", "not-validated"}
    assert not values & {"triage", "runbook", "internal", "nightjar"}
    public.locator("#kb-facet-type summary").click()
    counts = {
        row.locator(".facet-value").inner_text(): row.locator(".facet-count").inner_text()
        for row in public.locator("#kb-facet-type label").all()
    }
    assert counts["troubleshooting"].endswith("2")


def test_what_is_missing_is_asked_for_in_a_ready_message(engineer: Any) -> None:
    type_symptom(engineer, f"Hi,\n{SYMPTOM}\nsince 09:10 UTC.\nThanks")
    asked = engineer.inner_text("#kb-ask")
    assert "The request id of one failing attempt" in asked
    assert "when it happened" not in asked.lower()
    engineer.locator("#kb-q").blur()
    engineer.keyboard.press("m")
    message = clipboard(engineer)
    assert message.startswith("Hi,")
    assert "- the request id" in message
    assert not [word for word in SECRETS if word.lower() in message.lower()]
    engineer.click(".message summary")
    engineer.fill("#kb-message", "Only this, please.")
    engineer.click("#kb-ask [data-copy-from]")
    assert clipboard(engineer, "Only this") == "Only this, please."
    assert "Quokka board" in engineer.inner_text(".needs")
    assert "09:10 UTC" in engineer.inner_text(".held")


def test_a_detail_that_is_added_is_no_longer_asked_for(engineer: Any) -> None:
    type_symptom(engineer, f"{SYMPTOM}, X-Request-ID: 7f3a9c21d4 at 09:10 UTC")
    assert "request id of one" not in engineer.inner_text(".ticket")


def test_the_first_steps_stand_beside_the_results_with_the_same_ticks(engineer: Any) -> None:
    type_symptom(engineer)
    steps = engineer.locator("#kb-steps .checklist input")
    steps.nth(0).check()
    assert "1 of 2 done" in engineer.inner_text("#kb-steps .checklist-bar")
    engineer.click("#kb-steps [data-checklist-copy]")
    assert "- [x] " in clipboard(engineer)
    engineer.click("#kb-steps .panel-source a")
    engineer.wait_for_selector(".prose .checklist")
    assert engineer.locator(".prose .checklist input").nth(0).is_checked()


def test_the_note_for_the_ticket_cites_what_was_found(engineer: Any) -> None:
    type_symptom(engineer)
    engineer.locator("#kb-q").blur()
    engineer.keyboard.press("n")
    note = clipboard(engineer)
    assert note.startswith("**Suggested articles** (83% sure)")
    assert "/articles/api/" in note


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


def test_marked_lines_and_code_are_copied(open_page: Any) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto("/articles/KB-1001?lines=1-15")
    page.keyboard.press("c")
    reply = clipboard(page)
    assert "> Every request answers 401" in reply
    assert "[api/token-expired.md:1-15](<http://127.0.0.1" in reply
    assert "KB-7777" not in reply
    page.locator(".code").hover()
    page.click(".code > button")
    assert clipboard(page, "HTTP/1.1").startswith("HTTP/1.1 401 Unauthorized\nWWW-Authenticate")
    page.goto("/articles/KB-1001")
    page.keyboard.press("c")
    assert "\n— [API answers 401" in clipboard(page, "—")


def test_the_theme_follows_the_system_until_it_is_chosen(open_page: Any) -> None:
    page = open_page(color_scheme="dark")
    page.goto("/")

    def is_dark() -> bool:
        return bool(page.evaluate("matchMedia, getComputedStyle(document.body).backgroundColor === 'rgb(17, 20, 22)'"))

    assert is_dark()
    toggle = page.locator("[data-theme-toggle]")
    assert toggle.get_attribute("aria-label") == "Theme: as the system"
    toggle.click()
    assert not is_dark()
    page.goto("/articles/KB-1001")
    assert not is_dark()
    toggle.click()
    assert toggle.get_attribute("aria-label") == "Theme: dark"
    page.emulate_media(color_scheme="light")
    assert is_dark()
    toggle.click()
    assert not is_dark()


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
    engineer.wait_for_selector("text=Your session has ended")
    assert engineer.locator(".badge-internal").count() == 0


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


def test_waiting_is_shown(public: Any) -> None:
    public.goto("/")
    waiting: list[Any] = []

    def hold(route: Any) -> None:
        waiting.append(route)

    public.route("**/results", hold)
    public.fill("#kb-q", "401 invalid_token")
    public.wait_for_selector('#kb-results[aria-busy="true"]')
    assert public.locator(".progress").evaluate("e => getComputedStyle(e).visibility") == "visible"
    waiting[0].continue_()
    public.wait_for_selector('#kb-results[aria-busy="false"]')
    public.wait_for_selector("[data-result]")


def test_a_printed_page_holds_the_content_only(public: Any) -> None:
    public.goto("/articles/KB-1001")
    public.emulate_media(media="print")
    assert not public.locator(".top").is_visible()
    assert not public.locator("[data-feedback]").is_visible()
    assert public.locator(".prose").is_visible()


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


def test_it_works_without_script(open_page: Any) -> None:
    plain = open_page(java_script_enabled=False)
    plain.goto("/")
    plain.fill("#kb-q", SYMPTOM)
    plain.click("button.primary")
    found = titles(plain)
    assert "API answers 401 invalid_token after the token expired" in found
    scripted = open_page()
    scripted.goto(plain.url)
    assert titles(scripted) == found
    assert not plain.locator("[data-copy]").first.is_visible()
    assert not plain.locator("[data-theme-toggle]").is_visible()
    plain.click("#kb-facet-type summary")
    plain.check("#kb-facet-type input[value=known-error]")
    plain.click("text=Apply filters")
    assert plain.url.endswith("&type=known-error")
    assert titles(plain) == ["API answers 401 invalid_token after the token expired"]
    plain.click("text=Clear filters")
    assert "type=" not in plain.url
    assert titles(plain) == found
    plain.fill("#kb-q", f"{SYMPTOM}\n" + "a line of a log\n" * 120)
    plain.click("button.primary")
    assert plain.url.endswith("/")
    assert plain.locator("[data-result]").count() > 0
    plain.locator("[data-open]").first.click()
    assert plain.locator(".prose h1").is_visible()


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
    "phone": {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "dark phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
    "wide": {"viewport": {"width": 2200, "height": 1200}},
    "zoomed": {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2, "reduced_motion": "reduce"},
    "contrast": {"viewport": {"width": 1280, "height": 900}, "forced_colors": "active"},
}
STATES = {
    "empty": "/",
    "results": f"/?q={quote(SYMPTOM)}",
    "filtered": f"/?q={quote(SYMPTOM)}&type=known-error&audience=public",
    "nothing left": f"/?q={quote(SYMPTOM)}&component=nowhere",
    "abstained": f"/?q={UNCOVERED}+401",
    "invalid": f"/?q={'x' * 20_001}",
    "article": "/articles/KB-1001?lines=14-18#symptoms",
    "runbook": "/articles/KB-7777?lines=19",
    "sign-in": "/sign-in",
    "missing": "/articles/none",
}


FULLY_LOOKED_AT = ("desktop", "dark", "phone")
"""The other views are looked at where the layout differs most."""


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_and_nothing_overflows(
    open_page: Any, axe: Any, sessions: Sessions, address: str, view: str
) -> None:
    page = open_page(**VIEWS[view])
    page.goto(f"/sign-in#token={sessions.issue_ticket('Ada')}")
    page.wait_for_url(f"{address}/")
    for state, url in STATES.items():
        if view not in FULLY_LOOKED_AT and state not in {"results", "runbook"}:
            continue
        page.goto(url)
        if state == "abstained":
            page.click("details.nearest > summary")
        if state == "results":
            page.click("#kb-facet-component summary")
            assert_accessible(axe, page, f"{view} open menu")
            page.keyboard.press("Escape")
            page.evaluate("document.querySelectorAll('main details:not(.facet)').forEach(e => { e.open = true })")
        assert_accessible(axe, page, f"{view} {state}")
    page.keyboard.press("Tab")
    page.evaluate("document.getElementById('kb-help').showModal()")
    assert_accessible(axe, page, f"{view} help")
    page.problems[:] = [text for text in page.problems if "404" not in text and "422" not in text]


def assert_accessible(axe: Any, page: Any, where: str) -> None:
    page.wait_for_timeout(200)  # transitions end
    violations = axe.run(page, options=AXE).response["violations"]
    found = [(v["id"], [node["html"][:160] for node in v["nodes"][:3]]) for v in violations]
    assert found == [], where
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{where} scrolls sideways"
