"""Feedback, health, readiness, metrics, and signing in to the console."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from service.http.links import own_address
from service.http.metrics import CONTENT_TYPE
from service.http.models import FeedbackReceipt, FeedbackRequest, Health, Readiness, SessionBody, SessionRequest
from service.http.problems import ProblemError, problem_responses
from service.http.security import MCP_PATH, RESOURCE_METADATA, SESSION_COOKIE
from service.http.services import CallerDep, Services, ServicesDep
from service.identity import Identity

router = APIRouter()


@router.post(
    "/v1/feedback",
    operation_id="sendFeedback",
    status_code=201,
    tags=["feedback"],
    responses=problem_responses(
        *("malformed", "forbidden", "not-found", "body-too-large", "unsupported-media-type", "invalid"),
        *("not-ready", "state-unavailable"),
    ),
    summary="Say whether an article helped",
)
def send_feedback(
    body: FeedbackRequest,
    services: ServicesDep,
    caller: CallerDep,
) -> FeedbackReceipt:
    """Stored with the article's path and the caller's audience; never with the question."""
    from service.feedback import Feedback

    article = services.library.assistant.article(body.article, caller.scope())
    services.stores.feedback.add(
        Feedback(body.index_version, article.path, body.helpful, body.comment, caller.audience.value, caller.key_id)
    )
    services.metrics.feedback.labels(str(body.helpful).lower()).inc()
    return FeedbackReceipt()


@router.get("/v1/health", operation_id="health", tags=["service"], summary="Is the process up?")
async def health() -> Health:
    """Always 200 while the process answers at all."""
    return Health(version=software_version())


@router.get(
    "/v1/ready",
    operation_id="ready",
    tags=["service"],
    responses=problem_responses("not-ready"),
    summary="Are questions answered?",
)
async def ready(services: ServicesDep) -> Readiness:
    """503 with Retry-After until the index is loaded and the model warm."""
    return Readiness(index_version=services.library.assistant.index_version)


@router.get("/metrics", include_in_schema=False)
async def metrics(services: ServicesDep) -> Response:
    """Prometheus text format."""
    return Response(services.metrics.render(), headers={"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE})


@router.get(
    "/v1/session", operation_id="getSession", tags=["session"], responses=problem_responses(), summary="Who am I?"
)
async def get_session(response: Response, caller: CallerDep) -> SessionBody:
    """The audience that the caller's credential opens."""
    response.headers["Cache-Control"] = "no-store"
    return SessionBody(audience=caller.audience.value, signed_in=caller.means != "nothing", name=caller.name)


@router.post(
    "/v1/session",
    operation_id="signIn",
    tags=["session"],
    responses=problem_responses("malformed", "unsupported-media-type", "invalid", "forbidden"),
    summary="Sign in to the console",
)
async def sign_in(body: SessionRequest, request: Request, response: Response, services: ServicesDep) -> SessionBody:
    """Exchange a secret key or a one-time token for a session cookie."""
    response.headers["Cache-Control"] = "no-store"
    holder = sign_in_by_key(services, body.token)
    start_session(services, request, response, holder)
    return SessionBody(audience=holder.audience.value, signed_in=True, name=holder.name)


@router.delete("/v1/session", operation_id="signOut", tags=["session"], status_code=204, summary="Sign out")
async def sign_out(request: Request, services: ServicesDep) -> Response:
    """End the console session, not the one at a sign-in provider."""
    response = Response(status_code=204)
    end_session(services, request)
    drop_cookie(response)
    return response


@router.get(RESOURCE_METADATA, include_in_schema=False)
async def resource_metadata(request: Request, services: ServicesDep) -> Response:
    """Whose access tokens the API takes (RFC 9728)."""
    return _describe_resource(request, services, "")


@router.get(RESOURCE_METADATA + MCP_PATH, include_in_schema=False)
async def mcp_resource_metadata(request: Request, services: ServicesDep) -> Response:
    """Whose access tokens the MCP endpoint takes, for clients that go by its own address (RFC 9728, 3.1)."""
    return _describe_resource(request, services, MCP_PATH)


def _describe_resource(request: Request, services: Services, path: str) -> Response:
    gatekeeper = services.gatekeeper
    if gatekeeper.provider is None or not gatekeeper.takes_tokens:
        raise ProblemError("not-found", "access tokens are not taken here; see docs/settings.md")
    document = {
        "resource": own_address(services.settings, request) + path,
        "authorization_servers": [gatekeeper.provider.sso.issuer],
        "bearer_methods_supported": ["header"],
    }
    # Open to pages of all origins: it is the same for everybody, and assistants in a browser look for it.
    return JSONResponse(document, headers={"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"})


def sign_in_by_key(services: Services, token: str) -> Identity:
    """Whom a secret key or one-time token stands for. Raises ProblemError `unauthorized`."""
    holder = services.gatekeeper.sign_in(token.strip())
    if holder is None:
        raise ProblemError("unauthorized", "this key or sign-in link is not valid, or was used already")
    return holder


def start_session(services: Services, request: Request, response: Response, holder: Identity) -> None:
    """Open a session for `holder` and set its cookie.

    It comes along when somebody follows a link from elsewhere, as from a note in a ticket; what changes anything is
    refused to pages of other origins (`Gatekeeper`).
    """
    response.set_cookie(
        SESSION_COOKIE,
        services.gatekeeper.sessions.open(holder),
        max_age=int(services.settings.session_hours * 3600),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
        path="/",
    )


def end_session(services: Services, request: Request) -> Identity | None:
    """Close the session; whose it was. Its cookie goes with `drop_cookie`."""
    cookie = request.cookies.get(SESSION_COOKIE)
    return services.gatekeeper.sessions.close(cookie) if cookie else None


def drop_cookie(response: Response) -> None:
    """Have the browser forget the session."""
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")


@cache
def software_version() -> str:
    """The installed version."""
    try:
        return version("symptom-kb")
    except PackageNotFoundError:
        return "0"
