"""Takes the pictures in docs/images, of the project's own articles, from an index that `make run` or `kb index` made.

python -m tests.console_images var/index
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import sync_playwright

from service.http.app import create_app
from service.http.security import Sessions
from service.settings import Settings
from tests.http_world import running

IMAGES = Path(__file__).parent.parent / "docs" / "images"
MAX_BYTES = 250_000
TICKET = """Subject: webhooks stopped arriving

Hi, since 09:10 UTC we get no webhooks for our endpoint. Before it stopped we saw
HTTP/1.1 410 Gone
error: endpoint_disabled"""
SEARCH = f"/?q={quote(TICKET)}"
ARTICLE = "/articles/webhooks/endpoint-disabled-after-timeouts.md?lines=23-28#symptoms"
DESKTOP = {"width": 1280, "height": 900}
SHOTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("console-results-light", SEARCH, {"viewport": DESKTOP}),
    ("console-results-dark", SEARCH, {"viewport": DESKTOP, "color_scheme": "dark"}),
    ("console-article", ARTICLE, {"viewport": DESKTOP}),
    ("console-phone", SEARCH, {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}),
)


def take_pictures(index: Path) -> list[Path]:
    """Write the pictures and return their files. Raises ValueError for one that is too large."""
    sessions = Sessions(600)
    with running(create_app(Settings(index=index), sessions=sessions)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        context = browser.new_context(base_url=address)
        page = context.new_page()
        page.goto(f"/sign-in#token={sessions.issue_ticket('support engineer')}")
        page.wait_for_url(f"{address}/")
        state = context.storage_state()
        files = [_take(browser, address, state, *shot) for shot in SHOTS]
        browser.close()
    return files


def _take(browser: Any, address: str, state: Any, name: str, url: str, options: dict[str, Any]) -> Path:
    page = browser.new_context(base_url=address, storage_state=state, **options).new_page()
    page.goto(url)
    page.wait_for_load_state("networkidle")
    file = IMAGES / f"{name}.png"
    page.screenshot(path=file)
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{file.name} is larger than {MAX_BYTES} bytes; show less of the page")
    return file


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    for written in take_pictures(Path(sys.argv[1])):
        print(f"{written.name}  {written.stat().st_size // 1000} kB")
