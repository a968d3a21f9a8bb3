"""Signing in at a provider on another site, in a real browser, whose rules for cookies the whole way depends on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.console.test_looks import FULLY_LOOKED_AT, VIEWS, assert_accessible
from tests.http_world import World, running
from tests.oidc_world import NAME, FakeProvider, running_provider

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    """On `localhost`, which is another site than the console's 127.0.0.1."""
    with running_provider("localhost") as provider:
        yield provider


@pytest.fixture
def base(world: World, fake: FakeProvider) -> Iterator[str]:
    with running(world.app(**fake.settings(rate_limit_per_minute=10_000))) as address:
        yield address


@pytest.fixture
def open_page(base: str, open_page: Any) -> Any:
    """Built after the service and so closed before it: whatever a page still fetches is never refused."""
    return open_page


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
@pytest.mark.parametrize("asks", [True, False], ids=["asked", "let through"])
def test_an_engineer_signs_in_where_the_provider_is_another_site(
    open_page: Any, fake: FakeProvider, base: str, asks: bool, script: bool
) -> None:
    fake.asks = asks
    page = open_page(java_script_enabled=script)
    page.goto(f"{base}/articles/KB-1001?lines=14-18#symptoms")
    page.click("text=Sign in")
    page.click("text=Sign in with Acme ID")
    if asks:
        assert page.url.startswith("http://localhost:")
        page.click("text=Continue as Ada")
    page.wait_for_url(f"{base}/articles/KB-1001?lines=14-18")
    assert page.locator(".scope-internal").inner_text() == f"Internal view · {NAME}"
    page.goto(f"{base}/articles/KB-7777")
    assert page.locator(".prose h1").is_visible()
    page.click("text=Sign out")
    page.wait_for_selector("text=Public view")


def test_signing_out_ends_the_session_at_the_provider_too(open_page: Any, fake: FakeProvider, base: str) -> None:
    fake.discovery = {"end_session_endpoint": f"{fake.issuer}/logout"}
    page = open_page()
    page.goto(f"{base}/sign-in")
    page.click("text=Sign in with Acme ID")
    page.wait_for_url(f"{base}/")
    page.click("text=Sign out")
    page.wait_for_selector("text=Goodbye, Ada")
    assert len(fake.ended) == 1
    page.goto(f"{base}/")
    assert page.inner_text(".top .scope") == "Public view"


def test_a_link_on_another_site_opens_internal_articles_for_who_is_signed_in(
    open_page: Any, fake: FakeProvider, base: str
) -> None:
    """As from a note in a ticket."""
    page = open_page()
    page.goto(f"{base}/sign-in")
    page.click("text=Sign in with Acme ID")
    page.wait_for_url(f"{base}/")
    elsewhere = base.replace("127.0.0.1", "localhost")
    note = f'<a href="{base}/articles/KB-7777">the runbook</a>'
    page.route(f"{elsewhere}/**", lambda route: route.fulfill(body=note, content_type="text/html"))
    page.goto(f"{elsewhere}/note")
    page.click("text=the runbook")
    page.wait_for_url(f"{base}/articles/KB-7777")
    assert page.locator(".prose h1").is_visible()
    assert page.evaluate("document.cookie") == ""


def callback_for(page: Any, base: str) -> str:
    """Begin in this browser, and where the provider would send it back to."""
    page.goto(f"{base}/sign-in")
    page.click("text=Sign in with Acme ID")
    page.wait_for_selector("text=Continue as Ada")
    return httpx.post(page.url).headers["location"]


def test_a_link_to_a_callback_signs_nobody_in(open_page: Any, fake: FakeProvider, base: str) -> None:
    """Somebody else's code and state: the browser that opens the link did not begin the sign-in."""
    fake.asks = True
    callback = callback_for(open_page(), base)
    page = open_page()
    page.goto(callback)
    assert "begun in another browser" in page.inner_text("[role=alert]")
    page.goto(f"{base}/")
    assert page.locator(".scope-internal").count() == 0
    page.problems[:] = [text for text in page.problems if "400" not in text]


@pytest.mark.parametrize("view", FULLY_LOOKED_AT)
def test_axe_finds_nothing_on_the_pages_of_signing_in(
    open_page: Any, axe: Any, fake: FakeProvider, base: str, view: str
) -> None:
    page = open_page(**VIEWS[view])
    page.goto(f"{base}/sign-in")
    assert (
        page.locator("a.primary").evaluate("e => e.compareDocumentPosition(document.getElementById('kb-token'))") == 4
    )
    assert_accessible(axe, page, f"{view} sign-in")
    fake.claims = {"groups": []}
    page.click("text=Sign in with Acme ID")
    page.wait_for_selector("text=not among the engineers")
    assert_accessible(axe, page, f"{view} not an engineer")
    page.problems[:] = [text for text in page.problems if "403" not in text]
