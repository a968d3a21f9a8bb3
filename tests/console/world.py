"""What the tests of the console type and read."""

from __future__ import annotations

from typing import Any

SYMPTOM = "every request answers 401 invalid_token and the quokka alert fires"


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
