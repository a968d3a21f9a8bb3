"""A help centre on one port and the service on another, for browser tests of the widget under a strict policy."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from indexer.metadata import Audience
from service.database import Database
from service.http.app import create_app
from service.http.demo import serving_in_thread
from service.http.routes_widget import SCRIPT_PATH
from service.keys import KeyKind, make_key
from service.ledger import EVENTS
from tests.conftest import FakeEmbedder, build, write_article
from tests.http_world import DecidedAssistant, World, make_world, running

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync"),
]
SYMPTOM = "every request answers 401 invalid_token"
EXPORT = "the export stops with ERR_EXPORT_42 halfway"
TITLE = "API answers 401 invalid_token after the token expired"

_EXPORT_BODY = """## Symptoms

The export stops with `ERR_EXPORT_42` halfway, see [below](#resolution).

```text
ERR_EXPORT_42: the worker was stopped because the export has more rows than one file can hold, split it and try again
```

## Environment

| product | version | limit of rows in one exported file | who may raise the limit of rows |
|---|---|---|---|
| Reports | 4 | 1,000,000 | nobody can raise it |

<script>document.title = "stolen"</script> <img src=x onerror="document.title='stolen'">

## Resolution

1. Split the export **by month**.
2. Run it again, [not so](javascript:document.title='stolen').

The export of ERR_EXPORT_42 stops halfway no more.
"""


@dataclass(frozen=True)
class Site:
    """The help centre and its service.

    Attributes:
        pages, service: their addresses, of two origins.
        key: publishable, for `pages`.
    """

    world: World
    app: FastAPI
    pages: str
    service: str
    key: str

    def events(self) -> list[tuple[str, str, list[str]]]:
        """Kind, surface and articles of every event in the ledger, oldest first."""
        with Database(self.world.settings.state_url).begin() as connection:
            rows = connection.execute(EVENTS.select().order_by(EVENTS.c.id)).all()
        return [(row.kind, row.surface, row.articles) for row in rows]


def policy_of(service: str) -> str:
    """The strictest policy under which the widget works: no style source, HTML from strings by its own policy only."""
    return (
        f"default-src 'none'; script-src {service}; connect-src {service}; form-action 'self'; base-uri 'none'; "
        "require-trusted-types-for 'script'; trusted-types kb-help"
    )


@contextlib.contextmanager
def open_site(folder: Path) -> Iterator[Site]:
    """Index the world of the HTTP tests and an article with everything in it, and serve both origins."""
    world = make_world(folder)
    write_article(
        world.source,
        "reports/export.md",
        _EXPORT_BODY,
        title="Export stops with ERR_EXPORT_42",
        article_id="KB-1009",
        front="products: [reports]\nlast_verified: 2026-10-02",
    )
    build(world.source, world.index)
    settings = world.settings.model_copy(update={"rate_limit_per_minute": 100_000})
    app = create_app(settings, lambda: DecidedAssistant(world.index, FakeEmbedder()))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    pages = f"http://127.0.0.1:{listener.getsockname()[1]}"
    key, token = make_key("help centre", KeyKind.PUBLISHABLE, Audience.PUBLIC, [pages])
    app.state.services.gatekeeper.keys.lend(key)
    with running(app) as service, serving_in_thread(_pages_app(service, token), listener):
        yield Site(world, app, pages, service, token)


def _pages_app(service: str, key: str) -> Starlette:
    async def page(request: Request) -> Response:
        query = request.query_params
        headers = {"Content-Security-Policy": policy_of(service)}
        return HTMLResponse(_page(service, query.get("key", key), dict(query)), headers=headers)

    async def sent(_: Request) -> Response:
        return HTMLResponse("<!doctype html><html lang=en><title>Sent</title><main><h1>Sent</h1></main>")

    async def no_icon(_: Request) -> Response:
        return Response(status_code=204)

    routes = [Route("/", page), Route("/tickets", sent, methods=["POST"]), Route("/favicon.ico", no_icon)]
    return Starlette(routes=routes)


def _page(service: str, key: str, query: dict[str, str]) -> str:
    more = " ".join(f'{name}="{escape(query[name])}"' for name in ("locale", "theme", "products") if name in query)
    common = f'publishable-key="{escape(key)}" content-lang="en" {more}'
    return f"""<!doctype html>
<html lang="{query.get("lang", "en")}" dir="{query.get("dir", "ltr")}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Help</title>
<script src="{service}{SCRIPT_PATH}" {escape(query.get("script", "defer"))}></script>
</head>
<body>
<main>
<h1>Help centre</h1>
<kb-help id="search" contact="#contact" {common}></kb-help>
<h2 id="contact" tabindex="-1">Contact</h2>
<form id="ticket" method="post" action="/tickets">
<p><label for="subject">Subject</label> <input id="subject" name="subject"></p>
<p><label for="body">What happens?</label> <textarea id="body" name="body"></textarea></p>
<p><label for="other">Order</label> <input id="other" name="other"></p>
<kb-help id="beside" form="#ticket" {common}></kb-help>
<button id="send">Send</button>
</form>
</main>
</body>
</html>"""


_COLOURS = """
document.addEventListener('DOMContentLoaded', () => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(':root { color-scheme: light dark; } body { background: Canvas; color: CanvasText; }');
  document.adoptedStyleSheets = [sheet];
});
"""
"""axe takes a page without a background for a white one."""

LISTEN = """
document.addEventListener('securitypolicyviolation', e => console.error('CSP: ' + e.violatedDirective + e.blockedURI));
window.told = [];
for (const kind of ['shown', 'opened', 'solved', 'unsolved', 'submitted', 'contact'])
  document.addEventListener('kb-' + kind, e => told.push([kind, e.detail]));
"""

Opener = Callable[..., Any]


@contextlib.contextmanager
def opening(browser: Any, site: Site) -> Iterator[Opener]:
    """Opens the help centre; a policy violation, script error or console error that a test does not expect fails it."""
    contexts: list[Any] = []
    problems: list[str] = []

    def opener(address: str = "/", **options: Any) -> Any:
        context = browser.new_context(base_url=site.pages, **options)
        contexts.append(context)
        context.add_init_script(LISTEN + _COLOURS)
        page = context.new_page()
        page.set_default_timeout(8000)
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.problems = problems
        page.asked = []
        page.on("request", lambda request: page.asked.append(request) if request.url.endswith("/v1/search") else None)
        page.goto(address)
        page.wait_for_selector("#search input")
        return page

    yield opener
    for context in contexts:
        context.close()
    assert not problems, problems


@contextlib.contextmanager
def launched() -> Iterator[Any]:
    """Debian's Chromium. Skips by name where it or its driver is missing; fails so with KB_REQUIRE_BROWSER=1."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _skip("playwright is not installed")
    if not CHROMIUM.exists():
        _skip(f"{CHROMIUM} is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


def load_axe() -> Any:
    """axe-core's driver; skips or fails as `launched` does."""
    try:
        return import_module("axe_playwright_python.sync_playwright").Axe()
    except ImportError:
        _skip("axe-playwright-python is not installed")


def _skip(reason: str) -> NoReturn:
    if os.environ.get("KB_REQUIRE_BROWSER") == "1":
        pytest.fail(f"browser: {reason}")
    pytest.skip(f"browser: {reason}")


def hold(page: Any) -> list[Any]:
    """Questions are not answered from here on; the list fills with them, to be gone on with or not."""
    held: list[Any] = []

    def keep(route: Any) -> None:
        held.append(route)

    page.route("**/v1/search", keep)
    return held


def type_in_search(page: Any, text: str = SYMPTOM) -> None:
    page.fill("#search input", text)
    page.wait_for_selector("#search [role=option]")


def type_in_form(page: Any, body: str = SYMPTOM, subject: str = "") -> None:
    if subject:
        page.fill("#subject", subject)
    page.fill("#body", body)
