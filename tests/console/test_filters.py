"""Narrowing results by facets."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.console.world import SYMPTOM, titles, type_symptom

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


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
