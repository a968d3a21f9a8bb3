"""A help centre with the widget in a real browser, across origins, under `default-src 'none'`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.widget_world import Opener, Site, launched, open_site, opening


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("widget")) as site:
        yield site


@pytest.fixture
def visit(browser: Any, site: Site) -> Iterator[Opener]:
    with opening(browser, site) as opener:
        yield opener


@pytest.fixture
def page(visit: Opener) -> Any:
    return visit()
