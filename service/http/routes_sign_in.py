"""Signing in to the console and out of it: with a key, or at an OpenID Connect provider. Programs use `/v1/session`."""

from __future__ import annotations

import logging
import re
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from service.http.links import own_address
from service.http.pages import page
from service.http.problems import ProblemError, request_id_of
from service.http.routes_service import drop_cookie, end_session, sign_in_by_key, start_session
from service.http.security import Caller, check_own_page, split_address
from service.http.services import CallerDep, Services, ServicesDep
from service.http.signing_in import PENDING_COOKIE, PENDING_S, local_path

if TYPE_CHECKING:
    from service.identity import Identity
    from service.oidc_provider import Provider

logger = logging.getLogger("kb.serve")
router = APIRouter(include_in_schema=False)

CALLBACK_PATH = "/sign-in/callback"

_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}")
_REFUSALS = {
    "access_denied": "the provider did not let you in, or you turned back. Ask whoever manages accounts there for "
    "access to this console",
    "login_required": "the provider wants you to sign in there first",
    "interaction_required": "the provider wants to ask you something first. Sign in there, then try again",
    "consent_required": "the provider wants your consent first, or an administrator's",
    "temporarily_unavailable": "the provider is not available now. Try again in a minute",
    "server_error": "the provider had an error of its own. Try again in a minute",
}
"""RFC 6749, 4.1.2.1, and OpenID Connect Core, 3.1.2.6. What else the provider writes is not shown: anybody can make a
link to the callback."""

_STALE = (
    "this sign-in took too long, was completed before, or was begun in another browser or at another address of this "
    "console. Start it again from here"
)
_FAILED = "signing in at the provider failed. Try again; if it fails again, the log of this service says why"
_UNAVAILABLE = "the sign-in provider cannot be reached. Try again in a minute, or use a key; the log says more"
_NO_ENGINEER = (
    "you are signed in at the provider, but this account is not among the engineers who see internal articles. Ask "
    "whoever manages accounts to add it, then sign in again. Public articles need no sign-in"
)


@router.get("/sign-in")
async def sign_in_page(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """Where one signs in. A one-time link leads here: its token is in the fragment, which no server sees."""
    return _page(services, caller, 200, _came_from(request))


@router.post("/sign-in")
async def sign_in_form(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """The form for a key, without script."""
    check_own_page(request)
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    return_to = local_path(form.get("return", ["/"])[0])
    try:
        holder = sign_in_by_key(services, form.get("token", [""])[0])
    except ProblemError as problem:
        return _page(services, caller, 401, return_to, problem.detail)
    response = RedirectResponse(return_to, 303)
    start_session(services, request, response, holder)
    return response


@router.get("/sign-in/start")
async def begin_sign_in(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """On to the provider. `return`: the path to come back to."""
    from service.oidc import ProviderUnavailable

    provider = _provider(services)
    given = request.cookies.get(PENDING_COOKIE, "")
    browser = given if _BROWSER.fullmatch(given) else secrets.token_urlsafe(32)  # one for all its tabs
    return_to = local_path(request.query_params.get("return", "/"))
    redirect_uri = own_address(services.settings, request) + CALLBACK_PATH
    state, pending = services.pending.begin(browser, redirect_uri, return_to)
    try:
        address = await provider.sign_in_address(redirect_uri, state, pending.nonce, pending.verifier)
    except ProviderUnavailable:  # the provider's module logs it
        return _page(services, caller, 503, return_to, _UNAVAILABLE)
    response = RedirectResponse(address, 303, {"Cache-Control": "no-store"})
    response.set_cookie(
        PENDING_COOKIE,
        browser,
        max_age=PENDING_S,
        httponly=True,
        samesite="lax",  # it has to come with the provider's redirect
        secure=request.url.scheme == "https",
        path="/sign-in",
    )
    return response


@router.get(CALLBACK_PATH)
async def end_sign_in(request: Request, services: ServicesDep, caller: CallerDep) -> Response:
    """Where the provider sends the browser, with a code or an error."""
    from service.oidc import ProviderUnavailable, SignInRefused, TokenRefused

    provider = _provider(services)
    told = request.query_params
    pending = services.pending.finish(told.get("state", ""), request.cookies.get(PENDING_COOKIE, ""))
    if pending is None:
        return _page(services, caller, 400, "/", _STALE)
    back = pending.return_to
    try:
        await provider.check_issuer(told.get("iss"))
        if "error" in told:
            status = 403 if told["error"] == "access_denied" else 400
            return _page(services, caller, status, back, _refusal(request, told["error"]))
        holder = await provider.redeem(told.get("code", ""), pending.redirect_uri, pending.nonce, pending.verifier)
    except ProviderUnavailable as error:
        _log(request, error)
        return _page(services, caller, 503, back, _UNAVAILABLE)
    except (SignInRefused, TokenRefused) as error:
        _log(request, error)
        return _page(services, caller, 400, back, _FAILED)
    if not holder.is_internal:
        _log(request, "the account is not among KB_OIDC_INTERNAL")
        return _page(services, caller, 403, back, _NO_ENGINEER)
    response = RedirectResponse(back, 303, {"Cache-Control": "no-store"})
    start_session(services, request, response, holder)
    return response


@router.post("/sign-out")
async def sign_out_form(request: Request, services: ServicesDep) -> Response:
    """End the session and go back to the console, or on to the provider to end the session there.

    The way to the provider leads over a page: a form's answer must not redirect to another site (`form-action`).
    """
    check_own_page(request)
    holder = end_session(services, request)
    provider = services.gatekeeper.provider
    response: Response = RedirectResponse("/", 303)
    if provider and holder and (address := await _sign_out_address(provider, holder, request)):
        response = page("signed_out.html", None, provider=provider.sso.name, address=address)
    drop_cookie(response)
    return response


def _page(services: Services, caller: Caller, status: int, return_to: str, message: str = "") -> Response:
    provider = services.gatekeeper.provider
    shown: dict[str, Any] = {"message": message} if message else {}
    name = provider.sso.name if provider else ""
    response = page("sign_in.html", caller, status, provider=name, return_to=return_to, **shown)
    if status == 503:
        response.headers["Retry-After"] = "10"
    return response


def _provider(services: Services) -> Provider:
    if services.gatekeeper.provider is None:
        raise ProblemError("not-found", "there is no single sign-on here; see docs/settings.md")
    return services.gatekeeper.provider


def _came_from(request: Request) -> str:
    """The console's page that led here, as the browser tells it; `/` if it was none."""
    parts = split_address(request.headers.get("referer", ""))
    if parts is None or parts.netloc != request.headers.get("host"):
        return "/"
    return local_path(f"{parts.path}?{parts.query}" if parts.query else parts.path)


async def _sign_out_address(provider: Provider, holder: Identity, request: Request) -> str | None:
    """Where the provider's session of `holder` ends; None where there is none, or no way to end it."""
    from service.oidc import ProviderUnavailable

    try:
        return await provider.sign_out_address(holder.id_token) if holder.id_token else None
    except ProviderUnavailable as error:
        logger.warning("request %s: signed out here, not at the provider: %s", request_id_of(request), error)
        return None


def _refusal(request: Request, error: str) -> str:
    _log(request, f"the provider answers {error}" if error in _REFUSALS else "the provider answers an error")
    return _REFUSALS.get(error, _FAILED)


def _log(request: Request, reason: object) -> None:
    """For the operator. Reasons are our own words; no code, token, claim or name is among them."""
    logger.warning("request %s: no single sign-on: %s", request_id_of(request), reason)
