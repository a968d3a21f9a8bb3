"""The console's pages from their templates, and whether a page or a problem document tells what went wrong."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import Scope

if TYPE_CHECKING:
    from service.http.security import Caller

WEB = Path(__file__).parent.parent / "web"

_API_PATHS = ("/v1", "/mcp", "/metrics", "/static", "/.well-known")
_OWN = {"content-type", "content-length"}


def page(template: str, caller: Caller | None, status: int = 200, **values: Any) -> HTMLResponse:
    """A rendered page."""
    html = _templates().get_template(template).render(caller=caller, **values)
    return HTMLResponse(html, status, {"Cache-Control": "no-store"})


def for_reader(scope: Scope, problem: Response) -> Response:
    """A problem document, or for a person's browser on the console's pages the same in words, with its headers."""
    is_page = not scope["path"].startswith(_API_PATHS) and "text/html" in Headers(scope=scope).get("accept", "")
    if not is_page:
        return problem
    told = json.loads(bytes(problem.body))
    response = page("error.html", scope.get("state", {}).get("caller"), problem.status_code, problem=told)
    for name, value in problem.headers.items():
        if name not in _OWN:
            response.headers[name] = value
    return response


@cache
def _templates() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    return environment
