"""`/v1/intake/{connector}`: deliveries of ticket, chat and alerting tools. Their signature is the credential."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from service.connectors.contract import (
    NAME_PATTERN,
    Event,
    Inbound,
    Note,
    Rejected,
    RejectedReason,
    UnknownConnector,
    is_public_reply,
)
from service.http.problems import ProblemError, problem_responses, request_id_of
from service.http.services import Services, ServicesDep

if TYPE_CHECKING:
    from service.intake.config import Configured

router = APIRouter(tags=["intake"])

_ANSWER_MARGIN_S = 0.5
"""An answer in the response is ready this long before the vendor's limit, for the way back."""

_TOO_SLOW = Note("I could not answer in time. Please ask again.\n", "No answer in time", answered=False)


class IntakeReceipt(BaseModel):
    """That a delivery was taken."""

    status: Literal["accepted", "duplicate", "ignored"] = Field(
        description="`accepted`: stored, its note will be written. `duplicate`: had been stored before. `ignored`: "
        "authentic and of no interest."
    )
    jobs: list[int] = Field(description="Numbers of the notes to be written, as `kb intake show` takes them.")


@router.post(
    "/v1/intake/{connector}",
    operation_id="receiveDelivery",
    status_code=202,
    response_model=IntakeReceipt,
    responses={
        **problem_responses(
            "malformed",
            "bad-signature",
            "not-found",
            "replayed",
            "body-too-large",
            "unsupported-media-type",
            "unknown-event",
            "busy",
            "not-ready",
            "state-unavailable",
        ),
        200: {
            "description": "A handshake, an acknowledgement in the vendor's own form, or the answer to a question.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
    },
    openapi_extra={
        "security": [],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {}, "example": {"type": "ping"}},
                "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
                "message/rfc822": {"schema": {"type": "string"}},
            },
        },
    },
    summary="Deliver a ticket, an alert or a question",
)
async def receive_delivery(
    connector: Annotated[str, Path(pattern=f"^{NAME_PATTERN}$", description="As in the connectors file.")],
    request: Request,
    services: ServicesDep,
) -> Response:
    """Signed and shaped as the vendor documents; docs/connectors.md tells how to set it up. Answered at once."""
    intake = services.intake
    try:
        configured = intake.find(connector)
    except UnknownConnector as error:
        raise ProblemError("not-found", str(error)) from error
    from service.intake.receiving import Status

    request_id = request_id_of(request)
    try:
        body = await _read_body(request, services.settings.intake_max_body_bytes)
        inbound = Inbound(
            {name.lower(): value for name, value in request.headers.items()},
            body,
            time.time(),
            dict(request.query_params),
        )
        receipt = await asyncio.to_thread(intake.receiver.receive, connector, inbound, request_id)
    except _TooLarge as error:
        rejection = Rejected(RejectedReason.TOO_LARGE, str(error))
        await asyncio.to_thread(intake.receiver.reject, connector, rejection, request_id)
        raise ProblemError(rejection.reason, rejection.detail) from error
    except Rejected as rejection:
        raise ProblemError(rejection.reason, rejection.detail) from rejection
    if receipt.status is Status.QUESTION and receipt.event is not None:
        return JSONResponse(await _answer(services, configured, receipt.event))
    if receipt.status is Status.ACCEPTED:
        intake.wake()
    if receipt.immediate is not None:
        return JSONResponse(dict(receipt.immediate))
    taken = IntakeReceipt.model_validate({"status": receipt.status.value, "jobs": list(receipt.job_ids)})
    return JSONResponse(taken.model_dump(), 202)


async def _answer(services: Services, configured: Configured, event: Event) -> dict[str, Any]:
    """The body of the answer to a question, within the vendor's limit.

    Raises:
        ProblemError: `busy` or `not-ready`.
    """
    _ = services.library.assistant
    config = configured.config
    is_public = is_public_reply(event, config)
    compose = services.intake.composer.compose
    work = services.pool.run(lambda: compose(event, config, is_public=is_public, connector=configured.name))
    try:
        async with asyncio.timeout(configured.connector.answer_within_s - _ANSWER_MARGIN_S):
            composed = await work
        note = composed.note or Note("There is no text to search for.\n", "No text", answered=False)
    except TimeoutError:
        note = _TOO_SLOW
    return dict(configured.connector.render_immediate(note, event, config))


class _TooLarge(Exception):
    """The body is larger than allowed."""


async def _read_body(request: Request, limit: int) -> bytes:
    """The raw body. Raises _TooLarge without reading on."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _TooLarge(f"the limit is {limit} bytes")
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > limit:
                raise _TooLarge(f"the limit is {limit} bytes")
    except ClientDisconnect:
        raise ProblemError("malformed", "the connection ended within the body") from None
    return bytes(body)
