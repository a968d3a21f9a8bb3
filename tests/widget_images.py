"""Takes the widget's pictures in docs/images, on the demo help centre, from an index that `kb index` made.

python -m tests.widget_images var/index
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from service.http.app import create_app
from service.http.demo import Demo
from service.settings import Settings
from tests.console_images import IMAGES, MAX_BYTES
from tests.http_world import running

SYMPTOM = "401 invalid_token after we rotated the API key"
SUBJECT = "SSO login loop"
BODY = (
    "Since this morning everybody is sent back to the sign-in page, again and again. The SAML cookie seems to be lost."
)
DESKTOP, PHONE = {"width": 1180, "height": 800}, {"width": 390, "height": 844}
SEARCH = "kb-help:not([form])"


def search(page: Any) -> None:
    """Suggestions while typing, the first one chosen."""
    page.fill(f"{SEARCH} input", SYMPTOM)
    page.wait_for_selector(f"{SEARCH} [role=option]")
    page.keyboard.press("ArrowDown")


def article(page: Any) -> None:
    """An article read in place."""
    search(page)
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{SEARCH} .verdict")


def deflection(page: Any) -> None:
    """Suggestions beside the form."""
    page.fill("#subject", SUBJECT)
    page.fill("#body", BODY)
    page.wait_for_selector("kb-help[form] .card")
    page.locator("#contact").evaluate("section => section.scrollIntoView()")


SHOTS = (
    ("widget-search", search, {"viewport": DESKTOP}),
    ("widget-article-dark", article, {"viewport": DESKTOP, "color_scheme": "dark", "reduced_motion": "reduce"}),
    ("widget-form", deflection, {"viewport": DESKTOP}),
    ("widget-phone", deflection, {"viewport": PHONE, "color_scheme": "dark"}),
)


def take_pictures(index: Path) -> list[Path]:
    """Write the pictures and return their files. Raises ValueError for one that is too large."""
    app = create_app(Settings(index=index))
    files = []
    with running(app) as service, sync_playwright() as playwright:
        demo = Demo("127.0.0.1", int(service.rsplit(":", 1)[1]))
        app.state.services.gatekeeper.keys.lend(demo.key)
        with demo.serving():
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            for name, reach, options in SHOTS:
                page = browser.new_context(**options).new_page()
                page.goto(demo.address)
                reach(page)
                page.wait_for_timeout(600)
                file = IMAGES / f"{name}.png"
                page.screenshot(path=file)
                if file.stat().st_size > MAX_BYTES:
                    raise ValueError(f"{file.name} is larger than {MAX_BYTES} bytes; show less of the page")
                files.append(file)
            browser.close()
    return files


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    for written in take_pictures(Path(sys.argv[1])):
        print(f"{written.name}  {written.stat().st_size // 1000} kB")
