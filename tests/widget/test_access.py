"""The widget for everybody: axe-core in every state, zoom, narrow screens, motion, contrast, direction, language."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from service.http.demo import Demo
from service.http.widget_script import WIDGET
from tests.http_world import UNCOVERED
from tests.widget_world import (
    EXPORT,
    LISTEN,
    SYMPTOM,
    Opener,
    Site,
    hold,
    load_axe,
    type_in_form,
    type_in_search,
)

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
STRINGS = json.loads((WIDGET / "strings.json").read_text())


def closed(page: Any) -> None:
    """Nothing typed yet."""


def chosen(page: Any) -> None:
    type_in_search(page)
    page.keyboard.press("ArrowDown")


def nothing_found(page: Any) -> None:
    page.fill("#search input", f"{UNCOVERED} 401 invalid_token")
    page.wait_for_selector("#search .contact")


def slow(page: Any) -> None:
    hold(page)
    page.fill("#search input", SYMPTOM)
    page.wait_for_selector("#search .notices p")


def failed(page: Any) -> None:
    page.route("**/v1/search", lambda route: route.abort())
    page.fill("#search input", SYMPTOM)
    page.wait_for_selector("#search .notice button")


def offline(page: Any) -> None:
    page.context.set_offline(True)
    page.fill("#search input", SYMPTOM)
    page.wait_for_selector("#search .notice button")


def article(page: Any) -> None:
    type_in_search(page, f"{EXPORT} no more")
    page.locator("#search [role=option]").first.click()
    page.wait_for_selector("#search .verdict")


def article_failed(page: Any) -> None:
    page.route("**/v1/articles/**", lambda route: route.abort())
    type_in_search(page)
    page.locator("#search [role=option]").first.click()
    page.wait_for_selector("#search .reader .notice")


def solved(page: Any) -> None:
    article(page)
    page.click("#search .verdict .primary")


def unsolved(page: Any) -> None:
    article(page)
    page.click("#search .verdict button:not(.primary)")


def panel(page: Any) -> None:
    type_in_form(page)
    page.wait_for_selector("#beside .card")


def panel_article(page: Any) -> None:
    panel(page)
    page.locator("#beside .card").first.click()
    page.wait_for_selector("#beside .verdict")


STATES: tuple[Callable[[Any], None], ...] = (
    *(closed, type_in_search, chosen, nothing_found, slow, failed, offline),
    *(article, article_failed, solved, unsolved, panel, panel_article),
)
VIEWS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 320, "height": 700}},
    "zoomed": {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2, "reduced_motion": "reduce"},
    "rtl dark phone": {"viewport": {"width": 320, "height": 700}, "color_scheme": "dark"},
}


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(visit: Opener, view: str) -> None:
    page = visit("/?dir=rtl" if view.startswith("rtl") else "/", **VIEWS[view])
    for reach in STATES:
        reach(page)
        page.wait_for_timeout(300)
        assert_accessible(page, f"{view}: {reach.__name__}")
        page.unroute_all(behavior="ignoreErrors")
        page.context.set_offline(False)
        page.reload()
        page.wait_for_selector("#search input")
    page.problems[:] = [text for text in page.problems if "net::ERR_" not in text]


def assert_accessible(page: Any, where: str) -> None:
    violations = load_axe().run(page, options=AXE).response["violations"]
    found = [(v["id"], [node["html"][:160] for node in v["nodes"][:3]]) for v in violations]
    assert found == [], where
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{where} scrolls sideways"


def test_the_demo_is_accessible_and_keeps_its_policy(browser: Any, site: Site) -> None:
    demo = Demo("127.0.0.1", int(site.service.rsplit(":", 1)[1]))
    site.app.state.services.gatekeeper.keys.lend(demo.key)
    problems: list[str] = []
    with demo.serving():
        for lang, options in (("en", VIEWS["desktop"]), ("ja", VIEWS["rtl dark phone"])):
            context = browser.new_context(base_url=demo.address, **options)
            context.add_init_script(LISTEN)
            page = context.new_page()
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            page.goto(f"/?lang={lang}")
            page.fill("#body", SYMPTOM)
            page.wait_for_selector("kb-help[form] .card")
            page.fill("kb-help:not([form]) input", SYMPTOM)
            page.wait_for_selector("kb-help:not([form]) [role=option]")
            page.wait_for_timeout(300)
            assert_accessible(page, lang)
            context.close()
    assert problems == []


def test_nothing_moves_for_those_who_asked_for_that(visit: Opener) -> None:
    moving = "document.getAnimations().length + document.querySelector('#search').shadowRoot.getAnimations().length"
    for motion, expected in (("no-preference", True), ("reduce", False)):
        page = visit(reduced_motion=motion)
        held = hold(page)
        page.fill("#search input", SYMPTOM)
        page.wait_for_selector("#search .is-busy")
        assert bool(page.evaluate(moving)) is expected, motion
        assert held


def test_the_chosen_option_is_seen_in_forced_colours(visit: Opener) -> None:
    page = visit(forced_colors="active")
    chosen(page)
    style = (
        "e => [getComputedStyle(e).outlineStyle, getComputedStyle(e).outlineWidth, getComputedStyle(e).backgroundColor]"
    )
    options = page.locator("#search [role=option]")
    outline, width, background = options.first.evaluate(style)
    assert (outline, width) == ("solid", "3px")
    assert options.count() == 1 or background != options.nth(1).evaluate(style)[2]


def test_targets_are_large_enough(visit: Opener) -> None:
    page = visit(**VIEWS["phone"])
    panel_article(page)
    type_in_search(page)
    for target in page.locator("kb-help button:visible, kb-help .contact:visible, kb-help [role=option]:visible").all():
        box = target.bounding_box()
        assert min(box["width"], box["height"]) >= 24, target.evaluate("e => e.outerHTML.slice(0, 120)")


def test_right_to_left_mirrors_the_widget_and_leaves_code_alone(visit: Opener) -> None:
    page = visit("/?dir=rtl", **VIEWS["desktop"])
    article(page)
    icon = page.locator("#search .field .icon").first.bounding_box()
    field = page.locator("#search .field").bounding_box()
    assert icon["x"] > field["x"] + field["width"] / 2
    assert page.locator("#search .back .icon").evaluate("e => getComputedStyle(e).transform").startswith("matrix(-1")
    assert page.locator("#search pre").first.evaluate("e => getComputedStyle(e).direction") == "ltr"


@pytest.mark.parametrize("lang", STRINGS)
def test_it_speaks_the_language_of_the_page(visit: Opener, lang: str) -> None:
    words = STRINGS[lang]
    page = visit(f"/?lang={lang}")
    assert page.inner_text("#search label") == words["label"]
    assert page.get_attribute("#search input", "placeholder") == words["placeholder"]
    assert page.get_attribute("#search .root", "lang") == lang
    article(page)
    date = {"en": "October 2, 2026", "de": "2. Oktober 2026", "es": "2 de octubre de 2026"}
    date |= {"fr": "2 octobre 2026", "ja": "2026年10月2日"}
    assert words["checked"].replace("{date}", date[lang]) in page.inner_text("#search .meta")
    assert page.inner_text("#search .question") == words["question"]
    panel(page)
    assert page.inner_text("#beside h2") == words["panel"]
    count = page.locator("#beside .card").count()
    form = words["panelCount"].get("one" if count == 1 else "other", words["panelCount"]["other"])
    assert page.inner_text("#beside [role=status]") == form.replace("{n}", str(count))


@pytest.mark.parametrize(
    ("query", "label"),
    [("lang=de-AT", "de"), ("lang=en&locale=fr", "fr"), ("lang=tlh", "en"), ("lang=not+a+tag", "en")],
)
def test_it_finds_the_nearest_language(visit: Opener, query: str, label: str) -> None:
    page = visit(f"/?{query}")
    assert page.inner_text("#search label") == STRINGS[label]["label"]
    assert page.get_attribute("#search .root", "lang") == label
    article(page)


def test_the_page_may_use_words_of_its_own(visit: Opener) -> None:
    page = visit("/?lang=ar&dir=rtl")
    own = {"label": "كيف يمكننا المساعدة؟", "results": {"two": "وجدنا {n}", "other": "{n} نتائج"}}
    page.evaluate("own => { document.getElementById('search').strings = own }", own)
    assert page.inner_text("#search label") == "كيف يمكننا المساعدة؟"
    assert page.get_attribute("#search .root", "lang") == "ar"
    type_in_search(page)
    assert page.inner_text("#search [role=status]")


def test_the_page_decides_how_it_looks(visit: Opener) -> None:
    page = visit()
    page.evaluate(
        "() => { const sheet = new CSSStyleSheet(); sheet.replaceSync("
        "'kb-help { --kb-accent: rgb(120, 0, 80); --kb-radius: 3px; font-family: serif; }"
        " kb-help::part(label) { color: rgb(1, 2, 3); }'); document.adoptedStyleSheets = [sheet]; }"
    )
    article(page)
    computed = "(e, name) => getComputedStyle(e)[name]"
    assert page.locator("#search .primary").evaluate(computed, "backgroundColor") == "rgb(120, 0, 80)"
    assert page.locator("#search .field").evaluate(computed, "borderRadius") == "3px"
    assert page.locator("#search label").evaluate(computed, "color") == "rgb(1, 2, 3)"
    assert page.locator("#search label").evaluate(computed, "fontFamily") == "serif"


@pytest.mark.parametrize(
    ("theme", "system", "dark"), [("dark", "light", True), ("light", "dark", False), ("auto", "dark", True)]
)
def test_the_colour_scheme_is_the_page_s_or_as_it_says(visit: Opener, theme: str, system: str, dark: bool) -> None:
    page = visit(f"/?theme={theme}", color_scheme=system)
    red = int(page.locator("#search .field").evaluate("e => getComputedStyle(e).backgroundColor.match(/[0-9]+/)[0]"))
    assert (red < 128) is dark
