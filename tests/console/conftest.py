"""The console in a real browser: Debian's Chromium, driven by Playwright. Skipped by name where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from service.http.app import create_app
from service.http.security import Sessions
from tests.conftest import FakeEmbedder, build, write_article
from tests.http_world import DecidedAssistant, World, make_world, running
from tests.widget_world import launched, load_axe


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    with launched() as chromium:
        yield chromium


@pytest.fixture(scope="package")
def axe() -> Any:
    return load_axe()


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def sessions() -> Sessions:
    return Sessions(3600)


@pytest.fixture(scope="package")
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
