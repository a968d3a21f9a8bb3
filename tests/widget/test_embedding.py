"""What developers do to embed it: the script as a module, words that come early, a form that is not there."""

from __future__ import annotations

from typing import Any

import pytest

from service.http.routes_widget import SCRIPT_PATH
from tests.widget_world import SYMPTOM, Opener, Site, type_in_search

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.mark.parametrize("script", ["defer", "async", "type=module", "type=module async"])
def test_the_service_is_where_the_script_came_from(visit: Opener, script: str) -> None:
    type_in_search(visit(f"/?script={script}"))


def test_words_that_are_set_before_the_script_has_run_stand(page: Any) -> None:
    held: list[Any] = []

    def keep(route: Any) -> None:
        held.append(route)

    page.route(f"**{SCRIPT_PATH}", keep)
    page.goto("/?again", wait_until="commit")
    page.wait_for_selector("#search", state="attached")
    page.evaluate("document.getElementById('search').strings = { label: 'Ask us anything' }")
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.wait_for_selector("#search label >> text=Ask us anything")
    page.evaluate("document.getElementById('search').strings = { label: 'And now?' }")
    page.wait_for_selector("#search label >> text=And now?")
    assert page.evaluate("document.getElementById('search').strings.clear") == "Clear search"


def test_a_form_that_is_not_there_is_named_in_the_browsers_console(page: Any) -> None:
    with page.expect_console_message(lambda message: message.type == "warning") as warned:
        page.evaluate("document.getElementById('beside').setAttribute('form', '#tiket')")
    assert warned.value.text == "kb-help: no form matches #tiket"


def test_an_internal_key_opens_nothing_in_a_page(visit: Opener, site: Site) -> None:
    page = visit(f"/?key={site.world.engineer}")
    page.fill("#search input", SYMPTOM)
    page.wait_for_selector("text=Search cannot be reached just now.")
    assert page.locator("#search [role=option]").count() == 0
    page.problems[:] = [text for text in page.problems if "403" not in text]


def test_english_in_a_page_from_right_to_left_keeps_its_signs_at_the_end(visit: Opener) -> None:
    """Where there is no dictionary: `?How can we help` is what it was."""
    page = visit("/?lang=ar&dir=rtl")
    ends = page.evaluate(
        """() => {
            const label = document.querySelector('#search').shadowRoot.querySelector('label');
            const place = (at) => {
                const range = document.createRange();
                range.setStart(label.firstChild, at);
                range.setEnd(label.firstChild, at + 1);
                return range.getBoundingClientRect().x;
            };
            return [place(0), place(label.textContent.length - 1)];
        }"""
    )
    assert ends[0] < ends[1]
