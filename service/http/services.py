"""Everything the routes need, made once for each app and handed to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from service.http.answering import AnsweringPool
from service.http.intake_running import RunningIntake
from service.http.metrics import Metrics
from service.http.reloading import Library
from service.http.security import Caller, Gatekeeper
from service.http.signing_in import PendingSignIns
from service.settings import Settings
from service.stores import Stores


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a running service."""

    settings: Settings
    library: Library
    pool: AnsweringPool
    gatekeeper: Gatekeeper
    stores: Stores
    metrics: Metrics
    intake: RunningIntake
    pending: PendingSignIns


async def services_of(request: Request) -> Services:
    """FastAPI dependency: the app's parts. `async`, as below, because FastAPI calls others in a thread."""
    services: Services = request.app.state.services
    return services


async def caller_of(request: Request) -> Caller:
    """FastAPI dependency: who is calling, as the gate found."""
    caller: Caller = request.state.caller
    return caller


ServicesDep = Annotated[Services, Depends(services_of)]
CallerDep = Annotated[Caller, Depends(caller_of)]
