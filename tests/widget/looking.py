"""Where the parts of the widget are, and what tests read of it."""

from __future__ import annotations

from typing import Any

INPUT, OPTION, STATUS = "#search input", "#search [role=option]", "#search [role=status]"
CARD, READER = "#beside .card", "#beside .reader"
SETTLED_MS = 1200
"""Longer than any pause before a request."""


def active(page: Any) -> str:
    """What has the focus, as seen from inside the widget or the page: its id, else its text."""
    return str(
        page.evaluate(
            "() => { const outer = document.activeElement, inner = outer.shadowRoot?.activeElement ?? outer;"
            " return inner.id || inner.textContent; }"
        )
    )


def descendant(page: Any) -> str | None:
    value: str | None = page.locator(INPUT).get_attribute("aria-activedescendant")
    return value


def told(page: Any, kind: str) -> list[dict[str, Any]]:
    found: list[list[Any]] = page.evaluate("told")
    return [detail for name, detail in found if name == kind]
