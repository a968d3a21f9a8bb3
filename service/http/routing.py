"""Which routes an address has, for what is refused before any of them is reached."""

from __future__ import annotations

from starlette.routing import BaseRoute, Match
from starlette.types import Scope


def routes_at(scope: Scope) -> list[BaseRoute]:
    """The app's routes at the request's address, whatever their methods; those that take its method first."""
    asked = {**scope, "root_path": ""}  # a mount has taken its own part of the path off
    matches = [(route.matches(asked)[0], route) for route in scope["app"].routes]
    return [route for match, route in sorted(matches, key=lambda pair: -pair[0].value) if match is not Match.NONE]
