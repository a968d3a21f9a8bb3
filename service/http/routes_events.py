"""`/v1/events` and `/v1/deflection`: the deflection ledger, written by the widget and read by the team."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from indexer.errors import NotFound
from indexer.scope import PUBLIC
from service.deflection import Event, EventKind, Surface
from service.http.models import IndexVersion, Text
from service.http.problems import ProblemError, problem_responses
from service.http.services import CallerDep, Services, ServicesDep

router = APIRouter(prefix="/v1", tags=["deflection"])

MAX_EVENT_BYTES = 4096


class EventRequest(BaseModel):
    """Something that a customer saw or did. There is no field for what was typed."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "session": "0b7c2f6e-64a3-4a0c-9a07-2f7c6c0d7a55",
                    "event": "solved",
                    "surface": "form",
                    "articles": ["api/401-after-api-key-rotation.md"],
                    "index_version": "20261124T044056553567-46f560ad8a3a",
                }
            ]
        },
    )

    session: str = Field(
        pattern=r"^[A-Za-z0-9_\-]{8,64}$", description="Opaque random id: of the page view, or your own."
    )
    event: EventKind
    surface: Surface
    articles: list[Annotated[Text, Field(min_length=1, max_length=1000)]] = Field(
        default=[], max_length=10, description="Paths or ids of the articles concerned, best first."
    )
    index_version: IndexVersion | Literal[""] = ""


class EventReceipt(BaseModel):
    """That the event was taken."""

    stored: Literal[True] = True


class VisitShares(BaseModel):
    """Shares of the visits shown; `durable` is of the deflected visits that are old enough to tell. Null: none yet."""

    opened: float | None
    explicit: float | None
    implicit: float | None
    submitted_anyway: float | None
    under_way: float | None
    durable: float | None


class VisitTally(BaseModel):
    """Visits in which something was shown, counted."""

    shown: int
    opened: int
    explicit: int = Field(description="Marked as solved, and no ticket in the visit.")
    implicit: int = Field(description="Ended without a ticket and without being marked.")
    submitted_anyway: int
    under_way: int = Field(description="Not over yet.")
    durable: int = Field(description="Deflected, and no ticket from the session within `durable_days`.")
    returned: int = Field(description="Deflected, but a ticket came from the session within `durable_days`.")
    early: int = Field(description="Deflected, but less than `durable_days` ago.")
    shares: VisitShares


class SurfaceTallies(BaseModel):
    """By where the visit was: a search box only, or beside a ticket form."""

    search: VisitTally
    form: VisitTally
    all: VisitTally


class DeflectionBody(BaseModel):
    """What the ledger came to."""

    since: datetime
    until: datetime
    durable_days: int
    visits: SurfaceTallies


async def _refuse_large(request: Request) -> None:
    if len(await request.body()) > MAX_EVENT_BYTES:
        raise ProblemError("body-too-large", f"the limit for an event is {MAX_EVENT_BYTES} bytes")


@router.post(
    "/events",
    operation_id="sendEvent",
    dependencies=[Depends(_refuse_large)],
    status_code=201,
    responses=problem_responses(
        *("malformed", "forbidden", "not-found", "body-too-large", "unsupported-media-type", "invalid"),
        *("not-ready", "state-unavailable"),
    ),
    summary="Note what became of a suggestion",
)
def send_event(
    body: EventRequest,
    services: ServicesDep,
    caller: CallerDep,
) -> EventReceipt:
    """Stored with the articles' paths and the caller's key; only a key's holder may write, a web page with its own."""
    if caller.means != "key":
        raise ProblemError("forbidden", "events are taken from holders of a key; see `kb keys add --publishable`")
    paths = _public_paths(services, body.articles)
    if body.articles and not paths:
        raise NotFound("none of the articles is there")
    services.stores.ledger.add(
        Event(datetime.now(UTC), body.session, body.event, body.surface, paths, body.index_version, caller.key_id)
    )
    return EventReceipt()


@router.get(
    "/deflection",
    operation_id="getDeflection",
    responses=problem_responses("forbidden", "invalid", "state-unavailable"),
    summary="Explicit, implicit and durable deflection, by surface",
)
def get_deflection(
    *,
    response: Response,
    services: ServicesDep,
    caller: CallerDep,
    days: Annotated[int, Query(ge=1, le=3660, description="How far back.")] = 30,
    durable_days: Annotated[
        int | None, Query(ge=1, le=365, description="Durable: no ticket within so many days. Default: the setting.")
    ] = None,
) -> DeflectionBody:
    """For callers who may see internal articles."""
    if not caller.is_internal:
        raise ProblemError("forbidden", "the ledger is for the team: send a key made with --audience internal")
    response.headers["Cache-Control"] = "no-store"
    report: dict[str, Any] = services.stores.ledger.report(
        days, durable_days or services.settings.durable_days
    ).as_dict()
    return DeflectionBody.model_validate(report)


def _public_paths(services: Services, names: list[str]) -> tuple[str, ...]:
    """Paths of the public articles with these names, each once: what customers see is public, whoever reports it."""
    if not names:
        return ()
    assistant = services.library.assistant
    paths: dict[str, None] = {}
    for name in names:
        try:
            paths[assistant.article(name, PUBLIC).path] = None
        except NotFound:
            continue
    return tuple(paths)
