"""How the console looks and is handled: accessibility, sizes, themes, keyboard, print, no script."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest

from service.http.security import Sessions
from tests.console.world import SYMPTOM, clipboard, titles, type_symptom
from tests.http_world import UNCOVERED

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}

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


def test_commands_of_the_first_steps_are_printed_whole(engineer: Any) -> None:
    type_symptom(engineer)
    engineer.wait_for_selector(".steps pre")
    engineer.emulate_media(media="print")
    pre = engineer.locator(".steps pre").first
    pre.evaluate("e => { e.style.width = '40px' }")
    assert pre.evaluate("e => [getComputedStyle(e).whiteSpace, e.scrollWidth <= e.clientWidth]") == ["pre-wrap", True]
    assert engineer.locator(".panel button:visible").count() == 0


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
