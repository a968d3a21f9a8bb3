"""Every way a request can fail, as RFC 9457 `application/problem+json` with a stable `type`.

`detail` never holds anything the caller typed: problems end up in logs and tickets.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from indexer.errors import InputError, NotFound, SettingsError
from service.stores import StateUnavailable

logger = logging.getLogger("kb.serve")

TYPE_PREFIX = "urn:symptom-kb:problem:"
MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: the last part of its `type`, its status and its title."""

    name: str
    status: int
    title: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind("malformed", 400, "The request cannot be read"),
        Kind("unauthorized", 401, "The credential is not valid"),
        Kind("forbidden", 403, "This is not allowed here"),
        Kind("not-found", 404, "There is nothing here"),
        Kind("method-not-allowed", 405, "This address does not take this method"),
        Kind("body-too-large", 413, "The request body is too large"),
        Kind("unsupported-media-type", 415, "The body's media type is not taken here"),
        Kind("invalid", 422, "A value is not valid"),
        Kind("too-many-requests", 429, "Too many requests"),
        Kind("internal-error", 500, "Something went wrong here"),
        Kind("busy", 503, "All workers are busy"),
        Kind("not-ready", 503, "The service is still starting"),
        Kind("provider-unavailable", 503, "The sign-in provider cannot be reached"),
        Kind("state-unavailable", 503, "The database is not available"),
        Kind("bad-signature", 401, "The delivery is not signed as configured"),
        Kind("stale-timestamp", 401, "The delivery was signed too long ago"),
        Kind("replayed", 409, "The delivery was taken before"),
        Kind("unknown-event", 422, "This kind of event is not taken"),
    )
}
_AGAIN = {"Retry-After": "5"}
_BY_STATUS = {kind.status: kind for kind in reversed(KINDS.values())}


class FieldProblem(BaseModel):
    """One value that is not valid."""

    location: str = Field(description="Where: `body.limit`, `query.q`.", examples=["body.limit"])
    message: str = Field(description="What is wrong with it.", examples=["Input should be less than or equal to 50"])


class Problem(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": f"{TYPE_PREFIX}not-found",
                    "title": KINDS["not-found"].title,
                    "status": 404,
                    "detail": "no such article",
                    "instance": "urn:request:5f0c7c9d6a7b4e0f",
                }
            ]
        }
    )

    type: str = Field(description="Stable URI of the kind of problem; listed in docs/http-api.md.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="`urn:request:` and the request's X-Request-ID.")
    errors: list[FieldProblem] | None = Field(
        default=None, description="The values that are not valid; with status 422 only."
    )


class ProblemError(Exception):
    """Raise it to answer with the problem `name` of KINDS."""

    def __init__(self, name: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = KINDS[name]
        self.detail = detail
        self.headers = dict(headers or {})

    def response(self, request_id: str) -> JSONResponse:
        """The response that tells the caller."""
        return problem_response(self.kind, self.detail, request_id, headers=self.headers)


def problem_response(
    kind: Kind,
    detail: str,
    request_id: str,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> JSONResponse:
    """A problem document as a response."""
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + kind.name,
        "title": kind.title,
        "status": status or kind.status,
        "detail": detail,
        "instance": f"urn:request:{request_id}",
    }
    if errors is not None:
        body["errors"] = errors
    return JSONResponse(body, status or kind.status, {"Cache-Control": "no-store", **(headers or {})}, MEDIA_TYPE)


def describe_error(error: Exception, request_id: str) -> JSONResponse:
    """The problem document for an exception that a route or the gate raised. Logs what an operator has to mend."""
    match error:
        case ProblemError():
            return error.response(request_id)
        case NotFound():
            return problem_response(KINDS["not-found"], "no such article", request_id)
        case InputError():
            return problem_response(KINDS["invalid"], str(error), request_id)
        case StateUnavailable():
            return problem_response(KINDS["state-unavailable"], str(error), request_id, headers=_AGAIN)
        case SettingsError():
            logger.error("request %s: %s", request_id, error)
            detail = "keys or settings cannot be read; the log says which"
            return problem_response(KINDS["state-unavailable"], detail, request_id, headers=_AGAIN)
        case RequestValidationError():
            return _invalid(error, request_id)
        case HTTPException():
            return _plain(error, request_id)
        case _:
            return problem_response(KINDS["internal-error"], "the error has been logged", request_id)


def request_id_of(request: Request) -> str:
    """The id under which this request is logged."""
    return str(getattr(request.state, "request_id", ""))


def problem_responses(*names: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` for these kinds of problem, and the ones that every route has."""
    wanted = [KINDS[name] for name in (*names, "unauthorized", "too-many-requests", "internal-error")]
    described: dict[int | str, dict[str, Any]] = {}
    for status in sorted({kind.status for kind in wanted}):
        kinds = [kind for kind in wanted if kind.status == status]
        described[status] = {
            "description": "; or ".join(kind.title for kind in kinds),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return described


def _invalid(error: RequestValidationError, request_id: str) -> JSONResponse:
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return problem_response(KINDS["malformed"], "the body is not valid JSON", request_id)
    if isinstance(error.body, bytes):  # FastAPI left it as it was: its media type is not JSON
        headers = {"Accept": "application/json"}
        detail = "the body is read as JSON only: send Content-Type: application/json"
        return problem_response(KINDS["unsupported-media-type"], detail, request_id, headers=headers)
    errors = [
        {"location": ".".join(str(part) for part in item["loc"])[:200], "message": _message(item)} for item in found
    ]
    return problem_response(
        KINDS["invalid"], "one or more values are not valid; see `errors`", request_id, errors=errors
    )


def _message(item: Mapping[str, Any]) -> str:
    return str(item["msg"]).removeprefix("Value error, ")


_DETAILS = {
    400: "the body is not JSON in UTF-8, is compressed, or is nested too deeply",
    404: "no such address",
    405: "see the Allow header",
}
"""For the framework's own exceptions; the first is what reading a body comes to."""


def _plain(error: HTTPException, request_id: str) -> JSONResponse:
    kind = _BY_STATUS.get(error.status_code, KINDS["malformed" if error.status_code < 500 else "internal-error"])
    detail = _DETAILS.get(error.status_code)
    headers = dict(error.headers or {})
    return problem_response(
        kind,
        detail or HTTPStatus(error.status_code).phrase.lower(),
        request_id,
        status=error.status_code,
        headers=headers,
    )


HANDLED = (
    *(ProblemError, NotFound, InputError, StateUnavailable, SettingsError),
    *(RequestValidationError, HTTPException),
)
"""What `describe_error` has words for; anything else is a defect, is logged, and becomes `internal-error`."""
