"""`triage` in POST /v1/tickets/suggest: for the team, and for nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.http_world import UNCOVERED, World, make_world

TICKET = {"subject": "401", "body": "All users get 401 invalid_token since 09:10 UTC"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder: Path = tmp_path_factory.mktemp("triage")
    return make_world(folder)


def test_internal_callers_get_triage(world: World) -> None:
    with world.client(world.engineer) as client:
        triage = client.post("/v1/tickets/suggest", json=TICKET).json()["triage"]
    assert triage["products"][0]["value"] == "platform-api"
    assert triage["severity"]["severity"] == "high"
    assert triage["severity"]["signs"][0]["quote"] == "All users"
    assert triage["diagnostics"]["items"]
    assert (triage["duplicates"], triage["incident"]) == ([], None)


@pytest.mark.parametrize("who", ["nobody", "integrator", "page"])
def test_public_callers_get_none_of_it(world: World, who: str) -> None:
    token = {"nobody": None, "integrator": world.integrator, "page": world.page_key}[who]
    headers = {"Authorization": f"Bearer {token}", "Origin": world.page_origin} if token else {}
    with world.client() as client:
        body = client.post("/v1/tickets/suggest", json=TICKET, headers=headers).json()
    assert body["answered"]
    assert body["triage"] is None


def test_an_uncovered_ticket_has_a_triage_without_labels(world: World) -> None:
    with world.client(world.engineer) as client:
        triage = client.post("/v1/tickets/suggest", json={"body": f"{UNCOVERED} stopped"}).json()["triage"]
    assert (triage["components"], triage["known_errors"], triage["playbook"]) == ([], [], None)


def test_the_scope_of_products_holds_for_triage_too(world: World) -> None:
    with world.client(world.engineer) as client:
        triage = client.post("/v1/tickets/suggest", json={**TICKET, "products": ["email"]}).json()["triage"]
    assert "platform-api" not in str(triage)
