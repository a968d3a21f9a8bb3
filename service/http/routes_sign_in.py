"""Signing in to the console and out of it: the pages. Programs use `/v1/session`."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from service.http.pages import page
from service.http.problems import ProblemError
from service.http.routes_service import end_session, sign_in_by_key, start_session
from service.http.security import check_own_page
from service.http.services import CallerDep, ServicesDep

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
async def sign_in_page(caller: CallerDep) -> Response:
    """Where a key is pasted, or a one-time link leads: its token is in the fragment, which no server sees."""
    return page("sign_in.html", caller)


@router.post("/sign-in")
async def sign_in_form(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """The sign-in form without script."""
    check_own_page(request)
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    try:
        holder = sign_in_by_key(services, form.get("token", [""])[0])
    except ProblemError as problem:
        return page("sign_in.html", caller, 401, message=problem.detail)
    response = RedirectResponse("/", 303)
    start_session(services, request, response, holder)
    return response


@router.post("/sign-out")
async def sign_out_form(request: Request, services: ServicesDep) -> Response:
    """End the session and go back to the console."""
    response = RedirectResponse("/", 303)
    end_session(services, request, response)
    return response
