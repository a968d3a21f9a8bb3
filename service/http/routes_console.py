"""The engineer's console: pages rendered here, made livelier by small ES modules, complete without them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from indexer.errors import KBError
from service.answers import Question
from service.http.console_views import ResultView, answer_views, article_view, code_finder
from service.http.models import AnswerBody
from service.http.problems import ProblemError
from service.http.routes_articles import cache_control
from service.http.routes_search import ask
from service.http.routes_service import end_session, start_session
from service.http.security import Caller
from service.http.services import Services, caller_of, services_of

router = APIRouter(include_in_schema=False)

WEB = Path(__file__).parent.parent / "web"
_CONSOLE_LIMIT = 8
_HTML = {"Cache-Control": "no-store"}

EXAMPLES = (
    "every request answers 401 invalid_token since we rotated the API key",
    "ORA-12154: TNS:could not resolve the connect identifier specified",
    "webhooks stopped arriving, our endpoint returned 410 for a while",
    "FATAL: sorry, too many clients already",
)


@router.get("/")
async def console(
    request: Request,
    services: Annotated[Services, Depends(services_of)],
    caller: Annotated[Caller, Depends(caller_of)],
    q: str = "",
) -> Response:
    """The console; with `?q=` complete with its results."""
    results, status = await _results(request, services, caller, q)
    return page("console.html", caller, status, q=q, results=results, examples=EXAMPLES, **_states(q, results))


@router.post("/results")
async def results_fragment(
    request: Request,
    services: Annotated[Services, Depends(services_of)],
    caller: Annotated[Caller, Depends(caller_of)],
) -> Response:
    """The results for a text, as the piece of the page that shows them; sent by the page's script."""
    text = (await request.body()).decode("utf-8", "replace")
    results, status = await _results(request, services, caller, text)
    return page("_results.html", caller, status, q=text, results=results, examples=EXAMPLES)


@router.get("/articles/{name:path}")
def article_page(
    name: str,
    request: Request,
    services: Annotated[Services, Depends(services_of)],
    caller: Annotated[Caller, Depends(caller_of)],
    lines: str = "",
) -> Response:
    """An article, with the cited lines marked."""
    view = article_view(services.library.assistant, name, caller, lines, str(request.base_url).rstrip("/"))
    response = page("article.html", caller, article=view)
    response.headers["Cache-Control"] = cache_control(caller)
    response.headers["Vary"] = "Authorization, Cookie"
    return response


@router.get("/sign-in")
async def sign_in_page(caller: Annotated[Caller, Depends(caller_of)]) -> Response:
    """Where a key is pasted, or a one-time link leads: its token is in the fragment, which no server sees."""
    return page("sign_in.html", caller)


@router.post("/sign-in")
async def sign_in_form(
    request: Request,
    services: Annotated[Services, Depends(services_of)],
    caller: Annotated[Caller, Depends(caller_of)],
) -> Response:
    """The sign-in form without script."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ProblemError("forbidden", "sign in on the console's own page")
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    response = RedirectResponse("/", 303)
    try:
        start_session(services, request, response, form.get("token", [""])[0])
    except ProblemError as problem:
        return page("sign_in.html", caller, 401, message=problem.detail)
    return response


@router.post("/sign-out")
async def sign_out_form(request: Request, services: Annotated[Services, Depends(services_of)]) -> Response:
    """End the session and go back to the console."""
    response = RedirectResponse("/", 303)
    end_session(services, request, response)
    return response


def page(template: str, caller: Caller | None, status: int = 200, **values: Any) -> HTMLResponse:
    """A rendered page."""
    html = _templates().get_template(template).render(caller=caller, **values)
    return HTMLResponse(html, status, dict(_HTML))


def error_page(caller: Caller | None, problem: dict[str, Any], headers: dict[str, str]) -> HTMLResponse:
    """A problem, for a person."""
    response = page("error.html", caller, int(problem["status"]), problem=problem)
    for name, value in headers.items():
        response.headers.setdefault(name, value)
    return response


async def _results(request: Request, services: Services, caller: Caller, text: str) -> tuple[Any, int]:
    if not text.strip():
        return None, 200
    try:
        answer: AnswerBody = await ask(services, caller, Question(text, limit=_CONSOLE_LIMIT), [])
    except ProblemError as problem:
        return {"error": problem.kind.title, "detail": problem.detail}, problem.kind.status
    except KBError as error:
        return {"error": "This text cannot be searched", "detail": str(error)}, 422
    is_code = code_finder(services.library.assistant, caller.scope())
    views: list[ResultView] = answer_views(answer, str(request.base_url).rstrip("/"), is_code)
    return {"answer": answer, "views": views}, 200


def _states(q: str, results: Any) -> dict[str, Any]:
    return {"heading": "Search" if results is None else f"{q[:60]} · Search"}


@cache
def _templates() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
