"""The OpenAPI document is the contract: requests made from it, sound and unsound, get what it promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import negative_data_rejection, positive_data_acceptance
from schemathesis.schemas import BaseSchema

from service.http.app import create_app
from service.settings import Settings
from tests.http_world import SECRETS, World, make_world, running

EXAMPLES = 8
MEANT = [positive_data_acceptance]
"""Not asked for: a blank question, a foreign cursor and the like are well-formed and refused for what they mean."""


def operations() -> list[tuple[str, str]]:
    """Method and path of all that the document promises, but deliveries of connected tools: their vendors' contract."""
    document = create_app(Settings(index=Path("nowhere"), database_url="sqlite://")).openapi()
    return [
        (method, path)
        for path, item in document["paths"].items()
        for method in item
        if not path.startswith("/v1/intake/")
    ]


def _is_sound_on_the_wire(case: Case[Any]) -> bool:
    """Whether what is unsound about a request is lost in its address: a text where a list of texts is wanted reads as
    a list of one.
    """
    return isinstance((case.query or {}).get("products"), str | int | float | bool)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("fuzz"))


@pytest.fixture(scope="module")
def contract(world: World) -> Iterator[BaseSchema]:
    """The document as a running service gives it."""
    with running(world.app(rate_limit_per_minute=1_000_000, secret_rate_limit_per_minute=1_000_000)) as base:
        yield schemathesis.openapi.from_url(f"{base}/v1/openapi.json")


@pytest.mark.parametrize(
    ("who", "mode"),
    [
        ("stranger", GenerationMode.POSITIVE),
        ("engineer", GenerationMode.POSITIVE),
        ("stranger", GenerationMode.NEGATIVE),
    ],
)
@pytest.mark.parametrize(("method", "path"), operations())
def test_the_service_keeps_its_contract(
    world: World, contract: BaseSchema, method: str, path: str, who: str, mode: GenerationMode
) -> None:
    headers = {"Authorization": f"Bearer {world.engineer}"} if who == "engineer" else {}

    @settings(
        max_examples=EXAMPLES,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate],
        derandomize=True,
    )
    @given(case=contract[path][method].as_strategy(generation_mode=mode))
    def check(case: Case[Any]) -> None:
        response = case.call(headers=headers)
        unknown = response.status_code == 413 or _is_sound_on_the_wire(case)
        not_asked = [*MEANT, negative_data_rejection] if unknown else MEANT
        case.validate_response(response, excluded_checks=not_asked, headers=headers)
        sent = str(case.as_transport_kwargs()).lower()
        leaked = [word for word in SECRETS if word.lower() in response.text.lower() and word.lower() not in sent]
        assert who == "engineer" or not leaked

    try:
        check()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "there must be a sound request"
        assert "parameters" not in contract.raw_schema["paths"][path][method]
